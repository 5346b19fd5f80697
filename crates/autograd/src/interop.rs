//! Tensors from and to the arrays of other crates. What goes in is a constant; what comes out is the value alone.

use crate::tensor::Tensor;
use ndarray::{ArcArray, ArrayD, ArrayView, ArrayViewD, Dimension};
use std::sync::Arc;
use tensor_core::dlpack::{DLManagedTensor, DLManagedTensorVersioned, Lent};
use tensor_core::shape::IntoDims;
use tensor_core::{Array, AtCaller, Element, Memory, OrRaise, Result};

/// Slices and vectors.
impl<T: Element> Tensor<T> {
    /// Copies a slice, in row-major order.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let samples = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    /// let x = Tensor::from_slice(&samples, [2, 3])?;
    /// assert_eq!(x.as_slice(), Some(&samples[..]));
    /// assert!(Tensor::from_slice(&samples, [2, 2]).is_err());
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where the slice does not have as many elements as the shape; out of memory.
    #[track_caller]
    pub fn from_slice(data: &[T], shape: impl IntoDims) -> Result<Self> {
        Ok(Array::from_slice(data, &shape.into_shape("from_slice").at_caller()?).at_caller()?.into())
    }

    /// Reads memory of another owner through strides, in elements from element `offset`, without copying; see
    /// [`Array::from_memory`].
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// use std::sync::Arc;
    /// let shared: Arc<[i64]> = (0..6).collect();
    /// // The rows of a 3 x 2 matrix, the last one first.
    /// let x = Tensor::from_memory(shared.clone(), [3, 2], &[-2, 1], 4)?;
    /// assert_eq!(x.to_vec(), [4, 5, 2, 3, 0, 1]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where strides and offset leave the memory, or there is not a stride for each dimension.
    #[track_caller]
    pub fn from_memory(
        memory: impl Memory<T> + 'static,
        shape: impl IntoDims,
        strides: &[isize],
        offset: usize,
    ) -> Result<Self> {
        Ok(Array::from_memory(memory, &shape.into_shape("from_memory").at_caller()?, strides, offset)
            .at_caller()?
            .into())
    }

    /// Borrows the elements in row-major order, where they lie that way in the host's memory.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from([[1, 2], [3, 4]]);
    /// assert_eq!(x.as_slice(), Some(&[1, 2, 3, 4][..]));
    /// assert_eq!(x.t()?.as_slice(), None);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    #[track_caller]
    pub fn as_slice(&self) -> Option<&[T]> {
        self.read("as_slice").as_slice()
    }

    /// Gives the elements in row-major order: the vector itself where nothing else shares it and it lies that way,
    /// else a copy.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from(vec![1.0, 2.0, 3.0]);
    /// let place = x.as_slice().unwrap().as_ptr();
    /// assert_eq!(x.into_vec().as_ptr(), place);
    /// ```
    #[track_caller]
    pub fn into_vec(self) -> Vec<T> {
        self.into_read("into_vec").into_vec()
    }
}

impl<T: Element> From<&[T]> for Tensor<T> {
    fn from(x: &[T]) -> Self {
        Tensor::from_slice(x, x.len()).or_raise()
    }
}

/// Without copying; writing copies first.
impl<T: Element> From<Arc<[T]>> for Tensor<T> {
    fn from(x: Arc<[T]>) -> Self {
        let n = x.len();
        Tensor::from_memory(x, n, &[1], 0).or_raise()
    }
}

/// ndarray, in the version that is re-exported.
impl<T: Element> Tensor<T> {
    /// Takes an ndarray's vector over, without copying, whatever its strides.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from_ndarray(ndarray::array![[1, 2], [3, 4]].reversed_axes());
    /// assert_eq!((x.to_vec(), x.is_contiguous()), (vec![1, 3, 2, 4], false));
    /// ```
    #[doc(alias("from_numpy", "as_tensor"))]
    pub fn from_ndarray<D: Dimension>(array: ndarray::Array<T, D>) -> Self {
        Array::from_ndarray(array).into()
    }

