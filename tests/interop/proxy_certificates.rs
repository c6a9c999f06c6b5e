//! Every certificate of `certificates.rs` behind every kind of proxy, and as that of a
//! proxy: who is proven is the server by its own, and the proxy by its own.

use miohttp::{Kind, Proxy, Session};

use super::certificates::{BAD, GOOD, assert_refused, connector, trusting};
use super::proxies::{Way, http_proxies, plain, session, socks_proxies, taken, way};
use crate::support::interop::server;

#[test]
fn a_certificate_behind_a_proxy_is_the_servers() {
    // SPEC X2, C20: who is proven is the server, not the proxy.
    let Some(origin) = server("openssl") else {
        return;
    };
    // Other names are known to no proxy.
    let known = ["localhost", "127.0.0.1"];
    for way in http_proxies().iter().chain(&socks_proxies()) {
        // It shows certificates of its own.
        if way.intercepts {
            continue;
        }
        let session = session(&origin, way);
        for (port, host, why) in BAD {
            if !known.contains(&host) {
                continue;
            }
            let what = format!("{} to {port}", way.name);
            let url = format!("https://{host}:{}/", origin.port_of(port));
            for answer in [
                session.get(&url).send(),
                session.get(&url).start_send().wait(),
            ] {
                let Err(error) = answer else {
                    panic!("{what} was taken")
                };
                assert_refused(&error, why, &what);
            }
        }
        for (port, host) in GOOD {
            if !known.contains(&host) || by_name_alone(way) && host != "localhost" {
                continue;
            }
            let url = format!("https://{host}:{}/", origin.port_of(port));
            taken(way, session.get(&url).send()).bytes().unwrap();
        }
        let stats = session.connector().stats();
        assert_eq!((stats.in_use, stats.waiting), (0, 0), "{}", way.name);
    }
}

/// Twisted takes no addresses in 4a.
fn by_name_alone(way: &Way) -> bool {
    way.name.starts_with("twisted socks4a")
}

#[test]
fn a_client_proves_itself_behind_every_kind_of_proxy() {
    // SPEC X2, C20
    let Some(origin) = server("haproxy") else {
        return;
    };
    let [chain, key] = ["client.pem", "client.key"].map(|name| origin.pem(name));
    let nobody = trusting(&origin);
    let named = nobody.clone().identity_pem(&chain, &key).unwrap();
    let url = format!("https://localhost:{}/", origin.port_of("CLIENT_PORT"));
    for way in http_proxies().iter().chain(&socks_proxies()) {
        if way.intercepts {
            continue;
        }
        let session = session(&origin, way);
        for _ in 0..2 {
            let answer = taken(way, session.get(&url).tls(&named).send());
            let said = answer.text().unwrap();
            assert!(said.starts_with("client client "), "{}: {said}", way.name);
            // And not by the connection of whom it knows.
            for answer in [
                session.get(&url).tls(&nobody).send(),
                session.get(&url).tls(&nobody).start_send().wait(),
            ] {
                let error = answer.unwrap_err();
                assert_eq!(error.kind(), Kind::Tls, "{}: {error:#}", way.name);
            }
        }
        let stats = session.connector().stats();
        assert_eq!(stats.reused, 1, "{}: {stats:?}", way.name);
    }
}

#[test]
fn a_proxy_with_a_bad_certificate_is_refused() {
    // SPEC X1, C20
    let Some(origin) = server("nginx") else {
        return;
    };
    let Some(via) = server("stunnel") else {
        return;
    };
    let urls = [plain(&origin, "/1"), origin.tls_url("/1")];
    let session = Session::builder().connector(connector(trusting(&origin)));
    let session = session.build();
    let proxy = |host: &str, port| {
        let url = format!("https://{host}:{}", via.port_of(port));
        Proxy::all(url).unwrap().tls(&trusting(&via))
    };
    for (url, (port, host, why)) in product(&urls, &BAD) {
        let proxy = proxy(host, port);
        for answer in [
            session.get(url).proxy(proxy.clone()).send(),
            session.get(url).proxy(proxy.clone()).start_send().wait(),
        ] {
            let Err(error) = answer else {
                panic!("{port} was taken for {host}")
            };
            assert_refused(&error, why, port);
        }
    }
    for (url, (port, host)) in product(&urls, &GOOD) {
        let answer = session.get(url).proxy(proxy(host, port)).send();
        let answer = answer.unwrap_or_else(|error| panic!("{port}: {error:#}"));
        assert_eq!(answer.bytes().unwrap().len(), 1, "{port}");
    }
    let stats = session.connector().stats();
    assert_eq!((stats.in_use, stats.waiting), (0, 0), "{stats:?}");
}

fn product<'a, T: Copy>(urls: &'a [String], of: &'a [T]) -> impl Iterator<Item = (&'a str, T)> {
    let each = |url: &'a String| of.iter().map(move |one| (url.as_str(), *one));
    urls.iter().flat_map(each)
}

#[test]
fn a_proxy_of_an_unknown_authority_is_refused() {
    // SPEC X1, C20: good, but of one that this session does not know.
    let Some(origin) = server("nginx") else {
        return;
    };
    let ways = [
        way("stunnel https", "PORT", ""),
        way("squid https", "TLS_PORT", ""),
    ];
    for way in ways.into_iter().flatten() {
        let session = Session::builder().proxy(way.proxy.clone()).build();
        for url in [plain(&origin, "/1"), origin.tls_url("/1")] {
            for answer in [
                session.get(&url).send(),
                session.get(&url).start_send().wait(),
            ] {
                assert_refused(&answer.unwrap_err(), "UnknownIssuer", way.name);
            }
        }
    }
}
