//! TLS on the two sides of a proxy: with an https proxy, with the origin, and
//! the one inside the other.

use std::io::{Read, Write};

use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::{ServerConfig, ServerConnection};

use super::sim::*;
use super::tls::certificate;
use crate::error::{Kind, Phase, Timeout};
use crate::head::Fields;
use crate::job::{RareLimits, Route, Via};
use crate::sync::Arc;
use crate::tls::{Client, Settings};

const PROXY: &str = "10.9.9.9";
const GRANTED: &[u8] = b"HTTP/1.1 200 OK\r\n\r\n";

/// A server of TLS, and a client that trusts it.
struct Site {
    server: Arc<ServerConfig>,
    certificate: CertificateDer<'static>,
}

impl Site {
    fn new(host: &str) -> Self {
        let (certificate, key) = certificate(host);
        let server = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(rustls::ALL_VERSIONS)
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .unwrap();
        Self {
            server: Arc::new(server),
            certificate,
        }
    }

    fn trusting(&self) -> Client {
        let mut settings = Settings::default();
        settings.extra_roots = vec![self.certificate.clone()];
        settings.builtin_roots = false;
        Client::build(&settings).unwrap()
    }

    fn session(&self) -> ServerConnection {
        ServerConnection::new(self.server.clone()).unwrap()
    }
}

fn connect(tls: Option<Client>) -> Route {
    let via = Via::Connect {
        fields: Fields::default(),
        login: None,
    };
    Route::new(PROXY, 443, tls, via)
}

/// The proxy and, behind it, the origin: what each says goes through those
/// before it.
struct Far {
    n: usize,
    layers: Vec<ServerConnection>,
    /// What the innermost of them has heard.
    heard: Vec<u8>,
}

impl Far {
    fn new(n: usize, layers: Vec<ServerConnection>) -> Self {
        Self {
            n,
            layers,
            heard: Vec::new(),
        }
    }

    /// Another session within those there are.
    fn add(&mut self, layer: ServerConnection) {
        assert!(std::mem::take(&mut self.heard).is_empty());
        self.layers.push(layer);
    }

    /// Takes in what the client sent.
    fn listen(&mut self, sim: &Sim) {
        let mut data = sim.peer(self.n).received();
        for tls in &mut self.layers {
            let (mut wire, mut plain) = (data.as_slice(), Vec::new());
            while !wire.is_empty() {
                tls.read_tls(&mut wire).unwrap();
                let _ = tls.process_new_packets();
                let _ = tls.reader().read_to_end(&mut plain);
            }
            data = plain;
        }
        self.heard.extend(data);
    }

    /// What is to be sent, through all layers.
    fn output(&mut self) -> Vec<u8> {
        let mut wire = Vec::new();
        for tls in self.layers.iter_mut().rev() {
            tls.set_buffer_limit(None);
            tls.writer().write_all(&wire).unwrap();
            wire.clear();
            while tls.wants_write() {
                tls.write_tls(&mut wire).unwrap();
            }
        }
        wire
    }

    /// Both talk until both are silent.
    fn talk(&mut self, sim: &mut Sim) {
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

    fn say(&mut self, sim: &mut Sim, text: impl AsRef<[u8]>) {
        match self.layers.last_mut() {
            Some(tls) => {
                tls.set_buffer_limit(None);
                tls.writer().write_all(text.as_ref()).unwrap();
            }
            None => sim.peer(self.n).send(text),
        }
        self.talk(sim);
    }

    fn take(&mut self) -> String {
        String::from_utf8(std::mem::take(&mut self.heard)).unwrap()
    }
}

/// Both as they are, ready to be asked.
struct Two {
    sim: Sim,
    proxy: Site,
    origin: Site,
}

impl Two {
    fn new() -> Self {
        Self {
            sim: Sim::new(),
            proxy: Site::new(PROXY),
            origin: Site::new(HOST),
        }
    }

    fn ask(&self, secure_proxy: bool, secure_origin: bool) -> Ask {
        let route = connect(secure_proxy.then(|| self.proxy.trusting()));
        let mut ask = get(HOST).via(&route);
        ask.tls = secure_origin.then(|| self.origin.trusting());
        ask
    }

