//! safetensors: arrays by name, and texts about them.

use crate::element::DType;
use crate::error::Result;
use crate::io::any::AnyArray;
use crate::io::from_file::FromFile;
use crate::io::npy::check_rank;
use crate::io::place::{Place, Short};
use crate::io::safetensors_header::{self as header, Entry, LONGEST, METADATA};
use crate::io::source::Source;
use crate::io::write::atomically;
use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

/// Reads every array of a safetensors file.
///
/// ```no_run
/// use tapegrad::io;
/// for (name, x) in io::load_safetensors("model.safetensors".as_ref())? {
///     println!("{name}: {:?}", x.shape());
/// }
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// File, where it cannot be read, is damaged, or holds a type that is not read; out of memory.
pub fn load_safetensors(path: &Path) -> Result<BTreeMap<String, AnyArray>> {
    let place = Place::new("load_safetensors", path);
    let (mut file, len) = place.open()?;
    read_all(&mut file, len, place)
}

pub(crate) fn read_all<R: Read + Seek>(
    reader: &mut R,
    len: u64,
    place: Place<'_>,
) -> Result<BTreeMap<String, AnyArray>> {
    let header = header::read(reader, len, place)?;
    let mut arrays = BTreeMap::new();
    for (name, entry) in &header.entries {
        arrays.insert(name.clone(), read_entry(reader, entry, header.data, len, place.part(name))?);
    }
    Ok(arrays)
}

/// Reads one array of a safetensors file, and the others not.
///
/// # Errors
/// As [`load_safetensors`]; file, where there is no array of this name, or its type could change a value.
pub fn load_safetensors_entry<A: FromFile>(path: &Path, name: &str) -> Result<A> {
    let place = Place::new("load_safetensors", path);
    let (mut file, len) = place.open()?;
    let header = header::read(&mut file, len, place)?;
    let Some(entry) = header.entries.get(name) else {
        return Err(place.fault(unknown(name, header.entries.keys())));
    };
    read_entry(&mut file, entry, header.data, len, place.part(name))
}

/// What to say of a name that a file does not have.
pub(crate) fn unknown<'a>(name: &str, names: impl Iterator<Item = &'a String>) -> String {
    const SHOWN: usize = 8;
    let names: Vec<String> = names.take(SHOWN + 1).map(|n| Short(n).to_string()).collect();
    let some = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    let more = if names.len() > SHOWN { ", ..." } else { "" };
    format!("there is no array {}: there are [{some}{more}]", Short(name))
}

fn read_entry<A: FromFile, R: Read + Seek>(
    reader: &mut R,
    entry: &Entry,
    data: u64,
    file_len: u64,
    place: Place<'_>,
) -> Result<A> {
    let array = entry.described(place)?;
    reader.seek(SeekFrom::Start(data + entry.start())).map_err(|e| place.io(e))?;
    A::read(Source { reader, array, file_len, place })
}

/// The texts that a safetensors file holds beside its arrays.
///
/// # Errors
/// File, where it cannot be read or is damaged.
pub fn safetensors_metadata(path: &Path) -> Result<BTreeMap<String, String>> {
    let place = Place::new("safetensors_metadata", path);
    let (mut file, len) = place.open()?;
    Ok(header::read(&mut file, len, place)?.metadata)
}

/// Writes arrays under their names, and texts beside them.
///
/// # Errors
/// File, where it cannot be written, in which case an old one stays as it was, or where a name appears twice;
/// device, where elements cannot be fetched.
pub fn save_safetensors(
    path: &Path,
    arrays: &BTreeMap<String, AnyArray>,
    metadata: &BTreeMap<String, String>,
) -> Result<()> {
    let place = Place::new("save_safetensors", path);
    let mut list = Vec::new();
    for (name, x) in arrays {
        if name == METADATA {
            return Err(place.fault(format!("the format keeps the name {METADATA} for texts")));
        }
        check_rank(x, place.part(name))?;
        list.push((name, x.cpu(place.op)?));
    }
    // The longest elements first, so that every array is aligned in the file.
    list.sort_by_key(|(name, x)| (std::cmp::Reverse(x.dtype().size()), *name));
    let header = describe(&list, metadata);
    if header.len() as u64 > LONGEST {
        let fault = format!("a header of {} bytes is more than the {LONGEST} of the format", header.len());
        return Err(place.fault(fault));
    }
    atomically(place, |out| {
        out.write_all(&(header.len() as u64).to_le_bytes())?;
        out.write_all(header.as_bytes())?;
        list.iter().try_for_each(|(_, x)| x.saved().write(out))
    })
}

/// The header, padded so that the elements after it are aligned.
fn describe(list: &[(&String, AnyArray)], metadata: &BTreeMap<String, String>) -> String {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let mut fields = Vec::new();
    if !metadata.is_empty() {
        let texts: Vec<_> = metadata.iter().map(|(k, v)| format!("{}:{}", quoted(k), quoted(v))).collect();
        fields.push(format!("\"{METADATA}\":{{{}}}", texts.join(",")));
    }
    let mut start = 0;
    for (name, x) in list {
        let dtype = match x.dtype() {
            DType::F32 => "F32",
            DType::F64 => "F64",
            DType::I64 => "I64",
            DType::Bool => "BOOL",
        };
        let sizes: Vec<_> = x.shape().iter().map(usize::to_string).collect();
        let end = start + x.numel() * x.dtype().size();
        fields.push(format!(
            "{}:{{\"dtype\":\"{dtype}\",\"shape\":[{}],\"data_offsets\":[{start},{end}]}}",
            quoted(name),
            sizes.join(",")
        ));
        start = end;
    }
    let mut header = format!("{{{}}}", fields.join(","));
    while !header.len().is_multiple_of(8) {
        header.push(' ');
    }
    header
}
