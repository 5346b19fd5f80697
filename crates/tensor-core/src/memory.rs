//! What the CPU buffers take, what the cache holds, and how a caller survives running out.

use crate::buffer;
use crate::device::Device;
use crate::error::{Error, ErrorKind, Result};
use faer::dyn_stack::{MemBuffer, StackReq};
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
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
            _ => Err(no_memory("try_run", panic)),
        },
    }
}

/// An empty vector with room for `n` elements. Every vector whose length follows from a tensor begins with one of
/// these functions, since those of the standard library end the process where there is no memory.
///
/// # Errors
/// Out of memory.
pub fn room<T>(op: &'static str, n: usize) -> Result<Vec<T>> {
    let mut v = Vec::new();
    grow(op, &mut v, n)?;
    Ok(v)
}

/// Room for `more` elements behind those of `v`: as much again, where it has to be moved.
///
/// # Errors
/// Out of memory.
#[inline]
pub fn grow<T>(op: &'static str, v: &mut Vec<T>, more: usize) -> Result<()> {
    if v.capacity() - v.len() >= more { Ok(()) } else { grow_now(op, v, more) }
}

#[cold]
fn grow_now<T>(op: &'static str, v: &mut Vec<T>, more: usize) -> Result<()> {
    let bytes = v.len().saturating_add(more).saturating_mul(size_of::<T>());
    let reserve = |v: &mut Vec<T>| {
        let answer = match v.capacity() {
            0 => v.try_reserve_exact(more),
            _ => v.try_reserve(more),
        };
        answer.is_ok()
    };
    if could_have(bytes)
        && (reserve(v) || {
            trim();
            reserve(v)
        })
    {
        return Ok(());
    }
    Err(Error::out_of_memory(op, bytes))
}

/// An error where there is no memory for elements of type `T` in this shape: for operations that would take much
/// time before they ask for what their result needs. Small results are not asked for.
///
/// # Errors
/// Out of memory.
pub fn ask<T>(op: &'static str, shape: &[usize]) -> Result<()> {
    /// Bytes below which there is no long work.
    const SMALL: usize = 16 << 20;
    let bytes = crate::shape::numel(op, shape)?.checked_mul(size_of::<T>());
    match bytes {
        Some(bytes) if bytes < SMALL => Ok(()),
        Some(bytes) => room::<u8>(op, bytes).map(drop),
        None => Err(Error::out_of_memory(op, usize::MAX)),
    }
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

/// `n` times `x`.
///
/// ```
/// use tensor_core::{ErrorKind, memory};
/// assert_eq!(memory::vector("example", 3, 1.5)?, [1.5; 3]);
/// let e = memory::vector("example", usize::MAX / 8, 1.5).unwrap_err();
/// assert!(matches!(e.kind(), ErrorKind::OutOfMemory { .. }));
/// # Ok::<(), tensor_core::Error>(())
/// ```
///
/// # Errors
/// Out of memory.
pub fn vector<T: Clone>(op: &'static str, n: usize, x: T) -> Result<Vec<T>> {
    let mut v = room(op, n)?;
    v.resize(n, x);
    Ok(v)
}

/// The items one after another.
///
/// # Errors
/// Out of memory.
pub fn collect<T>(op: &'static str, items: impl IntoIterator<Item = T>) -> Result<Vec<T>> {
    let items = items.into_iter();
    let (least, most) = items.size_hint();
    let mut v = room(op, least)?;
    if most == Some(least) {
        // There is room for all of them.
        v.extend(items);
        return Ok(v);
    }
    for item in items {
        grow(op, &mut v, 1)?;
        v.push(item);
    }
    Ok(v)
}

/// What a kernel unwinds with where a vector that it works in found no memory.
struct NoMemory(usize);

/// The answer of a kernel, which may run on many threads. Signatures within it speak of numbers alone: where one
/// of the vectors below finds no memory, the kernel unwinds to here, from whatever thread, and prints nothing.
#[inline]
pub(crate) fn kernel<R>(op: &'static str, f: impl FnOnce() -> Result<R>) -> Result<R> {
    catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|panic| Err(no_memory(op, panic)))
}

/// The error of a kernel that found no memory; any other panic goes on.
#[cold]
fn no_memory(op: &'static str, panic: Box<dyn std::any::Any + Send>) -> Error {
    match panic.downcast::<NoMemory>() {
        Ok(lacking) => Error::out_of_memory(op, lacking.0),
        Err(panic) => resume_unwind(panic),
    }
}

#[cold]
fn unwind(e: Error) -> ! {
    let bytes = if let ErrorKind::OutOfMemory { bytes } = e.kind() { bytes } else { usize::MAX };
    resume_unwind(Box::new(NoMemory(bytes)))
}

/// [`vector`] within a [`kernel`].
pub(crate) fn work<T: Clone>(n: usize, x: T) -> Vec<T> {
    vector("", n, x).unwrap_or_else(|e| unwind(e))
}

/// [`collect`] within a [`kernel`].
pub(crate) fn gather<T>(items: impl IntoIterator<Item = T>) -> Vec<T> {
    collect("", items).unwrap_or_else(|e| unwind(e))
}

/// Working memory of faer's within a [`kernel`].
pub(crate) fn stack(size: StackReq) -> MemBuffer {
    MemBuffer::try_new(size).unwrap_or_else(|_| {
        trim();
        MemBuffer::try_new(size).unwrap_or_else(|_| unwind(Error::out_of_memory("", size.size_bytes())))
    })
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
    fn kernels_end_with_an_error_on_any_thread_and_say_nothing() {
        let huge = || kernel("mm", || Ok(work(usize::MAX / 16, 1.0f64).len()));
        assert!(matches!(huge().unwrap_err().kind(), ErrorKind::OutOfMemory { .. }));
        let far = kernel("mm", || Ok(rayon::join(|| 1, || gather(0..usize::MAX / 16).len()).1));
        assert_eq!(far.unwrap_err().op(), "mm");
        let outside = try_run(|| Ok(stack(StackReq::new::<f64>(1 << 56)).len()));
        assert!(matches!(outside.unwrap_err().kind(), ErrorKind::OutOfMemory { .. }));
        assert!(catch_unwind(|| kernel("mm", || -> Result<()> { panic!("mine") })).is_err());
    }

    #[test]
    fn what_the_machine_does_not_have_is_refused() {
        assert!(could_have(1 << 20) && !could_have(1 << 60));
        assert!(ask::<f64>("example", &[1 << 40]).is_err() && ask::<f64>("example", &[1 << 10]).is_ok());
        assert!(ask::<[f64; 100]>("example", &[1 << 58]).is_err());
        let mut v = room::<u8>("example", 3).unwrap();
        v.extend([1, 2, 3]);
        grow("example", &mut v, 1).unwrap();
        assert!(grow("example", &mut v, usize::MAX).is_err() && v == [1, 2, 3]);
    }

    #[test]
    fn a_size_nobody_has_is_an_error() {
        let e = Array::<f64>::zeros(&[1 << 50]).unwrap_err();
        assert!(matches!(e.kind(), ErrorKind::OutOfMemory { .. }), "{e}");
    }
}
