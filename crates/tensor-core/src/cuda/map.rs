//! Formulas applied to every element: the text of a kernel is written from the formula when it is first met.

use super::operand::{Operand, Placed, Source, divisor, shared_gpu};
use super::registry::{Functions, PRELUDE, type_name};
use crate::array::Array;
use crate::code::{CONSTANT, Code, INPUT, Program, Statement, trace};
use crate::element::{DType, Element};
use crate::error::{Error, ErrorKind, Result};
use crate::gpu::context::{Function, Gpu};
use crate::layout::Layout;
use crate::nest::Nest;
use crate::shape::{Dims, broadcast};
use smallvec::SmallVec;
use std::ffi::CStr;
use std::fmt::Write;

const TEXT: &str = include_str!("kernels/map.cu");

/// What writes a formula down.
pub(crate) type Text<'a> = &'a dyn Fn(&[Code]) -> Option<Code>;

// What `kernels` calls: once for the types, whatever the formula, and out of the way of the CPU's code.

/// f(x).
#[cold]
#[inline(never)]
pub(crate) fn map<T: Element, U: Element>(op: &'static str, x: &Array<T>, f: Text<'_>) -> Result<Array<U>> {
    fresh(shared_gpu(op, &[x.place()])?, op, Dims::from_slice(x.shape()), [x.operand()], f)
}

/// f(x), in the memory of `x` where nothing else shares it.
#[cold]
#[inline(never)]
pub(crate) fn map_owned<T: Element>(op: &'static str, mut x: Array<T>, f: Text<'_>) -> Result<Array<T>> {
    let gpu = shared_gpu(op, &[x.place()])?;
    let shape = Dims::from_slice(x.shape());
    let out = target(gpu, op, &mut x, &shape)?;
    into(gpu, op, out.as_ref().unwrap_or(&x).operand(), [x.operand()], f)?;
    Ok(out.unwrap_or(x))
}

/// f(a, b), broadcast.
#[cold]
#[inline(never)]
pub(crate) fn zip<A: Element, B: Element, U: Element>(
    op: &'static str,
    a: &Array<A>,
    b: &Array<B>,
    f: Text<'_>,
) -> Result<Array<U>> {
    let gpu = shared_gpu(op, &[a.place(), b.place()])?;
    let shape = broadcast(op, a.shape(), b.shape())?;
    let (a, b) = (a.expand(op, &shape)?, b.expand(op, &shape)?);
    fresh(gpu, op, shape, [a.operand(), b.operand()], f)
}

/// f(a, b), broadcast, in the memory of `a` where nothing else shares it and it has the result's shape.
#[cold]
#[inline(never)]
pub(crate) fn zip_owned<A: Element, B: Element>(
    op: &'static str,
    mut a: Array<A>,
    b: &Array<B>,
    f: Text<'_>,
) -> Result<Array<A>> {
    let gpu = shared_gpu(op, &[a.place(), b.place()])?;
    let shape = broadcast(op, a.shape(), b.shape())?;
    let out = target(gpu, op, &mut a, &shape)?;
    let (x, b) = (a.expand(op, &shape)?, b.expand(op, &shape)?);
    into(gpu, op, out.as_ref().unwrap_or(&x).operand(), [x.operand(), b.operand()], f)?;
    Ok(out.unwrap_or(a))
}

/// f(a, b, c), broadcast.
#[cold]
#[inline(never)]
pub(crate) fn zip3<A: Element, B: Element, C: Element, U: Element>(
    op: &'static str,
    a: &Array<A>,
    b: &Array<B>,
    c: &Array<C>,
    f: Text<'_>,
) -> Result<Array<U>> {
    let gpu = shared_gpu(op, &[a.place(), b.place(), c.place()])?;
    let shape = broadcast(op, &broadcast(op, a.shape(), b.shape())?, c.shape())?;
    let (a, b, c) = (a.expand(op, &shape)?, b.expand(op, &shape)?, c.expand(op, &shape)?);
    fresh(gpu, op, shape, [a.operand(), b.operand(), c.operand()], f)
}

