//! Fourier transforms against the CPU.

use tapegrad::linalg::{FftNorm, fft, ifft, irfft, rfft};
use tapegrad::prelude::*;
use tapegrad::{TypedConstructors, replayed};
use tapegrad_cuda_tests::gpu;

const NORM: FftNorm = FftNorm::Ortho;

fn near<T: Float>(gpu: &Tensor<T>, cpu: &Tensor<T>) -> Result<()> {
    assert!(gpu.device() != Device::Cpu && cpu.device() == Device::Cpu);
    let tolerance = T::EPSILON.to_f64() * 64.0;
    assert!(gpu.cpu().allclose(cpu, tolerance, tolerance)?, "{gpu} {cpu}");
    Ok(())
}

fn all_forms<T: Float>(re: &Tensor<T>, im: &Tensor<T>, dim: isize) -> Result<()> {
    let device = gpu()?;
    let there = |x: &Tensor<T>| x.to_device(&device);
    for transform in [fft::<T>, ifft::<T>] {
        let (a, b) = transform(&there(re)?, &there(im)?, None, dim, NORM)?;
        let (c, d) = transform(re, im, None, dim, NORM)?;
        near(&a, &c)?;
        near(&b, &d)?;
    }
    let (a, b) = rfft(&there(re)?, None, dim, NORM)?;
    let (c, d) = rfft(re, None, dim, NORM)?;
    near(&a, &c)?;
    near(&b, &d)?;
    for n in [None, Some(2 * re.size(dim)? - 1)] {
        near(&irfft(&there(re)?, &there(im)?, n, dim, NORM)?, &irfft(re, im, n, dim, NORM)?)?;
    }
    Ok(())
}

#[test]
fn simulated_fourier_transforms() -> Result<()> {
    let _alone = crate::alone();
    for shape in [[3, 8], [2, 7], [5, 2]] {
        for dim in [0, 1] {
            all_forms::<f64>(&Tensor::randn(shape), &Tensor::randn(shape), dim)?;
            all_forms::<f32>(&Tensor::<f32>::randn(shape), &Tensor::<f32>::randn(shape), dim)?;
        }
    }
    let device = gpu()?;
    // Real numbers that begin between two pairs, one that is known to the host, and none.
    let x = Tensor::<f32>::randn([9]);
    let odd = x.to_device(&device)?.narrow(0, 1, 8)?;
    near(&rfft(&odd, None, 0, NORM)?.0, &rfft(&x.narrow(0, 1, 8)?, None, 0, NORM)?.0)?;
    let ones = Tensor::full_on(&device, [4], 1.0)?;
    let flat = fft(&ones, &ones.zeros_like(), None, 0, FftNorm::Forward)?.0.cpu();
    assert!(flat.allclose(&Tensor::from([1.0, 0.0, 0.0, 0.0]), 0.0, 1e-15)?);
    assert_eq!(rfft(&Tensor::<f64>::zeros_on(&device, [0, 4])?, None, 1, NORM)?.0.shape(), [0, 3]);
    // More plans than are kept, each used again.
    for n in (1..80).chain(1..80) {
        let x = Tensor::full_on(&device, [n], 1.0)?;
        let back =
            irfft(&rfft(&x, None, 0, NORM)?.0, &Tensor::zeros_on(&device, [n / 2 + 1])?, Some(n), 0, NORM)?;
        assert!(back.cpu().allclose(&Tensor::ones([n]), 1e-12, 0.0)?);
    }
    Ok(())
}

#[test]
fn simulated_fourier_transforms_are_captured() -> Result<()> {
    let _alone = crate::alone();
    let device = gpu()?;
    let loss = |x: &Tensor| {
        let (re, im) = rfft(x, None, -1, NORM)?;
        Ok((re.square() + im.square()).sum() * 0.5 + irfft(&re, &im, Some(6), -1, NORM)?.sin().sum())
    };
    let at = |scale: f64| (Tensor::randn([2, 6]) * scale).to_device(&device);
    let step = replayed(loss, &at(0.1)?)?;
    // Plans come and go meanwhile; those of the graph stay.
    for n in 100..170 {
        rfft(&Tensor::full_on(&device, [n], 1.0)?, None, 0, NORM)?;
    }
    for scale in [1.0, 2.0] {
        let x = at(scale)?;
        let (value, slope) = step.call(&x)?;
        let (expected, by_hand) = value_and_grad(loss, &x)?;
        assert!(value.allclose(&expected, 1e-12, 0.0)? && slope.allclose(&by_hand, 1e-12, 1e-12)?);
    }
    Ok(())
}
