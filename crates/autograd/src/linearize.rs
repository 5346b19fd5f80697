//! A function evaluated once, and its derivative as a linear function that is applied again and again.

use crate::apply_once;
use crate::backward::{GraphUse, asked, grads_of, grads_of_many};
use crate::forward::Forward;
use crate::functional::{
    Evaluation, Transform, are_few, between, by_row, columns, pushed, rows, rows_of, same_shapes,
};
use crate::mode::{enable_grad, is_grad_enabled};
use crate::op::Kept;
use crate::op_many::OpMany;
use crate::params::Params;
use crate::tensor::Tensor;
use crate::together::FirstOrder;
use std::sync::{Arc, OnceLock};
use tensor_core::{Array, AtCaller, Error, Float, Result, compiled_once};

/// The graph of an evaluation, kept for products with its Jacobian.
pub(crate) struct Recording<T: Float> {
    pub variables: Vec<Tensor<T>>,
    pub ys: Vec<Tensor<T>>,
    /// Whether the value depends on what is tracked outside, so that products are differentiable in that, too.
    pub nested: bool,
    /// Whether the Jacobian is its own transpose.
    pub symmetric: bool,
    /// The graph in the order of a walk forward, found for the first product from the right.
    pub forward: OnceLock<Forward>,
}

impl<T: Float> Recording<T> {
    /// What a product takes, as the value or as the variables.
    fn side(&self, of_value: bool) -> &[Tensor<T>] {
        if of_value { &self.ys } else { &self.variables }
    }

    pub fn forward(&self) -> Result<&Forward> {
        match self.forward.get() {
            Some(known) => Ok(known),
            None => {
                let ordered = between(&self.ys, &self.variables, false)?;
                Ok(self.forward.get_or_init(|| ordered))
            }
        }
    }
}

compiled_once! {
    /// The products of the Jacobian with `v`, or, transposed, of `v` with the Jacobian: one walk over the recorded graph.
    /// Where there are many, they lie along a first dimension.
    fn products<T: Float>(
        recording: &Recording<T>,
        transposed: bool,
        many: Option<usize>,
        v: &[Tensor<T>],
        graph: GraphUse,
    ) -> Result<Vec<Tensor<T>>> {
        let Recording { variables, ys, .. } = recording;
        if !transposed && !recording.symmetric {
            return pushed(recording.forward()?, ys, v, many, matches!(graph, GraphUse::Create));
        }
        let cotangents = v.iter().cloned().map(Some).collect();
        let found = match many {
            None => grads_of(ys, cotangents, variables, graph)?,
            Some(many) => grads_of_many(ys, cotangents, many, variables, graph)?,
        };
        let zeros = |of: &Tensor<T>| -> Result<Tensor<T>> {
            Tensor::zeros_on(&of.device(), many.iter().chain(of.shape()).copied().collect::<Vec<usize>>())
        };
        found.into_iter().zip(variables).map(|(g, of)| g.map_or_else(|| zeros(of), Ok)).collect()
    }
}

compiled_once! {
    /// The whole Jacobian: for each tensor of the value, its derivatives by each variable.
    fn whole<T: Float>(recording: &Recording<T>) -> Result<Vec<Vec<Tensor<T>>>> {
        let Recording { variables, ys, nested, symmetric, .. } = recording;
        let create_graph = *nested && is_grad_enabled();
        let count = |tensors: &[Tensor<T>]| tensors.iter().map(Tensor::numel).sum();
        if *symmetric || are_few(count(variables), count(ys)) {
            if !*symmetric && !create_graph {
                let rows = ys.iter().enumerate().map(|(k, y)| by_row(recording.forward()?, k, y, variables));
                if let Some(rows) = rows.collect::<Result<Option<Vec<_>>>>()? {
                    return Ok(rows);
                }
            }
            return columns(recording.forward()?, ys, variables, create_graph);
        }
        ys.iter().map(|y| rows(y, variables, create_graph)).collect()
    }

    /// The gradient of the sum of the value times weights, to be differentiated once more.
    fn weighted<T: Float>(recording: &Recording<T>, u: &[Tensor<T>]) -> Result<(Tensor<T>, Vec<Tensor<T>>)> {
        let ys = &recording.ys;
        let gradient = enable_grad(|| products(recording, true, None, u, GraphUse::Create))?;
        let parts = ys.iter().zip(u).map(|(y, u)| Ok(y.try_mul(u)?.sum()));
        let nothing = || Err(Error::shape("weighted", "the value has no tensor: one at least is needed"));
        let value = parts.reduce(|sum: Result<Tensor<T>>, part| sum?.try_add(&part?)).unwrap_or_else(nothing)?;
        Ok((value, gradient))
    }
}

