//! One accepted connection, in the hands of a peer's script: reads requests,
//! writes bytes as they are, and ends in every way a connection can end.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use super::message::{self, Framing, Request};
use super::peer::Shared;
use super::tls::{self, TlsOptions};

/// A connection as a script sees it, over TCP or TLS.
pub(crate) struct PeerConn {
    /// `None` once the script has closed or reset it.
    stream: Option<Box<dyn Stream>>,
    /// The same socket, for what is done beneath TLS; goes with the stream.
    socket: Option<Arc<TcpStream>>,
    shared: Arc<Shared>,
    index: usize,
    /// Received and not yet read by the script.
    buffer: Vec<u8>,
}

/// What a connection reads and writes through: a socket, or TLS over one.
pub(crate) trait Stream: Read + Write + Send {
    /// Says goodbye in the stream's own way; TCP has none of its own.
    fn close_notify(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl PeerConn {
    pub(super) fn new(socket: Arc<TcpStream>, shared: Arc<Shared>, index: usize) -> Self {
        Self {
            stream: Some(Box::new(Socket(Arc::clone(&socket)))),
            socket: Some(socket),
            shared,
            index,
            buffer: Vec::new(),
        }
    }

    /// Which of the peer's connections this is, counted from 0 as accepted.
    pub(crate) fn index(&self) -> usize {
        self.index
    }

    /// Reads one whole request; that none comes is an error.
    pub(crate) fn request(&mut self) -> io::Result<Request> {
        self.next_request()?
            .ok_or_else(|| eof("the connection ended where a request was expected"))
    }

    /// Reads one whole request, or `None` if the client closes first.
    pub(crate) fn next_request(&mut self) -> io::Result<Option<Request>> {
        let Some(mut request) = self.next_head()? else {
            return Ok(None);
        };
        self.read_body(&mut request)?;
        self.shared.record(&request);
        Ok(Some(request))
    }

    /// Reads a request's head alone, for a script that answers or asks for more
    /// before the body comes. It counts as a request at once.
    pub(crate) fn request_head(&mut self) -> io::Result<Request> {
        let request = self
            .next_head()?
            .ok_or_else(|| eof("the connection ended where a request was expected"))?;
        self.shared.record(&request);
        Ok(request)
    }

    fn next_head(&mut self) -> io::Result<Option<Request>> {
        if self.buffer.is_empty() && self.fill()? == 0 {
            return Ok(None);
        }
        let raw = self.read_until(b"\r\n\r\n")?;
        let mut request = message::parse_head(&raw)?;
        request.connection = self.index;
        Ok(Some(request))
    }

    /// Reads the body that `request`'s head announces, into it.
    pub(crate) fn read_body(&mut self, request: &mut Request) -> io::Result<()> {
        match request.framing()? {
            Framing::Length(length) => request.body = self.read_exact(length)?,
            Framing::Chunked => self.read_chunks(request)?,
        }
        Ok(())
    }

    fn read_chunks(&mut self, request: &mut Request) -> io::Result<()> {
        loop {
            let size = message::parse_chunk_size(&self.read_line()?)?;
            if size == 0 {
                break;
            }
            let data = self.read_exact(size)?;
            request.body.extend_from_slice(&data);
            request.chunks.push(size);
            let end = self.read_exact(2)?;
            if end != b"\r\n" {
                return Err(message::malformed("chunk end", &format!("{end:?}")));
            }
        }
        let mut trailers = Vec::new();
        loop {
            let line = self.read_line()?;
            if line.is_empty() {
                break;
            }
            trailers.push(line);
        }
        request.trailers = message::parse_fields(trailers.iter().map(String::as_str))?;
        Ok(())
    }

    fn read_line(&mut self) -> io::Result<String> {
        let mut line = self.read_until(b"\r\n")?;
        line.truncate(line.len().saturating_sub(2));
        String::from_utf8(line).map_err(|_| message::malformed("line", "not UTF-8"))
    }

    /// Reads up to and with `end`.
    pub(crate) fn read_until(&mut self, end: &[u8]) -> io::Result<Vec<u8>> {
        let mut searched = 0_usize;
        loop {
            let from = searched.saturating_sub(end.len());
            let found = self.buffer[from..]
                .windows(end.len())
                .position(|window| window == end);
            if let Some(at) = found {
                return Ok(self.buffer.drain(..from + at + end.len()).collect());
            }
            searched = self.buffer.len();
            if self.fill()? == 0 {
                return Err(eof("the connection ended inside a line"));
            }
        }
    }

    /// Reads what there is, at least a byte; nothing at the end.
    pub(crate) fn read_some(&mut self) -> io::Result<Vec<u8>> {
        if self.buffer.is_empty() {
            self.fill()?;
        }
        Ok(std::mem::take(&mut self.buffer))
    }

    /// Reads exactly `length` bytes.
    pub(crate) fn read_exact(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.buffer.len() < length {
            if self.fill()? == 0 {
                return Err(eof("the connection ended inside a body"));
            }
        }
        let rest = self.buffer.split_off(length);
        Ok(std::mem::replace(&mut self.buffer, rest))
    }

    /// Waits until the client closes, and gives what it sent before. A reset
    /// counts as closing: which of the two it is depends on unread bytes.
    pub(crate) fn wait_for_close(&mut self) -> io::Result<Vec<u8>> {
        loop {
            match self.fill() {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if is_disconnect(&error) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(std::mem::take(&mut self.buffer))
    }

    /// Reads once into the buffer; 0 is the end.
    fn fill(&mut self) -> io::Result<usize> {
        let mut chunk = [0; 16 * 1024];
        let count = loop {
            match self.stream()?.read(&mut chunk) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other.map_err(watchdog)?,
            }
        };
        self.buffer.extend_from_slice(&chunk[..count]);
        Ok(count)
    }

    /// Writes all of `bytes`, as they are.
    pub(crate) fn write(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        let stream = self.stream()?;
        stream.write_all(bytes.as_ref()).map_err(watchdog)?;
        stream.flush().map_err(watchdog)
    }

    /// Writes one byte at a time, each in a segment (and TLS record) of its own.
    pub(crate) fn write_bytewise(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        bytes
            .as_ref()
            .iter()
            .try_for_each(|byte| self.write([*byte]))
    }

    /// Ends the sending side alone (after `close_notify` on TLS); the client
    /// may go on sending.
    pub(crate) fn shutdown_write(&mut self) -> io::Result<()> {
        self.stream()?.close_notify()?;
        self.socket()?.shutdown(Shutdown::Write)
    }

    /// Ends the sending side of the socket with no `close_notify`: on TLS this
    /// is what a truncation attack looks like.
    pub(crate) fn truncate(&mut self) -> io::Result<()> {
        self.socket()?.shutdown(Shutdown::Write)
    }

    /// Sends TLS's `close_notify` and leaves the socket open.
    pub(crate) fn close_notify(&mut self) -> io::Result<()> {
        self.stream()?.close_notify()
    }

    /// Closes both ways now, while the script goes on. The kernel sends a reset
    /// instead if the client's bytes were not all read. No `close_notify`.
    pub(crate) fn close(&mut self) {
        self.shared.forget(self.index);
        self.stream = None;
        self.socket = None;
    }

    /// Closes both ways with a reset in place of an orderly end.
    pub(crate) fn reset(&mut self) -> io::Result<()> {
        // A zero linger time makes the close that follows throw both queues
        // away and send RST.
        socket2::SockRef::from(self.socket()?).set_linger(Some(Duration::ZERO))?;
        self.close();
        Ok(())
    }

    /// Runs a TLS server handshake from here on, over what there is already:
    /// the origin behind a CONNECT, or TLS inside a TLS proxy.
    pub(crate) fn start_tls(&mut self, options: &TlsOptions) -> io::Result<()> {
        let inner = self.stream.take().ok_or(io::ErrorKind::NotConnected)?;
        let early = std::mem::take(&mut self.buffer);
        let (stream, resumed) = tls::accept(options, early, inner)?;
        self.stream = Some(stream);
        self.shared.handshake(resumed);
        Ok(())
    }

    /// The socket itself, for options and for reads beneath TLS.
    pub(crate) fn socket(&self) -> io::Result<&TcpStream> {
        self.socket
            .as_deref()
            .ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    fn stream(&mut self) -> io::Result<&mut Box<dyn Stream>> {
        self.stream
            .as_mut()
            .ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl fmt::Debug for PeerConn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerConn")
            .field("index", &self.index)
            .field("buffered", &self.buffer.len())
            .finish_non_exhaustive()
    }
}

/// A shared socket that reads and writes: the peer keeps a second handle to
/// shut it down, and no second descriptor, so that closing really closes.
#[derive(Debug)]
struct Socket(Arc<TcpStream>);

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self.0).read(buffer)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self.0).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        (&*self.0).flush()
    }
}

impl Stream for Socket {}

/// Whether the client is simply gone.
pub(crate) fn is_disconnect(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::NotConnected
    )
}

/// The socket's own timeout is the watchdog; say so.
fn watchdog(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => io::Error::new(
            io::ErrorKind::TimedOut,
            format!("the client did not move for {:?}", super::WATCHDOG),
        ),
        _ => error,
    }
}

fn eof(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, message)
}
