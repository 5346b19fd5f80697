//! Writing files: whole or not at all.

use crate::array::Array;
use crate::element::{DType, Element};
use crate::error::Result;
use crate::io::place::Place;
use crate::shape::Dims;
use std::fs::{self, File, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Writes a file under another name in the same folder, brings it to the disk, and gives it its name: a reader, or
/// a crash, finds the old file or the new one. An existing file keeps its permissions.
pub(crate) fn atomically(
    place: Place<'_>,
    fill: impl FnOnce(&mut BufWriter<&mut File>) -> io::Result<()>,
) -> Result<()> {
    // A link stays one: the file that it leads to is replaced, or made.
    let target = end_of_links(place.path).map_err(|e| place.io(e))?;
    let old = fs::metadata(&target).ok();
    if old.as_ref().is_some_and(|old| !old.is_file()) {
        return Err(place.fault("not a regular file: give the name of one, or a name that is free"));
    }
    let folder = folder_of(&target);
    let write = || {
        let (mut file, part) = create_part(folder, &target)?;
        let mut out = BufWriter::with_capacity(1 << 16, &mut file);
        fill(&mut out)?;
        out.flush()?;
        drop(out);
        if let Some(old) = old {
            file.set_permissions(old.permissions())?;
        }
        file.sync_all()?;
        part.rename(&target)?;
        sync_folder(folder)
    };
    write().map_err(|e| place.io(e))
}

/// The folder of a file.
pub(crate) fn folder_of(target: &Path) -> &Path {
    match target.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// Makes the file that `target` is written as.
pub(crate) fn begin_part(target: &Path) -> io::Result<(File, Part)> {
    create_part(folder_of(target), target)
}

/// Links that are followed to their end: more are taken for a circle, as by the system.
const MOST_LINKS: usize = 40;

/// The file that a path leads to, also where there is none yet.
pub(crate) fn end_of_links(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_path_buf();
    for _ in 0..MOST_LINKS {
        if !path.is_symlink() {
            return Ok(path);
        }
        let next = fs::read_link(&path)?;
        // What it says is seen from where it lies.
        path = path.parent().map_or(next.clone(), |folder| folder.join(next));
    }
    Err(io::Error::other("too many links, perhaps in a circle"))
}

/// Names that are searched for leftovers: so many writers of one file at a time are more than there will be.
const SWEPT: u32 = 16;

/// The path of a file that is removed again unless it gets another name.
pub(crate) struct Part {
    path: PathBuf,
    stays: bool,
}

impl Part {
    fn keep(mut self) {
        self.stays = true;
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn rename(self, target: &Path) -> io::Result<()> {
        fs::rename(&self.path, target)?;
        self.keep();
        Ok(())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.stays {
            _ = fs::remove_file(&self.path);
        }
    }
}

/// Makes the file that `target` is written as, under a name that follows from the target's: so the next save finds
/// what a process left that was killed in the middle. Whoever writes holds the file's lock.
fn create_part(folder: &Path, target: &Path) -> io::Result<(File, Part)> {
    let mut hasher = DefaultHasher::new();
    target.file_name().hash(&mut hasher);
    let hash = hasher.finish();
    let name = |k: u32| folder.join(format!(".tapegrad-{hash:016x}-{k}.part"));
    (0..SWEPT).for_each(|k| remove_leftover(&name(k)));
    for path in (0..).map(name) {
        // An ordinary file, for whom umask allows.
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(file) => {
                let part = Part { path: path.clone(), stays: false };
                // Where there are no locks, nothing is taken for a leftover either.
                if file.lock().is_err() || is_at(&file, &path) {
                    return Ok((file, part));
                }
                // Somebody found the file before it was locked, and removed it.
                part.keep();
            }
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => (),
            Err(e) => return Err(e),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Removes a part that no process writes any more. What cannot be told, or removed, stays.
fn remove_leftover(path: &Path) {
    if let Ok(file) = File::open(path)
        && file.try_lock().is_ok()
        && is_at(&file, path)
    {
        _ = fs::remove_file(path);
    }
}

/// Whether a path still leads to an open file, and not to a younger one.
fn is_at(file: &File, path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let identity = |m: io::Result<fs::Metadata>| m.ok().map(|m| (m.dev(), m.ino()));
        identity(file.metadata()) == identity(fs::metadata(path))
    }
    #[cfg(not(unix))]
    {
        // Elsewhere an open file is not replaced.
        _ = file;
        path.exists()
    }
}

/// Brings the new name to the disk; elsewhere than on Unix a folder cannot be opened.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// An array of any element type, as it is written.
pub(crate) trait Saved {
    fn dtype(&self) -> DType;
    /// Whether the elements lie column after column, and not row after row, without gaps.
    fn is_fortran(&self) -> bool;
    /// The elements in little-endian bytes, the last dimension the fastest.
    fn write(&self, out: &mut dyn Write) -> io::Result<()>;
    /// The elements in little-endian bytes, the first dimension the fastest.
    fn write_fortran(&self, out: &mut dyn Write) -> io::Result<()>;
}

impl<T: Element> Saved for Array<T> {
    fn dtype(&self) -> DType {
        T::DTYPE
    }
    fn is_fortran(&self) -> bool {
        !self.layout().is_contiguous() && transposed(self).layout().is_contiguous()
    }
    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        match self.as_slice() {
            Some(x) => write_elements(x, out),
            None => write_strided(self, out),
        }
    }
    fn write_fortran(&self, out: &mut dyn Write) -> io::Result<()> {
        transposed(self).write(out)
    }
}

fn transposed<T: Element>(x: &Array<T>) -> Array<T> {
    let dims: Dims = (0..x.ndim()).rev().collect();
    x.view(x.layout().permute(&dims))
}

/// Elements that are gathered before they are written.
const CHUNK: usize = 1 << 13;

fn write_elements<T: Element>(x: &[T], out: &mut dyn Write) -> io::Result<()> {
    if cfg!(target_endian = "little") {
        return out.write_all(bytemuck::cast_slice(x));
    }
    for part in x.chunks(CHUNK) {
        let mut bytes = bytemuck::cast_slice(part).to_vec();
        bytes.chunks_exact_mut(size_of::<T>()).for_each(<[u8]>::reverse);
        out.write_all(&bytes)?;
    }
    Ok(())
}

/// Walks the rows of an array that has at least one dimension and one element.
fn write_strided<T: Element>(x: &Array<T>, out: &mut dyn Write) -> io::Result<()> {
    let (layout, storage) = (x.layout(), x.storage());
    let last = x.ndim() - 1;
    let step = layout.strides()[last];
    let mut index = Dims::from_elem(0, x.ndim());
    let mut gathered = Vec::with_capacity(CHUNK);
    loop {
        let start = layout.place(&index) as isize;
        for k in 0..x.shape()[last] as isize {
            gathered.push(storage[(start + k * step) as usize]);
            if gathered.len() == CHUNK {
                write_elements(&gathered, out)?;
                gathered.clear();
            }
        }
        let Some(dim) = (0..last).rev().find(|&d| index[d] + 1 < x.shape()[d]) else {
            return write_elements(&gathered, out);
        };
        index[dim] += 1;
        index[dim + 1..].fill(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let name =
            |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name().to_string_lossy().into_owned();
        let mut names: Vec<String> = fs::read_dir(folder).unwrap().map(name).collect();
        names.sort();
        names
    }

    #[test]
    fn what_a_killed_process_left_goes_with_the_next_save() {
        let scratch = tempfile::tempdir().unwrap();
        let target = scratch.path().join("x.npy");
        let save = || atomically(Place::new("save", &target), |out| out.write_all(b"whole")).unwrap();
        // As a process that is killed leaves it: closed, and not removed.
        let (file, part) = create_part(scratch.path(), &target).unwrap();
        part.keep();
        drop(file);
        assert_eq!(names(scratch.path()).len(), 1);
        save();
        assert_eq!(names(scratch.path()), ["x.npy"]);
        // What is being written stays.
        let (mut file, part) = create_part(scratch.path(), &target).unwrap();
        file.write_all(b"other").unwrap();
        save();
        assert_eq!(names(scratch.path()).len(), 2);
        part.rename(&target).unwrap();
        assert_eq!(
            (names(scratch.path()), fs::read(&target).unwrap()),
            (vec!["x.npy".into()], b"other".to_vec())
        );
    }

    #[test]
    fn many_writers_of_one_file_leave_one_whole_file() {
        let scratch = tempfile::tempdir().unwrap();
        let target = scratch.path().join("x.npy");
        std::thread::scope(|scope| {
            for k in 0..40u8 {
                let target = &target;
                scope.spawn(move || {
                    atomically(Place::new("save", target), |out| out.write_all(&[k; 1 << 17])).unwrap();
                });
            }
        });
        let found = fs::read(&target).unwrap();
        assert!(found.len() == 1 << 17 && found.iter().all(|&b| b == found[0]));
        assert_eq!(names(scratch.path()), ["x.npy"]);
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_also_where_nothing_is_yet() {
        use std::os::unix::fs::symlink;
        let scratch = tempfile::tempdir().unwrap();
        let at = |name: &str| scratch.path().join(name);
        fs::create_dir(at("data")).unwrap();
        symlink("data/x.npy", at("relative")).unwrap();
        symlink(at("data/y.npy"), at("absolute")).unwrap();
        symlink("relative", at("link to a link")).unwrap();
        for (link, file) in [("relative", "x.npy"), ("absolute", "y.npy"), ("link to a link", "x.npy")] {
            for bytes in [b"new", b"old"] {
                atomically(Place::new("save", &at(link)), |out| out.write_all(bytes)).unwrap();
                assert!(at(link).is_symlink());
                assert_eq!(fs::read(at("data").join(file)).unwrap(), bytes);
            }
        }
        assert_eq!(names(&at("data")), ["x.npy", "y.npy"]);
        symlink("a", at("b")).unwrap();
        symlink("b", at("a")).unwrap();
        symlink("nowhere/x.npy", at("lost")).unwrap();
        for lost in ["a", "lost"] {
            let e = atomically(Place::new("save", &at(lost)), |_| Ok(())).unwrap_err();
            assert!(matches!(e.kind(), crate::ErrorKind::File), "{e}");
        }
    }
}
