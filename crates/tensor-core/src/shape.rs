//! Shapes: how they are written, broadcast, and how dimensions are named.

use crate::error::{Error, Result};
use smallvec::SmallVec;

/// The sizes of the dimensions, the slowest first; up to four without an allocation.
pub type Dims = SmallVec<[usize; 4]>;

/// Anything a shape can be written as: `[2, 3]`, `&[2, 3]`, `()`, `vec![2, 3]`, or a slice.
pub trait IntoShape {
    /// The sizes of the dimensions.
    fn into_shape(self) -> Dims;
}

impl IntoShape for () {
    fn into_shape(self) -> Dims {
        Dims::new()
    }
}

/// One dimension.
impl IntoShape for usize {
    #[inline]
    fn into_shape(self) -> Dims {
        Dims::from_slice(&[self])
    }
}

impl<const N: usize> IntoShape for [usize; N] {
    #[inline]
    fn into_shape(self) -> Dims {
        Dims::from_slice(&self)
    }
}

impl<const N: usize> IntoShape for &[usize; N] {
    #[inline]
    fn into_shape(self) -> Dims {
        Dims::from_slice(self)
    }
}

impl IntoShape for &[usize] {
    #[inline]
    fn into_shape(self) -> Dims {
        Dims::from_slice(self)
    }
}

impl IntoShape for Vec<usize> {
    fn into_shape(self) -> Dims {
        Dims::from_vec(self)
    }
}

impl IntoShape for &Vec<usize> {
    fn into_shape(self) -> Dims {
        Dims::from_slice(self)
    }
}

impl IntoShape for Dims {
    fn into_shape(self) -> Dims {
        self
    }
}

/// An integer type a dimension can be given in, negative ones with a meaning of their own.
pub trait DimSize: Copy {
    /// The value as a signed integer, saturating.
    fn to_isize(self) -> isize;
}

macro_rules! dim_size {
    ($($T:ty)*) => { $(
        impl DimSize for $T {
            #[inline]
            fn to_isize(self) -> isize {
                isize::try_from(self).unwrap_or(isize::MAX)
            }
        }

        /// One dimension.
        impl IntoSizes for $T {
            fn into_sizes(self) -> SmallVec<[isize; 4]> {
                SmallVec::from_slice(&[self.to_isize()])
            }
        }
    )* };
}
dim_size!(usize isize i32 i64 u32);

/// What `reshape` and `expand` take: a shape in which one size may be -1.
pub trait IntoSizes {
    /// The sizes, -1 where the operation is to find the size.
    fn into_sizes(self) -> SmallVec<[isize; 4]>;
}

impl IntoSizes for () {
    fn into_sizes(self) -> SmallVec<[isize; 4]> {
        SmallVec::new()
    }
}

impl<D: DimSize, const N: usize> IntoSizes for [D; N] {
    fn into_sizes(self) -> SmallVec<[isize; 4]> {
        self.iter().map(|d| d.to_isize()).collect()
    }
}

impl<D: DimSize, const N: usize> IntoSizes for &[D; N] {
    fn into_sizes(self) -> SmallVec<[isize; 4]> {
        self.iter().map(|d| d.to_isize()).collect()
    }
}

impl<D: DimSize> IntoSizes for &[D] {
    fn into_sizes(self) -> SmallVec<[isize; 4]> {
        self.iter().map(|d| d.to_isize()).collect()
    }
}

impl<D: DimSize> IntoSizes for Vec<D> {
    fn into_sizes(self) -> SmallVec<[isize; 4]> {
        self.as_slice().into_sizes()
    }
}

impl<D: DimSize> IntoSizes for &Vec<D> {
    fn into_sizes(self) -> SmallVec<[isize; 4]> {
        self.as_slice().into_sizes()
    }
}

impl IntoSizes for &Dims {
    fn into_sizes(self) -> SmallVec<[isize; 4]> {
        self.as_slice().into_sizes()
    }
}

/// Dimensions by number, negative ones counted from the end: `0`, `-1`, `[0, -1]`, or a slice.
pub trait IntoDims {
    /// The numbers as they were given.
    fn into_dims(self) -> SmallVec<[isize; 4]>;
}

impl IntoDims for isize {
    #[inline]
    fn into_dims(self) -> SmallVec<[isize; 4]> {
        SmallVec::from_slice(&[self])
    }
}

impl<const N: usize> IntoDims for [isize; N] {
    fn into_dims(self) -> SmallVec<[isize; 4]> {
        SmallVec::from_slice(&self)
    }
}

impl IntoDims for &[isize] {
    fn into_dims(self) -> SmallVec<[isize; 4]> {
        SmallVec::from_slice(self)
    }
}

impl IntoDims for Vec<isize> {
    fn into_dims(self) -> SmallVec<[isize; 4]> {
        SmallVec::from_vec(self)
    }
}

impl IntoDims for &Vec<isize> {
    fn into_dims(self) -> SmallVec<[isize; 4]> {
        SmallVec::from_slice(self)
    }
}

/// Whether two shapes are equal, without the call that comparing slices costs.
#[inline(always)]
pub fn same(a: &[usize], b: &[usize]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a == b)
}

/// The number of elements, an error where it or the bytes would overflow.
pub fn numel(op: &'static str, shape: &[usize]) -> Result<usize> {
    // Sizes of zero do not excuse the rest: products of a part of the shape must fit as well.
    let n = shape.iter().filter(|&&d| d != 0).try_fold(1usize, |n, &d| n.checked_mul(d));
    match n {
        Some(n) if n <= isize::MAX as usize / 8 => Ok(if shape.contains(&0) { 0 } else { n }),
        _ => Err(Error::out_of_memory(op, usize::MAX)),
    }
}

/// Dimension `dim` of `ndim`, negative ones counted from the end.
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
