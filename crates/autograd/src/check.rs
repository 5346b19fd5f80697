//! Gradients checked against differences of values.

use crate::backward::{GradOptions, grad_with};
use crate::functional::{jvp, jvp_batched};
use crate::mode::{enable_grad, no_grad};
use crate::tensor::Tensor;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use tensor_core::{AtCaller, Error, ErrorKind, Result, cuda};

/// How far a check's gradients lay from the differences.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CheckReport {
    /// The largest |analytic - numeric| / (1 + |numeric|).
    pub largest_error: f64,
    /// Where that was; None where nothing was compared.
    pub worst: Option<Difference>,
    /// How many elements were compared.
    pub elements: usize,
}

/// A derivative with respect to one element, by the rules and by differences.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    /// The input, by its place.
    pub input: usize,
    /// The element, in row-major order.
    pub element: usize,
    /// Its value.
    pub at: f64,
    /// What the rules say.
    pub analytic: f64,
    /// What differences say.
    pub numeric: f64,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Difference { input, element, at, analytic, numeric } = self;
        write!(f, "input {input}, element {element} at {at}: analytic {analytic}, numeric {numeric}")
    }
}

/// What the checks accept: |analytic - numeric| <= TOLERANCE (1 + |numeric|).
const TOLERANCE: f64 = 1e-6;

/// The same numbers in every run, in [0, 1): the splitmix64 sequence (Steele, Lea, Flood 2014).
struct Draws(u64);

impl Draws {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    fn tensor(&mut self, shape: &[usize], low: f64, high: f64) -> Result<Tensor<f64>> {
        let n: usize = shape.iter().product();
        Tensor::from_vec((0..n).map(|_| low + (high - low) * self.next()).collect(), shape)
    }
}

/// `x` with element `k` moved by `h`.
fn moved(x: &Tensor<f64>, k: usize, h: f64) -> Result<Tensor<f64>> {
    let mut data = x.to_vec();
    data[k] += h;
    Tensor::from_vec(data, x.shape())
}

/// Compares `gradients` of the scalar function `f` with fourth-order central differences:
/// (8 (f(x+h) - f(x-h)) - (f(x+2h) - f(x-2h))) / 12 h.
fn compare(
    op: &'static str,
    f: &dyn Fn(&[Tensor<f64>]) -> Result<f64>,
    inputs: &[Tensor<f64>],
    gradients: &[Option<Tensor<f64>>],
) -> Result<CheckReport> {
    let mut report = CheckReport::default();
    for (i, x) in inputs.iter().enumerate() {
        let analytic = gradients[i].as_ref().map_or(vec![0.0; x.numel()], Tensor::to_vec);
        if analytic.len() != x.numel() {
            return Err(Error::shape(
                op,
                format!("input {i} has {} elements, its gradient {}", x.numel(), analytic.len()),
            ));
        }
        for (k, (&a, x_k)) in analytic.iter().zip(x.to_vec()).enumerate() {
            let h = 1e-4 * x_k.abs().max(1.0);
            let at = |h: f64| {
                let mut moved_inputs = inputs.to_vec();
                moved_inputs[i] = moved(x, k, h)?;
                f(&moved_inputs)
            };
            let numeric = (8.0 * (at(h)? - at(-h)?) - (at(2.0 * h)? - at(-2.0 * h)?)) / (12.0 * h);
            let error = (a - numeric).abs() / (1.0 + numeric.abs());
            let difference = Difference { input: i, element: k, at: x_k, analytic: a, numeric };
            if error.is_nan() || error > TOLERANCE {
                return Err(Error::new(ErrorKind::Other, op, difference.to_string()));
            }
            report.elements += 1;
            if error >= report.largest_error {
                (report.largest_error, report.worst) = (error, Some(difference));
            }
        }
    }
    Ok(report)
}

/// Sum of the outputs weighed by fixed random numbers: one gradient that sees every output.
fn weights(y: &Tensor<f64>) -> Result<Tensor<f64>> {
    Draws(7).tensor(y.shape(), -1.0, 1.0)
}

