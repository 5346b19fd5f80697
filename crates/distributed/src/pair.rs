//! A tensor from one process to another.

use crate::collective::{inline, tied, tracked};
use crate::group::Group;
use crate::header::{Call, INLINE};
use crate::transport::Landing;
use autograd::{Keep, Kept, Op, Tensor, apply, apply_once};
use tensor_core::shape::Dims;
use tensor_core::{Array, AtCaller, Element, Error, Result};

/// x goes to another process; 0 stays.
struct Send {
    group: Group,
    to: usize,
    tracked: bool,
}

impl<T: Element> Op<T, 1> for Send {
    fn name(&self) -> &'static str {
        "send"
    }
    fn forward(&self, [x]: [&Array<T>; 1]) -> Result<Array<T>> {
        let ranks = [self.group.rank(), self.to];
        carried_over(&self.group, Some(x), x.shape(), ranks, self.tracked)?;
        Array::repeat_on(x.device(), &[], T::default())
    }
    fn keep(&self, _: [bool; 1]) -> Keep<1> {
        Keep::OUTPUT
    }
    /// the cotangent of what the other process received
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 1]> {
        let g = tied(kept, g)?;
        let tracked = tracked(&g);
        let shape = Dims::from_slice(kept.shape(0));
        let back = Receive { group: self.group.clone(), from: self.to, shape, tracked };
        Ok([Some(apply(back, [&g])?)])
    }
}

/// What another process sent, whatever the input is.
struct Receive {
    group: Group,
    from: usize,
    shape: Dims,
    tracked: bool,
}

impl<T: Element> Op<T, 1> for Receive {
    fn name(&self) -> &'static str {
        "recv"
    }
    fn forward(&self, [buffer]: [&Array<T>; 1]) -> Result<Array<T>> {
        let ranks = [self.from, self.group.rank()];
        let came = carried_over(&self.group, None, &self.shape, ranks, self.tracked)?;
        let came = came.ok_or_else(|| Error::shape("recv", "nothing came"))?;
        came.to_device("recv", buffer.device())
    }
    fn keep(&self, _: [bool; 1]) -> Keep<1> {
        Keep::OUTPUT
    }
    /// grad goes back, and nothing of it is the input's
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 1]> {
        let g = tied(kept, g)?;
        let tracked = tracked(&g);
        let receipt = apply(Send { group: self.group.clone(), to: self.from, tracked }, [&g])?;
        Ok([Some(receipt.expand(kept.shape(0))?)])
    }
}

/// What a rank sent to another, which agreed on it.
fn carried_over<T: Element>(
    group: &Group,
    x: Option<&Array<T>>,
    shape: &[usize],
    [from, to]: [usize; 2],
    tracked: bool,
) -> Result<Option<Array<T>>> {
    let name = if x.is_some() { "send" } else { "recv" };
    let mut run = group.begin(name)?;
    let peer = if x.is_some() { to } else { from };
    let dims = Dims::from_slice(shape);
    let said = Call { name, reduction: "", dtype: T::DTYPE, tracked, root: from, dims };
    let own = x.map_or(Ok(Vec::new()), |x| inline(name, x))?;
    let record = run.agree_with(peer, &said, &own)?;
    let n: usize = shape.iter().product();
    let large = n * size_of::<T>() > INLINE;
    if let Some(x) = x {
        if large {
            run.send(to, x)?;
        }
        return Ok(None);
    }
    let came: Array<T> = if large {
        run.receive(from, n)?
    } else {
        Landing::of_bytes(name, T::DTYPE, &record.inline)?.array()?
    };
    came.reshape(name, shape).map(Some)
}

/// # Between two processes
impl Group {
    /// Sends `x` to the process `to`, which calls [`Group::recv`], and waits until it has: two processes that send to each
    /// other first wait in vain. What is returned is a scalar, 0, that stands for what became of `x` there: add it
    /// to what you differentiate, so that the cotangent comes back.
    ///
    /// ```
    /// use tapegrad::{Tensor, distributed, value_and_grad};
    /// // Process 0 has x, and process 1 squares it.
    /// let slopes = distributed::spawn(2, |group| {
    ///     let f = |x: &Tensor| match group.rank() {
    ///         0 => group.send(x, 1),
    ///         _ => Ok(group.recv(x, 0)?.square().sum()),
    ///     };
    ///     Ok(value_and_grad(f, &Tensor::from([3.0, 4.0]))?.1.to_vec())
    /// })?;
    /// assert_eq!(slopes, [[6.0, 8.0], [0.0, 0.0]]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Argument, where there is no other process of this rank; shape, where it receives another one; group, where it does
    /// something else, does not come or has ended.
    #[track_caller]
    pub fn send<T: Element>(&self, x: &Tensor<T>, to: usize) -> Result<Tensor<T>> {
        self.check_peer("send", to).at_caller()?;
        let (group, tracked) = (self.clone(), tracked(x));
        apply_once!(T: Element, Send { group, to, tracked } => Send, [x])
    }

    /// What the process `from` sends with [`Group::send`]: a tensor of the type and shape of `buffer`, whose elements do not
    /// matter. Where the sender's is tracked, `buffer` has to be, so that the walk back comes here, as well: within
    /// [`value_and_grad`](autograd::value_and_grad) it is made of the variable.
    ///
    /// ```
    /// use tapegrad::{Tensor, distributed};
    /// let got = distributed::spawn(2, |group| match group.rank() {
    ///     0 => Ok(group.send(&Tensor::from([1, 2]), 1)?.item()?),
    ///     _ => Ok(group.recv(&Tensor::from([0, 0]), 0)?.sum().item()?),
    /// })?;
    /// assert_eq!(got, [0, 3]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Group::send`].
    #[track_caller]
    pub fn recv<T: Element>(&self, buffer: &Tensor<T>, from: usize) -> Result<Tensor<T>> {
        self.check_peer("recv", from).at_caller()?;
        let (group, tracked) = (self.clone(), tracked(buffer));
        let shape = Dims::from_slice(buffer.shape());
        apply_once!(T: Element, Receive { group, from, shape, tracked } => Receive, [buffer])
    }

    fn check_peer(&self, op: &'static str, peer: usize) -> Result<()> {
        self.check_rank(op, peer)?;
        if peer != self.rank() {
            return Ok(());
        }
        Err(Error::argument(op, format!("rank {peer} is this process itself: name another")))
    }
}
