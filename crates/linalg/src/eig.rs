//! Eigenvalues, eigenvectors and the Schur form of general matrices.

use crate::complex::Complex;
use crate::solve::Solve;
use autograd::{KeepMany, Kept, OpMany, Tensor, apply, apply_many, body_once};
use tensor_core::{Array, Error, Float, Result, kernels};

/// Complex numbers: their real and their imaginary parts.
pub type Pair<T> = (Tensor<T>, Tensor<T>);

/// w and V, real and imaginary parts each, A V = V diag(w), columns of length 1
struct Eig;

impl<T: Float> OpMany<T> for Eig {
    fn name(&self) -> &'static str {
        "eig"
    }
    fn forward(&self, x: &[&Array<T>]) -> Result<Vec<Array<T>>> {
        Ok(kernels::eig("eig", x[0])?.into())
    }
    fn keep(&self, _: &[bool]) -> KeepMany {
        KeepMany { inputs: Vec::new(), outputs: vec![true; 4] }
    }
    /// Re V^-H (diag(grad_w) + (P - V^H V diag(Re p)) / E^*) V^H with P = V^H grad_V, its diagonal p and E_ij = w_j - w_i, the
    /// quotient 0 on the diagonal (Boeddeker et al., "On the computation of complex-valued gradients with application to
    /// statistically optimum beamforming", 2017, (4.77) and (4.104); PyTorch's `linalg_eig_backward`; Giles 2008, 3.1, for real ones)
    fn vjp(&self, kept: &Kept<'_, T>, g: Vec<Option<Tensor<T>>>) -> Result<Vec<Option<Tensor<T>>>> {
        let w = Complex { re: kept.output(0), im: kept.output(1) };
        let v = Complex { re: kept.output(2), im: kept.output(3) };
        if v.re.numel() == 0 {
            return Ok(vec![Some(v.re.zeros_like())]);
        }
        let vh = v.adjoint()?;
        let given = |re: usize, like: &Tensor<T>| match (&g[re], &g[re + 1]) {
            (None, None) => None,
            (a, b) => Some(Complex::of(a.as_ref(), b.as_ref(), like)),
        };
        let by_values = match given(0, &w.re) {
            Some(g) => Some(Complex { re: g.re.diag_embed(0)?, im: g.im.diag_embed(0)? }),
            None => None,
        };
        let by_vectors = match given(2, &v.re) {
            Some(g) => Some(of_vectors(&w, &v, &vh, &g)?),
            None => None,
        };
        let inner = match (by_values, by_vectors) {
            (Some(a), Some(b)) => a.plus(&b)?,
            (Some(a), None) | (None, Some(a)) => a,
            (None, None) => return Ok(vec![None]),
        };
        let (system, sides) = vh.real_system(&inner.mm(&vh)?)?;
        let lu = kernels::lu("eig", system.array())?;
        if let Some(batch) = lu.nearly_singular("eig", 8.0 * T::EPSILON.to_f64())?.first() {
            let message = format!(
                "matrix {batch} of {:?} is defective: its eigenvectors depend on each other, and the gradient does not exist",
                v.re.shape()
            );
            return Err(Error::argument("eig", message));
        }
        let solve = Solve { lu, transposed: false, lenient: false };
        let n = v.re.shape()[v.re.ndim() - 1];
        let gradient = apply(solve, [&system, &sides])?.narrow(-2, 0, n)?;
        Ok(vec![Some(gradient)])
    }
}

