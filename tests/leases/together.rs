//! Many threads on one connector, blocking, starting and cancelling.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

const THREADS: usize = 64;
const LIMIT: usize = 16;
const ROUNDS: usize = 30;

#[test]
fn sixty_four_threads_share_sixteen_connections() {
    // SPEC C3: the books balance whoever drives, and the limit holds throughout.
    both(|builder| {
        let peer = sized();
        let connector = builder.limit(LIMIT).build();
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            let watch = scope.spawn(|| {
                let mut most = 0;
                while !done.load(Ordering::Acquire) {
                    most = most.max(connector.stats().in_use);
                    thread::yield_now();
                }
                most
            });
            let workers: Vec<_> = (0..THREADS)
                .map(|worker| {
                    let (connector, peer) = (&connector, &peer);
                    scope.spawn(move || {
                        let session = session_of(connector);
                        for round in 0..ROUNDS {
                            turn(&session, peer, worker * ROUNDS + round);
                        }
                    })
                })
                .collect();
            for worker in workers {
                worker.join().expect("every round is as it should be");
            }
            done.store(true, Ordering::Release);
            let most = watch.join().expect("it only looks");
            assert!(most <= LIMIT, "{most} at one time");
        });
        assert!(at_rest(&connector) <= LIMIT);
        assert!(peer.peak_connections() <= 2 * LIMIT);
    });
}

/// One request of the mixture.
fn turn(session: &Session, peer: &Peer, number: usize) {
    let length = [0, 100, 5_000, 40_000, 700_000][number % 5];
    let request = session.get(peer.url(&format!("/{length}")));
    match number % 7 {
        0 | 1 => assert_eq!(request.send().unwrap().bytes().unwrap().len(), length),
        2 => {
            let body = request.start_send().wait().unwrap().bytes().unwrap();
            assert_eq!(body.len(), length);
        }
        3 => {
            let body = request.send().unwrap().start_bytes().wait().unwrap();
            assert_eq!(body.len(), length);
        }
        4 => {
            let mut response = request.send().unwrap();
            let _ = response.chunk().unwrap();
            drop(response);
        }
        5 => {
            let pending = request.start_send();
            if number.is_multiple_of(2) {
                pending.cancel();
            } else {
                pending.cancel_handle().cancel();
                match pending.wait().and_then(Response::bytes) {
                    Ok(body) => assert_eq!(body.len(), length),
                    Err(error) => assert_eq!(error.kind(), Kind::Cancelled),
                }
            }
        }
        _ => {
            let response = request.send().unwrap();
            let cancel = response.cancel_handle();
            let canceller = thread::spawn(move || cancel.cancel());
            match response.bytes() {
                Ok(body) => assert_eq!(body.len(), length),
                Err(error) => assert_eq!(error.kind(), Kind::Cancelled),
            }
            canceller.join().expect("it does not panic");
        }
    }
}

/// Closed in the middle of it, nobody is left waiting, and nobody is told
/// anything but that.
#[test]
fn closing_under_load_reaches_every_driver() {
    both(|builder| {
        let peer = sized();
        let connector = builder.limit(4).build();
        let workers: Vec<_> = (0..16)
            .map(|worker| {
                let session = session_of(&connector);
                let url = peer.url(&format!("/{}", [10, 2_000_000][worker % 2]));
                blocked(
                    || (),
                    move |()| {
                        loop {
                            match session.get(&url).send().and_then(Response::bytes) {
                                Ok(_) => {}
                                Err(error) => return error.kind(),
                            }
                        }
                    },
                )
            })
            .collect();
        peer.wait_for_requests(64);
        connector.close();
        for worker in workers {
            assert_eq!(worker.result(), Kind::Closed);
        }
        assert_eq!(at_rest(&connector), 0);
    });
}

/// With the feature `async` a `Waker` is foreign code on the reactor's thread,
/// where nothing may block: neither a request over a connection that lies
/// ready, nor a body that lies parked.
#[cfg(feature = "async")]
#[test]
fn nothing_blocks_on_the_reactors_thread() {
    use std::pin::Pin;
    use std::sync::{Arc, Mutex};
    use std::task::{Context, Poll, Wake, Waker};
    struct Act<F: Fn() + Send + Sync>(F);
    impl<F: Fn() + Send + Sync> Wake for Act<F> {
        fn wake(self: Arc<Self>) {
            (self.0)();
        }
    }
    let kinds = both(|builder| {
        let gate = Gate::new();
        let at = gate.clone();
        let peer = Peer::start(move |conn| {
            while let Some(request) = conn.next_request()? {
                if request.target == "/long" {
                    conn.write(head("200 OK", &[("Content-Length", "1000000")]))?;
                    return conn.wait_for_close().map(drop);
                }
                if request.target == "/woken" {
                    at.wait();
                }
                conn.write(ok("x"))?;
            }
            Ok(())
        });
        let connector = builder.build();
        let session = session_of(&connector);
        let held = session.get(peer.url("/long")).send().unwrap();
        let warm = session.get(peer.url("/")).send().unwrap();
        assert_eq!(warm.text().unwrap(), "x");
        let held = Mutex::new(Some(held));
        let (results, inside, url) = (Arc::new(Mutex::new(None)), session.clone(), peer.url("/"));
        let noted = Arc::clone(&results);
        let waker = Waker::from(Arc::new(Act(move || {
            let held = support::enter(&held).take().expect("woken once");
            let kinds = [
                inside.get(&url).send().map(drop).map_err(|e| e.kind()),
                held.bytes().map(drop).map_err(|e| e.kind()),
            ];
            *support::enter(&noted) = Some(kinds);
        })));
        let mut pending = session.get(peer.url("/woken")).start_send();
        let polled = Pin::new(&mut pending).poll(&mut Context::from_waker(&waker));
        assert!(matches!(polled, Poll::Pending));
        gate.open();
        until("the waker is through", || {
            support::enter(&results).is_some()
        });
        assert_eq!(pending.wait().unwrap().text().unwrap(), "x");
        at_rest(&connector);
        support::enter(&results).take()
    });
    assert_eq!(kinds, Some([Err(Kind::Internal); 2]));
}

/// What a caller has done to wait for its connection does not make the reactor
/// wait when that has it: an upload that nobody reads holds up nobody else.
#[test]
fn a_connection_that_callers_have_used_does_not_block_the_reactor() {
    both(|builder| {
        let gate = Gate::new();
        let at = gate.clone();
        let stuck = Peer::start(move |conn| {
            for _ in 0..3 {
                conn.request()?;
                conn.write(ok("x"))?;
            }
            // Takes no more than the head.
            conn.request_head()?;
            at.wait();
            conn.wait_for_close().map(drop)
        });
        let other = sized();
        let connector = builder.build();
        let session = session_of(&connector);
        for _ in 0..3 {
            let response = session.get(stuck.url("/")).send().unwrap();
            assert_eq!(response.text().unwrap(), "x");
        }
        let upload = session.post(stuck.url("/")).body(vec![b'x'; 32 << 20]);
        let upload = upload.start_send();
        gate.wait_for_arrivals(1);
        let body = session.get(other.url("/30000")).start_send().wait();
        assert_eq!(body.unwrap().bytes().unwrap().len(), 30_000);
        upload.cancel();
        gate.open();
        assert_eq!(at_rest(&connector), 1);
        stuck.connections()
    });
}
