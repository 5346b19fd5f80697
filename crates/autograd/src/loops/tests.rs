//! Loops against the same steps one by one.

use super::*;
use crate::{fused, grad, gradcheck, gradgradcheck, hvp, jacobian, tape, value_and_grad};
use std::cell::Cell;
use tensor_core::ErrorKind;

type Pair = (Tensor, Tensor);

/// The loop as a user would write it without `scan`.
fn plain<C: Params<f64>, X: Params<f64>>(
    step: impl Fn(&C, X) -> Result<(C, Tensor)>,
    init: &C,
    xs: &X,
) -> Result<(C, Tensor)> {
    let rows = xs.tensors();
    let (mut state, mut ys) = (init.rebuild(init.tensors()), Vec::new());
    for k in 0..rows[0].shape()[0] {
        let own = rows.iter().map(|x| x.select(0, k)).collect::<Result<_>>()?;
        let (next, y) = step(&state, xs.rebuild(own))?;
        state = next;
        ys.push(y);
    }
    Ok((state, Tensor::stack(&ys, 0)?))
}

fn close(a: &Tensor, b: &Tensor) -> bool {
    let near = |(a, b): (f64, f64)| (a - b).abs() <= 1e-12 * b.abs().max(1.0);
    a.shape() == b.shape() && a.to_vec().into_iter().zip(b.to_vec()).all(near)
}

/// A step of many kinds of operations: functions of one and two elements, broadcasting, views, joins, sums, constants.
fn busy((a, b): &Pair, x: Tensor, p: &Tensor) -> Result<(Pair, Tensor)> {
    let weights = Tensor::from([[0.1, 0.2, 0.3], [-0.1, 0.4, 0.2]]);
    let mixed = (b * &weights).sum_dim(1, false)?;
    let next = (a * 0.9 + mixed.sin() * 0.1).try_mul(&p.narrow(0, 0, 2)?)? + x.select(0, 0)? / 3.0;
    let row = Tensor::cat([&next, &x.narrow(0, 1, 1)?], 0)?;
    let other =
        (1.0 - b.t()?) * 0.5 + row.atan2(&(b.abs() + 1.0))? * p.mean() - p.square().exp().sum() * 0.01;
    let flipped = Tensor::stack([&other.narrow(0, 1, 2)?.sum(), &other.select(0, 0)?, &next.sum()], 0)?;
    Ok(((next.reshape([2])?, (flipped + other) * 0.4), row.unsqueeze(0)?.expand([2, 3])?.powf(2.0)))
}

fn busy_operands(steps: usize) -> Result<[Tensor; 4]> {
    let xs = crate::linspace(-1.0, 1.0, 2 * steps)?.sin().reshape([steps, 2])?;
    Ok([Tensor::from([0.3, -0.6]), Tensor::from([0.5, 0.1, -0.9]), xs, Tensor::from([0.9, 0.7, -0.2])])
}

#[test]
fn a_step_is_written_down_once_and_gives_what_it_gives() -> Result<()> {
    let [a, b, xs, p] = busy_operands(40)?;
    let runs = Cell::new(0);
    let looped = |v: &[Tensor; 4]| {
        let step = |state: &Pair, x: Tensor| {
            runs.set(runs.get() + 1);
            busy(state, x, &v[3])
        };
        let ((a, b), ys) = scan(step, &(v[0].clone(), v[1].clone()), &v[2])?;
        Ok((a, b, ys))
    };
    let stepped = |v: &[Tensor; 4]| {
        let ((a, b), ys) = plain(|s: &Pair, x| busy(s, x, &v[3]), &(v[0].clone(), v[1].clone()), &v[2])?;
        Ok((a, b, ys))
    };
    let all = [a, b, xs, p];
    let ((a, b, ys), (da, db, dys)) = crate::vjp(looped, &all, &looped(&all)?)
        .map(|(y, g)| (y, (g[0].clone(), g[1].clone(), g[2].clone())))?;
    assert_eq!(runs.get(), 4);
    let (expected, g) = crate::vjp(stepped, &all, &stepped(&all)?)?;
    assert!(close(&a, &expected.0) && close(&b, &expected.1) && close(&ys, &expected.2));
    assert!(close(&da, &g[0]) && close(&db, &g[1]) && close(&dys, &g[2]));
    Ok(())
}

