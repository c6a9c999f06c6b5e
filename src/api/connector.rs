//! A [`Connector`] owns one reactor and the connections it keeps. Sessions
//! share it by cloning; the thread starts on first use.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use crate::call::TlsSource;
use crate::dns::{IpFamily, Resolve, SystemResolver, Workers};
use crate::error::Error;
use crate::handoff::mailbox::Mailbox;
use crate::job::{Command, Control, Exchange, ExchangeId};
use crate::lease::{Lessee, Terms};
use crate::pool::Limits;
use crate::reactor::{Config, Ledger, Reactor, close_pool};

/// Threads that resolve names at most, and names that wait for one of them.
const DNS_THREADS: usize = 4;
const DNS_QUEUE: usize = 1024;

/// The default of [`ConnectorBuilder::caller_drives`]. The second `cfg` is for
/// running the tests the other way.
const CALLER_DRIVES: bool = cfg!(unix) && cfg!(not(miohttp_reactor_drives));

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
/// call, which spares two changes of thread:
/// [`caller_drives`](ConnectorBuilder::caller_drives).
///
/// # Processes
///
/// A connector belongs to the process that made it. In a child by `fork` its
/// requests fail with [`Kind::Closed`](crate::Kind::Closed), and dropping its
/// handles closes the child's descriptors and does nothing else. Make another
/// connector there.
#[derive(Clone)]
pub struct Connector {
    inner: Arc<Inner>,
}

