//! LU with partial pivoting, and what follows from it. Nothing is kept between operations: to factor a small matrix
//! anew takes less time than to fetch its factors.

use super::small::{LARGEST, Small, VARIANTS, small};
use crate::array::Array;
use crate::cuda::finite::{checked, reported};
use crate::cuda::host::to_vec;
use crate::cuda::large;
use crate::cuda::matrices::{Matrices, columns_divisor};
use crate::cuda::registry::Family;
use crate::cuda::status::Status;
use crate::device::Device;
use crate::element::{Element, Float};
use crate::error::Result;
use crate::gpu::context::Gpu;
use crate::matrix::flaw::{Flaw, singular_error};
use crate::matrix::lu::Lu;
use crate::matrix::part::Part;
use crate::shape::Dims;

pub(crate) static SOLVE: Family = Family {
    text: small!("small_lu.cu", "small_solve.cu"),
    kernels: &[c"factors", c"inverse", c"solve_column", c"solve_columns"],
    variants: VARIANTS,
};

pub(crate) static DETERMINANT: Family = Family {
    text: small!("small_lu.cu", "small_determinant.cu"),
    kernels: &[c"pivots", c"cofactors"],
    variants: VARIANTS,
};

/// See [`kernels::lu`](crate::kernels::lu).
pub(crate) fn lu<T: Float>(_: &'static Gpu, _: &'static str, a: &Array<T>) -> Result<Lu<T>> {
    Ok(Lu::unfactored(a))
}

/// See [`kernels::lu_factors`](crate::kernels::lu_factors).
pub(crate) fn lu_factors<T: Float>(
    gpu: &'static Gpu,
    op: &'static str,
    a: &Array<T>,
) -> Result<(Array<T>, Array<i64>)> {
    checked(gpu, op, a, Part::Whole, || factors(gpu, op, a))
}

fn factors<T: Float>(gpu: &'static Gpu, op: &'static str, a: &Array<T>) -> Result<(Array<T>, Array<i64>)> {
    let lead = a.ndim() - 2;
    let (m, k) = (a.shape()[lead], a.shape()[lead].min(a.shape()[lead + 1]));
    if m > LARGEST {
        return large::lu_factors(gpu, op, a);
    }
    let a = Matrices::of(gpu, op, &a.slice(op, lead + 1, 0, 1, k)?)?;
    let lu = Array::unwritten(gpu, op, a.shape(&[m, k]))?;
    let order: Array<i64> = Array::unwritten(gpu, op, a.shape(&[m]))?;
    if order.numel() > 0 {
        let small = Small { family: &SOLVE, kernel: c"factors", largest: m, count: a.count };
        let out = [lu.pointer(), order.pointer(), a.count as u64, m as u64];
        small.launch::<T>(gpu, op, &[&a.words, &out, &columns_divisor(k)])?;
    }
    Ok((lu, order))
}

/// See [`kernels::inverse`](crate::kernels::inverse).
pub(crate) fn inverse<T: Float>(gpu: &'static Gpu, op: &'static str, a: &Array<T>) -> Result<Array<T>> {
    checked(gpu, op, a, Part::Whole, || inverses(gpu, op, a))
}

fn inverses<T: Float>(gpu: &'static Gpu, op: &'static str, a: &Array<T>) -> Result<Array<T>> {
    let n = order(a);
    if n > LARGEST {
        return large::inverse(gpu, op, a);
    }
    let out = Array::unwritten(gpu, op, Dims::from_slice(a.shape()))?;
    if out.numel() == 0 {
        return Ok(out);
    }
    let x = Matrices::of(gpu, op, a)?;
    let singular = Status::new(gpu, op)?;
    let small = Small { family: &SOLVE, kernel: c"inverse", largest: n, count: x.count };
    let words = [&x.words[..], &[out.pointer(), x.count as u64], &columns_divisor(n), &[singular.word()]];
    small.launch::<T>(gpu, op, &words)?;
    match singular.first(op)? {
        Some(batch) => Err(singular_error(op, batch, a.shape())),
        None => Ok(out),
    }
}

/// See [`Lu::solve`].
pub(crate) fn lu_solve<T: Float>(
    gpu: &'static Gpu,
    op: &'static str,
    lu: &Lu<T>,
    b: &Array<T>,
    transposed: bool,
) -> Result<(Array<T>, Option<Flaw>)> {
    let a = lu.matrices();
    let not_finite = reported(gpu, op, a, Part::Whole)?;
    let (x, singular) = solve(gpu, op, a, b, transposed)?;
    Ok((x, not_finite.first(op)?.map(Flaw::NotFinite).or(singular)))
}

fn solve<T: Float>(
    gpu: &'static Gpu,
    op: &'static str,
    a: &Array<T>,
    b: &Array<T>,
    transposed: bool,
) -> Result<(Array<T>, Option<Flaw>)> {
    let (n, k) = (order(a), b.shape()[b.ndim() - 1]);
    if n > LARGEST {
        return large::lu_solve(gpu, op, a, b, transposed);
    }
    let out = Array::unwritten(gpu, op, Dims::from_slice(b.shape()))?;
    if out.numel() == 0 {
        return Ok((out, None));
    }
    let a = Matrices::of(gpu, op, a)?;
    // The system with A^T has an elimination of its own.
    let a = if transposed { a.transposed() } else { a };
    let b = Matrices::of(gpu, op, b)?;
    let singular = Status::new(gpu, op)?;
    let kernel = if k == 1 { c"solve_column" } else { c"solve_columns" };
    let small = Small { family: &SOLVE, kernel, largest: n, count: a.count };
    let out_words = [out.pointer(), a.count as u64];
    let words = [&a.words[..], &b.words, &out_words, &columns_divisor(n), &[k as u64, singular.word()]];
    small.launch::<T>(gpu, op, &words)?;
    Ok((out, singular.first(op)?.map(Flaw::Singular)))
}

