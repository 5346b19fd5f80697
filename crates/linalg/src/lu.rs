//! The LU factorisation as a triple of matrices.

use crate::product::matmul;
use crate::solve::{System, system};
use crate::triangular::{Triangle, solve_triangular, triangular};
use autograd::{KeepMany, KeptMany, OpMany, Tensor, apply_many};
use std::panic::Location;
use tensor_core::{Array, Element, Float, Result, kernels};

/// L and U of A = P L U
struct Factors<T: Element> {
    /// U, and L below it without its diagonal.
    whole: Array<T>,
    p: Tensor<T>,
}

impl<T: Float> OpMany<T> for Factors<T> {
    fn name(&self) -> &'static str {
        "lu"
    }
    fn forward(&self, _: &[&Array<T>]) -> Result<Vec<Array<T>>> {
        let whole = Tensor::from(self.whole.clone());
        let n = whole.shape()[whole.ndim() - 1];
        let l = whole.tril(-1)?.try_add(&Tensor::eye_of(n))?;
        Ok(vec![l.array().clone(), whole.triu(0)?.array().clone()])
    }
    fn keep(&self, _: &[bool]) -> KeepMany {
        KeepMany { inputs: Vec::new(), outputs: vec![true; 2] }
    }
    fn holds(&self) -> usize {
        self.whole.allocation().1 + self.p.array().allocation().1
    }
    /// P L^-T (tril_(-1)(L^T grad_L) + triu(grad_U U^T)) U^-T (de Hoog, Anderssen and Lukas, "Differentiation of
    /// matrix functionals using triangular factorization", Math. Comp. 80, 2011)
    fn vjp(&self, kept: &KeptMany<'_, T>, g: Vec<Option<Tensor<T>>>) -> Result<Vec<Option<Tensor<T>>>> {
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
        let whole = triangular(&u, &left.mt()?, true, false)?.mt()?;
        Ok(vec![Some(matmul(&self.p, &whole)?)])
    }
}

/// A = P L U for each square matrix of a batch, by partial pivoting: a permutation, a lower triangle with ones
/// on its diagonal, and an upper one. A singular matrix has a zero on the diagonal of U. The gradient is that
/// of changes which do not change the pivots.
///
/// ```
/// use autograd::Tensor;
/// let (p, l, u) = linalg::lu(&Tensor::from([[1.0, 3.0], [2.0, 4.0]]))?;
/// assert_eq!(p.to_vec(), [0.0, 1.0, 1.0, 0.0]);
/// assert_eq!(l.to_vec(), [1.0, 0.0, 0.5, 1.0]);
/// assert_eq!(u.to_vec(), [2.0, 4.0, 0.0, 1.0]);
/// # Ok::<(), tensor_core::Error>(())
/// ```
///
/// # Errors
/// Shape, where the matrices are not square; in the gradient singular, where a pivot is zero.
#[track_caller]
pub fn lu<T: Float>(a: &Tensor<T>) -> Result<(Tensor<T>, Tensor<T>, Tensor<T>)> {
    let here = Location::caller();
    let (whole, order) =
        kernels::lu("lu", a.array()).and_then(|lu| lu.unpack("lu")).map_err(|e| e.at(here))?;
    // Row i of L U is row order_i of A, so column i of P is that of the identity.
    let n = a.shape()[a.ndim() - 1];
    let rows = Tensor::from(order).unsqueeze(-2)?;
    let p = Tensor::from((0..n as i64).collect::<Vec<_>>()).unsqueeze(-1)?.eq(&rows)?.to_type::<T>();
    let mut factors = apply_many(Factors { whole, p: p.clone() }, &[a])?;
    let u = factors.swap_remove(1);
    Ok((p, factors.swap_remove(0), u))
}

/// The solution X of A X = B from the factors that [`lu`] gave: U^-1 L^-1 P^T B. B is a batch of matrices or of
/// vectors, as for [`crate::solve`].
///
/// ```
/// use autograd::Tensor;
/// let (p, l, u) = linalg::lu(&Tensor::from([[1.0, 3.0], [2.0, 4.0]]))?;
/// assert_eq!(linalg::lu_solve(&p, &l, &u, &Tensor::from([4.0, 6.0]))?.to_vec(), [1.0, 1.0]);
/// # Ok::<(), tensor_core::Error>(())
/// ```
///
/// # Errors
/// Shape, where the operands do not fit; singular, for a U with a zero on its diagonal.
#[track_caller]
pub fn lu_solve<T: Float>(p: &Tensor<T>, l: &Tensor<T>, u: &Tensor<T>, b: &Tensor<T>) -> Result<Tensor<T>> {
    let here = Location::caller();
    let System { a: p, b, vectors } = system("lu_solve", p, b).map_err(|e| e.at(here))?;
    let run = || {
        let y = solve_triangular(l, &matmul(&p.mt()?, &b)?, Triangle { upper: false, unit: true })?;
        solve_triangular(u, &y, Triangle::UPPER)
    };
    let x = run().map_err(|e| e.at(here))?;
    if vectors { x.squeeze(-1) } else { Ok(x) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use autograd::check_op;
    use tensor_core::ErrorKind;

    #[test]
    fn factors_and_systems() -> Result<()> {
        for shape in [&[1, 1][..], &[4, 4], &[2, 3, 3], &[5, 3, 3], &[0, 0], &[0, 2, 2]] {
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
                let (p, l, u) = lu(&(&x[0] + Tensor::eye(3) * 4.0))?;
                lu_solve(&p, &l, &u, &x[1])
            };
            check_op(f, &s).reference(|x| crate::solve(&(&x[0] + Tensor::eye(3) * 4.0), &x[1])).run()?;
        }
        assert_eq!(lu(&Tensor::ones([2, 3])).unwrap_err().kind(), ErrorKind::Shape);
        Ok(())
    }
}
