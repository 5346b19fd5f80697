//! One error type for every crate of the workspace.

use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::panic::Location;

/// The result of everything that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, by kind; the message of the [`Error`] says it in full.
///
/// ```
/// use tapegrad::{Array, ErrorKind};
/// let error = Array::from_vec(vec![1, 2, 3], &[2, 2]).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Shape);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Shapes that do not fit the operation or each other.
    Shape,
    /// An index, or the number of a dimension, out of range.
    Index,
    /// Any other argument outside of what the operation takes.
    Argument,
    /// A device that cannot be used, or operands on different devices.
    Device,
    /// A matrix without an inverse.
    Singular {
        /// Which matrix of the batch, in row-major order; 0 where there is no batch.
        batch: usize,
    },
    /// A matrix that is not positive definite.
    NotPositiveDefinite {
        /// Which matrix of the batch, in row-major order; 0 where there is no batch.
        batch: usize,
        /// The order of the first leading minor that is not positive.
        minor: usize,
    },
    /// An iteration that did not converge.
    NotConverged,
    /// A graph that cannot be differentiated as asked: untracked, or already consumed.
    Graph,
    /// A NaN or an infinity born in an operation that was asked to find it.
    NotFinite,
    /// No memory for a buffer of this size.
    OutOfMemory {
        /// The bytes asked for.
        bytes: usize,
    },
    /// A file that cannot be read or written, or does not hold what it should.
    File,
    /// Processes of a group that do not agree, do not come, or have ended.
    Group,
    /// A failure of the caller's own, passed through by [`Error::other`].
    Other,
}

