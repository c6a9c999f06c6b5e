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

mod cache;
mod order;
mod workers;

#[cfg(test)]
mod tests;

use std::error::Error;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

pub(crate) use self::cache::{Cache, Found, LookupId};
pub(crate) use self::order::{interleave, literal, local_host, loopback};
pub(crate) use self::workers::{SystemResolver, Workers};

/// No host needs more addresses than this; what a resolver says beyond it is
/// dropped, so that one answer cannot fill the memory or a dial's plan.
const MAX_ADDRESSES: usize = 256;

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

/// The reply to one [`Query`]; it can be sent to another thread.
///
/// Exactly one of [`addresses`](Self::addresses),
/// [`not_found`](Self::not_found) and [`fail`](Self::fail) ends it, with any
/// number of [`partial`](Self::partial) ones before. An `Answer` dropped
/// without any is a temporary failure. Once some addresses have arrived in
/// part, the lookup has succeeded: `not_found`, `fail` or a drop then means
/// that no more are coming.
///
/// At most 256 distinct addresses are taken.
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
    heard: Vec<IpAddr>,
}

type Sink = Box<dyn FnMut(Lookup) + Send>;

impl Answer {
    /// `sink` is called on whichever thread replies: some number of
    /// [`Lookup::Partial`], then one [`Lookup::Done`], then dropped.
    pub(crate) fn new(sink: Sink) -> Self {
        Self {
            sink: Some(sink),
            heard: Vec::new(),
        }
    }

    /// Ends the lookup with these addresses, in order of preference, besides
    /// those that came in part. None at all means the host has no address.
    pub fn addresses(mut self, addresses: impl IntoIterator<Item = IpAddr>) {
        self.hear(&mut addresses.into_iter());
        let heard = std::mem::take(&mut self.heard);
        self.end(Ok(heard));
    }

    /// Hands on the addresses of one family while the other is still coming,
    /// so that connecting can start (RFC 8305, section 3).
    pub fn partial(&mut self, addresses: impl IntoIterator<Item = IpAddr>) {
        if self.hear(&mut addresses.into_iter()) {
            let heard = self.heard.clone();
            if let Some(sink) = &mut self.sink {
                sink(Lookup::Partial(heard));
            }
        }
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
    fn refuse(mut self, fault: DnsFault) {
        self.end(Err(fault));
    }

    /// Takes in addresses; whether any of them was new.
    fn hear(&mut self, addresses: &mut dyn Iterator<Item = IpAddr>) -> bool {
        let before = self.heard.len();
        take_in(&mut self.heard, addresses);
        self.heard.len() > before
    }

    fn end(&mut self, result: Result<Vec<IpAddr>, DnsFault>) {
        let Some(mut sink) = self.sink.take() else {
            return;
        };
        // A failure after a part is the failure of one family: what came of
        // the other can still be connected to.
        let result = match result {
            Err(_) if !self.heard.is_empty() => Ok(std::mem::take(&mut self.heard)),
            result => result,
        };
        sink(Lookup::Done(result));
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
            .finish_non_exhaustive()
    }
}

/// What an [`Answer`] says, each time with all addresses heard so far.
#[derive(Clone, Debug)]
pub(crate) enum Lookup {
    /// Never empty; more may follow.
    Partial(Vec<IpAddr>),
    /// The last word.
    Done(Result<Vec<IpAddr>, DnsFault>),
}

/// Why a name gave no address. `Clone`, because one lookup may fail many
/// waiting requests.
#[derive(Clone, Debug)]
pub(crate) enum DnsFault {
    /// The name does not exist.
    NotFound,
    /// The name exists, but has no address of the wanted family.
    NoAddresses,
    /// The resolver failed; another attempt may not.
    Failed(Arc<dyn Error + Send + Sync>),
    /// Too many lookups are waiting already.
    Busy,
}

impl fmt::Display for DnsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotFound => "the host name does not exist",
            Self::NoAddresses => "the host has no address of the wanted family",
            Self::Failed(_) => "the name lookup failed",
            Self::Busy => "too many name lookups are waiting",
        })
    }
}

impl Error for DnsFault {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Failed(error) => Some(&**error),
            Self::NotFound | Self::NoAddresses | Self::Busy => None,
        }
    }
}

/// Adds the addresses that are new to `known`, in their order, up to
/// [`MAX_ADDRESSES`] in all. They come from outside and may be many, or endless
/// and all alike: they are read only so far.
fn take_in(known: &mut Vec<IpAddr>, addresses: &mut dyn Iterator<Item = IpAddr>) {
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
