//! Scaling, adding, and sums of sparse tensors.

use super::{Places, SparseLayout, SparseTensor};
use autograd::{Tensor, body_once};
use std::ops::{Add, Mul, Neg, Sub};
use tensor_core::kernels::sparse::positions;
use tensor_core::shape::{Dims, IntoDims, dim_mask};
use tensor_core::{Array, Error, Float, OrRaise, Result, kernels};

impl<T: Float> SparseTensor<T> {
    /// Every element times a number, which may be a tracked scalar.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// use tapegrad::linalg::SparseTensor;
    /// let a = SparseTensor::eye(2)?.scale(&Tensor::scalar(3.0))?;
    /// assert_eq!(a.values().to_vec(), [3.0, 3.0]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where `factor` has more than one element.
    #[track_caller]
    pub fn scale(&self, factor: &Tensor<T>) -> Result<Self> {
        if factor.numel() != 1 {
            let message = format!("a factor of shape {:?}: a scalar is needed", factor.shape());
            return Err(Error::shape("scale", message).at_caller());
        }
        self.with_values(&self.values.try_mul(&factor.reshape([1])?)?)
    }

    /// Every element times the element of a dense tensor at its place.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// use tapegrad::linalg::SparseTensor;
    /// let x = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
    /// assert_eq!(SparseTensor::eye(2)?.mul_dense(&x)?.values().to_vec(), [1.0, 4.0]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where the dense tensor has another shape.
    #[track_caller]
    pub fn mul_dense(&self, other: &Tensor<T>) -> Result<Self> {
        body_once!(
            T: Float,
            [self, other],
            |x: &SparseTensor<T>, other: &Tensor<T>| -> Result<SparseTensor<T>> {
                if *other.shape() != x.shape()[..] {
                    let message =
                        format!("sparse {:?} and dense {:?} have different shapes", x.shape(), other.shape());
                    return Err(Error::shape("mul_dense", message));
                }
                let at = x.positions("mul_dense")?;
                x.with_values(&x.values.try_mul(&other.flatten().index_select(0, &at)?)?)
            }
        )
    }

    /// The sum of two sparse tensors of one shape, in the layout of this one.
    ///
    /// ```
    /// use tapegrad::linalg::SparseTensor;
    /// let a = SparseTensor::eye(2)?;
    /// let b = a.try_add(&a.t()?)?;
    /// assert_eq!(b.to_dense()?.to_vec(), [2.0, 0.0, 0.0, 2.0]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where the shapes differ; out of memory.
    #[doc(alias = "add")]
    #[track_caller]
    pub fn try_add(&self, other: &Self) -> Result<Self> {
        body_once!(
            T: Float,
            [self, other],
            |x: &SparseTensor<T>, other: &SparseTensor<T>| -> Result<SparseTensor<T>> {
                x.sum_with("add", other)
            }
        )
    }

    /// The difference of two sparse tensors of one shape, in the layout of this one.
    ///
    /// # Errors
    /// Shape, where the shapes differ; out of memory.
    #[doc(alias("subtract", "sub"))]
    #[track_caller]
    pub fn try_sub(&self, other: &Self) -> Result<Self> {
        body_once!(
            T: Float,
            [self, other],
            |x: &SparseTensor<T>, other: &SparseTensor<T>| -> Result<SparseTensor<T>> {
                x.sum_with("sub", &-other)
            }
        )
    }

    fn sum_with(&self, op: &'static str, other: &Self) -> Result<Self> {
        if self.shape() != other.shape() {
            let message =
                format!("sparse tensors {:?} and {:?} have different shapes", self.shape(), other.shape());
            return Err(Error::shape(op, message));
        }
        if let (Places::Matrix(a), Places::Matrix(b)) = (&self.places, &other.places)
            && a.given() == b.given()
            && a.is_same(op, b)?
        {
            return self.with_values(&self.values.try_add(&other.values)?);
        }
        let places = kernels::cat(op, &[&self.places(op)?, &other.places(op)?], 1)?;
        let values = Tensor::cat(&[&self.values, &other.values], 0)?;
        let both = SparseTensor::from_places(op, &places, &values, Dims::from_slice(&self.shape()))?;
        match self.layout() {
            SparseLayout::Coo => both.coalesced(op),
            SparseLayout::Csr => both.compressed(op, 0),
            SparseLayout::Csc => both.compressed(op, 1),
        }
    }

    /// The sum of all elements.
    ///
    /// ```
    /// use tapegrad::linalg::SparseTensor;
    /// assert_eq!(SparseTensor::eye(3)?.sum().item()?, 3.0);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn sum(&self) -> Tensor<T> {
        self.values.sum()
    }

    /// Sums over dimensions, as a dense tensor of the others: over dimension 1 of a matrix, the sum of each row.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// use tapegrad::linalg::SparseTensor;
    /// let a = SparseTensor::from_dense(&Tensor::from([[0.0, 2.0], [3.0, 4.0]]))?;
    /// assert_eq!((a.sum_dim(1)?.to_vec(), a.sum_dim(0)?.to_vec()), (vec![2.0, 7.0], vec![3.0, 6.0]));
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, for a dimension that does not exist; out of memory.
    #[track_caller]
    pub fn sum_dim(&self, dims: impl IntoDims) -> Result<Tensor<T>> {
        body_once!(
            T: Float,
            [self, &dims.into_dims()],
            |x: &SparseTensor<T>, dims: &[isize]| -> Result<Tensor<T>> {
                x.sums(dims)
            }
        )
    }

    fn sums(&self, dims: &[isize]) -> Result<Tensor<T>> {
        let (shape, places) = (self.shape(), self.places("sum_dim")?);
        let summed = dim_mask("sum_dim", dims, shape.len())?;
        let left: Vec<usize> = (0..shape.len()).filter(|&k| !summed[k]).collect();
        if left.is_empty() {
            return Ok(self.sum());
        }
        let rows: Vec<Array<i64>> =
            left.iter().map(|&k| places.slice("sum_dim", 0, k, 1, 1)).collect::<Result<_>>()?;
        let rows = kernels::cat("sum_dim", &rows.iter().collect::<Vec<_>>(), 0)?;
        let shape: Vec<usize> = left.iter().map(|&k| shape[k]).collect();
        let at = Tensor::from(positions("sum_dim", &rows, &shape)?.to_device("sum_dim", self.device())?);
        let numel = tensor_core::shape::numel("sum_dim", &shape)?;
        Tensor::from(Array::zeros_on(self.device(), &[numel])?)
            .scatter_add(0, &at, &self.values)?
            .reshape(shape)
    }
}

impl<T: Float> Add for &SparseTensor<T> {
    type Output = SparseTensor<T>;

    #[track_caller]
    fn add(self, other: Self) -> SparseTensor<T> {
        self.try_add(other).or_raise()
    }
}

impl<T: Float> Sub for &SparseTensor<T> {
    type Output = SparseTensor<T>;

    #[track_caller]
    fn sub(self, other: Self) -> SparseTensor<T> {
        self.try_sub(other).or_raise()
    }
}

impl<T: Float> Neg for &SparseTensor<T> {
    type Output = SparseTensor<T>;

    fn neg(self) -> SparseTensor<T> {
        SparseTensor { places: self.places.clone(), values: -&self.values }
    }
}

impl<T: Float> Mul<T> for &SparseTensor<T> {
    type Output = SparseTensor<T>;

    fn mul(self, factor: T) -> SparseTensor<T> {
        SparseTensor { places: self.places.clone(), values: &self.values * factor }
    }
}
