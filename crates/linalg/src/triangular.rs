//! Systems with triangular matrices.

use crate::product::matmul;
use crate::solve::{System, system};
use autograd::{Keep, Kept, Op, Tensor, apply, apply_once, body_once};
pub use tensor_core::kernels::Triangle;
use tensor_core::{Array, Float, Result, kernels};

/// X = A^-1 B, or A^-T B where transposed, for a triangle A of which nothing else is read
struct SolveTriangular {
    triangle: Triangle,
    transposed: bool,
}

impl<T: Float> Op<T, 2> for SolveTriangular {
    fn name(&self) -> &'static str {
        "solve_triangular"
    }
    fn forward(&self, [a, b]: [&Array<T>; 2]) -> Result<Array<T>> {
        kernels::solve_triangular("solve_triangular", a, self.triangle, self.transposed, b)
    }
    fn keep(&self, [a, _]: [bool; 2]) -> Keep<2> {
        Keep { inputs: [true, false], output: a }
    }
    /// B: A^-T grad =: H; A: -H X^T within the triangle, or its transpose -X H^T for A^T X = B
    /// (Giles 2008, 2.3.1)
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 2]> {
        let back = SolveTriangular { triangle: self.triangle, transposed: !self.transposed };
        let h = apply(back, [&kept.input(0), &g])?;
        let a = kept.wrt(0, || {
            let x = kept.output(0);
            let (left, right) = if self.transposed { (&x, &h) } else { (&h, &x) };
            let whole = -matmul(left, &right.mt()?)?;
            // A diagonal of ones is not read, so nothing flows to it.
            let inner = isize::from(self.triangle.unit);
            if self.triangle.upper { whole.triu(inner) } else { whole.tril(-inner) }
        })?;
        Ok([a, kept.wrt(1, || Ok(h))?])
    }
}

/// A^-1 B, or A^-T B, without the checks of [`solve_triangular`].
pub(crate) fn triangular<T: Float>(
    a: &Tensor<T>,
    b: &Tensor<T>,
    upper: bool,
    transposed: bool,
) -> Result<Tensor<T>> {
    let triangle = Triangle { upper, unit: false };
    apply_once!(T: Float, SolveTriangular { triangle, transposed } => SolveTriangular, [a, b])
}

/// The solution X of A X = B for each triangular matrix of a batch. Of A the triangle is read and nothing
/// else: `Triangle { upper, unit }`, where `unit` stands for a diagonal of ones that is not read either.
///
/// B is a batch of matrices [.., n, k] or, where it has one dimension less than A, of vectors [.., n];
/// leading dimensions broadcast.
///
/// ```
/// use tapegrad::{Tensor, linalg};
/// use tapegrad::linalg::Triangle;
/// let a = Tensor::from([[2.0, 1.0], [9.0, 4.0]]);
/// let b = Tensor::from([4.0, 8.0]);
/// assert_eq!(linalg::solve_triangular(&a, &b, Triangle::UPPER)?.to_vec(), [1.0, 2.0]);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// Shape, where the operands do not fit; singular, naming the first matrix with a zero on its diagonal; argument, for NaN
/// and infinity in a triangle, naming the first such matrix. In B they are no errors: they spread into the solutions.
#[track_caller]
pub fn solve_triangular<T: Float>(a: &Tensor<T>, b: &Tensor<T>, triangle: Triangle) -> Result<Tensor<T>> {
    body_once!(
        T: Float,
        [a, b, triangle],
        |a: &Tensor<T>, b: &Tensor<T>, triangle: Triangle| -> Result<Tensor<T>> {
            let System { a, b, vectors } = system("solve_triangular", a, b)?;
            let x = apply(SolveTriangular { triangle, transposed: false }, [&a, &b])?;
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
    fn triangles() -> Result<()> {
        for (upper, unit) in [(false, false), (true, false), (false, true), (true, true)] {
            let f = |x: &[Tensor<f64>]| {
                let n = x[0].shape()[x[0].ndim() - 1];
                let a = &x[0] + Tensor::eye_on(&x[0].device(), n)? * 4.0;
                solve_triangular(&a, &x[1], Triangle { upper, unit })
            };
            let dense = |x: &[Tensor<f64>]| {
                let n = x[0].shape()[x[0].ndim() - 1];
                let a = &x[0] + Tensor::eye(n) * 4.0;
                let inner = isize::from(unit);
                let a = if upper { a.triu(inner)? } else { a.tril(-inner)? };
                crate::solve(&(a + Tensor::eye(n) * f64::from(unit)), &x[1])
            };
            let shapes: [[&[usize]; 2]; 5] = [
                [&[3, 3], &[3]],
                [&[3, 3], &[3, 2]],
                [&[2, 3, 3], &[2, 3]],
                [&[2, 3, 3], &[3, 4]],
                [&[0, 0], &[0, 2]],
            ];
            for s in shapes {
                check_op(f, &s).reference(dense).run()?;
            }
            // Larger than the blocks of the kernel.
            let (a, b) = (Tensor::randn([70, 70]) * 0.1, Tensor::randn([70, 5]));
            assert!(f(&[a.clone(), b.clone()])?.allclose(&dense(&[a, b])?, 1e-10, 1e-12)?);
        }
        let zero = Tensor::from([[1.0, 2.0], [0.0, 0.0]]);
        let e = solve_triangular(&zero, &Tensor::ones([2]), Triangle::UPPER).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Singular { batch: 0 });
        assert!(solve_triangular(&zero, &Tensor::ones([2]), Triangle { upper: true, unit: true }).is_ok());
        Ok(())
    }
}
