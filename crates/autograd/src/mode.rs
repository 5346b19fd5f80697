//! How operations run, thread by thread: whether they are recorded, and for which of the user's lines.

use std::cell::Cell;
use std::panic::Location;
use tensor_core::Result;

#[derive(Clone, Copy)]
struct State {
    recording: bool,
    /// Whether results are searched for what is not finite.
    detecting: bool,
    /// The line that what is recorded is put down to, where it is not the caller's: that of the
    /// operation whose rule runs.
    site: Option<&'static Location<'static>>,
}

thread_local! {
    static STATE: Cell<State> = const { Cell::new(State { recording: true, detecting: false, site: None }) };
}

/// Restores the mode when it goes out of scope, a panic included.
pub(crate) struct Mode(State);

impl Mode {
    fn change(change: impl FnOnce(State) -> State) -> Self {
        let old = STATE.get();
        STATE.set(change(old));
        Mode(old)
    }

    fn recording(recording: bool) -> Self {
        Mode::change(|state| State { recording, ..state })
    }

    /// The mode of backward rules: what they compute is not searched, since only what they answer counts.
    pub(crate) fn rules(recording: bool) -> Self {
        Mode::change(|state| State { recording, detecting: false, ..state })
    }

    /// Puts what is recorded down to `site`, unless an operation further out is.
    pub(crate) fn at(site: &'static Location<'static>) -> Self {
        Mode::change(|state| State { site: state.site.or(Some(site)), ..state })
    }

    pub(crate) fn detecting() -> Self {
        Mode::change(|state| State { detecting: true, ..state })
    }
}

impl Drop for Mode {
    fn drop(&mut self) {
        STATE.set(self.0);
    }
}

/// Runs the body of an operation that is made of others: what it records, and its error, are put down to the line that
/// called it.
#[doc(hidden)]
pub fn for_line<R>(here: &'static Location<'static>, body: impl FnOnce() -> Result<R>) -> Result<R> {
    let _mode = Mode::at(here);
    body().map_err(|e| e.relocated(here))
}

/// The body of an operation that is made of others, compiled in the crate that writes this, once for each element type
/// of a bound; see [`apply_once!`](crate::apply_once!). Within a function that is `#[track_caller]`, and not in a closure
/// there: what it records, and its error, are put down to the line that called that.
///
/// ```
/// # use tapegrad::{Float, Result, Tensor, body_once};
/// #[track_caller]
/// pub fn weighed<T: Float>(x: &Tensor<T>, w: &Tensor<T>) -> Result<Tensor<T>> {
///     body_once!(T: Float, [x, w], |x: &Tensor<T>, w: &Tensor<T>| -> Result<Tensor<T>> {
///         let size = w.abs();
///         x.try_mul(&size.try_div(&size.sum())?)
///     })
/// }
/// assert_eq!(weighed(&Tensor::from([2.0, 4.0]), &Tensor::from([-1.0, 1.0]))?.to_vec(), [1.0, 2.0]);
/// # Ok::<(), tapegrad::Error>(())
/// ```
#[doc(hidden)]
#[macro_export]
macro_rules! body_once {
    ($T:ident: $Bound:ident, [$($x:expr),* $(,)?], |$($arg:ident: $Arg:ty),* $(,)?| -> $Out:ty $body:block) => {{
        $crate::tensor_core::compiled_once! {
            fn body<$T: $Bound>(here: &'static ::std::panic::Location<'static>, $($arg: $Arg),*) -> $Out {
                $crate::for_line(here, move || $body)
            }
        }
        body(::std::panic::Location::caller(), $($x),*)
    }};
}

/// The line that what is recorded is put down to, where it is not the caller's.
#[inline]
pub(crate) fn site() -> Option<&'static Location<'static>> {
    STATE.get().site
}

/// Puts what is recorded from here on down to `site`, until the mode changes back.
pub(crate) fn set_site(site: &'static Location<'static>) {
    STATE.set(State { site: Some(site), ..STATE.get() });
}

/// Whether results are searched for what is not finite.
#[inline]
pub(crate) fn is_detecting() -> bool {
    STATE.get().detecting
}

/// True where operations on tracked tensors are recorded, which is the default.
///
/// ```
/// use tapegrad::{is_grad_enabled, no_grad};
/// assert!(is_grad_enabled() && !no_grad(is_grad_enabled));
/// ```
#[inline]
pub fn is_grad_enabled() -> bool {
    STATE.get().recording
}

/// Runs `f` without recording: its results are constants.
///
/// ```
/// use tapegrad::{Tensor, no_grad};
/// let w = Tensor::scalar(2.0).requires_grad();
/// assert!(!no_grad(|| w.exp()).is_tracked());
/// ```
pub fn no_grad<R>(f: impl FnOnce() -> R) -> R {
    let _mode = Mode::recording(false);
    f()
}

/// Runs `f` with recording, also within [`no_grad`] or a backward rule.
///
/// ```
/// use tapegrad::{Tensor, enable_grad, no_grad};
/// let x = Tensor::scalar(1.0).requires_grad();
/// assert!(no_grad(|| !x.exp().is_tracked() && enable_grad(|| x.exp().is_tracked())));
/// ```
pub fn enable_grad<R>(f: impl FnOnce() -> R) -> R {
    let _mode = Mode::recording(true);
    f()
}
