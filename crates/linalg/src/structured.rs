//! Matrices with a structure, made from fewer numbers.

use autograd::{AsTensor, ByRow, Keep, Kept, Listed, Op, Parted, Tensor, apply_once, arange_on, body_once};
use tensor_core::shape::Integer;
use tensor_core::{Array, AtCaller, Error, Float, Result, kernels, memory};

/// The powers 0 to n - 1 of each element along a last dimension, or from the highest one on.
#[derive(Clone, Copy)]
struct Vander {
    n: usize,
    decreasing: bool,
}

impl Vander {
    /// Where the powers 1 to n - 1 are, and how many: that of 0 is constant.
    fn sloping(self) -> (usize, usize) {
        let count = self.n.saturating_sub(1);
        (if self.decreasing { 0 } else { self.n - count }, count)
    }

    /// Their derivatives, k x^(k-1): of powers of x alone, so that they are right at 0, where quotients would not be.
    fn slopes<T: Float>(self, x: &Tensor<T>) -> Result<Tensor<T>> {
        let k = arange_on(&x.device(), 1, self.n.max(1) as i64, 1)?.to_type::<T>();
        let k = if self.decreasing { k.flip([0])? } else { k };
        vander(x, self.sloping().1, self.decreasing)?.try_mul(&k)
    }
}

impl<T: Float> Op<T, 1> for Vander {
    fn name(&self) -> &'static str {
        "vander"
    }
    fn forward(&self, [x]: [&Array<T>; 1]) -> Result<Array<T>> {
        kernels::powers("vander", x, self.n, self.decreasing)
    }
    fn keep(&self, needs: [bool; 1]) -> Keep<1> {
        Keep::inputs(needs)
    }
    fn batches(&self) -> bool {
        true
    }
    /// the sum over k of grad_k k x^(k-1)
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 1]> {
        let (first, count) = self.sloping();
        let cotangent = || {
            let g = g.narrow(-1, first, count)?;
            self.slopes(&kept.input(0))?.try_mul(&g)?.sum_dim(-1, false)
        };
        Ok([kept.wrt(0, cotangent)?])
    }
    /// k x^(k-1) dx
    fn jvp(&self, kept: &Kept<'_, T>, [t]: [Option<Tensor<T>>; 1]) -> Result<Option<Tensor<T>>> {
        let Some(t) = t else { return Ok(None) };
        let constant = (self.n - self.sloping().1) as isize;
        let pad = if self.decreasing { [0, constant] } else { [constant, 0] };
        self.slopes(&kept.input(0))?.try_mul(&t.unsqueeze(-1)?)?.pad(pad, T::ZERO).map(Some)
    }
    fn by_row(&self, kept: &Kept<'_, T>, g: Tensor<T>, lead: usize) -> Result<Parted<T, 1>> {
        match lead < g.ndim() {
            true => Ok(Some(self.vjp(kept, g)?.map(|g| g.map(|g| ByRow::Own(g, lead))))),
            false => Ok(None),
        }
    }
}

/// The Vandermonde matrix of each vector of a batch: row i holds the powers x_i^0, .., x_i^(n-1), or from the
/// highest one on where `decreasing`, as NumPy has them.
///
/// ```
/// use tapegrad::{Tensor, linalg};
/// let v = linalg::vander(&Tensor::from([2.0, 3.0]), 3, false)?;
/// assert_eq!(v.to_vec(), [1.0, 2.0, 4.0, 1.0, 3.0, 9.0]);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// Shape, for a scalar; out of memory.
#[track_caller]
pub fn vander<T: Float>(x: &Tensor<T>, n: impl Integer, decreasing: bool) -> Result<Tensor<T>> {
    let n = n.to_size("vander").at_caller()?;
    if x.ndim() == 0 {
        let message = "a scalar has no Vandermonde matrix: give a vector".to_string();
        return Err(Error::shape("vander", message).at_caller());
    }
    apply_once!(T: Float, Vander { n, decreasing } => Vander, [x])
}

/// The matrix with the given ones along its diagonal, and zeros elsewhere. Vectors count as rows, scalars as
/// 1 x 1.
///
/// ```
/// use tapegrad::{Tensor, linalg};
/// let b = linalg::block_diag(&[&Tensor::from([[1.0], [2.0]]), &Tensor::scalar(3.0)])?;
/// assert_eq!(b.to_vec(), [1.0, 0.0, 2.0, 0.0, 0.0, 3.0]);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// Shape, for tensors of more than two dimensions; argument, for none at all.
#[track_caller]
pub fn block_diag<T: Float>(blocks: impl IntoIterator<Item: AsTensor<T>>) -> Result<Tensor<T>> {
    let blocks = Listed::new(blocks);
    body_once!(T: Float, [&blocks.tensors()], |blocks: &[&Tensor<T>]| -> Result<Tensor<T>> {
        let matrices = blocks
            .iter()
            .map(|block| match block.ndim() {
                0 | 1 => block.reshape([1, -1]),
                2 => Ok((*block).clone()),
                _ => {
                    let message = format!("a block of shape {:?}: matrices are needed", block.shape());
                    Err(Error::shape("block_diag", message))
                }
            })
            .collect::<Result<Vec<_>>>()?;
        let sizes = |dim: usize| matrices.iter().try_fold(0usize, |sum, m| sum.checked_add(m.shape()[dim]));
        let shape = [sizes(0).unwrap_or(usize::MAX), sizes(1).unwrap_or(usize::MAX)];
        memory::ask::<T>("block_diag", &shape)?;
        let width = shape[1];
        let mut left = 0;
        let mut rows = Vec::with_capacity(matrices.len());
        for m in &matrices {
            let right = width - left - m.shape()[1];
            rows.push(m.pad([left as isize, right as isize], T::ZERO)?);
            left += m.shape()[1];
        }
        if rows.is_empty() {
            return Err(Error::argument("block_diag", "no blocks: give one or more"));
        }
        Tensor::cat(&rows.iter().collect::<Vec<_>>(), 0)
    })
}

