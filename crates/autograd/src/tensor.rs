//! The tensor: a value, and where it was tracked.

use crate::loops::trace;
use crate::mode::no_grad;
use crate::node::Edge;
use crate::reads;
use std::fmt;
use std::ops::{Index, IndexMut};
use tensor_core::shape::Integer;
use tensor_core::{Array, AtCaller, DType, Device, Element, Error, Float, Layout, Result};

/// A tensor of elements of type `T`, on a device, differentiable where `T` is a float.
///
/// Clones are cheap and share value and gradient.
///
/// ```
/// use tapegrad::Tensor;
/// let w = Tensor::from([[1.0, 2.0], [3.0, 4.0]]).requires_grad();
/// let loss = (&w * &w).sum();
/// loss.backward()?;
/// assert_eq!(w.grad().unwrap().to_vec(), [2.0, 4.0, 6.0, 8.0]);
/// # Ok::<(), tapegrad::Error>(())
/// ```
pub struct Tensor<T: Element = f64> {
    value: Array<T>,
    edge: Option<Edge>,
}

impl<T: Element> Clone for Tensor<T> {
    #[inline]
    fn clone(&self) -> Self {
        Tensor { value: self.value.clone(), edge: self.edge.clone() }
    }
}

impl<T: Element> From<Array<T>> for Tensor<T> {
    fn from(value: Array<T>) -> Self {
        Tensor::constant(value)
    }
}

/// Another handle of the tensor: where an operation takes `impl Into<Tensor<T>>`, `&x` is as good as a number.
impl<T: Element> From<&Tensor<T>> for Tensor<T> {
    #[inline]
    fn from(x: &Tensor<T>) -> Self {
        x.clone()
    }
}

/// # Properties and values
impl<T: Element> Tensor<T> {
    #[inline]
    pub(crate) fn from_parts(value: Array<T>, edge: Option<Edge>) -> Self {
        Tensor { value, edge }
    }

    #[inline]
    pub(crate) fn into_parts(self) -> (Array<T>, Option<Edge>) {
        trace::look(self.edge());
        (self.value, self.edge)
    }

    #[inline]
    pub(crate) fn constant(value: Array<T>) -> Self {
        Tensor { value, edge: None }
    }

    #[inline]
    pub(crate) fn edge(&self) -> Option<&Edge> {
        self.edge.as_ref()
    }

    /// The value, for the numbers in it: a transform is told that gradients end here.
    #[inline]
    #[track_caller]
    pub(crate) fn read(&self, what: &'static str) -> &Array<T> {
        reads::note(what, self.edge());
        trace::look(self.edge());
        &self.value
    }

    /// As [`Tensor::read`], and gives the value away.
    #[inline]
    #[track_caller]
    pub(crate) fn into_read(self, what: &'static str) -> Array<T> {
        reads::note(what, self.edge());
        trace::look(self.edge());
        self.value
    }

    /// Leaves a constant.
    #[inline]
    pub(crate) fn take_edge(&mut self) -> Option<Edge> {
        trace::look(self.edge());
        self.edge.take()
    }

    /// The value, as kernels see it.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// assert_eq!(Tensor::from([1.0, 2.0]).array().numel(), 2);
    /// ```
    #[inline]
    pub fn array(&self) -> &Array<T> {
        trace::look(self.edge());
        &self.value
    }

    /// [`Tensor::array`] for operations, which are on the tape.
    #[inline]
    pub(crate) fn operand(&self) -> &Array<T> {
        &self.value
    }

    pub(crate) fn array_mut(&mut self) -> &mut Array<T> {
        trace::look(self.edge());
        &mut self.value
    }

    /// The value alone.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let mut numbers = Tensor::from([1.0, 2.0]).into_array();
    /// numbers.as_mut_slice().unwrap()[0] = 5.0;
    /// assert_eq!(Tensor::from(numbers).to_vec(), [5.0, 2.0]);
    /// ```
    #[inline]
    pub fn into_array(self) -> Array<T> {
        trace::look(self.edge());
        self.value
    }

    /// The sizes of the dimensions.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// assert_eq!(Tensor::from([[1, 2, 3], [4, 5, 6]]).shape(), [2, 3]);
    /// assert!(Tensor::scalar(1.0).shape().is_empty());
    /// ```
    #[inline]
    pub fn shape(&self) -> &[usize] {
        self.value.shape()
    }

