//! Recorded graphs as their users see them: a listing, and Graphviz.

use crate::node::{Edge, Identity, Node, Opened};
use crate::tensor::Tensor;
use std::collections::HashMap;
use std::fmt::{self, Write};
use std::panic::Location;
use tensor_core::Element;

/// An operation or a leaf of a [`Graph`].
///
/// ```
/// use tapegrad::Tensor;
/// let x = Tensor::from([1.0, 2.0]).requires_grad();
/// let y = x.exp();
/// let graph = y.graph();
/// let last = &graph.vertices()[1];
/// assert_eq!((last.name, last.inputs[0], last.kept_bytes), ("exp", Some(0), 16));
/// ```
#[derive(Clone, Debug)]
pub struct Vertex {
    /// The operation's name; "leaf" for a tensor that requires a gradient, "consumed" for an operation
    /// that an earlier backward pass took away.
    pub name: &'static str,
    /// The shape of the result; None where nothing on the tape refers to it.
    pub shape: Option<Vec<usize>>,
    /// The vertices of the inputs, by their place in [`Graph::vertices`]; None for constants.
    pub inputs: Vec<Option<usize>>,
    /// The line that called the operation.
    pub site: Option<&'static Location<'static>>,
    /// Bytes kept for the rule, in buffers that others may hold as well.
    pub kept_bytes: usize,
}

/// The operations behind a tensor, or those of a tape, as they were recorded. It is a picture: it
/// keeps nothing alive.
///
/// Printed, it is a list in the order of the program:
///
/// ```
/// use tapegrad::Tensor;
/// let x = Tensor::from([1.0, 2.0]).requires_grad();
/// let y = (x.exp() * 3.0).sum();
/// let listing = y.graph().to_string();
/// let mut lines = listing.lines();
/// assert_eq!(lines.next(), Some("%0 = leaf [2]"));
/// assert!(lines.next().unwrap().starts_with("%1 = exp(%0) [2], keeps 16 B, at "));
/// assert!(lines.next().unwrap().starts_with("%2 = mul(%1) [2], at "));
/// assert!(lines.next().unwrap().starts_with("%3 = sum(%2) [], at "));
/// ```
#[derive(Clone)]
pub struct Graph {
    vertices: Vec<Vertex>,
}

/// A vertex while the graph is gathered.
struct Found {
    vertex: Vertex,
    parents: Vec<Option<Identity>>,
    /// Grows from what is used to what uses it; the last for what no edge leads to.
    order: (u64, u64, usize),
}

#[derive(Default)]
struct Gathering {
    found: HashMap<Identity, Found>,
    edges: Vec<Edge>,
}

impl Gathering {
    fn node(&mut self, identity: Identity, node: Node) {
        let mut bytes = 0;
        let held = node.rule.kept(&mut |_, b| bytes += b);
        let parents = node.parents.iter().map(|p| p.as_ref().map(Edge::identity)).collect();
        self.put(identity, node.rule.name(), Some(node.site), bytes + held, parents);
        self.edges.extend(node.parents.into_iter().flatten());
    }

    fn put(
        &mut self,
        identity: Identity,
        name: &'static str,
        site: Option<&'static Location<'static>>,
        kept_bytes: usize,
        parents: Vec<Option<Identity>>,
    ) {
        let vertex = Vertex { name, shape: None, inputs: Vec::new(), site, kept_bytes };
        self.found.insert(identity, Found { vertex, parents, order: (u64::MAX, u64::MAX, self.found.len()) });
    }

    fn finish(mut self) -> Graph {
        while let Some(edge) = self.edges.pop() {
            let identity = edge.identity();
            if !self.found.contains_key(&identity) {
                match edge.open() {
                    Opened::Node(node) => self.node(identity, node),
                    Opened::Leaf => self.put(identity, "leaf", None, 0, Vec::new()),
                    Opened::Consumed => self.put(identity, "consumed", None, 0, Vec::new()),
                }
            }
            if let Some(found) = self.found.get_mut(&identity) {
                found.vertex.shape.get_or_insert_with(|| edge.shape().to_vec());
                found.order = edge.id();
            }
        }
        let mut all: Vec<(Identity, Found)> = self.found.into_iter().collect();
        all.sort_by_key(|(_, found)| found.order);
        let places: HashMap<Identity, usize> = all.iter().enumerate().map(|(i, (id, _))| (*id, i)).collect();
        let vertices = all.into_iter().map(|(_, Found { mut vertex, parents, .. })| {
            vertex.inputs = parents.iter().map(|p| p.map(|id| places[&id])).collect();
            vertex
        });
        Graph { vertices: vertices.collect() }
    }
}

impl Graph {
    /// These nodes and everything that they were computed from.
    pub(crate) fn of_nodes(nodes: Vec<(Identity, Node)>) -> Graph {
        let mut gathering = Gathering::default();
        for (identity, node) in nodes {
            gathering.node(identity, node);
        }
        gathering.finish()
    }

