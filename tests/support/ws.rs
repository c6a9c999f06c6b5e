//! WebSocket servers that say exactly what a test tells them to: the handshake of RFC
//! 6455 over the scripted peer, and frames as bytes. None of the client's own code.
//!
//! ```no_run
//! let peer = ws::start(Handshake::new().protocol("chat"), |ws| {
//!     assert_eq!(ws.text()?, "hello");
//!     ws.send(Frame::text("wel").part())?;
//!     ws.send(Frame::continuation("come"))?;
//!     ws.close(1000, "bye")
//! });
//! // … connect the client to ws::url(&peer, "/chat") …
//! peer.finish();
//! ```
//!
//! What the client sends is checked as it is read: masked, of the shortest length, of
//! known opcodes, control frames whole and small, fragments in order, text in UTF-8,
//! closing codes that may be sent, and nothing behind a Close. A breach ends the script
//! and fails the test that owns the peer.

use std::io;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

use super::conn::PeerConn;
use super::message::{self, Request};
use super::peer::Peer;
use super::tls::TlsOptions;

pub(crate) const CONTINUATION: u8 = 0;
pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

/// Shakes hands on every connection and runs `script` on it.
pub(crate) fn start<F>(handshake: Handshake, script: F) -> Peer
where
    F: Fn(&mut Ws<'_>) -> io::Result<()> + Send + Sync + 'static,
{
    Peer::start(move |conn| script(&mut handshake.accept(conn)?))
}

/// The same behind TLS.
pub(crate) fn start_tls<F>(options: TlsOptions, handshake: Handshake, script: F) -> Peer
where
    F: Fn(&mut Ws<'_>) -> io::Result<()> + Send + Sync + 'static,
{
    Peer::start_tls(options, move |conn| script(&mut handshake.accept(conn)?))
}

/// A server that sends back every message as it came, and answers pings and closes.
pub(crate) fn echo() -> Peer {
    start(Handshake::new(), |ws| ws.echo())
}

/// `ws://127.0.0.1:PORT` and this path, or `wss:`.
pub(crate) fn url(peer: &Peer, path: &str) -> String {
    peer.url(path).replacen("http", "ws", 1)
}

/// What proves that a server has understood the key (RFC 6455 section 4.2.2).
pub(crate) fn accept_of(key: &str) -> String {
    let text = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    BASE64_STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()))
}

/// How a server answers the request for a WebSocket. As it is made it is right; what is
/// changed of it is wrong, or an answer to an offer.
#[derive(Clone, Debug)]
pub(crate) struct Handshake {
    status: String,
    /// A value of `None` is the right key.
    fields: Vec<(String, Option<String>)>,
    /// Sent in one write with the head.
    behind: Vec<u8>,
    deflate: bool,
}

impl Handshake {
    pub(crate) fn new() -> Self {
        let field = |name: &str, value: &str| (name.to_owned(), Some(value.to_owned()));
        Self {
            status: "101 Switching Protocols".to_owned(),
            fields: vec![
                field("Upgrade", "websocket"),
                field("Connection", "Upgrade"),
                ("Sec-WebSocket-Accept".to_owned(), None),
            ],
            behind: Vec::new(),
            deflate: false,
        }
    }

    /// Chooses this subprotocol.
    pub(crate) fn protocol(self, protocol: &str) -> Self {
        self.field("Sec-WebSocket-Protocol", protocol)
    }

    /// Agrees to these extensions; with permessage-deflate among them the client's frames
    /// may have the first reserved bit.
    pub(crate) fn extensions(mut self, extensions: &str) -> Self {
        self.deflate |= extensions.contains("permessage-deflate");
        self.field("Sec-WebSocket-Extensions", extensions)
    }

    pub(crate) fn compresses(&self) -> bool {
        self.deflate
    }