/// (P - V^H V diag(Re p)) / E^* off the diagonal, and zeros on it
fn of_vectors<T: Float>(
    w: &Complex<T>,
    v: &Complex<T>,
    vh: &Complex<T>,
    g: &Complex<T>,
) -> Result<Complex<T>> {
    let p = vh.mm(g)?;
    need_no_phase(v, g, &p)?;
    let p = p.minus(&vh.mm(&v.scaled(&p.re.diagonal(0, -2, -1)?.unsqueeze(-2)?)?)?)?;
    // Gaps near one: their squares stay in range.
    let size = w.re.detach().abs().maximum(w.im.detach().abs())?;
    let size = size.amax(-1, true)?;
    let unit = size.gt(T::ZERO)?.where_cond(size.reciprocal(), size.ones_like())?;
    let near = w.scaled(&unit)?;
    let gap = |x: &Tensor<T>| x.unsqueeze(-2)?.try_sub(&x.unsqueeze(-1)?);
    let gaps = Complex { re: gap(&near.re)?, im: gap(&near.im)? };
    let squares = gaps.re.square() + gaps.im.square();
    let n = v.re.shape()[v.re.ndim() - 1];
    let equal = squares.detach().le(T::of((8.0 * (n as f64).sqrt()).powi(2)) * T::EPSILON * T::EPSILON)?;
    need_distinct(&p, &equal)?;
    // x / E^* = x E / |E|^2
    let one = squares.ones_like();
    let reciprocals = equal.where_cond(one.zeros_like(), equal.where_cond(&one, &squares)?.reciprocal())?;
    p.times(&gaps)?.scaled(&reciprocals)?.scaled(&unit.unsqueeze(-1)?)
}

/// An error where a function depends on the phases of complex eigenvectors, which are nobody's: where they turn, it
/// changes by Im p.
fn need_no_phase<T: Float>(v: &Complex<T>, g: &Complex<T>, p: &Complex<T>) -> Result<()> {
    let turned = p.im.detach().diagonal(0, -2, -1)?.abs().to_vec();
    let size = |x: &Complex<T>| x.re.detach().abs() + x.im.detach().abs();
    let sizes = size(v).try_mul(&size(g))?.sum_dim(-2, false)?.to_vec();
    let n = v.re.shape()[v.re.ndim() - 1];
    let tolerance = T::EPSILON.to_f64().cbrt();
    let felt = turned.iter().zip(&sizes).position(|(x, size)| x.to_f64() > tolerance * size.to_f64());
    let Some(at) = felt else { return Ok(()) };
    let message = format!(
        "the function depends on the phase of vector {} of matrix {} of {:?}, which is open: its gradient does not exist; use one \
         that does not change where a vector is multiplied by a complex number of size 1, as |v|^2",
        at % n,
        at / n,
        v.re.shape()
    );
    Err(Error::argument("eig", message))
}

/// An error where a numerator that is not negligible belongs to eigenvalues that are equal.
fn need_distinct<T: Float>(p: &Complex<T>, equal: &Tensor<bool>) -> Result<()> {
    let size = p.re.detach().abs() + p.im.detach().abs();
    let largest = size.amax([-2, -1], true)?;
    let counts = size.gt(&(largest * (T::EPSILON * T::of(64.0))))?;
    let lost = counts.logical_and(equal)?.to_vec();
    let n = p.re.shape()[p.re.ndim() - 1];
    let off_diagonal = |k: &usize| k / n % n != k % n;
    let Some(at) = (0..lost.len()).filter(off_diagonal).find(|&k| lost[k]) else { return Ok(()) };
    let message = format!(
        "eigenvalues {} and {} of matrix {} of {:?} are equal, and the function depends on their vectors: its gradient does not \
         exist; use a function of the whole space, as matrix_exp, matrix_sqrt and matrix_log are",
        at / n % n,
        at % n,
        at / (n * n),
        p.re.shape()
    );
    Err(Error::argument("eig", message))
}

