//! Kernels for many small matrices at a time: the matrices of a batch side by side, one in each lane of the
//! processor's vectors, so that every step of an algorithm is one instruction for all of them. What differs
//! from matrix to matrix, such as the pivots, is chosen by selection and not by branches.
//!
//! A few lanes may need what the algorithm in lanes does not do (a zero pivot, numbers far from one, an
//! iteration that goes on): they are reported, and the caller treats those matrices one by one.

#![expect(clippy::neg_cmp_op_on_partial_ord, reason = "NaN has to be on the side of what fails")]
#![expect(clippy::needless_range_loop, reason = "lanes of several numbers are walked together")]

/// Runs `$body` with an order the compiler knows where that is worth it.
macro_rules! known_order {
    ($n:expr, |$known:ident| $body:expr) => {
        match $n {
            2 => {
                let $known = 2;
                $body
            }
            3 => {
                let $known = 3;
                $body
            }
            $known => $body,
        }
    };
}

/// Runs `$body` for all columns of a range, `$C` of them from `$at` on at once, so that what it sums stays in
/// registers.
macro_rules! for_tiles {
    ($columns:expr, |$C:ident, $at:ident| $body:expr) => {{
        let columns = $columns;
        let mut $at = columns.start;
        while $at + 4 <= columns.end {
            const $C: usize = 4;
            $body;
            $at += $C;
        }
        while $at < columns.end {
            const $C: usize = 1;
            $body;
            $at += $C;
        }
    }};
}

mod cholesky;
mod eigh;
mod group;
mod lanes;
mod lu;
mod product;
mod qr;
mod svd;

#[cfg(test)]
mod tests;

pub use cholesky::Cholesky;
pub use eigh::Eigh;
pub use group::{Matrices, for_groups};
pub use lanes::{FEWEST, LARGEST};
pub use lu::{Cofactors, Determinant, Inverse, Solve};
pub use product::Product;
pub use qr::Qr;
pub use svd::Svd;
