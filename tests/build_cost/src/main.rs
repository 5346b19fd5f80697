//! What users begin with: the ten lines of README, the gradient of a function of two variables, and a perceptron with one
//! hidden layer. `run.sh` counts what the compiler makes of the library here.

use tapegrad::prelude::*;

/// ||y - A x||^2, its gradient, and its Hessian 2 A^T A.
fn least_squares() -> Result<()> {
    let a = Tensor::from([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]]);
    let y = Tensor::from([1.0, 2.0, 4.0]);
    let x = Tensor::zeros([2]).requires_grad();
    let loss = (&y - &a.mv(&x)?).square().sum();
    loss.backward()?;
    assert_eq!(x.grad().unwrap().to_vec(), [-14.0, -20.0]);
    let h = hessian(|x| least_squares_loss(&a, x, &y), &Tensor::zeros([2]))?;
    assert_eq!(h.to_vec(), [6.0, 6.0, 6.0, 10.0]);
    Ok(())
}

/// Rosenbrock's function (1 - x)^2 + 100 (y - x^2)^2, down its gradient.
fn rosenbrock() -> Result<()> {
    let f = |p: &Tensor| {
        let (x, y) = (p.select(0, 0)?, p.select(0, 1)?);
        Ok((1.0 - &x).square() + 100.0 * (y - x.square()).square())
    };
    let mut p = Tensor::from([-1.2, 1.0]);
    let mut value = f64::INFINITY;
    for _ in 0..2000 {
        let (now, g) = value_and_grad(f, &p)?;
        value = now.item()?;
        p = p - 1e-3 * g;
    }
    assert!(value < 1.0, "{value}");
    Ok(())
}

/// x1 xor x2, learned by a hidden layer of eight.
fn perceptron() -> Result<()> {
    manual_seed(1);
    let x = Tensor::from([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]);
    let y = Tensor::from([[0.0], [1.0], [1.0], [0.0]]);
    let mut weights = [Tensor::randn([2, 8]), Tensor::zeros([8]), Tensor::randn([8, 1]), Tensor::zeros([1])];
    let mut losses = Vec::new();
    for _ in 0..500 {
        let parameters = weights.each_ref().map(|w| w.detach().requires_grad());
        let [w1, b1, w2, b2] = &parameters;
        let hidden = (x.mm(w1)? + b1).tanh();
        let loss = ((hidden.mm(w2)? + b2).sigmoid() - &y).square().mean();
        loss.backward()?;
        losses.push(loss.item()?);
        weights = parameters.each_ref().map(|w| w.detach() - w.grad().unwrap());
    }
    assert!(losses[499] < losses[0] / 2.0, "{} to {}", losses[0], losses[499]);
    Ok(())
}

fn main() -> Result<()> {
    least_squares()?;
    rosenbrock()?;
    perceptron()
}
