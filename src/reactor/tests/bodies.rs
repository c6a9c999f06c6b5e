//! Bytes on their way: in pieces of every size, at the reader's pace, and in
//! fair shares.

use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::header::EXPECT;

use super::sim::*;
use crate::error::{Error, Kind, Phase};
use crate::handoff::feed::{FeedWriter, Gone, feed};
use crate::job::{Cancel, Progress};

const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
    5\r\nhello\r\n7;x=y\r\n, world\r\n0\r\nX-Sum: 1\r\n\r\n";

#[test]
fn a_response_read_byte_by_byte_is_the_same() {
    let mut sim = Sim::new();
    let probe = sim.go(get(HOST));
    sim.peer(0).limit_reads(1);
    sim.peer(0).send(CHUNKED);
    sim.settle();
    assert_eq!(probe.body(), b"hello, world");
    assert!(matches!(probe.end(), Some(Ok(()))));
    assert_eq!(sim.books(), (0, 1, 0));
}

#[test]
fn a_response_split_anywhere_is_the_same() {
    let mut sim = Sim::new();
    for split in 1..CHUNKED.len() {
        let probe = sim.go(get(HOST));
        sim.peer(0).send(&CHUNKED[..split]);
        sim.settle();
        assert!(!matches!(probe.end(), Some(Ok(()))), "{split}");
        sim.peer(0).send(&CHUNKED[split..]);
        sim.settle();
        assert_eq!(probe.body(), b"hello, world", "{split}");
        assert!(matches!(probe.end(), Some(Ok(()))), "{split}");
    }
    assert_eq!(sim.world.wires(), 1);
}

#[test]
fn a_full_pipe_pauses_reading_until_there_is_room() {
    // SPEC S20. Nothing tells of the bytes that were there all along, so the
    // engine has to remember them.
    let length = 4 << 20;
    let mut sim = Sim::new();
    let probe = sim.go(get(HOST).pipe(10_000, 20_000));
    sim.peer(0).send(response(length));
    sim.settle();
    let unread = sim.peer(0).unread();
    assert!(unread > length - 600_000, "too much is held");
    sim.advance(secs(60));
    assert_eq!(sim.peer(0).unread(), unread);
    // Each settling goes as far as the pipe does.
    let mut rounds = 0;
    while probe.end().is_none() {
        sim.settle();
        rounds += 1;
        assert!(rounds < 1000, "the rest of the body is forgotten");
    }
    assert!(rounds > 3, "it was never paused");
    assert_eq!(probe.body().len(), length);
    assert_eq!(sim.books(), (0, 1, 0));
}

/// The end, too, waits behind a full pipe; the peer has closed meanwhile.
#[test]
fn an_end_behind_a_full_pipe_is_seen_when_there_is_room() {
    let mut sim = Sim::new();
    let probe = sim.go(get(HOST).pipe(10, 20));
    sim.peer(0).send("HTTP/1.1 200 OK\r\n\r\n");
    sim.peer(0).send(vec![b'x'; 1_000_000]);
    sim.peer(0).finish();
    sim.settle();
    let mut rounds = 0;
    while probe.end().is_none() {
        sim.settle();
        rounds += 1;
        assert!(rounds < 1000, "the end is forgotten");
    }
    assert_eq!(probe.body().len(), 1_000_000);
    assert_eq!(sim.books(), (0, 0, 0));
}

/// A huge body that is always ready takes one share a turn, however often
/// the network tells of it.
#[test]
fn a_huge_body_leaves_turns_to_others() {
    let mut sim = Sim::new();
    let huge = sim.go(get(HOST).pipe(usize::MAX, usize::MAX));
    let small = sim.go(get("10.0.0.2"));
    sim.peer(0).send(head_of(1 << 30));
    sim.settle();
    let share = 512 * 1024;
    sim.peer(0).send(vec![b'x'; 64 * share]);
    sim.turn();
    let mut before = sim.peer(0).unread();
    for round in 0..40 {
        // News for the busy one in every turn.
        sim.peer(0).send("x");
        sim.turn();
        let moved = before + 1 - sim.peer(0).unread();
        // One share from the queue, one from the event.
        assert!(moved <= 2 * share, "{moved} bytes in turn {round}");
        before = sim.peer(0).unread();
    }
    sim.peer(1).send(OK);
    sim.turn();
    sim.turn();
    assert_eq!(small.status(), Some(200));
    assert!(sim.peer(0).unread() > share, "the huge one goes on");
    sim.cancel(&huge, Cancel::Abort);
    assert_eq!(sim.books(), (0, 1, 0));
}

