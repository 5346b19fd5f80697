//! How operands of any layout are read in blocks of consecutive positions.
//!
//! Of a block an operand gives the slice where it lies in that order; what lies otherwise, or repeats one value, is
//! gathered into a slice of its own. Blocks end where lines do: then what is broadcast over them is gathered once.

use super::copy::strided;
use super::transpose::{ROWS, transpose};
use crate::array::Array;
use crate::element::{DType, Element, Slice, SliceMut};
use crate::heap::work;
use crate::layout::Layout;
use crate::nest::Nest;
use crate::simd::{Kernel, dispatch};
use bytemuck::{cast_slice, cast_slice_mut};
use std::ops::Range;

/// Elements of a block that is gathered: few enough for the first-level cache.
pub const BLOCK: usize = 1024;

/// Lines of fewer elements are gathered one after another: the caches hold what a block of them reads.
const NARROW: usize = 128;

/// Columns of a tile, which has to stay in the second-level cache.
const TILE_COLUMNS: usize = 2048;

/// An operand without its type.
#[derive(Clone, Copy)]
pub struct Operand<'a> {
    data: Slice<'a>,
    pub layout: &'a Layout,
}

impl<'a> Operand<'a> {
    /// An array as an operand.
    #[inline]
    pub fn of<T: Element>(x: &'a Array<T>) -> Self {
        Operand { data: T::slice(x.storage()), layout: x.layout() }
    }

    /// Whether its elements are those of a result of `n`, one after another: broadcasting then repeats none, and adds
    /// dimensions of size 1 at most.
    #[inline]
    pub fn is_dense(&self, n: usize) -> bool {
        self.layout.numel() == n && self.layout.is_contiguous()
    }

    /// The `n` elements of a contiguous one.
    #[inline]
    pub fn dense(&self, n: usize) -> Slice<'a> {
        self.data.part(self.layout.offset(), n)
    }
}

/// How an operand goes along the positions of the result.
pub struct Walk<'a> {
    data: Slice<'a>,
    way: Way,
    /// What every block of a result that has many of them reads, gathered before.
    ready: Gathered,
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
    pub fn from(x: &Operand<'a>, start: usize) -> Self {
        let way = if x.layout.numel() == 1 { Way::Repeated(start) } else { Way::Dense(start) };
        Walk { data: x.data, way, ready: Gathered::default() }
    }

    /// Over the row-major order of a shape that it is broadcast to.
    pub fn over(x: &Operand<'a>, shape: &[usize]) -> Self {
        let (own, strides, lead) = (x.layout.shape(), x.layout.strides(), shape.len() - x.layout.ndim());
        let stride = |k: usize| match k.checked_sub(lead) {
            Some(j) if own[j] == shape[k] => strides[j],
            _ => 0,
        };
        let dims = shape.iter().enumerate().map(|(k, &d)| (d, [stride(k)]));
        let nest = Nest::of(dims, [x.layout.offset() as isize]);
        let way = match nest.dims() {
            [(_, [1])] => Way::Dense(x.layout.offset()),
            [(_, [0])] => Way::Repeated(x.layout.offset()),
            _ => Way::Strided(nest),
        };
        Walk { data: x.data, way, ready: Gathered::default() }
    }

    /// Whether it gives slices of any length as it lies.
    pub fn is_whole(&self, cut: &Cut) -> bool {
        match self.way {
            Way::Dense(_) => true,
            Way::Repeated(_) => cut.spreads,
            Way::Strided(_) => false,
        }
    }

    /// The length of the lines along which it is one number.
    fn column(&self) -> Option<usize> {
        match &self.way {
            Way::Strided(nest) if nest.inner().1 == [0] => Some(nest.inner().0),
            _ => None,
        }
    }

    /// Gathers what is the same for all blocks of a cut, where it is.
    pub fn prepare(&mut self, cut: &Cut, n: usize) {
        let n = n.min(cut.block);
        match &self.way {
            Way::Repeated(_) if cut.spreads => return,
            Way::Repeated(place) => self.ready.fill(self.data, *place, n),
            Way::Strided(nest) if self.period().is_some() => self.ready.gather(self.data, nest, 0, n),
            _ => return,
        }
        self.ready.held = 0..n;
    }

    /// Elements after which an operand that is broadcast over the slowest dimension begins anew, where a block holds as
    /// many; otherwise the length of a line.
    fn period(&self) -> Option<usize> {
        let Way::Strided(nest) = &self.way else {
            return None;
        };
        match nest.dims() {
            [(_, [0]), rest @ ..] => Some(rest.iter().map(|d| d.0).product()).filter(|&n: &usize| n <= BLOCK),
            _ => None,
        }
    }

    /// The length of a line, where those beside one another are neighbours in memory and its own elements are not.
    fn across(&self) -> Option<usize> {
        let Way::Strided(nest) = &self.way else {
            return None;
        };
        match *nest.dims() {
            [.., (rows, [1]), (columns, [step])]
                if rows >= ROWS && columns >= NARROW && !(0..=1).contains(&step) =>
            {
                Some(columns)
            }
            _ => None,
        }
    }

    /// The elements at these positions: where they lie, or gathered; one where it stands for all, and the formula
    /// spreads it. The first block is the longest.
    pub fn block<'b>(&'b self, cut: &Cut, position: usize, n: usize, room: &'b mut Gathered) -> Slice<'b> {
        let nest = match &self.way {
            Way::Dense(start) => return self.data.part(start + position, n),
            Way::Repeated(place) if cut.spreads => return self.data.part(*place, 1),
            Way::Repeated(_) if self.ready.held.len() >= n => {
                return self.ready.slice(self.data.dtype(), 0, n);
            }
            Way::Repeated(place) => {
                if room.held.len() < n {
                    room.fill(self.data, *place, n);
                    room.held = 0..n;
                }
                return room.slice(self.data.dtype(), 0, n);
            }
            Way::Strided(nest) => nest,
        };
        let (length, [step]) = nest.inner();
        if (step == 1 || step == 0 && cut.spreads) && position % length + n <= length {
            let mut start = 0;
            nest.segments(position..position + n, |_, [place], _| start = place as usize);
            return self.data.part(start, if step == 1 { n } else { 1 });
        }
        if cut.tiled && self.across() == Some(cut.line) {
            let (row, column) = (position / length, position % length);
            let tile = row / ROWS * length.div_ceil(TILE_COLUMNS) + column / TILE_COLUMNS;
            let first = column / TILE_COLUMNS * TILE_COLUMNS;
            let width = TILE_COLUMNS.min(length - first);
            if room.held != (tile..tile + 1) {
                room.tile(self.data, nest, row / ROWS * ROWS, first, width);
                room.held = tile..tile + 1;
            }
            return room.slice(self.data.dtype(), row % ROWS * width + (column - first), n);
        }
        let start = self.period().map_or(position, |period| position % period);
        if start == 0 && n <= self.ready.held.len() {
            return self.ready.slice(self.data.dtype(), 0, n);
        }
        if room.held.start != start || room.held.len() < n {
            room.gather(self.data, nest, position, n);
            room.held = start..start + n;
        }
        room.slice(self.data.dtype(), 0, n)
    }
}

