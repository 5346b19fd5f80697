//! Reverse-mode automatic differentiation with tensor operations, for people who write optimization code. You bring a
//! function over tensors; you get exact gradients, Jacobians and Hessians, and linear algebra that can be differentiated
//! as often as you like.
//!
//! ```
//! use tapegrad::prelude::*;
//!
//! // ||y - A x||^2, its gradient, and its Hessian 2 A^T A.
//! let a = Tensor::from([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]]);
//! let y = Tensor::from([1.0, 2.0, 4.0]);
//! let (loss, slope) = value_and_grad(|x| Ok((&y - &a.mv(x)?).square().sum()), &Tensor::zeros([2]))?;
//! assert_eq!((loss.item()?, slope.to_vec()), (21.0, vec![-14.0, -20.0]));
//! let h = hessian(|x| least_squares_loss(&a, x, &y), &Tensor::zeros([2]))?;
//! assert_eq!(h.to_vec(), [6.0, 6.0, 6.0, 10.0]);
//! # Ok::<(), tapegrad::Error>(())
//! ```
//!
//! # Where to look
//!
//! | | |
//! |---|---|
//! | [`prelude`] | what most programs use |
//! | [`Tensor`] | constructors, shapes, indexing, functions, reductions and losses, by headings; the search knows NumPy's and PyTorch's names |
//! | [`Tensor::backward`], [`grad`], [`value_and_grad`] | gradients of what was computed, or of a function |
//! | [`jacobian`], [`hessian`], [`vjp`], [`jvp`], [`hvp`] | other derivatives; [`checkpoint`] trades time for memory |
//! | [`params!`], [`Params`] | gradients over structs, tuples, maps and lists of tensors |
//! | [`linalg`], its trait [`Linalg`](linalg::Linalg) | products, solutions, factorisations, Fourier transforms |
//! | [`SparseTensor`](linalg::SparseTensor) | sparse matrices |
//! | [`linearize`], [`scan`], [`value_and_jacobian`] | products again and again, long loops, several derivatives at once |
//! | [`implicit_root`](linalg::implicit_root), [`implicit_argmin`](linalg::implicit_argmin) | gradients of what a solver found |
//! | `optimize`, `distributed` | with the features of these names: minima, fits with error bars; many processes |
//! | [`Op`], [`OpMany`], [`fused()`] | operations of your own, with [`check_op`] and [`gradcheck`] |
//! | [`io`], [`load_safetensors`], [`dlpack`] | files, and memory of other libraries |
//! | [`Device`], [`cuda`] | GPUs, with the feature `cuda` |
//! | [`memory`], [`tape`] | what is held, and running out of it |
//! | [`Error`], [`ErrorKind`] | what can fail returns a `Result`; operators panic, with your line in the message |
//!
//! The folder `docs` of the source has longer texts: `numpy-and-pytorch.md` sets this library's names beside those, `pitfalls.md` tells
//! what surprises at first, `operations.md` lists every operation, `guide-interop.md` is about other crates and languages,
//! `adding-an-op.md` about operations of your own, `gpu.md` about GPUs and what is proven of them, `architecture.md` about how it all works.
//!
//! # Features
//!
//! None is on by default. `cuda`: NVIDIA GPUs; building needs no CUDA. `blas`: large products and factorisations by the BLAS and LAPACK that your
//! program links. `nalgebra`, `faer`, `ndarray-0_15`, `ndarray-0_16`: arrays of these crates in and out. `optimize`: fitting, and adapters to
//! solvers.

/// The first page of the source, whose program is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub mod readme {}

pub use autograd::*;
#[cfg(feature = "distributed")]
pub use distributed;
pub use linalg;
pub use ndarray;
#[cfg(feature = "optimize")]
pub use optimize;
#[cfg(feature = "faer")]
pub use tensor_core::faer;
#[cfg(feature = "nalgebra")]
pub use tensor_core::nalgebra;
#[cfg(feature = "nalgebra-0_34")]
pub use tensor_core::nalgebra_0_34;
#[cfg(feature = "ndarray-0_15")]
pub use tensor_core::ndarray_0_15;
#[cfg(feature = "ndarray-0_16")]
pub use tensor_core::ndarray_0_16;
pub use tensor_core::{
    Array, AtCaller, Closures, Code, DType, Device, Element, Error, ErrorKind, Float, Formula, Function,
    Layout, Memory, Number, PrintOptions, Result, Scalar, ValueFor, compiled_once, cuda, dlpack, formula,
    formulas, function, io, kernels, memory, on_cpu, print_options, random, set_print_options, shape,
    with_print_options,
};

/// What functions of elements are written in, for [`formula!`]. The trait is not beside the tensors: its methods take
/// their values, and would stand before theirs.
pub mod formula {
    pub use tensor_core::Expression;
}

/// The version of this crate.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What most programs use: `use tapegrad::prelude::*;`.
pub mod prelude {
    pub use autograd::{
        AnyTensor, GradOptions, Params, Tensor, TypedConstructors, arange, checkpoint, detect_anomaly,
        enable_grad, fused, grad, grad_with, hessian, hvp, is_grad_enabled, jacobian, jvp, jvp_batched,
        linearize, linearize_gradient, linspace, no_grad, params, scan, scan_checkpointed, value_and_grad,
        value_and_jacobian, value_grad_hessian, value_grad_hvp, vjp, vjp_batched,
    };
    pub use linalg::{self, Linalg, SparseTensor, least_squares_loss};
    pub use ndarray::s;
    pub use tensor_core::random::manual_seed;
    pub use tensor_core::{DType, Device, Element, Error, ErrorKind, Float, Result, cuda};
}
