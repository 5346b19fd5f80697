//! Threads that take part in the work of one that does not wait for them to wake up.
//!
//! rayon's scopes end when all that was spawned has run, if only to find that nothing is left; a thread that sleeps takes
//! longer to come than most kernels do. Here whoever comes too late is sent away, and only those at work are waited for.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// What a thread does that takes part, given its number.
type Work<'a> = dyn Fn(usize) + Sync + 'a;

struct Crew {
    /// Of the caller, who stays until nobody is inside.
    work: *const Work<'static>,
    state: Mutex<State>,
    left: Condvar,
}

// SAFETY: what `work` points to may be called from any thread.
unsafe impl Send for Crew {}
// SAFETY: as above, and nothing else of it is reached but through its lock.
unsafe impl Sync for Crew {}

#[derive(Default)]
struct State {
    closed: bool,
    inside: usize,
    panic: Option<Box<dyn Any + Send>>,
}

impl Crew {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes part, unless it is too late.
    fn join_in(&self, number: usize) {
        {
            let mut state = self.lock();
            if state.closed {
                return;
            }
            state.inside += 1;
        }
        // SAFETY: the caller does not return while anyone is inside, and closes the door before.
        let work = unsafe { &*self.work };
        let end = catch_unwind(AssertUnwindSafe(|| work(number)));
        let mut state = self.lock();
        state.inside -= 1;
        if let Err(panic) = end {
            state.panic = Some(panic);
        }
        self.left.notify_one();
    }
}

/// Closes the door and waits for those inside, also where the caller's own part unwinds.
struct Door<'a>(&'a Crew);

impl Drop for Door<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.closed = true;
        while state.inside > 0 {
            state = self.0.left.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
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
    let crew = Arc::new(Crew { work, state: Mutex::default(), left: Condvar::new() });
    for number in 1..threads {
        let crew = crew.clone();
        rayon::spawn(move || crew.join_in(number));
    }
    let door = Door(&crew);
    // SAFETY: the caller holds it.
    (unsafe { &*work })(0);
    drop(door);
    let panic = crew.lock().panic.take();
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
