//! Iterative solutions of linear systems over any linear operator, and their derivatives.

use crate::product;
use crate::sparse::SparseTensor;
use autograd::{Keep, Kept, Op, Tensor, apply, no_grad, vjp};
use std::sync::Arc;
use tensor_core::{Array, AtCaller, Error, ErrorKind, Float, Result, compiled_once};

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
/// use tapegrad::Tensor;
/// use tapegrad::linalg::{IterativeOptions, MatrixFree, cg};
/// // The second difference with zeros beyond both ends.
/// let laplacian = MatrixFree::new([100, 100], |x: &Tensor| {
///     Ok(x * 2.0 - x.pad(&[1, 0], 0.0)?.narrow(0, 0, 100)? - x.pad(&[0, 1], 0.0)?.narrow(0, 1, 100)?)
/// });
/// let x = cg(&laplacian, &Tensor::ones([100]), IterativeOptions::default())?.x;
/// assert!((x.get([0])? - 50.0).abs() < 1e-6);
/// # Ok::<(), tapegrad::Error>(())
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
    /// What is left of the residual, relative to the right-hand side. Where this is less than rounding in `T` leaves of the
    /// residual of any solution, that is enough.
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
    /// A^T b, for `lsqr`. It is formed from x in the end, and not what the recurrences claim.
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

/// x 2^k, in two steps: the power alone may not be a number of the type.
fn scaled<T: Float>(x: &Tensor<T>, k: i32) -> Tensor<T> {
    if k == 0 { x.clone() } else { x * T::of(2f64.powi(k / 2)) * T::of(2f64.powi(k - k / 2)) }
}

/// The exponent k for which 2^-k brings the largest of some magnitudes near one; 0 where its square and sums of such are
/// numbers anyway, and None where it is not finite.
fn far_exponent<T: Float>(largest: f64) -> Option<i32> {
    let near = if size_of::<T>() == size_of::<f32>() { 20 } else { 200 };
    let exponent = if largest == 0.0 { 0 } else { largest.log2().floor() as i32 };
    largest.is_finite().then_some(if exponent.abs() > near { exponent } else { 0 })
}

/// The largest magnitude; NaN where there is one.
fn largest<T: Float>(x: &Tensor<T>) -> Result<f64> {
    if x.numel() == 0 { Ok(0.0) } else { Ok(x.abs().max()?.item()?.to_f64()) }
}

/// The exponent of the right-hand side.
fn exponent_of<T: Float>(op: &'static str, b: &Tensor<T>) -> Result<i32> {
    if let Some(k) = far_exponent::<T>(largest(b)?) {
        return Ok(k);
    }
    let values = b.to_vec();
    let place = values.iter().position(|x| !x.is_finite()).unwrap_or(0);
    let message =
        format!("the right-hand side is {} at [{place}]: only finite systems have solutions", values[place]);
    Err(Error::argument(op, message))
}

#[cold]
fn not_finite(op: &'static str, shape: [usize; 2]) -> Error {
    let message = format!(
        "the operator {shape:?} gives NaN or infinity for a finite vector: it has elements that are not finite, or too \
         large for sums of them"
    );
    Error::argument(op, message)
}

/// A [`LinearOperator`] of whatever type.
trait AnyOperator<T: Float>: Send + Sync {
    fn size(&self) -> [usize; 2];
    fn times(&self, x: &Tensor<T>) -> Result<Tensor<T>>;
    fn transposed_times(&self, y: &Tensor<T>) -> Result<Tensor<T>>;
}

impl<T: Float, A: LinearOperator<T>> AnyOperator<T> for A {
    fn size(&self) -> [usize; 2] {
        self.shape()
    }
    fn times(&self, x: &Tensor<T>) -> Result<Tensor<T>> {
        self.apply(x)
    }
    fn transposed_times(&self, y: &Tensor<T>) -> Result<Tensor<T>> {
        self.apply_transposed(y)
    }
}

/// 2^-k A, which is near one.
#[derive(Clone)]
struct Scaled<T: Float> {
    operator: Arc<dyn AnyOperator<T>>,
    exponent: i32,
}

