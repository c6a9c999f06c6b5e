//! Which threads there are, and that they end: handles keep the reactor alive,
//! the last one asks it to stop, and no drop waits for it.
//!
//! The threads are counted by name over the whole process, so these tests have
//! a file to themselves and run one at a time.
#![cfg(target_os = "linux")]

mod support;

use std::fs;
use std::net::Ipv4Addr;
use std::sync::{Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use miohttp::{
    Answer, BodyReader, Connector, Kind, Pending, Phase, Query, Resolve, Response, Session,
    Timeout, Timeouts, wait_all,
};
use support::{Gate, Peer, WATCHDOG, enter, head, ok};

/// Held by each test while it runs.
static ALONE: Mutex<()> = Mutex::new(());

/// Begins a test, when what the one before it started has ended.
fn alone() -> MutexGuard<'static, ()> {
    let alone = enter(&ALONE);
    until("the last test's threads end", || threads() == 0);
    alone
}

/// This crate's threads in this process: reactors and resolvers.
fn threads() -> usize {
    let tasks = fs::read_dir("/proc/self/task").expect("a list of threads");
    tasks
        // A thread may end while the list is read.
        .filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok())
        .filter(|name| name.starts_with("miohttp"))
        .count()
}

fn descriptors() -> usize {
    let open = fs::read_dir("/proc/self/fd").expect("a list of descriptors");
    open.count()
}

#[track_caller]
fn until(what: &str, done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < WATCHDOG, "never came about: {what}");
        thread::yield_now();
    }
}

#[test]
fn ten_thousand_sessions_come_and_go() {
    let _alone = alone();
    let peer = Peer::serve(|_| ok("x"));
    let before = descriptors();
    let mut most = 0;
    for number in 0..10_000 {
        let session = Session::new();
        // One in ten is used.
        if number % 10 == 0 {
            let response = session.get(peer.url("/")).send().unwrap();
            assert_eq!(response.text().unwrap(), "x");
            most = most.max(threads());
        }
    }
    // A few may be on their way out at any time, and never more.
    assert!(most <= 20, "{most} threads at one time");
    assert_eq!(peer.connections(), 1000);
    until("all have ended", || threads() == 0);
    peer.wait_for_ends(1000);
    until("no descriptor is left", || descriptors() <= before);
}

#[test]
fn a_session_that_is_never_used_starts_nothing() {
    let _alone = alone();
    let connector = Connector::new();
    let sessions: Vec<_> = (0..100)
        .map(|_| Session::builder().connector(connector.clone()).build())
        .collect();
    let request = sessions[0].get("http://127.0.0.1/").header("x-own", "1");
    let mistake = sessions[1].get("http://").send().unwrap_err();
    assert!(mistake.is_request());
    connector.close_idle();
    connector.clear_dns(None);
    assert_eq!(threads(), 0);
    drop(request);
    connector.close();
    assert_eq!(threads(), 0);
}

#[test]
fn all_sessions_of_a_connector_share_one_thread() {
    let _alone = alone();
    let peer = Peer::serve(|_| ok("x"));
    let connector = Connector::new();
    for _ in 0..20 {
        let session = Session::builder().connector(connector.clone()).build();
        session.get(peer.url("/")).send().unwrap().text().unwrap();
        assert!(threads() <= 1);
        // It names itself, and on a busy machine the answer is there before.
        until("the connector has its thread", || threads() == 1);
    }
    assert_eq!(peer.connections(), 1);
}

#[test]
fn the_last_handle_ends_the_thread_whatever_it_is() {
    let _alone = alone();
    let gate = Gate::new();
    let at = gate.clone();
    let peer = Peer::start(move |conn| {
        let held = conn.request()?.target == "/held";
        if held {
            at.wait();
        }
        conn.write(head("200 OK", &[("Content-Length", "9")]))?;
        conn.wait_for_close().map(drop)
    });
    type Last = fn(&Peer) -> Box<dyn std::any::Any>;
    let handles: [(&str, Last); 7] = [
        ("session", |peer| {
            let session = Session::new();
            drop(session.get(peer.url("/")).send().unwrap());
            Box::new(session)
        }),
        ("connector", |peer| {
            let session = Session::new();
            drop(session.get(peer.url("/")).send().unwrap());
            Box::new(session.connector().clone())
        }),
        ("request", |peer| {
            let session = Session::new();
            drop(session.get(peer.url("/")).send().unwrap());
            Box::new(session.get(peer.url("/")))
        }),
        ("pending", |peer| {
            let pending: Pending<Response> = Session::new().get(peer.url("/held")).start_send();
            Box::new(pending)
        }),
        ("response", |peer| {
            Box::new(Session::new().get(peer.url("/")).send().unwrap())
        }),
        ("reader", |peer| {
            let response = Session::new().get(peer.url("/")).send().unwrap();
            let reader: BodyReader = response.into_reader();
            Box::new(reader)
        }),
        ("pending body", |peer| {
            let response = Session::new().get(peer.url("/")).send().unwrap();
            Box::new(response.start_bytes())
        }),
    ];
    for (name, last) in handles {
        let last = last(&peer);
        // A thread that has just begun may not bear its name yet.
        until(name, || threads() == 1);
        drop(last);
        until(name, || threads() == 0);
    }
    gate.open();
    peer.wait_for_ends(7);
}

