//! A connection on a made-up stream.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Version};

use super::*;
use crate::error::Timeout;
use crate::handoff::pipe::Budget;
use crate::head::{BodyLength, Fields};
use crate::job::{LowSpeed, Pieces as Parts, RareLimits};
use crate::net::Readiness;

/// Gives its pieces one a read.
struct Pieces(Vec<Vec<u8>>);

impl Stream for Pieces {
    type Shared = ();

    fn share(&self) {}

    fn shut((): &()) {}

    fn read_spare(&mut self, into: &mut Vec<u8>) -> io::Result<usize> {
        let before = into.len();
        into.resize(into.capacity(), 0);
        let read = self.read(&mut into[before..]);
        into.truncate(before + *read.as_ref().unwrap_or(&0));
        read
    }

    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let Some(piece) = self.0.first_mut() else {
            return Err(io::ErrorKind::WouldBlock.into());
        };
        let n = piece.len().min(into.len());
        into[..n].copy_from_slice(&piece[..n]);
        piece.drain(..n);
        if piece.is_empty() {
            self.0.remove(0);
        }
        Ok(n)
    }

    fn write_vectored(&mut self, from: &[io::IoSlice<'_>]) -> io::Result<usize> {
        Ok(from.iter().map(|slice| slice.len()).sum())
    }

    fn connected(&mut self) -> io::Result<bool> {
        Ok(true)
    }

    fn abort_on_close(&mut self) {}
}

struct Keep(Vec<Bytes>);

impl Sink for Keep {
    fn event(&mut self, event: Event) {
        if let Event::Data(data) = event {
            self.0.push(data);
        }
    }

    fn has_room(&self) -> bool {
        true
    }
}

/// Pieces that wait for a slow reader are counted by their length, so they
/// must not keep much more than that alive.
#[test]
fn small_pieces_behind_large_ones_pin_no_large_buffers() {
    let head = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".to_vec();
    let mut pieces = vec![head, vec![b'x'; 4 << 20]];
    pieces.extend((0..500).map(|_| vec![b'y'; 600]));
    let peer = SocketAddr::from(([192, 0, 2, 1], 80)).into();
    let token = Token(0);
    let mut link = Link::new(Pieces(pieces), peer, None, None);
    link.ready(Readiness {
        readable: true,
        writable: true,
        hung_up: false,
    });
    assert!(link.establish().unwrap());
    let mut conn = Conn::new(link, Some(token));
    let head = RequestHead {
        method: Method::GET,
        version: Version::HTTP_11,
        fields: Fields::behind(b"/", 0),
        body: BodyLength::Empty,
        expect_continue: false,
    };
    let limits = ExchangeLimits {
        pipe: Budget {
            low: 1 << 20,
            high: 2 << 20,
        },
        ..ExchangeLimits::none()
    };
    let now = Instant::now();
    conn.assign(&head, Upload::Nothing, &limits, now);
    let mut kept = Keep(Vec::new());
    while conn.pump(now, &mut kept).unwrap() == Pumped::Again {}
    drop(conn);
    let pieces = kept.0;
    assert_eq!(
        pieces.iter().map(Bytes::len).sum::<usize>(),
        (4 << 20) + 300_000
    );
    assert!(
        pieces.iter().any(|piece| piece.len() > 100_000),
        "reads grew"
    );
    let small = pieces.into_iter().rev().take(400);
    let held: usize = small
        .map(|piece| piece.try_into_mut().unwrap().capacity())
        .sum();
    assert!(
        held < 4 * 400 * 600,
        "{held} bytes for {} of data",
        400 * 600
    );
}

fn get() -> RequestHead {
    RequestHead {
        method: Method::GET,
        version: Version::HTTP_11,
        fields: Fields::behind(b"/", 0),
        body: BodyLength::Empty,
        expect_continue: false,
    }
}

/// Its body, of four bytes, waits for `100 Continue`.
fn put_if_told() -> RequestHead {
    RequestHead {
        method: Method::PUT,
        body: BodyLength::Known(4),
        expect_continue: true,
        ..get()
    }
}

fn open(pieces: Vec<Vec<u8>>) -> Conn<Pieces> {
    let peer = SocketAddr::from(([192, 0, 2, 1], 80)).into();
    let mut link = Link::new(Pieces(pieces), peer, None, None);
    link.suspect();
    assert!(link.establish().unwrap());
    Conn::new(link, None)
}

