//! nalgebra's matrices in and out without copying: of the newest version, and of the one before it, which solvers take.

use super::matrix;
use crate::array::Array;
use crate::element::Element;
use crate::error::{Error, Result};
use crate::heap::buffer::Buffer;
use crate::layout::Layout;
use crate::shape::Dims;

/// The functions for one version, which differ in nothing but the crate that they name.
macro_rules! version {
    (
        $nalgebra:ident: $number:literal,
        $from:ident, $from_vector:ident, $from_view:ident, $as:ident, $into:ident, $into_vector:ident
    ) => {
        impl<T: Element> Array<T> {
            #[doc = concat!("Takes the vector of a matrix of nalgebra ", $number, " over, column after column as it lies.")]
            ///
            /// ```
            #[doc = concat!("use ", stringify!($nalgebra), "::DMatrix;")]
            /// use tapegrad::Array;
            /// let m = DMatrix::from_row_slice(2, 3, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
            #[doc = concat!("let a = Array::", stringify!($from), "(m.clone());")]
            /// assert_eq!(a.to_vec(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
            #[doc = concat!("assert_eq!(a.", stringify!($as), "()?, m);")]
            /// # Ok::<(), tapegrad::Error>(())
            /// ```
            pub fn $from(matrix: $nalgebra::DMatrix<T>) -> Self {
                let (rows, columns) = matrix.shape();
                let layout = Layout::strided(Dims::from_slice(&[rows, columns]), &[1, rows as isize], 0);
                Array::with_layout(layout, Buffer::adopt(matrix.data.into()))
            }

            /// Takes the elements of a vector over, as an array of one dimension.
            pub fn $from_vector(vector: $nalgebra::DVector<T>) -> Self {
                Array::from_buffer(Dims::from_slice(&[vector.len()]), Buffer::adopt(vector.data.into()))
            }

            /// Copies a matrix of any storage: a view, which may end before the array does, or one of a fixed size.
            ///
            /// # Errors
            /// Out of memory.
            pub fn $from_view<R: $nalgebra::Dim, C: $nalgebra::Dim, S: $nalgebra::RawStorage<T, R, C>>(
                view: &$nalgebra::Matrix<T, R, C, S>,
            ) -> Result<Self> {
                let (rows, columns) = view.shape();
                let shape = Dims::from_slice(&[columns, rows]);
                // nalgebra walks column after column.
                let turned = Array::build(stringify!($from_view), shape, |out| {
                    out.iter_mut().zip(view.iter()).for_each(|(out, &x)| *out = x);
                })?;
                turned.permute(stringify!($from_view), &[1, 0])
            }

            /// Borrows a matrix, or a vector as a matrix of one column.
            ///
            /// # Errors
            /// Shape, for any other number of dimensions; argument, where a dimension runs backwards or one row stands for
            /// several, which nalgebra cannot walk; device, where the elements are on a GPU.
            pub fn $as(&self) -> Result<$nalgebra::DMatrixView<'_, T, $nalgebra::Dyn, $nalgebra::Dyn>> {
                const OP: &str = stringify!($as);
                let ([rows, columns], strides) = matrix(OP, self)?;
                if (rows > 1 && strides[0] <= 0 || columns > 1 && strides[1] < 0) && self.numel() > 0 {
                    let message = format!(
                        "shape {:?} has strides {strides:?}: nalgebra walks no dimension backwards and repeats no rows; copy \
                         it with contiguous()",
                        self.shape()
                    );
                    return Err(Error::argument(OP, message));
                }
                // nalgebra asks for room for an element even where there is none; these strides ask for no more. It never
                // ends a column whose rows are 0 apart.
                let step = |size: usize, stride: isize| match size {
                    0 | 1 => $nalgebra::Dyn(1),
                    _ if self.numel() == 0 => $nalgebra::Dyn(0),
                    _ => $nalgebra::Dyn(stride.unsigned_abs()),
                };
                let (down, right) = (step(rows, strides[0]), step(columns, strides[1]));
                let elements = self.layout().bounds().map_or(&[][..], |(low, high)| &self.storage()[low..=high]);
                Ok($nalgebra::DMatrixView::from_slice_with_strides_generic(elements, $nalgebra::Dyn(rows), $nalgebra::Dyn(columns), down, right))
            }

            /// Gives a matrix, or a vector as a matrix of one column, to nalgebra: the vector itself where nothing else
            /// shares it and it lies column after column, else a copy; a copy, too, from a GPU.
            ///
            /// # Errors
            /// Shape, for any other number of dimensions.
            pub fn $into(self) -> Result<$nalgebra::DMatrix<T>> {
                let turned = match self.shape() {
                    [_, _] => self.permute(stringify!($into), &[1, 0])?,
                    [_] => self.insert_dim(stringify!($into), 0)?,
                    shape => {
                        let message =
                            format!("shape {shape:?} is neither a matrix nor a vector: select one, or reshape");
                        return Err(Error::shape(stringify!($into), message));
                    }
                };
                // What is left is the only handle, if this was.
                drop(self);
                let (columns, rows) = (turned.shape()[0], turned.shape()[1]);
                Ok($nalgebra::DMatrix::from_vec(rows, columns, turned.into_vec()))
            }

            /// Gives an array of one dimension to nalgebra: the vector itself where nothing else shares it, else a copy;
            /// a copy, too, from a GPU.
            ///
            /// # Errors
            /// Shape, for any other number of dimensions.
            pub fn $into_vector(self) -> Result<$nalgebra::DVector<T>> {
                if self.ndim() != 1 {
                    let message = format!("shape {:?} is not that of a vector: select one, or reshape", self.shape());
                    return Err(Error::shape(stringify!($into_vector), message));
                }
                Ok($nalgebra::DVector::from_vec(self.into_vec()))
            }
        }

        impl<T: Element> From<$nalgebra::DMatrix<T>> for Array<T> {
            fn from(matrix: $nalgebra::DMatrix<T>) -> Self {
                Array::$from(matrix)
            }
        }

        impl<T: Element> From<$nalgebra::DVector<T>> for Array<T> {
            fn from(vector: $nalgebra::DVector<T>) -> Self {
                Array::$from_vector(vector)
            }
        }

        #[cfg(test)]
        mod $into {
            use crate::array::Array;
            use crate::error::ErrorKind;
            use $nalgebra::{DMatrix, DVector, Matrix2x3};

            #[test]
            fn matrices_and_vectors_change_hands_without_a_copy() {
                let m = DMatrix::from_fn(4, 3, |i, j| (10 * i + j) as f64);
                let place = m.as_ptr();
                let a = Array::from(m.clone_owned());
                assert_eq!(a.$as().unwrap(), m);
                let a = Array::from(m);
                assert_eq!(a.$as().unwrap().as_ptr(), place);
                assert_eq!(a.$into().unwrap().as_ptr(), place);
                let v = DVector::from_vec(vec![1i64, 2, 3]);
                let place = v.as_ptr();
                let a = Array::from(v);
                assert_eq!((a.shape(), a.$as().unwrap().shape()), (&[3][..], (3, 1)));
                assert_eq!(a.$into_vector().unwrap().as_ptr(), place);
            }

            #[test]
            fn every_layout_is_lent_or_refused() {
                let a = Array::from_vec((0..24).map(f64::from).collect(), &[4, 6]).unwrap();
                let sliced = a.slice("slice", 0, 1, 2, 2).unwrap().slice("slice", 1, 0, 3, 2).unwrap();
                let wide = Array::from_vec(vec![1.0, 2.0], &[2, 1]).unwrap().expand("expand", &[2, 3]).unwrap();
                let empty = Array::zeros(&[0, 3]).unwrap();
                let (row, column) = (a.slice("slice", 0, 3, -1, 1).unwrap(), a.slice("slice", 1, 5, 1, 1).unwrap());
                for x in [a.clone(), a.permute("", &[1, 0]).unwrap(), sliced, wide, empty, row, column] {
                    let view = x.$as().unwrap();
                    let expected = DMatrix::from_row_slice(x.shape()[0], x.shape()[1], &x.to_vec());
                    assert_eq!(view, expected);
                    assert_eq!(Array::$from_view(&view).unwrap().to_vec(), x.to_vec());
                    assert_eq!(x.clone().$into().unwrap(), expected);
                }
                let tall = Array::from_vec(vec![1.0, 2.0], &[1, 2]).unwrap().expand("expand", &[3, 2]).unwrap();
                assert_eq!(tall.$as().unwrap_err().kind(), ErrorKind::Argument);
                assert_eq!(tall.$into().unwrap().as_slice(), [1.0, 1.0, 1.0, 2.0, 2.0, 2.0]);
                let reversed = a.slice("slice", 0, 3, -1, 4).unwrap();
                assert_eq!(reversed.$as().unwrap_err().kind(), ErrorKind::Argument);
                assert_eq!(reversed.$into().unwrap()[(0, 0)], 18.0);
                assert_eq!(Array::scalar(1.0).$as().unwrap_err().kind(), ErrorKind::Shape);
                assert_eq!(Array::scalar(1.0).$into().unwrap_err().kind(), ErrorKind::Shape);
                let fixed = Matrix2x3::new(1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0);
                let a = Array::$from_view(&fixed).unwrap();
                assert_eq!((a.shape(), a.to_vec()), (&[2, 3][..], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]));
            }
        }
    };
}

#[cfg(feature = "nalgebra")]
version!(
    nalgebra: "0.35",
    from_nalgebra, from_nalgebra_vector, from_nalgebra_view, as_nalgebra, into_nalgebra, into_nalgebra_vector
);
#[cfg(feature = "nalgebra-0_34")]
version!(
    nalgebra_0_34: "0.34",
    from_nalgebra_0_34, from_nalgebra_0_34_vector, from_nalgebra_0_34_view, as_nalgebra_0_34, into_nalgebra_0_34,
    into_nalgebra_0_34_vector
);
