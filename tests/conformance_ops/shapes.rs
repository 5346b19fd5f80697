//! Shapes, parts, and tensors made of others.

use super::value::malformed;
use super::{Call, DEVICE, Operation, Value, integers, many, one};
use ndarray::SliceInfoElem;
use tapegrad::prelude::*;
use tapegrad::{Reduce, arange_on};

/// The operations of this file.
pub fn operations<T: Float>() -> &'static [Operation<T>] {
    &[
        ("flip", |c| one(c.input()?.flip(&c.dims("dims")?)?)),
        ("roll", |c| one(c.input()?.roll(c.dims("shifts")?, c.dims("dims")?)?)),
        ("repeat", |c| one(c.input()?.repeat(c.sizes("repeats")?)?)),
        ("pad", |c| one(c.input()?.pad(&c.dims("pad")?, T::of(c.number_or("value", 0.0)?))?)),
        ("diagonal", |c| {
            one(c.input()?.diagonal(c.int_or("offset", 0)?, c.int_or("dim1", 0)?, c.int_or("dim2", 1)?)?)
        }),
        ("diag_embed", |c| one(c.input()?.diag_embed(c.int_or("offset", 0)?)?)),
        ("tril", |c| one(c.input()?.tril(c.int_or("diagonal", 0)?)?)),
        ("triu", |c| one(c.input()?.triu(c.int_or("diagonal", 0)?)?)),
        ("reshape", |c| one(c.input()?.reshape(c.dims("shape")?)?)),
        ("permute", |c| one(c.input()?.permute(&c.dims("dims")?)?)),
        ("transpose", |c| one(c.input()?.transpose(c.int("dim0")?, c.int("dim1")?)?)),
        ("t", |c| one(c.input()?.t()?)),
        ("squeeze", squeeze),
        ("unsqueeze", |c| one(c.input()?.unsqueeze(c.int("dim")?)?)),
        ("expand", |c| one(c.input()?.expand(c.dims("shape")?)?)),
        ("cat", |c| one(Tensor::cat(&c.floats()?, c.int_or("dim", 0)?)?)),
        ("stack", |c| one(Tensor::stack(&c.floats()?, c.int_or("dim", 0)?)?)),
        // Parts.
        ("narrow", |c| one(c.input()?.narrow(c.int("dim")?, c.int("start")?, c.size("length")?)?)),
        ("select", |c| one(c.input()?.select(c.int("dim")?, c.int("index")?)?)),
        ("slice", slice),
        ("index_select", |c| one(c.input()?.index_select(c.int("dim")?, c.integers("index")?)?)),
        ("gather", |c| one(c.input()?.gather(c.int("dim")?, c.integers("index")?)?)),
        ("scatter_add", |c| {
            one(c.input()?.scatter_add(c.int("dim")?, c.integers("index")?, c.float("src")?)?)
        }),
        ("scatter_reduce", |c| {
            let reduce = match &c.text("reduce")?[..] {
                "sum" => Reduce::Sum,
                "prod" => Reduce::Prod,
                "mean" => Reduce::Mean,
                "amax" => Reduce::Amax,
                "amin" => Reduce::Amin,
                other => return Err(malformed(format!("no reduction {other}"))),
            };
            let (index, source) = (c.integers("index")?, c.float("src")?);
            one(c.input()?.scatter_reduce(c.int("dim")?, index, source, reduce, c.flag("include_self")?)?)
        }),
        ("index_copy", |c| {
            one(c.input()?.index_copy(c.int("dim")?, c.integers("index")?, c.float("source")?)?)
        }),
        ("index_add", |c| {
            one(c.input()?.index_add(c.int("dim")?, c.integers("index")?, c.float("source")?)?)
        }),
        ("index_put", |c| {
            one(c.input()?.index_put(
                c.integers("index")?,
                c.float("values")?,
                c.flag_or("accumulate", true)?,
            )?)
        }),
        ("view", |c| one(c.input()?.view(c.dims("shape")?)?)),
        ("flatten", |c| one(c.input()?.flatten())),
        ("contiguous", |c| one(c.input()?.contiguous())),
        ("mt", |c| one(c.input()?.mt()?)),
        ("row", |c| one(c.input()?.row(c.int("index")?)?)),
        ("diag", |c| one(c.input()?.diag(c.int_or("diagonal", 0)?)?)),
        ("split", |c| many(c.input()?.split(c.size("split_size")?, c.int_or("dim", 0)?)?)),
        ("chunk", |c| many(c.input()?.chunk(c.size("chunks")?, c.int_or("dim", 0)?)?)),
        ("meshgrid", |c| many(Tensor::meshgrid(&c.floats()?)?)),
        ("nonzero", |c| integers(c.input()?.nonzero())),
        // From nothing but numbers.
        ("full", |c| one(Tensor::full_on(&DEVICE, c.sizes("size")?, T::of(c.number("fill_value")?))?)),
        ("eye", |c| one(Tensor::<T>::eye_on(&DEVICE, c.size("n")?)?)),
        ("arange", |c| {
            let [start, end, step] = [c.number("start")?, c.number("end")?, c.number("step")?].map(T::of);
            one(arange_on(&DEVICE, start, end, step)?)
        }),
        ("linspace", |c| {
            let (start, end) = (T::of(c.number("start")?), T::of(c.number("end")?));
            one(linspace(start, end, c.size("steps")?)?.to_device(&DEVICE)?)
        }),
    ]
}

fn squeeze<T: Float>(c: &Call<T>) -> Result<Vec<Value<T>>> {
    let dims = c.dims("dim")?;
    one(if dims.is_empty() { c.input()?.squeeze_all() } else { c.input()?.squeeze(&dims)? })
}

/// A range of one dimension. PyTorch cuts ends outside of the dimension off, which ndarray's
/// ranges, those of the library, do not allow.
fn slice<T: Float>(c: &Call<T>) -> Result<Vec<Value<T>>> {
    let (x, dim) = (c.input()?, c.int_or("dim", 0)?);
    let n = x.size(dim)? as isize;
    let start = c.int_or("start", 0)?.clamp(-n, n);
    let end = c.int_or("end", n)?.clamp(-n, n);
    let whole = SliceInfoElem::Slice { start: 0, end: None, step: 1 };
    let mut ranges = vec![whole; x.ndim()];
    let k = if dim < 0 { dim + x.ndim() as isize } else { dim };
    ranges[k as usize] = SliceInfoElem::Slice { start, end: Some(end), step: c.int_or("step", 1)? };
    one(x.slice(ranges)?)
}
