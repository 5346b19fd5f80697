//! The determinant, with a gradient that is right at singular matrices too.

use crate::product::{matmul, mm};
use crate::solve::{Solve, solve};
use autograd::{GradOptions, Keep, Kept, Op, Tensor, apply, apply_once, body_once, enable_grad, grad_with};
use tensor_core::kernels::{self, Lu};
use tensor_core::{Array, AtCaller, Element, Float, Result, memory};

/// d = det A
struct Det<T: Element> {
    lu: Lu<T>,
}

/// Ratio of the smallest to the largest pivot below which A^-1 is not trusted.
const NEARLY_SINGULAR: f64 = 1e-4;

/// Ratio to the largest singular value below which one counts as small. Far above
/// [`NEARLY_SINGULAR`], so that the block of the others is never nearly singular itself.
const SMALL: f64 = 1e-2;

impl<T: Float> Op<T, 1> for Det<T> {
    fn name(&self) -> &'static str {
        "det"
    }
    fn forward(&self, _: [&Array<T>; 1]) -> Result<Array<T>> {
        self.lu.det("det")
    }
    fn keep(&self, _: [bool; 1]) -> Keep<1> {
        Keep { inputs: [true], output: true }
    }
    fn holds(&self) -> usize {
        self.lu.bytes()
    }
    /// The cofactor matrix times grad: grad d A^-T (Giles 2008, 2.2.4). Near a singular matrix that is 0 times
    /// infinity: there the cofactors have a kernel in first order, where the matrices are small, and else the
    /// determinant is differentiated in the form of [`det_by_blocks`].
    ///
    /// Which of these is used, each matrix tells for itself.
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 1]> {
        let a = kept.input(0);
        let known = match kept.create_graph() {
            true => None,
            false => kernels::cofactors("det", a.array(), g.array())?,
        };
        if let Some((whole, unknown)) = &known
            && unknown.is_empty()
        {
            return Ok([Some(whole.clone().into())]);
        }
        let unknown = known.as_ref().map(|(_, unknown)| &unknown[..]);
        let slopes = self.slopes(&a, &kept.output(0), &g, unknown, kept.create_graph())?;
        let Some((whole, unknown)) = known else { return Ok([Some(slopes)]) };
        let places = places(&a, &unknown)?;
        let some = flat(&slopes)?.index_select(0, &places)?;
        let whole = flat(&whole.into())?.index_put(&places, &some, false)?;
        Ok([Some(whole.reshape(a.shape())?)])
    }
}

/// The matrices in one dimension.
fn flat<T: Float>(a: &Tensor<T>) -> Result<Tensor<T>> {
    let n = a.shape()[a.ndim() - 1] as isize;
    a.reshape([-1, n, n])
}

/// The numbers of some matrices, where those are.
fn places<T: Float>(a: &Tensor<T>, numbers: &[usize]) -> Result<Tensor<i64>> {
    Tensor::from(memory::collect("det", numbers.iter().map(|&i| i as i64))?).to_device(&a.device())
}

impl<T: Float> Det<T> {
    /// The cofactors of each matrix, of determinants `d`, times a number each; `some` tells which are needed, if not all.
    fn slopes(
        &self,
        a: &Tensor<T>,
        d: &Tensor<T>,
        g: &Tensor<T>,
        some: Option<&[usize]>,
        create_graph: bool,
    ) -> Result<Tensor<T>> {
        // What holds NaN or infinity has NaN.
        let regular = |lu: Lu<T>, a: &Tensor<T>| -> Result<Tensor<T>> {
            let identity = Tensor::eye_on(&a.device(), a.shape()[a.ndim() - 1])?.expand(a.shape())?;
            let inverse = apply(Solve { lu, transposed: true, lenient: true }, [a, &identity])?;
            inverse.try_mul(&g.try_mul(d)?.unsqueeze(-1)?.unsqueeze(-1)?)
        };
        let mut near = self.lu.nearly_singular("det", NEARLY_SINGULAR)?;
        near.retain(|i| some.is_none_or(|some| some.binary_search(i).is_ok()));
        if near.is_empty() {
            return regular(self.lu.clone(), a);
        }
        // Those matrices one by one, and the identity in their place among the others.
        let (places, matrices, g) = (places(a, &near)?, flat(a)?, g.flatten());
        let answers = near.iter().map(|&i| {
            // In first order the matrix is a constant and becomes a leaf of this inner graph.
            let a = matrices.row(i as isize)?.requires_grad();
            let d = enable_grad(|| det_by_blocks(&a))?;
            let options =
                GradOptions { create_graph, cotangent: Some(g.row(i as isize)?), ..Default::default() };
            Ok(grad_with(&d, [&a], options)?.swap_remove(0).unwrap_or_else(|| a.zeros_like()))
        });
        let answers: Vec<Tensor<T>> = answers.collect::<Result<_>>()?;
        let answers = Tensor::stack(&answers.iter().collect::<Vec<_>>(), 0)?;
        let identity = Tensor::eye_on(&a.device(), a.shape()[a.ndim() - 1])?.expand(answers.shape())?;
        let others = matrices.index_put(&places, &identity, false)?.reshape(a.shape())?;
        let others = regular(kernels::lu("det", others.array())?, &others)?;
        flat(&others)?.index_put(&places, &answers, false)?.reshape(a.shape())
    }
}

