//! Cookies and credentials of a handshake (SPEC W6).

use super::*;
use miohttp::Auth;

#[test]
fn credentials_are_sent() {
    // SPEC W6, Q7, A0
    for started in DRIVERS {
        let peer = agreeing();
        let session = Session::builder().auth(Auth::basic("session", "s")).build();
        let url = ws::url(&peer, "/");
        let with_userinfo = url.replace("ws://", "ws://user:p%40ss@");
        let own = session.ws_connect(&url).auth(Auth::basic("own", "o"));
        let within = session.ws_connect(&with_userinfo);
        for socket in [session.ws_connect(&url), own, within] {
            let socket = connect(socket, started).expect("a WebSocket");
            works(&socket);
            assert_eq!(socket.url().as_str(), url, "without credentials");
        }
        let sent: Vec<_> = peer.requests().iter().map(login).collect();
        assert_eq!(sent, ["session:s", "own:o", "user:p@ss"]);
        // Given twice they are an error, which does not repeat them.
        let twice = session
            .ws_connect(&with_userinfo)
            .auth(Auth::basic("own", "o"));
        let error = refused(connect(twice, started));
        assert_eq!(error.kind(), Kind::InvalidRequest, "{error:#}");
        assert!(!format!("{error:#} {error:?}").contains("p%40ss"));
        let shown = error.url().map(|url| url.as_str().to_owned());
        assert_eq!(shown, Some(url));
    }
}

#[test]
fn a_builder_shows_no_credentials() {
    // SPEC E1
    let socket = Session::new().ws_connect("ws://user:hunter2@h/chat");
    let shown = format!("{socket:?}");
    assert!(
        !shown.contains("hunter2") && shown.contains("chat"),
        "{shown}"
    );
}

fn login(request: &Request) -> String {
    let field = request.header("authorization").expect("credentials");
    let encoded = field.strip_prefix("Basic ").expect("basic ones");
    String::from_utf8(BASE64_STANDARD.decode(encoded).expect("base64")).expect("text")
}

#[cfg(feature = "digest")]
#[test]
fn a_challenge_is_answered() {
    // SPEC W6, A7
    fn hash(text: String) -> String {
        format!("{:x}", md5::compute(text))
    }

    /// Whether it knows the password.
    fn knows(request: &Request) -> bool {
        let Some(field) = request.header("authorization") else {
            return false;
        };
        assert!(field.starts_with("Digest "), "{field}");
        assert!(field.contains("uri=\"/chat?a=b\""), "{field}");
        let secret = hash("user:room:sesame".into());
        let what = hash("GET:/chat?a=b".into());
        field.contains(&format!(
            "response=\"{}\"",
            hash(format!("{secret}:n1:{what}"))
        ))
    }

    for started in DRIVERS {
        let peer = answering(|request| match knows(request) {
            true => yes(request),
            false => {
                let field = "Digest realm=\"room\", nonce=\"n1\"";
                response("401 Who", &[("WWW-Authenticate", field)], "who?")
            }
        });
        let session = Session::new();
        let url = ws::url(&peer, "/chat?a=b");
        let socket = session
            .ws_connect(&url)
            .auth(Auth::digest("user", "sesame"));
        works(&connect(socket, started).expect("a WebSocket"));
        let requests = peer.requests();
        assert_eq!(requests.len(), 2);
        assert_eq!(requests[0].header("authorization"), None);
        for request in &requests {
            ws::check_request(request).expect("a handshake");
        }
        // On the connection that the challenge left behind.
        assert_eq!(peer.connections(), 1);

        let socket = session.ws_connect(&url).auth(Auth::digest("user", "wrong"));
        let error = refused(connect(socket, started));
        assert_eq!(error.kind(), Kind::WsHandshake, "{error:#}");
        assert_eq!(error.status().expect("a status").as_u16(), 401);
        assert_eq!(error.body(), Some(&b"who?"[..]));
    }
}

#[cfg(feature = "cookies")]
#[test]
fn cookies_are_sent_and_kept() {
    // SPEC W6, K7
    // A host with a name: of an address the jar takes nothing.
    let http = |peer: &Peer, path: &str| peer.url_for("localhost", path);
    let named = |peer: &Peer, path: &str| http(peer, path).replacen("http", "ws", 1);
    for started in DRIVERS {
        let peer = answering(|request| match request.target.as_str() {
            "/login" => {
                let fields = [
                    ("Set-Cookie", "id=1; Path=/"),
                    ("Set-Cookie", "safe=1; Path=/; Secure"),
                    ("Set-Cookie", "else=1; Path=/else"),
                ];
                response("200 OK", &fields, "")
            }
            "/chat" => Handshake::new()
                .field("Set-Cookie", "room=7; Path=/")
                .answer(request),
            _ => ok("done"),
        });
        let session = Session::new();
        session
            .get(http(&peer, "/login"))
            .send()
            .expect("an answer");
        let socket = session.ws_connect(named(&peer, "/chat")).cookie("own", "x");
        works(&connect(socket, started).expect("a WebSocket"));
        session
            .get(http(&peer, "/after"))
            .send()
            .expect("an answer");
        let requests = peer.requests();
        assert_eq!(requests[1].header("cookie"), Some("id=1; own=x"));
        assert_eq!(requests[2].header("cookie"), Some("id=1; room=7"));

        // Those of a refusal are kept, too.
        let peer = answering(|request| match request.header("cookie") {
            Some("seen=1") => yes(request),
            _ => response("403 First", &[("Set-Cookie", "seen=1")], ""),
        });
        let session = Session::new();
        let error = refused(connect(session.ws_connect(named(&peer, "/")), started));
        assert_eq!(error.status().expect("a status").as_u16(), 403);
        works(&connect(session.ws_connect(named(&peer, "/")), started).expect("a WebSocket"));
    }
}
