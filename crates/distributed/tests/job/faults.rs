//! What goes wrong is an error that names the ranks and the operation, and the job ends.

use crate::expect;
use std::time::Duration;
use tapegrad::distributed::Group;
use tapegrad::{ErrorKind, Result, Tensor, value_and_grad};

/// The error that every rank gets, and the group after it.
fn refused<V>(group: &Group, name: &str, result: Result<V>, kind: ErrorKind, parts: &[&str]) -> Result<()> {
    let Err(e) = result else {
        return Err(tapegrad::Error::other(format!("{name}: no error")));
    };
    let text = e.to_string();
    expect!(e.kind() == kind, "{name}: {:?}: {text}", e.kind());
    for part in parts {
        expect!(text.contains(part), "{name}: \"{part}\" is not in: {text}");
    }
    expect!(text.contains("faults.rs"), "{name}: no line of the caller in: {text}");
    let sum = group.all_reduce(&Tensor::scalar(1i64))?.item()?;
    expect!(sum == group.size() as i64, "{name}: the group is not as it was");
    Ok(())
}

pub fn disagreement(group: &Group) -> Result<()> {
    let (rank, size) = (group.rank(), group.size());
    if size == 1 {
        return Ok(());
    }
    let odd = rank == 1;
    for n in [2, 5000] {
        let shape = group.all_reduce(&Tensor::ones([n + usize::from(odd)]));
        refused(group, "shape", shape, ErrorKind::Shape, &["all_reduce", "rank 1: all_reduce(sum) of f64"])?;
        let dtype = match odd {
            true => group.all_reduce(&Tensor::<f32>::from(vec![1f32; n])).map(|x| x.numel()),
            false => group.all_reduce(&Tensor::ones([n])).map(|x| x.numel()),
        };
        refused(group, "type", dtype, ErrorKind::Group, &["rank 1: all_reduce(sum) of f32", "of f64"])?;
        let call = match odd {
            true => group.all_gather(&Tensor::ones([n])),
            false => group.all_reduce(&Tensor::ones([n])),
        };
        refused(
            group,
            "call",
            call,
            ErrorKind::Group,
            &["rank 1: all_gather of f64", "all_reduce(sum) of f64"],
        )?;
        let root = group.broadcast(&Tensor::ones([n]), usize::from(odd));
        refused(group, "root", root, ErrorKind::Group, &["with root 1", "with root 0"])?;
        let rows = group.all_gather(&Tensor::ones([n, 2 + usize::from(odd)]));
        refused(group, "rows", rows, ErrorKind::Shape, &["rows of shape [3]", "rows of shape [2]"])?;
    }
    let x = Tensor::ones([3]);
    let x = if odd { x } else { x.requires_grad() };
    let tracked = group.all_reduce(&x);
    refused(group, "tracked", tracked, ErrorKind::Group, &["track the tensor on every rank"])?;
    let blocks = group.rows(40).with_blocks(4 + usize::from(odd)).sum(|_| Ok(Tensor::scalar(1.0)));
    refused(group, "blocks", blocks, ErrorKind::Group, &["in 5 blocks", "in 4 blocks"])?;
    if rank < 2 {
        let pair = match rank {
            0 => group.send(&Tensor::ones([3]), 1),
            _ => group.recv(&Tensor::ones([4]), 0),
        };
        let text = pair.unwrap_err().to_string();
        expect!(
            text.contains("rank 0: send of f64 [3]") && text.contains("rank 1: send of f64 [4]"),
            "{text}"
        );
    }
    // Around a ring, rank 1 sends another type than the others: an error in those that it has to do with, and in no other.
    let (right, left) = ((rank + 1) % size, (rank + size - 1) % size);
    let n = 100;
    let swapped = match odd {
        true => group.send_recv(&Tensor::<f32>::from(vec![1f32; n]), right, left).map(|x| x.numel()),
        false => group.send_recv(&Tensor::ones([n]), right, left).map(|x| x.numel()),
    };
    match [right, rank, left].contains(&1) {
        true => {
            let e = swapped.unwrap_err().to_string();
            let said = e.contains("send_recv of f32 from rank") && e.contains("send_recv of f64 from rank");
            expect!(said && e.contains("faults.rs"), "{e}");
        }
        false => expect!(swapped? == n, "a rank that has to do with none of it"),
    }
    group.barrier()
}

pub fn failure(group: &Group) -> Result<()> {
    if group.size() == 1 {
        return Ok(());
    }
    let own = || tapegrad::Error::other("the disk is full");
    let failing = group.value_and_grad(
        |x: &Tensor| if group.rank() == 1 { Err(own()) } else { Ok(x.sum()) },
        &Tensor::ones([3]),
    );
    let text = failing.unwrap_err().to_string();
    expect!(text.contains("the disk is full"), "{text}");
    expect!(group.rank() == 1 || text.contains("rank 1 failed"), "{text}");
    // In the middle of one process's blocks.
    let mut calls = 0;
    let failing = group.rows(100).sum(|rows| {
        calls += 1;
        if group.rank() == 0 && calls == 2 { Err(own()) } else { Ok(Tensor::scalar(rows.len() as f64)) }
    });
    let text = failing.unwrap_err().to_string();
    expect!(group.rank() == 0 || text.contains("rank 0 failed"), "{text}");
    let (y, g) = value_and_grad(|x| group.reduce(x, 0), &Tensor::scalar(2.0))?;
    expect!(g.item()? == 1.0 && (group.rank() > 0 || y.item()? == 2.0 * group.size() as f64), "after it");
    Ok(())
}

/// Faults that end the job: for tests/distributed/run.sh, which looks at how.
pub fn run(fault: &str) -> Result<()> {
    let group = Group::world()?.with_time_limit(Duration::from_secs(2));
    let last = group.rank() + 1 == group.size();
    match fault {
        "late" => {
            if last {
                std::thread::sleep(Duration::from_secs(600));
            }
            let error = group.all_reduce(&Tensor::scalar(1.0)).unwrap_err();
            // And it stays so.
            assert!(group.barrier().unwrap_err().to_string().contains("cannot be used any more"));
            Err(error)
        }
        "absent" => {
            // The others wait for a message.
            match last {
                true => std::thread::sleep(Duration::from_secs(600)),
                false => drop(group.recv(&Tensor::ones([3]), group.size() - 1)?),
            }
            Ok(())
        }
        "alone" => {
            // The other one of a swap does not come.
            let (peer, one) = (usize::from(!last), Tensor::scalar(1.0));
            match last {
                true => std::thread::sleep(Duration::from_secs(600)),
                false => drop(group.send_recv(&one, peer, peer)?),
            }
            Ok(())
        }
        "silent" => {
            // What it sends from GPU to GPU is lost.
            let x = Tensor::from(vec![1.0; 1000]).to_device(&tapegrad::Device::cuda(group.rank())?)?;
            let sum = group.all_reduce(&x);
            if last { group.with_time_limit(Duration::from_secs(60)).barrier() } else { sum.map(drop) }
        }
        "dies" => {
            if last {
                std::process::abort();
            }
            group.with_time_limit(Duration::from_secs(60)).barrier()
        }
        "panics" => {
            assert!(!last, "this rank has a bug");
            group.with_time_limit(Duration::from_secs(60)).barrier()
        }
        "returns" => {
            if last {
                return Err(tapegrad::Error::other("this rank has no data"));
            }
            group.with_time_limit(Duration::from_secs(60)).barrier()
        }
        _ => Err(tapegrad::Error::other(format!("no fault is called {fault}"))),
    }
}
