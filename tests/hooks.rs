//! The caller's own code inside a request: redirect policies and cookie stores.
//! It runs on the thread that waits, whoever drives the connection.

mod support;

#[path = "hooks/stores.rs"]
mod stores;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use miohttp::{
    Action, CancelHandle, Connector, Error, Kind, Method, Phase, RedirectPolicy, RequestBuilder,
    Response, Session, Timeout, wait_all,
};
use support::{Gate, Peer, PeerConn, WATCHDOG, enter, head, ok, response};

/// How a request is sent: blocking with either driver, and started.
type Send_ = fn(RequestBuilder) -> Result<Response, Error>;

/// Tells a story in each way there is to send a request.
fn each_way(story: impl Fn(&Session, Send_)) {
    let blocking: Send_ = RequestBuilder::send;
    let started: Send_ = |request| request.start_send().wait();
    for (drives, send) in [(true, blocking), (false, blocking), (true, started)] {
        let connector = Connector::builder().caller_drives(drives).limit(1).build();
        let session = Session::builder().connector(connector.clone()).build();
        story(&session, send);
        at_rest(&connector);
    }
}

/// No slot is in use and nobody waits, at the latest soon; so many are idle.
#[track_caller]
fn at_rest(connector: &Connector) -> usize {
    let start = Instant::now();
    loop {
        let stats = connector.stats();
        if (stats.in_use, stats.waiting) == (0, 0) {
            return stats.idle;
        }
        assert!(start.elapsed() < WATCHDOG, "{stats:?}");
        thread::yield_now();
    }
}

/// `/n` leads to `/n-1`, by an answer with this body; `/0` is a page.
fn countdown(body: &'static [u8]) -> Peer {
    Peer::serve(move |request| {
        let number: u32 = request.target[1..].parse().expect("a number");
        match number.checked_sub(1) {
            None => ok("there"),
            Some(next) => {
                let location = format!("/{next}");
                response(
                    "302 Found",
                    &[("Location", &location), ("X-Hop", "1")],
                    body,
                )
            }
        }
    })
}

/// A policy that follows, and remembers which threads it was asked on.
fn following() -> (RedirectPolicy, Arc<Mutex<Vec<ThreadId>>>) {
    let threads = Arc::<Mutex<Vec<ThreadId>>>::default();
    let asked = Arc::clone(&threads);
    let policy = RedirectPolicy::custom(move |_| {
        enter(&asked).push(thread::current().id());
        Action::Follow
    });
    (policy, threads)
}

#[test]
fn a_rule_is_asked_on_the_thread_that_waits() {
    // SPEC D14
    let peer = countdown(b"gone");
    each_way(|session, send| {
        let (policy, threads) = following();
        let response = send(session.get(peer.url("/3")).redirects(policy)).unwrap();
        assert_eq!((response.attempts(), response.history().len()), (4, 3));
        assert_eq!(response.text().unwrap(), "there");
        assert_eq!(*enter(&threads), [thread::current().id(); 3]);
    });
}

#[test]
fn a_rule_is_told_what_it_is_about() {
    // SPEC D14, D2
    let peer = countdown(b"gone");
    each_way(|session, send| {
        let told = Arc::<Mutex<Vec<String>>>::default();
        let tell = Arc::clone(&told);
        let policy = RedirectPolicy::custom(move |redirect| {
            enter(&tell).push(format!(
                "{} {} {} {} {} {}",
                redirect.status().as_u16(),
                redirect.method(),
                redirect.from().path(),
                redirect.to(),
                redirect.headers()["x-hop"].to_str().unwrap(),
                redirect.history().len(),
            ));
            Action::Follow
        });
        let url = peer
            .url("/2#frag")
            .replace("http://", "http://user:secret@");
        let request = session.request(Method::POST, url).body("body");
        let response = send(request.redirects(policy)).unwrap();
        assert_eq!(*response.method(), Method::GET);
        let to = |path| peer.url(path);
        let want = [
            format!("302 GET /2 {} 1 0", to("/1#frag")),
            format!("302 GET /1 {} 1 1", to("/0#frag")),
        ];
        assert_eq!(*enter(&told), want);
        drop(response);
    });
}

