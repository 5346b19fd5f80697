//! Work that is captured once and replayed at the cost of one launch.
//!
//! While a thread captures, its work goes to a stream of the capture's own and does not run; other
//! threads go on undisturbed. Memory comes from where it always comes from, outside of the capture.
//! What the captured work uses is kept by the [`Graph`], replay after replay: a block made and
//! dropped within the capture may serve again within it, but every other one stays as it is.

use super::captured;
use super::capturing::{self, NON_BLOCKING, capturing_any};
use super::context::Gpu;
use crate::error::{Error, ErrorKind, Result};
use cudarc::driver::sys::{self, CUresult, CUstream, CUstreamCaptureMode};
use std::collections::HashSet;
use std::ptr::{from_ref, null_mut};
use std::sync::{Mutex, PoisonError};

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
        capturing::begin(from_ref(gpu).addr(), stream);
        Ok(session)
    }

    /// Ends the capture, also one that failed.
    fn end(&mut self) -> (CUresult, sys::CUgraph, Pinned) {
        capturing::end();
        let pointers = captured::end();
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
}