/// A Jacobian at a point as an operation: linear, and so its rule is its transpose.
struct Linear<T: Float> {
    recording: Arc<Recording<T>>,
    transposed: bool,
    many: Option<usize>,
}

impl<T: Float> OpMany<T> for Linear<T> {
    fn name(&self) -> &'static str {
        "linearized"
    }

    fn forward(&self, x: &[&Array<T>]) -> Result<Vec<Array<T>>> {
        let x: Vec<Tensor<T>> = x.iter().map(|&x| x.clone().into()).collect();
        let found = products(&self.recording, self.transposed, self.many, &x, GraphUse::Retain)?;
        Ok(found.into_iter().map(Tensor::into_array).collect())
    }

    fn batches(&self) -> bool {
        self.many.is_none()
    }

    fn vjp(&self, kept: &Kept<'_, T>, g: Vec<Option<Tensor<T>>>) -> Result<Vec<Option<Tensor<T>>>> {
        let many = kept.many().or(self.many);
        let recording = &self.recording;
        let side = recording.side(!self.transposed);
        let zeros = |of: &Tensor<T>| {
            Tensor::zeros_on(&of.device(), many.iter().chain(of.shape()).copied().collect::<Vec<usize>>())
        };
        let g = g.into_iter().zip(side).map(|(g, of)| g.map_or_else(|| zeros(of), Ok));
        let back = applied(recording, !self.transposed, many, &g.collect::<Result<Vec<_>>>()?)?;
        Ok(back.into_iter().map(Some).collect())
    }
}

/// The products as an operation on `v`, or recorded as functions of everything, where the point is one of something else.
#[track_caller]
fn applied<T: Float>(
    recording: &Arc<Recording<T>>,
    transposed: bool,
    many: Option<usize>,
    v: &[Tensor<T>],
) -> Result<Vec<Tensor<T>>> {
    if recording.nested && is_grad_enabled() {
        return products(recording, transposed, many, v, GraphUse::Create);
    }
    let linear = Linear { recording: recording.clone(), transposed, many };
    apply_once!(T: Float, linear => Linear<T>, many &v.iter().collect::<Vec<_>>())
}

/// Products of one Jacobian with one vector, or one of each row.
#[track_caller]
fn product<T: Float>(
    op: &'static str,
    recording: &Arc<Recording<T>>,
    transposed: bool,
    batched: bool,
    v: Vec<Tensor<T>>,
) -> Result<Vec<Tensor<T>>> {
    let side = recording.side(transposed);
    let (what, of) = if transposed { ("a cotangent", "the value") } else { ("a direction", "x") };
    if !batched {
        same_shapes(op, what, &v, of, side).at_caller()?;
        return asked(applied(recording, transposed, None, &v));
    }
    if v.len() != side.len() || v.is_empty() {
        let message = format!(
            "{what} has {} tensors, {of} {}: as many are needed, and one at least",
            v.len(),
            side.len()
        );
        return Err(Error::shape(op, message).at_caller());
    }
    let rows: Vec<Tensor<T>> =
        v.iter().zip(side).map(|(v, of)| rows_of(op, v, of)).collect::<Result<_>>().at_caller()?;
    let many = rows[0].shape()[0];
    if let Some(other) = rows.iter().find(|rows| rows.shape()[0] != many) {
        let message =
            format!("{many} rows for one tensor and {} for another: as many are needed", other.shape()[0]);
        return Err(Error::shape(op, message).at_caller());
    }
    asked(applied(recording, transposed, Some(many), &rows))
}

