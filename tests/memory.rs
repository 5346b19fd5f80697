//! What is live returns to where it began, and running out of memory is an error.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tapegrad::prelude::*;
use tapegrad::{Array, Keep, Kept, Op, apply, enable_grad, is_grad_enabled, kernels, memory, tape_stats};

/// The statistics are those of the whole process: one test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs `f` and checks that no buffer, no node and no changed mode is left.
fn leaves_nothing(f: impl FnOnce() -> Result<()>) {
    let _alone = alone();
    let (live, nodes) = (memory::stats().live, tape_stats().nodes);
    f().unwrap();
    assert_eq!(memory::stats().live, live, "live bytes");
    assert_eq!(tape_stats().nodes, nodes, "nodes");
    assert!(is_grad_enabled(), "recording");
}

fn out_of_memory<R>(result: Result<R>) -> bool {
    matches!(result.err().map(|e| e.kind()), Some(ErrorKind::OutOfMemory { .. }))
}

const CREATE: GradOptions = GradOptions { create_graph: true, retain_graph: false, cotangent: None };

#[test]
fn a_training_loop() {
    leaves_nothing(|| {
        let (a, y) = (Tensor::rand([200, 30]), Tensor::rand([200]));
        let mut w = Tensor::zeros([30]).requires_grad();
        let mut live = Vec::new();
        for _ in 0..100 {
            w.zero_grad();
            let r = &y - a.mv(&w)?;
            let loss = r.square().mean() + w.square().sum() * 1e-3;
            loss.backward()?;
            let g = w.grad().unwrap();
            w.update(|w| Ok(w - g * 0.01))?;
            drop((r, loss));
            assert_eq!(tape_stats().nodes, 0);
            live.push(memory::stats().live);
        }
        assert!(live[1..].iter().all(|&l| l == live[1]), "{live:?}");
        Ok(())
    });
}

#[test]
fn tensors_that_were_never_differentiated() {
    leaves_nothing(|| {
        let w = Tensor::rand([100]).requires_grad();
        for _ in 0..50 {
            let _ = (w.exp() * &w).sum();
        }
        assert_eq!(tape_stats().nodes, 0);
        Ok(())
    });
}

#[test]
fn graphs_of_gradients() {
    leaves_nothing(|| {
        let x = Tensor::rand([50]).requires_grad();
        for _ in 0..20 {
            let y = (x.exp() * x.sin()).sum();
            let g = grad_with(&y, &[&x], CREATE)?.remove(0).unwrap();
            let h = grad_with(&g.square().sum(), &[&x], CREATE)?.remove(0).unwrap();
            assert!(h.is_tracked());
            // The gradient in a leaf's slot is a plain value, also from a tracked cotangent.
            g.backward_with(Some(h), false)?;
            assert!(!x.grad().unwrap().is_tracked());
        }
        Ok(())
    });
}

#[test]
fn the_functional_transforms() {
    leaves_nothing(|| {
        let x = Tensor::rand([6]);
        let f = |x: &Tensor| Ok((x.exp() * x.cumulative()?).sum());
        value_and_grad(f, &x)?;
        hessian(f, &x)?;
        hvp(f, &x, &x)?;
        jacobian(|x| jacobian(|x| Ok(x.sin()), x), &x)?;
        vjp(|x| Ok(x.tanh()), &x, &x)?;
        tapegrad::gradcheck(|x| f(&x[0]), std::slice::from_ref(&x))?;
        tapegrad::gradgradcheck(|x| f(&x[0]), &[x])?;
        Ok(())
    });
}

/// A function of several operations, so that graphs branch.
trait Cumulative: Sized {
    fn cumulative(&self) -> Result<Self>;
}

impl Cumulative for Tensor {
    fn cumulative(&self) -> Result<Tensor> {
        let n = self.numel() as isize;
        let parts: Vec<Tensor> =
            (1..=n).map(|k| Ok(self.narrow(0, 0, k as usize)?.sum())).collect::<Result<_>>()?;
        Tensor::stack(&parts.iter().collect::<Vec<_>>(), 0)
    }
}

