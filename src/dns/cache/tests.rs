//! The cache under a virtual clock: `T0 + seconds`.

use super::*;

const TTL: Duration = Duration::from_secs(10);

struct Bench {
    cache: Cache<u64>,
    start: Instant,
}

fn bench(ttl: Option<Duration>, capacity: usize, enabled: bool) -> Bench {
    Bench {
        cache: Cache::new(ttl, capacity, enabled),
        start: Instant::now(),
    }
}

impl Bench {
    fn at(&self, seconds: u64) -> Instant {
        self.start + Duration::from_secs(seconds)
    }

    fn look(&mut self, host: &str, waiter: u64, seconds: u64) -> Found {
        let now = self.at(seconds);
        self.cache.lookup(host, 80, IpFamily::Any, waiter, now)
    }

    fn begin(&mut self, host: &str, waiter: u64, seconds: u64) -> LookupId {
        match self.look(host, waiter, seconds) {
            Found::Start(id) => id,
            other => panic!("{host}: {other:?}"),
        }
    }

    fn end(&mut self, id: LookupId, addresses: &str, seconds: u64) -> Vec<u64> {
        let now = self.at(seconds);
        let (waiters, result) = self.cache.complete(id, Ok(ips(addresses)), None, now);
        assert_eq!(result.unwrap(), ips(addresses));
        waiters
    }

    /// Looks up and resolves in one go.
    fn learn(&mut self, host: &str, addresses: &str, seconds: u64) {
        let id = self.begin(host, 0, seconds);
        assert_eq!(self.end(id, addresses, seconds), [0]);
    }

    /// What would hit now, the most recently used first.
    fn hosts(&self, seconds: u64) -> Vec<String> {
        let (cache, now) = (&self.cache, self.at(seconds));
        let mut fresh = Vec::new();
        for (key, name) in &cache.names {
            if let Name::Known(entry) = name
                && cache.keeping.fresh(entry, now)
            {
                fresh.push((entry.used, key.host.clone()));
            }
        }
        fresh.sort_unstable();
        fresh.into_iter().rev().map(|(_, host)| host).collect()
    }

    /// The tables agree with each other.
    fn check(&self) {
        let cache = &self.cache;
        let waiting: usize = cache.flights.values().map(|f| f.waiting).sum();
        assert_eq!(waiting, cache.places.len());
        for flight in cache.flights.values() {
            assert!(flight.waiters.len() <= 2 * flight.waiting);
        }
        for (id, place) in cache.places.values() {
            let listed = &cache.flights[id].waiters;
            assert!(listed.iter().any(|(at, _)| at == place));
        }
        let deserted = cache.flights.iter().filter(|(_, f)| f.waiting == 0);
        let mut deserted: Vec<_> = deserted.map(|(id, _)| *id).collect();
        deserted.sort_unstable();
        assert_eq!(deserted, cache.deserted);
        for name in cache.names.values() {
            match name {
                Name::Known(entry) => assert!(!entry.addresses.is_empty()),
                Name::Asked(id) => assert!(cache.flights.contains_key(id)),
            }
        }
    }
}

fn ips(text: &str) -> Vec<SocketAddr> {
    let peer = |ip: &str| SocketAddr::new(ip.parse().unwrap(), 80);
    text.split_whitespace().map(peer).collect()
}

fn hit(addresses: &str) -> Found {
    Found::Hit(ips(addresses))
}

#[test]
fn hits_rotate() {
    // SPEC C22: each hit rotates the list; the first use counts as one.
    let mut b = bench(Some(TTL), 1000, true);
    b.learn("a", "::1 ::2 10.0.0.1", 0);
    assert_eq!(b.look("a", 1, 1), hit("::2 10.0.0.1 ::1"));
    assert_eq!(b.look("a", 1, 1), hit("10.0.0.1 ::1 ::2"));
    assert_eq!(b.look("a", 1, 1), hit("::1 ::2 10.0.0.1"));
    b.check();
}

#[test]
fn results_age() {
    // SPEC C22: 10 s by default, `None` forever, zero never.
    for (ttl, hits_at, misses_at) in [
        (Some(TTL), Some(9), Some(10)),
        (None, Some(1_000_000), None),
        (Some(Duration::MAX), Some(1_000_000), None),
        (Some(Duration::ZERO), None, Some(0)),
    ] {
        let mut b = bench(ttl, 1000, true);
        b.learn("a", "10.0.0.1", 0);
        if let Some(seconds) = hits_at {
            assert_eq!(b.look("a", 1, seconds), hit("10.0.0.1"), "{ttl:?}");
            assert_eq!(b.hosts(seconds), ["a"]);
        }
        if let Some(seconds) = misses_at {
            assert!(b.hosts(seconds).is_empty(), "{ttl:?}");
            b.begin("a", 1, seconds);
        }
        b.check();
    }
}

/// A hit does not lengthen a result's life.
#[test]
fn age_counts_from_the_lookup() {
    let mut b = bench(Some(TTL), 1000, true);
    b.learn("a", "10.0.0.1", 0);
    assert_eq!(b.look("a", 1, 9), hit("10.0.0.1"));
    b.begin("a", 1, 11);
}

