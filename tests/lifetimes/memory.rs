//! Nothing leaks, operations keep what their rules read and nothing else, and running out is an error.
//! One test: the counters are the program's.

use crate::allocator;
use std::panic::{AssertUnwindSafe, catch_unwind};
use tapegrad::prelude::*;
use tapegrad::{Array, Kept, Op, apply, formula, kernels, memory, tape};

/// An operation whose rule fails, or panics.
struct Broken {
    panics: bool,
}

impl Op<f64, 1> for Broken {
    fn name(&self) -> &'static str {
        "broken"
    }
    fn forward(&self, [x]: [&Array<f64>; 1]) -> Result<Array<f64>> {
        kernels::map("broken", x, &formula!(|x: f64| x * 2.0))
    }
    fn vjp(&self, _: &Kept<'_, f64>, _: Tensor) -> Result<[Option<Tensor>; 1]> {
        assert!(!self.panics, "this rule panics");
        Err(Error::argument("broken", "this rule fails"))
    }
}

type Many = fn(&[Tensor]) -> Result<Tensor>;

/// How many elements each of the two inputs of [`KEPT`] has.
const N: usize = 1024;

/// What an operation on x and y of N elements each may keep, in tensors of N f64, and which its rule
/// reads: x and y the inputs, z the result. A mask takes an eighth, an index a whole.
const KEPT: &[(f64, &str, &str, Many)] = &[
    // Linear: the rule reads nothing.
    (0.0, "", "neg", |x| Ok(-&x[0])),
    (0.0, "", "x + y", |x| x[0].try_add(&x[1])),
    (0.0, "", "x - y", |x| x[0].try_sub(&x[1])),
    (0.0, "", "3 x + 2", |x| Ok(&x[0] * 3.0 + 2.0)),
    (0.0, "", "sum", |x| Ok(x[0].sum())),
    (0.0, "", "mean", |x| Ok(x[0].mean())),
    (0.0, "", "cumsum", |x| x[0].cumsum(0)),
    (0.0, "", "reshape", |x| x[0].reshape([32, 32])?.t()?.contiguous().flatten().select(0, 3)),
    (0.0, "", "slice", |x| x[0].slice(s![..;-2])),
    (0.0, "", "cat", |x| Tensor::cat(&[&x[0], &x[1]], 0)),
    (0.0, "", "flip and roll", |x| x[0].flip(0)?.roll([3], [0])),
    (0.0, "", "pad", |x| x[0].pad([1, 1], 0.0)),
    (0.0, "", "expand", |x| x[0].expand([3, N])),
    (0.0, "", "diagonal", |x| x[0].reshape([32, 32])?.diagonal(0, 0, 1)),
    (0.0, "", "cast", |x| Ok(x[0].cast::<f32>().cast())),
    (0.0, "", "round", |x| Ok(x[0].round().sign().floor())),
    // The result, where the derivative is a function of it.
    (1.0, "z", "exp", |x| Ok(x[0].exp())),
    (1.0, "z", "sqrt", |x| Ok(x[0].sqrt())),
    (1.0, "z", "rsqrt", |x| Ok(x[0].rsqrt())),
    (1.0, "z", "reciprocal", |x| Ok(x[0].reciprocal())),
    (1.0, "z", "tan", |x| Ok(x[0].tan())),
    (1.0, "z", "relu", |x| Ok(x[0].relu())),
    (1.0, "z", "softmax", |x| x[0].softmax(0)),
    (1.0, "z", "log_softmax", |x| x[0].log_softmax(0)),
    (1.0, "z", "inverse", |x| (x[0].reshape([32, 32])? + Tensor::eye(32)).inverse()),
    // The input, where it is a function of that.
    (1.0, "x", "log", |x| Ok(x[0].log())),
    (1.0, "x", "log1p", |x| Ok(x[0].log1p())),
    (1.0, "x", "square", |x| Ok(x[0].square())),
    (1.0, "x", "powf", |x| Ok(x[0].powf(1.5))),
    (1.0, "x", "sin", |x| Ok(x[0].sin())),
    (1.0, "x", "atan", |x| Ok(x[0].atan())),
    (1.0, "x", "cosh", |x| Ok(x[0].cosh())),
    (1.0, "x", "expm1", |x| Ok(x[0].expm1())),
    (1.0, "x", "tanh", |x| Ok(x[0].tanh())),
    (1.0, "x", "sigmoid", |x| Ok(x[0].sigmoid())),
    (1.0, "x", "erf", |x| Ok(x[0].erf())),
    (1.0, "x", "lgamma", |x| Ok(x[0].lgamma())),
    (1.0, "x", "softplus", |x| Ok(x[0].softplus())),
    (1.0, "x", "silu", |x| Ok(x[0].silu())),
    (1.0, "x", "gelu", |x| Ok(x[0].gelu())),
    (1.0, "x", "abs", |x| Ok(x[0].abs())),
    (1.0, "x", "clamp", |x| Ok(x[0].clamp(0.2, 0.8))),
    (1.0, "x", "var", |x| Ok(x[0].var())),
    (1.0, "x", "std", |x| Ok(x[0].std())),
    (1.0, "x", "max", |x| x[0].max()),
    (1.0, "x", "logsumexp", |x| x[0].logsumexp(0, false)),
    (1.0, "x", "vector_norm", |x| x[0].vector_norm(2.0, 0, false)),
    (1.0, "x", "x x", |x| Ok(&x[0] * &x[0])),
    // Two inputs: each is read for the other.
    (2.0, "x y", "x y", |x| x[0].try_mul(&x[1])),
    (2.0, "x y", "x / y", |x| x[0].try_div(&x[1])),
    (2.0, "x y", "pow", |x| x[0].pow(&x[1])),
    (2.0, "x y", "maximum", |x| x[0].maximum(&x[1])),
    (2.0, "x y", "atan2", |x| x[0].atan2(&x[1])),
    (2.0, "x y", "hypot", |x| x[0].hypot(&x[1])),
    (2.0, "x y", "xlogy", |x| x[0].xlogy(&x[1])),
    (2.0, "x y", "logaddexp", |x| x[0].logaddexp(&x[1])),
    (2.0, "x y", "mm", |x| x[0].reshape([32, 32])?.mm(&x[1].reshape([32, 32])?)),
    (2.0, "x y", "dot", |x| x[0].dot(&x[1])),
    (1.0, "c", "c x, c a constant", |x| x[0].try_mul(&x[1].detach())),
    (1.0, "c", "x / c, c a constant", |x| x[0].try_div(&x[1].detach())),
    (1.0, "C", "C X, C a constant", |x| x[0].reshape([32, 32])?.detach().mm(&x[1].reshape([32, 32])?)),
    // Masks and indices.
    (0.125, "the mask", "where_cond", |x| x[0].lt(0.5)?.where_cond(&x[0], &x[1])),
    (0.125, "the mask", "masked_fill", |x| x[0].masked_fill(&x[0].lt(0.5)?, 0.0)),
    (1.0, "the index", "gather", |x| x[0].gather(0, Tensor::full([N], 7))),
    (1.0, "the index", "scatter_add", |x| x[0].scatter_add(0, Tensor::full([N], 7), &x[1])),
    (1.0, "the order", "sort", |x| Ok(x[0].sort(0, false)?.0)),
    // A stands for its place in the graph: the rule reads its factors instead.
    (3.0, "X LU A", "solve", |x| (x[0].reshape([32, 32])? + Tensor::eye(32)).solve(&x[1].reshape([32, 32])?)),
    (2.0, "A P", "pinv", |x| (x[0].reshape([32, 32])? + Tensor::eye(32)).pinv()),
    (1.0, "x", "prod", |x| Ok(x[0].prod())),
    (1.0, "x", "cumprod", |x| x[0].cumprod(0)),
];

