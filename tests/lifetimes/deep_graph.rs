//! Graphs far deeper than any stack: recorded, differentiated and dropped on a thread of 256 KiB.

use crate::alone;
use proptest::test_runner::TestRunner;
use proptest::{prelude::Just, strategy::Strategy, strategy::ValueTree};
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use tapegrad::prelude::*;
use tapegrad::{Array, Keep, Kept, Op, apply, grad_with, memory, tape};

const STACK: usize = 256 << 10;

/// Runs `f` on a thread with a small stack, after which nothing may be left: no node on the
/// thread's tape, and no buffer.
fn on_a_small_stack(f: impl FnOnce() -> Result<()> + Send + 'static) {
    let _alone = alone();
    let before = memory::stats().live;
    let body = move || {
        f().unwrap();
        assert_eq!(tape::nodes(), 0, "nodes outlive the graph");
    };
    std::thread::Builder::new().stack_size(STACK).spawn(body).unwrap().join().unwrap();
    assert_eq!(memory::stats().live, before, "buffers outlive the graph");
}

/// `steps` multiplications by `factor`.
fn scaled(x: &Tensor, factor: f64, steps: usize) -> Tensor {
    let mut y = x.clone();
    for _ in 0..steps {
        y *= factor;
    }
    y
}

/// The handles of a chain of `steps` nodes, the oldest first.
fn handles(x: &Tensor, steps: usize) -> Vec<Tensor> {
    let mut all = vec![x * 1.0];
    for k in 1..steps {
        all.push(&all[k - 1] * 1.0);
    }
    all
}

#[test]
fn ten_million_nodes() {
    const N: usize = 10_000_000;
    const FACTOR: f64 = 1.0 + 1e-7;
    on_a_small_stack(|| {
        let x = Tensor::scalar(1.0).requires_grad();
        let y = scaled(&x, FACTOR, N);
        assert_eq!(tape::nodes(), N);
        y.backward()?;
        assert_eq!(tape::nodes(), 0, "backward consumes the graph, not the drop after it");
        let expected = (0..N).fold(1.0, |d, _| d * FACTOR);
        assert_eq!(x.grad().unwrap().item()?, expected);
        assert_eq!(y.item()?, expected);
        Ok(())
    });
    on_a_small_stack(|| {
        let x = Tensor::scalar(1.0).requires_grad();
        let y = scaled(&x, FACTOR, N);
        assert_eq!(tape::nodes(), N);
        drop(y);
        assert!(x.grad().is_none());
        Ok(())
    });
}

#[test]
fn a_leaf_used_by_every_one_of_a_million_nodes() {
    const N: i32 = 1_000_000;
    on_a_small_stack(|| {
        let x = Tensor::scalar(1.0 + 1e-6).requires_grad();
        let mut y = x.clone();
        for _ in 1..N {
            y = &y * &x;
        }
        y.backward()?;
        let expected = f64::from(N) * x.item()?.powi(N - 1);
        assert!((x.grad().unwrap().item()? / expected - 1.0).abs() < 1e-9);
        Ok(())
    });
}

#[test]
fn a_graph_that_is_kept_is_dropped_with_its_last_handle() {
    const N: usize = 1_000_000;
    on_a_small_stack(|| {
        let x = Tensor::scalar(1.0).requires_grad();
        let y = scaled(&x, 1.0, N);
        y.backward_with(None, true)?;
        assert_eq!(tape::nodes(), N);
        y.backward_with(None, true)?;
        assert_eq!(x.grad().unwrap().item()?, 2.0);
        Ok(())
    });
}

#[test]
fn a_walk_that_stops_halfway_leaves_the_rest_to_the_drop() {
    const N: usize = 500_000;
    on_a_small_stack(|| {
        let x = Tensor::scalar(1.0).requires_grad();
        let middle = scaled(&x, 1.0, N);
        let y = scaled(&middle, 1.0, N);
        let g = grad(&y, [&middle])?.remove(0).unwrap();
        assert_eq!(g.item()?, 1.0);
        assert_eq!(tape::nodes(), N);
        Ok(())
    });
}

