//! GPUs as machines: contexts, streams, memory, copies and captured work. Arrays and kernels are built on these.

pub(crate) mod allocation;
mod blocks;
mod captured;
pub(crate) mod capturing;
pub(crate) mod context;
mod fault;
pub(crate) mod graph;
pub(crate) mod libraries;
mod pool;
mod rings;
mod transfer;
