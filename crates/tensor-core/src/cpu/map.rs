//! Formulas over elements of any layout: one walk, whatever the types and the formula.
//!
//! The positions of the result, in its order in memory, are cut into blocks. Of each block, an operand gives the
//! slice where it lies in that order; what lies otherwise, or repeats one value, is gathered into a slice on the
//! stack. The formula goes over slices alone.

use super::copy::strided;
use super::parallel::{ALONE, for_parts};
use crate::array::Array;
use crate::element::{DType, Element, Slice, SliceMut};
use crate::error::Result;
use crate::formula::{Elements, Formula};
use crate::heap::buffer::Buffer;
use crate::heap::work;
use crate::layout::Layout;
use crate::nest::Nest;
use crate::shape::{self, Dims};
use bytemuck::{cast_slice, cast_slice_mut};
use smallvec::SmallVec;

/// A formula over slices of one length.
type Block<'a> = &'a (dyn Fn(SliceMut<'_>, &[Slice<'_>]) + Sync);

/// Elements of a block that is gathered: few enough for the first-level cache.
const BLOCK: usize = 512;

/// Elements of a small result, for which a block of that size would take longer to clear than to fill.
const FEW: usize = 16;

/// An operand without its type.
#[derive(Clone, Copy)]
pub struct Operand<'a> {
    data: Slice<'a>,
    layout: &'a Layout,
}

impl<'a> Operand<'a> {
    /// An array as an operand.
    #[inline]
    pub fn of<T: Element>(x: &'a Array<T>) -> Self {
        Operand { data: T::slice(x.storage()), layout: x.layout() }
    }

    /// The `n` elements of a contiguous one.
    #[inline]
    fn dense(&self, n: usize) -> Slice<'a> {
        self.data.part(self.layout.offset(), n)
    }
}

