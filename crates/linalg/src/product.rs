//! Products of vectors and matrices.
//!
//! Source of the rules: Giles, "Collected matrix derivative results for forward and reverse mode
//! algorithmic differentiation", 2008, section 2.2: for C = A B, A's cotangent is G B^T and B's A^T G.

use autograd::{ByRow, Expressions, Keep, Kept, Op, Parted, Tensor, apply_once, body_once};
use tensor_core::{Array, Error, Float, Result, compiled_once, formula, kernels};

/// alpha A^T g, for the cotangent g of a vector, or of each of many
fn transposed_product<T: Float>(a: &Tensor<T>, g: &Tensor<T>, alpha: T) -> Result<Tensor<T>> {
    match g.ndim() {
        1 => times(&a.t()?, g, alpha),
        _ => multiplied("matmul", g, a, alpha),
    }
}

/// alpha A x for a matrix A, or each of many
fn each_product<T: Float>(a: &Tensor<T>, x: &Tensor<T>, alpha: T) -> Result<Tensor<T>> {
    match a.ndim() {
        2 => times(a, x, alpha),
        _ => multiplied("matmul", a, &x.unsqueeze(-1)?, alpha)?.squeeze(-1),
    }
}

/// alpha g x^T, for the cotangent g of a vector, or of each of many
fn each_outer<T: Float>(g: &Tensor<T>, x: &Tensor<T>, alpha: T) -> Result<Tensor<T>> {
    match g.ndim() {
        1 => outer_times(g, x, alpha),
        _ => multiplied("matmul", &g.unsqueeze(-1)?, &x.unsqueeze(0)?, alpha),
    }
}

/// alpha A x for a vector x, or each of many
fn vector_product<T: Float>(a: &Tensor<T>, x: &Tensor<T>, alpha: T) -> Result<Tensor<T>> {
    match x.ndim() {
        1 => times(a, x, alpha),
        _ => multiplied("matmul", x, &a.t()?, alpha),
    }
}

/// The sum of two terms, of which either may be missing.
fn added_up<T: Float>(
    a: Option<Result<Tensor<T>>>,
    b: Option<Result<Tensor<T>>>,
) -> Result<Option<Tensor<T>>> {
    match (a, b) {
        (Some(a), Some(b)) => Ok(Some(a? + b?)),
        (a, b) => a.or(b).transpose(),
    }
}

/// alpha A x
#[track_caller]
fn times<T: Float>(a: &Tensor<T>, x: &Tensor<T>, alpha: T) -> Result<Tensor<T>> {
    apply_once!(T: Float, Mv { alpha } => Mv<T>, [a, x])
}

/// alpha u v^T
#[track_caller]
fn outer_times<T: Float>(u: &Tensor<T>, v: &Tensor<T>, alpha: T) -> Result<Tensor<T>> {
    apply_once!(T: Float, Outer { alpha } => Outer<T>, [u, v])
}

/// alpha A B
#[track_caller]
fn multiplied<T: Float>(name: &'static str, a: &Tensor<T>, b: &Tensor<T>, alpha: T) -> Result<Tensor<T>> {
    apply_once!(T: Float, Matmul { name, alpha } => Matmul<T>, [a, b])
}

/// beta C + alpha A B
#[track_caller]
fn added<T: Float>(
    name: &'static str,
    c: &Tensor<T>,
    [a, b]: [&Tensor<T>; 2],
    beta: T,
    alpha: T,
) -> Result<Tensor<T>> {
    apply_once!(T: Float, Addmm { name, beta, alpha } => Addmm<T>, [c, a, b])
}

/// alpha A x
struct Mv<T> {
    alpha: T,
}

