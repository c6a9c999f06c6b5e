//! When to look again: the earliest deadline of everybody who has one.
//!
//! Each owner keeps its own deadlines and at most one entry here. A deadline
//! that moves later costs nothing: the entry fires early, its owner looks at
//! its own deadlines, finds none due and is entered anew. So a read gap that
//! every byte resets is one comparison.
//!
//! Nearly every exchange ends long before its limits. So one whose deadline is
//! *far* has no entry: of all of these only the earliest point in time is kept, and
//! when it has come, all of them are looked at anew. That is once a second at most.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::job::ExchangeId;
use crate::net::Token;

/// From here on a deadline is far.
const NEAR: Duration = Duration::from_secs(1);

/// Whose deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Owner {
    Exchange(ExchangeId),
    Socket(Token),
}

/// How an owner is known here, which it remembers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Entered {
    #[default]
    No,
    At(Instant),
    /// Among those of whom only the earliest deadline is known: exchanges alone.
    Far,
}

#[derive(Debug, Default)]
pub(crate) struct Timers {
    entries: BTreeSet<(Instant, Owner)>,
    /// No far deadline is earlier. Nothing where there is none.
    far: Option<Instant>,
    /// How many owners are far.
    afar: usize,
}

impl Timers {
    /// Sees to it that `owner` is looked at by `deadline`. `entered` is where
    /// the owner remembers its entry.
    pub(crate) fn schedule(
        &mut self,
        owner: Owner,
        entered: &mut Entered,
        deadline: Option<Instant>,
        now: Instant,
    ) {
        let Some(deadline) = deadline else {
            return;
        };
        match *entered {
            Entered::At(at) if at <= deadline => return,
            Entered::Far if self.far.is_some_and(|at| at <= deadline) => return,
            _ => self.remove(owner, *entered),
        }
        let may_be_far = matches!(owner, Owner::Exchange(_));
        *entered = if may_be_far && deadline > now + NEAR {
            self.far = Some(self.far.map_or(deadline, |at| at.min(deadline)));
            self.afar += 1;
            Entered::Far
        } else {
            self.entries.insert((deadline, owner));
            Entered::At(deadline)
        };
    }

    /// The owner is gone.
    pub(crate) fn remove(&mut self, owner: Owner, entered: Entered) {
        match entered {
            Entered::No => {}
            Entered::At(at) => {
                self.entries.remove(&(at, owner));
            }
            Entered::Far => {
                self.afar -= 1;
                if self.afar == 0 {
                    self.far = None;
                }
            }
        }
    }

    pub(crate) fn earliest(&self) -> Option<Instant> {
        let first = self.entries.first().map(|(at, _)| *at);
        first.into_iter().chain(self.far).min()
    }

    #[cfg(all(test, not(loom)))]
    pub(crate) fn entries(&self) -> impl Iterator<Item = (Instant, Owner)> {
        self.entries.iter().copied()
    }

    /// The earliest of the far deadlines, and of how many.
    #[cfg(all(test, not(loom)))]
    pub(crate) fn far(&self) -> (Option<Instant>, usize) {
        (self.far, self.afar)
    }

    /// The next owner whose entry is due. Its entry is gone then.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<Owner> {
        if self.entries.first()?.0 > now {
            return None;
        }
        self.entries.pop_first().map(|(_, owner)| owner)
    }

    /// Whether a far deadline may be due. Then none is far any more, and whoever
    /// was is to be [scheduled](Self::schedule) anew, as one that is not entered.
    pub(crate) fn pop_far(&mut self, now: Instant) -> bool {
        let is_due = self.far.is_some_and(|at| at <= now);
        if is_due {
            self.far = None;
            self.afar = 0;
        }
        is_due
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn an_owner_has_one_entry_the_earliest_it_asked_for() {
        let start = Instant::now();
        let at = |s| start + Duration::from_secs(s);
        let owner = Owner::Socket(Token(1));
        let (mut timers, mut entered) = (Timers::default(), Entered::No);
        for deadline in [5, 9] {
            timers.schedule(owner, &mut entered, Some(at(deadline)), start);
            assert_eq!(timers.earliest(), Some(at(5)));
        }
        timers.schedule(owner, &mut entered, Some(at(3)), start);
        assert_eq!(timers.entries.len(), 1);
        assert_eq!(timers.pop_due(at(2)), None);
        assert_eq!(timers.pop_due(at(3)), Some(owner));
        assert_eq!(timers.pop_due(at(99)), None);
    }

    #[test]
    fn a_removed_owner_is_never_due() {
        let start = Instant::now();
        for wait in [Duration::ZERO, Duration::from_secs(300)] {
            let owner = Owner::Exchange(ExchangeId::next());
            let (mut timers, mut entered) = (Timers::default(), Entered::No);
            timers.schedule(owner, &mut entered, Some(start + wait), start);
            assert_eq!(timers.earliest(), Some(start + wait));
            timers.remove(owner, entered);
            assert_eq!(timers.pop_due(start + wait), None);
            assert!(!timers.pop_far(start + wait));
            assert_eq!(timers.earliest(), None);
        }
    }

    #[test]
    fn what_is_far_is_looked_at_by_the_earliest_of_all() {
        let start = Instant::now();
        let at = |s| start + Duration::from_secs(s);
        let owner = || Owner::Exchange(ExchangeId::next());
        let mut timers = Timers::default();
        let (one, other) = (owner(), owner());
        let mut entered = [Entered::No; 2];
        timers.schedule(one, &mut entered[0], Some(at(60)), start);
        timers.schedule(other, &mut entered[1], Some(at(300)), start);
        assert_eq!((timers.earliest(), timers.entries.len()), (Some(at(60)), 0));
        // Later is nothing new, earlier is; and what is near is entered.
        timers.schedule(one, &mut entered[0], Some(at(90)), start);
        assert_eq!(timers.far(), (Some(at(60)), 2));
        timers.schedule(other, &mut entered[1], Some(at(30)), start);
        assert_eq!(timers.far(), (Some(at(30)), 2));
        timers.schedule(other, &mut entered[1], Some(at(1)), start);
        assert_eq!((timers.far(), timers.entries.len()), ((Some(at(30)), 1), 1));
        assert!(!timers.pop_far(at(29)) && timers.pop_far(at(30)));
        assert_eq!(timers.far(), (None, 0));
    }
}
