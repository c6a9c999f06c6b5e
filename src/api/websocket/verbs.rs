//! The verbs, which a WebSocket and its halves have alike.

use crate::error::{Error, Kind};
use crate::ws::{Message, Utf8Bytes};

use super::shared::Shared;

/// Sending; `$name` has `shared(&self) -> &Arc<Shared>`.
macro_rules! sends {
    ($name:ident) => {
        impl $name {
            /// Sends a message: text for a `&str` or `String`, binary for a `Vec<u8>`,
            /// `&[u8]` or [`Bytes`](crate::Bytes) (SPEC W11). Returns once it waits to be
            /// written, and blocks only while there is too much before it. It is
            /// sent whole or not at all, and in one frame.
            ///
            /// It is written at once, but for one case: a small message from a thread
            /// that has received one, while the next is there already, is taken for one
            /// of several answers. They are written together when that thread has
            /// answered the last, or waits, or after 4 ms at most.
            ///
            /// A `Vec<u8>` is masked where it is; so are [`Bytes`](crate::Bytes) that
            /// nobody else has a handle on. Everything else is copied once.
            ///
            /// ```no_run
            /// # let socket = miohttp::Session::new().ws_connect("ws://example.com/").connect()?;
            /// socket.send("text")?;
            /// socket.send(vec![0, 1, 2])?;
            /// # Ok::<(), miohttp::Error>(())
            /// ```
            ///
            /// # Errors
            /// [`Kind::Closed`](crate::Kind::Closed) once the WebSocket is closed, or
            /// closes; what it was lost by is the source.
            /// [`Kind::InvalidRequest`](crate::Kind::InvalidRequest) for a control
            /// frame that may not be sent.
            pub fn send(&self, message: impl Into<crate::ws::Message>) -> Result<(), crate::Error> {
                self.send_with(message, crate::api::websocket::SendOptions::new())
            }

            /// As [`send`](Self::send), without blocking: it is sent at once if there is
            /// room, and otherwise when the [`Pending`](crate::Pending) is waited for.
            /// Those who wait are served in the order in which they came, so one that
            /// has been waited for and is not any more holds up the others: wait for
            /// it to the end, or drop it. A dropped one sent its message whole or not at
            /// all.
            pub fn start_send(&self, message: impl Into<crate::ws::Message>) -> crate::Pending<()> {
                self.start_send_with(message, crate::api::websocket::SendOptions::new())
            }

            /// As [`send`](Self::send), but waits no longer than so. A message that was
            /// not sent by then is not sent.
            ///
            /// # Errors
            /// [`Kind::Timeout`](crate::Kind::Timeout) as well, with
            /// [`Timeout::WsSend`](crate::Timeout::WsSend).
            pub fn send_timeout(
                &self,
                message: impl Into<crate::ws::Message>,
                limit: std::time::Duration,
            ) -> Result<(), crate::Error> {
                let options = crate::api::websocket::SendOptions::new();
                let (shared, message) = (&**self.shared(), message.into());
                crate::api::websocket::send::blocking(shared, message, options, Some(limit))
            }

            /// As [`send`](Self::send), with options for this one message.
            ///
            /// ```no_run
            /// # let socket = miohttp::Session::new().ws_connect("ws://example.com/").connect()?;
            /// use miohttp::SendOptions;
            ///
            /// let picture = std::fs::read("picture.jpeg")?;
            /// socket.send_with(picture, SendOptions::new().compress(false))?;
            /// # Ok::<(), Box<dyn std::error::Error>>(())
            /// ```
            pub fn send_with(
                &self,
                message: impl Into<crate::ws::Message>,
                options: crate::api::websocket::SendOptions,
            ) -> Result<(), crate::Error> {
                let (shared, message) = (&**self.shared(), message.into());
                crate::api::websocket::send::blocking(shared, message, options, None)
            }

            /// As [`send_with`](Self::send_with), without blocking: see
            /// [`start_send`](Self::start_send).
            pub fn start_send_with(
                &self,
                message: impl Into<crate::ws::Message>,
                options: crate::api::websocket::SendOptions,
            ) -> crate::Pending<()> {
                crate::api::websocket::send::start(self.shared(), message.into(), options)
            }

            /// [`send`](Self::send) of text.
            pub fn send_text(
                &self,
                text: impl Into<crate::ws::Utf8Bytes>,
            ) -> Result<(), crate::Error> {
                self.send(crate::ws::Message::Text(text.into()))
            }

            /// [`start_send`](Self::start_send) of text.
            pub fn start_send_text(
                &self,
                text: impl Into<crate::ws::Utf8Bytes>,
            ) -> crate::Pending<()> {
                self.start_send(crate::ws::Message::Text(text.into()))
            }

            /// [`send_timeout`](Self::send_timeout) of text.
            pub fn send_text_timeout(
                &self,
                text: impl Into<crate::ws::Utf8Bytes>,
                limit: std::time::Duration,
            ) -> Result<(), crate::Error> {
                self.send_timeout(crate::ws::Message::Text(text.into()), limit)
            }

            /// [`send`](Self::send) of bytes.
            pub fn send_bytes(&self, bytes: impl Into<bytes::Bytes>) -> Result<(), crate::Error> {
                self.send(crate::ws::Message::Binary(bytes.into()))
            }

            /// [`start_send`](Self::start_send) of bytes.
            pub fn start_send_bytes(&self, bytes: impl Into<bytes::Bytes>) -> crate::Pending<()> {
                self.start_send(crate::ws::Message::Binary(bytes.into()))
            }

            /// [`send_timeout`](Self::send_timeout) of bytes.
            pub fn send_bytes_timeout(
                &self,
                bytes: impl Into<bytes::Bytes>,
                limit: std::time::Duration,
            ) -> Result<(), crate::Error> {
                self.send_timeout(crate::ws::Message::Binary(bytes.into()), limit)
            }

            /// Sends a value as the text of its JSON (SPEC W11), written by the session's
            /// [`json_serializer`](crate::SessionBuilder::json_serializer) if it has one.
            ///
            /// # Errors
            /// As [`send`](Self::send); and
            /// [`Kind::InvalidRequest`](crate::Kind::InvalidRequest) for what cannot be
            /// written as JSON.
            #[cfg(feature = "json")]
            pub fn send_json(
                &self,
                value: &(impl serde_core::Serialize + ?Sized),
            ) -> Result<(), crate::Error> {
                self.send_text(self.shared().to_json(value)?)
            }

            /// As [`send_json`](Self::send_json), without blocking: see
            /// [`start_send`](Self::start_send).
            #[cfg(feature = "json")]
            pub fn start_send_json(
                &self,
                value: &(impl serde_core::Serialize + ?Sized),
            ) -> crate::Pending<()> {
                match self.shared().to_json(value) {
                    Ok(text) => self.start_send_text(text),
                    Err(error) => crate::Pending::failed(error),
                }
            }

            /// As [`send_json`](Self::send_json), but waits no longer than so: see
            /// [`send_timeout`](Self::send_timeout).
            #[cfg(feature = "json")]
            pub fn send_json_timeout(
                &self,
                value: &(impl serde_core::Serialize + ?Sized),
                limit: std::time::Duration,
            ) -> Result<(), crate::Error> {
                self.send_text_timeout(self.shared().to_json(value)?, limit)
            }

            /// Sends a ping with so many bytes, 125 at most (SPEC W11). The server answers
            /// with a pong, which is shown where `autoping` is off. A
            /// [`heartbeat`](crate::WebSocketBuilder::heartbeat) needs no calls of this.
            ///
            /// # Errors
            /// As [`send`](Self::send).
            pub fn ping(&self, payload: impl Into<bytes::Bytes>) -> Result<(), crate::Error> {
                self.send(crate::ws::Message::Ping(payload.into()))
            }

            /// As [`ping`](Self::ping), without blocking: see
            /// [`start_send`](Self::start_send).
            pub fn start_ping(&self, payload: impl Into<bytes::Bytes>) -> crate::Pending<()> {
                self.start_send(crate::ws::Message::Ping(payload.into()))
            }

            /// Sends a pong with so many bytes, 125 at most (SPEC W11). Pings are answered
            /// without it unless `autoping` is off.
            ///
            /// # Errors
            /// As [`send`](Self::send).
            pub fn pong(&self, payload: impl Into<bytes::Bytes>) -> Result<(), crate::Error> {
                self.send(crate::ws::Message::Pong(payload.into()))
            }

            /// As [`pong`](Self::pong), without blocking: see
            /// [`start_send`](Self::start_send).
            pub fn start_pong(&self, payload: impl Into<bytes::Bytes>) -> crate::Pending<()> {
                self.start_send(crate::ws::Message::Pong(payload.into()))
            }
        }
    };
}
pub(super) use sends;

