//! Replays the conformance cases, computed with PyTorch: values, gradients, second derivatives and
//! refusals of every operation, with inputs as given and again with inputs that are not contiguous. In the same
//! program, so that the kernels are compiled for it once: random programs, in differential/.
//!
//! `CONFORMANCE_DIR` names another folder of cases, `CONFORMANCE_DEVICE` another device than the CPU.

mod conformance_ops;
#[path = "differential/replay.rs"]
mod differential;

use conformance_ops::{
    Call, DEVICE, Difference, Layout, Run, Tolerance, Value, attempt, compare, malformed, operations, tensor,
};
use serde_json::{Map, Value as Json};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use tapegrad::prelude::*;

#[derive(Default)]
struct Tally {
    passed: usize,
    failed: usize,
    unsupported: usize,
    complaints: Vec<String>,
}

#[test]
fn conformance() {
    let folder = std::env::var_os("CONFORMANCE_DIR").map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance"));

    let mut tally = Tally::default();
    for file in case_files(&folder) {
        replay_file(&file, &mut tally);
    }

    let Tally { passed, failed, unsupported, complaints } = tally;
    let summary =
        format!("conformance on {}: {passed} passed, {failed} failed, {unsupported} unsupported", *DEVICE);
    say(&summary);
    assert!(passed + failed + unsupported > 0, "no cases in {}", folder.display());
    assert!(failed == 0 && unsupported == 0, "{}\n{summary}", complaints.join("\n"));
}

/// Writes a line past the test harness, which shows the output of a passing test to nobody.
fn say(line: &str) {
    // A closed pipe at the other end is no reason to fail.
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn case_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> = entries.filter(|p| p.extension().is_some_and(|e| e == "json")).collect();
    files.sort();
    files
}

fn replay_file(file: &Path, tally: &mut Tally) {
    let text = std::fs::read_to_string(file).map_err(|e| e.to_string());
    let json: Result<Json, String> = text.and_then(|t| serde_json::from_str(&t).map_err(|e| e.to_string()));
    let unreadable = |why: &str| format!("{}: {why}", file.display());
    let (name, cases) = match &json {
        Ok(json) => (json["op"].as_str(), json["cases"].as_array()),
        Err(_) => (None, None),
    };
    let (Some(name), Some(cases)) = (name, cases) else {
        tally.failed += 1;
        let line = unreadable(json.as_ref().err().map_or("no op or no cases", |e| e));
        say(&line);
        tally.complaints.push(line);
        return;
    };
    let Some(&run) = operations().get(name) else {
        tally.unsupported += cases.len();
        let line = format!("{name} 0/{} unsupported", cases.len());
        say(&line);
        tally.complaints.push(line);
        return;
    };
    let failures: Vec<String> = cases.iter().filter_map(|case| failure(run, case)).collect();
    let passed = cases.len() - failures.len();
    say(&format!("{name} {passed}/{}", cases.len()));
    failures.iter().for_each(|line| say(line));
    tally.passed += passed;
    tally.failed += failures.len();
    tally.complaints.extend(failures);
}

/// What goes wrong with a case in any of the layouts; None where nothing does.
fn failure(run: Run<f64>, case: &Json) -> Option<String> {
    let mut worst = 0.0f64;
    let mut lines = String::new();
    for layout in [Layout::AsGiven, Layout::Transposed, Layout::Strided] {
        for difference in (Replay { run, case, layout }).differences() {
            worst = worst.max(difference.error);
            lines.push_str(&format!("\n    {layout:?}, {difference}"));
        }
    }
    let name = case["name"].as_str().unwrap_or("a case without a name");
    (!lines.is_empty()).then(|| format!("  {name} fails, largest error {worst:.3e}{lines}"))
}

/// One case in one layout.
struct Replay<'a> {
    run: Run<f64>,
    case: &'a Json,
    layout: Layout,
}

