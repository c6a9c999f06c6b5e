//! One HTTP/1.1 connection, seen from the client: who may speak now, and what
//! becomes of the connection.
//!
//! Sending and receiving are two machines side by side, because a final reply
//! may come while the upload still runs (SPEC B9):
//!
//! ```text
//! Sending     Idle ─begin─┬─► AwaitContinue ─100, proceed, send─┐
//!                         ├───────────────────────────────────► Body ─finish_send─► Done
//!                         └─no body─► Done                       │
//!             AwaitContinue, Body ─final head, fault─► Stopped ◄─┘
//!
//! Receiving   Idle ─begin─► Head ─┬─1xx─► Head
//!                                 ├─► Body ─last byte─► (End) ─► Done
//!                                 └─101, 2xx to CONNECT─► Upgrade ─► Closed
//!             any ─fault─► Closed
//! ```
//!
//! The law of use: after every change of the input call [`Machine::receive`]
//! until it gives `None`, and change the input only by appending. A connection
//! carries another exchange only from `Done`/`Done`, with no [`CloseReason`]
//! and no byte left over (SPEC P2); `reset` then leads back to `Idle`/`Idle`.
//!
//! Every call of `receive` that returns an event has consumed input or moved
//! to a later state, so draining ends. What the machine holds is bounded: the
//! input it leaves in place is at most one head or trailer section within its
//! limits, beyond which it faults.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use http::{Method, StatusCode, Version};

use super::body::Decoder;
use super::encode::{self, Encoder};
use super::parse::{self, Coding, Facts, HeadSearch};
use crate::head::{BodyLength, RequestHead, ResponseHead};
use crate::proto::{CloseReason, Event, Fault, FramingFault, HeadFault};

/// Informational replies to one request; a peer that sends more of them than
/// this is not informing anybody.
const MAX_INFORMATIONAL: u8 = 64;

/// Least bound on a whole head. Without one the other limits would multiply to
/// a megabyte for each connection.
const HEAD_TOTAL: usize = 256 * 1024;

/// Limits of heads and trailer sections (SPEC S21), in bytes and fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Bytes of the status line, without its line end.
    pub(crate) max_line: usize,
    /// Bytes of one field, name and colon and folded lines included.
    pub(crate) max_field: usize,
    pub(crate) max_fields: usize,
    /// What is doubtful is refused instead of read the safe way (SPEC R38).
    pub(crate) strict: bool,
    /// Ends of chunks are told (SPEC R33).
    pub(crate) marks: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_line: 8190,
            max_field: 8190,
            max_fields: 128,
            strict: false,
            marks: false,
        }
    }
}

impl Limits {
    /// Bound on all lines together: 256 KiB, or more where a larger limit on
    /// one of its parts would be void otherwise. Offsets must fit in 32 bits.
    pub(super) fn max_total(&self) -> usize {
        let parts = self.max_line.saturating_add(self.max_field);
        let parts = parts.saturating_add(self.max_fields.saturating_mul(128));
        parts.clamp(HEAD_TOTAL, 1 << 30)
    }
}

#[derive(Debug)]
enum Sending {
    Idle,
    /// The head is out, the body waits for a 100 (RFC 9110 §10.1.1).
    AwaitContinue(Encoder),
    Body(Encoder),
    Done,
    /// The rest of the body will not be sent.
    Stopped,
}

#[derive(Debug)]
enum Receiving {
    Idle,
    Head(HeadSearch),
    Body(Decoder),
    /// The head of an upgrade has been handed out, the event has not.
    Upgrade,
    Done,
    /// Nothing more is read as HTTP: after an upgrade, or a fault.
    Closed,
}

/// What the reply's meaning depends on in the request.
#[derive(Clone, Copy, Debug, Default)]
struct Asked {
    is_head: bool,
    is_connect: bool,
    upgrade: bool,
    read_until_eof: bool,
    /// Set for a body with a length, to name it when somebody sends too much.
    declared: u64,
}

/// The protocol state of one connection.
#[derive(Debug)]
pub(crate) struct Machine {
    sending: Sending,
    receiving: Receiving,
    limits: Limits,
    asked: Asked,
    informational: u8,
    close_reason: Option<CloseReason>,
}

