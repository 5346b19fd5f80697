//! Between GPUs without the host: NCCL carries the bytes that MPI would, and who adds what stays as it is.
//!
//! A group meets by NCCL where every rank brings a tensor that does not travel with the call, on a GPU that no other rank has.
//! Rank 0 makes the id, which goes to the others as everything does that is no tensor.

use crate::header::{INLINE, Record};
use crate::transport::{Broken, Carried, Deadline, Landing, Message, Outgoing};
use std::time::Duration;
use tensor_core::cuda::nccl::{Awaited, Communicator, Unfinished, UniqueId, reachable};
use tensor_core::{Array, Device, Error};

/// Words of an id, behind one that is 1 where there is one.
const WORDS: usize = 128 / 8;

/// The GPUs of a group, and its communicator.
pub(crate) struct Gpus {
    names: Vec<u64>,
    device: Device,
    communicator: Communicator,
}

/// The GPU that a tensor lies on, as all ranks name it; 0 where NCCL does not reach it.
pub(crate) fn name_of(device: Device) -> u64 {
    reachable(&device).unwrap_or(0)
}

/// The GPUs of all ranks, by their records, where each has one of its own and what they exchange is worth it.
pub(crate) fn shared(records: &[Record]) -> Option<Vec<u64>> {
    let names: Vec<u64> = records.iter().map(Record::gpu).collect();
    let mut apart = names.clone();
    apart.sort_unstable();
    apart.dedup();
    let large = records.iter().any(|r| r.len() > INLINE);
    (large && names.len() > 1 && apart.len() == names.len() && apart[0] != 0).then_some(names)
}

/// An id, from rank 0, in words; the others have room for it.
pub(crate) fn begin(rank: usize) -> Result<Array<i64>, Error> {
    let mut words = vec![0; 1 + WORDS];
    if rank == 0
        && let Ok(id) = UniqueId::new()
    {
        words[0] = 1;
        for (word, bytes) in words[1..].iter_mut().zip(id.0.chunks_exact(8)) {
            *word = i64::from_ne_bytes(std::array::from_fn(|k| bytes[k]));
        }
    }
    Array::from_vec(words, &[1 + WORDS])
}

/// Takes part in the communicator with the id that `told` holds.
pub(crate) fn join(
    op: &'static str,
    names: Vec<u64>,
    told: Array<i64>,
    device: Device,
    ranks: [usize; 2],
    limit: Duration,
) -> Result<Gpus, String> {
    let words = told.to_vec();
    if words[0] != 1 {
        return Err("rank 0 has no id for it: NCCL_DEBUG=INFO tells why".into());
    }
    let mut id = UniqueId([0; 128]);
    for (bytes, word) in id.0.chunks_exact_mut(8).zip(&words[1..]) {
        bytes.copy_from_slice(&word.to_ne_bytes());
    }
    match Communicator::join(op, &device, id, ranks, limit) {
        Ok(communicator) => Ok(Gpus { names, device, communicator }),
        Err(Unfinished::Late) => Err(format!("not all ranks joined within {limit:?}")),
        Err(Unfinished::Failed(why)) => Err(why),
    }
}

fn carried<V>(result: Result<V, Unfinished>) -> Carried<V> {
    result.map_err(|e| match e {
        Unfinished::Late => Broken::Late,
        Unfinished::Failed(why) => Broken::Failed(why),
    })
}

fn awaited(landing: &Landing) -> Carried<Awaited> {
    match *landing {
        Landing::Gpu(dtype, n) => Ok(Awaited { dtype, n }),
        _ => Err(Broken::Failed("a message of the host was given to NCCL".into())),
    }
}

impl Gpus {
    pub(crate) fn are(&self, names: &[u64]) -> bool {
        self.names == names
    }

    pub(crate) fn device(&self) -> Device {
        self.device
    }

    /// A name of them all, for a rank whose tensor lies on its own of them; else 0.
    pub(crate) fn name_of(&self, rank: usize, gpu: u64) -> u64 {
        if gpu == 0 || self.names[rank] != gpu {
            return 0;
        }
        self.names
            .iter()
            .fold(1, |name: u64, &gpu| name.rotate_left(7) ^ gpu.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    pub(crate) fn exchange(
        &self,
        op: &'static str,
        sends: Vec<(usize, Outgoing)>,
        receives: Vec<(usize, Landing)>,
        deadline: Deadline,
    ) -> Carried<Vec<Landing>> {
        let sends = sends.into_iter().map(|(to, sent)| (to, sent.into_part())).collect();
        let receives = receives.iter().map(|(from, l)| Ok((*from, awaited(l)?))).collect::<Carried<_>>()?;
        let came = carried(self.communicator.exchange(op, sends, receives, deadline.left()))?;
        Ok(came.into_iter().map(Landing::Arrived).collect())
    }

    pub(crate) fn all_gather(
        &self,
        op: &'static str,
        own: Outgoing,
        counts: &[usize],
        into: Landing,
        deadline: Deadline,
    ) -> Carried<Landing> {
        let (own, all) = (own.into_part(), awaited(&into)?);
        let came = self.communicator.all_gather(op, own, counts, all, deadline.left());
        carried(came).map(Landing::Arrived)
    }

    pub(crate) fn broadcast(
        &self,
        op: &'static str,
        root: usize,
        message: Message,
        deadline: Deadline,
    ) -> Carried<Option<Landing>> {
        let limit = deadline.left();
        match message {
            Message::Sent(x) => {
                carried(self.communicator.send_to_all(op, root, x.into_part(), limit)).map(|()| None)
            }
            Message::Awaited(landing) => {
                let came = self.communicator.receive_from(op, root, awaited(&landing)?, limit);
                carried(came).map(|x| Some(Landing::Arrived(x)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header::Call;
    use tensor_core::shape::Dims;

    fn record(n: usize, gpu: u64) -> Record {
        Record::of(1, &Call { dims: Dims::from_slice(&[n]), ..Call::bare("gather") }, &[]).on(gpu)
    }

    #[test]
    fn a_gpu_each_and_enough_to_send() {
        let large = INLINE + 1;
        assert_eq!(shared(&[record(large, 7), record(3, 5)]), Some(vec![7, 5]));
        for records in [
            [record(large, 7), record(large, 7)],
            [record(large, 7), record(large, 0)],
            [record(INLINE, 7), record(INLINE, 5)],
        ] {
            assert_eq!(shared(&records), None);
        }
        assert_eq!(shared(&[record(large, 7)]), None);
    }
}
