//! LU factorisations of the matrices of a batch, on whatever device.

use super::flaw::Flaw;
use crate::array::Array;
use crate::element::{Element, Float};
use std::sync::Arc;

/// P A = L U of each matrix of a batch; clones share it.
#[derive(Clone)]
pub struct Lu<T: Element> {
    pub(crate) a: Array<T>,
    /// None for many small matrices: to factor them anew takes less time than to fetch the factors.
    pub(crate) factors: Option<Arc<Factors<T>>>,
}

/// The factors of the matrices of a batch on the host.
pub(crate) struct Factors<T: Element> {
    /// One after another, row-major: U, and L without its diagonal of ones.
    pub(crate) lu: Array<T>,
    pub(crate) pivots: Vec<usize>,
    pub(crate) flaw: Option<Flaw>,
}

impl<T: Element> Factors<T> {
    /// The matrices one after another.
    pub(crate) fn rows(&self) -> &[T] {
        self.lu.as_slice().unwrap_or(&[])
    }
}

impl<T: Float> Lu<T> {
    /// Of matrices on a GPU, where what needs the factors makes them in its own launch.
    #[cfg(feature = "cuda")]
    pub(crate) fn unfactored(a: &Array<T>) -> Self {
        Lu { a: a.clone(), factors: None }
    }

    /// The matrices A.
    #[cfg(feature = "cuda")]
    pub(crate) fn matrices(&self) -> &Array<T> {
        &self.a
    }

    /// What the factors take, without the pivots.
    pub fn bytes(&self) -> usize {
        self.factors.as_ref().map_or(0, |f| f.lu.allocation().1)
    }
}
