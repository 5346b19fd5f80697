//! Sparse Jacobians from few passes: rows without a common column are computed as one, and so are columns without a
//! common row.
//!
//! Source: Curtis, Powell, Reid, "On the estimation of sparse Jacobian matrices", 1974; Gebremedhin, Manne, Pothen,
//! "What color is your Jacobian? Graph coloring for computing derivatives", 2005.

use super::SparseTensor;
use autograd::{Linearized, Tensor, jvp_batched, no_grad, vjp, vjp_batched};
use tensor_core::kernels::sparse::Pattern;
use tensor_core::{Array, AtCaller, Device, Error, Float, Result, compiled_once, kernels, memory};

/// How the Jacobian of a function is computed from few passes, given where it can be other than zero: it serves every
/// point at which that holds.
///
/// ```
/// use tapegrad::Tensor;
/// use tapegrad::linalg::SparseJacobian;
/// // y_i = x_i x_(i+1): two diagonals.
/// let f = |x: &Tensor| x.narrow(0, 0, 999)?.try_mul(&x.narrow(0, 1, 999)?);
/// let x = Tensor::ones([1000]);
/// let plan = SparseJacobian::detect(f, &x)?;
/// assert_eq!((plan.nnz(), plan.passes()), (1998, 2));
/// let j = plan.evaluate(f, &(x * 3.0))?;
/// assert_eq!(j.sum_dim(1)?.to_vec(), [6.0; 999]);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// The Hessian of a scalar function is the Jacobian of its gradient:
///
/// ```
/// use tapegrad::{Tensor, value_and_grad};
/// use tapegrad::linalg::SparseJacobian;
/// let gradient = |x: &Tensor| Ok(value_and_grad(|x| Ok(x.powf(3.0).sum()), x)?.1);
/// let x = Tensor::from([1.0, 2.0]);
/// let h = SparseJacobian::detect(gradient, &x)?.evaluate(gradient, &x)?;
/// assert_eq!(h.to_dense()?.to_vec(), [6.0, 0.0, 0.0, 12.0]);
/// # Ok::<(), tapegrad::Error>(())
/// ```
#[derive(Clone)]
pub struct SparseJacobian {
    pattern: Pattern,
    /// Whether columns are computed together, by forward products; else rows, by backward passes.
    by_columns: bool,
    /// The group of each row, or column.
    groups: Array<i64>,
    count: usize,
    /// Where each element of the pattern is in the compressed rows, or columns.
    places: Array<i64>,
    checked: bool,
}

/// Backward passes that a forward product costs at most.
const FORWARD_COST: usize = 2;

/// Elements of the rows that are looked at together when a pattern is detected.
const LOOKED_AT: usize = 1 << 20;

impl SparseJacobian {
    /// For the pattern of a sparse matrix with a row for each element of the value and a column for each element of the
    /// argument; its values do not matter.
    ///
    /// # Errors
    /// Shape, where this is not a matrix; out of memory.
    #[track_caller]
    pub fn new<T: Float>(pattern: &SparseTensor<T>) -> Result<Self> {
        let plan = || {
            let distinct = pattern.coalesced("sparse_jacobian")?;
            SparseJacobian::for_pattern(distinct.pattern("sparse_jacobian")?.clone())
        };
        plan().at_caller()
    }

    /// For the pattern that `f` shows at `x` and at a random point close by: an element that is zero at both is taken
    /// for zero everywhere. What lies in branches that were not taken, or where a factor was zero at both points, is not
    /// seen: give the pattern where that can happen. Costs as much as a dense Jacobian twice, without storing it.
    ///
    /// # Errors
    /// What `f` returns; out of memory.
    #[track_caller]
    pub fn detect<T: Float>(f: impl Fn(&Tensor<T>) -> Result<Tensor<T>>, x: &Tensor<T>) -> Result<Self> {
        detected(&f, &x.detach()).at_caller()
    }

