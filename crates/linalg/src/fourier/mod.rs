//! Discrete Fourier transforms. Complex signals are pairs of real tensors.

mod frequencies;

pub use frequencies::{fftfreq, fftshift, ifftshift, rfftfreq};

use crate::eig::Pair;
use autograd::{KeepMany, Kept, Op, OpMany, Tensor, apply, apply_many, body_once};
use tensor_core::kernels::fourier;
use tensor_core::shape::Integer;
use tensor_core::{Array, AtCaller, Error, Float, Result};

/// Where the factor 1 / n of a transform and its inverse stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FftNorm {
    /// At the inverse, as NumPy and PyTorch have it where nothing is said.
    #[default]
    Backward,
    /// Its root at both, so that lengths are kept.
    Ortho,
    /// At the transform.
    Forward,
}

impl FftNorm {
    /// The factor of one of the two.
    fn factor(self, inverse: bool, n: usize) -> f64 {
        match (self, inverse) {
            (FftNorm::Ortho, _) => 1.0 / (n as f64).sqrt(),
            (FftNorm::Backward, true) | (FftNorm::Forward, false) => 1.0 / n as f64,
            _ => 1.0,
        }
    }
}

/// Y_k = scale sum_t X_t e^(-2 pi i k t / n), or with plus, along the last dimension: real and imaginary parts in and out
#[derive(Clone, Copy)]
struct Dft {
    inverse: bool,
    scale: f64,
}

impl<T: Float> OpMany<T> for Dft {
    fn name(&self) -> &'static str {
        if self.inverse { "ifft" } else { "fft" }
    }
    fn forward(&self, x: &[&Array<T>]) -> Result<Vec<Array<T>>> {
        Ok(fourier::fft(OpMany::<T>::name(self), x[0], x[1], self.inverse, self.scale)?.into())
    }
    fn keep(&self, _: &[bool]) -> KeepMany {
        KeepMany { inputs: Vec::new(), outputs: Vec::new() }
    }
    fn batches(&self) -> bool {
        true
    }
    /// The conjugate transpose of the matrix: the other direction, with the same factor
    fn vjp(&self, _: &Kept<'_, T>, g: Vec<Option<Tensor<T>>>) -> Result<Vec<Option<Tensor<T>>>> {
        let Some((re, im)) = pair(&g) else { return Ok(vec![None, None]) };
        let back = Dft { inverse: !self.inverse, ..*self };
        Ok(apply_many(back, &[&re, &im])?.into_iter().map(Some).collect())
    }
}

/// The cotangents of two outputs, zeros for one that took no part.
fn pair<T: Float>(g: &[Option<Tensor<T>>]) -> Option<(Tensor<T>, Tensor<T>)> {
    let like = g[0].as_ref().or(g[1].as_ref())?;
    let part = |g: &Option<Tensor<T>>| g.clone().unwrap_or_else(|| like.zeros_like());
    Some((part(&g[0]), part(&g[1])))
}

/// The first n / 2 + 1 numbers of [`Dft`] of real lines of n
struct RealDft {
    n: usize,
    scale: f64,
}

impl<T: Float> OpMany<T> for RealDft {
    fn name(&self) -> &'static str {
        "rfft"
    }
    fn forward(&self, x: &[&Array<T>]) -> Result<Vec<Array<T>>> {
        Ok(fourier::rfft("rfft", x[0], self.scale)?.into())
    }
    fn keep(&self, _: &[bool]) -> KeepMany {
        KeepMany { inputs: Vec::new(), outputs: Vec::new() }
    }
    fn batches(&self) -> bool {
        true
    }
    /// sum_k Re(conj(grad_k) e^(-2 pi i k t / n)): the way back, of which the numbers that stand for two count half
    fn vjp(&self, _: &Kept<'_, T>, g: Vec<Option<Tensor<T>>>) -> Result<Vec<Option<Tensor<T>>>> {
        let Some((re, im)) = pair(&g) else { return Ok(vec![None]) };
        let weights = times_counted(&re, self.n, 0.5)?;
        let back = RealInverse { n: self.n, scale: self.scale };
        Ok(vec![Some(apply(back, [&re.try_mul(&weights)?, &im.try_mul(&weights)?])?)])
    }
}

/// The real lines of n numbers from the first n / 2 + 1 of their transform, without the factor 1 / n
struct RealInverse {
    n: usize,
    scale: f64,
}

