//! Powers of two that bring numbers near one, so that squares and products of them stay in range (as LAPACK's drivers
//! scale by the norm). They round nothing, but where a result is subnormal.

use crate::element::Float;

/// 2^k that brings a magnitude to 1..2, as far as 2^k and 2^-k are normal numbers: numbers at the very ends of the
/// range come near one only. One for zero and what is not finite.
#[inline(always)]
pub fn near_one<T: Float>(magnitude: T) -> T {
    const BIAS: i64 = 1023;
    let x = magnitude.to_f64();
    if !(x > 0.0 && x < f64::INFINITY) {
        return T::ONE;
    }
    let exponent = (x.to_bits() >> 52) as i64 - BIAS;
    let bound = if size_of::<T>() == 4 { 126 } else { 1022 };
    T::of(f64::from_bits(((BIAS - exponent.clamp(-bound, bound)) as u64) << 52))
}

/// The largest magnitude; NaN is never larger.
pub fn largest<T: Float>(a: impl IntoIterator<Item = T>) -> T {
    a.into_iter().fold(T::ZERO, |largest, x| if Float::abs(x) > largest { Float::abs(x) } else { largest })
}

/// The smallest normal number.
pub fn smallest_normal<T: Float>() -> T {
    T::of(if size_of::<T>() == 4 { f64::from(f32::MIN_POSITIVE) } else { f64::MIN_POSITIVE })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_magnitudes_come_near_one() {
        for k in -1074..1024 {
            let x = if k < -1022 {
                f64::from_bits(1 << (k + 1074))
            } else {
                f64::from_bits(((k + 1023) as u64) << 52)
            };
            let scale = near_one(x * 1.5);
            assert!(scale.is_normal() && (1.0 / scale).is_normal() && (x * scale) * (1.0 / scale) == x);
            assert!((2f64.powi(-52)..4.0).contains(&(x * scale)), "{k}");
            assert!(!(-1022..=1022).contains(&k) || x * scale == 1.0, "{k}");
        }
        for x in [f32::from_bits(1), f32::MIN_POSITIVE, 3.0, f32::MAX] {
            let scale = near_one(x);
            assert!((2f32.powi(-23)..4.0).contains(&(x * scale)) && (1.0 / scale).is_normal());
        }
        assert_eq!([0.0, f64::INFINITY, f64::NAN].map(near_one), [1.0; 3]);
    }
}
