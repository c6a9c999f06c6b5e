//! What https says and speaks: client certificates, versions, ALPN, server names,
//! resumption, the log of keys, and configurations that were made elsewhere.
#![cfg(feature = "tls")]

mod support;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use miohttp::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use miohttp::rustls::crypto::{CryptoProvider, ring};
use miohttp::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use miohttp::rustls::{self, ClientConfig, DigitallySignedStruct, SignatureScheme};
use miohttp::{Connector, Error, Identity, Kind, Phase, Session, TlsConfig, TlsVersion};
use support::tls::{ca_der, ca_pem, client_identity};
use support::{Certificate, Peer, TlsOptions, WATCHDOG, ok};

fn trusting() -> TlsConfig {
    let tls = TlsConfig::new().builtin_roots(false);
    tls.add_root_pem(ca_pem().as_bytes()).expect("good PEM")
}

/// One session whose callers drive their connections, and one whose reactor does.
fn sessions(tls: &TlsConfig) -> [Session; 2] {
    [true, false].map(|drives| {
        let connector = Connector::builder().tls(tls.clone()).caller_drives(drives);
        Session::builder().connector(connector.build()).build()
    })
}

/// What both say of this peer.
fn fetch(tls: &TlsConfig, options: &TlsOptions) -> [Result<String, Error>; 2] {
    let peer = Peer::serve_tls(options.clone(), |_| ok("hello"));
    let url = peer.url_for("localhost", "/");
    sessions(tls).map(|session| {
        let text = session
            .get(&*url)
            .send()
            .and_then(|response| response.text());
        // At once, but for the moment in which an idle connection is looked at, since
        // its socket has told of what was read already.
        let start = Instant::now();
        while session.connector().stats().in_use != 0 {
            assert!(start.elapsed() < WATCHDOG, "a slot is still in use");
            thread::yield_now();
        }
        text
    })
}

#[track_caller]
fn answered(tls: &TlsConfig, options: &TlsOptions) {
    for text in fetch(tls, options) {
        assert_eq!(text.expect("an answer"), "hello");
    }
}

/// A configuration that cannot be is an error of the request.
#[track_caller]
fn unusable(tls: &TlsConfig, why: &str) {
    for error in fetch(tls, &TlsOptions::default()) {
        let error = error.expect_err("no such configuration");
        assert_eq!(
            (error.kind(), error.phase()),
            (Kind::Tls, Some(Phase::Request))
        );
        assert!(error.to_string().contains(why), "{error}");
    }
}

#[test]
fn a_client_certificate_is_shown_where_it_is_asked_for() {
    // SPEC C20
    let (chain, key) = client_identity(true);
    let identity = Identity::from_pem(chain.as_bytes(), key.as_bytes()).expect("a pair");
    let tls = trusting().identity(&identity);
    let same = trusting().identity_pem(chain.as_bytes(), key.as_bytes());
    let asked = TlsOptions::default().client_auth(true);
    let asked_12 = TlsOptions::default().client_auth_tls12(true);
    for tls in [tls, same.expect("a pair")] {
        for options in [&asked, &asked_12] {
            answered(&tls, options);
            assert!(options.seen().iter().all(|seen| seen.certificates == 1));
        }
        let optional = TlsOptions::default().client_auth(false);
        answered(&tls, &optional);
        assert!(optional.seen().iter().all(|seen| seen.certificates == 1));
        // Nobody is told who does not ask.
        let indifferent = TlsOptions::default();
        answered(&tls, &indifferent);
        assert!(indifferent.seen().iter().all(|seen| seen.certificates == 0));
    }
    let optional = TlsOptions::default().client_auth(false);
    answered(&trusting(), &optional);
    assert!(optional.seen().iter().all(|seen| seen.certificates == 0));
}

