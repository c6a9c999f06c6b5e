//! Body data on its way to a reader: a queue under a byte budget.
//!
//! ```text
//!            queued > high: Credit::Full
//!   flowing ─────────────────────────────► stalled
//!      ▲                                      │
//!      └──────────────────────────────────────┘
//!        reader takes it to queued <= low: refill, once
//! ```
//!
//! A push is always accepted: the bytes are read already, and the writer stops
//! reading when it is told [`Credit::Full`]. It sleeps then, and it is the
//! reader's caller who must tell its driver: the take that brings the queue to
//! the low mark says `refill`, exactly once per stall. Both marks are judged
//! under the one lock, so a refill can fall between no two steps: a writer
//! that asks [`credit`](PipeWriter::credit) afterwards finds the pipe open.
//!
//! Memory stays near the budget whatever the peer sends: pieces too small to
//! be worth a queue entry (a peer may send one byte per chunk, and each piece
//! pins the buffer it was read into) are copied together.

use std::collections::VecDeque;
use std::mem;
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};

use super::{register, wake};
use crate::sync::{Arc, Mutex, lock};

/// Pieces shorter than this are copied behind a short predecessor.
const SMALL: usize = 512;
/// How long a piece copied together may grow.
const JOINED: usize = 4096;
/// What a mark counts for in the budget: about what it costs, with the piece
/// before it that it keeps from being joined.
pub(crate) const MARK: usize = 128;

/// How many bytes may wait in a pipe (SPEC S20).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    /// A stalled writer goes on once no more than this is queued.
    pub low: usize,
    /// A writer stalls when more than this is queued.
    pub high: usize,
}

/// Whether the writer should go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Credit {
    Open,
    /// Stalled: wait until the reader's side reports the refill.
    Full,
    /// The reader is gone.
    Abandoned,
}

/// What a reader takes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Item<E> {
    /// Never empty.
    Data(Bytes),
    /// A place between data that the writer has marked.
    Mark,
    /// The end, said by the writer; everything before it has been taken.
    End(E),
    /// The writer went away without an end, or the end was taken already.
    Broken,
}

/// A new pipe, as its two ends. A low mark above the high one counts as equal
/// to it.
pub(crate) fn pipe<E>(budget: Budget) -> (PipeWriter<E>, PipeReader<E>) {
    let state = Arc::new(Mutex::new(State {
        budget: Budget {
            low: budget.low.min(budget.high),
            high: budget.high,
        },
        queue: VecDeque::new(),
        queued: 0,
        stalled: false,
        tail: Tail::Open,
        waker: None,
    }));
    let writer = PipeWriter {
        state: Arc::clone(&state),
    };
    (writer, PipeReader { state })
}

/// The end that fills the pipe. Dropped without
/// [`finish`](PipeWriter::finish), the reader sees [`Item::Broken`] after the
/// queued data: a body never ends in a silent end of file.
#[derive(Debug)]
pub(crate) struct PipeWriter<E> {
    state: Arc<Mutex<State<E>>>,
}

/// The end that empties the pipe. Dropped, it frees what is queued.
#[derive(Debug)]
pub(crate) struct PipeReader<E> {
    state: Arc<Mutex<State<E>>>,
}

#[derive(Debug)]
struct State<E> {
    budget: Budget,
    queue: VecDeque<Piece>,
    /// Bytes in `queue`.
    queued: usize,
    /// The writer was told `Full` and no refill since; then `queued > low`.
    stalled: bool,
    tail: Tail<E>,
    /// The reader, when it found nothing.
    waker: Option<Waker>,
}

/// What follows the queue.
#[derive(Debug)]
enum Tail<E> {
    /// More may come.
    Open,
    Ended(E),
    Broken,
    /// The reader is gone, and the queue with it.
    Abandoned,
}

#[derive(Debug)]
enum Piece {
    /// As it was pushed.
    Whole(Bytes),
    /// Several small ones, still growing.
    Joined(BytesMut),
    Mark,
}

impl<E> PipeWriter<E> {
    /// Queues `data` and wakes the reader. Always accepted, beyond the budget
    /// too; only an abandoned pipe drops it.
    pub(crate) fn push(&mut self, data: Bytes) -> Credit {
        let mut state = lock(&self.state);
        // Empty data would cost an entry and no credit, and read as an end.
        if data.is_empty() || matches!(state.tail, Tail::Abandoned) {
            return state.credit();
        }
        state.append(data);
        state.stalled |= state.queued > state.budget.high;
        let credit = state.credit();
        let waker = state.waker.take();
        drop(state);
        wake(waker);
        credit
    }

