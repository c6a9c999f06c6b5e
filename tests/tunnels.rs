//! Connections through proxies that lead on for real, told with either driver:
//! who is connected to whom, how it fails, and who shares a connection.
#![cfg(feature = "tls")]

mod support;

use std::net::{Ipv4Addr, TcpListener};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use miohttp::{
    Auth, Connector, ConnectorBuilder, Error, Identity, Kind, Phase, Proxy as Via, Response,
    Session, Timeout, Timeouts, TlsConfig, TlsVersion,
};
use support::tls::{ca_pem, sha256};
use support::{Gate, Peer, Proxy, TlsOptions, WATCHDOG, ok};

const LIMIT: Duration = Duration::from_millis(150);

fn trusting() -> TlsConfig {
    let tls = TlsConfig::new().builtin_roots(false);
    tls.add_root_pem(ca_pem().as_bytes()).expect("good PEM")
}

/// Tells a story with the caller and with the reactor driving.
fn both(story: impl Fn(&dyn Fn() -> ConnectorBuilder)) {
    for drives in [true, false] {
        story(&|| Connector::builder().tls(trusting()).caller_drives(drives));
    }
}

fn session(builder: ConnectorBuilder, via: Via) -> Session {
    let connector = builder.build();
    Session::builder().connector(connector).proxy(via).build()
}

fn via(url: impl AsRef<str>) -> Via {
    Via::all(url).expect("a proxy's URL")
}

/// No slot is in use and nobody waits, at the latest soon.
#[track_caller]
fn at_rest(session: &Session) {
    let start = Instant::now();
    loop {
        let stats = session.connector().stats();
        if (stats.in_use, stats.waiting) == (0, 0) {
            return;
        }
        assert!(start.elapsed() < WATCHDOG, "{stats:?}");
        thread::yield_now();
    }
}

/// A response that is read to its end, and its text.
fn read(sent: Result<Response, Error>) -> (Response, String) {
    let mut response = sent.expect("a response");
    let mut text = String::new();
    while let Some(chunk) = response.chunk().expect("the body") {
        text.push_str(std::str::from_utf8(&chunk).expect("text"));
    }
    (response, text)
}

#[test]
fn every_kind_of_proxy_leads_to_every_origin() {
    // SPEC X1, X2
    both(|builder| {
        let plain = Peer::serve(|request| ok(&request.body));
        let secure = Peer::serve_tls(TlsOptions::default(), |request| ok(&request.body));
        let proxies = [
            ("http", Proxy::start().replying("Via: 1.1 test")),
            (
                "https",
                Proxy::start_tls(TlsOptions::default()).replying("Via: 1.1 test"),
            ),
            ("socks4", Proxy::start()),
            ("socks4a", Proxy::start()),
            ("socks5", Proxy::start()),
            ("socks5h", Proxy::start()),
        ];
        for (scheme, proxy) in proxies {
            let proxy = proxy.knowing("localhost", secure.address());
            let is_http = scheme.starts_with("http");
            let way = via(proxy.url(scheme)).tunnel(true);
            let session = session(builder(), way);
            let urls = [
                (plain.url("/"), "127.0.0.1"),
                (secure.url("/"), "127.0.0.1"),
                (secure.url_for("localhost", "/"), "localhost"),
            ];
            for (n, (url, name)) in urls.iter().enumerate() {
                for round in 0..2 {
                    let sent = session.post(url).body("over there").send();
                    let (response, text) = read(sent);
                    assert_eq!(text, "over there", "{scheme} to {url}");
                    assert_eq!(response.remote_addr(), Some(proxy.address()));
                    assert_eq!(response.stats().reused, round > 0);
                    let tls = response.tls_info().map(|tls| tls.server_name().to_owned());
                    assert_eq!(tls.as_deref(), (n > 0).then_some(*name));
                    let headers = response.proxy_headers();
                    let says = headers.map(|headers| headers["via"].clone());
                    assert_eq!(says.is_some(), is_http);
                }
                at_rest(&session);
            }
            let kind = match scheme {
                "http" | "https" => "CONNECT",
                "socks4" | "socks4a" => "SOCKS4",
                _ => "SOCKS5",
            };
            let (by_name, resolves) = match scheme {
                "socks4" | "socks5" => ("127.0.0.1", true),
                _ => ("localhost", false),
            };
            let expected = [
                format!("{kind} 127.0.0.1:{}", plain.port()),
                format!("{kind} 127.0.0.1:{}", secure.port()),
                match scheme {
                    "socks4a" => format!("SOCKS4A {by_name}:{}", secure.port()),
                    _ => format!("{kind} {by_name}:{}", secure.port()),
                },
            ];
            assert_eq!(proxy.asked(), expected, "{resolves}");
            assert_eq!(proxy.connections(), 3, "one for each origin");
            for head in proxy.heads() {
                let names = head.lines().skip(1).filter(|line| !line.is_empty());
                assert!(
                    names.into_iter().all(|line| line.starts_with("host: ")),
                    "{head}"
                );
            }
        }
    });
}

