//! Against servers that others wrote: nginx, aiohttp, httpbin and openssl, over plain TCP
//! and TLS. The first half asks the library, the second compares what the example
//! `fetch` writes with what curl writes.
//!
//! A server that is not installed is skipped, and the test says so, unless the variable
//! `MIOHTTP_INTEROP_REQUIRED` is set: then it fails. See `tests/interop/setup.sh`.
#![cfg(all(
    feature = "tls",
    feature = "gzip",
    feature = "json",
    feature = "cookies",
    feature = "digest"
))]

#[cfg(target_os = "linux")]
#[path = "interop/blackhole.rs"]
mod blackhole;
#[path = "interop/bodies.rs"]
mod bodies;
#[cfg(feature = "websocket")]
#[path = "interop/by_tungstenite.rs"]
mod by_tungstenite;
#[path = "interop/certificates.rs"]
mod certificates;
#[path = "interop/clients.rs"]
mod clients;
#[path = "interop/forms.rs"]
mod forms;
#[path = "interop/httpbin.rs"]
mod httpbin;
#[path = "interop/logins.rs"]
mod logins;
#[cfg(feature = "hickory-dns")]
#[path = "interop/names.rs"]
mod names;
#[path = "interop/proxies.rs"]
mod proxies;
#[path = "interop/proxy_certificates.rs"]
mod proxy_certificates;
mod support;
#[cfg(feature = "websocket")]
#[path = "interop/websockets.rs"]
mod websockets;

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use miohttp::{
    Auth, Connector, Kind, Phase, RedirectPolicy, Session, Timeout, Timeouts, TlsConfig, wait_all,
};
use serde_json::{Value, json};

use support::fetch::{Scratch, fetch};
use support::interop::{PATTERN, Server, missing, servers};
use support::{Peer, refusing_address};

#[test]
fn connections_are_kept_and_used_again() {
    // SPEC P1
    for (server, paths) in servers(["/64k", "/bytes/65536"]) {
        for origin in origins(&server) {
            let session = session(&server);
            for round in 0..5 {
                let response = session.get(format!("{origin}{paths}")).send().unwrap();
                assert_eq!(response.is_reused(), round > 0, "{origin}");
                assert_pattern(&response.bytes().unwrap(), 65536);
            }
            let stats = session.connector().stats();
            assert_eq!((stats.opened, stats.reused), (1, 4), "{origin}");
        }
    }
}

#[test]
fn a_server_that_closes_is_left_in_peace() {
    // SPEC P4: announced by `Connection: close`, by either server.
    for (server, path) in servers(["/close", "/close"]) {
        let session = session(&server);
        for _ in 0..3 {
            let response = session.get(server.url(path)).send().unwrap();
            assert!(!response.is_reused());
            response.bytes().unwrap();
        }
        assert_eq!(session.connector().stats().opened, 3);
    }
    // Three requests a connection.
    for (server, path) in servers(["/few", ""]).filter(|(_, path)| !path.is_empty()) {
        let session = session(&server);
        for _ in 0..7 {
            session
                .get(server.url(path))
                .send()
                .unwrap()
                .bytes()
                .unwrap();
        }
        assert_eq!(session.connector().stats().opened, 3);
    }
}

#[test]
fn a_posted_body_arrives() {
    // SPEC B1, B2, H5, H6
    for (server, path) in servers(["/upload", "/echo"]) {
        let session = session(&server);
        for origin in origins(&server) {
            let url = format!("{origin}{path}");
            let text = session.post(&url).body("hello").send().unwrap().text();
            let text = text.unwrap();
            if path == "/upload" {
                assert_eq!(text, "POST 5\n");
                continue;
            }
            let echo: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(echo["method"], "POST");
            assert_eq!(echo["text"], "hello");
            assert_eq!(header(&echo, "content-type"), ["text/plain; charset=utf-8"]);
            assert_eq!(header(&echo, "content-length"), ["5"]);
        }
    }
}

