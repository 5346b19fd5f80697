use tapegrad::prelude::*;

fn main() -> Result<()> {
    let x = Tensor::zeros([2, 3]);
    let first = &x[0];
    println!("{first}");
    Ok(())
}
