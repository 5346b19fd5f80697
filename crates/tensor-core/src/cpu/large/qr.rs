//! QR factorisation by Householder reflections.

use super::householder::Reflections;
use super::transpose::to_rows;
use crate::cpu::scale::{largest, near_one};
use crate::element::Float;
use crate::heap::work;
use faer::dyn_stack::MemStack;
use faer::linalg::householder::{
    apply_block_householder_sequence_on_the_left_in_place_scratch,
    apply_block_householder_sequence_on_the_left_in_place_with_conj,
};
use faer::linalg::qr::no_pivoting::factor::{qr_in_place, qr_in_place_scratch, recommended_block_size};
use faer::linalg::{temp_mat_scratch, temp_mat_zeroed};
use faer::mat::AsMatMut;
use faer::reborrow::{Reborrow, ReborrowMut};
use faer::{Conj, MatMut, Par};

/// `A = Q R` (LAPACK `geqrf`, `orgqr`) of the row-major `m x n` matrix `a`: `q` is `m x k` with orthonormal
/// columns, `r` is `k x n` and upper triangular with a diagonal that is not negative. `k` is `min(m, n)`, or
/// `m` for the complete factorisation.
pub fn qr<T: Float>(a: &[T], m: usize, n: usize, k: usize, q: &mut [T], r: &mut [T]) {
    assert!(a.len() == m * n && q.len() == m * k && r.len() == k * n && (k == m.min(n) || k == m));
    let size = m.min(n);
    r.fill(T::ZERO);
    if size == 0 {
        q.fill(T::ZERO);
        return (0..k).for_each(|i| q[i * k + i] = T::ONE);
    }
    // A column that is scaled has the same Q, and a column of R that is scaled alike: each keeps its digits.
    let mut scales = work::vector(n, T::ZERO);
    for row in a.chunks_exact(n) {
        scales.iter_mut().zip(row).for_each(|(scale, &x)| *scale = largest([*scale, x]));
    }
    scales.iter_mut().for_each(|scale| *scale = near_one(*scale));
    if m >= 2 * n {
        tall(a, &scales, m, k, q, r);
        return positive_diagonal(size, n, k, q, r);
    }
    // Column by column, as faer is at its best.
    let mut columns = work::zeros::<T>(m * k);
    (0..k).for_each(|i| columns[i * m + i] = T::ONE);
    let block = recommended_block_size::<T>(m, n);
    let scratch = qr_in_place_scratch::<T>(m, n, block, Par::Seq, Default::default())
        .or(apply_block_householder_sequence_on_the_left_in_place_scratch::<T>(m, block, k));
    let matrices = temp_mat_scratch::<T>(m, n).and(temp_mat_scratch::<T>(block, size));
    let mut memory = work::stack(matrices.and(scratch));
    let (mut factors, stack) = temp_mat_zeroed::<T, _, _>(m, n, MemStack::new(&mut memory));
    let (mut coefficients, stack) = temp_mat_zeroed::<T, _, _>(block, size, stack);
    let (mut factors, mut coefficients) = (factors.as_mat_mut(), coefficients.as_mat_mut());
    for (j, &scale) in scales.iter().enumerate() {
        let column = factors.rb_mut().col_mut(j);
        column.iter_mut().zip(a[j..].iter().step_by(n)).for_each(|(y, &x)| *y = x * scale);
    }
    // Of powers of two the reciprocals are exact.
    scales.iter_mut().for_each(|scale| *scale = T::ONE / *scale);
    qr_in_place(factors.rb_mut(), coefficients.rb_mut(), Par::Seq, stack, Default::default());
    for i in 0..size {
        for j in i..n {
            r[i * n + j] = factors[(i, j)] * scales[j];
        }
    }
    apply_block_householder_sequence_on_the_left_in_place_with_conj(
        factors.rb().subcols(0, size),
        coefficients.rb(),
        Conj::No,
        MatMut::from_column_major_slice_mut(&mut columns, m, k),
        Par::Seq,
        stack,
    );
    to_rows(&columns, m, k, q);
    positive_diagonal(size, n, k, q, r);
}

/// [`qr`] but for the signs, where sums over the rows are long.
fn tall<T: Float>(a: &[T], scales: &[T], m: usize, k: usize, q: &mut [T], r: &mut [T]) {
    let n = scales.len();
    let mut columns = work::buffer(m * n);
    to_rows(a, n, m, &mut columns);
    for (column, &scale) in columns.chunks_exact_mut(m).zip(scales) {
        column.iter_mut().for_each(|x| *x *= scale);
    }
    let reflections = Reflections::of(&mut columns, m, n);
    for i in 0..n {
        for j in i..n {
            r[i * n + j] = columns[j * m + i] / scales[j];
        }
    }
    to_rows(&reflections.columns(k), m, k, q);
}

fn positive_diagonal<T: Float>(size: usize, n: usize, k: usize, q: &mut [T], r: &mut [T]) {
    // Reflections leave the signs open: with a diagonal of R that is not negative, the factors are unique.
    let negative = work::collect((0..size).map(|i| r[i * n + i] < T::ZERO));
    for (row, _) in r.chunks_exact_mut(n).zip(&negative).filter(|(_, negative)| **negative) {
        row.iter_mut().for_each(|x| *x = -*x);
    }
    for row in q.chunks_exact_mut(k) {
        for (x, _) in row.iter_mut().zip(&negative).filter(|(_, negative)| **negative) {
            *x = -*x;
        }
    }
}
