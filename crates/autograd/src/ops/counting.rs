//! Elements counted by their values: in bins, by number, and one by one.

use crate::body_once;
use crate::create::{arange_on, linspace};
use crate::tensor::Tensor;
use tensor_core::{AtCaller, Error, Float, Number, Result, memory};

/// How many bins numbers from 0 up fill, at least `minlength`.
fn bins(op: &'static str, x: &Tensor<i64>, minlength: usize) -> Result<usize> {
    if x.ndim() != 1 {
        let message = format!("numbers of shape {:?}: a vector is needed, which flatten() makes", x.shape());
        return Err(Error::shape(op, message));
    }
    if x.numel() == 0 {
        return Ok(minlength);
    }
    let (smallest, largest) = (x.min()?.item()?, x.max()?.item()?);
    if smallest < 0 {
        return Err(Error::index(op, format!("the number {smallest}: bins count from 0")));
    }
    Ok(minlength.max((largest as usize).saturating_add(1)))
}

/// # Counting: integers and classes
impl Tensor<i64> {
    /// How often each number from 0 to the largest occurs in this vector, up to `minlength` - 1 at least. The counts
    /// have no gradient.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// assert_eq!(Tensor::from([1, 3, 1]).bincount(0)?.to_vec(), [0, 2, 0, 1]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where this is no vector; index, for a negative number; out of memory, for a huge one.
    #[track_caller]
    pub fn bincount(&self, minlength: usize) -> Result<Tensor<i64>> {
        self.bincount_weighted(&self.ones_like(), minlength).called("bincount")
    }

    /// The sums of the weights of each number from 0 to the largest in this vector, up to `minlength` - 1 at least. Each
    /// weight has the gradient of its bin.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let weights = Tensor::from([0.5, 2.0, 1.0]);
    /// assert_eq!(Tensor::from([1, 3, 1]).bincount_weighted(&weights, 0)?.to_vec(), [0.0, 1.5, 0.0, 2.0]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where this is no vector, or there is not a weight for each; index, for a negative number; out of memory,
    /// for a huge one.
    #[track_caller]
    pub fn bincount_weighted<T: Number>(&self, weights: &Tensor<T>, minlength: usize) -> Result<Tensor<T>> {
        body_once!(
            T: Number,
            [self, weights, minlength],
            |x: &Tensor<i64>, weights: &Tensor<T>, minlength: usize| -> Result<Tensor<T>> {
                const OP: &str = "bincount";
                let bins = bins(OP, x, minlength)?;
                if weights.shape() != x.shape() {
                    let message = format!(
                        "weights of shape {:?} for numbers of shape {:?}: one each is needed",
                        weights.shape(),
                        x.shape()
                    );
                    return Err(Error::shape(OP, message));
                }
                memory::ask::<T>(OP, &[bins])?;
                Tensor::zeros_on(&weights.device(), [bins])?.scatter_add(0, x, weights).called(OP)
            }
        )
    }

    /// For each class a vector of `num_classes` along a new last dimension that is 1 at the class and 0 elsewhere;
    /// without a number, of one more than the largest class. It has no gradient; `to_type` makes floats of it.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// assert_eq!(Tensor::from([2, 0]).one_hot(3)?.to_vec(), [0, 0, 1, 1, 0, 0]);
    /// assert_eq!(Tensor::from([0, 1]).one_hot(None)?.shape(), [2, 2]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Index, for a class that is negative, or not below the number; argument, where there is neither a number nor a
    /// class; out of memory.
    #[track_caller]
    pub fn one_hot(&self, num_classes: impl Into<Option<usize>>) -> Result<Tensor<i64>> {
        one_hot(self, num_classes.into()).at_caller().called("one_hot")
    }
}