impl<T: Float> Op<T, 2> for RealInverse {
    fn name(&self) -> &'static str {
        "irfft"
    }
    fn forward(&self, [re, im]: [&Array<T>; 2]) -> Result<Array<T>> {
        fourier::irfft("irfft", re, im, self.n, self.scale)
    }
    fn batches(&self) -> bool {
        true
    }
    /// The transform, of which the numbers that stand for two count twice
    fn vjp(&self, _: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 2]> {
        let weights = times_counted(&g, self.n, 2.0)?;
        let mut parts = apply_many(RealDft { n: self.n, scale: self.scale }, &[&g])?;
        let im = parts.swap_remove(1).try_mul(&weights)?;
        Ok([Some(parts.swap_remove(0).try_mul(&weights)?), Some(im)])
    }
}

/// `weight` for the numbers of a half transform that stand for their conjugates too, and 1 for the others: where `like` is.
fn times_counted<T: Float>(like: &Tensor<T>, n: usize, weight: f64) -> Result<Tensor<T>> {
    let last = usize::from(n > 1 && n.is_multiple_of(2));
    let twice = n / 2 - last;
    Tensor::full_on(&like.device(), [twice], T::of(weight))?.pad([1, last], T::ONE)
}

/// An error for a dimension without elements, or for no dimension at all.
fn need_length<T: Float>(op: &'static str, x: &Tensor<T>, n: usize, dim: isize) -> Result<()> {
    if x.ndim() == 0 {
        return Err(Error::shape(op, "a scalar has no dimension to transform: give a vector"));
    }
    if n == 0 {
        let message = format!("length 0 along dimension {dim} of {:?}: at least 1 is needed", x.shape());
        return Err(Error::argument(op, message));
    }
    Ok(())
}

/// Dimension `dim` of a tensor at its end, cut or filled up with zeros to `n`.
fn lines<T: Float>(x: &Tensor<T>, n: usize, dim: isize) -> Result<Tensor<T>> {
    let x = x.transpose(dim, -1)?;
    let given = x.shape()[x.ndim() - 1];
    if given == n { Ok(x) } else { x.pad([0, n as isize - given as isize], T::ZERO) }
}

/// The length of a dimension; 1 where there is none, of which something else complains.
fn length<T: Float>(x: &Tensor<T>, dim: isize) -> Result<usize> {
    if x.ndim() == 0 {
        return Ok(1);
    }
    let last = x.transpose(dim, -1)?;
    Ok(last.shape()[last.ndim() - 1])
}

/// An error where the parts of a signal differ in their shapes.
fn one_shape<T: Float>(op: &'static str, re: &Tensor<T>, im: &Tensor<T>) -> Result<()> {
    if re.shape() == im.shape() {
        return Ok(());
    }
    let message = format!(
        "real part {:?} and imaginary part {:?}: one shape is needed; zeros_like makes a part of zeros",
        re.shape(),
        im.shape()
    );
    Err(Error::shape(op, message))
}

/// Both outputs, with their last dimension back where it was.
fn returned<T: Float>(mut both: Vec<Tensor<T>>, dim: isize) -> Result<Pair<T>> {
    let im = both.swap_remove(1).transpose(dim, -1)?;
    Ok((both.swap_remove(0).transpose(dim, -1)?, im))
}

/// [`fft`], or [`ifft`] by that name.
#[track_caller]
fn of_pairs<T: Float>(
    op: &'static str,
    [re, im]: [&Tensor<T>; 2],
    n: Option<usize>,
    dim: isize,
    norm: FftNorm,
) -> Result<Pair<T>> {
    body_once!(
        T: Float,
        [op, re, im, n, dim, norm],
        |op: &'static str,
         re: &Tensor<T>,
         im: &Tensor<T>,
         n: Option<usize>,
         dim: isize,
         norm: FftNorm|
         -> Result<Pair<T>> {
            one_shape(op, re, im)?;
            let inverse = op == "ifft";
            let n = n.map_or_else(|| length(re, dim), Ok).called(op)?;
            need_length(op, re, n, dim)?;
            let line = |x| lines(x, n, dim).called(op);
            let dft = Dft { inverse, scale: norm.factor(inverse, n) };
            returned(apply_many(dft, &[&line(re)?, &line(im)?])?, dim)
        }
    )
}

