//! The element types that files hold, and which of them become which of ours.

use crate::element::{DType, Element, Scalar};

/// An element type of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stored {
    Bool,
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    I64,
    F16,
    BF16,
    F32,
    F64,
}

impl Stored {
    /// How one of our own types is stored.
    pub(crate) fn of(dtype: DType) -> Self {
        match dtype {
            DType::F32 => Stored::F32,
            DType::F64 => Stored::F64,
            DType::I64 => Stored::I64,
            DType::Bool => Stored::Bool,
        }
    }

    /// Bytes one element takes.
    pub(crate) fn size(self) -> usize {
        match self {
            Stored::Bool | Stored::U8 | Stored::I8 => 1,
            Stored::U16 | Stored::I16 | Stored::F16 | Stored::BF16 => 2,
            Stored::U32 | Stored::I32 | Stored::F32 => 4,
            Stored::I64 | Stored::F64 => 8,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Stored::Bool => "bool",
            Stored::U8 => "u8",
            Stored::I8 => "i8",
            Stored::U16 => "u16",
            Stored::I16 => "i16",
            Stored::U32 => "u32",
            Stored::I32 => "i32",
            Stored::I64 => "i64",
            Stored::F16 => "f16",
            Stored::BF16 => "bf16",
            Stored::F32 => "f32",
            Stored::F64 => "f64",
        }
    }

    /// The type of ours that takes it where none is asked for: itself, or the nearest that keeps every value.
    pub(crate) fn natural(self) -> DType {
        match self {
            Stored::Bool => DType::Bool,
            Stored::F16 | Stored::BF16 | Stored::F32 => DType::F32,
            Stored::F64 => DType::F64,
            _ => DType::I64,
        }
    }

    /// Whether values of this type are read as `to`: where all of them are exact as that, and 64-bit integers as f64,
    /// where those of the file are.
    pub(crate) fn fits(self, to: DType) -> bool {
        match to {
            DType::Bool => self == Stored::Bool,
            DType::I64 => !matches!(self, Stored::F16 | Stored::BF16 | Stored::F32 | Stored::F64),
            DType::F32 => !matches!(self, Stored::U32 | Stored::I32 | Stored::I64 | Stored::F64),
            DType::F64 => true,
        }
    }

    /// Reads elements out of as many of the file's bytes; the fault, where one cannot be taken as it is.
    pub(crate) fn decode<T: Element>(
        self,
        bytes: &[u8],
        big_endian: bool,
        out: &mut [T],
    ) -> Result<(), &'static str> {
        let big = big_endian;
        match self {
            Stored::Bool => {
                decode(bytes, big, out, |[b]: [u8; 1]| Scalar::Bool(b != 0));
                if bytes.iter().any(|&b| b > 1) {
                    return Err("a truth value is neither 0 nor 1: the file is damaged");
                }
            }
            Stored::U8 => decode(bytes, big, out, |[b]| Scalar::Int(b.into())),
            Stored::I8 => decode(bytes, big, out, |b| Scalar::Int(i8::from_le_bytes(b).into())),
            Stored::U16 => decode(bytes, big, out, |b| Scalar::Int(u16::from_le_bytes(b).into())),
            Stored::I16 => decode(bytes, big, out, |b| Scalar::Int(i16::from_le_bytes(b).into())),
            Stored::U32 => decode(bytes, big, out, |b| Scalar::Int(u32::from_le_bytes(b).into())),
            Stored::I32 => decode(bytes, big, out, |b| Scalar::Int(i32::from_le_bytes(b).into())),
            Stored::I64 => {
                let mut exact = true;
                decode(bytes, big, out, |b| {
                    let i = i64::from_le_bytes(b);
                    exact &= is_exact(i, T::DTYPE);
                    Scalar::Int(i)
                });
                if !exact {
                    return Err(
                        "holds i64 beyond 2^53, not all exact as f64: load it as i64, and to_type::<f64>() rounds",
                    );
                }
            }
            Stored::F16 => decode(bytes, big, out, |b| Scalar::Float(half(u16::from_le_bytes(b)))),
            Stored::BF16 => decode(bytes, big, out, |b| Scalar::Float(brain(u16::from_le_bytes(b)))),
            Stored::F32 => decode(bytes, big, out, |b| Scalar::Float(f32::from_le_bytes(b).into())),
            Stored::F64 => decode(bytes, big, out, |b| Scalar::Float(f64::from_le_bytes(b))),
        }
        Ok(())
    }
}

/// The number that an f16 is.
fn half(bits: u16) -> f64 {
    let sign = u64::from(bits >> 15) << 63;
    let fraction = u64::from(bits & 0x3ff);
    let size = match u64::from(bits >> 10 & 0x1f) {
        // Zero, and numbers without a leading one.
        0 => (fraction as f64 / f64::from(1 << 24)).to_bits(),
        // Infinities and NaN, which keep their bits.
        0x1f => 0x7ff << 52 | fraction << 42,
        exponent => (exponent + 1023 - 15) << 52 | fraction << 42,
    };
    f64::from_bits(sign | size)
}

/// The number that a bf16 is: the upper half of an f32.
fn brain(bits: u16) -> f64 {
    f32::from_bits(u32::from(bits) << 16).into()
}

/// Whether an integer is certain to be itself as `to`, one of its own type and f64.
pub(crate) fn is_exact(i: i64, to: DType) -> bool {
    to == DType::I64 || i.unsigned_abs() <= 1 << f64::MANTISSA_DIGITS
}

fn decode<T: Element, const N: usize>(
    bytes: &[u8],
    big_endian: bool,
    out: &mut [T],
    mut value: impl FnMut([u8; N]) -> Scalar,
) {
    for (x, b) in out.iter_mut().zip(bytes.as_chunks().0) {
        let mut b = *b;
        if big_endian {
            b.reverse();
        }
        *x = T::from_scalar(value(b));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_small_float_is_its_number() {
        for bits in 0..=u16::MAX {
            let same =
                |found: f64, known: f64| assert!(found.to_bits() == known.to_bits(), "{bits:#x}: {found}");
            let (f16, bf16) = (half::f16::from_bits(bits), half::bf16::from_bits(bits));
            match f16.is_nan() {
                true => assert!(half(bits).is_nan()),
                false => same(half(bits), f16.to_f64()),
            }
            match bf16.is_nan() {
                true => assert!(brain(bits).is_nan()),
                false => same(brain(bits), bf16.to_f64()),
            }
        }
    }
}
