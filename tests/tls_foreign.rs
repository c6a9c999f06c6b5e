//! TLS with code of the program's in it: a verifier that blocks for long, one that
//! panics, a store of tickets that does. Nobody else is any the worse for it.
#![cfg(feature = "tls")]

mod support;

use std::fmt;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use miohttp::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use miohttp::rustls::client::{
    ClientSessionStore, Resumption, Tls12ClientSessionValue, Tls13ClientSessionValue,
};
use miohttp::rustls::crypto::{
    CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature,
};
use miohttp::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use miohttp::rustls::{
    ClientConfig, DigitallySignedStruct, Error as TlsError, NamedGroup, SignatureScheme,
};
use miohttp::{Connector, Kind, Proxy, Session, Timeout, TlsConfig};
use support::tls::ca_pem;
use support::{Gate, Peer, TlsOptions, WATCHDOG, enter, no_slot_in_use, ok};

/// Accepts whom it likes, after whatever it does.
struct Verifier<F> {
    provider: Arc<CryptoProvider>,
    decide: F,
}

impl<F> fmt::Debug for Verifier<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier")
    }
}

impl<F: Fn() + Send + Sync> ServerCertVerifier for Verifier<F> {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        (self.decide)();
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}

fn configuration(decide: impl Fn() + Send + Sync + 'static) -> ClientConfig {
    let provider = Arc::new(ring::default_provider());
    let verifier = Verifier {
        provider: Arc::clone(&provider),
        decide,
    };
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has both")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth()
}

fn foreign(decide: impl Fn() + Send + Sync + 'static) -> TlsConfig {
    TlsConfig::from_rustls(Arc::new(configuration(decide)))
}

/// One whose verifier waits at this gate.
fn blocking(gate: &Gate) -> TlsConfig {
    let gate = gate.clone();
    foreign(move || gate.wait())
}

fn trusting() -> TlsConfig {
    let tls = TlsConfig::new().builtin_roots(false);
    tls.add_root_pem(ca_pem().as_bytes()).expect("good PEM")
}

fn secure() -> Peer {
    Peer::serve_tls(TlsOptions::default(), |request| ok(&request.target))
}

/// Callers that drive, and the reactor.
fn sessions(tls: &TlsConfig, limit: usize) -> [Session; 2] {
    [true, false].map(|drives| {
        let connector = Connector::builder().caller_drives(drives).limit(limit);
        let connector = connector.tls(tls.clone()).build();
        Session::builder().connector(connector).build()
    })
}

#[track_caller]
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + WATCHDOG;
    while !holds() {
        assert!(Instant::now() < end, "{what}: not after {WATCHDOG:?}");
        thread::yield_now();
    }
}

#[test]
fn a_verifier_that_blocks_holds_up_nobody_else() {
    // SPEC C20
    for drives in [true, false] {
        let gate = Gate::new();
        let connector = Connector::builder().caller_drives(drives).build();
        let session = Session::builder()
            .connector(connector)
            .tls(&blocking(&gate))
            .build();
        let (peer, other) = (secure(), Peer::serve(|_| ok("plain")));
        let blocked = [
            session.get(peer.url("/literal")).start_send(),
            session.get(peer.url_for("localhost", "/name")).start_send(),
        ];
        gate.wait_for_arrivals(2);
        for _ in 0..3 {
            let text = session.get(other.url("/")).send().expect("an answer");
            assert_eq!(text.text().expect("a body"), "plain");
            let started = session.get(other.url("/")).start_send();
            assert_eq!(started.wait().expect("an answer").status(), 200);
            // Over TLS of our own as well.
            let own = session.get(peer.url("/own")).tls(&trusting()).send();
            assert_eq!(own.expect("an answer").text().expect("a body"), "/own");
        }
        // Limits pass when they should, whoever waits.
        let limit = Duration::from_millis(50);
        let begun = Instant::now();
        let error = session.get(peer.url("/late")).timeout(limit).send();
        let error = error.expect_err("the verifier still blocks");
        assert_eq!(error.timeout(), Some(Timeout::Total), "{error:#}");
        assert!(begun.elapsed() < WATCHDOG / 4);

        gate.open();
        for (pending, want) in blocked.into_iter().zip(["/literal", "/name"]) {
            let response = pending.wait().expect("an answer");
            assert_eq!(response.text().expect("a body"), want);
        }
        // And what is open serves without asking anybody again.
        let again = session.get(peer.url("/again")).send().expect("an answer");
        assert!(again.is_reused());
    }
}

#[test]
fn it_runs_on_threads_of_its_own() {
    // SPEC C20
    let seen = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&seen);
    let tls = foreign(move || {
        let name = thread::current().name().map(str::to_owned);
        enter(&notes).push(name.unwrap_or_default());
    });
    for session in sessions(&tls, 10) {
        let peer = secure();
        for host in ["127.0.0.1", "localhost"] {
            let sent = session.get(peer.url_for(host, "/a")).send();
            assert_eq!(sent.expect("an answer").text().expect("a body"), "/a");
        }
        let started = session.get(peer.url("/b")).start_send();
        assert_eq!(started.wait().expect("an answer").status(), 200);
        let lent = session.connector().connect(peer.url_for("localhost", "/"));
        drop(lent.expect("a connection"));
    }
    let seen = enter(&seen);
    assert!(!seen.is_empty());
    assert!(seen.iter().all(|name| name == "miohttp-tls"), "{seen:?}");
}

