//! Blocking: run a `poll` on this thread, parked in between.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Instant;

thread_local! {
    static FORBIDDEN: Cell<bool> = const { Cell::new(false) };
}

/// This thread serves others and must never wait for them: [`block_on`]
/// refuses from here on.
pub(crate) fn forbid_waiting() {
    FORBIDDEN.set(true);
}

/// Whether this thread must not wait.
pub(crate) fn is_forbidden() -> bool {
    FORBIDDEN.get()
}

/// Why nothing came of a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unwaited {
    /// The deadline passed first.
    Late,
    /// This thread may not wait: it would wait for itself.
    Forbidden,
}

/// Polls until there is a value, at most until `deadline`.
pub(crate) fn block_on<T>(
    deadline: Option<Instant>,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> Result<T, Unwaited> {
    let parker = Arc::new(Parker {
        thread: thread::current(),
        woken: AtomicBool::new(false),
    });
    let waker = Waker::from(parker.clone());
    let mut cx = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(value) = poll(&mut cx) {
            return Ok(value);
        }
        if FORBIDDEN.get() {
            return Err(Unwaited::Forbidden);
        }
        // Somebody else may unpark this thread, or have done so before: only
        // the flag counts.
        while !parker.woken.swap(false, Ordering::Acquire) {
            match deadline {
                None => thread::park(),
                Some(at) => {
                    let left = at.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Err(Unwaited::Late);
                    }
                    thread::park_timeout(left);
                }
            }
        }
    }
}

struct Parker {
    thread: Thread,
    woken: AtomicBool,
}

impl Wake for Parker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Release pairs with the waiter's Acquire; unpark comes after, so that
        // the waiter, should it have missed the flag, does not sleep on.
        if !self.woken.swap(true, Ordering::Release) {
            self.thread.unpark();
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::handoff::slot::slot;

    #[test]
    fn a_value_filled_elsewhere_ends_the_wait() {
        let (sender, mut receiver) = slot();
        let filler = thread::spawn(move || sender.fill(7));
        let got = block_on(None, |cx| receiver.poll(cx));
        assert_eq!(got, Ok(Some(7)));
        assert_eq!(filler.join().ok(), Some(Ok(())));
    }

    #[test]
    fn a_deadline_ends_the_wait_and_a_foreign_unpark_does_not() {
        let (sender, mut receiver) = slot::<()>();
        thread::current().unpark();
        let start = Instant::now();
        let late = block_on(Some(start + Duration::from_millis(20)), |cx| {
            receiver.poll(cx)
        });
        assert_eq!(late, Err(Unwaited::Late));
        assert!(start.elapsed() >= Duration::from_millis(20));
        drop(sender);
    }

    #[test]
    fn a_thread_that_serves_others_does_not_wait() {
        let refused = thread::spawn(|| {
            forbid_waiting();
            let (_sender, mut receiver) = slot::<()>();
            block_on(None, |cx| receiver.poll(cx))
        });
        assert_eq!(refused.join().ok(), Some(Err(Unwaited::Forbidden)));
    }
}
