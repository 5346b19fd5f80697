//! Products, whole and running.
//!
//! A product is linear in each of its elements, so all its derivatives are of two kinds: products along directions, and
//! the slopes of those (`kernels::products`). Each is the derivative of the other, and so two rules serve every order.

use crate::apply_once;
use crate::body_once;
use crate::op::Kept;
use crate::op_many::{KeepMany, OpMany, apply_many};
use crate::tensor::Tensor;
use smallvec::SmallVec;
use tensor_core::shape::{Dims, IntoDims, dim_mask};
use tensor_core::{Array, Number, OrRaise, Result, kernels};

/// Of inputs x, h1, .., hr: the derivative along h1 .. hr of the product along `dim`, which keeps size 1, or of the
/// products up to each element where `running`.
#[derive(Clone, Copy)]
struct Products {
    name: &'static str,
    dim: usize,
    running: bool,
}

/// Of inputs x, h1, .., hr, u: the gradient with respect to x of the sum of u times the [`Products`] of the others.
#[derive(Clone, Copy)]
struct Slopes(Products);

impl Products {
    /// The same of each of many tensors along a first dimension; what has not got that is stretched.
    fn of_many<T: Number>(self, kept: &Kept<'_, T>, inputs: &mut [Tensor<T>]) -> Result<Self> {
        let Some(many) = kept.many() else { return Ok(self) };
        for x in inputs {
            let shape: Dims = std::iter::once(many).chain(x.shape().iter().copied()).collect();
            *x = x.expand(&shape)?;
        }
        Ok(Products { dim: self.dim + 1, ..self })
    }

    fn of<T: Number>(self, inputs: &[&Tensor<T>]) -> Result<Option<Tensor<T>>> {
        Ok(apply_many(self, inputs)?.pop())
    }
}

impl Slopes {
    fn of<T: Number>(self, inputs: &[&Tensor<T>]) -> Result<Option<Tensor<T>>> {
        Ok(apply_many(self, inputs)?.pop())
    }
}

/// `all` with `one` in place of number `k`.
fn replaced<'a, T: Number>(all: &'a [Tensor<T>], k: usize, one: &'a Tensor<T>) -> Vec<&'a Tensor<T>> {
    all.iter().enumerate().map(|(i, x)| if i == k { one } else { x }).collect()
}

impl<T: Number> OpMany<T> for Products {
    fn name(&self) -> &'static str {
        self.name
    }
    fn forward(&self, x: &[&Array<T>]) -> Result<Vec<Array<T>>> {
        Ok(vec![kernels::products(self.name, x[0], &x[1..], self.dim, self.running)?])
    }
    fn keep(&self, needs: &[bool]) -> KeepMany {
        KeepMany { inputs: vec![true; needs.len()], outputs: Vec::new() }
    }
    fn batches(&self) -> bool {
        true
    }
    /// With respect to x the slopes along h1 .. hr; with respect to h_k those along the others.
    fn vjp(&self, kept: &Kept<'_, T>, g: Vec<Option<Tensor<T>>>) -> Result<Vec<Option<Tensor<T>>>> {
        let mut inputs = kept.inputs();
        let [Some(g)] = &g[..] else { return Ok(vec![None; inputs.len()]) };
        let slopes = Slopes(self.of_many(kept, &mut inputs)?);
        let wrt = |i: usize| {
            let others = inputs.iter().enumerate().filter(|&(k, _)| k == 0 || k != i).map(|(_, x)| x);
            if kept.needs(i) { slopes.of(&others.chain([g]).collect::<Vec<_>>()) } else { Ok(None) }
        };
        (0..inputs.len()).map(wrt).collect()
    }
}

