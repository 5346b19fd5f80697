//! Discrete Fourier transforms along the last dimension, by cuFFT. It takes complex numbers side by side and scales nothing:
//! both is done by the kernels of formulas on the way in and out.

use super::copy::{assign, copy};
use super::fft::{Kind, Transform};
use super::map::{fresh, into};
use crate::array::Array;
use crate::code::Code;
use crate::device::Device;
use crate::element::Float;
use crate::error::Result;
use crate::gpu::context::Gpu;
use crate::layout::Layout;
use crate::shape::Dims;

/// Complex numbers, their real and imaginary parts side by side.
struct Pairs<T: Float>(Array<T>);

impl<T: Float> Pairs<T> {
    fn unwritten(gpu: &'static Gpu, op: &'static str, shape: Dims) -> Result<Self> {
        Array::unwritten(gpu, op, shape.into_iter().chain([2]).collect()).map(Pairs)
    }

    fn of(gpu: &'static Gpu, op: &'static str, parts: [&Array<T>; 2]) -> Result<Self> {
        let pairs = Pairs::unwritten(gpu, op, Dims::from_slice(parts[0].shape()))?;
        for (k, part) in parts.into_iter().enumerate() {
            assign(gpu, op, &pairs.0, &pairs.part(k), part)?;
        }
        Ok(pairs)
    }

    /// Where the real parts are, or the imaginary ones.
    fn part(&self, k: usize) -> Layout {
        selected(self.0.layout(), k)
    }

    /// Both parts by themselves, times `scale`.
    fn parts(&self, gpu: &'static Gpu, op: &'static str, scale: f64) -> Result<[Array<T>; 2]> {
        let factor = known(gpu, &self.0.shape()[..self.0.ndim() - 1], T::of(scale))?;
        let part = |k| {
            let x = self.0.view(self.part(k));
            fresh(gpu, op, Dims::from_slice(x.shape()), [x.operand(), factor.operand()], &times)
        };
        Ok([part(0)?, part(1)?])
    }

    fn pointer(&self) -> u64 {
        self.0.pointer()
    }
}

fn times(x: &[Code]) -> Option<Code> {
    Some(x[0] * x[1])
}

/// One number everywhere.
fn known<T: Float>(gpu: &'static Gpu, shape: &[usize], x: T) -> Result<Array<T>> {
    Array::repeat_on(Device::Cuda(gpu.ordinal()), shape, x)
}

/// Place `k` of the last dimension.
fn selected(x: &Layout, k: usize) -> Layout {
    let last = x.ndim() - 1;
    x.slice(last, k, 1, 1).remove_dim(last)
}

/// How many lines of the last dimension there are.
fn count(shape: &[usize]) -> usize {
    shape[..shape.len() - 1].iter().product()
}

/// `shape` with `n` elements along the last dimension.
fn with_last(shape: &[usize], n: usize) -> Dims {
    shape[..shape.len() - 1].iter().copied().chain([n]).collect()
}

/// See the CPU's function of the same name.
pub(crate) fn fft<T: Float>(
    gpu: &'static Gpu,
    op: &'static str,
    re: &Array<T>,
    im: &Array<T>,
    inverse: bool,
    scale: f64,
) -> Result<[Array<T>; 2]> {
    let pairs = Pairs::of(gpu, op, [re, im])?;
    if re.numel() > 0 {
        let (n, count) = (re.shape()[re.ndim() - 1], count(re.shape()));
        let lines = Transform { kind: Kind::Complex { inverse }, n, count };
        lines.run::<T>(gpu, op, pairs.pointer(), pairs.pointer())?;
    }
    pairs.parts(gpu, op, scale)
}

/// See the CPU's function of the same name.
pub(crate) fn rfft<T: Float>(
    gpu: &'static Gpu,
    op: &'static str,
    x: &Array<T>,
    scale: f64,
) -> Result<[Array<T>; 2]> {
    let n = x.shape()[x.ndim() - 1];
    let pairs = Pairs::unwritten(gpu, op, with_last(x.shape(), n / 2 + 1))?;
    if x.numel() > 0 {
        // cuFFT reads real numbers in pairs, too.
        let aligned =
            |x: &Array<T>| x.memory().is_some() && x.pointer().is_multiple_of(2 * size_of::<T>() as u64);
        let x = if x.layout().is_contiguous() && aligned(x) { x.clone() } else { copy(gpu, op, x)? };
        let lines = Transform { kind: Kind::FromReal, n, count: count(x.shape()) };
        lines.run::<T>(gpu, op, x.pointer(), pairs.pointer())?;
    }
    pairs.parts(gpu, op, scale)
}

/// See the CPU's function of the same name.
pub(crate) fn irfft<T: Float>(
    gpu: &'static Gpu,
    op: &'static str,
    re: &Array<T>,
    im: &Array<T>,
    n: usize,
    scale: f64,
) -> Result<Array<T>> {
    let out = Array::unwritten(gpu, op, with_last(re.shape(), n))?;
    if out.numel() == 0 {
        return Ok(out);
    }
    let pairs = Pairs::of(gpu, op, [re, im])?;
    // Of a real signal these are real: their imaginary parts do not count, while cuFFT promises nothing where they are not 0.
    let alone = if n.is_multiple_of(2) { &[0, n / 2][..] } else { &[0] };
    for &k in alone {
        let place = selected(&pairs.part(1), k);
        let zero = known(gpu, place.shape(), T::ZERO)?;
        assign(gpu, op, &pairs.0, &place, &zero)?;
    }
    let lines = Transform { kind: Kind::ToReal, n, count: count(re.shape()) };
    lines.run::<T>(gpu, op, pairs.pointer(), out.pointer())?;
    if scale != 1.0 {
        let factor = known(gpu, out.shape(), T::of(scale))?;
        into(gpu, op, out.operand(), [out.operand(), factor.operand()], &times)?;
    }
    Ok(out)
}