#[test]
fn a_server_that_refuses_the_client_is_a_tls_error() {
    // SPEC C20, E2
    let (chain, key) = client_identity(false);
    let stranger = trusting().identity_pem(chain.as_bytes(), key.as_bytes());
    let stranger = stranger.expect("a pair");
    for options in [
        TlsOptions::default().client_auth(true),
        TlsOptions::default().client_auth_tls12(true),
    ] {
        for tls in [&trusting(), &stranger] {
            for error in fetch(tls, &options) {
                let error = error.expect_err("the server wants another client");
                assert_eq!(error.kind(), Kind::Tls, "{error:#}");
                assert!(error.is_tls() && !error.is_retryable());
                assert!(error.to_string().contains("alert"), "{error}");
            }
        }
    }
    // TLS 1.3 has an alert that says it, behind the client's handshake.
    for error in fetch(&trusting(), &TlsOptions::default().client_auth(true)) {
        let said = error.expect_err("none was shown").to_string();
        assert!(said.contains("it requires a client certificate"), "{said}");
    }
}

#[test]
fn keys_of_every_form_are_read_and_others_refused() {
    // SPEC C20
    let sec1 = include_str!("support/keys/ec_sec1.pem");
    let pkcs1 = include_str!("support/keys/rsa_pkcs1.pem");
    let pkcs8 = include_str!("support/keys/rsa_pkcs8.pem");
    let (chain, key) = client_identity(true);
    for other in [sec1, pkcs1, pkcs8] {
        // Read well, and not that of the certificate.
        let error = Identity::from_pem(chain.as_bytes(), other.as_bytes());
        let error = error.expect_err("another key");
        assert_eq!(error.kind(), Kind::InvalidRequest);
        assert_eq!(error.phase(), Some(Phase::Request));
        let said = error.to_string();
        assert!(
            said.contains("does not belong to the certificate"),
            "{said}"
        );
    }
    let key_pair = rcgen::KeyPair::from_pem(pkcs8).expect("ring reads it");
    let params = rcgen::CertificateParams::new(["client.test".to_owned()]).expect("a name");
    let rsa = params.self_signed(&key_pair).expect("ring signs it").pem();
    for key in [pkcs1, pkcs8] {
        Identity::from_pem(rsa.as_bytes(), key.as_bytes()).expect("the same key in both forms");
    }
    for (chain, key) in [("", &*key), (&*chain, ""), (&*key, &*chain), ("x", "y")] {
        let error = Identity::from_pem(chain.as_bytes(), key.as_bytes());
        let error = error.expect_err("no pair");
        assert_eq!(error.kind(), Kind::InvalidRequest, "{error:#}");
    }
    // From files: both in one, or one that is not there.
    let file = Scratch::new("identity");
    std::fs::write(&file.0, format!("{chain}{key}")).expect("a file");
    let identity = Identity::from_files(&file.0, &file.0).expect("both are in it");
    assert!(!format!("{identity:?}").contains("PRIVATE"));
    let missing = file.0.with_extension("missing");
    let error = Identity::from_files(&file.0, missing).expect_err("no such file");
    assert!(error.to_string().contains("missing"), "{error}");
    answered(
        &trusting().identity(&identity),
        &TlsOptions::default().client_auth(true),
    );
}

#[test]
fn versions_are_those_that_were_asked_for() {
    // SPEC C20
    use TlsVersion::{V12, V13};
    for (min, max, expected) in [(V12, V13, "1.3"), (V12, V12, "1.2"), (V13, V13, "1.3")] {
        let tls = trusting().min_version(min).max_version(max);
        let options = TlsOptions::default();
        answered(&tls, &options);
        assert!(options.seen().iter().all(|seen| seen.version == expected));
    }
    for (tls, options) in [
        (trusting().min_version(V13), TlsOptions::only_tls12()),
        (trusting().max_version(V12), TlsOptions::only_tls13()),
    ] {
        for error in fetch(&tls, &options) {
            let error = error.expect_err("none in common");
            assert_eq!((error.kind(), error.phase()), (Kind::Tls, Some(Phase::Tls)));
            assert!(
                error.to_string().contains("no version in common"),
                "{error}"
            );
        }
    }
    unusable(
        &trusting().min_version(V13).max_version(V12),
        "min_version is above max_version",
    );
}

