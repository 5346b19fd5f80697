//! Products of many matrices.

use crate::product::matmul;
use autograd::{AsTensor, Listed, Tensor, body_once};
use tensor_core::{Error, Float, Result};

/// The product of two or more matrices in the order that takes the fewest multiplications; the first and the
/// last may be vectors.
///
/// The order is found by dynamic programming (Cormen, Leiserson, Rivest and Stein, "Introduction to
/// Algorithms", section 14.2).
///
/// ```
/// use tapegrad::{Tensor, linalg};
/// let (a, b, x) = (Tensor::ones([2, 3]), Tensor::ones([3, 4]), Tensor::ones([4]));
/// assert_eq!(linalg::multi_dot(&[&a, &b, &x])?.to_vec(), [12.0, 12.0]);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// Shape, where neighbours do not fit; argument, for fewer than two.
#[track_caller]
pub fn multi_dot<T: Float>(factors: impl IntoIterator<Item: AsTensor<T>>) -> Result<Tensor<T>> {
    let factors = Listed::new(factors);
    body_once!(T: Float, [&factors.tensors()], |factors: &[&Tensor<T>]| -> Result<Tensor<T>> {
        let n = factors.len();
        if n < 2 {
            return Err(Error::argument("multi_dot", format!("{n} factors: two or more are needed")));
        }
        let mut matrices: Vec<Tensor<T>> = factors.iter().map(|&f| f.clone()).collect();
        let (row, column) = (factors[0].ndim() == 1, factors[n - 1].ndim() == 1);
        if row {
            matrices[0] = factors[0].unsqueeze(0)?;
        }
        if column {
            matrices[n - 1] = factors[n - 1].unsqueeze(1)?;
        }
        let fits = matrices.iter().all(|m| m.ndim() == 2)
            && matrices.windows(2).all(|pair| pair[0].shape()[1] == pair[1].shape()[0]);
        if !fits {
            let shapes: Vec<_> = factors.iter().map(|f| f.shape()).collect();
            let message = format!(
                "shapes {shapes:?} do not fit: matrices, each with as many rows as the one before has columns"
            );
            return Err(Error::shape("multi_dot", message));
        }
        let sizes: Vec<usize> =
            matrices.iter().map(|m| m.shape()[0]).chain([matrices[n - 1].shape()[1]]).collect();
        // least[i][j] is the cost of the product of i..=j, cut behind cut[i][j].
        let (mut least, mut cut) = (vec![vec![0usize; n]; n], vec![vec![0; n]; n]);
        for length in 1..n {
            for i in 0..n - length {
                let j = i + length;
                let cost = |k: usize| {
                    let product = sizes[i].saturating_mul(sizes[k + 1]).saturating_mul(sizes[j + 1]);
                    least[i][k].saturating_add(least[k + 1][j]).saturating_add(product)
                };
                let best = (i..j).min_by_key(|&k| cost(k)).unwrap_or(i);
                (least[i][j], cut[i][j]) = (cost(best), best);
            }
        }
        let product = chained(&matrices, &cut, 0, n - 1)?;
        let product = if row { product.squeeze(0)? } else { product };
        if column { product.squeeze(-1) } else { Ok(product) }
    })
}

fn chained<T: Float>(matrices: &[Tensor<T>], cut: &[Vec<usize>], i: usize, j: usize) -> Result<Tensor<T>> {
    if i == j {
        return Ok(matrices[i].clone());
    }
    let k = cut[i][j];
    matmul(&chained(matrices, cut, i, k)?, &chained(matrices, cut, k + 1, j)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use autograd::check_op;

    #[test]
    fn products_of_many() -> Result<()> {
        let all = |x: &[Tensor<f64>]| multi_dot(&x.iter().collect::<Vec<_>>());
        let in_turn = |x: &[Tensor<f64>]| x[1..].iter().try_fold(x[0].clone(), |y, b| matmul(&y, b));
        let chains: [&[&[usize]]; 6] = [
            &[&[2, 3], &[3, 4]],
            &[&[2, 5], &[5, 1], &[1, 4], &[4, 3]],
            &[&[3], &[3, 2], &[2, 4]],
            &[&[2, 3], &[3, 4], &[4]],
            &[&[3], &[3, 2], &[2]],
            &[&[2, 0], &[0, 3], &[3, 1]],
        ];
        for shapes in chains {
            check_op(all, shapes).reference(in_turn).run()?;
        }
        assert!(multi_dot(&[&Tensor::ones([2, 2])]).is_err());
        assert!(multi_dot(&[&Tensor::ones([2, 2]), &Tensor::ones([3, 2])]).is_err());
        assert!(multi_dot(&[&Tensor::ones([2, 2]), &Tensor::ones([2]), &Tensor::ones([2, 2])]).is_err());
        Ok(())
    }
}
