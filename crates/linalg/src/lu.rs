//! The LU factorisation as a triple of matrices.

use crate::product::matmul;
use crate::solve::{System, system};
use crate::triangular::{Triangle, solve_triangular, triangular};
use autograd::{KeepMany, Kept, OpMany, Tensor, apply_many, arange_on, body_once, is_grad_enabled};
use tensor_core::{Array, AtCaller, Element, Float, Result, kernels};

/// L and U of A = L U for square matrices whose rows are in the order of their pivots
struct Factors<T: Element> {
    /// U, and L below it without its diagonal.
    whole: Array<T>,
}

impl<T: Float> OpMany<T> for Factors<T> {
    fn name(&self) -> &'static str {
        "lu"
    }
    fn forward(&self, _: &[&Array<T>]) -> Result<Vec<Array<T>>> {
        let whole = Tensor::from(self.whole.clone());
        let n = whole.shape()[whole.ndim() - 1];
        let l = whole.tril(-1)?.try_add(&Tensor::eye_on(&whole.device(), n)?)?;
        Ok(vec![l.array().clone(), whole.triu(0)?.array().clone()])
    }
    fn keep(&self, _: &[bool]) -> KeepMany {
        KeepMany { inputs: Vec::new(), outputs: vec![true; 2] }
    }
    fn holds(&self) -> usize {
        self.whole.allocation().1
    }
    /// L^-T (tril_(-1)(L^T grad_L) + triu(grad_U U^T)) U^-T (de Hoog, Anderssen and Lukas, "Differentiation of
    /// matrix functionals using triangular factorization", Math. Comp. 80, 2011)
    fn vjp(&self, kept: &Kept<'_, T>, g: Vec<Option<Tensor<T>>>) -> Result<Vec<Option<Tensor<T>>>> {
        let (l, u) = (kept.output(0), kept.output(1));
        let mut inner = None;
        if let Some(g) = &g[0] {
            inner = Some(matmul(&l.mt()?, g)?.tril(-1)?);
        }
        if let Some(g) = &g[1] {
            let upper = matmul(g, &u.mt()?)?.triu(0)?;
            inner = Some(match inner {
                Some(lower) => lower + upper,
                None => upper,
            });
        }
        let Some(inner) = inner else { return Ok(vec![None]) };
        let left = triangular(&l, &inner, false, true)?;
        // X U^-T is the transpose of U^-1 X^T.
        Ok(vec![Some(triangular(&u, &left.mt()?, true, false)?.mt()?)])
    }
}

/// A = P L U for each matrix [m, n] of a batch, by partial pivoting: a permutation [m, m], L [m, k] lower triangular
/// with ones on its diagonal and U [k, n] upper triangular, k = min(m, n). A matrix whose columns depend on each
/// other has a zero on the diagonal of U. The gradient is that of changes which do not change the pivots.
///
/// ```
/// use tapegrad::{Tensor, linalg};
/// let (p, l, u) = linalg::lu(&Tensor::from([[1.0, 3.0], [2.0, 4.0]]))?;
/// assert_eq!(p.to_vec(), [0.0, 1.0, 1.0, 0.0]);
/// assert_eq!(l.to_vec(), [1.0, 0.0, 0.5, 1.0]);
/// assert_eq!(u.to_vec(), [2.0, 4.0, 0.0, 1.0]);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// Shape, below two dimensions; argument, for NaN and infinity; singular, where a pivot is zero, in the gradient, and for a tracked matrix with more
/// rows than columns.
#[track_caller]
pub fn lu<T: Float>(a: &Tensor<T>) -> Result<(Tensor<T>, Tensor<T>, Tensor<T>)> {
    body_once!(T: Float, [a], |a: &Tensor<T>| -> Result<(Tensor<T>, Tensor<T>, Tensor<T>)> {
        factor(a).called("lu")
    })
}

fn factor<T: Float>(a: &Tensor<T>) -> Result<(Tensor<T>, Tensor<T>, Tensor<T>)> {
    let (whole, order) = kernels::lu_factors("lu", a.array())?;
    let whole = Tensor::from(whole);
    let (m, n) = (a.shape()[a.ndim() - 2], a.shape()[a.ndim() - 1]);
    let k = m.min(n);
    // Row i of L U is row order_i of A, so column i of P is that of the identity.
    let order = Tensor::from(order);
    let rows = arange_on(&a.device(), 0, m as i64, 1)?.unsqueeze(-1)?;
    let p = rows.eq(&order.unsqueeze(-2)?)?.to_type::<T>();
    let ordered = a.gather(-2, &order.unsqueeze(-1)?.expand(a.shape())?)?;
    let part = |t: &Tensor<T>, dim, from: usize, to: usize| t.narrow(dim, from as isize, to - from);
    let square = part(&part(&ordered, -2, 0, k)?, -1, 0, k)?;
    let above = part(&whole, -2, 0, k)?;
    let mut factors = apply_many(Factors { whole: above.array().clone() }, &[&square])?;
    let (mut u, mut l) = (factors.swap_remove(1), factors.swap_remove(0));
    if m > k {
        // L2 U = A2, which is what the factors hold, too.
        let below = if a.is_tracked() && is_grad_enabled() {
            triangular(&u, &part(&ordered, -2, k, m)?.mt()?, true, true)?.mt()?
        } else {
            part(&whole, -2, k, m)?
        };
        l = Tensor::cat(&[&l, &below], -2)?;
    }
    if n > k {
        // L U2 = A2
        let beside = part(&ordered, -1, k, n)?;
        u = Tensor::cat(&[&u, &triangular(&l, &beside, false, false)?], -1)?;
    }
    Ok((p, l, u))
}

