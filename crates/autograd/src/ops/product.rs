//! Products over dimensions.

use crate::tensor::Tensor;
use smallvec::SmallVec;
use std::panic::Location;
use tensor_core::shape::{Dims, IntoDims, dim_mask};
use tensor_core::{Array, Number, OrRaise, Result};

impl<T: Number> Tensor<T> {
    /// The product of all elements; 1 where there are none.
    #[track_caller]
    #[must_use]
    pub fn prod(&self) -> Self {
        product(self.flatten()).or_raise()
    }

    /// The products over `dims` (all, where there are none), which stay with size 1 where `keepdim`.
    /// Elements are multiplied in pairs, then the pairs, and so on: so the derivatives, of any order,
    /// are those of multiplications, right where elements are 0.
    ///
    /// ```
    /// use autograd::Tensor;
    /// let x = Tensor::from([2.0, 0.0, 4.0]).requires_grad();
    /// x.prod_dim(0, false)?.backward()?;
    /// assert_eq!(x.grad().unwrap().to_vec(), [0.0, 8.0, 0.0]);
    /// # Ok::<(), tensor_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, for a dimension that does not exist or is named twice.
    #[track_caller]
    pub fn prod_dim(&self, dims: impl IntoDims, keepdim: bool) -> Result<Self> {
        let here = Location::caller();
        let mask = dim_mask("prod", &dims.into_dims(), self.ndim()).map_err(|e| e.at(here))?;
        let (gone, stay): (SmallVec<[usize; 4]>, SmallVec<[usize; 4]>) =
            (0..self.ndim()).partition(|&k| mask[k]);
        let order: Vec<isize> = gone.iter().chain(&stay).map(|&k| k as isize).collect();
        let kept = |one: bool| -> Dims {
            let sizes = self.shape().iter().zip(&mask);
            sizes.filter(|&(_, &m)| one || !m).map(|(&d, &m)| if m { 1 } else { d }).collect()
        };
        let first: usize = gone.iter().map(|&k| self.shape()[k]).product();
        let mut rows = Dims::from_elem(first, 1);
        rows.extend(kept(false));
        product(self.permute(&order)?.reshape(&rows)?)?.reshape(&kept(keepdim))
    }
}

/// The product over the first dimension.
fn product<T: Number>(mut x: Tensor<T>) -> Result<Tensor<T>> {
    while x.shape()[0] > 1 {
        let n = x.shape()[0];
        let half = n / 2;
        let pairs = x.narrow(0, 0, half)?.try_mul(&x.narrow(0, half as isize, half)?)?;
        x = match n % 2 {
            0 => pairs,
            _ => Tensor::cat(&[&pairs, &x.narrow(0, -1, 1)?], 0)?,
        };
    }
    match x.shape()[0] {
        1 => x.select(0, 0),
        _ => Ok(Array::repeat_on(x.device(), &x.shape()[1..], T::ONE)?.into()),
    }
}
