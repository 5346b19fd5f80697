//! LU factorisations, and what follows from them.

use super::ffi;
use super::steps::{BATCHED, On, by_columns, contiguous, shape, sizes, transposed};
use crate::array::Array;
use crate::cuda::blas::{self, Triangles};
use crate::cuda::bytes::bytes_mut;
use crate::cuda::copy::copy;
use crate::cuda::status::Status;
use crate::element::Float;
use crate::error::Result;
use crate::gpu::allocation::Allocation;
use crate::gpu::context::Gpu;
use crate::matrix::flaw::{Flaw, singular_error};
use crate::shape::Dims;

/// P A = L U of each matrix of a batch, which remains on the GPU.
pub(crate) struct Factors<T: Float> {
    on: On,
    batch: Dims,
    n: usize,
    /// Column by column: U, and L without its diagonal of ones.
    lu: Array<T>,
    /// The rows of A in the order of those of L U.
    order: Array<i64>,
    /// The determinants of P.
    signs: Array<T>,
    singular: Option<usize>,
}

/// The order of rows that need no more shared memory than every block has.
const SHARED_ORDER: usize = 4096;

/// The order in which row exchanges leave `rows` rows, of `exchanges` pivots for each matrix.
fn row_order<T: Float>(
    on: On,
    batch: &[usize],
    rows: usize,
    exchanges: usize,
    pivots: &Allocation,
    wide: bool,
    signs: Option<&Array<T>>,
) -> Result<Array<i64>> {
    let order = Array::<i64>::unwritten(on.gpu, on.op, shape(batch, &[rows]))?;
    let fits = rows <= SHARED_ORDER;
    let words = [
        pivots.pointer(),
        order.pointer(),
        signs.map_or(0, |signs| signs.pointer()),
        rows as u64,
        exchanges as u64,
        wide.into(),
        fits.into(),
    ];
    let shared = if fits { 8 * rows } else { 0 };
    on.matrices::<T>(c"row_order", batch.iter().product(), 256, shared, &words)?;
    Ok(order)
}

impl<T: Float> Factors<T> {
    /// LU with partial pivoting of each matrix; a zero pivot is no error here.
    pub(crate) fn of(gpu: &'static Gpu, op: &'static str, a: &Array<T>) -> Result<Self> {
        let on = On { gpu, op };
        let (batch, n, _) = sizes(a);
        let count: usize = batch.iter().product();
        let lu = by_columns(on, a)?;
        let signs = Array::unwritten(gpu, op, Dims::from_slice(batch))?;
        let wide = count == 1 || n > BATCHED;
        let pivots = gpu.allocate(op, if wide { 8 } else { 4 } * count * n)?;
        let mut singular = None;
        if n > 0 && count > 0 {
            let info = on.info(count)?;
            if wide {
                let place = (lu.pointer(), n * n);
                ffi::getrf::<T>(gpu, op, [n, n], count, place, pivots.pointer(), info.pointer())?;
            } else {
                let addresses = on.addresses::<T>(lu.pointer(), n * n, count)?;
                let [addresses, pivots, info] = [&addresses, &pivots, &info].map(Allocation::pointer);
                blas::getrf_batched::<T>(gpu, op, n, count, addresses, pivots, info)?;
            }
            let status = Status::new(gpu, op)?;
            on.failed::<T>(&info, count, &status)?;
            singular = status.first(op)?;
        }
        let order = row_order(on, batch, n, n, &pivots, wide, Some(&signs))?;
        Ok(Factors { on, batch: batch.into(), n, lu, order, signs, singular })
    }

    fn count(&self) -> usize {
        self.batch.iter().product()
    }

    /// P B, or P^T B, for B of shape [batch.., n, k]; P itself where there is no B.
    fn permuted(&self, b: Option<&Array<T>>, k: usize, transposed: bool) -> Result<Array<T>> {
        let On { gpu, op } = self.on;
        let out = Array::<T>::unwritten(gpu, op, shape(&self.batch, &[self.n, k]))?;
        let words = [
            out.pointer(),
            b.map_or(0, |b| b.pointer()),
            self.order.pointer(),
            out.numel() as u64,
            self.n as u64,
            k as u64,
            transposed.into(),
        ];
        self.on.elements::<T>(c"permute_rows", out.numel(), &words)?;
        Ok(out)
    }

    /// Solves with U or L, or the transpose of either, in place.
    fn solve_with(&self, upper: bool, transposed: bool, x: &Array<T>, k: usize) -> Result<()> {
        // Row-major, X is X^T to cuBLAS, for which U X = B is X^T U^T = B^T.
        solve_rows(self.on, &self.lu, (upper, !transposed, !upper), x, self.n, k, self.count())
    }

    /// A^-1 B, or A^-T B, for B of shape [batch.., n, k], with infinities and NaN for a singular matrix; and the
    /// number of the first such matrix.
    pub(crate) fn solve(&self, b: &Array<T>, transposed: bool) -> Result<(Array<T>, Option<Flaw>)> {
        let k = b.shape()[b.ndim() - 1];
        let x = if transposed {
            let x = copy(self.on.gpu, self.on.op, b)?;
            self.solve_with(true, true, &x, k)?;
            self.solve_with(false, true, &x, k)?;
            self.permuted(Some(&x), k, true)?
        } else {
            let x = self.permuted(Some(&contiguous(self.on, b)?), k, false)?;
            self.solve_with(false, false, &x, k)?;
            self.solve_with(true, false, &x, k)?;
            x
        };
        Ok((x, self.singular.map(Flaw::Singular)))
    }

