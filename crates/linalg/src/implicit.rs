//! Derivatives of what a solver found, with respect to the problem.

use crate::iterative::{IterativeOptions, LinearOperator, cg, lsqr};
use crate::sparse::{Factored, SparseJacobian};
use autograd::{
    Kept, Linearized, LinearizedGradient, Op, Params, Tensor, apply, jacobian, linearize, linearize_gradient,
    no_grad, params, value_and_grad,
};
use std::fmt;
use std::sync::Arc;
use tensor_core::kernels::{self, Lu};
use tensor_core::{Array, AtCaller, Error, ErrorKind, Float, Result, compiled_once};

/// A solver of linear systems with the Jacobian of an implicit function, for [`ImplicitJacobian::Solver`].
type Solver<T> = Arc<dyn Fn(&ImplicitOperator<T>, &Tensor<T>) -> Result<Tensor<T>> + Send + Sync>;

/// How `implicit_root`, `implicit_argmin` and their kin solve with the Jacobian, or the Hessian, at the solution.
#[derive(Clone, Default)]
pub enum ImplicitJacobian<T: Float = f64> {
    /// As a dense matrix, by LU: for some thousand unknowns at most.
    #[default]
    Dense,
    /// By products alone, from one recorded evaluation: conjugate gradients for a minimum, LSQR for a root.
    Iterative(IterativeOptions),
    /// As a sparse matrix of this plan: sparse LU for a root; for a minimum, whose plan is that of the gradient, sparse
    /// Cholesky where the Hessian is positive definite, else LU.
    Sparse(SparseJacobian),
    /// By a solver of your own: the solution of A x = b for the operator A, which is the Jacobian or its transpose, and the
    /// vector b. [`ImplicitJacobian::solver`] makes one of a function.
    Solver(Solver<T>),
}

impl<T: Float> ImplicitJacobian<T> {
    /// By a function that solves A x = b for an operator A and a vector b.
    ///
    /// ```
    /// use tapegrad::{Tensor, value_and_grad};
    /// use tapegrad::linalg::{ImplicitJacobian, ImplicitOptions, LinearOperator, implicit_root_with};
    /// // The Jacobian is diagonal: ones show it.
    /// let divide = ImplicitJacobian::solver(|a, b: &Tensor| b.try_div(&a.apply(&b.ones_like())?));
    /// let options = ImplicitOptions { jacobian: divide, ..Default::default() };
    /// let root = |p: &Tensor| implicit_root_with(|x| x.square().try_sub(p), &p.detach().sqrt(), options.clone());
    /// let (_, dx) = value_and_grad(|p| Ok(root(p)?.sum()), &Tensor::from([4.0, 25.0]))?;
    /// assert_eq!(dx.to_vec(), [0.25, 0.1]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    pub fn solver(
        solve: impl Fn(&ImplicitOperator<T>, &Tensor<T>) -> Result<Tensor<T>> + Send + Sync + 'static,
    ) -> Self {
        ImplicitJacobian::Solver(Arc::new(solve))
    }
}

impl<T: Float> fmt::Debug for ImplicitJacobian<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ImplicitJacobian::Dense => write!(f, "Dense"),
            ImplicitJacobian::Iterative(options) => write!(f, "Iterative({options:?})"),
            ImplicitJacobian::Sparse(plan) => write!(f, "Sparse({} passes)", plan.passes()),
            ImplicitJacobian::Solver(_) => write!(f, "Solver(..)"),
        }
    }
}

/// How what a solver found is differentiated.
///
/// ```
/// use tapegrad::linalg::{ImplicitOptions, implicit_root_with};
/// use tapegrad::{Tensor, value_and_grad};
/// let first = ImplicitOptions { order: 1, ..Default::default() };
/// let root = |p: &Tensor| implicit_root_with(|x| x.square().try_sub(p), &p.detach().sqrt(), first.clone());
/// assert_eq!(value_and_grad(|p| root(p), &Tensor::scalar(4.0))?.1.item()?, 0.25);
/// # Ok::<(), tapegrad::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ImplicitOptions<T: Float = f64> {
    /// Up to which order derivatives are those of the exact solution: as many steps are recorded, each with one evaluation
    /// of the function.
    pub order: usize,
    /// How systems with the Jacobian are solved.
    pub jacobian: ImplicitJacobian<T>,
}

