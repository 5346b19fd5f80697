//! Every kernel that is known beforehand, compiled before it is needed.

use super::registry::Family;
use crate::error::Result;
use crate::gpu::context::Gpu;

/// Every family.
const FAMILIES: &[&Family] = &[
    &super::copy::TRANSPOSE,
    &super::batch::DETERMINANT,
    &super::finite::FINITE,
    &super::batch::GAPS,
    &super::batch::JACOBI,
    &super::batch::QR,
    &super::batch::SOLVE,
    &super::batch::TRIANGULAR,
    &super::index::COMPACT,
    &super::index::INDEX,
    &super::index::SCATTER,
    &super::least_squares::LEAST_SQUARES,
    &super::powers::POWERS,
    &super::product::PRODUCT,
    &super::products::PRODUCTS,
    &super::random::RANDOM,
    &super::reduce::REDUCE,
    &super::scan::SCAN,
    &super::large::SOLVER,
    &super::sort::SORT,
    &super::sparse::SPARSE,
];

/// Every kernel of every family, compiled for a GPU: how many there are.
///
/// # Errors
/// Device, where one cannot be compiled or loaded.
pub(crate) fn compile_all(op: &'static str, gpu: &'static Gpu) -> Result<usize> {
    let mut count = 0;
    for family in FAMILIES {
        for &variant in family.variants {
            for kernel in family.kernels {
                family.function(op, gpu, variant, kernel)?;
                count += 1;
            }
        }
    }
    Ok(count)
}
