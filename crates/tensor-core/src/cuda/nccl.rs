//! NCCL: bytes from one GPU to others, without the host. What they mean, and what is added, is told elsewhere.
//!
//! Its functions are looked up here, since cudarc knows no library of the name that NVIDIA's packages have, `libnccl.so.2`.
//!
//! Some calls wait for other processes, so a thread makes those of one communicator, and whoever gave it work waits for it as
//! long as he likes. The thread owns the memory of what it is at: who gives up leaves it there. NCCL's kernels run in
//! the order of the GPU's one stream; one that waits for a process which has ended would hold the stream for good, so a
//! communicator that is given up is aborted, which ends its kernels.

use super::devices::gpu;
use crate::array::Array;
use crate::device::Device;
use crate::element::{DType, Element};
use crate::error::{Error, Result};
use crate::gpu::context::Gpu;
use crate::gpu::libraries::{Library, function, require};
use crate::io::AnyArray;
use crate::shape::Dims;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::mem::transmute;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// What tells the communicators of a job apart: one process makes it, and all join with it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct UniqueId(
    /// As NCCL made it.
    pub [u8; 128],
);

type Comm = *mut c_void;
type Stream = *mut c_void;
/// `ncclResult_t`: newer libraries know more of them.
type Status = c_int;

const SUCCESS: Status = 0;
/// `ncclUint8`
const BYTES: c_int = 1;

/// A table of C functions, and how they are looked up in a loaded library.
macro_rules! table {
    ($($field:ident $name:literal ($($argument:ty),*) -> $result:ty;)+) => {
        struct Functions {
            $($field: unsafe extern "C" fn($($argument),*) -> $result,)+
        }
        fn find() -> Option<Functions> {
            require("nccl", Library::Nccl).ok()?;
            Some(Functions {
                $($field: {
                    let address = function(Library::Nccl, $name)?;
                    // SAFETY: nccl.h declares the function so, from NCCL 2.7 on and in all later versions of 2.
                    unsafe { transmute::<*const (), unsafe extern "C" fn($($argument),*) -> $result>(address) }
                },)+
            })
        }
    };
}

table! {
    all_gather c"ncclAllGather" (*const c_void, *mut c_void, usize, c_int, Comm, Stream) -> Status;
    broadcast c"ncclBroadcast" (*const c_void, *mut c_void, usize, c_int, c_int, Comm, Stream) -> Status;
    abort c"ncclCommAbort" (Comm) -> Status;
    destroy c"ncclCommDestroy" (Comm) -> Status;
    async_error c"ncclCommGetAsyncError" (Comm, *mut Status) -> Status;
    init_rank c"ncclCommInitRank" (*mut Comm, c_int, UniqueId, c_int) -> Status;
    error_string c"ncclGetErrorString" (Status) -> *const c_char;
    unique_id c"ncclGetUniqueId" (*mut UniqueId) -> Status;
    group_end c"ncclGroupEnd" () -> Status;
    group_start c"ncclGroupStart" () -> Status;
    receive c"ncclRecv" (*mut c_void, usize, c_int, c_int, Comm, Stream) -> Status;
    send c"ncclSend" (*const c_void, usize, c_int, c_int, Comm, Stream) -> Status;
}

/// The functions of the library; None where there is none. It is looked for once.
fn functions() -> Option<&'static Functions> {
    static FUNCTIONS: OnceLock<Option<Functions>> = OnceLock::new();
    FUNCTIONS.get_or_init(find).as_ref()
}

/// What a GPU is told from all others by, of any machine, where NCCL can reach it: None for the CPU, where NCCL is not found,
/// and where the variable `TAPEGRAD_NCCL` is `off`.
pub fn reachable(device: &Device) -> Option<u64> {
    static OFF: OnceLock<bool> = OnceLock::new();
    if *OFF.get_or_init(|| std::env::var_os("TAPEGRAD_NCCL").is_some_and(|v| v == "off")) {
        return None;
    }
    let uuid = gpu("nccl", device).ok()?.uuid("nccl").ok()?;
    functions()?;
    // FNV-1a, 64 bits.
    let hash = uuid
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |h: u64, &b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
    Some(hash.max(1))
}

/// Why something did not come to its end.
#[derive(Debug)]
pub enum Unfinished {
    /// The time was over.
    Late,
    /// What went wrong, with a remedy.
    Failed(String),
}

