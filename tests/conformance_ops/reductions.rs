//! Reductions, running ones, order, and losses.

use super::{Call, Operation, Value, indexed, integers, mask, one};
use tapegrad::prelude::*;

/// The operations of this file.
pub fn operations<T: Float>() -> &'static [Operation<T>] {
    &[
        // No dim at all stands for every one.
        ("sum", |c| reduce(c, |x| Ok(x.sum()), |x, dims, keepdim| x.sum_dim(dims, keepdim))),
        ("mean", |c| reduce(c, |x| Ok(x.mean()), |x, dims, keepdim| x.mean_dim(dims, keepdim))),
        ("amax", |c| reduce(c, |x| x.max(), |x, dims, keepdim| x.amax(dims, keepdim))),
        ("amin", |c| reduce(c, |x| x.min(), |x, dims, keepdim| x.amin(dims, keepdim))),
        ("var", |c| one(c.input()?.var_with(&c.dims("dim")?, c.flag("keepdim")?, c.correction()?)?)),
        ("std", |c| one(c.input()?.std_with(&c.dims("dim")?, c.flag("keepdim")?, c.correction()?)?)),
        ("max_dim", |c| indexed(c.input()?.max_dim(c.int("dim")?, c.flag("keepdim")?)?)),
        ("prod", |c| reduce(c, |x| Ok(x.prod()), |x, dims, keepdim| x.prod_dim(dims, keepdim))),
        ("logsumexp", |c| one(c.input()?.logsumexp(&c.dims("dim")?, c.flag("keepdim")?)?)),
        ("vector_norm", |c| {
            one(c.input()?.vector_norm(c.number_or("ord", 2.0)?, &c.dims("dim")?, c.flag("keepdim")?)?)
        }),
        ("argmax", |c| integers(c.input()?.argmax(c.int("dim")?, c.flag("keepdim")?)?)),
        ("argmin", |c| integers(c.input()?.argmin(c.int("dim")?, c.flag("keepdim")?)?)),
        ("cumsum", |c| one(c.input()?.cumsum(c.int("dim")?)?)),
        ("cumprod", |c| one(c.input()?.cumprod(c.int("dim")?)?)),
        ("softmax", |c| one(c.input()?.softmax(c.int("dim")?)?)),
        ("log_softmax", |c| one(c.input()?.log_softmax(c.int("dim")?)?)),
        ("sort", |c| indexed(c.input()?.sort(c.int_or("dim", -1)?, c.flag("descending")?)?)),
        ("topk", |c| {
            indexed(c.input()?.topk(c.size("k")?, c.int_or("dim", -1)?, c.flag_or("largest", true)?)?)
        }),
        ("nansum", |c| reduce(c, |x| Ok(x.nansum()), |x, dims, keepdim| x.nansum_dim(dims, keepdim))),
        ("nanmean", |c| reduce(c, |x| Ok(x.nanmean()), |x, dims, keepdim| x.nanmean_dim(dims, keepdim))),
        ("logcumsumexp", |c| one(c.input()?.logcumsumexp(c.int("dim")?)?)),
        ("kthvalue", |c| indexed(c.input()?.kthvalue(c.size("k")?, c.int("dim")?, c.flag("keepdim")?)?)),
        ("normalize", |c| {
            one(c.input()?.normalize(c.number_or("p", 2.0)?, c.int("dim")?, c.number_or("eps", 1e-12)?)?)
        }),
        ("cdist", |c| one(c.input()?.cdist(c.float("other")?, c.number_or("p", 2.0)?)?)),
        ("mse_loss", |c| one(c.input()?.mse_loss(c.float("target")?)?)),
        ("huber_loss", |c| one(c.input()?.huber_loss(c.float("target")?, c.number_or("delta", 1.0)?)?)),
        ("binary_cross_entropy_with_logits", |c| {
            one(c.input()?.binary_cross_entropy_with_logits(c.float("target")?)?)
        }),
        ("cross_entropy", |c| one(c.input()?.cross_entropy(c.integers("target")?)?)),
        ("least_squares_loss", |c| one(least_squares_loss(c.float("mat")?, c.input()?, c.float("target")?)?)),
        ("min_dim", |c| indexed(c.input()?.min_dim(c.int("dim")?, c.flag("keepdim")?)?)),
        ("median", |c| one(c.input()?.median()?)),
        ("median_dim", |c| indexed(c.input()?.median_dim(c.int("dim")?, c.flag("keepdim")?)?)),
        ("quantile", |c| one(c.input()?.quantile(c.number("q")?, c.int("dim")?)?)),
        ("cummax", |c| indexed(c.input()?.cummax(c.int("dim")?)?)),
        ("cummin", |c| indexed(c.input()?.cummin(c.int("dim")?)?)),
        ("argsort", |c| integers(c.input()?.argsort(c.int_or("dim", -1)?, c.flag("descending")?)?)),
        ("searchsorted", |c| {
            integers(c.float("sorted_sequence")?.searchsorted(c.input()?, c.flag("right")?)?)
        }),
        ("any", |c| mask(c.mask("input")?.any_dim(&c.dims("dim")?, c.flag("keepdim")?)?)),
        ("all", |c| mask(c.mask("input")?.all_dim(&c.dims("dim")?, c.flag("keepdim")?)?)),
        ("count_nonzero", |c| integers(c.input()?.count_nonzero_dim(&c.dims("dim")?, c.flag("keepdim")?)?)),
    ]
}

type Over<T> = fn(&Tensor<T>, &[isize], bool) -> Result<Tensor<T>>;

/// A reduction of the whole tensor, or over the dimensions of the argument `dim`.
fn reduce<T: Float>(
    c: &Call<T>,
    whole: fn(&Tensor<T>) -> Result<Tensor<T>>,
    over: Over<T>,
) -> Result<Vec<Value<T>>> {
    let (x, dims, keepdim) = (c.input()?, c.dims("dim")?, c.flag("keepdim")?);
    one(if dims.is_empty() && !keepdim { whole(x)? } else { over(x, &dims, keepdim)? })
}
