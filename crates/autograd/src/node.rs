//! Nodes and the tapes they lie on: what was recorded, who holds it, and how it is let go.
//!
//! A node is a rule and edges to its parents. An edge is a counted handle; when the last handle
//! of a node goes, the node leaves its tape. Leaves are handles without a node. Only this file sees
//! the lock, and holds it for single slotmap operations only.

use crate::by_row::OutByRow;
use crate::loops::Expressions;
use crate::mode;
use slotmap::{Key, SlotMap};
use smallvec::SmallVec;
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::hash::Hasher;
use std::mem::{ManuallyDrop, replace, take};
use std::panic::{Location, RefUnwindSafe, UnwindSafe};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use tensor_core::shape::Dims;
use tensor_core::{Array, Error, Layout, Result};

slotmap::new_key_type! {
    pub(crate) struct NodeKey;
}

/// What flows back along an edge: an array of either float type, with an edge of its own where the pass is
/// recorded; or what flows to each output of a node with several.
#[derive(Clone)]
pub(crate) enum Cotangent {
    F32(Array<f32>, Option<Edge>),
    F64(Array<f64>, Option<Edge>),
    Tuple(Box<[Option<Cotangent>]>),
    Part(Box<Part>),
}

/// The cotangent of a tensor of this shape that is 0 but at some places, in row-major order. It is not written out before
/// all that is added to it is known: of a tensor that is read in a hundred parts, a hundred zeros would be.
#[derive(Clone)]
pub(crate) struct Part {
    pub value: Cotangent,
    pub places: Layout,
    pub shape: Dims,
}

/// Where a rule runs: whose parents, and whether its operations are recorded.
pub(crate) struct Context<'a> {
    pub parents: &'a [Option<Edge>],
    /// The node's own edge, under `create_graph`.
    pub own: Option<&'a Edge>,
    /// How many cotangents come at once, along a first dimension; None for a single one without it.
    pub many: Option<usize>,
    /// The only input that counts, where not all of them do.
    pub only: Option<usize>,
    /// Inputs that lead to no variable of this transform or a later one do not count; 0 where all do.
    pub since: u64,
    /// Forward: the outputs, None for those that take no part.
    pub outputs: &'a [Option<Edge>],
}

/// Where a rule delivers the cotangents of the inputs.
pub(crate) type Out<'a> = &'a mut dyn FnMut(usize, Cotangent) -> Result<()>;

/// A node's rule, whatever its types.
pub(crate) trait Rule: Send + Sync {
    fn name(&self) -> &'static str;

    /// Shows the address and the bytes of every buffer that is kept; the answer is what the operation
    /// holds besides.
    fn kept(&self, _buffer: &mut dyn FnMut(usize, usize)) -> usize {
        0
    }

    /// The elements of the result as expressions of those of the inputs; None where there are none.
    fn express(&self, _x: &[&Expressions]) -> Option<Expressions> {
        None
    }

    /// Passes the cotangent of each input that needs one to `out`.
    fn vjp(&self, context: &Context<'_>, g: Cotangent, out: Out<'_>) -> Result<()>;

