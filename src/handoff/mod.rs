//! What crosses between a caller's thread and the reactor.
//!
//! | type | carries | ends |
//! |---|---|---|
//! | [`slot`] | one value, once | filled, or the sender is gone |
//! | [`pipe`] | body data under a byte budget | an end value, or broken |
//! | [`mailbox`] | commands of many producers to one consumer | closed |
//!
//! Each is a mutex around plain state, its flags included: no lone atomics, so
//! that a state and the question "must I wake somebody?" are always judged in
//! one critical section. Three laws hold in all of them:
//!
//! 1. Wakers are taken out under the lock and woken after it ([`wake`]).
//! 2. Nothing foreign is dropped under the lock: a value, or a waker whose
//!    task owns the other end, may come straight back here when it is dropped.
//! 3. A poisoned lock is entered; each critical section leaves the state whole.
//!
//! `loom.rs` model-checks the wake-ups.

#[cfg(all(test, loom))]
mod loom;
pub(crate) mod mailbox;
pub(crate) mod park;
pub(crate) mod pipe;
pub(crate) mod slot;

use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::task::{Context, Waker};

/// Wakes, containing a panic: a waker is the user's code, and the thread that
/// wakes (the reactor, mostly) serves others too.
pub(crate) fn wake(waker: Option<Waker>) {
    let Some(waker) = waker else { return };
    if let Err(payload) = panic::catch_unwind(AssertUnwindSafe(|| waker.wake())) {
        // The payload is foreign as well, and its own drop may panic: leaked.
        mem::forget(payload);
    }
}

/// Stores the waker of `cx` in `place` unless it is there already. Returns the
/// one it replaced, to be dropped outside the lock.
#[must_use = "a waker is dropped outside the lock"]
fn register(place: &mut Option<Waker>, cx: &Context<'_>) -> Option<Waker> {
    match place {
        Some(known) if known.will_wake(cx.waker()) => None,
        _ => place.replace(cx.waker().clone()),
    }
}

#[cfg(all(test, not(loom)))]
pub(crate) mod testing {
    //! A waker that counts, for the tests of the handoff and of the pool.

    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Wake, Waker};

    /// Counts how often it was woken.
    #[derive(Debug, Default)]
    pub(crate) struct Count(AtomicUsize);

    impl Count {
        pub(crate) fn new() -> (Arc<Self>, Waker) {
            let count = Arc::new(Self::default());
            let waker = Waker::from(Arc::clone(&count));
            (count, waker)
        }

        pub(crate) fn woken(&self) -> usize {
            self.0.load(Ordering::SeqCst)
        }
    }

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Panics when woken, as a user's waker may.
    #[derive(Debug)]
    pub(crate) struct Hostile;

    impl Wake for Hostile {
        fn wake(self: Arc<Self>) {
            panic!("a hostile waker");
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::Arc;

    use super::testing::{Count, Hostile};
    use super::*;

    #[test]
    fn a_panicking_waker_is_contained() {
        wake(None);
        wake(Some(Waker::from(Arc::new(Hostile))));
        let (count, waker) = Count::new();
        wake(Some(waker));
        assert_eq!(count.woken(), 1);
    }

    #[test]
    fn registering_keeps_the_same_waker_and_hands_back_another() {
        let (_, first) = Count::new();
        let (_, second) = Count::new();
        let mut place = None;
        assert!(register(&mut place, &Context::from_waker(&first)).is_none());
        assert!(register(&mut place, &Context::from_waker(&first)).is_none());
        let old = register(&mut place, &Context::from_waker(&second));
        assert!(old.is_some_and(|old| old.will_wake(&first)));
        assert!(place.is_some_and(|kept| kept.will_wake(&second)));
    }
}
