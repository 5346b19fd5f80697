//! Functions over tensors as problems for the solvers of the crate argmin.
//!
//! [`Problem`] is for solvers that minimise, [`Residuals`] for Gauss-Newton's methods. Their vectors are `Vec<f64>`, or
//! those of ndarray or nalgebra of the versions that argmin-math 0.5 knows, behind this crate's features
//! `ndarray-0_15`, `ndarray-0_16` and `nalgebra-0_34`.

use crate::flat::{self, Flat};
use crate::minimize::objective::{Function, Halt, Objective, Record};
use argmin::core::{CostFunction, Error, Gradient, Hessian, Jacobian, Operator};
use argmin_math::ArgminDot;
use autograd::{Params, Tensor, jacobian, no_grad};
use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
use std::rc::Rc;
use tensor_core::{AtCaller, Result};

/// A vector of numbers as argmin's solvers take them, and the matrix that goes with it.
pub trait Vector: Clone {
    /// A matrix.
    type Matrix: Clone;

    /// Copies of the numbers.
    fn numbers(&self) -> Vec<f64>;

    /// The vector of these numbers.
    fn of(numbers: Vec<f64>) -> Self;

    /// The matrix of these rows, one after another, of `columns` numbers each.
    fn matrix(rows: Vec<f64>, columns: usize) -> Self::Matrix;
}

impl Vector for Vec<f64> {
    type Matrix = Vec<Vec<f64>>;

    fn numbers(&self) -> Vec<f64> {
        self.clone()
    }
    fn of(numbers: Vec<f64>) -> Self {
        numbers
    }
    fn matrix(rows: Vec<f64>, columns: usize) -> Self::Matrix {
        rows.chunks_exact(columns.max(1)).map(<[f64]>::to_vec).collect()
    }
}

macro_rules! ndarray_vector {
    ($feature:literal $ndarray:ident) => {
        #[cfg(feature = $feature)]
        impl Vector for $ndarray::Array1<f64> {
            type Matrix = $ndarray::Array2<f64>;

            fn numbers(&self) -> Vec<f64> {
                self.to_vec()
            }
            fn of(numbers: Vec<f64>) -> Self {
                Self::from_vec(numbers)
            }
            fn matrix(rows: Vec<f64>, columns: usize) -> Self::Matrix {
                let count = rows.len() / columns.max(1);
                let mut rows = rows.into_iter();
                $ndarray::Array2::from_shape_simple_fn((count, columns), || rows.next().unwrap_or(f64::NAN))
            }
        }
    };
}
ndarray_vector!("ndarray-0_15" ndarray_0_15);
ndarray_vector!("ndarray-0_16" ndarray_0_16);

#[cfg(feature = "nalgebra-0_34")]
impl Vector for nalgebra_0_34::DVector<f64> {
    type Matrix = nalgebra_0_34::DMatrix<f64>;

    fn numbers(&self) -> Vec<f64> {
        self.as_slice().to_vec()
    }
    fn of(numbers: Vec<f64>) -> Self {
        Self::from_vec(numbers)
    }
    fn matrix(rows: Vec<f64>, columns: usize) -> Self::Matrix {
        nalgebra_0_34::DMatrix::from_row_slice(rows.len() / columns.max(1), columns, &rows)
    }
}

/// A scalar function of parameters: argmin's `CostFunction`, `Gradient` and `Hessian`, at the cost of one evaluation
/// of value and gradient for each point, whichever of them the solver asks for first.
///
/// Where the value is NaN it is infinite to the solver, which line searches take for a step too long. Errors of the
/// function are argmin's errors, out of which `downcast` gets them back. To share counts with a solver that takes the
/// problem, give it `&problem`.
///
/// ```
/// use argmin::core::Executor;
/// use argmin::solver::linesearch::MoreThuenteLineSearch;
/// use argmin::solver::quasinewton::LBFGS;
/// use tapegrad::Tensor;
/// use tapegrad::optimize::argmin::Problem;
/// let f = |(a, b): &(Tensor, Tensor)| Ok((b - a.square()).square() * 100.0 + (a - 1.0).square());
/// let problem = Problem::new(f, &(Tensor::scalar(-1.2), Tensor::scalar(1.0)))?;
/// let solver = LBFGS::new(MoreThuenteLineSearch::new(), 7).with_tolerance_grad(1e-8)?;
/// let start: Vec<f64> = problem.start();
/// let end = Executor::new(&problem, solver).configure(|state| state.param(start).max_iters(100)).run()?;
/// let (a, b) = problem.params(&end.state.best_param.unwrap())?;
/// assert!((a.item()? - 1.0).abs() < 1e-6 && (b.item()? - 1.0).abs() < 1e-6);
/// # Ok::<(), argmin::core::Error>(())
/// ```
pub struct Problem<'a, P, V = Vec<f64>> {
    inner: Rc<Inner<'a>>,
    x0: P,
    vector: PhantomData<fn() -> V>,
}

