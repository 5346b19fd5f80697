//! Where the rows of a sum come from: tensors, or files that are read block by block.

use crate::rows::{Rows, both, numel, sum_of_blocks};
use autograd::params::{flatten, unflatten};
use autograd::{Chunks, Params, RowReader, Tensor};
use std::cell::RefCell;
use std::ops::Range;
use std::panic::Location;
use std::sync::Arc;
use tensor_core::{AtCaller, Error, Float, Result};

/// What holds rows.
#[non_exhaustive]
pub enum Source<T: Float> {
    /// This process's rows, in memory or in a mapped file.
    Tensor(Tensor<T>),
    /// The rows of all processes, in a file.
    File(RowReader<T>),
}

impl<T: Float> From<Tensor<T>> for Source<T> {
    fn from(x: Tensor<T>) -> Self {
        Source::Tensor(x)
    }
}

impl<T: Float> From<&Tensor<T>> for Source<T> {
    fn from(x: &Tensor<T>) -> Self {
        Source::Tensor(x.clone())
    }
}

impl<T: Float> From<RowReader<T>> for Source<T> {
    fn from(x: RowReader<T>) -> Self {
        Source::File(x)
    }
}

impl<T: Float> From<&RowReader<T>> for Source<T> {
    fn from(x: &RowReader<T>) -> Self {
        Source::File(x.clone())
    }
}

/// What a block gives, from the tensors of its rows.
type Part<'a, T> = dyn FnMut(&[Tensor<T>]) -> Result<Tensor<T>> + 'a;

type OnBlock = Arc<dyn Fn(Range<usize>) + Send + Sync>;

/// Functions that are sums over the rows of some data, and their derivatives: the data in the memory of all processes
/// together, or in files larger than that.
///
/// Of a file two or three blocks are in memory at a time, of which one is worked on while the next is read; make blocks so
/// small that they fit into the caches by [`Rows::with_block_rows`]: a few MB. Each process reads its own rows. Functions see
/// the blocks of all sources as a slice of tensors.
///
/// ```
/// use tapegrad::{Tensor, linalg, rows};
/// use tapegrad::distributed::Group;
/// # let folder = std::env::temp_dir().join(format!("tapegrad-row-sum-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder).unwrap();
/// # let (a, y) = (folder.join("a.npy"), folder.join("y.npy"));
/// # Tensor::rand([1000, 4]).save_npy(&a)?;
/// # Tensor::rand([1000]).save_npy(&y)?;
/// let (a, y) = (rows(a)?, rows(y)?);
/// // On one process or many; 100 rows of the files in memory at a time.
/// let data = Group::world()?.rows(a.len()).with_block_rows(100).over([&a, &y])?;
/// let mut x = Tensor::zeros([4]);
/// let (first, gradient) = data.least_squares(&x)?;
/// x = x - gradient * 1e-3;
/// // Any function of parameters and rows.
/// let huber = |x: &Tensor, part: &[Tensor]| {
///     Ok(part[0].matmul(x)?.smooth_l1_loss(&part[1], 1.0)? * part[1].numel() as f64)
/// };
/// let (loss, _) = data.value_and_grad(huber, &x)?;
/// assert!(loss.item()? < first.item()?);
/// # use tapegrad::prelude::*;
/// # std::fs::remove_dir_all(&folder).unwrap();
/// # Ok::<(), tapegrad::Error>(())
/// ```
pub struct RowSum<T: Float = f64> {
    rows: Rows,
    sources: Vec<Source<T>>,
    on_block: Option<OnBlock>,
}

/// The sources while they are walked through.
enum Walk<'a, T: Float> {
    Tensor(&'a Tensor<T>),
    File(Chunks<T>),
}

impl<T: Float> RowSum<T> {
    pub(crate) fn new(rows: &Rows, sources: Vec<Source<T>>) -> Result<Self> {
        for (k, source) in sources.iter().enumerate() {
            let (shape, fits) = match source {
                Source::Tensor(x) => (x.shape(), rows.range().len()),
                Source::File(x) => (x.shape(), rows.len()),
            };
            if shape.first() != Some(&fits) {
                let what = if matches!(source, Source::File(_)) { "the file" } else { "this process's part" };
                let message = format!("source {k}: {what} has shape {shape:?}, and {fits} rows are needed");
                return Err(Error::shape("over", message));
            }
        }
        Ok(RowSum { rows: rows.clone(), sources, on_block: None })
    }

    /// The same sum, which calls `f` after each block of this process with its rows: for a progress bar.
    #[must_use]
    pub fn on_block(mut self, f: impl Fn(Range<usize>) + Send + Sync + 'static) -> Self {
        self.on_block = Some(Arc::new(f));
        self
    }

    /// The rows and the processes that share them.
    pub fn rows(&self) -> &Rows {
        &self.rows
    }

