//! The calls of MPI that are not safe by themselves: those that go on reading or writing memory after they have returned, and
//! those that begin and end MPI. The `mpi` crate's own requests cannot be given up when a time is over: they wait when they
//! are dropped.

#![expect(unsafe_code, reason = "calls of a C library")]

use crate::transport::{Landing, Message, Outgoing};
use mpi::ffi;
use std::ffi::{c_int, c_void};
use std::mem::{forget, zeroed};
use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard, PoisonError};

type Done<V> = Result<V, String>;

/// Held during every call.
fn lock() -> MutexGuard<'static, ()> {
    static LOCK: Mutex<()> = Mutex::new(());
    LOCK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What MPI says of a code that it returned.
fn checked(code: c_int) -> Done<()> {
    if code == ffi::MPI_SUCCESS as c_int {
        return Ok(());
    }
    let mut text = [0u8; ffi::MPI_MAX_ERROR_STRING as usize];
    let mut len: c_int = 0;
    // SAFETY: the buffer has the length that MPI asks for.
    unsafe { ffi::MPI_Error_string(code, text.as_mut_ptr().cast(), &mut len) };
    Err(String::from_utf8_lossy(&text[..(len.max(0) as usize).min(text.len())]).into_owned())
}

/// Begins MPI, unless the program has, and has it ended with the process.
pub(super) fn begin() -> Done<()> {
    if mpi::environment::is_initialized() {
        return match mpi::environment::threading_support() {
            mpi::Threading::Serialized | mpi::Threading::Multiple => Ok(()),
            other => Err(format!(
                "the program began it with {other:?}: begin it with Threading::Serialized, at least"
            )),
        };
    }
    match mpi::initialize_with_threading(mpi::Threading::Serialized) {
        Some((universe, mpi::Threading::Serialized | mpi::Threading::Multiple)) => {
            // Ended by `end`, and not by a handle that would have to outlive every group.
            forget(universe);
        }
        Some((_, other)) => return Err(format!("it offers {other:?}, and Threading::Serialized is needed")),
        None => return Err("it does not begin".into()),
    }
    // SAFETY: the function is there for the whole life of the process, and takes what is handed to it.
    unsafe { at_exit() };
    Ok(())
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
unsafe fn at_exit() {
    unsafe extern "C" {
        fn on_exit(function: extern "C" fn(c_int, *mut c_void), argument: *mut c_void) -> c_int;
    }
    extern "C" fn ended(code: c_int, _: *mut c_void) {
        end(code);
    }
    // SAFETY: glibc's own declaration.
    unsafe { on_exit(ended, std::ptr::null_mut()) };
}

/// Elsewhere the code of the process is not known when it ends.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
unsafe fn at_exit() {
    unsafe extern "C" {
        fn atexit(function: extern "C" fn()) -> c_int;
    }
    extern "C" fn ended() {
        end(0);
    }
    // SAFETY: the C library's own declaration.
    unsafe { atexit(ended) };
}

/// Ends MPI with the process. With an error, or where an exchange was given up, the others would wait for this process
/// here: the job ends.
fn end(code: c_int) {
    if mpi::environment::is_finalized() {
        return;
    }
    if code != 0 || super::BROKEN.load(Ordering::Acquire) {
        abort(if code == 0 { 1 } else { code });
    }
    let _lock = lock();
    // SAFETY: MPI was begun, and has not ended.
    unsafe { ffi::MPI_Finalize() };
}

pub(super) fn abort(code: c_int) -> ! {
    // SAFETY: MPI was begun.
    unsafe { ffi::MPI_Abort(ffi::RSMPI_COMM_WORLD, code) };
    std::process::abort()
}

/// A communicator of its own, whose errors are returned.
pub(super) struct Communicator {
    raw: ffi::MPI_Comm,
    rank: usize,
    size: usize,
}

// SAFETY: a communicator is a handle; calls of several threads are kept apart by the lock.
unsafe impl Send for Communicator {}
// SAFETY: as above.
unsafe impl Sync for Communicator {}

impl Communicator {
    /// That of all processes, apart from what the program itself sends.
    pub(super) fn world() -> Done<Self> {
        let _lock = lock();
        // SAFETY: MPI was begun, and the handle is written by it.
        unsafe {
            let mut raw = zeroed();
            checked(ffi::MPI_Comm_dup(ffi::RSMPI_COMM_WORLD, &mut raw))?;
            Communicator::of(raw)
        }
    }

    /// # Safety
    /// A communicator that is valid, with the lock held.
    unsafe fn of(raw: ffi::MPI_Comm) -> Done<Self> {
        let (mut rank, mut size) = (0, 0);
        // SAFETY: as promised.
        unsafe {
            checked(ffi::MPI_Comm_set_errhandler(raw, ffi::RSMPI_ERRORS_RETURN))?;
            checked(ffi::MPI_Comm_rank(raw, &mut rank))?;
            checked(ffi::MPI_Comm_size(raw, &mut size))?;
        }
        Ok(Communicator { raw, rank: rank as usize, size: size as usize })
    }

    pub(super) fn rank(&self) -> usize {
        self.rank
    }

    pub(super) fn size(&self) -> usize {
        self.size
    }

    pub(super) fn split(&self, color: Option<i32>, key: i32) -> Done<Option<Self>> {
        let _lock = lock();
        // SAFETY: the communicator is valid, and the new handle is written by MPI.
        unsafe {
            let mut raw = zeroed();
            let color = color.unwrap_or(ffi::RSMPI_UNDEFINED);
            checked(ffi::MPI_Comm_split(self.raw, color, key, &mut raw))?;
            if raw == ffi::RSMPI_COMM_NULL { Ok(None) } else { Communicator::of(raw).map(Some) }
        }
    }

    pub(super) fn split_by_machine(&self) -> Done<Self> {
        let _lock = lock();
        // SAFETY: as for `split`.
        unsafe {
            let mut raw = zeroed();
            let kind = ffi::RSMPI_COMM_TYPE_SHARED;
            checked(ffi::MPI_Comm_split_type(self.raw, kind, 0, ffi::RSMPI_INFO_NULL, &mut raw))?;
            Communicator::of(raw)
        }
    }

    /// Begins to send, in messages of at most `most` bytes.
    pub(super) fn send(&self, message: Outgoing, to: usize, tag: i32, most: usize) -> Done<Pending> {
        let mut pending = Pending::default();
        for part in message.bytes().chunks(most) {
            let _lock = lock();
            // SAFETY: the bytes stay where they are as long as the message does, which `pending` holds, or forgets.
            pending.requests.push(unsafe {
                let mut request = zeroed();
                let (start, len) = (part.as_ptr().cast::<c_void>(), part.len() as c_int);
                let (kind, to) = (ffi::RSMPI_UINT8_T, to as c_int);
                checked(ffi::MPI_Isend(start, len, kind, to, tag, self.raw, &mut request))?;
                request
            });
        }
        pending.sent = Some(message);
        Ok(pending)
    }

    /// Begins to receive, in messages of at most `most` bytes.
    pub(super) fn receive(&self, mut landing: Landing, from: usize, tag: i32, most: usize) -> Done<Pending> {
        let mut pending = Pending::default();
        for part in landing.bytes_mut().chunks_mut(most) {
            let _lock = lock();
            // SAFETY: nothing else sees the bytes until the request has ended: `pending` holds them, or forgets them.
            pending.requests.push(unsafe {
                let mut request = zeroed();
                let (start, len) = (part.as_mut_ptr().cast::<c_void>(), part.len() as c_int);
                let (kind, from) = (ffi::RSMPI_UINT8_T, from as c_int);
                checked(ffi::MPI_Irecv(start, len, kind, from, tag, self.raw, &mut request))?;
                request
            });
        }
        pending.landing = Some(landing);
        Ok(pending)
    }

    /// Begins to gather, of fewer than 2^31 bytes together.
    pub(super) fn all_gather(&self, own: Outgoing, counts: &[usize], mut into: Landing) -> Done<Pending> {
        let counts: Vec<c_int> = counts.iter().map(|&c| c as c_int).collect();
        let mut end = 0;
        let starts: Vec<c_int> = counts
            .iter()
            .map(|&c| {
                end += c;
                end - c
            })
            .collect();
        let place = into.bytes_mut();
        assert!(
            counts.len() == self.size
                && place.len() == end as usize
                && own.bytes().len() == counts[self.rank] as usize
        );
        let _lock = lock();
        // SAFETY: the lengths are those that were just compared; `pending` holds all memory, or forgets it.
        let request = unsafe {
            let mut request = zeroed();
            checked(ffi::MPI_Iallgatherv(
                own.bytes().as_ptr().cast(),
                counts[self.rank],
                ffi::RSMPI_UINT8_T,
                place.as_mut_ptr().cast(),
                counts.as_ptr(),
                starts.as_ptr(),
                ffi::RSMPI_UINT8_T,
                self.raw,
                &mut request,
            ))?;
            request
        };
        Ok(Pending {
            requests: vec![request],
            sent: Some(own),
            landing: Some(into),
            counts: vec![counts, starts],
        })
    }

    /// Begins a broadcast, in messages of at most `most` bytes.
    pub(super) fn broadcast(&self, mut message: Message, root: usize, most: usize) -> Done<Pending> {
        let (start, len) = match &mut message {
            // MPI only reads the root's.
            Message::Sent(x) => (x.bytes().as_ptr().cast_mut(), x.bytes().len()),
            Message::Awaited(x) => (x.bytes_mut().as_mut_ptr(), x.bytes_mut().len()),
        };
        let mut pending = Pending::default();
        for first in (0..len).step_by(most) {
            let _lock = lock();
            // SAFETY: the part lies within the memory, which `pending` holds, or forgets.
            pending.requests.push(unsafe {
                let mut request = zeroed();
                let (start, len) = (start.add(first).cast::<c_void>(), (len - first).min(most) as c_int);
                let (kind, root) = (ffi::RSMPI_UINT8_T, root as c_int);
                checked(ffi::MPI_Ibcast(start, len, kind, root, self.raw, &mut request))?;
                request
            });
        }
        match message {
            Message::Sent(x) => pending.sent = Some(x),
            Message::Awaited(x) => pending.landing = Some(x),
        }
        Ok(pending)
    }
}

/// What MPI works at, and its memory: freed when MPI is done with it, and leaked where it is given up before.
#[derive(Default)]
pub(super) struct Pending {
    requests: Vec<ffi::MPI_Request>,
    sent: Option<Outgoing>,
    landing: Option<Landing>,
    counts: Vec<Vec<c_int>>,
}

impl Pending {
    /// Whether it has ended.
    pub(super) fn poll(&mut self) -> Done<bool> {
        while let Some(request) = self.requests.last_mut() {
            let mut ended = 0;
            let _lock = lock();
            // SAFETY: the request was begun, and its memory is held here. MPI resets the handle of one that has ended.
            checked(unsafe { ffi::MPI_Test(request, &mut ended, ffi::RSMPI_STATUS_IGNORE) })?;
            if ended == 0 {
                return Ok(false);
            }
            self.requests.pop();
        }
        Ok(true)
    }

    /// What has arrived.
    pub(super) fn landed(mut self) -> Option<Landing> {
        if self.requests.is_empty() { self.landing.take() } else { None }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.requests.is_empty() {
            forget((self.sent.take(), self.landing.take(), std::mem::take(&mut self.counts)));
        }
    }
}
