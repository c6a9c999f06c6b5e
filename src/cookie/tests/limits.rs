//! Bounds: how many cookies a jar keeps, which go first, and what hostile
//! input can do.

use super::{ask, at, cookie, set, url};
use crate::cookie::store::{MAX_PER_SITE, MAX_TOTAL};
use crate::cookie::{CookieJar, parse};

#[test]
fn a_site_is_capped() {
    // SPEC K9
    let jar = CookieJar::new();
    set(&jar, "https://example.org/", &["keep=1; Secure"], at(0));
    set(&jar, "https://other.org/", &["o=1"], at(0));
    for n in 0..MAX_PER_SITE {
        // Subdomains share the cap of their registrable domain.
        let from = format!("http://h{}.example.org/", n % 7);
        set(
            &jar,
            &from,
            &[&format!("n{n}=1; Domain=example.org")],
            at(0),
        );
        // Asking counts as use: the second one outlives the first.
        if n == 1 {
            jar.header_at(&url("http://example.org/"), at(0));
            set(
                &jar,
                "http://example.org/",
                &["n0=1; Domain=example.org"],
                at(0),
            );
        }
    }
    assert_eq!(jar.all_at(at(1)).len(), MAX_PER_SITE + 1);
    let header = ask(&jar, "https://example.org/", at(1));
    assert!(header.starts_with("keep=1; n0=1; n2=1"), "{header}");
    assert_eq!(ask(&jar, "https://other.org/", at(1)), "o=1");
}

#[test]
fn the_total_is_capped() {
    // SPEC K9
    let jar = CookieJar::new();
    jar.add_at(cookie("shared=1"), None, at(0));
    set(&jar, "http://first.org/", &["a=1"], at(0));
    set(&jar, "http://second.org/", &["a=1"], at(0));
    for n in 0..MAX_TOTAL - 2 {
        set(&jar, &format!("http://host{n}.org/"), &["a=1"], at(0));
    }
    assert_eq!(jar.all_at(at(1)).len(), MAX_TOTAL + 1);
    assert_eq!(ask(&jar, "http://first.org/", at(1)), "shared=1; a=1");
    set(&jar, "http://last.org/", &["a=1"], at(1));
    assert_eq!(jar.all_at(at(1)).len(), 2700 + 1);
    assert_eq!(ask(&jar, "http://first.org/", at(1)), "shared=1; a=1");
    assert_eq!(ask(&jar, "http://last.org/", at(1)), "shared=1; a=1");
    assert_eq!(ask(&jar, "http://second.org/", at(1)), "shared=1");
}

/// Expired cookies make room before living ones have to.
#[test]
fn expired_cookies_are_evicted_first() {
    // SPEC K9
    let jar = CookieJar::new();
    set(&jar, "http://old.org/", &["a=1"], at(0));
    for n in 0..MAX_TOTAL - 1 {
        set(
            &jar,
            &format!("http://host{n}.org/"),
            &["a=1; Max-Age=5"],
            at(0),
        );
    }
    set(&jar, "http://new.org/", &["a=1"], at(5));
    assert_eq!(ask(&jar, "http://old.org/", at(5)), "a=1");
    assert_eq!(jar.all_at(at(5)).len(), 2);
}

/// The empty bucket of a refused or expired cookie leaves nothing behind.
#[test]
fn removal_leaves_nothing() {
    let jar = CookieJar::new();
    for n in 0..100 {
        set(
            &jar,
            &format!("http://host{n}.org/"),
            &["a=1", "a=; Max-Age=0"],
            at(0),
        );
        set(
            &jar,
            &format!("http://gone{n}.org/"),
            &["a=; Max-Age=0"],
            at(0),
        );
    }
    assert!(jar.is_empty());
    assert_eq!(jar.all_at(at(0)), []);
}

/// Bytes from a small generator in every place a peer controls: nothing
/// panics, and what is stored obeys the caps.
#[test]
fn arbitrary_bytes_are_harmless() {
    const WORDS: [&[u8]; 16] = [
        b"a",
        b"=",
        b";",
        b" ",
        b"\t",
        b"\0",
        b"\xff",
        b"\"",
        b",",
        b"Domain=",
        b".org",
        b"Path=/",
        b"Expires=",
        b"Max-Age=-",
        b"9:9:9 9",
        b"Secure",
    ];
    let jar = CookieJar::new();
    let from = url("https://a.b.org/x/y");
    let mut state = 1_u32;
    for _ in 0..20_000 {
        let mut line = Vec::new();
        for _ in 0..12 {
            // A linear congruential generator; its high bits are good enough.
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            line.extend_from_slice(WORDS[(state >> 28) as usize]);
        }
        if let Some(cookie) = parse::parse(&line, at(0)) {
            assert!(!cookie.name().is_empty());
            assert!(parse::is_valid_pair(cookie.name(), cookie.value()));
            jar.add_at(cookie, Some(&from), at(0));
        }
    }
    let all = jar.all_at(at(0));
    assert!(!all.is_empty() && all.len() <= MAX_PER_SITE);
    assert!(jar.header_at(&from, at(0)).is_some());
}

/// 20,000 cookies in one response push out each other, and nobody else's.
#[test]
fn a_flood_stays_in_its_bucket() {
    let jar = CookieJar::new();
    let lines: Vec<String> = (0..20_000).map(|n| format!("n{n}=1; Secure")).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    set(&jar, "https://example.org/", &["first=1"], at(0));
    set(&jar, "https://other.org/", &["o=1"], at(0));
    set(&jar, "https://example.org/", &lines, at(0));
    assert_eq!(jar.all_at(at(0)).len(), MAX_PER_SITE + 1);
    let header = ask(&jar, "https://example.org/", at(0));
    assert!(header.starts_with("n19820=1; ") && header.ends_with("; n19999=1"));
    assert_eq!(ask(&jar, "https://other.org/", at(0)), "o=1");
}
