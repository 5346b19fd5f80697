//! Pinned buffers for copies between the host and a GPU.

use crate::heap::count::Copies;
use cudarc::driver::sys::{self, CUresult};
use std::ffi::c_uint;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The pinned buffers of a GPU, for each direction, and what was copied.
#[derive(Default)]
pub(super) struct Transfers {
    pub(super) to_device: Direction,
    pub(super) to_host: Direction,
}

/// Copies one way.
#[derive(Default)]
pub(super) struct Direction {
    /// The small and the large ones.
    rings: Mutex<[Ring; 2]>,
    count: AtomicU64,
    bytes: AtomicU64,
}

/// Buffers of one size, used in turn.
#[derive(Default)]
pub(super) struct Ring {
    /// None before the first use, and where no pinned memory was to be had.
    pub(super) slots: Vec<Slot>,
    tried: bool,
    pub(super) next: usize,
}

/// A pinned buffer.
pub(super) struct Slot {
    pub(super) memory: *mut u8,
    /// Comes after the last copy into or out of `memory`.
    pub(super) event: sys::CUevent,
    pub(super) pending: bool,
}

// SAFETY: the memory belongs to its slot alone, and a handle of the CUDA driver may be used from
// every thread.
unsafe impl Send for Slot {}

/// The sizes of the buffers, and how many there are: copies up to the first take one small buffer,
/// and others several large ones in turn. A piece of this size costs a small part of its copy.
const BUFFERS: [(usize, usize); 2] = [(64 << 10, 8), (1 << 20, 4)];

impl Transfers {
    /// To the device, and to the host.
    pub(super) fn counts(&self) -> (Copies, Copies) {
        let copies = |d: &Direction| Copies { count: d.count.load(Relaxed), bytes: d.bytes.load(Relaxed) };
        (copies(&self.to_device), copies(&self.to_host))
    }
}

impl Direction {
    pub(super) fn count(&self, bytes: usize) {
        self.count.fetch_add(1, Relaxed);
        self.bytes.fetch_add(bytes as u64, Relaxed);
    }

    pub(super) fn rings(&self) -> MutexGuard<'_, [Ring; 2]> {
        self.rings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    /// The ring for a copy of so many bytes, and the size of its buffers. The context is bound.
    pub(super) fn of(rings: &mut [Ring; 2], bytes: usize) -> (&mut Ring, usize) {
        let kind = usize::from(bytes > BUFFERS[0].0);
        let (size, count) = BUFFERS[kind];
        let ring = &mut rings[kind];
        if !ring.tried {
            ring.tried = true;
            ring.slots = Ring::slots(size, count).unwrap_or_default();
        }
        (ring, size)
    }

    /// Pinned memory is not freed again: the GPU lives as long as the process.
    fn slots(size: usize, count: usize) -> Option<Vec<Slot>> {
        let mut slots = Vec::new();
        for _ in 0..count {
            let mut event = null_mut();
            // SAFETY: the context is bound, and `event` is written.
            let code = unsafe { sys::cuEventCreate(&mut event, NO_TIMING) };
            succeeded(code)?;
            slots.push(Slot { memory: null_mut(), event, pending: false });
        }
        let mut memory = null_mut();
        // Plain flags: the host reads write-combined memory very slowly.
        // SAFETY: the context is bound, and `memory` is written.
        succeeded(unsafe { sys::cuMemHostAlloc(&mut memory, size * count, 0) })?;
        for (i, slot) in slots.iter_mut().enumerate() {
            // SAFETY: within the `size * count` bytes allocated above.
            slot.memory = unsafe { memory.cast::<u8>().add(i * size) };
        }
        Some(slots)
    }
}

/// What an event is made with.
pub(super) const NO_TIMING: c_uint = sys::CUevent_flags_enum::CU_EVENT_DISABLE_TIMING as c_uint;

fn succeeded(code: CUresult) -> Option<()> {
    (code == CUresult::CUDA_SUCCESS).then_some(())
}
