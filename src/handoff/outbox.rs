//! Messages of many senders on their way to one driver, which must never wait.
//!
//! ```text
//!   poll_turn ─► Turn (exclusive, lends the context) ─► push ─► queue ─► poll_take :driver
//!       bytes or messages at their cap: turns wait
//!       both at half their cap or below: turns go on
//!       close(last): no more turns; `last` goes behind the queue, at once
//! ```
//!
//! Who sends needs two things: that there is room, and the context that all
//! senders share (the state of their encoder), alone. Both come as a [`Turn`],
//! in the order in which they were asked for. It is granted before the item is
//! made, so the items lie in the queue in the order of their encoding; and no
//! lock is held while it is out, so encoding one keeps nobody from taking
//! others. With any room at all one item goes in, whatever its size: what waits
//! stays below the caps and one item more.
//!
//! A turn passes to the first in the line and wakes that one alone. So whoever
//! leaves the line, woken or not, passes it on: see [`Place`]. A line of those
//! who do not ask again is as any lock that is held: who may come to nothing
//! else first should [`try_turn`](Outbox::try_turn) and have no place yet.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::mem;
use std::task::{Context, Poll, Waker};

use super::feed::Gone;
use super::{register, wake};
use crate::sync::{Arc, Mutex, lock, try_lock};

/// How much may wait in an outbox: no turn is granted once one of them is
/// reached. Nought counts as one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caps {
    pub bytes: usize,
    pub items: usize,
}

/// What a driver takes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken<T> {
    /// One item or more, in their order.
    Items,
    /// What the outbox was closed with; everything before it has been taken.
    Last(T),
    /// All senders went away and did not close it, or the last was taken.
    Abandoned,
}

/// What waits in an outbox once something was pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Queued {
    pub bytes: usize,
    /// A cap was reached: nobody gets a turn for the time being.
    pub is_full: bool,
}

/// A new outbox, as its two ends. `context` is lent with each turn.
pub(crate) fn outbox<C, T>(context: C, caps: Caps) -> (Outbox<C, T>, OutboxReader<C, T>) {
    let state = Arc::new(Mutex::new(State {
        caps: Caps {
            bytes: caps.bytes.max(1),
            items: caps.items.max(1),
        },
        context: Some(context),
        queue: VecDeque::new(),
        queued: 0,
        stalled: false,
        tail: Tail::Open,
        line: BTreeMap::new(),
        next: 0,
        senders: 1,
        taker: None,
        watcher: None,
    }));
    let reader = OutboxReader {
        state: Arc::clone(&state),
    };
    (Outbox { state }, reader)
}

/// The end that sends, of any number of threads. When the last is dropped and
/// none has [closed](Outbox::close) it, the driver sees [`Taken::Abandoned`]
/// after what is queued.
pub(crate) struct Outbox<C, T> {
    state: Shared<C, T>,
}

/// The end that takes. Dropped, it frees what is queued, and all senders fail.
pub(crate) struct OutboxReader<C, T> {
    state: Shared<C, T>,
}

/// Where one who sends stands in the line; it is in none before its first
/// [`poll_turn`](Outbox::poll_turn) finds that it must wait. Dropped, it leaves
/// the line, and passes on the turn it may have been woken for.
pub(crate) struct Place<C, T>(Option<(Shared<C, T>, u64)>);

/// The right to push one item, and the context with it. Dropped, on a panic
/// too, it gives both back unused: what was done to the context stays done.
pub(crate) struct Turn<'a, C, T> {
    outbox: &'a Outbox<C, T>,
    /// `None` only while it goes back.
    context: Option<C>,
}

type Shared<C, T> = Arc<Mutex<State<C, T>>>;

