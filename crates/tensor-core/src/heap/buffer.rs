//! Owned CPU memory: a `Vec` that is counted while it lives and cached when it dies.
//!
//! Fresh pages from the system cost more than the arithmetic done on them, so large vectors are
//! kept for the next array of their size. They stay ordinary `Vec`s of the global allocator, so
//! that any of them can be handed to the caller.

use super::count::{CACHED, LARGE, cache_room, could_have, count};
use crate::element::{EachElement, Element, ForElement};
use crate::error::{Error, Result};
use std::alloc::{Layout, alloc_zeroed};
use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The elements of one array, uniquely owned.
pub(crate) struct Buffer<T: Element>(Vec<T>);

/// Dead vectors by capacity, every one filled up to its capacity, each with the number of its death: the last of a list
/// died last.
struct Pool<T>(Mutex<Dead<T>>);

type Dead<T> = BTreeMap<usize, Vec<(u64, Vec<T>)>>;

impl<T> Pool<T> {
    const fn new() -> Self {
        Pool(Mutex::new(BTreeMap::new()))
    }

    fn lock(&self) -> MutexGuard<'_, Dead<T>> {
        // The map is consistent between any two statements below, so a poisoned lock is usable.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A vector of at least `n` elements, at most a quarter larger.
    fn take(&self, n: usize) -> Option<Vec<T>> {
        let mut map = self.lock();
        let (&capacity, list) = map.range_mut(n..=n + n / 4).next()?;
        let dead = list.pop();
        if list.is_empty() {
            map.remove(&capacity);
        }
        CACHED.fetch_sub(capacity * size_of::<T>(), Relaxed);
        dead.map(|(_, v)| v)
    }

    fn put(&self, v: Vec<T>) {
        static DEATHS: AtomicU64 = AtomicU64::new(0);
        CACHED.fetch_add(v.capacity() * size_of::<T>(), Relaxed);
        let death = DEATHS.fetch_add(1, Relaxed);
        self.lock().entry(v.capacity()).or_default().push((death, v));
    }

    /// The death of the vector that has been here for the longest time.
    fn oldest(&self) -> Option<u64> {
        self.lock().values().filter_map(|list| Some(list.first()?.0)).min()
    }

    /// Gives the vector of this death back to the system's allocator.
    fn evict(&self, death: u64) {
        let mut map = self.lock();
        let of = |(&capacity, list): (&usize, &Vec<(u64, Vec<T>)>)| {
            list.first().filter(|(first, _)| *first == death).map(|_| capacity)
        };
        let Some(capacity) = map.iter().find_map(of) else { return };
        let list = map.entry(capacity).or_default();
        let evicted = list.remove(0);
        if list.is_empty() {
            map.remove(&capacity);
        }
        drop(map);
        CACHED.fetch_sub(capacity * size_of::<T>(), Relaxed);
        drop(evicted);
    }

    fn trim(&self) {
        let dead = std::mem::take(&mut *self.lock());
        let bytes: usize = dead.iter().map(|(n, list)| n * list.len() * size_of::<T>()).sum();
        CACHED.fetch_sub(bytes, Relaxed);
    }
}

struct Pools;

impl ForElement for Pools {
    type Of<T: Element> = Pool<T>;
}

static POOLS: EachElement<Pools> =
    EachElement { f32: Pool::new(), f64: Pool::new(), i64: Pool::new(), bool: Pool::new() };

/// Gives the cached buffers back to the system's allocator.
pub fn trim() {
    POOLS.f32.trim();
    POOLS.f64.trim();
    POOLS.i64.trim();
    POOLS.bool.trim();
}

/// Whether `bytes` more fit beside what is live, once the buffers that have been dead for the longest time are given
/// back.
fn make_room(bytes: usize) -> bool {
    if cache_room() + CACHED.load(Relaxed) < bytes {
        return false;
    }
    while cache_room() < bytes {
        let oldest = [POOLS.f32.oldest(), POOLS.f64.oldest(), POOLS.i64.oldest(), POOLS.bool.oldest()];
        // Others may have emptied the cache in the meantime.
        let Some(death) = oldest.into_iter().flatten().min() else { break };
        POOLS.f32.evict(death);
        POOLS.f64.evict(death);
        POOLS.i64.evict(death);
        POOLS.bool.evict(death);
    }
    cache_room() >= bytes
}

impl<T: Element> Buffer<T> {
    /// `n` elements of arbitrary values, to be overwritten.
    #[inline]
    pub(crate) fn for_overwrite(op: &'static str, n: usize) -> Result<Self> {
        Buffer::allocate(op, n).map(|(b, _)| b)
    }

    /// `n` zeros.
    pub(crate) fn zeroed(op: &'static str, n: usize) -> Result<Self> {
        let (mut b, fresh) = Buffer::allocate(op, n)?;
        if !fresh {
            b.fill(T::default());
        }
        Ok(b)
    }

