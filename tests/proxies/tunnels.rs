//! Tunnels: by CONNECT, by SOCKS, and through proxies that are spoken to over TLS.

use std::io;

use miohttp::{
    AddressFilter, Answer, Auth, Connector, Kind, Phase, Proxy, Query, Resolve, Session,
};

use super::{gate, send, session, text, through};
use crate::support::{Peer, PeerConn, ok, response};

#[test]
fn a_tunnel_is_asked_for_and_used_again() {
    // SPEC H10, P1, X2, X4
    let gate = gate();
    let session = session(through(&gate).tunnel(true));
    for started in [false, true] {
        for (url, line) in [
            ("http://a.test/x?y#z", "GET /x?y"),
            ("http://a.test:80/", "GET /"),
            ("http://b.test:81/", "GET /"),
            ("http://[2001:DB8::1]/v6", "GET /v6"),
        ] {
            let answer = send(session.get(url), started).expect("an answer");
            assert_eq!(answer.remote_addr(), Some(gate.address()));
            let proxy = answer.proxy_headers().expect("an answer to CONNECT");
            assert_eq!(proxy["x-gate"], "open");
            assert!(answer.headers().get("x-gate").is_none());
            assert_eq!(text(Ok(answer)), line);
        }
    }
    let requests = gate.requests();
    let tunnels: Vec<_> = requests.iter().filter(|r| r.method == "CONNECT").collect();
    let targets: Vec<_> = tunnels.iter().map(|r| r.target.as_str()).collect();
    assert_eq!(targets, ["a.test:80", "b.test:81", "[2001:db8::1]:80"]);
    for tunnel in tunnels {
        assert_eq!(tunnel.header("host"), Some(tunnel.target.as_str()));
        assert_eq!(tunnel.header("transfer-encoding"), None);
    }
    assert_eq!((gate.connections(), requests.len()), (3, 3 + 8));
}

#[test]
fn a_tunnel_is_its_proxys_and_its_logins() {
    // SPEC P1, X3, X5
    let (one, two) = (gate(), gate());
    let connector = Connector::new();
    let ask = |proxy: Proxy| {
        let session = Session::builder().connector(connector.clone());
        text(
            session
                .proxy(proxy.tunnel(true))
                .build()
                .get("http://a.test/")
                .send(),
        )
    };
    let tunnels = || {
        let count = |peer: &Peer| {
            let requests = peer.requests();
            requests.iter().filter(|r| r.method == "CONNECT").count()
        };
        (count(&one), count(&two))
    };
    for (proxy, want) in [
        (through(&one), (1, 0)),
        (through(&one), (1, 0)),
        (through(&two), (1, 1)),
        (through(&one).auth(("a", "b")), (2, 1)),
        (through(&one).auth(("a", "b")), (2, 1)),
        (through(&one).auth(("a", "c")), (3, 1)),
        (through(&one).auth(Auth::bearer("a")), (4, 1)),
        (through(&one).header("x-room", "1"), (5, 1)),
        (through(&one).header("x-room", "2"), (6, 1)),
        (through(&one).header("x-room", "1"), (6, 1)),
        (through(&one), (6, 1)),
    ] {
        assert_eq!(ask(proxy), "GET /");
        assert_eq!(tunnels(), want);
    }
    // What goes to the proxy as it is has nothing to do with tunnels.
    let session = Session::builder()
        .connector(connector)
        .proxy(through(&one))
        .build();
    assert_eq!(
        text(session.get("http://a.test/").send()),
        "GET http://a.test/"
    );
}

