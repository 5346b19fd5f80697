//! Cotangents: what flows back along the edges, in the type of the tensor each edge stands for.

use crate::tensor::Tensor;
use std::any::Any;
use tensor_core::{DType, Element, Result};

/// A cotangent of either float type, or those of a node with several outputs.
#[derive(Clone)]
pub(crate) enum Cotangent {
    F32(Tensor<f32>),
    F64(Tensor<f64>),
    Tuple(Box<[Option<Cotangent>]>),
}

/// The same value under another name of the same type; None where the types differ. The comparison
/// is known when the code is compiled.
#[inline]
fn same_type<A: 'static, B: 'static>(a: A) -> Option<B> {
    let mut a = Some(a);
    (&mut a as &mut dyn Any).downcast_mut::<Option<B>>()?.take()
}

impl Cotangent {
    /// The cotangent of a tensor of floats.
    #[inline]
    pub(crate) fn new<T: Element>(t: Tensor<T>) -> Self {
        let of_floats = "only tensors of floats are tracked";
        match T::DTYPE {
            DType::F32 => Cotangent::F32(same_type(t).expect(of_floats)),
            _ => Cotangent::F64(same_type(t).expect(of_floats)),
        }
    }

    /// The tensor, whose type the edge it came along has fixed.
    #[inline]
    pub(crate) fn tensor<T: Element>(self) -> Tensor<T> {
        let typed = match self {
            Cotangent::F32(t) => same_type(t),
            Cotangent::F64(t) => same_type(t),
            Cotangent::Tuple(_) => None,
        };
        typed.expect("a cotangent has the type of its edge")
    }

    /// The sum of two cotangents of one tensor, in the first one's buffer where nothing shares it.
    pub(crate) fn plus(self, other: Cotangent) -> Result<Self> {
        Ok(match (self, other) {
            (Cotangent::F32(a), Cotangent::F32(b)) => Cotangent::F32(a.accumulate(b)?),
            (Cotangent::F64(a), Cotangent::F64(b)) => Cotangent::F64(a.accumulate(b)?),
            (Cotangent::Tuple(a), Cotangent::Tuple(b)) => {
                let sum = |pair| match pair {
                    (Some(a), Some(b)) => Cotangent::plus(a, b).map(Some),
                    (a, b) => Ok(a.or(b)),
                };
                Cotangent::Tuple(a.into_iter().zip(b).map(sum).collect::<Result<_>>()?)
            }
            _ => unreachable!("the cotangents of one edge have one type"),
        })
    }
}

/// Work that is the same for either float type.
macro_rules! each_float {
    ($self:ident, $t:ident => $body:expr) => {
        match $self {
            Cotangent::F32($t) => $body,
            Cotangent::F64($t) => $body,
            Cotangent::Tuple(_) => unreachable!("a tuple goes to a node of several outputs only"),
        }
    };
}

impl Cotangent {
    pub(crate) fn shape(&self) -> &[usize] {
        each_float!(self, t => t.shape())
    }

    /// Sums what broadcasting repeated, after the first `lead` dimensions.
    pub(crate) fn sum_to(self, lead: usize, shape: &[usize]) -> Result<Self> {
        each_float!(self, t => t.sum_to(lead, shape).map(Cotangent::new))
    }

    /// The cotangent at place `k` of many.
    pub(crate) fn row(&self, k: isize) -> Result<Self> {
        Ok(match self {
            Cotangent::F32(g) => Cotangent::F32(g.row(k)?),
            Cotangent::F64(g) => Cotangent::F64(g.row(k)?),
            Cotangent::Tuple(all) => {
                let row = |g: &Option<Cotangent>| g.as_ref().map(|g| g.row(k)).transpose();
                Cotangent::Tuple(all.iter().map(row).collect::<Result<_>>()?)
            }
        })
    }

    /// Cotangents of one tensor, as many at once.
    pub(crate) fn stack(rows: Vec<Cotangent>) -> Result<Self> {
        fn stacked<T: Element>(rows: Vec<Cotangent>) -> Result<Cotangent> {
            let rows: Vec<Tensor<T>> = rows.into_iter().map(Cotangent::tensor).collect();
            Ok(Cotangent::new(Tensor::stack(&rows.iter().collect::<Vec<_>>(), 0)?))
        }
        match &rows[..] {
            [Cotangent::F32(_), ..] => stacked::<f32>(rows),
            [Cotangent::Tuple(all), ..] => {
                let parts = all.len();
                let mut tuples: Vec<_> = rows.into_iter().map(Cotangent::into_tuple).collect();
                let part = |i: usize| {
                    let part: Option<Vec<Cotangent>> = tuples.iter_mut().map(|t| t[i].take()).collect();
                    part.map(Cotangent::stack).transpose()
                };
                Ok(Cotangent::Tuple((0..parts).map(part).collect::<Result<_>>()?))
            }
            _ => stacked::<f64>(rows),
        }
    }

    fn into_tuple(self) -> Box<[Option<Cotangent>]> {
        match self {
            Cotangent::Tuple(all) => all,
            one => Box::new([Some(one)]),
        }
    }

    /// Without its graph.
    pub(crate) fn detached(self) -> Self {
        each_float!(self, t => Cotangent::new(t.detach()))
    }
}
