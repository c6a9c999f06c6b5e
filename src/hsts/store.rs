//! The plain data: hosts that want https, each for a while, and not too many.
//!
//! Names are lower case and without the dot of the root. Times are seconds since
//! 1970, `now` is an argument.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};

use crate::sync::Arc;

/// How many hosts are kept. Beyond that those of the site go first that has most
/// of them, and of these the one whose time is over soonest: so a site that names
/// hosts without an end pushes out its own first.
pub(super) const MAX_HOSTS: usize = 10_000;

/// No name is longer (RFC 1035 §2.3.4).
const MAX_NAME: usize = 253;

/// The last second of the year 9999: for ever.
pub(super) const FAR: u64 = 253_402_300_799;

#[derive(Debug, Default)]
pub(super) struct Store {
    hosts: HashMap<Arc<str>, Entry>,
    by_expiry: BTreeSet<(u64, Arc<str>)>,
    /// The same by [`site`]; none is empty.
    by_site: HashMap<Box<str>, BTreeSet<(u64, Arc<str>)>>,
    /// The sites by how many hosts they have, and then by the first of them whose
    /// time is over: the last one makes room.
    by_size: BTreeSet<(usize, Reverse<u64>, Box<str>)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) expires: u64,
    pub(super) subdomains: bool,
}

impl Store {
    /// Keeps a host, in the place of what was known of it. An entry that has
    /// expired only takes that away.
    pub(super) fn insert(&mut self, host: &str, entry: Entry, now: u64) {
        self.remove(host);
        self.purge(now);
        if entry.expires <= now || host.is_empty() || host.len() > MAX_NAME {
            return;
        }
        let expires = entry.expires.min(FAR);
        let host: Arc<str> = Arc::from(host);
        self.by_expiry.insert((expires, Arc::clone(&host)));
        self.change_site(&host, |hosts| hosts.insert((expires, Arc::clone(&host))));
        self.hosts.insert(host, Entry { expires, ..entry });
        if self.hosts.len() > MAX_HOSTS
            && let Some((_, _, largest)) = self.by_size.last()
            && let Some((_, first)) = self.by_site.get(largest).and_then(BTreeSet::first)
        {
            let first = Arc::clone(first);
            self.remove(&first);
        }
    }

    pub(super) fn remove(&mut self, host: &str) -> bool {
        let Some((host, entry)) = self.hosts.remove_entry(host) else {
            return false;
        };
        let key = (entry.expires, host);
        self.by_expiry.remove(&key);
        self.change_site(&key.1, |hosts| hosts.remove(&key));
        true
    }

    /// Changes what is known of a host's site, and its place among the others.
    fn change_site(
        &mut self,
        host: &str,
        change: impl FnOnce(&mut BTreeSet<(u64, Arc<str>)>) -> bool,
    ) {
        let site = site(host);
        let mut hosts = self.by_site.remove(site).unwrap_or_default();
        let place = |hosts: &BTreeSet<(u64, Arc<str>)>| {
            let (first, _) = hosts.first()?;
            Some((hosts.len(), Reverse(*first), Box::from(site)))
        };
        if let Some(before) = place(&hosts) {
            self.by_size.remove(&before);
        }
        change(&mut hosts);
        if let Some(now) = place(&hosts) {
            self.by_size.insert(now);
            self.by_site.insert(site.into(), hosts);
        }
    }

    /// What is known of this very host.
    pub(super) fn entry(&self, host: &str, now: u64) -> Option<Entry> {
        self.hosts
            .get(host)
            .filter(|entry| entry.expires > now)
            .copied()
    }

    /// RFC 6797 §8.2: whether this host is known, or one above it that speaks
    /// for all below.
    pub(super) fn covers(&self, host: &str, now: u64) -> bool {
        if host.len() > MAX_NAME || self.hosts.is_empty() {
            return false;
        }
        if self.entry(host, now).is_some() {
            return true;
        }
        let mut name = host;
        while let Some((_, above)) = name.split_once('.') {
            name = above;
            if self.entry(name, now).is_some_and(|entry| entry.subdomains) {
                return true;
            }
        }
        false
    }

