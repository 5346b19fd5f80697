//! Tensors exchanged with other languages, without copying, by the [DLPack] protocol: NumPy, PyTorch, JAX and others
//! speak it in Python.
//!
//! [`Array::into_dlpack`] lends an array, [`Array::from_dlpack`] borrows a tensor of somebody else's. What travels
//! is a pointer, in Python inside a capsule; docs/guide-interop.md has a complete extension.
//!
//! [DLPack]: https://dmlc.github.io/dlpack/latest/
//! [`Array::into_dlpack`]: crate::Array::into_dlpack
//! [`Array::from_dlpack`]: crate::Array::from_dlpack

mod abi;
mod export;
mod import;
#[cfg(test)]
mod tests;

pub use abi::{
    CPU, CUDA, CUDA_HOST, DLDataType, DLDevice, DLManagedTensor, DLManagedTensorVersioned, DLPackVersion,
    DLTensor, READ_ONLY, VERSION,
};
pub use export::Lent;
