//! What an owner has promised to those who come by: to [look](Look) before long, once
//! for as many times as they rely on it between its looks.
//!
//! Relying on what is promised takes no lock. It cannot be lost: whoever relies on the
//! next look has done before what it is to find, and the owner settles which look is the
//! next before it looks.

use crate::sync::{AtomicU8, Ordering};

/// How long the owner may take to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Look {
    /// In case something comes while no guest is there.
    Later,
    /// Something waits to be done.
    Soon,
}

/// Two numbers of two bits, which are changed as one: what is promised, and above it
/// what somebody has relied on since the last look.
#[derive(Debug)]
pub(super) struct Promise(AtomicU8);

const NOTHING: u8 = 0;
const MASK: u8 = 3;
const USED: u32 = 2;

fn level(look: Look) -> u8 {
    match look {
        Look::Later => 1,
        Look::Soon => 2,
    }
}

fn look(level: u8) -> Option<Look> {
    match level & MASK {
        NOTHING => None,
        1 => Some(Look::Later),
        _ => Some(Look::Soon),
    }
}

impl Promise {
    pub(super) fn new() -> Self {
        Self(AtomicU8::new(NOTHING))
    }

    /// That soon at the latest, if it is promised. What it is to find is done before.
    pub(super) fn rely(&self, look: Look) -> bool {
        let level = level(look);
        let mut now = self.0.load(Ordering::Acquire);
        loop {
            if now & MASK < level {
                return false;
            }
            if now >> USED >= level {
                // By another who came before, or this one: the next look is promised,
                // and so is the one behind it.
                return true;
            }
            let used = now & MASK | level << USED;
            match self
                .0
                .compare_exchange(now, used, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => return true,
                Err(since) => now = since,
            }
        }
    }

    /// Promises it. False: it, or a sooner one, was promised already.
    pub(super) fn give(&self, look: Look) -> bool {
        let level = level(look);
        self.change(|now| match now & MASK < level {
            true => Some(now & !MASK | level),
            false => None,
        })
        .is_some()
    }

    /// The promised look is this one. Gives what is promised from now on: what was
    /// relied on since the last.
    pub(super) fn keep(&self) -> Option<Look> {
        let before = self.change(|now| Some(now >> USED));
        look(before.unwrap_or(NOTHING) >> USED)
    }

    pub(super) fn given(&self) -> Option<Look> {
        look(self.0.load(Ordering::Acquire))
    }

    /// What it was before, if it was changed.
    fn change(&self, change: impl Fn(u8) -> Option<u8>) -> Option<u8> {
        self.0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, change)
            .ok()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_promise_lasts_as_long_as_it_is_relied_on() {
        let promise = Promise::new();
        assert!(!promise.rely(Look::Later), "nothing is promised");
        assert!(promise.give(Look::Soon));
        assert!(!promise.give(Look::Later) && !promise.give(Look::Soon));
        assert_eq!(promise.given(), Some(Look::Soon));
        assert!(promise.rely(Look::Later));
        assert!(promise.rely(Look::Soon) && promise.rely(Look::Soon));
        assert_eq!(promise.keep(), Some(Look::Soon));
        assert!(promise.rely(Look::Later));
        assert_eq!(promise.keep(), Some(Look::Later));
        assert!(
            !promise.rely(Look::Soon),
            "that soon is not promised any more"
        );
        assert_eq!(promise.keep(), None);
        assert_eq!(promise.given(), None);
        assert!(!promise.rely(Look::Later));
    }

    #[test]
    fn what_was_relied_on_outlives_a_sooner_promise() {
        let promise = Promise::new();
        assert!(promise.give(Look::Later) && promise.rely(Look::Later));
        assert!(promise.give(Look::Soon));
        assert_eq!(promise.keep(), Some(Look::Later));
    }
}
