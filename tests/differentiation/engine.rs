//! The tape as its users meet it: what accumulates, what is consumed, what an error says, and
//! programs whose course depends on values.

use std::panic::{Location, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use tapegrad::prelude::*;
use tapegrad::shape::Dims;
use tapegrad::{
    Array, Keep, Kept, Layout, Op, OpMany, apply, apply_many, check_op, formula, gradcheck, gradgradcheck,
    kernels, memory, tape,
};

fn create_graph<T: Float>() -> GradOptions<T> {
    GradOptions { create_graph: true, ..Default::default() }
}

/// One gradient, with its own graph.
fn slope(y: &Tensor, x: &Tensor) -> Result<Tensor> {
    Ok(grad_with(y, [x], create_graph())?.remove(0).expect("a gradient"))
}

// Gradients on leaves.

#[test]
fn the_readmes_first_lines() -> Result<()> {
    let x = Tensor::scalar(3.0);
    let w = Tensor::scalar(4.0).requires_grad();
    let b = Tensor::scalar(5.0).requires_grad();
    let y = &w * &x + &b;
    y.backward()?;
    assert_eq!(y.item()?, 17.0);
    assert_eq!((w.grad().unwrap().item()?, b.grad().unwrap().item()?), (3.0, 1.0));
    assert!(x.grad().is_none() && y.grad().is_none());
    Ok(())
}

#[test]
fn gradients_accumulate_until_they_are_zeroed() -> Result<()> {
    let w = Tensor::from([1.0, 2.0]).requires_grad();
    assert!(w.grad().is_none());
    for pass in 1..=3 {
        w.square().sum().backward()?;
        assert_eq!(w.grad().unwrap().to_vec(), [2.0 * pass as f64, 4.0 * pass as f64]);
    }
    assert_eq!(w.clone().grad().unwrap().to_vec(), [6.0, 12.0], "clones are the same leaf");
    assert!(w.detach().grad().is_none());
    w.zero_grad();
    assert!(w.grad().is_none());
    Ok(())
}

#[test]
fn a_tensor_used_often_gets_the_sum() -> Result<()> {
    let x = Tensor::scalar(3.0).requires_grad();
    let y = &x * &x + &x * &x * &x - &x;
    y.backward()?;
    assert_eq!(x.grad().unwrap().item()?, 2.0 * 3.0 + 3.0 * 9.0 - 1.0);
    Ok(())
}

#[test]
fn backward_of_a_tensor_that_is_no_scalar_sums() -> Result<()> {
    let x = Tensor::from([1.0, 2.0]).requires_grad();
    x.square().backward()?;
    assert_eq!(x.grad().unwrap().to_vec(), [2.0, 4.0]);
    x.zero_grad();
    x.square().backward_with(Some(Tensor::from([1.0, 10.0])), false)?;
    assert_eq!(x.grad().unwrap().to_vec(), [2.0, 40.0]);
    let e = x.square().backward_with(Some(Tensor::ones([3])), false).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Shape);
    assert!(e.to_string().contains("[3]") && e.to_string().contains("[2]"), "{e}");
    Ok(())
}

#[test]
fn grad_leaves_the_leaves_alone_and_serves_what_lies_between() -> Result<()> {
    let x = Tensor::scalar(2.0).requires_grad();
    let unused = Tensor::scalar(2.0).requires_grad();
    let constant = Tensor::scalar(2.0);
    let middle = x.square();
    let y = middle.sin();
    let g = grad(&y, [&x, &middle, &unused, &constant, &y])?;
    let value = |k: usize| g[k].as_ref().map(|g| g.item().unwrap());
    assert_eq!(value(0), Some(4f64.cos() * 4.0));
    assert_eq!(value(1), Some(4f64.cos()));
    assert_eq!((value(2), value(3), value(4)), (None, None, Some(1.0)));
    assert!(x.grad().is_none());
    Ok(())
}

#[test]
fn nothing_is_recorded_where_recording_is_off() -> Result<()> {
    let x = Tensor::scalar(2.0).requires_grad();
    let before = tape::nodes();
    let y = no_grad(|| x.sin() * 2.0);
    assert!(!y.is_tracked() && y.is_leaf());
    assert_eq!(tape::nodes(), before);
    let e = y.backward().unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Graph);
    assert!(e.to_string().contains("requires_grad"), "{e}");
    let y = x.detach().sin();
    assert!(!y.is_tracked());
    assert!(!x.gt(1.0)?.is_tracked());
    Ok(())
}

