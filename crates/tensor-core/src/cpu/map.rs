//! Formulas over elements of any layout: one walk, whatever the types and the formula.
//!
//! The positions of the result, in its order in memory, are cut into blocks (`blocks.rs`), of each of which an operand
//! gives a slice. The formula goes over slices alone.

use super::blocks::{BLOCK, Cut, Gathered, Operand, Walk};
use super::parallel::{ALONE, for_pieces};
use crate::array::Array;
use crate::element::{DType, Element, Slice, SliceMut};
use crate::error::Result;
use crate::formula::{Elements, Formula};
use crate::heap::buffer::Buffer;
use crate::heap::work;
use crate::layout::Layout;
use crate::shape::{self, Dims};
use bytemuck::cast_slice_mut;
use smallvec::SmallVec;
use std::array::from_fn;

/// A formula over slices.
#[derive(Clone, Copy)]
struct Block<'a> {
    run: &'a (dyn Fn(SliceMut<'_>, &[Slice<'_>]) + Sync),
    /// See [`Formula::spreads`].
    spreads: bool,
}

/// Elements of a small result that is written over an operand.
const FEW: usize = 16;

/// Elements of a result that is written over an operand by way of the stack.
const SHORT: usize = 256;

/// f(x).
#[inline]
pub fn map<T: Element, U: Element>(
    op: &'static str,
    x: &Array<T>,
    f: &dyn Formula<(T,), U>,
) -> Result<Array<U>> {
    match x.single() {
        Some(one) => Ok(Array::one(Dims::from_slice(x.shape()), f.one((one,)))),
        None => fresh(
            op,
            Dims::from_slice(x.shape()),
            &[Operand::of(x)],
            Block { run: &|out, x| f.block(out, x), spreads: f.spreads() },
        ),
    }
}

/// f(x), in the buffer of `x` where nothing else shares it.
#[inline]
pub fn map_owned<T: Element>(
    op: &'static str,
    mut x: Array<T>,
    f: &dyn Formula<(T,), T>,
) -> Result<Array<T>> {
    if x.single().is_none()
        && let Some(data) = x.as_mut_slice()
    {
        match Few::of(data) {
            Some(few) => f.block(T::slice_mut(data), &[T::slice(few.get())]),
            None => in_place(
                op,
                T::slice_mut(data),
                &[],
                &[],
                0,
                Block { run: &|out, x| f.block(out, x), spreads: f.spreads() },
            )?,
        }
        return Ok(x);
    }
    map(op, &x, f)
}

/// f(a, b), broadcast.
#[inline]
pub fn zip<A: Element, B: Element, U: Element>(
    op: &'static str,
    a: &Array<A>,
    b: &Array<B>,
    f: &dyn Formula<(A, B), U>,
) -> Result<Array<U>> {
    let shape = broadcast(op, a.shape(), b.shape())?;
    match (a.single(), b.single()) {
        (Some(a), Some(b)) => Ok(Array::one(shape, f.one((a, b)))),
        _ => fresh(
            op,
            shape,
            &[Operand::of(a), Operand::of(b)],
            Block { run: &|out, x| f.block(out, x), spreads: f.spreads() },
        ),
    }
}

/// f(a, b), broadcast, in the buffer of `a` where nothing else shares it and it has the result's shape.
#[inline]
pub fn zip_owned<A: Element, B: Element>(
    op: &'static str,
    mut a: Array<A>,
    b: &Array<B>,
    f: &dyn Formula<(A, B), A>,
) -> Result<Array<A>> {
    if let (Some(x), Some(y)) = (a.single(), b.single()) {
        return Ok(Array::one(broadcast(op, a.shape(), b.shape())?, f.one((x, y))));
    }
    let shape = takes(a.shape(), b.shape()).then(|| Dims::from_slice(a.shape()));
    if let Some(shape) = shape
        && let Some(data) = a.as_mut_slice()
    {
        match Few::pair(data, b) {
            Some((x, y)) => f.block(A::slice_mut(data), &[A::slice(x.get()), B::slice(y)]),
            None => in_place(
                op,
                A::slice_mut(data),
                &shape,
                &[Operand::of(b)],
                0,
                Block { run: &|out, x| f.block(out, x), spreads: f.spreads() },
            )?,
        }
        return Ok(a);
    }
    zip(op, &a, b, f)
}

