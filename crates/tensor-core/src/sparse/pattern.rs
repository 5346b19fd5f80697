//! Where the elements of a sparse matrix are: for sparse kernels what a layout is for dense ones.

#[cfg(feature = "cuda")]
use super::copies::Copies;
use super::lines::{Lines, line_numbers, numbers, sort_by_line};
use super::symbolic::Symbolic;
use crate::array::Array;
use crate::error::Result;
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
    symbolic: Symbolic,
    #[cfg(feature = "cuda")]
    on_gpus: Copies<[Array<i64>; 2]>,
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
    /// A pattern of coordinates that are right, row-major on the host.
    pub(crate) fn of_coordinates(coordinates: [Array<i64>; 2], shape: [usize; 2]) -> Self {
        let places = Places::new(shape, coordinates[0].numel(), None);
        let _ = places.coordinates.set(coordinates);
        Pattern { places: Arc::new(places), transposed: false }
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
                let along = line_numbers(op, lines)?;
                let across = lines.across.clone();
                let both = if dim == 0 { [along, across] } else { [across, along] };
                places.coordinates.get_or_init(|| both)
            }
        };
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
        let lines = sort_by_line(op, numbers(along), numbers(across), self.places.shape[dim])?;
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

    /// What GPUs have of the coordinates as they were given.
    #[cfg(feature = "cuda")]
    pub(crate) fn on_gpus(&self) -> &Copies<[Array<i64>; 2]> {
        &self.places.on_gpus
    }

    pub(crate) fn symbolic(&self) -> &Symbolic {
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