impl Replay<'_> {
    fn differences(&self) -> Vec<Difference> {
        if let Some(kind) = self.case["error"].as_str() {
            return differences("error", || self.refusal(kind));
        }
        let mut found = differences("forward", || self.forward());
        if self.case.get("grads").is_some() {
            found.extend(differences("gradient", || self.first()));
        }
        if self.case.get("second").is_some() {
            found.extend(differences("second", || self.second()));
        }
        found
    }

    fn refusal(&self, kind: &str) -> Result<Vec<Difference>> {
        let detail = match (self.outputs(&self.inputs(false)?), kind) {
            (Err(e), _) if matches_kind(e.kind(), kind) => return Ok(Vec::new()),
            (Err(e), _) => format!("{e:?} instead of an error of kind {kind}"),
            (Ok(_), _) => format!("a value instead of an error of kind {kind}"),
        };
        Ok(vec![Difference { what: "error".into(), error: f64::INFINITY, detail }])
    }

    fn forward(&self) -> Result<Vec<Difference>> {
        self.wrong_outputs(&self.outputs(&self.inputs(false)?)?, "output")
    }

    /// The vjp of the outputs, through the gradients that accumulate in the leaves.
    fn first(&self) -> Result<Vec<Difference>> {
        let inputs = self.inputs(true)?;
        let outputs = self.outputs(&inputs)?;
        let mut found = self.wrong_outputs(&outputs, "output of tracked inputs")?;
        for (output, cotangent) in self.differentiated(&outputs)? {
            if output.is_tracked() {
                output.backward_with(Some(cotangent), true)?;
            }
        }
        for (name, want) in object(self.case, "grads")? {
            let got = float(&inputs, name)?.grad();
            found.extend(self.wrong_gradient("gradient", name, got, want)?);
        }
        Ok(found)
    }

    /// With L = sum ct * out + 1/2 sum out^2: the gradient of sum_k <u_k, dL/dinput_k>.
    fn second(&self) -> Result<Vec<Difference>> {
        let second = &self.case["second"];
        let inputs = self.inputs(true)?;
        let outputs = self.outputs(&inputs)?;
        let mut loss = Tensor::scalar(0.0);
        for (output, cotangent) in self.differentiated(&outputs)? {
            loss = loss + output.try_mul(&cotangent)?.sum() + output.square().sum() * 0.5;
        }
        let (u, grads) = (object(second, "u")?, object(second, "grads")?);
        let directions: Vec<&Tensor> = u.keys().map(|name| float(&inputs, name)).collect::<Result<_>>()?;
        let create = GradOptions { create_graph: true, ..Default::default() };
        let mut along = Tensor::scalar(0.0);
        for (g, u) in grad_with(&loss, &directions, create)?.into_iter().zip(u.values()) {
            if let Some(g) = g {
                along += g.try_mul(tensor::<f64>(u, self.layout)?.float()?)?.sum();
            }
        }
        let wrt: Vec<&Tensor> = grads.keys().map(|name| float(&inputs, name)).collect::<Result<_>>()?;
        let mut found = Vec::new();
        for (got, (name, want)) in grad(&along, &wrt)?.into_iter().zip(grads) {
            found.extend(self.wrong_gradient("second", name, got, want)?);
        }
        Ok(found)
    }

    /// Fresh inputs; where `tracked`, those that the case differentiates are leaves.
    fn inputs(&self, tracked: bool) -> Result<BTreeMap<String, Value>> {
        let leaf = |name: &str| tracked && self.case["grads"].get(name).is_some();
        let read = |(name, t): (&String, &Json)| {
            let value = match tensor(t, self.layout)? {
                Value::Float(x) if leaf(name) => Value::Float(x.requires_grad()),
                value => value,
            };
            Ok((name.clone(), value))
        };
        object(self.case, "inputs")?.iter().map(read).collect()
    }

    fn outputs(&self, inputs: &BTreeMap<String, Value>) -> Result<Vec<Value>> {
        (self.run)(&Call { inputs, args: &self.case["args"] })
    }

    fn wrong_outputs(&self, got: &[Value], what: &str) -> Result<Vec<Difference>> {
        let want = list(self.case, "outputs")?;
        let mut found = Vec::new();
        if got.len() != want.len() {
            let detail = format!("{} outputs instead of {}", got.len(), want.len());
            found.push(Difference { what: what.into(), error: f64::INFINITY, detail });
        }
        for (k, (got, want)) in got.iter().zip(want).enumerate() {
            let want = tensor(want, Layout::AsGiven)?;
            found.extend(compare(format!("{what} {k}"), got, &want, self.tolerance()?));
        }
        Ok(found)
    }

    /// A gradient that is None counts as zeros.
    fn wrong_gradient(
        &self,
        what: &str,
        name: &str,
        got: Option<Tensor>,
        want: &Json,
    ) -> Result<Option<Difference>> {
        let want = tensor::<f64>(want, Layout::AsGiven)?;
        let got = match got {
            Some(got) => got,
            None => want.float()?.zeros_like(),
        };
        Ok(compare(format!("{what} of {name}"), &Value::Float(got), &want, self.tolerance()?))
    }

    /// The outputs that have a cotangent, and it.
    fn differentiated<'a>(&self, outputs: &'a [Value]) -> Result<Vec<(&'a Tensor, Tensor)>> {
        let mut pairs = Vec::new();
        for (output, cotangent) in outputs.iter().zip(list(self.case, "cotangents")?) {
            if !cotangent.is_null() {
                pairs.push((output.float()?, tensor::<f64>(cotangent, self.layout)?.float()?.clone()));
            }
        }
        Ok(pairs)
    }

    fn tolerance(&self) -> Result<Tolerance> {
        match (self.case["rtol"].as_f64(), self.case["atol"].as_f64()) {
            (Some(rtol), Some(atol)) => Ok(Tolerance { rtol, atol }),
            _ => Err(malformed("no tolerances")),
        }
    }
}

/// Runs a step of a case; an error or a panic is the difference.
fn differences(what: &str, step: impl FnOnce() -> Result<Vec<Difference>>) -> Vec<Difference> {
    attempt(step)
        .unwrap_or_else(|detail| vec![Difference { what: what.into(), error: f64::INFINITY, detail }])
}

fn matches_kind(kind: ErrorKind, name: &str) -> bool {
    match name {
        "shape" => kind == ErrorKind::Shape,
        "index" => kind == ErrorKind::Index,
        "singular" => matches!(kind, ErrorKind::Singular { .. }),
        "not_positive_definite" => matches!(kind, ErrorKind::NotPositiveDefinite { .. }),
        _ => false,
    }
}

fn object<'a>(json: &'a Json, name: &str) -> Result<&'a Map<String, Json>> {
    json[name].as_object().ok_or_else(|| malformed(format!("no object {name}")))
}

fn list<'a>(json: &'a Json, name: &str) -> Result<&'a Vec<Json>> {
    json[name].as_array().ok_or_else(|| malformed(format!("no list {name}")))
}

fn float<'a>(inputs: &'a BTreeMap<String, Value>, name: &str) -> Result<&'a Tensor> {
    inputs.get(name).ok_or_else(|| malformed(format!("no input {name}")))?.float()
}