/// The discrete Fourier transform of the complex signals `re + i im` along `dim`, as a pair of the same kind:
/// Y_k = sum_t X_t e^(-2 pi i k t / n), times the factor of `norm`. PyTorch's `torch.fft.fft`: `n` cuts the signals or fills them up with
/// zeros; None leaves them as they are. Any length takes n log n steps.
///
/// ```
/// use tapegrad::Tensor;
/// use tapegrad::linalg::{FftNorm, fft};
/// let x = Tensor::from([1.0, 0.0, -1.0, 0.0]);
/// let (re, im) = fft(&x, &x.zeros_like(), None, -1, FftNorm::Backward)?;
/// assert_eq!((re.to_vec(), im.to_vec()), (vec![0.0, 2.0, 0.0, 2.0], vec![0.0; 4]));
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// Shape, where the parts differ in theirs or are scalars; index, for a dimension that does not exist; argument, for a length
/// of 0; device, where the parts are on a GPU and cuFFT is missing.
#[track_caller]
pub fn fft<T: Float>(
    re: &Tensor<T>,
    im: &Tensor<T>,
    n: Option<usize>,
    dim: impl Integer,
    norm: FftNorm,
) -> Result<Pair<T>> {
    of_pairs("fft", [re, im], n, dim.to_isize(), norm)
}

/// The inverse of [`fft`]: X_t = 1/n sum_k Y_k e^(2 pi i k t / n), the factor being that of `norm`.
///
/// ```
/// use tapegrad::Tensor;
/// use tapegrad::linalg::{FftNorm, fft, ifft};
/// let (re, im) = (Tensor::from([1.0, 5.0, 2.0]), Tensor::from([0.0, 3.0, -1.0]));
/// let (a, b) = fft(&re, &im, None, 0, FftNorm::Ortho)?;
/// let (x, y) = ifft(&a, &b, None, 0, FftNorm::Ortho)?;
/// assert!(x.allclose(&re, 0.0, 1e-14)? && y.allclose(&im, 0.0, 1e-14)?);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// As [`fft`].
#[track_caller]
pub fn ifft<T: Float>(
    re: &Tensor<T>,
    im: &Tensor<T>,
    n: Option<usize>,
    dim: impl Integer,
    norm: FftNorm,
) -> Result<Pair<T>> {
    of_pairs("ifft", [re, im], n, dim.to_isize(), norm)
}

/// The discrete Fourier transform of real signals of n numbers along `dim`, of which the first n / 2 + 1 numbers are given: the
/// others are their conjugates. PyTorch's `torch.fft.rfft`; see [`fft`].
///
/// ```
/// use tapegrad::Tensor;
/// use tapegrad::linalg::{FftNorm, rfft};
/// let (re, im) = rfft(&Tensor::from([1.0, 2.0, 3.0, 4.0]), None, -1, FftNorm::Backward)?;
/// assert_eq!((re.to_vec(), im.to_vec()), (vec![10.0, -2.0, -2.0], vec![0.0, 2.0, 0.0]));
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// As [`fft`].
#[track_caller]
pub fn rfft<T: Float>(x: &Tensor<T>, n: Option<usize>, dim: impl Integer, norm: FftNorm) -> Result<Pair<T>> {
    body_once!(
        T: Float,
        [x, n, dim.to_isize(), norm],
        |x: &Tensor<T>, n: Option<usize>, dim: isize, norm: FftNorm| -> Result<Pair<T>> {
            let n = n.map_or_else(|| length(x, dim), Ok).called("rfft")?;
            need_length("rfft", x, n, dim)?;
            let line = lines(x, n, dim).called("rfft")?;
            returned(apply_many(RealDft { n, scale: norm.factor(false, n) }, &[&line])?, dim)
        }
    )
}

