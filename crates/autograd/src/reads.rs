//! What a function that is being differentiated reads of its variables as numbers: through these no gradient flows,
//! and a gradient of zeros would hide it.

use crate::mode::is_grad_enabled;
use crate::node::{ByAddress, Edge, Opened};
use std::cell::{Cell, RefCell};
use std::collections::{HashSet, VecDeque};
use std::hash::BuildHasherDefault;
use std::panic::Location;
use tensor_core::{Error, ErrorKind, Result};

#[derive(Clone)]
struct Read {
    what: &'static str,
    edge: Edge,
    line: &'static Location<'static>,
}

/// Reads of one transform's function that are noted each for itself; beyond, the first of each line is: a loop over
/// intermediate results shall not hold all their graphs.
const EACH: usize = 64;

thread_local! {
    /// Whether a transform runs a function.
    static NOTING: Cell<bool> = const { Cell::new(false) };
    /// The reads of the transforms under way, the innermost last.
    static READS: RefCell<Vec<Vec<Read>>> = const { RefCell::new(Vec::new()) };
}

/// Notes what is read as long as it lives.
pub(crate) struct Reads {
    /// The number of the transform.
    number: u64,
}

impl Reads {
    pub(crate) fn begin(number: u64) -> Self {
        READS.with_borrow_mut(|reads| reads.push(Vec::new()));
        NOTING.set(true);
        Reads { number }
    }

    /// An error where none of `ys` depends on one of `variables`, but a number that was read does.
    pub(crate) fn check<'a>(
        &self,
        ys: impl Iterator<Item = &'a Edge>,
        variables: impl Iterator<Item = &'a Edge>,
    ) -> Result<()> {
        let reads = READS.with_borrow(|reads| reads.last().cloned().unwrap_or_default());
        if reads.is_empty() {
            return Ok(());
        }
        let missing = unreached(ys, variables.map(Edge::address).collect(), self.number);
        let lost = reads.iter().find(|read| {
            !missing.is_empty() && unreached([&read.edge], missing.clone(), self.number).len() < missing.len()
        });
        lost.map_or(Ok(()), |Read { what, line, .. }| {
            let message = "the value of the function does not depend on a variable that is read here as a number, \
                through which no gradient flows: compute with tensors, such as select() and narrow() give; where a \
                gradient of zero is meant, read what detach() gives";
            Err(Error::new(ErrorKind::Graph, what, message).at(line))
        })
    }
}

/// What has to do with older variables stays noted for the transform outside.
impl Drop for Reads {
    fn drop(&mut self) {
        let own = READS.with_borrow_mut(|reads| {
            let own = reads.pop();
            NOTING.set(!reads.is_empty());
            own
        });
        for read in own.into_iter().flatten().filter(|read| read.edge.since() < self.number) {
            keep(read);
        }
    }
}

/// Those of `wanted`, variables of a transform of this number by their addresses, that edges do not lead to, themselves
/// included. What stands near is looked at first: most variables are used in many places.
fn unreached<'a>(
    edges: impl IntoIterator<Item = &'a Edge>,
    mut wanted: Vec<usize>,
    number: u64,
) -> Vec<usize> {
    let mut found = HashSet::<usize, BuildHasherDefault<ByAddress>>::default();
    let mut rest: VecDeque<Edge> = edges.into_iter().cloned().collect();
    while let Some(edge) = rest.pop_front().filter(|_| !wanted.is_empty()) {
        let address = edge.address();
        // What is older than the transform leads to none of its variables.
        if edge.latest() < number || !found.insert(address) {
            continue;
        }
        wanted.retain(|&wanted| wanted != address);
        if let Opened::Node(node) = edge.open() {
            rest.extend(node.parents.into_iter().flatten());
        }
    }
    wanted
}

/// Notes that elements of a tensor are read as numbers, where a transform runs the function that does so.
#[inline]
#[track_caller]
pub(crate) fn note(what: &'static str, edge: Option<&Edge>) {
    if let Some(edge) = edge
        && NOTING.get()
        && is_grad_enabled()
    {
        keep(Read { what, edge: edge.clone(), line: Location::caller() });
    }
}

#[cold]
fn keep(read: Read) {
    // A handle that is not kept is dropped when the list is free again: its drop may run a user's code.
    let refused = READS.with_borrow_mut(|reads| {
        let Some(own) = reads.last_mut() else { return Some(read) };
        let (line, address) = (read.line, read.edge.address());
        let known = own.iter().any(|r| r.line == line && (own.len() >= EACH || r.edge.address() == address));
        if known {
            return Some(read);
        }
        own.push(read);
        None
    });
    drop(refused);
}
