//! Credentials that a proxy asks for by 407: for requests in absolute form, and
//! for tunnels.

use std::io::Cursor;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use miohttp::{Auth, Body, Connector, DigestAuth, Kind, NoProxy, Proxy, Session};

use super::{basic, named, send, session, text, through, to};
use crate::support::{Peer, Request, enter, ok, response};

const USER: &str = "user";
const PASSWORD: &str = "open sesame";
const REALM: &str = "gate";

/// A proxy that wants Digest with MD5, and what it keeps in mind.
struct Guard {
    qop: &'static str,
    /// Nonces are numbered; older ones than this are stale.
    nonce: AtomicUsize,
    /// What every challenge says besides.
    more: &'static str,
    /// Counts of nonces that were used.
    counts: Mutex<Vec<u32>>,
    /// Answers that are still found stale.
    stale: AtomicUsize,
}

impl Guard {
    fn new(qop: &'static str) -> Arc<Self> {
        Self::saying(qop, "")
    }

    fn saying(qop: &'static str, more: &'static str) -> Arc<Self> {
        Arc::new(Self {
            qop,
            nonce: AtomicUsize::new(1),
            more,
            counts: Mutex::default(),
            stale: AtomicUsize::new(0),
        })
    }

    /// A proxy that is every origin itself. What goes through a tunnel is
    /// answered by nobody but the origin.
    fn serve(self: &Arc<Self>) -> Peer {
        let guard = Arc::clone(self);
        Peer::start(move |conn| {
            let mut is_open = false;
            while let Some(request) = conn.next_request()? {
                let is_connect = request.method == "CONNECT";
                let answer = match is_open {
                    true => ok(request.line()),
                    false => match guard.judge(&request) {
                        Err(stale) => guard.challenge(stale),
                        Ok(()) if is_connect => b"HTTP/1.1 200 Come in\r\n\r\n".to_vec(),
                        Ok(()) => ok(request.line()),
                    },
                };
                is_open |= is_connect && answer.starts_with(b"HTTP/1.1 200");
                conn.write(answer)?;
            }
            Ok(())
        })
    }

    fn challenge(&self, stale: &str) -> Vec<u8> {
        let nonce = self.nonce.load(Ordering::Relaxed);
        let qop = match self.qop {
            "" => String::new(),
            qop => format!(", qop=\"{qop}\""),
        };
        let more = self.more;
        let field = format!("Digest realm=\"{REALM}\", nonce=\"n{nonce}\"{qop}{stale}{more}");
        let fields = [("Proxy-Authenticate", &*field), ("X-Gate", "shut")];
        response("407 Who Asks", &fields, "who?")
    }

    /// Whether the request's answer is right; if not, what to say of its nonce.
    fn judge(&self, request: &Request) -> Result<(), &'static str> {
        let Some(field) = request.header("proxy-authorization") else {
            return Err("");
        };
        assert_eq!(request.header_all("proxy-authorization").count(), 1);
        let param = |name: &str| {
            let (_, rest) = field.split_once(&format!(" {name}="))?;
            let rest = rest.strip_prefix('"').unwrap_or(rest);
            let end = rest.find(['"', ',']).unwrap_or(rest.len());
            Some(rest[..end].to_owned())
        };
        let param = |name: &str| param(name).unwrap_or_default();
        // As every other client signs it: what the origin is sent in the end.
        let uri = match request.target.strip_prefix("http://") {
            Some(rest) => &rest[rest.find('/').expect("a path")..],
            None => &request.target,
        };
        assert_eq!(param("uri"), uri, "{field}");
        let secret = hex(format!("{}:{REALM}:{PASSWORD}", param("username")));
        let what = match &*param("qop") {
            "auth-int" => hex(format!("{}:{uri}:{}", request.method, hex(&request.body))),
            _ => hex(format!("{}:{uri}", request.method)),
        };
        let nonce = param("nonce");
        let right = match &*param("qop") {
            "" => hex(format!("{secret}:{nonce}:{what}")),
            qop => {
                let (count, cnonce) = (param("nc"), param("cnonce"));
                enter(&self.counts).push(u32::from_str_radix(&count, 16).expect("hex"));
                hex(format!("{secret}:{nonce}:{count}:{cnonce}:{qop}:{what}"))
            }
        };
        let is_used_up = |left: usize| left.checked_sub(1);
        let order = Ordering::Relaxed;
        if self.stale.fetch_update(order, order, is_used_up).is_ok() {
            self.nonce.fetch_add(1, order);
        }
        if nonce != format!("n{}", self.nonce.load(order)) {
            return Err(", stale=true");
        }
        match param("response") == right {
            true => Ok(()),
            false => Err(", stale=false"),
        }
    }
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    format!("{:x}", md5::compute(bytes))
}

