//! Versions of ndarray before the one that is re-exported, in and out without copying.

use super::on_host;
use crate::array::Array;
use crate::element::Element;
use crate::error::{Error, Result};
use crate::heap::buffer::Buffer;
use crate::layout::{Layout, Strides};
use crate::shape::Dims;

/// The functions for one version, which differ in nothing but the crate that they name.
macro_rules! version {
    ($ndarray:ident: $number:literal, $from:ident, $as:ident, $into:ident) => {
        impl<T: Element> Array<T> {
            #[doc = concat!("[`Array::from_ndarray`] for ndarray ", $number, ".")]
            pub fn $from<D: $ndarray::Dimension>(array: $ndarray::Array<T, D>) -> Self {
                let (shape, strides) =
                    (Dims::from_slice(array.shape()), Strides::from_slice(array.strides()));
                let first = array.as_ptr().addr();
                // The form that also gives the offset is younger than the oldest version.
                #[allow(deprecated)]
                let data = array.into_raw_vec();
                let offset = match data.len() {
                    0 => 0,
                    _ => (first - data.as_ptr().addr()) / size_of::<T>(),
                };
                Array::with_layout(Layout::strided(shape, &strides, offset), Buffer::adopt(data))
            }

            #[doc = concat!("[`Array::as_ndarray_dim`] for ndarray ", $number, ", of any number of dimensions.")]
            ///
            /// # Errors
            /// Device, where the elements are on a GPU; argument, where several elements share one place, which this
            /// version cannot show.
            pub fn $as(&self) -> Result<$ndarray::ArrayViewD<'_, T>> {
                use $ndarray::{ArrayViewD, Axis, IxDyn, ShapeBuilder};
                on_host(stringify!($as), self)?;
                let layout = self.layout();
                let Some((low, high)) = layout.bounds() else {
                    return Ok(ArrayViewD::from_shape(IxDyn(self.shape()), &[])
                        .expect("no elements need no memory"));
                };
                let strides = layout.strides();
                let upward: Vec<usize> = strides.iter().map(|s| s.unsigned_abs()).collect();
                let shape = IxDyn(self.shape()).strides(IxDyn(&upward));
                let mut view = ArrayViewD::from_shape(shape, &self.storage()[low..=high]).map_err(|e| {
                    let message = format!(
                        "shape {:?} with strides {strides:?} is no view of ndarray {} ({e}): copy it with contiguous()",
                        self.shape(),
                        $number
                    );
                    Error::argument(stringify!($as), message)
                })?;
                for (k, _) in strides.iter().enumerate().filter(|&(_, &s)| s < 0) {
                    view.invert_axis(Axis(k));
                }
                Ok(view)
            }

            #[doc = concat!("[`Array::into_ndarray`] for ndarray ", $number, ", in row-major order: the vector itself")]
            /// where nothing else shares it and it lies so, else a copy.
            pub fn $into(self) -> $ndarray::ArrayD<T> {
                let shape = $ndarray::IxDyn(self.shape());
                $ndarray::ArrayD::from_shape_vec(shape, self.into_vec())
                    .expect("the elements fill the shape")
            }
        }

        impl<T: Element, D: $ndarray::Dimension> From<$ndarray::Array<T, D>> for Array<T> {
            fn from(array: $ndarray::Array<T, D>) -> Self {
                Array::$from(array)
            }
        }

        #[cfg(test)]
        mod $into {
            use crate::array::Array;
            use $ndarray::{Array2, s};

            #[test]
            fn every_layout_survives_the_round_trip() {
                let n = Array2::from_shape_fn((4, 6), |(i, j)| (10 * i + j) as f64);
                let fortran = n.t().to_owned().reversed_axes();
                let sliced = n.clone().slice_move(s![1..;2, ..;-3]);
                let empty = n.clone().slice_move(s![2..2, ..]);
                for array in [n.clone(), n.clone().reversed_axes(), fortran, sliced, empty] {
                    let place = array.as_ptr();
                    let a = Array::$from(array.clone());
                    assert_eq!(a.$as().unwrap(), array.view().into_dyn());
                    assert_eq!(a.$into(), array.clone().into_dyn());
                    let a = Array::$from(array);
                    assert!(a.numel() == 0 || a.$as().unwrap().as_ptr() == place);
                }
            }

            /// Where elements share a place there is a view, or an error: never a panic.
            #[test]
            fn repeated_elements_are_shown_or_refused() {
                let owner = std::sync::Arc::<[f64]>::from([1.0, 2.0, 3.0, 4.0]);
                let cases: [(&[usize], &[isize]); 6] =
                    [(&[5], &[0]), (&[3, 2], &[0, 1]), (&[2, 3], &[1, 1]), (&[2, 2], &[1, -1]), (&[2, 0], &[0, 0]), (&[1, 4], &[0, 1])];
                for (shape, strides) in cases {
                    let offset = usize::from(strides.contains(&-1));
                    let a = Array::from_memory(owner.clone(), shape, strides, offset).unwrap();
                    if let Ok(view) = a.$as() {
                        assert!(view.iter().copied().eq(a.to_vec()), "{shape:?} {strides:?}");
                    }
                    assert!(a.clone().$into().iter().copied().eq(a.to_vec()));
                }
            }

            #[test]
            fn the_vector_itself_changes_hands() {
                let n = Array2::<f64>::zeros((30, 20));
                let place = n.as_ptr();
                assert_eq!(Array::from(n).$into().as_ptr(), place);
            }
        }
    };
}

#[cfg(feature = "ndarray-0_15")]
version!(ndarray_0_15: "0.15", from_ndarray_0_15, as_ndarray_0_15, into_ndarray_0_15);
#[cfg(feature = "ndarray-0_16")]
version!(ndarray_0_16: "0.16", from_ndarray_0_16, as_ndarray_0_16, into_ndarray_0_16);
