#![doc = include_str!("../README.md")]

pub use autograd::*;
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