fn failed(call: &str, status: Status) -> Unfinished {
    let text = functions().map(|f| {
        // SAFETY: the library's texts are there as long as it is.
        unsafe { CStr::from_ptr((f.error_string)(status)) }.to_string_lossy().into_owned()
    });
    Unfinished::Failed(format!(
        "{call} failed with {status} ({}); NCCL_DEBUG=INFO has NCCL itself tell more, and with TAPEGRAD_NCCL=off tensors \
         go through the host",
        text.unwrap_or_default()
    ))
}

fn check(call: &str, status: Status) -> std::result::Result<(), Unfinished> {
    if status == SUCCESS { Ok(()) } else { Err(failed(call, status)) }
}

impl From<Error> for Unfinished {
    fn from(e: Error) -> Self {
        Unfinished::Failed(e.to_string())
    }
}

type Done<V> = std::result::Result<V, Unfinished>;

impl UniqueId {
    /// A new one.
    ///
    /// # Errors
    /// Failed, where NCCL is not found or finds no network.
    pub fn new() -> Done<Self> {
        let Some(f) = functions() else { return Err(Unfinished::Failed("NCCL was not found".into())) };
        let mut id = UniqueId([0; 128]);
        // SAFETY: the id is written.
        check("ncclGetUniqueId", unsafe { (f.unique_id)(&mut id) })?;
        Ok(id)
    }
}

/// Elements in row-major order in the memory of a GPU.
///
/// # Errors
/// Device, for an array that is on the CPU; out of memory.
pub fn in_order<T: Element>(op: &'static str, x: &Array<T>) -> Result<Array<T>> {
    let gpu = gpu(op, &x.device())?;
    let x = x.in_memory(gpu, op)?;
    if x.layout().is_contiguous() { Ok(x) } else { super::copy::copy(gpu, op, &x) }
}

/// Bytes of an array that [`in_order`] gave.
pub struct Part {
    /// The whole.
    pub array: AnyArray,
    /// Where they begin.
    pub start: usize,
    /// How many they are.
    pub len: usize,
}

fn pointer(x: &AnyArray) -> u64 {
    match x {
        AnyArray::F32(x) => x.pointer(),
        AnyArray::F64(x) => x.pointer(),
        AnyArray::I64(x) => x.pointer(),
        AnyArray::Bool(x) => x.pointer(),
    }
}

impl Part {
    fn pointer(&self) -> u64 {
        pointer(&self.array) + self.start as u64
    }
}

/// What comes: so many elements of a type.
#[derive(Clone, Copy)]
pub struct Awaited {
    /// The type.
    pub dtype: DType,
    /// How many.
    pub n: usize,
}

impl Awaited {
    fn bytes(self) -> usize {
        self.n * self.dtype.size()
    }

    fn room(self, gpu: &'static Gpu, op: &'static str) -> Result<AnyArray> {
        fn of<T: Element>(gpu: &'static Gpu, op: &'static str, n: usize) -> Result<AnyArray>
        where
            AnyArray: From<Array<T>>,
        {
            Array::<T>::unwritten(gpu, op, Dims::from_slice(&[n])).map(AnyArray::from)
        }
        match self.dtype {
            DType::F32 => of::<f32>(gpu, op, self.n),
            DType::F64 => of::<f64>(gpu, op, self.n),
            DType::I64 => of::<i64>(gpu, op, self.n),
            DType::Bool => of::<bool>(gpu, op, self.n),
        }
    }
}

/// NCCL's side of a communicator, which one thread has.
struct Member {
    raw: Comm,
    gpu: &'static Gpu,
    functions: &'static Functions,
    given_up: Arc<AtomicBool>,
}

impl Member {
    /// Waits until what was begun is done, or is given up.
    fn finish(&self, op: &'static str) -> Done<()> {
        while !self.gpu.is_idle(op)? {
            let mut status = SUCCESS;
            // SAFETY: the communicator exists, and `status` is written.
            check("ncclCommGetAsyncError", unsafe { (self.functions.async_error)(self.raw, &mut status) })?;
            if self.given_up.load(Ordering::Acquire) || status != SUCCESS {
                return Err(failed(op, status));
            }
            std::thread::yield_now();
        }
        Ok(())
    }