#[test]
fn a_large_body_goes_there_and_back() {
    // It comes back while it still goes out.
    let body = pattern(4 << 20);
    for (server, path) in servers(["", "/mirror"]).filter(|(_, path)| !path.is_empty()) {
        let session = session(&server);
        for origin in origins(&server) {
            let request = session.put(format!("{origin}{path}")).body(body.clone());
            let mirrored = request.send().unwrap().bytes().unwrap();
            assert!(mirrored == body, "{origin}: {} bytes", mirrored.len());
        }
    }
}

#[test]
fn an_answer_that_does_not_wait_for_the_body_is_delivered() {
    // SPEC B9
    for (server, path) in servers(["/small-upload", ""]).filter(|(_, path)| !path.is_empty()) {
        let session = session(&server);
        for origin in origins(&server) {
            let request = session
                .post(format!("{origin}{path}"))
                .body(pattern(8 << 20));
            assert_eq!(request.send().unwrap().status(), 413, "{origin}");
        }
    }
}

#[test]
fn json_goes_there_and_back() {
    // SPEC Q5, R23
    for (server, path) in servers(["", "/echo"]).filter(|(_, path)| !path.is_empty()) {
        let session = session(&server);
        let sent = json!({"name": "Ærø", "list": [1, 2.5, null]});
        let response = session.post(server.tls_url(path)).json(&sent).send();
        let echo: Value = response.unwrap().json().unwrap();
        assert_eq!(header(&echo, "content-type"), ["application/json"]);
        let arrived = echo["text"].as_str().unwrap();
        assert_eq!(serde_json::from_str::<Value>(arrived).unwrap(), sent);
    }
}

#[test]
fn redirects_are_followed() {
    // SPEC D1, D2, D5
    for (server, path) in servers(["/redirect", "/redirect/1"]) {
        let session = session(&server);
        for origin in origins(&server) {
            let url = format!("{origin}{path}");
            let response = session.get(&url).send().unwrap();
            assert_eq!(response.status(), 200);
            assert_eq!(response.history().len(), 1);
            let unfollowed = session.get(&url).redirects(RedirectPolicy::None).send();
            assert_eq!(unfollowed.unwrap().status(), 302);
        }
    }
    for (server, path) in servers(["", "/redirect/10"]).filter(|(_, path)| !path.is_empty()) {
        let session = session(&server);
        for (status, method, text) in [(302, "GET", ""), (303, "GET", ""), (307, "POST", "kept")] {
            let request = session.post(server.url(&format!("{path}?status={status}")));
            let response = request.body("kept").send().unwrap();
            assert_eq!(response.history().len(), 10);
            let echo: Value = response.json().unwrap();
            assert_eq!(
                (&echo["method"], &echo["text"]),
                (&json!(method), &json!(text))
            );
        }
        let error = session.get(server.url("/redirect/11")).send().unwrap_err();
        assert_eq!(error.kind(), Kind::TooManyRedirects);
        assert_eq!(error.history().len(), 10);
    }
}

#[test]
fn cookies_are_kept_and_sent_back() {
    // SPEC K2, K7. By name, for an address has no cookies (K1).
    for (server, path) in servers(["/cookies/set", "/cookies/set?a=1&b=2"]) {
        let base = format!("http://localhost:{}", server.port);
        let session = session(&server);
        let answer = session.get(format!("{base}{path}")).send().unwrap();
        let text = answer.text().unwrap();
        match serde_json::from_str::<Value>(&text) {
            Ok(cookies) => assert_eq!(cookies, json!({"a": "1", "b": "2"})),
            Err(_) => assert_eq!(text, "a=1; b=2"),
        }
        // Another session is another jar.
        let other = self::session(&server).get(format!("{base}/cookies")).send();
        let other = other.unwrap().text().unwrap();
        assert!(other.is_empty() || other == "{}", "{other}");
    }
}

