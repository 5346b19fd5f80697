//! Distances between points.

use crate::body_once;
use crate::checkpoint::checkpoint;
use crate::mode::no_grad;
use crate::op::{Keep, Kept, Op, apply};
use crate::tensor::Tensor;
use tensor_core::shape::{Dims, broadcast};
use tensor_core::{Array, AtCaller, DType, Device, Error, Float, Result, kernels};

/// Differences that are held at once: as many as a cache near the processor takes.
const AT_ONCE: usize = 1 << 18;

/// Points beyond which a product of matrices is quicker than differences.
const MANY: usize = 25;

/// # Distances
impl<T: Float> Tensor<T> {
    /// The distances of order `p` between each of the points of this tensor, `[.., P, M]`, and each of those of `other`,
    /// `[.., R, M]`: `[.., P, R]`, over batches that broadcast. They are the norms of differences, a part
    /// of which is formed at a time, and again for the gradient; where there are more than 25 points, and `p` is 2, those of points
    /// that are not near each other come from a product of matrices. Near points keep their digits. The gradient of points that
    /// coincide is 0.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let (x, y) = (Tensor::from([[0.0, 0.0], [3.0, 0.0]]), Tensor::from([[0.0, 4.0]]));
    /// assert_eq!(x.cdist(&y, 2.0)?.to_vec(), [4.0, 5.0]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where the points are not rows of matrices, or have different lengths; argument, for p negative or NaN; out
    /// of memory.
    #[track_caller]
    pub fn cdist(&self, other: &Tensor<T>, p: f64) -> Result<Self> {
        body_once!(
            T: Float,
            [self, other, p],
            |x: &Tensor<T>, other: &Tensor<T>, p: f64| -> Result<Tensor<T>> {
                let (Some(m), Some(length)) = (x.shape().last(), other.shape().last()) else {
                    return Err(no_points(x, other));
                };
                if m != length || x.ndim() < 2 || other.ndim() < 2 {
                    return Err(no_points(x, other));
                }
                if p.is_nan() || p < 0.0 {
                    return Err(Error::argument("cdist", format!("distances of order {p}: 0 or more is needed")));
                }
                // Of no numbers the distance is 0, of the order infinity too.
                let order = if *m == 0 { 1.0 } else { p };
                distances(x, other, order).called("cdist")
            }
        )
    }
}

/// Distances of order `p`: of many points, of order 2, mostly by a product of matrices, else by differences.
fn distances<T: Float>(x: &Tensor<T>, other: &Tensor<T>, p: f64) -> Result<Tensor<T>> {
    let [rows, columns] = [x, other].map(|x| x.shape()[x.ndim() - 2]);
    if p == 2.0 && rows.max(columns) > MANY && x.numel().min(other.numel()) > 0 {
        return apply(Euclidean, [x, other]);
    }
    let parts = parts(x, other)?;
    if parts.len() < 2 {
        return norms(x, other, p);
    }
    let part = |x: &Tensor<T>| checkpoint(move |x| norms(&x[0], &x[1], p), &[x, other]);
    Tensor::cat(parts.iter().map(part).collect::<Result<Vec<_>>>()?, -2)
}

/// The points of `x` in parts, so that a part has few enough differences from all of `other`.
fn parts<T: Float>(x: &Tensor<T>, other: &Tensor<T>) -> Result<Vec<Tensor<T>>> {
    let batch = broadcast("cdist", &x.shape()[..x.ndim() - 2], &other.shape()[..other.ndim() - 2])?;
    let each = batch.iter().product::<usize>() * other.shape()[other.ndim() - 2..].iter().product::<usize>();
    x.split((AT_ONCE / each.max(1)).max(1), -2)
}

fn differences<T: Float>(x: &Tensor<T>, other: &Tensor<T>) -> Result<Tensor<T>> {
    x.unsqueeze(-2)?.try_sub(&other.unsqueeze(-3)?)
}

fn norms<T: Float>(x: &Tensor<T>, other: &Tensor<T>, p: f64) -> Result<Tensor<T>> {
    differences(x, other)?.vector_norm(p, -1, false)
}

/// |x_i - y_j| of points that are rows, as the root of |x_i|^2 + |y_j|^2 - 2 x_i y_j where that loses few digits.
struct Euclidean;

