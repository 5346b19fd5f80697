//! Covariances and correlations of variables, one a row.

use crate::product::mm;
use autograd::{Tensor, body_once};
use tensor_core::{AtCaller, Error, Float, Result};

/// How covariances are weighted, and what they are divided by.
#[derive(Clone, Copy, Debug)]
pub struct CovOptions<'a, T: Float = f64> {
    /// What the number of observations is reduced by in the denominator; 1.
    pub correction: f64,
    /// How often each observation occurs, a vector.
    pub fweights: Option<&'a Tensor<i64>>,
    /// How much each observation weighs, a vector.
    pub aweights: Option<&'a Tensor<T>>,
}

impl<T: Float> Default for CovOptions<'_, T> {
    fn default() -> Self {
        CovOptions { correction: 1.0, fweights: None, aweights: None }
    }
}

/// The covariances of the rows of a matrix, each a variable, whose columns are observations: divided by one less than
/// there are. A single variable, a vector or one row, has its variance, without dimensions, as NumPy's and PyTorch's.
///
/// ```
/// use tapegrad::Tensor;
/// use tapegrad::linalg::cov;
/// let x = Tensor::from([[0.0, 1.0, 2.0, 3.0, 4.0], [4.0, 3.0, 2.0, 1.0, 0.0]]);
/// assert_eq!(cov(&x)?.to_vec(), [2.5, -2.5, -2.5, 2.5]);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// Shape, for more than two dimensions.
#[track_caller]
pub fn cov<T: Float>(x: &Tensor<T>) -> Result<Tensor<T>> {
    cov_with(x, CovOptions::default())
}

/// [`cov`] with another correction, or of weighted observations; semantics are NumPy's and PyTorch's. Gradients reach
/// the weights, too.
///
/// ```
/// use tapegrad::Tensor;
/// use tapegrad::linalg::{CovOptions, cov_with};
/// let (x, twice) = (Tensor::from([1f64, 3.0]), Tensor::from([1, 2]));
/// let options = CovOptions { fweights: Some(&twice), correction: 0.0, ..Default::default() };
/// assert!((cov_with(&x, options)?.item()? - 8.0 / 9.0).abs() < 1e-15);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// Shape, for more than two dimensions, and where there is not a weight for each observation.
#[track_caller]
pub fn cov_with<T: Float>(x: &Tensor<T>, options: CovOptions<'_, T>) -> Result<Tensor<T>> {
    body_once!(
        T: Float,
        [x, options],
        |x: &Tensor<T>, options: CovOptions<'_, T>| -> Result<Tensor<T>> {
            let rows = variables("cov", x)?;
            let n = rows.shape()[1];
            let products = match weights(&options, n)? {
                None => {
                    let centred = rows.try_sub(&rows.mean_dim(1isize, true)?)?;
                    // The root of the denominator on either side: sums stay in the range of the result.
                    let scaled = centred / T::of((n as f64 - options.correction).max(0.0).sqrt());
                    mm(&scaled, &scaled.t()?)
                }
                Some((weights, total)) => {
                    let mean = rows.try_mul(&weights)?.sum_dim(1isize, true)?.try_div(&total)?;
                    let centred = rows.try_sub(&mean)?;
                    let less = match options.aweights {
                        Some(a) => weights.try_mul(a)?.sum().try_div(&total)? * T::of(options.correction),
                        None => Tensor::scalar(T::of(options.correction)),
                    };
                    let denominator = total.try_sub(&less)?.relu();
                    mm(&centred.try_mul(&weights.try_div(&denominator)?)?, &centred.t()?)
                }
            };
            let products = products.called("cov")?;
            if rows.shape()[0] == 1 { products.reshape(()) } else { Ok(products) }
        }
    )
}

