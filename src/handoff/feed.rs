//! A request body on its way to whoever sends it: a queue under a byte budget,
//! whose writer waits for room.
//!
//! ```text
//!   writer: push ─► queue ─► take :driver
//!           queued >= budget: poll_room waits
//!           queued <= budget / 2: the writer is woken
//!           nothing queued: poll_take waits, the next push or end wakes it
//! ```
//!
//! It is the [pipe](super::pipe) the other way round. There the one who must
//! not be kept waiting writes, here it reads; so here it is the writer that is
//! registered and woken when there is room. "Is there room?" and "wake me when
//! there is" are one critical section, as are "is there anything?" and "wake me
//! when there is".

use std::collections::VecDeque;
use std::mem;
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};

use super::{register, wake};
use crate::sync::{Arc, Mutex, lock};

/// Pieces shorter than this are copied together: one costs as much in its
/// allocation, its entry and its framing as the bytes of a hundred.
const SMALL: usize = 512;
/// How long a piece copied together may grow.
const JOINED: usize = 8 * 1024;

/// What a driver takes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fed<E> {
    /// Never empty.
    Data(Bytes),
    /// The end, said by the writer; everything before it has been taken.
    End(Result<(), E>),
    /// The writer went away without an end, or the end was taken already.
    Broken,
}

/// Nobody takes any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gone;

/// A new feed, as its two ends. `budget` is how many bytes may wait in it; one
/// push goes in whole, whatever its length.
pub(crate) fn feed<E>(budget: usize) -> (FeedWriter<E>, FeedReader<E>) {
    let state = Arc::new(Mutex::new(State {
        budget: budget.max(1),
        queue: VecDeque::new(),
        joined: BytesMut::new(),
        queued: 0,
        tail: Tail::Open,
        reader: None,
        writer: None,
    }));
    let writer = FeedWriter {
        state: Arc::clone(&state),
    };
    (writer, FeedReader { state })
}

/// The end that fills the feed. Dropped without [`finish`](FeedWriter::finish),
/// the driver sees [`Fed::Broken`] after the queued data: a body never ends
/// silently.
#[derive(Debug)]
pub(crate) struct FeedWriter<E> {
    state: Arc<Mutex<State<E>>>,
}

/// The end that takes. Dropped, it frees what is queued and tells the writer.
#[derive(Debug)]
pub(crate) struct FeedReader<E> {
    state: Arc<Mutex<State<E>>>,
}

#[derive(Debug)]
struct State<E> {
    budget: usize,
    queue: VecDeque<Bytes>,
    /// Small pieces behind the queue.
    joined: BytesMut,
    /// Bytes in both.
    queued: usize,
    tail: Tail<E>,
    /// The driver, when it found nothing.
    reader: Option<Waker>,
    /// The writer, when it found no room.
    writer: Option<Waker>,
}

/// What follows the queue.
#[derive(Debug)]
enum Tail<E> {
    /// More may come.
    Open,
    Ended(Result<(), E>),
    Broken,
    /// The driver is gone, and the queue with it.
    Abandoned,
}

impl<E> FeedWriter<E> {
    /// Ready when a push may follow.
    ///
    /// # Errors
    /// Nobody takes any more.
    pub(crate) fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Gone>> {
        let mut state = lock(&self.state);
        if let Tail::Abandoned = state.tail {
            return Poll::Ready(Err(Gone));
        }
        if state.queued < state.budget {
            return Poll::Ready(Ok(()));
        }
        let replaced = register(&mut state.writer, cx);
        drop(state);
        drop(replaced);
        Poll::Pending
    }

    /// Queues `data`, beyond the budget too, and wakes the driver.
    ///
    /// # Errors
    /// Nobody takes any more; the data is dropped.
    pub(crate) fn push(&mut self, data: Bytes) -> Result<(), Gone> {
        let mut state = lock(&self.state);
        if let Tail::Abandoned = state.tail {
            return Err(Gone);
        }
        // Empty data would be framed as an end.
        if data.is_empty() {
            return Ok(());
        }
        let copied = state.append(data);
        let waker = state.reader.take();
        drop(state);
        // Its memory may be somebody's own, whose drop is not to run under the lock.
        drop(copied);
        wake(waker);
        Ok(())
    }

    /// Whether nobody takes any more.
    pub(crate) fn is_abandoned(&self) -> bool {
        matches!(lock(&self.state).tail, Tail::Abandoned)
    }

    /// Ends the body, or says why it cannot go on.
    ///
    /// # Errors
    /// Nobody takes any more.
    pub(crate) fn finish(self, end: Result<(), E>) -> Result<(), Gone> {
        let unwanted = lock(&self.state).close(Tail::Ended(end));
        // Dropping `self` finds the end in place and wakes the driver.
        match unwanted {
            Some(_) => Err(Gone),
            None => Ok(()),
        }
    }
}

