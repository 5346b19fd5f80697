//! Sum of squared residuals and its gradient in one pass over the matrix.

use super::copy::copy;
use super::product::addmv;
use super::registry::{Family, Variant};
use crate::array::Array;
use crate::element::{DType, Float};
use crate::error::Result;
use crate::gpu::context::Gpu;
use crate::layout::Layout;
use crate::shape::Dims;

pub(super) static LEAST_SQUARES: Family = Family {
    text: include_str!("kernels/least_squares.cu"),
    kernels: &[c"one_pass", c"add_blocks"],
    variants: &VARIANTS,
};

/// The forms of the kernel, by the bytes of a row that a thread takes: 16, 32, .. in packs of 16 bytes, and in
/// single elements, which need more registers.
const PACKS: [&str; 4] = ["Share<1, 16>", "Share<2, 16>", "Share<4, 16>", "Share<8, 16>"];
const SINGLE_F64: [&str; 3] = ["Share<2, 8>", "Share<4, 8>", "Share<8, 8>"];
const SINGLE_F32: [&str; 3] = ["Share<4, 4>", "Share<8, 4>", "Share<16, 4>"];

const VARIANTS: [Variant; 14] = {
    let mut all = [Variant::of(DType::F32); 14];
    let mut k = 0;
    while k < 4 {
        all[k] = Variant::with(DType::F64, PACKS[k]);
        all[k + 4] = Variant::with(DType::F32, PACKS[k]);
        if k < 3 {
            all[k + 8] = Variant::with(DType::F64, SINGLE_F64[k]);
            all[k + 11] = Variant::with(DType::F32, SINGLE_F32[k]);
        }
        k += 1;
    }
    all
};

/// The threads of a block; rows that need more get as many as it takes, up to those for [`LONGEST`] bytes.
const BLOCK: usize = 256;

/// The bytes of a row that has to fit on the chip, in packs and in single elements.
const LONGEST: [usize; 2] = [512 * 128, 768 * 64];

/// The most blocks: three for each multiprocessor of the largest GPUs, all of which run at once. Their sums are
/// added in order, and their number follows from the shape alone, so that results do not depend on the GPU.
const BLOCKS: usize = 396;

/// `||y - A x||^2` and, if `gradient`, `A^T (y - A x)`. The caller has checked the shapes.
pub(crate) fn least_squares<T: Float>(
    gpu: &'static Gpu,
    op: &'static str,
    a: &Array<T>,
    x: &Array<T>,
    y: &Array<T>,
    gradient: bool,
) -> Result<(Array<T>, Option<Array<T>>)> {
    let [rows, columns] = [a.shape()[0], a.shape()[1]];
    let strides = a.layout().strides();
    let by_rows = strides[1] == 1 || columns <= 1;
    let by_columns = strides[0] == 1 || rows <= 1;
    let a = if by_rows || by_columns { a.in_memory(gpu, op)? } else { copy(gpu, op, a)? };
    let longest = LONGEST[usize::from(!takes_packs(&a))];
    if (by_rows || !by_columns) && columns * size_of::<T>() <= longest {
        return one_pass(gpu, op, &a, x, y, gradient);
    }
    // Two passes; without a matrix, one gives the sum of squares.
    let residual = addmv(gpu, op, Some(y), &a, x, T::ONE, -T::ONE)?;
    let nothing = Array::unwritten(gpu, op, Dims::from_slice(&[rows, 0]))?;
    let (loss, _) = one_pass(
        gpu,
        op,
        &nothing,
        &nothing.view(Layout::row_major(Dims::from_slice(&[0]))),
        &residual,
        false,
    )?;
    let product = || addmv(gpu, op, None, &a.permute(op, &[1, 0])?, &residual, T::ZERO, T::ONE);
    Ok((loss, gradient.then(product).transpose()?))
}

/// Whether every row of a matrix is made of packs of 16 bytes.
fn takes_packs<T: Float>(a: &Array<T>) -> bool {
    let (width, apart) = (16 / size_of::<T>(), a.layout().strides()[0].unsigned_abs());
    let rows = a.shape()[0] <= 1 || apart.is_multiple_of(width);
    rows && a.shape()[1].is_multiple_of(width) && a.pointer().is_multiple_of(16)
}

/// For a matrix whose rows are contiguous, and fit on the chip.
fn one_pass<T: Float>(
    gpu: &'static Gpu,
    op: &'static str,
    a: &Array<T>,
    x: &Array<T>,
    y: &Array<T>,
    gradient: bool,
) -> Result<(Array<T>, Option<Array<T>>)> {
    let [rows, columns] = [a.shape()[0], a.shape()[1]];
    let (x, y) = (x.in_memory(gpu, op)?, y.in_memory(gpu, op)?);
    let forms: &[&str] = match (takes_packs(a), T::DTYPE) {
        (true, _) => &PACKS,
        (false, DType::F32) => &SINGLE_F32,
        (false, _) => &SINGLE_F64,
    };
    // The smallest share that lets a block have a row; a block of short rows has several at a time.
    let bytes = columns * size_of::<T>();
    let form = (0..forms.len() - 1).find(|&form| bytes <= BLOCK * (16 << form)).unwrap_or(forms.len() - 1);
    let share = 16 << form;
    let threads = bytes.div_ceil(share).max(1);
    let (team, block) = match threads {
        ..=32 => (threads.next_power_of_two(), BLOCK),
        _ => (threads.next_multiple_of(32), threads.next_multiple_of(32)),
    };
    let variant = Variant::with(T::DTYPE, forms[form]);

    let loss = Array::unwritten(gpu, op, Dims::new())?;
    let sums = Array::<T>::unwritten(gpu, op, Dims::from_slice(&[if gradient { columns } else { 0 }]))?;
    let rows_of_block = rows.div_ceil(BLOCKS).max(block / team);
    let blocks = rows.div_ceil(rows_of_block);
    let wanted = sums.numel();
    // Of each block, the gradient and the loss.
    let partial = gpu.allocate(op, blocks * (wanted + 1) * size_of::<T>())?;
    if blocks > 0 {
        let words = [
            a.pointer(),
            x.pointer(),
            y.pointer(),
            partial.pointer(),
            a.layout().strides()[0] as u64,
            x.layout().strides()[0] as u64,
            y.layout().strides()[0] as u64,
            rows as u64,
            columns as u64,
            rows_of_block as u64,
            team as u64,
            wanted as u64,
        ];
        // The padded x, and later the gradients of the warps.
        let shared = (block * share) as u32;
        let kernel = LEAST_SQUARES.function(op, gpu, variant, c"one_pass")?;
        gpu.launch(op, kernel, [blocks as u32, 1, 1], [block as u32, 1, 1], shared, &words)?;
    }
    let words = [partial.pointer(), sums.pointer(), loss.pointer(), blocks as u64, wanted as u64];
    let kernel = LEAST_SQUARES.function(op, gpu, variant, c"add_blocks")?;
    let grid = (wanted + 1).div_ceil(32) as u32;
    gpu.launch(op, kernel, [grid, 1, 1], [256, 1, 1], 0, &words)?;
    Ok((loss, gradient.then_some(sums)))
}