/// More than all buffers hold, both ways at once.
#[test]
fn large_bodies_go_through_all_layers() {
    // SPEC X1
    both(|builder| {
        let origin = Peer::serve_tls(TlsOptions::default(), |request| ok(&request.body));
        for proxy in [Proxy::start(), Proxy::start_tls(TlsOptions::default())] {
            let scheme = match proxy.is_tls() {
                true => "https",
                false => "http",
            };
            let session = session(builder(), via(proxy.url(scheme)));
            let body: Vec<u8> = (0..6_000_000_u32).map(|n| (n % 251) as u8).collect();
            let sent = session.post(origin.url("/")).body(body.clone()).send();
            let bytes = sent.expect("a response").bytes().expect("the body");
            assert!(bytes[..] == body[..], "{} bytes came back", bytes.len());
            let sent = session.get(origin.url("/")).send();
            assert!(read(sent).0.stats().reused);
        }
    });
}

#[test]
fn refusals_say_what_the_proxy_said() {
    // SPEC X3, X4
    both(|builder| {
        let origin = Peer::serve(|_| ok("hello"));
        let url = origin.url("/");
        let proxy = Proxy::start().with_login("me", "right");
        let ask = |scheme: &str, login: &str| {
            let way = format!("{scheme}://{login}{}", proxy.address());
            let session = session(builder(), via(way).tunnel(true));
            let sent = session.get(&url).send().and_then(Response::text);
            at_rest(&session);
            sent
        };
        for scheme in ["http", "socks4", "socks5", "socks5h"] {
            let login = match scheme {
                "socks4" => "me@",
                _ => "me:right@",
            };
            assert_eq!(ask(scheme, login).expect("led on"), "hello");
        }
        for login in ["", "me:wrong@", "you:right@"] {
            let error = ask("http", login).expect_err("refused");
            assert_eq!(error.kind(), Kind::ProxyRefused, "{error:#}");
            assert_eq!(error.phase(), Some(Phase::Proxy));
            assert_eq!(error.status().map(|status| status.as_u16()), Some(407));
            assert_eq!(error.reason(), Some("Proxy Authentication Required"));
            let headers = error.headers().expect("those of the reply");
            assert_eq!(headers["proxy-authenticate"], "Basic realm=\"proxy\"");
            assert_eq!(error.body(), Some(&b"who, you"[..]));
            assert_eq!(error.peer(), Some(proxy.address()));
            let error = ask("socks5", login).expect_err("refused");
            assert_eq!(error.kind(), Kind::ProxyConnect, "{error:#}");
            assert!(error.is_proxy() && !error.is_retryable());
            for error in [format!("{error:#}"), format!("{error:?}")] {
                assert!(
                    !error.contains("wrong") && !error.contains("right"),
                    "{error}"
                );
            }
        }
        let error = ask("socks4", "you@").expect_err("refused");
        assert!(format!("{error:#}").contains("(93)"), "{error:#}");
        assert_eq!(origin.connections(), 4);
    });
}