/// Receiving; `$name` has `inbound(&self) -> &Arc<Inbound>`.
macro_rules! receives {
    ($name:ident $(, $mutable:ident)?) => {
        impl $name {
            /// The next message (SPEC W12); `None` once the WebSocket is closed, by
            /// whichever side. Blocks until there is one.
            ///
            /// A binary message that came in one piece is a part of the memory it was
            /// read into, and keeps that alive: copy what is kept for long.
            ///
            /// # Errors
            /// Why the connection was lost, or what the server did against the protocol
            /// (see [how it ends](crate::WebSocket#how-it-ends)), once; after that it
            /// is closed. [`Kind::InvalidRequest`](crate::Kind::InvalidRequest), at once,
            /// while another receives.
            pub fn recv(& $($mutable)? self) -> Result<Option<crate::ws::Message>, crate::Error> {
                self.received(None, crate::api::websocket::verbs::as_it_is)
            }

            /// As [`recv`](Self::recv), without blocking. Dropping the
            /// [`Pending`](crate::Pending) loses no message; while it lives, nobody else
            /// receives.
            pub fn start_recv(
                & $($mutable)? self,
            ) -> crate::Pending<Option<crate::ws::Message>> {
                self.start_received(crate::api::websocket::verbs::as_it_is)
            }

            /// As [`recv`](Self::recv), but waits no longer than so. The WebSocket stays
            /// open when the limit passes, and no message is lost.
            ///
            /// # Errors
            /// [`Kind::Timeout`](crate::Kind::Timeout) as well, with
            /// [`Timeout::WsReceive`](crate::Timeout::WsReceive).
            pub fn recv_timeout(
                & $($mutable)? self,
                limit: std::time::Duration,
            ) -> Result<Option<crate::ws::Message>, crate::Error> {
                self.received(Some(limit), crate::api::websocket::verbs::as_it_is)
            }

            /// The next message, which is text (SPEC W12).
            ///
            /// # Errors
            /// As [`recv`](Self::recv); and [`Kind::WebSocket`](crate::Kind::WebSocket)
            /// for a message of another type, which is gone then.
            pub fn recv_text(
                & $($mutable)? self,
            ) -> Result<Option<crate::ws::Utf8Bytes>, crate::Error> {
                self.received(None, crate::api::websocket::verbs::text)
            }

            /// As [`recv_text`](Self::recv_text), without blocking: see
            /// [`start_recv`](Self::start_recv).
            pub fn start_recv_text(
                & $($mutable)? self,
            ) -> crate::Pending<Option<crate::ws::Utf8Bytes>> {
                self.start_received(crate::api::websocket::verbs::text)
            }

            /// As [`recv_text`](Self::recv_text), but waits no longer than so: see
            /// [`recv_timeout`](Self::recv_timeout).
            pub fn recv_text_timeout(
                & $($mutable)? self,
                limit: std::time::Duration,
            ) -> Result<Option<crate::ws::Utf8Bytes>, crate::Error> {
                self.received(Some(limit), crate::api::websocket::verbs::text)
            }

            /// The next message, which is binary (SPEC W12).
            ///
            /// # Errors
            /// As [`recv_text`](Self::recv_text).
            pub fn recv_bytes(
                & $($mutable)? self,
            ) -> Result<Option<bytes::Bytes>, crate::Error> {
                self.received(None, crate::api::websocket::verbs::binary)
            }

            /// As [`recv_bytes`](Self::recv_bytes), without blocking: see
            /// [`start_recv`](Self::start_recv).
            pub fn start_recv_bytes(
                & $($mutable)? self,
            ) -> crate::Pending<Option<bytes::Bytes>> {
                self.start_received(crate::api::websocket::verbs::binary)
            }

            /// As [`recv_bytes`](Self::recv_bytes), but waits no longer than so: see
            /// [`recv_timeout`](Self::recv_timeout).
            pub fn recv_bytes_timeout(
                & $($mutable)? self,
                limit: std::time::Duration,
            ) -> Result<Option<bytes::Bytes>, crate::Error> {
                self.received(Some(limit), crate::api::websocket::verbs::binary)
            }

            /// The next message, which is text and the JSON of a `T` (SPEC W12).
            ///
            /// # Errors
            /// As [`recv_text`](Self::recv_text); and
            /// [`Kind::Decode`](crate::Kind::Decode) for what is not JSON, or not a `T`;
            /// that message is gone then.
            #[cfg(feature = "json")]
            pub fn recv_json<T: serde_core::de::DeserializeOwned + 'static>(
                & $($mutable)? self,
            ) -> Result<Option<T>, crate::Error> {
                self.received(None, crate::api::websocket::verbs::json)
            }

            /// As [`recv_json`](Self::recv_json), without blocking: see
            /// [`start_recv`](Self::start_recv).
            #[cfg(feature = "json")]
            pub fn start_recv_json<T: serde_core::de::DeserializeOwned + 'static>(
                & $($mutable)? self,
            ) -> crate::Pending<Option<T>> {
                self.start_received(crate::api::websocket::verbs::json)
            }

            /// As [`recv_json`](Self::recv_json), but waits no longer than so: see
            /// [`recv_timeout`](Self::recv_timeout).
            #[cfg(feature = "json")]
            pub fn recv_json_timeout<T: serde_core::de::DeserializeOwned + 'static>(
                & $($mutable)? self,
                limit: std::time::Duration,
            ) -> Result<Option<T>, crate::Error> {
                self.received(Some(limit), crate::api::websocket::verbs::json)
            }

            fn received<T>(
                &self,
                limit: Option<std::time::Duration>,
                read: crate::api::websocket::receive::Read<T>,
            ) -> Result<Option<T>, crate::Error> {
                let inbound = &**self.inbound();
                match inbound.at_once() {
                    Some(message) => read(inbound.shared(), message).map(Some),
                    None => crate::api::websocket::receive::Typed::new(inbound, read)?.wait(limit),
                }
            }

            fn start_received<T: 'static>(
                &self,
                read: crate::api::websocket::receive::Read<T>,
            ) -> crate::Pending<Option<T>> {
                match crate::api::websocket::receive::Typed::new(std::sync::Arc::clone(self.inbound()), read) {
                    Ok(waiting) => crate::Pending::new(waiting),
                    Err(error) => crate::Pending::failed(error),
                }
            }
        }
    };
}
pub(super) use receives;