impl<T: Float> Op<T, 2> for Euclidean {
    fn name(&self) -> &'static str {
        "cdist"
    }
    fn broadcasts(&self) -> bool {
        // In the dimensions of the batch.
        true
    }
    fn forward(&self, x: [&Array<T>; 2]) -> Result<Array<T>> {
        let [x, y] = x.map(|x| Tensor::from(x.clone()));
        no_grad(|| {
            let products = Products::of(&x, &y)?;
            let squares = products.squares()?;
            match products.pairs(&products.near(&squares)?)? {
                None => {
                    let parts = parts(&x, &y)?.into_iter().map(|x| norms(&x, &y, 2.0));
                    Tensor::cat(parts.collect::<Result<Vec<_>>>()?, -2)
                }
                Some(pairs) => {
                    pairs.written(squares.sqrt(), |x, y| x.try_sub(y)?.vector_norm(2.0, -1, false))
                }
            }
        })
        .map(Tensor::into_array)
    }
    fn keep(&self, _: [bool; 2]) -> Keep<2> {
        Keep { inputs: [true; 2], output: true }
    }
    /// With W = grad / result, and 0 where that is: sum_j W_ij (x_i - y_j), and sum_i W_ij (y_j - x_i)
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 2]> {
        let [x, y] = [kept.input(0), kept.input(1)];
        let d = kept.output(0);
        let none = d.eq(T::ZERO)?;
        let (zero, one) = (Tensor::scalar(T::ZERO), Tensor::scalar(T::ONE));
        let w = none.where_cond(&zero, &g)?.try_div(&none.where_cond(&one, &d)?)?;
        if kept.create_graph() {
            let [x, y] = by_differences(&x, &y, &w)?;
            return Ok([kept.wrt(0, || Ok(x))?, kept.wrt(1, || Ok(y))?]);
        }
        let products = Products::of(&x, &y)?;
        let near = products.near(&d.square())?;
        let Some(pairs) = products.pairs(&near)? else {
            // A part of the points at a time.
            let (mut of_x, mut of_y, mut from) = (Vec::new(), None, 0);
            for x in parts(&x, &y)? {
                let rows = x.shape()[x.ndim() - 2];
                let [gx, gy] = by_differences(&x, &y, &w.narrow(-2, from, rows)?)?;
                from += rows as isize;
                of_x.push(gx);
                of_y = Some(match of_y {
                    None => gy,
                    Some(sum) => gy.try_add(&sum)?,
                });
            }
            return Ok([kept.wrt(0, || Tensor::cat(&of_x, -2))?, of_y.filter(|_| kept.needs(1))]);
        };
        let far = near.where_cond(&zero, &w)?;
        let toward = |far: &Tensor<T>, x: &Tensor<T>, y: &Tensor<T>| {
            far.sum_dim(-1, true)?.try_mul(x)?.try_sub(&product(far, y)?)
        };
        let [cx, cy] = &products.centred;
        let w = w.flatten().index_select(0, &pairs.places)?.unsqueeze(-1)?;
        let added = |sums: Tensor<T>, side: usize, sign: f64| -> Result<Tensor<T>> {
            let mut flat = sums.reshape([-1, sums.shape()[sums.ndim() - 1] as isize])?;
            for (part, w) in pairs.parts()?.iter().zip(w.split(pairs.at_once(), 0)?) {
                let [x, y] = pairs.points(part)?;
                let pull = x.try_sub(&y)?.try_mul(&w)? * T::of(sign);
                flat = flat.index_add(0, &part[side], &pull)?;
            }
            flat.reshape(sums.shape())
        };
        Ok([
            kept.wrt(0, || added(toward(&far, cx, cy)?, 0, 1.0))?,
            kept.wrt(1, || added(toward(&far.mt()?, cy, cx)?, 1, -1.0))?,
        ])
    }
}

/// The rule of [`Euclidean`] from W, by all differences.
fn by_differences<T: Float>(x: &Tensor<T>, y: &Tensor<T>, w: &Tensor<T>) -> Result<[Tensor<T>; 2]> {
    let pull = differences(x, y)?.try_mul(&w.unsqueeze(-1)?)?;
    Ok([pull.sum_dim(-2, false)?, -pull.sum_dim(-3, false)?])
}

/// A B for batches of matrices.
fn product<T: Float>(a: &Tensor<T>, b: &Tensor<T>) -> Result<Tensor<T>> {
    Ok(kernels::addmm("cdist", None, a.array(), b.array(), T::ZERO, T::ONE)?.into())
}

/// Points, and the same around their middle, which makes their lengths small beside their distances.
struct Products<T: Float> {
    points: [Tensor<T>; 2],
    centred: [Tensor<T>; 2],
    /// |x_i|^2 + |y_j|^2
    total: Tensor<T>,
}

impl<T: Float> Products<T> {
    fn of(x: &Tensor<T>, y: &Tensor<T>) -> Result<Self> {
        let middle = y.mean_dim(-2, true)?;
        let centred = [x.try_sub(&middle)?, y.try_sub(&middle)?];
        let [a, b] = &centred;
        let total = a.square().sum_dim(-1, true)?.try_add(&b.square().sum_dim(-1, false)?.unsqueeze(-2)?)?;
        Ok(Products { points: [x.clone(), y.clone()], centred, total })
    }

