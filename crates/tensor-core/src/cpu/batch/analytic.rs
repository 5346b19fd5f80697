//! Functions of symmetric matrices, and their derivatives.

use super::spread::for_batch;
use crate::array::Array;
use crate::cpu::copy::elements;
use crate::cpu::large;
use crate::element::Float;
use crate::error::Result;
use crate::heap::{vectors, work};
use crate::matrix::analytic::Analytic;
use crate::shape::Dims;
use std::borrow::Cow;

/// The derivative of a function of diagonal matrices in symmetric directions, for each matrix of a batch.
pub fn analytic_derivative<T: Float>(
    op: &'static str,
    f: &dyn Analytic,
    w: &Array<T>,
    directions: &[Array<T>],
) -> Result<Array<T>> {
    let n = w.shape()[w.ndim() - 1];
    let shape: Dims = w.shape().iter().copied().chain([n]).collect();
    let mut out = Array::zeros(&shape)?;
    let values = vectors::collect(op, elements(op, w)?.iter().map(|w| w.to_f64()))?;
    let directions = directions.iter().map(|e| elements(op, e)).collect::<Result<Vec<_>>>()?;
    let mut nothing = vec![(); values.len().checked_div(n).unwrap_or(0)];
    let cost = n.saturating_pow(directions.len() as u32 + 1);
    for_batch((out.fresh_mut(), n * n), (&mut nothing, 1), cost, |i, out, _| {
        let matrix = |e: &Cow<'_, [T]>| work::collect(e[i * n * n..][..n * n].iter().map(|x| x.to_f64()));
        let directions: Vec<Vec<f64>> = directions.iter().map(matrix).collect();
        let mut result = work::vector(n * n, 0.0);
        large::derivative(f, &values[i * n..][..n], &directions, &mut result);
        for (out, x) in out.iter_mut().zip(result) {
            *out = T::of(x);
        }
    });
    Ok(out)
}
