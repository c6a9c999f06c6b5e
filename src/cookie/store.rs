//! The cookies of a jar: plain data, no lock, no clock.
//!
//! Cookies lie in buckets by registrable domain ([`site`]). Everything a
//! response can touch and a request can need lies in one bucket of at most
//! [`MAX_PER_SITE`], so a linear scan is the whole index, and a hostile server
//! pays for its cookies from its own bucket. The total is capped too,
//! with eviction in batches so that its scan is paid for by many insertions.
//!
//! One counter gives both orders the rules need: creation (the order of
//! sending) and last access (the order of eviction). A clock would give ties,
//! and steps back.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::time::SystemTime;

use url::Url;

use super::Cookie;
use super::domain::{Target, domain_matches, path_matches, site};

/// Cookies kept for one registrable domain (K9).
pub(super) const MAX_PER_SITE: usize = 180;

/// Cookies kept in all, not counting shared ones, which no server can set.
pub(super) const MAX_TOTAL: usize = 3000;

/// Up to so many sites, comparing a host with each is cheaper than finding out
/// which is its own.
const FEW_SITES: usize = 16;

/// How many are left when the total was passed.
const TOTAL_AFTER_EVICTION: usize = 2700;

#[derive(Default)]
pub(super) struct Store {
    sites: HashMap<String, Vec<Entry>>,
    /// The user's cookies without a domain: sent to every URL (K2).
    shared: Vec<Entry>,
    /// How many lie in `sites`.
    total: usize,
    tick: u64,
}

struct Entry {
    cookie: Cookie,
    /// Survives a change of the value: position in the header is by age.
    created: u64,
    accessed: u64,
    /// Changes with every change of the cookie; see [`Stamp`].
    revision: u64,
}

/// Names one state of one cookie: after a change it no longer fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stamp(u64);

impl Store {
    /// Stores an admitted cookie, or removes its namesake if it has expired.
    /// `from_secure` is whether the sender may touch `Secure` cookies. Returns
    /// whether the store took it.
    pub(super) fn insert(&mut self, cookie: Cookie, from_secure: bool, now: SystemTime) -> bool {
        let key = cookie.domain.as_deref().map(|host| site(host).to_owned());
        let bucket = match &key {
            None => &mut self.shared,
            Some(key) => self.sites.entry(key.clone()).or_default(),
        };
        let before = bucket.len();
        bucket.retain(|entry| !entry.cookie.is_expired(now));
        let taken = from_secure || !bucket.iter().any(|entry| shadows(&cookie, &entry.cookie));
        if taken {
            self.tick += 1;
            put(bucket, cookie, self.tick, now);
            if key.is_some() && bucket.len() > MAX_PER_SITE {
                evict_one(bucket);
            }
        }
        let after = bucket.len();
        if let Some(key) = key {
            self.total = (self.total + after).saturating_sub(before);
            if after == 0 {
                self.sites.remove(&key);
            }
        }
        if self.total > MAX_TOTAL {
            self.evict_total(now);
        }
        taken
    }

