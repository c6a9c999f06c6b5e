//! Calls that are decided by whoever waits for them: those in which the
//! caller's own code has a part, a redirect policy or a cookie store. It must
//! never run on the reactor's thread, so the outcome of each exchange goes into
//! the call's slot as it is, with the call and the slot of its next step.

use std::fmt;
use std::mem;
use std::thread;
use std::time::Instant;

use super::{Answer, Call};
use crate::error::Error;
use crate::handoff::park;
use crate::handoff::slot::{SlotReceiver, slot};
use crate::job::{Exchange, Failure, Next, Reply, ReplyBody};

/// What reaches whoever waits for a call.
#[derive(Debug)]
pub(crate) enum Told {
    Done(Result<Answer, Error>),
    /// It is to be decided what follows.
    Undecided(Box<Undecided>),
}

/// The outcome of an exchange, and the call that is to say what follows.
pub(crate) struct Undecided {
    step: Step,
    /// Where the rest will be told.
    receiver: SlotReceiver<Told>,
}

/// A decision to be made: it runs the caller's code.
pub(crate) struct Step {
    call: Box<Call>,
    /// As it was sent.
    asked: Box<Exchange>,
    outcome: Result<Reply, Failure>,
}

impl Call {
    /// Whether it tells of [`Undecided`] outcomes.
    pub(crate) fn is_waited(&self) -> bool {
        self.waited
    }

    pub(super) fn leave_undecided(
        mut self: Box<Self>,
        asked: Box<Exchange>,
        outcome: Result<Reply, Failure>,
    ) -> Next {
        let (sender, receiver) = slot();
        let told = mem::replace(&mut self.slot, sender);
        let step = Step {
            call: self,
            asked,
            outcome,
        };
        // With nobody to decide it is over: dropped, and its body with it.
        let told = told.fill(Told::Undecided(Box::new(Undecided { step, receiver })));
        if let Err(Told::Undecided(undecided)) = told {
            let Step { call, outcome, .. } = undecided.step;
            drop(outcome);
            drop_elsewhere(call);
        }
        Next::Deliver
    }
}

/// It may be the last that holds the caller's own code, and to drop that is to
/// run some of it.
fn drop_elsewhere(call: Box<Call>) {
    if !park::is_forbidden() {
        return drop(call);
    }
    // Without a thread it is dropped here after all.
    let _ = thread::Builder::new()
        .name("miohttp-drop".to_owned())
        .spawn(move || drop(call));
}

impl Undecided {
    /// Whether there is a body that is still coming, under the name of the
    /// exchange.
    pub(crate) fn has_rest(&self) -> bool {
        let body = self.step.outcome.as_ref().map(|reply| &reply.body);
        matches!(body, Ok(ReplyBody::Stream(_)))
    }

    pub(crate) fn into_parts(self) -> (SlotReceiver<Told>, Step) {
        (self.receiver, self.step)
    }
}

impl Step {
    /// As a driver is told by [`Advance`](crate::job::Advance): the next
    /// exchange, or the slot is filled.
    pub(crate) fn decide(self, now: Instant) -> Next {
        self.call.decide(self.asked, self.outcome, now)
    }
}

impl fmt::Debug for Undecided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Undecided")
            .field("outcome", &self.step.outcome)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn an_answer_moves_no_more_bytes_for_it() {
        // Every call goes through such a slot, and few are ever undecided.
        assert_eq!(size_of::<Told>(), size_of::<Result<Answer, Error>>());
    }
}
