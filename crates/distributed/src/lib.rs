#![doc = include_str!("../README.md")]

mod collective;
mod data_parallel;
mod files;
mod group;
mod header;
#[cfg(feature = "mpi")]
mod mpi;
#[cfg(feature = "cuda")]
mod nccl;
mod pair;
mod reduce;
mod rows;
mod shared;
mod source;
mod threads;
mod transport;
mod tree;

pub use data_parallel::RowSharded;
pub use group::Group;
pub use reduce::ReduceOp;
pub use rows::Rows;
pub use source::{RowSum, Source};
pub use threads::spawn;
