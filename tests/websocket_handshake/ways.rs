//! Proxies and TLS on the way of a handshake (SPEC W6, X2).

use super::*;
use miohttp::{Auth, Proxy};
use std::sync::{Arc, Mutex};
use support::{Proxy as Server, enter};

fn by(server: &Server, scheme: &str) -> Proxy {
    Proxy::all(server.url(scheme)).expect("a proxy")
}

#[test]
fn an_http_proxy_is_asked_for_a_tunnel() {
    // SPEC W6, X2, X5
    for started in DRIVERS {
        let peer = agreeing();
        let server = Server::start().with_login("user", "secret");
        let proxy = by(&server, "http").auth(Auth::basic("user", "secret"));
        let sessions = Session::builder().proxy(proxy.clone()).build();
        let own = Session::new();
        for socket in [
            sessions.ws_connect(ws::url(&peer, "/chat")),
            own.ws_connect(peer.url("/chat")).proxy(proxy),
        ] {
            let socket = socket.header("x-secret", "of the origin");
            works(&connect(socket, started).expect("a WebSocket"));
        }
        let tunnel = format!("CONNECT {}", peer.address());
        assert_eq!(server.asked(), [&*tunnel, &*tunnel]);
        assert!(!server.heads().concat().contains("x-secret"));
        for request in peer.requests() {
            assert_eq!(request.line(), "GET /chat", "nothing of a proxy in it");
            assert_eq!(request.header("proxy-authorization"), None);
        }
        // What it refuses is no handshake.
        let socket = own
            .ws_connect(ws::url(&peer, "/"))
            .proxy(by(&server, "http"));
        let error = refused(connect(socket, started));
        assert_eq!(error.kind(), Kind::ProxyRefused, "{error:#}");
        assert_eq!(error.status().expect("a status").as_u16(), 407);
        let url = error.url().map(|url| url.as_str().to_owned());
        assert_eq!(url, Some(ws::url(&peer, "/")));
    }
}

#[test]
fn a_request_and_a_websocket_share_no_way_through_a_proxy() {
    // SPEC X2, W6
    let peer = answering(|request| match request.target.as_str() {
        "/chat" => yes(request),
        _ => ok("plain"),
    });
    let server = Server::start();
    let session = Session::builder().proxy(by(&server, "http")).build();
    for started in DRIVERS {
        let text = session.get(peer.url("/")).send().expect("an answer").text();
        assert_eq!(text.expect("a body"), "plain");
        works(&connect(session.ws_connect(ws::url(&peer, "/chat")), started).expect("a WebSocket"));
    }
    let asked = server.asked();
    let tunnels = asked
        .iter()
        .filter(|asked| asked.starts_with("CONNECT"))
        .count();
    assert_eq!(tunnels, 2, "{asked:?}");
}

#[test]
fn socks_leads_to_websockets() {
    // SPEC W6, X1, X3
    for started in DRIVERS {
        let peer = agreeing();
        let server = Server::start()
            .with_login("user", "secret")
            .knowing("chat.test", peer.address());
        let proxy = by(&server, "socks5h").auth(Auth::basic("user", "secret"));
        let url = format!("ws://chat.test:{}/", peer.port());
        let socket = Session::new().ws_connect(&url).proxy(proxy);
        works(&connect(socket, started).expect("a WebSocket"));
        assert_eq!(
            server.asked(),
            [format!("SOCKS5 chat.test:{}", peer.port())]
        );
        let host = format!("chat.test:{}", peer.port());
        assert_eq!(peer.requests()[0].header("host"), Some(&*host));
    }
}

#[test]
fn proxies_are_chosen_by_the_scheme_of_the_websocket() {
    // SPEC W6, X8
    for started in DRIVERS {
        let peer = agreeing();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        let proxy = Proxy::by(move |url| {
            enter(&seen).push(url.as_str().to_owned());
            None
        });
        let session = Session::builder().proxy(proxy).build();
        for url in [ws::url(&peer, "/"), peer.url("/")] {
            works(&connect(session.ws_connect(url), started).expect("a WebSocket"));
        }
        assert_eq!(*enter(&asked), [ws::url(&peer, "/"), ws::url(&peer, "/")]);

        // Rules for http are for ws, and those for https are not.
        let server = Server::start();
        let plain = Proxy::http(server.url("http")).expect("a proxy");
        let safe = Proxy::https(server.url("http")).expect("a proxy");
        let session = Session::new();
        for (proxy, times) in [(safe.clone(), 0), (plain.clone(), 1)] {
            let socket = session.ws_connect(ws::url(&peer, "/")).proxy(proxy);
            works(&connect(socket, started).expect("a WebSocket"));
            assert_eq!(server.asked().len(), times);
        }
        let session = Session::builder().proxy(plain).build();
        let socket = session.ws_connect(ws::url(&peer, "/")).no_proxy();
        works(&connect(socket, started).expect("a WebSocket"));
        assert_eq!(server.asked().len(), 1);
    }
}

