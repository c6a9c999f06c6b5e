//! The session against an in-memory rustls server, delivered in pieces of every size.

use std::cell::Cell;
use std::io::{Read, Write};
use std::sync::{Arc, OnceLock};

use rcgen::{CertificateParams, Issuer, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{HandshakeKind, ServerConfig, ServerConnection};

use super::*;
use crate::tls::{Settings, TlsVersion};

const HOST: &str = "server.test";
const NO_LIMIT: usize = usize::MAX;

/// One CA and one certificate for the whole file: making keys is the slow part.
struct Authority {
    root: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
    key: KeyPair,
}

fn authority() -> &'static Authority {
    static AUTHORITY: OnceLock<Authority> = OnceLock::new();
    AUTHORITY.get_or_init(|| {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let root = params.self_signed(&key).unwrap().der().clone();
        Authority {
            root,
            issuer: Issuer::new(params, key),
            key: KeyPair::generate().unwrap(),
        }
    })
}

fn certificate(
    names: &[&str],
    adapt: impl FnOnce(&mut CertificateParams),
) -> CertificateDer<'static> {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).unwrap();
    adapt(&mut params);
    let made = params.signed_by(&authority().key, &authority().issuer);
    made.unwrap().der().clone()
}

fn server_key() -> PrivateKeyDer<'static> {
    PrivateKeyDer::try_from(authority().key.serialize_der()).unwrap()
}

fn server_config(leaf: CertificateDer<'static>) -> ServerConfig {
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(rustls::ALL_VERSIONS)
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf], server_key())
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config
}

fn plain_server() -> Arc<ServerConfig> {
    Arc::new(server_config(certificate(
        &[HOST, "127.0.0.1", "::1"],
        |_| {},
    )))
}

fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.extra_roots = vec![authority().root.clone()];
    settings.builtin_roots = false;
    settings
}

fn client(adapt: impl FnOnce(&mut Settings)) -> Client {
    let mut settings = settings();
    adapt(&mut settings);
    Client::build(&settings).unwrap()
}

const BOTH_VERSIONS: [(TlsVersion, &str); 2] =
    [(TlsVersion::V12, "TLSv1.2"), (TlsVersion::V13, "TLSv1.3")];

/// Only this version.
fn only(settings: &mut Settings, version: TlsVersion) {
    settings.min_version = version;
    settings.max_version = version;
}

/// A session, its server, and what each has received.
struct Pair {
    session: TlsSession,
    server: ServerConnection,
    plain: BytesMut,
    at_server: Vec<u8>,
}

impl Pair {
    fn new(client: &Client, server: &Arc<ServerConfig>) -> Self {
        Self::with_name(client, server, HOST)
    }

    fn with_name(client: &Client, server: &Arc<ServerConfig>, name: &str) -> Self {
        Self {
            session: TlsSession::new(client, name).unwrap(),
            server: ServerConnection::new(Arc::clone(server)).unwrap(),
            plain: BytesMut::new(),
            at_server: Vec::new(),
        }
    }

    fn connected(client: &Client, server: &Arc<ServerConfig>) -> Self {
        let mut pair = Self::new(client, server);
        pair.exchange().unwrap();
        assert!(!pair.session.is_handshaking());
        pair
    }

    /// Moves everything both ways until both are silent.
    fn exchange(&mut self) -> Result<(), TlsFault> {
        loop {
            let sent = self.flush();
            let wire = self.server_output();
            if !sent && wire.is_empty() {
                return Ok(());
            }
            deliver(&mut self.session, &wire, &mut self.plain, wire.len())?;
        }
    }

    /// Hands the session's ciphertext to the server. False if there was none.
    fn flush(&mut self) -> bool {
        let mut wire = self.session.outgoing();
        let len = wire.len();
        while !wire.is_empty() {
            self.server.read_tls(&mut wire).unwrap();
            // Its complaints come back as alerts.
            let _ = self.server.process_new_packets();
            let _ = self.server.reader().read_to_end(&mut self.at_server);
        }
        self.session.consume_outgoing(len);
        len > 0
    }

    /// Takes the server's ciphertext.
    fn server_output(&mut self) -> Vec<u8> {
        let mut wire = Vec::new();
        while self.server.wants_write() {
            self.server.write_tls(&mut wire).unwrap();
        }
        wire
    }

    /// Has the server encrypt `data`, flushing as its buffer fills.
    fn server_sends(&mut self, data: &[u8]) -> Vec<u8> {
        let mut wire = Vec::new();
        for part in data.chunks(32 * 1024) {
            self.server.writer().write_all(part).unwrap();
            wire.extend(self.server_output());
        }
        wire
    }