#[test]
fn a_redirect_may_be_the_answer_or_an_error() {
    // SPEC D14
    let peer = countdown(b"the way");
    each_way(|session, send| {
        let limited = |last: fn() -> Action| {
            RedirectPolicy::custom(move |redirect| match redirect.history().len() {
                0 => Action::Follow,
                _ => last(),
            })
        };
        let stopped = limited(|| Action::Stop);
        let response = send(session.get(peer.url("/5")).redirects(stopped)).unwrap();
        assert_eq!(
            (response.status().as_u16(), response.url().path()),
            (302, "/4")
        );
        assert_eq!(response.history().len(), 1);
        assert_eq!(response.text().unwrap(), "the way");

        let failing = limited(|| Action::fail("no further"));
        let error = send(session.get(peer.url("/5")).redirects(failing)).unwrap_err();
        assert_eq!(error.kind(), Kind::BadRedirect);
        assert_eq!(error.phase(), Some(Phase::Redirect));
        assert_eq!(error.status().unwrap().as_u16(), 302);
        assert_eq!(error.headers().unwrap()["location"], "/3");
        assert_eq!(error.history().len(), 1);
        assert!(format!("{error:#}").ends_with("no further"), "{error:#}");
    });
}

#[test]
fn a_rule_is_asked_only_of_what_can_be_followed() {
    // SPEC D14, D4, D6
    each_way(|session, send| {
        let policy = || RedirectPolicy::custom(|_| panic!("nobody should ask"));
        let peer = Peer::serve(|request| match request.target.as_str() {
            "/none" => response("302 Found", &[], "no target"),
            "/bad" => response("302 Found", &[("Location", "ftp://h.test/")], ""),
            _ => response("304 Not Modified", &[("Location", "/0")], ""),
        });
        for (path, status) in [("/none", 302), ("/cached", 304)] {
            let response = send(session.get(peer.url(path)).redirects(policy())).unwrap();
            assert_eq!(response.status().as_u16(), status);
        }
        let error = send(session.get(peer.url("/bad")).redirects(policy())).unwrap_err();
        assert_eq!(error.kind(), Kind::BadRedirect);
        // Nor for a request that is not to be redirected.
        let peer = countdown(b"");
        let response = send(session.get(peer.url("/1")).redirects(RedirectPolicy::None));
        assert_eq!(response.unwrap().status().as_u16(), 302);
    });
}

/// A redirect whose body is so long and comes only when the gate is open.
fn slow_redirect(length: usize, gate: &Gate) -> Peer {
    let gate = gate.clone();
    Peer::start(move |conn| {
        while let Some(request) = conn.next_request()? {
            if request.target == "/from" {
                let fields = [("Location", "/to"), ("Content-Length", &length.to_string())];
                conn.write(head("302 Found", &fields))?;
                gate.wait();
                conn.write(vec![b'x'; length])?;
            } else {
                conn.write(ok(request.line()))?;
            }
        }
        Ok(())
    })
}

#[test]
fn the_body_of_a_followed_redirect_is_read_away_if_it_is_short() {
    // SPEC D12, D14
    for (length, kept) in [(1000, true), (4 << 20, false)] {
        each_way(|session, send| {
            // The rule is asked while the body is still to come.
            let gate = Gate::new();
            let peer = slow_redirect(length, &gate);
            let opened = gate.clone();
            let policy = RedirectPolicy::custom(move |_| {
                opened.open();
                Action::Follow
            });
            let response = send(session.get(peer.url("/from")).redirects(policy)).unwrap();
            assert_eq!(response.is_reused(), kept, "{length}");
            assert_eq!(response.text().unwrap(), "GET /to");
            assert_eq!(peer.connections(), if kept { 1 } else { 2 });
        });
    }
}

