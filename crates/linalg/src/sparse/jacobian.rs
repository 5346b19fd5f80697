//! Sparse Jacobians from few passes over a function's graph.

use super::SparseTensor;
use super::compression::{Compression, Products};
use super::detect::detected;
use autograd::{Entries, Linearized, Tensor, linearize, no_grad};
use std::sync::OnceLock;
use tensor_core::kernels::sparse::{Pattern, coalesce};
use tensor_core::{Array, AtCaller, Error, Float, Result, compiled_once, memory};

pub(super) const OP: &str = "sparse_jacobian";

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
/// assert_eq!((plan.nnz(), plan.passes()), (1998, 1));
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
    /// How its elements are found with respect to the argument, made when it is first needed.
    plain: OnceLock<Compression>,
    /// How they are found where elements of the argument enter, if that takes less.
    entered: Option<Entered>,
    checked: bool,
}

/// The Jacobian with respect to the copies of the argument's elements that the function begins with.
#[derive(Clone)]
struct Entered {
    compression: Compression,
    /// The element of the argument behind each of these.
    numbers: Vec<Array<i64>>,
    /// Which element of the pattern each of theirs is a part of, where several are of one.
    onto: Option<Array<i64>>,
}

/// Copies of elements for each element of argument and value, up to which their pattern is looked for.
const COPIES: usize = 64;

impl SparseJacobian {
    /// For the pattern of a sparse matrix with a row for each element of the value and a column for each element of the
    /// argument; its values do not matter.
    ///
    /// # Errors
    /// Shape, where this is not a matrix; out of memory.
    #[track_caller]
    pub fn new<T: Float>(pattern: &SparseTensor<T>) -> Result<Self> {
        let plan = || {
            let distinct = pattern.coalesced(OP)?;
            let plan = SparseJacobian::of(distinct.pattern(OP)?.clone(), None);
            plan.plain()?;
            Ok(plan)
        };
        plan().at_caller()
    }

    /// For the pattern that `f` shows at `x` and at a random point close by: an element that is zero at both is taken
    /// for zero everywhere. What lies in branches that were not taken, or where a factor was zero at both points, is not
    /// seen: give the pattern where that can happen. Columns or rows are halved until each element has its place, which
    /// takes some log2(n) times as many products as the Jacobian has passes: less than a dense Jacobian, and much more than an
    /// evaluation.
    ///
    /// A function that begins by choosing elements of its argument, as by `index_select`, `narrow` or `expand`, is looked at behind
    /// that: residuals that know one camera and one point each then take as many passes as a residual has values, as those of a
    /// [`BlockJacobian`](super::BlockJacobian), which is told its blocks and needs no detection.
    ///
    /// # Errors
    /// What `f` returns; out of memory.
    #[track_caller]
    pub fn detect<T: Float>(f: impl Fn(&Tensor<T>) -> Result<Tensor<T>>, x: &Tensor<T>) -> Result<Self> {
        detected_plan(&f, &x.detach()).at_caller()
    }

    fn of(pattern: Pattern, entered: Option<Entered>) -> Self {
        SparseJacobian { pattern, plain: OnceLock::new(), entered, checked: cfg!(debug_assertions) }
    }

    fn plain(&self) -> Result<&Compression> {
        match self.plain.get() {
            Some(known) => Ok(known),
            None => {
                let compression = Compression::new(&self.pattern)?;
                Ok(self.plain.get_or_init(|| compression))
            }
        }
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
        let plain = || self.plain.get().map_or(0, |plain| plain.count);
        self.entered.as_ref().map_or_else(plain, |entered| entered.compression.count)
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
        self.evaluate_linearized(&linearize(f, x)?)
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
    pub fn evaluate_linearized<T: Float>(&self, f: &Function<T>) -> Result<SparseTensor<T>> {
        evaluated(self, f).at_caller()
    }

    /// An error where u^T J, for a random u, is not that of the sparse matrix: an element outside of the pattern is
    /// missing there, and has come to others.
    fn compare<T: Float>(&self, f: &Function<T>, jacobian: &SparseTensor<T>) -> Result<()> {
        let (m, y) = (self.pattern.shape()[0], f.value());
        // Sizes alike, so that no row is lost in the rounding of another.
        let u: Vec<T> = (0..m as u64).map(|i| T::of(1e3 * spread(i))).collect();
        let u = Tensor::from_vec(u, [m])?.to_device(&y.device())?;
        let product = no_grad(|| f.vjp(&u.reshape(y.shape())?))?.detach();
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
                Err(Error::argument(OP, message))
            }
        }
    }
}

type Function<T> = Linearized<T, Tensor<T>, Tensor<T>>;

/// Whether each copy is one of the same element.
fn alike(numbers: &[Array<i64>], others: &[Array<i64>]) -> bool {
    let same = |(a, b): (&Array<i64>, &Array<i64>)| a.shape() == b.shape() && a.to_vec() == b.to_vec();
    numbers.len() == others.len() && numbers.iter().zip(others).all(same)
}

/// The elements of a pattern with respect to copies that are copies of something.
fn without_constants(of_copies: &Pattern, numbers: &[i64]) -> Result<Pattern> {
    if !numbers.contains(&0) {
        return Ok(of_copies.clone());
    }
    let [rows, copies] = of_copies.coordinates(OP)?.map(Array::to_vec);
    let known = rows.into_iter().zip(copies).filter(|&(_, copy)| numbers[copy as usize] > 0);
    let (rows, copies): (Vec<i64>, Vec<i64>) = known.unzip();
    let count = rows.len();
    let [rows, copies] = [Array::from_vec(rows, &[count])?, Array::from_vec(copies, &[count])?];
    Pattern::from_coordinates(OP, &rows, &copies, of_copies.shape())
}

