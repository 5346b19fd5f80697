//! Numbers in CSV: rows of fields between delimiters.
//!
//! Lines are cut here: the csv crate counts them otherwise than an editor does where they are blank or end in CR LF,
//! and a field of numbers holds no delimiter or line end that quotes would have to hide.

use crate::array::Array;
use crate::device::Device;
use crate::element::{DType, Number, Scalar};
use crate::error::{Error, Result};
use crate::io::place::{Place, Short};
use crate::io::write::atomically;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;

/// How a CSV file is written down.
///
/// ```
/// use tensor_core::io::CsvOptions;
/// let options = CsvOptions { delimiter: b';', skip_rows: 1, ..CsvOptions::default() };
/// # assert_eq!(options.delimiter, b';');
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsvOptions {
    /// What stands between two numbers: a comma, a semicolon, a tab, a space, a colon or a bar.
    pub delimiter: u8,
    /// Lines at the start that are not read, such as a header.
    pub skip_rows: usize,
}

impl Default for CsvOptions {
    fn default() -> Self {
        CsvOptions { delimiter: b',', skip_rows: 0 }
    }
}

impl CsvOptions {
    fn check(&self, op: &'static str) -> Result<()> {
        match self.delimiter {
            b',' | b';' | b'\t' | b' ' | b':' | b'|' => Ok(()),
            other => {
                let message = format!(
                    "{:?} does not part numbers: use a comma, semicolon, tab, space, colon or bar",
                    char::from(other)
                );
                Err(Error::argument(op, message))
            }
        }
    }
}

/// Reads a file of numbers as a matrix, a row for each line; blank lines are passed over, quotes and spaces around a
/// number ignored. An empty file has the shape `[0, 0]`.
///
/// # Errors
/// File, where it cannot be read, a row is longer or shorter than the first, or a field is no number, with its line
/// and column; argument, for a delimiter that is none; out of memory.
pub fn load_csv<T: Number>(path: &Path, options: &CsvOptions) -> Result<Array<T>> {
    let place = Place::new("load_csv", path);
    options.check(place.op)?;
    let (file, _) = place.open()?;
    read(BufReader::new(file), options, place)
}

pub(crate) fn read<T: Number>(
    mut reader: impl BufRead,
    options: &CsvOptions,
    place: Place<'_>,
) -> Result<Array<T>> {
    let (mut data, mut width, mut bytes) = (Vec::new(), 0, Vec::new());
    let mut line = 0usize;
    while reader.read_until(b'\n', &mut bytes).map_err(|e| place.io(e))? > 0 {
        line += 1;
        let text = String::from_utf8_lossy(&bytes);
        // Some programs begin a text file with a byte order mark.
        let text = if line == 1 { text.trim_start_matches('\u{feff}') } else { &text };
        // A delimiter at the end of a line stands before an empty field.
        let text = text.trim_matches(|c: char| c.is_whitespace() && c != char::from(options.delimiter));
        if line > options.skip_rows && !text.is_empty() {
            let start = data.len();
            for (k, field) in text.split(char::from(options.delimiter)).enumerate() {
                let Some(x) = number(unquoted(field)) else {
                    let (kind, column) = (T::DTYPE, k + 1);
                    return Err(place.fault(format!(
                        "line {line}, column {column}: {} is no {kind}: correct it, or skip_rows past a header",
                        Short(field)
                    )));
                };
                data.try_reserve(1).map_err(|_| place.memory(data.len() * size_of::<T>()))?;
                data.push(x);
            }
            let found = data.len() - start;
            if start == 0 {
                width = found;
            }
            if found != width {
                return Err(
                    place.fault(format!("line {line} has {found} numbers, and the first row {width}"))
                );
            }
        }
        bytes.clear();
    }
    let height = data.len().checked_div(width).unwrap_or(0);
    Array::from_vec(data, &[height, width])
}

fn unquoted(field: &str) -> &str {
    let field = field.trim();
    field.strip_prefix('"').and_then(|f| f.strip_suffix('"')).unwrap_or(field).trim()
}

/// A number, read in the precision of its type.
fn number<T: Number>(text: &str) -> Option<T> {
    let value = match T::DTYPE {
        DType::I64 => Scalar::Int(text.parse().ok()?),
        DType::F32 => Scalar::Float(text.parse::<f32>().ok()?.into()),
        _ => Scalar::Float(text.parse().ok()?),
    };
    Some(T::from_scalar(value))
}

/// Writes a matrix, a line for each row, or a vector, a line for each element, with the digits that bring every
/// number back exactly.
///
/// # Errors
/// Shape, for other than one or two dimensions; file, where it cannot be written, in which case an old one stays
/// as it was; argument, for a delimiter that is none; device, where the elements cannot be fetched.
pub fn save_csv<T: Number>(path: &Path, x: &Array<T>, delimiter: u8) -> Result<()> {
    let place = Place::new("save_csv", path);
    CsvOptions { delimiter, ..CsvOptions::default() }.check(place.op)?;
    let x = match x.ndim() {
        1 => x.insert_dim(place.op, 1)?,
        2 => x.clone(),
        _ => {
            let message = format!("shape {:?} is no table: reshape it to two dimensions", x.shape());
            return Err(Error::shape(place.op, message));
        }
    };
    let x = x.to_device(place.op, Device::Cpu)?;
    let delimiter = char::from(delimiter);
    atomically(place, |out| {
        for i in 0..x.shape()[0] {
            for j in 0..x.shape()[1] {
                if j > 0 {
                    write!(out, "{delimiter}")?;
                }
                write!(out, "{:?}", x.storage()[x.layout().place(&[i, j])])?;
            }
            writeln!(out)?;
        }
        Ok(())
    })
}