    /// Forgets what has expired.
    pub(super) fn purge(&mut self, now: u64) {
        while let Some((expires, host)) = self.by_expiry.first()
            && *expires <= now
        {
            let host = Arc::clone(host);
            self.remove(&host);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.hosts.len()
    }

    /// By name, so that a file of them differs only in what has changed.
    pub(super) fn all(&self) -> Vec<(Arc<str>, Entry)> {
        let mut all: Vec<_> = self
            .hosts
            .iter()
            .map(|(host, entry)| (Arc::clone(host), *entry))
            .collect();
        all.sort_by(|(one, _), (other, _)| one.cmp(other));
        all
    }
}

/// What belongs to one owner, as far as that can be told: the registrable domain,
/// by the list of public suffixes.
#[cfg(feature = "cookies")]
fn site(host: &str) -> &str {
    crate::cookie::site(host)
}

/// The same without that list: the last two labels.
#[cfg(not(feature = "cookies"))]
fn site(host: &str) -> &str {
    let second = host.rmatch_indices('.').nth(1);
    second.map_or(host, |(at, _)| &host[at + 1..])
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn entry(expires: u64, subdomains: bool) -> Entry {
        Entry {
            expires,
            subdomains,
        }
    }

    #[test]
    fn a_host_speaks_for_itself_and_if_it_says_so_for_those_below() {
        let mut store = Store::default();
        store.insert("example.com", entry(100, true), 0);
        store.insert("b.example.org", entry(100, false), 0);
        store.insert("test", entry(100, true), 0);
        store.insert("localhost", entry(100, false), 0);
        for (host, want) in [
            ("example.com", true),
            ("a.example.com", true),
            ("a.b.example.com", true),
            ("badexample.com", false),
            ("com", false),
            ("example.com.evil", false),
            ("b.example.org", true),
            ("a.b.example.org", false),
            ("example.org", false),
            ("any.test", true),
            ("localhost", true),
            ("a.localhost", false),
            ("", false),
            (".", false),
        ] {
            assert_eq!(store.covers(host, 99), want, "{host}");
        }
        // One below may not take back what one above has said for it.
        store.insert("a.example.com", entry(0, false), 1);
        assert!(store.covers("a.example.com", 99));
        assert!(store.remove("example.com"));
        assert!(!store.remove("example.com"));
        assert!(!store.covers("a.example.com", 99));
    }

    #[test]
    fn time_ends_it_and_a_new_word_replaces_the_old_one() {
        let mut store = Store::default();
        store.insert("a.test", entry(100, true), 0);
        assert!(store.covers("a.test", 99) && !store.covers("a.test", 100));
        store.insert("a.test", entry(50, false), 10);
        assert!(!store.covers("b.a.test", 20) && !store.covers("a.test", 50));
        assert_eq!((store.len(), store.by_expiry.len()), (1, 1));
        store.purge(50);
        assert_eq!((store.len(), store.by_expiry.len()), (0, 0));
        store.insert("a.test", entry(u64::MAX, true), 10);
        assert_eq!(store.entry("a.test", 10), Some(entry(FAR, true)));
    }

    #[test]
    fn the_first_to_expire_make_room() {
        let mut store = Store::default();
        let many = MAX_HOSTS as u64 + 500;
        for n in 0..many {
            // The earlier ones last longer.
            store.insert(&format!("h{n}.test"), entry(1_000_000 - n, false), 0);
            assert!(store.len() <= MAX_HOSTS);
        }
        assert!(store.covers("h0.test", 0));
        assert!(!store.covers(&format!("h{}.test", many - 1), 0));
        assert_eq!(store.len(), store.by_expiry.len());
        // What has expired makes room before that.
        let now = 1_000_000 - 100;
        store.insert("new.test", entry(now + 1, false), now);
        assert!(store.covers("new.test", now));
        assert_eq!(store.len(), 101);
    }

    /// One site with many hosts, all of them for ever, leaves the others alone.
    #[test]
    fn the_site_with_the_most_hosts_makes_room() {
        let mut store = Store::default();
        let others = 300;
        for n in 0..others {
            store.insert(&format!("h{n}.test"), entry(1_000 + n, false), 0);
            store.insert(&format!("www.h{n}.test"), entry(1_000 + n, false), 0);
        }
        for n in 0..MAX_HOSTS as u64 + 500 {
            let expires = if n == 7 { FAR - 1 } else { FAR };
            store.insert(&format!("x{n}.deep.flood.test"), entry(expires, true), 0);
            assert!(store.len() <= MAX_HOSTS);
        }
        assert_eq!(store.len(), MAX_HOSTS);
        for n in 0..others {
            assert!(store.covers(&format!("www.h{n}.test"), 0), "{n}");
        }
        // Of its own that goes first whose time is over first.
        assert!(!store.covers("x7.deep.flood.test", 0));
        // One more of another site has room, too.
        store.insert("new.test", entry(1, false), 0);
        assert!(store.covers("new.test", 0));
        // Nothing is left behind of what has gone.
        store.purge(FAR);
        assert_eq!((store.len(), store.by_expiry.len()), (0, 0));
        assert!(store.by_site.is_empty() && store.by_size.is_empty());
    }

    #[test]
    fn what_a_site_is() {
        for (host, want) in [
            ("a.b.example.com", "example.com"),
            ("example.com", "example.com"),
            ("com", "com"),
            ("localhost", "localhost"),
            ("a.b.test", "b.test"),
        ] {
            assert_eq!(site(host), want, "{host}");
        }
        let of_suffix = site("a.b.example.co.uk");
        let want = if cfg!(feature = "cookies") {
            "example.co.uk"
        } else {
            "co.uk"
        };
        assert_eq!(of_suffix, want);
    }

    #[test]
    fn no_name_is_longer_than_names_are() {
        let mut store = Store::default();
        let long = "a.".repeat(200) + "test";
        store.insert(&long, entry(9, true), 0);
        store.insert("test", entry(9, true), 0);
        assert_eq!(store.len(), 1);
        // Nobody can resolve it, so there is nothing to protect.
        assert!(!store.covers(&long, 0));
    }
}