#[test]
fn update_keeps_the_leaf() -> Result<()> {
    let mut w = Tensor::from([1.0, 2.0]).requires_grad();
    for _ in 0..200 {
        w.zero_grad();
        (&w - 3.0).square().sum().backward()?;
        let g = w.grad().unwrap();
        w.update(|w| Ok(w - g * 0.1))?;
    }
    assert!(w.is_leaf() && w.is_tracked());
    assert!(w.to_vec().iter().all(|w| (w - 3.0).abs() < 1e-9));
    assert_eq!(w.update(|w| Ok(w.sum())).unwrap_err().kind(), ErrorKind::Shape);
    assert_eq!(w.sin().update(Ok).unwrap_err().kind(), ErrorKind::Graph);
    Ok(())
}

// The graph.

#[test]
fn backward_consumes_the_graph_unless_told_to_keep_it() -> Result<()> {
    let x = Tensor::scalar(2.0).requires_grad();
    let before = tape::nodes();
    let y = x.square().sin();
    assert_eq!(tape::nodes(), before + 2);
    y.backward_with(None, true)?;
    y.backward_with(None, true)?;
    assert_eq!(x.grad().unwrap().item()?, 2.0 * (4f64.cos() * 4.0));
    y.backward()?;
    assert_eq!(tape::nodes(), before);
    let e = y.backward().unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Graph);
    assert!(e.to_string().contains("retain_graph"), "{e}");
    assert_eq!(x.grad().unwrap().item()?, 3.0 * (4f64.cos() * 4.0), "a pass that failed adds nothing");
    // A part that was consumed with another result is an error too, never a gradient in part.
    let shared = x.square();
    let (a, b) = (shared.sin(), shared.cos());
    a.backward()?;
    assert_eq!(b.backward().unwrap_err().kind(), ErrorKind::Graph);
    Ok(())
}

#[test]
fn dropped_results_leave_nothing() {
    let before = tape::nodes();
    let x = Tensor::ones([10]).requires_grad();
    {
        let y = x.exp();
        let _z = (&y + &y.sin()).sum();
        assert!(tape::nodes() > before);
    }
    assert_eq!(tape::nodes(), before);
}

#[test]
fn what_prints_says_how_it_came_to_be() {
    let x = Tensor::from([1.0, 2.0]).requires_grad();
    assert_eq!(x.to_string(), "tensor([1., 2.], requires_grad=True)");
    let y = &x * 2.0;
    assert_eq!(y.to_string(), "tensor([2., 4.], grad_fn=<mul>)");
    assert_eq!(format!("{:?}", y.detach()), "tensor([2., 4.])");
}

// Higher orders.

#[test]
fn derivatives_of_any_order() -> Result<()> {
    let x = Tensor::scalar(0.7).requires_grad();
    let mut y = x.sin();
    for k in 1..=8 {
        y = slope(&y, &x)?;
        let expected = (0.7 + k as f64 * std::f64::consts::FRAC_PI_2).sin();
        assert!((y.item()? - expected).abs() < 1e-12, "order {k}");
    }
    Ok(())
}

#[test]
fn transforms_nest() -> Result<()> {
    // f(x) = x0^2 x1: grad = (2 x0 x1, x0^2), Hessian = [[2 x1, 2 x0], [2 x0, 0]].
    let f = |x: &Tensor| Ok(x.select(0, 0)?.square() * x.select(0, 1)?);
    let x = Tensor::from([3.0, 5.0]);
    assert_eq!(hessian(f, &x)?.to_vec(), [10.0, 6.0, 6.0, 0.0]);
    assert_eq!(hvp(f, &x, &Tensor::from([1.0, 2.0]))?.to_vec(), [22.0, 6.0]);
    // The Jacobian of a gradient is the Hessian; the gradient of an entry of it is the third order.
    let h = jacobian(|x| Ok(value_and_grad(f, x)?.1), &x)?;
    assert_eq!(h.to_vec(), [10.0, 6.0, 6.0, 0.0]);
    let (entry, third) = value_and_grad(|x| hessian(f, x)?.select(0, 0)?.select(0, 0), &x)?;
    assert_eq!((entry.item()?, third.to_vec()), (10.0, vec![0.0, 2.0]));
    // A derivative inside a function that is itself differentiated, over another variable.
    let inner = |a: &Tensor| {
        let (_, g) = value_and_grad(|x| Ok((x * a).sin()), &Tensor::scalar(0.5))?;
        Ok(g.square())
    };
    let a = Tensor::scalar(0.3);
    let (_, g) = value_and_grad(inner, &a)?;
    // d/da (a cos(a/2))^2 = 2 a cos(a/2) (cos(a/2) - a/2 sin(a/2))
    let (c, s) = (0.15f64.cos(), 0.15f64.sin());
    assert!((g.item()? - 2.0 * 0.3 * c * (c - 0.15 * s)).abs() < 1e-14);
    Ok(())
}