#[test]
fn basic_authentication_opens_the_door() {
    // SPEC A2, A4, Q7
    for (server, path) in servers(["/auth", "/auth"]) {
        let session = session(&server);
        for origin in origins(&server) {
            let url = format!("{origin}{path}");
            assert_eq!(session.get(&url).send().unwrap().status(), 401);
            let wrong = session.get(&url).auth(Auth::basic("user", "guess"));
            assert_eq!(wrong.send().unwrap().status(), 401);
            let right = session.get(&url).auth(Auth::basic("user", "secret"));
            assert_eq!(right.send().unwrap().status(), 200);
            let inside = url.replace("://", "://user:secret@");
            let response = session.get(inside).send().unwrap();
            assert_eq!(response.status(), 200);
            assert_eq!(response.url().as_str(), url);
        }
    }
}

#[test]
fn head_has_a_length_and_no_body() {
    // SPEC R38
    for (server, path) in servers(["/64k", "/bytes/65536"]) {
        for origin in origins(&server) {
            let session = session(&server);
            let url = format!("{origin}{path}");
            let response = session.head(&url).send().unwrap();
            assert_eq!(response.content_length(), Some(65536));
            assert!(response.bytes().unwrap().is_empty());
            // Nothing of a body was mistaken for the next response.
            let response = session.get(&url).send().unwrap();
            assert!(response.is_reused());
            assert_pattern(&response.bytes().unwrap(), 65536);
        }
    }
}

#[test]
fn a_status_can_be_an_error() {
    // SPEC R22
    for (server, path) in servers(["/no-such-file", "/status/404"]) {
        let session = session(&server);
        for origin in origins(&server) {
            let response = session.get(format!("{origin}{path}")).send().unwrap();
            assert!(!response.is_ok());
            let error = response.error_for_status().unwrap_err();
            assert_eq!(error.kind(), Kind::Status);
            assert_eq!(error.status().unwrap(), 404);
            // nginx says it in the body once more, aiohttp sends none.
            let body = String::from_utf8_lossy(error.body().unwrap()).into_owned();
            assert!(body.is_empty() || body.contains("404 Not Found"), "{body}");
        }
    }
}

#[test]
fn compressed_bodies_are_decoded() {
    // SPEC R39
    for (server, paths) in servers([&["/text.txt"][..], &["/gzip", "/deflate"]]) {
        let session = session(&server);
        for (origin, path) in origins(&server)
            .iter()
            .flat_map(|origin| paths.iter().map(move |path| (origin, path)))
        {
            let url = format!("{origin}{path}");
            let response = session.get(&url).send().unwrap();
            assert!(response.headers().contains_key("content-encoding"), "{url}");
            assert_pattern(&response.bytes().unwrap(), 65536);
            // As it came, if that is wanted (S14): much shorter.
            let response = session.get(&url).auto_decompress(false);
            let response = response.header("accept-encoding", "gzip").send().unwrap();
            assert!(response.bytes().unwrap().len() < 6000, "{url}");
        }
    }
}

#[test]
fn chunked_bodies_are_joined() {
    // SPEC R38
    for (server, path) in servers(["/chunked/64k", "/chunked"]) {
        let session = session(&server);
        for origin in origins(&server) {
            let response = session.get(format!("{origin}{path}")).send().unwrap();
            assert_eq!(response.headers()["transfer-encoding"], "chunked");
            assert_pattern(&response.bytes().unwrap(), 65536);
        }
        assert_eq!(session.connector().stats().opened, 2);
    }
}

#[test]
fn a_server_that_takes_its_time_meets_the_limits() {
    // SPEC T1, T4: the head comes at once, the body in a minute.
    let slow = "/slow?ms=60000&n=1";
    for (server, path) in servers(["", slow]).filter(|(_, path)| !path.is_empty()) {
        let session = session(&server);
        let short = Duration::from_millis(100);
        for origin in origins(&server) {
            for (timeouts, which, phase) in [
                (Timeouts::none().total(short), Timeout::Total, Phase::Total),
                (
                    Timeouts::none().sock_read(short),
                    Timeout::SockRead,
                    Phase::Body,
                ),
            ] {
                let request = session.get(format!("{origin}{path}")).timeouts(timeouts);
                let error = match request.send() {
                    Ok(response) => response.bytes().unwrap_err(),
                    // The machine may be so slow that the total limit comes first.
                    Err(error) => error,
                };
                assert_eq!(error.kind(), Kind::Timeout, "{error:#}");
                assert_eq!(error.timeout(), Some(which));
                assert_eq!(error.phase(), Some(phase));
            }
        }
    }
}

