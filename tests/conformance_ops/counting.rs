//! Elements counted, found, and put together in windows; tables and integrals.

use super::{Call, DEVICE, Operation, Value, indexed, integers, mask, one, two};
use tapegrad::prelude::*;
use tapegrad::{HistogramOptions, geomspace, logspace};

/// The operations of this file.
pub fn operations<T: Float>() -> &'static [Operation<T>] {
    &[
        ("bincount", |c| integers(c.integers("input")?.bincount(c.size_or("minlength", 0)?)?)),
        ("bincount_weighted", |c| {
            let (x, weights) = (c.integers("input")?, c.float("weights")?);
            one(x.bincount_weighted(weights, c.size_or("minlength", 0)?)?)
        }),
        ("one_hot", |c| {
            let count = c.int_or("num_classes", -1)?;
            integers(c.integers("input")?.one_hot(usize::try_from(count).ok())?)
        }),
        ("histogram", |c| {
            let range = c.numbers("range")?;
            let options = HistogramOptions {
                bins: c.size_or("bins", 10)?,
                range: (!range.is_empty()).then(|| (T::of(range[0]), T::of(range[1]))),
                edges: c.maybe("edges"),
                weight: c.maybe("weight"),
                density: c.flag("density")?,
            };
            two(c.input()?.histogram_with(options)?)
        }),
        ("histc", |c| {
            one(c.input()?.histc(c.size("bins")?, T::of(c.number("min")?), T::of(c.number("max")?))?)
        }),
        ("bucketize", |c| integers(c.input()?.bucketize(c.float("boundaries")?, c.flag("right")?)?)),
        ("unique", |c| one(c.input()?.unique()?)),
        ("unique_inverse", |c| indexed(c.input()?.unique_inverse()?)),
        ("unique_counts", |c| indexed(c.input()?.unique_counts()?)),
        ("unique_consecutive", |c| indexed(c.input()?.unique_consecutive()?)),
        ("isin", |c| mask(c.input()?.isin(c.float("test")?)?)),
        // Shapes and places.
        ("scatter", |c| one(c.input()?.scatter(c.int("dim")?, c.integers("index")?, c.float("src")?)?)),
        ("scatter_value", |c| {
            one(c.input()?.scatter(c.int("dim")?, c.integers("index")?, T::of(c.number("value")?))?)
        }),
        ("repeat_interleave", repeat_interleave),
        ("unfold", |c| one(c.input()?.unfold(c.int("dimension")?, c.size("size")?, c.size("step")?)?)),
        ("movedim", |c| one(c.input()?.movedim(c.dims("source")?, c.dims("destination")?)?)),
        ("hstack", |c| one(Tensor::hstack(&c.floats()?)?)),
        ("vstack", |c| one(Tensor::vstack(&c.floats()?)?)),
        ("dstack", |c| one(Tensor::dstack(&c.floats()?)?)),
        ("column_stack", |c| one(Tensor::column_stack(&c.floats()?)?)),
        ("logspace", |c| {
            let [start, end] = [c.number("start")?, c.number("end")?].map(T::of);
            one(logspace(start, end, c.size("steps")?, c.number("base")?)?.to_device(&DEVICE)?)
        }),
        ("geomspace", |c| {
            let [start, end] = [c.number("start")?, c.number("end")?].map(T::of);
            one(geomspace(start, end, c.size("steps")?)?.to_device(&DEVICE)?)
        }),
        // Tables, and variables.
        ("diff", |c| one(c.input()?.diff(c.size_or("n", 1)?, c.int_or("dim", -1)?)?)),
        ("trapezoid", |c| one(c.input()?.trapezoid(places(c)?, c.int_or("dim", -1)?)?)),
        ("cumulative_trapezoid", |c| {
            one(c.input()?.cumulative_trapezoid(places(c)?, c.int_or("dim", -1)?)?)
        }),
        ("interp", |c| {
            let end = |name| c.number_or(name, f64::NAN).map(|x| (!x.is_nan()).then(|| T::of(x)));
            one(c.input()?.interp_with(c.float("xp")?, c.float("fp")?, end("left")?, end("right")?)?)
        }),
        ("cov", |c| {
            let options = linalg::CovOptions {
                correction: c.correction()?,
                fweights: c.integers("fweights").ok(),
                aweights: c.maybe("aweights"),
            };
            one(c.input()?.cov_with(options)?)
        }),
        ("corrcoef", |c| one(c.input()?.corrcoef()?)),
        ("conv1d", |c| {
            let options = linalg::Conv1dOptions {
                stride: c.size_or("stride", 1)?,
                padding: c.size_or("padding", 0)?,
                dilation: c.size_or("dilation", 1)?,
                groups: c.size_or("groups", 1)?,
            };
            one(c.input()?.conv1d(c.float("weight")?, c.maybe("bias"), options)?)
        }),
    ]
}

fn repeat_interleave<T: Float>(c: &Call<T>) -> Result<Vec<Value<T>>> {
    match c.integers("repeats") {
        Ok(repeats) => one(c.input()?.repeat_interleave(repeats, c.int("dim")?)?),
        Err(_) => one(c.input()?.repeat_interleave(c.int("repeats")? as i64, c.int("dim")?)?),
    }
}

/// Where values are: a tensor `x`, or their distance `dx`.
fn places<T: Float>(c: &Call<T>) -> Result<Tensor<T>> {
    match c.maybe("x") {
        Some(x) => Ok(x.clone()),
        None => Ok(Tensor::scalar(T::of(c.number("dx")?))),
    }
}
