//! Threads that take part in the work of one that does not wait for them to wake up.
//!
//! rayon's scopes end when all that was spawned has run, if only to find that nothing is left; a thread that sleeps takes
//! longer to come than most kernels do. Here whoever comes too late is sent away, and only those at work are waited for.
//! Who has come lingers for a moment: operations follow one another, and a thread that is awake is there at once.

use std::any::Any;
use std::hint::spin_loop;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::{dangling_mut, null_mut};
use std::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a thread waits for more before it goes to sleep.
const LINGER: Duration = Duration::from_micros(100);

/// What a thread does that takes part, given its number.
type Work<'a> = dyn Fn(usize) + Sync + 'a;

struct Crew {
    /// Of the caller, who stays until nobody is inside.
    work: *const Work<'static>,
    /// How many are inside, and [`CLOSED`].
    inside: AtomicUsize,
    /// How many have come: the last one's number.
    joined: AtomicUsize,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    left: Condvar,
}

/// Nobody may come in any more.
const CLOSED: usize = 1 << (usize::BITS - 1);

// SAFETY: what `work` points to may be called from any thread.
unsafe impl Send for Crew {}
// SAFETY: as above, and nothing else of it is reached but through atomics and a lock.
unsafe impl Sync for Crew {}

impl Crew {
    fn panic(&self) -> MutexGuard<'_, Option<Box<dyn Any + Send>>> {
        self.panic.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes part, unless it is too late.
    fn join_in(&self) {
        let open = |inside: usize| (inside & CLOSED == 0).then_some(inside + 1);
        if self.inside.fetch_update(Ordering::Acquire, Ordering::Relaxed, open).is_err() {
            return;
        }
        let number = self.joined.fetch_add(1, Ordering::Relaxed) + 1;
        // SAFETY: the caller does not return while anyone is inside, and closes the door before.
        let work = unsafe { &*self.work };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| work(number))) {
            *self.panic() = Some(panic);
        }
        if self.inside.fetch_sub(1, Ordering::Release) == CLOSED + 1 {
            // Under the lock, so that the caller cannot go to sleep in between.
            let _asleep = self.panic();
            self.left.notify_one();
        }
    }
}

/// Closes the door and waits for those inside, also where the caller's own part unwinds.
struct Door<'a>(&'a Crew);

