//! The operations, one family a file.

mod arithmetic;
mod assign;
mod cast;
mod compare;
mod counting;
mod device;
mod differences;
mod distance;
mod divide;
pub(crate) mod elementwise;
mod expression;
mod gather;
mod index;
mod interpolate;
mod join;
mod loss;
mod missing;
mod norm;
pub(crate) mod pairwise;
mod product;
mod rearrange;
mod reduce;
mod scan;
mod scatter;
mod shape;
mod softmax;
mod sort;
mod unique;
mod windows;

pub use compare::Operand;
pub use counting::HistogramOptions;
pub use gather::Indices;
pub use join::{AsTensor, Listed, Variables};
pub use loss::{LossOptions, Reduction, Target, Targets};
pub use scatter::Reduce;
