//! Convolutions, as products with the windows that they look at.

use crate::product::bmm;
use autograd::{Tensor, body_once};
use tensor_core::{AtCaller, Error, Float, Result};

/// How a [`conv1d`] moves over its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv1dOptions {
    /// How far a window is behind the one before; 1.
    pub stride: usize,
    /// Zeros before and after the input; 0.
    pub padding: usize,
    /// How far the elements of a window are apart; 1.
    pub dilation: usize,
    /// Parts that the channels are cut into, of which each is convolved by itself; 1.
    pub groups: usize,
}

impl Default for Conv1dOptions {
    fn default() -> Self {
        Conv1dOptions { stride: 1, padding: 0, dilation: 1, groups: 1 }
    }
}

/// The products of kernels with the windows of signals (which mathematics calls the cross-correlation), as PyTorch's:
/// `x` in shape `[N, C, L]`, or `[C, L]` without a batch, `weight` in shape `[O, C / groups, K]`, and a number that is
/// added for each of the O outputs. Of the length L remains (L + 2 padding - dilation (K - 1) - 1) / stride + 1.
///
/// ```
/// use tapegrad::Tensor;
/// use tapegrad::linalg::{Conv1dOptions, conv1d};
/// let x = Tensor::from([[[1.0, 2.0, 3.0, 4.0]]]);
/// let weight = Tensor::from([[[1.0, -1.0]]]);
/// assert_eq!(conv1d(&x, &weight, None, Conv1dOptions::default())?.to_vec(), [-1.0; 3]);
/// let options = Conv1dOptions { stride: 2, padding: 1, ..Default::default() };
/// assert_eq!(conv1d(&x, &weight, Some(&Tensor::from([10.0])), options)?.to_vec(), [9.0, 9.0, 14.0]);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// Shape, where the operands do not fit, or the windows are longer than the signal with its padding; argument, for a
/// stride, a dilation or groups of 0.
#[track_caller]
pub fn conv1d<T: Float>(
    x: &Tensor<T>,
    weight: &Tensor<T>,
    bias: Option<&Tensor<T>>,
    options: Conv1dOptions,
) -> Result<Tensor<T>> {
    body_once!(
        T: Float,
        [x, weight, bias, options],
        |x: &Tensor<T>, weight: &Tensor<T>, bias: Option<&Tensor<T>>, options: Conv1dOptions| -> Result<Tensor<T>> {
            if x.ndim() == 2 {
                return convolved(&x.unsqueeze(0)?, weight, bias, options).called("conv1d")?.squeeze(0isize);
            }
            convolved(x, weight, bias, options).called("conv1d")
        }
    )
}

