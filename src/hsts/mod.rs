//! Hosts that want to be asked by https alone (HSTS, RFC 6797).
//!
//! ```text
//! field ──parse──▶ Policy ──note──▶ Store ◀──covers── the host of an http URL
//!        (§6.1)            (§8.1)          (§8.2)
//! ```
//!
//! - [`parse`] knows the syntax and nothing of hosts.
//! - [`store`] is the plain data structure.
//! - [`mod@file`] is the format of a file of them.
//!
//! Nothing below this file reads a clock.

mod file;
mod parse;
mod store;
#[cfg(all(test, not(loom)))]
mod tests;

use std::fmt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use url::Host;

use self::store::{Entry, FAR, Store};
use crate::saved::{self, file_error};
use crate::sync::{Arc, Mutex, lock};

/// Hosts that want to be asked by https alone: HTTP Strict Transport Security
/// (RFC 6797), for a session that is given one by
/// [`SessionBuilder::hsts`](crate::SessionBuilder::hsts).
///
/// A request for `http://host/`, a redirect to one included, becomes one for
/// `https://host/` before anything is sent, where the host is known or one above
/// it that has asked for its subdomains too. Port 80 becomes 443, any other port
/// stays. [`Response::url`](crate::Response::url) shows the https URL; the history
/// has no entry of it.
///
/// A host becomes known by a `Strict-Transport-Security` field of a response over
/// https whose certificate was verified for this very host, and is forgotten when
/// the time is over that it names, or when it names zero. A field that
/// breaks the rules says nothing; of several fields the first counts. Hosts that
/// are IP addresses have no part in this. There is no list of hosts to begin
/// with: [`insert`](Self::insert) or [`load`](Self::load) one.
///
/// A store is a handle: clones share their hosts, any number of sessions and
/// threads may use them. At most 10,000 hosts are kept; beyond that the site with the
/// most of them loses one, that whose time is over soonest. A site is a registrable
/// domain with all below it; without the feature `cookies`, which has the list of
/// public suffixes, it is what ends in the same two labels.
///
/// ```no_run
/// use miohttp::{HstsStore, Session};
///
/// let hsts = HstsStore::new();
/// match hsts.load("hsts.txt") {
///     Err(error) if error.is_not_found() => {}
///     other => drop(other?),
/// }
/// let session = Session::builder().hsts(hsts.clone()).build();
/// session.get("http://example.com/").send()?;
/// hsts.save("hsts.txt")?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct HstsStore {
    store: Arc<Mutex<Store>>,
}

impl HstsStore {
    /// A store without hosts.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes a host known, for so long from now on, in the place of what was known
    /// of it before; with `include_subdomains` all hosts below it, too. Times are
    /// whole seconds, and longer ones than the calendar's end there. False: it is
    /// no name, but an address or nothing that can be a host; nothing is kept then.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let hsts = miohttp::HstsStore::new();
    /// assert!(hsts.insert("example.com", Duration::from_secs(86_400), true));
    /// assert!(hsts.contains("www.example.com"));
    /// assert!(!hsts.insert("127.0.0.1", Duration::from_secs(86_400), true));
    /// ```
    pub fn insert(&self, host: &str, max_age: Duration, include_subdomains: bool) -> bool {
        let Some(host) = name(host) else {
            return false;
        };
        self.keep(&host, max_age.as_secs(), include_subdomains, now());
        true
    }

    /// Forgets a host. Whether it was known by itself. One above it may still speak
    /// for it.
    pub fn remove(&self, host: &str) -> bool {
        name(host).is_some_and(|host| lock(&self.store).remove(&host))
    }

    /// Whether requests to this host go by https: it is known, or a host above it
    /// has asked for its subdomains too.
    pub fn contains(&self, host: &str) -> bool {
        name(host).is_some_and(|host| self.covers(&host))
    }

    /// How many hosts are known.
    pub fn len(&self) -> usize {
        let mut store = lock(&self.store);
        store.purge(now());
        store.len()
    }

    /// Whether no host is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets all hosts.
    pub fn clear(&self) {
        let old = std::mem::take(&mut *lock(&self.store));
        drop(old);
    }