/// The identity, whose rule does what it is told.
struct Rule(fn() -> Result<()>);

impl Op<f64, 1> for Rule {
    fn name(&self) -> &'static str {
        "told"
    }
    fn forward(&self, [x]: [&Array<f64>; 1]) -> Result<Array<f64>> {
        kernels::map("told", x, |x| x)
    }
    fn keep(&self, _: [bool; 1]) -> Keep<1> {
        Keep { inputs: [true], output: true }
    }
    fn vjp(&self, _: &Kept<'_, f64, 1>, g: Tensor) -> Result<[Option<Tensor>; 1]> {
        (self.0)()?;
        Ok([Some(g)])
    }
}

/// A graph of three nodes around one whose rule does what it is told, and its gradient.
fn through(rule: fn() -> Result<()>, options: GradOptions) -> Result<()> {
    let x = Tensor::rand([300]).requires_grad();
    let y = apply(Rule(rule), [&x.exp()])?;
    let z = (y.sin() * &x).sum();
    grad_with(&z, &[&x], options).map(drop)
}

#[test]
fn errors_within_rules() {
    leaves_nothing(|| {
        let refuse = || Err(Error::other("refused"));
        for options in [GradOptions::default(), GradOptions { retain_graph: true, ..Default::default() }, CREATE]
        {
            assert_eq!(through(refuse, options).unwrap_err().to_string(), "refused");
        }
        Ok(())
    });
}

#[test]
fn panics_within_closures_and_rules() {
    leaves_nothing(|| {
        // Without the default hook's message: the panics are wanted.
        fn boom<R>() -> R {
            resume_unwind(Box::new("boom"))
        }
        let x = Tensor::rand([300]);
        let closure = |x: &Tensor| {
            let y = x.exp() * x;
            if y.is_tracked() { boom() } else { Ok(y) }
        };
        for _ in 0..10 {
            assert!(catch_unwind(AssertUnwindSafe(|| value_and_grad(closure, &x))).is_err());
            assert!(catch_unwind(AssertUnwindSafe(|| hessian(closure, &x))).is_err());
            assert!(catch_unwind(AssertUnwindSafe(|| no_grad(|| enable_grad(|| closure(&x.clone().requires_grad()))))).is_err());
            assert!(catch_unwind(|| through(boom, GradOptions::default())).is_err());
            assert!(catch_unwind(|| through(boom, CREATE)).is_err());
            let mut w = x.clone().requires_grad();
            assert!(catch_unwind(AssertUnwindSafe(|| w.update(|_| boom()))).is_err());
            assert_eq!(w.to_vec(), x.to_vec());
            w.exp().sum().backward()?;
        }
        Ok(())
    });
}

#[test]
fn mistakes_in_operators() {
    leaves_nothing(|| {
        let (a, b) = (Tensor::rand([300]).requires_grad(), Tensor::rand([299]).requires_grad());
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| ()));
        let caught = catch_unwind(AssertUnwindSafe(|| a.exp() + b.exp()));
        std::panic::set_hook(hook);
        assert!(caught.is_err());
        assert!(a.exp().try_mul(&b.exp()).is_err());
        Ok(())
    });
}

/// The bytes that `f` needs beyond what is live before.
fn peak_of<R>(f: impl FnOnce() -> R) -> usize {
    let before = memory::stats().live;
    memory::reset_peak();
    drop(f());
    memory::stats().peak - before
}

#[test]
fn a_chain_of_owned_operands_works_in_place() {
    let _alone = alone();
    const BYTES: usize = 8 << 20;
    let b = Tensor::rand([1 << 20]);
    let chain = || {
        let x = Tensor::ones([1 << 20]);
        let y = -((x * 2.0 + 1.0) * &b - &b) / 3.0;
        let z = &b + y;
        2.0 - z
    };
    assert_eq!(peak_of(chain), BYTES, "one buffer serves the whole chain");
    let shared = || {
        let x = Tensor::ones([1 << 20]);
        let y = x.clone() * 2.0;
        (x, y)
    };
    assert_eq!(peak_of(shared), 2 * BYTES, "a shared buffer is never written");
}

