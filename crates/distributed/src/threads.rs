//! Ranks that are threads of one process: for tests, and to try a program out where there is no MPI.

use crate::group::Group;
use crate::transport::{Broken, Carried, Deadline, Landing, Message, Outgoing, Transport};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::panic::resume_unwind;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tensor_core::{Error, Result};

/// A group, and what was sent from one of its ranks to another.
type Route = (Arc<Vec<usize>>, u64, usize, usize);

/// What is on its way, by routes; the routes of a group carry the ranks of its members among the threads, and a number
/// that tells groups of the same members apart.
#[derive(Default)]
struct Post {
    letters: HashMap<Route, VecDeque<Vec<u8>>>,
    /// Threads that have ended.
    gone: BTreeSet<usize>,
    /// Threads that have given up waiting.
    late: BTreeSet<usize>,
}

#[derive(Default)]
struct Office {
    post: Mutex<Post>,
    news: Condvar,
}

impl Office {
    fn post(&self) -> MutexGuard<'_, Post> {
        self.post.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Threads {
    office: Arc<Office>,
    members: Arc<Vec<usize>>,
    number: u64,
    rank: usize,
    /// Groups that were made of this one.
    children: Mutex<u64>,
}

impl Threads {
    fn send(&self, to: usize, bytes: Vec<u8>) {
        let route = (self.members.clone(), self.number, self.rank, to);
        self.office.post().letters.entry(route).or_default().push_back(bytes);
        self.office.news.notify_all();
    }

