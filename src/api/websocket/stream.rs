//! The messages of a WebSocket as a `Stream`.

use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll};

use futures_core::Stream;

use super::WebSocket;
use super::receive::{Reading, Receive};
use super::split::WebSocketReceiver;
use crate::error::Error;
use crate::ws::Message;

/// With the feature `async`: the messages as they come, until it is closed
/// (SPEC W15), on any executor. What the connection is lost by comes as an error, and
/// behind it nothing.
///
/// One that was polled and has given nothing yet is receiving: other handles are
/// refused until it gives a message or is dropped. The verbs of the same handle take
/// its place. Where another handle is receiving, each poll gives that as an error at
/// once, and it is no end: who tries again and again waits for nothing.
impl Stream for WebSocket {
    type Item = Result<Message, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().reading.poll_next(cx)
    }
}

/// With the feature `async`: as of a [`WebSocket`].
impl Stream for WebSocketReceiver {
    type Item = Result<Message, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().0.poll_next(cx)
    }
}

impl Reading {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Message, Error>>> {
        // Nothing panics while it is held.
        let polled = self
            .polled
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        let mut receive = match polled.take() {
            Some(receive) => receive,
            None => match Receive::new(Arc::clone(&self.inbound)) {
                Ok(receive) => receive,
                Err(error) => return Poll::Ready(Some(Err(error))),
            },
        };
        let next = receive.poll(cx).map(Result::transpose);
        if next.is_pending() {
            *polled = Some(receive);
        }
        *self.is_polled.get_mut() = next.is_pending();
        next
    }
}
