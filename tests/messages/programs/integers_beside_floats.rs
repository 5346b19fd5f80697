use tapegrad::prelude::*;

fn main() -> Result<()> {
    let x = Tensor::zeros([2, 3]);
    let n = Tensor::from([1, 2, 3]);
    println!("{}", &x * &n);
    Ok(())
}
