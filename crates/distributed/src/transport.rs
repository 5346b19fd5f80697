//! Bytes between processes, whatever carries them.
//!
//! A wait can be given up when its time is over, while the library below still reads or writes the memory of the message.
//! So messages own their memory, and whoever gives up leaks it.

use std::time::{Duration, Instant};
#[cfg(feature = "cuda")]
use tensor_core::Error;
use tensor_core::io::AnyArray;
use tensor_core::{Array, DType, Device, Element, Result, kernels};

/// Elements that are sent: in row-major order, on the host or where they lie, shared with their tensor and so never overwritten.
#[derive(Clone)]
pub(crate) struct Outgoing {
    array: AnyArray,
    /// The part in bytes.
    start: usize,
    len: usize,
}

impl Outgoing {
    pub(crate) fn new<T: Element>(op: &'static str, x: &Array<T>) -> Result<Self> {
        let x = x.to_device(op, Device::Cpu)?;
        let x = if x.as_slice().is_some() { x } else { kernels::copy(op, &x)? };
        let len = x.numel() * size_of::<T>();
        Ok(Outgoing { array: x.into(), start: 0, len })
    }

    /// Elements that stay on their GPU.
    #[cfg(feature = "cuda")]
    pub(crate) fn on_gpu<T: Element>(op: &'static str, x: &Array<T>) -> Result<Self> {
        let x = tensor_core::cuda::nccl::in_order(op, x)?;
        let len = x.numel() * size_of::<T>();
        Ok(Outgoing { array: x.into(), start: 0, len })
    }

    #[cfg(feature = "cuda")]
    pub(crate) fn into_part(self) -> tensor_core::cuda::nccl::Part {
        let Outgoing { array, start, len } = self;
        tensor_core::cuda::nccl::Part { array, start, len }
    }

    /// A message that says nothing.
    #[cfg(feature = "mpi")]
    pub(crate) fn word() -> Result<Self> {
        Outgoing::new("roll_call", &Array::from_vec(vec![0i64], &[1])?)
    }

    /// These bytes of it.
    pub(crate) fn part(&self, start: usize, len: usize) -> Self {
        assert!(start + len <= self.len, "a part of a message lies within it");
        Outgoing { array: self.array.clone(), start: self.start + start, len }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        fn all<T: Element>(x: &Array<T>) -> &[u8] {
            bytemuck::cast_slice(x.as_slice().unwrap_or(&[]))
        }
        let bytes = match &self.array {
            AnyArray::F32(x) => all(x),
            AnyArray::F64(x) => all(x),
            AnyArray::I64(x) => all(x),
            AnyArray::Bool(x) => all(x),
        };
        &bytes[self.start..][..self.len]
    }
}

/// Where elements arrive. Truth values arrive as bytes, since not every byte is one.
pub(crate) enum Landing {
    F32(Array<f32>),
    F64(Array<f64>),
    I64(Array<i64>),
    Bytes(Vec<u8>),
    /// So many elements of a type, in the memory of a GPU, which is taken where they are received.
    #[cfg(feature = "cuda")]
    Gpu(DType, usize),
    /// What has arrived on a GPU.
    #[cfg(feature = "cuda")]
    Arrived(AnyArray),
}

impl Landing {
    /// Room for elements of a type.
    pub(crate) fn new(op: &'static str, dtype: DType, n: usize) -> Result<Self> {
        Ok(match dtype {
            DType::F32 => Landing::F32(Array::zeros(&[n])?),
            DType::F64 => Landing::F64(Array::zeros(&[n])?),
            DType::I64 => Landing::I64(Array::zeros(&[n])?),
            // Truth values; whatever else there may be is refused where it is read.
            _ => Landing::Bytes(tensor_core::memory::vector(op, n, 0)?),
        })
    }

    /// Elements of a type by their bytes, which came with a call.
    pub(crate) fn of_bytes(op: &'static str, dtype: DType, bytes: &[u8]) -> Result<Self> {
        let mut landing = Landing::new(op, dtype, bytes.len() / dtype.size())?;
        landing.bytes_mut().copy_from_slice(bytes);
        Ok(landing)
    }

    /// Room for bytes.
    #[cfg(feature = "mpi")]
    pub(crate) fn bytes(op: &'static str, n: usize) -> Result<Self> {
        Ok(Landing::Bytes(tensor_core::memory::vector(op, n, 0)?))
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        const OWN: &str = "nothing shares what was made for a message";
        match self {
            Landing::F32(x) => bytemuck::cast_slice_mut(x.as_mut_slice().expect(OWN)),
            Landing::F64(x) => bytemuck::cast_slice_mut(x.as_mut_slice().expect(OWN)),
            Landing::I64(x) => bytemuck::cast_slice_mut(x.as_mut_slice().expect(OWN)),
            Landing::Bytes(x) => x,
            #[cfg(feature = "cuda")]
            Landing::Gpu(..) | Landing::Arrived(_) => &mut [],
        }
    }