    /// Reads an array that ndarray shares, without copying, whatever its strides. Whoever writes first, ndarray or
    /// the tensor, copies.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// use ndarray::Array2;
    /// let mut shared = Array2::from_elem((2, 2), 1.0).into_shared();
    /// let x = Tensor::from_ndarray_shared(shared.clone());
    /// assert_eq!(x.as_ndarray().as_ptr(), shared.as_ptr());
    /// shared[[0, 0]] = 5.0;
    /// assert_eq!(x.to_vec(), [1.0; 4]);
    /// ```
    pub fn from_ndarray_shared<D: Dimension + 'static>(array: ArcArray<T, D>) -> Self {
        Array::from_ndarray_shared(array).into()
    }

    /// Copies the elements of a view, which may end before the tensor does.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let a = ndarray::array![[1, 2], [3, 4]];
    /// assert_eq!(Tensor::from_ndarray_view(a.column(1))?.to_vec(), [2, 4]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Out of memory.
    #[track_caller]
    pub fn from_ndarray_view<D: Dimension>(view: ArrayView<'_, T, D>) -> Result<Self> {
        Ok(Array::from_ndarray_view(view).at_caller()?.into())
    }

    /// Borrows the elements as an ndarray view, whatever the strides.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from([[1, 2], [3, 4]]);
    /// assert_eq!(x.t()?.as_ndarray()[[0, 1]], 3);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Panics
    /// Where they are on a GPU: [`Tensor::cpu`] brings them back.
    #[doc(alias = "numpy")]
    #[track_caller]
    pub fn as_ndarray(&self) -> ArrayViewD<'_, T> {
        self.read("as_ndarray").as_ndarray()
    }

    /// Borrows the elements as an ndarray view of so many dimensions.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// use ndarray::Ix2;
    /// let x = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
    /// assert_eq!(x.as_ndarray_dim::<Ix2>()?.diag().sum(), 5.0);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where there are more or fewer dimensions; device, where the elements are on a GPU.
    #[track_caller]
    pub fn as_ndarray_dim<D: Dimension>(&self) -> Result<ArrayView<'_, T, D>> {
        self.read("as_ndarray_dim").as_ndarray_dim().at_caller()
    }

    /// Gives the elements to ndarray: the vector itself where nothing else shares it, else a copy.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// assert_eq!(Tensor::from([[1, 2]]).into_ndarray(), ndarray::array![[1, 2]].into_dyn());
    /// ```
    #[track_caller]
    pub fn into_ndarray(self) -> ArrayD<T> {
        self.into_read("into_ndarray").into_ndarray()
    }

    /// As [`Tensor::into_ndarray`], as an array of so many dimensions.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let a: ndarray::Array2<i64> = Tensor::from([[1, 2], [3, 4]]).into_ndarray_dim()?;
    /// assert_eq!(a.row(1).to_vec(), [3, 4]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where there are more or fewer dimensions.
    #[track_caller]
    pub fn into_ndarray_dim<D: Dimension>(self) -> Result<ndarray::Array<T, D>> {
        self.into_read("into_ndarray_dim").into_ndarray_dim().at_caller()
    }
}

impl<T: Element, D: Dimension> From<ndarray::Array<T, D>> for Tensor<T> {
    fn from(array: ndarray::Array<T, D>) -> Self {
        Tensor::from_ndarray(array)
    }
}

impl<T: Element, D: Dimension + 'static> From<ArcArray<T, D>> for Tensor<T> {
    fn from(array: ArcArray<T, D>) -> Self {
        Tensor::from_ndarray_shared(array)
    }
}

/// ndarray 0.15.
#[cfg(feature = "ndarray-0_15")]
impl<T: Element> Tensor<T> {
    /// [`Tensor::from_ndarray`] for ndarray 0.15.
    ///
    /// ```
    /// use tapegrad::{Tensor, ndarray_0_15};
    /// let x = Tensor::from_ndarray_0_15(ndarray_0_15::arr2(&[[1.0, 2.0], [3.0, 4.0]]));
    /// assert_eq!(x.as_ndarray_0_15()?[[1, 0]], 3.0);
    /// assert_eq!((x * 2.0).into_ndarray_0_15().sum(), 20.0);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    pub fn from_ndarray_0_15<D: tensor_core::ndarray_0_15::Dimension>(
        array: tensor_core::ndarray_0_15::Array<T, D>,
    ) -> Self {
        Array::from_ndarray_0_15(array).into()
    }

    /// [`Tensor::as_ndarray`] for ndarray 0.15.
    ///
    /// # Errors
    /// Device, where the elements are on a GPU.
    #[track_caller]
    pub fn as_ndarray_0_15(&self) -> Result<tensor_core::ndarray_0_15::ArrayViewD<'_, T>> {
        self.read("as_ndarray_0_15").as_ndarray_0_15().at_caller()
    }

    /// [`Tensor::into_ndarray`] for ndarray 0.15, in row-major order.
    #[track_caller]
    pub fn into_ndarray_0_15(self) -> tensor_core::ndarray_0_15::ArrayD<T> {
        self.into_read("into_ndarray_0_15").into_ndarray_0_15()
    }
}

