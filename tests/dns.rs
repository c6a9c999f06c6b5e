//! Names and addresses: where a program may say itself where a host is, what is
//! remembered, and what the address filter keeps out.

mod support;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use miohttp::{
    AddressFilter, Answer, Connector, ConnectorBuilder, Error, IpFamily, Kind, Phase, Proxy, Query,
    Resolve, RetryPolicy, Session, Timeout, Timeouts,
};
use support::{Gate, Peer, enter, ok, response};

/// Answers by a function, and counts the questions.
struct Asked<F>(F, Arc<AtomicUsize>);

impl<F: Fn(&Query, Answer) + Send + Sync> Resolve for Asked<F> {
    fn resolve(&self, query: &Query, answer: Answer) {
        self.1.fetch_add(1, Ordering::SeqCst);
        (self.0)(query, answer);
    }
}

type Count = Arc<AtomicUsize>;

/// Each request on a new connection, by a resolver that counts.
fn asking(resolve: impl Fn(&Query, Answer) + Send + Sync + 'static) -> (ConnectorBuilder, Count) {
    let count = Count::default();
    let resolver = Asked(resolve, count.clone());
    let builder = Connector::builder().force_close(true).resolver(resolver);
    (builder, count)
}

fn asked(count: &Count) -> usize {
    count.load(Ordering::SeqCst)
}

fn nobody() -> ConnectorBuilder {
    asking(|query, _| panic!("{} was looked up", query.host())).0
}

fn session(connector: &Connector) -> Session {
    let builder = Session::builder().connector(connector.clone());
    builder.timeout(support::WATCHDOG / 2).build()
}

/// By either driver.
fn get(session: &Session, url: &str) -> [Result<String, Error>; 2] {
    let sent = session.get(url).send();
    let started = session.get(url).start_send().wait();
    [sent, started].map(|response| response?.text())
}

#[track_caller]
fn gets(session: &Session, url: &str, body: &str) {
    for result in get(session, url) {
        match result {
            Ok(text) => assert_eq!(text, body, "{url}"),
            Err(error) => panic!("{url}: {error:#}"),
        }
    }
}

#[track_caller]
fn fails(session: &Session, url: &str, kind: Kind) {
    for result in get(session, url) {
        let error = result.expect_err(url);
        assert_eq!(error.kind(), kind, "{url}: {error:#}");
    }
}

/// Every spelling of this machine that a URL can have.
#[test]
fn no_spelling_passes_the_filter() {
    // SPEC Q2: canonicalised by the URL Standard, and the filter judges the
    // result.
    let peer = Peer::serve(|_| ok("secret"));
    for drives in [true, false] {
        let connector = nobody()
            .caller_drives(drives)
            .address_filter(AddressFilter::public_only())
            .build();
        let session = session(&connector);
        for host in [
            "127.0.0.1",
            "127.1",
            "127.0.1",
            "2130706433",
            "0x7f000001",
            "0x7f.1",
            "0x7F.0x0.0x0.0x1",
            "017700000001",
            "0177.0.0.01",
            "%31%32%37.0.0.1",
            "１２７.0.0.1",
            "127。0。0。1",
            "127.0.0.1.",
            "0",
            "0.0.0.0",
            "127.255.255.254",
            "[::1]",
            "[0:0:0:0:0:0:0:1]",
            "[::]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[::127.0.0.1]",
            "[64:ff9b::7f00:1]",
            "[2002:7f00:1::]",
            "localhost",
            "LOCALHOST",
            "localhost.",
            "x.localhost",
            "user@127.0.0.1",
            "10.0.0.1",
            "192.168.1.1",
            "172.31.0.1",
            "169.254.169.254",
            "2852039166",
            "100.64.0.1",
            "255.255.255.255",
            "224.0.0.1",
            "[fe80::1]",
            "[fd00:ec2::254]",
            "[ff02::1]",
        ] {
            let url = format!("http://{host}:{}/", peer.port());
            for result in get(&session, &url) {
                let error = result.expect_err(host);
                assert_eq!(error.kind(), Kind::Blocked, "{host}: {error:#}");
                assert_eq!(error.phase(), Some(Phase::Connect));
                assert!(error.is_connect() && !error.is_retryable(), "{host}");
                assert!(!error.is_timeout() && error.peer().is_none());
            }
        }
        assert_eq!(connector.stats().in_use, 0);
    }
    assert_eq!(peer.connections(), 0);
}

