//! One blocking connection, plain or TLS.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::sync::LazyLock;

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::sendfile::sendfile64;
use nix::sys::socket::{MsgFlags, recv};
use rustls::server::UnbufferedServerConnection;

use super::{Gate, echo};
use crate::apart;
use crate::bare_tls::BareTls;
use crate::plan::{BLOCK, CHUNK, K64, SMALL};
use crate::repeat::repeat;

/// Larger heads are no request of ours.
const MAX_HEAD: usize = 16 * 1024;

/// What is served: a socket, plain or under TLS.
pub(super) trait Stream: Read + Write {
    /// Takes no more of a body than `buffer` is long, and says how much.
    fn discard(&mut self, buffer: &mut [u8]) -> io::Result<usize>;

    /// Writes the pattern over and over until it is so many bytes.
    fn repeat(&mut self, pattern: &Pattern, bytes: u64) -> io::Result<()>;
}

/// What large answers are made of: a whole number of `block`s in memory, and
/// the same as a file that is nowhere but in memory.
#[derive(Debug)]
pub(super) struct Pattern {
    block: Vec<u8>,
    file: File,
    length: u64,
}

impl Pattern {
    /// How much one call of the system may send.
    const LENGTH: usize = 4 * 1024 * 1024;

    fn new(block: Vec<u8>) -> io::Result<Self> {
        let mut file = File::from(memfd_create("pattern", MFdFlags::MFD_CLOEXEC)?);
        let times = Self::LENGTH.div_ceil(block.len());
        file.write_all(&block.repeat(times))?;
        let length = (times * block.len()) as u64;
        Ok(Self {
            block,
            file,
            length,
        })
    }
}

impl Stream for TcpStream {
    /// Has the kernel throw it away uncopied: a server that copies takes as
    /// long for it as the client that sends it.
    fn discard(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(recv(self.as_raw_fd(), buffer, MsgFlags::MSG_TRUNC)?)
    }

    /// Has the kernel lend the pages of a file, for the same reason.
    fn repeat(&mut self, pattern: &Pattern, bytes: u64) -> io::Result<()> {
        let mut left = bytes;
        let mut offset = 0;
        while left > 0 {
            let most = left.min(pattern.length - offset as u64) as usize;
            match sendfile64(&*self, &pattern.file, Some(&mut offset), most) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => left -= n as u64,
                Err(nix::Error::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
            if offset as u64 == pattern.length {
                offset = 0;
            }
        }
        Ok(())
    }
}

impl Stream for BareTls<UnbufferedServerConnection> {
    fn discard(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        BareTls::discard(self, buffer.len())
    }

    fn repeat(&mut self, pattern: &Pattern, bytes: u64) -> io::Result<()> {
        repeat(self, &pattern.block, bytes)
    }
}

/// Serves requests until the client goes or is asked to.
pub(super) fn serve(stream: &mut impl Stream, gate: &Gate) -> io::Result<()> {
    // Made before the first answer, so no larger than a head needs.
    let mut buffer = vec![0; MAX_HEAD];
    let mut filled = 0;
    loop {
        let end = loop {
            if let Some(at) = head_end(&buffer[..filled]) {
                break at;
            }
            if filled == buffer.len() {
                return Err(io::ErrorKind::InvalidData.into());
            }
            match stream.read(&mut buffer[filled..])? {
                0 => return Ok(()),
                n => filled += n,
            }
        };
        let request = Request::parse(&buffer[..end]);
        apart::server(request.is_transfer());
        if let Some(key) = &request.socket {
            return echo::serve(stream, key, &buffer[end..filled]);
        }
        if request.expects_continue {
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        // What came of the body with the head, then the rest.
        let early = request.body.min((filled - end) as u64);
        let mut missing = request.body - early;
        buffer.copy_within(end + early as usize..filled, 0);
        filled -= end + early as usize;
        if missing > buffer.len() as u64 {
            buffer.resize(BLOCK.len(), 0);
        }
        while missing > 0 {
            let most = usize::try_from(missing).map_or(buffer.len(), |n| n.min(buffer.len()));
            match stream.discard(&mut buffer[..most])? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                n => missing -= n as u64,
            }
        }
        answer(stream, &request, gate)?;
        if request.close || request.route == Route::Close {
            return Ok(());
        }
    }
}

fn answer(stream: &mut impl Stream, request: &Request, gate: &Gate) -> io::Result<()> {
    match request.route {
        Route::Small => stream.write_all(SMALL_KEEP)?,
        Route::Close => stream.write_all(SMALL_CLOSE)?,
        Route::K64 => stream.write_all(&WHOLE_K64)?,
        Route::Bytes(bytes) => {
            stream.write_all(head_of(bytes).as_bytes())?;
            stream.repeat(pattern(&BLOCKS)?, bytes)?;
        }
        Route::Chunked(bytes) => chunked(stream, bytes)?,
        Route::Held => {
            // Before the client can see anything, and so ask for the release.
            let before = gate.count();
            stream.write_all(&SMALL_KEEP[..SMALL_KEEP.len() - SMALL / 2])?;
            stream.flush()?;
            gate.pass(before);
            stream.write_all(&SMALL_KEEP[SMALL_KEEP.len() - SMALL / 2..])?;
        }
        Route::Release => {
            gate.open();
            stream.write_all(SMALL_KEEP)?;
        }
    }
    stream.flush()
}

/// Whole chunks, and the rest of the bytes in a last one.
fn chunked(stream: &mut impl Stream, bytes: u64) -> io::Result<()> {
    stream.write_all(
        b"HTTP/1.1 200 OK\r\nServer: loopback\r\nContent-Type: application/octet-stream\r\n\
          Transfer-Encoding: chunked\r\n\r\n",
    )?;
    let (whole, rest) = (bytes / CHUNK as u64, bytes as usize % CHUNK);
    let coded = chunk(CHUNK).len() as u64;
    stream.repeat(pattern(&CHUNKS)?, whole * coded)?;
    if rest > 0 {
        stream.write_all(&chunk(rest))?;
    }
    stream.write_all(b"0\r\n\r\n")
}

/// An answer of 64 KiB, made once.
static WHOLE_K64: LazyLock<Vec<u8>> =
    LazyLock::new(|| [head_of(K64 as u64).as_bytes(), &BLOCK[..K64]].concat());

static BLOCKS: LazyLock<io::Result<Pattern>> = LazyLock::new(|| Pattern::new(BLOCK.to_vec()));

/// As many chunks as fill a block.
static CHUNKS: LazyLock<io::Result<Pattern>> =
    LazyLock::new(|| Pattern::new(chunk(CHUNK).repeat(BLOCK.len() / CHUNK)));

fn pattern(made: &'static io::Result<Pattern>) -> io::Result<&'static Pattern> {
    made.as_ref().map_err(|error| error.kind().into())
}

fn chunk(bytes: usize) -> Vec<u8> {
    let size = format!("{bytes:x}\r\n");
    [size.as_bytes(), &BLOCK[..bytes], b"\r\n"].concat()
}

/// An ordinary small answer of [`SMALL`] bytes.
pub(super) const SMALL_KEEP: &[u8] = b"HTTP/1.1 200 OK\r\nServer: loopback\r\n\
    Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: text/plain; charset=utf-8\r\n\
    Cache-Control: no-cache\r\nContent-Length: 100\r\n\r\n\
    0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789";

/// The same, and goodbye.
pub(super) const SMALL_CLOSE: &[u8] = b"HTTP/1.1 200 OK\r\nServer: loopback\r\n\
    Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: text/plain; charset=utf-8\r\n\
    Connection: close\r\nContent-Length: 100\r\n\r\n\
    0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789";

fn head_of(bytes: u64) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nServer: loopback\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
         Content-Type: application/octet-stream\r\nContent-Length: {bytes}\r\n\r\n"
    )
}

