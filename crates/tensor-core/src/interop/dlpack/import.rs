//! Tensors borrowed from others.

use super::abi::{CPU, CUDA_HOST, DLDataType, DLManagedTensor, DLManagedTensorVersioned, DLTensor, VERSION};
use crate::array::Array;
use crate::element::{DType, Element};
use crate::error::{Error, ErrorKind, Result};
use crate::heap::buffer::Buffer;
use crate::interop::memory::Stretch;
use crate::interop::{has_no_gaps, reach};
use crate::layout::{Layout, Strides};
use crate::nest::Nest;
use crate::shape::{self, Dims};
use std::ptr::{NonNull, copy_nonoverlapping};

impl<T: Element> Array<T> {
    /// Reads a tensor of somebody else's without copying, from the pointer of a capsule named
    /// `dltensor_versioned`. Its deleter is called when the last array that reads it is gone, and at once where
    /// this fails, or copies because an array cannot read the memory as it is: numbers that are not aligned, truth
    /// values that are neither 0 nor 1, elements with gaps between them, which were not lent.
    ///
    /// # Safety
    /// The pointer is null, or that of a tensor which nobody else will release. Its elements are initialised; nobody
    /// writes them before the deleter is called; and the deleter may be called by any thread. The last two hold for
    /// NumPy and PyTorch where the program leaves the memory alone.
    ///
    /// # Errors
    /// Argument, for elements of another type, another version of the protocol, and sizes, strides or addresses
    /// that cannot be; device, where the elements are not in the host's memory; out of memory, for a copy.
    pub unsafe fn from_dlpack(tensor: *mut DLManagedTensorVersioned) -> Result<Self> {
        let owner = Owner::of(tensor)?;
        // SAFETY: the caller's promise; the version lies where it lies in any version.
        let version = unsafe { (*tensor).version };
        if version.major != VERSION.major {
            let message = format!(
                "the tensor is of DLPack {}.{}, and version {} is understood: ask its library for max_version ({}, {})",
                version.major, version.minor, VERSION.major, VERSION.major, VERSION.minor
            );
            return Err(Error::argument(OP, message));
        }
        // SAFETY: the caller's promise.
        unsafe { read(&(*tensor).dl_tensor, owner) }
    }

    /// As [`Array::from_dlpack`], from the pointer of a capsule named `dltensor`, as before version 1.
    ///
    /// # Safety
    /// As for [`Array::from_dlpack`].
    ///
    /// # Errors
    /// As for [`Array::from_dlpack`].
    pub unsafe fn from_dlpack_unversioned(tensor: *mut DLManagedTensor) -> Result<Self> {
        let owner = Owner::of(tensor)?;
        // SAFETY: the caller's promise.
        unsafe { read(&(*tensor).dl_tensor, owner) }
    }
}

const OP: &str = "from_dlpack";
/// More than NumPy and PyTorch have, so that a damaged count is not believed.
const MOST_DIMENSIONS: i32 = 1024;

/// A tensor that knows how to be released.
trait Managed {
    /// # Safety
    /// The tensor was not released before.
    unsafe fn release(this: *mut Self);
}

impl Managed for DLManagedTensor {
    unsafe fn release(this: *mut Self) {
        // SAFETY: the caller's promise.
        if let Some(delete) = unsafe { (*this).deleter } {
            // SAFETY: as above.
            unsafe { delete(this) }
        }
    }
}

impl Managed for DLManagedTensorVersioned {
    unsafe fn release(this: *mut Self) {
        // SAFETY: the caller's promise; the deleter lies where it lies in any version.
        if let Some(delete) = unsafe { (*this).deleter } {
            // SAFETY: as above.
            unsafe { delete(this) }
        }
    }
}

/// Releases its tensor when it goes.
struct Owner<M: Managed>(NonNull<M>);