/// ndarray 0.16.
#[cfg(feature = "ndarray-0_16")]
impl<T: Element> Tensor<T> {
    /// [`Tensor::from_ndarray`] for ndarray 0.16.
    ///
    /// ```
    /// use tapegrad::{Tensor, ndarray_0_16};
    /// let x = Tensor::from_ndarray_0_16(ndarray_0_16::arr2(&[[1.0, 2.0], [3.0, 4.0]]));
    /// assert_eq!(x.as_ndarray_0_16()?[[1, 0]], 3.0);
    /// assert_eq!((x * 2.0).into_ndarray_0_16().sum(), 20.0);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    pub fn from_ndarray_0_16<D: tensor_core::ndarray_0_16::Dimension>(
        array: tensor_core::ndarray_0_16::Array<T, D>,
    ) -> Self {
        Array::from_ndarray_0_16(array).into()
    }

    /// [`Tensor::as_ndarray`] for ndarray 0.16.
    ///
    /// # Errors
    /// Device, where the elements are on a GPU.
    #[track_caller]
    pub fn as_ndarray_0_16(&self) -> Result<tensor_core::ndarray_0_16::ArrayViewD<'_, T>> {
        self.read("as_ndarray_0_16").as_ndarray_0_16().at_caller()
    }

    /// [`Tensor::into_ndarray`] for ndarray 0.16, in row-major order.
    #[track_caller]
    pub fn into_ndarray_0_16(self) -> tensor_core::ndarray_0_16::ArrayD<T> {
        self.into_read("into_ndarray_0_16").into_ndarray_0_16()
    }
}

/// DLPack: other languages.
impl<T: Element> Tensor<T> {
    /// Makes the value ready to be lent through DLPack, to be read only, without copying.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from([1.0, 2.0]);
    /// let pointer = x.to_dlpack()?.into_raw();
    /// // In place of another library: SAFETY: the pointer is fresh, and given away once.
    /// let y: Tensor = unsafe { Tensor::from_dlpack(pointer) }?;
    /// assert_eq!(y.as_slice().unwrap().as_ptr(), x.as_slice().unwrap().as_ptr());
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Device, where the elements are on a GPU.
    #[track_caller]
    pub fn to_dlpack(&self) -> Result<Lent<T>> {
        self.read("to_dlpack").clone().into_dlpack().at_caller()
    }

    /// Makes the value ready to be lent through DLPack, without copying. Whoever gets it may write to it where nothing
    /// else shares it, and only read it otherwise.
    ///
    /// # Errors
    /// Device, where the elements are on a GPU.
    #[track_caller]
    pub fn into_dlpack(self) -> Result<Lent<T>> {
        self.into_read("into_dlpack").into_dlpack().at_caller()
    }

    /// Reads a tensor of somebody else's without copying, from the pointer of a capsule named `dltensor_versioned`;
    /// see [`Array::from_dlpack`].
    ///
    /// # Safety
    /// As for [`Array::from_dlpack`]: nobody else releases the tensor or writes to its memory, and any thread may
    /// release it.
    ///
    /// # Errors
    /// As for [`Array::from_dlpack`]. The tensor is released then.
    #[track_caller]
    pub unsafe fn from_dlpack(tensor: *mut DLManagedTensorVersioned) -> Result<Self> {
        // SAFETY: the caller's promise.
        Ok(unsafe { Array::from_dlpack(tensor) }.at_caller()?.into())
    }