/// The determinant in a form that has all derivatives at every rank.
///
/// With A = U S V^T held at this point, B(A) = U^T A V is S here, and a function of A with U and V
/// constant. Cut after the r singular values that are not small,
/// `det A = det U det V det B11 det(B22 - B21 B11^-1 B12)`: B11 is well conditioned, and the Schur
/// complement, which is small, enters through a polynomial.
fn det_by_blocks<T: Float>(a: &Tensor<T>) -> Result<Tensor<T>> {
    let [u, s, vt] = kernels::svd("det", a.array())?;
    let s = s.to_vec();
    let n = s.len();
    let small = s.first().map_or(T::ZERO, |&largest| largest * T::of(SMALL));
    let r = s.iter().take_while(|&&x| x > small).count();
    let of =
        |orthogonal: &Array<T>| -> Result<T> { Ok(kernels::lu("det", orthogonal)?.det("det")?.to_vec()[0]) };
    let sign = of(&u)? * of(&vt)?;
    let b = mm(&mm(&Tensor::from(u).t()?, a)?, &Tensor::from(vt).t()?)?;
    let block = |row: usize, column: usize, rows: usize, columns: usize| {
        b.narrow(0, row as isize, rows)?.narrow(1, column as isize, columns)
    };
    let rest = n - r;
    let (b11, b12) = (block(0, 0, r, r)?, block(0, r, r, rest)?);
    let (b21, b22) = (block(r, 0, rest, r)?, block(r, r, rest, rest)?);
    let schur = &b22 - &mm(&b21, &solve(&b11, &b12)?)?;
    Ok(det(&b11)?.try_mul(&det_polynomial(&schur)?)? * sign)
}

/// The determinant without division by an element: the Faddeev-LeVerrier recursion
/// M_1 = I, c_k = -tr(S M_k) / k, M_(k+1) = S M_k + c_k I, det S = (-1)^n c_n
/// (Gantmacher, The Theory of Matrices I, chapter IV, section 5).
fn det_polynomial<T: Float>(s: &Tensor<T>) -> Result<Tensor<T>> {
    let n = s.shape()[0];
    let identity = Tensor::eye_on(&s.device(), n)?;
    let mut m = identity.clone();
    let mut c = Tensor::scalar(T::ONE);
    for k in 1..=n {
        let product = matmul(s, &m)?;
        c = product.try_mul(&identity)?.sum() * T::of(-1.0 / k as f64);
        m = product.try_add(&identity.try_mul(&c)?)?;
    }
    Ok(if n.is_multiple_of(2) { c } else { -c })
}

/// The determinant of each square matrix of a batch, by LU with partial pivoting.
///
/// The gradient is the cofactor matrix at every rank, and so are the derivatives of higher order
/// those of the polynomial that the determinant is.
///
/// ```
/// use tapegrad::{Tensor, linalg};
/// let a: Tensor = Tensor::from([[1.0, 2.0], [2.0, 4.0]]).requires_grad();
/// let d = linalg::det(&a)?;
/// d.backward()?;
/// let g = a.grad().unwrap();
/// assert_eq!(d.item()?, 0.0);
/// for (g, cofactor) in g.to_vec().iter().zip([4.0, -2.0, -2.0, 1.0]) {
///     assert!((g - cofactor).abs() < 1e-12);
/// }
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// Shape, where the matrices are not square. NaN and infinity are no errors here, as they are where a matrix has to be
/// solved with: they spread into the determinant and its gradient, of that matrix alone.
#[doc(alias = "determinant")]
#[track_caller]
pub fn det<T: Float>(a: &Tensor<T>) -> Result<Tensor<T>> {
    let lu = kernels::lu("det", a.array()).at_caller()?;
    apply_once!(T: Float, Det { lu } => Det<T>, [a])
}

/// l = log |det A|
struct LogAbs<T: Element> {
    lu: Lu<T>,
}

impl<T: Float> Op<T, 1> for LogAbs<T> {
    fn name(&self) -> &'static str {
        "slogdet"
    }
    fn forward(&self, _: [&Array<T>; 1]) -> Result<Array<T>> {
        Ok(self.lu.slogdet("slogdet")?.1)
    }
    fn keep(&self, _: [bool; 1]) -> Keep<1> {
        Keep::inputs([true])
    }
    fn holds(&self) -> usize {
        self.lu.bytes()
    }
    /// grad A^-T, infinite or NaN for a singular matrix
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 1]> {
        let a = kept.input(0);
        let identity = Tensor::eye_on(&a.device(), a.shape()[a.ndim() - 1])?.expand(a.shape())?;
        let inverse = apply(Solve { lu: self.lu.clone(), transposed: true, lenient: true }, [&a, &identity])?;
        Ok([Some(inverse.try_mul(&g.unsqueeze(-1)?.unsqueeze(-1)?)?)])
    }
}

