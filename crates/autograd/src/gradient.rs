//! Gradients that add up in tensors, and hooks, which look at a cotangent or change it on its way back.

use crate::node::{Cotangent, Edge, Extra, WeakEdge};
use crate::tensor::Tensor;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tensor_core::{AtCaller, Error, ErrorKind, Float, Result};

type Function = Arc<dyn Fn(Cotangent) -> Result<Cotangent> + Send + Sync>;

/// What leaves that were reached hold, and few nodes.
#[derive(Default)]
struct Held {
    /// The gradient accumulated so far.
    grad: Mutex<Option<Cotangent>>,
    /// Whether a node accumulates its gradient; a leaf always does.
    retains: AtomicBool,
    hooked: AtomicBool,
    /// In the order of registration, each with its number.
    hooks: Mutex<Vec<(u64, Function)>>,
}

impl Extra for Held {}

impl Held {
    fn slot(&self) -> MutexGuard<'_, Option<Cotangent>> {
        self.grad.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a gradient into an empty slot; a full one gives its content back beside the new one.
    fn offer(&self, grad: Cotangent) -> Option<(Cotangent, Cotangent)> {
        let mut slot = self.slot();
        match slot.take() {
            None => {
                *slot = Some(grad);
                None
            }
            Some(old) => Some((old, grad)),
        }
    }

    /// The cotangent as the hooks leave it, one after another. No lock is held while one runs.
    fn pass(&self, mut g: Cotangent, many: Option<usize>, shape: &[usize]) -> Result<Cotangent> {
        if !self.hooked.load(Ordering::Acquire) {
            return Ok(g);
        }
        if let Some(many) = many.filter(|&many| many > 0) {
            let rows = (0..many).map(|k| self.pass(g.row(k as isize)?, None, shape));
            return Cotangent::stack(rows.collect::<Result<_>>()?);
        }
        let hooks: Vec<Function> = self.with_hooks(|hooks| hooks.iter().map(|(_, f)| f.clone()).collect());
        for hook in hooks {
            g = hook(g)?;
            if g.shape() != shape {
                let message = format!(
                    "the hook gave a cotangent of shape {:?} for a tensor of shape {shape:?}: keep the shape",
                    g.shape()
                );
                return Err(Error::shape("register_hook", message));
            }
        }
        Ok(g)
    }

