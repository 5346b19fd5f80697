//! Products with sparse matrices.
//!
//! Source of the rules: as for dense matrices (Giles 2008, 2.2.1), with the cotangent of a sparse matrix taken at its
//! stored elements alone, since the others are constants. The cotangent of the values of A in A x is the product
//! `grad x^T` sampled at the places of A; that sampling is bilinear in turn, and its rules are products with A's places.

use super::SparseTensor;
use autograd::{Keep, Kept, Op, Tensor, apply, body_once};
use tensor_core::kernels::sparse::{self, Pattern};
use tensor_core::{Array, Error, Float, Result};

/// A x, or A^T x, for the values of A and a vector or matrix x.
pub(super) struct Product {
    pub pattern: Pattern,
    pub transposed: bool,
}

impl<T: Float> Op<T, 2> for Product {
    fn name(&self) -> &'static str {
        "sparse_mm"
    }
    fn forward(&self, [values, x]: [&Array<T>; 2]) -> Result<Array<T>> {
        sparse::product("sparse_mm", &self.pattern, self.transposed, values, x)
    }
    fn keep(&self, [values, x]: [bool; 2]) -> Keep<2> {
        Keep::inputs([x, values])
    }
    fn holds(&self) -> usize {
        self.pattern.bytes()
    }
    /// values: (grad x^T), or (x grad^T) for A^T x, at the places of A; x: A^T grad, or A grad
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 2]> {
        let values = kept.wrt(0, || {
            let x = kept.input(1);
            let (u, v) = if self.transposed { (&x, &g) } else { (&g, &x) };
            apply(Sampled { pattern: self.pattern.clone() }, [u, v])
        })?;
        let back = Product { pattern: self.pattern.clone(), transposed: !self.transposed };
        Ok([values, kept.wrt(1, || apply(back, [&kept.input(0), &g]))?])
    }
}

/// u v^T at the places of a sparse matrix.
pub(super) struct Sampled {
    pub pattern: Pattern,
}

impl<T: Float> Op<T, 2> for Sampled {
    fn name(&self) -> &'static str {
        "sparse_sampled"
    }
    fn forward(&self, [u, v]: [&Array<T>; 2]) -> Result<Array<T>> {
        sparse::sampled("sparse_sampled", &self.pattern, u, v)
    }
    fn keep(&self, [u, v]: [bool; 2]) -> Keep<2> {
        Keep::inputs([v, u])
    }
    fn holds(&self) -> usize {
        self.pattern.bytes()
    }
    /// with G the sparse matrix of the values grad: u: G v; v: G^T u
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 2]> {
        let product =
            |transposed, x: &Tensor<T>| apply(Product { pattern: self.pattern.clone(), transposed }, [&g, x]);
        Ok([kept.wrt(0, || product(false, &kept.input(1)))?, kept.wrt(1, || product(true, &kept.input(0)))?])
    }
}

/// A B at the places of `out`, for the values of sparse A and B.
struct Masked {
    out: Pattern,
    a: Pattern,
    b: Pattern,
}

impl<T: Float> Op<T, 2> for Masked {
    fn name(&self) -> &'static str {
        "sparse_mm_sparse"
    }
    fn forward(&self, [a, b]: [&Array<T>; 2]) -> Result<Array<T>> {
        sparse::masked("sparse_mm_sparse", &self.out, (&self.a, a), (&self.b, b))
    }
    fn keep(&self, [a, b]: [bool; 2]) -> Keep<2> {
        Keep::inputs([b, a])
    }
    fn holds(&self) -> usize {
        self.out.bytes() + self.a.bytes() + self.b.bytes()
    }
    /// with G the sparse matrix of the values grad: A: G B^T at the places of A; B: A^T G at the places of B
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 2]> {
        let Masked { out, a, b } = self;
        let left = || Masked { out: a.clone(), a: out.clone(), b: b.transposed() };
        let right = || Masked { out: b.clone(), a: a.transposed(), b: out.clone() };
        Ok([
            kept.wrt(0, || apply(left(), [&g, &kept.input(1)]))?,
            kept.wrt(1, || apply(right(), [&kept.input(0), &g]))?,
        ])
    }
}