impl<T: Float> Scaled<T> {
    fn apply(&self, x: &Tensor<T>) -> Result<Tensor<T>> {
        Ok(scaled(&self.operator.times(x)?, -self.exponent))
    }
    fn apply_transposed(&self, y: &Tensor<T>) -> Result<Tensor<T>> {
        Ok(scaled(&self.operator.transposed_times(y)?, -self.exponent))
    }
}

/// Roundings of a residual that cannot be told from zero, beside what it is the difference of.
const ROUNDINGS: f64 = 32.0;

/// An operator near one, and its product with the right-hand side over 2^its exponent, where that is known.
struct Problem<'a, T: Float> {
    op: &'static str,
    shape: [usize; 2],
    apply: &'a dyn Fn(&Tensor<T>) -> Result<Tensor<T>>,
    first: Option<Tensor<T>>,
}

/// Hestenes, Stiefel, "Methods of conjugate gradients for solving linear systems", 1952.
///
/// Where the recurrence says that nothing is left, the residual is formed anew, and the iteration begins again with it if
/// more is left than rounding explains.
fn conjugate_gradients<T: Float>(
    problem: Problem<'_, T>,
    b: &Tensor<T>,
    options: IterativeOptions,
) -> Result<IterativeSolution<T>> {
    let Problem { op, shape, apply, mut first } = problem;
    let unit = exponent_of(op, b)?;
    let b = scaled(b, -unit);
    let scale = norm(&b)?;
    let (mut x, mut r, mut p) = (b.zeros_like(), b.clone(), b.clone());
    let mut size = product::dot(&r, &r)?.item()?;
    let limit = options.max_iterations.unwrap_or(10 * b.numel().max(10));
    let (mut iterations, mut before) = (0, f64::INFINITY);
    // 1 / step + ratio / last step are the diagonal of a tridiagonal matrix with the operator's eigenvalues.
    let (mut operator_norm, mut coupled) = (0.0f64, 0.0);
    loop {
        let claimed = if scale == 0.0 { 0.0 } else { size.to_f64().sqrt() / scale };
        if claimed <= options.tolerance || iterations == limit {
            let mut residual = claimed;
            if iterations > 0 {
                r = b.try_sub(&apply(&x)?)?;
                residual = norm(&r)? / scale;
            }
            let rounding = ROUNDINGS * T::EPSILON.to_f64() * (1.0 + operator_norm * norm(&x)? / scale);
            if residual <= options.tolerance || (residual <= rounding && iterations > 0) {
                return Ok(IterativeSolution { x: scaled(&x, unit), iterations, residual });
            }
            if iterations == limit || residual.is_nan() || residual > 0.5 * before {
                return Err(not_converged(op, iterations, residual, options.tolerance));
            }
            (before, coupled, p) = (residual, 0.0, r.clone());
            size = product::dot(&r, &r)?.item()?;
        }
        let ap = match first.take() {
            Some(ap) => ap,
            None => apply(&p)?,
        };
        let curvature = product::dot(&p, &ap)?.item()?;
        if !curvature.is_finite() {
            return Err(not_finite(op, shape));
        }
        if curvature <= T::ZERO {
            let message =
                "the operator is not positive definite: a direction of no or negative curvature was met";
            return Err(Error::new(ErrorKind::NotPositiveDefinite { batch: 0, minor: 0 }, op, message));
        }
        let step = size / curvature;
        x += &p * step;
        r -= ap * step;
        let next = product::dot(&r, &r)?.item()?;
        let ratio = next / size;
        p = &r + p * ratio;
        operator_norm = operator_norm.max(1.0 / step.to_f64() + coupled);
        coupled = (ratio / step).to_f64();
        (size, iterations) = (next, iterations + 1);
    }
}

