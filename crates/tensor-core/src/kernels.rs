//! One function per kernel, whatever the device: the only file that chooses one.
//!
//! The first argument of each is the name of the operation, for its errors.

use crate::array::Array;
use crate::cpu;
#[cfg(feature = "cuda")]
use crate::cuda;
use crate::device::Device;
use crate::element::{Element, Float, Number};
use crate::error::{Error, Result};
use crate::expression::Expression;
use crate::formula;
use crate::formula::{Code, Formula, Text};
use crate::layout::Layout;
use crate::shape::Dims;

pub use crate::cpu::decompose::{Analytic, Flaw, Gaps, Lu, Part, Triangle, not_finite_error};
pub use crate::cpu::reduce::{All, Any, Max, Min, Reduction, Sum};

/// Runs a kernel where its operands are: the first expression on the CPU, the second on the GPU it names.
#[cfg(feature = "cuda")]
macro_rules! run_on {
    ($op:expr, [$($x:expr),+], $cpu:expr, |$gpu:ident| $cuda:expr) => {
        match false $(|| $x.is_on_gpu())+ {
            false => $crate::memory::kernel($op, || $cpu),
            true => {
                let $gpu = cuda::shared_gpu($op, &[$(cuda::Placed::place($x)),+])?;
                $cuda
            }
        }
    };
}
#[cfg(not(feature = "cuda"))]
macro_rules! run_on {
    ($op:expr, [$($x:expr),+], $cpu:expr, |$gpu:ident| $cuda:expr) => {{
        let _ = ($(&$x),+);
        $crate::memory::kernel($op, || $cpu)
    }};
}

/// As [`run_on!`] for formulas: the function of the GPU, compiled once for the types, chooses which.
#[cfg(feature = "cuda")]
macro_rules! map_on {
    ([$($x:expr),+], $cpu:expr, $cuda:expr) => {
        if $($x.is_on_gpu())||+ { $cuda } else { $cpu }
    };
}
#[cfg(not(feature = "cuda"))]
macro_rules! map_on {
    ([$($x:expr),+], $cpu:expr, $cuda:expr) => {
        $cpu
    };
}

pub mod norm;
pub mod sparse;

/// y = f(x).
#[inline]
pub fn map<T: Element, U: Element>(
    op: &'static str,
    x: &Array<T>,
    f: Formula<impl Fn(T) -> U + Sync, impl Text<1>>,
) -> Result<Array<U>> {
    map_on!([x], cpu::map::map(op, x, f.value), cuda::map::map(op, x, &f.code))
}

/// x = f(x), in the same buffer where nothing else shares it.
#[inline]
pub fn map_owned<T: Element>(
    op: &'static str,
    x: Array<T>,
    f: Formula<impl Fn(T) -> T + Sync, impl Text<1>>,
) -> Result<Array<T>> {
    map_on!([x], cpu::map::map_owned(op, x, f.value), cuda::map::map_owned(op, x, &f.code))
}

/// z = f(a, b), broadcast.
#[inline]
pub fn zip<A: Element, B: Element, U: Element>(
    op: &'static str,
    a: &Array<A>,
    b: &Array<B>,
    f: Formula<impl Fn(A, B) -> U + Sync, impl Text<2>>,
) -> Result<Array<U>> {
    map_on!([a, b], cpu::map::zip(op, a, b, f.value), cuda::map::zip(op, a, b, &f.code))
}

/// a = f(a, b), broadcast, in the buffer of `a` where nothing else shares it and it has the
/// result's shape.
#[inline]
pub fn zip_owned<A: Element, B: Element>(
    op: &'static str,
    a: Array<A>,
    b: &Array<B>,
    f: Formula<impl Fn(A, B) -> A + Sync, impl Text<2>>,
) -> Result<Array<A>> {
    map_on!([a, b], cpu::map::zip_owned(op, a, b, f.value), cuda::map::zip_owned(op, a, b, &f.code))
}