    /// Adds a field, whatever else there is of that name.
    pub(crate) fn field(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.to_owned(), Some(value.to_owned())));
        self
    }

    /// Without the fields of this name.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.fields
            .retain(|(other, _)| !other.eq_ignore_ascii_case(name));
        self
    }

    /// With this one in place of all of its name.
    pub(crate) fn with(self, name: &str, value: &str) -> Self {
        self.without(name).field(name, value)
    }

    /// With another status line than `101 Switching Protocols`.
    pub(crate) fn status(mut self, status: &str) -> Self {
        self.status = status.to_owned();
        self
    }

    /// With bytes behind the head, in the same write: frames, or a body.
    pub(crate) fn behind(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.behind.extend_from_slice(bytes.as_ref());
        self
    }

    /// The answer to `request`.
    pub(crate) fn answer(&self, request: &Request) -> Vec<u8> {
        let accept = accept_of(request.header("sec-websocket-key").unwrap_or_default());
        let fields: Vec<_> = self
            .fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_deref().unwrap_or(&accept)))
            .collect();
        let mut bytes = message::head(&self.status, &fields);
        bytes.extend_from_slice(&self.behind);
        bytes
    }

    /// Reads the client's request, checks and answers it.
    pub(crate) fn accept<'a>(&self, conn: &'a mut PeerConn) -> io::Result<Ws<'a>> {
        let request = conn.request()?;
        check_request(&request)?;
        conn.write(self.answer(&request))?;
        Ok(self.over(conn, request))
    }

    /// What follows a request that was read and answered elsewhere.
    pub(crate) fn over<'a>(&self, conn: &'a mut PeerConn, request: Request) -> Ws<'a> {
        Ws {
            conn,
            request,
            deflate: self.deflate,
            open_message: None,
            closed: false,
        }
    }
}

/// What RFC 6455 section 4.1 asks of a client.
pub(crate) fn check_request(request: &Request) -> io::Result<()> {
    let has = |name: &str, token: &str| {
        request
            .header_all(name)
            .flat_map(|value| value.split(','))
            .any(|value| value.trim().eq_ignore_ascii_case(token))
    };
    let key = request.header("sec-websocket-key").unwrap_or_default();
    let key_length = BASE64_STANDARD.decode(key).map(|key| key.len());
    let faults = [
        ("method", request.method != "GET"),
        ("version", request.version != "HTTP/1.1"),
        ("Host", request.header_all("host").count() != 1),
        ("Upgrade", !has("upgrade", "websocket")),
        ("Connection", !has("connection", "upgrade")),
        (
            "Sec-WebSocket-Version",
            request
                .header_all("sec-websocket-version")
                .collect::<Vec<_>>()
                != ["13"],
        ),
        (
            "Sec-WebSocket-Key",
            key_length != Ok(16) || request.header_all("sec-websocket-key").count() != 1,
        ),
        ("body", !request.body.is_empty()),
    ];
    match faults.iter().find(|(_, wrong)| *wrong) {
        Some((what, _)) => Err(message::malformed(
            &format!("handshake ({what})"),
            &String::from_utf8_lossy(&request.raw_head),
        )),
        None => Ok(()),
    }
}

