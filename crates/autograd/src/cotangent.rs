//! Cotangents as tensors: the type of the tensor that an edge stands for is that of what flows along it.

use crate::node::{Cotangent, Part};
use crate::tensor::Tensor;
use std::any::Any;
use tensor_core::shape::Dims;
use tensor_core::{Array, DType, Element, Layout, Result, kernels};

/// The same value under another name of the same type; None where the types differ. The comparison
/// is known when the code is compiled.
#[inline]
fn same_type<A: 'static, B: 'static>(a: A) -> Option<B> {
    let mut a = Some(a);
    (&mut a as &mut dyn Any).downcast_mut::<Option<B>>()?.take()
}

/// Work that is the same for either float type.
macro_rules! each_float {
    ($self:ident, $T:ident => $body:expr) => {
        match $self {
            Cotangent::F32(..) => {
                type $T = f32;
                $body
            }
            Cotangent::F64(..) => {
                type $T = f64;
                $body
            }
            Cotangent::Tuple(_) => unreachable!("a tuple goes to a node of several outputs only"),
            Cotangent::Part(_) => unreachable!("{UNWRITTEN}"),
        }
    };
}

const UNWRITTEN: &str = "a part is written out before it is read";

impl Cotangent {
    /// The cotangent of a tensor of floats.
    #[inline]
    pub(crate) fn new<T: Element>(t: Tensor<T>) -> Self {
        let of_floats = "only tensors of floats are tracked";
        let (value, edge) = t.into_parts();
        match T::DTYPE {
            DType::F32 => Cotangent::F32(same_type(value).expect(of_floats), edge),
            _ => Cotangent::F64(same_type(value).expect(of_floats), edge),
        }
    }

    /// The tensor, whose type the edge it came along has fixed.
    #[inline(always)]
    pub(crate) fn tensor<T: Element>(self) -> Tensor<T> {
        let (value, edge) = match self {
            Cotangent::F32(value, edge) => (same_type(value), edge),
            Cotangent::F64(value, edge) => (same_type(value), edge),
            Cotangent::Tuple(_) | Cotangent::Part(_) => (None, None),
        };
        Tensor::from_parts(value.expect("a cotangent has the type of its edge"), edge)
    }

    /// This cotangent as an array: a part with the zeros around it.
    pub(crate) fn whole(self) -> Result<Self> {
        let Cotangent::Part(part) = self else { return Ok(self) };
        let Part { value, places, shape } = *part;
        each_float!(value, T => {
            let embedded = kernels::embed("slice", &shape, &places, value.tensor::<T>().array())?;
            Ok(Cotangent::new(Tensor::constant(embedded)))
        })
    }

    /// The sum with a part.
    fn plus_part(self, part: Box<Part>) -> Result<Self> {
        each_float!(self, T => {
            let (mut whole, edge) = self.tensor::<T>().into_parts();
            if edge.is_none() && kernels::add_at("slice", &mut whole, &part.places, part.value.clone().tensor().array())? {
                return Ok(Cotangent::new(Tensor::constant(whole)));
            }
            Cotangent::new(Tensor::from_parts(whole, edge)).plus(Cotangent::Part(part).whole()?)
        })
    }

    /// The sum of two cotangents of one tensor, in the first one's buffer where nothing shares it.
    pub(crate) fn plus(self, other: Cotangent) -> Result<Self> {
        match (self, other) {
            (Cotangent::Part(part), whole) | (whole, Cotangent::Part(part)) => whole.whole()?.plus_part(part),
            (one, other) => one.plus_whole(other),
        }
    }

    fn plus_whole(self, other: Cotangent) -> Result<Self> {
        if let (Cotangent::Tuple(_), Cotangent::Tuple(_)) = (&self, &other) {
            let sum = |pair| match pair {
                (Some(a), Some(b)) => Cotangent::plus(a, b).map(Some),
                (a, b) => Ok(a.or(b)),
            };
            let pairs = self.into_tuple().into_iter().zip(other.into_tuple());
            return Ok(Cotangent::Tuple(pairs.map(sum).collect::<Result<_>>()?));
        }
        each_float!(self, T => self.tensor::<T>().accumulate(other.tensor()).map(Cotangent::new))
    }

