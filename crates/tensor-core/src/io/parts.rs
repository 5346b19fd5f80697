//! A .npy file that many processes write, each its own rows: whole or not at all.

use crate::array::Array;
use crate::element::{DType, Element};
use crate::error::{Error, Result};
use crate::io::any::AnyArray;
use crate::io::npy_header as header;
use crate::io::place::Place;
use crate::io::write::{Part, begin_part, end_of_links, folder_of, sync_folder};
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

const OP: &str = "save_npy";

/// A file under another name beside its place, until every row is written: one process begins and ends it, and all write
/// to it by [`write_npy_rows`]. Dropped before its end it leaves nothing.
///
/// ```
/// use tapegrad::{Array, DType, io};
/// # let folder = std::env::temp_dir().join(format!("tapegrad-parts-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder).unwrap();
/// let path = folder.join("x.npy");
/// let file = io::NpyParts::begin(&path, DType::F64, &[3])?;
/// // As two processes would.
/// io::write_npy_rows(file.path(), file.data(), 0, &Array::from_vec(vec![1.0], &[1])?)?;
/// io::write_npy_rows(file.path(), file.data(), 1, &Array::from_vec(vec![2.0, 3.0], &[2])?)?;
/// file.end()?;
/// assert_eq!(io::load_npy::<Array<f64>>(&path)?.to_vec(), [1.0, 2.0, 3.0]);
/// # std::fs::remove_dir_all(&folder).unwrap();
/// # Ok::<(), tapegrad::Error>(())
/// ```
pub struct NpyParts {
    target: PathBuf,
    file: File,
    part: Part,
    data: u64,
}

impl NpyParts {
    /// Begins a file of an array of this type and shape, in its whole length.
    ///
    /// # Errors
    /// File, where it cannot be written.
    pub fn begin(path: &Path, dtype: DType, shape: &[usize]) -> Result<Self> {
        let place = Place::new(OP, path);
        let io = |e| place.io(e);
        let header = npy_header(dtype, shape);
        let bytes = crate::shape::numel(OP, shape)? as u64 * dtype.size() as u64;
        let target = end_of_links(path).map_err(io)?;
        let (mut file, part) = begin_part(&target).map_err(io)?;
        file.write_all(&header).map_err(io)?;
        file.set_len(header.len() as u64 + bytes).map_err(io)?;
        Ok(NpyParts { target, file, part, data: header.len() as u64 })
    }

    /// Where the file lies until its end.
    pub fn path(&self) -> &Path {
        self.part.path()
    }

    /// Its first byte after the header.
    pub fn data(&self) -> u64 {
        self.data
    }

    /// Gives the file its name, after all rows are written and on the disk.
    ///
    /// # Errors
    /// File, where that fails: an old file then stays.
    pub fn end(self) -> Result<()> {
        let place = Place::new(OP, &self.target);
        if let Ok(old) = std::fs::metadata(&self.target) {
            self.file.set_permissions(old.permissions()).map_err(|e| place.io(e))?;
        }
        self.file.sync_all().map_err(|e| place.io(e))?;
        self.part.rename(&self.target).map_err(|e| place.io(e))?;
        sync_folder(folder_of(&self.target)).map_err(|e| place.io(e))
    }
}

/// What stands in a .npy file before the elements of an array in C order, and they are aligned after it.
///
/// ```
/// use tapegrad::{DType, io};
/// assert!(io::npy_header(DType::F64, &[3]).len().is_multiple_of(64));
/// ```
pub fn npy_header(dtype: DType, shape: &[usize]) -> Vec<u8> {
    header::write(dtype, shape, false)
}

/// Writes rows from the row `first` on to a file that [`NpyParts`] began, and brings them to the disk. `data` is its first byte
/// after the header.
///
/// # Errors
/// File, where it cannot be written or is no longer there; device, where the elements cannot be fetched.
pub fn write_npy_rows<T: Element>(path: &Path, data: u64, first: usize, x: &Array<T>) -> Result<()> {
    let place = Place::new(OP, path);
    if x.ndim() == 0 {
        return Err(Error::shape(OP, "a scalar has no rows"));
    }
    let row: usize = x.shape()[1..].iter().product();
    let x = AnyArray::from(x.clone()).cpu(OP)?;
    let write = || {
        let mut file = OpenOptions::new().write(true).open(path)?;
        file.seek(SeekFrom::Start(data + (first * row * size_of::<T>()) as u64))?;
        let mut out = BufWriter::with_capacity(1 << 16, &mut file);
        x.saved().write(&mut out)?;
        out.flush()?;
        drop(out);
        file.sync_all()
    };
    write().map_err(|e| place.io(e))
}
