//! Tensors in files of one tensor, .npy and CSV, and single ones of archives.
//!
//! Loaded tensors are constants in the host's memory. As with the other constructors, the plain names are f64, and
//! those in `_of` name the type.

use crate::any::AnyTensor;
use crate::tensor::Tensor;
use std::path::Path;
use tensor_core::io::{self, AnyArray, CsvOptions};
use tensor_core::{Array, AtCaller, Element, Number, Result};

/// # Files: reading
impl Tensor<f64> {
    /// Reads a .npy file: versions 1 to 3, C and Fortran order, either byte order, floats of 16 to 64 bits, integers up
    /// to 2^53, and truth values.
    ///
    /// ```
    /// use tapegrad::{AnyTensor, Tensor};
    /// # let folder = std::env::temp_dir().join(format!("tapegrad-npy-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder).unwrap();
    /// let path = folder.join("x.npy");
    /// Tensor::from([[1i64, 2], [3, 4]]).save_npy(&path)?;
    /// assert_eq!(Tensor::load_npy(&path)?.to_vec(), [1.0, 2.0, 3.0, 4.0]);
    /// assert_eq!(Tensor::load_npy_of::<i64>(&path)?.to_vec(), [1, 2, 3, 4]);
    /// // Whatever the file holds.
    /// assert_eq!(AnyTensor::load_npy(&path)?.shape(), [2, 2]);
    /// // Not every 64-bit integer is an f64: the error says what to do.
    /// Tensor::from([i64::MAX]).save_npy(&path)?;
    /// assert!(Tensor::load_npy(&path).unwrap_err().to_string().contains("load it as i64"));
    /// # std::fs::remove_dir_all(&folder).unwrap();
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// File, where it cannot be read, is damaged, or holds a type that f64 does not take exactly; out of memory.
    #[track_caller]
    pub fn load_npy(path: impl AsRef<Path>) -> Result<Self> {
        Tensor::load_npy_of(path)
    }

    /// Reads a .npy file as any type that takes its elements exactly.
    ///
    /// # Errors
    /// As [`Tensor::load_npy`].
    #[track_caller]
    pub fn load_npy_of<T: Element>(path: impl AsRef<Path>) -> Result<Tensor<T>> {
        Ok(io::load_npy::<Array<T>>(path.as_ref()).at_caller()?.into())
    }

    /// Maps a .npy file of f64 into memory: at once, whatever its size, since pages are read when they are first used.
    /// The file is only read; writing to the tensor copies it.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// # let folder = std::env::temp_dir().join(format!("tapegrad-map-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder).unwrap();
    /// let path = folder.join("x.npy");
    /// Tensor::from([1.0, 2.0]).save_npy(&path)?;
    /// // SAFETY: no program writes to the file while it is mapped.
    /// let x = unsafe { Tensor::map_npy(&path)? };
    /// assert_eq!(x.sum().item()?, 3.0);
    /// # drop(x);
    /// # std::fs::remove_dir_all(&folder).unwrap();
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Safety
    /// The file must not change while the tensor, or a view of it, lives. Elements that another program writes change
    /// under a slice that Rust takes for constant. Where the file is cut short meanwhile, the system ends the process
    /// with SIGBUS (on Unix) when an element that is gone is next used; no error can be returned then.
    /// [`Tensor::load_npy`] has neither hazard. Replacing the file by renaming another, as the methods that save do,
    /// is safe: the map keeps the old one.
    ///
    /// # Errors
    /// File, where it cannot be read, is damaged, or would have to be converted; [`Tensor::load_npy`] converts.
    #[track_caller]
    pub unsafe fn map_npy(path: impl AsRef<Path>) -> Result<Self> {
        // SAFETY: the caller's promise.
        unsafe { Tensor::map_npy_of(path) }
    }

    /// Maps a .npy file of any element type into memory.
    ///
    /// # Safety
    /// As for [`Tensor::map_npy`].
    ///
    /// # Errors
    /// As [`Tensor::map_npy`].
    #[track_caller]
    pub unsafe fn map_npy_of<T: Element>(path: impl AsRef<Path>) -> Result<Tensor<T>> {
        // SAFETY: the caller's promise.
        let x = unsafe { io::map_npy::<Array<T>>(path.as_ref()) };
        Ok(x.at_caller()?.into())
    }