impl<T: Float> Default for ImplicitOptions<T> {
    fn default() -> Self {
        ImplicitOptions { order: 3, jacobian: ImplicitJacobian::Dense }
    }
}

#[derive(Clone)]
enum Products<T: Float> {
    Root(Linearized<T, Tensor<T>, Tensor<T>>),
    Minimum(LinearizedGradient<T, Tensor<T>>),
}

/// The Jacobian of an implicit function at the solution, or its transpose, as a solver of one's own sees it.
#[derive(Clone)]
pub struct ImplicitOperator<T: Float> {
    products: Products<T>,
    transposed: bool,
}

impl<T: Float> LinearOperator<T> for ImplicitOperator<T> {
    fn shape(&self) -> [usize; 2] {
        match &self.products {
            Products::Root(f) => f.shape(),
            Products::Minimum(f) => f.shape(),
        }
    }
    fn apply(&self, x: &Tensor<T>) -> Result<Tensor<T>> {
        match &self.products {
            Products::Root(f) if self.transposed => f.apply_transposed(x),
            Products::Root(f) => f.apply(x),
            Products::Minimum(f) => f.apply(x),
        }
    }
    fn apply_transposed(&self, y: &Tensor<T>) -> Result<Tensor<T>> {
        ImplicitOperator { products: self.products.clone(), transposed: !self.transposed }.apply(y)
    }
}

/// The constant J at the solution, ready to solve with.
enum System<T: Float> {
    Dense(Lu<T>, [usize; 2]),
    Sparse(Factored<T>),
    Iterative(ImplicitOperator<T>, IterativeOptions),
    Solver(ImplicitOperator<T>, Solver<T>),
}

impl<T: Float> System<T> {
    /// J^-1 b, or J^-T b.
    fn solve(&self, b: &Tensor<T>, transposed: bool) -> Result<Tensor<T>> {
        let towards = |a: &ImplicitOperator<T>| ImplicitOperator { products: a.products.clone(), transposed };
        match self {
            System::Dense(lu, shape) => {
                let column = b.unsqueeze(-1)?;
                match lu.solve("implicit_root", column.array(), transposed)? {
                    (_, Some(flaw)) => Err(flaw.error("implicit_root", shape)),
                    (x, _) => Tensor::from(x).squeeze(-1),
                }
            }
            System::Sparse(factored) => factored.solve("implicit_root", b, transposed),
            System::Iterative(a, options) => match &a.products {
                Products::Minimum(f) => Ok(cg(f, b, *options)?.x),
                Products::Root(_) => {
                    let a = towards(a);
                    let x = lsqr(&a, b, *options)?.x;
                    // A singular operator has least squares solutions, too, which solve nothing.
                    let size = |x: Tensor<T>| -> Result<f64> { Ok(x.norm().item()?.to_f64()) };
                    let left = size(b.try_sub(&a.apply(&x)?)?)? / size(b.clone())?;
                    if left > options.tolerance.max(T::EPSILON.to_f64()).sqrt() {
                        return Err(unsolved(left));
                    }
                    Ok(x)
                }
            },
            System::Solver(a, solve) => {
                let x = solve(&towards(a), b)?;
                if x.shape() == b.shape() {
                    return Ok(x);
                }
                let message =
                    format!("the solver gives shape {:?} for a system of {} unknowns", x.shape(), b.numel());
                Err(Error::shape("implicit_root", message))
            }
        }
    }

    /// J^T y, where J is known by its products alone.
    fn transposed_times(&self, y: &Tensor<T>) -> Option<Result<Tensor<T>>> {
        match self {
            System::Iterative(a, _) | System::Solver(a, _) => Some(a.apply_transposed(y)),
            _ => None,
        }
    }

    /// Whether a step is worth its solution where nothing is differentiated.
    fn is_direct(&self) -> bool {
        matches!(self, System::Dense(..) | System::Sparse(_))
    }
}

#[cold]
fn unsolved(left: f64) -> Error {
    let message = format!(
        "lsqr leaves {left:.1e} of the right-hand side: the Jacobian at the solution is singular, or too nearly so for it"
    );
    Error::new(ErrorKind::Singular { batch: 0 }, "implicit_root", message)
}

/// J^-1 b for a constant J: linear, and so its rule is its transpose.
struct Solved<T: Float> {
    system: Arc<System<T>>,
    transposed: bool,
}

