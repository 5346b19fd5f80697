//! The errors of calls to CUDA, and what to do about each.

use crate::error::{Error, ErrorKind, Result};
use cudarc::driver::sys::CUresult;

/// The error of a call to CUDA before there is a context.
pub(super) fn check(op: &'static str, call: &str, code: CUresult) -> Result<()> {
    if code == CUresult::CUDA_SUCCESS { Ok(()) } else { Err(failure(op, call, code)) }
}

/// The error of a call that failed.
#[cold]
pub(super) fn failure(op: &'static str, call: &str, code: CUresult) -> Error {
    use CUresult::*;
    let remedy = match code {
        CUDA_ERROR_STUB_LIBRARY => "; the toolkit's stub was loaded in place of the driver: install one",
        CUDA_ERROR_NO_BINARY_FOR_GPU
        | CUDA_ERROR_INVALID_IMAGE
        | CUDA_ERROR_UNSUPPORTED_PTX_VERSION
        | CUDA_ERROR_JIT_COMPILER_NOT_FOUND => {
            "; the compiler library (NVRTC) and the driver do not fit: update the driver, or install an \
             NVRTC that is no newer than it"
        }
        CUDA_ERROR_SYSTEM_DRIVER_MISMATCH | CUDA_ERROR_SYSTEM_NOT_READY | CUDA_ERROR_UNKNOWN => {
            "; the driver is not working: restart the machine or install the driver again"
        }
        CUDA_ERROR_INVALID_DEVICE | CUDA_ERROR_DEVICE_UNAVAILABLE => {
            "; another process may hold the device for itself"
        }
        CUDA_ERROR_OUT_OF_MEMORY => "; no memory is left on the device: free what is not needed",
        CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED | CUDA_ERROR_STREAM_CAPTURE_INVALIDATED => {
            "; an operation that cannot be captured ran while a graph was being captured"
        }
        CUDA_ERROR_INVALID_VALUE | CUDA_ERROR_NOT_FOUND | CUDA_ERROR_INVALID_HANDLE => {
            "; this is a bug, please report it"
        }
        _ => "",
    };
    Error::new(ErrorKind::Device, op, format!("{call} failed with {code:?} ({}){remedy}", code as u32))
}

/// After these, a context refuses everything.
pub(super) fn is_fatal(code: CUresult) -> bool {
    use CUresult::*;
    matches!(
        code,
        CUDA_ERROR_ECC_UNCORRECTABLE
            | CUDA_ERROR_NVLINK_UNCORRECTABLE
            | CUDA_ERROR_CONTAINED
            | CUDA_ERROR_ILLEGAL_ADDRESS
            | CUDA_ERROR_LAUNCH_TIMEOUT
            | CUDA_ERROR_CONTEXT_IS_DESTROYED
            | CUDA_ERROR_ASSERT
            | CUDA_ERROR_HARDWARE_STACK_ERROR
            | CUDA_ERROR_ILLEGAL_INSTRUCTION
            | CUDA_ERROR_MISALIGNED_ADDRESS
            | CUDA_ERROR_INVALID_ADDRESS_SPACE
            | CUDA_ERROR_INVALID_PC
            | CUDA_ERROR_LAUNCH_FAILED
            | CUDA_ERROR_TENSOR_MEMORY_LEAK
            | CUDA_ERROR_DEINITIALIZED
    )
}