    fn client_sends(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            let taken = self.session.encrypt(data, 64 * 1024).unwrap();
            data = &data[taken..];
            assert!(self.flush());
        }
    }
}

/// Gives `wire` to the session, at most `step` bytes at a time, without a limit.
fn deliver(
    session: &mut TlsSession,
    wire: &[u8],
    plain: &mut BytesMut,
    step: usize,
) -> Result<(), TlsFault> {
    for piece in wire.chunks(step.max(1)) {
        session.inbound(piece.len()).extend_from_slice(piece);
        let progress = session.process(plain, NO_LIMIT)?;
        assert!(!progress.more);
        assert!(!session.has_buffered());
    }
    Ok(())
}

fn resumed(pair: &Pair) -> bool {
    pair.session.connection.handshake_kind() == Some(HandshakeKind::Resumed)
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 31 + i / 251) as u8).collect()
}

#[test]
fn handshake_and_data_in_both_versions() {
    for (version, name) in BOTH_VERSIONS {
        let mut pair = Pair::connected(&client(|s| only(s, version)), &plain_server());
        assert_eq!(pair.session.version(), Some(name));
        let connection = &pair.session.connection;
        assert_eq!(connection.alpn_protocol(), Some(&b"http/1.1"[..]));
        assert!(!resumed(&pair));
        for len in [1, 100, 16_384, 16_385, 100_000, 1 << 20] {
            let data = pattern(len);
            pair.client_sends(&data);
            assert_eq!(pair.at_server, data);
            pair.at_server.clear();

            let wire = pair.server_sends(&data);
            deliver(&mut pair.session, &wire, &mut pair.plain, 5000).unwrap();
            assert_eq!(pair.plain, data);
            pair.plain.clear();
        }
    }
}

#[test]
fn client_hello_waits_at_once() {
    let session = TlsSession::new(&client(|_| {}), HOST).unwrap();
    assert!(session.is_handshaking());
    assert_eq!(session.outgoing()[0], 22);
    assert!(
        session
            .outgoing()
            .windows(HOST.len())
            .any(|w| w == HOST.as_bytes())
    );
    let hidden = TlsSession::new(&client(|s| s.sni = false), HOST).unwrap();
    assert!(
        !hidden
            .outgoing()
            .windows(HOST.len())
            .any(|w| w == HOST.as_bytes())
    );
}

/// Runs a short conversation, the server's bytes cut as `cut` says, to its end.
fn conversation(client: &Client, server: &Arc<ServerConfig>, cut: impl Fn(&[u8]) -> Vec<&[u8]>) {
    let mut pair = Pair::new(client, server);
    let mut asked = false;
    let mut answered = false;
    loop {
        let sent = pair.flush();
        let mut wire = pair.server_output();
        if !answered && pair.at_server == b"question" {
            answered = true;
            wire.extend(pair.server_sends(b"answer"));
            pair.server.send_close_notify();
            wire.extend(pair.server_output());
        }
        if !sent && wire.is_empty() {
            break;
        }
        for piece in cut(&wire) {
            deliver(&mut pair.session, piece, &mut pair.plain, NO_LIMIT).unwrap();
            if !asked && !pair.session.is_handshaking() {
                asked = true;
                // Between two pieces, so that writing meets half-read records.
                assert_eq!(pair.session.encrypt(b"question", NO_LIMIT).unwrap(), 8);
            }
        }
    }
    assert_eq!(pair.plain, &b"answer"[..]);
    assert!(pair.session.peer_closed());
}

#[test]
fn conversation_cut_at_every_byte() {
    let server = plain_server();
    for (version, _) in BOTH_VERSIONS {
        let client = client(|s| {
            only(s, version);
            s.resumption = false;
        });
        let mut at = 0;
        let longest = Cell::new(usize::MAX);
        while at < longest.get() {
            longest.set(0);
            conversation(&client, &server, |wire| {
                longest.set(longest.get().max(wire.len()));
                let (head, tail) = wire.split_at(at.min(wire.len()));
                vec![head, tail]
            });
            at += 1;
        }
        assert!(at > 300, "{at}");
    }
}

#[test]
fn conversation_byte_by_byte() {
    let server = plain_server();
    for (version, _) in BOTH_VERSIONS {
        let client = client(|s| only(s, version));
        conversation(&client, &server, |wire| wire.chunks(1).collect());
    }
}

#[test]
fn tickets_resume_a_session_of_the_same_client() {
    for (version, _) in BOTH_VERSIONS {
        let server = plain_server();
        let first = client(|s| only(s, version));
        let full = Pair::connected(&first, &server);
        assert!(!resumed(&full));
        assert!(full.plain.is_empty());

        let again = Pair::connected(&first.clone(), &server);
        assert!(resumed(&again));

        let stranger = client(|s| only(s, version));
        assert!(!resumed(&Pair::connected(&stranger, &server)));
    }
}

