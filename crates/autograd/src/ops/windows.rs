//! Windows that move along a dimension.

use super::gather::{added_at, along};
use crate::apply_once;
use crate::create::arange_on;
use crate::op::{Kept, Op};
use crate::tensor::Tensor;
use tensor_core::shape::{Dims, Integer, dim};
use tensor_core::{Array, AtCaller, Number, Result};

/// Windows of `size` elements along a dimension, `step` apart, their elements along a new last one.
struct Unfold {
    dim: usize,
    size: usize,
    step: usize,
}

impl<T: Number> Op<T, 1> for Unfold {
    fn name(&self) -> &'static str {
        "unfold"
    }
    fn copied(&self, numbers: &Array<i64>) -> Option<Result<Array<i64>>> {
        Some(Op::<i64, 1>::forward(self, [numbers]))
    }
    fn forward(&self, [x]: [&Array<T>; 1]) -> Result<Array<T>> {
        x.unfold("unfold", self.dim, self.size, self.step)
    }
    /// grad of each window added to zeros where the window is
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 1]> {
        let Unfold { dim, size, step } = *self;
        let count = g.shape()[dim];
        let device = g.device();
        let starts = (arange_on(&device, 0, count as i64, 1)? * step as i64).unsqueeze(1)?;
        let places = starts.try_add(&arange_on(&device, 0, size as i64, 1)?)?.flatten();
        // The elements of a window behind its number, then the two as one dimension.
        let mut order: Vec<isize> = (0..g.ndim() as isize - 1).collect();
        order.insert(dim + 1, -1);
        let mut flat = Dims::from_slice(&g.shape()[..g.ndim() - 1]);
        flat[dim] = count * size;
        let g = g.permute(&order)?.reshaped(flat)?;
        Ok([Some(added_at(&along("unfold", &places, dim, kept.shape(0))?, dim, kept.shape(0), g)?)])
    }
}

/// # Windows
impl<T: Number> Tensor<T> {
    /// Windows of `size` elements along `dim`, each `step` behind the one before: their number is in the dimension's
    /// place, and their elements lie along a new last dimension. A view; an element in several windows has the sum of
    /// their gradients.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let windows = Tensor::from([1, 2, 3, 4]).unfold(0, 2, 1)?;
    /// assert_eq!((windows.shape(), windows.to_vec()), (&[3, 2][..], vec![1, 2, 2, 3, 3, 4]));
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, for a dimension that does not exist, or is shorter than a window; argument, for a step of 0.
    #[track_caller]
    pub fn unfold(&self, d: impl Integer, size: impl Integer, step: impl Integer) -> Result<Self> {
        let d = d.to_isize();
        let step = step.to_size("unfold").at_caller()?;
        let size = size.to_size("unfold").at_caller()?;
        if self.ndim() == 0 {
            let windows = self.as_vector()?.unfold(d, size, step)?;
            // PyTorch leaves the single window's number out.
            return windows.reshaped(Dims::from_slice(&[size]));
        }
        let dim = dim("unfold", d, self.ndim()).at_caller()?;
        apply_once!(T: Number, Unfold { dim, size, step } => Unfold, [self])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check_op;

    #[test]
    fn derivatives() -> Result<()> {
        for (shape, dim, size, step) in [
            (&[5][..], 0, 2, 1),
            (&[2, 6], 1, 3, 2),
            (&[4, 3], 0, 4, 9),
            (&[3, 2, 2], -3, 1, 2),
            (&[3], 0, 0, 1),
            (&[], 0, 1, 1),
            (&[0, 2], 0, 0, 1),
        ] {
            check_op(|x| x[0].unfold(dim, size, step), &[shape])
                .single(|x| x[0].unfold(dim, size, step))
                .run()?;
        }
        // A window is a view, and what is made of it is not written into its neighbours.
        let x = Tensor::from([1.0, 2.0, 3.0]);
        let windows = x.unfold(0, 2, 1)?;
        drop(x);
        assert_eq!((windows + 1.0).to_vec(), [2.0, 3.0, 3.0, 4.0]);
        Ok(())
    }

    #[test]
    fn refusals() {
        let x = Tensor::ones([3]);
        assert!(x.unfold(0, 4, 1).is_err() && x.unfold(0, 1, 0).is_err() && x.unfold(1, 1, 1).is_err());
        assert!(Tensor::scalar(1.0).unfold(0, 2, 1).is_err());
    }
}
