//! Tensors of which each process has a GPU of its own, simulated or not: the same bits as on the host, and by NCCL where it is
//! found, without a copy to the host.

use crate::expect;
use tapegrad::distributed::{Group, ReduceOp};
use tapegrad::{Device, Element, Number, Result, Tensor, memory, value_and_grad};

/// The GPU of this process, where there is one for each, and whether NCCL reaches it.
fn own(group: &Group) -> Result<Option<(Device, bool)>> {
    let known = tapegrad::cuda::device_count().unwrap_or(0);
    // Processes of one machine are meant.
    if known < group.size() || group.size() == 1 {
        return Ok(None);
    }
    let device = Device::cuda(group.rank())?;
    Ok(Some((device, tensor_core::cuda::nccl::reachable(&device).is_some())))
}

type Work<'a, T> = &'a dyn Fn(&Tensor<T>) -> Result<Tensor<T>>;

/// The same work on the GPU and on the host gives the same, where it was done.
fn same<T: Element + PartialEq>(name: &str, device: Device, x: &Tensor<T>, work: Work<'_, T>) -> Result<()> {
    let (there, here) = (work(&x.to_device(&device)?)?, work(x)?);
    expect!(there.device() == device, "{name}: on {}", there.device());
    let equal = there.shape() == here.shape() && there.to_vec() == here.to_vec();
    expect!(equal, "{name} of {} {:?}", T::DTYPE, x.shape());
    Ok(())
}

fn copies<T: Element + PartialEq>(group: &Group, device: Device, x: &Tensor<T>) -> Result<()> {
    let n = group.size();
    for root in [0, n - 1] {
        same("broadcast", device, x, &|x| group.broadcast(x, root))?;
        same("gather", device, x, &|x| group.gather(x, root))?;
        same("scatter", device, x, &|x| group.scatter(x, root))?;
    }
    // As many rows on each, and another number.
    same("all_gather", device, x, &|x| group.all_gather(x))?;
    let part = x.numel() / (group.rank() + 1);
    same("all_gather", device, x, &|x| group.all_gather(&x.narrow(0, 0, part)?))?;
    let (right, left) = ((group.rank() + 1) % n, (group.rank() + n - 1) % n);
    same("send_recv", device, x, &|x| group.send_recv(&x.narrow(0, 0, part)?, right, left))?;
    same("send and recv", device, x, &|x| match group.rank() {
        0 => group.send(x, 1),
        1 => group.recv(x, 0),
        _ => Ok(x.clone()),
    })
}

fn sums<T: Number + PartialEq>(group: &Group, device: Device, x: &Tensor<T>) -> Result<()> {
    same("all_reduce", device, x, &|x| group.all_reduce(x))?;
    same("reduce", device, x, &|x| group.reduce(x, group.size() - 1))?;
    same("reduce_scatter", device, x, &|x| group.reduce_scatter(x))?;
    same("max", device, x, &|x| group.all_reduce_with(x, ReduceOp::Max))?;
    copies(group, device, x)
}

pub fn exchanges(group: &Group) -> Result<()> {
    let Some((device, nccl)) = own(group)? else { return Ok(()) };
    for n in [3usize, 500, 20_000, 70_001] {
        let x =
            Tensor::from((0..n).map(|k| (k as f64 + 0.1) / (group.rank() + 3) as f64).collect::<Vec<_>>());
        sums(group, device, &x)?;
        sums(group, device, &x.to_type::<f32>())?;
        sums(group, device, &x.to_type::<i64>())?;
        copies(group, device, &x.to_type::<i64>().remainder(2)?.eq(0)?)?;
    }
    // The blocks of rows are added by the same tree.
    let rows = group.rows(40).with_blocks(10);
    same("a sum over rows", device, &Tensor::ones([600]), &|x| {
        rows.sum(|range| Ok(x * (1.0 / (1.0 + range.start as f64))))
    })?;
    let x = Tensor::full([600], 0.3 + group.rank() as f64).to_device(&device)?;
    let before = memory::stats_on(&device)?.to_host.count;
    let y = group.all_reduce(&x)?;
    let (right, left) = ((group.rank() + 1) % group.size(), (group.rank() + group.size() - 1) % group.size());
    group.send_recv(&y, right, left)?;
    let (_, g) = value_and_grad(|x| Ok(group.reduce(&x.square(), 0)?.square().sum()), &x)?;
    let after = memory::stats_on(&device)?.to_host.count;
    expect!((after == before) == nccl, "{} copies to the host, with NCCL: {nccl}", after - before);
    // 4 x sum(x^2)
    let sum: f64 = (0..group.size()).map(|r| (0.3 + r as f64).powi(2)).sum();
    let off = (g.cpu() - &x.cpu() * (4.0 * sum)).abs().max()?.item()?;
    expect!(off < 1e-9, "the gradient is off by {off:e}");
    // Where one of them is on the host, all go by the host.
    let x = if group.rank() == 0 { x.cpu() } else { x };
    let sum = group.all_reduce(&x)?;
    expect!(sum.device() == x.device() && sum.cpu().to_vec() == y.cpu().to_vec(), "one on the host");
    let came = group.send_recv(&x, right, left)?;
    expect!(came.device() == x.device() && came.numel() == 600, "one neighbour on the host");
    Ok(())
}
