//! Views: the same elements in another shape. None of these copies, but for a reshape that strides
//! cannot express.

use crate::by_row::{ByRow, Parted};
use crate::op::{Kept, Op, apply_at};
use crate::tensor::Tensor;
use smallvec::SmallVec;
use std::panic::Location;
use tensor_core::shape::{Dims, Integer, IntoDims, dim, dim_mask, resolve};
use tensor_core::{Array, AtCaller, Element, Error, OrRaise, Result, compiled_once, kernels};

/// The elements in row-major order under another shape.
struct Reshape(Dims);

impl<T: Element> Op<T, 1> for Reshape {
    fn name(&self) -> &'static str {
        "reshape"
    }
    fn copied(&self, numbers: &Array<i64>) -> Option<Result<Array<i64>>> {
        Some(Op::<i64, 1>::forward(self, [numbers]))
    }
    fn forward(&self, [x]: [&Array<T>; 1]) -> Result<Array<T>> {
        x.reshape("reshape", &self.0)
    }
    fn batches(&self) -> bool {
        true
    }
    /// grad in the input's shape
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 1]> {
        Ok([Some(g.reshaped(kept.cotangent_shape(0))?)])
    }
    fn jvp(&self, kept: &Kept<'_, T>, [t]: [Option<Tensor<T>>; 1]) -> Result<Option<Tensor<T>>> {
        t.map(|t| t.reshaped(kept.tangent_shape())).transpose()
    }
    fn by_row(&self, kept: &Kept<'_, T>, g: Tensor<T>, lead: usize) -> Result<Parted<T, 1>> {
        // The first dimensions that count as many, if any do.
        let (shape, m) = (kept.shape(0), g.shape()[..lead].iter().product::<usize>());
        let lead = (0..=shape.len()).find(|&k| shape[..k].iter().product::<usize>() == m);
        let Some(lead) = lead else { return Ok(None) };
        Ok(Some([Some(ByRow::Own(g.reshaped(Dims::from_slice(shape))?, lead))]))
    }
}

/// Dimension k of the result is dimension `0[k]` of the input.
struct Permute(Dims);

impl<T: Element> Op<T, 1> for Permute {
    fn name(&self) -> &'static str {
        "permute"
    }
    fn copied(&self, numbers: &Array<i64>) -> Option<Result<Array<i64>>> {
        Some(Op::<i64, 1>::forward(self, [numbers]))
    }
    fn forward(&self, [x]: [&Array<T>; 1]) -> Result<Array<T>> {
        x.permute("permute", &self.0)
    }
    fn batches(&self) -> bool {
        true
    }
    /// grad, permuted back
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 1]> {
        // A dimension of many cotangents stays in front.
        let lead = usize::from(kept.many().is_some());
        let mut inverse: Dims = (0..self.0.len() + lead).collect();
        for (k, &d) in self.0.iter().enumerate() {
            inverse[d + lead] = k + lead;
        }
        Ok([Some(permuted(Location::caller(), &g, inverse)?)])
    }
    fn jvp(&self, kept: &Kept<'_, T>, [t]: [Option<Tensor<T>>; 1]) -> Result<Option<Tensor<T>>> {
        // A dimension of many tangents stays in front.
        let lead = usize::from(kept.many().is_some());
        let order = (0..lead).chain(self.0.iter().map(|&d| d + lead)).collect();
        t.map(|t| permuted(Location::caller(), &t, order)).transpose()
    }
}

/// Dimensions of size 1 stretched.
struct Expand(Dims);

impl<T: Element> Op<T, 1> for Expand {
    fn name(&self) -> &'static str {
        "expand"
    }
    fn copied(&self, numbers: &Array<i64>) -> Option<Result<Array<i64>>> {
        Some(Op::<i64, 1>::forward(self, [numbers]))
    }
    fn broadcasts(&self) -> bool {
        true
    }
    fn forward(&self, [x]: [&Array<T>; 1]) -> Result<Array<T>> {
        x.expand("expand", &self.0)
    }
    /// grad, which the engine sums over what was stretched
    fn vjp(&self, _: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 1]> {
        Ok([Some(g)])
    }
    fn elementwise(&self) -> bool {
        true
    }
}