/// The Toeplitz matrix with the first column `c` and the first row `r`, whose first element is not read: the
/// elements are equal along each diagonal. `toeplitz(c, c)` is symmetric.
///
/// ```
/// use tapegrad::{Tensor, linalg};
/// let t = linalg::toeplitz(&Tensor::from([1.0, 2.0]), &Tensor::from([1.0, 5.0, 6.0]))?;
/// assert_eq!(t.to_vec(), [1.0, 5.0, 6.0, 2.0, 1.0, 5.0]);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// Shape, where these are not vectors.
#[track_caller]
pub fn toeplitz<T: Float>(c: &Tensor<T>, r: &Tensor<T>) -> Result<Tensor<T>> {
    body_once!(T: Float, [c, r], |c: &Tensor<T>, r: &Tensor<T>| -> Result<Tensor<T>> {
        let (&[m], &[n]) = (c.shape(), r.shape()) else {
            let message = format!(
                "a column of shape {:?} and a row of shape {:?}: vectors are needed",
                c.shape(),
                r.shape()
            );
            return Err(Error::shape("toeplitz", message));
        };
        memory::ask::<T>("toeplitz", &[m, n])?;
        if m == 0 || n == 0 {
            return c.unsqueeze(1)?.try_mul(&r.unsqueeze(0)?);
        }
        // r_(n-1), .., r_1, c_0, .., c_(m-1): element (i, j) is number n - 1 + i - j.
        let line = Tensor::cat(&[&r.narrow(0, 1, n - 1)?.flip([0])?, c], 0)?;
        let row = (arange_on(&c.device(), 0, m as i64, 1)? + (n as i64 - 1)).unsqueeze(-1)?;
        let index = row.try_sub(&arange_on(&c.device(), 0, n as i64, 1)?)?;
        line.index_select(0, index.flatten())?.reshape([m as isize, n as isize])
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mv;
    use autograd::{arange, check_op, grad, jacobian};

    #[test]
    fn powers_of_0_and_of_infinity() -> Result<()> {
        let x = Tensor::from([0.0, -0.0, f64::INFINITY, f64::NAN]).requires_grad();
        let y = vander(&x, 3, true)?;
        let row = |i: isize| y.select(0, i).map(|row| row.to_vec());
        assert_eq!(
            [row(0)?, row(1)?, row(2)?],
            [[0.0, 0.0, 1.0], [0.0, 0.0, 1.0], [f64::INFINITY, f64::INFINITY, 1.0]]
        );
        assert_eq!(row(3)?[2], 1.0);
        let slopes = grad(&y.sum(), [&x])?.remove(0).unwrap_or_else(|| x.zeros_like()).to_vec();
        assert_eq!(slopes[..3], [1.0, 1.0, f64::INFINITY]);
        assert!(slopes[3].is_nan() && row(3)?[0].is_nan());
        Ok(())
    }

    /// The Jacobian of a polynomial at many points, whose rows are told apart.
    #[test]
    fn rows_of_powers_do_not_mix() -> Result<()> {
        let (x, c) = (Tensor::rand([7]), Tensor::rand([4]));
        for decreasing in [false, true] {
            let f = |x: &Tensor| mv(&vander(x, 4, decreasing)?, &c);
            let variable = x.clone().requires_grad();
            let slopes = grad(&f(&variable)?.sum(), [&variable])?.remove(0).unwrap_or_else(|| x.zeros_like());
            let expected = Tensor::eye(7).try_mul(&slopes)?;
            assert!(jacobian(f, &x)?.allclose(&expected, 1e-14, 1e-14)?);
            // And of all powers: as many rows as there are powers for each point.
            assert_eq!(jacobian(|x: &Tensor| vander(x, 4, decreasing), &x)?.shape(), [7, 4, 7]);
        }
        Ok(())
    }

    #[test]
    fn structures() -> Result<()> {
        for shape in [&[3][..], &[2, 3], &[0]] {
            for n in [0, 1, 2, 5] {
                let powers = |x: &[Tensor<f64>]| x[0].unsqueeze(-1)?.pow(&arange(0.0, n as f64, 1.0)?);
                for decreasing in [false, true] {
                    check_op(|x| vander(&x[0], n, decreasing), &[shape])
                        .single(|x| vander(&x[0], n, decreasing))
                        .reference(|x| if decreasing { powers(x)?.flip([-1]) } else { powers(x) })
                        .run()?;
                }
            }
        }
        check_op(|x| block_diag(&[&x[0], &x[1], &x[2]]), &[&[2, 3], &[2], &[]]).run()?;
        assert_eq!(block_diag(&[&Tensor::ones([2, 0]), &Tensor::ones([1, 2])])?.shape(), [3, 2]);
        for shapes in [[&[3][..], &[4]], [&[1], &[1]], [&[0], &[2]]] {
            check_op(|x| toeplitz(&x[0], &x[1]), &shapes).run()?;
        }
        assert!(vander(&Tensor::scalar(1.0), 2, false).is_err());
        assert!(
            block_diag(Vec::<Tensor>::new()).is_err() && block_diag(&[&Tensor::ones([1, 1, 1])]).is_err()
        );
        assert!(toeplitz(&Tensor::ones([1, 1]), &Tensor::ones([1])).is_err());
        Ok(())
    }
}
