//! The one way to wait: a [`Pending`] value, blocked on or, with the feature
//! `async`, awaited.

use std::fmt;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use super::cancel::CancelHandle;
use crate::error::{Error, Kind};
use crate::handoff::park::{Unwaited, block_on};

/// Something that runs and can be polled. Dropping it cancels what it waits for.
pub(crate) trait Operation<T>: Send {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, Error>>;

    /// What a [`CancelHandle`] would cancel.
    fn target(&self) -> CancelHandle;
}

/// An operation that runs by itself until somebody asks for its result.
///
/// The verbs that make a request or gather a response have twins: `x()` blocks
/// and `start_x()` returns a `Pending` at once, where `x()` is
/// `start_x().wait()`. They are `send`, `bytes`, `text` and `json` with their
/// variants, `chunk` and `error_for_status`; `connect` of a
/// [`Connector`](crate::Connector) and of a WebSocket, and a WebSocket's own verbs.
/// [`copy_to`](crate::Response::copy_to), [`drain`](crate::Response::drain),
/// [`BodyReader`](crate::BodyReader) and its iterators, and the `close` of
/// sessions and connectors block and have none.
///
/// Dropping a `Pending` cancels the operation. With the feature `async` it is a
/// `Future` that needs no runtime.
///
/// ```no_run
/// use miohttp::{Response, Session, wait_all};
///
/// let session = Session::new();
/// let pages = (0..100).map(|page| {
///     let url = format!("http://example.com/{page}");
///     session.get(url).start_send().and_then(Response::start_text)
/// });
/// for text in wait_all(pages) {
///     println!("{} bytes", text?.len());
/// }
/// # Ok::<(), miohttp::Error>(())
/// ```
#[must_use = "dropping a pending operation cancels it"]
pub struct Pending<T> {
    state: State<T>,
}

enum State<T> {
    Running(Box<dyn Operation<T>>),
    /// Failed before it began.
    Failed(Error),
    Taken,
}

impl<T> Pending<T> {
    pub(crate) fn new(operation: impl Operation<T> + 'static) -> Self {
        Self {
            state: State::Running(Box::new(operation)),
        }
    }

    pub(crate) fn failed(error: Error) -> Self {
        Self {
            state: State::Failed(error),
        }
    }

    /// What needed no waiting.
    pub(crate) fn done(value: T) -> Self
    where
        T: Send + 'static,
    {
        Self::new(Done(Some(value)))
    }

    /// Goes on with `next`, unless this fails: the whole is one operation, with
    /// the second's result.
    ///
    /// The first runs by itself. `next` is called by whoever waits for the
    /// whole, or looks at it, so what it starts begins only then; where several
    /// are waited for together, all of them go on. So many large bodies are read
    /// at once, and none keeps a connection that another needs:
    ///
    /// ```no_run
    /// use miohttp::{Response, Session, wait_all};
    ///
    /// let session = Session::new();
    /// let urls = ["http://example.com/a", "http://example.com/b"];
    /// let bodies = urls.map(|url| session.get(url).start_send().and_then(Response::start_bytes));
    /// for body in wait_all(bodies) {
    ///     println!("{} bytes", body?.len());
    /// }
    /// # Ok::<(), miohttp::Error>(())
    /// ```
    pub fn and_then<U: 'static>(
        self,
        next: impl FnOnce(T) -> Pending<U> + Send + 'static,
    ) -> Pending<U>
    where
        T: 'static,
    {
        Pending::new(Chain::First(self, Some(Box::new(next))))
    }

    /// Blocks until the operation has ended.
    ///
    /// # Errors
    /// What the operation failed with. [`Kind::Internal`] when called on this
    /// crate's own reactor thread (from a `Waker` or a logger), where it would
    /// wait for itself; and when the result was taken already.
    pub fn wait(mut self) -> Result<T, Error> {
        // What is there already needs no waker.
        if let Some(result) = self.try_take() {
            return result;
        }
        match block_on(None, |cx| self.poll_result(cx)) {
            Ok(result) => result,
            Err(unwaited) => Err(refused(unwaited)),
        }
    }

    /// Blocks until the operation has ended, at most for `limit`. `None`: it is
    /// still running, and can be waited for again.
    pub fn wait_for(&mut self, limit: Duration) -> Option<Result<T, Error>> {
        let deadline = Instant::now().checked_add(limit);
        match block_on(deadline, |cx| self.poll_result(cx)) {
            Ok(result) => Some(result),
            Err(Unwaited::Late) => None,
            Err(Unwaited::Forbidden) => Some(Err(refused(Unwaited::Forbidden))),
        }
    }

    /// The result, if it is there. Never blocks.
    pub fn try_take(&mut self) -> Option<Result<T, Error>> {
        match self.poll_result(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(result) => Some(result),
            Poll::Pending => None,
        }
    }

    /// Cancels the operation; the same as dropping it.
    pub fn cancel(self) {}

    /// A handle with which any thread can cancel this operation while this one
    /// waits for it, and the body of the response it gives. Of a chain it is the
    /// handle of the part that runs now: see [`and_then`](Pending::and_then).
    pub fn cancel_handle(&self) -> CancelHandle {
        match &self.state {
            State::Running(operation) => operation.target(),
            State::Failed(_) | State::Taken => CancelHandle::nothing(),
        }
    }

    pub(crate) fn poll_result(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, Error>> {
        let State::Running(operation) = &mut self.state else {
            return match std::mem::replace(&mut self.state, State::Taken) {
                State::Failed(error) => Poll::Ready(Err(error)),
                _ => Poll::Ready(Err(Error::new(
                    Kind::Internal,
                    "the result of this operation was taken already",
                ))),
            };
        };
        let result = operation.poll(cx);
        if result.is_ready() {
            self.state = State::Taken;
        }
        result
    }
}

