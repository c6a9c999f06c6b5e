//! The plain data: hosts that want https, each for a while, and not too many.
//!
//! Names are lower case and without the dot of the root. Times are seconds since
//! 1970, `now` is an argument.

use std::collections::{BTreeSet, HashMap};

use crate::sync::Arc;

/// How many hosts are kept. Beyond that those go first whose time is over
/// soonest.
pub(super) const MAX_HOSTS: usize = 10_000;

/// No name is longer (RFC 1035 §2.3.4).
const MAX_NAME: usize = 253;

/// The last second of the year 9999: for ever.
pub(super) const FAR: u64 = 253_402_300_799;

#[derive(Debug, Default)]
pub(super) struct Store {
    hosts: HashMap<Arc<str>, Entry>,
    by_expiry: BTreeSet<(u64, Arc<str>)>,
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
        self.hosts.insert(host, Entry { expires, ..entry });
        if self.hosts.len() > MAX_HOSTS
            && let Some((_, first)) = self.by_expiry.pop_first()
        {
            self.hosts.remove(&first);
        }
    }

    pub(super) fn remove(&mut self, host: &str) -> bool {
        let Some((host, entry)) = self.hosts.remove_entry(host) else {
            return false;
        };
        self.by_expiry.remove(&(entry.expires, host));
        true
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
        while let Some((expires, _)) = self.by_expiry.first()
            && *expires <= now
            && let Some((_, host)) = self.by_expiry.pop_first()
        {
            self.hosts.remove(&host);
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
