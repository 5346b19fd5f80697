//! Tensors by name: .npz and safetensors.

use crate::any::AnyTensor;
use std::collections::BTreeMap;
use std::path::Path;
use tensor_core::io::{self, AnyArray, Compression};
use tensor_core::{AtCaller, Error, Result};

/// Reads every tensor of a .npz file.
///
/// ```
/// use tapegrad::{AnyTensor, Tensor, load_npz, save_npz};
/// # let folder = std::env::temp_dir().join(format!("tapegrad-npz-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder).unwrap();
/// let path = folder.join("x.npz");
/// let (w, seen) = (Tensor::from([0.5, 1.5]), Tensor::from([true]));
/// save_npz(&path, [("w", AnyTensor::from(w)), ("seen", AnyTensor::from(seen))])?;
/// let all = load_npz(&path)?;
/// assert_eq!(all["w"].to::<f64>()?.to_vec(), [0.5, 1.5]);
/// // One of them, and the others are not read.
/// assert_eq!(Tensor::load_npz_of::<bool>(&path, "seen")?.to_vec(), [true]);
/// # std::fs::remove_dir_all(&folder).unwrap();
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// File, where it cannot be read, is damaged, or holds something else than tensors of types that are read; out of
/// memory.
#[track_caller]
pub fn load_npz(path: impl AsRef<Path>) -> Result<BTreeMap<String, AnyTensor>> {
    Ok(tensors(io::load_npz(path.as_ref()).at_caller()?))
}

/// Writes tensors under their names, as they are, as NumPy's `savez`. The file appears whole, and an old one stays
/// until then. Tensors of several types go in as `AnyTensor::from(x)`.
///
/// ```
/// use tapegrad::{AnyTensor, Tensor, load_npz, save_npz};
/// # let folder = std::env::temp_dir().join(format!("tapegrad-save-npz-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder).unwrap();
/// let path = folder.join("x.npz");
/// let (w, steps) = (Tensor::from([0.5, 1.5]), Tensor::scalar(12i64));
/// save_npz(&path, [("w", AnyTensor::from(w)), ("steps", AnyTensor::from(steps))])?;
/// assert_eq!(load_npz(&path)?["steps"].to::<i64>()?.item()?, 12);
/// # std::fs::remove_dir_all(&folder).unwrap();
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// File, where it cannot be written; argument, where a name appears twice; device, where elements cannot be fetched.
#[track_caller]
pub fn save_npz<N: AsRef<str>, X: Into<AnyTensor>>(
    path: impl AsRef<Path>,
    tensors: impl IntoIterator<Item = (N, X)>,
) -> Result<()> {
    let save = || io::save_npz(path.as_ref(), &arrays("save_npz", tensors)?, Compression::Stored);
    save().at_caller()
}

/// As [`save_npz`], packed, as NumPy's `savez_compressed`: slower, and smaller where values repeat.
///
/// ```
/// use tapegrad::{Tensor, save_npz, save_npz_compressed};
/// # let folder = std::env::temp_dir().join(format!("tapegrad-packed-npz-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder).unwrap();
/// let (plain, packed) = (folder.join("x.npz"), folder.join("y.npz"));
/// let x = Tensor::zeros([100, 100]);
/// save_npz(&plain, [("x", x.clone())])?;
/// save_npz_compressed(&packed, [("x", x)])?;
/// let size = |path| std::fs::metadata(path).unwrap().len();
/// assert!(size(&packed) < size(&plain) / 10);
/// assert_eq!(Tensor::load_npz(&packed, "x")?.shape(), [100, 100]);
/// # std::fs::remove_dir_all(&folder).unwrap();
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// As [`save_npz`].
#[track_caller]
pub fn save_npz_compressed<N: AsRef<str>, X: Into<AnyTensor>>(
    path: impl AsRef<Path>,
    tensors: impl IntoIterator<Item = (N, X)>,
) -> Result<()> {
    let save = || io::save_npz(path.as_ref(), &arrays("save_npz", tensors)?, Compression::Deflated);
    save().at_caller()
}

/// Reads every tensor of a safetensors file, such as a model's parameters that PyTorch has saved.
///
/// ```
/// use tapegrad::{Tensor, load_safetensors, safetensors_metadata, save_safetensors_with};
/// # let folder = std::env::temp_dir().join(format!("tapegrad-st-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder).unwrap();
/// let path = folder.join("model.safetensors");
/// let (w, b) = (Tensor::from([[0.5f32, 1.5]]), Tensor::from([0.25f32]));
/// save_safetensors_with(&path, [("w", w), ("b", b)], [("epoch", "3")])?;
/// assert_eq!(load_safetensors(&path)?["w"].to::<f32>()?.to_vec(), [0.5, 1.5]);
/// // Every f32 is an f64.
/// assert_eq!(Tensor::load_safetensors(&path, "b")?.item()?, 0.25);
/// assert_eq!(safetensors_metadata(&path)?["epoch"], "3");
/// # std::fs::remove_dir_all(&folder).unwrap();
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// File, where it cannot be read, is damaged, or holds a type that is not read; out of memory.
#[track_caller]
pub fn load_safetensors(path: impl AsRef<Path>) -> Result<BTreeMap<String, AnyTensor>> {
    Ok(tensors(io::load_safetensors(path.as_ref()).at_caller()?))
}

