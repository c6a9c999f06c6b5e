//! The resolver that asks name servers itself: what it asks, whom, how often,
//! and what it makes of the answers, good and bad. Each name server here is a
//! script on loopback.
#![cfg(feature = "hickory-dns")]

mod support;

#[path = "hickory/bad_servers.rs"]
mod bad_servers;
#[path = "hickory/files.rs"]
mod files;
#[path = "hickory/load.rs"]
mod load;

use std::error::Error as _;
use std::net::{Ipv6Addr, SocketAddr};
use std::time::Duration;

use miohttp::{
    Connector, ConnectorBuilder, Error, HickoryResolver, HickoryResolverBuilder, IpFamily, Kind,
    Phase, Session,
};
use support::dns::{A, AAAA, Asked, NXDOMAIN, NameServer, SERVFAIL};
use support::{Peer, WATCHDOG, ok};

/// Where the peers are.
const HERE: [u8; 4] = [127, 0, 0, 1];

/// A resolver that goes by nothing of this machine's.
fn asking<'a>(servers: impl IntoIterator<Item = &'a NameServer>) -> HickoryResolverBuilder {
    let addresses: Vec<SocketAddr> = servers.into_iter().map(NameServer::address).collect();
    HickoryResolver::builder()
        .name_servers(addresses)
        .resolv_conf("/nonexistent/resolv.conf")
        .hosts_file("/nonexistent/hosts")
        .timeout(WATCHDOG / 2)
}

fn session(resolver: HickoryResolver) -> Session {
    session_by(Connector::builder().resolver(resolver))
}

fn session_by(connector: ConnectorBuilder) -> Session {
    let builder = Session::builder().connector(connector.build());
    builder.timeout(WATCHDOG).build()
}

fn hello() -> Peer {
    Peer::serve(|_| ok("hello"))
}

/// Gets `host` from a peer, by name.
fn get(session: &Session, peer: &Peer, host: &str) -> Result<String, Error> {
    let url = format!("http://{host}:{}/", peer.port());
    session.get(url).send()?.text()
}

#[track_caller]
fn passes(session: &Session, peer: &Peer, host: &str) {
    match get(session, peer, host) {
        Ok(text) => assert_eq!(text, "hello"),
        Err(error) => panic!("{host}: {error:#}"),
    }
}

/// The cause of a failed lookup, as it is told.
#[track_caller]
fn fails(session: &Session, peer: &Peer, host: &str) -> String {
    let error = get(session, peer, host).expect_err(host);
    assert_eq!(
        (error.kind(), error.phase()),
        (Kind::Dns, Some(Phase::Dns)),
        "{error:#}"
    );
    let cause = error.source().expect("a cause");
    let deepest = cause.source().map(|deeper| format!(": {deeper}"));
    format!("{cause}{}", deepest.unwrap_or_default())
}

fn kinds(asked: &[Asked]) -> Vec<u16> {
    let mut kinds: Vec<u16> = asked.iter().map(|asked| asked.kind).collect();
    kinds.sort_unstable();
    kinds
}

#[test]
fn both_families_are_asked_for_and_the_wanted_one_alone() {
    // SPEC C24, C25
    for (family, expected) in [
        (IpFamily::Any, &[A, AAAA][..]),
        (IpFamily::V4, &[A][..]),
        (IpFamily::V6, &[AAAA][..]),
    ] {
        let server = NameServer::start(|asked| asked.v4(HERE).bytes());
        let peer = hello();
        let resolver = asking([&server]).build();
        let session = session_by(Connector::builder().resolver(resolver).ip_family(family));
        match family {
            IpFamily::V6 => {
                let why = fails(&session, &peer, "one.test");
                assert_eq!(why, "the host has no address of the wanted family");
            }
            _ => passes(&session, &peer, "one.test"),
        }
        assert_eq!(kinds(&server.asked()), expected);
    }
}

#[test]
fn the_first_family_is_connected_to_while_the_other_is_silent() {
    // SPEC C24, C27
    let server = NameServer::start(|asked| match asked.kind {
        A => Some(asked.v4(HERE).bytes()),
        _ => None,
    });
    let peer = hello();
    // Were both waited for, the request's own limit would pass first.
    let resolver = asking([&server]).timeout(2 * WATCHDOG).build();
    passes(&session(resolver), &peer, "half.test");
}