compiled_once! {
    /// The elements in another shape of as many.
    pub(super) fn reshaped<T: Element>(here: &'static Location<'static>, x: &Tensor<T>, shape: Dims) -> Result<Tensor<T>> {
        if x.shape() == &shape[..] { Ok(x.clone()) } else { apply_at(here, Reshape(shape), [x]) }
    }

    fn permuted<T: Element>(here: &'static Location<'static>, x: &Tensor<T>, order: Dims) -> Result<Tensor<T>> {
        apply_at(here, Permute(order), [x])
    }

    /// Dimensions a and b exchanged, which there are.
    fn exchanged<T: Element>(
        here: &'static Location<'static>,
        x: &Tensor<T>,
        a: usize,
        b: usize,
    ) -> Result<Tensor<T>> {
        let mut order: Dims = (0..x.ndim()).collect();
        order.swap(a, b);
        permuted(here, x, order)
    }

    fn expanded<T: Element>(here: &'static Location<'static>, x: &Tensor<T>, sizes: &[isize]) -> Result<Tensor<T>> {
        let to = stretched(x.shape(), sizes).map_err(|e| e.at(here))?;
        if x.shape() == &to[..] { Ok(x.clone()) } else { apply_at(here, Expand(to), [x]) }
    }
}

/// The sizes to which a shape expands.
fn stretched(shape: &[usize], sizes: &[isize]) -> Result<Dims> {
    let lead = sizes.len() as isize - shape.len() as isize;
    let size = |(k, &d): (usize, &isize)| match d {
        -1 if k as isize >= lead && lead >= 0 => Ok(shape[(k as isize - lead) as usize]),
        d if d >= 0 => Ok(d as usize),
        d => {
            let message = format!("shape {shape:?} does not expand to {sizes:?}: {d} is no size here");
            Err(Error::shape("expand", message))
        }
    };
    sizes.iter().enumerate().map(size).collect()
}

/// The dimensions of `shape` in the order that `dims` name.
fn order_of(dims: &[isize], shape: &[usize]) -> Result<Dims> {
    if dims.len() != shape.len() {
        let message = format!("{dims:?} does not fit shape {shape:?}: name each dimension once");
        return Err(Error::shape("permute", message));
    }
    let order = dims.iter().map(|&d| dim("permute", d, shape.len())).collect::<Result<Dims>>()?;
    let mut seen: SmallVec<[bool; 4]> = SmallVec::from_elem(false, shape.len());
    if !order.iter().all(|&d| !std::mem::replace(&mut seen[d], true)) {
        let message = format!("{dims:?} does not name each dimension of shape {shape:?} once");
        return Err(Error::index("permute", message));
    }
    Ok(order)
}

/// The order of `ndim` dimensions of which some are moved to other places.
fn moved(source: &[isize], destination: &[isize], ndim: usize) -> Result<Dims> {
    if source.len() != destination.len() {
        let message = format!("dimensions {source:?} to {destination:?}: one place each is needed");
        return Err(Error::shape("movedim", message));
    }
    let numbers = |dims: &[isize]| -> Result<Dims> {
        if !dims.is_empty() {
            dim_mask("movedim", dims, ndim)?;
        }
        // A scalar has neither of the dimensions 0 and -1 that it may be named by.
        dims.iter().filter(|_| ndim > 0).map(|&d| dim("movedim", d, ndim)).collect()
    };
    let (from, to) = (numbers(source)?, numbers(destination)?);
    let mut rest = (0..ndim).filter(|k| !from.contains(k));
    let place = |k: usize| to.iter().position(|&t| t == k).map(|i| from[i]);
    Ok((0..ndim).filter_map(|k| place(k).or_else(|| rest.next())).collect())
}

/// A shape without the dimensions of size 1 among `dims`.
fn squeezed(shape: &[usize], dims: &[isize]) -> Result<Dims> {
    let mask = dim_mask("squeeze", dims, shape.len())?;
    let gone = |k: usize| !dims.is_empty() && mask[k] && shape[k] == 1;
    Ok((0..shape.len()).filter(|&k| !gone(k)).map(|k| shape[k]).collect())
}

/// A shape with a dimension of size 1 before dimension `d`.
fn unsqueezed(shape: &[usize], d: isize) -> Result<Dims> {
    let place = dim("unsqueeze", d, shape.len() + 1)?;
    let mut with = Dims::from_slice(shape);
    with.insert(place, 1);
    Ok(with)
}

/// # Shapes
impl<T: Element> Tensor<T> {
    /// A tensor without dimensions as a vector, which PyTorch takes it for along dimension 0 or -1; any other stays.
    #[track_caller]
    pub(crate) fn as_vector(&self) -> Result<Self> {
        if self.ndim() == 0 { self.reshaped(Dims::from_slice(&[1])) } else { Ok(self.clone()) }
    }

