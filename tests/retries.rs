//! Trying again (SPEC §4): by a policy of the caller's, with either driver. What a
//! stale connection swallowed is in pool.rs.

mod support;

#[path = "retries/bodies.rs"]
mod bodies;

use std::time::{Duration, Instant};

use miohttp::{
    Answer, Connector, Error, IpFamily, Kind, Method, Phase, Query, RedirectPolicy, RequestBuilder,
    Resolve, Response, RetryPolicy, Session, StatusCode, Timeout, Timeouts, wait_all,
};
use support::{Gate, Peer, PeerConn, ok, refusing_address, response};

type Send_ = fn(RequestBuilder) -> Result<Response, Error>;

/// Tells a story in each way there is to send a request.
fn each_way(story: impl Fn(Connector, Send_)) {
    let blocking: Send_ = RequestBuilder::send;
    let started: Send_ = |request| request.start_send().wait();
    for (drives, send) in [(true, blocking), (false, blocking), (true, started)] {
        story(Connector::builder().caller_drives(drives).build(), send);
    }
}

/// With this policy and this connector.
fn session(connector: &Connector, policy: RetryPolicy) -> Session {
    let builder = Session::builder().connector(connector.clone());
    builder.retry(policy).build()
}

/// Waits for next to nothing.
fn hasty() -> RetryPolicy {
    let wait = Duration::from_millis(1);
    RetryPolicy::new().backoff(wait, wait)
}

fn refused(status: &str) -> Vec<u8> {
    response(status, &[], "not now")
}

/// Refuses the first so many requests of each target with this.
fn busy(times: usize, answer: Vec<u8>) -> Peer {
    let seen = std::sync::Mutex::new(std::collections::HashMap::<String, usize>::new());
    Peer::serve(move |request| {
        let mut seen = support::enter(&seen);
        let seen = seen.entry(request.target.clone()).or_default();
        *seen += 1;
        match *seen <= times {
            true => answer.clone(),
            false => ok(request.text()),
        }
    })
}

#[test]
fn nothing_is_tried_again_unless_that_is_asked_for() {
    // SPEC Y2
    let peer = busy(1, refused("503 Service Unavailable"));
    let response = Session::new().get(peer.url("/")).send().unwrap();
    assert_eq!((response.status().as_u16(), response.attempts()), (503, 1));
    let policed = session(&Connector::new(), hasty());
    let peer = busy(1, refused("503 Service Unavailable"));
    let response = policed.get(peer.url("/")).retry(None).send().unwrap();
    assert_eq!((response.status().as_u16(), response.retries()), (503, 0));
}

#[test]
fn a_refused_request_is_tried_again_on_the_same_connection() {
    // SPEC Y2, D12
    each_way(|connector, send| {
        let peer = busy(2, refused("503 Service Unavailable"));
        let session = session(&connector, hasty());
        let response = send(session.put(peer.url("/")).body("body")).unwrap();
        assert_eq!((response.attempts(), response.retries()), (3, 2));
        assert!(response.history().is_empty() && response.is_reused());
        assert_eq!(response.text().unwrap(), "body");
        assert_eq!((peer.connections(), peer.request_count()), (1, 3));
        assert_eq!(connector.stats().retried, 2);
    });
}

#[test]
fn the_last_answer_is_delivered_when_the_tries_are_used_up() {
    // SPEC Y2
    each_way(|connector, send| {
        for (attempts, sent) in [(0, 1), (1, 1), (2, 2), (4, 4)] {
            let peer = busy(usize::MAX, refused("429 Too Many Requests"));
            let session = session(&connector, hasty().attempts(attempts));
            let response = send(session.get(peer.url("/"))).unwrap();
            assert_eq!(
                (response.status().as_u16(), response.attempts()),
                (429, sent)
            );
            assert_eq!(response.text().unwrap(), "not now");
            assert_eq!(peer.request_count(), sent as usize);
            let error = send(session.get(peer.url("/x")).error_for_status(true)).unwrap_err();
            assert_eq!((error.kind(), error.stats().attempts), (Kind::Status, sent));
            assert_eq!(error.stats().retries, sent - 1);
        }
    });
}

