//! The kernels of the CPU, one file per family.

pub mod batch;
#[cfg(feature = "blas")]
pub mod blas;
pub mod blocks;
pub mod copy;
mod crew;
pub mod finite;
pub mod fourier;
pub mod gemm;
pub mod gemv;
pub mod index;
pub mod large;
pub mod least_squares;
pub mod map;
pub mod parallel;
pub mod powers;
pub mod products;
pub mod random;
pub mod reduce;
pub mod scale;
pub mod scan;
pub mod small;
pub mod softmax;
pub mod sort;
pub mod sparse;
pub mod sparse_solve;
pub mod sparse_triangular;
pub mod spread;
mod transpose;
pub mod view;
