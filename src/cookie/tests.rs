//! The jar as a whole, by tables: lines received from URLs, a URL asked, and
//! the header expected. All times are fixed.

use std::time::{Duration, SystemTime};

use http::HeaderValue;
use url::Url;

use super::{Cookie, CookieJar, parse};

mod http_state;
mod limits;

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000 + seconds)
}

fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

/// One response from `from` with these lines.
fn set(jar: &CookieJar, from: &str, lines: &[&str], now: SystemTime) {
    let values: Vec<HeaderValue> = lines
        .iter()
        .map(|line| HeaderValue::from_bytes(line.as_bytes()).unwrap())
        .collect();
    jar.store_at(&url(from), &mut values.iter(), now);
}

fn ask(jar: &CookieJar, to: &str, now: SystemTime) -> String {
    let header = jar.header_at(&url(to), now);
    header.map_or(String::new(), |value| {
        String::from_utf8(value.as_bytes().to_vec()).unwrap()
    })
}

fn cookie(line: &str) -> Cookie {
    parse::parse(line.as_bytes(), at(0)).unwrap()
}

/// Sets, from one URL, then asks another; an empty string is "no header".
fn check(cases: &[(&str, &[&str], &str, &str)]) {
    for (from, lines, to, want) in cases {
        let jar = CookieJar::new();
        set(&jar, from, lines, at(0));
        assert_eq!(ask(&jar, to, at(1)), *want, "{from} {lines:?} {to}");
    }
}

#[test]
fn domain_rules() {
    // SPEC K3
    const HOST: &str = "http://home.example.org/";
    check(&[
        // Host-only.
        (HOST, &["a=1"], "http://home.example.org:8080/", "a=1"),
        (HOST, &["a=1"], "http://sub.home.example.org/", ""),
        (HOST, &["a=1"], "http://example.org/", ""),
        (HOST, &["a=1; Domain="], "http://sub.home.example.org/", ""),
        // The host itself, and what is above and below it.
        (
            HOST,
            &["a=1; Domain=HOME.example.org"],
            "http://sub.home.example.org/",
            "a=1",
        ),
        (
            HOST,
            &["a=1; Domain=.example.org"],
            "http://example.org/",
            "a=1",
        ),
        (
            HOST,
            &["a=1; Domain=example.org"],
            "http://badexample.org/",
            "",
        ),
        (
            HOST,
            &["a=1; Domain=sub.home.example.org"],
            "http://sub.home.example.org/",
            "",
        ),
        (
            HOST,
            &["a=1; Domain=other.example.org"],
            "http://other.example.org/",
            "",
        ),
        (
            HOST,
            &["a=1; Domain=example.com"],
            "http://example.com/",
            "",
        ),
        (HOST, &["a=1; Domain=ome.example.org"], HOST, ""),
        // Not names at all, and the trailing dot.
        (HOST, &["a=1; Domain=home..example.org"], HOST, ""),
        (HOST, &["a=1; Domain=..example.org"], HOST, ""),
        (HOST, &["a=1; Domain=home.example.org."], HOST, ""),
        (HOST, &["a=1; Domain=hömé.example.org"], HOST, ""),
        (
            "http://example.org./",
            &["a=1; Domain=example.org."],
            "http://example.org./",
            "",
        ),
        (
            "http://example.org./",
            &["a=1"],
            "http://example.org./",
            "a=1",
        ),
        ("http://example.org./", &["a=1"], "http://example.org/", ""),
        // The last one counts.
        (
            HOST,
            &["a=1; Domain=example.org; Domain=home.example.org"],
            "http://example.org/",
            "",
        ),
        (
            HOST,
            &["a=1; Domain=example.com; Domain=example.org"],
            "http://example.org/",
            "a=1",
        ),
        // Other schemes of the same host.
        (HOST, &["a=1"], "https://home.example.org/", "a=1"),
        (HOST, &["a=1"], "ws://home.example.org/", "a=1"),
        ("ftp://example.org/", &["a=1"], "http://example.org/", ""),
        (HOST, &["a=1"], "ftp://home.example.org/", ""),
    ]);
}