#[test]
fn statuses_and_methods_decide_what_is_tried_again() {
    // SPEC Y2
    let sent = |policy: RetryPolicy, method: Method, status: &str| {
        let peer = busy(1, refused(status));
        let session = session(&Connector::new(), policy);
        let response = session.request(method, peer.url("/")).body("b").send();
        response.unwrap().attempts()
    };
    for (status, want) in [
        ("408 Request Timeout", 2),
        ("429 Too Many Requests", 2),
        ("502 Bad Gateway", 2),
        ("503 Service Unavailable", 2),
        ("504 Gateway Timeout", 2),
        ("500 Internal Server Error", 1),
        ("404 Not Found", 1),
        ("200 OK", 1),
    ] {
        assert_eq!(sent(hasty(), Method::GET, status), want, "{status}");
    }
    for (method, want) in [
        (Method::OPTIONS, 2),
        (Method::PUT, 2),
        (Method::DELETE, 2),
        (Method::POST, 1),
        (Method::PATCH, 1),
    ] {
        let got = sent(hasty(), method.clone(), "503 Service Unavailable");
        assert_eq!(got, want, "{method}");
    }
    let own = hasty()
        .methods([Method::POST])
        .statuses([StatusCode::IM_A_TEAPOT]);
    let teapot = "418 I'm a teapot";
    assert_eq!(sent(own.clone(), Method::POST, teapot), 2);
    assert_eq!(sent(own.clone(), Method::GET, teapot), 1);
    assert_eq!(sent(own, Method::POST, "503 Service Unavailable"), 1);
}

#[test]
fn retry_after_is_heeded_up_to_its_cap() {
    // SPEC Y2
    const CAP: Duration = Duration::from_millis(150);
    each_way(|connector, send| {
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        let later = "Sun, 06 Nov 1994 09:49:37 GMT";
        for fields in [
            &[("Retry-After", "3600")][..],
            &[("Retry-After", later), ("Date", date)],
        ] {
            let peer = busy(1, response("503 Service Unavailable", fields, ""));
            let session = session(&connector, hasty().max_retry_after(CAP));
            let start = Instant::now();
            let response = send(session.get(peer.url("/"))).unwrap();
            assert_eq!(response.attempts(), 2);
            assert!(start.elapsed() >= CAP, "{fields:?}");
        }
        // Of the past, or of no sense: the policy's own wait.
        for value in [date, "soon", "-1"] {
            let fields = [("Retry-After", value)];
            let peer = busy(1, response("503 Service Unavailable", &fields, ""));
            let session = session(&connector, hasty().max_retry_after(Duration::MAX));
            assert_eq!(send(session.get(peer.url("/"))).unwrap().attempts(), 2);
        }
    });
}

/// Lets so much time pass in which the client is silent.
fn hear_nothing(conn: &PeerConn, length: Duration) -> std::io::Result<()> {
    let mut socket = conn.socket()?;
    socket.set_read_timeout(Some(length))?;
    let heard = std::io::Read::read(&mut socket, &mut [0]);
    socket.set_read_timeout(None)?;
    assert!(heard.is_err(), "{heard:?}");
    Ok(())
}

#[test]
fn a_wait_before_another_try_counts_from_when_the_last_one_failed() {
    // SPEC Y2: on a connection that has been silent for longer than that before.
    const WAIT: Duration = Duration::from_millis(200);
    const SILENCE: Duration = Duration::from_millis(300);
    let failures: [fn(&mut PeerConn) -> std::io::Result<()>; 2] = [
        |_| Ok(()),
        // A head whose body is still to come.
        |conn| conn.write("HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\n"),
    ];
    for fail in failures {
        each_way(|connector, send| {
            let (told, failed) = std::sync::mpsc::channel();
            let told = std::sync::Mutex::new(told);
            let peer = Peer::start(move |conn| {
                conn.request()?;
                if conn.index() > 0 {
                    let _ = support::enter(&told).send(Instant::now());
                    return conn.write(ok("at last"));
                }
                hear_nothing(conn, SILENCE)?;
                let _ = support::enter(&told).send(Instant::now());
                fail(conn)?;
                conn.close();
                Ok(())
            });
            let policy = RetryPolicy::new().backoff(WAIT, WAIT).jitter(0.0);
            let response = send(session(&connector, policy).get(peer.url("/"))).unwrap();
            assert_eq!(
                (response.attempts(), response.text().unwrap()),
                (2, "at last".into())
            );
            let [first, second] = [0, 1].map(|_| failed.recv().expect("both have told"));
            let waited = second.duration_since(first);
            assert!(waited >= WAIT, "only {waited:?}");
        });
    }
}

#[test]
fn whoever_waits_to_try_again_holds_no_slot() {
    // SPEC Y2, C3
    let peer = busy(
        1,
        response("503 Service Unavailable", &[("Retry-After", "60")], ""),
    );
    let connector = Connector::builder().limit(1).build();
    let session = session(&connector, RetryPolicy::new());
    let resting = session.get(peer.url("/resting")).start_send();
    peer.wait_for_requests(1);
    for number in 0..10 {
        let url = peer.url(&format!("/{number}"));
        let response = session
            .get(url)
            .retry(hasty().max_retry_after(Duration::ZERO));
        assert_eq!(response.send().unwrap().attempts(), 2);
    }
    assert_eq!(connector.stats().in_use, 0);
    // And it can be broken off.
    let handle = resting.cancel_handle();
    handle.cancel();
    let error = resting.wait().unwrap_err();
    assert_eq!((error.kind(), error.stats().attempts), (Kind::Cancelled, 2));
    assert_eq!(peer.request_count(), 1 + 20);
}

