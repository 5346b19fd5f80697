//! Tensors from numbers, vectors, arrays and iterators, and the sum of tensors.

use crate::tensor::Tensor;
use std::iter::Sum;
use tensor_core::{Element, Error, Number, OrRaise, Result};

/// Nested sequences of one element type: numbers, and vectors, slices and arrays of them.
///
/// ```
/// use tapegrad::Tensor;
/// let rows: Vec<Vec<i64>> = vec![vec![1, 2], vec![3, 4]];
/// assert_eq!(Tensor::new(&rows)?.shape(), [2, 2]);
/// assert_eq!(Tensor::new(&[[[0.5]]; 3])?.shape(), [3, 1, 1]);
/// # Ok::<(), tapegrad::Error>(())
/// ```
pub trait Nested<T: Element> {
    /// Adds the lengths, the outermost first.
    #[doc(hidden)]
    fn lengths(&self, shape: &mut Vec<usize>);
    /// Adds the elements, after checking the lengths.
    #[doc(hidden)]
    fn collect(&self, shape: &[usize], data: &mut Vec<T>) -> Result<()>;
}

macro_rules! nested_element {
    ($($T:ty)*) => { $(
        impl Nested<$T> for $T {
            fn lengths(&self, _: &mut Vec<usize>) {}
            fn collect(&self, _: &[usize], data: &mut Vec<$T>) -> Result<()> {
                data.push(*self);
                Ok(())
            }
        }
    )* };
}
nested_element!(f32 f64 i64 bool);

impl<T: Element, N: Nested<T>> Nested<T> for [N] {
    fn lengths(&self, shape: &mut Vec<usize>) {
        shape.push(self.len());
        if let Some(first) = self.first() {
            first.lengths(shape);
        }
    }
    fn collect(&self, shape: &[usize], data: &mut Vec<T>) -> Result<()> {
        if self.len() != shape[0] {
            let message =
                format!("ragged nesting: a row of {} elements beside one of {}", self.len(), shape[0]);
            return Err(Error::shape("new", message));
        }
        self.iter().try_for_each(|n| n.collect(&shape[1..], data))
    }
}

impl<T: Element, N: Nested<T>> Nested<T> for Vec<N> {
    fn lengths(&self, shape: &mut Vec<usize>) {
        Nested::lengths(self.as_slice(), shape);
    }
    fn collect(&self, shape: &[usize], data: &mut Vec<T>) -> Result<()> {
        self.as_slice().collect(shape, data)
    }
}

impl<T: Element, N: Nested<T>, const L: usize> Nested<T> for [N; L] {
    fn lengths(&self, shape: &mut Vec<usize>) {
        Nested::lengths(self.as_slice(), shape);
    }
    fn collect(&self, shape: &[usize], data: &mut Vec<T>) -> Result<()> {
        self.as_slice().collect(shape, data)
    }
}

impl<T: Element> From<T> for Tensor<T> {
    fn from(x: T) -> Self {
        Tensor::scalar(x)
    }
}

impl<T: Element> From<Vec<T>> for Tensor<T> {
    fn from(x: Vec<T>) -> Self {
        let n = x.len();
        Tensor::from_vec(x, [n]).or_raise()
    }
}

impl<T: Element, const N: usize> From<[T; N]> for Tensor<T> {
    fn from(x: [T; N]) -> Self {
        Tensor::from(x.to_vec())
    }
}

impl<T: Element, const M: usize, const N: usize> From<[[T; N]; M]> for Tensor<T> {
    fn from(x: [[T; N]; M]) -> Self {
        Tensor::from_vec(x.into_iter().flatten().collect(), [M, N]).or_raise()
    }
}

impl<T: Element, const L: usize, const M: usize, const N: usize> From<[[[T; N]; M]; L]> for Tensor<T> {
    fn from(x: [[[T; N]; M]; L]) -> Self {
        let data = x.into_iter().flatten().flatten().collect();
        Tensor::from_vec(data, [L, M, N]).or_raise()
    }
}

impl<T: Element, const N: usize> From<&[T; N]> for Tensor<T> {
    fn from(x: &[T; N]) -> Self {
        Tensor::from(x.as_slice())
    }
}

impl<T: Element> From<&Vec<T>> for Tensor<T> {
    fn from(x: &Vec<T>) -> Self {
        Tensor::from(x.as_slice())
    }
}

/// Rows of one length.
///
/// # Panics
/// Where their lengths differ: [`Tensor::new`] returns an error.
impl<T: Element + Nested<T>> From<Vec<Vec<T>>> for Tensor<T> {
    #[track_caller]
    fn from(rows: Vec<Vec<T>>) -> Self {
        Tensor::new(&rows).or_raise()
    }
}

impl<T: Element + Nested<T>, const N: usize> From<Vec<[T; N]>> for Tensor<T> {
    #[track_caller]
    fn from(rows: Vec<[T; N]>) -> Self {
        Tensor::new(&rows).or_raise()
    }
}

/// A vector of the numbers.
impl<T: Element> FromIterator<T> for Tensor<T> {
    fn from_iter<I: IntoIterator<Item = T>>(numbers: I) -> Self {
        Tensor::from(numbers.into_iter().collect::<Vec<T>>())
    }
}

/// The sum of tensors, element by element, broadcast; that of none is the number 0.
impl<T: Number> Sum for Tensor<T> {
    #[track_caller]
    fn sum<I: Iterator<Item = Tensor<T>>>(tensors: I) -> Self {
        tensors.reduce(|sum, x| sum + x).unwrap_or_else(|| Tensor::scalar(T::ZERO))
    }
}

/// The sum of tensors, element by element, broadcast; that of none is the number 0.
impl<'a, T: Number> Sum<&'a Tensor<T>> for Tensor<T> {
    #[track_caller]
    fn sum<I: Iterator<Item = &'a Tensor<T>>>(tensors: I) -> Self {
        tensors.cloned().sum()
    }
}
