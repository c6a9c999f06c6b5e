//! The driver's end of a body on its way to its reader.

use std::time::Duration;

use crate::conn::Sink;
use crate::error::Error;
use crate::handoff::pipe::{Credit, PipeWriter};
use crate::head::Trailers;
use crate::job::{BodyEnd, Ending, Tally};
use crate::proto::Event;

#[derive(Debug)]
pub(crate) struct Outlet {
    writer: PipeWriter<BodyEnd>,
    trailers: Trailers,
    has_room: bool,
    /// The reader has gone without a word, with the answer nobody took.
    abandoned: bool,
    pub(crate) keep_alive: Option<Duration>,
}

impl Outlet {
    pub(super) fn new(
        writer: PipeWriter<BodyEnd>,
        has_room: bool,
        trailers: Trailers,
        keep_alive: Option<Duration>,
    ) -> Self {
        Self {
            writer,
            trailers,
            has_room,
            abandoned: false,
            keep_alive,
        }
    }

    /// `tally` is that of the whole exchange.
    pub(crate) fn finish(self, tally: Tally) {
        let trailers = self.trailers;
        self.writer.finish(Ok(Ending { trailers, tally }));
    }

    pub(crate) fn fail(self, error: Error) {
        self.writer.finish(Err(error));
    }

    /// Looks again whether the reader has made room. Called before a pump.
    pub(crate) fn refresh(&mut self) {
        if !self.has_room {
            let credit = self.writer.credit();
            self.note(credit);
        }
    }

    /// Whether nobody will ever read this. What still comes is to be drained.
    pub(crate) fn is_abandoned(&self) -> bool {
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
            Event::ChunkEnd => {
                let credit = self.writer.mark();
                self.note(credit);
            }
            Event::Trailers(trailers) => self.trailers = Some(Box::new(trailers)),
            Event::Head(_) | Event::Informational(_) | Event::End | Event::Upgrade => {}
        }
    }

    fn has_room(&self) -> bool {
        self.has_room
    }
}

/// Into an outlet what one read brings, and then no further: its reader is the
/// very thread that drives, and has something to read.
#[derive(Debug)]
pub(crate) struct Sip<'a> {
    outlet: &'a mut Outlet,
    given: bool,
}

impl<'a> Sip<'a> {
    pub(crate) fn new(outlet: &'a mut Outlet) -> Self {
        let given = false;
        Self { outlet, given }
    }

    /// Whether the reader has something to read now.
    pub(crate) fn is_done(&self) -> bool {
        self.given || !self.outlet.has_room
    }
}

impl Sink for Sip<'_> {
    fn event(&mut self, event: Event) {
        self.given |= matches!(event, Event::Data(_) | Event::ChunkEnd);
        self.outlet.event(event);
    }

    fn has_room(&self) -> bool {
        self.outlet.has_room()
    }

    fn reads_on(&self) -> bool {
        !self.is_done()
    }
}
