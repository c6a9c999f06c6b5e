//! Server-sent events: what makes one, when the stream is asked for again, and
//! what ends it.

mod support;

use std::io;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use miohttp::{Error, Event, Kind, Session};
use support::{Gate, Peer, PeerConn, Request, head, response};

const STREAM: (&str, &str) = ("Content-Type", "text/event-stream");

/// A stream that ends with the connection.
fn stream(conn: &mut PeerConn, events: &str) -> io::Result<()> {
    conn.write(head("200 OK", &[STREAM]))?;
    conn.write(events)?;
    conn.shutdown_write()
}

fn no_content() -> Vec<u8> {
    head("204 No Content", &[])
}

/// A peer that answers in turn, each on a connection of its own.
fn in_turn(answers: impl IntoIterator<Item = &'static str>, last: Vec<u8>) -> Peer {
    let mut scripts: Vec<support::peer::Script> = Vec::new();
    for answer in answers {
        scripts.push(Box::new(move |conn| {
            conn.request()?;
            stream(conn, answer)
        }));
    }
    scripts.push(Box::new(move |conn| {
        conn.request()?;
        conn.write(last)?;
        conn.shutdown_write()
    }));
    Peer::scripts(scripts)
}

fn data(events: impl Iterator<Item = Result<Event, Error>>) -> Vec<String> {
    events
        .map(|event| event.expect("an event").into_data())
        .collect()
}

#[test]
fn events_come_as_they_are_sent() {
    let gate = Gate::new();
    let at = gate.clone();
    let peer = Peer::start(move |conn| {
        conn.request()?;
        conn.write(head(
            "200 OK",
            &[("Content-Type", "Text/Event-Stream; charset=utf-8")],
        ))?;
        conn.write(
            "\u{feff}: hello\nevent: add\nid: 7\ndata: one\ndata: two\n\ndata: three\r\n\r",
        )?;
        at.wait();
        conn.write("\nretry: 1\r\rdata:\u{fc}\n\ndata: never ended\n")?;
        conn.shutdown_write()?;
        Ok(())
    });
    let session = Session::new();
    let mut events = session.events(peer.url("/events")).retries(0);
    let event = events.next().expect("one").expect("an event");
    assert_eq!(
        (event.event(), event.data(), event.id()),
        ("add", "one\ntwo", "7")
    );
    // This one is complete, though its second line end is half there.
    let event = events.next().expect("one").expect("an event");
    assert_eq!(
        (event.event(), event.data(), event.id()),
        ("message", "three", "7")
    );
    gate.open();
    let event = events.next().expect("one").expect("an event");
    assert_eq!(event.into_data(), "\u{fc}");
    let request: &Request = &peer.requests()[0];
    assert_eq!(request.header("accept"), Some("text/event-stream"));
    assert_eq!(request.header("cache-control"), Some("no-store"));
    assert_eq!(request.header("last-event-id"), None);
}

#[test]
fn a_stream_that_ends_is_asked_for_again_behind_its_last_event() {
    let peer = in_turn(
        [
            "retry: 1\n\ndata: a\nid: 1\n\ndata: lost",
            "data: b\n\nid: \u{fc} 2\n\ndata: c\n\n",
            "",
            "id\ndata: d\n\n",
            "data: e\n\n",
        ],
        no_content(),
    );
    let session = Session::new();
    let events = session.events(peer.url("/"));
    assert_eq!(data(events.last_event_id("0")), ["a", "b", "c", "d", "e"]);
    let ids: Vec<_> = peer
        .requests()
        .iter()
        .map(|request| request.header("last-event-id").map(str::to_owned))
        .collect();
    let second = Some("\u{fc} 2");
    let want = [Some("0"), Some("1"), second, second, None, None];
    assert_eq!(ids, want.map(|id| id.map(str::to_owned)));
}

#[test]
fn what_breaks_off_or_fails_for_now_is_tried_again() {
    let chunked = head("200 OK", &[STREAM, ("Transfer-Encoding", "chunked")]);
    let scripts: Vec<support::peer::Script> = vec![
        Box::new(move |conn| {
            conn.request()?;
            conn.write(chunked)?;
            conn.write("1a\r\nretry: 1\n\nid: x\ndata: a\n\n\n\r\n5\r\nda")?;
            conn.shutdown_write()
        }),
        Box::new(|conn| {
            conn.request()?;
            conn.write(response("503 Busy", &[], "later"))?;
            conn.shutdown_write()
        }),
        Box::new(|conn| {
            conn.request()?;
            conn.reset()
        }),
        Box::new(|conn| {
            conn.request()?;
            stream(conn, "data: b\n\n")
        }),
        Box::new(|conn| {
            conn.request()?;
            conn.write(no_content())?;
            conn.shutdown_write()
        }),
    ];
    let peer = Peer::scripts(scripts);
    let session = Session::builder().retry_stale(false).build();
    let mut events = session.events(peer.url("/")).retries(2);
    assert_eq!(data(&mut events), ["a", "b"]);
    assert!(events.next().is_none(), "the end stays");
    assert_eq!(peer.request_count(), 5);
}