impl<E> Drop for FeedWriter<E> {
    fn drop(&mut self) {
        let mut state = lock(&self.state);
        let unused = state.close(Tail::Broken);
        let wakers = (state.reader.take(), state.writer.take());
        drop(state);
        drop((unused, wakers.1));
        wake(wakers.0);
    }
}

impl<E> FeedReader<E> {
    /// The next piece, `most` bytes of it at most, or the end.
    pub(crate) fn poll_take(&mut self, most: usize, cx: &mut Context<'_>) -> Poll<Fed<E>> {
        let mut state = lock(&self.state);
        if let Some(taken) = state.take(most) {
            let is_low = state.queued <= state.budget / 2;
            let waker = if is_low { state.writer.take() } else { None };
            drop(state);
            wake(waker);
            return Poll::Ready(taken);
        }
        let replaced = register(&mut state.reader, cx);
        drop(state);
        drop(replaced);
        Poll::Pending
    }
}

impl<E> Drop for FeedReader<E> {
    fn drop(&mut self) {
        let mut state = lock(&self.state);
        let queue = (mem::take(&mut state.queue), mem::take(&mut state.joined));
        state.queued = 0;
        let tail = mem::replace(&mut state.tail, Tail::Abandoned);
        let own = state.reader.take();
        let waker = state.writer.take();
        drop(state);
        drop((queue, tail, own));
        wake(waker);
    }
}

impl<E> State<E> {
    /// Gives back what was copied, for the caller to drop outside the lock.
    fn append(&mut self, data: Bytes) -> Option<Bytes> {
        self.queued += data.len();
        let is_small = data.len() < SMALL;
        if is_small {
            self.joined.extend_from_slice(&data);
            if self.joined.len() < JOINED {
                return Some(data);
            }
        }
        if !self.joined.is_empty() {
            let joined = mem::take(&mut self.joined);
            self.queue.push_back(joined.freeze());
        }
        if is_small {
            return Some(data);
        }
        self.queue.push_back(data);
        None
    }

    /// Ends an open feed; returns the tail that found no use, for the caller
    /// to drop outside the lock.
    fn close(&mut self, tail: Tail<E>) -> Option<Tail<E>> {
        match self.tail {
            Tail::Open => {
                self.tail = tail;
                None
            }
            Tail::Ended(_) | Tail::Broken | Tail::Abandoned => Some(tail),
        }
    }

