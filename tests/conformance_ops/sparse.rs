//! Sparse matrices, given by places and values.

use super::{Call, Operation, one};
use tapegrad::prelude::*;

/// The operations of this file.
pub fn operations<T: Float>() -> &'static [Operation<T>] {
    &[
        ("sparse_mv", |c| one(sparse(c)?.mv(c.float("vec")?)?)),
        ("sparse_mm", |c| one(sparse(c)?.mm(c.float("mat2")?)?)),
        ("sparse_to_dense", |c| one(sparse(c)?.to_dense()?)),
        ("sparse_csr", |c| one(sparse(c)?.to_csr()?.mv(c.float("vec")?)?)),
        ("sparse_csc", |c| one(sparse(c)?.to_csc()?.mv(c.float("vec")?)?)),
        ("sparse_t", |c| one(sparse(c)?.to_csr()?.t()?.to_dense()?)),
        ("sparse_coalesce", |c| one(sparse(c)?.coalesce()?.to_dense()?)),
        ("sparse_from_dense", |c| one(SparseTensor::from_dense(c.input()?)?.mv(c.float("vec")?)?)),
        ("sparse_sum", |c| one(sparse(c)?.sum())),
        ("sparse_sum_dim", |c| one(sparse(c)?.sum_dim(&c.dims("dim")?)?)),
        ("sparse_scale", |c| one(sparse(c)?.scale(c.float("factor")?)?.to_dense()?)),
        ("sparse_mul_dense", |c| one(sparse(c)?.mul_dense(c.float("other")?)?.to_dense()?)),
        ("sparse_add", |c| one(sparse(c)?.try_add(&other_sparse(c)?)?.to_dense()?)),
        ("sparse_sub", |c| one(sparse(c)?.to_csr()?.try_sub(&other_sparse(c)?)?.to_dense()?)),
        ("sparse_mm_sparse", |c| one(sparse(c)?.mm_sparse(&other_sparse(c)?)?.to_dense()?)),
        ("sparse_solve", |c| one(sparse(c)?.solve(c.float("other")?)?)),
        ("sparse_solve_triangular", |c| {
            let triangle = linalg::Triangle { upper: c.flag("upper")?, unit: c.flag("unit")? };
            one(sparse(c)?.solve_triangular(c.float("other")?, triangle)?)
        }),
        ("sparse_cholesky_solve", |c| one(sparse(c)?.cholesky_solve(c.float("other")?)?)),
        ("sparse_lstsq", |c| one(sparse(c)?.lstsq(c.float("other")?)?)),
        ("cg", |c| one(linalg::cg(&sparse(c)?, c.float("other")?, exact::<T>())?.x)),
        ("lsqr", |c| one(linalg::lsqr(&sparse(c)?, c.float("other")?, exact::<T>())?.x)),
    ]
}

/// The sparse matrix of these places and values.
fn sparse<T: Float>(c: &Call<T>) -> Result<SparseTensor<T>> {
    SparseTensor::coo(c.integers("indices")?, c.float("values")?, c.sizes("size")?)
}

/// The other one.
fn other_sparse<T: Float>(c: &Call<T>) -> Result<SparseTensor<T>> {
    SparseTensor::coo(c.integers("other_indices")?, c.float("other_values")?, c.sizes("other_size")?)
}

/// Iterations that end at rounding.
fn exact<T: Float>() -> linalg::IterativeOptions {
    linalg::IterativeOptions { tolerance: 20.0 * T::EPSILON.to_f64(), ..Default::default() }
}
