//! Arithmetic, functions of elements and copies, beside NumPy and PyTorch; and a perceptron, made of them.
//! benches/peers/peers.py does the same work under the same ids, which are
//! `elementwise/<row>/<f64|f32>/<forward|gradient>/<n>`, and `python benches/peers/compare.py --elementwise`
//! runs the sides in turn.
//!
//! There are several hundred rows here and in benches/reduce.rs, and criterion takes seconds for one: the
//! loop below takes 0.1 s. It prints a JSON object per row. `cargo bench --bench elementwise -- exp f32`
//! measures the rows whose ids hold both words; with `--serve` the ids to measure come line by line, so that
//! the sides can take turns row by row without starting anew.

use std::hint::black_box;
use std::io::stdin;
use std::time::{Duration, Instant};
use tapegrad::prelude::*;

/// The first is a square, whose rows are of length 32.
pub const SIZES: &[usize] = &[1024, 90_000, 4_000_000];
const SECONDS: f64 = 0.08;
const SAMPLE_SECONDS: f64 = 5e-3;
const MIN_SAMPLES: usize = 5;

/// What the first operand of n elements looks like.
#[derive(Clone, Copy)]
pub enum Shape {
    /// Of n elements.
    Vector,
    /// A matrix of n elements, or a few less.
    Square,
    /// Of this length, as many as there are whole ones.
    Rows(usize),
}

impl Shape {
    fn of(self, n: usize) -> Vec<usize> {
        match self {
            Shape::Vector => vec![n],
            Shape::Square => vec![n.isqrt(); 2],
            Shape::Rows(length) => vec![n / length, length],
        }
    }
}

type Function<T> = dyn Fn(&[Tensor<T>]) -> Result<Tensor<T>>;

/// Operands, all of which a gradient is taken with respect to, and what is done with them.
pub struct Work<T: Float> {
    operands: Vec<Tensor<T>>,
    f: Box<Function<T>>,
}

/// Draws the operands, for the shape of the first.
pub type Prepare<T> = fn(&[usize]) -> Work<T>;

/// Works under their names.
pub type Works<T> = Vec<(String, Shape, Prepare<T>)>;

/// Work on standard normal operands of these shapes.
pub fn normal<T: Float>(
    shapes: &[&[usize]],
    f: impl Fn(&[Tensor<T>]) -> Result<Tensor<T>> + 'static,
) -> Work<T> {
    Work { operands: shapes.iter().map(|&s| Tensor::randn_of(s)).collect(), f: Box::new(f) }
}

/// The same on operands between 0.1 and 3.1.
fn positive<T: Float>(
    shapes: &[&[usize]],
    f: impl Fn(&[Tensor<T>]) -> Result<Tensor<T>> + 'static,
) -> Work<T> {
    let drawn = |&s: &&[usize]| Tensor::rand_of(s) * T::of(3.0) + T::of(0.1);
    Work { operands: shapes.iter().map(drawn).collect(), f: Box::new(f) }
}

/// One line of what is measured.
pub struct Row {
    id: String,
    /// Draws the operands when the row's turn comes, since those of all rows would not fit into memory.
    start: Box<dyn Fn() -> Box<dyn FnMut()>>,
}

/// What is measured of a work.
#[derive(Clone, Copy)]
pub enum What {
    /// The value.
    Forward,
    /// The value and the gradient of its sum.
    Gradient,
}

/// The value, and the value and the gradient.
pub const BOTH: [What; 2] = [What::Forward, What::Gradient];

/// The rows of these works, in every size that they are possible in.
pub fn rows_of<T: Float>(group: &str, whats: &[What], sizes: &[usize], works: Works<T>) -> Vec<Row> {
    let dtype = if size_of::<T>() == 8 { "f64" } else { "f32" };
    let mut rows = Vec::new();
    for (name, shape, prepare) in works {
        for &what in whats {
            for (n, shape) in sizes.iter().map(|&n| (n, shape.of(n))).filter(|(_, s)| s[0] > 0) {
                let kind = match what {
                    What::Forward => "forward",
                    What::Gradient => "gradient",
                };
                let id = format!("{group}/{name}/{dtype}/{kind}/{n}");
                rows.push(Row { id, start: Box::new(move || started(prepare(&shape), what)) });
            }
        }
    }
    rows
}

/// Works of one shape, with this after their names.
pub fn named<T: Float, const N: usize>(
    shape: Shape,
    suffix: &str,
    works: [(&str, Prepare<T>); N],
) -> Works<T> {
    works.into_iter().map(|(name, prepare)| (format!("{name}{suffix}"), shape, prepare)).collect()
}

fn started<T: Float>(Work { operands, f }: Work<T>, what: What) -> Box<dyn FnMut()> {
    match what {
        What::Forward => Box::new(move || {
            black_box(f(&operands).unwrap());
        }),
        What::Gradient => {
            let operands: Vec<_> = operands.into_iter().map(Tensor::requires_grad).collect();
            Box::new(move || {
                let y = f(&operands).unwrap().sum();
                black_box(grad(&y, &operands.iter().collect::<Vec<_>>()).unwrap());
            })
        }
    }
}

/// Median seconds of one iteration and the number of samples, found as in benches/peers/peers.py.
fn measured(run: &mut dyn FnMut(), seconds: f64) -> (f64, usize) {
    let mut time = |count: usize| {
        let start = Instant::now();
        (0..count).for_each(|_| run());
        start.elapsed().as_secs_f64() / count as f64
    };
    let mut once = time(1);
    let warm = Instant::now() + Duration::from_secs_f64(seconds / 4.0);
    while Instant::now() < warm {
        once = once.min(time(1));
    }
    let count = (SAMPLE_SECONDS / once).ceil() as usize;
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    let mut samples = Vec::new();
    while samples.len() < MIN_SAMPLES || Instant::now() < end {
        samples.push(time(count.max(1)));
    }
    samples.sort_by(f64::total_cmp);
    let (low, high) = (samples[(samples.len() - 1) / 2], samples[samples.len() / 2]);
    ((low + high) / 2.0, samples.len())
}

