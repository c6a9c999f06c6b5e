//! Who is told what, and nobody else (SPEC X5).

use std::sync::{Arc, Mutex};

use miohttp::{NoProxy, Proxy, Session};

use super::{basic, gate, gate_of, named, send, session, text, through, to};
use crate::support::{Peer, Request, enter, ok};

#[test]
fn a_sessions_token_is_no_proxys() {
    // SPEC X5
    let gate = gate();
    let session = Session::builder()
        .proxy(through(&gate).tunnel(true))
        .default_header("authorization", "Bearer hunter2")
        .default_header("cookie", "id=hunter2")
        .default_header("x-key", "hunter2")
        .build();
    for started in [false, true] {
        let request = session.get("http://a.test/x").header("x-own", "hunter2");
        assert_eq!(
            text(send(request.cookie("c", "hunter2"), started)),
            "GET /x"
        );
    }
    let requests = gate.requests();
    let (tunnels, inner): (Vec<_>, Vec<_>) =
        requests.into_iter().partition(|r| r.method == "CONNECT");
    assert_eq!((tunnels.len(), inner.len()), (1, 2));
    // Nothing but where it leads.
    let names: Vec<_> = tunnels[0].headers.iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), 1, "{names:?}");
    assert_eq!(tunnels[0].header("host"), Some("a.test:80"));
    for request in inner {
        assert_eq!(request.header("authorization"), Some("Bearer hunter2"));
        assert_eq!(request.header("x-own"), Some("hunter2"));
        assert!(request.header("cookie").unwrap().contains("c=hunter2"));
    }
}

#[test]
fn a_proxys_password_is_no_origins() {
    // SPEC D7, X5
    let gate = gate();
    let proxy = through(&gate)
        .auth(("user", "hunter2"))
        .header("x-gate", "hunter2");
    let session = session(proxy.tunnel(true));
    assert_eq!(text(session.get("http://a.test/x").send()), "GET /x");
    let [tunnel, inner] = gate.requests().try_into().expect("two requests");
    let want = basic("user", "hunter2");
    assert_eq!(tunnel.header("proxy-authorization"), Some(&*want));
    assert_eq!(tunnel.header("x-gate"), Some("hunter2"));
    assert_eq!(inner.header("proxy-authorization"), None);
    assert_eq!(inner.header("x-gate"), None);
    assert!(!inner.raw_head.windows(7).any(|word| word == b"hunter2"));
}

#[test]
fn a_requests_own_credentials_for_the_proxy_reach_the_proxy_alone() {
    // SPEC X3, X5
    let origin = Peer::serve(|request| ok(request.line()));
    let gate = gate_of({
        let home = origin.url("/x");
        move |request| match request.target.as_str() {
            "http://a.test/away" => to(&home),
            "http://a.test/stay" => to("http://a.test/end"),
            _ => ok(request.line()),
        }
    });
    let list = NoProxy::parse("127.0.0.1").unwrap();
    let proxy = Proxy::all(format!("http://user:secret@{}", gate.address())).unwrap();
    let proxy = proxy.no_proxy(list);
    let own = |url: &str, proxy: Proxy| {
        let request = session(proxy).get(url);
        request.header("proxy-authorization", "Own hunter2").send()
    };
    let seen = |peer: &Peer| {
        let request = peer.requests().pop().unwrap();
        assert!(request.header_all("proxy-authorization").count() <= 1);
        request.header("proxy-authorization").map(str::to_owned)
    };
    // In place of the proxy's.
    own("http://a.test/", proxy.clone()).unwrap();
    assert_eq!(seen(&gate).as_deref(), Some("Own hunter2"));
    own("http://a.test/stay", proxy.clone()).unwrap();
    assert_eq!(seen(&gate).as_deref(), Some("Own hunter2"));
    // Not where there is no proxy, by the list or behind a redirect.
    own(&origin.url("/"), proxy.clone()).unwrap();
    assert_eq!(seen(&origin), None);
    own("http://a.test/away", proxy.clone()).unwrap();
    assert_eq!(seen(&origin), None);
    // Nor through a tunnel, nor to who opens it.
    own("http://a.test/", proxy.tunnel(true)).unwrap();
    assert_eq!(seen(&gate), None);
    let tunnel = gate.requests().into_iter().rfind(|r| r.method == "CONNECT");
    let field = tunnel
        .unwrap()
        .header("proxy-authorization")
        .map(str::to_owned);
    assert_eq!(field, Some(basic("user", "secret")));
}

