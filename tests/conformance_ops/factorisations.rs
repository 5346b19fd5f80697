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
        // In ascending order: there is no other.
        ("eigvals", |c| {
            let (re, im) = linalg::eigvals(c.input()?)?;
            let order = ascending(&re, &im)?;
            two((re.gather(-1, &order)?, im.gather(-1, &order)?))
        }),
        ("eig_squares", |c| {
            let ((re, im), (v_re, v_im)) = c.input()?.eig()?;
            let squares = v_re.square() + v_im.square();
            let order = ascending(&re, &im)?.unsqueeze(-2)?.expand(squares.shape())?;
            one(squares.gather(-1, &order)?)
        }),
        // Re V diag(e^(0.3 w)) V^-1 = (Re, Im) of V diag(e^(0.3 w)) by the real system of V.
        ("eig_exp", |c| {
            let ((re, im), (v_re, v_im)) = c.input()?.eig()?;
            let (size, angle) = ((re * T::of(0.3)).exp(), im * T::of(0.3));
            let cos = size.try_mul(&angle.cos())?.unsqueeze(-2)?;
            let sin = size.try_mul(&angle.sin())?.unsqueeze(-2)?;
            let real = v_re.try_mul(&cos)?.try_sub(&v_im.try_mul(&sin)?)?;
            let imaginary = v_re.try_mul(&sin)?.try_add(&v_im.try_mul(&cos)?)?;
            let (above, below) = (Tensor::cat(&[&v_re, &-&v_im], -1)?, Tensor::cat(&[&v_im, &v_re], -1)?);
            let inverse = Tensor::cat(&[&above, &below], -2)?.inverse()?;
            let n = c.input()?.shape()[c.input()?.ndim() - 1];
            let whole = Tensor::cat(&[&real, &-&imaginary], -1)?.matmul(&inverse)?;
            one(whole.narrow(-1, 0, n)?)
        }),
        ("matrix_log", |c| one(c.input()?.matrix_log()?)),
        ("matrix_sqrt", |c| one(c.input()?.matrix_sqrt()?)),
        ("solve_sylvester", |c| one(c.input()?.solve_sylvester(c.float("other")?, c.float("right")?)?)),
        ("fft", |c| {
            let (n, dim, norm) = transform(c)?;
            two(linalg::fft(c.input()?, c.float("other")?, n, dim, norm)?)
        }),
        ("ifft", |c| {
            let (n, dim, norm) = transform(c)?;
            two(linalg::ifft(c.input()?, c.float("other")?, n, dim, norm)?)
        }),
        ("rfft", |c| {
            let (n, dim, norm) = transform(c)?;
            two(c.input()?.rfft(n, dim, norm)?)
        }),
        ("irfft", |c| {
            let (n, dim, norm) = transform(c)?;
            one(linalg::irfft(c.input()?, c.float("other")?, n, dim, norm)?)
        }),
        ("fftshift", |c| one(linalg::fftshift(c.input()?, &c.dims("dims")?)?)),
        ("ifftshift", |c| one(linalg::ifftshift(c.input()?, &c.dims("dims")?)?)),
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

/// The places of the eigenvalues of each matrix by their real parts, and by their imaginary ones.
fn ascending<T: Float>(re: &Tensor<T>, im: &Tensor<T>) -> Result<Tensor<i64>> {
    let n = re.shape()[re.ndim() - 1];
    let rounded = |x: &T| (x.to_f64() * 1e9).round() as i64;
    let (re_of, im_of) = (re.to_vec(), im.to_vec());
    let order = re_of.chunks(n.max(1)).zip(im_of.chunks(n.max(1))).flat_map(|(re, im)| {
        let mut order: Vec<i64> = (0..n as i64).collect();
        order.sort_by_key(|&k| (rounded(&re[k as usize]), rounded(&im[k as usize])));
        order
    });
    Tensor::from_vec(order.collect(), re.shape())?.to_device(&re.device())
}

/// Length, dimension and factor of a Fourier transform.
fn transform<T: Float>(c: &Call<T>) -> Result<(Option<usize>, isize, linalg::FftNorm)> {
    let n = match c.int_or("n", -1)? {
        -1 => None,
        n => Some(n as usize),
    };
    let norm = match &c.text("norm")?[..] {
        "ortho" => linalg::FftNorm::Ortho,
        "forward" => linalg::FftNorm::Forward,
        _ => linalg::FftNorm::Backward,
    };
    Ok((n, c.int("dim")?, norm))
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
