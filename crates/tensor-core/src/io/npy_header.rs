//! The header of a .npy file: a magic word, a version, and a Python dictionary of three keys.
//!
//! It follows NumPy's description of the format, versions 1 to 3 (numpy.lib.format). It is parsed here, since
//! the crates that parse it take Python literals of any depth by recursion, or memory for what the header claims
//! before looking at the length of the file.

use crate::element::DType;
use crate::error::Result;
use crate::io::described::{Described, MOST_DIMENSIONS};
use crate::io::place::{Place, Short};
use crate::io::stored::Stored;
use crate::shape::Dims;
use std::io::Read;

pub(crate) const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// No array of numbers has a longer header: the names of records alone make one long.
const LONGEST: u64 = 1 << 16;

/// Reads the header of a file of `len` bytes, which hold the array and nothing else; leaves the reader at the
/// first element, and says how many bytes were read.
pub(crate) fn read(reader: &mut dyn Read, len: u64, place: Place<'_>) -> Result<(Described, u64)> {
    let mut start = [0; 8];
    if len < 10 {
        return Err(place.fault(format!("{len} bytes are too few for a .npy file")));
    }
    reader.read_exact(&mut start).map_err(|e| place.io(e))?;
    let Some([major, _]) = start.strip_prefix(MAGIC) else {
        return Err(place.fault("not a .npy file: it does not begin with \\x93NUMPY"));
    };
    // The length of the dictionary takes two bytes in version 1, and four after that.
    let mut size = [0; 4];
    let width = match major {
        1 => 2,
        2 | 3 => 4,
        _ => return Err(place.fault(format!("version {major} of .npy is not known: 1 to 3 are"))),
    };
    reader.read_exact(&mut size[..width]).map_err(|e| place.io(e))?;
    let size = u64::from(u32::from_le_bytes(size));
    let data = 8 + width as u64 + size;
    if data > len {
        return Err(place.fault(format!(
            "the header claims {size} bytes of a file of {len}: it was cut short or damaged"
        )));
    }
    if size > LONGEST {
        return Err(place.fault(format!("a header of {size} bytes is not that of an array of numbers")));
    }
    let mut text = vec![0; size as usize];
    reader.read_exact(&mut text).map_err(|e| place.io(e))?;
    let wrong = |fault: String| place.fault(format!("header: {fault}"));
    let text = str::from_utf8(&text).map_err(|_| wrong("it is not text".into()))?;
    let array = Parser { rest: text }.array().map_err(wrong)?;
    match array.bytes() {
        Some(bytes) if bytes == len - data => Ok((array, data)),
        bytes => {
            let wants = bytes.map_or("more than any memory".to_string(), |b| format!("{b} bytes"));
            let Described { stored, shape, .. } = array;
            Err(place.fault(format!(
                "shape {shape:?} of {} takes {wants}, and {} bytes follow the header: it was cut short or damaged",
                stored.name(),
                len - data
            )))
        }
    }
}

/// The header before the elements of an array, padded as NumPy pads it so that they are aligned.
pub(crate) fn write(dtype: DType, shape: &[usize], fortran: bool) -> Vec<u8> {
    let descr = match dtype {
        DType::F32 => "<f4",
        DType::F64 => "<f8",
        DType::I64 => "<i8",
        DType::Bool => "|b1",
    };
    let order = if fortran { "True" } else { "False" };
    let sizes: String = shape.iter().map(|d| format!("{d}, ")).collect();
    // (3,) is a tuple in Python, and (3, 4) needs no comma after it.
    let sizes = if shape.len() == 1 { sizes.trim_end() } else { sizes.trim_end_matches(", ") };
    let mut text = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': ({sizes}), }}");
    while !(MAGIC.len() + 4 + text.len() + 1).is_multiple_of(64) {
        text.push(' ');
    }
    text.push('\n');
    // 64 dimensions of 20 digits each stay far below the 65535 bytes of version 1.
    let mut header = MAGIC.to_vec();
    header.extend([1, 0]);
    header.extend((text.len() as u16).to_le_bytes());
    header.extend(text.as_bytes());
    header
}

/// What is left of a dictionary.
struct Parser<'a> {
    rest: &'a str,
}

type Parsed<T> = std::result::Result<T, String>;

