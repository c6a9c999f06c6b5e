//! Against httpbin, which says what it saw: credentials, bodies, cookies,
//! redirects, ranges and codings.

use std::collections::HashMap;

use miohttp::{Auth, BasicAuth, DigestAuth, Method, RedirectPolicy, Session};
use serde_json::{Value, json};

use super::{origins, session};
use crate::support::interop::server;

/// One after the other, plain and by TLS.
fn everywhere(mut ask: impl FnMut(&Session, &str)) {
    if let Some(server) = server("httpbin") {
        for origin in origins(&server) {
            ask(&session(&server), &origin);
        }
    }
}

/// The same by name: an address has no cookies (K1).
fn by_name(mut ask: impl FnMut(&Session, &str)) {
    if let Some(server) = server("httpbin") {
        let plain = format!("http://localhost:{}", server.port);
        for origin in [plain, server.tls_url("")] {
            ask(&session(&server), &origin);
        }
    }
}

#[test]
fn digest_is_answered_as_httpbin_wants_it() {
    // SPEC A7
    everywhere(|session, origin| {
        for (algorithm, qop) in [
            ("MD5", "auth"),
            ("MD5", "auth-int"),
            ("MD5", "none"),
            ("SHA-256", "auth"),
            ("SHA-256", "auth-int"),
            ("SHA-512", "auth"),
        ] {
            let url = format!("{origin}/digest-auth/{qop}/user/pass/{algorithm}");
            let auth = Auth::digest("user", "pass");
            for sent in [2, 1, 1] {
                let answer = session.get(&url).auth(auth.clone()).send().unwrap();
                assert_eq!((answer.status().as_u16(), answer.attempts()), (200, sent));
                let said: Value = answer.json().unwrap();
                assert_eq!(said, json!({"authenticated": true, "user": "user"}));
            }
            let wrong = session.get(&url).auth(Auth::digest("user", "guess"));
            let answer = wrong.send().unwrap();
            assert_eq!((answer.status().as_u16(), answer.attempts()), (401, 2));
        }
    });
}

#[test]
fn a_nonce_that_runs_out_is_replaced() {
    // SPEC A7: httpbin counts in cookies how often a nonce is good.
    by_name(|session, origin| {
        let url = format!("{origin}/digest-auth/auth/user/pass/SHA-256/2");
        let auth = Auth::digest("user", "pass");
        let sent: Vec<u32> = (0..4)
            .map(|_| {
                let answer = session.get(&url).auth(auth.clone()).send().unwrap();
                assert_eq!(answer.status(), 200);
                answer.attempts()
            })
            .collect();
        assert_eq!(sent, [2, 1, 2, 1], "{origin}");
    });
}

#[test]
fn credentials_are_what_httpbin_expects() {
    // SPEC A2, A5, A7
    everywhere(|session, origin| {
        let status = |path: &str, auth: Auth| {
            let request = session.get(format!("{origin}{path}")).auth(auth);
            request.send().unwrap().status().as_u16()
        };
        assert_eq!(status("/basic-auth/a/b%20c", Auth::basic("a", "b c")), 200);
        assert_eq!(status("/basic-auth/a/b", Auth::basic("a", "c")), 401);
        assert_eq!(
            status(
                "/basic-auth/\u{e4}/\u{20ac}",
                Auth::basic("\u{e4}", "\u{20ac}")
            ),
            200
        );
        assert_eq!(
            status("/hidden-basic-auth/a/b", BasicAuth::new("a", "b").into()),
            200
        );
        assert_eq!(status("/bearer", Auth::bearer("token")), 200);
        assert_eq!(status("/basic-auth/a/b", Auth::any("a", "b")), 200);
        assert_eq!(status("/digest-auth/auth/a/b", Auth::any("a", "b")), 200);
        let only_digest = DigestAuth::new("a", "b").into();
        assert_eq!(status("/basic-auth/a/b", only_digest), 401);
    });
}

#[test]
fn requests_arrive_as_they_were_meant() {
    // SPEC Q1, Q3, Q5, B1, B2
    everywhere(|session, origin| {
        let url = format!("{origin}/anything/a%2Fb");
        for method in [Method::GET, Method::PUT, Method::PATCH, Method::DELETE] {
            let request = session
                .request(method.clone(), &url)
                .header("x-own", "kept");
            let said: Value = request.body("\u{fc}ml").send().unwrap().json().unwrap();
            assert_eq!(said["method"], method.as_str());
            assert_eq!(
                (&said["data"], &said["headers"]["X-Own"]),
                (&json!("\u{fc}ml"), &json!("kept"))
            );
            assert_eq!(said["headers"]["Content-Type"], "text/plain; charset=utf-8");
        }
        let query = [("q", "a&b=c \u{e4}+"), ("q", "2"), ("empty", "")];
        let said: Value = session
            .get(&url)
            .query(&query)
            .send()
            .unwrap()
            .json()
            .unwrap();
        assert_eq!(
            said["args"],
            json!({"q": ["a&b=c \u{e4}+", "2"], "empty": ""})
        );
        let sent = json!({"name": "\u{c6}r\u{f8}", "list": [1, 2.5, null]});
        let said: Value = session
            .post(&url)
            .json(&sent)
            .send()
            .unwrap()
            .json()
            .unwrap();
        assert_eq!(said["json"], sent);
        let raw = vec![0, 255, 128, 10];
        let said: Value = session.post(&url).body(raw).send().unwrap().json().unwrap();
        assert_eq!(
            said["data"],
            "data:application/octet-stream;base64,AP+ACg=="
        );
    });
}