    fn receive(&self, from: usize, deadline: Deadline) -> Carried<Vec<u8>> {
        let route = (self.members.clone(), self.number, from, self.rank);
        let mut post = self.office.post();
        loop {
            if let Some(bytes) = post.letters.get_mut(&route).and_then(VecDeque::pop_front) {
                return Ok(bytes);
            }
            if post.gone.contains(&self.members[from]) {
                return Err(Broken::Gone(vec![from]));
            }
            let left = deadline.left();
            if left.is_zero() {
                return Err(Broken::Late);
            }
            post = self.office.news.wait_timeout(post, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn fill(&self, from: usize, place: &mut [u8], deadline: Deadline) -> Carried<()> {
        let bytes = self.receive(from, deadline)?;
        if bytes.len() != place.len() {
            let message = format!("{} bytes arrived from rank {from} where {} fit", bytes.len(), place.len());
            return Err(Broken::Failed(message));
        }
        place.copy_from_slice(&bytes);
        Ok(())
    }

    fn child(&self, members: Vec<usize>) -> Box<dyn Transport> {
        let mut children = self.children.lock().unwrap_or_else(PoisonError::into_inner);
        *children += 1;
        // Members and their order are the same for all of them, and so is the number.
        let own = self.members[self.rank];
        let rank = members.iter().position(|&m| m == own).unwrap_or(0);
        Box::new(Threads {
            office: self.office.clone(),
            members: Arc::new(members),
            number: self.number * 1009 + *children,
            rank,
            children: Mutex::new(0),
        })
    }
}

impl Transport for Threads {
    fn rank(&self) -> usize {
        self.rank
    }
    fn size(&self) -> usize {
        self.members.len()
    }
    fn exchange(
        &self,
        sends: Vec<(usize, Outgoing)>,
        mut receives: Vec<(usize, Landing)>,
        deadline: Deadline,
    ) -> Carried<Vec<Landing>> {
        for (to, message) in sends {
            self.send(to, message.bytes().to_vec());
        }
        for (from, landing) in &mut receives {
            self.fill(*from, landing.bytes_mut(), deadline)?;
        }
        Ok(receives.into_iter().map(|(_, landing)| landing).collect())
    }
    fn all_gather(
        &self,
        own: Outgoing,
        counts: &[usize],
        mut into: Landing,
        deadline: Deadline,
    ) -> Carried<Landing> {
        for to in (0..self.size()).filter(|&to| to != self.rank) {
            self.send(to, own.bytes().to_vec());
        }
        for (from, part) in into.parts_mut(counts).into_iter().enumerate() {
            match from == self.rank {
                true => part.copy_from_slice(own.bytes()),
                false => self.fill(from, part, deadline)?,
            }
        }
        Ok(into)
    }
    fn broadcast(&self, root: usize, message: Message, deadline: Deadline) -> Carried<Option<Landing>> {
        match message {
            Message::Sent(x) => {
                for to in (0..self.size()).filter(|&to| to != self.rank) {
                    self.send(to, x.bytes().to_vec());
                }
                Ok(None)
            }
            Message::Awaited(mut landing) => {
                self.fill(root, landing.bytes_mut(), deadline)?;
                Ok(Some(landing))
            }
        }
    }
    fn split(&self, color: Option<i32>, key: i32) -> Carried<Option<Box<dyn Transport>>> {
        let deadline = Deadline::new(Duration::from_secs(60));
        let own = format!("{} {key}", color.map_or("none".into(), |c| c.to_string()));
        for to in (0..self.size()).filter(|&to| to != self.rank) {
            self.send(to, own.clone().into_bytes());
        }
        let mut groups: BTreeMap<String, Vec<(i32, usize)>> = BTreeMap::new();
        for (from, &member) in self.members.iter().enumerate() {
            let text = if from == self.rank {
                own.clone()
            } else {
                String::from_utf8_lossy(&self.receive(from, deadline)?).into_owned()
            };
            let (color, key) = text.split_once(' ').unwrap_or((&text, "0"));
            groups.entry(color.into()).or_default().push((key.parse().unwrap_or(0), member));
        }
        let mut group = groups.remove(&color.map_or("none".into(), |c| c.to_string())).unwrap_or_default();
        group.sort_by_key(|&(key, _)| key);
        let child = self.child(group.into_iter().map(|(_, member)| member).collect());
        Ok(color.map(|_| child))
    }
    fn split_by_machine(&self) -> Carried<Box<dyn Transport>> {
        Ok(self.child(self.members.to_vec()))
    }
    fn roll_call(&self, grace: Duration) -> Vec<usize> {
        let deadline = Deadline::new(grace);
        let mut post = self.office.post();
        post.late.insert(self.members[self.rank]);
        self.office.news.notify_all();
        while !deadline.left().is_zero() && !self.members.iter().all(|m| post.late.contains(m)) {
            let wait = self.office.news.wait_timeout(post, deadline.left());
            post = wait.unwrap_or_else(PoisonError::into_inner).0;
        }
        (0..self.size()).filter(|&r| post.late.contains(&self.members[r])).collect()
    }
    fn abort(&self, code: i32) -> ! {
        std::process::exit(code)
    }
}

/// Tells the others that a thread has ended, however it did.
struct Leaving(Arc<Office>, usize);

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.post().gone.insert(self.1);
        self.0.news.notify_all();
    }
}

/// Runs `f` on `n` threads, each with its rank of one group, and gives what they return, by ranks: a program for many
/// processes can so be tried and tested in one, without MPI. The name is that of `torch.multiprocessing`.
///
/// ```
/// use tapegrad::{Tensor, distributed};
/// let sums = distributed::spawn(3, |group| {
///     let own = Tensor::scalar(group.rank() as f64 + 1.0);
///     group.all_reduce(&own)?.item()
/// })?;
/// assert_eq!(sums, [6.0, 6.0, 6.0]);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// Argument, for no threads; that of the lowest rank which returned one by itself, and not because another had left.
///
/// # Panics
/// Where `f` does, after all threads have ended.
pub fn spawn<R: Send>(n: usize, f: impl Fn(&Group) -> Result<R> + Sync) -> Result<Vec<R>> {
    if n == 0 {
        return Err(Error::argument("spawn", "a group of no threads: at least one is needed"));
    }
    let office = Arc::new(Office::default());
    let members = Arc::new((0..n).collect::<Vec<_>>());
    let run = |rank: usize| {
        let _leaving = Leaving(office.clone(), rank);
        let (office, members) = (office.clone(), members.clone());
        let threads = Threads { office, members, number: 0, rank, children: Mutex::new(0) };
        f(&Group::new(Box::new(threads)))
    };
    let run = &run;
    let results: Vec<_> = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..n).map(|rank| scope.spawn(move || run(rank))).collect();
        handles.into_iter().map(|h| h.join()).collect()
    });
    let mut values = Vec::with_capacity(n);
    let mut errors = Vec::new();
    for result in results {
        match result {
            Ok(Ok(value)) => values.push(value),
            Ok(Err(e)) => errors.push(e),
            Err(panic) => resume_unwind(panic),
        }
    }
    // Others ended because the first had.
    let own = errors.iter().position(|e| !e.to_string().contains("has ended")).unwrap_or(0);
    if errors.is_empty() { Ok(values) } else { Err(errors.swap_remove(own)) }
}
