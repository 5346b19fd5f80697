//! Systems, factorisations, spectra, functions of matrices, and what a solver found.

use super::{Call, Operation, indexed, integers, one, three, two};
use std::f64::consts::FRAC_PI_2;
use tapegrad::checkpoint;
use tapegrad::prelude::*;

/// The operations of this file.
pub fn operations<T: Float>() -> &'static [Operation<T>] {
    &[
        ("inverse", |c| one(c.input()?.inverse()?)),
        ("det", |c| one(c.input()?.det()?)),
        ("slogdet", |c| two(c.input()?.slogdet()?)),
        ("logdet", |c| one(c.input()?.logdet()?)),
        ("pinv", |c| one(c.input()?.pinv()?)),
        ("solve", |c| one(c.input()?.solve(c.float("other")?)?)),
        ("cholesky", |c| one(linalg::cholesky(&symmetric(c)?, false)?)),
        ("cholesky_upper", |c| one(linalg::cholesky(&symmetric(c)?, true)?)),
        ("cholesky_solve", |c| {
            one(linalg::cholesky_solve(&linalg::cholesky(&symmetric(c)?, false)?, c.float("other")?, false)?)
        }),
        ("solve_triangular", |c| {
            let triangle = linalg::Triangle { upper: c.flag("upper")?, unit: false };
            one(linalg::solve_triangular(c.input()?, c.float("other")?, triangle)?)
        }),
        ("eigvalsh", |c| one(linalg::eigvalsh(&symmetric(c)?)?)),
        ("eigh_exp", |c| {
            let (w, v) = linalg::eigh(&symmetric(c)?)?;
            one(v.try_mul(&(w * T::of(0.3)).exp().unsqueeze(-2)?)?.matmul(&v.mt()?)?)
        }),
        ("symmetric_exp", |c| one(linalg::symmetric_exp(&(symmetric(c)? * T::of(0.3)))?)),
        ("svdvals", |c| one(linalg::svdvals(c.input()?)?)),
        ("svd_truncated", |c| {
            let (u, s, vt) = linalg::svd(c.input()?)?;
            let rank = c.int("rank")? as usize;
            let scaled = u.narrow(-1, 0, rank)?.try_mul(&s.narrow(-1, 0, rank)?.unsqueeze(-2)?)?;
            one(scaled.matmul(&vt.narrow(-2, 0, rank)?)?)
        }),
        ("qr", |c| two(linalg::qr(c.input()?)?)),
        // Of matrices that are not tall: the others have no gradient.
        ("qr_complete", |c| two(linalg::qr_complete(c.input()?)?)),
        ("lstsq", |c| one(linalg::lstsq(c.input()?, c.float("other")?, None)?)),
        ("cond", |c| one(linalg::cond(c.input()?)?)),
        ("matrix_rank", |c| integers(linalg::matrix_rank(c.input()?, None)?)),
        ("matrix_exp", |c| one(linalg::matrix_exp(c.input()?)?)),
        ("matrix_power", |c| one(linalg::matrix_power(c.input()?, c.int("n")? as i32)?)),
        ("matrix_norm", |c| one(linalg::matrix_norm(c.input()?, norm(c)?)?)),
        ("cholesky_ex", |c| indexed(symmetric(c)?.cholesky_ex(c.flag("upper")?)?)),
        ("cholesky_jitter", |c| two(symmetric(c)?.cholesky_jitter(c.number("jitter")?)?)),
        ("pinv_hermitian", |c| {
            one(linalg::pinv_with(
                &symmetric(c)?,
                linalg::PinvOptions { hermitian: true, ..Default::default() },
            )?)
        }),
        ("lu", |c| three(c.input()?.lu()?)),
        ("lu_solve", |c| {
            let (p, l, u) = c.input()?.lu()?;
            one(linalg::lu_solve(&p, &l, &u, c.float("other")?)?)
        }),
        // The signs of vectors are nobody's.
        ("eigh_squares", |c| {
            let (w, v) = symmetric(c)?.eigh()?;
            two((w, v.square()))
        }),
        ("svd_squares", |c| {
            let (u, s, vt) = c.input()?.svd()?;
            three((u.square(), s, vt.square()))
        }),
        ("symmetric_log", |c| one(linalg::symmetric_log(&symmetric(c)?)?)),
        ("symmetric_power", |c| one(symmetric(c)?.symmetric_power(c.number("exponent")?)?)),
        ("spectral_projector", |c| one(linalg::spectral_projector(&symmetric(c)?, c.number("threshold")?)?)),
        ("symmetric_function", |c| one(linalg::symmetric_function(&symmetric(c)?, Cosine)?)),
        // x + x^3 = p, and the least of x^2 / 2 + x^4 / 4 - p x, from a root that is found by Newton's method.
        ("implicit_root", |c| {
            let p = c.input()?;
            one(linalg::implicit_root(|x| (x + x.powf(3.0)).try_sub(p), &cubic_root(p)?)?)
        }),
        ("implicit_argmin", |c| {
            let p = c.input()?;
            let energy = |x: &Tensor<T>| {
                let kept = x.square() * T::of(0.5) + x.powf(4.0) * T::of(0.25);
                Ok(kept.try_sub(&p.try_mul(x)?)?.sum())
            };
            one(linalg::implicit_argmin(energy, &cubic_root(p)?)?)
        }),
        ("checkpoint", |c| {
            let f = |x: &[Tensor<T>]| x[0].sin().try_mul(&x[1].tanh());
            one(checkpoint(f, &[c.input()?, c.float("other")?])?)
        }),
    ]
}

/// The symmetric part of the input.
fn symmetric<T: Float>(c: &Call<T>) -> Result<Tensor<T>> {
    let a = c.input()?;
    Ok((a + a.mt()?) * T::of(0.5))
}

fn norm<T: Float>(c: &Call<T>) -> Result<linalg::MatrixNorm> {
    use linalg::MatrixNorm::*;
    Ok(match c.text("ord") {
        Ok(name) => match &name[..] {
            "fro" => Frobenius,
            "nuc" => Nuclear,
            "inf" => Order(f64::INFINITY),
            _ => Order(f64::NEG_INFINITY),
        },
        Err(_) => Order(c.int("ord")? as f64),
    })
}

/// cos x, a function of matrices that the library does not have.
struct Cosine;

impl linalg::Analytic for Cosine {
    fn coefficient(&self, n: usize, x: f64) -> f64 {
        (1..=n).fold((x + n as f64 * FRAC_PI_2).cos(), |c, k| c / k as f64)
    }
    fn radius(&self, _: f64) -> f64 {
        1.0
    }
}

/// The x with x + x^3 = p.
fn cubic_root<T: Float>(p: &Tensor<T>) -> Result<Tensor<T>> {
    let p = p.detach();
    let mut x = p.tanh();
    for _ in 0..60 {
        let slope = x.square() * T::of(3.0) + T::of(1.0);
        x = x.try_sub(&(&x + x.powf(3.0)).try_sub(&p)?.try_div(&slope)?)?;
    }
    Ok(x)
}