impl<T: Float> Op<T, 1> for Solved<T> {
    fn name(&self) -> &'static str {
        "implicit_solve"
    }
    fn forward(&self, [b]: [&Array<T>; 1]) -> Result<Array<T>> {
        Ok(no_grad(|| self.system.solve(&Tensor::from(b.clone()), self.transposed))?.into_array())
    }
    /// J^-T grad
    fn vjp(&self, _: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 1]> {
        Ok([Some(apply(Solved { system: self.system.clone(), transposed: !self.transposed }, [&g])?)])
    }
}

/// x - J^-1 r, where r is the function's value at x.
struct Step<T: Float>(Arc<System<T>>);

impl<T: Float> Op<T, 2> for Step<T> {
    fn name(&self) -> &'static str {
        "implicit_step"
    }
    fn forward(&self, [x, r]: [&Array<T>; 2]) -> Result<Array<T>> {
        if !self.0.is_direct() {
            // The residual of a solution is rounding, and so would be the step.
            return Ok(x.clone());
        }
        let step = no_grad(|| self.0.solve(&Tensor::from(r.clone()), false))?;
        Ok(Tensor::from(x.clone()).try_sub(&step)?.into_array())
    }
    /// r: -J^-T grad; x: grad. Where J is known by products, x: J^T J^-T grad in first order, which is the same and cancels
    /// to the last bit with what reaches x through r, so that no system is solved for the rounding that would be left.
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 2]> {
        let back = apply(Solved { system: self.0.clone(), transposed: true }, [&g])?;
        let by_x = kept.wrt(0, || match kept.create_graph() {
            true => Ok(g),
            false => self.0.transposed_times(&back).unwrap_or(Ok(g)),
        })?;
        Ok([by_x, kept.wrt(1, || Ok(-back))?])
    }
}

/// What is zero at the solution: a function, or the gradient of one.
enum Problem<'a, T: Float> {
    Root(&'a dyn Fn(&Tensor<T>) -> Result<Tensor<T>>),
    Minimum(&'a dyn Fn(&Tensor<T>) -> Result<Tensor<T>>),
}

impl<T: Float> Problem<'_, T> {
    fn residual(&self, x: &Tensor<T>) -> Result<Tensor<T>> {
        match self {
            Problem::Root(f) => f(x),
            Problem::Minimum(f) => Ok(value_and_grad(f, x)?.1),
        }
    }

    /// The constant Jacobian of the residual at `x`, a vector, for solutions with it.
    fn system(&self, x: &Tensor<T>, by: &ImplicitJacobian<T>) -> Result<System<T>> {
        let products = || -> Result<_> {
            let products = match self {
                Problem::Root(f) => Products::Root(linearize(f, x)?),
                Problem::Minimum(f) => Products::Minimum(linearize_gradient(f, x)?),
            };
            Ok(ImplicitOperator { products, transposed: false })
        };
        match by {
            ImplicitJacobian::Dense => {
                let slopes = jacobian(|x: &Tensor<T>| self.residual(x), x)?;
                Ok(System::Dense(kernels::lu("implicit_root", slopes.array())?, [x.numel(); 2]))
            }
            ImplicitJacobian::Sparse(plan) => {
                let slopes = plan.evaluate(|x: &Tensor<T>| self.residual(x), x)?;
                Ok(System::Sparse(match self {
                    Problem::Root(_) => Factored::lu("implicit_root", &slopes)?,
                    Problem::Minimum(_) => match Factored::cholesky("implicit_argmin", &slopes) {
                        Err(e) if matches!(e.kind(), ErrorKind::NotPositiveDefinite { .. }) => {
                            Factored::lu("implicit_argmin", &slopes)?
                        }
                        factored => factored?,
                    },
                }))
            }
            ImplicitJacobian::Iterative(options) => Ok(System::Iterative(products()?, *options)),
            ImplicitJacobian::Solver(solve) => Ok(System::Solver(products()?, solve.clone())),
        }
    }
}

