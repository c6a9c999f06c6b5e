//! The one-shot reply of a resolver.

use std::error::Error;
use std::fmt;
use std::mem;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::{DnsFault, Lookup};

/// No host needs more addresses than this; what a resolver says beyond it is
/// dropped, so that one answer cannot fill the memory or a dial's plan.
const MAX_ADDRESSES: usize = 256;

/// The reply to one [`Query`](crate::Query); it can be sent to another thread.
///
/// Exactly one of [`addresses`](Self::addresses),
/// [`not_found`](Self::not_found) and [`fail`](Self::fail) ends it, with any
/// number of [`partial`](Self::partial) ones before. An `Answer` dropped
/// without any is a temporary failure. Once some addresses have arrived in
/// part, the lookup has succeeded: `not_found`, `fail` or a drop then means
/// that no more are coming.
///
/// At most 256 distinct addresses are taken. Those that nobody can connect to
/// (unspecified, multicast, broadcast) are left out, and an IPv4 address in
/// the form of an IPv6 one (`::ffff:192.0.2.1`) is taken as what it is.
///
/// # Examples
///
/// The two families asked separately, the later one from another thread:
///
/// ```
/// use std::net::IpAddr;
/// use std::thread;
///
/// use miohttp::{Answer, Query, Resolve};
///
/// struct Split;
///
/// # fn ask_a(_: &str) -> Vec<IpAddr> { Vec::new() }
/// # fn ask_aaaa(_: &str) -> Vec<IpAddr> { Vec::new() }
/// impl Resolve for Split {
///     fn resolve(&self, query: &Query, mut answer: Answer) {
///         let host = query.host().to_owned();
///         answer.partial(ask_a(&host));
///         thread::spawn(move || answer.addresses(ask_aaaa(&host)));
///     }
/// }
/// ```
pub struct Answer {
    /// Where replies go; `None` once the last one has gone.
    sink: Option<Sink>,
    /// All distinct addresses so far, in the order they came.
    heard: Vec<SocketAddr>,
    /// That of the query.
    port: u16,
    /// The shortest that was said.
    ttl: Option<Duration>,
}

type Sink = Box<dyn FnMut(Lookup) + Send>;

impl Answer {
    /// `sink` is called on whichever thread replies: some number of
    /// [`Lookup::Partial`], then one [`Lookup::Done`], then dropped.
    pub(crate) fn new(port: u16, sink: Sink) -> Self {
        Self {
            sink: Some(sink),
            heard: Vec::new(),
            port,
            ttl: None,
        }
    }

    /// Ends the lookup with these addresses, in order of preference, besides
    /// those that came in part. None at all means the host has no address.
    pub fn addresses(mut self, addresses: impl IntoIterator<Item = IpAddr>) {
        let port = self.port;
        let mut addresses = addresses.into_iter().map(|ip| SocketAddr::new(ip, port));
        self.hear(&mut addresses);
        self.finish();
    }

    /// As [`addresses`](Self::addresses), each with a port of its own, as a
    /// service registry may know it, and an IPv6 scope. Port 0 is the query's.
    ///
    /// ```
    /// use std::net::SocketAddr;
    ///
    /// use miohttp::{Answer, Query, Resolve};
    ///
    /// struct Registry;
    ///
    /// impl Resolve for Registry {
    ///     fn resolve(&self, _: &Query, answer: Answer) {
    ///         answer.endpoints([SocketAddr::from(([10, 0, 0, 7], 31_999))]);
    ///     }
    /// }
    /// ```
    pub fn endpoints(mut self, endpoints: impl IntoIterator<Item = SocketAddr>) {
        let port = self.port;
        let mut endpoints = endpoints.into_iter().map(|mut endpoint| {
            if endpoint.port() == 0 {
                endpoint.set_port(port);
            }
            endpoint
        });
        self.hear(&mut endpoints);
        self.finish();
    }

