//! One function per kernel, whatever the device: the only files that choose one.
//!
//! A row of the table is a kernel: what it does, which types it has, what is refused, where its operands are, and the
//! functions of the CPU and of the GPU, which take the same arguments. The first argument of each is the name of the
//! operation, for its errors. All are compiled here, once for each type.

use crate::array::Array;
use crate::code::Code;
use crate::compiled_once;
use crate::cpu;
#[cfg(feature = "cuda")]
use crate::cuda;
use crate::device::Device;
use crate::element::{EachElement, Element, ForElement, Number};
use crate::error::{Error, Result};
use crate::expression::Expression;
use crate::formula;
use crate::formula::{Closures, Formula};
use crate::layout::Layout;
use crate::shape::Dims;
use std::marker::PhantomData;

/// The rows of the table of kernels.
macro_rules! kernels {
    ($(
        $(#[$meta:meta])*
        $vis:vis fn $name:ident<$T:ident: $Bound:ident>($op:ident $(, $arg:ident: $Arg:ty)* $(,)?) -> $Out:ty {
            $(check $check:expr;)?
            on $($x:expr),+;
            $cpu:path;
            $cuda:path
        }
    )+) => {
        $crate::compiled_once! { $(
            $(#[$meta])*
            $vis fn $name<$T: $Bound>($op: &'static str $(, $arg: $Arg)*) -> $Out {
                $($check?;)?
                #[cfg(feature = "cuda")]
                if $($x.is_on_gpu())||+ {
                    let gpu = cuda::shared_gpu($op, &[$(cuda::Placed::place($x)),+])?;
                    return $cuda(gpu, $op $(, $arg)*);
                }
                $crate::memory::work::kernel($op, || $cpu($op $(, $arg)*))
            }
        )+ }
    };
}

/// Runs what is no row of the table where its operands are: the first expression on the CPU, the second on the GPU.
macro_rules! run_on {
    ($op:expr, [$($x:expr),+], $cpu:expr, |$gpu:ident| $cuda:expr) => {{
        #[cfg(feature = "cuda")]
        if $($x.is_on_gpu())||+ {
            let $gpu = $crate::cuda::shared_gpu($op, &[$($crate::cuda::Placed::place($x)),+])?;
            return $cuda;
        }
        $crate::memory::work::kernel($op, || $cpu)
    }};
}

mod matrix;
pub mod norm;
pub mod sparse;

pub use crate::matrix::analytic::Analytic;
pub use crate::matrix::flaw::{Flaw, not_finite_error};
pub use crate::matrix::gaps::Gaps;
pub use crate::matrix::lu::Lu;
pub use crate::matrix::part::{Part, Triangle};
pub use crate::matrix::rank::rank_tolerance;
pub use matrix::{
    addmm, addmv, analytic_derivative, cholesky, cholesky_ex, cofactors, eigh, finite, inverse,
    least_squares, lu, lu_factors, over_gaps, qr, solve_triangular, svd,
};

/// f(x).
#[inline]
pub fn map<T: Element, U: Element>(
    op: &'static str,
    x: &Array<T>,
    f: &dyn Formula<(T,), U>,
) -> Result<Array<U>> {
    #[cfg(feature = "cuda")]
    if x.is_on_gpu() {
        return cuda::map::map(op, x, &|x| f.text(x));
    }
    cpu::map::map(op, x, f)
}

/// f(x), in the same buffer where nothing else shares it.
#[inline]
pub fn map_owned<T: Element>(op: &'static str, x: Array<T>, f: &dyn Formula<(T,), T>) -> Result<Array<T>> {
    #[cfg(feature = "cuda")]
    if x.is_on_gpu() {
        return cuda::map::map_owned(op, x, &|x| f.text(x));
    }
    cpu::map::map_owned(op, x, f)
}

/// f(a, b), broadcast.
#[inline]
pub fn zip<A: Element, B: Element, U: Element>(
    op: &'static str,
    a: &Array<A>,
    b: &Array<B>,
    f: &dyn Formula<(A, B), U>,
) -> Result<Array<U>> {
    #[cfg(feature = "cuda")]
    if a.is_on_gpu() || b.is_on_gpu() {
        return cuda::map::zip(op, a, b, &|x| f.text(x));
    }
    cpu::map::zip(op, a, b, f)
}

/// f(a, b), broadcast, in the buffer of `a` where nothing else shares it and it has the result's shape.
#[inline]
pub fn zip_owned<A: Element, B: Element>(
    op: &'static str,
    a: Array<A>,
    b: &Array<B>,
    f: &dyn Formula<(A, B), A>,
) -> Result<Array<A>> {
    #[cfg(feature = "cuda")]
    if a.is_on_gpu() || b.is_on_gpu() {
        return cuda::map::zip_owned(op, a, b, &|x| f.text(x));
    }
    cpu::map::zip_owned(op, a, b, f)
}

/// f(a, b), broadcast, in the buffer of either where nothing else shares it and it has the result's shape.
#[inline]
pub fn zip_either<T: Element>(
    op: &'static str,
    a: Array<T>,
    b: Array<T>,
    f: &dyn Formula<(T, T), T>,
) -> Result<Array<T>> {
    #[cfg(feature = "cuda")]
    if a.is_on_gpu() || b.is_on_gpu() {
        return match a.is_shared() && a.shape() == b.shape() {
            true => cuda::map::zip_owned(op, b, &a, &|x| f.text(&[x[1], x[0]])),
            false => cuda::map::zip_owned(op, a, &b, &|x| f.text(x)),
        };
    }
    cpu::map::zip_either(op, a, b, f)
}

/// f(a, b, c), broadcast.
#[inline]
pub fn zip3<A: Element, B: Element, C: Element, U: Element>(
    op: &'static str,
    a: &Array<A>,
    b: &Array<B>,
    c: &Array<C>,
    f: &dyn Formula<(A, B, C), U>,
) -> Result<Array<U>> {
    #[cfg(feature = "cuda")]
    if a.is_on_gpu() || b.is_on_gpu() || c.is_on_gpu() {
        return cuda::map::zip3(op, a, b, c, &|x| f.text(x));
    }
    cpu::map::zip3(op, a, b, c, f)
}

compiled_once! {
    /// a where the condition holds, b elsewhere; broadcast.
    pub fn select<T: Element>(op: &'static str, c: &Array<bool>, a: &Array<T>, b: &Array<T>) -> Result<Array<T>> {
        let choice = Closures::new(|c, a, b| if c { a } else { b }, |[c, a, b]| Code::choose(c, a, b));
        zip3(op, c, a, b, &choice)
    }
}

/// The formulas that convert elements of one type to each type.
struct ConversionsOf<T>(PhantomData<T>);

impl<T: Element> ForElement for ConversionsOf<T> {
    type Of<U: Element> = &'static dyn Formula<(T,), U>;
}

struct Conversions;

impl ForElement for Conversions {
    type Of<T: Element> = EachElement<ConversionsOf<T>>;
}

macro_rules! conversions {
    ($($T:ident)+) => {
        EachElement { $($T: conversions!(@ $T: f32 f64 i64 bool)),+ }
    };
    (@ $T:ident: $($U:ident)+) => {
        EachElement { $($U: &Closures::new(<$T as Element>::cast::<$U>, |[x]| x.cast(<$U as Element>::DTYPE))),+ }
    };
}
static CONVERSIONS: EachElement<Conversions> = conversions!(f32 f64 i64 bool);

/// The elements converted to another type.
pub fn cast<T: Element, U: Element>(op: &'static str, x: &Array<T>) -> Result<Array<U>> {
    map(op, x, *U::of_elements(T::of_elements(&CONVERSIONS)))
}

kernels! {
    /// The elements in row-major order, in memory of their own.
    pub fn copy<T: Element>(op, x: &Array<T>) -> Result<Array<T>> {
        on x;
        cpu::copy::copy;
        cuda::copy::copy
    }

    /// See [`embed`].
    fn embed_checked<T: Element>(op, shape: &[usize], layout: &Layout, x: &Array<T>) -> Result<Array<T>> {
        on x;
        cpu::copy::embed;
        cuda::copy::embed
    }

    /// The sums over the dimensions marked in `mask`, which keep size 1 where `keepdim`.
    pub fn sum<T: Number>(op, x: &Array<T>, mask: &[bool], keepdim: bool) -> Result<Array<T>> {
        on x;
        cpu::reduce::sum;
        cuda::reduce::sum
    }

    /// The largest elements, or NaN where there is one, over the dimensions marked in `mask`, which keep size 1 where `keepdim`.
    pub fn max<T: Number>(op, x: &Array<T>, mask: &[bool], keepdim: bool) -> Result<Array<T>> {
        on x;
        cpu::reduce::max;
        cuda::reduce::max
    }

    /// The smallest elements, or NaN where there is one, over the dimensions marked in `mask`, which keep size 1 where `keepdim`.
    pub fn min<T: Number>(op, x: &Array<T>, mask: &[bool], keepdim: bool) -> Result<Array<T>> {
        on x;
        cpu::reduce::min;
        cuda::reduce::min
    }

    /// The elements of `x` at `index` along `dim`, at the index's own place in the other dimensions, in
    /// which it is no larger than `x`; the caller has checked that. Negative indices count from the end.
    ///
    /// # Errors
    /// Index, where one is out of range.
    pub fn gather<T: Element>(op, x: &Array<T>, dim: usize, index: &Array<i64>) -> Result<Array<T>> {
        on x, index;
        cpu::index::gather;
        cuda::index::gather
    }

    /// `x` with each element of `source` added at `index` along `dim`, at the index's own place in the
    /// other dimensions; `source` has the shape of `index`, which is no larger there than `x`; the caller
    /// has checked that. What is added to one place is added in row-major order.
    ///
    /// # Errors
    /// Index, where one is out of range.
    pub fn scatter_add<T: Number>(op, x: Array<T>, dim: usize, index: &Array<i64>, source: &Array<T>) -> Result<Array<T>> {
        on &x, index, source;
        cpu::index::scatter_add;
        cuda::index::scatter_add
    }

    /// The running sums along `dim`, from the end where `reverse`.
    pub fn cumsum<T: Number>(op, x: &Array<T>, dim: usize, reverse: bool) -> Result<Array<T>> {
        on x;
        cpu::index::cumsum;
        cuda::scan::cumsum
    }

    /// The products along `dim`, which keeps size 1, or where `running` those up to each element. With directions, of the
    /// shape of `x`, the derivative of each product along all of them. No intermediate leaves the range where the result
    /// is in it.
    ///
    /// # Errors
    /// Out of memory; device, for more than four directions on a GPU.
    pub fn products<T: Number>(op, x: &Array<T>, directions: &[&Array<T>], dim: usize, running: bool) -> Result<Array<T>> {
        on x;
        cpu::products::products;
        cuda::products::products
    }

    /// The sums over `j` of g_j times the derivative of product `j` by each element of `x`, and along the directions, for
    /// the running products along `dim`; where `g` has size 1 there, of the whole product alone.
    ///
    /// # Errors
    /// As [`products`].
    pub fn product_slopes<T: Number>(op, x: &Array<T>, directions: &[&Array<T>], g: &Array<T>, dim: usize) -> Result<Array<T>> {
        on x, g;
        cpu::products::product_slopes;
        cuda::products::product_slopes
    }

    /// The index of the extreme element so far along `dim`, of the last where several are equal: of the
    /// largest, or of the smallest where `smallest`; NaN counts as more extreme than anything.
    pub fn cum_arg_extreme<T: Number>(op, x: &Array<T>, dim: usize, smallest: bool) -> Result<Array<i64>> {
        on x;
        cpu::index::cum_arg_extreme;
        cuda::scan::cum_arg_extreme
    }

    /// Where each of `values` would go into `sorted`, a vector in order: before what is equal, or after it
    /// where `right`; NaN goes to the end.
    pub fn searchsorted<T: Number>(op, sorted: &Array<T>, values: &Array<T>, right: bool) -> Result<Array<i64>> {
        on sorted, values;
        cpu::index::searchsorted;
        cuda::sort::searchsorted
    }

    /// The indices that sort the elements along `dim`: equal ones keep their order, and NaN counts as
    /// larger than everything.
    pub fn argsort<T: Number>(op, x: &Array<T>, dim: usize, descending: bool) -> Result<Array<i64>> {
        on x;
        cpu::index::argsort;
        cuda::sort::argsort
    }

    /// The index of the first largest element along `dim`, of the smallest where `smallest`; NaN counts
    /// as more extreme than anything.
    ///
    /// # Errors
    /// Shape, where the dimension is empty.
    pub fn arg_extreme<T: Number>(op, x: &Array<T>, dim: usize, smallest: bool) -> Result<Array<i64>> {
        check not_empty(op, x.shape(), dim);
        on x;
        cpu::index::arg_extreme;
        cuda::reduce::arg_extreme
    }
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
    embed_checked(op, shape, layout, x)
}

/// An error where a dimension has no elements.
fn not_empty(op: &'static str, shape: &[usize], dim: usize) -> Result<()> {
    if shape[dim] > 0 {
        return Ok(());
    }
    Err(Error::shape(op, format!("dimension {dim} of shape {shape:?} is empty: it has no extreme element")))
}

compiled_once! {
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
}

/// Truth values along the dimensions marked in `mask`, which keep size 1 where `keepdim`: whether all of them hold.
///
/// # Errors
/// Out of memory.
pub fn all(op: &'static str, x: &Array<bool>, mask: &[bool], keepdim: bool) -> Result<Array<bool>> {
    run_on!(op, [x], cpu::reduce::all(op, x, mask, keepdim), |gpu| cuda::reduce::all(
        gpu, op, x, mask, keepdim
    ))
}

/// As [`all`]: whether any of them holds.
///
/// # Errors
/// Out of memory.
pub fn any(op: &'static str, x: &Array<bool>, mask: &[bool], keepdim: bool) -> Result<Array<bool>> {
    run_on!(op, [x], cpu::reduce::any(op, x, mask, keepdim), |gpu| cuda::reduce::any(
        gpu, op, x, mask, keepdim
    ))
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
    map_owned(op, counted, &formula!(|i: i64| i.minus(1i64)))
}
