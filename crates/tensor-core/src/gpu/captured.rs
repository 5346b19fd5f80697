//! The blocks of memory that a capture under way uses.

use super::context::Gpu;
use crate::error::Result;
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

thread_local! {
    static CAPTURE: RefCell<Capture> = RefCell::default();
}

/// The blocks of the capture under way on a thread.
#[derive(Default)]
struct Capture {
    /// All that its work may use.
    pinned: HashSet<u64>,
    /// Those of them that were made within it.
    made: HashSet<u64>,
    /// Those of them that were dropped within it too, by size.
    free: HashMap<usize, Vec<u64>>,
}

/// Nothing is captured any more: the blocks that the captured work uses.
pub(super) fn end() -> HashSet<u64> {
    CAPTURE.take().pinned
}

/// A block for work that is being captured.
pub(super) fn allocate(gpu: &Gpu, op: &'static str, size: usize, bytes: usize) -> Result<u64> {
    let freed = CAPTURE.with_borrow_mut(|c| c.free.get_mut(&size)?.pop());
    let kept = || gpu.pool.blocks().take(size);
    let pointer = match freed.or_else(kept) {
        Some(pointer) => pointer,
        None => gpu.fresh(op, size, bytes)?,
    };
    CAPTURE.with_borrow_mut(|c| c.made.insert(pointer));
    pin(gpu, pointer, size);
    gpu.pool.blocks().set_dropped(pointer, false);
    Ok(pointer)
}

/// Keeps a block as long as the graph that this thread is capturing.
pub(super) fn pin(gpu: &Gpu, pointer: u64, size: usize) {
    if CAPTURE.with_borrow_mut(|c| c.pinned.insert(pointer)) {
        gpu.pool.blocks().pin(pointer, size);
    }
}

/// A block that graphs use was dropped: the capture that made it may use it again.
pub(super) fn dropped(gpu: &Gpu, pointer: u64, size: usize) {
    if gpu.is_capturing() {
        CAPTURE.with_borrow_mut(|c| {
            if c.made.contains(&pointer) {
                c.free.entry(size).or_default().push(pointer);
            }
        });
    }
}
