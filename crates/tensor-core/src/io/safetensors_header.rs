//! The header of a safetensors file: a length, and a JSON object of names, types, shapes and places.
//!
//! It follows the format's own description. It is parsed here with serde, since the safetensors crate takes the
//! last of two arrays of one name without a word, adds up offsets that overflow where overflow is checked, and
//! wants the whole file in memory.

use crate::error::Result;
use crate::io::described::{Described, MOST_DIMENSIONS};
use crate::io::place::{Place, Short};
use crate::io::stored::Stored;
use crate::shape::Dims;
use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;

/// The key under which a header holds texts, and no array.
pub(crate) const METADATA: &str = "__metadata__";

/// The most that the format allows.
pub(crate) const LONGEST: u64 = 100_000_000;

/// What a file says of its arrays.
pub(crate) struct Header {
    pub(crate) entries: BTreeMap<String, Entry>,
    pub(crate) metadata: BTreeMap<String, String>,
    /// Where in the file the elements begin.
    pub(crate) data: u64,
}

/// What it says of one.
pub(crate) struct Entry {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: (u64, u64),
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Entry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array's dtype, shape and data_offsets")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entry, A::Error> {
                let (mut dtype, mut shape, mut data_offsets) = (None, None, None);
                while let Some(key) = map.next_key::<String>()? {
                    let again = match key.as_str() {
                        "dtype" => dtype.replace(map.next_value()?).is_some(),
                        "shape" => shape.replace(map.next_value()?).is_some(),
                        "data_offsets" => data_offsets.replace(map.next_value()?).is_some(),
                        _ => map.next_value::<IgnoredAny>().map(|_| false)?,
                    };
                    if again {
                        return Err(A::Error::custom(format!("{key} is there twice")));
                    }
                }
                Ok(Entry {
                    dtype: dtype.ok_or_else(|| A::Error::missing_field("dtype"))?,
                    shape: shape.ok_or_else(|| A::Error::missing_field("shape"))?,
                    data_offsets: data_offsets.ok_or_else(|| A::Error::missing_field("data_offsets"))?,
                })
            }
        }
        from.deserialize_map(Fields)
    }
}

impl Entry {
    /// The first byte, after the header.
    pub(crate) fn start(&self) -> u64 {
        self.data_offsets.0
    }

    /// The array, where its type is one that is read and its shape takes as many bytes as it has.
    pub(crate) fn described(&self, place: Place<'_>) -> Result<Described> {
        let stored = match self.dtype.as_str() {
            "BOOL" => Stored::Bool,
            "U8" => Stored::U8,
            "I8" => Stored::I8,
            "U16" => Stored::U16,
            "I16" => Stored::I16,
            "U32" => Stored::U32,
            "I32" => Stored::I32,
            "I64" => Stored::I64,
            "F16" => Stored::F16,
            "BF16" => Stored::BF16,
            "F32" => Stored::F32,
            "F64" => Stored::F64,
            other => {
                let fault = format!("elements of type {} are not read: convert them first", Short(other));
                return Err(place.fault(fault));
            }
        };
        if self.shape.len() > MOST_DIMENSIONS {
            return Err(place.fault(format!("it has more than {MOST_DIMENSIONS} dimensions")));
        }
        let shape = Dims::from_slice(&self.shape);
        let array = Described { stored, big_endian: false, shape, fortran: false };
        let (start, end) = self.data_offsets;
        if array.bytes() != Some(end - start) {
            return Err(place.fault(format!(
                "shape {:?} of {} does not take the {} bytes it has: the file is damaged",
                self.shape,
                stored.name(),
                end - start
            )));
        }
        Ok(array)
    }
}

/// Reads the header of a file of `len` bytes, whose arrays cover the rest of it without gap or overlap.
pub(crate) fn read(reader: &mut dyn Read, len: u64, place: Place<'_>) -> Result<Header> {
    if len < 8 {
        return Err(place.fault(format!("{len} bytes are too few for a safetensors file")));
    }
    let mut size = [0; 8];
    reader.read_exact(&mut size).map_err(|e| place.io(e))?;
    let size = u64::from_le_bytes(size);
    if size > len - 8 {
        return Err(place.fault(format!(
            "its first 8 bytes claim a header of {size} bytes in a file of {len}: it was cut short, or is no \
             safetensors file"
        )));
    }
    if size > LONGEST {
        return Err(place.fault(format!("a header of {size} bytes is more than the {LONGEST} of the format")));
    }
    let mut text = vec![0; size as usize];
    reader.read_exact(&mut text).map_err(|e| place.io(e))?;
    let names: Names = serde_json::from_slice(&text)
        .map_err(|e| place.fault(format!("its header is damaged: {}", Short(&e.to_string()))))?;
    let header = Header { entries: names.entries, metadata: names.metadata, data: 8 + size };
    let mut places: Vec<_> = header.entries.iter().map(|(name, e)| (e.data_offsets, name)).collect();
    places.sort_unstable();
    let mut covered = 0;
    for ((start, end), name) in places {
        if start != covered || end < start {
            return Err(place.part(name).fault(format!(
                "it claims bytes {start} to {end} where {covered} is next: arrays overlap or leave gaps"
            )));
        }
        covered = end;
    }
    match len - header.data {
        rest if rest == covered => Ok(header),
        rest => Err(place.fault(format!(
            "its arrays take {covered} bytes, and {rest} follow the header: it was cut short or damaged"
        ))),
    }
}

/// The object, with every name once.
struct Names {
    entries: BTreeMap<String, Entry>,
    metadata: BTreeMap<String, String>,
}

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Names;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of arrays")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Names, A::Error> {
                let (mut entries, mut metadata) = (BTreeMap::new(), None);
                while let Some(name) = map.next_key::<String>()? {
                    let twice = match name.as_str() {
                        METADATA => metadata.replace(map.next_value()?).is_some(),
                        _ => entries.insert(name.clone(), map.next_value()?).is_some(),
                    };
                    if twice {
                        return Err(A::Error::custom(format_args!("{} appears twice", Short(&name))));
                    }
                }
                Ok(Names { entries, metadata: metadata.unwrap_or_default() })
            }
        }
        deserializer.deserialize_map(Object)
    }
}
