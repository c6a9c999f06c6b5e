//! Where something lies that any of several threads drives, one at a time, and none
//! keeps: an open connection between two of its drivers.
//!
//! ```text
//!  Vacant ──place──▶ Here ⇄ Out (whoever drives it) ──owner gone──▶ Gone
//! ```
//!
//! It has one owner, who places it, watches over it and takes it away in the end, and
//! any number of [guests](Guest), who come by when they have something for it to do. It
//! goes from hand to hand by value, so no lock is held while it is driven. Who finds it
//! out leaves a mark, and whoever has it then reads that in the section in which it is
//! put back: asked for again, it goes on once more; called by its owner, that is woken;
//! waited for by a reader, so is that.
//!
//! While a guest sees to it, the owner need not watch it. A reader that waits is
//! such a guest. One that is about to come back is another, and what it has for it may
//! wait that long: but it may not come, so the owner is made to promise that it
//! [looks](Look) before long, once for as many times as such things happen between its
//! looks.

use std::fmt;
use std::mem;
use std::task::Waker;

use super::promise::Promise;
use super::wake;
use crate::sync::{Arc, Mutex, MutexGuard, lock};

pub(crate) use super::promise::Look;

/// A guest goes on so often for those who found it out, then leaves the rest to the
/// owner: it has things of its own to do.
const ROUNDS: usize = 4;

/// So many looks in a row are put off at most.
const MOST_PUT_OFF: u8 = 9;

/// The owner's end. Dropped, it drops what lies there, at once or when it is
/// put back.
pub(crate) struct Relay<T> {
    lot: Arc<Lot<T>>,
}

/// The end of all others.
pub(crate) struct Guest<T> {
    lot: Arc<Lot<T>>,
}

/// What the owner finds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found<T> {
    Here(T),
    /// Another has it; the owner is woken when it is back.
    Out,
    /// It was lost by one who panicked, or was never placed.
    Nothing,
}

/// What a drive by a guest has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Drove {
    /// Nothing is left to be done.
    Enough,
    /// The guest is about to come back, or else the owner has to see to it.
    Soon,
    /// The owner has to see to it.
    Owner,
}

/// What a reader finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Came {
    /// It has driven.
    Drove,
    /// Another has it; the reader is woken when it is back.
    Out,
    /// The owner has taken it away, or somebody lost it.
    Gone,
}

/// What is left for the owner, between two of its turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attendance {
    /// It watches: no guest would see what comes.
    pub(crate) watch: bool,
    /// It goes on by itself that soon, though nothing comes.
    pub(crate) look: Option<Look>,
}

struct Lot<T> {
    state: Mutex<State<T>>,
    /// That the owner will look by itself. Given, and kept, under the lock.
    promise: Promise,
}

struct State<T> {
    spot: Spot<T>,
    /// Wakes the owner; there from the placing on.
    owner: Option<Waker>,
    /// It was asked for while it was out, or not there yet.
    again: bool,
    /// By the owner.
    called: bool,
    reader: Reader,
    /// A reader has come by since, and has done what there was to do.
    visited: bool,
    /// Looks in a row that were put off.
    put_off: u8,
}

enum Spot<T> {
    Vacant,
    Here(T),
    Out,
    Gone,
}

enum Reader {
    Away,
    /// It waits for what comes, here.
    Here,
    /// For it to be back.
    Queued(Waker),
    /// For what comes, and has somebody else see to it.
    Elsewhere,
}

impl<T> Relay<T> {
    /// A vacant one.
    pub(crate) fn new() -> Self {
        let state = Mutex::new(State {
            spot: Spot::Vacant,
            owner: None,
            again: false,
            called: false,
            reader: Reader::Away,
            visited: false,
            put_off: 0,
        });
        let promise = Promise::new();
        Self {
            lot: Arc::new(Lot { state, promise }),
        }
    }

    /// An end for others.
    pub(crate) fn guest(&self) -> Guest<T> {
        Guest {
            lot: Arc::clone(&self.lot),
        }
    }

    /// Puts it there for the first time. `owner` is woken when it is called back.
    ///
    /// # Errors
    /// It comes back: it was asked for meanwhile, so it has to be driven, and then
    /// to be [put](Self::put).
    pub(crate) fn place(&self, value: T, owner: Waker) -> Result<(), T> {
        let replaced = lock(&self.lot.state).owner.replace(owner);
        drop(replaced);
        self.put(value)
    }

