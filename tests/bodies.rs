//! Request bodies that are not all in memory: where they come from, how they
//! are framed, and what happens when they fail, block or come too late.

mod support;

use std::io::{self, Read, Write};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;
use std::{fs, thread};

use miohttp::{Body, Kind, Phase, Response, Session, Timeout, Version};
use support::{Gate, Peer, Request, WATCHDOG, head, ok, response};

/// A peer that echoes every request's body.
fn echo() -> Peer {
    Peer::serve(|request| ok(&request.body))
}

/// Sends a body, by either driver, and gives what arrived.
fn arrived(body: impl Into<Body>) -> Request {
    let peer = echo();
    let response = Session::new().post(peer.url("/")).body(body).send();
    let response = response.expect("the request is answered");
    let request = peer.requests().pop().expect("the peer saw it");
    assert_eq!(response.bytes().expect("the echo"), request.body);
    request
}

/// A request that must fail while it is sent.
#[track_caller]
fn failed(body: impl Into<Body>) -> miohttp::Error {
    let peer = Peer::start(|conn| {
        let rest = conn.wait_for_close()?;
        let rest = String::from_utf8_lossy(&rest);
        assert!(!rest.ends_with("\r\n0\r\n\r\n"), "it was ended: {rest}");
        Ok(())
    });
    let sent = Session::new().post(peer.url("/")).body(body).send();
    let error = sent.expect_err("half a body");
    assert!(error.url().is_some(), "{error:?}");
    peer.finish();
    error
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length as u32).map(|n| (n % 251) as u8).collect()
}

/// A file of its own for each test; removed at the end.
struct Temporary(std::path::PathBuf);

