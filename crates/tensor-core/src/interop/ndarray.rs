//! ndarray in and out without copying.

use super::memory::Stretch;
use super::{on_host, reach};
use crate::array::Array;
use crate::device::Device;
use crate::element::Element;
use crate::error::{Error, OrRaise, Result};
use crate::heap::buffer::Buffer;
use crate::heap::vectors;
use crate::layout::{Layout, Strides};
use crate::shape::Dims;
use ndarray::{ArcArray, ArrayD, ArrayView, ArrayViewD, ArrayViewMut, Axis, Dimension, IxDyn, ShapeBuilder};
use std::ptr::NonNull;

impl<T: Element> Array<T> {
    /// Takes an ndarray's vector over, whatever its strides.
    ///
    /// ```
    /// use tapegrad::Array;
    /// let x = Array::from_ndarray(ndarray::array![[1, 2], [3, 4]].reversed_axes());
    /// assert_eq!((x.to_vec(), x.layout().is_contiguous()), (vec![1, 3, 2, 4], false));
    /// ```
    pub fn from_ndarray<D: Dimension>(array: ndarray::Array<T, D>) -> Self {
        let shape = Dims::from_slice(array.shape());
        let strides = Strides::from_slice(array.strides());
        let (data, offset) = array.into_raw_vec_and_offset();
        Array::with_layout(Layout::strided(shape, &strides, offset.unwrap_or(0)), Buffer::adopt(data))
    }

