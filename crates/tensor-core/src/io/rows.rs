//! Rows of an array in a file, read one part after another.

use crate::array::Array;
use crate::element::{DType, Element};
use crate::error::{Error, Result};
use crate::io::described::Described;
use crate::io::from_file::FromFile;
use crate::io::place::Place;
use crate::io::safetensors::unknown;
use crate::io::source::Source;
use crate::io::{npy_header, safetensors_header};
use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// An array in a file, of which any rows can be read, and the others are not: those of one process of many, or one block
/// after another of what does not fit into memory. The file stays open, and its header was held against its length.
///
/// ```
/// use tapegrad::{Array, io};
/// # let folder = std::env::temp_dir().join(format!("tapegrad-rows-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder).unwrap();
/// let path = folder.join("x.npy");
/// io::save_npy(&path, &Array::from_vec(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &[3, 2])?)?;
/// let rows = io::RowFile::npy(&path)?;
/// assert_eq!((rows.len(), rows.shape()), (3, &[3, 2][..]));
/// assert_eq!(rows.read::<f64>(1..3)?.to_vec(), [3.0, 4.0, 5.0, 6.0]);
/// # std::fs::remove_dir_all(&folder).unwrap();
/// # Ok::<(), tapegrad::Error>(())
/// ```
#[derive(Debug)]
pub struct RowFile {
    path: PathBuf,
    /// The array's name, in a file of several.
    name: Option<String>,
    file: Mutex<File>,
    file_len: u64,
    /// Its first byte.
    start: u64,
    array: Described,
}

const OP: &str = "read_rows";

impl RowFile {
    /// The rows of a .npy file.
    ///
    /// # Errors
    /// File, where it cannot be read, is damaged, is a scalar, or lies column after column (Fortran order).
    pub fn npy(path: &Path) -> Result<Self> {
        let place = Place::new(OP, path);
        let (mut file, len) = place.open()?;
        let (array, start) = npy_header::read(&mut file, len, place)?;
        RowFile { path: path.into(), name: None, file: Mutex::new(file), file_len: len, start, array }
            .checked()
    }

    /// The rows of one array of a safetensors file.
    ///
    /// # Errors
    /// As [`RowFile::npy`]; file, where there is no array of this name.
    pub fn safetensors(path: &Path, name: &str) -> Result<Self> {
        let place = Place::new(OP, path);
        let (mut file, len) = place.open()?;
        let header = safetensors_header::read(&mut file, len, place)?;
        let Some(entry) = header.entries.get(name) else {
            return Err(place.fault(unknown(name, header.entries.keys())));
        };
        let array = entry.described(place.part(name))?;
        let start = header.data + entry.start();
        let name = Some(name.into());
        RowFile { path: path.into(), name, file: Mutex::new(file), file_len: len, start, array }.checked()
    }

    fn checked(self) -> Result<Self> {
        let shape = &self.array.shape;
        if shape.is_empty() {
            return Err(self.place().fault("a scalar has no rows"));
        }
        // Of a vector both orders are the same.
        if self.array.fortran && shape.len() > 1 {
            let fault = "its rows do not lie together (Fortran order): load it whole, or save it in C order";
            return Err(self.place().fault(fault));
        }
        Ok(self)
    }

    fn place(&self) -> Place<'_> {
        let place = Place::new(OP, &self.path);
        self.name.as_ref().map_or(place, |name| place.part(name))
    }

    /// The number of rows.
    #[expect(clippy::len_without_is_empty, reason = "it is no collection, but a part of a shape")]
    pub fn len(&self) -> usize {
        self.array.shape[0]
    }

    /// The sizes of the dimensions; the rows are the first.
    pub fn shape(&self) -> &[usize] {
        &self.array.shape
    }

    /// The element type that takes every value of the file's own.
    pub fn dtype(&self) -> DType {
        self.array.stored.natural()
    }

    /// Bytes of a row in the file.
    pub fn row_bytes(&self) -> u64 {
        self.array.shape[1..].iter().product::<usize>() as u64 * self.array.stored.size() as u64
    }

    /// These rows, as any element type that takes every value of the file's own.
    ///
    /// # Errors
    /// Index, beyond the last row; file, where it cannot be read, was cut short meanwhile, or holds another type; out of
    /// memory.
    pub fn read<T: Element>(&self, rows: Range<usize>) -> Result<Array<T>> {
        if rows.start > rows.end || rows.end > self.len() {
            let message = format!("{}: rows {rows:?} of {}", self.path.display(), self.len());
            return Err(Error::index(OP, message));
        }
        let mut array = self.array.clone();
        array.shape[0] = rows.len();
        array.fortran = false;
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let place = self.place();
        let start = self.start + rows.start as u64 * self.row_bytes();
        file.seek(SeekFrom::Start(start)).map_err(|e| place.io(e))?;
        Array::read(Source { reader: &mut *file, array, file_len: self.file_len, place })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::{AnyArray, save_npy, save_safetensors};
    use crate::{ErrorKind, kernels};
    use std::collections::BTreeMap;
    use std::fs;

    #[test]
    fn any_rows_are_those_of_the_whole() {
        let scratch = tempfile::tempdir().unwrap();
        let [npy, safe] = ["x.npy", "x.safetensors"].map(|n| scratch.path().join(n));
        let x = Array::from_vec((0..60).map(|k| k as f32).collect(), &[5, 3, 4]).unwrap();
        save_npy(&npy, &x).unwrap();
        let first = AnyArray::from(Array::from_vec(vec![1i64, 2], &[2]).unwrap());
        let arrays = BTreeMap::from([("a".into(), first), ("x".into(), AnyArray::from(x.clone()))]);
        save_safetensors(&safe, &arrays, &BTreeMap::new()).unwrap();
        for file in [RowFile::npy(&npy).unwrap(), RowFile::safetensors(&safe, "x").unwrap()] {
            for rows in [0..5, 1..3, 4..5, 2..2] {
                let part = file.read::<f32>(rows.clone()).unwrap();
                let same = x.slice("rows", 0, rows.start, 1, rows.len()).unwrap();
                assert_eq!((part.shape(), part.to_vec()), (same.shape(), same.to_vec()));
                assert_eq!(file.read::<f64>(rows).unwrap().dtype(), DType::F64);
            }
            assert_eq!(file.read::<f32>(3..6).unwrap_err().kind(), ErrorKind::Index);
            assert_eq!(file.read::<i64>(0..1).unwrap_err().kind(), ErrorKind::File);
        }
        assert!(RowFile::safetensors(&safe, "y").unwrap_err().to_string().contains("\"a\", \"x\""));
    }

    #[test]
    fn what_has_no_rows_or_was_cut_is_refused() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("x.npy");
        let x = Array::from_vec(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &[2, 3]).unwrap();
        save_npy(&path, &x.permute("t", &[1, 0]).unwrap()).unwrap();
        assert!(RowFile::npy(&path).unwrap_err().to_string().contains("Fortran"));
        save_npy(&path, &Array::scalar(1.0)).unwrap();
        assert!(RowFile::npy(&path).unwrap_err().to_string().contains("no rows"));
        save_npy(&path, &kernels::copy("x", &x).unwrap()).unwrap();
        let file = RowFile::npy(&path).unwrap();
        fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(140).unwrap();
        assert!(file.read::<f64>(1..2).unwrap_err().to_string().contains("cut short"));
    }
}
