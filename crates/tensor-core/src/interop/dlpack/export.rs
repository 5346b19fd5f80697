//! Arrays lent to others.

use super::abi::{
    CPU, DLDataType, DLDevice, DLManagedTensor, DLManagedTensorVersioned, DLTensor, READ_ONLY, VERSION,
};
use crate::array::Array;
use crate::element::Element;
use crate::error::{Error, Result};
use crate::interop::in_memory;
use crate::kernels;
use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::ptr::null_mut;

/// An array ready to be lent: dropping it drops the array, and a pointer made of it hands the array over to whoever
/// calls its deleter.
///
/// ```
/// use tapegrad::Array;
/// let x = Array::from_vec(vec![1.0, 2.0], &[2])?;
/// drop(x.clone().into_dlpack()?);
/// assert_eq!(x.to_vec(), [1.0, 2.0]);
/// # Ok::<(), tapegrad::Error>(())
/// ```
#[derive(Debug)]
pub struct Lent<T: Element>(Array<T>);

impl<T: Element> Array<T> {
    /// Makes the array ready to be lent through DLPack, without copying. Whoever gets it may write to it where
    /// nothing else shares it, and only read it otherwise.
    ///
    /// ```
    /// use tapegrad::Array;
    /// let a = Array::from_vec(vec![1.0, 2.0, 3.0], &[3])?;
    /// let place = a.storage().as_ptr();
    /// let pointer = a.into_dlpack()?.into_raw();
    /// // SAFETY: the pointer is a tensor's, of this type, and nobody else has it.
    /// let b = unsafe { Array::<f64>::from_dlpack(pointer) }?;
    /// assert_eq!((b.storage().as_ptr(), b.to_vec()), (place, vec![1.0, 2.0, 3.0]));
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Device, where the elements are on a GPU.
    pub fn into_dlpack(self) -> Result<Lent<T>> {
        in_memory("into_dlpack", &self)?;
        if i32::try_from(self.ndim()).is_err() {
            let message = format!("{} dimensions are more than DLPack can count: reshape it", self.ndim());
            return Err(Error::shape("into_dlpack", message));
        }
        Ok(Lent(self))
    }
}

/// What the deleter frees.
struct Lease<T: Element, M> {
    managed: MaybeUninit<M>,
    array: Array<T>,
    shape: Vec<i64>,
    strides: Vec<i64>,
}

impl<T: Element> Lent<T> {
    /// True where others share the elements, or one stands for several: they may not be written then.
    ///
    /// ```
    /// use tapegrad::Array;
    /// let x = Array::from_vec(vec![1.0, 2.0], &[2])?;
    /// assert!(x.clone().into_dlpack()?.is_read_only());
    /// assert!(!x.into_dlpack()?.is_read_only());
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    pub fn is_read_only(&mut self) -> bool {
        let (shape, strides) = (self.0.shape(), self.0.layout().strides());
        let repeats = shape.iter().zip(&strides).any(|(&d, &s)| d > 1 && s == 0);
        repeats || self.0.storage_mut().is_none()
    }

    /// The pointer for a capsule named `dltensor_versioned`, of version 1 of the protocol. It is freed by its own
    /// deleter, from any thread.
    pub fn into_raw(mut self) -> *mut DLManagedTensorVersioned {
        let flags = if self.is_read_only() { READ_ONLY } else { 0 };
        self.lease(|dl_tensor, manager_ctx| DLManagedTensorVersioned {
            version: VERSION,
            manager_ctx,
            deleter: Some(delete_versioned::<T>),
            flags,
            dl_tensor,
        })
    }

    /// The pointer for a capsule named `dltensor`, as before version 1. That one cannot say that its elements are
    /// only to be read: they are copied where that is so.
    ///
    /// # Errors
    /// Out of memory, for the copy.
    pub fn into_raw_unversioned(mut self) -> Result<*mut DLManagedTensor> {
        if self.is_read_only() {
            self.0 = kernels::copy("into_raw_unversioned", &self.0)?;
        }
        Ok(self.lease(|dl_tensor, manager_ctx| DLManagedTensor {
            dl_tensor,
            manager_ctx,
            deleter: Some(delete::<T>),
        }))
    }

    fn lease<M>(self, make: impl FnOnce(DLTensor, *mut c_void) -> M) -> *mut M {
        let array = self.0;
        // A size or stride of memory is no larger than an i64.
        let shape = array.shape().iter().map(|&d| d as i64).collect();
        let strides = array.layout().strides().iter().map(|&s| s as i64).collect();
        let lease = Box::leak(Box::new(Lease { managed: MaybeUninit::uninit(), array, shape, strides }));
        let first = lease.array.layout().offset();
        let data = match lease.array.numel() {
            0 => null_mut(),
            _ => match lease.array.storage_mut() {
                Some(elements) => elements.as_mut_ptr().wrapping_add(first),
                None => lease.array.storage().as_ptr().cast_mut().wrapping_add(first),
            },
        };
        let tensor = DLTensor {
            data: data.cast(),
            device: DLDevice { device_type: CPU, device_id: 0 },
            ndim: lease.shape.len() as i32,
            dtype: DLDataType::from(T::DTYPE),
            shape: lease.shape.as_mut_ptr(),
            strides: lease.strides.as_mut_ptr(),
            byte_offset: 0,
        };
        let lease: *mut Lease<T, M> = lease;
        // SAFETY: the lease was just leaked, and nothing else refers to it.
        unsafe { (*lease).managed.write(make(tensor, lease.cast())) }
    }
}

/// # Safety
/// `context` is that of a tensor made by [`Lent::lease`] for an `M`, and was not freed.
unsafe fn free<T: Element, M>(context: *mut c_void) {
    // SAFETY: the context is the lease, which was a box.
    drop(unsafe { Box::from_raw(context.cast::<Lease<T, M>>()) });
}

/// # Safety
/// As [`free`], for the tensor's context; null is ignored.
unsafe extern "C" fn delete<T: Element>(tensor: *mut DLManagedTensor) {
    if !tensor.is_null() {
        // SAFETY: the caller's promise.
        unsafe { free::<T, DLManagedTensor>((*tensor).manager_ctx) }
    }
}

/// # Safety
/// As [`free`], for the tensor's context; null is ignored.
unsafe extern "C" fn delete_versioned<T: Element>(tensor: *mut DLManagedTensorVersioned) {
    if !tensor.is_null() {
        // SAFETY: the caller's promise.
        unsafe { free::<T, DLManagedTensorVersioned>((*tensor).manager_ctx) }
    }
}
