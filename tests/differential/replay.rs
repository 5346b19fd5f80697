//! Replays random programs that generate.py made and computed with PyTorch: the value of every step, the loss, its
//! gradient, and the derivative of the gradient along a direction.
//!
//! `DIFFERENTIAL_CASES` names another file of programs than the committed one, or a folder of such files.

use crate::conformance_ops::{
    Call, DEVICE, Layout, Run, Value, attempt, malformed, number, operations, tensor,
};
use crate::{case_files, say};
use serde_json::Value as Json;
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use tapegrad::prelude::*;

#[test]
fn differential() {
    let chosen = std::env::var_os("DIFFERENTIAL_CASES").map(PathBuf::from);
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/differential/programs.json");
    let place = chosen.as_ref().unwrap_or(&committed);
    let files = if place.is_dir() { case_files(place) } else { vec![place.clone()] };

    let (in_f64, in_f32) = (operations::<f64>(), operations::<f32>());
    let (mut programs, mut steps, mut singles) = (0, 0, 0);
    let (mut seen, mut complaints) = (BTreeSet::new(), Vec::new());
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        let json: Json = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        let list = json["programs"].as_array();
        for json in list.unwrap_or_else(|| panic!("{}: no programs", file.display())) {
            programs += 1;
            let names = json["steps"].as_array().into_iter().flatten().filter_map(|step| step[0].as_str());
            names.for_each(|name| {
                steps += 1;
                seen.insert(name.to_string());
            });
            let single = json["dtype"] == "f32";
            singles += usize::from(single);
            let fault = if single { Program::fault(json, &in_f32) } else { Program::fault(json, &in_f64) };
            if let Some(fault) = fault {
                say(&fault);
                complaints.push(fault);
            }
        }
    }
    let summary = format!(
        "differential on {}: {programs} programs, {singles} of them of f32, {} operations in {steps} steps, {} failed",
        *DEVICE,
        seen.len(),
        complaints.len(),
    );
    say(&summary);
    assert!(programs > 0, "no programs in {}", place.display());
    assert!(complaints.is_empty(), "{}\n{summary}", complaints.join("\n"));
    let missing: Vec<_> = in_f64.keys().filter(|name| !seen.contains(**name)).collect();
    // A new operation is given to the generator too.
    assert!(chosen.is_some() || missing.is_empty(), "no committed program has a step of {missing:?}");
}

/// One program, whose values are numbered: the inputs first, then the outputs of each step in turn.
struct Program<'a, T: Float> {
    json: &'a Json,
    operations: &'a BTreeMap<&'static str, Run<T>>,
    /// What is under way, for the message of an error.
    at: Cell<&'a Json>,
}

/// What is compared, the largest error and what it is an error of.
struct Fault {
    what: String,
    error: f64,
}

impl<'a, T: Float> Program<'a, T> {
    /// What goes wrong, with the program's text; None where nothing does.
    fn fault(json: &'a Json, operations: &'a BTreeMap<&'static str, Run<T>>) -> Option<String> {
        let program = Program { json, operations, at: Cell::new(&Json::Null) };
        let passes: [fn(&Self) -> Result<Option<Fault>>; 2] = [Self::forward, Self::derivatives];
        let fault = passes.into_iter().find_map(|pass| match attempt(|| pass(&program)) {
            Ok(fault) => fault,
            Err(text) => {
                Some(Fault { what: format!("{text}, in {}", program.at.get()), error: f64::INFINITY })
            }
        })?;
        let name = json["name"].as_str().unwrap_or("a program without a name");
        Some(format!("  {name} fails: {}, error {:.3e}\n{}", fault.what, fault.error, program.text()))
    }

    /// The values without gradients.
    fn forward(&self) -> Result<Option<Fault>> {
        self.wrong_value(&self.values(false)?)
    }

