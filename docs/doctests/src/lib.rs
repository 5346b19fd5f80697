//! The code in docs/, run as doctests: every cell of the last column of numpy-and-pytorch.md,
//! adding-an-op.md and guide-interop.md.
#![doc = include_str!(concat!(env!("OUT_DIR"), "/cells.md"))]

#[cfg(doctest)]
#[doc = include_str!("../../adding-an-op.md")]
pub mod adding_an_op {}

#[cfg(doctest)]
#[doc = include_str!("../../guide-interop.md")]
pub mod guide_interop {}
