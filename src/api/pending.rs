//! The one way to wait: a [`Pending`] value, blocked on or, with the feature
//! `async`, awaited.

use std::fmt;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use super::connector::WeakConnector;
use crate::error::{Error, Kind};
use crate::handoff::park::{Unwaited, block_on};
use crate::job::{Cancel, Command, ExchangeId};

/// Something that runs and can be polled. Dropping it cancels what it waits for.
pub(crate) trait Operation<T>: Send {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, Error>>;

    /// What a [`CancelHandle`] would cancel.
    fn target(&self) -> CancelHandle;
}

/// An operation that runs by itself until somebody asks for its result.
///
/// Every blocking call `x()` of this crate has a twin `start_x()` that returns
/// a `Pending` at once; `x()` is `start_x().wait()`. Dropping a `Pending`
/// cancels the operation. With the feature `async` it is a `Future` that needs
/// no runtime.
///
/// ```no_run
/// use miohttp::{Session, wait_all};
///
/// let session = Session::new();
/// let pending: Vec<_> = (0..100)
///     .map(|page| session.get(format!("http://example.com/{page}")).start_send())
///     .collect();
/// for response in wait_all(pending) {
///     println!("{}", response?.status());
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

    /// Blocks until the operation has ended.
    ///
    /// # Errors
    /// What the operation failed with. [`Kind::Internal`] when called on this
    /// crate's own reactor thread (from a `Waker` or a logger), where it would
    /// wait for itself; and when the result was taken already.
    pub fn wait(mut self) -> Result<T, Error> {
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
    /// waits for it.
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
pub(crate) fn wait_on<T>(operation: &mut dyn Operation<T>) -> Result<T, Error> {
    block_on(None, |cx| operation.poll(cx)).unwrap_or_else(|unwaited| Err(refused(unwaited)))
}

/// Why a wait without a deadline came to nothing.
pub(crate) fn refused(_: Unwaited) -> Error {
    Error::internal("waiting on the reactor's own thread would never end")
}

/// Cancels one operation from any thread (SPEC, Shape).
///
/// The waiting thread gets an error of kind
/// [`Cancelled`](crate::Kind::Cancelled) and the connection is closed. After
/// the operation has ended it does nothing. It does not keep anything alive.
///
/// ```no_run
/// use std::{thread, time::Duration};
///
/// let pending = miohttp::Session::new().get("http://example.com/").start_send();
/// let cancel = pending.cancel_handle();
/// thread::spawn(move || {
///     thread::sleep(Duration::from_millis(100));
///     cancel.cancel();
/// });
/// let result = pending.wait();
/// # drop(result);
/// ```
#[derive(Clone)]
pub struct CancelHandle(Option<(WeakConnector, ExchangeId)>);

impl CancelHandle {
    pub(crate) fn new(connector: WeakConnector, id: ExchangeId) -> Self {
        Self(Some((connector, id)))
    }

    pub(crate) fn nothing() -> Self {
        Self(None)
    }

    /// Cancels. Never blocks.
    pub fn cancel(&self) {
        if let Some((connector, id)) = &self.0
            && let Some(connector) = connector.upgrade()
        {
            connector.tell(Command::Cancel(*id, Cancel::Abort));
        }
    }
}

impl fmt::Debug for CancelHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CancelHandle(..)")
    }
}