    /// The tangent of the output, or those of several, for the tangents of the inputs; None where it is zero.
    fn jvp(&self, context: &Context<'_>, t: SmallVec<[Option<Cotangent>; 2]>) -> Result<Option<Cotangent>>;

    /// Passes the cotangents of the inputs for those of many results to `out`, where the first `lead` dimensions of the output
    /// count these, and each depends on its own row alone; false where rows mix, or nobody knows.
    fn by_row(
        &self,
        _context: &Context<'_>,
        _g: Cotangent,
        _lead: usize,
        _out: OutByRow<'_>,
    ) -> Result<bool> {
        Ok(false)
    }

    /// See [`Op::places`](crate::op::Op::places).
    fn places(&self, _shape: &[usize]) -> Option<Layout> {
        None
    }

    /// See [`Op::copied`](crate::op::Op::copied).
    fn copied(&self, _numbers: &Array<i64>) -> Option<Result<Array<i64>>> {
        None
    }

    /// Which of how many outputs of its only parent this is, where it is one of several.
    fn selects(&self) -> Option<(usize, usize)> {
        None
    }
}

/// The parents of a node, None for inputs that are constants.
pub(crate) type Parents = SmallVec<[Option<Edge>; 2]>;

/// An operation that was recorded.
#[derive(Clone)]
pub(crate) struct Node {
    pub rule: Arc<dyn Rule>,
    pub parents: Parents,
    /// The user's line that called the operation.
    pub site: &'static Location<'static>,
}

struct Tape {
    nodes: Mutex<SlotMap<NodeKey, Node>>,
    /// A key of this version or a later one is the last that the tape gives out.
    last_version: u32,
}

/// Keys tell the nodes of one place apart by their version, which grows by two with each and begins anew after 2^32: a
/// tape is retired at half of that, so that an old handle never finds a stranger's node.
const LAST_VERSION: u32 = 1 << 31;

impl Tape {
    fn new() -> Arc<Self> {
        Tape::until(LAST_VERSION)
    }

    fn until(last_version: u32) -> Arc<Self> {
        Arc::new(Tape { nodes: Mutex::new(SlotMap::with_key()), last_version })
    }

    fn lock(&self) -> MutexGuard<'_, SlotMap<NodeKey, Node>> {
        // Nothing of the user's runs under the lock, so the map is sound even where it is poisoned.
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the tape gives out no key after this one.
    #[inline]
    fn ends_with(&self, key: NodeKey) -> bool {
        // The version is in the upper half.
        (key.data().as_ffi() >> 32) as u32 >= self.last_version
    }
}

enum Place {
    /// A tensor that asked for a gradient.
    Leaf,
    Node(Arc<Tape>, NodeKey),
    /// Taken off its tape by the last handle.
    Gone,
}

struct NodeRef {
    place: Place,
    /// One more than the largest rank of the parents, so that no node has a rank above what uses it.
    rank: u64,
    /// Where the handle stands among those its thread has made: the order in which nodes of one rank
    /// are walked, and so the order of every sum of cotangents, is that of the program.
    number: u64,
    /// When the oldest leaf below began to ask for a gradient: 0 where the user asked, else the
    /// number of the transform whose variable it is.
    since: u64,
    /// The same of the youngest leaf or alias below: a node cannot depend on the variables of a later transform.
    latest: u64,
    shape: Dims,
    /// What the layers above hang on the tensor: most have nothing, so its place is one word.
    extra: OnceLock<Box<Box<dyn Extra>>>,
}

/// What the layers above hang on a tensor, which stays safe to hand to another thread and through a panic.
pub(crate) trait Extra: Any + Send + Sync + UnwindSafe + RefUnwindSafe {}

/// A handle of a node or a leaf.
#[derive(Clone)]
pub(crate) struct Edge(Arc<NodeRef>);

/// A handle that keeps nothing alive.
pub(crate) struct WeakEdge(Weak<NodeRef>);

impl WeakEdge {
    pub(crate) fn upgrade(&self) -> Option<Edge> {
        self.0.upgrade().map(Edge)
    }
}

/// What tells a node from others: its tape and its key. A leaf has the address of its handle.
pub(crate) type Identity = (usize, Option<NodeKey>);

/// Handles by their addresses, which differ in their upper bits.
#[derive(Default)]
pub(crate) struct ByAddress(u64);

impl Hasher for ByAddress {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&b| self.write_usize(b.into()));
    }
    fn write_usize(&mut self, address: usize) {
        // The golden ratio spreads them over all bits.
        self.0 = (self.0 ^ address as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(32);
    }
}

/// What backward finds behind an edge.
pub(crate) enum Opened {
    Leaf,
    Node(Node),
    /// Another backward pass took the node away.
    Consumed,
}