    /// Reads an array that ndarray shares, without copying, whatever its strides; the array counts as one more
    /// owner, so that the others copy before they write.
    ///
    /// ```
    /// use tapegrad::Array;
    /// let a = ndarray::array![1, 2].into_shared();
    /// assert_eq!(Array::from_ndarray_shared(a.clone()).storage().as_ptr(), a.as_ptr());
    /// ```
    pub fn from_ndarray_shared<D: Dimension + 'static>(array: ArcArray<T, D>) -> Self {
        let (shape, strides) = (Dims::from_slice(array.shape()), Strides::from_slice(array.strides()));
        let (below, len) = reach(&shape, &strides).expect("the elements lie in memory");
        if len == 0 {
            return Array::zeros(&shape).or_raise();
        }
        // Within the shared vector, as is every element.
        let start = NonNull::new(array.as_ptr().cast_mut().wrapping_sub(below));
        let start = start.expect("an array with elements has memory");
        // SAFETY: the elements of the vector, gaps included, are initialised, and stay where they are behind the
        // count; while it is shared with `array`, ndarray lets nobody write them.
        let memory = unsafe { Stretch::new(array, start, len) };
        Array::from_memory(memory, &shape, &strides, below).or_raise()
    }

    /// Copies the elements of a view, which may end before the array does.
    ///
    /// ```
    /// use tapegrad::Array;
    /// let a = ndarray::array![[1, 2], [3, 4]];
    /// assert_eq!(Array::from_ndarray_view(a.column(1))?.to_vec(), [2, 4]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Out of memory.
    pub fn from_ndarray_view<D: Dimension>(view: ArrayView<'_, T, D>) -> Result<Self> {
        Array::build("from_ndarray_view", Dims::from_slice(view.shape()), |out| {
            let out = ArrayViewMut::from_shape(view.raw_dim(), out);
            out.expect("the array has the shape of the view").assign(&view);
        })
    }

    /// Borrows the elements as an ndarray view, whatever the strides.
    ///
    /// ```
    /// use tapegrad::Array;
    /// let x = Array::from_vec(vec![1, 2, 3, 4], &[2, 2])?.permute("t", &[1, 0])?;
    /// assert_eq!(x.as_ndarray()[[0, 1]], 3);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Panics
    /// Where they are on a GPU: there is nothing to borrow, and [`Array::into_ndarray`] copies.
    #[track_caller]
    pub fn as_ndarray(&self) -> ArrayViewD<'_, T> {
        on_host("as_ndarray", self).or_raise();
        let layout = self.layout();
        let Some((low, high)) = layout.bounds() else {
            return ArrayViewD::from_shape(IxDyn(self.shape()), &[]).expect("no elements need no memory");
        };
        // ndarray builds views upwards from the lowest element; reversed dimensions are turned after.
        let strides = layout.strides();
        let upward: Vec<usize> = strides.iter().map(|s| s.unsigned_abs()).collect();
        let slice = &self.storage()[low..=high];
        let mut view = ArrayViewD::from_shape(IxDyn(self.shape()).strides(IxDyn(&upward)), slice)
            .expect("the layout stays within its buffer");
        for (k, _) in strides.iter().enumerate().filter(|&(_, &s)| s < 0) {
            view.invert_axis(Axis(k));
        }
        view
    }

    /// Borrows the elements as a view of so many dimensions: `as_ndarray_dim::<Ix2>()` for a matrix.
    ///
    /// ```
    /// use ndarray::Ix2;
    /// use tapegrad::Array;
    /// let a = Array::from_vec(vec![1.0, 2.0, 3.0, 4.0], &[2, 2])?;
    /// assert_eq!(a.as_ndarray_dim::<Ix2>()?.row(1).sum(), 7.0);
    /// assert!(a.select("select", 0, 0)?.as_ndarray_dim::<Ix2>().is_err());
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where there are more or fewer dimensions; device, where the elements are on a GPU.
    pub fn as_ndarray_dim<D: Dimension>(&self) -> Result<ArrayView<'_, T, D>> {
        const OP: &str = "as_ndarray_dim";
        on_host(OP, self)?;
        self.as_ndarray().into_dimensionality().map_err(|_| other_dimensions::<D>(OP, self.shape()))
    }

    /// Gives the elements to ndarray: the vector itself, with its strides, where nothing else
    /// shares it, else a copy; a copy, too, from a GPU. For a copy memory may run out, as for [`Array::to_vec`].
    ///
    /// ```
    /// use tapegrad::Array;
    /// let a = Array::from_vec(vec![1, 2], &[1, 2])?.into_ndarray();
    /// assert_eq!(a, ndarray::array![[1, 2]].into_dyn());
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    #[track_caller]
    pub fn into_ndarray(self) -> ArrayD<T> {
        if self.device() != Device::Cpu {
            return self.to_device("into_ndarray", Device::Cpu).or_raise().into_ndarray();
        }
        let shape = IxDyn(self.shape());
        let exact = "the layout covers its buffer exactly";
        if self.layout().is_contiguous() || self.layout().dense_start().is_none() {
            return ArrayD::from_shape_vec(shape, self.into_vec()).expect(exact);
        }
        // The stretch of memory that the elements fill, in whatever order.
        let copied = |layout: &Layout, data: &[T]| {
            let start = layout.dense_start().unwrap_or(0);
            let stretch = data.get(start..start + layout.numel()).unwrap_or(&[]);
            let copy = vectors::collect("into_ndarray", stretch.iter().copied());
            (layout.moved_to(layout.offset() - start), copy)
        };
        let (layout, elements) = match self.take_buffer() {
            Ok((layout, v)) if layout.dense_start() == Some(0) && layout.numel() == v.len() => {
                (layout, Ok(v))
            }
            Ok((layout, v)) => copied(&layout, &v),
            Err(shared) => copied(shared.layout(), shared.storage()),
        };
        let strides = layout.strides();
        let upward: Vec<usize> = strides.iter().map(|s| s.unsigned_abs()).collect();
        let shape = shape.strides(IxDyn(&upward));
        let mut array = ArrayD::from_shape_vec(shape, elements.or_raise()).expect(exact);
        for (k, _) in strides.iter().enumerate().filter(|&(_, &s)| s < 0) {
            array.invert_axis(Axis(k));
        }
        array
    }

    /// Gives the elements to ndarray, as [`Array::into_ndarray`], as an array of so many dimensions.
    ///
    /// ```
    /// use tapegrad::Array;
    /// let a: ndarray::Array2<i64> = Array::from_vec(vec![1, 2], &[1, 2])?.into_ndarray_dim()?;
    /// assert_eq!(a.dim(), (1, 2));
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where there are more or fewer dimensions.
    pub fn into_ndarray_dim<D: Dimension>(self) -> Result<ndarray::Array<T, D>> {
        const OP: &str = "into_ndarray_dim";
        if D::NDIM.is_some_and(|n| n != self.ndim()) {
            return Err(other_dimensions::<D>(OP, self.shape()));
        }
        Ok(self.into_ndarray().into_dimensionality().expect("the number of dimensions was compared"))
    }
}

