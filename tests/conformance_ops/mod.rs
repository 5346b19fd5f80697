//! The operations by name: how each is called with PyTorch's names for its inputs and arguments.

mod attempt;
mod call;
mod counting;
mod elementwise;
mod factorisations;
mod losses;
mod products;
mod reductions;
mod shapes;
mod sparse;
mod value;

pub use attempt::attempt;
pub use call::Call;
pub use value::{DEVICE, Difference, Layout, Tolerance, Value, compare, malformed, number, tensor};

use std::collections::BTreeMap;
use tapegrad::prelude::*;

/// One operation: from the inputs and arguments to the outputs.
pub type Run<T> = fn(&Call<T>) -> Result<Vec<Value<T>>>;

/// An operation's name and call.
pub type Operation<T> = (&'static str, Run<T>);

/// All of them.
pub fn operations<T: Float>() -> BTreeMap<&'static str, Run<T>> {
    let tables = [
        elementwise::operations(),
        reductions::operations(),
        shapes::operations(),
        products::operations(),
        sparse::operations(),
        factorisations::operations(),
        counting::operations(),
        losses::operations(),
    ];
    tables.into_iter().flatten().copied().collect()
}

fn one<T: Float>(output: Tensor<T>) -> Result<Vec<Value<T>>> {
    Ok(vec![Value::Float(output)])
}

fn two<T: Float>((a, b): (Tensor<T>, Tensor<T>)) -> Result<Vec<Value<T>>> {
    Ok(vec![Value::Float(a), Value::Float(b)])
}

fn three<T: Float>((a, b, c): (Tensor<T>, Tensor<T>, Tensor<T>)) -> Result<Vec<Value<T>>> {
    Ok(vec![Value::Float(a), Value::Float(b), Value::Float(c)])
}

fn many<T: Float>(outputs: Vec<Tensor<T>>) -> Result<Vec<Value<T>>> {
    Ok(outputs.into_iter().map(Value::Float).collect())
}

fn indexed<T: Float>((x, index): (Tensor<T>, Tensor<i64>)) -> Result<Vec<Value<T>>> {
    Ok(vec![Value::Float(x), Value::Int(index)])
}

fn integers<T: Float>(output: Tensor<i64>) -> Result<Vec<Value<T>>> {
    Ok(vec![Value::Int(output)])
}

fn mask<T: Float>(output: Tensor<bool>) -> Result<Vec<Value<T>>> {
    Ok(vec![Value::Bool(output)])
}
