//! Connections are kept, shared, counted, waited for in order, and closed when
//! they cannot serve again (SPEC §6.1, P2 to P4, Y1).

mod support;

#[path = "pool/load.rs"]
mod load;

use std::thread;
use std::time::{Duration, Instant};

use miohttp::{Connector, ConnectorStats, Kind, Method, Pending, Phase, Response, Session};
use miohttp::{wait_all, wait_any};
use support::peer::Script;
use support::{Gate, Peer, PeerConn, WATCHDOG, head, ok, refusing_address, response};

/// Waits for what the reactor does in its own time.
#[track_caller]
fn until(what: &str, done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < WATCHDOG, "never came about: {what}");
        thread::yield_now();
    }
}

fn session_of(connector: &Connector) -> Session {
    Session::builder().connector(connector.clone()).build()
}

fn limited(limit: usize) -> (Connector, Session) {
    let connector = Connector::builder().limit(limit).build();
    let session = session_of(&connector);
    (connector, session)
}

/// Where it stands between requests: nothing in use, nobody waiting.
#[track_caller]
fn assert_at_rest(connector: &Connector) {
    let ConnectorStats {
        in_use, waiting, ..
    } = connector.stats();
    assert_eq!((in_use, waiting), (0, 0));
}

/// A peer that answers each request once the gate is open.
fn gated(gate: &Gate) -> Peer {
    let gate = gate.clone();
    Peer::serve(move |request| {
        gate.wait();
        ok(&request.target)
    })
}

fn texts(responses: Vec<Result<Response, miohttp::Error>>) -> Vec<String> {
    responses
        .into_iter()
        .map(|response| response.and_then(Response::text).expect("a response"))
        .collect()
}

#[test]
fn requests_one_after_the_other_share_a_connection() {
    // SPEC C8
    let peer = Peer::serve(|request| ok(&request.target));
    let (connector, session) = limited(100);
    for turn in 0..5 {
        let path = format!("/{turn}");
        let response = session.get(peer.url(&path)).send().unwrap();
        assert_eq!(response.is_reused(), turn > 0);
        assert_eq!(response.attempts(), 1);
        assert_eq!(response.text().unwrap(), path);
    }
    assert_eq!(peer.connections(), 1);
    let stats = connector.stats();
    assert_eq!((stats.opened, stats.reused, stats.idle), (1, 4, 1));
    assert_at_rest(&connector);
}

#[test]
fn more_requests_than_the_limit_wait_for_a_slot() {
    // SPEC C3
    let gate = Gate::new();
    let peer = gated(&gate);
    let (connector, session) = limited(2);
    let pending: Vec<_> = (0..5)
        .map(|n| session.get(peer.url(&format!("/{n}"))).start_send())
        .collect();
    gate.wait_for_arrivals(2);
    until("three wait", || connector.stats().waiting == 3);
    assert_eq!(connector.stats().in_use, 2);
    assert_eq!(peer.connections(), 2);
    gate.open();
    assert_eq!(texts(wait_all(pending)), ["/0", "/1", "/2", "/3", "/4"]);
    assert_eq!(peer.connections(), 2);
    assert_at_rest(&connector);
}

#[test]
fn a_host_at_its_own_limit_holds_up_no_other() {
    // SPEC C4
    let gate = Gate::new();
    let (busy, free) = (gated(&gate), Peer::serve(|_| ok("free")));
    let connector = Connector::builder().limit(4).limit_per_host(1).build();
    let session = session_of(&connector);
    let pending: Vec<_> = (0..3)
        .map(|n| session.get(busy.url(&format!("/{n}"))).start_send())
        .collect();
    gate.wait_for_arrivals(1);
    until("two wait", || connector.stats().waiting == 2);
    let other = session.get(free.url("/")).send().unwrap();
    assert_eq!(other.text().unwrap(), "free");
    gate.open();
    assert_eq!(texts(wait_all(pending)), ["/0", "/1", "/2"]);
    assert_eq!((busy.peak_connections(), busy.connections()), (1, 1));
    assert_at_rest(&connector);
}

