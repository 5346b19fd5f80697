//! Sparse tensors: a differentiable vector of values, and where they belong.
//!
//! The values are an ordinary tensor, so gradients with respect to them have one number for each stored element, of
//! any order; nothing of the full shape is ever formed but by `to_dense`.

mod arithmetic;
mod blocks;
mod compression;
mod convert;
mod detect;
mod display;
mod jacobian;
mod product;
mod solve;
mod triangular;

pub use blocks::BlockJacobian;
pub use jacobian::SparseJacobian;
pub(crate) use solve::Factored;

use autograd::{AsTensor, Indices, Listed, Tensor, body_once};
use tensor_core::kernels::sparse::{Pattern, coalesce, positions};
use tensor_core::shape::{Dims, Integer, IntoDims};
use tensor_core::{Array, AtCaller, Device, Error, Float, Result, kernels, memory};

/// How the places of a sparse tensor are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SparseLayout {
    /// Coordinates: an index of every element for every dimension.
    Coo,
    /// Compressed rows: the elements row by row, with their columns.
    Csr,
    /// Compressed columns: the elements column by column, with their rows.
    Csc,
}

/// A sparse tensor: a matrix of elements that are stored, the others zero; with coordinates, of any number of
/// dimensions.
///
/// ```
/// use tapegrad::Tensor;
/// use tapegrad::linalg::SparseTensor;
/// let values = Tensor::from([3.0, 4.0, 5.0]).requires_grad();
/// let a = SparseTensor::coo(&Tensor::from([[0, 1, 1], [2, 0, 2]]), &values, [2, 3])?;
/// let y = a.mv(&Tensor::from([1.0, 10.0, 100.0]))?;
/// assert_eq!(y.to_vec(), [300.0, 504.0]);
/// y.sum().backward()?;
/// assert_eq!(values.grad().unwrap().to_vec(), [100.0, 1.0, 100.0]);
/// # Ok::<(), tapegrad::Error>(())
/// ```
#[derive(Clone)]
pub struct SparseTensor<T: Float = f64> {
    places: Places,
    values: Tensor<T>,
}

/// Where the values belong.
#[derive(Clone)]
enum Places {
    Matrix(Pattern),
    /// Any number of dimensions; an index for each of them and each value, on the host.
    Grid {
        shape: Dims,
        indices: Array<i64>,
    },
}

impl SparseTensor<f64> {
    /// The identity matrix of `n` rows, by rows.
    ///
    /// ```
    /// use tapegrad::linalg::SparseTensor;
    /// assert_eq!(SparseTensor::eye(1_000_000)?.nnz(), 1_000_000);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Out of memory.
    #[doc(alias = "identity")]
    #[track_caller]
    pub fn eye(n: impl Integer) -> Result<Self> {
        SparseTensor::eye_of(n)
    }
}

impl<T: Float> SparseTensor<T> {
    /// The identity matrix of `n` rows of any type, by rows.
    ///
    /// ```
    /// use tapegrad::linalg::SparseTensor;
    /// let eye = SparseTensor::<f32>::eye_of(3)?;
    /// assert_eq!((eye.shape(), eye.nnz()), (vec![3, 3], 3));
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Out of memory.
    #[track_caller]
    pub fn eye_of(n: impl Integer) -> Result<Self> {
        body_once!(T: Float, [n.to_size("eye").at_caller()?], |n: usize| -> Result<SparseTensor<T>> {
            let make = || {
                let count = |n| kernels::arange("eye", Device::Cpu, n);
                let pattern = Pattern::from_lines("eye", 0, &count(n.saturating_add(1))?, &count(n)?, [n, n])?;
                Ok(SparseTensor::of(pattern, Array::full(&[n], T::ONE)?.into()))
            };
            make()
        })
    }