#[test]
fn derivatives_of_any_order() -> Result<()> {
    let f = |v: &[Tensor]| {
        let ((a, b), ys) =
            scan(|s: &Pair, x: Tensor| busy(s, x, &v[3]), &(v[0].clone(), v[1].clone()), &v[2])?;
        Ok(a.sum() + (b * &ys.select(0, -1)?.select(0, 0)?).sum() + ys.square().mean())
    };
    let at = busy_operands(9)?;
    gradcheck(f, &at)?;
    gradgradcheck(f, &at)?;
    // Third order of x^(2^k) by squaring: x^256.
    let power = |x: &Tensor| Ok(scan(|x: &Tensor, ()| Ok((x.square(), ())), x, 8)?.0);
    let second = |x: &Tensor| hvp(power, x, &Tensor::scalar(1.0));
    let (y, dy) = value_and_grad(second, &Tensor::scalar(1.0))?;
    assert_eq!((y.item()?, dy.item()?), (256.0 * 255.0, 256.0 * 255.0 * 254.0));
    // A Jacobian of all states, many cotangents at once.
    let path = |x: &Tensor| Ok(scan(|x: &Tensor, ()| Ok((x * 2.0, x.clone())), x, 10)?.1);
    let j = jacobian(path, &Tensor::scalar(1.0))?;
    assert_eq!(j.to_vec(), (0..10).map(|k| 2f64.powi(k)).collect::<Vec<_>>());
    Ok(())
}

/// Each of these would be wrong for other states than the first: they run as they stand, and are right.
#[test]
fn steps_that_look_at_values_run_each_time() -> Result<()> {
    type Step = fn(&Tensor, &Tensor) -> Result<Tensor>;
    let steps: [(&str, Step); 14] = [
        ("item", |x, p| Ok(if x.sum().item()? > 0.0 { x * p } else { x + p })),
        ("mask", |x, p| x.gt(0.0)?.where_cond(&(x * p), &(x + p))),
        ("mask as numbers", |x, p| Ok(x * x.gt(0.0)?.to_type::<f64>() + p * x)),
        ("any", |x, p| Ok(if x.lt(0.0)?.any() { x.exp() * 0.1 } else { x - p })),
        ("argmax", |x, p| Ok(x - x.select(0, x.argmax(0, false)?.item()?)? * p)),
        ("sort", |x, p| Ok(x.sort(0, false)?.0 * p - 0.1)),
        ("detach", |x, p| Ok(x.detach() * p - x * 0.5)),
        ("no_grad", |x, p| Ok(no_grad(|| x.sin()) * p - x * 0.5)),
        ("to_vec", |x, p| Ok(Tensor::from(x.to_vec()) * p - x * 0.5)),
        ("array", |x, p| Ok(Tensor::from(x.array().clone()) * p - x * 0.5)),
        ("gradient", |x, p| Ok(x - value_and_grad(|x: &Tensor| Ok((x.cos() * p).sum()), x)?.1 * 0.3)),
        ("loop", |x, p| Ok(scan(|x: &Tensor, ()| Ok((x * p * 0.9 - 0.01, ())), x, 8)?.0)),
        ("largest", |x, p| Ok(x - x.max()? * p * 0.3)),
        ("float", |x, p| Ok((x.cast::<f32>().cast::<f64>() - 0.1) * p)),
    ];
    for (name, step) in steps {
        let runs = Cell::new(0);
        let f = |(x, p): &Pair| {
            let counted = |x: &Tensor, ()| {
                runs.set(runs.get() + 1);
                Ok((step(x, p)?, ()))
            };
            Ok((scan(counted, x, 12)?.0 * Tensor::from([1.0, 2.0, -1.0])).sum())
        };
        let g = |(x, p): &Pair| {
            let end = (0..12).try_fold(x.clone(), |x, _| step(&x, p))?;
            Ok((end * Tensor::from([1.0, 2.0, -1.0])).sum())
        };
        let at = (Tensor::from([0.7, -0.4, 0.2]), Tensor::scalar(-0.8));
        let (y, (dx, dp)) = value_and_grad(f, &at)?;
        let (expected, (ex, ep)) = value_and_grad(g, &at)?;
        assert!(close(&y, &expected) && close(&dx, &ex) && close(&dp, &ep), "{name}");
        // Once to be looked at, and then as often as there are steps.
        assert_eq!(runs.get(), 13, "{name}");
    }
    Ok(())
}