#[test]
fn a_family_that_fails_hides_nothing() {
    // SPEC C24: nor is it taken for a denial.
    let peer = hello();
    let server = NameServer::start(|asked| match asked.kind {
        A => asked.v4(HERE).bytes(),
        _ => asked.reply().rcode(SERVFAIL).bytes(),
    });
    passes(&session(asking([&server]).build()), &peer, "v4.test");
    let server = NameServer::start(|asked| match asked.kind {
        A => asked.reply().rcode(SERVFAIL).bytes(),
        _ => asked.reply().soa(300).bytes(),
    });
    let why = fails(&session(asking([&server]).build()), &peer, "none.test");
    assert_eq!(
        why,
        format!(
            "the name lookup failed: {}: it answers: Server Failure",
            server.address()
        )
    );
    // All attempts, for the one family that failed.
    assert_eq!(kinds(&server.asked()), [A, A, AAAA]);
}

#[test]
fn denials_are_told_from_failures() {
    // SPEC C24
    let peer = hello();
    let server = NameServer::start(|asked| match &*asked.name {
        "none.test" => asked.reply().rcode(NXDOMAIN).soa(300).bytes(),
        "mail.test" => asked.reply().soa(300).bytes(),
        _ => asked.reply().rcode(SERVFAIL).bytes(),
    });
    let session = session(asking([&server]).build());
    for (host, expected) in [
        ("none.test", "the host name does not exist"),
        ("mail.test", "the host has no address of the wanted family"),
    ] {
        assert_eq!(fails(&session, &peer, host), expected);
        assert_eq!(server.count(host), 2, "a denial needs no second attempt");
    }
    let why = fails(&session, &peer, "ill.test");
    assert!(why.starts_with("the name lookup failed: "), "{why}");
    assert_eq!(server.count("ill.test"), 4, "two attempts for each family");
}

#[test]
fn what_is_no_name_is_asked_of_nobody() {
    let server = NameServer::silent();
    let peer = hello();
    let session = session(asking([&server]).build());
    let long = format!("{}.test", "x".repeat(64));
    for host in ["domain..test", &long] {
        let why = fails(&session, &peer, host);
        assert!(why.contains("not a DNS name"), "{why}");
    }
    // Names that RFC 7686 and RFC 6761 keep from name servers.
    for host in ["secret.onion", "any.invalid"] {
        let why = fails(&session, &peer, host);
        assert_eq!(why, "the host name does not exist", "{host}");
    }
    assert!(server.asked().is_empty(), "{:?}", server.asked());
}

#[test]
fn aliases_are_followed() {
    // SPEC C24
    let server = NameServer::start(|asked| {
        let reply = asked.reply();
        match (&*asked.name, asked.kind) {
            // A recursive server tells the whole chain.
            ("www.test", A) => reply
                .cname("www.test", "cdn.test", 300)
                .cname("cdn.test", "edge.test", 300)
                .record("edge.test", A, 300, HERE.to_vec())
                // And what nobody asked for: an alias and an address of others.
                .cname("stray.test", "other.test", 300)
                .record("other.test", A, 300, vec![127, 0, 0, 9]),
            ("edge.test", A) => reply.a(HERE, 300),
            // This one leaves the rest to the client.
            ("lazy.test", A) => reply.cname("lazy.test", "www.test", 300),
            _ => reply.soa(300),
        }
        .bytes()
    });
    let peer = hello();
    let session = session(asking([&server]).build());
    passes(&session, &peer, "www.test");
    passes(&session, &peer, "lazy.test");
    for host in ["www.test", "lazy.test"] {
        let address = SocketAddr::from((HERE, peer.port()));
        assert_eq!(known(&session, host), [address], "{host}");
    }
}

/// The addresses that the connector knows of a host, once all have come.
#[track_caller]
fn known(session: &Session, host: &str) -> Vec<SocketAddr> {
    let start = std::time::Instant::now();
    loop {
        let cached = session.connector().cached_hosts().unwrap();
        if let Some(found) = cached.iter().find(|cached| cached.host() == host) {
            return found.addresses().to_vec();
        }
        assert!(start.elapsed() < WATCHDOG, "{host} is not known");
        std::thread::yield_now();
    }
}

#[test]
fn cut_off_answers_are_asked_for_over_tcp() {
    // SPEC C24
    let server = NameServer::start(|asked| match (asked.tcp, asked.kind) {
        (false, _) => asked.reply().truncated().bytes(),
        (true, A) => {
            // Beyond any datagram, and beyond the addresses that are taken.
            let mut reply = asked.reply().a(HERE, 300);
            for n in 0..2000_u16 {
                let [high, low] = n.to_be_bytes();
                reply = reply.a([127, 1, high, low], 300);
            }
            reply.bytes()
        }
        (true, _) => asked.reply().soa(300).bytes(),
    });
    let peer = hello();
    passes(&session(asking([&server]).build()), &peer, "big.test");
    let asked = server.asked();
    assert_eq!(asked.iter().filter(|asked| asked.tcp).count(), 2);
    assert_eq!(asked.len(), 4);
}