/// f of the elements of any number of arrays, broadcast.
#[cold]
#[inline(never)]
pub(crate) fn zip_many<T: Element>(op: &'static str, x: &[&Array<T>], f: Text<'_>) -> Result<Array<T>> {
    let places: SmallVec<[_; 4]> = x.iter().map(|x| x.place()).collect();
    let gpu = shared_gpu(op, &places)?;
    let mut shape = Dims::new();
    for x in x {
        shape = broadcast(op, &shape, x.shape())?;
    }
    let x = x.iter().map(|x| x.expand(op, &shape)).collect::<Result<SmallVec<[_; 4]>>>()?;
    let operands: SmallVec<[Operand<'_>; 4]> = x.iter().map(Array::operand).collect();
    let out = Array::<T>::unwritten(gpu, op, shape)?;
    into_many(gpu, op, out.operand(), &operands, f)?;
    Ok(out)
}

/// Memory for a result that may overwrite `x`: None where it does.
fn target<T: Element>(
    gpu: &'static Gpu,
    op: &'static str,
    x: &mut Array<T>,
    shape: &[usize],
) -> Result<Option<Array<T>>> {
    if x.shape() == shape && x.layout().is_contiguous() && x.is_unshared() {
        return Ok(None);
    }
    Array::unwritten(gpu, op, Dims::from_slice(shape)).map(Some)
}

/// f(x..) in fresh memory, for operands of the shape of the result.
pub(crate) fn fresh<const N: usize, U: Element>(
    gpu: &'static Gpu,
    op: &'static str,
    shape: Dims,
    x: [Operand; N],
    f: Text<'_>,
) -> Result<Array<U>> {
    let out = Array::<U>::unwritten(gpu, op, shape)?;
    into(gpu, op, out.operand(), x, f)?;
    Ok(out)
}

/// Writes f(x..) to the places of `y`; all operands have its shape.
pub(crate) fn into<const N: usize>(
    gpu: &'static Gpu,
    op: &'static str,
    y: Operand,
    x: [Operand; N],
    f: Text<'_>,
) -> Result<()> {
    into_many(gpu, op, y, &x, f)
}

/// [`into`], for any number of operands.
fn into_many(gpu: &'static Gpu, op: &'static str, y: Operand, x: &[Operand], f: Text<'_>) -> Result<()> {
    if y.layout.numel() == 0 {
        return Ok(());
    }
    let Some((mut program, result)) = trace(x.iter().map(|x| x.dtype), f) else {
        let message = format!(
            "this function has no CUDA form, and its operands are on cuda:{}: write it with formula!, or move \
             them with cpu()",
            gpu.ordinal()
        );
        return Err(Error::new(ErrorKind::Device, op, message));
    };
    debug_assert_eq!(result.dtype(), y.dtype, "{op}");
    if x.len() >= OPERANDS {
        let message =
            format!("{} operands are more than a kernel's {}: compose the function", x.len(), OPERANDS - 1);
        return Err(Error::new(ErrorKind::Device, op, message));
    }
    // Operands of one known value are parameters, as the numbers within the formula are.
    let mut inputs: SmallVec<[Operand; 3]> = SmallVec::new();
    for (k, x) in x.iter().enumerate() {
        program.statements[k] = match x.source {
            Source::Memory(_) => {
                inputs.push(*x);
                Statement { args: [inputs.len() as u16 - 1, 0, 0], ..program.statements[k] }
            }
            Source::Known(bits) => {
                program.constants.push(bits);
                let place = program.constants.len() as u16 - 1;
                Statement { pattern: CONSTANT, args: [place, 0, 0], ..program.statements[k] }
            }
        };
    }
    Map { gpu, op, program: &program, result: result.place, y, inputs: &inputs }.run()
}

/// A formula and its operands.
struct Map<'a> {
    gpu: &'static Gpu,
    op: &'static str,
    program: &'a Program,
    /// Which of its values is y.
    result: u16,
    y: Operand<'a>,
    inputs: &'a [Operand<'a>],
}

/// The most operands, with y.
const OPERANDS: usize = 8;

/// The loop over the elements: sizes, and the strides of y and of the inputs; operands that are not there repeat y.
type Loop = Nest<OPERANDS>;

/// Elements that one launch takes at most: their number, and the places in a pack, fit into 31 bits.
const LARGEST: usize = 1 << 30;

