//! Elementwise maps of one, two and three operands.

use super::nest::Nest;
use super::parallel::for_parts;
use super::simd::{Kernel, dispatch};
use crate::array::Array;
use crate::buffer::Buffer;
use crate::element::Element;
use crate::error::Result;
use crate::layout::Layout;
use crate::shape::{self, Dims};

/// out = f(x) over slices of one length.
struct MapSlice<'a, T, U, F> {
    x: &'a [T],
    out: &'a mut [U],
    f: &'a F,
}

impl<T: Element, U: Element, F: Fn(T) -> U> Kernel for MapSlice<'_, T, U, F> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        for (o, &x) in self.out.iter_mut().zip(self.x) {
            *o = (self.f)(x);
        }
    }
}

/// x = f(x) in place.
struct MapInPlace<'a, T, F> {
    x: &'a mut [T],
    f: &'a F,
}

impl<T: Element, F: Fn(T) -> T> Kernel for MapInPlace<'_, T, F> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        for x in self.x {
            *x = (self.f)(*x);
        }
    }
}

/// out = f(a, b) over slices of one length.
struct ZipSlice<'a, A, B, U, F> {
    a: &'a [A],
    b: &'a [B],
    out: &'a mut [U],
    f: &'a F,
}

impl<A: Element, B: Element, U: Element, F: Fn(A, B) -> U> Kernel for ZipSlice<'_, A, B, U, F> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        for ((o, &a), &b) in self.out.iter_mut().zip(self.a).zip(self.b) {
            *o = (self.f)(a, b);
        }
    }
}

/// a = f(a, b) in place.
struct ZipInPlace<'a, A, B, F> {
    a: &'a mut [A],
    b: &'a [B],
    f: &'a F,
}

impl<A: Element, B: Element, F: Fn(A, B) -> A> Kernel for ZipInPlace<'_, A, B, F> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        for (a, &b) in self.a.iter_mut().zip(self.b) {
            *a = (self.f)(*a, b);
        }
    }
}

/// One part of the general case: the elements of a nest from position `from` on.
struct NestPart<'a, const N: usize, U, F> {
    nest: &'a Nest<N>,
    from: usize,
    out: &'a mut [U],
    /// Writes a stretch of the innermost loop.
    stretch: F,
}

impl<const N: usize, U, F: Fn(&mut [U], [isize; N], [isize; N])> Kernel for NestPart<'_, N, U, F> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let (_, steps) = self.nest.inner();
        let end = self.from + self.out.len();
        self.nest.segments(self.from..end, |position, places, n| {
            (self.stretch)(&mut self.out[position - self.from..][..n], places, steps);
        });
    }
}

fn nest_map<const N: usize, U: Element>(
    op: &'static str,
    shape: Dims,
    nest: Nest<N>,
    stretch: impl Fn(&mut [U], [isize; N], [isize; N]) + Sync,
) -> Result<Array<U>> {
    Array::build(op, shape, |out| {
        for_parts(out, |from, out| dispatch(NestPart { nest: &nest, from, out, stretch: &stretch }));
    })
}

/// y = f(x).
#[inline]
pub fn map<T: Element, U: Element>(
    op: &'static str,
    x: &Array<T>,
    f: impl Fn(T) -> U + Sync,
) -> Result<Array<U>> {
    if let Some(x0) = x.single() {
        return Ok(Array::one(Dims::from_slice(x.shape()), f(x0)));
    }
    if let Some(y) = map_dense(op, x, &f) {
        return y;
    }
    let data = x.storage();
    let nest = Nest::new(x.shape(), [x.layout()]);
    nest_map(op, Dims::from_slice(x.shape()), nest, |out, [p], [step]| match step {
        1 => MapSlice { x: &data[p as usize..][..out.len()], out, f: &f }.run::<false>(),
        0 => out.fill(f(data[p as usize])),
        _ => {
            for (k, o) in out.iter_mut().enumerate() {
                *o = f(data[(p + k as isize * step) as usize]);
            }
        }
    })
}

/// [`map`] of what fills a stretch of memory: transposed and reversed operands keep their strides, for one pass.
#[inline]
fn map_dense<T: Element, U: Element>(
    op: &'static str,
    x: &Array<T>,
    f: &(impl Fn(T) -> U + Sync),
) -> Option<Result<Array<U>>> {
    let (layout, n) = (x.layout(), x.numel());
    let start = layout.dense_start()?;
    let mut out = match Buffer::for_overwrite(op, n) {
        Ok(out) => out,
        Err(e) => return Some(Err(e)),
    };
    if n > 0 {
        let data = &x.storage()[start..][..n];
        for_parts(&mut out, |k, out| dispatch(MapSlice { x: &data[k..][..out.len()], out, f }));
    }
    Some(Ok(Array::with_layout(layout.moved_to(layout.offset() - start), out)))
}

/// x = f(x), in the same buffer where nothing else shares it.
#[inline]
pub fn map_owned<T: Element>(
    op: &'static str,
    mut x: Array<T>,
    f: impl Fn(T) -> T + Sync,
) -> Result<Array<T>> {
    match x.as_mut_slice() {
        Some(data) => {
            for_parts(data, |_, x| dispatch(MapInPlace { x, f: &f }));
            Ok(x)
        }
        None => map(op, &x, f),
    }
}