#[test]
fn times_to_live_are_heeded() {
    // SPEC C22: the records' own, or the connector's if that is shorter.
    let server = NameServer::start(|asked| {
        let ttl = match &*asked.name {
            "brief.test" => 0,
            _ => 300,
        };
        match asked.kind {
            A => asked.reply().a(HERE, ttl).bytes(),
            _ => asked.reply().soa(300).bytes(),
        }
    });
    let peer = Peer::serve(|_| support::response("200 OK", &[("connection", "close")], "hello"));
    let resolver = asking([&server]).build();
    let connector = Connector::builder().resolver(resolver).dns_ttl(WATCHDOG);
    let session = session_by(connector);
    for _ in 0..3 {
        passes(&session, &peer, "brief.test");
        passes(&session, &peer, "lasting.test");
    }
    assert_eq!(server.count("brief.test"), 6);
    assert_eq!(server.count("lasting.test"), 2);
}

#[test]
fn denials_are_kept_as_long_as_the_zone_says() {
    // SPEC C22: where the program wants them kept at all.
    let server = NameServer::start(|asked| {
        let reply = asked.reply();
        match &*asked.name {
            "none.test" => reply.rcode(NXDOMAIN).soa(300),
            "mail.test" => reply.soa(300),
            "now.test" => reply.rcode(NXDOMAIN).soa(0),
            // No zone has said so.
            "hearsay.test" => reply.rcode(NXDOMAIN),
            _ => reply.rcode(SERVFAIL),
        }
        .bytes()
    });
    let peer = hello();
    let resolver = asking([&server]).attempts(1).build();
    let connector = Connector::builder().resolver(resolver);
    let session = session_by(connector.dns_negative_ttl(WATCHDOG));
    for (host, asked) in [
        ("none.test", 2),
        ("mail.test", 2),
        ("now.test", 4),
        ("hearsay.test", 4),
        ("ill.test", 4),
    ] {
        let first = fails(&session, &peer, host);
        assert_eq!(fails(&session, &peer, host), first);
        assert_eq!(server.count(host), asked, "{host}");
    }
}

#[test]
fn nothing_is_kept_but_in_the_cache_of_the_connector() {
    // SPEC C22, C23: hickory's own cache is off.
    let server = NameServer::start(|asked| match &*asked.name {
        "none.test" => asked.reply().rcode(NXDOMAIN).soa(300).bytes(),
        _ => asked.v4(HERE).bytes(),
    });
    let peer = Peer::serve(|_| support::response("200 OK", &[("connection", "close")], "hello"));
    let resolver = asking([&server]).build();
    let session = session_by(Connector::builder().resolver(resolver).dns_cache(false));
    for _ in 0..3 {
        passes(&session, &peer, "one.test");
        fails(&session, &peer, "none.test");
    }
    assert_eq!(server.count("one.test"), 6);
    assert_eq!(server.count("none.test"), 6);
}

#[test]
fn questions_differ_in_id_and_port() {
    let server = NameServer::start(|asked| asked.v4(HERE).bytes());
    let peer = hello();
    let session = session(asking([&server]).build());
    for n in 0..8 {
        passes(&session, &peer, &format!("n{n}.test"));
    }
    let asked = server.asked();
    assert_eq!(asked.len(), 16);
    let mut ids: Vec<u16> = asked.iter().map(|asked| asked.id).collect();
    ids.sort_unstable();
    ids.dedup();
    let mut ports: Vec<u16> = asked.iter().map(|asked| asked.from.port()).collect();
    ports.sort_unstable();
    ports.dedup();
    // By chance some may be alike; of a counter or a fixed port many would be.
    assert!(ids.len() >= 14 && ports.len() >= 14, "{ids:?} {ports:?}");
    let steps = ids.windows(2).filter(|pair| pair[0] + 1 == pair[1]).count();
    assert!(steps < 4, "{ids:?}");
}

#[test]
fn an_ipv6_server_is_asked_too() {
    let Ok(socket) = std::net::UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)) else {
        return println!("SKIPPED: no IPv6 here");
    };
    let address = socket.local_addr().unwrap();
    let resolver = HickoryResolver::builder()
        .name_servers([address])
        .resolv_conf("/nonexistent")
        .hosts_file("/nonexistent")
        .build();
    let session = session(resolver);
    let pending = session.get("http://six.test/").start_send();
    socket.set_read_timeout(Some(WATCHDOG)).unwrap();
    let mut buffer = [0; 512];
    let (length, _) = socket.recv_from(&mut buffer).expect("a question");
    assert!(
        buffer[..length]
            .windows(5)
            .any(|bytes| bytes == b"\x03six\x04")
    );
    drop(pending);
}

/// Long enough to tell a limit that works from one that does not.
const LATE: Duration = Duration::from_secs(10);