/// Checks the gradients of `f` at `inputs` against differences.
///
/// ```
/// use tapegrad::{Tensor, gradcheck};
/// let report = gradcheck(|x| Ok(&x[0].sin() * &x[1]), &[Tensor::from([1.0, 2.0]), Tensor::scalar(3.0)])?;
/// assert!(report.largest_error < 1e-9 && report.elements == 3);
/// println!("{}", report.worst.unwrap());
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// The input, the element, and both values, where they differ; what `f` returns.
#[track_caller]
pub fn gradcheck(
    f: impl Fn(&[Tensor<f64>]) -> Result<Tensor<f64>>,
    inputs: &[Tensor<f64>],
) -> Result<CheckReport> {
    let leaves: Vec<Tensor<f64>> = inputs.iter().map(|x| x.detach().requires_grad()).collect();
    let y = enable_grad(|| f(&leaves))?;
    let w = weights(&y)?;
    let wrt: Vec<&Tensor<f64>> = leaves.iter().collect();
    let gradients = grad_with(&y, &wrt, GradOptions { cotangent: Some(w.clone()), ..Default::default() })?;
    let value = |x: &[Tensor<f64>]| no_grad(|| f(x)?.try_mul(&w)?.sum().item());
    compare("gradcheck", &value, inputs, &gradients).at_caller()
}

/// Checks the second derivatives of `f` at `inputs` against differences of its gradients. The
/// function checked is the weighed sum of the outputs and of their squares, so that linear
/// operations have second derivatives as well.
///
/// ```
/// use tapegrad::{Tensor, gradgradcheck};
/// let x = Tensor::from([0.5, -1.5]);
/// assert!(gradgradcheck(|x| Ok(x[0].sin() * &x[0]), &[x.clone()]).is_ok());
/// ```
///
/// # Errors
/// The input, the element, and both values, where they differ; what `f` returns.
#[track_caller]
pub fn gradgradcheck(
    f: impl Fn(&[Tensor<f64>]) -> Result<Tensor<f64>>,
    inputs: &[Tensor<f64>],
) -> Result<CheckReport> {
    let mut draws = Draws(11);
    let directions: Vec<Tensor<f64>> =
        inputs.iter().map(|x| draws.tensor(x.shape(), -1.0, 1.0)).collect::<Result<_>>()?;
    // <u, gradient of L>, with the gradient's own graph where asked for.
    let slope = |leaves: &[Tensor<f64>], create_graph: bool| -> Result<Option<Tensor<f64>>> {
        let y = enable_grad(|| f(leaves))?;
        let loss = enable_grad(|| -> Result<_> { Ok((y.try_mul(&weights(&y)?)? + y.square() * 0.5).sum()) })?;
        let wrt: Vec<&Tensor<f64>> = leaves.iter().collect();
        let gradients = grad_with(&loss, &wrt, GradOptions { create_graph, ..Default::default() })?;
        let mut total: Option<Tensor<f64>> = None;
        for (g, u) in gradients.iter().zip(&directions) {
            if let Some(g) = g {
                let part = enable_grad(|| g.try_mul(u))?.sum();
                total = Some(match total {
                    Some(t) => t + part,
                    None => part,
                });
            }
        }
        Ok(total)
    };
    let leaves =
        |x: &[Tensor<f64>]| -> Vec<Tensor<f64>> { x.iter().map(|x| x.detach().requires_grad()).collect() };
    let own = leaves(inputs);
    let wrt: Vec<&Tensor<f64>> = own.iter().collect();
    let gradients = match slope(&own, true)? {
        Some(s) => grad_with(&s, &wrt, GradOptions::default())?,
        None => vec![None; inputs.len()],
    };
    let value = |x: &[Tensor<f64>]| slope(&leaves(x), false)?.map_or(Ok(0.0), |s| s.item());
    compare("gradgradcheck", &value, inputs, &gradients).at_caller()
}

type Function<'a, T> = Box<dyn Fn(&[Tensor<T>]) -> Result<Tensor<T>> + 'a>;

/// A check of one operation, from [`check_op`].
pub struct OpCheck<'a> {
    f: Function<'a, f64>,
    single: Option<Function<'a, f32>>,
    reference: Option<Function<'a, f64>>,
    shapes: Vec<Vec<usize>>,
    low: f64,
    high: f64,
}

