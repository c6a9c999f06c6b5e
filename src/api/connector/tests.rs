//! A connector that finds itself in a child of the process that made it. Other
//! threads may have held any lock when the process was forked, and hold it for
//! ever in the child: here, such a thread is played.

use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode, Version};

use super::*;
use crate::api::body::{Body, Driver};
use crate::api::connection::Connection;
use crate::api::pending::Pending;
use crate::api::response::Response;
use crate::api::send::Send;
use crate::api::session::Session;
use crate::call::{About, ReadLimits, Reading, Told};
use crate::error::Kind;
use crate::handoff::pipe::{Budget, Credit, pipe};
use crate::handoff::slot::slot;
use crate::head::{BodyLength, Fields, RequestHead, ResponseHead};
use crate::job::{
    BodyEnd, Exchange, ExchangeLimits, Facts, LinkFacts, Loan, PoolKey, ReplyBody, Tally, Tunnel,
    Upload,
};
use crate::pool::{LeaseId, Lending};
use crate::process::Home;

/// Far beyond what any of this takes.
const WATCHDOG: Duration = Duration::from_secs(20);

const LIMITS: ReadLimits = ReadLimits {
    max_decode_ratio: 0,
    max_buffered: usize::MAX,
    max_body_size: u64::MAX,
};

const READING: Reading = Reading {
    auto_decompress: false,
    error_for_status: None,
    limits: LIMITS,
};

/// One that another process has made.
fn foreign() -> Connector {
    let mut connector = Connector::builder().limit(1).build();
    let inner = Arc::get_mut(&mut connector.inner).expect("not shared yet");
    inner.home = Home::elsewhere();
    connector
}

/// Runs this while another thread holds the locks of the connector and of its
/// pool. It must not wait for either.
fn beside_held_locks(connector: &Connector, run: impl FnOnce() + std::marker::Send + 'static) {
    let inner = connector.inner.clone();
    let (release, released) = mpsc::channel::<()>();
    let (hold, held) = mpsc::channel();
    let holder = thread::spawn(move || {
        let state = inner.state.lock().unwrap_or_else(PoisonError::into_inner);
        let key = PoolKey::new("10.0.0.1", 80, None);
        let now = Instant::now();
        let Lending::Dial(permit) = inner.pool.lend(&key, now, LeaseId(1)) else {
            panic!("an empty pool gives a permit");
        };
        // The waker is made under the lock of the pool.
        let waker = || {
            let _ = hold.send(());
            let _ = released.recv_timeout(2 * WATCHDOG);
            Waker::noop().clone()
        };
        drop(inner.pool.checkout(&key, now, waker));
        drop(permit);
        drop(state);
    });
    held.recv_timeout(WATCHDOG).expect("the locks are held");
    let (done, ran) = mpsc::channel();
    let runner = thread::spawn(move || {
        run();
        let _ = done.send(());
    });
    let result = ran.recv_timeout(WATCHDOG);
    let waited = matches!(result, Err(mpsc::RecvTimeoutError::Timeout));
    assert!(!waited, "it waits for a lock");
    runner.join().expect("its checks hold");
    drop(release);
    holder.join().expect("it only holds locks");
}

#[test]
fn requests_of_a_child_are_refused() {
    for drives in [true, false] {
        let mut connector = foreign();
        let inner = Arc::get_mut(&mut connector.inner).expect("not shared yet");
        inner.caller_drives = drives;
        let session = Session::builder().connector(connector.clone()).build();
        let inside = connector.clone();
        beside_held_locks(&connector, move || {
            let get = || session.get("http://10.0.0.1/");
            assert_eq!(get().send().unwrap_err().kind(), Kind::Closed);
            assert_eq!(get().start_send().wait().unwrap_err().kind(), Kind::Closed);
            let url = "http://10.0.0.1/";
            assert_eq!(inside.connect(url).unwrap_err().kind(), Kind::Closed);
            let started = inside.start_connect(url).wait();
            assert_eq!(started.unwrap_err().kind(), Kind::Closed);
            assert!(inside.is_closed());
            assert_eq!(inside.stats(), ConnectorStats::default());
            inside.clear_dns(None);
            inside.close_idle();
            inside.close();
            session.close();
            assert!(!format!("{inside:?}").is_empty());
            drop((session, inside));
        });
        assert!(matches!(*connector.state(), State::Fresh));
    }
}

