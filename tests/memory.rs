//! Nothing leaks, and running out is an error. One test: the counters are the program's.

use std::panic::{AssertUnwindSafe, catch_unwind};
use tapegrad::prelude::*;
use tapegrad::{Array, Kept, Op, apply, kernels, memory, tape};

/// An operation whose rule fails, or panics.
struct Broken {
    panics: bool,
}

impl Op<f64, 1> for Broken {
    fn name(&self) -> &'static str {
        "broken"
    }
    fn forward(&self, [x]: [&Array<f64>; 1]) -> Result<Array<f64>> {
        kernels::map("broken", x, |x| 2.0 * x)
    }
    fn vjp(&self, _: &Kept<'_, f64, 1>, _: Tensor) -> Result<[Option<Tensor>; 1]> {
        assert!(!self.panics, "this rule panics");
        Err(Error::argument("broken", "this rule fails"))
    }
}

fn live() -> (usize, usize) {
    (memory::stats().live, tape::nodes())
}

#[test]
fn memory_comes_back() {
    let a = Tensor::rand([200, 100]);
    let y = Tensor::rand([200]);
    let x = Tensor::rand([100]).requires_grad();
    let start = live();

    for _ in 0..20 {
        (&y - &a.mv(&x).unwrap()).square().sum().backward().unwrap();
        least_squares_loss(&a, &x, &y).unwrap().backward().unwrap();
        x.zero_grad();
    }
    assert_eq!(live(), start, "training loop");

    for _ in 0..5 {
        let loss = x.sin().square().sum();
        let options = GradOptions { create_graph: true, ..Default::default() };
        let g = grad_with(&loss, &[&x], options).unwrap().remove(0).unwrap();
        let gg = grad(&g.square().sum(), &[&x]).unwrap();
        assert!(gg[0].is_some());
    }
    hessian(|x| Ok(x.sin().sum()), &Tensor::rand([20])).unwrap();
    assert_eq!(live(), start, "second order");

    for panics in [false, true] {
        let broken = || apply(Broken { panics }, [&x.exp()])?.sum().backward();
        let ended = catch_unwind(AssertUnwindSafe(broken));
        assert!(ended.map_or(panics, |result| result.is_err()));
    }
    assert!(x.grad().is_none());
    assert_eq!(live(), start, "rules that fail");

    let e = x.try_add(&Tensor::ones([3])).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Shape);
    drop(e);
    assert_eq!(live(), start, "errors");

    // One million elements: owned temporaries are overwritten, so a chain takes two buffers.
    let big = Tensor::rand([1_000_000]);
    memory::reset_peak();
    let before = memory::stats().live;
    let end = ((((&big * 2.0) + 1.0) * 3.0 - 0.5) * &big) + &big;
    assert!(memory::stats().peak - before < 2 * 8_000_000);
    drop((end, big));
    assert_eq!(live(), start, "large tensors");
    assert!(memory::stats().cached >= 8_000_000);
    memory::trim();
    assert_eq!(memory::stats().cached, 0);

    // A constant matrix takes no gradient: nothing of its size is ever formed.
    let a = Tensor::rand([2000, 100]);
    let y = Tensor::rand([2000]);
    memory::reset_peak();
    let before = memory::stats().live;
    (&y - &a.mv(&x).unwrap()).square().sum().backward().unwrap();
    assert!(memory::stats().peak - before < 8 * 2000 * 100 / 2);

    // What no memory can hold.
    let e = Tensor::try_zeros::<f64>([1 << 50]).unwrap_err();
    assert!(matches!(e.kind(), ErrorKind::OutOfMemory { .. }), "{e}");
    assert!(Tensor::try_zeros::<f64>([usize::MAX, usize::MAX]).is_err());
    let wide = Tensor::scalar(1.0).expand([1usize << 50]).unwrap();
    let e = memory::try_run(|| Ok(wide.exp())).unwrap_err();
    assert!(matches!(e.kind(), ErrorKind::OutOfMemory { .. }), "{e}");
    assert_eq!(e.op(), "exp");
    assert_eq!(e.location().unwrap().file(), file!());
    let panic = catch_unwind(AssertUnwindSafe(|| memory::try_run(|| -> Result<()> { panic!("mine") })));
    assert!(panic.is_err());
}
