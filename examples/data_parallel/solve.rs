//! L-BFGS by argmin on a loss whose rows many processes share: every process takes the same steps, since it gets the same bits.

use crate::Result;
use crate::data::Shard;
use argmin::core::{CostFunction, Error, Executor, Gradient, State};
use argmin::solver::linesearch::HagerZhangLineSearch;
use argmin::solver::quasinewton::LBFGS;
use indicatif::ProgressBar;
use std::cell::RefCell;
use std::time::{Duration, Instant};
use tapegrad::distributed::{Group, ReduceOp};
use tapegrad::prelude::*;

const MOST_ITERATIONS: u64 = 200;

/// How far the weights are drawn to zero in the logistic regression.
const PENALTY: f64 = 1e-3;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Model {
    LeastSquares,
    Logistic,
}

impl Model {
    pub fn name(self) -> &'static str {
        match self {
            Model::LeastSquares => "least squares",
            Model::Logistic => "logistic regression",
        }
    }

    /// The mean loss of all rows, and its gradient.
    fn value_and_grad(self, shard: &Shard, x: &Tensor) -> tapegrad::Result<(f64, Tensor)> {
        let rows = shard.sum.rows().len() as f64;
        let (loss, gradient) = match self {
            Model::LeastSquares => shard.sum.least_squares(x)?,
            // log(1 + exp(-y a x)), y = 1 or -1
            Model::Logistic => shard.sum.value_and_grad(
                |x: &Tensor, part: &[Tensor]| Ok((-(part[0].matmul(x)? * &part[1])).softplus().sum()),
                x,
            )?,
        };
        let penalty = if self == Model::Logistic { PENALTY } else { 0.0 };
        let value = loss.item()? / rows + penalty / 2.0 * x.square().sum().item()?;
        Ok((value, gradient / rows + x * penalty))
    }
}

pub struct Found {
    pub x: Vec<f64>,
    pub loss: f64,
    pub iterations: u64,
    pub evaluations: usize,
    pub time: Duration,
}

struct Objective<'a> {
    model: Model,
    shard: &'a Shard,
    /// argmin asks for the loss and the gradient at one point in two calls.
    last: RefCell<(Vec<f64>, f64, Vec<f64>)>,
    evaluations: RefCell<usize>,
    bar: ProgressBar,
}

impl Objective<'_> {
    fn at(&self, x: &[f64]) -> Result<(f64, Vec<f64>), Error> {
        if self.last.borrow().0 != x {
            let (loss, gradient) = self.model.value_and_grad(self.shard, &Tensor::from(x.to_vec()))?;
            self.bar.set_message(format!("loss {loss:.6e}"));
            self.bar.inc(1);
            *self.evaluations.borrow_mut() += 1;
            *self.last.borrow_mut() = (x.to_vec(), loss, gradient.to_vec());
        }
        let (_, loss, gradient) = &*self.last.borrow();
        Ok((*loss, gradient.clone()))
    }
}

impl CostFunction for &Objective<'_> {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, x: &Vec<f64>) -> Result<f64, Error> {
        Ok(self.at(x)?.0)
    }
}

impl Gradient for &Objective<'_> {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;

    fn gradient(&self, x: &Vec<f64>) -> Result<Vec<f64>, Error> {
        Ok(self.at(x)?.1)
    }
}

/// Minimises the loss; `shown`, with a bar.
pub fn minimize(model: Model, shard: &Shard, shown: bool) -> Result<Found> {
    let bar =
        if shown { ProgressBar::new_spinner().with_prefix(model.name()) } else { ProgressBar::hidden() };
    let objective =
        Objective { model, shard, last: RefCell::default(), evaluations: RefCell::default(), bar };
    let solver =
        LBFGS::new(HagerZhangLineSearch::new(), 10).with_tolerance_grad(1e-9)?.with_tolerance_cost(0.0)?;
    let began = Instant::now();
    let end = Executor::new(&objective, solver)
        .configure(|state| state.param(vec![0.0; shard.cols]).max_iters(MOST_ITERATIONS))
        .run()?;
    let time = began.elapsed();
    let state = end.state();
    let x = state.get_best_param().cloned().ok_or("no parameters were found")?;
    let (loss, iterations) = (state.get_best_cost(), state.get_iter());
    objective.bar.finish_and_clear();
    let evaluations = *objective.evaluations.borrow();
    Ok(Found { x, loss, iterations, evaluations, time })
}

/// The time of a least squares gradient on 1, 2, .. processes: the shortest of several, of the slowest process.
pub fn times(group: &Group, rows: usize, cols: usize) -> Result<Vec<Duration>> {
    let mut times = Vec::new();
    for size in 1..=group.size() {
        let part = group.split((group.rank() < size).then_some(0), group.rank() as i32)?;
        let mut best = 0.0;
        if let Some(part) = part {
            let shard = Shard::new(&part, rows, cols, Model::LeastSquares)?;
            let x = Tensor::full([cols], 0.1);
            best = f64::INFINITY;
            for _ in 0..5 {
                part.barrier()?;
                let began = Instant::now();
                shard.sum.least_squares(&x)?;
                best = f64::min(best, began.elapsed().as_secs_f64());
            }
        }
        let slowest = group.all_reduce_with(&Tensor::scalar(best), ReduceOp::Max)?.item()?;
        times.push(Duration::from_secs_f64(slowest));
    }
    Ok(times)
}