#[cfg(feature = "tls")]
mod tls {
    use super::*;
    use miohttp::TlsConfig;
    use support::{Certificate, TlsOptions, tls};

    fn trusting() -> TlsConfig {
        TlsConfig::new()
            .add_root_pem(tls::ca_pem().as_bytes())
            .expect("a root")
    }

    fn safe(options: TlsOptions) -> Peer {
        ws::start_tls(options, Handshake::new(), |ws| ws.echo())
    }

    fn wss(peer: &Peer, host: &str) -> String {
        peer.url_for(host, "/").replacen("https", "wss", 1)
    }

    #[test]
    fn wss_is_ws_over_tls() {
        // SPEC W6, Q15, Q17
        for started in DRIVERS {
            let options = TlsOptions::new(Certificate::Good);
            let peer = safe(options.clone());
            let connector = Connector::builder().tls(trusting()).build();
            let session = Session::builder().connector(connector).build();
            let socket = session.ws_connect(wss(&peer, "localhost"));
            let socket = connect(socket, started).expect("a WebSocket");
            works(&socket);
            assert_eq!(socket.tls_info().expect("TLS").server_name(), "localhost");
            assert_eq!(socket.url().scheme(), "wss");

            let own = Session::new().ws_connect(wss(&peer, "127.0.0.1"));
            let own = own.tls(&trusting()).server_name("localhost");
            works(&connect(own, started).expect("a WebSocket"));
            let names: Vec<_> = options
                .seen()
                .into_iter()
                .map(|seen| seen.server_name)
                .collect();
            assert_eq!(
                names,
                [Some("localhost".to_owned()), Some("localhost".to_owned())]
            );
        }
    }

    #[test]
    fn a_certificate_that_nobody_vouches_for_is_refused() {
        // SPEC W6, C20
        for started in DRIVERS {
            let peer = safe(TlsOptions::new(Certificate::Good));
            let url = wss(&peer, "localhost");
            let error = refused(connect(Session::new().ws_connect(&url), started));
            assert_eq!(error.kind(), Kind::Certificate, "{error:#}");
            assert_eq!(error.url().map(|url| url.as_str()), Some(&*url));
            assert_eq!(peer.request_count(), 0);
        }
    }

    #[test]
    fn tls_goes_through_a_tunnel() {
        // SPEC W6, X2
        for started in DRIVERS {
            let peer = safe(TlsOptions::new(Certificate::Good));
            let server = Server::start().knowing("localhost", peer.address());
            let socket = Session::new()
                .ws_connect(wss(&peer, "localhost"))
                .tls(&trusting())
                .proxy(by(&server, "http"));
            works(&connect(socket, started).expect("a WebSocket"));
            assert_eq!(
                server.asked(),
                [format!("CONNECT localhost:{}", peer.port())]
            );
        }
    }

    #[test]
    fn a_host_that_wants_https_is_asked_by_wss() {
        // SPEC W6, and RFC 6797 §8.3 for what goes by this row
        use miohttp::HstsStore;

        for started in DRIVERS {
            let hsts = HstsStore::new();
            let peer = Peer::start_tls(TlsOptions::new(Certificate::Good), |conn| {
                let request = conn.request()?;
                let handshake = Handshake::new().field("Strict-Transport-Security", "max-age=1000");
                conn.write(handshake.answer(&request))?;
                handshake.over(conn, request).echo()
            });
            let connector = Connector::builder().tls(trusting()).build();
            let session = Session::builder()
                .connector(connector)
                .hsts(hsts.clone())
                .build();
            for url in [
                wss(&peer, "localhost"),
                wss(&peer, "localhost").replacen("wss", "ws", 1),
            ] {
                let socket = connect(session.ws_connect(url), started).expect("a WebSocket");
                works(&socket);
                assert_eq!(socket.url().as_str(), wss(&peer, "localhost"));
            }
        }
    }
}