/// f(a, b, c), broadcast.
#[inline]
pub fn zip3<A: Element, B: Element, C: Element, U: Element>(
    op: &'static str,
    a: &Array<A>,
    b: &Array<B>,
    c: &Array<C>,
    f: Formula<impl Fn(A, B, C) -> U + Sync, impl Text<3>>,
) -> Result<Array<U>> {
    map_on!([a, b, c], cpu::map::zip3(op, a, b, c, f.value), cuda::map::zip3(op, a, b, c, &f.code))
}

/// a where the condition holds, b elsewhere; broadcast.
pub fn select<T: Element>(op: &'static str, c: &Array<bool>, a: &Array<T>, b: &Array<T>) -> Result<Array<T>> {
    let choice = Formula::new(|c, a, b| if c { a } else { b }, |[c, a, b]| Code::choose(c, a, b));
    zip3(op, c, a, b, choice)
}

/// The elements converted to another type.
pub fn cast<T: Element, U: Element>(op: &'static str, x: &Array<T>) -> Result<Array<U>> {
    map(op, x, Formula::new(T::cast, |[x]| x.cast(U::DTYPE)))
}

/// The elements in row-major order, in memory of their own.
pub fn copy<T: Element>(op: &'static str, x: &Array<T>) -> Result<Array<T>> {
    run_on!(op, [x], cpu::copy::copy(op, x), |gpu| cuda::copy::copy(gpu, op, x))
}

/// Zeros of `shape` with `x` written through `layout`.
///
/// # Errors
/// Shape, where the layout does not have the shape of `x` or leaves `shape`; out of memory.
pub fn embed<T: Element>(
    op: &'static str,
    shape: &[usize],
    layout: &Layout,
    x: &Array<T>,
) -> Result<Array<T>> {
    let n = crate::shape::numel(op, shape)?;
    let inside = Layout::stays_within(layout.shape(), &layout.strides(), layout.offset(), n);
    if layout.shape() != x.shape() || (x.numel() > 0 && !inside) {
        let message = format!(
            "{:?} at the places {:?} from {} of {:?} leaves shape {shape:?}",
            x.shape(),
            layout.strides(),
            layout.offset(),
            layout.shape()
        );
        return Err(Error::shape(op, message));
    }
    let on_cpu = || {
        let mut out = Array::zeros(shape)?;
        cpu::copy::assign(out.make_mut()?, layout, x);
        Ok(out)
    };
    run_on!(op, [x], on_cpu(), |gpu| {
        let out = Array::zeros_on(Device::Cuda(gpu.ordinal()), shape)?;
        cuda::copy::assign(gpu, op, &out, layout, x)?;
        Ok(out)
    })
}

/// The arrays one after another along `dim`; the caller has checked that the rest of the shapes
/// agree.
pub fn cat<T: Element>(op: &'static str, arrays: &[&Array<T>], dim: usize) -> Result<Array<T>> {
    let size = arrays.iter().try_fold(0usize, |sum, a| sum.checked_add(a.shape()[dim]));
    let mut shape = Dims::from_slice(arrays[0].shape());
    shape[dim] = size.ok_or_else(|| Error::out_of_memory(op, usize::MAX))?;
    // Not more than can be counted, wherever it is put together.
    crate::shape::numel(op, &shape)?;
    let on_cpu = || {
        let whole = Layout::row_major(shape.clone());
        let mut out = Array::build(op, shape, |_| {})?;
        let data = out.make_mut()?;
        let mut start = 0;
        for a in arrays {
            let n = a.shape()[dim];
            cpu::copy::assign(data, &whole.slice(dim, start, 1, n), a);
            start += n;
        }
        Ok(out)
    };
    #[cfg(feature = "cuda")]
    if arrays.iter().any(|a| a.is_on_gpu()) {
        let places: Vec<_> = arrays.iter().map(|&a| cuda::Placed::place(a)).collect();
        return cuda::copy::cat(cuda::shared_gpu(op, &places)?, op, arrays, dim);
    }
    on_cpu()
}

/// Reduces the dimensions marked in `mask`, which keep size 1 where `keepdim`.
#[inline]
pub fn reduce<T: Element>(
    op: &'static str,
    x: &Array<T>,
    mask: &[bool],
    keepdim: bool,
    r: impl Reduction<T>,
) -> Result<Array<T>> {
    run_on!(op, [x], cpu::reduce::reduce(op, x, mask, keepdim, r), |gpu| cuda::reduce::reduce(
        gpu, op, x, mask, keepdim, r
    ))
}