/// Dimensions of the ordinary kernel, and of the one for the rest.
const DIMENSIONS: [usize; 2] = [6, 32];

impl Map<'_> {
    fn run(&self) -> Result<()> {
        let layout = |k: usize| -> &Layout {
            match k {
                0 => self.y.layout,
                k => self.inputs.get(k - 1).map_or(self.y.layout, |x| x.layout),
            }
        };
        let layouts: [&Layout; OPERANDS] = std::array::from_fn(layout);
        let strides = layouts.map(Layout::strides);
        let shape = self.y.layout.shape();
        let dims = (0..shape.len()).map(|k| (shape[k], std::array::from_fn(|n| strides[n][k])));
        self.run_over(Loop::of(dims, [0; OPERANDS]).dims(), [0; OPERANDS])
    }

    /// Runs over the given dimensions from the given places: in halves, where they are too large for one launch.
    fn run_over(&self, dims: &[(usize, [isize; OPERANDS])], start: [isize; OPERANDS]) -> Result<()> {
        let count: usize = dims.iter().map(|d| d.0).product();
        if count > LARGEST {
            let mut halves: SmallVec<[_; 4]> = dims.into();
            let k = (0..dims.len()).max_by_key(|&k| dims[k].0).unwrap_or(0);
            let (size, steps) = dims[k];
            halves[k].0 = size / 2;
            self.run_over(&halves, start)?;
            halves[k].0 = size - size / 2;
            let moved = std::array::from_fn(|n| start[n] + (size / 2) as isize * steps[n]);
            return self.run_over(&halves, moved);
        }
        match self.rows(dims, start) {
            Some(words) => {
                let (words, packs) = words;
                self.launch(c"rows", 0, packs.div_ceil(512).max(1), &words)
            }
            None => self.strided(dims, start, count),
        }
    }

    /// The address of the element of operand `k` (0 for y) at `place`.
    fn address(&self, k: usize, place: isize) -> u64 {
        let operand = if k == 0 { &self.y } else { &self.inputs[k - 1] };
        match operand.source {
            Source::Memory(start) => {
                start.wrapping_add_signed((place * operand.dtype.size() as isize) as i64)
            }
            Source::Known(_) => 0,
        }
    }

    /// The operands' element types, y first.
    fn dtypes(&self) -> impl Iterator<Item = DType> {
        std::iter::once(self.y.dtype).chain(self.inputs.iter().map(|x| x.dtype))
    }

    /// Elements that fill the 16 bytes of the widest load.
    fn width(&self) -> usize {
        16 / self.dtypes().map(DType::size).max().unwrap_or(16)
    }

    /// The words of the kernel over rows of packs, and how many packs there are, where the operands lie so.
    fn rows(
        &self,
        dims: &[(usize, [isize; OPERANDS])],
        start: [isize; OPERANDS],
    ) -> Option<(SmallVec<[u64; 32]>, usize)> {
        let ((rows, outer), (columns, inner)) = match *dims {
            [inner] => ((1, [0; OPERANDS]), inner),
            [outer, inner] => (outer, inner),
            _ => return None,
        };
        let width = self.width();
        let used = self.inputs.len() + 1;
        let mut repeated = 0;
        for (k, dtype) in self.dtypes().enumerate() {
            match inner[k] {
                1 => {
                    let aligned = self.address(k, start[k]).is_multiple_of((width * dtype.size()) as u64);
                    if !aligned || (rows > 1 && !outer[k].unsigned_abs().is_multiple_of(width)) {
                        return None;
                    }
                }
                // A row of one element has any stride.
                0 if k > 0 => repeated |= 1 << (k - 1),
                _ => return None,
            }
        }
        if rows > 1 && !columns.is_multiple_of(width) {
            return None;
        }
        let packs = rows * (columns / width);
        let count = rows * columns;
        let mut words = SmallVec::new();
        self.each(&mut words, |k| self.address(k, start[k]));
        self.each(&mut words, |k| outer[k] as u64);
        words.extend(divisor((columns / width).max(1)));
        words.extend([packs as u64, count as u64, repeated]);
        debug_assert!(used <= OPERANDS);
        words.extend_from_slice(&self.constants());
        Some((words, packs))
    }

    /// Pushes a word for y, and one for each input, at least one.
    fn each(&self, words: &mut SmallVec<[u64; 32]>, word: impl Fn(usize) -> u64) {
        words.push(word(0));
        words.extend((0..self.inputs.len()).map(|k| word(k + 1)));
        if self.inputs.is_empty() {
            words.push(0);
        }
    }

    /// The captured numbers, at least one.
    fn constants(&self) -> SmallVec<[u64; 4]> {
        let mut constants = self.program.constants.clone();
        if constants.is_empty() {
            constants.push(0);
        }
        constants
    }

    fn strided(
        &self,
        dims: &[(usize, [isize; OPERANDS])],
        start: [isize; OPERANDS],
        count: usize,
    ) -> Result<()> {
        let Some(most) = DIMENSIONS.into_iter().find(|&most| dims.len() <= most) else {
            let message = format!(
                "{} dimensions, none of which lie one behind another, are more than a kernel's {}: make the \
                 operands contiguous first",
                dims.len(),
                DIMENSIONS[1]
            );
            return Err(Error::shape(self.op, message));
        };
        let mut words = SmallVec::new();
        self.each(&mut words, |k| self.address(k, start[k]));
        words.extend([count as u64, dims.len() as u64]);
        // The fastest dimension first.
        let along = |d: usize| dims.len().checked_sub(d + 1).map(|d| dims[d]);
        for d in 0..most {
            words.extend(divisor(along(d).map_or(1, |d| d.0)));
        }
        for k in 0..=self.inputs.len().max(1) {
            words.extend((0..most).map(|d| along(d).map_or(0, |d| d.1[k] as u64)));
        }
        words.extend_from_slice(&self.constants());
        self.launch(c"strided", most, count.div_ceil(256), &words)
    }

    /// Launches one of the two kernels; `dimensions` is 0 where it does not count.
    fn launch(&self, kernel: &'static CStr, dimensions: usize, blocks: usize, words: &[u64]) -> Result<()> {
        type Key = (usize, SmallVec<[Statement; 8]>, u16, DType, usize, &'static CStr);
        static FUNCTIONS: Functions<Key> = Functions::new();
        let dimensions = dimensions.max(DIMENSIONS[0]);
        let statements = self.program.statements.clone();
        let key = (self.gpu.ordinal(), statements, self.result, self.y.dtype, dimensions, kernel);
        let function = FUNCTIONS.get(&key, || -> Result<Function> {
            self.gpu.module(self.op, &self.source(dimensions))?.function(self.op, kernel)
        })?;
        self.gpu.launch(self.op, function, [blocks as u32, 1, 1], [256, 1, 1], 0, words)
    }

    /// The source of the kernels of this formula.
    fn source(&self, dimensions: usize) -> String {
        let Program { statements, constants } = self.program;
        let mut text = format!("{PRELUDE}\n");
        let mut line = |words: std::fmt::Arguments| {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{words}");
        };
        let (mut parameters, mut each) = (String::new(), String::new());
        for (k, x) in self.inputs.iter().enumerate() {
            line(format_args!("typedef {} X{k};", type_name(x.dtype)));
            parameters += &format!("X{k} x{k}, ");
            each += &format!(" M({k})");
        }
        line(format_args!("typedef {} Y;", type_name(self.y.dtype)));
        line(format_args!("#define INPUTS {}", self.inputs.len()));
        line(format_args!("#define CONSTANTS {}", constants.len()));
        line(format_args!("#define WIDTH {}", self.width()));
        line(format_args!("#define DIMENSIONS {dimensions}"));
        line(format_args!("#define EACH_INPUT(M){each}"));
        line(format_args!("DEVICE Y formula({parameters}const u64* constants) {{"));
        for (k, Statement { pattern, dtype, args }) in statements.iter().enumerate() {
            let name = type_name(*dtype);
            let value = match *pattern {
                INPUT => format!("x{}", args[0]),
                CONSTANT => format!("Bits<{name}>::of(constants[{}])", args[0]),
                pattern => (0..3).fold(pattern.to_string(), |text, n| {
                    text.replace(&format!("${n}"), &format!("v{}", args[n]))
                }),
            };
            line(format_args!("    const {name} v{k} = {value};"));
        }
        line(format_args!("    return v{};\n}}", self.result));
        text + TEXT
    }
}