fn digest() -> Auth {
    Auth::digest(USER, PASSWORD)
}

/// Method, and whether there were credentials for the proxy, of all so far.
fn carried(peer: &Peer) -> Vec<(String, bool)> {
    let of = |request: Request| {
        let carried = request.header("proxy-authorization").is_some();
        (request.method, carried)
    };
    peer.requests().into_iter().map(of).collect()
}

fn said(list: &[(&str, bool)]) -> Vec<(String, bool)> {
    list.iter().map(|(m, c)| ((*m).to_owned(), *c)).collect()
}

#[test]
fn a_challenge_to_a_request_is_answered_and_remembered() {
    // SPEC A7, X2, X3
    for qop in ["", "auth", "auth-int"] {
        for started in [false, true] {
            let guard = Guard::new(qop);
            let gate = guard.serve();
            let proxy = through(&gate).auth(digest());
            let first = session(proxy.clone());
            let answer = send(first.post("http://a.test/x?y").body("hello"), started);
            let answer = answer.expect("an answer");
            assert_eq!((answer.status().as_u16(), answer.attempts()), (200, 2));
            assert_eq!(text(Ok(answer)), "POST http://a.test/x?y");
            // At once, for other origins and by clones, too.
            let second = session(proxy);
            let answer = send(second.get("http://b.test/z"), started);
            assert_eq!(text(answer), "GET http://b.test/z");
            let want = [("POST", false), ("POST", true), ("GET", true)];
            assert_eq!(carried(&gate), said(&want), "{qop}");
            let requests = gate.requests();
            assert!(
                requests[..2]
                    .iter()
                    .all(|request| request.text() == "hello")
            );
            let to_origin = |r: &Request| r.header("authorization").is_some();
            assert!(!requests.iter().any(to_origin));
            let counts = if qop.is_empty() { vec![] } else { vec![1, 2] };
            assert_eq!(*enter(&guard.counts), counts);
        }
    }
}

#[test]
fn a_challenge_to_a_tunnel_is_answered_and_remembered() {
    // SPEC A7, X2, X3, X4
    for qop in ["", "auth", "auth-int"] {
        for started in [false, true] {
            let guard = Guard::new(qop);
            let gate = guard.serve();
            let session = session(through(&gate).auth(digest()).tunnel(true));
            let answer = send(session.post("http://a.test/x").body("hello"), started);
            assert_eq!(text(answer), "POST /x");
            // The tunnel is there, and the next one is opened at once.
            assert_eq!(
                text(send(session.get("http://a.test/y"), started)),
                "GET /y"
            );
            assert_eq!(
                text(send(session.get("http://b.test:81/z"), started)),
                "GET /z"
            );
            let want = [
                ("CONNECT", false),
                ("CONNECT", true),
                ("POST", false),
                ("GET", false),
                ("CONNECT", true),
                ("GET", false),
            ];
            assert_eq!(carried(&gate), said(&want), "{qop}");
            let targets: Vec<_> = gate.requests().into_iter().map(|r| r.target).collect();
            assert_eq!(
                targets,
                ["a.test:80", "a.test:80", "/x", "/y", "b.test:81", "/z"]
            );
        }
    }
}

