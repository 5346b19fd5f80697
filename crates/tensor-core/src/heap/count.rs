//! What the buffers take and what the cache holds, and whether there is room for more.

use std::cell::Cell;
#[cfg(target_os = "linux")]
use std::sync::OnceLock;
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

/// The bytes in use, cached, and at the peak.
///
/// ```
/// use tapegrad::{Array, memory};
/// let before = memory::stats().live;
/// let a = Array::<f64>::zeros(&[1000])?;
/// assert_eq!(memory::stats().live - before, 8000);
/// # drop(a);
/// # Ok::<(), tapegrad::Error>(())
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

/// Starts the peak anew from what is in use now.
pub fn reset_peak() {
    PEAK.store(live(), Relaxed);
}

/// Whether the process could have `bytes` beside its arrays. Linux promises more memory than the machine has, and ends
/// the process when it is written to.
pub(crate) fn could_have(bytes: usize) -> bool {
    /// Bytes from which it is worth asking.
    const MUCH: usize = 64 << 20;
    bytes < MUCH || bytes.saturating_add(live().max(0) as usize) <= machine()
}

/// The memory of the machine, or of the container that the process runs in, with what may be moved to disk.
#[cfg(target_os = "linux")]
fn machine() -> usize {
    static MACHINE: OnceLock<usize> = OnceLock::new();
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let number = |path: &str| read(path).and_then(|text| text.trim().parse::<usize>().ok());
    *MACHINE.get_or_init(|| {
        let table = read("/proc/meminfo").unwrap_or_default();
        let kilobytes = |name: &str| {
            let line = table.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok())
        };
        let swap = kilobytes("SwapTotal:").unwrap_or(0).saturating_mul(1024);
        let whole =
            kilobytes("MemTotal:").map_or(usize::MAX, |k| k.saturating_mul(1024).saturating_add(swap));
        // Control groups of version 2, then of version 1, as a container sees its own.
        let limit = number("/sys/fs/cgroup/memory.max")
            .map(|limit| limit.saturating_add(number("/sys/fs/cgroup/memory.swap.max").unwrap_or(swap)))
            .or_else(|| number("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes"));
        limit.map_or(whole, |limit| limit.min(whole))
    })
}

#[cfg(not(target_os = "linux"))]
fn machine() -> usize {
    usize::MAX
}

thread_local! {
    static STRIPE: Cell<usize> = const { Cell::new(usize::MAX) };
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