/// Maps every tensor of a safetensors file into memory, as [`Tensor::map_npy`](crate::Tensor::map_npy) does one.
///
/// ```
/// use tapegrad::{Tensor, map_safetensors, save_safetensors};
/// # let folder = std::env::temp_dir().join(format!("tapegrad-map-st-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder).unwrap();
/// let path = folder.join("x.safetensors");
/// save_safetensors(&path, [("w", Tensor::from([0.5, 1.5]))])?;
/// // SAFETY: no program writes to the file while it is mapped.
/// let all = unsafe { map_safetensors(&path)? };
/// assert_eq!(all["w"].to::<f64>()?.to_vec(), [0.5, 1.5]);
/// # drop(all);
/// # std::fs::remove_dir_all(&folder).unwrap();
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Safety
/// As for [`Tensor::map_npy`](crate::Tensor::map_npy).
///
/// # Errors
/// File, where it cannot be read, is damaged, or would have to be converted; [`load_safetensors`] converts.
#[track_caller]
pub unsafe fn map_safetensors(path: impl AsRef<Path>) -> Result<BTreeMap<String, AnyTensor>> {
    // SAFETY: the caller's promise.
    let arrays = unsafe { io::map_safetensors(path.as_ref()) };
    Ok(tensors(arrays.at_caller()?))
}

/// The texts that a safetensors file holds beside its tensors.
///
/// # Errors
/// File, where it cannot be read or is damaged.
#[track_caller]
pub fn safetensors_metadata(path: impl AsRef<Path>) -> Result<BTreeMap<String, String>> {
    io::safetensors_metadata(path.as_ref()).at_caller()
}

/// Writes tensors under their names. The file appears whole, and an old one stays until then.
///
/// ```
/// use tapegrad::{Tensor, load_safetensors, save_safetensors};
/// # let folder = std::env::temp_dir().join(format!("tapegrad-save-st-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder).unwrap();
/// let path = folder.join("x.safetensors");
/// save_safetensors(&path, [("w", Tensor::from([0.5f32]))])?;
/// assert_eq!(load_safetensors(&path)?.len(), 1);
/// # std::fs::remove_dir_all(&folder).unwrap();
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// As [`save_npz`].
#[track_caller]
pub fn save_safetensors<N: AsRef<str>, X: Into<AnyTensor>>(
    path: impl AsRef<Path>,
    tensors: impl IntoIterator<Item = (N, X)>,
) -> Result<()> {
    save_safetensors_with(path, tensors, [("", ""); 0])
}

/// As [`save_safetensors`], with texts beside the tensors. PyTorch's loaders look for `("format", "pt")` among them.
///
/// # Errors
/// As [`save_npz`].
#[track_caller]
pub fn save_safetensors_with<N: AsRef<str>, X: Into<AnyTensor>, K: Into<String>, V: Into<String>>(
    path: impl AsRef<Path>,
    tensors: impl IntoIterator<Item = (N, X)>,
    metadata: impl IntoIterator<Item = (K, V)>,
) -> Result<()> {
    let metadata = metadata.into_iter().map(|(k, v)| (k.into(), v.into())).collect();
    let save = || io::save_safetensors(path.as_ref(), &arrays("save_safetensors", tensors)?, &metadata);
    save().at_caller()
}

fn tensors(arrays: BTreeMap<String, AnyArray>) -> BTreeMap<String, AnyTensor> {
    arrays.into_iter().map(|(name, x)| (name, x.into())).collect()
}

fn arrays<N: AsRef<str>, X: Into<AnyTensor>>(
    op: &'static str,
    tensors: impl IntoIterator<Item = (N, X)>,
) -> Result<BTreeMap<String, AnyArray>> {
    let mut arrays = BTreeMap::new();
    for (name, x) in tensors {
        let name = name.as_ref();
        if arrays.insert(name.to_string(), x.into().array()).is_some() {
            return Err(Error::argument(
                op,
                format!("two tensors are called {name:?}: give each its own name"),
            ));
        }
    }
    Ok(arrays)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tensor;
    use tensor_core::ErrorKind;

    #[test]
    fn names_are_given_once() {
        let path = std::env::temp_dir().join("no such folder").join("x");
        let twice =
            || [("a", AnyTensor::from(Tensor::from([1.0]))), ("a", AnyTensor::from(Tensor::from([true])))];
        for result in [save_npz(&path, twice()), save_safetensors(&path, twice())] {
            let e = result.unwrap_err();
            assert_eq!((e.kind(), e.location().unwrap().file()), (ErrorKind::Argument, file!()));
        }
        let all = BTreeMap::from([("a".to_string(), AnyTensor::from(Tensor::from([1.0])))]);
        assert_eq!(save_npz(&path, all).unwrap_err().kind(), ErrorKind::File);
    }
}