/// An error: its kind, the operation, what to do about it, and the caller's line.
///
/// ```
/// use tapegrad::{Array, Device, ErrorKind};
/// let error = Array::from_vec(vec![1.0, 2.0, 3.0], &[2, 2]).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Shape);
/// assert_eq!(error.op(), "from_vec");
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    op: &'static str,
    message: String,
    location: Option<&'static Location<'static>>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of operation `op`; `message` names the operands and says what to do.
    ///
    /// ```
    /// use tapegrad::{Error, ErrorKind};
    /// let error = Error::new(ErrorKind::Graph, "update", "no leaf");
    /// assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Graph, "update: no leaf"));
    /// ```
    #[cold]
    pub fn new(kind: ErrorKind, op: &'static str, message: impl Into<String>) -> Self {
        Error(Box::new(Inner { kind, op, message: message.into(), location: None, source: None }))
    }

    /// [`ErrorKind::Shape`].
    ///
    /// ```
    /// use tapegrad::{Error, ErrorKind};
    /// assert_eq!(Error::shape("mv", "no").kind(), ErrorKind::Shape);
    /// ```
    #[cold]
    pub fn shape(op: &'static str, message: impl Into<String>) -> Self {
        Error::new(ErrorKind::Shape, op, message)
    }

    /// [`ErrorKind::Index`].
    ///
    /// ```
    /// use tapegrad::{Error, ErrorKind};
    /// assert_eq!(Error::index("select", "no").kind(), ErrorKind::Index);
    /// ```
    #[cold]
    pub fn index(op: &'static str, message: impl Into<String>) -> Self {
        Error::new(ErrorKind::Index, op, message)
    }

    /// [`ErrorKind::Argument`].
    ///
    /// ```
    /// use tapegrad::{Error, ErrorKind};
    /// assert_eq!(Error::argument("arange", "no").kind(), ErrorKind::Argument);
    /// ```
    #[cold]
    pub fn argument(op: &'static str, message: impl Into<String>) -> Self {
        Error::new(ErrorKind::Argument, op, message)
    }

    /// [`ErrorKind::File`]; the message names the file and what is wrong with it.
    ///
    /// ```
    /// use tapegrad::Error;
    /// let error = Error::file("load_npy", "a.npy".as_ref(), "it is empty");
    /// assert_eq!(error.to_string(), "load_npy: a.npy: it is empty");
    /// ```
    #[cold]
    pub fn file(op: &'static str, path: &std::path::Path, fault: impl fmt::Display) -> Self {
        Error::new(ErrorKind::File, op, format!("{}: {fault}", path.display()))
    }

    /// [`ErrorKind::OutOfMemory`].
    ///
    /// ```
    /// use tapegrad::{Error, ErrorKind};
    /// assert_eq!(Error::out_of_memory("zeros", 8).kind(), ErrorKind::OutOfMemory { bytes: 8 });
    /// ```
    #[cold]
    pub fn out_of_memory(op: &'static str, bytes: usize) -> Self {
        let message =
            format!("no memory for {bytes} bytes: use smaller tensors or f32, or free what is not needed");
        Error::new(ErrorKind::OutOfMemory { bytes }, op, message)
    }

    /// Wraps a failure of the caller's own, so that a closure given to a transform can return it;
    /// it comes out unchanged as [`source`](std::error::Error::source). `?` does so for failures of the standard library, and
    /// for your own error where you write `impl From<Mine> for Error`.
    ///
    /// ```
    /// use tapegrad::{Error, ErrorKind};
    /// let error = Error::other("no data");
    /// assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Other, "no data"));
    /// ```
    #[cold]
    pub fn other(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        let mut e = Error::new(ErrorKind::Other, "", "");
        e.0.source = Some(error.into());
        e
    }

    /// Adds the caller's line, unless a deeper caller has.
    ///
    /// ```
    /// use tapegrad::Error;
    /// use std::panic::Location;
    /// let error = Error::shape("mv", "no").at(Location::caller());
    /// assert!(error.to_string().starts_with("mv: no (at "));
    /// ```
    #[cold]
    #[must_use]
    pub fn at(mut self, location: &'static Location<'static>) -> Self {
        if self.0.source.is_none() {
            self.0.location.get_or_insert(location);
        }
        self
    }

    /// Adds the line that called the function this stands in, which is `#[track_caller]`, unless a deeper caller has.
    ///
    /// ```
    /// use tapegrad::Error;
    /// #[track_caller]
    /// fn failing() -> Error {
    ///     Error::shape("mv", "no").at_caller()
    /// }
    /// let line = line!() + 1;
    /// assert_eq!(failing().location().unwrap().line(), line);
    /// ```
    #[track_caller]
    #[must_use]
    pub fn at_caller(self) -> Self {
        self.at(Location::caller())
    }

    /// Puts the caller's line in place of any other: that of a call to `backward` says more to its
    /// caller than a line within a rule.
    ///
    /// ```
    /// use tapegrad::Error;
    /// use std::panic::Location;
    /// let (error, line) = (Error::shape("mv", "no").at_caller(), line!() + 1);
    /// assert_eq!(error.relocated(Location::caller()).location().unwrap().line(), line);
    /// ```
    #[cold]
    #[must_use]
    pub fn relocated(mut self, location: &'static Location<'static>) -> Self {
        self.0.location = None;
        self.at(location)
    }

    /// Names the operation that was called in place of one that it is made of.
    ///
    /// ```
    /// use tapegrad::Error;
    /// assert_eq!(Error::shape("sum", "no").renamed("nansum").op(), "nansum");
    /// ```
    #[cold]
    #[must_use]
    pub fn renamed(mut self, op: &'static str) -> Self {
        self.0.op = op;
        self
    }

    /// What went wrong.
    ///
    /// ```
    /// use tapegrad::{Array, ErrorKind};
    /// let error = Array::<f64>::zeros(&[usize::MAX]).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::OutOfMemory { bytes: usize::MAX });
    /// ```
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The operation that failed.
    ///
    /// ```
    /// use tapegrad::Array;
    /// assert_eq!(Array::from_vec(vec![1], &[2]).unwrap_err().op(), "from_vec");
    /// ```
    pub fn op(&self) -> &'static str {
        self.0.op
    }

    /// The line that called the operation.
    ///
    /// ```
    /// use tapegrad::Error;
    /// let error = Error::shape("mv", "no");
    /// assert!(error.location().is_none() && error.at_caller().location().is_some());
    /// ```
    pub fn location(&self) -> Option<&'static Location<'static>> {
        self.0.location
    }

    /// Gives back what [`Error::other`] wrapped.
    ///
    /// ```
    /// use tapegrad::Error;
    /// assert_eq!(Error::other("mine").into_other().unwrap().to_string(), "mine");
    /// assert!(Error::shape("mv", "no").into_other().is_none());
    /// ```
    pub fn into_other(self) -> Option<Box<dyn std::error::Error + Send + Sync>> {
        self.0.source
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { op, message, location, source, .. } = &*self.0;
        if let Some(source) = source {
            return source.fmt(f);
        }
        write!(f, "{op}: {message}")?;
        location.map_or(Ok(()), |l| write!(f, " (at {l})"))
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.0.kind)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|e| &**e as _)
    }
}

/// Failures of the standard library, so that `?` takes them within a closure that is given to a transform. An error of
/// your own is taken by `.map_err(Error::other)?`, or by `?` alone where it says so:
///
/// ```
/// use tapegrad::{Error, ErrorKind};
/// #[derive(Debug)]
/// struct Diverged;
/// impl std::fmt::Display for Diverged {
///     fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
///         f.write_str("diverged")
///     }
/// }
/// impl std::error::Error for Diverged {}
///
/// impl From<Diverged> for Error {
///     fn from(error: Diverged) -> Error {
///         Error::other(error)
///     }
/// }
///
/// let number = || -> tapegrad::Result<f64> { Ok("many".parse()?) };
/// assert_eq!(number().unwrap_err().kind(), ErrorKind::Other);
/// let failing = || -> tapegrad::Result<()> { Err(Diverged)? };
/// assert!(failing().unwrap_err().into_other().unwrap().is::<Diverged>());
/// ```
impl From<Box<dyn std::error::Error + Send + Sync>> for Error {
    fn from(error: Box<dyn std::error::Error + Send + Sync>) -> Self {
        // An error of this library that was boxed on the way is itself again.
        error.downcast::<Error>().map_or_else(Error::other, |error| *error)
    }
}