/// The end, and what is known of it; `$name` has `shared(&self) -> &Arc<Shared>`.
macro_rules! ends {
    ($name:ident) => {
        impl $name {
            /// Closes the WebSocket (SPEC W14): says so to the server behind all that was
            /// sent, and waits for its answer, at most the
            /// [`close_timeout`](crate::WebSocketBuilder::close_timeout). Messages that
            /// still come can be received meanwhile, by another thread.
            ///
            /// The code is 1000 to 1014 as far as it is registered and may be sent, or
            /// 3000 to 4999; [`CloseCode::NO_STATUS`](crate::CloseCode::NO_STATUS) with no
            /// reason says nothing at all. A reason has at most 123 bytes.
            ///
            /// `true`: the server has answered, and it is closed by this call, or by one
            /// at the same time. `false`: it was closed before, the connection was lost, or
            /// no answer came in time.
            ///
            /// ```no_run
            /// # let socket = miohttp::Session::new().ws_connect("ws://example.com/").connect()?;
            /// if !socket.close(miohttp::CloseCode::NORMAL, "done")? {
            ///     println!("it did not say goodbye: {:?}", socket.close_code());
            /// }
            /// # Ok::<(), miohttp::Error>(())
            /// ```
            ///
            /// # Errors
            /// [`Kind::InvalidRequest`](crate::Kind::InvalidRequest) for a code or reason
            /// that may not be sent.
            pub fn close(
                &self,
                code: impl Into<crate::ws::CloseCode>,
                reason: impl AsRef<str>,
            ) -> Result<bool, crate::Error> {
                let (code, reason) = (code.into(), reason.as_ref());
                let mut closing =
                    crate::api::websocket::close::Closing::new(&**self.shared(), code, reason)?;
                crate::api::pending::wait_on(&mut closing)
            }

            /// As [`close`](Self::close), without blocking. The server is told at once, and
            /// dropping the [`Pending`](crate::Pending) takes nothing back: the WebSocket
            /// closes by itself.
            pub fn start_close(
                &self,
                code: impl Into<crate::ws::CloseCode>,
                reason: impl AsRef<str>,
            ) -> crate::Pending<bool> {
                let shared = std::sync::Arc::clone(self.shared());
                match crate::api::websocket::close::Closing::new(
                    shared,
                    code.into(),
                    reason.as_ref(),
                ) {
                    Ok(closing) => crate::Pending::new(closing),
                    Err(error) => crate::Pending::failed(error),
                }
            }

            /// Whether it is closed, or closes: nothing can be sent any more. What was
            /// received before can still be taken (SPEC W10).
            pub fn is_closed(&self) -> bool {
                self.shared().is_closed()
            }

            /// The code it was closed with (SPEC W10): the server's, 1005 if that gave none,
            /// 1006 if the connection just ended, our own if this side found a fault.
            /// `None` while it is open, and until the server has answered a
            /// [`close`](Self::close).
            pub fn close_code(&self) -> Option<crate::ws::CloseCode> {
                self.shared().close_code()
            }

            /// The reason beside the [`close_code`](Self::close_code), often empty.
            pub fn close_reason(&self) -> Option<crate::ws::Utf8Bytes> {
                self.shared().close_reason()
            }

            /// What it was lost by, or the fault that it was closed for (SPEC W10); `None`
            /// while it is open, and after a good end.
            pub fn exception(&self) -> Option<crate::Error> {
                self.shared().exception()
            }

            /// A handle with which any thread can end the connection at once, without a
            /// goodbye: whoever receives gets an error of kind
            /// [`Cancelled`](crate::Kind::Cancelled). So does the handle of any operation.
            pub fn cancel_handle(&self) -> crate::CancelHandle {
                self.shared().cancel_handle()
            }
        }
    };
}
pub(super) use ends;

