//! Shapes: how they are written, broadcast, and how dimensions are named.

use crate::error::{Error, Result};
use smallvec::SmallVec;

/// The sizes of the dimensions, the slowest first; up to four without an allocation.
pub type Dims = SmallVec<[usize; 4]>;

/// Integers as they were given, negative ones among them.
pub type Signed = SmallVec<[isize; 4]>;

/// An integer type that sizes, counts, indices and the numbers of dimensions are written in. Integers without a suffix
/// are `i32`, as everywhere in Rust.
///
/// ```
/// use tapegrad::shape::Integer;
/// assert_eq!((3usize.to_isize(), (-1i64).to_isize()), (3, -1));
/// assert!((-1).to_size("zeros").is_err());
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no integer that a size, an index or a dimension is written in",
    label = "an integer is needed: i32, i64, isize, u32, u64 or usize"
)]
pub trait Integer: Copy {
    /// The value as a signed integer, saturating.
    fn to_isize(self) -> isize;

    /// The value as a size or a count.
    ///
    /// # Errors
    /// Argument, for a negative one.
    fn to_size(self, op: &'static str) -> Result<usize> {
        size(op, self.to_isize())
    }
}

/// What sizes, the numbers of dimensions, shifts and the like are written as, one or many: an integer, or a tuple, an
/// array, a slice or a vector of integers. There is no other conversion of these.
///
/// ```
/// use tapegrad::shape::IntoDims;
/// let n = 3usize;
/// assert_eq!((2, n).into_dims()[..], [2, 3]);
/// assert_eq!(vec![2, -1].into_dims()[..], [2, -1]);
/// assert_eq!(n.into_shape("zeros")?[..], [3]);
/// assert!((2, -1).into_shape("zeros").is_err());
/// # Ok::<(), tapegrad::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` names no sizes or dimensions",
    label = "an integer is needed, or a tuple, an array, a slice or a vector of integers",
    note = "as `(2, 3)`, `[2, 3]`, `x.shape()`, `&vec![0, 1]` or `-1`; an array of more than 64, or of a length that is \
            a parameter, as the slice `&array[..]`"
)]
pub trait IntoDims: Sized {
    /// The numbers as they were given.
    fn into_dims(self) -> Signed;

    /// The numbers as the sizes of a shape, for operation `op`.
    ///
    /// # Errors
    /// Argument, for a negative one.
    #[inline]
    fn into_shape(self, op: &'static str) -> Result<Dims> {
        sizes(op, &self.into_dims())
    }
}

fn size(op: &'static str, n: isize) -> Result<usize> {
    usize::try_from(n).map_err(|_| Error::argument(op, format!("{n} is no size: 0 or more is needed")))
}

fn sizes(op: &'static str, dims: &[isize]) -> Result<Dims> {
    let negative = |d: &&isize| **d < 0;
    if let Some(d) = dims.iter().find(negative) {
        let message = format!("{dims:?} is no shape: {d} is negative");
        return Err(Error::argument(op, message));
    }
    Ok(dims.iter().map(|&d| d as usize).collect())
}

macro_rules! integers {
    ($($T:ty)*) => { $(
        impl Integer for $T {
            #[inline]
            fn to_isize(self) -> isize {
                isize::try_from(self).unwrap_or(isize::MAX)
            }
        }

        /// One of them.
        impl IntoDims for $T {
            #[inline]
            fn into_dims(self) -> Signed {
                Signed::from_slice(&[self.to_isize()])
            }
        }
    )* };
}
integers!(i32 i64 isize u32 u64 usize);

macro_rules! tuples {
    ($($($D:ident $k:tt)*;)*) => { $(
        impl<$($D: Integer),*> IntoDims for ($($D,)*) {
            #[inline]
            fn into_dims(self) -> Signed {
                Signed::from_slice(&[$(self.$k.to_isize()),*])
            }
        }
    )* };
}
tuples! {
    ;
    A 0;
    A 0 B 1;
    A 0 B 1 C 2;
    A 0 B 1 C 2 D 3;
    A 0 B 1 C 2 D 3 E 4;
    A 0 B 1 C 2 D 3 E 4 F 5;
    A 0 B 1 C 2 D 3 E 4 F 5 G 6;
    A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7;
}

impl<D: Integer> IntoDims for &[D] {
    #[inline]
    fn into_dims(self) -> Signed {
        self.iter().map(|d| d.to_isize()).collect()
    }
}

