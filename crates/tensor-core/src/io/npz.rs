//! NumPy's .npz: a zip archive of .npy files.

use crate::error::Result;
use crate::io::any::AnyArray;
use crate::io::npy;
use crate::io::npy_header;
use crate::io::place::Place;
use crate::io::safetensors::unknown;
use crate::io::source::FromFile;
use crate::io::write::atomically;
use crate::io::zip;
use std::collections::{BTreeMap, BTreeSet, btree_map};
use std::io::{self, BufRead, BufReader, Read, Seek, Write};
use std::path::Path;

/// Whether the arrays of a .npz file are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// As they are, as NumPy's `savez`.
    Stored,
    /// Packed, as NumPy's `savez_compressed`: slower, and smaller where values repeat.
    Deflated,
}

/// Reads every array of a .npz file, under its name without `.npy`; other entries are passed over. Names are keys and
/// nothing else: no path is made of one.
///
/// ```no_run
/// use tensor_core::io;
/// let arrays = io::load_npz("data.npz".as_ref())?;
/// println!("{}", arrays["x"]);
/// # Ok::<(), tensor_core::Error>(())
/// ```
///
/// # Errors
/// File, where it cannot be read, is damaged, or holds no array, or one of a type that is not read; out of memory.
pub fn load_npz(path: &Path) -> Result<BTreeMap<String, AnyArray>> {
    let place = Place::new("load_npz", path);
    let (file, len) = place.open()?;
    read_all(BufReader::new(file), len, place)
}

pub(crate) fn read_all<R: BufRead + Seek>(
    mut reader: R,
    len: u64,
    place: Place<'_>,
) -> Result<BTreeMap<String, AnyArray>> {
    let names = names(&mut reader, len, place)?;
    let (mut arrays, entries) = (BTreeMap::new(), names.len());
    for (name, entry) in names {
        if entry.is_array(&mut reader, place.part(&name))? {
            let array = entry.read(&mut reader, len, place.part(&name))?;
            arrays.insert(name, array);
        }
    }
    match arrays.is_empty() && entries > 0 {
        true => Err(place.fault("none of its entries is an array: this is no .npz file")),
        false => Ok(arrays),
    }
}

/// Reads one array of a .npz file, by its name with or without `.npy`, and the others not.
///
/// # Errors
/// As [`load_npz`]; file, where there is no array of this name, or its type could change a value.
pub fn load_npz_entry<A: FromFile>(path: &Path, name: &str) -> Result<A> {
    let place = Place::new("load_npz", path);
    let (file, len) = place.open()?;
    let mut reader = BufReader::new(file);
    let names = names(&mut reader, len, place)?;
    match names.get(name).or_else(|| names.get(name.strip_suffix(".npy")?)) {
        Some(entry) => entry.read(&mut reader, len, place.part(name)),
        None => Err(place.fault(unknown(name, names.keys()))),
    }
}

/// One entry of an archive.
struct Entry {
    packed: zip::Entry,
    /// Whether its name ends in .npy; any other is an array where its contents begin like one, as for NumPy.
    named: bool,
}

impl Entry {
    fn is_array<R: BufRead + Seek>(&self, reader: &mut R, place: Place<'_>) -> Result<bool> {
        if self.named {
            return Ok(true);
        }
        let entry = self.packed.open(reader).map_err(|e| unreadable(e, place))?;
        let mut start = Vec::new();
        entry.take(npy_header::MAGIC.len() as u64).read_to_end(&mut start).map_err(|e| place.io(e))?;
        Ok(start == npy_header::MAGIC)
    }

    fn read<A: FromFile, R: BufRead + Seek>(
        &self,
        reader: &mut R,
        file_len: u64,
        place: Place<'_>,
    ) -> Result<A> {
        let mut entry = self.packed.open(reader).map_err(|e| unreadable(e, place))?;
        let array = npy::read(&mut entry, self.packed.size, file_len, place)?;
        // The checksum is compared where the entry is found to end.
        match entry.read(&mut [0]).map_err(|e| place.io(e))? {
            0 => Ok(array),
            _ => Err(place.fault("it unpacks to more than its header says: the file is damaged")),
        }
    }
}

/// Reads the directory of an archive: which entry has which name.
fn names<R: BufRead + Seek>(reader: &mut R, len: u64, place: Place<'_>) -> Result<BTreeMap<String, Entry>> {
    let entries = zip::entries(reader, len).map_err(|e| unreadable(e, place))?;
    let mut seen = BTreeSet::new();
    if !entries.iter().all(|entry| seen.insert(&entry.name)) {
        return Err(place.fault("two of its arrays have one name: the file is damaged"));
    }
    let mut names = BTreeMap::new();
    for packed in entries {
        let (key, named) = packed.name.strip_suffix(".npy").map_or((&*packed.name, false), |key| (key, true));
        let key = key.to_string();
        match names.entry(key) {
            btree_map::Entry::Vacant(free) => _ = free.insert(Entry { packed, named }),
            // The one with the ending is the array of this name.
            btree_map::Entry::Occupied(mut other) if named => _ = other.insert(Entry { packed, named }),
            btree_map::Entry::Occupied(_) => (),
        }
    }
    Ok(names)
}

fn unreadable(error: io::Error, place: Place<'_>) -> crate::Error {
    match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
            place.fault(format!("not a whole zip archive that can be read: {error}"))
        }
        _ => place.io(error),
    }
}

/// Writes arrays under their names.
///
/// # Errors
/// File, where it cannot be written, in which case an old one stays as it was; device, where elements cannot be
/// fetched.
pub fn save_npz(path: &Path, arrays: &BTreeMap<String, AnyArray>, compression: Compression) -> Result<()> {
    let place = Place::new("save_npz", path);
    for (name, x) in arrays {
        npy::check_rank(x, place.part(name))?;
    }
    // Fetched before writing: an error of a device keeps its kind.
    let arrays =
        arrays.iter().map(|(name, x)| Ok((name.clone(), x.cpu(place.op)?))).collect::<Result<_>>()?;
    atomically(place, |out| write_all(out, &arrays, compression))
}

pub(crate) fn write_all(
    out: impl Write + Seek,
    arrays: &BTreeMap<String, AnyArray>,
    compression: Compression,
) -> io::Result<()> {
    let mut archive = zip::Writer::new(out);
    for (name, x) in arrays {
        let bytes = x.numel() * x.dtype().size();
        // Lengths from 4 GiB on take the longer fields, which packing and the header may reach before.
        let large = bytes >= 1 << 31;
        let deflated = compression == Compression::Deflated;
        archive.entry(&format!("{name}.npy"), deflated, large, |out| npy::write(x, out))?;
    }
    archive.finish()
}