/// A large empty slotmap is replaced instead of reused: its memory goes back, and the keys that old
/// handles still carry can never meet a stranger's node.
const RETIRE: usize = 4096;

thread_local! {
    static NUMBER: Cell<u64> = const { Cell::new(0) };
    static TAPE: RefCell<Arc<Tape>> = RefCell::new(Tape::new());
    /// Nodes to drop, and whether a drop is under way. It has no destructor of its own, so that
    /// tensors dropped by another thread-local's destructor still find it.
    static DROPS: ManuallyDrop<RefCell<(bool, Vec<Node>)>> =
        const { ManuallyDrop::new(RefCell::new((false, Vec::new()))) };
}

/// Puts a node on the calling thread's tape; out of memory, where there is none for a longer one.
pub(crate) fn record(
    rule: Arc<dyn Rule>,
    inputs: &[Option<&Edge>],
    shape: &[usize],
    site: &'static Location<'static>,
) -> Result<Edge> {
    let (mut parents, mut rank, mut since, mut latest) = (Parents::new(), 0, u64::MAX, 0);
    for &edge in inputs {
        if let Some(edge) = edge {
            rank = rank.max(edge.0.rank);
            since = since.min(edge.0.since);
            latest = latest.max(edge.0.latest);
        }
        parents.push(edge.cloned());
    }
    // Where the thread is ending and its tape has gone, the node gets a tape of its own.
    let mut tape = TAPE.try_with(|slot| slot.borrow().clone()).unwrap_or_else(|_| Tape::new());
    let mut map = tape.lock();
    if map.is_empty() && map.capacity() > RETIRE {
        drop(map);
        let fresh = Tape::new();
        // The ending thread keeps no default tape to replace.
        TAPE.try_with(|slot| *slot.borrow_mut() = fresh.clone()).ok();
        tape = fresh;
        map = tape.lock();
    }
    if map.len() == map.capacity() && map.try_reserve(1).is_err() {
        let bytes = 2 * map.capacity().max(1) * size_of::<Node>();
        return Err(Error::out_of_memory(rule.name(), bytes).at(site));
    }
    let key = map.insert(Node { rule, parents, site: mode::site().unwrap_or(site) });
    drop(map);
    if tape.ends_with(key) {
        retire(&tape);
    }
    let place = Place::Node(tape, key);
    Ok(Edge::new(place, rank + 1, since, latest, shape))
}

/// Gives the calling thread a new tape; the old one lives until its last handle goes.
#[cold]
fn retire(old: &Arc<Tape>) {
    TAPE.try_with(|slot| *slot.borrow_mut() = Tape::until(old.last_version)).ok();
}

/// How many operations the calling thread's tape holds.
pub fn nodes() -> usize {
    TAPE.try_with(|t| t.borrow().lock().len()).unwrap_or(0)
}

/// What the calling thread's tape holds.
pub(crate) fn snapshot() -> Vec<(Identity, Node)> {
    let nodes = |tape: &Arc<Tape>| {
        let place = Arc::as_ptr(tape) as usize;
        tape.lock().iter().map(|(key, node)| ((place, Some(key)), node.clone())).collect()
    };
    TAPE.try_with(|slot| nodes(&slot.borrow())).unwrap_or_default()
}

fn next_number() -> u64 {
    NUMBER.replace(NUMBER.get() + 1)
}

impl Edge {
    #[inline]
    fn new(place: Place, rank: u64, since: u64, latest: u64, shape: &[usize]) -> Self {
        let (number, shape) = (next_number(), Dims::from_slice(shape));
        Edge(Arc::new(NodeRef { place, rank, number, since, latest, shape, extra: OnceLock::new() }))
    }

    /// A handle for a tensor of `shape` that asks for a gradient; see [`Edge::since`].
    pub(crate) fn leaf(shape: &[usize], since: u64) -> Self {
        Edge::new(Place::Leaf, 0, since, since, shape)
    }