/// The function, and what is known at the last point.
struct Inner<'a> {
    f: Box<Function<'a>>,
    flat: Flat,
    start: Vec<f64>,
    last: RefCell<Last>,
    evaluations: Cell<crate::Evaluations>,
    /// Of a product, until it can be returned.
    error: RefCell<Option<tensor_core::Error>>,
}

#[derive(Default)]
struct Last {
    x: Vec<f64>,
    value: f64,
    gradient: Vec<f64>,
    record: Option<Rc<Record>>,
}

impl<'a> Inner<'a> {
    /// Runs with the function as solvers of this crate see it, counting.
    fn with<R>(&self, run: impl FnOnce(&mut Objective<'_>) -> Result<R, Halt>) -> Result<R> {
        let mut objective = Objective::new("Problem", &*self.f, self.flat.clone(), None, usize::MAX);
        objective.evaluations = self.evaluations.get();
        let result = run(&mut objective);
        self.evaluations.set(objective.evaluations);
        match result {
            Ok(value) => Ok(value),
            Err(Halt::Error(error)) => Err(error),
            Err(Halt::Stop(_)) => Err(tensor_core::Error::argument("Problem", "no evaluations are left")),
        }
    }

    fn fits(&self, x: &[f64]) -> Result<()> {
        if x.len() == self.start.len() {
            return Ok(());
        }
        let message = format!("a vector of {} numbers for {} parameters", x.len(), self.start.len());
        Err(tensor_core::Error::shape("Problem", message))
    }

    /// What a product returned and the solver could not be told.
    fn no_error(&self) -> Result<()> {
        self.error.borrow_mut().take().map_or(Ok(()), Err)
    }

    /// Value and gradient at x are in `last` after this, and the gradient's record where that is asked for.
    fn evaluate(&self, x: Vec<f64>, recorded: bool) -> Result<()> {
        self.no_error()?;
        self.fits(&x)?;
        {
            let last = self.last.borrow();
            if last.x == x && (!recorded || last.record.is_some()) {
                return Ok(());
            }
        }
        let mut gradient = vec![0.0; x.len()];
        let (value, record) = self.with(|objective| match recorded {
            false => Ok((objective.evaluate(&x, &mut gradient)?, None)),
            true => {
                let (value, record) = objective.record(&x, &mut gradient)?;
                Ok((value, Some(Rc::new(record))))
            }
        })?;
        *self.last.borrow_mut() = Last { x, value, gradient, record };
        Ok(())
    }

    fn record(&self, x: Vec<f64>) -> Result<Rc<Record>> {
        self.evaluate(x, true)?;
        let record = self.last.borrow().record.clone();
        record.ok_or_else(|| tensor_core::Error::argument("Problem", "the gradient was not recorded"))
    }
}

impl<'a, P: Params<f64>, V: Vector> Problem<'a, P, V> {
    /// The problem of making `f` least, over parameters in the structure of `x0`.
    ///
    /// # Errors
    /// Device, where the parameters are on several.
    #[track_caller]
    pub fn new(f: impl Fn(&P) -> Result<Tensor> + 'a, x0: &P) -> Result<Self>
    where
        P: Clone + 'a,
    {
        let tensors = x0.tensors();
        let flat = Flat::of("Problem", &tensors).at_caller()?;
        let like = x0.clone();
        let inner = Inner {
            f: Box::new(move |x| f(&like.rebuild(x.to_vec()))),
            flat,
            start: flat::values(&tensors),
            last: RefCell::default(),
            evaluations: Cell::default(),
            error: RefCell::default(),
        };
        Ok(Problem { inner: Rc::new(inner), x0: x0.clone(), vector: PhantomData })
    }

    /// `x0` as one vector: what the solver begins with.
    pub fn start(&self) -> V {
        V::of(self.inner.start.clone())
    }

    /// The parameters of a vector.
    ///
    /// # Errors
    /// Shape, where it has not as many numbers as the parameters; what a product with the Hessian returned, unchanged,
    /// where the solver ended after it without asking for a value again.
    #[track_caller]
    pub fn params(&self, x: &V) -> Result<P> {
        let x = x.numbers();
        self.inner.no_error()?;
        self.inner.fits(&x).at_caller()?;
        Ok(self.x0.rebuild(self.inner.flat.tensors(&x)?))
    }

    /// What was computed so far.
    pub fn evaluations(&self) -> crate::Evaluations {
        self.inner.evaluations.get()
    }

    /// The same problem, its Hessian as an operator: products with vectors, a backward pass each, from one recorded
    /// gradient. argmin's `NewtonCG` and `Steihaug` need no more.
    ///
    /// An error of a product, which argmin's trait cannot return, is NaN to the solver, and kept: the next value or
    /// gradient that the solver asks for returns it, or [`Problem::params`].
    ///
    /// ```
    /// use argmin::core::Executor;
    /// use argmin::solver::trustregion::{Steihaug, TrustRegion};
    /// use tapegrad::Tensor;
    /// use tapegrad::optimize::argmin::Problem;
    /// let f = |x: &Tensor| Ok((x - 2.0).powi(4).sum() + x.square().sum());
    /// let problem = Problem::new(f, &Tensor::zeros([100]))?;
    /// let products = problem.products();
    /// let start: Vec<f64> = problem.start();
    /// let solver = TrustRegion::new(Steihaug::new());
    /// let end = Executor::new(products, solver).configure(|state| state.param(start).max_iters(30)).run()?;
    /// let x = problem.params(&end.state.best_param.unwrap())?.get([0])?;
    /// assert!((4.0 * (x - 2.0).powi(3) + 2.0 * x).abs() < 1e-4);
    /// # Ok::<(), argmin::core::Error>(())
    /// ```
    pub fn products(&self) -> Products<'a, V> {
        Products { inner: Rc::clone(&self.inner), vector: PhantomData }
    }
}

/// [`Problem::products`].
pub struct Products<'a, V = Vec<f64>> {
    inner: Rc<Inner<'a>>,
    vector: PhantomData<fn() -> V>,
}