#[test]
fn steps_that_depend_on_more_than_they_take_run_each_time() -> Result<()> {
    // The number of the call.
    let calls = Cell::new(0.0);
    let counting = |x: &Tensor, ()| {
        calls.set(calls.get() + 1.0);
        Ok((x + calls.get(), ()))
    };
    let end = scan(counting, &Tensor::scalar(0.0), 10)?.0.item()?;
    // Two calls to write it down and to check that.
    assert_eq!(end, (3..=12).sum::<i32>() as f64);
    // Random numbers are those of a plain loop.
    let noisy = |x: &Tensor| Ok::<_, Error>(x * 0.5 + Tensor::randn([2]));
    random::manual_seed(3);
    let end = scan(|x: &Tensor, ()| Ok((noisy(x)?, ())), &Tensor::zeros([2]), 10)?.0;
    random::manual_seed(3);
    let expected = (0..10).try_fold(Tensor::zeros([2]), |x, _| noisy(&x))?;
    assert_eq!(end.to_vec(), expected.to_vec());
    // Hooks are called.
    let hooked = |x: &Tensor, ()| {
        let y = x * 2.0;
        if y.is_tracked() {
            let _stays = y.register_hook(|g| Ok(Some(g * 0.5)))?;
        }
        Ok((y, ()))
    };
    let (_, g) = value_and_grad(|x: &Tensor| Ok(scan(hooked, x, 10)?.0), &Tensor::scalar(1.0))?;
    assert_eq!(g.item()?, 1.0);
    Ok(())
}

/// What is captured has a gradient, whether a variable, a leaf of the user's, or the result of something.
#[test]
fn captured_tensors_have_gradients() -> Result<()> {
    let w = Tensor::from([0.5, -0.3]).requires_grad();
    let decay = (&w * 0.1).exp();
    let y = scan(|x: &Tensor, ()| Ok((x * &decay + &w, ())), &Tensor::from([1.0, 2.0]), 20)?.0.sum();
    let g = grad(&y, [&w])?.remove(0).unwrap();
    let of_all = |w: &Tensor| {
        let decay = (w * 0.1).exp();
        (0..20).try_fold(Tensor::from([1.0, 2.0]), |x, _| Ok::<_, Error>(x * &decay + w)).map(|x| x.sum())
    };
    let (_, expected) = value_and_grad(of_all, &w.detach())?;
    assert!(close(&g, &expected));
    // Nothing is left on the tape, and without gradients nothing is recorded.
    drop((y, decay));
    assert_eq!(tape::stats().nodes, 0);
    assert!(!no_grad(|| scan(|x: &Tensor, ()| Ok((x * &w, ())), &Tensor::ones([2]), 20))?.0.is_tracked());
    Ok(())
}

#[test]
fn checkpoints_keep_little_and_give_the_same() -> Result<()> {
    let kept = |checkpointed: bool| -> Result<_> {
        let x = Tensor::from([0.4, 0.9]).requires_grad();
        let w = Tensor::from([0.2, -0.1]).requires_grad();
        let held = w.clone();
        let step = move |x: &Tensor, u: Tensor| Ok((x + (x * &held + u).sin() * 0.01, x.sum()));
        let us = crate::linspace(0.0, 1.0, 2000)?.reshape([1000, 2])?;
        let (end, sums) = if checkpointed { scan_checkpointed(step, &x, &us)? } else { scan(step, &x, &us)? };
        let y = end.sum() + sums.square().mean();
        let bytes = tape::stats().kept_bytes;
        let options = crate::GradOptions { create_graph: true, ..Default::default() };
        let g = crate::grad_with(&y, [&x, &w], options)?;
        let product = grad(&(g[0].as_ref().unwrap().sum() + g[1].as_ref().unwrap().sum()), [&x, &w])?;
        Ok((bytes, g, product))
    };
    let (all, g, h) = kept(false)?;
    let (few, same, also) = kept(true)?;
    assert!(few + 15_000 < all, "{few} {all}");
    for (a, b) in g.into_iter().chain(h).zip(same.into_iter().chain(also)) {
        assert!(close(&a.unwrap(), &b.unwrap()));
    }
    // Steps that are not written down.
    let step = |x: &Tensor, ()| Ok((x.gt(0.5)?.where_cond(&(x * 0.99), &(x * 1.01))?, x.clone()));
    let end = |x: &Tensor| {
        let (x, path) = scan_checkpointed(step, x, 100)?;
        Ok(x.sum() + path.mean())
    };
    let plainly = |x: &Tensor| {
        let (x, path) = scan(step, x, 100)?;
        Ok(x.sum() + path.mean())
    };
    let x = Tensor::from([0.4, 0.9]);
    let ((y, g), (same, expected)) = (value_and_grad(end, &x)?, value_and_grad(plainly, &x)?);
    assert!(close(&y, &same) && close(&g, &expected));
    let w = Tensor::scalar(1.1).requires_grad();
    let looks = move |x: &Tensor, ()| Ok((x.detach() + x * &w, ()));
    let e = scan_checkpointed(looks, &Tensor::scalar(1.0), 20).unwrap_err();
    assert_eq!((e.kind(), e.op()), (ErrorKind::Graph, "scan_checkpointed"));
    Ok(())
}