#[test]
fn either_scheme_is_what_the_proxy_asks_for() {
    // SPEC X3
    for tunnel in [false, true] {
        let wanted = basic(USER, PASSWORD);
        let gate = Peer::start(move |conn| {
            let mut is_open = false;
            while let Some(request) = conn.next_request()? {
                let is_right = request.header("proxy-authorization") == Some(&*wanted);
                if !is_open && !is_right {
                    let field = [("Proxy-Authenticate", "Basic realm=\"gate\"")];
                    conn.write(response("407 Who Asks", &field, "who?"))?;
                } else if request.method == "CONNECT" {
                    is_open = true;
                    conn.write("HTTP/1.1 200 Come in\r\n\r\n")?;
                } else {
                    conn.write(ok("in"))?;
                }
            }
            Ok(())
        });
        let proxy = through(&gate)
            .tunnel(tunnel)
            .auth(Auth::any(USER, PASSWORD));
        let known = session(proxy);
        for started in [false, true] {
            assert_eq!(text(send(known.get("http://a.test/"), started)), "in");
        }
        let all = carried(&gate);
        let asked = all.iter().filter(|(method, carried)| {
            let is_outer = !tunnel || method == "CONNECT";
            is_outer && !carried
        });
        assert_eq!(asked.count(), 1);
        // A password that is wrong is tried once.
        let before = gate.request_count();
        let session = session(through(&gate).tunnel(tunnel).auth(Auth::any(USER, "wrong")));
        match session.get("http://a.test/").send() {
            Ok(answer) => assert!(!tunnel && answer.status() == 407),
            Err(error) => assert!(tunnel && error.status().unwrap() == 407, "{error:#}"),
        }
        assert_eq!(gate.request_count() - before, 2);
    }
}

#[test]
fn a_loop_of_challenges_comes_to_an_end() {
    // SPEC X4
    for (stale, password, sent, is_in) in [
        (0, "wrong", 2, false),
        (1, PASSWORD, 3, true),
        (9, PASSWORD, 3, false),
    ] {
        for started in [false, true] {
            // A request gets the proxy's answer as its own.
            let guard = Guard::new("auth");
            guard.stale.store(stale, Ordering::Relaxed);
            let gate = guard.serve();
            let proxy = through(&gate).auth(Auth::digest(USER, password));
            let answer = send(session(proxy).get("http://a.test/"), started).unwrap();
            assert_eq!(answer.status(), if is_in { 200 } else { 407 });
            assert_eq!(
                (answer.attempts(), gate.request_count()),
                (sent, sent as usize)
            );
            if !is_in {
                assert_eq!(text(Ok(answer)), "who?");
            }

            // And a tunnel fails with it.
            let guard = Guard::new("auth");
            guard.stale.store(stale, Ordering::Relaxed);
            let gate = guard.serve();
            let proxy = through(&gate)
                .auth(Auth::digest(USER, password))
                .tunnel(true);
            let outcome = send(session(proxy).get("http://a.test/"), started);
            let tunnels = gate
                .requests()
                .iter()
                .filter(|r| r.method == "CONNECT")
                .count();
            assert_eq!(tunnels, sent as usize);
            if is_in {
                assert_eq!(text(outcome), "GET /");
                continue;
            }
            let error = outcome.unwrap_err();
            assert_eq!(error.kind(), Kind::ProxyRefused, "{error:#}");
            assert!(error.is_proxy());
            assert_eq!(error.status().unwrap().as_u16(), 407);
            assert_eq!(error.reason(), Some("Who Asks"));
            assert_eq!(error.headers().unwrap()["x-gate"], "shut");
            assert_eq!(error.body(), Some(&b"who?"[..]));
            assert_eq!(error.stats().attempts, sent);
            assert!(!format!("{error:#} {error:?}").contains(password));
        }
    }
}

#[test]
fn a_nonce_that_was_used_up_meanwhile_is_replaced() {
    // SPEC A7, X3
    for tunnel in [false, true] {
        let guard = Guard::new("auth");
        let gate = guard.serve();
        let proxy = through(&gate).auth(digest()).tunnel(tunnel);
        let first = session(proxy.clone());
        first.get("http://a.test/").send().unwrap();
        guard.nonce.store(5, Ordering::Relaxed);
        // A session of its own, and so a tunnel of its own.
        let second = session(proxy);
        let answer = second.get("http://a.test/").send().expect("an answer");
        assert_eq!((answer.status().as_u16(), answer.attempts()), (200, 2));
        assert_eq!(*enter(&guard.counts), [1, 2, 1]);
    }
}

#[test]
fn all_of_a_proxy_is_one_space() {
    // SPEC X3: RFC 7616 §3.3 has a proxy's `domain` ignored.
    for tunnel in [false, true] {
        let guard = Guard::saying("auth", ", domain=\"/elsewhere http://other.test/\"");
        let gate = guard.serve();
        let session = session(through(&gate).auth(digest()).tunnel(tunnel));
        for host in ["a.test", "b.test"] {
            session.get(format!("http://{host}/")).send().unwrap();
        }
        assert_eq!(*enter(&guard.counts), [1, 2]);
    }
}

