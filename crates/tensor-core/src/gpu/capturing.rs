//! Whether this thread captures work in place of running it, and where that goes.

use cudarc::driver::sys::{self, CUstream, CUstreamCaptureMode};
use std::cell::Cell;
use std::ffi::c_uint;
use std::ptr::null_mut;

thread_local! {
    /// The GPU whose work this thread captures, by its address, and the capture's stream.
    static CAPTURING: Cell<(usize, CUstream)> = const { Cell::new((0, null_mut())) };
}

/// What a stream is made with.
pub(super) const NON_BLOCKING: c_uint = sys::CUstream_flags_enum::CU_STREAM_NON_BLOCKING as c_uint;

/// This thread captures the work of the GPU at this address, into this stream.
pub(super) fn begin(gpu: usize, stream: CUstream) {
    CAPTURING.set((gpu, stream));
}

/// This thread captures no more.
pub(super) fn end() {
    CAPTURING.set((0, null_mut()));
}

/// The stream of this thread's capture, if it captures the work of the GPU at this address.
#[inline]
pub(super) fn capturing(gpu: usize) -> Option<CUstream> {
    let (captured, stream) = CAPTURING.get();
    (captured == gpu).then_some(stream)
}

/// Whether this thread captures the work of any GPU.
pub(super) fn capturing_any() -> bool {
    CAPTURING.get().0 != 0
}

/// While it lives, this thread may make calls that an ordinary capture forbids it, since they could
/// wait for the captured stream: those of this crate do not.
pub(crate) struct Permit(CUstreamCaptureMode);

impl Permit {
    /// Nothing where this thread does not capture.
    #[inline]
    pub(crate) fn within_capture() -> Option<Permit> {
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
