//! The functional transforms against each other, against closed forms and against differences.

use tapegrad::linalg::{implicit_argmin, implicit_root};
use tapegrad::prelude::*;
use tapegrad::{check_op, checkpoint, gradcheck, gradgradcheck, tape};

fn close(a: &Tensor, b: &Tensor) {
    assert_eq!(a.shape(), b.shape());
    let apart = (a - b).abs().max().unwrap().item().unwrap();
    assert!(apart < 1e-12, "{apart}: {a} instead of {b}");
}

/// From 3 elements to 2.
fn bend(x: &Tensor) -> Result<Tensor> {
    let y = x.sin().outer(&x.exp())?.sum_dim(0, false)?;
    Tensor::stack(&[&y.sum(), &y.select(0, 1)?.square()], 0)
}

#[test]
fn jvp_is_a_column_and_vjp_a_row_of_the_jacobian() -> Result<()> {
    let x = Tensor::from([0.3, -0.8, 1.1]);
    let (v, u) = (Tensor::from([1.0, 2.0, -0.5]), Tensor::from([0.7, -1.5]));
    let j = jacobian(bend, &x)?;
    let (value, product) = jvp(bend, &x, &v)?;
    close(&value, &bend(&x)?);
    close(&product, &j.mv(&v)?);
    close(&vjp(bend, &x, &u)?.1, &j.t()?.mv(&u)?);
    assert!(!value.is_tracked() && !product.is_tracked());
    // Through several inputs at once.
    let f = |(a, b): &(Tensor, Tensor)| a.sin().try_mul(b);
    let at = (Tensor::from([0.5, 1.0]), Tensor::from([2.0, -1.0]));
    let (_, product) = jvp(f, &at, &(Tensor::from([1.0, 0.0]), Tensor::from([0.0, 1.0])))?;
    close(&product, &Tensor::from([2.0 * 0.5f64.cos(), 1f64.sin()]));
    // A function that does not depend on x.
    assert_eq!(jvp(|_: &Tensor| Ok(Tensor::ones([2])), &x, &v)?.1.to_vec(), [0.0, 0.0]);
    assert_eq!(jvp(bend, &x, &Tensor::ones([2])).unwrap_err().kind(), ErrorKind::Shape);
    // A derivative of the directional derivative is the Hessian's.
    let f = |x: &Tensor| Ok(x.powf(3.0).sum());
    let second = value_and_grad(|x| Ok(jvp(f, x, &v)?.1), &x)?.1;
    close(&second, &hvp(f, &x, &v)?);
    Ok(())
}

#[test]
fn jacobians_by_rows_and_by_columns_agree() -> Result<()> {
    // 2 unknowns and 40 values go by columns; the other way round by rows.
    let a = Tensor::randn_of::<f64>([40, 2]);
    let tall = |x: &Tensor| Ok(a.mv(x)?.sin());
    let x = Tensor::from([0.4, -0.7]);
    let expected = a.mv(&x)?.cos().unsqueeze(1)?.try_mul(&a)?;
    close(&jacobian(tall, &x)?, &expected);
    let wide = |y: &Tensor| Ok(a.t()?.mv(y)?.sin());
    let y = Tensor::ones([40]) * 0.1;
    let expected = a.t()?.mv(&y)?.cos().unsqueeze(1)?.try_mul(&a.t()?)?;
    close(&jacobian(wide, &y)?, &expected);
    // More rows than one batch of cotangents takes.
    let x = Tensor::randn_of::<f64>([300]);
    close(&jacobian(|x: &Tensor| Ok(x.square()), &x)?, &(Tensor::eye(300) * &x * 2.0));
    let x = Tensor::from([0.4, -0.7]);
    // Shapes are those of the value, then of x; and columns can be differentiated again.
    let grid = |x: &Tensor| x.outer(&Tensor::ones([20]))?.square().reshape([2, 4, 5]);
    assert_eq!(jacobian(grid, &x)?.shape(), [2, 4, 5, 2]);
    let trace = |x: &Tensor| Ok(jacobian(grid, x)?.sum());
    close(&value_and_grad(trace, &x)?.1, &Tensor::from([40.0, 40.0]));
    assert_eq!(jacobian(|_: &Tensor| Ok(Tensor::ones([9])), &x)?.to_vec(), [0.0; 18]);
    assert_eq!(jacobian(|x: &Tensor| x.narrow(0, 0, 0), &x)?.shape(), [0, 2]);
    Ok(())
}