#[test]
fn waiters_are_served_in_the_order_they_came() {
    // SPEC C3
    let gate = Gate::new();
    let peer = gated(&gate);
    let (_connector, session) = limited(1);
    let pending: Vec<_> = (0..20)
        .map(|n| session.get(peer.url(&format!("/{n}"))).start_send())
        .collect();
    gate.open();
    assert!(wait_all(pending).iter().all(Result::is_ok));
    let wanted: Vec<_> = (0..20).map(|n| format!("GET /{n}")).collect();
    assert_eq!(peer.request_lines(), wanted);
}

#[test]
fn the_newest_idle_connection_goes_first() {
    // SPEC P4
    let (first, second) = (Gate::new(), Gate::new());
    let gates = (first.clone(), second.clone());
    let peer = Peer::serve(move |request| {
        match request.target.as_str() {
            "/first" => gates.0.wait(),
            "/second" => gates.1.wait(),
            _ => {}
        }
        ok("")
    });
    let (connector, session) = limited(100);
    let one = session.get(peer.url("/first")).start_send();
    let two = session.get(peer.url("/second")).start_send();
    peer.wait_for_requests(2);
    second.open();
    two.wait().unwrap();
    first.open();
    one.wait().unwrap();
    assert_eq!(connector.stats().idle, 2);
    session.get(peer.url("/third")).send().unwrap();
    let requests = peer.requests();
    let newest = requests.iter().find(|r| r.target == "/first").unwrap();
    assert_eq!(requests[2].connection, newest.connection);
}

#[test]
fn force_close_ends_every_connection_after_one_response() {
    // SPEC C2, H7
    let peer = Peer::serve(|_| ok("x"));
    let connector = Connector::builder().force_close(true).build();
    let session = session_of(&connector);
    for _ in 0..3 {
        let response = session.get(peer.url("/")).send().unwrap();
        assert_eq!(response.text().unwrap(), "x");
        assert_eq!(connector.stats().idle, 0);
    }
    assert_eq!(peer.connections(), 3);
    assert!(peer.requests().iter().all(support::Request::wants_close));
    peer.wait_for_ends(3);
}

#[test]
fn an_idle_connection_is_closed_when_its_time_is_over() {
    // SPEC C1
    let peer = Peer::serve(|_| ok("x"));
    let connector = Connector::builder()
        .keepalive_timeout(Duration::from_millis(50))
        .build();
    let session = session_of(&connector);
    session.get(peer.url("/")).send().unwrap();
    peer.wait_for_ends(1);
    until("nothing is idle", || connector.stats().idle == 0);
}

#[test]
fn the_servers_keep_alive_hint_is_heeded() {
    // SPEC P4: a second is taken off for the way, so this one is over at once.
    let peer = Peer::serve(|_| response("200 OK", &[("Keep-Alive", "timeout=1, max=9")], "x"));
    let (_connector, session) = limited(100);
    session.get(peer.url("/")).send().unwrap();
    let again = session.get(peer.url("/")).send().unwrap();
    assert!(!again.is_reused());
    assert_eq!(peer.connections(), 2);
}

#[test]
fn only_a_connection_that_is_in_order_serves_again() {
    // SPEC P2
    let mut surplus = ok("x");
    surplus.extend_from_slice(b"HTTP/1.1 200 OK\r\n\r\n");
    let cases: [(&str, Vec<u8>, usize); 5] = [
        ("in order", ok("x"), 1),
        (
            "close announced",
            response("200 OK", &[("Connection", "close")], "x"),
            2,
        ),
        (
            "1.0",
            b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx".to_vec(),
            2,
        ),
        (
            "1.0 kept alive",
            b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx".to_vec(),
            1,
        ),
        ("surplus bytes", surplus, 2),
    ];
    for (name, answer, connections) in cases {
        // Not `serve`: the peer itself closes nothing.
        let peer = Peer::start(move |conn| {
            while conn.next_request()?.is_some() {
                conn.write(&answer)?;
            }
            Ok(())
        });
        let (connector, session) = limited(100);
        for _ in 0..2 {
            let response = session.get(peer.url("/")).send().unwrap();
            assert_eq!(response.text().unwrap(), "x", "{name}");
        }
        assert_eq!(peer.connections(), connections, "{name}");
        assert_at_rest(&connector);
    }
}