#[test]
fn writing_between_the_halves_of_a_ticket() {
    // The tail of the flight after the handshake is half a NewSessionTicket.
    let mut pair = Pair::new(&client(|s| only(s, TlsVersion::V13)), &plain_server());
    pair.flush();
    let flight = pair.server_output();
    deliver(&mut pair.session, &flight, &mut pair.plain, NO_LIMIT).unwrap();
    pair.flush();
    let tickets = pair.server_output();
    assert!(!tickets.is_empty());
    for (i, byte) in tickets.iter().enumerate() {
        deliver(&mut pair.session, &[*byte], &mut pair.plain, 1).unwrap();
        assert_eq!(pair.session.encrypt(&[i as u8], NO_LIMIT).unwrap(), 1);
    }
    pair.flush();
    assert_eq!(pair.at_server.len(), tickets.len());
}

#[test]
fn close_notify_from_the_server() {
    // SPEC R41
    for (version, _) in BOTH_VERSIONS {
        let mut pair = Pair::connected(&client(|s| only(s, version)), &plain_server());
        let mut wire = pair.server_sends(b"last");
        pair.server.send_close_notify();
        wire.extend(pair.server_output());
        wire.extend([0xff; 40]); // ignored (RFC 8446 §6.1)
        deliver(&mut pair.session, &wire, &mut pair.plain, NO_LIMIT).unwrap();
        assert_eq!(pair.plain, &b"last"[..]);
        assert!(pair.session.peer_closed());
        assert!(pair.session.eof().is_ok());
        // TLS 1.3 keeps our direction open.
        assert_eq!(pair.session.encrypt(b"late", NO_LIMIT).unwrap(), 4);
        pair.flush();
        assert_eq!(pair.at_server, b"late");
    }
}

#[test]
fn eof_without_close_notify_is_told_apart() {
    // SPEC R41
    let mut pair = Pair::connected(&client(|_| {}), &plain_server());
    let wire = pair.server_sends(b"cut short");
    deliver(
        &mut pair.session,
        &wire[..wire.len() - 1],
        &mut pair.plain,
        NO_LIMIT,
    )
    .unwrap();
    assert!(pair.session.eof().is_ok());
    assert!(!pair.session.peer_closed());
    assert!(pair.plain.is_empty());
}

#[test]
fn close_notify_to_the_server() {
    // SPEC S23
    for (version, _) in BOTH_VERSIONS {
        let mut pair = Pair::connected(&client(|s| only(s, version)), &plain_server());
        assert_eq!(pair.session.encrypt(b"bye", NO_LIMIT).unwrap(), 3);
        pair.session.queue_close_notify();
        pair.session.queue_close_notify();
        pair.flush();
        assert_eq!(pair.at_server, b"bye");
        let state = pair.server.process_new_packets().unwrap();
        assert!(state.peer_has_closed());
        assert!(matches!(
            pair.session.encrypt(b"x", NO_LIMIT),
            Err(TlsFault::Ended)
        ));
        // Whatever follows cannot disturb the end, garbage least of all.
        let garbage = [0xff; 64];
        deliver(&mut pair.session, &garbage, &mut pair.plain, NO_LIMIT).unwrap();
        assert!(pair.plain.is_empty());
    }
}

#[test]
fn close_notify_answers_close_notify() {
    let mut pair = Pair::connected(&client(|_| {}), &plain_server());
    pair.server.send_close_notify();
    pair.exchange().unwrap();
    pair.session.queue_close_notify();
    assert!(pair.session.peer_closed());
    assert!(pair.flush());
    let state = pair.server.process_new_packets().unwrap();
    assert!(state.peer_has_closed());
}

#[test]
fn key_update_of_the_server_is_answered_before_data() {
    // RFC 8446 §4.6.3
    let mut pair = Pair::connected(&client(|_| {}), &plain_server());
    for round in 0..3 {
        pair.server.refresh_traffic_keys().unwrap();
        let wire = pair.server_sends(b"new keys");
        deliver(&mut pair.session, &wire, &mut pair.plain, 3).unwrap();
        let data = pattern(40_000 + round);
        pair.client_sends(&data);
        assert_eq!(pair.at_server, data);
        pair.at_server.clear();
    }
    assert_eq!(pair.plain, b"new keys".repeat(3));
}

