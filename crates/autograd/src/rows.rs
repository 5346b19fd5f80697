//! Tensors in files, row by row: what is larger than memory, or another process's.

use crate::tensor::Tensor;
use std::marker::PhantomData;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use tensor_core::io::RowFile;
use tensor_core::{AtCaller, Element, Error, Result};

/// A tensor in a file, of which any rows can be read. Clones share the file.
///
/// ```
/// use tapegrad::{Tensor, rows};
/// # let folder = std::env::temp_dir().join(format!("tapegrad-row-reader-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder).unwrap();
/// let path = folder.join("x.npy");
/// Tensor::from([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]).save_npy(&path)?;
/// let x = rows(&path)?;
/// assert_eq!((x.len(), x.read(1..3)?.to_vec()), (3, vec![3.0, 4.0, 5.0, 6.0]));
/// let mut sum = 0.0;
/// for part in x.chunks(2) {
///     sum += part?.sum().item()?;
/// }
/// assert_eq!(sum, 21.0);
/// # std::fs::remove_dir_all(&folder).unwrap();
/// # Ok::<(), tapegrad::Error>(())
/// ```
pub struct RowReader<T: Element = f64> {
    file: Arc<RowFile>,
    element: PhantomData<T>,
}

impl<T: Element> Clone for RowReader<T> {
    fn clone(&self) -> Self {
        RowReader { file: self.file.clone(), element: PhantomData }
    }
}

/// The rows of a tensor of f64, or of what f64 takes exactly, in a .npy file, in C order.
///
/// # Errors
/// File, where it cannot be read, is damaged, a scalar, or in Fortran order.
#[track_caller]
pub fn rows(path: impl AsRef<Path>) -> Result<RowReader> {
    rows_of(path)
}

/// The rows of a tensor of any element type in a .npy file.
///
/// # Errors
/// As [`rows`].
#[track_caller]
pub fn rows_of<T: Element>(path: impl AsRef<Path>) -> Result<RowReader<T>> {
    let file = RowFile::npy(path.as_ref()).at_caller()?;
    Ok(RowReader { file: Arc::new(file), element: PhantomData })
}

/// The rows of one tensor of a safetensors file.
///
/// # Errors
/// As [`rows`]; file, where there is no tensor of this name.
#[track_caller]
pub fn rows_of_safetensors<T: Element>(path: impl AsRef<Path>, name: &str) -> Result<RowReader<T>> {
    let file = RowFile::safetensors(path.as_ref(), name).at_caller()?;
    Ok(RowReader { file: Arc::new(file), element: PhantomData })
}

impl<T: Element> RowReader<T> {
    /// The number of rows.
    #[expect(clippy::len_without_is_empty, reason = "it is no collection, but a part of a shape")]
    pub fn len(&self) -> usize {
        self.file.len()
    }

    /// The sizes of the dimensions; the rows are the first.
    pub fn shape(&self) -> &[usize] {
        self.file.shape()
    }

    /// Bytes of a row in the file.
    pub fn row_bytes(&self) -> u64 {
        self.file.row_bytes()
    }

    /// These rows, and no others are read.
    ///
    /// # Errors
    /// Index, beyond the last row; file, where it cannot be read, was cut short meanwhile, or holds another type; out of
    /// memory.
    #[track_caller]
    pub fn read(&self, rows: Range<usize>) -> Result<Tensor<T>> {
        Ok(self.file.read::<T>(rows).at_caller()?.into())
    }

    /// All rows, `n` at a time. While one part is worked on, a thread reads the next: three of them are in memory at most.
    ///
    /// # Panics
    /// For no rows at a time.
    pub fn chunks(&self, n: usize) -> Chunks<T> {
        assert!(n > 0, "chunks of no rows: at least one is needed");
        let len = self.len();
        self.read_ahead((0..len).step_by(n).map(|start| start..len.min(start + n)).collect())
    }

    /// These parts, one after another, read ahead as those of [`RowReader::chunks`].
    pub fn read_ahead(&self, parts: Vec<Range<usize>>) -> Chunks<T> {
        let file = self.file.clone();
        let (send, parts_read) = sync_channel(0);
        let reader = move || {
            for part in parts {
                let read = file.read::<T>(part).map(Tensor::from);
                let failed = read.is_err();
                // Nobody waits any more where this fails.
                if send.send(read).is_err() || failed {
                    return;
                }
            }
        };
        let begun = thread::Builder::new().name("tapegrad-rows".into()).spawn(reader);
        Chunks { parts: parts_read, failed: begun.err().map(Error::from) }
    }
}

/// Parts of a file; see [`RowReader::chunks`].
pub struct Chunks<T: Element = f64> {
    parts: Receiver<Result<Tensor<T>>>,
    failed: Option<Error>,
}

impl<T: Element> Iterator for Chunks<T> {
    type Item = Result<Tensor<T>>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.failed.take() {
            Some(error) => Some(Err(error)),
            None => self.parts.recv().ok(),
        }
    }
}