#[test]
fn public_suffixes() {
    // SPEC K9
    check(&[
        ("http://a.com/", &["a=1; Domain=com"], "http://a.com/", ""),
        (
            "http://a.co.uk/",
            &["a=1; Domain=co.uk"],
            "http://b.co.uk/",
            "",
        ),
        (
            "http://me.github.io/",
            &["a=1; Domain=github.io"],
            "http://me.github.io/",
            "",
        ),
        // A host that is a suffix: for itself only.
        (
            "http://github.io/",
            &["a=1; Domain=github.io"],
            "http://github.io/",
            "a=1",
        ),
        (
            "http://github.io/",
            &["a=1; Domain=github.io"],
            "http://me.github.io/",
            "",
        ),
        // Single labels, likewise.
        ("http://localhost/", &["a=1"], "http://localhost/", "a=1"),
        (
            "http://localhost/",
            &["a=1; Domain=localhost"],
            "http://localhost/",
            "a=1",
        ),
        (
            "http://localhost/",
            &["a=1; Domain=localhost"],
            "http://x.localhost/",
            "",
        ),
        (
            "http://x.localhost/",
            &["a=1; Domain=localhost"],
            "http://x.localhost/",
            "",
        ),
    ]);
}

#[test]
fn path_rules() {
    // SPEC K4
    const SITE: &str = "http://example.org";
    let full = |path: &str| format!("{SITE}{path}");
    for (from, line, to, want) in [
        ("/a/b", "x=1", "/a", "x=1"),
        ("/a/b", "x=1", "/a/c/d", "x=1"),
        ("/a/b", "x=1", "/", ""),
        ("/a/b", "x=1", "/ab", ""),
        ("/a/b?/c/d", "x=1", "/a", "x=1"),
        ("/a", "x=1", "/", "x=1"),
        ("/a/b", "x=1; Path=/", "/", "x=1"),
        ("/a/b", "x=1; Path=a", "/a", "x=1"),
        ("/a/b", "x=1; Path=/c; Path", "/a", "x=1"),
        ("/", "x=1; Path=/a/", "/a", ""),
        ("/", "x=1; Path=/a/", "/a/", "x=1"),
        ("/", "x=1; Path=/a", "/a?q", "x=1"),
        // Any host may set any path: it is no protection.
        ("/", "x=1; Path=/far/away", "/far/away/", "x=1"),
        ("/", "x=1; Path=/\u{e9}", "/\u{e9}", ""),
    ] {
        let jar = CookieJar::new();
        set(&jar, &full(from), &[line], at(0));
        assert_eq!(ask(&jar, &full(to), at(1)), want, "{from} {line} {to}");
    }
}

#[test]
fn secure_and_prefixes() {
    // SPEC K7, K9
    const TLS: &str = "https://a.example.org/x/";
    const PLAIN: &str = "http://a.example.org/x/";
    check(&[
        (TLS, &["a=1; Secure"], TLS, "a=1"),
        (TLS, &["a=1; Secure"], PLAIN, ""),
        (TLS, &["a=1; Secure"], "wss://a.example.org/x/", "a=1"),
        (PLAIN, &["a=1; Secure"], TLS, ""),
        ("wss://a.example.org/x/", &["a=1; Secure"], TLS, "a=1"),
        (TLS, &["__Secure-a=1; Secure"], TLS, "__Secure-a=1"),
        (TLS, &["__Secure-a=1"], TLS, ""),
        (TLS, &["__secure-a=1"], TLS, ""),
        (PLAIN, &["__Secure-a=1; Secure"], TLS, ""),
        (TLS, &["__Host-a=1; Secure; Path=/"], TLS, "__Host-a=1"),
        (TLS, &["__Host-a=1; Path=/"], TLS, ""),
        (TLS, &["__Host-a=1; Secure"], TLS, ""),
        (TLS, &["__HOST-a=1; Secure; Path=/x/"], TLS, ""),
        (
            TLS,
            &["__Host-a=1; Secure; Path=/; Domain=a.example.org"],
            TLS,
            "",
        ),
        // The default path is "/" here, but it was not asked for.
        (
            "https://example.org/",
            &["__Host-a=1; Secure"],
            "https://example.org/",
            "",
        ),
        // Every SameSite is sent: requests of a client have no other site.
        (
            TLS,
            &["a=1; SameSite=Strict", "b=2; SameSite=None; Secure"],
            TLS,
            "a=1; b=2",
        ),
    ]);
}

