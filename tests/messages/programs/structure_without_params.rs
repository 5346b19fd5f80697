use tapegrad::prelude::*;

fn main() -> Result<()> {
    let x = Tensor::zeros([2, 3]);
    struct Line { slope: Tensor }
    let line = Line { slope: x };
    let (_, g) = value_and_grad(|line: &Line| Ok(line.slope.sum()), &line)?;
    println!("{}", g.slope);
    Ok(())
}
