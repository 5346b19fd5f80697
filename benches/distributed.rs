//! The time of a least squares gradient whose rows processes share, and of the exchange in it: a line of JSON.
//!
//! `mpirun -n 2 target/release/deps/distributed-.. [rows] [cols]`, built with `--features mpi`; benches/peers/distributed.py runs
//! it beside torch.distributed.

use std::time::Instant;
use tapegrad::distributed::Group;
use tapegrad::prelude::*;

const ROUNDS: usize = 15;

/// Of the times of the slowest process, in seconds: the median, and the least, which says more on a busy machine.
struct Times {
    median: f64,
    least: f64,
}

impl std::fmt::Display for Times {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[{:e}, {:e}]", self.median, self.least)
    }
}

/// The times of `work`, each after a barrier.
fn timed(group: &Group, rounds: usize, mut work: impl FnMut() -> Result<()>) -> Result<Times> {
    let mut times = Vec::new();
    for _ in 0..rounds {
        group.barrier()?;
        let began = Instant::now();
        work()?;
        times.push(began.elapsed().as_secs_f64());
    }
    let all = group.all_gather(&Tensor::from(times).reshape([1, rounds])?)?.max_dim(0, false)?.0;
    let mut all = all.to_vec();
    all.sort_by(f64::total_cmp);
    Ok(Times { median: all[rounds / 2], least: all[0] })
}

fn main() -> Result<()> {
    let numbers: Vec<usize> = std::env::args().skip(1).filter_map(|a| a.parse().ok()).collect();
    let (rows, cols) = (numbers.first().copied().unwrap_or(20_000), numbers.get(1).copied().unwrap_or(2000));
    let group = Group::world()?;
    let shared = group.rows(rows);
    let n = shared.range().len();
    let data = shared.over([Tensor::rand([n, cols]), Tensor::rand([n])])?;
    let x = Tensor::full([cols], 0.01);
    let mut loss = 0.0;
    let gradient = timed(&group, ROUNDS, || {
        loss = data.least_squares(&x)?.0.item()?;
        Ok(())
    })?;
    // What this process adds up by itself.
    let alone = Group::alone().rows(n).with_blocks(shared.blocks().count());
    let (a, y) = (Tensor::rand([n, cols]), Tensor::rand([n]));
    let own = alone.over([a, y])?;
    let compute = timed(&group, ROUNDS, || own.least_squares(&x).map(drop))?;
    let vector = Tensor::ones([cols + 1]);
    let exchange = timed(&group, 200, || group.all_reduce(&vector).map(drop))?;
    if group.rank() > 0 {
        return time_messages(&group).map(drop);
    }
    let messages = time_messages(&group)?;
    println!(
        "{{\"processes\": {}, \"threads\": {}, \"rows\": {rows}, \"cols\": {cols}, \"gradient\": {gradient}, \
         \"compute\": {compute}, \"exchange\": {exchange}, \"loss\": {loss:e}, \"messages\": {messages}}}",
        group.size(),
        rayon_threads(),
    );
    Ok(())
}

fn rayon_threads() -> usize {
    let asked = std::env::var("RAYON_NUM_THREADS").ok().and_then(|n| n.parse().ok());
    asked.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, |n| n.get()))
}

/// Times of sums of vectors of different lengths: bytes and times; and of a barrier, at 0 bytes.
fn time_messages(group: &Group) -> Result<String> {
    let mut table = Vec::new();
    table.push(format!("[0, {}]", timed(group, 500, || group.barrier())?));
    for n in [1usize, 16, 128, 1000, 4096, 16_384, 131_072, 1 << 20] {
        let x = Tensor::ones([n]);
        let rounds = if n > 100_000 { 20 } else { 200 };
        let time = timed(group, rounds, || group.all_reduce(&x).map(drop))?;
        table.push(format!("[{}, {time}]", 8 * n));
    }
    Ok(format!("[{}]", table.join(", ")))
}
