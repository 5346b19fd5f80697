//! NumPy's .npz: a zip archive of .npy files.

use crate::error::{Error, Result};
use crate::io::any::AnyArray;
use crate::io::from_file::FromFile;
use crate::io::npy;
use crate::io::npy_header;
use crate::io::place::Place;
use crate::io::safetensors::unknown;
use crate::io::write::atomically;
use std::collections::{BTreeMap, btree_map};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;
use zip::read::{ArchiveOffset, Config};
use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

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
/// use tapegrad::io;
/// let arrays = io::load_npz("data.npz".as_ref())?;
/// println!("{}", arrays["x"]);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// File, where it cannot be read, is damaged, or holds no array, or one of a type that is not read; out of memory.
pub fn load_npz(path: &Path) -> Result<BTreeMap<String, AnyArray>> {
    let place = Place::new("load_npz", path);
    let (file, len) = place.open()?;
    read_all(BufReader::new(file), len, place)
}

pub(crate) fn read_all<R: Read + Seek>(
    reader: R,
    len: u64,
    place: Place<'_>,
) -> Result<BTreeMap<String, AnyArray>> {
    let (mut archive, names) = open(reader, place)?;
    let (mut arrays, entries) = (BTreeMap::new(), names.len());
    for (name, entry) in names {
        if entry.is_array(&mut archive, place.part(&name))? {
            let array = read_entry(&mut archive, entry.index, len, place.part(&name))?;
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
    let (mut archive, names) = open(BufReader::new(file), place)?;
    match names.get(name).or_else(|| names.get(name.strip_suffix(".npy")?)) {
        Some(entry) => read_entry(&mut archive, entry.index, len, place.part(name)),
        None => Err(place.fault(unknown(name, names.keys()))),
    }
}

/// One entry of an archive.
struct Entry {
    index: usize,
    /// Whether its name ends in .npy; any other is an array where its contents begin like one, as for NumPy.
    named: bool,
}

impl Entry {
    fn is_array<R: Read + Seek>(&self, archive: &mut ZipArchive<R>, place: Place<'_>) -> Result<bool> {
        if self.named {
            return Ok(true);
        }
        let entry = archive.by_index(self.index).map_err(|e| zip_error(e, place))?;
        let mut start = Vec::new();
        entry.take(npy_header::MAGIC.len() as u64).read_to_end(&mut start).map_err(|e| place.io(e))?;
        Ok(start == npy_header::MAGIC)
    }
}

/// Reads the directory of an archive: which entry has which name.
fn open<R: Read + Seek>(reader: R, place: Place<'_>) -> Result<(ZipArchive<R>, BTreeMap<String, Entry>)> {
    // Where the archive begins is known: at the start of the file.
    let config = Config { archive_offset: ArchiveOffset::Known(0) };
    let mut archive = ZipArchive::with_config(config, reader).map_err(|e| zip_error(e, place))?;
    if archive.has_duplicate_names() {
        return Err(place.fault("two of its arrays have one name: the file is damaged"));
    }
    // A small file could otherwise unpack the same bytes any number of times.
    if archive.has_overlapping_files().map_err(|e| zip_error(e, place))? {
        return Err(place.fault("two of its arrays lie over each other: the file is damaged"));
    }
    let mut names = BTreeMap::new();
    for (index, name) in archive.file_names().enumerate() {
        let name = name.map_err(|e| zip_error(e, place))?;
        let (key, named) = name.strip_suffix(".npy").map_or((&*name, false), |key| (key, true));
        match names.entry(key.to_string()) {
            btree_map::Entry::Vacant(free) => _ = free.insert(Entry { index, named }),
            btree_map::Entry::Occupied(mut other) if named && !other.get().named => {
                other.insert(Entry { index, named });
            }
            btree_map::Entry::Occupied(_) if named => {
                return Err(place.part(key).fault("its name appears twice: the file is damaged"));
            }
            btree_map::Entry::Occupied(_) => (),
        }
    }
    Ok((archive, names))
}

fn read_entry<A: FromFile, R: Read + Seek>(
    archive: &mut ZipArchive<R>,
    index: usize,
    file_len: u64,
    place: Place<'_>,
) -> Result<A> {
    let mut entry = archive.by_index(index).map_err(|e| zip_error(e, place))?;
    let len = entry.size();
    let array = npy::read(&mut entry, len, file_len, place)?;
    // The checksum is compared where the entry is found to end.
    match entry.read(&mut [0]).map_err(|e| place.io(e))? {
        0 => Ok(array),
        _ => Err(place.fault("it unpacks to more than its header says: the file is damaged")),
    }
}

fn zip_error(error: ZipError, place: Place<'_>) -> Error {
    match error {
        ZipError::Io(e) => place.io(e),
        e => place.fault(format!("not a whole zip archive that can be read: {e}")),
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
    let method = match compression {
        Compression::Stored => CompressionMethod::Stored,
        Compression::Deflated => CompressionMethod::Deflated,
    };
    let mut zip = ZipWriter::new(Sink { out, failed: false });
    for (name, x) in arrays {
        let bytes = x.numel() * x.dtype().size();
        // Lengths from 4 GiB on take the longer fields, which packing and the header may reach before.
        let large = bytes >= 1 << 31;
        let options = SimpleFileOptions::default().compression_method(method).large_file(large);
        zip.start_file(format!("{name}.npy"), options).map_err(io::Error::from)?;
        npy::write(x, &mut zip)?;
    }
    zip.finish().map_err(io::Error::from)?.flush()
}

/// A file that tells of its failure once: an archive that is dropped is completed, and complains on the standard error
/// where that fails too.
struct Sink<W> {
    out: W,
    failed: bool,
}

impl<W> Sink<W> {
    fn once<R>(&mut self, after: R, f: impl FnOnce(&mut W) -> io::Result<R>) -> io::Result<R> {
        if self.failed {
            return Ok(after);
        }
        let answer = f(&mut self.out);
        self.failed = answer.is_err();
        answer
    }
}

impl<W: Write> Write for Sink<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.once(bytes.len(), |out| out.write(bytes))
    }
    fn flush(&mut self) -> io::Result<()> {
        self.once((), Write::flush)
    }
}

impl<W: Seek> Seek for Sink<W> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.once(0, |out| out.seek(to))
    }
}