impl<T: Float> Op<T, 2> for Mv<T> {
    fn name(&self) -> &'static str {
        "mv"
    }
    fn express(&self, x: &[&Expressions]) -> Option<Expressions> {
        x[0].product(x[1], self.alpha.to_f64())
    }
    fn forward(&self, [a, x]: [&Array<T>; 2]) -> Result<Array<T>> {
        kernels::addmv("mv", None, a, x, T::ZERO, self.alpha)
    }
    fn keep(&self, [a, x]: [bool; 2]) -> Keep<2> {
        Keep::inputs([x, a])
    }
    fn batches(&self) -> bool {
        true
    }
    /// A: alpha grad x^T; x: alpha A^T grad
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 2]> {
        let alpha = self.alpha;
        Ok([
            kept.wrt(0, || each_outer(&g, &kept.input(1), alpha))?,
            kept.wrt(1, || transposed_product(&kept.input(0), &g, alpha))?,
        ])
    }
    /// dA x + A dx
    fn jvp(&self, kept: &Kept<'_, T>, [a, x]: [Option<Tensor<T>>; 2]) -> Result<Option<Tensor<T>>> {
        let alpha = self.alpha;
        added_up(
            a.map(|a| each_product(&a, &kept.input(1), alpha)),
            x.map(|x| vector_product(&kept.input(0), &x, alpha)),
        )
    }
    fn by_row(&self, kept: &Kept<'_, T>, g: Tensor<T>, lead: usize) -> Result<Parted<T, 2>> {
        let alpha = self.alpha;
        Ok(Some([
            kept.wrt(0, || each_outer(&g, &kept.input(1), alpha))?.map(|g| ByRow::Own(g, lead)),
            kept.wrt(1, || (&g * alpha).unsqueeze(1)?.try_mul(&kept.input(0)))?.map(ByRow::All),
        ]))
    }
}

compiled_once! {
    /// alpha u v^T
    fn outer_product<T: Float>(u: &Array<T>, v: &Array<T>, alpha: T) -> Result<Array<T>> {
        let (column, row) = (u.insert_dim("outer", 1)?, v.insert_dim("outer", 0)?);
        match alpha {
            alpha if alpha == T::ONE => kernels::zip("outer", &column, &row, &formula!(|u: T, v: T| u * v)),
            alpha => kernels::zip("outer", &column, &row, &formula!(|u: T, v: T| u * alpha * v)),
        }
    }
}

/// alpha u v^T
struct Outer<T> {
    alpha: T,
}

impl<T: Float> Op<T, 2> for Outer<T> {
    fn name(&self) -> &'static str {
        "outer"
    }
    fn express(&self, x: &[&Expressions]) -> Option<Expressions> {
        let column = Expressions::new(&[x[0].shape()[0], 1], x[0].elements().to_vec());
        let row = Expressions::new(&[1, x[1].shape()[0]], x[1].elements().to_vec());
        column.product(&row, self.alpha.to_f64())
    }
    fn forward(&self, [u, v]: [&Array<T>; 2]) -> Result<Array<T>> {
        outer_product(u, v, self.alpha)
    }
    fn keep(&self, [u, v]: [bool; 2]) -> Keep<2> {
        Keep::inputs([v, u])
    }
    fn batches(&self) -> bool {
        true
    }
    /// u: alpha grad v; v: alpha grad^T u
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 2]> {
        let alpha = self.alpha;
        Ok([
            kept.wrt(0, || each_product(&g, &kept.input(1), alpha))?,
            kept.wrt(1, || each_product(&g.mt()?, &kept.input(0), alpha))?,
        ])
    }
    /// du v^T + u dv^T
    fn jvp(&self, kept: &Kept<'_, T>, [u, v]: [Option<Tensor<T>>; 2]) -> Result<Option<Tensor<T>>> {
        let alpha = self.alpha;
        added_up(
            u.map(|u| each_outer(&u, &kept.input(1), alpha)),
            v.map(|v| each_outer(&v, &kept.input(0), alpha)?.mt()),
        )
    }
}

/// u^T v
struct Dot;

