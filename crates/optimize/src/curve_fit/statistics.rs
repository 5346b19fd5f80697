//! The covariance of fitted parameters.

use autograd::Tensor;
use linalg::{Triangle, mm, qr, solve_triangular, svdvals};
use tensor_core::{Device, Result};

pub(super) struct Statistics {
    pub(super) covariance: Tensor,
    pub(super) correlation: Tensor,
    pub(super) standard_errors: Tensor,
    pub(super) degrees_of_freedom: usize,
    pub(super) reduced_chi_square: f64,
}

/// Of the Jacobian `[m, n]` of the weighted residuals, whose parameters vary unless they are held.
pub(super) fn statistics(
    jacobian: &Tensor,
    held: &[bool],
    chi_square: f64,
    absolute: bool,
) -> Result<Statistics> {
    let (m, n) = (jacobian.shape()[0], jacobian.shape()[1]);
    let varying: Vec<usize> = (0..n).filter(|&j| !held[j]).collect();
    let degrees_of_freedom = m.saturating_sub(varying.len());
    let reduced_chi_square = chi_square / degrees_of_freedom as f64;
    let scale = if absolute { 1.0 } else { reduced_chi_square };
    let mut covariance = vec![0.0; n * n];
    let inverse = inverse_normal(jacobian, &varying)?.filter(|_| absolute || degrees_of_freedom > 0);
    for (a, &i) in varying.iter().enumerate() {
        for (b, &j) in varying.iter().enumerate() {
            covariance[i * n + j] = match &inverse {
                Some(inverse) => scale * inverse[a * varying.len() + b],
                None => f64::INFINITY,
            };
        }
    }
    let errors: Vec<f64> = (0..n).map(|j| covariance[j * n + j].sqrt()).collect();
    let correlation = (0..n * n).map(|at| match (at / n, at % n) {
        (i, j) if i == j => 1.0,
        (i, j) if held[i] || held[j] => 0.0,
        (i, j) => covariance[at] / (errors[i] * errors[j]),
    });
    Ok(Statistics {
        correlation: Tensor::from_vec(correlation.collect(), [n, n])?,
        covariance: Tensor::from_vec(covariance, [n, n])?,
        standard_errors: Tensor::from(errors),
        degrees_of_freedom,
        reduced_chi_square,
    })
}

/// (J^T J)^-1 = R^-1 R^-T for some columns, each scaled to length one, so that the rank does not depend on units; None
/// where it is not full.
fn inverse_normal(jacobian: &Tensor, columns: &[usize]) -> Result<Option<Vec<f64>>> {
    let k = columns.len();
    if k == 0 {
        return Ok(Some(Vec::new()));
    }
    let at: Vec<i64> = columns.iter().map(|&j| j as i64).collect();
    let jacobian = jacobian.to_device(&Device::Cpu)?.index_select(1, Tensor::from(at))?;
    let sizes = jacobian.vector_norm(2.0, [0], true)?;
    if jacobian.shape()[0] < k || sizes.to_vec().iter().any(|s| !(*s > 0.0 && s.is_finite())) {
        return Ok(None);
    }
    let (_, r) = qr(&jacobian.try_div(&sizes)?)?;
    let singular = svdvals(&r)?.to_vec();
    let most = jacobian.shape()[0].max(k) as f64;
    if singular[k - 1] <= most * f64::EPSILON * singular[0] {
        return Ok(None);
    }
    let inverse = solve_triangular(&r, &Tensor::eye(k), Triangle::UPPER)?;
    let inverse = inverse.try_div(&sizes.t()?)?;
    Ok(Some(mm(&inverse, &inverse.t()?)?.to_vec()))
}
