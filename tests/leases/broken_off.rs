//! Cancelled or closed by another thread while one is blocked: promptly, with
//! the right reason, and never with what looks like an end.

use super::*;

/// How a body says where it ends.
#[derive(Clone, Copy, Debug)]
struct Framing {
    field: (&'static str, &'static str),
    start: &'static str,
}

const FRAMINGS: [Framing; 3] = [
    Framing {
        field: ("Content-Length", "1000000"),
        start: "some",
    },
    Framing {
        field: ("Transfer-Encoding", "chunked"),
        start: "4\r\nsome\r\n",
    },
    // Only the end of the connection says it.
    Framing {
        field: ("Connection", "close"),
        start: "some",
    },
];

/// Begins a body of this framing and does not go on.
fn begun(
    framing: Framing,
) -> impl Fn(&mut PeerConn) -> std::io::Result<()> + Send + Sync + 'static {
    move |conn| {
        conn.request()?;
        conn.write(head("200 OK", &[framing.field]))?;
        conn.write(framing.start)?;
        conn.wait_for_close().map(drop)
    }
}

#[derive(Clone, Copy, Debug)]
enum How {
    Cancel,
    Close,
}

#[test]
fn a_blocked_reader_is_told() {
    // SPEC C7: a body that is broken off never ends silently, however
    // it says where it ends.
    for how in [How::Cancel, How::Close] {
        for framing in FRAMINGS {
            for (name, read) in READS {
                let kind = both(|builder| {
                    let peer = Peer::start(begun(framing));
                    let connector = connector_of_one(builder);
                    let session = session_of(&connector);
                    broken_off(how, &connector, session.get(peer.url("/")), read, &peer)
                });
                let want = match how {
                    How::Cancel => Err(Kind::Cancelled),
                    How::Close => Err(Kind::Closed),
                };
                assert_eq!(kind, want, "{how:?}, {name}, {framing:?}");
            }
        }
    }
}

#[cfg(feature = "tls")]
#[test]
fn a_blocked_reader_is_told_over_tls() {
    use super::support::TlsOptions;
    use super::support::tls::ca_pem;
    let tls = miohttp::TlsConfig::new().builtin_roots(false);
    let tls = tls.add_root_pem(ca_pem().as_bytes()).expect("good PEM");
    for how in [How::Cancel, How::Close] {
        for framing in FRAMINGS {
            let kind = both(|builder| {
                let peer = Peer::start_tls(TlsOptions::default(), begun(framing));
                let connector = connector_of_one(builder.tls(tls.clone()));
                let session = session_of(&connector);
                let request = session.get(peer.url("/"));
                broken_off(how, &connector, request, READS[0].1, &peer)
            });
            assert!(kind.is_err(), "{how:?}, {framing:?}");
        }
    }
}

fn broken_off(
    how: How,
    connector: &Connector,
    request: miohttp::RequestBuilder,
    read: Read_,
    peer: &Peer,
) -> Result<usize, Kind> {
    let response = request.send().unwrap();
    let cancel = response.cancel_handle();
    let reader = blocked(
        move || response,
        move |response| match read(response) {
            Ok(body) => Ok(body.len()),
            Err(error) => Err(error.kind()),
        },
    );
    let reader = reader.asleep();
    match how {
        How::Cancel => cancel.cancel(),
        How::Close => connector.close(),
    }
    let result = reader.result();
    assert_eq!(at_rest(connector), 0);
    peer.wait_for_ends(1);
    result
}

/// A cancellation between two reads is found by the next one.
#[test]
fn a_response_is_cancelled_between_two_reads() {
    both(|builder| {
        let peer = Peer::start(begun(FRAMINGS[0]));
        let connector = connector_of_one(builder);
        let session = session_of(&connector);
        let mut response = session.get(peer.url("/")).send().unwrap();
        assert_eq!(response.chunk().unwrap().as_deref(), Some(&b"some"[..]));
        response.cancel_handle().cancel();
        assert_eq!(at_rest(&connector), 0);
        peer.wait_for_ends(1);
        response.chunk().unwrap_err().kind()
    });
}

