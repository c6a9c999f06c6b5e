//! A resolver that speaks DNS itself: hickory, on a thread of its own.
//!
//! ```text
//!  Workers ─► HickoryResolver ═ Job ═► thread: executor, mio
//!                                        lookup: hosts, search list, families
//!                                          hickory's Resolver: aliases, denials
//!                                            ask: servers in turn, UDP, TCP
//!                                              runtime: timers, sockets
//! ```
//!
//! hickory is built without a runtime of its own; it stands on its traits for
//! sockets, timers and tasks, which `runtime` implements on mio. No type of
//! hickory's appears in what this crate makes public.

mod ask;
mod config;
mod files;
mod lookup;
mod runtime;
#[cfg(test)]
mod tests;
mod thread;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use self::config::Settings;
use self::thread::{Handle, Job};
use super::{Answer, Query, Resolve};

/// Asks name servers itself, by [hickory], instead of the operating system.
///
/// The system's resolver, the default, does what the machine is set up for:
/// nsswitch, multicast DNS, a VPN's split DNS. It also blocks a thread for each
/// name, so that but few are looked up at a time, and tells no times to live.
/// This one asks many names at once from one thread
/// (`miohttp-hickory`: started by the first lookup, ended after five idle seconds
/// or with the resolver), heeds the times to live of the records, and hands on
/// the addresses of one family while those of the other are still coming.
///
/// It needs the feature `hickory-dns`, which alone changes nothing: a connector
/// uses it where [`ConnectorBuilder::resolver`](crate::ConnectorBuilder::resolver)
/// says so.
///
/// # What it goes by
///
/// - The hosts file comes first, for the name as it was typed.
/// - `resolv.conf` names the servers: `nameserver` (with a port as
///   `[10.0.0.1]:5353`), `search`, `domain`, and of the `options` `ndots`,
///   `timeout`, `attempts`, `rotate`, `edns0`, `use-vc` and `no-aaaa`. Both files
///   are read again when they have changed, which is looked at once a second.
///   Where neither `search` nor `domain` stands there, nothing is searched.
/// - Servers are asked in their order, those that failed within the last 30
///   seconds after the others. The next one is asked when one does not answer in
///   time, refuses, or answers nonsense; TCP where an answer does not fit.
/// - Where no server is known the lookup fails. Nobody else is asked.
///
/// # Errors
///
/// A request fails with [`Kind::Dns`](crate::Kind::Dns), and its cause names the
/// servers and what was the matter with each. That a name does not exist, or has
/// no address, is told from a failure. A lookup takes as long as all servers may
/// take at all attempts, its wait for its turn included, and 30 seconds at most;
/// the timeouts of a request end it earlier.
///
/// [hickory]: https://docs.rs/hickory-resolver
///
/// # Examples
///
/// ```
/// use miohttp::{Connector, HickoryResolver, Session};
///
/// let connector = Connector::builder().resolver(HickoryResolver::new()).build();
/// let session = Session::builder().connector(connector).build();
/// ```
#[derive(Clone, Default)]
pub struct HickoryResolver {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    settings: Arc<Settings>,
    thread: Mutex<Option<Handle>>,
}

impl HickoryResolver {
    /// By `/etc/resolv.conf` and `/etc/hosts`, which are read at the first
    /// lookup.
    pub fn new() -> Self {
        Self::default()
    }

    /// By what the program says, where it says something.
    pub fn builder() -> HickoryResolverBuilder {
        HickoryResolverBuilder {
            settings: Settings::default(),
        }
    }
}

impl Resolve for HickoryResolver {
    /// Never blocks for long: the answer comes from the resolver's thread.
    fn resolve(&self, query: &Query, answer: Answer) {
        let mut job = Job {
            query: query.clone(),
            answer,
            since: Instant::now(),
        };
        let thread = &self.shared.thread;
        let mut thread = thread.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(handle) = &*thread {
            match handle.submit(job) {
                Ok(()) => return,
                // It has ended meanwhile.
                Err(back) => job = back,
            }
        }
        let (jobs, error) = match Handle::start(&self.shared.settings, job) {
            Ok(handle) => {
                *thread = Some(handle);
                return;
            }
            Err(back) => back,
        };
        drop(thread);
        for job in jobs {
            job.answer.fail(error.to_string());
        }
    }
}

impl fmt::Debug for HickoryResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HickoryResolver")
            .field("settings", &self.shared.settings)
            .finish_non_exhaustive()
    }
}

/// Sets up a [`HickoryResolver`].
///
/// What is set here stands above `resolv.conf`; what is not comes from there, or
/// has that file's defaults where it says nothing or is not there.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use miohttp::HickoryResolver;
///
/// let resolver = HickoryResolver::builder()
///     .name_servers(["10.0.0.53:53".parse()?, "[2001:db8::53]:5353".parse()?])
///     .timeout(Duration::from_secs(2))
///     .build();
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct HickoryResolverBuilder {
    settings: Settings,
}

impl HickoryResolverBuilder {
    /// The servers to ask, in this order, instead of those in `resolv.conf`.
    /// None at all makes every lookup fail.
    pub fn name_servers(mut self, servers: impl IntoIterator<Item = SocketAddr>) -> Self {
        // As many as one lookup can get to, as in the file.
        self.settings.servers = Some(servers.into_iter().take(8).collect());
        self
    }

    /// How long one server is waited for, instead of the file's `timeout`
    /// (5 seconds if it says nothing). At least a millisecond, at most 30
    /// seconds.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        let (least, most) = (Duration::from_millis(1), Duration::from_secs(30));
        self.settings.timeout = Some(timeout.clamp(least, most));
        self
    }

    /// How often all servers are asked before a lookup fails, instead of the
    /// file's `attempts` (2 if it says nothing). At least 1, at most 5.
    pub fn attempts(mut self, attempts: usize) -> Self {
        self.settings.attempts = Some(attempts.clamp(1, 5));
        self
    }

    /// The domains in which a name with few dots is looked for, instead of the
    /// file's `search` or `domain`. None at all: names are taken as they stand.
    pub fn search<D: Into<String>>(mut self, domains: impl IntoIterator<Item = D>) -> Self {
        let domains = domains.into_iter().take(32).map(Into::into);
        self.settings.search = Some(domains.collect());
        self
    }

    /// How many dots a name has that is tried as it stands before the search
    /// domains, instead of the file's `ndots` (1 if it says nothing). At most 15.
    pub fn ndots(mut self, ndots: usize) -> Self {
        self.settings.ndots = Some(ndots.min(15));
        self
    }

    /// How many lookups may be under way at once, and how many sockets may be
    /// open for them: 64 by default, and at least 1. A name is asked for twice,
    /// once for each address family, and each question has a socket of its own.
    /// Further lookups wait, up to 4,096 of them; beyond that they fail at once.
    pub fn max_in_flight(mut self, lookups: usize) -> Self {
        self.settings.max_in_flight = lookups.max(1);
        self
    }

    /// Another file than `/etc/resolv.conf`. One that is not there says nothing.
    pub fn resolv_conf(mut self, path: impl Into<PathBuf>) -> Self {
        self.settings.resolv_conf = path.into();
        self
    }

    /// Another file than `/etc/hosts`. One that is not there names nobody.
    pub fn hosts_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.settings.hosts = path.into();
        self
    }

    /// The resolver. Nothing is read and no thread started before the first
    /// lookup.
    pub fn build(self) -> HickoryResolver {
        HickoryResolver {
            shared: Arc::new(Shared {
                settings: Arc::new(self.settings),
                thread: Mutex::default(),
            }),
        }
    }
}