#[test]
fn structures_go_in_and_come_out() -> Result<()> {
    let (a, b) = (Tensor::from([0.5, -1.0]), Tensor::from([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]));
    let f = |(a, b): &(Tensor, Tensor)| Ok([b.mv(a)?.sin(), b.sum_dim(1, false)?]);
    let x = (a.clone(), b.clone());
    let [(aa, ab), (ba, bb)] = jacobian(f, &x)?;
    assert_eq!((aa.shape(), ab.shape()), (&[3, 2][..], &[3, 3, 2][..]));
    assert_eq!(ba.to_vec(), [0.0; 6]);
    close(&aa, &b.mv(&a)?.cos().unsqueeze(1)?.try_mul(&b)?);
    close(&bb.sum_dim(0, false)?, &Tensor::ones([3, 2]));
    // What comes out goes back in, in another structure each.
    let u = [Tensor::from([1.0, 2.0, 3.0]), Tensor::from([-1.0, 0.5, 2.0])];
    let (_, (da, db)) = vjp(f, &x, &u)?;
    close(&da, &aa.t()?.mv(&u[0])?);
    close(&db, &(Tensor::tensordot(&u[0], &ab, 1)? + Tensor::tensordot(&u[1], &bb, 1)?));
    let v = (Tensor::from([1.0, -2.0]), Tensor::ones([3, 2]));
    let (_, [d0, d1]) = jvp(f, &x, &v)?;
    close(&d0, &(aa.mv(&v.0)? + ab.sum_dim([1, 2], false)?));
    close(&d1, &Tensor::full([3], 2.0));
    // Vectors of tuples, and what depends on one input only.
    let g = |x: &Vec<(Tensor, Tensor)>| Ok(x[0].0.square().try_mul(&x[1].1)?.sum());
    let many = vec![(a.clone(), b.clone()), (b.clone(), a.clone())];
    let h = hessian(g, &many)?;
    close(&h[0].0[0].0, &(Tensor::eye(2) * &a * 2.0));
    close(&h[0].0[1].1, &(Tensor::eye(2) * &a * 2.0));
    close(&h[1].1[0].0, &(Tensor::eye(2) * &a * 2.0));
    assert_eq!(h[0].1[1].0.to_vec(), [0.0; 36]);
    let direction = vec![(Tensor::ones([2]), b.clone()), (b.clone(), Tensor::ones([2]))];
    close(&hvp(g, &many, &direction)?[0].0, &(&a * 4.0));
    // Shapes that do not fit, and too few.
    assert_eq!(vjp(f, &x, &[u[0].clone(), a.clone()]).unwrap_err().kind(), ErrorKind::Shape);
    assert_eq!(hvp(g, &many, &vec![]).unwrap_err().kind(), ErrorKind::Shape);
    Ok(())
}

#[test]
fn hessians_of_rosenbrock_are_the_closed_form() -> Result<()> {
    // sum 100 (x_(i+1) - x_i^2)^2 + (1 - x_i)^2
    const N: usize = 200;
    let rosenbrock = |x: &Tensor| {
        let (head, tail) = (x.narrow(0, 0, N - 1)?, x.narrow(0, 1, N - 1)?);
        Ok((tail.try_sub(&head.square())?.square() * 100.0 + (1.0 - head).square()).sum())
    };
    let x = linspace(-1.2, 1.3, N)?;
    let v = x.to_vec();
    let mut expected = vec![0.0; N * N];
    for i in 0..N - 1 {
        expected[i * N + i] += 1200.0 * v[i] * v[i] - 400.0 * v[i + 1] + 2.0;
        expected[(i + 1) * N + i + 1] += 200.0;
        expected[i * N + i + 1] -= 400.0 * v[i];
        expected[(i + 1) * N + i] -= 400.0 * v[i];
    }
    let h = hessian(rosenbrock, &x)?;
    for (found, expected) in h.to_vec().iter().zip(&expected) {
        assert!((found - expected).abs() <= 1e-10, "{found} instead of {expected}");
    }
    close(&hvp(rosenbrock, &x, &Tensor::ones([N]))?, &h.sum_dim(1, false)?);
    Ok(())
}

#[test]
fn checkpoints_differentiate_as_the_function_does() -> Result<()> {
    let f = |x: &[Tensor]| x[0].mv(&x[1])?.sin().square().try_mul(&x[2]);
    let inputs = [Tensor::randn([3, 4]), Tensor::randn([4]), Tensor::randn([3])];
    let saved = |x: &[Tensor]| checkpoint(f, &x.iter().collect::<Vec<_>>());
    close(&saved(&inputs)?, &f(&inputs)?);
    gradcheck(saved, &inputs)?;
    gradgradcheck(saved, &inputs)?;
    check_op(|x| checkpoint(|x| Ok(x[0].exp()), &[&x[0]]), &[&[2, 3]]).run()?;
    // Only the call itself is recorded; and an input without a gradient stays without.
    let before = tape::nodes();
    let x = inputs[1].clone().requires_grad();
    let y = checkpoint(f, &[&inputs[0], &x, &inputs[2]])?;
    assert_eq!(tape::nodes(), before + 1);
    y.sum().backward()?;
    assert_eq!(tape::nodes(), before);
    let plain =
        value_and_grad(|x| Ok(f(&[inputs[0].clone(), x.clone(), inputs[2].clone()])?.sum()), &inputs[1])?;
    close(&x.grad().unwrap(), &plain.1);
    Ok(())
}

#[test]
fn checkpoints_refuse_what_they_would_lose() -> Result<()> {
    let w = Tensor::scalar(3.0).requires_grad();
    let captured = w.clone();
    let x = Tensor::scalar(2.0).requires_grad();
    let y = checkpoint(move |x| x[0].try_mul(&captured), &[&x])?;
    let e = y.backward().unwrap_err();
    assert_eq!((e.kind(), e.op()), (ErrorKind::Graph, "checkpoint"));
    Ok(())
}

