use tapegrad::prelude::*;

fn main() -> Result<()> {
    let x = Tensor::zeros([2, 3]);
    let (value, g) = value_and_grad(|x| x.square().sum(), &x)?;
    println!("{value} {g}");
    Ok(())
}
