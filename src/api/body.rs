//! A response body on its way to the caller: taken from the pipe that the reactor
//! fills, or this very thread, and inflated here.

mod marks;

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::HeaderMap;

use super::cancel::{Aim, CancelHandle};
use super::connector::Connector;
use crate::call::{About, ReadLimits, Reading};
use crate::coding::{CodingFault, Decoder, Limits};
use crate::error::{Error, Kind, Phase};
use crate::handoff::pipe::{Item, PipeReader};
use crate::head::Trailers;
use crate::job::{BodyEnd, Cancel, Command, Ending, ExchangeId, ReplyBody, Stats, Tally, Tunnel};

/// Decoded output is made in pieces of this size.
const DECODED: usize = 32 * 1024;

pub(crate) struct Body {
    source: Source,
    /// Most bodies are not coded, and a response is moved a few times.
    decoding: Option<Box<Decoding>>,
    trailers: Trailers,
    /// What the whole exchange moved, once its end has come through a pipe.
    tally: Option<Tally>,
    /// Rarely any.
    unread: Option<Box<Unread>>,
    limits: ReadLimits,
    /// Decoded bytes that were handed out.
    given: u64,
    /// Whether the end of a chunk is an empty piece, or nothing.
    stops: bool,
    /// That end was met.
    at_mark: bool,
    about: Arc<About>,
    id: ExchangeId,
    /// The way to whoever brings the rest; none where nothing is to come.
    connector: Option<Connector>,
    /// None while only what is here is wanted.
    driver: Option<Driver>,
    /// This side may take out what the pool has parked.
    leased: bool,
}

/// What was handed out and given back (SPEC R36): the last is next.
struct Unread(Vec<Bytes>);

/// A body that is inflated on its way.
struct Decoding {
    decoder: Decoder,
    /// Received and not yet decoded.
    coded: Bytes,
    /// The decoder gave something when it was last asked, so it may hold more
    /// of what it took in.
    holds_more: bool,
    scratch: Vec<u8>,
}

/// Who goes on with a body that is not all there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Driver {
    /// The thread that asks for it: [`Body::poll_chunk`] may block.
    Caller,
    Reactor,
}

enum Source {
    Whole(Bytes, Trailers),
    Stream(PipeReader<BodyEnd>),
    /// There is none, but a connection.
    Upgraded(Box<dyn Tunnel>),
    /// Everything was received; the decoder may hold more.
    Ended,
    /// Everything was handed out.
    Finished,
    Failed(Error),
}

impl Body {
    pub(crate) fn new(
        body: ReplyBody,
        limits: ReadLimits,
        about: Arc<About>,
        id: ExchangeId,
        connector: &Connector,
        leased: bool,
    ) -> Self {
        let (source, connector) = match body {
            ReplyBody::Whole(bytes, trailers) => (Source::Whole(bytes, trailers), None),
            ReplyBody::Stream(reader) => (Source::Stream(reader), Some(connector.clone())),
            ReplyBody::Upgraded(tunnel) => (Source::Upgraded(tunnel), Some(connector.clone())),
        };
        Self {
            source,
            decoding: None,
            trailers: None,
            tally: None,
            unread: None,
            limits,
            given: 0,
            stops: false,
            at_mark: false,
            about,
            id,
            connector,
            driver: Some(Driver::Reactor),
            leased,
        }
    }

    /// The body of a response that is looked at by somebody who has the body.
    pub(crate) fn spent(about: Arc<About>) -> Self {
        Self {
            source: Source::Finished,
            decoding: None,
            trailers: None,
            tally: None,
            unread: None,
            limits: Reading::default().limits,
            given: 0,
            stops: false,
            at_mark: false,
            about,
            id: ExchangeId::next(),
            connector: None,
            driver: None,
            leased: false,
        }
    }

    /// The connection of a response that has switched protocols.
    pub(crate) fn into_tunnel(mut self) -> Option<(Box<dyn Tunnel>, Connector, ExchangeId)> {
        let connector = self.connector.clone()?;
        match std::mem::replace(&mut self.source, Source::Finished) {
            Source::Upgraded(tunnel) => Some((tunnel, connector, self.id)),
            other => {
                self.source = other;
                None
            }
        }
    }

    /// Says who goes on with it. What a caller has carried so far the reactor
    /// then carries on, by itself.
    pub(crate) fn driven_by(&mut self, driver: Driver) {
        self.driver = Some(driver);
        if driver == Driver::Reactor
            && let Source::Stream(_) = self.source
        {
            self.hand_over();
        }
    }

    /// Whether this is not the process that made the request.
    fn is_foreign(&self) -> bool {
        self.connector
            .as_ref()
            .is_some_and(|connector| !connector.is_home())
    }