    fn for_pattern(pattern: Pattern) -> Result<Self> {
        let op = "sparse_jacobian";
        let rows = colour(op, &pattern, 0)?;
        let columns = colour(op, &pattern, 1)?;
        let by_columns = columns.1.saturating_mul(FORWARD_COST) < rows.1;
        let (groups, count) = if by_columns { columns } else { rows };
        let [i, j] = pattern
            .coordinates(op)?
            .map(|x| x.as_slice().expect("a pattern's arrays are row-major, on the host"));
        let (along, across) = if by_columns { (j, i) } else { (i, j) };
        let width = pattern.shape()[usize::from(!by_columns)] as i64;
        let places = along.iter().zip(across).map(|(&a, &b)| groups[a as usize] * width + b);
        let places = memory::collect(op, places)?;
        let n = groups.len();
        Ok(SparseJacobian {
            by_columns,
            groups: Array::from_vec(groups, &[n])?,
            count,
            places: Array::from_vec(places, &[pattern.count()])?,
            pattern,
            checked: cfg!(debug_assertions),
        })
    }

    /// Whether every evaluation compares its result with one product of a random vector and the Jacobian, one more
    /// backward pass: an error where the pattern misses an element that is not small. A debug build does so unless told
    /// otherwise here, a release build does not.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// use tapegrad::linalg::{SparseJacobian, SparseTensor};
    /// // Not diagonal, whatever the pattern says.
    /// let plan = SparseJacobian::new(&SparseTensor::<f64>::eye(2)?)?.checked(true);
    /// let error = plan.evaluate(|x| Ok(x * x.sum()), &Tensor::from([1.0, 2.0])).unwrap_err();
    /// assert!(error.to_string().contains("pattern"));
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    #[must_use]
    pub fn checked(mut self, checked: bool) -> Self {
        self.checked = checked;
        self
    }

    /// How many passes an evaluation takes, done together: backward passes, or forward products where these are fewer by far.
    pub fn passes(&self) -> usize {
        self.count
    }

    /// Elements of the pattern.
    pub fn nnz(&self) -> usize {
        self.pattern.count()
    }

    /// The Jacobian of `f` at `x`, with coordinates in row-major order: a row for each element of the value, a column for
    /// each element of `x`. Differentiable in turn.
    ///
    /// # Errors
    /// What `f` returns; shape, where value and argument do not have the sizes of the pattern.
    #[track_caller]
    pub fn evaluate<T: Float>(
        &self,
        f: impl Fn(&Tensor<T>) -> Result<Tensor<T>>,
        x: &Tensor<T>,
    ) -> Result<SparseTensor<T>> {
        let products = |seeds: &Tensor<T>| match self.by_columns {
            true => jvp_batched(&f, x, seeds),
            false => vjp_batched(&f, x, seeds),
        };
        let pull = |u: &Tensor<T>| Ok(no_grad(|| vjp(&f, &x.detach(), u))?.1);
        evaluated(self, x, &products, &pull).at_caller()
    }

    /// [`SparseJacobian::evaluate`] of a function that was linearised at the point: it does not run again.
    ///
    /// ```
    /// use tapegrad::{Tensor, linearize};
    /// use tapegrad::linalg::{SparseJacobian, SparseTensor};
    /// let plan = SparseJacobian::new(&SparseTensor::<f64>::eye(2)?)?;
    /// let f = linearize(|x: &Tensor| Ok(x.square()), &Tensor::from([1.0, 3.0]))?;
    /// assert_eq!(f.value().to_vec(), [1.0, 9.0]);
    /// assert_eq!(plan.evaluate_linearized(&f)?.to_dense()?.to_vec(), [2.0, 0.0, 0.0, 6.0]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where value and argument do not have the sizes of the pattern; out of memory.
    #[track_caller]
    pub fn evaluate_linearized<T: Float>(
        &self,
        f: &Linearized<T, Tensor<T>, Tensor<T>>,
    ) -> Result<SparseTensor<T>> {
        let products = |seeds: &Tensor<T>| {
            let y = f.value();
            if y.numel() != self.pattern.shape()[0] {
                // Told by what asks for the products.
                return Ok((y.clone(), y.clone()));
            }
            Ok((y.clone(), if self.by_columns { f.jvp_batched(seeds)? } else { f.vjp_batched(seeds)? }))
        };
        evaluated(self, f.point(), &products, &|u| f.vjp(u)).at_caller()
    }

