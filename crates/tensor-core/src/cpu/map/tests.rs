//! Operands of every layout, beside their row-major copies.

use super::*;
use crate::formula;
use crate::formula::Spreading;

/// 0, 1, 2, .. from `first` on.
fn counted<T: Element>(shape: &[usize], of: impl Fn(usize) -> T) -> Array<T> {
    Array::from_vec((0..shape.iter().product()).map(of).collect(), shape).unwrap()
}

/// Arrays that are or are broadcast to `[.., rows, columns]`, of every layout.
fn layouts<T: Element>(shape: &[usize], of: impl Fn(usize) -> T + Copy) -> Vec<Array<T>> {
    let n = shape.len();
    let [rows, columns] = [shape[n - 2], shape[n - 1]];
    let lead = &shape[..n - 2];
    let with = |rest: &[usize]| counted(&[lead, rest].concat(), of);
    let back: Vec<usize> = (0..n - 2).chain([n - 1, n - 2]).collect();
    let turned = with(&[columns, rows]).permute("test", &back).unwrap();
    let wide = with(&[rows, 3 * columns]);
    vec![
        with(&[rows, columns]),
        turned.clone(),
        turned.slice("test", n - 2, rows - 1, -1, rows).unwrap(),
        turned.slice("test", n - 1, columns - 1, -1, columns).unwrap(),
        wide.slice("test", n - 1, 1, 3, columns).unwrap(),
        wide.slice("test", n - 1, columns, -1, columns).unwrap(),
        counted(&[columns], of),
        counted(&[rows, 1], of),
        counted(&[rows, columns], of),
        counted(&[columns, rows], of).permute("test", &[1, 0]).unwrap(),
        with(&[rows, 1]),
        with(&[1, columns]),
        counted(&[1, 1], of),
        Array::repeat(&[rows, columns], of(3)).unwrap(),
    ]
}

/// The elements, broadcast to a shape.
fn row_major<T: Element>(x: &Array<T>, shape: &[usize]) -> Vec<T> {
    x.expand("test", shape).unwrap().to_vec()
}

/// Below the size of a block, tiles that are whole and not, lines longer than a block and than a tile, several threads.
const SHAPES: [&[usize]; 9] = [
    &[2, 3],
    &[5, 40],
    &[16, 128],
    &[33, 300],
    &[70, 2100],
    &[300, 100],
    &[20_000, 3],
    &[3, 20, 150],
    &[40, 3, 700],
];

#[test]
fn operands_of_every_layout_are_what_their_copies_are() {
    for shape in SHAPES {
        let of = |k: usize| k as f64;
        for a in layouts(shape, of) {
            for b in layouts(shape, |k| 0.5 * of(k)) {
                let (x, y) = (row_major(&a, shape), row_major(&b, shape));
                let full = a.expand("test", shape).unwrap();
                let right: Vec<f64> = x.iter().zip(&y).map(|(a, b)| a - b * 3.0).collect();
                let (plain, spreading) = (
                    formula!(|a: f64, b: f64| a - b * 3.0),
                    Spreading(formula!(|a: f64, b: f64| a - b * 3.0)),
                );
                let formulas: [&dyn Formula<(f64, f64), f64>; 2] = [&plain, &spreading];
                for f in formulas {
                    let z = zip("test", &full, &b, f).unwrap();
                    assert!(z.to_vec() == right, "{shape:?} {:?} {:?}", a.layout(), b.layout());
                    let z = zip("test", &a, &b, f).unwrap();
                    assert!(row_major(&z, shape) == right, "{shape:?} {:?} {:?}", a.layout(), b.layout());
                }
                let owned = counted(shape, of);
                let place = owned.storage().as_ptr();
                let z = zip_owned("test", owned, &b, &Spreading(formula!(|a: f64, b: f64| a - b))).unwrap();
                assert!(z.storage().len() == 1 || z.storage().as_ptr() == place, "written over its operand");
                let right: Vec<f64> = y.iter().enumerate().map(|(k, y)| of(k) - y).collect();
                assert!(z.to_vec() == right, "{shape:?} {:?}", b.layout());
            }
        }
    }
}

#[test]
fn three_operands_of_several_types_are_what_their_copies_are() {
    for shape in SHAPES {
        let masks = layouts(shape, |k| k % 3 == 0);
        for (c, a) in masks.iter().zip(layouts(shape, |k| k as f32).iter().rev()) {
            for b in layouts(shape, |k| -(k as f32)) {
                let f = formula!(|a: f32, b: f32, c: f32| a * c + b);
                let z = zip3_owned("test", counted(shape, |k| k as f32), a, &b, &f).unwrap();
                let (y, w) = (row_major(a, shape), row_major(&b, shape));
                assert!(
                    z.to_vec().iter().enumerate().all(|(k, &z)| z == k as f32 * w[k] + y[k]),
                    "{shape:?}"
                );
                let z = zip3(
                    "test",
                    c,
                    a,
                    &b,
                    &crate::formula::on_cpu(|c: bool, a: f32, b: f32| if c { a } else { b }),
                );
                let z = z.unwrap().expand("test", shape).unwrap().to_vec();
                let c = row_major(c, shape);
                assert!((0..z.len()).all(|k| z[k] == if c[k] { y[k] } else { w[k] }), "{shape:?}");
            }
        }
    }
}

#[test]
fn nothing_is_written_over_nothing() {
    for (shape, other) in [([0, 3], [1, 3]), ([4, 0], [4, 1]), ([4, 0], [1, 1]), ([0, 3], [0, 1])] {
        let (a, b) = (counted(&shape, |k| k as f64), counted(&other, |k| k as f64));
        let z = zip_owned("test", a.clone(), &b, &formula!(|a: f64, b: f64| a - b)).unwrap();
        assert_eq!(z.shape(), shape);
        let f = formula!(|a: f64, b: f64, c: f64| a - b * c);
        assert_eq!(zip3_owned("test", counted(&shape, |k| k as f64), &b, &a, &f).unwrap().shape(), shape);
        assert_eq!(
            zip_either("test", b.clone(), a, &formula!(|a: f64, b: f64| a - b)).unwrap().shape(),
            shape
        );
    }
}