/// The pattern with respect to the argument, of one with respect to copies of elements with these numbers; and the number
/// that each element of the latter has among its own, where that is not the same.
fn behind(of_copies: &Pattern, numbers: &[i64], n: usize) -> Result<(Pattern, Option<Array<i64>>)> {
    let [rows, copies] = of_copies.coordinates(OP)?.map(Array::to_vec);
    let columns = copies.into_iter().map(|copy| numbers[copy as usize] - 1);
    let indices = memory::collect(OP, rows.into_iter().chain(columns))?;
    let indices = Array::from_vec(indices, &[2, of_copies.count()])?;
    let shape = [of_copies.shape()[0], n];
    let (indices, onto) = match coalesce(OP, &indices, &shape)? {
        None => (indices, None),
        Some((distinct, onto)) => (distinct, Some(onto)),
    };
    let line = |k: usize| indices.slice(OP, 0, k, 1, 1)?.reshape(OP, &indices.shape()[1..]);
    Ok((Pattern::from_coordinates(OP, &line(0)?, &line(1)?, shape)?, onto))
}

compiled_once! {
    fn detected_plan<T: Float>(
        f: &dyn Fn(&Tensor<T>) -> Result<Tensor<T>>,
        x: &Tensor<T>,
    ) -> Result<SparseJacobian> {
        no_grad(|| {
            let functions = [linearize(f, x)?, linearize(f, &near(x)?)?];
            if let Some((pattern, entered)) = looked_at_behind(&functions)? {
                return Ok(SparseJacobian::of(pattern, Some(entered)));
            }
            let [first, second] = &functions;
            let plan = SparseJacobian::of(detected([first, second])?, None);
            plan.plain()?;
            Ok(plan)
        })
    }

    /// The pattern, where elements of the argument are copied several times and the copies take fewer passes.
    fn looked_at_behind<T: Float>(functions: &[Function<T>; 2]) -> Result<Option<(Pattern, Entered)>> {
        let [m, n] = functions[0].shape();
        let [first, second] = [functions[0].entries()?, functions[1].entries()?];
        let copies = first.numbers.iter().map(Array::numel).sum::<usize>();
        if copies > COPIES * m.max(n) || !alike(&first.numbers, &second.numbers) {
            return Ok(None);
        }
        let numbers = memory::collect(OP, first.numbers.iter().flat_map(Array::to_vec))?;
        let mut met = memory::vector(OP, n + 1, false)?;
        if !numbers.iter().any(|&i| std::mem::replace(&mut met[i as usize], true) && i > 0) {
            return Ok(None);
        }
        let of_copies = without_constants(&detected([&first.function, &second.function])?, &numbers)?;
        let (pattern, onto) = behind(&of_copies, &numbers, n)?;
        let compression = Compression::new(&of_copies)?;
        let entered = compression.is_least_beside(&pattern)?;
        Ok(entered.then(|| (pattern, Entered { compression, numbers: first.numbers, onto })))
    }

    fn evaluated<T: Float>(plan: &SparseJacobian, f: &Function<T>) -> Result<SparseTensor<T>> {
        let [m, n] = plan.pattern.shape();
        if f.point().numel() != n {
            let message =
                format!("x of shape {:?} for a pattern {:?}: it needs {n} elements", f.point().shape(), [m, n]);
            return Err(Error::shape(OP, message));
        }
        if f.value().numel() != m {
            let message =
                format!("the value has shape {:?} for a pattern {:?}: {m} elements", f.value().shape(), [m, n]);
            return Err(Error::shape(OP, message));
        }
        let values = match plan.entered.as_ref().map(|entered| entered.elements(f, plan.nnz())).transpose()?.flatten() {
            Some(values) => values,
            None => plan.plain()?.elements(f)?,
        };
        let jacobian = SparseTensor::of(plan.pattern.clone(), values);
        if plan.checked {
            plan.compare(f, &jacobian)?;
        }
        Ok(jacobian)
    }
}

impl Entered {
    /// The elements of the Jacobian; None where other elements enter than those that the plan knows.
    fn elements<T: Float>(&self, f: &Function<T>, count: usize) -> Result<Option<Tensor<T>>> {
        let Entries { function, numbers } = f.entries()?;
        if !alike(&self.numbers, &numbers) {
            return Ok(None);
        }
        let parts = self.compression.elements(&function)?;
        let Some(onto) = &self.onto else { return Ok(Some(parts)) };
        let onto = Tensor::from(onto.to_device(OP, f.device())?);
        let zeros = Tensor::from(Array::zeros_on(f.device(), &[count])?);
        zeros.scatter_add(0, &onto, &parts).map(Some)
    }
}

/// A random point close by.
fn near<T: Float>(x: &Tensor<T>) -> Result<Tensor<T>> {
    // Numbers of its own: detection is the same at every call, and takes nothing from the program's.
    let noise = memory::collect(OP, (0..x.numel() as u64).map(|i| T::of(spread(i))))?;
    let noise = Tensor::from_vec(noise, x.shape())?.to_device(&x.device())?;
    x.try_add(&noise.try_mul(&(x.abs() + T::ONE))?)
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
