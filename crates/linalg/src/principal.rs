//! The principal square root and the principal logarithm of general matrices, and the equation behind the root's derivative.

use crate::product::matmul;
use autograd::{Keep, Kept, Op, Tensor, apply, apply_once, body_once};
use tensor_core::shape::broadcast;
use tensor_core::{Array, Error, Float, Result, kernels};

/// X with A X + X B = C
struct Sylvester;

impl<T: Float> Op<T, 3> for Sylvester {
    fn name(&self) -> &'static str {
        "solve_sylvester"
    }
    fn forward(&self, [a, b, c]: [&Array<T>; 3]) -> Result<Array<T>> {
        kernels::sylvester("solve_sylvester", a, b, c)
    }
    fn keep(&self, [a, b, _]: [bool; 3]) -> Keep<3> {
        Keep { inputs: [true, true, false], output: a || b }
    }
    /// C: H with A^T H + H B^T = grad; A: -H X^T; B: -X^T H, since A dX + dX B = dC - dA X - X dB
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 3]> {
        let h = apply(Sylvester, [&kept.input(0).mt()?, &kept.input(1).mt()?, &g])?;
        let xt = || kept.output(0).mt();
        Ok([
            kept.wrt(0, || Ok(-matmul(&h, &xt()?)?))?,
            kept.wrt(1, || Ok(-matmul(&xt()?, &h)?))?,
            kept.wrt(2, || Ok(h.clone()))?,
        ])
    }
}

/// The solution X of the Sylvester equation A X + X B = C for each A `[.., m, m]`, B `[.., n, n]` and C `[.., m, n]` of a batch, whose
/// leading dimensions broadcast (Bartels and Stewart 1972). With B = A^T it is the continuous Lyapunov equation. Computed on the
/// CPU, in double precision, wherever the matrices are.
///
/// ```
/// use tapegrad::{Tensor, linalg};
/// let (a, b) = (Tensor::from([[1.0, 2.0], [0.0, 3.0]]), Tensor::from([[4.0]]));
/// let x = linalg::solve_sylvester(&a, &b, &Tensor::from([[9.0], [7.0]]))?;
/// assert!(x.allclose(&Tensor::from([[1.4], [1.0]]), 1e-14, 0.0)?);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// Shape, where the operands do not fit; argument, for NaN and infinity in A or B; singular, where A and -B have a common
/// eigenvalue, naming the first such matrix; not converged.
#[doc(alias = "solve_continuous_lyapunov")]
#[track_caller]
pub fn solve_sylvester<T: Float>(a: &Tensor<T>, b: &Tensor<T>, c: &Tensor<T>) -> Result<Tensor<T>> {
    body_once!(
        T: Float,
        [a, b, c],
        |a: &Tensor<T>, b: &Tensor<T>, c: &Tensor<T>| -> Result<Tensor<T>> {
            let op = "solve_sylvester";
            if a.ndim().min(b.ndim()).min(c.ndim()) < 2 {
                let message = format!(
                    "shapes {:?}, {:?} and {:?}: matrices of 2 or more dimensions are needed",
                    a.shape(),
                    b.shape(),
                    c.shape()
                );
                return Err(Error::shape(op, message));
            }
            let lead = |t: &Tensor<T>| t.shape()[..t.ndim() - 2].to_vec();
            let batch = broadcast(op, &broadcast(op, &lead(a), &lead(b))?, &lead(c))?;
            let stretched = |t: &Tensor<T>| {
                let tail = &t.shape()[t.ndim() - 2..];
                t.expand(batch.iter().chain(tail).copied().collect::<Vec<usize>>())
            };
            apply(Sylvester, [&stretched(a)?, &stretched(b)?, &stretched(c)?])
        }
    )
}

/// Y with Y Y = A, its eigenvalues in the right half of the plane
struct MatrixSqrt;

impl<T: Float> Op<T, 1> for MatrixSqrt {
    fn name(&self) -> &'static str {
        "matrix_sqrt"
    }
    fn forward(&self, [a]: [&Array<T>; 1]) -> Result<Array<T>> {
        kernels::matrix_sqrt("matrix_sqrt", a)
    }
    fn keep(&self, _: [bool; 1]) -> Keep<1> {
        Keep::OUTPUT
    }
    /// H with Y^T H + H Y^T = grad, since Y dY + dY Y = dA (Higham 2008, section 6.1)
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 1]> {
        let yt = kept.output(0).mt()?;
        Ok([Some(apply(Sylvester, [&yt, &yt, &g])?)])
    }
}