/// The solution X of A X = B from the factors that [`lu`] gave: U^-1 L^-1 P^T B. B is a batch of matrices or of
/// vectors, as for [`crate::solve`].
///
/// ```
/// use tapegrad::{Tensor, linalg};
/// let (p, l, u) = linalg::lu(&Tensor::from([[1.0, 3.0], [2.0, 4.0]]))?;
/// assert_eq!(linalg::lu_solve(&p, &l, &u, &Tensor::from([4.0, 6.0]))?.to_vec(), [1.0, 1.0]);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// Shape, where the operands do not fit; argument, for NaN and infinity in the factors; singular, for a U with a zero on
/// its diagonal.
#[track_caller]
pub fn lu_solve<T: Float>(p: &Tensor<T>, l: &Tensor<T>, u: &Tensor<T>, b: &Tensor<T>) -> Result<Tensor<T>> {
    body_once!(
        T: Float,
        [p, l, u, b],
        |p: &Tensor<T>, l: &Tensor<T>, u: &Tensor<T>, b: &Tensor<T>| -> Result<Tensor<T>> {
            let System { a: p, b, vectors } = system("lu_solve", p, b)?;
            let run = || {
                let y = solve_triangular(l, &matmul(&p.mt()?, &b)?, Triangle { upper: false, unit: true })?;
                solve_triangular(u, &y, Triangle::UPPER)
            };
            let x = run().called("lu_solve")?;
            if vectors { x.squeeze(-1) } else { Ok(x) }
        }
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use autograd::check_op;
    use tensor_core::ErrorKind;

    #[test]
    fn factors_and_systems() -> Result<()> {
        for shape in
            [&[1, 1][..], &[4, 4], &[2, 3, 3], &[5, 3, 3], &[0, 0], &[0, 2, 2], &[5, 3], &[2, 3, 5], &[3, 0]]
        {
            check_op(|x| Ok(lu(&x[0])?.1), &[shape]).run()?;
            check_op(|x| Ok(lu(&x[0])?.2), &[shape]).run()?;
            let product = |x: &[Tensor<f64>]| {
                let (p, l, u) = lu(&x[0])?;
                matmul(&p, &matmul(&l, &u)?)
            };
            check_op(product, &[shape]).reference(|x| Ok(x[0].clone())).run()?;
        }
        let shapes: [[&[usize]; 2]; 3] = [[&[3, 3], &[3]], [&[2, 3, 3], &[2, 3]], [&[2, 3, 3], &[3, 2]]];
        for s in shapes {
            let f = |x: &[Tensor<f64>]| {
                let (p, l, u) = lu(&(&x[0] + Tensor::eye_on(&x[0].device(), 3)? * 4.0))?;
                lu_solve(&p, &l, &u, &x[1])
            };
            check_op(f, &s).reference(|x| crate::solve(&(&x[0] + Tensor::eye(3) * 4.0), &x[1])).run()?;
        }
        for shape in [[200, 70], [70, 200], [100, 100]] {
            let a = Tensor::randn(shape);
            let (p, l, u) = lu(&a)?;
            assert!(matmul(&p, &matmul(&l, &u)?)?.allclose(&a, 1e-11, 1e-12)?);
            assert!(l.abs().le(1.0)?.all());
        }
        assert_eq!(lu(&Tensor::ones([3])).unwrap_err().kind(), ErrorKind::Shape);
        for shape in [[3, 3], [4, 2]] {
            let (p, l, u) = lu(&Tensor::ones(shape))?;
            assert_eq!(u.select(-1, 1)?.to_vec()[1], 0.0);
            assert_eq!(matmul(&p, &matmul(&l, &u)?)?.to_vec(), vec![1.0; shape[0] * shape[1]]);
        }
        let e = lu(&Tensor::ones([4, 2]).requires_grad()).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Singular { batch: 0 });
        Ok(())
    }
}
