//! What the collectives give, for every element type, at sizes that travel in different ways.

use crate::expect;
use tapegrad::distributed::{Group, ReduceOp};
use tapegrad::{DType, Element, Number, Result, Tensor};

/// Rank r has `(r + 1) (k + 1)` at k.
fn own<T: Number>(rank: usize, n: usize) -> Tensor<T> {
    let values: Vec<i64> = (0..n).map(|k| ((rank + 1) * (k + 1)) as i64).collect();
    Tensor::from(values).to_type::<T>()
}

/// Sizes of one message with the call, of one more, and of those that climb and are shared.
const SIZES: [usize; 6] = [0, 1, 7, 500, 20_000, 100_003];

fn reductions_of<T: Number + PartialEq>(group: &Group) -> Result<()> {
    let ranks: usize = (1..=group.size()).sum();
    for n in SIZES {
        let x: Tensor<T> = own(group.rank(), n);
        let expected = own::<T>(ranks - 1, n).to_vec();
        let sum = group.all_reduce(&x)?.to_vec();
        expect!(sum == expected, "all_reduce of {n} {}", T::DTYPE);
        for root in 0..group.size() {
            let y = group.reduce(&x, root)?;
            let zeros = vec![T::default(); n];
            let right = if group.rank() == root { &expected } else { &zeros };
            expect!(y.to_vec() == *right, "reduce of {n} {} to {root}", T::DTYPE);
        }
        let largest = group.all_reduce_with(&x, ReduceOp::Max)?.to_vec();
        expect!(largest == own::<T>(group.size() - 1, n).to_vec(), "max of {n} {}", T::DTYPE);
        let smallest = group.all_reduce_with(&x, ReduceOp::Min)?.to_vec();
        expect!(smallest == own::<T>(0, n).to_vec(), "min of {n} {}", T::DTYPE);
        let part = group.reduce_scatter(&x)?.to_vec();
        let [start, end] = [0, 1].map(|k| n * (group.rank() + k) / group.size());
        expect!(part == expected[start..end], "reduce_scatter of {n} {}", T::DTYPE);
    }
    Ok(())
}

pub fn reductions(group: &Group) -> Result<()> {
    reductions_of::<f64>(group)?;
    reductions_of::<f32>(group)?;
    reductions_of::<i64>(group)?;
    let mean = group.all_reduce_with(&Tensor::scalar(group.rank() as f64), ReduceOp::Mean)?.item()?;
    expect!(mean == (group.size() - 1) as f64 / 2.0, "mean {mean}");
    expect!(group.all_reduce_with(&Tensor::from([1i64]), ReduceOp::Mean).is_err(), "a mean of integers");
    // A column of a matrix: strides of its own.
    let x = Tensor::from([[1.0, 2.0], [3.0, 4.0]]).narrow(1, 1, 1)?;
    let sum = group.all_reduce(&x)?;
    expect!(sum.shape() == [2, 1] && sum.get([1, 0])? == 4.0 * group.size() as f64, "{sum}");
    let nan = if group.rank() == 0 { f64::NAN } else { 1.0 };
    let largest = group.all_reduce_with(&Tensor::scalar(nan), ReduceOp::Max)?.item()?;
    expect!(largest.is_nan(), "a NaN was lost");
    Ok(())
}

fn same<T: Element + PartialEq>(what: &str, x: &Tensor<T>, expected: &Tensor<T>) -> Result<()> {
    let equal = x.shape() == expected.shape() && x.to_vec() == expected.to_vec();
    expect!(equal, "{what} of {}: shape {:?}", <T as Element>::DTYPE, x.shape());
    Ok(())
}

fn broadcasts_of<T: Element + PartialEq>(group: &Group, of: fn(&Tensor<i64>) -> Tensor<T>) -> Result<()> {
    for n in SIZES {
        for root in 0..group.size() {
            let y = group.broadcast(&of(&own::<i64>(group.rank(), n)), root)?;
            same("broadcast", &y, &of(&own::<i64>(root, n)))?;
        }
    }
    Ok(())
}

fn even(x: &Tensor<i64>) -> Tensor<bool> {
    Tensor::from(x.to_vec().into_iter().map(|v| v % 2 == 0).collect::<Vec<bool>>())
}

pub fn broadcasts(group: &Group) -> Result<()> {
    broadcasts_of::<f64>(group, Tensor::to_type)?;
    broadcasts_of::<f32>(group, Tensor::to_type)?;
    broadcasts_of::<i64>(group, Clone::clone)?;
    broadcasts_of::<bool>(group, even)
}

fn gathers_of<T: Element + PartialEq>(group: &Group, of: fn(&Tensor<i64>) -> Tensor<T>) -> Result<()> {
    for width in [1, 3, 4000] {
        let rows = |rank: usize| -> Result<Tensor<T>> {
            of(&own::<i64>(rank, (rank + 2) % 3 * width)).reshape([(rank + 2) % 3, width])
        };
        let parts: Vec<Tensor<T>> = (0..group.size()).map(rows).collect::<Result<_>>()?;
        let whole = Tensor::cat(&parts, 0)?;
        let x = rows(group.rank())?;
        same("all_gather", &group.all_gather(&x)?, &whole)?;
        for root in 0..group.size() {
            let y = group.gather(&x, root)?;
            let mine = if group.rank() == root { whole.clone() } else { whole.narrow(0, 0, 0)? };
            same("gather", &y, &mine)?;
            let part = group.scatter(&y, root)?;
            let n = whole.shape()[0];
            let [start, end] = [0, 1].map(|k| n * (group.rank() + k) / group.size());
            same("scatter", &part, &whole.narrow(0, start, end - start)?)?;
        }
    }
    Ok(())
}

