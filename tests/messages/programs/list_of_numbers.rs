use tapegrad::prelude::*;

fn main() -> Result<()> {
    let x: Tensor = Tensor::cat([1.0, 2.0], 0)?;
    println!("{x}");
    Ok(())
}
