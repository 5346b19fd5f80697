//! Exchanges between all processes of a group, as differentiable operations.
//!
//! Their derivatives are those of the sum over processes of what each differentiates. Of a linear exchange y = M x, where x
//! and y are what all processes hold together, the cotangent is M^T: what was copied is added, and what was added is
//! copied (Utke, Hascoët, Heimbach, Hill, Hovland, Naumann, "Toward adjoinable MPI", 2009).

use crate::header::{Call, INLINE, Record};
use crate::transport::Outgoing;
use autograd::{Kept, Op, Tensor, apply, is_grad_enabled};
use tensor_core::shape::Dims;
use tensor_core::{Array, Element, Error, Result};

/// An operation of any element type whose rule adds: of numbers, that is.
macro_rules! of_numbers {
    ($T:ident, $sum:expr) => {{
        struct Sums;
        impl tensor_core::ForElement for Sums {
            type Of<$T: Element> = Option<fn(&Group, &Tensor<$T>, &Exchange) -> Result<Tensor<$T>>>;
        }
        static EACH: tensor_core::EachElement<Sums> =
            tensor_core::EachElement { f32: Some($sum), f64: Some($sum), i64: Some($sum), bool: None };
        $T::of_elements(&EACH).ok_or_else(|| Error::argument("backward", "truth values have no gradient"))
    }};
}

mod broadcast;
mod gathers;
mod reductions;
mod structures;

pub(crate) use reductions::all_reduced;

/// Whether the operation on `x` is recorded.
pub(crate) fn tracked<T: Element>(x: &Tensor<T>) -> bool {
    x.is_tracked() && is_grad_enabled()
}

pub(crate) fn call<T: Element>(name: &'static str, x: &Array<T>, tracked: bool) -> Call {
    let dims = Dims::from_slice(x.shape());
    Call { name, reduction: "", dtype: T::DTYPE, tracked, root: 0, dims }
}

/// The bytes of what is small enough to be sent with the call.
pub(crate) fn inline<T: Element>(op: &'static str, x: &Array<T>) -> Result<Vec<u8>> {
    if x.numel() * size_of::<T>() > INLINE {
        Ok(Vec::new())
    } else {
        Ok(Outgoing::new(op, x)?.bytes().to_vec())
    }
}

/// What came with the calls of all ranks, where all was small enough.
fn inline_from(records: Vec<Record>, counts: &[usize]) -> Option<Vec<Vec<u8>>> {
    let fits = counts.iter().all(|&c| c <= INLINE);
    fits.then(|| records.into_iter().map(|r| r.inline).collect())
}

fn flat<T: Element>(op: &'static str, x: &Array<T>) -> Result<Array<T>> {
    x.reshape(op, &[x.numel()])
}

/// g, as a function of x as well, on which it does not depend.
struct Tied;

impl<T: Element> Op<T, 2> for Tied {
    fn name(&self) -> &'static str {
        "tied"
    }
    fn forward(&self, [g, _]: [&Array<T>; 2]) -> Result<Array<T>> {
        Ok(g.clone())
    }
    /// g: grad; x: 0
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 2]> {
        let none = || Ok(Tensor::from(Array::repeat_on(g.device(), kept.shape(1), T::default())?));
        Ok([kept.wrt(0, || Ok(g.clone()))?, kept.wrt(1, none)?])
    }
}

/// The cotangent of an exchange whose output was kept. Where the walk back is recorded, it depends on that output on every
/// rank, although on some it may be a constant: so the walk back over this one passes the exchange itself on all of them.
pub(crate) fn tied<T: Element>(kept: &Kept<'_, T>, g: Tensor<T>) -> Result<Tensor<T>> {
    if kept.create_graph() { apply(Tied, [&g, &kept.output(0)]) } else { Ok(g) }
}

/// What an exchange is made between: the rank that has a part of its own, and the rows of each rank.
struct Exchange {
    root: usize,
    counts: Vec<usize>,
}

fn row_len<T: Element>(x: &Array<T>) -> usize {
    x.shape().iter().skip(1).product()
}

fn with_rows(shape: &[usize], rows: usize) -> Dims {
    std::iter::once(rows).chain(shape.iter().skip(1).copied()).collect()
}

/// Where the rows of each rank begin, and the last end.
fn bounds(counts: &[usize]) -> Vec<usize> {
    let mut end = 0;
    let ends = counts.iter().map(|c| {
        end += c;
        end
    });
    std::iter::once(0).chain(ends).collect()
}

fn has_rows<T: Element>(op: &'static str, x: &Tensor<T>) -> Result<()> {
    match x.ndim() {
        0 => Err(Error::shape(op, "a scalar has no rows to share: reshape it to [1]")),
        _ => Ok(()),
    }
}
