//! Products of matrices, and of matrices with vectors.

use super::blas::{Gemm, Gemv, Matrix, Vector};
use super::copy::copy;
use super::map::fresh;
use super::operand::divisor;
use super::registry::{Family, Variant};
use crate::array::Array;
use crate::code::bits;
use crate::element::{DType, Float};
use crate::error::Result;
use crate::gpu::context::Gpu;
use crate::layout::Layout;
use crate::nest::Nest;
use crate::shape::{self, Dims};

pub(super) static PRODUCT: Family = Family {
    text: include_str!("kernels/product.cu"),
    kernels: &[c"small_products"],
    variants: &[Variant::of(DType::F32), Variant::of(DType::F64)],
};

/// Matrices with no more rows and columns than this are multiplied by a kernel of this crate, many in a block.
const SMALL: usize = 16;

/// The bytes of factors that a block of that kernel holds.
const SMALL_BYTES: usize = 16 << 10;

/// The blocks that fill a GPU, before each takes more than one matrix.
const SMALL_BLOCKS: usize = 1024;

/// `beta y + alpha A x`, `y` a scalar, one element, or a vector; the caller has checked the shapes.
pub(crate) fn addmv<T: Float>(
    gpu: &'static Gpu,
    op: &'static str,
    y: Option<&Array<T>>,
    a: &Array<T>,
    x: &Array<T>,
    beta: T,
    alpha: T,
) -> Result<Array<T>> {
    let [m, k] = [a.shape()[0], a.shape()[1]];
    let y = y.filter(|_| beta != T::ZERO);
    let shape = Dims::from_slice(&[m]);
    if m == 0 || k == 0 {
        return scaled(gpu, op, y, shape, beta);
    }
    let out = start(gpu, op, y, shape)?;
    let a = fitting(gpu, op, a)?;
    let (leading, by_columns) = leading(a.layout()).unwrap_or((k, false));
    let forwards = k == 1 || x.layout().strides()[0] > 0;
    let x = if forwards { x.in_memory(gpu, op)? } else { copy(gpu, op, x)? };
    Gemv {
        size: if by_columns { [m, k] } else { [k, m] },
        alpha,
        a: Matrix { pointer: a.pointer(), leading, step: 0 },
        transposed: !by_columns,
        x: Vector { pointer: x.pointer(), step: if k == 1 { 1 } else { x.layout().strides()[0] as usize } },
        beta: if y.is_some() { beta } else { T::ZERO },
        y: Vector { pointer: out.pointer(), step: 1 },
    }
    .run(gpu, op)?;
    Ok(out)
}

/// `beta C + alpha A B` for batches of matrices, whose leading dimensions broadcast; the caller has checked that
/// the last two fit.
pub(crate) fn addmm<T: Float>(
    gpu: &'static Gpu,
    op: &'static str,
    c: Option<&Array<T>>,
    a: &Array<T>,
    b: &Array<T>,
    beta: T,
    alpha: T,
) -> Result<Array<T>> {
    let (lead_a, lead_b) = (a.ndim() - 2, b.ndim() - 2);
    let batch = shape::broadcast(op, &a.shape()[..lead_a], &b.shape()[..lead_b])?;
    let (m, k, n) = (a.shape()[lead_a], a.shape()[lead_a + 1], b.shape()[lead_b + 1]);
    let with =
        |rows: usize, columns: usize| -> Dims { batch.iter().copied().chain([rows, columns]).collect() };
    let c = c.filter(|_| beta != T::ZERO);
    if k == 0 || with(m, n).contains(&0) {
        return scaled(gpu, op, c, with(m, n), beta);
    }
    let out = start(gpu, op, c, with(m, n))?;
    let beta = if c.is_some() { beta } else { T::ZERO };
    let small = m.max(k).max(n) <= SMALL;
    let place = |x: &Array<T>| if small { x.in_memory(gpu, op) } else { fitting(gpu, op, x) };
    let (a, b) = (place(a)?.expand(op, &with(m, k))?, place(b)?.expand(op, &with(k, n))?);
    let strides = [&a, &b, &out].map(|x| x.layout().strides());
    let dims = batch.iter().enumerate().map(|(d, &size)| (size, [0, 1, 2].map(|x| strides[x][d])));
    let nest = Nest::<3>::of(dims, [0; 3]);
    // The longest dimension goes into one call.
    let longest = (0..nest.dims().len()).max_by_key(|&d| nest.dims()[d].0).unwrap_or(0);
    let (count, steps) = nest.dims()[longest];
    let products =
        Products { gpu, op, a: a.layout(), b: b.layout(), size: [m, k, n], count, steps, alpha, beta };
    let others = nest.dims().iter().enumerate().filter(|(d, _)| *d != longest).map(|(_, dim)| *dim);
    let others = Nest::<3>::of(others, [0; 3]);
    let (_, inner) = others.inner();
    let starts = [a.pointer(), b.pointer(), out.pointer()];
    let mut done = Ok(());
    others.segments(0..others.len(), |_, places, calls| {
        for i in 0..calls as isize {
            let place = |x: usize| (places[x] + i * inner[x]) as i64 * size_of::<T>() as i64;
            let pointers = [0, 1, 2].map(|x| starts[x].wrapping_add_signed(place(x)));
            if done.is_ok() {
                done = if small { products.small(pointers) } else { products.large(pointers) };
            }
        }
    });
    done.map(|()| out)
}