/// The Hessian at a point, as products with vectors.
#[derive(Clone)]
pub struct HessianProducts<'a> {
    inner: Rc<Inner<'a>>,
    record: Rc<Record>,
}

/// H v. Where a product fails it is NaN, and the problem keeps the error.
impl<V: Vector> ArgminDot<V, V> for HessianProducts<'_> {
    fn dot(&self, v: &V) -> V {
        let v = v.numbers();
        let mut out = vec![0.0; v.len()];
        let product = self
            .inner
            .fits(&v)
            .and_then(|()| self.inner.with(|objective| Ok(objective.product(&self.record, &v, &mut out)?)));
        if let Err(error) = product {
            out.fill(f64::NAN);
            // The first is what went wrong; others may follow from its NaN.
            self.inner.error.borrow_mut().get_or_insert(error);
        }
        V::of(out)
    }
}

macro_rules! problem_traits {
    ($([$($generics:tt)*] $Problem:ty;)*) => { $(
        impl<$($generics)*> CostFunction for $Problem {
            type Param = V;
            type Output = f64;

            fn cost(&self, x: &V) -> Result<f64, Error> {
                self.inner.evaluate(x.numbers(), false)?;
                let value = self.inner.last.borrow().value;
                Ok(value)
            }
        }

        impl<$($generics)*> Gradient for $Problem {
            type Param = V;
            type Gradient = V;

            fn gradient(&self, x: &V) -> Result<V, Error> {
                self.inner.evaluate(x.numbers(), false)?;
                let gradient = self.inner.last.borrow().gradient.clone();
                Ok(V::of(gradient))
            }
        }
    )* };
}
problem_traits! {
    [P: Params<f64>, V: Vector] Problem<'_, P, V>;
    [P: Params<f64>, V: Vector] &Problem<'_, P, V>;
    [V: Vector] Products<'_, V>;
}

macro_rules! hessian_traits {
    ($($Problem:ty)*) => { $(
        impl<P: Params<f64>, V: Vector> Hessian for $Problem {
            type Param = V;
            type Hessian = V::Matrix;

            fn hessian(&self, x: &V) -> Result<V::Matrix, Error> {
                let x = x.numbers();
                let n = x.len();
                let record = self.inner.record(x)?;
                Ok(V::matrix(self.inner.with(|objective| Ok(objective.hessian(&record)?))?, n))
            }
        }
    )* };
}
hessian_traits! { Problem<'_, P, V> &Problem<'_, P, V> }

impl<'a, V: Vector> Hessian for Products<'a, V> {
    type Param = V;
    type Hessian = HessianProducts<'a>;

