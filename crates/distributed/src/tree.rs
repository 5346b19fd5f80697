//! The order in which numbers of many processes are added.
//!
//! A data set is cut into blocks, whose sums meet in one binary tree that depends on their number alone. A process holds
//! consecutive blocks; what it adds by itself are the largest nodes of the tree within them, its cover, and the rest of the
//! tree is the same whoever does it. So the bits of a sum do not depend on how many processes there are.

use std::collections::BTreeMap;
use std::ops::Range;
use tensor_core::Result;

/// The tree over `count` blocks, shared among `size` processes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Tree {
    pub(crate) count: usize,
    pub(crate) size: usize,
}

/// Where the blocks of a node are cut: on the left lie as many as the largest power of two that leaves some.
fn middle(node: &Range<usize>) -> usize {
    node.start + node.len().next_power_of_two() / 2
}

impl Tree {
    /// The blocks of a process.
    pub(crate) fn own(&self, rank: usize) -> Range<usize> {
        let start = |rank: usize| (self.count as u128 * rank as u128 / self.size as u128) as usize;
        start(rank)..start(rank + 1)
    }

    /// The process that holds a block.
    fn owner(&self, block: usize) -> usize {
        // The last process that begins at or before it, of those that have any.
        (((block as u128 + 1) * self.size as u128).div_ceil(self.count as u128) - 1) as usize
    }

    /// The process where the sum of a node is formed.
    pub(crate) fn seat(&self, node: &Range<usize>) -> usize {
        self.owner(node.start)
    }

    /// The nodes that a process adds up by itself, from left to right.
    pub(crate) fn cover(&self, rank: usize) -> Vec<Range<usize>> {
        fn collect(node: Range<usize>, own: &Range<usize>, nodes: &mut Vec<Range<usize>>) {
            if node.start >= own.end || node.end <= own.start {
                return;
            }
            if own.start <= node.start && node.end <= own.end {
                return nodes.push(node);
            }
            let middle = middle(&node);
            collect(node.start..middle, own, nodes);
            collect(middle..node.end, own, nodes);
        }
        let mut nodes = Vec::new();
        if self.count > 0 {
            collect(0..self.count, &self.own(rank), &mut nodes);
        }
        nodes
    }

    /// The node of all blocks.
    pub(crate) fn root(&self) -> Range<usize> {
        0..self.count
    }

    /// The two halves of a node that is no single block.
    pub(crate) fn halves(node: &Range<usize>) -> [Range<usize>; 2] {
        let middle = middle(node);
        [node.start..middle, middle..node.end]
    }
}

/// The sum over the blocks of a node: `leaf` gives that of one.
pub(crate) fn sum<V>(
    node: Range<usize>,
    leaf: &mut dyn FnMut(usize) -> Result<V>,
    add: &dyn Fn(V, V) -> Result<V>,
) -> Result<V> {
    if node.len() == 1 {
        return leaf(node.start);
    }
    let [left, right] = Tree::halves(&node);
    let left = sum(left, leaf, add)?;
    add(left, sum(right, leaf, add)?)
}

/// The sum of a node from those of nodes within it that cover it.
pub(crate) fn total<V>(
    node: Range<usize>,
    known: &mut BTreeMap<(usize, usize), V>,
    add: &dyn Fn(V, V) -> Result<V>,
) -> Result<V> {
    if let Some(value) = known.remove(&(node.start, node.end)) {
        return Ok(value);
    }
    assert!(node.len() > 1, "the covers of all processes hold every block");
    let [left, right] = Tree::halves(&node);
    let left = total(left, known, add)?;
    add(left, total(right, known, add)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn covers_hold_every_block_once_and_add_up_to_one_tree() {
        let add = |a: String, b: String| Ok(format!("({a} {b})"));
        for count in 1..40 {
            let whole = sum(0..count, &mut |k| Ok(k.to_string()), &add).unwrap();
            for size in 1..9 {
                let tree = Tree { count, size };
                let mut known = BTreeMap::new();
                let mut blocks = Vec::new();
                for rank in 0..size {
                    for node in tree.cover(rank) {
                        blocks.extend(node.clone());
                        assert!(node.clone().all(|b| tree.owner(b) == rank), "{tree:?} {rank} {node:?}");
                        let value = sum(node.clone(), &mut |k| Ok(k.to_string()), &add).unwrap();
                        known.insert((node.start, node.end), value);
                    }
                }
                assert_eq!(blocks, (0..count).collect::<Vec<_>>());
                assert_eq!(total(0..count, &mut known, &add).unwrap(), whole);
            }
        }
    }

    #[test]
    fn as_many_blocks_as_a_power_of_two_are_one_node_each() {
        for size in [1, 2, 4, 8] {
            let tree = Tree { count: 64, size };
            assert!((0..size).all(|rank| tree.cover(rank).len() == 1));
        }
        assert!((0..3).all(|rank| Tree { count: 64, size: 3 }.cover(rank).len() <= 6));
    }
}