    /// Reads one tensor of a .npz file; [`load_npz`](crate::load_npz) reads all of them.
    ///
    /// ```
    /// use tapegrad::{Tensor, save_npz};
    /// # let folder = std::env::temp_dir().join(format!("tapegrad-one-npz-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder).unwrap();
    /// let path = folder.join("x.npz");
    /// save_npz(&path, [("w", Tensor::from([0.5, 1.5])), ("b", Tensor::from([0.25, 0.0]))])?;
    /// assert_eq!(Tensor::load_npz(&path, "b")?.to_vec(), [0.25, 0.0]);
    /// assert!(Tensor::load_npz(&path, "c").unwrap_err().to_string().contains("x.npz"));
    /// # std::fs::remove_dir_all(&folder).unwrap();
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::load_npy`]; file, where there is no tensor of this name.
    #[track_caller]
    pub fn load_npz(path: impl AsRef<Path>, name: &str) -> Result<Self> {
        Tensor::load_npz_of(path, name)
    }

    /// Reads one tensor of a .npz file as any type that takes its elements exactly.
    ///
    /// # Errors
    /// As [`Tensor::load_npz`].
    #[track_caller]
    pub fn load_npz_of<T: Element>(path: impl AsRef<Path>, name: &str) -> Result<Tensor<T>> {
        Ok(io::load_npz_entry::<Array<T>>(path.as_ref(), name).at_caller()?.into())
    }

    /// Reads one tensor of a safetensors file; [`load_safetensors`](crate::load_safetensors) reads all of them.
    ///
    /// ```
    /// use tapegrad::{Tensor, save_safetensors};
    /// # let folder = std::env::temp_dir().join(format!("tapegrad-one-st-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder).unwrap();
    /// let path = folder.join("x.safetensors");
    /// save_safetensors(&path, [("w", Tensor::from([0.5f32, 1.5]))])?;
    /// assert_eq!(Tensor::load_safetensors(&path, "w")?.to_vec(), [0.5, 1.5]);
    /// assert_eq!(Tensor::load_safetensors_of::<f32>(&path, "w")?.to_vec(), [0.5f32, 1.5]);
    /// # std::fs::remove_dir_all(&folder).unwrap();
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::load_npy`]; file, where there is no tensor of this name.
    #[track_caller]
    pub fn load_safetensors(path: impl AsRef<Path>, name: &str) -> Result<Self> {
        Tensor::load_safetensors_of(path, name)
    }

    /// Reads one tensor of a safetensors file as any type that takes its elements exactly.
    ///
    /// # Errors
    /// As [`Tensor::load_safetensors`].
    #[track_caller]
    pub fn load_safetensors_of<T: Element>(path: impl AsRef<Path>, name: &str) -> Result<Tensor<T>> {
        let x = io::load_safetensors_entry::<Array<T>>(path.as_ref(), name);
        Ok(x.at_caller()?.into())
    }

    /// Reads numbers between commas as a matrix, a row for each line; an empty file has the shape `[0, 0]`.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// use tapegrad::io::CsvOptions;
    /// # let folder = std::env::temp_dir().join(format!("tapegrad-csv-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder).unwrap();
    /// let path = folder.join("x.csv");
    /// std::fs::write(&path, "a;b\n1;2\n3;4\n").map_err(tapegrad::Error::other)?;
    /// let x = Tensor::load_csv_of::<f32>(&path, &CsvOptions { delimiter: b';', skip_rows: 1, ..CsvOptions::default() })?;
    /// assert_eq!((x.shape(), x.to_vec()), (&[2, 2][..], vec![1.0, 2.0, 3.0, 4.0]));
    /// let error = Tensor::load_csv(&path).unwrap_err().to_string();
    /// assert!(error.contains("line 1, column 1: \"a;b\" is no f64"), "{error}");
    /// # std::fs::remove_dir_all(&folder).unwrap();
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// File, where it cannot be read, a row is longer or shorter than the first, or a field is no number, with its line
    /// and column; out of memory.
    #[track_caller]
    pub fn load_csv(path: impl AsRef<Path>) -> Result<Self> {
        Tensor::load_csv_of(path, &CsvOptions::default())
    }

    /// Reads numbers of any type as a matrix: between other delimiters, or any number of spaces, after a header, with
    /// notes, or with fields that are empty; see [`CsvOptions`].
    ///
    /// # Errors
    /// As [`Tensor::load_csv`]; argument, for a delimiter that is none.
    #[track_caller]
    pub fn load_csv_of<T: Number>(path: impl AsRef<Path>, options: &CsvOptions) -> Result<Tensor<T>> {
        Ok(io::load_csv(path.as_ref(), options).at_caller()?.into())
    }
}

/// # Files: writing `.npy`
impl<T: Element> Tensor<T> {
    /// Writes a .npy file, whatever the strides, without copying the elements: in Fortran order where they lie column
    /// after column, else in C order. The file appears whole, and an old one stays until then.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// # let folder = std::env::temp_dir().join(format!("tapegrad-save-npy-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder).unwrap();
    /// let path = folder.join("x.npy");
    /// // The transpose is written as it lies, in Fortran order.
    /// Tensor::from([[1.0, 2.0], [3.0, 4.0]]).t()?.save_npy(&path)?;
    /// assert_eq!(Tensor::load_npy(&path)?.to_vec(), [1.0, 3.0, 2.0, 4.0]);
    /// # std::fs::remove_dir_all(&folder).unwrap();
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// File, where it cannot be written; device, where the elements cannot be fetched.
    #[track_caller]
    pub fn save_npy(&self, path: impl AsRef<Path>) -> Result<()> {
        io::save_npy(path.as_ref(), self.array()).at_caller()
    }
}

/// # Files: writing text
impl<T: Number> Tensor<T> {
    /// Writes a matrix, a line for each row and commas between its numbers, or a vector, a line for each number, with
    /// the digits that bring every number back exactly. The file appears whole, and an old one stays until then.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// # let folder = std::env::temp_dir().join(format!("tapegrad-save-csv-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder).unwrap();
    /// let path = folder.join("x.csv");
    /// Tensor::from([[1.0, 0.1], [1e-9, 3.0]]).save_csv(&path)?;
    /// assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 2);
    /// assert_eq!(Tensor::load_csv(&path)?.to_vec(), [1.0, 0.1, 1e-9, 3.0]);
    /// # std::fs::remove_dir_all(&folder).unwrap();
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, for other than one or two dimensions; file, where it cannot be written; device, where the elements cannot
    /// be fetched.
    #[track_caller]
    pub fn save_csv(&self, path: impl AsRef<Path>) -> Result<()> {
        self.save_csv_with(path, b',')
    }

    /// As [`Tensor::save_csv`], with another delimiter: a semicolon, a tab, a space, a colon or a bar.
    ///
    /// # Errors
    /// As [`Tensor::save_csv`]; argument, for a delimiter that is none.
    #[track_caller]
    pub fn save_csv_with(&self, path: impl AsRef<Path>, delimiter: u8) -> Result<()> {
        io::save_csv(path.as_ref(), self.array(), delimiter).at_caller()
    }
}

impl AnyTensor {
    /// Reads a .npy file of any type that is read: integers become i64, 16-bit floats f32.
    ///
    /// ```
    /// use tapegrad::{AnyTensor, DType, Tensor};
    /// # let folder = std::env::temp_dir().join(format!("tapegrad-any-npy-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder).unwrap();
    /// let path = folder.join("x.npy");
    /// AnyTensor::from(Tensor::from([true, false])).save_npy(&path)?;
    /// let x = AnyTensor::load_npy(&path)?;
    /// assert_eq!((x.dtype(), x.to::<bool>()?.to_vec()), (DType::Bool, vec![true, false]));
    /// # std::fs::remove_dir_all(&folder).unwrap();
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// File, where it cannot be read, is damaged, or holds a type that is not read; out of memory.
    #[track_caller]
    pub fn load_npy(path: impl AsRef<Path>) -> Result<Self> {
        Ok(io::load_npy::<AnyArray>(path.as_ref()).at_caller()?.into())
    }