impl<T: Number> OpMany<T> for Slopes {
    fn name(&self) -> &'static str {
        self.0.name
    }
    fn forward(&self, x: &[&Array<T>]) -> Result<Vec<Array<T>>> {
        let [x, directions @ .., u] = x else { return Ok(Vec::new()) };
        Ok(vec![kernels::product_slopes(self.0.name, x, directions, u, self.0.dim)?])
    }
    fn keep(&self, needs: &[bool]) -> KeepMany {
        KeepMany { inputs: vec![true; needs.len()], outputs: Vec::new() }
    }
    fn batches(&self) -> bool {
        true
    }
    /// The slopes are the derivative D of the weighed sum of products along h1 .. hr and one more direction, and D does
    /// not depend on the order of directions. So with respect to x it is the slopes along h1 .. hr and grad, with
    /// respect to h_k those with grad in its place, and with respect to u the products along h1 .. hr and grad.
    fn vjp(&self, kept: &Kept<'_, T>, g: Vec<Option<Tensor<T>>>) -> Result<Vec<Option<Tensor<T>>>> {
        let mut inputs = kept.inputs();
        let [Some(g)] = &g[..] else { return Ok(vec![None; inputs.len()]) };
        let products = self.0.of_many(kept, &mut inputs)?;
        let last = inputs.len() - 1;
        let wrt = |i: usize| match i {
            _ if !kept.needs(i) => Ok(None),
            0 => {
                let mut all: Vec<&Tensor<T>> = inputs.iter().collect();
                all.insert(last, g);
                Slopes(products).of(&all)
            }
            i if i == last => products.of(&replaced(&inputs, last, g)),
            i => Slopes(products).of(&replaced(&inputs, i, g)),
        };
        (0..=last).map(wrt).collect()
    }
}

/// # Reductions: products
impl<T: Number> Tensor<T> {
    /// The product of all elements; 1 where there are none. It is in the range where the result is, whatever the
    /// products of some of the elements are; see [`Tensor::prod_dim`].
    #[track_caller]
    #[must_use]
    pub fn prod(&self) -> Self /* over dimensions: x.prod_dim(0, false)? */ {
        body_once!(T: Number, [self], |x: &Tensor<T>| -> Result<Tensor<T>> {
            x.flatten().multiplied("prod", 0, false).and_then(|product| product.as_scalar())
        })
        .or_raise()
    }

    /// The products over `dims` (all, where there are none), which stay with size 1 where `keepdim`. A product of some
    /// of the elements may be out of the range where the result is not. Its derivatives, of any order, are right where
    /// elements are 0.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from([2.0, 0.0, 4.0]).requires_grad();
    /// x.prod_dim(0, false)?.backward()?;
    /// assert_eq!(x.grad().unwrap().to_vec(), [0.0, 8.0, 0.0]);
    /// assert_eq!(Tensor::from([1e200, 1e200, 1e-200, 1e-200]).prod().item()?, 1.0);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, for a dimension that does not exist or is named twice.
    #[track_caller]
    pub fn prod_dim(&self, dims: impl IntoDims, keepdim: bool) -> Result<Self> {
        body_once!(
            T: Number,
            [self, &dims.into_dims(), keepdim],
            |x: &Tensor<T>, dims: &[isize], keepdim: bool| -> Result<Tensor<T>> {
                let mask = dim_mask("prod", dims, x.ndim())?;
                let (gone, stay): (SmallVec<[usize; 4]>, SmallVec<[usize; 4]>) =
                    (0..x.ndim()).partition(|&k| mask[k]);
                let sizes = x.shape().iter().zip(&mask).filter(|&(_, &m)| keepdim || !m);
                let kept: Dims = sizes.map(|(&d, &m)| if m { 1 } else { d }).collect();
                if let [dim] = gone[..] {
                    return x.multiplied("prod", dim, false)?.reshaped(kept);
                }
                let order: Vec<isize> = gone.iter().chain(&stay).map(|&k| k as isize).collect();
                let first: usize = gone.iter().map(|&k| x.shape()[k]).product();
                let rows: Dims = std::iter::once(first).chain(stay.iter().map(|&k| x.shape()[k])).collect();
                x.permute(&order)?.reshaped(rows)?.multiplied("prod", 0, false)?.reshaped(kept)
            }
        )
    }

    #[track_caller]
    pub(crate) fn multiplied(&self, name: &'static str, dim: usize, running: bool) -> Result<Self> {
        Ok(apply_once!(T: Number, Products { name, dim, running } => Products, many &[self])?.remove(0))
    }
}
