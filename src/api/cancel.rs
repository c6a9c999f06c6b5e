//! Cancelling: one request, from any thread.

use std::fmt;
use std::sync::Arc;

use super::connector::WeakConnector;
use crate::handoff::steps::Steps;
use crate::job::{Cancel, Command, ExchangeId};

/// Cancels one request from any thread (SPEC, Shape).
///
/// It reaches until the body of the response has ended, through every hop and
/// whoever holds the body: taken of the [`Pending`](crate::Pending) that sends the request, it
/// cancels the [`Response`](crate::Response) and its reader as well. Whoever
/// waits gets an error of kind [`Cancelled`](crate::Kind::Cancelled), now or at
/// the next read, and the connection is closed. After the body has ended it
/// does nothing. Of a WebSocket it ends the connection, for all its handles. It does
/// not keep anything alive. (A limit of time needs no
/// handle: see [`timeout`](crate::RequestBuilder::timeout).)
///
/// ```no_run
/// use std::{io, thread};
///
/// use miohttp::{Kind, Response, Session};
///
/// let session = Session::new();
/// let pending = session.get("http://example.com/large").start_send();
/// let cancel = pending.cancel_handle();
/// // Whoever sits before it may give up: in the download, too.
/// thread::spawn(move || {
///     println!("Press Enter to cancel.");
///     if io::stdin().read_line(&mut String::new()).is_ok() {
///         cancel.cancel();
///     }
/// });
/// match pending.wait().and_then(Response::bytes) {
///     Ok(body) => println!("{} bytes", body.len()),
///     Err(error) if error.kind() == Kind::Cancelled => println!("given up"),
///     Err(error) => eprintln!("{error:#}"),
/// }
/// ```
#[derive(Clone)]
pub struct CancelHandle(Target);

#[derive(Clone)]
enum Target {
    Nothing,
    One(Aim),
    /// A request whose steps are started by whoever waits for it.
    Steps(WeakConnector, Arc<Steps<ExchangeId>>),
}

/// One exchange, or its body.
#[derive(Clone)]
pub(super) struct Aim(WeakConnector, ExchangeId);

impl Aim {
    pub(super) fn new(connector: WeakConnector, id: ExchangeId) -> Self {
        Self(connector, id)
    }
}

impl CancelHandle {
    pub(super) fn nothing() -> Self {
        Self(Target::Nothing)
    }

    pub(super) fn of_steps(connector: WeakConnector, steps: Arc<Steps<ExchangeId>>) -> Self {
        Self(Target::Steps(connector, steps))
    }

    /// Cancels. Never blocks.
    pub fn cancel(&self) {
        let (connector, id) = match &self.0 {
            Target::Nothing => return,
            Target::One(Aim(connector, id)) => (connector.upgrade(), *id),
            Target::Steps(connector, steps) => {
                let connector = connector.upgrade();
                // Its lock may be held for ever in the child of a process.
                if connector.as_ref().is_some_and(|of| !of.is_home()) {
                    return;
                }
                (connector, steps.cancel())
            }
        };
        if let Some(connector) = connector {
            connector.tell(Command::Cancel(id, Cancel::Abort));
        }
    }
}

impl From<Option<Aim>> for CancelHandle {
    fn from(aim: Option<Aim>) -> Self {
        Self(aim.map_or(Target::Nothing, Target::One))
    }
}

impl fmt::Debug for CancelHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CancelHandle(..)")
    }
}