#[test]
fn lookups_join() {
    // SPEC C22: concurrent lookups merge, whatever the case of the name; host,
    // port and family tell keys apart.
    let mut b = bench(Some(TTL), 1000, true);
    let id = b.begin("example.com", 1, 0);
    assert_eq!(b.look("EXAMPLE.com", 2, 0), Found::Joined(vec![]));
    let now = b.at(0);
    for (waiter, port, family) in [(3, 81, IpFamily::Any), (4, 80, IpFamily::V4)] {
        let found = b.cache.lookup("example.com", port, family, waiter, now);
        assert!(matches!(found, Found::Start(other) if other != id));
    }
    assert_eq!(b.end(id, "10.0.0.1", 1), [1, 2]);
    assert_eq!(b.look("Example.COM", 5, 1), hit("10.0.0.1"));
    b.check();
}

#[test]
fn the_lookup_outlives_its_waiters() {
    // SPEC C22: a cancelled caller does not cancel the lookup.
    let mut b = bench(Some(TTL), 1000, true);
    let id = b.begin("a", 1, 0);
    assert_eq!(b.look("a", 2, 0), Found::Joined(vec![]));
    assert_eq!(b.look("a", 3, 0), Found::Joined(vec![]));
    b.cache.abandon(1);
    b.cache.abandon(1);
    b.cache.abandon(99);
    b.check();
    assert_eq!(b.end(id, "10.0.0.1", 1), [2, 3]);

    let id = b.begin("b", 1, 0);
    b.cache.abandon(1);
    b.check();
    assert_eq!(b.look("b", 2, 0), Found::Joined(vec![]), "still joinable");
    b.cache.abandon(2);
    assert!(b.end(id, "10.0.0.2", 1).is_empty());
    assert_eq!(b.look("b", 3, 1), hit("10.0.0.2"), "kept for the next");
    b.check();
}

#[test]
fn a_waiter_that_looks_up_again_moves() {
    let mut b = bench(Some(TTL), 1000, true);
    let a = b.begin("a", 1, 0);
    let c = b.begin("c", 1, 0);
    b.check();
    assert!(b.end(a, "10.0.0.1", 0).is_empty());
    assert_eq!(b.end(c, "10.0.0.3", 0), [1]);
}

/// RFC 8305 section 3: a family that comes early is told at once, also to
/// who joins between the two.
#[test]
fn families_arrive_apart() {
    let mut b = bench(Some(TTL), 1000, true);
    let id = b.begin("a", 1, 0);
    let told = b.cache.partial(id, ips("10.0.0.1"));
    assert_eq!(told, (vec![1], ips("10.0.0.1")));
    assert_eq!(b.look("a", 2, 0), Found::Joined(ips("10.0.0.1")));
    let told = b.cache.partial(id, ips("10.0.0.1 ::1"));
    assert_eq!(told, (vec![1, 2], ips("10.0.0.1 ::1")));
    assert_eq!(b.end(id, "10.0.0.1 ::1", 0), [1, 2]);
    assert_eq!(b.cache.partial(id, ips("::2")), (vec![], vec![]));
}

#[test]
fn the_family_filters() {
    // SPEC C25: a family filters what the resolver says, early or late.
    for (family, answer, kept) in [
        (IpFamily::V4, "::1 10.0.0.1 10.0.0.1", Some("10.0.0.1")),
        (IpFamily::V6, "::1 10.0.0.1", Some("::1")),
        (IpFamily::Any, "10.0.0.1 ::1", Some("10.0.0.1 ::1")),
        (IpFamily::V6, "10.0.0.1", None),
        (IpFamily::Any, "", None),
    ] {
        let mut b = bench(Some(TTL), 1000, true);
        let now = b.at(0);
        let Found::Start(id) = b.cache.lookup("a", 80, family, 1, now) else {
            panic!("nothing is known yet");
        };
        let early = b.cache.partial(id, ips(answer));
        let expected = kept.map(|kept| (vec![1], ips(kept)));
        assert_eq!(early, expected.unwrap_or_default(), "{family:?} {answer}");
        let (_, result) = b.cache.complete(id, Ok(ips(answer)), None, now);
        match (result, kept) {
            (Ok(addresses), Some(kept)) => assert_eq!(addresses, ips(kept)),
            (Err(DnsFault::NoAddresses), None) => {}
            (other, _) => panic!("{family:?} {answer}: {other:?}"),
        }
    }
}

/// Failures reach every waiter and are not kept.
#[test]
fn failures_are_not_kept() {
    let mut b = bench(None, 1000, true);
    let id = b.begin("a", 1, 0);
    b.look("a", 2, 0);
    let now = b.at(0);
    let (waiters, result) = b.cache.complete(id, Err(DnsFault::NotFound), None, now);
    assert_eq!(waiters, [1, 2]);
    assert!(matches!(result, Err(DnsFault::NotFound)));
    let again = b.begin("a", 3, 0);
    assert_ne!(again, id);
    b.check();
}

