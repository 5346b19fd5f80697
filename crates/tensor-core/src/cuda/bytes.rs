//! Elements as the bytes that are copied.

use crate::element::Element;

/// The bytes of elements.
pub(crate) fn bytes<T: Element>(x: &[T]) -> &[u8] {
    // SAFETY: f32, f64, i64 and bool have no padding, and any byte may be read.
    unsafe { std::slice::from_raw_parts(x.as_ptr().cast(), size_of_val(x)) }
}

/// The bytes of elements, to be overwritten with those of elements of the same type.
pub(crate) fn bytes_mut<T: Element>(x: &mut [T]) -> &mut [u8] {
    // SAFETY: as above; kernels write truth values as 0 and 1 only, and any bytes are a number.
    unsafe { std::slice::from_raw_parts_mut(x.as_mut_ptr().cast(), size_of_val(x)) }
}