compiled_once! {
    /// Steps x - J^-1 f(x) with the Jacobian at the solution: each makes the derivatives of one more order right.
    fn steps<T: Float>(problem: &Problem<'_, T>, x: &Tensor<T>, options: &ImplicitOptions<T>) -> Result<Tensor<T>> {
        let (shape, mut x) = (x.shape(), x.detach().flatten());
        let flat = |f: &dyn Fn(&Tensor<T>) -> Result<Tensor<T>>, x: &Tensor<T>| f(&x.reshape(shape)?);
        let problem: &Problem<'_, T> = match problem {
            Problem::Root(f) => &Problem::Root(&|x| Ok(flat(f, x)?.flatten())),
            Problem::Minimum(f) => &Problem::Minimum(&|x| flat(f, x)),
        };
        let mut system = None;
        for _ in 0..options.order.max(1) {
            let r = problem.residual(&x)?;
            if r.numel() != x.numel() {
                let message = format!(
                    "f gives {} elements for x of shape {shape:?}: as many equations as unknowns are needed",
                    r.numel()
                );
                return Err(Error::shape("implicit_root", message));
            }
            let by_products = matches!(options.jacobian, ImplicitJacobian::Iterative(_) | ImplicitJacobian::Solver(_));
            if by_products && !r.is_tracked() {
                break;
            }
            let system = match &system {
                Some(system) => Arc::clone(system),
                None => {
                    let found = Arc::new(no_grad(|| problem.system(&x.detach(), &options.jacobian))?);
                    system.insert(found).clone()
                }
            };
            x = apply(Step(system), [&x, &r])?;
        }
        x.reshape(shape)
    }
}

/// The root `x` of `f`, found by any means, as a function of all that `f` captures: its derivatives are
/// those of the exact root, up to the third order.
///
/// Three steps x - J^-1 f(x) from the root, with its Jacobian there: they leave it where it is, up to what the solver left,
/// and each gives the right terms of one more order of the Taylor series in the problem's parameters. The first step alone
/// is the implicit function theorem, dx = -J^-1 (df/dp) dp. The memory of the solver's own iterations is never needed.
/// [`implicit_root_with`] has options for large problems, and [`custom_root`] calls the solver, too.
///
/// ```
/// use tapegrad::{Tensor, hessian, value_and_grad};
/// use tapegrad::linalg::implicit_root;
/// // x^2 = p, solved by the standard library.
/// let root = |p: &Tensor| implicit_root(|x| x.square().try_sub(p), &Tensor::from([p.item()?.sqrt()]));
/// let (x, dx) = value_and_grad(|p| Ok(root(p)?.sum()), &Tensor::scalar(4.0))?;
/// assert_eq!((x.item()?, dx.item()?), (2.0, 0.25));
/// assert_eq!(hessian(|p| Ok(root(p)?.sum()), &Tensor::scalar(4.0))?.item()?, -1.0 / 32.0);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// What `f` returns; shape, where it does not give as many elements as `x` has; singular, where the
/// Jacobian is, so that the root does not depend on the problem smoothly.
#[track_caller]
pub fn implicit_root<T: Float>(
    f: impl Fn(&Tensor<T>) -> Result<Tensor<T>>,
    x: &Tensor<T>,
) -> Result<Tensor<T>> {
    steps(&Problem::Root(&f), x, &ImplicitOptions::default()).at_caller()
}

/// [`implicit_root`], with options: for a cheaper first order, and for so many unknowns that their Jacobian is sparse, or
/// known by its products alone.
///
/// ```
/// use tapegrad::{Tensor, value_and_grad};
/// use tapegrad::linalg::{ImplicitJacobian, ImplicitOptions, SparseJacobian, SparseTensor, implicit_root_with};
/// // x_i^3 + x_i = p_i, 10,000 times.
/// let p = Tensor::full([10_000], 10.0);
/// let plan = SparseJacobian::new(&SparseTensor::<f64>::eye(10_000)?)?;
/// let options = ImplicitOptions { order: 1, jacobian: ImplicitJacobian::Sparse(plan) };
/// let root = |p: &Tensor| implicit_root_with(|x| (x.powf(3.0) + x).try_sub(p), &(p.detach() * 0.2), options.clone());
/// let (sum, dx) = value_and_grad(|p| Ok(root(p)?.sum()), &p)?;
/// assert!((sum.item()? - 20_000.0).abs() < 1e-6 && (dx.get([0])? - 1.0 / 13.0).abs() < 1e-12);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// As [`implicit_root`]; what the solver returns, not converged for an iterative one.
#[track_caller]
pub fn implicit_root_with<T: Float>(
    f: impl Fn(&Tensor<T>) -> Result<Tensor<T>>,
    x: &Tensor<T>,
    options: ImplicitOptions<T>,
) -> Result<Tensor<T>> {
    steps(&Problem::Root(&f), x, &options).at_caller()
}