/// The eigenvalues w of each square matrix of a batch `[.., n, n]`, and its eigenvectors, the columns of V: A V = V diag(w). Both
/// are complex, and come as pairs of real and imaginary parts: `((w_re, w_im), (v_re, v_im))` of shapes `[.., n]` and `[.., n, n]`.
///
/// As LAPACK and NumPy have them, the vectors have length 1, the largest element of a complex one is real, and complex
/// eigenvalues come in pairs, the one with the positive imaginary part first; in no other order. [`crate::eigh`] is for symmetric
/// matrices. Computed on the CPU, in double precision, wherever the matrices are.
///
/// Derivatives of any order exist where the eigenvalues are distinct; those of the eigenvalues alone wherever there are n independent
/// vectors, as they are found. Near a defective matrix they grow without bound. As in PyTorch, a function of
/// vectors has a gradient only where it does not feel their phases. What comes back to the vectors in rounding errors alone feels
/// them: of the derivative of `V diag(w) V^-1`, which is A and has a constant one, there is no gradient.
///
/// ```
/// use tapegrad::{Tensor, linalg};
/// let turn = Tensor::from([[0.0, -2.0], [2.0, 0.0]]);
/// let ((re, im), (v_re, v_im)) = linalg::eig(&turn)?;
/// assert_eq!((re.to_vec(), im.to_vec()), (vec![0.0, 0.0], vec![2.0, -2.0]));
/// assert!((v_re.square() + v_im.square()).allclose(&Tensor::full([2, 2], 0.5), 1e-14, 0.0)?);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// Shape, where the matrices are not square; argument, for NaN and infinity, naming the first such matrix; not converged. In the
/// gradient argument, where the matrix is defective, where eigenvalues are equal and the function depends on their
/// vectors, and where it depends on the phase of a complex vector.
#[doc(alias = "eigenvectors")]
#[track_caller]
pub fn eig<T: Float>(a: &Tensor<T>) -> Result<(Pair<T>, Pair<T>)> {
    body_once!(
        T: Float,
        [a],
        |a: &Tensor<T>| -> Result<(Pair<T>, Pair<T>)> {
            let mut outputs = apply_many(Eig, &[a])?;
            let v = (outputs.swap_remove(2), outputs.swap_remove(2));
            Ok(((outputs.swap_remove(0), outputs.swap_remove(0)), v))
        }
    )
}

/// The eigenvalues of [`eig`], `(w_re, w_im)`. Where no gradient is asked for, the vectors are not computed.
///
/// ```
/// use tapegrad::{Tensor, linalg};
/// // The roots of x^2 - 2 x + 5, of its companion matrix.
/// let (re, im) = linalg::eigvals(&Tensor::from([[2.0, -5.0], [1.0, 0.0]]))?;
/// assert!(re.allclose(&Tensor::from([1.0, 1.0]), 1e-14, 0.0)?);
/// assert!(im.allclose(&Tensor::from([2.0, -2.0]), 1e-14, 0.0)?);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// As [`eig`].
#[doc(alias = "roots")]
#[track_caller]
pub fn eigvals<T: Float>(a: &Tensor<T>) -> Result<Pair<T>> {
    body_once!(T: Float, [a], |a: &Tensor<T>| -> Result<Pair<T>> {
        if a.is_tracked() && autograd::is_grad_enabled() {
            return Ok(eig(a).map_err(|e| e.renamed("eigvals"))?.0);
        }
        let [re, im] = kernels::eigvals("eigvals", a.array())?;
        Ok((re.into(), im.into()))
    })
}

