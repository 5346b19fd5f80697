//! The cross product.

use autograd::{Keep, Kept, Op, Tensor, apply_once};
use tensor_core::shape::{Integer, dim};
use tensor_core::{Array, AtCaller, Error, Float, Result, formula, kernels};

/// a x b along a dimension, `from_end` before the end of both.
#[derive(Clone, Copy)]
struct Cross {
    from_end: usize,
}

#[track_caller]
fn product<T: Float>(op: Cross, a: &Tensor<T>, b: &Tensor<T>) -> Result<Tensor<T>> {
    apply_once!(T: Float, op => Cross, [a, b])
}

impl<T: Float> Op<T, 2> for Cross {
    fn name(&self) -> &'static str {
        "cross"
    }
    fn broadcasts(&self) -> bool {
        true
    }
    fn batches(&self) -> bool {
        true
    }
    /// (a x b)_i = a_(i+1) b_(i+2) - a_(i+2) b_(i+1), indices modulo 3
    fn forward(&self, [a, b]: [&Array<T>; 2]) -> Result<Array<T>> {
        let part = |x: &Array<T>, i: usize| x.slice("cross", x.ndim() - self.from_end, i % 3, 1, 1);
        let component = |i: usize| {
            let second =
                kernels::zip("cross", &part(a, i + 2)?, &part(b, i + 1)?, &formula!(|a: T, b: T| a * b))?;
            let first = [part(a, i + 1)?, part(b, i + 2)?];
            kernels::zip3_owned(
                "cross",
                second,
                &first[0],
                &first[1],
                &formula!(|c: T, a: T, b: T| a * b - c),
            )
        };
        let parts = [component(0)?, component(1)?, component(2)?];
        kernels::cat("cross", &parts.each_ref(), parts[0].ndim() - self.from_end)
    }
    fn keep(&self, [a, b]: [bool; 2]) -> Keep<2> {
        Keep::inputs([b, a])
    }
    /// a: b x grad; b: grad x a
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 2]> {
        Ok([
            kept.wrt(0, || product(*self, &kept.input(1), &g))?,
            kept.wrt(1, || product(*self, &g, &kept.input(0)))?,
        ])
    }
    /// da x b + a x db
    fn jvp(&self, kept: &Kept<'_, T>, [a, b]: [Option<Tensor<T>>; 2]) -> Result<Option<Tensor<T>>> {
        let first = a.map(|a| product(*self, &kept.aligned(a)?, &kept.input(1))).transpose()?;
        let second = b.map(|b| product(*self, &kept.input(0), &kept.aligned(b)?)).transpose()?;
        Ok(match (first, second) {
            (Some(a), Some(b)) => Some(a + b),
            (a, b) => a.or(b),
        })
    }
}

/// The cross product of vectors of three elements along `dim`; the other dimensions broadcast.
///
/// ```
/// use tapegrad::{Tensor, linalg};
/// let z = linalg::cross(&Tensor::from([1.0, 0.0, 0.0]), &Tensor::from([0.0, 1.0, 0.0]), -1)?;
/// assert_eq!(z.to_vec(), [0.0, 0.0, 1.0]);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// Shape, where either does not have three elements there, or the shapes do not broadcast; index, for
/// a dimension that does not exist.
#[track_caller]
pub fn cross<T: Float>(a: &Tensor<T>, b: &Tensor<T>, d: impl Integer) -> Result<Tensor<T>> {
    let d = d.to_isize();
    let places = [dim("cross", d, a.ndim()).at_caller()?, dim("cross", d, b.ndim()).at_caller()?];
    let from_end = [a.ndim() - places[0], b.ndim() - places[1]];
    if a.shape()[places[0]] != 3 || b.shape()[places[1]] != 3 || from_end[0] != from_end[1] {
        let message = format!(
            "shapes {:?} and {:?} in dimension {d}: three elements are needed there, in dimensions that meet",
            a.shape(),
            b.shape()
        );
        return Err(Error::shape("cross", message).at_caller());
    }
    product(Cross { from_end: from_end[0] }, a, b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use autograd::check_op;

    /// By rolling the elements round.
    fn rolled(x: &[Tensor], d: isize) -> Result<Tensor> {
        let (a, b) = (&x[0], &x[1]);
        Ok(a.roll(-1, d)? * b.roll(-2, d)? - a.roll(-2, d)? * b.roll(-1, d)?)
    }

    #[test]
    fn crosses() -> Result<()> {
        for (d, shapes) in [
            (-1, [&[3][..], &[3]]),
            (0, [&[3, 4], &[3, 4]]),
            (0, [&[3, 4], &[3, 1]]),
            (-2, [&[2, 3, 2], &[3, 1]]),
            (1, [&[2, 3], &[1, 3]]),
            (-1, [&[0, 3], &[3]]),
        ] {
            check_op(|x| cross(&x[0], &x[1], d), &shapes)
                .single(|x| cross(&x[0], &x[1], d))
                .reference(|x| rolled(x, d))
                .run()?;
        }
        Ok(())
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let (three, four) = (Tensor::ones([3, 4]), Tensor::ones([4]));
        assert!(cross(&three, &three, 1).unwrap_err().to_string().contains("three elements"));
        assert!(cross(&three, &Tensor::ones([3]), 0).unwrap_err().to_string().contains("meet"));
        assert!(cross(&four, &four, 0).is_err() && cross(&three, &three, 2).is_err());
    }
}
