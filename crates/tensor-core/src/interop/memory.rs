//! Memory of other owners, by its address.

use crate::array::Memory;
use std::ptr::NonNull;

/// A stretch of memory and what keeps it.
pub(super) struct Stretch<O, T> {
    start: NonNull<T>,
    len: usize,
    _owner: O,
}

impl<O, T> Stretch<O, T> {
    /// # Safety
    /// While `owner` lives, wherever it is moved to, `len` initialised elements lie from `start` on, in one
    /// allocation, and nothing changes them.
    pub(super) unsafe fn new(owner: O, start: NonNull<T>, len: usize) -> Self {
        Stretch { start, len, _owner: owner }
    }
}

// SAFETY: the elements are only read, and the owner may be sent.
unsafe impl<O: Send, T: Sync> Send for Stretch<O, T> {}
// SAFETY: the elements are only read, and the owner may be shared.
unsafe impl<O: Sync, T: Sync> Sync for Stretch<O, T> {}

// SAFETY: address and length never change, and `new` was promised that the elements stay.
unsafe impl<O: Send + Sync, T: Send + Sync> Memory<T> for Stretch<O, T> {
    fn elements(&self) -> &[T] {
        // SAFETY: as promised to `new`, for as long as the owner lives, which is in here.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}
