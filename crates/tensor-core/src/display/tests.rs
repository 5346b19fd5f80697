//! What PyTorch 2.15 prints, with f64 as its default type. Its `torch.float32` is `f32` here.

use super::{PrintOptions, print_options, with_print_options};
use crate::array::Array;
use crate::element::Element;
use std::fmt;

const NAN: f64 = f64::NAN;
const INF: f64 = f64::INFINITY;

struct Named<'a, T: Element>(&'a Array<T>, &'static str);

impl<T: Element> fmt::Display for Named<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.write_as(f, "tensor", self.1, false)
    }
}

#[track_caller]
fn prints<T: Element>(
    data: Vec<T>,
    shape: &[usize],
    options: PrintOptions,
    extra: &'static str,
    expected: &str,
) {
    let x = Array::from_vec(data, shape).unwrap();
    assert_eq!(with_print_options(options, || Named(&x, extra).to_string()), expected);
}

#[test]
fn floats() {
    let default = PrintOptions::default();
    for (data, expected) in [
        (vec![1.0, -2.0, 0.0], "tensor([ 1., -2.,  0.])"),
        (vec![-0.0, 0.0], "tensor([-0., 0.])"),
        (vec![1e-5, 1.0], "tensor([1.0000e-05, 1.0000e+00])"),
        (vec![1.0, 1001.0], "tensor([1.0000e+00, 1.0010e+03])"),
        (vec![1e9, 2e9], "tensor([1.0000e+09, 2.0000e+09])"),
        (vec![NAN, 1.5, -INF], "tensor([   nan, 1.5000,   -inf])"),
    ] {
        prints(data.clone(), &[data.len()], default, "", expected);
    }
    prints(vec![3.5], &[], default, "", "tensor(3.5000)");
    let scientific = PrintOptions { scientific: Some(true), ..default };
    prints(vec![NAN, 0.0, -INF], &[3], scientific, "", "tensor([nan, 0., -inf])");
    let coarse = PrintOptions { precision: 1, ..scientific };
    prints(vec![0.5, 1.0], &[2], coarse, "", "tensor([5.0e-01, 1.0e+00])");
    let fixed = PrintOptions { scientific: Some(false), precision: 2, ..default };
    prints(vec![0.5, 12345.0], &[2], fixed, "", "tensor([    0.50, 12345.00])");
}

#[test]
fn integers_and_truth_values() {
    let default = PrintOptions::default();
    prints(vec![1, -20, 300, 4], &[2, 2], default, "", "tensor([[  1, -20],\n        [300,   4]])");
    prints(vec![true, false], &[2], default, "", "tensor([ True, False])");
    let four = "tensor([[[[ 0,  1,  2],\n          [ 3,  4,  5]]],\n\n\n        [[[ 6,  7,  8],\n          [ 9, 10, 11]]]])";
    prints((0..12).collect::<Vec<i64>>(), &[2, 1, 2, 3], default, "", four);
}

#[test]
fn suffixes() {
    let default = PrintOptions::default();
    prints(Vec::<i64>::new(), &[0], default, "", "tensor([], dtype=i64)");
    prints(Vec::<f32>::new(), &[2, 0], default, "", "tensor([], size=(2, 0), dtype=f32)");
    prints(Vec::<f64>::new(), &[0], default, "requires_grad=True", "tensor([], requires_grad=True)");
    let both = "tensor([0.1000, 2.0000], dtype=f32, requires_grad=True)";
    prints(vec![0.1f32, 2.0], &[2], default, "requires_grad=True", both);
    let sevenths: Vec<f64> = (0..8).map(|k| f64::from(k) / 7.0).collect();
    let narrow = "tensor([0.0000, 0.1429, 0.2857, 0.4286,\n        0.5714, 0.7143, 0.8571, 1.0000])";
    prints(sevenths.clone(), &[8], PrintOptions { line_width: 40, ..default }, "", narrow);
    let tracked = "tensor([0.0000, 0.1429, 0.2857, 0.4286, 0.5714, 0.7143,\n        0.8571, 1.0000], requires_grad=True)";
    prints(sevenths, &[8], PrintOptions { line_width: 60, ..default }, "requires_grad=True", tracked);
}

#[test]
fn large_tensors_are_shortened() {
    let default = PrintOptions::default();
    let counting = |n: i64| (0..n).collect::<Vec<i64>>();
    let ends = "tensor([   0,    1,    2,  ..., 1997, 1998, 1999])";
    prints(counting(2000), &[2000], default, "", ends);
    let floats: Vec<f64> = (0..2000).map(f64::from).collect();
    let short = "tensor([0.00e+00, 1.00e+00,  ..., 2.00e+03, 2.00e+03])";
    prints(floats, &[2000], PrintOptions::short(), "", short);
    let corners = "tensor([[[ 0,  ...,  2],\n         ...,\n         [ 6,  ...,  8]],\n\n        ...,\n\n        [[18,  ..., 20],\n         ...,\n         [24,  ..., 26]]])";
    let few = PrintOptions { threshold: 5, edge_items: 1, ..default };
    prints(counting(27), &[3, 3, 3], few, "", corners);
    let none = PrintOptions { edge_items: 0, ..few };
    prints(counting(6), &[6], none, "", "tensor([...], size=(6,))");
    let x = Array::from_vec(counting(2000), &[2000]).unwrap();
    let full = with_print_options(PrintOptions::full(), || x.to_string());
    assert_eq!(full.matches(',').count(), 1999);
}

#[test]
fn options_in_a_scope_end_with_it() {
    let before = print_options();
    let inner = std::panic::catch_unwind(|| {
        with_print_options(PrintOptions::short(), || {
            with_print_options(PrintOptions::full(), || assert_eq!(print_options(), PrintOptions::full()));
            assert_eq!(print_options(), PrintOptions::short());
            panic!("as expected");
        })
    });
    assert!(inner.is_err());
    assert_eq!(print_options(), before);
}
