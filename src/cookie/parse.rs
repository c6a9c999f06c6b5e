//! The `Set-Cookie` syntax of RFC 6265bis §5.6: lenient, linear, and without
//! any knowledge of who sent the line.

use std::time::{Duration, SystemTime};

use super::{Cookie, SameSite, date};

/// Name and value together (RFC 6265bis §5.6 step 6; K9): a longer pair is
/// dropped whole, since half a session id is worth nothing.
const MAX_PAIR: usize = 4096;

/// One attribute's value (§5.6 step 6 of the attribute loop): a longer one is
/// skipped and the cookie kept.
const MAX_ATTRIBUTE: usize = 1024;

/// No cookie outlives this (§5.5; K5).
const MAX_AGE: Duration = Duration::from_secs(400 * 24 * 60 * 60);

/// Parses one `Set-Cookie` value; `None` where the RFC says to ignore it.
pub(super) fn parse(line: &[u8], now: SystemTime) -> Option<Cookie> {
    // A NUL or CR that slipped through must not end up in a request header.
    if line.iter().any(|&byte| is_control(byte)) {
        return None;
    }
    let mut parts = line.split(|&byte| byte == b';');
    // A pair without "=" or without a name would be a nameless cookie. They
    // are dropped, as RFC 6265 has it: the later draft stores them, but a bare
    // word in a Cookie header reads differently from server to server.
    let (name, value) = split_pair(parts.next()?)?;
    if name.is_empty() || name.len().saturating_add(value.len()) > MAX_PAIR {
        return None;
    }
    let mut cookie = Cookie::from_pair(name.to_vec(), value.to_vec());
    let mut expiry = Expiry::default();
    for part in parts {
        let (name, value) = split_pair(part).unwrap_or((trim(part), b""));
        if value.len() <= MAX_ATTRIBUTE {
            attribute(&mut cookie, &mut expiry, name, value, now);
        }
    }
    cookie.expires = expiry.resolve(now);
    Some(cookie)
}

/// Whether a `Cookie` header carries the pair so that a server reading it by
/// the same rules sees the very same bytes.
pub(super) fn is_valid_pair(name: &[u8], value: &[u8]) -> bool {
    let plain = |part: &[u8]| {
        trim(part).len() == part.len() && !part.iter().any(|&b| b == b';' || is_control(b))
    };
    !name.is_empty()
        && !name.contains(&b'=')
        && name.len().saturating_add(value.len()) <= MAX_PAIR
        && plain(name)
        && plain(value)
}

/// One attribute. Of a repeated one the last counts, valid or not, except for
/// the two that decide the expiry, where an invalid one is as if absent (K5).
fn attribute(cookie: &mut Cookie, expiry: &mut Expiry, name: &[u8], value: &[u8], now: SystemTime) {
    let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
    if is("expires") {
        if let Some(at) = date::parse(value) {
            expiry.expires = Some(at);
        }
    } else if is("max-age") {
        if let Some(at) = max_age(value, now) {
            expiry.max_age = Some(at);
        }
    } else if is("domain") {
        // K3: one leading dot is old syntax and means nothing. An empty value
        // is as good as no attribute, and undoes an earlier one.
        let domain = value.strip_prefix(b".").unwrap_or(value);
        cookie.domain =
            (!domain.is_empty()).then(|| String::from_utf8_lossy(domain).to_ascii_lowercase());
    } else if is("path") {
        // K4: anything that is not absolute asks for the default path.
        cookie.path = value
            .starts_with(b"/")
            .then(|| String::from_utf8_lossy(value).into_owned());
    } else if is("secure") {
        // The two flags count with any value, even "Secure=false".
        cookie.secure = true;
    } else if is("httponly") {
        cookie.http_only = true;
    } else if is("partitioned") {
        cookie.partitioned = true;
    } else if is("samesite") {
        cookie.same_site = same_site(value);
    }
}

/// The two attributes that end a cookie's life, until all have been seen.
#[derive(Default)]
struct Expiry {
    expires: Option<SystemTime>,
    max_age: Option<SystemTime>,
}

impl Expiry {
    /// K5: `Max-Age` beats `Expires`, wherever they stand, and both are capped.
    fn resolve(self, now: SystemTime) -> Option<SystemTime> {
        Some(capped(self.max_age.or(self.expires)?, now))
    }
}