#[test]
fn a_transform_that_is_not_recorded_leaves_the_graphs_it_captures() -> Result<()> {
    let a = Tensor::scalar(3.0).requires_grad();
    let captured = a.square();
    let inner = |x: &Tensor| Ok(x * &captured);
    let slope = no_grad(|| value_and_grad(inner, &Tensor::scalar(2.0)))?.1;
    assert_eq!((slope.item()?, slope.is_tracked()), (9.0, false));
    captured.backward()?;
    assert_eq!(a.grad().unwrap().item()?, 6.0);
    Ok(())
}

#[test]
fn what_a_function_captures_is_seen_by_outer_derivatives() -> Result<()> {
    let x = Tensor::from([1.0, 2.0]);
    // sum a x^3 / 3, its gradient a x^2 and its Hessian 2 a x as functions of the captured a.
    fn inner(a: &Tensor) -> impl Fn(&Tensor) -> Result<Tensor> {
        move |x| Ok((a * x.powf(3.0)).sum() / 3.0)
    }
    let sum_of = |f: &dyn Fn(&Tensor) -> Result<Tensor>| -> Result<f64> {
        value_and_grad(|a| Ok(f(a)?.sum()), &Tensor::scalar(2.0))?.1.item()
    };
    let close = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-12, "{found}, {expected}");
    close(sum_of(&|a| Ok(value_and_grad(inner(a), &x)?.0))?, 3.0);
    close(sum_of(&|a| Ok(value_and_grad(inner(a), &x)?.1))?, 5.0);
    close(sum_of(&|a| Ok(vjp(inner(a), &x, &Tensor::scalar(1.0))?.1))?, 5.0);
    close(sum_of(&|a| jacobian(inner(a), &x))?, 5.0);
    close(sum_of(&|a| hessian(inner(a), &x))?, 6.0);
    close(sum_of(&|a| hvp(inner(a), &x, &Tensor::ones([2])))?, 6.0);
    // A cotangent and a direction are captured too.
    close(sum_of(&|a| Ok(vjp(|x: &Tensor| Ok(x.square().sum()), &x, a)?.1))?, 6.0);
    close(sum_of(&|a| hvp(|x| Ok(x.powf(3.0).sum()), &x, &(a * &x)))?, 6.0 + 24.0);
    // A leaf of the user's own is seen, unless recording is off; nothing else is recorded.
    let a = Tensor::scalar(2.0).requires_grad();
    let (_, g) = value_and_grad(inner(&a), &x)?;
    g.sum().backward()?;
    close(a.grad().unwrap().item()?, 5.0);
    assert!(!no_grad(|| value_and_grad(inner(&a), &x))?.1.is_tracked());
    assert!(!value_and_grad(inner(&a.detach()), &x)?.1.is_tracked());
    // On another thread the order of transforms is the same.
    let elsewhere =
        |a: &Tensor| std::thread::scope(|s| s.spawn(|| value_and_grad(inner(a), &x)).join().unwrap());
    close(sum_of(&|a| Ok(elsewhere(a)?.1))?, 5.0);
    Ok(())
}

