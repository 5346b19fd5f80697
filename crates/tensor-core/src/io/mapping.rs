//! An array that lies in a mapped file.

use crate::array::{Array, Memory};
use crate::element::Element;
use crate::error::Result;
use crate::io::described::Described;
use crate::io::place::Place;
use crate::io::stored::Stored;
use memmap2::Mmap;
use std::marker::PhantomData;
use std::sync::Arc;

/// An array of a mapped file.
pub(crate) struct Mapping<'a> {
    pub(crate) map: Arc<Mmap>,
    /// Its first byte in the file; all of its bytes lie within.
    pub(crate) start: usize,
    pub(crate) array: Described,
    pub(crate) place: Place<'a>,
}

impl Mapping<'_> {
    pub(crate) fn array<T: Element>(self) -> Result<Array<T>> {
        let Mapping { map, start, array, place } = self;
        let (asked, found) = (T::DTYPE, array.stored.name());
        if array.stored != Stored::of(asked) {
            let fault =
                format!("holds {found}, and a map converts nothing to {asked}: load the file instead");
            return Err(place.fault(fault));
        }
        if array.big_endian != cfg!(target_endian = "big") && size_of::<T>() > 1 {
            return Err(place.fault("the bytes of its elements are in another order: load the file instead"));
        }
        let n = array.shape.iter().product::<usize>();
        let bytes = &map[start..][..n * size_of::<T>()];
        if !(bytes.as_ptr() as usize).is_multiple_of(align_of::<T>()) {
            return Err(place.fault("its elements are not aligned: load the file instead"));
        }
        if array.stored == Stored::Bool && bytes.iter().any(|&b| b > 1) {
            return Err(place.fault("a truth value is neither 0 nor 1: the file is damaged"));
        }
        if n == 0 {
            return Array::zeros(&array.shape);
        }
        let region = Region { map, start, n, element: PhantomData };
        Array::from_memory(region, &array.shape, &array.layout().strides(), 0)
    }
}

/// Elements in a map, which it keeps alive.
struct Region<T> {
    map: Arc<Mmap>,
    start: usize,
    n: usize,
    element: PhantomData<T>,
}

// SAFETY: the map never moves while it lives, so that the slice is the same at every call.
unsafe impl<T: Element> Memory<T> for Region<T> {
    fn elements(&self) -> &[T] {
        let bytes = &self.map[self.start..][..self.n * size_of::<T>()];
        // SAFETY: Mapping::array has checked the alignment and that every byte of a truth value is 0 or 1; any
        // bytes are a number. Whoever made the map promised that the file stays as it is.
        unsafe { std::slice::from_raw_parts(bytes.as_ptr().cast(), self.n) }
    }
}
