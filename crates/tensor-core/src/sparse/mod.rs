//! Where the elements of sparse matrices are, as both devices speak of it.

#[cfg(feature = "cuda")]
pub(crate) mod copies;
pub(crate) mod lines;
pub(crate) mod pattern;
pub(crate) mod symbolic;
