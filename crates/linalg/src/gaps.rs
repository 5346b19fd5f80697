//! Quotients by the gaps of a spectrum, in which the derivatives of eigenvectors and singular vectors are written.

use autograd::{Keep, Kept, Op, Tensor, apply_once};
use tensor_core::kernels::{self, Gaps};
use tensor_core::{Array, Error, ErrorKind, Float, Result};

/// F_ij (p_ij + a p_ji) / 2 with F_ij = 1 / (w_j + b w_i), 0 on the diagonal; a and b are 1 or -1
struct OverGaps<T> {
    gaps: Gaps<T>,
    /// The operation that has no answer where a numerator is lost to a gap of zero.
    strict: Option<&'static str>,
}

impl<T: Float> Op<T, 2> for OverGaps<T> {
    fn name(&self) -> &'static str {
        "over_gaps"
    }
    fn forward(&self, [p, w]: [&Array<T>; 2]) -> Result<Array<T>> {
        let (out, lost) = kernels::over_gaps("over_gaps", p, w, self.gaps)?;
        match (lost, self.strict) {
            (Some(at), Some(op)) => Err(equal_values(op, w.shape(), at)),
            _ => Ok(out),
        }
    }
    fn keep(&self, [_, w]: [bool; 2]) -> Keep<2> {
        Keep { inputs: [false, true], output: w }
    }
    /// p: F_ij (grad_ij + a b grad_ji) / 2, since F_ji = b F_ij; w_k: -sum_i F_ik (h_ik + h_ki) for
    /// h = grad * result, since d(result_ij) = -result_ij F_ij (dw_j + b dw_i)
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 2]> {
        let (w, gaps) = (kept.input(1), self.gaps);
        let quotients = |p: &Tensor<T>, transpose| over_gaps(p, &w, Gaps { transpose, ..gaps }, None);
        Ok([
            kept.wrt(0, || quotients(&g, gaps.transpose * gaps.other))?,
            kept.wrt(1, || Ok(quotients(&(&g * kept.output(0)), T::ONE)?.sum_dim(-2, false)? * T::of(-2.0)))?,
        ])
    }
}

/// [`Gaps`] of `w` under `p`; where `strict` names an operation, an error of it where a numerator that is not
/// negligible has a gap of zero.
pub(crate) fn over_gaps<T: Float>(
    p: &Tensor<T>,
    w: &Tensor<T>,
    gaps: Gaps<T>,
    strict: Option<&'static str>,
) -> Result<Tensor<T>> {
    apply_once!(T: Float, OverGaps { gaps, strict } => OverGaps<T>, [p, w])
}

fn equal_values(op: &'static str, shape: &[usize], at: usize) -> Error {
    let n = shape[shape.len() - 1];
    let which =
        if shape.len() > 1 { format!(" of matrix {} of the batch", at / (n * n)) } else { String::new() };
    let message = format!(
        "values {} and {}{which} are equal, and the function depends on their vectors: its gradient does not \
         exist; use a function of the whole space, as symmetric_function is",
        at / n % n,
        at % n
    );
    Error::new(ErrorKind::Argument, op, message)
}