#[test]
fn giving_up_frees_the_slot_while_it_still_blocks() {
    // SPEC C20, C3
    let gate = Gate::new();
    for (session, count) in sessions(&blocking(&gate), 1).into_iter().zip(1..) {
        let (peer, other) = (secure(), Peer::serve(|_| ok("plain")));
        let pending = session.get(peer.url("/")).start_send();
        gate.wait_for_arrivals(count);
        let handle = pending.cancel_handle();
        let next = session.get(other.url("/")).start_send();
        until("it waits", || session.connector().stats().waiting == 1);
        handle.cancel();
        assert_eq!(
            pending.wait().expect_err("given up").kind(),
            Kind::Cancelled
        );
        assert_eq!(next.wait().expect("a slot").status(), 200);
        // Its server learns of it before the verifier has said a word.
        peer.wait_for_ends(1);
        session.connector().close();
        no_slot_in_use(session.connector());
    }
    gate.open();
}

#[test]
fn closing_waits_for_no_verifier() {
    // SPEC C7, C20
    let gate = Gate::new();
    for session in sessions(&blocking(&gate), 100) {
        let peer = secure();
        let pending: Vec<_> = (0..12)
            .map(|n| session.get(peer.url(&format!("/{n}"))).start_send())
            .collect();
        peer.wait_for_connections(12);
        session.connector().close();
        for pending in pending {
            assert_eq!(pending.wait().expect_err("closed").kind(), Kind::Closed);
        }
        peer.wait_for_ends(12);
        no_slot_in_use(session.connector());
    }
    gate.open();
}

#[test]
fn more_than_there_are_threads_come_through_in_the_end() {
    // SPEC C20
    let gate = Gate::new();
    let session = &sessions(&blocking(&gate), 100)[1];
    let peer = secure();
    let mut pending: Vec<_> = (0..20)
        .map(|n| session.get(peer.url(&format!("/{n}"))).start_send())
        .collect();
    gate.wait_for_arrivals(8);
    peer.wait_for_connections(20);
    // Some give up, in the queue and before the verifier.
    pending.truncate(16);
    drop(pending.drain(..3));
    until("their slots are free", || {
        session.connector().stats().in_use == 13
    });
    gate.open();
    for (n, pending) in (3..).zip(pending) {
        let response = pending.wait().expect("an answer");
        assert_eq!(response.text().expect("a body"), format!("/{n}"));
    }
    no_slot_in_use(session.connector());
}

#[test]
fn a_panic_fails_one_connection() {
    // SPEC C20
    let tls = foreign(|| panic!("nobody is trusted"));
    for session in sessions(&tls, 2) {
        let (peer, other) = (secure(), Peer::serve(|_| ok("plain")));
        for _ in 0..20 {
            let sent = session.get(peer.url("/")).send();
            let started = session.get(peer.url("/")).start_send().wait();
            for error in [sent.expect_err("it panics"), started.expect_err("too")] {
                assert_eq!(error.kind(), Kind::Tls, "{error:#}");
                assert!(error.is_connect() && format!("{error:#}").contains("panicked"));
            }
        }
        let text = session.get(other.url("/")).send().expect("an answer");
        assert_eq!(text.text().expect("a body"), "plain");
        no_slot_in_use(session.connector());
    }
}

#[test]
fn both_handshakes_of_a_secure_proxy_may_be_foreign() {
    // SPEC C20, X1
    for (through, origin) in [(true, false), (false, true), (true, true)] {
        let gate = Gate::new();
        let count = Arc::new(Mutex::new(0));
        let (at, counts) = (gate.clone(), Arc::clone(&count));
        let blocks = foreign(move || {
            *enter(&counts) += 1;
            at.wait();
        });
        let pick = |foreign: bool| match foreign {
            true => blocks.clone(),
            false => trusting(),
        };
        let proxy = support::Proxy::start_tls(TlsOptions::default());
        let (peer, other) = (secure(), Peer::serve(|_| ok("plain")));
        let session = Session::builder().tls(&pick(origin)).build();
        let way = Proxy::all(proxy.url("https")).expect("a proxy's URL");
        let way = way.tls(&pick(through));
        let sent = session.get(peer.url("/far")).proxy(way).start_send();
        gate.wait_for_arrivals(1);
        let plain = session.get(other.url("/")).start_send().wait();
        assert_eq!(plain.expect("an answer").status(), 200);
        gate.open();
        let response = sent.wait().expect("an answer");
        assert_eq!(response.text().expect("a body"), "/far");
        let handshakes = usize::from(through) + usize::from(origin);
        assert_eq!(*enter(&count), handshakes);
        assert_eq!(proxy.connections(), 1);
    }
}

/// Keeps nothing, and breaks down where it should keep a ticket: in the middle of
/// a connection that is open.
#[derive(Debug)]
struct Broken;

impl ClientSessionStore for Broken {
    fn set_kx_hint(&self, _: ServerName<'static>, _: NamedGroup) {}

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        None
    }

    fn set_tls12_session(&self, _: ServerName<'static>, _: Tls12ClientSessionValue) {}

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        None
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {}

    fn insert_tls13_ticket(&self, _: ServerName<'static>, _: Tls13ClientSessionValue) {
        panic!("no room for tickets");
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        None
    }
}

#[test]
fn a_panic_on_an_open_connection_fails_its_exchange() {
    // SPEC C20
    let mut config = configuration(|| {});
    config.resumption = Resumption::store(Arc::new(Broken));
    let tls = TlsConfig::from_rustls(Arc::new(config));
    for session in sessions(&tls, 2) {
        let (peer, other) = (secure(), Peer::serve(|_| ok("plain")));
        let sent = session.get(peer.url("/")).send();
        let started = session.get(peer.url("/")).start_send().wait();
        for error in [sent.expect_err("it panics"), started.expect_err("too")] {
            assert_eq!(error.kind(), Kind::Tls, "{error:#}");
        }
        let started = session.get(other.url("/")).start_send();
        assert_eq!(started.wait().expect("an answer").status(), 200);
        no_slot_in_use(session.connector());
    }
}
