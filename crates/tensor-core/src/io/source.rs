//! Elements on their way from a file into an array.

use crate::array::Array;
use crate::element::{DType, Element};
use crate::error::Result;
use crate::heap::buffer::Buffer;
use crate::io::described::Described;
use crate::io::place::Place;
use crate::io::stored::Stored;
use std::io::Read;

/// Refuses a conversion that could change a value.
fn check_type(stored: Stored, asked: DType, place: Place<'_>) -> Result<()> {
    if stored.fits(asked) {
        return Ok(());
    }
    let (from, natural) = (stored.name(), stored.natural());
    Err(place.fault(format!(
        "holds {from}, and not every {from} is exact as {asked}: load it as {natural}, and to_type::<{asked}>() rounds"
    )))
}

/// The elements of one array, which lie next in a file.
pub(crate) struct Source<'a> {
    pub(crate) reader: &'a mut dyn Read,
    pub(crate) array: Described,
    /// The length of the file: what is longer unpacked than the whole file gets its memory as it arrives.
    pub(crate) file_len: u64,
    pub(crate) place: Place<'a>,
}

impl Source<'_> {
    /// The array of this element type.
    pub(crate) fn array<T: Element>(mut self) -> Result<Array<T>> {
        check_type(self.array.stored, T::DTYPE, self.place)?;
        let buffer = self.buffer()?;
        Ok(Array::with_layout(self.array.layout(), buffer))
    }

    fn buffer<T: Element>(&mut self) -> Result<Buffer<T>> {
        let place = self.place;
        let claimed = self.array.bytes().ok_or_else(|| place.memory(usize::MAX))?;
        let n = (claimed / self.array.stored.size() as u64) as usize;
        if claimed <= self.file_len {
            let mut buffer =
                Buffer::for_overwrite(place.op, n).map_err(|_| place.memory(n * size_of::<T>()))?;
            self.fill(&mut buffer)?;
            return Ok(buffer);
        }
        const FIRST: usize = 1 << 16;
        let mut v: Vec<T> = Vec::new();
        while v.len() < n {
            let (start, more) = (v.len(), (n - v.len()).min(v.len().max(FIRST)));
            v.try_reserve_exact(more).map_err(|_| place.memory(n * size_of::<T>()))?;
            v.resize(start + more, T::default());
            self.fill(&mut v[start..])?;
        }
        Ok(Buffer::adopt(v))
    }

    /// Reads as many elements as `out` has: into their own place where the file stores them as memory does.
    fn fill<T: Element>(&mut self, out: &mut [T]) -> Result<()> {
        let Described { stored, big_endian, .. } = self.array;
        let place = self.place;
        if stored == Stored::of(T::DTYPE)
            && let Some(bytes) = T::slice_mut(out).bytes()
        {
            self.reader.read_exact(bytes).map_err(|e| place.io(e))?;
            if big_endian != cfg!(target_endian = "big") {
                swap(bytes, stored.size());
            }
            return Ok(());
        }
        const CHUNK: usize = 1 << 15;
        let mut chunk = [0; CHUNK];
        for part in out.chunks_mut(CHUNK / stored.size()) {
            let bytes = &mut chunk[..part.len() * stored.size()];
            self.reader.read_exact(bytes).map_err(|e| place.io(e))?;
            stored.decode(bytes, big_endian, part).map_err(|fault| place.fault(fault))?;
        }
        Ok(())
    }
}

/// Turns the byte order of elements of `size` bytes around.
fn swap(bytes: &mut [u8], size: usize) {
    match size {
        4 => bytes.as_chunks_mut::<4>().0.iter_mut().for_each(|b| b.reverse()),
        _ => bytes.as_chunks_mut::<8>().0.iter_mut().for_each(|b| b.reverse()),
    }
}