    fn take(&mut self, most: usize) -> Option<Fed<E>> {
        let most = most.max(1);
        if self.queue.is_empty() && !self.joined.is_empty() {
            let joined = mem::take(&mut self.joined);
            self.queue.push_back(joined.freeze());
        }
        if let Some(front) = self.queue.front_mut() {
            let piece = match front.len() > most {
                true => front.split_to(most),
                false => self.queue.pop_front().unwrap_or_default(),
            };
            self.queued -= piece.len();
            return Some(Fed::Data(piece));
        }
        match self.tail {
            Tail::Open => None,
            _ => match mem::replace(&mut self.tail, Tail::Broken) {
                Tail::Ended(end) => Some(Fed::End(end)),
                _ => Some(Fed::Broken),
            },
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::super::testing::{Count, Hostile};
    use super::*;

    fn bytes(len: usize) -> Bytes {
        Bytes::from(vec![b'x'; len])
    }

    fn take(reader: &mut FeedReader<&'static str>, most: usize) -> Option<Fed<&'static str>> {
        match reader.poll_take(most, &mut Context::from_waker(Waker::noop())) {
            Poll::Ready(fed) => Some(fed),
            Poll::Pending => None,
        }
    }

    fn has_room(writer: &mut FeedWriter<&'static str>, waker: &Waker) -> bool {
        writer.poll_room(&mut Context::from_waker(waker)).is_ready()
    }

    /// Somebody's own memory, which does as it likes when it is let go.
    struct Own(Arc<Mutex<State<&'static str>>>, Arc<AtomicUsize>);

    impl AsRef<[u8]> for Own {
        fn as_ref(&self) -> &[u8] {
            b"small"
        }
    }

    impl Drop for Own {
        fn drop(&mut self) {
            if self.0.try_lock().is_ok() {
                self.1.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    #[test]
    fn memory_that_was_copied_is_let_go_outside_the_lock() {
        let free = Arc::new(AtomicUsize::new(0));
        let (mut writer, mut reader) = feed(10_000);
        for times in 1..=20 {
            let own = Own(Arc::clone(&writer.state), Arc::clone(&free));
            writer.push(Bytes::from_owner(own)).unwrap();
            assert_eq!(free.load(Ordering::Relaxed), times);
        }
        assert!(matches!(take(&mut reader, 100), Some(Fed::Data(_))));
    }

    #[test]
    fn data_in_order_then_the_end_then_broken() {
        let (mut writer, mut reader) = feed(10_000);
        assert_eq!(take(&mut reader, 100), None);
        writer.push(bytes(700)).unwrap();
        writer.push(Bytes::new()).unwrap();
        writer.push(bytes(3)).unwrap();
        writer.finish(Ok(())).unwrap();
        assert_eq!(take(&mut reader, 600), Some(Fed::Data(bytes(600))));
        assert_eq!(take(&mut reader, 600), Some(Fed::Data(bytes(100))));
        assert_eq!(take(&mut reader, 600), Some(Fed::Data(bytes(3))));
        assert_eq!(take(&mut reader, 600), Some(Fed::End(Ok(()))));
        assert_eq!(take(&mut reader, 600), Some(Fed::Broken));
    }

    /// A body never ends silently.
    #[test]
    fn a_lost_writer_breaks_the_feed_after_its_data() {
        let (mut writer, mut reader) = feed(10);
        writer.push(bytes(5)).unwrap();
        drop(writer);
        assert_eq!(take(&mut reader, 9), Some(Fed::Data(bytes(5))));
        assert_eq!(take(&mut reader, 9), Some(Fed::Broken));
        let (writer, mut reader) = feed(10);
        writer.finish(Err("why")).unwrap();
        assert_eq!(take(&mut reader, 9), Some(Fed::End(Err("why"))));
    }

    #[test]
    fn the_writer_waits_while_it_is_full_and_is_woken_at_half() {
        let (mut writer, mut reader) = feed(1000);
        let (count, waker) = Count::new();
        writer.push(bytes(999)).unwrap();
        assert!(has_room(&mut writer, &waker));
        writer.push(bytes(600)).unwrap();
        assert!(!has_room(&mut writer, &waker));
        assert!(take(&mut reader, 999).is_some());
        assert_eq!(count.woken(), 0, "600 are left");
        assert!(take(&mut reader, 100).is_some());
        assert_eq!(count.woken(), 1);
        assert!(has_room(&mut writer, &waker));
    }

    #[test]
    fn a_driver_that_found_nothing_is_woken_by_whatever_comes() {
        for end in [false, true] {
            let (mut writer, mut reader) = feed::<()>(10);
            let (count, waker) = Count::new();
            let mut cx = Context::from_waker(&waker);
            assert!(reader.poll_take(1, &mut cx).is_pending());
            writer.push(Bytes::new()).unwrap();
            assert_eq!(count.woken(), 0);
            match end {
                true => drop(writer),
                false => writer.push(bytes(1)).unwrap(),
            }
            assert_eq!(count.woken(), 1);
            assert!(reader.poll_take(1, &mut cx).is_ready());
        }
    }

    #[test]
    fn an_abandoned_feed_tells_its_writer_and_keeps_nothing() {
        let (mut writer, reader) = feed::<()>(10);
        let (count, waker) = Count::new();
        writer.push(bytes(600)).unwrap();
        let mut cx = Context::from_waker(&waker);
        assert!(writer.poll_room(&mut cx).is_pending());
        drop(reader);
        assert_eq!(count.woken(), 1);
        assert_eq!(writer.poll_room(&mut cx), Poll::Ready(Err(Gone)));
        assert_eq!(writer.push(bytes(600)), Err(Gone));
        assert!(lock(&writer.state).queue.is_empty());
        assert_eq!(writer.finish(Ok(())), Err(Gone));
    }

    #[test]
    fn a_panicking_waker_reaches_neither_side() {
        let hostile = Waker::from(Arc::new(Hostile));
        let mut cx = Context::from_waker(&hostile);
        let (mut writer, mut reader) = feed::<()>(1);
        assert!(reader.poll_take(1, &mut cx).is_pending());
        writer.push(bytes(1)).unwrap();
        assert!(writer.poll_room(&mut cx).is_pending());
        assert!(reader.poll_take(1, &mut cx).is_ready());
    }

    /// A writer of single bytes must not cost an entry and a chunk each.
    #[test]
    fn small_pieces_are_copied_together_in_order() {
        let (mut writer, mut reader) = feed::<&'static str>(usize::MAX);
        let sent: Vec<u8> = (0..100_000u32).map(|i| (i % 251) as u8).collect();
        let mut at = 0;
        for len in [1, 3, 511, 512, 2000].into_iter().cycle() {
            let end = sent.len().min(at + len);
            writer.push(Bytes::copy_from_slice(&sent[at..end])).unwrap();
            at = end;
            if at == sent.len() {
                break;
            }
        }
        for byte in &sent {
            writer.push(Bytes::copy_from_slice(&[*byte])).unwrap();
        }
        assert!(lock(&writer.state).queue.len() < 150);
        writer.finish(Ok(())).unwrap();
        let mut got = Vec::new();
        while let Some(Fed::Data(data)) = take(&mut reader, 1 << 20) {
            got.extend_from_slice(&data);
        }
        assert!(got == [sent.as_slice(), sent.as_slice()].concat());
    }
}
