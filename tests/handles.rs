//! What the values a caller holds do when they are cancelled, dropped, shared
//! or waited for together, at each stage of a request.

mod support;

#[cfg(feature = "async")]
#[path = "handles/on_the_reactor.rs"]
mod on_the_reactor;
#[path = "handles/scene.rs"]
mod scene;

use std::io::Read;
use std::thread;
use std::time::{Duration, Instant};

use miohttp::{
    Answer, BodyReader, CancelHandle, Connector, ConnectorStats, Error, Kind, Pending, Phase,
    Query, Resolve, Response, Session, as_completed, wait_all, wait_any,
};
use scene::Scene;
use support::{Gate, Peer, WATCHDOG, head, ok};

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

/// Slots in use and requests waiting for one.
fn load(connector: &Connector) -> (usize, usize) {
    let ConnectorStats {
        in_use, waiting, ..
    } = connector.stats();
    (in_use, waiting)
}

#[test]
fn another_thread_cancels_at_every_stage() {
    for scene in Scene::all() {
        let pending = scene.session.get(&scene.url).start_send();
        let cancel = pending.cancel_handle();
        let waiter = thread::spawn(move || pending.wait());
        scene.wait_until_there();
        cancel.cancel();
        let result = waiter.join().unwrap();
        let error = result.unwrap_err();
        assert_eq!(error.kind(), Kind::Cancelled, "{:?}", scene.stage);
        assert_eq!(error.url().map(|url| url.as_str()), Some(&*scene.url));
        // Once more, after the end, it does nothing.
        cancel.clone().cancel();
        scene.assert_gone();
    }
}

#[test]
fn dropping_a_pending_request_frees_its_slot_at_every_stage() {
    // SPEC P3
    for scene in Scene::all() {
        let pending = scene.session.get(&scene.url).start_send();
        scene.wait_until_there();
        drop(pending);
        scene.assert_gone();
    }
    for scene in Scene::all() {
        let mut pending = scene.session.get(&scene.url).start_send();
        scene.wait_until_there();
        assert!(pending.wait_for(Duration::ZERO).is_none());
        pending.cancel();
        scene.assert_gone();
    }
}

#[test]
fn a_request_cancelled_at_once_leaves_nothing() {
    // The command to cancel may overtake nothing, wherever the request stands.
    let peer = Peer::serve(|_| ok("x"));
    let connector = Connector::builder().limit(2).build();
    let session = session_of(&connector);
    for _ in 0..500 {
        drop(session.get(peer.url("/")).start_send());
        let pending = session.get(peer.url("/")).start_send();
        pending.cancel_handle().cancel();
        if let Err(error) = pending.wait() {
            assert_eq!(error.kind(), Kind::Cancelled);
        }
    }
    until("nothing is left", || load(&connector) == (0, 0));
    assert_eq!(session.get(peer.url("/")).send().unwrap().status(), 200);
}

#[test]
fn closing_the_connector_fails_a_request_at_every_stage() {
    // SPEC C7
    for scene in Scene::all() {
        let pending = scene.session.get(&scene.url).start_send();
        scene.wait_until_there();
        scene.connector.close();
        let error = pending.wait().unwrap_err();
        assert_eq!(error.kind(), Kind::Closed, "{:?}", scene.stage);
        assert_eq!(load(&scene.connector), (0, 0));
        drop(scene.holder);
        scene.peer.finish();
    }
}

#[test]
fn closing_under_load_leaves_nobody_waiting() {
    // SPEC C7: whoever asks at that very moment gets an answer, too.
    let peer = Peer::serve(|_| ok("x"));
    for _ in 0..20 {
        let connector = Connector::builder().limit(4).build();
        let session = session_of(&connector);
        let before = peer.request_count();
        thread::scope(|scope| {
            let users: Vec<_> = (0..16)
                .map(|_| {
                    scope.spawn(|| {
                        loop {
                            let sent = session.get(peer.url("/")).send();
                            if let Err(error) = sent.and_then(Response::text) {
                                return error.kind();
                            }
                        }
                    })
                })
                .collect();
            peer.wait_for_requests(before + 32);
            connector.close();
            for user in users {
                assert_eq!(user.join().unwrap(), Kind::Closed);
            }
        });
        assert_eq!(load(&connector), (0, 0));
        assert_eq!(connector.stats().idle, 0);
    }
}

#[test]
fn closing_breaks_off_a_body_that_is_read() {
    // SPEC C7: never a silent end.
    let gate = Gate::new();
    let peer = half_a_body(&gate, LONG);
    let session = Session::new();
    let mut response = session.get(peer.url("/")).send().unwrap();
    assert_eq!(response.chunk().unwrap().as_deref(), Some(HALF));
    let mut started = response.start_chunk();
    assert!(started.try_take().is_none());
    session.close();
    assert_eq!(started.wait().unwrap_err().kind(), Kind::Closed);
    assert_eq!(response.chunk().unwrap_err().kind(), Kind::Closed);
    gate.open();
}