    /// Writes the hosts to a file, in the format of curl's HSTS cache: a line for
    /// each, with its name, after a dot if all below it are meant too, and the end
    /// of its time in UTC. Returns how many were written. Blocks on the file system.
    ///
    /// Which hosts were visited is private, so the file can be read by its owner
    /// alone (mode 0600 on Unix, from the moment it exists). It is written beside
    /// its place and then moved there: whoever reads finds the old file or the new
    /// one, whole. A symbolic link there is replaced, not followed.
    ///
    /// # Errors
    /// The file cannot be written; what stood there before still does.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<usize, HstsFileError> {
        let hosts = {
            let mut store = lock(&self.store);
            store.purge(now());
            store.all()
        };
        saved::save(path.as_ref(), &file::write(&hosts))?;
        Ok(hosts.len())
    }

    /// Replaces the hosts by those of a file that [`save`](Self::save) or curl has
    /// written. Returns how many were taken: those whose time is over are left out,
    /// and so are addresses. Of a host that stands there twice the longer time
    /// counts, and its subdomains if either line has them. Blocks on the file system.
    ///
    /// ```
    /// use miohttp::HstsStore;
    ///
    /// # let folder = std::env::temp_dir().join(format!("miohttp-doc-hsts-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder)?;
    /// # let path = folder.join("hsts.txt");
    /// std::fs::write(&path, ".example.com \"29991231 23:59:59\"\n")?;
    /// let hsts = HstsStore::new();
    /// assert_eq!(hsts.load(&path)?, 1);
    /// assert!(hsts.contains("www.example.com"));
    /// # std::fs::remove_dir_all(&folder)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The file cannot be read, is longer than 64 MiB, or has a line that is not as
    /// described: [`line`](HstsFileError::line) says which. The store is then as it
    /// was.
    pub fn load(&self, path: impl AsRef<Path>) -> Result<usize, HstsFileError> {
        let hosts = saved::load(path.as_ref(), file::read)?;
        let now = now();
        let mut store = Store::default();
        for (host, mut entry) in hosts {
            if let Some(other) = store.entry(&host, now) {
                entry.expires = entry.expires.max(other.expires);
                entry.subdomains |= other.subdomains;
            }
            store.insert(&host, entry, now);
        }
        let count = store.len();
        let old = std::mem::replace(&mut *lock(&self.store), store);
        drop(old);
        Ok(count)
    }
}

/// For sessions: names are as a URL has them, in lower case and ASCII.
impl HstsStore {
    /// Whether this host wants https.
    pub(crate) fn covers(&self, host: &str) -> bool {
        self.covers_at(host, now())
    }

    /// RFC 6797 §8.1: takes note of what a host has said of itself over https.
    pub(crate) fn note(&self, host: &str, field: &[u8]) {
        self.note_at(host, field, now());
    }

    fn covers_at(&self, host: &str, now: u64) -> bool {
        lock(&self.store).covers(without_root(host), now)
    }

    fn note_at(&self, host: &str, field: &[u8], now: u64) {
        if let Some(policy) = parse::parse(field) {
            let host = without_root(host);
            self.keep(host, policy.max_age, policy.subdomains, now);
        }
    }

    fn keep(&self, host: &str, max_age: u64, subdomains: bool, now: u64) {
        let entry = Entry {
            expires: now.saturating_add(max_age).min(FAR),
            subdomains,
        };
        lock(&self.store).insert(host, entry, now);
    }
}

/// How many: which ones are nobody else's business.
impl fmt::Debug for HstsStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HstsStore")
            .field("hosts", &self.len())
            .finish()
    }
}

file_error! {
    /// A file of [HSTS](HstsStore) hosts that could not be saved or loaded. It names
    /// the file and the line, and never what stood there.
    ///
    /// ```
    /// let error = miohttp::HstsStore::new().load("/nowhere/hsts.txt").unwrap_err();
    /// assert!(error.is_not_found());
    /// ```
    HstsFileError, "HSTS file"
}

/// The module's only clock.
fn now() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.map_or(0, |since| since.as_secs())
}

/// A name as a URL would have it; no address.
fn name(host: &str) -> Option<String> {
    match Host::parse(host).ok()? {
        Host::Domain(name) => Some(without_root(&name).to_owned()),
        Host::Ipv4(_) | Host::Ipv6(_) => None,
    }
}

/// With the dot of the root or without it is the same host.
fn without_root(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}
