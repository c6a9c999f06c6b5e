//! A body with the ends of its chunks (SPEC R33).

use std::task::{Context, Poll};

use bytes::Bytes;

use super::{Body, Source};
use crate::error::Error;
use crate::job::Command;

impl Body {
    /// The next piece, and whether a chunk ends behind it; an empty piece where
    /// that became known only after its data. `None` at the end.
    pub(crate) fn poll_marked(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<(Bytes, bool)>, Error>> {
        self.stops = true;
        let polled = self.poll_chunk(cx);
        self.stops = false;
        polled.map_ok(|piece| {
            let piece = piece?;
            let ends = piece.is_empty() || self.take_mark();
            Some((piece, ends))
        })
    }

    /// Whether what was received is the end of a chunk, and wanted.
    pub(super) fn stops_here(&mut self) -> bool {
        std::mem::take(&mut self.at_mark) && self.stops
    }

    /// A mark that is here already, right behind what was handed out.
    fn take_mark(&mut self) -> bool {
        // What a decoder holds comes before it.
        if self.decoding.is_some() || self.unread.is_some() || self.pipe().is_none() {
            return false;
        }
        let Source::Stream(reader) = &mut self.source else {
            return false;
        };
        let refill = reader.next_mark();
        if refill == Some(true) {
            self.leased = false;
            self.tell(Command::Wake(self.id));
        }
        refill.is_some()
    }
}
