//! Tensors and graphs across threads.

use std::thread;
use tapegrad::prelude::*;
use tapegrad::{Array, GradOptions};

const _: () = {
    const fn shared<T: Send + Sync>() {}
    shared::<Tensor<f64>>();
    shared::<Tensor<bool>>();
    shared::<Array<f32>>();
    shared::<Error>();
    shared::<Device>();
    shared::<GradOptions<f64>>();
};

fn loss(x: &Tensor, k: usize) -> Tensor {
    (x * (k as f64 + 1.0)).sin().square().sum()
}

#[test]
fn sixteen_threads_differentiate_as_one_does() {
    let _alone = crate::alone();
    let x = linspace(0.1, 2.0, 50).unwrap();
    let gradient = |k: usize| value_and_grad(|x| Ok(loss(x, k)), &x).unwrap().1.to_vec();
    let alone: Vec<Vec<f64>> = (0..16).map(gradient).collect();
    thread::scope(|s| {
        let threads: Vec<_> =
            (0..16).map(|k| s.spawn(move || (0..200).map(|_| gradient(k)).collect::<Vec<_>>())).collect();
        for (k, t) in threads.into_iter().enumerate() {
            for together in t.join().unwrap() {
                assert_eq!(together, alone[k]);
            }
        }
    });
}

#[test]
fn a_shared_leaf_loses_nothing() {
    let _alone = crate::alone();
    let w = Tensor::ones([8]).requires_grad();
    thread::scope(|s| {
        for k in 0..16 {
            let w = &w;
            s.spawn(move || {
                for _ in 0..1000 {
                    (w * k as f64).sum().backward().unwrap();
                }
            });
        }
    });
    // 1000 (0 + 1 + .. + 15), exact in any order.
    assert_eq!(w.grad().unwrap().to_vec(), [120_000.0; 8]);
}

#[test]
fn a_graph_begun_on_one_thread_is_finished_on_others() {
    let _alone = crate::alone();
    let x = Tensor::scalar(2.0).requires_grad();
    let first = thread::scope(|s| s.spawn(|| x.square()).join().unwrap());
    let second = thread::scope(|s| s.spawn(|| &first * &x).join().unwrap());
    // Both recording threads are gone.
    thread::scope(|s| s.spawn(|| second.backward().unwrap()).join().unwrap());
    assert_eq!(x.grad().unwrap().item().unwrap(), 12.0);
    let parts: Vec<Tensor> =
        (1..5).map(|k| thread::scope(|s| s.spawn(|| x.powf(f64::from(k))).join().unwrap())).collect();
    let total = parts.into_iter().reduce(|a, b| a + b).unwrap();
    let g = grad(&total, [&x]).unwrap().remove(0).unwrap();
    assert_eq!(g.item().unwrap(), 1.0 + 4.0 + 12.0 + 32.0);
}

#[test]
fn no_grad_is_a_matter_of_one_thread() {
    let _alone = crate::alone();
    let x = Tensor::scalar(2.0).requires_grad();
    no_grad(|| {
        assert!(!x.exp().is_tracked());
        let tracked = thread::scope(|s| s.spawn(|| x.exp().is_tracked()).join().unwrap());
        assert!(tracked);
    });
}