    /// Takes it, to be driven by the owner or to be taken away.
    pub(crate) fn take(&self) -> Found<T> {
        let mut state = lock(&self.lot.state);
        match mem::replace(&mut state.spot, Spot::Out) {
            Spot::Here(value) => {
                (state.again, state.called) = (false, false);
                Found::Here(value)
            }
            Spot::Out => {
                state.called = true;
                Found::Out
            }
            other => {
                state.spot = other;
                Found::Nothing
            }
        }
    }

    /// Puts it back.
    ///
    /// # Errors
    /// As [`place`](Self::place).
    pub(crate) fn put(&self, value: T) -> Result<(), T> {
        let mut state = lock(&self.lot.state);
        if mem::take(&mut state.again) {
            state.spot = Spot::Out;
            return Err(value);
        }
        state.spot = Spot::Here(value);
        let reader = state.reader.is_back();
        drop(state);
        wake(reader);
        Ok(())
    }

    /// What is left for the owner, who asks before it goes on: whoever relies on it
    /// later has it woken, or finds it looking again. `looks`: the look that it has
    /// promised is this one.
    pub(crate) fn attendance(&self, looks: bool) -> Attendance {
        let state = lock(&self.lot.state);
        let promised = match looks {
            true => self.lot.promise.keep(),
            false => self.lot.promise.given(),
        };
        Attendance {
            watch: match state.reader {
                Reader::Elsewhere => true,
                Reader::Here | Reader::Queued(_) => false,
                Reader::Away => promised.is_none(),
            },
            look: promised,
        }
    }

    /// Whether a look that is due can wait for as long again: it was promised for
    /// [`Soon`](Look::Soon), but a reader has come by since it was last due, and has done
    /// what there was to do by then. Otherwise one that comes by all the time would be
    /// disturbed by each look. A few times in a row: it may not look at everything.
    pub(crate) fn puts_off(&self) -> bool {
        let mut state = lock(&self.lot.state);
        let visited = mem::take(&mut state.visited);
        let is_soon = self.lot.promise.given() == Some(Look::Soon);
        let puts_off = visited && is_soon && state.put_off < MOST_PUT_OFF;
        state.put_off = match puts_off {
            true => state.put_off + 1,
            false => 0,
        };
        puts_off
    }

    /// Whether a reader waits for it to be back, to see to it from then on.
    pub(crate) fn is_awaited(&self) -> bool {
        matches!(lock(&self.lot.state).reader, Reader::Queued(_))
    }
}

impl<T> Drop for Relay<T> {
    fn drop(&mut self) {
        let mut state = lock(&self.lot.state);
        let left = mem::replace(&mut state.spot, Spot::Gone);
        let owner = state.owner.take();
        let reader = state.reader.is_back();
        drop(state);
        drop(left);
        drop(owner);
        wake(reader);
    }
}

impl<T> Guest<T> {
    /// Has it go on, by this thread if nobody has it just now, else by whoever
    /// has. `go_on` must not wait.
    pub(crate) fn drive(&self, mut go_on: impl FnMut(&mut T) -> Drove) {
        let mut state = lock(&self.lot.state);
        match mem::replace(&mut state.spot, Spot::Out) {
            Spot::Here(value) => self.aboard(state, value).drive(&mut go_on),
            other => {
                state.spot = other;
                state.again = true;
            }
        }
    }

    /// As [`drive`](Self::drive), by a reader that waits for what comes and sees to it
    /// from now on until it [leaves](Self::leave). `reader` is woken when it is back.
    pub(crate) fn come(&self, reader: &Waker, mut go_on: impl FnMut(&mut T) -> Drove) -> Came {
        let mut state = lock(&self.lot.state);
        match mem::replace(&mut state.spot, Spot::Out) {
            Spot::Here(value) => {
                let before = mem::replace(&mut state.reader, Reader::Here);
                let mut aboard = self.aboard(state, value);
                aboard.is_reader = true;
                aboard.drive(&mut go_on);
                drop(before);
                Came::Drove
            }
            Spot::Gone => {
                state.spot = Spot::Gone;
                Came::Gone
            }
            other => {
                state.spot = other;
                let queued = Reader::Queued(reader.clone());
                let before = mem::replace(&mut state.reader, queued);
                drop(state);
                drop(before);
                Came::Out
            }
        }
    }

    /// The reader sees to it no longer. The owner looks that soon, in case it has not
    /// come back by then.
    pub(crate) fn leave(&self, look: Look) {
        let mut state = lock(&self.lot.state);
        let before = mem::replace(&mut state.reader, Reader::Away);
        let owner = self.lot.rely(&mut state, look);
        drop(state);
        drop(before);
        wake(owner);
    }

