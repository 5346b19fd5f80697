//! Between sparse layouts, dense tensors and devices. All of it is differentiable with respect to the values.

use super::{Places, SparseLayout, SparseTensor, coalesce, positions};
use autograd::{Tensor, body_once};
use tensor_core::kernels::sparse::Pattern;
use tensor_core::shape::{Dims, Integer, IntoDims, dim};
use tensor_core::{Array, AtCaller, Device, Error, Float, Result, kernels};

impl<T: Float> SparseTensor<T> {
    /// The elements of a dense tensor that are not zero, with coordinates. Gradients reach these elements alone.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// use tapegrad::linalg::SparseTensor;
    /// let a = SparseTensor::from_dense(&Tensor::from([[0.0, 2.0], [3.0, 0.0]]))?;
    /// assert_eq!((a.indices()?.to_vec(), a.values().to_vec()), (vec![0, 1, 1, 0], vec![2.0, 3.0]));
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, for a tensor without dimensions.
    #[doc(alias = "to_sparse")]
    #[track_caller]
    pub fn from_dense(x: &Tensor<T>) -> Result<Self> {
        body_once!(T: Float, [x], |x: &Tensor<T>| -> Result<SparseTensor<T>> {
            if x.ndim() == 0 {
                return Err(Error::shape("from_dense", "a tensor without dimensions has no places"));
            }
            let places = x.detach().nonzero();
            let mask = x.ne(T::ZERO)?;
            let at = kernels::positions("from_dense", mask.array())?;
            let values = x.flatten().index_select(0, Tensor::from(at))?;
            let shape = Dims::from_slice(x.shape());
            SparseTensor::from_places("from_dense", places.t()?.array(), &values, shape)
        })
    }

    /// The dense tensor: zeros where nothing is stored.
    ///
    /// ```
    /// use tapegrad::linalg::SparseTensor;
    /// assert_eq!(SparseTensor::eye(2)?.to_dense()?.to_vec(), [1.0, 0.0, 0.0, 1.0]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Out of memory.
    #[doc(alias("toarray", "todense"))]
    #[track_caller]
    pub fn to_dense(&self) -> Result<Tensor<T>> {
        body_once!(T: Float, [self], |x: &SparseTensor<T>| -> Result<Tensor<T>> {
            let shape = x.shape();
            let at = x.positions("to_dense")?;
            let numel = tensor_core::shape::numel("to_dense", &shape)?;
            Tensor::from(Array::zeros_on(x.device(), &[numel])?)
                .scatter_add(0, &at, &x.values)?
                .reshape(shape)
        })
    }

    /// The position in row-major order of every stored element, where its value is.
    pub(super) fn positions(&self, op: &'static str) -> Result<Tensor<i64>> {
        let at = positions(op, &self.places(op)?, &self.shape())?;
        Ok(at.to_device(op, self.device())?.into())
    }

    /// Whether each place is named once, in row-major order.
    ///
    /// # Errors
    /// Out of memory.
    #[track_caller]
    pub fn is_coalesced(&self) -> Result<bool> {
        let answer = match &self.places {
            Places::Matrix(pattern) => pattern.is_coalesced("is_coalesced"),
            Places::Grid { shape, indices } => Ok(coalesce("is_coalesced", indices, shape)?.is_none()),
        };
        answer.at_caller()
    }

    /// The same tensor with coordinates, each place named once and in row-major order: what was stored for one place
    /// is added up, in the order in which it was stored.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// use tapegrad::linalg::SparseTensor;
    /// let a = SparseTensor::coo(&Tensor::from([[1, 0, 1]]), &Tensor::from([2.0, 3.0, 4.0]), [2])?;
    /// assert_eq!(a.coalesce()?.values().to_vec(), [3.0, 6.0]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Argument, for a shape of more than 2^63 places; out of memory.
    #[track_caller]
    pub fn coalesce(&self) -> Result<Self> {
        body_once!(T: Float, [self], |x: &SparseTensor<T>| -> Result<SparseTensor<T>> {
            x.coalesced("coalesce")
        })
    }