    /// What was recorded, each operation after its inputs.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::scalar(1.0).requires_grad();
    /// let names: Vec<_> = (x.exp() * 2.0).graph().vertices().iter().map(|v| v.name).collect();
    /// assert_eq!(names, ["leaf", "exp", "mul"]);
    /// ```
    pub fn vertices(&self) -> &[Vertex] {
        &self.vertices
    }

    /// The graph in the language of Graphviz: `dot -Tsvg` draws it.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::scalar(1.0).requires_grad();
    /// assert!(x.exp().graph().to_dot().starts_with("digraph"));
    /// ```
    pub fn to_dot(&self) -> String {
        let mut dot = String::from("digraph {\n  node [shape=box];\n");
        for (i, vertex) in self.vertices.iter().enumerate() {
            let style = if vertex.name == "leaf" { ", style=rounded" } else { "" };
            let shape = vertex.shape.as_ref().map_or(String::new(), |shape| format!("\\n{shape:?}"));
            let site = vertex.site.map_or(String::new(), |site| format!(", tooltip={:?}", site.to_string()));
            let name = vertex.name.escape_default();
            // Writing to a string cannot fail.
            let _ = writeln!(dot, "  n{i} [label=\"{name}{shape}\"{style}{site}];");
            for input in vertex.inputs.iter().flatten() {
                let _ = writeln!(dot, "  n{input} -> n{i};");
            }
        }
        dot + "}\n"
    }
}

impl fmt::Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, vertex) in self.vertices.iter().enumerate() {
            write!(f, "%{i} = {}", vertex.name)?;
            if !vertex.inputs.is_empty() {
                let input = |input: &Option<usize>| input.map_or("constant".into(), |i| format!("%{i}"));
                write!(f, "({})", vertex.inputs.iter().map(input).collect::<Vec<_>>().join(", "))?;
            }
            if let Some(shape) = &vertex.shape {
                write!(f, " {shape:?}")?;
            }
            if vertex.kept_bytes > 0 {
                write!(f, ", keeps {} B", vertex.kept_bytes)?;
            }
            match vertex.site {
                Some(site) => writeln!(f, ", at {site}")?,
                None => writeln!(f)?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// # Gradients: the recorded graph
impl<T: Element> Tensor<T> {
    /// The operations that this tensor was computed by and that backward would walk; nothing for a
    /// constant.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::scalar(1.0);
    /// assert!(x.exp().graph().vertices().is_empty());
    /// assert_eq!(x.requires_grad().exp().graph().vertices().len(), 2);
    /// ```
    pub fn graph(&self) -> Graph {
        Gathering { edges: self.edge().cloned().into_iter().collect(), ..Default::default() }.finish()
    }
}

#[cfg(test)]
mod tests {
    use crate::{GradOptions, Tensor, grad_with, tape};
    use tensor_core::Result;

    #[test]
    fn graphs_show_what_was_shared_consumed_and_on_which_line() -> Result<()> {
        let x = Tensor::from([1.0, 2.0]).requires_grad();
        let y = x.exp();
        let line = line!() - 1;
        let z = (&y * &y).sum();
        let graph = z.graph();
        let names: Vec<&str> = graph.vertices().iter().map(|v| v.name).collect();
        assert_eq!(names, ["leaf", "exp", "mul", "sum"]);
        let (exp, mul) = (&graph.vertices()[1], &graph.vertices()[2]);
        assert_eq!((exp.site.unwrap().file(), exp.site.unwrap().line()), (file!(), line));
        assert_eq!(exp.shape.as_deref(), Some(&[2][..]));
        assert_eq!(mul.inputs, [Some(1), Some(1)]);
        assert_eq!((exp.kept_bytes, mul.kept_bytes), (16, 32));
        // On the tape the two operations keep one buffer.
        assert_eq!(tape::stats(), tape::Stats { nodes: 3, kept_bytes: 16 });
        assert_eq!(tape::graph().vertices().len(), 4);
        let dot = graph.to_dot();
        assert!(dot.starts_with("digraph {") && dot.ends_with("}\n"));
        assert_eq!(dot.matches("n1 -> n2;").count(), 2);
        assert!(dot.contains("n1 [label=\"exp\\n[2]\", tooltip="), "{dot}");

        z.backward()?;
        assert_eq!(z.graph().to_string(), "%0 = consumed []\n");
        assert_eq!(tape::stats(), tape::Stats::default());
        assert_eq!(Tensor::scalar(1.0).graph().to_string(), "");
        Ok(())
    }

    #[test]
    fn second_order_is_put_down_to_the_user_s_lines() -> Result<()> {
        let x = Tensor::scalar(2.0).requires_grad();
        let y = x.sin() * &x;
        let line = line!() - 1;
        let options = GradOptions { create_graph: true, ..Default::default() };
        let g = grad_with(&y, [&x], options)?.remove(0).unwrap();
        let graph = g.graph();
        assert!(graph.vertices().len() > 4);
        for vertex in graph.vertices().iter().filter(|v| v.name != "leaf" && v.name != "add") {
            assert_eq!(vertex.site.map(|s| (s.file(), s.line())), Some((file!(), line)), "{graph}");
        }
        Ok(())
    }
}