/// f(a, b), broadcast, in the buffer of either where nothing else shares it and it has the result's shape.
#[inline]
pub fn zip_either<T: Element>(
    op: &'static str,
    a: Array<T>,
    mut b: Array<T>,
    f: &dyn Formula<(T, T), T>,
) -> Result<Array<T>> {
    let shape = Dims::from_slice(b.shape());
    if a.is_shared()
        && b.single().is_none()
        && takes(&shape, a.shape())
        && let Some(data) = b.as_mut_slice()
    {
        match Few::pair(data, &a) {
            Some((y, x)) => f.block(T::slice_mut(data), &[T::slice(x), T::slice(y.get())]),
            None => in_place(
                op,
                T::slice_mut(data),
                &shape,
                &[Operand::of(&a)],
                1,
                Block { run: &|out, x| f.block(out, x), spreads: f.spreads() },
            )?,
        }
        return Ok(b);
    }
    zip_owned(op, a, &b, f)
}

/// f(a, b, c), broadcast.
#[inline]
pub fn zip3<A: Element, B: Element, C: Element, U: Element>(
    op: &'static str,
    a: &Array<A>,
    b: &Array<B>,
    c: &Array<C>,
    f: &dyn Formula<(A, B, C), U>,
) -> Result<Array<U>> {
    let shape = broadcast(op, &broadcast(op, a.shape(), b.shape())?, c.shape())?;
    match (a.single(), b.single(), c.single()) {
        (Some(a), Some(b), Some(c)) => Ok(Array::one(shape, f.one((a, b, c)))),
        _ => {
            let operands = [Operand::of(a), Operand::of(b), Operand::of(c)];
            fresh(op, shape, &operands, Block { run: &|out, x| f.block(out, x), spreads: f.spreads() })
        }
    }
}

/// f(a, b, c), broadcast, in the buffer of `a` where nothing else shares it and it has the result's shape.
#[inline]
pub fn zip3_owned<A: Element, B: Element, C: Element>(
    op: &'static str,
    mut a: Array<A>,
    b: &Array<B>,
    c: &Array<C>,
    f: &dyn Formula<(A, B, C), A>,
) -> Result<Array<A>> {
    if a.single().is_none() && takes(a.shape(), b.shape()) && takes(a.shape(), c.shape()) {
        let shape = Dims::from_slice(a.shape());
        if let Some(data) = a.as_mut_slice() {
            let others = [Operand::of(b), Operand::of(c)];
            in_place(
                op,
                A::slice_mut(data),
                &shape,
                &others,
                0,
                Block { run: &|out, x| f.block(out, x), spreads: f.spreads() },
            )?;
            return Ok(a);
        }
    }
    zip3(op, &a, b, c, f)
}

/// f of the elements of any number of arrays, broadcast.
pub fn zip_many<T: Element>(
    op: &'static str,
    x: &[&Array<T>],
    f: &dyn Formula<Elements<T>, T>,
) -> Result<Array<T>> {
    let mut shape = Dims::new();
    for x in x {
        shape = broadcast(op, &shape, x.shape())?;
    }
    let single: Option<Elements<T>> = x.iter().map(|x| x.single()).collect();
    if let Some(single) = single.filter(|_| shape.iter().all(|&d| d == 1)) {
        return Ok(Array::one(shape, f.one(single)));
    }
    let operands: SmallVec<[Operand<'_>; 4]> = x.iter().map(|x| Operand::of(x)).collect();
    fresh(op, shape, &operands, Block { run: &|out, x| f.block(out, x), spreads: f.spreads() })
}

/// A copy of few elements, so that their place can be written from it.
struct Few<T> {
    elements: [T; FEW],
    count: usize,
}

impl<T: Element> Few<T> {
    /// None where they are more.
    #[inline]
    fn of(x: &[T]) -> Option<Self> {
        let mut elements = [T::default(); FEW];
        elements.get_mut(..x.len())?.copy_from_slice(x);
        Some(Few { elements, count: x.len() })
    }

    /// With the elements of another operand, where those are as many.
    #[inline]
    fn pair<'b, B: Element>(x: &[T], b: &'b Array<B>) -> Option<(Self, &'b [B])> {
        Some((Few::of(x)?, b.as_slice().filter(|b| b.len() == x.len())?))
    }

    #[inline]
    fn get(&self) -> &[T] {
        &self.elements[..self.count]
    }
}

#[inline]
fn broadcast(op: &'static str, a: &[usize], b: &[usize]) -> Result<Dims> {
    if shape::same(a, b) { Ok(Dims::from_slice(a)) } else { shape::broadcast(op, a, b) }
}

/// Whether an operand of shape `other` is broadcast to this shape, which stays as it is.
#[inline]
fn takes(shape: &[usize], other: &[usize]) -> bool {
    shape::same(shape, other) || shape::broadcast("", shape, other).is_ok_and(|all| all[..] == *shape)
}