    /// Element k at the place that column k of `indices`, `[d, nnz]`, names, in a tensor of d dimensions. Places may come
    /// in any order; what is named more than once adds up.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// use tapegrad::linalg::SparseTensor;
    /// // The place (0, 1) is named twice.
    /// let indices = Tensor::from([[0, 0, 1], [1, 1, 0]]);
    /// let a = SparseTensor::coo(&indices, &Tensor::from([1.0, 2.0, 5.0]), [2, 2])?;
    /// assert_eq!(a.to_dense()?.to_vec(), [0.0, 3.0, 5.0, 0.0]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where there is not a row of indices for each dimension and a value for each column; index, for a place
    /// outside of the shape.
    #[track_caller]
    pub fn coo(indices: &Tensor<i64>, values: &Tensor<T>, shape: impl IntoDims) -> Result<Self> {
        body_once!(
            T: Float,
            [indices, values, &shape.into_shape("coo").at_caller()?],
            |indices: &Tensor<i64>, values: &Tensor<T>, shape: &[usize]| -> Result<SparseTensor<T>> {
                SparseTensor::from_places("coo", indices.array(), values, Dims::from_slice(shape))
            }
        )
    }

    /// The matrix `[m, n]` whose row i has the elements from `crow_indices[i]` to `crow_indices[i + 1]`, in the columns
    /// `col_indices`, which ascend within a row.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// use tapegrad::linalg::SparseTensor;
    /// let values = Tensor::from([3.0, 4.0, 5.0]);
    /// let a = SparseTensor::csr([0, 1, 3], [2, 0, 2], &values, [2, 3])?;
    /// assert_eq!(a.to_dense()?.to_vec(), [0.0, 0.0, 3.0, 4.0, 0.0, 5.0]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where there are not m + 1 starts, or not a column for each value; index, for starts or columns that do not
    /// ascend, and columns outside of the matrix.
    #[track_caller]
    pub fn csr(
        crow_indices: impl Indices,
        col_indices: impl Indices,
        values: &Tensor<T>,
        shape: impl IntoDims,
    ) -> Result<Self> {
        let shape = two_sizes("csr", shape).at_caller()?;
        let crow_indices = crow_indices.indices(Device::Cpu).at_caller()?;
        let col_indices = col_indices.indices(Device::Cpu).at_caller()?;
        body_once!(
            T: Float,
            [&crow_indices, &col_indices, values, shape],
            |crow_indices: &Tensor<i64>, col_indices: &Tensor<i64>, values: &Tensor<T>, shape: [usize; 2]| -> Result<SparseTensor<T>> {
                let pattern = Pattern::from_lines("csr", 0, crow_indices.array(), col_indices.array(), shape);
                SparseTensor::with_pattern("csr", pattern, values)
            }
        )
    }

    /// The matrix `[m, n]` whose column j has the elements from `ccol_indices[j]` to `ccol_indices[j + 1]`, in the rows
    /// `row_indices`, which ascend within a column.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// use tapegrad::linalg::SparseTensor;
    /// let a = SparseTensor::csc(vec![0, 1, 2], vec![1, 0], &Tensor::from([5.0, 3.0]), [2, 2])?;
    /// assert_eq!(a.to_dense()?.to_vec(), [0.0, 3.0, 5.0, 0.0]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`SparseTensor::csr`].
    #[track_caller]
    pub fn csc(
        ccol_indices: impl Indices,
        row_indices: impl Indices,
        values: &Tensor<T>,
        shape: impl IntoDims,
    ) -> Result<Self> {
        let shape = two_sizes("csc", shape).at_caller()?;
        let ccol_indices = ccol_indices.indices(Device::Cpu).at_caller()?;
        let row_indices = row_indices.indices(Device::Cpu).at_caller()?;
        body_once!(
            T: Float,
            [&ccol_indices, &row_indices, values, shape],
            |ccol_indices: &Tensor<i64>, row_indices: &Tensor<i64>, values: &Tensor<T>, shape: [usize; 2]| -> Result<SparseTensor<T>> {
                let pattern = Pattern::from_lines("csc", 1, ccol_indices.array(), row_indices.array(), shape);
                SparseTensor::with_pattern("csc", pattern, values)
            }
        )
    }

