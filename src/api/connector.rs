//! A [`Connector`] owns one reactor and the connections it keeps. Sessions
//! share it by cloning; the thread starts on first use.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use crate::call::TlsSource;
use crate::dns::{IpFamily, Resolve, SystemResolver, Workers};
use crate::error::Error;
use crate::job::{Command, Control};
use crate::pool::Limits;
use crate::reactor::{Config, Ledger, Reactor};

/// Threads that resolve names at most, and names that wait for one of them.
const DNS_THREADS: usize = 4;
const DNS_QUEUE: usize = 1024;

/// Connections, names and TLS state, and the thread that drives them.
///
/// Cheap to clone; all clones are the same connector. Every
/// [`Session`](crate::Session) has one, its own unless it was given one. The
/// last handle, requests and responses included, ends the thread when it is
/// dropped; nothing waits for that.
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
#[derive(Clone)]
pub struct Connector {
    inner: Arc<Inner>,
}

struct Inner {
    config: Config,
    tls: TlsSource,
    pool: Arc<Ledger>,
    workers: Arc<Workers>,
    state: Mutex<State>,
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
        let stats = self.inner.pool.stats();
        ConnectorStats {
            in_use: stats.in_use,
            idle: stats.idle,
            waiting: stats.waiting,
            opened: stats.opened,
            reused: stats.reused,
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
        let before = std::mem::replace(&mut *self.state(), State::Closed);
        if let State::Running(reactor) = before {
            reactor.close();
        }
        drop(self.inner.pool.close());
    }

    /// Whether [`Connector::close`] was called.
    pub fn is_closed(&self) -> bool {
        matches!(*self.state(), State::Closed)
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

    /// Sends a command, starting the thread if there is none yet.
    ///
    /// # Errors
    /// The connector is closed, or no thread or descriptor is to be had.
    pub(crate) fn submit(&self, command: Command) -> Result<(), Error> {
        let mailbox = {
            let mut state = self.state();
            if let State::Fresh = *state {
                let inner = &self.inner;
                let reactor =
                    Reactor::start(inner.config, inner.pool.clone(), inner.workers.clone())
                        .map_err(|error| {
                            Error::internal("the reactor cannot start").with_source(error)
                        })?;
                *state = State::Running(reactor);
            }
            match &*state {
                State::Running(reactor) => reactor.mailbox().clone(),
                State::Fresh | State::Closed => return Err(Error::closed()),
            }
        };
        // Not under the lock: this may ring the reactor.
        mailbox.push(command).map_err(|_| self.ended())
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
#[must_use]
pub struct ConnectorBuilder {
    limit: usize,
    limit_per_host: usize,
    config: Config,
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
                tls,
                pool: Ledger::new(limits),
                workers: Arc::new(Workers::new(resolver, DNS_THREADS, DNS_QUEUE)),
                state: Mutex::new(State::Fresh),
            }),
        }
    }
}

impl fmt::Debug for ConnectorBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectorBuilder")
            .field("limit", &self.limit)
            .field("limit_per_host", &self.limit_per_host)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
