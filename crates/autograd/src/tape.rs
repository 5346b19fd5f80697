//! What the calling thread's tape holds, as its users see it.

use crate::graph::Graph;
pub use crate::node::nodes;
use crate::node::snapshot;
use std::collections::HashMap;

/// What the calling thread's tape holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Operations recorded and still reachable.
    pub nodes: usize,
    /// Bytes of the buffers that they keep for their rules, each counted once however many keep it,
    /// and whoever else holds it.
    pub kept_bytes: usize,
}

/// What the calling thread's tape holds now; it looks at every node. See [`nodes`].
///
/// ```
/// use tapegrad::{Tensor, tape};
/// let x = Tensor::zeros([1000]).requires_grad();
/// let y = x.sin().exp();
/// // The sine keeps its input, the exponential its output.
/// assert_eq!(tape::stats(), tape::Stats { nodes: 2, kept_bytes: 16_000 });
/// # drop(y);
/// ```
pub fn stats() -> Stats {
    let nodes = snapshot();
    let mut buffers = HashMap::new();
    let mut kept_bytes = 0;
    for (_, node) in &nodes {
        kept_bytes += node.rule.kept(&mut |place, bytes| {
            buffers.insert(place, bytes);
        });
    }
    Stats { nodes: nodes.len(), kept_bytes: kept_bytes + buffers.values().sum::<usize>() }
}

/// The operations on the calling thread's tape; [`Tensor::graph`](crate::Tensor::graph) gives those
/// behind one tensor.
///
/// ```
/// use tapegrad::{Tensor, tape};
/// let x = Tensor::scalar(1.0).requires_grad();
/// let y = x.exp();
/// assert_eq!(tape::graph().vertices().iter().filter(|v| v.name == "exp").count(), 1);
/// drop(y);
/// assert!(tape::graph().vertices().iter().all(|v| v.name != "exp"));
/// ```
pub fn graph() -> Graph {
    Graph::of_nodes(snapshot())
}

/// [`graph`] in the language of Graphviz.
///
/// ```
/// use tapegrad::{Tensor, tape};
/// let x = Tensor::scalar(2.0).requires_grad();
/// let y = x.sin();
/// assert!(tape::to_dot().contains("sin"));
/// # drop(y);
/// ```
pub fn to_dot() -> String {
    graph().to_dot()
}
