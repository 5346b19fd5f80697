//! Dense matrices as both devices speak of them: their parts, their flaws, and what kernels take and give.

pub(crate) mod analytic;
pub(crate) mod flaw;
pub(crate) mod gaps;
pub(crate) mod lu;
pub(crate) mod part;
pub(crate) mod rank;
