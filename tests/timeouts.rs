//! Time limits fire where the request stands, and only there (SPEC §5).
//!
//! Nothing here sleeps: what a test waits for is the limit itself. A limit must
//! not fire early, and not so late that a caller would call it broken.

mod support;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use miohttp::{
    Answer, Connector, ConnectorStats, Error, Kind, Phase, Query, RedirectPolicy, Resolve, Session,
    Timeout, Timeouts,
};
use support::{Blackhole, Gate, Peer, WATCHDOG, enter, head, ok, response};

/// The limit under test.
const LIMIT: Duration = Duration::from_millis(150);

/// How late a limit may be on a machine that is busy with other tests.
const LATE: Duration = Duration::from_secs(5);

fn total() -> Timeouts {
    Timeouts::none().total(LIMIT)
}

fn connect() -> Timeouts {
    Timeouts::none().connect(LIMIT)
}

fn sock_connect() -> Timeouts {
    Timeouts::none().sock_connect(LIMIT)
}

fn sock_read() -> Timeouts {
    Timeouts::none().sock_read(LIMIT)
}

fn session_of(connector: &Connector) -> Session {
    Session::builder().connector(connector.clone()).build()
}

/// Runs `operation` to its timeout and checks that it came in time.
#[track_caller]
fn timed_out<T: std::fmt::Debug>(operation: impl FnOnce() -> Result<T, Error>) -> Error {
    let start = Instant::now();
    let result = operation();
    let taken = start.elapsed();
    let error = result.expect_err("a limit should have passed");
    assert_eq!(error.kind(), Kind::Timeout, "{error:#}");
    assert!(error.is_timeout());
    assert!(taken >= LIMIT, "fired after {taken:?}");
    assert!(taken < LIMIT + LATE, "fired after {taken:?}");
    error
}

#[track_caller]
fn assert_which(error: &Error, timeout: Timeout, phase: Phase) {
    assert_eq!(error.timeout(), Some(timeout), "{error:#}");
    assert_eq!(error.phase(), Some(phase), "{error:#}");
    assert!(error.to_string().contains("150ms"), "{error}");
}

/// A failed request leaves nothing behind, at the latest soon after.
#[track_caller]
fn assert_at_rest(connector: &Connector) {
    let start = Instant::now();
    loop {
        let ConnectorStats {
            in_use, waiting, ..
        } = connector.stats();
        if (in_use, waiting) == (0, 0) {
            return;
        }
        assert!(
            start.elapsed() < WATCHDOG,
            "{in_use} in use, {waiting} wait"
        );
        thread::yield_now();
    }
}

/// A peer that takes requests and says nothing until the gate opens.
fn silent(gate: &Gate) -> Peer {
    let gate = gate.clone();
    Peer::serve(move |_| {
        gate.wait();
        ok("late")
    })
}

#[test]
fn waiting_for_a_slot_counts() {
    // SPEC S11, T1, T2
    let gate = Gate::new();
    let peer = silent(&gate);
    let connector = Connector::builder().limit(1).build();
    let session = session_of(&connector);
    let holder = session.get(peer.url("/")).start_send();
    peer.wait_for_requests(1);
    for (limits, timeout, phase) in [
        (total(), Timeout::Total, Phase::Total),
        // Were the wait not counted, the wider one would pass.
        (connect().total(LATE), Timeout::Connect, Phase::PoolWait),
    ] {
        let waiter = session.get(peer.url("/")).timeouts(limits);
        let error = timed_out(|| waiter.send());
        assert_which(&error, timeout, phase);
        assert_eq!(error.is_connect(), timeout == Timeout::Connect);
        assert!(error.to_string().contains("connection slot"), "{error}");
        assert_eq!(connector.stats().waiting, 0);
    }
    assert_eq!(connector.stats().in_use, 1);
    gate.open();
    assert_eq!(holder.wait().unwrap().text().unwrap(), "late");
    assert_eq!(peer.request_count(), 1);
    assert_at_rest(&connector);
}