/// T and Z of the real Schur form A = Z T Z^T of each square matrix of a batch: Z orthogonal, T upper triangular but for blocks of
/// two rows on its diagonal, which belong to pairs of complex eigenvalues and have equal diagonal elements. SciPy's `schur` gives
/// the same. They have no gradient: [`eigvals`], [`crate::matrix_sqrt`] and [`crate::matrix_log`] have.
///
/// ```
/// use tapegrad::{Tensor, linalg};
/// let a = Tensor::from([[1.0, 2.0, 0.5], [-3.0, 1.0, 1.0], [0.0, 4.0, 2.0]]);
/// let (t, z) = linalg::schur(&a)?;
/// let again = linalg::multi_dot(&[&z, &t, &z.t()?])?;
/// assert!(again.allclose(&a, 1e-13, 1e-13)?);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// Shape, where the matrices are not square; argument, for NaN and infinity, and where the gradient of the matrix is asked for; not
/// converged.
#[track_caller]
pub fn schur<T: Float>(a: &Tensor<T>) -> Result<(Tensor<T>, Tensor<T>)> {
    body_once!(T: Float, [a], |a: &Tensor<T>| -> Result<(Tensor<T>, Tensor<T>)> {
        if a.is_tracked() && autograd::is_grad_enabled() {
            let message = format!(
                "the Schur form of the matrix {:?} has no gradient: detach the matrix, or use eigvals, matrix_sqrt or matrix_log",
                a.shape()
            );
            return Err(Error::argument("schur", message));
        }
        let [t, z] = kernels::schur("schur", a.array())?;
        Ok((t.into(), z.into()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{matmul, solve};
    use autograd::{check_op, gradcheck};
    use tensor_core::ErrorKind;

    /// V diag(f(w)) V^-1, by real arithmetic of twice the size.
    fn function(a: &Tensor<f64>, f: impl Fn(&Complex<f64>) -> Complex<f64>) -> Result<Tensor<f64>> {
        let ((re, im), (v_re, v_im)) = eig(a)?;
        let v = Complex { re: v_re, im: v_im };
        let w = f(&Complex { re, im });
        let w = Complex { re: w.re.unsqueeze(-2)?, im: w.im.unsqueeze(-2)? };
        // X V = V diag(w): V^T X^T = (V diag(w))^T
        let transposed =
            |x: &Complex<f64>| -> Result<Complex<f64>> { Ok(Complex { re: x.re.mt()?, im: x.im.mt()? }) };
        let (system, sides) = transposed(&v)?.real_system(&transposed(&v.times(&w)?)?)?;
        solve(&system, &sides)?.narrow(-2, 0, a.shape()[a.ndim() - 1])?.mt()
    }

    fn exponential(w: &Complex<f64>) -> Complex<f64> {
        let size = (&w.re * 0.3).exp();
        Complex { re: &size * (&w.im * 0.3).cos(), im: &size * (&w.im * 0.3).sin() }
    }

    /// Ones where a matrix is triangular but for its last three rows.
    fn corner(n: usize) -> Result<Tensor> {
        let triangle: Tensor = Tensor::ones([n, n]).triu(0)?;
        let m = n.min(3);
        let whole = Tensor::ones([m, n]).pad([0, 0, n - m, 0], 0.0)?;
        let columns = Tensor::ones([n, m]).pad([n - m, 0], 0.0)?;
        triangle.maximum(&whole.try_mul(&columns)?)
    }

    #[test]
    fn values_without_vectors_are_the_same() -> Result<()> {
        for n in [1, 2, 3, 5, 8, 20, 61] {
            let a: Tensor = Tensor::randn([3, n, n]);
            // Of the third matrix balancing takes out rows and columns.
            let mask = Tensor::stack(
                &[&Tensor::ones([n, n]), &Tensor::ones([n, n]).triu(-1)?.tril(1)?, &corner(n)?],
                0,
            )?;
            let a = a.try_mul(&mask)?;
            let alone = eigvals(&a)?;
            let with_vectors = eig(&a)?.0;
            assert_eq!(
                (alone.0.to_vec(), alone.1.to_vec()),
                (with_vectors.0.to_vec(), with_vectors.1.to_vec())
            );
        }
        Ok(())
    }

    #[test]
    fn values_and_functions_of_matrices() -> Result<()> {
        for shape in [&[1, 1][..], &[2, 2], &[3, 3], &[4, 4], &[2, 3, 3], &[0, 0], &[0, 2, 2], &[2, 0, 0]] {
            check_op(|x| Ok(eigvals(&x[0])?.0), &[shape]).run()?;
            check_op(|x| Ok(eigvals(&x[0])?.1), &[shape]).run()?;
            let squares = |x: &[Tensor<f64>]| {
                let (_, (re, im)) = eig(&x[0])?;
                Ok(re.square() + im.square())
            };
            check_op(squares, &[shape]).run()?;
            check_op(|x| function(&x[0], exponential), &[shape])
                .reference(|x| crate::matrix_exp(&(&x[0] * 0.3)))
                .run()?;
            // Squared: what comes back from a tangent that is constant is rounding alone, whose phase is anything.
            check_op(|x| Ok(function(&x[0], Complex::clone)?.square()), &[shape])
                .reference(|x| Ok(x[0].square()))
                .run()?;
        }
        Ok(())
    }

    #[test]
    fn larger_ones() -> Result<()> {
        for n in [20, 60, 130] {
            let a: Tensor<f64> = Tensor::randn([n, n]);
            let error = (function(&a, Complex::clone)? - &a).abs().max()?.item()?;
            assert!(error < 1e-10, "{n}: {error}");
            let (t, z) = schur(&a)?;
            let again = matmul(&matmul(&z, &t)?, &z.t()?)?;
            assert!(again.allclose(&a, 1e-11, 1e-11)?);
            assert!(matmul(&z.t()?, &z)?.allclose(&Tensor::eye(n), 0.0, 1e-12)?);
            assert!(t.tril(-2)?.abs().max()?.item()? == 0.0);
        }
        Ok(())
    }

    #[test]
    fn hard_ones() -> Result<()> {
        let n = 24;
        let matrix = |f: &dyn Fn(usize, usize) -> f64| {
            Tensor::from_vec((0..n * n).map(|k| f(k / n, k % n)).collect(), [n, n])
        };
        let on = |yes: bool| if yes { 1.0 } else { 0.0 };
        let all = [
            // Cyclic, which double shifts alone leave as it is; of both triangles, far from normal, graded, of rank one.
            matrix(&|i, j| on((i + 1) % n == j))?,
            matrix(&|i, j| on(i >= j))?,
            matrix(&|i, j| on(i <= j))?,
            matrix(&|i, j| on(j >= i && j <= i + 3) - on(i == j + 1))?,
            matrix(&|i, j| 10f64.powi(-((i + j) as i32)) * (1.0 + on(i == j) + on(i > j) * 0.5))?,
            matrix(&|i, j| (i + 1) as f64 * (j + 1) as f64)?,
            matrix(&|i, j| on(i == j + 1) - on(j == i + 1))?,
            matrix(&|i, j| on(i / 2 == j / 2) * if i == j { 1.0 } else { (i as f64 - j as f64) * 2.0 })?,
            matrix(&|_, _| 0.0)?,
            matrix(&|i, j| on((i * 7 + j * 3) % 5 == 0) * ((i * j) as f64).sin() * 1e-160)?,
        ];
        for (k, a) in all.iter().enumerate() {
            let ((re, im), (v_re, v_im)) = eig(a)?;
            let (w, v) =
                (Complex { re: re.unsqueeze(-2)?, im: im.unsqueeze(-2)? }, Complex { re: v_re, im: v_im });
            let size = a.abs().max()?.item()?;
            let product = Complex { re: matmul(a, &v.re)?, im: matmul(a, &v.im)? };
            let rest = product.minus(&v.times(&w)?)?;
            let error = (rest.re.abs() + rest.im.abs()).max()?.item()?;
            assert!(error <= 1e-13 * n as f64 * size, "matrix {k}: {error}");
            let lengths = (v.re.square() + v.im.square()).sum_dim(-2, false)?;
            assert!(lengths.allclose(&Tensor::ones([n]), 1e-13, 0.0)?, "matrix {k}");
            let (t, z) = schur(a)?;
            let error = (matmul(&matmul(&z, &t)?, &z.t()?)? - a).abs().max()?.item()?;
            assert!(error <= 1e-13 * n as f64 * size, "matrix {k}: {error}");
        }
        Ok(())
    }

    #[test]
    fn at_the_ends_of_the_range() -> Result<()> {
        let a = Tensor::from([[1.0, 2.0, 3.0], [4.0, -5.0, 6.0], [-7.0, 8.0, 10.0]]);
        let ((re, im), (v_re, v_im)) = eig(&a)?;
        for scale in [1e200, 1e-200, 1e300] {
            let x = (&a * scale).requires_grad();
            let ((r, i), (s, t)) = eig(&x)?;
            assert!((&r / scale).allclose(&re, 1e-13, 0.0)? && (&i / scale).allclose(&im, 1e-13, 0.0)?);
            assert!(s.allclose(&v_re, 1e-13, 1e-15)? && t.allclose(&v_im, 1e-13, 1e-15)?);
            let weights = Tensor::from([1.0, 2.0, 3.0]).unsqueeze(-1)?;
            let squares = |re: &Tensor<f64>, im: &Tensor<f64>| (re.square() + im.square()) * &weights;
            squares(&s, &t).sum().backward()?;
            let own = a.detach().requires_grad();
            let (_, (s, t)) = eig(&own)?;
            squares(&s, &t).sum().backward()?;
            let (found, known) = (x.grad().unwrap() * scale, own.grad().unwrap());
            assert!(found.allclose(&known, 1e-12, 1e-14)?, "{found} instead of {known}");
        }
        // Far from balanced: similar to (1, 2; 3, 4).
        let (re, _) = eigvals(&Tensor::from([[1.0, 2e100], [3e-100, 4.0]]))?;
        let (known, _) = eigvals(&Tensor::from([[1.0, 2.0], [3.0, 4.0]]))?;
        let sorted = |x: &Tensor<f64>| Ok::<_, Error>(x.sort(0, false)?.0);
        assert!(sorted(&re)?.allclose(&sorted(&known)?, 1e-13, 0.0)?, "{re} instead of {known}");
        // A Jordan block, whose vectors are all but the same.
        let jordan = Tensor::eye(30) + Tensor::ones([30, 30]).triu(1)?.tril(1)?;
        let ((re, im), (v_re, v_im)) = eig(&jordan)?;
        assert!(re.to_vec().iter().all(|&w| w == 1.0) && im.abs().sum().item()? == 0.0);
        assert!((v_re.square() + v_im.square()).sum_dim(-2, false)?.allclose(
            &Tensor::ones([30]),
            1e-12,
            0.0
        )?);
        Ok(())
    }

    #[test]
    fn where_there_is_no_gradient() -> Result<()> {
        let kind = |e: Error| (e.kind(), e.op());
        let jordan = Tensor::from([[1.0, 1.0], [0.0, 1.0]]).requires_grad();
        let e = eigvals(&jordan)?.0.square().sum().backward().unwrap_err();
        assert_eq!(kind(e), (ErrorKind::Argument, "eig"));
        // Equal eigenvalues of an ordinary matrix: their sum is known, a vector of theirs is not.
        let same = Tensor::eye(2).requires_grad();
        eigvals(&same)?.0.sum().backward()?;
        assert_eq!(same.grad().unwrap().to_vec(), [1.0, 0.0, 0.0, 1.0]);
        let first = eig(&same)?.1.0.select(-1, 0)?;
        let e = crate::dot(&first, &Tensor::from([1.0, 2.0]))?.backward().unwrap_err();
        assert_eq!(kind(e), (ErrorKind::Argument, "eig"));
        // A real part depends on the phase.
        let turn = Tensor::from([[1.0, -2.0], [3.0, 1.5]]).requires_grad();
        let e = eig(&turn)?.1.0.select(-1, 0)?.sum().backward().unwrap_err();
        assert_eq!(kind(e), (ErrorKind::Argument, "eig"));
        assert_eq!(kind(schur(&turn).unwrap_err()), (ErrorKind::Argument, "schur"));
        let nan = Tensor::from([[f64::NAN]]);
        assert_eq!(kind(eigvals(&nan).unwrap_err()), (ErrorKind::Argument, "eigvals"));
        assert_eq!(kind(eig(&Tensor::ones([2, 3])).unwrap_err()), (ErrorKind::Shape, "eig"));
        // Defective only to rounding.
        gradcheck(|x| eigvals(&x[0])?.0.sum().reshape(()), &[Tensor::from([[1.0, 1.0], [1e-4, 1.0]])])?;
        Ok(())
    }

    #[test]
    fn single_precision() -> Result<()> {
        let a: Tensor<f64> = Tensor::randn([5, 5]);
        let a = a.cast::<f32>();
        let (single, double) = (eig(&a)?, eig(&a.cast::<f64>())?);
        assert!(single.0.0.cast::<f64>().allclose(&double.0.0, 1e-6, 1e-6)?);
        assert!(single.1.1.cast::<f64>().allclose(&double.1.1, 1e-6, 1e-6)?);
        Ok(())
    }
}
