//! The principal square root and the principal logarithm of general matrices.

use super::complex_schur::ComplexSchur;
use super::eig::quotient;
use super::svd::NotConverged;
use crate::cpu::scale::{largest, near_one};
use crate::heap::work;
use faer::c64;

/// Which function.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Principal {
    Root,
    Logarithm,
}

/// Why there is no value.
pub enum Lacking {
    /// An eigenvalue is zero or negative.
    Value,
    /// Too many steps, or a result beyond the range.
    Convergence,
}

impl From<NotConverged> for Lacking {
    fn from(_: NotConverged) -> Self {
        Lacking::Convergence
    }
}

/// The 1-norm of X up to which the Padé approximant of order 7 of ln(I + X) is exact to double precision (Al-Mohy and Higham,
/// "Improved inverse scaling and squaring algorithms for the matrix logarithm", 2012, table 2.1, and Higham 2008, table 11.1).
const NEAR: f64 = 0.25;

/// The nodes and weights of Gauss and Legendre of order 7 on [0, 1]: the approximant in partial fractions
/// sum_k w_k X (I + x_k X)^-1 (Higham, "Evaluating Padé approximants of the matrix logarithm", 2001).
const FRACTIONS: [(f64, f64); 7] = [
    (0.025_446_043_828_620_74, 0.064_742_483_084_434_85),
    (0.129_234_407_200_302_78, 0.139_852_695_744_638_33),
    (0.297_077_424_311_301_4, 0.190_915_025_252_559_5),
    (0.5, 0.208_979_591_836_734_7),
    (0.702_922_575_688_698_6, 0.190_915_025_252_559_5),
    (0.870_765_592_799_697_2, 0.139_852_695_744_638_33),
    (0.974_553_956_171_379_3, 0.064_742_483_084_434_85),
];

/// The function of the row-major, finite `n x n` matrix, whose eigenvalues may not be zero or negative, to rounding (Björck and
/// Hammarling, "A Schur method for the square root of a matrix", 1983; Al-Mohy and Higham 2012).
///
/// # Errors
///
/// [`Lacking`]; the output is then unspecified.
pub fn principal(function: Principal, mut a: Vec<f64>, n: usize, out: &mut [f64]) -> Result<(), Lacking> {
    if n == 0 {
        return Ok(());
    }
    // A power of four, whose root is a power of two; the logarithm is scaled at the ends of the range only.
    let near = near_one(largest(a.iter().copied()));
    let root = 2f64.powi(near.log2() as i32 / 2);
    let scale = match function {
        Principal::Logarithm if (1e-100..1e100).contains(&near) => 1.0,
        _ => root * root,
    };
    a.iter_mut().for_each(|x| *x *= scale);
    let height = largest(a.iter().copied());
    let schur = ComplexSchur::of(a, n)?;
    let rounding = 4.0 * f64::EPSILON * height * (n as f64).sqrt();
    if schur.values().any(|w| w.re <= 0.0 && w.im.abs() <= rounding) {
        return Err(Lacking::Value);
    }
    match function {
        Principal::Root => {
            schur.back(&root_of(&schur.t, n), out);
            out.iter_mut().for_each(|x| *x /= root);
        }
        Principal::Logarithm => {
            schur.back(&logarithm_of(&schur.t, n).ok_or(Lacking::Convergence)?, out);
            out.iter_mut().step_by(n + 1).for_each(|x| *x -= scale.ln());
        }
    }
    if out.iter().all(|x| x.is_finite()) { Ok(()) } else { Err(Lacking::Convergence) }
}

/// The principal square root of an upper triangular matrix.
fn root_of(t: &[c64], n: usize) -> Vec<c64> {
    let mut u = work::vector(n * n, c64::new(0.0, 0.0));
    let mut column = work::vector(n, c64::new(0.0, 0.0));
    for j in 0..n {
        column[j] = t[j * n + j].sqrt();
        for i in (0..j).rev() {
            let row = &u[i * n..][..j];
            let sum = row[i + 1..].iter().zip(&column[i + 1..]).map(|(x, y)| x * y).sum::<c64>();
            column[i] = quotient(t[i * n + j] - sum, row[i] + column[j]);
        }
        (0..=j).for_each(|i| u[i * n + j] = column[i]);
    }
    u
}

/// The principal logarithm of an upper triangular matrix; None where it takes too many roots.
fn logarithm_of(t: &[c64], n: usize) -> Option<Vec<c64>> {
    const MOST_ROOTS: i32 = 1100;
    let logarithms: Vec<c64> = work::collect((0..n).map(|i| t[i * n + i].ln()));
    let (mut x, mut roots) = (work::collect(t.iter().copied()), 0);
    loop {
        // The diagonal of T^(1 / 2^s) - I from its logarithm: nothing cancels.
        let diagonal = |i: usize| exp_m1(logarithms[i] * 2f64.powi(-roots));
        let columns = (0..n).map(|j| (0..j).map(|i| x[i * n + j].norm()).sum::<f64>() + diagonal(j).norm());
        if columns.fold(0.0, f64::max) <= NEAR {
            (0..n).for_each(|i| x[i * n + i] = diagonal(i));
            break;
        }
        if roots == MOST_ROOTS {
            return None;
        }
        x = root_of(&x, n);
        roots += 1;
    }
    let mut sum = work::vector(n * n, c64::new(0.0, 0.0));
    let mut y = work::vector(n * n, c64::new(0.0, 0.0));
    for (node, weight) in FRACTIONS {
        // (I + node X) Y = X from the last row up.
        for i in (0..n).rev() {
            let (row, below) = y[i * n..].split_at_mut(n);
            row[i..].copy_from_slice(&x[i * n..][i..n]);
            for (k, other) in (i + 1..n).zip(below.chunks_exact(n)) {
                let factor = x[i * n + k] * node;
                row[k..].iter_mut().zip(&other[k..]).for_each(|(y, z)| *y -= factor * z);
            }
            let pivot = c64::new(1.0, 0.0) + x[i * n + i] * node;
            row[i..].iter_mut().for_each(|y| *y /= pivot);
            sum[i * n..][i..n].iter_mut().zip(&row[i..]).for_each(|(sum, y)| *sum += *y * weight);
        }
    }
    let power = 2f64.powi(roots);
    sum.iter_mut().for_each(|x| *x *= power);
    (0..n).for_each(|i| sum[i * n + i] = logarithms[i]);
    Some(sum)
}

/// e^z - 1, exact near 0.
fn exp_m1(z: c64) -> c64 {
    let half = (0.5 * z.im).sin();
    let cos_m1 = -2.0 * half * half;
    let growth = z.re.exp_m1();
    c64::new(growth * (1.0 + cos_m1) + cos_m1, (growth + 1.0) * z.im.sin())
}
