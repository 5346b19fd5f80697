//! Writing into tensors: `+=` and its kin, and single elements. It happens in place where nothing else
//! shares the elements, and to a copy otherwise, so nobody else ever sees it.
//!
//! `x += y` is `x = x + y`, and recorded as such: where x was a leaf, the variable then holds the sum, and
//! clones of x are the leaf still. Where nothing is recorded, within `no_grad`, a leaf stays the leaf and
//! has another value.

use super::arithmetic::{
    WithNumber, add, add_owned, div, div_owned, mul, mul_owned, sub, sub_owned, with_number,
    with_number_owned,
};
use crate::mode::is_grad_enabled;
use crate::node::Edge;
use crate::tensor::Tensor;
use std::ops::{AddAssign, DivAssign, MulAssign, SubAssign};
use std::panic::Location;
use tensor_core::shape::{IntoDims, broadcast};
use tensor_core::{
    AtCaller, Device, Element, Error, ErrorKind, Float, Layout, Number, OrRaise, Result, ValueFor,
    compiled_once,
};

/// An error where the result would have another shape than x.
fn keeps_shape<T: Element>(op: &'static str, x: &Tensor<T>, other: &[usize]) -> Result<()> {
    let whole = broadcast(op, x.shape(), other)?;
    if whole[..] == *x.shape() {
        return Ok(());
    }
    Err(Error::shape(op, format!("shape {:?} cannot become {:?} in place", x.shape(), &whole[..])))
}

/// Puts `new` in the place of x: a leaf stays the leaf where nothing is recorded.
fn put<T: Element>(x: &mut Tensor<T>, leaf: Option<Edge>, new: Tensor<T>) {
    *x = if leaf.is_some() { Tensor::from_parts(new.into_array(), leaf) } else { new };
}

/// Whether x is written where it lies, for an operand or a number. (On a GPU the kernel finds out.)
fn in_place<T: Element>(x: &mut Tensor<T>, other: Option<&Tensor<T>>) -> bool {
    if x.device() != Device::Cpu {
        return !x.array().is_shared();
    }
    let read_along =
        |o: &Tensor<T>| o.numel() == 1 || (o.shape() == x.shape() && o.array().as_slice().is_some());
    other.is_none_or(read_along) && x.array_mut().as_mut_slice().is_some()
}

/// The handle of a leaf that is written without being recorded.
fn quiet_leaf<T: Element>(x: &Tensor<T>) -> Option<Edge> {
    if x.is_leaf() && !is_grad_enabled() { x.edge().cloned() } else { None }
}

/// # Writing elements
impl<T: Element> Tensor<T> {
    /// Writes one element; negative indices count from the end.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let mut x = Tensor::zeros([2, 2]);
    /// let before = x.clone();
    /// x.set([0, -1], 5.0)?;
    /// assert_eq!(x.to_vec(), [0.0, 5.0, 0.0, 0.0]);
    /// assert_eq!(before.to_vec(), [0.0; 4]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, for indices that are not one per dimension; index, for one out of range; graph, for a
    /// tensor made by a recorded operation, and for one that asks for gradients outside of
    /// [`no_grad`](crate::no_grad).
    #[doc(alias = "setitem")]
    #[track_caller]
    pub fn set(&mut self, index: impl IntoDims, value: impl ValueFor<T>) -> Result<()> {
        let at = self.place("set", &index.into_dims()).at_caller()?;
        if !self.is_leaf() || (self.is_tracked() && is_grad_enabled()) {
            let message = "a single element of a tracked tensor is not written: detach() it first, or, where it \
                           is a leaf, write it within no_grad()";
            return Err(Error::new(ErrorKind::Graph, "set", message).at_caller());
        }
        let place = Layout::row_major(self.shape().into()).place(&at);
        self.array_mut().make_mut().at_caller()?[place] = value.as_element();
        Ok(())
    }
}

/// What two functions of x, of which the second may reuse its buffer, give, written to x. What is not written where it
/// lies is left to x where there is no memory for the result.
fn written<T: Element>(
    name: &'static str,
    x: &mut Tensor<T>,
    operand: Option<&Tensor<T>>,
    of: impl FnOnce(&Tensor<T>) -> Result<Tensor<T>>,
    of_owned: impl FnOnce(Tensor<T>) -> Result<Tensor<T>>,
) -> Result<()> {
    keeps_shape(name, x, operand.map_or(&[], Tensor::shape))?;
    let leaf = quiet_leaf(x);
    let new = match in_place(x, operand) {
        false => of(x)?,
        true => of_owned(std::mem::replace(x, Tensor::scalar(T::default())))?,
    };
    put(x, leaf, new);
    Ok(())
}

