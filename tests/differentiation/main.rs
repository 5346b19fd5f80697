//! What users of derivatives and of linear algebra meet, in one program: the kernels are compiled for it
//! once.

mod edges;
mod engine;
mod gradients;
mod identities;
mod transforms;
