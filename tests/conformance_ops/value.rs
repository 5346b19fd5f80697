//! Tensors of any of the case files' types: read, laid out, compared.

use serde_json::Value as Json;
use std::fmt;
use std::sync::LazyLock;
use tapegrad::prelude::*;

/// The device that `CONFORMANCE_DEVICE` names (cpu where it is not set), on which every case runs.
pub static DEVICE: LazyLock<Device> = LazyLock::new(|| {
    let name = std::env::var("CONFORMANCE_DEVICE").unwrap_or("cpu".to_string());
    name.parse().unwrap_or_else(|e| panic!("CONFORMANCE_DEVICE: {e}"))
});

/// A tensor of one of the types that cases have.
#[derive(Clone)]
pub enum Value<T: Float = f64> {
    /// The floats of the case, f64 where nothing else is said
    Float(Tensor<T>),
    /// i64
    Int(Tensor<i64>),
    /// bool
    Bool(Tensor<bool>),
}

impl<T: Float> Value<T> {
    /// The tensor, where it is one of floats.
    pub fn float(&self) -> Result<&Tensor<T>> {
        match self {
            Value::Float(x) => Ok(x),
            _ => Err(malformed("integers or truth values where floats belong")),
        }
    }

    fn kind(&self) -> (DType, &[usize]) {
        match self {
            Value::Float(x) => (x.dtype(), x.shape()),
            Value::Int(x) => (x.dtype(), x.shape()),
            Value::Bool(x) => (x.dtype(), x.shape()),
        }
    }

    /// The elements in row-major order; truth is 1.
    pub fn numbers(&self) -> Vec<f64> {
        match self {
            Value::Float(x) => x.to_vec().into_iter().map(T::to_f64).collect(),
            Value::Int(x) => x.to_vec().into_iter().map(|i| i as f64).collect(),
            Value::Bool(x) => x.to_vec().into_iter().map(f64::from).collect(),
        }
    }
}

/// How the elements of an input lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Row-major.
    AsGiven,
    /// Column-major; strided where there are not two dimensions to exchange.
    Transposed,
    /// Every second place of a buffer; the places between hold what no result may depend on.
    Strided,
}

/// Where a case file is not what it should be; never the kind of error a case expects.
pub fn malformed(message: impl Into<String>) -> Error {
    Error::argument("conformance", message)
}

/// A JSON number, or "nan", "inf", "-inf".
pub fn number(x: &Json) -> Option<f64> {
    match x.as_str() {
        Some("nan") => Some(f64::NAN),
        Some("inf") => Some(f64::INFINITY),
        Some("-inf") => Some(f64::NEG_INFINITY),
        Some(_) => None,
        None => x.as_f64(),
    }
}

/// Reads a tensor of a case file; floats become the type that is asked for.
pub fn tensor<T: Float>(t: &Json, layout: Layout) -> Result<Value<T>> {
    let dim = |d: &Json| d.as_u64().map(|d| d as usize);
    let shape: Option<Vec<usize>> = t["shape"].as_array().and_then(|s| s.iter().map(dim).collect());
    let (Some(shape), Some(data)) = (shape, t["data"].as_array()) else {
        return Err(malformed("a tensor without shape or data"));
    };
    match t["dtype"].as_str() {
        Some("f32" | "f64") => {
            let read = |x: &Json| number(x).map(T::of);
            Ok(Value::Float(lay_out(data, read, |_| T::NAN, shape, layout)?))
        }
        Some("i64") => Ok(Value::Int(lay_out(data, Json::as_i64, |_| i64::MAX, shape, layout)?)),
        Some("bool") => Ok(Value::Bool(lay_out(data, Json::as_bool, |x| !x, shape, layout)?)),
        _ => Err(malformed(format!("no such dtype: {}", t["dtype"]))),
    }
}

fn lay_out<T: Element>(
    data: &[Json],
    read: fn(&Json) -> Option<T>,
    between: fn(T) -> T,
    mut shape: Vec<usize>,
    layout: Layout,
) -> Result<Tensor<T>> {
    let data: Option<Vec<T>> = data.iter().map(read).collect();
    let data = data.ok_or_else(|| malformed("elements of another type than dtype says"))?;
    let x = match layout {
        Layout::AsGiven => return Tensor::from_vec(data, shape)?.to_device(&DEVICE),
        Layout::Transposed if shape.iter().filter(|&&n| n > 1).count() > 1 => {
            let reversed: Vec<isize> = (0..shape.len() as isize).rev().collect();
            Tensor::from_vec(data, shape)?
                .to_device(&DEVICE)?
                .permute(&reversed)?
                .contiguous()
                .permute(&reversed)?
        }
        Layout::Transposed | Layout::Strided => {
            shape.push(2);
            let pairs = data.into_iter().flat_map(|x| [between(x), x]).collect();
            Tensor::from_vec(pairs, shape)?.to_device(&DEVICE)?.select(-1, 1)?
        }
    };
    if x.numel() > 1 && x.is_contiguous() {
        return Err(malformed("the copy of an input that was to be non-contiguous is contiguous"));
    }
    Ok(x)
}

/// What differs, and by how much at most.
pub struct Difference {
    /// The output, gradient or step.
    pub what: String,
    /// The largest error; infinite where there is no number for it.
    pub error: f64,
    /// Where and how, or the message of the failure.
    pub detail: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.detail)
    }
}

/// The tolerances of a case.
#[derive(Clone, Copy)]
pub struct Tolerance {
    /// Relative to the expected number.
    pub rtol: f64,
    /// Absolute.
    pub atol: f64,
}

impl Tolerance {
    /// |a - b| <= atol + rtol |b|; NaN equals NaN, infinities compare by sign.
    fn covers(self, a: f64, b: f64) -> bool {
        if a.is_nan() || b.is_nan() {
            a.is_nan() && b.is_nan()
        } else if a.is_infinite() || b.is_infinite() {
            a == b
        } else {
            (a - b).abs() <= self.atol + self.rtol * b.abs()
        }
    }
}

/// The largest of the errors that the tolerances do not cover; None where they cover all.
pub fn compare<T: Float>(
    what: String,
    got: &Value<T>,
    want: &Value<T>,
    tolerance: Tolerance,
) -> Option<Difference> {
    if got.kind() != want.kind() {
        let ((a, s), (b, t)) = (got.kind(), want.kind());
        let detail = format!("{a:?} of shape {s:?} instead of {b:?} of shape {t:?}");
        return Some(Difference { what, error: f64::INFINITY, detail });
    }
    let (got, want) = (got.numbers(), want.numbers());
    let size = |&i: &usize| {
        let error = (got[i] - want[i]).abs();
        if error.is_nan() { f64::INFINITY } else { error }
    };
    let wrong: Vec<usize> = (0..want.len()).filter(|&i| !tolerance.covers(got[i], want[i])).collect();
    let &worst = wrong.iter().max_by(|i, j| size(i).total_cmp(&size(j)))?;
    let error = size(&worst);
    let count = format!("{} of {} elements", wrong.len(), want.len());
    let detail = format!(
        "off by {error:.3e} at element {worst}, {:e} instead of {:e}; {count}",
        got[worst], want[worst]
    );
    Some(Difference { what, error, detail })
}
