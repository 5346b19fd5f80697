//! The text of a GPU's kernel, as a formula writes it down.

use crate::element::{DType, Element, Scalar};
use smallvec::SmallVec;
use std::cell::RefCell;
use std::ops::{Add, BitAnd, BitOr, BitXor, Div, Mul, Neg, Not, Sub};

/// A value within a kernel that is being written down.
///
/// ```
/// use tapegrad::{Array, Closures, Code, kernels};
/// let x = Array::from_vec(vec![1.0, 2.0], &[2])?;
/// let f = Closures::new(|x: f64| 2.0 * x + 1.0, |[x]: [Code; 1]| x * 2.0 + 1.0);
/// assert_eq!(kernels::map("affine", &x, &f)?.to_vec(), [3.0, 5.0]);
/// # Ok::<(), tapegrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Code {
    pub(crate) place: u16,
    dtype: DType,
}

/// One statement: an expression of CUDA C++ in which `$0`, `$1` and `$2` stand for earlier values.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Statement {
    pub(crate) pattern: &'static str,
    pub(crate) dtype: DType,
    pub(crate) args: [u16; 3],
}

/// The arguments of a function are its first values.
#[cfg(any(test, feature = "cuda"))]
pub(crate) const INPUT: &str = "input";
/// The value of a captured number, which is a parameter of the kernel, so that one kernel serves them all.
pub(crate) const CONSTANT: &str = "constant";

/// A function, written down.
#[derive(Default, Debug)]
pub(crate) struct Program {
    pub(crate) statements: SmallVec<[Statement; 8]>,
    /// The captured numbers, as bits of their types.
    pub(crate) constants: SmallVec<[u64; 4]>,
}

thread_local! {
    static PROGRAM: RefCell<Program> = RefCell::default();
}

/// Writes down a function of arguments of the given types; which of its values is the result.
#[cfg(any(test, feature = "cuda"))]
pub(crate) fn trace(
    dtypes: impl IntoIterator<Item = DType>,
    f: &dyn Fn(&[Code]) -> Option<Code>,
) -> Option<(Program, Code)> {
    // A formula that panics leaves statements behind: every trace starts afresh.
    PROGRAM.take();
    let inputs = dtypes.into_iter().enumerate();
    let inputs: SmallVec<[Code; 4]> =
        inputs.map(|(k, dtype)| statement(INPUT, dtype, [k as u16, 0, 0])).collect();
    let result = f(&inputs)?;
    Some((PROGRAM.take(), result))
}

fn statement(pattern: &'static str, dtype: DType, args: [u16; 3]) -> Code {
    PROGRAM.with_borrow_mut(|program| {
        let new = Statement { pattern, dtype, args };
        // What was computed before is not computed again.
        let place = program.statements.iter().position(|s| *s == new).unwrap_or_else(|| {
            program.statements.push(new);
            program.statements.len() - 1
        });
        Code { place: place as u16, dtype }
    })
}

/// The bits of a number in a type, in an 8-byte word.
pub(crate) fn bits(x: Scalar, dtype: DType) -> u64 {
    match dtype {
        DType::F32 => u64::from(f32::from_scalar(x).to_bits()),
        DType::F64 => f64::from_scalar(x).to_bits(),
        DType::I64 => i64::from_scalar(x) as u64,
        DType::Bool => u64::from(bool::from_scalar(x)),
    }
}

fn constant(x: Scalar, dtype: DType) -> Code {
    let k = PROGRAM.with_borrow_mut(|program| {
        program.constants.push(bits(x, dtype));
        program.constants.len() - 1
    });
    statement(CONSTANT, dtype, [k as u16, 0, 0])
}

impl<T: Element> From<T> for Code {
    fn from(x: T) -> Self {
        constant(x.to_scalar(), T::DTYPE)
    }
}