    fn walk<'a>(&'a self) -> Vec<Walk<'a, T>> {
        let walk = |source: &'a Source<T>| match source {
            Source::Tensor(x) => Walk::Tensor(x),
            Source::File(x) => Walk::File(x.read_ahead(self.rows.blocks().collect())),
        };
        self.sources.iter().map(walk).collect()
    }

    /// The sum over blocks of what `part` gives for the tensors of one.
    #[track_caller]
    fn over_blocks(&self, n: Option<usize>, part: &mut Part<'_, T>) -> Result<Tensor<T>> {
        let walk = RefCell::new(self.walk());
        let first = self.rows.range().start;
        sum_of_blocks(Location::caller(), &self.rows, n, &mut |rows: Range<usize>| {
            let mut parts = Vec::with_capacity(self.sources.len());
            for source in walk.borrow_mut().iter_mut() {
                parts.push(match source {
                    Walk::Tensor(x) => x.narrow(0, rows.start.saturating_sub(first), rows.len())?,
                    Walk::File(chunks) => match chunks.next() {
                        Some(chunk) => chunk?,
                        None => return Err(Error::shape("over", "the file's blocks have come to an end")),
                    },
                });
            }
            let value = part(&parts)?;
            if let Some(f) = &self.on_block {
                f(rows);
            }
            Ok(value)
        })
    }

    /// The sum of `f` over the blocks, in all processes.
    ///
    /// # Errors
    /// As [`Rows::sum`]; file, where one cannot be read.
    #[track_caller]
    pub fn sum(&self, mut f: impl FnMut(&[Tensor<T>]) -> Result<Tensor<T>>) -> Result<Tensor<T>> {
        self.over_blocks(None, &mut f).at_caller()
    }

    /// The sum over all rows of a function of parameters and rows, and its gradient, in all processes.
    ///
    /// # Errors
    /// As [`RowSum::sum`].
    #[track_caller]
    pub fn value_and_grad<P: Params<T>>(
        &self,
        mut f: impl FnMut(&P, &[Tensor<T>]) -> Result<Tensor<T>>,
        x: &P,
    ) -> Result<(Tensor<T>, P)> {
        let mut part = |parts: &[Tensor<T>]| {
            let (y, g) = autograd::value_and_grad(|x| f(x, parts), x)?;
            flatten(&(y, g))
        };
        both(x, self.over_blocks(Some(1 + numel(x)), &mut part)).at_caller()
    }

    /// The product of the Hessian of such a sum with `v`, which has the structure of `x`.
    ///
    /// # Errors
    /// As [`RowSum::sum`].
    #[track_caller]
    pub fn hvp<P: Params<T>>(
        &self,
        mut f: impl FnMut(&P, &[Tensor<T>]) -> Result<Tensor<T>>,
        x: &P,
        v: &P,
    ) -> Result<P> {
        let mut part = |parts: &[Tensor<T>]| flatten(&autograd::hvp(|x| f(x, parts), x, v)?);
        let product = self.over_blocks(Some(numel(x)), &mut part).at_caller()?;
        unflatten(x, &product)
    }

    /// J^T J v, where J is the Jacobian of the residuals of all rows; see [`Rows::gauss_newton_product`].
    ///
    /// # Errors
    /// As [`RowSum::sum`].
    #[track_caller]
    pub fn gauss_newton_product<P: Params<T>>(
        &self,
        mut f: impl FnMut(&P, &[Tensor<T>]) -> Result<Tensor<T>>,
        x: &P,
        v: &P,
    ) -> Result<P> {
        let mut part = |parts: &[Tensor<T>]| {
            let (_, jv) = autograd::jvp(|x| f(x, parts), x, v)?;
            flatten(&autograd::vjp(|x| f(x, parts), x, &jv)?.1)
        };
        let product = self.over_blocks(Some(numel(x)), &mut part).at_caller()?;
        unflatten(x, &product)
    }

    /// ||y - A x||^2 and its gradient, where the sources are A, of shape `[m, n]`, and y, of shape `[m]`.
    ///
    /// # Errors
    /// As [`RowSum::sum`]; shape, where there are other sources.
    #[track_caller]
    pub fn least_squares(&self, x: &Tensor<T>) -> Result<(Tensor<T>, Tensor<T>)> {
        self.two_sources().at_caller()?;
        self.value_and_grad(|x, parts| linalg::least_squares_loss(&parts[0], x, &parts[1]), x)
    }

    /// 2 A^T A v, the product of the Hessian of [`RowSum::least_squares`] with `v`.
    ///
    /// # Errors
    /// As [`RowSum::least_squares`].
    #[track_caller]
    pub fn least_squares_hvp(&self, v: &Tensor<T>) -> Result<Tensor<T>> {
        self.two_sources().at_caller()?;
        let mut part = |parts: &[Tensor<T>]| {
            let product = linalg::mv(&parts[0], v)?;
            Ok(linalg::mv(&parts[0].t()?, &product)? * T::of(2.0))
        };
        self.over_blocks(Some(v.numel()), &mut part).at_caller()
    }

    fn two_sources(&self) -> Result<()> {
        match self.sources.len() {
            2 => Ok(()),
            n => Err(Error::shape("least_squares", format!("{n} sources: a matrix and a vector are needed"))),
        }
    }
}
