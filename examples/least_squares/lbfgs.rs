//! L-BFGS by argmin, on this library's gradients.

use crate::Result;
use crate::problem::Problem;
use crate::progress::{MOST_ITERATIONS, Outcome, Progress};
use argmin::core::observers::{Observe, ObserverMode};
use argmin::core::{CostFunction, Error, Executor, Gradient, IterState, KV, State as _, TerminationReason};
use argmin::solver::linesearch::HagerZhangLineSearch;
use argmin::solver::quasinewton::LBFGS;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use tapegrad::prelude::*;

/// From how many of the last steps the Hessian is modelled.
const MEMORY: usize = 10;

/// Minimises with the line search of Hager and Zhang (2005): its approximate Wolfe conditions still
/// find a step where the loss changes by no more than its rounding, where conditions on the loss fail.
pub fn minimize<T: Float>(problem: &Problem<T>) -> Result<Outcome<T>> {
    let objective = Objective { problem, last: RefCell::default(), evaluations: Cell::new(0) };
    let progress = Progress::start("L-BFGS", problem);
    let best = Iterate { x: Vec::new(), norm: f64::INFINITY };
    let record = Record(Rc::new(RefCell::new((progress, best))));
    let solver = LBFGS::new(HagerZhangLineSearch::new(), MEMORY)
        .with_tolerance_grad(problem.tolerance().to_f64())?
        .with_tolerance_cost(0.0)?;
    let start = problem.start()?.cast::<f64>().to_vec();
    let end = Executor::new(&objective, solver)
        .configure(|state| state.param(start).max_iters(MOST_ITERATIONS as u64))
        .add_observer(Record(Rc::clone(&record.0)), ObserverMode::Always)
        .run()?;
    let converged = end.state.get_termination_reason() == Some(&TerminationReason::SolverConverged);
    // With it goes the executor's handle of the record.
    drop(end);
    let (progress, best) = Rc::into_inner(record.0).ok_or("argmin kept its observer")?.into_inner();
    Ok(progress.finish(objective.tensor(&best.x)?, converged))
}

/// The loss as argmin calls it: in vectors of f64, whatever the problem computes in.
struct Objective<'a, T: Float> {
    problem: &'a Problem<T>,
    /// argmin asks for the loss and the gradient at one point in two calls.
    last: RefCell<Point>,
    evaluations: Cell<usize>,
}

#[derive(Clone, Default)]
struct Point {
    x: Vec<f64>,
    loss: f64,
    gradient: Vec<f64>,
}

impl<T: Float> Objective<'_, T> {
    fn tensor(&self, x: &[f64]) -> tapegrad::Result<Tensor<T>> {
        Tensor::from(x.to_vec()).cast().to_device(&self.problem.device())
    }

    fn at(&self, x: &[f64]) -> Result<Point, Error> {
        if self.last.borrow().x == x {
            return Ok(self.last.borrow().clone());
        }
        self.evaluations.set(self.evaluations.get() + 1);
        if self.evaluations.get() > MOST_ITERATIONS {
            return Err(Error::msg("the line search takes too long"));
        }
        let (loss, gradient) = value_and_grad(|x| self.problem.loss(x), &self.tensor(x)?)?;
        let (loss, gradient) = (loss.item()?.to_f64(), gradient.cast::<f64>().to_vec());
        // No line search gets out of NaN.
        if !loss.is_finite() || gradient.iter().any(|g| !g.is_finite()) {
            return Err(Error::msg("the loss or its gradient is not finite"));
        }
        let point = Point { x: x.to_vec(), loss, gradient };
        *self.last.borrow_mut() = point.clone();
        Ok(point)
    }
}

impl<T: Float> CostFunction for &Objective<'_, T> {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, x: &Vec<f64>) -> Result<f64, Error> {
        Ok(self.at(x)?.loss)
    }
}

impl<T: Float> Gradient for &Objective<'_, T> {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;

    fn gradient(&self, x: &Vec<f64>) -> Result<Vec<f64>, Error> {
        Ok(self.at(x)?.gradient)
    }
}

struct Iterate {
    x: Vec<f64>,
    norm: f64,
}

/// Notes every iterate, and keeps the best: argmin loses the last one when a line search fails.
struct Record(Rc<RefCell<(Progress, Iterate)>>);

type State = IterState<Vec<f64>, Vec<f64>, (), (), (), f64>;

impl Observe<State> for Record {
    fn observe_init(&mut self, _: &str, state: &State, kv: &KV) -> Result<(), Error> {
        self.observe_iter(state, kv)
    }

    fn observe_iter(&mut self, state: &State, _: &KV) -> Result<(), Error> {
        if let (Some(x), Some(gradient)) = (state.get_param(), state.get_gradient()) {
            let norm = gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
            let (progress, best) = &mut *self.0.borrow_mut();
            progress.record(norm);
            if norm < best.norm {
                *best = Iterate { x: x.clone(), norm };
            }
        }
        Ok(())
    }
}