    /// The determinants, in the shape of the batch.
    pub(crate) fn det(&self) -> Result<Array<T>> {
        let out = Array::<T>::unwritten(self.on.gpu, self.on.op, self.batch.clone())?;
        self.determinants([out.pointer(), 0, 0])?;
        Ok(out)
    }

    /// The signs of the determinants and the logarithms of their absolute values: 0 and minus infinity for a
    /// singular matrix.
    pub(crate) fn slogdet(&self) -> Result<(Array<T>, Array<T>)> {
        let out = || Array::<T>::unwritten(self.on.gpu, self.on.op, self.batch.clone());
        let (signs, logarithms) = (out()?, out()?);
        self.determinants([0, signs.pointer(), logarithms.pointer()])?;
        Ok((signs, logarithms))
    }

    fn determinants(&self, [determinants, signs, logarithms]: [u64; 3]) -> Result<()> {
        let words = [self.lu.pointer(), self.signs.pointer(), self.n as u64, determinants, signs, logarithms];
        self.on.matrices::<T>(c"determinants", self.count(), 32, 0, &words)
    }

    /// The matrices whose smallest pivot is at most `ratio` times the largest.
    pub(crate) fn nearly_singular(&self, ratio: f64) -> Result<Vec<usize>> {
        let On { gpu, op } = self.on;
        let count = self.count();
        if self.n == 0 || count == 0 {
            return Ok(Vec::new());
        }
        let near = gpu.allocate(op, count)?;
        let words = [self.lu.pointer(), near.pointer(), self.n as u64, ratio.to_bits()];
        self.on.matrices::<T>(c"near_singular", count, 32, 0, &words)?;
        let mut flags = vec![false; count];
        gpu.read(op, near.pointer(), bytes_mut(&mut flags))?;
        Ok((0..count).filter(|&i| flags[i]).collect())
    }
}

/// X op(M) = X in place, for X^T of the row-major arrays `x` [n, k] and column-major triangles in `m`.
pub(super) fn solve_rows<T: Float>(
    on: On,
    m: &Array<T>,
    (upper, transposed, unit): (bool, bool, bool),
    x: &Array<T>,
    n: usize,
    k: usize,
    count: usize,
) -> Result<()> {
    if n * k * count == 0 {
        return Ok(());
    }
    let triangles = Triangles { upper, transposed, unit, n, k };
    if count == 1 || n > BATCHED {
        let step = |size: usize| (size * size_of::<T>()) as u64;
        let place = |i: usize| (m.pointer() + i as u64 * step(n * n), x.pointer() + i as u64 * step(n * k));
        return (0..count).map(place).try_for_each(|(m, x)| triangles.solve::<T>(on.gpu, on.op, m, x));
    }
    let [m, x] =
        [on.addresses::<T>(m.pointer(), n * n, count)?, on.addresses::<T>(x.pointer(), n * k, count)?];
    triangles.solve_batched::<T>(on.gpu, on.op, count, m.pointer(), x.pointer())
}

/// See [`Factors::solve`].
pub(crate) fn lu_solve<T: Float>(
    gpu: &'static Gpu,
    op: &'static str,
    a: &Array<T>,
    b: &Array<T>,
    transposed: bool,
) -> Result<(Array<T>, Option<Flaw>)> {
    Factors::of(gpu, op, a)?.solve(b, transposed)
}

/// See [`Factors::det`].
pub(crate) fn lu_det<T: Float>(gpu: &'static Gpu, op: &'static str, a: &Array<T>) -> Result<Array<T>> {
    Factors::of(gpu, op, a)?.det()
}

/// See [`Factors::slogdet`].
pub(crate) fn lu_slogdet<T: Float>(
    gpu: &'static Gpu,
    op: &'static str,
    a: &Array<T>,
) -> Result<(Array<T>, Array<T>)> {
    Factors::of(gpu, op, a)?.slogdet()
}

/// See [`Factors::nearly_singular`].
pub(crate) fn nearly_singular<T: Float>(
    gpu: &'static Gpu,
    op: &'static str,
    a: &Array<T>,
    ratio: f64,
) -> Result<Vec<usize>> {
    Factors::of(gpu, op, a)?.nearly_singular(ratio)
}

/// The inverse of each matrix.
///
/// # Errors
/// Singular, with the number of the first matrix that has no inverse.
pub(crate) fn inverse<T: Float>(gpu: &'static Gpu, op: &'static str, a: &Array<T>) -> Result<Array<T>> {
    let factors = Factors::of(gpu, op, a)?;
    if let Some(batch) = factors.singular {
        return Err(singular_error(op, batch, a.shape()));
    }
    let x = factors.permuted(None, factors.n, false)?;
    factors.solve_with(false, false, &x, factors.n)?;
    factors.solve_with(true, false, &x, factors.n)?;
    Ok(x)
}

/// The factors of the first columns, as many as there are rows at most, and the order of the rows.
pub(crate) fn lu_factors<T: Float>(
    gpu: &'static Gpu,
    op: &'static str,
    a: &Array<T>,
) -> Result<(Array<T>, Array<i64>)> {
    let on = On { gpu, op };
    let (batch, m, n) = sizes(a);
    let (k, count): (usize, usize) = (m.min(n), batch.iter().product());
    let lu = by_columns(on, &a.slice(op, a.ndim() - 1, 0, 1, k)?)?;
    let (pivots, info) = (gpu.allocate(op, 8 * count * k)?, on.info(count)?);
    if k > 0 && count > 0 {
        ffi::getrf::<T>(gpu, op, [m, k], count, (lu.pointer(), m * k), pivots.pointer(), info.pointer())?;
    }
    let order = row_order::<T>(on, batch, m, k, &pivots, true, None)?;
    Ok((transposed(&lu), order))
}
