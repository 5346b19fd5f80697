//! Memory of a GPU: CUDA's own stream-ordered pool, and freed blocks kept in front of it.
//!
//! All work of a GPU runs in one stream, so a freed block can be handed out at once: what used it
//! runs before what uses it next.

use super::gpu::{Gpu, check};
use super::graph::{self, Permit};
use crate::error::{Error, Result};
use crate::memory::Stats;
use cudarc::driver::sys::{self, CUmemPool_attribute_enum as Attribute, CUresult};
use std::collections::{BTreeMap, HashMap};
use std::ffi::c_void;
use std::mem::take;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A block of memory of a GPU. Dropping it gives it back in the stream's order, from any thread.
pub(crate) struct Allocation {
    pointer: u64,
    bytes: usize,
    gpu: &'static Gpu,
    /// Whether a captured graph may use it.
    pinned: AtomicBool,
}

pub(super) struct Pool {
    /// CUDA's pool; without one, memory is allocated and freed directly.
    pub(super) handle: Option<sys::CUmemoryPool>,
    blocks: Mutex<Blocks>,
}

/// Sizes from the pool are multiples of this, CUDA's own granularity.
const GRAIN: usize = 512;
/// The cache may keep this much, or as much as was ever in use at one time.
const CACHE: usize = 64 << 20;

#[derive(Default)]
pub(super) struct Blocks {
    /// Freed blocks by their exact size.
    free: BTreeMap<usize, Vec<u64>>,
    cached: usize,
    live: usize,
    /// Dropped, and held by graphs alone.
    held: usize,
    peak: usize,
    /// The blocks that captured graphs use.
    pins: HashMap<u64, Pin>,
}

/// A block that captured graphs use: it is not given back before the last of them is gone.
struct Pin {
    graphs: usize,
    size: usize,
    dropped: bool,
}

impl Pool {
    /// The pool of the device whose context is bound. It keeps its memory: by default it would give
    /// all of it back whenever the program waits for the device. `TAPEGRAD_CUDA_POOL=off` goes
    /// without it, so that compute-sanitizer sees the bounds of every block.
    pub(super) fn start(op: &'static str, device: sys::CUdevice, supported: bool) -> Result<Pool> {
        let mut pool = Pool { handle: None, blocks: Mutex::default() };
        if supported && std::env::var_os("TAPEGRAD_CUDA_POOL").is_none_or(|v| v != "off") {
            let mut handle = null_mut();
            let mut threshold = u64::MAX;
            // SAFETY: the device exists; `handle` is written, and the threshold is read as 8 bytes.
            unsafe {
                let code = sys::cuDeviceGetDefaultMemPool(&mut handle, device);
                check(op, "cuDeviceGetDefaultMemPool", code)?;
                let value = (&raw mut threshold).cast::<c_void>();
                let code =
                    sys::cuMemPoolSetAttribute(handle, Attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, value);
                check(op, "cuMemPoolSetAttribute", code)?;
            }
            pool.handle = Some(handle);
        }
        Ok(pool)
    }

    pub(super) fn blocks(&self) -> MutexGuard<'_, Blocks> {
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn size(&self, bytes: usize) -> usize {
        if self.handle.is_some() { bytes.next_multiple_of(GRAIN) } else { bytes }
    }

    fn bytes(&self, attribute: Attribute) -> Option<usize> {
        let mut bytes = 0u64;
        // SAFETY: the pool lives as long as the process, and these attributes are of 8 bytes.
        let code =
            unsafe { sys::cuMemPoolGetAttribute(self.handle?, attribute, (&raw mut bytes).cast::<c_void>()) };
        (code == CUresult::CUDA_SUCCESS).then_some(bytes as usize)
    }
}

impl Blocks {
    pub(super) fn take(&mut self, size: usize) -> Option<u64> {
        let pointer = self.free.get_mut(&size)?.pop()?;
        self.cached -= size;
        Some(pointer)
    }

    pub(super) fn count(&mut self, bytes: usize) {
        self.live += bytes;
        self.peak = self.peak.max(self.live + self.held);
    }

    /// Whether a block that graphs use is held by nobody else.
    pub(super) fn set_dropped(&mut self, pointer: u64, dropped: bool) -> bool {
        let Some(pin) = self.pins.get_mut(&pointer) else { return false };
        match (pin.dropped, dropped) {
            (false, true) => self.held += pin.size,
            (true, false) => self.held -= pin.size,
            _ => (),
        }
        pin.dropped = dropped;
        true
    }

    pub(super) fn pin(&mut self, pointer: u64, size: usize) {
        self.pins.entry(pointer).or_insert(Pin { graphs: 0, size, dropped: false }).graphs += 1;
    }

    /// A graph that used a block is gone: the size of the block, if it was the last to hold it.
    pub(super) fn unpin(&mut self, pointer: u64) -> Option<usize> {
        let pin = self.pins.get_mut(&pointer)?;
        pin.graphs -= 1;
        if pin.graphs != 0 {
            return None;
        }
        let Pin { size, dropped, .. } = self.pins.remove(&pointer)?;
        dropped.then(|| {
            self.held -= size;
            size
        })
    }
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
            let pointer = graph::allocate(self, op, size, bytes)?;
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

impl Allocation {
    /// Where it begins; 0 where it is empty. A graph that this thread is capturing keeps the memory
    /// from here on, so take the pointer where the work is built.
    #[inline]
    pub(crate) fn pointer(&self) -> u64 {
        if self.bytes != 0 && self.gpu.is_capturing() {
            graph::pin(self.gpu, self.pointer, self.gpu.pool.size(self.bytes));
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
            graph::dropped(self.gpu, self.pointer, size);
            return;
        }
        self.gpu.recycle(blocks, self.pointer, size);
    }
}
