//! Functions of symmetric matrices, exact at every spectrum.

use autograd::{KeepMany, Kept, OpMany, Tensor, apply_many, body_once};
use std::sync::Arc;
pub use tensor_core::kernels::Analytic;
use tensor_core::shape::Dims;
use tensor_core::{Array, AtCaller, Error, Float, Result, compiled_once, kernels};

/// A = V diag(w) V^T: the value of the matrix, and nothing else of it.
struct Spectrum<T: Float> {
    w: Array<T>,
    v: Array<T>,
}

/// The derivative of order k of f(A) in the symmetric directions G_1, .., G_k, the inputs beside A; f(A)
/// itself, where there are none. All orders are one operation: the derivative with respect to A, for the
/// cotangent grad, is that of order k + 1 with grad for a further direction, and the one with respect to
/// G_i that of order k with grad in place of G_i, since <grad, D^k f(A)[G_1, .., G_k]> does not depend on
/// the order of grad and the directions.
struct Derivative<T: Float> {
    f: Arc<dyn Analytic>,
    spectrum: Arc<Spectrum<T>>,
}

impl<T: Float> Clone for Derivative<T> {
    fn clone(&self) -> Self {
        Derivative { f: self.f.clone(), spectrum: self.spectrum.clone() }
    }
}

impl<T: Float> OpMany<T> for Derivative<T> {
    fn name(&self) -> &'static str {
        "symmetric_function"
    }
    /// V K V^T, where K is the derivative at diag(w) in the directions V^T G V
    fn forward(&self, x: &[&Array<T>]) -> Result<Vec<Array<T>>> {
        let op = OpMany::<T>::name(self);
        let Spectrum { w, v } = &*self.spectrum;
        let mut swap: Vec<usize> = (0..v.ndim()).collect();
        swap.swap(v.ndim() - 1, v.ndim() - 2);
        let vt = v.permute(op, &swap)?;
        let product = |a: &Array<T>, b: &Array<T>| kernels::addmm(op, None, a, b, T::ZERO, T::ONE);
        let turned = x[1..].iter().map(|g| product(&product(&vt, g)?, v)).collect::<Result<Vec<_>>>()?;
        let inner = kernels::analytic_derivative(op, &*self.f, w, &turned)?;
        Ok(vec![product(&product(v, &inner)?, &vt)?])
    }
    fn keep(&self, needs: &[bool]) -> KeepMany {
        KeepMany { inputs: vec![true; needs.len()], outputs: Vec::new() }
    }
    fn holds(&self) -> usize {
        self.spectrum.w.allocation().1 + self.spectrum.v.allocation().1
    }
    fn vjp(&self, kept: &Kept<'_, T>, g: Vec<Option<Tensor<T>>>) -> Result<Vec<Option<Tensor<T>>>> {
        let inputs = kept.inputs();
        let Some(g) = &g[0] else { return Ok(vec![None; inputs.len()]) };
        let g = symmetric_part(g)?;
        let at = |i: usize| -> Result<Option<Tensor<T>>> {
            if !kept.needs(i) {
                return Ok(None);
            }
            let mut directions: Vec<&Tensor<T>> = inputs.iter().collect();
            match i {
                0 => directions.push(&g),
                i => directions[i] = &g,
            }
            Ok(Some(apply_many(self.clone(), &directions)?.swap_remove(0)))
        };
        (0..inputs.len()).map(at).collect()
    }
}

fn symmetric_part<T: Float>(a: &Tensor<T>) -> Result<Tensor<T>> {
    Ok((a + a.mt()?) * T::of(0.5))
}

