//! The kernels of linear algebra as functions of the types themselves: this crate compiles each of them once
//! for each type, where a generic function would be compiled anew for every program that calls it.

use super::decompose::{self, Analytic, Flaw, Gaps, Lu, Part, Triangle};
use super::sparse_solve::{self, Factors, Method};
use super::{gemm, least_squares, sparse};
use crate::array::Array;
use crate::error::Result;
use crate::sparse::Pattern;

macro_rules! compiled {
    ($Trait:ident: $(fn $name:ident($($arg:ident: $Arg:ty),*) -> $Output:ty = $path:path;)*) => {
        /// Kernels of one element type, see the functions of the same names.
        pub trait $Trait: crate::element::Element {
            $(#[doc(hidden)] fn $name($($arg: $Arg),*) -> $Output;)*
        }
        impl $Trait for f32 {
            $(fn $name($($arg: $Arg),*) -> $Output { $path($($arg),*) })*
        }
        impl $Trait for f64 {
            $(fn $name($($arg: $Arg),*) -> $Output { $path($($arg),*) })*
        }
    };
}
#[cfg(feature = "cuda")]
pub(crate) use compiled;

type Op = &'static str;
type Pair<T> = (Array<T>, Array<T>);
type Solution<T> = (Array<T>, Option<Flaw>);
type LossAndGradient<T> = (Array<T>, Option<Array<T>>);

compiled! { Compiled:
    fn addmv(op: Op, y: Option<&Array<Self>>, a: &Array<Self>, x: &Array<Self>, beta: Self, alpha: Self)
        -> Result<Array<Self>> = gemm::addmv;
    fn addmm(op: Op, c: Option<&Array<Self>>, a: &Array<Self>, b: &Array<Self>, beta: Self, alpha: Self)
        -> Result<Array<Self>> = gemm::addmm;
    fn least_squares(a: &Array<Self>, x: &Array<Self>, y: &Array<Self>, gradient: bool)
        -> Result<LossAndGradient<Self>> = least_squares::loss;
    fn lu(op: Op, a: &Array<Self>) -> Result<Lu<Self>> = decompose::lu;
    fn lu_solve(lu: &Lu<Self>, op: Op, b: &Array<Self>, transposed: bool)
        -> Result<Solution<Self>> = decompose::lu_solve;
    fn lu_det(lu: &Lu<Self>, op: Op) -> Result<Array<Self>> = decompose::lu_det;
    fn lu_slogdet(lu: &Lu<Self>, op: Op) -> Result<Pair<Self>> = decompose::lu_slogdet;
    fn lu_factors(op: Op, a: &Array<Self>) -> Result<(Array<Self>, Array<i64>)> = decompose::lu_factors;
    fn lu_nearly_singular(lu: &Lu<Self>, op: Op, ratio: f64) -> Result<Vec<usize>> = decompose::lu_nearly_singular;
    fn cofactors(op: Op, a: &Array<Self>, g: &Array<Self>)
        -> Result<Option<(Array<Self>, Vec<usize>)>> = decompose::cofactors;
    fn finite(op: Op, a: &Array<Self>, part: Part) -> Result<()> = decompose::finite;
    fn inverse(op: Op, a: &Array<Self>) -> Result<Array<Self>> = decompose::inverse;
    fn svd(op: Op, a: &Array<Self>) -> Result<[Array<Self>; 3]> = decompose::svd;
    fn cholesky(op: Op, a: &Array<Self>) -> Result<Array<Self>> = decompose::cholesky;
    fn cholesky_ex(op: Op, a: &Array<Self>) -> Result<(Array<Self>, Array<i64>)> = decompose::cholesky_ex;
    fn solve_triangular(op: Op, a: &Array<Self>, triangle: Triangle, transposed: bool, b: &Array<Self>)
        -> Result<Array<Self>> = decompose::solve_triangular;
    fn eigh(op: Op, a: &Array<Self>) -> Result<[Array<Self>; 2]> = decompose::eigh;
    fn over_gaps(op: Op, p: &Array<Self>, w: &Array<Self>, gaps: Gaps<Self>)
        -> Result<(Array<Self>, Option<usize>)> = decompose::over_gaps;
    fn qr(op: Op, a: &Array<Self>, complete: bool) -> Result<[Array<Self>; 2]> = decompose::qr;
    fn analytic_derivative(op: Op, f: &dyn Analytic, w: &Array<Self>, directions: &[Array<Self>])
        -> Result<Array<Self>> = decompose::analytic_derivative;
    fn sparse_product(op: Op, pattern: &Pattern, transposed: bool, values: &Array<Self>, x: &Array<Self>)
        -> Result<Array<Self>> = sparse::product;
    fn sparse_sampled(op: Op, pattern: &Pattern, u: &Array<Self>, v: &Array<Self>)
        -> Result<Array<Self>> = sparse::sampled;
    fn sparse_masked(op: Op, out: &Pattern, a: (&Pattern, &Array<Self>), b: (&Pattern, &Array<Self>))
        -> Result<Array<Self>> = sparse::masked;
    fn sparse_factor(op: Op, pattern: &Pattern, values: &Array<Self>, method: Method)
        -> Result<Factors<Self>> = sparse_solve::factor;
    fn sparse_solve(factors: &Factors<Self>, op: Op, b: &Array<Self>, transposed: bool)
        -> Result<Array<Self>> = sparse_solve::solve;
}