impl<T: Float> Op<T, 2> for Dot {
    fn name(&self) -> &'static str {
        "dot"
    }
    fn express(&self, x: &[&Expressions]) -> Option<Expressions> {
        let row = Expressions::new(&[1, x[0].shape()[0]], x[0].elements().to_vec());
        Some(Expressions::new(&[], row.product(x[1], 1.0)?.elements().to_vec()))
    }
    fn forward(&self, [u, v]: [&Array<T>; 2]) -> Result<Array<T>> {
        kernels::addmv("dot", None, &u.insert_dim("dot", 0)?, v, T::ZERO, T::ONE)?.remove_dim("dot", 0)
    }
    fn keep(&self, [u, v]: [bool; 2]) -> Keep<2> {
        Keep::inputs([v, u])
    }
    fn batches(&self) -> bool {
        true
    }
    /// grad v, grad u
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 2]> {
        let g = if kept.many().is_some() { g.unsqueeze(-1)? } else { g };
        Ok([kept.wrt(0, || g.try_mul(&kept.input(1)))?, kept.wrt(1, || g.try_mul(&kept.input(0)))?])
    }
    /// du v + dv u
    fn jvp(&self, kept: &Kept<'_, T>, [u, v]: [Option<Tensor<T>>; 2]) -> Result<Option<Tensor<T>>> {
        let product = |t: Tensor<T>, k: usize| match t.ndim() {
            1 => dot(&t, &kept.input(k)),
            _ => times(&t, &kept.input(k), T::ONE),
        };
        added_up(u.map(|u| product(u, 1)), v.map(|v| product(v, 0)))
    }
}

/// beta y + alpha A x
struct Addmv<T> {
    beta: T,
    alpha: T,
}

impl<T: Float> Op<T, 3> for Addmv<T> {
    fn name(&self) -> &'static str {
        "addmv"
    }
    fn express(&self, x: &[&Expressions]) -> Option<Expressions> {
        let (product, beta) = (x[1].product(x[2], self.alpha.to_f64())?, self.beta.to_f64());
        if beta == 0.0 { Some(product) } else { x[0].map(|y| y * beta).zip(&product, |a, b| a + b) }
    }
    fn broadcasts(&self) -> bool {
        true
    }
    fn forward(&self, [y, a, x]: [&Array<T>; 3]) -> Result<Array<T>> {
        // With beta = 0, y is not read: its NaN must not come through. Its shape has to fit still.
        let z = kernels::addmv("addmv", (self.beta != T::ZERO).then_some(y), a, x, self.beta, self.alpha)?;
        y.expand("addmv", z.shape())?;
        Ok(z)
    }
    fn keep(&self, [_, a, x]: [bool; 3]) -> Keep<3> {
        Keep::inputs([false, x, a])
    }
    fn batches(&self) -> bool {
        true
    }
    /// y: beta grad; A: alpha grad x^T; x: alpha A^T grad
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 3]> {
        let alpha = self.alpha;
        Ok([
            kept.wrt(0, || Ok(&g * self.beta))?,
            kept.wrt(1, || each_outer(&g, &kept.input(2), alpha))?,
            kept.wrt(2, || transposed_product(&kept.input(1), &g, alpha))?,
        ])
    }
    /// beta dy + dA x + A dx
    fn jvp(&self, kept: &Kept<'_, T>, [y, a, x]: [Option<Tensor<T>>; 3]) -> Result<Option<Tensor<T>>> {
        let alpha = self.alpha;
        let product = added_up(
            a.map(|a| each_product(&a, &kept.input(2), alpha)),
            x.map(|x| vector_product(&kept.input(1), &x, alpha)),
        )?;
        added_up(y.map(|y| Ok(kept.aligned(y)? * self.beta)), product.map(Ok))
    }
}

/// alpha A B, over a batch whose leading dimensions broadcast
struct Matmul<T> {
    name: &'static str,
    alpha: T,
}

