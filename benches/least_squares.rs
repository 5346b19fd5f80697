//! The signature job: the gradient of ||y - A x||^2 with respect to x, for A of 10 d rows and d
//! columns. benches/rows says how it is measured; benches/peers does the same work.

#[path = "rows/measure.rs"]
mod measure;

use measure::{Row, measure};
use std::hint::black_box;
use tapegrad::prelude::*;
use tapegrad::{Array, kernels};

const SIZES: [usize; 6] = [3, 10, 30, 100, 300, 1000];

/// -2 A^T (y - A x) by two products on arrays, without the tape.
fn by_hand<T: Float>(a: &Array<T>, x: &Array<T>, y: &Array<T>) -> Result<Array<T>> {
    let r = kernels::addmv("mv", Some(y), a, x, T::ONE, -T::ONE)?;
    kernels::addmv("mv", None, &a.permute("mv", &[1, 0])?, &r, T::ZERO, T::of(-2.0))
}

/// The loss as a user writes it, and backward.
fn composed<T: Float>(a: &Tensor<T>, x: &Tensor<T>, y: &Tensor<T>) -> Result<()> {
    x.zero_grad();
    (y - &a.mv(x)?).square().sum().backward()
}

/// The loss that reads A once, and backward.
fn fused<T: Float>(a: &Tensor<T>, x: &Tensor<T>, y: &Tensor<T>) -> Result<()> {
    x.zero_grad();
    least_squares_loss(a, x, y)?.backward()
}

/// A form of the gradient, of A, x and y.
type Form<T> = fn(&Tensor<T>, &Tensor<T>, &Tensor<T>) -> Result<()>;

fn gradients<T: Float>() -> Vec<Row> {
    let forms: [(&str, Form<T>); _] = [
        ("least squares", composed),
        ("least squares, fused", fused),
        ("least squares, by hand", |a, x, y| {
            black_box(by_hand(a.array(), x.array(), y.array())?);
            Ok(())
        }),
    ];
    let mut rows = Vec::new();
    for (name, form) in forms {
        rows.extend(SIZES.map(|d| {
            Row::new("tapegrad", format!("least_squares/{name}/{}/gradient/{d}", T::DTYPE), move || {
                manual_seed(20);
                let (a, y) = (Tensor::randn_of::<T>([10 * d, d]), Tensor::randn_of::<T>([10 * d]));
                let x = Tensor::randn_of::<T>([d]).requires_grad();
                Box::new(move || form(&a, &x, &y).unwrap())
            })
        }));
    }
    rows
}

fn main() {
    measure([gradients::<f64>(), gradients::<f32>()]);
}