#[test]
fn a_derivative_that_nothing_outside_can_differentiate_is_a_constant() -> Result<()> {
    let outer = |a: &Tensor| {
        // The value depends on the outer variable, the derivatives by the inner one do not.
        let f = |x: &Tensor| Ok(x.square().sum() + a);
        let x = Tensor::from([1.0, 2.0]);
        let ((value, g), (_, slope)) = (value_and_grad(f, &x)?, jvp(f, &x, &x)?);
        assert!(value.is_tracked() && !g.is_tracked() && !slope.is_tracked());
        assert_eq!((g.to_vec(), slope.item()?), (vec![2.0, 4.0], 10.0));
        let others =
            [vjp(f, &x, &Tensor::scalar(1.0))?.1, jacobian(f, &x)?, hessian(f, &x)?, hvp(f, &x, &x)?];
        assert!(others.iter().all(|t| !t.is_tracked()));
        // Steps along them leave nothing on the tape.
        let (mut y, before) = (x.clone(), tape::nodes());
        for _ in 0..10 {
            y -= value_and_grad(f, &y)?.1 * 0.1;
        }
        assert!(!y.is_tracked() && tape::nodes() == before);
        Ok(value)
    };
    assert_eq!(value_and_grad(outer, &Tensor::scalar(3.0))?.1.item()?, 1.0);
    Ok(())
}

#[test]
fn rules_of_an_inner_derivative_compute_nothing_for_what_its_function_captures() -> Result<()> {
    static ASKED: [AtomicUsize; 2] = [const { AtomicUsize::new(0) }; 2];
    /// a b
    struct Product;
    impl Op<f64, 2> for Product {
        fn name(&self) -> &'static str {
            "product"
        }
        fn forward(&self, [a, b]: [&Array<f64>; 2]) -> Result<Array<f64>> {
            kernels::zip("product", a, b, &formula!(|a: f64, b: f64| a * b))
        }
        fn keep(&self, _: [bool; 2]) -> Keep<2> {
            Keep::inputs([true; 2])
        }
        fn vjp(&self, kept: &Kept<'_, f64>, g: Tensor) -> Result<[Option<Tensor>; 2]> {
            let by = |i: usize| {
                kept.wrt(i, || {
                    ASKED[i].fetch_add(1, Ordering::Relaxed);
                    Ok(&g * kept.input(1 - i))
                })
            };
            Ok([by(0)?, by(1)?])
        }
    }
    let asked = || [0, 1].map(|i| ASKED[i].swap(0, Ordering::Relaxed));
    let outer = |a: &Tensor| {
        let inner = |x: &Tensor| apply(Product, [x, a]);
        // Of a constant, and of what depends on the outer variable itself.
        for x in [Tensor::scalar(5.0), a.exp()] {
            let (_, g) = value_and_grad(inner, &x)?;
            assert_eq!((g.item()?, g.is_tracked(), asked()), (3.0, true, [1, 0]));
        }
        inner(&a.exp())
    };
    let (_, g) = value_and_grad(outer, &Tensor::scalar(3.0))?;
    assert_eq!(asked(), [1, 1]);
    assert!((g.item()? - 4.0 * 3f64.exp()).abs() < 1e-12);
    Ok(())
}

#[test]
fn parameters_come_in_structures() -> Result<()> {
    let loss = |(w, b): &(Tensor, [Tensor; 2])| Ok((w * &b[0] + &b[1]).square().sum());
    let at = (Tensor::from([1.0, 2.0]), [Tensor::scalar(3.0), Tensor::scalar(1.0)]);
    let (value, (gw, [g0, g1])) = value_and_grad(loss, &at)?;
    assert_eq!(value.item()?, 16.0 + 49.0);
    assert_eq!((gw.to_vec(), g0.item()?, g1.item()?), (vec![24.0, 42.0], 36.0, 22.0));
    let (_, pull) =
        value_and_grad(|x: &Vec<Tensor>| Ok(x[0].sum()), &vec![Tensor::ones([2]), Tensor::ones([3])])?;
    assert_eq!((pull[0].to_vec(), pull[1].to_vec()), (vec![1.0; 2], vec![0.0; 3]));
    let (y, g) = vjp(|x: &Tensor| Ok(x.square()), &Tensor::from([1.0, 2.0]), &Tensor::from([1.0, -1.0]))?;
    assert_eq!((y.to_vec(), g.to_vec()), (vec![1.0, 4.0], vec![2.0, -4.0]));
    Ok(())
}

