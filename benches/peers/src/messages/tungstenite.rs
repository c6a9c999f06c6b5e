//! tungstenite, blocking. Its buffers are as large as the messages that are
//! under way, for which its documentation leaves the choice: it clears the part
//! it reads into before each read.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;

use ::tungstenite::client::client_with_config;
use ::tungstenite::protocol::WebSocketConfig;
use ::tungstenite::{Bytes, Message, WebSocket};
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

use super::{Blocking, Work, dial};
use crate::clients::Job;
use crate::clients::limit::tls_config;
use crate::plan::{M1, MESSAGE};
use crate::{Error, Outcome};

type Tls = StreamOwned<ClientConnection, TcpStream>;

pub(super) fn plain(job: &Job, work: &Work<'_>) -> Result<Tungstenite<TcpStream>, Error> {
    Tungstenite::new(job, work, dial(job)?)
}

pub(super) fn tls(job: &Job, work: &Work<'_>) -> Result<Tungstenite<Tls>, Error> {
    let name = ServerName::from(job.server.ip());
    let session = ClientConnection::new(tls_config(job)?, name)?;
    Tungstenite::new(job, work, StreamOwned::new(session, dial(job)?))
}

pub(super) fn config(work: &Work<'_>) -> WebSocketConfig {
    let under_way = (work.bytes + 16) * work.window;
    WebSocketConfig::default()
        .read_buffer_size(under_way.clamp(4 * 1024, 128 * 1024))
        .max_message_size(Some(4 * M1))
}

/// What it may send, without a copy up to its own.
pub(super) fn message(bytes: usize) -> Message {
    Message::Binary(Bytes::from_static(&MESSAGE[..bytes]))
}

pub(super) fn length(message: &Message) -> Result<usize, Error> {
    match message {
        Message::Binary(body) => Ok(body.len()),
        _ => Err("a message that was not asked for".into()),
    }
}

pub(super) struct Tungstenite<S> {
    socket: WebSocket<Eager<S>>,
    window: bool,
}

/// Rather than wait it says that something is still to be flushed.
struct Eager<S> {
    stream: S,
    unflushed: bool,
}

impl<S: Read + Write> Tungstenite<S> {
    fn new(job: &Job, work: &Work<'_>, stream: S) -> Result<Self, Error> {
        let stream = Eager {
            stream,
            unflushed: false,
        };
        let url = format!("ws://{}/echo", job.server);
        let (socket, _) = client_with_config(url, stream, Some(config(work)))
            .map_err(|error| error.to_string())?;
        Ok(Self {
            socket,
            window: work.is_window(),
        })
    }
}

impl<S: Read + Write> Blocking for Tungstenite<S> {
    fn send(&mut self, bytes: usize) -> Outcome {
        if !self.window {
            return Ok(self.socket.send(message(bytes))?);
        }
        self.socket.write(message(bytes))?;
        self.socket.get_mut().unflushed = true;
        Ok(())
    }

    fn receive(&mut self) -> Result<usize, Error> {
        loop {
            match self.socket.read() {
                Ok(message) => return length(&message),
                Err(::tungstenite::Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => {
                    self.socket.get_mut().unflushed = false;
                    self.socket.flush()?;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl<S: Read> Read for Eager<S> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.unflushed {
            return Err(ErrorKind::WouldBlock.into());
        }
        self.stream.read(into)
    }
}

impl<S: Write> Write for Eager<S> {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        self.stream.write(from)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}
