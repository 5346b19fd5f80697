//! Derivatives of exchanges, against differences of values: those of the sum over all processes, by every element that any
//! of them holds.

use crate::expect;
use tapegrad::distributed::{Group, ReduceOp};
use tapegrad::{Result, Tensor, value_and_grad};

type Function<'a> = &'a dyn Fn(&Tensor) -> Result<Tensor>;

/// Some numbers, other ones in every process.
fn start(group: &Group, shape: &[usize]) -> Result<Tensor> {
    let n: usize = shape.iter().product();
    let value = |k: usize| 0.3 + 0.7 * ((k * 7 + group.rank() * 13) % 10) as f64 / 10.0;
    Tensor::from_vec((0..n).map(value).collect(), shape)
}

/// Compares the gradient of the sum over processes of `f` with central differences of fourth order, over the whole job.
fn check(group: &Group, name: &str, f: Function<'_>, x: &Tensor) -> Result<()> {
    let (_, gradient) = value_and_grad(|x| f(x), x)?;
    let gradient = gradient.to_vec();
    let total = |moved: &Tensor| -> Result<f64> { group.all_reduce(&f(moved)?.sum().detach())?.item() };
    let sizes = group.all_gather(&Tensor::scalar(x.numel() as i64))?.to_vec();
    let mut worst = 0.0f64;
    for (rank, &n) in sizes.iter().enumerate() {
        for k in 0..n as usize {
            let at = |h: f64| {
                let mut values = x.to_vec();
                if group.rank() == rank {
                    values[k] += h;
                }
                total(&Tensor::from_vec(values, x.shape())?)
            };
            let h = 1e-3;
            let numeric = (8.0 * (at(h)? - at(-h)?) - (at(2.0 * h)? - at(-2.0 * h)?)) / (12.0 * h);
            if group.rank() == rank {
                worst = worst.max((gradient[k] - numeric).abs() / (1.0 + numeric.abs()));
            }
        }
    }
    let worst = group.all_reduce_with(&Tensor::scalar(worst), ReduceOp::Max)?.item()?;
    expect!(worst < 1e-7, "{name}: off by {worst:e}");
    Ok(())
}

/// Gradient and, through it, second derivatives: those of the gradient's product with numbers that differ between ranks.
fn check_twice(group: &Group, name: &str, f: Function<'_>, shape: &[usize]) -> Result<()> {
    let x = start(group, shape)?;
    check(group, name, f, &x)?;
    let slopes = |x: &Tensor| {
        let g = value_and_grad(|x| f(x), x)?.1;
        let weights = start(group, g.shape())?;
        Ok((g * weights).sum())
    };
    check(group, &format!("{name}, second order"), &slopes, &x)
}

/// A weight for each element that differs between ranks, so that no rank's part can stand for another's.
fn weighed(group: &Group, y: &Tensor) -> Result<Tensor> {
    Ok((y.square() * (start(group, y.shape())? + group.rank() as f64)).sum())
}

pub fn of_reductions(group: &Group) -> Result<()> {
    let squared = |x: &Tensor| weighed(group, &group.all_reduce(&x.sin())?);
    check_twice(group, "all_reduce", &squared, &[3])?;
    let mean = |x: &Tensor| weighed(group, &group.all_reduce_with(&x.exp(), ReduceOp::Mean)?);
    check_twice(group, "all_reduce (mean)", &mean, &[2, 2])?;
    for how in [ReduceOp::Max, ReduceOp::Min] {
        let extreme = |x: &Tensor| weighed(group, &group.all_reduce_with(&x.square(), how)?);
        let apart = start(group, &[4])? + Tensor::from([0.01, 0.02, 0.03, 0.04]) * group.rank() as f64;
        check(group, how_name(how), &extreme, &apart)?;
    }
    // Where all are the largest there is no derivative.
    let all = |x: &Tensor| group.all_reduce_with(x, ReduceOp::Max);
    let (_, g) = value_and_grad(all, &Tensor::scalar(1.0))?;
    let expected = if group.size() == 1 { 1.0 } else { 0.0 };
    expect!(g.item()? == expected, "max of equal ones: {}", g.item()?);
    for root in 0..group.size() {
        let reduced = |x: &Tensor| weighed(group, &group.reduce(&x.exp(), root)?);
        check_twice(group, "reduce", &reduced, &[3])?;
        let copied = |x: &Tensor| weighed(group, &group.broadcast(&x.sin(), root)?);
        check_twice(group, "broadcast", &copied, &[3])?;
    }
    // Nonlinear in one process alone: the cotangents of the others are constants.
    let uneven = |x: &Tensor| {
        let y = group.all_reduce(&x.sin())?;
        if group.rank() == 0 { Ok(y.powf(3.0).sum()) } else { Ok(y.sum()) }
    };
    check_twice(group, "all_reduce, uneven", &uneven, &[3])?;
    let part = |x: &Tensor| weighed(group, &group.reduce_scatter(&x.exp())?);
    check_twice(group, "reduce_scatter", &part, &[5])
}

fn how_name(how: ReduceOp) -> &'static str {
    if how == ReduceOp::Max { "all_reduce (max)" } else { "all_reduce (min)" }
}