impl Code {
    /// The value of an expression of CUDA C++, in which `$0`, `$1` and `$2` stand for `args`, of which there
    /// are at most three, as a value of type `dtype`.
    ///
    /// ```
    /// # use tapegrad::{Array, Closures, Code, DType, kernels};
    /// let x = Array::from_vec(vec![0.0, 1.0, 4.0], &[3])?;
    /// let root = Closures::new(|x: f64| x.cbrt(), |[x]| Code::cuda("cbrt($0)", DType::F64, &[x]));
    /// assert_eq!(kernels::map("cbrt", &x, &root)?.to_vec()[1], 1.0);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    pub fn cuda(pattern: &'static str, dtype: DType, args: &[Code]) -> Code {
        let place = |k: usize| args.get(k).map_or(0, |a| a.place);
        statement(pattern, dtype, [place(0), place(1), place(2)])
    }

    /// The type of the value.
    ///
    /// ```
    /// use tapegrad::{Array, Closures, Code, DType, Element, kernels};
    /// let of_type = |[x]: [Code; 1]| x.cast(DType::I64);
    /// let f = Closures::new(|x: f64| x.cast::<i64>(), of_type);
    /// assert_eq!(kernels::map("cast", &Array::scalar(2.5), &f)?.to_vec(), [2]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    pub fn dtype(self) -> DType {
        self.dtype
    }

    pub(crate) fn unary(self, pattern: &'static str) -> Code {
        Code::cuda(pattern, self.dtype, &[self])
    }

    pub(crate) fn binary(self, pattern: &'static str, other: Code) -> Code {
        Code::cuda(pattern, self.dtype, &[self, other])
    }

    pub(crate) fn test(self, pattern: &'static str, other: Code) -> Code {
        Code::cuda(pattern, DType::Bool, &[self, other])
    }

    /// A number of this value's type.
    pub(crate) fn number(self, c: f64) -> Code {
        constant(Scalar::Float(c), self.dtype)
    }

    /// The sum, as [`Number::plus`](crate::Number::plus).
    ///
    /// ```
    /// use tapegrad::{Array, Number, formula, kernels};
    /// assert_eq!(kernels::map("plus", &Array::scalar(2), &formula!(|x: i64| x.plus(3)))?.to_vec(), [5]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    pub fn plus(self, other: impl Into<Code>) -> Code {
        self.binary("$0 + $1", other.into())
    }

    /// The difference, as [`Number::minus`](crate::Number::minus).
    ///
    /// ```
    /// use tapegrad::{Array, Number, formula, kernels};
    /// assert_eq!(kernels::map("minus", &Array::scalar(2), &formula!(|x: i64| x.minus(3)))?.to_vec(), [-1]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    pub fn minus(self, other: impl Into<Code>) -> Code {
        self.binary("$0 - $1", other.into())
    }

    /// The product, as [`Number::times`](crate::Number::times).
    ///
    /// ```
    /// use tapegrad::{Array, Number, formula, kernels};
    /// assert_eq!(kernels::map("times", &Array::scalar(2), &formula!(|x: i64| x.times(3)))?.to_vec(), [6]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    pub fn times(self, other: impl Into<Code>) -> Code {
        self.binary("$0 * $1", other.into())
    }

    /// The opposite, as [`Number::negated`](crate::Number::negated).
    ///
    /// ```
    /// use tapegrad::{Array, Number, formula, kernels};
    /// assert_eq!(kernels::map("neg", &Array::scalar(2), &formula!(|x: i64| x.negated()))?.to_vec(), [-2]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    pub fn negated(self) -> Code {
        self.unary("-$0")
    }

    /// The absolute value, as [`Number::magnitude`](crate::Number::magnitude).
    ///
    /// ```
    /// use tapegrad::{Array, Number, formula, kernels};
    /// assert_eq!(kernels::map("abs", &Array::scalar(-2), &formula!(|x: i64| x.magnitude()))?.to_vec(), [2]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    pub fn magnitude(self) -> Code {
        self.unary("magnitude($0)")
    }

    /// As [`Number::floor_divide`](crate::Number::floor_divide).
    ///
    /// ```
    /// use tapegrad::{Array, Number, formula, kernels};
    /// assert_eq!(kernels::map("div", &Array::scalar(-7), &formula!(|x: i64| x.floor_divide(2)))?.to_vec(), [-4]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    pub fn floor_divide(self, other: impl Into<Code>) -> Code {
        self.binary("floor_divide($0, $1)", other.into())
    }

    /// As [`Number::remainder`](crate::Number::remainder).
    ///
    /// ```
    /// use tapegrad::{Array, Number, formula, kernels};
    /// assert_eq!(kernels::map("mod", &Array::scalar(-7), &formula!(|x: i64| x.remainder(2)))?.to_vec(), [1]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    pub fn remainder(self, other: impl Into<Code>) -> Code {
        self.binary("floor_remainder($0, $1)", other.into())
    }

    /// As [`Number::trunc_divide`](crate::Number::trunc_divide).
    ///
    /// ```
    /// use tapegrad::{Array, Number, formula, kernels};
    /// assert_eq!(kernels::map("div", &Array::scalar(-7), &formula!(|x: i64| x.trunc_divide(2)))?.to_vec(), [-3]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    pub fn trunc_divide(self, other: impl Into<Code>) -> Code {
        self.binary("trunc_divide($0, $1)", other.into())
    }

    /// As [`Number::fmod`](crate::Number::fmod).
    ///
    /// ```
    /// use tapegrad::{Array, Number, formula, kernels};
    /// assert_eq!(kernels::map("fmod", &Array::scalar(-7), &formula!(|x: i64| x.fmod(2)))?.to_vec(), [-1]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    pub fn fmod(self, other: impl Into<Code>) -> Code {
        self.binary("truncated_remainder($0, $1)", other.into())
    }

    /// As [`Element::is_nan`].
    pub fn is_nan(self) -> Code {
        Code::cuda("$0 != $0", DType::Bool, &[self])
    }

    /// Neither infinite nor NaN.
    pub fn is_finite(self) -> Code {
        Code::cuda("is_finite($0)", DType::Bool, &[self])
    }

    /// As [`Element::cast`].
    pub fn cast(self, to: DType) -> Code {
        let pattern = match to {
            DType::F32 => "(float)$0",
            DType::F64 => "(double)$0",
            DType::I64 => "to_integer($0)",
            DType::Bool => "$0 != 0",
        };
        if to == self.dtype { self } else { Code::cuda(pattern, to, &[self]) }
    }
}