/// What a product accumulates into: a copy of `c`, or memory that will be overwritten.
fn start<T: Float>(
    gpu: &'static Gpu,
    op: &'static str,
    c: Option<&Array<T>>,
    shape: Dims,
) -> Result<Array<T>> {
    match c {
        Some(c) => copy(gpu, op, &c.expand(op, &shape)?),
        None => Array::unwritten(gpu, op, shape),
    }
}

/// What is left of a product without terms: `beta C`.
fn scaled<T: Float>(
    gpu: &'static Gpu,
    op: &'static str,
    c: Option<&Array<T>>,
    shape: Dims,
    beta: T,
) -> Result<Array<T>> {
    if let Some(c) = c {
        let c = c.expand(op, &shape)?;
        return fresh(gpu, op, shape, [c.operand()], &|c| Some(c[0].times(beta)));
    }
    let out = Array::unwritten(gpu, op, shape)?;
    gpu.fill(op, out.pointer(), out.numel() * size_of::<T>(), 0)?;
    Ok(out)
}

/// The distance between the rows of a matrix, or between its columns (true): the elements of each must lie next to
/// each other, and none within another.
fn leading(layout: &Layout) -> Option<(usize, bool)> {
    let d = layout.ndim() - 2;
    let (strides, [rows, columns]) = (layout.strides(), [layout.shape()[d], layout.shape()[d + 1]]);
    let lies = |length: usize, step: isize, count: usize, apart: isize| match apart {
        _ if length != 1 && step != 1 => None,
        _ if count == 1 => Some(length),
        apart => usize::try_from(apart).ok().filter(|&apart| apart >= length),
    };
    lies(columns, strides[d + 1], rows, strides[d])
        .map(|apart| (apart, false))
        .or_else(|| lies(rows, strides[d], columns, strides[d + 1]).map(|apart| (apart, true)))
}

/// The array where it lies, if cuBLAS takes its matrices and can go from one to the next; else a copy.
fn fitting<T: Float>(gpu: &'static Gpu, op: &'static str, x: &Array<T>) -> Result<Array<T>> {
    let strides = x.layout().strides();
    let forwards = (0..x.ndim() - 2).all(|d| x.shape()[d] == 1 || strides[d] >= 0);
    if forwards && leading(x.layout()).is_some() { x.in_memory(gpu, op) } else { copy(gpu, op, x) }
}

/// Products of matrices that lie `steps` apart: those of A, of B, and of the result, which is row-major.
struct Products<'a, T> {
    gpu: &'static Gpu,
    op: &'static str,
    a: &'a Layout,
    b: &'a Layout,
    /// The rows and columns of A, and the columns of B.
    size: [usize; 3],
    count: usize,
    steps: [isize; 3],
    alpha: T,
    beta: T,
}

/// The strides of the rows and of the columns.
fn matrix_strides(layout: &Layout) -> [isize; 2] {
    let (strides, d) = (layout.strides(), layout.ndim() - 2);
    [strides[d], strides[d + 1]]
}

impl<T: Float> Products<'_, T> {
    /// By cuBLAS, to which a row-major matrix is its own transpose: C^T = B^T A^T.
    fn large(&self, [a, b, c]: [u64; 3]) -> Result<()> {
        let ([mut m, k, n], mut count) = (self.size, self.count);
        let [step_a, step_b, step_c] = self.steps;
        let [row_a, column_a] = matrix_strides(self.a);
        // One right-hand matrix for all, and rows that go on in the next matrix: the batch is just more rows.
        let row_a = if m == 1 { step_a } else { row_a };
        let goes_on = step_a == m as isize * row_a && step_c == (m * n) as isize;
        let merged = Layout::strided(Dims::from_slice(&[m * count, k]), &[row_a, column_a], 0);
        let merged = leading(&merged).filter(|_| count > 1 && step_b == 0 && goes_on);
        if merged.is_some() {
            (m, count) = (m * count, 1);
        }
        let (apart_a, a_by_columns) = merged.or_else(|| leading(self.a)).unwrap_or((k, false));
        let (apart_b, b_by_columns) = leading(self.b).unwrap_or((n, false));
        Gemm {
            size: [n, m, k],
            count,
            alpha: self.alpha,
            a: Matrix { pointer: b, leading: apart_b, step: step_b },
            a_transposed: b_by_columns,
            b: Matrix { pointer: a, leading: apart_a, step: step_a },
            b_transposed: a_by_columns,
            beta: self.beta,
            c: Matrix { pointer: c, leading: n, step: step_c },
        }
        .run(self.gpu, self.op)
    }

    fn small(&self, [a, b, c]: [u64; 3]) -> Result<()> {
        let [m, k, n] = self.size;
        let held = SMALL_BYTES / ((m * k + k * n) * size_of::<T>());
        let taken = (self.count / SMALL_BLOCKS).clamp(1, held);
        let mut words = vec![c, a, b, self.steps[2] as u64];
        for (layout, step) in [(self.a, self.steps[0]), (self.b, self.steps[1])] {
            let [row, column] = matrix_strides(layout);
            words.extend([step as u64, row as u64, column as u64]);
        }
        words.extend([self.count as u64, taken as u64]);
        for size in [m * k, k, k * n, n, m * n] {
            words.extend(divisor(size));
        }
        words.extend([self.alpha, self.beta].map(|x| bits(x.to_scalar(), T::DTYPE)));
        let function = PRODUCT.function(self.op, self.gpu, Variant::of(T::DTYPE), c"small_products")?;
        let shared = taken * (m * k + k * n) * size_of::<T>();
        let blocks = self.count.div_ceil(taken);
        self.gpu.launch(self.op, function, [blocks as u32, 1, 1], [256, 1, 1], shared as u32, &words)
    }
}