/// The elements of `x` at `index` along `dim`, at the index's own place in the other dimensions, in
/// which it is no larger than `x`; the caller has checked that. Negative indices count from the end.
///
/// # Errors
/// Index, where one is out of range.
pub fn gather<T: Element>(
    op: &'static str,
    x: &Array<T>,
    dim: usize,
    index: &Array<i64>,
) -> Result<Array<T>> {
    run_on!(op, [x, index], cpu::index::gather(op, x, dim, index), |gpu| cuda::index::gather(
        gpu, op, x, dim, index
    ))
}

/// `x` with each element of `source` added at `index` along `dim`, at the index's own place in the
/// other dimensions; `source` has the shape of `index`, which is no larger there than `x`; the caller
/// has checked that. What is added to one place is added in row-major order.
///
/// # Errors
/// Index, where one is out of range.
pub fn scatter_add<T: Number>(
    op: &'static str,
    x: Array<T>,
    dim: usize,
    index: &Array<i64>,
    source: &Array<T>,
) -> Result<Array<T>> {
    run_on!(op, [&x, index, source], cpu::index::scatter_add(op, x, dim, index, source), |gpu| {
        cuda::index::scatter_add(gpu, op, x, dim, index, source)
    })
}

/// The positions of the true elements, in row-major order.
pub fn positions(op: &'static str, mask: &Array<bool>) -> Result<Array<i64>> {
    run_on!(op, [mask], cpu::index::positions(op, mask), |gpu| cuda::index::positions(gpu, op, mask))
}

/// 0, 1, .., n - 1, on a device.
pub fn arange(op: &'static str, device: Device, n: usize) -> Result<Array<i64>> {
    if device == Device::Cpu {
        return Array::build(op, Dims::from_slice(&[n]), |out| {
            out.iter_mut().zip(0..).for_each(|(out, i)| *out = i);
        });
    }
    let counted = cumsum(op, &Array::repeat_on(device, &[n], 1i64)?, 0, false)?;
    map_owned(op, counted, formula!(|i: i64| i.minus(1i64)))
}

/// The running sums along `dim`, from the end where `reverse`.
pub fn cumsum<T: Number>(op: &'static str, x: &Array<T>, dim: usize, reverse: bool) -> Result<Array<T>> {
    run_on!(op, [x], cpu::index::cumsum(op, x, dim, reverse), |gpu| cuda::scan::cumsum(
        gpu, op, x, dim, reverse
    ))
}

/// The products along `dim`, which keeps size 1, or where `running` those up to each element. With directions, of the
/// shape of `x`, the derivative of each product along all of them. No intermediate leaves the range where the result
/// is in it.
///
/// # Errors
/// Out of memory; device, for more than four directions on a GPU.
pub fn products<T: Number>(
    op: &'static str,
    x: &Array<T>,
    directions: &[&Array<T>],
    dim: usize,
    running: bool,
) -> Result<Array<T>> {
    run_on!(op, [x], cpu::products::products(op, x, directions, dim, running), |gpu| {
        cuda::products::products(gpu, op, x, directions, dim, running)
    })
}

/// The sums over `j` of g_j times the derivative of product `j` by each element of `x`, and along the directions, for
/// the running products along `dim`; where `g` has size 1 there, of the whole product alone.
///
/// # Errors
/// As [`products`].
pub fn product_slopes<T: Number>(
    op: &'static str,
    x: &Array<T>,
    directions: &[&Array<T>],
    g: &Array<T>,
    dim: usize,
) -> Result<Array<T>> {
    run_on!(op, [x, g], cpu::products::product_slopes(op, x, directions, g, dim), |gpu| {
        cuda::products::product_slopes(gpu, op, x, directions, g, dim)
    })
}

