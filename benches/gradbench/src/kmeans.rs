//! The cost of k-means, and the step that Newton's method takes with the diagonal of the Hessian.

use crate::protocol::{Answer, Input, Outcome, nested, unknown};
use tapegrad::prelude::*;

/// The sum over points of the squared distance to the nearest centroid.
fn cost(points: &Tensor, centroids: &Tensor) -> Result<Tensor> {
    let products = points.mm(&centroids.t()?)?;
    let distances = centroids.square().sum_dim(1, false)? - products * 2.0;
    Ok(distances.min_dim(1, false)?.0.sum() + points.square().sum())
}

/// Gradient over second derivatives: these are the Hessian's product with ones, as it is diagonal.
fn direction(points: &Tensor, centroids: &Tensor) -> Result<Tensor> {
    let gradient = |c: &Tensor| Ok(value_and_grad(|c| cost(points, c), c)?.1);
    let (gradient, diagonal) = jvp(gradient, centroids, &centroids.ones_like())?;
    Ok(gradient / diagonal)
}

pub fn evaluate(function: &str, input: &Input) -> Outcome<Answer> {
    let (points, centroids) = (input.tensor("points")?, input.tensor("centroids")?);
    match function {
        "cost" => input.timed(|| cost(&points, &centroids), nested),
        "dir" => input.timed(|| direction(&points, &centroids), nested),
        _ => unknown(function),
    }
}