#[test]
fn protocols_are_offered_as_they_are_given() {
    // SPEC C20
    for (tls, agreed) in [
        (trusting(), Some("http/1.1")),
        (
            trusting().alpn(["x-private", "http/1.1"]),
            Some("x-private"),
        ),
        (trusting().alpn(["http/1.1", "h2"]), Some("http/1.1")),
        (trusting().alpn([] as [&str; 0]), None),
    ] {
        let options = TlsOptions::default().alpn(&["x-private", "http/1.1", "h2"]);
        answered(&tls, &options);
        for seen in options.seen() {
            assert_eq!(seen.alpn.as_deref(), agreed);
        }
    }
    let h2 = TlsOptions::default().alpn(&["h2"]);
    for error in fetch(&trusting().alpn(["h2", "http/1.1"]), &h2) {
        let error = error.expect_err("not spoken here");
        assert_eq!((error.kind(), error.phase()), (Kind::Tls, Some(Phase::Tls)));
        assert!(error.to_string().contains("\"h2\""), "{error}");
    }
    for error in fetch(&trusting(), &h2) {
        let error = error.expect_err("none in common");
        assert!(error.to_string().contains("ALPN"), "{error:#}");
    }
    unusable(&trusting().alpn([""]), "ALPN");
    unusable(&trusting().alpn(["x".repeat(256)]), "ALPN");
}

#[test]
fn the_name_of_the_server_is_told_unless_it_shall_not_be() {
    // SPEC C20, Q17
    for (tls, told) in [
        (trusting(), Some("localhost")),
        (trusting().sni(false), None),
    ] {
        let options = TlsOptions::default();
        answered(&tls, &options);
        for seen in options.seen() {
            assert_eq!(seen.server_name.as_deref(), told);
        }
    }
    let options = TlsOptions::new(Certificate::Wildcard);
    let peer = Peer::serve_tls(options.clone(), |_| ok(""));
    for session in sessions(&trusting()) {
        let request = session.get(peer.url("/")).server_name("a.wild.test");
        let response = request.send().expect("that name is in the certificate");
        let tls = response.tls_info().expect("TLS it was");
        assert_eq!(tls.server_name(), "a.wild.test");
    }
    for seen in options.seen() {
        assert_eq!(seen.server_name.as_deref(), Some("a.wild.test"));
    }
}

#[test]
fn sessions_are_resumed_unless_they_shall_not_be() {
    // SPEC C20
    for (resumption, resumed) in [(true, [false, true, true]), (false, [false; 3])] {
        for drives in [true, false] {
            let options = TlsOptions::default();
            let peer = Peer::serve_tls(options.clone(), |_| ok(""));
            let connector = Connector::builder()
                .tls(trusting().resumption(resumption))
                .caller_drives(drives)
                .force_close(true)
                .build();
            let session = Session::builder().connector(connector).build();
            for expected in resumed {
                let response = session.get(peer.url("/")).send().expect("an answer");
                let tls = response.tls_info().expect("TLS it was");
                assert_eq!(tls.is_resumed(), expected);
                assert_eq!(tls.key_exchange(), Some("x25519"));
                assert_eq!(tls.peer_certificates().next(), Some(&**options.leaf()));
                response.bytes().expect("its body");
            }
            let seen: Vec<_> = options.seen().iter().map(|seen| seen.resumed).collect();
            assert_eq!(seen, resumed);
        }
    }
}

#[test]
fn no_session_goes_from_one_configuration_into_another() {
    // SPEC C20, C21, P1
    let options = TlsOptions::new(Certificate::SelfSigned);
    let peer = Peer::serve_tls(options.clone(), |_| ok(""));
    let connector = Connector::builder().tls(trusting()).force_close(true);
    let session = Session::builder().connector(connector.build()).build();
    let lax = trusting().danger_accept_invalid_certs(true);
    let ask = |tls: &TlsConfig| session.get(peer.url("/")).tls(tls).send();
    for _ in 0..2 {
        ask(&lax)
            .expect("anybody is accepted")
            .bytes()
            .expect("its body");
    }
    assert_eq!(peer.handshakes(), (2, 1), "the lax one resumes its own");
    // Made of the lax one, and strict in one way each: none may resume.
    for strict in [
        lax.clone().danger_accept_invalid_certs(false),
        lax.clone().pin_sha256([7; 32]),
        trusting(),
    ] {
        let error = ask(&strict).expect_err("the certificate is bad");
        assert!(matches!(
            error.kind(),
            Kind::Certificate | Kind::Fingerprint
        ));
    }
    // A setter that changes nothing makes another configuration, a clone does not.
    ask(&lax.clone().sni(true)).expect("anybody is accepted");
    assert_eq!(peer.handshakes(), (3, 1));
    ask(&lax.clone()).expect("anybody is accepted");
    assert_eq!(peer.handshakes(), (4, 2));
}