    /// `n` elements, and whether they are fresh, that is zero.
    #[inline]
    fn allocate(op: &'static str, n: usize) -> Result<(Self, bool)> {
        let bytes = n.saturating_mul(size_of::<T>());
        if bytes >= LARGE {
            if let Some(mut v) = T::of_elements(&POOLS).take(n) {
                v.truncate(n);
                return Ok((Buffer::adopt(v), false));
            }
            // Rather free what has been dead for long than grow beyond the peak.
            if CACHED.load(Relaxed) > 0 && !make_room(bytes) {
                trim();
            }
        }
        if !could_have(bytes) {
            return Err(Error::out_of_memory(op, bytes));
        }
        let v = match zeroed_vec(n) {
            Some(v) => v,
            None => {
                trim();
                zeroed_vec(n).ok_or_else(|| Error::out_of_memory(op, bytes))?
            }
        };
        Ok((Buffer::adopt(v), true))
    }

    /// Takes a vector over.
    #[inline]
    pub(crate) fn adopt(v: Vec<T>) -> Self {
        let buffer = Buffer(v);
        count(buffer.bytes() as isize);
        buffer
    }

    /// What the buffer takes, and counts for.
    #[inline]
    pub(crate) fn bytes(&self) -> usize {
        self.0.capacity() * size_of::<T>()
    }

    /// Gives the vector back.
    pub(crate) fn into_vec(mut self) -> Vec<T> {
        count(-(self.bytes() as isize));
        std::mem::take(&mut self.0)
    }
}

/// A vector of `n` zeros, None where there is no memory for it.
#[inline]
fn zeroed_vec<T: Element>(n: usize) -> Option<Vec<T>> {
    let layout = Layout::array::<T>(n).ok()?;
    if layout.size() == 0 {
        return Some(Vec::new());
    }
    // SAFETY: the layout has a size. The bytes are zero, which is the default value of each of the
    // four element types, and they come from the global allocator with the layout of a vector of
    // capacity n, so the vector may own, grow and free them.
    unsafe {
        let p = alloc_zeroed(layout).cast::<T>();
        if p.is_null() {
            return None;
        }
        if layout.size() >= HUGE {
            ask_for_huge_pages(p as usize, layout.size());
        }
        Some(Vec::from_raw_parts(p, n, n))
    }
}

/// Bytes from which a buffer is worth huge pages: below it fits the translation cache anyway.
const HUGE: usize = 4 << 20;

/// Asks Linux to back fresh memory with huge pages: a matrix read in several rows at once otherwise
/// waits for address translations. It is advice; where it is refused, nothing changes.
#[cfg(target_os = "linux")]
fn ask_for_huge_pages(start: usize, bytes: usize) {
    const PAGE: usize = 4096;
    let (first, end) = (start.next_multiple_of(PAGE), (start + bytes) / PAGE * PAGE);
    // SAFETY: the range lies within one live allocation, and this advice changes neither its
    // contents nor its validity.
    unsafe { libc::madvise(first as *mut libc::c_void, end.saturating_sub(first), libc::MADV_HUGEPAGE) };
}

#[cfg(not(target_os = "linux"))]
fn ask_for_huge_pages(_: usize, _: usize) {}

impl<T: Element> Drop for Buffer<T> {
    #[inline]
    fn drop(&mut self) {
        let bytes = self.bytes();
        count(-(bytes as isize));
        if bytes >= LARGE && make_room(bytes) {
            let mut v = std::mem::take(&mut self.0);
            v.resize(v.capacity(), T::default());
            T::of_elements(&POOLS).put(v);
        }
    }
}

impl<T: Element> Deref for Buffer<T> {
    type Target = [T];
    #[inline]
    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T: Element> DerefMut for Buffer<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_been_dead_for_long_makes_room() {
        let pool = Pool::<i64>::new();
        let vector = |n: usize| vec![0i64; n];
        [3, 5, 3].into_iter().for_each(|n| pool.put(vector(n)));
        let first = pool.oldest().unwrap();
        pool.evict(first);
        assert_eq!(pool.take(3).map(|v| v.len()), Some(3));
        assert_eq!(pool.take(3).map(|v| v.len()), None);
        pool.evict(first);
        assert_eq!(pool.take(5).map(|v| v.len()), Some(5));
        assert_eq!(pool.oldest(), None);
    }

    #[test]
    fn a_dead_buffer_serves_the_next_of_its_size_and_zeros_are_zeros() {
        let n = 123_457;
        let mut b = Buffer::<f64>::zeroed("test", n).unwrap();
        b.fill(7.0);
        let place = b.as_ptr();
        drop(b);
        let b = Buffer::<f64>::zeroed("test", n).unwrap();
        // Another test may have trimmed the cache in between, or left a buffer that is a little larger.
        assert!(b.as_ptr() == place || b.len() == n);
        assert!(b.iter().all(|&x| x == 0.0));
        let v = b.into_vec();
        assert!(v.len() == n && (n..=n + n / 4).contains(&v.capacity()));
    }
}
