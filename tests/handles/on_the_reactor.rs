//! What foreign code may do when the reactor calls it: with the feature `async`
//! a `Waker` is such code.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use miohttp::{
    Action, Connector, Error, Kind, Pending, RedirectPolicy, Response, Session, as_completed,
    wait_all, wait_any,
};

use super::support::{Gate, Peer, WATCHDOG, enter, ok, response};
use super::{load, session_of, until};

/// Runs this where it is woken.
struct Act<F: Fn() + Send + Sync>(F);

impl<F: Fn() + Send + Sync> Wake for Act<F> {
    fn wake(self: Arc<Self>) {
        (self.0)();
    }
}

/// Starts a request whose waker is `act`, and lets it be answered.
fn woken_by(session: &Session, act: impl Fn() + Send + Sync + 'static) -> Pending<Response> {
    let gate = Gate::new();
    let at = gate.clone();
    let peer = Peer::serve(move |_| {
        at.wait();
        ok("woken")
    });
    let called = Arc::new(AtomicBool::new(false));
    let notes = Arc::clone(&called);
    let waker = Waker::from(Arc::new(Act(move || {
        notes.store(true, Ordering::Release);
        act();
    })));
    let mut pending = session.get(peer.url("/")).start_send();
    let polled = Pin::new(&mut pending).poll(&mut Context::from_waker(&waker));
    assert!(matches!(polled, Poll::Pending));
    gate.open();
    until("the waker is called", || called.load(Ordering::Acquire));
    pending
}

#[test]
fn waiting_is_refused_and_starting_is_not() {
    let peer = Peer::serve(|_| ok("from the waker"));
    let session = Session::new();
    let results = Arc::new(Mutex::new(Vec::new()));
    let started = Arc::new(Mutex::new(None));
    let (inside, results_in, started_in) =
        (session.clone(), Arc::clone(&results), Arc::clone(&started));
    let url = peer.url("/");
    let pending = woken_by(&session, move || {
        let start = || inside.get(&url).start_send();
        let kind = |result: Result<Response, Error>| result.map(drop).map_err(|e| e.kind());
        let refused = [
            kind(inside.get(&url).send()),
            kind(start().wait()),
            kind(start().wait_for(WATCHDOG).expect("an answer")),
            kind(wait_any(&mut vec![start()]).expect("an answer").1),
            kind(as_completed([start()]).next().expect("an answer").1),
        ];
        enter(&results_in).extend(refused);
        *enter(&started_in) = Some(start());
    });
    assert_eq!(pending.wait().unwrap().text().unwrap(), "woken");
    until("the waker is through", || enter(&started).is_some());
    assert_eq!(*enter(&results), [Err(Kind::Internal); 5]);
    let started = enter(&started).take().unwrap();
    assert_eq!(started.wait().unwrap().text().unwrap(), "from the waker");
}

#[test]
fn a_connection_is_not_waited_for_there() {
    // SPEC N1
    let peer = Peer::serve(|_| ok("from the waker"));
    let session = Session::new();
    let (connector, url) = (session.connector().clone(), peer.url("/"));
    let kind = Arc::new(Mutex::new(None));
    let tells = Arc::clone(&kind);
    let pending = woken_by(&session, move || {
        let refused = connector.connect(&url).map(drop);
        *enter(&tells) = Some(refused.map_err(|error| error.kind()));
    });
    assert_eq!(pending.wait().unwrap().text().unwrap(), "woken");
    until("the waker is through", || enter(&kind).is_some());
    assert_eq!(*enter(&kind), Some(Err(Kind::Internal)));
    until("nothing is left", || load(session.connector()).0 == 0);
}