/// A value that was there at once.
struct Done<T>(Option<T>);

impl<T: Send> Operation<T> for Done<T> {
    fn poll(&mut self, _: &mut Context<'_>) -> Poll<Result<T, Error>> {
        let taken = || Error::internal("the value was taken already");
        Poll::Ready(self.0.take().ok_or_else(taken))
    }

    fn target(&self) -> CancelHandle {
        CancelHandle::nothing()
    }
}

/// One operation and what follows it.
enum Chain<T, U> {
    First(Pending<T>, Option<Following<T, U>>),
    Second(Pending<U>),
}

type Following<T, U> = Box<dyn FnOnce(T) -> Pending<U> + Send>;

impl<T, U> Operation<U> for Chain<T, U> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<U, Error>> {
        loop {
            match self {
                Self::First(first, next) => {
                    let value = match first.poll_result(cx) {
                        Poll::Pending => return Poll::Pending,
                        Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                        Poll::Ready(Ok(value)) => value,
                    };
                    let Some(next) = next.take() else {
                        let error = Error::internal("this operation was continued already");
                        return Poll::Ready(Err(error));
                    };
                    *self = Self::Second(next(value));
                }
                Self::Second(second) => return second.poll_result(cx),
            }
        }
    }

    fn target(&self) -> CancelHandle {
        match self {
            Self::First(first, _) => first.cancel_handle(),
            Self::Second(second) => second.cancel_handle(),
        }
    }
}

impl<T> fmt::Debug for Pending<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.state {
            State::Running(_) => "Pending(running)",
            State::Failed(_) => "Pending(failed)",
            State::Taken => "Pending(taken)",
        })
    }
}

/// With the feature `async`: the same operation as a future, on any executor.
#[cfg(feature = "async")]
impl<T> Future for Pending<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: std::pin::Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.poll_result(cx)
    }
}

/// Runs one operation to its end on this thread: the body of every blocking verb.
pub(crate) fn wait_on<T>(operation: &mut impl Operation<T>) -> Result<T, Error> {
    // What this thread drives by itself is there now, and needs no waker.
    let mut cx = Context::from_waker(Waker::noop());
    if let Poll::Ready(result) = operation.poll(&mut cx) {
        return result;
    }
    block_on(None, |cx| operation.poll(cx)).unwrap_or_else(|unwaited| Err(refused(unwaited)))
}

/// As [`wait_on`], at most until then. `None`: it has not ended.
#[cfg(feature = "websocket")]
pub(crate) fn wait_until<T>(
    operation: &mut impl Operation<T>,
    until: Option<Instant>,
) -> Option<Result<T, Error>> {
    let mut cx = Context::from_waker(Waker::noop());
    if let Poll::Ready(result) = operation.poll(&mut cx) {
        return Some(result);
    }
    match block_on(until, |cx| operation.poll(cx)) {
        Ok(result) => Some(result),
        Err(Unwaited::Late) => None,
        Err(unwaited) => Some(Err(refused(unwaited))),
    }
}

/// Why a wait without a deadline came to nothing.
pub(crate) fn refused(_: Unwaited) -> Error {
    Error::internal("waiting on the reactor's own thread would never end")
}
