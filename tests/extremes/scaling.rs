//! f(c x) = c^k f(x) for operations that are homogeneous, at factors that bring operands near the ends of the range:
//! nothing on the way may leave it where the result does not.

use tapegrad::prelude::*;

/// What is scaled: powers of two, so that scaling itself rounds nothing.
const FACTORS: [(DType, [i32; 2]); 2] = [(DType::F64, [-400, 400]), (DType::F32, [-50, 50])];

/// The exponents of 2 by which operands of type `T` are scaled.
fn exponents<T: Float>() -> [i32; 2] {
    FACTORS.iter().find(|(dtype, _)| *dtype == T::DTYPE).unwrap().1
}

/// Fails unless `f` of inputs that are scaled by c^`degrees` is c^`degree` times `f` of the inputs as they are, and
/// its slopes likewise, for c far from 1 in both directions. Elements that leave the normal range are not compared.
pub fn homogeneous<T: Float>(
    name: &str,
    f: impl Fn(&[Tensor<T>]) -> Result<Tensor<T>>,
    inputs: &[Tensor<T>],
    degrees: &[i32],
    degree: i32,
) -> Result<()> {
    let value_and_slopes = |inputs: &[Tensor<T>]| -> Result<Vec<Tensor<T>>> {
        let value = f(inputs)?;
        // Weighed, so that no slope cancels.
        let weighed = |x: &Vec<Tensor<T>>| {
            let y = f(x)?;
            let weights = arange(1, 1 + y.numel() as i64, 1)?.to_type::<T>().reshape(isize_shape(&y))?;
            Ok(y.try_mul(&(weights / T::of(y.numel() as f64)))?.sum())
        };
        let (_, slopes) = value_and_grad(weighed, &inputs.to_vec())?;
        Ok(std::iter::once(value).chain(slopes).collect())
    };
    let plain = value_and_slopes(inputs)?;
    for e in exponents::<T>() {
        let scaled: Vec<_> = inputs.iter().zip(degrees).map(|(x, k)| x * T::of(2f64.powi(k * e))).collect();
        let found = value_and_slopes(&scaled)?;
        let powers = std::iter::once(degree).chain(degrees.iter().map(|k| degree - k));
        for (part, ((found, plain), k)) in found.iter().zip(&plain).zip(powers).enumerate() {
            let found = found.to_vec().into_iter().map(|y| y.to_f64());
            let plain: Vec<f64> = plain.to_vec().into_iter().map(|y| y.to_f64()).collect();
            let largest = plain.iter().fold(0.0, |m: f64, y| m.max(y.abs()));
            for (found, plain) in found.zip(&plain) {
                let want = scaled_by_power_of_two(*plain, k * e);
                let normal = match T::DTYPE {
                    DType::F32 => {
                        want.abs() < f64::from(f32::MAX) && want.abs() > f64::from(f32::MIN_POSITIVE)
                    }
                    _ => want.abs() < f64::MAX && want.abs() > f64::MIN_POSITIVE,
                };
                if plain.is_finite() && normal {
                    let error = (scaled_by_power_of_two(found, -k * e) - plain).abs();
                    let bound = 64.0 * T::EPSILON.to_f64() * largest;
                    let part = if part == 0 { "value".into() } else { format!("slope {}", part - 1) };
                    assert!(error <= bound, "{name} {:?} at 2^{e}: {part} {found:e}, not {want:e}", T::DTYPE);
                }
            }
        }
    }
    Ok(())
}

/// x 2^k, in two steps, since 2^k alone may not exist.
fn scaled_by_power_of_two(x: f64, k: i32) -> f64 {
    x * 2f64.powi(k / 2) * 2f64.powi(k - k / 2)
}

fn isize_shape<T: Float>(x: &Tensor<T>) -> Vec<isize> {
    x.shape().iter().map(|&d| d as isize).collect()
}

fn numbers<T: Float>(x: &[f64]) -> Tensor<T> {
    Tensor::from_vec(x.iter().map(|&x| T::of(x)).collect(), [x.len()]).unwrap()
}

fn reductions<T: Float>() -> Result<()> {
    let x = [numbers::<T>(&[0.3, -1.7, 0.9, 2.5, -0.4])];
    homogeneous("sum", |x| Ok(x[0].sum()), &x, &[1], 1)?;
    homogeneous("mean", |x| Ok(x[0].mean()), &x, &[1], 1)?;
    Ok(())
}

#[test]
fn reductions_scale() -> Result<()> {
    reductions::<f64>()?;
    reductions::<f32>()
}
