//! The tool as GradBench runs it: messages on its input, answers on its output, on small inputs whose answers are known from
//! other formulas, or are what the reference's C++ tools said.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

/// The outputs of one eval's functions for their inputs.
fn outputs(module: &str, calls: &[(&str, Value)]) -> Vec<Value> {
    let mut tool = Command::new(env!("CARGO_BIN_EXE_tapegrad-gradbench"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = tool.stdin.take().unwrap();
    let mut answers = BufReader::new(tool.stdout.take().unwrap()).lines();
    let mut id = 0;
    let mut ask = |mut message: Value| -> Value {
        message["id"] = json!(id);
        writeln!(input, "{message}").unwrap();
        let answer: Value = serde_json::from_str(&answers.next().unwrap().unwrap()).unwrap();
        assert_eq!(answer["id"], json!(id));
        id += 1;
        answer
    };
    assert_eq!(ask(json!({ "kind": "start", "eval": module }))["tool"], json!("tapegrad"));
    assert_eq!(ask(json!({ "kind": "define", "module": module }))["success"], json!(true));
    let mut all = Vec::new();
    for (function, input) in calls {
        let mut input = input.clone();
        if let Some(fields) = input.as_object_mut() {
            fields.insert("min_runs".into(), json!(2));
            fields.insert("min_seconds".into(), json!(0));
        }
        let runs = if input.is_object() { 2 } else { 1 };
        let message = json!({ "kind": "evaluate", "module": module, "function": function, "input": input });
        let mut answer = ask(message);
        assert_eq!(answer["success"], json!(true), "{module} {function}: {}", answer["error"]);
        let timings = answer["timings"].as_array().unwrap();
        assert_eq!(timings.len(), runs);
        assert!(
            timings.iter().all(|t| t["name"] == json!("evaluate") && t["nanoseconds"].as_u64().unwrap() > 0)
        );
        all.push(answer["output"].take());
        assert_eq!(ask(json!({ "kind": "analysis", "of": 0, "valid": true })).as_object().unwrap().len(), 1);
    }
    drop(input);
    assert!(tool.wait().unwrap().success());
    all
}

/// An error where nested numbers differ by more than a part in 1e9 of their size, or of 1.
#[track_caller]
fn near(found: &Value, wanted: &Value) {
    match (found, wanted) {
        (Value::Array(a), Value::Array(b)) => {
            assert_eq!(a.len(), b.len(), "{found} instead of {wanted}");
            a.iter().zip(b).for_each(|(a, b)| near(a, b));
        }
        (Value::Object(a), Value::Object(b)) => {
            assert_eq!(a.len(), b.len());
            b.iter().for_each(|(name, b)| near(&a[name], b));
        }
        _ => {
            let (a, b) = (found.as_f64().unwrap(), wanted.as_f64().unwrap());
            assert!((a - b).abs() <= 1e-9 * b.abs().max(1.0), "{a} instead of {b}");
        }
    }
}

#[test]
fn hello() {
    let found = outputs("hello", &[("square", json!(3.0)), ("double", json!(3.5))]);
    near(&json!(found), &json!([9.0, 7.0]));
}

#[test]
fn what_there_is_not_is_an_error() {
    let mut tool = Command::new(env!("CARGO_BIN_EXE_tapegrad-gradbench"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let messages = [
        json!({ "id": 0, "kind": "define", "module": "haiku" }),
        json!({ "id": 1, "kind": "evaluate", "module": "hello", "function": "triple", "input": 1.0 }),
        json!({ "id": 2, "kind": "evaluate", "module": "lse", "function": "primal", "input": { "x": ["a"] } }),
    ];
    for message in &messages {
        writeln!(tool.stdin.as_mut().unwrap(), "{message}").unwrap();
    }
    let output = tool.wait_with_output().unwrap();
    let answers = String::from_utf8(output.stdout).unwrap();
    for (i, answer) in answers.lines().map(|a| serde_json::from_str::<Value>(a).unwrap()).enumerate() {
        assert_eq!((&answer["id"], &answer["success"]), (&json!(i), &json!(false)));
        assert!(!answer["error"].as_str().unwrap().is_empty());
    }
    assert_eq!(answers.lines().count(), 3);
}

/// 1/2 sum (sign t - x_0 - x_1 t)^2 and its gradient, sums written out.
#[test]
fn llsq() {
    let (x, n) = ([0.25, -0.5], 5);
    let input = json!({ "x": x, "n": n });
    let (mut value, mut gradient) = (0.0, [0.0; 2]);
    for i in 0..n {
        let t = -1.0 + 2.0 * f64::from(i) / f64::from(n - 1);
        let sign = if t == 0.0 { 0.0 } else { t.signum() };
        let r = sign - x[0] - x[1] * t;
        value += 0.5 * r * r;
        gradient[0] -= r;
        gradient[1] -= r * t;
    }
    let found = outputs("llsq", &[("primal", input.clone()), ("gradient", input)]);
    near(&json!(found), &json!([value, gradient]));
}

#[test]
fn lse() {
    let x = [0.5, -1.0, 2.0f64];
    let sum: f64 = x.iter().map(|x| x.exp()).sum();
    let input = json!({ "x": x });
    let found = outputs("lse", &[("primal", input.clone()), ("gradient", input)]);
    near(&json!(found), &json!([sum.ln(), x.map(|x| x.exp() / sum)]));
}

/// One normal distribution in one dimension, where the density is a formula; and what central differences of it say.
#[test]
fn gmm() {
    let points = [0.3, -1.2, 0.7, 2.0];
    let log_posterior = |mu: f64, q: f64| {
        let precision = (2.0 * q).exp();
        let likelihood: f64 = points
            .iter()
            .map(|x| {
                0.5 * (precision / (2.0 * std::f64::consts::PI)).ln() - 0.5 * precision * (x - mu) * (x - mu)
            })
            .sum();
        // Wishart with 2 degrees of freedom and scale 1 / gamma^2 in one dimension: an exponential distribution.
        let gamma: f64 = 1.5;
        let prior = (0.5 * gamma * gamma).ln() - 0.5 * gamma * gamma * precision;
        likelihood + prior
    };
    let (mu, q, h) = (0.4, -0.2, 1e-5);
    let input = json!({
        "d": 1, "k": 1, "n": 4, "x": points.map(|x| [x]), "m": 0, "gamma": 1.5,
        "alpha": [0.7], "mu": [[mu]], "q": [[q]], "l": [[]],
    });
    let found = outputs("gmm", &[("objective", input.clone()), ("jacobian", input)]);
    near(&found[0], &json!(log_posterior(mu, q)));
    let slope = |name: &str| found[1][name][0][0].as_f64().unwrap();
    let by_mu = (log_posterior(mu + h, q) - log_posterior(mu - h, q)) / (2.0 * h);
    let by_q = (log_posterior(mu, q + h) - log_posterior(mu, q - h)) / (2.0 * h);
    assert!((slope("mu") - by_mu).abs() < 1e-7 && (slope("q") - by_q).abs() < 1e-7);
    near(&found[1]["alpha"], &json!([0.0]));
}

/// Newton's step leads from each centroid to the mean of its points, or the other way round.
#[test]
fn kmeans() {
    let input = json!({
        "points": [[0.0, 0.0], [0.0, 1.0], [5.0, 5.0], [6.0, 5.0], [5.0, 8.0]],
        "centroids": [[0.5, 0.5], [5.0, 6.0]],
    });
    let found = outputs("kmeans", &[("cost", input.clone()), ("dir", input)]);
    near(&found[0], &json!(0.5 + 0.5 + 1.0 + 2.0 + 4.0));
    near(&found[1], &json!([[0.5, 0.0], [5.0 - 16.0 / 3.0, 0.0]]));
}

/// The gradient holds the cofactors.
#[test]
fn det() {
    let input = json!({ "A": [2.0, 1.0, 0.0, 1.0, 3.0, 1.0, 0.0, 1.0, 4.0], "ell": 3 });
    let found = outputs("det", &[("primal", input.clone()), ("gradient", input)]);
    near(&found[0], &json!(18.0));
    near(&found[1], &json!([11.0, -4.0, 1.0, -4.0, 8.0, -2.0, 1.0, -2.0, 5.0]));
}

/// y_i(2) = x_0 .. x_i 2^(i+1) / (i+1)!, which the method has exactly for i < 4.
#[test]
fn ode() {
    let x = [0.5, -1.5, 2.0];
    let input = json!({ "x": x, "s": 3 });
    let found = outputs("ode", &[("primal", input.clone()), ("gradient", input)]);
    near(&found[0], &json!([1.0, -1.5, -2.0]));
    near(&found[1], &json!(x.map(|x| -2.0 / x)));
}

/// One layer, one step: the formula written out; and central differences.
#[test]
fn lstm() {
    let loss = |p: &[f64]| {
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        let (hidden, cell, x, wanted) = (0.3, -0.4, 1.0 * p[8], 1.0);
        let gates: Vec<f64> = (0..4).map(|k| [x, hidden, x, hidden][k] * p[k] + p[4 + k]).collect();
        let cell = cell * sigmoid(gates[0]) + sigmoid(gates[1]) * gates[3].tanh();
        let y = sigmoid(gates[2]) * cell.tanh() * p[9] + p[10];
        -wanted * (y - (y.exp() + 2.0).ln())
    };
    let p = [0.1, 0.2, 0.3, 0.4, -0.1, 0.5, 0.6, -0.7, 0.8, 0.9, 1.1];
    let input = json!({
        "main_params": [p[..4], p[4..8]], "extra_params": [[p[8]], [p[9]], [p[10]]],
        "state": [[0.3], [-0.4]], "sequence": [[1.0], [1.0]],
    });
    let found = outputs("lstm", &[("objective", input.clone()), ("jacobian", input)]);
    near(&found[0], &json!(loss(&p)));
    for (k, slope) in found[1].as_array().unwrap().iter().enumerate() {
        let at = |h: f64| {
            let mut moved = p;
            moved[k] += h;
            loss(&moved)
        };
        let wanted = (at(1e-5) - at(-1e-5)) / 2e-5;
        assert!((slope.as_f64().unwrap() - wanted).abs() < 1e-8, "parameter {k}");
    }
}

/// Without rotation and distortion a point is seen where the lines through the centre meet the plane, f (x / z, y / z).
#[test]
fn ba() {
    let mut camera = [0.0; 11];
    camera[6..9].copy_from_slice(&[2.0, 0.1, 0.2]);
    let input = json!({ "n": 2, "m": 3, "p": 4, "cam": camera, "x": [1.0, 2.0, 4.0], "w": 0.5, "feat": [0.25, 0.75] });
    let found = outputs("ba", &[("objective", input.clone()), ("jacobian", input)]);
    near(
        &found[0],
        &json!({
            "reproj_error": { "elements": [0.5 * (0.5 + 0.1 - 0.25), 0.5 * (1.0 + 0.2 - 0.75)], "repeated": 4 },
            "w_err": { "element": 0.75, "repeated": 4 },
        }),
    );
    let columns: Vec<i64> = (0..11).chain([22, 23, 24, 31]).collect();
    assert_eq!(found[1]["cols"], json!([&columns[..], &columns, &[34]].concat()));
    let mut rows: Vec<i64> = (0..=8).map(|i| 15 * i).chain((1..=4).map(|i| 120 + i)).collect();
    rows.push(124);
    assert_eq!(found[1]["rows"], json!(rows));
    // x's row: rotation about y moves it by (z^2 + x^2) / z^2, about x by x y / z^2, about z by -y / z, times w f = 1.
    let r2 = (1.0 + 4.0) / 16.0;
    let wanted = [
        -2.0 / 16.0,
        17.0 / 16.0,
        -0.5,
        -0.25,
        0.0,
        1.0 / 16.0,
        0.125,
        0.5,
        0.0,
        0.25 * r2,
        0.25 * r2 * r2,
        0.25,
        0.0,
        -1.0 / 16.0,
        0.35,
    ];
    let values = found[1]["vals"].as_array().unwrap();
    near(&json!(values[..15]), &json!(wanted));
    near(&values[30], &json!(-1.0));
}

/// A hand of one triangle on the first bone, the others without weight.
#[test]
fn ht() {
    let bones = 22;
    let eye = [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]];
    let mut weights = vec![0.0; bones];
    weights[0] = 1.0;
    let mut theta = vec![0.0; 26];
    // A quarter turn about z, and a shift.
    theta[2] = std::f64::consts::FRAC_PI_2;
    theta[3..6].copy_from_slice(&[10.0, 20.0, 30.0]);
    let model = json!({
        "bone_count": bones,
        "parents": (0..bones).map(|b| b as i64 - 1).collect::<Vec<_>>(),
        "base_relatives": vec![eye; bones],
        "inverse_base_absolutes": vec![eye; bones],
        "base_positions": [[1.0, 0.0, 0.0, 1.0], [0.0, 1.0, 0.0, 1.0], [0.0, 0.0, 1.0, 1.0]],
        "weights": vec![weights; 3],
        "triangles": [[0, 1, 2]],
        "is_mirrored": false,
    });
    let data = |correspondence: i64| {
        json!({
            "model": model, "correspondences": [correspondence], "points": [[1.0, 2.0, 3.0]],
        })
    };
    let simple = json!({ "theta": theta, "data": data(1), "us": [] });
    let on_triangle = json!({ "theta": theta, "data": data(0), "us": [[0.25, 0.5]] });
    let calls = [
        ("objective", simple.clone()),
        ("objective", on_triangle.clone()),
        ("jacobian", simple),
        ("jacobian", on_triangle),
    ];
    let found = outputs("ht", &calls);
    // The turn takes (x, y, z) to (-y, x, z).
    near(&found[0], &json!([1.0 - 9.0, 2.0 - 20.0, 3.0 - 30.0]));
    near(&found[1], &json!([1.0 - 9.5, 2.0 - 20.25, 3.0 - 30.25]));
    let column = |jacobian: &Value, k: usize| -> Value {
        jacobian.as_array().unwrap().iter().map(|row| row[k].clone()).collect()
    };
    for k in 0..3 {
        let mut wanted = [0.0; 3];
        wanted[k] = -1.0;
        near(&column(&found[2], 3 + k), &json!(wanted));
        near(&column(&found[3], 5 + k), &json!(wanted));
    }
    // About z: minus the derivative (-x, -y) of (-y, x); by the place on the triangle: minus the edges, turned.
    near(&column(&found[2], 2), &json!([0.0, 1.0, 0.0]));
    near(&column(&found[3], 0), &json!([0.0, -1.0, 1.0]));
    near(&column(&found[3], 1), &json!([1.0, 0.0, 1.0]));
}

/// The numbers of the reference, and of all four ways to nest derivatives.
#[test]
fn particle_and_saddle() {
    let modes = ["ff", "fr", "rf", "rr"];
    for found in outputs("particle", &modes.map(|m| (m, json!({ "w": 0.0 })))) {
        assert!((found.as_f64().unwrap() - 0.2071918746486116).abs() < 1e-6, "{found}");
    }
    for found in outputs("saddle", &modes.map(|m| (m, json!({ "start": [1.0, 1.0] })))) {
        near(&found, &json!(vec![8.246324826140356e-06; 4]));
    }
}
