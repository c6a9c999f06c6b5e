//! The format of `cookies.txt`: a line for each cookie, seven fields with tabs
//! between them. No document defines it; this is what curl, wget, Python and
//! the exporters of browsers agree on.
//!
//! ```text
//! [#HttpOnly_]domain  below  path  secure  expires  name  value
//! ```
//!
//! `below` is whether the cookie goes to hosts below the domain too, and
//! `expires` counts seconds since 1970, 0 for a cookie of the session.

use std::time::{Duration, SystemTime};

use super::{Cookie, parse};
use crate::saved::Malformed;

const HTTP_ONLY: &[u8] = b"#HttpOnly_";

/// Whether the format has a way to write this cookie.
pub(super) fn is_writable(cookie: &Cookie) -> bool {
    let path = cookie.path.as_deref().unwrap_or("/").as_bytes();
    let domain = cookie.domain.as_deref();
    !domain.is_none_or(|domain| domain.starts_with('#'))
        && !cookie.name.contains(&b'\t')
        && !path.contains(&b'\t')
}

/// The file for these cookies, all of which are [writable](is_writable).
pub(super) fn write(cookies: &[Cookie]) -> Vec<u8> {
    // Some readers insist on this very line.
    let mut file = b"# Netscape HTTP Cookie File\n\n".to_vec();
    for cookie in cookies {
        if cookie.http_only {
            file.extend_from_slice(HTTP_ONLY);
        }
        if !cookie.host_only {
            file.push(b'.');
        }
        let domain = cookie.domain.as_deref().unwrap_or_default();
        let expires = seconds(cookie.expires).to_string();
        let fields: [&[u8]; 7] = [
            domain.as_bytes(),
            flag(!cookie.host_only),
            cookie.path.as_deref().unwrap_or("/").as_bytes(),
            flag(cookie.secure),
            expires.as_bytes(),
            &cookie.name,
            &cookie.value,
        ];
        file.extend(fields.join(&b'\t'));
        file.push(b'\n');
    }
    file
}

/// The cookies of a file. What else it says of them, nobody has checked yet.
pub(super) fn read(file: &[u8]) -> Result<Vec<Cookie>, Malformed> {
    let mut cookies = Vec::new();
    for (number, line) in (1..).zip(file.split(|&byte| byte == b'\n')) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let (http_only, line) = match line.strip_prefix(HTTP_ONLY) {
            Some(rest) => (true, rest),
            None => (false, line),
        };
        if line.trim_ascii().is_empty() || (line.starts_with(b"#") && !http_only) {
            continue;
        }
        let mut cookie = read_line(line).map_err(|message| Malformed::at(number, message))?;
        cookie.http_only = http_only;
        cookies.push(cookie);
    }
    Ok(cookies)
}

fn read_line(line: &[u8]) -> Result<Cookie, &'static str> {
    // A value may have tabs in it: it is the last field, whatever it holds.
    let mut fields = line.splitn(7, |&byte| byte == b'\t');
    let mut next = || fields.next().ok_or("it has fewer than six fields");
    let (domain, below, path) = (next()?, next()?, next()?);
    let (secure, expires, name) = (next()?, next()?, next()?);
    let value = fields.next().unwrap_or_default();

    if !parse::is_valid_pair(name, value) {
        return Err("no header can carry this name and value");
    }
    let mut cookie = Cookie::from_pair(name.to_vec(), value.to_vec());
    let domain = text(domain)?;
    let domain = domain.strip_prefix('.').unwrap_or(domain);
    if domain.is_empty() {
        return Err("the domain is empty");
    }
    cookie.domain = Some(domain.to_ascii_lowercase());
    cookie.host_only = !is_true(below)?;
    let path = text(path)?;
    if !path.starts_with('/') || path.contains(|c: char| c.is_ascii_control()) {
        return Err("the path does not begin with a slash, or has a control character");
    }
    cookie.path = Some(path.to_owned());
    cookie.secure = is_true(secure)?;
    cookie.expires = expiry(expires)?;
    Ok(cookie)
}

fn text(field: &[u8]) -> Result<&str, &'static str> {
    str::from_utf8(field).map_err(|_| "the domain or the path is not UTF-8")
}

fn flag(value: bool) -> &'static [u8] {
    if value { b"TRUE" } else { b"FALSE" }
}

fn is_true(field: &[u8]) -> Result<bool, &'static str> {
    if field.eq_ignore_ascii_case(b"true") {
        Ok(true)
    } else if field.eq_ignore_ascii_case(b"false") {
        Ok(false)
    } else {
        Err("a flag is neither TRUE nor FALSE")
    }
}

/// Whole seconds since 1970. A cookie that expires within the first of them is
/// long gone, so 0 is free to mean none.
fn seconds(expires: Option<SystemTime>) -> u64 {
    expires
        .and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok())
        .map_or(0, |since| since.as_secs())
}