/// How the positions of a result are cut into blocks.
pub struct Cut {
    /// The length of the lines whose ends no block crosses, unless it has several whole ones.
    line: usize,
    /// Whether the lines are gone through in tiles, as an operand's columns lie along memory.
    tiled: bool,
    /// The most elements of a block.
    block: usize,
    /// Whether the formula takes an operand that is one number as a slice of that.
    spreads: bool,
}

impl Cut {
    /// For a result of `n` elements of a formula that spreads numbers, or does not.
    pub fn of(walks: &[Walk<'_>], n: usize, spreads: bool) -> Self {
        // Room for what is gathered is asked for, which shows beside a result of a few blocks.
        let block = if n <= 4 * BLOCK { BLOCK / 4 } else { BLOCK };
        if let Some(line) = walks.iter().find_map(Walk::across) {
            return Cut { line, tiled: true, block, spreads };
        }
        // A column is not gathered where its lines are long enough to be blocks.
        if let Some(line) = walks.iter().find_map(Walk::column).filter(|&line| spreads && line >= NARROW) {
            return Cut { line, tiled: false, block: block.min(line), spreads };
        }
        let lines = walks.iter().filter_map(|walk| match &walk.way {
            Way::Strided(nest) => Some(walk.period().unwrap_or(nest.inner().0)),
            _ => None,
        });
        Cut { line: lines.max().unwrap_or(block), tiled: false, block, spreads }
    }

    /// What the parts that threads are given are multiples of.
    pub fn piece(&self) -> usize {
        if self.tiled { self.line.saturating_mul(ROWS) } else { 64 }
    }

    /// Calls `f(position, n)` for the blocks that make up `range`.
    pub fn blocks(&self, range: Range<usize>, mut f: impl FnMut(usize, usize)) {
        let Cut { line, tiled, block, .. } = *self;
        if tiled {
            let mut band = range.start;
            while band < range.end {
                let row = band / line;
                let last = ((row / ROWS + 1) * ROWS).min(range.end.div_ceil(line));
                for column in (0..line).step_by(TILE_COLUMNS) {
                    for row in row..last {
                        let part = row * line + column..row * line + line.min(column + TILE_COLUMNS);
                        let part = part.start.max(range.start)..part.end.min(range.end);
                        each(part, block, &mut f);
                    }
                }
                band = last * line;
            }
            return;
        }
        // Whole lines, or a line in parts of one size.
        let size = if line <= block { block / line * line } else { line.div_ceil(line.div_ceil(block)) };
        let unit = line.max(size);
        let mut start = range.start;
        while start < range.end {
            let end = ((start / unit + 1) * unit).min(range.end);
            each(start..end, size, &mut f);
            start = end;
        }
    }
}

/// Calls `f(position, n)` for parts of up to `size` elements of a range.
fn each(range: Range<usize>, size: usize, mut f: impl FnMut(usize, usize)) {
    for from in range.clone().step_by(size) {
        f(from, size.min(range.end - from));
    }
}

/// Room for gathered elements. Truth values are bytes, but not every byte is one.
#[derive(Default)]
pub struct Gathered {
    words: Vec<u64>,
    truths: Vec<bool>,
    /// Which elements are there, in a count of the operand's own.
    held: Range<usize>,
}

/// out = the elements at the positions from `from` on.
struct Gather<'a, T> {
    out: &'a mut [T],
    data: &'a [T],
    nest: &'a Nest<1>,
    from: usize,
}

