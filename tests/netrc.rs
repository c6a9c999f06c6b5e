//! Credentials from a netrc file: for whom, before what, and where they stay.

mod support;

use std::fs;
use std::path::PathBuf;

use miohttp::{BasicAuth, Netrc, RequestBuilder, Session};
use support::{Peer, head, ok};

/// A file of this test alone, gone with it.
struct NetrcFile(PathBuf);

impl NetrcFile {
    fn new(name: &str, text: &str) -> Self {
        let name = format!("miohttp-{name}-{}.netrc", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::write(&path, text).expect("a file in the temporary folder");
        Self(path)
    }
}

impl Drop for NetrcFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

const ENTRIES: &str = "machine 127.0.0.1 login net password \"r c\"\n\
                       machine 127.0.0.1 login other password two\n\
                       machine localhost login local\n";

fn basic(login: &str, password: &str) -> String {
    let value = BasicAuth::new(login, password).encode().unwrap();
    value.to_str().unwrap().to_owned()
}

/// What a request carries.
fn sent(
    session: &Session,
    build: impl FnOnce(&Session, &Peer) -> RequestBuilder,
) -> Option<String> {
    let peer = Peer::serve(|_| ok(""));
    build(session, &peer).send().expect("an answer");
    let request = peer.requests().pop().expect("one request");
    assert!(request.header_all("authorization").count() <= 1);
    request.header("authorization").map(str::to_owned)
}

#[test]
fn a_file_gives_what_nobody_else_does() {
    // SPEC A0, A6
    let file = NetrcFile::new("order", ENTRIES);
    let builder = || Session::builder().netrc(&file.0);
    let session = builder().build();
    let get = |session: &Session, peer: &Peer| session.get(peer.url("/"));
    assert_eq!(sent(&session, get), Some(basic("net", "r c")));
    let own = sent(&session, |s, p| get(s, p).auth(("own", "p")));
    assert_eq!(own, Some(basic("own", "p")));
    let header = sent(&session, |s, p| get(s, p).header("authorization", "Own x"));
    assert_eq!(header.as_deref(), Some("Own x"));
    let url = sent(&session, |s, p| s.get(p.url_for("u:p@127.0.0.1", "/")));
    assert_eq!(url, Some(basic("u", "p")));
    // A user alone has the password of its own entry, if there is one.
    let url = sent(&session, |s, p| s.get(p.url_for("other@127.0.0.1", "/")));
    assert_eq!(url, Some(basic("other", "two")));
    let url = sent(&session, |s, p| s.get(p.url_for("nobody@127.0.0.1", "/")));
    assert_eq!(url, Some(basic("nobody", "")));
    let session = builder().auth(("default", "d")).build();
    assert_eq!(sent(&session, get), Some(basic("default", "d")));
    let session = builder().default_header("authorization", "Own y").build();
    assert_eq!(sent(&session, get).as_deref(), Some("Own y"));
    let none = Netrc::parse("machine elsewhere.test login a").unwrap();
    let session = Session::builder().netrc_entries(none).build();
    assert_eq!(sent(&session, get), None);
    assert_eq!(sent(&Session::new(), get), None);
}

#[test]
fn another_origin_is_looked_up_for_itself() {
    // SPEC A6, D7
    let netrc = || Netrc::parse(ENTRIES).unwrap();
    let there = Peer::serve(|_| ok(""));
    for (host, want) in [
        ("localhost", Some(basic("local", ""))),
        ("127.0.0.1", Some(basic("net", "r c"))),
    ] {
        let location = there.url_for(host, "/to");
        let here = Peer::serve(move |_| {
            head(
                "302 Found",
                &[("Location", &location), ("Content-Length", "0")],
            )
        });
        let session = Session::builder().netrc_entries(netrc()).build();
        let request = session.get(here.url("/from")).auth(("own", "p"));
        request.send().unwrap();
        assert_eq!(
            here.requests()[0].header("authorization"),
            Some(&*basic("own", "p"))
        );
        let last = there.requests().pop().unwrap();
        assert_eq!(
            last.header("authorization").map(str::to_owned),
            want,
            "{host}"
        );
    }
    // Who is not in the file gets nothing.
    let location = there.url_for("localhost", "/to");
    let here = Peer::serve(move |_| {
        head(
            "302 Found",
            &[("Location", &location), ("Content-Length", "0")],
        )
    });
    let netrc = Netrc::parse("machine 127.0.0.1 login net").unwrap();
    let session = Session::builder().netrc_entries(netrc).build();
    session.get(here.url("/from")).send().unwrap();
    assert!(here.requests()[0].header("authorization").is_some());
    assert_eq!(
        there.requests().pop().unwrap().header("authorization"),
        None
    );
}

#[test]
fn a_missing_or_broken_file_stops_nobody() {
    // SPEC A6
    let get = |session: &Session, peer: &Peer| session.get(peer.url("/"));
    let broken = NetrcFile::new("broken", "machine 127.0.0.1 login net password \"r c");
    let missing = broken.0.with_extension("missing");
    for path in [&broken.0, &missing, &std::env::temp_dir()] {
        let session = Session::builder().netrc(path).build();
        assert_eq!(sent(&session, get), None, "{}", path.display());
        assert!(Netrc::load(path).unwrap_err().is_request());
    }
}
