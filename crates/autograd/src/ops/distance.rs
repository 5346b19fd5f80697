//! Distances between points.

use crate::body_once;
use crate::checkpoint::checkpoint;
use crate::tensor::Tensor;
use tensor_core::shape::broadcast;
use tensor_core::{AtCaller, Error, Float, Result};

/// Differences that are held at once: as many as a cache near the processor takes.
const AT_ONCE: usize = 1 << 18;

/// # Distances
impl<T: Float> Tensor<T> {
    /// The distances of order `p` between each of the points of this tensor, `[.., P, M]`, and each of those of `other`,
    /// `[.., R, M]`: `[.., P, R]`, over batches that broadcast. They are the norms of differences, of M
    /// numbers for each distance, so that near points keep their digits; many of them are formed a part at a time, and again for
    /// the gradient. The gradient of points that coincide is 0.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let (x, y) = (Tensor::from([[0.0, 0.0], [3.0, 0.0]]), Tensor::from([[0.0, 4.0]]));
    /// assert_eq!(x.cdist(&y, 2.0)?.to_vec(), [4.0, 5.0]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where the points are not rows of matrices, or have different lengths; argument, for p negative or NaN; out
    /// of memory.
    #[track_caller]
    pub fn cdist(&self, other: &Tensor<T>, p: f64) -> Result<Self> {
        body_once!(
            T: Float,
            [self, other, p],
            |x: &Tensor<T>, other: &Tensor<T>, p: f64| -> Result<Tensor<T>> {
                let (Some(m), Some(length)) = (x.shape().last(), other.shape().last()) else {
                    return Err(no_points(x, other));
                };
                if m != length || x.ndim() < 2 || other.ndim() < 2 {
                    return Err(no_points(x, other));
                }
                if p.is_nan() || p < 0.0 {
                    return Err(Error::argument("cdist", format!("distances of order {p}: 0 or more is needed")));
                }
                // Of no numbers the distance is 0, of the order infinity too.
                let order = if *m == 0 { 1.0 } else { p };
                distances(x, other, order).called("cdist")
            }
        )
    }
}

/// The norms of the differences between the points of two tensors.
fn distances<T: Float>(x: &Tensor<T>, other: &Tensor<T>, p: f64) -> Result<Tensor<T>> {
    let [rows, m] = [x.ndim() - 2, x.ndim() - 1].map(|d| x.shape()[d]);
    let batch = broadcast("cdist", &x.shape()[..x.ndim() - 2], &other.shape()[..other.ndim() - 2])?;
    let each = batch.iter().product::<usize>() * other.shape()[other.ndim() - 2] * m;
    if each.saturating_mul(rows) <= AT_ONCE {
        return norms(x, other, p);
    }
    let parts = x.split((AT_ONCE / each).max(1), -2)?;
    let part = |x: &Tensor<T>| checkpoint(move |x| norms(&x[0], &x[1], p), &[x, other]);
    Tensor::cat(parts.iter().map(part).collect::<Result<Vec<_>>>()?, -2)
}

fn norms<T: Float>(x: &Tensor<T>, other: &Tensor<T>, p: f64) -> Result<Tensor<T>> {
    x.unsqueeze(-2)?.try_sub(&other.unsqueeze(-3)?)?.vector_norm(p, -1, false)
}

fn no_points<T: Float>(x: &Tensor<T>, other: &Tensor<T>) -> Error {
    let message = format!(
        "points of shapes {:?} and {:?}: rows of one length, [.., P, M] and [.., R, M], are needed",
        x.shape(),
        other.shape()
    );
    Error::shape("cdist", message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{check_op, gradcheck, value_and_grad};

    #[test]
    fn derivatives() -> Result<()> {
        for p in [1.0, 1.5, 2.0, 3.0, f64::INFINITY] {
            for shapes in
                [[&[2, 3][..], &[4, 3]], [&[2, 2, 1], &[1, 1]], [&[0, 2], &[3, 2]], [&[2, 0], &[3, 0]]]
            {
                check_op(|x| x[0].cdist(&x[1], p), &shapes).single(|x| x[0].cdist(&x[1], p)).run()?;
            }
        }
        Ok(())
    }

    #[test]
    fn many_points_are_treated_in_parts() -> Result<()> {
        let (x, y) = (Tensor::randn([600, 40]), Tensor::randn([300, 40]));
        let loss =
            |cdist: &dyn Fn(&Tensor, &Tensor) -> Result<Tensor>, x: &Tensor| Ok(cdist(x, &y)?.sin().sum());
        let (a, slope) = value_and_grad(|x| loss(&|x, y| x.cdist(y, 2.0), x), &x)?;
        let (b, expected) = value_and_grad(|x| loss(&|x, y| norms(x, y, 2.0), x), &x)?;
        assert!(a.allclose(&b, 1e-13, 0.0)? && slope.allclose(&expected, 1e-12, 1e-12)?);
        // Across parts, by differences of one row each.
        let few: Tensor = Tensor::randn([2, 1]);
        let far = Tensor::randn([AT_ONCE / 2 + 1, 1]);
        gradcheck(|x| x[0].cdist(&far, 2.0)?.narrow(1, 0, 2), &[few])
    }

    #[test]
    fn ends() -> Result<()> {
        let x = Tensor::from([[1e8, 1e-8], [0.0, 0.0]]).requires_grad();
        let y = Tensor::from([[1e8, 0.0], [0.0, 0.0]]);
        let d = x.cdist(&y, 2.0)?;
        assert_eq!(d.to_vec(), [1e-8, 1e8, 1e8, 0.0]);
        d.select(0, 1)?.select(0, 1)?.backward()?;
        assert_eq!(x.grad().unwrap().to_vec(), [0.0; 4]);
        assert!(x.cdist(&Tensor::ones([2, 3]), 2.0).is_err() && x.cdist(&Tensor::ones([2]), 2.0).is_err());
        assert!(x.cdist(&y, -1.0).is_err() && x.cdist(&Tensor::scalar(1.0), 2.0).is_err());
        Ok(())
    }
}