impl<T: Float> Op<T, 2> for Matmul<T> {
    fn name(&self) -> &'static str {
        self.name
    }
    fn express(&self, x: &[&Expressions]) -> Option<Expressions> {
        x[0].product(x[1], self.alpha.to_f64())
    }
    fn broadcasts(&self) -> bool {
        true
    }
    fn forward(&self, [a, b]: [&Array<T>; 2]) -> Result<Array<T>> {
        kernels::addmm(self.name, None, a, b, T::ZERO, self.alpha)
    }
    fn keep(&self, [a, b]: [bool; 2]) -> Keep<2> {
        Keep::inputs([b, a])
    }
    fn batches(&self) -> bool {
        true
    }
    /// A: alpha grad B^T; B: alpha A^T grad
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 2]> {
        let alpha = self.alpha;
        let product = |a: &Tensor<T>, b: &Tensor<T>| multiplied("matmul", a, b, alpha);
        Ok([
            kept.wrt(0, || product(&g, &kept.input(1).mt()?))?,
            kept.wrt(1, || product(&kept.input(0).mt()?, &g))?,
        ])
    }
    /// dA B + A dB
    fn jvp(&self, kept: &Kept<'_, T>, [a, b]: [Option<Tensor<T>>; 2]) -> Result<Option<Tensor<T>>> {
        let product = |a: &Tensor<T>, b: &Tensor<T>| multiplied("matmul", a, b, self.alpha);
        added_up(
            a.map(|a| product(&kept.aligned(a)?, &kept.input(1))),
            b.map(|b| product(&kept.input(0), &kept.aligned(b)?)),
        )
    }
    /// Rows of A are those of the product; every row of it depends on all of B.
    fn by_row(&self, kept: &Kept<'_, T>, g: Tensor<T>, lead: usize) -> Result<Parted<T, 2>> {
        let rows = &g.shape()[..lead];
        let apart = |i: usize| match i {
            0 => lead < g.ndim() && kept.shape(0).len() == g.ndim() && kept.shape(0)[..lead] == *rows,
            _ => lead == 1 && g.ndim() == 2 && kept.shape(1).len() == 2,
        };
        if (0..2).any(|i| kept.needs(i) && !apart(i)) {
            return Ok(None);
        }
        let alpha = self.alpha;
        Ok(Some([
            kept.wrt(0, || multiplied("matmul", &g, &kept.input(1).mt()?, alpha))?
                .map(|g| ByRow::Own(g, lead)),
            kept.wrt(1, || (&g * alpha).unsqueeze(1)?.try_mul(&kept.input(0).unsqueeze(2)?))?.map(ByRow::All),
        ]))
    }
}

/// beta C + alpha A B, over a batch
struct Addmm<T> {
    name: &'static str,
    beta: T,
    alpha: T,
}

impl<T: Float> Op<T, 3> for Addmm<T> {
    fn name(&self) -> &'static str {
        self.name
    }
    fn broadcasts(&self) -> bool {
        true
    }
    fn forward(&self, [c, a, b]: [&Array<T>; 3]) -> Result<Array<T>> {
        let read = (self.beta != T::ZERO).then_some(c);
        let z = kernels::addmm(self.name, read, a, b, self.beta, self.alpha)?;
        c.expand(self.name, z.shape())?;
        Ok(z)
    }
    fn keep(&self, [_, a, b]: [bool; 3]) -> Keep<3> {
        Keep::inputs([false, b, a])
    }
    fn batches(&self) -> bool {
        true
    }
    /// C: beta grad; A: alpha grad B^T; B: alpha A^T grad
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 3]> {
        let alpha = self.alpha;
        let product = |a: &Tensor<T>, b: &Tensor<T>| multiplied("matmul", a, b, alpha);
        Ok([
            kept.wrt(0, || Ok(&g * self.beta))?,
            kept.wrt(1, || product(&g, &kept.input(2).mt()?))?,
            kept.wrt(2, || product(&kept.input(1).mt()?, &g))?,
        ])
    }
    /// beta dC + dA B + A dB
    fn jvp(&self, kept: &Kept<'_, T>, [c, a, b]: [Option<Tensor<T>>; 3]) -> Result<Option<Tensor<T>>> {
        let product = |a: &Tensor<T>, b: &Tensor<T>| multiplied("matmul", a, b, self.alpha);
        let product = added_up(
            a.map(|a| product(&kept.aligned(a)?, &kept.input(2))),
            b.map(|b| product(&kept.input(1), &kept.aligned(b)?)),
        )?;
        added_up(c.map(|c| Ok(kept.aligned(c)? * self.beta)), product.map(Ok))
    }
}

