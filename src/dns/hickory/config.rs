//! Whom to ask and how: what the program says, over what the system's files
//! say, read again when they change.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hickory_resolver::Resolver;
use hickory_resolver::config::{
    NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts, ServerOrderingStrategy,
};
use hickory_resolver::proto::rr::Name;

use super::ask::Asker;
use super::files::{Hosts, ResolvConf, Stamp};

/// The files are looked at once in this time at most.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// No lookup takes longer, whatever the files say: as long as the cache above
/// joins lookups.
const MAX_LIMIT: Duration = Duration::from_secs(30);

/// A server that has failed is asked after the others for this long.
const DISTRUST: Duration = Duration::from_secs(30);

/// What the program has said; what it has not comes from `resolv_conf`.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) servers: Option<Vec<SocketAddr>>,
    pub(super) search: Option<Vec<String>>,
    pub(super) ndots: Option<usize>,
    pub(super) timeout: Option<Duration>,
    pub(super) attempts: Option<usize>,
    pub(super) max_in_flight: usize,
    pub(super) resolv_conf: PathBuf,
    pub(super) hosts: PathBuf,
    /// How long the thread stays with nothing to do.
    pub(super) idle: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            servers: None,
            search: None,
            ndots: None,
            timeout: None,
            attempts: None,
            max_in_flight: 64,
            resolv_conf: PathBuf::from("/etc/resolv.conf"),
            hosts: PathBuf::from("/etc/hosts"),
            idle: Duration::from_secs(5),
        }
    }
}

/// Keeps the configuration up to date.
pub(super) struct Watch {
    settings: Arc<Settings>,
    looked: Instant,
    stamps: [Stamp; 2],
    config: Arc<Config>,
}

impl Watch {
    pub(super) fn new(settings: &Arc<Settings>) -> Self {
        let stamps = stamps(settings);
        Self {
            settings: Arc::clone(settings),
            looked: Instant::now(),
            stamps,
            config: Arc::new(Config::new(settings)),
        }
    }

    /// The configuration as the files are now, or were a moment ago.
    pub(super) fn config(&mut self, now: Instant) -> Arc<Config> {
        if now.saturating_duration_since(self.looked) >= LOOK_AGAIN {
            self.looked = now;
            // Before they are read: a change in between is seen the next time.
            let stamps = stamps(&self.settings);
            if stamps != self.stamps {
                log::debug!("the configuration of the resolver has changed");
                self.stamps = stamps;
                self.config = Arc::new(Config::new(&self.settings));
            }
        }
        Arc::clone(&self.config)
    }

    pub(super) fn limit(&self) -> Duration {
        self.config.limit()
    }
}

fn stamps(settings: &Settings) -> [Stamp; 2] {
    [&settings.resolv_conf, &settings.hosts].map(|path| Stamp::of(path))
}

/// One state of the configuration. What is learned about its servers goes with
/// it.
pub(super) struct Config {
    pub(super) hosts: Hosts,
    pub(super) ndots: usize,
    pub(super) search: Vec<Name>,
    pub(super) no_aaaa: bool,
    /// Or why there is nobody to ask.
    pub(super) resolver: Result<Resolver<Asker>, String>,
    limit: Duration,
}

impl Config {
    fn new(settings: &Settings) -> Self {
        let (conf, unread) = match ResolvConf::read(&settings.resolv_conf) {
            Ok(conf) => (conf, None),
            Err(error) => (ResolvConf::default(), Some(error)),
        };
        let servers = settings.servers.clone().unwrap_or(conf.servers);
        let timeout = settings.timeout.unwrap_or(conf.timeout);
        let attempts = settings.attempts.unwrap_or(conf.attempts);
        let search = settings.search.clone().unwrap_or(conf.search);
        let rounds = u32::try_from(attempts.saturating_mul(servers.len().max(1)));
        let limit = timeout.saturating_mul(rounds.unwrap_or(u32::MAX));

        let path = settings.resolv_conf.display();
        let resolver = match (&*servers, unread) {
            // Nobody else is asked: who answers instead would learn every name.
            ([], _) if settings.servers.is_some() => Err("no name server was given".to_owned()),
            ([], Some(error)) => Err(format!("no name server is known: {path}: {error}")),
            ([], None) => Err(format!("{path} names no name server")),
            ([first, ..], _) => {
                let pace = Pace {
                    timeout: timeout.min(MAX_LIMIT),
                    attempts,
                    use_tcp: conf.use_tcp,
                };
                let asker = Asker::new(Servers::new(&servers, conf.rotate), pace);
                build(first, conf.edns0, asker)
            }
        };
        Self {
            hosts: Hosts::read(&settings.hosts),
            ndots: settings.ndots.unwrap_or(conf.ndots),
            search: search.iter().filter_map(|domain| name_of(domain)).collect(),
            no_aaaa: conf.no_aaaa,
            resolver,
            limit: limit.min(MAX_LIMIT),
        }
    }