/// f(x..) in memory of its own, for operands that broadcast to `shape`.
#[inline]
fn fresh<U: Element>(
    op: &'static str,
    shape: Dims,
    operands: &[Operand<'_>],
    f: Block<'_>,
) -> Result<Array<U>> {
    let n = shape::numel(op, &shape)?;
    let mut out = Buffer::<U>::for_overwrite(op, n)?;
    // Short vectors that lie in the order of the result need no walk.
    if (1..=BLOCK).contains(&n)
        && operands.iter().all(|x| x.is_dense(n) || f.spreads && x.layout.numel() == 1)
    {
        let slices = operands.iter().map(|x| x.dense(x.layout.numel()));
        with_slices(slices, |x| (f.run)(U::slice_mut(&mut out), x));
        return Ok(Array::from_buffer(shape, out));
    }
    let layout = write(op, U::slice_mut(&mut out), shape, operands, f)?;
    Ok(Array::with_layout(layout, out))
}

/// Writes f(x..) in the order that suits the operands; where the elements then lie.
fn write(
    op: &'static str,
    out: SliceMut<'_>,
    shape: Dims,
    operands: &[Operand<'_>],
    f: Block<'_>,
) -> Result<Layout> {
    let (layout, mut walks): (Layout, SmallVec<[Walk<'_>; 3]>) = match in_memory_order(&shape, operands) {
        Some((layout, starts)) => {
            (layout, operands.iter().zip(starts).map(|(x, at)| Walk::from(x, at)).collect())
        }
        None => {
            let walks = walks(&shape, operands);
            (Layout::row_major(shape), walks)
        }
    };
    if out.len() == 0 {
        return Ok(layout);
    }
    in_parts(op, out, &mut walks, f.spreads, &|from, out, cut, walks| walk(out, from, cut, walks, f))?;
    Ok(layout)
}

/// Where all operands but repeated numbers fill stretches of memory in one order, which is not row-major where they
/// are transposed or reversed: the layout of a result in that order, and where each of them begins.
fn in_memory_order(shape: &[usize], operands: &[Operand<'_>]) -> Option<(Layout, SmallVec<[usize; 3]>)> {
    let repeated = |x: &Operand<'_>| x.layout.numel() == 1 && x.layout.ndim() <= shape.len();
    let first = operands.iter().find(|x| !repeated(x))?.layout;
    let along = |x: &Operand<'_>| match x.layout {
        _ if repeated(x) => Some(x.layout.offset()),
        layout if !shape::same(layout.shape(), shape) => None,
        layout if layout.is_contiguous() => first.is_contiguous().then_some(layout.offset()),
        layout => (layout.strides() == first.strides()).then(|| layout.dense_start()).flatten(),
    };
    let starts = operands.iter().map(along).collect::<Option<SmallVec<[usize; 3]>>>()?;
    let start = first.dense_start()?;
    Some((first.moved_to(first.offset() - start), starts))
}

/// Writes f(x..) over operand `own`, which is `out`, row-major of this shape; the others are broadcast to it.
fn in_place(
    op: &'static str,
    out: SliceMut<'_>,
    shape: &[usize],
    others: &[Operand<'_>],
    own: usize,
    f: Block<'_>,
) -> Result<()> {
    let n = out.len();
    if (1..=SHORT).contains(&n) && others.iter().all(|x| x.is_dense(n) || f.spreads && x.layout.numel() == 1)
    {
        short_in_place(out, others, own, f);
        return Ok(());
    }
    let mut walks = walks(shape, others);
    in_parts(op, out, &mut walks, f.spreads, &|from, out, cut, walks| {
        walk_in_place(out, from, cut, walks, own, f)
    })
}

/// Writes f(x..) over operand `own`, by way of the stack, which costs less than the memory a walk asks for.
fn short_in_place(mut out: SliceMut<'_>, others: &[Operand<'_>], own: usize, f: Block<'_>) {
    let (mut numbers, mut truths) = ([0u64; SHORT], [false; SHORT]);
    let n = out.len();
    let mut values = match out.dtype() {
        DType::F32 => SliceMut::F32(&mut cast_slice_mut(&mut numbers)[..n]),
        DType::F64 => SliceMut::F64(&mut cast_slice_mut(&mut numbers)[..n]),
        DType::I64 => SliceMut::I64(&mut cast_slice_mut(&mut numbers)[..n]),
        DType::Bool => SliceMut::Bool(&mut truths[..n]),
    };
    let mut others = others.iter().map(|x| x.dense(x.layout.numel()));
    let slices = (0..others.len() + 1).map(|k| if k == own { None } else { others.next() });
    with_slices(slices.map(|x| x.unwrap_or_else(|| out.read())), |x| (f.run)(values.part(0, n), x));
    out.copy_from(values.read());
}

/// The walks of operands over the row-major order of a shape that they are broadcast to.
fn walks<'a>(shape: &[usize], operands: &[Operand<'a>]) -> SmallVec<[Walk<'a>; 3]> {
    let mut walks = SmallVec::new();
    for x in operands {
        let own = x.layout;
        let whole = own.numel() == 1 || own.is_contiguous() && shape::same(own.shape(), shape);
        walks.push(if whole { Walk::from(x, own.offset()) } else { Walk::over(x, shape) });
    }
    walks
}

/// Writes a part of a result, which begins at a position.
type Part<'a> = &'a (dyn Fn(usize, SliceMut<'_>, &Cut, &[Walk<'_>]) + Sync);