#[test]
fn what_came_before_a_gap_was_over_is_read_though_nothing_told_of_it() {
    // SPEC T4
    const GAP: Duration = Duration::from_secs(1);
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n".to_vec();
    let mut conn = open(vec![head]);
    let limits = ExchangeLimits {
        sock_read: Some(GAP),
        ..ExchangeLimits::none()
    };
    let now = Instant::now();
    conn.assign(&get(), Upload::Nothing, &limits, now);
    let mut kept = Keep(Vec::new());
    let pumped = conn.pump(now, &mut kept).unwrap();
    assert!(matches!(pumped, Pumped::Wants(want) if want.deadline == Some(now + GAP)));
    // It comes in time, while nobody looks.
    conn.link().stream_mut().0.push(b"so".to_vec());
    let late = now + GAP;
    let pumped = conn.pump(late, &mut kept).unwrap();
    assert!(matches!(pumped, Pumped::Wants(want) if want.deadline == Some(late + GAP)));
    assert_eq!(kept.0, ["so"]);
    // And then nothing does.
    let fault = conn.pump(late + GAP, &mut kept).unwrap_err();
    assert!(matches!(fault, ConnFault::SockRead(Some(GAP))), "{fault:?}");
}

#[test]
fn a_head_or_a_pace_that_came_in_time_is_seen_though_nothing_told_of_it() {
    // SPEC T6
    const LIMIT: Duration = Duration::from_secs(1);
    let waiting = |rare: RareLimits, pieces: Vec<Vec<u8>>, now| {
        let mut conn = open(pieces);
        let limits = ExchangeLimits {
            rare: Some(Arc::new(rare)),
            ..ExchangeLimits::none()
        };
        conn.assign(&get(), Upload::Nothing, &limits, now);
        let pumped = conn.pump(now, &mut Keep(Vec::new())).unwrap();
        assert!(matches!(pumped, Pumped::Wants(want) if want.deadline == Some(now + LIMIT)));
        conn
    };
    let head = || b"HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n".to_vec();
    let now = Instant::now();
    let mut kept = Keep(Vec::new());

    let thinks = RareLimits {
        response_header: Some(LIMIT),
        ..RareLimits::default()
    };
    let mut conn = waiting(thinks.clone(), Vec::new(), now);
    conn.link().stream_mut().0.push(head());
    let pumped = conn.pump(now + LIMIT, &mut kept).unwrap();
    assert!(matches!(pumped, Pumped::Wants(_)), "{pumped:?}");
    let mut conn = waiting(thinks, Vec::new(), now);
    let fault = conn.pump(now + LIMIT, &mut kept).unwrap_err();
    assert!(matches!(
        fault,
        ConnFault::Limit(Timeout::ResponseHeader, _)
    ));

    let slow = RareLimits {
        low_speed: Some(LowSpeed {
            bytes: 10,
            window: LIMIT,
        }),
        ..RareLimits::default()
    };
    let mut conn = waiting(slow.clone(), vec![head()], now);
    conn.link().stream_mut().0.push(vec![b'x'; 20]);
    let pumped = conn.pump(now + LIMIT, &mut kept).unwrap();
    assert!(matches!(pumped, Pumped::Wants(_)), "{pumped:?}");
    let mut conn = waiting(slow, vec![head()], now);
    let fault = conn.pump(now + LIMIT, &mut kept).unwrap_err();
    assert!(matches!(fault, ConnFault::Limit(Timeout::LowSpeed, _)));
}

#[test]
fn an_answer_that_came_before_the_wait_for_100_was_over_spares_the_body() {
    // SPEC Q11: though nothing told of it.
    const WAIT: Duration = Duration::from_secs(1);
    let asked = |now| {
        let mut conn = open(Vec::new());
        let limits = ExchangeLimits {
            expect_continue: WAIT,
            ..ExchangeLimits::none()
        };
        let upload = Parts::from(Bytes::from_static(b"body")).into();
        conn.assign(&put_if_told(), upload, &limits, now);
        let pumped = conn.pump(now, &mut Keep(Vec::new())).unwrap();
        assert!(matches!(pumped, Pumped::Wants(want) if want.deadline == Some(now + WAIT)));
        conn
    };
    let now = Instant::now();
    let mut conn = asked(now);
    let head = conn.link.written();
    let answer = b"HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n".to_vec();
    conn.link().stream_mut().0.push(answer);
    let pumped = conn.pump(now + WAIT, &mut Keep(Vec::new())).unwrap();
    assert!(matches!(pumped, Pumped::Done), "{pumped:?}");
    assert_eq!(conn.link.written(), head);
    assert!(!conn.rest(), "the body is still due on it");
    // Where there is none, the body goes out, and that is not tried over and over.
    let mut conn = asked(now);
    let pumped = conn.pump(now + WAIT, &mut Keep(Vec::new())).unwrap();
    assert!(matches!(pumped, Pumped::Wants(want) if want.deadline.is_none()));
    assert_eq!(conn.link.written(), head + 4);
}

