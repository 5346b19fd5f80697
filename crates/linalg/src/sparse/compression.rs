//! Few products with a sparse Jacobian that hold all of its elements: rows without a common column are computed as one, and
//! so are columns without a common row.
//!
//! Source: Curtis, Powell, Reid, "On the estimation of sparse Jacobian matrices", 1974; Gebremedhin, Manne, Pothen,
//! "What color is your Jacobian? Graph coloring for computing derivatives", 2005.

use super::jacobian::OP;
use autograd::{Linearized, Tensor};
use tensor_core::kernels::sparse::{Lines, Pattern};
use tensor_core::{Array, Device, Float, Result, compiled_once, memory};

/// The Jacobian of a linearised function, a row for each element of the value, a column for each of the argument.
pub(super) trait Products<T: Float> {
    fn shape(&self) -> [usize; 2];

    fn device(&self) -> Device;

    /// The products with many directions, or of many cotangents, which are the rows of `seeds`.
    fn products(&self, by_columns: bool, seeds: &Tensor<T>) -> Result<Tensor<T>>;
}

impl<T: Float> Products<T> for Linearized<T, Tensor<T>, Tensor<T>> {
    fn shape(&self) -> [usize; 2] {
        [self.value().numel(), self.point().numel()]
    }
    fn device(&self) -> Device {
        self.value().device()
    }
    fn products(&self, by_columns: bool, seeds: &Tensor<T>) -> Result<Tensor<T>> {
        if by_columns { self.jvp_batched(seeds) } else { self.vjp_batched(seeds) }
    }
}

/// The elements of several tensors, one tensor after another.
impl<T: Float> Products<T> for Linearized<T, Vec<Tensor<T>>, Tensor<T>> {
    fn shape(&self) -> [usize; 2] {
        [self.value().numel(), self.point().iter().map(Tensor::numel).sum()]
    }
    fn device(&self) -> Device {
        self.value().device()
    }
    fn products(&self, by_columns: bool, seeds: &Tensor<T>) -> Result<Tensor<T>> {
        let many = seeds.shape()[0];
        if !by_columns {
            let of_each = self.vjp_batched(seeds)?;
            let flat = of_each.iter().zip(self.point()).map(|(rows, of)| rows.reshape([many, of.numel()]));
            return Tensor::cat(&flat.collect::<Result<Vec<_>>>()?, 1);
        }
        let mut end = 0;
        let part = |of: &Tensor<T>| {
            end += of.numel();
            seeds.narrow(1, end - of.numel(), of.numel())
        };
        self.jvp_batched(&self.point().iter().map(part).collect::<Result<Vec<_>>>()?)
    }
}

/// How the elements of a pattern are found in products with few directions, or of few cotangents.
#[derive(Clone)]
pub(super) struct Compression {
    /// Whether columns are computed together, by forward products; else rows, by backward passes.
    by_columns: bool,
    /// The group of each row, or column.
    groups: Array<i64>,
    pub count: usize,
    /// Where each element of the pattern is in the compressed rows, or columns.
    places: Array<i64>,
}

/// Backward passes that a forward product costs at most.
pub(super) const FORWARD_COST: usize = 2;

/// What groups of rows, for `dim` 0, or of columns cost, in backward passes.
fn cost(dim: usize, groups: usize) -> usize {
    groups.saturating_mul([1, FORWARD_COST][dim])
}

/// What groups of rows, and of columns, cost at least: the elements of a row are in as many groups of columns, and the
/// other way round.
fn least_costs(pattern: &Pattern) -> Result<[usize; 2]> {
    Ok([cost(0, longest(pattern.lines(OP, 1)?)), cost(1, longest(pattern.lines(OP, 0)?))])
}

