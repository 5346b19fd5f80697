//! L-BFGS, from argmin, on this library's gradients.

use crate::Result;
use crate::problem::Problem;
use crate::progress::{MOST_ITERATIONS, Outcome, Progress};
use argmin::core::observers::{Observe, ObserverMode};
use argmin::core::{ArgminFloat, CostFunction, Error, Executor, Gradient, IterState, KV, State};
use argmin::solver::linesearch::MoreThuenteLineSearch;
use argmin::solver::quasinewton::LBFGS;
use argmin_math::*;
use std::cell::RefCell;
use std::rc::Rc;
use tapegrad::Number;
use tapegrad::prelude::*;

/// What argmin's L-BFGS asks of a vector of `T`, in one name.
pub trait ArgminVector<T>:
    Clone
    + ArgminAdd<Self, Self>
    + ArgminAdd<T, Self>
    + ArgminSub<Self, Self>
    + ArgminSub<T, Self>
    + ArgminMul<Self, Self>
    + ArgminMul<T, Self>
    + ArgminDot<Self, T>
    + ArgminScaledAdd<Self, T, Self>
    + ArgminL1Norm<T>
    + ArgminL2Norm<T>
    + ArgminSignum
    + ArgminMinMax
    + ArgminZeroLike
{
}

macro_rules! argmin_vectors {
    ($($T:ty)*) => { $( impl ArgminVector<$T> for Vec<$T> {} )* };
}
argmin_vectors!(f32 f64);

/// A point, and the loss and its gradient there.
type Evaluation<T> = (Vec<T>, T, Vec<T>);

/// The problem as argmin sees it. argmin asks for the loss and for the gradient one after the
/// other; the library computes both in one pass over the data: so the last are kept.
struct Objective<'a, T: Float> {
    problem: &'a Problem<T>,
    last: RefCell<Option<Evaluation<T>>>,
}

impl<T: Float> Objective<'_, T> {
    fn at(&self, x: &[T]) -> tapegrad::Result<(T, Vec<T>)> {
        if let Some((_, value, gradient)) = self.last.borrow().as_ref().filter(|(at, ..)| at == x) {
            return Ok((*value, gradient.clone()));
        }
        let point = Tensor::from(x.to_vec()).to_device(&self.problem.device())?;
        let (value, gradient) = value_and_grad(|x| self.problem.loss(x), &point)?;
        let (value, gradient) = (value.item()?, gradient.to_vec());
        *self.last.borrow_mut() = Some((x.to_vec(), value, gradient.clone()));
        Ok((value, gradient))
    }
}

impl<T: Float> CostFunction for Objective<'_, T> {
    type Param = Vec<T>;
    type Output = T;

    fn cost(&self, x: &Vec<T>) -> Result<T, Error> {
        Ok(self.at(x)?.0)
    }
}

impl<T: Float> Gradient for Objective<'_, T> {
    type Param = Vec<T>;
    type Gradient = Vec<T>;

    fn gradient(&self, x: &Vec<T>) -> Result<Vec<T>, Error> {
        Ok(self.at(x)?.1)
    }
}

type Iteration<T> = IterState<Vec<T>, Vec<T>, (), (), (), T>;

/// Passes each iteration on to the progress, which outlives argmin's run: hence shared.
struct Observer(Rc<RefCell<Progress>>);

impl Observer {
    fn record<T: Float + ArgminFloat>(&self, state: &Iteration<T>) {
        if let Some(gradient) = state.get_gradient() {
            let squares = gradient.iter().map(|&g| Number::to_f64(g).powi(2));
            self.0.borrow_mut().record(squares.sum::<f64>().sqrt());
        }
    }
}

impl<T: Float + ArgminFloat> Observe<Iteration<T>> for Observer {
    fn observe_init(&mut self, _: &str, state: &Iteration<T>, _: &KV) -> Result<(), Error> {
        self.record(state);
        Ok(())
    }

    fn observe_iter(&mut self, state: &Iteration<T>, _: &KV) -> Result<(), Error> {
        self.record(state);
        Ok(())
    }
}

pub fn minimize<T: Float + ArgminFloat>(problem: &Problem<T>) -> Result<Outcome<T>>
where
    Vec<T>: ArgminVector<T>,
{
    let progress = Rc::new(RefCell::new(Progress::start("L-BFGS", problem)));
    let start = problem.start()?.to_vec();
    let objective = Objective { problem, last: RefCell::new(None) };
    let solver = LBFGS::new(MoreThuenteLineSearch::new(), 10)
        .with_tolerance_grad(problem.tolerance())?
        .with_tolerance_cost(T::ZERO)?;
    let result = Executor::new(objective, solver)
        .configure(|state| state.param(start).max_iters(MOST_ITERATIONS as u64))
        .add_observer(Observer(progress.clone()), ObserverMode::Always)
        .run()?;
    eprintln!("{:?}", result.state.get_termination_reason());
    let x = result.state.get_param().cloned().unwrap();
    eprintln!("{:?}", progress.borrow().norms);
    let p = progress.replace(Progress::start("x", problem));
    Ok(p.finish(Tensor::from(x), true))
}
