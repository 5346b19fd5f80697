use tapegrad::prelude::*;

fn main() -> Result<()> {
    let x = Tensor::zeros([2, 3]);
    println!("{}", x.sum_dim(1.0, false)?);
    Ok(())
}