#[test]
fn roots_differentiate_as_functions_of_the_problem() -> Result<()> {
    // x^3 + p x = q, solved without the library.
    let solve = |p: f64, q: f64| {
        let mut x = 1.0;
        for _ in 0..100 {
            x -= (x * x * x + p * x - q) / (3.0 * x * x + p);
        }
        x
    };
    let root = |v: &[Tensor]| {
        let x = Tensor::from([solve(v[0].item()?, v[1].item()?)]);
        implicit_root(|x| x.powf(3.0).try_add(&v[0].try_mul(x)?)?.try_sub(&v[1]), &x)
    };
    let at = [Tensor::scalar(2.0), Tensor::scalar(5.0)];
    gradcheck(root, &at)?;
    gradgradcheck(root, &at)?;
    // Several unknowns, of a shape of their own: A X = B.
    let system = |v: &[Tensor]| {
        let x = no_grad(|| v[0].solve(&v[1]))?;
        implicit_root(|x| v[0].mm(x)?.try_sub(&v[1]), &x)
    };
    let at = [Tensor::randn([3, 3]) + Tensor::eye(3) * 4.0, Tensor::randn([3, 2])];
    gradcheck(system, &at)?;
    gradgradcheck(system, &at)?;
    let e = implicit_root(|x| x.narrow(0, 0, 1), &Tensor::ones([2])).unwrap_err();
    assert_eq!((e.kind(), e.op()), (ErrorKind::Shape, "implicit_root"));
    let flat = implicit_root(|x| Ok(x * 0.0), &Tensor::ones([1])).unwrap_err();
    assert!(matches!(flat.kind(), ErrorKind::Singular { .. }));
    Ok(())
}

#[test]
fn minima_differentiate_as_functions_of_the_problem() -> Result<()> {
    // Ridge regression: x(p) = (A^T A + p I)^-1 A^T y.
    let (a, y) = (Tensor::randn([8, 3]), Tensor::randn([8]));
    let closed = |p: &Tensor| {
        let normal = a.t()?.mm(&a)?.try_add(&p.try_mul(&Tensor::eye(3))?)?;
        normal.solve(&a.t()?.mv(&y)?)
    };
    let implicit = |p: &Tensor| {
        let x = no_grad(|| closed(p))?;
        implicit_argmin(|x| Ok(least_squares_loss(&a, x, &y)? + p.try_mul(&x.square().sum())?), &x)
    };
    let p = Tensor::scalar(0.7);
    close(&implicit(&p)?, &closed(&p)?);
    close(&jacobian(implicit, &p)?, &jacobian(closed, &p)?);
    let twice = |f: &dyn Fn(&Tensor) -> Result<Tensor>| jacobian(|p| jacobian(|p| f(p), p), &p);
    close(&twice(&implicit)?, &twice(&closed)?);
    Ok(())
}

#[test]
fn quantiles_medians_and_grids() -> Result<()> {
    let x = Tensor::from([[3.0, 1.0, 2.0, 4.0], [5.0, 5.0, f64::NAN, 0.0]]);
    let q = x.quantile(0.25, 1)?.to_vec();
    assert!((q[0] - 1.75).abs() < 1e-15 && q[1].is_nan());
    assert_eq!(x.row(0)?.quantile(0.0, 0)?.item()?, 1.0);
    assert_eq!(x.row(0)?.quantile(1.0, 0)?.item()?, 4.0);
    assert_eq!(x.quantile(1.5, 0).unwrap_err().kind(), ErrorKind::Argument);
    let (middle, index) = x.median_dim(1, false)?;
    assert_eq!((middle.to_vec()[0], index.to_vec()), (2.0, vec![2, 2]));
    assert!(middle.to_vec()[1].is_nan());
    check_op(|x| x[0].quantile(0.3, -1), &[&[2, 5]]).run()?;
    check_op(|x| Ok(x[0].median_dim(0, true)?.0), &[&[5, 2]]).run()?;
    check_op(|x| Ok(Tensor::meshgrid(&[&x[0], &x[1]])?.swap_remove(0)), &[&[3], &[2]]).run()
}

#[test]
fn random_integers_and_orders() -> Result<()> {
    let dice = Tensor::randint(1, 7, [10_000])?;
    assert_eq!((dice.min()?.item()?, dice.max()?.item()?), (1, 6));
    let mean = dice.to_type::<f64>().mean().item()?;
    assert!((mean - 3.5).abs() < 0.1, "{mean}");
    assert_eq!(Tensor::randint(3, 3, [1]).unwrap_err().kind(), ErrorKind::Argument);
    let order = Tensor::randperm(1000)?;
    assert_eq!(order.sort(0, false)?.0.to_vec(), (0..1000).collect::<Vec<_>>());
    assert_ne!(order.to_vec(), (0..1000).collect::<Vec<_>>());
    Ok(())
}