#[test]
fn no_rule_of_the_callers_is_asked_there() {
    // SPEC D14
    let peer = Peer::serve(|request| match request.target.as_str() {
        "/from" => response("302 Found", &[("Location", "/to")], ""),
        target => ok(target),
    });
    let session = Session::new();
    let asked = Arc::new(AtomicBool::new(false));
    let notes = Arc::clone(&asked);
    let policy = RedirectPolicy::custom(move |_| {
        notes.store(true, Ordering::Release);
        Action::Follow
    });
    let request = session.get(peer.url("/from")).redirects(policy.clone());
    let started = Arc::new(Mutex::new(Some(request.start_send())));
    peer.wait_for_requests(1);
    until("it is answered", || load(session.connector()) == (0, 0));
    let (held, kind) = (Arc::clone(&started), Arc::new(Mutex::new(None)));
    let tells = Arc::clone(&kind);
    let pending = woken_by(&session, move || {
        let result = enter(&held).as_mut().and_then(Pending::try_take);
        *enter(&tells) = result.map(|result| result.map(drop).map_err(|error| error.kind()));
    });
    assert_eq!(pending.wait().unwrap().status(), 200);
    until("it is looked at", || enter(&kind).is_some());
    assert_eq!(*enter(&kind), Some(Err(Kind::Internal)));
    assert!(!asked.load(Ordering::Acquire));
    // Elsewhere it is.
    let response = session.get(peer.url("/from")).redirects(policy).send();
    assert_eq!(response.unwrap().text().unwrap(), "/to");
    assert!(asked.load(Ordering::Acquire));
}

#[test]
fn a_refused_wait_for_many_ends() {
    let gate = Gate::new();
    let at = gate.clone();
    let peer = Peer::serve(move |_| {
        at.wait();
        ok("late")
    });
    let session = Session::new();
    let counts = Arc::new(Mutex::new(None));
    let (inside, counts_in, url) = (session.clone(), Arc::clone(&counts), peer.url("/"));
    let pending = woken_by(&session, move || {
        let three = || (0..3).map(|_| inside.get(&url).start_send());
        let internal = |result: &Result<Response, Error>| {
            let kind = result.as_ref().map(drop).map_err(Error::kind);
            assert_eq!(kind, Err(Kind::Internal));
        };
        let (mut all, mut any) = (three().collect(), 0);
        // More than there are would be without end.
        while any < 9
            && let Some((_, result)) = wait_any(&mut all)
        {
            internal(&result);
            any += 1;
        }
        let mut places = Vec::new();
        for (place, result) in as_completed(three()) {
            internal(&result);
            places.push(place);
        }
        let together = wait_all(three());
        together.iter().for_each(internal);
        *enter(&counts_in) = Some((any, places, together.len()));
    });
    assert_eq!(pending.wait().unwrap().status(), 200);
    until("the waker is through", || enter(&counts).is_some());
    assert_eq!(*enter(&counts), Some((3, vec![0, 1, 2], 3)));
    gate.open();
}

#[test]
fn a_waker_that_panics_harms_nobody() {
    let session = Session::new();
    let pending = woken_by(&session, || panic!("a waker's own mistake"));
    assert_eq!(pending.wait().unwrap().text().unwrap(), "woken");
    let pending = woken_by(&session, || {});
    assert_eq!(pending.wait().unwrap().text().unwrap(), "woken");
}

#[test]
fn a_waker_may_drop_what_it_wakes() {
    let held: Arc<Mutex<Option<Pending<Response>>>> = Arc::default();
    let (gate, connector) = (Gate::new(), Connector::new());
    let at = gate.clone();
    let peer = Peer::serve(move |_| {
        at.wait();
        ok("x")
    });
    let drops = Arc::clone(&held);
    let waker = Waker::from(Arc::new(Act(move || drop(enter(&drops).take()))));
    let mut pending = session_of(&connector).get(peer.url("/")).start_send();
    let polled = Pin::new(&mut pending).poll(&mut Context::from_waker(&waker));
    assert!(matches!(polled, Poll::Pending));
    *enter(&held) = Some(pending);
    gate.open();
    until("it is dropped", || enter(&held).is_none());
    until("its slot is free", || load(&connector) == (0, 0));
    let response = session_of(&connector).get(peer.url("/")).send().unwrap();
    assert_eq!(response.text().unwrap(), "x");
}

#[test]
fn closing_does_not_wait_for_itself() {
    // SPEC C7
    let session = Session::new();
    let inside = session.clone();
    let pending = woken_by(&session, move || inside.close());
    // Its answer was there before the connector was closed.
    assert_eq!(pending.wait().unwrap().status(), 200);
    until("it is closed", || session.is_closed());
    let late = session.get("http://127.0.0.1:9/").send().unwrap_err();
    assert_eq!(late.kind(), Kind::Closed);
}
