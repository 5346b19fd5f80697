//! A fit, printed.

use super::CurveFit;
use autograd::Params;
use autograd::params::flatten;
use std::fmt;

/// Correlations of at least this are printed, and no more than so many.
const SMALL: f64 = 0.1;
const MOST: usize = 10;

impl<P: Params<f64>> fmt::Display for CurveFit<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let elements = |p: &P| flatten(p).map_or(Vec::new(), |p| p.to_vec());
        let (values, errors) = (elements(&self.parameters), elements(&self.standard_errors));
        let names: Vec<String> = match self.names.is_empty() {
            true => (0..values.len()).map(|i| format!("p{i}")).collect(),
            false => self.names.clone(),
        };
        let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        writeln!(f, "Fit: {}", self.report.stop)?;
        writeln!(f, "  iterations           {}", self.report.iterations)?;
        let evaluations = self.report.evaluations;
        writeln!(
            f,
            "  evaluations          {} values, {} derivatives",
            evaluations.values, evaluations.derivatives
        )?;
        writeln!(f, "  observations         {}", self.observations)?;
        writeln!(f, "  degrees of freedom   {}", self.degrees_of_freedom)?;
        writeln!(f, "  chi square           {:.6e}", self.chi_square)?;
        writeln!(f, "  reduced chi square   {:.6e}", self.reduced_chi_square)?;
        writeln!(f, "  R^2, adjusted R^2    {:.6}, {:.6}", self.r_squared, self.adjusted_r_squared)?;
        writeln!(f, "  AIC, BIC             {:.4}, {:.4}", self.aic, self.bic)?;
        write!(f, "Parameters")?;
        for ((name, value), error) in names.iter().zip(&values).zip(&errors) {
            let relative = (100.0 * error / value).abs();
            write!(f, "\n  {name:width$}  {value:>16.9e} +- {error:.3e}  ({relative:.2}%)")?;
        }
        let n = values.len();
        let correlation = self.correlation.to_vec();
        let mut pairs: Vec<(usize, usize, f64)> = (0..n)
            .flat_map(|i| (0..i).map(move |j| (j, i)))
            .map(|(j, i)| (j, i, correlation[i * n + j]))
            .collect();
        pairs.retain(|(_, _, c)| c.abs() >= SMALL);
        pairs.sort_by(|a, b| b.2.abs().total_cmp(&a.2.abs()));
        if !pairs.is_empty() {
            write!(f, "\nCorrelations, from {SMALL} on")?;
        }
        for (i, j, c) in pairs.iter().take(MOST) {
            write!(f, "\n  {}, {}: {c:+.4}", names[*i], names[*j])?;
        }
        if pairs.len() > MOST {
            write!(f, "\n  and {} more", pairs.len() - MOST)?;
        }
        Ok(())
    }
}