/// Checks an operation at random inputs of the given shapes: values against a reference, first and
/// second derivatives against differences, tangents pushed forward against gradients, every layout against the
/// row-major one, and f32 against f64.
///
/// ```
/// use tapegrad::check_op;
/// check_op(|x| x[0].try_mul(&x[1]), &[&[3, 1], &[4]]).single(|x| x[0].try_mul(&x[1])).run()?;
/// # Ok::<(), tapegrad::Error>(())
/// ```
pub fn check_op<'a>(
    f: impl Fn(&[Tensor<f64>]) -> Result<Tensor<f64>> + 'a,
    shapes: &[&[usize]],
) -> OpCheck<'a> {
    let shapes = shapes.iter().map(|s| s.to_vec()).collect();
    OpCheck { f: Box::new(f), single: None, reference: None, shapes, low: -2.0, high: 2.0 }
}

impl<'a> OpCheck<'a> {
    /// Draws inputs from this range instead of -2 to 2.
    ///
    /// ```
    /// use tapegrad::check_op;
    /// check_op(|x| Ok(x[0].log()), &[&[3]]).within(0.5, 2.0).run()?;
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    #[must_use]
    pub fn within(self, low: f64, high: f64) -> Self {
        OpCheck { low, high, ..self }
    }

    /// Also checks single precision, with the same function over f32.
    ///
    /// ```
    /// use tapegrad::check_op;
    /// check_op(|x| Ok(x[0].sin()), &[&[3]]).single(|x| Ok(x[0].sin())).run()?;
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    #[must_use]
    pub fn single(self, f: impl Fn(&[Tensor<f32>]) -> Result<Tensor<f32>> + 'a) -> Self {
        OpCheck { single: Some(Box::new(f)), ..self }
    }

    /// Also checks the values against another way to compute them.
    ///
    /// ```
    /// use tapegrad::check_op;
    /// check_op(|x| Ok(x[0].square()), &[&[2, 2]]).reference(|x| Ok(&x[0] * &x[0])).run()?;
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    #[must_use]
    pub fn reference(self, f: impl Fn(&[Tensor<f64>]) -> Result<Tensor<f64>> + 'a) -> Self {
        OpCheck { reference: Some(Box::new(f)), ..self }
    }

    /// Runs the check.
    ///
    /// ```
    /// use tapegrad::{Tensor, check_op};
    /// check_op(|x| x[0].try_mul(&x[1]), &[&[2, 1], &[3]]).run()?;
    /// let jump = |x: &[Tensor]| Ok(x[0].detach() + &x[0] * 2.0);
    /// assert!(check_op(jump, &[&[2]]).run().is_err());
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// What differed, and where; what the function returns.
    #[track_caller]
    pub fn run(self) -> Result<()> {
        self.run_all().at_caller()
    }

    fn run_all(&self) -> Result<()> {
        let mut draws = Draws(3);
        let inputs: Vec<Tensor<f64>> =
            self.shapes.iter().map(|s| draws.tensor(s, self.low, self.high)).collect::<Result<_>>()?;
        let value = (self.f)(&inputs)?;
        if let Some(reference) = &self.reference {
            close("values against the reference", &value, &reference(&inputs)?, 1e-10)?;
        }
        gradcheck(&self.f, &inputs)?;
        gradgradcheck(&self.f, &inputs)?;
        forward(&self.f, &inputs)?;
        let expected = gradients(&self.f, &inputs)?;
        let strided: Vec<Tensor<f64>> = inputs.iter().map(strided).collect::<Result<_>>()?;
        close("values of strided inputs", &(self.f)(&strided)?, &value, 1e-12)?;
        for (a, b) in gradients(&self.f, &strided)?.iter().zip(&expected) {
            close("gradients of strided inputs", a, b, 1e-12)?;
        }
        if let Some(single) = &self.single {
            let inputs: Vec<Tensor<f32>> = inputs.iter().map(|x| x.cast()).collect();
            close("values in f32", &single(&inputs)?.cast(), &value, 1e-4)?;
            for (a, b) in gradients(single, &inputs)?.iter().zip(&expected) {
                close("gradients in f32", &a.cast(), b, 1e-3)?;
            }
        }
        self.on_gpu(&inputs, &value, &expected)
    }