    /// The squares of the distances.
    fn squares(&self) -> Result<Tensor<T>> {
        let [x, y] = &self.centred;
        let (total, other) = (self.total.array(), y.mt()?);
        Ok(kernels::addmm("cdist", Some(total), x.array(), other.array(), T::ONE, T::of(-2.0))?.into())
    }

    /// Where a square is less than a sixteenth of the numbers that it is the difference of, so that more than four bits cancel; and
    /// where it left the range.
    fn near(&self, squares: &Tensor<T>) -> Result<Tensor<bool>> {
        let least = if T::DTYPE == DType::F32 { 1e-30 } else { 1e-280 };
        Ok(squares.gt(&(&self.total * T::of(0.0625) + T::of(least)))?.logical_not())
    }

    /// The pairs of points that a mask names; None where they are too many to be treated by themselves.
    fn pairs(&self, near: &Tensor<bool>) -> Result<Option<Pairs<T>>> {
        let places = Tensor::from(kernels::positions("cdist", near.array())?);
        if places.numel() > near.numel() / 8 {
            return Ok(None);
        }
        let [rows, columns] = [near.ndim() - 2, near.ndim() - 1].map(|d| near.shape()[d] as i64);
        let flat = |x: &Tensor<T>| -> Result<Tensor<T>> {
            let shape: Dims =
                near.shape()[..near.ndim() - 2].iter().chain(&x.shape()[x.ndim() - 2..]).copied().collect();
            x.expand(&shape)?.reshape([-1, x.shape()[x.ndim() - 1] as isize])
        };
        let of_x = places.floor_divide(columns)?;
        let of_y = (places.floor_divide(rows * columns)? * columns).try_add(&places.remainder(columns)?)?;
        let points = [flat(&self.points[0])?, flat(&self.points[1])?];
        Ok(Some(Pairs { places, numbers: [of_x, of_y], points }))
    }
}

/// Pairs of points: their places among all pairs, their numbers among the points, and these.
struct Pairs<T: Float> {
    places: Tensor<i64>,
    numbers: [Tensor<i64>; 2],
    points: [Tensor<T>; 2],
}

impl<T: Float> Pairs<T> {
    fn at_once(&self) -> usize {
        (AT_ONCE / self.points[0].shape()[1].max(1)).max(1)
    }

    /// The numbers of the points, some at a time.
    fn parts(&self) -> Result<Vec<[Tensor<i64>; 2]>> {
        let [x, y] = &self.numbers;
        let both = x.split(self.at_once(), 0)?.into_iter().zip(y.split(self.at_once(), 0)?);
        Ok(both.map(|(x, y)| [x, y]).collect())
    }

    fn points(&self, [x, y]: &[Tensor<i64>; 2]) -> Result<[Tensor<T>; 2]> {
        Ok([self.points[0].index_select(0, x)?, self.points[1].index_select(0, y)?])
    }

    /// `all` with what `f` makes of each pair at its place.
    fn written(
        &self,
        all: Tensor<T>,
        f: impl Fn(&Tensor<T>, &Tensor<T>) -> Result<Tensor<T>>,
    ) -> Result<Tensor<T>> {
        if self.places.numel() == 0 {
            return Ok(all);
        }
        let mut values = Vec::new();
        for part in self.parts()? {
            let [x, y] = self.points(&part)?;
            values.push(f(&x, &y)?);
        }
        let values = Tensor::cat(&values, 0)?;
        if all.device() != Device::Cpu {
            return all.flatten().index_put(&self.places, &values, false)?.reshape(all.shape());
        }
        let mut all = all.contiguous().into_array();
        let elements = all.make_mut()?;
        for (place, value) in self.places.to_vec().into_iter().zip(values.to_vec()) {
            elements[place as usize] = value;
        }
        Ok(all.into())
    }
}

