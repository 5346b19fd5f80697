//! The code in docs/, run as doctests: every cell of the third column of numpy-and-pytorch.md.
#![doc = include_str!(concat!(env!("OUT_DIR"), "/cells.md"))]
