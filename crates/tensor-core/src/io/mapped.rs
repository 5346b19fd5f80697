//! Arrays that lie in a file, which the system brings into memory page by page as they are read.

use crate::error::Result;
use crate::io::any::AnyArray;
use crate::io::from_file::FromFile;
use crate::io::mapping::Mapping;
use crate::io::npy_header;
use crate::io::place::Place;
use crate::io::safetensors_header;
use memmap2::Mmap;
use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;

/// Maps a .npy file into memory: at once, whatever its size, since pages are read when they are first used, and
/// shared with every other process that maps the file. Writing to the array copies it; the file never changes.
///
/// The element type must be the file's own, in this machine's byte order. Of truth values every byte is looked at
/// before; so the whole file is read.
///
/// # Safety
/// The file must not change while the array, or a view of it, lives. The map is the file itself: elements that
/// another program writes change under a slice that Rust takes for constant, and a file cut short meanwhile has
/// no pages where elements were, so that on Unix the system ends the process with SIGBUS at their next use (no
/// error can be returned then). [`load_npy`](crate::io::load_npy) has neither hazard. Files that are replaced by
/// renaming, as this library does it, are safe: the map keeps the old one.
///
/// # Errors
/// File, where it cannot be read, is damaged, or would have to be converted.
pub unsafe fn map_npy<A: FromFile>(path: &Path) -> Result<A> {
    let place = Place::new("map_npy", path);
    // SAFETY: the caller's promise.
    let map = unsafe { map(place)? };
    let len = map.len() as u64;
    let (array, start) = npy_header::read(&mut &map[..], len, place)?;
    A::map(Mapping { map, start: start as usize, array, place })
}

/// Maps every array of a safetensors file, as [`map_npy`] does one. Its arrays share one map.
///
/// # Safety
/// As for [`map_npy`].
///
/// # Errors
/// As for [`map_npy`], of any of the arrays.
pub unsafe fn map_safetensors(path: &Path) -> Result<BTreeMap<String, AnyArray>> {
    let place = Place::new("map_safetensors", path);
    // SAFETY: the caller's promise.
    let map = unsafe { map(place)? };
    let header = safetensors_header::read(&mut Cursor::new(&map[..]), map.len() as u64, place)?;
    let mut arrays = BTreeMap::new();
    for (name, entry) in &header.entries {
        let place = place.part(name);
        let array = entry.described(place)?;
        let start = (header.data + entry.start()) as usize;
        arrays.insert(name.clone(), AnyArray::map(Mapping { map: map.clone(), start, array, place })?);
    }
    Ok(arrays)
}

/// # Safety
/// The file must not change while the map lives.
unsafe fn map(place: Place<'_>) -> Result<Arc<Mmap>> {
    let (file, _) = place.open()?;
    // SAFETY: the caller's promise.
    let map = unsafe { Mmap::map(&file) };
    Ok(Arc::new(map.map_err(|e| place.io(e))?))
}
