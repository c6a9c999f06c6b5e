//! Cookie stores of the caller's own.

use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};

use miohttp::{CookieStore, HeaderValue, Session, Url};

use crate::support::{Peer, enter, ok, response};
use crate::{Send_, at_rest};

/// Keeps the pairs it was given, for every URL, and notes who asks.
#[derive(Default)]
struct Notebook {
    pairs: Mutex<Vec<String>>,
    notes: Mutex<Vec<String>>,
    threads: Mutex<Vec<ThreadId>>,
}

impl CookieStore for Notebook {
    fn store(&self, url: &Url, set_cookie: &mut dyn Iterator<Item = &HeaderValue>) {
        enter(&self.threads).push(thread::current().id());
        for value in set_cookie {
            let text = value.to_str().unwrap();
            enter(&self.notes).push(format!("{} {text}", url.path()));
            let pair = text.split(';').next().unwrap_or_default();
            enter(&self.pairs).push(pair.to_owned());
        }
    }

    fn cookies(&self, url: &Url) -> Option<HeaderValue> {
        enter(&self.threads).push(thread::current().id());
        assert_eq!((url.username(), url.password()), ("", None));
        let pairs = enter(&self.pairs).join("; ");
        let header = (!pairs.is_empty()).then(|| HeaderValue::from_str(&pairs));
        header.map(Result::unwrap)
    }
}

/// As [`each_way`](crate::each_way), with a session of this store.
fn each_way<S: CookieStore + 'static>(store: impl Fn() -> S, story: impl Fn(&Session, &S, Send_)) {
    crate::each_way(|session, send| {
        let store = Arc::new(store());
        let session = Session::builder()
            .connector(session.connector().clone())
            .cookie_store(store.clone())
            .build();
        story(&session, &store, send);
        at_rest(session.connector());
    });
}

/// Two redirects, each with cookies, to a page that shows what it was sent.
fn baker() -> Peer {
    Peer::serve(|request| {
        let to = |location, cookies: [(&str, &str); 2]| {
            let [one, other] = cookies;
            response("302 Found", &[("Location", location), one, other], "")
        };
        match request.target.as_str() {
            "/0" => to("/1", [("Set-Cookie", "a=1; Path=/"), ("set-cookie", "b=2")]),
            "/1" => to("/2", [("SET-COOKIE", "c=3"), ("x", "y")]),
            _ => ok(request.header("cookie").unwrap_or_default()),
        }
    })
}

#[test]
fn a_store_sees_every_hop_on_the_thread_that_waits() {
    // SPEC S9, D8
    let peer = baker();
    each_way(Notebook::default, |session, store, send| {
        let url = peer.url("/0").replace("http://", "http://user:secret@");
        let response = send(session.get(url)).unwrap();
        assert_eq!(response.text().unwrap(), "a=1; b=2; c=3");
        let want = ["/0 a=1; Path=/", "/0 b=2", "/1 c=3"];
        assert_eq!(*enter(&store.notes), want);
        // Asked thrice, told twice.
        assert_eq!(*enter(&store.threads), [thread::current().id(); 5]);
    });
}

#[test]
fn a_stores_cookies_join_an_explicit_header() {
    // SPEC S9, H8
    let peer = baker();
    each_way(Notebook::default, |session, store, send| {
        *enter(&store.pairs) = vec!["a=stored".to_owned()];
        let request = session
            .get(peer.url("/page"))
            .header("cookie", "b=own; a=own");
        let response = send(request).unwrap();
        assert_eq!(response.text().unwrap(), "b=own; a=stored");
    });
}

#[cfg(feature = "cookies")]
#[test]
fn a_jar_is_a_store_like_any_other() {
    // SPEC S9
    use miohttp::CookieJar;

    let peer = baker();
    each_way(CookieJar::new, |session, jar, send| {
        assert!(session.cookie_jar().is_none());
        // Cookies of an IP address are left out.
        let response = send(session.get(peer.url("/0"))).unwrap();
        assert_eq!((response.text().unwrap().as_str(), jar.len()), ("", 0));
    });
    each_way(
        || CookieJar::builder().allow_ip_hosts(true).build(),
        |session, jar, send| {
            let response = send(session.get(peer.url("/0"))).unwrap();
            assert_eq!(response.text().unwrap(), "a=1; b=2; c=3");
            assert_eq!(jar.len(), 3);
        },
    );
}

#[test]
fn a_session_without_a_store_keeps_nothing() {
    // SPEC S9, K12
    let peer = baker();
    let session = Session::builder().no_cookies().build();
    let response = session.get(peer.url("/0")).send().unwrap();
    assert_eq!(response.text().unwrap(), "");
}