#[test]
fn a_cancel_handle_or_a_finished_result_keeps_nothing_alive() {
    let _alone = alone();
    let peer = Peer::serve(|_| ok("x"));
    let session = Session::new();
    let pending = session.get(peer.url("/")).start_send();
    let cancel = pending.cancel_handle();
    let text = pending.wait().unwrap().text().unwrap();
    let error = session.get("http://127.0.0.1:1/").send().unwrap_err();
    drop(session);
    until("the thread ends", || threads() == 0);
    cancel.cancel();
    assert_eq!(text, "x");
    assert!(error.is_connect());
    assert_eq!(threads(), 0);
}

#[test]
fn close_has_waited_for_the_thread() {
    // SPEC C7
    let _alone = alone();
    let gate = Gate::new();
    let at = gate.clone();
    let peer = Peer::serve(move |_| {
        at.wait();
        ok("x")
    });
    let session = Session::new();
    let pending: Vec<_> = (0..10)
        .map(|_| session.get(peer.url("/")).start_send())
        .collect();
    peer.wait_for_requests(10);
    assert_eq!(threads(), 1);
    session.close();
    // Joined: the kernel's list may still show it for a moment.
    until("the thread is gone", || threads() == 0);
    for mut pending in pending {
        let result = pending.try_take().expect("failed by then");
        assert_eq!(result.unwrap_err().kind(), Kind::Closed);
    }
    gate.open();
}

#[test]
fn resolver_threads_end_with_their_connector() {
    struct Nobody;

    impl Resolve for Nobody {
        fn resolve(&self, _query: &Query, answer: Answer) {
            answer.not_found();
        }
    }

    let _alone = alone();
    let connector = Connector::builder().resolver(Nobody).build();
    let session = Session::builder().connector(connector).build();
    let error = session.get("http://nobody.test/").send().unwrap_err();
    assert_eq!(error.kind(), Kind::Dns);
    // The reactor, and a resolver thread that waits for more.
    assert_eq!(threads(), 2);
    drop(session);
    until("all have ended", || threads() == 0);
}

/// Each fails within its limit, no thread is started for it, and what comes
/// after is served.
#[test]
fn a_thousand_lookups_on_a_dead_server() {
    // SPEC T6, C24
    struct Dead(Gate);

    impl Resolve for Dead {
        fn resolve(&self, query: &Query, answer: Answer) {
            if query.host().starts_with("dead") {
                self.0.wait();
                return answer.fail("no server");
            }
            answer.addresses([Ipv4Addr::LOCALHOST.into()]);
        }
    }

    let _alone = alone();
    let peer = Peer::serve(|_| ok("x"));
    let gate = Gate::new();
    let connector = Connector::builder()
        .limit(0)
        .resolver(Dead(gate.clone()))
        .build();
    let session = Session::builder().connector(connector.clone()).build();
    let limit = Duration::from_millis(500);
    let start = Instant::now();
    let pending: Vec<_> = (0..1000)
        .map(|n| {
            let request = session.get(format!("http://dead{n}.test/"));
            request.timeouts(Timeouts::new().dns(limit)).start_send()
        })
        .collect();
    // Others are unharmed meanwhile.
    let response = session.get(peer.url("/")).send().unwrap();
    assert_eq!(response.text().unwrap(), "x");
    let mut most = 0;
    for result in wait_all(pending) {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), Kind::Timeout, "{error:#}");
        assert_eq!(error.timeout(), Some(Timeout::Dns));
        assert_eq!(error.phase(), Some(Phase::Dns));
        most = most.max(threads());
    }
    let taken = start.elapsed();
    assert!(taken >= limit && taken < WATCHDOG / 2, "{taken:?}");
    // The reactor, those that are stuck, and one that looks out for them.
    assert!(most <= 1 + 16 + 1, "{most} threads");
    assert_eq!(connector.stats().in_use, 0);
    // Four are stuck still; the name behind them is served all the same.
    let response = session.get(peer.url_for("alive.test", "/")).send().unwrap();
    assert_eq!(response.text().unwrap(), "x");
    gate.open();
    drop(session);
    drop(connector);
    until("all have ended", || threads() == 0);
}
