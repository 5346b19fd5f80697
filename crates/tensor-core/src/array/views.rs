//! Views: other layouts over the same elements.

use super::Array;
use crate::element::Element;
use crate::error::{Error, Result};
use crate::shape;

impl<T: Element> Array<T> {
    /// A view with the dimensions in the order `dims`, a permutation.
    ///
    /// ```
    /// use tapegrad::{Array, shape};
    /// let x = Array::<f64>::zeros(&[2, 3, 4])?;
    /// assert_eq!(x.permute("permute", &[2, 0, 1])?.shape(), [4, 2, 3]);
    /// assert!(x.permute("permute", &[0, 0, 1]).is_err());
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, where `dims` do not name each dimension once.
    pub fn permute(&self, op: &'static str, dims: &[usize]) -> Result<Self> {
        // Few dimensions: looking for each is quicker than marking it in a list.
        if dims.len() != self.ndim() || (0..self.ndim()).any(|d| !dims.contains(&d)) {
            let message = format!("{dims:?} does not name each dimension of shape {:?} once", self.shape());
            return Err(Error::index(op, message));
        }
        Ok(self.view(self.layout().permute(dims)))
    }

    /// An error where there is no dimension `dim`.
    fn has_dim(&self, op: &'static str, dim: usize) -> Result<()> {
        if dim < self.ndim() {
            return Ok(());
        }
        Err(Error::index(op, format!("shape {:?} has no dimension {dim}", self.shape())))
    }

    /// A view stretched to `to`.
    ///
    /// ```
    /// use tapegrad::Array;
    /// let x = Array::from_vec(vec![1, 2], &[2, 1])?;
    /// assert_eq!(x.expand("expand", &[2, 3])?.to_vec(), [1, 1, 1, 2, 2, 2]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where a dimension of size other than 1 would change.
    pub fn expand(&self, op: &'static str, to: &[usize]) -> Result<Self> {
        Ok(self.view(self.layout().expand(op, to)?))
    }

    /// A view of the windows of `size` elements along `dim`, each `step` behind the one before: their number in the
    /// dimension's place, and their elements along a last dimension.
    ///
    /// ```
    /// use tapegrad::{Array, shape};
    /// let x = Array::from_vec(vec![1, 2, 3, 4, 5], &[5])?;
    /// let windows = x.unfold("unfold", 0, 3, 2)?;
    /// assert_eq!((windows.shape(), windows.to_vec()), (&[2, 3][..], vec![1, 2, 3, 3, 4, 5]));
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, where there is no such dimension, or it is shorter than a window; argument, for a step of 0.
    pub fn unfold(&self, op: &'static str, dim: usize, size: usize, step: usize) -> Result<Self> {
        self.has_dim(op, dim)?;
        if step == 0 {
            return Err(Error::argument(op, "windows 0 elements apart: at least 1 is needed"));
        }
        if size > self.shape()[dim] {
            let message =
                format!("windows of {size} elements leave dimension {dim} of shape {:?}", self.shape());
            return Err(Error::index(op, message));
        }
        let layout = self.layout().unfold(dim, size, step);
        shape::numel(op, layout.shape())?;
        Ok(self.view(layout))
    }

    /// A view of the elements whose index in the second of `dims`, two different ones, is that in the
    /// first plus `offset`, along a last dimension in place of the two.
    ///
    /// ```
    /// use tapegrad::Array;
    /// let x = Array::from_vec(vec![1, 2, 3, 4, 5, 6], &[2, 3])?;
    /// assert_eq!(x.diagonal("diagonal", 1, [0, 1])?.to_vec(), [2, 6]);
    /// assert_eq!(x.diagonal("diagonal", -1, [0, 1])?.to_vec(), [4]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, for a dimension that does not exist, or is named twice.
    pub fn diagonal(&self, op: &'static str, offset: isize, dims: [usize; 2]) -> Result<Self> {
        self.has_dim(op, dims[0])?;
        self.has_dim(op, dims[1])?;
        if dims[0] == dims[1] {
            return Err(Error::index(op, format!("dimension {} is named twice: name two", dims[0])));
        }
        Ok(self.view(self.layout().diagonal(offset, dims)))
    }

    /// A view of `len` elements along `dim` from `start`, `step` apart.
    ///
    /// ```
    /// use tapegrad::Array;
    /// let x = Array::from_vec(vec![1, 2, 3, 4, 5], &[5])?;
    /// assert_eq!(x.slice("slice", 0, 4, -2, 3)?.to_vec(), [5, 3, 1]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, where that leaves the dimension, or there is no such dimension.
    pub fn slice(&self, op: &'static str, dim: usize, start: usize, step: isize, len: usize) -> Result<Self> {
        self.has_dim(op, dim)?;
        let size = self.shape()[dim];
        // In numbers that hold every product.
        let last = || start as i128 + (len as i128 - 1) * step as i128;
        let inside = match len {
            0 => start <= size,
            _ => start < size && (0..size as i128).contains(&last()),
        };
        if !inside {
            let message = format!(
                "{len} elements from {start} by steps of {step} leave dimension {dim} of shape {:?}",
                self.shape()
            );
            return Err(Error::index(op, message));
        }
        Ok(self.view(self.layout().slice(dim, start, step, len)))
    }

    /// A view of the elements at `index` of dimension `dim`, which disappears.
    ///
    /// ```
    /// use tapegrad::Array;
    /// let x = Array::from_vec(vec![1, 2, 3, 4], &[2, 2])?;
    /// assert_eq!(x.select("select", 1, 0)?.to_vec(), [1, 3]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, where `index` is out of range, or there is no such dimension.
    pub fn select(&self, op: &'static str, dim: usize, index: usize) -> Result<Self> {
        self.has_dim(op, dim)?;
        let size = self.shape()[dim];
        if index >= size {
            let message =
                format!("index {index} is out of range for dimension {dim} of shape {:?}", self.shape());
            return Err(Error::index(op, message));
        }
        Ok(self.view(self.layout().slice(dim, index, 1, 1).remove_dim(dim)))
    }

    /// A view without dimension `dim`, whose size is 1.
    ///
    /// ```
    /// use tapegrad::{Array, shape};
    /// let x = Array::<f64>::zeros(&[2, 1])?;
    /// assert_eq!(x.remove_dim("squeeze", 1)?.shape(), [2]);
    /// assert!(x.remove_dim("squeeze", 0).is_err());
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, where there is no such dimension; shape, where it has another size.
    pub fn remove_dim(&self, op: &'static str, dim: usize) -> Result<Self> {
        self.has_dim(op, dim)?;
        if self.shape()[dim] != 1 {
            let message = format!("dimension {dim} of shape {:?} is not of size 1: select", self.shape());
            return Err(Error::shape(op, message));
        }
        Ok(self.view(self.layout().remove_dim(dim)))
    }

    /// A view with a dimension of size 1 before dimension `dim`, or behind the last one.
    ///
    /// ```
    /// use tapegrad::{Array, shape};
    /// assert_eq!(Array::<f64>::zeros(&[2])?.insert_dim("unsqueeze", 1)?.shape(), [2, 1]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, where there is no such place.
    pub fn insert_dim(&self, op: &'static str, dim: usize) -> Result<Self> {
        if dim > self.ndim() {
            let message = format!("shape {:?} has no place {dim} for a dimension", self.shape());
            return Err(Error::index(op, message));
        }
        Ok(self.view(self.layout().insert_dim(dim)))
    }
}
