//! What the tape itself costs: small operations, forward and backward. And a million elements that change
//! hands, and are not copied. benches/rows says how they are measured.

#[path = "rows/measure.rs"]
mod measure;

use measure::{Row, Run, measure};
use std::hint::black_box;
use tapegrad::prelude::*;

fn tapegrad(id: &str, start: impl Fn() -> Run + 'static) -> Row {
    Row::new("tapegrad", id.to_string(), start)
}

fn scalars() -> Row {
    tapegrad("engine/w x + b/f64/gradient/1", || {
        let x = Tensor::scalar(3.0);
        let (w, b) = (Tensor::scalar(4.0).requires_grad(), Tensor::scalar(5.0).requires_grad());
        Box::new(move || {
            let y = &w * &x + &b;
            y.backward().unwrap();
            w.zero_grad();
            b.zero_grad();
            black_box(y);
        })
    })
}

fn sines() -> Row {
    tapegrad("engine/1000 sin/f64/gradient/1", || {
        let x = Tensor::scalar(0.5).requires_grad();
        Box::new(move || {
            let mut y = x.sin();
            for _ in 1..1000 {
                y = y.sin();
            }
            y.backward().unwrap();
            x.zero_grad();
            black_box(y);
        })
    })
}

fn multiply_adds() -> Row {
    tapegrad("engine/100 multiply-adds/f64/gradient/10", || {
        let v = linspace(0.1, 1.0, 10).unwrap().requires_grad();
        let (a, b) = (linspace(0.9, 1.1, 10).unwrap(), linspace(-0.1, 0.1, 10).unwrap());
        Box::new(move || {
            let mut z = v.clone();
            for _ in 0..100 {
                z = z * &a + &b;
            }
            z.sum().backward().unwrap();
            v.zero_grad();
            black_box(z);
        })
    })
}

fn array() -> Row {
    tapegrad("engine/from and into ndarray/f64/forward/1000000", || {
        let mut array = ndarray::Array2::<f64>::zeros((1000, 1000)).into_dyn();
        Box::new(move || array = Tensor::from_ndarray(std::mem::take(&mut array)).into_ndarray())
    })
}

fn main() {
    measure([vec![scalars(), sines(), multiply_adds(), array()]]);
}
