//! What a client shows and asks for in TLS, against openssl, haproxy, nginx and
//! stunnel: certificates of its own, pins, versions, names, lists of revoked ones.

use std::process::{Command, Stdio};
use std::sync::Arc;

use miohttp::{Connector, Identity, Kind, Pin, Proxy, Session, TlsConfig, TlsVersion};

use crate::support::interop::{self, Server, server};

fn trusting(server: &Server) -> TlsConfig {
    let tls = TlsConfig::new().add_root_pem(&server.ca_pem()).unwrap();
    tls.builtin_roots(false)
}

/// The tests' own client, or the one of another authority.
fn identity(server: &Server, name: &str) -> Identity {
    let [chain, key] = ["pem", "key"].map(|end| server.pem(&format!("{name}.{end}")));
    Identity::from_pem(&chain, &key).unwrap()
}

fn session(tls: TlsConfig) -> Session {
    let connector = Connector::builder().tls(tls).build();
    Session::builder().connector(connector).build()
}

fn url(server: &Server, port: &str) -> String {
    format!("https://localhost:{}/client", server.port_of(port))
}

/// Those that ask for a certificate, and what they say to the right one.
fn askers() -> impl Iterator<Item = (Arc<Server>, &'static str)> {
    [
        ("openssl", ""),
        ("haproxy", "client client "),
        ("nginx", "CN=client"),
    ]
    .into_iter()
    .filter_map(|(name, says)| Some((server(name)?, says)))
}

/// haproxy and openssl call the port otherwise.
fn asking_port(server: &Server) -> &'static str {
    match server.has_port("CLIENT") {
        true => "CLIENT",
        false => "CLIENT_PORT",
    }
}

#[test]
fn a_client_proves_who_it_is() {
    // SPEC C20
    for (server, says) in askers() {
        let url = url(&server, asking_port(&server));
        for version in [TlsVersion::V12, TlsVersion::V13] {
            let tls = trusting(&server).max_version(version);
            let session = session(tls.clone().identity(&identity(&server, "client")));
            for answer in [
                session.get(&url).send(),
                session.get(&url).start_send().wait(),
            ] {
                let answer = answer.unwrap();
                assert_eq!(answer.status(), 200, "{url}");
                let text = answer.text().unwrap();
                assert!(text.starts_with(says), "{text}");
            }
            for (who, tls) in [
                ("nobody", tls.clone()),
                (
                    "a stranger",
                    tls.identity(&identity(&server, "client-untrusted")),
                ),
            ] {
                // Such a request shares no connection with those above (P1).
                for answer in [
                    session.get(&url).tls(&tls).send(),
                    session.get(&url).tls(&tls).start_send().wait(),
                ] {
                    match answer {
                        // nginx lets everybody in and says no in HTTP.
                        Ok(answer) => assert_eq!(answer.status(), 400, "{who}: {url}"),
                        Err(error) => assert_eq!(error.kind(), Kind::Tls, "{who}: {error:#}"),
                    }
                }
            }
        }
    }
}

#[test]
fn a_certificate_is_shown_where_it_is_asked_for_alone() {
    // SPEC C20, P1
    let Some(server) = server("haproxy") else {
        return;
    };
    let plain = trusting(&server);
    let named = plain.clone().identity(&identity(&server, "client"));
    let session = session(plain);
    let url = url(&server, "MAYBE_PORT");
    for _ in 0..2 {
        let text = session.get(&url).send().unwrap().text().unwrap();
        assert!(text.starts_with("client  TLS"), "{text}");
        let text = session
            .get(&url)
            .tls(&named)
            .send()
            .unwrap()
            .text()
            .unwrap();
        assert!(text.starts_with("client client TLS"), "{text}");
    }
    let stats = session.connector().stats();
    assert_eq!((stats.opened, stats.reused), (2, 2));
}

#[test]
fn a_client_proves_itself_through_a_proxy() {
    // SPEC C20, X2
    let Some(server) = server("haproxy") else {
        return;
    };
    let Some(via) = interop::server("stunnel") else {
        return;
    };
    let named = trusting(&server).identity(&identity(&server, "client"));
    let url = url(&server, "CLIENT_PORT");
    let proxy = |port, tls: &TlsConfig| {
        let url = format!("https://localhost:{}", via.port_of(port));
        Proxy::all(url).unwrap().tls(tls)
    };
    // To the proxy, to the server, to both: each is asked by its own settings.
    let session = session(named.clone());
    let through = proxy("PORT", &trusting(&via));
    let text = session.get(&url).proxy(through).send().unwrap().text();
    assert!(text.unwrap().starts_with("client client "));
    let through = proxy("CLIENT_PORT", &named);
    let text = session.get(&url).proxy(through).send().unwrap().text();
    assert!(text.unwrap().starts_with("client client "));
    let through = proxy("CLIENT_PORT", &trusting(&via));
    let error = session.get(&url).proxy(through).send().unwrap_err();
    assert_eq!(error.kind(), Kind::Tls, "{error:#}");
}

