//! Processes that work together.

mod running;

pub(crate) use running::Running;

use crate::header::{Call, Fit};
#[cfg(feature = "cuda")]
use crate::nccl::Gpus;
use crate::rows::Rows;
use crate::transport::{Alone, Transport};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tensor_core::{AtCaller, Device, Error, ErrorKind, Result};

/// How long a group waits unless it is told otherwise: as long as `torch.distributed` does with gloo.
const TIME_LIMIT: Duration = Duration::from_secs(30 * 60);

/// Processes that exchange tensors: all of an MPI job, or a part of them. Each has a rank from 0 on.
///
/// Its operations are made by every process of the group, in the same order; `send`, `recv` and `send_recv` by those that they
/// name. They are differentiable to any order, and so are the exchanges that their derivatives make: where a tensor is tracked
/// in one process, it has to be in all. **What is differentiated is the sum over processes of what each of them differentiates.** A loss that
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
        Ok(Running::new(self, state, op))
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
