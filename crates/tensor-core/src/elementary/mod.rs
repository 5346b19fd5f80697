//! Functions of elements as plain code without branches, in one source for f32 and f64, which the compiler vectorises:
//! one operation of a [`Lane`](lane::Lane) is one of every number in a vector. docs/accuracy.md has their errors.
//!
//! They are for processors with fused multiplication and addition, and give the same bits on each of those. Where there
//! is none, and where an argument is too far out for a formula without branches, the standard library's serve.

mod activation;
mod error;
mod exponential;
mod gamma;
mod hypot;
mod lane;
mod logarithm;
mod power;
mod real;
mod trigonometric;

pub use lane::Lane;

/// The types that have all of them: f32 and f64.
pub trait Elementary:
    activation::Activation + gamma::Gamma + power::Power + trigonometric::Trigonometric
{
    /// What stands where a [`Lane`] was too far: one of the values that are not numbers.
    const UNKNOWN: Self;
}

impl Elementary for f32 {
    const UNKNOWN: f32 = f32::from_bits(0x7fc0_fa12);
}

impl Elementary for f64 {
    const UNKNOWN: f64 = f64::from_bits(0x7ff8_0000_0000_fa12);
}