/// Answers one request; what comes on the same connection after it is left to `then`.
fn one_answer(then: impl FnOnce(&mut PeerConn) -> std::io::Result<()> + Send + 'static) -> Script {
    Box::new(move |conn| {
        conn.request()?;
        conn.write(ok("warm"))?;
        then(conn)
    })
}

/// Takes a request and closes without a word.
fn swallow(conn: &mut PeerConn) -> std::io::Result<()> {
    conn.request().map(drop)
}

fn answer(conn: &mut PeerConn) -> std::io::Result<()> {
    conn.request()?;
    conn.write(head("200 OK", &[("Content-Length", "0")]))?;
    conn.wait_for_close().map(drop)
}

fn warm(session: &Session, peer: &Peer) {
    let response = session.get(peer.url("/warm")).send().unwrap();
    assert_eq!(response.text().unwrap(), "warm");
}

#[test]
fn what_a_stale_connection_swallowed_is_sent_again_if_that_is_safe() {
    // SPEC Y1, RFC 9110 §9.2.2
    for (method, again) in [
        (Method::GET, true),
        (Method::HEAD, true),
        (Method::OPTIONS, true),
        (Method::TRACE, true),
        (Method::PUT, true),
        (Method::DELETE, true),
        (Method::POST, false),
        (Method::PATCH, false),
    ] {
        let peer = Peer::scripts(vec![one_answer(swallow), Box::new(answer)]);
        let (connector, session) = limited(100);
        warm(&session, &peer);
        let result = session.request(method.clone(), peer.url("/")).send();
        match (again, result) {
            (true, Ok(response)) => {
                assert_eq!(response.attempts(), 2, "{method}");
                assert_eq!(response.stats().retries, 1, "{method}");
                assert_eq!(connector.stats().retried, 1, "{method}");
                assert!(!response.is_reused(), "{method}");
            }
            (false, Err(error)) => {
                assert_eq!(error.kind(), Kind::Disconnected, "{method}");
                assert_eq!(error.phase(), Some(Phase::Head), "{method}");
                assert_eq!((error.stats().retries, connector.stats().retried), (0, 0));
                assert_eq!(peer.request_count(), 2, "{method}");
            }
            (_, result) => panic!("{method}: {result:?}"),
        }
        assert_at_rest(&connector);
    }
}

#[test]
fn a_body_is_sent_again_with_its_request() {
    // SPEC Y1, B8
    let peer = Peer::scripts(vec![one_answer(swallow), Box::new(answer)]);
    let session = Session::new();
    warm(&session, &peer);
    session.put(peer.url("/")).body("once").send().unwrap();
    let bodies: Vec<_> = peer.requests().iter().map(support::Request::text).collect();
    assert_eq!(bodies, ["", "once", "once"]);
}

#[test]
fn a_second_stale_connection_is_not_what_the_first_is_made_good_with() {
    // SPEC Y1: the one retry goes on a new connection, however many are idle.
    let gate = Gate::new();
    let stale = || -> Script {
        let gate = gate.clone();
        Box::new(move |conn| {
            conn.request()?;
            gate.wait();
            conn.write(ok("warm"))?;
            swallow(conn)
        })
    };
    let peer = Peer::scripts(vec![stale(), stale(), stale(), Box::new(answer)]);
    let (connector, session) = limited(100);
    let warm: Vec<_> = (0..3)
        .map(|_| session.get(peer.url("/warm")).start_send())
        .collect();
    gate.wait_for_arrivals(3);
    gate.open();
    for response in wait_all(warm) {
        assert_eq!(response.unwrap().text().unwrap(), "warm");
    }
    assert_eq!(connector.stats().idle, 3);
    let response = session.get(peer.url("/")).send().unwrap();
    assert_eq!((response.attempts(), response.is_reused()), (2, false));
    assert_eq!(connector.stats().opened, 4);
}