#[test]
fn two_hundred_requests_are_in_flight_from_one_thread() {
    // SPEC C3: a hundred connections at most, the rest waits.
    for (server, path) in servers(["/64k", "/bytes/65536"]) {
        for origin in origins(&server) {
            let session = session(&server);
            let url = format!("{origin}{path}");
            let pending: Vec<_> = (0..200).map(|_| session.get(&url).start_send()).collect();
            for response in wait_all(pending) {
                assert_pattern(&response.unwrap().bytes().unwrap(), 65536);
            }
            let stats = session.connector().stats();
            assert!(stats.opened <= 100, "{stats:?}");
            assert_eq!(stats.opened + stats.reused, 200, "{stats:?}");
            assert_eq!((stats.in_use, stats.waiting), (0, 0), "{stats:?}");
        }
    }
}

#[test]
fn tls_sessions_are_resumed() {
    // SPEC C20: by the server's own word. `localhost` has an address where
    // nobody listens, and no ticket is spent on trying it.
    for (server, path) in servers(["/tls", "/tls"]) {
        let tls = TlsConfig::new().add_root_pem(&server.ca_pem()).unwrap();
        let connector = Connector::builder().tls(tls).force_close(true).build();
        let session = Session::builder().connector(connector).build();
        let ask = || session.get(server.tls_url(path)).send()?.text();
        let said: Result<Vec<_>, _> = (0..5).map(|_| ask()).collect();
        assert_eq!(said.unwrap(), [".", "r", "r", "r", "r"], "{}", server.log());
        assert_eq!(session.connector().stats().opened, 5);
    }
}

#[cfg(unix)]
#[test]
fn unix_sockets_lead_to_the_same_pages() {
    // SPEC U1: `Host`, cookies and the certificate's name are those of the URL.
    let Some(server) = support::interop::server("nginx") else {
        return;
    };
    for (scheme, word) in [("http", "SOCKET"), ("https", "TLS_SOCKET")] {
        let tls = TlsConfig::new().add_root_pem(&server.ca_pem()).unwrap();
        let path = Path::new(server.word(word));
        let builder = Connector::builder().tls(tls).unix_socket(path);
        let session = Session::builder().connector(builder.build()).build();
        for round in 0..4 {
            let get = session.get(format!("{scheme}://localhost/64k"));
            let answer = match round % 2 {
                0 => get.send().unwrap(),
                _ => get.start_send().wait().unwrap(),
            };
            assert_eq!(answer.is_reused(), round > 0);
            assert_pattern(&answer.bytes().unwrap(), 65536);
        }
        let url = format!("{scheme}://localhost/cookies/set");
        let cookies = session.get(url).send().unwrap().text().unwrap();
        assert_eq!(cookies, "a=1; b=2");
        let url = format!("{scheme}://elsewhere.example/1");
        match session.get(url).send() {
            Ok(answer) => assert_eq!((scheme, answer.status().as_u16()), ("http", 200)),
            Err(error) => assert_eq!((scheme, error.kind()), ("https", Kind::Certificate)),
        }
    }
}

#[test]
fn an_unknown_authority_is_refused() {
    for (server, path) in servers(["/1", "/bytes/1"]) {
        let error = Session::new().get(server.tls_url(path)).send().unwrap_err();
        assert_eq!(error.kind(), Kind::Certificate, "{error:#}");
        assert!(error.is_tls() && error.is_connect());
    }
}

#[test]
fn a_server_that_hangs_up_is_an_error() {
    for (server, path) in servers(["/hang-up", ""]).filter(|(_, path)| !path.is_empty()) {
        let session = session(&server);
        for origin in origins(&server) {
            let error = session.get(format!("{origin}{path}")).send().unwrap_err();
            assert_eq!(error.kind(), Kind::Disconnected, "{error:#}");
        }
    }
}

