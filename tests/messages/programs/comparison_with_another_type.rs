use tapegrad::prelude::*;

fn main() -> Result<()> {
    let x = Tensor::zeros([2, 3]);
    let y = Tensor::<f32>::zeros([2, 3]);
    println!("{}", x.maximum(&y)?);
    Ok(())
}