#[test]
fn nothing_is_sent_a_third_time_or_after_a_first_byte_or_when_switched_off() {
    // SPEC Y1
    let half: Script = one_answer(|conn| {
        conn.request()?;
        conn.write("HTTP/1.1 200")
    });
    let cases: Vec<(&str, bool, Vec<Script>, usize)> = vec![
        (
            "swallowed twice",
            true,
            vec![one_answer(swallow), Box::new(swallow)],
            3,
        ),
        ("a byte came", true, vec![half], 2),
        ("switched off", false, vec![one_answer(swallow)], 2),
    ];
    for (name, retry, scripts, requests) in cases {
        let peer = Peer::scripts(scripts);
        let session = Session::builder().retry_stale(retry).build();
        warm(&session, &peer);
        let error = session.get(peer.url("/")).send().unwrap_err();
        assert_eq!(error.kind(), Kind::Disconnected, "{name}");
        assert_eq!(peer.request_count(), requests, "{name}");
    }
    // A request may have it otherwise than its session.
    for retry in [true, false] {
        let peer = Peer::scripts(vec![one_answer(swallow), Box::new(answer)]);
        let session = Session::builder().retry_stale(!retry).build();
        warm(&session, &peer);
        let sent = session.get(peer.url("/")).retry_stale(retry).send();
        assert_eq!(sent.is_ok(), retry);
    }
}

#[test]
fn a_fresh_connection_that_is_dropped_is_not_tried_again() {
    // SPEC Y1
    let peer = Peer::scripts(vec![Box::new(swallow)]);
    let error = Session::new().get(peer.url("/")).send().unwrap_err();
    assert_eq!(error.kind(), Kind::Disconnected);
    assert_eq!(peer.connections(), 1);
}

#[test]
fn a_connection_that_died_idle_is_never_used() {
    // SPEC P4: not even once, or the POST would fail.
    let said = Gate::new();
    let says = said.clone();
    let scripts: Vec<(&str, Script)> = vec![
        ("closed", one_answer(|_| Ok(()))),
        ("reset", one_answer(PeerConn::reset)),
        (
            "spoken to out of turn",
            one_answer(move |conn| {
                says.wait();
                conn.write("HTTP/1.1 408 Request Timeout\r\n\r\n")?;
                says.wait();
                conn.wait_for_close().map(drop)
            }),
        ),
    ];
    for (name, script) in scripts {
        let peer = Peer::scripts(vec![script, Box::new(answer)]);
        let (connector, session) = limited(100);
        warm(&session, &peer);
        if name.starts_with("spoken") {
            said.open();
            said.wait_for_arrivals(2);
        } else {
            peer.wait_for_ends(1);
        }
        let response = session.post(peer.url("/")).send().unwrap();
        assert_eq!(response.attempts(), 1, "{name}");
        assert!(!response.is_reused(), "{name}");
        assert_eq!(peer.connections(), 2, "{name}");
        assert_at_rest(&connector);
    }
}

#[test]
fn close_fails_what_is_in_flight_and_whoever_waits_or_comes_later() {
    // SPEC C7, S30, S33
    let gate = Gate::new();
    let peer = gated(&gate);
    let (connector, session) = limited(1);
    let mut pending: Vec<Pending<Response>> = (0..3)
        .map(|_| session.get(peer.url("/")).start_send())
        .collect();
    peer.wait_for_requests(1);
    assert!(!connector.is_closed() && !session.is_closed());
    connector.close();
    while let Some((_, result)) = wait_any(&mut pending) {
        assert_eq!(result.unwrap_err().kind(), Kind::Closed);
    }
    assert!(connector.is_closed() && session.is_closed());
    assert_at_rest(&connector);
    connector.close();
    let late = session.get(peer.url("/")).send().unwrap_err();
    assert_eq!(late.kind(), Kind::Closed);
    gate.open();
    peer.wait_for_ends(1);
}

