//! One blocking connection, plain or TLS.

use std::io::{self, Read, Write};

use super::Gate;
use crate::plan::{BLOCK, CHUNK, K64, SMALL};

/// Larger heads are no request of ours.
const MAX_HEAD: usize = 16 * 1024;

/// Serves requests until the client goes or is asked to.
pub(super) fn serve(mut stream: impl Read + Write, gate: &Gate) -> io::Result<()> {
    let mut buffer = vec![0; BLOCK.len()];
    let mut filled = 0;
    loop {
        let end = loop {
            if let Some(at) = head_end(&buffer[..filled]) {
                break at;
            }
            if filled > MAX_HEAD {
                return Err(io::ErrorKind::InvalidData.into());
            }
            match stream.read(&mut buffer[filled..])? {
                0 => return Ok(()),
                n => filled += n,
            }
        };
        let request = Request::parse(&buffer[..end]);
        if request.expects_continue {
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        // What came of the body with the head, then the rest.
        let early = request.body.min((filled - end) as u64);
        let mut missing = request.body - early;
        buffer.copy_within(end + early as usize..filled, 0);
        filled -= end + early as usize;
        while missing > 0 {
            let most = usize::try_from(missing).map_or(BLOCK.len(), |n| n.min(BLOCK.len()));
            match stream.read(&mut buffer[..most])? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                n => missing -= n as u64,
            }
        }
        answer(&mut stream, &request, gate)?;
        if request.close || request.route == Route::Close {
            return Ok(());
        }
    }
}

fn answer(stream: &mut (impl Read + Write), request: &Request, gate: &Gate) -> io::Result<()> {
    match request.route {
        Route::Small => stream.write_all(SMALL_KEEP)?,
        Route::Close => stream.write_all(SMALL_CLOSE)?,
        Route::K64 => {
            let mut whole = head_of(K64 as u64).into_bytes();
            whole.extend_from_slice(&BLOCK[..K64]);
            stream.write_all(&whole)?;
        }
        Route::Bytes(bytes) => {
            stream.write_all(head_of(bytes).as_bytes())?;
            let mut left = bytes;
            while left > 0 {
                let n = usize::try_from(left).map_or(BLOCK.len(), |n| n.min(BLOCK.len()));
                stream.write_all(&BLOCK[..n])?;
                left -= n as u64;
            }
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

/// Sixteen chunks a write, as a server that fills its buffer would.
fn chunked(stream: &mut impl Write, bytes: u64) -> io::Result<()> {
    stream.write_all(
        b"HTTP/1.1 200 OK\r\nServer: loopback\r\nContent-Type: application/octet-stream\r\n\
          Transfer-Encoding: chunked\r\n\r\n",
    )?;
    let mut batch = Vec::new();
    let mut left = bytes;
    while left > 0 {
        batch.clear();
        while left > 0 && batch.len() < BLOCK.len() {
            let n = usize::try_from(left).map_or(CHUNK, |n| n.min(CHUNK));
            batch.extend_from_slice(format!("{n:x}\r\n").as_bytes());
            batch.extend_from_slice(&BLOCK[..n]);
            batch.extend_from_slice(b"\r\n");
            left -= n as u64;
        }
        stream.write_all(&batch)?;
    }
    stream.write_all(b"0\r\n\r\n")
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