/// A body that can be read once.
fn once() -> Body {
    Body::reader(Cursor::new(b"hello".to_vec()))
}

#[test]
fn a_body_that_can_be_sent_once_is_not_spent_on_a_tunnel() {
    // SPEC D10, X3
    for started in [false, true] {
        let gate = Guard::new("auth").serve();
        let tunnels = session(through(&gate).auth(digest()).tunnel(true));
        let request = tunnels.put("http://a.test/x").body(once());
        assert_eq!(text(send(request, started)), "PUT /x");
        assert_eq!(gate.requests().pop().unwrap().text(), "hello");

        // To the proxy itself it goes, and would have to go again;
        let gate = Guard::new("auth").serve();
        let plain = session(through(&gate).auth(digest()));
        let error = send(plain.put("http://a.test/x").body(once()), started).unwrap_err();
        assert_eq!(error.kind(), Kind::BodyNotReplayable, "{error:#}");
        assert_eq!(error.status().unwrap().as_u16(), 407);

        // unless it waits until the proxy has asked.
        let gate = Guard::new("auth").serve();
        let auth = DigestAuth::new(USER, PASSWORD).ask_first(true);
        let waiting = session(through(&gate).auth(auth));
        let request = waiting.put("http://a.test/x").body(once());
        assert_eq!(text(send(request, started)), "PUT http://a.test/x");
        let bodies: Vec<_> = gate.requests().iter().map(Request::text).collect();
        assert_eq!(bodies, ["", "hello"]);
        // Once it has, there is nothing to wait for.
        let request = waiting.put("http://a.test/y").body(once());
        assert_eq!(text(send(request, started)), "PUT http://a.test/y");
        assert_eq!(gate.request_count(), 3);
    }
}

#[test]
fn a_body_that_waited_in_vain_is_sent_then() {
    // SPEC X3
    let gate = super::gate_of(|request| ok(request.text()));
    let auth = DigestAuth::new(USER, PASSWORD).ask_first(true);
    let session = session(through(&gate).auth(auth));
    let request = session.put("http://a.test/x").body(once());
    assert_eq!(text(request.send()), "hello");
    let bodies: Vec<_> = gate.requests().iter().map(Request::text).collect();
    assert_eq!(bodies, ["", "hello"]);
}

#[test]
fn proxy_and_origin_may_both_ask() {
    // SPEC A7, X3
    let guard = Guard::new("auth");
    let judge = Arc::clone(&guard);
    // The origin asks in its own words, behind the proxy.
    let origin = |request: &Request| match request.header("authorization") {
        Some(field) => {
            assert!(field.contains("realm=\"origin\"") && field.contains("uri=\"/x\""));
            assert!(field.contains("username=\"guest\""), "{field}");
            ok("in")
        }
        None => {
            let field = "Digest realm=\"origin\", nonce=\"o\", qop=\"auth\"";
            response("401 Who Asks", &[("WWW-Authenticate", field)], "")
        }
    };
    let gate = super::gate_of(move |request| match judge.judge(request) {
        Ok(()) => origin(request),
        Err(stale) => judge.challenge(stale),
    });
    for ask_first in [false, true] {
        let auth = DigestAuth::new(USER, PASSWORD).ask_first(ask_first);
        let session = session(through(&gate).auth(auth));
        for (started, attempts) in [(false, 3), (true, 2)] {
            let auth = DigestAuth::new("guest", "pass").ask_first(ask_first);
            let request = session.put("http://a.test/x").auth(auth).body("hello");
            let answer = send(request, started).expect("an answer");
            // The second time the proxy has nothing to ask any more.
            assert_eq!(
                (answer.status().as_u16(), answer.attempts()),
                (200, attempts)
            );
            assert_eq!(gate.requests().pop().unwrap().text(), "hello");
        }
    }
}

#[test]
fn a_body_that_waits_for_the_origin_waits_while_the_proxy_asks() {
    // SPEC A7, D10, X3
    let guard = Guard::new("auth");
    let judge = Arc::clone(&guard);
    let origin = |request: &Request| match request.header("authorization") {
        Some(_) => ok(request.text()),
        None => {
            let field = "Digest realm=\"origin\", nonce=\"o\", qop=\"auth\"";
            response("401 Who Asks", &[("WWW-Authenticate", field)], "")
        }
    };
    let gate = super::gate_of(move |request| match judge.judge(request) {
        Ok(()) => origin(request),
        Err(stale) => judge.challenge(stale),
    });
    for started in [false, true] {
        let session = session(through(&gate).auth(digest()));
        let auth = DigestAuth::new("guest", "pass").ask_first(true);
        let request = session.put("http://a.test/x").auth(auth).body(once());
        assert_eq!(text(send(request, started)), "hello");
    }
    let bodies: Vec<_> = gate.requests().iter().map(Request::text).collect();
    assert_eq!(bodies, ["", "", "hello", "", "", "hello"]);
}

