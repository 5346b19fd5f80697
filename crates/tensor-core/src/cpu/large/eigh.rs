//! Eigenvalues and eigenvectors of symmetric matrices.

use super::ql::eigh_ql;
use super::svd::NotConverged;
use super::transpose::transpose;
use crate::cpu::scale::{largest, near_one};
use crate::element::Float;
use crate::heap::work;
use faer::diag::DiagMut;
use faer::dyn_stack::MemStack;
use faer::linalg::evd::{ComputeEigenvectors, self_adjoint_evd, self_adjoint_evd_scratch};
use faer::{MatMut, MatRef, Par};

/// The largest order that reflections and QL steps treat in less time than faer.
const QL: usize = 100;

/// `A = V diag(w) V^T` (LAPACK `syevd`) of the row-major `n x n` matrix `a`, of which the lower triangle
/// is read: `w` ascending, the columns of the row-major `v` the eigenvectors. On one thread, as `svd`.
///
/// # Errors
///
/// [`NotConverged`] if the triangle is not finite or the iteration fails; the outputs are unspecified.
pub fn eigh<T: Float>(a: &[T], n: usize, w: &mut [T], v: &mut [T]) -> Result<(), NotConverged> {
    assert!(a.len() == n * n && w.len() == n && v.len() == n * n);
    if n == 0 {
        return Ok(());
    }
    if !lower_triangle(a, n).all(Float::is_finite) {
        return Err(NotConverged);
    }
    let scale = near_one(largest(lower_triangle(a, n)));
    // Rows and columns change places: the lower triangle, mirrored, is also that of a column-major matrix,
    // in which faer is at its best.
    let scaled = || {
        let mut whole = work::collect(a.iter().map(|&x| x * scale));
        for i in 0..n {
            for j in i + 1..n {
                whole[i * n + j] = whole[j * n + i];
            }
        }
        whole
    };
    // Divide and conquer has another way to an end, should the steps ever be too many.
    if n > QL || eigh_ql(&mut scaled(), n, w, v).is_err() {
        large(&mut scaled(), n, w, v)?;
    }
    let finite = w.iter().chain(v.iter()).all(|x| Float::is_finite(*x));
    for x in w.iter_mut() {
        *x /= scale;
    }
    if finite { Ok(()) } else { Err(NotConverged) }
}

fn lower_triangle<T: Float>(a: &[T], n: usize) -> impl Iterator<Item = T> {
    a.chunks_exact(n).enumerate().flat_map(|(i, row)| &row[..=i]).copied()
}

/// As [`eigh_ql`], for orders at which divide and conquer takes less time.
fn large<T: Float>(a: &mut [T], n: usize, w: &mut [T], v: &mut [T]) -> Result<(), NotConverged> {
    #[cfg(feature = "blas")]
    if n >= crate::cpu::blas::FROM
        && let Some(info) = (crate::cpu::blas::routines::<T>().syevd)(a, n, w)
    {
        v.copy_from_slice(a);
        transpose(v, n);
        return if info == 0 { Ok(()) } else { Err(NotConverged) };
    }
    let vectors = ComputeEigenvectors::Yes;
    let mut memory = work::stack(self_adjoint_evd_scratch::<T>(n, vectors, Par::Seq, Default::default()));
    self_adjoint_evd(
        MatRef::from_column_major_slice(a, n, n),
        DiagMut::from_slice_mut(w),
        Some(MatMut::from_column_major_slice_mut(v, n, n)),
        Par::Seq,
        MemStack::new(&mut memory),
        Default::default(),
    )
    .map_err(|_| NotConverged)?;
    transpose(v, n);
    Ok(())
}
