//! Order: sorting, and the places of extremes. Values are gathered at the indices that were found,
//! so their gradients go to exactly these elements.

use crate::tensor::Tensor;
use std::panic::Location;
use tensor_core::shape::dim;
use tensor_core::{Error, Number, Result, kernels};

impl<T: Number> Tensor<T> {
    /// The indices that sort the elements along `dim`. Equal ones keep their order; NaN counts as
    /// larger than everything.
    ///
    /// ```
    /// use autograd::Tensor;
    /// assert_eq!(Tensor::from([3.0, 1.0, 2.0]).argsort(0, false)?.to_vec(), [1, 2, 0]);
    /// # Ok::<(), tensor_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, for a dimension that does not exist.
    #[track_caller]
    pub fn argsort(&self, d: isize, descending: bool) -> Result<Tensor<i64>> {
        let here = Location::caller();
        let dim = dim("argsort", d, self.ndim()).map_err(|e| e.at(here))?;
        Ok(kernels::argsort("argsort", self.array(), dim, descending).map_err(|e| e.at(here))?.into())
    }

    /// The elements in order along `dim`, and their indices; see [`Tensor::argsort`].
    ///
    /// # Errors
    /// Index, for a dimension that does not exist.
    #[track_caller]
    pub fn sort(&self, d: isize, descending: bool) -> Result<(Self, Tensor<i64>)> {
        let index = self.argsort(d, descending)?;
        Ok((self.gather(d, &index)?, index))
    }

    /// The `k` largest elements along `dim` (the smallest, where not `largest`) in order, the most
    /// extreme first, and their indices.
    ///
    /// ```
    /// use autograd::Tensor;
    /// let (values, index) = Tensor::from([3.0, 1.0, 2.0]).topk(2, 0, true)?;
    /// assert_eq!((values.to_vec(), index.to_vec()), (vec![3.0, 2.0], vec![0, 2]));
    /// # Ok::<(), tensor_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, for a dimension that does not exist or has fewer elements.
    #[track_caller]
    pub fn topk(&self, k: usize, d: isize, largest: bool) -> Result<(Self, Tensor<i64>)> {
        let here = Location::caller();
        let size = self.size(d)?;
        if k > size {
            let message = format!("{k} elements of dimension {d} of shape {:?}: it has {size}", self.shape());
            return Err(Error::index("topk", message).at(here));
        }
        let index = self.argsort(d, largest)?.narrow(d, 0, k)?;
        Ok((self.gather(d, &index)?, index))
    }

    /// The indices of the largest elements along `dim`, of equal ones the first.
    ///
    /// # Errors
    /// Index, for a dimension that does not exist; shape, where it is empty.
    #[track_caller]
    pub fn argmax(&self, dim: isize, keepdim: bool) -> Result<Tensor<i64>> {
        Ok(self.detach().max_dim(dim, keepdim)?.1)
    }

    /// The indices of the smallest elements along `dim`, of equal ones the first.
    ///
    /// # Errors
    /// Index, for a dimension that does not exist; shape, where it is empty.
    #[track_caller]
    pub fn argmin(&self, dim: isize, keepdim: bool) -> Result<Tensor<i64>> {
        Ok(self.detach().min_dim(dim, keepdim)?.1)
    }
}