/// Never answers, and never drops the question either.
#[derive(Clone, Default)]
struct Mute(Arc<Mutex<Vec<Answer>>>);

impl Resolve for Mute {
    fn resolve(&self, _query: &Query, answer: Answer) {
        enter(&self.0).push(answer);
    }
}

/// Blocks its worker until the gate opens.
struct Stuck(Gate);

impl Resolve for Stuck {
    fn resolve(&self, _query: &Query, answer: Answer) {
        self.0.wait();
        answer.not_found();
    }
}

#[test]
fn a_resolver_that_never_answers_holds_nobody_beyond_the_limit() {
    // SPEC T1, T2: DNS waits obey every timeout.
    let gate = Gate::new();
    for stuck in [false, true] {
        let builder = Connector::builder();
        let connector = match stuck {
            true => builder.resolver(Stuck(gate.clone())).build(),
            false => builder.resolver(Mute::default()).build(),
        };
        let session = session_of(&connector);
        for (limits, timeout, phase) in [
            (total(), Timeout::Total, Phase::Total),
            (connect(), Timeout::Connect, Phase::Dns),
        ] {
            let request = session.get("http://mute.test/").timeouts(limits);
            let error = timed_out(|| request.send());
            assert_which(&error, timeout, phase);
            assert!(error.to_string().contains("host name"), "{error}");
            assert_at_rest(&connector);
        }
    }
    gate.open();
}

#[test]
fn an_address_that_does_not_answer_is_given_up() {
    // SPEC T1, T2, T3
    let Some(hole) = Blackhole::new() else {
        return println!("SKIPPED: this platform answers every connection attempt");
    };
    let connector = Connector::new();
    let session = session_of(&connector);
    for (limits, timeout, phase) in [
        (total(), Timeout::Total, Phase::Total),
        (connect(), Timeout::Connect, Phase::Connect),
        (sock_connect(), Timeout::SockConnect, Phase::Connect),
    ] {
        let url = format!("http://{}/", hole.address());
        let error = timed_out(|| session.get(url).timeouts(limits).send());
        assert_which(&error, timeout, phase);
        assert_eq!(error.is_connect(), timeout != Timeout::Total);
        if timeout == Timeout::SockConnect {
            assert_eq!(error.peer(), Some(hole.address()));
        }
        assert_at_rest(&connector);
    }
}

/// Two addresses for every name.
struct Both([Ipv4Addr; 2]);

impl Resolve for Both {
    fn resolve(&self, _query: &Query, answer: Answer) {
        answer.addresses(self.0.map(Into::into));
    }
}

#[test]
fn the_next_address_is_tried_when_one_does_not_answer() {
    // SPEC T3, C27: in turn after `sock_connect`, or beside it after a while.
    const OTHER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
    let Some(hole) = Blackhole::new() else {
        return println!("SKIPPED: this platform answers every connection attempt");
    };
    let port = hole.address().port();
    let Ok(listener) = TcpListener::bind((OTHER, port)) else {
        return println!("SKIPPED: no second loopback address");
    };
    let server = thread::spawn(move || {
        for _ in 0..2 {
            let (mut socket, _) = listener.accept()?;
            let mut request = [0; 1024];
            let _ = socket.read(&mut request)?;
            socket.write_all(&response("200 OK", &[("Connection", "close")], "other"))?;
        }
        std::io::Result::Ok(())
    });
    for (happy_eyeballs, limits) in [
        (None, sock_connect()),
        (Some(Duration::from_millis(50)), Timeouts::none()),
    ] {
        let connector = Connector::builder()
            .resolver(Both([Ipv4Addr::LOCALHOST, OTHER]))
            .happy_eyeballs(happy_eyeballs)
            .build();
        let session = session_of(&connector);
        let start = Instant::now();
        let response = session
            .get(format!("http://two.test:{port}/"))
            .timeouts(limits)
            .send()
            .unwrap();
        let taken = start.elapsed();
        assert!(taken >= happy_eyeballs.unwrap_or(LIMIT), "{taken:?}");
        assert!(taken < LATE, "{taken:?}");
        assert_eq!(
            response.remote_addr(),
            Some(SocketAddr::from((OTHER, port)))
        );
        assert_eq!(response.text().unwrap(), "other");
        assert_at_rest(&connector);
    }
    server.join().unwrap().unwrap();
}