/// And one that comes when the body has ended does nothing to the next
/// request on that connection.
#[test]
fn a_late_cancellation_hits_nobody() {
    both(|builder| {
        let peer = sized();
        let connector = connector_of_one(builder);
        let session = session_of(&connector);
        for _ in 0..200 {
            let response = session.get(peer.url("/20000")).send().unwrap();
            let cancel = response.cancel_handle();
            assert_eq!(response.bytes().unwrap().len(), 20_000);
            // It races the next request.
            let canceller = thread::spawn(move || cancel.cancel());
            let next = session.get(peer.url("/7")).send().unwrap();
            assert_eq!(next.bytes().unwrap().len(), 7);
            canceller.join().expect("it does not panic");
        }
        assert_eq!(peer.connections(), 1);
        at_rest(&connector)
    });
}

#[test]
fn closing_fails_whoever_waits_for_a_head() {
    // SPEC C7: whoever waits for a head, in a request that may be sent again or
    // not, on a new connection or one that has served.
    for reused in [false, true] {
        for posts in [false, true] {
            let kind = both(|builder| {
                let peer = Peer::start(move |conn| {
                    if reused {
                        conn.request()?;
                        conn.write(ok("warm"))?;
                    }
                    conn.request()?;
                    conn.wait_for_close().map(drop)
                });
                let connector = connector_of_one(builder);
                let session = session_of(&connector);
                if reused {
                    session.get(peer.url("/")).send().unwrap();
                }
                let request = match posts {
                    true => session.post(peer.url("/")).body("once"),
                    false => session.get(peer.url("/")),
                };
                let waiting = blocked(|| request, |request| request.send().map(drop));
                peer.wait_for_requests(1 + usize::from(reused));
                let waiting = waiting.asleep();
                connector.close();
                let error = waiting.result().unwrap_err();
                assert_eq!(at_rest(&connector), 0);
                peer.wait_for_ends(1);
                assert_eq!(peer.connections(), 1);
                error.kind()
            });
            assert_eq!(kind, Kind::Closed, "reused: {reused}");
        }
    }
}

/// In the handshake with a server that says nothing.
#[cfg(feature = "tls")]
#[test]
fn closing_fails_whoever_shakes_hands() {
    let kind = both(|builder| {
        let gate = Gate::new();
        let at = gate.clone();
        let peer = Peer::start(move |conn| {
            conn.read_exact(1)?;
            at.wait();
            conn.wait_for_close().map(drop)
        });
        gate.open();
        let connector = connector_of_one(builder);
        let session = session_of(&connector);
        let url = peer.url("/").replace("http:", "https:");
        let waiting = blocked(move || session.get(url), |request| request.send().map(drop));
        gate.wait_for_arrivals(1);
        let waiting = waiting.asleep();
        connector.close();
        let error = waiting.result().unwrap_err();
        assert_eq!(at_rest(&connector), 0);
        peer.wait_for_ends(1);
        error.kind()
    });
    assert_eq!(kind, Kind::Closed);
}

/// A response that lies parked, or is the reactor's by then, when all is closed.
#[test]
fn closing_breaks_off_what_is_held_unread() {
    for framing in FRAMINGS {
        let kind = both(|builder| {
            let peer = Peer::start(begun(framing));
            let connector = builder.build();
            let session = session_of(&connector);
            let parked = session.get(peer.url("/")).send().unwrap();
            let mut read = session.get(peer.url("/")).send().unwrap();
            let mut started = session.get(peer.url("/")).send().unwrap();
            assert!(read.chunk().unwrap().is_some());
            assert!(started.start_chunk().wait().unwrap().is_some());
            connector.close();
            peer.wait_for_ends(3);
            assert_eq!(at_rest(&connector), 0);
            let kinds = [parked.bytes(), read.bytes(), started.bytes()];
            kinds.map(|result| result.map_err(|error| error.kind()).map(drop))
        });
        assert_eq!(kind, [Err(Kind::Closed); 3], "{framing:?}");
    }
}