/// The index of the extreme element so far along `dim`, of the last where several are equal: of the
/// largest, or of the smallest where `smallest`; NaN counts as more extreme than anything.
pub fn cum_arg_extreme<T: Number>(
    op: &'static str,
    x: &Array<T>,
    dim: usize,
    smallest: bool,
) -> Result<Array<i64>> {
    run_on!(op, [x], cpu::index::cum_arg_extreme(op, x, dim, smallest), |gpu| cuda::scan::cum_arg_extreme(
        gpu, op, x, dim, smallest
    ))
}

/// Where each of `values` would go into `sorted`, a vector in order: before what is equal, or after it
/// where `right`; NaN goes to the end.
pub fn searchsorted<T: Number>(
    op: &'static str,
    sorted: &Array<T>,
    values: &Array<T>,
    right: bool,
) -> Result<Array<i64>> {
    run_on!(op, [sorted, values], cpu::index::searchsorted(op, sorted, values, right), |gpu| {
        cuda::sort::searchsorted(gpu, op, sorted, values, right)
    })
}

/// The indices that sort the elements along `dim`: equal ones keep their order, and NaN counts as
/// larger than everything.
pub fn argsort<T: Number>(
    op: &'static str,
    x: &Array<T>,
    dim: usize,
    descending: bool,
) -> Result<Array<i64>> {
    run_on!(op, [x], cpu::index::argsort(op, x, dim, descending), |gpu| cuda::sort::argsort(
        gpu, op, x, dim, descending
    ))
}

/// The index of the first largest element along `dim`, of the smallest where `smallest`; NaN counts
/// as more extreme than anything.
///
/// # Errors
/// Shape, where the dimension is empty.
pub fn arg_extreme<T: Number>(
    op: &'static str,
    x: &Array<T>,
    dim: usize,
    smallest: bool,
) -> Result<Array<i64>> {
    if x.shape()[dim] == 0 {
        let message = format!("dimension {dim} of shape {:?} is empty: it has no extreme element", x.shape());
        return Err(Error::shape(op, message));
    }
    run_on!(op, [x], cpu::index::arg_extreme(op, x, dim, smallest), |gpu| cuda::reduce::arg_extreme(
        gpu, op, x, dim, smallest
    ))
}

/// `beta y + alpha A x` for a matrix and a vector; `y` broadcasts.
///
/// # Errors
/// Shape, where the operands do not fit.
pub fn addmv<T: Float>(
    op: &'static str,
    y: Option<&Array<T>>,
    a: &Array<T>,
    x: &Array<T>,
    beta: T,
    alpha: T,
) -> Result<Array<T>> {
    match (a.shape(), x.shape()) {
        (&[_, n], &[m]) if n == m => {}
        (&[_, n], &[_]) => {
            let message = format!(
                "matrix {:?} and vector {:?} do not match: the vector needs {n} elements",
                a.shape(),
                x.shape()
            );
            return Err(Error::shape(op, message));
        }
        (a, x) => {
            let message =
                format!("shapes {a:?} and {x:?}: a matrix of 2 dimensions and a vector of 1 are needed");
            return Err(Error::shape(op, message));
        }
    }
    run_on!(op, [a, x, y.unwrap_or(x)], T::addmv(op, y, a, x, beta, alpha), |gpu| T::gpu_addmv(
        gpu, op, y, a, x, beta, alpha
    ))
}

/// `beta C + alpha A B` for batches of matrices of two or more dimensions, the leading ones
/// broadcast.
///
/// # Errors
/// Shape, where the operands do not fit.
pub fn addmm<T: Float>(
    op: &'static str,
    c: Option<&Array<T>>,
    a: &Array<T>,
    b: &Array<T>,
    beta: T,
    alpha: T,
) -> Result<Array<T>> {
    match (a.shape(), b.shape()) {
        ([.., k], [.., l, _]) if a.ndim() >= 2 && k == l => {}
        ([.., k], [.., _, _]) if a.ndim() >= 2 => {
            let message = format!(
                "matrices {:?} and {:?} do not match: the second needs {k} rows",
                a.shape(),
                b.shape()
            );
            return Err(Error::shape(op, message));
        }
        (a, b) => {
            let message = format!("shapes {a:?} and {b:?}: matrices of 2 or more dimensions are needed");
            return Err(Error::shape(op, message));
        }
    }
    run_on!(op, [a, b, c.unwrap_or(a)], T::addmm(op, c, a, b, beta, alpha), |gpu| T::gpu_addmm(
        gpu, op, c, a, b, beta, alpha
    ))
}