impl<T: Copy> Kernel for Gather<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Gather { out, data, nest, from } = self;
        let (_, [step]) = nest.inner();
        nest.segments(from..from + out.len(), |position, [place], n| {
            strided(&mut out[position - from..][..n], data, place, step);
        });
    }
}

/// out[r, c] = the element in row `row` + r and column `column` + c, for as many rows as there are.
fn tile<T: Element>(out: &mut [T], data: &[T], nest: &Nest<1>, row: usize, column: usize, width: usize) {
    let (length, [step]) = nest.inner();
    let rows = ROWS.min(nest.len() / length - row);
    let mut places = [0; ROWS];
    for (r, place) in places[..rows].iter_mut().enumerate() {
        let first = (row + r) * length + column;
        nest.segments(first..first + 1, |_, [p], _| *place = p);
    }
    if step > 0 && places[..rows].windows(2).all(|pair| pair[1] == pair[0] + 1) {
        return transpose(out, width, &data[places[0] as usize..], step as usize, rows);
    }
    for (r, &place) in places[..rows].iter().enumerate() {
        strided(&mut out[r * width..][..width], data, place, step);
    }
}

impl Gathered {
    /// `n` of the elements, which have this type.
    pub fn slice(&self, dtype: DType, start: usize, n: usize) -> Slice<'_> {
        match dtype {
            DType::F32 => Slice::F32(&cast_slice(&self.words)[start..][..n]),
            DType::F64 => Slice::F64(&cast_slice(&self.words)[start..][..n]),
            DType::I64 => Slice::I64(&cast_slice(&self.words)[start..][..n]),
            DType::Bool => Slice::Bool(&self.truths[start..][..n]),
        }
    }

    /// Room for `n` elements.
    pub fn room(&mut self, dtype: DType, n: usize) -> SliceMut<'_> {
        match dtype {
            DType::Bool if self.truths.len() < n => self.truths = work::vector(n, false),
            DType::F32 if self.words.len() < n.div_ceil(2) => self.words = work::vector(n.div_ceil(2), 0),
            DType::F64 | DType::I64 if self.words.len() < n => self.words = work::vector(n, 0),
            _ => {}
        }
        match dtype {
            DType::F32 => SliceMut::F32(&mut cast_slice_mut(&mut self.words)[..n]),
            DType::F64 => SliceMut::F64(&mut cast_slice_mut(&mut self.words)[..n]),
            DType::I64 => SliceMut::I64(&mut cast_slice_mut(&mut self.words)[..n]),
            DType::Bool => SliceMut::Bool(&mut self.truths[..n]),
        }
    }

    fn fill(&mut self, data: Slice<'_>, place: usize, n: usize) {
        match (self.room(data.dtype(), n), data) {
            (SliceMut::F32(out), Slice::F32(x)) => out.fill(x[place]),
            (SliceMut::F64(out), Slice::F64(x)) => out.fill(x[place]),
            (SliceMut::I64(out), Slice::I64(x)) => out.fill(x[place]),
            (SliceMut::Bool(out), Slice::Bool(x)) => out.fill(x[place]),
            _ => {}
        }
    }

    fn gather(&mut self, data: Slice<'_>, nest: &Nest<1>, from: usize, n: usize) {
        match (self.room(data.dtype(), n), data) {
            (SliceMut::F32(out), Slice::F32(data)) => dispatch(Gather { out, data, nest, from }),
            (SliceMut::F64(out), Slice::F64(data)) => dispatch(Gather { out, data, nest, from }),
            (SliceMut::I64(out), Slice::I64(data)) => dispatch(Gather { out, data, nest, from }),
            (SliceMut::Bool(out), Slice::Bool(data)) => dispatch(Gather { out, data, nest, from }),
            _ => {}
        }
    }

    fn tile(&mut self, data: Slice<'_>, nest: &Nest<1>, row: usize, column: usize, width: usize) {
        match (self.room(data.dtype(), ROWS * width), data) {
            (SliceMut::F32(out), Slice::F32(data)) => tile(out, data, nest, row, column, width),
            (SliceMut::F64(out), Slice::F64(data)) => tile(out, data, nest, row, column, width),
            (SliceMut::I64(out), Slice::I64(data)) => tile(out, data, nest, row, column, width),
            (SliceMut::Bool(out), Slice::Bool(data)) => tile(out, data, nest, row, column, width),
            _ => {}
        }
    }
}