#[test]
fn a_proxy_that_refuses_says_why() {
    // SPEC E1, X4
    let gate = Peer::start(|conn| {
        while let Some(request) = conn.next_request()? {
            let no = response("403 Not There", &[("X-Gate", "shut")], "by policy");
            match request.target.as_str() {
                "a.test:80" => conn.write(no)?,
                "b.test:80" => conn.write("HTTP/1.1 200\r\n\r\n")?,
                _ => conn.write(ok("in"))?,
            }
        }
        Ok(())
    });
    let session = session(through(&gate).tunnel(true));
    for started in [false, true] {
        let error = send(session.post("http://a.test/x").body("hello"), started).unwrap_err();
        assert_eq!(
            (error.kind(), error.phase()),
            (Kind::ProxyRefused, Some(Phase::Proxy))
        );
        assert!(error.is_proxy() && !error.is_retryable());
        assert_eq!(error.status().unwrap().as_u16(), 403);
        assert_eq!(error.reason(), Some("Not There"));
        assert_eq!(error.headers().unwrap()["x-gate"], "shut");
        assert_eq!(error.body(), Some(&b"by policy"[..]));
        assert_eq!(error.url().unwrap().as_str(), "http://a.test/x");
        // Others are not harmed.
        assert_eq!(text(send(session.get("http://b.test/"), started)), "in");
    }
    let refused = gate
        .requests()
        .iter()
        .filter(|r| r.target == "a.test:80")
        .count();
    assert_eq!(refused, 2, "once each");
}

/// Reads a SOCKS request and says yes; gives what was asked for.
fn socks(conn: &mut PeerConn, login: Option<(&str, &str)>) -> io::Result<String> {
    let port = |bytes: &[u8]| u16::from_be_bytes([bytes[0], bytes[1]]);
    match conn.read_exact(1)?[0] {
        4 => {
            let head = conn.read_exact(7)?;
            assert_eq!(head[0], 1);
            let word = |conn: &mut PeerConn| -> io::Result<String> {
                let mut word = conn.read_until(b"\0")?;
                word.pop();
                Ok(String::from_utf8(word).expect("text"))
            };
            let user = word(conn)?;
            assert_eq!(user, login.map_or("", |(user, _)| user));
            let ip = &head[3..];
            let host = match ip {
                [0, 0, 0, last] if *last != 0 => word(conn)?,
                _ => dotted(ip),
            };
            conn.write(b"\0\x5a\0\0\0\0\0\0")?;
            Ok(format!("4 {host}:{}", port(&head[1..])))
        }
        5 => {
            let count = conn.read_exact(1)?[0];
            let methods = conn.read_exact(count.into())?;
            match login {
                None => {
                    assert!(methods.contains(&0));
                    conn.write(b"\x05\0")?;
                }
                Some((user, password)) => {
                    assert!(methods.contains(&2));
                    conn.write(b"\x05\x02")?;
                    assert_eq!(conn.read_exact(1)?, [1]);
                    for want in [user, password] {
                        let length = conn.read_exact(1)?[0];
                        assert_eq!(conn.read_exact(length.into())?, want.as_bytes());
                    }
                    conn.write(b"\x01\0")?;
                }
            }
            let head = conn.read_exact(4)?;
            assert_eq!(head[..3], [5, 1, 0]);
            let host = match head[3] {
                1 => dotted(&conn.read_exact(4)?),
                4 => {
                    conn.read_exact(16)?;
                    "an IPv6 address".to_owned()
                }
                3 => {
                    let length = conn.read_exact(1)?[0];
                    String::from_utf8(conn.read_exact(length.into())?).expect("text")
                }
                other => panic!("{other}"),
            };
            let port = port(&conn.read_exact(2)?);
            conn.write(b"\x05\0\0\x01\0\0\0\0\0\0")?;
            Ok(format!("5 {host}:{port}"))
        }
        other => panic!("SOCKS {other}"),
    }
}

fn dotted(address: &[u8]) -> String {
    let numbers: Vec<_> = address.iter().map(u8::to_string).collect();
    numbers.join(".")
}