#[test]
fn casts_are_differentiable() -> Result<()> {
    let x = Tensor::from([1.0f64, 2.0]).requires_grad();
    let y = x.cast::<f32>().square().cast::<f64>().sum();
    y.backward()?;
    assert_eq!((x.grad().unwrap().dtype(), x.grad().unwrap().to_vec()), (DType::F64, vec![2.0, 4.0]));
    // In single precision all the way, with respect to a double.
    let g = grad(&x.cast::<f32>().sin().sum(), [&x])?.remove(0).unwrap();
    assert!((g.to_vec()[0] - 1f64.cos()).abs() < 1e-7);
    let second = slope(&x.cast::<f32>().powf(3.0).cast::<f64>().sum(), &x)?;
    assert_eq!(slope(&second, &x)?.to_vec(), [6.0, 12.0]);
    Ok(())
}

// Programs.

#[test]
fn newtons_iteration_differentiates_as_it_ran() -> Result<()> {
    // The root of x^2 = a, iterated until it stands still: how often depends on a.
    let root = |a: &Tensor| -> Result<(Tensor, usize)> {
        let mut x = Tensor::scalar(1.0);
        let mut steps = 0;
        loop {
            let next = (&x + a / &x) / 2.0;
            let moved = (next.item()? - x.item()?).abs();
            x = next;
            steps += 1;
            if moved < 1e-15 * x.item()? {
                return Ok((x, steps));
            }
        }
    };
    let mut counts = Vec::new();
    for a in [0.01, 2.0, 1e6] {
        let (value, g) = value_and_grad(|a| Ok(root(a)?.0), &Tensor::scalar(a))?;
        assert!((value.item()? - a.sqrt()).abs() <= 1e-15 * a.sqrt());
        assert!((g.item()? * 2.0 * a.sqrt() - 1.0).abs() < 1e-12, "1 / (2 sqrt a) at {a}: {g}");
        let h = hessian(|a| Ok(root(a)?.0), &Tensor::scalar(a))?.item()?;
        assert!((h * -4.0 * a.powf(1.5) - 1.0).abs() < 1e-9, "-1 / (4 a^1.5) at {a}: {h}");
        counts.push(root(&Tensor::scalar(a))?.1);
    }
    counts.dedup();
    assert_eq!(counts.len(), 3, "the iterations differ in length");
    Ok(())
}

#[test]
fn branches_differentiate_as_they_were_taken() -> Result<()> {
    let f = |x: &Tensor| if x.item()? > 0.0 { Ok(x.square()) } else { Ok(x * -3.0) };
    let slope_at = |x: f64| value_and_grad(f, &Tensor::scalar(x)).unwrap().1.item().unwrap();
    assert_eq!((slope_at(2.0), slope_at(-2.0)), (4.0, -3.0));
    check_op(|x| f(&x[0]), &[&[]]).within(0.5, 1.0).run()?;
    check_op(|x| f(&x[0]), &[&[]]).within(-1.0, -0.5).run()
}

// Errors.

/// The line after the one this is called on.
#[track_caller]
fn next_line() -> (&'static str, u32) {
    let here = Location::caller();
    (here.file(), here.line() + 1)
}

fn place(e: &Error) -> (&'static str, u32) {
    let at = e.location().unwrap_or_else(|| panic!("no line in {e}"));
    (at.file(), at.line())
}

#[test]
fn errors_show_the_users_own_line() {
    let (a, x) = (Tensor::ones([3, 4]), Tensor::ones([3]));
    let here = next_line();
    let e = a.mv(&x).unwrap_err();
    assert_eq!(place(&e), here);
    assert!(
        e.to_string().contains("mv") && e.to_string().contains("[3, 4]") && e.to_string().contains("[3]")
    );
    let here = next_line();
    let e = a.reshape([5, -1]).unwrap_err();
    assert_eq!(place(&e), here);
    let here = next_line();
    let e = Tensor::zeros([2, 2]).inverse().unwrap_err();
    assert_eq!(place(&e), here);
    assert_eq!(e.kind(), ErrorKind::Singular { batch: 0 });
    let here = next_line();
    let e = linalg::solve(&Tensor::ones([2, 2]), &Tensor::ones([3])).unwrap_err();
    assert_eq!(place(&e), here);
    let here = next_line();
    let e = Tensor::cat(&[&a, &x], 0).unwrap_err();
    assert_eq!(place(&e), here);
    let here = next_line();
    let e = a.sum_dim(2, false).unwrap_err();
    assert_eq!(place(&e), here);
    let here = next_line();
    let e = a.slice(s![5, ..]).unwrap_err();
    assert_eq!(place(&e), here);
    let here = next_line();
    let e = a.item().unwrap_err();
    assert_eq!(place(&e), here);
}

