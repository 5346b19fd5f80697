//! Where the elements of a sparse matrix are: for sparse kernels what a layout is for dense ones.

use crate::array::Array;
use crate::cpu;
use crate::device::Device;
use crate::error::{Error, Result};
use crate::memory::vectors;
use crate::shape::Dims;
use std::sync::{Arc, OnceLock};

/// The places of the stored elements of a matrix, in the order of their values. It is found on the host; a GPU gets a
/// copy when it first needs one. What products need beside (the elements of each row, of each column) is computed
/// once and kept. Clones share all of it.
#[derive(Clone)]
pub struct Pattern {
    places: Arc<Places>,
    /// Whether rows and columns have changed their roles.
    transposed: bool,
}

struct Places {
    shape: [usize; 2],
    count: usize,
    /// The dimension along which the elements were given, line after line; None for coordinates.
    given: Option<usize>,
    coordinates: OnceLock<[Array<i64>; 2]>,
    /// By rows and by columns.
    lines: [OnceLock<Lines>; 2],
    /// What direct solvers know of the pattern.
    symbolic: cpu::sparse_solve::Symbolic,
    #[cfg(feature = "cuda")]
    on_gpus: Copies<[Array<i64>; 2]>,
}

/// The elements of a matrix line after line: the rows of a matrix, or its columns.
pub struct Lines {
    /// The elements of line i are those from `starts[i]` to `starts[i + 1]`.
    pub starts: Array<i64>,
    /// Where each element is along its line.
    pub across: Array<i64>,
    /// Which value belongs to each element; None where values are in this order.
    pub order: Option<Array<i64>>,
    /// `across` in half the memory, for lines of fewer than 2^32 places.
    narrow: OnceLock<Vec<u32>>,
    #[cfg(feature = "cuda")]
    on_gpus: Copies<LinesOnGpu>,
}