fn convolved<T: Float>(
    x: &Tensor<T>,
    weight: &Tensor<T>,
    bias: Option<&Tensor<T>>,
    Conv1dOptions { stride, padding, dilation, groups }: Conv1dOptions,
) -> Result<Tensor<T>> {
    const OP: &str = "conv1d";
    if stride == 0 || dilation == 0 || groups == 0 {
        let message = format!("stride {stride}, dilation {dilation}, groups {groups}: each is at least 1");
        return Err(Error::argument(OP, message));
    }
    let (&[n, channels, length], &[outputs, depth, size]) = (x.shape(), weight.shape()) else {
        let message = format!(
            "signals of shape {:?} and kernels of shape {:?}: [N, C, L] or [C, L], and [O, C / groups, K], are needed",
            x.shape(),
            weight.shape()
        );
        return Err(Error::shape(OP, message));
    };
    if depth.checked_mul(groups) != Some(channels) || !outputs.is_multiple_of(groups) {
        let message = format!(
            "{channels} channels, kernels of shape {:?}, {groups} groups: the groups divide {outputs} outputs, and \
             kernels are as deep as the channels of a group",
            weight.shape()
        );
        return Err(Error::shape(OP, message));
    }
    if let Some(bias) = bias
        && bias.shape() != [outputs]
    {
        let message =
            format!("numbers to add of shape {:?} for {outputs} outputs: one each is needed", bias.shape());
        return Err(Error::shape(OP, message));
    }
    let span = (size.saturating_sub(1)).saturating_mul(dilation).saturating_add(1);
    if size == 0 || span > length.saturating_add(padding.saturating_mul(2)) {
        let message = format!(
            "windows of {span} elements, {size} of a kernel, over a signal of {length} with padding {padding}"
        );
        return Err(Error::shape(OP, message));
    }
    let padded = match isize::try_from(padding) {
        Ok(0) => x.clone(),
        Ok(p) => x.pad([p, p], T::ZERO)?,
        Err(_) => return Err(Error::out_of_memory(OP, usize::MAX)),
    };
    // [N, C, windows, K] as the columns of a matrix for each group: [groups, C / groups K, N windows]. The elements of a
    // window that count are windows of one element themselves.
    let windows = padded.unfold(-1, span, stride)?.unfold(-1, 1, dilation)?.squeeze(-1isize)?;
    let count = windows.shape()[2];
    let columns = windows.reshape([n, groups, depth, count, size])?.permute([1, 2, 4, 0, 3])?.reshape([
        groups,
        depth * size,
        n * count,
    ])?;
    let kernels = weight.reshape([groups, outputs / groups, depth * size])?;
    let products = bmm(&kernels, &columns)?
        .reshape([groups, outputs / groups, n, count])?
        .permute([2, 0, 1, 3])?
        .reshape([n, outputs, count])?;
    match bias {
        Some(bias) => products.try_add(&bias.unsqueeze(-1)?),
        None => Ok(products),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use autograd::check_op;

    /// Element by element.
    fn by_definition(x: &[Tensor], o: Conv1dOptions) -> Result<Tensor> {
        let padded = x[0].pad([o.padding as isize; 2], 0.0)?;
        let (&[n, channels, length], &[outputs, depth, size]) = (padded.shape(), x[1].shape()) else {
            unreachable!("a batch of signals, and kernels")
        };
        let count = (length - (size - 1) * o.dilation - 1) / o.stride + 1;
        let mut y = Vec::new();
        for (i, out, at) in
            (0..n).flat_map(|i| (0..outputs).flat_map(move |out| (0..count).map(move |at| (i, out, at))))
        {
            let first = out / (outputs / o.groups) * (channels / o.groups);
            let mut sum = 0.0;
            for (c, k) in (0..depth).flat_map(|c| (0..size).map(move |k| (c, k))) {
                let place = at * o.stride + k * o.dilation;
                sum += padded.get([i, first + c, place].map(|i| i as isize))?
                    * x[1].get([out, c, k].map(|i| i as isize))?;
            }
            y.push(sum);
        }
        Tensor::from_vec(y, [n, outputs, count])
    }

    #[test]
    fn derivatives() -> Result<()> {
        let plain = Conv1dOptions::default();
        for (signal, kernel, options) in [
            ([2, 3, 5], [4, 3, 2], plain),
            ([1, 2, 7], [2, 2, 3], Conv1dOptions { stride: 2, padding: 2, dilation: 2, ..plain }),
            ([2, 4, 4], [6, 2, 1], Conv1dOptions { groups: 2, ..plain }),
            ([2, 2, 6], [2, 1, 3], Conv1dOptions { groups: 2, stride: 3, padding: 1, ..plain }),
        ] {
            check_op(|x| conv1d(&x[0], &x[1], None, options), &[&signal, &kernel])
                .single(|x| conv1d(&x[0], &x[1], None, options))
                .reference(|x| by_definition(x, options))
                .run()?;
        }
        check_op(|x| conv1d(&x[0], &x[1], Some(&x[2]), plain), &[&[2, 4], &[3, 2, 2], &[3]]).run()?;
        check_op(|x| conv1d(&x[0], &x[1], Some(&x[2]), plain), &[&[0, 2, 4], &[3, 2, 2], &[3]]).run()
    }

    #[test]
    fn refusals() {
        let (x, weight) = (Tensor::ones([1, 2, 3]), Tensor::ones([2, 2, 2]));
        let plain = Conv1dOptions::default();
        for options in [
            Conv1dOptions { stride: 0, ..plain },
            Conv1dOptions { dilation: 0, ..plain },
            Conv1dOptions { dilation: 4, ..plain },
            Conv1dOptions { dilation: usize::MAX, ..plain },
            Conv1dOptions { padding: usize::MAX, ..plain },
            Conv1dOptions { groups: 0, ..plain },
            Conv1dOptions { groups: 2, ..plain },
        ] {
            assert!(conv1d(&x, &weight, None, options).is_err(), "{options:?}");
        }
        assert!(conv1d(&x, &weight, Some(&Tensor::ones([3])), plain).is_err());
        assert!(conv1d(&x, &Tensor::ones([2, 2, 0]), None, plain).is_err());
        assert!(conv1d(&x, &Tensor::ones([2, 2]), None, plain).is_err());
        assert!(conv1d(&Tensor::ones([3]), &weight, None, plain).is_err());
    }
}