fn one_hot(x: &Tensor<i64>, num_classes: Option<usize>) -> Result<Tensor<i64>> {
    const OP: &str = "one_hot";
    let count = match (x.numel(), num_classes) {
        (0, None) => {
            let message = "no class to count classes by: give their number";
            return Err(Error::argument(OP, message));
        }
        (0, Some(count)) => count,
        (_, count) => {
            let (smallest, largest) = (x.min()?.item()?, x.max()?.item()?);
            let count = count.unwrap_or((largest.max(0) as usize).saturating_add(1));
            if smallest < 0 || largest as usize >= count {
                let wrong = if smallest < 0 { smallest } else { largest };
                let message = format!("class {wrong} of {count}: classes are 0 to {count} - 1");
                return Err(Error::index(OP, message));
            }
            count
        }
    };
    let whole: Vec<usize> = x.shape().iter().copied().chain([count]).collect();
    memory::ask::<i64>(OP, &whole)?;
    let classes = arange_on(&x.device(), 0, count as i64, 1)?;
    Ok(x.unsqueeze(-1)?.eq(&classes)?.to_type())
}

/// What a [`Tensor::histogram_with`] counts by.
#[derive(Clone, Copy, Debug)]
pub struct HistogramOptions<'a, T: Float = f64> {
    /// How many bins of one width there are; 10.
    pub bins: usize,
    /// From the first bin's lower end to the last one's upper end; None for the smallest and the largest element.
    pub range: Option<(T, T)>,
    /// The ends of the bins, in increasing order, in place of `bins` and `range`.
    pub edges: Option<&'a Tensor<T>>,
    /// What each element counts for, in the elements' shape; None for 1.
    pub weight: Option<&'a Tensor<T>>,
    /// Whether the counts are divided by their sum and by the widths, for a density whose integral is 1.
    pub density: bool,
}

impl<T: Float> Default for HistogramOptions<'_, T> {
    fn default() -> Self {
        HistogramOptions { bins: 10, range: None, edges: None, weight: None, density: false }
    }
}

/// # Counting: histograms
impl<T: Float> Tensor<T> {
    /// How many elements lie in each of `bins` bins of one width between the smallest and the largest, and the `bins` + 1
    /// ends of the bins, as NumPy's and PyTorch's `histogram`. An element at the end of two bins belongs to the upper
    /// one, and the largest to the last. Counts have no gradient.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let (counts, edges) = Tensor::from([1.0, 2.0, 1.5, 3.0]).histogram(2)?;
    /// assert_eq!((counts.to_vec(), edges.to_vec()), (vec![2.0, 2.0], vec![1.0, 2.0, 3.0]));
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Argument, for no bins, and for elements that are not finite; out of memory.
    #[track_caller]
    pub fn histogram(&self, bins: usize) -> Result<(Self, Self)> {
        self.histogram_with(HistogramOptions { bins, ..Default::default() })
    }

    /// [`Tensor::histogram`] in a given range or between given ends, of weights, as a density. What lies outside of the
    /// range is not counted, and NaN nowhere. There are gradients with respect to the weights only.
    ///
    /// ```
    /// use tapegrad::{HistogramOptions, Tensor};
    /// let x = Tensor::from([0.1, 0.2, 0.7, 5.0]);
    /// let options = HistogramOptions { bins: 2, range: Some((0.0, 1.0)), density: true, ..Default::default() };
    /// let (density, _) = x.histogram_with(options)?;
    /// assert_eq!(density.to_vec(), [4.0 / 3.0, 2.0 / 3.0]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Argument, for no bins, a range that is not finite or ends before it begins, and ends that are not in order; shape,
    /// where the ends are no vector of at least 2, or there is not a weight for each element; out of memory.
    #[track_caller]
    pub fn histogram_with(&self, options: HistogramOptions<'_, T>) -> Result<(Self, Self)> {
        body_once!(
            T: Float,
            [self, options],
            |x: &Tensor<T>, options: HistogramOptions<'_, T>| -> Result<(Tensor<T>, Tensor<T>)> {
                histogram(x, options).called("histogram")
            }
        )
    }

    /// How many elements lie in each of `bins` bins of one width between `min` and `max`, or between the smallest and
    /// the largest where `min` equals `max`; see [`Tensor::histogram_with`].
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// assert_eq!(Tensor::from([0.1, 0.6, 0.7, 2.0]).histc(2, 0.0, 1.0)?.to_vec(), [1.0, 2.0]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Argument, for no bins, and a range that is not finite or ends before it begins; out of memory.
    #[track_caller]
    pub fn histc(&self, bins: usize, min: T, max: T) -> Result<Self> {
        let range = (min != max).then_some((min, max));
        Ok(self.histogram_with(HistogramOptions { bins, range, ..Default::default() }).called("histc")?.0)
    }
}