/// f(x).
#[inline]
pub fn map<T: Element, U: Element>(
    op: &'static str,
    x: &Array<T>,
    f: &dyn Formula<(T,), U>,
) -> Result<Array<U>> {
    match x.single() {
        Some(one) => Ok(Array::one(Dims::from_slice(x.shape()), f.one((one,)))),
        None => fresh(op, Dims::from_slice(x.shape()), &[Operand::of(x)], &|out, x| f.block(out, x)),
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
            None => in_place(op, T::slice_mut(data), &[], 0, &|out, x| f.block(out, x))?,
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
        _ => fresh(op, shape, &[Operand::of(a), Operand::of(b)], &|out, x| f.block(out, x)),
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
    if fits(b, a.shape())
        && let Some(data) = a.as_mut_slice()
    {
        match Few::pair(data, b) {
            Some((x, y)) => f.block(A::slice_mut(data), &[A::slice(x.get()), B::slice(y)]),
            None => in_place(op, A::slice_mut(data), &[Operand::of(b)], 0, &|out, x| f.block(out, x))?,
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
    if a.is_shared()
        && b.single().is_none()
        && fits(&a, b.shape())
        && let Some(data) = b.as_mut_slice()
    {
        match Few::pair(data, &a) {
            Some((y, x)) => f.block(T::slice_mut(data), &[T::slice(x), T::slice(y.get())]),
            None => in_place(op, T::slice_mut(data), &[Operand::of(&a)], 1, &|out, x| f.block(out, x))?,
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
            fresh(op, shape, &operands, &|out, x| f.block(out, x))
        }
    }
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
    fresh(op, shape, &operands, &|out, x| f.block(out, x))
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

/// Whether an operand goes beside a result of this shape as it lies in memory.
#[inline]
fn fits<T: Element>(x: &Array<T>, shape: &[usize]) -> bool {
    (shape::same(x.shape(), shape) && x.layout().is_contiguous())
        || (x.numel() == 1 && x.ndim() <= shape.len())
}

/// f(x..) in memory of its own, for operands that broadcast to `shape`.
#[inline]
pub fn fresh<U: Element>(
    op: &'static str,
    shape: Dims,
    operands: &[Operand<'_>],
    f: Block<'_>,
) -> Result<Array<U>> {
    let n = shape::numel(op, &shape)?;
    let mut out = Buffer::<U>::for_overwrite(op, n)?;
    // Short vectors that lie in the order of the result need no walk.
    if (1..=BLOCK).contains(&n)
        && operands.iter().all(|x| x.layout.is_contiguous() && shape::same(x.layout.shape(), &shape))
    {
        let out_slice = U::slice_mut(&mut out);
        match operands {
            [a] => f(out_slice, &[a.dense(n)]),
            [a, b] => f(out_slice, &[a.dense(n), b.dense(n)]),
            [a, b, c] => f(out_slice, &[a.dense(n), b.dense(n), c.dense(n)]),
            _ => f(out_slice, &operands.iter().map(|x| x.dense(n)).collect::<SmallVec<[Slice<'_>; 8]>>()),
        }
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
    let (layout, walks): (Layout, SmallVec<[Walk<'_>; 3]>) = match in_memory_order(&shape, operands) {
        Some((layout, starts)) => {
            (layout, operands.iter().zip(starts).map(|(x, at)| Walk::from(x, at)).collect())
        }
        None => {
            let walks = operands.iter().map(|x| Ok(Walk::over(x, &x.layout.expand(op, &shape)?)));
            let walks = walks.collect::<Result<_>>()?;
            (Layout::row_major(shape), walks)
        }
    };
    if out.len() == 0 {
        return Ok(layout);
    }
    if out.len() <= FEW {
        walk::<FEW>(out, 0, &walks, f);
    } else {
        run(op, out, &|from, out| walk::<BLOCK>(out, from, &walks, f))?;
    }
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

/// Writes f(x..) over operand `own`, which is `out`; the others fit it as they lie in memory.
fn in_place(
    op: &'static str,
    out: SliceMut<'_>,
    others: &[Operand<'_>],
    own: usize,
    f: Block<'_>,
) -> Result<()> {
    let walks: SmallVec<[Walk<'_>; 3]> = others.iter().map(|x| Walk::from(x, x.layout.offset())).collect();
    if out.len() <= FEW {
        walk_in_place::<FEW>(out, 0, &walks, own, f);
        return Ok(());
    }
    run(op, out, &|from, out| walk_in_place::<BLOCK>(out, from, &walks, own, f))
}

/// Runs `work(start, part)` over the parts of the result, on several threads where it is large.
fn run(op: &'static str, out: SliceMut<'_>, work: &(dyn Fn(usize, SliceMut<'_>) + Sync)) -> Result<()> {
    if out.len() <= ALONE {
        work(0, out);
        return Ok(());
    }
    work::kernel(op, || {
        match out {
            SliceMut::F32(out) => for_parts(out, |from, out| work(from, SliceMut::F32(out))),
            SliceMut::F64(out) => for_parts(out, |from, out| work(from, SliceMut::F64(out))),
            SliceMut::I64(out) => for_parts(out, |from, out| work(from, SliceMut::I64(out))),
            SliceMut::Bool(out) => for_parts(out, |from, out| work(from, SliceMut::Bool(out))),
        }
        Ok(())
    })
}

/// How an operand goes along the positions of the result.
struct Walk<'a> {
    data: Slice<'a>,
    way: Way,
}

enum Way {
    /// One element after another from here.
    Dense(usize),
    /// One element everywhere.
    Repeated(usize),
    Strided(Nest<1>),
}

impl<'a> Walk<'a> {
    /// Of an operand that lies in the order of the result, or is one number.
    #[inline]
    fn from(x: &Operand<'a>, start: usize) -> Self {
        let way = if x.layout.numel() == 1 { Way::Repeated(start) } else { Way::Dense(start) };
        Walk { data: x.data, way }
    }

    /// Over the row-major order of a layout.
    fn over(x: &Operand<'a>, layout: &Layout) -> Self {
        let nest = Nest::new(layout.shape(), [layout]);
        let way = match nest.dims() {
            [(_, [1])] => Way::Dense(layout.offset()),
            [(_, [0])] => Way::Repeated(layout.offset()),
            _ => Way::Strided(nest),
        };
        Walk { data: x.data, way }
    }

    /// The elements at these positions: where they lie, or gathered.
    fn block<'b, const W: usize>(
        &'b self,
        position: usize,
        n: usize,
        room: &'b mut Option<Box<Gathered<W>>>,
    ) -> Slice<'b> {
        let (data, dtype) = (self.data, self.data.dtype());
        match &self.way {
            Way::Dense(start) => data.part(start + position, n),
            // The first block is the longest.
            Way::Repeated(place) => room
                .get_or_insert_with(|| {
                    let mut gathered = Box::new(Gathered::NOTHING);
                    gathered.fill(data, *place, n);
                    gathered
                })
                .slice(dtype, n),
            Way::Strided(nest) => {
                let (length, [step]) = nest.inner();
                if step == 1 && position % length + n <= length {
                    let mut start = 0;
                    nest.segments(position..position + n, |_, [place], _| start = place as usize);
                    return data.part(start, n);
                }
                let gathered = room.get_or_insert_with(|| Box::new(Gathered::NOTHING));
                gathered.gather(data, nest, position, n);
                gathered.slice(dtype, n)
            }
        }
    }
}

/// A block of gathered elements. Truth values are bytes, but not every byte is one.
struct Gathered<const W: usize> {
    words: [u64; W],
    truths: [bool; W],
}

/// The loops of gathering, for elements of one type.
fn gather<T: Copy>(out: &mut [T], data: &[T], nest: &Nest<1>, from: usize) {
    let (_, [step]) = nest.inner();
    nest.segments(from..from + out.len(), |position, [place], n| {
        strided(&mut out[position - from..][..n], data, place, step);
    });
}

impl<const W: usize> Gathered<W> {
    const NOTHING: Self = Gathered { words: [0; W], truths: [false; W] };

    fn slice(&self, dtype: DType, n: usize) -> Slice<'_> {
        match dtype {
            DType::F32 => Slice::F32(&cast_slice(&self.words)[..n]),
            DType::F64 => Slice::F64(&cast_slice(&self.words)[..n]),
            DType::I64 => Slice::I64(&cast_slice(&self.words)[..n]),
            DType::Bool => Slice::Bool(&self.truths[..n]),
        }
    }

    fn slice_mut(&mut self, dtype: DType, n: usize) -> SliceMut<'_> {
        match dtype {
            DType::F32 => SliceMut::F32(&mut cast_slice_mut(&mut self.words)[..n]),
            DType::F64 => SliceMut::F64(&mut cast_slice_mut(&mut self.words)[..n]),
            DType::I64 => SliceMut::I64(&mut cast_slice_mut(&mut self.words)[..n]),
            DType::Bool => SliceMut::Bool(&mut self.truths[..n]),
        }
    }

    fn fill(&mut self, data: Slice<'_>, place: usize, n: usize) {
        match (self.slice_mut(data.dtype(), n), data) {
            (SliceMut::F32(out), Slice::F32(x)) => out.fill(x[place]),
            (SliceMut::F64(out), Slice::F64(x)) => out.fill(x[place]),
            (SliceMut::I64(out), Slice::I64(x)) => out.fill(x[place]),
            (SliceMut::Bool(out), Slice::Bool(x)) => out.fill(x[place]),
            _ => {}
        }
    }

    fn gather(&mut self, data: Slice<'_>, nest: &Nest<1>, from: usize, n: usize) {
        match (self.slice_mut(data.dtype(), n), data) {
            (SliceMut::F32(out), Slice::F32(x)) => gather(out, x, nest, from),
            (SliceMut::F64(out), Slice::F64(x)) => gather(out, x, nest, from),
            (SliceMut::I64(out), Slice::I64(x)) => gather(out, x, nest, from),
            (SliceMut::Bool(out), Slice::Bool(x)) => gather(out, x, nest, from),
            _ => {}
        }
    }
}

/// Calls `f(offset, n)` for blocks of up to `size` of `n` elements.
fn blocks(n: usize, size: usize, mut f: impl FnMut(usize, usize)) {
    for from in (0..n).step_by(size) {
        f(from, size.min(n - from));
    }
}

/// Writes f(x..) at the positions from `from` on.
fn walk<const W: usize>(mut out: SliceMut<'_>, from: usize, walks: &[Walk<'_>], f: Block<'_>) {
    let n = out.len();
    if walks.iter().all(|walk| matches!(walk.way, Way::Dense(_))) {
        let x: SmallVec<[Slice<'_>; 4]> = walks
            .iter()
            .filter_map(|walk| {
                if let Way::Dense(start) = walk.way { Some(walk.data.part(start + from, n)) } else { None }
            })
            .collect();
        return f(out, &x);
    }
    let mut gathered: SmallVec<[Option<Box<Gathered<W>>>; 3]> = walks.iter().map(|_| None).collect();
    blocks(n, W, |at, n| {
        let x: SmallVec<[Slice<'_>; 4]> =
            walks.iter().zip(&mut gathered).map(|(walk, room)| walk.block(from + at, n, room)).collect();
        f(out.part(at, n), &x);
    });
}

/// Writes f(x..) over operand `own`, whose elements from `from` on are those of `out`.
fn walk_in_place<const W: usize>(
    mut out: SliceMut<'_>,
    from: usize,
    walks: &[Walk<'_>],
    own: usize,
    f: Block<'_>,
) {
    let mut gathered: SmallVec<[Option<Box<Gathered<W>>>; 3]> = walks.iter().map(|_| None).collect();
    let mut values = Gathered::<W>::NOTHING;
    let dtype = out.dtype();
    blocks(out.len(), W, |at, n| {
        let mut out = out.part(at, n);
        let others = walks.iter().zip(&mut gathered).map(|(walk, room)| walk.block(from + at, n, room));
        let mut x: SmallVec<[Slice<'_>; 4]> = others.collect();
        x.insert(own, out.read());
        f(values.slice_mut(dtype, n), &x);
        drop(x);
        out.copy_from(values.slice(dtype, n));
    });
}