/// Some writers add a fraction, some write -1 or nothing for the session, and
/// curl's own test files go to the year 700,000.
fn expiry(field: &[u8]) -> Result<Option<SystemTime>, &'static str> {
    const WRONG: &str = "the expiry is not a number";
    let whole = field.split(|&byte| byte == b'.').next().unwrap_or(field);
    let (negative, digits) = match whole.strip_prefix(b"-") {
        Some(digits) => (true, digits),
        None => (false, whole),
    };
    if field.is_empty() {
        return Ok(None);
    }
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(WRONG);
    }
    let fraction = field.get(whole.len()..).unwrap_or_default();
    if !fraction.iter().skip(1).all(u8::is_ascii_digit) {
        return Err(WRONG);
    }
    let seconds = digits.iter().fold(0_u64, |sum, digit| {
        sum.saturating_mul(10)
            .saturating_add(u64::from(digit - b'0'))
    });
    if negative || seconds == 0 {
        return Ok(None);
    }
    // Too far for the clock is further than any jar keeps a cookie.
    Ok(Some(at(seconds)))
}

/// That second, or a far one if the platform's clock does not reach it.
pub(super) fn at(seconds: u64) -> SystemTime {
    // The year 9999: every clock of the standard library gets there.
    const FAR: u64 = 253_402_300_799;
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.min(FAR))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(line: &str) -> Result<Cookie, Malformed> {
        read(line.as_bytes()).map(|mut cookies| cookies.remove(0))
    }

    #[test]
    fn lines_of_many_writers() {
        // SPEC K10
        let cookie = one("#HttpOnly_.Example.com\tTRUE\t/p\tFALSE\t17\tn\tv w\r\n").unwrap();
        assert_eq!(cookie.domain(), Some("example.com"));
        assert_eq!((cookie.name(), cookie.value()), (&b"n"[..], &b"v w"[..]));
        assert_eq!(cookie.path(), Some("/p"));
        assert_eq!(cookie.expires(), Some(at(17)));
        assert!(cookie.http_only() && !cookie.secure() && !cookie.host_only());
        let cookie = one("h.test\tfalse\t/\ttrue\t0\tn\ta\tb").unwrap();
        assert_eq!(cookie.value(), b"a\tb");
        assert!(cookie.host_only() && cookie.secure() && !cookie.http_only());
        for (expires, want) in [
            ("", None),
            ("-1", None),
            ("0", None),
            ("0.0", None),
            ("1700000000.25", Some(at(1_700_000_000))),
            ("22147483647", Some(at(22_147_483_647))),
            ("99999999999999999999999999", Some(at(u64::MAX))),
        ] {
            let cookie = one(&format!("h.test\tTRUE\t/\tFALSE\t{expires}\tn\tv")).unwrap();
            assert_eq!(cookie.expires(), want, "{expires}");
        }
        // The value may be missing with its tab.
        assert_eq!(one("h.test\tTRUE\t/\tFALSE\t0\tn").unwrap().value(), b"");
        let none = "# Netscape HTTP Cookie File\n\n  \n\r\n# a\tb\n#";
        assert!(read(none.as_bytes()).unwrap().is_empty());
        assert!(read(b"").unwrap().is_empty());
    }

    #[test]
    fn malformed_lines() {
        // SPEC K10
        for line in [
            "h.test\tTRUE\t/\tFALSE\t0",
            "h.test TRUE / FALSE 0 n v",
            "Set-Cookie: a=b",
            "{\"version\": 1}",
            "h.test\tYES\t/\tFALSE\t0\tn\tv",
            "h.test\tTRUE\t/\t\t0\tn\tv",
            "h.test\tTRUE\tp\tFALSE\t0\tn\tv",
            "h.test\tTRUE\t\tFALSE\t0\tn\tv",
            "h.test\tTRUE\t/\r\tFALSE\t0\tn\tv",
            "\tTRUE\t/\tFALSE\t0\tn\tv",
            ".\tTRUE\t/\tFALSE\t0\tn\tv",
            "h.test\tTRUE\t/\tFALSE\tsoon\tn\tv",
            "h.test\tTRUE\t/\tFALSE\t-\tn\tv",
            "h.test\tTRUE\t/\tFALSE\t1.x\tn\tv",
            "h.test\tTRUE\t/\tFALSE\t0\t\tv",
            "h.test\tTRUE\t/\tFALSE\t0\ta=b\tv",
            "h.test\tTRUE\t/\tFALSE\t0\tn\ta;b",
            "h.test\tTRUE\t/\tFALSE\t0\tn\ta\rb",
            "#HttpOnly_",
        ] {
            let file = format!("# good\n{line}\n");
            let fault = read(file.as_bytes());
            // The prefix alone leaves an empty line, which is none.
            if line == "#HttpOnly_" {
                assert!(fault.unwrap().is_empty());
                continue;
            }
            assert_eq!(fault.unwrap_err().line, Some(2), "{line}");
        }
        assert!(read(b"h\xff\tTRUE\t/\tFALSE\t0\tn\tv").is_err());
        // Any byte may stand in a value but what no header can hold.
        let bytes = read(b"h.test\tTRUE\t/\tFALSE\t0\tn\t\xff\x80").unwrap();
        assert_eq!(bytes[0].value(), b"\xff\x80");
    }

    #[test]
    fn what_cannot_be_written() {
        // SPEC K10
        let cookie = |line: &[u8]| parse::parse(line, SystemTime::UNIX_EPOCH).unwrap();
        assert!(!is_writable(&cookie(b"a=1")));
        assert!(is_writable(&cookie(b"a=1\t2; Domain=h.test")));
        assert!(!is_writable(&cookie(b"a\tb=1; Domain=h.test")));
        assert!(!is_writable(&cookie(b"a=1; Domain=h.test; Path=/\tx")));
    }
}
