//! When to look again: the earliest deadline of everybody who has one.
//!
//! Each owner keeps its own deadlines and at most one entry here. A deadline
//! that moves later costs nothing: the entry fires early, its owner looks at
//! its own deadlines, finds none due and is entered anew. So a read gap that
//! every byte resets is one comparison.

use std::collections::BTreeSet;
use std::time::Instant;

use crate::job::ExchangeId;
use crate::net::Token;

/// Whose deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Owner {
    Exchange(ExchangeId),
    Socket(Token),
}

#[derive(Debug, Default)]
pub(crate) struct Timers {
    entries: BTreeSet<(Instant, Owner)>,
}

impl Timers {
    /// Sees to it that `owner` is looked at by `deadline`. `entered` is where
    /// the owner remembers its entry.
    pub(crate) fn schedule(
        &mut self,
        owner: Owner,
        entered: &mut Option<Instant>,
        deadline: Option<Instant>,
    ) {
        let Some(deadline) = deadline else {
            return;
        };
        match *entered {
            Some(at) if at <= deadline => return,
            Some(at) => {
                self.entries.remove(&(at, owner));
            }
            None => {}
        }
        self.entries.insert((deadline, owner));
        *entered = Some(deadline);
    }

    /// The owner is gone.
    pub(crate) fn remove(&mut self, owner: Owner, entered: Option<Instant>) {
        if let Some(at) = entered {
            self.entries.remove(&(at, owner));
        }
    }

    pub(crate) fn earliest(&self) -> Option<Instant> {
        self.entries.first().map(|(at, _)| *at)
    }

    #[cfg(all(test, not(loom)))]
    pub(crate) fn entries(&self) -> impl Iterator<Item = (Instant, Owner)> {
        self.entries.iter().copied()
    }

    /// The next owner whose entry is due. Its entry is gone then.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<Owner> {
        if self.earliest()? > now {
            return None;
        }
        self.entries.pop_first().map(|(_, owner)| owner)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_owner_has_one_entry_the_earliest_it_asked_for() {
        let start = Instant::now();
        let at = |s| start + Duration::from_secs(s);
        let owner = Owner::Socket(Token(1));
        let (mut timers, mut entered) = (Timers::default(), None);
        timers.schedule(owner, &mut entered, Some(at(5)));
        timers.schedule(owner, &mut entered, Some(at(9)));
        assert_eq!(timers.earliest(), Some(at(5)));
        timers.schedule(owner, &mut entered, Some(at(3)));
        assert_eq!(timers.entries.len(), 1);
        assert_eq!(timers.pop_due(at(2)), None);
        assert_eq!(timers.pop_due(at(3)), Some(owner));
        assert_eq!(timers.pop_due(at(99)), None);
    }

    #[test]
    fn a_removed_owner_is_never_due() {
        let start = Instant::now();
        let owner = Owner::Exchange(ExchangeId::next());
        let (mut timers, mut entered) = (Timers::default(), None);
        timers.schedule(owner, &mut entered, Some(start));
        timers.remove(owner, entered);
        assert_eq!(timers.pop_due(start), None);
        assert_eq!(timers.earliest(), None);
    }
}
