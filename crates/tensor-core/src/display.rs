//! Printing as PyTorch prints: columns aligned, four digits, large tensors shortened.

use crate::array::Array;
use crate::device::Device;
use crate::element::{DType, Element, Scalar};
use crate::error::Result;
use crate::kernels;
use std::cell::Cell;
use std::fmt::{self, Write};
use std::sync::{PoisonError, RwLock};

/// How tensors print. The default and the other profiles are PyTorch's.
///
/// ```
/// use tapegrad::{Array, PrintOptions, with_print_options};
/// let a = Array::from_vec(vec![1.0, 0.12345], &[2])?;
/// assert_eq!(a.to_string(), "array([1.0000, 0.1235])");
/// let text = with_print_options(PrintOptions::short(), || a.to_string());
/// assert_eq!(text, "array([1.00, 0.12])");
/// let scientific = PrintOptions { scientific: Some(true), ..PrintOptions::default() };
/// let text = with_print_options(scientific, || a.to_string());
/// assert_eq!(text, "array([1.0000e+00, 1.2345e-01])");
/// # Ok::<(), tapegrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PrintOptions {
    /// Digits after the point: of 1074 and more nothing is left to show.
    pub precision: usize,
    /// Elements from which a tensor is shortened; one of which more than 2^27 would be shown always is.
    pub threshold: usize,
    /// Elements shown at either end of a shortened dimension.
    pub edge_items: usize,
    /// Characters in a line.
    pub line_width: usize,
    /// Always or never in scientific notation; None chooses by the values.
    pub scientific: Option<bool>,
}

/// The digits after the point of the smallest number.
const MOST_DIGITS: usize = 1074;
/// Elements that are shown at most: their text takes gigabytes.
const MOST_SHOWN: usize = 1 << 27;

const DEFAULT: PrintOptions =
    PrintOptions { precision: 4, threshold: 1000, edge_items: 3, line_width: 80, scientific: None };

impl Default for PrintOptions {
    fn default() -> Self {
        DEFAULT
    }
}

impl PrintOptions {
    /// Two digits after the point, and two elements at either end of what is shortened.
    ///
    /// ```
    /// use tapegrad::{Array, PrintOptions, with_print_options};
    /// assert_eq!(with_print_options(PrintOptions::short(), || Array::scalar(0.125).to_string()), "array(0.12)");
    /// ```
    #[must_use]
    pub fn short() -> Self {
        PrintOptions { precision: 2, edge_items: 2, ..DEFAULT }
    }

    /// Every element, however many there are.
    ///
    /// ```
    /// use tapegrad::PrintOptions;
    /// assert_eq!(PrintOptions::full().threshold, usize::MAX);
    /// ```
    #[must_use]
    pub fn full() -> Self {
        PrintOptions { threshold: usize::MAX, ..DEFAULT }
    }
}

static OPTIONS: RwLock<PrintOptions> = RwLock::new(DEFAULT);

thread_local! {
    static SCOPED: Cell<Option<PrintOptions>> = const { Cell::new(None) };
}

/// How tensors print now, on this thread.
///
/// ```
/// use tapegrad::{PrintOptions, print_options, with_print_options};
/// let digits = with_print_options(PrintOptions::short(), || print_options().precision);
/// assert_eq!((digits, print_options().precision), (2, 4));
/// ```
pub fn print_options() -> PrintOptions {
    SCOPED.get().unwrap_or_else(|| *OPTIONS.read().unwrap_or_else(PoisonError::into_inner))
}

/// Changes how tensors print, in the whole program.
///
/// ```
/// use tapegrad::{Array, PrintOptions, set_print_options};
/// set_print_options(PrintOptions { precision: 1, ..PrintOptions::default() });
/// assert_eq!(Array::scalar(0.25).to_string(), "array(0.2)");
/// ```
pub fn set_print_options(options: PrintOptions) {
    *OPTIONS.write().unwrap_or_else(PoisonError::into_inner) = options;
}

/// Runs `f`, in which tensors print so on this thread, whatever the program's options are.
///
/// ```
/// use tapegrad::{Array, PrintOptions, with_print_options};
/// let options = PrintOptions { threshold: 4, edge_items: 1, ..PrintOptions::default() };
/// let x = Array::from_vec(vec![1, 2, 3, 4, 5], &[5])?;
/// assert_eq!(with_print_options(options, || x.to_string()), "array([1,  ..., 5])");
/// # Ok::<(), tapegrad::Error>(())
/// ```
pub fn with_print_options<R>(options: PrintOptions, f: impl FnOnce() -> R) -> R {
    /// Also where `f` panics.
    struct Restore(Option<PrintOptions>);
    impl Drop for Restore {
        fn drop(&mut self) {
            SCOPED.set(self.0);
        }
    }
    let _restore = Restore(SCOPED.replace(Some(options)));
    f()
}

/// How the elements of one tensor are written.
struct Style {
    width: usize,
    precision: usize,
    mode: Mode,
}

#[derive(PartialEq)]
enum Mode {
    /// Integers and truth values.
    Plain,
    /// Floats without a fraction: `3.`
    Whole,
    Fixed,
    Scientific,
}

