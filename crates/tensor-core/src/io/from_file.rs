//! What can be read from a file.

use crate::array::Array;
use crate::element::{DType, Element};
use crate::error::Result;
use crate::io::any::AnyArray;
use crate::io::mapping::Mapping;
use crate::io::source::Source;

/// What can be read from a file: `Array<f32>` and its like, or [`AnyArray`], which takes what the file holds.
pub trait FromFile: Sized {
    #[doc(hidden)]
    #[expect(private_interfaces, reason = "only this crate reads files")]
    fn read(source: Source<'_>) -> Result<Self>;
    #[doc(hidden)]
    #[expect(private_interfaces, reason = "only this crate reads files")]
    fn map(mapping: Mapping<'_>) -> Result<Self>;
}

impl<T: Element> FromFile for Array<T> {
    #[expect(private_interfaces, reason = "only this crate reads files")]
    fn read(source: Source<'_>) -> Result<Self> {
        source.array()
    }
    #[expect(private_interfaces, reason = "only this crate reads files")]
    fn map(mapping: Mapping<'_>) -> Result<Self> {
        mapping.array()
    }
}

impl FromFile for AnyArray {
    #[expect(private_interfaces, reason = "only this crate reads files")]
    fn read(source: Source<'_>) -> Result<Self> {
        Ok(match source.array.stored.natural() {
            DType::F32 => AnyArray::F32(Array::read(source)?),
            DType::F64 => AnyArray::F64(Array::read(source)?),
            DType::I64 => AnyArray::I64(Array::read(source)?),
            DType::Bool => AnyArray::Bool(Array::read(source)?),
        })
    }
    #[expect(private_interfaces, reason = "only this crate reads files")]
    fn map(mapping: Mapping<'_>) -> Result<Self> {
        Ok(match mapping.array.stored.natural() {
            DType::F32 => AnyArray::F32(Array::map(mapping)?),
            DType::F64 => AnyArray::F64(Array::map(mapping)?),
            DType::I64 => AnyArray::I64(Array::map(mapping)?),
            DType::Bool => AnyArray::Bool(Array::map(mapping)?),
        })
    }
}
