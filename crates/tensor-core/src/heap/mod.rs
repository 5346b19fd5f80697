//! The memory of the host: counted, cached, and asked for where there may be none.

pub(crate) mod buffer;
pub(crate) mod count;
pub(crate) mod vectors;
pub(crate) mod work;
