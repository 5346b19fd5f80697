//! Softmax in one go, where the host has it so.

use crate::array::Array;
use crate::cpu;
use crate::device::Device;
use crate::element::Float;
use crate::error::Result;
use crate::heap::work;
use crate::once::compiled_once;

compiled_once! {
    /// e^x over its sum along the dimensions of a mask, or the logarithm of that; None where it is to be put together of
    /// other kernels: on a GPU, and but for rows that lie in one piece.
    ///
    /// # Errors
    /// Out of memory.
    pub fn softmax<T: Float>(op: &'static str, x: &Array<T>, mask: &[bool], log: bool) -> Result<Option<Array<T>>> {
        match x.device() {
            Device::Cpu => work::kernel(op, || cpu::softmax::softmax(op, x, mask, log)),
            _ => Ok(None),
        }
    }

    /// The logarithm of the sum of e^x along the dimensions of a mask, which keep size 1; None as in [`softmax`].
    ///
    /// # Errors
    /// Out of memory.
    pub fn logsumexp<T: Float>(op: &'static str, x: &Array<T>, mask: &[bool]) -> Result<Option<Array<T>>> {
        match x.device() {
            Device::Cpu => work::kernel(op, || cpu::softmax::logsumexp(op, x, mask)),
            _ => Ok(None),
        }
    }

    /// The cotangent of x for the cotangent `g` of its logsumexp, which is finite; None as in [`softmax`].
    ///
    /// # Errors
    /// Out of memory.
    pub fn logsumexp_cotangent<T: Float>(op: &'static str, x: &Array<T>, g: &Array<T>, mask: &[bool]) -> Result<Option<Array<T>>> {
        match (x.device(), g.device()) {
            (Device::Cpu, Device::Cpu) => work::kernel(op, || cpu::softmax::logsumexp_cotangent(op, x, g, mask)),
            _ => Ok(None),
        }
    }

    /// The cotangent of x for the cotangent `g` of y = softmax(x), or of its logarithm; None as in [`softmax`].
    ///
    /// # Errors
    /// Out of memory.
    pub fn softmax_cotangent<T: Float>(op: &'static str, y: &Array<T>, g: &Array<T>, mask: &[bool], log: bool) -> Result<Option<Array<T>>> {
        match (y.device(), g.device()) {
            (Device::Cpu, Device::Cpu) => work::kernel(op, || cpu::softmax::softmax_cotangent(op, y, g, mask, log)),
            _ => Ok(None),
        }
    }

    /// -ln softmax(x) at a class of each row of a matrix; None as in [`softmax`].
    ///
    /// # Errors
    /// Index, for a class that does not exist; out of memory.
    pub fn cross_entropy<T: Float>(op: &'static str, x: &Array<T>, classes: &Array<i64>) -> Result<Option<Array<T>>> {
        match (x.device(), classes.device()) {
            (Device::Cpu, Device::Cpu) => work::kernel(op, || cpu::softmax::losses(op, x, classes)),
            _ => Ok(None),
        }
    }

    /// The cotangent of x for the cotangent `g` of its cross entropies; None as in [`softmax`].
    ///
    /// # Errors
    /// Index, for a class that does not exist; out of memory.
    pub fn cross_entropy_cotangent<T: Float>(op: &'static str, x: &Array<T>, classes: &Array<i64>, g: &Array<T>) -> Result<Option<Array<T>>> {
        match (x.device(), classes.device(), g.device()) {
            (Device::Cpu, Device::Cpu, Device::Cpu) => {
                work::kernel(op, || cpu::softmax::losses_cotangent(op, x, classes, g))
            }
            _ => Ok(None),
        }
    }
}