#[test]
fn an_upload_leaves_in_order_whatever_the_peer_takes() {
    let upload: Vec<u8> = (0..600_000u32).map(|n| n as u8).collect();
    let mut sim = Sim::new();
    sim.world.set_window(at80(HOST), 10);
    let probe = sim.go(post(HOST, upload.clone()));
    sim.peer(0).limit_writes(777);
    let mut received = sim.peer(0).received();
    assert_eq!(received.len(), 10);
    let head = b"POST / HTTP/1.1\r\n\r\n";
    while received.len() < head.len() + upload.len() {
        sim.peer(0).set_window(100_000);
        sim.settle();
        let more = sim.peer(0).received();
        assert!(!more.is_empty(), "the upload stands still");
        received.extend(more);
    }
    assert!(received.starts_with(head));
    assert!(received[head.len()..] == upload);
    sim.peer(0).set_window(usize::MAX);
    sim.peer(0).send(OK);
    sim.settle();
    assert_eq!(probe.status(), Some(200));
    assert_eq!(sim.books(), (0, 1, 0));
}

#[test]
fn a_chunked_upload_is_framed_and_ended() {
    let mut sim = Sim::new();
    sim.go(post(HOST, "hello").chunked());
    let received = String::from_utf8(sim.peer(0).received()).unwrap();
    assert!(
        received.ends_with("\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
        "{received}"
    );
}

#[test]
fn an_early_response_ends_the_upload() {
    // SPEC B9: what comes while the upload still runs is delivered, and the
    // connection, with its half a request, is closed.
    let mut sim = Sim::new();
    sim.world.set_window(at80(HOST), 1000);
    let probe = sim.go(post(HOST, vec![b'x'; 1 << 20]));
    sim.peer(0)
        .send("HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\n\r\ntold");
    sim.settle();
    assert_eq!(probe.status(), Some(413));
    assert_eq!(probe.body(), b"told");
    assert!(sim.peer(0).is_closed());
    assert_eq!(sim.books(), (0, 0, 0));
}

#[test]
fn an_early_response_survives_the_reset_that_follows_it() {
    let mut sim = Sim::new();
    sim.world.set_window(at80(HOST), 1000);
    let probe = sim.go(post(HOST, vec![b'x'; 1 << 20]));
    sim.peer(0)
        .send("HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\n\r\ntold");
    sim.peer(0).reset();
    sim.settle();
    assert_eq!(
        (probe.status(), probe.body()),
        (Some(413), b"told".to_vec())
    );
    assert!(matches!(probe.end(), Some(Ok(()))));
}

/// The body's gap counts though bytes of the upload are stuck.
#[test]
fn sock_read_counts_after_an_early_response() {
    let mut sim = Sim::new();
    sim.world.set_window(at80(HOST), 1000);
    let probe = sim.go(post(HOST, vec![b'x'; 1 << 20]).sock_read(secs(5)));
    sim.peer(0)
        .send("HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\n\r\nt");
    sim.advance(secs(5));
    assert_eq!(probe.body_error().kind(), Kind::Timeout);
    assert_eq!(sim.books(), (0, 0, 0));
}

fn expecting(body: impl Into<Bytes>) -> Ask {
    post(HOST, body).expect().field(EXPECT, "100-continue")
}

#[test]
fn the_body_waits_for_100_continue() {
    // SPEC Q11.
    let mut sim = Sim::new();
    let probe = sim.go(expecting("the body"));
    assert!(sim.peer(0).received().ends_with(b"\r\n\r\n"));
    sim.advance(ms(500));
    assert!(sim.peer(0).received().is_empty());
    sim.peer(0).send("HTTP/1.1 100 Continue\r\n\r\n");
    sim.settle();
    assert_eq!(sim.peer(0).received(), b"the body");
    sim.advance(secs(2));
    sim.peer(0).send(OK);
    sim.settle();
    assert_eq!(probe.status(), Some(200));
    assert_eq!(sim.books(), (0, 1, 0));
}

#[test]
fn the_body_waits_a_second_at_most() {
    let mut sim = Sim::new();
    let probe = sim.go(expecting("the body"));
    sim.peer(0).received();
    sim.advance(ms(999));
    assert!(sim.peer(0).received().is_empty());
    sim.advance(ms(1));
    assert_eq!(sim.peer(0).received(), b"the body");
    sim.peer(0)
        .send(format!("HTTP/1.1 100 Continue\r\n\r\n{OK}"));
    sim.settle();
    assert_eq!(probe.status(), Some(200));
    assert_eq!(sim.books(), (0, 1, 0));
}

#[test]
fn the_body_stays_home_when_it_is_refused() {
    let mut sim = Sim::new();
    let probe = sim.go(expecting("the body"));
    sim.peer(0).received();
    sim.peer(0)
        .send("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n");
    sim.settle();
    assert_eq!(probe.status(), Some(417));
    assert!(sim.peer(0).received().is_empty());
    assert!(sim.peer(0).is_closed());
}

/// A body of no pieces has an end all the same.
#[test]
fn an_empty_chunked_body_follows_a_100_too() {
    let mut sim = Sim::new();
    sim.go(expecting("").chunked());
    sim.peer(0).received();
    sim.peer(0).send("HTTP/1.1 100 Continue\r\n\r\n");
    sim.settle();
    assert_eq!(sim.peer(0).received(), b"0\r\n\r\n");
}

#[test]
fn a_connection_lost_inside_a_body_is_a_payload_error() {
    // SPEC R41, RFC 9112 §8.
    let framings = [
        "Content-Length: 10\r\n\r\nhalf",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhal",
    ];
    for framing in framings {
        for streamed in [true, false] {
            let mut sim = Sim::new();
            let probe = sim.go(get(HOST));
            sim.peer(0).send(format!("HTTP/1.1 200 OK\r\n{framing}"));
            if streamed {
                sim.settle();
                assert_eq!(probe.status(), Some(200));
            }
            sim.peer(0).finish();
            sim.settle();
            let error = probe.body_error();
            assert_eq!(
                (error.kind(), error.phase()),
                (Kind::Payload, Some(Phase::Body))
            );
            assert_eq!(error.peer(), Some(at80(HOST)));
            assert!(probe.body().starts_with(b"hal"));
            assert_eq!(sim.books(), (0, 0, 0));
        }
    }
}

#[test]
fn a_reset_inside_a_body_is_a_payload_error() {
    let mut sim = Sim::new();
    let probe = sim.go(get(HOST));
    sim.peer(0)
        .send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    sim.peer(0).reset();
    sim.settle();
    assert_eq!(
        (probe.status(), probe.body()),
        (Some(200), b"half".to_vec())
    );
    assert_eq!(probe.body_error().kind(), Kind::Payload);
}

#[test]
fn damaged_framing_ends_the_body_and_the_connection() {
    let mut sim = Sim::new();
    let probe = sim.go(get(HOST));
    sim.peer(0)
        .send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n");
    sim.settle();
    assert_eq!(probe.body_error().kind(), Kind::Payload);
    assert!(sim.peer(0).is_closed());

    let failure = {
        let probe = sim.go(get(HOST));
        sim.peer(1).send("220 mail.test ESMTP\r\n");
        sim.settle();
        probe.failure()
    };
    assert_eq!(failure.error.kind(), Kind::Protocol);
    assert_eq!(failure.progress, Progress::Begun);
}

/// A request whose body is still being made, and who makes it.
fn fed() -> (Ask, FeedWriter<Error>) {
    let (writer, reader) = feed(1000);
    (post(HOST, "").feed(reader), writer)
}

fn room(writer: &mut FeedWriter<Error>) -> Poll<Result<(), Gone>> {
    writer.poll_room(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn a_body_in_the_making_leaves_as_it_comes() {
    // SPEC B6, H5
    let (ask, mut writer) = fed();
    let mut sim = Sim::new();
    let probe = sim.go(ask);
    assert!(sim.peer(0).received().ends_with(b"\r\n\r\n"));
    for piece in ["hello", "world"] {
        writer.push(Bytes::from_static(piece.as_bytes())).unwrap();
        sim.turn();
        let chunk = format!("5\r\n{piece}\r\n");
        assert_eq!(sim.peer(0).received(), chunk.as_bytes());
    }
    writer.finish(Ok(())).unwrap();
    sim.turn();
    assert_eq!(sim.peer(0).received(), b"0\r\n\r\n");
    sim.peer(0).send(OK);
    sim.settle();
    assert_eq!(probe.status(), Some(200));
    assert_eq!(sim.books(), (0, 1, 0));
}

/// What the socket does not take waits, and then so does the writer.
#[test]
fn a_full_socket_holds_up_whoever_makes_the_body() {
    let (ask, mut writer) = fed();
    let mut sim = Sim::new();
    sim.world.set_window(at80(HOST), 200);
    let probe = sim.go(ask);
    sim.peer(0).received();
    let mut pushed = 0;
    while room(&mut writer).is_ready() {
        writer.push(Bytes::from(vec![b'x'; 600])).unwrap();
        pushed += 600;
        sim.settle();
        assert!(pushed < 10_000, "nothing holds it up");
    }
    sim.peer(0).set_window(usize::MAX);
    sim.settle();
    assert!(room(&mut writer).is_ready());
    writer.finish(Ok(())).unwrap();
    sim.settle();
    assert!(sim.peer(0).received().len() > pushed);
    sim.peer(0).send(OK);
    sim.settle();
    assert_eq!(probe.status(), Some(200));
    assert_eq!(sim.books(), (0, 1, 0));
}

#[test]
fn an_early_response_needs_no_more_of_the_body() {
    // SPEC B9
    let (ask, mut writer) = fed();
    let mut sim = Sim::new();
    let probe = sim.go(ask);
    sim.peer(0)
        .send("HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\n\r\nto");
    sim.settle();
    assert_eq!(probe.status(), Some(413));
    assert_eq!(
        room(&mut writer),
        Poll::Ready(Err(Gone)),
        "it is told at once"
    );
    sim.peer(0).send("ld");
    sim.settle();
    assert_eq!(probe.body(), b"told");
    assert!(sim.peer(0).is_closed());
    assert_eq!(sim.books(), (0, 0, 0));
}

/// The peer is not the one who is slow.
#[test]
fn limits_while_the_body_stands_still() {
    // SPEC T1, T4
    let (ask, mut writer) = fed();
    let mut sim = Sim::new();
    let probe = sim.go(ask.sock_read(secs(5)).total(secs(60)));
    sim.advance(secs(59));
    assert!(!probe.is_answered());
    sim.advance(secs(1));
    assert_eq!(probe.error().kind(), Kind::Timeout);
    assert_eq!(probe.error().timeout(), Some(crate::error::Timeout::Total));
    assert_eq!(room(&mut writer), Poll::Ready(Err(Gone)));
    assert_eq!(sim.books(), (0, 0, 0));
}

/// Never a silent end, and never a second attempt: another connection would
/// not fare better.
#[test]
fn a_body_that_fails_fails_its_exchange() {
    // SPEC B8, Y1
    for drops in [true, false] {
        let mut sim = Sim::new();
        sim.serve(0, get(HOST));
        let (ask, mut writer) = fed();
        let probe = sim.go(ask);
        writer.push(Bytes::from_static(b"half")).unwrap();
        sim.settle();
        match drops {
            true => drop(writer),
            false => writer.finish(Err(Error::new(Kind::Io, "why"))).unwrap(),
        }
        sim.settle();
        let failure = probe.failure();
        assert_eq!(failure.error.kind(), Kind::Io);
        assert_eq!(failure.progress, Progress::Begun);
        assert!(!sim.peer(0).received().ends_with(b"0\r\n\r\n"));
        assert!(sim.peer(0).is_closed());
        assert_eq!(sim.books(), (0, 0, 0));
    }
}

#[test]
fn nothing_is_made_before_the_peer_asks_for_it() {
    // SPEC Q11
    let (ask, mut writer) = fed();
    let mut sim = Sim::new();
    let probe = sim.go(ask.expect().field(EXPECT, "100-continue"));
    writer.push(Bytes::from_static(b"after you")).unwrap();
    sim.advance(ms(500));
    assert!(sim.peer(0).received().ends_with(b"\r\n\r\n"));
    sim.peer(0).send("HTTP/1.1 100 Continue\r\n\r\n");
    sim.settle();
    assert_eq!(sim.peer(0).received(), b"9\r\nafter you\r\n");
    writer.finish(Ok(())).unwrap();
    sim.peer(0).send(OK);
    sim.settle();
    assert_eq!(probe.status(), Some(200));
}