#[test]
fn the_body_of_a_refused_redirect_holds_no_slot() {
    // SPEC D12, D14, C3
    each_way(|session, send| {
        let gate = Gate::new();
        let peer = slow_redirect(1000, &gate);
        let policy = RedirectPolicy::custom(|_| Action::fail("no"));
        let error = send(session.get(peer.url("/from")).redirects(policy)).unwrap_err();
        assert_eq!(error.kind(), Kind::BadRedirect);
        gate.open();
        // There is one slot.
        let response = send(session.get(peer.url("/to"))).unwrap();
        assert_eq!(response.text().unwrap(), "GET /to");
        // And the body of one that is the answer comes whole.
        let stop = RedirectPolicy::custom(|_| Action::Stop);
        let response = send(session.get(peer.url("/from")).redirects(stop)).unwrap();
        assert_eq!(response.bytes().unwrap().len(), 1000);
    });
}

#[test]
fn a_started_request_stands_still_until_somebody_looks() {
    // SPEC D14
    let peer = countdown(b"gone");
    let session = Session::new();
    let (policy, threads) = following();
    let mut pending = session.get(peer.url("/1")).redirects(policy).start_send();
    peer.wait_for_requests(1);
    at_rest(session.connector());
    assert_eq!((peer.request_count(), enter(&threads).len()), (1, 0));
    // Each look makes what steps can be made.
    let start = Instant::now();
    let response = loop {
        if let Some(result) = pending.try_take() {
            break result.unwrap();
        }
        assert!(start.elapsed() < WATCHDOG);
        thread::yield_now();
    };
    assert_eq!(response.text().unwrap(), "there");
    assert_eq!(*enter(&threads), [thread::current().id()]);
}

#[test]
fn many_are_waited_for_together() {
    // SPEC D14
    let peer = countdown(b"gone");
    let session = Session::new();
    let (policy, threads) = following();
    let pending: Vec<_> = (0..50)
        .map(|_| {
            let request = session.get(peer.url("/2")).redirects(policy.clone());
            request.start_send().and_then(Response::start_text)
        })
        .collect();
    for text in wait_all(pending) {
        assert_eq!(text.unwrap(), "there");
    }
    assert_eq!(*enter(&threads), vec![thread::current().id(); 100]);
    at_rest(session.connector());
}

#[test]
fn a_rule_may_send_requests_itself() {
    // SPEC D14
    let peer = countdown(b"gone");
    each_way(|session, send| {
        let (own, url) = (session.clone(), peer.url("/0"));
        let policy = RedirectPolicy::custom(move |_| {
            let text = own.get(&url).send().and_then(Response::text);
            assert_eq!(text.unwrap(), "there");
            Action::Follow
        });
        let response = send(session.get(peer.url("/2")).redirects(policy)).unwrap();
        assert_eq!(response.text().unwrap(), "there");
    });
}

#[test]
fn a_cancellation_between_two_steps_is_not_lost() {
    // SPEC D14
    for whole in [true, false] {
        let gate = Gate::new();
        let peer = slow_redirect(1000, &gate);
        if whole {
            gate.open();
        }
        let session = Session::new();
        let handle = Arc::<Mutex<Option<CancelHandle>>>::default();
        let cancelled = Arc::clone(&handle);
        let policy = RedirectPolicy::custom(move |_| {
            if let Some(handle) = &*enter(&cancelled) {
                handle.cancel();
            }
            Action::Follow
        });
        let pending = session
            .get(peer.url("/from"))
            .redirects(policy)
            .start_send();
        *enter(&handle) = Some(pending.cancel_handle());
        let error = pending.wait().unwrap_err();
        assert_eq!(error.kind(), Kind::Cancelled);
        assert_eq!(error.url().map(|url| url.path()), Some("/to"));
        assert_eq!((peer.request_count(), error.history().len()), (1, 1));
        gate.open();
        at_rest(session.connector());
    }
}

