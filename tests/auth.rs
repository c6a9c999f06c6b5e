//! Credentials that a server asks for: Digest and Basic by its challenge, with
//! a peer that computes each answer for itself.
#![cfg(feature = "digest")]

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use miohttp::{
    Auth, Body, DigestAuth, Kind, Pending, RequestBuilder, Response, Session, StatusCode, wait_all,
};
use support::{Peer, Request, enter, head, ok, response};

const USER: &str = "user";
const PASSWORD: &str = "open sesame";
const REALM: &str = "here, \"there\"";

/// A server that wants Digest with MD5, and what it keeps in mind.
struct Guard {
    qop: &'static str,
    /// Nonces are numbered; older ones than this are stale.
    nonce: AtomicUsize,
    /// What every challenge says besides.
    more: &'static str,
    /// Counts of the current nonce that were used.
    counts: Mutex<Vec<u32>>,
}

impl Guard {
    fn new(qop: &'static str) -> Arc<Self> {
        Arc::new(Self {
            qop,
            nonce: AtomicUsize::new(1),
            more: "",
            counts: Mutex::default(),
        })
    }

    /// Answers those who know the password, and asks all others.
    fn serve(self: &Arc<Self>) -> Peer {
        let guard = Arc::clone(self);
        Peer::serve(move |request| guard.answer(request))
    }

    fn answer(&self, request: &Request) -> Vec<u8> {
        match self.judge(request) {
            Ok(()) => ok(request.line()),
            Err(stale) => self.challenge(stale),
        }
    }

    fn challenge(&self, stale: &str) -> Vec<u8> {
        let realm = REALM.replace('"', "\\\"");
        let nonce = self.nonce.load(Ordering::Relaxed);
        let (qop, more) = (self.qop, self.more);
        let qop = match qop {
            "" => String::new(),
            qop => format!(", qop=\"{qop}\""),
        };
        let field =
            format!("Digest realm=\"{realm}\", nonce=\"n{nonce}\"{qop}, opaque=\"o\"{stale}{more}");
        response("401 Unauthorized", &[("WWW-Authenticate", &field)], "who?")
    }

    /// Whether the request's answer is right; if not, what to say of its nonce.
    fn judge(&self, request: &Request) -> Result<(), &'static str> {
        let Some(field) = request.header("authorization") else {
            return Err("");
        };
        assert_eq!(request.header_all("authorization").count(), 1);
        let params = params(field);
        let param = |name: &str| {
            let found = params.iter().find(|(n, _)| n == name);
            found.map(|(_, value)| value.as_str())
        };
        assert_eq!(param("uri"), Some(request.target.as_str()), "{field}");
        assert_eq!((param("realm"), param("opaque")), (Some(REALM), Some("o")));
        let nonce = param("nonce").expect("a nonce");
        let secret = hex(format!("{USER}:{REALM}:{PASSWORD}"));
        let what = match param("qop") {
            Some("auth-int") => {
                let body = hex(&request.body);
                hex(format!("{}:{}:{body}", request.method, request.target))
            }
            _ => hex(format!("{}:{}", request.method, request.target)),
        };
        let right = match param("qop") {
            None => hex(format!("{secret}:{nonce}:{what}")),
            Some(qop) => {
                let (count, cnonce) = (param("nc").expect("nc"), param("cnonce").expect("cnonce"));
                enter(&self.counts).push(u32::from_str_radix(count, 16).expect("hex"));
                hex(format!("{secret}:{nonce}:{count}:{cnonce}:{qop}:{what}"))
            }
        };
        if nonce != format!("n{}", self.nonce.load(Ordering::Relaxed)) {
            return Err(", stale=true");
        }
        match param("response") == Some(right.as_str()) && param("username") == Some(USER) {
            true => Ok(()),
            false => Err(", stale=false"),
        }
    }
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    format!("{:x}", md5::compute(bytes))
}

