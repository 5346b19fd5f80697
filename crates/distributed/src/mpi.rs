//! Groups of processes that MPI started.
//!
//! Everything that waits is begun without waiting (`MPI_I..`), and asked for until its time is over. One lock keeps the calls
//! of several threads apart (`MPI_THREAD_SERIALIZED`), for the length of a call each, and never while waiting.

mod calls;

use crate::group::Group;
use crate::transport::{Broken, Carried, Deadline, Landing, Message, Outgoing, Transport};
use calls::{Communicator, Pending};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tensor_core::{Error, ErrorKind, Result};

/// Bytes of one message between two processes: longer ones are sent in parts, since MPI counts in 32 bits.
const MESSAGE: usize = 1 << 30;

/// Whether a group has been given up: what it began may never end.
static BROKEN: AtomicBool = AtomicBool::new(false);

pub(crate) fn note_broken() {
    BROKEN.store(true, Ordering::Release);
}

/// The group of all processes, which is made once.
pub(crate) fn world() -> Result<Group> {
    static WORLD: Mutex<Option<Group>> = Mutex::new(None);
    let mut world = WORLD.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(group) = &*world {
        return Ok(group.clone());
    }
    let failed = |why| Error::new(ErrorKind::Group, "world", format!("MPI: {why}"));
    calls::begin().map_err(failed)?;
    let own = Communicator::world().map_err(failed)?;
    let group = Group::new(Box::new(Mpi(own)));
    *world = Some(group.clone());
    Ok(group)
}

struct Mpi(Communicator);

/// What messages of a group are told apart by from those of its roll call.
const EXCHANGE: i32 = 1;
const ROLL_CALL: i32 = 2;

/// Waits for all of them; what has not come when the time is over stays with MPI, for good.
fn finish(mut pending: Vec<Pending>, deadline: Deadline) -> Carried<Vec<Landing>> {
    let mut polls = 0u32;
    loop {
        let mut done = true;
        for request in &mut pending {
            match request.poll() {
                Ok(ended) => done &= ended,
                Err(why) => return Err(Broken::Failed(why)),
            }
        }
        if done {
            return Ok(pending.into_iter().filter_map(Pending::landed).collect());
        }
        polls += 1;
        if polls.is_multiple_of(64) {
            if deadline.left().is_zero() {
                return Err(Broken::Late);
            }
            rest(deadline.elapsed(), polls);
        }
    }
}

/// Others may wait for this processor: first it is offered to them, and after a while left to them.
fn rest(waited: Duration, polls: u32) {
    if waited > Duration::from_millis(20) {
        std::thread::sleep(Duration::from_micros(50));
    } else if polls > 256 {
        std::thread::yield_now();
    }
}

impl Mpi {
    fn wrapped(own: std::result::Result<Communicator, String>) -> Carried<Box<dyn Transport>> {
        own.map(|own| Box::new(Mpi(own)) as Box<dyn Transport>).map_err(Broken::Failed)
    }
}

impl Transport for Mpi {
    fn rank(&self) -> usize {
        self.0.rank()
    }

    fn size(&self) -> usize {
        self.0.size()
    }

    fn exchange(
        &self,
        sends: Vec<(usize, Outgoing)>,
        receives: Vec<(usize, Landing)>,
        deadline: Deadline,
    ) -> Carried<Vec<Landing>> {
        let mut pending = Vec::new();
        for (from, landing) in receives {
            pending.push(self.0.receive(landing, from, EXCHANGE, MESSAGE).map_err(Broken::Failed)?);
        }
        for (to, message) in sends {
            pending.push(self.0.send(message, to, EXCHANGE, MESSAGE).map_err(Broken::Failed)?);
        }
        finish(pending, deadline)
    }

    fn all_gather(
        &self,
        own: Outgoing,
        counts: &[usize],
        mut into: Landing,
        deadline: Deadline,
    ) -> Carried<Landing> {
        let total: usize = counts.iter().sum();
        if total <= i32::MAX as usize {
            let pending = self.0.all_gather(own, counts, into).map_err(Broken::Failed)?;
            return finish(vec![pending], deadline)?.pop().ok_or(Broken::Late);
        }
        // Longer than MPI counts: each to each, in parts.
        let rank = self.rank();
        let others = || (0..counts.len()).filter(|&r| r != rank);
        let receives = others()
            .map(|r| Ok((r, Landing::bytes("all_gather", counts[r])?)))
            .collect::<Result<Vec<_>>>()
            .map_err(|e| Broken::Failed(e.to_string()))?;
        let sends = others().map(|r| (r, own.clone())).collect();
        let mut came = self.exchange(sends, receives, deadline)?.into_iter();
        for (r, part) in into.parts_mut(counts).into_iter().enumerate() {
            match r == rank {
                true => part.copy_from_slice(own.bytes()),
                false => part.copy_from_slice(came.next().ok_or(Broken::Late)?.bytes_mut()),
            }
        }
        Ok(into)
    }

    fn broadcast(&self, root: usize, message: Message, deadline: Deadline) -> Carried<Option<Landing>> {
        let pending = self.0.broadcast(message, root, MESSAGE).map_err(Broken::Failed)?;
        Ok(finish(vec![pending], deadline)?.pop())
    }

    fn split(&self, color: Option<i32>, key: i32) -> Carried<Option<Box<dyn Transport>>> {
        match self.0.split(color, key) {
            Ok(None) => Ok(None),
            Ok(Some(own)) => Mpi::wrapped(Ok(own)).map(Some),
            Err(why) => Err(Broken::Failed(why)),
        }
    }

    fn split_by_machine(&self) -> Carried<Box<dyn Transport>> {
        Mpi::wrapped(self.0.split_by_machine())
    }

    fn roll_call(&self, grace: Duration) -> Vec<usize> {
        let deadline = Deadline::new(grace);
        let (rank, size) = (self.rank(), self.size());
        let mut came = vec![rank];
        let mut calls = Vec::new();
        for other in (0..size).filter(|&r| r != rank) {
            let (Ok(landing), Ok(word)) = (Landing::bytes("roll_call", 8), Outgoing::word()) else {
                continue;
            };
            let heard = self.0.receive(landing, other, ROLL_CALL, MESSAGE);
            let said = self.0.send(word, other, ROLL_CALL, MESSAGE);
            if let (Ok(heard), Ok(said)) = (heard, said) {
                calls.push((other, heard, said));
            }
        }
        while !deadline.left().is_zero() && came.len() < size {
            for (other, heard, _) in &mut calls {
                if !came.contains(other) && heard.poll() == Ok(true) {
                    came.push(*other);
                }
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        came.sort_unstable();
        came
    }

    fn abort(&self, code: i32) -> ! {
        calls::abort(code)
    }
}
