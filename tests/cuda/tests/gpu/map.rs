//! Elementwise kernels against the CPU: every layout they tell apart, every type.

use tapegrad::prelude::*;
use tapegrad::{Array, formula, kernels};
use tapegrad_cuda_tests::gpu;

/// Compares a function of tensors on the GPU with the CPU.
fn same<T: Element>(f: impl Fn(&[Tensor<f64>]) -> Result<Tensor<T>>, x: &[Tensor<f64>]) -> Result<()> {
    let device = gpu()?;
    let expected = f(x)?;
    let moved: Vec<Tensor<f64>> = x.iter().map(|x| x.to_device(&device)).collect::<Result<_>>()?;
    let found = f(&moved)?;
    assert_eq!(found.device(), device);
    assert_eq!((found.shape(), found.to_vec()), (expected.shape(), expected.to_vec()));
    Ok(())
}

#[test]
fn simulated_layouts() -> Result<()> {
    let _alone = crate::alone();
    let numbers = |shape: &[usize]| {
        let n: usize = shape.iter().product();
        Tensor::from_vec((0..n).map(|i| (i as f64 * 0.7).sin() * 9.0).collect(), shape)
    };
    for n in [0, 1, 2, 3, 511, 512, 513, 1024, 4099] {
        let x = [numbers(&[n])?, numbers(&[n])?];
        same(|x| Ok(&x[0] + &x[1] * 2.0), &x)?;
        same(|x| x[0].gt(&x[1]), &x)?;
    }
    let x = [numbers(&[7, 5, 8])?, numbers(&[8])?, numbers(&[5, 1])?, numbers(&[7, 1, 1])?, numbers(&[])?];
    for k in 1..5 {
        same(|x| Ok(&x[0] * &x[k]), &x)?;
        same(|x| Ok(&x[k] - &x[0]), &x)?;
    }
    same(|x| x[0].permute([2, 0, 1])?.try_mul(&x[1].unsqueeze(-1)?.unsqueeze(-1)?), &x)?;
    same(|x| Ok(x[0].slice(s![..;-1, 1..;2, 1..])?.abs()), &x)?;
    same(|x| Ok(x[0].slice(s![.., .., 1..5])?.contiguous()), &x)?;
    same(|x| Ok(x[0].to_type::<f32>().permute([1, 2, 0])?.contiguous()), &x)?;
    same(|x| x[0].gt(0.0)?.where_cond(&x[0], &x[1]), &x)?;
    same(|x| Tensor::cat(&[&x[0], &x[0].flip([0])?], 1), &x)?;
    Ok(())
}

#[test]
fn simulated_types_and_numbers() -> Result<()> {
    let _alone = crate::alone();
    let device = gpu()?;
    let i = Tensor::from([7i64, -7, 5, i64::MAX, i64::MIN, 0]);
    let j = Tensor::from([3i64, 3, -2, 2, -1, 4]);
    let (a, b) = (i.to_device(&device)?, j.to_device(&device)?);
    assert_eq!((&a * &b + 1).to_vec(), (&i * &j + 1).to_vec());
    assert_eq!((3 - &a).to_vec(), (3 - &i).to_vec());
    assert_eq!(a.to_type::<f32>().to_vec(), i.to_type::<f32>().to_vec());
    let wild = Tensor::from([f64::NAN, f64::INFINITY, -1e300, 2.7, -2.7, 0.0]);
    assert_eq!(wild.to_device(&device)?.to_type::<i64>().to_vec(), wild.to_type::<i64>().to_vec());
    assert_eq!(wild.to_device(&device)?.to_type::<bool>().to_vec(), wild.to_type::<bool>().to_vec());
    // One kernel serves every captured number.
    let x = Array::from_vec(vec![1.0f32, 2.0, 3.0], &[3])?.to_device("test", device)?;
    for c in [0.5f32, 2.0] {
        let y = kernels::map("scale", &x, &formula!(|x: f32| x * x * c))?;
        assert_eq!(y.to_vec(), [c, 4.0 * c, 9.0 * c]);
    }
    Ok(())
}

#[test]
fn simulated_refusals() -> Result<()> {
    let _alone = crate::alone();
    let device = gpu()?;
    let x: Tensor = Tensor::from([1.0, 2.0]);
    let e = x.to_device(&device)?.try_add(&x).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Device);
    assert!(e.to_string().contains("f64[2] on cuda:0, f64[2] on cpu"), "{e}");
    let y = kernels::map("odd", x.to_device(&device)?.array(), &tapegrad::on_cpu(|x: f64| x + 1.0));
    assert!(y.unwrap_err().to_string().contains("formula!"));
    assert!(Device::cuda(99).unwrap_err().to_string().contains("cuda:99"));
    Ok(())
}

#[test]
fn simulated_fused_functions_and_their_gradients() -> Result<()> {
    let _alone = crate::alone();
    let device = gpu()?;
    let numbers = |shape: &[usize]| {
        let n: usize = shape.iter().product();
        Tensor::from_vec((0..n).map(|i| (i as f64 * 0.7).sin()).collect(), shape)
    };
    let f = fused(|[x, y, z]| (x - y).square() * z.tanh() + x.gt(y).where_cond(x * 0.5, y) - z);
    let x = (numbers(&[7, 130])?, numbers(&[130])?, numbers(&[7, 1])?);
    let run =
        |x: &(Tensor, Tensor, Tensor)| value_and_grad(|(x, y, z)| Ok(f.call([x, y, z])?.square().sum()), x);
    let (value, gradients) = run(&x)?;
    let moved = (x.0.to_device(&device)?, x.1.to_device(&device)?, x.2.to_device(&device)?);
    let (found, slopes) = run(&moved)?;
    assert_eq!(found.device(), device);
    assert!(found.cpu().allclose(&value, 1e-12, 0.0)?);
    for (found, expected) in [(slopes.0, gradients.0), (slopes.1, gradients.1), (slopes.2, gradients.2)] {
        assert!(found.cpu().allclose(&expected, 1e-11, 1e-11)?, "{found} {expected}");
    }
    // A kernel takes seven operands.
    let many = fused(|x: [tapegrad::Expr; 8]| x.into_iter().reduce(|a, b| a + b).unwrap());
    let e = many.call([&moved.0; 8]).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Device);
    Ok(())
}