// Length by length, so that the type of what is not there need not be named: `[]` is of `usize`.
macro_rules! arrays {
    ($($N:literal)*) => { $(
        arrays!([D: Integer] D, $N);
    )* };
    ([$($bound:tt)*] $D:ty, $N:literal) => {
        #[diagnostic::do_not_recommend]
        impl<$($bound)*> IntoDims for [$D; $N] {
            #[inline]
            fn into_dims(self) -> Signed {
                self.as_slice().into_dims()
            }
        }

        #[diagnostic::do_not_recommend]
        impl<$($bound)*> IntoDims for &[$D; $N] {
            #[inline]
            fn into_dims(self) -> Signed {
                self.as_slice().into_dims()
            }
        }
    };
}
arrays!([] usize, 0);
arrays! {
    1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22
    23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40 41 42 43 44
    45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63 64
}

impl<D: Integer> IntoDims for Vec<D> {
    #[inline]
    fn into_dims(self) -> Signed {
        self.as_slice().into_dims()
    }
}

impl<D: Integer> IntoDims for &Vec<D> {
    #[inline]
    fn into_dims(self) -> Signed {
        self.as_slice().into_dims()
    }
}

impl IntoDims for Dims {
    #[inline]
    fn into_dims(self) -> Signed {
        self.as_slice().into_dims()
    }
}

impl IntoDims for &Dims {
    #[inline]
    fn into_dims(self) -> Signed {
        self.as_slice().into_dims()
    }
}

impl IntoDims for Signed {
    #[inline]
    fn into_dims(self) -> Signed {
        self
    }
}

impl IntoDims for &Signed {
    #[inline]
    fn into_dims(self) -> Signed {
        self.as_slice().into_dims()
    }
}

/// Whether two shapes are equal, without the call that comparing slices costs.
///
/// ```
/// use tapegrad::shape;
/// assert!(shape::same(&[2, 3], &[2, 3]) && !shape::same(&[2, 3], &[2, 3, 1]));
/// ```
#[inline(always)]
pub fn same(a: &[usize], b: &[usize]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a == b)
}

/// The number of elements, an error where it or the bytes would overflow.
///
/// ```
/// use tapegrad::shape;
/// assert_eq!(shape::numel("zeros", &[2, 3])?, 6);
/// assert_eq!(shape::numel("zeros", &[])?, 1);
/// assert!(shape::numel("zeros", &[usize::MAX, 2, 0]).is_err());
/// # Ok::<(), tapegrad::Error>(())
/// ```
pub fn numel(op: &'static str, shape: &[usize]) -> Result<usize> {
    // Sizes of zero do not excuse the rest: products of a part of the shape must fit as well.
    let n = shape.iter().filter(|&&d| d != 0).try_fold(1usize, |n, &d| n.checked_mul(d));
    match n {
        Some(n) if n <= isize::MAX as usize / 8 => Ok(if shape.contains(&0) { 0 } else { n }),
        _ => Err(Error::out_of_memory(op, usize::MAX)),
    }
}

/// Dimension `dim` of `ndim`, negative ones counted from the end.
///
/// ```
/// use tapegrad::shape;
/// assert_eq!(shape::dim("sum", -1, 3)?, 2);
/// let error = shape::dim("sum", 3, 3).unwrap_err().to_string();
/// assert_eq!(error, "sum: dimension 3 does not exist in a tensor of 3 dimensions: use -3 to 2");
/// # Ok::<(), tapegrad::Error>(())
/// ```
pub fn dim(op: &'static str, dim: isize, ndim: usize) -> Result<usize> {
    let n = ndim as isize;
    let d = if dim < 0 { dim.saturating_add(n) } else { dim };
    if (0..n).contains(&d) {
        return Ok(d as usize);
    }
    let allowed = match n {
        0 => "a scalar has none".to_string(),
        _ => format!("use {} to {}", -n, n - 1),
    };
    Err(Error::index(op, format!("dimension {dim} does not exist in a tensor of {n} dimensions: {allowed}")))
}

/// Which dimensions `dims` names; none at all names all of them, as PyTorch has it.
///
/// ```
/// use tapegrad::shape;
/// assert_eq!(shape::dim_mask("sum", &[0, -1], 3)?[..], [true, false, true]);
/// assert_eq!(shape::dim_mask("sum", &[], 2)?[..], [true, true]);
/// # Ok::<(), tapegrad::Error>(())
/// ```
pub fn dim_mask(op: &'static str, dims: &[isize], ndim: usize) -> Result<SmallVec<[bool; 4]>> {
    let mut mask = SmallVec::from_elem(dims.is_empty(), ndim);
    for &d in dims {
        // A scalar may be reduced over "its" dimension 0 or -1.
        if ndim == 0 && (d == 0 || d == -1) {
            continue;
        }
        let k = dim(op, d, ndim)?;
        if std::mem::replace(&mut mask[k], true) {
            return Err(Error::index(op, format!("dimension {d} appears twice in {dims:?}: name each once")));
        }
    }
    Ok(mask)
}