    /// What the network fills, but not in a child of the process, where its lock may be
    /// held for ever.
    fn pipe(&self) -> Option<&PipeReader<BodyEnd>> {
        match &self.source {
            Source::Stream(reader) if !self.is_foreign() => Some(reader),
            _ => None,
        }
    }

    fn tell(&self, command: Command) {
        if let Some(connector) = &self.connector {
            connector.tell(command);
        }
    }

    /// The reactor has it from here on.
    pub(crate) fn hand_over(&mut self) {
        if std::mem::take(&mut self.leased) {
            self.tell(Command::Wake(self.id));
        }
    }

    /// Decodes what the head says is coded (SPEC R39). A fault of the head is
    /// the body's first error.
    pub(crate) fn decode(&mut self) {
        let head = &self.about.head;
        // Behind a switch of protocols no body comes, whatever the head says.
        if head.first("content-encoding").is_none() || matches!(self.source, Source::Upgraded(_)) {
            return;
        }
        let limits = Limits {
            max_ratio: self.limits.max_decode_ratio,
            ..Limits::default()
        };
        match Decoder::new(head.values("content-encoding"), limits) {
            Ok(decoder) => {
                self.decoding = decoder.map(|decoder| {
                    Box::new(Decoding {
                        decoder,
                        coded: Bytes::new(),
                        holds_more: false,
                        scratch: Vec::new(),
                    })
                });
            }
            Err(fault) => {
                let error = self.coding_error(fault);
                self.fail(error);
            }
        }
    }

    /// All of it, where it is there and needs nothing but to be handed out: the
    /// everyday case of a small answer, without the machinery of the others.
    pub(crate) fn take_whole(&mut self) -> Option<Bytes> {
        let ReadLimits {
            max_buffered,
            max_body_size,
            ..
        } = self.limits;
        let fits =
            |bytes: &Bytes| bytes.len() <= max_buffered && bytes.len() as u64 <= max_body_size;
        match &mut self.source {
            Source::Whole(bytes, trailers)
                if self.decoding.is_none() && self.unread.is_none() && fits(bytes) =>
            {
                self.trailers = trailers.take();
                let bytes = std::mem::take(bytes);
                self.source = Source::Ended;
                Some(bytes)
            }
            _ => None,
        }
    }

