//! NumPy's .npy: one array.

use crate::array::Array;
use crate::element::Element;
use crate::error::Result;
use crate::io::any::AnyArray;
use crate::io::described::MOST_DIMENSIONS;
use crate::io::from_file::FromFile;
use crate::io::npy_header;
use crate::io::place::Place;
use crate::io::source::Source;
use crate::io::write::atomically;
use std::io::{self, Read, Write};
use std::path::Path;

/// Reads a .npy file: versions 1 to 3, C and Fortran order, either byte order. A type other than the file's own is
/// taken where it holds every value of the file's.
///
/// Fortran order becomes strides; nothing is rearranged. A file longer than its array is refused like one that is
/// too short.
///
/// ```no_run
/// use tapegrad::{Array, io};
/// let weights: Array<f32> = io::load_npy("weights.npy".as_ref())?;
/// let anything: io::AnyArray = io::load_npy("labels.npy".as_ref())?;
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// File, where it cannot be read, is damaged, or holds another type; out of memory.
pub fn load_npy<A: FromFile>(path: &Path) -> Result<A> {
    let place = Place::new("load_npy", path);
    let (mut file, len) = place.open()?;
    read(&mut file, len, len, place)
}

/// Reads what lies in `len` bytes of a file, packed perhaps, of `file_len` bytes.
pub(crate) fn read<A: FromFile>(
    reader: &mut dyn Read,
    len: u64,
    file_len: u64,
    place: Place<'_>,
) -> Result<A> {
    let (array, _) = npy_header::read(reader, len, place)?;
    A::read(Source { reader, array, file_len, place })
}

/// Writes a .npy file: in Fortran order where the elements lie column after column, else in C order. Nothing is
/// copied for it, whatever the strides.
///
/// # Errors
/// File, where it cannot be written, in which case an old one stays as it was; device, where the elements cannot be
/// fetched.
pub fn save_npy<T: Element>(path: &Path, x: &Array<T>) -> Result<()> {
    let place = Place::new("save_npy", path);
    let x = AnyArray::from(x.clone()).cpu(place.op)?;
    check_rank(&x, place)?;
    atomically(place, |out| write(&x, out))
}

/// Refuses what could not be read again.
pub(crate) fn check_rank(x: &AnyArray, place: Place<'_>) -> Result<()> {
    match x.shape().len() {
        0..=MOST_DIMENSIONS => Ok(()),
        n => {
            Err(place
                .fault(format!("{n} dimensions are more than the {MOST_DIMENSIONS} of NumPy: reshape it")))
        }
    }
}

pub(crate) fn write(x: &AnyArray, out: &mut dyn Write) -> io::Result<()> {
    let saved = x.saved();
    let fortran = saved.is_fortran();
    out.write_all(&npy_header::write(saved.dtype(), x.shape(), fortran))?;
    if fortran { saved.write_fortran(out) } else { saved.write(out) }
}