/// # Counting: places among boundaries
impl<T: Number> Tensor<T> {
    /// The number of the bin of each element, between `boundaries`, a vector in increasing order: how many of them are
    /// below it, or, where `right`, not above it. NaN is behind all. Numbers have no gradient.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let boundaries = Tensor::from([1.0, 2.0, 3.0]);
    /// let x = Tensor::from([0.5, 2.0, 9.0]);
    /// assert_eq!(x.bucketize(&boundaries, false)?.to_vec(), [0, 1, 3]);
    /// assert_eq!(x.bucketize(&boundaries, true)?.to_vec(), [0, 2, 3]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where the boundaries are no vector.
    #[track_caller]
    pub fn bucketize(&self, boundaries: &Tensor<T>, right: bool) -> Result<Tensor<i64>> {
        boundaries.searchsorted(self, right).called("bucketize")
    }
}

/// The ends of `bins` bins of one width.
fn even_edges<T: Float>(x: &Tensor<T>, bins: usize, range: Option<(T, T)>) -> Result<Tensor<T>> {
    const OP: &str = "histogram";
    if bins == 0 {
        return Err(Error::argument(OP, "0 bins: at least 1 is needed"));
    }
    let (mut first, mut last) = match range {
        Some(range) => range,
        None if x.numel() == 0 => (T::ZERO, T::ONE),
        None => (x.detach().min()?.item()?, x.detach().max()?.item()?),
    };
    if !(first.is_finite() && last.is_finite() && first <= last) {
        let message =
            format!("bins from {first} to {last}: give a finite range, from the lower to the upper end");
        return Err(Error::argument(OP, message));
    }
    if first == last {
        (first, last) = (first - T::of(0.5), last + T::of(0.5));
    }
    memory::ask::<T>(OP, &[bins.saturating_add(1)])?;
    linspace(first, last, bins + 1)?.to_device(&x.device())
}