/// What is alive when the inputs and the result are gone and only the graph is left; and what the tape
/// says it keeps.
fn kept(f: Many) -> (usize, usize) {
    let start = memory::stats().live;
    let x: Vec<Tensor> = (0..2).map(|_| (Tensor::rand([N]) * 0.8 + 0.1).requires_grad()).collect();
    // A sum keeps nothing, and its value takes no buffer.
    let _end = f(&x).unwrap().sum();
    drop(x);
    (memory::stats().live - start, tape::stats().kept_bytes)
}

fn operations_keep_what_their_rules_read() {
    let mut wrong = Vec::new();
    for (tensors, what, op, f) in KEPT {
        let allowed = (tensors * (8 * N) as f64) as usize;
        let (alive, counted) = kept(*f);
        // A hundredth less: buffers of one element are none.
        if alive > allowed || alive < allowed / 100 * 99 || counted != alive {
            wrong.push(format!("{op} keeps {alive} bytes, the tape counts {counted}: {allowed}, {what}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Ten operations, of which sin, tanh, square, log1p and sigmoid keep their inputs, exp and sqrt their
/// results, and the others nothing.
fn ten(x: Tensor) -> Tensor {
    let x = -(((x.sin() * 0.5).exp() + 1.0).sqrt().tanh());
    x.square().log1p().sigmoid()
}

/// The peak of a chain of 50 operations on 1M elements, in buffers of 8 MB.
fn chains_take_what_is_kept_and_two_buffers() {
    const BUFFER: usize = 8_000_000;
    let x = Tensor::rand([1_000_000]).requires_grad();
    let start = memory::stats().live;
    memory::reset_peak();
    let mut y = x.clone();
    for _ in 0..5 {
        y = ten(y);
    }
    let y = y.sum();
    // A square root and the tanh of it keep the same buffer: 6 for each ten. The input of the first sine is
    // the caller's.
    let kept = tape::stats().kept_bytes - BUFFER;
    assert_eq!(kept, 29 * BUFFER);
    y.backward().unwrap();
    let peak = memory::stats().peak - start;
    assert!(peak <= kept + 2 * BUFFER, "{peak} bytes");
    assert!(peak > kept, "a chain that keeps nothing would prove nothing");
}

type One = fn(&Tensor) -> Result<Tensor>;

/// Ten times as many small matrices take no more allocations, but for what the threads' queues take.
fn batches_of_small_matrices_allocate_nothing_for_each() {
    let operations: [(&str, One); 9] = [
        ("matmul", |a| a.matmul(a)),
        ("inverse", |a| a.inverse()),
        ("det", |a| a.det()),
        ("gradient of det", |a| Ok(value_and_grad(|a: &Tensor| Ok(a.det()?.sum()), a)?.1)),
        ("solve", |a| a.solve(&Tensor::ones([a.size(0)?, a.size(1)?]))),
        ("cholesky", |a| a.cholesky(false)),
        ("qr", |a| Ok(a.qr()?.0)),
        ("eigh", |a| a.eigvalsh()),
        ("svd", |a| a.svdvals()),
    ];
    for n in [3, 8, 32] {
        let asked = |f: One, batch: usize| {
            let low = Tensor::rand([batch, n, n]).tril(-1).unwrap();
            let a = &low + low.mt().unwrap() + Tensor::eye(n) * (2 * n) as f64;
            (0..5)
                .map(|_| {
                    let start = allocator::asked();
                    f(&a).unwrap();
                    allocator::asked() - start
                })
                .min()
                .unwrap()
        };
        for (name, f) in operations {
            let (few, many) = (asked(f, 100), asked(f, 1000));
            assert!(many <= few + 64, "{name} {n} x {n}: {few} allocations for 100, {many} for 1000");
        }
    }
}

fn live() -> (usize, usize) {
    (memory::stats().live, tape::nodes())
}

#[test]
fn memory_comes_back() {
    let _alone = crate::alone();
    operations_keep_what_their_rules_read();
    chains_take_what_is_kept_and_two_buffers();
    batches_of_small_matrices_allocate_nothing_for_each();

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
        let g = grad_with(&loss, [&x], options).unwrap().remove(0).unwrap();
        let gg = grad(&g.square().sum(), [&x]).unwrap();
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
    let e = Tensor::try_zeros::<f64>([1usize << 50]).unwrap_err();
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
