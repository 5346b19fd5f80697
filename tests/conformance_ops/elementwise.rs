//! Functions of elements, comparisons and choices by masks.

use super::{Call, Operation, Value, malformed, mask, one};
use tapegrad::prelude::*;

/// The operations of this file.
pub fn operations<T: Float>() -> &'static [Operation<T>] {
    &[
        ("abs", |c| one(c.input()?.abs())),
        ("neg", |c| one(c.input()?.neg())),
        ("sign", |c| one(c.input()?.sign())),
        ("exp", |c| one(c.input()?.exp())),
        ("exp2", |c| one(c.input()?.exp2())),
        ("expm1", |c| one(c.input()?.expm1())),
        ("log", |c| one(c.input()?.log())),
        ("log2", |c| one(c.input()?.log2())),
        ("log10", |c| one(c.input()?.log10())),
        ("log1p", |c| one(c.input()?.log1p())),
        ("sqrt", |c| one(c.input()?.sqrt())),
        ("rsqrt", |c| one(c.input()?.rsqrt())),
        ("square", |c| one(c.input()?.square())),
        ("reciprocal", |c| one(c.input()?.reciprocal())),
        ("sin", |c| one(c.input()?.sin())),
        ("cos", |c| one(c.input()?.cos())),
        ("tan", |c| one(c.input()?.tan())),
        ("asin", |c| one(c.input()?.asin())),
        ("acos", |c| one(c.input()?.acos())),
        ("atan", |c| one(c.input()?.atan())),
        ("sinh", |c| one(c.input()?.sinh())),
        ("cosh", |c| one(c.input()?.cosh())),
        ("tanh", |c| one(c.input()?.tanh())),
        ("asinh", |c| one(c.input()?.asinh())),
        ("acosh", |c| one(c.input()?.acosh())),
        ("atanh", |c| one(c.input()?.atanh())),
        ("sigmoid", |c| one(c.input()?.sigmoid())),
        ("relu", |c| one(c.input()?.relu())),
        ("softplus", |c| one(c.input()?.softplus())),
        ("erf", |c| one(c.input()?.erf())),
        ("erfc", |c| one(c.input()?.erfc())),
        ("erfinv", |c| one(c.input()?.erfinv())),
        ("logit", |c| one(c.input()?.logit())),
        ("sinc", |c| one(c.input()?.sinc())),
        ("nan_to_num", |c| {
            let end = |name| c.number_or(name, f64::NAN).map(|x| (!x.is_nan()).then_some(x));
            one(c.input()?.nan_to_num(c.number("nan")?, end("posinf")?, end("neginf")?))
        }),
        ("lerp", |c| one(c.input()?.lerp(c.float("end")?, c.float("weight")?)?)),
        ("lgamma", |c| one(c.input()?.lgamma())),
        ("digamma", |c| one(c.input()?.digamma())),
        ("multigammaln", |c| one(c.input()?.multigammaln(c.size("p")? as u32))),
        ("floor", |c| one(c.input()?.floor())),
        ("ceil", |c| one(c.input()?.ceil())),
        ("trunc", |c| one(c.input()?.trunc())),
        ("round", |c| one(c.input()?.round())),
        ("pow_scalar", |c| one(c.input()?.powf(c.number("exponent")?))),
        ("clamp", |c| {
            one(c.input()?.clamp(c.number_or("min", f64::NEG_INFINITY)?, c.number_or("max", f64::INFINITY)?))
        }),
        ("add", |c| one(c.input()?.try_add(c.float("other")?)?)),
        ("sub", |c| one(c.input()?.try_sub(c.float("other")?)?)),
        ("mul", |c| one(c.input()?.try_mul(c.float("other")?)?)),
        ("div", |c| one(c.input()?.try_div(c.float("other")?)?)),
        ("pow", |c| one(c.input()?.pow(c.float("other")?)?)),
        ("maximum", |c| one(c.input()?.maximum(c.float("other")?)?)),
        ("minimum", |c| one(c.input()?.minimum(c.float("other")?)?)),
        ("atan2", |c| one(c.input()?.atan2(c.float("other")?)?)),
        ("hypot", |c| one(c.input()?.hypot(c.float("other")?)?)),
        ("xlogy", |c| one(c.input()?.xlogy(c.float("other")?)?)),
        ("logaddexp", |c| one(c.input()?.logaddexp(c.float("other")?)?)),
        ("remainder", |c| one(c.input()?.remainder(c.float("other")?)?)),
        ("masked_fill", |c| one(c.input()?.masked_fill(c.mask("mask")?, T::of(c.number("value")?))?)),
        ("masked_select", |c| one(c.input()?.masked_select(c.mask("mask")?)?)),
        ("where", |c| one(c.mask("condition")?.where_cond(c.input()?, c.float("other")?)?)),
        ("log_sigmoid", |c| one(c.input()?.log_sigmoid())),
        ("leaky_relu", |c| one(c.input()?.leaky_relu(c.number_or("negative_slope", 0.01)?))),
        ("elu", |c| one(c.input()?.elu(c.number_or("alpha", 1.0)?))),
        ("silu", |c| one(c.input()?.silu())),
        ("gelu", |c| one(c.input()?.gelu())),
        ("polygamma", |c| one(c.input()?.polygamma(c.size("n")? as u32))),
        ("fmod", |c| one(c.input()?.fmod(c.float("other")?)?)),
        ("floor_divide", |c| one(c.input()?.floor_divide(c.float("other")?)?)),
        // A number beside the tensor.
        ("add_scalar", |c| one(c.input()? + scalar(c)?)),
        ("sub_scalar", |c| one(c.input()? - scalar(c)?)),
        ("mul_scalar", |c| one(c.input()? * scalar(c)?)),
        ("div_scalar", |c| one(c.input()? / scalar(c)?)),
        ("rsub_scalar", |c| one(Tensor::scalar(scalar(c)?).try_sub(c.input()?)?)),
        ("rdiv_scalar", |c| one(Tensor::scalar(scalar(c)?).try_div(c.input()?)?)),
        // A tensor that is written.
        ("add_assign", |c| assigned(c, |x, y| *x += y)),
        ("sub_assign", |c| assigned(c, |x, y| *x -= y)),
        ("mul_assign", |c| assigned(c, |x, y| *x *= y)),
        ("div_assign", |c| assigned(c, |x, y| *x /= y)),
        // What has no slope.
        ("eq", |c| mask(c.input()?.eq(c.float("other")?)?)),
        ("ne", |c| mask(c.input()?.ne(c.float("other")?)?)),
        ("lt", |c| mask(c.input()?.lt(c.float("other")?)?)),
        ("le", |c| mask(c.input()?.le(c.float("other")?)?)),
        ("gt", |c| mask(c.input()?.gt(c.float("other")?)?)),
        ("ge", |c| mask(c.input()?.ge(c.float("other")?)?)),
        ("isclose", |c| mask(c.input()?.isclose(c.float("other")?, c.number("rtol")?, c.number("atol")?)?)),
        ("isnan", |c| mask(c.input()?.isnan())),
        ("isinf", |c| mask(c.input()?.isinf())),
        ("isfinite", |c| mask(c.input()?.isfinite())),
        ("logical_not", |c| mask(c.mask("input")?.logical_not())),
        ("logical_and", |c| mask(c.mask("input")?.logical_and(c.mask("other")?)?)),
        ("logical_or", |c| mask(c.mask("input")?.logical_or(c.mask("other")?)?)),
        ("logical_xor", |c| mask(c.mask("input")?.logical_xor(c.mask("other")?)?)),
        ("full_like", |c| one(c.input()?.full_like(T::of(c.number("value")?)))),
        // Between types.
        ("to_float", to_float),
        ("cast", |c| one(c.input()?.cast::<f64>().cast::<T>())),
    ]
}

fn scalar<T: Float>(c: &Call<T>) -> Result<T> {
    Ok(T::of(c.number("scalar")?))
}

fn assigned<T: Float>(c: &Call<T>, assign: fn(&mut Tensor<T>, &Tensor<T>)) -> Result<Vec<Value<T>>> {
    let mut x = c.input()?.clone();
    assign(&mut x, c.float("other")?);
    one(x)
}

/// Integers and truth values as floats.
fn to_float<T: Float>(c: &Call<T>) -> Result<Vec<Value<T>>> {
    match c.inputs.get("input") {
        Some(Value::Float(x)) => one(x.to_type::<T>()),
        Some(Value::Int(x)) => one(x.to_type::<T>()),
        Some(Value::Bool(x)) => one(x.to_type::<T>()),
        None => Err(malformed("no input")),
    }
}