#[test]
fn errors_inside_differentiated_functions_show_the_line_inside() {
    let mut line = ("", 0);
    let e = value_and_grad(
        |x| {
            let mut x = x.clone();
            for _ in 0..3 {
                x = x.sin();
                if x.ndim() == 1 {
                    line = next_line();
                    x = x.mv(&x)?;
                }
            }
            Ok(x.sum())
        },
        &Tensor::ones([2]),
    );
    assert_eq!(place(&e.unwrap_err()), line);
}

#[test]
fn operators_panic_with_the_users_own_line() {
    let (a, b) = (Tensor::ones([2]), Tensor::ones([3]));
    let hook = std::panic::take_hook();
    let seen = std::sync::Arc::new(std::sync::Mutex::new(None));
    let note = seen.clone();
    std::panic::set_hook(Box::new(move |info| {
        let at = info.location().map(|l| (l.file().to_string(), l.line()));
        *note.lock().unwrap() = at;
    }));
    let here = next_line();
    let result = catch_unwind(|| &a + &b);
    std::panic::set_hook(hook);
    let payload = result.unwrap_err();
    let message = payload.downcast_ref::<String>().unwrap();
    assert!(message.contains("[2]") && message.contains("[3]"), "{message}");
    let (file, line) = seen.lock().unwrap().take().unwrap();
    assert_eq!((file.as_str(), line), here);
    let e = a.try_add(&b).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Shape);
}

#[test]
fn the_callers_own_errors_pass_through() {
    #[derive(Debug)]
    struct Mine(i32);
    impl std::fmt::Display for Mine {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "mine {}", self.0)
        }
    }
    impl std::error::Error for Mine {}
    let e = hessian(|_| Err(Error::other(Mine(7))), &Tensor::ones([2])).unwrap_err();
    assert_eq!(e.to_string(), "mine 7");
    assert_eq!(e.into_other().unwrap().downcast_ref::<Mine>().unwrap().0, 7);
}

#[test]
fn running_out_of_memory_is_an_error() {
    const TOO_MANY: usize = 1 << 50;
    assert!(matches!(
        Tensor::<f64>::try_full([TOO_MANY], 1.0).unwrap_err().kind(),
        ErrorKind::OutOfMemory { .. }
    ));
    let overflow = Tensor::<f64>::try_full([TOO_MANY, TOO_MANY], 1.0).unwrap_err();
    assert!(matches!(overflow.kind(), ErrorKind::OutOfMemory { .. } | ErrorKind::Shape), "{overflow}");
    // An operation that returns no Result, its operand repeated without being stored.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| ()));
    let e = memory::try_run(|| Ok(Tensor::scalar(1.0).expand([TOO_MANY])?.exp()));
    std::panic::set_hook(hook);
    assert!(matches!(e.unwrap_err().kind(), ErrorKind::OutOfMemory { .. }));
}

// Operations of a user's own.

/// y = sum of squares, with a rule whose cotangent has the wrong shape.
struct Wrong;

impl<T: Float> Op<T, 1> for Wrong {
    fn name(&self) -> &'static str {
        "wrong"
    }
    fn forward(&self, [x]: [&Array<T>; 1]) -> Result<Array<T>> {
        kernels::sum("wrong", x, &vec![true; x.ndim()], false)
    }
    fn vjp(&self, _: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 1]> {
        Ok([Some(g)])
    }
}

#[test]
fn a_cotangent_of_the_wrong_shape_names_its_operation() -> Result<()> {
    let x = Tensor::from([1.0, 2.0]).requires_grad();
    let e = apply(Wrong, [&x])?.backward().unwrap_err();
    assert_eq!((e.kind(), e.op()), (ErrorKind::Shape, "wrong"));
    assert!(e.to_string().contains("[]") && e.to_string().contains("[2]"), "{e}");
    Ok(())
}

/// The first two of n numbers: a view that says where its elements lie, with a rule for one cotangent at a time.
struct First;

impl<T: Float> Op<T, 1> for First {
    fn name(&self) -> &'static str {
        "first"
    }
    fn forward(&self, [x]: [&Array<T>; 1]) -> Result<Array<T>> {
        x.slice("first", 0, 0, 1, 2)
    }
    fn places(&self, shape: &[usize]) -> Option<Layout> {
        Some(Layout::row_major(Dims::from_slice(shape)).slice(0, 0, 1, 2))
    }
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 1]> {
        let rest = kept.shape(0)[0] as isize - 2;
        Ok([kept.wrt(0, || g.pad([0, rest], T::ZERO))?])
    }
}

