//! Who may share a connection: keys against a model that compares them field
//! by field (SPEC P1).

use std::hash::{DefaultHasher, Hash, Hasher};

use super::*;
use crate::job::PoolKey;
use crate::pool::Key;

/// A key as plain data, every field of a small alphabet.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Plain {
    host: &'static str,
    port: u16,
    /// Which TLS client, if it is spoken to under TLS. Clients differ by
    /// identity: one that does not verify, one with a pin and one with another
    /// certificate of its own are three.
    tls: Option<usize>,
    server_name: Option<&'static str>,
    route: Option<PlainRoute>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct PlainRoute {
    host: &'static str,
    port: u16,
    tls: Option<usize>,
    via: PlainVia,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum PlainVia {
    Forward,
    Connect(&'static [(&'static str, &'static str)], Option<u64>),
    Socks4(&'static str, bool),
    Socks5(Option<(&'static str, &'static str)>, bool),
}

/// Numbers without a pattern (splitmix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }

    fn of<T: Clone>(&mut self, these: &[T]) -> T {
        these[self.below(these.len())].clone()
    }
}

const FIELDS: [&[(&str, &str)]; 4] = [
    &[],
    &[("proxy-authorization", "Basic YTpi")],
    &[("proxy-authorization", "Basic YTpj")],
    &[("x-tenant", "1"), ("x-tenant", "2")],
];

fn via(dice: &mut Dice) -> PlainVia {
    let bools = [false, true];
    match dice.below(4) {
        0 => PlainVia::Forward,
        1 => PlainVia::Connect(dice.of(&FIELDS), dice.of(&[None, Some(1), Some(2)])),
        2 => PlainVia::Socks4(dice.of(&["", "me"]), dice.of(&bools)),
        _ => {
            let logins = [
                None,
                Some(("me", "a")),
                Some(("me", "b")),
                Some(("you", "a")),
            ];
            PlainVia::Socks5(dice.of(&logins), dice.of(&bools))
        }
    }
}

fn tls_choices() -> &'static [Option<usize>] {
    match cfg!(feature = "tls") {
        true => &[None, Some(0), Some(1), Some(2)],
        false => &[None],
    }
}

fn route(dice: &mut Dice) -> PlainRoute {
    PlainRoute {
        host: dice.of(&["p.test", "q.test"]),
        port: dice.of(&[80, 3128]),
        tls: dice.of(tls_choices()),
        via: via(dice),
    }
}

fn plain(dice: &mut Dice) -> Plain {
    Plain {
        host: dice.of(&["a.test", "b.test", "p.test"]),
        port: dice.of(&[80, 443, 3128]),
        tls: dice.of(tls_choices()),
        server_name: dice.of(&[None, Some("x.test"), Some("y.test")]),
        route: match dice.below(3) {
            0 => None,
            _ => Some(route(dice)),
        },
    }
}

/// Another value in one field, as small a change as there is.
fn neighbour(of: &Plain, dice: &mut Dice) -> Plain {
    loop {
        let other = plain(dice);
        let mut changed = of.clone();
        match dice.below(8) {
            0 => changed.host = other.host,
            1 => changed.port = other.port,
            2 => changed.tls = other.tls,
            3 => changed.server_name = other.server_name,
            4 => changed.route = other.route,
            field => {
                let (Some(own), Some(theirs)) = (&mut changed.route, other.route) else {
                    continue;
                };
                match field {
                    5 => own.tls = theirs.tls,
                    6 => (own.host, own.port) = (theirs.host, theirs.port),
                    _ => own.via = theirs.via,
                }
            }
        }
        return changed;
    }
}

/// Of equal settings, which is the hardest to tell apart; what the settings may be is
/// tried beside them (`api/tls/tests.rs`).
#[cfg(feature = "tls")]
fn clients() -> Vec<tls::Client> {
    let client = |_| tls::Client::build(&tls::Settings::default()).unwrap();
    (0..3).map(client).collect()
}

#[cfg(not(feature = "tls"))]
fn clients() -> Vec<tls::Client> {
    Vec::new()
}

fn key(plain: &Plain, clients: &[tls::Client]) -> PoolKey {
    let client = |which: Option<usize>| which.map(|which| clients[which].clone());
    let (host, port, tls) = (plain.host, plain.port, client(plain.tls));
    let Some(route) = &plain.route else {
        return PoolKey::for_server(host, port, tls, plain.server_name);
    };
    let bytes = |text: &str| Box::from(text.as_bytes());
    let via = match route.via {
        PlainVia::Forward => Via::Forward,
        PlainVia::Connect(list, login) => {
            let mut fields = Fields::default();
            for (name, value) in list {
                fields.append_static(name, value);
            }
            Via::Connect { fields, login }
        }
        PlainVia::Socks4(user, remote_dns) => Via::Socks4 {
            user: bytes(user),
            remote_dns,
        },
        PlainVia::Socks5(login, remote_dns) => Via::Socks5 {
            login: login.map(|(user, password)| (bytes(user), bytes(password))),
            remote_dns,
        },
    };
    let route = Route::new(route.host, route.port, client(route.tls), via);
    PoolKey::routed(host, port, tls, plain.server_name, route)
}

/// What may share a connection, said once more in plain words.
fn shares(one: &Plain, two: &Plain) -> bool {
    let forwards = |plain: &Plain| {
        let route = plain.route.as_ref();
        route.is_some_and(|route| route.via == PlainVia::Forward)
    };
    if forwards(one) || forwards(two) {
        // The proxy's own connection serves every origin.
        return one.route == two.route;
    }
    // Where no server proves a name, none is asked for.
    let name = |plain: &Plain| plain.server_name.filter(|_| plain.tls.is_some());
    one.host == two.host
        && one.port == two.port
        && one.tls == two.tls
        && name(one) == name(two)
        && one.route == two.route
}

fn hash(key: &PoolKey) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}