/// A listener that is gone again: nobody answers there.
fn nobody() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.local_addr().expect("it is bound").to_string()
}

#[test]
fn what_is_out_of_reach_is_told_apart() {
    // SPEC X4
    both(|builder| {
        let fails = |way: String, url: &str| {
            let session = session(builder(), via(way).tunnel(true));
            let error = session.get(url).send().expect_err("no way");
            at_rest(&session);
            error
        };
        // The proxy.
        for scheme in ["http", "https", "socks4", "socks5h"] {
            let error = fails(format!("{scheme}://{}", nobody()), "http://192.0.2.1/");
            assert_eq!(error.kind(), Kind::ProxyConnect, "{error:#}");
            assert_eq!(error.phase(), Some(Phase::Connect));
            assert!(error.is_proxy() && error.is_connect() && error.is_retryable());
        }
        // What lies behind it.
        let (proxy, origin) = (Proxy::start(), format!("http://{}/", nobody()));
        let error = fails(proxy.url("http"), &origin);
        assert_eq!(error.status().map(|status| status.as_u16()), Some(502));
        assert!(error.is_retryable());
        let error = fails(proxy.url("socks5"), &origin);
        assert!(format!("{error:#}").contains("(5)"), "{error:#}");
        let error = fails(proxy.url("socks4"), &origin);
        assert!(format!("{error:#}").contains("(91)"), "{error:#}");
        let error = fails(proxy.url("socks5h"), "http://nowhere.test/");
        assert!(format!("{error:#}").contains("(4)"), "{error:#}");
    });
}