    /// An error where u^T J, for a random u, is not that of the sparse matrix: an element outside of the pattern is
    /// missing there, and has come to others.
    fn compare<T: Float>(
        &self,
        pull: &dyn Fn(&Tensor<T>) -> Result<Tensor<T>>,
        jacobian: &SparseTensor<T>,
        y: &Tensor<T>,
    ) -> Result<()> {
        let m = self.pattern.shape()[0];
        // Sizes alike, so that no row is lost in the rounding of another.
        let u: Vec<T> = (0..m as u64).map(|i| T::of(1e3 * spread(i))).collect();
        let u = Tensor::from_vec(u, [m])?.to_device(&y.device())?;
        let product = pull(&u.reshape(y.shape())?)?.detach();
        let (product, transposed) = (product.flatten(), jacobian.t()?);
        let found = transposed.with_values(&transposed.values().detach())?.mv(&u)?;
        let size = transposed.with_values(&transposed.values().detach().abs())?.mv(&u.abs())?;
        let bound = (size + product.abs()) * T::EPSILON.sqrt();
        let wrong = (&product - &found).abs().gt(&bound)?.nonzero();
        match wrong.to_vec().first() {
            None => Ok(()),
            Some(column) => {
                let message = format!(
                    "the Jacobian has elements outside of the pattern, found in column {column}: give a pattern that \
                     holds all of them, or detect() it"
                );
                Err(Error::argument("sparse_jacobian", message))
            }
        }
    }
}

/// The value, and the products of the Jacobian with rows of directions.
type Products<'a, T> = dyn Fn(&Tensor<T>) -> Result<(Tensor<T>, Tensor<T>)> + 'a;

compiled_once! {
    fn detected<T: Float>(f: &dyn Fn(&Tensor<T>) -> Result<Tensor<T>>, x: &Tensor<T>) -> Result<SparseJacobian> {
        let y = autograd::no_grad(|| f(x))?;
        let (m, n) = (y.numel(), x.numel());
        // A generator of its own: detection is the same at every call, and takes nothing from the program's numbers.
        let op = "sparse_jacobian";
        let noise = memory::collect(op, (0..n as u64).map(|i| T::of(spread(i))))?;
        let noise = Tensor::from_vec(noise, x.shape())?.to_device(&x.device())?;
        let near = x.try_add(&noise.try_mul(&(x.abs() + T::ONE))?)?;
        let at_once = (LOOKED_AT / n.max(1)).clamp(1, m.max(1));
        let mut places: Vec<Vec<i64>> = memory::vector(op, m, Vec::new())?;
        for point in [x, &near] {
            for start in (0..m).step_by(at_once) {
                let rows = at_once.min(m - start);
                let (_, lines) = vjp_batched(f, point, &basis(x.device(), start, rows, m)?)?;
                let found = lines.reshape([rows, n])?.nonzero().to_vec();
                for pair in found.chunks_exact(2) {
                    let row = &mut places[start + pair[0] as usize];
                    memory::grow(op, row, 1)?;
                    row.push(pair[1]);
                }
            }
        }
        for row in &mut places {
            row.sort_unstable();
            row.dedup();
        }
        let count = places.iter().map(Vec::len).sum();
        let (mut rows, mut columns) = (memory::room(op, count)?, memory::room(op, count)?);
        for (i, row) in (0i64..).zip(places) {
            rows.extend(std::iter::repeat_n(i, row.len()));
            columns.extend(row);
        }
        let [rows, columns] = [Array::from_vec(rows, &[count])?, Array::from_vec(columns, &[count])?];
        SparseJacobian::for_pattern(Pattern::from_coordinates(op, &rows, &columns, [m, n])?)
    }

    fn evaluated<T: Float>(
        plan: &SparseJacobian,
        x: &Tensor<T>,
        products: &Products<'_, T>,
        pull: &dyn Fn(&Tensor<T>) -> Result<Tensor<T>>,
    ) -> Result<SparseTensor<T>> {
        let (op, [m, n]) = ("sparse_jacobian", plan.pattern.shape());
        let device = x.device();
        if x.numel() != n {
            let message =
                format!("x of shape {:?} for a pattern {:?}: it needs {n} elements", x.shape(), [m, n]);
            return Err(Error::shape(op, message));
        }
        // Row g of the seeds has a one for each line of group g.
        let lines = plan.groups.numel();
        let at = Tensor::from(plan.groups.clone()).unsqueeze(0)?.to_device(&device)?;
        let one = Tensor::from(Array::repeat_on(device, &[1, lines], T::ONE)?);
        let seeds = Tensor::from(Array::zeros_on(device, &[plan.count, lines])?).scatter_add(0, &at, &one)?;
        let (y, compressed) = products(&seeds)?;
        if y.numel() != m {
            let message =
                format!("the value has shape {:?} for a pattern {:?}: {m} elements", y.shape(), [m, n]);
            return Err(Error::shape(op, message));
        }
        let at = Tensor::from(plan.places.to_device(op, device)?);
        let values = compressed.flatten().index_select(0, &at)?;
        let jacobian = SparseTensor::of(plan.pattern.clone(), values);
        if plan.checked {
            plan.compare(pull, &jacobian, &y)?;
        }
        Ok(jacobian)
    }
}

