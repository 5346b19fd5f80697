//! What every rank says of a call before anything of it is exchanged: ranks that call different things, or bring tensors that
//! do not fit, get an error, and no wrong number.
//!
//! A record has a fixed length, and so arrives whatever the others meant to do. What is small travels within it, and needs no
//! second message.

use tensor_core::shape::Dims;
use tensor_core::{DType, Error, ErrorKind, Result};

/// Bytes of a record.
pub(crate) const RECORD: usize = 256;

/// Bytes of it that carry elements.
pub(crate) const INLINE: usize = RECORD - HEAD;

const HEAD: usize = 96;

/// Where the GPU is told.
const GPU: usize = HEAD - 8;

/// Sizes of a shape that are told; what a tensor has beyond is multiplied into the last.
pub(crate) const DIMS: usize = 8;

/// The operations, by their numbers in a record.
const NAMES: [&str; 16] = [
    "nothing", "barrier", "all_reduce", "reduce", "broadcast", "all_gather", "gather", "scatter",
    "reduce_scatter", "send", "recv", "split", "a sum over rows", "share", "save_npy", "send_recv",
];

const REDUCTIONS: [&str; 5] = ["", "sum", "mean", "max", "min"];

const DTYPES: [DType; 4] = [DType::F32, DType::F64, DType::I64, DType::Bool];

/// A call, as the ranks compare it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Call {
    pub(crate) name: &'static str,
    /// Empty where nothing is reduced.
    pub(crate) reduction: &'static str,
    pub(crate) dtype: DType,
    pub(crate) tracked: bool,
    /// A rank that has a part of its own, or another number that all have to agree on.
    pub(crate) root: usize,
    pub(crate) dims: Dims,
}

impl Call {
    /// A call without elements.
    pub(crate) fn bare(name: &'static str) -> Self {
        let (dtype, dims) = (DType::Bool, Dims::new());
        Call { name, reduction: "", dtype, tracked: false, root: 0, dims }
    }
}

/// In what the shapes of a call have to be the same.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Fit {
    Whole,
    /// All but the first dimension.
    Rows,
    /// In nothing: who receives takes what comes.
    Nothing,
}

/// What a rank said.
pub(crate) struct Record {
    number: u64,
    call: Call,
    /// The GPU over which the rank can be reached, or the group of them; 0 where there is none.
    gpu: u64,
    /// Why the rank does not take part.
    failure: Option<String>,
    pub(crate) inline: Vec<u8>,
}

fn place(of: &[&str], name: &str) -> u8 {
    of.iter().position(|n| *n == name).unwrap_or(0) as u8
}

impl Record {
    /// The record of the call with this number, and its elements where they fit.
    pub(crate) fn of(number: u64, call: &Call, inline: &[u8]) -> Self {
        let fits = inline.len() <= INLINE;
        let inline = if fits { inline.to_vec() } else { Vec::new() };
        Record { number, call: call.clone(), gpu: 0, failure: None, inline }
    }

    /// The record of a rank that has failed before the call.
    pub(crate) fn failed(number: u64, name: &'static str, why: &str) -> Self {
        let mut end = why.len().min(INLINE);
        while !why.is_char_boundary(end) {
            end -= 1;
        }
        Record {
            number,
            call: Call::bare(name),
            gpu: 0,
            failure: Some(why[..end].into()),
            inline: Vec::new(),
        }
    }

    pub(crate) fn bytes(&self) -> [u8; RECORD] {
        let mut bytes = [0; RECORD];
        let Call { name, reduction, dtype, tracked, root, dims } = &self.call;
        bytes[..8].copy_from_slice(&self.number.to_le_bytes());
        bytes[8] = place(&NAMES, name);
        bytes[9] = place(&REDUCTIONS, reduction);
        bytes[10] = DTYPES.iter().position(|d| d == dtype).unwrap_or(0) as u8;
        bytes[11] = u8::from(*tracked);
        bytes[12] = u8::from(self.failure.is_some());
        bytes[13] = dims.len().min(255) as u8;
        bytes[16..24].copy_from_slice(&(*root as u64).to_le_bytes());
        let mut told = [0u64; DIMS];
        for (k, &d) in dims.iter().enumerate() {
            if k < DIMS {
                told[k] = d as u64;
            } else {
                told[DIMS - 1] = told[DIMS - 1].wrapping_mul(d as u64);
            }
        }
        for (k, d) in told.iter().enumerate() {
            bytes[24 + 8 * k..][..8].copy_from_slice(&d.to_le_bytes());
        }
        bytes[GPU..][..8].copy_from_slice(&self.gpu.to_le_bytes());
        let inline = self.failure.as_ref().map_or(&self.inline[..], |why| why.as_bytes());
        bytes[14] = inline.len() as u8;
        bytes[HEAD..][..inline.len()].copy_from_slice(inline);
        bytes
    }