impl Style {
    fn of(values: &[Scalar], options: &PrintOptions) -> Self {
        let mut style = Style { width: 0, precision: options.precision, mode: Mode::Plain };
        let floats = || values.iter().filter_map(|v| if let Scalar::Float(x) = v { Some(*x) } else { None });
        if floats().next().is_some() {
            let (mut low, mut high) = (f64::INFINITY, 0.0f64);
            for x in floats().map(f64::abs).filter(|x| x.is_finite() && *x != 0.0) {
                (low, high) = (low.min(x), high.max(x));
            }
            let whole = floats().all(|x| !x.is_finite() || x == x.ceil());
            let spread = high > 0.0 && (high / low > 1000.0 || high > 1e8 || (!whole && low < 1e-4));
            // As in PyTorch, zeros, NaN and infinity alone are never written in scientific notation.
            style.mode = match high > 0.0 && options.scientific.unwrap_or(spread) {
                true => Mode::Scientific,
                false if whole => Mode::Whole,
                false => Mode::Fixed,
            };
        }
        // As in PyTorch, zeros, NaN and infinity take whatever room the other floats leave.
        let counts = |v: &&Scalar| !matches!(v, Scalar::Float(x) if *x == 0.0 || !x.is_finite());
        style.width = values.iter().filter(counts).map(|&v| style.write(v).len()).fold(1, usize::max);
        style
    }

    fn write(&self, value: Scalar) -> String {
        match value {
            Scalar::Bool(x) => if x { "True" } else { "False" }.to_string(),
            Scalar::Int(x) => x.to_string(),
            Scalar::Float(x) if x.is_nan() => "nan".to_string(),
            Scalar::Float(x) if x.is_infinite() => if x > 0.0 { "inf" } else { "-inf" }.to_string(),
            Scalar::Float(x) => match self.mode {
                Mode::Whole => format!("{x:.0}."),
                Mode::Scientific => scientific(x, self.precision),
                _ => format!("{x:.*}", self.precision),
            },
        }
    }
}

