//! The kernels of linear algebra on a GPU as functions of the types themselves: see [`crate::cpu::compiled`].

use super::gpu::Gpu;
use super::{factor, product, sparse};
use crate::array::Array;
use crate::cpu::compiled::compiled;
use crate::error::Result;
use crate::kernels::{Analytic, Flaw, Gaps, Lu, Part, Triangle};
use crate::sparse::Pattern;

type Device = &'static Gpu;
type Op = &'static str;
type Pair<T> = (Array<T>, Array<T>);
type Solution<T> = (Array<T>, Option<Flaw>);
type LossAndGradient<T> = (Array<T>, Option<Array<T>>);

compiled! { OnGpu:
    fn gpu_addmv(gpu: Device, op: Op, y: Option<&Array<Self>>, a: &Array<Self>, x: &Array<Self>, beta: Self,
        alpha: Self) -> Result<Array<Self>> = product::addmv;
    fn gpu_addmm(gpu: Device, op: Op, c: Option<&Array<Self>>, a: &Array<Self>, b: &Array<Self>, beta: Self,
        alpha: Self) -> Result<Array<Self>> = product::addmm;
    fn gpu_least_squares(gpu: Device, op: Op, a: &Array<Self>, x: &Array<Self>, y: &Array<Self>, gradient: bool)
        -> Result<LossAndGradient<Self>> = product::least_squares;
    fn gpu_lu(gpu: Device, op: Op, a: &Array<Self>) -> Result<Lu<Self>> = factor::lu;
    fn gpu_lu_solve(gpu: Device, op: Op, a: &Array<Self>, b: &Array<Self>, transposed: bool)
        -> Result<Solution<Self>> = factor::lu_solve;
    fn gpu_lu_det(gpu: Device, op: Op, a: &Array<Self>) -> Result<Array<Self>> = factor::lu_det;
    fn gpu_lu_slogdet(gpu: Device, op: Op, a: &Array<Self>) -> Result<Pair<Self>> = factor::lu_slogdet;
    fn gpu_lu_nearly_singular(gpu: Device, op: Op, a: &Array<Self>, ratio: f64) -> Result<Vec<usize>>
        = factor::lu_nearly_singular;
    fn gpu_lu_factors(gpu: Device, op: Op, a: &Array<Self>) -> Result<(Array<Self>, Array<i64>)>
        = factor::lu_factors;
    fn gpu_cofactors(gpu: Device, op: Op, a: &Array<Self>, g: &Array<Self>)
        -> Result<Option<(Array<Self>, Vec<usize>)>> = factor::cofactors;
    fn gpu_finite(gpu: Device, op: Op, a: &Array<Self>, part: Part) -> Result<()> = factor::finite;
    fn gpu_inverse(gpu: Device, op: Op, a: &Array<Self>) -> Result<Array<Self>> = factor::inverse;
    fn gpu_svd(gpu: Device, op: Op, a: &Array<Self>) -> Result<[Array<Self>; 3]> = factor::svd;
    fn gpu_cholesky(gpu: Device, op: Op, a: &Array<Self>) -> Result<Array<Self>> = factor::cholesky;
    fn gpu_cholesky_ex(gpu: Device, op: Op, a: &Array<Self>) -> Result<(Array<Self>, Array<i64>)>
        = factor::cholesky_ex;
    fn gpu_solve_triangular(gpu: Device, op: Op, a: &Array<Self>, triangle: Triangle, transposed: bool,
        b: &Array<Self>) -> Result<Array<Self>> = factor::solve_triangular;
    fn gpu_eigh(gpu: Device, op: Op, a: &Array<Self>) -> Result<[Array<Self>; 2]> = factor::eigh;
    fn gpu_over_gaps(gpu: Device, op: Op, p: &Array<Self>, w: &Array<Self>, gaps: Gaps<Self>)
        -> Result<(Array<Self>, Option<usize>)> = factor::over_gaps;
    fn gpu_qr(gpu: Device, op: Op, a: &Array<Self>, complete: bool) -> Result<[Array<Self>; 2]> = factor::qr;
    fn gpu_analytic_derivative(gpu: Device, op: Op, f: &dyn Analytic, w: &Array<Self>, directions: &[Array<Self>])
        -> Result<Array<Self>> = factor::analytic_derivative;
    fn gpu_sparse_product(gpu: Device, op: Op, pattern: &Pattern, transposed: bool, values: &Array<Self>,
        x: &Array<Self>) -> Result<Array<Self>> = sparse::product;
    fn gpu_sparse_sampled(gpu: Device, op: Op, pattern: &Pattern, u: &Array<Self>, v: &Array<Self>)
        -> Result<Array<Self>> = sparse::sampled;
    fn gpu_sparse_masked(gpu: Device, op: Op, out: &Pattern, a: (&Pattern, &Array<Self>),
        b: (&Pattern, &Array<Self>)) -> Result<Array<Self>> = sparse::masked;
}
