//! Processes that work together.

use crate::header::{self, Call, Fit, RECORD, Record, ranks};
#[cfg(feature = "cuda")]
use crate::nccl::{self, Gpus};
use crate::rows::Rows;
use crate::transport::{Alone, Broken, Carried, Deadline, Landing, Message, Outgoing, Transport};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tensor_core::{Array, AtCaller, DType, Device, Element, Error, ErrorKind, Result};

/// How long a group waits unless it is told otherwise: as long as `torch.distributed` does with gloo.
const TIME_LIMIT: Duration = Duration::from_secs(30 * 60);

/// Processes that exchange tensors: all of an MPI job, or a part of them. Each has a rank from 0 on.
///
/// Its operations are made by every process of the group, in the same order; `send`, `recv` and `send_recv` by those that
/// they name. They are
/// differentiable to any order, and so are the exchanges that their derivatives make: where a tensor is tracked in one process,
/// it has to be in all. **What is differentiated is the sum over processes of what each of them differentiates.** A loss that
/// every process holds whole, the result of [`Group::all_reduce`], say, so counts as often as there are processes:
/// differentiate what [`Group::reduce`] gives, or a mean.
///
/// A process that calls another operation, or brings a tensor that does not fit, is an error in all of them, which names the
/// ranks, before anything is exchanged; one that does not come, within the time limit, or has ended, is an error in those that
/// wait. After that the group cannot be used any more: end the process with the error, which ends the job.
///
/// ```
/// use tapegrad::Tensor;
/// use tapegrad::distributed::Group;
/// // All processes that mpirun started; one, where it did not.
/// let group = Group::world()?;
/// let sum = group.all_reduce(&Tensor::from([1.0, 2.0]))?;
/// assert_eq!(sum.to_vec(), [group.size() as f64, 2.0 * group.size() as f64]);
/// # Ok::<(), tapegrad::Error>(())
/// ```
#[derive(Clone)]
pub struct Group {
    shared: Arc<Shared>,
    limit: Duration,
}

struct Shared {
    transport: Box<dyn Transport>,
    state: Mutex<State>,
}

/// Held as long as a call runs: calls of several threads follow each other.
#[derive(Default)]
struct State {
    /// Calls of all ranks so far.
    number: u64,
    /// Why the group cannot be used any more.
    broken: Option<String>,
    /// The last communicator of NCCL.
    #[cfg(feature = "cuda")]
    gpus: Option<Arc<Gpus>>,
}

impl Group {
    pub(crate) fn new(transport: Box<dyn Transport>) -> Self {
        let shared = Shared { transport, state: Mutex::default() };
        Group { shared: Arc::new(shared), limit: TIME_LIMIT }
    }

    fn of(&self, transport: Box<dyn Transport>) -> Self {
        Group { limit: self.limit, ..Group::new(transport) }
    }

    /// All processes of the MPI job; without one, this process alone. The first call begins MPI, and the end of the process
    /// ends it: a process that ends with an error, or a panic, ends the job, since the others would wait for it.
    ///
    /// Without the feature `mpi` every process is alone, and a process that an MPI launcher started as one of several is
    /// told so.
    ///
    /// ```
    /// use tapegrad::distributed::Group;
    /// let group = Group::world()?;
    /// assert!(group.rank() < group.size());
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Group, where the launcher started several processes and this library does not see them: it was built without MPI, or
    /// with another MPI than the launcher's.
    pub fn world() -> Result<Self> {
        #[cfg(feature = "mpi")]
        let world = crate::mpi::world()?;
        #[cfg(not(feature = "mpi"))]
        let world = Group::alone();
        match launched() {
            Some(n) if n > 1 && world.size() == 1 => {
                let remedy = if cfg!(feature = "mpi") {
                    "start it with the launcher of the MPI it was built with"
                } else {
                    "build it with the feature mpi"
                };
                let message = format!("this process is one of {n}, and sees itself alone: {remedy}");
                Err(Error::new(ErrorKind::Group, "world", message))
            }
            _ => Ok(world),
        }
    }

    /// This process by itself.
    ///
    /// ```
    /// use tapegrad::distributed::Group;
    /// assert_eq!((Group::alone().rank(), Group::alone().size()), (0, 1));
    /// ```
    pub fn alone() -> Self {
        Group::new(Box::new(Alone))
    }

