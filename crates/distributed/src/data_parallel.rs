//! Derivatives of functions to which every process adds the part of its own data, and matrices whose rows they share.

use crate::group::Group;
use crate::rows::Rows;
use autograd::{Params, Tensor};
use linalg::LinearOperator;
use tensor_core::{Error, Float, Result};

/// # Data parallel
impl Group {
    /// One block for each process.
    fn own(&self) -> Rows {
        self.rows(self.size()).with_blocks(self.size())
    }

    /// The sum over processes of `f`, the loss of a process's own rows, say, and its gradient, in all of them: every process
    /// gets the same bits, and so takes the same steps in any solver. One message carries value and gradient.
    ///
    /// Another number of processes changes what each adds by itself, and so the last bits: [`Group::rows`] keeps them.
    ///
    /// ```
    /// use tapegrad::{Tensor, distributed};
    /// let found = distributed::spawn(2, |group| {
    ///     let data = Tensor::full([3], group.rank() as f64);
    ///     let (y, g) = group.value_and_grad(|x| Ok((x - &data).square().sum()), &Tensor::zeros([3]))?;
    ///     Ok((y.item()?, g.to_vec()))
    /// })?;
    /// assert_eq!(found, [(3.0, vec![-2.0; 3]), (3.0, vec![-2.0; 3])]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// What `f` returns, which the other processes are told; group, where they do not agree, do not come or have ended.
    #[track_caller]
    pub fn value_and_grad<T: Float, P: Params<T>>(
        &self,
        f: impl Fn(&P) -> Result<Tensor<T>>,
        x: &P,
    ) -> Result<(Tensor<T>, P)> {
        self.own().value_and_grad(|x, _| f(x), x)
    }

    /// The product with `v`, which has the structure of `x`, of the Hessian of the sum over processes of `f`.
    ///
    /// ```
    /// use tapegrad::{Tensor, distributed};
    /// let product = distributed::spawn(3, |group| {
    ///     let f = |x: &Tensor| Ok(x.powf(3.0).sum());
    ///     Ok(group.hvp(f, &Tensor::from([1.0, 2.0]), &Tensor::from([1.0, 1.0]))?.to_vec())
    /// })?;
    /// assert_eq!(product[0], [18.0, 36.0]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Group::value_and_grad`].
    #[track_caller]
    pub fn hvp<T: Float, P: Params<T>>(
        &self,
        f: impl Fn(&P) -> Result<Tensor<T>>,
        x: &P,
        v: &P,
    ) -> Result<P> {
        self.own().hvp(|x, _| f(x), x, v)
    }

    /// J^T J v, where J is the Jacobian of the residuals of all processes: `f` gives a process's own. See
    /// [`Rows::gauss_newton_product`].
    ///
    /// ```
    /// use tapegrad::{Tensor, distributed};
    /// let product = distributed::spawn(2, |group| {
    ///     let f = |x: &Tensor| Ok(x * (1.0 + group.rank() as f64));
    ///     Ok(group.gauss_newton_product(f, &Tensor::zeros([2]), &Tensor::from([1.0, 2.0]))?.to_vec())
    /// })?;
    /// assert_eq!(product[0], [5.0, 10.0]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Group::value_and_grad`].
    #[track_caller]
    pub fn gauss_newton_product<T: Float, P: Params<T>>(
        &self,
        f: impl Fn(&P) -> Result<Tensor<T>>,
        x: &P,
        v: &P,
    ) -> Result<P> {
        self.own().gauss_newton_product(|x, _| f(x), x, v)
    }
}

/// A matrix whose rows the processes of a group share, and none holds whole, as a linear operator for
/// [`cg`](linalg::cg) and [`lsqr`](linalg::lsqr). Vectors are whole in every process, which all take the same steps, with
/// the same bits on any number of processes.
///
/// A product with a vector gathers the elements of the result, one with the transpose adds up vectors of as many elements as
/// there are columns.
///
/// ```
/// use tapegrad::{Tensor, distributed};
/// use tapegrad::distributed::RowSharded;
/// use tapegrad::linalg::{IterativeOptions, lsqr};
/// let (a, b): (Tensor, Tensor) = (Tensor::rand([50, 3]), Tensor::rand([50]));
/// let solution = |processes| {
///     distributed::spawn(processes, |group| {
///         let rows = group.rows(50);
///         let matrix = RowSharded::new(&rows, &rows.take(&a)?)?;
///         Ok(lsqr(&matrix, &b, IterativeOptions::default())?.x.to_vec())
///     })
/// };
/// assert_eq!(solution(1)?[0], solution(3)?[2]);
/// # Ok::<(), tapegrad::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct RowSharded<T: Float = f64> {
    rows: Rows,
    own: Tensor<T>,
}

impl<T: Float> RowSharded<T> {
    /// The matrix whose rows in this process are `own`.
    ///
    /// # Errors
    /// Shape, where it is no matrix of as many rows as [`Rows::range`] has.
    #[track_caller]
    pub fn new(rows: &Rows, own: &Tensor<T>) -> Result<Self> {
        if own.ndim() != 2 || own.shape()[0] != rows.range().len() {
            let message = format!(
                "a matrix of this process's {} rows is needed, not a tensor of shape {:?}",
                rows.range().len(),
                own.shape()
            );
            return Err(Error::shape("row_sharded", message).at_caller());
        }
        Ok(RowSharded { rows: rows.clone(), own: own.clone() })
    }
}

impl<T: Float> LinearOperator<T> for RowSharded<T> {
    fn shape(&self) -> [usize; 2] {
        [self.rows.len(), self.own.shape()[1]]
    }

    /// Block by block, so that no element depends on how many rows there are with it.
    fn apply(&self, x: &Tensor<T>) -> Result<Tensor<T>> {
        let first = self.rows.range().start;
        let product = |rows: std::ops::Range<usize>| {
            linalg::mv(&self.own.narrow(0, rows.start - first, rows.len())?, x)
        };
        let parts: Vec<Tensor<T>> = self.rows.blocks().map(product).collect::<Result<_>>()?;
        let own = if parts.is_empty() { linalg::mv(&self.own, x)? } else { Tensor::cat(parts, 0)? };
        self.rows.group().all_gather(&own)
    }

    fn apply_transposed(&self, y: &Tensor<T>) -> Result<Tensor<T>> {
        let first = self.rows.range().start;
        self.rows.sum(|rows| {
            let part = self.own.narrow(0, rows.start.saturating_sub(first), rows.len())?;
            linalg::mv(&part.t()?, &y.narrow(0, rows.start, rows.len())?)
        })
    }
}