    /// Marks the place behind all that was pushed. Data is not joined across it.
    pub(crate) fn mark(&mut self) -> Credit {
        let mut state = lock(&self.state);
        if matches!(state.tail, Tail::Abandoned) {
            return state.credit();
        }
        state.queued += MARK;
        state.queue.push_back(Piece::Mark);
        state.stalled |= state.queued > state.budget.high;
        let credit = state.credit();
        let waker = state.waker.take();
        drop(state);
        wake(waker);
        credit
    }

    /// Wakes the reader for nothing: it asked for it.
    #[cfg(all(feature = "websocket", not(loom)))]
    pub(crate) fn nudge(&self) {
        let waker = lock(&self.state).waker.take();
        wake(waker);
    }

    /// Ends the stream with `end`, which the reader takes after the data.
    pub(crate) fn finish(self, end: E) {
        let unwanted = lock(&self.state).close(Tail::Ended(end));
        drop(unwanted);
        // Dropping `self` finds the end in place and wakes the reader.
    }

    /// Runs something in the middle of a push, as far as the reader can tell.
    #[cfg(all(test, not(loom)))]
    pub(crate) fn amid<T>(&self, run: impl FnOnce() -> T) -> T {
        let _state = lock(&self.state);
        run()
    }

    /// Whether to go on, asked again: `Full` until the reader has taken the
    /// queue down to the low mark.
    pub(crate) fn credit(&self) -> Credit {
        lock(&self.state).credit()
    }
}

impl<E> Drop for PipeWriter<E> {
    fn drop(&mut self) {
        let mut state = lock(&self.state);
        let unused = state.close(Tail::Broken);
        let waker = state.waker.take();
        drop(state);
        drop(unused);
        wake(waker);
    }
}

impl<E> PipeReader<E> {
    /// The next item, and whether the writer's driver must be told that there
    /// is room again.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<(Item<E>, bool)> {
        let mut state = lock(&self.state);
        if let Some(taken) = state.take() {
            return Poll::Ready(taken);
        }
        let replaced = register(&mut state.waker, cx);
        drop(state);
        drop(replaced);
        Poll::Pending
    }

    /// Takes a mark if that is what comes next, and says whether there is room
    /// again.
    pub(crate) fn next_mark(&mut self) -> Option<bool> {
        let mut state = lock(&self.state);
        match state.queue.front() {
            Some(Piece::Mark) => state.take().map(|(_, refill)| refill),
            _ => None,
        }
    }

    /// The end, as far as it has been said: it may still lie behind data.
    #[cfg(not(loom))]
    pub(crate) fn has_end(&self, is_meant: impl FnOnce(&E) -> bool) -> bool {
        match &lock(&self.state).tail {
            Tail::Ended(end) => is_meant(end),
            Tail::Open | Tail::Broken | Tail::Abandoned => false,
        }
    }

    /// What [`poll_next`](Self::poll_next) would give, without waiting.
    #[cfg(all(test, not(loom)))]
    pub(crate) fn try_next(&mut self) -> Option<(Item<E>, bool)> {
        lock(&self.state).take()
    }

    /// How many bytes are queued.
    #[cfg(all(test, not(loom)))]
    pub(crate) fn queued(&self) -> usize {
        lock(&self.state).queued
    }
}

impl<E> Drop for PipeReader<E> {
    fn drop(&mut self) {
        let mut state = lock(&self.state);
        let queue = mem::take(&mut state.queue);
        state.queued = 0;
        state.stalled = false;
        let tail = mem::replace(&mut state.tail, Tail::Abandoned);
        let waker = state.waker.take();
        drop(state);
        drop((queue, tail, waker));
    }
}

impl<E> State<E> {
    fn credit(&self) -> Credit {
        match self.tail {
            Tail::Abandoned => Credit::Abandoned,
            _ if self.stalled => Credit::Full,
            _ => Credit::Open,
        }
    }

    fn append(&mut self, data: Bytes) {
        self.queued += data.len();
        if data.len() < SMALL
            && let Some(last) = self.queue.back_mut()
            && last.join(&data)
        {
            return;
        }
        self.queue.push_back(Piece::Whole(data));
    }

    /// Ends an open stream; returns the tail that found no use, for the caller
    /// to drop outside the lock.
    fn close(&mut self, tail: Tail<E>) -> Tail<E> {
        match self.tail {
            Tail::Open => {
                // Nobody is left who could go on writing.
                self.stalled = false;
                mem::replace(&mut self.tail, tail)
            }
            Tail::Ended(_) | Tail::Broken | Tail::Abandoned => tail,
        }
    }