/// An operator that writes its left operand; it panics where the shapes do not broadcast to that.
macro_rules! assignment {
    ($Bound:ident $Trait:ident $method:ident $name:literal $of:ident $of_owned:ident,
     |$here:ident, $x:ident, $c:ident| $with:expr, $with_owned:expr) => {
        impl<T: $Bound> $Trait<&Tensor<T>> for Tensor<T> {
            #[track_caller]
            fn $method(&mut self, other: &Tensor<T>) {
                compiled_once! {
                    fn assign<T: $Bound>(
                        here: &'static Location<'static>,
                        x: &mut Tensor<T>,
                        other: &Tensor<T>,
                    ) -> Result<()> {
                        let owned = |x| $of_owned(here, x, other.clone());
                        written($name, x, Some(other), |x| $of(here, x, other), owned)
                    }
                }
                assign(Location::caller(), self, other).or_raise();
            }
        }

        impl<T: $Bound> $Trait<Tensor<T>> for Tensor<T> {
            #[track_caller]
            fn $method(&mut self, other: Tensor<T>) {
                $Trait::$method(self, &other);
            }
        }

        impl<T: $Bound, N: ValueFor<T>> $Trait<N> for Tensor<T> {
            #[track_caller]
            fn $method(&mut self, c: N) {
                compiled_once! {
                    fn assign<T: $Bound>(
                        $here: &'static Location<'static>,
                        x: &mut Tensor<T>,
                        $c: T,
                    ) -> Result<()> {
                        written($name, x, None, |$x| $with, |$x| $with_owned)
                    }
                }
                assign(Location::caller(), self, c.as_element()).or_raise();
            }
        }
    };
}
assignment!(Number AddAssign add_assign "add" add add_owned,
    |here, x, c| with_number(here, WithNumber::Plus(c), x), with_number_owned(here, WithNumber::Plus(c), x));
assignment!(Number SubAssign sub_assign "sub" sub sub_owned,
    |here, x, c| with_number(here, WithNumber::Plus(c.negated()), x),
    with_number_owned(here, WithNumber::Plus(c.negated()), x));
assignment!(Number MulAssign mul_assign "mul" mul mul_owned,
    |here, x, c| with_number(here, WithNumber::Times(c), x), with_number_owned(here, WithNumber::Times(c), x));
assignment!(Float DivAssign div_assign "div" div div_owned,
    |here, x, c| div(here, x, &Tensor::scalar(c)), div_owned(here, x, Tensor::scalar(c)));

#[cfg(test)]
mod tests {
    use super::*;
    use crate::no_grad;

    #[test]
    fn what_others_hold_stays_and_what_nobody_holds_is_written_in_place() -> Result<()> {
        let mut x: Tensor = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
        let (view, place) = (x.row(0)?, x.array().allocation().0);
        x += &Tensor::from([10.0, 20.0]);
        assert_eq!((x.to_vec(), view.to_vec()), (vec![11.0, 22.0, 13.0, 24.0], vec![1.0, 2.0]));
        assert_ne!(x.array().allocation().0, place);
        let place = x.array().allocation().0;
        x -= 1.0;
        x *= Tensor::scalar(2.0);
        x /= 4.0;
        assert_eq!(x.to_vec(), [5.0, 10.5, 6.0, 11.5]);
        assert_eq!(x.array().allocation().0, place);
        let mut n = Tensor::from([1, 2]);
        n += 3;
        assert_eq!(n.to_vec(), [4, 5]);
        Ok(())
    }

    #[test]
    fn assignments_are_differentiated_and_leaves_are_guarded() -> Result<()> {
        let w = Tensor::from([1.0, 2.0]).requires_grad();
        let mut y = &w * &w;
        y += &w;
        y *= 3.0;
        y.sum().backward()?;
        assert_eq!(w.grad().unwrap().to_vec(), [9.0, 15.0]);

        let mut sum = w.clone();
        sum += &w;
        assert!(!sum.is_leaf());
        w.zero_grad();
        sum.sum().backward()?;
        assert_eq!(w.grad().unwrap().to_vec(), [2.0, 2.0]);

        let mut w = w;
        assert_eq!(w.set([0], 1.0).unwrap_err().kind(), ErrorKind::Graph);
        no_grad(|| w -= &Tensor::from([0.5, 0.5]));
        no_grad(|| w.set([1], 7.0))?;
        assert!(w.is_leaf() && w.is_tracked());
        assert_eq!(w.to_vec(), [0.5, 7.0]);

        let mut y = &w * 2.0;
        assert_eq!(y.set([0], 1.0).unwrap_err().kind(), ErrorKind::Graph);
        let e = keeps_shape("add", &y, &[3, 2]).unwrap_err();
        assert!(e.to_string().contains("[2] cannot become [3, 2]"), "{e}");
        let site = {
            y += &w;
            y.graph().vertices().last().unwrap().site.unwrap().line()
        };
        assert_eq!(site, line!() - 3);
        Ok(())
    }
}