impl<M: Managed> Owner<M> {
    fn of(tensor: *mut M) -> Result<Self> {
        let null =
            || Error::argument(OP, "the pointer is null: take it from the capsule by the capsule's name");
        NonNull::new(tensor).map(Owner).ok_or_else(null)
    }
}

// SAFETY: the tensor is only released, which any thread may do, as the caller of `from_dlpack` has promised.
unsafe impl<M: Managed> Send for Owner<M> {}
// SAFETY: nothing can be done through a reference.
unsafe impl<M: Managed> Sync for Owner<M> {}

impl<M: Managed> Drop for Owner<M> {
    fn drop(&mut self) {
        // SAFETY: this is the only owner.
        unsafe { M::release(self.0.as_ptr()) }
    }
}

/// # Safety
/// As for [`Array::from_dlpack`]; `owner` is that of `tensor`.
unsafe fn read<T: Element, M: Managed + 'static>(tensor: &DLTensor, owner: Owner<M>) -> Result<Array<T>> {
    check_type::<T>(tensor.dtype)?;
    if ![CPU, CUDA_HOST].contains(&tensor.device.device_type) {
        let message = format!(
            "the tensor lies on {}: bring it to the host's memory first (PyTorch: .cpu(), CuPy: .get())",
            tensor.device
        );
        return Err(Error::new(ErrorKind::Device, OP, message));
    }
    // SAFETY: shape and strides are as long as the tensor says.
    let (shape, strides) = unsafe { layout(tensor) }?;
    if shape::numel(OP, &shape)? == 0 {
        return Array::zeros(&shape);
    }
    let wrong = || {
        let at = format!("{:?} and {} bytes after it", tensor.data, tensor.byte_offset);
        let message =
            format!("shape {shape:?} with strides {strides:?} at address {at} leaves the address space");
        Error::argument(OP, message)
    };
    let (below, len) = reach(&shape, &strides).ok_or_else(wrong)?;
    let bytes = len.checked_mul(size_of::<T>()).filter(|&b| isize::try_from(b).is_ok()).ok_or_else(wrong)?;
    let lowest = usize::try_from(tensor.byte_offset)
        .ok()
        .and_then(|offset| tensor.data.addr().checked_add(offset))
        .and_then(|first| first.checked_sub(below * size_of::<T>()))
        .filter(|lowest| lowest.checked_add(bytes).is_some() && !tensor.data.is_null());
    let start = lowest.map(|address| tensor.data.cast::<u8>().with_addr(address));
    let start = start.and_then(NonNull::new).ok_or_else(wrong)?;
    if !has_no_gaps(&shape, &strides) {
        // SAFETY: every element is there, as the caller has promised.
        return unsafe { gathered(start, below, &shape, &strides) };
    }
    // SAFETY: so many bytes are there, without a gap, as the caller has promised.
    if unsafe { readable::<T>(start, bytes) } {
        // SAFETY: the elements are initialised, aligned and valid; the owner keeps them where they are, and nobody
        // writes them, as the caller has promised.
        let memory = unsafe { Stretch::new(owner, start.cast::<T>(), len) };
        return Array::from_memory(memory, &shape, &strides, below);
    }
    let mut copy = Buffer::<T>::for_overwrite(OP, len)?;
    // SAFETY: so many bytes are there, without a gap, and as many in the buffer, which is new.
    unsafe {
        match T::DTYPE {
            DType::Bool => {
                let bytes = std::slice::from_raw_parts(start.as_ptr(), len);
                copy.iter_mut().zip(bytes).for_each(|(x, &byte)| *x = (byte != 0).cast());
            }
            _ => copy_nonoverlapping(start.as_ptr(), copy.as_mut_ptr().cast::<u8>(), bytes),
        }
    }
    Ok(Array::with_layout(Layout::strided(shape, &strides, below), copy))
}