    /// The matrix `[m, n]` with vectors on its diagonals, with coordinates: the first on the diagonal moved right by the first
    /// of `offsets` (left where it is negative), and so on, as SciPy's `diags_array`. A vector is as long as its diagonal, or
    /// has one element, which is repeated.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// use tapegrad::linalg::SparseTensor;
    /// let (middle, beside) = (Tensor::from([2.0]), Tensor::from([-1.0, -1.0]));
    /// let a = SparseTensor::diags([&middle, &beside, &beside], [0, 1, -1], (3, 3))?;
    /// assert_eq!(a.mv(&Tensor::from([1.0, 2.0, 4.0]))?.to_vec(), [0.0, -1.0, 6.0]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where there is not an offset for each diagonal, or a diagonal has another length; index, for an offset outside of
    /// the matrix or given twice.
    #[doc(alias("spdiags", "diags_array"))]
    #[track_caller]
    pub fn diags(
        diagonals: impl IntoIterator<Item: AsTensor<T>>,
        offsets: impl IntoDims,
        shape: impl IntoDims,
    ) -> Result<Self> {
        let diagonals = Listed::new(diagonals);
        let shape = two_sizes("diags", shape).at_caller()?;
        body_once!(
            T: Float,
            [&diagonals.tensors(), &offsets.into_dims(), shape],
            |diagonals: &[&Tensor<T>], offsets: &[isize], shape: [usize; 2]| -> Result<SparseTensor<T>> {
                on_diagonals(diagonals, offsets, shape)
            }
        )
    }

    fn of(pattern: Pattern, values: Tensor<T>) -> Self {
        SparseTensor { places: Places::Matrix(pattern), values }
    }

    fn with_pattern(op: &'static str, pattern: Result<Pattern>, values: &Tensor<T>) -> Result<Self> {
        let pattern = pattern?;
        one_each(op, pattern.count(), values)?;
        Ok(SparseTensor::of(pattern, values.clone()))
    }

    fn from_places(op: &'static str, indices: &Array<i64>, values: &Tensor<T>, shape: Dims) -> Result<Self> {
        if indices.ndim() != 2 || indices.shape()[0] != shape.len() {
            let message = format!(
                "indices {:?} for shape {shape:?}: a matrix with a row for each dimension is needed",
                indices.shape()
            );
            return Err(Error::shape(op, message));
        }
        one_each(op, indices.shape()[1], values)?;
        if let [m, n] = shape[..] {
            let [rows, columns] = [indices.select(op, 0, 0)?, indices.select(op, 0, 1)?];
            let pattern = Pattern::from_coordinates(op, &rows, &columns, [m, n])?;
            return Ok(SparseTensor::of(pattern, values.clone()));
        }
        // Numbering the places checks them.
        positions(op, indices, &shape)?;
        let indices = kernels::copy(op, &indices.to_device(op, Device::Cpu)?)?;
        Ok(SparseTensor { places: Places::Grid { shape, indices }, values: values.clone() })
    }

