use tapegrad::prelude::*;

fn main() -> Result<()> {
    let x = Tensor::zeros([2, 3]);
    let columns = x.sum(0);
    println!("{columns}");
    Ok(())
}