/// The parameters of a Digest field, without quotes and escapes.
fn params(field: &str) -> Vec<(String, String)> {
    let mut rest = field.strip_prefix("Digest ").expect("of the scheme Digest");
    let mut all = Vec::new();
    while let Some((name, value)) = rest.split_once('=') {
        let (value, after) = match value.strip_prefix('"') {
            None => {
                let end = value.find(',').unwrap_or(value.len());
                (value[..end].to_owned(), &value[end..])
            }
            Some(quoted) => {
                let mut text = String::new();
                let mut chars = quoted.char_indices();
                let end = loop {
                    match chars.next().expect("a closing quote") {
                        (at, '"') => break at + 1,
                        (_, '\\') => text.push(chars.next().expect("an escaped one").1),
                        (_, char) => text.push(char),
                    }
                };
                (text, &quoted[end..])
            }
        };
        all.push((name.trim_start_matches([',', ' ']).to_owned(), value));
        rest = after;
    }
    all
}

fn digest() -> Auth {
    Auth::digest(USER, PASSWORD)
}

fn text(response: Response) -> String {
    response.text().expect("a body")
}

/// Whether each request carried credentials, in the order they came.
fn carried(peer: &Peer) -> Vec<bool> {
    let requests = peer.requests();
    let carried = requests.iter().map(|r| r.header("authorization").is_some());
    carried.collect()
}

#[test]
fn a_challenge_is_answered_and_remembered() {
    // SPEC A7
    for qop in ["", "auth", "auth-int", "auth,auth-int"] {
        let guard = Guard::new(qop);
        let peer = guard.serve();
        let session = Session::builder().auth(digest()).build();
        let url = peer.url("/a/b%20c?d=e%26f&g=h");
        let first = session.get(&url).send().unwrap();
        assert_eq!((first.status(), first.attempts()), (StatusCode::OK, 2));
        assert_eq!(first.history().len(), 0);
        assert_eq!(text(first), "GET /a/b%20c?d=e%26f&g=h");
        // And from then on unasked, whoever drives.
        assert_eq!(
            text(session.put(peer.url("/x")).body("b").send().unwrap()),
            "PUT /x"
        );
        let started = session.head(peer.url("/y")).start_send();
        assert_eq!(started.wait().unwrap().status(), 200);
        assert_eq!(carried(&peer), [false, true, true, true], "{qop}");
        let counts = if qop.is_empty() {
            vec![]
        } else {
            vec![1, 2, 3]
        };
        assert_eq!(*enter(&guard.counts), counts);
        // The challenge's short body was read away, and its connection kept.
        assert_eq!(peer.connections(), 1, "{qop}");
        peer.check();
    }
}

#[test]
fn an_upload_is_sent_again_and_never_lost() {
    // SPEC A7
    let body = "0123456789".repeat(40_000);
    for qop in ["auth", "auth-int"] {
        let guard = Guard::new(qop);
        let peer = guard.serve();
        let send = |auth: Auth, started: bool| -> Response {
            let request = Session::new().post(peer.url("/up")).auth(auth);
            let pieces = body.as_bytes().chunks(7777).map(<[u8]>::to_vec);
            let request = request.body(Body::pieces(pieces));
            match started {
                true => request.start_send().wait().unwrap(),
                false => request.send().unwrap(),
            }
        };
        for started in [false, true] {
            assert_eq!(send(digest(), started).status(), 200, "{qop}");
            let two = peer.requests().split_off(peer.request_count() - 2);
            for request in two {
                assert_eq!(request.text(), body);
                assert_eq!(request.header("content-length"), Some("400000"));
            }
        }
        peer.check();
    }
}

#[test]
fn a_challenge_in_the_middle_of_an_upload_starts_it_anew() {
    // SPEC A7, B9: the server answers the head and closes.
    let guard = Guard::new("auth");
    let judge = Arc::clone(&guard);
    let peer = Peer::start(move |conn| {
        if conn.index() == 0 {
            conn.request_head()?;
            return conn.write(judge.challenge(", other=1"));
        }
        let request = conn.request()?;
        conn.write(judge.answer(&request))
    });
    let body = vec![b'x'; 8 << 20];
    let request = Session::new().put(peer.url("/up")).auth(digest());
    let answer = request.body(body.clone()).send().unwrap();
    assert_eq!(text(answer), "PUT /up");
    assert!(peer.requests()[1].body == body);
    peer.finish();
}