/// A copy of elements with gaps between them, of which only they are read; what is repeated is copied once.
///
/// # Safety
/// The elements of the layout, `below` of whose first one `start` is, are initialised.
unsafe fn gathered<T: Element>(
    start: NonNull<u8>,
    below: usize,
    shape: &[usize],
    strides: &[isize],
) -> Result<Array<T>> {
    let once: Dims = shape.iter().zip(strides).map(|(&d, &s)| if s == 0 { 1 } else { d }).collect();
    let nest = Nest::of(once.iter().zip(strides).map(|(&d, &s)| (d, [s])), [below as isize]);
    let (_, [step]) = nest.inner();
    let copy = Array::build(OP, once, |out: &mut [T]| {
        nest.segments(0..out.len(), |position, [p], n| {
            for (k, out) in out[position..][..n].iter_mut().enumerate() {
                let place = (p + k as isize * step) as usize * size_of::<T>();
                // SAFETY: the place is that of an element, which the caller has promised.
                *out = unsafe {
                    let element = start.as_ptr().add(place);
                    match T::DTYPE {
                        DType::Bool => (*element != 0).cast(),
                        _ => element.cast::<T>().read_unaligned(),
                    }
                };
            }
        });
    })?;
    copy.expand(OP, shape)
}

fn check_type<T: Element>(found: DLDataType) -> Result<()> {
    if found == DLDataType::from(T::DTYPE) {
        return Ok(());
    }
    let remedy = match found.element() {
        Some(dtype) => format!("import it as {dtype}"),
        None => {
            format!("convert it there first (NumPy: .astype({:?}))", DLDataType::from(T::DTYPE).to_string())
        }
    };
    Err(Error::argument(OP, format!("the tensor's elements are {found}, not {}: {remedy}", T::DTYPE)))
}

/// # Safety
/// Shape and strides are null or as long as the tensor says.
unsafe fn layout(tensor: &DLTensor) -> Result<(Dims, Strides)> {
    let ndim = match usize::try_from(tensor.ndim) {
        Ok(ndim) if tensor.ndim <= MOST_DIMENSIONS && (ndim == 0 || !tensor.shape.is_null()) => ndim,
        _ => {
            let message = format!(
                "{} dimensions with their sizes at {:?}: at most {MOST_DIMENSIONS} are read, and not from null",
                tensor.ndim, tensor.shape
            );
            return Err(Error::argument(OP, message));
        }
    };
    // SAFETY: the caller's promise; there is nothing to read where there are no dimensions.
    let list = |start: *mut i64| unsafe {
        match ndim {
            0 => &[][..],
            _ => std::slice::from_raw_parts(start, ndim),
        }
    };
    let sizes = list(tensor.shape);
    let shape: Option<Dims> = sizes.iter().map(|&d| usize::try_from(d).ok()).collect();
    let shape = shape.ok_or_else(|| Error::argument(OP, format!("shape {sizes:?} has a negative size")))?;
    shape::numel(OP, &shape)?;
    if tensor.strides.is_null() {
        let strides = Layout::row_major(shape.clone()).strides();
        return Ok((shape, strides));
    }
    let steps = list(tensor.strides);
    // The step of a dimension that has no second element may be anything: it is not believed.
    let step = |(&s, &d)| if d <= 1 { Some(0) } else { isize::try_from(s).ok() };
    let strides: Option<Strides> = steps.iter().zip(&shape).map(step).collect();
    let strides =
        strides.ok_or_else(|| Error::argument(OP, format!("strides {steps:?} leave the address space")))?;
    Ok((shape, strides))
}

/// Whether the bytes can be read as elements where they are.
///
/// # Safety
/// So many initialised bytes are there.
unsafe fn readable<T: Element>(start: NonNull<u8>, bytes: usize) -> bool {
    if T::DTYPE != DType::Bool {
        return start.cast::<T>().is_aligned();
    }
    // SAFETY: the caller's promise.
    let bytes = unsafe { std::slice::from_raw_parts(start.as_ptr(), bytes) };
    bytes.iter().all(|&byte| byte <= 1)
}
