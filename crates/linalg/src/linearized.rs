//! Linearised functions as linear operators.

use crate::iterative::LinearOperator;
use autograd::{Linearized, LinearizedGradient, Params, Tensor, params};
use tensor_core::{Float, Result};

fn elements<T: Float>(of: &impl Params<T>) -> usize {
    of.tensors().iter().map(Tensor::numel).sum()
}

/// The Jacobian, with a row for each element of the value and a column for each element of the point, in the order of
/// [`params::flatten`].
///
/// ```
/// use tapegrad::{Tensor, linearize};
/// use tapegrad::linalg::{IterativeOptions, lsqr};
/// // A step of Gauss and Newton towards x^2 = (4, 9).
/// let f = linearize(|x: &Tensor| Ok(Tensor::from([4.0, 9.0]) - x.square()), &Tensor::from([2.0, 2.0]))?;
/// let step = lsqr(&f, f.value(), IterativeOptions::default())?.x;
/// assert!((f.point() - step - Tensor::from([2.0, 3.25])).abs().max()?.item()? < 1e-9);
/// # Ok::<(), tapegrad::Error>(())
/// ```
impl<T: Float, P, Q> LinearOperator<T> for Linearized<T, P, Q>
where
    P: Params<T> + Send + Sync + 'static,
    Q: Params<T> + Send + Sync + 'static,
{
    fn shape(&self) -> [usize; 2] {
        [elements(self.value()), elements(self.point())]
    }
    fn apply(&self, x: &Tensor<T>) -> Result<Tensor<T>> {
        params::flatten(&self.jvp(&params::unflatten(self.point(), x)?)?)
    }
    fn apply_transposed(&self, y: &Tensor<T>) -> Result<Tensor<T>> {
        params::flatten(&self.vjp(&params::unflatten(self.value(), y)?)?)
    }
}

/// The Hessian, over the elements of the point in the order of [`params::flatten`].
///
/// ```
/// use tapegrad::{Tensor, linearize_gradient};
/// use tapegrad::linalg::{IterativeOptions, cg};
/// // A step of Newton's method: no Hessian is formed.
/// let f = linearize_gradient(|x: &Tensor| Ok((x.exp() - x).sum()), &Tensor::from([1.0, 0.5]))?;
/// let step = cg(&f, f.gradient(), IterativeOptions::default())?.x;
/// assert!((step - (1.0 - (-f.point()).exp())).abs().max()?.item()? < 1e-9);
/// # Ok::<(), tapegrad::Error>(())
/// ```
impl<T: Float, P> LinearOperator<T> for LinearizedGradient<T, P>
where
    P: Params<T> + Send + Sync + 'static,
{
    fn shape(&self) -> [usize; 2] {
        [elements(self.point()); 2]
    }
    fn apply(&self, x: &Tensor<T>) -> Result<Tensor<T>> {
        params::flatten(&self.hvp(&params::unflatten(self.point(), x)?)?)
    }
    fn apply_transposed(&self, y: &Tensor<T>) -> Result<Tensor<T>> {
        self.apply(y)
    }
}

#[cfg(test)]
mod tests {
    use crate::iterative::{IterativeOptions, LinearOperator, cg, lsqr};
    use autograd::{Tensor, gradcheck, gradgradcheck, hessian, jacobian, linearize, linearize_gradient};
    use tensor_core::{ErrorKind, Result};

    #[test]
    fn structures_are_vectors_to_solvers() -> Result<()> {
        let at = (Tensor::from([[0.3, 0.8]]), Tensor::from([1.0]));
        let f = linearize(
            |(a, b): &(Tensor, Tensor)| Ok([a.exp().sum(), (a * b).sum(), b.square().sum() + a.sum()]),
            &at,
        )?;
        assert_eq!(LinearOperator::shape(&f), [3, 3]);
        let x = lsqr(&f, &Tensor::from([1.0, 2.0, 3.0]), IterativeOptions::default())?.x;
        assert!(f.apply(&x)?.try_sub(&Tensor::from([1.0, 2.0, 3.0]))?.abs().max()?.item()? < 1e-8);
        assert_eq!(f.apply(&Tensor::ones([2])).unwrap_err().kind(), ErrorKind::Shape);
        let g = linearize_gradient(
            |(a, b): &(Tensor, Tensor)| Ok(a.exp().sum() + (a * b).square().sum() + b.square().sum()),
            &at,
        )?;
        let x = cg(&g, &Tensor::ones([3]), IterativeOptions::default())?.x;
        assert!(g.apply(&x)?.try_sub(&Tensor::ones([3]))?.abs().max()?.item()? < 1e-8);
        Ok(())
    }

    /// A step of Newton's method as a function of the point and of the problem.
    #[test]
    fn solutions_are_differentiable_in_what_the_function_captures() -> Result<()> {
        let f = |x: &Tensor, p: &Tensor| Ok((x.exp() + p * x.square()).sum() + x.prod() * 0.1);
        let step = |v: &[Tensor]| {
            let g = linearize_gradient(|x: &Tensor| f(x, &v[1]), &v[0])?;
            Ok(cg(&g, g.gradient(), IterativeOptions { tolerance: 1e-13, ..Default::default() })?.x)
        };
        let at = [Tensor::from([0.3, -0.4, 0.9]), Tensor::from([1.0, 0.5, 2.0])];
        let h = hessian(|x: &Tensor| f(x, &at[1]), &at[0])?;
        let g = autograd::value_and_grad(|x: &Tensor| f(x, &at[1]), &at[0])?.1;
        assert!(step(&at)?.try_sub(&crate::solve(&h, &g)?)?.abs().max()?.item()? < 1e-10);
        gradcheck(step, &at)?;
        gradgradcheck(step, &at)?;
        let field = |x: &Tensor| (x.sin() * x.sum()).try_add(x);
        let j = jacobian(field, &at[0])?;
        let step = lsqr(&linearize(field, &at[0])?, &Tensor::ones([3]), IterativeOptions::default())?.x;
        assert!(step.try_sub(&crate::solve(&j, &Tensor::ones([3]))?)?.abs().max()?.item()? < 1e-8);
        Ok(())
    }
}