/// The inverse of [`rfft`]: real signals of `n` numbers, or of 2 (m - 1) where `n` is None and m numbers are given. Of the first
/// number, and of the last for an even n, the real part alone counts. An odd length has to be said.
///
/// ```
/// use tapegrad::Tensor;
/// use tapegrad::linalg::{FftNorm, irfft, rfft};
/// let x = Tensor::from([1.0, 5.0, 2.0]);
/// let (re, im) = rfft(&x, None, -1, FftNorm::Backward)?;
/// assert!(irfft(&re, &im, Some(3), -1, FftNorm::Backward)?.allclose(&x, 0.0, 1e-14)?);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// As [`fft`].
#[track_caller]
pub fn irfft<T: Float>(
    re: &Tensor<T>,
    im: &Tensor<T>,
    n: Option<usize>,
    dim: impl Integer,
    norm: FftNorm,
) -> Result<Tensor<T>> {
    body_once!(
        T: Float,
        [re, im, n, dim.to_isize(), norm],
        |re: &Tensor<T>,
         im: &Tensor<T>,
         n: Option<usize>,
         dim: isize,
         norm: FftNorm|
         -> Result<Tensor<T>> {
            one_shape("irfft", re, im)?;
            let n = n.map_or_else(|| Ok(2 * length(re, dim)?.saturating_sub(1)), Ok).called("irfft")?;
            need_length("irfft", re, n, dim)?;
            let line = |x| lines(x, n / 2 + 1, dim).called("irfft");
            let inverse = RealInverse { n, scale: norm.factor(true, n) };
            apply(inverse, [&line(re)?, &line(im)?])?.transpose(dim, -1)
        }
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use autograd::check_op;
    use tensor_core::ErrorKind;

    const NORMS: [FftNorm; 3] = [FftNorm::Backward, FftNorm::Ortho, FftNorm::Forward];

    /// Both parts, one behind the other.
    fn joined((re, im): (Tensor<f64>, Tensor<f64>)) -> Result<Tensor<f64>> {
        Tensor::stack(&[&re, &im], 0)
    }

    /// The sums as they are defined, along the last dimension.
    fn sums(re: &Tensor<f64>, im: &Tensor<f64>, sign: f64) -> Result<(Tensor<f64>, Tensor<f64>)> {
        let n = re.shape()[re.ndim() - 1];
        let angle = |k: usize| sign * 2.0 * std::f64::consts::PI * (k / n * (k % n) % n) as f64 / n as f64;
        let table = |f: fn(f64) -> f64| Tensor::from_vec((0..n * n).map(|k| f(angle(k))).collect(), [n, n]);
        let (cos, sin) = (table(f64::cos)?, table(f64::sin)?);
        let product = |x: &Tensor<f64>, m: &Tensor<f64>| crate::matmul(x, m);
        Ok((
            product(re, &cos)?.try_sub(&product(im, &sin)?)?,
            product(re, &sin)?.try_add(&product(im, &cos)?)?,
        ))
    }

    #[test]
    fn complex_signals() -> Result<()> {
        for n in [1, 2, 3, 4, 5, 7, 8, 12, 13] {
            for norm in NORMS {
                for inverse in [false, true] {
                    let sign = if inverse { 1.0 } else { -1.0 };
                    let op = |x: &[Tensor<f64>]| match inverse {
                        false => fft(&x[0], &x[1], None, -1, norm),
                        true => ifft(&x[0], &x[1], None, -1, norm),
                    };
                    check_op(|x| joined(op(x)?), &[&[2, n], &[2, n]])
                        .reference(|x| Ok(joined(sums(&x[0], &x[1], sign)?)? * norm.factor(inverse, n)))
                        .run()?;
                }
            }
        }
        for (shape, dim) in [(&[3, 4, 2][..], 1), (&[3, 4, 2], 0), (&[0, 4], 1), (&[4, 0], 0)] {
            let there = |x: &[Tensor<f64>]| fft(&x[0], &x[1], None, dim, FftNorm::Ortho);
            check_op(|x| joined(there(x)?), &[shape, shape]).run()?;
            let back = |x: &[Tensor<f64>]| {
                let (re, im) = there(x)?;
                joined(ifft(&re, &im, None, dim, FftNorm::Ortho)?)
            };
            check_op(back, &[shape, shape]).reference(|x| Tensor::stack(&[&x[0], &x[1]], 0)).run()?;
        }
        for n in [1, 3, 6] {
            let resized = |x: &Tensor<f64>| x.pad([0, n as isize - 4], 0.0);
            check_op(|x| joined(fft(&x[0], &x[1], Some(n), 1, FftNorm::Backward)?), &[&[2, 4], &[2, 4]])
                .reference(|x| joined(sums(&resized(&x[0])?, &resized(&x[1])?, -1.0)?))
                .run()?;
        }
        Ok(())
    }

    #[test]
    fn real_signals() -> Result<()> {
        for n in [1, 2, 3, 4, 5, 8, 9, 11] {
            for norm in NORMS {
                check_op(|x| joined(rfft(&x[0], None, -1, norm)?), &[&[2, n]])
                    .reference(|x| {
                        let whole = joined(fft(&x[0], &x[0].zeros_like(), None, -1, norm)?)?;
                        whole.narrow(-1, 0, n / 2 + 1)
                    })
                    .run()?;
                let half: &[usize] = &[2, n / 2 + 1];
                check_op(|x| irfft(&x[0], &x[1], Some(n), -1, norm), &[half, half]).run()?;
                let again = |x: &[Tensor<f64>]| {
                    let (re, im) = rfft(&x[0], None, -1, norm)?;
                    irfft(&re, &im, Some(n), -1, norm)
                };
                check_op(again, &[&[2, n]]).reference(|x| Ok(x[0].clone())).run()?;
            }
        }
        for (n, dim) in [(3, 0), (6, 0), (2, 1), (5, -1)] {
            check_op(|x| joined(rfft(&x[0], Some(n), dim, FftNorm::Backward)?), &[&[4, 3]]).run()?;
            check_op(|x| irfft(&x[0], &x[1], Some(n), dim, FftNorm::Forward), &[&[4, 3], &[4, 3]]).run()?;
        }
        check_op(|x| irfft(&x[0], &x[1], None, -1, FftNorm::Backward), &[&[0, 3], &[0, 3]]).run()?;
        Ok(())
    }

    #[test]
    fn large_batches_and_lengths() -> Result<()> {
        for shape in [[300, 257], [3, 10007], [70000, 2]] {
            let (re, im): (Tensor, Tensor) = (Tensor::randn(shape), Tensor::randn(shape));
            let (a, b) = fft(&re, &im, None, -1, FftNorm::Backward)?;
            let (x, y) = ifft(&a, &b, None, -1, FftNorm::Backward)?;
            assert!(x.allclose(&re, 0.0, 1e-12)? && y.allclose(&im, 0.0, 1e-12)?);
            let alone = fft(&re.row(2)?, &im.row(2)?, None, -1, FftNorm::Backward)?;
            assert_eq!((alone.0.to_vec(), alone.1.to_vec()), (a.row(2)?.to_vec(), b.row(2)?.to_vec()));
            let (a, b) = rfft(&re.cast::<f32>(), None, -1, FftNorm::Backward)?;
            let again = irfft(&a, &b, Some(shape[1]), -1, FftNorm::Backward)?;
            assert!(again.cast::<f64>().allclose(&re, 0.0, 1e-4)?);
        }
        // More lengths than are kept.
        for n in 1..150 {
            let (re, _) = rfft(&Tensor::<f64>::from_vec(vec![1.0; n], [n])?, None, 0, FftNorm::Forward)?;
            assert!((re.to_vec()[0] - 1.0).abs() < 1e-12);
        }
        Ok(())
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let x = Tensor::ones([2, 3]);
        let norm = FftNorm::Backward;
        let kind = |e: Error| (e.kind(), e.op());
        assert_eq!(kind(fft(&x, &x, Some(0), 1, norm).unwrap_err()), (ErrorKind::Argument, "fft"));
        assert_eq!(kind(rfft(&Tensor::ones([0]), None, 0, norm).unwrap_err()), (ErrorKind::Argument, "rfft"));
        assert_eq!(kind(irfft(&x, &x, Some(0), 1, norm).unwrap_err()), (ErrorKind::Argument, "irfft"));
        assert_eq!(
            kind(irfft(&Tensor::ones([1]), &Tensor::ones([1]), None, 0, norm).unwrap_err()).1,
            "irfft"
        );
        assert_eq!(kind(ifft(&x, &x.mt().unwrap(), None, 1, norm).unwrap_err()), (ErrorKind::Shape, "ifft"));
        assert_eq!(kind(rfft(&x, None, 2, norm).unwrap_err()), (ErrorKind::Index, "rfft"));
        assert_eq!(kind(rfft(&x, Some(4), -3, norm).unwrap_err()), (ErrorKind::Index, "rfft"));
        assert_eq!(kind(rfft(&Tensor::scalar(1.0), None, 0, norm).unwrap_err()), (ErrorKind::Shape, "rfft"));
    }
}
