//! A block of memory of a GPU, owned.

use super::captured;
use super::context::Gpu;
use crate::error::{Error, Result};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// A block of memory of a GPU. Dropping it gives it back in the stream's order, from any thread.
pub(crate) struct Allocation {
    pointer: u64,
    bytes: usize,
    gpu: &'static Gpu,
    /// Whether a captured graph may use it.
    pinned: AtomicBool,
}

impl Gpu {
    /// A block of so many bytes, uninitialised; none at all where there are none.
    pub(crate) fn allocate(&'static self, op: &'static str, bytes: usize) -> Result<Allocation> {
        let made =
            |pointer, pinned| Allocation { pointer, bytes, gpu: self, pinned: AtomicBool::new(pinned) };
        if bytes == 0 {
            return Ok(made(0, false));
        }
        self.alive(op)?;
        if bytes > self.total_memory() {
            return Err(Error::out_of_memory(op, bytes));
        }
        let size = self.pool.size(bytes);
        if self.is_capturing() {
            let pointer = captured::allocate(self, op, size, bytes)?;
            self.pool.blocks().count(bytes);
            return Ok(made(pointer, true));
        }
        let mut blocks = self.pool.blocks();
        if let Some(pointer) = blocks.take(size) {
            blocks.count(bytes);
            return Ok(made(pointer, false));
        }
        drop(blocks);
        let pointer = self.fresh(op, size, bytes)?;
        self.pool.blocks().count(bytes);
        Ok(made(pointer, false))
    }
}

impl Allocation {
    /// Where it begins; 0 where it is empty. A graph that this thread is capturing keeps the memory
    /// from here on, so take the pointer where the work is built.
    #[inline]
    pub(crate) fn pointer(&self) -> u64 {
        if self.bytes != 0 && self.gpu.is_capturing() {
            captured::pin(self.gpu, self.pointer, self.gpu.pool.size(self.bytes));
            self.pinned.store(true, Relaxed);
        }
        self.pointer
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn gpu(&self) -> &'static Gpu {
        self.gpu
    }
}

impl Drop for Allocation {
    fn drop(&mut self) {
        if self.bytes == 0 {
            return;
        }
        let size = self.gpu.pool.size(self.bytes);
        let mut blocks = self.gpu.pool.blocks();
        blocks.live -= self.bytes;
        if *self.pinned.get_mut() && blocks.set_dropped(self.pointer, true) {
            drop(blocks);
            captured::dropped(self.gpu, self.pointer, size);
            return;
        }
        self.gpu.recycle(blocks, self.pointer, size);
    }
}