    fn with_hooks<R>(&self, f: impl FnOnce(&mut Vec<(u64, Function)>) -> R) -> R {
        f(&mut self.hooks.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Edge {
    /// The cotangent as the tensor's hooks leave it.
    #[inline]
    pub(crate) fn hooked(&self, g: Cotangent, many: Option<usize>) -> Result<Cotangent> {
        match self.extra_if_any::<Held>() {
            None => Ok(g),
            Some(extra) => extra.pass(g, many, self.shape()),
        }
    }

    /// Whether a node was asked to keep its gradient.
    #[inline]
    pub(crate) fn retains_grad(&self) -> bool {
        self.extra_if_any::<Held>().is_some_and(|extra| extra.retains.load(Ordering::Acquire))
    }

    /// Adds to the gradient. The sum is formed without the lock: whoever finds a gradient there takes it
    /// away, adds it to its own, and offers the sum again.
    pub(crate) fn accumulate(&self, g: Cotangent) -> Result<()> {
        let mut g = g.detached();
        let extra = self.extra::<Held>();
        while let Some((old, new)) = extra.offer(g) {
            g = old.plus(new)?;
        }
        Ok(())
    }
}

/// A registered hook. Where this is dropped, the hook stays: it lives as long as its tensor's place in
/// the graph.
///
/// ```
/// use tapegrad::Tensor;
/// let x = Tensor::from([1.0, 2.0]).requires_grad();
/// let hook = x.register_hook(|g| Ok(Some(g * 10.0)))?;
/// x.sum().backward()?;
/// hook.remove();
/// x.sum().backward()?;
/// assert_eq!(x.grad().unwrap().to_vec(), [11.0, 11.0]);
/// # Ok::<(), tapegrad::Error>(())
/// ```
#[must_use = "it is what removes the hook; drop it to let the hook stay"]
pub struct Hook {
    edge: WeakEdge,
    number: u64,
}

impl Hook {
    /// Takes the hook away.
    pub fn remove(self) {
        let Some(edge) = self.edge.upgrade() else { return };
        let removed = edge.extra::<Held>().with_hooks(|hooks| {
            let at = hooks.iter().position(|(number, _)| *number == self.number);
            at.map(|at| hooks.remove(at))
        });
        drop(removed);
    }
}

/// # Gradients: what leaves hold, and hooks
impl<T: Float> Tensor<T> {
    /// The gradient that backward passes have added up for this leaf; None for a constant, for a
    /// tensor made by an operation, and before the first pass.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from([1.0, 2.0]).requires_grad();
    /// assert!(x.grad().is_none());
    /// x.sum().backward()?;
    /// (&x * 2.0).sum().backward()?;
    /// assert_eq!(x.grad().unwrap().to_vec(), [3.0, 3.0]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    pub fn grad(&self) -> Option<Tensor<T>> {
        let grad = self.edge()?.extra_if_any::<Held>()?.slot().clone();
        grad.map(Cotangent::tensor)
    }

    /// Forgets the accumulated gradient.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::scalar(3.0).requires_grad();
    /// x.square().backward()?;
    /// x.zero_grad();
    /// assert!(x.grad().is_none());
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    pub fn zero_grad(&self) {
        if let Some(extra) = self.edge().and_then(Edge::extra_if_any::<Held>) {
            let old = extra.slot().take();
            drop(old);
        }
    }

    /// Calls `f` with this tensor's cotangent in every backward pass, once it is complete and before it
    /// goes further: what `f` gives takes its place, None leaves it. Under `create_graph` it is
    /// differentiable. `f` should not own this tensor: the two would keep each other alive.
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::from([1.0, 2.0]).requires_grad();
    /// let y = x.square();
    /// let hook = y.register_hook(|g| Ok(Some(g.clamp(-0.1, 0.1))))?;
    /// y.sum().backward()?;
    /// assert_eq!(x.grad().unwrap().to_vec(), [0.2, 0.4]);
    /// hook.remove();
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Graph, for a tensor that is not tracked. What `f` returns is an error of the backward pass, as is
    /// a cotangent of another shape.
    #[track_caller]
    pub fn register_hook(
        &self,
        f: impl Fn(&Tensor<T>) -> Result<Option<Tensor<T>>> + Send + Sync + 'static,
    ) -> Result<Hook> {
        let edge = self.tracked_edge("register_hook").at_caller()?;
        let function: Function = Arc::new(move |g| {
            let g = g.tensor::<T>();
            Ok(Cotangent::new(f(&g)?.unwrap_or(g)))
        });
        let number = edge.extra::<Held>().with_hooks(|hooks| {
            let number = hooks.last().map_or(0, |(number, _)| number + 1);
            hooks.push((number, function));
            number
        });
        edge.extra::<Held>().hooked.store(true, Ordering::Release);
        Ok(Hook { edge: edge.downgrade(), number })
    }

    /// Lets `backward` accumulate this tensor's gradient as it does a leaf's, for [`Tensor::grad`].
    ///
    /// ```
    /// use tapegrad::Tensor;
    /// let x = Tensor::scalar(3.0).requires_grad();
    /// let y = x.square();
    /// y.retain_grad()?;
    /// (&y * 2.0).backward()?;
    /// assert_eq!(y.grad().unwrap().item()?, 2.0);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Graph, for a tensor that is not tracked.
    #[track_caller]
    pub fn retain_grad(&self) -> Result<()> {
        let edge = self.tracked_edge("retain_grad").at_caller()?;
        if !edge.is_leaf() {
            edge.extra::<Held>().retains.store(true, Ordering::Release);
        }
        Ok(())
    }

    fn tracked_edge(&self, op: &'static str) -> Result<&Edge> {
        self.edge().ok_or_else(|| {
            let message = "the tensor depends on nothing that requires a gradient: \
                           call requires_grad() on it, or on a tensor it is computed from";
            Error::new(ErrorKind::Graph, op, message)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{GradOptions, grad, grad_with};
    use std::sync::atomic::AtomicUsize;

    #[test]
    fn hooks_see_the_whole_cotangent_once_and_in_order() -> Result<()> {
        let x = Tensor::scalar(3.0).requires_grad();
        let y = &x * 2.0;
        let calls = Arc::new(AtomicUsize::new(0));
        let count = calls.clone();
        let looking = y.register_hook(move |g| {
            // y is used three times: 1 + 2 y
            assert_eq!(g.item()?, 13.0);
            count.fetch_add(1, Ordering::Relaxed);
            Ok(None)
        })?;
        let _stays = y.register_hook(|g| Ok(Some(g * 10.0)))?;
        let _last = y.register_hook(|g| Ok(Some(g + 1.0)))?;
        let z = &y + &y * &y;
        z.backward_with(None, true)?;
        assert_eq!(x.grad().unwrap().item()?, 2.0 * 131.0);
        // The gradient of a tensor is what its hooks leave.
        assert_eq!(
            grad_with(&z, [&y], GradOptions { retain_graph: true, ..Default::default() })?[0]
                .as_ref()
                .unwrap()
                .item()?,
            131.0
        );
        looking.remove();
        z.backward()?;
        assert_eq!(calls.load(Ordering::Relaxed), 2);
        Ok(())
    }

    #[test]
    fn hooks_of_leaves_and_of_second_order() -> Result<()> {
        let x = Tensor::scalar(2.0).requires_grad();
        let hook = x.register_hook(|g| Ok(Some(g.square())))?;
        x.powf(3.0).backward()?;
        assert_eq!(x.grad().unwrap().item()?, 144.0);
        // d (3 x^2)^2 / dx = 36 x^3; the hook on the leaf runs in that pass too.
        let options = GradOptions { create_graph: true, ..Default::default() };
        let g = grad_with(&x.powf(3.0), [&x], options)?.remove(0).unwrap();
        hook.remove();
        assert_eq!(grad(&g, [&x])?[0].as_ref().unwrap().item()?, 288.0);
        Ok(())
    }

    #[test]
    fn what_a_hook_does_wrong_is_an_error() -> Result<()> {
        let x = Tensor::from([1.0, 2.0]).requires_grad();
        let y = x.square();
        let hook = y.register_hook(|g| Ok(Some(g.sum())))?;
        let e = y.sum().backward().unwrap_err();
        assert_eq!((e.kind(), e.op()), (ErrorKind::Shape, "register_hook"));
        hook.remove();
        let y = x.square();
        let _hook = y.register_hook(|_| Err(Error::other("mine")))?;
        assert_eq!(y.sum().backward().unwrap_err().to_string(), "mine");
        assert_eq!(Tensor::scalar(1.0).register_hook(|_| Ok(None)).err().unwrap().kind(), ErrorKind::Graph);
        assert_eq!(Tensor::scalar(1.0).retain_grad().unwrap_err().kind(), ErrorKind::Graph);
        Ok(())
    }

    #[test]
    fn retained_gradients_add_up_as_those_of_leaves() -> Result<()> {
        let x = Tensor::from([1.0, 2.0]).requires_grad();
        let y = x.square();
        y.retain_grad()?;
        let z = (&y * &y).sum();
        assert!(y.grad().is_none());
        z.backward_with(None, true)?;
        z.backward()?;
        assert_eq!(y.grad().unwrap().to_vec(), [4.0, 16.0]);
        assert_eq!(x.grad().unwrap().to_vec(), [8.0, 64.0]);
        y.zero_grad();
        assert!(y.grad().is_none());
        Ok(())
    }
}
