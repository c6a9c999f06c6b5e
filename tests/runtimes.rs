//! The blocking verbs work on any thread, a runtime's own included, and with
//! the feature `async` the same operations are futures on any executor.

mod support;

use std::thread;

use miohttp::{Session, wait_all};
use support::{Peer, ok};

fn echo() -> Peer {
    Peer::serve(|request| ok(&request.target))
}

/// Builds, uses and drops a session: what must not panic or hang anywhere.
fn use_a_session(peer: &Peer) {
    let session = Session::new();
    let one = session.get(peer.url("/one")).send().unwrap();
    assert_eq!(one.text().unwrap(), "/one");
    let many = (0..10).map(|n| session.get(peer.url(&format!("/{n}"))).start_send());
    for (number, response) in wait_all(many).into_iter().enumerate() {
        let text = response.unwrap().text().unwrap();
        assert_eq!(text, format!("/{number}"));
    }
    // Both ways to end: a drop with something in flight, and a close.
    let left = session.get(peer.url("/left")).start_send();
    drop((left, session));
    let closed = Session::new();
    closed.get(peer.url("/two")).send().unwrap();
    closed.close();
}

fn tokio_threads() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .expect("a runtime")
}

fn tokio_here() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime")
}

#[test]
fn blocking_on_a_plain_thread() {
    let peer = echo();
    thread::scope(|scope| {
        scope.spawn(|| use_a_session(&peer));
        scope.spawn(|| use_a_session(&peer));
    });
}

#[test]
fn blocking_inside_a_tokio_task() {
    let peer = echo();
    let runtime = tokio_threads();
    runtime.block_on(async {
        let task = tokio::spawn(async move { use_a_session(&peer) });
        task.await.expect("no panic");
    });
}

#[test]
fn blocking_inside_a_current_thread_runtime() {
    let peer = echo();
    tokio_here().block_on(async { use_a_session(&peer) });
}

#[test]
fn blocking_inside_a_smol_task() {
    let peer = echo();
    smol::block_on(async { smol::spawn(async move { use_a_session(&peer) }).await });
}

#[test]
fn a_session_made_outside_a_runtime_may_be_dropped_inside() {
    let peer = echo();
    let session = Session::new();
    let url = peer.url("/");
    let response = session.get(&url).send().unwrap();
    tokio_here().block_on(async move {
        assert_eq!(response.text().unwrap(), "/");
        drop(session);
    });
    // And the other way round.
    let (session, pending) = tokio_threads().block_on(async {
        let session = Session::new();
        let pending = session.get(&url).start_send();
        (session, pending)
    });
    assert_eq!(pending.wait().unwrap().text().unwrap(), "/");
    drop(session);
}

#[cfg(feature = "async")]
mod futures {
    use std::future::Future;
    use std::pin::pin;
    use std::sync::Arc;
    use std::task::{Context, Poll, Wake, Waker};
    use std::thread::Thread;
    use std::time::Instant;

    use miohttp::{Connector, Error, Kind, Pending, Response};

    use super::support::{Gate, WATCHDOG, head};
    use super::*;

