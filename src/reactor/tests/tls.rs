//! The same engine over TLS, against an in-memory server.

use std::io::{Read, Write};

use rcgen::{CertificateParams, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection};

use super::lending::{asking, release};
use super::sim::*;
use crate::error::Pin;
use crate::error::{Kind, Phase, Timeout};
use crate::job::Progress;
use crate::net::sim::Manner;
use crate::sync::Arc;
use crate::tls::{Client, Settings};

/// A self-signed certificate for a host, and its key.
pub(super) fn certificate(host: &str) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![host.to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap().der().clone();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    (certificate, key)
}

pub(super) struct Secure {
    pub(super) sim: Sim,
    client: Client,
    server: Arc<ServerConfig>,
}

impl Secure {
    /// `trusted`: the client knows the server's certificate.
    pub(super) fn new(sim: Sim, trusted: bool) -> Self {
        let (certificate, key) = certificate(HOST);
        let mut settings = Settings::default();
        if trusted {
            settings.extra_roots = vec![certificate.clone()];
        }
        settings.builtin_roots = !trusted;
        let client = Client::build(&settings);
        let server = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(rustls::ALL_VERSIONS)
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        Self {
            sim,
            client: client.unwrap(),
            server: Arc::new(server),
        }
    }

    /// The same with a configuration that was made elsewhere.
    pub(super) fn foreign(sim: Sim) -> Self {
        let world = Self::new(sim, true);
        let config = world.client.config().clone();
        let client = Client::build(&Settings::from_prepared(config)).unwrap();
        assert!(client.is_foreign());
        Self { client, ..world }
    }

    pub(super) fn secure(&self, mut ask: Ask) -> Ask {
        ask.tls = Some(self.client.clone());
        ask
    }

    /// The server's end of the `n`th connection.
    pub(super) fn session(&self, n: usize) -> Session {
        Session {
            n,
            tls: ServerConnection::new(self.server.clone()).unwrap(),
            plain: Vec::new(),
        }
    }
}

pub(super) struct Session {
    n: usize,
    tls: ServerConnection,
    /// What the client said.
    pub(super) plain: Vec<u8>,
}

impl Session {
    /// Takes in what the client sent; what there is to say stays here.
    pub(super) fn listen(&mut self, sim: &Sim) {
        let wire = sim.peer(self.n).received();
        let mut wire = wire.as_slice();
        while !wire.is_empty() {
            self.tls.read_tls(&mut wire).unwrap();
            // A complaint goes out as an alert.
            let _ = self.tls.process_new_packets();
            let _ = self.tls.reader().read_to_end(&mut self.plain);
        }
    }

    pub(super) fn output(&mut self) -> Vec<u8> {
        let mut wire = Vec::new();
        while self.tls.wants_write() {
            self.tls.write_tls(&mut wire).unwrap();
        }
        wire
    }

    /// Both talk until both are silent.
    pub(super) fn talk(&mut self, sim: &mut Sim) {
        loop {
            sim.settle();
            self.listen(sim);
            let wire = self.output();
            if wire.is_empty() {
                return;
            }
            sim.peer(self.n).send(wire);
        }
    }

    pub(super) fn say(&mut self, sim: &mut Sim, text: impl AsRef<[u8]>) {
        self.tls.writer().write_all(text.as_ref()).unwrap();
        self.talk(sim);
    }
}

#[test]
fn a_secure_connection_is_used_again_and_ended_politely() {
    let mut world = Secure::new(Sim::new(), true);
    let ask = world.secure(get(HOST));
    let probe = world.sim.go(ask.clone());
    let mut session = world.session(0);
    session.talk(&mut world.sim);
    assert_eq!(session.plain, b"GET / HTTP/1.1\r\n\r\n");
    session.say(&mut world.sim, OK);
    assert_eq!((probe.status(), probe.body()), (Some(200), b"ok".to_vec()));
    let probe = world.sim.go(ask);
    session.talk(&mut world.sim);
    session.say(&mut world.sim, OK);
    assert_eq!((probe.status(), probe.reused()), (Some(200), true));

    // SPEC S23: close_notify goes out, and nothing is waited for.
    world.sim.advance(secs(15));
    assert!(world.sim.peer(0).is_closed());
    session.listen(&world.sim);
    let state = session.tls.process_new_packets().unwrap();
    assert!(state.peer_has_closed());
}

