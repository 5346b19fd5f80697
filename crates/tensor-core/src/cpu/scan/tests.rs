//! Against the definitions, element by element.

use super::*;
use crate::cpu::random::uniform;

/// Numbers of both signs, some of them equal, and NaN.
fn numbers(shape: &[usize]) -> Array<f64> {
    let mut numbers = vec![0.0; shape.iter().product()];
    uniform(&mut numbers, 1, 0);
    for x in &mut numbers {
        *x = if *x < 0.01 { f64::NAN } else { ((*x - 0.5) * 40.0).round() / 7.0 };
    }
    Array::from_vec(numbers, shape).unwrap()
}

/// The answer for each line along `dim`, one after another, by `f`.
fn lines<U: Copy + Default>(x: &Array<f64>, dim: usize, f: impl Fn(&[f64]) -> Vec<U>) -> Vec<U> {
    let (values, (n, inner)) = (x.to_vec(), lengths(x, dim));
    let mut out = vec![U::default(); values.len()];
    for start in (0..values.len() / n.max(1)).map(|k| k / inner * n * inner + k % inner) {
        let line: Vec<f64> = (0..n).map(|k| values[start + k * inner]).collect();
        for (k, y) in f(&line).into_iter().enumerate() {
            out[start + k * inner] = y;
        }
    }
    out
}

fn bits(x: &[f64]) -> Vec<u64> {
    x.iter().map(|x| if x.is_nan() { 0 } else { x.to_bits() }).collect()
}

#[test]
fn every_dimension_on_every_number_of_threads() {
    let shapes: [&[usize]; 9] =
        [&[0], &[1], &[50], &[300, 7], &[901, 100], &[40_000, 3], &[3, 500, 70], &[2, 0, 3], &[5, 1, 4]];
    for x in shapes.map(numbers) {
        for dim in 0..x.ndim() {
            let sums = |line: &[f64]| {
                let mut sum = -0.0;
                line.iter()
                    .map(|x| {
                        sum += x;
                        sum
                    })
                    .collect()
            };
            let backwards = |line: &[f64]| {
                let mut line: Vec<f64> = sums(&line.iter().rev().copied().collect::<Vec<_>>());
                line.reverse();
                line
            };
            let extremes = |smallest: bool| {
                move |line: &[f64]| {
                    let mut best = 0;
                    let over = |x: f64, b: f64| x.is_nan() || if smallest { x <= b } else { x >= b };
                    (0..line.len())
                        .map(|k| {
                            best = if over(line[k], line[best]) { k } else { best };
                            best as i64
                        })
                        .collect::<Vec<_>>()
                }
            };
            for threads in [1, 2, 3] {
                rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(|| {
                    let (shape, of) =
                        (x.shape(), |reverse| cumsum("test", &x, dim, reverse).unwrap().to_vec());
                    assert_eq!(bits(&of(false)), bits(&lines(&x, dim, sums)), "{shape:?} along {dim}");
                    assert_eq!(bits(&of(true)), bits(&lines(&x, dim, backwards)), "{shape:?} along {dim}");
                    for smallest in [false, true] {
                        let places = cum_arg_extreme("test", &x, dim, smallest).unwrap().to_vec();
                        assert_eq!(places, lines(&x, dim, extremes(smallest)), "{shape:?} along {dim}");
                    }
                });
            }
        }
    }
}
