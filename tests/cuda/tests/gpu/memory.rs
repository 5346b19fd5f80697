//! Memory of the GPU: what is copied, what is kept, and what happens when it runs out.

use tapegrad::prelude::*;
use tapegrad::{checkpoint, memory, replayed};
use tapegrad_cuda_tests::gpu;

#[test]
fn simulated_training_copies_nothing() -> Result<()> {
    let _alone = crate::alone();
    let device = gpu()?;
    let a = Tensor::randn_on(&device, [40, 4])?;
    let y = Tensor::randn_on(&device, [40])?;
    let mut x = Tensor::zeros_on(&device, [4])?.requires_grad();
    let step = |x: &mut Tensor| -> Result<()> {
        x.zero_grad();
        let loss = (&y - &a.mv(x)?).square().mean() + x.abs().sum() * 1e-3;
        loss.backward()?;
        let g = x.grad().ok_or_else(|| Error::other("no gradient"))?;
        x.update(|x| Ok(x - g * 0.1))
    };
    step(&mut x)?;
    let before = memory::stats_on(&device)?;
    for _ in 0..20 {
        step(&mut x)?;
    }
    let after = memory::stats_on(&device)?;
    assert_eq!((after.to_device, after.to_host), (before.to_device, before.to_host));
    assert_eq!(after.live, before.live);
    // A number that the host does not know is fetched.
    x.sum().item()?;
    assert_eq!(memory::stats_on(&device)?.to_host.count, before.to_host.count + 1);
    Ok(())
}

#[test]
fn simulated_memory_runs_out_and_comes_back() -> Result<()> {
    let _alone = crate::alone();
    let device = gpu()?;
    let live = memory::stats_on(&device)?.live;
    let e = Tensor::<f64>::zeros_on(&device, [1usize << 45]).unwrap_err();
    assert!(matches!(e.kind(), ErrorKind::OutOfMemory { .. }), "{e}");
    let x = Tensor::<f64>::zeros_on(&device, [1 << 16])?;
    assert_eq!(memory::stats_on(&device)?.live - live, 8 << 16);
    // Dropped by a thread that never met the GPU.
    std::thread::spawn(move || drop(x)).join().map_err(|_| Error::other("the thread panicked"))?;
    assert_eq!(memory::stats_on(&device)?.live, live);
    memory::trim_on(&device)
}

#[test]
fn simulated_replays_follow_their_inputs() -> Result<()> {
    let _alone = crate::alone();
    let device = gpu()?;
    let target = Tensor::from([1.0, -2.0, 0.5]).to_device(&device)?;
    let loss = |x: &(Tensor, Tensor)| Ok(((&x.0 * &x.1).sin() - &target).square().sum());
    let at = |v: f64| -> Result<(Tensor, Tensor)> {
        Ok((Tensor::from([v, 2.0 * v, -v]).to_device(&device)?, Tensor::from([0.3]).to_device(&device)?))
    };
    let step = replayed(loss, &at(0.1)?)?;
    let kept = step.call(&at(0.4)?)?;
    for v in [0.1, 0.7, -2.0, 0.4] {
        let (value, gradient) = step.call(&at(v)?)?;
        let (expected, slope) = value_and_grad(loss, &at(v)?)?;
        assert_eq!(value.item()?, expected.item()?);
        assert_eq!(gradient.0.to_vec(), slope.0.to_vec());
        assert_eq!(gradient.1.to_vec(), slope.1.to_vec());
    }
    // What an earlier call returned is its caller's own.
    assert_eq!(kept.0.item()?, step.call(&at(0.4)?)?.0.item()?);
    let e = replayed(|x: &Tensor| Ok(x.square().sum() * x.sum().item()?), &target).err();
    assert!(e.is_some_and(|e| e.kind() == ErrorKind::Device && e.to_string().contains("captured")));
    Ok(())
}

/// Captured work draws what a loop on the CPU draws, new numbers in every call, a checkpoint's twice.
#[test]
fn simulated_replays_draw_new_numbers() -> Result<()> {
    let _alone = crate::alone();
    let noisy =
        |x: &Tensor| Ok((checkpoint(|v| v[0].try_mul(&noise(&v[0])?), &[x])?.exp() * noise(x)?).sum());
    let x = Tensor::from([0.5, -1.0, 2.0]);
    manual_seed(4);
    let device = gpu()?;
    let on_gpu = x.to_device(&device)?;
    let step = replayed(noisy, &on_gpu)?;
    let found = [step.call(&on_gpu)?.1.to_vec(), step.call(&on_gpu)?.1.to_vec(), Tensor::rand([2]).to_vec()];
    manual_seed(4);
    let want = [
        value_and_grad(noisy, &x)?.1.to_vec(),
        value_and_grad(noisy, &x)?.1.to_vec(),
        Tensor::rand([2]).to_vec(),
    ];
    for (found, want) in found.iter().flatten().zip(want.iter().flatten()) {
        assert!((found - want).abs() <= 1e-12 * want.abs(), "{found} {want}");
    }
    assert_ne!(want[0], want[1]);
    Ok(())
}

fn noise(like: &Tensor) -> Result<Tensor> {
    Tensor::randn_on(&like.device(), [3])
}

#[test]
fn simulated_gradients_move_with_their_tensors() -> Result<()> {
    let _alone = crate::alone();
    let x = Tensor::from([1.0, 2.0, 3.0]).requires_grad();
    let y = x.to_device(&gpu()?)?;
    (&y * &y).sum().cpu().backward()?;
    let g = x.grad().ok_or_else(|| Error::other("no gradient"))?;
    assert_eq!((g.device(), g.to_vec()), (Device::Cpu, vec![2.0, 4.0, 6.0]));
    let h = hessian(|x: &Tensor| Ok(x.to_device(&gpu()?)?.exp().sum().cpu()), &Tensor::from([0.0, 0.0]))?;
    assert_eq!(h.to_vec(), [1.0, 0.0, 0.0, 1.0]);
    assert!(y.to_string().contains("device='cuda:0'"), "{y}");
    Ok(())
}

#[test]
fn simulated_numbers_on_the_cpu_mix() -> Result<()> {
    let _alone = crate::alone();
    let x = Tensor::from([1.0, 2.0, 3.0]).to_device(&gpu()?)?.requires_grad();
    let scale = Tensor::scalar(2.0).requires_grad();
    let y = (&x * &scale + 1.0).square().sum() + Tensor::scalar(4.0);
    y.backward()?;
    let (gx, gs) = (x.grad(), scale.grad());
    let (gx, gs) = gx.zip(gs).ok_or_else(|| Error::other("no gradient"))?;
    // 2 (2 x + 1) times 2, and times x.
    assert_eq!((gx.device(), gx.to_vec()), (gpu()?, vec![12.0, 20.0, 28.0]));
    assert_eq!((gs.device(), gs.item()?), (Device::Cpu, 6.0 + 20.0 + 42.0));
    // Kernels that read from memory find the number there.
    assert_eq!(x.detach().searchsorted(&Tensor::scalar(2.5), false)?.item()?, 2);
    Ok(())
}
