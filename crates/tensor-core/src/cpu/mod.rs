//! The kernels of the CPU, one file per family.

#[cfg(feature = "blas")]
pub mod blas;
pub mod copy;
pub mod decompose;
pub mod factor;
pub mod gemm;
pub mod gemv;
pub mod index;
pub mod lanes;
pub mod least_squares;
pub mod map;
pub mod nest;
pub mod parallel;
pub mod products;
pub mod random;
pub mod reduce;
pub mod scale;
pub mod simd;
pub mod sparse;
pub mod sparse_solve;
pub mod view;