impl Compression {
    pub fn new(pattern: &Pattern) -> Result<Self> {
        let least = least_costs(pattern)?;
        let mut dim = usize::from(least[1] < least[0]);
        let (mut groups, mut count) = colour(OP, pattern, dim)?;
        if cost(dim, count) > least[1 - dim] {
            let other = colour(OP, pattern, 1 - dim)?;
            if cost(1 - dim, other.1) < cost(dim, count) {
                (dim, (groups, count)) = (1 - dim, other);
            }
        }
        let by_columns = dim == 1;
        let [i, j] = pattern
            .coordinates(OP)?
            .map(|x| x.as_slice().expect("a pattern's arrays are row-major, on the host"));
        let (along, across) = if by_columns { (j, i) } else { (i, j) };
        let width = pattern.shape()[usize::from(!by_columns)] as i64;
        let places = along.iter().zip(across).map(|(&a, &b)| groups[a as usize] * width + b);
        let places = memory::collect(OP, places)?;
        let n = groups.len();
        Ok(Compression {
            by_columns,
            groups: Array::from_vec(groups, &[n])?,
            count,
            places: Array::from_vec(places, &[pattern.count()])?,
        })
    }

    /// Whether no grouping of `other` can take less.
    pub fn is_least_beside(&self, other: &Pattern) -> Result<bool> {
        let [rows, columns] = least_costs(other)?;
        Ok(cost(usize::from(self.by_columns), self.count) <= rows.min(columns))
    }

    /// The elements of the pattern, of the Jacobian of `f`.
    pub fn elements<T: Float>(&self, f: &dyn Products<T>) -> Result<Tensor<T>> {
        elements(self, f)
    }
}

compiled_once! {
    fn elements<T: Float>(of: &Compression, f: &dyn Products<T>) -> Result<Tensor<T>> {
        let device = f.device();
        // Row g of the seeds has a one for each line of group g.
        let lines = of.groups.numel();
        let at = Tensor::from(of.groups.clone()).unsqueeze(0)?.to_device(&device)?;
        let one = Tensor::from(Array::repeat_on(device, &[1, lines], T::ONE)?);
        let seeds = Tensor::from(Array::zeros_on(device, &[of.count, lines])?).scatter_add(0, &at, &one)?;
        let compressed = f.products(of.by_columns, &seeds)?;
        compressed.flatten().index_select(0, Tensor::from(of.places.to_device(OP, device)?))
    }
}

/// The elements of the line that has most.
fn longest(lines: &Lines) -> usize {
    let starts = lines.starts.as_slice().expect("a pattern's arrays are row-major, on the host");
    starts.windows(2).map(|w| (w[1] - w[0]) as usize).max().unwrap_or(0)
}

/// A group for each row of the pattern, for `dim` 0, such that rows of one group have no common column; and the number
/// of groups. Rows take the first group that is free, those with most elements first.
pub(super) fn colour(op: &'static str, pattern: &Pattern, dim: usize) -> Result<(Vec<i64>, usize)> {
    let (along, across) = (pattern.lines(op, dim)?, pattern.lines(op, 1 - dim)?);
    let [starts, places, next_starts, next_places] =
        [&along.starts, &along.across, &across.starts, &across.across]
            .map(|x| x.as_slice().expect("a pattern's arrays are row-major, on the host"));
    let size = |i: usize| starts[i + 1] - starts[i];
    let lines = pattern.shape()[dim];
    let mut order = memory::collect(op, 0..lines)?;
    order.sort_unstable_by_key(|&i| (std::cmp::Reverse(size(i)), i));
    let mut groups = memory::vector(op, lines, -1i64)?;
    // The line that found a group taken last.
    let mut taken: Vec<usize> = Vec::new();
    for i in order {
        for &j in &places[starts[i] as usize..starts[i + 1] as usize] {
            for &k in &next_places[next_starts[j as usize] as usize..next_starts[j as usize + 1] as usize] {
                if let Ok(group) = usize::try_from(groups[k as usize]) {
                    taken[group] = i;
                }
            }
        }
        let free = (0..taken.len()).find(|&g| taken[g] != i || size(i) == 0);
        if free.is_none() {
            memory::grow(op, &mut taken, 1)?;
            taken.push(usize::MAX);
        }
        groups[i] = free.unwrap_or(taken.len() - 1) as i64;
    }
    Ok((groups, taken.len()))
}