// The example `fetch`, which is the library with a command line.

#[test]
fn fetch_writes_what_curl_writes() {
    if Command::new("curl").arg("--version").output().is_err() {
        return missing("curl");
    }
    const LARGE: usize = 100 << 20;
    let nginx = [
        ("/0", 0),
        ("/1", 1),
        ("/64k", 65536),
        ("/100m", LARGE),
        ("/chunked/0", 0),
        ("/chunked/1", 1),
        ("/chunked/64k", 65536),
        ("/chunked/100m", LARGE),
        ("/text.txt", 65536),
    ];
    let aiohttp = [
        ("/bytes/0", 0),
        ("/bytes/1", 1),
        ("/bytes/65536", 65536),
        ("/bytes/104857600", LARGE),
        ("/chunked?n=0", 0),
        ("/chunked?n=1", 1),
        ("/chunked", 65536),
        ("/gzip", 65536),
        ("/deflate", 65536),
    ];
    let scratch = Scratch::new("curl");
    let (by_curl, by_fetch) = (scratch.0.join("curl"), scratch.0.join("fetch"));
    for (server, paths) in servers([nginx, aiohttp]) {
        let mut compared = 0;
        for (origin, (path, length)) in origins(&server)
            .iter()
            .flat_map(|origin| paths.iter().map(move |path| (origin, path)))
        {
            let url = format!("{origin}{path}");
            let mut curl = Command::new("curl");
            curl.args(["-sS", "--compressed"]);
            for (command, into) in [(&mut curl, &by_curl), (&mut fetch(), &by_fetch)] {
                let output = command
                    .arg("--cacert")
                    .arg(&server.ca_path)
                    .arg(&url)
                    .stdout(File::create(into).unwrap())
                    .output()
                    .unwrap();
                let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
                assert!(
                    output.status.success() && complaint.is_empty(),
                    "{url}: {complaint}"
                );
            }
            assert_pattern(&fs::read(&by_fetch).unwrap(), *length);
            assert!(same_files(&by_curl, &by_fetch), "{url} differs from curl's");
            compared += 1;
        }
        println!("{} bodies are the same, byte for byte", compared);
    }
}

#[test]
fn fetch_writes_in_the_order_of_the_arguments() {
    // The first is the slowest, and the last has nobody to answer.
    for (server, paths) in servers([
        ["/100m", "/1", "/redirect", "/64k"],
        [
            "/slow?ms=150&n=2",
            "/bytes/1",
            "/redirect/2",
            "/bytes/65536",
        ],
    ]) {
        let urls = paths.map(|path| server.url(path));
        let refused = format!("http://{}/", refusing_address());
        let together = fetch().args(&urls).arg(refused).output().unwrap();
        assert_eq!(together.status.code(), Some(7));
        let mut one_by_one = Vec::new();
        for url in urls {
            let output = fetch().arg(url).output().unwrap();
            assert_eq!(output.status.code(), Some(0));
            one_by_one.extend(output.stdout);
        }
        assert!(together.stdout == one_by_one);
        let complaint = String::from_utf8_lossy(&together.stderr);
        assert_eq!(complaint.lines().count(), 1, "{complaint}");
    }
}

#[test]
fn fetch_leaves_a_whole_file_or_the_old_one() {
    let peer = Peer::start(|conn| {
        conn.request()?;
        conn.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    });
    let scratch = Scratch::new("file");
    let file = scratch.0.join("file");
    fs::write(&file, "old").unwrap();
    let output = fetch()
        .arg(peer.url("/"))
        .arg("-o")
        .arg(&file)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(18), "{output:?}");
    assert_eq!(fs::read(&file).unwrap(), b"old");
    assert_eq!(fs::read_dir(&scratch.0).unwrap().count(), 1);

    let peer = Peer::serve(|_| support::ok("new"));
    let output = fetch()
        .arg(peer.url("/"))
        .arg("-o")
        .arg(&file)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(fs::read(&file).unwrap(), b"new");
    assert_eq!(fs::read_dir(&scratch.0).unwrap().count(), 1);
    assert!(output.stdout.is_empty() && output.stderr.is_empty());
}