    /// The number of dimensions.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// assert_eq!(Tensor::zeros([2, 3]).ndim(), 2);
    /// assert_eq!(Tensor::scalar(1.0).ndim(), 0);
    /// ```
    #[doc(alias = "dim")]
    #[inline]
    pub fn ndim(&self) -> usize {
        self.value.ndim()
    }

    /// The number of elements.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// assert_eq!(Tensor::zeros([2, 3]).numel(), 6);
    /// assert_eq!(Tensor::zeros([2, 0]).numel(), 0);
    /// ```
    #[doc(alias = "nelement")]
    #[inline]
    pub fn numel(&self) -> usize {
        self.value.numel()
    }

    /// The size of dimension `dim`, negative ones counted from the end.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::zeros([2, 3]);
    /// assert_eq!((x.size(0)?, x.size(-1)?), (2, 3));
    /// assert!(x.size(2).is_err());
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, where there is no such dimension.
    #[track_caller]
    pub fn size(&self, dim: impl Integer) -> Result<usize> {
        let dim = dim.to_isize();
        tensor_core::shape::dim("size", dim, self.ndim()).map(|d| self.shape()[d]).at_caller()
    }

    /// The element type's run-time name.
    ///
    /// ```
    /// use tapegrad::{DType, Tensor};
    /// assert_eq!(Tensor::from([1, 2]).dtype(), DType::I64);
    /// assert_eq!(Tensor::zeros([2]).dtype(), DType::F64);
    /// ```
    pub fn dtype(&self) -> DType {
        T::DTYPE
    }

    /// Where the data lives.
    ///
    /// ```
    /// use tapegrad::{Device, Tensor};
    /// assert_eq!(Tensor::zeros([2]).device(), Device::Cpu);
    /// ```
    pub fn device(&self) -> Device {
        self.value.device()
    }

    /// Strides and offset within the buffer.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::zeros([2, 3]);
    /// assert_eq!(x.layout().strides()[..], [3, 1]);
    /// assert_eq!(x.t()?.layout().strides()[..], [1, 3]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    pub fn layout(&self) -> &Layout {
        self.value.layout()
    }

    /// True where the elements lie one after another in row-major order.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::zeros([2, 3]);
    /// assert!(x.is_contiguous() && !x.t()?.is_contiguous());
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    pub fn is_contiguous(&self) -> bool {
        self.value.layout().is_contiguous()
    }

    /// True where operations on the tensor are recorded.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::scalar(1.0);
    /// assert!(!x.exp().is_tracked());
    /// assert!(x.requires_grad().exp().is_tracked());
    /// ```
    #[inline]
    pub fn is_tracked(&self) -> bool {
        self.edge.is_some()
    }

    /// True for a tensor that no operation made: a constant, or one that asked for a gradient.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let w = Tensor::scalar(1.0).requires_grad();
    /// assert!(w.is_leaf() && !w.exp().is_leaf() && w.exp().detach().is_leaf());
    /// ```
    pub fn is_leaf(&self) -> bool {
        self.edge.as_ref().is_none_or(Edge::is_leaf)
    }

    /// The same value as a constant: no gradient flows through it.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::scalar(3.0).requires_grad();
    /// (&x * x.detach()).backward()?;
    /// assert_eq!(x.grad().unwrap().item()?, 3.0);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    #[doc(alias = "stop_gradient")]
    #[inline]
    pub fn detach(&self) -> Self {
        trace::look(self.edge());
        Tensor::constant(self.value.clone())
    }

    /// The elements in row-major order. As every reading of numbers, it ends the flow of gradients. Where there is no
    /// memory for them, it panics with what [`memory::try_run`](tensor_core::memory::try_run) turns into an error.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from([[1, 2], [3, 4]]);
    /// assert_eq!(x.t()?.to_vec(), [1, 3, 2, 4]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    #[doc(alias = "tolist")]
    #[track_caller]
    pub fn to_vec(&self) -> Vec<T> {
        self.read("to_vec").to_vec()
    }

    /// The only element, as a number: a constant to every derivative, where [`Tensor::select`] and [`Tensor::narrow`]
    /// give tensors that can be differentiated.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// assert_eq!(Tensor::from([[2.5]]).item()?, 2.5);
    /// assert!(Tensor::from([1.0, 2.0]).item().is_err());
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where the tensor has not exactly one element.
    #[track_caller]
    pub fn item(&self) -> Result<T> {
        self.read("item").item("item").at_caller()
    }
}

