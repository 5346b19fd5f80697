//! Systems of linear equations.

use crate::product::matmul;
use autograd::{Keep, Kept, Op, Tensor, apply, body_once};
use tensor_core::kernels::{self, Lu};
use tensor_core::shape::broadcast;
use tensor_core::{Array, Element, Error, Float, Result};

/// X = A^-1 B, or A^-T B where transposed.
///
/// The factors stand for the value of A and nothing else: what the rule differentiates is A itself,
/// an input.
pub(crate) struct Solve<T: Element> {
    pub lu: Lu<T>,
    pub transposed: bool,
    /// Whether a singular matrix, or one that is not finite, gives infinities and NaN, and is no error.
    pub lenient: bool,
}

impl<T: Float> Op<T, 2> for Solve<T> {
    fn name(&self) -> &'static str {
        "solve"
    }
    fn forward(&self, [a, b]: [&Array<T>; 2]) -> Result<Array<T>> {
        match self.lu.solve("solve", b, self.transposed)? {
            (_, Some(flaw)) if !self.lenient => Err(flaw.error("solve", a.shape())),
            (x, _) => Ok(x),
        }
    }
    fn keep(&self, [a, _]: [bool; 2]) -> Keep<2> {
        Keep { inputs: [true, false], output: a }
    }
    fn holds(&self) -> usize {
        self.lu.bytes()
    }
    /// B: A^-T grad =: H; A: -H X^T, or its transpose -X H^T for A^T X = B (Giles 2008, 2.3.1)
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 2]> {
        let back = Solve { lu: self.lu.clone(), transposed: !self.transposed, lenient: self.lenient };
        let h = apply(back, [&kept.input(0), &g])?;
        let a = kept.wrt(0, || {
            let x = kept.output(0);
            let (left, right) = if self.transposed { (&x, &h) } else { (&h, &x) };
            Ok(-matmul(left, &right.mt()?)?)
        })?;
        Ok([a, kept.wrt(1, || Ok(h))?])
    }
}

/// The operands of a linear system, brought to one batch.
pub(crate) struct System<T: Float> {
    pub a: Tensor<T>,
    /// [.., n, k]
    pub b: Tensor<T>,
    /// Whether the right-hand sides were vectors.
    pub vectors: bool,
}

/// Whether the right-hand sides `b` of matrices `a` are vectors. PyTorch's rule: these are meant by one dimension,
/// or by the shape of A without its last.
pub(crate) fn are_vectors<T: Float>(a: &Tensor<T>, b: &Tensor<T>) -> bool {
    b.ndim() == 1 || (b.ndim() + 1 == a.ndim() && *b.shape() == a.shape()[..a.ndim() - 1])
}

/// Square matrices and right-hand sides, matrices or vectors, over leading dimensions that broadcast.
pub(crate) fn system<T: Float>(op: &'static str, a: &Tensor<T>, b: &Tensor<T>) -> Result<System<T>> {
    let vectors = are_vectors(a, b);
    let b = if vectors { b.unsqueeze(-1)? } else { b.clone() };
    let fits = matches!((a.shape(), b.shape()), ([.., m, n], [.., k, _]) if m == n && n == k);
    if !fits {
        let message = format!(
            "matrices {:?} and right-hand sides {:?} do not fit: square matrices and as many rows are needed",
            a.shape(),
            b.shape()
        );
        return Err(Error::shape(op, message));
    }
    let [a, b] = one_batch(op, a, &b)?;
    Ok(System { a, b, vectors })
}

/// The matrices `a` and `b` over leading dimensions that broadcast.
pub(crate) fn one_batch<T: Float>(op: &'static str, a: &Tensor<T>, b: &Tensor<T>) -> Result<[Tensor<T>; 2]> {
    let batch = broadcast(op, &a.shape()[..a.ndim() - 2], &b.shape()[..b.ndim() - 2])?;
    let stretched = |t: &Tensor<T>| {
        let tail = &t.shape()[t.ndim() - 2..];
        t.expand(batch.iter().chain(tail).copied().collect::<Vec<usize>>())
    };
    Ok([stretched(a)?, stretched(b)?])
}

/// The solution X of A X = B for each square matrix of a batch, by LU with partial pivoting.
///
/// B is a batch of matrices [.., n, k] or, where it has one dimension less than A, of vectors
/// [.., n]; leading dimensions broadcast.
///
/// ```
/// use tapegrad::{Tensor, linalg};
/// let a = Tensor::from([[2.0, 0.0], [0.0, 4.0]]);
/// let b = Tensor::from([2.0, 2.0]);
/// assert_eq!(linalg::solve(&a, &b)?.to_vec(), [1.0, 0.5]);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// Shape, where the operands do not fit; argument, for NaN and infinity in A, naming the first such matrix; singular,
/// naming the first matrix without an inverse. NaN and infinity in B are no errors: they spread into its solutions.
#[doc(alias = "linsolve")]
#[track_caller]
pub fn solve<T: Float>(a: &Tensor<T>, b: &Tensor<T>) -> Result<Tensor<T>> {
    body_once!(T: Float, [a, b], |a: &Tensor<T>, b: &Tensor<T>| -> Result<Tensor<T>> {
        if a.ndim() == 2
            && a.shape()[0] == a.shape()[1]
            && b.ndim() > 2
            && b.numel() > 0
            && b.shape()[b.ndim() - 2] == a.shape()[1]
        {
            // One matrix for a whole batch: it is factored once, and the batch is more columns.
            let (n, k) = (b.shape()[b.ndim() - 2] as isize, b.shape()[b.ndim() - 1] as isize);
            let columns = b.reshape([-1, n, k])?.permute([1, 0, 2])?.reshape([n, -1])?;
            return solve(a, &columns)?.reshape([n, -1, k])?.permute([1, 0, 2])?.reshape(b.shape());
        }
        let System { a, b, vectors } = system("solve", a, b)?;
        let lu = kernels::lu("solve", a.array())?;
        let x = apply(Solve { lu, transposed: false, lenient: false }, [&a, &b])?;
        if vectors { x.squeeze(-1) } else { Ok(x) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use autograd::check_op;
    use tensor_core::ErrorKind;

    #[test]
    fn solutions() -> Result<()> {
        let f = |x: &[Tensor<f64>]| {
            let n = x[0].shape()[x[0].ndim() - 1];
            solve(&(&x[0] + Tensor::eye_on(&x[0].device(), n)? * 5.0), &x[1])
        };
        let shapes: [[&[usize]; 2]; 6] = [
            [&[3, 3], &[3]],
            [&[3, 3], &[3, 2]],
            [&[2, 3, 3], &[2, 3]],
            [&[2, 3, 3], &[3, 4]],
            [&[3, 3], &[2, 3, 1]],
            [&[0, 0], &[0, 2]],
        ];
        for s in shapes {
            check_op(f, &s).run()?;
        }
        Ok(())
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let singular = Tensor::from([[1.0, 1.0], [1.0, 1.0]]);
        let kind = |a: &Tensor<f64>, b: &Tensor<f64>| solve(a, b).unwrap_err().kind();
        assert_eq!(kind(&singular, &Tensor::ones([2])), ErrorKind::Singular { batch: 0 });
        assert_eq!(kind(&Tensor::eye(2), &Tensor::ones([3])), ErrorKind::Shape);
        assert_eq!(kind(&Tensor::ones([2]), &Tensor::ones([2])), ErrorKind::Shape);
        assert_eq!(kind(&Tensor::ones([2, 3]), &Tensor::ones([2])), ErrorKind::Shape);
    }
}
