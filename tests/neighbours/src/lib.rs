//! What docs/guide-interop.md shows to be called from Python, and what the tests beside it need besides.
//!
//! A function that can fail returns null and writes why, as text that ends with a zero byte, to `error`, which has
//! `room` bytes. Every tensor given to a function belongs to it from then on, also where it fails.

use std::ffi::c_char;
use tapegrad::dlpack::{DLManagedTensor, DLManagedTensorVersioned as Versioned};
use tapegrad::{DType, Element, Error, Result, Tensor, memory, value_and_grad};

/// The gradient of f(x) = sum of x sin(x), whose value is written to `value`.
///
/// # Safety
/// `tensor` is that of a capsule, `value` can be written, and `error` has `room` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gradient(
    tensor: *mut Versioned,
    value: *mut f64,
    error: *mut c_char,
    room: usize,
) -> *mut Versioned {
    let compute = || {
        // SAFETY: the capsule's tensor is now ours alone.
        let x: Tensor = unsafe { Tensor::from_dlpack(tensor) }?;
        let (f, g) = value_and_grad(|x| Ok((x * x.sin()).sum()), &x)?;
        // SAFETY: the caller's promise.
        unsafe { value.write(f.item()?) };
        Ok(g.into_dlpack()?.into_raw())
    };
    // SAFETY: the caller's promise.
    memory::try_run(compute).unwrap_or_else(|e| unsafe { report(e, error, room) })
}

/// The same tensor, read in place and lent again; where its first element was found is written to `address`.
///
/// # Safety
/// `tensor` is that of a capsule, `address` can be written, and `error` has `room` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn echo(
    tensor: *mut Versioned,
    address: *mut usize,
    error: *mut c_char,
    room: usize,
) -> *mut Versioned {
    // SAFETY: the caller's promises.
    unsafe {
        let echoed = match (*tensor).dl_tensor.dtype.element() {
            Some(DType::F32) => Tensor::<f32>::from_dlpack(tensor).and_then(|x| found(x, address)),
            Some(DType::I64) => Tensor::<i64>::from_dlpack(tensor).and_then(|x| found(x, address)),
            Some(DType::Bool) => Tensor::<bool>::from_dlpack(tensor).and_then(|x| found(x, address)),
            _ => Tensor::<f64>::from_dlpack(tensor).and_then(|x| found(x, address)),
        };
        echoed.unwrap_or_else(|e| report(e, error, room))
    }
}

/// # Safety
/// `address` can be written.
unsafe fn found<T: Element>(x: Tensor<T>, address: *mut usize) -> Result<*mut Versioned> {
    let storage = x.array().storage();
    let first = storage.as_ptr().wrapping_add(x.layout().offset());
    // SAFETY: the caller's promise.
    unsafe { address.write(first.addr()) };
    Ok(x.into_dlpack()?.into_raw())
}

/// As [`echo`] for the capsules of before version 1 that hold f64.
///
/// # Safety
/// As for [`echo`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn echo_unversioned(
    tensor: *mut DLManagedTensor,
    error: *mut c_char,
    room: usize,
) -> *mut DLManagedTensor {
    // SAFETY: the caller's promises.
    unsafe {
        let echoed = Tensor::<f64>::from_dlpack_unversioned(tensor)
            .and_then(|x| x.into_dlpack()?.into_raw_unversioned());
        echoed.unwrap_or_else(|e| report(e, error, room))
    }
}

/// 0, 1, 2, ... up to `n - 1`, in memory of tapegrad's that nothing else shares.
#[unsafe(no_mangle)]
pub extern "C" fn counting(n: usize) -> *mut Versioned {
    let numbers: Tensor = (0..n).map(|i| i as f64).collect::<Vec<_>>().into();
    numbers.into_dlpack().expect("the numbers are on the host").into_raw()
}

/// Releases a tensor that no capsule's reader has taken.
///
/// # Safety
/// `tensor` is that of a capsule that still has its first name.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn release(tensor: *mut Versioned) {
    // SAFETY: the caller's promise.
    if let Some(delete) = unsafe { (*tensor).deleter } {
        // SAFETY: as above.
        unsafe { delete(tensor) }
    }
}

/// The bytes that arrays of tapegrad's own take.
#[unsafe(no_mangle)]
pub extern "C" fn live_bytes() -> usize {
    memory::stats().live
}

/// # Safety
/// `error` has `room` bytes.
unsafe fn report<M>(e: Error, error: *mut c_char, room: usize) -> *mut M {
    let text = e.to_string();
    let length = text.len().min(room.saturating_sub(1));
    if room > 0 {
        // SAFETY: no more than `room` bytes are written.
        unsafe {
            text.as_ptr().copy_to_nonoverlapping(error.cast(), length);
            error.add(length).write(0);
        }
    }
    std::ptr::null_mut()
}