/// The principal square root of each square matrix of a batch, Y Y = A: the one whose eigenvalues have positive real parts
/// (Björck and Hammarling, "A Schur method for the square root of a matrix", 1983). It is real. SciPy's `sqrtm`.
/// [`crate::symmetric_power`] is for symmetric matrices, singular ones too. Computed on the CPU, in double precision, wherever the
/// matrices are; derivatives of any order, by a Sylvester equation each.
///
/// ```
/// use tapegrad::{Tensor, linalg};
/// let a = Tensor::from([[33.0, 24.0], [48.0, 57.0]]);
/// assert!(linalg::matrix_sqrt(&a)?.allclose(&Tensor::from([[5.0, 2.0], [4.0, 7.0]]), 1e-13, 0.0)?);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// Shape, where the matrices are not square; argument, for NaN and infinity, and where an eigenvalue is zero or negative, to
/// rounding, naming the first such matrix; not converged.
#[doc(alias = "sqrtm")]
#[track_caller]
pub fn matrix_sqrt<T: Float>(a: &Tensor<T>) -> Result<Tensor<T>> {
    apply_once!(T: Float, MatrixSqrt => MatrixSqrt, [a])
}

/// X with e^X = A, the imaginary parts of its eigenvalues within -pi and pi
struct MatrixLog;

impl<T: Float> Op<T, 1> for MatrixLog {
    fn name(&self) -> &'static str {
        "matrix_log"
    }
    fn forward(&self, [a]: [&Array<T>; 1]) -> Result<Array<T>> {
        kernels::matrix_log("matrix_log", a)
    }
    fn keep(&self, _: [bool; 1]) -> Keep<1> {
        Keep::inputs([true])
    }
    /// L(A^T, grad), the derivative at A^T in the direction grad: the upper right part of ln (A^T, grad; 0, A^T) (Higham 2008, theorem
    /// 3.6 and section 3.2). It is linear in grad, which is brought to the height of A.
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 1]> {
        let at = kept.input(0).mt()?;
        let n = at.shape()[at.ndim() - 1];
        if at.numel() == 0 {
            return Ok([Some(g)]);
        }
        let known = g.detach().isfinite();
        let zeros = g.detach().zeros_like();
        let height = |x: &Tensor<T>| x.abs().amax([-2, -1], true);
        let scale = height(&known.where_cond(g.detach(), &zeros)?)?.try_div(&height(&at.detach())?)?;
        let usable = scale.gt(T::ZERO)?.logical_and(&scale.isfinite())?;
        let scale = usable.where_cond(&scale, scale.ones_like())?;
        let direction = known.where_cond(&g, &zeros)?.try_div(&scale)?;
        let above = Tensor::cat(&[&at, &direction], -1)?;
        let below = Tensor::cat(&[&zeros, &at], -1)?;
        let log = matrix_log(&Tensor::cat(&[&above, &below], -2)?)?;
        let derivative = log.narrow(-2, 0, n)?.narrow(-1, n as isize, n)?.try_mul(&scale)?;
        // What is not finite in a cotangent spreads in its matrix.
        let lost = Tensor::scalar(T::NAN).to_device(&g.device())?;
        Ok([Some(known.all_dim([-2, -1], true)?.where_cond(&derivative, &lost)?)])
    }
}

