//! Products of arrays: matrix by vector, and batches of matrices by matrices.

use super::gemv::gemv;
use super::parallel::deal_parts;
use super::small::{self, Matrices, for_groups};
use super::view::{MatRef, VecRef};
use crate::array::Array;
use crate::element::Float;
use crate::error::Result;
use crate::layout::Layout;
use crate::nest::Nest;
use crate::shape::{self, Dims};
use crate::simd::{Kernel, dispatch, multiply_add};
use faer::Par;

/// Multiplications from which a batch is dealt out to the threads.
const PARALLEL_FROM: usize = 1 << 18;

/// Multiplications from which a single product is: its threads wait for each other.
const PARALLEL_FROM_ONE: usize = 1 << 20;

/// Multiplications up to which a plain loop beats the packing of a blocked product.
const TINY: usize = 512;

/// Multiplications up to which the matrices of a batch are multiplied in lanes.
const SMALL: usize = 1024;

/// The last two dimensions of `layout`, from `place` on, as a matrix in `data`.
fn matrix<'a, T: Float>(data: &'a [T], layout: &Layout, place: usize) -> MatRef<'a, T> {
    let (shape, strides) = (layout.shape(), layout.strides());
    let k = shape.len() - 2;
    MatRef::new(data, place, (shape[k], shape[k + 1]), (strides[k], strides[k + 1]))
        .expect("an array stays within its buffer")
}

/// A vector as the kernels take it.
pub fn vector<T: Float>(x: &Array<T>) -> VecRef<'_, T> {
    VecRef::new(x.storage(), x.layout().offset(), x.numel(), x.layout().strides()[0])
        .expect("an array stays within its buffer")
}

/// A matrix as the kernels take it.
pub fn whole<T: Float>(a: &Array<T>) -> MatRef<'_, T> {
    matrix(a.storage(), a.layout(), a.layout().offset())
}

/// `beta y + alpha A x`, `y` a scalar, one element, or a vector.
pub fn addmv<T: Float>(
    op: &'static str,
    y: Option<&Array<T>>,
    a: &Array<T>,
    x: &Array<T>,
    beta: T,
    alpha: T,
) -> Result<Array<T>> {
    let shape = Dims::from_slice(&a.shape()[..1]);
    let mut out = start(op, y, shape)?;
    let beta = if y.is_some() { beta } else { T::ZERO };
    gemv(alpha, whole(a), vector(x), beta, out.fresh_mut());
    Ok(out)
}

/// What a product accumulates into: a copy of `c`, or memory that will be overwritten.
fn start<T: Float>(op: &'static str, c: Option<&Array<T>>, shape: Dims) -> Result<Array<T>> {
    match c {
        Some(c) => super::copy::copy(op, &c.expand(op, &shape)?),
        None => Array::build(op, shape, |_| {}),
    }
}

