//! Kernels that find or place elements by index.

use crate::array::Array;
use crate::element::Number;
use crate::error::Result;
use crate::shape::Dims;

/// The first extreme element along `dim`, which is not empty, and its index: the largest, or the
/// smallest where `smallest`. NaN counts as more extreme than anything.
pub fn extreme<T: Number>(
    op: &'static str,
    x: &Array<T>,
    dim: usize,
    smallest: bool,
) -> Result<(Array<T>, Array<i64>)> {
    let n = x.shape()[dim];
    let step = x.layout().strides()[dim];
    let first = x.slice(op, dim, 0, 1, 1)?.remove_dim(dim);
    let data = x.storage();
    let shape = Dims::from_slice(first.shape());
    let nest = super::nest::Nest::new(&shape, [&x.layout().slice(dim, 0, 1, 1).remove_dim(dim)]);
    let mut values = Vec::with_capacity(first.numel());
    let mut places = Vec::with_capacity(first.numel());
    let (_, [across]) = nest.inner();
    nest.segments(0..nest.len(), |_, [p], count| {
        for k in 0..count {
            let p = p + k as isize * across;
            let (mut best, mut at) = (data[p as usize], 0);
            for i in 1..n {
                let x = data[(p + i as isize * step) as usize];
                let better = if smallest { x < best } else { x > best };
                if better || (x.is_nan() && !best.is_nan()) {
                    (best, at) = (x, i as i64);
                }
            }
            values.push(best);
            places.push(at);
        }
    });
    Ok((Array::from_vec(values, &shape)?, Array::from_vec(places, &shape)?))
}