/// `||y - A x||^2` and, where wanted, `A^T (y - A x)`, reading A once.
///
/// # Errors
/// Shape, where the operands do not fit.
pub fn least_squares<T: Float>(
    op: &'static str,
    a: &Array<T>,
    x: &Array<T>,
    y: &Array<T>,
    gradient: bool,
) -> Result<(Array<T>, Option<Array<T>>)> {
    let fits = matches!((a.shape(), x.shape(), y.shape()), (&[m, n], &[k], &[l]) if n == k && m == l);
    if !fits {
        let message = format!(
            "matrix {:?}, x {:?} and y {:?} do not match: x needs an element per column, y one per row",
            a.shape(),
            x.shape(),
            y.shape()
        );
        return Err(Error::shape(op, message));
    }
    run_on!(op, [a, x, y], T::least_squares(a, x, y, gradient), |gpu| T::gpu_least_squares(
        gpu, op, a, x, y, gradient
    ))
}

/// The batch of square matrices that `a` has to be.
fn square<T: Float>(op: &'static str, a: &Array<T>) -> Result<()> {
    match a.shape() {
        [.., m, n] if m == n => Ok(()),
        shape => {
            let message =
                format!("shape {shape:?}: square matrices are needed, the last two dimensions equal");
            Err(Error::shape(op, message))
        }
    }
}

/// P A = L U of each matrix of a batch; a zero pivot is no error here.
///
/// # Errors
/// Shape, where the matrices are not square.
pub fn lu<T: Float>(op: &'static str, a: &Array<T>) -> Result<Lu<T>> {
    square(op, a)?;
    run_on!(op, [a], T::lu(op, a), |gpu| T::gpu_lu(gpu, op, a))
}

/// See [`Lu::nearly_singular`].
pub(crate) fn lu_nearly_singular<T: Float>(lu: &Lu<T>, op: &'static str, ratio: f64) -> Result<Vec<usize>> {
    let a = lu.matrices();
    run_on!(op, [a], T::lu_nearly_singular(lu, op, ratio), |gpu| {
        T::gpu_lu_nearly_singular(gpu, op, a, ratio)
    })
}

/// See [`Lu::solve`].
pub(crate) fn lu_solve<T: Float>(
    lu: &Lu<T>,
    op: &'static str,
    b: &Array<T>,
    transposed: bool,
) -> Result<(Array<T>, Option<Flaw>)> {
    let a = lu.matrices();
    run_on!(op, [a, b], T::lu_solve(lu, op, b, transposed), |gpu| {
        T::gpu_lu_solve(gpu, op, a, b, transposed)
    })
}

/// See [`Lu::det`].
pub(crate) fn lu_det<T: Float>(lu: &Lu<T>, op: &'static str) -> Result<Array<T>> {
    let a = lu.matrices();
    run_on!(op, [a], T::lu_det(lu, op), |gpu| T::gpu_lu_det(gpu, op, a))
}

/// See [`Lu::slogdet`].
pub(crate) fn lu_slogdet<T: Float>(lu: &Lu<T>, op: &'static str) -> Result<(Array<T>, Array<T>)> {
    let a = lu.matrices();
    run_on!(op, [a], T::lu_slogdet(lu, op), |gpu| T::gpu_lu_slogdet(gpu, op, a))
}

/// The factors of the first k = min(m, n) columns of each matrix [m, n] of a batch: U, and L below it without its
/// diagonal of ones, and the rows of A in the order in which they make L U.
///
/// # Errors
/// Shape, below two dimensions; argument, for NaN and infinity.
pub fn lu_factors<T: Float>(op: &'static str, a: &Array<T>) -> Result<(Array<T>, Array<i64>)> {
    matrices(op, a)?;
    run_on!(op, [a], T::lu_factors(op, a), |gpu| T::gpu_lu_factors(gpu, op, a))
}

