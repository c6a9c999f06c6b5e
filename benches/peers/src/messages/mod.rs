//! WebSockets: messages that the server sends back, by each client that has to
//! do with such. One of the two traits below for each; the loop is written once
//! over each.
//!
//! Where several messages are under way, what is written may be kept back until
//! the client would have to wait for the server: who can do that does it here.

mod fastwebsockets;
mod limit;
mod miohttp;
mod tokio_tungstenite;
mod tungstenite;

use std::collections::VecDeque;
use std::net::TcpStream;

use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::clients::hyper::runtime;
use crate::clients::limit::tls_config;
use crate::clients::{Job, Unable};
use crate::meter::{Lane, Meter};
use crate::{Error, Outcome};

/// An open WebSocket that blocks.
trait Blocking {
    /// Sends a message, the first so many bytes of [`crate::plan::MESSAGE`], at the latest
    /// when `receive` would have to wait.
    fn send(&mut self, bytes: usize) -> Outcome;

    /// The length of the next message.
    fn receive(&mut self) -> Result<usize, Error>;
}

/// An open WebSocket that is awaited.
trait Awaited {
    async fn send(&mut self, bytes: usize) -> Outcome;

    async fn receive(&mut self) -> Result<usize, Error>;
}

/// Keeps `window` messages of so many bytes under way until the meter has all
/// it wants.
pub(crate) fn echo(client: &str, job: &Job, bytes: usize, window: usize, meter: &Meter) -> Outcome {
    let work = Work {
        bytes,
        window,
        meter,
    };
    match (client, job.is_tls()) {
        ("limit", false) => work.block(limit::plain(job)?),
        ("limit", true) => work.block(limit::tls(job)?),
        ("miohttp", _) => work.block(miohttp::Socket::open(job)?),
        ("miohttp-async", _) => futures_executor::block_on(work.wait(miohttp::Socket::open(job)?)),
        ("tungstenite", false) => work.block(tungstenite::plain(job, &work)?),
        ("tungstenite", true) => work.block(tungstenite::tls(job, &work)?),
        ("tokio-tungstenite", tls) => runtime()?.block_on(async {
            let stream = connect(job).await?;
            if tls {
                let stream = shake_hands(job, stream).await?;
                work.wait(tokio_tungstenite::open(job, &work, stream).await?)
                    .await
            } else {
                work.wait(tokio_tungstenite::open(job, &work, stream).await?)
                    .await
            }
        }),
        ("fastwebsockets", tls) => runtime()?.block_on(async {
            let stream = connect(job).await?;
            if tls {
                let stream = shake_hands(job, stream).await?;
                work.wait(fastwebsockets::open(job, &work, stream).await?)
                    .await
            } else {
                work.wait(fastwebsockets::open(job, &work, stream).await?)
                    .await
            }
        }),
        _ => Err(Unable.into()),
    }
}

struct Work<'a> {
    bytes: usize,
    window: usize,
    meter: &'a Meter,
}

impl Work<'_> {
    /// Whether more than one message is under way at a time.
    fn is_window(&self) -> bool {
        self.window > 1
    }

    fn lanes(&self) -> Vec<Lane<'_>> {
        (0..self.window).map(|_| self.meter.lane()).collect()
    }

    fn check(&self, read: usize) -> Outcome {
        if read == self.bytes {
            return Ok(());
        }
        Err(format!("a message of {} bytes came as {read}", self.bytes).into())
    }

    fn block(&self, mut socket: impl Blocking) -> Outcome {
        let mut lanes = self.lanes();
        let mut flying = VecDeque::with_capacity(self.window);
        for (lane, meter) in lanes.iter_mut().enumerate() {
            if meter.turn() {
                socket.send(self.bytes)?;
                flying.push_back(lane);
            }
        }
        while let Some(lane) = flying.pop_front() {
            self.check(socket.receive()?)?;
            if lanes[lane].turn() {
                socket.send(self.bytes)?;
                flying.push_back(lane);
            }
        }
        Ok(())
    }

    async fn wait(&self, mut socket: impl Awaited) -> Outcome {
        let mut lanes = self.lanes();
        let mut flying = VecDeque::with_capacity(self.window);
        for (lane, meter) in lanes.iter_mut().enumerate() {
            if meter.turn() {
                socket.send(self.bytes).await?;
                flying.push_back(lane);
            }
        }
        while let Some(lane) = flying.pop_front() {
            self.check(socket.receive().await?)?;
            if lanes[lane].turn() {
                socket.send(self.bytes).await?;
                flying.push_back(lane);
            }
        }
        Ok(())
    }
}

/// For those that are given an open connection.
fn dial(job: &Job) -> Result<TcpStream, Error> {
    let stream = TcpStream::connect(job.server)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn connect(job: &Job) -> Result<tokio::net::TcpStream, Error> {
    let stream = tokio::net::TcpStream::connect(job.server).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn shake_hands(
    job: &Job,
    stream: tokio::net::TcpStream,
) -> Result<TlsStream<tokio::net::TcpStream>, Error> {
    let name = ServerName::from(job.server.ip());
    let connector = TlsConnector::from(tls_config(job)?);
    Ok(connector.connect(name, stream).await?)
}

/// The handshake for those that leave it to others.
fn handshake(job: &Job) -> String {
    format!(
        "GET /echo HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        job.server
    )
}

/// Whether that is a whole answer, and the right one.
fn is_agreed(answer: &[u8]) -> Result<bool, Error> {
    if !answer.ends_with(b"\r\n\r\n") {
        return Ok(false);
    }
    if answer.starts_with(b"HTTP/1.1 101 ") {
        return Ok(true);
    }
    Err("the server does not speak in messages".into())
}