/// f(A) = V diag(f(w)) V^T for each symmetric matrix A = V diag(w) V^T of a batch, where f is known by its
/// Taylor series. Of A the lower triangle is read; the gradient is that of a symmetric matrix, and symmetric.
/// Derivatives of any order are exact at every spectrum, equal eigenvalues included, where those of
/// [`crate::eigh`]'s vectors do not exist: they are made of divided differences of f. The derivative of order
/// k takes k! n^(k+1) of them.
///
/// ```
/// use tapegrad::Tensor;
/// use tapegrad::linalg::{Analytic, symmetric_function};
///
/// /// 1 / x
/// struct Reciprocal;
/// impl Analytic for Reciprocal {
///     fn coefficient(&self, n: usize, x: f64) -> f64 {
///         (-1f64).powi(n as i32) / x.powi(n as i32 + 1)
///     }
///     fn radius(&self, x: f64) -> f64 {
///         x.abs()
///     }
/// }
///
/// let a = Tensor::from([[2.0, 0.0], [0.0, 2.0]]).requires_grad();
/// let y = symmetric_function(&a, Reciprocal)?;
/// y.sum().backward()?;
/// assert!(a.grad().unwrap().allclose(&Tensor::full([2, 2], -0.25), 1e-12, 1e-12)?);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// Shape, where the matrices are not square; argument, for NaN and infinity in the lower triangle, and where f is not
/// finite at an eigenvalue, naming the first such matrix; not converged.
#[track_caller]
pub fn symmetric_function<T: Float>(a: &Tensor<T>, f: impl Analytic + 'static) -> Result<Tensor<T>> {
    function(("symmetric_function", "the function"), a, Arc::new(f), &|_| {}).at_caller()
}