    /// The reader waits for what comes, and the owner sees to it.
    pub(crate) fn wait_elsewhere(&self) {
        let mut state = lock(&self.lot.state);
        let before = mem::replace(&mut state.reader, Reader::Elsewhere);
        let owner = match before {
            Reader::Elsewhere => None,
            _ => state.owner.clone(),
        };
        drop(state);
        drop(before);
        wake(owner);
    }

    /// The reader can take more: whoever sees to it for the reader's sake goes on, the
    /// reader itself when it waits next.
    pub(crate) fn make_room(&self) {
        let mut state = lock(&self.lot.state);
        let owner = match state.reader {
            Reader::Elsewhere => state.owner.clone(),
            _ => self.lot.rely(&mut state, Look::Later),
        };
        drop(state);
        wake(owner);
    }

    /// Makes sure that the owner looks that soon.
    pub(crate) fn rely(&self, look: Look) {
        if self.rely_at_once(look) {
            return;
        }
        let mut state = lock(&self.lot.state);
        let owner = self.lot.rely(&mut state, look);
        drop(state);
        wake(owner);
    }

    /// Makes sure that the owner looks that soon, if it has promised to. Takes no lock.
    pub(crate) fn rely_at_once(&self, look: Look) -> bool {
        self.lot.promise.rely(look)
    }

    /// Out with this guest.
    fn aboard<'a>(&'a self, mut state: MutexGuard<'_, State<T>>, value: T) -> Aboard<'a, T> {
        state.again = false;
        drop(state);
        Aboard {
            lot: &self.lot,
            value: Some(value),
            is_reader: false,
        }
    }
}

impl<T> Lot<T> {
    /// Whom to wake, for a promise it has not given yet.
    fn rely(&self, state: &mut State<T>, look: Look) -> Option<Waker> {
        if self.promise.rely(look) {
            return None;
        }
        self.promise.give(look);
        // Not placed yet, it will be driven when it is.
        state.again |= matches!(state.spot, Spot::Vacant);
        state.owner.clone()
    }
}

impl Reader {
    /// Whom to wake when it is back.
    fn is_back(&mut self) -> Option<Waker> {
        match mem::replace(self, Self::Here) {
            Self::Queued(waker) => Some(waker),
            other => {
                *self = other;
                None
            }
        }
    }
}

impl<T> Clone for Guest<T> {
    fn clone(&self) -> Self {
        let lot = Arc::clone(&self.lot);
        Self { lot }
    }
}

/// It, out with a guest. Dropped by a panic, it is lost.
struct Aboard<'a, T> {
    lot: &'a Lot<T>,
    /// `None` only while it is put back.
    value: Option<T>,
    is_reader: bool,
}

impl<T> Aboard<'_, T> {
    fn drive(mut self, go_on: &mut impl FnMut(&mut T) -> Drove) {
        for round in 1.. {
            let Some(value) = &mut self.value else {
                return;
            };
            let drove = go_on(value);
            let mut state = lock(&self.lot.state);
            let again = mem::take(&mut state.again) && !matches!(state.spot, Spot::Gone);
            if again && round < ROUNDS && drove != Drove::Owner {
                continue;
            }
            state.visited |= self.is_reader && drove == Drove::Enough;
            let called = mem::take(&mut state.called);
            let mut owner = match again || called || drove == Drove::Owner {
                true => state.owner.clone(),
                false => None,
            };
            if drove == Drove::Soon && owner.is_none() {
                owner = self.lot.rely(&mut state, Look::Soon);
            }
            let value = self.value.take();
            let orphaned = match (&state.spot, value) {
                (Spot::Gone, value) => value,
                (_, Some(value)) => {
                    state.spot = Spot::Here(value);
                    None
                }
                (_, None) => None,
            };
            let reader = state.reader.is_back();
            drop(state);
            drop(orphaned);
            wake(reader);
            wake(owner);
            return;
        }
    }
}

impl<T> Drop for Aboard<'_, T> {
    fn drop(&mut self) {
        let Some(lost) = self.value.take() else {
            return;
        };
        let mut state = lock(&self.lot.state);
        state.spot = Spot::Gone;
        let owner = state.owner.take();
        let reader = state.reader.is_back();
        drop(state);
        drop(lost);
        wake(reader);
        wake(owner);
    }
}

impl<T> fmt::Debug for Relay<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Guest<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guest").finish_non_exhaustive()
    }
}

/// The two ends of a new one.
#[cfg(test)]
pub(super) fn pair<T>() -> (Relay<T>, Guest<T>) {
    let relay = Relay::new();
    let guest = relay.guest();
    (relay, guest)
}

#[cfg(all(test, not(loom)))]
mod tests;