    fn abort(&mut self) {
        if !self.raw.is_null() {
            // SAFETY: the communicator exists, and is not used again.
            unsafe { (self.functions.abort)(self.raw) };
            self.raw = null_mut();
        }
    }

    /// Sends and receives at once.
    fn exchange(&self, sends: &[(usize, Part)], receives: &[(usize, u64, usize)]) -> Done<()> {
        let (f, stream) = (self.functions, self.gpu.stream().cast());
        // SAFETY: every block has the bytes that are named, and lives until the stream is idle.
        unsafe {
            check("ncclGroupStart", (f.group_start)())?;
            for &(from, to, bytes) in receives.iter().filter(|r| r.2 > 0) {
                check("ncclRecv", (f.receive)(to as _, bytes, BYTES, from as c_int, self.raw, stream))?;
            }
            for (to, part) in sends.iter().filter(|s| s.1.len > 0) {
                let from = part.pointer() as _;
                check("ncclSend", (f.send)(from, part.len, BYTES, *to as c_int, self.raw, stream))?;
            }
            check("ncclGroupEnd", (f.group_end)())
        }
    }

    /// One side of a broadcast: the root's block is only read.
    fn broadcast(&self, at: u64, bytes: usize, root: usize) -> Done<()> {
        if bytes == 0 {
            return Ok(());
        }
        let (f, stream) = (self.functions, self.gpu.stream().cast());
        // SAFETY: the block has so many bytes, and lives until the stream is idle.
        let status =
            unsafe { (f.broadcast)(at as _, at as _, bytes, BYTES, root as c_int, self.raw, stream) };
        check("ncclBroadcast", status)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        if !self.raw.is_null() {
            // SAFETY: the communicator exists, and is not used again.
            unsafe { (self.functions.destroy)(self.raw) };
        }
    }
}

type Job = Box<dyn FnOnce(&mut Member) + Send>;

/// Processes, each with a GPU of its own, that exchange what lies there.
pub struct Communicator {
    jobs: Sender<Job>,
    gpu: &'static Gpu,
    rank: usize,
    given_up: Arc<AtomicBool>,
}

impl Communicator {
    /// Joins the others, all of which do so with the same id; each has another rank and another GPU.
    ///
    /// # Errors
    /// Late, where not all have come within the time; failed, where NCCL does not begin.
    pub fn join(
        op: &'static str,
        device: &Device,
        id: UniqueId,
        [rank, size]: [usize; 2],
        limit: Duration,
    ) -> Done<Self> {
        let gpu = gpu(op, device)?;
        gpu.refuse_capture(op)?;
        let Some(functions) = functions() else {
            return Err(Unfinished::Failed("NCCL was not found".into()));
        };
        let given_up = Arc::new(AtomicBool::new(false));
        let (jobs, work) = channel::<Job>();
        let (reply, joined) = channel();
        let watched = given_up.clone();
        let run = move || {
            let mut raw = null_mut();
            // SAFETY: the GPU's context is this thread's, and `raw` is written.
            let begun = gpu.bind(op).map_err(Unfinished::from).and_then(|()| unsafe {
                check("ncclCommInitRank", (functions.init_rank)(&mut raw, size as c_int, id, rank as c_int))
            });
            let fine = begun.is_ok();
            // Nobody hears it where it was given up.
            _ = reply.send(begun);
            let mut member =
                Member { raw: if fine { raw } else { null_mut() }, gpu, functions, given_up: watched };
            for job in work {
                job(&mut member);
            }
        };
        let thread = std::thread::Builder::new().name("nccl".into()).spawn(run);
        thread.map_err(|e| Unfinished::Failed(format!("no thread for NCCL: {e}")))?;
        answer(joined.recv_timeout(limit))?;
        Ok(Communicator { jobs, gpu, rank, given_up })
    }