/// One frame, as it came or as it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) fin: bool,
    /// The three reserved bits: 4 is the first one.
    pub(crate) rsv: u8,
    pub(crate) opcode: u8,
    /// Of a frame that came: what it was masked with. Of one that goes: a fault.
    pub(crate) mask: Option<[u8; 4]>,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    pub(crate) fn new(opcode: u8, payload: impl AsRef<[u8]>) -> Self {
        Self {
            fin: true,
            rsv: 0,
            opcode,
            mask: None,
            payload: payload.as_ref().to_vec(),
        }
    }

    pub(crate) fn text(text: impl AsRef<[u8]>) -> Self {
        Self::new(TEXT, text)
    }

    pub(crate) fn binary(bytes: impl AsRef<[u8]>) -> Self {
        Self::new(BINARY, bytes)
    }

    pub(crate) fn continuation(bytes: impl AsRef<[u8]>) -> Self {
        Self::new(CONTINUATION, bytes)
    }

    pub(crate) fn ping(bytes: impl AsRef<[u8]>) -> Self {
        Self::new(PING, bytes)
    }

    pub(crate) fn pong(bytes: impl AsRef<[u8]>) -> Self {
        Self::new(PONG, bytes)
    }

    /// A Close with a code and a reason; one with neither is `Frame::new(CLOSE, "")`.
    pub(crate) fn close(code: u16, reason: impl AsRef<[u8]>) -> Self {
        Self::new(CLOSE, [&code.to_be_bytes(), reason.as_ref()].concat())
    }

    /// Not the last one of its message.
    pub(crate) fn part(mut self) -> Self {
        self.fin = false;
        self
    }

    /// With these reserved bits: 4 says that the message is compressed.
    pub(crate) fn rsv(mut self, bits: u8) -> Self {
        self.rsv = bits;
        self
    }

    /// Masked, which a server must not do.
    pub(crate) fn masked(mut self, key: [u8; 4]) -> Self {
        self.mask = Some(key);
        self
    }

    /// Its code and reason, if it is a Close that has them.
    pub(crate) fn close_code(&self) -> Option<(u16, String)> {
        let (code, reason) = self.payload.split_first_chunk()?;
        let reason = String::from_utf8_lossy(reason).into_owned();
        (self.opcode == CLOSE).then(|| (u16::from_be_bytes(*code), reason))
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.head(self.payload.len() as u64);
        match self.mask {
            Some(key) => bytes.extend(masked(&self.payload, key)),
            None => bytes.extend_from_slice(&self.payload),
        }
        bytes
    }

    /// Its header alone, which announces this length and not its payload's.
    pub(crate) fn head(&self, length: u64) -> Vec<u8> {
        self.head_with(
            length,
            match length {
                0..=125 => 0,
                126..=0xffff => 2,
                _ => 8,
            },
        )
    }

    /// The same with 0, 2 or 8 bytes of extended length, few enough or not.
    pub(crate) fn head_with(&self, length: u64, width: usize) -> Vec<u8> {
        let first = u8::from(self.fin) << 7 | self.rsv << 4 | self.opcode;
        let short = match width {
            0 => length as u8,
            2 => 126,
            _ => 127,
        };
        let mut bytes = vec![first, u8::from(self.mask.is_some()) << 7 | short];
        bytes.extend_from_slice(&length.to_be_bytes()[8 - width..]);
        bytes.extend(self.mask.iter().flatten());
        bytes
    }
}

fn masked(payload: &[u8], key: [u8; 4]) -> impl Iterator<Item = u8> {
    payload
        .iter()
        .zip(key.into_iter().cycle())
        .map(|(byte, key)| byte ^ key)
}

/// A connection that is a WebSocket now, in the hands of a script.
#[derive(Debug)]
pub(crate) struct Ws<'a> {
    /// What lies beneath, for all that is done to connections.
    pub(crate) conn: &'a mut PeerConn,
    /// The request that it began with.
    pub(crate) request: Request,
    deflate: bool,
    /// The opcode and the reserved bits of the client's message that is not whole yet.
    open_message: Option<(u8, u8)>,
    /// The client has sent its Close.
    closed: bool,
}