#[test]
fn what_a_name_leads_to_is_judged() {
    // SPEC Q2, C24: after resolution, each address by itself.
    let peer = Peer::serve(|_| ok("public"));
    let (builder, count) = asking(|query, answer| match query.host() {
        "inside.test" => answer.addresses(["127.0.0.2", "::1", "10.0.0.1"].map(ip)),
        "mixed.test" => answer.addresses(["127.0.0.2", "127.0.0.1", "::1"].map(ip)),
        // What reaches this machine under another name.
        _ => answer.addresses(["0.0.0.0", "::", "::ffff:127.0.0.2"].map(ip)),
    });
    let filter = AddressFilter::none().allow("127.0.0.1/32");
    let session = session(&builder.address_filter(filter).build());
    fails(&session, &peer.url_for("inside.test", "/"), Kind::Blocked);
    fails(&session, &peer.url_for("zero.test", "/"), Kind::Blocked);
    gets(&session, &peer.url_for("mixed.test", "/"), "public");
    gets(&session, &peer.url("/"), "public");
    // What was refused is remembered like any other answer.
    assert_eq!((asked(&count), peer.connections()), (3, 4));
}

#[test]
fn every_hop_of_a_redirect_is_judged() {
    // SPEC Q2, D9.
    let peer = Peer::serve(|request| match request.target.strip_prefix("/to/") {
        Some(host) => response("302 Found", &[("Location", &format!("http://{host}/"))], ""),
        None => ok("here"),
    });
    let connector = nobody()
        .address_filter(AddressFilter::all().deny("127.0.0.2, 10.0.0.0/8, ::1"))
        .build();
    let session = session(&connector);
    for host in [
        "127.0.0.2",
        "0x7f.2",
        "2130706434",
        "10.1",
        "[::1]",
        "[::ffff:7f00:2]",
    ] {
        for start in [false, true] {
            let request = session.get(peer.url(&format!("/to/{host}:1")));
            let sent = match start {
                false => request.send(),
                true => request.start_send().wait(),
            };
            let error = sent.expect_err(host);
            assert_eq!(error.kind(), Kind::Blocked, "{host}: {error:#}");
            assert_eq!(error.history().len(), 1);
            assert!(error.url().is_some_and(|url| url.port() == Some(1)));
        }
    }
    gets(
        &session,
        &peer.url(&format!("/to/{}", peer.address())),
        "here",
    );
}

/// A proxy is the program's own word; what it is asked for is not.
#[test]
fn a_proxy_is_asked_for_nothing_that_is_refused() {
    // SPEC Q2, D9: on each hop, also over a connection that stands.
    let gate = Peer::start(|conn| {
        while let Some(request) = conn.next_request()? {
            match (request.method.as_str(), request.target.rsplit_once("/to/")) {
                ("CONNECT", _) => conn.write("HTTP/1.1 200 OK\r\n\r\n")?,
                (_, Some((_, host))) => {
                    let location = format!("http://{host}/");
                    conn.write(response("302 Found", &[("Location", &location)], ""))?;
                }
                _ => conn.write(ok("here"))?,
            }
        }
        Ok(())
    });
    for tunnel in [false, true] {
        let proxy = Proxy::all(format!("http://{}", gate.address())).unwrap();
        let connector = nobody()
            .force_close(false)
            .address_filter(AddressFilter::public_only())
            .build();
        let builder = Session::builder().connector(connector);
        let session = builder.proxy(proxy.tunnel(tunnel)).build();
        gets(&session, "http://a.test/", "here");
        gets(&session, "http://8.8.8.8/to/b.test", "here");
        let before = gate.request_count();
        for host in [
            "10.0.0.1",
            "0x7f.1",
            "[::ffff:10.0.0.1]",
            "localhost",
            "x.localhost",
        ] {
            fails(&session, &format!("http://{host}/"), Kind::Blocked);
        }
        assert_eq!(gate.request_count(), before);
        for result in get(&session, "http://a.test/to/169.254.169.254") {
            let error = result.unwrap_err();
            assert_eq!((error.kind(), error.history().len()), (Kind::Blocked, 1));
        }
        assert_eq!(gate.request_count(), before + 2, "the redirect alone");
    }
}