    /// Hands on the addresses of one family while the other is still coming,
    /// so that connecting can start (RFC 8305, section 3).
    pub fn partial(&mut self, addresses: impl IntoIterator<Item = IpAddr>) {
        let port = self.port;
        let mut addresses = addresses.into_iter().map(|ip| SocketAddr::new(ip, port));
        if self.hear(&mut addresses) {
            let heard = self.heard.clone();
            if let Some(sink) = &mut self.sink {
                sink(Lookup::Partial(heard));
            }
        }
    }

    /// How long this reply may be remembered, counted from its end: the time to
    /// live of its records, that of a denial (RFC 2308) included. Said more than
    /// once, the shortest counts. What the connector allows
    /// ([`dns_ttl`](crate::ConnectorBuilder::dns_ttl)) is the most; a reply that
    /// says nothing is kept for that long.
    pub fn valid_for(&mut self, ttl: Duration) {
        self.ttl = Some(self.ttl.map_or(ttl, |known| known.min(ttl)));
    }

    /// Ends the lookup: the name does not exist, and an authority said so.
    pub fn not_found(mut self) {
        self.end(Err(DnsFault::NotFound));
    }

    /// Ends the lookup with a failure that another attempt may not meet: the
    /// server was unreachable, or did not answer in time.
    pub fn fail(mut self, error: impl Into<Box<dyn Error + Send + Sync>>) {
        self.end(Err(DnsFault::Failed(Arc::from(error.into()))));
    }

    /// Ends the lookup with a fault of ours, not the resolver's.
    pub(super) fn refuse(mut self, fault: DnsFault) {
        self.end(Err(fault));
    }

    fn finish(&mut self) {
        let heard = mem::take(&mut self.heard);
        self.end(Ok(heard));
    }

    /// Takes in addresses; whether any of them was new.
    fn hear(&mut self, addresses: &mut dyn Iterator<Item = SocketAddr>) -> bool {
        let before = self.heard.len();
        // Bounded before it is sifted: it may be endless, and all unusable.
        let mut usable = addresses.take(4 * MAX_ADDRESSES).filter_map(usable);
        take_in(&mut self.heard, &mut usable);
        self.heard.len() > before
    }

    fn end(&mut self, result: Result<Vec<SocketAddr>, DnsFault>) {
        let Some(mut sink) = self.sink.take() else {
            return;
        };
        // A failure after a part is the failure of one family: what came of
        // the other can still be connected to.
        let result = match result {
            Err(_) if !self.heard.is_empty() => Ok(mem::take(&mut self.heard)),
            result => result,
        };
        sink(Lookup::Done(result, self.ttl));
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if self.sink.is_some() {
            let reason = if std::thread::panicking() {
                "the resolver panicked"
            } else {
                "the resolver gave no answer"
            };
            self.end(Err(DnsFault::Failed(Arc::from(Box::from(reason)))));
        }
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("heard", &self.heard)
            .field("ttl", &self.ttl)
            .finish_non_exhaustive()
    }
}

/// What a connection can be opened to: an answer from outside may be anything.
/// To connect to the unspecified address is to connect to this machine.
fn usable(mut address: SocketAddr) -> Option<SocketAddr> {
    if let IpAddr::V6(ip) = address.ip()
        && let Some(ip) = ip.to_ipv4_mapped()
    {
        address = SocketAddr::new(ip.into(), address.port());
    }
    let ip = address.ip();
    let nobody = ip.is_unspecified() || ip.is_multicast() || ip == Ipv4Addr::BROADCAST;
    (!nobody).then_some(address)
}

/// Adds the addresses that are new to `known`, in their order, up to
/// [`MAX_ADDRESSES`] in all. They come from outside and may be many, or endless
/// and all alike: they are read only so far.
pub(super) fn take_in(
    known: &mut Vec<SocketAddr>,
    addresses: &mut dyn Iterator<Item = SocketAddr>,
) {
    for _ in 0..4 * MAX_ADDRESSES {
        if known.len() >= MAX_ADDRESSES {
            break;
        }
        let Some(address) = addresses.next() else {
            break;
        };
        if !known.contains(&address) {
            known.push(address);
        }
    }
}

#[cfg(test)]
mod tests;
