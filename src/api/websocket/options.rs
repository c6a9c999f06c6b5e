//! What a WebSocket is told once, before it is connected.

use std::time::Duration;

use crate::error::Error;
use crate::ws::extension::Offer;

/// How a WebSocket behaves once it is open.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// W3: how long each wait for a message may take.
    pub(crate) receive_timeout: Option<Duration>,
    /// W2: how long the peer has for its part of the closing handshake. May be
    /// `Duration::MAX`.
    pub(crate) close_timeout: Duration,
    /// W4: a Close of the peer's is answered.
    pub(crate) autoclose: bool,
    /// W4: a Ping is answered, and neither it nor a Pong shown.
    pub(crate) autoping: bool,
    /// W5.
    pub(crate) heartbeat: Option<Duration>,
    /// W8, in bytes; 0 is no limit.
    pub(crate) max_message_size: usize,
    /// W7. That it is set does not say that the server has agreed.
    pub(crate) deflate: Option<PerMessageDeflate>,
    /// The session's.
    #[cfg(feature = "json")]
    pub(crate) json_serializer: Option<crate::api::session::JsonSerializer>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            receive_timeout: None,
            close_timeout: Duration::from_secs(10),
            autoclose: true,
            autoping: true,
            heartbeat: None,
            max_message_size: 4 * 1024 * 1024,
            deflate: None,
            #[cfg(feature = "json")]
            json_serializer: None,
        }
    }
}

/// Compression of a WebSocket's messages (`permessage-deflate`, RFC 7692), as it is
/// offered to the server ([`WebSocketBuilder::compress`](crate::WebSocketBuilder::compress),
/// SPEC W7). The server may decline it, or ask for less; then both sides do with
/// that.
///
/// To compress costs 250 to 370 KiB of memory by the size of the window, and to
/// decompress 45 KiB, both from the first message that is. A side that keeps its window from message to
/// message (*context takeover*) packs small messages that are like one another far
/// better, and keeps its memory.
///
/// What is wrong with it comes out at the verb, as an error of kind
/// [`InvalidRequest`](crate::Kind::InvalidRequest).
///
/// ```
/// use miohttp::PerMessageDeflate;
///
/// // For many sockets that send little: no memory between two messages.
/// let frugal = PerMessageDeflate::new()
///     .client_window(10)
///     .client_takeover(false)
///     .server_takeover(false);
/// # drop(frugal);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct PerMessageDeflate {
    pub(crate) client_window: u8,
    pub(crate) server_window: u8,
    pub(crate) client_takeover: bool,
    pub(crate) server_takeover: bool,
    pub(crate) level: u8,
    pub(crate) threshold: usize,
}

impl PerMessageDeflate {
    /// The largest windows, kept from message to message on both sides, at level
    /// 6, for messages of 1 KiB and more.
    pub fn new() -> Self {
        Self {
            client_window: 15,
            server_window: 15,
            client_takeover: true,
            server_takeover: true,
            level: 6,
            threshold: 1024,
        }
    }

    /// The window for what this side sends, as its binary logarithm: 9 to 15, which
    /// are 512 bytes and 32 KiB. Default 15. The server may ask for a smaller one.
    pub fn client_window(mut self, bits: u8) -> Self {
        self.client_window = bits;
        self
    }

    /// The window that the server is asked to keep to for what it sends: 9 to 15.
    /// Default 15, which asks for nothing. A server that does not know how to declines
    /// the extension as a whole.
    pub fn server_window(mut self, bits: u8) -> Self {
        self.server_window = bits;
        self
    }

    /// Whether this side keeps its window from message to message. Default true; the
    /// server may ask it not to.
    pub fn client_takeover(mut self, keep: bool) -> Self {
        self.client_takeover = keep;
        self
    }

    /// Whether the server may keep its window from message to message, which costs
    /// this side memory for as long. Default true.
    pub fn server_takeover(mut self, keep: bool) -> Self {
        self.server_takeover = keep;
        self
    }

    /// How hard this side tries: 1, the fastest, to 9, the smallest. Default 6.
    pub fn level(mut self, level: u8) -> Self {
        self.level = level;
        self
    }

    /// Messages of fewer bytes are sent as they are: there is little to gain by
    /// them, and one that repeats a secret beside what a stranger chose would tell
    /// of it by its length (as in CRIME). Default 1024; 0 compresses all.
    pub fn threshold(mut self, bytes: usize) -> Self {
        self.threshold = bytes;
        self
    }

    /// # Errors
    /// Something is out of its range (SPEC W7).
    pub(super) fn offer(&self) -> Result<Offer, Error> {
        let is_window = |bits: u8| (9..=15).contains(&bits);
        if !is_window(self.client_window) || !is_window(self.server_window) {
            let message = "a window of permessage-deflate has 9 to 15 bits";
            return Err(Error::invalid_request(message));
        }
        if !(1..=9).contains(&self.level) {
            let message = "permessage-deflate has levels from 1 to 9";
            return Err(Error::invalid_request(message));
        }
        Ok(Offer {
            client_max_window_bits: self.client_window,
            server_max_window_bits: self.server_window,
            client_no_context_takeover: !self.client_takeover,
            server_no_context_takeover: !self.server_takeover,
        })
    }
}

impl Default for PerMessageDeflate {
    fn default() -> Self {
        Self::new()
    }
}
