//! Products with sparse matrices against the CPU.

use tapegrad::prelude::*;
use tapegrad::vjp;
use tapegrad_cuda_tests::gpu;

/// Rows of very different lengths, one of them longer than a warp, some empty; not in order, places named twice.
fn matrix(m: usize, n: usize) -> Result<SparseTensor> {
    let mixed = |k: usize, size: usize| (k.wrapping_mul(2_654_435_761) >> 7) % size;
    let mut places: Vec<(usize, usize)> = (0..n).map(|j| (2, j)).collect();
    places.extend((0..4 * m).map(|k| (mixed(k, m / 2) * 2, mixed(k + 99, n))));
    let indices: Vec<i64> =
        places.iter().map(|p| p.0 as i64).chain(places.iter().map(|p| p.1 as i64)).collect();
    let values = (0..places.len()).map(|k| (k as f64 * 0.37).sin()).collect();
    let count = places.len();
    SparseTensor::coo(&Tensor::from_vec(indices, [2, count])?, &Tensor::from_vec(values, [count])?, [m, n])
}

fn near(gpu: &Tensor, cpu: &Tensor) {
    assert_eq!((gpu.shape(), gpu.device() == cpu.device()), (cpu.shape(), false));
    for (a, b) in gpu.to_vec().into_iter().zip(cpu.to_vec()) {
        assert!((a - b).abs() <= 1e-12 * (1.0 + b.abs()), "{a} {b}");
    }
}

/// Value and gradients of `f(values, x)` on both devices.
fn same(a: &SparseTensor, x: &Tensor, f: impl Fn(&SparseTensor, &Tensor) -> Result<Tensor>) -> Result<()> {
    let device = gpu()?;
    let both = |device: &Device| -> Result<[Tensor; 3]> {
        let at = (a.values().to_device(device)?, x.to_device(device)?);
        let y = f(&a.with_values(&at.0)?, &at.1)?;
        let (y, (values, x)) = vjp(|(v, x): &(Tensor, Tensor)| f(&a.with_values(v)?, x), &at, &(&y * 0.5))?;
        Ok([y, values, x])
    };
    let (gpu, cpu) = (both(&device)?, both(&Device::Cpu)?);
    gpu.iter().zip(&cpu).for_each(|(gpu, cpu)| near(gpu, cpu));
    Ok(())
}

#[test]
fn simulated_sparse_products() -> Result<()> {
    let _alone = crate::alone();
    let a = matrix(40, 70)?;
    let dense = |shape: &[usize]| {
        let n: usize = shape.iter().product();
        Tensor::from_vec((0..n).map(|i| (i as f64 * 0.7).cos()).collect(), shape)
    };
    for a in [a.clone(), a.to_csr()?, a.to_csc()?] {
        same(&a, &dense(&[70])?, |a, x| a.mv(x))?;
        same(&a, &dense(&[40])?, |a, x| a.t()?.mv(x))?;
        for k in [0, 1, 3, 37] {
            same(&a, &dense(&[70, k])?, |a, x| a.mm(x))?;
            same(&a, &dense(&[k, 40])?, |a, x| a.t()?.mm(&x.t()?))?;
        }
        // A product of two sparse matrices, the second as its values scaled by x.
        same(&a, &dense(&[])?, |a, x| a.mm_sparse(&a.t()?.scale(x)?)?.to_dense())?;
        same(&a, &dense(&[])?, |a, x| a.scale(x)?.sum_dim(1))?;
    }
    let square = SparseTensor::from_dense(&(dense(&[6, 6])?.tril(0)? + Tensor::eye(6) * 4.0))?;
    same(&square, &dense(&[6])?, |a, x| a.solve(x))?;
    same(&square, &dense(&[6, 2])?, |a, x| a.lstsq(x))?;
    let empty = SparseTensor::coo(&Tensor::from_vec(vec![], [2, 0])?, &Tensor::zeros([0]), [3, 4])?;
    same(&empty, &dense(&[4, 2])?, |a, x| a.mm(x))
}