/// An error where a tensor has not the number of dimensions the operation takes.
#[track_caller]
fn need_ndim(op: &'static str, what: &str, shape: &[usize], ndim: usize) -> Result<()> {
    if shape.len() == ndim {
        return Ok(());
    }
    let message = format!("{what} has shape {shape:?}: {ndim} dimensions are needed");
    Err(Error::shape(op, message).at_caller())
}

/// An error where two shapes are not those of vectors of one length.
#[track_caller]
fn need_vectors(u: &[usize], v: &[usize]) -> Result<()> {
    need_ndim("dot", "the first vector", u, 1)?;
    need_ndim("dot", "the second vector", v, 1)?;
    if u == v {
        return Ok(());
    }
    let message = format!("vectors {u:?} and {v:?} do not match: their lengths must be equal");
    Err(Error::shape("dot", message).at_caller())
}

/// The scalar product of two vectors of one length: u^T v.
///
/// ```
/// use tapegrad::{Tensor, linalg};
/// let (u, v) = (Tensor::from([1.0, 2.0]), Tensor::from([3.0, 4.0]));
/// assert_eq!(linalg::dot(&u, &v)?.item()?, 11.0);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// Shape, where these are not vectors of one length.
#[track_caller]
pub fn dot<T: Float>(u: &Tensor<T>, v: &Tensor<T>) -> Result<Tensor<T>> {
    need_vectors(u.shape(), v.shape())?;
    apply_once!(T: Float, Dot => Dot, [u, v])
}

/// The outer product of two vectors: u v^T.
///
/// ```
/// use tapegrad::{Tensor, linalg};
/// let (u, v) = (Tensor::from([1.0, 2.0]), Tensor::from([3.0, 4.0]));
/// assert_eq!(linalg::outer(&u, &v)?.to_vec(), [3.0, 4.0, 6.0, 8.0]);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// Shape, where these are not vectors.
#[track_caller]
pub fn outer<T: Float>(u: &Tensor<T>, v: &Tensor<T>) -> Result<Tensor<T>> {
    need_ndim("outer", "the first vector", u.shape(), 1)?;
    need_ndim("outer", "the second vector", v.shape(), 1)?;
    outer_times(u, v, T::ONE)
}

/// Matrix `[m, n]` times vector `[n]`: A x.
///
/// ```
/// use tapegrad::{Tensor, linalg};
/// let (a, x) = (Tensor::from([[1.0, 2.0], [3.0, 4.0]]), Tensor::from([1.0, -1.0]));
/// assert_eq!(linalg::mv(&a, &x)?.to_vec(), [-1.0, -1.0]);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// Shape, where matrix and vector do not fit.
#[doc(alias = "matvec")]
#[track_caller]
pub fn mv<T: Float>(a: &Tensor<T>, x: &Tensor<T>) -> Result<Tensor<T>> {
    times(a, x, T::ONE)
}

/// `beta y + alpha A x`; y broadcasts to the rows of A, and is not read where beta is 0.
///
/// ```
/// use tapegrad::{Tensor, linalg};
/// let (a, x) = (Tensor::from([[1.0, 2.0], [3.0, 4.0]]), Tensor::from([1.0, -1.0]));
/// let y = Tensor::from([10.0, 20.0]);
/// assert_eq!(linalg::addmv(&y, &a, &x, 1.0, 2.0)?.to_vec(), [8.0, 18.0]);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// Shape, where the operands do not fit.
#[track_caller]
pub fn addmv<T: Float>(y: &Tensor<T>, a: &Tensor<T>, x: &Tensor<T>, beta: T, alpha: T) -> Result<Tensor<T>> {
    apply_once!(T: Float, Addmv { beta, alpha } => Addmv<T>, [y, a, x])
}

/// Matrix [m, k] times matrix [k, n]: A B.
///
/// ```
/// use tapegrad::{Tensor, linalg};
/// let a = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
/// assert_eq!(linalg::mm(&a, &a)?.to_vec(), [7.0, 10.0, 15.0, 22.0]);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// Shape, where these are not matrices that fit.
#[track_caller]
pub fn mm<T: Float>(a: &Tensor<T>, b: &Tensor<T>) -> Result<Tensor<T>> {
    need_ndim("mm", "the first matrix", a.shape(), 2)?;
    need_ndim("mm", "the second matrix", b.shape(), 2)?;
    multiplied("mm", a, b, T::ONE)
}

