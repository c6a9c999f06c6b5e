//! Hosts that want https alone (RFC 6797): what is learnt of them, and that no
//! request goes to them by http any more.
#![cfg(feature = "tls")]

mod support;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use miohttp::{Connector, HstsStore, Kind, Session, SessionBuilder, TlsConfig};
use support::tls::ca_pem;
use support::{Certificate, Peer, TlsOptions, ok, response};

const DAY: Duration = Duration::from_secs(86_400);

fn trusting() -> TlsConfig {
    let tls = TlsConfig::new().builtin_roots(false);
    tls.add_root_pem(ca_pem().as_bytes()).expect("good PEM")
}

fn builder(hsts: &HstsStore) -> SessionBuilder {
    let connector = Connector::builder().tls(trusting()).build();
    Session::builder().connector(connector).hsts(hsts.clone())
}

fn session(hsts: &HstsStore) -> Session {
    builder(hsts).build()
}

/// A peer behind TLS whose responses have these fields.
fn strict(fields: &'static [&'static str]) -> Peer {
    Peer::serve_tls(TlsOptions::default(), move |_| {
        let fields: Vec<_> = fields
            .iter()
            .map(|value| ("strict-transport-security", *value))
            .collect();
        response("200 OK", &fields, "hello")
    })
}

/// The URL of this peer as one of http.
fn plain(peer: &Peer, host: &str, path: &str) -> String {
    let url = peer.url_for(host, path);
    url.replacen("https://", "http://", 1)
}

#[test]
fn a_host_that_has_asked_for_it_is_asked_by_https_alone() {
    let hsts = HstsStore::new();
    let session = session(&hsts);
    let peer = strict(&["max-age=100"]);
    let learnt = session.get(peer.url_for("localhost", "/1")).send();
    learnt.expect("an answer").drain().expect("its body");
    assert!(hsts.contains("localhost"));

    let url = plain(&peer, "user:secret@localhost", "/2?q#f");
    let response = session.get(url).send().expect("an answer over TLS");
    assert_eq!(response.url().as_str(), peer.url_for("localhost", "/2?q#f"));
    assert_eq!(response.request_info().url().scheme(), "https");
    assert!(response.tls_info().is_some() && response.history().is_empty());
    drop(response);
    let started = session.get(plain(&peer, "LOCALHOST", "/3")).start_send();
    assert_eq!(started.wait().expect("an answer").status(), 200);

    let requests = peer.requests();
    assert_eq!(requests.len(), 3);
    assert!(requests[1].header("authorization").is_some());
    assert_eq!(peer.connections(), 1, "one pool key, whatever was written");
}

#[test]
fn without_a_store_nothing_is_learnt() {
    let connector = Connector::builder().tls(trusting()).build();
    let session = Session::builder().connector(connector).build();
    let peer = strict(&["max-age=100"]);
    let learnt = session.get(peer.url_for("localhost", "/")).send();
    learnt.expect("an answer").drain().expect("its body");
    let plain_peer = Peer::serve(|_| ok("plain"));
    let text = session.get(plain_peer.url_for("localhost", "/")).send();
    assert_eq!(text.expect("an answer").text().expect("text"), "plain");
}

#[test]
fn the_first_field_counts_and_zero_takes_it_back() {
    let hsts = HstsStore::new();
    let session = session(&hsts);
    for (fields, want) in [
        (&["nonsense=1", "max-age=100"][..], false),
        (&["max-age=100", "max-age=0"], true),
        (&["max-age=0; max-age=0"], true),
        (&["max-age=0"], false),
        (&["max-age=100; includeSubDomains"], true),
        (&["max-age=0"], false),
    ] {
        let peer = strict(fields);
        let response = session.get(peer.url_for("localhost", "/")).send();
        response.expect("an answer").drain().expect("its body");
        assert_eq!(hsts.contains("localhost"), want, "{fields:?}");
    }
}

#[test]
fn what_nothing_vouches_for_is_not_believed() {
    let field = [("strict-transport-security", "max-age=100")];
    let hsts = HstsStore::new();
    // By http.
    let peer = Peer::serve(move |_| response("200 OK", &field, ""));
    let session = session(&hsts);
    let answer = session.get(peer.url_for("localhost", "/")).send();
    answer.expect("an answer").drain().expect("its body");
    assert!(hsts.is_empty());
    // From an address.
    let peer = strict(&["max-age=100"]);
    let answer = session.get(peer.url_for("127.0.0.1", "/")).send();
    answer.expect("an answer").drain().expect("its body");
    assert!(hsts.is_empty());
    // With a certificate that was not looked at.
    let options = TlsOptions::new(Certificate::SelfSigned);
    let nobody = Peer::serve_tls(options, move |_| response("200 OK", &field, ""));
    let lenient = TlsConfig::new().danger_accept_invalid_certs(true);
    let connector = Connector::builder().tls(lenient).build();
    let session = Session::builder()
        .connector(connector)
        .hsts(hsts.clone())
        .build();
    let answer = session.get(nobody.url_for("localhost", "/")).send();
    answer.expect("an answer").drain().expect("its body");
    assert!(hsts.is_empty());
    // With one for another name than the URL's.
    let answer = self::session(&hsts)
        .get(peer.url_for("localhost", "/"))
        .server_name("127.0.0.1")
        .send();
    answer.expect("an answer").drain().expect("its body");
    assert!(hsts.is_empty());
}

