//! Steps of a case, of which a panic is an answer like another: it is reported as the failure of its case.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;
use tapegrad::Result;

static LISTENING: Once = Once::new();

thread_local! {
    static WITHIN: Cell<bool> = const { Cell::new(false) };
    static HEARD: RefCell<String> = const { RefCell::new(String::new()) };
}

/// What the step gives, or the text of its error or panic.
pub fn attempt<R>(step: impl FnOnce() -> Result<R>) -> std::result::Result<R, String> {
    LISTENING.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |info| match WITHIN.get() {
            true => HEARD.set(info.to_string()),
            false => before(info),
        }));
    });
    WITHIN.set(true);
    let outcome = catch_unwind(AssertUnwindSafe(step));
    WITHIN.set(false);
    match outcome {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(e)) => Err(format!("refused, {e:?}")),
        Err(_) => Err(format!("panics, {}", HEARD.take())),
    }
}