impl<'a> Parser<'a> {
    fn array(mut self) -> Parsed<Described> {
        let (mut descr, mut fortran, mut shape) = (None, None, None);
        self.expect('{')?;
        while !self.eat('}') {
            let key = self.string()?;
            self.expect(':')?;
            let again = match key {
                "descr" => descr.replace(self.descr()?).is_some(),
                "fortran_order" => fortran.replace(self.truth()?).is_some(),
                "shape" => shape.replace(self.shape()?).is_some(),
                _ => return Err(format!("key {} is not known", Short(key))),
            };
            if again {
                return Err(format!("key '{key}' appears twice"));
            }
            if !self.eat(',') {
                self.expect('}')?;
                break;
            }
        }
        if !self.rest.trim_ascii().is_empty() {
            return Err(format!("{} follows the dictionary", Short(self.rest)));
        }
        match (descr, fortran, shape) {
            (Some((stored, big_endian)), Some(fortran), Some(shape)) => {
                Ok(Described { stored, big_endian, shape, fortran })
            }
            _ => Err("descr, fortran_order and shape are not all there".into()),
        }
    }

    fn eat(&mut self, c: char) -> bool {
        self.rest = self.rest.trim_ascii_start();
        let rest = self.rest.strip_prefix(c);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn expect(&mut self, c: char) -> Parsed<()> {
        if self.eat(c) { Ok(()) } else { Err(format!("'{c}' is missing before {}", Short(self.rest))) }
    }

    /// A string without escapes.
    fn string(&mut self) -> Parsed<&'a str> {
        let quote = if self.eat('"') { '"' } else { '\'' };
        if quote == '\'' {
            self.expect(quote)?;
        }
        let (text, rest) = self.rest.split_once(quote).ok_or("a string does not end")?;
        self.rest = rest;
        Ok(text)
    }

    fn truth(&mut self) -> Parsed<bool> {
        self.rest = self.rest.trim_ascii_start();
        for (word, value) in [("True", true), ("False", false)] {
            if let Some(rest) = self.rest.strip_prefix(word) {
                self.rest = rest;
                return Ok(value);
            }
        }
        Err(format!("True or False is missing before {}", Short(self.rest)))
    }

    fn shape(&mut self) -> Parsed<Dims> {
        let mut shape = Dims::new();
        self.expect('(')?;
        while !self.eat(')') {
            if shape.len() == MOST_DIMENSIONS {
                return Err(format!("it has more than {MOST_DIMENSIONS} dimensions"));
            }
            self.rest = self.rest.trim_ascii_start();
            let digits = self.rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.rest.len());
            let (number, rest) = self.rest.split_at(digits);
            let size = number.parse().map_err(|_| format!("{} begins with no size", Short(self.rest)))?;
            shape.push(size);
            // Python 2 wrote long integers with an L.
            self.rest = rest.strip_prefix('L').unwrap_or(rest);
            if !self.eat(',') {
                self.expect(')')?;
                break;
            }
        }
        Ok(shape)
    }

    /// The element type, and whether its bytes begin with the most significant one.
    fn descr(&mut self) -> Parsed<(Stored, bool)> {
        self.rest = self.rest.trim_ascii_start();
        if self.rest.starts_with(['[', '(']) {
            return Err("it holds records: save each of their fields as an array of its own".into());
        }
        let descr = self.string()?;
        let (order, kind) = descr.split_at_checked(1).unwrap_or(("", ""));
        let stored = match kind {
            "b1" => Stored::Bool,
            "u1" => Stored::U8,
            "i1" => Stored::I8,
            "u2" => Stored::U16,
            "i2" => Stored::I16,
            "u4" => Stored::U32,
            "i4" => Stored::I32,
            "i8" => Stored::I64,
            "f2" => Stored::F16,
            "f4" => Stored::F32,
            "f8" => Stored::F64,
            _ => {
                let found = Short(descr);
                return Err(format!(
                    "elements of type {found} are not read: convert them with NumPy's astype to float32, \
                     float64, int64 or bool"
                ));
            }
        };
        let big_endian = match order {
            ">" => true,
            "<" => false,
            "=" => cfg!(target_endian = "big"),
            "|" if stored.size() == 1 => false,
            _ => return Err(format!("{} names no byte order", Short(descr))),
        };
        Ok((stored, big_endian))
    }
}
