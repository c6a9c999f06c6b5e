//! Commands of many producers to one consumer that sleeps elsewhere.
//!
//! The consumer blocks in its poll set, not here; an [`Alarm`] gets it out.
//! Ringing is a system call, so it happens only for a consumer that has said it
//! goes to sleep, and once per sleep:
//!
//! ```text
//!          doze, nothing queued           push: ring
//!  Awake ───────────────────────► Asleep ────────────► Rung
//!    ▲          drain                │       drain       │
//!    └───────────────────────────────┴───────────────────┘
//! ```
//!
//! "Is anything queued?" and "I am asleep" are one critical section, as are
//! "queue it" and "is it asleep?": no command falls between them.

use std::fmt;
use std::mem;

use crate::sync::{Mutex, lock};

/// Gets the consumer out of its blocking wait; a ring before the wait begins
/// must end that wait at once.
pub(crate) trait Alarm: Send + Sync {
    fn ring(&self);
}

/// The queue, shared by reference between producers and consumer.
pub(crate) struct Mailbox<T> {
    state: Mutex<State<T>>,
    alarm: Box<dyn Alarm>,
}

struct State<T> {
    queue: Vec<T>,
    consumer: Consumer,
    closed: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Consumer {
    /// It will drain, or doze, before it blocks.
    Awake,
    /// It may be blocked.
    Asleep,
    /// It may be blocked, and the alarm is on its way.
    Rung,
}

impl<T> Mailbox<T> {
    pub(crate) fn new(alarm: Box<dyn Alarm>) -> Self {
        let state = State {
            queue: Vec::new(),
            consumer: Consumer::Awake,
            closed: false,
        };
        Self {
            state: Mutex::new(state),
            alarm,
        }
    }

    /// Queues what can wait until the consumer wakes for something else. A
    /// closed mailbox drops it.
    pub(crate) fn leave(&self, item: T) {
        let mut state = lock(&self.state);
        if !state.closed {
            state.queue.push(item);
            return;
        }
        drop(state);
        drop(item);
    }

    /// Queues `item`; gives it back when the mailbox is closed.
    pub(crate) fn push(&self, item: T) -> Result<(), T> {
        let mut state = lock(&self.state);
        if state.closed {
            drop(state);
            return Err(item);
        }
        state.queue.push(item);
        let ring = state.rouse();
        drop(state);
        if ring {
            self.alarm.ring();
        }
        Ok(())
    }

    /// Appends everything queued to `into`, in order. The consumer is awake.
    pub(crate) fn drain(&self, into: &mut Vec<T>) {
        let mut state = lock(&self.state);
        state.consumer = Consumer::Awake;
        if into.is_empty() {
            // Two buffers take turns, and no command is copied.
            mem::swap(&mut state.queue, into);
        } else {
            into.append(&mut state.queue);
        }
    }

    /// Asks to sleep. `true`: nothing is queued, and from here on a push
    /// rings. `false`: drain first.
    pub(crate) fn doze(&self) -> bool {
        let mut state = lock(&self.state);
        // Once closed nobody would ring any more.
        let may_sleep = state.queue.is_empty() && !state.closed;
        if may_sleep {
            state.consumer = Consumer::Asleep;
        }
        may_sleep
    }

    /// Lets no further item in, gets the consumer up, and returns what was
    /// left.
    pub(crate) fn close(&self) -> Vec<T> {
        let mut state = lock(&self.state);
        state.closed = true;
        let left = mem::take(&mut state.queue);
        let ring = state.rouse();
        drop(state);
        if ring {
            self.alarm.ring();
        }
        left
    }
}

impl<T> State<T> {
    /// Whether the caller must ring, once the lock is released.
    fn rouse(&mut self) -> bool {
        let asleep = self.consumer == Consumer::Asleep;
        if asleep {
            self.consumer = Consumer::Rung;
        }
        asleep
    }
}

impl<T> fmt::Debug for Mailbox<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = lock(&self.state);
        f.debug_struct("Mailbox")
            .field("queued", &state.queue.len())
            .field("closed", &state.closed)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    struct Bell(Arc<AtomicUsize>);

    impl Alarm for Bell {
        fn ring(&self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn mailbox() -> (Mailbox<u8>, impl Fn() -> usize) {
        let rings = Arc::new(AtomicUsize::new(0));
        let mailbox = Mailbox::new(Box::new(Bell(Arc::clone(&rings))));
        (mailbox, move || rings.load(Ordering::SeqCst))
    }

    fn drained(mailbox: &Mailbox<u8>) -> Vec<u8> {
        let mut items = Vec::new();
        mailbox.drain(&mut items);
        items
    }

    #[test]
    fn an_awake_consumer_is_not_rung() {
        let (mailbox, rings) = mailbox();
        assert_eq!(mailbox.push(1), Ok(()));
        assert_eq!(mailbox.push(2), Ok(()));
        assert!(!mailbox.doze(), "there is work");
        assert_eq!(mailbox.push(3), Ok(()));
        assert_eq!(rings(), 0);
        assert_eq!(drained(&mailbox), [1, 2, 3]);
    }

    #[test]
    fn a_sleeping_consumer_is_rung_once_per_sleep() {
        let (mailbox, rings) = mailbox();
        for round in 1..4 {
            assert!(mailbox.doze());
            assert_eq!(mailbox.push(1), Ok(()));
            assert_eq!(mailbox.push(2), Ok(()));
            assert_eq!(rings(), round);
            assert!(!mailbox.doze(), "rung, with work");
            assert_eq!(drained(&mailbox), [1, 2]);
        }
        assert!(mailbox.doze());
        // Woken by something else, it finds nothing and may sleep again.
        assert!(drained(&mailbox).is_empty());
        assert_eq!(mailbox.push(1), Ok(()));
        assert_eq!(rings(), 3, "awake since the drain");
    }

    #[test]
    fn drain_keeps_what_the_buffer_holds() {
        let (mailbox, _) = mailbox();
        let mut items = vec![1];
        assert_eq!(mailbox.push(2), Ok(()));
        mailbox.drain(&mut items);
        mailbox.drain(&mut items);
        assert_eq!(items, [1, 2]);
    }

    #[test]
    fn closing_returns_the_rest_and_rings() {
        let (mailbox, rings) = mailbox();
        assert_eq!(mailbox.push(1), Ok(()));
        assert_eq!(mailbox.close(), [1]);
        assert_eq!(rings(), 0, "it was awake");
        assert_eq!(mailbox.push(2), Err(2));
        assert!(mailbox.close().is_empty());
        assert!(!mailbox.doze(), "nobody would ring");

        let (mailbox, rings) = self::mailbox();
        assert!(mailbox.doze());
        assert!(mailbox.close().is_empty());
        assert_eq!(rings(), 1);
    }
}