/// z = f(a, b), broadcast.
#[inline]
pub fn zip<A: Element, B: Element, U: Element>(
    op: &'static str,
    a: &Array<A>,
    b: &Array<B>,
    f: impl Fn(A, B) -> U + Sync,
) -> Result<Array<U>> {
    let shape = match shape::same(a.shape(), b.shape()) {
        true => Dims::from_slice(a.shape()),
        false => shape::broadcast(op, a.shape(), b.shape())?,
    };
    let dense = match (a.single(), b.single()) {
        (Some(a), Some(b)) => return Ok(Array::one(shape, f(a, b))),
        (None, Some(b)) if shape.len() == a.ndim() => map_dense(op, a, &|a| f(a, b)),
        (Some(a), None) if shape.len() == b.ndim() => map_dense(op, b, &|b| f(a, b)),
        _ => None,
    };
    if let Some(z) = dense {
        return z;
    }
    let (x, y) = (a.storage(), b.storage());
    if let Some((start_a, start_b)) = same_walk(a.layout(), b.layout()) {
        let n = a.numel();
        let mut out = Buffer::for_overwrite(op, n)?;
        if n > 0 {
            let (x, y) = (&x[start_a..][..n], &y[start_b..][..n]);
            for_parts(&mut out, |k, out| {
                let n = out.len();
                dispatch(ZipSlice { a: &x[k..][..n], b: &y[k..][..n], out, f: &f });
            });
        }
        return Ok(Array::with_layout(a.layout().moved_to(a.layout().offset() - start_a), out));
    }
    let (la, lb) = (a.layout().expand(op, &shape)?, b.layout().expand(op, &shape)?);
    let nest = Nest::new(&shape, [&la, &lb]);
    nest_map(op, shape, nest, |out, [p, q], [s, t]| {
        let n = out.len();
        match (s, t) {
            (1, 1) => {
                ZipSlice { a: &x[p as usize..][..n], b: &y[q as usize..][..n], out, f: &f }.run::<false>()
            }
            (1, 0) => {
                let b = y[q as usize];
                MapSlice { x: &x[p as usize..][..n], out, f: &|a| f(a, b) }.run::<false>();
            }
            (0, 1) => {
                let a = x[p as usize];
                MapSlice { x: &y[q as usize..][..n], out, f: &|b| f(a, b) }.run::<false>();
            }
            _ => {
                for (k, o) in out.iter_mut().enumerate() {
                    let k = k as isize;
                    *o = f(x[(p + k * s) as usize], y[(q + k * t) as usize]);
                }
            }
        }
    })
}

/// a = f(a, b), in the buffer of `a` where nothing else shares it and the result has its shape.
#[inline]
pub fn zip_owned<A: Element, B: Element>(
    op: &'static str,
    mut a: Array<A>,
    b: &Array<B>,
    f: impl Fn(A, B) -> A + Sync,
) -> Result<Array<A>> {
    if shape::same(a.shape(), b.shape())
        && let Some(y) = b.as_slice()
        && let Some(x) = a.as_mut_slice()
    {
        for_parts(x, |k, a| {
            let b = &y[k..][..a.len()];
            dispatch(ZipInPlace { a, b, f: &f });
        });
        return Ok(a);
    }
    if a.ndim() >= b.ndim()
        && let Some(b) = b.single()
        && let Some(x) = a.as_mut_slice()
    {
        for_parts(x, |_, x| dispatch(MapInPlace { x, f: &|a| f(a, b) }));
        return Ok(a);
    }
    zip(op, &a, b, f)
}

/// f(a, b, c), broadcast.
pub fn zip3<A: Element, B: Element, C: Element, U: Element>(
    op: &'static str,
    a: &Array<A>,
    b: &Array<B>,
    c: &Array<C>,
    f: impl Fn(A, B, C) -> U + Sync,
) -> Result<Array<U>> {
    let shape = shape::broadcast(op, &shape::broadcast(op, a.shape(), b.shape())?, c.shape())?;
    let (x, y, z) = (a.storage(), b.storage(), c.storage());
    let layouts =
        [a.layout().expand(op, &shape)?, b.layout().expand(op, &shape)?, c.layout().expand(op, &shape)?];
    let nest = Nest::new(&shape, layouts.each_ref());
    nest_map(op, shape, nest, |out, [p, q, r], [s, t, u]| {
        for (k, o) in out.iter_mut().enumerate() {
            let k = k as isize;
            *o = f(x[(p + k * s) as usize], y[(q + k * t) as usize], z[(r + k * u) as usize]);
        }
    })
}

/// Where both operands fill stretches of memory in the same order: the starts of the stretches.
fn same_walk(a: &Layout, b: &Layout) -> Option<(usize, usize)> {
    if a.shape() != b.shape() {
        return None;
    }
    match (a.is_contiguous(), b.is_contiguous()) {
        (true, true) => Some((a.offset(), b.offset())),
        (false, false) if a.strides() == b.strides() => Some((a.dense_start()?, b.dense_start()?)),
        _ => None,
    }
}
