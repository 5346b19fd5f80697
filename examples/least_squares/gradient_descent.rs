//! Gradient descent with a fixed step.

use crate::Result;
use crate::problem::Problem;
use crate::progress::{MOST_ITERATIONS, Outcome, Progress};
use tapegrad::prelude::*;

/// x <- x - step grad f(x), with step = 1 / L, L the largest eigenvalue of the Hessian: no longer
/// step is sure to descend in every direction, and none shorter is needed.
pub fn minimize<T: Float>(problem: &Problem<T>) -> Result<Outcome<T>> {
    let mut progress = Progress::start("gradient descent", problem);
    let mut x = problem.start()?;
    let step = T::ONE / largest_eigenvalue(problem)?;
    let mut converged = false;
    for _ in 0..=MOST_ITERATIONS {
        let (_, gradient) = value_and_grad(|x| problem.loss(x), &x)?;
        let norm = norm(&gradient)?;
        progress.record(norm.to_f64());
        converged = norm <= problem.tolerance();
        if converged {
            break;
        }
        x -= gradient * step;
    }
    Ok(progress.finish(x, converged))
}

/// The largest eigenvalue of the Hessian, by power iteration: v <- H v / ||H v|| turns to its
/// eigenvector, and ||H v|| to the eigenvalue. The Hessian itself is never formed: the library
/// gives its products with vectors.
fn largest_eigenvalue<T: Float>(problem: &Problem<T>) -> Result<T> {
    // The loss is quadratic, so its Hessian is the same everywhere.
    let x = problem.start()?;
    // A random start has a share in every eigenvector, whatever the data.
    manual_seed(0);
    let mut v = Tensor::randn_on::<T>(&x.device(), [problem.columns.len()])?;
    let mut largest = T::ZERO;
    for _ in 0..1000 {
        let product = hvp(|x| problem.loss(x), &x, &v)?;
        let before = largest;
        largest = norm(&product)? / norm(&v)?;
        v = product / largest;
        // It comes from below; a step that is too long by this little still descends: any step
        // below 2 / L does.
        if (largest - before) <= largest * T::of(1e-4) {
            break;
        }
    }
    Ok(largest)
}

fn norm<T: Float>(x: &Tensor<T>) -> Result<T> {
    Ok(Float::sqrt(x.square().sum().item()?))
}