/// The start of a body whose rest waits for the gate.
const HALF: &[u8] = b"half a body, ";
const REST: &[u8] = b"and the rest";

fn half_a_body(gate: &Gate, length: usize) -> Peer {
    let gate = gate.clone();
    Peer::start(move |conn| {
        conn.request()?;
        conn.write(head("200 OK", &[("Content-Length", &length.to_string())]))?;
        conn.write(HALF)?;
        gate.wait();
        conn.write(REST)?;
        conn.wait_for_close().map(drop)
    })
}

/// Longer than what is read away to keep a connection.
const LONG: usize = 1024 * 1024;

#[test]
fn another_thread_breaks_off_a_body_that_is_read() {
    let gate = Gate::new();
    let peer = half_a_body(&gate, LONG);
    let connector = Connector::builder().limit(1).build();
    let session = session_of(&connector);
    type Read = fn(Response) -> Result<(), Error>;
    let reads: [(&str, Read); 4] = [
        ("bytes", |response| response.bytes().map(drop)),
        ("start_text", |response| {
            let pending = response.start_text();
            // The handle of the later operation cancels the same exchange.
            pending.cancel_handle().cancel();
            pending.wait().map(drop)
        }),
        ("chunk", |mut response| {
            while response.chunk()?.is_some() {}
            Ok(())
        }),
        ("reader", |response| {
            let mut all = Vec::new();
            match response.into_reader().read_to_end(&mut all) {
                Ok(_) => Ok(()),
                Err(error) => {
                    assert!(HALF.starts_with(&all));
                    Err(inner(error))
                }
            }
        }),
    ];
    for (name, read) in reads {
        let response = session.get(peer.url("/")).send().unwrap();
        let cancel = response.cancel_handle();
        let result = thread::scope(|scope| {
            let reader = scope.spawn(|| read(response));
            // Whether it waits already or not, it must come to know.
            cancel.cancel();
            reader.join().expect("the reader's checks hold")
        });
        assert_eq!(result.unwrap_err().kind(), Kind::Cancelled, "{name}");
        until("its slot is free", || load(&connector) == (0, 0));
        assert_eq!(connector.stats().idle, 0, "{name}");
    }
    gate.open();
}

fn inner(error: std::io::Error) -> Error {
    let inner = error.into_inner().expect("an error of ours inside");
    *inner.downcast().expect("of this crate's type")
}

#[test]
fn dropping_whatever_holds_a_body_frees_its_slot() {
    // SPEC R27
    type Hold = fn(Response) -> Box<dyn std::any::Any>;
    let holds: [(&str, Hold); 5] = [
        ("response", |response| Box::new(response)),
        ("started bytes", |response| Box::new(response.start_bytes())),
        ("reader", |response| Box::new(response.into_reader())),
        ("reader in use", |response| {
            let mut reader = response.into_reader();
            reader.read_exact(&mut [0; 4]).unwrap();
            Box::new(reader)
        }),
        ("started chunk and its response", |mut response| {
            assert_eq!(response.chunk().unwrap().as_deref(), Some(HALF));
            Box::new((response.start_chunk(), response))
        }),
    ];
    let gate = Gate::new();
    let peer = half_a_body(&gate, LONG);
    let connector = Connector::builder().limit(1).build();
    let session = session_of(&connector);
    for (turn, (name, hold)) in holds.into_iter().enumerate() {
        let held = hold(session.get(peer.url("/")).send().unwrap());
        assert_eq!(load(&connector), (1, 0), "{name}");
        drop(held);
        until(name, || load(&connector) == (0, 0));
        assert_eq!(peer.connections(), turn + 1);
    }
    gate.open();
    peer.wait_for_ends(5);
}

#[test]
fn a_body_outlives_everything_else() {
    // Handles keep the reactor alive, to the last.
    let length = HALF.len() + REST.len();
    let (first, last) = (Gate::new(), Gate::new());
    let at = first.clone();
    let held = Peer::serve(move |_| {
        at.wait();
        ok("held")
    });
    let pending = Session::new().get(held.url("/")).start_send();
    let peer = half_a_body(&last, length);
    let mut reader: BodyReader = {
        let session = Session::new();
        session.get(peer.url("/")).send().unwrap().into_reader()
    };
    first.open();
    last.open();
    assert_eq!(pending.wait().unwrap().text().unwrap(), "held");
    let mut all = Vec::new();
    reader.read_to_end(&mut all).unwrap();
    assert_eq!(all, [HALF, REST].concat());
}