/// What the filter refused once it refuses again.
#[test]
fn a_refusal_is_not_tried_again() {
    let (builder, count) = asking(|_, answer| answer.addresses([ip("10.0.0.1")]));
    let connector = builder
        .dns_cache(false)
        .address_filter(AddressFilter::public_only())
        .build();
    let policy = RetryPolicy::new()
        .attempts(5)
        .backoff(Duration::ZERO, Duration::ZERO);
    let session = Session::builder()
        .connector(connector)
        .retry(policy)
        .build();
    let error = session.get("http://inside.test/").send().unwrap_err();
    assert_eq!((error.kind(), asked(&count)), (Kind::Blocked, 1));
}

/// A guard or an override that was misspelt is told before anything is sent.
#[test]
fn mistakes_come_out_at_the_verb() {
    let peer = Peer::serve(|_| ok("open"));
    let filter = |text: &str| {
        let filter = AddressFilter::all().allow(text);
        Connector::builder().address_filter(filter)
    };
    let host = |text: &str| Connector::builder().host_override(text, None, []);
    for (builder, text) in [
        (filter("10.0.0.0/33"), "10.0.0.0/33"),
        (filter("example.com"), "example.com"),
        (host("a b"), "a b"),
        (host("http://a.test/"), "http://a.test/"),
        (host(""), "\"\""),
    ] {
        let session = session(&builder.build());
        for result in get(&session, &peer.url("/")) {
            let error = result.expect_err(text);
            assert_eq!(error.kind(), Kind::InvalidRequest, "{text}: {error:#}");
            assert!(format!("{error:#}").contains(text), "{error:#}");
        }
    }
    assert_eq!(peer.connections(), 0);
}

#[test]
fn a_program_says_where_a_host_is() {
    // SPEC C24: `Host` and the URL stay, literals and localhost included.
    let peer = Peer::serve(|request| ok(request.header("host").unwrap_or("none")));
    let here = peer.address();
    for drives in [true, false] {
        let connector = nobody()
            .caller_drives(drives)
            .host_override("www1.Example.com.", 8081, [here])
            .host_override("10.0.0.1", 8081, [here])
            .host_override("[fc00::1]", 8081, [here])
            .host_override("localhost", 8082, [here])
            .host_override("domain..test", None, [here])
            .host_override("*", 8083, [here])
            .host_override("portless.test", None, [SocketAddr::new(here.ip(), 0)])
            .host_override("gone.test", None, [])
            // What the program says itself is not judged.
            .address_filter(AddressFilter::public_only())
            .build();
        let session = session(&connector);
        for host in [
            "www1.example.com:8081",
            "www1.example.com.:8081",
            "10.0.0.1:8081",
            "[fc00::1]:8081",
            "localhost:8082",
            "domain..test",
            "any.test:8083",
            "127.0.0.1:8083",
            &format!("portless.test:{}", here.port()),
        ] {
            gets(&session, &format!("http://{host}/"), host);
        }
        let response = session.get("http://domain..test/").send().unwrap();
        assert_eq!(response.remote_addr(), Some(here));
        fails(&session, "http://gone.test/", Kind::Dns);
        fails(&session, "http://10.0.0.1:8082/", Kind::Blocked);
        assert_eq!(connector.cached_hosts().unwrap(), []);
    }
}

#[test]
fn an_override_keeps_to_the_family() {
    // SPEC C25.
    let peer = Peer::serve(|_| ok("here"));
    let both = [SocketAddr::from((Ipv6Addr::LOCALHOST, 1)), peer.address()];
    for (family, kind) in [
        (IpFamily::V4, None),
        (IpFamily::Any, None),
        (IpFamily::V6, Some(Kind::Connect)),
    ] {
        let builder = nobody().ip_family(family);
        let session = session(&builder.host_override("a.test", None, both).build());
        match kind {
            None => gets(&session, "http://a.test/", "here"),
            Some(kind) => fails(&session, "http://a.test/", kind),
        }
    }
}