impl Drop for Door<'_> {
    fn drop(&mut self) {
        let Crew { inside, left, .. } = self.0;
        if inside.fetch_or(CLOSED, Ordering::Acquire) == 0 {
            return;
        }
        // They are about to leave, having found nothing left to do, or have the last part.
        let began = Instant::now();
        while spin_while(|| inside.load(Ordering::Acquire) != CLOSED) && began.elapsed() < LINGER {}
        let mut asleep = self.0.panic();
        while inside.load(Ordering::Acquire) != CLOSED {
            asleep = left.wait(asleep).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Where a thread waits for a crew: null where there is none, [`waiting`], or the crew that it is given. Threads beyond
/// these do not linger.
static PLACES: [AtomicPtr<Crew>; 64] = [const { AtomicPtr::new(null_mut()) }; 64];

/// Stands for a thread that waits.
fn waiting() -> *mut Crew {
    dangling_mut()
}

/// Whether a thread is awake and waits for work.
pub fn ready() -> bool {
    let threads = rayon::current_num_threads().min(PLACES.len());
    PLACES[..threads].iter().any(|place| place.load(Ordering::Relaxed) == waiting())
}

/// Gives the crew to a thread that waits, or back.
fn offer(crew: Arc<Crew>) -> Result<(), Arc<Crew>> {
    let given = Arc::into_raw(crew).cast_mut();
    for place in &PLACES[..rayon::current_num_threads().min(PLACES.len())] {
        if place.load(Ordering::Relaxed) == waiting()
            && place.compare_exchange(waiting(), given, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        {
            return Ok(());
        }
    }
    // SAFETY: it was made from one above, and nobody has taken it.
    Err(unsafe { Arc::from_raw(given) })
}

/// Waits for a microsecond or two, or until the condition is false: whether it is true still.
fn spin_while(condition: impl Fn() -> bool) -> bool {
    (0..32).all(|_| {
        spin_loop();
        condition()
    })
}

/// Waits for crews to join, until none has come for [`LINGER`]. On a thread of the pool, whose own jobs go before.
fn linger() {
    let Some(place) = rayon::current_thread_index().and_then(|k| PLACES.get(k)) else {
        return;
    };
    // A thread of another pool may have the place.
    while place.compare_exchange(null_mut(), waiting(), Ordering::AcqRel, Ordering::Relaxed).is_ok() {
        let until = Instant::now() + LINGER;
        while spin_while(|| place.load(Ordering::Relaxed) == waiting()) && Instant::now() < until {
            rayon::yield_now();
        }
        let given = place.swap(null_mut(), Ordering::AcqRel);
        if given == waiting() {
            return;
        }
        // SAFETY: `offer` put it there, and `swap` gave it to this thread alone.
        unsafe { Arc::from_raw(given) }.join_in();
    }
}

/// Wakes a thread for what is to come, where this is called again within [`LINGER`]: work that is not worth waking anybody
/// for is worth sharing with a thread that is awake.
pub fn rouse() {
    static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
    static LAST: AtomicU64 = AtomicU64::new(0);
    let now = BEGAN.elapsed().as_nanos() as u64;
    if Duration::from_nanos(now.saturating_sub(LAST.swap(now, Ordering::Relaxed))) < LINGER {
        wake(None);
    }
}

/// Has another thread of the pool join a crew, if it comes in time, and linger. Not this one, which may find the job among
/// its own when it looks for work, nor one that finds it late: it would wait for what is long over.
fn wake(crew: Option<Arc<Crew>>) {
    let (asked, asker) = (Instant::now(), rayon::current_thread_index());
    rayon::spawn(move || {
        if let Some(crew) = crew {
            crew.join_in();
        }
        if asked.elapsed() < 10 * LINGER && (asker.is_none() || rayon::current_thread_index() != asker) {
            linger();
        }
    });
}

/// Runs `work(0)` here, and `work(1)` to `work(threads - 1)` on other threads, those that come before it is over. What
/// one of them leaves undone, another does.
pub fn run(threads: usize, work: &Work<'_>) {
    if threads < 2 {
        return work(0);
    }
    let work: *const Work<'_> = work;
    // SAFETY: only the lifetime is forgotten; `Door` sees to it that nobody uses it later.
    let work = unsafe { std::mem::transmute::<*const Work<'_>, *const Work<'static>>(work) };
    let crew = Arc::new(Crew {
        work,
        inside: AtomicUsize::new(0),
        joined: AtomicUsize::new(0),
        panic: Mutex::default(),
        left: Condvar::new(),
    });
    for _ in 1..threads {
        if let Err(crew) = offer(crew.clone()) {
            wake(Some(crew));
        }
    }
    let door = Door(&crew);
    // SAFETY: the caller holds it.
    (unsafe { &*work })(0);
    drop(door);
    let panic = crew.panic().take();
    if let Some(panic) = panic {
        resume_unwind(panic);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    use std::time::Duration;

    #[test]
    fn nobody_is_at_work_when_it_is_over() {
        for round in 0..200 {
            let (begun, ended) = (AtomicUsize::new(0), AtomicUsize::new(0));
            run(4, &|number| {
                begun.fetch_add(1, Relaxed);
                std::thread::sleep(Duration::from_micros(if number == 0 { round } else { 100 }));
                ended.fetch_add(1, Relaxed);
            });
            assert!(begun.load(Relaxed) >= 1);
            assert_eq!(begun.load(Relaxed), ended.load(Relaxed));
        }
    }

    #[test]
    fn a_panic_on_any_thread_is_the_callers_after_the_others_have_ended() {
        let ended = AtomicUsize::new(0);
        let own = catch_unwind(AssertUnwindSafe(|| {
            run(2, &|number| match number {
                0 => {
                    std::thread::sleep(Duration::from_millis(20));
                    panic!("own")
                }
                _ => {
                    std::thread::sleep(Duration::from_millis(40));
                    ended.fetch_add(1, Relaxed);
                }
            });
        }));
        assert_eq!(*own.unwrap_err().downcast::<&str>().unwrap(), "own");
        let until = ended.load(Relaxed);
        std::thread::sleep(Duration::from_millis(60));
        assert_eq!(ended.load(Relaxed), until);
        let others = catch_unwind(|| {
            let inside = AtomicUsize::new(0);
            run(2, &|number| match number {
                // Waits until the other has come.
                0 => {
                    while inside.load(Relaxed) == 0 {
                        std::thread::yield_now();
                    }
                }
                _ => {
                    inside.store(1, Relaxed);
                    panic!("other")
                }
            });
        });
        assert_eq!(*others.unwrap_err().downcast::<&str>().unwrap(), "other");
    }
}