/// Where the head ends, its empty line included.
pub(super) fn head_end(bytes: &[u8]) -> Option<usize> {
    bytes
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .map(|at| at + 4)
}

/// What the server needs to know of a request.
#[derive(Debug)]
pub(super) struct Request {
    route: Route,
    /// Length of the body.
    body: u64,
    pub(super) close: bool,
    expects_continue: bool,
    /// The key of a WebSocket's handshake.
    socket: Option<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route {
    /// 100 bytes.
    Small,
    /// 64 KiB.
    K64,
    /// 100 bytes on a connection that ends with them.
    Close,
    /// As many bytes as asked for, with a length.
    Bytes(u64),
    /// The same in chunks of 16 KiB.
    Chunked(u64),
    /// 100 bytes, the last 50 of them when somebody asks for `Release`.
    Held,
    Release,
}

impl Request {
    /// Whether it is a large body that counts here, one way or the other.
    fn is_transfer(&self) -> bool {
        matches!(self.route, Route::Bytes(_) | Route::Chunked(_)) || self.body > K64 as u64
    }

    pub(super) fn parse(head: &[u8]) -> Self {
        let mut lines = head.split(|byte| *byte == b'\n');
        let path = lines
            .next()
            .and_then(|line| line.split(|byte| *byte == b' ').nth(1))
            .unwrap_or_default();
        let mut request = Self {
            route: Self::route(path),
            body: 0,
            close: false,
            expects_continue: false,
            socket: None,
        };
        for line in lines {
            let Some(colon) = line.iter().position(|byte| *byte == b':') else {
                continue;
            };
            let (name, value) = line.split_at(colon);
            let value = value[1..].trim_ascii();
            if name.eq_ignore_ascii_case(b"content-length") {
                request.body = number(value);
            } else if name.eq_ignore_ascii_case(b"connection") {
                request.close = value.eq_ignore_ascii_case(b"close");
            } else if name.eq_ignore_ascii_case(b"expect") {
                request.expects_continue = true;
            } else if name.eq_ignore_ascii_case(b"sec-websocket-key") {
                request.socket = Some(value.to_vec());
            }
        }
        request
    }

    fn route(path: &[u8]) -> Route {
        match path {
            b"/64k" => Route::K64,
            b"/close" => Route::Close,
            b"/held" => Route::Held,
            b"/release" => Route::Release,
            _ => match path.strip_prefix(b"/bytes/") {
                Some(bytes) => Route::Bytes(number(bytes)),
                None => match path.strip_prefix(b"/chunked/") {
                    Some(bytes) => Route::Chunked(number(bytes)),
                    None => Route::Small,
                },
            },
        }
    }
}

fn number(text: &[u8]) -> u64 {
    std::str::from_utf8(text)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(0)
}