#[test]
fn socks_proxies_are_told_a_name_or_an_address() {
    // SPEC X1, X2, X3
    for (scheme, login, host, want) in [
        ("socks4", None, "127.0.0.1", "4 127.0.0.1:81"),
        ("socks4", Some(("user", "")), "localhost", "4 127.0.0.1:81"),
        ("socks4a", None, "a.test", "4 a.test:81"),
        ("socks4a", Some(("user", "")), "127.0.0.1", "4 127.0.0.1:81"),
        ("socks5", None, "localhost", "5 127.0.0.1:81"),
        (
            "socks5",
            Some(("user", "se:cret")),
            "127.0.0.1",
            "5 127.0.0.1:81",
        ),
        ("socks5", None, "[2001:db8::1]", "5 an IPv6 address:81"),
        ("socks5h", None, "a.test", "5 a.test:81"),
        (
            "socks5h",
            Some(("user", "se:cret")),
            "localhost",
            "5 localhost:81",
        ),
    ] {
        let gate = Peer::start(move |conn| {
            let asked = socks(conn, login)?;
            while let Some(request) = conn.next_request()? {
                assert_eq!(request.header("proxy-authorization"), None);
                conn.write(ok(format!("{asked} {}", request.line())))?;
            }
            Ok(())
        });
        let at = match login {
            None => String::new(),
            Some((user, password)) => format!("{user}:{password}@"),
        };
        let url = format!("{scheme}://{at}{}", gate.address());
        let session = session(Proxy::all(url).unwrap().header("x-gate", "ignored"));
        for started in [false, true] {
            let request = session.get(format!("http://{host}:81/x"));
            let answer = send(request.header("proxy-authorization", "Own x"), started);
            let answer = answer.unwrap_or_else(|error| panic!("{scheme} {host}: {error:#}"));
            assert_eq!(answer.proxy_headers(), None);
            assert_eq!(
                text(Ok(answer)),
                format!("{want} GET /x"),
                "{scheme} {host}"
            );
        }
        assert_eq!(gate.connections(), 1, "{scheme}");
        gate.check();
    }
}

#[test]
fn what_the_program_says_of_a_host_goes_before_the_filter() {
    // SPEC C24, Q2, X2: the same for whoever drives the connection.
    for scheme in ["socks4", "socks5"] {
        let gate = Peer::start(|conn| {
            let asked = socks(conn, None)?;
            while conn.next_request()?.is_some() {
                conn.write(ok(&asked))?;
            }
            Ok(())
        });
        let told = format!("{} 192.0.2.7:80", &scheme[5..]);
        for (drives, started) in [(true, false), (true, true), (false, false)] {
            for at in ["127.0.0.1", "gate.test"] {
                let said = ["192.0.2.7:0".parse().unwrap()];
                let connector = Connector::builder()
                    .caller_drives(drives)
                    .address_filter(AddressFilter::public_only())
                    .host_override("10.0.0.1", None, said)
                    .host_override("inner.localhost", None, said)
                    .host_override("gate.test", None, [gate.address()])
                    .build();
                let proxy = Proxy::all(format!("{scheme}://{at}:{}", gate.port())).unwrap();
                let session = Session::builder().connector(connector).proxy(proxy).build();
                for url in [
                    "http://10.0.0.1/",
                    "http://10.1/",
                    "http://inner.localhost/",
                ] {
                    let answer = send(session.get(url), started);
                    let answer = answer.unwrap_or_else(|error| panic!("{url} {at}: {error:#}"));
                    assert_eq!(text(Ok(answer)), told, "{url} {at}");
                }
                // All else is judged as ever.
                let before = gate.request_count();
                for url in [
                    "http://10.0.0.2/",
                    "http://2130706433/",
                    "http://127.1/",
                    "http://[::ffff:7f00:1]/",
                    "http://localhost/",
                    "http://x.localhost./",
                ] {
                    let error = send(session.get(url), started).unwrap_err();
                    assert_eq!(error.kind(), Kind::Blocked, "{url} {at}: {error:#}");
                    assert!(!error.is_proxy(), "{url} {at}: {error:#}");
                }
                assert_eq!(gate.request_count(), before);
            }
        }
        gate.check();
    }
}

/// A name that is looked up here, and what comes of it.
#[test]
fn the_filter_judges_what_a_name_leads_to() {
    // SPEC C24, Q2, X2
    for scheme in ["socks4", "socks5"] {
        let nobody = Peer::start(|_| panic!("nobody is to come"));
        for (drives, started) in [(true, false), (true, true), (false, false)] {
            let connector = Connector::builder()
                .caller_drives(drives)
                .resolver(Inside)
                .address_filter(AddressFilter::public_only())
                .build();
            let proxy = Proxy::all(nobody.url("/").replace("http", scheme)).unwrap();
            let session = Session::builder().connector(connector).proxy(proxy).build();
            let error = send(session.get("http://a.test/"), started).unwrap_err();
            assert_eq!(error.kind(), Kind::Blocked, "{error:#}");
        }
        assert_eq!(nobody.connections(), 0);
    }
}