fn other_dimensions<D: Dimension>(op: &'static str, shape: &[usize]) -> Error {
    let asked = D::NDIM.map_or("another number of".to_string(), |n| n.to_string());
    let message = format!("shape {shape:?} does not have {asked} dimensions: reshape it, or ask for IxDyn");
    Error::shape(op, message)
}

impl<T: Element, D: Dimension> From<ndarray::Array<T, D>> for Array<T> {
    fn from(array: ndarray::Array<T, D>) -> Self {
        Array::from_ndarray(array)
    }
}

impl<T: Element, D: Dimension + 'static> From<ArcArray<T, D>> for Array<T> {
    fn from(array: ArcArray<T, D>) -> Self {
        Array::from_ndarray_shared(array)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use ndarray::{Array2, Array3, Ix1, Ix2, s};

    #[test]
    fn every_layout_survives_the_round_trip() {
        let n = Array2::from_shape_fn((4, 6), |(i, j)| (10 * i + j) as f64);
        let fortran = n.t().to_owned().reversed_axes();
        let sliced = n.clone().slice_move(s![1..;2, ..;-3]);
        for array in [n.clone(), n.clone().reversed_axes(), fortran, sliced] {
            let a = Array::from_ndarray(array.clone());
            assert_eq!(a.as_ndarray(), array.view().into_dyn());
            assert_eq!(a.into_ndarray(), array.into_dyn());
        }
        let row = Array::from_vec(vec![1.0, 2.0], &[1, 2]).unwrap();
        let wide = row.expand("expand", &[3, 2]).unwrap();
        assert_eq!(wide.as_ndarray().sum(), 9.0);
        let empty = Array::<f64>::zeros(&[0, 3]).unwrap();
        assert_eq!(empty.as_ndarray().shape(), [0, 3]);
    }

    #[test]
    fn the_vector_itself_changes_hands() {
        let n = Array2::<f64>::zeros((30, 20));
        let place = n.as_ptr();
        let a = Array::from_ndarray(n);
        assert_eq!(a.storage().as_ptr(), place);
        assert_eq!(a.into_ndarray().as_ptr(), place);
    }

    #[test]
    fn shared_arrays_are_read_in_place_and_never_written() {
        let n = Array3::from_shape_fn((4, 3, 5), |(i, j, k)| (100 * i + 10 * j + k) as i64);
        let all = n.into_shared();
        for part in [
            all.clone(),
            all.clone().reversed_axes(),
            all.clone().slice_move(s![1..;2, ..;-2, 3..]),
            all.clone().slice_move(s![2..;-1, 1..1, ..]),
        ] {
            let mut a = Array::from_ndarray_shared(part.clone());
            assert_eq!(a.as_ndarray(), part.view().into_dyn());
            if !part.is_empty() {
                assert!(all.as_slice().unwrap().as_ptr_range().contains(&a.storage().as_ptr()));
                a.make_mut().unwrap().fill(-1);
            }
        }
        let mut copied = all.clone();
        let a = Array::from(all.clone());
        copied[[0, 0, 0]] = 7;
        assert_eq!((a.to_vec()[0], all[[0, 0, 0]], copied[[0, 0, 0]]), (0, 0, 7));
    }

    #[test]
    fn views_are_copied_and_typed() {
        let n = Array2::from_shape_fn((3, 4), |(i, j)| (i * j) as f32);
        let view = n.slice(s![..;-1, 1..;2]);
        let a = Array::from_ndarray_view(view).unwrap();
        assert_eq!(a.as_ndarray_dim::<Ix2>().unwrap(), view);
        assert_eq!(a.as_ndarray_dim::<Ix1>().unwrap_err().kind(), ErrorKind::Shape);
        assert_eq!(a.clone().into_ndarray_dim::<Ix1>().unwrap_err().kind(), ErrorKind::Shape);
        assert_eq!(a.into_ndarray_dim::<Ix2>().unwrap(), view);
    }

    #[test]
    fn a_view_larger_than_memory_is_an_error() {
        let one = ndarray::arr0(1.0);
        let huge = one.broadcast(IxDyn(&[1 << 30, 1 << 29])).unwrap();
        let error = Array::from_ndarray_view(huge).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::OutOfMemory { .. }));
    }
}