#[test]
fn too_many_failures_in_a_row_are_an_error() {
    let address = support::refusing_address();
    let session = Session::new();
    // That nothing waits for long is the server's doing, so it says so first.
    let peer = in_turn(["retry: 1\n\n"], response("502 Gone", &[], "why"));
    let mut events = session.events(peer.url("/")).retries(0);
    let error = events.next().expect("an item").expect_err("an error");
    assert_eq!(error.kind(), Kind::Status, "{error:#}");
    assert_eq!(error.body(), Some(&b"why"[..]));
    assert!(events.next().is_none());

    let mut events = session.events(format!("http://{address}/")).retries(0);
    let error = events.next().expect("an item").expect_err("an error");
    assert_eq!(error.kind(), Kind::Connect, "{error:#}");
    assert!(events.next().is_none());
}

#[test]
fn what_is_no_stream_of_events_ends_it() {
    for (answer, kind) in [
        (
            response("200 OK", &[("Content-Type", "text/html")], "data: a\n\n"),
            Kind::ContentType,
        ),
        (
            response("200 OK", &[("Content-Type", "text/event-streams")], ""),
            Kind::ContentType,
        ),
        (response("200 OK", &[], "data: a\n\n"), Kind::ContentType),
        (
            response("404 Not Found", &[STREAM], "data: a\n\n"),
            Kind::Status,
        ),
        (
            response("206 Partial", &[STREAM], "data: a\n\n"),
            Kind::Protocol,
        ),
    ] {
        let peer = in_turn([], answer);
        let session = Session::new();
        let mut events = session.events(peer.url("/"));
        let error = events.next().expect("an item").expect_err("an error");
        assert_eq!(error.kind(), kind, "{error:#}");
        assert!(error.url().is_some());
        assert!(events.next().is_none());
        assert_eq!(peer.request_count(), 1);
    }
    let session = Session::new();
    let error = session.events("no url").next().expect("an item");
    assert_eq!(error.expect_err("an error").kind(), Kind::InvalidUrl);
    let events = session.events("http://h.test/");
    session.close();
    let errors: Vec<_> = events
        .map(|event| event.expect_err("closed").kind())
        .collect();
    assert_eq!(errors, [Kind::Closed]);
}

#[test]
fn an_event_without_an_end_is_not_gathered_for_ever() {
    let peer = Peer::start(|conn| {
        conn.request()?;
        conn.write(head("200 OK", &[STREAM]))?;
        conn.write("data: a\n\n")?;
        loop {
            conn.write("data: more and more and more\n".repeat(1000))?;
        }
    });
    let session = Session::new();
    let mut events = session.events(peer.url("/")).max_event_size(100_000);
    assert_eq!(events.next().expect("one").expect("an event").data(), "a");
    let error = events.next().expect("an item").expect_err("an error");
    assert_eq!(error.kind(), Kind::Limit, "{error:#}");
    assert!(events.next().is_none());
}

#[test]
fn a_stream_has_no_total_limit_but_what_the_request_sets() {
    // SPEC T1
    let gate = Gate::new();
    let at = gate.clone();
    let peer = Peer::start(move |conn| {
        conn.request()?;
        conn.write(head("200 OK", &[STREAM]))?;
        conn.write("retry: 1\n\ndata: a\n\n")?;
        at.wait();
        conn.write("data: b\n\n")
    });
    let brief = Duration::from_millis(1);
    let session = Session::builder().timeout(brief).max_body_size(3).build();
    let mut events = session.events(peer.url("/"));
    assert_eq!(events.next().expect("one").expect("an event").data(), "a");
    gate.open();
    assert_eq!(events.next().expect("one").expect("an event").data(), "b");

    let silent = Peer::never_accepts();
    let events = session.events(silent.url("/")).retries(0);
    let mut events = events.request(move |request| request.timeout(brief));
    let error = events.next().expect("an item").expect_err("an error");
    assert_eq!(error.kind(), Kind::Timeout, "{error:#}");
}

#[test]
fn anybody_can_stop_it() {
    // While it waits for an event, while it waits to reconnect, before it begins.
    let peer = Peer::start(|conn| {
        conn.request()?;
        conn.write(head("200 OK", &[STREAM]))?;
        conn.write("retry: 300000\n\ndata: a\n\n")?;
        conn.wait_for_close()?;
        Ok(())
    });
    let session = Session::new();
    let mut events = session.events(peer.url("/"));
    let stop = events.stop_handle();
    assert_eq!(events.next().expect("one").expect("an event").data(), "a");
    let (sender, receiver) = mpsc::channel();
    let waiting = thread::spawn(move || {
        sender.send(()).expect("it is waited for");
        events.next().is_none()
    });
    receiver.recv().expect("it waits soon");
    stop.stop();
    assert!(waiting.join().expect("no panic"), "an event after the end");

    let peer = in_turn(["retry: 300000\n\ndata: a\n\n"], no_content());
    let mut events = session.events(peer.url("/"));
    let stop = events.stop_handle();
    assert_eq!(events.next().expect("one").expect("an event").data(), "a");
    let waiting = thread::spawn(move || events.next().is_none());
    peer.wait_for_ends(1);
    stop.stop();
    assert!(waiting.join().expect("no panic"), "an event after the end");
    assert_eq!(peer.request_count(), 1);

    let mut events = session.events(peer.url("/"));
    events.stop_handle().stop();
    assert!(events.next().is_none());
    assert_eq!(peer.request_count(), 1);
}