#[test]
fn the_end_of_the_handshake_goes_with_the_request() {
    let mut world = Secure::new(Sim::new(), true);
    let probe = world.sim.go(world.secure(get(HOST)));
    let mut session = world.session(0);
    world.sim.settle();
    session.listen(&world.sim);
    assert_eq!(world.sim.peer(0).writes(), 1, "a hello");
    let wire = session.output();
    world.sim.peer(0).send(wire);
    world.sim.settle();
    assert_eq!(world.sim.peer(0).writes(), 2);
    session.listen(&world.sim);
    assert_eq!(session.plain, b"GET / HTTP/1.1\r\n\r\n");
    session.say(&mut world.sim, OK);
    assert_eq!(probe.status(), Some(200));
}

#[test]
fn the_handshake_of_a_lent_connection_is_ended_at_once() {
    // SPEC N1: its server may wait no longer for that than for a request.
    let mut world = Secure::new(Sim::new(), true);
    let ask = world.secure(get(HOST));
    let asked = asking(&mut world.sim, ask);
    let mut session = world.session(0);
    session.talk(&mut world.sim);
    assert!(!session.tls.is_handshaking());
    let (loan, _) = asked.lent();
    assert_eq!(session.plain, b"");
    release(&mut world.sim, loan);
    assert_eq!(world.sim.books(), (0, 1, 0));
}

#[test]
fn tickets_leave_an_idle_connection_alone() {
    // SPEC P4: session tickets wake an idle connection and do not end it.
    let mut world = Secure::new(Sim::new(), true);
    let ask = world.secure(get(HOST));
    let probe = world.sim.go(ask.clone());
    let mut session = world.session(0);
    session.talk(&mut world.sim);
    session.say(&mut world.sim, OK);
    assert_eq!(probe.status(), Some(200));
    session.tls.refresh_traffic_keys().unwrap();
    session.talk(&mut world.sim);
    assert_eq!(world.sim.books(), (0, 1, 0));
    // Plaintext is another matter.
    session.say(&mut world.sim, "x");
    assert!(world.sim.peer(0).is_closed());
    assert_eq!(world.sim.books(), (0, 0, 0));
}

/// The write fails while there is more to send and nothing to read: the
/// exchange ends, and the engine's thread does not go round for ever. At some
/// of these windows all that was handed over is encrypted when it happens.
#[test]
fn a_write_that_fails_inside_a_large_upload() {
    for window in (200_000..300_000).step_by(8_000) {
        let mut world = Secure::new(Sim::new(), true);
        let ask = world.secure(post(HOST, vec![b'x'; 1 << 20]));
        let probe = world.sim.go(ask);
        let mut session = world.session(0);
        session.listen(&world.sim);
        let hello = session.output();
        world.sim.peer(0).send(hello);
        world.sim.peer(0).break_pipe_after(window);
        world.sim.settle();
        let failure = probe.failure();
        assert_eq!(failure.error.kind(), Kind::Disconnected);
        assert_eq!(failure.error.phase(), Some(Phase::Send));
        assert_eq!(world.sim.books(), (0, 0, 0));
    }
}

/// RFC 9112 §9.5: what the server said before the write failed still counts.
#[test]
fn an_early_response_survives_the_write_that_fails_after_it() {
    let mut world = Secure::new(Sim::new(), true);
    let ask = world.secure(post(HOST, vec![b'x'; 1 << 20]));
    let probe = world.sim.go(ask);
    let mut session = world.session(0);
    session.listen(&world.sim);
    let hello = session.output();
    world.sim.peer(0).send(hello);
    world.sim.peer(0).set_window(100_000);
    world.sim.settle();
    session.listen(&world.sim);
    let told = "HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\n\r\ntold";
    session.tls.writer().write_all(told.as_bytes()).unwrap();
    let wire = session.output();
    world.sim.peer(0).break_pipe();
    world.sim.peer(0).set_window(usize::MAX);
    world.sim.peer(0).send(wire);
    world.sim.settle();
    assert_eq!(
        (probe.status(), probe.body()),
        (Some(413), b"told".to_vec())
    );
    assert!(world.sim.peer(0).is_closed());
}