    /// The handle of a node that was just made, as a variable of the transform of this number.
    pub(crate) fn renewed(mut self, transform: u64) -> Self {
        if let Some(own) = Arc::get_mut(&mut self.0) {
            own.latest = transform;
        }
        self
    }

    /// When the oldest leaf below began to ask for a gradient: 0 where the user asked for it, else
    /// the number of the transform whose variable it is.
    #[inline]
    pub(crate) fn since(&self) -> u64 {
        self.0.since
    }

    /// When the youngest leaf or alias below began to ask for a gradient; see [`Edge::since`].
    #[inline]
    pub(crate) fn latest(&self) -> u64 {
        self.0.latest
    }

    #[inline]
    pub(crate) fn is_leaf(&self) -> bool {
        matches!(self.0.place, Place::Leaf)
    }

    /// Orders nodes so that whatever uses a node comes after it. The address tells nodes of
    /// different threads apart.
    #[inline]
    pub(crate) fn id(&self) -> (u64, u64, usize) {
        (self.0.rank, self.0.number, self.address())
    }

    /// Where the handle's own memory is: as long as it lives, no other's.
    #[inline]
    pub(crate) fn address(&self) -> usize {
        Arc::as_ptr(&self.0) as usize
    }

    /// The shape of the tensor behind the edge.
    #[inline]
    pub(crate) fn shape(&self) -> &[usize] {
        &self.0.shape
    }

    /// The name of the operation that made the tensor; None for a leaf or a consumed node.
    pub(crate) fn name(&self) -> Option<&'static str> {
        match &self.0.place {
            Place::Node(tape, key) => tape.lock().get(*key).map(|node| node.rule.name()),
            _ => None,
        }
    }

    pub(crate) fn downgrade(&self) -> WeakEdge {
        WeakEdge(Arc::downgrade(&self.0))
    }

    /// What tells the node or leaf from others; see [`Identity`].
    pub(crate) fn identity(&self) -> Identity {
        match &self.0.place {
            Place::Node(tape, key) => (Arc::as_ptr(tape) as usize, Some(*key)),
            _ => (Arc::as_ptr(&self.0) as usize, None),
        }
    }

    /// Looks at the node and leaves it where it is.
    pub(crate) fn open(&self) -> Opened {
        match &self.0.place {
            Place::Leaf => Opened::Leaf,
            Place::Node(tape, key) => match tape.lock().get(*key) {
                Some(node) => Opened::Node(node.clone()),
                None => Opened::Consumed,
            },
            Place::Gone => Opened::Consumed,
        }
    }

    /// Takes the node off its tape; other handles find it consumed.
    pub(crate) fn consume(mut self) -> Opened {
        let node = match Arc::get_mut(&mut self.0) {
            // The last handle: its own drop has nothing left to do.
            Some(own) if !matches!(own.place, Place::Leaf) => match replace(&mut own.place, Place::Gone) {
                Place::Node(tape, key) => tape.lock().remove(key),
                _ => None,
            },
            _ => match &self.0.place {
                Place::Leaf => return Opened::Leaf,
                Place::Node(tape, key) => tape.lock().remove(*key),
                Place::Gone => None,
            },
        };
        node.map_or(Opened::Consumed, Opened::Node)
    }

    /// What hangs on the tensor, made where nothing does. Whoever hangs something on tensors uses one type for it.
    pub(crate) fn extra<E: Extra + Default>(&self) -> &E {
        typed(&***self.0.extra.get_or_init(|| Box::new(Box::new(E::default()))))
    }

    /// Whether anything hangs on the tensor.
    pub(crate) fn has_extra(&self) -> bool {
        self.0.extra.get().is_some()
    }

    /// What hangs on the tensor, if anything does; see [`Edge::extra`].
    #[inline]
    pub(crate) fn extra_if_any<E: Extra>(&self) -> Option<&E> {
        self.0.extra.get().map(|extra| typed(&***extra))
    }
}

fn typed<E: Extra>(extra: &dyn Extra) -> &E {
    (extra as &dyn Any).downcast_ref().expect("one type hangs on tensors")
}