macro_rules! operators {
    ($($Trait:ident $method:ident $pattern:literal;)*) => { $(
        impl $Trait for Code {
            type Output = Code;
            fn $method(self, other: Code) -> Code {
                self.binary($pattern, other)
            }
        }

        impl<T: Element> $Trait<T> for Code {
            type Output = Code;
            fn $method(self, other: T) -> Code {
                self.binary($pattern, other.into())
            }
        }
    )* };
}
operators! {
    Add add "$0 + $1";
    Sub sub "$0 - $1";
    Mul mul "$0 * $1";
    Div div "$0 / $1";
    BitAnd bitand "$0 & $1";
    BitOr bitor "$0 | $1";
    BitXor bitxor "$0 ^ $1";
}

impl Neg for Code {
    type Output = Code;
    fn neg(self) -> Code {
        self.negated()
    }
}

impl Not for Code {
    type Output = Code;
    fn not(self) -> Code {
        self.unary("!$0")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formula;
    use crate::formula::{Formula, on_cpu};

    #[test]
    fn a_formula_is_written_down_once_and_numbers_are_parameters() {
        let of = |c: f32| {
            let f = formula!(|x: f32, y: f32| (x - y).exp() * c + (x - y).exp());
            let f: &dyn Formula<(f32, f32), f32> = &f;
            assert!(f.one((1.0, 1.0)) == c + 1.0);
            trace([DType::F32; 2], &|x| f.text(x)).unwrap()
        };
        let (two, result) = of(2.0);
        assert_eq!((result.dtype, result.place), (DType::F32, 6));
        let patterns: Vec<_> = two.statements.iter().map(|s| s.pattern).collect();
        assert_eq!(patterns, [INPUT, INPUT, "$0 - $1", "exp($0)", CONSTANT, "$0 * $1", "$0 + $1"]);
        let three = of(3.0).0;
        assert_eq!(two.statements, three.statements);
        assert_eq!(three.constants[..], [u64::from(3f32.to_bits())]);
        let none = on_cpu(|x: f64| x);
        let none: &dyn Formula<(f64,), f64> = &none;
        assert!(trace([DType::F64], &|x| none.text(x)).is_none());
    }
}