fn no_points<T: Float>(x: &Tensor<T>, other: &Tensor<T>) -> Error {
    let message = format!(
        "points of shapes {:?} and {:?}: rows of one length, [.., P, M] and [.., R, M], are needed",
        x.shape(),
        other.shape()
    );
    Error::shape("cdist", message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{check_op, gradcheck, value_and_grad};

    #[test]
    fn derivatives() -> Result<()> {
        for p in [1.0, 1.5, 2.0, 3.0, f64::INFINITY] {
            for shapes in
                [[&[2, 3][..], &[4, 3]], [&[2, 2, 1], &[1, 1]], [&[0, 2], &[3, 2]], [&[2, 0], &[3, 0]]]
            {
                check_op(|x| x[0].cdist(&x[1], p), &shapes).single(|x| x[0].cdist(&x[1], p)).run()?;
            }
        }
        Ok(())
    }

    #[test]
    fn many_points() -> Result<()> {
        for shapes in
            [[&[30, 2][..], &[3, 2]], [&[2, 3], &[28, 3]], [&[2, 27, 2], &[3, 2]], [&[3, 2], &[2, 1, 26, 2]]]
        {
            check_op(|x| x[0].cdist(&x[1], 2.0), &shapes)
                .single(|x| x[0].cdist(&x[1], 2.0))
                .reference(|x| norms(&x[0], &x[1], 2.0))
                .run()?;
        }
        Ok(())
    }

    /// Distances and gradients beside those of all differences.
    fn beside_differences(x: &Tensor, y: &Tensor, p: f64) -> Result<()> {
        type Distances<'a> = &'a dyn Fn(&Tensor, &Tensor) -> Result<Tensor>;
        let (a, b) = (x.cdist(y, p)?, norms(x, y, p)?);
        assert!(a.allclose(&b, 2e-14, 0.0)?, "{}", (a - b).abs().max()?);
        let slopes = |of: Distances<'_>| {
            let loss = |(x, y): &(Tensor, Tensor)| Ok(of(x, y)?.sqrt().sin().sum());
            Ok::<_, Error>(value_and_grad(loss, &(x.clone(), y.clone()))?.1)
        };
        let (a, b) = (slopes(&|x, y| x.cdist(y, p))?, slopes(&|x, y| norms(x, y, p))?);
        assert!(a.0.allclose(&b.0, 1e-11, 1e-11)? && a.1.allclose(&b.1, 1e-11, 1e-11)?);
        Ok(())
    }

    #[test]
    fn near_points_keep_their_digits() -> Result<()> {
        let x: Tensor = Tensor::randn([90, 5]);
        let y = &x.narrow(0, 20, 70)? + Tensor::randn([70, 5]) * 1e-7;
        beside_differences(&x, &y, 2.0)?;
        // Far from the origin, in clusters, and on their way out of the range.
        beside_differences(&(&x + 1e6), &(&y + 1e6), 2.0)?;
        let clusters = Tensor::cat(&[&(&x * 1e-3 + 1e3), &(&x * 1e-3 - 1e3)], 0)?;
        beside_differences(&clusters, &(&clusters + 1e-4), 2.0)?;
        for size in [1e-200, 1e200] {
            let (x, y) = (&x * size, &y * size);
            assert!(x.cdist(&y, 2.0)?.allclose(&norms(&x, &y, 2.0)?, 1e-14, 0.0)?);
        }
        // Of points beside themselves the distance is 0, and has no slope.
        let d = x.cdist(&x, 2.0)?;
        assert_eq!(d.diagonal(0, 0, 1)?.to_vec(), [0.0; 90]);
        let nan =
            Tensor::from([[f64::NAN, 0.0], [f64::INFINITY, 1.0]]).cdist(&Tensor::zeros([30, 2]), 2.0)?;
        assert!(nan.row(0)?.isnan().all() && nan.row(1)?.eq(f64::INFINITY)?.all());
        Ok(())
    }

    #[test]
    fn many_differences_are_treated_in_parts() -> Result<()> {
        let (x, y) = (Tensor::randn([120, 40]), Tensor::randn([100, 40]));
        for p in [1.0, 3.0] {
            beside_differences(&x, &y, p)?;
        }
        // Each part one row.
        let few: Tensor = Tensor::randn([2, 1]);
        let far = Tensor::randn([AT_ONCE / 2 + 1, 1]);
        gradcheck(|x| x[0].cdist(&far, 1.0)?.narrow(1, 0, 2), &[few])?;
        Ok(())
    }

    #[test]
    fn ends() -> Result<()> {
        let x = Tensor::from([[1e8, 1e-8], [0.0, 0.0]]).requires_grad();
        let y = Tensor::from([[1e8, 0.0], [0.0, 0.0]]);
        let d = x.cdist(&y, 2.0)?;
        assert_eq!(d.to_vec(), [1e-8, 1e8, 1e8, 0.0]);
        d.select(0, 1)?.select(0, 1)?.backward()?;
        assert_eq!(x.grad().unwrap().to_vec(), [0.0; 4]);
        assert!(x.cdist(&Tensor::ones([2, 3]), 2.0).is_err() && x.cdist(&Tensor::ones([2]), 2.0).is_err());
        assert!(x.cdist(&y, -1.0).is_err() && x.cdist(&Tensor::scalar(1.0), 2.0).is_err());
        Ok(())
    }
}