/// Has every name on a network that nobody else sees.
struct Inside;

impl Resolve for Inside {
    fn resolve(&self, _: &Query, answer: Answer) {
        answer.addresses(["10.0.0.1".parse().unwrap()]);
    }
}

#[test]
fn socks_proxies_take_no_other_credentials() {
    // SPEC X3
    for proxy in [
        Proxy::all("socks4://user:secret@p.test").unwrap(),
        Proxy::all("socks5://p.test")
            .unwrap()
            .auth(Auth::bearer("x")),
    ] {
        let error = session(proxy).get("http://a.test/").send().unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidRequest, "{error:#}");
    }
}

#[cfg(feature = "tls")]
mod tls {
    use miohttp::TlsConfig;

    use super::*;
    use crate::support::TlsOptions;
    use crate::support::tls::ca_pem;
    use crate::{basic, named, to};

    fn trusting() -> TlsConfig {
        let tls = TlsConfig::new().builtin_roots(false);
        tls.add_root_pem(ca_pem().as_bytes()).expect("good PEM")
    }

    fn session(proxy: Proxy, tls: TlsConfig) -> Session {
        let connector = Connector::builder().tls(tls).build();
        Session::builder().connector(connector).proxy(proxy).build()
    }

    /// A proxy that is every origin itself, behind TLS where the port is 443.
    fn gate() -> Peer {
        Peer::start(serve)
    }

    /// The same, spoken to over TLS.
    fn tls_gate() -> Peer {
        Peer::start_tls(TlsOptions::default(), serve)
    }

    fn serve(conn: &mut PeerConn) -> io::Result<()> {
        while let Some(request) = conn.next_request()? {
            if request.method == "CONNECT" {
                conn.write("HTTP/1.1 200 Come in\r\nX-Gate: open\r\n\r\n")?;
                if request.target.ends_with(":443") {
                    conn.start_tls(&TlsOptions::default())?;
                }
                continue;
            }
            conn.write(ok(request.line()))?;
        }
        Ok(())
    }

    #[test]
    fn https_goes_through_a_tunnel() {
        // SPEC X2, X5
        let gate = gate();
        let session = session(through(&gate).auth(("user", "hunter2")), trusting());
        for started in [false, true] {
            let request = session.get("https://localhost/x");
            let request = request.header("proxy-authorization", "Own x");
            let answer = send(request.auth(("me", "pass")), started).expect("an answer");
            let name = answer.tls_info().map(|tls| tls.server_name().to_owned());
            assert_eq!(name.as_deref(), Some("localhost"));
            assert_eq!(answer.proxy_headers().unwrap()["x-gate"], "open");
            assert_eq!(text(Ok(answer)), "GET /x");
        }
        let [tunnel, one, two] = gate
            .requests()
            .try_into()
            .expect("one tunnel, two requests");
        assert_eq!(tunnel.line(), "CONNECT localhost:443");
        assert_eq!(tunnel.headers.len(), 2, "{:?}", tunnel.headers);
        let (ours, theirs) = (basic("user", "hunter2"), basic("me", "pass"));
        assert_eq!(tunnel.header("proxy-authorization"), Some(&*ours));
        for request in [one, two] {
            assert_eq!(request.header("authorization"), Some(&*theirs));
            assert_eq!(request.header("proxy-authorization"), None);
        }
        // A certificate for another host is not made good by the proxy.
        let error = session.get("https://a.test/").send().unwrap_err();
        assert!(error.is_tls() && !error.is_proxy(), "{error:#}");
    }

