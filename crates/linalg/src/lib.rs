//! Differentiable linear algebra of [tapegrad](https://docs.rs/tapegrad), one family a file, built
//! on autograd's public operation interface alone.
//!
//! Every function is also a method of tensors, through [`Linalg`]. Matrices are the last two
//! dimensions; the leading ones are a batch.

mod determinant;
mod einsum;
mod implicit;
mod inverse;
mod least_squares;
mod methods;
mod pinv;
mod product;
mod solve;

pub use determinant::{det, logdet, slogdet};
pub use einsum::{cross, einsum, kron, tensordot};
pub use implicit::{implicit_argmin, implicit_root};
pub use inverse::inverse;
pub use least_squares::least_squares_loss;
pub use methods::Linalg;
pub use pinv::{pinv, pinv_with};
pub use product::{addmm, addmv, baddbmm, bmm, dot, matmul, mm, mv, outer};
pub use solve::solve;