/// An error where two batches have not the same number of matrices.
#[track_caller]
fn need_batch(op: &'static str, a: &[usize], b: &[usize]) -> Result<()> {
    need_ndim(op, "the first batch", a, 3)?;
    need_ndim(op, "the second batch", b, 3)?;
    if a[0] == b[0] {
        return Ok(());
    }
    let message = format!(
        "batches {a:?} and {b:?} do not match: as many matrices are needed in both; matmul broadcasts"
    );
    Err(Error::shape(op, message).at_caller())
}

/// Matrix by matrix over a batch: [b, m, k] times [b, k, n].
///
/// ```
/// use tapegrad::{Tensor, linalg};
/// let a = Tensor::ones([5, 2, 3]);
/// assert_eq!(linalg::bmm(&a, &a.mt()?)?.shape(), [5, 2, 2]);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// Shape, where the batches do not fit.
#[track_caller]
pub fn bmm<T: Float>(a: &Tensor<T>, b: &Tensor<T>) -> Result<Tensor<T>> {
    need_batch("bmm", a.shape(), b.shape())?;
    multiplied("bmm", a, b, T::ONE)
}

/// `beta C + alpha A B` for matrices; C broadcasts, and is not read where beta is 0.
///
/// ```
/// use tapegrad::{Tensor, linalg};
/// let (a, c) = (Tensor::from([[1.0, 2.0], [3.0, 4.0]]), Tensor::scalar(1.0));
/// assert_eq!(linalg::addmm(&c, &a, &a, 1.0, 1.0)?.to_vec(), [8.0, 11.0, 16.0, 23.0]);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// Shape, where the operands do not fit.
#[track_caller]
pub fn addmm<T: Float>(c: &Tensor<T>, a: &Tensor<T>, b: &Tensor<T>, beta: T, alpha: T) -> Result<Tensor<T>> {
    need_ndim("addmm", "the first matrix", a.shape(), 2)?;
    need_ndim("addmm", "the second matrix", b.shape(), 2)?;
    added("addmm", c, [a, b], beta, alpha)
}

/// `beta C + alpha A B` over a batch; C broadcasts, and is not read where beta is 0.
///
/// ```
/// use tapegrad::{Tensor, linalg};
/// let (a, c) = (Tensor::ones([5, 2, 2]), Tensor::ones([2, 2]));
/// assert_eq!(linalg::baddbmm(&c, &a, &a, 2.0, 0.5)?.sum().item()?, 60.0);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// Shape, where the operands do not fit.
#[track_caller]
pub fn baddbmm<T: Float>(
    c: &Tensor<T>,
    a: &Tensor<T>,
    b: &Tensor<T>,
    beta: T,
    alpha: T,
) -> Result<Tensor<T>> {
    need_batch("baddbmm", a.shape(), b.shape())?;
    added("baddbmm", c, [a, b], beta, alpha)
}