    pub(crate) fn shape(&self) -> &[usize] {
        match self {
            Cotangent::F32(value, _) => value.shape(),
            Cotangent::F64(value, _) => value.shape(),
            Cotangent::Tuple(_) => unreachable!("the outputs of one node have shapes of their own"),
            Cotangent::Part(part) => &part.shape,
        }
    }

    /// Sums what broadcasting repeated, after the first `lead` dimensions.
    pub(crate) fn sum_to(self, lead: usize, shape: &[usize]) -> Result<Self> {
        each_float!(self, T => self.tensor::<T>().sum_to(lead, shape).map(Cotangent::new))
    }

    /// The cotangents of `m` results, of which each depends on a row of its own alone, along a first dimension.
    pub(crate) fn in_rows(self, m: usize) -> Result<Self> {
        each_float!(self, T => {
            let rows = self.tensor::<T>();
            let shape: Dims = [m].iter().chain(rows.shape()).copied().collect();
            let (n, each) = (rows.numel(), rows.numel() / m);
            let places = Layout::strided(Dims::from_slice(&[m, each]), &[(n + each) as isize, 1], 0);
            let rows = rows.array().reshape("jacobian", &[m, each])?;
            let all = kernels::embed("jacobian", &[m, n], &places, &rows)?.reshape("jacobian", &shape)?;
            Ok(Cotangent::new(Tensor::constant(all)))
        })
    }

    /// The cotangent at place `k` of many.
    pub(crate) fn row(&self, k: isize) -> Result<Self> {
        if let Cotangent::Tuple(all) = self {
            let row = |g: &Option<Cotangent>| g.as_ref().map(|g| g.row(k)).transpose();
            return Ok(Cotangent::Tuple(all.iter().map(row).collect::<Result<_>>()?));
        }
        each_float!(self, T => self.clone().tensor::<T>().row(k).map(Cotangent::new))
    }

    /// `many` tangents: these, in their order, each from its place on, and zeros elsewhere.
    pub(crate) fn among_zeros(parts: &[(usize, Cotangent)], many: usize) -> Result<Self> {
        fn joined<T: Element>(parts: &[(usize, Cotangent)], many: usize) -> Result<Cotangent> {
            let mut rows: Vec<Tensor<T>> = Vec::with_capacity(2 * parts.len() + 1);
            let mut end = 0;
            for part in parts.iter().map(Some).chain([None]) {
                let start = part.map_or(many, |part| part.0);
                if start > end {
                    let of = parts[0].1.shape();
                    let shape: Dims = [start - end].iter().chain(&of[1..]).copied().collect();
                    let device = parts[0].1.clone().tensor::<T>().device();
                    rows.push(Tensor::constant(Array::zeros_on(device, &shape)?));
                }
                if let Some((_, part)) = part {
                    end = start + part.shape()[0];
                    rows.push(part.clone().tensor());
                }
            }
            Ok(Cotangent::new(Tensor::cat(&rows, 0)?))
        }
        match parts.first() {
            Some((_, Cotangent::F32(..))) => joined::<f32>(parts, many),
            _ => joined::<f64>(parts, many),
        }
    }

    /// Cotangents of one tensor, as many at once.
    pub(crate) fn stack(rows: Vec<Cotangent>) -> Result<Self> {
        fn stacked<T: Element>(rows: Vec<Cotangent>) -> Result<Cotangent> {
            let rows: Vec<Tensor<T>> = rows.into_iter().map(Cotangent::tensor).collect();
            Ok(Cotangent::new(Tensor::stack(&rows.iter().collect::<Vec<_>>(), 0)?))
        }
        match &rows[..] {
            [Cotangent::F32(..), ..] => stacked::<f32>(rows),
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

    /// The cotangents of each output, of which there may be only one.
    pub(crate) fn into_tuple(self) -> Box<[Option<Cotangent>]> {
        match self {
            Cotangent::Tuple(all) => all,
            one => Box::new([Some(one)]),
        }
    }

    /// Without its graph.
    pub(crate) fn detached(self) -> Self {
        match self {
            Cotangent::F32(value, _) => Cotangent::F32(value, None),
            Cotangent::F64(value, _) => Cotangent::F64(value, None),
            Cotangent::Tuple(all) => {
                Cotangent::Tuple(all.into_iter().map(|g| g.map(Cotangent::detached)).collect())
            }
            Cotangent::Part(part) => Cotangent::Part(part),
        }
    }
}