/// `1.5000e+03`: Rust writes the exponent as `e3`.
fn scientific(x: f64, precision: usize) -> String {
    let text = format!("{x:.precision$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |d| ('-', d));
    format!("{mantissa}e{sign}{digits:0>2}")
}

/// The indices of a dimension that are shown; None stands for the dots.
fn shown(size: usize, summarize: bool, edge: usize) -> Vec<Option<usize>> {
    match summarize && size > edge.saturating_mul(2) {
        true => (0..edge).map(Some).chain([None]).chain((size - edge..size).map(Some)).collect(),
        false => (0..size).map(Some).collect(),
    }
}

/// Whether a tensor is shortened, and the elements at either end that stay: by the options, or fewer where these
/// would show more than [`MOST_SHOWN`].
fn shortening(shape: &[usize], options: &PrintOptions) -> (bool, usize) {
    let numel: usize = shape.iter().product();
    let count = |summarize: bool, edge: usize| {
        let ends = edge.saturating_mul(2);
        let sizes = shape.iter().map(|&d| if summarize { d.min(ends) } else { d });
        sizes.fold(1usize, usize::saturating_mul)
    };
    let asked = (numel > options.threshold, options.edge_items);
    let fewer = [asked, (true, DEFAULT.edge_items)];
    fewer.into_iter().find(|&(summarize, edge)| count(summarize, edge) <= MOST_SHOWN).unwrap_or((true, 0))
}

impl<T: Element> Array<T> {
    /// Writes `name(values, extra)`, with the element type and the device where they are not the
    /// usual ones.
    /// A format's precision and exponent stand before the options: `{:.2}`, `{:.2e}`. Its width is that of the whole.
    #[doc(hidden)]
    pub fn write_as(
        &self,
        f: &mut fmt::Formatter<'_>,
        name: &str,
        extra: &str,
        exponents: bool,
    ) -> fmt::Result {
        let mut options = print_options();
        options.precision = f.precision().unwrap_or(options.precision);
        options.scientific = if exponents { Some(true) } else { options.scientific };
        let text = self.text_as(name, extra, options)?;
        padded(f, &text)
    }

    fn text_as(&self, name: &str, extra: &str, mut options: PrintOptions) -> Result<String, fmt::Error> {
        options.precision = options.precision.min(MOST_DIGITS);
        let (summarize, edge_items) = shortening(self.shape(), &options);
        options.edge_items = edge_items;
        let mut values = Vec::new();
        match self.device() {
            Device::Cpu => {
                let start = self.layout().offset() as isize;
                self.collect_shown(0, start, summarize, options.edge_items, &mut values);
            }
            // A formatter has no other error: what cannot be fetched cannot be shown.
            _ => {
                let part = self.shown_part(summarize, options.edge_items).map_err(|_| fmt::Error)?;
                values.extend(part.to_vec().into_iter().map(T::to_scalar));
            }
        }
        let style = Style::of(&values, &options);
        let mut text = format!("{name}(");
        let indent = text.len();
        let mut suffixes = Vec::new();
        if self.device() != Device::Cpu {
            suffixes.push(format!("device='{}'", self.device()));
        }
        let size = || match self.shape() {
            [one] => format!("size=({one},)"),
            sizes => format!("size=({})", sizes.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")),
        };
        if self.numel() == 0 {
            text += "[]";
            if self.ndim() != 1 {
                suffixes.push(size());
            }
        } else if summarize && options.edge_items == 0 && self.ndim() > 0 {
            text += "[...]";
            suffixes.push(size());
        } else {
            let mut values = values.into_iter();
            self.write_dim(0, indent, summarize, &options, &style, &mut values, &mut text);
        }
        if T::DTYPE == DType::F32 || (self.numel() == 0 && T::DTYPE != DType::F64) {
            suffixes.push(format!("dtype={}", T::DTYPE));
        }
        if !extra.is_empty() {
            suffixes.push(extra.to_string());
        }
        // What does not fit the line is put below the elements.
        // As PyTorch counts: two more than there are.
        let mut used = 1 + text.rfind('\n').map_or(text.len() + 1, |end| text.len() - end);
        for suffix in suffixes {
            if used + suffix.len() + 2 > options.line_width {
                text += &format!(",\n{}{suffix}", " ".repeat(indent));
                used = indent + suffix.len();
            } else {
                text += &format!(", {suffix}");
                used += suffix.len() + 2;
            }
        }
        text.push(')');
        Ok(text)
    }

    /// The elements that will be shown, from a GPU.
    fn shown_part(&self, summarize: bool, edge: usize) -> Result<Array<T>> {
        let mut part = self.clone();
        for (k, &size) in
            self.shape().iter().enumerate().filter(|&(_, &d)| summarize && d / 2 >= edge && d > 2 * edge)
        {
            let ends = [0, size - edge].map(|start| part.slice("print", k, start, 1, edge));
            let [first, last] = ends;
            part = kernels::cat("print", &[&first?, &last?], k)?;
        }
        part.to_device("print", Device::Cpu)
    }

    /// The values that will be shown, in order.
    fn collect_shown(&self, dim: usize, place: isize, summarize: bool, edge: usize, out: &mut Vec<Scalar>) {
        if self.numel() == 0 {
            return;
        }
        let Some(&size) = self.shape().get(dim) else {
            return out.push(self.storage()[place as usize].to_scalar());
        };
        let step = self.layout().strides()[dim];
        for k in shown(size, summarize, edge).into_iter().flatten() {
            self.collect_shown(dim + 1, place + k as isize * step, summarize, edge, out);
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the state of one recursive writer")]
    fn write_dim(
        &self,
        dim: usize,
        indent: usize,
        summarize: bool,
        options: &PrintOptions,
        style: &Style,
        values: &mut impl Iterator<Item = Scalar>,
        text: &mut String,
    ) {
        let Some(&size) = self.shape().get(dim) else {
            return *text += &values.next().map_or(String::new(), |v| style.write(v));
        };
        let items = shown(size, summarize, options.edge_items);
        text.push('[');
        if dim + 1 == self.ndim() {
            let room = options.line_width.saturating_sub(indent + dim);
            let per_line = (room / (style.width + 2)).max(1);
            for (k, item) in items.iter().enumerate() {
                if k > 0 {
                    text.push(',');
                    match k % per_line {
                        0 => *text += &format!("\n{}", " ".repeat(indent + dim + 1)),
                        _ => text.push(' '),
                    }
                }
                match item {
                    None => *text += " ...",
                    Some(_) => {
                        let value = values.next().map_or(String::new(), |v| style.write(v));
                        *text += &format!("{value:>width$}", width = style.width);
                    }
                }
            }
        } else {
            let gap = format!(",{}{}", "\n".repeat(self.ndim() - dim - 1), " ".repeat(indent + dim + 1));
            for (k, item) in items.iter().enumerate() {
                if k > 0 {
                    *text += &gap;
                }
                match item {
                    None => *text += "...",
                    Some(_) => self.write_dim(dim + 1, indent, summarize, options, style, values, text),
                }
            }
        }
        text.push(']');
    }
}

impl<T: Element> fmt::Display for Array<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_as(f, "array", "", false)
    }
}

impl<T: Element> fmt::LowerExp for Array<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_as(f, "array", "", true)
    }
}

/// Writes a text in the width of the format, on the left where that does not say where. Its precision is that of numbers,
/// by which [`fmt::Formatter::pad`] would cut the text off.
fn padded(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    let room = f.width().unwrap_or(0).saturating_sub(text.chars().count());
    let before = match f.align() {
        Some(fmt::Alignment::Right) => room,
        Some(fmt::Alignment::Center) => room / 2,
        Some(fmt::Alignment::Left) | None => 0,
    };
    let fill = f.fill();
    (0..before).try_for_each(|_| f.write_char(fill))?;
    f.write_str(text)?;
    (before..room).try_for_each(|_| f.write_char(fill))
}

impl<T: Element> fmt::Debug for Array<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests;
