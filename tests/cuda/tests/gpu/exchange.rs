//! Exchanges of tensors that are on a GPU: they go through the host, and their results come back.

use crate::alone;
use tapegrad::distributed::{Group, ReduceOp, spawn};
use tapegrad::{Device, Result, Tensor, value_and_grad};

const RANKS: usize = 2;

/// The same work on tensors of the GPU and of the host gives the same, where it was done.
fn both(work: impl Fn(&Group, &dyn Fn(&Tensor) -> Result<Tensor>) -> Result<Tensor> + Sync) -> Result<()> {
    let on = |device: Device| {
        spawn(RANKS, |group| {
            let y = work(group, &|x: &Tensor| x.to_device(&device))?;
            assert_eq!(y.device(), device);
            Ok((y.shape().to_vec(), y.to_vec()))
        })
    };
    assert_eq!(on(tapegrad_cuda_tests::gpu()?)?, on(Device::Cpu)?);
    Ok(())
}

fn own(group: &Group, n: usize) -> Tensor {
    Tensor::from((0..n).map(|k| (k + group.rank()) as f64).collect::<Vec<_>>())
}

#[test]
fn simulated_exchanges_go_through_the_host() -> Result<()> {
    let _alone = alone();
    for n in [3, 3000] {
        both(|group, on| group.all_reduce(&on(&own(group, n))?))?;
        both(|group, on| group.all_reduce_with(&on(&own(group, n))?, ReduceOp::Max))?;
        both(|group, on| group.all_reduce_with(&on(&own(group, n))?, ReduceOp::Mean))?;
        both(|group, on| group.reduce(&on(&own(group, n))?, 1))?;
        both(|group, on| group.broadcast(&on(&own(group, n))?, 1))?;
        both(|group, on| group.all_gather(&on(&own(group, n))?))?;
        both(|group, on| group.gather(&on(&own(group, n))?, 0))?;
        both(|group, on| group.scatter(&on(&own(group, n))?, 0))?;
        both(|group, on| group.reduce_scatter(&on(&own(group, n))?))?;
        both(|group, on| {
            let rows = group.rows(n);
            let part =
                |range: std::ops::Range<usize>| on(&own(&Group::alone(), range.len()))?.sum_dim(0, false);
            rows.sum(part)
        })?;
        both(|group, on| {
            let x = on(&own(group, n))?;
            if group.rank() == 0 { group.send(&x, 1) } else { group.recv(&x, 0) }
        })?;
        both(|group, on| {
            let f = |x: &Tensor| Ok(group.all_reduce(x)?.square().sum());
            Ok(value_and_grad(f, &on(&own(group, n))?)?.1)
        })?;
    }
    Ok(())
}
