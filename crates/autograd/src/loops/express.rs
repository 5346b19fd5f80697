//! Tensors of expressions: what an operation does to each element, written down.

use crate::function::Expr;
use tensor_core::shape::{Dims, broadcast};
use tensor_core::{Array, Result};

/// The elements of a tensor as numbers of an expression, in row-major order.
#[derive(Clone)]
pub struct Expressions {
    shape: Dims,
    elements: Vec<Expr>,
}

impl Expressions {
    /// Of a shape and as many elements as it has.
    pub fn new(shape: &[usize], elements: Vec<Expr>) -> Self {
        Expressions { shape: Dims::from_slice(shape), elements }
    }

    /// The sizes of the dimensions.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The elements, in row-major order.
    pub fn elements(&self) -> &[Expr] {
        &self.elements
    }

    /// A function of each element.
    pub fn map(&self, f: impl FnMut(Expr) -> Expr) -> Self {
        Expressions { shape: self.shape.clone(), elements: self.elements.iter().copied().map(f).collect() }
    }

    /// A function of every two elements, broadcast.
    pub fn zip(&self, other: &Self, mut f: impl FnMut(Expr, Expr) -> Expr) -> Option<Self> {
        Expressions::elementwise(&[self, other], |x| Some(f(x[0], x[1])))
    }

    /// A function of the elements of several tensors, broadcast.
    pub fn elementwise(of: &[&Self], mut f: impl FnMut(&[Expr]) -> Option<Expr>) -> Option<Self> {
        let mut shape = Dims::new();
        for x in of {
            shape = broadcast("express", &shape, &x.shape).ok()?;
        }
        let stretched: Vec<Self> = of
            .iter()
            .map(|x| x.moved(|places| Some(places.expand("express", &shape))))
            .collect::<Option<_>>()?;
        let count = shape.iter().product();
        let at = |k: usize| f(&stretched.iter().map(|x| x.elements[k]).collect::<Vec<_>>());
        Some(Expressions { elements: (0..count).map(at).collect::<Option<_>>()?, shape })
    }

    /// The elements as `f` moves them: it sees their places, counted from one, and may put zeros between them.
    pub fn moved(&self, f: impl FnOnce(&Array<i64>) -> Option<Result<Array<i64>>>) -> Option<Self> {
        Expressions::joined(&[self], |places| f(places[0]))
    }

    /// The elements of several tensors as `f` joins them; see [`Expressions::moved`].
    pub fn joined(
        of: &[&Self],
        f: impl FnOnce(&[&Array<i64>]) -> Option<Result<Array<i64>>>,
    ) -> Option<Self> {
        let mut from = 1;
        let mut places = Vec::with_capacity(of.len());
        for x in of {
            let to = from + x.elements.len() as i64;
            places.push(Array::from_vec((from..to).collect(), &x.shape).ok()?);
            from = to;
        }
        let moved = f(&places.iter().collect::<Vec<_>>())?.ok()?;
        let all: Vec<Expr> = of.iter().flat_map(|x| x.elements.iter().copied()).collect();
        let element = |place: i64| if place == 0 { Expr::from(0.0) } else { all[place as usize - 1] };
        let elements = moved.to_vec().into_iter().map(element).collect();
        Some(Expressions { shape: Dims::from_slice(moved.shape()), elements })
    }

    /// The sums over the dimensions of the mask, which stay with size 1 where `keepdim`.
    pub fn sum(&self, mask: &[bool], keepdim: bool) -> Self {
        let kept: Vec<usize> = self.shape.iter().zip(mask).map(|(&d, &m)| if m { 1 } else { d }).collect();
        let mut groups: Vec<Vec<Expr>> = vec![Vec::new(); kept.iter().product()];
        for (k, &x) in self.elements.iter().enumerate() {
            // The place of the element among the sums, from the last dimension on.
            let (mut rest, mut at, mut stride) = (k, 0, 1);
            for (&d, &kept) in self.shape.iter().zip(&kept).rev() {
                at += if kept == 1 { 0 } else { rest % d * stride };
                (rest, stride) = (rest / d, stride * kept);
            }
            groups[at].push(x);
        }
        let stays = |&(_, &m): &(&usize, &bool)| keepdim || !m;
        let shape = kept.iter().zip(mask).filter(stays).map(|(&d, _)| d).collect();
        Expressions { shape, elements: groups.iter().map(|group| tree(group)).collect() }
    }

    /// The products of the matrices, or of a matrix and a vector as one column, times `alpha`.
    pub fn product(&self, other: &Self, alpha: f64) -> Option<Self> {
        let (&[m, n], [k, rest @ ..]) = (&self.shape[..], other.shape()) else { return None };
        let columns = match *rest {
            [] => 1,
            [columns] => columns,
            _ => return None,
        };
        if n != *k {
            return None;
        }
        let mut elements = Vec::with_capacity(m * columns);
        for i in 0..m {
            for j in 0..columns {
                let terms: Vec<Expr> =
                    (0..n).map(|k| self.elements[i * n + k] * other.elements[k * columns + j]).collect();
                let sum = tree(&terms);
                elements.push(if alpha == 1.0 { sum } else { sum * alpha });
            }
        }
        Some(Expressions { shape: std::iter::once(m).chain(rest.iter().copied()).collect(), elements })
    }
}

/// The sum as a balanced tree.
fn tree(x: &[Expr]) -> Expr {
    match x {
        [] => Expr::from(0.0),
        &[x] => x,
        _ => {
            let (left, right) = x.split_at(x.len() / 2);
            tree(left) + tree(right)
        }
    }
}
