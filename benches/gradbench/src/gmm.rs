//! The log posterior of a mixture of k normal distributions in d dimensions, with a Wishart prior on their precision
//! matrices, Q^T Q for lower triangular matrices Q.

use crate::protocol::{Answer, Input, Outcome, nested, unknown};
use serde_json::json;
use std::f64::consts::{PI, SQRT_2};
use tapegrad::prelude::*;

/// What is given: n points, and the prior.
struct Model {
    /// Points `[n, d]`.
    x: Tensor,
    m: f64,
    gamma: f64,
    /// Where the diagonal of Q and then the columns below it lie in the transpose of Q.
    places: Vec<usize>,
    /// What does not depend on the parameters, but for the number of distributions.
    constant: f64,
    constant_of_each: f64,
}

impl Model {
    fn new(input: &Input) -> Outcome<Model> {
        let (x, m, gamma) = (input.tensor("x")?, input.number("m")?, input.number("gamma")?);
        let (n, d) = (x.shape()[0], x.shape()[1]);
        let diagonal = (0..d).map(|i| i * d + i);
        let below = (0..d).flat_map(|j| (j + 1..d).map(move |i| j * d + i));
        let places = diagonal.chain(below).collect();
        // The logarithm of the multivariate gamma function at half the degrees of freedom.
        let (p, degrees) = (d as f64, d as f64 + m + 1.0);
        let gammas = ((degrees - arange(0.0, p, 1.0)?) * 0.5).lgamma().sum().item()?;
        let log_gamma = 0.25 * p * (p - 1.0) * PI.ln() + gammas;
        Ok(Model {
            x,
            m,
            gamma,
            places,
            constant: -0.5 * (n as f64) * p * (2.0 * PI).ln(),
            constant_of_each: degrees * p * (gamma / SQRT_2).ln() - log_gamma,
        })
    }

    /// alpha `[k]`, mu `[k, d]`, q `[k, d]`, l `[k, d (d - 1) / 2]`.
    fn log_posterior(&self, [alpha, mu, q, l]: &[Tensor; 4]) -> Result<Tensor> {
        let ([n, d], k) = ([self.x.shape()[0], self.x.shape()[1]], alpha.numel());
        let (diagonals, sums) = (q.exp(), q.sum_dim(1, false)?);
        // The transposes of all Q side by side: [j, i, k] is Q_k[i, j].
        let elements = Tensor::cat([diagonals.t()?, l.t()?], 0)?;
        let all = Tensor::zeros([d * d, k]).index_put(&self.places, &elements, false)?.reshape([d, d, k])?;
        // Q (x - mu) for each point and distribution.
        let shift = (&all * mu.t()?.unsqueeze(1)?).sum_dim(0, false)?;
        let scaled = self.x.mm(&all.reshape([d, d * k])?)?.reshape([n, d, k])? - shift;
        let exponents = (alpha + &sums) - scaled.square().sum_dim(1, false)? * 0.5;
        let likelihood = exponents.logsumexp(1, false)?.sum() - alpha.logsumexp(0, false)? * n;
        let squares = diagonals.square().sum() + l.square().sum();
        let prior = sums.sum() * self.m - squares * (0.5 * self.gamma * self.gamma);
        Ok(likelihood + prior + (self.constant + k as f64 * self.constant_of_each))
    }
}

pub fn evaluate(function: &str, input: &Input) -> Outcome<Answer> {
    let model = Model::new(input)?;
    let parameters = [input.tensor("alpha")?, input.tensor("mu")?, input.tensor("q")?, input.tensor("l")?];
    match function {
        "objective" => input.timed(|| model.log_posterior(&parameters), nested),
        "jacobian" => input.timed(
            || Ok(value_and_grad(|p| model.log_posterior(p), &parameters)?.1),
            |[alpha, mu, q, l]| {
                Ok(json!({ "alpha": nested(alpha)?, "mu": nested(mu)?, "q": nested(q)?, "l": nested(l)? }))
            },
        ),
        _ => unknown(function),
    }
}