    fn take(&mut self) -> Option<(Item<E>, bool)> {
        if let Some(piece) = self.queue.pop_front() {
            let item = piece.into_item();
            self.queued -= match &item {
                Item::Data(data) => data.len(),
                _ => MARK,
            };
            let refill = self.stalled && self.queued <= self.budget.low;
            self.stalled &= !refill;
            return Some((item, refill));
        }
        match self.tail {
            Tail::Open => None,
            _ => match mem::replace(&mut self.tail, Tail::Broken) {
                Tail::Ended(end) => Some((Item::End(end), false)),
                _ => Some((Item::Broken, false)),
            },
        }
    }
}

impl Piece {
    /// Copies small `data` behind this piece if that keeps it small.
    fn join(&mut self, data: &Bytes) -> bool {
        match self {
            Self::Joined(joined) if joined.len() + data.len() <= JOINED => {
                joined.extend_from_slice(data);
                true
            }
            Self::Whole(whole) if whole.len() < SMALL => {
                let mut joined = BytesMut::with_capacity(2 * SMALL);
                joined.extend_from_slice(whole);
                joined.extend_from_slice(data);
                *self = Self::Joined(joined);
                true
            }
            Self::Joined(_) | Self::Whole(_) | Self::Mark => false,
        }
    }

    fn into_item<E>(self) -> Item<E> {
        match self {
            Self::Whole(data) => Item::Data(data),
            Self::Joined(data) => Item::Data(data.freeze()),
            Self::Mark => Item::Mark,
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::super::testing::{Count, Hostile};
    use super::*;

    const BUDGET: Budget = Budget { low: 10, high: 20 };

    #[test]
    fn marks_stay_where_they_were_made() {
        // SPEC R33
        let (mut writer, mut reader) = pipe::<()>(Budget {
            low: MARK,
            high: 3 * MARK,
        });
        writer.push(Bytes::from_static(b"ab"));
        writer.push(Bytes::from_static(b"c"));
        assert_eq!(writer.mark(), Credit::Open);
        writer.push(Bytes::from_static(b"d"));
        assert_eq!(writer.mark(), Credit::Open);
        // They count, or a peer could send them without end.
        assert_eq!(writer.mark(), Credit::Full);
        assert_eq!(reader.next_mark(), None);
        let next = |reader: &mut PipeReader<()>| reader.try_next().map(|(item, _)| item);
        assert_eq!(
            next(&mut reader),
            Some(Item::Data(Bytes::from_static(b"abc")))
        );
        assert_eq!(reader.next_mark(), Some(false));
        assert_eq!(
            next(&mut reader),
            Some(Item::Data(Bytes::from_static(b"d")))
        );
        assert_eq!(reader.next_mark(), Some(true), "room again");
        assert_eq!(writer.credit(), Credit::Open);
        assert_eq!(next(&mut reader), Some(Item::Mark));
        assert_eq!((reader.next_mark(), reader.queued()), (None, 0));
        writer.finish(());
        assert_eq!(next(&mut reader), Some(Item::End(())));
    }

    fn bytes(len: usize) -> Bytes {
        Bytes::from(vec![b'x'; len])
    }

    fn data<E>(len: usize, refill: bool) -> Option<(Item<E>, bool)> {
        Some((Item::Data(bytes(len)), refill))
    }

    #[test]
    fn data_then_the_end_then_broken() {
        let (mut writer, mut reader) = pipe(BUDGET);
        assert_eq!(reader.try_next(), None);
        assert_eq!(writer.push(bytes(5)), Credit::Open);
        assert_eq!(writer.push(Bytes::new()), Credit::Open);
        assert_eq!(reader.queued(), 5);
        writer.finish("end");
        assert_eq!(reader.try_next(), data(5, false));
        assert_eq!(reader.try_next(), Some((Item::End("end"), false)));
        assert_eq!(reader.try_next(), Some((Item::Broken, false)));
        assert_eq!(reader.try_next(), Some((Item::Broken, false)));
    }

    /// A body never ends in a silent end of file.
    #[test]
    fn a_lost_writer_breaks_the_pipe_after_the_data() {
        let (mut writer, mut reader) = pipe::<()>(BUDGET);
        assert_eq!(writer.push(bytes(30)), Credit::Full);
        drop(writer);
        // No refill either: nobody is there to be told.
        assert_eq!(reader.try_next(), data(30, false));
        assert_eq!(reader.try_next(), Some((Item::Broken, false)));
    }

    #[test]
    fn a_stall_is_refilled_exactly_once() {
        // SPEC S20: full above high, open again at low, the refill said once.
        let (mut writer, mut reader) = pipe::<()>(Budget {
            low: 1000,
            high: 2000,
        });
        assert_eq!(writer.push(bytes(1000)), Credit::Open);
        assert_eq!(writer.push(bytes(1000)), Credit::Open, "at the mark");
        assert_eq!(writer.push(bytes(600)), Credit::Full);
        assert_eq!(writer.push(bytes(600)), Credit::Full, "still accepted");
        assert_eq!(reader.queued(), 3200);
        assert_eq!(reader.try_next(), data(1000, false));
        assert_eq!(writer.credit(), Credit::Full);
        assert_eq!(reader.try_next(), data(1000, false), "1200 are left");
        assert_eq!(writer.credit(), Credit::Full);
        assert_eq!(reader.try_next(), data(600, true));
        assert_eq!(writer.credit(), Credit::Open);
        assert_eq!(reader.try_next(), data(600, false));
        // The next stall has its own refill.
        assert_eq!(writer.push(bytes(2001)), Credit::Full);
        assert_eq!(reader.try_next(), data(2001, true));
        assert_eq!(reader.try_next(), None);
    }

    #[test]
    fn marks_of_zero_and_marks_crossed_still_flow() {
        for budget in [Budget { low: 0, high: 0 }, Budget { low: 9, high: 3 }] {
            let (mut writer, mut reader) = pipe::<()>(budget);
            assert_eq!(writer.push(bytes(4)), Credit::Full);
            assert_eq!(reader.try_next(), data(4, true));
            assert_eq!(writer.credit(), Credit::Open);
        }
    }

    #[test]
    fn an_abandoned_pipe_keeps_nothing() {
        let (mut writer, mut reader) = pipe::<()>(BUDGET);
        assert_eq!(writer.push(bytes(30)), Credit::Full);
        assert_eq!(reader.queued(), 30);
        assert!(reader.try_next().is_some());
        drop(reader);
        assert_eq!(writer.credit(), Credit::Abandoned);
        assert_eq!(writer.push(bytes(1)), Credit::Abandoned);
        assert_eq!(lock(&writer.state).queue.len(), 0);
        writer.finish(());
    }

    #[test]
    fn every_change_wakes_a_waiting_reader() {
        let (mut writer, mut reader) = pipe::<()>(BUDGET);
        let (count, waker) = Count::new();
        let mut cx = Context::from_waker(&waker);
        assert!(reader.poll_next(&mut cx).is_pending());
        assert_eq!(writer.push(Bytes::new()), Credit::Open);
        assert_eq!(count.woken(), 0, "nothing to read in that");
        writer.push(bytes(1));
        writer.push(bytes(1));
        assert_eq!(count.woken(), 1, "once, until it asks again");
        assert!(reader.poll_next(&mut cx).is_ready());
        assert!(reader.poll_next(&mut cx).is_pending());
        writer.finish(());
        assert_eq!(count.woken(), 2);
        assert_eq!(
            reader.poll_next(&mut cx),
            Poll::Ready((Item::End(()), false))
        );
    }

    #[test]
    fn a_panicking_waker_does_not_reach_the_writer() {
        let (mut writer, mut reader) = pipe::<()>(BUDGET);
        let hostile = Waker::from(Arc::new(Hostile));
        assert!(
            reader
                .poll_next(&mut Context::from_waker(&hostile))
                .is_pending()
        );
        assert_eq!(writer.push(bytes(1)), Credit::Open);
        assert_eq!(reader.try_next(), data(1, false));
    }

    /// One byte per chunk must not cost an entry and a pinned buffer each.
    #[test]
    fn small_pieces_are_copied_together_in_order() {
        let (mut writer, mut reader) = pipe::<()>(Budget {
            low: 1 << 16,
            high: 1 << 18,
        });
        let sent: Vec<u8> = (0..100_000u32).map(|i| (i % 251) as u8).collect();
        let mut at = 0;
        for len in [1, 3, 511, 512, 2000].into_iter().cycle() {
            let end = sent.len().min(at + len);
            assert_eq!(
                writer.push(Bytes::copy_from_slice(&sent[at..end])),
                Credit::Open
            );
            at = end;
            if at == sent.len() {
                break;
            }
        }
        for byte in &sent {
            writer.push(Bytes::copy_from_slice(&[*byte]));
        }
        let entries = lock(&writer.state).queue.len();
        assert!(entries < 200, "{entries} entries");
        writer.finish(());
        let mut got = Vec::new();
        while let Some((Item::Data(data), _)) = reader.try_next() {
            got.extend_from_slice(&data);
        }
        assert_eq!(got, [sent.as_slice(), sent.as_slice()].concat());
    }
}