    fn hessian(&self, x: &V) -> Result<HessianProducts<'a>, Error> {
        let record = self.inner.record(x.numbers())?;
        Ok(HessianProducts { inner: Rc::clone(&self.inner), record })
    }
}

/// A function of parameters with many values, whose squares are to be least: argmin's `Operator` and `Jacobian`.
///
/// ```
/// use argmin::core::Executor;
/// use argmin::solver::gaussnewton::GaussNewton;
/// use tapegrad::Tensor;
/// use tapegrad::optimize::argmin::Residuals;
/// let residuals = |x: &Tensor| Ok(x.square() - Tensor::from([4.0, 9.0]));
/// let problem: Residuals<_> = Residuals::new(residuals, &Tensor::from([1.0, 1.0]))?;
/// let values = argmin::core::Operator::apply(&problem, &problem.start())?;
/// assert_eq!(values, [-3.0, -8.0]);
/// # let _ = GaussNewton::<f64>::new();
/// # Ok::<(), argmin::core::Error>(())
/// ```
pub struct Residuals<'a, P, V = Vec<f64>> {
    f: Box<Function<'a>>,
    flat: Flat,
    start: Vec<f64>,
    x0: P,
    vector: PhantomData<fn() -> V>,
}

impl<'a, P: Params<f64>, V: Vector> Residuals<'a, P, V> {
    /// The problem of the residuals `f`, of any shape, over parameters in the structure of `x0`.
    ///
    /// # Errors
    /// Device, where the parameters are on several.
    #[track_caller]
    pub fn new(f: impl Fn(&P) -> Result<Tensor> + 'a, x0: &P) -> Result<Self>
    where
        P: Clone + 'a,
    {
        let tensors = x0.tensors();
        let flat = Flat::of("Residuals", &tensors).at_caller()?;
        let like = x0.clone();
        Ok(Residuals {
            f: Box::new(move |x| f(&like.rebuild(x.to_vec()))),
            flat,
            start: flat::values(&tensors),
            x0: x0.clone(),
            vector: PhantomData,
        })
    }

    /// `x0` as one vector: what the solver begins with.
    pub fn start(&self) -> V {
        V::of(self.start.clone())
    }

    /// The parameters of a vector.
    ///
    /// # Errors
    /// Shape, where it has not as many numbers as the parameters.
    #[track_caller]
    pub fn params(&self, x: &V) -> Result<P> {
        Ok(self.x0.rebuild(self.tensors(x).at_caller()?))
    }

    fn tensors(&self, x: &V) -> Result<Vec<Tensor>> {
        let x = x.numbers();
        if x.len() != self.start.len() {
            let message = format!("a vector of {} numbers for {} parameters", x.len(), self.start.len());
            return Err(tensor_core::Error::shape("Residuals", message));
        }
        self.flat.tensors(&x)
    }

    fn values(&self, x: &V) -> Result<V> {
        let x = self.tensors(x)?;
        let values = no_grad(|| (self.f)(&x))?;
        Ok(V::of(flat::values(&[values.detach()])))
    }

    /// Row by row.
    fn rows(&self, x: &V) -> Result<V::Matrix> {
        let x = self.tensors(x)?;
        let count = self.start.len();
        let blocks = no_grad(|| jacobian(|x: &Vec<Tensor>| (self.f)(x), &x))?;
        let blocks: Vec<(usize, Vec<f64>)> =
            blocks.iter().zip(&x).map(|(block, x)| (x.numel(), block.detach().to_vec())).collect();
        let rows = blocks.iter().find(|(n, _)| *n > 0).map_or(0, |(n, block)| block.len() / n);
        let mut all = Vec::with_capacity(rows * count);
        for row in 0..rows {
            for (n, block) in &blocks {
                all.extend_from_slice(&block[row * n..(row + 1) * n]);
            }
        }
        Ok(V::matrix(all, count))
    }
}

macro_rules! residual_traits {
    ($($Problem:ty)*) => { $(
        impl<P: Params<f64>, V: Vector> Operator for $Problem {
            type Param = V;
            type Output = V;

            fn apply(&self, x: &V) -> Result<V, Error> {
                Ok(self.values(x)?)
            }
        }

        impl<P: Params<f64>, V: Vector> Jacobian for $Problem {
            type Param = V;
            type Jacobian = V::Matrix;

            fn jacobian(&self, x: &V) -> Result<V::Matrix, Error> {
                Ok(self.rows(x)?)
            }
        }
    )* };
}
residual_traits! { Residuals<'_, P, V> &Residuals<'_, P, V> }
