//! Logins that proxies check: the right one is let in (as in `proxies.rs`), and any
//! other is told what is wrong.

use miohttp::{DigestAuth, Error, Kind, Phase, Response, Session};

use super::proxies::{Way, plain, session, trusted, way};
use crate::support::interop::server;

/// By the caller's hand, and by the reactor's.
fn ask(session: &Session, url: &str) -> [Result<Response, Error>; 2] {
    [
        session.get(url).send(),
        session.get(url).start_send().wait(),
    ]
}

#[test]
fn a_proxy_that_wants_a_login_says_so() {
    // SPEC X3, X4
    let Some(origin) = server("nginx") else {
        return;
    };
    let guessing = |way: Way| Way {
        proxy: way.proxy.auth(DigestAuth::new("user", "guess")),
        ..way
    };
    let ways = [
        way("squid http Basic", "BASIC_PORT", ""),
        way("squid http Basic", "BASIC_PORT", "user:guess@"),
        way("squid http Digest", "DIGEST_PORT", ""),
        way("squid http Digest", "DIGEST_PORT", "").map(guessing),
        way("squid https Digest", "TLS_DIGEST_PORT", "").map(trusted),
        way("squid https Digest", "TLS_DIGEST_PORT", "").map(|way| guessing(trusted(way))),
        way("tinyproxy http Basic", "AUTH_PORT", ""),
        way("tinyproxy http Basic", "AUTH_PORT", "user:guess@"),
        way("mitmproxy http Basic", "AUTH_PORT", "user:guess@"),
        way("stunnel https Basic", "AUTH_PORT", "user:guess@").map(trusted),
    ];
    for way in ways.into_iter().flatten() {
        let session = session(&origin, &way);
        // The proxy's answer to a request is a response like any other.
        let answer = session.get(plain(&origin, "/1")).send();
        let answer = answer.unwrap_or_else(|error| panic!("{}: {error:#}", way.name));
        let said = answer.status();
        // To a wrong login tinyproxy says 401, as if it were the origin.
        assert!(
            said == 407 || said == 401 && !way.keeps(),
            "{}: {said}",
            way.name
        );
        let challenge = match said.as_u16() {
            407 => "proxy-authenticate",
            _ => "www-authenticate",
        };
        assert!(answer.headers().contains_key(challenge), "{}", way.name);
        // The one to a CONNECT is not the origin's, and so no response.
        let url = origin.tls_url("/1");
        for answer in [
            session.get(&url).send(),
            session.get(&url).start_send().wait(),
        ] {
            let error = answer.unwrap_err();
            assert_eq!(error.kind(), Kind::ProxyRefused, "{}: {error:#}", way.name);
            assert_eq!(error.phase(), Some(Phase::Proxy), "{}", way.name);
            assert!(error.is_proxy(), "{}", way.name);
            assert_eq!(error.status(), Some(said), "{}", way.name);
            assert!(error.headers().unwrap().contains_key(challenge));
            assert!(!format!("{error:#} {error:?}").contains("guess"));
        }
    }
}

#[test]
fn a_socks_proxy_lets_in_whom_it_knows() {
    // SPEC X1, X3, X4
    let Some(origin) = server("nginx") else {
        return;
    };
    let asks = "the SOCKS proxy asks for a login";
    let wrong = "the SOCKS proxy did not accept user name and password";
    // All that version 4 has for it.
    let refused = "the SOCKS proxy refused or failed to connect (91)";
    for (name, port, right, others) in [
        (
            "twisted socks4",
            "AUTH_PORT",
            "some%20body@",
            &[
                ("", refused),
                ("some@", refused),
                ("some%20bodyx@", refused),
            ][..],
        ),
        (
            "twisted socks4a",
            "AUTH_PORT",
            "some%20body@",
            &[
                ("", refused),
                ("some@", refused),
                ("some%20bodyx@", refused),
            ],
        ),
        (
            "microsocks socks5",
            "AUTH_PORT",
            "user:pass@",
            &[("", asks), ("user:guess@", wrong), ("guess:pass@", wrong)],
        ),
        (
            "microsocks socks5h",
            "AUTH_PORT",
            "user:pass@",
            &[("", asks), ("user:guess@", wrong), ("guess:pass@", wrong)],
        ),
        (
            "mitmproxy socks5",
            "SOCKS_AUTH_PORT",
            "user:pass@",
            &[("", asks), ("user:guess@", wrong), ("guess:pass@", wrong)],
        ),
        (
            "mitmproxy socks5h",
            "SOCKS_AUTH_PORT",
            "user:pass@",
            &[("", asks), ("user:guess@", wrong), ("guess:pass@", wrong)],
        ),
    ] {
        let Some(known) = way(name, port, right) else {
            continue;
        };
        let session = session(&origin, &known);
        for url in [plain(&origin, "/1"), origin.tls_url("/1")] {
            for answer in ask(&session, &url) {
                let answer = answer.unwrap_or_else(|error| panic!("{name}: {error:#}"));
                assert_eq!(answer.bytes().unwrap().len(), 1, "{name}");
            }
            // What the right one has opened, and is idle now, is nobody else's.
            for (login, why) in others {
                let Some(stranger) = way(name, port, login) else {
                    continue;
                };
                for answer in [
                    session.get(&url).proxy(stranger.proxy.clone()).send(),
                    session
                        .get(&url)
                        .proxy(stranger.proxy.clone())
                        .start_send()
                        .wait(),
                ] {
                    let Err(error) = answer else {
                        panic!("{name} let in {login:?}")
                    };
                    assert_eq!(error.kind(), Kind::ProxyConnect, "{name}: {error:#}");
                    assert_eq!(error.phase(), Some(Phase::Proxy), "{name}");
                    assert!(error.is_proxy() && !error.is_timeout(), "{name}");
                    let said = format!("{error:#} {error:?}");
                    assert!(said.contains(why), "{name}: {said}");
                    assert!(!said.contains("guess") && !said.contains("body"), "{said}");
                }
            }
        }
        assert_eq!(session.connector().stats().in_use, 0);
    }
}
