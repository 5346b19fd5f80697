//! Where a Jacobian is other than zero, from products with it.
//!
//! The columns are halved again and again. A row has an element in a range of columns where its product with random
//! numbers there is not zero; ranges that no row has both of are asked about in one product. Rows are halved likewise, by
//! products from the other side, and whichever takes fewer products is gone on with.
//!
//! Source: Griewank, Mitev, "Detecting Jacobian sparsity patterns by Bayesian probing", 2002.

use super::compression::{FORWARD_COST, Products, colour};
use super::jacobian::{OP, spread};
use autograd::Tensor;
use tensor_core::kernels::sparse::Pattern;
use tensor_core::{Array, Float, Result, compiled_once, memory};

/// Elements of the products that are asked for together.
const TOGETHER: usize = 1 << 16;

/// What is known when columns, or rows, have been halved some times: the ranges that each row, or column, has elements in.
struct Search {
    by_columns: bool,
    /// Columns to be halved, and rows that have elements in them; or the other way round.
    halved: usize,
    lines: usize,
    /// Elements of a range.
    size: usize,
    /// The ranges that line i has elements in: `ranges[starts[i]..starts[i + 1]]`.
    starts: Vec<i64>,
    ranges: Vec<i64>,
    /// Products that it took, in backward passes.
    spent: usize,
}

impl Search {
    fn new([m, n]: [usize; 2], by_columns: bool) -> Result<Self> {
        let (halved, lines) = if by_columns { (n, m) } else { (m, n) };
        let known = lines * halved.min(1);
        Ok(Search {
            by_columns,
            halved,
            lines,
            // A single one is asked about, too.
            size: if halved == 1 { 2 } else { halved.next_power_of_two() },
            starts: memory::collect(OP, (0..=lines as i64).map(|i| i.min(known as i64)))?,
            ranges: memory::vector(OP, known, 0)?,
            spent: 0,
        })
    }

    fn cost(&self) -> usize {
        if self.by_columns { FORWARD_COST } else { 1 }
    }

    /// What it will have taken in the end where no line has elements in more ranges than now.
    fn expected(&self) -> usize {
        let most = self.starts.windows(2).map(|w| w[1] - w[0]).max().unwrap_or(0) as usize;
        self.spent + self.size.ilog2() as usize * 2 * most * self.cost()
    }

    /// The halves of the ranges, each with what its line knew of it.
    fn halves(&mut self) -> Result<Pattern> {
        self.size /= 2;
        let (size, halved) = (self.size, self.halved);
        let whole = |&half: &i64| (half as usize) * size < halved;
        let mut starts = memory::room(OP, self.lines + 1)?;
        let mut ranges: Vec<i64> = memory::room(OP, 2 * self.ranges.len())?;
        starts.push(0);
        for w in self.starts.windows(2) {
            let known = &self.ranges[w[0] as usize..w[1] as usize];
            ranges.extend(known.iter().flat_map(|&range| [2 * range, 2 * range + 1]).filter(whole));
            starts.push(ranges.len() as i64);
        }
        let (starts, across) = (Array::from_vec(starts, &[self.lines + 1])?, {
            let count = ranges.len();
            Array::from_vec(ranges, &[count])?
        });
        Pattern::from_lines(OP, 0, &starts, &across, [self.lines, halved.div_ceil(size)])
    }
}

compiled_once! {
    /// The pattern that the functions show, one linearised at two points: an element that is zero at both is taken for zero.
    pub(super) fn detected<T: Float>(functions: [&dyn Products<T>; 2]) -> Result<Pattern> {
        let shape = functions[0].shape();
        let mut searches = [Search::new(shape, true)?, Search::new(shape, false)?];
        loop {
            if let Some(ended) = searches.iter_mut().find(|search| search.size <= 1) {
                return found(ended, shape);
            }
            let next = usize::from(searches[1].expected() < searches[0].expected());
            halve(&mut searches[next], functions)?;
        }
    }

    /// One step: half the size of the ranges.
    fn halve<T: Float>(search: &mut Search, functions: [&dyn Products<T>; 2]) -> Result<()> {
        let halves = search.halves()?;
        let (groups, count) = colour(OP, &halves, 1)?;
        search.spent += count * search.cost();
        let (halved, lines, size) = (search.halved, search.lines, search.size);
        // Whether line i has an element in the ranges of group g, at g * lines + i.
        let mut told = memory::vector(OP, count * lines, false)?;
        let at_once = (TOGETHER / halved.max(lines)).max(1);
        for first in (0..count).step_by(at_once) {
            let rows = at_once.min(count - first);
            let mut seeds = memory::vector(OP, rows * halved, T::ZERO)?;
            for (j, number) in (0..halved).zip(0..) {
                let group = groups[j / size] as usize;
                if (first..first + rows).contains(&group) {
                    seeds[(group - first) * halved + j] = T::of(1e3 * spread(number));
                }
            }
            let seeds = Tensor::from_vec(seeds, [rows, halved])?.to_device(&functions[0].device())?;
            for f in functions {
                let products = f.products(search.by_columns, &seeds)?;
                let told = &mut told[first * lines..][..rows * lines];
                told.iter_mut().zip(products.to_vec()).for_each(|(told, x)| *told |= x != T::ZERO);
            }
        }
        let known = halves.lines(OP, 0)?;
        let [starts, ranges] = [&known.starts, &known.across]
            .map(|x| x.as_slice().expect("a pattern's arrays are row-major, on the host"));
        search.ranges.clear();
        for i in 0..lines {
            let of_line = &ranges[starts[i] as usize..starts[i + 1] as usize];
            let met = |&&range: &&i64| told[groups[range as usize] as usize * lines + i];
            memory::grow(OP, &mut search.ranges, of_line.len())?;
            search.ranges.extend(of_line.iter().filter(met));
            search.starts[i + 1] = search.ranges.len() as i64;
        }
        Ok(())
    }
}