    /// An executor in fifteen lines: no runtime is needed.
    fn block_on<F: Future>(future: F) -> F::Output {
        struct Unpark(Thread);

        impl Wake for Unpark {
            fn wake(self: Arc<Self>) {
                self.0.unpark();
            }
        }

        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut future = pin!(future);
        loop {
            if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                return output;
            }
            thread::park();
        }
    }

    /// Every awaitable there is: a request, a started one, and the body's.
    async fn await_everything(base: String) -> Result<(), Error> {
        let session = Session::new();
        let response = session.get(format!("{base}/request")).await?;
        assert_eq!(response.status(), 200);
        assert_eq!(response.start_text().await?, "/request");

        let pending = session.get(format!("{base}/pending")).start_send();
        assert_eq!(pending.await?.start_bytes().await?, "/pending");

        let mut response = session.post(format!("{base}/chunks")).body("x").await?;
        let mut text = Vec::new();
        while let Some(chunk) = response.start_chunk().await? {
            text.extend_from_slice(&chunk);
        }
        assert_eq!(text, b"/chunks");

        let error = session.get("http://").await.unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidUrl);

        // Many in flight: all are on their way before the first is awaited.
        let many: Vec<_> = (0..100)
            .map(|n| session.get(format!("{base}/{n}")).start_send())
            .collect();
        for (number, pending) in many.into_iter().enumerate() {
            let text = pending.await?.start_text().await?;
            assert_eq!(text, format!("/{number}"));
        }
        Ok(())
    }

    #[test]
    fn a_rule_is_asked_where_the_future_is_polled() {
        // SPEC D14
        let peer = Peer::serve(|request| match request.target.as_str() {
            "/from" => support::response("302 Found", &[("Location", "/to")], ""),
            target => ok(target),
        });
        let asked = Arc::new(std::sync::Mutex::new(Vec::new()));
        let notes = Arc::clone(&asked);
        let policy = miohttp::RedirectPolicy::custom(move |_| {
            support::enter(&notes).push(thread::current().id());
            miohttp::Action::Follow
        });
        let session = Session::new();
        let request = || session.get(peer.url("/from")).redirects(policy.clone());
        let here = async {
            let response = request().await?;
            response.start_text().await
        };
        assert_eq!(block_on(here).unwrap(), "/to");
        assert_eq!(
            tokio_here()
                .block_on(request().into_future())
                .unwrap()
                .attempts(),
            2
        );
        assert_eq!(*support::enter(&asked), [thread::current().id(); 2]);
    }

    #[test]
    fn awaiting_under_every_executor() {
        let peer = echo();
        block_on(await_everything(peer.url(""))).unwrap();
        smol::block_on(await_everything(peer.url(""))).unwrap();
        smol::block_on(smol::spawn(await_everything(peer.url("")))).unwrap();
        tokio_here()
            .block_on(await_everything(peer.url("")))
            .unwrap();
        let runtime = tokio_threads();
        let tasks: Vec<_> = (0..4)
            .map(|_| runtime.spawn(await_everything(peer.url(""))))
            .collect();
        for task in tasks {
            runtime.block_on(task).expect("no panic").unwrap();
        }
    }

    /// A peer that answers when the gate opens.
    fn gated(gate: &Gate) -> Peer {
        let gate = gate.clone();
        Peer::serve(move |request| {
            gate.wait();
            ok(&request.target)
        })
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
    fn dropping_a_future_cancels_its_request() {
        let gate = Gate::new();
        let peer = gated(&gate);
        let connector = Connector::new();
        let session = Session::builder().connector(connector.clone()).build();
        let runtime = tokio_threads();
        let url = peer.url("/");
        let task = runtime.spawn(async move { session.get(url).await.map(drop) });
        peer.wait_for_requests(1);
        task.abort();
        assert!(runtime.block_on(task).unwrap_err().is_cancelled());
        until("its slot is free", || connector.stats().in_use == 0);
        peer.wait_for_connections(1);
        gate.open();
        peer.wait_for_ends(1);
    }

    #[test]
    fn dropping_a_future_of_a_body_frees_its_slot() {
        let gate = Gate::new();
        let at = gate.clone();
        let peer = Peer::start(move |conn| {
            conn.request()?;
            conn.write(head("200 OK", &[("Content-Length", "1000000")]))?;
            at.wait();
            Ok(())
        });
        let connector = Connector::new();
        let session = Session::builder().connector(connector.clone()).build();
        block_on(async {
            let response = session.get(peer.url("/")).await.unwrap();
            let mut body = pin!(response.start_bytes());
            let waker = Waker::noop();
            let polled = body.as_mut().poll(&mut Context::from_waker(waker));
            assert!(polled.is_pending());
        });
        until("its slot is free", || connector.stats().in_use == 0);
        gate.open();
    }

    #[test]
    fn a_future_may_move_between_tasks_and_to_a_blocking_wait() {
        // The waker of the last poll is the one that counts.
        let gate = Gate::new();
        let peer = gated(&gate);
        let session = Session::new();
        let mut pending: Pending<Response> = session.get(peer.url("/moved")).start_send();
        let polled = pin!(&mut pending).poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
        let waiter = thread::spawn(move || pending.wait());
        peer.wait_for_requests(1);
        gate.open();
        let response = waiter.join().unwrap().unwrap();
        assert_eq!(smol::block_on(response.start_text()).unwrap(), "/moved");
    }

    #[test]
    fn a_future_that_has_ended_says_so() {
        let peer = echo();
        let mut pending = Session::new().get(peer.url("/")).start_send();
        assert!(block_on(&mut pending).is_ok());
        let again = block_on(&mut pending).unwrap_err();
        assert_eq!(again.kind(), Kind::Internal);
    }

    #[test]
    fn futures_cross_threads() {
        fn sent<T: Send>(_: &T) {}
        let session = Session::new();
        let request = session.get("http://127.0.0.1/");
        sent(&request);
        sent(&request.into_future());
        sent(&await_everything(String::new()));
    }
}