#[test]
fn a_started_chunk_lends_the_body_and_gives_it_back() {
    // SPEC R31, R36
    let gate = Gate::new();
    let peer = half_a_body(&gate, HALF.len() + REST.len());
    let mut response = Session::new().get(peer.url("/")).send().unwrap();
    assert_eq!(response.chunk().unwrap().as_deref(), Some(HALF));
    let mut started = response.start_chunk();
    assert!(started.try_take().is_none());
    let error = response.chunk().unwrap_err();
    assert_eq!(error.kind(), Kind::InvalidRequest);
    let second = response.start_chunk().wait().unwrap_err();
    assert_eq!(second.kind(), Kind::InvalidRequest);
    // Giving up the wait is not giving up the body.
    drop(started);
    let started = response.start_chunk();
    gate.open();
    assert_eq!(started.wait().unwrap().as_deref(), Some(REST));
    assert_eq!(response.chunk().unwrap(), None);
    assert_eq!(response.chunk().unwrap(), None);
}

/// Answers `/N` when the N-th gate opens.
fn behind(gates: &[Gate]) -> Peer {
    let gates = gates.to_vec();
    Peer::serve(move |request| {
        let number: usize = request.target[1..].parse().expect("a number");
        gates[number].wait();
        ok(&request.target)
    })
}

#[test]
fn many_are_waited_for_in_every_order() {
    let gates: Vec<_> = (0..6).map(|_| Gate::new()).collect();
    let peer = behind(&gates);
    let session = Session::new();
    let start = |number: usize| session.get(peer.url(&format!("/{number}"))).start_send();
    let text = |result: Result<Response, Error>| result.unwrap().text().unwrap();

    // The first to end, whatever its place.
    let mut two = vec![start(0), start(1)];
    gates[1].open();
    let (place, result) = wait_any(&mut two).unwrap();
    assert_eq!((place, text(result).as_str()), (1, "/1"));
    assert_eq!(two.len(), 1);
    gates[0].open();
    let (place, result) = wait_any(&mut two).unwrap();
    assert_eq!((place, text(result).as_str()), (0, "/0"));
    assert!(wait_any(&mut two).is_none());

    // As they come: each opens the next one's gate.
    let mut completed = as_completed((2..5).map(start));
    assert_eq!(completed.len(), 3);
    for number in [4, 2, 3] {
        gates[number].open();
        let (place, result) = completed.next().unwrap();
        assert_eq!(place, number - 2);
        assert_eq!(text(result), format!("/{number}"));
    }
    assert_eq!(completed.len(), 0);
    assert!(completed.next().is_none());

    // In their own order, and a failure is only its own.
    let bad = session.get("nowhere").start_send();
    gates[5].open();
    let mut all = wait_all([start(5), bad, start(0)]).into_iter();
    assert_eq!(text(all.next().unwrap()), "/5");
    assert_eq!(all.next().unwrap().unwrap_err().kind(), Kind::InvalidUrl);
    assert_eq!(text(all.next().unwrap()), "/0");
    assert!(wait_all(Vec::<Pending<Response>>::new()).is_empty());
}

#[test]
fn dropping_what_has_not_completed_cancels_it() {
    let gates = [Gate::new(), Gate::new()];
    let peer = behind(&gates);
    let connector = Connector::new();
    let session = session_of(&connector);
    let start = |number: usize| session.get(peer.url(&format!("/{number}"))).start_send();
    let mut completed = as_completed([start(0), start(1), start(1)]);
    gates[0].open();
    assert_eq!(completed.next().unwrap().0, 0);
    drop(completed);
    until("the others are cancelled", || load(&connector) == (0, 0));
    gates[1].open();
}

#[test]
fn handles_cross_threads() {
    fn sent<T: Send>() {}
    fn shared<T: Send + Sync>() {}
    shared::<Session>();
    shared::<Connector>();
    shared::<CancelHandle>();
    shared::<Error>();
    sent::<Response>();
    sent::<Pending<Response>>();
    sent::<BodyReader>();

    let peer = Peer::serve(|request| ok(&request.target));
    let session = Session::new();
    let threads: Vec<_> = (0..8)
        .map(|number| {
            let (session, url) = (session.clone(), peer.url(&format!("/{number}")));
            thread::spawn(move || session.get(url).send()?.text())
        })
        .collect();
    for (number, thread) in threads.into_iter().enumerate() {
        assert_eq!(thread.join().unwrap().unwrap(), format!("/{number}"));
    }
}

/// Panics on one name, and again in the drop of what it panicked with.
struct Explosive;

impl Resolve for Explosive {
    fn resolve(&self, query: &Query, answer: Answer) {
        struct Again;

        impl Drop for Again {
            fn drop(&mut self) {
                panic!("once more");
            }
        }

        match query.host() {
            "panic.test" => panic!("a resolver's own mistake"),
            "again.test" => std::panic::panic_any(Again),
            _ => answer.addresses([std::net::Ipv4Addr::LOCALHOST.into()]),
        }
    }
}

