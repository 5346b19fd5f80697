//! Rows of this library: operands, and what is done with them.

mod measure;
mod shape;

pub use measure::{Row, measure};
pub use shape::{BOTH, Shape, What};

use measure::Run;
use shape::SIZES;
use std::hint::black_box;
use tapegrad::prelude::*;

type Function<T> = dyn Fn(&[Tensor<T>]) -> Result<Tensor<T>>;

/// Operands, all of which a gradient is taken with respect to, and what is done with them.
pub struct Work<T: Float> {
    pub operands: Vec<Tensor<T>>,
    pub f: Box<Function<T>>,
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

/// The sizes that the argument `--sizes=1000,2000` asks for, or those of the tables.
pub fn sizes() -> Vec<usize> {
    let asked = std::env::args().find_map(|a| a.strip_prefix("--sizes=").map(str::to_string));
    let sizes = asked.map(|a| a.split(',').map(|n| n.parse().expect("sizes are numbers")).collect());
    sizes.unwrap_or_else(|| SIZES.to_vec())
}

/// Works of one shape, with this after their names.
pub fn named<T: Float, const N: usize>(
    shape: Shape,
    suffix: &str,
    works: [(&str, Prepare<T>); N],
) -> Works<T> {
    works.into_iter().map(|(name, prepare)| (format!("{name}{suffix}"), shape, prepare)).collect()
}

/// The rows of these works, in every size that they are possible in.
pub fn rows_of<T: Float>(group: &str, whats: &[What], sizes: &[usize], works: Works<T>) -> Vec<Row> {
    let dtype = if size_of::<T>() == 8 { "f64" } else { "f32" };
    let mut rows = Vec::new();
    for (name, shape, prepare) in works {
        for &what in whats {
            for (n, shape) in sizes.iter().map(|&n| (n, shape.of(n))).filter(|(_, s)| s[0] > 0) {
                let id = format!("{group}/{name}/{dtype}/{}/{n}", what.name());
                rows.push(Row::new("tapegrad", id, move || {
                    manual_seed(20);
                    started(prepare(&shape), what)
                }));
            }
        }
    }
    rows
}

fn started<T: Float>(Work { operands, f }: Work<T>, what: What) -> Run {
    match what {
        What::Forward => Box::new(move || {
            black_box(f(&operands).unwrap());
        }),
        What::Gradient => {
            let operands: Vec<_> = operands.into_iter().map(Tensor::requires_grad).collect();
            Box::new(move || {
                let y = f(&operands).unwrap().sum();
                black_box(grad(&y, operands.iter().collect::<Vec<_>>()).unwrap());
            })
        }
    }
}
