//! The memory of a GPU as it is known on the host: CUDA's own stream-ordered pool, and the blocks in use and kept.

use super::fault::check;
use crate::error::Result;
use cudarc::driver::sys::{self, CUmemPool_attribute_enum as Attribute, CUresult};
use std::collections::{BTreeMap, HashMap};
use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// CUDA's pool, and the blocks that came from it.
pub(super) struct Pool {
    /// CUDA's pool; without one, memory is allocated and freed directly.
    pub(super) handle: Option<sys::CUmemoryPool>,
    blocks: Mutex<Blocks>,
}

/// Sizes from the pool are multiples of this, CUDA's own granularity.
const GRAIN: usize = 512;

#[derive(Default)]
pub(super) struct Blocks {
    /// Freed blocks by their exact size.
    pub(super) free: BTreeMap<usize, Vec<u64>>,
    pub(super) cached: usize,
    pub(super) live: usize,
    /// Dropped, and held by graphs alone.
    pub(super) held: usize,
    pub(super) peak: usize,
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

    pub(super) fn size(&self, bytes: usize) -> usize {
        if self.handle.is_some() { bytes.next_multiple_of(GRAIN) } else { bytes }
    }

    pub(super) fn bytes(&self, attribute: Attribute) -> Option<usize> {
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