#[test]
fn each_certificate_is_judged_for_itself() {
    // SPEC X1, C20
    use support::Certificate;
    both(|builder| {
        let stranger = || TlsOptions::new(Certificate::Untrusted);
        let good = Peer::serve_tls(TlsOptions::default(), |_| ok("hello"));
        let bad = Peer::serve_tls(stranger(), |_| ok("hello"));
        let fails = |proxy: &Proxy, origin: &Peer| {
            let session = session(builder(), via(proxy.url("https")));
            let error = session.get(origin.url("/")).send().expect_err("a stranger");
            at_rest(&session);
            error
        };
        let error = fails(&Proxy::start_tls(stranger()), &good);
        assert_eq!(
            (error.kind(), error.phase()),
            (Kind::Certificate, Some(Phase::Tls))
        );
        assert!(
            error.to_string().starts_with("TLS with the proxy"),
            "{error}"
        );
        let error = fails(&Proxy::start_tls(TlsOptions::default()), &bad);
        assert_eq!(
            (error.kind(), error.phase()),
            (Kind::Certificate, Some(Phase::Tls))
        );
        assert!(!error.to_string().contains("proxy"), "{error}");
        // The proxy speaks no TLS at all.
        let plain = stalling(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        let session = session(builder(), via(format!("https://{}", plain.address())));
        let error = session.get(good.url("/")).send().expect_err("no TLS");
        assert_eq!(error.kind(), Kind::Tls);
        assert!(
            error.to_string().starts_with("TLS with the proxy"),
            "{error}"
        );
    });
}

/// Says a part of what is expected of it, and no more.
fn stalling(says: &'static [u8]) -> Peer {
    Peer::start(move |conn| {
        conn.read_some()?;
        conn.write(says)?;
        conn.wait_for_close().map(drop)
    })
}

#[test]
fn a_proxy_that_stalls_is_no_match_for_a_limit() {
    // SPEC T1, T2, T3, T6
    both(|builder| {
        let cases: [(&str, &[u8], Phase); 5] = [
            ("http", b"", Phase::Proxy),
            ("http", b"HTTP/1.1 200 O", Phase::Proxy),
            ("https", b"", Phase::Tls),
            ("socks4", b"\0", Phase::Proxy),
            ("socks5h", b"\x05\0\x05\0\0\x03", Phase::Proxy),
        ];
        for (scheme, says, phase) in cases {
            let limits = [
                (Timeouts::none().connect(LIMIT), Timeout::Connect),
                (Timeouts::none().sock_connect(LIMIT), Timeout::SockConnect),
                (Timeouts::none().total(LIMIT), Timeout::Total),
            ];
            for (limits, which) in limits {
                let proxy = stalling(says);
                let way = via(format!("{scheme}://{}", proxy.address())).tunnel(true);
                let session = session(builder(), way);
                let request = session.get("http://192.0.2.1/").timeouts(limits);
                let error = request.send().expect_err("a limit");
                assert_eq!(error.timeout(), Some(which), "{scheme}: {error:#}");
                if which != Timeout::Total {
                    assert_eq!(error.phase(), Some(phase), "{scheme}");
                }
                at_rest(&session);
            }
        }
    });
}

/// The limit of a handshake counts for the one inside the tunnel by itself.
#[test]
fn a_handshake_behind_a_proxy_has_its_own_limit() {
    // SPEC T6
    both(|builder| {
        let mute = stalling(b"");
        let proxy = Proxy::start_tls(TlsOptions::default());
        let session = session(builder(), via(proxy.url("https")));
        let url = format!("https://{}/", mute.address());
        let request = session.get(url).timeouts(Timeouts::none().tls(LIMIT));
        let error = request.send().expect_err("a limit");
        // On a machine that is busy with other things it may be the first one.
        assert_eq!(
            (error.timeout(), error.phase()),
            (Some(Timeout::Tls), Some(Phase::Tls))
        );
        at_rest(&session);
    });
}

/// A refusal whose explanation does not end is told with what there is of it.
#[test]
fn a_refusal_that_does_not_end_is_told_in_time() {
    // SPEC X4
    both(|builder| {
        let proxy = stalling(b"HTTP/1.1 403 Not you\r\nConnection: close\r\n\r\nbecause");
        let way = via(format!("http://{}", proxy.address())).tunnel(true);
        let session = session(builder(), way);
        let limits = Timeouts::none().sock_connect(LIMIT);
        let sent = session.get("http://192.0.2.1/").timeouts(limits).send();
        let error = sent.expect_err("refused");
        assert_eq!(error.kind(), Kind::ProxyRefused, "{error:#}");
        assert_eq!(error.body(), Some(&b"because"[..]));
        at_rest(&session);
    });
}

#[test]
fn a_proxy_that_lies_harms_nobody_else() {
    // SPEC X4, P3
    both(|builder| {
        let lies: [(&str, &'static [u8]); 6] = [
            ("http", b"SSH-2.0-OpenSSH_9.9\r\n"),
            ("http", b"\x05\0"),
            ("socks4", b"HTTP/1.1 400 Bad Request\r\n\r\n"),
            ("socks5", b"HTTP/1.1 400 Bad Request\r\n\r\n"),
            ("socks5h", b"\x05\x02"),
            ("socks5h", b"\x05\0\x05\0\0\x07"),
        ];
        let origin = Peer::serve(|_| ok("hello"));
        let connector = builder().limit(1).build();
        for (scheme, lie) in lies {
            let proxy = stalling(lie);
            let session = Session::builder().connector(connector.clone()).build();
            let way = via(format!("{scheme}://{}", proxy.address())).tunnel(true);
            let sent = session.get("http://192.0.2.1/").proxy(way).send();
            let error = sent.expect_err("nonsense");
            assert_eq!(error.kind(), Kind::ProxyConnect, "{scheme}: {error:#}");
            assert_eq!(error.phase(), Some(Phase::Proxy));
            assert!(!error.is_retryable());
            // Its slot is free for others.
            assert_eq!(read(session.get(origin.url("/")).send()).1, "hello");
            at_rest(&session);
        }
    });
}

/// Whoever waits for a proxy can be told to stop, wherever it stands.
#[test]
fn closing_ends_the_wait_for_a_proxy() {
    // SPEC P3, C7
    both(|builder| {
        for (scheme, says) in [("http", &b""[..]), ("https", b""), ("socks5h", b"\x05\0")] {
            let arrived = Gate::new();
            let seen = arrived.clone();
            let proxy = Peer::start(move |conn| {
                conn.read_some()?;
                conn.write(says)?;
                seen.open();
                conn.wait_for_close().map(drop)
            });
            let way = via(format!("{scheme}://{}", proxy.address())).tunnel(true);
            let session = session(builder(), way);
            let (sender, outcome) = mpsc::channel();
            let blocked = session.clone();
            thread::spawn(move || {
                let request = blocked.get("http://192.0.2.1/").timeouts(Timeouts::none());
                let _ = sender.send(request.send().map(drop));
            });
            arrived.wait();
            session.connector().close();
            let sent = outcome.recv_timeout(WATCHDOG).expect("it ends");
            assert_eq!(sent.expect_err("closed").kind(), Kind::Closed, "{scheme}");
            proxy.wait_for_ends(1);
        }
    });
}

/// The same, one request of several.
#[test]
fn cancelling_ends_the_wait_for_a_proxy() {
    // SPEC P3
    let proxy = stalling(b"");
    let way = via(format!("http://{}", proxy.address())).tunnel(true);
    let session = session(Connector::builder(), way);
    let pending = session
        .get("http://192.0.2.1/")
        .timeouts(Timeouts::none())
        .start_send();
    proxy.wait_for_connections(1);
    pending.cancel_handle().cancel();
    assert_eq!(
        pending.wait().expect_err("cancelled").kind(),
        Kind::Cancelled
    );
    at_rest(&session);
    proxy.wait_for_ends(1);
}

/// Requests that want TLS in different ways, and one origin under all of them.
#[test]
fn what_is_trusted_less_is_never_shared_with_what_is_trusted_more() {
    // SPEC P1, C20, C21
    let identity = || {
        let (chain, key) = support::tls::client_identity(true);
        Identity::from_pem(chain.as_bytes(), key.as_bytes()).expect("good PEM")
    };
    both(|builder| {
        let options = TlsOptions::default();
        let pin = sha256(options.spki());
        let origin = Peer::serve_tls(options, |_| ok("hello"));
        let tunnels = Proxy::start();
        let other = Proxy::start();
        let lenient = TlsConfig::new().danger_accept_invalid_certs(true);
        let pinned = trusting().pin_spki_sha256(pin);
        let known = trusting().identity(&identity());
        let other_known = trusting().identity(&identity());
        let session = Session::builder().connector(builder().build()).build();
        type Wish<'a> = (Option<&'a TlsConfig>, Option<Via>, Option<&'a str>);
        let wishes: [Wish<'_>; 10] = [
            (None, None, None),
            (Some(&lenient), None, None),
            (Some(&pinned), None, None),
            (Some(&known), None, None),
            (Some(&other_known), None, None),
            (None, None, Some("localhost")),
            (None, Some(via(tunnels.url("http"))), None),
            (None, Some(via(other.url("http"))), None),
            (
                None,
                Some(via(tunnels.url("http")).header("x-tenant", "7")),
                None,
            ),
            (Some(&lenient), Some(via(tunnels.url("http"))), None),
        ];
        // Back and forth, so that each finds all others' connections idle.
        let mut order: Vec<usize> = (0..wishes.len()).collect();
        order.extend((0..wishes.len()).rev());
        for (round, n) in order.iter().enumerate() {
            let (tls, way, name) = &wishes[*n];
            let mut request = session.get(origin.url("/"));
            if let Some(tls) = tls {
                request = request.tls(tls);
            }
            if let Some(way) = way {
                request = request.proxy(way.clone());
            }
            if let Some(name) = name {
                request = request.server_name(*name);
            }
            let (response, text) = read(request.send());
            assert_eq!(text, "hello");
            assert_eq!(
                response.stats().reused,
                round >= wishes.len(),
                "wish {n} in {round}"
            );
        }
        assert_eq!(origin.connections(), wishes.len());
    });
}

/// Asks by each wish there and back again, so that each finds all others' connections
/// idle, and its own the second time.
fn assert_none_shares<W>(wishes: &[(&str, W)], ask: impl Fn(&W) -> Response) {
    let there = 0..wishes.len();
    for (round, n) in there.clone().chain(there.rev()).enumerate() {
        let (what, wish) = &wishes[n];
        let (response, text) = read(Ok(ask(wish)));
        assert_eq!(text, "hello");
        let again = round >= wishes.len();
        assert_eq!(response.is_reused(), again, "{what}, in {round}");
    }
}

/// Every setting of TLS, each with the value that it has anyway and with another,
/// as far as this peer can be spoken to with it.
fn settings(options: &TlsOptions) -> Vec<(&'static str, TlsConfig)> {
    let identity = |trusted| {
        let (chain, key) = support::tls::client_identity(trusted);
        Identity::from_pem(chain.as_bytes(), key.as_bytes()).expect("good PEM")
    };
    let list = support::tls::revocation_list(support::tls::Revoker::Root, &[], true);
    let log = concat!(env!("CARGO_TARGET_TMPDIR"), "/tunnels-keys");
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(support::tls::ca_der())
        .expect("a root certificate");
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let prepared = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions that the provider has")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let (leaf, key) = (sha256(options.leaf()), sha256(options.spki()));
    let pem = ca_pem().as_bytes();
    let (v12, v13) = (TlsVersion::V12, TlsVersion::V13);
    let pinned = trusting().pin_sha256(leaf);
    let listed = trusting().add_crl(list.as_bytes()).expect("a list");
    vec![
        ("the same", trusting()),
        ("the same once more", trusting()),
        ("builtin_roots", trusting().builtin_roots(true)),
        ("add_root_pem", trusting().add_root_pem(pem).expect("PEM")),
        ("identity", trusting().identity(&identity(true))),
        ("another identity", trusting().identity(&identity(true))),
        (
            "a stranger's identity",
            trusting().identity(&identity(false)),
        ),
        ("pin_sha256", pinned.clone()),
        ("pin_spki_sha256", trusting().pin_spki_sha256(key)),
        ("two pins", pinned.clone().pin_spki_sha256([7; 32])),
        ("danger_pins_only", pinned.danger_pins_only(true)),
        ("min_version", trusting().min_version(v13)),
        ("min_version as it was", trusting().min_version(v12)),
        ("max_version", trusting().max_version(v12)),
        ("sni", trusting().sni(false)),
        ("resumption", trusting().resumption(false)),
        ("alpn", trusting().alpn(["http/1.1", "x"])),
        ("alpn of nothing", trusting().alpn([""; 0])),
        (
            "danger_accept_invalid_certs",
            trusting().danger_accept_invalid_certs(true),
        ),
        (
            "danger_accept_invalid_certs, taken back",
            trusting().danger_accept_invalid_certs(false),
        ),
        (
            "danger_accept_invalid_hostnames",
            trusting().danger_accept_invalid_hostnames(true),
        ),
        ("add_crl", listed.clone()),
        ("crl_leaf_only", listed.clone().crl_leaf_only(true)),
        ("crl_allow_unknown", listed.clone().crl_allow_unknown(true)),
        ("crl_allow_expired", listed.crl_allow_expired(true)),
        ("key_log_file", trusting().key_log_file(log)),
        ("from_rustls", TlsConfig::from_rustls(prepared.into())),
    ]
}

#[test]
fn each_setting_of_tls_has_connections_of_its_own() {
    // SPEC P1, C20, C21
    both(|builder| {
        let options = TlsOptions::default();
        let origin = Peer::serve_tls(options.clone(), |_| ok("hello"));
        let session = Session::builder().connector(builder().build()).build();
        let settings = settings(&options);
        assert_none_shares(&settings, |tls| {
            // A clone is the same one.
            let request = session.get(origin.url("/")).tls(&tls.clone());
            request.send().expect("an answer")
        });
        assert_eq!(origin.connections(), settings.len());
    });
}

#[test]
fn each_setting_of_tls_to_a_proxy_has_connections_of_its_own() {
    // SPEC P1, X1, C20, C21
    both(|builder| {
        let plain = Peer::serve(|_| ok("hello"));
        let secure = Peer::serve_tls(TlsOptions::default(), |_| ok("hello"));
        // Forwarded, through a tunnel, and with TLS in there, too.
        for (url, tunnel) in [
            (plain.url("/"), false),
            (plain.url("/"), true),
            (secure.url("/"), true),
        ] {
            let options = TlsOptions::default();
            let proxy = Proxy::start_tls(options.clone());
            let session = Session::builder().connector(builder().build()).build();
            let settings = settings(&options);
            assert_none_shares(&settings, |tls| {
                let way = via(proxy.url("https")).tls(&tls.clone()).tunnel(tunnel);
                let request = session.get(&url).proxy(way);
                request.send().expect("an answer")
            });
            assert_eq!(proxy.connections(), settings.len());
        }
    });
}

#[test]
fn each_login_to_a_proxy_has_connections_of_its_own() {
    // SPEC P1, X3
    both(|builder| {
        let plain = Peer::serve(|_| ok("hello"));
        let secure = Peer::serve_tls(TlsOptions::default(), |_| ok("hello"));
        for origin in [&plain, &secure] {
            let proxy = Proxy::start();
            let session = Session::builder().connector(builder().build()).build();
            let way = |scheme: &str, login: &str| {
                via(format!("{scheme}://{login}{}", proxy.address())).tunnel(true)
            };
            #[cfg(feature = "digest")]
            let digest = || way("http", "").auth(miohttp::DigestAuth::new("me", "a"));
            let wishes = [
                ("socks4", way("socks4", "")),
                ("socks4 for me", way("socks4", "me@")),
                ("socks4 for you", way("socks4", "you@")),
                ("socks4a", way("socks4a", "")),
                ("socks4a for me", way("socks4a", "me@")),
                ("socks5", way("socks5", "")),
                ("socks5 for me", way("socks5", "me:a@")),
                ("socks5 with another password", way("socks5", "me:b@")),
                ("socks5 for you", way("socks5", "you:a@")),
                ("socks5 cut elsewhere", way("socks5", "m:ea@")),
                ("socks5h", way("socks5h", "")),
                ("socks5h for me", way("socks5h", "me:a@")),
                ("http", way("http", "")),
                ("http for me", way("http", "me:a@")),
                ("http with another password", way("http", "me:b@")),
                ("http for you", way("http", "you:a@")),
                ("Bearer", way("http", "").auth(Auth::bearer("me:a"))),
                #[cfg(feature = "digest")]
                ("Digest", digest()),
                #[cfg(feature = "digest")]
                ("another Digest", digest()),
            ];
            // A clone is the same one.
            assert_none_shares(&wishes, |way| {
                let request = session.get(origin.url("/")).proxy(way.clone());
                request.send().expect("an answer")
            });
            assert_eq!(proxy.connections(), wishes.len());
        }
    });
}

#[test]
fn no_login_is_let_in_by_what_another_has_opened() {
    // SPEC P1, X3: one whom the proxy knows, then others.
    both(|builder| {
        let origin = Peer::serve(|_| ok("hello"));
        let proxy = Proxy::start().with_login("me", "a");
        let session = Session::builder().connector(builder().build()).build();
        for scheme in ["socks4", "socks4a", "socks5", "socks5h", "http"] {
            let ask = |login: &str| {
                let way = via(format!("{scheme}://{login}{}", proxy.address()));
                session.get(origin.url("/")).proxy(way.tunnel(true)).send()
            };
            let (right, wrong) = match scheme {
                "socks4" | "socks4a" => ("me@", ["", "you@", "m@"]),
                _ => ("me:a@", ["", "you:a@", "me:b@"]),
            };
            for reused in [false, true] {
                let (response, _) = read(ask(right));
                assert_eq!(response.is_reused(), reused, "{scheme}");
                for login in wrong {
                    let error = ask(login).expect_err(login);
                    assert!(error.is_proxy(), "{scheme}, {login}: {error:#}");
                }
            }
        }
    });
}