/// Rows `start..start + count` of the identity of `n`.
fn basis<T: Float>(device: Device, start: usize, count: usize, n: usize) -> Result<Tensor<T>> {
    let at = Tensor::from(kernels::arange("sparse_jacobian", device, count)?).unsqueeze(1)? + start as i64;
    let ones = Tensor::from(Array::repeat_on(device, &[count, 1], T::ONE)?);
    Tensor::from(Array::zeros_on(device, &[count, n])?).scatter_add(1, &at, &ones)
}

/// Numbers between 1/2000 and 1/1000 of either sign, without a pattern: the fractions of multiples of the golden ratio.
pub(super) fn spread(i: u64) -> f64 {
    let bits = (i + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let fraction = (bits >> 11) as f64 / (1u64 << 53) as f64;
    let size = 0.5e-3 * (1.0 + fraction);
    if bits.count_ones().is_multiple_of(2) { size } else { -size }
}

/// A group for each row of the pattern, for `dim` 0, such that rows of one group have no common column; and the number
/// of groups. Rows take the first group that is free, those with most elements first.
fn colour(op: &'static str, pattern: &Pattern, dim: usize) -> Result<(Vec<i64>, usize)> {
    let (along, across) = (pattern.lines(op, dim)?, pattern.lines(op, 1 - dim)?);
    let [starts, places, next_starts, next_places] =
        [&along.starts, &along.across, &across.starts, &across.across]
            .map(|x| x.as_slice().expect("a pattern's arrays are row-major, on the host"));
    let size = |i: usize| starts[i + 1] - starts[i];
    let lines = pattern.shape()[dim];
    let mut order = memory::collect(op, 0..lines)?;
    order.sort_unstable_by_key(|&i| (std::cmp::Reverse(size(i)), i));
    let mut groups = memory::vector(op, lines, -1i64)?;
    // The line that found a group taken last.
    let mut taken: Vec<usize> = Vec::new();
    for i in order {
        for &j in &places[starts[i] as usize..starts[i + 1] as usize] {
            for &k in &next_places[next_starts[j as usize] as usize..next_starts[j as usize + 1] as usize] {
                if let Ok(group) = usize::try_from(groups[k as usize]) {
                    taken[group] = i;
                }
            }
        }
        let free = (0..taken.len()).find(|&g| taken[g] != i || size(i) == 0);
        if free.is_none() {
            memory::grow(op, &mut taken, 1)?;
            taken.push(usize::MAX);
        }
        groups[i] = free.unwrap_or(taken.len() - 1) as i64;
    }
    Ok((groups, taken.len()))
}