    /// As [`Tensor::from_dlpack`], from the pointer of a capsule named `dltensor`, as before version 1 of DLPack.
    ///
    /// # Safety
    /// As for [`Tensor::from_dlpack`].
    ///
    /// # Errors
    /// As for [`Tensor::from_dlpack`].
    #[track_caller]
    pub unsafe fn from_dlpack_unversioned(tensor: *mut DLManagedTensor) -> Result<Self> {
        // SAFETY: the caller's promise.
        Ok(unsafe { Array::from_dlpack_unversioned(tensor) }.at_caller()?.into())
    }
}

/// The methods for one version of nalgebra.
#[cfg(any(feature = "nalgebra", feature = "nalgebra-0_34"))]
macro_rules! with_nalgebra {
    (
        $nalgebra:ident: $number:literal,
        $from:ident, $from_vector:ident, $from_view:ident, $as:ident, $into:ident, $into_vector:ident
    ) => {
        mod $nalgebra {
            use super::*;
            use tensor_core::$nalgebra::{DMatrix, DMatrixView, DVector, Dim, Dyn, Matrix, RawStorage};

            #[doc = concat!("nalgebra ", $number, ".")]
            impl<T: Element> Tensor<T> {
                /// Takes the vector of a matrix over, without copying, column after column as it lies.
                ///
                /// ```
                /// use tapegrad::Tensor;
                #[doc = concat!("use tapegrad::", stringify!($nalgebra), "::DMatrix;")]
                /// let m = DMatrix::from_row_slice(2, 2, &[1.0, 2.0, 3.0, 4.0]);
                #[doc = concat!("let x = Tensor::", stringify!($from), "(m);")]
                /// assert_eq!(x.to_vec(), [1.0, 2.0, 3.0, 4.0]);
                #[doc = concat!("assert_eq!(x.", stringify!($into), "()?[(1, 0)], 3.0);")]
                /// # Ok::<(), tapegrad::Error>(())
                /// ```
                pub fn $from(matrix: DMatrix<T>) -> Self {
                    Array::$from(matrix).into()
                }

                /// Takes the elements of a vector over, without copying, as a tensor of one dimension.
                pub fn $from_vector(vector: DVector<T>) -> Self {
                    Array::$from_vector(vector).into()
                }

                /// Copies a matrix of any storage: a view, which may end before the tensor does, or one of a fixed size.
                ///
                /// # Errors
                /// Out of memory.
                #[track_caller]
                pub fn $from_view<R: Dim, C: Dim, S: RawStorage<T, R, C>>(
                    view: &Matrix<T, R, C, S>,
                ) -> Result<Self> {
                    Ok(Array::$from_view(view).at_caller()?.into())
                }

                /// Borrows a matrix, or a vector as a matrix of one column.
                ///
                /// ```
                /// use tapegrad::Tensor;
                /// let a = Tensor::from([[2.0, 0.0], [0.0, 4.0]]);
                #[doc = concat!("assert_eq!(a.", stringify!($as), "()?.determinant(), 8.0);")]
                /// # Ok::<(), tapegrad::Error>(())
                /// ```
                ///
                /// # Errors
                /// Shape, for any other number of dimensions; argument, where a dimension runs backwards or one row
                /// stands for several, which nalgebra cannot walk; device, where the elements are on a GPU.
                #[track_caller]
                pub fn $as(&self) -> Result<DMatrixView<'_, T, Dyn, Dyn>> {
                    self.read(stringify!($as)).$as().at_caller()
                }

                /// Gives a matrix, or a vector as a matrix of one column, to nalgebra: the vector itself where nothing
                /// else shares it and it lies column after column, else a copy.
                ///
                /// ```
                /// use tapegrad::Tensor;
                #[doc = concat!("let m = Tensor::from([[1.0, 2.0], [3.0, 4.0]]).", stringify!($into), "()?;")]
                /// assert_eq!((m[(0, 1)], m.trace()), (2.0, 5.0));
                /// # Ok::<(), tapegrad::Error>(())
                /// ```
                ///
                /// # Errors
                /// Shape, for any other number of dimensions.
                #[track_caller]
                pub fn $into(self) -> Result<DMatrix<T>> {
                    self.into_read(stringify!($into)).$into().at_caller()
                }

                /// Gives a tensor of one dimension to nalgebra: the vector itself where nothing else shares it, else a
                /// copy.
                ///
                /// # Errors
                /// Shape, for any other number of dimensions.
                #[track_caller]
                pub fn $into_vector(self) -> Result<DVector<T>> {
                    self.into_read(stringify!($into_vector)).$into_vector().at_caller()
                }
            }

            impl<T: Element> From<DMatrix<T>> for Tensor<T> {
                fn from(matrix: DMatrix<T>) -> Self {
                    Tensor::$from(matrix)
                }
            }

            impl<T: Element> From<DVector<T>> for Tensor<T> {
                fn from(vector: DVector<T>) -> Self {
                    Tensor::$from_vector(vector)
                }
            }
        }
    };
}

