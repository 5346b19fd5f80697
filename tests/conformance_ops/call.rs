//! A case's inputs and arguments, by PyTorch's names.

use super::value::{Value, malformed, number};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use tapegrad::prelude::*;

/// What an operation is called with.
pub struct Call<'a, T: Float = f64> {
    /// The tensors.
    pub inputs: &'a BTreeMap<String, Value<T>>,
    /// Everything else: an object.
    pub args: &'a Json,
}

impl<T: Float> Call<'_, T> {
    /// The tensor that PyTorch calls `input`.
    pub fn input(&self) -> Result<&Tensor<T>> {
        self.float("input")
    }

    /// A tensor of floats.
    pub fn float(&self, name: &str) -> Result<&Tensor<T>> {
        match self.inputs.get(name) {
            Some(Value::Float(x)) => Ok(x),
            _ => Err(malformed(format!("no input {name} of floats"))),
        }
    }

    /// A tensor of floats, where it is given.
    pub fn maybe(&self, name: &str) -> Option<&Tensor<T>> {
        self.float(name).ok()
    }

    /// A tensor of truth values.
    pub fn mask(&self, name: &str) -> Result<&Tensor<bool>> {
        match self.inputs.get(name) {
            Some(Value::Bool(x)) => Ok(x),
            _ => Err(malformed(format!("no input {name} of truth values"))),
        }
    }

    /// A tensor of integers.
    pub fn integers(&self, name: &str) -> Result<&Tensor<i64>> {
        match self.inputs.get(name) {
            Some(Value::Int(x)) => Ok(x),
            _ => Err(malformed(format!("no input {name} of integers"))),
        }
    }

    /// All tensors, in the order of their names.
    pub fn floats(&self) -> Result<Vec<&Tensor<T>>> {
        self.inputs.keys().map(|name| self.float(name)).collect()
    }

    /// An argument; null is as good as none.
    fn arg(&self, name: &str) -> Option<&Json> {
        self.args.get(name).filter(|arg| !arg.is_null())
    }

    /// An argument as `read` reads it, or the default where it is not given.
    fn read<A>(&self, name: &str, read: impl Fn(&Json) -> Option<A>, default: Option<A>) -> Result<A> {
        let wrong = || malformed(format!("no argument {name} of the right type in {}", self.args));
        self.arg(name).map_or(default, read).ok_or_else(wrong)
    }

    /// A number.
    pub fn number(&self, name: &str) -> Result<f64> {
        self.read(name, number, None)
    }

    /// A number, or the default where it is not given.
    pub fn number_or(&self, name: &str, default: f64) -> Result<f64> {
        self.read(name, number, Some(default))
    }

    /// Text.
    pub fn text(&self, name: &str) -> Result<String> {
        self.read(name, |arg| arg.as_str().map(str::to_string), None)
    }

    /// The factor of `input` in the products that add.
    pub fn beta(&self) -> Result<f64> {
        self.number_or("beta", 1.0)
    }

    /// The factor of the product in the products that add.
    pub fn alpha(&self) -> Result<f64> {
        self.number_or("alpha", 1.0)
    }

    /// What the number of elements is reduced by in a variance.
    pub fn correction(&self) -> Result<f64> {
        self.number_or("correction", 1.0)
    }

    /// An integer.
    pub fn int(&self, name: &str) -> Result<isize> {
        self.read(name, integer, None)
    }

    /// An integer, or the default where it is not given.
    pub fn int_or(&self, name: &str, default: isize) -> Result<isize> {
        self.read(name, integer, Some(default))
    }

    /// An integer that is not negative.
    pub fn size(&self, name: &str) -> Result<usize> {
        self.read(name, |arg| usize::try_from(integer(arg)?).ok(), None)
    }

    /// An integer that is not negative, or the default where it is not given.
    pub fn size_or(&self, name: &str, default: usize) -> Result<usize> {
        self.read(name, |arg| usize::try_from(integer(arg)?).ok(), Some(default))
    }

    /// Numbers: a list, or none where there is no such argument.
    pub fn numbers(&self, name: &str) -> Result<Vec<f64>> {
        self.read(name, |arg| arg.as_array()?.iter().map(number).collect(), Some(Vec::new()))
    }

    /// True or false; false where it is not given.
    pub fn flag(&self, name: &str) -> Result<bool> {
        self.flag_or(name, false)
    }

    /// True or false, or the default where it is not given.
    pub fn flag_or(&self, name: &str, default: bool) -> Result<bool> {
        self.read(name, Json::as_bool, Some(default))
    }

    /// Integers that are not negative: a list, or none where there is no such argument.
    pub fn sizes(&self, name: &str) -> Result<Vec<usize>> {
        let wrong = |_| malformed(format!("a negative size in {name}"));
        self.dims(name)?.into_iter().map(|d| usize::try_from(d).map_err(wrong)).collect()
    }

    /// Integers: a list, a single one, or none where there is no such argument.
    pub fn dims(&self, name: &str) -> Result<Vec<isize>> {
        let read = |arg: &Json| match arg.as_array() {
            Some(list) => list.iter().map(integer).collect(),
            None => Some(vec![integer(arg)?]),
        };
        self.read(name, read, Some(Vec::new()))
    }
}

fn integer(arg: &Json) -> Option<isize> {
    arg.as_i64().map(|i| i as isize)
}