/// `beta C + alpha A B` for batches of matrices, whose leading dimensions broadcast; the caller has
/// checked that the last two fit.
pub fn addmm<T: Float>(
    op: &'static str,
    c: Option<&Array<T>>,
    a: &Array<T>,
    b: &Array<T>,
    beta: T,
    alpha: T,
) -> Result<Array<T>> {
    let (batch_a, batch_b) = (&a.shape()[..a.ndim() - 2], &b.shape()[..b.ndim() - 2]);
    let batch = shape::broadcast(op, batch_a, batch_b)?;
    let (m, k, n) = (a.shape()[a.ndim() - 2], a.shape()[a.ndim() - 1], b.shape()[b.ndim() - 1]);
    let mut shape = batch.clone();
    shape.extend([m, n]);
    // One right-hand matrix for all: the batch is just more rows.
    if b.ndim() == 2
        && a.ndim() > 2
        && c.is_none()
        && let Some(rows) = a.layout().reshape(&[batch.iter().product::<usize>() * m, k])
    {
        let flat = addmm(op, None, &a.view(rows), b, beta, alpha)?;
        return Ok(flat.view(Layout::row_major(shape)));
    }
    let mut out = start(op, c, shape)?;
    let beta = if c.is_some() { beta } else { T::ZERO };
    let data = out.fresh_mut();
    if data.is_empty() {
        return Ok(out);
    }
    let stretch = |x: &Array<T>| -> Result<Layout> {
        let mut to = batch.clone();
        to.extend_from_slice(&x.shape()[x.ndim() - 2..]);
        x.layout().expand(op, &to)
    };
    let (la, lb) = (stretch(a)?, stretch(b)?);
    let count = data.len() / (m * n);
    if count >= small::FEWEST && (1..=SMALL).contains(&(m * n).saturating_mul(k)) && beta == T::ZERO {
        let (a, b) = (a.view(la), b.view(lb));
        let inputs = [Matrices::of(op, &a)?, Matrices::of(op, &b)?];
        for_groups(&small::Product { m, k, n, alpha }, &inputs, [(data, m * n)], count, |_, _| ());
        return Ok(out);
    }
    let lead = |l: &Layout, d: usize| l.strides()[d];
    let dims = batch.iter().enumerate().map(|(d, &size)| (size, [lead(&la, d), lead(&lb, d)]));
    let nest = Nest::of(dims, [la.offset() as isize, lb.offset() as isize]);
    let (_, [step_a, step_b]) = nest.inner();
    let one = |place_a: isize, place_b: isize, out: &mut [T], par: Par| {
        let (a, b) = (matrix(a.storage(), &la, place_a as usize), matrix(b.storage(), &lb, place_b as usize));
        product(alpha, a, b, beta, out, par);
    };
    let work = (m * n).saturating_mul(k);
    let matrices = nest.len();
    let range = |first: usize, count: usize, out: &mut [T], par: Par| {
        nest.segments(first..first + count, |position, [p, q], len| {
            for i in 0..len {
                let out = &mut out[(position - first + i) * m * n..][..m * n];
                one(p + i as isize * step_a, q + i as isize * step_b, out, par);
            }
        });
    };
    // Large matrices are shared among the threads one at a time, small ones are dealt out.
    if matrices > 1 && work < PARALLEL_FROM_ONE && work.saturating_mul(matrices) >= PARALLEL_FROM {
        deal_parts(data, m * n, &|from, out| range(from / (m * n), out.len() / (m * n), out, Par::Seq));
    } else {
        range(0, matrices, data, if work >= PARALLEL_FROM_ONE { Par::rayon(0) } else { Par::Seq });
    }
    Ok(out)
}

/// out = beta out + alpha A B for one pair of matrices, `out` row-major.
fn product<T: Float>(alpha: T, a: MatRef<T>, b: MatRef<T>, beta: T, out: &mut [T], par: Par) {
    let (m, k, n) = (a.rows(), a.cols(), b.cols());
    if n == 1 {
        return gemv(alpha, a, b.column(0), beta, out);
    }
    if m == 1 {
        return gemv(alpha, b.transposed(), a.row(0), beta, out);
    }
    if beta == T::ZERO {
        out.fill(T::ZERO);
    } else if beta != T::ONE {
        out.iter_mut().for_each(|x| *x *= beta);
    }
    if (m * n).saturating_mul(k) <= TINY {
        return dispatch(Tiny { alpha, a, b, out });
    }
    #[cfg(feature = "blas")]
    if (m * n).saturating_mul(k) >= super::blas::FROM.pow(3)
        && (super::blas::routines::<T>().gemm)([m, k, n], alpha, a.parts(), b.parts(), out)
    {
        return;
    }
    let out = faer::MatMut::from_row_major_slice_mut(out, m, n);
    faer::linalg::matmul::matmul(out, faer::Accum::Add, a.to_faer(), b.to_faer(), alpha, par);
}

/// out += alpha A B, row by row.
struct Tiny<'a, T> {
    alpha: T,
    a: MatRef<'a, T>,
    b: MatRef<'a, T>,
    out: &'a mut [T],
}

impl<T: Float> Kernel for Tiny<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Tiny { alpha, a, b, out } = self;
        for (i, out) in out.chunks_exact_mut(b.cols()).enumerate() {
            for k in 0..a.cols() {
                let x = alpha * a.get(i, k);
                match b.row_slice(k) {
                    Some(row) => {
                        for (o, &y) in out.iter_mut().zip(row) {
                            *o = multiply_add::<T, FMA>(x, y, *o);
                        }
                    }
                    None => {
                        for (j, o) in out.iter_mut().enumerate() {
                            *o = multiply_add::<T, FMA>(x, b.get(k, j), *o);
                        }
                    }
                }
            }
        }
    }
}