pub fn gathers(group: &Group) -> Result<()> {
    gathers_of::<f64>(group, Tensor::to_type)?;
    gathers_of::<f32>(group, Tensor::to_type)?;
    gathers_of::<i64>(group, Clone::clone)?;
    gathers_of::<bool>(group, even)?;
    let scalars = group.all_gather(&Tensor::scalar(group.rank() as i64))?.to_vec();
    expect!(scalars == (0..group.size() as i64).collect::<Vec<_>>(), "{scalars:?}");
    let e = group.scatter(&Tensor::scalar(1.0), 0).unwrap_err().to_string();
    expect!(e.contains("a scalar has no rows"), "{e}");
    let e = group.broadcast(&Tensor::scalar(1.0), group.size()).unwrap_err().to_string();
    expect!(e.contains("there is no rank"), "{e}");
    Ok(())
}

pub fn between_two(group: &Group) -> Result<()> {
    let (rank, size) = (group.rank(), group.size());
    expect!(group.send(&Tensor::scalar(1.0), rank).is_err(), "a message to itself");
    for n in SIZES {
        // Around a ring, one after another.
        for from in 0..size {
            let to = (from + 1) % size;
            if size == 1 {
                continue;
            }
            if rank == from {
                group.send(&own::<f64>(from, n), to)?;
                group.send(&even(&own::<i64>(from, n)), to)?;
            } else if rank == to {
                let came = group.recv(&Tensor::zeros([n]), from)?;
                same("recv", &came, &own::<f64>(from, n))?;
                let came = group.recv(&even(&own::<i64>(0, n)), from)?;
                same("recv", &came, &even(&own::<i64>(from, n)))?;
            }
        }
    }
    group.barrier()
}

pub fn swaps(group: &Group) -> Result<()> {
    let (rank, size) = (group.rank(), group.size());
    let (right, left) = ((rank + 1) % size, (rank + size - 1) % size);
    for n in SIZES {
        // Every process sends another number of rows.
        let rows = |rank: usize| own::<f64>(rank, n * (rank + 1)).reshape([rank + 1, n]);
        same("send_recv", &group.send_recv(&rows(rank)?, right, left)?, &rows(left)?)?;
        let truth = group.send_recv(&even(&own::<i64>(rank, n)), left, right)?;
        same("send_recv", &truth, &even(&own::<i64>(right, n)))?;
    }
    let itself = group.send_recv(&Tensor::scalar(rank as i64), rank, rank)?.item()?;
    expect!(itself == rank as i64, "to itself: {itself}");
    if size > 1 {
        let e = group.send_recv(&Tensor::scalar(1.0), rank, right).unwrap_err().to_string();
        expect!(e.contains("what a process sends to itself"), "{e}");
    }
    let e = group.send_recv(&Tensor::zeros([1; 9]), rank, rank).unwrap_err().to_string();
    expect!(e.contains("9 dimensions"), "{e}");
    group.barrier()
}

/// Many calls in a row keep their order.
pub fn long_messages(group: &Group) -> Result<()> {
    let n = 1 << 20;
    let x = Tensor::full([n], 1.0 + group.rank() as f64);
    let sum = group.all_reduce(&x)?;
    let expected = (1..=group.size()).sum::<usize>() as f64;
    expect!(sum.min()?.item()? == expected && sum.max()?.item()? == expected, "a sum of {n}");
    for k in 0..200 {
        let sum = group.all_reduce(&Tensor::scalar(k))?.item()?;
        expect!(sum == k * group.size() as i64, "call {k}");
    }
    Ok(())
}

pub fn structures(group: &Group) -> Result<()> {
    let layers = vec![(Tensor::full([3, 2], 1.0), Tensor::scalar(group.rank() as f64))];
    let sums = group.all_reduce_params(&layers)?;
    expect!(sums[0].0.shape() == [3, 2] && sums[0].0.get([2, 1])? == group.size() as f64, "sums");
    let same = group.broadcast_params(&layers, group.size() - 1)?;
    expect!(same[0].1.item()? == (group.size() - 1) as f64, "broadcast");
    expect!(DType::F64 == same[0].0.dtype(), "type");
    Ok(())
}

pub fn splits(group: &Group) -> Result<()> {
    let (rank, size) = (group.rank(), group.size());
    // Backwards, and the last rank apart.
    let part = group.split((rank + 1 < size).then_some(3), -(rank as i32))?;
    match part {
        None => expect!(rank + 1 == size, "rank {rank} has no group"),
        Some(part) => {
            expect!(part.size() == size - 1 && part.rank() == size - 2 - rank, "{part:?}");
            let sum = part.all_reduce(&Tensor::scalar(rank as i64))?.item()?;
            expect!(sum == (0..size as i64 - 1).sum::<i64>(), "sum {sum}");
        }
    }
    expect!(group.split(Some(-1), 0).is_err(), "a negative color");
    let machine = group.split_by_machine()?;
    expect!(machine.size() >= 1 && machine.size() <= size, "{machine:?}");
    group.barrier()
}
