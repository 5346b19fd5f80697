//! What lies between given values: of two, or of a table.

use crate::apply_once;
use crate::body_once;
use crate::op::{Keep, Kept, Op};
use crate::tensor::Tensor;
use tensor_core::{Array, AtCaller, Error, Float, Function, Parameters, Result, function, kernels};

const NONE: Parameters = [0.0; 2];

/// What lies at the share `weight` of the way, from the nearer end, so that both are exact.
static LERP: Function<3> = function!(|start, end, weight| {
    let gap = end.clone() - start.clone();
    let rest = (-weight.clone()).plus(1.0);
    let first = start.clone() + weight.clone() * gap.clone();
    let second = end.clone() - gap.clone() * rest.clone();
    let value = E::choose(weight.lt_number(0.5), first, second);
    // The distance of huge ends is none, and that of equal infinities neither.
    let far = gap.abs().eq_number(f64::INFINITY);
    let value = E::choose(far, start.clone() * rest + end.clone() * weight, value);
    E::choose(start.eq_other(&end), start, value)
});

struct Lerp;

impl<T: Float> Op<T, 3> for Lerp {
    fn name(&self) -> &'static str {
        "lerp"
    }
    fn broadcasts(&self) -> bool {
        true
    }
    fn forward(&self, [start, end, weight]: [&Array<T>; 3]) -> Result<Array<T>> {
        kernels::zip3("lerp", start, end, weight, &LERP.with(NONE))
    }
    fn keep(&self, [start, end, weight]: [bool; 3]) -> Keep<3> {
        Keep::inputs([weight, weight, start || end])
    }
    /// grad (1 - weight), grad weight, grad (end - start)
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 3]> {
        Ok([
            kept.wrt(0, || g.try_mul(&(-kept.input(2) + T::ONE)))?,
            kept.wrt(1, || g.try_mul(&kept.input(2)))?,
            kept.wrt(2, || g.try_mul(&kept.input(1).try_sub(&kept.input(0))?))?,
        ])
    }
    fn elementwise(&self) -> bool {
        true
    }
}

/// # Interpolation
impl<T: Float> Tensor<T> {
    /// What lies at the share `weight` of the way from this tensor to `end`: `self + weight (end - self)`, from the
    /// nearer end, so that weights 0 and 1 give both exactly. The three broadcast.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let (a, b) = (Tensor::from([0.0, 10.0]), Tensor::from([1.0, 20.0]));
    /// assert_eq!(a.lerp(&b, 0.25)?.to_vec(), [0.25, 12.5]);
    /// assert_eq!(a.lerp(&b, &Tensor::from([1.0, 0.5]))?.to_vec(), [1.0, 15.0]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where the shapes do not broadcast.
    #[track_caller]
    pub fn lerp(&self, end: &Tensor<T>, weight: impl Into<Tensor<T>>) -> Result<Self> {
        apply_once!(T: Float, Lerp => Lerp, [self, end, &weight.into()])
    }

    /// The values at the places of this tensor of the line through the points (`xp`, `fp`), vectors of which the first
    /// is in increasing order; before the first and behind the last point it is flat. NaN where the place is NaN. At a
    /// point the slope is that behind it.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let (xp, fp) = (Tensor::from([0.0, 1.0, 3.0]), Tensor::from([0.0, 10.0, 30.0]));
    /// let x = Tensor::from([-1.0, 0.5, 1.0, 2.0, 9.0]);
    /// assert_eq!(x.interp(&xp, &fp)?.to_vec(), [0.0, 5.0, 10.0, 20.0, 30.0]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where `xp` and `fp` are no vectors of one length, or empty; argument, where `xp` is not in order.
    #[track_caller]
    pub fn interp(&self, xp: &Tensor<T>, fp: &Tensor<T>) -> Result<Self> {
        self.interp_with(xp, fp, None, None)
    }

