//! Several tensors made into one.

use crate::body_once;
use crate::loops::Expressions;
use crate::op::Kept;
use crate::op_many::{OpMany, apply_many};
use crate::tensor::Tensor;
use smallvec::SmallVec;
use tensor_core::shape::{Dims, Integer, dim};
use tensor_core::{Array, AtCaller, Device, Element, Error, Result, kernels};

/// The inputs one after another along a dimension.
struct Cat {
    dim: usize,
    sizes: Vec<usize>,
}

impl<T: Element> OpMany<T> for Cat {
    fn name(&self) -> &'static str {
        "cat"
    }
    fn express(&self, x: &[&Expressions]) -> Option<Expressions> {
        Expressions::joined(x, |x| Some(kernels::cat("cat", x, self.dim)))
    }
    fn forward(&self, x: &[&Array<T>]) -> Result<Vec<Array<T>>> {
        Ok(vec![kernels::cat("cat", x, self.dim)?])
    }
    fn batches(&self) -> bool {
        true
    }
    /// each input's stretch of grad
    fn vjp(&self, kept: &Kept<'_, T>, g: Vec<Option<Tensor<T>>>) -> Result<Vec<Option<Tensor<T>>>> {
        let Some(g) = &g[0] else { return Ok(vec![None; self.sizes.len()]) };
        let mut start = 0;
        let dim = (self.dim + usize::from(kept.many().is_some())) as isize;
        let stretch = |(i, &size): (usize, &usize)| {
            let from = start;
            start += size as isize;
            kept.needs(i).then(|| g.narrow(dim, from, size)).transpose()
        };
        self.sizes.iter().enumerate().map(stretch).collect()
    }
    fn jvp(&self, kept: &Kept<'_, T>, t: Vec<Option<Tensor<T>>>) -> Result<Vec<Option<Tensor<T>>>> {
        let dim = self.dim + usize::from(kept.many().is_some());
        let device = t.iter().flatten().next().map_or(Device::Cpu, |t| t.device());
        // Constants have zeros.
        let part = |(t, &size): (Option<Tensor<T>>, &usize)| match t {
            Some(t) => Ok(t),
            None => {
                let mut shape = kept.tangent_shape();
                shape[dim] = size;
                Ok(Tensor::constant(Array::repeat_on(device, &shape, T::default())?))
            }
        };
        let parts = t.into_iter().zip(&self.sizes).map(part).collect::<Result<Vec<_>>>()?;
        Ok(vec![Some(Tensor::cat(&parts, dim)?)])
    }
}

/// A tensor, or a reference to one: an item of a list of tensors.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no tensor of `{T}`",
    label = "a list of tensors of `{T}`, or of references to them, is needed here",
    note = "as `[a, b]`, `&[&a, &b]`, `&vec` or `vec.iter()`; one list holds tensors of one type"
)]
pub trait AsTensor<T: Element> {
    /// The tensor.
    fn as_tensor(&self) -> &Tensor<T>;
}

impl<T: Element> AsTensor<T> for Tensor<T> {
    #[inline]
    fn as_tensor(&self) -> &Tensor<T> {
        self
    }
}

impl<T: Element, X: AsTensor<T> + ?Sized> AsTensor<T> for &X {
    #[inline]
    fn as_tensor(&self) -> &Tensor<T> {
        (**self).as_tensor()
    }
}

/// A list of what gradients are taken with respect to: tensors or references to them.
///
/// ```
/// use tapegrad::{Tensor, grad};
/// let x = Tensor::scalar(3.0).requires_grad();
/// let list = vec![x.clone()];
/// for g in [grad(&x.square(), [&x])?, grad(&x.square(), &[&x])?, grad(&x.square(), &list)?] {
///     assert_eq!(g[0].as_ref().unwrap().item()?, 6.0);
/// }
/// # Ok::<(), tapegrad::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no list of tensors: the gradient of a function is `value_and_grad(|x| .., &x)?`",
    label = "a list of tensors is needed",
    note = "`grad(&y, &[&x])?` is the gradient of a tensor that was computed from `x.requires_grad()`"
)]
pub trait Variables<T: Element> {
    /// The tensors.
    fn variables(&self) -> SmallVec<[&Tensor<T>; 8]>;
}

impl<T: Element, X: AsTensor<T>> Variables<T> for [X] {
    fn variables(&self) -> SmallVec<[&Tensor<T>; 8]> {
        self.iter().map(AsTensor::as_tensor).collect()
    }
}

impl<T: Element, X: AsTensor<T>, const N: usize> Variables<T> for [X; N] {
    fn variables(&self) -> SmallVec<[&Tensor<T>; 8]> {
        self.as_slice().variables()
    }
}

