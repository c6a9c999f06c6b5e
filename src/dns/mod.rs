//! Names to addresses.
//!
//! ```text
//!  literal, localhost ──────────────────────────────► addresses   (order)
//!  other names ──► Cache ── Hit ────────────────────► addresses
//!                    │ ── Joined ── a lookup is in flight already
//!                    └─ Start ──► Workers ──► Resolve ──► Answer
//!                                                           │
//!                    Cache::partial, Cache::complete ◄── Lookup
//! ```
//!
//! Everything that all resolvers need stands above [`Resolve`]: literals and
//! `localhost`, the cache and its rotation, joining of concurrent lookups, the
//! family filter, the order of attempts. A resolver only asks somebody and
//! hands on what it heard.
//!
//! Three laws:
//!
//! - A [`Resolve`] is user code and may block, so it runs on a worker thread,
//!   never on the reactor.
//! - Every [`Answer`] is answered exactly once. Dropping one is an answer too
//!   (a temporary failure), so no request waits for a resolver that forgot it.
//! - A [`Lookup`] always carries *everything* heard so far, not what is new:
//!   who missed the first part loses nothing.

mod answer;
mod cache;
mod fault;
mod filter;
#[cfg(feature = "hickory-dns")]
mod hickory;
mod network;
mod order;
mod overrides;
mod settings;
mod workers;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

pub use self::answer::Answer;
pub use self::cache::CachedHost;
pub(crate) use self::cache::{Cache, Found, LookupId};
pub(crate) use self::fault::DnsFault;
pub use self::filter::AddressFilter;
#[cfg(feature = "hickory-dns")]
pub use self::hickory::{HickoryResolver, HickoryResolverBuilder};
pub(crate) use self::order::interleave;
pub(crate) use self::settings::{Keep, Settings, Whose};
pub(crate) use self::workers::{SystemResolver, WorkerLimits, Workers};

/// Finds the addresses of a host name.
///
/// The client's default asks the operating system (`getaddrinfo`). Another
/// resolver can pin names to addresses, ask a service registry, or speak DNS
/// itself. IP literals and `localhost` never reach it; caching, the merging of
/// concurrent lookups, the address-family filter and the order of connection
/// attempts stand above it, so a resolver does none of these.
///
/// `resolve` is called on one of a few worker threads and may block. It may
/// also return at once and keep the [`Answer`], replying later from any
/// thread. If it panics, the lookup fails and the client goes on.
///
/// # Examples
///
/// ```
/// use std::net::Ipv4Addr;
///
/// use miohttp::{Answer, Query, Resolve};
///
/// struct Pinned;
///
/// impl Resolve for Pinned {
///     fn resolve(&self, query: &Query, answer: Answer) {
///         match query.host() {
///             "db.internal" => answer.addresses([Ipv4Addr::new(10, 0, 0, 7).into()]),
///             _ => answer.not_found(),
///         }
///     }
/// }
/// ```
pub trait Resolve: Send + Sync {
    /// Looks up `query` and replies through `answer`, now or later.
    fn resolve(&self, query: &Query, answer: Answer);
}

/// What a [`Resolve`] is asked: a host, a port and the address family wanted.
///
/// # Examples
///
/// ```
/// use miohttp::{IpFamily, Query};
///
/// fn wants_v6(query: &Query) -> bool {
///     query.host().ends_with(".example") && query.family() != IpFamily::V4
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Query {
    host: String,
    port: u16,
    family: IpFamily,
}

impl Query {
    pub(crate) fn new(host: impl Into<String>, port: u16, family: IpFamily) -> Self {
        Self {
            host: host.into(),
            port,
            family,
        }
    }

    /// The host name, as in the URL: no brackets, never an IP literal.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port that will be connected to, for resolvers whose answer depends
    /// on it.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The family wanted. A hint: addresses of another family are dropped
    /// afterwards, so a resolver may ignore it.
    pub fn family(&self) -> IpFamily {
        self.family
    }
}

/// Which addresses a client connects to.
///
/// # Examples
///
/// ```
/// use miohttp::IpFamily;
///
/// assert_eq!(IpFamily::default(), IpFamily::Any);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum IpFamily {
    /// IPv4 and IPv6 (the default).
    #[default]
    Any,
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
}

impl IpFamily {
    /// Whether an address is of this family (SPEC C25).
    pub(crate) fn admits(self, address: IpAddr) -> bool {
        match self {
            Self::Any => true,
            Self::V4 => address.is_ipv4(),
            Self::V6 => address.is_ipv6(),
        }
    }
}

/// What an [`Answer`] says, each time with all addresses heard so far.
#[derive(Clone, Debug)]
pub(crate) enum Lookup {
    /// Never empty; more may follow.
    Partial(Vec<SocketAddr>),
    /// The last word, and how long it is good for, if the resolver knows.
    Done(Result<Vec<SocketAddr>, DnsFault>, Option<Duration>),
}