    /// [`Tensor::interp`] with other values before the first point and behind the last.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let (xp, fp) = (Tensor::from([0.0, 1.0]), Tensor::from([5.0, 7.0]));
    /// let y = Tensor::from([-1.0, 1.0, 2.0]).interp_with(&xp, &fp, Some(0.0), Some(f64::NAN))?;
    /// assert!(y.get([0])? == 0.0 && y.get([1])? == 7.0 && y.get([2])?.is_nan());
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::interp`].
    #[track_caller]
    pub fn interp_with(
        &self,
        xp: &Tensor<T>,
        fp: &Tensor<T>,
        left: Option<T>,
        right: Option<T>,
    ) -> Result<Self> {
        body_once!(
            T: Float,
            [self, xp, fp, left, right],
            |x: &Tensor<T>, xp: &Tensor<T>, fp: &Tensor<T>, left: Option<T>, right: Option<T>| -> Result<Tensor<T>> {
                interpolated(x, xp, fp, left, right).called("interp")
            }
        )
    }
}

fn interpolated<T: Float>(
    x: &Tensor<T>,
    xp: &Tensor<T>,
    fp: &Tensor<T>,
    left: Option<T>,
    right: Option<T>,
) -> Result<Tensor<T>> {
    if xp.ndim() != 1 || xp.shape() != fp.shape() || xp.numel() == 0 {
        let message = format!(
            "places of shape {:?} and values of shape {:?}: two vectors of one length, at least 1, are needed",
            xp.shape(),
            fp.shape()
        );
        return Err(Error::shape("interp", message));
    }
    let n = xp.numel();
    let places = xp.detach();
    let (first, last) = (places.select(0, 0)?, places.select(0, -1)?);
    let ordered = match n {
        1 => !first.isnan().all(),
        _ => places.narrow(0, 1, n - 1)?.ge(&places.narrow(0, 0, n - 1)?)?.all(),
    };
    if !ordered {
        let message = "the places xp are not in increasing order: sort them, and fp with their argsort";
        return Err(Error::argument("interp", message));
    }
    let at = x.detach();
    let ends = |number: Option<T>, end: isize| match number {
        Some(number) => Ok(Tensor::scalar(number)),
        None => fp.select(0, end),
    };
    let mut value = at.gt(&last)?.where_cond(&ends(right, -1)?, &fp.select(0, -1)?)?;
    if n > 1 {
        let inside = at.ge(&first)?.logical_and(&at.lt(&last)?)?;
        let k = places.narrow(0, 1, n - 2)?.searchsorted(&at, true)?.flatten();
        let next = &k + 1;
        let of = |t: &Tensor<T>, k: &Tensor<i64>| t.index_select(0, k)?.reshape(x.shape());
        // Halves, where the distance of the ends is out of the range.
        let (place, points) = match last.try_sub(&first)?.isfinite().all() {
            true => (x.clone(), xp.clone()),
            false => (x * T::of(0.5), xp * T::of(0.5)),
        };
        let (from, to) = (of(&points, &k)?, of(&points, &next)?);
        // Elsewhere nothing is divided: what is not chosen has slopes, too.
        let along = inside.where_cond(&place.try_sub(&from)?, Tensor::scalar(T::ZERO))?;
        let width = inside.where_cond(&to.try_sub(&from)?, Tensor::scalar(T::ONE))?;
        let within = of(fp, &k)?.lerp(&of(fp, &next)?, &along.try_div(&width)?)?;
        value = inside.where_cond(&within, &value)?;
    }
    let value = at.lt(&first)?.where_cond(&ends(left, 0)?, &value)?;
    at.isnan().where_cond(x, &value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check_op;

    #[test]
    fn derivatives() -> Result<()> {
        for shapes in [[&[3][..], &[3], &[3]], [&[2, 3], &[3], &[]], [&[], &[], &[2]], [&[0], &[1], &[1]]] {
            check_op(|x| x[0].lerp(&x[1], &x[2]), &shapes)
                .single(|x| x[0].lerp(&x[1], &x[2]))
                .reference(|x| x[0].try_add(&x[1].try_sub(&x[0])?.try_mul(&x[2])?))
                .run()?;
        }
        let xp = Tensor::from([-1.3, -0.4, 0.1, 0.2, 1.7]);
        for shape in [&[6][..], &[2, 3], &[], &[0]] {
            let f = |x: &[Tensor]| x[0].interp(&xp.try_add(&(&x[1] * 0.01))?, &x[2]);
            check_op(f, &[shape, &[5], &[5]]).run()?;
            check_op(|x| x[0].interp(&xp, &x[1]), &[shape, &[5]])
                .single(|x| x[0].interp(&xp.cast(), &x[1]))
                .run()?;
        }
        check_op(|x| x[0].interp(&Tensor::from([0.5]), &x[1]), &[&[4], &[1]]).run()
    }

    #[test]
    fn ends() -> Result<()> {
        let lerp = |a: f64, b: f64, w: f64| Tensor::scalar(a).lerp(&Tensor::scalar(b), w)?.item();
        assert_eq!(lerp(-1.7e308, 1.7e308, 0.5)?, 0.0);
        assert_eq!((lerp(0.1, 0.7, 1.0)?, lerp(0.1, 0.7, 0.0)?), (0.7, 0.1));
        let x = Tensor::from([f64::NEG_INFINITY, -0.0, 1.0, f64::INFINITY, f64::NAN]).requires_grad();
        let (xp, fp) = (Tensor::from([0.0, 1.0, 1.0]), Tensor::from([2.0, 3.0, 4.0]).requires_grad());
        let y = x.interp(&xp, &fp)?;
        assert_eq!(y.narrow(0, 0, 4)?.to_vec(), [2.0, 2.0, 4.0, 4.0]);
        assert!(y.get([4])?.is_nan());
        y.narrow(0, 0, 4)?.sum().backward()?;
        assert_eq!(x.grad().unwrap().to_vec(), [0.0, 1.0, 0.0, 0.0, 0.0]);
        assert_eq!(fp.grad().unwrap().to_vec(), [2.0, 0.0, 2.0]);
        let wide = Tensor::from([-1.7e308, 1.7e308]);
        assert_eq!(Tensor::scalar(0.0).interp(&wide, &Tensor::from([0.0, 2.0]))?.item()?, 1.0);
        assert!(x.interp(&Tensor::from([1.0, 0.0]), &Tensor::ones([2])).is_err());
        assert!(x.interp(&Tensor::from([1.0, f64::NAN]), &Tensor::ones([2])).is_err());
        assert!(
            x.interp(&xp, &Tensor::ones([2])).is_err()
                && x.interp(&x.narrow(0, 0, 0)?, &x.narrow(0, 0, 0)?).is_err()
        );
        Ok(())
    }
}
