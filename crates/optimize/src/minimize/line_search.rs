//! A step along a direction that meets the strong Wolfe conditions.

/// Relative errors of values that cannot be told from rounding.
const ROUNDING: f64 = 1e-14;

/// The value and the slope of the function of the step at one step.
#[derive(Clone, Copy, Debug)]
struct Sample {
    step: f64,
    value: f64,
    slope: f64,
}

impl Sample {
    /// The sample of the function less a straight line through the start.
    fn less(self, slope: f64) -> Self {
        Sample { value: self.value - self.step * slope, slope: self.slope - slope, ..self }
    }
}

/// What to do after a trial.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Next {
    /// Evaluate at this step.
    Try(f64),
    /// The last trial meets the conditions.
    Found,
    /// No step does, within rounding and the limits.
    Stuck,
}

/// Moré, Thuente, "Line search algorithms with guaranteed sufficient decrease", 1994. A trial whose value is not finite
/// is a step too long. At the end of its precision the function is judged by its slope alone, as in Hager, Zhang, "A
/// new conjugate gradient method with guaranteed descent and an efficient line search", 2005, (4.1).
pub(crate) struct LineSearch {
    start: Sample,
    /// The fractions of the first slope by which values have to fall, and to which slopes have to.
    decrease: f64,
    curvature: f64,
    longest: f64,
    /// The step with the least value, and the other end of the interval.
    best: Sample,
    other: Sample,
    bracketed: bool,
    /// Whether the auxiliary function is still the one that leads on.
    auxiliary: bool,
    /// The width of the interval, and that before.
    widths: [f64; 2],
    /// Between these the next trial lies.
    range: [f64; 2],
    step: f64,
    left: usize,
}

/// Trials of one search.
const TRIALS: usize = 30;

impl LineSearch {
    /// A search from a value and its slope, which is negative; first at `step`, and up to `longest`.
    pub(crate) fn new(value: f64, slope: f64, step: f64, longest: f64, curvature: f64) -> Self {
        let start = Sample { step: 0.0, value, slope };
        LineSearch {
            start,
            decrease: 1e-4,
            curvature,
            longest,
            best: start,
            other: start,
            bracketed: false,
            auxiliary: true,
            widths: [longest, 2.0 * longest],
            range: [0.0, 5.0 * step],
            step: step.min(longest),
            left: TRIALS,
        }
    }

    /// The first trial.
    pub(crate) fn first(&self) -> f64 {
        self.step
    }

    /// What the function is at the last trial.
    pub(crate) fn next(&mut self, value: f64, slope: f64) -> Next {
        self.left -= 1;
        if !value.is_finite() || !slope.is_finite() {
            let gone = self.step - self.best.step;
            let step = self.best.step + if self.bracketed { 0.5 } else { 0.1 } * gone;
            if !self.bracketed {
                // Half of the way is as far as later trials go.
                self.longest = self.longest.min(self.best.step + 0.5 * gone);
                self.range[1] = self.longest;
            }
            return self.try_next(step);
        }
        let trial = Sample { step: self.step, value, slope };
        let line = self.decrease * self.start.slope;
        let bound = self.start.value + trial.step * line;
        let flat = slope.abs() <= self.curvature * -self.start.slope;
        let rounded = value <= self.start.value + ROUNDING * self.start.value.abs();
        if flat && (value <= bound || (rounded && slope <= (1.0 - 2.0 * self.decrease) * -self.start.slope)) {
            return Next::Found;
        }
        // The longest step is enough where the function still falls there.
        if trial.step >= self.longest && value <= bound && slope <= line {
            return Next::Found;
        }
        if self.auxiliary && value <= bound && slope >= 0.0 {
            self.auxiliary = false;
        }
        let step = if self.auxiliary && value <= self.best.value && value > bound {
            let (mut best, mut other) = (self.best.less(line), self.other.less(line));
            let step = self.update(&mut best, &mut other, trial.less(line));
            (self.best, self.other) = (best.less(-line), other.less(-line));
            step
        } else {
            let (mut best, mut other) = (self.best, self.other);
            let step = self.update(&mut best, &mut other, trial);
            (self.best, self.other) = (best, other);
            step
        };
        let mut step = step;
        if self.bracketed {
            let width = (self.other.step - self.best.step).abs();
            if width >= 0.66 * self.widths[1] {
                step = self.best.step + 0.5 * (self.other.step - self.best.step);
            }
            self.widths = [width, self.widths[0]];
            self.range = [self.best.step.min(self.other.step), self.best.step.max(self.other.step)];
            if step <= self.range[0] || step >= self.range[1] || width <= f64::EPSILON * self.range[1] {
                return Next::Stuck;
            }
        } else {
            let gone = step - self.best.step;
            self.range = [step + 1.1 * gone, step + 4.0 * gone];
        }
        self.try_next(step)
    }

    fn try_next(&mut self, step: f64) -> Next {
        let step = step.clamp(0.0, self.longest);
        if self.left == 0 || step == self.step || step == 0.0 {
            return Next::Stuck;
        }
        self.step = step;
        Next::Try(step)
    }

