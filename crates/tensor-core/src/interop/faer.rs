//! faer's matrices in and out.

use super::matrix;
use super::memory::Stretch;
use crate::array::Array;
use crate::element::Element;
use crate::error::{Error, OrRaise, Result};
use faer::{Mat, MatRef};
use std::ptr::NonNull;

impl<T: Element> Array<T> {
    /// Takes a matrix over without copying. Its memory stays faer's: writing to the array copies it first.
    ///
    /// ```
    /// use faer::Mat;
    /// use tapegrad::Array;
    /// let m = Mat::from_fn(3, 2, |i, j| (10 * i + j) as f64);
    /// let a = Array::from_faer(m.clone());
    /// assert_eq!(a.to_vec(), [0.0, 1.0, 10.0, 11.0, 20.0, 21.0]);
    /// assert_eq!(a.as_faer()?, m.as_ref());
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    pub fn from_faer(mut matrix: Mat<T>) -> Self {
        let (rows, columns, step) = (matrix.nrows(), matrix.ncols(), matrix.col_stride());
        let shape = [rows, columns];
        if rows == 0 || columns == 0 {
            return Array::zeros(&shape).or_raise();
        }
        let (gap, start) = (step as usize - rows, matrix.as_ptr_mut());
        for column in 1..columns {
            // SAFETY: all columns of an owned matrix lie in its one allocation, so what lies between two of them
            // does, too. It belongs to no element: nothing reads it, and any value of the type may be put there.
            unsafe {
                let between = start.add(column * step as usize - gap);
                (0..gap).for_each(|k| between.add(k).write(T::default()));
            }
        }
        let start = NonNull::new(start).expect("a matrix with elements has memory");
        // SAFETY: from the first element to the last all is initialised, columns by faer and gaps above. The
        // memory is on the heap: it stays where it is when the matrix is moved, which nothing writes any more.
        let memory = unsafe { Stretch::new(matrix, start, (columns - 1) * step as usize + rows) };
        Array::from_memory(memory, &shape, &[1, step], 0).or_raise()
    }

    /// Borrows a matrix, or a vector as a matrix of one column, whatever the strides.
    ///
    /// # Errors
    /// Shape, for any other number of dimensions; device, where the elements are on a GPU.
    pub fn as_faer(&self) -> Result<MatRef<'_, T>> {
        let ([rows, columns], [down, right]) = matrix("as_faer", self)?;
        let first = match self.numel() {
            0 => NonNull::dangling().as_ptr(),
            _ => self.storage().as_ptr().wrapping_add(self.layout().offset()),
        };
        // SAFETY: `matrix` has found all elements within the buffer, which is borrowed for as long as the view.
        Ok(unsafe { MatRef::from_raw_parts(first, rows, columns, down, right) })
    }

    /// Copies a matrix, or a vector as a matrix of one column, into memory of faer's, which aligns it as its
    /// kernels like it.
    ///
    /// # Errors
    /// Shape, for any other number of dimensions; device, where the elements are on a GPU; out of memory.
    pub fn to_faer(&self) -> Result<Mat<T>> {
        let ([rows, columns], _) = matrix("to_faer", self)?;
        let view = self.as_faer()?;
        let mut copy = Mat::new();
        copy.try_reserve(rows, columns)
            .map_err(|_| Error::out_of_memory("to_faer", self.numel().saturating_mul(size_of::<T>())))?;
        copy.resize_with(rows, columns, |i, j| view[(i, j)]);
        Ok(copy)
    }
}

impl<T: Element> From<Mat<T>> for Array<T> {
    fn from(matrix: Mat<T>) -> Self {
        Array::from_faer(matrix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn matrices_are_taken_over_with_their_padding() {
        for (rows, columns) in [(3, 5), (5, 3), (8, 8), (17, 1), (1, 9), (1, 1), (0, 4), (4, 0)] {
            let m = Mat::from_fn(rows, columns, |i, j| (100 * i + j) as f64);
            let place = m.as_ptr();
            let expected = m.clone();
            let a = Array::from(m);
            assert_eq!(a.as_faer().unwrap(), expected.as_ref());
            // A single element lies in the array itself.
            assert!(rows * columns <= 1 || a.storage().as_ptr() == place);
            assert_eq!(a.to_faer().unwrap(), expected);
            let flags = Array::from_faer(Mat::from_fn(rows, columns, |i, _| i % 2 == 1));
            assert!(flags.to_vec().chunks(columns.max(1)).enumerate().all(|(i, r)| r[0] == (i % 2 == 1)));
        }
    }

    #[test]
    fn every_layout_is_lent() {
        let a = Array::from_vec((0..24).collect::<Vec<i64>>(), &[4, 6]).unwrap();
        let reversed = a.slice("slice", 0, 3, -1, 4).unwrap();
        let sliced = a.slice("slice", 0, 1, 2, 2).unwrap().slice("slice", 1, 5, -3, 2).unwrap();
        let wide = Array::from_vec(vec![1, 2], &[2, 1]).unwrap().expand("expand", &[2, 3]).unwrap();
        for x in [
            a.clone(),
            a.permute("", &[1, 0]).unwrap(),
            reversed,
            sliced,
            wide,
            Array::zeros(&[0, 3]).unwrap(),
        ] {
            let elements = x.to_vec();
            let columns = x.shape()[1];
            let expected = Mat::from_fn(x.shape()[0], columns, |i, j| elements[i * columns + j]);
            assert_eq!(x.as_faer().unwrap(), expected.as_ref());
            assert_eq!(Array::from_faer(x.to_faer().unwrap()).to_vec(), elements);
        }
        let column = a.select("select", 1, 2).unwrap();
        assert_eq!(column.as_faer().unwrap().shape(), (4, 1));
        assert_eq!(Array::scalar(1.0).as_faer().unwrap_err().kind(), ErrorKind::Shape);
        let huge = Array::repeat(&[1 << 30, 1 << 29], 1.0).unwrap();
        assert!(matches!(huge.to_faer().unwrap_err().kind(), ErrorKind::OutOfMemory { .. }));
    }
}