fn histogram<T: Float>(
    x: &Tensor<T>,
    HistogramOptions { bins, range, edges, weight, density }: HistogramOptions<'_, T>,
) -> Result<(Tensor<T>, Tensor<T>)> {
    const OP: &str = "histogram";
    let edges = match edges {
        None => even_edges(x, bins, range)?,
        Some(edges) if edges.ndim() == 1 && edges.numel() > 1 => edges.detach(),
        Some(edges) => {
            let message = format!("ends of shape {:?}: a vector of at least 2 is needed", edges.shape());
            return Err(Error::shape(OP, message));
        }
    };
    let bins = edges.numel() - 1;
    if !edges.narrow(0, 1, bins)?.ge(&edges.narrow(0, 0, bins)?)?.all() {
        return Err(Error::argument(OP, "the ends of the bins are not in increasing order: sort them"));
    }
    let x = x.detach().flatten();
    let inside = x.ge(&edges.select(0, 0)?)?.logical_and(&x.le(&edges.select(0, -1)?)?)?;
    let bin = edges.narrow(0, 1, bins - 1)?.searchsorted(&x, true)?;
    // One bin more for what is in none.
    let bin = inside.where_cond(&bin, Tensor::scalar(bins as i64))?;
    let counts = match weight {
        // Counted as integers: a float of 24 bits stops counting.
        None => bin.bincount(bins + 1)?.to_type::<T>(),
        Some(weight) if weight.numel() == x.numel() => bin.bincount_weighted(&weight.flatten(), bins + 1)?,
        Some(weight) => {
            let message =
                format!("{} weights for {} elements: one each is needed", weight.numel(), x.numel());
            return Err(Error::shape(OP, message));
        }
    };
    let counts = counts.narrow(0, 0, bins)?;
    if !density {
        return Ok((counts, edges));
    }
    let share = counts.try_div(&counts.sum())?;
    Ok((share.try_div(&edges.diff(1, 0)?)?, edges))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check_op;

    #[test]
    fn weights_have_gradients() -> Result<()> {
        let at = Tensor::from([2, 0, 2, 1, 5]);
        check_op(|x| at.bincount_weighted(&x[0], 4), &[&[5]])
            .single(|x| at.bincount_weighted(&x[0], 4))
            .run()?;
        let x = Tensor::from([0.5, -1.0, 2.0, 0.1, 0.6]);
        for density in [false, true] {
            let f = |w: &[Tensor]| {
                let weight = w[0].square() + 0.1;
                let options =
                    HistogramOptions { bins: 3, weight: Some(&weight), density, ..Default::default() };
                Ok(x.histogram_with(options)?.0)
            };
            check_op(f, &[&[5]]).run()?;
        }
        Ok(())
    }

    #[test]
    fn ends() -> Result<()> {
        let none = Tensor::from_vec(Vec::<i64>::new(), [0])?;
        assert_eq!((none.bincount(0)?.shape(), none.bincount(2)?.to_vec()), (&[0][..], vec![0, 0]));
        assert_eq!(none.one_hot(2)?.shape(), [0, 2]);
        assert!(none.one_hot(None).is_err() && Tensor::from([-1]).one_hot(2).is_err());
        assert!(Tensor::from([2]).one_hot(2).is_err() && Tensor::from([-1]).bincount(0).is_err());
        assert!(
            Tensor::from([i64::MAX]).bincount(0).is_err() && Tensor::from([i64::MAX]).one_hot(None).is_err()
        );
        assert!(Tensor::scalar(1).bincount(0).is_err());
        assert!(Tensor::from([1]).bincount_weighted(&Tensor::ones([2]), 0).is_err());
        assert_eq!(Tensor::scalar(1).one_hot(3)?.to_vec(), [0, 1, 0]);
        Ok(())
    }

    #[test]
    fn what_is_in_no_bin() -> Result<()> {
        let x = Tensor::from([f64::NAN, -1.0, 0.0, 0.5, 1.0, 1.5, f64::INFINITY]);
        assert!(x.histogram(3).is_err());
        let range = Some((0.0, 1.0));
        let options = HistogramOptions { bins: 2, range, ..Default::default() };
        assert_eq!(x.histogram_with(options)?.0.to_vec(), [1.0, 2.0]);
        let edges = Tensor::from([0.0, 0.5, 0.5, 2.0]);
        let options = HistogramOptions { edges: Some(&edges), ..Default::default() };
        assert_eq!(x.histogram_with(options)?.0.to_vec(), [1.0, 0.0, 3.0]);
        let (counts, edges) = Tensor::from([2.0, 2.0]).histogram(2)?;
        assert_eq!((counts.to_vec(), edges.to_vec()), (vec![0.0, 2.0], vec![1.5, 2.0, 2.5]));
        let (counts, edges) = Tensor::zeros([0]).histogram(2)?;
        assert_eq!((counts.to_vec(), edges.to_vec()), (vec![0.0, 0.0], vec![0.0, 0.5, 1.0]));
        assert!(
            x.histogram(0).is_err() && x.histc(2, 1.0, 0.0).is_err() && x.histc(2, 0.0, f64::NAN).is_err()
        );
        let wrong = Tensor::from([1.0, 0.0]);
        assert!(x.histogram_with(HistogramOptions { edges: Some(&wrong), ..Default::default() }).is_err());
        let one = Tensor::from([1.0]);
        assert!(x.histogram_with(HistogramOptions { edges: Some(&one), ..Default::default() }).is_err());
        assert!(
            Tensor::from([1.0, 2.0])
                .histogram_with(HistogramOptions { weight: Some(&one), ..Default::default() })
                .is_err()
        );
        Ok(())
    }
}