    /// The sizes of the dimensions.
    ///
    /// ```
    /// use tapegrad::linalg::SparseTensor;
    /// assert_eq!(SparseTensor::eye(3)?.shape(), [3, 3]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    pub fn shape(&self) -> Vec<usize> {
        match &self.places {
            Places::Matrix(pattern) => pattern.shape().to_vec(),
            Places::Grid { shape, .. } => shape.to_vec(),
        }
    }

    /// The number of dimensions.
    ///
    /// ```
    /// use tapegrad::linalg::SparseTensor;
    /// assert_eq!(SparseTensor::eye(3)?.ndim(), 2);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    #[doc(alias = "dim")]
    pub fn ndim(&self) -> usize {
        self.shape().len()
    }

    /// The number of stored elements, zeros among them counted.
    ///
    /// ```
    /// use tapegrad::linalg::SparseTensor;
    /// assert_eq!(SparseTensor::eye(3)?.nnz(), 3);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    pub fn nnz(&self) -> usize {
        self.values.numel()
    }

    /// How the places are stored.
    ///
    /// ```
    /// use tapegrad::linalg::SparseTensor;
    /// use tapegrad::linalg::SparseLayout;
    /// assert_eq!(SparseTensor::eye(3)?.layout(), SparseLayout::Csr);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    pub fn layout(&self) -> SparseLayout {
        match &self.places {
            Places::Matrix(pattern) => match pattern.given() {
                Some(0) => SparseLayout::Csr,
                Some(_) => SparseLayout::Csc,
                None => SparseLayout::Coo,
            },
            Places::Grid { .. } => SparseLayout::Coo,
        }
    }

    /// Where the values live.
    pub fn device(&self) -> Device {
        self.values.device()
    }

    /// The values, in the order of the stored elements.
    ///
    /// ```
    /// use tapegrad::linalg::SparseTensor;
    /// assert_eq!(SparseTensor::eye(2)?.values().to_vec(), [1.0, 1.0]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    pub fn values(&self) -> &Tensor<T> {
        &self.values
    }

    /// Whether operations on the tensor are recorded: whether its values are tracked.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// use tapegrad::linalg::SparseTensor;
    /// let a = SparseTensor::coo(&Tensor::from([[0], [1]]), &Tensor::from([2.0]).requires_grad(), [2, 2])?;
    /// assert!(a.is_tracked() && a.to_dense()?.is_tracked());
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    pub fn is_tracked(&self) -> bool {
        self.values.is_tracked()
    }

    /// Other values at the same places; what products and solvers know of the places is shared.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// use tapegrad::linalg::SparseTensor;
    /// let a = SparseTensor::eye(2)?.with_values(&Tensor::from([2.0, 4.0]))?;
    /// assert_eq!(a.mv(&Tensor::ones([2]))?.to_vec(), [2.0, 4.0]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where there is not a value for each stored element.
    #[track_caller]
    pub fn with_values<U: Float>(&self, values: &Tensor<U>) -> Result<SparseTensor<U>> {
        one_each("with_values", self.nnz(), values).at_caller()?;
        Ok(SparseTensor { places: self.places.clone(), values: values.clone() })
    }

    /// The index of every stored element for every dimension: `[d, nnz]`, on the host.
    ///
    /// ```
    /// use tapegrad::linalg::SparseTensor;
    /// assert_eq!(SparseTensor::eye(2)?.indices()?.to_vec(), [0, 1, 0, 1]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Out of memory.
    #[track_caller]
    pub fn indices(&self) -> Result<Tensor<i64>> {
        self.places("indices").map(Tensor::from).at_caller()
    }

    fn places(&self, op: &'static str) -> Result<Array<i64>> {
        match &self.places {
            Places::Grid { indices, .. } => Ok(indices.clone()),
            Places::Matrix(pattern) => {
                let [rows, columns] = pattern.coordinates(op)?;
                kernels::cat(op, &[&rows.insert_dim(op, 0)?, &columns.insert_dim(op, 0)?], 0)
            }
        }
    }

    /// For compressed rows the start of each row among the elements, and of what follows the last; for compressed
    /// columns that of each column. On the host.
    ///
    /// ```
    /// use tapegrad::linalg::SparseTensor;
    /// assert_eq!(SparseTensor::eye(2)?.compressed_indices()?.to_vec(), [0, 1, 2]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Argument, for coordinates: `to_csr` compresses them.
    #[track_caller]
    pub fn compressed_indices(&self) -> Result<Tensor<i64>> {
        self.lines("compressed_indices").map(|(starts, _)| starts.into()).at_caller()
    }

    /// For compressed rows the column of each element; for compressed columns its row. On the host.
    ///
    /// ```
    /// use tapegrad::linalg::SparseTensor;
    /// assert_eq!(SparseTensor::eye(2)?.plain_indices()?.to_vec(), [0, 1]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Argument, for coordinates: `to_csr` compresses them.
    #[track_caller]
    pub fn plain_indices(&self) -> Result<Tensor<i64>> {
        self.lines("plain_indices").map(|(_, across)| across.into()).at_caller()
    }

    fn lines(&self, op: &'static str) -> Result<(Array<i64>, Array<i64>)> {
        match &self.places {
            Places::Matrix(pattern) if pattern.given().is_some() => {
                let lines = pattern.lines(op, pattern.given().unwrap_or(0))?;
                Ok((lines.starts.clone(), lines.across.clone()))
            }
            _ => Err(Error::argument(op, "coordinates are not compressed: use to_csr or to_csc, or indices")),
        }
    }

    /// The pattern of a matrix.
    fn pattern(&self, op: &'static str) -> Result<&Pattern> {
        match &self.places {
            Places::Matrix(pattern) => Ok(pattern),
            Places::Grid { shape, .. } => {
                let message = format!("the sparse tensor has shape {:?}: a matrix is needed", &shape[..]);
                Err(Error::shape(op, message))
            }
        }
    }
}