#[test]
fn a_redirect_to_http_goes_to_https() {
    let hsts = HstsStore::new();
    hsts.insert("localhost", DAY, false);
    let session = builder(&hsts).refuse_downgrade(true).build();
    let peer = Peer::serve_tls(TlsOptions::default(), |request| match &*request.target {
        "/" => {
            let host = request.header("host").unwrap_or_default();
            let to = format!("http://{host}/next");
            response("302 Found", &[("location", &to)], "")
        }
        _ => ok("there"),
    });
    let response = session
        .get(peer.url_for("localhost", "/"))
        .auth(miohttp::BasicAuth::new("me", "secret"))
        .send()
        .expect("nothing of it was http");
    assert_eq!(response.url().as_str(), peer.url_for("localhost", "/next"));
    assert_eq!(response.history().len(), 1);
    drop(response);
    let requests = peer.requests();
    // It is the very origin that they were meant for.
    assert!(requests[1].header("authorization").is_some());

    hsts.clear();
    let error = session.get(peer.url_for("localhost", "/")).send();
    assert_eq!(error.expect_err("a downgrade").kind(), Kind::BadRedirect);
}

#[test]
fn a_host_that_has_no_https_is_not_asked_at_all() {
    let hsts = HstsStore::new();
    hsts.insert("localhost", DAY, false);
    let peer = Peer::start(|conn| {
        assert_eq!(conn.read_some()?[0], 22, "a TLS handshake and no request");
        conn.write("HTTP/1.1 400 Bad Request\r\n\r\n")
    });
    let error = session(&hsts)
        .get(peer.url_for("localhost", "/"))
        .send()
        .expect_err("it speaks no TLS");
    assert!(error.is_tls(), "{error:#}");
    assert_eq!(error.url().map(|url| url.scheme()), Some("https"));
    peer.finish();
}

#[cfg(feature = "cookies")]
#[test]
fn cookies_go_by_the_url_that_is_asked() {
    let hsts = HstsStore::new();
    hsts.insert("localhost", DAY, false);
    let session = session(&hsts);
    let peer = Peer::serve_tls(TlsOptions::default(), |_| {
        response("200 OK", &[("set-cookie", "sid=1; Secure")], "")
    });
    for path in ["/1", "/2"] {
        let answer = session.get(plain(&peer, "localhost", path)).send();
        answer.expect("an answer").drain().expect("its body");
    }
    assert_eq!(peer.requests()[1].header("cookie"), Some("sid=1"));
}

/// A folder of its own, gone with the value.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("miohttp-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).expect("a temporary folder can be made");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn what_was_learnt_outlives_the_program() {
    let folder = Folder::new("hsts");
    let path = folder.0.join("hosts");
    let hsts = HstsStore::new();
    assert!(hsts.load(&path).expect_err("no file yet").is_not_found());
    hsts.insert("example.com", DAY, true);
    hsts.insert("other.test", Duration::MAX, false);
    assert_eq!(hsts.save(&path).expect("a file"), 2);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(&path).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let text = fs::read_to_string(&path).expect("a file");
    assert!(text.contains("\n.example.com \"2"), "{text}");
    assert!(text.contains("\nother.test \"unlimited\"\n"), "{text}");

    let later = HstsStore::new();
    later.insert("forgotten.test", DAY, false);
    assert_eq!(later.load(&path).expect("the file"), 2);
    assert!(later.contains("www.example.com") && later.contains("other.test"));
    assert!(!later.contains("www.other.test") && !later.contains("forgotten.test"));

    // A damaged file changes nothing, and is told with its line.
    fs::write(&path, "new.test \"unlimited\"\nother.test soon\n").expect("a file");
    let error = later.load(&path).expect_err("a damaged file");
    assert_eq!((error.line(), error.path()), (Some(2), &*path));
    assert!(error.is_malformed() && !error.to_string().contains("soon"));
    assert!(later.contains("other.test") && !later.contains("new.test"));
    // What is over is left out; of two lines the longer and stricter counts.
    let lines = "old.test \"20010101 00:00:00\"\n.a.test \"20010101 00:00:00\"\n\
        a.test \"unlimited\"\n.b.test \"29991231 00:00:00\"\nb.test \"unlimited\"\n";
    fs::write(&path, lines).expect("a file");
    assert_eq!(later.load(&path).expect("a good file"), 2);
    assert!(later.contains("a.test") && !later.contains("x.a.test"));
    assert!(later.contains("x.b.test"));
    assert!(later.save(folder.0.join("none/hosts")).is_err());
}