/// See [`Lu::det`].
pub(crate) fn lu_det<T: Float>(gpu: &'static Gpu, op: &'static str, lu: &Lu<T>) -> Result<Array<T>> {
    let a = lu.matrices();
    let n = order(a);
    if n > LARGEST {
        return large::lu_det(gpu, op, a);
    }
    let batch = &a.shape()[..a.ndim() - 2];
    if n == 0 {
        return Array::repeat_on(device(gpu), batch, T::ONE);
    }
    let det: Array<T> = Array::unwritten(gpu, op, Dims::from_slice(batch))?;
    pivots(gpu, op, a, [det.pointer(), 0, 0, 0], 0.0)?;
    Ok(det)
}

/// See [`Lu::slogdet`].
pub(crate) fn lu_slogdet<T: Float>(
    gpu: &'static Gpu,
    op: &'static str,
    lu: &Lu<T>,
) -> Result<(Array<T>, Array<T>)> {
    let a = lu.matrices();
    let n = order(a);
    if n > LARGEST {
        return large::lu_slogdet(gpu, op, a);
    }
    let batch = &a.shape()[..a.ndim() - 2];
    if n == 0 {
        let all = |x| Array::repeat_on(device(gpu), batch, x);
        return Ok((all(T::ONE)?, all(T::ZERO)?));
    }
    let sign: Array<T> = Array::unwritten(gpu, op, Dims::from_slice(batch))?;
    let log: Array<T> = Array::unwritten(gpu, op, Dims::from_slice(batch))?;
    pivots(gpu, op, a, [0, sign.pointer(), log.pointer(), 0], 0.0)?;
    Ok((sign, log))
}

/// See [`Lu::nearly_singular`].
pub(crate) fn lu_nearly_singular<T: Float>(
    gpu: &'static Gpu,
    op: &'static str,
    lu: &Lu<T>,
    ratio: f64,
) -> Result<Vec<usize>> {
    let a = lu.matrices();
    let n = order(a);
    if n > LARGEST {
        return large::nearly_singular(gpu, op, a, ratio);
    }
    if a.numel() == 0 {
        return Ok(Vec::new());
    }
    let near: Array<bool> = Array::unwritten(gpu, op, Dims::from_slice(&a.shape()[..a.ndim() - 2]))?;
    pivots(gpu, op, a, [0, 0, 0, near.pointer()], ratio)?;
    places(gpu, op, &near)
}

/// What follows from the pivots of matrices of order 1 or more, to the addresses that are not 0: the determinants,
/// their signs, their logarithms, and which matrices are nearly singular.
fn pivots<T: Float>(
    gpu: &'static Gpu,
    op: &'static str,
    a: &Array<T>,
    out: [u64; 4],
    ratio: f64,
) -> Result<()> {
    if a.numel() == 0 {
        return Ok(());
    }
    let a = Matrices::of(gpu, op, a)?;
    let small = Small { family: &DETERMINANT, kernel: c"pivots", largest: a.rows, count: a.count };
    let rest = [ratio.to_bits(), a.count as u64];
    small.launch::<T>(gpu, op, &[&a.words, &out, &rest, &columns_divisor(a.rows)])
}

/// See [`kernels::cofactors`](crate::kernels::cofactors).
pub(crate) fn cofactors<T: Float>(
    gpu: &'static Gpu,
    op: &'static str,
    a: &Array<T>,
    g: &Array<T>,
) -> Result<Option<(Array<T>, Vec<usize>)>> {
    let n = order(a);
    if n > LARGEST {
        return Ok(None);
    }
    let out = Array::unwritten(gpu, op, Dims::from_slice(a.shape()))?;
    if out.numel() == 0 {
        return Ok(Some((out, Vec::new())));
    }
    let lost: Array<bool> = Array::unwritten(gpu, op, Dims::from_slice(g.shape()))?;
    let a = Matrices::of(gpu, op, a)?;
    let g = Matrices::of(gpu, op, &g.insert_dim(op, g.ndim())?.insert_dim(op, g.ndim() + 1)?)?;
    let small = Small { family: &DETERMINANT, kernel: c"cofactors", largest: n, count: a.count };
    let out_words = [out.pointer(), a.count as u64];
    let words = [&a.words[..], &g.words, &out_words, &columns_divisor(n), &[lost.pointer()]];
    small.launch::<T>(gpu, op, &words)?;
    Ok(Some((out, places(gpu, op, &lost)?)))
}

/// The matrices for which a kernel wrote `true`.
fn places(gpu: &'static Gpu, op: &'static str, told: &Array<bool>) -> Result<Vec<usize>> {
    let told = to_vec(gpu, op, told)?;
    Ok(told.into_iter().enumerate().filter(|(_, told)| *told).map(|(i, _)| i).collect())
}

/// The order of square matrices.
fn order<T: Element>(a: &Array<T>) -> usize {
    a.shape()[a.ndim() - 1]
}

fn device(gpu: &'static Gpu) -> Device {
    Device::Cuda(gpu.ordinal())
}