#[test]
fn a_resolver_that_panics_fails_its_request_alone() {
    // SPEC C24
    let peer = Peer::serve(|_| ok("fine"));
    let connector = Connector::builder().resolver(Explosive).limit(1).build();
    let session = session_of(&connector);
    for _ in 0..3 {
        for host in ["panic.test", "again.test"] {
            let error = session.get(peer.url_for(host, "/")).send().unwrap_err();
            assert_eq!(error.kind(), Kind::Dns);
            assert_eq!(error.phase(), Some(Phase::Dns));
            assert!(format!("{error:#}").contains("panicked"), "{error:#}");
        }
        let response = session.get(peer.url_for("fine.test", "/")).send().unwrap();
        assert_eq!(response.text().unwrap(), "fine");
    }
    assert_eq!(load(&connector), (0, 0));
}

#[test]
fn a_response_can_be_cancelled_whoever_has_its_body() {
    let gate = Gate::new();
    let peer = half_a_body(&gate, LONG);
    let session = Session::new();
    let read = || {
        let mut response = session.get(peer.url("/")).send().unwrap();
        let first = response.start_chunk().wait();
        assert_eq!(first.unwrap().as_deref(), Some(HALF));
        response
    };
    let cancelled = |result: Option<Result<_, Error>>| {
        let result = result.expect("it is cancelled");
        assert_eq!(result.map(drop).unwrap_err().kind(), Kind::Cancelled);
    };
    // Between two chunks, the last of which was a started one.
    let mut response = read();
    response.cancel_handle().cancel();
    cancelled(response.start_chunk().wait_for(WATCHDOG));
    // While one is waited for.
    let mut response = read();
    let mut started = response.start_chunk();
    assert!(started.try_take().is_none());
    response.cancel_handle().cancel();
    cancelled(started.wait_for(WATCHDOG));
    // By the handle of the operation that had sent the request.
    let pending = session.get(peer.url("/")).start_send();
    let cancel = pending.cancel_handle();
    let mut response = pending.wait().unwrap();
    assert_eq!(response.chunk().unwrap().as_deref(), Some(HALF));
    cancel.cancel();
    cancelled(response.start_chunk().wait_for(WATCHDOG));
    gate.open();
}

#[test]
fn more_large_bodies_than_slots_are_waited_for_together() {
    // SPEC C3
    const SIZE: usize = 300_000;
    let peer = Peer::serve(|request| match request.target.as_str() {
        "/0" => support::response("302 Found", &[("Location", "/again")], ""),
        _ => ok(vec![b'l'; SIZE]),
    });
    let connector = Connector::builder().limit(2).build();
    let session = Session::builder()
        .connector(connector.clone())
        .read_buffer(1_000)
        .timeout(WATCHDOG / 2)
        .build();
    let start = |n| session.get(peer.url(&format!("/{n}"))).start_send();
    for body in wait_all((0..8).map(|n| start(n).and_then(Response::start_bytes))) {
        assert_eq!(body.unwrap().len(), SIZE);
    }
    let read = as_completed((0..8).map(start)).map(|(_, result)| result.unwrap().bytes());
    assert!(read.into_iter().all(|body| body.unwrap().len() == SIZE));
    assert_eq!(load(&connector), (0, 0));
    assert!(peer.peak_connections() <= 2);
}

#[test]
fn a_chain_is_one_operation() {
    let gate = Gate::new();
    let peer = half_a_body(&gate, LONG);
    let connector = Connector::new();
    let session = session_of(&connector);
    let start = || session.get(peer.url("/")).start_send();
    // A failure of the first is that of the whole.
    let bad = session.get("nowhere").start_send();
    let never = bad.and_then(|_| -> Pending<()> { panic!("there is no response") });
    assert_eq!(never.wait().unwrap_err().kind(), Kind::InvalidUrl);
    // A handle of the first part reaches into the second.
    let followed = Gate::new();
    let follows = followed.clone();
    let mut chain = start().and_then(move |response| {
        follows.open();
        response.start_bytes()
    });
    let cancel = chain.cancel_handle();
    let waiter = thread::spawn(move || chain.wait_for(WATCHDOG).expect("it is cancelled"));
    followed.wait();
    cancel.cancel();
    let result = waiter.join().unwrap();
    assert_eq!(result.unwrap_err().kind(), Kind::Cancelled);
    // Dropping it frees what either part holds.
    let mut chain = start().and_then(Response::start_bytes);
    assert!(chain.try_take().is_none());
    drop(chain);
    until("its slot is free", || load(&connector) == (0, 0));
    gate.open();
}
