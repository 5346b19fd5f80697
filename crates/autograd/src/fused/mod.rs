//! Users' functions of elements, fused: one expression over numbers becomes a function of tensors that goes over them
//! once, and once for the gradient of each operand, in any order.
//!
//! The closure is called once, over [`Expr`], and leaves a [`Program`]: a list of functions that the library has
//! compiled. On the CPU a block of elements goes through the whole list while it is in the first-level cache; on a GPU
//! the list is the text of one kernel. The cotangent of an operand is a program too, found by going back through the
//! list with the functions' own rules (Griewank and Walther 2008, section 3.2), and so is the cotangent of that.

mod evaluate;
pub(crate) mod expr;
pub(crate) mod program;

pub use crate::function::Expr;
pub use expr::Condition;

use crate::apply_once;
use crate::loops::Expressions;
use crate::op::Kept;
use crate::op_many::{KeepMany, OpMany};
use crate::tensor::Tensor;
use program::{Program, again};
use std::sync::{Arc, OnceLock};
use tensor_core::{Array, Float, Result, kernels};

/// A function of `N` tensors made by [`fused`].
///
/// Clones share what was found out about it, so make it once and call it often.
#[derive(Clone)]
pub struct Fused<const N: usize>(Arc<Derived>);

/// A program, and those of its cotangents, found when they are first asked for.
struct Derived {
    program: Program,
    cotangents: Vec<OnceLock<Arc<Derived>>>,
}

impl Derived {
    fn of(program: Program) -> Arc<Self> {
        let cotangents = (0..program.inputs()).map(|_| OnceLock::new()).collect();
        Arc::new(Derived { program, cotangents })
    }

    /// The function of the inputs and of the cotangent of the output that gives the cotangent of input `i`.
    fn cotangent(&self, i: usize) -> Arc<Derived> {
        self.cotangents[i].get_or_init(|| Derived::of(self.program.cotangent(i))).clone()
    }
}

/// Makes one function of tensors from an expression of their elements: it reads them once and writes the result once,
/// where composed operations would write and keep every intermediate; and so does its derivative, for each operand. The operands
/// broadcast, on the CPU and on a GPU (up to seven there, and six where they are differentiated), and derivatives go to
/// any order.
///
/// The expression may use the operators, numbers that it captures, and the functions of [`Expr`]. It is called once,
/// here: what it decides is decided then, and a captured number keeps its value.
///
/// ```
/// use tapegrad::{Tensor, fused};
/// let scale = 0.5;
/// let f = fused(|[x, y]| (x - y).square() * x.exp() * scale);
/// let (x, y) = (Tensor::from([0.0, 1.0]).requires_grad(), Tensor::scalar(2.0));
/// let z = f.call([&x, &y])?;
/// assert_eq!(z.to_vec(), [2.0, 0.5 * 1f64.exp()]);
/// z.sum().backward()?;
/// // ((x - y)^2 + 2 (x - y)) e^x / 2
/// assert_eq!(x.grad().unwrap().to_vec(), [0.0, -0.5 * 1f64.exp()]);
/// # Ok::<(), tapegrad::Error>(())
/// ```
pub fn fused<const N: usize>(f: impl FnOnce([Expr; N]) -> Expr) -> Fused<N> {
    Fused(Derived::of(Program::of(N, |x| f(std::array::from_fn(|k| x[k])))))
}

impl<const N: usize> Fused<N> {
    /// The value, of the shape to which the operands broadcast.
    ///
    /// ```
    /// use tapegrad::{Tensor, fused};
    /// let f = fused(|[x, y]| x * y + 1.0);
    /// let (column, row) = (Tensor::from([[1.0], [2.0]]), Tensor::from([3.0, 4.0]));
    /// assert_eq!(f.call([&column, &row])?.to_vec(), [4.0, 5.0, 7.0, 9.0]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shape, where the shapes do not broadcast; device, where the operands are on several, or are more than a GPU's
    /// kernel takes.
    #[track_caller]
    pub fn call<T: Float>(&self, x: [&Tensor<T>; N]) -> Result<Tensor<T>> {
        apply(self.0.clone(), &x)
    }
}

#[track_caller]
fn apply<T: Float>(f: Arc<Derived>, x: &[&Tensor<T>]) -> Result<Tensor<T>> {
    let mut values = apply_once!(T: Float, Apply(f) => Apply, many x)?;
    Ok(values.swap_remove(0))
}

/// A program as an operation.
struct Apply(Arc<Derived>);

impl<T: Float> OpMany<T> for Apply {
    fn name(&self) -> &'static str {
        "fused"
    }

    fn broadcasts(&self) -> bool {
        true
    }

    fn express(&self, x: &[&Expressions]) -> Option<Expressions> {
        Expressions::elementwise(x, |x| again(self.0.program.statements(), x).pop())
    }

    fn forward(&self, x: &[&Array<T>]) -> Result<Vec<Array<T>>> {
        Ok(vec![kernels::zip_many("fused", x, &self.0.program)?])
    }

    fn keep(&self, needs: &[bool]) -> KeepMany {
        KeepMany { inputs: vec![true; needs.len()], outputs: Vec::new() }
    }

    fn vjp(&self, kept: &Kept<'_, T>, g: Vec<Option<Tensor<T>>>) -> Result<Vec<Option<Tensor<T>>>> {
        let mut operands = kept.inputs();
        let n = operands.len();
        let Some(g) = g.into_iter().next().flatten() else { return Ok(vec![None; n]) };
        operands.push(g);
        let operands: Vec<&Tensor<T>> = operands.iter().collect();
        let cotangent = |i: usize| match kept.needs(i) {
            true => apply(self.0.cotangent(i), &operands).map(Some),
            false => Ok(None),
        };
        (0..n).map(cotangent).collect()
    }

    fn elementwise(&self) -> bool {
        true
    }
}