#[test]
fn fetch_ends_quietly_when_its_reader_goes() {
    let peer = Peer::serve(|_| support::ok("x".repeat(8 << 20)));
    let mut child = fetch()
        .arg(peer.url("/"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 5];
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut first).unwrap();
    drop(stdout);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty());
}

#[test]
fn fetch_tells_failures_apart() {
    let refused = format!("http://{}/", refusing_address());
    let plain = Peer::serve(|_| support::response("404 Not Found", &[], "no"));
    let silent = Peer::start(|conn| conn.wait_for_close().map(drop));
    let puzzled = Peer::start(|conn| conn.write("HTTP/1.1 400 Bad Request\r\n\r\n"));
    let tls = Peer::serve_tls(support::TlsOptions::default(), |_| support::ok("hidden"));
    let (not_found, silent, tls) = (plain.url("/"), silent.url("/"), tls.url("/"));
    let not_tls = puzzled.url("/").replace("http:", "https:");
    let cases: [(&[&str], i32, &str); 13] = [
        (&[], 2, "no URL"),
        (&["-o", "file", "a", "b"], 2, "-o takes one URL"),
        (&["-H", "no colon", "a"], 2, "header"),
        (&["http://user:secret@[::1"], 3, "URL"),
        (&[&refused], 7, "refused"),
        (&[&not_found], 0, ""),
        (&["-f", &not_found], 22, "404"),
        (&["-o", "/nowhere/file", &not_found], 23, "/nowhere/file"),
        (&["-d", "@/nowhere/file", &not_found], 26, "/nowhere/file"),
        (&["-m", "0.1", &silent], 28, "timed out"),
        (&[&not_tls], 35, "TLS"),
        (&[&tls], 60, "certificate"),
        (&["-k", &tls], 0, ""),
    ];
    for (arguments, status, message) in cases {
        let output = fetch().args(arguments).output().unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            output.status.code(),
            Some(status),
            "{arguments:?}: {complaint}"
        );
        assert!(complaint.contains(message), "{arguments:?}: {complaint}");
        assert_eq!(
            complaint.is_empty(),
            status == 0,
            "{arguments:?}: {complaint}"
        );
        assert!(!complaint.contains("secret"), "{complaint}");
    }
}

// What the tests above use.

/// Plain, then TLS.
fn origins(server: &Server) -> [String; 2] {
    [server.url(""), server.tls_url("")]
}

fn session(server: &Server) -> Session {
    let tls = TlsConfig::new().add_root_pem(&server.ca_pem()).unwrap();
    let connector = Connector::builder().tls(tls).build();
    Session::builder().connector(connector).build()
}

/// The values of this header that aiohttp's `/echo` has seen.
fn header(echo: &Value, name: &str) -> Vec<String> {
    let fields = echo["headers"].as_array().unwrap();
    let named = |field: &&Value| {
        field[0]
            .as_str()
            .is_some_and(|n| n.eq_ignore_ascii_case(name))
    };
    let value = |field: &Value| field[1].as_str().unwrap().to_owned();
    fields.iter().filter(named).map(value).collect()
}

fn pattern(length: usize) -> Vec<u8> {
    let mut pattern = PATTERN.repeat(length / PATTERN.len() + 1);
    pattern.truncate(length);
    pattern
}

/// Every byte is what it should be.
#[track_caller]
fn assert_pattern(body: &[u8], length: usize) {
    assert_eq!(body.len(), length);
    let block = PATTERN.repeat(1000);
    let wrong = body
        .chunks(block.len())
        .position(|part| part != &block[..part.len()]);
    // A single byte is not of the pattern.
    assert!(length == 1 || wrong.is_none(), "block {wrong:?} is wrong");
}

fn same_files(one: &Path, other: &Path) -> bool {
    fs::read(one).unwrap() == fs::read(other).unwrap()
}
