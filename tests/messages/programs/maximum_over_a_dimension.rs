use tapegrad::prelude::*;

fn main() -> Result<()> {
    let x = Tensor::zeros([2, 3]);
    let rows = x.max(1, true)?;
    println!("{rows}");
    Ok(())
}
