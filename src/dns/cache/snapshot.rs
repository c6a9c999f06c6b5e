//! What the cache holds, for whoever asks.

use std::hash::Hash;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::{Cache, Entry, Key};
use crate::dns::IpFamily;

/// A host whose addresses a connector remembers
/// ([`Connector::cached_hosts`](crate::Connector::cached_hosts), SPEC C23).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachedHost {
    host: String,
    port: u16,
    family: IpFamily,
    addresses: Vec<SocketAddr>,
    expires_in: Option<Duration>,
    is_stale: bool,
}

impl CachedHost {
    /// The name that was looked up, in lower case.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port it was looked up for.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The family it was looked up for.
    pub fn family(&self) -> IpFamily {
        self.family
    }

    /// Its addresses, the one first that the next connection begins with. As
    /// they were answered: what an
    /// [`AddressFilter`](crate::AddressFilter) refuses is among them. None at
    /// all: it is remembered that there are none
    /// ([`dns_negative_ttl`](crate::ConnectorBuilder::dns_negative_ttl)).
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// How long it is remembered still; `None` is for ever.
    pub fn expires_in(&self) -> Option<Duration> {
        self.expires_in
    }

    /// Whether it has had its time, and serves because the last lookup failed
    /// ([`dns_stale_on_error`](crate::ConnectorBuilder::dns_stale_on_error)).
    pub fn is_stale(&self) -> bool {
        self.is_stale
    }
}

impl<W: Copy + Eq + Hash> Cache<W> {
    /// Everything that would be answered without a lookup now, by name and
    /// port.
    pub(crate) fn snapshot(&self, now: Instant) -> Vec<CachedHost> {
        let mut hosts: Vec<_> = self
            .names
            .iter()
            .filter_map(|(key, name)| told(key, name.entry.as_ref()?, now))
            .collect();
        hosts.sort_by(|a, b| (&a.host, a.port).cmp(&(&b.host, b.port)));
        hosts
    }
}

fn told(key: &Key, entry: &Entry, now: Instant) -> Option<CachedHost> {
    if !entry.serves(now) {
        return None;
    }
    let left = entry.life.map(|life| life.saturating_sub(entry.age(now)));
    let is_stale = left == Some(Duration::ZERO);
    let spared = entry.spared.filter(|_| is_stale);
    Some(CachedHost {
        host: key.host.clone(),
        port: key.port,
        family: key.family,
        addresses: entry.result.clone().unwrap_or_default(),
        expires_in: spared.map_or(left, |at| Some(at.saturating_duration_since(now))),
        is_stale,
    })
}
