//! Through proxies that others wrote: squid, tinyproxy, stunnel before tinyproxy,
//! mitmproxy, dante, Twisted and microsocks, each kind with and without a login.

use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use miohttp::{
    Auth, Connector, DigestAuth, Error, Kind, Phase, Proxy, Response, Session, TlsConfig, wait_all,
};

use super::assert_pattern;
use crate::support::fetch::{Scratch, fetch};
use crate::support::interop::{Server, server};
use crate::support::refusing_address;

/// One way to a server: a proxy, and what is to be said to it.
pub(super) struct Way {
    pub(super) name: &'static str,
    pub(super) via: Arc<Server>,
    /// The port that is connected to.
    pub(super) port: u16,
    pub(super) proxy: Proxy,
    /// How many requests the first one costs.
    pub(super) attempts: u32,
    /// Whether the proxy answers the TLS of a tunnel by itself.
    pub(super) intercepts: bool,
}

impl Way {
    /// Whether it keeps a connection for the next request, where it is no tunnel:
    /// tinyproxy does not, and does not say so.
    pub(super) fn keeps(&self) -> bool {
        !self.name.starts_with("tinyproxy") && !self.name.starts_with("stunnel")
    }
}

/// The servers of the tests, and what trusts all of them.
pub(super) fn session(origin: &Server, way: &Way) -> Session {
    let mut tls = TlsConfig::new().add_root_pem(&origin.ca_pem()).unwrap();
    if way.intercepts {
        tls = tls.add_root_pem(&way.via.file_of("MITM_CA")).unwrap();
    }
    let connector = Connector::builder().tls(tls).build();
    let builder = Session::builder().connector(connector);
    builder.proxy(way.proxy.clone()).build()
}

/// `name` is the server, the scheme, and what of it is meant.
pub(super) fn way(name: &'static str, port: &str, login: &str) -> Option<Way> {
    let mut words = name.split(' ');
    let (server_name, scheme) = (words.next()?, words.next()?);
    let via = server(server_name)?;
    let port = via.port_of(port);
    let host = if scheme == "https" {
        "localhost"
    } else {
        "127.0.0.1"
    };
    let proxy = Proxy::all(format!("{scheme}://{login}{host}:{port}")).unwrap();
    Some(Way {
        name,
        port,
        proxy,
        attempts: 1,
        intercepts: server_name == "mitmproxy",
        via,
    })
}

/// Those that are installed.
pub(super) fn http_proxies() -> Vec<Way> {
    let digest = || DigestAuth::new("user", "pass word").into();
    let asked = |way: Way, auth: Auth| Way {
        proxy: way.proxy.auth(auth),
        attempts: 2,
        ..way
    };
    [
        way("squid http", "PORT", ""),
        way("squid http Basic", "BASIC_PORT", "user:pass%20word@"),
        way("squid http Digest", "DIGEST_PORT", "").map(|way| asked(way, digest())),
        way("squid http any", "BOTH_PORT", "")
            .map(|way| asked(way, Auth::any("user", "pass word"))),
        way("squid https", "TLS_PORT", ""),
        way("squid https Digest", "TLS_DIGEST_PORT", "").map(|way| asked(way, digest())),
        way("tinyproxy http", "PORT", ""),
        way("tinyproxy http Basic", "AUTH_PORT", "user:pass@"),
        way("stunnel https", "PORT", ""),
        way("stunnel https Basic", "AUTH_PORT", "user:pass@"),
        way("mitmproxy http", "PORT", ""),
        way("mitmproxy http Basic", "AUTH_PORT", "user:pass@"),
        way("mitmproxy https", "PORT", ""),
    ]
    .into_iter()
    .flatten()
    .map(trusted)
    .collect()
}