#[cfg(feature = "tls")]
#[test]
fn a_handshake_that_does_not_go_on_is_given_up() {
    // SPEC T2, T3
    let peer = Peer::never_accepts();
    let connector = Connector::new();
    let session = session_of(&connector);
    for (limits, timeout, phase) in [
        (total(), Timeout::Total, Phase::Total),
        (connect(), Timeout::Connect, Phase::Tls),
        (sock_connect(), Timeout::SockConnect, Phase::Tls),
    ] {
        let url = peer.url("/").replace("http:", "https:");
        let error = timed_out(|| session.get(url).timeouts(limits).send());
        assert_which(&error, timeout, phase);
        assert_at_rest(&connector);
    }
}

#[test]
fn waiting_for_the_head_counts() {
    // SPEC T1, T4
    let gate = Gate::new();
    let peer = silent(&gate);
    let connector = Connector::new();
    let session = session_of(&connector);
    for (limits, timeout, phase) in [
        (total(), Timeout::Total, Phase::Total),
        (sock_read(), Timeout::SockRead, Phase::Head),
    ] {
        let request = session.get(peer.url("/")).timeouts(limits);
        let error = timed_out(|| request.send());
        assert_which(&error, timeout, phase);
        assert!(error.to_string().contains("response head"), "{error}");
        assert!(!error.is_connect());
        assert_eq!(error.peer(), Some(peer.address()));
        assert_at_rest(&connector);
        assert_eq!(connector.stats().idle, 0);
    }
    gate.open();
}

#[test]
fn a_gap_in_the_body_counts() {
    // SPEC T1, T4
    let gate = Gate::new();
    let at = gate.clone();
    let peer = Peer::start(move |conn| {
        conn.request()?;
        conn.write(head("200 OK", &[("Content-Length", "10")]))?;
        conn.write("half.")?;
        at.wait();
        Ok(())
    });
    let connector = Connector::new();
    let session = session_of(&connector);
    for (limits, timeout, phase) in [
        (total(), Timeout::Total, Phase::Total),
        (sock_read(), Timeout::SockRead, Phase::Body),
    ] {
        let request = session.get(peer.url("/")).timeouts(limits);
        // The limit began with the request, so the clock does too.
        let error = timed_out(|| {
            let mut response = request.send()?;
            assert_eq!(response.chunk()?.as_deref(), Some(&b"half."[..]));
            response.chunk()
        });
        assert_which(&error, timeout, phase);
        assert!(error.to_string().contains("response body"), "{error}");
        assert_at_rest(&connector);
    }
    gate.open();
}

/// A body of one byte after the other, each sent when the one before was read.
fn drip() -> (Peer, mpsc::Sender<()>) {
    let (read, next) = mpsc::channel();
    let next = Mutex::new(next);
    let peer = Peer::start(move |conn| {
        conn.request()?;
        conn.write(head("200 OK", &[("Transfer-Encoding", "chunked")]))?;
        while enter(&next).recv().is_ok() {
            conn.write("1\r\nx\r\n")?;
        }
        Ok(())
    });
    (peer, read)
}

#[test]
fn total_goes_on_while_a_body_drips() {
    // SPEC T1: every byte is in time for `sock_read`, the last one never comes.
    let (peer, read) = drip();
    let connector = Connector::new();
    let limits = Timeouts::none().sock_read(WATCHDOG);
    let request = session_of(&connector).get(peer.url("/"));
    // Said by itself it stands, though the other is longer (SPEC T7).
    let request = request.timeouts(limits).timeout(LIMIT);
    let mut bytes = 0;
    let error = timed_out(|| -> Result<(), Error> {
        let mut response = request.send()?;
        loop {
            // Fails only when the peer is gone, which the read then tells.
            let _ = read.send(());
            bytes += response.chunk()?.map_or(0, |chunk| chunk.len());
        }
    });
    assert_which(&error, Timeout::Total, Phase::Total);
    assert!(bytes > 1, "{bytes} bytes");
    drop(read);
    assert_at_rest(&connector);
}