    /// On a GPU, where there is one: values and derivatives of both orders as on the CPU. Functions that hold
    /// tensors of their own on the CPU cannot be moved, and are left out.
    fn on_gpu(&self, inputs: &[Tensor<f64>], value: &Tensor<f64>, expected: &[Tensor<f64>]) -> Result<()> {
        if !cuda::is_available() {
            return Ok(());
        }
        let moved: Vec<Tensor<f64>> = inputs.iter().map(Tensor::cuda).collect::<Result<_>>()?;
        // An operator panics with the message that a method returns.
        let apart = |message: &str| message.contains("operands are on different devices");
        match catch_unwind(AssertUnwindSafe(|| (self.f)(&moved))) {
            Err(panic) if panic.downcast_ref::<String>().is_some_and(|p| apart(p)) => return Ok(()),
            Err(panic) => resume_unwind(panic),
            Ok(Err(e)) if apart(&e.to_string()) => return Ok(()),
            Ok(found) => close("values on the GPU", &found?.cpu(), value, 1e-10)?,
        }
        for (a, b) in gradients(&self.f, &moved)?.iter().zip(expected) {
            close("gradients on the GPU", &a.cpu(), b, 1e-9)?;
        }
        let (a, b) = (curvature(&self.f, &moved)?, curvature(&self.f, inputs)?);
        for (a, b) in a.iter().zip(&b) {
            close("second derivatives on the GPU", &a.cpu(), b, 1e-8)?;
        }
        Ok(())
    }
}

/// Rules forward against rules backward: the product of a random cotangent u with the tangent of a random direction v is that
/// of v with the gradient for u; of many directions, each has its own tangent; and the gradient of the first product by the
/// inputs is that of the second.
fn forward(f: &Function<'_, f64>, inputs: &[Tensor<f64>]) -> Result<()> {
    let mut draws = Draws(13);
    let x = inputs.to_vec();
    let v: Vec<Tensor<f64>> = x.iter().map(|x| draws.tensor(x.shape(), -1.0, 1.0)).collect::<Result<_>>()?;
    let u = weights(&no_grad(|| f(&x))?)?;
    // Leaves, not variables of a transform: what a function reads of these as numbers its value may not depend on.
    let leaves = || -> Vec<Tensor<f64>> { x.iter().map(|x| x.detach().requires_grad()).collect() };
    let slopes = |y: &Tensor<f64>, leaves: &[Tensor<f64>]| -> Result<Vec<Tensor<f64>>> {
        let grads = grad_with(y, leaves.iter().collect::<Vec<_>>(), GradOptions::default())?;
        Ok(grads.into_iter().zip(&x).map(|(g, x)| g.unwrap_or_else(|| x.zeros_like())).collect())
    };
    let ahead = leaves();
    let tangent = jvp(|x: &Vec<Tensor<f64>>| f(x), &ahead, &v)?.1;
    same_shape("a tangent", tangent.shape(), u.shape())?;
    let pairs = |v: &Tensor<f64>| Tensor::stack([v, &(v * -2.0)], 0);
    if inputs.iter().all(|x| x.numel() == 0) {
        // No tangent is right or wrong but in its shape: a mean of nothing is NaN, and its tangent, too.
        let Some(at) = x.first() else { return Ok(()) };
        let many = jvp_batched(|x: &Tensor<f64>| f(&replaced(inputs, 0, x)), at, &pairs(&v[0])?)?.1;
        return same_shape("many tangents at once", many.shape(), &[&[2], u.shape()].concat());
    }
    let tangent = tangent.try_mul(&u)?.sum();
    let back = leaves();
    let y = enable_grad(|| f(&back))?;
    let options = GradOptions { create_graph: true, cotangent: Some(u), ..Default::default() };
    let gradients = grad_with(&y, back.iter().collect::<Vec<_>>(), options)?;
    let mut product = Tensor::scalar(0.0);
    for (g, v) in gradients.iter().zip(&v) {
        if let Some(g) = g {
            product = product.try_add(&g.try_mul(v)?.sum())?;
        }
    }
    close("tangents against gradients", &tangent.detach(), &product.detach(), 1e-10)?;
    for (a, b) in slopes(&tangent, &ahead)?.iter().zip(&slopes(&product, &back)?) {
        close("gradients of tangents against those of gradients", a, b, 1e-8)?;
    }
    for (i, (at, v)) in x.iter().zip(&v).enumerate() {
        let of_one = |x_i: &Tensor<f64>| f(&replaced(inputs, i, x_i));
        let (_, single) = jvp(of_one, at, v)?;
        let (_, many) = jvp_batched(of_one, at, &pairs(v)?)?;
        close("many tangents at once", &many, &pairs(&single)?, 1e-10)?;
    }
    Ok(())
}