macro_rules! from_failures {
    ($($Failure:ty)*) => { $(
        impl From<$Failure> for Error {
            fn from(error: $Failure) -> Self {
                Error::other(error)
            }
        }
    )* };
}
from_failures! {
    std::io::Error
    std::fmt::Error
    std::num::ParseFloatError
    std::num::ParseIntError
    std::num::TryFromIntError
    std::str::ParseBoolError
    std::str::Utf8Error
    std::string::FromUtf8Error
    std::env::VarError
    std::time::SystemTimeError
    std::array::TryFromSliceError
    std::sync::mpsc::RecvError
}

/// Lines of callers for results, in the body of a `#[track_caller]` function; a closure in it has no caller's line.
///
/// ```
/// use tapegrad::{AtCaller, Error, Result};
/// #[track_caller]
/// fn outer() -> Result<()> {
///     Err(Error::shape("inner", "no")).called("outer")
/// }
/// let (error, line) = (outer().unwrap_err(), line!());
/// assert_eq!((error.op(), error.location().unwrap().line()), ("outer", line));
/// ```
pub trait AtCaller {
    /// As [`Error::at_caller`].
    #[must_use]
    fn at_caller(self) -> Self;

    /// Names the operation that was called, and the line that called it, in place of those that it is made of.
    #[must_use]
    fn called(self, op: &'static str) -> Self;
}

impl<V> AtCaller for Result<V> {
    #[track_caller]
    #[inline]
    fn at_caller(self) -> Self {
        let caller = Location::caller();
        self.map_err(|e| e.at(caller))
    }

    #[track_caller]
    #[inline]
    fn called(self, op: &'static str) -> Self {
        let caller = Location::caller();
        self.map_err(|e| e.renamed(op).relocated(caller))
    }
}

/// For operations that return no `Result`.
///
/// ```
/// use tapegrad::tensor_core::{Array, OrRaise};
/// let x = Array::from_vec(vec![1, 2], &[2]).or_raise();
/// assert_eq!(x.to_vec(), [1, 2]);
/// assert!(std::panic::catch_unwind(|| Array::from_vec(vec![1], &[2]).or_raise()).is_err());
/// ```
pub trait OrRaise {
    /// What a success holds.
    type Value;
    /// The value, or a panic on the caller's line; [`crate::memory::try_run`] catches the case of
    /// memory running out.
    fn or_raise(self) -> Self::Value;
}

impl<V> OrRaise for Result<V> {
    type Value = V;

    #[track_caller]
    #[inline]
    fn or_raise(self) -> V {
        match self {
            Ok(value) => value,
            Err(error) => raise(error.at_caller()),
        }
    }
}

thread_local! {
    /// The error behind the last panic of [`OrRaise`] on this thread.
    static FAILURE: RefCell<Option<Error>> = const { RefCell::new(None) };
}

/// The error behind a panic of [`OrRaise`] on this thread. An earlier one, whose panic somebody else caught, has
/// another text.
pub(crate) fn failure_behind(panic: &(dyn Any + Send)) -> Option<Error> {
    let text = panic.downcast_ref::<String>()?;
    FAILURE.take().filter(|error| error.to_string() == *text)
}

#[cold]
#[track_caller]
fn raise(error: Error) -> ! {
    let text = error.to_string();
    FAILURE.set(Some(error));
    panic!("{text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_that_of_the_call_of_what_is_tracked() {
        #[track_caller]
        fn outer(called: bool) -> Result<()> {
            let inner = || Err(Error::index("inner", "no"));
            if called { inner().at_caller().called("outer") } else { inner().at_caller() }
        }
        let line = line!() + 1;
        let [e, renamed] = [false, true].map(|called| outer(called).unwrap_err());
        assert_eq!((e.op(), e.location().unwrap().line()), ("inner", line));
        assert_eq!((renamed.op(), renamed.location().unwrap().line()), ("outer", line));
    }

    #[test]
    fn the_deepest_line_is_kept_and_other_errors_pass_unchanged() {
        let here = Location::caller();
        let e = Error::shape("mv", "no").at(here);
        let line = e.location().unwrap().line();
        assert_eq!(e.at(Location::caller()).location().unwrap().line(), line);
        let e = Err::<(), _>(Error::shape("mv", "no").at(here)).at_caller().unwrap_err();
        assert_eq!(e.location().unwrap().line(), line);
        let e = Error::other("mine").at(here);
        assert_eq!(e.to_string(), "mine");
        assert_eq!(e.into_other().unwrap().to_string(), "mine");
    }
}