impl Machine {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            sending: Sending::Idle,
            receiving: Receiving::Idle,
            limits,
            asked: Asked::default(),
            informational: 0,
            close_reason: None,
        }
    }

    /// Starts an exchange: encodes the head and expects a reply.
    ///
    /// With `read_until_eof` off, a reply with neither length nor chunking has
    /// an empty body instead of one that lasts until close (SPEC Q12).
    pub(crate) fn begin(
        &mut self,
        head: &RequestHead,
        limits: Limits,
        read_until_eof: bool,
        out: &mut Vec<u8>,
    ) {
        debug_assert!(
            matches!(
                (&self.sending, &self.receiving),
                (Sending::Idle, Receiving::Idle)
            ),
            "an exchange begins on an idle connection"
        );
        encode::head(head, out);
        self.limits = limits;
        self.informational = 0;
        self.asked = Asked {
            is_head: head.method == Method::HEAD,
            is_connect: head.method == Method::CONNECT,
            upgrade: head.fields.contains("upgrade"),
            read_until_eof,
            declared: 0,
        };
        let encoder = match head.body {
            BodyLength::Empty | BodyLength::Known(0) => None,
            BodyLength::Known(declared) => {
                self.asked.declared = declared;
                Some(Encoder::Known {
                    declared,
                    left: declared,
                })
            }
            BodyLength::Chunked => Some(Encoder::Chunked),
        };
        self.sending = match encoder {
            None => Sending::Done,
            Some(encoder) if head.expect_continue => Sending::AwaitContinue(encoder),
            Some(encoder) => Sending::Body(encoder),
        };
        self.receiving = Receiving::Head(HeadSearch::new());

        let says = |token: &[u8]| {
            head.fields.contains("connection")
                && head
                    .fields
                    .all("connection")
                    .any(|value| parse::has_token(value, token))
        };
        if says(b"close") {
            self.note(CloseReason::Requested);
        } else if head.version == Version::HTTP_10 && !says(b"keep-alive") {
            self.note(CloseReason::Http10);
        }
    }

    /// Whether the driver may call [`Self::send`] now.
    pub(crate) fn wants_body(&self) -> bool {
        matches!(self.sending, Sending::Body(_))
    }

    pub(crate) fn awaits_continue(&self) -> bool {
        matches!(self.sending, Sending::AwaitContinue(_))
    }

    /// Ends the wait for a 100: it came, or the driver waited long enough
    /// (SPEC Q11). The body may follow.
    pub(crate) fn proceed(&mut self) {
        if let Sending::AwaitContinue(encoder) = self.sending {
            self.sending = Sending::Body(encoder);
        }
    }

    /// Frames one piece of the upload; an empty piece is nothing. Once the
    /// upload has stopped, pieces still under way are dropped.
    pub(crate) fn send(&mut self, data: Bytes, out: &mut VecDeque<Bytes>) -> Result<(), Fault> {
        // A client need not wait for the 100 it asked for.
        self.proceed();
        let sent = match &mut self.sending {
            Sending::Body(encoder) => encoder.send(data, out),
            Sending::Stopped => Ok(()),
            _ if data.is_empty() => Ok(()),
            Sending::Idle | Sending::AwaitContinue(_) | Sending::Done => Err(Fault::UploadLength {
                declared: self.asked.declared,
                offered: self.asked.declared.saturating_add(data.len() as u64),
            }),
        };
        sent.inspect_err(|_| self.fail_upload())
    }

    /// The upload has no more pieces: writes the last chunk, or checks that
    /// the declared length was reached (SPEC H5).
    pub(crate) fn finish_send(&mut self, out: &mut VecDeque<Bytes>) -> Result<(), Fault> {
        self.proceed();
        if let Sending::Body(encoder) = self.sending {
            encoder.finish(out).inspect_err(|_| self.fail_upload())?;
            self.sending = Sending::Done;
        }
        Ok(())
    }

    /// Nothing more will be sent for this exchange.
    pub(crate) fn is_sent(&self) -> bool {
        matches!(self.sending, Sending::Done | Sending::Stopped)
    }

    /// Whether all of the request has been framed.
    pub(crate) fn is_sent_whole(&self) -> bool {
        matches!(self.sending, Sending::Done)
    }

    /// Reads on. `None` means that the machine needs more bytes, or that the
    /// reply is complete; bytes behind a complete reply stay in `input`. Behind
    /// [`Event::End`] nothing comes, so nobody need ask again.
    #[inline]
    pub(crate) fn receive(&mut self, input: &mut BytesMut) -> Result<Option<Event>, Fault> {
        // Asked twice an exchange before anything has come, and answered by the
        // one who asks.
        match self.receiving {
            Receiving::Head(_) if input.is_empty() => Ok(None),
            _ => self.receive_some(input),
        }
    }

    fn receive_some(&mut self, input: &mut BytesMut) -> Result<Option<Event>, Fault> {
        let event = match &mut self.receiving {
            Receiving::Idle | Receiving::Done => {
                self.judge_rest(input);
                Ok(None)
            }
            Receiving::Closed => Ok(None),
            Receiving::Upgrade => {
                self.receiving = Receiving::Closed;
                Ok(Some(Event::Upgrade))
            }
            Receiving::Head(search) => match parse::head(search, input, &self.limits) {
                Ok(Some((head, facts))) => self.take_head(head, facts).map(Some),
                Ok(None) => Ok(None),
                Err(fault) => Err(fault),
            },
            Receiving::Body(decoder) => decoder.decode(input, &self.limits),
        };
        match &event {
            Ok(Some(Event::End)) => {
                self.receiving = Receiving::Done;
                self.judge_rest(input);
            }
            Ok(_) => {}
            Err(_) => self.fail(),
        }
        event
    }

    /// The peer has closed its side; `input` holds its last bytes. Call until
    /// it gives `None` or a fault. `None` when no reply was cut short.
    pub(crate) fn receive_eof(&mut self, input: &mut BytesMut) -> Result<Option<Event>, Fault> {
        // Reasons that the last bytes hold come first: they say more.
        if let Some(event) = self.receive(input)? {
            if event == Event::End {
                self.note(CloseReason::PeerClosing);
            }
            return Ok(Some(event));
        }
        let ending = match &self.receiving {
            Receiving::Idle | Receiving::Done | Receiving::Closed | Receiving::Upgrade => {
                self.note(CloseReason::PeerClosing);
                return Ok(None);
            }
            Receiving::Head(_) => Err(Fault::Disconnected {
                partial: self.informational > 0 || !input.is_empty(),
            }),
            Receiving::Body(decoder) => decoder.eof(),
        };
        match ending {
            Ok(event) => {
                self.receiving = Receiving::Done;
                Ok(Some(event))
            }
            Err(fault) => {
                self.fail();
                Err(fault)
            }
        }
    }

    /// Only the end of the connection ends the body that is being read.
    pub(crate) fn reads_until_close(&self) -> bool {
        matches!(self.receiving, Receiving::Body(Decoder::UntilClose))
    }

    /// Between exchanges.
    pub(crate) fn is_idle(&self) -> bool {
        matches!(self.receiving, Receiving::Idle)
    }

    /// The reply is complete; the upload need not be.
    pub(crate) fn is_complete(&self) -> bool {
        matches!(self.receiving, Receiving::Done)
    }

    /// The first reason found why this connection cannot be used again.
    pub(crate) fn close_reason(&self) -> Option<CloseReason> {
        self.close_reason
    }

    /// Notes a reason from outside, unless there is one already.
    pub(crate) fn force_close(&mut self, reason: CloseReason) {
        self.note(reason);
    }

    /// Whether another exchange may follow, with this many bytes unread.
    pub(crate) fn is_reusable(&self, leftover: usize) -> bool {
        leftover == 0
            && self.close_reason.is_none()
            && matches!(
                (&self.sending, &self.receiving),
                (Sending::Done, Receiving::Done)
            )
    }

    /// Back to idle, for the next exchange on a reusable connection.
    pub(crate) fn reset(&mut self) {
        debug_assert!(self.is_reusable(0), "only a reusable connection is reset");
        self.sending = Sending::Idle;
        self.receiving = Receiving::Idle;
    }

    /// Bytes still to come of a body whose length is known; it helps to decide
    /// whether reading the rest is cheaper than a new connection.
    pub(crate) fn body_remaining(&self) -> Option<u64> {
        match &self.receiving {
            Receiving::Body(decoder) => decoder.remaining(),
            Receiving::Done => Some(0),
            _ => None,
        }
    }

    fn take_head(&mut self, head: ResponseHead, facts: Facts) -> Result<Event, Fault> {
        let status = head.status();
        let is_upgrade = if status == StatusCode::SWITCHING_PROTOCOLS {
            if !self.asked.upgrade {
                return Err(Fault::BadHead(HeadFault::UnaskedUpgrade));
            }
            true
        } else if status.is_informational() {
            return self.take_informational(head);
        } else {
            self.asked.is_connect && status.is_success()
        };

        // The reasons in the order in which a reader of a log would want them.
        if is_upgrade {
            self.note(CloseReason::Upgraded);
            self.receiving = Receiving::Upgrade;
        } else {
            // RFC 9112 §9.3; `close` outweighs everything else.
            if facts.close {
                self.note(CloseReason::PeerClosing);
            } else if head.version() == Version::HTTP_10 && !facts.keep_alive {
                self.note(CloseReason::Http10);
            }
            let decoder = self.frame(&head, facts).map_err(Fault::BadFraming)?;
            self.receiving = Receiving::Body(decoder);
        }
        self.stop_upload();
        Ok(Event::Head(head))
    }

    fn take_informational(&mut self, head: ResponseHead) -> Result<Event, Fault> {
        if self.informational == MAX_INFORMATIONAL {
            return Err(Fault::BadHead(HeadFault::TooManyInformational));
        }
        self.informational += 1;
        if head.status() == StatusCode::CONTINUE {
            self.proceed();
        }
        self.receiving = Receiving::Head(HeadSearch::new());
        Ok(Event::Informational(head))
    }

    /// How the body ends: RFC 9112 §6.3, whose numbers the comments bear.
    fn frame(&mut self, head: &ResponseHead, facts: Facts) -> Result<Decoder, FramingFault> {
        // 1: these have no body, whatever their fields say. (2, a 2xx to
        // CONNECT, has not come here.)
        if self.asked.is_head
            || matches!(
                head.status(),
                StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
            )
        {
            return Ok(Decoder::length(0));
        }
        let coding = facts.coding?;
        if self.limits.strict {
            let beside = coding == Coding::Chunked
                && (facts.length != Ok(None) || head.version() == Version::HTTP_10);
            if facts.is_doubtful || beside {
                return Err(FramingFault::Doubtful);
            }
        }
        if facts.is_doubtful {
            self.note(CloseReason::DoubtfulFraming);
        }
        if coding == Coding::Chunked {
            // §6.1: HTTP/1.0 has no such field, so somebody on the way may not
            // have understood it. Whoever wrote it meant it, though: read as
            // chunks, checked as chunks, and closed after that.
            if head.version() == Version::HTTP_10 {
                self.note(CloseReason::DoubtfulFraming);
            }
            // 3: chunked overrides a length, even a malformed one, but the two
            // together smell of smuggling.
            if facts.length != Ok(None) {
                self.note(CloseReason::LengthBesideChunked);
            }
            return Ok(Decoder::chunked());
        }
        // 5, 6
        if let Some(length) = facts.length? {
            return Ok(Decoder::length(length));
        }
        // 8. Whatever is taken for its body, for the server it lasts until close:
        // what came later would be read as the answer to another request.
        self.note(CloseReason::CloseDelimited);
        if self.asked.read_until_eof {
            Ok(Decoder::UntilClose)
        } else {
            Ok(Decoder::length(0))
        }
    }

    /// A final reply has come. If the upload still runs it stops here: what
    /// the peer has not read by now it does not want (SPEC B9), and a body cut
    /// short leaves the connection unusable. A body whose every byte is handed
    /// over, only not yet declared finished, is complete.
    fn stop_upload(&mut self) {
        self.sending = match self.sending {
            Sending::Body(encoder) if encoder.is_complete() => Sending::Done,
            Sending::Body(_) | Sending::AwaitContinue(_) => {
                self.note(CloseReason::EarlyResponse);
                Sending::Stopped
            }
            _ => return,
        };
    }

    /// What has come behind a complete reply.
    fn judge_rest(&mut self, input: &BytesMut) {
        if !input.is_empty() {
            self.note(CloseReason::SurplusBytes);
        }
    }

    fn fail_upload(&mut self) {
        self.note(CloseReason::Failed);
        self.sending = Sending::Stopped;
    }

    fn fail(&mut self) {
        self.note(CloseReason::Failed);
        self.receiving = Receiving::Closed;
        if !self.is_sent() {
            self.sending = Sending::Stopped;
        }
    }

    fn note(&mut self, reason: CloseReason) {
        self.close_reason.get_or_insert(reason);
    }
}