#[test]
fn handles_dropped_in_every_order() {
    const N: usize = 300_000;
    for differentiated in [false, true] {
        let chain = move || -> Result<Vec<Tensor>> {
            let x = Tensor::scalar(1.0).requires_grad();
            let all = handles(&x, N);
            if differentiated {
                all[N - 1].backward()?;
                assert_eq!(x.grad().unwrap().item()?, 1.0);
            }
            Ok(all)
        };
        on_a_small_stack(move || {
            chain()?.into_iter().for_each(drop);
            Ok(())
        });
        on_a_small_stack(move || {
            chain()?.into_iter().rev().for_each(drop);
            Ok(())
        });
        on_a_small_stack(move || {
            let mut runner = TestRunner::deterministic();
            let shuffled = Just(chain()?).prop_shuffle().new_tree(&mut runner).unwrap().current();
            shuffled.into_iter().for_each(drop);
            Ok(())
        });
    }
}

#[test]
fn a_wide_node_and_its_many_parents() {
    const N: usize = 200_000;
    on_a_small_stack(|| {
        let x = Tensor::from([1.0, 2.0]).requires_grad();
        let parts: Vec<Tensor> = (0..N).map(|_| &x * 1.0).collect();
        let y = Tensor::cat(&parts.iter().collect::<Vec<_>>(), 0)?;
        drop(parts);
        y.sum().backward()?;
        assert_eq!(x.grad().unwrap().to_vec(), [N as f64; 2]);
        Ok(())
    });
}

#[test]
fn second_derivatives_of_a_deep_chain() {
    const N: usize = 200_000;
    on_a_small_stack(|| {
        let x = Tensor::scalar(1.0).requires_grad();
        let mut y = x.clone();
        for _ in 0..N {
            y = y.sin();
        }
        let create = GradOptions { create_graph: true, ..Default::default() };
        let slope = grad_with(&y, [&x], create)?.remove(0).unwrap();
        let curvature = grad(&slope, [&x])?.remove(0).unwrap();
        // sin(y)' = cos(y) y',  sin(y)'' = cos(y) y'' - sin(y) y'^2
        let (mut v, mut d, mut dd) = (1.0f64, 1.0f64, 0.0f64);
        for _ in 0..N {
            (v, d, dd) = (v.sin(), v.cos() * d, v.cos() * dd - v.sin() * d * d);
        }
        assert!((y.item()? / v - 1.0).abs() < 1e-9);
        assert!((slope.item()? / d - 1.0).abs() < 1e-9);
        assert!((curvature.item()? / dd - 1.0).abs() < 1e-9);
        Ok(())
    });
}

/// The identity, whose rule drops what it holds.
struct DropsInRule(Mutex<Option<Tensor>>);

impl Op<f64, 1> for DropsInRule {
    fn name(&self) -> &'static str {
        "drops_in_rule"
    }
    fn forward(&self, [x]: [&Array<f64>; 1]) -> Result<Array<f64>> {
        Ok(x.clone())
    }
    fn vjp(&self, _: &Kept<'_, f64>, g: Tensor) -> Result<[Option<Tensor>; 1]> {
        let held = self.0.lock().unwrap().take();
        assert!(held.is_some_and(|t| t.is_tracked()));
        Ok([Some(g)])
    }
}

#[test]
fn a_graph_dropped_inside_a_rule() {
    const N: usize = 300_000;
    on_a_small_stack(|| {
        let x = Tensor::scalar(1.0).requires_grad();
        let held = scaled(&x, 1.0, N);
        let y = apply(DropsInRule(Mutex::new(Some(held))), [&x])?;
        assert_eq!(tape::nodes(), N + 1);
        y.backward()?;
        assert_eq!(x.grad().unwrap().item()?, 1.0);
        Ok(())
    });
}

/// x, beside a tensor that the operation owns.
struct Owns(#[expect(dead_code, reason = "held for its drop")] Tensor);

impl Op<f64, 1> for Owns {
    fn name(&self) -> &'static str {
        "owns"
    }
    fn forward(&self, [x]: [&Array<f64>; 1]) -> Result<Array<f64>> {
        Ok(x.clone())
    }
    fn keep(&self, _: [bool; 1]) -> Keep<1> {
        Keep::OUTPUT
    }
    fn vjp(&self, _: &Kept<'_, f64>, g: Tensor) -> Result<[Option<Tensor>; 1]> {
        Ok([Some(g)])
    }
}

