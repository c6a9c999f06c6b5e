//! A body that is given piece by piece by whoever holds its sender.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::HeaderValue;

use super::produce::{self, BUDGET};
use super::{Body, OCTETS};
use crate::api::cancel::CancelHandle;
use crate::api::pending::{Operation, Pending, refused};
use crate::call::{Content, Opening, Pull, Source, Spent};
use crate::error::{Error, Kind, Phase};
use crate::handoff::feed::{Fed, FeedReader, FeedWriter, Gone, feed};
use crate::handoff::park::block_on;
use crate::job::{Begin, given_up};
use crate::process::Home;

impl Body {
    /// A body that is given piece by piece: what its [`BodySender`] sends, in
    /// chunks, as `application/octet-stream` unless a `Content-Type` says
    /// otherwise (SPEC B8). A request with an explicit `Content-Length`
    /// announces that, and fails if it turns out to be wrong.
    ///
    /// The sender waits while 256 KiB lie there that have not been sent yet,
    /// so start the request first or send from another thread. It ends the body
    /// with [`finish`](BodySender::finish); dropped without it, the request
    /// fails. Such a body can be sent once.
    ///
    /// ```no_run
    /// use miohttp::{Body, Session};
    ///
    /// let (mut sender, body) = Body::channel();
    /// let pending = Session::new().post("http://example.com/log").body(body).start_send();
    /// for n in 0..1000 {
    ///     sender.send(format!("line {n}\n"))?;
    /// }
    /// sender.finish()?;
    /// println!("{}", pending.wait()?.status());
    /// # Ok::<(), miohttp::Error>(())
    /// ```
    pub fn channel() -> (BodySender, Self) {
        let (writer, reader) = feed(BUDGET);
        let sender = BodySender {
            writer: Some(writer),
            home: Home::here(),
        };
        let channel = Channel {
            reader: Mutex::new(Some(reader)),
        };
        let content_type = HeaderValue::from_static(OCTETS);
        let content = Content::Source(Arc::new(channel));
        (sender, Self::of(content, Some(content_type)))
    }
}

/// Gives a request its body, piece by piece: see [`Body::channel`].
///
/// It fails with [`Kind::Write`] once the request takes no
/// more of its body: because it has failed, was cancelled or dropped, or has
/// its answer already, which is no error of the request (SPEC B9). What came of
/// the request only its [`Pending`] or [`Response`](crate::Response) tells.
///
/// It is a [`Write`](io::Write) too, for whatever writes to one.
///
/// ```no_run
/// use std::fs::File;
/// use std::{io, thread};
///
/// use miohttp::{Body, Session};
///
/// let (mut sender, body) = Body::channel();
/// let writer = thread::spawn(move || -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
///     match io::copy(&mut File::open("/dev/stdin")?, &mut sender) {
///         Ok(_) => sender.finish()?,
///         // The request fails with this as its cause.
///         Err(error) => sender.abort(error),
///     }
///     Ok(())
/// });
/// let response = Session::new().post("http://example.com/").body(body).send()?;
/// # drop((response, writer));
/// # Ok::<(), miohttp::Error>(())
/// ```
#[must_use = "dropping a sender fails its request"]
pub struct BodySender {
    /// Taken by whatever ends the body.
    writer: Option<FeedWriter<Error>>,
    /// The process that made it; in another nobody takes anything.
    home: Home,
}

impl BodySender {
    /// Sends `data`, and blocks while more than 256 KiB wait to be sent. An
    /// empty piece is nothing. Small ones are sent together.
    ///
    /// # Errors
    /// [`Kind::Write`]: the request takes no more.
    /// [`Kind::Closed`] in a child of the process.
    /// [`Kind::Internal`] where it would block on the
    /// connector's own thread.
    pub fn send(&mut self, data: impl Into<Bytes>) -> Result<(), Error> {
        let writer = self.writer()?;
        let room = block_on(None, |cx| writer.poll_room(cx));
        match room {
            Ok(room) => room.and_then(|()| writer.push(data.into())).map_err(over),
            Err(unwaited) => Err(refused(unwaited)),
        }
    }

    /// As [`send`](Self::send), without blocking: gives the sender back when
    /// there is room again and `data` is on its way. A failed or dropped
    /// `Pending` drops the sender.
    ///
    /// ```no_run
    /// use miohttp::{Body, Session};
    ///
    /// let (sender, body) = Body::channel();
    /// let pending = Session::new().post("http://example.com/").body(body).start_send();
    /// let sender = sender.start_send("one").wait()?;
    /// let sender = sender.start_send("two").wait()?;
    /// sender.finish()?;
    /// # drop(pending);
    /// # Ok::<(), miohttp::Error>(())
    /// ```
    pub fn start_send(self, data: impl Into<Bytes>) -> Pending<Self> {
        Pending::new(Sending(Some((self, data.into()))))
    }