/// What plaintext may do beside a Secure cookie `a` of the domain
/// `a.example.org` and the path `/x`.
#[test]
fn plaintext_leaves_secure_cookies_alone() {
    // SPEC K9
    for (from, line, taken) in [
        ("http://a.example.org/", "a=2; Path=/x", false),
        ("http://a.example.org/", "a=2; Path=/x/y", false),
        ("http://a.example.org/", "a=; Path=/x; Max-Age=0", false),
        (
            "http://a.example.org/",
            "a=2; Path=/x; Domain=example.org",
            false,
        ),
        ("http://b.a.example.org/", "a=2; Path=/x", false),
        ("http://a.example.org/", "a=2; Path=/", true),
        ("http://a.example.org/", "b=2; Path=/x", true),
        ("http://c.example.org/", "a=2; Path=/x", true),
        ("https://a.example.org/", "a=2; Path=/x", true),
    ] {
        let jar = CookieJar::new();
        let tls = url("https://a.example.org/");
        let secure = cookie("a=1; Secure; Path=/x; Domain=a.example.org");
        assert!(jar.add_at(secure, Some(&tls), at(0)));
        let got = jar.add_at(cookie(line), Some(&url(from)), at(0));
        assert_eq!(got, taken, "{from} {line}");
        assert!(jar.all_at(at(0)).iter().any(|c| c.name() == b"a"));
    }
}

#[test]
fn order_and_identity() {
    // SPEC K6, K7
    let jar = CookieJar::new();
    let host = "http://a.example.org/x/y";
    set(
        &jar,
        host,
        &[
            "n=host; Path=/",
            "n=domain; Path=/; Domain=a.example.org",
            "n=parent; Path=/; Domain=example.org",
            "n=deep; Path=/x/y",
            "n=x; Path=/x",
            "m=1; Path=/x",
        ],
        at(0),
    );
    let all = "n=deep; n=x; m=1; n=host; n=domain; n=parent";
    assert_eq!(ask(&jar, host, at(1)), all);
    // A new value keeps the old place (RFC 6265bis §5.7, creation time).
    set(&jar, host, &["n=HOST; Path=/"], at(2));
    let all = "n=deep; n=x; m=1; n=HOST; n=domain; n=parent";
    assert_eq!(ask(&jar, host, at(3)), all);
    // A removed one comes back as the youngest.
    set(
        &jar,
        host,
        &["n=; Path=/x; Max-Age=0", "n=X; Path=/x"],
        at(4),
    );
    let all = "n=deep; m=1; n=X; n=HOST; n=domain; n=parent";
    assert_eq!(ask(&jar, host, at(5)), all);
}

#[test]
fn expiry() {
    // SPEC K5, K7, K11
    let jar = CookieJar::new();
    let host = "http://example.org/";
    set(
        &jar,
        host,
        &["a=1; Max-Age=10", "b=2", "c=3; Max-Age=20"],
        at(0),
    );
    assert_eq!(ask(&jar, host, at(9)), "a=1; b=2; c=3");
    assert_eq!(ask(&jar, host, at(10)), "b=2; c=3");
    assert_eq!(jar.all_at(at(10)).len(), 2);
    // An update without expiry makes it a session cookie.
    set(&jar, host, &["c=4"], at(11));
    assert_eq!(ask(&jar, host, at(1000)), "b=2; c=4");
    set(
        &jar,
        host,
        &["b=; Expires=Thu, 01 Jan 1970 00:00:00 GMT"],
        at(12),
    );
    assert_eq!(ask(&jar, host, at(13)), "c=4");
    // The cap: 400 days and not a second more.
    set(&jar, host, &["d=5; Max-Age=99999999999"], at(0));
    let days = 400 * 24 * 3600;
    assert_eq!(ask(&jar, host, at(days - 1)), "c=4; d=5");
    assert_eq!(ask(&jar, host, at(days)), "c=4");
}