#[test]
fn a_view_of_ones_own_takes_many_cotangents_one_by_one() -> Result<()> {
    check_op(|x| apply(First, [&x[0]]), &[&[3]]).run()?;
    check_op(|x| apply(First, [&x[0]])?.sin().try_mul(&x[1]), &[&[4], &[2]]).run()?;
    let batched = |x: &Tensor, y: &Tensor, cotangents: Tensor| {
        let cotangent = Some(cotangents);
        let options = GradOptions { cotangent, batched: true, ..Default::default() };
        Ok::<_, Error>(grad_with(y, [x], options)?.remove(0).expect("a gradient"))
    };
    let x = Tensor::from([1.0, 2.0, 3.0]).requires_grad();
    let y = apply(First, [&x])?.narrow(0, 0, 1)?;
    let g = batched(&x, &y, Tensor::from([[2.0], [5.0]]))?;
    assert_eq!((g.shape(), g.to_vec()), (&[2, 3][..], vec![2.0, 0.0, 0.0, 5.0, 0.0, 0.0]));
    // Another use of x meets what came one by one; so does another view.
    let y = apply(First, [&x])?.try_mul(&x.narrow(0, 1, 2)?)?.sum();
    let g = batched(&x, &y, Tensor::from([1.0, 10.0]))?;
    assert_eq!((g.shape(), g.to_vec()), (&[2, 3][..], vec![2.0, 4.0, 2.0, 20.0, 40.0, 20.0]));
    let y = apply(First, [&apply(First, [&x])?])?;
    let g = batched(&x, &y, Tensor::from([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]))?;
    assert_eq!((g.shape(), g.to_vec()), (&[3, 3][..], vec![1.0, 2.0, 0.0, 3.0, 4.0, 0.0, 5.0, 6.0, 0.0]));
    Ok(())
}

/// y = x^3 with the derivative 2 x^2.
struct WrongSlope;

impl<T: Float> Op<T, 1> for WrongSlope {
    fn name(&self) -> &'static str {
        "wrong_slope"
    }
    fn forward(&self, [x]: [&Array<T>; 1]) -> Result<Array<T>> {
        kernels::map("wrong_slope", x, &formula!(|x: T| x * x * x))
    }
    fn keep(&self, needs: [bool; 1]) -> Keep<1> {
        Keep::inputs(needs)
    }
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 1]> {
        Ok([kept.wrt(0, || g.try_mul(&(kept.input(0).square() * T::of(2.0))))?])
    }
}

/// y = x^3 with a right derivative of which the part in x is kept as a constant.
struct Frozen;

impl<T: Float> Op<T, 1> for Frozen {
    fn name(&self) -> &'static str {
        "frozen"
    }
    fn forward(&self, [x]: [&Array<T>; 1]) -> Result<Array<T>> {
        kernels::map("frozen", x, &formula!(|x: T| x * x * x))
    }
    fn keep(&self, needs: [bool; 1]) -> Keep<1> {
        Keep::inputs(needs)
    }
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 1]> {
        Ok([kept.wrt(0, || g.try_mul(&(kept.input(0).detach().square() * T::of(3.0))))?])
    }
}

#[test]
fn the_checks_find_wrong_rules() {
    let x = [Tensor::from([1.0, 2.0])];
    let e = gradcheck(|x| apply(WrongSlope, [&x[0]]), &x).unwrap_err();
    assert!(e.to_string().contains("input 0, element 0") && e.to_string().contains("analytic"), "{e}");
    gradcheck(|x| apply(Frozen, [&x[0]]), &x).unwrap();
    let e = gradgradcheck(|x| apply(Frozen, [&x[0]]), &x).unwrap_err();
    assert!(e.to_string().contains("numeric"), "{e}");
}

/// (x y, x + y)
struct ProductAndSum;