/// The minimum `x` of `f`, a scalar function, found by any means, as a function of all that `f`
/// captures: its derivatives are those of the exact minimum, up to the third order. The root of the
/// gradient, as in [`implicit_root`].
///
/// ```
/// use tapegrad::{Tensor, value_and_grad};
/// use tapegrad::linalg::implicit_argmin;
/// // (x - p)^2 + x^2 is least at x = p / 2.
/// let best = |p: &Tensor| {
///     implicit_argmin(|x| Ok((x - p).square().sum() + x.square().sum()), &Tensor::from([1.5]))
/// };
/// let (x, dx) = value_and_grad(|p| Ok(best(p)?.sum()), &Tensor::scalar(3.0))?;
/// assert_eq!((x.item()?, dx.item()?), (1.5, 0.5));
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// What `f` returns; shape, where its value is no scalar; singular, where the Hessian is.
#[track_caller]
pub fn implicit_argmin<T: Float>(
    f: impl Fn(&Tensor<T>) -> Result<Tensor<T>>,
    x: &Tensor<T>,
) -> Result<Tensor<T>> {
    steps(&Problem::Minimum(&f), x, &ImplicitOptions::default()).at_caller()
}

/// [`implicit_argmin`], with options: for a cheaper first order, and for so many unknowns that the Hessian is sparse, or known
/// by its products alone.
///
/// ```
/// use tapegrad::{Tensor, value_and_grad};
/// use tapegrad::linalg::{ImplicitJacobian, ImplicitOptions, IterativeOptions, implicit_argmin_with};
/// // Each x_i is least at p / 2, and no Hessian is formed for 10,000 of them.
/// let jacobian = ImplicitJacobian::Iterative(IterativeOptions::default());
/// let options = ImplicitOptions { order: 1, jacobian };
/// let best = |p: &Tensor| {
///     let found = Tensor::full([10_000], p.item()? / 2.0);
///     implicit_argmin_with(|x| Ok((x - p).square().sum() + x.square().sum()), &found, options.clone())
/// };
/// let (_, dx) = value_and_grad(|p| Ok(best(p)?.sum()), &Tensor::scalar(3.0))?;
/// assert!((dx.item()? - 5000.0).abs() < 1e-6);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// As [`implicit_argmin`]; what the solver returns: not positive definite and not converged for conjugate gradients.
#[track_caller]
pub fn implicit_argmin_with<T: Float>(
    f: impl Fn(&Tensor<T>) -> Result<Tensor<T>>,
    x: &Tensor<T>,
    options: ImplicitOptions<T>,
) -> Result<Tensor<T>> {
    steps(&Problem::Minimum(&f), x, &options).at_caller()
}

/// What `solve` finds for constants, and a structure of the parameters as they are tracked.
fn found<T: Float, X: Params<T>, P: Params<T>>(
    solve: impl FnOnce(&P) -> Result<X>,
    p: &P,
) -> Result<(X, Tensor<T>)> {
    let constant = p.rebuild(p.tensors().iter().map(Tensor::detach).collect());
    let x = no_grad(|| solve(&constant))?;
    let flat = params::flatten(&x)?.detach();
    Ok((x, flat))
}

/// Makes any solver differentiable: what `solve` finds for the parameters `p`, as a function of `p`, given that it is a root
/// of `residual`. The solver gets constants and is never differentiated; gradients reach `p`, and whatever else `residual`
/// captures, as those of [`implicit_root`].
///
/// ```
/// use tapegrad::linalg::custom_root;
/// use tapegrad::{Tensor, value_and_grad};
/// // x = cos(p x), by iteration.
/// let solve = |p: &Tensor| (0..200).try_fold(Tensor::scalar(0.5), |x, _| Ok((p * x).cos()));
/// let root = |p: &Tensor| custom_root(solve, |x: &Tensor, p: &Tensor| Ok(x - (p * x).cos()), p);
/// let (x, dx) = value_and_grad(root, &Tensor::scalar(1.0))?;
/// let (x, sin) = (x.item()?, x.item()?.sin());
/// assert!((dx.item()? + x * sin / (1.0 + sin)).abs() < 1e-12);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// What `solve` and `residual` return; as [`implicit_root`].
#[doc(alias = "implicit_diff")]
#[track_caller]
pub fn custom_root<T: Float, X: Params<T>, R: Params<T>, P: Params<T>>(
    solve: impl FnOnce(&P) -> Result<X>,
    residual: impl Fn(&X, &P) -> Result<R>,
    p: &P,
) -> Result<X> {
    custom_root_with(solve, residual, p, ImplicitOptions::default())
}