    /// The paper's section 4: the next trial, from the interval and the last one, by which the interval is narrowed.
    fn update(&mut self, best: &mut Sample, other: &mut Sample, trial: Sample) -> f64 {
        let [low, high] = self.range;
        let opposite = trial.slope * best.slope.signum() < 0.0;
        let gone = trial.step - best.step;
        let secant = trial.step - gone * (trial.slope / (trial.slope - best.slope));
        let next = if trial.value > best.value {
            self.bracketed = true;
            let cubic = before(*best, trial);
            let quadratic =
                best.step + best.slope / ((best.value - trial.value) / gone + best.slope) / 2.0 * gone;
            let nearer = (cubic - best.step).abs() < (quadratic - best.step).abs();
            if nearer { cubic } else { cubic + (quadratic - cubic) / 2.0 }
        } else if opposite {
            self.bracketed = true;
            let (cubic, _) = behind(*best, trial);
            if (cubic - trial.step).abs() > (secant - trial.step).abs() { cubic } else { secant }
        } else if trial.slope.abs() < best.slope.abs() {
            // The cubic counts where its minimum lies beyond the trial.
            let end = if gone > 0.0 { high } else { low };
            let (cubic, ahead) = behind(*best, trial);
            let cubic = if ahead { cubic } else { end };
            let nearer = (cubic - trial.step).abs() < (secant - trial.step).abs();
            if self.bracketed {
                let edge = trial.step + 0.66 * (other.step - trial.step);
                let near = if nearer { cubic } else { secant };
                if gone > 0.0 { near.min(edge) } else { near.max(edge) }
            } else {
                (if nearer { secant } else { cubic }).clamp(low, high)
            }
        } else if self.bracketed {
            behind(*other, trial).0
        } else {
            if gone > 0.0 { high } else { low }
        };
        if trial.value > best.value {
            *other = trial;
        } else {
            if opposite {
                *other = *best;
            }
            *best = trial;
        }
        next
    }
}

/// The sum of the slopes at both ends and three times the mean slope between them, and the root of the discriminant of
/// the derivative of the cubic that has these values and slopes.
fn cubic(a: Sample, b: Sample) -> (f64, f64) {
    let theta = 3.0 * (a.value - b.value) / (b.step - a.step) + a.slope + b.slope;
    let scale = theta.abs().max(a.slope.abs()).max(b.slope.abs());
    let square = (theta / scale).powi(2) - (a.slope / scale) * (b.slope / scale);
    (theta, scale * square.max(0.0).sqrt())
}

/// The minimum of the cubic, reckoned from `a`, which slopes down towards `b`.
fn before(a: Sample, b: Sample) -> f64 {
    let (theta, root) = cubic(a, b);
    let root = if b.step < a.step { -root } else { root };
    a.step + (root - a.slope + theta) / (root - a.slope + root + b.slope) * (b.step - a.step)
}

/// The minimum of the cubic, reckoned from `b`, and whether it lies on the other side of `b` than `a`.
fn behind(a: Sample, b: Sample) -> (f64, bool) {
    let (theta, root) = cubic(a, b);
    let root = if b.step > a.step { -root } else { root };
    let fraction = (root - b.slope + theta) / (root - b.slope + root + a.slope);
    (b.step + fraction * (a.step - b.step), fraction < 0.0 && root != 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(first: f64, f: impl Fn(f64) -> (f64, f64)) -> Option<(f64, usize)> {
        let (value, slope) = f(0.0);
        let mut search = LineSearch::new(value, slope, first, 1e10, 0.1);
        let mut step = search.first();
        for trials in 1.. {
            let (value, slope) = f(step);
            match search.next(value, slope) {
                Next::Try(next) => step = next,
                Next::Found => return Some((step, trials)),
                Next::Stuck => return None,
            }
        }
        None
    }

    /// Functions (5.1) to (5.3) of the paper, from the starts of its tables: within the trials that these have.
    #[test]
    fn functions_of_the_paper() {
        let first = |a: f64| (-a / (a * a + 2.0), (a * a - 2.0) / (a * a + 2.0).powi(2));
        let second = |a: f64| {
            let t = a + 0.004;
            (t.powi(5) - 2.0 * t.powi(4), 5.0 * t.powi(4) - 8.0 * t.powi(3))
        };
        for start in [1e-3, 1e-1, 1e1, 1e3] {
            let (step, trials) = search(start, first).unwrap();
            assert!(first(step).1.abs() <= 0.1 * 0.5 && trials <= 10, "{start}: {step} {trials}");
            let (step, trials) = search(start, second).unwrap();
            assert!((step - 1.6).abs() < 0.1 && trials <= 12, "{start}: {step} {trials}");
        }
    }

    #[test]
    fn what_is_not_finite_is_too_far_and_what_is_flat_ends() {
        let log = |a: f64| {
            if a < 0.5 { (-4.0 * a - (0.5 - a).ln(), -4.0 + 1.0 / (0.5 - a)) } else { (f64::NAN, f64::NAN) }
        };
        let (step, _) = search(100.0, log).unwrap();
        assert!((step - 0.25).abs() < 0.1, "{step}");
        // A line without an end, and a slope that is a lie.
        assert_eq!(search(1.0, |a| (-a, -1.0)).map(|(step, _)| step), Some(1e10));
        assert!(search(1.0, |_| (1.0, -1.0)).is_none());
    }
}
