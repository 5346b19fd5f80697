//! Writing files: whole or not at all.

use crate::array::Array;
use crate::element::{DType, Element};
use crate::error::Result;
use crate::io::place::Place;
use crate::shape::Dims;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use tempfile::Builder;

/// Writes a file under another name in the same folder, brings it to the disk, and gives it its name: a reader, or
/// a crash, finds the old file or the new one. An existing file keeps its permissions.
pub(crate) fn atomically(
    place: Place<'_>,
    fill: impl FnOnce(&mut BufWriter<&mut File>) -> io::Result<()>,
) -> Result<()> {
    // A link stays one: the file that it leads to is replaced.
    let target = fs::canonicalize(place.path).unwrap_or_else(|_| place.path.to_path_buf());
    let old = fs::metadata(&target).ok();
    if old.as_ref().is_some_and(|old| !old.is_file()) {
        return Err(place.fault("not a regular file: give the name of one, or a name that is free"));
    }
    let folder = match target.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let write = || {
        let mut builder = Builder::new();
        builder.prefix(".tapegrad-").suffix(".part");
        // A temporary file is its owner's alone; this one becomes an ordinary file, for whom umask allows.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let mut file = builder.tempfile_in(folder)?;
        let mut out = BufWriter::with_capacity(1 << 16, file.as_file_mut());
        fill(&mut out)?;
        out.flush()?;
        drop(out);
        if let Some(old) = old {
            file.as_file().set_permissions(old.permissions())?;
        }
        file.as_file().sync_all()?;
        file.persist(&target)?;
        sync_folder(folder)
    };
    write().map_err(|e| place.io(e))
}

/// Brings the new name to the disk; elsewhere than on Unix a folder cannot be opened.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// An array of any element type, as it is written.
pub(crate) trait Saved {
    fn dtype(&self) -> DType;
    /// Whether the elements lie column after column, and not row after row, without gaps.
    fn is_fortran(&self) -> bool;
    /// The elements in little-endian bytes, the last dimension the fastest.
    fn write(&self, out: &mut dyn Write) -> io::Result<()>;
    /// The elements in little-endian bytes, the first dimension the fastest.
    fn write_fortran(&self, out: &mut dyn Write) -> io::Result<()>;
}

impl<T: Element> Saved for Array<T> {
    fn dtype(&self) -> DType {
        T::DTYPE
    }
    fn is_fortran(&self) -> bool {
        !self.layout().is_contiguous() && transposed(self).layout().is_contiguous()
    }
    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        match self.as_slice() {
            Some(x) => write_elements(x, out),
            None => write_strided(self, out),
        }
    }
    fn write_fortran(&self, out: &mut dyn Write) -> io::Result<()> {
        transposed(self).write(out)
    }
}

fn transposed<T: Element>(x: &Array<T>) -> Array<T> {
    let dims: Dims = (0..x.ndim()).rev().collect();
    x.view(x.layout().permute(&dims))
}

/// Elements that are gathered before they are written.
const CHUNK: usize = 1 << 13;

fn write_elements<T: Element>(x: &[T], out: &mut dyn Write) -> io::Result<()> {
    if cfg!(target_endian = "little") {
        return out.write_all(bytemuck::cast_slice(x));
    }
    for part in x.chunks(CHUNK) {
        let mut bytes = bytemuck::cast_slice(part).to_vec();
        bytes.chunks_exact_mut(size_of::<T>()).for_each(<[u8]>::reverse);
        out.write_all(&bytes)?;
    }
    Ok(())
}

/// Walks the rows of an array that has at least one dimension and one element.
fn write_strided<T: Element>(x: &Array<T>, out: &mut dyn Write) -> io::Result<()> {
    let (layout, storage) = (x.layout(), x.storage());
    let last = x.ndim() - 1;
    let step = layout.strides()[last];
    let mut index = Dims::from_elem(0, x.ndim());
    let mut gathered = Vec::with_capacity(CHUNK);
    loop {
        let start = layout.place(&index) as isize;
        for k in 0..x.shape()[last] as isize {
            gathered.push(storage[(start + k * step) as usize]);
            if gathered.len() == CHUNK {
                write_elements(&gathered, out)?;
                gathered.clear();
            }
        }
        let Some(dim) = (0..last).rev().find(|&d| index[d] + 1 < x.shape()[d]) else {
            return write_elements(&gathered, out);
        };
        index[dim] += 1;
        index[dim + 1..].fill(0);
    }
}