/// The derivative of each number of `g` times the determinant of the matrix at its place: the cofactors times
/// the number, at every rank; and, ascending, the matrices for which it is not known, since products of their elements
/// leave the range. None where the matrices are large.
///
/// # Errors
/// Shape, where the matrices are not square, or there is not a number for each.
pub fn cofactors<T: Float>(
    op: &'static str,
    a: &Array<T>,
    g: &Array<T>,
) -> Result<Option<(Array<T>, Vec<usize>)>> {
    square(op, a)?;
    if *g.shape() != a.shape()[..a.ndim() - 2] {
        return Err(Error::shape(
            op,
            format!("matrices {:?} and numbers {:?} do not fit", a.shape(), g.shape()),
        ));
    }
    run_on!(op, [a, g], T::cofactors(op, a, g), |gpu| T::gpu_cofactors(gpu, op, a, g))
}

/// An error where a part of a matrix of a batch is not finite: the one that all factorisations have for it.
///
/// # Errors
/// Shape, below two dimensions; argument, naming the first such matrix.
pub fn finite<T: Float>(op: &'static str, a: &Array<T>, part: Part) -> Result<()> {
    matrices(op, a)?;
    run_on!(op, [a], T::finite(op, a, part), |gpu| T::gpu_finite(gpu, op, a, part))
}

/// The part of the largest singular value of an [m, n] matrix up to which others count as zero: as many roundings as
/// the smaller dimension has, or the larger one, up to 64 or a four-thousandth of it. Columns that depend on each other but for
/// rounding stay below that: the rounding of their elements does not grow with their number, and that of sums of so many
/// rows grows far more slowly. Other columns of tall matrices stay above it.
pub fn rank_tolerance<T: Float>(m: usize, n: usize) -> f64 {
    let (small, large) = (m.min(n) as f64, m.max(n) as f64);
    small.max(large.min(64.0)).max(large / 4000.0) * T::EPSILON.to_f64()
}

/// The inverse of each matrix of a batch.
///
/// # Errors
/// Shape, where the matrices are not square; argument, for NaN and infinity; singular, naming the first one without an
/// inverse.
pub fn inverse<T: Float>(op: &'static str, a: &Array<T>) -> Result<Array<T>> {
    square(op, a)?;
    run_on!(op, [a], T::inverse(op, a), |gpu| T::gpu_inverse(gpu, op, a))
}

/// The thin singular value decomposition A = U diag(s) V^T of each matrix of a batch: U, s
/// descending, V^T.
///
/// # Errors
/// Shape, below two dimensions; argument, for NaN and infinity; not converged.
pub fn svd<T: Float>(op: &'static str, a: &Array<T>) -> Result<[Array<T>; 3]> {
    matrices(op, a)?;
    run_on!(op, [a], T::svd(op, a), |gpu| T::gpu_svd(gpu, op, a))
}

/// The lower triangular L with A = L L^T of each matrix of a batch, of which the lower triangle is read.
///
/// # Errors
/// Shape, where the matrices are not square; argument, for NaN and infinity; not positive definite, naming the first such
/// matrix.
pub fn cholesky<T: Float>(op: &'static str, a: &Array<T>) -> Result<Array<T>> {
    square(op, a)?;
    run_on!(op, [a], T::cholesky(op, a), |gpu| T::gpu_cholesky(gpu, op, a))
}

/// As [`cholesky`], with NaN for the factor of a matrix that is not positive definite, and the order of its first
/// leading minor that is not positive; 0 for the others.
///
/// # Errors
/// Shape, where the matrices are not square.
pub fn cholesky_ex<T: Float>(op: &'static str, a: &Array<T>) -> Result<(Array<T>, Array<i64>)> {
    square(op, a)?;
    run_on!(op, [a], T::cholesky_ex(op, a), |gpu| T::gpu_cholesky_ex(gpu, op, a))
}

