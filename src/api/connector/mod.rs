//! A [`Connector`] owns one reactor and the connections it keeps. Sessions
//! share it by cloning; the thread starts on first use.

mod builder;
mod idle;
mod names;
mod sockets;
mod stats;

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
#[cfg(feature = "websocket")]
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

pub use self::builder::ConnectorBuilder;
pub use self::stats::ConnectorStats;

use crate::call::TlsSource;
use crate::dns::Workers;
use crate::error::Error;
use crate::handoff::mailbox::Mailbox;
#[cfg(feature = "websocket")]
use crate::handoff::park::{self, Unwaited};
#[cfg(feature = "websocket")]
use crate::handoff::relay::Guest;
#[cfg(feature = "websocket")]
use crate::job::{Adopt, WsConn};
use crate::job::{Command, Config, Control, Exchange, ExchangeId};
use crate::lease::Lessee;
use crate::process::Home;
#[cfg(feature = "websocket")]
use crate::reactor::adoption;
use crate::reactor::{Ledger, Reactor, close_pool};

/// Connections, names and TLS state, and the thread that drives them.
///
/// Cheap to clone; all clones are the same connector. Every
/// [`Session`](crate::Session) has one, its own unless it was given one. The
/// last handle, requests and unfinished responses included, ends the thread when
/// it is dropped; nothing waits for that.
///
/// ```
/// use miohttp::{Connector, Session};
///
/// let connector = Connector::builder().limit(20).limit_per_host(4).build();
/// let one = Session::builder().connector(connector.clone()).build();
/// let other = Session::builder().connector(connector.clone()).build();
/// assert_eq!(connector.stats().in_use, 0);
/// # drop((one, other));
/// ```
///
/// # Who does the work
///
/// A started request, a future, and everything nobody waits for is carried by
/// the connector's thread. A thread that blocks in `send`, or in the reading of
/// a body, sends and receives by itself over a connection it is lent for that
/// call, which spares two changes of thread; and so does one that sends or blocks
/// to receive on a WebSocket, where a thread that receives keeps two descriptors
/// to be woken by: [`caller_drives`](ConnectorBuilder::caller_drives).
///
/// # Processes
///
/// A connector belongs to the process that made it. In a child by `fork` its
/// requests and the bodies it was reading fail with
/// [`Kind::Closed`](crate::Kind::Closed), and dropping its handles does nothing: the
/// child's descriptors of its connections stay open until the child ends or calls
/// `exec`, and until then a server may not see that the parent has closed them. Make
/// another connector there. A child made past the C library's `fork`, by `_Fork` or a bare
/// system call, is not told from its parent and must leave the handles alone.
#[derive(Clone)]
pub struct Connector {
    inner: Arc<Inner>,
}

struct Inner {
    config: Arc<Config>,
    caller_drives: bool,
    tls: TlsSource,
    pool: Arc<Ledger>,
    workers: Arc<Workers>,
    home: Home,
    state: Mutex<State>,
    /// For callers that drive; there once the reactor runs.
    lessee: OnceLock<Option<Lessee>>,
}

enum State {
    /// Nothing was asked yet, so there is no thread yet.
    Fresh,
    Running(Reactor),
    Closed,
}

/// Does not keep the reactor alive.
#[derive(Clone)]
pub(crate) struct WeakConnector(Weak<Inner>);

impl WeakConnector {
    pub(crate) fn upgrade(&self) -> Option<Connector> {
        self.0.upgrade().map(|inner| Connector { inner })
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if !self.home.is_here() {
            // Telling the reactor takes its lock, and there is nobody to tell.
            let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
            std::mem::forget(std::mem::replace(state, State::Closed));
        }
    }
}

impl Connector {
    /// A connector with the defaults of [`ConnectorBuilder`].
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Sets out to build one.
    pub fn builder() -> ConnectorBuilder {
        ConnectorBuilder::default()
    }

    /// What its connections are doing now. Takes a lock for a moment.
    pub fn stats(&self) -> ConnectorStats {
        if !self.is_home() {
            return ConnectorStats::default();
        }
        let stats = self.inner.pool.stats();
        ConnectorStats {
            in_use: stats.in_use,
            idle: stats.idle,
            waiting: stats.waiting,
            opened: stats.opened,
            reused: stats.reused,
            retried: stats.retried,
        }
    }

    /// Closes the connections that are idle now.
    pub fn close_idle(&self) {
        self.tell(Command::Control(Control::CloseIdle));
    }

    /// Closes every connection, fails what is in flight with
    /// [`Kind::Closed`](crate::Kind::Closed), and waits for the thread to end.
    /// Requests after that fail the same way. Idempotent (SPEC C7).
    pub fn close(&self) {
        if !self.is_home() {
            return;
        }
        let before = std::mem::replace(&mut *self.state(), State::Closed);
        if let State::Running(reactor) = before {
            reactor.close();
        }
        // What the reactor has not, if there was none.
        close_pool(&self.inner.pool, &Error::closed());
    }

    /// Whether [`Connector::close`] was called; and in a child of the process
    /// that made it, where nothing can be done with it (see
    /// [above](Connector#processes)).
    pub fn is_closed(&self) -> bool {
        !self.is_home() || matches!(*self.state(), State::Closed)
    }

    /// Whether this is the process that made the connector. Asked before any
    /// lock, for another thread may have held it when the process was forked.
    pub(crate) fn is_home(&self) -> bool {
        self.inner.home.is_here()
    }

    /// Whether all its connections go to one place, whatever the host.
    pub(crate) fn has_one_address(&self) -> bool {
        self.inner.config.sockets.has_one_address()
    }

