//! Where a response goes until its head is handed out. One whose body ends in
//! the bytes that came with its head never needs a pipe.

use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::{Outlet, keep_alive};
use crate::conn::Sink;
use crate::handoff::pipe::{Budget, Credit, MARK, pipe};
use crate::head::{ResponseHead, Trailers};
use crate::job::{BodyEnd, ReplyBody, Tally};
use crate::proto::Event;

/// Pieces below this are joined once there are several: an allocation and an
/// entry each cost far more than the bytes of a peer that sends them singly.
const SMALL: usize = 512;
const SEVERAL: usize = 8;

#[derive(Debug)]
pub(crate) struct Inbox {
    head: Option<ResponseHead>,
    /// Mostly the only piece.
    first: Bytes,
    more: Option<Box<More>>,
    held: usize,
    /// Above this, reading waits until the head is handed out.
    high: usize,
}

/// What few responses bring before their head is handed out.
#[derive(Debug, Default)]
struct More {
    /// Pieces behind the first.
    early: Vec<Bytes>,
    /// Small pieces behind `early`, joined.
    tail: BytesMut,
    trailers: Trailers,
    /// Ends of chunks, if they are told: how many pieces come before each.
    marks: Vec<usize>,
}

impl Inbox {
    pub(crate) fn new(high: usize) -> Self {
        Self {
            head: None,
            first: Bytes::new(),
            more: None,
            held: 0,
            high,
        }
    }

    pub(crate) fn has_head(&self) -> bool {
        self.head.is_some()
    }

    /// Reading has paused for the head to be handed out.
    pub(crate) fn is_full(&self) -> bool {
        self.head.is_some() && self.held >= self.high / 2
    }

    pub(crate) fn keep_alive(&self) -> Option<Duration> {
        self.head.as_ref().and_then(keep_alive)
    }

    /// A complete response; `None` without a head.
    pub(crate) fn into_whole(self, tally: Tally) -> Option<(ResponseHead, ReplyBody)> {
        let (body, trailers) = match self.more {
            None => (self.first, None),
            Some(more) if !more.marks.is_empty() => {
                let marked = Self {
                    more: Some(more),
                    ..self
                };
                return marked.into_marked(tally);
            }
            Some(mut more) => {
                more.close_tail();
                let body = match more.early.is_empty() {
                    true => self.first,
                    false => joined(self.held, &self.first, &more.early),
                };
                (body, more.trailers)
            }
        };
        Some((self.head?, ReplyBody::Whole(body, trailers)))
    }

    /// One whose chunks are to be told apart goes through a pipe.
    fn into_marked(self, tally: Tally) -> Option<(ResponseHead, ReplyBody)> {
        let budget = Budget {
            low: self.high,
            high: self.high,
        };
        let (head, body, outlet) = self.into_stream(budget)?;
        outlet.finish(tally);
        Some((head, body))
    }

    /// A response whose body goes on.
    pub(crate) fn into_stream(self, budget: Budget) -> Option<(ResponseHead, ReplyBody, Outlet)> {
        let head = self.head?;
        let mut more = self.more.unwrap_or_default();
        more.close_tail();
        let (mut writer, reader) = pipe::<BodyEnd>(budget);
        let mut has_room = true;
        let mut marks = more.marks.into_iter().peekable();
        for (before, piece) in [self.first].into_iter().chain(more.early).enumerate() {
            has_room = writer.push(piece) != Credit::Full;
            if marks.next_if_eq(&(before + 1)).is_some() {
                has_room = writer.mark() != Credit::Full;
            }
        }
        let outlet = Outlet::new(writer, has_room, more.trailers, keep_alive(&head));
        Some((head, ReplyBody::Stream(reader), outlet))
    }

    fn push(&mut self, data: Bytes) {
        let is_first = self.held == 0;
        self.held += data.len();
        match is_first {
            true => self.first = data,
            false => self.more.get_or_insert_default().push(data),
        }
    }
}

impl More {
    fn push(&mut self, data: Bytes) {
        if data.len() < SMALL && self.early.len() >= SEVERAL && self.marks.is_empty() {
            self.tail.extend_from_slice(&data);
        } else {
            self.close_tail();
            self.early.push(data);
        }
    }

    fn mark(&mut self) {
        self.close_tail();
        self.marks.push(1 + self.early.len());
    }

    fn close_tail(&mut self) {
        if !self.tail.is_empty() {
            self.early.push(self.tail.split().freeze());
        }
    }
}

/// All pieces as one.
fn joined(length: usize, first: &Bytes, others: &[Bytes]) -> Bytes {
    let mut all = BytesMut::with_capacity(length);
    all.extend_from_slice(first);
    for piece in others {
        all.extend_from_slice(piece);
    }
    all.freeze()
}

impl Sink for Inbox {
    fn event(&mut self, event: Event) {
        match event {
            Event::Head(head) => self.head = Some(head),
            Event::Data(data) => self.push(data),
            Event::ChunkEnd => {
                self.held += MARK;
                self.more.get_or_insert_default().mark();
            }
            Event::Trailers(trailers) => {
                self.more.get_or_insert_default().trailers = Some(Box::new(trailers));
            }
            Event::Informational(_) | Event::End | Event::Upgrade => {}
        }
    }

    fn has_room(&self) -> bool {
        self.held <= self.high
    }

    /// Half of what may wait, so that the pipe it goes into is not full at once.
    fn reads_on(&self) -> bool {
        !self.is_full() && self.has_room()
    }

    fn room(&self) -> usize {
        match self.head {
            None => usize::MAX,
            Some(_) => (self.high / 2).saturating_sub(self.held),
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use http::{StatusCode, Version};

    use super::*;

    #[test]
    fn many_small_pieces_are_few_entries_and_the_same_bytes() {
        let mut inbox = Inbox::new(1 << 20);
        let mut want = Vec::new();
        for n in 0..10_000_usize {
            let piece = vec![n as u8; if n % 1000 == 999 { SMALL } else { 1 }];
            want.extend_from_slice(&piece);
            inbox.event(Event::Data(piece.into()));
        }
        let entries = inbox.more.as_ref().map_or(0, |more| more.early.len());
        assert!(entries <= SEVERAL + 2 * 10, "{entries}");
        let head = ResponseHead::new(Version::HTTP_11, StatusCode::OK, (0, 0));
        inbox.head = Some(head);
        match inbox.into_whole(Tally::default()) {
            Some((_, ReplyBody::Whole(body, _))) => assert_eq!(body, want),
            other => panic!("{other:?}"),
        }
    }
}
