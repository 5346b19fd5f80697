//! Vectors whose length follows from a tensor: where there is no memory for one, that is an error.

use super::buffer::trim;
use super::count::could_have;
use crate::error::{Error, Result};
use crate::shape;

/// An empty vector with room for `n` elements. Every vector whose length follows from a tensor begins with one of
/// these functions, since those of the standard library end the process where there is no memory.
///
/// # Errors
/// Out of memory.
pub fn room<T>(op: &'static str, n: usize) -> Result<Vec<T>> {
    let mut v = Vec::new();
    grow(op, &mut v, n)?;
    Ok(v)
}

/// Room for `more` elements behind those of `v`: as much again, where it has to be moved.
///
/// # Errors
/// Out of memory.
#[inline]
pub fn grow<T>(op: &'static str, v: &mut Vec<T>, more: usize) -> Result<()> {
    if v.capacity() - v.len() >= more { Ok(()) } else { grow_now(op, v, more) }
}

#[cold]
fn grow_now<T>(op: &'static str, v: &mut Vec<T>, more: usize) -> Result<()> {
    let bytes = v.len().saturating_add(more).saturating_mul(size_of::<T>());
    let reserve = |v: &mut Vec<T>| {
        let answer = match v.capacity() {
            0 => v.try_reserve_exact(more),
            _ => v.try_reserve(more),
        };
        answer.is_ok()
    };
    if could_have(bytes)
        && (reserve(v) || {
            trim();
            reserve(v)
        })
    {
        return Ok(());
    }
    Err(Error::out_of_memory(op, bytes))
}

/// An error where there is no memory for elements of type `T` in this shape: for operations that would take much
/// time before they ask for what their result needs. Small results are not asked for.
///
/// # Errors
/// Out of memory.
pub fn ask<T>(op: &'static str, shape: &[usize]) -> Result<()> {
    /// Bytes below which there is no long work.
    const SMALL: usize = 16 << 20;
    let bytes = shape::numel(op, shape)?.checked_mul(size_of::<T>());
    match bytes {
        Some(bytes) if bytes < SMALL => Ok(()),
        Some(bytes) => room::<u8>(op, bytes).map(drop),
        None => Err(Error::out_of_memory(op, usize::MAX)),
    }
}

/// `n` times `x`.
///
/// ```
/// use tapegrad::{ErrorKind, memory};
/// assert_eq!(memory::vector("example", 3, 1.5)?, [1.5; 3]);
/// let e = memory::vector("example", usize::MAX / 8, 1.5).unwrap_err();
/// assert!(matches!(e.kind(), ErrorKind::OutOfMemory { .. }));
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// Out of memory.
pub fn vector<T: Clone>(op: &'static str, n: usize, x: T) -> Result<Vec<T>> {
    let mut v = room(op, n)?;
    v.resize(n, x);
    Ok(v)
}

/// The items one after another.
///
/// # Errors
/// Out of memory.
pub fn collect<T>(op: &'static str, items: impl IntoIterator<Item = T>) -> Result<Vec<T>> {
    let items = items.into_iter();
    let (least, most) = items.size_hint();
    let mut v = room(op, least)?;
    if most == Some(least) {
        // There is room for all of them.
        v.extend(items);
        return Ok(v);
    }
    for item in items {
        grow(op, &mut v, 1)?;
        v.push(item);
    }
    Ok(v)
}