    /// Reads one tensor of a .npz file, of any type that is read.
    ///
    /// # Errors
    /// As [`AnyTensor::load_npy`]; file, where there is no tensor of this name.
    #[track_caller]
    pub fn load_npz(path: impl AsRef<Path>, name: &str) -> Result<Self> {
        Ok(io::load_npz_entry::<AnyArray>(path.as_ref(), name).at_caller()?.into())
    }

    /// Reads one tensor of a safetensors file, of any type that is read.
    ///
    /// # Errors
    /// As [`AnyTensor::load_npz`].
    #[track_caller]
    pub fn load_safetensors(path: impl AsRef<Path>, name: &str) -> Result<Self> {
        Ok(io::load_safetensors_entry::<AnyArray>(path.as_ref(), name).at_caller()?.into())
    }

    /// Maps a .npy file into memory, of f32, f64, i64 or truth values.
    ///
    /// # Safety
    /// As for [`Tensor::map_npy`].
    ///
    /// # Errors
    /// As [`Tensor::map_npy`].
    #[track_caller]
    pub unsafe fn map_npy(path: impl AsRef<Path>) -> Result<Self> {
        // SAFETY: the caller's promise.
        let x = unsafe { io::map_npy::<AnyArray>(path.as_ref()) };
        Ok(x.at_caller()?.into())
    }

    /// Writes a .npy file, as [`Tensor::save_npy`].
    ///
    /// # Errors
    /// As [`Tensor::save_npy`].
    #[track_caller]
    pub fn save_npy(&self, path: impl AsRef<Path>) -> Result<()> {
        match self {
            AnyTensor::F32(x) => x.save_npy(path),
            AnyTensor::F64(x) => x.save_npy(path),
            AnyTensor::I64(x) => x.save_npy(path),
            AnyTensor::Bool(x) => x.save_npy(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tensor_core::ErrorKind;

    #[test]
    fn errors_name_the_file_and_the_callers_line() {
        let path = std::env::temp_dir().join("no such folder").join("x.npy");
        let line = line!() + 1;
        let e = Tensor::load_npy(&path).unwrap_err();
        assert_eq!((e.kind(), e.op(), e.location().unwrap().line()), (ErrorKind::File, "load_npy", line));
        assert!(e.to_string().contains("x.npy"), "{e}");
        let line = line!() + 1;
        let e = Tensor::from([1.0]).save_csv(&path).unwrap_err();
        assert_eq!((e.op(), e.location().unwrap().line()), ("save_csv", line));
        let line = line!() + 1;
        let e = AnyTensor::from(Tensor::from([1.0])).save_npy(&path).unwrap_err();
        assert_eq!((e.op(), e.location().unwrap().line()), ("save_npy", line));
    }
}