    /// The values of tracked inputs, the gradient of the loss, and its derivative along the directions.
    fn derivatives(&self) -> Result<Option<Fault>> {
        let values = self.values(true)?;
        if let Some(fault) = self.wrong_value(&values)? {
            return Ok(Some(fault));
        }
        let leaves: Vec<(usize, &Tensor<T>)> = values[..self.list("inputs")?.len()]
            .iter()
            .enumerate()
            .filter_map(|(n, value)| Some((n, value.float().ok()?)))
            .collect();
        let wrt: Vec<&Tensor<T>> = leaves.iter().map(|(_, x)| *x).collect();

        self.at.set(&self.json["gradients"]);
        let loss = self.loss(&values)?;
        let create = GradOptions { create_graph: true, ..Default::default() };
        let gradients = grad_with(&loss, &wrt, create)?;
        for ((n, leaf), (got, want)) in leaves.iter().zip(gradients.iter().zip(self.list("gradients")?)) {
            if let Some(error) = self.wrong(got, leaf, want, 1)? {
                let what = format!("the gradient of x{n} ({})", self.first_wrong_cotangent(&values)?);
                return Ok(Some(Fault { what, error }));
            }
        }

        self.at.set(&self.json["second"]);
        let directions = self.list("directions")?.iter().filter(|direction| !direction.is_null());
        let mut along: Option<Tensor<T>> = None;
        for (g, direction) in gradients.into_iter().zip(directions) {
            if let Some(g) = g {
                let part = g.try_mul(&like(direction, &g)?)?.sum();
                along = Some(along.map_or(part.clone(), |sum| sum + &part));
            }
        }
        let second = match along.filter(Tensor::is_tracked) {
            Some(along) => grad(&along, &wrt)?,
            None => vec![None; wrt.len()],
        };
        for ((n, leaf), (got, want)) in leaves.iter().zip(second.iter().zip(self.list("second")?)) {
            if let Some(error) = self.wrong(got, leaf, want, 2)? {
                return Ok(Some(Fault { what: format!("the second derivative of x{n}"), error }));
            }
        }
        Ok(None)
    }

    /// Every value; where `tracked`, the inputs of floats are leaves.
    fn values(&self, tracked: bool) -> Result<Vec<Value<T>>> {
        let mut values = Vec::new();
        for input in self.list("inputs")? {
            let layout = match input["layout"].as_str() {
                Some("t") => Layout::Transposed,
                Some("s") => Layout::Strided,
                _ => Layout::AsGiven,
            };
            values.push(match tensor(input, layout)? {
                Value::Float(x) if tracked => Value::Float(x.requires_grad()),
                value => value,
            });
        }
        for step in self.list("steps")? {
            self.at.set(step);
            let run = step[0].as_str().and_then(|name| self.operations.get(name));
            let (Some(run), Some(operands)) = (run, step[1].as_object()) else {
                return Err(malformed("a step of no operation"));
            };
            let mut inputs = BTreeMap::new();
            for (name, k) in operands {
                let value = k.as_u64().and_then(|k| values.get(k as usize));
                inputs.insert(
                    name.clone(),
                    value.ok_or_else(|| malformed("an operand that is no value"))?.clone(),
                );
            }
            values.extend(run(&Call { inputs: &inputs, args: &step[2] })?);
        }
        Ok(values)
    }

    /// The first step whose outputs are wrong, and the loss.
    fn wrong_value(&self, values: &[Value<T>]) -> Result<Option<Fault>> {
        let mut made = values.iter().skip(self.list("inputs")?.len());
        let mut k = 0;
        for (step, sums) in self.list("steps")?.iter().zip(self.list("sums")?) {
            self.at.set(step);
            let sums = sums.as_array().ok_or_else(|| malformed("no list of sums"))?;
            for (n, want) in sums.iter().enumerate() {
                let value = made.next().ok_or_else(|| malformed("fewer outputs than there are sums"))?;
                let error = (checksum(&value.numbers()) - read(want)?).abs();
                if !within(error, self.tolerance(0)?) {
                    let what = format!("output {n} of step {k}, {}", step[0]);
                    return Ok(Some(Fault { what, error }));
                }
            }
            k += 1;
        }
        if made.next().is_some() {
            return Err(malformed("more outputs than there are sums"));
        }
        let error = (self.loss(values)?.item()?.to_f64() - read(&self.json["value"])?).abs();
        Ok((!within(error, self.tolerance(0)?)).then(|| Fault { what: "the loss".into(), error }))
    }

    fn loss(&self, values: &[Value<T>]) -> Result<Tensor<T>> {
        let mut loss = Tensor::full_on(&DEVICE, [], T::ZERO)?;
        for part in self.list("loss")? {
            let value = part[0].as_u64().and_then(|n| values.get(n as usize));
            let value = value.ok_or_else(|| malformed("a loss of no value"))?.float()?;
            loss += value.try_mul(&like(&part[1], value)?)?.sum();
        }
        Ok(loss)
    }

