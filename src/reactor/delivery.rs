//! Where a response goes as it arrives: into an [`Inbox`] until its head is
//! handed out, then through an [`Outlet`].
//!
//! A response whose body ends in the bytes that came with its head never
//! needs a pipe.

use std::time::Duration;

use bytes::{Bytes, BytesMut};

use crate::conn::Sink;
use crate::error::Error;
use crate::handoff::pipe::{Budget, Credit, PipeWriter, pipe};
use crate::head::{Fields, ResponseHead};
use crate::job::{BodyEnd, ReplyBody};
use crate::proto::Event;

/// Pieces below this are joined once there are several: an allocation and an
/// entry each cost far more than the bytes of a peer that sends them singly.
const SMALL: usize = 512;
const SEVERAL: usize = 8;

#[derive(Debug)]
pub(super) struct Inbox {
    head: Option<ResponseHead>,
    early: Vec<Bytes>,
    /// Small pieces behind `early`, joined.
    tail: BytesMut,
    held: usize,
    /// Above this, reading waits until the head is handed out.
    high: usize,
    trailers: Fields,
}

impl Inbox {
    pub(super) fn new(high: usize) -> Self {
        Self {
            head: None,
            early: Vec::new(),
            tail: BytesMut::new(),
            held: 0,
            high,
            trailers: Fields::default(),
        }
    }

    pub(super) fn has_head(&self) -> bool {
        self.head.is_some()
    }

    pub(super) fn keep_alive(&self) -> Option<Duration> {
        self.head.as_ref().and_then(keep_alive)
    }

    /// A complete response; `None` without a head.
    pub(super) fn into_whole(mut self) -> Option<(ResponseHead, ReplyBody)> {
        self.close_tail();
        let body = match self.early.len() {
            0 => Bytes::new(),
            1 => self.early.swap_remove(0),
            _ => {
                let mut all = BytesMut::with_capacity(self.held);
                for piece in &self.early {
                    all.extend_from_slice(piece);
                }
                all.freeze()
            }
        };
        Some((self.head?, ReplyBody::Whole(body, self.trailers)))
    }

    /// A response whose body goes on.
    pub(super) fn into_stream(
        mut self,
        budget: Budget,
    ) -> Option<(ResponseHead, ReplyBody, Outlet)> {
        self.close_tail();
        let head = self.head?;
        let (mut writer, reader) = pipe::<BodyEnd>(budget);
        let mut has_room = true;
        for piece in self.early {
            has_room = writer.push(piece) != Credit::Full;
        }
        let outlet = Outlet {
            keep_alive: keep_alive(&head),
            writer,
            has_room,
            abandoned: false,
            trailers: self.trailers,
        };
        Some((head, ReplyBody::Stream(reader), outlet))
    }
}

impl Inbox {
    fn push(&mut self, data: Bytes) {
        self.held += data.len();
        if data.len() < SMALL && self.early.len() >= SEVERAL {
            self.tail.extend_from_slice(&data);
        } else {
            self.close_tail();
            self.early.push(data);
        }
    }

    fn close_tail(&mut self) {
        if !self.tail.is_empty() {
            self.early.push(self.tail.split().freeze());
        }
    }
}

impl Sink for Inbox {
    fn event(&mut self, event: Event) {
        match event {
            Event::Head(head) => self.head = Some(head),
            Event::Data(data) => self.push(data),
            Event::Trailers(trailers) => self.trailers = trailers,
            Event::Informational(_) | Event::End | Event::Upgrade => {}
        }
    }

    fn has_room(&self) -> bool {
        self.held <= self.high
    }
}

#[derive(Debug)]
pub(super) struct Outlet {
    writer: PipeWriter<BodyEnd>,
    trailers: Fields,
    has_room: bool,
    /// The reader has gone without a word, with the answer nobody took.
    abandoned: bool,
    pub(super) keep_alive: Option<Duration>,
}

impl Outlet {
    pub(super) fn finish(self) {
        self.writer.finish(Ok(self.trailers));
    }

    pub(super) fn fail(self, error: Error) {
        self.writer.finish(Err(error));
    }

    /// Looks again whether the reader has made room. Called before a pump.
    pub(super) fn refresh(&mut self) {
        if !self.has_room {
            let credit = self.writer.credit();
            self.note(credit);
        }
    }

    /// Whether nobody will ever read this. What still comes is to be drained.
    pub(super) fn is_abandoned(&self) -> bool {
        self.abandoned || self.writer.credit() == Credit::Abandoned
    }

    fn note(&mut self, credit: Credit) {
        self.has_room = credit != Credit::Full;
        self.abandoned = credit == Credit::Abandoned;
    }
}

impl Sink for Outlet {
    fn event(&mut self, event: Event) {
        match event {
            Event::Data(data) => {
                let credit = self.writer.push(data);
                self.note(credit);
            }
            Event::Trailers(trailers) => self.trailers = trailers,
            Event::Head(_) | Event::Informational(_) | Event::End | Event::Upgrade => {}
        }
    }

    fn has_room(&self) -> bool {
        self.has_room
    }
}

/// `Keep-Alive: timeout=N`: how long the server keeps an idle connection
/// (SPEC P4), less a second for the way there.
fn keep_alive(head: &ResponseHead) -> Option<Duration> {
    let value = head.first("keep-alive")?;
    let seconds = value
        .split(|&b| b == b',')
        .filter_map(|parameter| std::str::from_utf8(parameter).ok())
        .filter_map(|parameter| parameter.trim().split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("timeout"))
        .and_then(|(_, value)| value.trim().parse::<u32>().ok())?;
    Some(Duration::from_secs(u64::from(seconds).saturating_sub(1)))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use http::{StatusCode, Version};

    use super::*;
    use crate::head::FieldSpan;

    fn hint(value: &str) -> Option<u64> {
        let bytes = format!("Keep-Alive{value}");
        let span = FieldSpan {
            name: (0, 10),
            value: (10, bytes.len() as u32),
        };
        let head = ResponseHead::new(
            Version::HTTP_11,
            StatusCode::OK,
            Bytes::from(bytes),
            (0, 0),
            Box::new([span]),
        );
        keep_alive(&head).map(|d| d.as_secs())
    }

    #[test]
    fn the_keep_alive_hint_is_read_where_it_makes_sense() {
        assert_eq!(hint("timeout=5"), Some(4));
        assert_eq!(hint("max=100, Timeout = 15"), Some(14));
        assert_eq!(hint("timeout=0"), Some(0));
        assert_eq!(hint("max=100"), None);
        assert_eq!(hint("timeout=soon"), None);
        assert_eq!(hint("timeout=-3"), None);
        assert_eq!(hint(""), None);
    }

    #[test]
    fn many_small_pieces_are_few_entries_and_the_same_bytes() {
        let mut inbox = Inbox::new(1 << 20);
        let mut want = Vec::new();
        for n in 0..10_000_usize {
            let piece = vec![n as u8; if n % 1000 == 999 { SMALL } else { 1 }];
            want.extend_from_slice(&piece);
            inbox.event(Event::Data(piece.into()));
        }
        assert!(
            inbox.early.len() <= SEVERAL + 2 * 10,
            "{}",
            inbox.early.len()
        );
        inbox.head = Some(ResponseHead::new(
            Version::HTTP_11,
            StatusCode::OK,
            Bytes::new(),
            (0, 0),
            Box::new([]),
        ));
        match inbox.into_whole() {
            Some((_, ReplyBody::Whole(body, _))) => assert_eq!(body, want),
            other => panic!("{other:?}"),
        }
    }
}