#[test]
fn operations_that_own_the_one_before() {
    const N: usize = 300_000;
    for differentiated in [false, true] {
        on_a_small_stack(move || {
            let x = Tensor::scalar(1.0).requires_grad();
            let mut y = &x * 1.0;
            for _ in 0..N {
                y = apply(Owns(y), [&x])?;
            }
            assert_eq!(tape::nodes(), N + 1);
            if differentiated {
                y.backward()?;
                assert_eq!(x.grad().unwrap().item()?, 1.0);
            }
            Ok(())
        });
    }
}

/// The identity; dropping the operation panics where `armed`.
struct PanicsInDrop {
    armed: bool,
}

impl Drop for PanicsInDrop {
    fn drop(&mut self) {
        if self.armed {
            std::panic::resume_unwind(Box::new("dropped"));
        }
    }
}

impl Op<f64, 1> for PanicsInDrop {
    fn name(&self) -> &'static str {
        "panics_in_drop"
    }
    fn forward(&self, [x]: [&Array<f64>; 1]) -> Result<Array<f64>> {
        Ok(x.clone())
    }
    fn vjp(&self, _: &Kept<'_, f64>, g: Tensor) -> Result<[Option<Tensor>; 1]> {
        Ok([Some(g)])
    }
}

#[test]
fn a_panic_while_a_graph_is_dropped_loses_nothing() {
    const N: usize = 100_000;
    on_a_small_stack(|| {
        let x = Tensor::from([1.0, 2.0]).requires_grad();
        let mut y = x.clone();
        for k in 0..N {
            y = apply(PanicsInDrop { armed: k == N / 2 }, [&y])?;
        }
        assert!(catch_unwind(AssertUnwindSafe(|| drop(y))).is_err());
        assert_eq!(tape::nodes(), 0);
        // The thread goes on as before.
        let z = scaled(&x, 1.0, N);
        z.sum().backward()?;
        assert_eq!(x.grad().unwrap().to_vec(), [1.0; 2]);
        Ok(())
    });
}

thread_local! {
    static KEPT: RefCell<Vec<Tensor>> = const { RefCell::new(Vec::new()) };
    static LAST_WORDS: RefCell<Option<LastWords>> = const { RefCell::new(None) };
}

#[test]
fn a_graph_dropped_when_its_thread_ends() {
    const N: usize = 300_000;
    // Destructors run in an order that depends on which thread-local was used first.
    for kept_first in [true, false] {
        let _alone = alone();
        let before = memory::stats().live;
        let body = move || {
            if kept_first {
                KEPT.with_borrow_mut(Vec::clear);
            }
            let x = Tensor::from([1.0, 2.0]).requires_grad();
            let y = &scaled(&x, 1.0, N) * &x;
            KEPT.with_borrow_mut(|kept| kept.push(y));
            assert_eq!(tape::nodes(), N + 1);
        };
        std::thread::Builder::new().stack_size(STACK).spawn(body).unwrap().join().unwrap();
        assert_eq!(memory::stats().live, before);
    }
}

/// Records, differentiates and drops in the destructor of a thread-local.
struct LastWords(Tensor, Arc<Mutex<Vec<f64>>>);

impl Drop for LastWords {
    fn drop(&mut self) {
        let y = scaled(&self.0, 1.0, 100_000).square().sum();
        let g = grad(&y, [&self.0]).unwrap().remove(0).unwrap();
        *self.1.lock().unwrap() = g.to_vec();
    }
}

#[test]
fn a_graph_recorded_when_its_thread_ends() {
    for first in [true, false] {
        let _alone = alone();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let words = heard.clone();
        let body = move || {
            if first {
                LAST_WORDS.with_borrow_mut(|last| assert!(last.is_none()));
            }
            let x = Tensor::from([1.0, 2.0]).requires_grad();
            assert!((&x * 2.0).is_tracked());
            LAST_WORDS.set(Some(LastWords(x, words)));
        };
        std::thread::Builder::new().stack_size(STACK).spawn(body).unwrap().join().unwrap();
        assert_eq!(*heard.lock().unwrap(), [2.0, 4.0]);
    }
}