#[cfg(feature = "nalgebra")]
with_nalgebra!(
    nalgebra: "0.35",
    from_nalgebra, from_nalgebra_vector, from_nalgebra_view, as_nalgebra, into_nalgebra, into_nalgebra_vector
);
#[cfg(feature = "nalgebra-0_34")]
with_nalgebra!(
    nalgebra_0_34: "0.34",
    from_nalgebra_0_34, from_nalgebra_0_34_vector, from_nalgebra_0_34_view, as_nalgebra_0_34, into_nalgebra_0_34,
    into_nalgebra_0_34_vector
);

#[cfg(feature = "faer")]
mod with_faer {
    use super::*;
    use tensor_core::faer::{Mat, MatRef};

    /// faer.
    impl<T: Element> Tensor<T> {
        /// Takes a matrix over without copying. Its memory stays faer's: writing to the tensor copies it first.
        ///
        /// ```
        /// use tapegrad::Tensor;
        /// use tapegrad::faer::Mat;
        /// let x = Tensor::from_faer(Mat::from_fn(2, 2, |i, j| (2 * i + j) as f64));
        /// assert_eq!(x.to_vec(), [0.0, 1.0, 2.0, 3.0]);
        /// assert_eq!(x.as_faer()?[(1, 0)], 2.0);
        /// # Ok::<(), tensor_core::Error>(())
        /// ```
        pub fn from_faer(matrix: Mat<T>) -> Self {
            Array::from_faer(matrix).into()
        }

        /// Borrows a matrix, or a vector as a matrix of one column, whatever the strides.
        ///
        /// ```
        /// use tapegrad::Tensor;
        /// let a = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
        /// assert_eq!(a.t()?.as_faer()?[(0, 1)], 3.0);
        /// # Ok::<(), tapegrad::Error>(())
        /// ```
        ///
        /// # Errors
        /// Shape, for any other number of dimensions; device, where the elements are on a GPU.
        #[track_caller]
        pub fn as_faer(&self) -> Result<MatRef<'_, T>> {
            self.read("as_faer").as_faer().at_caller()
        }

        /// Copies a matrix, or a vector as a matrix of one column, into memory of faer's.
        ///
        /// ```
        /// use tapegrad::Tensor;
        /// let m = Tensor::from([[1.0, 2.0], [3.0, 4.0]]).to_faer()?;
        /// assert_eq!((m.nrows(), m[(1, 0)]), (2, 3.0));
        /// # Ok::<(), tapegrad::Error>(())
        /// ```
        ///
        /// # Errors
        /// Shape, for any other number of dimensions; device, where the elements are on a GPU; out of memory.
        #[track_caller]
        pub fn to_faer(&self) -> Result<Mat<T>> {
            self.read("to_faer").to_faer().at_caller()
        }
    }

    impl<T: Element> From<Mat<T>> for Tensor<T> {
        fn from(matrix: Mat<T>) -> Self {
            Tensor::from_faer(matrix)
        }
    }
}

mod with_serde {
    use super::*;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    /// Element type, shape, and the elements in row-major order; whether a gradient was asked for is not kept. In
    /// formats that people read, such as JSON, numbers that are not finite are the strings `nan`, `inf` and `-inf`.
    impl<T: Element + Serialize> Serialize for Tensor<T> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            self.array().serialize(serializer)
        }
    }

    /// A constant. Another element type, and elements that do not fill the shape, are errors.
    impl<'de, T: Element + Deserialize<'de>> Deserialize<'de> for Tensor<T> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            Array::deserialize(deserializer).map(Tensor::from)
        }
    }
}