/// A^-1 B, or A^-T B where `transposed`, for a triangle of each matrix of a batch and matrices B of the same
/// batch.
///
/// # Errors
/// Shape, where the operands do not fit; singular, naming the first matrix with a zero on its diagonal; argument, for NaN
/// and infinity in the triangle.
pub fn solve_triangular<T: Float>(
    op: &'static str,
    a: &Array<T>,
    triangle: Triangle,
    transposed: bool,
    b: &Array<T>,
) -> Result<Array<T>> {
    square(op, a)?;
    let lead = a.ndim() - 2;
    if b.ndim() != a.ndim() || a.shape()[..=lead] != b.shape()[..=lead] {
        let message = format!("triangles {:?} and right-hand sides {:?} do not fit", a.shape(), b.shape());
        return Err(Error::shape(op, message));
    }
    run_on!(op, [a, b], T::solve_triangular(op, a, triangle, transposed, b), |gpu| {
        T::gpu_solve_triangular(gpu, op, a, triangle, transposed, b)
    })
}

/// The eigenvalues, ascending, and the eigenvectors, as columns, of each symmetric matrix of a batch, of
/// which the lower triangle is read.
///
/// # Errors
/// Shape, where the matrices are not square; argument, for NaN and infinity; not converged.
pub fn eigh<T: Float>(op: &'static str, a: &Array<T>) -> Result<[Array<T>; 2]> {
    square(op, a)?;
    run_on!(op, [a], T::eigh(op, a), |gpu| T::gpu_eigh(gpu, op, a))
}

/// (p_ij + transpose p_ji) / (2 (w_j + other w_i)), zero on the diagonal, for each matrix `p` and spectrum `w` of a
/// batch: parts of the derivatives of eigenvectors and singular vectors. Gaps up to `rounding` times the largest
/// w count as zero, and so do quotients by them; the second answer is the position in `p` of the first numerator
/// that was lost so, though not negligible.
///
/// # Errors
/// Shape, where the spectra do not fit the matrices.
pub fn over_gaps<T: Float>(
    op: &'static str,
    p: &Array<T>,
    w: &Array<T>,
    gaps: Gaps<T>,
) -> Result<(Array<T>, Option<usize>)> {
    square(op, p)?;
    if p.shape()[..p.ndim() - 1] != *w.shape() {
        let message = format!("matrices {:?} and spectra {:?} do not fit", p.shape(), w.shape());
        return Err(Error::shape(op, message));
    }
    run_on!(op, [p, w], T::over_gaps(op, p, w, gaps), |gpu| T::gpu_over_gaps(gpu, op, p, w, gaps))
}

/// A = Q R of each matrix of a batch, Q with orthonormal columns, as many as the smaller dimension of A, or
/// as it has rows where `complete`; the diagonal of R is not negative.
///
/// # Errors
/// Shape, below two dimensions; argument, for NaN and infinity.
pub fn qr<T: Float>(op: &'static str, a: &Array<T>, complete: bool) -> Result<[Array<T>; 2]> {
    matrices(op, a)?;
    run_on!(op, [a], T::qr(op, a, complete), |gpu| T::gpu_qr(gpu, op, a, complete))
}

/// The derivative of order k of a function of a diagonal matrix, whose elements `w` ascend, in k symmetric
/// directions of the same batch; the function itself for none.
///
/// # Errors
/// Shape, where the directions do not fit.
pub fn analytic_derivative<T: Float>(
    op: &'static str,
    f: &dyn Analytic,
    w: &Array<T>,
    directions: &[Array<T>],
) -> Result<Array<T>> {
    let n = w.shape().last().copied().unwrap_or(0);
    let shape: Dims = w.shape().iter().copied().chain([n]).collect();
    if let Some(wrong) = directions.iter().find(|e| *e.shape() != shape[..]) {
        let message = format!("a direction of shape {:?} for matrices {:?}", wrong.shape(), &shape[..]);
        return Err(Error::shape(op, message));
    }
    run_on!(op, [w], T::analytic_derivative(op, f, w, directions), |gpu| {
        T::gpu_analytic_derivative(gpu, op, f, w, directions)
    })
}

/// An error below two dimensions.
fn matrices<T: Float>(op: &'static str, a: &Array<T>) -> Result<()> {
    if a.ndim() < 2 {
        let message = format!("shape {:?}: matrices of 2 or more dimensions are needed", a.shape());
        return Err(Error::shape(op, message));
    }
    Ok(())
}
