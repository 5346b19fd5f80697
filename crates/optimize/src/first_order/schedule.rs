//! Learning rates as functions of the step, counted from 0: `optimizer.lr = schedule::cosine_annealing(0.1, 0.0, 100,
//! k)`. The formulas are those of `torch.optim.lr_scheduler` in closed form.

use std::f64::consts::PI;

/// `lr` times `gamma` for every `size` steps: PyTorch's `StepLR`.
///
/// ```
/// use tapegrad::optimize::schedule;
/// assert_eq!(schedule::step(1.0, 10, 0.5, 25), 0.25);
/// ```
pub fn step(lr: f64, size: usize, gamma: f64, k: usize) -> f64 {
    lr * gamma.powf((k / size.max(1)) as f64)
}

/// `lr` times `gamma` for every step: PyTorch's `ExponentialLR`.
///
/// ```
/// use tapegrad::optimize::schedule;
/// assert_eq!(schedule::exponential(8.0, 0.5, 3), 1.0);
/// ```
pub fn exponential(lr: f64, gamma: f64, k: usize) -> f64 {
    lr * gamma.powf(k as f64)
}

/// From `lr` to `min` along half a cosine of `steps` steps, and `min` from there: PyTorch's `CosineAnnealingLR`, which
/// begins to rise again there. Loshchilov, Hutter, "SGDR: stochastic gradient descent with warm restarts", 2017.
///
/// ```
/// use tapegrad::optimize::schedule;
/// assert_eq!(schedule::cosine_annealing(1.0, 0.0, 100, 0), 1.0);
/// assert!((schedule::cosine_annealing(1.0, 0.0, 100, 50) - 0.5).abs() < 1e-12);
/// assert_eq!(schedule::cosine_annealing(1.0, 0.1, 100, 500), 0.1);
/// ```
pub fn cosine_annealing(lr: f64, min: f64, steps: usize, k: usize) -> f64 {
    if k >= steps {
        return min;
    }
    min + (lr - min) * (1.0 + (PI * k as f64 / steps as f64).cos()) / 2.0
}

/// A factor that rises in equal parts to 1 within `steps` steps, and stays there.
///
/// ```
/// use tapegrad::optimize::schedule;
/// let lr = |k| 0.1 * schedule::warm_up(4, k) * schedule::exponential(1.0, 0.99, k);
/// assert_eq!(lr(0), 0.1 * 0.25);
/// assert_eq!(schedule::warm_up(4, 10), 1.0);
/// ```
pub fn warm_up(steps: usize, k: usize) -> f64 {
    if k >= steps { 1.0 } else { (k + 1) as f64 / steps as f64 }
}

/// From `max` / 25 up to `max` within the first 30 % of `steps` steps, and down to a 250,000th of it, along half
/// cosines: PyTorch's `OneCycleLR` with its defaults. Smith, Topin, "Super-convergence", 2018.
///
/// ```
/// use tapegrad::optimize::schedule;
/// assert!((schedule::one_cycle(1.0, 100, 0) - 0.04).abs() < 1e-12);
/// assert_eq!(schedule::one_cycle(1.0, 100, 29), 1.0);
/// assert!(schedule::one_cycle(1.0, 100, 99) < 1e-5);
/// ```
pub fn one_cycle(max: f64, steps: usize, k: usize) -> f64 {
    let (first, last) = (max / 25.0, max / 25.0 / 1e4);
    let (top, end) = (0.3 * steps as f64 - 1.0, steps as f64 - 1.0);
    let along = |from: f64, to: f64, t: f64| to + (from - to) / 2.0 * (1.0 + (PI * t).cos());
    let k = (k as f64).min(end);
    match k <= top {
        true => along(first, max, k / top),
        false => along(max, last, (k - top) / (end - top)),
    }
}

/// Lowers a learning rate where a measure has stopped falling: PyTorch's `ReduceLROnPlateau` with its default
/// threshold, a ten thousandth of the best.
///
/// ```
/// use tapegrad::optimize::schedule::ReduceOnPlateau;
/// let mut plateau = ReduceOnPlateau::new(0.1, 2);
/// let mut lr = 1.0;
/// for loss in [1.0, 0.5, 0.5, 0.5, 0.5] {
///     lr = plateau.next(lr, loss);
/// }
/// assert_eq!(lr, 0.1);
/// ```
#[derive(Clone, Debug)]
pub struct ReduceOnPlateau {
    factor: f64,
    patience: usize,
    best: f64,
    waited: usize,
}

impl ReduceOnPlateau {
    /// Multiplies by `factor` after more than `patience` measures that are no better than the best.
    pub fn new(factor: f64, patience: usize) -> Self {
        ReduceOnPlateau { factor, patience, best: f64::INFINITY, waited: 0 }
    }

    /// The learning rate after another measure.
    pub fn next(&mut self, lr: f64, measure: f64) -> f64 {
        let better = if self.best.is_finite() { self.best - 1e-4 * self.best.abs() } else { self.best };
        if measure < better {
            (self.best, self.waited) = (measure, 0);
        } else {
            self.waited += 1;
        }
        if self.waited <= self.patience {
            return lr;
        }
        self.waited = 0;
        lr * self.factor
    }
}
