//! Whether operations are recorded, thread by thread.

use std::cell::Cell;

thread_local! {
    static RECORDING: Cell<bool> = const { Cell::new(true) };
}

/// Restores the mode when it goes out of scope, a panic included.
pub(crate) struct Mode(bool);

impl Mode {
    pub(crate) fn set(recording: bool) -> Self {
        Mode(RECORDING.replace(recording))
    }
}

impl Drop for Mode {
    fn drop(&mut self) {
        RECORDING.set(self.0);
    }
}

/// True where operations on tracked tensors are recorded, which is the default.
#[inline]
pub fn is_grad_enabled() -> bool {
    RECORDING.get()
}

/// Runs `f` without recording: its results are constants.
///
/// ```
/// use autograd::{Tensor, no_grad};
/// let w = Tensor::scalar(2.0).requires_grad();
/// assert!(!no_grad(|| w.exp()).is_tracked());
/// ```
pub fn no_grad<R>(f: impl FnOnce() -> R) -> R {
    let _mode = Mode::set(false);
    f()
}

/// Runs `f` with recording, also within [`no_grad`] or a backward rule.
pub fn enable_grad<R>(f: impl FnOnce() -> R) -> R {
    let _mode = Mode::set(true);
    f()
}