#[test]
fn a_wrong_password_is_tried_once_and_the_answer_is_the_answer() {
    // SPEC A7
    let peer = Guard::new("auth").serve();
    let auth = Auth::digest(USER, "wrong");
    for round in 1..=2 {
        let answer = Session::new().get(peer.url("/")).auth(auth.clone()).send();
        let answer = answer.unwrap();
        assert_eq!(answer.status(), 401);
        assert_eq!(text(answer), "who?");
        assert_eq!(peer.request_count(), 2 * round);
    }
}

#[test]
fn a_stale_nonce_is_replaced() {
    // SPEC A7
    let guard = Guard::new("auth");
    let peer = guard.serve();
    let session = Session::builder().auth(digest()).build();
    for _ in 0..2 {
        session.get(peer.url("/")).send().unwrap();
    }
    guard.nonce.store(2, Ordering::Relaxed);
    for _ in 0..2 {
        assert_eq!(session.get(peer.url("/")).send().unwrap().status(), 200);
    }
    assert_eq!(carried(&peer), [false, true, true, true, true, true]);
    // The refused one counts for the nonce that it used.
    assert_eq!(*enter(&guard.counts), [1, 2, 3, 1, 2]);
}

#[test]
fn a_nonce_that_is_used_up_at_once_is_replaced_once() {
    // SPEC A7: the answer to a challenge is stale; a third time is too many.
    for (stale_answers, sent, status) in [(1, 3, 200), (9, 3, 401)] {
        let guard = Guard::new("auth");
        let judge = Arc::clone(&guard);
        let peer = Peer::serve(move |request| {
            let is_new = request.header("authorization").is_some();
            if is_new && judge.nonce.load(Ordering::Relaxed) <= stale_answers {
                judge.nonce.fetch_add(1, Ordering::Relaxed);
            }
            judge.answer(request)
        });
        let answer = Session::new().get(peer.url("/")).auth(digest()).send();
        let answer = answer.unwrap();
        assert_eq!(
            (answer.status().as_u16(), answer.attempts()),
            (status, sent)
        );
    }
}

#[test]
fn the_next_nonce_is_taken() {
    // SPEC A7
    let guard = Guard::new("auth");
    let judge = Arc::clone(&guard);
    let peer = Peer::serve(move |request| {
        if judge.judge(request).is_err() {
            return judge.challenge("");
        }
        let next = judge.nonce.fetch_add(1, Ordering::Relaxed) + 1;
        let info = format!("nextnonce=\"n{next}\", qop=auth, nc=00000001");
        response("200 OK", &[("Authentication-Info", &info)], "")
    });
    let session = Session::builder().auth(digest()).build();
    for _ in 0..3 {
        assert_eq!(session.get(peer.url("/")).send().unwrap().status(), 200);
    }
    assert_eq!(carried(&peer), [false, true, true, true]);
    assert_eq!(*enter(&guard.counts), [1, 1, 1]);
}

#[test]
fn started_requests_and_threads_share_one_count() {
    // SPEC A7
    let guard = Guard::new("auth");
    let peer = guard.serve();
    let session = Session::builder().auth(digest()).build();
    session.get(peer.url("/")).send().unwrap();
    let requests = (0..20).map(|n| session.get(peer.url(&format!("/{n}"))).start_send());
    let started: Vec<Pending<Response>> = requests.collect();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..10 {
                    assert_eq!(session.get(peer.url("/t")).send().unwrap().status(), 200);
                }
            });
        }
    });
    for answer in wait_all(started) {
        assert_eq!(answer.unwrap().status(), 200);
    }
    let mut counts = enter(&guard.counts).clone();
    counts.sort_unstable();
    assert_eq!(counts, (1..=41).collect::<Vec<u32>>());
    peer.check();
}

#[test]
fn a_challenge_nobody_can_answer_is_an_error_at_once() {
    // SPEC A7
    for field in [
        "Digest",
        "Digest realm=\"r\"",
        "Digest realm=\"r\", nonce=\"\"",
        "Digest realm=\"r\", nonce=\"n",
        "Digest realm=\"r\", nonce=\"n\", algorithm=SHA-3",
        "Digest realm=\"r\", nonce=\"n\", qop=\"token\"",
    ] {
        let peer = Peer::serve(move |_| {
            response("401 Unauthorized", &[("WWW-Authenticate", field)], "who?")
        });
        let request = || Session::new().post(peer.url("/")).auth(digest()).body("b");
        for error in [request().send(), request().start_send().wait()] {
            let error = error.unwrap_err();
            assert_eq!(error.kind(), Kind::Protocol, "{field}: {error}");
            assert_eq!(error.status(), Some(StatusCode::UNAUTHORIZED));
            let headers = error.headers().expect("the response's");
            assert_eq!(headers["www-authenticate"], field);
            assert!(error.to_string().contains("Digest"), "{error}");
        }
        assert_eq!(peer.request_count(), 2);
    }
}