#[test]
fn closing_a_session_leaves_a_connector_it_was_given_open() {
    // SPEC S13
    let peer = Peer::serve(|_| ok("x"));
    let (connector, session) = limited(100);
    let other = session_of(&connector);
    session.get(peer.url("/")).send().unwrap();
    session.close();
    let error = session.get(peer.url("/")).send().unwrap_err();
    assert_eq!(error.kind(), Kind::Closed);
    assert!(!connector.is_closed() && !other.is_closed());
    assert!(other.get(peer.url("/")).send().unwrap().is_reused());
}

#[test]
fn close_idle_closes_what_is_idle_and_nothing_else() {
    let gate = Gate::new();
    let at = gate.clone();
    let peer = Peer::serve(move |request| {
        if request.target == "/busy" {
            at.wait();
        }
        ok("x")
    });
    let (connector, session) = limited(100);
    let busy = session.get(peer.url("/busy")).start_send();
    peer.wait_for_requests(1);
    session.get(peer.url("/")).send().unwrap();
    assert_eq!(connector.stats().idle, 1);
    connector.close_idle();
    peer.wait_for_ends(1);
    assert_eq!((connector.stats().idle, connector.stats().in_use), (0, 1));
    gate.open();
    assert_eq!(busy.wait().unwrap().text().unwrap(), "x");
}

#[test]
fn a_dropped_response_keeps_its_slot_until_its_rest_is_read() {
    // SPEC R24, R27
    let gate = Gate::new();
    let at = gate.clone();
    let peer = Peer::start(move |conn| {
        conn.request()?;
        conn.write(head("200 OK", &[("Content-Length", "4")]))?;
        conn.write("ab")?;
        at.wait();
        conn.write("cd")?;
        answer(conn)
    });
    let (connector, session) = limited(1);
    let response = session.get(peer.url("/")).send().unwrap();
    drop(response);
    let next = session.get(peer.url("/next")).start_send();
    until("the next one waits", || connector.stats().waiting == 1);
    assert_eq!(connector.stats().in_use, 1);
    gate.open();
    assert!(next.wait().unwrap().is_reused());
    assert_at_rest(&connector);
}

#[test]
fn a_dropped_response_with_a_long_rest_closes_its_connection() {
    // SPEC R24, R27
    let peer = Peer::start(|conn| {
        if conn.request()?.target == "/next" {
            return conn.write(ok(""));
        }
        conn.write(head("200 OK", &[("Content-Length", "1000000")]))?;
        conn.write("ab")?;
        conn.wait_for_close().map(drop)
    });
    let (connector, session) = limited(1);
    drop(session.get(peer.url("/")).send().unwrap());
    peer.wait_for_ends(1);
    let next = session.get(peer.url("/next")).send().unwrap();
    assert!(!next.is_reused());
    assert_at_rest(&connector);
}

#[test]
fn a_failed_connection_gives_its_slot_to_one_who_waits() {
    // SPEC P3
    let gate = Gate::new();
    let at = gate.clone();
    let peer = Peer::scripts(vec![
        Box::new(move |conn| {
            conn.request()?;
            at.wait();
            conn.reset()
        }),
        Box::new(answer),
    ]);
    let (connector, session) = limited(1);
    let reset = session.get(peer.url("/")).start_send();
    let refused = session
        .get(format!("http://{}/", refusing_address()))
        .start_send();
    let good = session.get(peer.url("/")).start_send();
    peer.wait_for_requests(1);
    until("two wait", || connector.stats().waiting == 2);
    gate.open();
    assert_eq!(reset.wait().unwrap_err().kind(), Kind::Disconnected);
    assert_eq!(refused.wait().unwrap_err().kind(), Kind::Connect);
    assert_eq!(good.wait().unwrap().status(), 200);
    assert_at_rest(&connector);
}
