//! Sparse Jacobians from few passes: rows without a common column are computed as one, and so are columns without a
//! common row.
//!
//! Source: Curtis, Powell, Reid, "On the estimation of sparse Jacobian matrices", 1974; Gebremedhin, Manne, Pothen,
//! "What color is your Jacobian? Graph coloring for computing derivatives", 2005.

use super::SparseTensor;
use super::detect::detected;
use autograd::{Linearized, Tensor, jvp_batched, no_grad, vjp, vjp_batched};
use tensor_core::kernels::sparse::{Lines, Pattern};
use tensor_core::{Array, AtCaller, Error, Float, Result, compiled_once, memory};

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
pub(super) const FORWARD_COST: usize = 2;

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
    /// seen: give the pattern where that can happen. Columns or rows are halved until each element has its place, which
    /// takes some log2(n) times as many products as the Jacobian has passes: less than a dense Jacobian, and much more than an
    /// evaluation. Where residuals come in blocks whose parameters are known,
    /// [`BlockJacobian`](super::BlockJacobian) needs no detection and fewer passes.
    ///
    /// # Errors
    /// What `f` returns; out of memory.
    #[track_caller]
    pub fn detect<T: Float>(f: impl Fn(&Tensor<T>) -> Result<Tensor<T>>, x: &Tensor<T>) -> Result<Self> {
        detected(&f, &x.detach()).and_then(SparseJacobian::for_pattern).at_caller()
    }

    fn for_pattern(pattern: Pattern) -> Result<Self> {
        let op = "sparse_jacobian";
        let cost = |dim: usize, groups: usize| groups.saturating_mul([1, FORWARD_COST][dim]);
        // The elements of a row are in as many groups of columns, and the other way round: often that tells which are fewer.
        let least = [cost(0, longest(pattern.lines(op, 1)?)), cost(1, longest(pattern.lines(op, 0)?))];
        let mut dim = usize::from(least[1] < least[0]);
        let (mut groups, mut count) = colour(op, &pattern, dim)?;
        if cost(dim, count) > least[1 - dim] {
            let other = colour(op, &pattern, 1 - dim)?;
            if cost(1 - dim, other.1) < cost(dim, count) {
                (dim, (groups, count)) = (1 - dim, other);
            }
        }
        let by_columns = dim == 1;
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

/// Numbers between 1/2000 and 1/1000 of either sign, without a pattern, so that no few of them add up to zero: SplitMix64's
/// (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014).
pub(super) fn spread(i: u64) -> f64 {
    let mut bits = (i + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^= bits >> 31;
    let fraction = (bits >> 11) as f64 / (1u64 << 53) as f64;
    let size = 0.5e-3 * (1.0 + fraction);
    if bits & 1 == 0 { size } else { -size }
}

/// The elements of the line that has most.
fn longest(lines: &Lines) -> usize {
    let starts = lines.starts.as_slice().expect("a pattern's arrays are row-major, on the host");
    starts.windows(2).map(|w| (w[1] - w[0]) as usize).max().unwrap_or(0)
}

/// A group for each row of the pattern, for `dim` 0, such that rows of one group have no common column; and the number
/// of groups. Rows take the first group that is free, those with most elements first.
pub(super) fn colour(op: &'static str, pattern: &Pattern, dim: usize) -> Result<(Vec<i64>, usize)> {
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