/// [`custom_root`], with the options of [`implicit_root_with`].
///
/// # Errors
/// What `solve` and `residual` return; as [`implicit_root_with`].
#[track_caller]
pub fn custom_root_with<T: Float, X: Params<T>, R: Params<T>, P: Params<T>>(
    solve: impl FnOnce(&P) -> Result<X>,
    residual: impl Fn(&X, &P) -> Result<R>,
    p: &P,
    options: ImplicitOptions<T>,
) -> Result<X> {
    let (x, flat) = found(solve, p)?;
    let f = |flat: &Tensor<T>| params::flatten(&residual(&params::unflatten(&x, flat)?, p)?);
    let root = implicit_root_with(f, &flat, options)?;
    params::unflatten(&x, &root)
}

/// Makes any minimiser differentiable: what `solve` finds for the parameters `p`, as a function of `p`, given that it makes
/// `objective` least. The solver gets constants and is never differentiated; gradients reach `p`, and whatever else
/// `objective` captures, as those of [`implicit_argmin`].
///
/// ```
/// use tapegrad::linalg::custom_argmin;
/// use tapegrad::{Tensor, value_and_grad};
/// // (x - 1)^2 + p x^2 is least at 1 / (1 + p).
/// let solve = |p: &Tensor| Ok(1.0 / (1.0 + p));
/// let objective = |x: &Tensor, p: &Tensor| Ok((x - 1.0).square() + p * x.square());
/// let (x, dx) = value_and_grad(|p| custom_argmin(solve, objective, p), &Tensor::scalar(1.0))?;
/// assert_eq!((x.item()?, dx.item()?), (0.5, -0.25));
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// What `solve` and `objective` return; as [`implicit_argmin`].
#[track_caller]
pub fn custom_argmin<T: Float, X: Params<T>, P: Params<T>>(
    solve: impl FnOnce(&P) -> Result<X>,
    objective: impl Fn(&X, &P) -> Result<Tensor<T>>,
    p: &P,
) -> Result<X> {
    custom_argmin_with(solve, objective, p, ImplicitOptions::default())
}

