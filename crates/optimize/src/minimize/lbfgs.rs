//! L-BFGS, without bounds and with them.

#![allow(clippy::needless_range_loop, reason = "formulas over several vectors read best by index")]

use super::cauchy;
use super::objective::Halt;
use super::search::Search;
use crate::report::Stop;
use crate::vector::{axpy, dot, norm};
use std::collections::VecDeque;
use tensor_core::Result;

/// The last steps s and changes of the gradient y, and their products.
pub(crate) struct Memory {
    most: usize,
    pub(crate) s: VecDeque<Vec<f64>>,
    pub(crate) y: VecDeque<Vec<f64>>,
    sy: VecDeque<f64>,
    /// y y / s y of the last pair: the scale of the Hessian.
    pub(crate) theta: f64,
}

impl Memory {
    pub(crate) fn new(most: usize) -> Self {
        let most = most.max(1);
        Memory { most, s: VecDeque::new(), y: VecDeque::new(), sy: VecDeque::new(), theta: 1.0 }
    }

    pub(crate) fn clear(&mut self) {
        self.s.clear();
        self.y.clear();
        self.sy.clear();
        self.theta = 1.0;
    }

    /// Takes in a step, unless the function does not curve up along it.
    fn push(&mut self, old: (&[f64], &[f64]), new: (&[f64], &[f64])) {
        // The oldest pair's buffers hold the new one.
        let full = self.s.len() == self.most;
        let mut buffers = match full {
            true => (self.s.pop_front().unwrap_or_default(), self.y.pop_front().unwrap_or_default()),
            false => Default::default(),
        };
        if full {
            self.sy.pop_front();
        }
        let difference = |out: &mut Vec<f64>, new: &[f64], old: &[f64]| {
            out.clear();
            out.extend(new.iter().zip(old).map(|(a, b)| a - b));
        };
        difference(&mut buffers.0, new.0, old.0);
        difference(&mut buffers.1, new.1, old.1);
        let (s, y) = buffers;
        let (sy, yy) = (dot(&s, &y), dot(&y, &y));
        if sy > f64::EPSILON * yy && yy.is_finite() && (yy / sy).is_finite() {
            self.theta = yy / sy;
            self.s.push_back(s);
            self.y.push_back(y);
            self.sy.push_back(sy);
        }
    }

    /// The direction -H g of the inverse Hessian's model: Nocedal, "Updating quasi-Newton matrices with limited storage",
    /// 1980, as the two loops of Nocedal and Wright, "Numerical optimization", 2006, algorithm 7.4.
    fn direction(&self, g: &[f64], out: &mut Vec<f64>) {
        out.clear();
        out.extend(g.iter().map(|g| -g));
        let mut factors = vec![0.0; self.s.len()];
        for k in (0..self.s.len()).rev() {
            factors[k] = dot(&self.s[k], out) / self.sy[k];
            axpy(-factors[k], &self.y[k], out);
        }
        if !self.s.is_empty() {
            out.iter_mut().for_each(|d| *d /= self.theta);
        }
        for k in 0..self.s.len() {
            let beta = dot(&self.y[k], out) / self.sy[k];
            axpy(factors[k] - beta, &self.s[k], out);
        }
    }
}

/// Liu, Nocedal, "On the limited memory BFGS method for large scale optimization", 1989; with bounds, Byrd, Lu, Nocedal,
/// Zhu, "A limited memory algorithm for bound constrained optimization", 1995.
pub(crate) fn run(search: &mut Search<'_, '_>, memory: usize) -> Result<(), Halt> {
    search.check_start()?;
    let mut memory = Memory::new(memory);
    let bounded = !search.limits.is_none();
    let mut direction = Vec::new();
    loop {
        let (at, limits) = (&search.at, &search.limits);
        let modelled = match bounded {
            true => cauchy::direction(&memory, limits, &at.x, &at.gradient, &mut direction),
            false => {
                memory.direction(&at.gradient, &mut direction);
                true
            }
        };
        // The step of a model that fits is 1. The first has no model yet: one of length 1, whatever the function's
        // scale, and no longer than to the bounds.
        let first = match memory.s.is_empty() {
            true if bounded => 1f64.min(1.0 / norm(&direction)),
            true => 1.0 / norm(&direction),
            false => 1.0,
        };
        let longest = if bounded { longest(search, &direction) } else { 1e10 };
        if !modelled || !search.along(&direction, first, longest, 0.9)? {
            if memory.s.is_empty() {
                return Err(Halt::Stop(Stop::NoProgress));
            }
            // The model may be what is wrong.
            memory.clear();
            continue;
        }
        let done = search.accept(true);
        let (old, new) = (&search.trial, &search.at);
        done?;
        memory.push((&old.x, &old.gradient), (&new.x, &new.gradient));
    }
}

/// How far a direction stays within the bounds.
fn longest(search: &Search<'_, '_>, direction: &[f64]) -> f64 {
    let room = |(i, &d): (usize, &f64)| {
        let x = search.at.x[i];
        match d.partial_cmp(&0.0) {
            Some(std::cmp::Ordering::Less) => (search.limits.lower[i] - x) / d,
            Some(std::cmp::Ordering::Greater) => (search.limits.upper[i] - x) / d,
            _ => f64::INFINITY,
        }
    };
    // The model's minimum is within the bounds, and rounding may put it beyond.
    direction.iter().enumerate().map(room).fold(1e10, f64::min).max(1.0)
}
