//! Files whose rows the processes share.

use crate::group::Group;
use crate::rows::Rows;
use autograd::{Tensor, rows_of, rows_of_safetensors};
use std::path::{Path, PathBuf};
use tensor_core::io::{NpyParts, write_npy_rows};
use tensor_core::{AtCaller, Element, Error, ErrorKind, Float, Result};

/// # Files
impl Rows {
    /// This process's rows of a .npy file, of whatever element type takes those of the file exactly; the other rows are not
    /// read.
    ///
    /// # Errors
    /// Shape, where it does not have as many rows; file, where it cannot be read, is damaged, or is in Fortran order.
    #[track_caller]
    pub fn load_npy<T: Float>(&self, path: impl AsRef<Path>) -> Result<Tensor<T>> {
        let file = rows_of::<T>(path.as_ref())?;
        self.has_as_many("load_npy", path.as_ref(), file.len()).at_caller()?;
        file.read(self.range())
    }

    /// This process's rows of one tensor of a safetensors file; the others are not read.
    ///
    /// # Errors
    /// As [`Rows::load_npy`]; file, where there is no tensor of this name.
    #[track_caller]
    pub fn load_safetensors<T: Float>(&self, path: impl AsRef<Path>, name: &str) -> Result<Tensor<T>> {
        let file = rows_of_safetensors::<T>(path.as_ref(), name)?;
        self.has_as_many("load_safetensors", path.as_ref(), file.len()).at_caller()?;
        file.read(self.range())
    }

    /// This process's rows of a mapped .npy file: pages are read when they are first used, and so those of other rows are not;
    /// processes on one machine share those that they use.
    ///
    /// # Safety
    /// As for [`Tensor::map_npy`]: the file must not change while the tensor lives, on any machine.
    ///
    /// # Errors
    /// As [`Rows::load_npy`]; file, where elements would have to be converted.
    #[track_caller]
    pub unsafe fn map_npy<T: Float>(&self, path: impl AsRef<Path>) -> Result<Tensor<T>> {
        // SAFETY: the caller's promise.
        let whole: Tensor<T> = unsafe { Tensor::map_npy_of(path.as_ref())? };
        let found = whole.shape().first().copied().unwrap_or(0);
        self.has_as_many("map_npy", path.as_ref(), found).at_caller()?;
        whole.narrow(0, self.range().start, self.range().len())
    }

    fn has_as_many(&self, op: &'static str, path: &Path, found: usize) -> Result<()> {
        if found == self.len() {
            return Ok(());
        }
        let message = format!("{}: it has {found} rows, and {} are shared", path.display(), self.len());
        Err(Error::shape(op, message))
    }

    /// Writes one .npy file of the rows of all processes, each its own, `x`: whole or not at all. It lies under another name
    /// until every process has written its rows and they are on the disk, and an old file stays until then. The path is that of
    /// rank 0; every process has to reach it.
    ///
    /// ```
    /// use tapegrad::{Tensor, distributed};
    /// # let folder = std::env::temp_dir().join(format!("tapegrad-save-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder).unwrap();
    /// let path = folder.join("x.npy");
    /// distributed::spawn(2, |group| {
    ///     let own = Tensor::full([2], group.rank() as f64);
    ///     group.rows(4).save_npy(&path, &own)
    /// })?;
    /// assert_eq!(Tensor::load_npy(&path)?.to_vec(), [0.0, 0.0, 1.0, 1.0]);
    /// # std::fs::remove_dir_all(&folder).unwrap();
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// In all processes, which are named: shape, where one has other rows than its own; file, where one cannot write them;
    /// group, where processes do not come or have ended.
    #[track_caller]
    pub fn save_npy<T: Float>(&self, path: impl AsRef<Path>, x: &Tensor<T>) -> Result<()> {
        save(self, path.as_ref(), x).at_caller()
    }
}

const OP: &str = "save_npy";

fn save<T: Element>(rows: &Rows, path: &Path, x: &Tensor<T>) -> Result<()> {
    let group = rows.group();
    let fits = x.ndim() > 0 && x.shape()[0] == rows.range().len();
    let misfit = || {
        let message = format!("this process has {} rows, not {:?}", rows.range().len(), x.shape());
        Err(Error::shape(OP, message))
    };
    together(group, if fits { Ok(()) } else { misfit() })?;
    // The sizes of a row, which all have to agree on.
    let row = Tensor::from(x.shape()[1..].iter().map(|&d| d as i64).collect::<Vec<_>>());
    let same = group.broadcast(&row, 0)?;
    let other =
        || Err(Error::shape(OP, format!("rows of {:?}, and {:?} on rank 0", row.to_vec(), same.to_vec())));
    together(group, if same.to_vec() == row.to_vec() { Ok(()) } else { other() })?;
    let begun = (group.rank() == 0).then(|| {
        let shape: Vec<usize> = std::iter::once(rows.len()).chain(x.shape()[1..].iter().copied()).collect();
        NpyParts::begin(path, T::DTYPE, &shape)
    });
    let begun = match begun {
        Some(Err(e)) => {
            together(group, Err(e))?;
            None
        }
        begun => {
            together(group, Ok(()))?;
            begun.and_then(Result::ok)
        }
    };
    // A name that is no text cannot be told to the others.
    let said = begun.as_ref().map_or(Some(""), |b| b.path().to_str());
    let unknown = || Error::file(OP, path, "its name is no Unicode text: choose another");
    together(group, said.map(drop).ok_or_else(unknown))?;
    let part = told(group, said.unwrap_or_default().as_bytes())?;
    let part = PathBuf::from(String::from_utf8_lossy(&part).into_owned());
    let data = begun.as_ref().map_or(0, NpyParts::data);
    let data = group.broadcast(&Tensor::scalar(data as i64), 0)?.item()? as u64;
    together(group, write_npy_rows(&part, data, rows.range().start, x.array()))?;
    together(group, begun.map_or(Ok(()), NpyParts::end))
}

/// The bytes that one of the processes has, in all.
pub(crate) fn told(group: &Group, bytes: &[u8]) -> Result<Vec<u8>> {
    let numbers: Vec<i64> = bytes.iter().map(|&b| i64::from(b)).collect();
    Ok(group.all_gather(&Tensor::from(numbers))?.to_vec().into_iter().map(|b| b as u8).collect())
}

/// Ok where it is in all processes; the error of the lowest rank that has one, in the others.
pub(crate) fn together(group: &Group, own: Result<()>) -> Result<()> {
    let failed = Tensor::scalar(i64::from(own.is_err()));
    let failed = group.all_gather(&failed)?.to_vec();
    let Some(first) = failed.iter().position(|&f| f != 0) else { return own };
    let text = own.as_ref().err().filter(|_| group.rank() == first).map_or(String::new(), |e| e.to_string());
    let text = String::from_utf8_lossy(&told(group, text.as_bytes())?).into_owned();
    own?;
    Err(Error::new(ErrorKind::Group, OP, format!("rank {first} failed: {text}")))
}