    /// The vector of one element that was made of a tensor without dimensions, as such a tensor again.
    #[track_caller]
    pub(crate) fn as_scalar(&self) -> Result<Self> {
        self.reshaped(Dims::new())
    }

    #[track_caller]
    pub(crate) fn reshaped(&self, shape: Dims) -> Result<Self> {
        reshaped(Location::caller(), self, shape)
    }

    /// The same elements in another shape, of which one size may be -1. A view where strides can
    /// express it, else a copy.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from([[1, 2, 3], [4, 5, 6]]);
    /// assert_eq!(x.reshape([3, -1])?.shape(), [3, 2]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where the number of elements differs.
    #[track_caller]
    pub fn reshape(&self, shape: impl IntoDims) -> Result<Self> {
        let shape = resolve("reshape", &shape.into_dims(), self.shape()).at_caller()?;
        self.reshaped(shape)
    }

    /// The same elements in another shape, never a copy.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from([[1, 2, 3], [4, 5, 6]]);
    /// assert_eq!(x.view([3, -1])?.to_vec(), [1, 2, 3, 4, 5, 6]);
    /// assert!(x.t()?.view([6]).is_err() && x.t()?.reshape([6]).is_ok());
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where the number of elements differs, or strides cannot express the view.
    #[track_caller]
    pub fn view(&self, shape: impl IntoDims) -> Result<Self> {
        let shape = resolve("view", &shape.into_dims(), self.shape()).at_caller()?;
        if self.layout().reshape(&shape).is_none() {
            let message = format!(
                "shape {:?} with strides {:?} cannot be viewed as {shape:?} without a copy: use reshape",
                self.shape(),
                self.layout().strides()
            );
            return Err(Error::shape("view", message).at_caller());
        }
        self.reshaped(shape)
    }

    /// All elements in one dimension, in row-major order.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// assert_eq!(Tensor::from([[1, 2], [3, 4]]).flatten().to_vec(), [1, 2, 3, 4]);
    /// assert_eq!(Tensor::scalar(1).flatten().shape(), [1]);
    /// ```
    #[doc(alias = "ravel")]
    #[track_caller]
    #[must_use]
    pub fn flatten(&self) -> Self {
        self.reshaped(Dims::from_slice(&[self.numel()])).or_raise()
    }

    /// The elements in row-major order: the tensor itself where they lie that way.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from([[1, 2], [3, 4]]).t()?.contiguous();
    /// assert_eq!(x.as_slice(), Some(&[1, 3, 2, 4][..]));
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    #[doc(alias = "ascontiguousarray")]
    #[track_caller]
    #[must_use]
    pub fn contiguous(&self) -> Self {
        if self.is_contiguous() {
            return self.clone();
        }
        let copy = kernels::copy("contiguous", self.array()).or_raise();
        Tensor::from_parts(copy, self.edge().cloned())
    }

    /// Dimensions in another order: dimension k of the result is dimension `dims[k]` of this tensor.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::zeros([2, 3, 4]);
    /// assert_eq!(x.permute([2, 0, 1])?.shape(), [4, 2, 3]);
    /// assert_eq!(x.permute((-1, 0, 1))?.shape(), [4, 2, 3]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where `dims` are too few or too many; index, where they do not name each dimension once.
    #[doc(alias = "permute_dims")]
    #[track_caller]
    pub fn permute(&self, dims: impl IntoDims) -> Result<Self> {
        let order = order_of(&dims.into_dims(), self.shape()).at_caller()?;
        permuted(Location::caller(), self, order)
    }

    /// Dimensions `source` moved to the places `destination`, one by one; the others keep their order.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::zeros([2, 3, 4]);
    /// assert_eq!(x.movedim(0, -1)?.shape(), [3, 4, 2]);
    /// assert_eq!(x.movedim([0, 1], [1, 0])?.shape(), [3, 2, 4]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, for a dimension that does not exist or is named twice; shape, for not as many places as dimensions.
    #[track_caller]
    pub fn movedim(&self, source: impl IntoDims, destination: impl IntoDims) -> Result<Self> {
        let order = moved(&source.into_dims(), &destination.into_dims(), self.ndim()).at_caller()?;
        permuted(Location::caller(), self, order)
    }

