//! A tensor from one process to another.
//!
//! The cotangent of a message travels the other way, and what is sent and received at once is so again (Utke, Hascoët,
//! Heimbach, Hill, Hovland, Naumann, "Toward adjoinable MPI", 2009).

use crate::collective::{call, inline, tied, tracked};
use crate::group::Group;
use crate::header::{self, Call, DIMS, Fit, INLINE};
use crate::transport::Landing;
use autograd::{Keep, Kept, Op, Tensor, apply, apply_once};
use tensor_core::shape::Dims;
use tensor_core::{Array, AtCaller, Device, Element, Error, Result, compiled_once};

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
        carried_over(&self.group, Some(x), x.shape(), ranks, self.tracked, x.device())?;
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
        let came = carried_over(&self.group, None, &self.shape, ranks, self.tracked, buffer.device())?;
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
    device: Device,
) -> Result<Option<Array<T>>> {
    let name = if x.is_some() { "send" } else { "recv" };
    let mut run = group.begin(name)?;
    let peer = if x.is_some() { to } else { from };
    let dims = Dims::from_slice(shape);
    let said = Call { name, reduction: "", dtype: T::DTYPE, tracked, root: from, dims };
    let own = x.map_or(Ok(Vec::new()), |x| inline(name, x))?;
    let record = run.agree_with(peer, &said, &own, device)?;
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

/// x goes to one process, and what another sends comes.
struct SendReceive {
    group: Group,
    to: usize,
    from: usize,
    tracked: bool,
}

impl<T: Element> Op<T, 1> for SendReceive {
    fn name(&self) -> &'static str {
        SEND_RECV
    }
    fn forward(&self, [x]: [&Array<T>; 1]) -> Result<Array<T>> {
        passed_on(&self.group, x, self.to, self.from, self.tracked)
    }
    fn keep(&self, _: [bool; 1]) -> Keep<1> {
        Keep::OUTPUT
    }
    /// grad goes back to where the output came from, and the cotangent of x comes from where x went
    fn vjp(&self, kept: &Kept<'_, T>, g: Tensor<T>) -> Result<[Option<Tensor<T>>; 1]> {
        let g = tied(kept, g)?;
        let (group, tracked) = (self.group.clone(), tracked(&g));
        let back = SendReceive { group, to: self.from, from: self.to, tracked };
        Ok([Some(apply(back, [&g])?)])
    }
}

const SEND_RECV: &str = "send_recv";

compiled_once! {
    /// What `from` sends, while `x` goes to `to`.
    fn passed_on<T: Element>(
        group: &Group,
        x: &Array<T>,
        to: usize,
        from: usize,
        tracked: bool
    ) -> Result<Array<T>> {
        let rank = group.rank();
        if to == rank {
            return Ok(x.clone());
        }
        let mut run = group.begin(SEND_RECV)?;
        let said = Call { root: rank, ..call(SEND_RECV, x, tracked) };
        let out = run.word(&said, &inline(SEND_RECV, x)?, x.device());
        let awaited = run.word(&Call { root: from, dims: Dims::new(), ..said }, &[], x.device());
        // Both ends of either way have both of its records, and so decide the same: a way on which they agree is used, also
        // where the other one of this rank is not.
        let mut theirs = run.swapped(&[(to, &out), (from, &awaited)], &[from, to])?;
        let (receiver, sender) = (theirs.pop(), theirs.pop());
        let (Some(receiver), Some(sender)) = (receiver, sender) else {
            return Err(Error::shape(SEND_RECV, "nothing came"));
        };
        let shape = sender.dims().clone();
        let (n, mut small) = (shape.iter().product::<usize>(), sender.inline.clone());
        let incoming = [awaited, sender];
        let outgoing = [out, receiver];
        let agreed = header::check(SEND_RECV, &incoming, &[rank, from], Fit::Nothing);
        let heard = header::check(SEND_RECV, &outgoing, &[rank, to], Fit::Nothing);
        let large = |n: usize| n * size_of::<T>() > INLINE;
        let ways = [
            (heard.is_ok() && large(x.numel())).then(|| run.way_between(&outgoing)),
            (agreed.is_ok() && large(n)).then(|| run.way_between(&incoming)),
        ];
        let mut came = None;
        // What goes over GPUs first, on all ranks: none then waits for one that waits for it in the other.
        for host in [false, true] {
            let [out, into] = ways.each_ref().map(|way| way.as_ref().filter(|way| way.is_host() == host));
            let Some(way) = out.or(into) else { continue };
            run.go_by(way.clone());
            let sends = if out.is_some() { vec![(to, run.outgoing(x)?)] } else { Vec::new() };
            let receives = if into.is_some() { vec![(from, run.landing(T::DTYPE, n)?)] } else { Vec::new() };
            came = run.exchange(sends, receives)?.pop().or(came);
        }
        agreed.and(heard)?;
        small.truncate(n * size_of::<T>());
        let came = came.map_or_else(|| Landing::of_bytes(SEND_RECV, T::DTYPE, &small), Ok)?;
        came.array::<T>()?.reshape(SEND_RECV, &shape)?.to_device(SEND_RECV, x.device())
    }
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

    /// Sends `x` to the process `to`, and gives what the process `from` sends at the same time, of whatever shape: as
    /// `MPI_Sendrecv`. The two may be one process, or both this one. Every process that is named calls this; none waits in
    /// vain, as two would that both [`send`](Group::send) first. The cotangent goes back to `from`, and that of `x` comes from
    /// `to`.
    ///
    /// ```
    /// use tapegrad::{Tensor, distributed, value_and_grad};
    /// // Around a ring: each has what its left neighbour had, and weighs it.
    /// let slopes = distributed::spawn(3, |group| {
    ///     let (rank, size) = (group.rank(), group.size());
    ///     let f = |x: &Tensor| {
    ///         let left = group.send_recv(x, (rank + 1) % size, (rank + size - 1) % size)?;
    ///         Ok(left * (rank as f64 + 1.0))
    ///     };
    ///     value_and_grad(f, &Tensor::scalar(rank as f64))?.1.item()
    /// })?;
    /// assert_eq!(slopes, [2.0, 3.0, 1.0]);
    /// # Ok::<(), tapegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Argument, where there is no such process, where one of the two is this one and the other is not, and for tensors of more
    /// than 8 dimensions; group, where one of them does something else, or sends another type, does not come or has ended.
    #[doc(alias("sendrecv", "ppermute"))]
    #[track_caller]
    pub fn send_recv<T: Element>(&self, x: &Tensor<T>, to: usize, from: usize) -> Result<Tensor<T>> {
        for peer in [to, from] {
            self.check_rank(SEND_RECV, peer).at_caller()?;
        }
        if (to == self.rank()) != (from == self.rank()) {
            let message = format!(
                "to rank {to}, from rank {from}, on rank {}: what a process sends to itself it has to receive from itself",
                self.rank()
            );
            return Err(Error::argument(SEND_RECV, message).at_caller());
        }
        if x.ndim() > DIMS {
            let message = format!("{} dimensions: a shape of at most {DIMS} is told; reshape it", x.ndim());
            return Err(Error::argument(SEND_RECV, message).at_caller());
        }
        let (group, tracked) = (self.clone(), tracked(x));
        apply_once!(T: Element, SendReceive { group, to, from, tracked } => SendReceive, [x])
    }

    fn check_peer(&self, op: &'static str, peer: usize) -> Result<()> {
        self.check_rank(op, peer)?;
        if peer != self.rank() {
            return Ok(());
        }
        Err(Error::argument(op, format!("rank {peer} is this process itself: name another")))
    }
}