/// The sign of the determinant of each square matrix of a batch, which is not differentiable, and
/// the logarithm of its absolute value: 0 and minus infinity for a singular matrix.
///
/// ```
/// use tapegrad::{Tensor, linalg};
/// let a: Tensor = Tensor::from([[0.0, 2.0], [3.0, 0.0]]);
/// let (sign, log) = linalg::slogdet(&a)?;
/// assert_eq!(sign.item()?, -1.0);
/// assert!((log.item()? - 6f64.ln()).abs() < 1e-15);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// Shape, where the matrices are not square. NaN and infinity spread into the result, as with [`det`].
#[track_caller]
pub fn slogdet<T: Float>(a: &Tensor<T>) -> Result<(Tensor<T>, Tensor<T>)> {
    body_once!(T: Float, [a], |a: &Tensor<T>| -> Result<(Tensor<T>, Tensor<T>)> {
        let lu = kernels::lu("slogdet", a.array())?;
        let (sign, _) = lu.slogdet("slogdet")?;
        Ok((sign.into(), apply(LogAbs { lu }, [a])?))
    })
}

/// The logarithm of the determinant of each square matrix of a batch: NaN where it is negative.
///
/// ```
/// use tapegrad::Tensor;
/// use tapegrad::linalg::logdet;
/// assert_eq!(logdet(&Tensor::eye(3))?.item()?, 0.0);
/// assert!(logdet(&Tensor::from([[0.0, 1.0], [1.0, 0.0]]))?.isnan().all());
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// As [`slogdet`].
#[track_caller]
pub fn logdet<T: Float>(a: &Tensor<T>) -> Result<Tensor<T>> {
    body_once!(T: Float, [a], |a: &Tensor<T>| -> Result<Tensor<T>> {
        let (sign, log) = slogdet(a).map_err(|e| e.renamed("logdet"))?;
        sign.lt(T::ZERO)?.where_cond(Tensor::scalar(T::NAN), &log)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use autograd::{check_op, gradcheck, gradgradcheck};

    #[test]
    fn determinants() -> Result<()> {
        let two = |x: &[Tensor<f64>]| {
            let at = |i, j| x[0].select(-2, i)?.select(-1, j);
            Ok(at(0, 0)? * at(1, 1)? - at(0, 1)? * at(1, 0)?)
        };
        check_op(|x| det(&x[0]), &[&[2, 2]]).reference(two).single(|x| det(&x[0])).run()?;
        check_op(|x| det(&x[0]), &[&[3, 2, 2]]).reference(two).run()?;
        for shape in [&[0, 0][..], &[1, 1], &[4, 4], &[2, 3, 3], &[0, 3, 3]] {
            check_op(|x| det(&x[0]), &[shape]).run()?;
        }
        Ok(())
    }

    #[test]
    fn logarithms() -> Result<()> {
        check_op(|x| Ok(slogdet(&x[0])?.1), &[&[2, 3, 3]])
            .reference(|x| Ok(det(&x[0])?.abs().log()))
            .run()?;
        let a: Tensor = Tensor::from([[0.0, 1.0], [1.0, 0.0]]);
        assert!(logdet(&a)?.item()?.is_nan());
        let (sign, log) = slogdet(&Tensor::ones([2, 2]))?;
        assert_eq!((sign.item()?, log.item()?), (0.0, f64::NEG_INFINITY));
        let a = Tensor::ones([2, 2]).requires_grad();
        slogdet(&a)?.1.backward()?;
        assert!(a.grad().is_some_and(|g| g.to_vec().iter().all(|g| !g.is_finite())));
        Ok(())
    }

    #[test]
    fn derivatives_are_those_of_the_polynomial_at_every_rank() -> Result<()> {
        let diagonal = |d: &[f64]| Tensor::eye(d.len()) * Tensor::from(d.to_vec());
        let rank_one = Tensor::from([[1.0], [2.0], [-1.0]]) * Tensor::from([[3.0, 0.5, 2.0]]);
        let cases = [
            diagonal(&[1.0, 2.0, 0.0]),
            diagonal(&[1.0, 0.0, 0.0]),
            diagonal(&[0.0, 0.0, 0.0]),
            diagonal(&[1.0, 2.0, 3.0, 0.0]),
            diagonal(&[1.0, 2.0, 1e-9]),
            diagonal(&[0.0]),
            diagonal(&[1.0182, f64::from_bits((1.0182f64 * NEARLY_SINGULAR).to_bits() + 1)]),
            diagonal(&[1.0, SMALL, NEARLY_SINGULAR]),
            Tensor::from([[1.0, 2.0], [2.0, 4.0]]),
            rank_one.clone(),
            Tensor::stack(&[&rank_one, &diagonal(&[1.0, 2.0, 3.0])], 0)?,
        ];
        for a in cases {
            gradcheck(|x| det(&x[0]), std::slice::from_ref(&a))?;
            gradgradcheck(|x| det(&x[0]), &[a])?;
        }
        Ok(())
    }
}