#[test]
fn a_wait_beyond_the_total_limit_is_not_begun() {
    // SPEC Y2, T1
    let busy_for = response("503 Service Unavailable", &[("Retry-After", "60")], "later");
    let peer = busy(usize::MAX, busy_for);
    each_way(|connector, send| {
        let session = session(&connector, RetryPolicy::new());
        let request = session.get(peer.url("/")).timeout(Duration::from_secs(30));
        let response = send(request).unwrap();
        assert_eq!((response.status().as_u16(), response.attempts()), (503, 1));
        assert_eq!(response.text().unwrap(), "later");
    });
}

#[test]
fn the_total_limit_spans_all_tries() {
    // SPEC Y2, T1, D13
    each_way(|connector, send| {
        let gate = Gate::new();
        let at = gate.clone();
        let peer = Peer::start(move |conn: &mut PeerConn| {
            conn.request()?;
            conn.write(refused("503 Service Unavailable"))?;
            conn.request()?;
            at.wait();
            Ok(())
        });
        let session = session(&connector, hasty());
        let request = session
            .get(peer.url("/"))
            .timeout(Duration::from_millis(200));
        let error = send(request).unwrap_err();
        assert_eq!(error.timeout(), Some(Timeout::Total));
        assert_eq!(error.stats().attempts, 2, "and no more");
        gate.open();
    });
}

#[test]
fn a_connection_that_fails_is_tried_again_for_idempotent_methods() {
    // SPEC Y2
    each_way(|connector, send| {
        for (method, want) in [(Method::GET, 3), (Method::POST, 1)] {
            // Takes the request, and goes.
            let peer = Peer::start(|conn: &mut PeerConn| {
                conn.request()?;
                match conn.index() {
                    0 | 1 => Ok(()),
                    _ => conn.write(ok("there")),
                }
            });
            let session = session(&connector, hasty());
            let sent = send(session.request(method, peer.url("/")));
            match sent {
                Ok(response) => {
                    assert_eq!((response.attempts(), want), (3, 3));
                    assert_eq!(response.text().unwrap(), "there");
                }
                Err(error) => {
                    assert_eq!((error.kind(), want), (Kind::Disconnected, 1));
                    assert_eq!(error.stats().attempts, 1);
                }
            }
        }
    });
}

#[test]
fn what_was_never_sent_is_tried_again_for_every_method() {
    // SPEC Y2
    each_way(|connector, send| {
        let session = session(&connector, hasty());
        let url = format!("http://{}/", refusing_address());
        let error = send(session.post(url).body("b")).unwrap_err();
        assert_eq!(
            (error.kind(), error.phase()),
            (Kind::Connect, Some(Phase::Connect))
        );
        assert_eq!((error.stats().attempts, error.stats().retries), (3, 2));
    });
}

/// Knows no name the first time it is asked, and this one the next.
struct Forgetful(std::sync::atomic::AtomicUsize);

impl Resolve for Forgetful {
    fn resolve(&self, _: &Query, answer: Answer) {
        match self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
            0 => drop(answer),
            _ => answer.addresses([std::net::Ipv4Addr::LOCALHOST.into()]),
        }
    }
}

#[test]
fn a_name_is_resolved_again() {
    // SPEC Y2
    let peer = busy(0, Vec::new());
    let connector = Connector::builder().resolver(Forgetful(0.into())).build();
    let session = session(&connector, hasty());
    let response = session.get(peer.url_for("name.test", "/")).send().unwrap();
    assert_eq!((response.status().as_u16(), response.retries()), (200, 1));
}

#[test]
fn a_limit_of_one_try_begins_anew_with_the_next() {
    // SPEC Y2, T4
    each_way(|connector, send| {
        let peer = Peer::start(|conn: &mut PeerConn| {
            conn.request()?;
            match conn.index() {
                0 => conn.wait_for_close().map(drop),
                _ => conn.write(ok("there")),
            }
        });
        let timeouts = Timeouts::new().sock_read(Duration::from_millis(50));
        let session = session(&connector, hasty());
        let response = send(session.get(peer.url("/")).timeouts(timeouts)).unwrap();
        assert_eq!(response.attempts(), 2);
        assert_eq!(response.text().unwrap(), "there");
    });
}