#[cfg(feature = "tls")]
#[test]
fn an_override_changes_no_name_that_tls_verifies() {
    use support::TlsOptions;
    use support::tls::ca_pem;

    let peer = Peer::serve_tls(TlsOptions::default(), |_| ok("secure"));
    let tls = miohttp::TlsConfig::new()
        .add_root_pem(ca_pem().as_bytes())
        .unwrap();
    let connector = nobody()
        .tls(tls)
        .host_override("localhost", 443, [peer.address()])
        .host_override("other.test", 443, [peer.address()])
        .build();
    let session = session(&connector);
    gets(&session, "https://localhost/", "secure");
    fails(&session, "https://other.test/", Kind::Certificate);
}

#[test]
fn localhost_is_this_machine_by_any_name() {
    // SPEC C24: RFC 6761, section 6.3, and no resolver is asked.
    let peer = Peer::serve(|_| ok("here"));
    let session = session(&nobody().build());
    for host in [
        "localhost",
        "LocalHost",
        "localhost.",
        "app.localhost",
        "a.b.LOCALHOST.",
    ] {
        gets(&session, &peer.url_for(host, "/"), "here");
    }
}

#[test]
fn what_is_remembered_can_be_seen_and_forgotten() {
    // SPEC C22, C23.
    let peer = Peer::serve(|_| ok("here"));
    let (builder, count) = asking(|query, mut answer| match query.host() {
        "brief.test" => {
            answer.valid_for(Duration::ZERO);
            answer.addresses([ip("127.0.0.1")]);
        }
        "gone.test" => answer.not_found(),
        _ => answer.addresses(["127.0.0.1", "127.0.0.1"].map(ip)),
    });
    let connector = builder.dns_ttl(Duration::from_secs(600)).build();
    assert_eq!(
        connector.cached_hosts().unwrap(),
        [],
        "nothing was asked yet"
    );
    let session = session(&connector);
    for host in ["b.test", "A.test", "brief.test"] {
        gets(&session, &peer.url_for(host, "/"), "here");
    }
    fails(&session, &peer.url_for("gone.test", "/"), Kind::Dns);
    // Two for each that is not remembered: see `get`.
    assert_eq!(asked(&count), 2 + 2 * 2);
    let hosts = connector.cached_hosts().unwrap();
    let names: Vec<_> = hosts.iter().map(|host| host.host()).collect();
    assert_eq!(names, ["a.test", "b.test"]);
    for host in &hosts {
        assert_eq!((host.port(), host.family()), (peer.port(), IpFamily::Any));
        assert_eq!(host.addresses(), [peer.address()]);
        let left = host.expires_in().unwrap();
        assert!(left <= Duration::from_secs(600) && left > Duration::from_secs(60));
        assert!(!host.is_stale());
    }
    connector.clear_dns(Some(("B.test", peer.port())));
    connector.clear_dns(Some(("a.test", 1)));
    let hosts = connector.cached_hosts().unwrap();
    assert_eq!((hosts.len(), hosts[0].host()), (1, "a.test"));
    connector.clear_dns(None);
    assert_eq!(connector.cached_hosts().unwrap(), []);
    gets(&session, &peer.url_for("a.test", "/"), "here");
    connector.close();
    assert_eq!(connector.cached_hosts().unwrap(), [], "closed");
}