pub(super) fn socks_proxies() -> Vec<Way> {
    [
        way("dante socks4", "PORT", ""),
        way("dante socks4 login", "PORT", "somebody@"),
        way("dante socks5", "PORT", ""),
        way("dante socks5h", "PORT", ""),
        way("twisted socks4", "PORT", ""),
        way("twisted socks4a", "PORT", ""),
        way("twisted socks4 login", "AUTH_PORT", "some%20body@"),
        way("twisted socks4a login", "AUTH_PORT", "some%20body@"),
        way("microsocks socks5", "PORT", ""),
        way("microsocks socks5h", "PORT", ""),
        way("microsocks socks5 login", "AUTH_PORT", "user:pass@"),
        way("microsocks socks5h login", "AUTH_PORT", "user:pass@"),
        way("mitmproxy socks5", "SOCKS_PORT", ""),
        way("mitmproxy socks5h", "SOCKS_PORT", ""),
        way("mitmproxy socks5 login", "SOCKS_AUTH_PORT", "user:pass@"),
        way("mitmproxy socks5h login", "SOCKS_AUTH_PORT", "user:pass@"),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// What a proxy that is spoken to by TLS has to prove.
pub(super) fn trusted(way: Way) -> Way {
    let tls = TlsConfig::new().add_root_pem(&way.via.ca_pem()).unwrap();
    let tls = match way.intercepts {
        true => tls.add_root_pem(&way.via.file_of("MITM_CA")).unwrap(),
        false => tls,
    };
    Way {
        proxy: way.proxy.tls(&tls),
        ..way
    }
}

/// By name: Twisted knows no addresses in 4a.
pub(super) fn plain(origin: &Server, path: &str) -> String {
    format!("http://localhost:{}{path}", origin.port)
}

pub(super) fn taken(way: &Way, answer: Result<Response, Error>) -> Response {
    let answer = answer.unwrap_or_else(|error| panic!("{}: {error:#}", way.name));
    assert_eq!(answer.status(), 200, "{}", way.name);
    // Not past the proxy.
    assert_eq!(
        answer.remote_addr().unwrap().port(),
        way.port,
        "{}",
        way.name
    );
    answer
}

#[test]
fn http_goes_through_every_kind_of_proxy() {
    // SPEC X1, X2, X3, H10
    let Some(origin) = server("nginx") else {
        return;
    };
    for way in http_proxies().iter().chain(&socks_proxies()) {
        let session = session(&origin, way);
        let url = plain(&origin, "/64k");
        let first = taken(way, session.get(&url).send());
        assert_eq!(first.attempts(), way.attempts, "{}", way.name);
        assert!(first.proxy_headers().is_none(), "{}", way.name);
        assert_pattern(&first.bytes().unwrap(), 65536);
        // Who was asked once answers at once.
        let second = taken(way, session.get(&url).start_send().wait());
        if way.keeps() {
            assert!(second.is_reused(), "{}", way.name);
            assert_eq!(second.attempts(), 1, "{}", way.name);
        }
        assert_pattern(&second.bytes().unwrap(), 65536);
        // What may be sent again where the connection turns out to be closed.
        let upload = session.put(plain(&origin, "/upload")).body("hello");
        assert_eq!(taken(way, upload.send()).text().unwrap(), "PUT 5\n");
    }
}

#[test]
fn https_goes_through_every_kind_of_proxy() {
    // SPEC X1, X2, X3: TLS in TLS where the proxy is spoken to by TLS.
    let Some(origin) = server("nginx") else {
        return;
    };
    for way in http_proxies().iter().chain(&socks_proxies()) {
        let session = session(&origin, way);
        let url = origin.tls_url("/64k");
        for started in [true, false] {
            let get = session.get(&url);
            let answer = match started {
                true => get.start_send().wait(),
                false => get.send(),
            };
            let answer = taken(way, answer);
            assert_eq!(answer.is_reused(), !started, "{}", way.name);
            let tls = answer.tls_info().unwrap();
            assert_eq!(tls.server_name(), "localhost", "{}", way.name);
            assert_eq!(answer.attempts(), if started { way.attempts } else { 1 });
            assert_pattern(&answer.bytes().unwrap(), 65536);
        }
        let upload = session.post(origin.tls_url("/upload")).body("hello");
        assert_eq!(taken(way, upload.send()).text().unwrap(), "POST 5\n");
    }
}

#[test]
fn a_caller_opens_tunnels_with_its_own_hands() {
    // SPEC X2: the first request is a blocked one, here.
    let Some(origin) = server("nginx") else {
        return;
    };
    for way in http_proxies().iter().chain(&socks_proxies()) {
        let session = session(&origin, way);
        let answer = taken(way, session.get(origin.tls_url("/chunked/64k")).send());
        assert_pattern(&answer.bytes().unwrap(), 65536);
    }
}

#[test]
fn http_goes_through_tunnels_where_that_is_wanted() {
    // SPEC X2, X4: `Proxy::tunnel`, and what the proxy said to the CONNECT.
    let Some(origin) = server("nginx") else {
        return;
    };
    for way in http_proxies() {
        let way = Way {
            proxy: way.proxy.tunnel(true),
            ..way
        };
        let session = session(&origin, &way);
        for _ in 0..2 {
            let answer = taken(&way, session.get(plain(&origin, "/64k")).send());
            let said = answer.proxy_headers().expect("the reply to the CONNECT");
            if way.name.starts_with("tinyproxy") {
                assert!(said.contains_key("proxy-agent"), "{said:?}");
            }
            assert!(!answer.headers().contains_key("via"), "{}", way.name);
            assert_pattern(&answer.bytes().unwrap(), 65536);
        }
        assert_eq!(session.connector().stats().reused, 1, "{}", way.name);
    }
}

#[test]
fn fifty_at_once_go_through_a_proxy() {
    // SPEC X2, C3
    let Some(origin) = server("nginx") else {
        return;
    };
    for way in http_proxies().iter().chain(&socks_proxies()) {
        // What costs a process for each connection there would only be slow.
        if way.intercepts {
            continue;
        }
        let session = session(&origin, way);
        let urls = [plain(&origin, "/64k"), origin.tls_url("/64k")];
        let pending: Vec<_> = (0..50)
            .map(|i| session.get(&urls[i % 2]).start_send())
            .collect();
        for answer in wait_all(pending) {
            assert_pattern(&taken(way, answer).bytes().unwrap(), 65536);
        }
        let stats = session.connector().stats();
        assert_eq!((stats.in_use, stats.waiting), (0, 0), "{}", way.name);
    }
}

#[test]
fn large_bodies_go_through_tls_in_tls() {
    // SPEC X1, X2
    let Some(origin) = server("nginx") else {
        return;
    };
    let ways = [
        way("stunnel https", "PORT", "").map(trusted),
        way("squid https", "TLS_PORT", "").map(trusted),
    ];
    for way in ways.into_iter().flatten() {
        let session = session(&origin, &way);
        for started in [false, true] {
            let get = session.get(origin.tls_url("/100m"));
            let answer = match started {
                true => get.start_send().wait(),
                false => get.send(),
            };
            assert_pattern(&taken(&way, answer).bytes().unwrap(), 100 << 20);
        }
        assert_eq!(session.connector().stats().opened, 1, "{}", way.name);
    }
}

#[test]
fn one_connection_to_a_proxy_serves_all_origins() {
    // SPEC P1, X2
    let Some(origin) = server("nginx") else {
        return;
    };
    let Some(other) = server("haproxy") else {
        return;
    };
    let Some(way) = way("squid http", "PORT", "") else {
        return;
    };
    let session = session(&origin, &way);
    for url in [plain(&origin, "/1"), other.url("/"), plain(&origin, "/1")] {
        taken(&way, session.get(url).send()).bytes().unwrap();
    }
    let stats = session.connector().stats();
    assert_eq!((stats.opened, stats.reused), (1, 2));
}

#[test]
fn a_proxy_that_cannot_or_will_not_is_an_error() {
    // SPEC X4
    let Some(origin) = server("nginx") else {
        return;
    };
    let nobody = format!("https://{}/", refusing_address());
    let forbidden = "http://127.0.0.1:9/".to_owned();
    for (name, port, login, url, kind) in [
        ("squid http", "PORT", "", &nobody, Kind::ProxyRefused),
        ("tinyproxy http", "PORT", "", &nobody, Kind::ProxyRefused),
        ("microsocks socks5", "PORT", "", &nobody, Kind::ProxyConnect),
        ("twisted socks4", "PORT", "", &nobody, Kind::ProxyConnect),
        ("dante socks4", "PORT", "", &nobody, Kind::ProxyConnect),
        ("dante socks4", "PORT", "", &forbidden, Kind::ProxyConnect),
        ("dante socks5", "PORT", "", &nobody, Kind::ProxyConnect),
        ("dante socks5h", "PORT", "", &forbidden, Kind::ProxyConnect),
    ] {
        let Some(way) = way(name, port, login) else {
            continue;
        };
        let session = session(&origin, &way);
        for answer in [
            session.get(url).send(),
            session.get(url).start_send().wait(),
        ] {
            let error = answer.unwrap_err();
            assert_eq!(error.kind(), kind, "{name}: {error:#}");
            assert!(error.is_proxy() && !error.is_timeout(), "{name}");
            assert_eq!(error.phase(), Some(Phase::Proxy), "{name}");
        }
        assert_eq!(session.connector().stats().in_use, 0);
    }
}

#[test]
fn a_proxy_that_is_not_there_is_an_error() {
    // SPEC X4
    let Some(origin) = server("nginx") else {
        return;
    };
    for scheme in ["http", "https", "socks4", "socks4a", "socks5", "socks5h"] {
        let proxy = Proxy::all(format!("{scheme}://{}", refusing_address())).unwrap();
        let session = Session::builder().proxy(proxy).build();
        for url in [plain(&origin, "/1"), origin.tls_url("/1")] {
            for answer in [
                session.get(&url).send(),
                session.get(&url).start_send().wait(),
            ] {
                let error = answer.unwrap_err();
                assert_eq!(error.kind(), Kind::ProxyConnect, "{scheme}: {error:#}");
                assert!(error.is_proxy() && error.is_connect(), "{scheme}");
            }
        }
    }
}

#[test]
fn a_proxy_that_dies_fails_what_goes_through_it_and_nothing_else() {
    // SPEC X4, R37
    let Some(origin) = server("nginx") else {
        return;
    };
    for (name, scheme) in [
        ("tinyproxy", "http"),
        ("microsocks", "socks5"),
        ("stunnel", "https"),
    ] {
        let Some(via) = crate::support::interop::start(name) else {
            continue;
        };
        let via = Arc::new(via);
        let way = trusted(Way {
            name,
            port: via.port,
            proxy: Proxy::all(format!("{scheme}://localhost:{}", via.port)).unwrap(),
            attempts: 1,
            intercepts: false,
            via: Arc::clone(&via),
        });
        let session = session(&origin, &way);
        let mut broken: Vec<Response> = [plain(&origin, "/100m"), origin.tls_url("/100m")]
            .iter()
            .map(|url| taken(&way, session.get(url).send()))
            .collect();
        let direct = session.get(origin.tls_url("/100m")).no_proxy();
        let unharmed = direct.send().unwrap();
        for body in &mut broken {
            assert!(!body.chunk().unwrap().unwrap().is_empty());
        }
        via.kill();
        for mut body in broken {
            let error = loop {
                match body.chunk() {
                    Ok(Some(_)) => {}
                    Ok(None) => panic!("{name}: a whole body of a broken tunnel"),
                    Err(error) => break error,
                }
            };
            assert!(
                matches!(error.kind(), Kind::Payload | Kind::Disconnected),
                "{name}: {error:#}"
            );
            assert!(!error.is_timeout());
        }
        let error = session.get(origin.tls_url("/1")).send().unwrap_err();
        assert_eq!(error.kind(), Kind::ProxyConnect, "{name}: {error:#}");
        assert_pattern(&unharmed.bytes().unwrap(), 100 << 20);
        let stats = session.connector().stats();
        assert_eq!((stats.in_use, stats.waiting), (0, 0), "{name}: {stats:?}");
    }
}

#[test]
fn a_proxy_of_the_environments_kind_is_bypassed_by_its_list() {
    // SPEC X7, X8: the request's word goes before the session's.
    let Some(origin) = server("nginx") else {
        return;
    };
    let nobody = Proxy::all(format!("http://{}", refusing_address())).unwrap();
    let spared = nobody
        .clone()
        .no_proxy(miohttp::NoProxy::parse("127.0.0.0/8").unwrap());
    let session = Session::builder().proxy(spared).build();
    assert_eq!(session.get(origin.url("/1")).send().unwrap().status(), 200);
    let error = session.get(plain(&origin, "/1")).send().unwrap_err();
    assert_eq!(error.kind(), Kind::ProxyConnect);
    let direct = session.get(plain(&origin, "/1")).no_proxy().send();
    assert_eq!(direct.unwrap().status(), 200);
    let error = session.get(origin.url("/1")).proxy(nobody).send();
    assert_eq!(error.unwrap_err().kind(), Kind::ProxyConnect);
    if let Some(way) = way("squid http", "PORT", "") {
        let through = session.get(origin.url("/1")).proxy(way.proxy.clone());
        let through = through.timeout(Duration::from_secs(30)).send();
        assert!(taken(&way, through).headers().contains_key("via"));
    }
}

#[test]
fn fetch_goes_through_a_proxy_as_curl_does() {
    // SPEC X1
    let Some(origin) = server("nginx") else {
        return;
    };
    let scratch = Scratch::new("proxy");
    for (name, port, login) in [
        ("squid http", "BASIC_PORT", "user:pass%20word@"),
        ("tinyproxy http", "PORT", ""),
        ("dante socks4", "PORT", ""),
        ("twisted socks4a", "PORT", ""),
        ("twisted socks4", "AUTH_PORT", "some%20body@"),
        ("twisted socks4a", "AUTH_PORT", "some%20body@"),
        ("microsocks socks5", "AUTH_PORT", "user:pass@"),
        ("microsocks socks5h", "AUTH_PORT", "user:pass@"),
    ] {
        let Some(way) = way(name, port, login) else {
            continue;
        };
        let scheme = name.split(' ').nth(1).unwrap();
        let proxy = format!("{scheme}://{login}127.0.0.1:{}", way.port);
        for url in [plain(&origin, "/64k"), origin.tls_url("/chunked/64k")] {
            let [by_curl, by_fetch] = ["curl", "fetch"].map(|who| {
                let mut command = match who {
                    "curl" => Command::new("curl"),
                    _ => fetch(),
                };
                if who == "curl" {
                    command.arg("-sS");
                }
                let into = scratch.0.join(who);
                command
                    .args(["-x", &proxy])
                    .arg("--cacert")
                    .arg(&origin.ca_path);
                let output = command.arg("-o").arg(&into).arg(&url).output().unwrap();
                assert!(output.status.success(), "{who}, {name}: {output:?}");
                fs::read(into).unwrap()
            });
            assert_pattern(&by_fetch, 65536);
            assert!(by_curl == by_fetch, "{name}");
        }
    }
    // curl's exit code for a proxy that cannot be reached.
    let nobody = format!("http://{}", refusing_address());
    let output = fetch()
        .args(["-x", &nobody, &plain(&origin, "/1")])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(7), "{output:?}");
}