    /// Gives work to the thread, and waits for its end.
    fn run<V: Send + 'static>(
        &self,
        op: &'static str,
        limit: Duration,
        work: impl FnOnce(&Member) -> Done<V> + Send + 'static,
    ) -> Done<V> {
        self.gpu.refuse_capture(op)?;
        let (reply, done) = channel();
        let job = move |member: &mut Member| {
            let result = if member.raw.is_null() {
                Err(Unfinished::Failed("the communicator was given up".into()))
            } else {
                work(member).and_then(|value| member.finish(op).map(|()| value))
            };
            if result.is_err() {
                member.abort();
            }
            _ = reply.send(result);
        };
        let ended = || Unfinished::Failed("the thread of NCCL has ended".into());
        self.jobs.send(Box::new(job)).map_err(|_| ended())?;
        self.gpu.count_launch();
        let result = answer(done.recv_timeout(limit));
        if matches!(result, Err(Unfinished::Late)) {
            self.given_up.store(true, Ordering::Release);
        }
        result
    }

    /// Sends to some ranks and receives from some at once, each in the order of its messages.
    ///
    /// # Errors
    /// Late, where it is not done within the time; failed.
    pub fn exchange(
        &self,
        op: &'static str,
        sends: Vec<(usize, Part)>,
        receives: Vec<(usize, Awaited)>,
        limit: Duration,
    ) -> Done<Vec<AnyArray>> {
        let room =
            |(from, awaited): (usize, Awaited)| Ok((from, awaited.room(self.gpu, op)?, awaited.bytes()));
        let receives = receives.into_iter().map(room).collect::<Result<Vec<_>>>()?;
        self.run(op, limit, move |member| {
            let places: Vec<_> =
                receives.iter().map(|(from, x, bytes)| (*from, pointer(x), *bytes)).collect();
            // What is sent is freed in the stream's order.
            member.exchange(&sends, &places)?;
            Ok((sends, receives))
        })
        .map(|(_, receives)| receives.into_iter().map(|(_, x, _)| x).collect())
    }

    /// The bytes of all ranks, `counts[r]` of rank r, one after another.
    ///
    /// # Errors
    /// As [`Communicator::exchange`].
    pub fn all_gather(
        &self,
        op: &'static str,
        own: Part,
        counts: &[usize],
        all: Awaited,
        limit: Duration,
    ) -> Done<AnyArray> {
        let into = all.room(self.gpu, op)?;
        let (counts, rank, gpu) = (counts.to_vec(), self.rank, self.gpu);
        let work = move |member: &Member| {
            let start = pointer(&into);
            if counts.iter().all(|&c| c == counts[0]) {
                if counts[0] > 0 {
                    let stream = gpu.stream().cast();
                    // SAFETY: both blocks have the bytes that are named, and live until the stream is idle.
                    check("ncclAllGather", unsafe {
                        let (from, to) = (own.pointer() as _, start as _);
                        (member.functions.all_gather)(from, to, counts[0], BYTES, member.raw, stream)
                    })?;
                }
                return Ok((own, into));
            }
            let mut end = start;
            let mut receives = Vec::new();
            let mut mine = start;
            for (from, &bytes) in counts.iter().enumerate() {
                match from == rank {
                    true => mine = end,
                    false => receives.push((from, end, bytes)),
                }
                end += bytes as u64;
            }
            gpu.copy(op, mine, own.pointer(), own.len)?;
            let part = || Part { array: own.array.clone(), ..own };
            let sends: Vec<_> = receives.iter().map(|r| (r.0, part())).collect();
            member.exchange(&sends, &receives)?;
            Ok((own, into))
        };
        self.run(op, limit, work).map(|(_, into)| into)
    }

    /// Sends to all ranks, as their root.
    ///
    /// # Errors
    /// As [`Communicator::exchange`].
    pub fn send_to_all(&self, op: &'static str, root: usize, own: Part, limit: Duration) -> Done<()> {
        self.run(op, limit, move |member| {
            member.broadcast(own.pointer(), own.len, root)?;
            Ok(own)
        })
        .map(drop)
    }

    /// What the root sends to all ranks.
    ///
    /// # Errors
    /// As [`Communicator::exchange`].
    pub fn receive_from(
        &self,
        op: &'static str,
        root: usize,
        awaited: Awaited,
        limit: Duration,
    ) -> Done<AnyArray> {
        let into = awaited.room(self.gpu, op)?;
        self.run(op, limit, move |member| {
            member.broadcast(pointer(&into), awaited.bytes(), root)?;
            Ok(into)
        })
    }
}

fn answer<V>(result: std::result::Result<Done<V>, RecvTimeoutError>) -> Done<V> {
    match result {
        Ok(done) => done,
        Err(RecvTimeoutError::Timeout) => Err(Unfinished::Late),
        Err(RecvTimeoutError::Disconnected) => Err(Unfinished::Failed("the thread of NCCL has ended".into())),
    }
}