#[test]
fn a_cotangent_is_worked_on_in_place() {
    let _alone = alone();
    const BYTES: usize = 8 << 20;
    let x = Tensor::rand([1 << 20]).requires_grad();
    let y = ((((&x * 2.0) + 1.0) * 3.0) - 2.0).square();
    let seed = Tensor::ones([1 << 20]);
    // The cotangent given is the caller's; everything after the first rule works in one buffer.
    let walk = || grad_with(&y, &[&x], GradOptions { cotangent: Some(seed.clone()), ..Default::default() });
    let peak = peak_of(walk);
    assert!(peak <= BYTES + (BYTES >> 4), "{peak} bytes for a cotangent of {BYTES}");
}

#[test]
fn the_cache_serves_the_next_buffer_and_gives_its_memory_back() {
    let _alone = alone();
    memory::trim();
    assert_eq!(memory::stats().cached, 0);
    let live = memory::stats().live;
    memory::reset_peak();
    let t = Tensor::ones([1 << 20]);
    let place = t.as_ndarray().as_ptr();
    assert_eq!(memory::stats().live - live, 8 << 20);
    assert_eq!(memory::stats().cached, 0);
    drop(t);
    assert_eq!(memory::stats().cached, 8 << 20);
    assert_eq!(memory::stats().live, live);
    let again = Tensor::zeros([1 << 20]);
    assert_eq!(again.as_ndarray().as_ptr(), place);
    assert_eq!(memory::stats().cached, 0);
    assert_eq!(again.max().unwrap().item().unwrap(), 0.0, "reused memory is cleared");
    drop(again);
    memory::trim();
    assert_eq!(memory::stats().cached, 0);
    assert_eq!(memory::stats().live, live);
}

#[test]
fn the_cache_never_makes_a_program_larger() {
    let _alone = alone();
    memory::trim();
    memory::reset_peak();
    for k in 1..40 {
        let a = Tensor::ones([20_000 * k]);
        let b = &a * 2.0;
        drop(a);
        let stats = memory::stats();
        assert!(stats.live + stats.cached <= stats.peak, "{stats:?}");
        drop(b);
        let stats = memory::stats();
        assert!(stats.live + stats.cached <= stats.peak, "{stats:?}");
    }
    memory::trim();
}

#[test]
fn vectors_change_hands_and_the_count_goes_with_them() {
    leaves_nothing(|| {
        let before = memory::stats().live;
        let t = Tensor::from_vec(vec![1.0; 20_000], [20_000])?;
        assert_eq!(memory::stats().live - before, 160_000);
        let array = t.into_ndarray();
        assert_eq!(memory::stats().live, before, "the vector is the caller's now");
        let t = Tensor::from_ndarray(array);
        assert_eq!(memory::stats().live - before, 160_000);
        let view = t.reshape([200, 100])?.t()?.narrow(0, 3, 7)?;
        drop(t);
        assert_eq!(memory::stats().live - before, 160_000, "a view holds its buffer");
        drop(view);
        Ok(())
    });
}

