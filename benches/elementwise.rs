//! Arithmetic, functions of elements and copies, beside NumPy, PyTorch and others; and a perceptron, made of
//! them. benches/rows says how they are measured, and `python benches/peers/compare.py` runs the sides in turn.
//! benches/peers does the same work under the same ids, which are
//! `elementwise/<row>/<f64|f32>/<forward|gradient>/<n>`.

mod rows;

use rows::{BOTH, Prepare, Row, Shape, What, Work, Works, measure, named, normal, rows_of, sizes};
use tapegrad::prelude::*;

/// Work on operands between 0.1 and 3.1.
fn positive<T: Float>(
    shapes: &[&[usize]],
    f: impl Fn(&[Tensor<T>]) -> Result<Tensor<T>> + 'static,
) -> Work<T> {
    let drawn = |&s: &&[usize]| Tensor::rand_of(s) * T::of(3.0) + T::of(0.1);
    Work { operands: shapes.iter().map(drawn).collect(), f: Box::new(f) }
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

fn all<T: Float>() -> Vec<Row> {
    let mut rows = rows_of::<T>("elementwise", &BOTH, &sizes(), [arithmetic(), functions()].concat());
    rows.extend(rows_of::<T>("elementwise", &[What::Forward], &sizes(), copies()));
    rows
}

fn main() {
    measure([all::<f64>(), all::<f32>(), rows_of("elementwise", &BOTH, &[128], perceptron::<f32>())]);
}
