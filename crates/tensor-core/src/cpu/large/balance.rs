//! Balancing: a permutation and powers of two that bring the rows and columns of a matrix to one height, before its
//! eigenvalues are found (LAPACK `gebal` and `gebak`; James, Langou and Lowery, "On matrix balancing and eigenvector
//! computation", 2014).

use crate::heap::work;
use std::ops::Range;

/// What was done to a matrix.
pub struct Balance {
    /// The rows and columns that are not triangular yet.
    pub active: Range<usize>,
    /// Which row and column each outside of `active` changed places with, and the factors of those within.
    exchanged: Vec<usize>,
    factors: Vec<f64>,
}

/// How much smaller a row and a column have to become for a step.
const WORTHWHILE: f64 = 0.95;

/// The largest of the factors, and the inverse of the smallest.
const LARGEST: f64 = f64::EPSILON / f64::MIN_POSITIVE;

impl Balance {
    /// Balances the row-major `n x n` matrix.
    pub fn of(a: &mut [f64], n: usize) -> Self {
        let mut balance =
            Balance { active: 0..n, exchanged: work::collect(0..n), factors: work::vector(n, 1.0) };
        balance.isolate(a, n);
        balance.scale(a, n);
        balance
    }

    /// Brings eigenvalues that stand alone in their row to the end, and those alone in their column to the beginning.
    fn isolate(&mut self, a: &mut [f64], n: usize) {
        let mut more = true;
        while more {
            more = false;
            let mut i = self.active.end;
            while i > 0 {
                i -= 1;
                let end = self.active.end;
                if i < end && (0..end).all(|j| j == i || a[i * n + j] == 0.0) {
                    self.exchange(a, n, i, end - 1);
                    self.active.end -= 1;
                    more = true;
                }
            }
        }
        more = !self.active.is_empty();
        while more {
            more = false;
            for j in self.active.clone() {
                let Range { start, end } = self.active;
                if j >= start && (start..end).all(|i| i == j || a[i * n + j] == 0.0) {
                    self.exchange(a, n, j, start);
                    self.active.start += 1;
                    more = true;
                }
            }
        }
    }

    fn exchange(&mut self, a: &mut [f64], n: usize, i: usize, place: usize) {
        self.exchanged[place] = i;
        if i != place {
            (0..n).for_each(|k| a.swap(k * n + i, k * n + place));
            (0..n).for_each(|k| a.swap(i * n + k, place * n + k));
        }
    }

    fn scale(&mut self, a: &mut [f64], n: usize) {
        let active = self.active.clone();
        let mut more = true;
        while more {
            more = false;
            for i in active.clone() {
                let column = length(active.clone().map(|k| a[k * n + i]));
                let row = length(active.clone().map(|k| a[i * n + k]));
                if column == 0.0 || row == 0.0 {
                    continue;
                }
                let (mut c, mut r, mut factor) = (column, row, 1.0);
                while c < r / 2.0 && factor < LARGEST {
                    (factor, c, r) = (factor * 2.0, c * 2.0, r / 2.0);
                }
                while c / 2.0 >= r && factor > 1.0 / LARGEST {
                    (factor, c, r) = (factor / 2.0, c / 2.0, r * 2.0);
                }
                let whole = self.factors[i] * factor;
                if c + r >= WORTHWHILE * (column + row) || !(1.0 / LARGEST..=LARGEST).contains(&whole) {
                    continue;
                }
                self.factors[i] = whole;
                more = true;
                a[i * n..][..n].iter_mut().for_each(|x| *x /= factor);
                (0..n).for_each(|k| a[k * n + i] *= factor);
            }
        }
    }

    /// Turns rows, which belong to the balanced matrix, into those that belong to the matrix itself.
    pub fn undo(&self, rows: &mut [f64], n: usize) {
        for (row, &factor) in rows.chunks_exact_mut(n).zip(&self.factors) {
            row.iter_mut().for_each(|x| *x *= factor);
        }
        let places = (0..self.active.start).rev().chain(self.active.end..n);
        for place in places.filter(|&place| self.exchanged[place] != place) {
            let other = self.exchanged[place];
            (0..n).for_each(|k| rows.swap(place * n + k, other * n + k));
        }
    }
}

/// The length of a vector, without overflow on the way.
pub fn length(x: impl Iterator<Item = f64> + Clone) -> f64 {
    let largest = x.clone().fold(0.0, |m: f64, x| m.max(x.abs()));
    if largest == 0.0 {
        return 0.0;
    }
    largest * x.map(|x| (x / largest) * (x / largest)).sum::<f64>().sqrt()
}