impl<T: Float> OpMany<T> for ProductAndSum {
    fn name(&self) -> &'static str {
        "product_and_sum"
    }
    fn forward(&self, x: &[&Array<T>]) -> Result<Vec<Array<T>>> {
        let product = kernels::zip("product_and_sum", x[0], x[1], &formula!(|x: T, y: T| x * y))?;
        Ok(vec![product, kernels::zip("product_and_sum", x[0], x[1], &formula!(|x: T, y: T| x + y))?])
    }
    fn keep(&self, needs: &[bool]) -> tapegrad::KeepMany {
        tapegrad::KeepMany { inputs: vec![needs[1], needs[0]], outputs: vec![] }
    }
    fn broadcasts(&self) -> bool {
        true
    }
    fn vjp(&self, kept: &Kept<'_, T>, g: Vec<Option<Tensor<T>>>) -> Result<Vec<Option<Tensor<T>>>> {
        let wrt = |i: usize| -> Result<Option<Tensor<T>>> {
            if !kept.needs(i) {
                return Ok(None);
            }
            let product = g[0].as_ref().map(|g| g.try_mul(&kept.input(1 - i))).transpose()?;
            match (product, &g[1]) {
                (Some(a), Some(b)) => a.try_add(b).map(Some),
                (a, b) => Ok(a.or_else(|| b.clone())),
            }
        };
        Ok(vec![wrt(0)?, wrt(1)?])
    }
}

#[test]
fn several_outputs() -> Result<()> {
    let both = |x: &[Tensor]| apply_many(ProductAndSum, &[&x[0], &x[1]]);
    check_op(|x| both(x).map(|mut y| y.remove(0)), &[&[3], &[3]]).run()?;
    check_op(|x| both(x).map(|mut y| y.remove(1)), &[&[3], &[3]]).run()?;
    check_op(|x| both(x)?[0].sin().try_mul(&both(x)?[1].square()), &[&[2], &[2]]).run()?;
    check_op(|x| both(x)?[0].sin().try_mul(&both(x)?[1].square()), &[&[2, 1], &[3]]).run()?;
    // The two outputs meet again, in first and second order.
    check_op(
        |x| {
            let y = both(x)?;
            y[0].sin().try_mul(&y[1].square())
        },
        &[&[2], &[2]],
    )
    .run()?;
    let before = tape::nodes();
    drop(both(&[Tensor::ones([2]).requires_grad(), Tensor::ones([2])])?);
    assert_eq!(tape::nodes(), before);
    Ok(())
}

// Least squares.

#[test]
fn least_squares_second_derivatives_match_the_composed_form() -> Result<()> {
    manual_seed(1);
    let (a, x, y) = (Tensor::randn([7, 3]), Tensor::randn([3]), Tensor::randn([7]));
    let composed = |a: &Tensor, x: &Tensor, y: &Tensor| Ok(y.try_sub(&a.mv(x)?)?.square().sum());
    // d/dA and d/dy of <v, df/dx>: both see through the stored A^T r.
    let v = Tensor::randn([3]);
    type Loss<'a> = &'a dyn Fn(&Tensor, &Tensor, &Tensor) -> Result<Tensor>;
    let mixed = |f: Loss| -> Result<Vec<Option<Tensor>>> {
        let [a, x, y] = [&a, &x, &y].map(|t| t.detach().requires_grad());
        let g = slope(&f(&a, &x, &y)?, &x)?;
        grad(&g.dot(&v)?, [&a, &x, &y])
    };
    let (fused, plain) = (mixed(&|a, x, y| least_squares_loss(a, x, y))?, mixed(&composed)?);
    for (f, p) in fused.iter().zip(&plain) {
        let (f, p) = (f.as_ref().unwrap(), p.as_ref().unwrap());
        assert!((f - p).abs().max()?.item()? < 1e-12, "{f} instead of {p}");
    }
    let h = hessian(|x| least_squares_loss(&a, x, &y), &x)?;
    let expected = a.t()?.mm(&a)? * 2.0;
    assert!((h - expected).abs().max()?.item()? < 1e-12);
    Ok(())
}

// Zero-copy.

#[test]
fn a_tracked_tensor_gives_its_array_and_keeps_its_graph() -> Result<()> {
    let x = Tensor::from([1.0, 2.0]).requires_grad();
    let y = &x * 2.0;
    let seen: f64 = y.as_ndarray().iter().sum();
    assert_eq!(seen, 6.0);
    y.sum().backward()?;
    assert_eq!(x.grad().unwrap().into_ndarray().into_raw_vec_and_offset().0, [2.0, 2.0]);
    Ok(())
}
