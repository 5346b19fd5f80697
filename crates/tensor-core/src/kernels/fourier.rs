//! Kernels of discrete Fourier transforms, along the last dimension.

use crate::array::Array;
use crate::cpu;
#[cfg(feature = "cuda")]
use crate::cuda;
use crate::element::Float;
use crate::error::{Error, Result};

kernels! {
    /// The sums over t of (re_t + i im_t) e^(-2 pi i k t / n), with plus in the exponent where `inverse`, times `scale`.
    ///
    /// # Errors
    /// Shape, where the parts differ in theirs or there is no dimension; device, where cuFFT is missing.
    pub fn fft<T: Float>(op, re: &Array<T>, im: &Array<T>, inverse: bool, scale: f64) -> Result<[Array<T>; 2]> {
        check parts(op, re, im);
        on re, im;
        cpu::fourier::fft;
        cuda::fourier::fft
    }

    /// As [`fft`] of real lines of n numbers: the first n / 2 + 1 sums, of which the others are conjugates.
    ///
    /// # Errors
    /// As [`fft`].
    pub fn rfft<T: Float>(op, x: &Array<T>, scale: f64) -> Result<[Array<T>; 2]> {
        check parts(op, x, x);
        on x;
        cpu::fourier::rfft;
        cuda::fourier::rfft
    }

    /// The inverse of [`rfft`] to real lines of n numbers, without the factor 1 / n: of the first number, and of the last
    /// for an even n, the real part counts.
    ///
    /// # Errors
    /// As [`fft`]; shape, where lines of n / 2 + 1 are not given.
    pub fn irfft<T: Float>(op, re: &Array<T>, im: &Array<T>, n: usize, scale: f64) -> Result<Array<T>> {
        check half(op, re, im, n);
        on re, im;
        cpu::fourier::irfft;
        cuda::fourier::irfft
    }
}

fn parts<T: Float>(op: &'static str, re: &Array<T>, im: &Array<T>) -> Result<()> {
    if re.shape() != im.shape() || re.ndim() == 0 {
        let message = format!(
            "real part {:?} and imaginary part {:?}: one shape of 1 or more dimensions is needed",
            re.shape(),
            im.shape()
        );
        return Err(Error::shape(op, message));
    }
    Ok(())
}

/// Whether the lines have the length of half a transform of n numbers.
fn half<T: Float>(op: &'static str, re: &Array<T>, im: &Array<T>, n: usize) -> Result<()> {
    parts(op, re, im)?;
    let given = re.shape()[re.ndim() - 1];
    if given != n / 2 + 1 {
        let message = format!("{given} numbers for a signal of {n}: {} are needed", n / 2 + 1);
        return Err(Error::shape(op, message));
    }
    Ok(())
}