#[test]
fn an_origin_that_plays_the_proxy_gets_nothing() {
    // SPEC X5
    let challenge = "Digest realm=\"gate\", nonce=\"n1\"";
    let field = move || [("Proxy-Authenticate", challenge)];
    let origin = Peer::serve(move |_| response("407 Who Asks", &field(), "who?"));
    let list = NoProxy::parse("127.0.0.1").unwrap();
    let guard = Guard::new("auth");
    let gate = guard.serve();
    let proxy = through(&gate).auth(digest());
    let direct = session(proxy.clone().no_proxy(list));
    assert_eq!(direct.get(origin.url("/")).send().unwrap().status(), 407);
    assert_eq!(origin.request_count(), 1);

    // Nor does one at the end of a tunnel.
    let gate = super::gate_of(move |_| response("407 Who Asks", &field(), "who?"));
    let tunnel = session(
        Proxy::all(named(&gate))
            .unwrap()
            .auth(digest())
            .tunnel(true),
    );
    for started in [false, true] {
        let answer = send(tunnel.get("http://a.test/"), started).unwrap();
        assert_eq!(answer.status(), 407);
    }
    assert_eq!(
        carried(&gate),
        said(&[("CONNECT", false), ("GET", false), ("GET", false)])
    );
}

#[test]
fn a_challenge_nobody_can_answer_is_an_error_at_once() {
    // SPEC X4
    for tunnel in [false, true] {
        let gate = Peer::serve(|_| {
            let field = "Digest realm=\"gate\", nonce=\"n\", algorithm=ROT13";
            response("407 Who Asks", &[("Proxy-Authenticate", field)], "who?")
        });
        let session = session(through(&gate).auth(digest()).tunnel(tunnel));
        for started in [false, true] {
            let error = send(session.get("http://a.test/"), started).unwrap_err();
            assert_eq!(error.kind(), Kind::Protocol, "{error:#}");
            assert_eq!(error.status().unwrap().as_u16(), 407);
        }
        assert_eq!(gate.request_count(), 2);
    }
}

#[test]
fn credentials_go_on_where_a_redirect_leads() {
    // SPEC D7, D9, X3
    let guard = Guard::new("auth");
    let judge = Arc::clone(&guard);
    let gate = super::gate_of(move |request| match judge.judge(request) {
        Err(stale) => judge.challenge(stale),
        Ok(()) if request.target == "http://a.test/from" => to("http://b.test/end"),
        Ok(()) => ok(request.line()),
    });
    let session = session(through(&gate).auth(digest()));
    for started in [false, true] {
        let answer = send(session.get("http://a.test/from"), started);
        assert_eq!(text(answer), "GET http://b.test/end");
    }
    let want = [
        ("GET", false),
        ("GET", true),
        ("GET", true),
        ("GET", true),
        ("GET", true),
    ];
    assert_eq!(carried(&gate), said(&want));
}

#[test]
fn two_logins_share_no_tunnel() {
    // SPEC P1, X3
    let guard = Guard::new("auth");
    let gate = guard.serve();
    let connector = Connector::new();
    let ask = |auth: Auth| {
        let proxy = through(&gate).auth(auth).tunnel(true);
        let builder = Session::builder().connector(connector.clone());
        text(builder.proxy(proxy).build().get("http://a.test/").send())
    };
    let (one, other) = (digest(), Auth::digest("other", PASSWORD));
    let tunnels = || {
        let requests = gate.requests();
        let open = requests.iter().filter(|request| {
            request.method == "CONNECT" && request.header("proxy-authorization").is_some()
        });
        open.count()
    };
    for (auth, want) in [(&one, 1), (&one, 1), (&other, 2), (&one, 2), (&other, 2)] {
        assert_eq!(ask(auth.clone()), "GET /");
        assert_eq!(tunnels(), want);
    }
}
