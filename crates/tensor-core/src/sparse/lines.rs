//! The elements of a sparse matrix line after line.

#[cfg(feature = "cuda")]
use super::copies::Copies;
use crate::array::Array;
use crate::error::Result;
use crate::heap::vectors;
use crate::shape::Dims;
use std::sync::OnceLock;

/// The elements of a matrix line after line: the rows of a matrix, or its columns.
pub struct Lines {
    /// The elements of line i are those from `starts[i]` to `starts[i + 1]`.
    pub starts: Array<i64>,
    /// Where each element is along its line.
    pub across: Array<i64>,
    /// Which value belongs to each element; None where values are in this order.
    pub order: Option<Array<i64>>,
    /// `across` in half the memory, for lines of fewer than 2^32 places.
    pub(super) narrow: OnceLock<Vec<u32>>,
    #[cfg(feature = "cuda")]
    pub(crate) on_gpus: Copies<LinesOnGpu>,
}

/// Places along a line, in as little memory as they need.
#[derive(Clone, Copy)]
pub(crate) enum Across<'a> {
    Narrow(&'a [u32]),
    Wide(&'a [i64]),
}

/// What a pattern holds are contiguous arrays on the host.
pub(crate) fn numbers(x: &Array<i64>) -> &[i64] {
    x.as_slice().expect("a pattern's arrays are row-major, on the host")
}

impl Lines {
    pub(crate) fn new(starts: Array<i64>, across: Array<i64>, order: Option<Array<i64>>) -> Self {
        Lines {
            starts,
            across,
            order,
            narrow: OnceLock::new(),
            #[cfg(feature = "cuda")]
            on_gpus: Copies::new(),
        }
    }

    /// The places along lines that have `size` of them.
    pub(crate) fn across(&self, op: &'static str, size: usize) -> Result<Across<'_>> {
        let wide = numbers(&self.across);
        if u32::try_from(size).is_err() {
            return Ok(Across::Wide(wide));
        }
        let narrow = match self.narrow.get() {
            Some(known) => known,
            None => {
                let narrow = vectors::collect(op, wide.iter().map(|&i| i as u32))?;
                self.narrow.get_or_init(|| narrow)
            }
        };
        Ok(Across::Narrow(narrow))
    }
}

/// Lines in the memory of a GPU.
#[cfg(feature = "cuda")]
#[derive(Clone)]
pub(crate) struct LinesOnGpu {
    pub(crate) starts: Array<i64>,
    pub(crate) across: Array<i64>,
    pub(crate) order: Option<Array<i64>>,
}

/// The number of the line of every element.
pub(crate) fn line_numbers(op: &'static str, lines: &Lines) -> Result<Array<i64>> {
    Array::build(op, Dims::from_slice(&[lines.across.numel()]), |out| {
        for (i, w) in numbers(&lines.starts).windows(2).enumerate() {
            out[w[0] as usize..w[1] as usize].fill(i as i64);
        }
    })
}

/// The elements at (`along`, `across`) by their `count` lines, those of a line in the order in which they come.
pub(crate) fn sort_by_line(op: &'static str, along: &[i64], across: &[i64], count: usize) -> Result<Lines> {
    let mut starts = Array::<i64>::zeros(&[count.saturating_add(1)])?;
    let next = starts.fresh_mut();
    for &i in along {
        next[i as usize + 1] += 1;
    }
    for i in 0..count {
        next[i + 1] += next[i];
    }
    let n = Dims::from_slice(&[along.len()]);
    if along.is_sorted() {
        let across = Array::build(op, n, |out| out.copy_from_slice(across))?;
        return Ok(Lines::new(starts, across, None));
    }
    let mut sorted = Array::build(op, n.clone(), |_| {})?;
    let mut order = Array::build(op, n, |_| {})?;
    let (s, o) = (sorted.fresh_mut(), order.fresh_mut());
    for (k, (&i, &j)) in along.iter().zip(across).enumerate() {
        let to = &mut next[i as usize];
        (s[*to as usize], o[*to as usize]) = (j, k as i64);
        *to += 1;
    }
    // Each start has moved on to the next one.
    next.copy_within(..count, 1);
    next[0] = 0;
    Ok(Lines::new(starts, sorted, Some(order)))
}