    #[test]
    fn an_https_proxy_is_spoken_to_over_tls() {
        // SPEC X1, X2
        let gate = tls_gate();
        let url = format!("https://user:hunter2@localhost:{}", gate.port());
        let proxy = Proxy::all(&url).unwrap();
        for session in [
            // The session's settings hold for it, unless it has some of its own.
            session(proxy.clone(), trusting()),
            session(proxy.clone().tls(&trusting()), trusting()),
        ] {
            for started in [false, true] {
                let answer = send(session.get("http://a.test/x"), started).expect("an answer");
                assert!(answer.tls_info().is_none(), "with the origin there is none");
                assert_eq!(text(Ok(answer)), "GET http://a.test/x");
                let last = gate.requests().pop().unwrap();
                assert!(last.header("proxy-authorization").is_some());
                // TLS in TLS.
                let answer = send(session.get("https://localhost/y"), started).unwrap();
                assert!(answer.tls_info().is_some());
                assert_eq!(text(Ok(answer)), "GET /y");
            }
        }
        assert_eq!(gate.connections(), 4);
        // Nobody else's certificates: not the proxy's for want of trust,
        let only_origin = session(proxy.clone().tls(&TlsConfig::new()), trusting());
        let error = only_origin.get("http://a.test/").send().unwrap_err();
        assert_eq!(error.kind(), Kind::Certificate, "{error:#}");
        // nor the origin's.
        let only_proxy = session(proxy.tls(&trusting()), TlsConfig::new());
        assert_eq!(
            text(only_proxy.get("http://a.test/x").send()),
            "GET http://a.test/x"
        );
        let error = only_proxy.get("https://localhost/").send().unwrap_err();
        assert_eq!(error.kind(), Kind::Certificate, "{error:#}");
    }

    #[test]
    fn a_redirect_from_http_to_https_opens_a_tunnel() {
        // SPEC D9, X2, X8
        let gate = Peer::start(|conn| {
            while let Some(request) = conn.next_request()? {
                match request.line().as_str() {
                    "GET http://a.test/from" => conn.write(to("https://localhost/end"))?,
                    "GET /back" => conn.write(to("http://a.test/end"))?,
                    "CONNECT localhost:443" => {
                        conn.write("HTTP/1.1 200 Come in\r\n\r\n")?;
                        conn.start_tls(&TlsOptions::default())?;
                    }
                    line => conn.write(ok(line))?,
                }
            }
            Ok(())
        });
        let session = session(through(&gate).auth(("user", "hunter2")), trusting());
        for started in [false, true] {
            assert_eq!(
                text(send(session.get("http://a.test/from"), started)),
                "GET /end"
            );
            let back = send(session.get("https://localhost/back"), started);
            assert_eq!(text(back), "GET http://a.test/end");
        }
        for request in gate.requests() {
            let is_inner = request.target.starts_with('/');
            let carried = request.header("proxy-authorization").is_some();
            assert_eq!(carried, !is_inner, "{}", request.line());
        }
        assert_eq!(gate.connections(), 2);
    }

    #[test]
    fn each_scheme_has_a_proxy_of_its_own() {
        // SPEC X1, X8
        let (plain, secure) = (super::gate(), gate());
        let proxy = Proxy::http(named(&plain)).unwrap();
        let session = session(proxy.or(Proxy::https(named(&secure)).unwrap()), trusting());
        assert_eq!(
            text(session.get("http://a.test/").send()),
            "GET http://a.test/"
        );
        assert_eq!(text(session.get("https://localhost/").send()), "GET /");
        assert_eq!((plain.request_count(), secure.request_count()), (1, 2));
    }
}

#[test]
fn nothing_but_the_host_is_needed_of_an_answer() {
    // SPEC X4: Content-Length and Transfer-Encoding of a 2xx mean nothing.
    let gate = Peer::start(|conn| {
        conn.request()?;
        conn.write("HTTP/1.1 204 In\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        while let Some(request) = conn.next_request()? {
            conn.write(ok(request.line()))?;
        }
        Ok(())
    });
    let session = session(through(&gate).tunnel(true));
    for started in [false, true] {
        assert_eq!(
            text(send(session.get("http://a.test/x"), started)),
            "GET /x"
        );
    }
    assert_eq!(gate.connections(), 1);
}