/// A function evaluated at a point: its value, and the derivative there as a linear function. Made by [`linearize`].
///
/// It holds the recorded graph, which is walked once for each product and stays until the last clone is dropped. It is a
/// `LinearOperator` of linalg over the elements of `x`, so that `cg` and `lsqr` solve with it.
pub struct Linearized<T: Float, P, Q> {
    pub(crate) recording: Arc<Recording<T>>,
    pub(crate) x: Arc<P>,
    pub(crate) value: Arc<Q>,
}

impl<T: Float, P, Q> Clone for Linearized<T, P, Q> {
    fn clone(&self) -> Self {
        Linearized { recording: self.recording.clone(), x: self.x.clone(), value: self.value.clone() }
    }
}

/// Evaluates `f` at `x` once, for its value and for any number of products with its Jacobian there: each costs a walk over
/// the recorded graph, and `f` does not run again.
///
/// ```
/// use tapegrad::{Tensor, linearize};
/// let f = linearize(|x: &Tensor| Ok(x.square()), &Tensor::from([1.0, 3.0]))?;
/// assert_eq!(f.value().to_vec(), [1.0, 9.0]);
/// assert_eq!(f.jvp(&Tensor::from([1.0, 10.0]))?.to_vec(), [2.0, 60.0]);
/// assert_eq!(f.vjp(&Tensor::from([10.0, 1.0]))?.to_vec(), [20.0, 6.0]);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// Products are differentiable in the vector, and where the value depends on something that is tracked outside, in that, too.
///
/// # Errors
/// What `f` returns.
#[track_caller]
pub fn linearize<T: Float, P: Params<T>, Q: Params<T>>(
    f: impl FnOnce(&P) -> Result<Q>,
    x: &P,
) -> Result<Linearized<T, P, Q>> {
    let transform = Transform::begin();
    let variables = transform.variables(x)?;
    let Evaluation { value, ys, nested } =
        Evaluation::new(&transform, &variables, || f(&x.rebuild(variables.clone())))?;
    let x = Arc::new(x.rebuild(x.tensors()));
    let recording = Recording { variables, ys, nested, symmetric: false, forward: OnceLock::new() };
    Ok(Linearized { recording: Arc::new(recording), x, value: Arc::new(value) })
}

impl<T: Float, P: Params<T>, Q: Params<T>> Linearized<T, P, Q> {
    /// The function's value.
    pub fn value(&self) -> &Q {
        &self.value
    }

    /// Where the function was evaluated.
    pub fn point(&self) -> &P {
        &self.x
    }

    /// The product of the Jacobian with the direction `v`, which has the structure of `x`.
    ///
    /// # Errors
    /// Shape, where `v` does not have the shapes of `x`.
    #[track_caller]
    pub fn jvp(&self, v: &P) -> Result<Q> {
        Ok(self.value.rebuild(product("jvp", &self.recording, false, false, v.tensors())?))
    }

    /// The product of the cotangent `u`, which has the structure of the value, with the Jacobian.
    ///
    /// # Errors
    /// Shape, where `u` does not have the shapes of the value.
    #[track_caller]
    pub fn vjp(&self, u: &Q) -> Result<P> {
        Ok(self.x.rebuild(product("vjp", &self.recording, true, false, u.tensors())?))
    }

    /// The products with many directions in one walk: a first dimension counts them, in each tensor of `v` and of the result.
    ///
    /// ```
    /// use tapegrad::{Tensor, linearize};
    /// let f = linearize(|x: &Tensor| Ok(x.square()), &Tensor::from([1.0, 3.0]))?;
    /// assert_eq!(f.jvp_batched(&Tensor::eye(2))?.to_vec(), [2.0, 0.0, 0.0, 6.0]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where the rows do not have as many elements as the tensors of `x`.
    #[track_caller]
    pub fn jvp_batched(&self, v: &P) -> Result<Q> {
        Ok(self.value.rebuild(product("jvp_batched", &self.recording, false, true, v.tensors())?))
    }