#[test]
fn each_byte_resets_sock_read() {
    // SPEC T4: a body that takes twice the limit, with no gap near it.
    const SHORT: Duration = Duration::from_millis(600);
    let (peer, read) = drip();
    let session = Session::new();
    let limits = Timeouts::none().sock_read(SHORT);
    let mut response = session.get(peer.url("/")).timeouts(limits).send().unwrap();
    let start = Instant::now();
    while start.elapsed() < SHORT * 2 {
        read.send(()).unwrap();
        assert!(response.chunk().unwrap().is_some());
    }
}

#[test]
fn sock_read_stands_still_while_the_reader_is_the_slow_one() {
    // SPEC T4
    const BODY: usize = 8 * 1024 * 1024;
    let gate = Gate::new();
    let clock = silent(&gate);
    let peer = Peer::serve(|_| ok(vec![b'x'; BODY]));
    let session = Session::builder().read_buffer(16 * 1024).build();
    let limits = Timeouts::none().sock_read(LIMIT * 4);
    let slow = session.get(peer.url("/")).timeouts(limits).send().unwrap();
    // Another request's limit is the time this reader does nothing.
    let other = session.get(clock.url("/")).timeout(LIMIT * 8);
    assert_eq!(other.send().unwrap_err().kind(), Kind::Timeout);
    assert_eq!(slow.bytes().unwrap().len(), BODY);
    gate.open();
}

#[test]
fn hops_do_not_restart_the_total() {
    // SPEC D13
    let start = Instant::now();
    let peer = Peer::serve(move |_| match start.elapsed() < LATE {
        true => response("302 Found", &[("Location", "/")], ""),
        // A limit that each hop restarts would never pass.
        false => ok("the end"),
    });
    let connector = Connector::new();
    let request = session_of(&connector)
        .get(peer.url("/"))
        .redirects(RedirectPolicy::Limit(u32::MAX))
        .timeouts(total());
    let error = timed_out(|| request.send());
    assert_eq!(error.timeout(), Some(Timeout::Total));
    assert!(peer.request_count() > 2);
    assert_at_rest(&connector);
}

#[test]
fn the_sessions_limits_yield_to_the_requests() {
    // SPEC Q14, S10, T7
    let gate = Gate::new();
    let peer = silent(&gate);
    let session = Session::builder().timeouts(total()).build();
    let error = timed_out(|| session.get(peer.url("/")).send());
    assert_which(&error, Timeout::Total, Phase::Total);
    // Zero is no limit: this one outlives the session's.
    let unlimited = session
        .get(peer.url("/"))
        .timeout(Duration::ZERO)
        .start_send();
    let limited = session.get(peer.url("/")).start_send();
    assert_eq!(limited.wait().unwrap_err().kind(), Kind::Timeout);
    gate.open();
    assert_eq!(unlimited.wait().unwrap().text().unwrap(), "late");
}

#[test]
fn a_limit_that_does_not_pass_does_nothing() {
    // SPEC T1, T2, T3, T4: cleared when the connection comes home.
    let peer = Peer::serve(|_| ok("x"));
    let connector = Connector::new();
    let limits = Timeouts::none()
        .total(LIMIT * 4)
        .connect(LIMIT * 4)
        .sock_read(LIMIT * 4);
    let session = session_of(&connector);
    let first = session.get(peer.url("/")).timeouts(limits).send().unwrap();
    assert_eq!(first.text().unwrap(), "x");
    let gate = Gate::new();
    let clock = silent(&gate);
    let other = session.get(clock.url("/")).timeout(LIMIT * 6);
    assert_eq!(other.send().unwrap_err().kind(), Kind::Timeout);
    assert_eq!(connector.stats().idle, 1);
    assert!(session.get(peer.url("/")).send().unwrap().is_reused());
    gate.open();
}