    /// How long one lookup may take, its wait for its turn included.
    pub(super) fn limit(&self) -> Duration {
        self.limit
    }
}

/// A search domain; one that is none is passed over.
fn name_of(domain: &str) -> Option<Name> {
    let mut name = Name::from_str_relaxed(domain).ok()?;
    name.set_fqdn(true);
    Some(name)
}

/// hickory's part: it follows aliases, and knows an answer from a denial. Its
/// cache, hosts file, retries and choice among servers are off: the cache is
/// above us, and the rest in [`Asker`], which hickory takes for one connection
/// to one server, the `first`.
fn build(first: &SocketAddr, edns0: bool, asker: Asker) -> Result<Resolver<Asker>, String> {
    let server = NameServerConfig::udp(first.ip());
    let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
    let mut options = ResolverOpts::default();
    options.cache_size = 0;
    options.attempts = 0;
    options.num_concurrent_reqs = 1;
    options.server_ordering_strategy = ServerOrderingStrategy::UserProvidedOrder;
    options.use_hosts_file = ResolveHosts::Never;
    options.edns0 = edns0;
    // Looked at before a round only, and there is one round.
    options.timeout = MAX_LIMIT;
    Resolver::builder_with_config(config, asker)
        .with_options(options)
        .build()
        .map_err(|error| error.to_string())
}

/// How servers are asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// For one server, once.
    pub(super) timeout: Duration,
    pub(super) attempts: usize,
    pub(super) use_tcp: bool,
}

/// The servers, and what is known of them.
#[derive(Debug)]
pub(super) struct Servers {
    all: Vec<Server>,
    rotate: bool,
    next: AtomicUsize,
}

impl Servers {
    fn new(addresses: &[SocketAddr], rotate: bool) -> Self {
        let server = |address: &SocketAddr| Server {
            address: *address,
            health: Mutex::default(),
        };
        Self {
            all: addresses.iter().map(server).collect(),
            rotate,
            next: AtomicUsize::new(0),
        }
    }

    /// Which server goes first in a lookup's rounds.
    pub(super) fn turn(&self) -> usize {
        match self.rotate {
            true => self.next.fetch_add(1, Ordering::Relaxed) % self.all.len(),
            false => 0,
        }
    }

    /// One round: in their order from `turn` on, those that failed lately last.
    pub(super) fn round(&self, turn: usize, now: Instant) -> Vec<&Server> {
        let (before, from) = self.all.split_at(turn);
        let mut round: Vec<&Server> = from.iter().chain(before).collect();
        round.sort_by_key(|server| server.failed_lately(now));
        round
    }
}

#[derive(Debug)]
pub(super) struct Server {
    pub(super) address: SocketAddr,
    health: Mutex<Health>,
}

#[derive(Debug, Default)]
struct Health {
    failed: Option<Instant>,
    /// It does not understand EDNS, so it is spared it.
    plain: bool,
}

impl Server {
    pub(super) fn is_plain(&self) -> bool {
        self.health().plain
    }

    pub(super) fn spare_edns(&self) {
        self.health().plain = true;
    }

    pub(super) fn has_answered(&self) {
        self.health().failed = None;
    }

    pub(super) fn has_failed(&self, now: Instant) {
        self.health().failed = Some(now);
    }

    fn failed_lately(&self, now: Instant) -> bool {
        let failed = self.health().failed;
        failed.is_some_and(|at| now.saturating_duration_since(at) < DISTRUST)
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