    /// The whole Jacobian, as [`jacobian`](crate::jacobian) gives it, without another evaluation.
    ///
    /// ```
    /// use tapegrad::{Tensor, linearize};
    /// let f = linearize(|x: &Tensor| Ok(x.square()), &Tensor::from([1.0, 3.0]))?;
    /// assert_eq!(f.jacobian()?.to_vec(), [2.0, 0.0, 0.0, 6.0]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Out of memory.
    #[track_caller]
    pub fn jacobian(&self) -> Result<Q::Structure<P>> {
        let rows = asked(whole(&self.recording))?;
        Ok(self.value.structure(rows.into_iter().map(|row| self.x.rebuild(row)).collect()))
    }

    /// The scalar function `sum u f` at the point, whose Hessian is that of every element of `f`, weighed and summed:
    /// from the recorded graph, by one walk back, without another evaluation.
    ///
    /// ```
    /// use tapegrad::{Tensor, linearize};
    /// let f = linearize(|x: &Tensor| Ok(x.powf(3.0)), &Tensor::from([1.0, 2.0]))?;
    /// let sum = f.weighted(&Tensor::from([1.0, 10.0]))?;
    /// assert_eq!((sum.value().item()?, sum.gradient().to_vec()), (81.0, vec![3.0, 120.0]));
    /// assert_eq!(sum.hessian()?.to_vec(), [6.0, 0.0, 0.0, 120.0]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where `u` does not have the shapes of the value, or that holds no tensor.
    #[track_caller]
    pub fn weighted(&self, u: &Q) -> Result<LinearizedGradient<T, P>> {
        let u = u.tensors();
        same_shapes("weighted", "a cotangent", &u, "the value", &self.recording.ys).at_caller()?;
        let nested = self.recording.nested || (is_grad_enabled() && u.iter().any(Tensor::is_tracked));
        let (value, ys) = asked(weighted(&self.recording, &u))?;
        let settled = |t: &Tensor<T>| if nested { t.clone() } else { t.detach() };
        let (value, gradient) = (settled(&value), Arc::new(self.x.rebuild(ys.iter().map(settled).collect())));
        let variables = self.recording.variables.clone();
        let recording = Recording { variables, ys, nested, symmetric: true, forward: OnceLock::new() };
        Ok(LinearizedGradient { recording: Arc::new(recording), x: self.x.clone(), value, gradient })
    }

    /// The products of many cotangents in one walk: a first dimension counts them, in each tensor of `u` and of the result.
    ///
    /// # Errors
    /// Shape, where the rows do not have as many elements as the tensors of the value.
    #[track_caller]
    pub fn vjp_batched(&self, u: &Q) -> Result<P> {
        Ok(self.x.rebuild(product("vjp_batched", &self.recording, true, true, u.tensors())?))
    }
}

/// A scalar function at a point: its value, its gradient, and the Hessian there as a linear function. Made by
/// [`linearize_gradient`].
///
/// It holds the graph of the gradient, which is walked once for each product. It is a `LinearOperator` of linalg, symmetric,
/// over the elements of `x`.
pub struct LinearizedGradient<T: Float, P> {
    recording: Arc<Recording<T>>,
    x: Arc<P>,
    value: Tensor<T>,
    gradient: Arc<P>,
}

impl<T: Float, P> Clone for LinearizedGradient<T, P> {
    fn clone(&self) -> Self {
        LinearizedGradient {
            recording: self.recording.clone(),
            x: self.x.clone(),
            value: self.value.clone(),
            gradient: self.gradient.clone(),
        }
    }
}

