//! Finding the operation in which a NaN or an infinity is born.

use crate::mode::Mode;
use crate::node::{Cotangent, Node};
use tensor_core::{
    Array, Closures, Code, Element, Error, ErrorKind, Result, Scalar, compiled_once, kernels, memory,
};

/// Runs `f`, in which every operation whose inputs are finite and whose result is not, and every backward
/// rule that answers a finite cotangent with one that is not, is an error that names the operation and
/// the line that called it. It costs a pass over every result: for finding mistakes, not for daily use.
///
/// ```
/// use tapegrad::{ErrorKind, Tensor, detect_anomaly};
/// let x = Tensor::from([1.0, 0.0]).requires_grad();
/// // The square root is finite at 0, its derivative is not.
/// let e = detect_anomaly(|| x.sqrt().sum().backward()).unwrap_err();
/// assert_eq!((e.kind(), e.op()), (ErrorKind::NotFinite, "sqrt"));
/// assert_eq!(e.location().unwrap().file(), file!());
/// // What returns no Result is caught as well.
/// let e = detect_anomaly(|| Ok(x.log())).unwrap_err();
/// assert!(e.to_string().contains("element 1"), "{e}");
/// ```
///
/// # Errors
/// Not finite, as said; what `f` returns.
pub fn detect_anomaly<R>(f: impl FnOnce() -> Result<R>) -> Result<R> {
    let _mode = Mode::detecting();
    memory::try_run(f)
}

compiled_once! {
    /// The first element that is neither finite nor of a type that always is.
    fn first<T: Element>(x: &Array<T>) -> Result<Option<(usize, T)>> {
        let not_finite = |x: T| matches!(x.to_scalar(), Scalar::Float(x) if !x.is_finite());
        let mask = kernels::map("detect_anomaly", x, &Closures::new(not_finite, |[x]: [Code; 1]| !x.is_finite()))?;
        let found = kernels::any("detect_anomaly", &mask, &vec![true; x.ndim()], false)?;
        if !found.item("detect_anomaly")? {
            return Ok(None);
        }
        Ok(x.to_vec().into_iter().enumerate().find(|(_, x)| not_finite(*x)))
    }
}

/// Refuses a result that is not finite, of an operation whose inputs are.
#[cold]
pub(crate) fn search<T: Element, U: Element>(op: &'static str, x: &[&Array<T>], y: &Array<U>) -> Result<()> {
    let Some((k, value)) = first(y)? else { return Ok(()) };
    for x in x {
        if first(x)?.is_some() {
            return Ok(());
        }
    }
    let message = format!(
        "element {k} of the result, of shape {:?}, is {value}, though every input is finite",
        y.shape()
    );
    Err(Error::new(ErrorKind::NotFinite, op, message))
}

impl Cotangent {
    fn first_not_finite(&self) -> Result<Option<(usize, f64)>> {
        Ok(match self {
            Cotangent::F32(g, _) => first(g)?.map(|(k, x)| (k, x.into())),
            Cotangent::F64(g, _) => first(g)?,
            Cotangent::Tuple(all) => {
                for g in all.iter().flatten() {
                    if let Some(found) = g.first_not_finite()? {
                        return Ok(Some(found));
                    }
                }
                None
            }
            Cotangent::Part(part) => part.value.first_not_finite()?,
        })
    }

    pub(crate) fn is_finite(&self) -> Result<bool> {
        Ok(self.first_not_finite()?.is_none())
    }
}

/// Refuses a cotangent that is not finite, of input `i` of an operation whose own is.
pub(crate) fn search_cotangent(node: &Node, i: usize, g: &Cotangent) -> Result<()> {
    let Some((k, value)) = g.first_not_finite()? else { return Ok(()) };
    let message = format!(
        "element {k} of the cotangent of input {i} is {value}, though that of the result is finite: the \
         operation's derivative is not finite there"
    );
    Err(Error::new(ErrorKind::NotFinite, node.rule.name(), message).at(node.site))
}

/// Whether all tangents of an operation's inputs are finite.
pub(crate) fn all_finite(tangents: &[Option<Cotangent>]) -> Result<bool> {
    tangents.iter().flatten().try_fold(true, |all, t| Ok(all && t.is_finite()?))
}

/// Refuses a tangent that is not finite, of an operation whose inputs' are.
pub(crate) fn search_tangent(node: &Node, t: &Cotangent) -> Result<()> {
    let Some((k, value)) = t.first_not_finite()? else { return Ok(()) };
    let message = format!(
        "element {k} of the tangent of the result is {value}, though those of the inputs are finite: the \
         operation's derivative is not finite there"
    );
    Err(Error::new(ErrorKind::NotFinite, node.rule.name(), message).at(node.site))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{GradOptions, Op, Tensor, apply, grad, grad_with, hessian};

    #[test]
    fn what_came_in_is_not_blamed_on_the_operation() -> Result<()> {
        let x = Tensor::from([f64::INFINITY, 1.0]).requires_grad();
        detect_anomaly(|| {
            let y = (&x * 2.0).sum();
            y.backward()
        })?;
        // Not asked to, nothing is searched.
        assert_eq!(Tensor::from([0.0]).log().item()?, f64::NEG_INFINITY);
        Ok(())
    }

    #[test]
    fn owned_operands_and_operations_of_many_inputs_are_searched() {
        let e = detect_anomaly(|| Ok((Tensor::from([1e308, 1.0]) * 10.0).sum())).unwrap_err();
        assert_eq!((e.kind(), e.op()), (ErrorKind::NotFinite, "mul"));
        let wide = Tensor::from([1e200f64]);
        let e = detect_anomaly(|| wide.try_mul(&wide)?.try_add(&wide)).unwrap_err();
        assert_eq!((e.op(), e.location().unwrap().line()), ("mul", line!() - 1));
        // Integers are always finite.
        detect_anomaly(|| Ok(Tensor::from([1i64, 2]).sum())).unwrap();
    }

    /// y = x, and a cotangent of NaN.
    struct Poison;
    impl Op<f64, 1> for Poison {
        fn name(&self) -> &'static str {
            "poison"
        }
        fn forward(&self, [x]: [&Array<f64>; 1]) -> Result<Array<f64>> {
            Ok(x.clone())
        }
        fn vjp(&self, _: &crate::Kept<'_, f64>, g: Tensor) -> Result<[Option<Tensor>; 1]> {
            Ok([Some(g * f64::NAN)])
        }
    }

    #[test]
    fn a_rule_of_any_order_is_put_down_to_the_line_of_its_operation() -> Result<()> {
        let x = Tensor::from([1.0, 2.0]).requires_grad();
        let y = apply(Poison, [&x])?.sum();
        let line = line!() - 1;
        let e = detect_anomaly(|| grad(&y, [&x])).unwrap_err();
        assert_eq!((e.op(), e.location().unwrap().line()), ("poison", line));
        assert!(e.to_string().contains("element 0 of the cotangent of input 0 is NaN"), "{e}");

        // x^1.5 at 0: the first derivative is 0, the second infinite.
        let x = Tensor::from([0.0]).requires_grad();
        let y = x.powf(1.5).sum();
        let line = line!() - 1;
        let options = GradOptions { create_graph: true, ..Default::default() };
        let g = detect_anomaly(|| grad_with(&y, [&x], options))?.remove(0).unwrap();
        let e = detect_anomaly(|| g.sum().backward()).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::NotFinite);
        assert_eq!(e.location().unwrap().line(), line);
        assert!(detect_anomaly(|| hessian(|x| Ok(x.powf(1.5).sum()), &Tensor::from([0.0]))).is_err());
        Ok(())
    }
}