/// The correlations of the rows of a matrix, each a variable, whose columns are observations: covariances over both
/// standard deviations, from -1 to 1, and NaN of a variable that does not vary. Of a single variable it is 1, without
/// dimensions.
///
/// ```
/// use tapegrad::Tensor;
/// use tapegrad::linalg::corrcoef;
/// let x = Tensor::from([[1.0, -1.0, 1.0, -1.0], [1.0, 1.0, -1.0, -1.0]]);
/// assert_eq!(corrcoef(&x)?.to_vec(), [1.0, 0.0, 0.0, 1.0]);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// Shape, for more than two dimensions.
#[track_caller]
pub fn corrcoef<T: Float>(x: &Tensor<T>) -> Result<Tensor<T>> {
    body_once!(T: Float, [x], |x: &Tensor<T>| -> Result<Tensor<T>> {
        let rows = variables("corrcoef", x)?;
        let centred = rows.try_sub(&rows.mean_dim(1isize, true)?)?;
        // Vectors of length 1: no variance is formed that could leave the range.
        let directions = centred.try_div(&centred.vector_norm(2.0, 1isize, true)?)?;
        let products = mm(&directions, &directions.t()?).called("corrcoef")?;
        let beyond = products.detach().abs().gt(T::ONE)?;
        let products = beyond.where_cond(products.detach().sign(), &products)?;
        if rows.shape()[0] == 1 { products.reshape(()) } else { Ok(products) }
    })
}

/// Variables as the rows of a matrix.
fn variables<T: Float>(op: &'static str, x: &Tensor<T>) -> Result<Tensor<T>> {
    match x.ndim() {
        0 | 1 => x.reshape([1, x.numel()]),
        2 => Ok(x.clone()),
        _ => {
            let message = format!("shape {:?}: a matrix with a variable in each row is needed", x.shape());
            Err(Error::shape(op, message))
        }
    }
}

/// The weight of each observation, and their sum; None where none are given.
fn weights<T: Float>(options: &CovOptions<'_, T>, n: usize) -> Result<Option<(Tensor<T>, Tensor<T>)>> {
    let shapes = [options.fweights.map(Tensor::shape), options.aweights.map(Tensor::shape)];
    if let Some(shape) = shapes.into_iter().flatten().find(|shape| **shape != [n]) {
        let message = format!("weights of shape {shape:?} for {n} observations: one each is needed");
        return Err(Error::shape("cov", message));
    }
    let weights = match (options.fweights.map(Tensor::to_type::<T>), options.aweights) {
        (None, None) => return Ok(None),
        (Some(f), None) => f,
        (None, Some(a)) => a.clone(),
        (Some(f), Some(a)) => f.try_mul(a)?,
    };
    let total = weights.sum();
    Ok(Some((weights, total)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use autograd::check_op;

    #[test]
    fn derivatives() -> Result<()> {
        for shape in [&[3, 5][..], &[1, 2], &[4], &[0, 3]] {
            check_op(|x| cov(&x[0]), &[shape]).single(|x| cov(&x[0])).run()?;
            check_op(|x| corrcoef(&x[0]), &[shape]).single(|x| corrcoef(&x[0])).run()?;
        }
        let often = Tensor::from([1, 3, 0, 2]);
        for (fweights, correction) in [(None, 1.0), (Some(&often), 0.0), (Some(&often), 1.0)] {
            let weighted = |x: &[Tensor]| {
                let aweights = x[1].exp();
                cov_with(&x[0], CovOptions { correction, fweights, aweights: Some(&aweights) })
            };
            check_op(weighted, &[&[2, 4], &[4]]).run()?;
        }
        let repeated = |x: &[Tensor]| cov(&x[0].repeat_interleave(&often, 1)?);
        check_op(|x| cov_with(&x[0], CovOptions { fweights: Some(&often), ..Default::default() }), &[&[2, 4]])
            .reference(repeated)
            .run()
    }

    #[test]
    fn ends() -> Result<()> {
        let x = Tensor::from([[1e200, -1e200, 0.0], [1e-200, 0.0, -1e-200]]);
        assert!(corrcoef(&x)?.allclose(&Tensor::from([[1.0, 0.5], [0.5, 1.0]]), 1e-15, 0.0)?);
        assert!(corrcoef(&Tensor::ones([2, 3]))?.isnan().all() && cov(&Tensor::scalar(1.0))?.isnan().all());
        let one = Tensor::from([1.2e154, -1.2e154, 1.2e154, -1.2e154]);
        let options = CovOptions { correction: 0.0, ..Default::default() };
        assert!((cov_with(&one, options)?.item()? / 1.44e308 - 1.0).abs() < 1e-15);
        assert!(cov(&Tensor::ones([1, 1, 2])).is_err() && corrcoef(&Tensor::ones([1, 1, 2])).is_err());
        let weights = Tensor::ones([2]);
        assert!(cov_with(&x, CovOptions { aweights: Some(&weights), ..Default::default() }).is_err());
        Ok(())
    }
}
