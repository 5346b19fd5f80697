//! Norms, deviations and products on the GPU against the CPU, at every place in the range and in every layout.

use tapegrad::prelude::*;
use tapegrad_cuda_tests::gpu;

type Function<T> = fn(&Tensor<T>) -> Result<Tensor<T>>;

/// Fails unless a function and its slopes are on the GPU what they are on the CPU, but for rounding.
fn close<T: Float>(name: &str, f: Function<T>, x: &Tensor<T>) -> Result<()> {
    let cancels = matches!(name, "std" | "var");
    let device = gpu()?;
    let of = |x: &Tensor<T>| -> Result<[Tensor<T>; 2]> {
        let (_, slopes) = value_and_grad(|x: &Tensor<T>| Ok(f(x)?.sum()), x)?;
        Ok([f(x)?, slopes])
    };
    for (want, found) in of(x)?.iter().zip(of(&x.to_device(&device)?)?) {
        assert_eq!((found.device(), found.shape()), (device, want.shape()), "{name}");
        // What cancels is known to the digits of what it is the difference of.
        let want: Vec<f64> = want.to_vec().into_iter().map(|y| y.to_f64()).collect();
        let largest = want.iter().fold(0.0, |m: f64, y| m.max(y.abs()));
        for (found, want) in found.to_vec().into_iter().zip(want) {
            let found = found.to_f64();
            let same = found == want || (found.is_nan() && want.is_nan());
            let bound = 32.0 * T::EPSILON.to_f64() * if cancels { largest } else { want.abs() };
            assert!(
                same || (found - want).abs() <= bound,
                "{name} of {:?}: {found:e}, not {want:e}",
                T::DTYPE
            );
        }
    }
    Ok(())
}

fn everywhere<T: Float>(sizes: &[f64]) -> Result<()> {
    let norms: [(&str, Function<T>); 9] = [
        ("mean", |x| Ok(x.mean())),
        ("mean_dim", |x| x.mean_dim(0, false)),
        ("std", |x| x.std_dim(1, false)),
        ("var", |x| x.var_with([0, 1], false, 0.0)),
        ("norm 2", |x| x.vector_norm(2.0, [0, 1], false)),
        ("norm 2 of columns", |x| x.vector_norm(2.0, 0, true)),
        ("norm 3", |x| x.vector_norm(3.0, 1, false)),
        ("norm 0.5", |x| x.vector_norm(0.5, 1, false)),
        ("norm -2", |x| x.vector_norm(-2.0, 1, false)),
    ];
    for &size in sizes {
        let n = 3 * 37;
        let x = (0..n).map(|i| T::of(((i as f64 * 0.7).sin() + 1.5) * size)).collect();
        let x = Tensor::from_vec(x, [3, 37])?;
        for (name, f) in norms {
            close(name, f, &x)?;
            close(name, f, &x.slice(s![..;-1, ..;2])?)?;
            close(name, f, &Tensor::from_vec(x.t()?.to_vec(), [37, 3])?.t()?)?;
        }
    }
    Ok(())
}

#[test]
fn simulated_norms() -> Result<()> {
    let _alone = crate::alone();
    everywhere::<f64>(&[1.0, 1e200, 1e-200, 3e306])?;
    everywhere::<f32>(&[1.0, 1e25, 1e-25])?;
    // Elements of every size side by side, zeros, and what is not finite.
    let mixed = Tensor::from([
        [1e200, 1.0, 1e-200],
        [1e-200, 3e-200, 1e-150],
        [0.0, 0.0, 0.0],
        [f64::INFINITY, 1.0, 2.0],
    ]);
    close("norm 2", |x| x.vector_norm(2.0, 1, false), &mixed)?;
    close("mean", |x| x.mean_dim(1, false), &mixed)?;
    close("mean", |x| Ok(x.mean()), &Tensor::from([1.5e308, 1.5e308, -1.5e308, -1.5e308]))?;
    close("one", |x| x.vector_norm(2.0, 0, false), &Tensor::from([-3.0]))
}

fn products<T: Float>(large: f64) -> Result<()> {
    let functions: [(&str, Function<T>); 7] = [
        ("prod", |x| Ok(x.prod())),
        ("prod_dim", |x| x.prod_dim(0, true)),
        ("prod_dim", |x| x.prod_dim(1, false)),
        ("cumprod", |x| x.cumprod(0)),
        ("cumprod", |x| x.cumprod(1)),
        ("slopes", |x| Ok(value_and_grad(|x: &Tensor<T>| Ok(x.cumprod(1)?.square().sum()), x)?.1)),
        ("slopes", |x| Ok(value_and_grad(|x: &Tensor<T>| Ok(x.prod_dim(1, false)?.square().sum()), x)?.1)),
    ];
    let [a, b] = [large, 1.0 / large];
    for row in [[1.5, -0.5, 2.0, 0.25], [0.0, 1.5, 3.0, 0.0], [a, b, b, a], [a, a, b, b], [0.0, a, a, b]] {
        let x = Tensor::from([row, [0.5, 2.0, 1.25, -1.0], row].map(|row| row.map(T::of)));
        for (name, f) in functions {
            // Squares of what is out of the range have infinite slopes, which meet zeros.
            if name != "slopes" || !row.contains(&a) {
                close(name, f, &x)?;
            }
        }
    }
    // Lines that are cut into parts.
    let long: Vec<T> = (0..1000)
        .map(|i| T::of(if i % 7 < 3 { 1e5 } else { -1e-4 } * (1.0 + i as f64 / 500.0).sqrt()))
        .collect();
    let long = Tensor::from_vec(long, [500, 2])?;
    for (name, f) in functions.into_iter().filter(|(name, _)| *name != "slopes") {
        close(name, f, &long.slice(s![..100, ..])?)?;
        close(name, f, &long.slice(s![..100, ..])?.t()?)?;
    }
    let many: Vec<T> = (0..2000).map(|i| T::of(if i < 1000 { 2.0 } else { 0.5 })).collect();
    close("prod", |x| Ok(x.prod()), &Tensor::from(many))
}

#[test]
fn simulated_products() -> Result<()> {
    let _alone = crate::alone();
    products::<f64>(1e200)?;
    products::<f32>(1e25)?;
    let device = gpu()?;
    let x = Tensor::from([[i64::MAX, 2, -1], [3, 5, 7]]);
    let y = x.to_device(&device)?;
    assert_eq!(y.prod_dim(1, false)?.to_vec(), x.prod_dim(1, false)?.to_vec());
    assert_eq!(y.cumprod(0)?.to_vec(), x.cumprod(0)?.to_vec());
    assert_eq!(y.narrow(0, 0, 0)?.prod().item()?, 1);
    // Third derivatives, and the order at which the GPU has no more.
    let h = |x: &Tensor| {
        hessian(|x: &Tensor| Ok(value_and_grad(|x: &Tensor| Ok(x.prod()), x)?.1.square().sum()), x)
    };
    let x = Tensor::from([1.5, -0.5, 2.0, 0.25]);
    assert_eq!(h(&x.to_device(&device)?)?.to_vec(), h(&x)?.to_vec());
    Ok(())
}
