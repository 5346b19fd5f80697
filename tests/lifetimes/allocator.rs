//! The allocator of this program: the system's, which counts, and refuses where a test wants it to.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

struct Refusing;

/// How often memory was asked for.
static ASKED: AtomicUsize = AtomicUsize::new(0);
/// How often a large stretch of it was, while some are to be refused.
static LARGE_ASKED: AtomicUsize = AtomicUsize::new(0);
/// The first and the last of these that are refused, counted from 1; none where the first is 0.
static REFUSED: [AtomicUsize; 2] = [AtomicUsize::new(0), AtomicUsize::new(0)];

/// Bytes above which memory may be refused. What is smaller a program cannot do without, not even for its errors.
const SMALL: usize = 16 << 10;

/// The packing memory of products, which each thread takes once, is aligned like a page: its size follows from the
/// caches of the machine and not from any tensor.
const PAGE: usize = 4096;

#[global_allocator]
static ALLOCATOR: Refusing = Refusing;

fn refuses(size: usize, align: usize) -> bool {
    ASKED.fetch_add(1, Relaxed);
    let first = REFUSED[0].load(Relaxed);
    if first == 0 || size <= SMALL || align >= PAGE {
        return false;
    }
    let k = LARGE_ASKED.fetch_add(1, Relaxed) + 1;
    (first..=REFUSED[1].load(Relaxed)).contains(&k)
}

// SAFETY: every call is passed on to the system's allocator as it is, or answered by null, which means that there is no
// memory.
unsafe impl GlobalAlloc for Refusing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are those of the system's allocator.
        if refuses(layout.size(), layout.align()) {
            std::ptr::null_mut()
        } else {
            // SAFETY: the caller's promises are those of the system's allocator.
            unsafe { System.alloc(layout) }
        }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        match refuses(layout.size(), layout.align()) {
            true => std::ptr::null_mut(),
            // SAFETY: as above.
            false => unsafe { System.alloc_zeroed(layout) },
        }
    }
    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        match refuses(size, layout.align()) {
            true => std::ptr::null_mut(),
            // SAFETY: as above.
            false => unsafe { System.realloc(place, layout, size) },
        }
    }
    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(place, layout) }
    }
}

/// How often memory was asked for so far.
pub fn asked() -> usize {
    ASKED.load(Relaxed)
}

/// Runs `f` while large stretches of memory are refused from the first to the last of these numbers on, on every
/// thread; how many were asked for.
pub fn refuse<R>(first: usize, last: usize, f: impl FnOnce() -> R) -> (R, usize) {
    LARGE_ASKED.store(0, Relaxed);
    REFUSED[1].store(last, Relaxed);
    REFUSED[0].store(first, Relaxed);
    let result = f();
    REFUSED[0].store(0, Relaxed);
    (result, LARGE_ASKED.load(Relaxed))
}