impl Ws<'_> {
    /// The client's next frame, unmasked and found to be right. That none comes is an
    /// error.
    pub(crate) fn frame(&mut self) -> io::Result<Frame> {
        let head = self.conn.read_exact(2)?;
        let (first, second) = (head[0], head[1]);
        let wide = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let extended = self.conn.read_exact(wide)?;
        let length = match wide {
            0 => u64::from(second & 0x7f),
            _ => extended
                .iter()
                .fold(0, |length, byte| length << 8 | u64::from(*byte)),
        };
        let mask = match second & 0x80 {
            0 => None,
            _ => Some(<[u8; 4]>::try_from(self.conn.read_exact(4)?).expect("four bytes")),
        };
        let mut frame = Frame {
            fin: first & 0x80 != 0,
            rsv: first >> 4 & 7,
            opcode: first & 15,
            mask,
            payload: Vec::new(),
        };
        let found = format!("{frame:?} of {length} bytes");
        let shortest = match length {
            0..=125 => 0,
            126..=0xffff => 2,
            _ => 8,
        };
        let control = frame.opcode >= CLOSE;
        let continues = frame.opcode == CONTINUATION;
        let faults = [
            ("frame that is not masked", mask.is_none()),
            ("length of a frame", wide != shortest || length >> 63 != 0),
            (
                "opcode",
                !matches!(frame.opcode, CONTINUATION..=BINARY | CLOSE..=PONG),
            ),
            (
                "control frame",
                control && (!frame.fin || length > 125 || frame.rsv != 0),
            ),
            (
                "fragment",
                !control && continues != self.open_message.is_some(),
            ),
            (
                "reserved bit",
                frame.rsv & 3 != 0 || (frame.rsv != 0 && (!self.deflate || continues)),
            ),
            ("frame behind a Close", self.closed),
        ];
        if let Some((what, _)) = faults.iter().find(|(_, wrong)| *wrong) {
            return Err(message::malformed(what, &found));
        }
        let payload = self.conn.read_exact(length as usize)?;
        frame.payload = masked(&payload, mask.unwrap_or_default()).collect();
        if !control {
            let kind = self
                .open_message
                .take()
                .unwrap_or((frame.opcode, frame.rsv));
            self.open_message = (!frame.fin).then_some(kind);
        }
        if frame.opcode == CLOSE {
            self.closed = true;
            check_close(&frame)?;
        }
        Ok(frame)
    }

    /// The client's next message in one frame that is whole, or its next control frame.
    /// A compressed one stays so, with its reserved bit; other text is found to be such.
    pub(crate) fn message(&mut self) -> io::Result<Frame> {
        let mut message = self.frame()?;
        while !message.fin {
            let more = self.frame()?;
            if more.opcode != CONTINUATION {
                // One in the middle of a message is for `frame` to read.
                return Err(message::malformed("message", "a control frame inside"));
            }
            message.fin = more.fin;
            message.payload.extend(more.payload);
        }
        let plain_text = message.opcode == TEXT && message.rsv == 0;
        if plain_text && std::str::from_utf8(&message.payload).is_err() {
            return Err(message::malformed("text", &format!("{message:?}")));
        }
        Ok(message)
    }

    /// The client's next message, which must be a text.
    pub(crate) fn text(&mut self) -> io::Result<String> {
        let message = self.message()?;
        match (message.opcode, message.rsv) {
            (TEXT, 0) => Ok(String::from_utf8(message.payload).expect("it was checked")),
            _ => Err(message::malformed("text", &format!("{message:?}"))),
        }
    }

    /// Reads what comes until the client's Close, and gives its code and reason.
    pub(crate) fn read_close(&mut self) -> io::Result<Option<(u16, String)>> {
        loop {
            let frame = self.frame()?;
            if frame.opcode == CLOSE {
                return Ok(frame.close_code());
            }
        }
    }

    pub(crate) fn send(&mut self, frame: Frame) -> io::Result<()> {
        self.conn.write(frame.bytes())
    }

    /// Several in one write.
    pub(crate) fn send_all(&mut self, frames: &[Frame]) -> io::Result<()> {
        let bytes: Vec<_> = frames.iter().flat_map(Frame::bytes).collect();
        self.conn.write(bytes)
    }

    /// Begins the closing: sends a Close, wants one in return, and is read no further.
    pub(crate) fn close(&mut self, code: u16, reason: &str) -> io::Result<()> {
        self.send(Frame::close(code, reason))?;
        match self.read_close()? {
            Some((echoed, _)) if echoed == code => Ok(()),
            other => Err(message::malformed(
                "answer to a Close",
                &format!("{other:?}"),
            )),
        }
    }

    /// Waits for the client to begin the closing, answers, and gives what it said.
    pub(crate) fn answer_close(&mut self) -> io::Result<Option<(u16, String)>> {
        let said = self.read_close()?;
        let answer = match &said {
            Some((code, reason)) => Frame::close(*code, reason),
            None => Frame::new(CLOSE, ""),
        };
        self.send(answer)?;
        Ok(said)
    }

    /// Sends back every message and answers every ping, until the client closes.
    pub(crate) fn echo(&mut self) -> io::Result<()> {
        loop {
            let mut frame = self.frame()?;
            frame.mask = None;
            match frame.opcode {
                PING => self.send(Frame::pong(frame.payload))?,
                PONG => {}
                CLOSE => return self.send(frame),
                _ => self.send(frame)?,
            }
        }
    }

    /// Waits for the client to end the connection, with no further frame.
    pub(crate) fn wait_for_end(&mut self) -> io::Result<()> {
        match self.conn.wait_for_close()?.as_slice() {
            [] => Ok(()),
            rest => Err(message::malformed("end", &format!("{rest:x?}"))),
        }
    }
}