#[test]
fn redirects_lead_where_httpbin_says() {
    // SPEC D1, D2, D4
    everywhere(|session, origin| {
        for path in [
            "/redirect/3",
            "/relative-redirect/3",
            "/absolute-redirect/3",
        ] {
            let answer = session.get(format!("{origin}{path}")).send().unwrap();
            assert_eq!(
                (answer.status().as_u16(), answer.history().len()),
                (200, 3),
                "{path}"
            );
            assert!(answer.url().path().ends_with("/get"), "{}", answer.url());
        }
        for (status, method, data) in [
            (302, "GET", ""),
            (303, "GET", ""),
            (307, "POST", "kept"),
            (308, "POST", "kept"),
        ] {
            let url = format!("{origin}/redirect-to?url=/anything&status_code={status}");
            let said: Value = session
                .post(url)
                .body("kept")
                .send()
                .unwrap()
                .json()
                .unwrap();
            assert_eq!(
                (&said["method"], &said["data"]),
                (&json!(method), &json!(data)),
                "{status}"
            );
        }
        let one = session.get(format!("{origin}/redirect/1"));
        assert_eq!(
            one.redirects(RedirectPolicy::None).send().unwrap().status(),
            302
        );
    });
}

#[test]
fn cookies_are_kept_as_httpbin_sets_them() {
    // SPEC K2, K5, D8
    by_name(|session, origin| {
        let cookies = |path: &str| -> HashMap<String, String> {
            let answer = session.get(format!("{origin}{path}")).send().unwrap();
            let said: Value = answer.json().unwrap();
            serde_json::from_value(said["cookies"].clone()).unwrap()
        };
        let of = |all: &[(&str, &str)]| -> HashMap<String, String> {
            all.iter()
                .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
                .collect()
        };
        assert_eq!(
            cookies("/cookies/set?a=1&b=two"),
            of(&[("a", "1"), ("b", "two")])
        );
        assert_eq!(cookies("/cookies/set/a/3"), of(&[("a", "3"), ("b", "two")]));
        assert_eq!(cookies("/cookies/delete?a="), of(&[("b", "two")]));
        assert_eq!(cookies("/cookies"), of(&[("b", "two")]));
    });
}

#[test]
fn ranges_are_cut_where_they_were_asked() {
    // SPEC H3
    everywhere(|session, origin| {
        let url = format!("{origin}/range/100");
        let whole = session.get(&url).send().unwrap().bytes().unwrap();
        assert_eq!(whole.len(), 100);
        for (range, start, end) in [
            ("bytes=10-19", 10, 20),
            ("bytes=90-", 90, 100),
            ("bytes=-5", 95, 100),
        ] {
            let part = session.get(&url).header("range", range).send().unwrap();
            assert_eq!(part.status(), 206);
            let said = format!("bytes {start}-{}/100", end - 1);
            assert_eq!(part.headers()["content-range"], *said);
            assert_eq!(part.bytes().unwrap(), whole[start..end]);
        }
        let beyond = session.get(&url).header("range", "bytes=200-300").send();
        assert_eq!(beyond.unwrap().status(), 416);
    });
}

#[test]
fn codings_are_undone() {
    // SPEC R39
    everywhere(|session, origin| {
        let mut codings = vec![("gzip", "gzipped"), ("deflate", "deflated")];
        if cfg!(feature = "brotli") {
            codings.push(("brotli", "brotli"));
        }
        for (path, mark) in codings {
            let answer = session.get(format!("{origin}/{path}")).send().unwrap();
            assert!(answer.headers().contains_key("content-encoding"), "{path}");
            let said: Value = answer.json().unwrap();
            assert_eq!(said[mark], true, "{path}");
        }
        let text = session
            .get(format!("{origin}/encoding/utf8"))
            .send()
            .unwrap();
        assert!(text.text().unwrap().contains("\u{222e} E\u{22c5}da = Q"));
    });
}

#[test]
fn streams_come_whole() {
    // SPEC R34, R38
    everywhere(|session, origin| {
        let answer = session.get(format!("{origin}/stream/20")).send().unwrap();
        assert_eq!(answer.headers()["transfer-encoding"], "chunked");
        let text = answer.text().unwrap();
        let lines: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let ids = lines.iter().map(|line| line["id"].as_u64().unwrap());
        assert!(ids.eq(0..20));
        let url = format!("{origin}/stream-bytes/5000?chunk_size=7&seed=1");
        let one = session.get(&url).send().unwrap().bytes().unwrap();
        let other = session
            .get(&url)
            .start_send()
            .wait()
            .unwrap()
            .bytes()
            .unwrap();
        assert_eq!((one.len(), &one), (5000, &other));
    });
}
