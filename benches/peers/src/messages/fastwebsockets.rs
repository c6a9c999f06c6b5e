//! fastwebsockets, on a runtime of the calling thread. It masks what it is
//! given in a copy of its own, and writes each frame by itself; where several
//! are under way, tokio's own buffer gathers them.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use ::fastwebsockets::{FragmentCollector, Frame, OpCode, Payload, Role, WebSocket};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufWriter, ReadBuf};

use super::{Awaited, Work, handshake, is_agreed};
use crate::clients::Job;
use crate::plan::{M1, MESSAGE};
use crate::{Error, Outcome};

pub(super) struct Socket<S>(FragmentCollector<Eager<S>>);

/// Writes what was gathered before it reads, or else at once.
enum Eager<S> {
    Gathers(BufWriter<S>),
    Writes(S),
}

pub(super) async fn open<S: AsyncRead + AsyncWrite + Unpin>(
    job: &Job,
    work: &Work<'_>,
    mut stream: S,
) -> Result<Socket<S>, Error> {
    stream.write_all(handshake(job).as_bytes()).await?;
    stream.flush().await?;
    let mut answer = Vec::new();
    while !is_agreed(&answer)? {
        answer.push(stream.read_u8().await?);
    }
    let stream = if work.is_window() {
        Eager::Gathers(BufWriter::with_capacity(128 * 1024, stream))
    } else {
        Eager::Writes(stream)
    };
    let mut socket = WebSocket::after_handshake(stream, Role::Client);
    socket.set_writev(true);
    socket.set_max_message_size(4 * M1);
    Ok(Socket(FragmentCollector::new(socket)))
}

impl<S: AsyncRead + AsyncWrite + Unpin> Awaited for Socket<S> {
    async fn send(&mut self, bytes: usize) -> Outcome {
        let payload = Payload::Borrowed(&MESSAGE[..bytes]);
        Ok(self.0.write_frame(Frame::binary(payload)).await?)
    }

    async fn receive(&mut self) -> Result<usize, Error> {
        let frame = self.0.read_frame().await?;
        if frame.opcode != OpCode::Binary {
            return Err("a message that was not asked for".into());
        }
        Ok(frame.payload.len())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Eager<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Gathers(stream) => {
                if !stream.buffer().is_empty() {
                    ready!(Pin::new(&mut *stream).poll_flush(context))?;
                }
                Pin::new(stream).poll_read(context, into)
            }
            Self::Writes(stream) => Pin::new(stream).poll_read(context, into),
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Eager<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        from: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Gathers(stream) => Pin::new(stream).poll_write(context, from),
            Self::Writes(stream) => Pin::new(stream).poll_write(context, from),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        from: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Gathers(stream) => Pin::new(stream).poll_write_vectored(context, from),
            Self::Writes(stream) => Pin::new(stream).poll_write_vectored(context, from),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Gathers(stream) => stream.is_write_vectored(),
            Self::Writes(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Gathers(stream) => Pin::new(stream).poll_flush(context),
            Self::Writes(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Gathers(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Writes(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
