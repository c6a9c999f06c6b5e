//! A waker for a thread that waits for something in the system, and would not notice
//! if it were merely unparked.
//!
//! ```text
//!  Quiet ──doze──▶ Dozing ──wake──▶ Rung (and rings)
//!    └────────────── wake ────────▶ Rung
//! ```
//!
//! Ringing takes a system call, and only one that dozes needs it.

use std::sync::Arc;
use std::task::Wake;

use crate::sync::{AtomicU8, Ordering};

const QUIET: u8 = 0;
const DOZING: u8 = 1;
const RUNG: u8 = 2;

/// What ends the wait of whoever dozes.
pub(crate) trait Ring: Send + Sync + 'static {
    fn ring(&self);
}

pub(crate) struct Bell<R> {
    state: AtomicU8,
    ring: R,
}

impl<R: Ring> Bell<R> {
    pub(crate) fn new(ring: R) -> Self {
        Self {
            state: AtomicU8::new(QUIET),
            ring,
        }
    }

    pub(crate) fn ring(&self) -> &R {
        &self.ring
    }

    /// Forgets what it was woken for. Whoever waits looks for that after this.
    pub(crate) fn quiet(&self) {
        // Acquire: what was done before the wake is seen.
        self.state.swap(QUIET, Ordering::AcqRel);
    }

    /// About to wait, to be woken by the ring. False: it was woken since it was
    /// [quiet](Self::quiet), and must not wait.
    pub(crate) fn doze(&self) -> bool {
        let quiet = QUIET;
        self.state
            .compare_exchange(quiet, DOZING, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    fn rouse(&self) {
        if self.state.swap(RUNG, Ordering::AcqRel) == DOZING {
            self.ring.ring();
        }
    }
}

impl<R: Ring> Wake for Bell<R> {
    fn wake(self: Arc<Self>) {
        self.rouse();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rouse();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::task::Waker;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Ring for Count {
        fn ring(&self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn rung(bell: &Bell<Count>) -> usize {
        bell.ring().0.load(Ordering::SeqCst)
    }

    #[test]
    fn it_rings_for_one_that_dozes_and_once() {
        let bell = Arc::new(Bell::new(Count::default()));
        let waker = Waker::from(Arc::clone(&bell));
        waker.wake_by_ref();
        assert_eq!(rung(&bell), 0);
        assert!(!bell.doze(), "it was woken before");
        bell.quiet();
        assert!(bell.doze());
        waker.wake_by_ref();
        waker.wake();
        assert_eq!(rung(&bell), 1);
        bell.quiet();
        assert!(bell.doze());
        assert_eq!(rung(&bell), 1);
    }
}
