//! Kernels of discrete Fourier transforms, along the last dimension. They run on the CPU alone.

use crate::array::Array;
use crate::cpu;
use crate::device::Device;
use crate::element::Float;
use crate::error::{Error, ErrorKind, Result};
use crate::heap::work;
use crate::once::compiled_once;

compiled_once! {
    /// The sums over t of (re_t + i im_t) e^(-2 pi i k t / n), with plus in the exponent where `inverse`, times `scale`.
    ///
    /// # Errors
    /// Shape, where the parts differ in theirs or there is no dimension; device, where they are on a GPU.
    pub fn fft<T: Float>(
        op: &'static str,
        re: &Array<T>,
        im: &Array<T>,
        inverse: bool,
        scale: f64,
    ) -> Result<[Array<T>; 2]> {
        parts(op, re, im)?;
        work::kernel(op, || cpu::fourier::fft(op, re, im, inverse, scale))
    }

    /// As [`fft`] of real lines of n numbers: the first n / 2 + 1 sums, of which the others are conjugates.
    ///
    /// # Errors
    /// As [`fft`].
    pub fn rfft<T: Float>(op: &'static str, x: &Array<T>, scale: f64) -> Result<[Array<T>; 2]> {
        parts(op, x, x)?;
        work::kernel(op, || cpu::fourier::rfft(op, x, scale))
    }

    /// The inverse of [`rfft`] to real lines of n numbers, without the factor 1 / n: of the first number, and of the last
    /// for an even n, the real part counts.
    ///
    /// # Errors
    /// As [`fft`]; shape, where lines of n / 2 + 1 are not given.
    pub fn irfft<T: Float>(
        op: &'static str,
        re: &Array<T>,
        im: &Array<T>,
        n: usize,
        scale: f64,
    ) -> Result<Array<T>> {
        parts(op, re, im)?;
        let given = re.shape()[re.ndim() - 1];
        if given != n / 2 + 1 {
            let message = format!("{given} numbers for a signal of {n}: {} are needed", n / 2 + 1);
            return Err(Error::shape(op, message));
        }
        work::kernel(op, || cpu::fourier::irfft(op, re, im, n, scale))
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
    match [re, im].into_iter().find(|x| x.device() != Device::Cpu) {
        Some(x) => {
            let message = format!(
                "operand {:?} is on {}: Fourier transforms run on the CPU, to which x.cpu() moves it",
                x.shape(),
                x.device()
            );
            Err(Error::new(ErrorKind::Device, op, message))
        }
        None => Ok(()),
    }
}
