//! What is being read or written, for the messages of errors.

use crate::error::{Error, ErrorKind, Result};
use std::fmt;
use std::fs::File;
use std::io;
use std::path::Path;

/// The operation, its file, and the array within the file where it holds several.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) op: &'static str,
    pub(crate) path: &'a Path,
    part: Option<&'a str>,
}

impl<'a> Place<'a> {
    pub(crate) fn new(op: &'static str, path: &'a Path) -> Self {
        Place { op, path, part: None }
    }

    /// The same file, at the array called `name`.
    pub(crate) fn part(self, name: &'a str) -> Self {
        Place { part: Some(name), ..self }
    }

    #[cold]
    pub(crate) fn fault(self, fault: impl fmt::Display) -> Error {
        match self.part {
            None => Error::file(self.op, self.path, fault),
            Some(name) => Error::file(self.op, self.path, format!("array {}: {fault}", Short(name))),
        }
    }

    /// What the system said, in the words of a file where it said that there is no more to read.
    #[cold]
    pub(crate) fn io(self, error: io::Error) -> Error {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => self.fault("the file ends too early: it was cut short"),
            _ => self.fault(error),
        }
    }

    /// No memory for a buffer, with the file that it was for.
    #[cold]
    pub(crate) fn memory(self, bytes: usize) -> Error {
        let message = format!("{}: no memory for an array of {bytes} bytes", self.path.display());
        Error::new(ErrorKind::OutOfMemory { bytes }, self.op, message)
    }

    /// Opens a regular file and gives its length.
    pub(crate) fn open(self) -> Result<(File, u64)> {
        // Asked before opening: opening a pipe waits for its writer.
        let kind = std::fs::metadata(self.path).map_err(|e| self.io(e))?;
        if !kind.is_file() {
            return Err(self.fault("not a regular file: copy its contents into one"));
        }
        let file = File::open(self.path).map_err(|e| self.io(e))?;
        let len = file.metadata().map_err(|e| self.io(e))?.len();
        Ok((file, len))
    }
}

/// A text out of a file, fit to be shown: quoted, escaped, and not long.
pub(crate) struct Short<'a>(pub(crate) &'a str);

impl fmt::Display for Short<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 60;
        match self.0.char_indices().nth(SHOWN) {
            None => write!(f, "{:?}", self.0),
            Some((end, _)) => write!(f, "{:?}...", &self.0[..end]),
        }
    }
}
