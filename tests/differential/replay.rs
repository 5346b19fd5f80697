//! Replays random programs that generate.py made and computed with PyTorch: the value of every step, the loss, its
//! gradient, recorded and not, and the derivative of the gradient along a direction, alone and from the Hessian.
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
            complaints.extend(fault);
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
    at: Cell<&'a str>,
}

/// What is compared, the largest error and what it is an error of.
struct Fault {
    what: String,
    error: f64,
}

/// One way of looking for a fault.
type Pass<P> = fn(&P) -> Result<Option<Fault>>;

/// The leaves among the inputs, and every value.
type Tracked<T> = (Vec<Tensor<T>>, Vec<Value<T>>);

impl<'a, T: Float> Program<'a, T> {
    /// What goes wrong, with the program's text; None where nothing does.
    fn fault(json: &'a Json, operations: &'a BTreeMap<&'static str, Run<T>>) -> Option<String> {
        let program = Program { json, operations, at: Cell::new("the inputs") };
        let passes: [Pass<Self>; 4] = [Self::forward, Self::derivatives, Self::backward, Self::hessian];
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
        self.wrong_value(&self.values(self.inputs()?)?)
    }

    /// The values of tracked inputs, the gradient of the loss, recorded, and its derivative along the directions.
    fn derivatives(&self) -> Result<Option<Fault>> {
        let (leaves, values) = self.tracked()?;
        if let Some(fault) = self.wrong_value(&values)? {
            return Ok(Some(fault));
        }
        let wrt: Vec<&Tensor<T>> = leaves.iter().collect();
        self.at.set("the gradient");
        let create = GradOptions { create_graph: true, ..Default::default() };
        let gradients = grad_with(&self.loss(&values)?, &wrt, create)?;
        for (leaf, (got, want)) in leaves.iter().zip(gradients.iter().zip(self.list("gradients")?)) {
            if let Some(error) = self.wrong(&self.elements(got, leaf)?, want, self.tolerance(1)?)? {
                let what = format!("the gradient, {}", self.first_wrong_cotangent(&values)?);
                return Ok(Some(Fault { what, error }));
            }
        }

        self.at.set("the second derivative");
        let mut along: Option<Tensor<T>> = None;
        for (g, direction) in gradients.into_iter().zip(self.directions()?) {
            if let Some(g) = g {
                let part = g.try_mul(&like(direction, &g)?)?.sum();
                along = Some(along.map_or(part.clone(), |sum| sum + &part));
            }
        }
        let second = match along.filter(Tensor::is_tracked) {
            Some(along) => grad(&along, &wrt)?,
            None => vec![None; wrt.len()],
        };
        self.first_wrong("the second derivative", &leaves, &second, "second")
    }

    /// The gradient once more, not recorded, where rules may use up what they find.
    fn backward(&self) -> Result<Option<Fault>> {
        let (leaves, values) = self.tracked()?;
        self.at.set("backward");
        let loss = self.loss(&values)?;
        drop(values);
        // Floors and their like alone leave nothing to go back over.
        if loss.is_tracked() {
            loss.backward()?;
        }
        let gradients: Vec<_> = leaves.iter().map(Tensor::grad).collect();
        self.first_wrong("the gradient by backward", &leaves, &gradients, "gradients")
    }

    /// The Hessian, many cotangents at once, times the directions.
    fn hessian(&self) -> Result<Option<Fault>> {
        let inputs = self.inputs()?;
        let leaves: Vec<Tensor<T>> = inputs.iter().filter_map(|x| x.float().ok().cloned()).collect();
        let loss = |leaves: &Vec<Tensor<T>>| {
            let mut leaves = leaves.iter().cloned();
            let inputs = inputs.iter().map(|input| match input {
                Value::Float(x) => Value::Float(leaves.next().unwrap_or(x.clone())),
                other => other.clone(),
            });
            self.loss(&self.values(inputs.collect())?)
        };
        let blocks = hessian(loss, &leaves)?;
        self.at.set("the Hessian");
        for (j, (leaf, want)) in leaves.iter().zip(self.list("second")?).enumerate() {
            let mut product = vec![0.0; leaf.numel()];
            for (row, direction) in blocks.iter().zip(self.directions()?) {
                let block = Value::Float(row[j].clone()).numbers();
                let direction = direction.as_array().ok_or_else(|| malformed("no direction"))?;
                for (lines, u) in block.chunks_exact(product.len()).zip(direction) {
                    let u = read(u)?;
                    product.iter_mut().zip(lines).for_each(|(sum, h)| *sum += u * h);
                }
            }
            // Its elements may be larger than the product, which they are summed to.
            if let Some(error) = self.wrong(&product, want, 10.0 * self.tolerance(2)?)? {
                return Ok(Some(Fault { what: format!("the Hessian by floats {j}"), error }));
            }
        }
        Ok(None)
    }

    /// The inputs, laid out as the program says.
    fn inputs(&self) -> Result<Vec<Value<T>>> {
        let read = |input: &Json| {
            let layout = match input["layout"].as_str() {
                Some("t") => Layout::Transposed,
                Some("s") => Layout::Strided,
                _ => Layout::AsGiven,
            };
            tensor(input, layout)
        };
        self.list("inputs")?.iter().map(read).collect()
    }

