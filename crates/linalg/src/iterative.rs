//! Iterative solutions of linear systems over any linear operator, and their derivatives.

use crate::product;
use crate::sparse::SparseTensor;
use autograd::{Keep, Kept, Op, Tensor, apply, no_grad, vjp};
use std::panic::Location;
use std::sync::Arc;
use tensor_core::{Array, Error, ErrorKind, Float, Result};

type Function<T> = Arc<dyn Fn(&Tensor<T>) -> Result<Tensor<T>> + Send + Sync>;

/// A linear function of vectors: a matrix that need not be stored. It is cloned into the graph, and so should be cheap to
/// clone, as tensors are. What it holds may be tracked: gradients reach it.
pub trait LinearOperator<T: Float>: Clone + Send + Sync + 'static {
    /// Elements of the result, and of the argument.
    fn shape(&self) -> [usize; 2];

    /// A x.
    ///
    /// # Errors
    /// Whatever the operations in it return.
    fn apply(&self, x: &Tensor<T>) -> Result<Tensor<T>>;

    /// A^T y; by itself the derivative of [`LinearOperator::apply`], which is exact for what is linear.
    ///
    /// # Errors
    /// Whatever the operations in it return.
    fn apply_transposed(&self, y: &Tensor<T>) -> Result<Tensor<T>> {
        let origin = Tensor::zeros_on(&y.device(), [self.shape()[1]])?;
        Ok(vjp(|x| self.apply(x), &origin, y)?.1)
    }
}

/// A matrix.
impl<T: Float> LinearOperator<T> for Tensor<T> {
    fn shape(&self) -> [usize; 2] {
        Tensor::shape(self).try_into().unwrap_or([0, 0])
    }
    fn apply(&self, x: &Tensor<T>) -> Result<Tensor<T>> {
        product::mv(self, x)
    }
    fn apply_transposed(&self, y: &Tensor<T>) -> Result<Tensor<T>> {
        product::mv(&self.t()?, y)
    }
}

impl<T: Float> LinearOperator<T> for SparseTensor<T> {
    fn shape(&self) -> [usize; 2] {
        SparseTensor::shape(self).try_into().unwrap_or([0, 0])
    }
    fn apply(&self, x: &Tensor<T>) -> Result<Tensor<T>> {
        self.mv(x)
    }
    fn apply_transposed(&self, y: &Tensor<T>) -> Result<Tensor<T>> {
        self.t()?.mv(y)
    }
}

/// A linear operator given as a function.
///
/// ```
/// use autograd::Tensor;
/// use linalg::{IterativeOptions, MatrixFree, cg};
/// // The second difference with zeros beyond both ends.
/// let laplacian = MatrixFree::new([100, 100], |x: &Tensor| {
///     Ok(x * 2.0 - x.pad(&[1, 0], 0.0)?.narrow(0, 0, 100)? - x.pad(&[0, 1], 0.0)?.narrow(0, 1, 100)?)
/// });
/// let x = cg(&laplacian, &Tensor::ones([100]), IterativeOptions::default())?.x;
/// assert!((x.get([0])? - 50.0).abs() < 1e-6);
/// # Ok::<(), tensor_core::Error>(())
/// ```
pub struct MatrixFree<T: Float> {
    shape: [usize; 2],
    apply: Function<T>,
}

impl<T: Float> Clone for MatrixFree<T> {
    fn clone(&self) -> Self {
        MatrixFree { shape: self.shape, apply: self.apply.clone() }
    }
}

impl<T: Float> MatrixFree<T> {
    /// The operator of a linear function from vectors of `shape[1]` elements to vectors of `shape[0]`.
    pub fn new(
        shape: [usize; 2],
        apply: impl Fn(&Tensor<T>) -> Result<Tensor<T>> + Send + Sync + 'static,
    ) -> Self {
        MatrixFree { shape, apply: Arc::new(apply) }
    }
}

impl<T: Float> LinearOperator<T> for MatrixFree<T> {
    fn shape(&self) -> [usize; 2] {
        self.shape
    }
    fn apply(&self, x: &Tensor<T>) -> Result<Tensor<T>> {
        (self.apply)(x)
    }
}