#[test]
fn pins_are_those_that_openssl_computes() {
    // SPEC C21
    let Some(server) = server("openssl") else {
        return;
    };
    let certificate = digest("openssl x509 -outform DER", &server.pem("good.pem"));
    let key = "openssl x509 -pubkey -noout | openssl pkey -pubin -outform DER";
    let key = digest(key, &server.pem("good.pem"));
    let good = format!("https://localhost:{}/", server.port_of("GOOD"));
    let other = format!("https://localhost:{}/", server.port_of("RSA2048"));
    for pin in [Pin::Certificate(certificate), Pin::Spki(key)] {
        // Beside a spare one that is not there yet.
        let tls = trusting(&server).pin(Pin::Spki([7; 32])).pin(pin);
        let session = session(tls);
        assert_eq!(session.get(&good).send().unwrap().status(), 200);
        for answer in [
            session.get(&other).send(),
            session.get(&other).start_send().wait(),
        ] {
            let error = answer.unwrap_err();
            assert_eq!(error.kind(), Kind::Fingerprint, "{error:#}");
            assert!(error.is_tls() && error.fingerprints().is_some());
        }
        // A pin is not instead of the rest.
        let expired = format!("https://localhost:{}/", server.port_of("EXPIRED"));
        let error = session.get(expired).send().unwrap_err();
        assert_eq!(error.kind(), Kind::Certificate, "{error:#}");
    }
}

/// The SHA-256 of what this command makes of a certificate.
fn digest(command: &str, pem: &[u8]) -> [u8; 32] {
    use std::io::Write;
    let mut child = Command::new("bash")
        .arg("-c")
        .arg(format!("{command} | openssl dgst -sha256 -binary"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(pem).unwrap();
    child.wait_with_output().unwrap().stdout.try_into().unwrap()
}

#[test]
fn a_revoked_certificate_is_refused_by_its_list() {
    // SPEC C20
    let Some(server) = server("openssl") else {
        return;
    };
    let tls = trusting(&server).add_crl(&server.pem("crl.pem")).unwrap();
    let session = session(tls.crl_leaf_only(true));
    let good = format!("https://localhost:{}/", server.port_of("GOOD"));
    assert_eq!(session.get(good).send().unwrap().status(), 200);
    let revoked = format!("https://localhost:{}/", server.port_of("REVOKED"));
    for answer in [
        session.get(&revoked).send(),
        session.get(&revoked).start_send().wait(),
    ] {
        let error = answer.unwrap_err();
        assert_eq!(error.kind(), Kind::Certificate, "{error:#}");
        assert!(format!("{error:#}").contains("revoked"), "{error:#}");
    }
}

#[test]
fn versions_that_do_not_meet_are_an_error() {
    // SPEC C20
    let Some(server) = server("openssl") else {
        return;
    };
    let old = session(trusting(&server).max_version(TlsVersion::V12));
    let new = session(trusting(&server).min_version(TlsVersion::V13));
    for (session, meets, misses) in [(old, "ONLY_12", "ONLY_13"), (new, "ONLY_13", "ONLY_12")] {
        let meets = format!("https://localhost:{}/", server.port_of(meets));
        assert_eq!(session.get(meets).send().unwrap().status(), 200);
        let misses = format!("https://localhost:{}/", server.port_of(misses));
        let error = session.get(misses).send().unwrap_err();
        assert_eq!(error.kind(), Kind::Tls, "{error:#}");
    }
}

#[test]
fn protocols_are_agreed_upon() {
    // SPEC C20: ALPN.
    let Some(server) = server("openssl") else {
        return;
    };
    let url = format!("https://localhost:{}/", server.port_of("ALPN"));
    let answer = session(trusting(&server)).get(&url).send().unwrap();
    assert_eq!(answer.tls_info().unwrap().alpn(), Some(&b"http/1.1"[..]));
    let stranger = session(trusting(&server).alpn(["something-else"]));
    let error = stranger.get(&url).send().unwrap_err();
    assert_eq!(error.kind(), Kind::Tls, "{error:#}");
}

#[test]
fn another_name_is_asked_for_and_proven() {
    // SPEC Q17
    if let Some(server) = server("openssl") {
        let url = format!("https://localhost:{}/", server.port_of("OTHER_HOST"));
        let session = session(trusting(&server));
        let answer = session.get(&url).server_name("other.test").send().unwrap();
        assert_eq!(answer.status(), 200);
        // Not by the connection that was for that name.
        let error = session.get(&url).send().unwrap_err();
        assert_eq!(error.kind(), Kind::Certificate, "{error:#}");
    }
    // haproxy tells the name that it was asked for.
    let Some(server) = server("haproxy") else {
        return;
    };
    let asked = |session: &Session, url: String| {
        let text = session.get(url).send().unwrap().text().unwrap();
        text.rsplit(' ').next().unwrap().to_owned()
    };
    let tls = trusting(&server);
    let silent = session(tls.clone().sni(false));
    let telling = session(tls);
    assert_eq!(asked(&telling, server.tls_url("/")), "localhost");
    assert_eq!(asked(&silent, server.tls_url("/")), "");
    // An address is no name to tell.
    let address = format!("https://127.0.0.1:{}/", server.tls_port);
    assert_eq!(asked(&telling, address), "");
}