/// Measures the rows that the arguments ask for, or, with `--serve`, those that are asked for line by line.
pub fn measure(rows: &[Vec<Row>]) {
    let rows: Vec<&Row> = rows.iter().flatten().collect();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let seconds = arguments.iter().find_map(|a| a.strip_prefix("--seconds="));
    let seconds = seconds.map_or(SECONDS, |s| s.parse().expect("--seconds is a number"));
    let print = |row: &Row| {
        manual_seed(20);
        let (seconds, samples) = measured(&mut (row.start)(), seconds);
        let id = &row.id;
        println!(r#"{{"id": "{id}", "peer": "tapegrad", "seconds": {seconds:e}, "samples": {samples}}}"#);
    };
    if arguments.iter().any(|a| a == "--serve") {
        let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
        println!(r#"{{"ids": {ids:?}}}"#);
        for line in stdin().lines().map(|line| line.expect("ids are text")) {
            print(rows.iter().find(|row| row.id == line).unwrap_or_else(|| panic!("no row is {line}")));
        }
    } else {
        // cargo's own are among the arguments.
        let words: Vec<&String> = arguments.iter().filter(|a| !a.starts_with("--")).collect();
        rows.iter().filter(|row| words.iter().all(|&word| row.id.contains(word))).for_each(|row| print(row));
    }
}

fn arithmetic<T: Float>() -> Works<T> {
    let vectors: [(&str, Prepare<T>); _] = [
        ("x * 2.5", |s| normal(&[s], |x| Ok(&x[0] * T::of(2.5)))),
        ("x + y", |s| normal(&[s, s], |x| Ok(&x[0] + &x[1]))),
    ];
    let squares: [(&str, Prepare<T>); _] = [
        ("m + row", |s| normal(&[s, &s[1..]], |x| Ok(&x[0] + &x[1]))),
        ("m + column", |s| normal(&[s, &[s[0], 1]], |x| Ok(&x[0] + &x[1]))),
        ("s + s.t()", |s| normal(&[s], |x| Ok(&x[0] + &x[0].t()?))),
    ];
    [named(Shape::Vector, "", vectors), named(Shape::Square, "", squares)].concat()
}

fn functions<T: Float>() -> Works<T> {
    let functions: [(&str, Prepare<T>); _] = [
        ("exp", |s| normal(&[s], |x| Ok(x[0].exp()))),
        ("log", |s| positive(&[s], |x| Ok(x[0].log()))),
        ("tanh", |s| normal(&[s], |x| Ok(x[0].tanh()))),
        ("sigmoid", |s| normal(&[s], |x| Ok(x[0].sigmoid()))),
        ("sin", |s| normal(&[s], |x| Ok(x[0].sin()))),
        ("cos", |s| normal(&[s], |x| Ok(x[0].cos()))),
        ("erf", |s| normal(&[s], |x| Ok(x[0].erf()))),
        ("x ** 2.3", |s| positive(&[s], |x| Ok(x[0].powf(2.3)))),
        ("gelu", |s| normal(&[s], |x| Ok(x[0].gelu()))),
        ("softplus", |s| normal(&[s], |x| Ok(x[0].softplus()))),
    ];
    named(Shape::Vector, "", functions)
}

/// What would be a view is copied: flip is one here, as in NumPy.
fn copies<T: Float>() -> Works<T> {
    let copies: [(&str, Prepare<T>); _] = [
        ("s.t() copied", |s| normal(&[s], |x| Ok(x[0].t()?.contiguous()))),
        ("cat of s and s2", |s| normal(&[s, s], |x| Tensor::cat(&[&x[0], &x[1]], 0))),
        ("s.flip(1) copied", |s| normal(&[s], |x| Ok(x[0].flip(1)?.contiguous()))),
        ("s[:, ::2] copied", |s| normal(&[s], |x| Ok(x[0].slice(s![.., ..;2])?.contiguous()))),
    ];
    named(Shape::Square, "", copies)
}

/// The loss of images of 784 points, with respect to the weights.
fn perceptron<T: Float>() -> Works<T> {
    let perceptron: [(&str, Prepare<T>); _] = [("perceptron 784-256-10", |images| {
        let x = Tensor::randn_of::<T>([images[0], 784]);
        let classes = Tensor::randint(0, 10, images).unwrap();
        let mut work = normal(&[&[784, 256], &[256], &[256, 10], &[10]], move |w| {
            let hidden = w[1].addmm(&x, &w[0], T::ONE, T::ONE)?.relu();
            w[3].addmm(&hidden, &w[2], T::ONE, T::ONE)?.cross_entropy(&classes)
        });
        // Small weights, as a network begins with.
        work.operands.iter_mut().for_each(|w| *w = &*w * T::of(0.05));
        work
    })];
    named(Shape::Vector, "", perceptron)
}

fn rows<T: Float>() -> Vec<Row> {
    let mut rows = rows_of::<T>("elementwise", &BOTH, SIZES, [arithmetic(), functions()].concat());
    rows.extend(rows_of::<T>("elementwise", &[What::Forward], SIZES, copies()));
    rows
}

fn main() {
    measure(&[rows::<f64>(), rows::<f32>(), rows_of("elementwise", &BOTH, &[128], perceptron::<f32>())]);
}
