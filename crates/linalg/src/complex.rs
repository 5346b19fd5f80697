//! Tensors of complex numbers, as pairs: what the rules of complex results are written in.

use crate::product::matmul;
use autograd::Tensor;
use tensor_core::{Float, Result};

#[derive(Clone)]
pub(crate) struct Complex<T: Float> {
    pub re: Tensor<T>,
    pub im: Tensor<T>,
}

impl<T: Float> Complex<T> {
    /// The pair of which one or both may stand for zeros of the shape of `like`.
    pub fn of(re: Option<&Tensor<T>>, im: Option<&Tensor<T>>, like: &Tensor<T>) -> Self {
        let part = |x: Option<&Tensor<T>>| x.cloned().unwrap_or_else(|| like.zeros_like());
        Complex { re: part(re), im: part(im) }
    }

    fn both(&self, f: impl Fn(&Tensor<T>) -> Result<Tensor<T>>) -> Result<Self> {
        Ok(Complex { re: f(&self.re)?, im: f(&self.im)? })
    }

    /// The conjugate transpose of each matrix.
    pub fn adjoint(&self) -> Result<Self> {
        Ok(Complex { re: self.re.mt()?, im: -self.im.mt()? })
    }

    /// The product of real and complex numbers, element by element.
    pub fn scaled(&self, by: &Tensor<T>) -> Result<Self> {
        self.both(|x| x.try_mul(by))
    }

    pub fn plus(&self, other: &Self) -> Result<Self> {
        Ok(Complex { re: self.re.try_add(&other.re)?, im: self.im.try_add(&other.im)? })
    }

    pub fn minus(&self, other: &Self) -> Result<Self> {
        Ok(Complex { re: self.re.try_sub(&other.re)?, im: self.im.try_sub(&other.im)? })
    }

    /// The product, element by element.
    pub fn times(&self, other: &Self) -> Result<Self> {
        Ok(Complex {
            re: self.re.try_mul(&other.re)?.try_sub(&self.im.try_mul(&other.im)?)?,
            im: self.re.try_mul(&other.im)?.try_add(&self.im.try_mul(&other.re)?)?,
        })
    }

    /// The product of matrices.
    pub fn mm(&self, other: &Self) -> Result<Self> {
        Ok(Complex {
            re: matmul(&self.re, &other.re)? - matmul(&self.im, &other.im)?,
            im: matmul(&self.re, &other.im)? + matmul(&self.im, &other.re)?,
        })
    }

    /// The real system (Re, -Im; Im, Re) of A X = B, and its right-hand sides: the real part of X above its imaginary part.
    pub fn real_system(&self, b: &Self) -> Result<(Tensor<T>, Tensor<T>)> {
        let above = Tensor::cat(&[&self.re, &-&self.im], -1)?;
        let below = Tensor::cat(&[&self.im, &self.re], -1)?;
        Ok((Tensor::cat(&[&above, &below], -2)?, Tensor::cat(&[&b.re, &b.im], -2)?))
    }
}