/// When an iteration ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct IterativeOptions {
    /// What is left of the residual, relative to the right-hand side.
    pub tolerance: f64,
    /// Steps after which the iteration is given up; None for ten times the number of unknowns.
    pub max_iterations: Option<usize>,
    /// For `lsqr`: the factor d in ||b - A x||^2 + d^2 ||x||^2, which makes a problem of any rank well-posed.
    pub damp: f64,
}

impl Default for IterativeOptions {
    fn default() -> Self {
        IterativeOptions { tolerance: 1e-10, max_iterations: None, damp: 0.0 }
    }
}

/// What an iteration found.
#[derive(Clone, Debug)]
pub struct IterativeSolution<T: Float> {
    /// The solution.
    pub x: Tensor<T>,
    /// Steps that were taken.
    pub iterations: usize,
    /// The norm of what is left, relative to the right-hand side: of b - A x for `cg`, of A^T (b - A x) - d^2 x, relative to
    /// A^T b, for `lsqr`.
    pub residual: f64,
}

fn norm<T: Float>(x: &Tensor<T>) -> Result<f64> {
    Ok(product::dot(x, x)?.item()?.to_f64().sqrt())
}

/// The error of an iteration that was given up.
fn not_converged(op: &'static str, iterations: usize, residual: f64, tolerance: f64) -> Error {
    let message = format!(
        "after {iterations} steps the residual is {residual:.1e} of the right-hand side, not {tolerance:.1e}: allow more \
         steps or a larger tolerance, or scale the problem better"
    );
    Error::new(ErrorKind::NotConverged, op, message)
}

fn fits<T: Float>(op: &'static str, [m, n]: [usize; 2], b: &Tensor<T>, square: bool) -> Result<()> {
    if *b.shape() != [m] || (square && m != n) {
        let need = if square { "a square operator and a vector" } else { "a vector" };
        let message =
            format!("operator {:?} and right-hand side {:?}: {need} that fits is needed", [m, n], b.shape());
        return Err(Error::shape(op, message));
    }
    Ok(())
}

/// Hestenes, Stiefel, "Methods of conjugate gradients for solving linear systems", 1952.
fn conjugate_gradients<T: Float>(
    op: &'static str,
    a: &dyn Fn(&Tensor<T>) -> Result<Tensor<T>>,
    b: &Tensor<T>,
    options: IterativeOptions,
) -> Result<IterativeSolution<T>> {
    let scale = norm(b)?;
    let (mut x, mut r, mut p) = (b.zeros_like(), b.clone(), b.clone());
    let mut size = product::dot(&r, &r)?.item()?;
    let limit = options.max_iterations.unwrap_or(10 * b.numel().max(10));
    let mut iterations = 0;
    loop {
        let residual = if scale == 0.0 { 0.0 } else { size.to_f64().sqrt() / scale };
        if residual <= options.tolerance {
            return Ok(IterativeSolution { x, iterations, residual });
        }
        if iterations == limit || !residual.is_finite() {
            return Err(not_converged(op, iterations, residual, options.tolerance));
        }
        let ap = a(&p)?;
        let curvature = product::dot(&p, &ap)?.item()?;
        if curvature <= T::ZERO {
            let message =
                "the operator is not positive definite: a direction of no or negative curvature was met";
            return Err(Error::new(ErrorKind::NotPositiveDefinite { batch: 0, minor: 0 }, op, message));
        }
        let step = size / curvature;
        x += &p * step;
        r -= ap * step;
        let next = product::dot(&r, &r)?.item()?;
        p = &r + p * (next / size);
        (size, iterations) = (next, iterations + 1);
    }
}

