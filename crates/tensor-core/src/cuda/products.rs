//! Products along a dimension, and their derivatives.

use super::nest::{Launch, THREADS};
use super::registry::{Family, Variant};
use crate::array::Array;
use crate::device::Device;
use crate::element::{DType, Number, Scalar};
use crate::error::{Error, ErrorKind, Result};
use crate::gpu::context::Gpu;
use crate::shape::Dims;
use smallvec::SmallVec;

pub(super) static PRODUCTS: Family = Family {
    text: concat!(include_str!("kernels/nest.cu"), include_str!("kernels/products.cu")),
    kernels: &[c"product_parts", c"product_carry", c"product_values", c"product_slopes"],
    variants: &[Variant::of(DType::F32), Variant::of(DType::F64), Variant::of(DType::I64)],
};

/// Directions that a kernel takes.
const DIRECTIONS: usize = 4;
/// Bytes of a number with an exponent of its own.
const WIDE: usize = 16;
/// Threads that keep any GPU busy; the elements that are worth a thread; the most parts of a line.
const ENOUGH_THREADS: usize = 1 << 17;
const WORTHWHILE: usize = 32;
const PARTS: usize = 1024;

/// The products along `dim`, which keeps size 1, or where `running` those up to each element; of each the derivative
/// along the directions.
pub(crate) fn products<T: Number>(
    gpu: &'static Gpu,
    op: &'static str,
    x: &Array<T>,
    directions: &[&Array<T>],
    dim: usize,
    running: bool,
) -> Result<Array<T>> {
    let mut shape = Dims::from_slice(x.shape());
    if !running {
        shape[dim] = 1;
    }
    if x.numel() == 0 {
        // Of nothing: 1, which does not change along any direction.
        let none = Scalar::Int(i64::from(directions.is_empty()));
        return Array::repeat_on(Device::Cuda(gpu.ordinal()), &shape, T::from_scalar(none));
    }
    let out = Array::unwritten(gpu, op, shape)?;
    run(gpu, op, x, directions, None, dim, running, &out)?;
    Ok(out)
}

/// The sums over `j` of g_j times the derivative of product `j` by each element of `x`, and along the directions.
pub(crate) fn product_slopes<T: Number>(
    gpu: &'static Gpu,
    op: &'static str,
    x: &Array<T>,
    directions: &[&Array<T>],
    g: &Array<T>,
    dim: usize,
) -> Result<Array<T>> {
    let out = Array::unwritten(gpu, op, Dims::from_slice(x.shape()))?;
    if out.numel() > 0 {
        run(gpu, op, x, directions, Some(g), dim, g.shape()[dim] == x.shape()[dim], &out)?;
    }
    Ok(out)
}

#[expect(clippy::too_many_arguments, reason = "the two operations above in one")]
fn run<T: Number>(
    gpu: &'static Gpu,
    op: &'static str,
    x: &Array<T>,
    directions: &[&Array<T>],
    g: Option<&Array<T>>,
    dim: usize,
    running: bool,
    out: &Array<T>,
) -> Result<()> {
    if directions.len() > DIRECTIONS {
        let message = format!(
            "a derivative along {} directions: a GPU has products along {DIRECTIONS} at most; move the operands to \
             the CPU for derivatives of higher order",
            directions.len()
        );
        return Err(Error::new(ErrorKind::Device, op, message));
    }
    let in_order = |x: &Array<T>| match x.layout().is_contiguous() {
        true => x.in_memory(gpu, op),
        false => super::copy::copy(gpu, op, x),
    };
    let x = in_order(x)?;
    let g = g.map(in_order).transpose()?;
    let directions = directions.iter().map(|h| in_order(h)).collect::<Result<SmallVec<[_; DIRECTIONS]>>>()?;
    let (n, step) = (x.shape()[dim], x.shape()[dim + 1..].iter().product::<usize>());
    let lines = x.numel() / n;
    let parts = (ENOUGH_THREADS / lines).min(n / WORTHWHILE).clamp(1, PARTS);
    let part = n.div_ceil(parts);
    let parts = n.div_ceil(part);
    let sets = 1 << directions.len();
    let parts_at = gpu.allocate(op, 2 * parts * lines * sets * WIDE)?;
    let after = g.as_ref().map(|_| gpu.allocate(op, x.numel() * sets * WIDE)).transpose()?;
    let direction = |k: usize| directions.get(k).map_or(0, |h| h.pointer());
    let words = [
        x.pointer(),
        g.as_ref().map_or(0, |g| g.pointer()),
        out.pointer(),
        parts_at.pointer(),
        after.as_ref().map_or(0, |a| a.pointer()),
        direction(0),
        direction(1),
        direction(2),
        direction(3),
        directions.len() as u64,
        n as u64,
        step as u64,
        lines as u64,
        part as u64,
        parts as u64,
        u64::from(running),
    ];
    let launch = |kernel, threads: usize| {
        let blocks = threads.div_ceil(THREADS);
        Launch::new(gpu, op, &words).run(&PRODUCTS, Variant::of(T::DTYPE), kernel, blocks)
    };
    launch(c"product_parts", parts * lines)?;
    launch(c"product_carry", lines)?;
    match (g, running) {
        (Some(_), _) => launch(c"product_slopes", parts * lines),
        (None, true) => launch(c"product_values", parts * lines),
        (None, false) => Ok(()),
    }
}
