//! Limits of time, where a caller drives and where the reactor does: each fires
//! in the same place, under the same name, with the same words.

use super::*;
use crate::support::Blackhole;

const LIMIT: Duration = Duration::from_millis(150);

/// What is said of a limit, without the peer's port.
#[derive(Debug, PartialEq)]
struct Said {
    kind: Kind,
    timeout: Option<Timeout>,
    phase: Option<Phase>,
    text: String,
}

#[track_caller]
fn said<T: Debug>(port: u16, operation: impl FnOnce() -> Result<T, Error>) -> Said {
    let start = Instant::now();
    let error = operation().expect_err("a limit should have passed");
    let taken = start.elapsed();
    assert!(taken < WATCHDOG, "fired after {taken:?}: {error:#}");
    Said {
        kind: error.kind(),
        timeout: error.timeout(),
        phase: error.phase(),
        text: format!("{error:#}").replace(&port.to_string(), "PORT"),
    }
}

fn total() -> Timeouts {
    Timeouts::none().total(LIMIT)
}

fn sock_read() -> Timeouts {
    Timeouts::none().sock_read(LIMIT)
}

/// A response whose head has come within the limits. On a machine that is busy
/// with other things it may not at first.
fn answered(connector: &Connector, peer: &Peer, limits: Timeouts) -> Response {
    let start = Instant::now();
    loop {
        let request = session_of(connector).get(peer.url("/"));
        match request.timeouts(limits).send() {
            Ok(response) => return response,
            Err(error) => assert!(error.is_timeout() && start.elapsed() < WATCHDOG),
        }
    }
}

#[test]
fn waiting_for_a_head() {
    // SPEC T1, T4.
    let peer = Peer::start(|conn| {
        conn.request()?;
        conn.wait_for_close().map(drop)
    });
    for (limits, which, phase) in [
        (total(), Timeout::Total, Phase::Total),
        (sock_read(), Timeout::SockRead, Phase::Head),
    ] {
        let said = both(|builder| {
            let connector = connector_of_one(builder);
            let request = session_of(&connector).get(peer.url("/")).timeouts(limits);
            let said = said(peer.port(), || request.send());
            assert_eq!(at_rest(&connector), 0);
            said
        });
        assert_eq!((said.timeout, said.phase), (Some(which), Some(phase)));
    }
}

#[test]
fn waiting_for_a_body() {
    // SPEC T1, T4: in the body, blocked in each verb.
    let peer = Peer::start(|conn| {
        conn.request()?;
        conn.write(head("200 OK", &[("Content-Length", "1000000")]))?;
        conn.write("some")?;
        conn.wait_for_close().map(drop)
    });
    for (name, read) in READS {
        for (limits, which) in [(total(), Timeout::Total), (sock_read(), Timeout::SockRead)] {
            let said = both(|builder| {
                let connector = connector_of_one(builder);
                let response = answered(&connector, &peer, limits);
                let said = said(peer.port(), || read(response));
                assert_eq!(at_rest(&connector), 0);
                said
            });
            assert_eq!(
                (said.kind, said.timeout),
                (Kind::Timeout, Some(which)),
                "{name}"
            );
        }
    }
}

/// A limit that passes while the response is held unread is found by whoever
/// reads it, and frees the slot before.
#[test]
fn holding_a_response_unread() {
    let peer = Peer::start(|conn| {
        conn.request()?;
        conn.write(head("200 OK", &[("Content-Length", "1000000")]))?;
        conn.write("some")?;
        conn.wait_for_close().map(drop)
    });
    for (limits, which) in [(total(), Timeout::Total), (sock_read(), Timeout::SockRead)] {
        let said = both(|builder| {
            let connector = connector_of_one(builder);
            let response = answered(&connector, &peer, limits);
            assert_eq!(at_rest(&connector), 0);
            let error = response.bytes().unwrap_err();
            (error.kind(), error.timeout(), error.phase())
        });
        assert_eq!((said.0, said.1), (Kind::Timeout, Some(which)));
    }
}

#[test]
fn connecting() {
    // SPEC T1, T2, T3: nobody answers the connection attempt.
    let Some(hole) = Blackhole::new() else {
        return;
    };
    let url = format!("http://{}/", hole.address());
    for (limits, which) in [
        (total(), Timeout::Total),
        (Timeouts::none().connect(LIMIT), Timeout::Connect),
        (Timeouts::none().sock_connect(LIMIT), Timeout::SockConnect),
    ] {
        let said = both(|builder| {
            let connector = connector_of_one(builder);
            let request = session_of(&connector).get(&url).timeouts(limits);
            let said = said(hole.address().port(), || request.send());
            assert_eq!(at_rest(&connector), 0);
            said
        });
        assert_eq!((said.kind, said.timeout), (Kind::Timeout, Some(which)));
    }
}

/// And in the handshake with a server that says nothing.
#[cfg(feature = "tls")]
#[test]
fn shaking_hands() {
    let peer = Peer::start(|conn| conn.wait_for_close().map(drop));
    let url = peer.url("/").replace("http:", "https:");
    for (limits, which) in [
        (total(), Timeout::Total),
        (Timeouts::none().connect(LIMIT), Timeout::Connect),
        (Timeouts::none().sock_connect(LIMIT), Timeout::SockConnect),
    ] {
        let said = both(|builder| {
            let connector = connector_of_one(builder);
            let request = session_of(&connector).get(&url).timeouts(limits);
            let said = said(peer.port(), || request.send());
            assert_eq!(at_rest(&connector), 0);
            said
        });
        assert_eq!((said.kind, said.timeout), (Kind::Timeout, Some(which)));
    }
}

/// A refused connection, and one that is broken off while it is opened.
#[test]
fn failing_to_connect() {
    let refusing = support::refusing_address();
    both(|builder| {
        let connector = connector_of_one(builder);
        let error = session_of(&connector)
            .get(format!("http://{refusing}/"))
            .send()
            .unwrap_err();
        assert_eq!(at_rest(&connector), 0);
        let text = format!("{error:#}");
        (error.kind(), error.phase(), text)
    });
}

/// A limit that is further off than any single wait of a driver.
#[test]
fn a_limit_that_is_far_off() {
    const FAR: Duration = Duration::from_millis(1300);
    let story = |in_body: bool| {
        let peer = Peer::start(move |conn| {
            conn.request()?;
            if in_body {
                conn.write(head("200 OK", &[("Content-Length", "1000000")]))?;
            }
            conn.wait_for_close().map(drop)
        });
        let said = both(|builder| {
            let connector = connector_of_one(builder);
            let request = session_of(&connector).get(peer.url("/")).timeout(FAR);
            let start = Instant::now();
            let said = said(peer.port(), || request.send()?.bytes());
            let taken = start.elapsed();
            assert!(taken >= FAR, "fired after {taken:?}");
            assert_eq!(at_rest(&connector), 0);
            said
        });
        assert_eq!(said.timeout, Some(Timeout::Total));
    };
    thread::scope(|scope| {
        scope.spawn(|| story(false));
        scope.spawn(|| story(true));
    });
}
