//! One function per kernel, whatever the device: the only files that choose one.
//!
//! A row of the table is a kernel: what it does, which types it has, what is refused, where its operands are, and the
//! functions of the CPU and of the GPU, which take the same arguments. The first argument of each is the name of the
//! operation, for its errors. All are compiled here, once for each type.

/// The rows of the table of kernels.
macro_rules! kernels {
    ($(
        $(#[$meta:meta])*
        $vis:vis fn $name:ident $(<$T:ident: $Bound:ident>)? ($op:ident $(, $arg:ident: $Arg:ty)* $(,)?) -> $Out:ty {
            $(check $check:expr;)?
            on $($x:expr),+;
            $cpu:path;
            $cuda:path
        }
    )+) => { $(
        kernels! { @ [$($T: $Bound)?] {
            $(#[$meta])*
            $vis fn $name $(<$T: $Bound>)? ($op: &'static str $(, $arg: $Arg)*) -> $Out {
                $($check?;)?
                #[cfg(feature = "cuda")]
                if $($x.is_on_gpu())||+ {
                    let gpu = $crate::cuda::operand::shared_gpu($op, &[$($crate::cuda::operand::Placed::place($x)),+])?;
                    return $cuda(gpu, $op $(, $arg)*);
                }
                $crate::heap::work::kernel($op, || $cpu($op $(, $arg)*))
            }
        } }
    )+ };
    (@ [$T:ident: $Bound:ident] { $($function:tt)+ }) => {
        $crate::once::compiled_once! { $($function)+ }
    };
    (@ [] { $($function:tt)+ }) => {
        $($function)+
    };
}

mod copy;
mod elements;
pub mod fourier;
mod index;
mod map;
mod matrix;
pub mod norm;
mod pattern;
mod products;
mod reduce;
mod softmax;
pub mod sparse;
mod transfer;

pub use crate::matrix::analytic::Analytic;
pub use crate::matrix::flaw::{Flaw, not_finite_error};
pub use crate::matrix::gaps::Gaps;
pub use crate::matrix::lu::Lu;
pub use crate::matrix::part::{Part, Triangle};
pub use crate::matrix::rank::rank_tolerance;
pub use copy::{add_at, cat, copy, embed};
pub use index::{
    arange, argsort, cum_arg_extreme, cumsum, gather, positions, recurrence, scatter_add, searchsorted, sort,
};
pub use map::{
    cast, map, map_owned, select, with_number, with_number_owned, zip, zip_either, zip_many, zip_owned, zip3,
    zip3_owned,
};
pub use matrix::{
    addmm, addmv, analytic_derivative, cholesky, cholesky_ex, cofactors, eig, eigh, eigvals, finite, inverse,
    least_squares, lu, lu_factors, matrix_log, matrix_sqrt, over_gaps, qr, schur, solve_triangular, svd,
    sylvester,
};
pub use products::{powers, product_slopes, products};
pub use reduce::{all, any, arg_extreme, max, min, sum};
pub use softmax::{
    cross_entropy, cross_entropy_cotangent, logsumexp, logsumexp_cotangent, softmax, softmax_cotangent,
};