    pub(super) fn coalesced(&self, op: &'static str) -> Result<Self> {
        if let Places::Matrix(pattern) = &self.places
            && pattern.given() == Some(0)
        {
            return self.coordinates(op);
        }
        let (places, shape) = (self.places(op)?, self.shape());
        let Some((unique, numbers)) = coalesce(op, &places, &shape)? else { return self.coordinates(op) };
        let numbers = Tensor::from(numbers.to_device(op, self.device())?);
        let none = Tensor::from(Array::zeros_on(self.device(), &[unique.shape()[1]])?);
        let values = none.scatter_add(0, &numbers, &self.values)?;
        SparseTensor::from_places(op, &unique, &values, Dims::from_slice(&shape))
    }

    /// The same elements in the same order, with coordinates.
    fn coordinates(&self, op: &'static str) -> Result<Self> {
        match self.layout() {
            SparseLayout::Coo => Ok(self.clone()),
            _ => {
                let pattern = self.pattern(op)?;
                let [rows, columns] = pattern.coordinates(op)?;
                let pattern = Pattern::from_coordinates(op, rows, columns, pattern.shape())?;
                Ok(SparseTensor::of(pattern, self.values.clone()))
            }
        }
    }

    /// The same elements with coordinates; those of compressed rows are in row-major order.
    ///
    /// # Errors
    /// Out of memory.
    #[track_caller]
    pub fn to_coo(&self) -> Result<Self> {
        body_once!(T: Float, [self], |x: &SparseTensor<T>| -> Result<SparseTensor<T>> {
            x.coordinates("to_coo")
        })
    }

    /// The same matrix with compressed rows; what was stored for one place is added up.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// use tapegrad::linalg::SparseTensor;
    /// let a = SparseTensor::coo(&Tensor::from([[1, 1], [0, 0]]), &Tensor::from([2.0, 3.0]), [2, 2])?;
    /// assert_eq!(a.to_csr()?.values().to_vec(), [5.0]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where this is not a matrix; out of memory.
    #[track_caller]
    pub fn to_csr(&self) -> Result<Self> {
        body_once!(T: Float, [self], |x: &SparseTensor<T>| -> Result<SparseTensor<T>> {
            x.compressed("to_csr", 0)
        })
    }

    /// The same matrix with compressed columns; what was stored for one place is added up.
    ///
    /// # Errors
    /// Shape, where this is not a matrix; out of memory.
    #[track_caller]
    pub fn to_csc(&self) -> Result<Self> {
        body_once!(T: Float, [self], |x: &SparseTensor<T>| -> Result<SparseTensor<T>> {
            x.compressed("to_csc", 1)
        })
    }

    pub(super) fn compressed(&self, op: &'static str, along: usize) -> Result<Self> {
        if self.pattern(op)?.given() == Some(along) {
            return Ok(self.clone());
        }
        let distinct = match self.layout() {
            SparseLayout::Coo => self.coalesced(op)?,
            _ => self.clone(),
        };
        let (pattern, order) = distinct.pattern(op)?.sorted(op, along)?;
        let values = match order {
            None => distinct.values,
            Some(order) => {
                distinct.values.index_select(0, Tensor::from(order.to_device(op, self.device())?))?
            }
        };
        Ok(SparseTensor::of(pattern, values))
    }

    /// The transpose of a matrix: rows become columns without anything being moved, and compressed rows compressed
    /// columns.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// use tapegrad::linalg::SparseTensor;
    /// let a = SparseTensor::coo(&Tensor::from([[0], [1]]), &Tensor::from([5.0]), [2, 3])?;
    /// assert_eq!((a.t()?.shape(), a.t()?.indices()?.to_vec()), (vec![3, 2], vec![1, 0]));
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where this is not a matrix.
    #[track_caller]
    pub fn t(&self) -> Result<Self> {
        let pattern = self.pattern("t").at_caller()?;
        Ok(SparseTensor::of(pattern.transposed(), self.values.clone()))
    }