/// Paige, Saunders, "LSQR: an algorithm for sparse linear equations and sparse least squares", 1982, section 4 and, for the
/// damping, 2.1.
fn least_squares<T: Float, A: LinearOperator<T>>(
    a: &A,
    b: &Tensor<T>,
    options: IterativeOptions,
) -> Result<IterativeSolution<T>> {
    let unit = |x: Tensor<T>| -> Result<(Tensor<T>, f64)> {
        let size = norm(&x)?;
        Ok((if size > 0.0 { x * T::of(1.0 / size) } else { x }, size))
    };
    let (mut u, mut beta) = unit(b.clone())?;
    let (mut v, mut alpha) = unit(a.apply_transposed(&u)?)?;
    let (mut x, mut w) = (v.zeros_like(), v.clone());
    let (mut phi, mut rho) = (beta, alpha);
    let scale = alpha * beta;
    let limit = options.max_iterations.unwrap_or(10 * v.numel().max(10));
    let (mut iterations, mut residual) = (0, if scale == 0.0 { 0.0 } else { 1.0 });
    while residual > options.tolerance {
        if iterations == limit || !residual.is_finite() {
            return Err(not_converged("lsqr", iterations, residual, options.tolerance));
        }
        (u, beta) = unit(a.apply(&v)? - u * T::of(alpha))?;
        (v, alpha) = unit(a.apply_transposed(&u)? - v * T::of(beta))?;
        // The damping is rotated away first, then the element below the diagonal.
        let damped = rho.hypot(options.damp);
        phi *= rho / damped;
        let length = damped.hypot(beta);
        let (cos, sin) = (damped / length, beta / length);
        let theta = sin * alpha;
        rho = -cos * alpha;
        let step = cos * phi;
        phi *= sin;
        x += &w * T::of(step / length);
        w = &v - w * T::of(theta / length);
        iterations += 1;
        residual = (phi * alpha * cos).abs() / scale;
    }
    Ok(IterativeSolution { x, iterations, residual })
}

/// A vector through the inverse of a symmetric operator that stands for constants: linear, and its own transpose.
struct Inverse<T: Float>(Function<T>);

impl<T: Float> Op<T, 1> for Inverse<T> {
    fn name(&self) -> &'static str {
        "iterative_solve"
    }
    fn forward(&self, [r]: [&Array<T>; 1]) -> Result<Array<T>> {
        Ok(no_grad(|| (self.0)(&Tensor::from(r.clone())))?.into_array())
    }
    /// H^-1 grad
    fn vjp(&self, _: &Kept<'_, T, 1>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 1]> {
        Ok([Some(apply(Inverse(self.0.clone()), [&g])?)])
    }
}

/// x + H^-1 r, where r is the residual at x, which H is the negative derivative of.
struct NewtonStep<T: Float> {
    inverse: Function<T>,
    residual: Function<T>,
}

impl<T: Float> Op<T, 2> for NewtonStep<T> {
    fn name(&self) -> &'static str {
        "newton_step"
    }
    fn forward(&self, [x, _]: [&Array<T>; 2]) -> Result<Array<T>> {
        // The residual of a solution is rounding, and so would be the step.
        Ok(x.clone())
    }
    fn keep(&self, [x, _]: [bool; 2]) -> Keep<2> {
        Keep::inputs([x, false])
    }
    /// r: H^-1 grad; x: grad, or H H^-1 grad, which is the same: it cancels to the last bit with what reaches x through
    /// the residual, so that the steps before this one find nothing to do
    fn vjp(&self, kept: &Kept<'_, T, 2>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 2]> {
        let by_residual = apply(Inverse(self.inverse.clone()), [&g])?;
        let by_x = kept.wrt(0, || match kept.create_graph() {
            true => Ok(g),
            false => Ok(-vjp(|x| (self.residual)(x), &kept.input(0), &by_residual)?.1),
        })?;
        Ok([by_x, kept.wrt(1, || Ok(by_residual))?])
    }
}

/// The solution of `residual(x) = 0`, a linear function, found as `x`, as a function of all that the residual holds: two
/// steps x + H^-1 residual(x), where H is the constant by which `residual` decreases with x. As in
/// [`implicit_root`](crate::implicit_root), each step makes the derivatives of one more order right.
fn implicit<T: Float>(
    x: &Tensor<T>,
    residual: impl Fn(&Tensor<T>) -> Result<Tensor<T>> + Send + Sync + 'static,
    inverse: impl Fn(&Tensor<T>) -> Result<Tensor<T>> + Send + Sync + 'static,
) -> Result<Tensor<T>> {
    let (residual, inverse): (Function<T>, Function<T>) = (Arc::new(residual), Arc::new(inverse));
    let mut x = x.clone();
    for _ in 0..2 {
        // Under an edge of its own, the residual's share of the cotangent of x is added up by itself.
        let at = apply(Itself, [&x])?;
        let r = residual(&at)?;
        if !r.is_tracked() {
            break;
        }
        let step = NewtonStep { inverse: inverse.clone(), residual: residual.clone() };
        x = apply(step, [&x, &r])?;
    }
    Ok(x)
}

/// The input.
struct Itself;