#[test]
fn ip_hosts() {
    // SPEC K1
    for host in ["http://127.0.0.1/", "http://[::1]/", "http://0x7f.1/"] {
        let jar = CookieJar::new();
        set(&jar, host, &["a=1"], at(0));
        assert!(jar.is_empty(), "{host}");
        assert!(!jar.add(cookie("a=1"), Some(&url(host))));
        let ip = url(host).host_str().unwrap().to_owned();
        assert!(!jar.add(cookie(&format!("a=1; Domain={ip}")), None));

        let jar = CookieJar::builder().allow_ip_hosts(true).build();
        set(
            &jar,
            host,
            &["a=1", &format!("b=2; Domain={ip}"), "c=3; Domain=0.0.1"],
            at(0),
        );
        assert_eq!(ask(&jar, host, at(1)), "a=1; b=2");
        assert_eq!(ask(&jar, "http://127.0.0.2/", at(1)), "");
    }
}

#[test]
fn secure_origins() {
    // SPEC K1
    let origin = url("http://localhost:8080/");
    let jar = CookieJar::builder().treat_as_secure_origin(&origin).build();
    set(
        &jar,
        "http://localhost:8080/",
        &["__Host-a=1; Secure; Path=/"],
        at(0),
    );
    assert_eq!(ask(&jar, "http://localhost:8080/x", at(1)), "__Host-a=1");
    assert_eq!(ask(&jar, "ws://localhost:8080/x", at(1)), "__Host-a=1");
    assert_eq!(ask(&jar, "http://localhost:8081/x", at(1)), "");
    set(&jar, "http://localhost/", &["b=1; Secure"], at(0));
    assert_eq!(jar.all_at(at(1)).len(), 1);
}

#[test]
fn shared_cookies() {
    // SPEC K2, S3
    let jar = CookieJar::new();
    assert!(jar.add(Cookie::new("s", "1").unwrap(), None));
    for to in [
        "http://example.org/a/b",
        "https://example.com/",
        "http://localhost/",
        "http://127.0.0.1/",
    ] {
        assert_eq!(ask(&jar, to, at(1)), "s=1");
    }
    assert_eq!(jar.all_at(at(1))[0].domain(), None);
    assert_eq!(ask(&jar, "ftp://example.org/", at(1)), "");
    // A server's cookie of that name stands beside it.
    set(&jar, "http://example.org/", &["s=2"], at(1));
    assert_eq!(ask(&jar, "http://example.org/", at(2)), "s=1; s=2");
    // Added again, it is replaced; expired, removed.
    assert!(jar.add_at(cookie("s=3"), None, at(2)));
    assert_eq!(ask(&jar, "http://example.com/", at(3)), "s=3");
    assert!(jar.add_at(cookie("s=; Max-Age=0"), None, at(3)));
    assert_eq!(ask(&jar, "http://example.org/", at(4)), "s=2");
    // Attributes hold for shared cookies too.
    assert!(jar.add_at(cookie("t=1; Secure; Path=/x"), None, at(4)));
    assert_eq!(ask(&jar, "https://example.com/x", at(5)), "t=1");
    assert_eq!(ask(&jar, "http://example.com/x", at(5)), "");
    assert_eq!(ask(&jar, "https://example.com/", at(5)), "");
}