    /// Dimensions in another order: dimension k of the result is dimension `dims[k]` of this tensor.
    ///
    /// # Errors
    /// Shape, where `dims` are too few or too many; index, where they do not name each dimension once.
    #[doc(alias = "permute_dims")]
    #[track_caller]
    pub fn permute(&self, dims: impl IntoDims) -> Result<Self> {
        body_once!(
            T: Float,
            [self, &dims.into_dims()],
            |x: &SparseTensor<T>, dims: &[isize]| -> Result<SparseTensor<T>> {
                x.permuted(dims)
            }
        )
    }

    fn permuted(&self, dims: &[isize]) -> Result<Self> {
        let shape = self.shape();
        if dims.len() != shape.len() {
            let message = format!("{dims:?} does not fit shape {shape:?}: name each dimension once");
            return Err(Error::shape("permute", message));
        }
        let order: Vec<usize> =
            dims.iter().map(|&d| dim("permute", d, shape.len())).collect::<Result<_>>()?;
        let mut seen = vec![false; shape.len()];
        if !order.iter().all(|&d| !std::mem::replace(&mut seen[d], true)) {
            let message = format!("{dims:?} does not name each dimension of shape {shape:?} once");
            return Err(Error::index("permute", message));
        }
        match &self.places {
            Places::Matrix(pattern) if order == [1, 0] => {
                Ok(SparseTensor::of(pattern.transposed(), self.values.clone()))
            }
            Places::Matrix(_) => Ok(self.clone()),
            Places::Grid { indices, .. } => {
                let rows: Vec<Array<i64>> =
                    order.iter().map(|&d| indices.slice("permute", 0, d, 1, 1)).collect::<Result<_>>()?;
                let shape = order.iter().map(|&d| shape[d]).collect();
                let indices = kernels::cat("permute", &rows.iter().collect::<Vec<_>>(), 0)?;
                Ok(SparseTensor { places: Places::Grid { shape, indices }, values: self.values.clone() })
            }
        }
    }

    /// Two dimensions exchanged.
    ///
    /// # Errors
    /// Index, for a dimension that does not exist.
    #[doc(alias("swapaxes", "swapdims"))]
    #[track_caller]
    pub fn transpose(&self, dim0: impl Integer, dim1: impl Integer) -> Result<Self> {
        let (dim0, dim1) = (dim0.to_isize(), dim1.to_isize());
        let (a, b) = (dim("transpose", dim0, self.ndim()), dim("transpose", dim1, self.ndim()));
        let mut order: Vec<isize> = (0..self.ndim() as isize).collect();
        order.swap(a.at_caller()?, b.at_caller()?);
        self.permuted(&order).at_caller()
    }

    /// The same tensor with its values on another device, differentiably. The places stay on the host, and are copied to
    /// a GPU once a product there needs them.
    ///
    /// # Errors
    /// Device, where it cannot be used; out of memory.
    #[track_caller]
    pub fn to_device(&self, device: &Device) -> Result<Self> {
        Ok(SparseTensor { places: self.places.clone(), values: self.values.to_device(device)? })
    }

    /// The same tensor with values of another float type.
    #[doc(alias = "astype")]
    #[must_use]
    pub fn to_type<U: Float>(&self) -> SparseTensor<U> {
        SparseTensor { places: self.places.clone(), values: self.values.to_type() }
    }

    /// The same tensor, through which no gradient flows.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// use tapegrad::linalg::SparseTensor;
    /// let a = SparseTensor::coo(&Tensor::from([[0], [1]]), &Tensor::from([2.0]).requires_grad(), [2, 2])?;
    /// assert!(!a.detach().is_tracked());
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    #[doc(alias = "stop_gradient")]
    #[must_use]
    pub fn detach(&self) -> Self {
        SparseTensor { places: self.places.clone(), values: self.values.detach() }
    }
}