impl<T: Float> Op<T, 1> for Itself {
    fn name(&self) -> &'static str {
        "itself"
    }
    fn forward(&self, [x]: [&Array<T>; 1]) -> Result<Array<T>> {
        Ok(x.clone())
    }
    /// grad
    fn vjp(&self, _: &Kept<'_, T, 1>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 1]> {
        Ok([Some(g)])
    }
}

/// The solution of A x = b for a symmetric positive definite operator, by conjugate gradients.
///
/// Gradients reach b and all that the operator holds by the implicit rule, dx = A^-1 (db - dA x): one more solution for a
/// gradient, and no memory of the iterations. Derivatives are right up to the second order.
///
/// ```
/// use autograd::{Tensor, value_and_grad};
/// use linalg::{IterativeOptions, cg};
/// let b = Tensor::from([1.0, 2.0]);
/// let solve = |a: &Tensor| Ok(cg(a, &b, IterativeOptions::default())?.x.sum());
/// let (sum, slope) = value_and_grad(solve, &Tensor::from([[2.0, 0.0], [0.0, 4.0]]))?;
/// assert_eq!(sum.item()?, 1.0);
/// assert_eq!(slope.get([0, 0])?, -0.25);
/// # Ok::<(), tensor_core::Error>(())
/// ```
///
/// # Errors
/// Shape, where the operands do not fit; not positive definite; not converged; what the operator returns.
#[track_caller]
pub fn cg<T: Float, A: LinearOperator<T>>(
    a: &A,
    b: &Tensor<T>,
    options: IterativeOptions,
) -> Result<IterativeSolution<T>> {
    let here = Location::caller();
    let solve = || {
        fits("cg", a.shape(), b, true)?;
        let found = no_grad(|| conjugate_gradients("cg", &|x| a.apply(x), &b.detach(), options))?;
        let operator = a.clone();
        let inverse =
            move |r: &Tensor<T>| Ok(conjugate_gradients("cg", &|x| operator.apply(x), r, options)?.x);
        let (a, b) = (a.clone(), b.clone());
        let x = implicit(&found.x, move |x| b.try_sub(&a.apply(x)?), inverse)?;
        Ok(IterativeSolution { x, ..found })
    };
    solve().map_err(|e: Error| e.at(here))
}

/// The x that makes ||b - A x||^2 + d^2 ||x||^2 least, by LSQR; where it is not unique, the shortest.
///
/// Gradients reach b and all that the operator holds by the implicit rule, for an operator of full column rank or d > 0: a
/// solution of the normal equations for a gradient, and no memory of the iterations. Derivatives are right up to the second
/// order.
///
/// ```
/// use autograd::Tensor;
/// use linalg::{IterativeOptions, lsqr};
/// let a = Tensor::from([[1.0, 0.0], [0.0, 2.0], [0.0, 2.0]]);
/// let x = lsqr(&a, &Tensor::from([3.0, 1.0, 3.0]), IterativeOptions::default())?.x;
/// assert!(x.try_sub(&Tensor::from([3.0, 1.0]))?.abs().max()?.item()? < 1e-9);
/// # Ok::<(), tensor_core::Error>(())
/// ```
///
/// # Errors
/// Shape, where the operands do not fit; not converged; what the operator returns.
#[track_caller]
pub fn lsqr<T: Float, A: LinearOperator<T>>(
    a: &A,
    b: &Tensor<T>,
    options: IterativeOptions,
) -> Result<IterativeSolution<T>> {
    let here = Location::caller();
    let solve = || {
        fits("lsqr", a.shape(), b, false)?;
        let found = no_grad(|| least_squares(a, &b.detach(), options))?;
        let damping = T::of(options.damp * options.damp);
        let operator = a.clone();
        let inverse = move |r: &Tensor<T>| {
            let normal = |x: &Tensor<T>| Ok(operator.apply_transposed(&operator.apply(x)?)? + x * damping);
            Ok(conjugate_gradients("lsqr", &normal, r, options)?.x)
        };
        let (a, b) = (a.clone(), b.clone());
        let residual = move |x: &Tensor<T>| Ok(a.apply_transposed(&b.try_sub(&a.apply(x)?)?)? - x * damping);
        let x = implicit(&found.x, residual, inverse)?;
        Ok(IterativeSolution { x, ..found })
    };
    solve().map_err(|e: Error| e.at(here))
}