/// The principal logarithm of each square matrix of a batch, e^X = A: the one whose eigenvalues have imaginary parts between -pi and
/// pi, by inverse scaling and squaring of a Schur form (Al-Mohy and Higham, "Improved inverse scaling and squaring algorithms for
/// the matrix logarithm", 2012). It is real. SciPy's `logm`. [`crate::symmetric_log`] is for symmetric matrices. Computed on the CPU, in
/// double precision, wherever the matrices are; derivatives of any order, each of matrices of twice the size.
///
/// ```
/// use tapegrad::{Tensor, linalg};
/// let turn = Tensor::from([[0.0, -1.0], [1.0, 0.0]]);
/// let x = linalg::matrix_log(&turn)? / std::f64::consts::FRAC_PI_2;
/// assert!(x.allclose(&turn, 0.0, 1e-14)?);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// As [`matrix_sqrt`].
#[doc(alias = "logm")]
#[track_caller]
pub fn matrix_log<T: Float>(a: &Tensor<T>) -> Result<Tensor<T>> {
    apply_once!(T: Float, MatrixLog => MatrixLog, [a])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix_exp;
    use autograd::{check_op, gradcheck, gradgradcheck, hessian};
    use tensor_core::ErrorKind;

    /// With eigenvalues away from zero and the negative numbers.
    fn shifted(x: &Tensor<f64>) -> Result<Tensor<f64>> {
        let n = x.shape()[x.ndim() - 1];
        Ok(x + Tensor::eye_on(&x.device(), n)? * (2.0 * n as f64 + 1.0))
    }

    const SHAPES: [&[usize]; 7] = [&[1, 1], &[2, 2], &[3, 3], &[2, 3, 3], &[0, 0], &[0, 2, 2], &[2, 0, 0]];

    #[test]
    fn roots_and_logarithms() -> Result<()> {
        for shape in SHAPES {
            check_op(|x| matrix_sqrt(&shifted(&x[0])?), &[shape]).run()?;
            check_op(|x| matrix_log(&shifted(&x[0])?), &[shape]).run()?;
            let root = |x: &[Tensor<f64>]| matrix_sqrt(&shifted(&x[0])?);
            check_op(|x| matmul(&root(x)?, &root(x)?), &[shape]).reference(|x| shifted(&x[0])).run()?;
            check_op(|x| matrix_exp(&matrix_log(&shifted(&x[0])?)?), &[shape])
                .reference(|x| shifted(&x[0]))
                .run()?;
        }
        Ok(())
    }

    #[test]
    fn sylvester_equations() -> Result<()> {
        let f = |x: &[Tensor<f64>]| solve_sylvester(&shifted(&x[0])?, &shifted(&x[1])?, &x[2]);
        let shapes: [[&[usize]; 3]; 6] = [
            [&[1, 1], &[1, 1], &[1, 1]],
            [&[3, 3], &[2, 2], &[3, 2]],
            [&[2, 3, 3], &[2, 2], &[3, 2]],
            [&[3, 3], &[2, 2, 2], &[2, 3, 2]],
            [&[0, 0], &[2, 2], &[0, 2]],
            [&[0, 2, 2], &[1, 1], &[2, 1]],
        ];
        for s in shapes {
            check_op(f, &s).run()?;
        }
        let (a, b, c) = (Tensor::randn([30, 30]), Tensor::randn([40, 40]), Tensor::randn([30, 40]));
        let (a, b) = (shifted(&a)?, shifted(&b)?);
        for scale in [1.0, 1e200, 1e-200] {
            let (a, b): (Tensor<f64>, Tensor<f64>) = (&a * scale, &b * scale);
            let x = solve_sylvester(&a, &b, &c)?;
            let again = matmul(&a, &x)? + matmul(&x, &b)?;
            assert!(again.allclose(&c, 1e-11, 1e-11)?);
        }
        Ok(())
    }

    #[test]
    fn hard_ones() -> Result<()> {
        // Defective, nearly so, far from normal, of several heights.
        let matrices = [
            Tensor::from([[2.0, 1.0, 0.0], [0.0, 2.0, 1.0], [0.0, 0.0, 2.0]]),
            Tensor::from([[2.0, 1.0, 0.0], [1e-9, 2.0, 1.0], [0.0, 0.0, 2.0]]),
            Tensor::from([[1.0, 300.0, 0.0], [0.0, 1.1, 200.0], [0.0, 0.0, 0.9]]),
            Tensor::from([[1e-3, 1.0, 0.0], [0.0, 1.0, 2.0], [0.0, 0.0, 1e3]]),
            Tensor::from([[-1.0, -3.0, 0.0], [3.0, -1.0, 1.0], [0.5, 0.0, 1.0]]),
            Tensor::eye(3) * 4.0,
        ];
        for a in &matrices {
            let (y, x): (Tensor<f64>, Tensor<f64>) = (matrix_sqrt(a)?, matrix_log(a)?);
            let size = y.abs().max()?.item()?.powi(2);
            assert!(matmul(&y, &y)?.allclose(a, 1e-11, 1e-14 * size)?, "{a}");
            let height = x.abs().max()?.item()?;
            assert!(matrix_exp(&x)?.allclose(a, 1e-9, 1e-12 * height)?, "{} instead of {a}", matrix_exp(&x)?);
        }
        for a in &matrices[..2] {
            gradcheck(|x| matrix_log(&x[0]), std::slice::from_ref(a))?;
            gradgradcheck(|x| matrix_log(&x[0]), std::slice::from_ref(a))?;
            gradcheck(|x| matrix_sqrt(&x[0]), std::slice::from_ref(a))?;
            gradgradcheck(|x| matrix_sqrt(&x[0]), std::slice::from_ref(a))?;
        }
        let (a, size) = (&matrices[4], &Tensor::from([1.0, 2.0, 4.0]));
        for scale in [1e200, 1e-200] {
            let b = (a * scale).requires_grad();
            assert!((matrix_sqrt(&b)? / scale.sqrt()).allclose(&matrix_sqrt(a)?, 1e-12, 1e-12)?);
            let log = matrix_log(&b)?;
            assert!((&log - Tensor::eye(3) * scale.ln()).allclose(&matrix_log(a)?, 1e-12, 1e-12)?);
            log.try_mul(size)?.sum().backward()?;
            let own = a.detach().requires_grad();
            matrix_log(&own)?.try_mul(size)?.sum().backward()?;
            assert!((b.grad().unwrap() * scale).allclose(&own.grad().unwrap(), 1e-11, 1e-12)?);
        }
        // 60 of them, and the third order.
        let a = shifted(&Tensor::randn([60, 60]))?;
        assert!(matrix_exp(&matrix_log(&a)?)?.allclose(&a, 1e-10, 1e-10)?);
        let third = |x: &Tensor<f64>| {
            let f = |x: &Tensor<f64>| Ok(matrix_log(x)?.square().sum());
            Ok(hessian(f, x)?.square().sum())
        };
        gradcheck(|x| third(&x[0]), &[Tensor::from([[2.0, 1.0], [-0.5, 1.5]])])?;
        Ok(())
    }

    #[test]
    fn what_has_no_value_is_an_error() -> Result<()> {
        let kinds = |a: &Tensor<f64>| {
            let both = [matrix_sqrt(a), matrix_log(a)];
            both.map(|r| r.map(drop).unwrap_err().kind())
        };
        let batch = Tensor::from([[[1.0, 2.0], [-2.0, 1.0]], [[1.0, 0.0], [0.0, -1.0]]]);
        assert_eq!(kinds(&batch), [ErrorKind::Argument; 2]);
        assert!(matrix_sqrt(&batch).unwrap_err().to_string().contains("matrix 1"));
        assert_eq!(kinds(&(Tensor::eye(2) * -1.0)), [ErrorKind::Argument; 2]);
        assert_eq!(kinds(&Tensor::from([[0.0, 1.0], [0.0, 0.0]])), [ErrorKind::Argument; 2]);
        assert_eq!(kinds(&Tensor::from([[f64::NAN]])), [ErrorKind::Argument; 2]);
        assert_eq!(kinds(&Tensor::ones([2, 3])), [ErrorKind::Shape; 2]);
        let (one, other) = (Tensor::from([[1.0, 5.0], [0.0, 2.0]]), Tensor::from([[-2.0]]));
        let e = solve_sylvester(&one, &other, &Tensor::ones([2, 1])).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Singular { batch: 0 });
        let e = solve_sylvester(&one, &other, &Tensor::ones([1, 2])).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Shape);
        // A cotangent that is not finite spreads in its matrix alone.
        let a = Tensor::cat(&[&Tensor::eye(2).unsqueeze(0)?, &Tensor::eye(2).unsqueeze(0)?], 0)?;
        let a = a.requires_grad();
        matrix_log(&a)?.try_mul(&Tensor::from([f64::NAN, 1.0]).reshape([2, 1, 1])?)?.sum().backward()?;
        let g = a.grad().unwrap().to_vec();
        assert!(g[..4].iter().all(|x| x.is_nan()) && g[4..].iter().all(|x| *x == 1.0));
        Ok(())
    }

    #[test]
    fn single_precision() -> Result<()> {
        let a = shifted(&Tensor::randn([5, 5]))?.cast::<f32>();
        for f in
            [matrix_sqrt::<f32>, matrix_log::<f32>].into_iter().zip([matrix_sqrt::<f64>, matrix_log::<f64>])
        {
            let (single, double) = (f.0(&a)?.cast::<f64>(), f.1(&a.cast())?);
            assert!(single.allclose(&double, 1e-6, 1e-6)?);
        }
        Ok(())
    }
}