/// No further away than a cookie may live.
pub(super) fn capped(at: SystemTime, now: SystemTime) -> SystemTime {
    now.checked_add(MAX_AGE).map_or(at, |cap| at.min(cap))
}

/// `Max-Age` (§5.6.2): digits with an optional minus sign, of any length.
/// Zero and below mean "expired"; the epoch says that on every clock.
fn max_age(value: &[u8], now: SystemTime) -> Option<SystemTime> {
    let (negative, digits) = match value.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, value),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    // Saturates: a hundred digits are a valid way to say "for ever".
    let seconds = digits.iter().fold(0_u64, |sum, digit| {
        sum.saturating_mul(10)
            .saturating_add(u64::from(digit - b'0'))
    });
    if negative || seconds == 0 {
        return Some(SystemTime::UNIX_EPOCH);
    }
    now.checked_add(Duration::from_secs(seconds).min(MAX_AGE))
}

fn same_site(value: &[u8]) -> Option<SameSite> {
    [
        ("strict", SameSite::Strict),
        ("lax", SameSite::Lax),
        ("none", SameSite::None),
    ]
    .into_iter()
    .find(|(known, _)| value.eq_ignore_ascii_case(known.as_bytes()))
    .map(|(_, same_site)| same_site)
}

/// Splits at the first "=" and trims both sides.
pub(super) fn split_pair(part: &[u8]) -> Option<(&[u8], &[u8])> {
    let equals = part.iter().position(|&byte| byte == b'=')?;
    let (name, rest) = part.split_at_checked(equals)?;
    let value = rest.split_first().map_or(rest, |(_, value)| value);
    Some((trim(name), trim(value)))
}

/// Without the spaces and tabs around it. Not `trim_ascii`: that also takes
/// form feeds and line ends, which are not white space in this grammar.
pub(super) fn trim(mut part: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = part {
        part = rest;
    }
    part
}

