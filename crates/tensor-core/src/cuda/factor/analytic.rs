//! Derivatives of functions of matrices.

use crate::array::Array;
use crate::cuda::gpu::Gpu;
use crate::device::Device;
use crate::element::Float;
use crate::error::Result;
use crate::kernels::Analytic;

/// See [`kernels::analytic_derivative`](crate::kernels::analytic_derivative). The function is the host's, and so is
/// the work: this is the one operation whose operands go there and whose result comes back.
pub(crate) fn analytic_derivative<T: Float>(
    gpu: &'static Gpu,
    op: &'static str,
    f: &dyn Analytic,
    w: &Array<T>,
    directions: &[Array<T>],
) -> Result<Array<T>> {
    let directions = directions.iter().map(|e| e.to_device(op, Device::Cpu)).collect::<Result<Vec<_>>>()?;
    let result = T::analytic_derivative(op, f, &w.to_device(op, Device::Cpu)?, &directions)?;
    result.to_device(op, Device::Cuda(gpu.ordinal()))
}