#[test]
fn what_no_second_try_can_mend_is_not_tried_again() {
    // SPEC Y2
    each_way(|connector, send| {
        let peer = Peer::serve(|_| b"HTCPCP/1.0 418 short\r\n\r\n".to_vec());
        let session = session(&connector, hasty());
        let error = send(session.get(peer.url("/"))).unwrap_err();
        assert_eq!((error.kind(), error.stats().attempts), (Kind::Protocol, 1));
        // Nor a body that breaks off behind its head.
        let peer = Peer::start(|conn: &mut PeerConn| {
            conn.request()?;
            conn.write("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort")
        });
        let error = send(session.get(peer.url("/")))
            .unwrap()
            .bytes()
            .unwrap_err();
        assert_eq!((error.kind(), error.stats().attempts), (Kind::Payload, 1));
        assert_eq!(peer.request_count(), 1);
    });
}

#[test]
fn redirects_and_retries_are_counted_apart() {
    // SPEC Y2, R7
    each_way(|connector, send| {
        let times = std::sync::atomic::AtomicUsize::new(0);
        let peer = Peer::serve(move |request| match request.target.as_str() {
            "/from" => response("302 Found", &[("Location", "/to")], ""),
            _ => match times.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
                0 | 1 => refused("503 Service Unavailable"),
                _ => ok("there"),
            },
        });
        let session = session(&connector, hasty());
        // With a rule of the caller's it goes another way inside.
        let response = send(session.get(peer.url("/from"))).unwrap();
        assert_eq!((response.attempts(), response.retries()), (4, 2));
        assert_eq!(
            (response.history().len(), response.url().path()),
            (1, "/to")
        );
    });
    each_way(|connector, send| {
        let peer = busy(2, refused("503 Service Unavailable"));
        let session = session(&connector, hasty());
        let rule = RedirectPolicy::custom(|_| miohttp::Action::Follow);
        let response = send(session.get(peer.url("/")).redirects(rule)).unwrap();
        assert_eq!((response.attempts(), response.retries()), (3, 2));
    });
}

#[test]
fn a_session_has_one_budget() {
    // SPEC Y2
    each_way(|connector, send| {
        let peer = busy(usize::MAX, refused("503 Service Unavailable"));
        let policy = hasty().attempts(2).budget(5);
        let shared = session(&connector, policy.clone());
        let attempts: Vec<_> = (0..8)
            .map(|_| send(shared.get(peer.url("/"))).unwrap().attempts())
            .collect();
        assert_eq!(attempts, [2, 2, 2, 2, 2, 1, 1, 1]);
        // Ten answers earn one.
        let fine = Peer::serve(|_| ok(""));
        for _ in 0..10 {
            send(shared.get(fine.url("/"))).unwrap();
        }
        assert_eq!(send(shared.get(peer.url("/"))).unwrap().attempts(), 2);
        assert_eq!(send(shared.get(peer.url("/"))).unwrap().attempts(), 1);
        // Another session has its own, and a request may do without.
        let other = session(&connector, policy.clone());
        assert_eq!(send(other.get(peer.url("/"))).unwrap().attempts(), 2);
        let request = shared.get(peer.url("/")).retry(policy.budget(None));
        assert_eq!(send(request).unwrap().attempts(), 2);
    });
}

#[test]
fn many_are_tried_again_together() {
    // SPEC Y2
    let peer = busy(1, refused("503 Service Unavailable"));
    let connector = Connector::builder().limit(4).build();
    let session = session(&connector, hasty().budget(None));
    let pending: Vec<_> = (0..200)
        .map(|number| session.get(peer.url(&format!("/{number}"))).start_send())
        .collect();
    // Nobody need wait for them.
    peer.wait_for_requests(400);
    for response in wait_all(pending) {
        assert_eq!(response.unwrap().attempts(), 2);
    }
    assert_eq!(connector.stats().retried, 200);
    assert!(peer.peak_connections() <= 4);
}

#[cfg(feature = "cookies")]
#[test]
fn cookies_of_a_refused_try_are_sent_with_the_next() {
    // SPEC Y2, D8
    let peer = Peer::serve(|request| match request.header("cookie") {
        None => response("503 Service Unavailable", &[("Set-Cookie", "a=1")], ""),
        Some(cookie) => ok(cookie),
    });
    let jar = miohttp::CookieJar::builder().allow_ip_hosts(true).build();
    let builder = Session::builder().cookie_jar(jar).retry(hasty());
    let response = builder.build().get(peer.url("/")).send().unwrap();
    assert_eq!(response.text().unwrap(), "a=1");
}

#[test]
fn what_fails_at_once_again_and_again_ends_in_its_error() {
    // SPEC Y2
    // No address of this family: there is nothing to wait for.
    let connector = Connector::builder().ip_family(IpFamily::V6).build();
    let policy = RetryPolicy::new()
        .attempts(700)
        .backoff(Duration::ZERO, Duration::ZERO)
        .budget(None);
    let session = session(&connector, policy);
    let pending = session.get("http://127.0.0.1:9/").start_send();
    let error = pending.wait().unwrap_err();
    assert_eq!(error.kind(), Kind::Dns, "{error:#}");
    assert_eq!(error.stats().attempts, 700);
}