impl<T: Float> SparseTensor<T> {
    /// Sparse matrix `[m, n]` times dense vector `[n]`: A x.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// use tapegrad::linalg::SparseTensor;
    /// assert_eq!(SparseTensor::eye(2)?.mv(&Tensor::from([3.0, 4.0]))?.to_vec(), [3.0, 4.0]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where matrix and vector do not fit.
    #[doc(alias = "matvec")]
    #[track_caller]
    pub fn mv(&self, x: &Tensor<T>) -> Result<Tensor<T>> {
        self.times("mv", x, 1)
    }

    /// Sparse matrix `[m, k]` times dense matrix `[k, n]`: A B. For B A, transpose: `a.t()?.mm(&b.t()?)?.t()?`.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// use tapegrad::linalg::SparseTensor;
    /// let a = SparseTensor::from_dense(&Tensor::from([[0.0, 2.0], [3.0, 0.0]]))?;
    /// assert_eq!(a.mm(&Tensor::from([[1.0, 2.0], [10.0, 20.0]]))?.to_vec(), [20.0, 40.0, 3.0, 6.0]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where these are not matrices that fit.
    #[track_caller]
    pub fn mm(&self, b: &Tensor<T>) -> Result<Tensor<T>> {
        self.times("mm", b, 2)
    }

    #[track_caller]
    fn times(&self, op: &'static str, x: &Tensor<T>, ndim: usize) -> Result<Tensor<T>> {
        body_once!(
            T: Float,
            [self, op, x, ndim],
            |this: &SparseTensor<T>, op: &'static str, x: &Tensor<T>, ndim: usize| -> Result<Tensor<T>> {
                let pattern = this.pattern(op)?.clone();
                if x.ndim() != ndim {
                    let message =
                        format!("the dense operand has shape {:?}: {ndim} dimensions are needed", x.shape());
                    return Err(Error::shape(op, message));
                }
                apply(Product { pattern, transposed: false }, [&this.values, x])
            }
        )
    }

    /// Sparse matrix `[m, k]` times sparse matrix `[k, n]`: a sparse matrix, by rows, with an element wherever a
    /// stored element of A meets one of B.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// use tapegrad::linalg::SparseTensor;
    /// let a = SparseTensor::from_dense(&Tensor::from([[0.0, 2.0], [3.0, 0.0]]))?;
    /// assert_eq!(a.mm_sparse(&a)?.to_dense()?.to_vec(), [6.0, 0.0, 0.0, 6.0]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where these are not matrices that fit; out of memory.
    #[track_caller]
    pub fn mm_sparse(&self, b: &Self) -> Result<Self> {
        body_once!(
            T: Float,
            [self, b],
            |x: &SparseTensor<T>, b: &SparseTensor<T>| -> Result<SparseTensor<T>> {
                let product = || {
                    let op = "mm_sparse";
                    let (m, k) = (x.pattern(op)?.shape(), b.pattern(op)?.shape());
                    if m[1] != k[0] {
                        let message =
                            format!("sparse matrices {m:?} and {k:?} do not match: the second needs {} rows", m[1]);
                        return Err(Error::shape(op, message));
                    }
                    let (left, right) = (x.distinct(op)?, b.distinct(op)?);
                    let (a, b) = (left.pattern(op)?.clone(), right.pattern(op)?.clone());
                    let out = sparse::product_pattern(op, &a, &b)?;
                    let values = apply(Masked { out: out.clone(), a, b }, [&left.values, &right.values])?;
                    Ok(SparseTensor::of(out, values))
                };
                product()
            }
        )
    }

    /// The same matrix with each place named once, and places that ascend along rows and columns.
    pub(super) fn distinct(&self, op: &'static str) -> Result<Self> {
        if self.pattern(op)?.given().is_some() { Ok(self.clone()) } else { self.coalesced(op) }
    }
}