fn on_diagonals<T: Float>(
    diagonals: &[&Tensor<T>],
    offsets: &[isize],
    [m, n]: [usize; 2],
) -> Result<SparseTensor<T>> {
    if diagonals.len() != offsets.len() {
        let message =
            format!("{} diagonals and {} offsets: one each is needed", diagonals.len(), offsets.len());
        return Err(Error::shape("diags", message));
    }
    let (mut rows, mut columns, mut values) = (Vec::new(), Vec::new(), Vec::new());
    for (k, (diagonal, &offset)) in diagonals.iter().zip(offsets).enumerate() {
        let [above, left] = [offset.min(0).unsigned_abs(), offset.max(0) as usize];
        if above >= m.max(1) || left >= n.max(1) {
            let message = format!("offset {offset} is outside of a matrix [{m}, {n}]");
            return Err(Error::index("diags", message));
        }
        if offsets[..k].contains(&offset) {
            return Err(Error::index("diags", format!("offset {offset} is given twice: add the diagonals")));
        }
        let length = (m - above).min(n - left);
        let fits = diagonal.ndim() <= 1 && (diagonal.numel() == length || diagonal.numel() == 1);
        if !fits {
            let message = format!(
                "a diagonal of shape {:?} at offset {offset} of a matrix [{m}, {n}]: {length} elements are needed, or one",
                diagonal.shape()
            );
            return Err(Error::shape("diags", message));
        }
        memory::grow("diags", &mut rows, length)?;
        memory::grow("diags", &mut columns, length)?;
        rows.extend((above..above + length).map(|i| i as i64));
        columns.extend((left..left + length).map(|j| j as i64));
        values.push(diagonal.expand([length])?);
    }
    let count = rows.len();
    memory::grow("diags", &mut rows, count)?;
    rows.append(&mut columns);
    let values =
        if values.is_empty() { Tensor::zeros_on(&Device::Cpu, [0])? } else { Tensor::cat(&values, 0)? };
    let places = Array::from_vec(rows, &[2, count])?;
    SparseTensor::from_places("diags", &places, &values, Dims::from_slice(&[m, n]))
}

/// The sizes of a matrix.
fn two_sizes(op: &'static str, shape: impl IntoDims) -> Result<[usize; 2]> {
    let shape = shape.into_shape(op)?;
    <[usize; 2]>::try_from(&shape[..]).map_err(|_| {
        Error::shape(op, format!("shape {:?}: the two sizes of a matrix are needed", &shape[..]))
    })
}

/// An error where there is not a value for each stored element.
fn one_each<T: Float>(op: &'static str, count: usize, values: &Tensor<T>) -> Result<()> {
    if *values.shape() == [count] {
        return Ok(());
    }
    let message = format!("values {:?} for {count} stored elements: a vector is needed", values.shape());
    Err(Error::shape(op, message))
}

#[cfg(test)]
mod tests;
