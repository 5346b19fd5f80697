//! Tensors in several buffers, such as a set of parameters, in one message.

use crate::group::Group;
use autograd::Params;
use autograd::params::{flatten, unflatten};
use tensor_core::{AtCaller, Float, Result};

/// # Collectives of structures
impl Group {
    /// The sums of all tensors of a structure over the processes, in one message.
    ///
    /// ```
    /// use tapegrad::{Tensor, distributed};
    /// let sums = distributed::spawn(2, |group| {
    ///     let layer = (Tensor::from([1.0, 2.0]), Tensor::scalar(group.rank() as f64));
    ///     let (weights, bias) = group.all_reduce_params(&layer)?;
    ///     Ok((weights.to_vec(), bias.item()?))
    /// })?;
    /// assert_eq!(sums[0], (vec![2.0, 4.0], 1.0));
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Group::all_reduce`].
    #[track_caller]
    pub fn all_reduce_params<T: Float, P: Params<T>>(&self, x: &P) -> Result<P> {
        unflatten(x, &self.all_reduce(&flatten(x).at_caller()?)?)
    }

    /// All tensors of a structure of the process `root`, in one message.
    ///
    /// ```
    /// use tapegrad::{Tensor, distributed};
    /// let same = distributed::spawn(2, |group| {
    ///     let start = (Tensor::rand([3]), Tensor::rand([2, 2]));
    ///     let (a, b) = group.broadcast_params(&start, 0)?;
    ///     Ok((a.to_vec(), b.to_vec()))
    /// })?;
    /// assert_eq!(same[0], same[1]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Group::reduce`].
    #[track_caller]
    pub fn broadcast_params<T: Float, P: Params<T>>(&self, x: &P, root: usize) -> Result<P> {
        unflatten(x, &self.broadcast(&flatten(x).at_caller()?, root)?)
    }
}
