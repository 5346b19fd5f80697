//! Sums over rows have the same bits on any number of processes: those of one process alone.

use crate::expect;
use tapegrad::distributed::{Group, RowSharded};
use tapegrad::linalg::{IterativeOptions, cg, least_squares_loss, lsqr};
use tapegrad::prelude::*;

/// The same numbers in every process.
fn problem(rows: usize, cols: usize) -> Result<(Tensor, Tensor)> {
    let mut seed = 1u64;
    let mut draw = || {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (seed >> 11) as f64 / (1u64 << 53) as f64 - 0.5
    };
    let a = Tensor::from_vec((0..rows * cols).map(|_| draw()).collect(), [rows, cols])?;
    let y = Tensor::from_vec((0..rows).map(|_| draw()).collect(), [rows])?;
    Ok((a, y))
}

fn bits(x: &Tensor) -> Vec<u64> {
    x.to_vec().into_iter().map(f64::to_bits).collect()
}

pub fn least_squares(group: &Group) -> Result<()> {
    // Rows and blocks that divide evenly and not, fewer than the processes, gradients that travel in every way.
    for (rows, cols, blocks) in [(640, 5, 64), (1000, 40, 64), (777, 300, 11), (3, 4, 3), (90, 40_000, 7)] {
        let (a, y) = problem(rows, cols)?;
        let x = Tensor::full([cols], 0.25);
        let of = |group: &Group| {
            let shared = group.rows(rows).with_blocks(blocks);
            let (own_a, own_y) = (shared.take(&a)?, shared.take(&y)?);
            shared.over([own_a, own_y])?.least_squares(&x)
        };
        let (loss, gradient) = of(group)?;
        let (alone, alone_gradient) = of(&Group::alone())?;
        let same =
            loss.item()?.to_bits() == alone.item()?.to_bits() && bits(&gradient) == bits(&alone_gradient);
        expect!(same, "least squares of {rows} x {cols} in {blocks} blocks");
        let (exact, slope) = value_and_grad(|x| least_squares_loss(&a, x, &y), &x)?;
        let off = (loss - &exact).abs().item()? / exact.item()?;
        let far = (gradient - &slope).abs().max()?.item()? / slope.abs().max()?.item()?;
        expect!(off < 1e-12 && far < 1e-12, "least squares off by {off:e}, {far:e}");
    }
    Ok(())
}

pub fn solvers(group: &Group) -> Result<()> {
    let (a, b) = problem(200, 8)?;
    let solve = |group: &Group| {
        let rows = group.rows(200);
        let matrix = RowSharded::new(&rows, &rows.take(&a)?)?;
        lsqr(&matrix, &b, IterativeOptions::default())
    };
    let (x, alone) = (solve(group)?.x, solve(&Group::alone())?.x);
    expect!(bits(&x) == bits(&alone), "lsqr has other bits");
    let normal = a.t()?.matmul(&a)?;
    let right = a.t()?.matmul(&b)?;
    let off = (normal.matmul(&x)? - &right).abs().max()?.item()?;
    expect!(off < 1e-8, "lsqr off by {off:e}");
    // A symmetric matrix by its rows, and Newton's system without one.
    let by_rows = |group: &Group| {
        let rows = group.rows(8);
        cg(&RowSharded::new(&rows, &rows.take(&normal)?)?, &right, IterativeOptions::default())
    };
    let (x, alone) = (by_rows(group)?.x, by_rows(&Group::alone())?.x);
    expect!(bits(&x) == bits(&alone), "cg has other bits");
    let by_products = |group: &Group| {
        let rows = group.rows(200);
        let (a, group) = (rows.take(&a)?, group.clone());
        let product = move |v: &Tensor| {
            group.rows(200).over([&a])?.gauss_newton_product(
                |x: &Tensor, part: &[Tensor]| part[0].matmul(x),
                &Tensor::zeros([8]),
                v,
            )
        };
        cg(&tapegrad::linalg::MatrixFree::new([8, 8], product), &right, IterativeOptions::default())
    };
    let (x, alone) = (by_products(group)?.x, by_products(&Group::alone())?.x);
    expect!(bits(&x) == bits(&alone), "Newton-CG has other bits");
    // The derivative of a solution, by the right-hand side: the sum over processes counts each of them.
    let rows = group.rows(8);
    let matrix = RowSharded::new(&rows, &rows.take(&normal)?)?;
    let (_, g) = value_and_grad(|b| Ok(cg(&matrix, b, IterativeOptions::default())?.x.sum()), &right)?;
    let exact = normal.solve(&Tensor::ones([8]))?;
    let off = (g - exact).abs().max()?.item()?;
    expect!(off < 1e-7, "the derivative of cg off by {off:e}");
    Ok(())
}

/// Gradient descent on a sum of the processes' own losses: all have the same parameters in the end.
pub fn steps(group: &Group) -> Result<()> {
    let (a, y) = problem(60, 4)?;
    let rows = group.rows(60);
    let (a, y) = (rows.take(&a)?, rows.take(&y)?);
    let mut x = Tensor::zeros([4]);
    let mut before = f64::INFINITY;
    for _ in 0..50 {
        let (loss, g) = group.value_and_grad(|x| least_squares_loss(&a, x, &y), &x)?;
        expect!(loss.item()? <= before, "the loss grew");
        before = loss.item()?;
        x -= g * 0.02;
    }
    let all = group.all_gather(&x.reshape([1, 4])?)?;
    for rank in 0..group.size() {
        expect!(bits(&all.select(0, rank)?) == bits(&x), "rank {rank} took other steps");
    }
    let product = group.hvp(|x| least_squares_loss(&a, x, &y), &x, &Tensor::ones([4]))?;
    let half = group.gauss_newton_product(|x: &Tensor| a.matmul(x), &x, &Tensor::ones([4]))?;
    let off = (product - half * 2.0).abs().max()?.item()?;
    expect!(off < 1e-12, "products off by {off:e}");
    Ok(())
}
