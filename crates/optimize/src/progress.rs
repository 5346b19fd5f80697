//! A bar that shows how far a solver is.

use crate::report::{Callback, Progress};
use indicatif::{ProgressBar, ProgressStyle};
use std::ops::ControlFlow;
use std::time::Duration;

/// A callback that shows steps, value and gradient on the terminal's last line, and takes the line away at the end.
/// Where nothing is a terminal, it shows nothing.
///
/// ```
/// use tapegrad::Tensor;
/// use tapegrad::optimize::{MinimizeOptions, minimize_with, progress};
/// let options = MinimizeOptions { callback: Some(progress::bar("fit")), ..Default::default() };
/// let found = minimize_with(|x: &Tensor| Ok(x.square().sum()), &Tensor::ones([3]), options)?;
/// assert!(found.report.converged());
/// # Ok::<(), tapegrad::Error>(())
/// ```
pub fn bar(name: &str) -> Box<Callback<'static>> {
    let bar = Shown(ProgressBar::new_spinner());
    if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix} step {pos}  {msg}  [{elapsed}]") {
        bar.0.set_style(style);
    }
    bar.0.set_prefix(name.to_string());
    bar.0.enable_steady_tick(Duration::from_millis(100));
    Box::new(move |progress| show(&bar, progress))
}

struct Shown(ProgressBar);

impl Drop for Shown {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

fn show(bar: &Shown, progress: &Progress<'_>) -> ControlFlow<()> {
    bar.0.set_position(progress.iteration as u64);
    bar.0.set_message(format!("value {:.6e}  gradient {:.1e}", progress.value, progress.gradient_norm));
    ControlFlow::Continue(())
}