pub(super) fn as_it_is(_: &Shared, message: Message) -> Result<Message, Error> {
    Ok(message)
}

pub(super) fn text(shared: &Shared, message: Message) -> Result<Utf8Bytes, Error> {
    match message {
        Message::Text(text) => Ok(text),
        other => Err(unlike(shared, &other, "text")),
    }
}

pub(super) fn binary(shared: &Shared, message: Message) -> Result<bytes::Bytes, Error> {
    match message {
        Message::Binary(bytes) => Ok(bytes),
        other => Err(unlike(shared, &other, "binary")),
    }
}

#[cfg(feature = "json")]
pub(super) fn json<T: serde_core::de::DeserializeOwned>(
    shared: &Shared,
    message: Message,
) -> Result<T, Error> {
    let text = text(shared, message)?;
    serde_json::from_str(&text).map_err(|cause| {
        let error = Error::new(
            Kind::Decode,
            "the message is not the JSON that was expected",
        );
        shared.context(error.with_source(cause))
    })
}

#[cold]
fn unlike(shared: &Shared, message: &Message, wanted: &str) -> Error {
    let came = match message {
        Message::Text(_) => "text",
        Message::Binary(_) => "a binary message",
        Message::Ping(_) => "a ping",
        Message::Pong(_) => "a pong",
        Message::Close(_) => "a close",
    };
    let message = format!("{came} was received where a {wanted} message was expected");
    shared.context(Error::new(Kind::WebSocket, message))
}
