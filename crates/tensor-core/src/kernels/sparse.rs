//! Kernels of sparse matrices: values are on a device, and their [`Pattern`] is found on the host.

use crate::array::Array;
use crate::cpu;
use crate::device::Device;
use crate::element::Float;
use crate::error::{Error, Result};
use crate::matrix::part::Triangle;
use crate::once::compiled_once;

pub use super::pattern::{coalesce, positions};
pub use crate::cpu::sparse::product_pattern;
pub use crate::cpu::sparse_solve::{Factors, Method};
#[cfg(feature = "cuda")]
use crate::cuda;
pub use crate::sparse::lines::Lines;
pub use crate::sparse::pattern::Pattern;

/// An error where there is not a value for each element of a pattern.
fn one_each<T: Float>(op: &'static str, pattern: &Pattern, values: &Array<T>) -> Result<()> {
    if *values.shape() == [pattern.count()] {
        return Ok(());
    }
    let message = format!(
        "values {:?} for {} stored elements: a vector with one for each is needed",
        values.shape(),
        pattern.count()
    );
    Err(Error::shape(op, message))
}

kernels! {
    /// A x, or A^T x where `transposed`, for the sparse A of these values and a vector or matrix x.
    ///
    /// # Errors
    /// Shape, where the operands do not fit.
    pub fn product<T: Float>(
        op,
        pattern: &Pattern,
        transposed: bool,
        values: &Array<T>,
        x: &Array<T>,
    ) -> Result<Array<T>> {
        check fits(op, pattern, transposed, values, x);
        on values, x;
        cpu::sparse::product;
        cuda::sparse::product
    }

    /// For each element of the pattern, at row i and column j, the product of row i of u and row j of v: u v^T where the
    /// pattern has an element. Vectors are matrices of one column.
    ///
    /// # Errors
    /// Shape, where the operands do not fit.
    pub fn sampled<T: Float>(op, pattern: &Pattern, u: &Array<T>, v: &Array<T>) -> Result<Array<T>> {
        check rows_and_columns(op, pattern, u, v);
        on u, v;
        cpu::sparse::sampled;
        cuda::sparse::sampled
    }

    /// The values of A B at the places of `out`, for sparse A and B whose places are named once each.
    ///
    /// # Errors
    /// Shape, where the operands do not fit; out of memory.
    pub fn masked<T: Float>(
        op,
        out: &Pattern,
        a: (&Pattern, &Array<T>),
        b: (&Pattern, &Array<T>),
    ) -> Result<Array<T>> {
        check factors_of(op, out, a, b);
        on a.1, b.1;
        cpu::sparse::masked;
        cuda::sparse::masked
    }
}