    /// The last value whose cotangent is wrong, and so the steps whose rule is: those that take it.
    fn first_wrong_cotangent(&self, values: &[Value<T>]) -> Result<String> {
        for (n, want) in self.list("cotangents")?.iter().enumerate().rev() {
            let Ok(x) = values[n].float() else { continue };
            let create = GradOptions { create_graph: true, ..Default::default() };
            let got = grad_with(&self.loss(values)?, &[x], create)?.remove(0);
            let got = got.map_or(0.0, |g| checksum(&Value::Float(g).numbers()));
            if !want.is_null() && !within((got - read(want)?).abs(), self.tolerance(1)?) {
                let takes = |step: &&Json| {
                    step[1]
                        .as_object()
                        .is_some_and(|operands| operands.values().any(|k| k.as_u64() == Some(n as u64)))
                };
                let steps: Vec<_> = self.list("steps")?.iter().filter(takes).map(|step| &step[0]).collect();
                return Ok(format!("first wrong at x{n}, which {steps:?} take"));
            }
        }
        Ok("with right cotangents on the way".into())
    }

    /// The largest error of a gradient that the tolerance does not cover; None counts as zeros.
    fn wrong(&self, got: &Option<Tensor<T>>, leaf: &Tensor<T>, want: &Json, k: usize) -> Result<Option<f64>> {
        let want = want.as_array().ok_or_else(|| malformed("no list of a gradient"))?;
        let got = match got {
            Some(g) if g.shape() == leaf.shape() => Value::Float(g.clone()).numbers(),
            Some(_) => return Ok(Some(f64::INFINITY)),
            None => vec![0.0; leaf.numel()],
        };
        let mut worst = if got.len() == want.len() { 0.0 } else { f64::INFINITY };
        for (got, want) in got.into_iter().zip(want) {
            let error = (got - read(want)?).abs();
            worst = if error.is_nan() { f64::INFINITY } else { error.max(worst) };
        }
        Ok((!within(worst, self.tolerance(k)?)).then_some(worst))
    }

    /// Absolute, of the values, the gradient or the second derivative.
    fn tolerance(&self, k: usize) -> Result<f64> {
        read(&self.json["tolerances"][k])
    }

    fn list(&self, name: &str) -> Result<&'a Vec<Json>> {
        self.json[name].as_array().ok_or_else(|| malformed(format!("no list {name}")))
    }

    /// The program as one would write it down.
    fn text(&self) -> String {
        let mut text = String::new();
        let empty = Vec::new();
        let list = |name: &str| self.json[name].as_array().unwrap_or(&empty);
        let mut n = 0;
        for x in list("inputs") {
            let layout = x["layout"].as_str().unwrap_or("c");
            let _ = writeln!(text, "    x{n} = {} {} {layout} {}", x["dtype"], x["shape"], x["data"]);
            n += 1;
        }
        for (step, sums) in list("steps").iter().zip(list("sums")) {
            let outputs: Vec<String> =
                (n..n + sums.as_array().map_or(0, Vec::len)).map(|n| format!("x{n}")).collect();
            n += outputs.len();
            let operands = step[1].as_object().into_iter().flatten().map(|(name, k)| format!("{name}=x{k}"));
            let args = step[2].as_object().into_iter().flatten().map(|(name, a)| format!("{name}={a}"));
            let all: Vec<String> = operands.chain(args).collect();
            let name = step[0].as_str().unwrap_or("?");
            let _ = writeln!(text, "    {} = {name}({})", outputs.join(", "), all.join(", "));
        }
        for part in list("loss") {
            let _ = writeln!(text, "    loss += sum(x{} * {})", part[0], part[1]);
        }
        let _ = write!(text, "    directions {}", self.json["directions"]);
        text
    }
}

/// All elements in one number: the sum of cos(k + 1) x_k in row-major order.
fn checksum(x: &[f64]) -> f64 {
    x.iter().enumerate().map(|(k, x)| (k as f64 + 1.0).cos() * x).sum()
}

/// NaN is never within.
fn within(error: f64, tolerance: f64) -> bool {
    error <= tolerance
}

fn read(x: &Json) -> Result<f64> {
    number(x).ok_or_else(|| malformed(format!("no number: {x}")))
}

/// A tensor of numbers of a list, in the shape of another.
fn like<T: Float>(list: &Json, x: &Tensor<T>) -> Result<Tensor<T>> {
    let list = list.as_array().ok_or_else(|| malformed("no list of weights"))?;
    let data: Vec<T> = list.iter().map(|w| read(w).map(T::of)).collect::<Result<_>>()?;
    Tensor::from_vec(data, x.shape())?.to_device(&DEVICE)
}
