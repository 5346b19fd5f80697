use tapegrad::prelude::*;

fn main() -> Result<()> {
    let x = Tensor::zeros([2, 3]);
    let g = grad(|x| x.square().sum(), &x)?;
    println!("{g:?}");
    Ok(())
}
