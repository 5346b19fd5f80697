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
use std::str::FromStr;

/// How a table of numbers is written down.
///
/// ```
/// use tapegrad::io::CsvOptions;
/// let options = CsvOptions { delimiter: b';', skip_rows: 1, ..CsvOptions::default() };
/// // As NumPy's loadtxt reads it: columns between any number of spaces, and notes behind a #.
/// let aligned = CsvOptions { delimiter: CsvOptions::WHITESPACE, ..CsvOptions::default() };
/// # assert_ne!(options, aligned);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct CsvOptions {
    /// What stands between two numbers: a comma, a semicolon, a tab, a colon, a bar, or
    /// [`CsvOptions::WHITESPACE`]: spaces and tabs, any number of them.
    pub delimiter: u8,
    /// Lines at the start that are not read, such as a header.
    pub skip_rows: usize,
    /// What begins a note that goes on to the end of its line; None where there are none.
    pub comments: Option<char>,
    /// What an empty field stands for, often NaN; None: an error.
    pub empty: Option<f64>,
}

impl Default for CsvOptions {
    fn default() -> Self {
        CsvOptions { delimiter: b',', skip_rows: 0, comments: Some('#'), empty: None }
    }
}

impl CsvOptions {
    /// Spaces and tabs, any number of them between two numbers, before the first and after the last.
    pub const WHITESPACE: u8 = b' ';

    /// The fields of a line, without the space around them.
    fn fields<'a>(&self, line: &'a str) -> impl Iterator<Item = &'a str> {
        let (runs, delimiter) = (self.delimiter == CsvOptions::WHITESPACE, char::from(self.delimiter));
        let apart = move |c: char| if runs { c.is_whitespace() } else { c == delimiter };
        line.split(apart).filter(move |field| !(runs && field.is_empty())).map(unquoted)
    }

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

/// Reads a file of numbers as a matrix, a row for each line. Blank lines are passed over, notes, quotes and spaces
/// around a number ignored; exponents may be written as Fortran does, 1.5D+03. An empty file has the shape `[0, 0]`.
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
        let text = options.comments.and_then(|mark| text.split(mark).next()).unwrap_or(text);
        // A delimiter at the end of a line stands before an empty field.
        let text = text.trim_matches(|c: char| c.is_whitespace() && c != char::from(options.delimiter));
        if line > options.skip_rows && !text.trim_matches(' ').is_empty() {
            let start = data.len();
            for (k, field) in options.fields(text).enumerate() {
                let Some(x) = number(field, options.empty) else {
                    let (kind, column) = (T::DTYPE, k + 1);
                    let remedy = match field {
                        "" => "correct it, or say in the options what `empty` stands for",
                        _ => "correct it, or skip_rows past a header",
                    };
                    return Err(place.fault(format!(
                        "line {line}, column {column}: {} is no {kind}: {remedy}",
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
fn number<T: Number>(text: &str, empty: Option<f64>) -> Option<T> {
    let value = match T::DTYPE {
        DType::I64 if text.is_empty() => Scalar::Int(empty.filter(|x| *x == (*x as i64) as f64)? as i64),
        DType::I64 => Scalar::Int(text.parse().ok()?),
        _ if text.is_empty() => Scalar::Float(empty?),
        DType::F32 => Scalar::Float(float::<f32>(text)?.into()),
        _ => Scalar::Float(float(text)?),
    };
    Some(T::from_scalar(value))
}

fn float<F: FromStr>(text: &str) -> Option<F> {
    // Fortran writes D before the exponent of a double.
    text.parse().ok().or_else(|| text.replacen(['d', 'D'], "e", 1).parse().ok())
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