#[test]
fn a_disabled_cache_only_joins() {
    // SPEC C22 (use_dns_cache = False): joined all the same, but not kept.
    for (capacity, enabled) in [(1000, false), (0, true)] {
        let mut b = bench(None, capacity, enabled);
        let id = b.begin("a", 1, 0);
        assert_eq!(b.look("a", 2, 0), Found::Joined(vec![]));
        assert_eq!(b.end(id, "10.0.0.1", 0), [1, 2]);
        b.begin("a", 3, 0);
        assert!(b.hosts(0).is_empty());
        b.check();
    }
}

#[test]
fn the_oldest_use_is_evicted() {
    // SPEC C22 (dns_cache_max_size): the least recently used goes first.
    let mut b = bench(None, 2, true);
    b.learn("a", "10.0.0.1", 0);
    b.learn("b", "10.0.0.2", 0);
    assert_eq!(b.look("a", 1, 0), hit("10.0.0.1"));
    b.learn("c", "10.0.0.3", 0);
    assert_eq!(b.hosts(0), ["c", "a"]);
    b.begin("b", 1, 0);
    b.check();
}

#[test]
fn clearing() {
    // SPEC C23: one host and port, or all.
    let mut b = bench(None, 1000, true);
    b.learn("a", "10.0.0.1", 0);
    b.learn("b", "10.0.0.2", 0);
    let now = b.at(0);
    let Found::Start(v4) = b.cache.lookup("a", 80, IpFamily::V4, 0, now) else {
        panic!("another family is another key");
    };
    b.end(v4, "10.0.0.1", 0);
    b.cache.clear(Some(("a", 81)));
    assert_eq!(b.hosts(0), ["a", "b", "a"]);
    b.cache.clear(Some(("A", 80)));
    assert_eq!(b.hosts(0), ["b"]);
    b.cache.clear(None);
    assert!(b.hosts(0).is_empty());
    b.check();
}

/// A lookup begun before a clear is out of date: it serves who waits for it,
/// and nobody else.
#[test]
fn clearing_during_a_lookup() {
    for of in [None, Some(("a", 80))] {
        let mut b = bench(None, 1000, true);
        let old = b.begin("a", 1, 0);
        b.cache.clear(of);
        let new = b.begin("a", 2, 0);
        assert_eq!(b.end(old, "10.0.0.1", 0), [1]);
        assert_eq!(b.look("a", 3, 0), Found::Joined(vec![]));
        assert_eq!(b.end(new, "10.0.0.2", 0), [2, 3]);
        assert_eq!(b.look("a", 4, 0), hit("10.0.0.2"));
        b.check();
    }
}

#[test]
fn answers_are_bounded() {
    let mut b = bench(None, 1000, true);
    let id = b.begin("a", 1, 0);
    let many = (0..100_000_u32).map(|n| SocketAddr::from((n.to_be_bytes(), 80)));
    let now = b.at(0);
    let (_, early) = b.cache.partial(id, many.clone().collect());
    assert_eq!(early.len(), 256);
    let (_, result) = b.cache.complete(id, Ok(many.collect()), None, now);
    assert_eq!(result.unwrap().len(), 256);
}

/// A resolver that never answers, asked about ever new names by callers who
/// give up, fills nothing.
#[test]
fn deserted_lookups_are_bounded() {
    let mut b = bench(None, 1000, true);
    let first = b.begin("host-0", 0, 0);
    b.cache.abandon(0);
    for n in 1..=MAX_DESERTED as u64 {
        b.begin(&format!("host-{n}"), n, 0);
        b.cache.abandon(n);
    }
    assert_eq!(b.cache.flights.len(), MAX_DESERTED);
    b.check();
    assert!(b.end(first, "10.0.0.1", 0).is_empty());
    assert!(b.hosts(0).is_empty(), "a forgotten lookup is not kept");
    b.begin("host-0", 0, 0);
    b.check();
}

/// A lookup whose resolver has lost it does not take all who come later along.
#[test]
fn a_lookup_is_joined_only_for_so_long() {
    let mut b = bench(Some(TTL), 1000, true);
    let lost = b.begin("a", 1, 0);
    assert_eq!(b.look("a", 2, 29), Found::Joined(vec![]));
    let anew = b.begin("a", 3, 30);
    assert_ne!(lost, anew);
    b.check();
    assert_eq!(b.end(lost, "10.0.0.1", 31), [1, 2]);
    assert_eq!(b.look("a", 4, 31), Found::Joined(vec![]));
    assert_eq!(b.end(anew, "10.0.0.2", 32), [3, 4]);
    assert_eq!(b.look("a", 5, 32), hit("10.0.0.2"), "the newer one is kept");
    b.check();
}

#[test]
fn a_forgotten_lookup_leaves_nothing_behind() {
    let mut b = bench(Some(TTL), 1000, true);
    let id = b.begin("a", 1, 0);
    assert_eq!(b.look("a", 2, 0), Found::Joined(vec![]));
    assert_eq!(b.cache.abandon(1), None, "another waits");
    assert_eq!(b.cache.abandon(2), Some(id));
    b.cache.forget(id);
    b.check();
    assert!(b.cache.flights.is_empty() && b.cache.names.is_empty());
    b.begin("a", 3, 0);
}