/// Runs `work` over the parts of the result, on several threads where it takes long enough.
fn in_parts(
    op: &'static str,
    out: SliceMut<'_>,
    walks: &mut [Walk<'_>],
    spreads: bool,
    work: Part<'_>,
) -> Result<()> {
    if out.len() == 0 {
        return Ok(());
    }
    work::kernel(op, || {
        let cut = Cut::of(walks, out.len(), spreads);
        walks.iter_mut().for_each(|walk| walk.prepare(&cut, out.len()));
        let (walks, piece) = (&*walks, cut.piece());
        if out.len() <= ALONE {
            work(0, out, &cut, walks);
            return Ok(());
        }
        match out {
            SliceMut::F32(out) => {
                for_pieces(out, piece, |from, out| work(from, SliceMut::F32(out), &cut, walks))
            }
            SliceMut::F64(out) => {
                for_pieces(out, piece, |from, out| work(from, SliceMut::F64(out), &cut, walks))
            }
            SliceMut::I64(out) => {
                for_pieces(out, piece, |from, out| work(from, SliceMut::I64(out), &cut, walks))
            }
            SliceMut::Bool(out) => {
                for_pieces(out, piece, |from, out| work(from, SliceMut::Bool(out), &cut, walks))
            }
        }
        Ok(())
    })
}

/// Writes f(x..) at the positions from `from` on.
fn walk(mut out: SliceMut<'_>, from: usize, cut: &Cut, walks: &[Walk<'_>], f: Block<'_>) {
    let n = out.len();
    let mut rooms: SmallVec<[Gathered; 3]> = walks.iter().map(|_| Gathered::default()).collect();
    let mut write = |position: usize, n: usize| {
        let out = out.part(position - from, n);
        let blocks = walks.iter().zip(&mut rooms).map(|(walk, room)| walk.block(cut, position, n, room));
        with_slices(blocks, |x| (f.run)(out, x));
    };
    match walks.iter().all(|walk| walk.is_whole(cut)) {
        true => write(from, n),
        false => cut.blocks(from..from + n, write),
    }
}

/// Calls `f` with the slices. An array is written where it is read; what a vector collects is copied, which shows beside
/// a block.
#[inline(always)]
fn with_slices<'a>(mut x: impl ExactSizeIterator<Item = Slice<'a>>, f: impl FnOnce(&[Slice<'a>])) {
    let count = x.len();
    let next = |_| x.next().unwrap_or(Slice::Bool(&[]));
    match count {
        1 => f(&from_fn::<_, 1, _>(next)),
        2 => f(&from_fn::<_, 2, _>(next)),
        3 => f(&from_fn::<_, 3, _>(next)),
        _ => f(&x.collect::<SmallVec<[Slice<'_>; 8]>>()),
    }
}

/// Writes f(x..) over operand `own`, whose elements from `from` on are those of `out`.
fn walk_in_place(
    mut out: SliceMut<'_>,
    from: usize,
    cut: &Cut,
    walks: &[Walk<'_>],
    own: usize,
    f: Block<'_>,
) {
    let mut rooms: SmallVec<[Gathered; 3]> = walks.iter().map(|_| Gathered::default()).collect();
    let (mut values, dtype) = (Gathered::default(), out.dtype());
    cut.blocks(from..from + out.len(), |position, n| {
        let mut out = out.part(position - from, n);
        let others = walks.iter().zip(&mut rooms).map(|(walk, room)| walk.block(cut, position, n, room));
        let mut x: SmallVec<[Slice<'_>; 4]> = others.collect();
        x.insert(own, out.read());
        (f.run)(values.room(dtype, n), &x);
        drop(x);
        out.copy_from(values.slice(dtype, 0, n));
    });
}

#[cfg(test)]
mod tests;
