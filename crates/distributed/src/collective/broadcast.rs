//! What one process has, in all of them.

use super::reductions::reduced_to;
use super::{Exchange, call, inline, tied, tracked};
use crate::group::Group;
use crate::header::{Call, Fit, INLINE};
use crate::transport::{Landing, Message};
use autograd::{Keep, Kept, Op, Tensor, apply_once};
use tensor_core::{Array, AtCaller, Element, Error, Result, compiled_once};

compiled_once! {
    /// The elements of the root.
    fn sent_to_all<T: Element>(group: &Group, x: &Array<T>, root: usize, tracked: bool) -> Result<Array<T>> {
        let name = "broadcast";
        let mut run = group.begin(name)?;
        let said = Call { root, ..call(name, x, tracked) };
        let mine = group.rank() == root;
        let own = if mine { inline(name, x)? } else { Vec::new() };
        let records = run.agree(&said, Fit::Whole, &own, x.device())?;
        let (n, large) = (x.numel(), x.numel() * size_of::<T>() > INLINE);
        if mine {
            if large {
                run.broadcast(root, Message::Sent(run.outgoing(x)?))?;
            }
            return Ok(x.clone());
        }
        let came = if large {
            run.broadcast(root, Message::Awaited(run.landing(T::DTYPE, n)?))?
        } else {
            Some(Landing::of_bytes(name, T::DTYPE, &records[root].inline)?)
        };
        let came = came.ok_or_else(|| Error::shape(name, "nothing came"))?.array::<T>()?;
        came.reshape(name, x.shape())?.to_device(name, x.device())
    }
}

/// y = the root's x, on all ranks.
struct Broadcast {
    group: Group,
    root: usize,
    tracked: bool,
}

impl<T: Element> Op<T, 1> for Broadcast {
    fn name(&self) -> &'static str {
        "broadcast"
    }
    fn forward(&self, [x]: [&Array<T>; 1]) -> Result<Array<T>> {
        sent_to_all(&self.group, x, self.root, self.tracked)
    }
    fn keep(&self, _: [bool; 1]) -> Keep<1> {
        Keep::OUTPUT
    }
    /// root: the sum of grad over all ranks; others: 0
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 1]> {
        let g = tied(kept, g)?;
        let sum = of_numbers!(T, |group, g, to| reduced_to(group, g, to.root))?;
        let to = Exchange { root: self.root, counts: Vec::new() };
        Ok([Some(sum(&self.group, &g, &to)?)])
    }
}

#[track_caller]
pub(super) fn broadcasted<T: Element>(group: &Group, x: &Tensor<T>, root: usize) -> Result<Tensor<T>> {
    let (group, tracked) = (group.clone(), tracked(x));
    apply_once!(T: Element, Broadcast { group, root, tracked } => Broadcast, [x])
}

/// # Collectives: copies
impl Group {
    /// The tensor of the process `root`, in all. The others give one of the same shape, whose elements do not matter. Its
    /// cotangent is the sum of the cotangents, in the root, and zero elsewhere.
    ///
    /// ```
    /// use tapegrad::{Tensor, distributed};
    /// let got = distributed::spawn(2, |group| {
    ///     let own = Tensor::full([2], group.rank() as f64 + 5.0);
    ///     Ok(group.broadcast(&own, 1)?.to_vec())
    /// })?;
    /// assert_eq!(got, [vec![6.0, 6.0], vec![6.0, 6.0]]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Group::reduce`].
    #[doc(alias = "bcast")]
    #[track_caller]
    pub fn broadcast<T: Element>(&self, x: &Tensor<T>, root: usize) -> Result<Tensor<T>> {
        self.check_rank("broadcast", root).at_caller()?;
        broadcasted(self, x, root)
    }
}