impl<T: Element, X: AsTensor<T>> Variables<T> for Vec<X> {
    fn variables(&self) -> SmallVec<[&Tensor<T>; 8]> {
        self.as_slice().variables()
    }
}

impl<T: Element, X: Variables<T> + ?Sized> Variables<T> for &X {
    fn variables(&self) -> SmallVec<[&Tensor<T>; 8]> {
        (**self).variables()
    }
}

/// A list of tensors as it was given.
#[doc(hidden)]
pub struct Listed<I>(SmallVec<[I; 8]>);

impl<I> Listed<I> {
    pub fn new(tensors: impl IntoIterator<Item = I>) -> Self {
        Listed(tensors.into_iter().collect())
    }

    pub fn tensors<T: Element>(&self) -> SmallVec<[&Tensor<T>; 8]>
    where
        I: AsTensor<T>,
    {
        self.0.iter().map(AsTensor::as_tensor).collect()
    }
}

/// Tensors in shapes of more dimensions, one after another along one of those.
fn joined<T: Element>(
    op: &'static str,
    tensors: &[&Tensor<T>],
    along: isize,
    widen: impl Fn(&mut Dims),
) -> Result<Tensor<T>> {
    let wide = |t: &&Tensor<T>| {
        let mut shape = Dims::from_slice(t.shape());
        widen(&mut shape);
        t.reshaped(shape)
    };
    let wide: Vec<Tensor<T>> = tensors.iter().map(wide).collect::<Result<_>>()?;
    Tensor::cat(&wide, along).called(op)
}

/// # Joining
impl<T: Element> Tensor<T> {
    /// The tensors of a list, owned or borrowed, one after another along dimension `dim`; their other sizes agree.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let (a, b) = (Tensor::from([1, 2]), Tensor::from([3]));
    /// assert_eq!(Tensor::cat(&[&a, &b], 0)?.to_vec(), [1, 2, 3]);
    /// assert_eq!(Tensor::cat(vec![a, b], -1)?.to_vec(), [1, 2, 3]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where the other sizes differ or there is no tensor; index, for a dimension that does
    /// not exist.
    #[doc(alias("concatenate", "concat"))]
    #[track_caller]
    pub fn cat(tensors: impl IntoIterator<Item: AsTensor<T>>, d: impl Integer) -> Result<Self> {
        let tensors = Listed::new(tensors);
        body_once!(T: Element, [&tensors.tensors(), d.to_isize()], |tensors: &[&Tensor<T>], d: isize| -> Result<Tensor<T>> {
            let Some(first) = tensors.first() else {
                return Err(Error::shape("cat", "there is no tensor: at least one is needed"));
            };
            let dim = dim("cat", d, first.ndim())?;
            for (i, t) in tensors.iter().enumerate() {
                let fits = t.ndim() == first.ndim()
                    && (0..t.ndim()).all(|k| k == dim || t.shape()[k] == first.shape()[k]);
                if !fits {
                    let message = format!(
                        "tensor {i} has shape {:?}, the first {:?}: sizes may differ in dimension {dim} only",
                        t.shape(),
                        first.shape()
                    );
                    return Err(Error::shape("cat", message));
                }
            }
            let sizes = tensors.iter().map(|t| t.shape()[dim]).collect();
            Ok(apply_many(Cat { dim, sizes }, tensors)?.swap_remove(0))
        })
    }

    /// The tensors side by side: along the second dimension, or, of vectors and scalars, along the first.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let (a, b) = (Tensor::from([[1], [2]]), Tensor::from([[3], [4]]));
    /// assert_eq!(Tensor::hstack(&[&a, &b])?.to_vec(), [1, 3, 2, 4]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where the other sizes differ or there is no tensor.
    #[track_caller]
    pub fn hstack(tensors: impl IntoIterator<Item: AsTensor<T>>) -> Result<Self> {
        let tensors = Listed::new(tensors);
        body_once!(T: Element, [&tensors.tensors()], |tensors: &[&Tensor<T>]| -> Result<Tensor<T>> {
            let along = tensors.first().map_or(0, |first| isize::from(first.ndim() > 1));
            joined("hstack", tensors, along, |shape| if shape.is_empty() { shape.push(1) })
        })
    }

    /// The tensors below each other, along the first dimension; vectors are rows.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let rows = Tensor::vstack(&[&Tensor::from([1, 2]), &Tensor::from([[3, 4], [5, 6]])])?;
    /// assert_eq!((rows.shape(), rows.to_vec()), (&[3, 2][..], vec![1, 2, 3, 4, 5, 6]));
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where the other sizes differ or there is no tensor.
    #[track_caller]
    pub fn vstack(tensors: impl IntoIterator<Item: AsTensor<T>>) -> Result<Self> {
        let tensors = Listed::new(tensors);
        body_once!(T: Element, [&tensors.tensors()], |tensors: &[&Tensor<T>]| -> Result<Tensor<T>> {
            joined("vstack", tensors, 0, |shape| {
                while shape.len() < 2 {
                    shape.insert(0, 1);
                }
            })
        })
    }

