//! Memory of a GPU: CUDA's own stream-ordered pool, and freed blocks kept in front of it.
//!
//! All work of a GPU runs in one stream, so a freed block can be handed out at once: what used it
//! runs before what uses it next.

use super::blocks::Blocks;
use super::capturing::Permit;
use super::context::Gpu;
use crate::error::{Error, Result};
use crate::heap::count::Stats;
use cudarc::driver::sys::{self, CUmemPool_attribute_enum as Attribute, CUresult};
use std::collections::BTreeMap;
use std::mem::take;
use std::sync::MutexGuard;

/// The cache may keep this much, or as much as was ever in use at one time.
const CACHE: usize = 64 << 20;

impl Gpu {
    /// A block from CUDA. Where there is none, all that is kept for reuse is given back first.
    pub(super) fn fresh(&self, op: &'static str, size: usize, bytes: usize) -> Result<u64> {
        self.bind(op)?;
        let _permit = Permit::within_capture();
        let mut pointer = 0;
        let mut ask = || match self.pool.handle {
            // SAFETY: the context is bound, the stream lives as long as `self`; `pointer` is written.
            Some(_) => unsafe { sys::cuMemAllocAsync(&mut pointer, size, self.ordinary) },
            // SAFETY: as above.
            None => unsafe { sys::cuMemAlloc_v2(&mut pointer, size) },
        };
        let mut code = ask();
        if code == CUresult::CUDA_ERROR_OUT_OF_MEMORY {
            self.give_back(op)?;
            code = ask();
        }
        if code == CUresult::CUDA_ERROR_OUT_OF_MEMORY {
            return Err(Error::out_of_memory(op, bytes));
        }
        self.check(op, "cuMemAllocAsync", code)?;
        Ok(pointer)
    }

    /// Gives everything that is kept for reuse back to the device.
    pub(crate) fn trim(&self, op: &'static str) -> Result<()> {
        self.bind(op)?;
        let _permit = Permit::within_capture();
        self.give_back(op)
    }

    fn give_back(&self, op: &'static str) -> Result<()> {
        let mut blocks = self.pool.blocks();
        blocks.cached = 0;
        let free = take(&mut blocks.free);
        drop(blocks);
        self.free(free);
        // SAFETY: the stream and the pool live as long as the process.
        unsafe {
            self.check(op, "cuStreamSynchronize", sys::cuStreamSynchronize(self.ordinary))?;
            match self.pool.handle {
                Some(pool) => self.check(op, "cuMemPoolTrimTo", sys::cuMemPoolTrimTo(pool, 0)),
                None => Ok(()),
            }
        }
    }

    /// Keeps freed blocks for reuse; past the limit all go back to CUDA's pool, which can cut them to
    /// other sizes.
    pub(super) fn recycle(&self, mut blocks: MutexGuard<'_, Blocks>, pointer: u64, size: usize) {
        blocks.free.entry(size).or_default().push(pointer);
        blocks.cached += size;
        if self.pool.handle.is_none() || blocks.cached > blocks.peak.max(CACHE) {
            blocks.cached = 0;
            let free = take(&mut blocks.free);
            drop(blocks);
            self.free(free);
        }
    }

    /// Frees blocks in the stream's order. Nothing is told of an error: the callers drop memory.
    fn free(&self, blocks: BTreeMap<usize, Vec<u64>>) {
        if blocks.is_empty() || self.bind("drop").is_err() {
            return;
        }
        let _permit = Permit::within_capture();
        for pointer in blocks.into_values().flatten() {
            // SAFETY: the block came from the same of the two, and nobody holds it any more.
            let code = unsafe {
                match self.pool.handle {
                    Some(_) => sys::cuMemFreeAsync(pointer, self.ordinary),
                    None => sys::cuMemFree_v2(pointer),
                }
            };
            // An error after which the device is lost is kept.
            _ = self.check("drop", "cuMemFreeAsync", code);
        }
    }

    /// What is in use and kept, and the copies so far.
    pub(crate) fn stats(&self) -> Stats {
        let (live, own, peak) = {
            let blocks = self.pool.blocks();
            (blocks.live + blocks.held, blocks.cached, blocks.peak)
        };
        let reserved = self.pool.bytes(Attribute::CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT);
        let used = self.pool.bytes(Attribute::CU_MEMPOOL_ATTR_USED_MEM_CURRENT);
        let pool = reserved.zip(used).map_or(0, |(reserved, used)| reserved.saturating_sub(used));
        let (to_device, to_host) = self.transfers.counts();
        Stats { live, cached: own + pool, peak, to_device, to_host }
    }

    /// Starts the peak anew from what is in use now.
    pub(crate) fn reset_peak(&self) {
        let mut blocks = self.pool.blocks();
        blocks.peak = blocks.live + blocks.held;
    }
}