compiled_once! {
    /// [`symmetric_function`] of the eigenvalues that `adjust` makes of those of each matrix.
    fn function<T: Float>(
        names: (&'static str, &str),
        a: &Tensor<T>,
        f: Arc<dyn Analytic>,
        adjust: &dyn Fn(&mut [T]),
    ) -> Result<Tensor<T>> {
        let (op, written) = names;
        let [w, v] = kernels::eigh(op, a.array())?;
        let (n, device, shape) = (w.shape()[w.ndim() - 1], w.device(), Dims::from_slice(w.shape()));
        let mut values = w.to_vec();
        values.chunks_exact_mut(n.max(1)).for_each(adjust);
        for (k, x) in values.iter().enumerate() {
            if !f.coefficient(0, x.to_f64()).is_finite() {
                let message = format!(
                    "{written} is not a finite number at {x}, an eigenvalue of matrix {} of {:?}",
                    k / n,
                    a.shape()
                );
                return Err(Error::argument(op, message));
            }
        }
        let w = Array::from_vec(values, &shape)?.to_device(op, device)?;
        let spectrum = Arc::new(Spectrum { w, v });
        Ok(apply_many(Derivative { f, spectrum }, &[a])?.swap_remove(0))
    }
}

struct Exp;

impl Analytic for Exp {
    fn coefficient(&self, n: usize, x: f64) -> f64 {
        (1..=n).fold(x.exp(), |c, k| c / k as f64)
    }
    fn radius(&self, _: f64) -> f64 {
        1.0
    }
}

struct Log;

impl Analytic for Log {
    fn coefficient(&self, n: usize, x: f64) -> f64 {
        match n as i32 {
            0 => x.ln(),
            n => -(-1.0 / x).powi(n) / f64::from(n),
        }
    }
    fn scaled_coefficient(&self, n: usize, x: f64, unit: f64) -> f64 {
        match n as i32 {
            0 => x.ln(),
            n => -(-unit / x).powi(n) / f64::from(n),
        }
    }
    fn radius(&self, x: f64) -> f64 {
        x.abs()
    }
}

/// x^p
struct Power(f64);

impl Power {
    /// p (p - 1) .. (p - n + 1) / n!, which ends for a natural p.
    fn binomial(&self, n: usize) -> f64 {
        (0..n).fold(1.0, |c, k| c * (self.0 - k as f64) / (k + 1) as f64)
    }

    fn is_root(&self) -> bool {
        self.0 > 0.0 && self.0.fract() != 0.0
    }
}

impl Analytic for Power {
    /// A root has 0 for its slopes at 0 that are infinite: those along changes that keep the rank do not feel them.
    fn coefficient(&self, n: usize, x: f64) -> f64 {
        let binomial = self.binomial(n);
        if binomial == 0.0 || (x == 0.0 && self.is_root()) {
            0.0
        } else {
            binomial * x.powf(self.0 - n as f64)
        }
    }
    fn scaled_coefficient(&self, n: usize, x: f64, unit: f64) -> f64 {
        match self.binomial(n) {
            0.0 => 0.0,
            binomial => binomial * x.powf(self.0) * (unit / x).powi(n as i32),
        }
    }
    fn radius(&self, x: f64) -> f64 {
        x.abs()
    }
}

/// 1 above a threshold, 0 below
struct Step(f64);

impl Analytic for Step {
    fn coefficient(&self, n: usize, x: f64) -> f64 {
        if n == 0 && x > self.0 { 1.0 } else { 0.0 }
    }
    fn radius(&self, x: f64) -> f64 {
        (x - self.0).abs()
    }
}

/// e^A of each symmetric matrix; see [`symmetric_function`]. [`crate::matrix_exp`] takes any square matrix.
///
/// # Errors
/// As [`symmetric_function`].
#[track_caller]
pub fn symmetric_exp<T: Float>(a: &Tensor<T>) -> Result<Tensor<T>> {
    body_once!(T: Float, [a], |a: &Tensor<T>| -> Result<Tensor<T>> {
        function(("symmetric_exp", "e^x"), a, Arc::new(Exp), &|_| {})
    })
}

/// The logarithm of each symmetric positive definite matrix; see [`symmetric_function`].
///
/// # Errors
/// As [`symmetric_function`], for eigenvalues that are not positive.
#[track_caller]
pub fn symmetric_log<T: Float>(a: &Tensor<T>) -> Result<Tensor<T>> {
    body_once!(T: Float, [a], |a: &Tensor<T>| -> Result<Tensor<T>> {
        function(("symmetric_log", "ln x"), a, Arc::new(Log), &|_| {})
    })
}

/// A^p of each symmetric matrix (p = 1/2 is the root, -1/2 the whitening); see [`symmetric_function`]. A power that
/// is not an integer needs a positive semidefinite matrix, and a negative one a regular matrix.
///
/// For a p that is positive and no integer, eigenvalues that are at most n epsilon times the largest count as zeros,
/// so that matrices of low rank have roots; for a negative one, negative eigenvalues as small as that do, and the
/// matrix is singular. The slope of a root is infinite at zero in directions in which the rank grows: they count as
/// without a slope. Along changes that keep the rank, as of X X^T by X, all derivatives are those of the root.
///
/// ```
/// use tapegrad::{Tensor, linalg};
/// let a = Tensor::from([[5.0, 4.0], [4.0, 5.0]]);
/// let root = linalg::symmetric_power(&a, 0.5)?;
/// assert!(root.allclose(&Tensor::from([[2.0, 1.0], [1.0, 2.0]]), 1e-12, 1e-12)?);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// As [`symmetric_function`], for eigenvalues at which x^p is not a finite number: negative ones beyond rounding, for
/// a p that is no integer, and zeros, for a negative one.
#[track_caller]
pub fn symmetric_power<T: Float>(a: &Tensor<T>, p: f64) -> Result<Tensor<T>> {
    body_once!(T: Float, [a, p], |a: &Tensor<T>, p: f64| -> Result<Tensor<T>> {
        let without_rounding = |w: &mut [T]| {
            if p.fract() == 0.0 {
                return;
            }
            let size = |x: &T| x.to_f64().abs();
            let rounding = w.len() as f64 * T::EPSILON.to_f64() * w.iter().map(size).fold(0.0, f64::max);
            let counts = |x: &&mut T| size(x) <= rounding && (p > 0.0 || **x < T::ZERO);
            w.iter_mut().filter(counts).for_each(|x| *x = T::ZERO);
        };
        function(("symmetric_power", &format!("x^{p}")), a, Arc::new(Power(p)), &without_rounding)
    })
}

/// The projector onto the eigenvectors of each symmetric matrix whose eigenvalues exceed `threshold`; it does
/// not depend on which vectors span that space, and neither does its gradient.
///
/// ```
/// use tapegrad::{Tensor, linalg};
/// let a = Tensor::from([[2.0, 1.0], [1.0, 2.0]]);
/// let p = linalg::spectral_projector(&a, 2.0)?;
/// assert!(p.allclose(&Tensor::full([2, 2], 0.5), 1e-12, 1e-12)?);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// As [`symmetric_function`].
#[track_caller]
pub fn spectral_projector<T: Float>(a: &Tensor<T>, threshold: f64) -> Result<Tensor<T>> {
    body_once!(T: Float, [a, threshold], |a: &Tensor<T>, threshold: f64| -> Result<Tensor<T>> {
        function(("spectral_projector", "the function"), a, Arc::new(Step(threshold)), &|_| {})
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matmul;
    use autograd::{check_op, gradcheck, gradgradcheck, jacobian};
    use tensor_core::ErrorKind;

    /// A symmetric positive definite matrix of each.
    fn definite(x: &Tensor<f64>) -> Result<Tensor<f64>> {
        let n = x.shape()[x.ndim() - 1];
        Ok(symmetric_part(x)? + Tensor::eye_on(&x.device(), n)? * (3.0 * n as f64))
    }

    #[test]
    fn functions_at_distinct_eigenvalues() -> Result<()> {
        for shape in [&[1, 1][..], &[3, 3], &[2, 2, 2], &[0, 0], &[0, 2, 2]] {
            check_op(|x| symmetric_exp(&symmetric_part(&(&x[0] * 0.3))?), &[shape])
                .reference(|x| crate::matrix_exp(&symmetric_part(&(&x[0] * 0.3))?))
                .run()?;
            check_op(|x| symmetric_log(&definite(&x[0])?), &[shape]).run()?;
            check_op(|x| symmetric_power(&definite(&x[0])?, -0.5), &[shape]).run()?;
            check_op(|x| symmetric_power(&definite(&x[0])?, 2.0), &[shape])
                .reference(|x| matmul(&definite(&x[0])?, &definite(&x[0])?))
                .run()?;
            check_op(|x| symmetric_exp(&symmetric_log(&definite(&x[0])?)?), &[shape])
                .reference(|x| definite(&x[0]))
                .run()?;
        }
        Ok(())
    }

    #[test]
    fn functions_at_equal_and_nearly_equal_ones() -> Result<()> {
        let basis = crate::qr(&Tensor::randn([4, 4]))?.0;
        for w in [[1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 2.0, 2.0], [1.0, 1.0 + 1e-9, 1.0 + 1e-5, 3.0]] {
            let a = matmul(&(&basis * Tensor::from(w)), &basis.t()?)?;
            for f in [
                |x: &[Tensor<f64>]| symmetric_exp(&symmetric_part(&x[0])?),
                |x: &[Tensor<f64>]| symmetric_log(&symmetric_part(&x[0])?),
                |x: &[Tensor<f64>]| symmetric_power(&symmetric_part(&x[0])?, 0.5),
            ] {
                gradcheck(f, std::slice::from_ref(&a))?;
                gradgradcheck(f, std::slice::from_ref(&a))?;
            }
            // The inverse is known in every order: the third as well.
            let inverse = |x: &Tensor<f64>| crate::inverse(&symmetric_part(x)?);
            let power = |x: &Tensor<f64>| symmetric_power(&symmetric_part(x)?, -1.0);
            let third = |f: &dyn Fn(&Tensor<f64>) -> Result<Tensor<f64>>| {
                let slope = |x: &Tensor<f64>| jacobian(|x| Ok(f(x)?.square().sum()), x);
                let curve = |x: &Tensor<f64>| jacobian(|x| Ok(slope(x)?.square().sum()), x);
                jacobian(|x| Ok(curve(x)?.square().sum()), &a)
            };
            let (found, exact) = (third(&power)?, third(&inverse)?);
            assert!(found.allclose(&exact, 1e-6, 1e-6)?, "{found} instead of {exact}");
        }
        let a = matmul(&(&basis * Tensor::from([1.0, 1.0, 3.0, 3.0])), &basis.t()?)?;
        let f = |x: &[Tensor<f64>]| spectral_projector(&symmetric_part(&x[0])?, 2.0);
        gradcheck(f, std::slice::from_ref(&a))?;
        gradgradcheck(f, std::slice::from_ref(&a))?;
        Ok(())
    }

    #[test]
    fn what_has_no_value_is_an_error() {
        let a = Tensor::from([[1.0, 2.0], [2.0, 1.0]]);
        assert_eq!(symmetric_log(&a).unwrap_err().kind(), ErrorKind::Argument);
        assert_eq!(symmetric_power(&a, 0.5).unwrap_err().kind(), ErrorKind::Argument);
        assert_eq!(symmetric_exp(&Tensor::ones([2, 3])).unwrap_err().kind(), ErrorKind::Shape);
        let nan = Tensor::from([[f64::NAN]]);
        assert_eq!(symmetric_exp(&nan).unwrap_err().kind(), ErrorKind::Argument);
    }
}
