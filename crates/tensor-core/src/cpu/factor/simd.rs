//! Run-time choice of the instruction set for loops that the compiler vectorises.

use crate::element::Float;

/// A loop compiled once per instruction set.
pub(super) trait Kernel {
    /// What the loop returns.
    type Output;
    /// Runs the loop; `FMA` tells whether a fused multiply-add is one instruction. Implementations
    /// are `#[inline(always)]`, so that they take on the instruction set of their caller.
    fn run<const FMA: bool>(self) -> Self::Output;
}

/// Runs `kernel` with AVX2 and FMA where the processor has them, else with the baseline.
#[inline]
pub(super) fn dispatch<K: Kernel>(kernel: K) -> K::Output {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        // SAFETY: both features were found on this processor.
        return unsafe { run_avx2(kernel) };
    }
    kernel.run::<false>()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn run_avx2<K: Kernel>(kernel: K) -> K::Output {
    kernel.run::<true>()
}

/// `c - a b`, fused where that is one instruction; elsewhere a fused operation is a slow call.
#[inline(always)]
pub(super) fn sub_mul<T: Float, const FMA: bool>(c: T, a: T, b: T) -> T {
    if FMA {
        Float::mul_add(-a, b, c)
    } else {
        c - a * b
    }
}