#[test]
fn a_401_without_digest_is_a_response() {
    // SPEC A7
    for fields in [
        vec![],
        vec![("WWW-Authenticate", "Basic realm=\"r\", Bearer")],
    ] {
        let peer = Peer::serve(move |_| response("401 Unauthorized", &fields, "who?"));
        let answer = Session::new().get(peer.url("/")).auth(digest()).send();
        let answer = answer.unwrap();
        assert_eq!(
            (answer.status(), answer.attempts()),
            (StatusCode::UNAUTHORIZED, 1)
        );
        assert_eq!(text(answer), "who?");
    }
}

#[test]
fn any_answers_what_it_is_asked_for() {
    // SPEC A7
    let basic = "Basic realm=\"r\"";
    let digest = "Digest realm=\"r\", nonce=\"n\"";
    for (fields, scheme) in [
        (vec!["Blackmagic realm=\"r\"", basic], "Basic "),
        (
            vec!["Negotiate, Basic realm=\"r\", Digest realm=\"r\", nonce=\"n\""],
            "Digest ",
        ),
        (vec![basic, digest], "Digest "),
        (vec!["Digest realm=\"r\"", basic], "Basic "),
    ] {
        let peer = Peer::serve(move |request| match request.header("authorization") {
            Some(_) => ok(&request.body),
            None => {
                let fields: Vec<_> = fields.iter().map(|f| ("WWW-Authenticate", *f)).collect();
                response("401 Unauthorized", &fields, "who?")
            }
        });
        let session = Session::builder().auth(Auth::any("user", "p")).build();
        for _ in 0..2 {
            let answer = session.put(peer.url("/")).body("whole").send().unwrap();
            assert_eq!(text(answer), "whole");
        }
        assert_eq!(carried(&peer), [false, true, true]);
        let requests = peer.requests();
        assert!(
            requests[2]
                .header("authorization")
                .unwrap()
                .starts_with(scheme)
        );
    }
    // Where nobody asks nothing is told.
    let peer = Peer::serve(|request| ok(&request.body));
    let session = Session::builder().auth(Auth::any("user", "p")).build();
    let answer = session.put(peer.url("/")).body("whole").send().unwrap();
    assert_eq!(text(answer), "whole");
    assert_eq!(carried(&peer), [false]);
}

#[test]
fn a_redirect_is_answered_anew_and_never_elsewhere() {
    // SPEC A7, D7
    let guard = Guard::new("auth");
    let there = Peer::serve(|_| {
        let field = "Digest realm=\"evil\", nonce=\"n\"";
        response("401 Unauthorized", &[("WWW-Authenticate", field)], "")
    });
    let location = there.url("/caught");
    let judge = Arc::clone(&guard);
    let peer = Peer::serve(move |request| match judge.judge(request) {
        Err(stale) => judge.challenge(stale),
        Ok(()) => match request.target.as_str() {
            "/near" => head(
                "307 Temporary Redirect",
                &[("Location", "/far"), ("Content-Length", "0")],
            ),
            _ => head(
                "302 Found",
                &[("Location", &location), ("Content-Length", "0")],
            ),
        },
    });
    let answer = Session::new().get(peer.url("/near")).auth(digest()).send();
    let answer = answer.unwrap();
    assert_eq!(
        (answer.status(), answer.history().len()),
        (StatusCode::UNAUTHORIZED, 2)
    );
    assert_eq!(peer.request_lines(), ["GET /near", "GET /near", "GET /far"]);
    assert_eq!(carried(&there), [false]);
    peer.check();
}