/// Control characters but the tab (§5.6 step 1).
fn is_control(byte: u8) -> bool {
    byte.is_ascii_control() && byte != b'\t'
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2001-09-09 01:46:40 UTC.
    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000)
    }

    fn after(seconds: u64) -> Option<SystemTime> {
        Some(now() + Duration::from_secs(seconds))
    }

    #[test]
    fn pairs_are_kept_byte_for_byte() {
        // SPEC K8
        type Pair<'a> = (&'a [u8], &'a [u8]);
        let cases: &[(&[u8], Option<Pair<'_>>)] = &[
            (b"a=b", Some((b"a", b"b"))),
            (b"a=", Some((b"a", b""))),
            (b" \ta\t = b c ; x", Some((b"a", b"b c"))),
            (b"a=\"q;r\"", Some((b"a", b"\"q"))),
            (b"a=b=c==", Some((b"a", b"b=c=="))),
            (b"a=%22x%22,y", Some((b"a", b"%22x%22,y"))),
            (b"\xff\xfe=\x80", Some((b"\xff\xfe", b"\x80"))),
            (b"a=x\ty", Some((b"a", b"x\ty"))),
            (b"", None),
            (b"=", None),
            (b";", None),
            (b"a", None),
            (b"=b", None),
            (b" =b; Path=/", None),
            (b"a; b=c", None),
            (b"a=b\0c", None),
            (b"a=b\rc", None),
            (b"a=b; Path=/\x7f", None),
        ];
        for (line, want) in cases {
            let got = parse(line, now());
            let got = got.as_ref().map(|cookie| (cookie.name(), cookie.value()));
            assert_eq!(got, *want, "{:?}", String::from_utf8_lossy(line));
        }
    }

    #[test]
    fn expiry() {
        // SPEC K5
        let cases: &[(&str, Option<SystemTime>)] = &[
            ("", None),
            ("Max-Age=60", after(60)),
            ("max-age = 60 ", after(60)),
            ("Max-Age=0", Some(SystemTime::UNIX_EPOCH)),
            ("Max-Age=-0", Some(SystemTime::UNIX_EPOCH)),
            ("Max-Age=-9", Some(SystemTime::UNIX_EPOCH)),
            ("Max-Age=-", None),
            ("Max-Age=", None),
            ("Max-Age=+60", None),
            ("Max-Age=6e1", None),
            ("Max-Age=60; Max-Age=x", after(60)),
            ("Max-Age=60; Max-Age=90", after(90)),
            ("Max-Age=34560001", after(34_560_000)),
            ("Max-Age=99999999999999999999999999", after(34_560_000)),
            ("Expires=Sun, 09 Sep 2001 01:47:40 GMT", after(60)),
            ("Expires=soon", None),
            (
                "Expires=Sun, 09 Sep 2001 01:47:40 GMT; Expires=soon",
                after(60),
            ),
            ("Expires=Fri, 31 Dec 9999 23:59:59 GMT", after(34_560_000)),
            ("Max-Age=5; Expires=Sun, 09 Sep 2001 01:47:40 GMT", after(5)),
            ("Expires=Sun, 09 Sep 2001 01:47:40 GMT; Max-Age=5", after(5)),
            (
                "Max-Age=x; Expires=Sun, 09 Sep 2001 01:47:40 GMT",
                after(60),
            ),
        ];
        for (attributes, want) in cases {
            let cookie = parse(format!("a=b; {attributes}").as_bytes(), now()).unwrap();
            assert_eq!(cookie.expires(), *want, "{attributes}");
        }
    }

    #[test]
    fn domain_and_path() {
        // SPEC K3, K4
        let cases: &[(&str, Option<&str>, Option<&str>)] = &[
            ("", None, None),
            ("Domain=A.Example", Some("a.example"), None),
            ("Domain=.a.example", Some("a.example"), None),
            ("Domain=..a.example", Some(".a.example"), None),
            ("Domain=a.example.", Some("a.example."), None),
            ("Domain=.", None, None),
            ("Domain=a.example; Domain=", None, None),
            ("Domain", None, None),
            ("Path=/x ; Path=/y", None, Some("/y")),
            ("Path=/x; Path=", None, None),
            ("Path=x", None, None),
            ("Path", None, None),
        ];
        for (attributes, domain, path) in cases {
            let cookie = parse(format!("a=b; {attributes}").as_bytes(), now()).unwrap();
            assert_eq!(cookie.domain(), *domain, "{attributes}");
            assert_eq!(cookie.path(), *path, "{attributes}");
            assert!(!cookie.host_only());
        }
    }

    #[test]
    fn flags() {
        // SPEC K9
        let cookie = parse(b"a=b", now()).unwrap();
        assert!(!cookie.secure() && !cookie.http_only() && !cookie.partitioned());
        let cookie = parse(b"a=b;SECURE=no;;httpOnly;;Partitioned; qux", now()).unwrap();
        assert!(cookie.secure() && cookie.http_only() && cookie.partitioned());
        for (value, want) in [
            ("Strict", Some(SameSite::Strict)),
            ("lax", Some(SameSite::Lax)),
            ("NONE", Some(SameSite::None)),
            ("", None),
            ("other", None),
            ("Lax; SameSite=other", None),
        ] {
            let line = format!("a=b; SameSite={value}");
            assert_eq!(parse(line.as_bytes(), now()).unwrap().same_site(), want);
        }
    }

    #[test]
    fn sizes_are_capped() {
        // SPEC K9
        let line = |len: usize| format!("ab={}", "x".repeat(len)).into_bytes();
        assert!(parse(&line(4094), now()).is_some());
        assert!(parse(&line(4095), now()).is_none());
        // A long attribute is skipped, which leaves the one before it.
        let long = format!("a=b; Path=/x; Path=/{}", "y".repeat(1024));
        assert_eq!(parse(long.as_bytes(), now()).unwrap().path(), Some("/x"));
        // Attributes do not count towards the pair.
        let many = format!("a=b{}; Secure", "; x=y".repeat(10_000));
        assert!(parse(many.as_bytes(), now()).unwrap().secure());
    }

    #[test]
    fn new_accepts_what_survives_a_header() {
        for (name, value, ok) in [
            ("a", "", true),
            ("a b", "\"q\", %", true),
            ("a", "b=c", true),
            ("", "b", false),
            ("a=b", "c", false),
            ("a;b", "c", false),
            (" a", "c", false),
            ("a", "c ", false),
            ("a", "c;d", false),
            ("a", "c\r\nX: y", false),
        ] {
            assert_eq!(Cookie::new(name, value).is_ok(), ok, "{name:?}={value:?}");
        }
        assert!(Cookie::new("a", vec![b'x'; 4096]).is_err());
    }
}