#[test]
fn nothing_is_encrypted_too_early_or_too_much() {
    let known = client(|_| {});
    let mut early = TlsSession::new(&known, HOST).unwrap();
    let hello = early.outgoing().len();
    assert_eq!(early.encrypt(b"early", NO_LIMIT).unwrap(), 0);
    assert_eq!(early.outgoing().len(), hello);

    let mut pair = Pair::connected(&known, &plain_server());
    assert_eq!(pair.session.encrypt(b"", NO_LIMIT).unwrap(), 0);
    assert_eq!(pair.session.encrypt(b"x", 0).unwrap(), 0);
    assert!(pair.session.outgoing().is_empty());

    let data = pattern(1 << 20);
    let taken = pair.session.encrypt(&data, 50_000).unwrap();
    assert_eq!(taken, 4 * MAX_PLAINTEXT);
    assert_eq!(pair.session.encrypt(&data, 50_000).unwrap(), 0);
    let len = pair.session.outgoing().len();
    assert!(len <= 50_000 + MAX_PLAINTEXT + 4 * OVERHEAD);
    pair.session.consume_outgoing(len - 49_999);
    assert_eq!(pair.session.encrypt(&data, 50_000).unwrap(), MAX_PLAINTEXT);
}

#[test]
fn limit_holds_records_back() {
    for (version, _) in BOTH_VERSIONS {
        let mut pair = Pair::connected(&client(|s| only(s, version)), &plain_server());
        let data = pattern(10 * 1000);
        let mut wire = Vec::new();
        for part in data.chunks(1000) {
            wire.extend(pair.server_sends(part));
        }
        pair.server.send_close_notify();
        wire.extend(pair.server_output());

        let session = &mut pair.session;
        session.inbound(wire.len()).extend_from_slice(&wire);
        let mut seen = Vec::new();
        let mut plain = BytesMut::new();
        let mut rounds = 0;
        loop {
            let progress = session.process(&mut plain, 1500).unwrap();
            assert_eq!(progress.received, plain.len());
            assert_eq!(progress.more, session.has_buffered());
            if progress.more {
                assert_eq!(plain.len(), 2000);
                assert!(!session.peer_closed());
                let full = session.process(&mut plain, 1500).unwrap();
                assert_eq!(
                    full,
                    Progress {
                        received: 0,
                        more: true
                    }
                );
            }
            // An upload goes on beside a download that is held back.
            assert_eq!(session.encrypt(b"up", NO_LIMIT).unwrap(), 2);
            seen.extend_from_slice(&plain);
            plain.clear();
            rounds += 1;
            if !progress.more {
                break;
            }
        }
        assert_eq!(rounds, 6); // five of two records, one for the close_notify
        assert_eq!(seen, data);
        assert!(pair.session.peer_closed());
        pair.flush();
        assert_eq!(pair.at_server, b"up".repeat(6));
    }
}

#[test]
fn limit_does_not_count_half_a_record() {
    let mut pair = Pair::connected(&client(|_| {}), &plain_server());
    let mut wire = pair.server_sends(b"first");
    let half = pair.server_sends(b"second");
    wire.extend(&half[..half.len() / 2]);
    let session = &mut pair.session;
    session.inbound(wire.len()).extend_from_slice(&wire);
    let progress = session.process(&mut pair.plain, 1).unwrap();
    // Nothing is whole, so waiting for the socket is right.
    assert_eq!(
        progress,
        Progress {
            received: 5,
            more: false
        }
    );
    assert!(!session.has_buffered());
    pair.plain.clear();
    assert_eq!(session.encrypt(b"up", NO_LIMIT).unwrap(), 2);
    deliver(session, &half[half.len() / 2..], &mut pair.plain, 1).unwrap();
    assert_eq!(pair.plain, &b"second"[..]);
}

#[test]
fn idle_session_holds_no_buffers_and_goes_on() {
    let mut pair = Pair::connected(&client(|_| {}), &plain_server());
    for _ in 0..3 {
        let data = pattern(20_000);
        pair.client_sends(&data);
        let wire = pair.server_sends(&data);
        let half = wire.len() / 2;
        deliver(&mut pair.session, &wire[..half], &mut pair.plain, 1000).unwrap();
        // Not idle, but it must not lose the half record either.
        pair.session.release_buffers();
        deliver(&mut pair.session, &wire[half..], &mut pair.plain, 1000).unwrap();
        pair.session.release_buffers();
        assert_eq!(pair.session.inbound.capacity(), 0);
        assert_eq!(pair.session.outbound.capacity(), 0);
        assert_eq!(pair.plain, data);
        pair.plain.clear();
    }
}

#[test]
fn sessions_move_between_threads() {
    fn check<T: Send>() {}
    check::<TlsSession>();
    check::<TlsFault>();
    fn share<T: Send + Sync>() {}
    share::<Client>();
}

mod refusals;