/// The common shape of two operands: equal sizes stay, a size of 1 stretches, missing leading
/// dimensions count as 1.
///
/// ```
/// use tapegrad::shape;
/// assert_eq!(shape::broadcast("add", &[3, 1], &[4])?[..], [3, 4]);
/// assert!(shape::broadcast("add", &[3], &[4]).is_err());
/// # Ok::<(), tapegrad::Error>(())
/// ```
pub fn broadcast(op: &'static str, a: &[usize], b: &[usize]) -> Result<Dims> {
    let (long, short) = if a.len() >= b.len() { (a, b) } else { (b, a) };
    let mut out = Dims::from_slice(long);
    let lead = long.len() - short.len();
    for (o, &s) in out[lead..].iter_mut().zip(short) {
        match (*o, s) {
            (x, y) if x == y => {}
            (1, y) => *o = y,
            (_, 1) => {}
            (x, y) => {
                let message = format!(
                    "shapes {a:?} and {b:?} do not broadcast: sizes {x} and {y} must be equal, or one of them 1"
                );
                return Err(Error::shape(op, message));
            }
        }
    }
    Ok(out)
}

/// Finds the size given as -1 and checks the rest against the `n` elements there are.
///
/// ```
/// use tapegrad::shape;
/// assert_eq!(shape::resolve("reshape", &[-1, 2], &[2, 3])?[..], [3, 2]);
/// assert!(shape::resolve("reshape", &[-1, 4], &[2, 3]).is_err());
/// # Ok::<(), tapegrad::Error>(())
/// ```
pub fn resolve(op: &'static str, sizes: &[isize], from: &[usize]) -> Result<Dims> {
    let n: usize = from.iter().product();
    let wrong = |why: String| Error::shape(op, format!("shape {from:?} cannot become {sizes:?}: {why}"));
    if let Some(d) = sizes.iter().find(|&&d| d < -1) {
        return Err(wrong(format!("{d} is not a size")));
    }
    if sizes.iter().filter(|&&d| d == -1).count() > 1 {
        return Err(wrong("only one size can be -1".into()));
    }
    let known: Dims = sizes.iter().filter(|&&d| d >= 0).map(|&d| d as usize).collect();
    let product = numel(op, &known)?;
    let missing = match sizes.contains(&-1) {
        true if product == 0 => return Err(wrong("the size -1 could be anything".into())),
        true if !n.is_multiple_of(product) => {
            return Err(wrong(format!("{n} elements do not divide by {product}")));
        }
        true => n / product,
        false if product != n => return Err(wrong(format!("{n} elements are not {product}"))),
        false => 1,
    };
    Ok(sizes.iter().map(|&d| if d == -1 { missing } else { d as usize }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broadcasting_follows_numpy() {
        let ok = |a: &[usize], b: &[usize]| broadcast("add", a, b).unwrap().to_vec();
        assert_eq!(ok(&[3, 1], &[4]), [3, 4]);
        assert_eq!(ok(&[0, 1], &[1, 5]), [0, 5]);
        assert_eq!(ok(&[], &[2]), [2]);
        assert!(broadcast("add", &[3], &[4]).is_err());
        assert!(broadcast("add", &[0], &[2]).is_err());
    }

    #[test]
    fn sizes_overflow_into_an_error() {
        assert!(numel("zeros", &[usize::MAX, 2]).is_err());
        assert!(numel("zeros", &[usize::MAX, 2, 0]).is_err());
        assert_eq!(numel("zeros", &[3, 0]).unwrap(), 0);
        assert!(resolve("reshape", &[-1, 0], &[0]).is_err());
        assert_eq!(resolve("reshape", &[-1, 2], &[2, 3]).unwrap().to_vec(), [3, 2]);
    }

    #[test]
    fn dimensions_count_from_either_end() {
        assert_eq!(dim("sum", -1, 3).unwrap(), 2);
        assert!(dim("sum", 3, 3).is_err());
        assert!(dim("sum", isize::MIN, 3).is_err());
        assert!(dim_mask("sum", &[0, -3], 3).is_err());
        assert_eq!(dim_mask("sum", &[], 2).unwrap().to_vec(), [true, true]);
    }
}