    /// The next piece, as it comes; `None` at the end. What is past the largest
    /// size is not handed out (SPEC R40).
    pub(crate) fn poll_chunk(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, Error>> {
        if let Some(Unread(pieces)) = self.unread.as_deref_mut() {
            match pieces.pop() {
                Some(piece) => return Poll::Ready(Ok(Some(piece))),
                None => self.unread = None,
            }
        }
        let most = self.limits.max_body_size;
        if most == u64::MAX {
            return self.poll_piece(cx);
        }
        if self.announced().is_some_and(|length| length > most) {
            self.fail(self.too_large());
        }
        let mut piece = match self.poll_piece(cx) {
            Poll::Ready(Ok(Some(piece))) => piece,
            other => return other,
        };
        let room = most - self.given;
        if piece.len() as u64 > room {
            let error = self.too_large();
            self.fail(error.clone());
            if room == 0 {
                return Poll::Ready(Err(error));
            }
            // No more than a piece has bytes, which fit a usize.
            piece.truncate(room as usize);
        }
        self.given += piece.len() as u64;
        Poll::Ready(Ok(Some(piece)))
    }

    /// The length of a body that is still to come and is not coded.
    fn announced(&self) -> Option<u64> {
        let head = &self.about.head;
        match (&self.source, &self.decoding) {
            // SPEC R38: a length beside chunks does not count.
            (Source::Stream(_), None) if head.first("transfer-encoding").is_none() => {
                let length = std::str::from_utf8(head.first("content-length")?).ok()?;
                length.parse().ok()
            }
            _ => None,
        }
    }

    fn too_large(&self) -> Error {
        let limit = self.limits.max_body_size;
        let message = format!("the body is larger than the {limit} bytes allowed");
        self.context(Error::new(Kind::Limit, message).with_phase(Phase::Body))
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Error>> {
        loop {
            if let Some(result) = self.decoded() {
                return Poll::Ready(result);
            }
            match self.poll_received(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => {
                    self.fail(error.clone());
                    return Poll::Ready(Err(error));
                }
                Poll::Ready(Ok(Some(data))) if data.is_empty() && self.stops_here() => {
                    return Poll::Ready(Ok(Some(data)));
                }
                Poll::Ready(Ok(received)) => match (received, &mut self.decoding) {
                    (Some(data), None) if data.is_empty() => {}
                    (Some(data), None) => return Poll::Ready(Ok(Some(data))),
                    (Some(data), Some(decoding)) => decoding.coded = data,
                    (None, None) => return Poll::Ready(Ok(None)),
                    // The decoder has the last word.
                    (None, Some(_)) => {}
                },
            }
        }
    }

    /// The next piece if it is here, without doing anything for it: neither this
    /// thread nor the reactor is set to work. `None`: it has not come yet.
    pub(crate) fn now(&mut self) -> Option<Result<Option<Bytes>, Error>> {
        let driver = self.driver.take();
        let polled = self.poll_chunk(&mut Context::from_waker(Waker::noop()));
        self.driver = driver;
        match polled {
            Poll::Ready(next) => Some(next),
            Poll::Pending => None,
        }
    }

    /// Takes a piece back, to hand it out again before all others.
    pub(crate) fn unread(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            let Unread(pieces) = &mut **self
                .unread
                .get_or_insert_with(|| Box::new(Unread(Vec::new())));
            pieces.push(piece);
        }
    }

    /// Whether the end has been received, whatever of it is read (SPEC R35).
    pub(crate) fn is_eof(&self) -> bool {
        match &self.source {
            Source::Whole(..) | Source::Upgraded(_) | Source::Ended | Source::Finished => true,
            Source::Stream(_) => self.pipe().is_some_and(|pipe| pipe.has_end(Result::is_ok)),
            Source::Failed(_) => false,
        }
    }

    /// Whether more may come over a connection.
    pub(crate) fn is_coming(&self) -> bool {
        match &self.source {
            Source::Stream(_) => self.pipe().is_some_and(|pipe| !pipe.has_end(|_| true)),
            Source::Upgraded(_) => true,
            _ => false,
        }
    }

    /// What it has failed with, and fails with whenever it is read (SPEC R36).
    pub(crate) fn error(&self) -> Option<&Error> {
        match &self.source {
            Source::Failed(error) => Some(error),
            _ => None,
        }
    }

    /// Whether it is inflated on its way.
    pub(crate) fn is_decoded(&self) -> bool {
        self.decoding.is_some()
    }

    /// Gives it up, with its connection if the end has not come yet (SPEC R25).
    pub(crate) fn close(&mut self) {
        self.unread = None;
        let error = Error::new(Kind::Closed, "the response was closed").with_phase(Phase::Body);
        self.end(self.context(error), Cancel::Abort);
    }

    /// What the decoder can give without more input. `None`: it needs more, or
    /// there is no decoder.
    fn decoded(&mut self) -> Option<Result<Option<Bytes>, Error>> {
        let decoding = self.decoding.as_mut()?;
        // What the decoder holds is asked for before the network is: the tail
        // of an event must not wait for the next one.
        let all_given = decoding.coded.is_empty() && !decoding.holds_more;
        if let Source::Finished = self.source {
            return Some(Ok(None));
        }
        if let Source::Failed(error) = &self.source
            && all_given
        {
            return Some(Err(error.clone()));
        }
        let Decoding {
            decoder,
            coded,
            scratch,
            ..
        } = &mut **decoding;
        scratch.resize(DECODED, 0);
        let decoded = match (all_given, &self.source) {
            (false, _) => decoder.decode(coded, scratch),
            (true, Source::Ended) => decoder.finish(scratch),
            (true, Source::Finished) => Ok(0),
            (true, _) => return None,
        };
        decoding.holds_more = matches!(decoded, Ok(1..));
        match decoded {
            // Only `finish` knows the end: the last bytes may have decoded to
            // nothing because they are cut short.
            Ok(0) if all_given && matches!(self.source, Source::Ended | Source::Finished) => {
                self.source = Source::Finished;
                decoding.scratch = Vec::new();
                Some(Ok(None))
            }
            Ok(0) => None,
            Ok(n) => Some(Ok(Some(Bytes::copy_from_slice(&decoding.scratch[..n])))),
            Err(fault) => {
                let error = self.coding_error(fault);
                self.fail(error.clone());
                Some(Err(error))
            }
        }
    }

    /// What the network brought next.
    fn poll_received(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Error>> {
        // Nobody fills the pipe of a child of the process, and its lock may be held for
        // ever there.
        if matches!(self.source, Source::Stream(_)) && self.is_foreign() {
            return Poll::Ready(Err(self.context(Error::closed())));
        }
        let (item, refill) = loop {
            match &mut self.source {
                Source::Stream(reader) => match reader.poll_next(cx) {
                    Poll::Ready(next) => break next,
                    Poll::Pending => {
                        if self.driver.is_none() {
                            return Poll::Pending;
                        }
                        let here = self.leased && self.driver == Some(Driver::Caller);
                        if here && reads_on(self.connector.as_ref(), self.id) {
                            continue;
                        }
                        // Taken over meanwhile: the reactor may wait for room
                        // that was made when it was not yet to be told.
                        self.hand_over();
                        return Poll::Pending;
                    }
                },
                Source::Whole(bytes, trailers) => {
                    self.trailers = trailers.take();
                    let bytes = std::mem::take(bytes);
                    self.source = Source::Ended;
                    return Poll::Ready(Ok(Some(bytes)));
                }
                Source::Upgraded(_) | Source::Ended | Source::Finished => {
                    return Poll::Ready(Ok(None));
                }
                Source::Failed(error) => return Poll::Ready(Err(error.clone())),
            }
        };
        if refill {
            // Whoever has filled the pipe so far is, or was, the reactor.
            self.leased = false;
            self.tell(Command::Wake(self.id));
        }
        match item {
            Item::Data(data) => Poll::Ready(Ok(Some(data))),
            Item::Mark => {
                self.at_mark = true;
                Poll::Ready(Ok(Some(Bytes::new())))
            }
            Item::End(Ok(Ending { trailers, tally })) => {
                self.trailers = trailers;
                self.tally = Some(tally);
                self.source = Source::Ended;
                Poll::Ready(Ok(None))
            }
            Item::End(Err(error)) => Poll::Ready(Err(self.context(error))),
            Item::Broken => {
                let ended = self.connector.as_ref().map(Connector::ended);
                let error = ended.unwrap_or_else(Error::closed);
                Poll::Ready(Err(self.context(error.with_phase(Phase::Body))))
            }
        }
    }

    /// The trailer fields, once the body was read to its end.
    pub(crate) fn trailers(&self) -> HeaderMap {
        let trailers = self.trailers.as_ref();
        trailers.map(|fields| fields.to_map()).unwrap_or_default()
    }

    pub(crate) fn max_buffered(&self) -> usize {
        self.limits.max_buffered
    }

    /// The error, with what this body knows of where it comes from.
    pub(crate) fn context(&self, error: Error) -> Error {
        self.about.context(error)
    }

    pub(crate) fn is_truncated(&self) -> bool {
        self.tally.unwrap_or(self.about.facts.tally).truncated
    }

    /// What the exchange has cost, as far as that is known.
    pub(crate) fn stats(&self) -> Stats {
        let stats = self.about.stats();
        match self.tally {
            None => stats,
            Some(tally) => Stats {
                attempts: stats.attempts,
                retries: stats.retries,
                redirects: stats.redirects,
                ..Stats::of(stats.reused, tally)
            },
        }
    }

    pub(crate) fn cancel_handle(&self) -> CancelHandle {
        self.aim().into()
    }

    /// What is to be cancelled, if anything is still to come.
    pub(super) fn aim(&self) -> Option<Aim> {
        let connector = self.connector.as_ref()?;
        Some(Aim::new(connector.downgrade(), self.id))
    }

    fn coding_error(&self, fault: CodingFault) -> Error {
        let kind = match fault {
            CodingFault::Ratio { .. } => Kind::Limit,
            _ => Kind::Payload,
        };
        let error = Error::new(kind, "the body cannot be decoded")
            .with_phase(Phase::Body)
            .with_source(fault);
        self.context(error)
    }

    fn fail(&mut self, error: Error) {
        self.end(error, Cancel::Drain);
    }

    /// From here on this error is all it gives. What still comes is done with
    /// as `cancel` says.
    fn end(&mut self, error: Error, cancel: Cancel) {
        if let Some(decoding) = &mut self.decoding {
            decoding.coded = Bytes::new();
            decoding.holds_more = false;
        }
        let before = std::mem::replace(&mut self.source, Source::Failed(error));
        if let Source::Stream(_) | Source::Upgraded(_) = before {
            if self.is_foreign() {
                // Its lock may be held for ever in the child of a process.
                std::mem::forget(before);
                return;
            }
            self.tell(Command::Cancel(self.id, cancel));
        }
    }
}

fn reads_on(connector: Option<&Connector>, id: ExchangeId) -> bool {
    connector.is_some_and(|connector| connector.read_on(id))
}

impl Drop for Body {
    fn drop(&mut self) {
        if let Source::Stream(_) | Source::Upgraded(_) = self.source {
            if self.is_foreign() {
                // Its lock may be held for ever in the child of a process.
                std::mem::forget(std::mem::replace(&mut self.source, Source::Finished));
                return;
            }
            self.tell(Command::Cancel(self.id, Cancel::Drain));
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.source {
            Source::Whole(..) => "Body(received)",
            Source::Stream(_) => "Body(streaming)",
            Source::Upgraded(_) => "Body(upgraded)",
            Source::Ended | Source::Finished => "Body(read)",
            Source::Failed(_) => "Body(failed)",
        })
    }
}
