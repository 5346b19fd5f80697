use tapegrad::prelude::*;

fn main() -> Result<()> {
    let x = Tensor::zeros([2, 3]);
    println!("{}", x.narrow(1, 0.5, 2)?);
    Ok(())
}
