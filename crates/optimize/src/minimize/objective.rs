//! The function that a solver minimises: over one vector of numbers, counted, and limited in evaluations.

use crate::flat::{self, Flat};
use crate::report::{Evaluations, Stop};
use autograd::{LinearizedGradient, Tensor, linearize_gradient, no_grad, value_and_grad};
use tensor_core::{Error, ErrorKind, Result};

/// Why a solver cannot go on: nothing went wrong, or something did.
pub(crate) enum Halt {
    Stop(Stop),
    Error(Error),
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Halt::Error(error)
    }
}

/// A scalar function of tensors.
pub(crate) type Function<'a> = dyn Fn(&[Tensor]) -> Result<Tensor> + 'a;

/// A function of one vector, z = x / scale.
pub(crate) struct Objective<'a> {
    op: &'static str,
    f: &'a Function<'a>,
    flat: Flat,
    scale: Option<Vec<f64>>,
    pub(crate) evaluations: Evaluations,
    limit: usize,
}

/// A point where the gradient was recorded: a product with the Hessian there costs a walk over its graph.
pub(crate) type Record = LinearizedGradient<f64, Vec<Tensor>>;

impl<'a> Objective<'a> {
    pub(crate) fn new(
        op: &'static str,
        f: &'a Function<'a>,
        flat: Flat,
        scale: Option<Vec<f64>>,
        limit: usize,
    ) -> Self {
        Objective { op, f, flat, scale, evaluations: Evaluations::default(), limit }
    }

    /// x = scale z.
    pub(crate) fn unscaled(&self, z: &[f64]) -> Vec<f64> {
        self.times_scale(z)
    }

    fn times_scale(&self, z: &[f64]) -> Vec<f64> {
        match &self.scale {
            None => z.to_vec(),
            Some(scale) => z.iter().zip(scale).map(|(z, s)| z * s).collect(),
        }
    }

    /// By the chain rule, of a derivative by x.
    fn to_z(&self, derivative: &mut [f64]) {
        if let Some(scale) = &self.scale {
            derivative.iter_mut().zip(scale).for_each(|(g, s)| *g *= s);
        }
    }

    fn point(&mut self, z: &[f64]) -> Result<Vec<Tensor>, Halt> {
        if self.evaluations.values >= self.limit {
            return Err(Halt::Stop(Stop::Evaluations));
        }
        self.evaluations.values += 1;
        self.evaluations.derivatives += 1;
        Ok(match &self.scale {
            None => self.flat.tensors(z)?,
            Some(_) => self.flat.tensors(&self.times_scale(z))?,
        })
    }

    /// The value, infinite where it or the gradient is not finite, and the gradient.
    fn read(&self, value: &Tensor, gradient: &[Tensor], out: &mut [f64]) -> Result<f64> {
        flat::write(gradient, out);
        self.to_z(out);
        let value = value.detach().item()?;
        let finite = value.is_finite() && out.iter().all(|g| g.is_finite());
        Ok(if finite { value } else { f64::INFINITY })
    }

    /// The value at z, and the gradient: one evaluation.
    pub(crate) fn evaluate(&mut self, z: &[f64], gradient: &mut [f64]) -> Result<f64, Halt> {
        let x = self.point(z)?;
        // What the function captures may be tracked, for somebody else.
        let (value, g) = no_grad(|| value_and_grad(|x: &Vec<Tensor>| (self.f)(x), &x))?;
        Ok(self.read(&value, &g, gradient)?)
    }

    /// As [`Objective::evaluate`], recorded for products with the Hessian.
    pub(crate) fn record(&mut self, z: &[f64], gradient: &mut [f64]) -> Result<(f64, Record), Halt> {
        let x = self.point(z)?;
        let record = no_grad(|| linearize_gradient(|x: &Vec<Tensor>| (self.f)(x), &x))?;
        let value = self.read(record.value(), record.gradient(), gradient)?;
        Ok((value, record))
    }

    /// The product of the Hessian at a recorded point with v.
    pub(crate) fn product(&mut self, at: &Record, v: &[f64], out: &mut [f64]) -> Result<()> {
        self.evaluations.products += 1;
        let v = match &self.scale {
            None => self.flat.tensors(v)?,
            Some(_) => self.flat.tensors(&self.times_scale(v))?,
        };
        flat::write(&at.hvp(&v)?, out);
        self.to_z(out);
        Ok(())
    }

    /// The Hessian at a recorded point, row by row.
    pub(crate) fn hessian(&mut self, at: &Record) -> Result<Vec<f64>> {
        let n = self.flat.numel();
        self.evaluations.products += n;
        let mut rows = self.flat.matrix(|directions| at.hvp_batched(directions))?;
        if let Some(scale) = &self.scale {
            for (i, row) in rows.chunks_exact_mut(n.max(1)).enumerate() {
                row.iter_mut().zip(scale).for_each(|(h, s)| *h *= s * scale[i]);
            }
        }
        Ok(rows)
    }

    /// What is wrong at the first point.
    pub(crate) fn not_finite(&self, z: &[f64]) -> Error {
        let x = self.times_scale(z);
        if let Some(i) = x.iter().position(|x| !x.is_finite()) {
            let message = format!("x0 is {} at {}: begin at finite numbers", x[i], self.flat.place(i));
            return Error::argument(self.op, message);
        }
        let found = || -> Result<String> {
            let (value, g) =
                no_grad(|| value_and_grad(|x: &Vec<Tensor>| (self.f)(x), &self.flat.tensors(&x)?))?;
            let value = value.item()?;
            let g = flat::values(&g);
            Ok(match g.iter().position(|g| !g.is_finite()) {
                _ if !value.is_finite() => format!("the function is {value} at x0"),
                Some(i) => format!("the function's gradient at x0 is {} at {}", g[i], self.flat.place(i)),
                None => "the function gives other values when it is called again".to_string(),
            })
        };
        match found() {
            Ok(found) => {
                let message =
                    format!("{found}: begin where it is finite (detect_anomaly finds where a NaN is born)");
                Error::new(ErrorKind::NotFinite, self.op, message)
            }
            Err(error) => error,
        }
    }
}
