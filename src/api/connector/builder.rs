//! The settings of a connector.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use super::{Connector, Inner, State};
#[cfg(not(feature = "tls"))]
use crate::call::TlsSource;
use crate::dns::{Resolve, SystemResolver, WorkerLimits, Workers};
use crate::job::Config;
use crate::pool::{Caps, Limits};
use crate::process::Home;
use crate::reactor::Ledger;

/// The default of [`ConnectorBuilder::caller_drives`]. The second `cfg` is for
/// running the tests the other way.
const CALLER_DRIVES: bool = cfg!(unix) && cfg!(not(miohttp_reactor_drives));

/// Settings of a [`Connector`].
///
/// | setting | default |
/// |---|---|
/// | `limit` | 100 |
/// | `limit_per_host` | none |
/// | `keepalive_timeout` | 15 s |
/// | `force_close` | false |
/// | `max_idle`, `max_idle_per_host`, `max_age` | none |
/// | `nodelay` | true |
/// | `socket_options`, `local_addr`, `interface` | the system's |
/// | `dns_cache`, `dns_cache_size`, `dns_ttl` | on, 1000 names, 10 s |
/// | `dns_negative_ttl`, `dns_stale_on_error` | not at all |
/// | `address_filter` | none |
/// | `ip_family` | both |
/// | `happy_eyeballs` | 250 ms |
/// | `caller_drives` | true, on Unix |
#[must_use]
pub struct ConnectorBuilder {
    limit: usize,
    limit_per_host: usize,
    pub(super) max_idle: Option<usize>,
    pub(super) max_idle_per_host: Option<usize>,
    pub(super) config: Config,
    caller_drives: bool,
    pub(super) resolver: Option<Arc<dyn Resolve>>,
    #[cfg(feature = "tls")]
    tls: crate::api::tls::TlsConfig,
}

impl Default for ConnectorBuilder {
    fn default() -> Self {
        Self {
            limit: 100,
            limit_per_host: 0,
            max_idle: None,
            max_idle_per_host: None,
            config: Config::default(),
            caller_drives: CALLER_DRIVES,
            resolver: None,
            #[cfg(feature = "tls")]
            tls: crate::api::tls::TlsConfig::new(),
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
    /// `Keep-Alive: timeout=` of the server is heeded (SPEC P4). Beside
    /// [`force_close(true)`](Self::force_close), which keeps none, it is a
    /// contradiction: every request fails with
    /// [`Kind::InvalidRequest`](crate::Kind::InvalidRequest).
    pub fn keepalive_timeout(mut self, timeout: Duration) -> Self {
        self.config.keepalive = timeout;
        self.config.keepalive_is_set = true;
        self
    }

    /// Closes every connection after one response (SPEC C2).
    pub fn force_close(mut self, force_close: bool) -> Self {
        self.config.force_close = force_close;
        self
    }

    /// Whether a thread that blocks in `send`, in the reading of a body, or in the
    /// `send` and `recv` of a WebSocket drives its own connection meanwhile,
    /// instead of waiting for the connector's thread to do so. On by default,
    /// where the system has poll(2).
    ///
    /// It changes who does the work, not what comes of it. Three things can be
    /// told: a response that is held unread is read ahead only after a second or
    /// two, and figures of what is in use follow; a Ping that a WebSocket's server
    /// sends just after a `recv` may be answered 40 ms later; several small answers
    /// to messages of a WebSocket leave together. Off, every byte passes through
    /// one thread: a small request to a near server takes a third to a half as
    /// long again, and all callers together are capped by that thread.
    pub fn caller_drives(mut self, drives: bool) -> Self {
        self.caller_drives = drives && cfg!(unix);
        self
    }

    /// TLS settings for every request that brings none of its own.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: crate::api::tls::TlsConfig) -> Self {
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
        let has_caps = self.max_idle.or(self.max_idle_per_host).is_some();
        let caps = has_caps.then(|| Caps {
            total: self.max_idle.unwrap_or(usize::MAX),
            per_host: self.max_idle_per_host.unwrap_or(usize::MAX),
        });
        #[cfg(feature = "tls")]
        let tls = self.tls.source();
        #[cfg(not(feature = "tls"))]
        let tls = TlsSource;
        Connector {
            inner: Arc::new(Inner {
                config: Arc::new(self.config.settled()),
                caller_drives: self.caller_drives,
                tls,
                pool: Ledger::with_caps(limits, caps),
                workers: Arc::new(Workers::new(resolver, WorkerLimits::default())),
                home: Home::here(),
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
            .field("max_idle", &self.max_idle)
            .field("max_idle_per_host", &self.max_idle_per_host)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
