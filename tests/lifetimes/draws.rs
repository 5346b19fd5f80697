//! Random numbers in functions that are run more than once.

use crate::alone;
use tapegrad::prelude::*;
use tapegrad::{checkpoint, replayed};

/// A function with noise in it, and noise drawn after it.
type Noisy = fn(&[Tensor]) -> Result<Tensor>;

const NOISY: &[(&str, Noisy)] = &[
    ("randn", |v| Ok(&v[0] * Tensor::randn([3]))),
    ("rand twice", |v| Ok((&v[0] * Tensor::rand([3])).sin() + &v[0] * Tensor::rand([3]))),
    ("randint", |v| Ok(v[0].square() * Tensor::randint(0, 1000, [3])?.to_type::<f64>())),
    ("randperm", |v| v[0].index_select(0, &Tensor::randperm(3)?)?.try_mul(&v[0])),
    ("a dropout mask", |v| Ok(&v[0] * Tensor::rand([3]).gt(0.5)?.to_type::<f64>() * 2.0)),
    ("a checkpoint within", |v| {
        Ok(checkpoint(|v| Ok(&v[0] * Tensor::randn([3])), &[&v[0]])?.exp() * Tensor::randn([3]))
    }),
    ("a seed of its own", |v| {
        manual_seed(5);
        Ok(&v[0] * Tensor::randn([3]))
    }),
];

/// Value, gradient, Hessian, and the numbers that are drawn afterwards.
fn everything(f: impl Fn(&Tensor) -> Result<Tensor>, x: &Tensor) -> Result<Vec<Vec<f64>>> {
    let f = |x: &Tensor| Ok(f(x)?.powf(3.0).sum());
    manual_seed(9);
    let (value, slope) = value_and_grad(f, x)?;
    let after = Tensor::randn([2]);
    manual_seed(9);
    let second = hessian(f, x)?;
    let later = Tensor::randn([2]);
    Ok([value, slope, second, after, later].iter().map(Tensor::to_vec).collect())
}

#[test]
fn a_checkpoint_draws_the_same_numbers_twice_and_the_generator_moves_once() -> Result<()> {
    let _alone = alone();
    let x = Tensor::from([0.3, -0.8, 1.1]);
    for &(name, f) in NOISY {
        let plain = everything(|x| f(std::slice::from_ref(x)), &x)?;
        let checked = everything(|x| checkpoint(f, &[x]), &x)?;
        for (plain, checked) in plain.iter().flatten().zip(checked.iter().flatten()) {
            assert!((plain - checked).abs() <= 1e-12 * (1.0 + plain.abs()), "{name}: {plain} {checked}");
        }
    }
    Ok(())
}

#[test]
fn a_retained_checkpoint_answers_alike_every_time() -> Result<()> {
    let _alone = alone();
    let x = Tensor::ones([4]).requires_grad();
    let y = checkpoint(|v| Ok(&v[0] * Tensor::randn([4])), &[&x])?;
    let value = y.to_vec();
    for _ in 0..3 {
        x.zero_grad();
        y.backward_with(Some(Tensor::ones([4])), true)?;
        assert_eq!(x.grad().unwrap().to_vec(), value);
    }
    Ok(())
}

#[test]
fn a_replayed_function_draws_as_in_a_loop() -> Result<()> {
    let _alone = alone();
    let x = Tensor::ones([3]);
    let f = |x: &Tensor| Ok((x * Tensor::randn_on(&x.device(), [3])?).sum());
    manual_seed(1);
    let step = replayed(f, &x)?;
    let found = [step.call(&x)?.1.to_vec(), step.call(&x)?.1.to_vec()];
    manual_seed(1);
    let want = [value_and_grad(f, &x)?.1.to_vec(), value_and_grad(f, &x)?.1.to_vec()];
    assert_eq!(found, want);
    assert_ne!(found[0], found[1]);
    Ok(())
}
