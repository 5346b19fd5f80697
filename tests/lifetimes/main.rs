//! What lives how long: memory, graphs deeper than any stack, random numbers, and threads. One program, for which the kernels are
//! compiled once, and one test at a time, since memory is counted for the whole process.

mod allocator;
mod deep_graph;
mod draws;
mod memory;
mod starving;
mod threads;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Held by each test.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}
