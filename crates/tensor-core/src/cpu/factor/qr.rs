//! QR factorisation by Householder reflections.

use super::to_rows;
use crate::cpu::scale::{largest, near_one};
use crate::element::Float;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::householder::{
    apply_block_householder_sequence_on_the_left_in_place_scratch,
    apply_block_householder_sequence_on_the_left_in_place_with_conj,
};
use faer::linalg::qr::no_pivoting::factor::{qr_in_place, qr_in_place_scratch, recommended_block_size};
use faer::{Conj, Mat, MatMut, Par};

/// `A = Q R` (LAPACK `geqrf`, `orgqr`) of the row-major `m x n` matrix `a`: `q` is `m x k` with orthonormal
/// columns, `r` is `k x n` and upper triangular with a diagonal that is not negative. `k` is `min(m, n)`, or
/// `m` for the complete factorisation.
pub fn qr<T: Float>(a: &[T], m: usize, n: usize, k: usize, q: &mut [T], r: &mut [T]) {
    assert!(a.len() == m * n && q.len() == m * k && r.len() == k * n && (k == m.min(n) || k == m));
    let size = m.min(n);
    r.fill(T::ZERO);
    // Column by column, as faer is at its best.
    let mut columns = vec![T::ZERO; m * k];
    for i in 0..k {
        columns[i * m + i] = T::ONE;
    }
    if size == 0 {
        return q.copy_from_slice(&columns);
    }
    // A column that is scaled has the same Q, and a column of R that is scaled alike: each keeps its digits.
    let scales: Vec<T> = (0..n).map(|j| near_one(largest(a[j..].iter().step_by(n).copied()))).collect();
    let mut factors = Mat::from_fn(m, n, |i, j| a[i * n + j] * scales[j]);
    let block = recommended_block_size::<T>(m, n);
    let mut coefficients = Mat::<T>::zeros(block, size);
    let mut memory = MemBuffer::new(qr_in_place_scratch::<T>(m, n, block, Par::Seq, Default::default()));
    let stack = MemStack::new(&mut memory);
    qr_in_place(factors.as_mut(), coefficients.as_mut(), Par::Seq, stack, Default::default());
    for i in 0..size {
        for j in i..n {
            r[i * n + j] = factors[(i, j)] / scales[j];
        }
    }
    let scratch = apply_block_householder_sequence_on_the_left_in_place_scratch::<T>(m, block, k);
    let mut memory = MemBuffer::new(scratch);
    apply_block_householder_sequence_on_the_left_in_place_with_conj(
        factors.as_ref().subcols(0, size),
        coefficients.as_ref(),
        Conj::No,
        MatMut::from_column_major_slice_mut(&mut columns, m, k),
        Par::Seq,
        MemStack::new(&mut memory),
    );
    to_rows(&columns, m, k, q);
    // Reflections leave the signs open: with a diagonal of R that is not negative, the factors are unique.
    let negative: Vec<bool> = (0..size).map(|i| r[i * n + i] < T::ZERO).collect();
    for (row, _) in r.chunks_exact_mut(n).zip(&negative).filter(|(_, negative)| **negative) {
        row.iter_mut().for_each(|x| *x = -*x);
    }
    for row in q.chunks_exact_mut(k) {
        for (x, _) in row.iter_mut().zip(&negative).filter(|(_, negative)| **negative) {
            *x = -*x;
        }
    }
}
