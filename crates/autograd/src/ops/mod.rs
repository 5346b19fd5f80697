//! The operations, one family a file.

mod arithmetic;
mod assign;
mod cast;
mod compare;
mod device;
mod divide;
pub(crate) mod elementwise;
mod expression;
mod gather;
mod index;
mod join;
mod loss;
mod norm;
pub(crate) mod pairwise;
mod product;
mod rearrange;
mod reduce;
mod scan;
mod shape;
mod softmax;
mod sort;

pub use compare::Operand;
pub use gather::Indices;
pub use join::{AsTensor, Listed};
