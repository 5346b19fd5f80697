//! Functions of single elements, written once and read twice: by the CPU over numbers, and as [`Code`], the
//! text of a GPU's kernel.
//!
//! ```
//! use tensor_core::{Array, formula, kernels};
//! let x = Array::from_vec(vec![1.0, 2.0, 3.0], &[3])?;
//! let c = 0.5;
//! let y = kernels::map("cube", &x, formula!(|x: f64| x * x * x * c))?;
//! assert_eq!(y.to_vec(), [0.5, 4.0, 13.5]);
//! # Ok::<(), tensor_core::Error>(())
//! ```

use crate::element::{DType, Element, Float, Scalar};
use crate::special;
use smallvec::SmallVec;
use std::cell::RefCell;
use std::ops::{Add, BitAnd, BitOr, BitXor, Div, Mul, Neg, Not, Sub};

/// A function of elements in two readings: `F` computes it on the CPU, `G` writes it down for a GPU.
/// [`formula!`](crate::formula!) makes both from one expression.
pub struct Formula<F, G> {
    pub(crate) value: F,
    #[cfg_attr(not(feature = "cuda"), allow(dead_code, reason = "only a GPU reads the text"))]
    pub(crate) code: G,
}

impl<F, G> Formula<F, G> {
    /// The two readings of a function of `N` elements, where one expression does not do for both.
    pub fn new<const N: usize>(value: F, code: G) -> Self
    where
        G: Fn([Code; N]) -> Code,
    {
        Formula { value, code }
    }

    /// The function with its two arguments the other way round.
    pub fn flipped<A, B, U>(self) -> Formula<impl Fn(B, A) -> U + Sync, impl Text<2>>
    where
        F: Fn(A, B) -> U + Sync,
        G: Text<2>,
    {
        let Formula { value, code } = self;
        Formula { value: move |b, a| value(a, b), code: Flipped(code) }
    }
}

/// A text with its arguments the other way round.
struct Flipped<G>(G);

impl<G: Text<2>> Text<2> for Flipped<G> {
    fn text(&self, [b, a]: [Code; 2]) -> Option<Code> {
        self.0.text([a, b])
    }
}

/// A function of elements as one expression over its arguments, whose types are named:
/// `formula!(|x: T, y: T| (x - y).exp())`. Where the operands are on a GPU, the expression is read over
/// [`Code`], which has the operators, the methods of [`Expression`], and takes captured numbers as operands on
/// the right.
#[macro_export]
macro_rules! formula {
    (|$($x:ident: $T:ty),+| $body:expr) => {
        $crate::Formula::new(|$($x: $T),+| $body, |[$($x),+]| {
            #[allow(unused_imports)]
            use $crate::Expression as _;
            $body
        })
    };
}

/// A function that only the CPU has; on a GPU it is an error.
pub fn on_cpu<F>(value: F) -> Formula<F, OnCpu> {
    Formula { value, code: OnCpu }
}

/// The missing text of [`on_cpu`].
pub struct OnCpu;

/// What writes a function of `N` elements down.
pub trait Text<const N: usize> {
    /// The value as code, None where there is none.
    fn text(&self, x: [Code; N]) -> Option<Code>;
}

impl<const N: usize, G: Fn([Code; N]) -> Code> Text<N> for G {
    fn text(&self, x: [Code; N]) -> Option<Code> {
        Some(self(x))
    }
}

impl<const N: usize> Text<N> for OnCpu {
    fn text(&self, _: [Code; N]) -> Option<Code> {
        None
    }
}