/// Places along a line, in as little memory as they need.
#[derive(Clone, Copy)]
pub(crate) enum Across<'a> {
    Narrow(&'a [u32]),
    Wide(&'a [i64]),
}

/// What [`Pattern`] holds are contiguous arrays on the host.
pub(crate) fn numbers(x: &Array<i64>) -> &[i64] {
    x.as_slice().expect("a pattern's arrays are row-major, on the host")
}

impl Lines {
    pub(crate) fn new(starts: Array<i64>, across: Array<i64>, order: Option<Array<i64>>) -> Self {
        Lines {
            starts,
            across,
            order,
            narrow: OnceLock::new(),
            #[cfg(feature = "cuda")]
            on_gpus: Copies::new(),
        }
    }

    /// The places along lines that have `size` of them.
    pub(crate) fn across(&self, op: &'static str, size: usize) -> Result<Across<'_>> {
        let wide = numbers(&self.across);
        if u32::try_from(size).is_err() {
            return Ok(Across::Wide(wide));
        }
        let narrow = match self.narrow.get() {
            Some(known) => known,
            None => {
                let narrow = vectors::collect(op, wide.iter().map(|&i| i as u32))?;
                self.narrow.get_or_init(|| narrow)
            }
        };
        Ok(Across::Narrow(narrow))
    }

    #[cfg(feature = "cuda")]
    pub(crate) fn on(&self, op: &'static str, device: Device) -> Result<LinesOnGpu> {
        self.on_gpus.get(device, || {
            let order = self.order.as_ref().map(|order| order.to_device(op, device));
            Ok(LinesOnGpu {
                starts: self.starts.to_device(op, device)?,
                across: self.across.to_device(op, device)?,
                order: order.transpose()?,
            })
        })
    }
}

/// Lines in the memory of a GPU.
#[cfg(feature = "cuda")]
#[derive(Clone)]
pub(crate) struct LinesOnGpu {
    starts: Array<i64>,
    across: Array<i64>,
    order: Option<Array<i64>>,
}

#[cfg(feature = "cuda")]
impl LinesOnGpu {
    /// Starts, places and order as kernels take them.
    pub fn words(&self) -> [u64; 3] {
        [self.starts.pointer(), self.across.pointer(), self.order.as_ref().map_or(0, Array::pointer)]
    }
}

/// What each GPU has a copy of.
#[cfg(feature = "cuda")]
struct Copies<V>(std::sync::Mutex<Vec<(Device, V)>>);

#[cfg(feature = "cuda")]
impl<V: Clone> Copies<V> {
    const fn new() -> Self {
        Copies(std::sync::Mutex::new(Vec::new()))
    }

    fn get(&self, device: Device, make: impl FnOnce() -> Result<V>) -> Result<V> {
        let lock = || self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some((_, copy)) = lock().iter().find(|(d, _)| *d == device) {
            return Ok(copy.clone());
        }
        let copy = make()?;
        lock().push((device, copy.clone()));
        Ok(copy)
    }
}

/// A row-major copy on the host, or the array itself where it is one.
fn on_host(op: &'static str, x: &Array<i64>) -> Result<Array<i64>> {
    let x = x.to_device(op, Device::Cpu)?;
    if x.as_slice().is_some() { Ok(x) } else { crate::kernels::copy(op, &x) }
}

/// An error where a place is outside of its dimension, which `name` names.
fn inside(op: &'static str, places: &[i64], size: usize, name: &str, shape: &[usize]) -> Result<()> {
    match places.iter().position(|&i| i < 0 || i as usize >= size) {
        None => Ok(()),
        Some(k) => {
            let message = format!(
                "{name} index {} of element {k} is out of range for shape {shape:?}: it counts from 0 to {}",
                places[k],
                size as i128 - 1
            );
            Err(Error::index(op, message))
        }
    }
}

impl Places {
    fn new(shape: [usize; 2], count: usize, given: Option<usize>) -> Self {
        let lines = [OnceLock::new(), OnceLock::new()];
        Places {
            shape,
            count,
            given,
            coordinates: OnceLock::new(),
            lines,
            symbolic: Default::default(),
            #[cfg(feature = "cuda")]
            on_gpus: Copies::new(),
        }
    }
}

impl Pattern {
    /// Element k at row `rows[k]` and column `columns[k]`, in any order; places may be named more than once, and
    /// the values then add up.
    ///
    /// # Errors
    /// Shape, where these are not vectors of one length; index, for a place outside of the matrix.
    pub fn from_coordinates(
        op: &'static str,
        rows: &Array<i64>,
        columns: &Array<i64>,
        shape: [usize; 2],
    ) -> Result<Self> {
        if rows.ndim() != 1 || rows.shape() != columns.shape() {
            let message = format!(
                "rows {:?} and columns {:?}: two vectors of one length are needed",
                rows.shape(),
                columns.shape()
            );
            return Err(Error::shape(op, message));
        }
        let coordinates = [on_host(op, rows)?, on_host(op, columns)?];
        inside(op, numbers(&coordinates[0]), shape[0], "row", &shape)?;
        inside(op, numbers(&coordinates[1]), shape[1], "column", &shape)?;
        let places = Places::new(shape, rows.numel(), None);
        let _ = places.coordinates.set(coordinates);
        Ok(Pattern { places: Arc::new(places), transposed: false })
    }

    /// The elements of row i (or, for `dim` 1, of column i) from `starts[i]` to `starts[i + 1]`, at the places
    /// `across` along it, which ascend.
    ///
    /// # Errors
    /// Shape, where there is not a start for each line and one for the end; index, for starts that descend or leave
    /// the elements, and places that do not ascend or are outside of the matrix.
    pub fn from_lines(
        op: &'static str,
        dim: usize,
        starts: &Array<i64>,
        across: &Array<i64>,
        shape: [usize; 2],
    ) -> Result<Self> {
        let (line, place) = if dim == 0 { ("row", "column") } else { ("column", "row") };
        if starts.ndim() != 1 || across.ndim() != 1 || starts.numel() != shape[dim].saturating_add(1) {
            let message = format!(
                "starts {:?} and indices {:?} for shape {shape:?}: vectors are needed, and a start for each {line} \
                 and one for the end",
                starts.shape(),
                across.shape(),
            );
            return Err(Error::shape(op, message));
        }
        let (starts, across) = (on_host(op, starts)?, on_host(op, across)?);
        let (s, a) = (numbers(&starts), numbers(&across));
        if s[0] != 0 || s[shape[dim]] != a.len() as i64 || s.windows(2).any(|w| w[0] > w[1]) {
            let message = format!(
                "the starts of the {line}s do not ascend from 0 to {}, the number of elements",
                a.len()
            );
            return Err(Error::index(op, message));
        }
        inside(op, a, shape[1 - dim], place, &shape)?;
        let descends = |w: &[i64]| a[w[0] as usize..w[1] as usize].windows(2).any(|p| p[0] >= p[1]);
        if let Some(i) = s.windows(2).position(descends) {
            let message = format!(
                "the {place} indices of {line} {i} do not ascend: build the matrix with coo, which takes them in any \
                 order"
            );
            return Err(Error::index(op, message));
        }
        Ok(Pattern::of_lines(dim, Lines::new(starts, across, None), shape))
    }

    /// A pattern of lines that are right.
    pub(crate) fn of_lines(dim: usize, lines: Lines, shape: [usize; 2]) -> Self {
        let places = Places::new(shape, lines.across.numel(), Some(dim));
        let _ = places.lines[dim].set(lines);
        Pattern { places: Arc::new(places), transposed: false }
    }

    /// Rows and columns of the matrix.
    pub fn shape(&self) -> [usize; 2] {
        let [m, n] = self.places.shape;
        if self.transposed { [n, m] } else { [m, n] }
    }

    /// The number of stored elements.
    pub fn count(&self) -> usize {
        self.places.count
    }

    /// The pattern of the transpose; values stay in their order.
    #[must_use]
    pub fn transposed(&self) -> Self {
        Pattern { places: self.places.clone(), transposed: !self.transposed }
    }

    /// The dimension line after line of which the values are: 0 for rows, 1 for columns, None for coordinates.
    pub fn given(&self) -> Option<usize> {
        self.places.given.map(|dim| self.turned(dim))
    }

    /// A dimension of this pattern as one of the places, and the other way round.
    fn turned(&self, dim: usize) -> usize {
        dim ^ usize::from(self.transposed)
    }

    /// The row and the column of every element.
    ///
    /// # Errors
    /// Out of memory.
    pub fn coordinates(&self, op: &'static str) -> Result<[&Array<i64>; 2]> {
        let places = &*self.places;
        let [rows, columns] = match (places.coordinates.get(), places.given) {
            (Some(known), _) => known,
            (None, given) => {
                let dim = given.unwrap_or(0);
                let lines = places.lines[dim].get().expect("lines are known where coordinates are not");
                let along = cpu::sparse::line_numbers(op, lines)?;
                let across = lines.across.clone();
                let both = if dim == 0 { [along, across] } else { [across, along] };
                places.coordinates.get_or_init(|| both)
            }
        };
        Ok(if self.transposed { [columns, rows] } else { [rows, columns] })
    }

    /// [`Pattern::coordinates`] in the memory of a GPU.
    #[cfg(feature = "cuda")]
    pub(crate) fn coordinates_on(&self, op: &'static str, device: Device) -> Result<[Array<i64>; 2]> {
        let [rows, columns] = self.places.on_gpus.get(device, || {
            let [rows, columns] = self.upright().coordinates(op)?.map(|x| x.to_device(op, device));
            Ok([rows?, columns?])
        })?;
        Ok(if self.transposed { [columns, rows] } else { [rows, columns] })
    }

    /// The elements row by row, for `dim` 0, or column by column. Within a line they are in the order of their
    /// values; where that was row by row or column by column, their places ascend.
    ///
    /// # Errors
    /// Out of memory.
    pub fn lines(&self, op: &'static str, dim: usize) -> Result<&Lines> {
        let dim = self.turned(dim);
        let cell = &self.places.lines[dim];
        if let Some(lines) = cell.get() {
            return Ok(lines);
        }
        let upright = self.upright();
        let [rows, columns] = upright.coordinates(op)?;
        let (along, across) = if dim == 0 { (rows, columns) } else { (columns, rows) };
        let lines = cpu::sparse::sort_by_line(op, numbers(along), numbers(across), self.places.shape[dim])?;
        Ok(cell.get_or_init(|| lines))
    }

    /// The pattern row by row, for `dim` 0, or column by column, and where it finds its values among those of this
    /// one, whose places are named once each; None where they are in order.
    ///
    /// # Errors
    /// Out of memory.
    pub fn sorted(&self, op: &'static str, dim: usize) -> Result<(Self, Option<Array<i64>>)> {
        let Lines { starts, across, order, .. } = self.lines(op, dim)?;
        let lines = Lines::new(starts.clone(), across.clone(), None);
        Ok((Pattern::of_lines(dim, lines, self.shape()), order.clone()))
    }

    /// The memory that the places take, on the host.
    pub fn bytes(&self) -> usize {
        let places = &*self.places;
        let size = |x: &Array<i64>| x.allocation().1;
        let coordinates = places.coordinates.get().map_or(0, |both| both.iter().map(size).sum());
        let lines = places.lines.iter().filter_map(OnceLock::get).map(|lines| {
            let narrow = lines.narrow.get().map_or(0, |n| size_of_val(n.as_slice()));
            size(&lines.starts) + size(&lines.across) + lines.order.as_ref().map_or(0, size) + narrow
        });
        coordinates + lines.sum::<usize>()
    }

    /// Whether elements are named once each, in row-major order.
    ///
    /// # Errors
    /// Out of memory.
    pub fn is_coalesced(&self, op: &'static str) -> Result<bool> {
        match self.given() {
            Some(dim) => Ok(dim == 0),
            None => {
                let [rows, columns] = self.coordinates(op)?;
                let mut places = numbers(rows).iter().zip(numbers(columns));
                let mut last = places.next();
                Ok(places.all(|place| last.replace(place).is_some_and(|last| last < place)))
            }
        }
    }

    /// Whether the same places are named in the same order.
    ///
    /// # Errors
    /// Out of memory.
    pub fn is_same(&self, op: &'static str, other: &Pattern) -> Result<bool> {
        if Arc::ptr_eq(&self.places, &other.places) && self.transposed == other.transposed {
            return Ok(true);
        }
        if self.shape() != other.shape() || self.count() != other.count() {
            return Ok(false);
        }
        let ([a, b], [c, d]) = (self.coordinates(op)?, other.coordinates(op)?);
        Ok(numbers(a) == numbers(c) && numbers(b) == numbers(d))
    }

    pub(crate) fn symbolic(&self) -> &cpu::sparse_solve::Symbolic {
        &self.places.symbolic
    }

    pub(crate) fn is_transposed(&self) -> bool {
        self.transposed
    }

    /// The same places with rows and columns as they were given.
    pub(crate) fn upright(&self) -> Self {
        Pattern { places: self.places.clone(), transposed: false }
    }
}

/// The places named in the columns of `indices`, `[d, n]`, each once and in row-major order, `[d, k]`; and for each
/// of the n its number among these. None where they are so already.
///
/// # Errors
/// Shape, where there is not a row of indices for each dimension; index, for a place outside of the shape; argument, where the
/// shape has more than 2^63 places; out of memory.
pub fn coalesce(
    op: &'static str,
    indices: &Array<i64>,
    shape: &[usize],
) -> Result<Option<(Array<i64>, Array<i64>)>> {
    let indices = places_of(op, indices, shape)?;
    let keys = linear(op, &indices, shape)?;
    if numbers(&keys).windows(2).all(|w| w[0] < w[1]) {
        return Ok(None);
    }
    cpu::sparse::coalesce(op, &indices, numbers(&keys)).map(Some)
}

/// The position in row-major order of each place named in the columns of `indices`.
///
/// # Errors
/// As [`coalesce`].
pub fn positions(op: &'static str, indices: &Array<i64>, shape: &[usize]) -> Result<Array<i64>> {
    linear(op, &places_of(op, indices, shape)?, shape)
}

fn linear(op: &'static str, indices: &Array<i64>, shape: &[usize]) -> Result<Array<i64>> {
    let places = shape.iter().try_fold(1i64, |n, &d| n.checked_mul(i64::try_from(d).ok()?));
    if places.is_none() {
        let message = format!("shape {shape:?} has more than 2^63 places, which cannot be numbered");
        return Err(Error::argument(op, message));
    }
    let n = indices.shape()[1];
    Array::build(op, Dims::from_slice(&[n]), |out| {
        out.fill(0);
        for (row, &size) in numbers(indices).chunks_exact(n.max(1)).zip(shape) {
            for (out, &i) in out.iter_mut().zip(row) {
                *out = *out * size as i64 + i;
            }
        }
    })
}

/// Indices on the host, one row for each dimension of the shape, all inside of it.
fn places_of(op: &'static str, indices: &Array<i64>, shape: &[usize]) -> Result<Array<i64>> {
    if indices.ndim() != 2 || indices.shape()[0] != shape.len() {
        let message = format!(
            "indices {:?} for shape {shape:?}: a matrix with a row for each dimension is needed",
            indices.shape()
        );
        return Err(Error::shape(op, message));
    }
    let indices = on_host(op, indices)?;
    let n = indices.shape()[1];
    for (k, (row, &size)) in numbers(&indices).chunks_exact(n.max(1)).zip(shape).enumerate() {
        inside(op, row, size, &format!("dimension {k}'s"), shape)?;
    }
    Ok(indices)
}