/// The pattern of a search that has come to an end, with coordinates in row-major order.
fn found(search: &mut Search, shape: [usize; 2]) -> Result<Pattern> {
    let count = search.ranges.len();
    let starts = Array::from_vec(std::mem::take(&mut search.starts), &[search.lines + 1])?;
    let across = Array::from_vec(std::mem::take(&mut search.ranges), &[count])?;
    let lines = Pattern::from_lines(OP, usize::from(!search.by_columns), &starts, &across, shape)?;
    let (sorted, _) = lines.sorted(OP, 0)?;
    let [rows, columns] = sorted.coordinates(OP)?;
    Pattern::from_coordinates(OP, rows, columns, shape)
}

#[cfg(test)]
mod tests {
    use super::super::{SparseJacobian, SparseTensor};
    use super::*;
    use autograd::jacobian;

    /// Where `f` has elements, as often as it is asked, beside its dense Jacobian.
    fn found_all(f: &dyn Fn(&Tensor) -> Result<Tensor>, x: &Tensor) -> Result<()> {
        let dense = jacobian(|x: &Tensor| f(x)?.flatten().reshape([-1]), x)?;
        let [m, n] = [f(x)?.numel(), x.numel()];
        let dense = dense.reshape([m, n])?;
        let plan = SparseJacobian::detect(f, x)?;
        assert_eq!(plan.nnz(), dense.nonzero().shape()[0]);
        assert!(plan.evaluate(f, x)?.to_dense()?.allclose(&dense, 1e-12, 1e-12)?);
        Ok(())
    }

    #[test]
    fn patterns_of_all_kinds() -> Result<()> {
        let x: Tensor = Tensor::rand([37]) + 0.5;
        // Scattered: some places of a matrix, of other sizes than powers of two.
        for (m, n, step) in [(1, 1, 1), (53, 37, 11), (7, 37, 5), (90, 37, 3)] {
            let at: Vec<i64> = (0..m * n).step_by(step).map(|k| (k * k % (m * n)) as i64).collect();
            let (rows, columns): (Vec<i64>, Vec<i64>) =
                at.iter().map(|k| (k / n as i64, k % n as i64)).unzip();
            let indices = Tensor::from(vec![rows, columns]);
            let matrix = SparseTensor::coo(&indices, &Tensor::ones([at.len()]), [m, n])?;
            let x = x.narrow(0, 0, n)?;
            found_all(&|x: &Tensor| matrix.mv(&x.square()), &x)?;
            found_all(&|x: &Tensor| matrix.mv(&x.square())?.reshape([m, 1]), &x)?;
        }
        // Dense, empty, and a row and a column that are full.
        found_all(&|x: &Tensor| Ok(x * x.sum()), &x)?;
        found_all(&|x: &Tensor| x.narrow(0, 0, 0), &x)?;
        found_all(&|x: &Tensor| Ok(x.square().sum()), &x)?;
        // Rows and columns that are all alike: what is asked about together must not cancel.
        for n in 1..=64 {
            found_all(&|x: &Tensor| x.square().sum().expand([n]), &Tensor::full([n], 0.5))?;
        }
        for n in [1, 2, 37] {
            found_all(&|_: &Tensor| Ok(Tensor::ones([3])), &x.narrow(0, 0, n)?)?;
        }
        found_all(&|x: &Tensor| x.select(0, 3)?.expand([41]), &x)
    }

    #[test]
    fn takes_few_products() -> Result<()> {
        let calls = std::cell::Cell::new(0);
        // Each row knows three places far apart.
        let n = 2000;
        let part = |i: usize| (0..n as i64).map(move |k| (k * [1, 7, 31][i] + 5) % n as i64).collect();
        let indices = [0, 1, 2].map(|i| Tensor::from_vec(part(i), [n])).map(Result::unwrap);
        let f = |x: &Tensor| {
            calls.set(calls.get() + 1);
            let [a, b, c] = [0, 1, 2].map(|i| x.index_select(0, &indices[i]));
            a?.try_mul(&b?)?.try_mul(&c?)
        };
        let plan = SparseJacobian::detect(f, &(Tensor::rand([n]) + 0.5))?;
        assert!(plan.nnz() <= 3 * n && plan.nnz() > 2 * n);
        // One evaluation at each of two points: all products are of recorded graphs.
        assert_eq!(calls.get(), 2);
        Ok(())
    }
}