/// Small windows on both sides, and everything arrives.
#[test]
fn a_secure_upload_and_download_in_small_pieces() {
    let mut world = Secure::new(Sim::new(), true);
    let upload = vec![b'u'; 300_000];
    let ask = world.secure(post(HOST, upload.clone()).pipe(10, 20));
    world.sim.world.set_window(at80(HOST), 1000);
    let probe = world.sim.go(ask);
    let mut session = world.session(0);
    world.sim.peer(0).limit_reads(777);
    let mut rounds = 0;
    while !session.plain.ends_with(&upload[1..]) {
        world.sim.peer(0).set_window(50_000);
        session.talk(&mut world.sim);
        rounds += 1;
        assert!(rounds < 1000, "the upload stands still");
    }
    session.say(&mut world.sim, head_of(400_000));
    for _ in 0..10 {
        session.say(&mut world.sim, vec![b'd'; 40_000]);
    }
    while probe.end().is_none() {
        world.sim.settle();
        rounds += 1;
        assert!(rounds < 1000, "the body stands still");
    }
    assert_eq!(probe.body(), vec![b'd'; 400_000]);
    assert_eq!(world.sim.books(), (0, 1, 0));
}

#[test]
fn a_body_that_ends_with_the_connection_needs_a_goodbye() {
    // SPEC R41: without close_notify, an end proves nothing.
    // Whatever else says that the connection will not be used again.
    let heads = [
        "HTTP/1.1 200 OK",
        "HTTP/1.1 200 OK\r\nConnection: close",
        "HTTP/1.0 200 OK",
    ];
    let cases = heads.map(|head| {
        [
            (head, true, false),
            (head, false, false),
            (head, false, true),
        ]
    });
    for (head, polite, asked_to_close) in cases.into_iter().flatten() {
        let mut world = Secure::new(Sim::new(), true);
        let mut ask = world.secure(get(HOST));
        if asked_to_close {
            ask = ask.field(http::header::CONNECTION, "close");
        }
        let probe = world.sim.go(ask);
        let mut session = world.session(0);
        session.talk(&mut world.sim);
        session.say(&mut world.sim, format!("{head}\r\n\r\nsome"));
        if polite {
            session.tls.send_close_notify();
            session.talk(&mut world.sim);
        }
        world.sim.peer(0).finish();
        world.sim.settle();
        assert_eq!(probe.body(), b"some");
        match polite {
            true => assert!(matches!(probe.end(), Some(Ok(())))),
            false => assert_eq!(probe.body_error().kind(), Kind::Payload),
        }
    }
}

#[test]
fn an_unknown_certificate_fails_the_connection() {
    let mut world = Secure::new(Sim::new(), false);
    let ask = world.secure(get(HOST));
    let probe = world.sim.go(ask);
    let mut session = world.session(0);
    session.talk(&mut world.sim);
    let failure = probe.failure();
    assert_eq!(failure.error.kind(), Kind::Certificate);
    assert_eq!(failure.error.phase(), Some(Phase::Tls));
    assert_eq!(failure.error.peer(), Some(at80(HOST)));
    assert_eq!(failure.progress, Progress::Unconnected);
    assert!(session.plain.is_empty());
    assert_eq!(world.sim.books(), (0, 0, 0));
}

/// Reads the pins that a failure tells of.
fn pins(error: &crate::error::Error) -> (Vec<Pin>, Vec<Pin>) {
    let fingerprints = error.fingerprints().expect("an error of pins");
    (
        fingerprints.expected().to_vec(),
        fingerprints.got().to_vec(),
    )
}

#[test]
fn a_mismatch_of_pins_makes_the_next_address_be_tried() {
    // SPEC C21
    let sim = Sim::new();
    sim.names.known("host.test", &[HOST, "192.0.2.2"]);
    let mut world = Secure::new(sim, true);
    let wrong = Pin::Certificate([1; 32]);
    let pinned = |pins: &[Pin]| {
        let mut settings = Settings::default();
        settings.verify(false);
        pins.iter().for_each(|pin| settings.pin(*pin));
        Client::build(&settings).unwrap()
    };
    world.client = pinned(&[wrong]);
    let ask = world.secure(get("host.test"));
    let probe = world.sim.go(ask);
    // Both have the same certificate.
    world.session(0).talk(&mut world.sim);
    assert!(!probe.is_answered());
    world.session(1).talk(&mut world.sim);
    let failure = probe.failure();
    assert_eq!(failure.error.kind(), Kind::Fingerprint);
    assert_eq!(failure.error.phase(), Some(Phase::Tls));
    assert_eq!(failure.error.peer(), Some(at80("192.0.2.2")));
    assert_eq!(failure.progress, Progress::Unconnected);
    let (expected, got) = pins(&failure.error);
    assert_eq!(expected, [wrong]);
    assert!(matches!(got[..], [Pin::Certificate(_), Pin::Spki(_)]));
    assert_eq!(world.sim.books(), (0, 0, 0));

    // A pin that is right among others, whichever of the two it is.
    for pin in got {
        world.client = pinned(&[wrong, pin]);
        let ask = world.secure(get("host.test"));
        let probe = world.sim.go(ask);
        let mut session = world.session(world.sim.world.wires() - 1);
        session.talk(&mut world.sim);
        session.say(&mut world.sim, OK);
        assert_eq!(probe.status(), Some(200));
    }
}