/// A value within a kernel that is being written down.
#[derive(Clone, Copy, Debug)]
pub struct Code {
    place: u16,
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
pub(crate) const INPUT: &str = "input";
/// The value of a captured number, which is a parameter of the kernel, so that one kernel serves them all.
pub(crate) const CONSTANT: &str = "constant";

/// A function, written down.
#[cfg_attr(not(feature = "cuda"), allow(dead_code, reason = "only a GPU reads the text"))]
#[derive(Default, Debug)]
pub(crate) struct Program {
    pub(crate) statements: SmallVec<[Statement; 8]>,
    /// The captured numbers, as bits of their types.
    pub(crate) constants: SmallVec<[u64; 4]>,
    /// Which value is the result.
    pub(crate) result: u16,
}

thread_local! {
    static PROGRAM: RefCell<Program> = RefCell::default();
}

/// Writes down a function of arguments of the given types.
#[cfg_attr(not(feature = "cuda"), allow(dead_code, reason = "only a GPU reads the text"))]
pub(crate) fn trace<const N: usize>(dtypes: [DType; N], f: &dyn Text<N>) -> Option<(Program, DType)> {
    // A formula that panics leaves statements behind: every trace starts afresh.
    PROGRAM.take();
    let inputs = std::array::from_fn(|k| statement(INPUT, dtypes[k], [k as u16, 0, 0]));
    let result = f.text(inputs)?;
    Some((Program { result: result.place, ..PROGRAM.take() }, result.dtype))
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
    /// # use tensor_core::{Array, Code, DType, Formula, kernels};
    /// let x = Array::from_vec(vec![0.0, 1.0, 4.0], &[3])?;
    /// let root = Formula::new(|x: f64| x.cbrt(), |[x]| Code::cuda("cbrt($0)", DType::F64, &[x]));
    /// assert_eq!(kernels::map("cbrt", &x, root)?.to_vec()[1], 1.0);
    /// # Ok::<(), tensor_core::Error>(())
    /// ```
    pub fn cuda(pattern: &'static str, dtype: DType, args: &[Code]) -> Code {
        let place = |k: usize| args.get(k).map_or(0, |a| a.place);
        statement(pattern, dtype, [place(0), place(1), place(2)])
    }

    /// The type of the value.
    pub fn dtype(self) -> DType {
        self.dtype
    }

    fn unary(self, pattern: &'static str) -> Code {
        Code::cuda(pattern, self.dtype, &[self])
    }

    fn binary(self, pattern: &'static str, other: Code) -> Code {
        Code::cuda(pattern, self.dtype, &[self, other])
    }

    fn test(self, pattern: &'static str, other: Code) -> Code {
        Code::cuda(pattern, DType::Bool, &[self, other])
    }

    /// A number of this value's type.
    fn number(self, c: f64) -> Code {
        constant(Scalar::Float(c), self.dtype)
    }

    /// The sum, as [`Number::plus`](crate::Number::plus).
    pub fn plus(self, other: impl Into<Code>) -> Code {
        self.binary("$0 + $1", other.into())
    }

    /// The difference, as [`Number::minus`](crate::Number::minus).
    pub fn minus(self, other: impl Into<Code>) -> Code {
        self.binary("$0 - $1", other.into())
    }

    /// The product, as [`Number::times`](crate::Number::times).
    pub fn times(self, other: impl Into<Code>) -> Code {
        self.binary("$0 * $1", other.into())
    }

    /// The opposite, as [`Number::negated`](crate::Number::negated).
    pub fn negated(self) -> Code {
        self.unary("-$0")
    }

    /// The absolute value, as [`Number::magnitude`](crate::Number::magnitude).
    pub fn magnitude(self) -> Code {
        self.unary("magnitude($0)")
    }

    /// As [`Number::floor_divide`](crate::Number::floor_divide).
    pub fn floor_divide(self, other: impl Into<Code>) -> Code {
        self.binary("floor_divide($0, $1)", other.into())
    }

    /// As [`Number::remainder`](crate::Number::remainder).
    pub fn remainder(self, other: impl Into<Code>) -> Code {
        self.binary("floor_remainder($0, $1)", other.into())
    }

    /// As [`Number::fmod`](crate::Number::fmod).
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

/// Functions that an expression may use, over numbers, over [`Code`] and over tensors alike: so that one
/// expression is a fused loop on the CPU, a kernel on a GPU, and differentiable as operations on tensors.
pub trait Expression:
    Clone + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self> + Neg<Output = Self>
{
    /// Where something holds.
    type Mask: Clone;

    /// `c` times this.
    fn times(self, c: f64) -> Self;
    /// This plus `c`.
    fn plus(self, c: f64) -> Self;
    /// To the power of a constant.
    fn power(self, p: f64) -> Self;
    /// To the power of another value.
    fn pow(self, p: Self) -> Self;
    /// The length of (`self`, `other`), without overflow on the way.
    fn hypot(self, other: Self) -> Self;
    /// The angle in radians of the point (`x`, `self`).
    fn atan2(self, x: Self) -> Self;
    /// The derivative of order `n` of the digamma function.
    fn polygamma(self, n: u32) -> Self;
    /// -1, 0 or 1.
    fn sign(self) -> Self;
    /// 0, whatever this is.
    fn nothing(self) -> Self;
    /// The absolute value.
    fn abs(self) -> Self;
    /// The square.
    fn square(self) -> Self;
    /// 1 over this.
    fn reciprocal(self) -> Self;
    /// The square root.
    fn sqrt(self) -> Self;
    /// e to the power of this.
    fn exp(self) -> Self;
    /// 2 to the power of this.
    fn exp2(self) -> Self;
    /// e to the power of this, minus 1, exact near 0.
    fn expm1(self) -> Self;
    /// The natural logarithm.
    fn log(self) -> Self;
    /// The logarithm to base 2.
    fn log2(self) -> Self;
    /// The logarithm to base 10.
    fn log10(self) -> Self;
    /// The natural logarithm of 1 plus this, exact near 0.
    fn log1p(self) -> Self;
    /// The sine.
    fn sin(self) -> Self;
    /// The cosine.
    fn cos(self) -> Self;
    /// The tangent.
    fn tan(self) -> Self;
    /// The angle with this sine.
    fn asin(self) -> Self;
    /// The angle with this cosine.
    fn acos(self) -> Self;
    /// The angle with this tangent.
    fn atan(self) -> Self;
    /// The hyperbolic sine.
    fn sinh(self) -> Self;
    /// The hyperbolic cosine.
    fn cosh(self) -> Self;
    /// The hyperbolic tangent.
    fn tanh(self) -> Self;
    /// The inverse of the hyperbolic sine.
    fn asinh(self) -> Self;
    /// The inverse of the hyperbolic cosine.
    fn acosh(self) -> Self;
    /// The inverse of the hyperbolic tangent.
    fn atanh(self) -> Self;
    /// The error function.
    fn erf(self) -> Self;
    /// 1 minus the error function, exact where that is small.
    fn erfc(self) -> Self;
    /// The logarithm of the absolute value of the gamma function.
    fn lgamma(self) -> Self;
    /// The largest integer not above.
    fn floor(self) -> Self;
    /// The smallest integer not below.
    fn ceil(self) -> Self;
    /// The integer part.
    fn trunc(self) -> Self;
    /// The nearest integer, the even one of two.
    fn round(self) -> Self;

    /// Where this is `c`.
    fn is(&self, c: f64) -> Self::Mask;
    /// Where this is less than `other`.
    fn below(&self, other: &Self) -> Self::Mask;
    /// Where this equals `other`.
    fn same(&self, other: &Self) -> Self::Mask;
    /// Where this is less than `c`.
    fn under(&self, c: f64) -> Self::Mask;
    /// Where this is at most `c`.
    fn at_most(&self, c: f64) -> Self::Mask;
    /// Where this is greater than `c`.
    fn over(&self, c: f64) -> Self::Mask;
    /// Where this is not a number.
    fn isnan(&self) -> Self::Mask;
    /// Where both hold.
    fn both(a: Self::Mask, b: Self::Mask) -> Self::Mask;
    /// `a` where the mask holds, else `b`: chosen, so that nothing of the other leaks.
    fn choose(mask: Self::Mask, a: Self, b: Self) -> Self;
    /// This value, and `c` where the mask holds.
    fn with(self, mask: Self::Mask, c: f64) -> Self;

    /// 1 / (1 + e^-x) with an exponential that cannot overflow.
    fn sigmoid(self) -> Self;
}

macro_rules! by_number {
    ($($name:ident => $own:ident;)*) => { $(
        #[inline(always)]
        fn $name(self) -> Self {
            Float::$own(self)
        }
    )* };
}

impl<T: Float> Expression for T {
    type Mask = bool;

    by_number! {
        abs => abs; sqrt => sqrt; exp => exp; exp2 => exp2; expm1 => exp_m1; log => ln; log2 => log2;
        log10 => log10; log1p => ln_1p; sin => sin; cos => cos; tan => tan; asin => asin; acos => acos;
        atan => atan; sinh => sinh; cosh => cosh; tanh => tanh; asinh => asinh; acosh => acosh; atanh => atanh;
        floor => floor; ceil => ceil; trunc => trunc; round => round_ties_even;
    }
    #[inline(always)]
    fn times(self, c: f64) -> Self {
        self * T::of(c)
    }
    #[inline(always)]
    fn plus(self, c: f64) -> Self {
        self + T::of(c)
    }
    /// Integer exponents go by multiplication: exact for squares and cubes, and right for negative bases.
    #[inline(always)]
    fn power(self, p: f64) -> Self {
        match p {
            0.0 => T::ONE,
            1.0 => self,
            2.0 => self * self,
            3.0 => self * self * self,
            0.5 => Float::sqrt(self),
            -1.0 => T::ONE / self,
            _ => Float::powf(self, T::of(p)),
        }
    }
    #[inline(always)]
    fn pow(self, p: Self) -> Self {
        Float::powf(self, p)
    }
    #[inline(always)]
    fn hypot(self, other: Self) -> Self {
        Float::hypot(self, other)
    }
    #[inline(always)]
    fn atan2(self, x: Self) -> Self {
        Float::atan2(self, x)
    }
    fn polygamma(self, n: u32) -> Self {
        T::of(special::polygamma(n, self.to_f64()))
    }
    fn erf(self) -> Self {
        T::of(special::erf(self.to_f64()))
    }
    fn erfc(self) -> Self {
        T::of(special::erfc(self.to_f64()))
    }
    fn lgamma(self) -> Self {
        T::of(special::lgamma(self.to_f64()))
    }
    #[inline(always)]
    fn square(self) -> Self {
        self * self
    }
    #[inline(always)]
    fn reciprocal(self) -> Self {
        T::ONE / self
    }
    #[inline(always)]
    fn sign(self) -> Self {
        if self > T::ZERO {
            T::ONE
        } else if self < T::ZERO {
            -T::ONE
        } else {
            self * T::ZERO
        }
    }
    #[inline(always)]
    fn nothing(self) -> Self {
        T::ZERO
    }
    #[inline(always)]
    fn is(&self, c: f64) -> bool {
        *self == T::of(c)
    }
    #[inline(always)]
    fn below(&self, other: &Self) -> bool {
        self < other
    }
    #[inline(always)]
    fn same(&self, other: &Self) -> bool {
        self == other
    }
    #[inline(always)]
    fn under(&self, c: f64) -> bool {
        *self < T::of(c)
    }
    #[inline(always)]
    fn at_most(&self, c: f64) -> bool {
        *self <= T::of(c)
    }
    #[inline(always)]
    fn over(&self, c: f64) -> bool {
        *self > T::of(c)
    }
    #[inline(always)]
    fn isnan(&self) -> bool {
        self.is_nan()
    }
    #[inline(always)]
    fn both(a: bool, b: bool) -> bool {
        a & b
    }
    #[inline(always)]
    fn choose(mask: bool, a: Self, b: Self) -> Self {
        if mask { a } else { b }
    }
    #[inline(always)]
    fn with(self, mask: bool, c: f64) -> Self {
        if mask { T::of(c) } else { self }
    }
    #[inline(always)]
    fn sigmoid(self) -> Self {
        let e = Float::exp(-Float::abs(self));
        let small = e / (T::ONE + e);
        // NaN is not above 0 and stays NaN.
        if self >= T::ZERO { T::ONE / (T::ONE + e) } else { small }
    }
}

macro_rules! by_function {
    ($($name:ident $pattern:literal;)*) => { $(
        fn $name(self) -> Self {
            self.unary($pattern)
        }
    )* };
}

impl Expression for Code {
    type Mask = Code;

    by_function! {
        abs "fabs($0)"; square "$0 * $0"; sqrt "sqrt($0)"; exp "exp($0)"; exp2 "exp2($0)"; expm1 "expm1($0)";
        log "log($0)"; log2 "log2($0)"; log10 "log10($0)"; log1p "log1p($0)"; sin "sin($0)"; cos "cos($0)";
        tan "tan($0)"; asin "asin($0)"; acos "acos($0)"; atan "atan($0)"; sinh "sinh($0)"; cosh "cosh($0)";
        tanh "tanh($0)"; asinh "asinh($0)"; acosh "acosh($0)"; atanh "atanh($0)"; erf "erf($0)";
        erfc "erfc($0)"; lgamma "lgamma($0)"; floor "floor($0)"; ceil "ceil($0)"; trunc "trunc($0)";
        round "rint($0)"; sign "sign($0)"; reciprocal "1 / $0";
    }
    fn times(self, c: f64) -> Self {
        self * self.number(c)
    }
    fn plus(self, c: f64) -> Self {
        self + self.number(c)
    }
    fn power(self, p: f64) -> Self {
        match p {
            0.0 => self.number(1.0),
            1.0 => self,
            2.0 => self * self,
            3.0 => self * self * self,
            0.5 => self.sqrt(),
            -1.0 => self.reciprocal(),
            _ => Expression::pow(self, self.number(p)),
        }
    }
    fn pow(self, p: Self) -> Self {
        self.binary("pow($0, $1)", p)
    }
    fn hypot(self, other: Self) -> Self {
        self.binary("hypot($0, $1)", other)
    }
    fn atan2(self, x: Self) -> Self {
        self.binary("atan2($0, $1)", x)
    }
    fn polygamma(self, n: u32) -> Self {
        self.binary("polygamma($1, $0)", i64::from(n).into())
    }
    fn nothing(self) -> Self {
        self.number(0.0)
    }
    fn is(&self, c: f64) -> Code {
        self.test("$0 == $1", self.number(c))
    }
    fn below(&self, other: &Self) -> Code {
        self.test("$0 < $1", *other)
    }
    fn same(&self, other: &Self) -> Code {
        self.test("$0 == $1", *other)
    }
    fn under(&self, c: f64) -> Code {
        self.test("$0 < $1", self.number(c))
    }
    fn at_most(&self, c: f64) -> Code {
        self.test("$0 <= $1", self.number(c))
    }
    fn over(&self, c: f64) -> Code {
        self.test("$0 > $1", self.number(c))
    }
    fn isnan(&self) -> Code {
        self.is_nan()
    }
    fn both(a: Code, b: Code) -> Code {
        a & b
    }
    fn choose(mask: Code, a: Self, b: Self) -> Self {
        Code::cuda("$0 ? $1 : $2", a.dtype, &[mask, a, b])
    }
    fn with(self, mask: Code, c: f64) -> Self {
        Code::choose(mask, self.number(c), self)
    }
    fn sigmoid(self) -> Self {
        let e = (-self.abs()).exp();
        e.with(self.over(0.0), 1.0) / Expression::plus(e, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_formula_is_written_down_once_and_numbers_are_parameters() {
        let of = |c: f32| {
            let f = formula!(|x: f32, y: f32| (x - y).exp() * c + (x - y).exp());
            assert!((f.value)(1.0, 1.0) == c + 1.0);
            trace([DType::F32; 2], &f.code).unwrap()
        };
        let (two, dtype) = of(2.0);
        assert_eq!(dtype, DType::F32);
        let patterns: Vec<_> = two.statements.iter().map(|s| s.pattern).collect();
        assert_eq!(patterns, [INPUT, INPUT, "$0 - $1", "exp($0)", CONSTANT, "$0 * $1", "$0 + $1"]);
        let three = of(3.0).0;
        assert_eq!(two.statements, three.statements);
        assert_eq!(three.constants[..], [u64::from(3f32.to_bits())]);
        assert!(trace([DType::F64], &on_cpu(|x: f64| x).code).is_none());
    }
}
