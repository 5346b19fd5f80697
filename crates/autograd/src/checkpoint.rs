//! Recomputing instead of keeping.

use crate::apply_once;
use crate::backward::{GraphUse, grads_of};
use crate::functional::Transform;
use crate::mode::{enable_grad, no_grad};
use crate::op::Kept;
use crate::op_many::{KeepMany, OpMany};
use crate::tensor::Tensor;
use std::sync::OnceLock;
use tensor_core::random::{self, Draws};
use tensor_core::{Array, Error, ErrorKind, Float, Result};

type Function<T> = dyn Fn(&[Tensor<T>]) -> Result<Tensor<T>> + Send + Sync;

/// A function as an operation that keeps its inputs only, and which random numbers it drew.
struct Checkpoint<T: Float> {
    f: Box<Function<T>>,
    draws: OnceLock<Draws>,
}

impl<T: Float> OpMany<T> for Checkpoint<T> {
    fn name(&self) -> &'static str {
        "checkpoint"
    }

    fn forward(&self, x: &[&Array<T>]) -> Result<Vec<Array<T>>> {
        let x: Vec<Tensor<T>> = x.iter().map(|&x| x.clone().into()).collect();
        let (value, draws) = random::noted(|| no_grad(|| (self.f)(&x)));
        // An operation is computed once.
        _ = self.draws.set(draws);
        Ok(vec![value?.into_array()])
    }

    fn keep(&self, needs: &[bool]) -> KeepMany {
        KeepMany { inputs: vec![true; needs.len()], outputs: Vec::new() }
    }

    /// The function once more, recorded this time and with the same random numbers, and its cotangents for grad.
    fn vjp(&self, kept: &Kept<'_, T>, mut g: Vec<Option<Tensor<T>>>) -> Result<Vec<Option<Tensor<T>>>> {
        let transform = Transform::begin();
        let inputs = kept.inputs();
        let x = inputs.iter().map(|x| transform.variable(x)).collect::<Result<Vec<_>>>()?;
        let draws = self.draws.get_or_init(Draws::default);
        let y = random::again(draws, || enable_grad(|| (self.f)(&x)))?;
        // Under `create_graph` the inputs themselves are older than the transform.
        if !kept.create_graph() && y.edge().is_some_and(|edge| edge.since() < transform.number()) {
            let message = "the function captures a tensor that requires a gradient: make it an input";
            return Err(Error::new(ErrorKind::Graph, "checkpoint", message));
        }
        let create_graph = kept.create_graph();
        grads_of(
            &[y],
            vec![g.swap_remove(0)],
            &x,
            if create_graph { GraphUse::Create } else { GraphUse::Consume },
        )
    }
}

/// `f` of `inputs`, of which only the inputs are kept: the backward pass computes it again, and keeps
/// what its operations need for no longer than that. So memory is paid with time, one more forward
/// pass. `f` gets the same random numbers from the program's generator each time, which moves on once; otherwise it must
/// give the same result each time, and get every tensor that is to have a gradient as an input.
///
/// ```
/// use tapegrad::{Tensor, checkpoint};
/// let x = Tensor::scalar(2.0).requires_grad();
/// let y = checkpoint(|x| Ok(x[0].sin().exp().square()), &[&x])?;
/// y.backward()?;
/// let slope = 2.0 * (2.0 * 2f64.sin()).exp() * 2f64.cos();
/// assert!((x.grad().unwrap().item()? - slope).abs() < 1e-12);
/// # Ok::<(), tapegrad::Error>(())
/// ```
///
/// # Errors
/// What `f` returns; in the backward pass, graph, where `f` captures a tensor that requires a gradient.
#[doc(alias = "remat")]
#[track_caller]
pub fn checkpoint<T: Float>(
    f: impl Fn(&[Tensor<T>]) -> Result<Tensor<T>> + Send + Sync + 'static,
    inputs: &[&Tensor<T>],
) -> Result<Tensor<T>> {
    let checkpoint = Checkpoint { f: Box::new(f), draws: OnceLock::new() };
    Ok(apply_once!(T: Float, checkpoint => Checkpoint<T>, many inputs)?.swap_remove(0))
}
