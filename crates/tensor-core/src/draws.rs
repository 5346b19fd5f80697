//! The generator of random numbers: its seed, and the draws that were made of it.

use crate::device::Device;
use std::cell::RefCell;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};

/// The seed, and how many draws there were since it was set.
static STATE: Mutex<Option<(u64, u64)>> = Mutex::new(None);

/// One draw: what its numbers are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Draw {
    pub(crate) seed: u64,
    pub(crate) number: u64,
    /// Where a GPU finds the seed and what is added to the number, for work that is captured; else 0.
    #[cfg(feature = "cuda")]
    pub(crate) from: u64,
}

impl Draw {
    fn new(seed: u64, number: u64) -> Self {
        Draw {
            seed,
            number,
            #[cfg(feature = "cuda")]
            from: 0,
        }
    }
}

/// Draws that were made, to be made once more: see [`noted`].
///
/// ```
/// use tapegrad::random;
/// let (x, draws) = random::noted(|| random::rand::<f64>(&[3]));
/// assert_eq!(random::again(&draws, || random::rand::<f64>(&[3]))?.to_vec(), x?.to_vec());
/// # Ok::<(), tapegrad::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Draws(Vec<Draw>);

impl Draws {
    /// Whether there was none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Where the draws of a thread come from, or are noted, in place of the program's generator alone.
enum Frame {
    Noting(Vec<Draw>),
    Again(std::vec::IntoIter<Draw>),
    /// Numbers that nobody will see, from a generator of their own.
    Apart(u64),
    /// Captured work: its draws are counted from a number that is in the memory of a GPU, at this address.
    #[cfg(feature = "cuda")]
    Captured {
        from: u64,
        count: u64,
    },
}

thread_local! {
    /// The innermost last.
    static FRAMES: RefCell<Vec<Frame>> = const { RefCell::new(Vec::new()) };
}

/// Runs `f` within a frame, which is gone afterwards, a panic included.
fn within<R>(frame: Frame, f: impl FnOnce() -> R) -> (R, Option<Frame>) {
    struct Depth(usize);
    impl Drop for Depth {
        fn drop(&mut self) {
            FRAMES.with_borrow_mut(|frames| frames.truncate(self.0));
        }
    }
    let depth = FRAMES.with_borrow_mut(|frames| {
        frames.push(frame);
        Depth(frames.len() - 1)
    });
    let value = f();
    let frame = FRAMES.with_borrow_mut(|frames| frames.drain(depth.0..).next());
    (value, frame)
}

/// Runs `f` and notes what it draws on this thread, so that [`again`] can give the same numbers to a function that is
/// run twice.
///
/// ```
/// use tapegrad::random;
/// let (first, draws) = random::noted(|| random::rand::<f64>(&[3]));
/// let again = random::again(&draws, || random::rand::<f64>(&[3]))?;
/// assert_eq!(first?.to_vec(), again.to_vec());
/// # Ok::<(), tapegrad::Error>(())
/// ```
pub fn noted<R>(f: impl FnOnce() -> R) -> (R, Draws) {
    match within(Frame::Noting(Vec::new()), f) {
        (value, Some(Frame::Noting(draws))) => (value, Draws(draws)),
        (value, _) => (value, Draws::default()),
    }
}

/// Runs `f`, whose draws on this thread are those that were noted, in their order; the generator does not move. Should
/// `f` draw more often than it did, the generator goes on from there.
///
/// ```
/// use tapegrad::random;
/// random::manual_seed(7);
/// let (first, draws) = random::noted(|| random::rand::<f64>(&[1]));
/// random::again(&draws, || random::rand::<f64>(&[1]))?;
/// let second = random::rand::<f64>(&[1])?;
/// assert_ne!(first?.to_vec(), second.to_vec());
/// # Ok::<(), tapegrad::Error>(())
/// ```
pub fn again<R>(draws: &Draws, f: impl FnOnce() -> R) -> R {
    within(Frame::Again(draws.0.clone().into_iter()), f).0
}

/// Runs `f`, whose results nobody looks at: its draws leave the generator where it is.
///
/// ```
/// use tapegrad::random;
/// random::manual_seed(7);
/// random::apart(|| random::rand::<f64>(&[5]))?;
/// let x = random::rand::<f64>(&[3])?;
/// random::manual_seed(7);
/// assert_eq!(x.to_vec(), random::rand::<f64>(&[3])?.to_vec());
/// # Ok::<(), tapegrad::Error>(())
/// ```
pub fn apart<R>(f: impl FnOnce() -> R) -> R {
    within(Frame::Apart(0), f).0
}

/// Runs `f`, whose work is captured: its draws are counted from a number at this address of a GPU. How many there were.
#[cfg(feature = "cuda")]
pub(crate) fn captured<R>(from: u64, f: impl FnOnce() -> R) -> (R, u64) {
    match within(Frame::Captured { from, count: 0 }, f) {
        (value, Some(Frame::Captured { count, .. })) => (value, count),
        (value, _) => (value, 0),
    }
}

/// Seeds the generator: the same seed and the same draws in the same order give the same numbers,
/// on any number of threads and on any device. Without a call the seed differs from run to run.
///
/// ```
/// use tapegrad::random;
/// random::manual_seed(7);
/// let x = random::rand::<f64>(&[3])?;
/// random::manual_seed(7);
/// assert_eq!(x.to_vec(), random::rand::<f64>(&[3])?.to_vec());
/// # Ok::<(), tapegrad::Error>(())
/// ```
pub fn manual_seed(seed: u64) {
    // What is done once more was seeded when it was first done.
    let done = |frame: &Frame| matches!(frame, Frame::Again(_) | Frame::Apart(_));
    if !FRAMES.with_borrow(|frames| frames.iter().any(done)) {
        *STATE.lock().unwrap_or_else(PoisonError::into_inner) = Some((seed, 0));
    }
}

/// The seed and the number of the first of `count` draws from the generator, which moves on.
pub(crate) fn take_draws(count: u64) -> (u64, u64) {
    let mut state = STATE.lock().unwrap_or_else(PoisonError::into_inner);
    let (seed, draw) = state.unwrap_or_else(|| (RandomState::new().hash_one(0), 0));
    *state = Some((seed, draw + count));
    (seed, draw)
}

/// The next draw, for numbers on a device.
pub(crate) fn next_draw(device: Device) -> Draw {
    FRAMES.with_borrow_mut(|frames| {
        let source = frames.iter_mut().enumerate().rev().find_map(|(place, frame)| match frame {
            Frame::Noting(_) => None,
            Frame::Again(draws) => draws.next().map(|draw| (place, draw)),
            Frame::Apart(count) => {
                *count += 1;
                Some((place, Draw::new(0, *count)))
            }
            // What is made on the CPU is made once, when work is captured.
            #[cfg(feature = "cuda")]
            Frame::Captured { .. } if device == Device::Cpu => None,
            #[cfg(feature = "cuda")]
            Frame::Captured { from, count } => {
                *count += 1;
                Some((place, Draw { from: *from, ..Draw::new(0, *count - 1) }))
            }
        });
        let _ = device;
        let (place, draw) = source.unwrap_or_else(|| {
            let (seed, number) = take_draws(1);
            (0, Draw::new(seed, number))
        });
        // Those further out have noted it before.
        for frame in &mut frames[place..] {
            if let Frame::Noting(draws) = frame {
                draws.push(draw);
            }
        }
        draw
    })
}