#[test]
fn how_much_is_remembered() {
    // SPEC C22, C30.
    let peer = Peer::serve(|_| ok("here"));
    let ask = |adapt: fn(ConnectorBuilder) -> ConnectorBuilder| {
        let (builder, count) = asking(|query, answer| match query.host() {
            "gone.test" => answer.not_found(),
            "down.test" => answer.fail("no route"),
            _ => answer.addresses([ip("127.0.0.1")]),
        });
        let connector = adapt(builder).build();
        let session = session(&connector);
        for host in ["a.test", "b.test", "gone.test", "down.test", "a.test"] {
            let _ = session.get(peer.url_for(host, "/")).send();
        }
        for host in ["gone.test", "down.test"] {
            let error = session.get(peer.url_for(host, "/")).send().unwrap_err();
            assert_eq!(error.kind(), Kind::Dns);
        }
        (
            asked(&count),
            connector.cached_hosts().unwrap().len(),
            connector,
        )
    };
    let (count, kept, connector) = ask(|builder| builder);
    assert_eq!((count, kept), (6, 2));
    assert!(connector.dns_cache());
    assert_eq!(connector.dns_cache_size(), 1000);
    assert_eq!(connector.dns_ttl(), Some(Duration::from_secs(10)));
    assert_eq!(connector.dns_negative_ttl(), Duration::ZERO);
    assert_eq!(connector.dns_stale_on_error(), Duration::ZERO);
    assert_eq!(connector.ip_family(), IpFamily::Any);
    assert_eq!(connector.happy_eyeballs(), Some(Duration::from_millis(250)));
    assert_eq!(connector.address_filter(), None);

    let (count, kept, connector) = ask(|builder| builder.dns_cache(false));
    assert_eq!((count, kept, connector.dns_cache()), (7, 0, false));
    let (count, kept, connector) = ask(|builder| builder.dns_cache_size(1));
    assert_eq!((count, kept, connector.dns_cache_size()), (7, 1, 1));
    let (count, kept, connector) = ask(|builder| builder.dns_ttl(Duration::ZERO));
    assert_eq!((count, kept), (7, 0));
    assert_eq!(connector.dns_ttl(), Some(Duration::ZERO));
    let minute = Duration::from_secs(60);
    let (count, kept, connector) = ask(|builder| {
        let filter = AddressFilter::all();
        builder
            .dns_negative_ttl(Duration::from_secs(60))
            .dns_stale_on_error(Duration::from_secs(60))
            .ip_family(IpFamily::V4)
            .happy_eyeballs(None)
            .address_filter(filter)
    });
    assert_eq!((count, kept), (5, 3));
    assert_eq!(connector.dns_negative_ttl(), minute);
    assert_eq!(connector.dns_stale_on_error(), minute);
    assert_eq!(connector.ip_family(), IpFamily::V4);
    assert_eq!(connector.happy_eyeballs(), None);
    assert_eq!(connector.address_filter(), Some(&AddressFilter::all()));
}

#[test]
fn old_addresses_serve_while_lookups_fail() {
    // SPEC C22: where the program asks for it.
    let peer = Peer::serve(|_| ok("here"));
    for stale in [Duration::ZERO, Duration::from_secs(60)] {
        let first = AtomicUsize::new(0);
        let (builder, count) = asking(move |_, mut answer| {
            answer.valid_for(Duration::ZERO);
            match first.fetch_add(1, Ordering::SeqCst) {
                0 => answer.addresses([ip("127.0.0.1")]),
                _ => answer.fail("no route"),
            }
        });
        let connector = builder.dns_stale_on_error(stale).build();
        let session = session(&connector);
        let url = peer.url_for("a.test", "/");
        session.get(&url).send().unwrap();
        match stale.is_zero() {
            true => fails(&session, &url, Kind::Dns),
            false => {
                gets(&session, &url, "here");
                let hosts = connector.cached_hosts().unwrap();
                assert!(hosts[0].is_stale());
                assert!(hosts[0].expires_in() <= Some(Duration::from_secs(30)));
                assert_eq!(asked(&count), 2, "spared for a while");
            }
        }
    }
}

/// What comes too late for its request is there for the next.
#[test]
fn an_answer_after_the_deadline_is_kept() {
    // SPEC C22, T6.
    let peer = Peer::serve(|_| ok("here"));
    let late: Arc<Mutex<Vec<Answer>>> = Arc::default();
    let answers = late.clone();
    let (builder, count) = asking(move |_, answer| enter(&answers).push(answer));
    let connector = builder.build();
    let session = session(&connector);
    let url = peer.url_for("late.test", "/");
    let limits = Timeouts::new().dns(Duration::from_millis(100));
    let error = session.get(&url).timeouts(limits).send().unwrap_err();
    assert_eq!(error.timeout(), Some(Timeout::Dns));
    assert_eq!(error.phase(), Some(Phase::Dns));
    let answer = enter(&late).pop().unwrap();
    answer.addresses([ip("127.0.0.1")]);
    gets(&session, &url, "here");
    assert_eq!(asked(&count), 1);
}

