//! What the CPU buffers take, what the cache holds, and how a caller survives running out.

use crate::buffer;
use crate::device::Device;
use crate::error::{Error, ErrorKind, Result};
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering::Relaxed};

/// Bytes of the buffers of all arrays on a device, and what was copied; arrays of one element on the CPU hold it
/// inline and count nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Bytes in use.
    pub live: usize,
    /// Bytes kept for reuse.
    pub cached: usize,
    /// The most bytes in use at one time since the start or [`reset_peak`]. Buffers smaller than
    /// 64 KiB enter that of the CPU when the next larger one is made.
    pub peak: usize,
    /// Copies from the host to this device; none for the CPU.
    pub to_device: Copies,
    /// Copies from this device to the host; none for the CPU.
    pub to_host: Copies,
}

/// Copies between the host and a GPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copies {
    /// How many.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// As [`stats`], for any device.
///
/// # Errors
/// Device, where it cannot be used.
pub fn stats_on(device: &Device) -> Result<Stats> {
    match *device {
        Device::Cpu => Ok(stats()),
        #[cfg(feature = "cuda")]
        Device::Cuda(ordinal) => Ok(crate::cuda::Gpu::get("memory::stats_on", ordinal)?.stats()),
        #[cfg(not(feature = "cuda"))]
        gpu => gpu.usable("memory::stats_on").map(|_| Stats::default()),
    }
}

/// As [`trim`], for any device.
///
/// # Errors
/// Device, where it cannot be used.
pub fn trim_on(device: &Device) -> Result<()> {
    match *device {
        Device::Cpu => trim(),
        #[cfg(feature = "cuda")]
        Device::Cuda(ordinal) => {
            crate::cuda::Gpu::get("memory::trim_on", ordinal)?.trim("memory::trim_on")?
        }
        #[cfg(not(feature = "cuda"))]
        gpu => drop(gpu.usable("memory::trim_on")?),
    }
    Ok(())
}

/// As [`reset_peak`], for any device.
///
/// # Errors
/// Device, where it cannot be used.
pub fn reset_peak_on(device: &Device) -> Result<()> {
    match *device {
        Device::Cpu => reset_peak(),
        #[cfg(feature = "cuda")]
        Device::Cuda(ordinal) => crate::cuda::Gpu::get("memory::reset_peak_on", ordinal)?.reset_peak(),
        #[cfg(not(feature = "cuda"))]
        gpu => drop(gpu.usable("memory::reset_peak_on")?),
    }
    Ok(())
}

/// The bytes in use, cached, and at the peak.
///
/// ```
/// use tensor_core::{Array, memory};
/// let before = memory::stats().live;
/// let a = Array::<f64>::zeros(&[1000])?;
/// assert_eq!(memory::stats().live - before, 8000);
/// # drop(a);
/// # Ok::<(), tensor_core::Error>(())
/// ```
pub fn stats() -> Stats {
    let live = live();
    PEAK.fetch_max(live, Relaxed);
    Stats {
        live: live.max(0) as usize,
        cached: CACHED.load(Relaxed),
        peak: PEAK.load(Relaxed).max(0) as usize,
        ..Stats::default()
    }
}

/// Gives the cached buffers back to the system's allocator.
pub fn trim() {
    buffer::trim_all();
}

/// Starts the peak anew from what is in use now.
pub fn reset_peak() {
    PEAK.store(live(), Relaxed);
}

/// Runs `f`; an operation in it that returns no `Result` and found no memory ends it with
/// [`ErrorKind::OutOfMemory`], and one that was asked to find what is not finite and did with
/// [`ErrorKind::NotFinite`]. Other panics go on.
///
/// # Errors
/// What `f` returns, and these two.
pub fn try_run<R>(f: impl FnOnce() -> Result<R>) -> Result<R> {
    FAILURE.take();
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(result) => result,
        Err(panic) => match FAILURE.take() {
            Some(error) if matches!(error.kind(), ErrorKind::OutOfMemory { .. } | ErrorKind::NotFinite) => {
                Err(error)
            }
            _ => resume_unwind(panic),
        },
    }
}

thread_local! {
    /// The error behind the panic under way on this thread.
    static FAILURE: RefCell<Option<Error>> = const { RefCell::new(None) };
    static STRIPE: Cell<usize> = const { Cell::new(usize::MAX) };
}

pub(crate) fn note_failure(error: Error) {
    FAILURE.set(Some(error));
}

/// Buffers from this many bytes on are cached and counted exactly.
pub(crate) const LARGE: usize = 64 << 10;

static LIVE: AtomicI64 = AtomicI64::new(0);
static PEAK: AtomicI64 = AtomicI64::new(0);
pub(crate) static CACHED: AtomicUsize = AtomicUsize::new(0);

/// Small buffers come and go by the million on many threads: each thread counts on a line of its
/// own, so that counting never makes two of them wait for each other.
#[repr(align(128))]
struct Stripe(AtomicI64);
static SMALL: [Stripe; 32] = [const { Stripe(AtomicI64::new(0)) }; 32];
static NEXT_STRIPE: AtomicUsize = AtomicUsize::new(0);

fn live() -> i64 {
    LIVE.load(Relaxed) + SMALL.iter().map(|s| s.0.load(Relaxed)).sum::<i64>()
}

/// Counts a buffer of `bytes` in, or out where negative.
#[inline]
pub(crate) fn count(bytes: isize) {
    if bytes.unsigned_abs() < LARGE {
        let mut stripe = STRIPE.get();
        if stripe == usize::MAX {
            stripe = NEXT_STRIPE.fetch_add(1, Relaxed) % SMALL.len();
            STRIPE.set(stripe);
        }
        SMALL[stripe].0.fetch_add(bytes as i64, Relaxed);
    } else {
        LIVE.fetch_add(bytes as i64, Relaxed);
        if bytes > 0 {
            PEAK.fetch_max(live(), Relaxed);
        }
    }
}

/// How many more bytes the cache may keep: cached and live together never exceed the peak, so the
/// cache does not make a program larger than it was by itself.
pub(crate) fn cache_room() -> usize {
    let used = live() + CACHED.load(Relaxed) as i64;
    (PEAK.load(Relaxed) - used).max(0) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Array, OrRaise};

    #[test]
    fn running_out_is_an_error_of_try_run_and_other_panics_go_on() {
        let huge = || Err::<Result<()>, _>(Error::out_of_memory("exp", 1 << 60)).or_raise();
        let e = try_run(huge).unwrap_err();
        assert_eq!((e.op(), e.kind()), ("exp", ErrorKind::OutOfMemory { bytes: 1 << 60 }));
        let other = || try_run(|| -> Result<()> { panic!("mine") });
        assert!(catch_unwind(other).is_err());
    }

    #[test]
    fn a_size_nobody_has_is_an_error() {
        let e = Array::<f64>::zeros(&[1 << 50]).unwrap_err();
        assert!(matches!(e.kind(), ErrorKind::OutOfMemory { .. }), "{e}");
    }
}