struct State<C, T> {
    caps: Caps,
    /// `None` while a turn is out, and once there are no more.
    context: Option<C>,
    /// With what each counts for.
    queue: VecDeque<(T, usize)>,
    /// What `queue` counts for.
    queued: usize,
    /// A cap was reached, and the half of both not since.
    stalled: bool,
    tail: Tail<T>,
    /// Who waits for a turn, in order; without a waker, who was woken for it.
    line: BTreeMap<u64, Option<Waker>>,
    /// The next number in the line.
    next: u64,
    /// Outboxes, its clones.
    senders: usize,
    /// The driver, when it found nothing to take.
    taker: Option<Waker>,
    /// The driver, when it asked to hear of the end.
    watcher: Option<Waker>,
}

/// What follows the queue.
enum Tail<T> {
    /// More may come.
    Open,
    Last(T),
    /// Nothing: the last was taken, or one side is gone.
    Over,
}

impl<C, T> Outbox<C, T> {
    /// A turn for whoever holds `place`, first come, first served.
    ///
    /// # Errors
    /// There are no more turns: the outbox is closed, or nobody takes.
    pub(crate) fn poll_turn(
        &self,
        place: &mut Place<C, T>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Turn<'_, C, T>, Gone>> {
        let mut state = lock(&self.state);
        if !state.is_open() {
            return Poll::Ready(Err(Gone));
        }
        let number = place.0.as_ref().map(|(_, number)| *number);
        if let Some(context) = state.grant(number) {
            let left = number.and_then(|number| state.line.remove(&number));
            drop(state);
            drop(left);
            place.0 = None;
            return Poll::Ready(Ok(self.turn(context)));
        }
        let number = number.unwrap_or_else(|| {
            let number = state.next;
            state.next += 1;
            place.0 = Some((Arc::clone(&self.state), number));
            number
        });
        let replaced = register(state.line.entry(number).or_default(), cx);
        drop(state);
        drop(replaced);
        Poll::Pending
    }

    /// A turn if there is one at once and nobody waits for it; takes no place.
    ///
    /// # Errors
    /// As [`poll_turn`](Self::poll_turn).
    pub(crate) fn try_turn(&self) -> Result<Option<Turn<'_, C, T>>, Gone> {
        let mut state = lock(&self.state);
        if !state.is_open() {
            return Err(Gone);
        }
        let context = state.grant(None);
        drop(state);
        Ok(context.map(|context| self.turn(context)))
    }

    /// Queues what `make` makes, under the lock, so it must be quick and drop nothing
    /// foreign. It is lent the context, and what is last in the queue, to which it may
    /// add; it gives what is to be queued, if it has not added it there, and what that
    /// counts for. The driver is left asleep, as by
    /// [`push_quietly`](Turn::push_quietly), and this gives what that gives.
    ///
    /// `None`: another thread is here just now, there is no turn to be had at once, or
    /// `make` gave nothing.
    pub(crate) fn push_at_once(
        &self,
        make: impl FnOnce(&mut C, Option<&mut T>) -> Option<(Option<T>, usize)>,
    ) -> Option<Queued> {
        let mut state = try_lock(&self.state)?;
        if !state.is_open() || state.stalled || !state.line.is_empty() {
            return None;
        }
        let State { context, queue, .. } = &mut *state;
        let last = queue.back_mut().map(|(last, _)| last);
        let (item, bytes) = make(context.as_mut()?, last)?;
        match (item, queue.back_mut()) {
            (Some(item), _) => state.append(item, bytes),
            (None, Some((_, counted))) => {
                *counted += bytes;
                state.queued += bytes;
                state.stalled |= state.queued >= state.caps.bytes;
            }
            (None, None) => {}
        }
        Some(state.queued())
    }

    /// Ends it: no turn is granted any more, a turn that is out comes to
    /// nothing, and `last` goes behind what is queued, whatever the room. Says
    /// whether it was this call that ended it.
    pub(crate) fn close(&self, last: T) -> bool {
        let mut state = lock(&self.state);
        if !state.is_open() {
            drop(state);
            drop(last);
            return false;
        }
        let ended = state.end(Tail::Last(last));
        drop(state);
        ended.tell();
        true
    }

    /// Whether no turn is granted any more.
    pub(crate) fn is_closed(&self) -> bool {
        !lock(&self.state).is_open()
    }

    fn turn(&self, context: C) -> Turn<'_, C, T> {
        Turn {
            outbox: self,
            context: Some(context),
        }
    }
}

