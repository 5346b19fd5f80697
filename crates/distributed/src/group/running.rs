//! An operation that runs: what it agrees on with the other ranks, how its elements travel, and what becomes of the group.

use super::{Group, State};
use crate::header::{self, Call, Fit, RECORD, Record, ranks};
#[cfg(feature = "cuda")]
use crate::nccl::{self, Gpus};
use crate::transport::{Broken, Carried, Deadline, Landing, Message, Outgoing, Transport};
#[cfg(feature = "cuda")]
use std::sync::Arc;
use std::sync::MutexGuard;
use std::time::Duration;
use tensor_core::{Array, DType, Device, Element, Error, ErrorKind, Result};

/// How the elements of an operation travel.
#[derive(Clone)]
pub(crate) enum Way {
    /// From the memory of the host, by what carries the group's own words.
    Host,
    /// From GPU to GPU.
    #[cfg(feature = "cuda")]
    Gpus(Arc<Gpus>),
}

impl Way {
    pub(crate) fn is_host(&self) -> bool {
        matches!(self, Way::Host)
    }
}

/// An operation that runs.
pub(crate) struct Running<'a> {
    group: &'a Group,
    state: MutexGuard<'a, State>,
    pub(crate) op: &'static str,
    deadline: Deadline,
    way: Way,
}

impl<'a> Running<'a> {
    pub(super) fn new(group: &'a Group, state: MutexGuard<'a, State>, op: &'static str) -> Self {
        Running { group, state, op, deadline: Deadline::new(group.limit), way: Way::Host }
    }
}

