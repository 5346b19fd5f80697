//! L-BFGS by argmin, on this library's gradients.

use crate::Result;
use crate::problem::Problem;
use crate::progress::{MOST_ITERATIONS, Outcome, Progress};
use argmin::core::observers::{Observe, ObserverMode};
use argmin::core::{CostFunction, Error, Executor, Gradient, IterState, KV, State, TerminationReason};
use argmin::solver::linesearch::HagerZhangLineSearch;
use argmin::solver::quasinewton::LBFGS;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use tapegrad::prelude::*;

/// From how many of the last steps the Hessian is modelled.
const MEMORY: usize = 10;

/// Minimises with the line search of Hager and Zhang (2005): its approximate Wolfe conditions still
/// find a step where the loss changes by no more than its rounding, where others search without end.
pub fn minimize<T: Float>(problem: &Problem<T>) -> Result<Outcome<T>> {
    let objective = Objective { problem, last: RefCell::new(None), evaluations: Cell::new(0) };
    let progress = Progress::start("L-BFGS", problem);
    let record = Record(Rc::new(RefCell::new((progress, Point { x: Vec::new(), norm: f64::INFINITY }))));
    let solver = LBFGS::new(HagerZhangLineSearch::new(), MEMORY)
        .with_tolerance_grad(problem.tolerance().to_f64())?
        .with_tolerance_cost(0.0)?;
    let start = problem.start()?.cast::<f64>().to_vec();
    let end = Executor::new(&objective, solver)
        .configure(|state| state.param(start).max_iters(MOST_ITERATIONS as u64))
        .add_observer(Record(Rc::clone(&record.0)), ObserverMode::Always)
        .run()?;
    // The executor holds the other handle until here.
    let converged = end.state.get_termination_reason() == Some(&TerminationReason::SolverConverged);
    drop(end);
    let (progress, best) = Rc::into_inner(record.0).ok_or("argmin kept its observer")?.into_inner();
    Ok(progress.finish(objective.tensor(&best.x)?, converged))
}

/// The loss as argmin calls it: in vectors of f64, whatever the problem computes in.
struct Objective<'a, T: Float> {
    problem: &'a Problem<T>,
    /// The last point, its loss and its gradient: argmin asks for the two in two calls.
    last: RefCell<Option<(Vec<f64>, f64, Vec<f64>)>>,
    evaluations: Cell<usize>,
}

impl<T: Float> Objective<'_, T> {
    fn tensor(&self, x: &[f64]) -> tapegrad::Result<Tensor<T>> {
        Tensor::from(x.to_vec()).cast().to_device(&self.problem.device())
    }

    fn at(&self, x: &[f64]) -> Result<(f64, Vec<f64>), Error> {
        if let Some((_, loss, gradient)) = self.last.borrow().as_ref().filter(|(at, ..)| at == x) {
            return Ok((*loss, gradient.clone()));
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
        *self.last.borrow_mut() = Some((x.to_vec(), loss, gradient.clone()));
        Ok((loss, gradient))
    }
}

impl<T: Float> CostFunction for &Objective<'_, T> {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, x: &Vec<f64>) -> Result<f64, Error> {
        Ok(self.at(x)?.0)
    }
}

impl<T: Float> Gradient for &Objective<'_, T> {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;

    fn gradient(&self, x: &Vec<f64>) -> Result<Vec<f64>, Error> {
        Ok(self.at(x)?.1)
    }
}

struct Point {
    x: Vec<f64>,
    norm: f64,
}

/// Notes every iterate, and keeps the best: argmin loses the last one when a line search fails.
struct Record(Rc<RefCell<(Progress, Point)>>);

type Iteration = IterState<Vec<f64>, Vec<f64>, (), (), (), f64>;

impl Observe<Iteration> for Record {
    fn observe_init(&mut self, _: &str, state: &Iteration, kv: &KV) -> Result<(), Error> {
        self.observe_iter(state, kv)
    }

    fn observe_iter(&mut self, state: &Iteration, _: &KV) -> Result<(), Error> {
        if let (Some(x), Some(gradient)) = (state.get_param(), state.get_gradient()) {
            let norm = gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
            let (progress, best) = &mut *self.0.borrow_mut();
            progress.record(norm);
            if norm < best.norm {
                *best = Point { x: x.clone(), norm };
            }
        }
        Ok(())
    }
}
