//! GradBench's protocol: messages are started, defined and evaluated; what an eval takes and gives.

use serde_json::{Value, json};
use std::error::Error;
use std::time::Instant;
use tapegrad::{Result, Tensor};

/// What may fail with any error.
pub type Outcome<T> = std::result::Result<T, Box<dyn Error>>;

/// Runs one function of an eval, by its name.
pub type Eval = fn(&str, &Input) -> Outcome<Answer>;

/// The output of a function and the duration of each of its runs in nanoseconds.
pub struct Answer {
    pub output: Value,
    pub nanoseconds: Vec<u64>,
}

/// The input of a function, by the names of its fields.
pub struct Input<'a>(pub &'a Value);

impl<'a> Input<'a> {
    /// A field, of this or of an inner object: `field("data")?.field("points")?`.
    pub fn field(&self, name: &str) -> Outcome<Input<'a>> {
        self.0.get(name).map(Input).ok_or_else(|| format!("the input has no field {name}").into())
    }

    pub fn number(&self, name: &str) -> Outcome<f64> {
        self.field(name)?.0.as_f64().ok_or_else(|| format!("{name} is no number").into())
    }

    pub fn count(&self, name: &str) -> Outcome<usize> {
        let count = self.field(name)?.0.as_u64().ok_or_else(|| format!("{name} is no count"))?;
        Ok(usize::try_from(count)?)
    }

    /// Nested lists of numbers, of one length each, as a tensor.
    pub fn tensor(&self, name: &str) -> Outcome<Tensor> {
        let (mut shape, mut numbers) = (Vec::new(), Vec::new());
        let mut inner = self.field(name)?.0;
        while let Value::Array(list) = inner {
            shape.push(list.len());
            let Some(first) = list.first() else { break };
            inner = first;
        }
        flatten(self.field(name)?.0, &mut numbers).map_err(|what| format!("{name} holds {what}"))?;
        Ok(Tensor::from_vec(numbers, shape)?)
    }

    /// Nested lists of integers, as a tensor.
    pub fn integers(&self, name: &str) -> Outcome<Tensor<i64>> {
        Ok(self.tensor(name)?.to_type())
    }

    /// Runs `f` as often and as long as the input asks for, and has `output` write the last result.
    pub fn timed<R>(
        &self,
        mut f: impl FnMut() -> Result<R>,
        output: impl FnOnce(R) -> Outcome<Value>,
    ) -> Outcome<Answer> {
        let (runs, seconds) =
            (self.count("min_runs").unwrap_or(1).max(1), self.number("min_seconds").unwrap_or(0.0));
        let (mut nanoseconds, mut elapsed) = (Vec::new(), 0.0);
        loop {
            let start = Instant::now();
            let result = f()?;
            let time = start.elapsed();
            nanoseconds.push(u64::try_from(time.as_nanos())?);
            elapsed += time.as_secs_f64();
            if nanoseconds.len() >= runs && elapsed >= seconds {
                return Ok(Answer { output: output(result)?, nanoseconds });
            }
        }
    }
}

/// Appends the numbers in nested lists; what else is there is the error.
fn flatten(value: &Value, numbers: &mut Vec<f64>) -> std::result::Result<(), String> {
    match value {
        Value::Array(list) => list.iter().try_for_each(|v| flatten(v, numbers)),
        number => {
            numbers.push(number.as_f64().ok_or_else(|| format!("{number}, which is no number"))?);
            Ok(())
        }
    }
}

/// A tensor as nested lists.
pub fn nested(t: Tensor) -> Outcome<Value> {
    fn lists(shape: &[usize], numbers: &mut impl Iterator<Item = f64>) -> Value {
        match shape.split_first() {
            None => json!(numbers.next()),
            Some((&n, inner)) => (0..n).map(|_| lists(inner, numbers)).collect(),
        }
    }
    Ok(lists(t.shape(), &mut t.to_vec().into_iter()))
}

/// The error of a function that an eval does not have.
pub fn unknown<T>(function: &str) -> Outcome<T> {
    Err(format!("no function {function}").into())
}

/// The response to a message.
pub fn respond(message: &Value, eval: fn(&str) -> Option<Eval>) -> Outcome<Value> {
    let text = |name: &str| message[name].as_str().unwrap_or_default();
    let mut response = match text("kind") {
        "start" => json!({ "tool": "tapegrad" }),
        "define" => match eval(text("module")) {
            Some(_) => json!({ "success": true }),
            None => json!({ "success": false, "error": format!("no module {}", text("module")) }),
        },
        "evaluate" => {
            let answer = match eval(text("module")) {
                Some(eval) => eval(text("function"), &Input(&message["input"])),
                None => Err(format!("no module {}", text("module")).into()),
            };
            match answer {
                Ok(Answer { output, nanoseconds }) => {
                    let timing = |&ns: &u64| json!({ "name": "evaluate", "nanoseconds": ns });
                    let timings: Vec<Value> = nanoseconds.iter().map(timing).collect();
                    json!({ "success": true, "output": output, "timings": timings })
                }
                Err(error) => json!({ "success": false, "error": error.to_string() }),
            }
        }
        _ => json!({}),
    };
    response["id"] = message["id"].clone();
    Ok(response)
}
