//! The cache under a virtual clock: `T0 + seconds`.

use super::*;

const TTL: Duration = Duration::from_secs(10);

struct Bench {
    cache: Cache<u64>,
    start: Instant,
}

fn bench(ttl: Option<Duration>, capacity: usize, enabled: bool) -> Bench {
    Bench {
        cache: Cache::new(Keep {
            enabled,
            capacity,
            ttl,
            ..Keep::default()
        }),
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
            if let Some(entry) = &name.entry
                && entry.serves(now)
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
            assert!(name.entry.is_some() || name.asked.is_some());
            if let Some(Entry {
                result: Ok(all), ..
            }) = &name.entry
            {
                assert!(!all.is_empty());
            }
            assert!(name.asked.is_none_or(|id| cache.flights.contains_key(&id)));
        }
        assert!(self.cache.snapshot(self.at(0)).len() <= cache.keep.capacity);
    }
}

fn ips(text: &str) -> Vec<SocketAddr> {
    let peer = |ip: &str| SocketAddr::new(ip.parse().unwrap(), 80);
    text.split_whitespace().map(peer).collect()
}

/// Faults have no equality: by their text.
impl PartialEq for Found {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Hit(a), Self::Hit(b)) | (Self::Joined(a), Self::Joined(b)) => a == b,
            (Self::Start(a), Self::Start(b)) => a == b,
            (Self::Miss(a), Self::Miss(b)) => a.to_string() == b.to_string(),
            _ => false,
        }
    }
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

fn keeping(adapt: impl FnOnce(&mut Keep)) -> Bench {
    let mut keep = Keep::default();
    adapt(&mut keep);
    Bench {
        cache: Cache::new(keep),
        start: Instant::now(),
    }
}

impl Bench {
    /// A lookup ends so, and what its waiters are told.
    fn say(
        &mut self,
        id: LookupId,
        result: Result<&str, DnsFault>,
        ttl: Option<u64>,
        seconds: u64,
    ) -> Result<Vec<SocketAddr>, String> {
        let (now, ttl) = (self.at(seconds), ttl.map(Duration::from_secs));
        let (_, told) = self.cache.complete(id, result.map(ips), ttl, now);
        self.check();
        told.map_err(|fault| fault.to_string())
    }

    fn fail(&mut self, host: &str, seconds: u64) -> Result<Vec<SocketAddr>, String> {
        let id = self.begin(host, 0, seconds);
        let fault = DnsFault::Failed(Arc::from(Box::from("no route")));
        self.say(id, Err(fault), None, seconds)
    }
}

#[test]
fn a_resolver_knows_how_long() {
    // SPEC C22: the shorter of what it says and what is set.
    for (said, set, hits_at, misses_at) in [
        (Some(3), Some(10), 2, 3),
        (Some(60), Some(10), 9, 10),
        (Some(60), None, 59, 60),
        (None, Some(10), 9, 10),
    ] {
        let mut b = keeping(|keep| keep.ttl = set.map(Duration::from_secs));
        let id = b.begin("a", 1, 0);
        b.say(id, Ok("10.0.0.1"), said, 0).unwrap();
        assert_eq!(b.look("a", 1, hits_at), hit("10.0.0.1"), "{said:?} {set:?}");
        b.begin("a", 1, misses_at);
    }
    let mut b = keeping(|_| {});
    let id = b.begin("a", 1, 0);
    b.say(id, Ok("10.0.0.1"), Some(0), 0).unwrap();
    b.begin("a", 1, 0);
    b.check();
}

#[test]
fn that_there_is_nothing_is_kept_where_it_is_asked_for() {
    // SPEC C22: and only on good authority.
    let mut b = keeping(|keep| keep.negative = Duration::from_secs(5));
    for (host, result, ttl, kept) in [
        ("none", Err(DnsFault::NotFound), None, 5),
        ("brief", Err(DnsFault::NotFound), Some(2), 2),
        ("long", Err(DnsFault::NotFound), Some(60), 5),
        ("empty", Ok(""), None, 5),
        ("zero", Err(DnsFault::NotFound), Some(0), 0),
        ("busy", Err(DnsFault::Busy), None, 0),
    ] {
        let id = b.begin(host, 1, 0);
        let told = b.say(id, result, ttl, 0).unwrap_err();
        if kept > 0 {
            let found = b.look(host, 1, kept - 1);
            assert!(
                matches!(&found, Found::Miss(fault) if fault.to_string() == told),
                "{host}: {found:?}"
            );
        }
        b.begin(host, 1, kept);
        b.cache.abandon(1);
    }
    assert!(b.fail("failed", 0).is_err());
    b.begin("failed", 1, 0);

    // A name that has come into being.
    let mut b = keeping(|keep| keep.negative = Duration::from_secs(5));
    let id = b.begin("a", 1, 0);
    b.say(id, Err(DnsFault::NotFound), None, 0).unwrap_err();
    let id = b.begin("a", 1, 5);
    b.say(id, Ok("10.0.0.1"), None, 5).unwrap();
    assert_eq!(b.look("a", 1, 6), hit("10.0.0.1"));
}

