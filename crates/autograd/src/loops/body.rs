//! One step of a loop as a program over numbers, and the step of the loop that differentiates it.

use crate::function::Expr;
use crate::fused::program::{Action, Statement, again, back, write, written};
use std::sync::{Arc, OnceLock};

/// How many numbers a step takes and gives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Counts {
    /// Of the state, which a step takes and gives.
    pub state: usize,
    /// Of what each step takes for itself.
    pub xs: usize,
    /// Of what all steps take.
    pub constants: usize,
    /// Of what each step gives for itself.
    pub ys: usize,
}

/// A step: statements over the state, what is the step's own and the constants, in this order.
pub(super) struct Body {
    pub counts: Counts,
    pub statements: Vec<Statement>,
    /// Where among the statements the new state is, and what the step gives.
    pub results: Vec<usize>,
    backward: OnceLock<Arc<Body>>,
}

impl Body {
    pub fn new(counts: Counts, statements: Vec<Statement>, results: Vec<usize>) -> Arc<Self> {
        Arc::new(Body { counts, statements, results, backward: OnceLock::new() })
    }

    /// The step of the loop that runs the other way and differentiates this one. With (s', y) = f(s, x, c) it is
    ///
    /// (l, m), (s, x, gs, gy), c -> (gs + (df/ds)^T (l, gy), m + (df/dc)^T (l, gy)), (df/dx)^T (l, gy)
    ///
    /// for the cotangents l of s', m of the constants so far, gs of s and gy of y: of adjoint states, as in Griewank and
    /// Walther 2008, section 3.2. It is a step again, so there are derivatives of any order. What it needs of f's own
    /// statements it computes once more.
    pub fn backward(&self) -> Arc<Body> {
        self.backward.get_or_init(|| self.derive()).clone()
    }

    fn derive(&self) -> Arc<Body> {
        let Counts { state, xs, constants, ys } = self.counts;
        let counts = Counts { state: state + constants, xs: state + xs + state + ys, constants, ys: xs };
        let (statements, results) = written(|| {
            let mut next = 0;
            let mut inputs = |count: usize| -> Vec<Expr> {
                next += count;
                (next - count..next).map(|k| write(Action::Input(k), &[])).collect()
            };
            let [adjoint, so_far] = [state, constants].map(&mut inputs);
            let [s, x, g_states, g_ys] = [state, xs, state, ys].map(&mut inputs);
            let c = inputs(constants);
            let taken: Vec<Expr> = [s, x, c].concat();
            let values = again(&self.statements, &taken);
            let seeds = self.results.iter().copied().zip(adjoint.into_iter().chain(g_ys)).collect();
            let mut found: Vec<Option<Expr>> = vec![None; taken.len()];
            for (k, g) in back(&self.statements, &values, seeds, &|_| true) {
                found[k] = Some(found[k].map_or(g, |sum| sum + g));
            }
            let plus = |given: Expr, k: usize| found[k].map_or(given, |g| given + g);
            let states = g_states.into_iter().enumerate().map(|(k, g)| plus(g, k));
            let sums = so_far.into_iter().enumerate().map(|(k, g)| plus(g, state + xs + k));
            let own = (0..xs).map(|k| found[state + k].unwrap_or_else(|| Expr::from(0.0)));
            states.chain(sums).chain(own).collect()
        });
        Body::new(counts, statements, results)
    }
}