#[test]
fn one_value_is_for_one_server() {
    // SPEC A7
    let (here, there) = (Guard::new("auth").serve(), Guard::new("auth").serve());
    let session = Session::builder().auth(digest()).build();
    assert_eq!(session.get(here.url("/")).send().unwrap().status(), 200);
    assert_eq!(session.get(there.url("/")).send().unwrap().status(), 401);
    assert_eq!(carried(&there), [false]);
    let own = session.get(there.url("/")).auth(digest()).send();
    assert_eq!(own.unwrap().status(), 200);
}

#[test]
fn a_body_waits_for_the_challenge_where_that_is_asked() {
    // SPEC A7
    let waiting = || DigestAuth::new(USER, PASSWORD).ask_first(true);
    let bodies = |peer: &Peer| -> Vec<String> {
        let requests = peer.requests();
        requests.iter().map(Request::text).collect()
    };
    let post = |peer: &Peer, auth: Auth| {
        let request = Session::new().post(peer.url("/")).auth(auth);
        request.body("whole").send().unwrap()
    };
    // Asked, it goes once; and with a challenge known at once.
    let peer = Guard::new("auth").serve();
    let auth = Auth::from(waiting());
    assert_eq!(post(&peer, auth.clone()).status(), 200);
    assert_eq!(post(&peer, auth).status(), 200);
    assert_eq!(bodies(&peer), ["", "whole", "whole"]);
    let first = &peer.requests()[0];
    assert_eq!(first.header("content-length"), Some("0"));
    // H6: nothing is said of the type of nothing.
    assert_eq!(first.header("content-type"), None);
    // Not asked, whatever else comes: it goes all the same.
    for status in ["200 OK", "303 See Other", "400 Bad Request"] {
        let peer = Peer::serve(move |request| match request.body.is_empty() {
            true => response(status, &[("Location", "/lost")], ""),
            false => ok(&request.body),
        });
        assert_eq!(text(post(&peer, waiting().into())), "whole", "{status}");
        assert_eq!(bodies(&peer), ["", "whole"]);
        assert_eq!(carried(&peer), [false, false]);
    }
    // Asked only once there is a body.
    let guard = Guard::new("auth");
    let peer = Peer::serve(move |request| match request.body.is_empty() {
        true => ok(""),
        false => guard.answer(request),
    });
    assert_eq!(text(post(&peer, waiting().into())), "POST /");
    assert_eq!(bodies(&peer), ["", "whole", "whole"]);
    // Nothing is held back that a header speaks of.
    let peer = Guard::new("auth").serve();
    let request = Session::new()
        .post(peer.url("/"))
        .auth(waiting())
        .body("whole");
    assert_eq!(
        request
            .header("content-length", "5")
            .send()
            .unwrap()
            .status(),
        200
    );
    assert_eq!(bodies(&peer), ["whole", "whole"]);
}

#[test]
fn a_body_that_is_spent_is_an_error_that_says_so() {
    // SPEC A7, B8
    let reader = || Body::reader(std::io::Cursor::new("whole".repeat(1000)));
    for started in [false, true] {
        let send = |request: RequestBuilder| match started {
            true => request.start_send().wait(),
            false => request.send(),
        };
        let peer = Guard::new("auth").serve();
        let request = Session::new().post(peer.url("/")).body(reader());
        let error = send(request.auth(digest())).unwrap_err();
        assert_eq!(error.kind(), Kind::BodyNotReplayable, "{error:#}");
        assert_eq!(error.status(), Some(StatusCode::UNAUTHORIZED));
        assert_eq!(peer.request_count(), 1);
        // Asked first, it is not spent before it is wanted.
        let first = DigestAuth::new(USER, PASSWORD).ask_first(true);
        let request = Session::new().post(peer.url("/")).body(reader());
        assert_eq!(send(request.auth(first)).unwrap().status(), 200);
        let bodies: Vec<usize> = peer.requests().iter().map(|r| r.body.len()).collect();
        assert_eq!(bodies, [5000, 0, 5000]);
        peer.check();
    }
    // And what has to be signed has to be seen.
    let peer = Guard::new("auth-int").serve();
    let first = DigestAuth::new(USER, PASSWORD).ask_first(true);
    let request = Session::new()
        .post(peer.url("/"))
        .body(reader())
        .auth(first);
    let error = request.send().unwrap_err();
    assert_eq!(error.kind(), Kind::Protocol, "{error:#}");
    assert!(error.to_string().contains("auth-int"), "{error}");
}