    pub(crate) fn read(bytes: &[u8]) -> Self {
        let number = |at: usize| u64::from_le_bytes(std::array::from_fn(|k| bytes[at + k]));
        let name = |of: &[&'static str], k: u8| of.get(k as usize).copied().unwrap_or("another operation");
        let dims = (0..(bytes[13] as usize).min(DIMS)).map(|k| number(24 + 8 * k) as usize).collect();
        let call = Call {
            name: name(&NAMES, bytes[8]),
            reduction: name(&REDUCTIONS, bytes[9]),
            dtype: DTYPES.get(bytes[10] as usize).copied().unwrap_or(DType::F64),
            tracked: bytes[11] != 0,
            root: number(16) as usize,
            dims,
        };
        let inline = bytes[HEAD..][..(bytes[14] as usize).min(INLINE)].to_vec();
        let failure = (bytes[12] != 0).then(|| String::from_utf8_lossy(&inline).into_owned());
        Record { number: number(0), call, gpu: number(GPU), failure, inline }
    }

    /// The same, of a tensor on a GPU.
    pub(crate) fn on(self, gpu: u64) -> Self {
        Record { gpu, ..self }
    }

    #[cfg(feature = "cuda")]
    pub(crate) fn gpu(&self) -> u64 {
        self.gpu
    }

    /// The bytes of the tensor that the rank brings.
    #[cfg(feature = "cuda")]
    pub(crate) fn len(&self) -> usize {
        self.call.dims.iter().product::<usize>() * self.call.dtype.size()
    }

    pub(crate) fn dims(&self) -> &Dims {
        &self.call.dims
    }

    fn describe(&self, fit: Fit) -> String {
        let Call { name, reduction, dtype, tracked, root, dims } = &self.call;
        let mut text = name.to_string();
        if !reduction.is_empty() {
            text += &format!("({reduction})");
        }
        match *name {
            "barrier" | "split" | "share" => (),
            _ if fit == Fit::Nothing => text += &format!(" of {dtype}"),
            _ if fit == Fit::Rows && !dims.is_empty() => {
                let rest: Vec<String> = dims[1..].iter().map(|d| d.to_string()).collect();
                text += &format!(" of {dtype} rows of shape [{}]", rest.join(", "));
            }
            _ => text += &format!(" of {dtype} {dims:?}"),
        }
        if matches!(*name, "reduce" | "broadcast" | "gather" | "scatter") {
            text += &format!(" with root {root}");
        } else if matches!(*name, "send" | "send_recv") {
            text += &format!(" from rank {root}");
        } else if *root != 0 {
            text += &format!(" in {root} blocks");
        }
        if *tracked {
            text += ", tracked";
        }
        text + &format!(", call {}", self.number)
    }
}

/// The numbers of ranks, in words.
pub(crate) fn ranks(ranks: &[usize]) -> String {
    const SHOWN: usize = 16;
    let some: Vec<String> = ranks.iter().take(SHOWN).map(|r| r.to_string()).collect();
    let more = if ranks.len() > SHOWN { format!(" and {} more", ranks.len() - SHOWN) } else { String::new() };
    format!("{} {}{more}", if ranks.len() == 1 { "rank" } else { "ranks" }, some.join(", "))
}

/// An error where the ranks, `numbers` of the group in the order of the records, do not say the same.
pub(crate) fn check(op: &'static str, records: &[Record], numbers: &[usize], fit: Fit) -> Result<()> {
    let of = |holds: &dyn Fn(&Record) -> bool| -> Vec<usize> {
        records.iter().zip(numbers).filter(|(r, _)| holds(r)).map(|(_, &n)| n).collect()
    };
    let failed = of(&|r| r.failure.is_some());
    if let Some(why) = records.iter().find_map(|r| r.failure.as_ref()) {
        let message = format!("{} failed before it: {why}", ranks(&failed));
        return Err(Error::new(ErrorKind::Group, op, message));
    }
    let first = &records[0];
    let rest = |dims: &Dims| dims.iter().skip(1).copied().collect::<Dims>();
    let fits = |r: &Record| match fit {
        Fit::Whole => r.call.dims == first.call.dims,
        Fit::Rows => {
            r.call.dims.len() == first.call.dims.len() && rest(&r.call.dims) == rest(&first.call.dims)
        }
        Fit::Nothing => true,
    };
    let agrees = |r: &Record| {
        Call { dims: Dims::new(), ..r.call.clone() } == Call { dims: Dims::new(), ..first.call.clone() }
            && r.number == first.number
    };
    if records.iter().all(|r| agrees(r) && fits(r)) {
        return Ok(());
    }
    let mut said: Vec<(String, Vec<usize>)> = Vec::new();
    for (r, &n) in records.iter().zip(numbers) {
        let text = r.describe(fit);
        match said.iter_mut().find(|(t, _)| *t == text) {
            Some((_, ranks)) => ranks.push(n),
            None => said.push((text, vec![n])),
        }
    }
    let said: Vec<String> = said.iter().map(|(text, who)| format!("{}: {text}", ranks(who))).collect();
    let untracked =
        Record { call: Call { tracked: false, ..first.call.clone() }, ..Record::read(&first.bytes()) };
    let only_tracking = records.iter().all(|r| {
        fits(r) && r.number == first.number && {
            let call = Call { tracked: false, dims: Dims::new(), ..r.call.clone() };
            call == Call { dims: Dims::new(), ..untracked.call.clone() }
        }
    });
    let remedy = if only_tracking {
        "track the tensor on every rank, or on none: its derivative is an exchange, too"
    } else {
        "every rank has to make the same calls in the same order, with tensors that fit"
    };
    let kind = if records.iter().all(agrees) { ErrorKind::Shape } else { ErrorKind::Group };
    Err(Error::new(kind, op, format!("the ranks do not agree: {}; {remedy}", said.join("; "))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(name: &'static str, dims: &[usize]) -> Record {
        Record::of(7, &Call { dims: Dims::from_slice(dims), ..Call::bare(name) }, &[1, 2, 3])
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let written = Record::of(
            9,
            &Call {
                name: "reduce",
                reduction: "mean",
                dtype: DType::F32,
                tracked: true,
                root: 3,
                dims: Dims::from_slice(&[4, 0, 7]),
            },
            &[5; INLINE],
        );
        let read = Record::read(&written.bytes());
        assert!(read.call == written.call && read.number == 9 && read.inline == [5; INLINE]);
        assert!(Record::of(0, &Call::bare("barrier"), &[0; INLINE + 1]).inline.is_empty());
        let long = "ä".repeat(INLINE);
        let failed = Record::read(&Record::failed(1, "all_reduce", &long).bytes());
        assert_eq!(failed.failure.unwrap(), "ä".repeat(INLINE / 2));
    }

    #[test]
    fn what_differs_is_told_by_ranks() {
        let check = |records: &[Record], fit| check("all_reduce", records, &[0, 1, 2], fit);
        let same = || record("all_reduce", &[2, 3]);
        assert!(check(&[same(), same(), same()], Fit::Whole).is_ok());
        let e = check(&[same(), record("all_reduce", &[2, 4]), same()], Fit::Whole).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Shape);
        let text = e.to_string();
        assert!(
            text.contains("ranks 0, 2: all_reduce of bool [2, 3]") && text.contains("rank 1: "),
            "{text}"
        );
        assert!(check(&[same(), record("all_reduce", &[9, 3]), same()], Fit::Rows).is_ok());
        let e = check(&[same(), record("broadcast", &[2, 3]), same()], Fit::Whole).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Group);
        let mut tracked = same();
        tracked.call.tracked = true;
        let e = check(&[same(), tracked, same()], Fit::Whole).unwrap_err().to_string();
        assert!(e.contains("track the tensor on every rank"), "{e}");
        let e = check(&[same(), Record::failed(7, "all_reduce", "no data"), same()], Fit::Whole).unwrap_err();
        assert!(e.to_string().contains("rank 1 failed before it: no data"), "{e}");
    }
}
