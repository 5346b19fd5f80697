//! Matrices with a structure, made from fewer numbers.

use autograd::{AsTensor, Listed, Tensor, arange_on, body_once};
use tensor_core::shape::Integer;
use tensor_core::{AtCaller, Error, Float, Result, memory};

/// Elements from which a Vandermonde matrix is put together of blocks, and about how many blocks these are.
const BLOCKS_FROM: usize = 1 << 18;
const BLOCKS: usize = 16;

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
    body_once!(
        T: Float,
        [x, n.to_size("vander").at_caller()?, decreasing],
        |x: &Tensor<T>, n: usize, decreasing: bool| -> Result<Tensor<T>> {
            if x.ndim() == 0 {
                let message = "a scalar has no Vandermonde matrix: give a vector".to_string();
                return Err(Error::shape("vander", message));
            }
            if n == 0 {
                return x.unsqueeze(-1)?.narrow(-1, 0, 0);
            }
            let shape: Vec<usize> = x.shape().iter().copied().chain([n]).collect();
            memory::ask::<T>("vander", &shape)?;
            // Powers lie one after another in memory. As many again in every step: those that are there times the next one.
            let first = match x.numel() * n {
                small if small < BLOCKS_FROM => n,
                _ => n.div_ceil(BLOCKS).next_power_of_two().min(n),
            };
            let mut step = x.unsqueeze(-2)?;
            let mut powers = step.detach().ones_like();
            let mut width = 1;
            while width < first {
                let more = width.min(first - width);
                powers = Tensor::cat(&[&powers, &powers.narrow(-2, 0, more)?.try_mul(&step)?], -2)?;
                width += more;
                if width < n {
                    step = step.square();
                }
            }
            // Of many, blocks of one size follow each other, and are put together once.
            if first < n {
                let mut blocks = vec![powers];
                while width < n {
                    let last = &blocks[blocks.len() - 1];
                    let more = first.min(n - width);
                    blocks.push(last.narrow(-2, 0, more)?.try_mul(&step)?);
                    width += more;
                }
                powers = Tensor::cat(&blocks, -2)?;
            }
            let powers = powers.mt()?;
            if decreasing { Ok(powers.flip(-1)?.contiguous()) } else { Ok(powers) }
        }
    )
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
    use autograd::check_op;

    #[test]
    fn structures() -> Result<()> {
        for shape in [&[3][..], &[2, 3], &[0]] {
            for n in [0, 1, 4] {
                check_op(|x| vander(&x[0], n, false), &[shape]).run()?;
                let flipped = |x: &[Tensor<f64>]| vander(&x[0], n, true)?.flip([-1]);
                check_op(flipped, &[shape]).reference(|x| vander(&x[0], n, false)).run()?;
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