    /// The far end of the first connection, as far as the tunnel.
    fn open(&mut self, n: usize, secure_proxy: bool, secure_origin: bool) -> Far {
        let layers = match secure_proxy {
            true => vec![self.proxy.session()],
            false => Vec::new(),
        };
        let mut far = Far::new(n, layers);
        far.talk(&mut self.sim);
        let asked = format!("CONNECT {HOST}:80 HTTP/1.1\r\nhost: {HOST}:80\r\n\r\n");
        assert_eq!(far.take(), asked);
        if secure_origin {
            // It begins to speak in the very bytes behind the reply.
            far.say(&mut self.sim, GRANTED);
            let (inner, hello) = (self.origin.session(), std::mem::take(&mut far.heard));
            far.add(inner);
            let inner = far.layers.last_mut().unwrap();
            let mut hello = hello.as_slice();
            while !hello.is_empty() {
                inner.read_tls(&mut hello).unwrap();
                inner.process_new_packets().unwrap();
            }
            far.talk(&mut self.sim);
        } else {
            far.say(&mut self.sim, GRANTED);
        }
        far
    }
}

const WAYS: [(bool, bool); 4] = [(false, false), (false, true), (true, false), (true, true)];

#[test]
fn all_layers_carry_requests_one_after_another() {
    // SPEC X1, X2
    for (secure_proxy, secure_origin) in WAYS {
        let mut two = Two::new();
        let ask = two.ask(secure_proxy, secure_origin);
        let probe = two.sim.go(ask.clone());
        let mut far = two.open(0, secure_proxy, secure_origin);
        for reused in [false, true, true] {
            let probe = match reused {
                false => probe.clone(),
                true => two.sim.go(ask.clone()),
            };
            far.talk(&mut two.sim);
            assert_eq!(far.take(), "GET / HTTP/1.1\r\n\r\n");
            far.say(&mut two.sim, OK);
            assert_eq!((probe.status(), probe.reused()), (Some(200), reused));
            // Of the session with the origin, or of none.
            assert_eq!(probe.tls_name().as_deref(), secure_origin.then_some(HOST));
            assert_eq!(probe.proxy(), Some((PROXY.to_owned(), 443, Some(200))));
            assert_eq!(two.sim.books(), (0, 1, 0));
        }
        // Tickets and key updates of all layers leave an idle link alone (SPEC P4).
        for layer in 0..far.layers.len() {
            far.layers[layer].refresh_traffic_keys().unwrap();
            far.talk(&mut two.sim);
            assert_eq!(two.sim.books(), (0, 1, 0));
        }
        // SPEC S23: all say goodbye.
        two.sim.advance(secs(15));
        assert!(two.sim.peer(0).is_closed());
        far.listen(&two.sim);
        for tls in &mut far.layers {
            assert!(tls.process_new_packets().unwrap().peer_has_closed());
        }
    }
}

/// One byte is read at a time and few are written: nothing is lost or changes
/// places.
#[test]
fn the_narrowest_socket_carries_all_layers() {
    for (secure_proxy, secure_origin) in WAYS {
        let mut two = Two::new();
        let mut ask = two.ask(secure_proxy, secure_origin);
        ask.tls = secure_origin.then(|| two.origin.trusting());
        let probe = two.sim.start(ask);
        two.sim.turn();
        two.sim.peer(0).limit_reads(1);
        two.sim.peer(0).limit_writes(3);
        let mut far = two.open(0, secure_proxy, secure_origin);
        far.say(&mut two.sim, OK);
        assert_eq!(far.take(), "GET / HTTP/1.1\r\n\r\n");
        assert_eq!((probe.status(), probe.body()), (Some(200), b"ok".to_vec()));
    }
}

/// Windows open and close on both sides, in the middle of records of both layers.
#[test]
fn a_large_upload_and_download_through_all_layers() {
    for (secure_proxy, secure_origin) in WAYS {
        let mut two = Two::new();
        let upload = vec![b'u'; 300_000];
        let route = connect(secure_proxy.then(|| two.proxy.trusting()));
        let mut ask = post(HOST, upload.clone()).pipe(10, 20).via(&route);
        ask.tls = secure_origin.then(|| two.origin.trusting());
        let probe = two.sim.go(ask);
        let mut far = two.open(0, secure_proxy, secure_origin);
        two.sim.peer(0).limit_reads(777);
        let mut rounds = 0;
        while !far.heard.ends_with(&upload[1..]) {
            two.sim.peer(0).set_window(rounds % 7 * 3001);
            far.talk(&mut two.sim);
            rounds += 1;
            assert!(rounds < 1000, "the upload stands still");
        }
        two.sim.peer(0).set_window(usize::MAX);
        far.say(&mut two.sim, head_of(400_000));
        for _ in 0..10 {
            far.say(&mut two.sim, vec![b'd'; 40_000]);
        }
        while probe.end().is_none() {
            two.sim.settle();
            rounds += 1;
            assert!(rounds < 1000, "the body stands still");
        }
        assert_eq!(probe.body(), vec![b'd'; 400_000]);
        assert_eq!(two.sim.books(), (0, 1, 0));
    }
}

#[test]
fn a_forwarding_https_proxy_is_no_tls_with_the_origin() {
    let mut two = Two::new();
    let route = Route::new(PROXY, 443, Some(two.proxy.trusting()), Via::Forward);
    let probe = two
        .sim
        .go(get("a.test").target("http://a.test/").via(&route));
    let mut far = Far::new(0, vec![two.proxy.session()]);
    far.talk(&mut two.sim);
    assert_eq!(far.take(), "GET http://a.test/ HTTP/1.1\r\n\r\n");
    far.say(&mut two.sim, OK);
    assert_eq!((probe.status(), probe.tls_name()), (Some(200), None));
    assert_eq!(probe.proxy(), Some((PROXY.to_owned(), 443, None)));
}

#[test]
fn each_certificate_has_its_own_error() {
    // SPEC X4, C20
    // The proxy's, which the client does not trust.
    let mut two = Two::new();
    let route = connect(Some(two.origin.trusting()));
    let probe = two.sim.go(get(HOST).via(&route));
    let mut far = Far::new(0, vec![two.proxy.session()]);
    far.talk(&mut two.sim);
    let error = probe.error();
    assert_eq!(
        (error.kind(), error.phase()),
        (Kind::Certificate, Some(Phase::Tls))
    );
    assert!(
        error.to_string().starts_with("TLS with the proxy: "),
        "{error}"
    );
    assert!(far.heard.is_empty(), "no CONNECT for a stranger");

    // The proxy speaks no TLS.
    let mut two = Two::new();
    let probe = two.sim.go(two.ask(true, true));
    two.sim.peer(0).send("HTTP/1.1 400 Bad Request\r\n\r\n");
    two.sim.settle();
    let error = probe.error();
    assert_eq!((error.kind(), error.phase()), (Kind::Tls, Some(Phase::Tls)));
    assert!(error.to_string().contains("TLS with the proxy"), "{error}");

    // The origin's, behind a proxy that is fine.
    for secure_proxy in [false, true] {
        let mut two = Two::new();
        let mut ask = two.ask(secure_proxy, true);
        ask.tls = Some(two.proxy.trusting());
        let probe = two.sim.go(ask);
        two.open(0, secure_proxy, true);
        let error = probe.error();
        assert_eq!(
            (error.kind(), error.phase()),
            (Kind::Certificate, Some(Phase::Tls))
        );
        assert!(
            error.to_string().contains("certificate of 10.0.0.1"),
            "{error}"
        );
        assert!(!error.is_proxy());
        assert_eq!((two.sim.world.open(), two.sim.books()), (0, (0, 0, 0)));
    }
}

/// Bytes behind the reply are the origin's, and TLS's to judge.
#[test]
fn what_comes_with_the_reply_is_not_lost() {
    for secure_proxy in [false, true] {
        let mut two = Two::new();
        let probe = two.sim.go(two.ask(secure_proxy, true));
        let layers = match secure_proxy {
            true => vec![two.proxy.session()],
            false => Vec::new(),
        };
        let mut far = Far::new(0, layers);
        far.talk(&mut two.sim);
        // An alert: handshake failure.
        let alert = [GRANTED, &[21, 3, 3, 0, 2, 2, 40]].concat();
        far.say(&mut two.sim, alert);
        let error = probe.error();
        assert_eq!(error.kind(), Kind::Tls);
        assert!(
            format!("{error:#}").contains("HandshakeFailure"),
            "{error:#}"
        );
    }
}

#[test]
fn limits_pass_in_every_stage() {
    // SPEC T2, T3, T6
    let stages = [(0, Phase::Tls), (1, Phase::Proxy), (2, Phase::Tls)];
    for (stage, phase) in stages {
        for which in [Timeout::SockConnect, Timeout::Connect, Timeout::Tls] {
            let mut two = Two::new();
            let ask = two.ask(true, true);
            let rare = RareLimits {
                tls: Some(secs(2)),
                ..RareLimits::default()
            };
            let probe = two.sim.go(match which {
                Timeout::SockConnect => ask.sock_connect(secs(2)),
                Timeout::Connect => ask.connect(secs(2)),
                _ => ask.rare(rare),
            });
            let mut far = Far::new(0, vec![two.proxy.session()]);
            if stage > 0 {
                far.talk(&mut two.sim);
            }
            if stage > 1 {
                two.sim.advance(secs(1));
                far.say(&mut two.sim, GRANTED);
            }
            // The limit of a handshake begins with that handshake.
            let left = match (which, stage) {
                (Timeout::Tls, 1) => {
                    two.sim.advance(secs(60));
                    assert!(!probe.is_answered());
                    continue;
                }
                (Timeout::SockConnect | Timeout::Connect, 2) => secs(1),
                _ => secs(2),
            };
            two.sim.advance(left - ms(1));
            assert!(!probe.is_answered(), "{which:?} in {stage}");
            two.sim.advance(ms(1));
            let error = probe.error();
            assert_eq!((error.timeout(), error.phase()), (Some(which), Some(phase)));
            assert_eq!((two.sim.world.open(), two.sim.books()), (0, (0, 0, 0)));
        }
    }
}

/// A proxy that sends session tickets and nothing else gets no thread for ever.
#[test]
fn tickets_without_an_end_are_a_fault_or_take_turns() {
    // While it is asked: no proxy has so much to say before its answer.
    let mut two = Two::new();
    let server = Arc::get_mut(&mut two.proxy.server).unwrap();
    server.send_tls13_tickets = 700;
    let probe = two.sim.go(two.ask(true, false));
    let mut far = Far::new(0, vec![two.proxy.session()]);
    far.talk(&mut two.sim);
    let error = probe.error();
    assert_eq!(error.kind(), Kind::ProxyConnect);
    assert!(
        format!("{error:#}").contains("records without data"),
        "{error:#}"
    );
    assert_eq!(two.sim.books(), (0, 0, 0));
}

/// RFC 9112 §9.8 asks for the end of the session that the body came through.
#[test]
fn the_end_of_a_tunnel_without_a_goodbye_is_no_end_of_a_body() {
    // SPEC R41
    for (inner, outer) in [(true, true), (true, false), (false, true), (false, false)] {
        let mut two = Two::new();
        let probe = two.sim.go(two.ask(true, true));
        let mut far = two.open(0, true, true);
        far.say(&mut two.sim, "HTTP/1.1 200 OK\r\n\r\nsome");
        if inner {
            far.layers[1].send_close_notify();
            far.talk(&mut two.sim);
        }
        if outer {
            far.layers[0].send_close_notify();
            far.talk(&mut two.sim);
        }
        two.sim.peer(0).finish();
        two.sim.settle();
        assert_eq!(probe.body(), b"some");
        match inner {
            true => assert!(matches!(probe.end(), Some(Ok(())))),
            false => assert_eq!(probe.body_error().kind(), Kind::Payload),
        }
    }
}

/// Damage in the outer layer is the proxy's.
#[test]
fn a_broken_outer_session_ends_the_exchange() {
    let mut two = Two::new();
    let probe = two.sim.go(two.ask(true, true));
    let mut far = two.open(0, true, true);
    far.talk(&mut two.sim);
    two.sim
        .peer(0)
        .send(b"\x17\x03\x03\x00\x20 this is no record of theirs......");
    two.sim.settle();
    let error = probe.error();
    assert_eq!(error.kind(), Kind::Tls);
    assert!(error.to_string().contains("with the proxy"), "{error}");
    assert_eq!((two.sim.world.open(), two.sim.books()), (0, (0, 0, 0)));
}
