//! Certificates as they are and as they should not be, shown by
//! `openssl s_server`: each bad one is refused with its kind, each good one taken.

use std::error::Error as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use miohttp::{
    Answer, Connector, Error, Kind, Phase, Query, Resolve, Response, Session, TlsConfig,
};

use crate::support::interop::{Server, server};

/// Every name is this machine.
pub(crate) struct Loopback;

impl Resolve for Loopback {
    fn resolve(&self, _: &Query, answer: Answer) {
        answer.addresses([Ipv4Addr::LOCALHOST.into()]);
    }
}

/// What has to be accepted: what shows it (certificates.sh), and for which host.
pub(super) const GOOD: [(&str, &str); 8] = [
    ("GOOD", "localhost"),
    ("GOOD", "127.0.0.1"),
    ("GOOD", "[::1]"),
    ("DIRECT", "localhost"),
    ("RSA2048", "localhost"),
    ("WILDCARD", "one.wild.test"),
    ("IP_ONLY", "127.0.0.1"),
    ("WITHIN_CONSTRAINTS", "host.allowed.test"),
];

/// What has to be refused, and a word of why.
pub(super) const BAD: [(&str, &str, &str); 15] = [
    ("EXPIRED", "localhost", "expired"),
    ("NOT_YET", "localhost", "not valid yet"),
    ("SELFSIGNED", "localhost", "UnknownIssuer"),
    ("UNTRUSTED", "localhost", "UnknownIssuer"),
    ("OTHER_HOST", "localhost", "not valid for name"),
    ("NO_INTERMEDIATE", "localhost", "UnknownIssuer"),
    ("CN_ONLY", "localhost", "not valid for name"),
    ("WRONG_EKU", "localhost", "extended key usage"),
    (
        "OUTSIDE_CONSTRAINTS",
        "localhost",
        "NameConstraintViolation",
    ),
    ("FROM_LEAF", "localhost", "EndEntityUsedAsCa"),
    // Its issuer, a leaf, is not told.
    ("FROM_LEAF_ALONE", "localhost", "UnknownIssuer"),
    ("RSA1024", "localhost", "BadSignature"),
    // A star stands for one label, and a name for no address.
    ("WILDCARD", "wild.test", "not valid for name"),
    ("WILDCARD", "one.two.wild.test", "not valid for name"),
    ("IP_ONLY", "localhost", "not valid for name"),
];

/// With the tests' own authority and no other.
pub(super) fn trusting(server: &Server) -> TlsConfig {
    let tls = TlsConfig::new().add_root_pem(&server.ca_pem()).unwrap();
    tls.builtin_roots(false)
}

/// The same with every provider of cryptography that is built in.
fn trusting_by_each(server: &Server) -> Vec<TlsConfig> {
    let tls = trusting(server);
    #[cfg(feature = "aws-lc-rs")]
    let by_another = vec![tls.clone().provider(miohttp::CryptoProvider::AwsLcRs)];
    #[cfg(not(feature = "aws-lc-rs"))]
    let by_another = Vec::new();
    [vec![tls], by_another].concat()
}

fn session(tls: TlsConfig) -> Session {
    Session::builder().connector(connector(tls)).build()
}

/// The servers listen on 127.0.0.1 alone, by whatever name they are asked for.
pub(super) fn connector(tls: TlsConfig) -> Connector {
    let here = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let builder = Connector::builder().tls(tls).resolver(Loopback);
    builder.host_override("::1", None, [here]).build()
}

/// By the caller's own hand, and by the reactor's.
fn ask(session: &Session, url: &str) -> [Result<Response, Error>; 2] {
    let get = || session.get(url);
    [get().send(), get().start_send().wait()]
}

fn openssl() -> Option<Arc<Server>> {
    server("openssl")
}

/// `https://HOST:PORT/`, by the name of the port.
fn url(server: &Server, host: &str, port: &str) -> String {
    format!("https://{host}:{}/", server.port_of(port))
}

#[test]
fn good_certificates_are_taken() {
    // SPEC C20
    let Some(server) = openssl() else { return };
    for session in trusting_by_each(&server).into_iter().map(session) {
        take_the_good(&server, &session);
    }
}

fn take_the_good(server: &Server, session: &Session) {
    let others = [
        ("ONLY_12", "localhost"),
        ("ONLY_13", "localhost"),
        ("ALPN", "localhost"),
        // It is on a list that nobody has shown this session.
        ("REVOKED", "localhost"),
    ];
    for (port, host) in GOOD.into_iter().chain(others) {
        for answer in ask(session, &url(server, host, port)) {
            let answer = answer.unwrap_or_else(|error| panic!("{port}: {error:#}"));
            assert_eq!(answer.status(), 200, "{port}");
            let tls = answer.tls_info().unwrap().clone();
            match port {
                "ONLY_12" => assert_eq!(tls.version(), "TLSv1.2"),
                _ => assert_eq!(tls.version(), "TLSv1.3"),
            }
            answer.bytes().unwrap();
        }
    }
}

#[test]
fn bad_certificates_are_refused_with_their_kind() {
    // SPEC C20, E2
    let Some(server) = openssl() else { return };
    for session in trusting_by_each(&server).into_iter().map(session) {
        refuse_the_bad(&server, &session);
    }
}

fn refuse_the_bad(server: &Server, session: &Session) {
    for (port, host, why) in BAD {
        for answer in ask(session, &url(server, host, port)) {
            let Err(error) = answer else {
                panic!("{port} was taken for {host}")
            };
            assert_refused(&error, why, port);
        }
    }
    let stats = session.connector().stats();
    assert_eq!((stats.in_use, stats.idle), (0, 0), "{stats:?}");
    // None of them did harm to the next.
    let good = url(server, "localhost", "GOOD");
    assert_eq!(session.get(good).send().unwrap().status(), 200);
}

/// For its certificate, and for this reason.
#[track_caller]
pub(super) fn assert_refused(error: &Error, why: &str, what: &str) {
    assert_eq!(error.kind(), Kind::Certificate, "{what}: {error:#}");
    assert_eq!(error.phase(), Some(Phase::Tls), "{what}");
    assert!(
        error.is_tls() && error.is_connect() && !error.is_timeout(),
        "{what}"
    );
    assert!(error.source().is_some(), "{what}");
    assert!(format!("{error:#}").contains(why), "{what}: {error:#}");
}

#[test]
fn a_server_that_speaks_no_tls_of_ours_is_refused() {
    // SPEC C20: TLS 1.1.
    let Some(server) = openssl() else { return };
    let session = session(trusting(&server));
    for answer in ask(&session, &url(&server, "localhost", "ONLY_11")) {
        let error = answer.unwrap_err();
        assert_eq!(error.kind(), Kind::Tls, "{error:#}");
    }
}

#[test]
fn a_session_that_verifies_nothing_takes_them_all() {
    // SPEC C20, P1
    let Some(server) = openssl() else { return };
    let lenient = session(TlsConfig::new().danger_accept_invalid_certs(true));
    for port in [
        "EXPIRED",
        "SELFSIGNED",
        "OTHER_HOST",
        "CN_ONLY",
        "WRONG_EKU",
        "FROM_LEAF",
        "FROM_LEAF_ALONE",
    ] {
        let url = url(&server, "localhost", port);
        for answer in ask(&lenient, &url) {
            assert_eq!(answer.unwrap().status(), 200, "{port}");
        }
        // A request with settings of its own is not served by what they opened.
        let strict = lenient.get(&url).tls(&trusting(&server)).send();
        assert_eq!(strict.unwrap_err().kind(), Kind::Certificate, "{port}");
    }
}