/// What may stand in a Close (RFC 6455 sections 5.5.1 and 7.4).
fn check_close(frame: &Frame) -> io::Result<()> {
    let right = match frame.payload.split_first_chunk() {
        None => frame.payload.is_empty(),
        Some((code, reason)) => {
            let code = u16::from_be_bytes(*code);
            matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
                && std::str::from_utf8(reason).is_ok()
        }
    };
    match right {
        true => Ok(()),
        false => Err(message::malformed("Close", &format!("{frame:?}"))),
    }
}

/// permessage-deflate as zlib does it, with a window and a takeover of its own for each
/// way (RFC 7692 section 7.2).
#[derive(Debug)]
pub(crate) struct Deflate {
    compress: Compress,
    decompress: Decompress,
    /// Whether what was sent before helps with what is sent next.
    sends_takeover: bool,
    receives_takeover: bool,
}

const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

impl Deflate {
    /// Bits of the windows, from 9 to 15: of what is sent, and of what is received.
    pub(crate) fn new(sent: (u8, bool), received: (u8, bool)) -> Self {
        Self {
            compress: Compress::new_with_window_bits(Compression::default(), false, sent.0),
            decompress: Decompress::new_with_window_bits(false, received.0),
            sends_takeover: sent.1,
            receives_takeover: received.1,
        }
    }

    pub(crate) fn compress(&mut self, message: &[u8]) -> Vec<u8> {
        if !self.sends_takeover {
            self.compress.reset();
        }
        let mut out = Vec::with_capacity(64);
        let before = self.compress.total_in();
        loop {
            let done = (self.compress.total_in() - before) as usize;
            out.reserve(message.len() / 2 + 64);
            self.compress
                .compress_vec(&message[done..], &mut out, FlushCompress::Sync)
                .expect("memory takes it");
            if out.len() < out.capacity() {
                break;
            }
        }
        assert!(out.ends_with(&TAIL));
        out.truncate(out.len() - TAIL.len());
        out
    }

    /// `None` for what cannot be inflated in this window.
    pub(crate) fn decompress(&mut self, compressed: &[u8]) -> Option<Vec<u8>> {
        if !self.receives_takeover {
            self.decompress.reset(false);
        }
        let input = [compressed, &TAIL].concat();
        let mut out = Vec::with_capacity(64);
        let before = self.decompress.total_in();
        loop {
            let done = (self.decompress.total_in() - before) as usize;
            out.reserve(input.len() * 4);
            self.decompress
                .decompress_vec(&input[done..], &mut out, FlushDecompress::Sync)
                .ok()?;
            if out.len() < out.capacity() {
                return Some(out);
            }
        }
    }
}