fn facts() -> Facts {
    Facts {
        link: Arc::new(LinkFacts {
            peer: Some("10.0.0.1:80".parse().expect("an address")),
            path: None,
            local: None,
            tls: None,
            proxy: None,
        }),
        reused: false,
        tally: Tally::default(),
    }
}

fn asked() -> Box<Exchange> {
    Box::new(Exchange {
        key: PoolKey::new("10.0.0.1", 80, None),
        head: RequestHead {
            method: Method::GET,
            version: Version::HTTP_11,
            fields: Fields::behind(b"/", 0),
            body: BodyLength::Empty,
            expect_continue: false,
        },
        upload: Upload::default(),
        limits: ExchangeLimits::none(),
        fresh: false,
        not_before: None,
        bare: false,
        proxy_authorization: None,
        advance: None,
    })
}

fn about() -> About {
    About {
        head: ResponseHead::new(Version::HTTP_11, StatusCode::OK, (0, 0)),
        facts: facts(),
        asked: Mutex::new(asked()),
        method: Method::GET,
        url: "http://10.0.0.1/".parse().expect("a URL"),
        history: Vec::new(),
        attempts: 1,
        retries: 0,
        charset_fallback: None,
    }
}

/// What the parent's requests left in the child's hands: dropping it locks
/// nothing, the ends of slots and pipes included, and reading it does not block.
#[test]
fn whatever_a_child_drops_it_leaves_alone() {
    let connector = foreign();
    let about = Arc::new(about());
    let body = |connector: &Connector| {
        let budget = Budget { low: 10, high: 20 };
        let (mut writer, reader) = pipe::<BodyEnd>(budget);
        assert_eq!(writer.push(Bytes::from_static(b"some")), Credit::Open);
        let stream = ReplyBody::Stream(reader);
        let (about, id) = (about.clone(), ExchangeId::next());
        let body = Body::new(stream, LIMITS, about, id, connector, true);
        (writer, body)
    };
    let (in_response, of_response) = body(&connector);
    let (in_reader, of_reader) = body(&connector);
    let response = |body| Response::new(about.clone(), body);
    let (response, reader) = (response(of_response), response(of_reader).into_reader());
    let cancel = response.cancel_handle();
    let (sender, receiver) = slot();
    let id = ExchangeId::next();
    let driver = Driver::Reactor;
    let send = Send::new(
        receiver,
        Session::builder().connector(connector.clone()).build(),
        id,
        READING,
        driver,
        false,
        false,
    );
    let pending: Pending<Response> = Pending::new(send);

    beside_held_locks(&connector, move || {
        cancel.cancel();
        pending.cancel_handle().cancel();
        drop(pending);
        drop(response);
        drop(reader);
    });
    assert_ne!(in_response.credit(), Credit::Abandoned);
    assert_ne!(in_reader.credit(), Credit::Abandoned);
    assert!(
        sender.fill(Told::Done(Err(Error::closed()))).is_ok(),
        "its end is there"
    );
}

/// A connection that the parent was lent.
struct Parents;

impl Loan for Parents {
    fn is_standing(&mut self) -> bool {
        panic!("its socket is looked at");
    }

    fn release(self: Box<Self>, _: Duration, _: Instant) -> bool {
        panic!("it is given back");
    }

    fn detach(self: Box<Self>) -> Option<Box<dyn Tunnel>> {
        panic!("it is taken away");
    }
}

impl Drop for Parents {
    fn drop(&mut self) {
        panic!("it is closed");
    }
}

