//! Products of vectors and matrices, and matrices made of fewer numbers.

use super::{Operation, one};
use tapegrad::prelude::*;

/// The operations of this file.
pub fn operations<T: Float>() -> &'static [Operation<T>] {
    &[
        ("einsum", |c| one(linalg::einsum(&c.text("equation")?, &c.floats()?)?)),
        ("kron", |c| one(c.input()?.kron(c.float("other")?)?)),
        ("cross", |c| one(c.input()?.cross(c.float("other")?, c.int_or("dim", -1)?)?)),
        ("tensordot", |c| one(c.input()?.tensordot(c.float("other")?, c.size("dims")?)?)),
        ("trace", |c| one(c.input()?.trace()?)),
        ("dot", |c| one(c.input()?.dot(c.float("tensor")?)?)),
        ("outer", |c| one(c.input()?.outer(c.float("vec2")?)?)),
        ("mv", |c| one(c.input()?.mv(c.float("vec")?)?)),
        ("mm", |c| one(c.input()?.mm(c.float("mat2")?)?)),
        ("bmm", |c| one(c.input()?.bmm(c.float("mat2")?)?)),
        ("matmul", |c| one(c.input()?.matmul(c.float("other")?)?)),
        ("addmv", |c| {
            one(c.input()?.addmv(c.float("mat")?, c.float("vec")?, T::of(c.beta()?), T::of(c.alpha()?))?)
        }),
        ("addmm", |c| {
            one(c.input()?.addmm(c.float("mat1")?, c.float("mat2")?, T::of(c.beta()?), T::of(c.alpha()?))?)
        }),
        ("baddbmm", |c| {
            one(c.input()?.baddbmm(
                c.float("batch1")?,
                c.float("batch2")?,
                T::of(c.beta()?),
                T::of(c.alpha()?),
            )?)
        }),
        ("multi_dot", |c| one(linalg::multi_dot(&c.floats()?)?)),
        ("vander", |c| one(c.input()?.vander(c.size("N")?, c.flag("decreasing")?)?)),
        ("block_diag", |c| one(linalg::block_diag(&c.floats()?)?)),
        ("toeplitz", |c| one(linalg::toeplitz(c.input()?, c.float("row")?)?)),
    ]
}