#[test]
fn wait_for_gives_up_waiting_and_not_the_request() {
    let gate = Gate::new();
    let peer = silent(&gate);
    let mut pending = Session::new().get(peer.url("/")).start_send();
    assert!(pending.try_take().is_none());
    let start = Instant::now();
    assert!(pending.wait_for(LIMIT).is_none());
    assert!(start.elapsed() >= LIMIT);
    assert!(pending.wait_for(Duration::ZERO).is_none());
    gate.open();
    let response = pending.wait_for(WATCHDOG).expect("in time").unwrap();
    assert_eq!(response.text().unwrap(), "late");
    assert_eq!(peer.request_count(), 1);
    // What was taken is gone, and says so.
    let again = pending.wait_for(WATCHDOG).expect("at once");
    assert_eq!(again.unwrap_err().kind(), Kind::Internal);
}

#[test]
fn try_take_never_blocks_and_takes_once() {
    let gate = Gate::new();
    let peer = silent(&gate);
    let mut pending = Session::new().get(peer.url("/")).start_send();
    peer.wait_for_requests(1);
    assert!(pending.try_take().is_none());
    gate.open();
    let start = Instant::now();
    let response = loop {
        if let Some(result) = pending.try_take() {
            break result.unwrap();
        }
        assert!(start.elapsed() < WATCHDOG, "no response");
        thread::yield_now();
    };
    assert_eq!(response.status(), 200);
    assert_eq!(
        pending.try_take().unwrap().unwrap_err().kind(),
        Kind::Internal
    );
    // Wrong from the start: there at once.
    let mut wrong = Session::new().get("no url").start_send();
    let error = wrong.try_take().unwrap().unwrap_err();
    assert_eq!(error.kind(), Kind::InvalidUrl);
}

#[test]
fn the_longest_durations_are_no_limit() {
    // SPEC T7, C1, C22: what no clock can hold is not a panic.
    const ALWAYS: Duration = Duration::MAX;
    struct Here;

    impl Resolve for Here {
        fn resolve(&self, _query: &Query, answer: Answer) {
            answer.addresses([Ipv4Addr::LOCALHOST.into()]);
        }
    }

    let peer = Peer::serve(|_| ok("x"));
    let connector = Connector::builder()
        .keepalive_timeout(ALWAYS)
        .dns_ttl(ALWAYS)
        .happy_eyeballs(ALWAYS)
        .resolver(Here)
        .build();
    let limits = Timeouts::new()
        .total(ALWAYS)
        .connect(ALWAYS)
        .sock_connect(ALWAYS)
        .sock_read(ALWAYS);
    let session = session_of(&connector);
    for reused in [false, true] {
        let request = session.get(peer.url_for("here.test", "/")).timeouts(limits);
        let response = request.start_send().wait_for(ALWAYS).unwrap().unwrap();
        assert_eq!(response.is_reused(), reused);
        assert_eq!(response.text().unwrap(), "x");
    }
}

#[test]
fn the_shortest_limit_fails_at_once() {
    // SPEC T1, T2
    let peer = Peer::serve(|_| ok("x"));
    let short = Duration::from_nanos(1);
    for (warm, caller_drives) in [(false, false), (true, false), (true, true)] {
        let caller_drives = caller_drives && cfg!(unix);
        for _ in 0..100 {
            let connector = Connector::builder().caller_drives(caller_drives).build();
            let session = session_of(&connector);
            let before = peer.request_count();
            if warm {
                // Read, or the reactor is busy with the rest of it.
                session.get(peer.url("/")).send().unwrap().text().unwrap();
            }
            let request = session.get(peer.url("/"));
            let error = request.timeout(short).send().unwrap_err();
            assert_eq!(error.timeout(), Some(Timeout::Total));
            connector.close();
            assert_eq!(peer.request_count(), before + usize::from(warm));
        }
    }
}
