//! WebSockets as a program sees them (SPEC W10 to W15): how one is asked for
//! ([`builder`], [`connect`]), and the object that is an open one.
//!
//! ```text
//!   send ─► turn ─► Encoder ─► Frame ─► outbox ─► the reactor ─► the network
//!   recv ◄─ Assembler ◄─ pipe (raw frames) ◄───── the reactor ◄─┘
//!                          └─ WsEnd, and by the latch at once
//! ```
//!
//! Whoever sends or receives drives the connection, and the reactor does where nobody
//! is there. What costs time
//! is done by whoever sends or receives: masking and deflating in [`send`], UTF-8 and
//! inflating in [`receive`].

mod builder;
mod close;
mod connect;
mod facts;
mod options;
mod pace;
mod receive;
mod send;
mod shared;
mod split;
#[cfg(feature = "async")]
mod stream;
mod verbs;

use std::fmt;
use std::sync::Arc;

pub use self::builder::WebSocketBuilder;
use self::connect::Upgrade;
use self::facts::facts;
pub use self::options::PerMessageDeflate;
pub use self::receive::Messages;
use self::receive::{Inbound, Reading};
pub use self::send::SendOptions;
use self::shared::Shared;
pub use self::split::{WebSocketReceiver, WebSocketSender};
use self::verbs::{ends, receives, sends};

/// An open WebSocket (RFC 6455), made by
/// [`Session::ws_connect`](crate::Session::ws_connect).
///
/// A handle: cloning is cheap, all clones are the same WebSocket, and any number of
/// threads may use them at once. So one thread sends while another receives; several
/// may send, and every message goes out in one piece. One receives at a time.
/// [`split`](Self::split) makes the two sides types.
///
/// Who sends writes, who blocks to receive reads, and where nobody is there the
/// connector's thread does both (see [`Connector`](crate::Connector)): it answers pings, keeps the
/// heartbeat and does the closing handshake while nobody receives. Sending returns as
/// soon as the message waits to be written, and blocks only while too much of what
/// was sent before (512 KiB or about 1024 messages) waits. What is received waits, up to
/// about 512 KiB, until somebody takes it; then the server has to wait.
///
/// It holds one of the slots of the [`limit`](crate::ConnectorBuilder::limit) until
/// it is closed. The time limit of the request ends with the handshake.
///
/// ```no_run
/// use miohttp::{CloseCode, Session};
///
/// let socket = Session::new().ws_connect("wss://example.com/chat").connect()?;
/// socket.send("hello")?;
/// while let Some(message) = socket.recv()? {
///     println!("{message:?}");
///     if message.as_text() == Some("bye") {
///         socket.close(CloseCode::NORMAL, "")?;
///     }
/// }
/// # Ok::<(), miohttp::Error>(())
/// ```
///
/// # How it ends
///
/// | what happens | `recv` | [`close_code`](Self::close_code) |
/// |---|---|---|
/// | the server closes, or this side does | `Ok(None)` | the server's, or 1005 if it gave none |
/// | the server violates the protocol, UTF-8 or the largest size | the error, once; then `Ok(None)` | 1002, 1007 or 1009, which the server is told |
/// | the connection is lost, or no heartbeat comes | the error, once; then `Ok(None)` | 1006 |
/// | [`receive_timeout`](crate::WebSocketBuilder::receive_timeout) passes | the error, once; then `Ok(None)` | 1006 |
/// | [`cancel`](crate::CancelHandle::cancel), or the connector is closed | the error, once; then `Ok(None)` | 1006 |
///
/// [`exception`](Self::exception) keeps the error. Dropping the last handle, halves,
/// iterators and operations included, says goodbye with code 1001 and waits for
/// nothing: the connection is then closed in the background.
///
/// # Futures
///
/// With the feature `async` a WebSocket and its receiving half are `Stream`s of
/// messages, and every [`Pending`](crate::Pending) is a future: `start_send(..).await`
/// sends. Where a `Sink` is asked for, `futures_util::sink::unfold` makes one of that:
///
/// ```ignore
/// let sink = futures_util::sink::unfold(sender, |sender, message: Message| async move {
///     sender.start_send(message).await?;
///     Ok::<_, miohttp::Error>(sender)
/// });
/// ```
///
/// # Processes
///
/// In the child of a process a WebSocket is of no use: its verbs fail with
/// [`Kind::Closed`](crate::Kind::Closed), and dropping it does nothing to the
/// connection.
pub struct WebSocket {
    reading: Reading,
}

impl WebSocket {
    fn open(upgrade: Upgrade) -> Self {
        let inbound = Arc::new(shared::open(upgrade));
        Self {
            reading: Reading::new(inbound),
        }
    }

    /// The messages as they come, until it is closed (SPEC W15). Blocks for each. What
    /// the connection is lost by comes as an error, and behind it nothing.
    ///
    /// ```no_run
    /// # let socket = miohttp::Session::new().ws_connect("ws://example.com/").connect()?;
    /// for message in &socket {
    ///     println!("{:?}", message?);
    /// }
    /// println!("closed with {:?}", socket.close_code());
    /// # Ok::<(), miohttp::Error>(())
    /// ```
    pub fn iter(&self) -> Messages<'_> {
        Messages::new(&self.reading)
    }

    /// The side that sends and the side that receives, to be used by two threads. The
    /// WebSocket stays open until both are dropped, or it is closed.
    ///
    /// ```no_run
    /// # let socket = miohttp::Session::new().ws_connect("ws://example.com/").connect()?;
    /// let (sender, mut receiver) = socket.split();
    /// let printer = std::thread::spawn(move || {
    ///     for message in &mut receiver {
    ///         println!("{message:?}");
    ///     }
    /// });
    /// for line in std::io::stdin().lines() {
    ///     sender.send(line?)?;
    /// }
    /// sender.close(1000, "")?;
    /// # drop(printer.join());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn split(self) -> (WebSocketSender, WebSocketReceiver) {
        split::split(self.reading)
    }

    fn inbound(&self) -> &Arc<Inbound> {
        self.reading.inbound()
    }

    fn shared(&self) -> &Arc<Shared> {
        self.reading.shared()
    }
}

sends!(WebSocket);
receives!(WebSocket);
ends!(WebSocket);
facts!(WebSocket);

impl<'a> IntoIterator for &'a WebSocket {
    type Item = <Messages<'a> as Iterator>::Item;
    type IntoIter = Messages<'a>;

    fn into_iter(self) -> Messages<'a> {
        self.iter()
    }
}

impl Clone for WebSocket {
    fn clone(&self) -> Self {
        Self {
            reading: self.reading.clone(),
        }
    }
}

impl fmt::Debug for WebSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared().debug("WebSocket", f)
    }
}
