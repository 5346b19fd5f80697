//! Functions fused from an expression: against the same composed of operations, in value and in derivatives.

use tapegrad::prelude::*;
use tapegrad::{Expr, Fused, check_op};

/// A fused function of two tensors, and the same composed.
type Case = (&'static str, Fused<2>, fn(&Tensor, &Tensor) -> Result<Tensor>);

fn cases() -> Vec<Case> {
    let c = 0.7;
    vec![
        ("squares", fused(|[x, y]| (x - y).square() * x.exp()), |x, y| Ok((x - y).square() * x.exp())),
        ("numbers", fused(move |[x, y]| 2.0 - (x * c + 1.0) / (y.square() + 3.0) - 0.5), |x, y| {
            Ok(-((x * 0.7 + 1.0) / (y.square() + 3.0)) + 1.5)
        }),
        ("left", fused(|[x, y]| 2.0 / (x.square() + 1.0) + 3.0 * y - 1.0), |x, y| {
            Ok(2.0 / (x.square() + 1.0) + 3.0 * y - 1.0)
        }),
        (
            "functions",
            fused(|[x, y]| x.tanh() * y.sigmoid() + (x * y).sin().powf(3.0) - x.softplus()),
            |x, y| Ok(x.tanh() * y.sigmoid() + (x * y).sin().powf(3.0) - x.softplus()),
        ),
        ("pairs", fused(|[x, y]| x.hypot(y) + x.atan2(y) + x.logaddexp(y) * x.maximum(y)), |x, y| {
            Ok(x.hypot(y)? + x.atan2(y)? + x.logaddexp(y)? * x.maximum(y)?)
        }),
        (
            "choice",
            fused(|[x, y]| x.gt(0.0).where_cond(x.square(), -x) * y.clamp(-0.5, 0.5).abs()),
            |x, y| {
                let chosen = x.gt(0.0)?.where_cond(x.square(), x.neg())?;
                Ok(chosen * y.clamp(-0.5, 0.5).abs())
            },
        ),
        ("one of them", fused(|[x, _]| x * x * x), |x, y| Ok(x * x * x + y * 0.0)),
        ("a number", fused(|[_, _]| 2.0.into()), |x, y| Ok((x + y) * 0.0 + 2.0)),
        (
            "conditions",
            fused(|[x, y]| {
                let near = x.lt(y) & !x.le(-1.0) | x.ge(2.0);
                near.where_cond(x * y, 0.0) + x.eq(y).where_cond(1.0, y)
            }),
            |x, y| {
                let near = x.lt(y)?.logical_and(&x.gt(-1.0)?)?.logical_or(&x.ge(2.0)?)?;
                let zero = Tensor::scalar(0.0);
                Ok(near.where_cond(&(x * y), &zero)? + x.eq(y)?.where_cond(Tensor::scalar(1.0), y)?)
            },
        ),
        ("itself", fused(|[x, y]| x + y.detach()), |x, y| x.try_add(&y.detach())),
    ]
}

#[test]
fn fused_functions_agree_with_composed_ones_in_all_orders() -> Result<()> {
    for (name, f, composed) in cases() {
        // Constant parts have differences all the same.
        let smooth = name != "itself";
        for shapes in
            [[&[3, 4][..], &[3, 4][..]], [&[2, 1, 3], &[4, 1]], [&[], &[]], [&[5], &[]], [&[0, 2], &[2]]]
        {
            let call = |x: &[Tensor]| f.call([&x[0], &x[1]]);
            if smooth {
                check_op(call, &shapes)
                    .single(|x| f.call([&x[0], &x[1]]))
                    .reference(|x| composed(&x[0], &x[1]))
                    .run()
                    .unwrap_or_else(|e| panic!("{name} of {shapes:?}: {e}"));
            }
            let x = [Tensor::randn(shapes[0]).requires_grad(), Tensor::randn(shapes[1]).requires_grad()];
            let (value, expected) = (call(&x)?, composed(&x[0], &x[1])?);
            assert!(value.allclose(&expected, 1e-12, 1e-12)?, "{name} of {shapes:?}");
            let gradients = |y: &Tensor| grad(&y.sum(), [&x[0], &x[1]]);
            for (g, e) in gradients(&value)?.into_iter().zip(gradients(&expected)?) {
                let (g, e) = (g.map_or(Tensor::scalar(0.0), |g| g), e.unwrap_or_else(|| Tensor::scalar(0.0)));
                assert!(g.allclose(&e, 1e-11, 1e-11)?, "{name} of {shapes:?}: {g} {e}");
            }
        }
    }
    Ok(())
}

#[test]
fn large_strided_and_shared_operands_give_the_same_on_any_path() -> Result<()> {
    let f = fused(|[x, y]| (x - y).square() * x.exp());
    let (x, y) = (Tensor::randn([300, 400]), Tensor::randn([400]));
    let expected = (&x - &y).square() * x.exp();
    assert!(f.call([&x, &y])?.allclose(&expected, 1e-13, 0.0)?);
    let turned = x.t()?.contiguous().t()?;
    assert!(f.call([&turned, &y])?.allclose(&expected, 1e-13, 0.0)?);
    let single = f.call([&x.to_type::<f32>(), &y.to_type::<f32>()])?;
    assert!(single.to_type::<f64>().allclose(&expected, 1e-4, 1e-5)?);
    let x = x.requires_grad();
    f.call([&x, &x])?.sum().backward()?;
    assert_eq!(x.grad().unwrap().abs().sum().item()?, 0.0);
    Ok(())
}

#[test]
fn third_derivatives_and_jacobians_of_fused_functions() -> Result<()> {
    let f = fused(|[x]| x.square() * x.sin());
    let x = Tensor::scalar(0.3);
    let third = |x: &Tensor| -> Result<Tensor> {
        let first = |x: &Tensor| value_and_grad(|x| f.call([x]), x).map(|v| v.1);
        let second = |x: &Tensor| value_and_grad(first, x).map(|v| v.1);
        value_and_grad(second, x).map(|v| v.1)
    };
    // (x^2 sin x)''' = 6 cos x - 6 x sin x - x^2 cos x
    let (s, c) = 0.3f64.sin_cos();
    assert!((third(&x)?.item()? - (6.0 * c - 1.8 * s - 0.09 * c)).abs() < 1e-13);
    let x = Tensor::from([0.1, 0.2, 0.3]);
    let j = jacobian(|x| f.call([x]), &x)?;
    let composed = jacobian(|x| Ok(x.square() * x.sin()), &x)?;
    assert!(j.allclose(&composed, 1e-13, 1e-15)?);
    Ok(())
}

#[test]
fn refusals_name_the_operation_and_a_panic_within_an_expression_leaves_nothing_behind() -> Result<()> {
    let f = fused(|[x, y]| x + y);
    let e = f.call([&Tensor::zeros([2]), &Tensor::zeros([3])]).unwrap_err();
    assert_eq!((e.op(), e.location().unwrap().file()), ("fused", file!()));
    assert!(
        std::panic::catch_unwind(|| fused(|[x]: [Expr; 1]| if true { panic!("mine") } else { x })).is_err()
    );
    let nested = fused(|[x]| {
        let inner = fused(|[y]: [Expr; 1]| y.exp());
        assert_eq!(inner.call([&Tensor::scalar(0.0)]).unwrap().item().unwrap(), 1.0);
        x + 1.0
    });
    assert_eq!(nested.call([&Tensor::scalar(1.0)])?.item()?, 2.0);
    Ok(())
}