/// The product of vectors, matrices or batches of matrices, as NumPy's `@`: two vectors give their
/// scalar product; a vector on the left is a row, on the right a column; leading dimensions broadcast.
///
/// ```
/// use tapegrad::{Tensor, linalg};
/// let (a, b) = (Tensor::ones([7, 1, 2, 3]), Tensor::ones([5, 3, 4]));
/// assert_eq!(linalg::matmul(&a, &b)?.shape(), [7, 5, 2, 4]);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// Shape, where the operands do not fit.
#[track_caller]
pub fn matmul<T: Float>(a: &Tensor<T>, b: &Tensor<T>) -> Result<Tensor<T>> {
    body_once!(T: Float, [a, b], |a: &Tensor<T>, b: &Tensor<T>| -> Result<Tensor<T>> {
        match (a.ndim(), b.ndim()) {
            (0, _) | (_, 0) => {
                let message = format!("shapes {:?} and {:?}: a scalar multiplies by *", a.shape(), b.shape());
                Err(Error::shape("matmul", message))
            }
            (1, 1) => dot(a, b),
            (2, 1) => mv(a, b),
            (1, _) => multiplied("matmul", &a.unsqueeze(0)?, b, T::ONE)?.squeeze(-2),
            (_, 1) => multiplied("matmul", a, &b.unsqueeze(1)?, T::ONE)?.squeeze(-1),
            _ => multiplied("matmul", a, b, T::ONE),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use autograd::check_op;

    /// Rows times columns, by the definition.
    fn naive(x: &[Tensor<f64>]) -> Result<Tensor<f64>> {
        let [a, b] = x else { unreachable!("two matrices") };
        (a.unsqueeze(-1)? * b.unsqueeze(-3)?).sum_dim(-2, false)
    }

    #[test]
    fn products_of_matrices() -> Result<()> {
        let mm = |x: &[Tensor<f64>]| mm(&x[0], &x[1]);
        check_op(mm, &[&[3, 4], &[4, 2]]).single(|x| super::mm(&x[0], &x[1])).reference(naive).run()?;
        check_op(mm, &[&[20, 30], &[30, 10]]).reference(naive).run()?;
        check_op(mm, &[&[3, 0], &[0, 2]]).reference(naive).run()?;
        check_op(|x| bmm(&x[0], &x[1]), &[&[5, 3, 4], &[5, 4, 2]]).reference(naive).run()?;
        check_op(|x| matmul(&x[0], &x[1]), &[&[2, 1, 3, 4], &[5, 4, 2]]).reference(naive).run()?;
        check_op(|x| matmul(&x[0], &x[1]), &[&[5, 3, 4], &[4, 2]]).reference(naive).run()?;
        check_op(|x| addmm(&x[0], &x[1], &x[2], 0.5, -2.0), &[&[2], &[3, 4], &[4, 2]])
            .reference(|x| Ok(&x[0] * 0.5 - mm(&x[1..])? * 2.0))
            .run()?;
        check_op(|x| baddbmm(&x[0], &x[1], &x[2], 0.5, -2.0), &[&[5, 3, 1], &[5, 3, 4], &[5, 4, 2]]).run()
    }

    #[test]
    fn products_with_vectors() -> Result<()> {
        check_op(|x| dot(&x[0], &x[1]), &[&[7], &[7]])
            .single(|x| dot(&x[0], &x[1]))
            .reference(|x| Ok((&x[0] * &x[1]).sum()))
            .run()?;
        check_op(|x| outer(&x[0], &x[1]), &[&[3], &[4]])
            .reference(|x| x[0].unsqueeze(1)?.try_mul(&x[1]))
            .run()?;
        check_op(|x| mv(&x[0], &x[1]), &[&[3, 4], &[4]])
            .single(|x| mv(&x[0], &x[1]))
            .reference(|x| x[0].try_mul(&x[1])?.sum_dim(1, false))
            .run()?;
        check_op(|x| matmul(&x[0], &x[1]), &[&[4], &[2, 4, 3]]).run()?;
        check_op(|x| matmul(&x[0], &x[1]), &[&[2, 3, 4], &[4]]).run()?;
        check_op(|x| addmv(&x[0], &x[1], &x[2], 0.5, -2.0), &[&[3], &[3, 4], &[4]])
            .reference(|x| Ok(&x[0] * 0.5 - mv(&x[1], &x[2])? * 2.0))
            .run()?;
        check_op(|x| addmv(&x[0], &x[1], &x[2], 0.5, -2.0), &[&[], &[3, 4], &[4]]).run()
    }

    #[test]
    fn a_constant_takes_no_gradient_and_beta_zero_reads_nothing() -> Result<()> {
        let (a, x) = (Tensor::ones([2, 3]), Tensor::ones([3]).requires_grad());
        let y = addmv(&Tensor::full([2], f64::NAN), &a, &x, 0.0, 1.0)?;
        assert_eq!(y.to_vec(), [3.0, 3.0]);
        y.sum().backward()?;
        assert_eq!(x.grad().map(|g| g.to_vec()), Some(vec![2.0; 3]));
        assert!(a.grad().is_none());
        Ok(())
    }
}