/// The gradients of the sum of the squares of the gradients of the sum of the squared outputs.
fn curvature<T: tensor_core::Float>(f: &Function<'_, T>, inputs: &[Tensor<T>]) -> Result<Vec<Tensor<T>>> {
    let size = |x: &[Tensor<T>]| -> Result<Tensor<T>> {
        let squares = |x: &[Tensor<T>]| f(x)?.square().sum().reshape(());
        let wrt: Vec<&Tensor<T>> = x.iter().collect();
        let grads = grad_with(&squares(x)?, &wrt, GradOptions { create_graph: true, ..Default::default() })?;
        let zero = x.first().map_or(Tensor::scalar(T::ZERO), |x| x.detach().zeros_like().sum());
        grads.iter().flatten().try_fold(zero, |sum, g| sum.try_add(&g.square().sum()))
    };
    gradients(&(Box::new(|x: &[Tensor<T>]| size(x)) as Function<'_, T>), inputs)
}

/// The gradients of the sum of the outputs, zeros where there are none.
fn gradients<T: tensor_core::Float>(f: &Function<'_, T>, inputs: &[Tensor<T>]) -> Result<Vec<Tensor<T>>> {
    let leaves: Vec<Tensor<T>> = inputs.iter().map(|x| x.detach().requires_grad()).collect();
    let y = enable_grad(|| f(&leaves))?;
    let wrt: Vec<&Tensor<T>> = leaves.iter().collect();
    let grads = grad_with(&y, &wrt, GradOptions::default())?;
    Ok(grads.into_iter().zip(inputs).map(|(g, x)| g.unwrap_or_else(|| x.zeros_like())).collect())
}

/// The same values in another layout: dimensions in reverse order in memory, every second element,
/// backwards.
fn strided(x: &Tensor<f64>) -> Result<Tensor<f64>> {
    if x.ndim() == 0 {
        return Ok(x.clone());
    }
    let reverse: Vec<isize> = (0..x.ndim() as isize).rev().collect();
    let values = x.permute(&reverse)?.to_vec();
    let spread = values.iter().rev().flat_map(|&v| [f64::NAN, v]).collect();
    let mut shape: Vec<usize> = x.shape().iter().rev().copied().collect();
    shape.push(2);
    let last = Tensor::from_vec(spread, shape)?.select(-1, 1)?;
    let backwards: Vec<ndarray::SliceInfoElem> =
        vec![ndarray::SliceInfoElem::Slice { start: 0, end: None, step: -1 }; x.ndim()];
    last.slice(&backwards)?.permute(&reverse)
}

/// The tensors, another one in place `i`.
fn replaced(inputs: &[Tensor<f64>], i: usize, x: &Tensor<f64>) -> Vec<Tensor<f64>> {
    let mut all = inputs.to_vec();
    all[i] = x.clone();
    all
}

fn same_shape(what: &str, a: &[usize], b: &[usize]) -> Result<()> {
    if a == b {
        return Ok(());
    }
    Err(Error::shape("check_op", format!("{what}: shape {a:?} instead of {b:?}")))
}

fn close(what: &str, a: &Tensor<f64>, b: &Tensor<f64>, tolerance: f64) -> Result<()> {
    same_shape(what, a.shape(), b.shape())?;
    for (k, (a, b)) in a.to_vec().into_iter().zip(b.to_vec()).enumerate() {
        let same = a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= tolerance * (1.0 + b.abs());
        if !same {
            let message = format!("{what}: element {k} is {a} instead of {b}");
            return Err(Error::new(ErrorKind::Other, "check_op", message));
        }
    }
    Ok(())
}