    /// Whether [`Self::matching`] may find any for this host. Cheap where the
    /// jar is empty or has few sites: the registrable domain is not asked for.
    pub(super) fn may_match(&self, url: &Url) -> bool {
        if self.shared.is_empty() && self.sites.is_empty() {
            return false;
        }
        let Some(host) = url.host_str() else {
            return false;
        };
        let is_at_or_below = |site: &str| {
            host.strip_suffix(site)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        !self.shared.is_empty()
            || self.sites.len() > FEW_SITES
            || self.sites.keys().any(|site| is_at_or_below(site))
    }

    /// The cookies for a request, in the order of sending (K7): longer paths
    /// first, then the older ones.
    pub(super) fn matching(&mut self, target: &Target<'_>, now: SystemTime) -> Vec<&Cookie> {
        let bucket = self.sites.get_mut(site(target.host));
        let mut found: Vec<&mut Entry> = bucket
            .into_iter()
            .flatten()
            .chain(&mut self.shared)
            .filter(|entry| is_sent(&entry.cookie, target, now))
            .collect();
        found.sort_by_key(|entry| (Reverse(path_of(&entry.cookie).len()), entry.created));
        for entry in &mut found {
            self.tick += 1;
            entry.accessed = self.tick;
        }
        found.into_iter().map(|entry| &entry.cookie).collect()
    }

    /// All cookies, oldest first.
    pub(super) fn all(&mut self, now: SystemTime) -> Vec<(Stamp, &Cookie)> {
        self.remove_expired(now);
        let entries = self.sites.values().flatten().chain(&self.shared);
        let mut all: Vec<&Entry> = entries.collect();
        all.sort_by_key(|entry| entry.created);
        all.into_iter()
            .map(|entry| (Stamp(entry.revision), &entry.cookie))
            .collect()
    }

    /// How many cookies there are that have not expired (K11).
    pub(super) fn len(&mut self, now: SystemTime) -> usize {
        self.remove_expired(now);
        self.total + self.shared.len()
    }

    /// Removes the cookies of a domain and of the hosts below it (K11).
    pub(super) fn clear_domain(&mut self, domain: &str) {
        self.retain(|entry| {
            let own = entry.cookie.domain.as_deref();
            !own.is_some_and(|own| domain_matches(own, domain))
        });
    }

    /// Removes the cookies with one of these stamps, which must be sorted. One
    /// that has changed since it was stamped stays.
    pub(super) fn remove_stamped(&mut self, sorted: &[Stamp]) {
        self.retain(|entry| sorted.binary_search(&Stamp(entry.revision)).is_err());
    }

    /// Takes over the cookies of another store for its own. The counter goes on
    /// from where it stood, so that no stamp given out before fits any of them.
    pub(super) fn replace(&mut self, other: Self) {
        let before = self.tick;
        *self = other;
        self.tick += before;
        for entry in self.sites.values_mut().flatten().chain(&mut self.shared) {
            entry.created += before;
            entry.accessed += before;
            entry.revision += before;
        }
    }

    fn remove_expired(&mut self, now: SystemTime) {
        self.retain(|entry| !entry.cookie.is_expired(now));
    }

    fn retain(&mut self, keep: impl Fn(&Entry) -> bool) {
        self.shared.retain(&keep);
        self.sites.retain(|_, bucket| {
            bucket.retain(&keep);
            !bucket.is_empty()
        });
        self.total = self.sites.values().map(Vec::len).sum();
    }

    /// §5.7: the expired first, then those not asked for the longest.
    fn evict_total(&mut self, now: SystemTime) {
        self.remove_expired(now);
        if self.total <= MAX_TOTAL {
            return;
        }
        let excess = self.total.saturating_sub(TOTAL_AFTER_EVICTION);
        let entries = self.sites.values().flatten();
        let mut accesses: Vec<u64> = entries.map(|entry| entry.accessed).collect();
        if excess >= accesses.len() {
            return;
        }
        // Ticks are unique, so exactly `excess` lie below this one. Shared
        // cookies may have older ticks and are put aside.
        let (_, &mut oldest_kept, _) = accesses.select_nth_unstable(excess);
        let shared = std::mem::take(&mut self.shared);
        self.retain(|entry| entry.accessed >= oldest_kept);
        self.shared = shared;
    }
}

/// Replaces the cookie of the same identity, or adds a new one; an expired
/// cookie only removes.
fn put(bucket: &mut Vec<Entry>, cookie: Cookie, tick: u64, now: SystemTime) {
    let old = bucket
        .iter()
        .position(|entry| same_identity(&entry.cookie, &cookie));
    match old {
        Some(index) if cookie.is_expired(now) => {
            bucket.remove(index);
        }
        Some(index) => {
            if let Some(entry) = bucket.get_mut(index) {
                entry.cookie = cookie;
                entry.accessed = tick;
                entry.revision = tick;
            }
        }
        None if cookie.is_expired(now) => {}
        None => bucket.push(Entry {
            cookie,
            created: tick,
            accessed: tick,
            revision: tick,
        }),
    }
}

/// K6: the host-only flag is part of it, so that a parent domain's cookie and
/// the host's own of the same name do not overwrite each other in turns.
fn same_identity(a: &Cookie, b: &Cookie) -> bool {
    a.name == b.name && a.domain == b.domain && a.path == b.path && a.host_only == b.host_only
}

/// "Leave Secure cookies alone" (§5.7 step 13, K9): a cookie from plaintext may
/// not stand beside a Secure one of the same name where a request would carry
/// both, or instead of it.
fn shadows(new: &Cookie, old: &Cookie) -> bool {
    if new.secure || !old.secure || new.name != old.name {
        return false;
    }
    let (new_domain, old_domain) = (domain_of(new), domain_of(old));
    (domain_matches(new_domain, old_domain) || domain_matches(old_domain, new_domain))
        && path_matches(path_of(new), path_of(old))
}

/// §5.7: one that is not Secure before one that is, then the one not asked
/// for the longest. Expired ones are gone by now.
fn evict_one(bucket: &mut Vec<Entry>) {
    let victim = bucket
        .iter()
        .enumerate()
        .min_by_key(|(_, entry)| (entry.cookie.secure, entry.accessed))
        .map(|(index, _)| index);
    if let Some(index) = victim {
        bucket.remove(index);
    }
}

fn is_sent(cookie: &Cookie, target: &Target<'_>, now: SystemTime) -> bool {
    let domain = match cookie.domain.as_deref() {
        None => true,
        Some(domain) if cookie.host_only => domain == target.host,
        Some(domain) => domain_matches(target.host, domain),
    };
    domain
        && !cookie.is_expired(now)
        && (target.secure || !cookie.secure)
        && path_matches(target.path, path_of(cookie))
}

fn domain_of(cookie: &Cookie) -> &str {
    cookie.domain.as_deref().unwrap_or_default()
}

/// Never absent in a store; "/" would be the right reading if it were.
fn path_of(cookie: &Cookie) -> &str {
    cookie.path.as_deref().unwrap_or("/")
}
