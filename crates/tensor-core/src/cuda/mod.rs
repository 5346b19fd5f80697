//! NVIDIA GPUs: the same kernels as the CPU has, in CUDA C++ compiled at run time.

pub(crate) mod batch;
mod blas;
mod bytes;
mod capture;
mod compile;
pub(crate) mod copy;
mod devices;
mod fft;
pub(crate) mod finite;
pub(crate) mod fourier;
pub(crate) mod host;
pub(crate) mod index;
mod large;
pub(crate) mod least_squares;
pub(crate) mod map;
mod matrices;
#[doc(hidden)]
pub mod nccl;
mod nest;
pub(crate) mod operand;
pub(crate) mod powers;
mod prepare;
pub(crate) mod product;
pub(crate) mod products;
mod program_cache;
pub(crate) mod random;
pub(crate) mod reduce;
mod registry;
pub(crate) mod scan;
pub(crate) mod sort;
pub(crate) mod sparse;
mod status;

pub use blas::{allow_tf32, set_allow_tf32};
pub use capture::{Captured, capture, overwrite};
pub use devices::{Properties, device_count, is_available, launches, prepare, properties, synchronize};