/// Evaluates a scalar function at `x` once, for its value, its gradient and any number of products with its Hessian there:
/// each costs a walk over the graph of the gradient, and `f` does not run again.
///
/// ```
/// use tapegrad::{Tensor, linearize_gradient};
/// let f = linearize_gradient(|x: &Tensor| Ok(x.powf(3.0).sum()), &Tensor::from([1.0, 2.0]))?;
/// assert_eq!((f.value().item()?, f.gradient().to_vec()), (9.0, vec![3.0, 12.0]));
/// assert_eq!(f.hvp(&Tensor::from([1.0, 0.0]))?.to_vec(), [6.0, 0.0]);
/// assert_eq!(f.hvp(&Tensor::from([1.0, 10.0]))?.to_vec(), [6.0, 120.0]);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// What `f` returns; shape, where its value has not exactly one element.
#[track_caller]
pub fn linearize_gradient<T: Float, P: Params<T>>(
    f: impl FnOnce(&P) -> Result<Tensor<T>>,
    x: &P,
) -> Result<LinearizedGradient<T, P>> {
    let first = asked(FirstOrder::new(f, x))?;
    let (value, gradient) = (first.settled(&first.value), Arc::new(first.settled_gradient(x)));
    let FirstOrder { transform, variables, gradient: ys, .. } = first;
    let nested = ys.iter().any(|g| transform.nested(g));
    let x = Arc::new(x.rebuild(x.tensors()));
    let recording = Recording { variables, ys, nested, symmetric: true, forward: OnceLock::new() };
    Ok(LinearizedGradient { recording: Arc::new(recording), x, value, gradient })
}

impl<T: Float, P: Params<T>> LinearizedGradient<T, P> {
    /// The function's value.
    pub fn value(&self) -> &Tensor<T> {
        &self.value
    }

    /// The gradient, in the structure of `x`.
    pub fn gradient(&self) -> &P {
        &self.gradient
    }

    /// Where the function was evaluated.
    pub fn point(&self) -> &P {
        &self.x
    }

    /// The product of the Hessian with `v`, which has the structure of `x`.
    ///
    /// # Errors
    /// Shape, where `v` does not have the shapes of `x`.
    #[track_caller]
    pub fn hvp(&self, v: &P) -> Result<P> {
        Ok(self.x.rebuild(product("hvp", &self.recording, false, false, v.tensors())?))
    }

    /// The products with many vectors in one walk: a first dimension counts them, in each tensor of `v` and of the result.
    ///
    /// # Errors
    /// Shape, where the rows do not have as many elements as the tensors of `x`.
    #[track_caller]
    pub fn hvp_batched(&self, v: &P) -> Result<P> {
        Ok(self.x.rebuild(product("hvp_batched", &self.recording, false, true, v.tensors())?))
    }