    /// The bytes in parts of these lengths, one after another.
    pub(crate) fn parts_mut(&mut self, counts: &[usize]) -> Vec<&mut [u8]> {
        let mut rest = self.bytes_mut();
        let mut parts = Vec::with_capacity(counts.len());
        for &count in counts {
            let (part, others) = rest.split_at_mut(count);
            parts.push(part);
            rest = others;
        }
        parts
    }

    /// The elements, in one dimension; `T` is the type that it was made for.
    pub(crate) fn array<T: Element>(self) -> Result<Array<T>> {
        let array = match self {
            Landing::F32(x) => AnyArray::F32(x),
            Landing::F64(x) => AnyArray::F64(x),
            Landing::I64(x) => AnyArray::I64(x),
            #[cfg(feature = "cuda")]
            Landing::Arrived(x) => x,
            #[cfg(feature = "cuda")]
            Landing::Gpu(..) => return Err(Error::shape("recv", "nothing came")),
            Landing::Bytes(x) => {
                let n = x.len();
                AnyArray::Bool(Array::from_vec(x.into_iter().map(|b| b != 0).collect(), &[n])?)
            }
        };
        array.to("recv")
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        match self {
            Landing::Bytes(x) => x,
            mut other => other.bytes_mut().to_vec(),
        }
    }
}

/// How long to wait.
#[derive(Clone, Copy)]
pub(crate) struct Deadline {
    began: Instant,
    limit: Duration,
}

impl Deadline {
    pub(crate) fn new(limit: Duration) -> Self {
        Deadline { began: Instant::now(), limit }
    }

    pub(crate) fn left(&self) -> Duration {
        self.limit.saturating_sub(self.began.elapsed())
    }

    #[cfg(feature = "mpi")]
    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }
}

/// Why bytes did not arrive.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The time was over.
    Late,
    /// These ranks have ended.
    #[cfg_attr(not(test), allow(dead_code, reason = "only threads see each other end"))]
    Gone(Vec<usize>),
    /// What the library below says.
    Failed(String),
}

pub(crate) type Carried<V> = std::result::Result<V, Broken>;

/// What carries bytes between the ranks of a group. Every call but [`Transport::exchange`] and [`Transport::roll_call`] is
/// made by all ranks, in the same order.
pub(crate) trait Transport: Send + Sync {
    fn rank(&self) -> usize;

    fn size(&self) -> usize;

    /// Sends to some ranks and receives from some; between two ranks messages arrive in the order in which they were sent.
    fn exchange(
        &self,
        sends: Vec<(usize, Outgoing)>,
        receives: Vec<(usize, Landing)>,
        deadline: Deadline,
    ) -> Carried<Vec<Landing>>;

    /// The bytes of all ranks, `counts[r]` of rank r, one after another.
    fn all_gather(
        &self,
        own: Outgoing,
        counts: &[usize],
        into: Landing,
        deadline: Deadline,
    ) -> Carried<Landing>;

    /// What `root` sends; it gives its own back.
    fn broadcast(&self, root: usize, message: Message, deadline: Deadline) -> Carried<Option<Landing>>;

    /// The group of those ranks that give the same color, ordered by key and rank; None for those that give none.
    fn split(&self, color: Option<i32>, key: i32) -> Carried<Option<Box<dyn Transport>>>;

    /// The group of those ranks that share a machine's memory.
    fn split_by_machine(&self) -> Carried<Box<dyn Transport>>;

    /// The ranks that have given up waiting as well, by now: the others have not come.
    fn roll_call(&self, grace: Duration) -> Vec<usize>;

    /// Ends all processes of the job.
    fn abort(&self, code: i32) -> !;
}

/// One side of a broadcast.
pub(crate) enum Message {
    Sent(Outgoing),
    Awaited(Landing),
}

/// One process by itself.
pub(crate) struct Alone;

impl Transport for Alone {
    fn rank(&self) -> usize {
        0
    }
    fn size(&self) -> usize {
        1
    }
    fn exchange(
        &self,
        sends: Vec<(usize, Outgoing)>,
        mut receives: Vec<(usize, Landing)>,
        _: Deadline,
    ) -> Carried<Vec<Landing>> {
        for ((_, from), (_, to)) in sends.iter().zip(&mut receives) {
            to.bytes_mut().copy_from_slice(from.bytes());
        }
        Ok(receives.into_iter().map(|(_, landing)| landing).collect())
    }
    fn all_gather(&self, own: Outgoing, _: &[usize], mut into: Landing, _: Deadline) -> Carried<Landing> {
        into.bytes_mut().copy_from_slice(own.bytes());
        Ok(into)
    }
    fn broadcast(&self, _: usize, _: Message, _: Deadline) -> Carried<Option<Landing>> {
        Ok(None)
    }
    fn split(&self, color: Option<i32>, _: i32) -> Carried<Option<Box<dyn Transport>>> {
        Ok(color.map(|_| Box::new(Alone) as Box<dyn Transport>))
    }
    fn split_by_machine(&self) -> Carried<Box<dyn Transport>> {
        Ok(Box::new(Alone))
    }
    fn roll_call(&self, _: Duration) -> Vec<usize> {
        vec![0]
    }
    fn abort(&self, code: i32) -> ! {
        std::process::exit(code)
    }
}