    /// The number of this process in the group.
    ///
    /// ```
    /// use tapegrad::distributed;
    /// assert_eq!(distributed::spawn(3, |group| Ok(group.rank()))?, [0, 1, 2]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    pub fn rank(&self) -> usize {
        self.shared.transport.rank()
    }

    /// How many processes the group has.
    ///
    /// ```
    /// use tapegrad::distributed;
    /// assert_eq!(distributed::spawn(2, |group| Ok(group.size()))?, [2, 2]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    pub fn size(&self) -> usize {
        self.shared.transport.size()
    }

    /// The same group, which waits for other processes this long, and then returns an error that names those that have not
    /// come. Unless it is told so, a group waits for 30 minutes.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tapegrad::{ErrorKind, distributed};
    /// let waits = distributed::spawn(2, |group| match group.rank() {
    ///     0 => Ok(group.with_time_limit(Duration::from_millis(50)).barrier().unwrap_err().kind()),
    ///     _ => {
    ///         std::thread::sleep(Duration::from_millis(200));
    ///         Ok(ErrorKind::Group)
    ///     }
    /// })?;
    /// assert_eq!(waits[0], ErrorKind::Group);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    #[must_use]
    pub fn with_time_limit(&self, limit: Duration) -> Self {
        Group { shared: self.shared.clone(), limit }
    }

    /// The time that the group waits.
    pub fn time_limit(&self) -> Duration {
        self.limit
    }

    /// The group of those processes that give the same color, in the order of their keys, and of their ranks where keys are
    /// the same; None for one that gives no color.
    ///
    /// ```
    /// use tapegrad::distributed;
    /// let sizes = distributed::spawn(3, |group| {
    ///     let half = group.split(Some(group.rank() as i32 % 2), 0)?.unwrap();
    ///     Ok((half.rank(), half.size()))
    /// })?;
    /// assert_eq!(sizes, [(0, 2), (0, 1), (1, 2)]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Argument, for a negative color; group, where a process does not come.
    #[track_caller]
    pub fn split(&self, color: Option<i32>, key: i32) -> Result<Option<Group>> {
        if let Some(color) = color.filter(|&c| c < 0) {
            let message = format!("color {color}: colors are from 0 on");
            return Err(Error::argument("split", message).at_caller());
        }
        let mut call = self.begin("split").at_caller()?;
        call.agree(&Call::bare("split"), Fit::Whole, &[], Device::Cpu).at_caller()?;
        let made = self.shared.transport.split(color, key);
        Ok(call.carried(made).at_caller()?.map(|transport| self.of(transport)))
    }

    /// The group of those processes that share the memory of one machine with this one.
    ///
    /// ```
    /// use tapegrad::distributed;
    /// assert_eq!(distributed::spawn(2, |group| Ok(group.split_by_machine()?.size()))?, [2, 2]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Group, where a process does not come.
    #[track_caller]
    pub fn split_by_machine(&self) -> Result<Group> {
        let mut call = self.begin("split_by_machine").at_caller()?;
        call.agree(&Call::bare("split"), Fit::Whole, &[], Device::Cpu).at_caller()?;
        let made = self.shared.transport.split_by_machine();
        Ok(self.of(call.carried(made).at_caller()?))
    }

    /// Waits until every process of the group is here.
    ///
    /// ```
    /// use tapegrad::distributed::Group;
    /// Group::world()?.barrier()?;
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Group, where a process does not come.
    #[track_caller]
    pub fn barrier(&self) -> Result<()> {
        let mut call = self.begin("barrier").at_caller()?;
        call.agree(&Call::bare("barrier"), Fit::Whole, &[], Device::Cpu).at_caller()?;
        Ok(())
    }

    /// A data set of so many rows, shared among the processes in blocks of consecutive rows; see [`Rows`].
    ///
    /// ```
    /// use tapegrad::distributed;
    /// let ranges = distributed::spawn(2, |group| Ok(group.rows(1000).range()))?;
    /// assert_eq!(ranges, [0..500, 500..1000]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    pub fn rows(&self, rows: usize) -> Rows {
        Rows::new(self, rows)
    }

    /// Ends all processes of the job at once, with this code.
    pub fn abort(&self, code: i32) -> ! {
        self.shared.transport.abort(code)
    }

    pub(crate) fn check_rank(&self, op: &'static str, rank: usize) -> Result<()> {
        if rank < self.size() {
            return Ok(());
        }
        let message = format!("there is no rank {rank} in a group of {}: ranks are from 0 on", self.size());
        Err(Error::argument(op, message))
    }

    /// Begins an operation.
    pub(crate) fn begin(&self, op: &'static str) -> Result<Running<'_>> {
        let state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(why) = &state.broken {
            let message = format!("the group cannot be used any more, since {why}: end the process");
            return Err(Error::new(ErrorKind::Group, op, message));
        }
        Ok(Running { group: self, state, op, deadline: Deadline::new(self.limit), way: Way::Host })
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rank {} of a group of {}", self.rank(), self.size())
    }
}

/// How many processes a launcher says it has started.
fn launched() -> Option<usize> {
    let variables = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE"];
    variables.iter().find_map(|v| std::env::var(v).ok()?.parse().ok())
}

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