    /// The whole Hessian, as [`hessian`](crate::hessian) gives it, without another evaluation.
    ///
    /// # Errors
    /// Out of memory.
    #[track_caller]
    pub fn hessian(&self) -> Result<P::Structure<P>> {
        let rows = asked(whole(&self.recording))?;
        Ok(self.x.structure(rows.into_iter().map(|row| self.x.rebuild(row)).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Keep, Op, apply, gradcheck, gradgradcheck, hessian, hvp, jacobian, jvp, no_grad, tape,
        value_and_grad, value_grad_hvp, vjp,
    };
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    use tensor_core::ErrorKind;

    /// x^3, which counts how often it and its rule run.
    struct Cube(Arc<[AtomicUsize; 2]>);

    impl Op<f64, 1> for Cube {
        fn name(&self) -> &'static str {
            "cube"
        }
        fn forward(&self, [x]: [&Array<f64>; 1]) -> Result<Array<f64>> {
            self.0[0].fetch_add(1, Relaxed);
            Ok(Tensor::from(x.clone()).powf(3.0).into_array())
        }
        fn keep(&self, _: [bool; 1]) -> Keep<1> {
            Keep::inputs([true])
        }
        fn batches(&self) -> bool {
            true
        }
        fn vjp(&self, kept: &Kept<'_, f64>, g: Tensor) -> Result<[Option<Tensor>; 1]> {
            self.0[1].fetch_add(1, Relaxed);
            Ok([Some(g * (kept.input(0).square() * 3.0))])
        }
    }

    fn close(a: &Tensor, b: &Tensor) -> bool {
        a.shape() == b.shape()
            && a.to_vec().iter().zip(b.to_vec()).all(|(a, b)| (a - b).abs() <= 1e-12 * b.abs().max(1.0))
    }

    #[test]
    fn whole_matrices_are_those_of_the_transforms() -> Result<()> {
        let xs = vec![Tensor::scalar(0.3), Tensor::from([[0.2, 0.9], [0.4, -0.3]]), Tensor::from([0.7])];
        for count in [1usize, 3, 40, 500] {
            let t = Tensor::from((0..count).map(|i| 0.1 * i as f64).collect::<Vec<_>>());
            let f = |x: &Vec<Tensor>| {
                let wave = (&x[0] * &t).sin() * x[1].square().sum();
                Ok(vec![wave.try_mul(&x[2])?, x[1].exp()])
            };
            let linear = linearize(f, &xs)?;
            for (row, expected) in linear.jacobian()?.iter().zip(jacobian(f, &xs)?) {
                for (block, expected) in row.iter().zip(&expected) {
                    assert!(close(block, expected) && !block.is_tracked());
                }
            }
            let u = vec![(&t * 0.7).cos(), Tensor::from([[1.0, -2.0], [0.5, 3.0]])];
            let sum = |x: &Vec<Tensor>| {
                let y = f(x)?;
                Ok((&y[0] * &u[0]).sum() + (&y[1] * &u[1]).sum())
            };
            let weighted = linear.weighted(&u)?;
            let (value, gradient) = value_and_grad(sum, &xs)?;
            assert!(close(weighted.value(), &value) && !weighted.value().is_tracked());
            for (g, expected) in weighted.gradient().iter().zip(&gradient) {
                assert!(close(g, expected) && !g.is_tracked());
            }
            for (row, expected) in weighted.hessian()?.iter().zip(hessian(sum, &xs)?) {
                for (block, expected) in row.iter().zip(&expected) {
                    assert!(close(block, expected) && !block.is_tracked());
                }
            }
        }
        let linear = linearize(|x: &Tensor| Ok(x.square()), &Tensor::ones([2]))?;
        let error = linear.weighted(&Tensor::ones([3])).err().unwrap();
        assert_eq!((error.kind(), error.op()), (ErrorKind::Shape, "weighted"));
        Ok(())
    }

    #[test]
    fn whole_matrices_are_differentiable_from_outside() -> Result<()> {
        let all = |v: &[Tensor]| {
            let linear = linearize(|x: &Tensor| Ok((x * &v[1]).sin() * x.sum()), &v[0])?;
            let weighted = linear.weighted(&v[1])?;
            Ok(linear.jacobian()?.sum_dim(0, false)?
                + weighted.hessian()?.sum_dim(1, false)? * weighted.value())
        };
        gradcheck(all, &[Tensor::from([0.2, 0.9]), Tensor::from([0.4, -0.3])])?;
        Ok(())
    }

    #[test]
    fn one_evaluation_and_a_walk_for_each_product() -> Result<()> {
        let counts = Arc::new([const { AtomicUsize::new(0) }; 2]);
        let runs = || [counts[0].load(Relaxed), counts[1].load(Relaxed)];
        let x = Tensor::from([1.0, 2.0, 3.0]);
        let f = linearize(|x: &Tensor| apply(Cube(counts.clone()), [x]), &x)?;
        assert_eq!(runs(), [1, 0]);
        for k in 1..=5 {
            assert!(close(&f.vjp(&Tensor::ones([3]))?, &(x.square() * 3.0)));
            assert_eq!(runs(), [1, k]);
        }
        for k in 6..=10 {
            // Forward, the rule is transposed.
            assert!(close(&f.jvp(&Tensor::from([1.0, 0.0, 2.0]))?, &Tensor::from([3.0, 0.0, 54.0])));
            assert_eq!(runs(), [1, k]);
        }
        let g = linearize_gradient(|x: &Tensor| Ok(apply(Cube(counts.clone()), [x])?.sum()), &x)?;
        assert_eq!(runs(), [2, 11]);
        let nodes = tape::stats().nodes;
        for _ in 0..5 {
            assert!(close(&g.hvp(&Tensor::ones([3]))?, &(&x * 6.0)));
        }
        assert_eq!((runs(), tape::stats().nodes), ([2, 11], nodes));
        assert!(close(g.gradient(), &(x.square() * 3.0)) && g.value().item()? == 36.0);
        drop((f, g));
        assert_eq!(tape::stats().nodes, 0);
        Ok(())
    }

    fn field((a, b): &(Tensor, Tensor)) -> Result<(Tensor, Tensor)> {
        Ok((a.try_mul(b)?.sin(), (a * a.sum()).sum() + b.exp().sum()))
    }

    #[test]
    fn products_are_those_of_the_transforms() -> Result<()> {
        let at = (Tensor::from([[0.3, -0.2, 1.0], [0.5, 0.1, 0.4]]), Tensor::from([0.7, 0.2, -0.4]));
        let v = (Tensor::randn([2, 3]), Tensor::randn([3]));
        let u = (Tensor::randn([2, 3]), Tensor::randn(()));
        let f = linearize(field, &at)?;
        let (y, dy) = jvp(field, &at, &v)?;
        let (dx, expected) = (f.vjp(&u)?, vjp(field, &at, &u)?.1);
        assert!(close(&f.value().0, &y.0) && close(&f.value().1, &y.1));
        assert!(close(&f.jvp(&v)?.0, &dy.0) && close(&f.jvp(&v)?.1, &dy.1));
        assert!(close(&dx.0, &expected.0) && close(&dx.1, &expected.1));
        let stacked = |t: &Tensor| Tensor::stack([&(t * 2.0), t], 0);
        let many = f.jvp_batched(&(stacked(&v.0)?, stacked(&v.1)?))?;
        assert!(close(&many.0, &stacked(&dy.0)?) && close(&many.1, &stacked(&dy.1)?));
        let many = f.vjp_batched(&(stacked(&u.0)?, stacked(&u.1)?))?;
        assert!(close(&many.0, &stacked(&dx.0)?) && close(&many.1, &stacked(&dx.1)?));
        let scalar = |at: &(Tensor, Tensor)| Ok(field(at)?.0.sum() * field(at)?.1);
        let g = linearize_gradient(scalar, &at)?;
        let product = hvp(scalar, &at, &v)?;
        assert!(close(&g.hvp(&v)?.0, &product.0) && close(&g.hvp(&v)?.1, &product.1));
        let many = g.hvp_batched(&(stacked(&v.0)?, stacked(&v.1)?))?;
        assert!(close(&many.0, &stacked(&product.0)?) && close(&many.1, &stacked(&product.1)?));
        let (value, gradient, same) = value_grad_hvp(scalar, &at, &v)?;
        assert!(
            close(&value, g.value()) && close(&gradient.1, &g.gradient().1) && close(&same.0, &product.0)
        );
        Ok(())
    }

    /// In the vector, and in what the function captures or was evaluated at.
    #[test]
    fn products_are_differentiable_to_any_order() -> Result<()> {
        let v = [Tensor::from([0.4, -1.0, 0.3])];
        let x = Tensor::from([0.2, 0.5, 1.5]);
        let by_vector = |v: &[Tensor]| {
            let f = linearize(|x: &Tensor| Ok(x.sin() * x.sum()), &x)?;
            let g = linearize_gradient(|x: &Tensor| Ok((x.sin() * x).sum() * x.sum()), &x)?;
            Ok(f.jvp(&v[0])?.exp() + f.vjp(&v[0])?.square() + g.hvp(&v[0])?.powf(3.0))
        };
        gradcheck(by_vector, &v)?;
        gradgradcheck(by_vector, &v)?;
        let by_all = |v: &[Tensor]| {
            let f = linearize(|x: &Tensor| Ok((x * &v[2]).sin() * x.sum()), &v[1])?;
            let g = linearize_gradient(|x: &Tensor| Ok((x.sin() * x * &v[2]).sum() * x.sum()), &v[1])?;
            Ok(f.jvp(&v[0])? + f.vjp(&v[0])? + g.hvp(&v[0])? + f.value() * g.value() + g.gradient())
        };
        let all = [v[0].clone(), x.clone(), Tensor::from([1.2, 0.3, -0.5])];
        gradcheck(by_all, &all)?;
        gradgradcheck(by_all, &all)?;
        // A linear function is its own Jacobian: row by row, and through a batch of cotangents.
        let f = linearize(|x: &Tensor| Ok(x.sin() * x.sum()), &x)?;
        let j = jacobian(|x: &Tensor| Ok(x.sin() * x.sum()), &x)?;
        assert!(close(&jacobian(|v: &Tensor| f.jvp(v), &v[0])?, &j));
        assert!(close(&jacobian(|u: &Tensor| f.vjp(u), &v[0])?, &j.t()?));
        assert!(close(
            &jacobian(|u: &Tensor| f.vjp_batched(u)?.narrow(0, 1, 1), &Tensor::zeros([2, 3]))?
                .flatten()
                .narrow(0, 3, 3)?,
            &j.select(1, 0)?
        ));
        assert_eq!(hessian(|v: &Tensor| Ok(f.jvp(v)?.sum()), &v[0])?.to_vec(), [0.0; 9]);
        assert!(
            !f.jvp(&v[0])?.is_tracked()
                && no_grad(|| f.jvp(&v[0].clone().requires_grad()).map(|y| !y.is_tracked()))?
        );
        let (_, g) = value_and_grad(|v: &Tensor| Ok(f.jvp(v)?.sum()), &v[0])?;
        assert!(!g.is_tracked() && close(&g, &f.vjp(&Tensor::ones([3]))?));
        Ok(())
    }

    #[test]
    fn what_does_not_fit_is_an_error() -> Result<()> {
        let f = linearize(|x: &Tensor| x.narrow(0, 0, 2), &Tensor::ones([3]))?;
        assert_eq!(f.jvp(&Tensor::ones([2])).unwrap_err().kind(), ErrorKind::Shape);
        let e = f.vjp(&Tensor::ones([3])).unwrap_err();
        assert_eq!((e.kind(), e.op()), (ErrorKind::Shape, "vjp"));
        assert!(e.to_string().contains(file!()), "{e}");
        assert_eq!(f.vjp_batched(&Tensor::ones([3, 3])).unwrap_err().kind(), ErrorKind::Shape);
        assert_eq!(f.jvp_batched(&Tensor::ones([0, 3]))?.shape(), [0, 2]);
        let two = linearize(|x: &[Tensor; 2]| Ok(&x[0] + &x[1]), &[Tensor::ones([2]), Tensor::ones([2])])?;
        let uneven = two.jvp_batched(&[Tensor::ones([3, 2]), Tensor::ones([4, 2])]).unwrap_err();
        assert_eq!(uneven.kind(), ErrorKind::Shape);
        assert_eq!(
            linearize_gradient(|x: &Tensor| Ok(x.clone()), &Tensor::ones([3])).err().unwrap().kind(),
            ErrorKind::Shape
        );
        let mine = linearize(|_: &Tensor| Err::<Tensor, _>(Error::other("mine")), &Tensor::ones([3]));
        assert_eq!(mine.err().unwrap().to_string(), "mine");
        // What does not depend on the point has derivatives of zeros.
        let constant = linearize(|_: &Tensor| Ok(Tensor::ones([2])), &Tensor::ones([3]))?;
        assert_eq!(
            (constant.jvp(&Tensor::ones([3]))?.to_vec(), constant.vjp(&Tensor::ones([2]))?.to_vec()),
            (vec![0.0; 2], vec![0.0; 3])
        );
        Ok(())
    }
}