    /// Two dimensions exchanged.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::zeros([2, 3, 4]);
    /// assert_eq!(x.transpose(0, -1)?.shape(), [4, 3, 2]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, for a dimension that does not exist.
    #[doc(alias("swapaxes", "swapdims"))]
    #[track_caller]
    pub fn transpose(&self, dim0: impl Integer, dim1: impl Integer) -> Result<Self> {
        let (dim0, dim1) = (dim0.to_isize(), dim1.to_isize());
        if self.ndim() == 0 {
            return self.as_vector()?.transpose(dim0, dim1)?.as_scalar();
        }
        let (a, b) = (dim("transpose", dim0, self.ndim()), dim("transpose", dim1, self.ndim()));
        exchanged(Location::caller(), self, a.at_caller()?, b.at_caller()?)
    }

    /// The transpose of a matrix, `[m, n]` to `[n, m]`; a tensor of fewer dimensions stays as it is.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// assert_eq!(Tensor::from([[1, 2, 3]]).t()?.shape(), [3, 1]);
    /// assert_eq!(Tensor::from([1, 2]).t()?.shape(), [2]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, for more than two dimensions: [`Tensor::mt`] transposes the matrices of a batch.
    #[track_caller]
    pub fn t(&self) -> Result<Self> {
        match self.ndim() {
            0 | 1 => Ok(self.clone()),
            2 => exchanged(Location::caller(), self, 0, 1),
            _ => {
                let message = format!("shape {:?} is not a matrix: use mt for a batch", self.shape());
                Err(Error::shape("t", message).at_caller())
            }
        }
    }

    /// The transposes of the matrices in the last two dimensions, `[.., m, n]` to `[.., n, m]`.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// assert_eq!(Tensor::zeros([5, 2, 3]).mt()?.shape(), [5, 3, 2]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, for fewer than two dimensions.
    #[doc(alias("mT", "matrix_transpose"))]
    #[track_caller]
    pub fn mt(&self) -> Result<Self> {
        if self.ndim() < 2 {
            let message = format!("shape {:?} has no matrices: two dimensions are needed", self.shape());
            return Err(Error::shape("mt", message).at_caller());
        }
        exchanged(Location::caller(), self, self.ndim() - 1, self.ndim() - 2)
    }

    /// Without the dimensions of size 1 among `dims`.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::zeros([1, 3, 1]);
    /// assert_eq!(x.squeeze(-1)?.shape(), [1, 3]);
    /// assert_eq!(x.squeeze((0, 1, 2))?.shape(), [3]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, for a dimension that does not exist.
    #[track_caller]
    pub fn squeeze(&self, dims: impl IntoDims) -> Result<Self> {
        let shape = squeezed(self.shape(), &dims.into_dims()).at_caller()?;
        self.reshaped(shape)
    }

    /// Without any dimension of size 1.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// assert_eq!(Tensor::zeros([1, 3, 1]).squeeze_all().shape(), [3]);
    /// ```
    #[track_caller]
    #[must_use]
    pub fn squeeze_all(&self) -> Self {
        let shape = self.shape().iter().copied().filter(|&d| d != 1);
        self.reshaped(shape.collect()).or_raise()
    }

    /// With a dimension of size 1 before dimension `dim`; -1 puts it last.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::zeros([2, 3]);
    /// assert_eq!(x.unsqueeze(0)?.shape(), [1, 2, 3]);
    /// assert_eq!(x.unsqueeze(-1)?.shape(), [2, 3, 1]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, for a place that does not exist.
    #[doc(alias("expand_dims", "newaxis"))]
    #[track_caller]
    pub fn unsqueeze(&self, d: impl Integer) -> Result<Self> {
        let d = d.to_isize();
        let shape = unsqueezed(self.shape(), d).at_caller()?;
        self.reshaped(shape)
    }

    /// Stretched to another shape without copying: dimensions of size 1 and new leading ones
    /// repeat, and -1 keeps a size.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from([[1], [2]]);
    /// assert_eq!(x.expand((-1, 3))?.to_vec(), [1, 1, 1, 2, 2, 2]);
    /// assert_eq!(x.expand([4, 2, 3])?.shape(), [4, 2, 3]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where a dimension of another size would change.
    #[doc(alias = "broadcast_to")]
    #[track_caller]
    pub fn expand(&self, shape: impl IntoDims) -> Result<Self> {
        expanded(Location::caller(), self, &shape.into_dims())
    }
}
