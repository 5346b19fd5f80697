//! Work that is captured once and replayed at the cost of one launch.
//!
//! While a thread captures, its work goes to a stream of the capture's own and does not run; other
//! threads go on undisturbed. Memory comes from where it always comes from, outside of the capture.
//! What the captured work uses is kept by the [`Graph`], replay after replay: a block made and
//! dropped within the capture may serve again within it, but every other one stays as it is.

use super::gpu::{Gpu, NON_BLOCKING};
use crate::error::{Error, ErrorKind, Result};
use cudarc::driver::sys::{self, CUresult, CUstream, CUstreamCaptureMode};
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::ptr::{from_ref, null_mut};
use std::sync::{Mutex, PoisonError};

thread_local! {
    /// The GPU whose work this thread captures, by its address, and the capture's stream.
    static CAPTURING: Cell<(usize, CUstream)> = const { Cell::new((0, null_mut())) };
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

/// The stream of this thread's capture, if it captures the work of this GPU.
#[inline]
pub(super) fn capturing(gpu: &Gpu) -> Option<CUstream> {
    let (captured, stream) = CAPTURING.get();
    (captured == from_ref(gpu).addr()).then_some(stream)
}

pub(super) fn capturing_any() -> bool {
    CAPTURING.get().0 != 0
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
    if capturing(gpu).is_some() {
        CAPTURE.with_borrow_mut(|c| {
            if c.made.contains(&pointer) {
                c.free.entry(size).or_default().push(pointer);
            }
        });
    }
}

/// The blocks that a graph uses; dropping it gives those back that nobody else holds.
struct Pinned {
    gpu: &'static Gpu,
    pointers: HashSet<u64>,
}

impl Drop for Pinned {
    fn drop(&mut self) {
        for pointer in &self.pointers {
            let mut blocks = self.gpu.pool.blocks();
            if let Some(size) = blocks.unpin(*pointer) {
                self.gpu.recycle(blocks, *pointer, size);
            }
        }
    }
}

/// Captured work. It keeps all the memory it uses.
pub(crate) struct Graph {
    /// CUDA lets one thread at a time launch it.
    launching: Mutex<sys::CUgraphExec>,
    pinned: Pinned,
}

// SAFETY: a handle of the CUDA driver may be used from every thread, and this one is behind a lock.
unsafe impl Send for Graph {}
// SAFETY: as above.
unsafe impl Sync for Graph {}

impl Graph {
    /// Replays the work on the GPU's stream, after all that went before.
    pub(crate) fn launch(&self, op: &'static str) -> Result<()> {
        let gpu = self.pinned.gpu;
        gpu.refuse_capture(op)?;
        gpu.bind(op)?;
        let graph = self.launching.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: the graph lives as long as `self`, and one thread launches it.
        gpu.check(op, "cuGraphLaunch", unsafe { sys::cuGraphLaunch(*graph, gpu.ordinary) })?;
        gpu.count_launch();
        Ok(())
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        let graph = *self.launching.get_mut().unwrap_or_else(PoisonError::into_inner);
        if self.pinned.gpu.bind("drop").is_ok() {
            // SAFETY: nobody else holds the graph; CUDA lets a replay under way finish first. The
            // blocks are given back after it, in the stream's order.
            _ = unsafe { sys::cuGraphExecDestroy(graph) };
        }
    }
}

/// A capture under way; dropped early, by an error or a panic, it leaves nothing behind.
struct Session {
    gpu: &'static Gpu,
    stream: CUstream,
}

impl Session {
    fn begin(gpu: &'static Gpu, op: &'static str) -> Result<Session> {
        let mut stream = null_mut();
        // SAFETY: the context is bound, and `stream` is written.
        gpu.check(op, "cuStreamCreate", unsafe { sys::cuStreamCreate(&mut stream, NON_BLOCKING) })?;
        let mode = CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
        // SAFETY: the stream was made above, and nothing else uses it.
        let code = unsafe { sys::cuStreamBeginCapture_v2(stream, mode) };
        let session = Session { gpu, stream };
        gpu.check(op, "cuStreamBeginCapture", code)?;
        CAPTURING.set((from_ref(gpu).addr(), stream));
        Ok(session)
    }

    /// Ends the capture, also one that failed.
    fn end(&mut self) -> (CUresult, sys::CUgraph, Pinned) {
        CAPTURING.set((0, null_mut()));
        let pointers = CAPTURE.take().pinned;
        let mut graph = null_mut();
        // The calls below report what is wrong where this does.
        _ = self.gpu.bind("capture");
        // SAFETY: the stream was made by `begin`, and is destroyed once: it is null afterwards.
        let code = unsafe {
            let code = sys::cuStreamEndCapture(self.stream, &mut graph);
            _ = sys::cuStreamDestroy_v2(self.stream);
            code
        };
        self.stream = null_mut();
        (code, graph, Pinned { gpu: self.gpu, pointers })
    }

    fn finish(mut self, op: &'static str) -> Result<Graph> {
        let gpu = self.gpu;
        let (code, graph, pinned) = self.end();
        gpu.check(op, "cuStreamEndCapture", code)?;
        let mut exec = null_mut();
        // SAFETY: the graph is complete, and is destroyed once; `exec` is written.
        let code = unsafe {
            let code = sys::cuGraphInstantiateWithFlags(&mut exec, graph, 0);
            _ = sys::cuGraphDestroy(graph);
            code
        };
        gpu.check(op, "cuGraphInstantiate", code)?;
        Ok(Graph { launching: Mutex::new(exec), pinned })
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if !self.stream.is_null() {
            let (_, graph, _pinned) = self.end();
            if !graph.is_null() {
                // SAFETY: the graph came from the capture, and nobody else has it.
                _ = unsafe { sys::cuGraphDestroy(graph) };
            }
        }
    }
}

/// While it lives, this thread may make calls that an ordinary capture forbids it, since they could
/// wait for the captured stream: those of this crate do not.
pub(super) struct Permit(CUstreamCaptureMode);

impl Permit {
    /// Nothing where this thread does not capture.
    #[inline]
    pub(super) fn within_capture() -> Option<Permit> {
        capturing_any().then(|| Permit(exchange(CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_RELAXED)))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        exchange(self.0);
    }
}

fn exchange(mut mode: CUstreamCaptureMode) -> CUstreamCaptureMode {
    // SAFETY: `mode` is read and written. An error leaves both as they are, and the call for whose
    // sake this is made then reports it.
    _ = unsafe { sys::cuThreadExchangeStreamCaptureMode(&mut mode) };
    mode
}

impl Gpu {
    /// Captures the work of `f` on this GPU in place of running it. Arrays that `f` makes have no
    /// values before the first launch; nothing within may wait for the GPU or copy to it from the
    /// host, and work that `f` gives to other threads is not captured.
    pub(crate) fn capture<R>(
        &'static self,
        op: &'static str,
        f: impl FnOnce() -> Result<R>,
    ) -> Result<(Graph, R)> {
        if capturing_any() {
            let message = "this thread is capturing a graph already: end that capture first";
            return Err(Error::new(ErrorKind::Device, op, message));
        }
        self.bind(op)?;
        let session = Session::begin(self, op)?;
        let value = f()?;
        Ok((session.finish(op)?, value))
    }

    /// Whether this thread's work on this GPU is being captured, so that no value can be read.
    #[inline]
    pub(crate) fn is_capturing(&self) -> bool {
        capturing(self).is_some()
    }
}
