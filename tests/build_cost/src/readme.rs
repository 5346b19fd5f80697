//! The ten lines of README alone.

use tapegrad::prelude::*;

fn main() -> Result<()> {
    // ||y - A x||^2, its gradient, and its Hessian 2 A^T A.
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
