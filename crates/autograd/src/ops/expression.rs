//! The expressions of `elementwise.rs` and `pairwise.rs` read over tensors, where they can be differentiated.

use crate::tensor::Tensor;
use tensor_core::{Expression, Float, OrRaise};

macro_rules! tensor_methods {
    ($($name:ident)*) => { $(
        fn $name(self) -> Self {
            Tensor::$name(&self)
        }
    )* };
}

impl<T: Float> Expression for Tensor<T> {
    type Mask = Tensor<bool>;

    tensor_methods!(abs square reciprocal sqrt exp exp2 expm1 log log2 log10 log1p sin cos tan asin acos atan);
    tensor_methods!(sinh cosh tanh asinh acosh atanh sigmoid erf erfc erfinv lgamma floor ceil trunc round sign);
    tensor_methods!(sech_square one_minus_square softplus silu silu_slope gelu gelu_slope);
    fn times(self, c: f64) -> Self {
        self * T::of(c)
    }
    fn plus(self, c: f64) -> Self {
        self + T::of(c)
    }
    fn polygamma(self, n: u64) -> Self {
        Tensor::polygamma_of(&self, n as f64)
    }
    fn sinc(self, n: u64) -> Self {
        Tensor::sinc_of(&self, n as f64)
    }
    fn power(self, p: f64) -> Self {
        Tensor::powf(&self, p)
    }
    fn pow(self, p: Self) -> Self {
        Tensor::pow(&self, &p).or_raise()
    }
    fn hypot(self, other: Self) -> Self {
        Tensor::hypot(&self, &other).or_raise()
    }
    fn atan2(self, x: Self) -> Self {
        Tensor::atan2(&self, &x).or_raise()
    }
    fn direction(self, other: Self) -> Self {
        Tensor::direction(&self, &other).or_raise()
    }
    fn over_square(self, other: Self) -> Self {
        Tensor::over_square(&self, &other).or_raise()
    }
    fn nothing(self) -> Self {
        self.zeros_like()
    }
    fn constant(self) -> Self {
        self.detach()
    }
    fn within(self, bound: f64) -> Self {
        Tensor::within(&self, -bound, bound)
    }
    fn finite(self) -> Self {
        self.within(T::LARGEST.to_f64())
    }
    fn eq_number(&self, c: f64) -> Tensor<bool> {
        self.eq(T::of(c)).or_raise()
    }
    fn lt_other(&self, other: &Self) -> Tensor<bool> {
        self.lt(other).or_raise()
    }
    fn eq_other(&self, other: &Self) -> Tensor<bool> {
        self.eq(other).or_raise()
    }
    fn lt_number(&self, c: f64) -> Tensor<bool> {
        self.lt(T::of(c)).or_raise()
    }
    fn le_number(&self, c: f64) -> Tensor<bool> {
        self.le(T::of(c)).or_raise()
    }
    fn gt_number(&self, c: f64) -> Tensor<bool> {
        self.gt(T::of(c)).or_raise()
    }
    fn isnan(&self) -> Tensor<bool> {
        Tensor::isnan(self)
    }
    fn both(a: Tensor<bool>, b: Tensor<bool>) -> Tensor<bool> {
        a.logical_and(&b).or_raise()
    }
    fn choose(mask: Tensor<bool>, a: Self, b: Self) -> Self {
        mask.where_cond(&a, &b).or_raise()
    }
    fn with(self, mask: Tensor<bool>, c: f64) -> Self {
        mask.where_cond(T::of(c), &self).or_raise()
    }
}
