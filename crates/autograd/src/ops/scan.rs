//! Running sums and products.

use crate::apply_once;
use crate::body_once;
use crate::op::{Kept, Op, apply};
use crate::tensor::Tensor;
use tensor_core::shape::{Integer, dim};
use tensor_core::{Array, AtCaller, Number, Result, kernels};

/// The running sums along a dimension, from its end where `reverse`.
#[derive(Clone, Copy)]
struct CumSum {
    dim: usize,
    reverse: bool,
}

impl<T: Number> Op<T, 1> for CumSum {
    fn name(&self) -> &'static str {
        "cumsum"
    }
    fn forward(&self, [x]: [&Array<T>; 1]) -> Result<Array<T>> {
        kernels::cumsum("cumsum", x, self.dim, self.reverse)
    }
    fn batches(&self) -> bool {
        true
    }
    /// the running sums of grad from the other end
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 1]> {
        let dim = self.dim + usize::from(kept.many().is_some());
        Ok([Some(apply(CumSum { dim, reverse: !self.reverse }, [&g])?)])
    }
}

impl<T: Number> Tensor<T> {
    /// The running sums along `dim`.
    ///
    /// ```
    /// use autograd::Tensor;
    /// assert_eq!(Tensor::from([1, 2, 3]).cumsum(0)?.to_vec(), [1, 3, 6]);
    /// # Ok::<(), tensor_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, for a dimension that does not exist.
    #[track_caller]
    pub fn cumsum(&self, d: impl Integer) -> Result<Self> {
        let d = d.to_isize();
        if self.ndim() == 0 {
            return self.as_vector()?.cumsum(d)?.as_scalar();
        }
        let dim = dim("cumsum", d, self.ndim()).at_caller()?;
        apply_once!(T: Number, CumSum { dim, reverse: false } => CumSum, [self])
    }

    /// The largest elements so far along `dim`, and their indices, of equal ones the last; NaN stays.
    ///
    /// ```
    /// use autograd::Tensor;
    /// let (values, index) = Tensor::from([1.0, 3.0, 2.0, 3.0]).cummax(0)?;
    /// assert_eq!((values.to_vec(), index.to_vec()), (vec![1.0, 3.0, 3.0, 3.0], vec![0, 1, 1, 3]));
    /// # Ok::<(), tensor_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, for a dimension that does not exist.
    #[track_caller]
    pub fn cummax(&self, d: impl Integer) -> Result<(Self, Tensor<i64>)> {
        let d = d.to_isize();
        self.cum_extreme("cummax", d, false)
    }

    /// The smallest elements so far along `dim`, and their indices, of equal ones the last; NaN stays.
    ///
    /// # Errors
    /// Index, for a dimension that does not exist.
    #[track_caller]
    pub fn cummin(&self, d: impl Integer) -> Result<(Self, Tensor<i64>)> {
        let d = d.to_isize();
        self.cum_extreme("cummin", d, true)
    }

    #[track_caller]
    fn cum_extreme(&self, op: &'static str, d: isize, smallest: bool) -> Result<(Self, Tensor<i64>)> {
        body_once!(
            T: Number,
            [self, op, d, smallest],
            |x: &Tensor<T>, op: &'static str, d: isize, smallest: bool| -> Result<(Tensor<T>, Tensor<i64>)> {
                if x.ndim() == 0 {
                    let (values, index) = x.as_vector()?.cum_extreme(op, d, smallest)?;
                    return Ok((values.as_scalar()?, index.as_scalar()?));
                }
                let dim = dim(op, d, x.ndim())?;
                let index = kernels::cum_arg_extreme(op, x.array(), dim, smallest)?;
                let index = Tensor::from(index);
                Ok((x.gather(d, &index)?, index))
            }
        )
    }

    /// The running products along `dim`, each in the range where it is itself, whatever those on the way to it are.
    /// Their derivatives, of any order, are right where elements are 0.
    ///
    /// ```
    /// use autograd::Tensor;
    /// assert_eq!(Tensor::from([1, 2, 3, 4]).cumprod(0)?.to_vec(), [1, 2, 6, 24]);
    /// # Ok::<(), tensor_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, for a dimension that does not exist.
    #[track_caller]
    pub fn cumprod(&self, d: impl Integer) -> Result<Self> {
        let d = d.to_isize();
        if self.ndim() == 0 {
            return self.as_vector()?.cumprod(d)?.as_scalar();
        }
        let dim = dim("cumprod", d, self.ndim()).at_caller()?;
        self.multiplied("cumprod", dim, true)
    }
}