impl<C, T> Clone for Outbox<C, T> {
    fn clone(&self) -> Self {
        lock(&self.state).senders += 1;
        let state = Arc::clone(&self.state);
        Self { state }
    }
}

impl<C, T> Drop for Outbox<C, T> {
    fn drop(&mut self) {
        let mut state = lock(&self.state);
        state.senders -= 1;
        if state.senders == 0 && state.is_open() {
            let ended = state.end(Tail::Over);
            drop(state);
            ended.tell();
        }
    }
}

impl<C, T> Turn<'_, C, T> {
    /// What all senders share, this one's alone while the turn lasts.
    pub(crate) fn context(&mut self) -> &mut C {
        // It is there until `push` or `drop` take it, and either ends the turn.
        self.context.as_mut().expect("a turn holds its context")
    }

    /// Queues `item`, which counts for `bytes`, and ends the turn.
    ///
    /// # Errors
    /// The outbox was closed since, or nobody takes any more; the item is
    /// dropped.
    pub(crate) fn push(self, item: T, bytes: usize) -> Result<Queued, Gone> {
        let outbox = self.outbox;
        let queued = self.push_quietly(item, bytes)?;
        let taker = lock(&outbox.state).taker.take();
        wake(taker);
        Ok(queued)
    }

    /// As [`push`](Self::push), but the driver is left asleep: whoever calls this
    /// drives in its place, or tells it otherwise.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub(crate) fn push_quietly(mut self, item: T, bytes: usize) -> Result<Queued, Gone> {
        let context = self.context.take();
        let mut state = lock(&self.outbox.state);
        if !state.is_open() {
            drop(state);
            return Err(Gone);
        }
        state.append(item, bytes);
        state.context = context;
        let queued = state.queued();
        let next = state.pass_on();
        drop(state);
        wake(next);
        Ok(queued)
    }
}

impl<C, T> Drop for Turn<'_, C, T> {
    fn drop(&mut self) {
        let Some(context) = self.context.take() else {
            return;
        };
        let mut state = lock(&self.outbox.state);
        if !state.is_open() {
            drop(state);
            drop(context);
            return;
        }
        state.context = Some(context);
        let next = state.pass_on();
        drop(state);
        wake(next);
    }
}

impl<C, T> Place<C, T> {
    /// In no line yet.
    pub(crate) const fn new() -> Self {
        Self(None)
    }
}

impl<C, T> Drop for Place<C, T> {
    fn drop(&mut self) {
        let Some((state, number)) = self.0.take() else {
            return;
        };
        let mut state = lock(&state);
        let left = state.line.remove(&number);
        let next = state.pass_on();
        drop(state);
        drop(left);
        wake(next);
    }
}

impl<C, T> OutboxReader<C, T> {
    /// Appends what is queued to `into`, as far as it counts for no more than
    /// `most` bytes, and one item in any case; behind them all, the end.
    pub(crate) fn poll_take(
        &mut self,
        most: usize,
        into: &mut Vec<T>,
        cx: &mut Context<'_>,
    ) -> Poll<Taken<T>> {
        let mut state = lock(&self.state);
        if state.take(most, into) {
            let next = state.pass_on();
            drop(state);
            wake(next);
            return Poll::Ready(Taken::Items);
        }
        if state.is_open() {
            let replaced = register(&mut state.taker, cx);
            drop(state);
            drop(replaced);
            return Poll::Pending;
        }
        Poll::Ready(match mem::replace(&mut state.tail, Tail::Over) {
            Tail::Last(last) => Taken::Last(last),
            Tail::Open | Tail::Over => Taken::Abandoned,
        })
    }

    /// Ready once no turn is granted any more, though there may be something to
    /// take yet: for a driver that can take nothing just now.
    pub(crate) fn poll_closing(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = lock(&self.state);
        if !state.is_open() {
            return Poll::Ready(());
        }
        let replaced = register(&mut state.watcher, cx);
        drop(state);
        drop(replaced);
        Poll::Pending
    }