#[test]
fn clones_share_connections_and_changed_ones_do_not() {
    // SPEC Q15, S24, P1
    let peer = Peer::serve_tls(TlsOptions::default(), |_| ok(""));
    let tls = trusting();
    let session = Session::builder().tls(&tls).build();
    let ask = |tls: Option<&TlsConfig>| {
        let request = session.get(peer.url("/"));
        let request = match tls {
            Some(tls) => request.tls(tls),
            None => request,
        };
        request.send().expect("trusted").is_reused()
    };
    assert!(!ask(None));
    assert!(ask(Some(&tls)) && ask(Some(&tls.clone())));
    let changed = tls.clone().sni(true);
    assert!(!ask(Some(&changed)) && ask(Some(&changed)));
    assert!(ask(None));
}

#[test]
fn the_log_of_keys_has_a_line_for_each_secret() {
    // SPEC C20
    let file = Scratch::new("keys");
    let tls = trusting().key_log_file(&file.0);
    answered(&tls, &TlsOptions::only_tls13());
    answered(&tls, &TlsOptions::only_tls12());
    let log = std::fs::read_to_string(&file.0).expect("the log");
    let mut labels = BTreeSet::new();
    for line in log.lines() {
        let words: Vec<_> = line.split(' ').collect();
        let [label, random, secret] = words[..] else {
            panic!("three words: {line}");
        };
        let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
        assert!(random.len() == 64 && is_hex(random), "{line}");
        assert!(matches!(secret.len(), 64 | 96) && is_hex(secret), "{line}");
        labels.insert(label);
    }
    for label in [
        "CLIENT_RANDOM",
        "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
        "SERVER_HANDSHAKE_TRAFFIC_SECRET",
        "CLIENT_TRAFFIC_SECRET_0",
        "SERVER_TRAFFIC_SECRET_0",
    ] {
        assert!(labels.contains(label), "{label} in {labels:?}");
    }
    // Two handshakes of TLS 1.2, by the caller and by the reactor.
    assert_eq!(log.matches("CLIENT_RANDOM ").count(), 2);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(&file.0)
            .expect("it is there")
            .permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
    }
    // What cannot be opened is told, and not at the first handshake that would log.
    unusable(
        &trusting().key_log_file(std::env::temp_dir()),
        "cannot open",
    );
}

#[test]
fn a_prepared_configuration_is_used_as_it_is() {
    // SPEC C20
    let provider = Arc::new(ring::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(ca_der()).expect("a root");
    let builder = || {
        ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("ring supports them")
    };
    let config = builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let tls = TlsConfig::from_rustls(Arc::new(config));
    let options = TlsOptions::default();
    answered(&tls, &options);
    assert!(options.seen().iter().all(|seen| seen.alpn.is_none()));
    for error in fetch(&tls, &TlsOptions::new(Certificate::WrongHost)) {
        let error = error.expect_err("rustls checks names");
        assert_eq!(error.kind(), Kind::Certificate);
    }
    // A setter would be lost, so it is an error: a pin above all.
    let further = "takes no further settings";
    unusable(&tls.clone().pin_sha256([7; 32]), further);
    unusable(&tls.builtin_roots(true), further);

    // A verifier of the caller's own, and what it refuses.
    let config = builder()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Only {
            provider: Arc::clone(&provider),
            name: ServerName::try_from("localhost").expect("a name"),
        }))
        .with_no_client_auth();
    let tls = TlsConfig::from_rustls(Arc::new(config));
    let options = TlsOptions::new(Certificate::SelfSigned);
    answered(&tls, &options);
    let peer = Peer::serve_tls(options, |_| ok(""));
    for session in sessions(&tls) {
        let error = session.get(peer.url("/")).send().expect_err("another name");
        assert_eq!(error.kind(), Kind::Certificate, "{error:#}");
    }
}