/// Paige, Saunders, "LSQR: an algorithm for sparse linear equations and sparse least squares", 1982, section 4 and, for the
/// damping, 2.1. The right-hand side is `beta u`, and A^T u is `first`.
fn least_squares<T: Float>(
    a: &Scaled<T>,
    [u, first]: [Tensor<T>; 2],
    beta: f64,
    options: IterativeOptions,
) -> Result<IterativeSolution<T>> {
    let unit = |x: Tensor<T>| -> Result<(Tensor<T>, f64)> {
        let size = norm(&x)?;
        if !size.is_finite() {
            return Err(not_finite("lsqr", a.operator.size()));
        }
        Ok((if size > 0.0 { x * T::of(1.0 / size) } else { x }, size))
    };
    let b = &u * T::of(beta);
    let (mut u, mut beta) = (u, beta);
    let (mut v, mut alpha) = unit(first)?;
    let (mut x, mut w) = (v.zeros_like(), v.clone());
    let (mut phi, mut rho) = (beta, alpha);
    let (scale, right) = (alpha * beta, beta);
    let limit = options.max_iterations.unwrap_or(10 * v.numel().max(10));
    let (mut iterations, mut claimed) = (0, if scale == 0.0 { 0.0 } else { 1.0 });
    // Of A with the damping below it, by the columns of its bidiagonal form.
    let mut operator_norm = alpha;
    while claimed > options.tolerance && iterations < limit {
        (u, beta) = unit(a.apply(&v)? - u * T::of(alpha))?;
        operator_norm = operator_norm.max(alpha.hypot(beta).hypot(options.damp));
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
        claimed = (phi * alpha * cos).abs() / scale;
    }
    if iterations == 0 {
        return match claimed <= options.tolerance {
            true => Ok(IterativeSolution { x, iterations, residual: claimed }),
            false => Err(not_converged("lsqr", iterations, claimed, options.tolerance)),
        };
    }
    let damping = T::of(options.damp * options.damp);
    let left = a.apply_transposed(&b.try_sub(&a.apply(&x)?)?)? - &x * damping;
    let residual = norm(&left)? / scale;
    let largest = operator_norm * (right + operator_norm * norm(&x)?) / scale;
    if residual <= options.tolerance.max(ROUNDINGS * T::EPSILON.to_f64() * largest) {
        return Ok(IterativeSolution { x, iterations, residual });
    }
    Err(not_converged("lsqr", iterations, residual, options.tolerance))
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
    fn vjp(&self, _: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 1]> {
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
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 2]> {
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
    fn vjp(&self, _: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 1]> {
        Ok([Some(g)])
    }
}

compiled_once! {
    /// [`cg`], whatever the operator.
    fn conjugate_solution<T: Float>(
        a: Arc<dyn AnyOperator<T>>,
        b: &Tensor<T>,
        options: IterativeOptions,
    ) -> Result<IterativeSolution<T>> {
        fits("cg", a.size(), b, true)?;
        let shape = a.size();
        let (operator, product) = no_grad(|| {
            let right = b.detach();
            let product = a.times(&scaled(&right, -exponent_of("cg", &right)?))?;
            let exponent = far_exponent::<T>(largest(&product)?).ok_or_else(|| not_finite("cg", shape))?;
            Ok::<_, Error>((Scaled { operator: a.clone(), exponent }, scaled(&product, -exponent)))
        })?;
        let run = |a: &Scaled<T>, b: &Tensor<T>, first| {
            conjugate_gradients(Problem { op: "cg", shape, apply: &|x| a.apply(x), first }, b, options)
        };
        let found = no_grad(|| run(&operator, &b.detach(), Some(product.detach())))?;
        // 2^-k A (2^k x) = b
        let (inverse, exponent) = (operator.clone(), operator.exponent);
        let inverse = move |r: &Tensor<T>| {
            let problem = Problem { op: "cg", shape, apply: &|x| inverse.apply(x), first: None };
            Ok(conjugate_gradients(problem, r, options)?.x)
        };
        let b = b.clone();
        let x = implicit(&found.x, move |x| b.try_sub(&operator.apply(x)?), inverse)?;
        Ok(IterativeSolution { x: scaled(&x, -exponent), ..found })
    }
}

/// The solution of A x = b for a symmetric positive definite operator, by conjugate gradients.
///
/// Gradients reach b and all that the operator holds by the implicit rule, dx = A^-1 (db - dA x): one more solution for a
/// gradient, and no memory of the iterations. Derivatives are right up to the second order.
///
/// ```
/// use tapegrad::{Tensor, value_and_grad};
/// use tapegrad::linalg::{IterativeOptions, cg};
/// let b = Tensor::from([1.0, 2.0]);
/// let solve = |a: &Tensor| Ok(cg(a, &b, IterativeOptions::default())?.x.sum());
/// let (sum, slope) = value_and_grad(solve, &Tensor::from([[2.0, 0.0], [0.0, 4.0]]))?;
/// assert_eq!(sum.item()?, 1.0);
/// assert_eq!(slope.get([0, 0])?, -0.25);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// Shape, where the operands do not fit; argument, where b or the operator is not finite; not positive definite; not
/// converged; what the operator returns.
#[track_caller]
pub fn cg<T: Float, A: LinearOperator<T>>(
    a: &A,
    b: &Tensor<T>,
    options: IterativeOptions,
) -> Result<IterativeSolution<T>> {
    conjugate_solution(Arc::new(a.clone()), b, options).at_caller()
}

compiled_once! {
    /// [`lsqr`], whatever the operator.
    fn least_squares_solution<T: Float>(
        a: Arc<dyn AnyOperator<T>>,
        b: &Tensor<T>,
        options: IterativeOptions,
    ) -> Result<IterativeSolution<T>> {
        fits("lsqr", a.size(), b, false)?;
        let shape = a.size();
        let (operator, options, found) = no_grad(|| {
            let right = b.detach();
            let unit = exponent_of("lsqr", &right)?;
            let right = scaled(&right, -unit);
            let beta = norm(&right)?;
            let u = if beta > 0.0 { right * T::of(1.0 / beta) } else { right };
            let product = a.transposed_times(&u)?;
            let size = largest(&product)?;
            // A penalty that is larger than all of A is what has to be near one.
            let exponent = far_exponent::<T>(if size.is_nan() { size } else { size.max(options.damp.abs()) });
            let exponent = exponent.ok_or_else(|| not_finite("lsqr", shape))?;
            let operator = Scaled { operator: a.clone(), exponent };
            let damp = options.damp * 2f64.powi(-(exponent / 2)) * 2f64.powi(exponent / 2 - exponent);
            let options = IterativeOptions { damp, ..options };
            let mut found = least_squares(&operator, [u, scaled(&product, -exponent)], beta, options)?;
            found.x = scaled(&found.x, unit);
            Ok::<_, Error>((operator, options, found))
        })?;
        let damping = T::of(options.damp * options.damp);
        let (inverse, exponent) = (operator.clone(), operator.exponent);
        let inverse = move |r: &Tensor<T>| {
            let normal = |x: &Tensor<T>| Ok(inverse.apply_transposed(&inverse.apply(x)?)? + x * damping);
            let problem = Problem { op: "lsqr", shape, apply: &normal, first: None };
            Ok(conjugate_gradients(problem, r, options)?.x)
        };
        // The normal equations of 2^-k A (2^k x) = b.
        let b = b.clone();
        let residual = move |x: &Tensor<T>| {
            Ok(operator.apply_transposed(&b.try_sub(&operator.apply(x)?)?)? - x * damping)
        };
        let x = implicit(&found.x, residual, inverse)?;
        Ok(IterativeSolution { x: scaled(&x, -exponent), ..found })
    }
}

/// The x that makes ||b - A x||^2 + d^2 ||x||^2 least, by LSQR; where it is not unique, the shortest.
///
/// Gradients reach b and all that the operator holds by the implicit rule, for an operator of full column rank or d > 0: a
/// solution of the normal equations for a gradient, and no memory of the iterations. Derivatives are right up to the second
/// order.
///
/// ```
/// use tapegrad::Tensor;
/// use tapegrad::linalg::{IterativeOptions, lsqr};
/// let a = Tensor::from([[1.0, 0.0], [0.0, 2.0], [0.0, 2.0]]);
/// let x = lsqr(&a, &Tensor::from([3.0, 1.0, 3.0]), IterativeOptions::default())?.x;
/// assert!(x.try_sub(&Tensor::from([3.0, 1.0]))?.abs().max()?.item()? < 1e-9);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// Shape, where the operands do not fit; argument, where b or the operator is not finite; not converged; what the operator
/// returns.
#[track_caller]
pub fn lsqr<T: Float, A: LinearOperator<T>>(
    a: &A,
    b: &Tensor<T>,
    options: IterativeOptions,
) -> Result<IterativeSolution<T>> {
    least_squares_solution(Arc::new(a.clone()), b, options).at_caller()
}