#[test]
fn a_requests_own_credentials_for_one_proxy_are_no_other_proxys() {
    // SPEC D9, X5, X8: the origin stays the same, the way to it does not.
    let seen = Arc::<Mutex<Vec<Option<String>>>>::default();
    // A letter of the path is a hop, and says which way that goes.
    let answer = |seen: &Arc<Mutex<Vec<_>>>| {
        let seen = Arc::clone(seen);
        move |request: &Request| {
            let field = request.header("proxy-authorization");
            enter(&seen).push(field.map(str::to_owned));
            match request.target.rsplit('/').next() {
                None | Some("" | "a" | "b" | "c" | "m" | "n" | "-") => ok("end"),
                Some(hops) => to(&hops[1..]),
            }
        }
    };
    let origin = Peer::serve(answer(&seen));
    let (one, two) = (gate_of(answer(&seen)), gate_of(answer(&seen)));
    let with = |login: &str, gate: &Peer| {
        let url = format!("http://{login}{}", gate.address());
        Proxy::all(url).expect("a proxy")
    };
    let ways = [
        ("a", with("", &one)),
        ("b", with("", &two)),
        // The same as the first, by another value.
        ("c", with("", &one)),
        ("m", with("me:x@", &one)),
        ("n", with("you:x@", &one)),
    ];
    let session = session(Proxy::by(move |url| {
        let hop = url.path().get(1..2);
        let way = ways.iter().find(|(letter, _)| Some(*letter) == hop);
        way.map(|(_, proxy)| proxy.clone())
    }));
    let (me, you) = (basic("me", "x"), basic("you", "x"));
    let own = "Own hunter2";
    let table: &[(&str, &[&str])] = &[
        ("aaa", &[own, own, own]),
        ("ac", &[own, own]),
        ("ab", &[own, ""]),
        ("aba", &[own, "", ""]),
        ("a-a", &[own, "", ""]),
        ("-a", &["", ""]),
        ("mm", &[own, own]),
        ("mn", &[own, &you]),
        ("amm", &[own, &me, &me]),
        ("ma", &[own, ""]),
    ];
    for (hops, want) in table {
        for started in [false, true] {
            enter(&seen).clear();
            let request = session.get(origin.url(&format!("/{hops}")));
            let request = request.header("proxy-authorization", own);
            assert_eq!(text(send(request, started)), "end");
            let seen = enter(&seen).clone();
            let seen: Vec<_> = seen
                .iter()
                .map(|field| field.as_deref().unwrap_or(""))
                .collect();
            assert_eq!(seen, *want, "{hops}");
        }
    }
}

#[test]
fn nothing_secret_is_shown() {
    // SPEC E1, X5
    let gate = gate();
    let url = named(&gate).replace("http://", "http://user:hunter2@");
    let session = session(Proxy::all(url).unwrap().header("x-key", "hunter2"));
    let request = session.get("http://a.test/");
    assert!(!format!("{session:?} {request:?}").contains("hunter2"));
    let builder = Session::builder().proxy(through(&gate).auth(("user", "hunter2")));
    assert!(!format!("{builder:?}").contains("hunter2"));
    let answer = request.send().unwrap();
    assert!(!format!("{answer:?} {:?}", answer.request_info()).contains("hunter2"));
}