/// Whatever a child does with it, it stays the parent's.
#[test]
fn a_lent_connection_is_left_alone_in_a_child() {
    let connector = foreign();
    let lent = || {
        let url = "http://10.0.0.1/".parse().expect("a URL");
        let id = ExchangeId::next();
        Connection::new(Box::new(Parents), &facts(), connector.clone(), id, url)
    };
    let (mut looked, closed, released, detached) = (lent(), lent(), lent(), lent());
    beside_held_locks(&connector, move || {
        assert!(looked.is_closed());
        looked.cancel_handle().cancel();
        drop(looked);
        closed.close();
        released.release();
        assert_eq!(detached.detach().unwrap_err().kind(), Kind::Closed);
    });
}

/// Nobody fills the slots and pipes of a child, so it does not wait for them.
#[test]
fn a_child_does_not_wait_for_what_its_parent_gets() {
    let connector = foreign();
    let (_sender, receiver) = slot();
    let driver = Driver::Reactor;
    let id = ExchangeId::next();
    let send = Send::new(
        receiver,
        Session::builder().connector(connector.clone()).build(),
        id,
        READING,
        driver,
        false,
        false,
    );
    let ended = Pending::new(send).wait().map(drop);
    assert_eq!(ended.unwrap_err().kind(), Kind::Closed);

    let about = Arc::new(about());
    for driver in [Driver::Caller, Driver::Reactor] {
        let (_writer, reader) = pipe::<BodyEnd>(Budget { low: 10, high: 20 });
        let stream = ReplyBody::Stream(reader);
        let mut body = Body::new(stream, LIMITS, about.clone(), id, &connector, true);
        body.driven_by(driver);
        let mut cx = Context::from_waker(Waker::noop());
        match body.poll_chunk(&mut cx) {
            Poll::Ready(Err(error)) => assert_eq!(error.kind(), Kind::Closed),
            other => panic!("{driver:?}: {other:?}"),
        }
    }
}

/// Another thread was in the middle of filling them when the process was forked, and is
/// so for ever in the child.
#[test]
fn a_child_is_not_kept_by_what_was_being_filled() {
    let connector = foreign();
    let (sender, receiver) = slot();
    let (writer, reader) = pipe::<BodyEnd>(Budget { low: 10, high: 20 });
    let id = ExchangeId::next();
    let driver = Driver::Reactor;
    let session = Session::builder().connector(connector.clone()).build();
    let send = Send::new(receiver, session, id, READING, driver, false, false);
    let (body, about) = (ReplyBody::Stream(reader), Arc::new(about()));
    let body = Body::new(body, LIMITS, about.clone(), id, &connector, true);
    let mut response = Response::new(about, body);
    let (done, is_done) = mpsc::channel();
    let child = move || {
        let ended = Pending::new(send).wait().map(drop);
        assert_eq!(ended.unwrap_err().kind(), Kind::Closed);
        assert!(!response.is_eof());
        assert_eq!(response.chunk().unwrap_err().kind(), Kind::Closed);
        response.cancel_handle().cancel();
        drop(response);
        let _ = done.send(());
    };
    let child = writer.amid(|| {
        sender.amid(|| {
            let child = thread::spawn(child);
            let waited = is_done.recv_timeout(WATCHDOG) == Err(mpsc::RecvTimeoutError::Timeout);
            assert!(!waited, "it waits for a lock");
            child
        })
    });
    child.join().expect("its checks hold");
}

/// The thread belongs to the parent: the last handle of a child ends nothing.
#[test]
fn the_last_handle_of_a_child_tells_nobody() {
    let mut connector = Connector::new();
    let mailbox = connector.mailbox().expect("a reactor");
    let inner = Arc::get_mut(&mut connector.inner).expect("not shared");
    inner.home = Home::elsewhere();
    drop(connector);
    // Had it been told to end, it would take nothing after one of these.
    for _ in 0..3 {
        let pushed = mailbox.push(Command::Look);
        assert!(pushed.is_ok(), "the thread has ended");
        let start = Instant::now();
        while !format!("{mailbox:?}").contains("queued: 0") {
            assert!(start.elapsed() < WATCHDOG, "the thread takes no mail");
            thread::yield_now();
        }
    }
    let ended = mailbox.push(Command::Control(Control::Shutdown));
    assert!(ended.is_ok());
}
