//! What a file says of an array.

use crate::io::stored::Stored;
use crate::layout::Layout;
use crate::shape::{self, Dims};

/// More dimensions than this are a fault of the file; it is what NumPy allows.
pub(crate) const MOST_DIMENSIONS: usize = 64;

/// What a file says of an array.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Described {
    pub(crate) stored: Stored,
    pub(crate) big_endian: bool,
    pub(crate) shape: Dims,
    /// The first dimension is the fastest.
    pub(crate) fortran: bool,
}

impl Described {
    /// The bytes of the elements, None where no memory could hold them.
    pub(crate) fn bytes(&self) -> Option<u64> {
        let n = shape::numel("", &self.shape).ok()?;
        (n as u64).checked_mul(self.stored.size() as u64)
    }

    pub(crate) fn layout(&self) -> Layout {
        if !self.fortran {
            return Layout::row_major(self.shape.clone());
        }
        let last_first = Layout::row_major(self.shape.iter().rev().copied().collect());
        let reversed: Dims = (0..self.shape.len()).rev().collect();
        last_first.permute(&reversed)
    }
}
