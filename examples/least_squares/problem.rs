//! The least squares problem: its standardised data, its loss, and the way back to coefficients.

use crate::Result;
use crate::table::Table;
use tapegrad::prelude::*;
use tapegrad::random;

/// Columns and target before anything was done to them.
pub struct Data<T: Float> {
    /// Where they come from, for messages.
    pub source: String,
    /// The names of the columns of `a`.
    pub columns: Vec<String>,
    /// The name of `y`.
    pub target: String,
    /// The measurements, a row each.
    pub a: Tensor<T>,
    /// What to explain by them.
    pub y: Tensor<T>,
}

impl<T: Float> Data<T> {
    /// Splits a table into the column named `target`, the last one without a name, and the others.
    pub fn from_table(table: Table, target: Option<&str>) -> Result<Self> {
        let Table { source, mut columns, cells } = table;
        let width = columns.len();
        let at = match target {
            None => width - 1,
            // The columns of .npy files are named x0, x1, ...: their bare number does as well.
            Some(t) => columns.iter().position(|c| *c == t || *c == format!("x{t}")).ok_or_else(|| {
                format!("{source} has no column {t:?}: there are {}", crate::report::list(&columns))
            })?,
        };
        if width == 1 {
            return Err(
                format!("{source} has the single column {}: nothing to explain it by", columns[0]).into()
            );
        }
        let mut a = Vec::with_capacity(cells.len());
        let mut y = Vec::with_capacity(cells.len() / width);
        for row in cells.chunks_exact(width) {
            for (k, &x) in row.iter().enumerate() {
                if k == at { y.push(T::of(x)) } else { a.push(T::of(x)) }
            }
        }
        let rows = y.len();
        let target = columns.remove(at);
        Ok(Data { source, a: Tensor::from_vec(a, [rows, width - 1])?, y: Tensor::from(y), columns, target })
    }

    /// Random columns and coefficients, and a target with as much noise as signal.
    pub fn synthetic(rows: usize, columns: usize, seed: u64) -> Result<Self> {
        if rows == 0 || columns == 0 {
            return Err(format!("--rows {rows} --cols {columns}: there must be at least one of each").into());
        }
        // The sizes are the user's: `random::randn` returns out of memory as an error, where
        // `Tensor::randn` would panic.
        let normal = |shape: &[usize]| random::randn::<T>(shape).map(Tensor::from);
        manual_seed(seed);
        let a = normal(&[rows, columns])?;
        let coefficients = normal(&[columns])?;
        let noise = normal(&[rows])? * T::of((columns as f64).sqrt());
        let y = a.mv(&coefficients)?.try_add(&noise)?;
        let source = format!("synthetic problem, seed {seed}");
        let names = (0..columns).map(|k| format!("x{k}")).collect();
        Ok(Data { source, columns: names, target: "y".to_string(), a, y })
    }
}

/// The problem in standard units: every column, and the target, has mean 0 and variance 1.
pub struct Problem<T: Float> {
    pub columns: Vec<String>,
    a: Tensor<T>,
    y: Tensor<T>,
    mean_y: T,
    spread_y: T,
}

impl<T: Float> Problem<T> {
    /// Standardises the data and moves it to the device.
    pub fn new(data: Data<T>, device: &Device) -> Result<Self> {
        let Data { source, columns, target, a, y } = data;
        let [a, _, _] = standardise(&source, &columns, &a)?;
        let [y, mean_y, spread_y] = standardise(&source, &[target], &y.unsqueeze(1)?)?;
        let y = y.squeeze(1)?.to_device(device)?;
        Ok(Problem {
            columns,
            a: a.to_device(device)?,
            y,
            mean_y: mean_y.item()?,
            spread_y: spread_y.item()?,
        })
    }

    pub fn device(&self) -> Device {
        self.a.device()
    }

    pub fn rows(&self) -> usize {
        self.a.shape()[0]
    }

    /// Where both solvers start. From zero they never leave the row space of A: where several
    /// coefficients fit equally well, they find the smallest, as the pseudoinverse does.
    pub fn start(&self) -> Result<Tensor<T>> {
        Ok(Tensor::zeros_on(&self.device(), [self.columns.len()])?)
    }

    /// f(x) = ||y - A x||^2 / rows, which is 1 at x = 0, and the unexplained share of the variance,
    /// 1 - R^2, at the solution.
    pub fn loss(&self, x: &Tensor<T>) -> tapegrad::Result<Tensor<T>> {
        Ok(least_squares_loss(&self.a, x, &self.y)? / T::of(self.rows() as f64))
    }

    /// The norm of the gradient that counts as zero. In standard units the gradient's elements are
    /// of size 1 at most, so that this means the same for every input.
    pub fn tolerance(&self) -> T {
        T::EPSILON * T::of(16.0 * (self.columns.len() as f64).sqrt())
    }

    /// x = A^+ y
    pub fn closed_form(&self) -> Result<Tensor<T>> {
        Ok(self.a.pinv()?.mv(&self.y)?)
    }

    /// The intercept and the coefficients of the standardised columns, in the target's own unit.
    /// The columns have mean 0: so the best constant is the target's mean, whatever x is.
    pub fn coefficients(&self, x: &Tensor<T>) -> Vec<T> {
        let mut all = vec![self.mean_y];
        all.extend((x * self.spread_y).to_vec());
        all
    }

    /// The residual sum of squares in the target's own unit, and R^2.
    pub fn quality(&self, x: &Tensor<T>) -> Result<(f64, f64)> {
        let unexplained = self.loss(x)?.item()?.to_f64();
        let total = self.rows() as f64 * self.spread_y.to_f64().powi(2);
        Ok((unexplained * total, 1.0 - unexplained))
    }
}

/// The columns minus their means, over their (population) standard deviations; and these two.
fn standardise<T: Float>(source: &str, names: &[String], columns: &Tensor<T>) -> Result<[Tensor<T>; 3]> {
    let (low, high) = (columns.amin(0, false)?.to_vec(), columns.amax(0, false)?.to_vec());
    for ((name, low), high) in names.iter().zip(low).zip(high) {
        if low == high {
            return Err(
                format!("{source}, column {name}: constant, so that it cannot be standardised").into()
            );
        }
    }
    let mean = columns.mean_dim(0, true)?;
    let centred = columns.try_sub(&mean)?;
    // Once more: the mean of 2000, 2001, 2002, ... is rounded, and the columns would keep a mean
    // that is not small beside their spread.
    let rest = centred.mean_dim(0, true)?;
    let centred = centred.try_sub(&rest)?;
    let spread = centred.std_with(0, true, 0.0)?;
    if let Some(k) = spread.to_vec().iter().position(|s| !s.is_finite() || *s == T::ZERO) {
        let (name, dtype) = (&names[k], T::DTYPE);
        return Err(format!("{source}, column {name}: too large or too small for {dtype}, rescale it").into());
    }
    Ok([centred.try_div(&spread)?, mean + rest, spread])
}