/// What a tensor is indexed by: nothing. `x[0]` would have to give a reference, and neither a row nor a number that can
/// be differentiated is there to be referred to; the message says what to write.
#[diagnostic::on_unimplemented(
    message = "tensors are not indexed by `[]`",
    label = "write `x.row(0)?` or `x.select(0, 0)?` for a part, `x.get([0, 1])?` for a number",
    note = "ranges are taken by `x.slice(s![1..3, ..])?`, lists by `x.index_select(0, &list)?`, masks by \
            `x.masked_select(&mask)?`; elements are written by `x.set([0, 1], value)?`"
)]
#[doc(hidden)]
pub trait InBrackets {}

impl<T: Element, I: InBrackets> Index<I> for Tensor<T> {
    type Output = Tensor<T>;
    fn index(&self, _: I) -> &Tensor<T> {
        self
    }
}

impl<T: Element, I: InBrackets> IndexMut<I> for Tensor<T> {
    fn index_mut(&mut self, _: I) -> &mut Tensor<T> {
        self
    }
}

/// # Gradients: leaves
impl<T: Float> Tensor<T> {
    /// Asks for gradients: makes a leaf of a constant. A tracked tensor stays as it is.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from([1.0, 2.0]).requires_grad();
    /// x.square().sum().backward()?;
    /// assert_eq!(x.grad().unwrap().to_vec(), [2.0, 4.0]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    #[doc(alias("requires_grad_", "Parameter"))]
    #[must_use]
    pub fn requires_grad(mut self) -> Self {
        if self.edge.is_none() {
            self.edge = Some(Edge::leaf(self.value.shape(), 0));
        }
        self
    }

    /// Gives this leaf or constant a new value, computed from the old one without recording; it
    /// stays the same leaf. Clones made before keep the old value.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let mut w = Tensor::scalar(3.0).requires_grad();
    /// w.square().backward()?;
    /// let g = w.grad().unwrap();
    /// w.update(|w| Ok(w - g * 0.25))?;
    /// assert_eq!(w.item()?, 1.5);
    /// assert!(w.is_leaf());
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// A tensor made by an operation; another shape; what `f` returns.
    #[doc(alias = "copy_")]
    #[track_caller]
    pub fn update(&mut self, f: impl FnOnce(Tensor<T>) -> Result<Tensor<T>>) -> Result<()> {
        if !self.is_leaf() {
            let message = "a tensor made by an operation is never written: detach() it, or update the leaf";
            return Err(Error::new(tensor_core::ErrorKind::Graph, "update", message).at_caller());
        }
        let new = no_grad(|| f(self.detach()))?;
        if new.shape() != self.shape() {
            let message = format!("shape {:?} cannot become {:?}", self.shape(), new.shape());
            return Err(Error::shape("update", message).at_caller());
        }
        self.value = new.value;
        Ok(())
    }
}

impl<T: Element> Tensor<T> {
    fn write(&self, f: &mut fmt::Formatter<'_>, exponents: bool) -> fmt::Result {
        let tracking = match &self.edge {
            None => String::new(),
            Some(edge) if edge.is_leaf() => "requires_grad=True".to_string(),
            Some(edge) => format!("grad_fn=<{}>", edge.name().unwrap_or("consumed")),
        };
        self.value.write_as(f, "tensor", &tracking, exponents)
    }
}

/// As PyTorch prints. A format's precision is that of the elements, and its width that of the whole.
///
/// ```
/// use tapegrad::Tensor;
/// let x = Tensor::from([1.0, 0.12345]);
/// assert_eq!(format!("{x}"), "tensor([1.0000, 0.1235])");
/// assert_eq!(format!("{x:.2}"), "tensor([1.00, 0.12])");
/// assert_eq!(format!("{x:.1e}"), "tensor([1.0e+00, 1.2e-01])");
/// ```
impl<T: Element> fmt::Display for Tensor<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, false)
    }
}

/// Every float with an exponent.
impl<T: Element> fmt::LowerExp for Tensor<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, true)
    }
}

impl<T: Element> fmt::Debug for Tensor<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
