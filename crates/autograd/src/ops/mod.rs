//! The operations, one family a file.

mod binary;
mod cast;
mod compare;
mod elementwise;
mod index;
mod join;
mod reduce;
mod shape;

pub use compare::Operand;
pub(crate) use index::index_in;