/// Takes any certificate of a server that goes by this name.
#[derive(Debug)]
struct Only {
    provider: Arc<CryptoProvider>,
    name: ServerName<'static>,
}

impl ServerCertVerifier for Only {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if *server_name == self.name {
            return Ok(ServerCertVerified::assertion());
        }
        let refusal = rustls::CertificateError::ApplicationVerificationFailure;
        Err(refusal.into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}

/// A path of this test's own, gone when it ends.
struct Scratch(PathBuf);

impl Scratch {
    fn new(what: &str) -> Self {
        let name = format!("miohttp-{what}-{}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Not there if the test failed early.
        let _ = std::fs::remove_file(&self.0);
    }
}

#[cfg(feature = "aws-lc-rs")]
mod providers {
    use miohttp::CryptoProvider::{AwsLcRs, Ring};

    use super::*;

    /// How the keys were exchanged with a peer of this provider.
    fn exchanged(tls: &TlsConfig, provider: CryptoProvider) -> Vec<String> {
        let options = TlsOptions::default().with_provider(provider);
        let peer = Peer::serve_tls(options, |_| ok(""));
        let by = sessions(tls).map(|session| {
            let response = session.get(peer.url("/")).send().expect("an answer");
            let tls = response.tls_info().expect("TLS it was");
            tls.key_exchange().expect("keys were exchanged").to_owned()
        });
        by.to_vec()
    }

    #[test]
    fn the_feature_alone_changes_nothing() {
        // SPEC C20
        for tls in [trusting(), trusting().provider(Ring)] {
            let by = exchanged(&tls, rustls::crypto::aws_lc_rs::default_provider());
            assert_eq!(by, ["x25519"; 2]);
        }
        assert_eq!(miohttp::CryptoProvider::default(), Ring);
        assert!(
            CryptoProvider::get_default().is_none(),
            "nothing is installed"
        );
    }

    #[test]
    fn the_other_provider_exchanges_keys_that_quantum_computers_do_not_find() {
        // SPEC C20
        let tls = trusting().provider(AwsLcRs);
        let by = exchanged(&tls, rustls::crypto::aws_lc_rs::default_provider());
        assert_eq!(by, ["X25519MLKEM768"; 2]);
        // With a server that knows none of that.
        assert_eq!(exchanged(&tls, ring::default_provider()), ["x25519"; 2]);
        for options in [TlsOptions::only_tls12(), TlsOptions::new(Certificate::Rsa)] {
            answered(&tls, &options);
        }
        for error in fetch(&tls, &TlsOptions::new(Certificate::Untrusted)) {
            assert_eq!(error.expect_err("untrusted").kind(), Kind::Certificate);
        }
        assert!(
            CryptoProvider::get_default().is_none(),
            "nothing is installed"
        );
    }

    #[test]
    fn identities_and_pins_do_with_any_provider() {
        // SPEC C20, C21
        let (chain, key) = client_identity(true);
        let options = TlsOptions::default().client_auth(true);
        for provider in [Ring, AwsLcRs] {
            let tls = trusting()
                .provider(provider)
                .pin_sha256(support::tls::sha256(options.leaf()))
                .identity_pem(chain.as_bytes(), key.as_bytes())
                .expect("a pair");
            answered(&tls, &options);
        }
    }

    #[test]
    fn a_key_that_one_provider_alone_knows_is_no_mistake_yet() {
        // SPEC C20: ring has no P-521.
        let chain = include_str!("support/keys/p521_cert.pem").as_bytes();
        let key = include_str!("support/keys/p521.pem").as_bytes();
        let tls = trusting()
            .identity_pem(chain, key)
            .expect("aws-lc-rs knows it");
        answered(&tls.clone().provider(AwsLcRs), &TlsOptions::default());
        unusable(&tls, "unusable client certificate or private key");
    }
}