#[test]
fn a_handle_reaches_the_step_that_stands() {
    // SPEC D14
    let gate = Gate::new();
    let at = gate.clone();
    let peer = Peer::start(move |conn: &mut PeerConn| {
        while let Some(request) = conn.next_request()? {
            match request.target.as_str() {
                "/from" => conn.write(response("302 Found", &[("Location", "/to")], ""))?,
                _ => {
                    conn.write(head("200 OK", &[("Content-Length", "10")]))?;
                    at.wait();
                }
            }
        }
        Ok(())
    });
    let session = Session::new();
    let (policy, _) = following();
    let pending = session
        .get(peer.url("/from"))
        .redirects(policy)
        .start_send();
    // Taken at the first step, it reaches the body of the last response.
    let handle = pending.cancel_handle();
    let response = pending.wait().unwrap();
    handle.cancel();
    assert_eq!(response.bytes().unwrap_err().kind(), Kind::Cancelled);
    gate.open();
    at_rest(session.connector());
}

#[test]
fn whoever_drops_an_undecided_request_frees_its_connection() {
    // SPEC D14
    let gate = Gate::new();
    let peer = slow_redirect(1000, &gate);
    let session = Session::new();
    let (policy, threads) = following();
    let pending = session
        .get(peer.url("/from"))
        .redirects(policy)
        .start_send();
    gate.wait_for_arrivals(1);
    drop(pending);
    at_rest(session.connector());
    assert!(enter(&threads).is_empty());
    gate.open();
}

/// The last holder of a request that nobody waits for is the reactor.
#[test]
fn a_rule_is_not_dropped_on_the_reactors_thread() {
    struct Tells(std::sync::mpsc::Sender<Option<String>>);
    impl Drop for Tells {
        fn drop(&mut self) {
            let _ = self.0.send(thread::current().name().map(str::to_owned));
        }
    }
    let (tell, told) = std::sync::mpsc::channel();
    let tells = Tells(tell);
    let rule = RedirectPolicy::custom(move |_| {
        let _ = &tells;
        Action::Follow
    });
    let gate = Gate::new();
    let silent = gate.clone();
    let peer = Peer::start(move |conn| {
        conn.request()?;
        silent.wait();
        Ok(())
    });
    let session = Session::new();
    let pending = session.get(peer.url("/")).redirects(rule).start_send();
    gate.wait_for_arrivals(1);
    drop(pending);
    let dropped = told.recv_timeout(WATCHDOG).expect("it is dropped");
    assert_ne!(dropped.as_deref(), Some("miohttp"));
    gate.open();
}

#[test]
fn a_panic_in_a_rule_is_the_callers_and_leaks_nothing() {
    // SPEC D14
    for whole in [true, false] {
        each_way(|session, send| {
            let gate = Gate::new();
            let peer = slow_redirect(1000, &gate);
            if whole {
                gate.open();
            }
            let policy = RedirectPolicy::custom(|_| std::panic::resume_unwind(Box::new("rule")));
            let request = session.get(peer.url("/from")).redirects(policy);
            let panic = catch_unwind(AssertUnwindSafe(|| send(request))).unwrap_err();
            assert_eq!(panic.downcast_ref(), Some(&"rule"));
            at_rest(session.connector());
            gate.open();
        });
    }
}

#[test]
fn the_total_limit_goes_on_while_a_rule_decides() {
    // SPEC D13, D14, T1
    let peer = countdown(b"gone");
    each_way(|session, send| {
        let limit = Duration::from_millis(50);
        let policy = RedirectPolicy::custom(move |_| {
            let start = Instant::now();
            while start.elapsed() < limit {
                thread::yield_now();
            }
            Action::Follow
        });
        let request = session.get(peer.url("/2")).redirects(policy);
        let error = send(request.timeout(limit)).unwrap_err();
        assert_eq!(error.timeout(), Some(Timeout::Total));
    });
    assert_eq!(peer.request_count(), 3, "one each way");
}

#[test]
fn a_connector_that_is_closed_between_two_steps_ends_the_request() {
    // SPEC D14, C7
    let peer = countdown(b"gone");
    each_way(|session, send| {
        let connector = session.connector().clone();
        let policy = RedirectPolicy::custom(move |_| {
            connector.close();
            Action::Follow
        });
        let error = send(session.get(peer.url("/2")).redirects(policy)).unwrap_err();
        assert_eq!(error.kind(), Kind::Closed);
    });
}