#[test]
fn sizes_that_nobody_has_are_errors() {
    leaves_nothing(|| {
        const HUGE: usize = 1 << 50;
        assert!(out_of_memory(Tensor::try_zeros::<f64>([HUGE])));
        assert!(out_of_memory(Tensor::try_zeros::<f32>([1 << 25, 1 << 25])));
        assert!(out_of_memory(Tensor::try_zeros::<bool>([HUGE])));
        assert!(out_of_memory(Tensor::try_full([HUGE], 1i64)));
        assert!(out_of_memory(arange(0.0, HUGE as f64, 1.0)));
        assert!(out_of_memory(arange(0, 1 << 50, 1)));
        assert!(out_of_memory(linspace(0.0, 1.0, HUGE)));
        // Products of sizes beyond any number.
        assert!(out_of_memory(Tensor::try_zeros::<f64>([usize::MAX, 2])));
        assert!(out_of_memory(Tensor::try_zeros::<f64>([1 << 40, 1 << 40, 1 << 40])));
        assert!(out_of_memory(Tensor::try_full([usize::MAX], 0.0)));
        assert!(Tensor::from_vec(vec![1.0], [usize::MAX, 3]).is_err());
        assert!(Tensor::ones([4]).reshape([isize::MAX, isize::MAX]).is_err());
        assert!(Tensor::ones([4]).narrow(0, 1, usize::MAX).is_err());
        assert!(Tensor::ones([4]).narrow(0, isize::MIN, 1).is_err());
        assert!(Tensor::scalar(1.0).expand([isize::MAX, isize::MAX]).is_err());
        Ok(())
    });
}

#[test]
fn running_out_is_an_error_under_try_run() {
    leaves_nothing(|| {
        let big = Tensor::scalar(1.0).expand([1 << 25, 1 << 25])?;
        let quiet = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| ()));
        let results = [
            ("zeros", memory::try_run(|| Ok(Tensor::zeros([1 << 50])))),
            ("contiguous", memory::try_run(|| Ok(big.contiguous()))),
            ("exp", memory::try_run(|| Ok(big.exp()))),
            ("add", memory::try_run(|| Ok(&big + &big))),
            ("mul", memory::try_run(|| Ok(&big * 2.0))),
            ("where_cond", memory::try_run(|| Tensor::scalar(true).where_cond(&big, &big))),
            ("cast", memory::try_run(|| Ok(big.cast::<f32>().cast()))),
            ("cat", memory::try_run(|| Tensor::cat(&[&big, &big], 0))),
            ("eye", memory::try_run(|| Ok(Tensor::eye(1 << 25)))),
            ("rand", memory::try_run(|| Ok(Tensor::rand([1 << 50])))),
            ("randn", memory::try_run(|| Ok(Tensor::randn([1 << 50])))),
            ("mm", memory::try_run(|| big.narrow(1, 0, 1)?.mm(&big.narrow(0, 0, 1)?))),
            ("outer", memory::try_run(|| big.row(0)?.outer(&big.row(0)?))),
            ("reshape", memory::try_run(|| Ok(big.t()?.mt()?.flatten().exp()))),
            ("backward", memory::try_run(|| {
                let x = Tensor::scalar(2.0).requires_grad();
                grad(&x.expand([1 << 25, 1 << 25])?.exp().sum(), &[&x])?;
                Ok(x)
            })),
        ];
        std::panic::set_hook(quiet);
        for (name, result) in results {
            assert!(out_of_memory(result), "{name}");
        }
        // Life goes on, and other failures pass.
        assert_eq!(memory::try_run(|| Ok(Tensor::ones([3]).sum()))?.item()?, 3.0);
        let mine: Result<()> = memory::try_run(|| Err(Error::other("mine")));
        assert_eq!(mine.unwrap_err().to_string(), "mine");
        Ok(())
    });
}

#[test]
fn a_caller_retries_with_a_smaller_batch() {
    leaves_nothing(|| {
        let one = Tensor::scalar(1.0);
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| ()));
        let mut batch: isize = 1 << 52;
        let sum = loop {
            match memory::try_run(|| Ok((one.expand([batch])?.exp() * 0.5).sum())) {
                Ok(sum) => break sum,
                Err(e) if matches!(e.kind(), ErrorKind::OutOfMemory { .. }) => batch >>= 44,
                Err(e) => return Err(e),
            }
        };
        std::panic::set_hook(hook);
        assert_eq!(batch, 1 << 8);
        assert!((sum.item()? - 128.0 * 1f64.exp()).abs() < 1e-10);
        Ok(())
    });
}