#[test]
fn limits_pass_in_the_handshake() {
    // SPEC T2, T3: the handshake counts.
    for which in [Timeout::SockConnect, Timeout::Connect] {
        let mut world = Secure::new(Sim::new(), true);
        let ask = world.secure(get(HOST));
        let probe = world.sim.go(match which {
            Timeout::Connect => ask.connect(secs(2)),
            _ => ask.sock_connect(secs(2)),
        });
        world.sim.advance(secs(2) - ms(1));
        assert!(!probe.is_answered());
        world.sim.advance(ms(1));
        let error = probe.error();
        assert_eq!(error.timeout(), Some(which));
        assert_eq!(error.phase(), Some(Phase::Tls));
        assert_eq!(world.sim.books(), (0, 0, 0));
    }
}

/// Whoever is in its handshake has won the race, unless it fails.
#[test]
fn the_race_pauses_for_a_handshake() {
    let sim = Sim::new();
    sim.names.known("host.test", &["2001:db8::1", HOST]);
    sim.world.set_manner(at80("2001:db8::1"), Manner::Accepts);
    let mut world = Secure::new(sim, true);
    let ask = world.secure(get("host.test"));
    let probe = world.sim.go(ask);
    world.sim.advance(secs(3));
    assert_eq!(world.sim.world.wires(), 1);
    world.sim.peer(0).reset();
    world.sim.settle();
    assert_eq!(world.sim.world.wires(), 2);
    assert!(!probe.is_answered());
}

/// What was decrypted before the damage was sent by the server, too.
#[test]
fn a_response_in_front_of_damage_is_delivered() {
    let mut world = Secure::new(Sim::new(), true);
    let ask = world.secure(get(HOST));
    let probe = world.sim.go(ask);
    let mut session = world.session(0);
    session.talk(&mut world.sim);
    session.tls.writer().write_all(OK.as_ref()).unwrap();
    let mut wire = session.output();
    wire.extend_from_slice(b"\x17\x03\x03\x00\x20 this is no record of theirs......");
    world.sim.peer(0).send(wire);
    world.sim.settle();
    assert_eq!((probe.status(), probe.body()), (Some(200), b"ok".to_vec()));
    world.sim.settle();
    assert_eq!(world.sim.world.open(), world.sim.books().1);
}

/// Session tickets are no data: a server that sends many gets no more of the
/// thread than others, and its response is read all the same.
#[test]
fn many_tickets_take_many_turns() {
    let mut world = Secure::new(Sim::new(), true);
    let server = Arc::get_mut(&mut world.server).unwrap();
    // Not many more, or rustls takes them for one message without an end.
    server.send_tls13_tickets = 700;
    let ask = world.secure(get(HOST));
    let probe = world.sim.go(ask);
    let mut session = world.session(0);
    session.tls.set_buffer_limit(None);
    world.sim.settle();
    session.listen(&world.sim);
    let hello = session.output();
    world.sim.peer(0).send(hello);
    world.sim.settle();
    session.listen(&world.sim);
    session.tls.writer().write_all(OK.as_ref()).unwrap();
    let wire = session.output();
    assert!(wire.len() > 50_000, "{} bytes of tickets", wire.len());
    world.sim.peer(0).send(&wire);
    // One turn fetches the event, and reads its share.
    world.sim.turn();
    assert!(world.sim.peer(0).unread() > wire.len() / 4);
    assert!(!probe.is_answered());
    world.sim.settle();
    assert_eq!((probe.status(), probe.body()), (Some(200), b"ok".to_vec()));
}