#[test]
fn old_entries_serve_while_lookups_fail() {
    // SPEC C22: where that is asked for, and for so long. A minute behind the
    // ten seconds of its life.
    let mut b = keeping(|keep| keep.stale = Duration::from_secs(60));
    b.learn("a", "10.0.0.1 10.0.0.2", 0);
    assert_eq!(b.fail("a", 20), Ok(ips("10.0.0.2 10.0.0.1")));
    // Lookups are spared for 30 s, and the list goes on rotating.
    assert_eq!(b.look("a", 1, 21), hit("10.0.0.1 10.0.0.2"));
    assert_eq!(b.look("a", 1, 49), hit("10.0.0.2 10.0.0.1"));
    let [host] = &b.cache.snapshot(b.at(40))[..] else {
        panic!("one host");
    };
    assert!(host.is_stale());
    assert_eq!(host.expires_in(), Some(Duration::from_secs(10)));
    // No longer than a minute, though.
    assert_eq!(b.fail("a", 50), Ok(ips("10.0.0.1 10.0.0.2")));
    assert_eq!(b.look("a", 1, 69), hit("10.0.0.2 10.0.0.1"));
    assert_eq!(b.fail("a", 70), Err("the name lookup failed".to_owned()));

    // A lookup that succeeds, or that knows better, ends it.
    b.learn("b", "10.0.0.3", 0);
    let id = b.begin("b", 1, 10);
    assert_eq!(b.say(id, Ok("10.0.0.4"), None, 10), Ok(ips("10.0.0.4")));
    let id = b.begin("b", 1, 20);
    assert!(b.say(id, Err(DnsFault::NotFound), None, 20).is_err());
    assert!(b.fail("b", 20).is_err());

    // Not by default.
    let mut b = keeping(|_| {});
    b.learn("a", "10.0.0.1", 0);
    assert!(b.fail("a", 10).is_err());
}

/// A resolver that says nothing at all, until the waiter has waited enough.
#[test]
fn old_entries_serve_while_lookups_take_too_long() {
    let mut b = keeping(|keep| keep.stale = Duration::from_secs(60));
    b.learn("a", "10.0.0.1", 0);
    let id = b.begin("a", 1, 20);
    assert_eq!(b.look("a", 2, 21), Found::Joined(vec![]));
    let now = b.at(22);
    assert_eq!(b.cache.make_do(9, now), None);
    assert_eq!(b.cache.make_do(1, now), Some(ips("10.0.0.1")));
    assert_eq!(
        b.look("a", 3, 23),
        hit("10.0.0.1"),
        "who comes now waits no more"
    );
    b.check();
    assert_eq!(b.end(id, "10.0.0.2", 24), [1, 2], "the answer may come yet");
    assert_eq!(b.look("a", 3, 25), hit("10.0.0.2"));

    b.begin("new", 5, 0);
    let now = b.at(1);
    assert_eq!(b.cache.make_do(5, now), None, "nothing is known of it");
}

#[test]
fn looking_into_it() {
    // SPEC C23.
    let mut b = keeping(|keep| {
        keep.ttl = None;
        keep.negative = Duration::from_secs(5);
    });
    b.learn("b", "10.0.0.1 10.0.0.2", 0);
    let id = b.begin("a", 1, 0);
    b.say(id, Ok("::1"), Some(7), 0).unwrap();
    let id = b.begin("gone", 1, 0);
    b.say(id, Err(DnsFault::NotFound), None, 0).unwrap_err();
    b.begin("asked", 1, 0);
    let told = |b: &Bench, seconds: u64| -> Vec<String> {
        let hosts = b.cache.snapshot(b.at(seconds));
        let line = |host: &CachedHost| {
            let (name, all) = (host.host(), host.addresses());
            assert_eq!((host.port(), host.family()), (80, IpFamily::Any));
            assert!(!host.is_stale());
            format!("{name} {all:?} {:?}", host.expires_in())
        };
        hosts.iter().map(line).collect()
    };
    assert_eq!(
        told(&b, 2),
        [
            "a [[::1]:80] Some(5s)",
            "b [10.0.0.2:80, 10.0.0.1:80] None",
            "gone [] Some(3s)"
        ]
    );
    assert_eq!(told(&b, 7), ["b [10.0.0.2:80, 10.0.0.1:80] None"]);
}
