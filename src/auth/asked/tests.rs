use std::collections::HashSet;
use std::thread;

use super::*;

const HOME: &str = "http://h.test/a/b";

fn asked(auth: &Auth) -> &Asked {
    auth.asked().unwrap()
}

fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

/// What a request for this URL carries, unasked or asked.
fn sent(auth: &Auth, text: &str, is_asked: bool) -> Option<String> {
    let url = url(text);
    let mut message = Message {
        method: "GET",
        url: &url,
        target: url.path().as_bytes(),
        body: Some(&mut std::iter::empty()),
    };
    let value = asked(auth).value(&mut message, is_asked).unwrap();
    value.map(|value| {
        assert!(value.is_sensitive());
        value.to_str().unwrap().to_owned()
    })
}

fn challenge(auth: &Auth, text: &str, fields: &[&str]) -> Result<bool, Error> {
    let fields = fields.iter().map(|field| field.as_bytes());
    let wanted = asked(auth).challenged(&url(text), fields, false);
    wanted.map(|wanted| wanted != Wanted::Nothing)
}

fn has(value: Option<String>, part: &str) -> bool {
    value.is_some_and(|value| value.contains(part))
}

const FIRST: &str = r#"Digest realm="r", nonce="one", qop="auth""#;

#[test]
fn a_nonce_is_used_again_and_counted() {
    // SPEC A7
    let auth = Auth::digest("user", "secret");
    assert_eq!(sent(&auth, HOME, false), None);
    assert!(challenge(&auth, HOME, &[FIRST]).unwrap());
    assert!(has(sent(&auth, HOME, true), "nc=00000001"));
    assert!(has(sent(&auth.clone(), HOME, false), "nc=00000002"));
    // The same nonce once more goes on, a new one begins anew.
    assert!(challenge(&auth, HOME, &[FIRST]).unwrap());
    assert!(has(sent(&auth, HOME, true), "nc=00000003"));
    let stale = r#"Digest realm="r", nonce="two", qop="auth", stale=true"#;
    assert!(challenge(&auth, HOME, &[stale]).unwrap());
    let value = sent(&auth, HOME, true).unwrap();
    assert!(value.contains("nonce=\"two\"") && value.contains("nc=00000001"));
    // RFC 7616 §3.5
    asked(&auth).told(&url(HOME), br#"qop=auth, nextnonce="three""#);
    let value = sent(&auth, HOME, false).unwrap();
    assert!(value.contains("nonce=\"three\"") && value.contains("nc=00000001"));
    for nothing in [
        "",
        "nextnonce=\"\"",
        "Passport1.4 tname=MSPAuth,tname=MSPProf",
    ] {
        asked(&auth).told(&url(HOME), nothing.as_bytes());
        assert!(
            has(sent(&auth, HOME, false), "nonce=\"three\""),
            "{nothing}"
        );
    }
}

#[test]
fn threads_never_share_a_count() {
    // SPEC A7
    let auth = Auth::digest("user", "secret");
    sent(&auth, HOME, false);
    assert!(challenge(&auth, HOME, &[FIRST]).unwrap());
    let threads = (0..4).map(|_| {
        let auth = auth.clone();
        thread::spawn(move || {
            let counts = (0..50).map(|_| {
                let value = sent(&auth, HOME, false).unwrap();
                let (_, count) = value.split_once("nc=").unwrap();
                u32::from_str_radix(&count[..8], 16).unwrap()
            });
            let counts: Vec<u32> = counts.collect();
            assert!(counts.is_sorted());
            counts
        })
    });
    let threads: Vec<_> = threads.collect();
    let all: HashSet<u32> = threads
        .into_iter()
        .flat_map(|t| t.join().unwrap())
        .collect();
    assert_eq!(all, (1..=200).collect());
}

#[test]
fn the_first_origin_is_the_only_one() {
    // SPEC A7
    let auth = Auth::digest("user", "secret");
    assert_eq!(sent(&auth, HOME, false), None);
    for other in ["http://other.test/", "https://h.test/", "http://h.test:81/"] {
        assert!(!challenge(&auth, other, &[FIRST]).unwrap(), "{other}");
        assert_eq!(sent(&auth, other, true), None);
    }
    assert!(challenge(&auth, HOME, &[FIRST]).unwrap());
    assert!(sent(&auth, "http://h.test:80/elsewhere", false).is_some());
    for other in ["http://other.test/", "https://h.test/", "http://h.test:81/"] {
        assert_eq!(sent(&auth, other, false), None, "{other}");
    }
}

#[test]
fn what_a_domain_names_gets_an_answer_unasked() {
    // SPEC A7
    let auth = Auth::digest("user", "secret");
    sent(&auth, HOME, false);
    let field = format!(r#"{FIRST}, domain="/a /c/ http://b.test/x ftp://b.test/ http://[ b""#);
    assert!(challenge(&auth, HOME, &[&field]).unwrap());
    for inside in ["/a", "/a?q=/z", "/a/", "/a/b/c", "/c/", "/c/d"] {
        let url = format!("http://h.test{inside}");
        assert!(sent(&auth, &url, false).is_some(), "{inside}");
    }
    for outside in ["/", "/ab", "/c", "/cd", "/x", "/A"] {
        let url = format!("http://h.test{outside}");
        assert_eq!(sent(&auth, &url, false), None, "{outside}");
        // Asked for, it is given all the same.
        assert!(sent(&auth, &url, true).is_some(), "{outside}");
    }
    assert!(sent(&auth, "http://b.test/x/y", false).is_some());
    assert_eq!(sent(&auth, "http://b.test/y", false), None);
    // The other server may renew the nonce, not say where it is good.
    let field = r#"Digest realm="r", nonce="two", domain="http://evil.test/""#;
    assert!(challenge(&auth, "http://b.test/x/y", &[field]).unwrap());
    assert_eq!(sent(&auth, "http://evil.test/", false), None);
    assert!(has(sent(&auth, HOME, false), "nonce=\"two\""));
    let none = Auth::from(DigestAuth::new("user", "secret").preemptive(false));
    sent(&none, HOME, false);
    assert!(challenge(&none, HOME, &[FIRST]).unwrap());
    assert!(sent(&none, HOME, false).is_none() && sent(&none, HOME, true).is_some());
}

#[test]
fn a_domain_is_kept_up_to_a_bound() {
    let params = format!("Digest domain=\"{}\"", "/x ".repeat(2000));
    let all = challenges(params.as_bytes());
    assert_eq!(space(&url(HOME), &all[0].params).len(), MAX_SPACE);
}

#[test]
fn of_several_challenges_the_first_that_can_be_answered_is() {
    // SPEC A7
    let auth = Auth::digest("user", "secret");
    sent(&auth, HOME, false);
    let all = [
        r#"Negotiate, Digest realm="r", nonce="a", algorithm=SHA-3, Basic realm="b""#,
        r#"Digest realm="r", nonce="b", algorithm=SHA-256, Digest realm="r", nonce="c""#,
    ];
    assert!(challenge(&auth, HOME, &all).unwrap());
    assert!(has(sent(&auth, HOME, true), "nonce=\"b\""));
    // No Digest at all is none of our business, and a bad one is an error.
    assert!(!challenge(&auth, HOME, &[]).unwrap());
    assert!(!challenge(&auth, HOME, &["Basic realm=x, Bearer"]).unwrap());
    for bad in [
        "Digest",
        "Digest realm=\"r",
        "Digest realm=r, nonce=1, qop=new",
    ] {
        let error = challenge(&auth, HOME, &["Basic realm=x", bad]).unwrap_err();
        assert_eq!(error.kind(), Kind::Protocol, "{bad}");
    }
}

#[test]
fn any_takes_what_is_offered_and_digest_first() {
    // SPEC A7
    let any = || {
        let auth = Auth::any("user", "secret");
        assert_eq!(sent(&auth, HOME, false), None);
        auth
    };
    let basic = "Basic dXNlcjpzZWNyZXQ=";
    let auth = any();
    assert!(challenge(&auth, HOME, &["X-own", "Basic"]).unwrap());
    assert_eq!(sent(&auth, HOME, true).as_deref(), Some(basic));
    assert_eq!(sent(&auth, HOME, false).as_deref(), Some(basic));
    assert_eq!(sent(&auth, "http://other.test/", false), None);
    // It has been sent, and was not what was wanted.
    let again = asked(&auth).challenged(&url(HOME), [&b"Basic"[..]].into_iter(), true);
    assert_eq!(again.unwrap(), Wanted::Nothing);
    let auth = any();
    assert!(challenge(&auth, HOME, &["Basic realm=x", FIRST]).unwrap());
    assert!(has(sent(&auth, HOME, true), "Digest "));
    // A Digest nobody understands leaves the other.
    let auth = any();
    assert!(challenge(&auth, HOME, &["Digest realm=x, Basic realm=x"]).unwrap());
    assert_eq!(sent(&auth, HOME, true).as_deref(), Some(basic));
    assert!(!challenge(&any(), HOME, &["Blackmagic realm=x"]).unwrap());
}

#[test]
fn the_password_itself_goes_to_the_first_origin_alone() {
    // SPEC A7
    let auth = Auth::any("user", "secret");
    sent(&auth, HOME, false);
    let field = format!(r#"{FIRST}, domain="/ http://b.test/""#);
    assert!(challenge(&auth, HOME, &[&field]).unwrap());
    // A domain says where the answers are good, not who may have the password.
    assert!(!challenge(&auth, "http://b.test/", &["Basic"]).unwrap());
    assert!(has(sent(&auth, "http://b.test/", true), "Digest "));
    assert!(has(sent(&auth, HOME, false), "Digest "));
    // Another thread's request may turn to Basic between challenge and answer.
    assert!(challenge(&auth, HOME, &["Basic"]).unwrap());
    assert_eq!(sent(&auth, "http://b.test/", true), None);
    assert!(has(sent(&auth, HOME, false), "Basic "));
}

#[test]
fn a_session_keeps_its_client_nonce() {
    // SPEC A7: what the secret is made of must not change under a server.
    let cnonce = |value: Option<String>| {
        let value = value.unwrap();
        let (_, cnonce) = value.split_once("cnonce=\"").unwrap();
        cnonce.split('"').next().unwrap().to_owned()
    };
    for (algorithm, stays) in [("MD5-sess", true), ("MD5", false)] {
        let auth = Auth::digest("user", "secret");
        sent(&auth, HOME, false);
        let field = format!("{FIRST}, algorithm={algorithm}");
        assert!(challenge(&auth, HOME, &[&field]).unwrap());
        let first = cnonce(sent(&auth, HOME, true));
        let second = cnonce(sent(&auth, HOME, false));
        assert_eq!(first == second, stays, "{algorithm}");
        let field = field.replace("one", "two");
        assert!(challenge(&auth, HOME, &[&field]).unwrap());
        assert_ne!(cnonce(sent(&auth, HOME, true)), second);
    }
}

#[test]
fn a_body_is_held_back_until_the_server_has_asked() {
    // SPEC A7
    let holds = |auth: &Auth| asked(auth).holds_body(&url(HOME));
    assert!(!holds(&Auth::digest("user", "secret")));
    let auth = Auth::from(DigestAuth::new("user", "secret").ask_first(true));
    assert!(holds(&auth) && holds(&auth));
    assert!(!asked(&auth).holds_body(&url("http://other.test/")));
    assert!(challenge(&auth, HOME, &[FIRST]).unwrap());
    assert!(!holds(&auth));
}

#[test]
fn a_login_no_server_could_read_is_an_error_at_the_verb() {
    // SPEC A2, A7
    for login in ["a:b", "a\nb", "\0"] {
        let auth = Auth::digest(login, "secret");
        let url = url(HOME);
        let mut message = Message {
            method: "GET",
            url: &url,
            target: b"/",
            body: None,
        };
        let error = asked(&auth).value(&mut message, false).unwrap_err();
        assert!(error.is_request(), "{login:?}");
    }
}

#[test]
fn nothing_is_printed() {
    let auth = DigestAuth::new("user", "hush");
    assert_eq!(format!("{auth:?}"), "DigestAuth { login: \"user\", .. }");
    assert_eq!(format!("{:?}", Auth::from(auth)), "Auth(..)");
}

/// What a fuzzer would do, a little of it, the same each time.
#[test]
fn what_is_made_of_a_challenge_is_answered_readably_or_refused() {
    // SPEC A7
    const SEEDS: [&str; 4] = [
        r#"Digest realm="a\"b", nonce="n=, 1", qop="auth,auth-int", opaque="", algorithm=MD5-sess"#,
        r#"Basic realm=x, Digest nonce=1 , realm=r,userhash=true,charset=UTF-8, domain="/ /a""#,
        r#"Negotiate YWJj==, Digest realm="\\", nonce="\a", stale=true, algorithm="SHA-512-256""#,
        r#"nextnonce="x", Digest realm="", nonce=", Digest realm=", qop=auth-int"#,
    ];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as usize % below
    };
    for round in 0..8000 {
        let mut field = SEEDS[round % SEEDS.len()].as_bytes().to_vec();
        for _ in 0..=random(4) {
            let at = random(field.len());
            match random(4) {
                0 => field[at] = b"\",=\\ \t;a\xff\0"[random(10)],
                1 => drop(field.remove(at)),
                2 => field.insert(at, b"\",=\\ "[random(5)]),
                _ => field.truncate(at.max(1)),
            }
            if field.is_empty() {
                field.push(b'"');
            }
        }
        check_challenge(&field);
    }
}
