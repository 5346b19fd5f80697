use tapegrad::prelude::*;

fn main() -> Result<()> {
    let x = Tensor::zeros([2, 3]);
    println!("{}", x.index_select(0, &[0.0, 1.0])?);
    Ok(())
}
