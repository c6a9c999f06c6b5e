//! What a connector settles of the connections it keeps, and how many it has.

use std::time::Duration;

use super::{Connector, ConnectorBuilder};
#[cfg(feature = "tls")]
use crate::api::tls::TlsConfig;

impl ConnectorBuilder {
    /// How many idle connections are kept at most; `None`, the default, is any
    /// number. One more, and that which has been idle for longest is closed. 0
    /// keeps none, but for those that a waiting request takes over at once.
    ///
    /// ```
    /// use miohttp::Connector;
    ///
    /// let connector = Connector::builder().max_idle(32).max_idle_per_host(4).build();
    /// assert_eq!(connector.max_idle(), Some(32));
    /// ```
    pub fn max_idle(mut self, connections: impl Into<Option<usize>>) -> Self {
        self.max_idle = connections.into();
        self
    }

    /// The same for one host, port and scheme.
    pub fn max_idle_per_host(mut self, connections: impl Into<Option<usize>>) -> Self {
        self.max_idle_per_host = connections.into();
        self
    }

    /// How old a connection may be to be used once more, counted from when it was
    /// open; `None`, the default, is any age. One that is older goes on with the
    /// response it carries, and is closed after it. Keeps a client from staying
    /// with one server for ever where DNS has learnt of others.
    pub fn max_age(mut self, age: impl Into<Option<Duration>>) -> Self {
        self.config.max_age = age.into();
        self
    }
}

/// As settled by the [`ConnectorBuilder`] (SPEC C6).
impl Connector {
    /// [`ConnectorBuilder::limit`]; 0 is no limit.
    pub fn limit(&self) -> usize {
        self.inner.pool.limits().total
    }

    /// [`ConnectorBuilder::limit_per_host`]; 0 is no limit.
    pub fn limit_per_host(&self) -> usize {
        self.inner.pool.limits().per_host
    }

    /// [`ConnectorBuilder::force_close`].
    pub fn force_close(&self) -> bool {
        self.inner.config.force_close
    }

    /// [`ConnectorBuilder::keepalive_timeout`].
    pub fn keepalive_timeout(&self) -> Duration {
        self.inner.config.keepalive
    }

    /// [`ConnectorBuilder::max_idle`].
    pub fn max_idle(&self) -> Option<usize> {
        let caps = self.inner.pool.caps()?;
        Some(caps.total).filter(|cap| *cap < usize::MAX)
    }

    /// [`ConnectorBuilder::max_idle_per_host`].
    pub fn max_idle_per_host(&self) -> Option<usize> {
        let caps = self.inner.pool.caps()?;
        Some(caps.per_host).filter(|cap| *cap < usize::MAX)
    }

    /// [`ConnectorBuilder::max_age`].
    pub fn max_age(&self) -> Option<Duration> {
        self.inner.config.max_age
    }

    /// [`ConnectorBuilder::tls`] (SPEC C30). A request that is given it shares
    /// connections with those that are given nothing.
    #[cfg(feature = "tls")]
    pub fn tls_config(&self) -> TlsConfig {
        TlsConfig::of(self.inner.tls.clone())
    }

    /// [`ConnectorBuilder::caller_drives`]; false wherever callers cannot.
    pub fn caller_drives(&self) -> bool {
        self.inner.caller_drives
    }
}