    /// The inputs of floats as leaves, and every value.
    fn tracked(&self) -> Result<Tracked<T>> {
        let mut inputs = self.inputs()?;
        let mut leaves = Vec::new();
        for input in &mut inputs {
            if let Value::Float(x) = input {
                *x = x.clone().requires_grad();
                leaves.push(x.clone());
            }
        }
        Ok((leaves, self.values(inputs)?))
    }

    /// Every value: the inputs, and what the steps make of them.
    fn values(&self, inputs: Vec<Value<T>>) -> Result<Vec<Value<T>>> {
        let mut values = inputs;
        for step in self.list("steps")? {
            let name = step[0].as_str().unwrap_or("a step without a name");
            self.at.set(name);
            let (Some(run), Some(operands)) = (self.operations.get(name), step[1].as_object()) else {
                return Err(malformed("a step of no operation"));
            };
            let operand = |(name, k): (&String, &Json)| {
                let value = k.as_u64().and_then(|k| values.get(k as usize));
                Ok((name.clone(), value.ok_or_else(|| malformed("an operand that is no value"))?.clone()))
            };
            let inputs = operands.iter().map(operand).collect::<Result<_>>()?;
            values.extend(run(&Call { inputs: &inputs, args: &step[2] })?);
        }
        Ok(values)
    }

    /// The first step whose outputs are wrong, and the loss.
    fn wrong_value(&self, values: &[Value<T>]) -> Result<Option<Fault>> {
        let mut made = values.iter().skip(self.list("inputs")?.len());
        for (k, (step, sums)) in self.list("steps")?.iter().zip(self.list("sums")?).enumerate() {
            let sums = sums.as_array().ok_or_else(|| malformed("no list of sums"))?;
            for (n, want) in sums.iter().enumerate() {
                let value = made.next().ok_or_else(|| malformed("fewer outputs than there are sums"))?;
                let error = (checksum(&value.numbers()) - read(want)?).abs();
                if !within(error, self.tolerance(0)?) {
                    let what = format!("output {n} of step {k}, {}", step[0]);
                    return Ok(Some(Fault { what, error }));
                }
            }
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

    /// The last value whose cotangent is wrong, and so the steps whose rule is: those that take it. A view that
    /// changes nothing is its operand here, and may be named for it.
    fn first_wrong_cotangent(&self, values: &[Value<T>]) -> Result<String> {
        for (n, want) in self.list("cotangents")?.iter().enumerate().rev() {
            // A sign is a constant here.
            let Some(x) = values[n].float().ok().filter(|x| x.is_tracked()) else { continue };
            let create = GradOptions { create_graph: true, ..Default::default() };
            let got = grad_with(&self.loss(values)?, [x], create)?.remove(0);
            let got = got.map_or(0.0, |g| checksum(&Value::Float(g).numbers()));
            if !want.is_null() && !within((got - read(want)?).abs(), self.tolerance(1)?) {
                let takes = |step: &&Json| {
                    step[1]
                        .as_object()
                        .is_some_and(|operands| operands.values().any(|k| k.as_u64() == Some(n as u64)))
                };
                let steps: Vec<String> =
                    self.list("steps")?.iter().filter(takes).map(|step| step[0].to_string()).collect();
                return Ok(format!("first wrong at x{n}, an operand of {}", steps.join(", ")));
            }
        }
        Ok("with right cotangents on the way".into())
    }

    /// The first leaf of which a derivative is wrong.
    fn first_wrong(
        &self,
        what: &str,
        leaves: &[Tensor<T>],
        got: &[Option<Tensor<T>>],
        want: &str,
    ) -> Result<Option<Fault>> {
        let k = if want == "gradients" { 1 } else { 2 };
        for (j, (leaf, (got, want))) in leaves.iter().zip(got.iter().zip(self.list(want)?)).enumerate() {
            if let Some(error) = self.wrong(&self.elements(got, leaf)?, want, self.tolerance(k)?)? {
                return Ok(Some(Fault { what: format!("{what} by floats {j}"), error }));
            }
        }
        Ok(None)
    }

    /// The elements of a leaf's derivative; None counts as zeros.
    fn elements(&self, g: &Option<Tensor<T>>, leaf: &Tensor<T>) -> Result<Vec<f64>> {
        match g {
            Some(g) if g.shape() == leaf.shape() => Ok(Value::Float(g.clone()).numbers()),
            Some(g) => Err(Error::shape(
                "differential",
                format!("a derivative of shape {:?} by a leaf of {:?}", g.shape(), leaf.shape()),
            )),
            None => Ok(vec![0.0; leaf.numel()]),
        }
    }

    /// The directions by the inputs of floats.
    fn directions(&self) -> Result<impl Iterator<Item = &'a Json>> {
        Ok(self.list("directions")?.iter().filter(|direction| !direction.is_null()))
    }

    /// The largest error, where the tolerance does not cover it.
    fn wrong(&self, got: &[f64], want: &Json, tolerance: f64) -> Result<Option<f64>> {
        let want = want.as_array().ok_or_else(|| malformed("no list of a derivative"))?;
        let mut worst: f64 = if got.len() == want.len() { 0.0 } else { f64::INFINITY };
        for (got, want) in got.iter().zip(want) {
            let error = (got - read(want)?).abs();
            worst = if error.is_nan() { f64::INFINITY } else { error.max(worst) };
        }
        Ok((!within(worst, tolerance)).then_some(worst))
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
