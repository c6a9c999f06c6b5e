//! tokio-tungstenite, on a runtime of the calling thread.

use std::future::poll_fn;
use std::task::Poll;

use ::tokio_tungstenite::{WebSocketStream, client_async_with_config};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};

use super::tungstenite::{config, length, message};
use super::{Awaited, Work};
use crate::clients::Job;
use crate::{Error, Outcome};

pub(super) struct Socket<S> {
    socket: WebSocketStream<S>,
    window: bool,
    unflushed: bool,
}

pub(super) async fn open<S: AsyncRead + AsyncWrite + Unpin>(
    job: &Job,
    work: &Work<'_>,
    stream: S,
) -> Result<Socket<S>, Error> {
    let url = format!("ws://{}/echo", job.server);
    let (socket, _) = client_async_with_config(url, stream, Some(config(work))).await?;
    Ok(Socket {
        socket,
        window: work.is_window(),
        unflushed: false,
    })
}

impl<S: AsyncRead + AsyncWrite + Unpin> Awaited for Socket<S> {
    async fn send(&mut self, bytes: usize) -> Outcome {
        if !self.window {
            return Ok(self.socket.send(message(bytes)).await?);
        }
        self.unflushed = true;
        Ok(self.socket.feed(message(bytes)).await?)
    }

    async fn receive(&mut self) -> Result<usize, Error> {
        if self.unflushed {
            let there = poll_fn(|context| {
                Poll::Ready(match self.socket.poll_next_unpin(context) {
                    Poll::Ready(next) => Some(next),
                    Poll::Pending => None,
                })
            });
            if let Some(next) = there.await {
                return length(&next.ok_or("the server has gone")??);
            }
            self.unflushed = false;
            self.socket.flush().await?;
        }
        let next = self.socket.next().await;
        length(&next.ok_or("the server has gone")??)
    }
}
