//! Systems with the triangles of sparse matrices.

use super::SparseTensor;
use super::product::Sampled;
use crate::triangular::Triangle;
use autograd::{Keep, Kept, Op, Tensor, apply, body_once};
use tensor_core::kernels::sparse::{self, Pattern};
use tensor_core::{Array, Float, Result};

/// A^-1 b, or A^-T b, for the values of A, of which a triangle is read.
struct SolveTriangular {
    pattern: Pattern,
    triangle: Triangle,
    transposed: bool,
}

impl<T: Float> Op<T, 2> for SolveTriangular {
    fn name(&self) -> &'static str {
        "sparse_solve_triangular"
    }
    fn forward(&self, [values, b]: [&Array<T>; 2]) -> Result<Array<T>> {
        let SolveTriangular { pattern, triangle, transposed } = self;
        sparse::solve_triangular("solve_triangular", pattern, values, *triangle, *transposed, b)
    }
    fn keep(&self, [values, _]: [bool; 2]) -> Keep<2> {
        Keep { inputs: [true, false], output: values }
    }
    fn holds(&self) -> usize {
        self.pattern.bytes()
    }
    /// b: A^-T grad =: h; values: -h x^T at the places of the triangle, or -x h^T for A^T x = b (Giles 2008, 2.3.1)
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 2]> {
        let SolveTriangular { pattern, triangle, transposed } = self;
        let back = SolveTriangular { pattern: pattern.clone(), triangle: *triangle, transposed: !transposed };
        let h = apply(back, [&kept.input(0), &g])?;
        let values = kept.wrt(0, || {
            let x = kept.output(0);
            let (u, v) = if *transposed { (&x, &h) } else { (&h, &x) };
            let whole = -apply(Sampled { pattern: pattern.clone() }, [u, v])?;
            let read = sparse::read_by_triangle("solve_triangular", pattern, *triangle)?;
            let read = Tensor::<bool>::from(read).to_device(&whole.device())?;
            if read.all() { Ok(whole) } else { read.where_cond(&whole, whole.detach().zeros_like()) }
        })?;
        Ok([values, kept.wrt(1, || Ok(h))?])
    }
}

impl<T: Float> SparseTensor<T> {
    /// The solution of A x = b for a triangle of a square matrix, by substitution in as many steps as it has elements; b is a
    /// vector `[n]` or a matrix `[n, k]`. Of A the triangle is read and nothing else: `Triangle { upper, unit }`, where `unit` stands
    /// for a diagonal of ones that is not read either. `a.t()` has the other triangle, for A^T x = b. The gradient of A
    /// has a number for each stored element, zero outside of the triangle. SciPy's `spsolve_triangular`.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// use tapegrad::linalg::{SparseTensor, Triangle};
    /// let a = SparseTensor::from_dense(&Tensor::from([[2.0, 0.0], [1.0, 4.0]]))?;
    /// assert_eq!(a.solve_triangular(&Tensor::from([4.0, 6.0]), Triangle::LOWER)?.to_vec(), [2.0, 1.0]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where the matrix is not square or b does not fit; singular, naming the row where the diagonal has a zero or nothing;
    /// argument, for NaN and infinity in the triangle. In b they are no errors: they spread into the solutions.
    #[doc(alias = "spsolve_triangular")]
    #[track_caller]
    pub fn solve_triangular(&self, b: &Tensor<T>, triangle: Triangle) -> Result<Tensor<T>> {
        body_once!(
            T: Float,
            [self, b, triangle],
            |a: &SparseTensor<T>, b: &Tensor<T>, triangle: Triangle| -> Result<Tensor<T>> {
                let pattern = a.pattern("solve_triangular")?.clone();
                apply(SolveTriangular { pattern, triangle, transposed: false }, [&a.values, b])
            }
        )
    }
}