    /// Sends `data` if there is room for it, and gives it back otherwise. Never
    /// blocks.
    ///
    /// # Errors
    /// [`Kind::Write`]: the request takes no more.
    pub fn try_send(&mut self, data: impl Into<Bytes>) -> Result<Option<Bytes>, Error> {
        let data = data.into();
        let writer = self.writer()?;
        match writer.poll_room(&mut Context::from_waker(Waker::noop())) {
            Poll::Pending => Ok(Some(data)),
            Poll::Ready(Err(gone)) => Err(over(gone)),
            Poll::Ready(Ok(())) => writer.push(data).map(|()| None).map_err(over),
        }
    }

    /// Ends the body: this was all. Never blocks.
    ///
    /// # Errors
    /// [`Kind::Write`]: the request takes no more, and so
    /// the end of its body was not sent.
    pub fn finish(mut self) -> Result<(), Error> {
        self.writer()?;
        self.end(Ok(())).map_err(over)
    }

    /// Gives the body up: the request fails with
    /// [`Kind::Io`], and with `error` as the cause, and its
    /// connection is closed. Never blocks. A request that is over is not
    /// touched by this.
    pub fn abort(mut self, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) {
        let aborted = Error::of_source("the request body was given up").with_source(error);
        if self.writer().is_ok() {
            let _ = self.end(Err(aborted));
        }
    }

    /// Whether the request takes no more of its body; from then on sending
    /// fails.
    pub fn is_over(&self) -> bool {
        let is_home = self.home.is_here();
        let writer = self.writer.as_ref().filter(|_| is_home);
        writer.is_none_or(FeedWriter::is_abandoned)
    }

    /// In a child of the process nobody takes anything, and a lock may be held
    /// for ever.
    fn writer(&mut self) -> Result<&mut FeedWriter<Error>, Error> {
        let is_home = self.home.is_here();
        let writer = self.writer.as_mut().filter(|_| is_home);
        writer.ok_or_else(Error::closed)
    }

    fn end(&mut self, end: Result<(), Error>) -> Result<(), Gone> {
        match self.writer.take() {
            Some(writer) => writer.finish(end),
            None => Err(Gone),
        }
    }
}

impl Drop for BodySender {
    fn drop(&mut self) {
        if !self.home.is_here() {
            std::mem::forget(self.writer.take());
        }
    }
}

impl io::Write for BodySender {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.send(Bytes::copy_from_slice(data))?;
        Ok(data.len())
    }

    /// Does nothing: what is written is sent without being asked for.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for BodySender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodySender")
            .field("is_over", &self.is_over())
            .finish_non_exhaustive()
    }
}

fn over(_: Gone) -> Error {
    Error::new(Kind::Write, "the request takes no more of its body").with_phase(Phase::Send)
}

/// A piece that waits for room, and its sender.
struct Sending(Option<(BodySender, Bytes)>);

impl Operation<BodySender> for Sending {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<BodySender, Error>> {
        let Some((sender, data)) = &mut self.0 else {
            return Poll::Ready(Err(Error::internal("the sender was taken already")));
        };
        let pushed = sender.writer().and_then(|writer| {
            let Poll::Ready(room) = writer.poll_room(cx) else {
                return Ok(false);
            };
            let pushed = room.and_then(|()| writer.push(std::mem::take(data)));
            pushed.map(|()| true).map_err(over)
        });
        match pushed {
            Ok(false) => Poll::Pending,
            Err(error) => Poll::Ready(Err(error)),
            Ok(true) => {
                let sender = self.0.take().map(|(sender, _)| sender);
                let taken = || Error::internal("the sender was taken already");
                Poll::Ready(sender.ok_or_else(taken))
            }
        }
    }

    fn target(&self) -> CancelHandle {
        CancelHandle::nothing()
    }
}

struct Channel {
    reader: Mutex<Option<FeedReader<Error>>>,
}

impl Channel {
    fn reader(&self) -> MutexGuard<'_, Option<FeedReader<Error>>> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source for Channel {
    fn length(&self) -> Option<u64> {
        None
    }

    fn is_replayable(&self) -> bool {
        false
    }

    fn is_spent(&self) -> bool {
        self.reader().is_none()
    }

    fn open(&self) -> Result<Opening, Spent> {
        let reader = self.reader().take().ok_or(Spent)?;
        Ok(Box::new(move || Ok(Box::new(Received(reader)))))
    }

    /// It fills its own feed; no thread is needed.
    fn begin(self: Arc<Self>) -> Begin {
        Box::new(move || {
            let reader = self.reader().take();
            reader.unwrap_or_else(|| produce::failed(Spent.into()))
        })
    }
}

/// What is sent, seen by a thread that makes something else of it.
struct Received(FeedReader<Error>);

impl Pull for Received {
    fn next(&mut self) -> io::Result<Option<Bytes>> {
        const PIECE: usize = 64 * 1024;
        let taken = block_on(None, |cx| self.0.poll_take(PIECE, cx));
        match taken {
            Ok(Fed::Data(data)) => Ok(Some(data)),
            Ok(Fed::End(Ok(()))) => Ok(None),
            Ok(Fed::End(Err(error))) => Err(produce::wrapped(error)),
            Ok(Fed::Broken) => Err(produce::wrapped(given_up())),
            Err(unwaited) => Err(produce::wrapped(refused(unwaited))),
        }
    }
}
