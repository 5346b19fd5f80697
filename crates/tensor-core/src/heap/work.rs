//! What kernels work in: vectors asked for where no error can be returned.

use super::buffer::{Buffer, trim};
use super::vectors;
use crate::element::Element;
use crate::error::{Error, ErrorKind, Result, failure_behind};
use faer::dyn_stack::{MemBuffer, StackReq};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Runs `f`; an operation in it that returns no `Result` and found no memory ends it with
/// [`ErrorKind::OutOfMemory`], and one that was asked to find what is not finite and did with
/// [`ErrorKind::NotFinite`]. Other panics go on.
///
/// # Errors
/// What `f` returns, and these two.
pub fn try_run<R>(f: impl FnOnce() -> Result<R>) -> Result<R> {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(result) => result,
        Err(panic) => match failure_behind(&*panic) {
            Some(error) if matches!(error.kind(), ErrorKind::OutOfMemory { .. } | ErrorKind::NotFinite) => {
                Err(error)
            }
            _ => Err(no_memory("try_run", panic)),
        },
    }
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

/// [`vectors::vector`] within a [`kernel`].
pub(crate) fn vector<T: Clone>(n: usize, x: T) -> Vec<T> {
    vectors::vector("", n, x).unwrap_or_else(|e| unwind(e))
}

/// [`Buffer::for_overwrite`] within a [`kernel`].
pub(crate) fn buffer<T: Element>(n: usize) -> Buffer<T> {
    Buffer::for_overwrite("", n).unwrap_or_else(|e| unwind(e))
}

/// [`Buffer::zeroed`] within a [`kernel`]: for work as large as a matrix, whose memory is then there for the next.
pub(crate) fn zeros<T: Element>(n: usize) -> Buffer<T> {
    Buffer::zeroed("", n).unwrap_or_else(|e| unwind(e))
}

/// [`vectors::collect`] within a [`kernel`].
pub(crate) fn collect<T>(items: impl IntoIterator<Item = T>) -> Vec<T> {
    vectors::collect("", items).unwrap_or_else(|e| unwind(e))
}

/// Working memory of faer's within a [`kernel`].
pub(crate) fn stack(size: StackReq) -> MemBuffer {
    MemBuffer::try_new(size).unwrap_or_else(|_| {
        trim();
        MemBuffer::try_new(size).unwrap_or_else(|_| unwind(Error::out_of_memory("", size.size_bytes())))
    })
}