    /// How long what is given back may be idle; `None`: it is closed (SPEC C1, C2).
    pub(crate) fn keepalive(&self) -> Option<Duration> {
        let config = &self.inner.config;
        (!config.force_close).then_some(config.keepalive)
    }

    pub(crate) fn config(&self) -> &Arc<Config> {
        &self.inner.config
    }

    pub(crate) fn tls(&self) -> &TlsSource {
        &self.inner.tls
    }

    pub(crate) fn downgrade(&self) -> WeakConnector {
        WeakConnector(Arc::downgrade(&self.inner))
    }

    /// Sends a request on its way: the reactor carries it by itself.
    ///
    /// # Errors
    /// The connector is closed, or no thread or descriptor is to be had.
    pub(crate) fn start(&self, id: ExchangeId, exchange: Box<Exchange>) -> Result<(), Error> {
        let mailbox = self.mailbox()?;
        // Not under the lock: this may ring the reactor.
        mailbox
            .push(Command::Start(id, exchange))
            .map_err(|_| self.ended())
    }

    /// Carries a request on this thread as far as that goes, and the reactor
    /// the rest of the way. True: it is answered. Blocks.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub(crate) fn carry(
        &self,
        id: ExchangeId,
        exchange: Box<Exchange>,
        now: Instant,
    ) -> Result<bool, Error> {
        if !self.inner.caller_drives {
            return self.start(id, exchange).map(|()| false);
        }
        if self.inner.lessee.get().is_none() {
            self.mailbox()?;
        } else if !self.is_home() {
            return Err(Error::closed());
        }
        let lessee = self.inner.lessee.get().and_then(Option::as_ref);
        let left = match lessee {
            Some(lessee) => lessee.carry(id, exchange, now),
            None => Some(exchange),
        };
        match left {
            Some(exchange) => self.start(id, exchange).map(|()| false),
            None => Ok(true),
        }
    }

    /// Has the reactor go on with a WebSocket. What cannot be done is told like any
    /// other end of it. Those who wait for it may drive it, too.
    #[cfg(feature = "websocket")]
    pub(crate) fn adopt<C: Send + 'static>(
        &self,
        id: ExchangeId,
        adopt: Adopt<C>,
    ) -> Guest<Box<dyn WsConn>> {
        let adoption = adoption(adopt);
        let guest = adoption.relay.guest();
        let (mut refused, error) = match self.mailbox() {
            Ok(mailbox) => match mailbox.push(Command::Adopt(id, adoption)) {
                Err(Command::Adopt(_, adoption)) => (adoption, self.ended()),
                _ => return guest,
            },
            Err(error) => (adoption, error),
        };
        refused.talk.end(error);
        if !self.is_home() {
            // Its lock may be held for ever in the child of a process.
            std::mem::forget(refused.tunnel);
        }
        guest
    }

    /// Whether there is something for callers to drive, and they do.
    #[cfg(feature = "websocket")]
    pub(crate) fn lends(&self) -> bool {
        self.lessee().is_some()
    }

    /// Waits for what an open WebSocket brings, by driving it where callers do.
    #[cfg(feature = "websocket")]
    pub(crate) fn receive<T>(
        &self,
        guest: &Guest<Box<dyn WsConn>>,
        until: Option<Instant>,
        poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Result<T, Unwaited> {
        match self.lessee() {
            Some(lessee) => lessee.receive(guest, until, poll),
            None => park::block_on(until, poll),
        }
    }

    #[cfg(feature = "websocket")]
    fn lessee(&self) -> Option<&Lessee> {
        let lessee = self.inner.lessee.get()?;
        lessee.as_ref().filter(|_| self.inner.caller_drives)
    }

    /// Reads on in the body of a request that was carried on a caller's
    /// thread. False: the reactor does. Blocks.
    pub(crate) fn read_on(&self, id: ExchangeId) -> bool {
        let lessee = self.inner.lessee.get().and_then(Option::as_ref);
        self.is_home() && lessee.is_some_and(|lessee| lessee.read_on(id))
    }

    /// The way to the reactor, which is started if there is none yet.
    fn mailbox(&self) -> Result<Arc<Mailbox<Command>>, Error> {
        if !self.is_home() {
            return Err(Error::closed());
        }
        let mut state = self.state();
        if let State::Fresh = *state {
            *state = State::Running(self.run()?);
        }
        match &*state {
            State::Running(reactor) => Ok(reactor.mailbox().clone()),
            State::Fresh | State::Closed => Err(Error::closed()),
        }
    }

    fn run(&self) -> Result<Reactor, Error> {
        let inner = &self.inner;
        inner.config.check().map_err(Error::invalid_request)?;
        let (reactor, unwatcher) = Reactor::start(
            inner.config.clone(),
            inner.pool.clone(),
            inner.workers.clone(),
        )
        .map_err(|error| Error::internal("the reactor cannot start").with_source(error))?;
        let mailbox = reactor.mailbox().clone();
        let config = inner.config.clone();
        let _ = inner
            .lessee
            .set(Lessee::new(inner.pool.clone(), unwatcher, mailbox, config));
        Ok(reactor)
    }

    /// Why a request of this connector was left without an answer.
    pub(crate) fn ended(&self) -> Error {
        if self.is_closed() {
            Error::closed()
        } else {
            Error::internal("the reactor has ended")
        }
    }

    /// Sends a command that means nothing to a reactor that is not there.
    pub(crate) fn tell(&self, command: Command) {
        if !self.is_home() {
            return;
        }
        let mailbox = match &*self.state() {
            State::Running(reactor) => reactor.mailbox().clone(),
            State::Fresh | State::Closed => return,
        };
        let _ = mailbox.push(command);
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // Every critical section leaves the state whole.
        self.inner
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Connector {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector")
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
