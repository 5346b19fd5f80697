//! Tensor storage, layouts, devices and kernels of [tapegrad](https://docs.rs/tapegrad).
//!
//! [`Array`] is strided data on a [`Device`]; [`kernels`] holds one function per kernel, which
//! runs where its operands are. Nothing here knows of gradients: that is the autograd crate.

pub mod io;
pub mod kernels;
pub mod memory;
pub mod random;
pub mod shape;
pub mod special;

mod array;
mod code;
mod cpu;
#[cfg(feature = "cuda")]
pub mod cuda;
#[cfg(not(feature = "cuda"))]
#[path = "no_cuda.rs"]
pub mod cuda;
mod device;
mod display;
mod draws;
mod element;
mod element_types;
mod elementary;
mod error;
mod expression;
mod formula;
#[cfg(feature = "cuda")]
mod gpu;
mod heap;
mod interop;
mod inverse_error;
mod layout;
mod matrix;
mod nest;
mod once;
mod reduction;
mod simd;
mod sinc;
mod sparse;

pub use array::{Array, Memory};
pub use code::Code;
pub use device::Device;
pub use display::{PrintOptions, print_options, set_print_options, with_print_options};
pub use element::{
    DType, EachElement, EachFloat, EachNumber, Element, Float, ForElement, ForFloat, ForNumber, Number,
    Scalar, Slice, SliceMut, ValueFor,
};
pub use error::{AtCaller, Error, ErrorKind, OrRaise, Result};
pub use expression::Expression;
pub use formula::{
    Applied, Closures, Elements, Expressed, Formula, Function, OnCpu, Parameters, Spreading, Text, on_cpu,
};
pub use interop::dlpack;
pub use layout::{Layout, Strides};

/// The crate whose matrices [`Array::from_faer`] takes.
#[cfg(feature = "faer")]
pub use faer;
/// The crate whose matrices [`Array::from_nalgebra`] takes.
#[cfg(feature = "nalgebra")]
pub use nalgebra;
/// The older nalgebra whose matrices [`Array::from_nalgebra_0_34`] takes.
#[cfg(feature = "nalgebra-0_34")]
pub use nalgebra_0_34;
/// The older ndarray whose arrays [`Array::from_ndarray_0_15`] takes.
#[cfg(feature = "ndarray-0_15")]
pub use ndarray_0_15;
/// The older ndarray whose arrays [`Array::from_ndarray_0_16`] takes.
#[cfg(feature = "ndarray-0_16")]
pub use ndarray_0_16;
