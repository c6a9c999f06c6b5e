//! Bodies that are made while they are sent, in what is tried again or sent
//! elsewhere.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use miohttp::{Action, Body, Kind, Method, RedirectPolicy};

use crate::support::{Peer, refusing_address, response};
use crate::{busy, each_way, hasty, refused, session};

#[test]
fn a_body_that_is_spent_is_not_tried_again() {
    // SPEC Y2, B8
    each_way(|connector, send| {
        let peer = busy(1, refused("503 Service Unavailable"));
        let session = session(&connector, hasty());
        let once = session
            .put(peer.url("/once"))
            .body(Body::reader(&b"once"[..]));
        let response = send(once).unwrap();
        assert_eq!((response.status().as_u16(), response.attempts()), (503, 1));
        assert_eq!(response.text().unwrap(), "not now");
        // A file is read from its beginning again.
        let file = Body::file(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
        let response = send(session.put(peer.url("/file")).body(file)).unwrap();
        assert_eq!((response.status().as_u16(), response.attempts()), (200, 2));
        assert!(response.text().unwrap().contains("[package]"));
    });
}

#[test]
fn a_body_that_nobody_has_begun_is_tried_again() {
    // SPEC Y2, B8
    each_way(|connector, send| {
        let session = session(&connector, hasty());
        let url = format!("http://{}/", refusing_address());
        let request = session.post(url).body(Body::reader(&b"once"[..]));
        let error = send(request).unwrap_err();
        assert_eq!((error.kind(), error.stats().attempts), (Kind::Connect, 3));
    });
}

#[test]
fn a_source_that_fails_is_not_tried_again() {
    // SPEC Y2, B8
    struct Fails(Arc<AtomicUsize>);
    impl Read for Fails {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            self.0.fetch_add(1, Ordering::SeqCst);
            Err(io::Error::other("no more"))
        }
    }
    each_way(|connector, send| {
        let reads = Arc::new(AtomicUsize::new(0));
        let peer = busy(0, Vec::new());
        let session = session(&connector, hasty());
        let body = Body::reader(Fails(reads.clone()));
        let error = send(session.put(peer.url("/")).body(body)).unwrap_err();
        assert_eq!((error.kind(), error.stats().attempts), (Kind::Io, 1));
        assert_eq!(reads.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn a_rule_may_stop_where_a_body_is_spent() {
    // SPEC D10, D14
    let peer = Peer::serve(|_| response("307 Temporary Redirect", &[("Location", "/to")], "way"));
    each_way(|connector, send| {
        let session = session(&connector, hasty());
        let request = |rule: fn() -> Action| {
            let request = session.request(Method::POST, peer.url("/from"));
            let request = request.redirects(RedirectPolicy::custom(move |_| rule()));
            send(request.body(Body::reader(&b"once"[..])))
        };
        let stopped = request(|| Action::Stop).unwrap();
        assert_eq!((stopped.status().as_u16(), stopped.attempts()), (307, 1));
        assert_eq!(stopped.text().unwrap(), "way");
        let error = request(|| Action::Follow).unwrap_err();
        assert_eq!(error.kind(), Kind::BodyNotReplayable);
        assert_eq!(error.status().map(|status| status.as_u16()), Some(307));
        assert_eq!(connector.stats().retried, 0);
    });
}