#[test]
fn single_precision_fused_functions_and_structures() -> Result<()> {
    let runs = Cell::new(0);
    let f = fused(|[x, y]| (x - y).square() * 0.1 + x.lt(y).where_cond(x, y));
    let step = |(x, rest): &(Tensor<f32>, Vec<Tensor<f32>>), ()| {
        runs.set(runs.get() + 1);
        let y = f.call([x, &rest[0]])?;
        Ok(((y, vec![&rest[0] * 0.9, rest[1].clamp(0.1, 0.8) + x.sum()]), [x.clone(), rest[1].clone()]))
    };
    let init = (Tensor::from([1.0f32, -0.5]), vec![Tensor::from([0.2f32, 0.3]), Tensor::from([0.5f32])]);
    let ((x, rest), [path, sums]) = scan(step, &init, 10)?;
    assert_eq!((runs.get(), path.shape(), sums.shape()), (2, &[10, 2][..], &[10, 1][..]));
    let (mut state, mut all) = (init.clone(), Vec::new());
    for _ in 0..10 {
        let (next, [x, _]) = step(&state, ())?;
        all.push(x);
        state = next;
    }
    assert!(
        x.try_sub(&state.0)?.abs().max()?.item()? < 1e-5
            && rest[1].try_sub(&state.1[1])?.abs().max()?.item()? < 1e-4
    );
    assert!(path.try_sub(&Tensor::stack(&all, 0)?)?.abs().max()?.item()? < 1e-5);
    Ok(())
}

#[test]
fn large_tensors_and_short_loops_run_as_they_stand() -> Result<()> {
    for (n, steps, expected) in [(4, 4, 4), (4, 8, 2), (4000, 8, 9)] {
        let runs = Cell::new(0);
        let step = |x: &Tensor, ()| {
            runs.set(runs.get() + 1);
            Ok((x.sin(), ()))
        };
        let x = scan(step, &Tensor::ones([n]), steps)?.0;
        let end = (0..steps).fold(Tensor::ones([n]), |x, _| x.sin());
        assert_eq!((runs.get(), x.to_vec()), (expected, end.to_vec()));
    }
    Ok(())
}

#[test]
fn errors() -> Result<()> {
    let x = Tensor::ones([2]);
    let same = |x: &Tensor, ()| Ok((x.clone(), ()));
    assert_eq!(scan(same, &x, 0).unwrap_err().kind(), ErrorKind::Argument);
    let e = scan(|x: &Tensor, ()| Ok((x.sum(), ())), &x, 10).unwrap_err();
    assert_eq!((e.kind(), e.op()), (ErrorKind::Shape, "scan"));
    assert!(e.to_string().contains("step 0") && e.to_string().contains(file!()), "{e}");
    let growing = |x: &Vec<Tensor>, ()| Ok(([&x[..], &[Tensor::ones([2])]].concat(), ()));
    assert_eq!(scan(growing, &vec![x.clone()], 10).unwrap_err().kind(), ErrorKind::Shape);
    let uneven = (Tensor::ones([3]), Tensor::ones([4]));
    assert_eq!(
        scan(|x: &Tensor, _: Pair| Ok((x.clone(), ())), &x, &uneven).unwrap_err().kind(),
        ErrorKind::Shape
    );
    let scalar = scan(|x: &Tensor, _: Tensor| Ok((x.clone(), ())), &x, &Tensor::scalar(1.0));
    assert_eq!(scalar.unwrap_err().kind(), ErrorKind::Argument);
    let mine = |_: &Tensor, ()| Err::<(Tensor, ()), _>(Error::other("mine"));
    assert_eq!(scan(mine, &x, 10).unwrap_err().to_string(), "mine");
    assert_eq!(scan_checkpointed(mine, &x, 10).unwrap_err().to_string(), "mine");
    assert_eq!(scan_checkpointed(same, &x, 0).unwrap_err().kind(), ErrorKind::Argument);
    Ok(())
}