impl Running<'_> {
    fn transport(&self) -> &dyn Transport {
        &*self.group.shared.transport
    }

    pub(crate) fn rank(&self) -> usize {
        self.transport().rank()
    }

    pub(crate) fn size(&self) -> usize {
        self.transport().size()
    }

    /// What was carried, or the error of the operation, after which the group is not used any more.
    pub(crate) fn carried<V>(&mut self, result: Carried<V>) -> Result<V> {
        let broken = match result {
            Ok(value) => return Ok(value),
            Err(broken) => broken,
        };
        let (op, rank, size) = (self.op, self.rank(), self.size());
        let why = match broken {
            Broken::Gone(gone) => format!("{} has ended while rank {rank} waited in {op}", ranks(&gone)),
            Broken::Failed(why) => format!("the exchange failed on rank {rank} in {op}: {why}"),
            Broken::Late => {
                let limit = self.group.limit;
                let grace = (limit / 10).clamp(Duration::from_millis(100), Duration::from_secs(2));
                let came = self.transport().roll_call(grace);
                let missing: Vec<usize> = (0..size).filter(|r| !came.contains(r)).collect();
                let who = if missing.is_empty() { "some rank".into() } else { ranks(&missing) };
                format!("{who} did not come to {op} within the time limit of {limit:?} on rank {rank}")
            }
        };
        self.state.broken = Some(why.clone());
        #[cfg(feature = "mpi")]
        crate::mpi::note_broken();
        let message = format!("{why}: end the process, and the job ends");
        Err(Error::new(ErrorKind::Group, op, message))
    }

    /// Tells every rank what this one calls, with a tensor that lies there, and whether they agree; gives what each has sent
    /// along.
    pub(crate) fn agree(
        &mut self,
        call: &Call,
        fit: Fit,
        inline: &[u8],
        device: Device,
    ) -> Result<Vec<Record>> {
        let record = Record::of(self.state.number + 1, call, inline).on(gpu_of(device));
        let records = self.compare(record, fit)?;
        #[cfg(feature = "cuda")]
        if let Some(gpus) = nccl::shared(&records) {
            self.way = Way::Gpus(self.joined(gpus, device)?);
        }
        Ok(records)
    }

    /// The communicator of these GPUs, in which all ranks take part.
    #[cfg(feature = "cuda")]
    fn joined(&mut self, gpus: Vec<u64>, device: Device) -> Result<Arc<Gpus>> {
        if let Some(known) = self.state.gpus.as_ref().filter(|known| known.are(&gpus)) {
            return Ok(known.clone());
        }
        let began = nccl::begin(self.rank())?;
        let told = match self.rank() {
            0 => {
                let sent = Outgoing::new(self.op, &began)?;
                self.broadcast(0, Message::Sent(sent))?;
                began
            }
            _ => {
                let came = self.broadcast(0, Message::Awaited(self.landing(DType::I64, began.numel())?))?;
                came.ok_or_else(|| Error::shape(self.op, "nothing came"))?.array()?
            }
        };
        let joined =
            nccl::join(self.op, gpus, told, device, [self.rank(), self.size()], self.deadline.left());
        let own = Outgoing::new(self.op, &Array::from_vec(vec![i64::from(joined.is_err())], &[1])?)?;
        let landing = self.landing(DType::I64, self.size())?;
        let failed: Array<i64> = self.all_gather(own, &vec![8; self.size()], landing)?.array()?;
        let failed =
            failed.to_vec().iter().enumerate().filter(|f| *f.1 != 0).map(|f| f.0).collect::<Vec<_>>();
        let joined = match joined {
            Ok(joined) if failed.is_empty() => Arc::new(joined),
            joined => {
                let why = joined.err().unwrap_or_else(|| "not on this one; its own error tells why".into());
                let message = format!("NCCL does not begin on {} of {}: {why}", ranks(&failed), self.size());
                return Err(Error::new(ErrorKind::Group, self.op, message));
            }
        };
        self.state.gpus = Some(joined.clone());
        Ok(joined)
    }

    /// The GPUs over which this rank reaches those with which it talks alone: the group's, where it has met by them.
    fn met(&self, device: Device) -> u64 {
        #[cfg(feature = "cuda")]
        if let Some(gpus) = &self.state.gpus {
            return gpus.name_of(self.rank(), gpu_of(device));
        }
        _ = device;
        0
    }

    /// How elements travel between two ranks, by what each says: both know.
    pub(crate) fn way_between(&self, said: &[Record; 2]) -> Way {
        #[cfg(feature = "cuda")]
        if let Some(gpus) =
            self.state.gpus.as_ref().filter(|_| said[0].gpu() != 0 && said[0].gpu() == said[1].gpu())
        {
            return Way::Gpus(gpus.clone());
        }
        _ = said;
        Way::Host
    }

    /// From here on elements travel so.
    pub(crate) fn go_by(&mut self, way: Way) {
        self.way = way;
    }

    /// What this rank says to one that it talks to alone, of a tensor that lies there.
    pub(crate) fn word(&self, call: &Call, inline: &[u8], device: Device) -> Record {
        Record::of(0, call, inline).on(self.met(device))
    }

    /// Tells every rank that this one cannot take part in the call that they are about to make, and why.
    pub(crate) fn fail(&mut self, name: &'static str, why: &Error) {
        let record = Record::failed(self.state.number + 1, name, &why.to_string());
        // The error of the others is theirs.
        _ = self.compare(record, Fit::Whole);
    }

    fn compare(&mut self, record: Record, fit: Fit) -> Result<Vec<Record>> {
        self.state.number += 1;
        let size = self.size();
        if size == 1 {
            return Ok(vec![record]);
        }
        let own = Outgoing::new(self.op, &Array::from_vec(words(&record.bytes()), &[RECORD / 8])?)?;
        let landing = Landing::new(self.op, DType::I64, size * RECORD / 8)?;
        let gathered = self.transport().all_gather(own, &vec![RECORD; size], landing, self.deadline);
        let bytes = self.carried(gathered)?.into_bytes();
        let records: Vec<Record> = bytes.chunks(RECORD).map(Record::read).collect();
        header::check(self.op, &records, &(0..size).collect::<Vec<_>>(), fit)?;
        Ok(records)
    }

    /// [`Running::agree`] between this rank and another.
    pub(crate) fn agree_with(
        &mut self,
        peer: usize,
        call: &Call,
        inline: &[u8],
        device: Device,
    ) -> Result<Record> {
        let own = self.word(&Call { name: "send", ..call.clone() }, inline, device);
        let mut theirs = self.swapped(&[(peer, &own)], &[peer])?;
        let records = [own, theirs.swap_remove(0)];
        header::check(self.op, &records, &[self.rank(), peer], Fit::Whole)?;
        self.way = self.way_between(&records);
        let [_, theirs] = records;
        Ok(theirs)
    }

    /// What some ranks say, where this one tells some what it says.
    pub(crate) fn swapped(&mut self, sends: &[(usize, &Record)], from: &[usize]) -> Result<Vec<Record>> {
        let mut sent = Vec::new();
        for (to, record) in sends {
            let words = Array::from_vec(words(&record.bytes()), &[RECORD / 8])?;
            sent.push((*to, Outgoing::new(self.op, &words)?));
        }
        let landing = || Landing::new(self.op, DType::I64, RECORD / 8);
        let receives = from.iter().map(|&r| Ok((r, landing()?))).collect::<Result<_>>()?;
        let came = self.exchange(sent, receives)?;
        Ok(came.into_iter().map(|landing| Record::read(&landing.into_bytes())).collect())
    }

    /// A tensor where it travels from and arrives.
    pub(crate) fn here<T: Element>(&self, x: &Array<T>) -> Result<Array<T>> {
        match &self.way {
            Way::Host => x.to_device(self.op, Device::Cpu),
            #[cfg(feature = "cuda")]
            Way::Gpus(gpus) => x.to_device(self.op, gpus.device()),
        }
    }

    pub(crate) fn outgoing<T: Element>(&self, x: &Array<T>) -> Result<Outgoing> {
        let x = self.here(x)?;
        match &self.way {
            Way::Host => Outgoing::new(self.op, &x),
            #[cfg(feature = "cuda")]
            Way::Gpus(_) => Outgoing::on_gpu(self.op, &x),
        }
    }

    pub(crate) fn landing(&self, dtype: DType, n: usize) -> Result<Landing> {
        match &self.way {
            Way::Host => Landing::new(self.op, dtype, n),
            #[cfg(feature = "cuda")]
            Way::Gpus(_) => Ok(Landing::Gpu(dtype, n)),
        }
    }

    /// One tensor to one rank.
    pub(crate) fn send<T: Element>(&mut self, to: usize, x: &Array<T>) -> Result<()> {
        let sent = self.outgoing(x)?;
        self.exchange(vec![(to, sent)], Vec::new()).map(drop)
    }

    /// `n` elements from one rank.
    pub(crate) fn receive<T: Element>(&mut self, from: usize, n: usize) -> Result<Array<T>> {
        let landing = self.landing(T::DTYPE, n)?;
        let came = self.exchange(Vec::new(), vec![(from, landing)])?.pop();
        came.ok_or_else(|| Error::shape(self.op, "nothing came"))?.array()
    }

    pub(crate) fn exchange(
        &mut self,
        sends: Vec<(usize, Outgoing)>,
        receives: Vec<(usize, Landing)>,
    ) -> Result<Vec<Landing>> {
        let done = match &self.way {
            Way::Host => self.transport().exchange(sends, receives, self.deadline),
            #[cfg(feature = "cuda")]
            Way::Gpus(gpus) => gpus.exchange(self.op, sends, receives, self.deadline),
        };
        self.carried(done)
    }

    pub(crate) fn all_gather(&mut self, own: Outgoing, counts: &[usize], into: Landing) -> Result<Landing> {
        let done = match &self.way {
            Way::Host => self.transport().all_gather(own, counts, into, self.deadline),
            #[cfg(feature = "cuda")]
            Way::Gpus(gpus) => gpus.all_gather(self.op, own, counts, into, self.deadline),
        };
        self.carried(done)
    }

    pub(crate) fn broadcast(&mut self, root: usize, message: Message) -> Result<Option<Landing>> {
        let done = match &self.way {
            Way::Host => self.transport().broadcast(root, message, self.deadline),
            #[cfg(feature = "cuda")]
            Way::Gpus(gpus) => gpus.broadcast(self.op, root, message, self.deadline),
        };
        self.carried(done)
    }
}

/// The GPU that a tensor lies on, where NCCL reaches it, as all ranks name it; 0 elsewhere.
#[cfg(feature = "cuda")]
fn gpu_of(device: Device) -> u64 {
    nccl::name_of(device)
}

/// There are no GPUs.
#[cfg(not(feature = "cuda"))]
fn gpu_of(_: Device) -> u64 {
    0
}

/// Bytes as whole words, as which they are sent.
fn words(bytes: &[u8]) -> Vec<i64> {
    bytes.chunks_exact(8).map(|w| i64::from_ne_bytes(std::array::from_fn(|k| w[k]))).collect()
}