#[test]
fn keys_are_equal_in_every_field_or_not_at_all() {
    // SPEC P1
    let clients = clients();
    let mut dice = Dice(7);
    let (mut equal, mut different) = (0, 0);
    for _ in 0..20_000 {
        let one = plain(&mut dice);
        let two = match dice.below(2) {
            0 => plain(&mut dice),
            _ => neighbour(&one, &mut dice),
        };
        // Made apart, so that no pointer is the same.
        let (first, second) = (key(&one, &clients), key(&two, &clients));
        let expected = shares(&one, &two);
        assert_eq!(first == second, expected, "{one:?}\n{two:?}");
        assert_eq!(second == first, expected);
        if expected {
            assert_eq!(hash(&first), hash(&second));
            assert!(Key::host(&first) == Key::host(&second));
            equal += 1;
        } else {
            different += 1;
        }
        assert!(first == first.clone());
    }
    assert!(equal > 1000 && different > 1000, "{equal} and {different}");
}

/// `limit_per_host` counts by whom a request is for, however it gets there, and
/// what goes to a proxy itself by the proxy.
#[test]
fn limits_count_by_origin() {
    // SPEC C4
    let straight = PoolKey::new("a.test", 80, None);
    let by = |via| {
        let route = Route::new("p.test", 3128, None, via);
        PoolKey::routed("a.test", 80, None, None, route)
    };
    let tunnel = by(Via::Connect {
        fields: Fields::default(),
        login: None,
    });
    assert!(Key::host(&straight) == Key::host(&tunnel) && straight != tunnel);
    assert_eq!(
        (straight.hop(), tunnel.hop()),
        (("a.test", 80), ("p.test", 3128))
    );
    let forward = by(Via::Forward);
    assert_eq!((forward.host(), forward.port()), ("p.test", 3128));
    let itself = PoolKey::new("p.test", 3128, None);
    assert!(Key::host(&forward) == Key::host(&itself) && forward != itself);
}

/// Nothing that is secret is printed.
#[test]
fn routes_print_no_secrets() {
    // SPEC X5
    let mut fields = Fields::default();
    fields.append_static("proxy-authorization", "Basic c2VjcmV0");
    let vias = [
        Via::Connect {
            fields,
            login: Some(77_777),
        },
        Via::Socks4 {
            user: Box::from(&b"secret"[..]),
            remote_dns: true,
        },
        Via::Socks5 {
            login: Some((Box::from(&b"user"[..]), Box::from(&b"secret"[..]))),
            remote_dns: false,
        },
    ];
    for via in vias {
        let route = Route::new("p.test", 1, None, via.clone());
        for text in [format!("{via:?}"), format!("{route:?}")] {
            let found = ["secret", "c2Vj", "77777", "user"];
            assert!(found.iter().all(|secret| !text.contains(secret)), "{text}");
        }
    }
}