impl Drop for NodeRef {
    fn drop(&mut self) {
        if let Place::Node(tape, key) = &self.place {
            let node = tape.lock().remove(*key);
            if let Some(node) = node {
                defer(node);
            }
        }
    }
}

/// Drops a node, which may let go of its parents and of tensors its rule owns, without recursion:
/// what a drop sets free joins the list that the outermost call empties.
fn defer(node: Node) {
    let outermost = DROPS.with(|d| {
        let mut d = d.borrow_mut();
        // Without memory for a longer list, recursion is what is left.
        if d.1.try_reserve(1).is_err() {
            return Err(node);
        }
        d.1.push(node);
        Ok(!replace(&mut d.0, true))
    });
    match outermost {
        Ok(true) => {}
        Ok(false) => return,
        Err(node) => return drop(node),
    }
    /// Also after a panic in a drop; the list's memory would otherwise outlive the thread.
    struct Reset;
    impl Drop for Reset {
        fn drop(&mut self) {
            let rest = DROPS.with(|d| take(&mut *d.borrow_mut()));
            drop(rest);
        }
    }
    let _reset = Reset;
    while let Some(node) = DROPS.with(|d| d.borrow_mut().1.pop()) {
        drop(node);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tensor;

    fn tape_of(x: &Tensor) -> *const Tape {
        match &x.edge().unwrap().0.place {
            Place::Node(tape, _) => Arc::as_ptr(tape),
            _ => panic!("the tensor was recorded"),
        }
    }

    /// Whatever is recorded after a node was consumed, its handle finds nothing: neither another node of its place
    /// nor, once versions have run out, one of a later tape.
    #[test]
    fn an_old_handle_never_finds_a_strangers_node() {
        std::thread::spawn(|| {
            for last_version in [1, 2, 3, 9, 64] {
                TAPE.set(Tape::until(last_version));
                let x = Tensor::scalar(2.0).requires_grad();
                let (live, stale) = (x.exp(), x.sin());
                let old = tape_of(&stale);
                stale.backward().unwrap();
                let mut tapes = 0;
                let mut last = old;
                for _ in 0..200 {
                    let y = x.cos();
                    assert!(matches!(stale.edge().unwrap().open(), Opened::Consumed));
                    if tape_of(&y) != last {
                        tapes += 1;
                        last = tape_of(&y);
                    }
                    let (Place::Node(tape, key), version) = (&y.edge().unwrap().0.place, last_version) else {
                        panic!("the tensor was recorded")
                    };
                    assert!(
                        (key.data().as_ffi() >> 32) as u32 <= version.max(1) + 1,
                        "{}",
                        tape.last_version
                    );
                }
                assert!(tapes >= 200 / (last_version as usize + 2), "{last_version}: {tapes} tapes");
                assert!(stale.backward().is_err());
                live.backward().unwrap();
                assert_eq!(x.grad().unwrap().item().unwrap(), 2f64.cos() + 2f64.exp());
            }
            TAPE.set(Tape::new());
        })
        .join()
        .unwrap();
    }

    /// What the bound is for: two keys of one place whose versions are 2^32 apart are one key.
    #[test]
    fn the_bound_is_well_before_versions_begin_anew() {
        let mut map: SlotMap<NodeKey, ()> = SlotMap::with_key();
        let first = map.insert(());
        map.remove(first);
        let second = map.insert(());
        let version = |key: NodeKey| key.data().as_ffi() >> 32;
        assert_eq!(version(second) - version(first), 2);
        assert!(u64::from(LAST_VERSION) + 2 < 1 << 32);
        let tape = Tape::new();
        let near = |version: u64| NodeKey::from(slotmap::KeyData::from_ffi(version << 32 | 1));
        assert!(!tape.ends_with(near((1 << 31) - 1)) && tape.ends_with(near((1 << 31) + 1)));
        assert!(tape.ends_with(near(u64::from(u32::MAX))));
    }
}
