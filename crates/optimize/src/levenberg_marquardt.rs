//! Least squares problems for the crate [`levenberg-marquardt`](::levenberg_marquardt), in its version 0.15 with
//! nalgebra 0.34: one closure of residuals in place of an implementation of its trait.

pub use ::levenberg_marquardt::{
    LeastSquaresProblem, LevenbergMarquardt, MinimizationReport, TerminationReason,
};

use crate::flat::{self, Flat};
use crate::least_squares::recorded::{Recorded, Residuals};
use autograd::{Params, Tensor};
use nalgebra_0_34::{DMatrix, DVector, Dyn, storage::Owned};
use std::cell::{RefCell, RefMut};
use tensor_core::{AtCaller, Error, Result};

/// Residuals and their parameters as that crate's solver takes them; the Jacobian is this library's, from the same
/// evaluation as the residuals.
///
/// ```
/// # #[cfg(feature = "levenberg-marquardt")] {
/// use tapegrad::Tensor;
/// use tapegrad::optimize::levenberg_marquardt::{LevenbergMarquardt, Problem};
/// let x = Tensor::from([0.0, 1.0, 2.0]);
/// let y = Tensor::from([1.0, 3.0, 5.0]);
/// let residuals = |(a, b): &(Tensor, Tensor)| (a * &x + b).try_sub(&y);
/// let start = (Tensor::scalar(0.0), Tensor::scalar(0.0));
/// let (problem, report) = LevenbergMarquardt::new().minimize(Problem::new(residuals, &start)?);
/// let (a, b) = problem.parameters()?;
/// assert!(report.termination.was_successful());
/// assert!((a.item()? - 2.0).abs() < 1e-12 && (b.item()? - 1.0).abs() < 1e-12);
/// # }
/// # Ok::<(), tapegrad::Error>(())
/// ```
pub struct Problem<'f, P> {
    like: P,
    flat: Flat,
    x: Vec<f64>,
    state: RefCell<State<'f>>,
}

struct State<'f> {
    f: Box<Residuals<'f>>,
    /// At the parameters that are set.
    recorded: Option<Recorded>,
    residuals: Option<Vec<f64>>,
    evaluations: usize,
    error: Option<Error>,
}

impl<'f, P: Params<f64> + 'f> Problem<'f, P> {
    /// The problem of `residuals`, of any shape, starting at `x0`.
    ///
    /// # Errors
    /// Device, where the parameters are on several.
    #[track_caller]
    pub fn new(mut residuals: impl FnMut(&P) -> Result<Tensor> + 'f, x0: &P) -> Result<Self> {
        let tensors = x0.tensors();
        let flat = Flat::of("levenberg_marquardt", &tensors).at_caller()?;
        let x = flat::values(&tensors);
        let (like, inner) = (x0.rebuild(flat.tensors(&x)?), x0.rebuild(flat.tensors(&x)?));
        let f: Box<Residuals<'f>> = Box::new(move |xs| residuals(&inner.rebuild(xs.to_vec())));
        let state = State { f, recorded: None, residuals: None, evaluations: 0, error: None };
        Ok(Problem { like, flat, x, state: RefCell::new(state) })
    }

    /// The parameters, which after the solver are those it found.
    ///
    /// # Errors
    /// What the residuals returned, unchanged: the solver itself only says that it stopped.
    #[track_caller]
    pub fn parameters(self) -> Result<P> {
        match self.state.into_inner().error {
            Some(error) => Err(error),
            None => Ok(self.like.rebuild(self.flat.tensors(&self.x).at_caller()?)),
        }
    }

    /// Evaluations of the residuals so far.
    pub fn evaluations(&self) -> usize {
        self.state.borrow().evaluations
    }

    /// The state with residuals at the parameters that are set; None after an error.
    fn evaluated(&self) -> Option<RefMut<'_, State<'f>>> {
        let mut state = self.state.try_borrow_mut().ok()?;
        if state.error.is_some() {
            return None;
        }
        if state.residuals.is_none() {
            state.evaluations += 1;
            match Recorded::at(&mut *state.f, &self.x, &self.flat) {
                Ok(recorded) => {
                    state.residuals = Some(recorded.residuals());
                    state.recorded = Some(recorded);
                }
                Err(error) => {
                    state.error = Some(error);
                    return None;
                }
            }
        }
        Some(state)
    }
}

impl<'f, P: Params<f64> + 'f> LeastSquaresProblem<f64, Dyn, Dyn> for Problem<'f, P> {
    type ResidualStorage = Owned<f64, Dyn>;
    type JacobianStorage = Owned<f64, Dyn, Dyn>;
    type ParameterStorage = Owned<f64, Dyn>;

    fn set_params(&mut self, x: &DVector<f64>) {
        if self.x != x.as_slice() {
            self.x = x.as_slice().to_vec();
            let state = self.state.get_mut();
            (state.recorded, state.residuals) = (None, None);
        }
    }

    fn params(&self) -> DVector<f64> {
        DVector::from_column_slice(&self.x)
    }

    fn residuals(&self) -> Option<DVector<f64>> {
        self.evaluated()?.residuals.clone().map(DVector::from_vec)
    }

    fn jacobian(&self) -> Option<DMatrix<f64>> {
        let mut state = self.evaluated()?;
        let m = state.residuals.as_ref()?.len();
        let columns = state.recorded.as_ref()?.jacobian();
        match columns {
            Ok(columns) => Some(DMatrix::from_vec(m, self.x.len(), columns.to_vec())),
            Err(error) => {
                state.error = Some(error);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_and_jacobian_of_a_point_cost_one_evaluation() -> Result<()> {
        let mut calls = 0;
        let f = |x: &Tensor| {
            calls += 1;
            let (a, b) = (x.select(0, 0)?, x.select(0, 1)?);
            Tensor::stack(&[(&b - &a * &a) * 10.0, 1.0 - a], 0)
        };
        let problem = Problem::new(f, &Tensor::from([-1.2, 1.0]))?;
        let (problem, report) = LevenbergMarquardt::new().minimize(problem);
        assert!(report.termination.was_successful());
        let (evaluations, x) = (problem.evaluations(), problem.parameters()?);
        assert!(x.allclose(&Tensor::ones([2]), 1e-12, 1e-12)?);
        // The last set of parameters may be one that was refused.
        assert!(evaluations <= report.number_of_evaluations + 1);
        assert_eq!(evaluations, calls);
        Ok(())
    }

    #[test]
    fn errors_pass_through() -> Result<()> {
        let f = |_: &Tensor| Err(Error::other("mine"));
        let (problem, report) = LevenbergMarquardt::new().minimize(Problem::new(f, &Tensor::zeros([2]))?);
        assert!(!report.termination.was_successful());
        assert_eq!(problem.parameters().unwrap_err().to_string(), "mine");
        Ok(())
    }
}
