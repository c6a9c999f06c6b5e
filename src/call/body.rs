//! The body of a request: in memory, or from a source that is read while it is
//! sent.

use std::fmt;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderValue;

use crate::error::{Error, Kind, Phase};
use crate::job::{Begin, Pieces, Upload};

/// What a request carries. Cloning shares it: a source that can be read once is
/// spent by whoever begins first.
#[derive(Clone)]
pub(crate) struct RequestBody(Arc<Parts>);

struct Parts {
    content: Content,
    content_type: Option<HeaderValue>,
}

#[derive(Clone)]
pub(crate) enum Content {
    Memory(Pieces),
    Source(Arc<dyn Source>),
}

/// Where a body comes from that is not in memory. Its user's code (readers,
/// iterators, callbacks) runs nowhere but in what [`open`](Source::open) gives.
pub(crate) trait Source: Send + Sync {
    /// The whole length, where it is known.
    fn length(&self) -> Option<u64>;

    /// Whether it can be read from its beginning any number of times.
    fn is_replayable(&self) -> bool;

    /// Whether it has been begun and cannot be again. What nobody has begun can
    /// be sent by another exchange, be it replayable or not.
    fn is_spent(&self) -> bool;

    /// Claims one reading. Runs no user code and does not block.
    ///
    /// # Errors
    /// It is spent.
    fn open(&self) -> Result<Opening, Spent>;

    /// How an exchange fills its feed, called when its driver asks for the
    /// first byte.
    fn begin(self: Arc<Self>) -> Begin;
}

/// Opens what was claimed, on the thread that reads it: user code, may block.
pub(crate) type Opening = Box<dyn FnOnce() -> io::Result<Box<dyn Pull>> + Send>;

/// A body being read, piece by piece. User code, may block.
pub(crate) trait Pull: Send {
    /// The next piece; `None` at the end. An empty piece is nothing.
    fn next(&mut self) -> io::Result<Option<Bytes>>;
}

/// A source that can be read once has been.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spent;

impl From<Spent> for Error {
    fn from(_: Spent) -> Self {
        let message = "the request body cannot be sent a second time";
        Self::new(Kind::BodyNotReplayable, message).with_phase(Phase::Send)
    }
}

impl RequestBody {
    /// What is said of the type of nothing is nothing (SPEC H6).
    pub(crate) fn new(content: Content, content_type: Option<HeaderValue>) -> Self {
        let is_empty = content.length() == Some(0);
        Self(Arc::new(Parts {
            content,
            content_type: content_type.filter(|_| !is_empty),
        }))
    }

    /// The type that is announced unless the request has one of its own.
    pub(crate) fn content_type(&self) -> Option<&HeaderValue> {
        self.0.content_type.as_ref()
    }

    pub(crate) fn content(&self) -> &Content {
        &self.0.content
    }

    /// The whole length, where it is known.
    pub(crate) fn length(&self) -> Option<u64> {
        self.0.content.length()
    }

    /// Whether this can be sent any number of times (SPEC B8).
    pub(crate) fn is_replayable(&self) -> bool {
        match &self.0.content {
            Content::Memory(_) => true,
            Content::Source(source) => source.is_replayable(),
        }
    }

    /// Whether it cannot be sent any more: it has been begun, and is not
    /// replayable. What asks before a redirect or a second attempt asks this.
    pub(crate) fn is_spent(&self) -> bool {
        match &self.0.content {
            Content::Memory(_) => false,
            Content::Source(source) => source.is_spent(),
        }
    }

    /// The body for one exchange.
    pub(crate) fn upload(&self) -> Upload {
        match &self.0.content {
            Content::Memory(pieces) => pieces.clone().into(),
            Content::Source(source) => Upload::later(Arc::clone(source).begin()),
        }
    }
}

impl Content {
    pub(crate) fn length(&self) -> Option<u64> {
        match self {
            Self::Memory(pieces) => Some(pieces.len()),
            Self::Source(source) => source.length(),
        }
    }

    /// Claims one reading of it: see [`Source::open`].
    pub(crate) fn open(&self) -> Result<Opening, Spent> {
        match self {
            Self::Memory(pieces) => {
                let pieces = InMemory(pieces.clone());
                Ok(Box::new(move || Ok(Box::new(pieces))))
            }
            Self::Source(source) => source.open(),
        }
    }
}

/// What is in memory as something to be read.
pub(crate) struct InMemory(pub(crate) Pieces);

impl Pull for InMemory {
    fn next(&mut self) -> io::Result<Option<Bytes>> {
        // As much as others give at a time.
        const PIECE: usize = 64 * 1024;
        Ok((!self.0.is_empty()).then(|| self.0.take(PIECE)))
    }
}

impl fmt::Debug for RequestBody {
    // A body is the caller's own business, and may be long.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.length() {
            Some(length) => write!(f, "RequestBody({length} bytes)"),
            None => f.write_str("RequestBody(of unknown length)"),
        }
    }
}