#[test]
fn a_domain_without_a_url() {
    // SPEC K2
    let jar = CookieJar::new();
    assert!(jar.add_at(cookie("a=1; Domain=example.org; Secure"), None, at(0)));
    assert_eq!(ask(&jar, "https://www.example.org/", at(1)), "a=1");
    assert_eq!(ask(&jar, "https://example.com/", at(1)), "");
    assert!(!jar.add_at(cookie("a=1; Domain=com"), None, at(0)));
    assert!(!jar.add_at(cookie("a=1; Domain=example.org."), None, at(0)));
}

/// What `all` gives, another jar takes, and answers alike.
#[test]
fn a_jar_can_be_copied() {
    // SPEC K11
    let jar = CookieJar::new();
    let lines = ["a=1; Path=/x", "b=2; Domain=example.org; Max-Age=50"];
    set(&jar, "https://www.example.org/x/y", &lines, at(0));
    set(&jar, "http://localhost/", &["c=3; Path=/"], at(0));
    jar.add_at(cookie("d=4"), None, at(0));
    let copy = CookieJar::new();
    for cookie in jar.all_at(at(1)) {
        assert!(copy.add_at(cookie, None, at(1)));
    }
    assert_eq!(copy.all_at(at(2)), jar.all_at(at(2)));
    // With a URL, a host-only cookie keeps to its host.
    let host_only = jar.all_at(at(1)).remove(0);
    assert!(host_only.host_only());
    assert!(!copy.add_at(
        host_only.clone(),
        Some(&url("http://sub.www.example.org/")),
        at(2)
    ));
    assert!(copy.add_at(host_only, Some(&url("http://www.example.org/")), at(2)));
}

#[test]
fn clearing() {
    // SPEC K11
    let filled = || {
        let jar = CookieJar::new();
        set(&jar, "http://example.org/", &["a=1"], at(0));
        set(
            &jar,
            "http://www.example.org/",
            &["b=2", "c=3; Domain=example.org"],
            at(0),
        );
        set(&jar, "http://badexample.org/", &["d=4"], at(0));
        jar.add_at(cookie("e=5"), None, at(0));
        jar
    };
    let names = |jar: &CookieJar| {
        let all = jar.all();
        all.iter()
            .map(|c| c.name_str().unwrap())
            .collect::<String>()
    };
    assert_eq!((filled().len(), names(&filled())), (5, "abcde".to_owned()));
    for (domain, left) in [
        ("example.org", "de"),
        (".EXAMPLE.org", "de"),
        ("www.example.org", "acde"),
        ("org", "e"),
        ("", "abcde"),
        ("nowhere", "abcde"),
    ] {
        let jar = filled();
        jar.clear_domain(domain);
        assert_eq!(names(&jar), left, "{domain}");
    }
    let jar = filled();
    let same = jar.clone();
    jar.retain(|cookie| {
        // The lock is not held: the jar may be used from in here.
        assert!(!same.is_empty());
        if cookie.name() == b"b" {
            set(&same, "http://www.example.org/", &["b=new"], at(0));
        }
        cookie.name() == b"d"
    });
    // "b" was replaced after it was looked at.
    assert_eq!(names(&jar), "bd");
    jar.clear();
    assert!(jar.is_empty() && same.is_empty());

    // What comes after a clearing is not what was looked at before it.
    let jar = filled();
    let same = jar.clone();
    jar.retain(|cookie| {
        if cookie.name() == b"a" {
            same.clear();
            set(&same, "http://example.org/", &["new=1"], at(0));
        }
        false
    });
    assert_eq!(names(&jar), "new");
}

#[test]
fn debug_shows_no_secrets() {
    let jar = CookieJar::new();
    set(&jar, "http://example.org/", &["sid=hunter2; Path=/"], at(0));
    let text = format!("{jar:?} {:?}", jar.all());
    assert!(!text.contains("hunter2"), "{text}");
    assert!(
        text.contains("cookies: 1") && text.contains("<7 bytes>"),
        "{text}"
    );
}