compiled_once! {
    /// The factors of a sparse matrix whose places are named once each; formed on the host, wherever the values are.
    ///
    /// # Errors
    /// Shape, where the matrix is not square, or for [`Method::Qr`] has more columns than rows; singular or not
    /// positive definite; argument, for NaN and infinity.
    pub fn factor<T: Float>(
        op: &'static str,
        pattern: &Pattern,
        values: &Array<T>,
        method: Method,
    ) -> Result<Factors<T>> {
        one_each(op, pattern, values)?;
        let [m, n] = pattern.shape();
        match method {
            Method::Qr if m < n => {
                let message = format!("sparse matrix {:?} has more columns than rows: lsqr takes it", [m, n]);
                return Err(Error::shape(op, message));
            }
            Method::Cholesky | Method::Lu if m != n => {
                let message = format!("sparse matrix {:?}: a square one is needed", [m, n]);
                return Err(Error::shape(op, message));
            }
            _ => {}
        }
        cpu::sparse_solve::factor(op, pattern, &values.to_device(op, Device::Cpu)?, method)
    }

    /// A^-1 b, or A^-T b where `transposed`, for a vector or the columns of a matrix, on any device; (A^T A)^-1 b from
    /// the factors of least squares, [`Method::Qr`].
    ///
    /// # Errors
    /// Shape, where b does not fit; singular, where a solution is not finite.
    pub fn solve<T: Float>(
        op: &'static str,
        factors: &Factors<T>,
        b: &Array<T>,
        transposed: bool,
    ) -> Result<Array<T>> {
        let x = cpu::sparse_solve::solve(factors, op, &b.to_device(op, Device::Cpu)?, transposed)?;
        x.to_device(op, b.device())
    }

    /// A^-1 b, or A^-T b where `transposed`, for a triangle of a sparse square matrix of these values and a vector or the columns of a
    /// matrix; on the host, wherever they are.
    ///
    /// # Errors
    /// Shape, where the operands do not fit; singular, naming the row of a zero on the diagonal; argument, for NaN and infinity
    /// in the triangle.
    pub fn solve_triangular<T: Float>(
        op: &'static str,
        pattern: &Pattern,
        values: &Array<T>,
        triangle: Triangle,
        transposed: bool,
        b: &Array<T>,
    ) -> Result<Array<T>> {
        one_each(op, pattern, values)?;
        let [m, n] = pattern.shape();
        if m != n || !matches!(b.shape(), [rows] | [rows, _] if *rows == n) {
            let message = format!(
                "sparse matrix {:?} and right-hand side {:?} do not fit: a square matrix and as many rows are needed, in 1 or 2 \
                 dimensions",
                [m, n],
                b.shape()
            );
            return Err(Error::shape(op, message));
        }
        let (values, here) = (values.to_device(op, Device::Cpu)?, b.to_device(op, Device::Cpu)?);
        let x = cpu::sparse_triangular::solve(op, pattern, &values, triangle, transposed, &here)?;
        x.to_device(op, b.device())
    }
}

/// Which elements of a pattern [`solve_triangular`] reads, on the host.
///
/// # Errors
/// Out of memory.
pub fn read_by_triangle(op: &'static str, pattern: &Pattern, triangle: Triangle) -> Result<Array<bool>> {
    cpu::sparse_triangular::read(op, pattern, triangle)
}

fn fits<T: Float>(
    op: &'static str,
    pattern: &Pattern,
    transposed: bool,
    values: &Array<T>,
    x: &Array<T>,
) -> Result<()> {
    one_each(op, pattern, values)?;
    let shape = if transposed { pattern.transposed().shape() } else { pattern.shape() };
    if !matches!(x.shape(), [n] | [n, _] if *n == shape[1]) {
        let message = format!(
            "sparse matrix {shape:?} and operand {:?} do not match: {} rows are needed, in 1 or 2 dimensions",
            x.shape(),
            shape[1]
        );
        return Err(Error::shape(op, message));
    }
    Ok(())
}

fn rows_and_columns<T: Float>(op: &'static str, pattern: &Pattern, u: &Array<T>, v: &Array<T>) -> Result<()> {
    let [m, n] = pattern.shape();
    let fits = match (u.shape(), v.shape()) {
        ([p], [q]) => (*p, *q) == (m, n),
        ([p, k], [q, l]) => (*p, *q) == (m, n) && k == l,
        _ => false,
    };
    if !fits {
        let message = format!(
            "operands {:?} and {:?} do not fit the pattern {:?}: rows and columns of it are needed",
            u.shape(),
            v.shape(),
            pattern.shape()
        );
        return Err(Error::shape(op, message));
    }
    Ok(())
}

fn factors_of<T: Float>(
    op: &'static str,
    out: &Pattern,
    (a, a_values): (&Pattern, &Array<T>),
    (b, b_values): (&Pattern, &Array<T>),
) -> Result<()> {
    one_each(op, a, a_values)?;
    one_each(op, b, b_values)?;
    let ([m, k], [l, n]) = (a.shape(), b.shape());
    if k != l || out.shape() != [m, n] {
        let message =
            format!("sparse matrices {:?} and {:?} do not match: the second needs {k} rows", [m, k], [l, n]);
        return Err(Error::shape(op, message));
    }
    Ok(())
}