pub fn of_gathers(group: &Group) -> Result<()> {
    let rows = [1 + group.rank() % 3, 2];
    let all = |x: &Tensor| weighed(group, &group.all_gather(&x.sin())?);
    check_twice(group, "all_gather", &all, &rows)?;
    let scalars = |x: &Tensor| weighed(group, &group.all_gather(&x.sum().sin())?);
    check_twice(group, "all_gather of scalars", &scalars, &[2])?;
    for root in 0..group.size() {
        let gathered = |x: &Tensor| weighed(group, &group.gather(&x.exp(), root)?);
        check_twice(group, "gather", &gathered, &rows)?;
        let scattered = |x: &Tensor| weighed(group, &group.scatter(&x.sin(), root)?);
        check_twice(group, "scatter", &scattered, &[5, 2])?;
    }
    Ok(())
}

pub fn between_two(group: &Group) -> Result<()> {
    if group.size() == 1 {
        return Ok(());
    }
    let passed = |x: &Tensor| match group.rank() {
        0 => group.send(&x.sin(), 1),
        1 => weighed(group, &(group.recv(x, 0)? * x)),
        _ => Ok(x.square().sum()),
    };
    check_twice(group, "send and recv", &passed, &[3])?;
    // There and back.
    let returned = |x: &Tensor| match group.rank() {
        0 => {
            let receipt = group.send(&x.sin(), 1)?;
            Ok(weighed(group, &group.recv(&(x + &receipt), 1)?)? + receipt)
        }
        1 => group.send(&(group.recv(x, 0)?.exp() * x), 0),
        _ => Ok(x.sum()),
    };
    check_twice(group, "there and back", &returned, &[2])
}

pub fn of_swaps(group: &Group) -> Result<()> {
    let (rank, size) = (group.rank(), group.size());
    let (right, left) = ((rank + 1) % size, (rank + size - 1) % size);
    // Around a ring, tensors of other shapes on other ranks; and further, from what came.
    let ring = |x: &Tensor| weighed(group, &group.send_recv(&x.sin(), right, left)?);
    check_twice(group, "send_recv around a ring", &ring, &[1 + rank, 2])?;
    let twice = |x: &Tensor| {
        let came = group.send_recv(&x.exp(), right, left)?;
        weighed(group, &(group.send_recv(&(&came * &came), left, right)? * x))
    };
    check_twice(group, "send_recv there and back", &twice, &[2])?;
    // Long enough to travel by itself.
    let long = |x: &Tensor| {
        let came = group.send_recv(&x.expand([30, 2])?.sin(), left, right)?;
        weighed(group, &came.sum_dim(0, false)?)
    };
    check_twice(group, "send_recv of long ones", &long, &[2])?;
    // In pairs; the last of an odd number with itself.
    let partner = if rank ^ 1 < size { rank ^ 1 } else { rank };
    let swap = |x: &Tensor| weighed(group, &(group.send_recv(&x.square(), partner, partner)? * x));
    check_twice(group, "send_recv in pairs", &swap, &[3])
}

/// Newton's product through an exchange, and a long vector, whose derivative is another way of the same exchange.
pub fn second_order(group: &Group) -> Result<()> {
    let n = 50_000;
    let x = start(group, &[n])?;
    let f = |x: &Tensor| Ok(group.reduce(&x.sin(), 0)?.square().sum());
    let product = tapegrad::hvp(f, &x, &Tensor::ones([n]))?.to_vec();
    let sum = group.all_reduce(&x.sin())?;
    let along = group.all_reduce(&x.cos())?;
    // d/dx of 2 S cos x along the ones in every process: 2 cos x sum(cos) - 2 S sin x
    let exact = (x.cos() * along * 2.0 - sum * x.sin() * 2.0).to_vec();
    let off = product.iter().zip(&exact).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    expect!(off < 1e-12, "hvp off by {off:e}");
    Ok(())
}

pub fn of_sums_over_rows(group: &Group) -> Result<()> {
    let a: Tensor = start(&Group::alone(), &[23, 3])?;
    let rows = group.rows(23).with_blocks(5);
    // The scale is captured, and in every process another.
    let scaled = |x: &Tensor| {
        let sum = rows.sum(|range| {
            let part = a.narrow(0, range.start, range.len())?;
            (part * x).sin().sum_dim(0, false)
        })?;
        weighed(group, &sum)
    };
    check_twice(group, "a sum over rows", &scaled, &[3])?;
    let x = Tensor::from([0.1, 0.2, 0.3]);
    let loss = |x: &Tensor, range: std::ops::Range<usize>| {
        Ok((a.narrow(0, range.start, range.len())? * x).sin().sum())
    };
    let (y, g) = rows.value_and_grad(loss, &x)?;
    let (exact, slope) = value_and_grad(|x| loss(x, 0..23), &x)?;
    let v = Tensor::from([1.0, -1.0, 2.0]);
    let (product, whole) = (rows.hvp(loss, &x, &v)?, tapegrad::hvp(|x| loss(x, 0..23), &x, &v)?);
    let off =
        (y - exact).abs().item()? + (g - slope).abs().sum().item()? + (product - whole).abs().sum().item()?;
    expect!(off < 1e-12, "derivatives of a sum over rows off by {off:e}");
    Ok(())
}