struct Inner {
    config: Config,
    caller_drives: bool,
    tls: TlsSource,
    pool: Arc<Ledger>,
    workers: Arc<Workers>,
    /// The process that made this. A child of it has the handles, but neither
    /// the thread nor any right to the connections.
    home: u32,
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
        if std::process::id() != self.home {
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

    /// Forgets resolved names: one host and port, or all (SPEC C23). Lookups
    /// under way still serve those who wait for them.
    pub fn clear_dns(&self, name: Option<(&str, u16)>) {
        let name = name.map(|(host, port)| (host.to_owned(), port));
        self.tell(Command::Control(Control::ClearDns(name)));
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
        std::process::id() == self.inner.home
    }

    pub(crate) fn force_close(&self) -> bool {
        self.inner.config.force_close
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
        let (reactor, unwatcher) =
            Reactor::start(inner.config, inner.pool.clone(), inner.workers.clone())
                .map_err(|error| Error::internal("the reactor cannot start").with_source(error))?;
        let terms = Terms {
            keepalive: inner.config.keepalive,
            force_close: inner.config.force_close,
            family: inner.config.family,
        };
        let mailbox = reactor.mailbox().clone();
        let _ = inner
            .lessee
            .set(Lessee::new(inner.pool.clone(), unwatcher, mailbox, terms));
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

/// The figures of a connector's pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectorStats {
    /// Connections being opened or carrying an exchange; what the limits count.
    pub in_use: usize,
    /// Connections kept for later.
    pub idle: usize,
    /// Requests waiting for a connection.
    pub waiting: usize,
    /// Connections opened since the start.
    pub opened: u64,
    /// Requests that were given a connection that had served before.
    pub reused: u64,
    /// Requests that were sent once more: what a stale connection had swallowed
    /// (SPEC Y1), and what a [`RetryPolicy`](crate::RetryPolicy) had tried again
    /// (SPEC Y2).
    pub retried: u64,
}

/// Settings of a [`Connector`].
///
/// | setting | default |
/// |---|---|
/// | `limit` | 100 |
/// | `limit_per_host` | none |
/// | `keepalive_timeout` | 15 s |
/// | `force_close` | false |
/// | `dns_cache`, `dns_ttl` | on, 10 s |
/// | `ip_family` | both |
/// | `happy_eyeballs` | 250 ms |
/// | `caller_drives` | true, on Unix |
#[must_use]
pub struct ConnectorBuilder {
    limit: usize,
    limit_per_host: usize,
    config: Config,
    caller_drives: bool,
    resolver: Option<Arc<dyn Resolve>>,
    #[cfg(feature = "tls")]
    tls: super::tls::TlsConfig,
}

impl Default for ConnectorBuilder {
    fn default() -> Self {
        Self {
            limit: 100,
            limit_per_host: 0,
            config: Config {
                keepalive: Duration::from_secs(15),
                force_close: false,
                family: IpFamily::Any,
                happy_eyeballs: Some(Duration::from_millis(250)),
                dns_cache: true,
                dns_ttl: Some(Duration::from_secs(10)),
            },
            caller_drives: CALLER_DRIVES,
            resolver: None,
            #[cfg(feature = "tls")]
            tls: super::tls::TlsConfig::new(),
        }
    }
}

impl ConnectorBuilder {
    /// Connections in use at once; more requests wait, first come first
    /// served. 0 is no limit (SPEC C3).
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// Connections in use at once to one host, port and scheme. 0 is no limit
    /// (SPEC C4).
    pub fn limit_per_host(mut self, limit: usize) -> Self {
        self.limit_per_host = limit;
        self
    }

    /// How long an idle connection is kept (SPEC C1). A shorter
    /// `Keep-Alive: timeout=` of the server is heeded (SPEC P4).
    pub fn keepalive_timeout(mut self, timeout: Duration) -> Self {
        self.config.keepalive = timeout;
        self
    }

    /// Closes every connection after one response (SPEC C2).
    pub fn force_close(mut self, force_close: bool) -> Self {
        self.config.force_close = force_close;
        self
    }

    /// Resolves names by this instead of the system's resolver (SPEC C24). It
    /// runs on worker threads and may block.
    pub fn resolver(mut self, resolver: impl Resolve + 'static) -> Self {
        self.resolver = Some(Arc::new(resolver));
        self
    }

    /// Whether resolved names are remembered (SPEC C22).
    pub fn dns_cache(mut self, cache: bool) -> Self {
        self.config.dns_cache = cache;
        self
    }

    /// How long resolved names are remembered; `None` is for ever (SPEC C22).
    pub fn dns_ttl(mut self, ttl: impl Into<Option<Duration>>) -> Self {
        self.config.dns_ttl = ttl.into();
        self
    }

    /// Connects only to addresses of this family (SPEC C25).
    pub fn ip_family(mut self, family: IpFamily) -> Self {
        self.config.family = family;
        self
    }

    /// How long after one attempt to connect the next is started beside it
    /// (RFC 8305, SPEC C27). `None` tries addresses one after the other.
    pub fn happy_eyeballs(mut self, delay: impl Into<Option<Duration>>) -> Self {
        self.config.happy_eyeballs = delay.into();
        self
    }

    /// Whether a thread that blocks in `send`, or in the reading of a body,
    /// drives its own connection meanwhile, instead of waiting for the
    /// connector's thread to do so. On by default, where the system has poll(2).
    ///
    /// It changes who does the work, not what comes of it. Two things can be
    /// told: a response that is held unread is read ahead only after a second or
    /// two, and figures of what is in use follow. Off, every byte passes through
    /// one thread: a small request to a near server takes a third to a half as
    /// long again, and all callers together are capped by that thread.
    pub fn caller_drives(mut self, drives: bool) -> Self {
        self.caller_drives = drives && cfg!(unix);
        self
    }

    /// TLS settings for every request that brings none of its own.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: super::tls::TlsConfig) -> Self {
        self.tls = tls;
        self
    }

    /// The connector. Its thread starts with the first request.
    pub fn build(self) -> Connector {
        let resolver = self.resolver.unwrap_or_else(|| Arc::new(SystemResolver));
        let limits = Limits {
            total: self.limit,
            per_host: self.limit_per_host,
        };
        #[cfg(feature = "tls")]
        let tls = self.tls.source();
        #[cfg(not(feature = "tls"))]
        let tls = TlsSource;
        Connector {
            inner: Arc::new(Inner {
                config: self.config,
                caller_drives: self.caller_drives,
                tls,
                pool: Ledger::new(limits),
                workers: Arc::new(Workers::new(resolver, DNS_THREADS, DNS_QUEUE)),
                home: std::process::id(),
                state: Mutex::new(State::Fresh),
                lessee: OnceLock::new(),
            }),
        }
    }
}

impl fmt::Debug for ConnectorBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectorBuilder")
            .field("limit", &self.limit)
            .field("limit_per_host", &self.limit_per_host)
            .field("caller_drives", &self.caller_drives)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