impl Temporary {
    fn new(name: &str, content: &[u8]) -> Self {
        let name = format!("miohttp-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::write(&path, content).expect("a temporary file");
        Self(path)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Gives its pieces one a read, and waits where there is none; ends when the
/// sender is gone. Tells of each read and of its own end.
struct Slow {
    pieces: Receiver<io::Result<Vec<u8>>>,
    told: Sender<String>,
}

impl Slow {
    fn new() -> (Sender<io::Result<Vec<u8>>>, Receiver<String>, Self) {
        let (give, pieces) = mpsc::channel();
        let (told, tells) = mpsc::channel();
        (give, tells, Self { pieces, told })
    }

    fn tell(&self, what: &str) {
        let thread = thread::current();
        let name = thread.name().unwrap_or("?");
        let _ = self.told.send(format!("{what} on {name}"));
    }
}

impl Read for Slow {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.tell("read");
        let Ok(piece) = self.pieces.recv() else {
            return Ok(0);
        };
        let piece = piece?;
        into[..piece.len()].copy_from_slice(&piece);
        Ok(piece.len())
    }
}

impl Drop for Slow {
    fn drop(&mut self) {
        self.tell("dropped");
    }
}

#[track_caller]
fn next(tells: &Receiver<String>) -> String {
    tells.recv_timeout(WATCHDOG).expect("it tells")
}

#[test]
fn readers_and_iterators_are_sent_in_chunks() {
    // SPEC B6, B8, H5
    let large = pattern(3_000_000);
    let request = arrived(Body::reader(io::Cursor::new(large.clone())));
    assert_eq!(request.header("transfer-encoding"), Some("chunked"));
    assert_eq!(request.header("content-length"), None);
    assert_eq!(
        request.header("content-type"),
        Some("application/octet-stream")
    );
    assert!(request.body == large);

    let pieces: Vec<String> = (0..10_000).map(|n| format!("{n}\n")).collect();
    let whole = pieces.concat();
    let request = arrived(Body::iter(pieces));
    assert!(request.body == whole.as_bytes());
    assert_eq!(request.header("transfer-encoding"), Some("chunked"));
    // How many are joined depends on how often their thread is ahead of the
    // connection; of so many some always are.
    assert!(
        request.chunks.len() < 10_000,
        "a chunk for each small piece"
    );

    for nothing in [Body::reader(io::empty()), Body::iter([""; 3])] {
        let request = arrived(nothing);
        assert_eq!(request.header("transfer-encoding"), Some("chunked"));
        assert_eq!(request.body, b"");
    }
}

#[test]
fn a_length_that_is_known_is_announced() {
    // SPEC B8, H5
    let large = pattern(1_000_000);
    let reader = io::Cursor::new(large.clone());
    let request = arrived(Body::sized_reader(reader, large.len() as u64));
    assert_eq!(request.header("content-length"), Some("1000000"));
    assert_eq!(request.header("transfer-encoding"), None);
    assert!(request.body == large);

    // By the caller, for a reader that does not know.
    let peer = echo();
    let session = Session::new();
    let post = |length: &str| session.post(peer.url("/")).header("content-length", length);
    let sent = post("5").body(Body::reader(&b"12345"[..])).send();
    assert_eq!(sent.and_then(Response::text).expect("an echo"), "12345");
    assert_eq!(peer.requests()[0].header("content-length"), Some("5"));
    let short = post("6").body(Body::reader(&b"12345"[..])).send();
    assert_eq!(short.expect_err("short").kind(), Kind::InvalidRequest);
    let beside = post("6").body(Body::sized_reader(&b"12345"[..], 5)).send();
    let beside = beside.expect_err("a contradiction");
    assert_eq!(
        (beside.kind(), beside.phase()),
        (Kind::InvalidRequest, Some(Phase::Request))
    );
}

#[test]
fn a_reader_that_is_shorter_or_longer_than_announced_fails_its_request() {
    // SPEC H5, B8
    for (given, announced) in [(0, 5), (4, 5), (6, 5), (200_000, 100_000), (1, 1 << 40)] {
        let body = Body::sized_reader(io::Cursor::new(pattern(given)), announced);
        let error = failed(body);
        assert_eq!(error.kind(), Kind::InvalidRequest, "{given} of {announced}");
        assert_eq!(error.phase(), Some(Phase::Send));
        assert!(!error.is_retryable());
    }
}

#[test]
fn http_1_0_has_no_body_of_unknown_length() {
    // SPEC H5
    let peer = echo();
    let post = || {
        let session = Session::new();
        session.post(peer.url("/")).version(Version::HTTP_10)
    };
    let error = post().body(Body::reader(io::empty())).send();
    let error = error.expect_err("chunks in HTTP/1.0");
    assert_eq!(error.kind(), Kind::InvalidRequest);
    assert_eq!(peer.connections(), 0);
    let sized = post().body(Body::sized_reader(&b"abc"[..], 3)).send();
    assert_eq!(sized.and_then(Response::text).expect("an echo"), "abc");
}

#[test]
fn a_file_is_sent_by_its_name_and_from_where_it_stands() {
    // SPEC B5
    let content = pattern(300_000);
    let file = Temporary::new("photo.JPG", &content);
    let request = arrived(Body::file(&file.0));
    assert_eq!(request.header("content-type"), Some("image/jpeg"));
    assert_eq!(request.header("content-length"), Some("300000"));
    assert!(request.body == content);

    let mut open = fs::File::open(&file.0).expect("it is there");
    let mut start = [0; 1000];
    open.read_exact(&mut start).expect("its beginning");
    let request = arrived(open);
    assert_eq!(
        request.header("content-type"),
        Some("application/octet-stream")
    );
    assert_eq!(request.header("content-length"), Some("299000"));
    assert!(request.body == content[1000..]);

    // SPEC H6: nothing is said of the type of nothing.
    let empty = Temporary::new("empty.png", b"");
    let request = arrived(Body::file(&empty.0));
    assert_eq!(request.header("content-length"), Some("0"));
    assert_eq!(request.header("content-type"), None);
}

#[test]
fn a_file_that_cannot_be_sent_is_an_error_at_the_verb() {
    // SPEC B5
    let peer = echo();
    let missing = std::env::temp_dir().join("miohttp has no such file");
    for (path, kind) in [
        (missing, io::ErrorKind::NotFound),
        (std::env::temp_dir(), io::ErrorKind::IsADirectory),
    ] {
        let sent = Session::new().post(peer.url("/")).body(Body::file(path));
        let error = sent.send().expect_err("no file");
        assert_eq!(error.kind(), Kind::Io);
        assert_eq!(error.phase(), Some(Phase::Request));
        assert!(!error.is_retryable() && !error.is_connection());
        let cause = std::error::Error::source(&error).expect("a cause");
        let cause = cause.downcast_ref::<io::Error>().expect("the system's");
        assert_eq!(cause.kind(), kind);
    }
    assert_eq!(peer.connections(), 0);
}

#[test]
fn a_file_that_changes_its_length_meanwhile_fails_its_request() {
    // SPEC B5, H5
    for length in [2_000, 4_000] {
        let name = format!("changes-{length}");
        let file = Temporary::new(&name, &pattern(3_000));
        let body = Body::file(&file.0);
        fs::write(&file.0, pattern(length)).expect("another length");
        let error = failed(body);
        assert_eq!(error.kind(), Kind::InvalidRequest, "{length}");
        assert_eq!(error.phase(), Some(Phase::Send));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_is_closed_when_its_request_is_over() {
    // SPEC B5
    let file = Temporary::new("closed", &pattern(100_000));
    let path = file.0.canonicalize().expect("it is there");
    let is_open = || {
        let open = fs::read_dir("/proc/self/fd").expect("what is open here");
        let mut open = open.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
        open.any(|target| target == path)
    };
    let body = Body::file(&file.0);
    assert!(is_open(), "from the start");
    arrived(body);
    let start = std::time::Instant::now();
    while is_open() {
        assert!(start.elapsed() < WATCHDOG, "it is still open");
        thread::yield_now();
    }
}

#[test]
fn a_source_that_fails_fails_its_request_with_its_own_error() {
    // SPEC B8
    struct Broken(bool);
    impl Read for Broken {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            if std::mem::replace(&mut self.0, true) {
                return Err(io::Error::from_raw_os_error(5));
            }
            into[..4].copy_from_slice(b"half");
            Ok(4)
        }
    }
    let error = failed(Body::reader(Broken(false)));
    assert_eq!((error.kind(), error.phase()), (Kind::Io, Some(Phase::Send)));
    let cause = std::error::Error::source(&error).expect("a cause");
    let cause = cause.downcast_ref::<io::Error>().expect("the reader's");
    assert_eq!(cause.raw_os_error(), Some(5));
    assert!(!error.is_retryable(), "no network fault");

    let items = [Ok("a"), Err("no more paper"), Ok("b")];
    let error = failed(Body::try_iter(items));
    assert_eq!(error.kind(), Kind::Io);
    assert!(format!("{error:#}").contains("no more paper"), "{error:#}");
}

#[test]
fn a_source_that_panics_fails_its_request_alone() {
    // SPEC B8
    struct Lies;
    impl Read for Lies {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            Ok(into.len() + 1)
        }
    }
    let peer = echo();
    let session = Session::new();
    let other = Slow::new();
    let pending = session.post(peer.url("/")).body(Body::reader(other.2));
    let pending = pending.start_send();
    assert_eq!(next(&other.1), "read on miohttp-body");
    let panics = Body::iter((0..3).map(|n| match n {
        2 => panic!("an iterator that panics, as the test wants it to"),
        n => n.to_string(),
    }));
    for body in [panics, Body::reader(Lies)] {
        let error = failed(body);
        assert_eq!((error.kind(), error.phase()), (Kind::Io, Some(Phase::Send)));
    }
    other.0.send(Ok(b"unharmed".to_vec())).expect("it reads");
    drop(other.0);
    let echo = pending.wait().and_then(Response::text);
    assert_eq!(echo.expect("the echo"), "unharmed");
}

#[test]
fn a_started_request_goes_on_with_nobody_waiting() {
    // SPEC B6
    let peer = echo();
    let (give, tells, slow) = Slow::new();
    let pending = Session::new()
        .post(peer.url("/"))
        .body(Body::reader(slow))
        .start_send();
    assert_eq!(next(&tells), "read on miohttp-body");
    give.send(Ok(b"one".to_vec())).expect("it reads");
    assert_eq!(next(&tells), "read on miohttp-body");
    drop(give);
    peer.wait_for_requests(1);
    assert_eq!(next(&tells), "dropped on miohttp-body");
    assert_eq!(peer.requests()[0].text(), "one");
    assert_eq!(pending.wait().expect("an answer").status(), 200);
}

#[test]
fn an_early_answer_is_delivered_while_the_source_blocks() {
    // SPEC B9
    let reads = Gate::new();
    let gate = reads.clone();
    let peer = Peer::start(move |conn| {
        conn.request_head()?;
        gate.wait();
        conn.write(response("413 Content Too Large", &[], "too much"))?;
        conn.wait_for_close()?;
        Ok(())
    });
    let (give, tells, slow) = Slow::new();
    let request = Session::new().post(peer.url("/")).body(Body::reader(slow));
    let pending = request.start_send();
    assert_eq!(next(&tells), "read on miohttp-body");
    reads.open();
    let answer = pending.wait().expect("the early answer");
    assert_eq!(answer.status(), 413);
    assert_eq!(answer.text().expect("its body"), "too much");
    // It ends at its next return.
    give.send(Ok(b"late".to_vec())).expect("it still reads");
    assert_eq!(next(&tells), "dropped on miohttp-body");
    peer.finish();
}

#[test]
fn limits_and_cancelling_do_not_wait_for_the_source() {
    // SPEC T1, T4
    let silent = || {
        Peer::start(|conn| {
            conn.wait_for_close()?;
            Ok(())
        })
    };
    let peer = silent();
    let (give, tells, slow) = Slow::new();
    let request = Session::new().post(peer.url("/")).body(Body::reader(slow));
    let error = request.timeout(Duration::from_millis(50)).send();
    assert_eq!(error.expect_err("late").timeout(), Some(Timeout::Total));
    peer.finish();
    drop(give);
    // The limit may have passed before the first read.
    while next(&tells) != "dropped on miohttp-body" {}

    for cancels in [true, false] {
        let peer = silent();
        let (give, tells, slow) = Slow::new();
        let session = Session::new();
        let request = session.post(peer.url("/")).body(Body::reader(slow));
        let pending = request.start_send();
        assert_eq!(next(&tells), "read on miohttp-body");
        match cancels {
            true => {
                pending.cancel_handle().cancel();
                let error = pending.wait().expect_err("cancelled");
                assert_eq!(error.kind(), Kind::Cancelled);
            }
            false => drop(pending),
        }
        peer.finish();
        drop(give);
        assert_eq!(next(&tells), "dropped on miohttp-body");
    }
}

/// The last holder of a request is the reactor more often than not.
#[test]
fn a_source_nobody_read_is_not_dropped_on_the_reactors_thread() {
    let (give, tells, slow) = Slow::new();
    let url = format!("http://{}/", support::refusing_address());
    let pending = Session::new().post(url).body(Body::reader(slow));
    let pending = pending.start_send();
    let dropped = next(&tells);
    assert!(dropped.starts_with("dropped on"), "{dropped}");
    assert_ne!(dropped, "dropped on miohttp");
    assert_eq!(pending.wait().expect_err("refused").kind(), Kind::Connect);
    drop(give);
}

#[test]
fn a_redirect_that_keeps_the_body_sends_it_again_if_it_can() {
    // SPEC D10
    let peer = Peer::serve(|request| match request.target.as_str() {
        "/307" => head(
            "307 Temporary Redirect",
            &[("Location", "/there"), ("Content-Length", "0")],
        ),
        "/303" => head(
            "303 See Other",
            &[("Location", "/there"), ("Content-Length", "0")],
        ),
        _ => ok(&request.body),
    });
    let session = Session::new();
    let content = pattern(100_000);
    let file = Temporary::new("replayed.bin", &content);
    let mut open = fs::File::open(&file.0).expect("it is there");
    open.read_exact(&mut [0; 100]).expect("its beginning");
    let sent = session.put(peer.url("/307")).body(open).send();
    assert!(sent.and_then(Response::bytes).expect("an echo") == content[100..]);

    let reader = || Body::reader(&b"once"[..]);
    assert!(!reader().is_replayable() && Body::file(&file.0).is_replayable());
    let refused = session.put(peer.url("/307")).body(reader()).send();
    let error = refused.expect_err("it is spent");
    assert_eq!(error.kind(), Kind::BodyNotReplayable);
    assert_eq!(error.phase(), Some(Phase::Redirect));
    assert_eq!(error.status().map(|status| status.as_u16()), Some(307));
    assert!(error.url().is_some_and(|url| url.path() == "/307"));
    assert!(!error.is_retryable());

    // Without the body there is nothing to send again.
    let followed = session.post(peer.url("/303")).body(reader()).send();
    assert_eq!(followed.expect("followed").url().path(), "/there");
}

#[test]
fn a_body_nobody_has_begun_can_follow_a_redirect() {
    // SPEC D10, Q11
    let peer = Peer::start(|conn| {
        let mut request = conn.request_head()?;
        if request.target == "/" {
            return conn.write(head(
                "307 Temporary Redirect",
                &[("Location", "/there"), ("Content-Length", "0")],
            ));
        }
        conn.write("HTTP/1.1 100 Continue\r\n\r\n")?;
        conn.read_body(&mut request)?;
        conn.write(ok(&request.body))
    });
    let request = Session::new().put(peer.url("/"));
    let request = request.header("expect", "100-continue");
    let sent = request.body(Body::reader(&b"once"[..])).send();
    assert_eq!(sent.and_then(Response::text).expect("an echo"), "once");
}

#[test]
fn a_body_shared_by_two_requests_is_sent_by_one() {
    // SPEC B8
    let peer = echo();
    let session = Session::new();
    let body = Body::reader(&b"once"[..]);
    let post = || session.post(peer.url("/")).body(body.clone()).send();
    assert_eq!(post().and_then(Response::text).expect("an echo"), "once");
    let error = post().expect_err("it is spent");
    assert_eq!(error.kind(), Kind::BodyNotReplayable);
}

#[test]
fn a_channel_sends_what_it_is_given() {
    // SPEC B8
    let peer = echo();
    let (mut sender, body) = Body::channel();
    let session = Session::new();
    let pending = session.post(peer.url("/")).body(body).start_send();
    let mut whole = Vec::new();
    for n in 0..5_000_u32 {
        let line = format!("{n}\n");
        whole.extend_from_slice(line.as_bytes());
        sender.send(line).expect("it is taken");
    }
    let large = pattern(1_000_000);
    whole.extend_from_slice(&large);
    sender.write_all(&large).expect("it is taken");
    sender = sender.start_send("tail").wait().expect("it is taken");
    whole.extend_from_slice(b"tail");
    assert!(!sender.is_over());
    sender.finish().expect("the end is taken");
    let echo = pending.wait().and_then(Response::bytes);
    assert!(echo.expect("the echo") == whole);
    let request = peer.requests().pop().expect("one request");
    assert_eq!(request.header("transfer-encoding"), Some("chunked"));
}

#[test]
fn a_channel_holds_up_its_sender_while_the_peer_does_not_read() {
    // SPEC B8
    let reads = Gate::new();
    let gate = reads.clone();
    let peer = Peer::start(move |conn| {
        let mut request = conn.request_head()?;
        gate.wait();
        conn.read_body(&mut request)?;
        conn.write(ok(request.body.len().to_string()))
    });
    let (mut sender, body) = Body::channel();
    let session = Session::new();
    let pending = session.post(peer.url("/")).body(body).start_send();
    let piece = miohttp::Bytes::from(vec![b'x'; 64 * 1024]);
    let mut sent = 0;
    // Whatever the system buffers, it is not without bound.
    let mut refusals = 0;
    while refusals < 50 {
        match sender.try_send(piece.clone()).expect("it is open") {
            None => (sent, refusals) = (sent + piece.len(), 0),
            Some(back) => {
                assert_eq!(back.len(), piece.len());
                refusals += 1;
                thread::yield_now();
            }
        }
        assert!(sent < 1 << 30, "nothing holds it up");
    }
    reads.open();
    sender.send(piece.clone()).expect("there is room again");
    sender.finish().expect("the end is taken");
    let length = pending.wait().and_then(Response::text).expect("an answer");
    assert_eq!(length, (sent + piece.len()).to_string());
}

#[test]
fn a_sender_that_gives_up_fails_its_request() {
    // SPEC B8
    let (mut sender, body) = Body::channel();
    let dropped = thread::spawn(move || {
        sender.send("half").expect("it is taken");
        drop(sender);
    });
    let error = failed(body);
    assert_eq!((error.kind(), error.phase()), (Kind::Io, Some(Phase::Send)));
    dropped.join().expect("no panic");

    let (mut sender, body) = Body::channel();
    let aborted = thread::spawn(move || {
        sender.send("half").expect("it is taken");
        sender.abort("the disk is gone");
    });
    let error = failed(body);
    assert_eq!((error.kind(), error.phase()), (Kind::Io, Some(Phase::Send)));
    assert!(format!("{error:#}").contains("the disk is gone"));
    aborted.join().expect("no panic");
}

#[test]
fn a_sender_learns_that_its_request_is_over() {
    // SPEC B8, B9
    let peer = Peer::start(|conn| {
        conn.request_head()?;
        conn.write(response("403 Forbidden", &[], "no"))?;
        conn.wait_for_close()?;
        Ok(())
    });
    let session = Session::new();
    let (mut sender, body) = Body::channel();
    let answer = session.post(peer.url("/")).body(body).send();
    assert_eq!(answer.expect("the early answer").status(), 403);
    assert!(sender.is_over());
    let error = sender.send("more").expect_err("over");
    assert_eq!(
        (error.kind(), error.phase()),
        (Kind::Write, Some(Phase::Send))
    );
    assert!(sender.try_send("more").is_err());
    assert!(sender.write_all(b"more").is_err());
    assert_eq!(sender.finish().expect_err("over").kind(), Kind::Write);

    // One that waits for room is told, too.
    let peer = Peer::start(|conn| {
        conn.wait_for_close()?;
        Ok(())
    });
    let (mut sender, body) = Body::channel();
    let pending = session.post(peer.url("/")).body(body).start_send();
    let waits = thread::spawn(move || {
        let piece = miohttp::Bytes::from(vec![b'x'; 1 << 20]);
        loop {
            if let Err(error) = sender.send(piece.clone()) {
                return error;
            }
        }
    });
    peer.wait_for_connections(1);
    drop(pending);
    assert_eq!(waits.join().expect("no panic").kind(), Kind::Write);

    // A body that no request carries.
    let (mut sender, body) = Body::channel();
    drop(body);
    assert_eq!(sender.send("x").expect_err("over").kind(), Kind::Write);
}

#[test]
fn progress_is_told_on_the_thread_that_reads() {
    let peer = echo();
    let content = pattern(500_000);
    let file = Temporary::new("progress.bin", &content);
    let (mut sender, channel) = Body::channel();
    let bodies = [
        (Body::from(content.clone()), Some(500_000)),
        (Body::file(&file.0), Some(500_000)),
        (Body::reader(io::Cursor::new(content.clone())), None),
        (channel, None),
    ];
    let piece = content.clone();
    let feeder = thread::spawn(move || {
        sender.send(piece).expect("it is taken");
        sender.finish().expect("it is taken");
    });
    for (body, total) in bodies {
        let (tell, told) = mpsc::channel();
        let replayable = body.is_replayable();
        let body = body.on_progress(move |progress| {
            let on = thread::current().name().map(str::to_owned);
            let _ = tell.send((progress, on));
        });
        assert_eq!(body.length(), total);
        assert_eq!(body.is_replayable(), replayable);
        let sent = Session::new().post(peer.url("/")).body(body).send();
        assert!(sent.and_then(Response::bytes).expect("an echo") == content);
        let mut before = 0;
        for (progress, on) in told {
            assert_eq!(progress.total, total);
            assert!(progress.bytes > before && progress.bytes <= 500_000);
            before = progress.bytes;
            assert_eq!(on.as_deref(), Some("miohttp-body"));
        }
        assert_eq!(before, 500_000, "the last piece counts");
    }
    feeder.join().expect("no panic");
    let types = peer.requests();
    let first = types[0].header("content-type");
    assert_eq!(first, Some("application/octet-stream"));
    assert_eq!(types[0].header("content-length"), Some("500000"));

    let panics = Body::text("text").on_progress(|_| panic!("as the test wants it to"));
    assert_eq!(failed(panics).kind(), Kind::Io);
}

#[test]
fn many_bodies_in_the_making_at_once() {
    // SPEC B6
    let peer = echo();
    let session = Session::new();
    let bodies: Vec<Vec<u8>> = (0..40).map(|n| pattern(10_000 * n)).collect();
    let pending: Vec<_> = bodies
        .iter()
        .map(|body| {
            let body = Body::reader(io::Cursor::new(body.clone()));
            let request = session.put(peer.url("/")).body(body).start_send();
            request.and_then(Response::start_bytes)
        })
        .collect();
    for (result, body) in miohttp::wait_all(pending).into_iter().zip(&bodies) {
        assert!(result.expect("an echo") == *body);
    }
}

#[cfg(feature = "gzip")]
#[test]
fn a_reader_is_compressed_while_it_is_sent() {
    // SPEC Q9
    let peer = echo();
    let (give, tells, slow) = Slow::new();
    let request = Session::new().post(peer.url("/")).body(Body::reader(slow));
    let pending = request.compress(miohttp::Encoding::Gzip).start_send();
    for _ in 0..3 {
        assert_eq!(next(&tells), "read on miohttp-body");
        give.send(Ok(pattern(10_000))).expect("it reads");
    }
    drop(give);
    assert_eq!(pending.wait().expect("an answer").status(), 200);
    let request = peer.requests().pop().expect("one request");
    assert_eq!(request.header("content-encoding"), Some("gzip"));
    assert_eq!(request.header("transfer-encoding"), Some("chunked"));
    assert!(request.body.len() < 10_000);
    let mut plain = Vec::new();
    let mut decoder = flate2::read::GzDecoder::new(&request.body[..]);
    decoder.read_to_end(&mut plain).expect("gzip");
    assert!(plain == pattern(10_000).repeat(3));

    let broken = [Ok("a"), Err("no more paper")];
    let peer = echo();
    let request = Session::new()
        .post(peer.url("/"))
        .body(Body::try_iter(broken));
    let error = request.compress(miohttp::Encoding::Gzip).send();
    assert_eq!(error.expect_err("half a body").kind(), Kind::Io);
}

#[test]
fn text_goes_out_in_the_charset_that_is_announced() {
    // SPEC B2
    let peer = echo();
    let post = |charset: &str, body: Body| {
        let announced = format!("text/html; charset={charset}");
        let request = Session::new().post(peer.url("/"));
        let sent = request.header("content-type", announced).body(body).send();
        sent.and_then(Response::bytes)
    };
    let text = || Body::text("grüße");
    assert_eq!(post("utf-8", text()).expect("UTF-8"), "grüße");
    let latin = post("ISO-8859-1", text());
    match cfg!(feature = "charset") {
        true => assert_eq!(latin.expect("it fits"), &b"gr\xfc\xdfe"[..]),
        false => assert_eq!(latin.expect_err("unknown").kind(), Kind::InvalidRequest),
    }
    let watched = post("ISO-8859-1", text().on_progress(|_| {}));
    for refused in [post("us-ascii", text()), post("none such", text()), watched] {
        let error = refused.expect_err("it would be read as something else");
        assert_eq!(error.kind(), Kind::InvalidRequest);
        assert_eq!(error.phase(), Some(Phase::Request));
    }
    // Bytes are what they are.
    let bytes = post("ISO-8859-1", Body::bytes("grüße"));
    assert_eq!(bytes.expect("as they are"), "grüße");
}

#[cfg(feature = "tls")]
#[test]
fn bodies_in_the_making_go_over_tls() {
    // SPEC B6, B9
    let peer = Peer::serve_tls(support::TlsOptions::default(), |request| ok(&request.body));
    let content = pattern(1_500_000);
    let reader = Body::reader(io::Cursor::new(content.clone()));
    let tls = miohttp::TlsConfig::new().add_root_pem(support::tls::ca_pem().as_bytes());
    let request = Session::new().post(peer.url("/")).body(reader);
    let sent = request.tls(&tls.expect("a root")).send();
    let sent = sent.and_then(Response::bytes);
    assert!(sent.expect("an echo") == content);
}