#[test]
fn a_body_from_a_file_is_read_again() {
    // SPEC A7, B8
    let name = format!("miohttp-auth-{}.txt", std::process::id());
    let path = std::env::temp_dir().join(name);
    std::fs::write(&path, "from a file").expect("a file in the temporary folder");
    let peer = Guard::new("auth").serve();
    let request = Session::new().put(peer.url("/")).body(Body::file(&path));
    let answer = request.auth(digest()).send();
    let _ = std::fs::remove_file(&path);
    assert_eq!(answer.unwrap().status(), 200);
    for request in peer.requests() {
        assert_eq!(request.text(), "from a file");
    }
}

#[test]
fn a_long_body_is_signed_by_whoever_waits() {
    // SPEC A7
    let guard = Guard::new("auth-int");
    let peer = guard.serve();
    let body = bytes(9 << 20);
    for started in [true, false] {
        let request = Session::new().post(peer.url("/")).auth(digest());
        let request = request.body(body.clone());
        let answer = match started {
            true => request.start_send().wait(),
            false => request.send(),
        };
        assert_eq!(answer.unwrap().status(), 200);
    }
    peer.check();
}

/// So many, none like the one before.
fn bytes(count: usize) -> Vec<u8> {
    (0..count).map(|at| (at % 251) as u8).collect()
}

#[test]
fn a_login_that_cannot_be_sent_is_refused_at_the_verb() {
    // SPEC A2, A7
    let peer = Peer::serve(|_| ok(""));
    let refused = Session::new()
        .get(peer.url("/"))
        .auth(Auth::digest("a:b", "c"));
    assert_eq!(refused.send().unwrap_err().kind(), Kind::InvalidRequest);
    let twice = Session::new().get(peer.url("/")).auth(digest());
    let twice = twice.header("authorization", "x").send();
    assert_eq!(twice.unwrap_err().kind(), Kind::InvalidRequest);
    assert_eq!(peer.request_count(), 0);
}

/// A server that answers the first request of each connection, and hears one more
/// before it closes it.
fn answers_firsts(answer: impl Fn(&Request) -> Vec<u8> + Send + Sync + 'static) -> Peer {
    Peer::start(move |conn| {
        let request = conn.request()?;
        conn.write(answer(&request))?;
        conn.request().map(drop)
    })
}

#[test]
fn an_answer_to_a_challenge_that_was_swallowed_is_given_again_at_once() {
    // SPEC Y1, A7: not the request without it, which would be asked for ever.
    let elsewhere = Guard {
        qop: "auth",
        nonce: AtomicUsize::new(1),
        more: ", domain=\"/elsewhere\"",
        counts: Mutex::default(),
    };
    for (guard, auth) in [
        (
            Guard::new("auth"),
            DigestAuth::new(USER, PASSWORD).preemptive(false),
        ),
        (Arc::new(elsewhere), DigestAuth::new(USER, PASSWORD)),
    ] {
        for started in [false, true] {
            let (guard, auth) = (Arc::clone(&guard), auth.clone());
            let peer = answers_firsts(move |request| guard.answer(request));
            let request = Session::new().get(peer.url("/")).auth(auth);
            let request = request.timeout(Duration::from_secs(10));
            let answer = match started {
                false => request.send(),
                true => request.start_send().wait(),
            };
            let answer = answer.expect("an answer");
            assert_eq!((answer.status(), answer.attempts()), (StatusCode::OK, 3));
            assert_eq!(peer.request_count(), 3);
        }
    }
}

#[test]
fn a_body_that_nobody_asked_to_hold_back_is_not_held_back_again() {
    // SPEC Y1: or the request without it would be carried out over and over.
    let peer = answers_firsts(|_| ok("done"));
    let auth = DigestAuth::new(USER, PASSWORD).ask_first(true);
    let request = Session::new().put(peer.url("/")).body("whole").auth(auth);
    let answer = request.timeout(Duration::from_secs(10)).send();
    assert_eq!(answer.expect("an answer").attempts(), 3);
    let bodies = peer.requests().into_iter().map(|request| request.body);
    assert_eq!(bodies.collect::<Vec<_>>(), [&b""[..], b"whole", b"whole"]);
}