/// [`custom_argmin`], with the options of [`implicit_argmin_with`].
///
/// # Errors
/// What `solve` and `objective` return; as [`implicit_argmin_with`].
#[track_caller]
pub fn custom_argmin_with<T: Float, X: Params<T>, P: Params<T>>(
    solve: impl FnOnce(&P) -> Result<X>,
    objective: impl Fn(&X, &P) -> Result<Tensor<T>>,
    p: &P,
    options: ImplicitOptions<T>,
) -> Result<X> {
    let (x, flat) = found(solve, p)?;
    let f = |flat: &Tensor<T>| objective(&params::unflatten(&x, flat)?, p);
    let best = implicit_argmin_with(f, &flat, options)?;
    params::unflatten(&x, &best)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sparse::SparseTensor;
    use autograd::{gradcheck, gradgradcheck, hessian};

    /// x^3 + p x_(k+1) = q, coupled so that the Jacobian is no symmetric matrix.
    fn field(x: &Tensor, p: &[Tensor]) -> Result<Tensor> {
        let next = Tensor::cat([&x.narrow(0, 1, 2)?, &x.narrow(0, 0, 1)?], 0)?;
        (x.powf(3.0) + x * 2.0 + next.try_mul(&p[0])?).try_sub(&p[1])
    }

    fn energy(x: &Tensor, p: &[Tensor]) -> Result<Tensor> {
        Ok((x.powf(4.0) * 0.25 + x.square()).sum()
            + x.narrow(0, 0, 2)?.try_mul(&x.narrow(0, 1, 2)?)?.sum() * p[0].sum()
            - x.try_mul(&p[1])?.sum())
    }

    /// Newton's method, for constants.
    fn newton(f: impl Fn(&Tensor) -> Result<Tensor>) -> Result<Tensor> {
        (0..60).try_fold(Tensor::zeros([3]), |x, _| {
            let (y, j) = autograd::value_and_jacobian(&f, &x)?;
            x.try_sub(&crate::solve(&j, &y)?)
        })
    }

    fn kinds() -> Result<[ImplicitJacobian; 4]> {
        let tight = IterativeOptions { tolerance: 1e-13, ..Default::default() };
        let plan = SparseJacobian::new(&SparseTensor::from_dense(&Tensor::ones([3, 3]))?)?;
        let by_products = ImplicitJacobian::solver(|a: &ImplicitOperator<f64>, b: &Tensor| {
            let columns: Vec<Tensor> =
                (0..3).map(|k| a.apply(&Tensor::eye(3).select(0, k)?)).collect::<Result<_>>()?;
            crate::solve(&Tensor::stack(&columns, 1)?, b)
        });
        Ok([
            ImplicitJacobian::Dense,
            ImplicitJacobian::Iterative(tight),
            ImplicitJacobian::Sparse(plan),
            by_products,
        ])
    }

    fn parameters() -> [Tensor; 2] {
        [Tensor::from([0.3, -0.2, 0.5]), Tensor::from([1.0, 0.4, -0.7])]
    }

    #[test]
    fn roots_and_minima_by_every_solver_to_second_order() -> Result<()> {
        for jacobian in kinds()? {
            for order in [2, 3] {
                let options = ImplicitOptions { order, jacobian: jacobian.clone() };
                let root = |p: &[Tensor]| {
                    let p: Vec<Tensor> = p.to_vec();
                    let solve = |p: &Vec<Tensor>| newton(|x| field(x, p));
                    custom_root_with(solve, |x: &Tensor, p: &Vec<Tensor>| field(x, p), &p, options.clone())
                };
                gradcheck(root, &parameters())?;
                gradgradcheck(root, &parameters())?;
                let best = |p: &[Tensor]| {
                    let p: Vec<Tensor> = p.to_vec();
                    let solve = |p: &Vec<Tensor>| newton(|x| Ok(value_and_grad(|x| energy(x, p), x)?.1));
                    custom_argmin_with(solve, |x: &Tensor, p: &Vec<Tensor>| energy(x, p), &p, options.clone())
                };
                gradcheck(best, &parameters())?;
                gradgradcheck(best, &parameters())?;
            }
        }
        Ok(())
    }

    #[test]
    fn one_step_is_right_in_first_order() -> Result<()> {
        for jacobian in kinds()? {
            let options = ImplicitOptions { order: 1, jacobian };
            let root = |p: &[Tensor]| {
                let found = no_grad(|| newton(|x| field(x, p)))?;
                implicit_root_with(|x| field(x, p), &found, options.clone())
            };
            gradcheck(root, &parameters())?;
            let best = |p: &[Tensor]| {
                let found = no_grad(|| newton(|x| Ok(value_and_grad(|x| energy(x, p), x)?.1)))?;
                implicit_argmin_with(|x| energy(x, p), &found, options.clone())
            };
            gradcheck(best, &parameters())?;
        }
        Ok(())
    }

    /// d^3 sqrt(p) / dp^3 = 3/8 p^(-5/2)
    #[test]
    fn three_steps_are_right_in_third_order() -> Result<()> {
        for jacobian in [ImplicitJacobian::Dense, ImplicitJacobian::Iterative(IterativeOptions::default())] {
            let options = ImplicitOptions { order: 3, jacobian };
            let root = |p: &Tensor| {
                custom_root_with(
                    |p: &Tensor| Ok(p.sqrt()),
                    |x: &Tensor, p: &Tensor| x.square().try_sub(p),
                    p,
                    options.clone(),
                )
            };
            let p = Tensor::from([4.0]);
            let (_, third) = value_and_grad(|p| Ok(hessian(|p| Ok(root(p)?.sum()), p)?.sum()), &p)?;
            assert!((third.item()? - 3.0 / 256.0).abs() < 1e-10, "{third}");
        }
        Ok(())
    }

    /// -u'' + u^3 = p: its Jacobian has three diagonals.
    #[test]
    fn ten_thousand_unknowns_by_sparse_factors_and_by_products() -> Result<()> {
        let n = 10_000;
        let field = |u: &Tensor, p: &Tensor| {
            let second =
                u * 4.0 - u.pad([1, 0], 0.0)?.narrow(0, 0, n)? - u.pad([0, 1], 0.0)?.narrow(0, 1, n)?;
            (second + u.powf(3.0)).try_sub(p)
        };
        let energy = |u: &Tensor, p: &Tensor| {
            let steps = u.pad([0, 1], 0.0)?.try_sub(&u.pad([1, 0], 0.0)?)?;
            Ok(steps.square().sum() * 0.5 + u.square().sum() + u.powf(4.0).sum() * 0.25 - u.try_mul(p)?.sum())
        };
        let one = Tensor::ones([n]);
        let bands = SparseTensor::diags(
            [one.narrow(0, 1, n - 1)?, one.clone(), one.narrow(0, 1, n - 1)?],
            [-1, 0, 1],
            (n, n),
        )?;
        let plan = SparseJacobian::new(&bands)?;
        let p = autograd::linspace(1.0, 2.0, n)?;
        let solve = |p: &Tensor| {
            (0..30).try_fold(Tensor::zeros([n]), |u, _| {
                u.try_sub(&plan.evaluate(|u: &Tensor| field(u, p), &u)?.solve(&field(&u, p)?)?)
            })
        };
        let gradient = |jacobian: &ImplicitJacobian, minimum: bool| {
            let options = ImplicitOptions { order: 1, jacobian: jacobian.clone() };
            value_and_grad(
                |p: &Tensor| {
                    let u = match minimum {
                        true => custom_argmin_with(solve, energy, p, options)?,
                        false => custom_root_with(solve, field, p, options)?,
                    };
                    Ok(u.square().sum())
                },
                &p,
            )
        };
        let sparse = ImplicitJacobian::Sparse(plan.clone());
        let (value, expected) = gradient(&sparse, false)?;
        for (jacobian, minimum) in [
            (sparse, true),
            (ImplicitJacobian::Iterative(IterativeOptions::default()), true),
            (ImplicitJacobian::Iterative(IterativeOptions::default()), false),
        ] {
            let (same, g) = gradient(&jacobian, minimum)?;
            assert!((same.item()? - value.item()?).abs() < 1e-9 * value.item()?);
            assert!(g.try_sub(&expected)?.abs().max()?.item()? < 1e-8);
        }
        Ok(())
    }

    #[test]
    fn structures_and_errors() -> Result<()> {
        // u + v = p and u v = q
        let field = |(u, v): &(Tensor, Tensor), (p, q): &(Tensor, Tensor)| Ok((u + v - p, u * v - q));
        let solve = |(p, q): &(Tensor, Tensor)| {
            let root = (p.square() * 0.25 - q).sqrt();
            Ok((p * 0.5 + &root, p * 0.5 - root))
        };
        let at = (Tensor::scalar(5.0), Tensor::scalar(6.0));
        let ((u, v), (du, _)) = autograd::value_and_jacobian(|p| custom_root(solve, field, p), &at)?;
        assert_eq!((u.item()?, v.item()?), (3.0, 2.0));
        // u = p/2 + sqrt(p^2/4 - q)
        assert!((du.0.item()? - 3.0).abs() < 1e-12 && (du.1.item()? + 1.0).abs() < 1e-12);

        let x = Tensor::ones([2]);
        let short = ImplicitOptions { order: 1, ..Default::default() };
        let e = implicit_root_with(|x| x.narrow(0, 0, 1), &x, short.clone()).unwrap_err();
        assert_eq!((e.kind(), e.op()), (ErrorKind::Shape, "implicit_root"));
        let flat = |jacobian| {
            let p = Tensor::ones([2]).requires_grad();
            let options = ImplicitOptions { order: 1, jacobian };
            implicit_root_with(|x| (x * 0.0).try_add(&p), &x, options)?.sum().backward()
        };
        assert_eq!(flat(ImplicitJacobian::Dense).unwrap_err().kind(), ErrorKind::Singular { batch: 0 });
        let plan = SparseJacobian::new(&SparseTensor::<f64>::eye(2)?)?;
        assert_eq!(
            flat(ImplicitJacobian::Sparse(plan)).unwrap_err().kind(),
            ErrorKind::Singular { batch: 0 }
        );
        let e = flat(ImplicitJacobian::Iterative(IterativeOptions::default())).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Singular { batch: 0 }, "{e}");
        let e = flat(ImplicitJacobian::solver(|_, b: &Tensor| b.narrow(0, 0, 1))).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Shape, "{e}");
        assert_eq!(
            flat(ImplicitJacobian::solver(|_, _| Err(Error::other("mine")))).unwrap_err().to_string(),
            "mine"
        );
        assert_eq!(format!("{short:?}"), "ImplicitOptions { order: 1, jacobian: Dense }");
        Ok(())
    }
}
