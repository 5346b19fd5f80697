//! Products along a dimension, and their derivatives; powers.

use crate::array::Array;
use crate::cpu;
#[cfg(feature = "cuda")]
use crate::cuda;
use crate::element::{Float, Number};
use crate::error::Result;

kernels! {
    /// The products along `dim`, which keeps size 1, or where `running` those up to each element. With directions, of the
    /// shape of `x`, the derivative of each product along all of them. No intermediate leaves the range where the result
    /// is in it.
    ///
    /// # Errors
    /// Out of memory; device, for more than four directions on a GPU.
    pub fn products<T: Number>(op, x: &Array<T>, directions: &[&Array<T>], dim: usize, running: bool) -> Result<Array<T>> {
        on x;
        cpu::products::products;
        cuda::products::products
    }

    /// The sums over `j` of g_j times the derivative of product `j` by each element of `x`, and along the directions, for
    /// the running products along `dim`; where `g` has size 1 there, of the whole product alone.
    ///
    /// # Errors
    /// As [`products`].
    pub fn product_slopes<T: Number>(op, x: &Array<T>, directions: &[&Array<T>], g: &Array<T>, dim: usize) -> Result<Array<T>> {
        on x, g;
        cpu::products::product_slopes;
        cuda::products::product_slopes
    }

    /// The powers 0 to n - 1 of each element along a last dimension, or from the highest one on where `decreasing`.
    ///
    /// # Errors
    /// Out of memory.
    pub fn powers<T: Float>(op, x: &Array<T>, n: usize, decreasing: bool) -> Result<Array<T>> {
        on x;
        cpu::powers::powers;
        cuda::powers::powers
    }
}