#[test]
fn gaps_that_are_yet_to_be_measured_ask_for_exact_waits_too() {
    // SPEC T4, Q11: the gap counts from when the body is out, which the wait for
    // `100 Continue` is before.
    let wants = |sock_read| {
        let mut conn = open(Vec::new());
        let limits = ExchangeLimits {
            sock_read,
            expect_continue: Duration::from_secs(5),
            ..ExchangeLimits::none()
        };
        let upload = Parts::from(Bytes::from_static(b"body")).into();
        conn.assign(&put_if_told(), upload, &limits, Instant::now());
        match conn.pump(Instant::now(), &mut Keep(Vec::new())) {
            Ok(Pumped::Wants(want)) => want,
            other => panic!("{other:?}"),
        }
    };
    assert!(wants(Some(Duration::from_millis(500))).gap);
    assert!(!wants(None).gap);
}

/// Pages that were written before are copied into much faster than new ones.
#[test]
fn memory_that_nobody_holds_any_more_is_read_into_again() {
    let large = vec![b'x'; 100_000];
    let peer = SocketAddr::from(([192, 0, 2, 1], 80)).into();
    let mut link = Link::new(Pieces(vec![large; 4]), peer, None, None);
    link.suspect();
    assert!(link.establish().unwrap());
    let mut read = || {
        let mut into = BytesMut::new();
        link.suspect();
        assert!(matches!(link.read(&mut into, 100_000), Ok(Read::Bytes(_))));
        into.freeze()
    };
    let first = read();
    let place = first.as_ptr();
    drop(first.slice(1000..2000));
    drop(first);
    let second = read();
    assert_eq!(second.as_ptr(), place);
    let third = read();
    assert_ne!(third.as_ptr(), place, "the second is still held");
    assert_eq!((second.len(), third.len()), (100_000, 100_000));
    assert!(second.iter().chain(&third).all(|byte| *byte == b'x'));
}

/// A server that answers and closes while much is still being sent to it: its
/// answer and its reset may come in one moment, between a read that found nothing
/// and a write.
struct Hasty {
    wrote: bool,
    answer: &'static [u8],
}

impl Stream for Hasty {
    type Shared = ();

    fn share(&self) {}

    fn shut((): &()) {}

    fn read_spare(&mut self, into: &mut Vec<u8>) -> io::Result<usize> {
        if !self.wrote {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let answer = std::mem::take(&mut self.answer);
        into.extend_from_slice(answer);
        match answer.len() {
            0 => Err(io::ErrorKind::ConnectionReset.into()),
            n => Ok(n),
        }
    }

    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        unreachable!("reads go into spare room")
    }

    fn write_vectored(&mut self, from: &[io::IoSlice<'_>]) -> io::Result<usize> {
        match std::mem::replace(&mut self.wrote, true) {
            false => Ok(from[0].len() / 2),
            true => Err(io::ErrorKind::ConnectionReset.into()),
        }
    }

    fn connected(&mut self) -> io::Result<bool> {
        Ok(true)
    }

    fn abort_on_close(&mut self) {}
}

#[test]
fn an_answer_before_a_reset_is_read_though_nothing_told_of_it() {
    // RFC 9112 §9.5, SPEC B9
    let stream = Hasty {
        wrote: false,
        answer: b"HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\nno",
    };
    let peer = SocketAddr::from(([192, 0, 2, 1], 80)).into();
    let mut link = Link::new(stream, peer, None, None);
    link.ready(Readiness {
        readable: false,
        writable: true,
        hung_up: false,
    });
    assert!(link.establish().unwrap());
    // What a read finds that comes too early.
    assert!(matches!(
        link.read(&mut BytesMut::new(), 1),
        Ok(Read::Blocked)
    ));
    let mut conn = Conn::new(link, Some(Token(0)));
    let head = RequestHead {
        method: Method::PUT,
        version: Version::HTTP_11,
        fields: Fields::behind(b"/", 0),
        body: BodyLength::Known(100),
        expect_continue: false,
    };
    let upload = Parts::from(Bytes::from(vec![b'x'; 100])).into();
    let limits = ExchangeLimits::none();
    conn.assign(&head, upload, &limits, Instant::now());
    let mut kept = Keep(Vec::new());
    let pumped = conn.pump(Instant::now(), &mut kept);
    assert!(matches!(pumped, Ok(Pumped::Done)), "{pumped:?}");
    assert_eq!(kept.0, ["no"]);
}
