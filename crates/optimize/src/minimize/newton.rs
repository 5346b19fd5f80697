//! Newton's method along a line, its direction by conjugate gradients on products with the Hessian.

use super::objective::Halt;
use super::search::Search;
use crate::report::Stop;
use crate::vector::{axpy, dot, norm};
use tensor_core::Result;

/// Nocedal, Wright, "Numerical optimization", 2006, algorithm 7.1, with a search for the strong Wolfe conditions.
pub(crate) fn run(search: &mut Search<'_, '_>) -> Result<(), Halt> {
    search.check_start()?;
    loop {
        let mut direction = direction(search)?;
        if !search.along(&direction, 1.0, 1e10, 0.9)? {
            // The Hessian, or its products, may be what is wrong.
            direction.iter_mut().zip(&search.at.gradient).for_each(|(d, g)| *d = -g);
            let first = 1.0 / norm(&direction).max(1.0);
            if !search.along(&direction, first, 1e10, 0.9)? {
                return Err(Halt::Stop(Stop::NoProgress));
            }
        }
        search.accept(true)?;
    }
}

/// What conjugate gradients on H d = -g have where the residual is small beside the gradient, or where H curves down.
fn direction(search: &mut Search<'_, '_>) -> Result<Vec<f64>, Halt> {
    let g = &search.at.gradient;
    let n = g.len();
    let size = norm(g);
    let tolerance = size * size.sqrt().min(0.5);
    let (mut d, mut r, mut p, mut hp) = (vec![0.0; n], g.clone(), vec![0.0; n], vec![0.0; n]);
    p.iter_mut().zip(g).for_each(|(p, g)| *p = -g);
    let mut square = dot(&r, &r);
    let Some(record) = &search.at.record else { return Ok(p) };
    // Rounding may need more than n steps, and more than twice as many are none that would help.
    for k in 0..(2 * n).max(20) {
        search.objective.product(record, &p, &mut hp)?;
        let (curve, length) = (dot(&p, &hp), dot(&p, &p));
        if curve.is_nan() || curve <= 3.0 * f64::EPSILON * length {
            if k == 0 {
                // As long as the curvature's size says.
                let scale = if curve < 0.0 { square / -curve } else { 1.0 / size.max(1.0) };
                d.iter_mut().zip(&p).for_each(|(d, p)| *d = scale * p);
            }
            break;
        }
        let step = square / curve;
        axpy(step, &p, &mut d);
        axpy(step, &hp, &mut r);
        let next = dot(&r, &r);
        if next.sqrt() <= tolerance {
            break;
        }
        let ratio = next / square;
        p.iter_mut().zip(&r).for_each(|(p, r)| *p = ratio * *p - r);
        square = next;
    }
    Ok(d)
}
