//! ndarray in and out without copying.

use crate::array::Array;
use crate::buffer::Buffer;
use crate::device::Device;
use crate::element::Element;
use crate::error::{Error, ErrorKind, OrRaise};
use crate::layout::{Layout, Strides};
use crate::shape::Dims;
use ndarray::{ArrayD, ArrayViewD, Axis, Dimension, IxDyn, ShapeBuilder};

impl<T: Element> Array<T> {
    /// Takes an ndarray's vector over, whatever its strides.
    pub fn from_ndarray<D: Dimension>(array: ndarray::Array<T, D>) -> Self {
        let shape = Dims::from_slice(array.shape());
        let strides = Strides::from_slice(array.strides());
        let (data, offset) = array.into_raw_vec_and_offset();
        Array::with_layout(Layout::strided(shape, &strides, offset.unwrap_or(0)), Buffer::adopt(data))
    }

    /// Borrows the elements as an ndarray view, whatever the strides.
    ///
    /// # Panics
    /// Where they are on a GPU: there is nothing to borrow, and [`Array::into_ndarray`] copies.
    #[track_caller]
    pub fn as_ndarray(&self) -> ArrayViewD<'_, T> {
        if self.device() != Device::Cpu {
            let message = format!("the elements are on {}: move them with cpu() first", self.device());
            Err(Error::new(ErrorKind::Device, "as_ndarray", message)).or_raise()
        }
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

    /// Gives the elements to ndarray: the vector itself, with its strides, where nothing else
    /// shares it, else a copy; a copy, too, from a GPU.
    pub fn into_ndarray(self) -> ArrayD<T> {
        if self.device() != Device::Cpu {
            return self.to_device("into_ndarray", Device::Cpu).or_raise().into_ndarray();
        }
        let shape = IxDyn(self.shape());
        let exact = "the layout covers its buffer exactly";
        if self.layout().is_contiguous() || self.layout().dense_start().is_none() {
            return ArrayD::from_shape_vec(shape, self.into_vec()).expect(exact);
        }
        match self.take_buffer() {
            Ok((layout, v)) if layout.dense_start() == Some(0) && layout.numel() == v.len() => {
                let strides = layout.strides();
                let upward: Vec<usize> = strides.iter().map(|s| s.unsigned_abs()).collect();
                let mut array = ArrayD::from_shape_vec(shape.strides(IxDyn(&upward)), v).expect(exact);
                for (k, _) in strides.iter().enumerate().filter(|&(_, &s)| s < 0) {
                    array.invert_axis(Axis(k));
                }
                array
            }
            Ok((layout, v)) => Array::with_layout(layout, Buffer::adopt(v)).as_ndarray().to_owned(),
            Err(shared) => shared.as_ndarray().to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, s};

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
}