    /// The tensors behind each other, along the third dimension, which vectors, as rows, and matrices have with size 1.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::dstack(&[&Tensor::from([1, 2]), &Tensor::from([3, 4])])?;
    /// assert_eq!((x.shape(), x.to_vec()), (&[1, 2, 2][..], vec![1, 3, 2, 4]));
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where the other sizes differ or there is no tensor.
    #[track_caller]
    pub fn dstack(tensors: impl IntoIterator<Item: AsTensor<T>>) -> Result<Self> {
        let tensors = Listed::new(tensors);
        body_once!(T: Element, [&tensors.tensors()], |tensors: &[&Tensor<T>]| -> Result<Tensor<T>> {
            joined("dstack", tensors, 2, |shape| {
                while shape.len() < 2 {
                    shape.insert(0, 1);
                }
                if shape.len() == 2 {
                    shape.push(1);
                }
            })
        })
    }

    /// The tensors side by side, along the second dimension; vectors are columns.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::column_stack(&[&Tensor::from([1, 2]), &Tensor::from([3, 4])])?;
    /// assert_eq!(x.to_vec(), [1, 3, 2, 4]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where the other sizes differ or there is no tensor.
    #[track_caller]
    pub fn column_stack(tensors: impl IntoIterator<Item: AsTensor<T>>) -> Result<Self> {
        let tensors = Listed::new(tensors);
        body_once!(T: Element, [&tensors.tensors()], |tensors: &[&Tensor<T>]| -> Result<Tensor<T>> {
            joined("column_stack", tensors, 1, |shape| {
                while shape.len() < 2 {
                    shape.push(1);
                }
            })
        })
    }

    /// The coordinates of a grid whose axes are these vectors, in the order of the axes: `ij` indexing.
    /// The results are views.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let grid = Tensor::meshgrid(&[&Tensor::from([1, 2]), &Tensor::from([3, 4, 5])])?;
    /// assert_eq!(grid[0].to_vec(), [1, 1, 1, 2, 2, 2]);
    /// assert_eq!(grid[1].to_vec(), [3, 4, 5, 3, 4, 5]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where one is no vector.
    #[track_caller]
    pub fn meshgrid(axes: impl IntoIterator<Item: AsTensor<T>>) -> Result<Vec<Self>> {
        let axes = Listed::new(axes);
        body_once!(T: Element, [&axes.tensors()], |axes: &[&Tensor<T>]| -> Result<Vec<Tensor<T>>> {
            if let Some(wrong) = axes.iter().find(|a| a.ndim() != 1) {
                let message = format!("an axis of shape {:?}: vectors are needed", wrong.shape());
                return Err(Error::shape("meshgrid", message));
            }
            let shape: Vec<usize> = axes.iter().map(|a| a.numel()).collect();
            let along = |(k, axis): (usize, &&Tensor<T>)| {
                let mut line = vec![1; axes.len()];
                line[k] = shape[k];
                axis.reshape(&line)?.expand(&shape)
            };
            axes.iter().enumerate().map(along).collect()
        })
    }

    /// The tensors, all of one shape, along a new dimension `dim`.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let (a, b) = (Tensor::from([1, 2]), Tensor::from([3, 4]));
    /// assert_eq!(Tensor::stack([&a, &b], 0)?.to_vec(), [1, 2, 3, 4]);
    /// assert_eq!(Tensor::stack([a, b], -1)?.to_vec(), [1, 3, 2, 4]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where the shapes differ or there is no tensor; index, for a place that does not exist.
    #[track_caller]
    pub fn stack(tensors: impl IntoIterator<Item: AsTensor<T>>, d: impl Integer) -> Result<Self> {
        let tensors = Listed::new(tensors);
        body_once!(T: Element, [&tensors.tensors(), d.to_isize()], |tensors: &[&Tensor<T>], d: isize| -> Result<Tensor<T>> {
            if let Some((i, t)) = tensors.iter().enumerate().find(|(_, t)| t.shape() != tensors[0].shape()) {
                let message = format!(
                    "tensor {i} has shape {:?}, the first {:?}: all shapes must be equal",
                    t.shape(),
                    tensors[0].shape()
                );
                return Err(Error::shape("stack", message));
            }
            let layers: Vec<Tensor<T>> = tensors.iter().map(|t| t.unsqueeze(d)).collect::<Result<_>>()?;
            Tensor::cat(&layers, d)
        })
    }
}