/// A resolver may say anything.
#[test]
fn garbage_is_left_out() {
    // SPEC C24.
    let peer = Peer::serve(|_| ok("here"));
    let (builder, _) = asking(|query, answer| {
        let garbage = ["0.0.0.0", "::", "255.255.255.255", "224.0.0.1", "ff02::1"].map(ip);
        let here = Ipv4Addr::LOCALHOST;
        let many = (0..10_000u32).map(|n| IpAddr::from(Ipv4Addr::from_bits(0x7f01_0000 + n)));
        match query.host() {
            "garbage.test" => answer.addresses(garbage),
            "some.test" => answer.addresses(garbage.into_iter().chain([here.into()])),
            "mapped.test" => answer.addresses([here.to_ipv6_mapped().into(), here.into()]),
            "many.test" => answer.addresses([IpAddr::from(here)].into_iter().chain(many)),
            _ => answer.addresses(std::iter::repeat(IpAddr::from([0; 4]))),
        }
    });
    let connector = builder.ip_family(IpFamily::V4).build();
    let session = session(&connector);
    for host in ["garbage.test", "endless.test"] {
        fails(&session, &peer.url_for(host, "/"), Kind::Dns);
    }
    for host in ["some.test", "mapped.test", "many.test"] {
        gets(&session, &peer.url_for(host, "/"), "here");
    }
    let hosts = connector.cached_hosts().unwrap();
    let sizes: Vec<_> = hosts.iter().map(|host| host.addresses().len()).collect();
    assert_eq!(sizes, [256, 1, 1]);
}

/// Ports of a resolver's own.
#[test]
fn a_registry_names_ports() {
    // SPEC C24.
    let peer = Peer::serve(|request| ok(request.header("host").unwrap_or("none")));
    let here = peer.address();
    let (builder, _) = asking(move |_, answer| answer.endpoints([here]));
    let session = session(&builder.build());
    gets(&session, "http://service.test/", "service.test");
}

/// A stuck lookup is no one's business but its own.
#[test]
fn others_go_on_while_lookups_hang() {
    // SPEC T6.
    let gate = Gate::new();
    let peer = Peer::serve(|_| ok("here"));
    let entered = gate.clone();
    let (builder, _) = asking(move |query, answer| {
        if query.host().starts_with("stuck") {
            entered.wait();
        }
        answer.addresses([ip("127.0.0.1")]);
    });
    let session = session(&builder.build());
    let stuck: Vec<_> = (0..8)
        .map(|n| {
            session
                .get(peer.url_for(&format!("stuck{n}.test"), "/"))
                .start_send()
        })
        .collect();
    // All that serve at once, and then those that take their places.
    gate.wait_for_arrivals(4);
    gets(&session, &peer.url("/"), "here");
    gets(&session, &peer.url_for("localhost", "/"), "here");
    gets(&session, &peer.url_for("alive.test", "/"), "here");
    gate.open();
    for pending in stuck {
        assert_eq!(pending.wait().unwrap().text().unwrap(), "here");
    }
}

/// Asking on the connector's own thread, which cannot wait for itself.
#[cfg(feature = "async")]
#[test]
fn the_reactor_does_not_wait_for_itself() {
    // SPEC C23.
    use std::pin::Pin;
    use std::sync::mpsc::{Sender, channel};
    use std::task::{Context, Wake, Waker};

    struct Asks(Connector, Mutex<Sender<Result<usize, Error>>>);

    impl Wake for Asks {
        fn wake(self: Arc<Self>) {
            let hosts = self.0.cached_hosts();
            let _ = enter(&self.1).send(hosts.map(|hosts| hosts.len()));
        }
    }

    let gate = Gate::new();
    let waits = gate.clone();
    let peer = Peer::serve(move |_| {
        waits.wait();
        ok("here")
    });
    let connector = Connector::new();
    let mut pending = session(&connector).get(peer.url("/")).start_send();
    let (sender, receiver) = channel();
    let waker = Waker::from(Arc::new(Asks(connector.clone(), Mutex::new(sender))));
    let polled = Pin::new(&mut pending).poll(&mut Context::from_waker(&waker));
    assert!(polled.is_pending());
    gate.open();
    let told = receiver.recv_timeout(support::WATCHDOG).unwrap();
    assert_eq!(told.unwrap_err().kind(), Kind::Internal);
    assert_eq!(pending.wait().unwrap().text().unwrap(), "here");
    assert_eq!(connector.cached_hosts().unwrap(), []);
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}
