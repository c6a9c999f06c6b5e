//! What crosses between a caller's thread and the reactor.
//!
//! | type | carries | ends |
//! |---|---|---|
//! | [`slot`] | one value, once | filled, or the sender is gone |
//! | [`pipe`] | body data under a byte budget | an end value, or broken |
//! | [`feed`] | a request body, to its driver | an end, an error, or broken |
//! | [`outbox`] | messages of many senders in turn, to their driver | a last one, or broken |
//! | [`relay`] | a connection, from one of its drivers to the next | its owner is gone |
//! | [`bell`] | that a thread is to look, which waits for a socket | |
//! | [`latch`] | one value for all who ask | set, or broken |
//! | [`mailbox`] | commands of many producers to one consumer | closed |
//! | [`steps`] | which step of a request stands, and whether it is cancelled | cancelled |
//!
//! Each but the bell, and the promise of a relay's owner, is a mutex around plain state,
//! its flags included: no lone atomics, so that a state and the question "must I wake
//! somebody?" are always judged in one critical section. Three laws hold in all of them:
//!
//! 1. Wakers are taken out under the lock and woken after it ([`wake`]).
//! 2. Nothing foreign is dropped under the lock: a value, or a waker whose
//!    task owns the other end, may come straight back here when it is dropped.
//! 3. A poisoned lock is entered; each critical section leaves the state whole.
//!
//! `loom.rs` and `loom_ws.rs` model-check the wake-ups.

#[cfg(any(feature = "websocket", all(test, loom)))]
#[cfg_attr(not(unix), allow(dead_code, reason = "who waits for sockets does"))]
pub(crate) mod bell;
pub(crate) mod feed;
#[cfg(any(feature = "websocket", all(test, loom)))]
pub(crate) mod latch;
#[cfg(all(test, loom))]
mod loom;
#[cfg(all(test, loom))]
mod loom_ws;
pub(crate) mod mailbox;
#[cfg(any(feature = "websocket", all(test, loom)))]
pub(crate) mod outbox;
pub(crate) mod park;
pub(crate) mod pipe;
#[cfg(any(feature = "websocket", all(test, loom)))]
#[cfg_attr(not(unix), allow(dead_code, reason = "who waits for sockets does"))]
mod promise;
#[cfg(any(feature = "websocket", all(test, loom)))]
#[cfg_attr(not(unix), allow(dead_code, reason = "who waits for sockets does"))]
pub(crate) mod relay;
pub(crate) mod slot;
pub(crate) mod steps;

use std::cell::RefCell;
use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::task::{Context, Waker};

thread_local! {
    /// Where a thread gathers whom it is going to wake.
    static GATHERED: RefCell<Option<Vec<Waker>>> = const { RefCell::new(None) };
}

/// From here on this thread wakes nobody before it calls [`wake_gathered`]:
/// one that answers many at a time would be pushed aside by each of them.
pub(crate) fn gather_wakes() {
    GATHERED.set(Some(Vec::new()));
}

/// Wakes whom this thread has gathered. Nothing may block before it.
pub(crate) fn wake_gathered() {
    // Those who are woken may have others woken.
    loop {
        let gathered = GATHERED.with_borrow_mut(|gathered| gathered.as_mut().map(mem::take));
        match gathered {
            Some(wakers) if !wakers.is_empty() => wakers.into_iter().for_each(wake_now),
            _ => return,
        }
    }
}

/// Wakes whom this thread has gathered, and at once from here on: a thread that
/// ends gathers for nobody.
pub(crate) fn end_gathering() {
    wake_gathered();
    GATHERED.set(None);
}

/// Wakes, containing a panic: a waker is the user's code, and the thread that
/// wakes (the reactor, mostly) serves others too.
pub(crate) fn wake(waker: Option<Waker>) {
    let Some(waker) = waker else { return };
    let mut waker = Some(waker);
    // A thread that ends has no list any more, and wakes at once.
    let _ = GATHERED.try_with(|gathered| {
        if let Ok(mut gathered) = gathered.try_borrow_mut()
            && let Some(gathered) = &mut *gathered
        {
            gathered.extend(waker.take());
        }
    });
    if let Some(waker) = waker {
        wake_now(waker);
    }
}

fn wake_now(waker: Waker) {
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
    fn gathered_wakers_are_woken_when_that_is_asked_for() {
        let gatherer = || {
            let (one, one_waker) = Count::new();
            let (other, other_waker) = Count::new();
            // Wakes another in its turn.
            struct Chain(std::sync::Mutex<Option<Waker>>);
            impl std::task::Wake for Chain {
                fn wake(self: Arc<Self>) {
                    wake(self.0.lock().unwrap().take());
                }
            }
            gather_wakes();
            wake(Some(one_waker));
            wake(Some(Waker::from(Arc::new(Hostile))));
            let chain = Chain(std::sync::Mutex::new(Some(other_waker)));
            wake(Some(Waker::from(Arc::new(chain))));
            assert_eq!((one.woken(), other.woken()), (0, 0));
            wake_gathered();
            assert_eq!((one.woken(), other.woken()), (1, 1));
            let (last, last_waker) = Count::new();
            wake(Some(last_waker.clone()));
            end_gathering();
            assert_eq!(last.woken(), 1);
            wake(Some(last_waker));
            assert_eq!(last.woken(), 2, "nothing is gathered any more");
        };
        std::thread::spawn(gatherer).join().unwrap();
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
