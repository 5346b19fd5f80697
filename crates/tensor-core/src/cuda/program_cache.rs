//! Compiled programs on the disk, so that the next process need not compile them.
//!
//! They lie in the folder that TAPEGRAD_CACHE names (`off`: nowhere), or `tapegrad` in the user's
//! cache folder. A file holds all that it was made from and a sum of its bytes, and whatever does
//! not match is compiled again. Nothing that goes wrong here is an error.

use std::env::var_os;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Changes with the layout of the files: this, the three lengths, the three contents, the sum.
const MAGIC: &[u8; 16] = b"tapegrad cuda 1\n";

/// The program compiled by this recipe (the compiler and its options) from this text.
pub(super) fn find(recipe: &str, text: &str) -> Option<Vec<u8>> {
    find_in(&folder()?, recipe, text)
}

/// Keeps a program for later; other processes may do the same at the same time.
pub(super) fn keep(recipe: &str, text: &str, image: &[u8]) {
    if let Some(folder) = folder() {
        // Without a file the program is compiled again.
        _ = keep_in(&folder, recipe, text, image);
    }
}

fn folder() -> Option<PathBuf> {
    let folder = |variable| var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    match var_os("TAPEGRAD_CACHE") {
        Some(off) if off == "off" => None,
        Some(named) if !named.is_empty() => Some(named.into()),
        _ if cfg!(windows) => Some(folder("LOCALAPPDATA")?.join("tapegrad")),
        _ => folder("XDG_CACHE_HOME")
            .or_else(|| Some(folder("HOME")?.join(".cache")))
            .map(|cache| cache.join("tapegrad")),
    }
}

fn file(folder: &Path, recipe: &str, text: &str) -> PathBuf {
    let key = hash(hash(START, recipe.as_bytes()), text.as_bytes());
    folder.join(format!("{key:032x}.cubin"))
}

fn find_in(folder: &Path, recipe: &str, text: &str) -> Option<Vec<u8>> {
    let mut file = fs::read(file(folder, recipe, text)).ok()?;
    let (content, sum) = file.split_last_chunk::<16>()?;
    if hash(START, content).to_le_bytes() != *sum {
        return None;
    }
    let header = header(recipe, text, content.len().checked_sub(HEADER + recipe.len() + text.len())?);
    let content = content.strip_prefix(&header)?;
    content.strip_prefix(recipe.as_bytes())?.strip_prefix(text.as_bytes())?;
    file.truncate(file.len() - 16);
    file.drain(..HEADER + recipe.len() + text.len());
    Some(file)
}

fn keep_in(folder: &Path, recipe: &str, text: &str, image: &[u8]) -> io::Result<()> {
    static FILES: AtomicU64 = AtomicU64::new(0);
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    // Code is loaded from here: it is for this user alone.
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)?;
    let mut content = header(recipe, text, image.len()).to_vec();
    for part in [recipe.as_bytes(), text.as_bytes(), image] {
        content.extend_from_slice(part);
    }
    let sum = hash(START, &content);
    content.extend_from_slice(&sum.to_le_bytes());
    // Written under a name of its own and renamed, so that nobody meets half a file.
    let temporary = folder.join(format!("{}-{}.tmp", process::id(), FILES.fetch_add(1, Relaxed)));
    let written = fs::File::create_new(&temporary)
        .and_then(|mut f| f.write_all(&content))
        .and_then(|()| fs::rename(&temporary, file(folder, recipe, text)));
    if written.is_err() {
        _ = fs::remove_file(&temporary);
    }
    written
}

const HEADER: usize = 16 + 3 * 8;

fn header(recipe: &str, text: &str, image: usize) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..16].copy_from_slice(MAGIC);
    for (i, length) in [recipe.len(), text.len(), image].into_iter().enumerate() {
        header[16 + 8 * i..][..8].copy_from_slice(&(length as u64).to_le_bytes());
    }
    header
}

/// FNV-1a of 128 bits: <http://www.isthe.com/chongo/tech/comp/fnv/>.
const START: u128 = 0x6c62272e07bb014262b821756295c58d;

fn hash(start: u128, bytes: &[u8]) -> u128 {
    bytes.iter().fold(start, |h, b| (h ^ u128::from(*b)).wrapping_mul((1 << 88) + 0x13b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_comes_back_whole_and_a_damaged_one_not_at_all() {
        let folder = std::env::temp_dir().join(format!("tapegrad-program-cache-{}", process::id()));
        assert_eq!(find_in(&folder, "a", "b"), None);
        keep_in(&folder, "a", "b", b"image").unwrap();
        keep_in(&folder, "a", "b", b"image").unwrap();
        assert_eq!(find_in(&folder, "a", "b").as_deref(), Some(&b"image"[..]));
        assert_eq!(find_in(&folder, "a", "c"), None);
        let (good, other) = (file(&folder, "a", "b"), file(&folder, "a", "c"));
        // What a collision of two keys would look like.
        fs::copy(&good, &other).unwrap();
        assert_eq!(find_in(&folder, "a", "c"), None);
        let whole = fs::read(&good).unwrap();
        for length in 0..whole.len() {
            fs::write(&good, &whole[..length]).unwrap();
            assert_eq!(find_in(&folder, "a", "b"), None);
            let mut changed = whole.clone();
            changed[length] ^= 1;
            fs::write(&good, &changed).unwrap();
            assert_eq!(find_in(&folder, "a", "b"), None);
        }
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 2, "a temporary file was left");
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn the_hash_is_fnv() {
        assert_eq!(hash(START, b""), START);
        assert_eq!(hash(START, b"a"), 0xd228cb696f1a8caf78912b704e4a8964);
    }
}