    /// Whether nobody has said a last word, nor ever will.
    pub(crate) fn is_abandoned(&self) -> bool {
        matches!(lock(&self.state).tail, Tail::Over)
    }

    /// Whether no turn is granted any more.
    #[cfg(test)]
    pub(crate) fn is_closing(&self) -> bool {
        !lock(&self.state).is_open()
    }
}

impl<C, T> Drop for OutboxReader<C, T> {
    fn drop(&mut self) {
        let mut state = lock(&self.state);
        let queue = mem::take(&mut state.queue);
        state.queued = 0;
        let ended = state.end(Tail::Over);
        drop(state);
        drop(queue);
        ended.tell();
    }
}

impl<C, T> State<C, T> {
    fn is_open(&self) -> bool {
        matches!(self.tail, Tail::Open)
    }

    /// The context, for `number` in the line or for one who stands in none.
    fn grant(&mut self, number: Option<u64>) -> Option<C> {
        let first = self.line.first_key_value().map(|(number, _)| *number);
        if self.stalled || first != number {
            return None;
        }
        self.context.take()
    }

    /// Who is to be woken for a turn that is to be had.
    fn pass_on(&mut self) -> Option<Waker> {
        if self.stalled || self.context.is_none() {
            return None;
        }
        self.line.first_entry()?.get_mut().take()
    }

    fn queued(&self) -> Queued {
        Queued {
            bytes: self.queued,
            is_full: self.stalled,
        }
    }

    fn append(&mut self, item: T, bytes: usize) {
        self.queue.push_back((item, bytes));
        self.queued += bytes;
        self.stalled |= self.queued >= self.caps.bytes || self.queue.len() >= self.caps.items;
    }

    /// Whether anything was there.
    fn take(&mut self, most: usize, into: &mut Vec<T>) -> bool {
        let mut taken = 0;
        while let Some((_, bytes)) = self.queue.front()
            && (taken == 0 || *bytes <= most.saturating_sub(taken))
            && let Some((item, bytes)) = self.queue.pop_front()
        {
            // An item of no bytes is one taken all the same.
            taken += bytes.max(1);
            self.queued -= bytes;
            into.push(item);
        }
        self.stalled &= self.queued > self.caps.bytes / 2 || self.queue.len() > self.caps.items / 2;
        taken > 0
    }

    /// Grants no more turns. What is returned is told without the lock.
    fn end(&mut self, tail: Tail<T>) -> Ended<C, T> {
        Ended {
            unused: (mem::replace(&mut self.tail, tail), self.context.take()),
            line: mem::take(&mut self.line),
            driver: [self.taker.take(), self.watcher.take()],
        }
    }
}

/// What an outbox has no use for after its end, and whom it concerns.
struct Ended<C, T> {
    unused: (Tail<T>, Option<C>),
    line: BTreeMap<u64, Option<Waker>>,
    driver: [Option<Waker>; 2],
}

impl<C, T> Ended<C, T> {
    fn tell(self) {
        drop(self.unused);
        self.driver.into_iter().for_each(wake);
        self.line.into_values().for_each(wake);
    }
}

impl<C, T> fmt::Debug for Outbox<C, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        lock(&self.state).describe("Outbox", f)
    }
}

impl<C, T> fmt::Debug for OutboxReader<C, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        lock(&self.state).describe("OutboxReader", f)
    }
}

impl<C, T> fmt::Debug for Place<C, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.0.as_ref().map(|(_, number)| number);
        f.debug_tuple("Place").field(&number).finish()
    }
}

impl<C, T> State<C, T> {
    /// Its figures: neither items nor context need be printable, or fit to be.
    fn describe(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(name)
            .field("items", &self.queue.len())
            .field("bytes", &self.queued)
            .field("waiting", &self.line.len())
            .field("open", &self.is_open())
            .finish()
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
