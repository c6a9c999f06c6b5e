//! The `Cookie` request header: writing it, and joining two of them.

use std::collections::HashSet;

use http::HeaderValue;

use super::Cookie;
use super::parse::{split_pair, trim};

/// Writes `a=b; c=d`, or `None` for no cookies. The value is marked sensitive.
pub(super) fn write<'a>(cookies: impl IntoIterator<Item = &'a Cookie>) -> Option<HeaderValue> {
    let mut line = Vec::new();
    for cookie in cookies {
        push(&mut line, &[&cookie.name, b"=", &cookie.value]);
    }
    finish(line)
}

/// Joins a `Cookie` header the user wrote with the jar's (H8): the jar wins
/// where both name a cookie, and what only the user named stands first. A
/// header alone passes through unchanged.
pub(crate) fn merge_header(
    explicit: Option<&HeaderValue>,
    jar: Option<&HeaderValue>,
) -> Option<HeaderValue> {
    let (Some(explicit), Some(jar)) = (explicit, jar) else {
        return explicit.or(jar).cloned();
    };
    let named: HashSet<&[u8]> = pieces(jar).filter_map(name).collect();
    let mut line = Vec::with_capacity(explicit.len() + jar.len() + 2);
    // A piece without "=" has no name and so no rival.
    let kept = pieces(explicit).filter(|piece| name(piece).is_none_or(|n| !named.contains(n)));
    for piece in kept {
        push(&mut line, &[piece]);
    }
    push(&mut line, &[jar.as_bytes()]);
    finish(line)
}

fn pieces(header: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    let pieces = header.as_bytes().split(|&byte| byte == b';').map(trim);
    pieces.filter(|piece| !piece.is_empty())
}

fn name(piece: &[u8]) -> Option<&[u8]> {
    split_pair(piece).map(|(name, _)| name)
}

fn push(line: &mut Vec<u8>, parts: &[&[u8]]) {
    if !line.is_empty() {
        line.extend_from_slice(b"; ");
    }
    for part in parts {
        line.extend_from_slice(part);
    }
}

fn finish(line: Vec<u8>) -> Option<HeaderValue> {
    if line.is_empty() {
        return None;
    }
    // Never an error: control characters were refused when the pairs came in.
    let mut value = HeaderValue::from_maybe_shared(line).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merge_h8() {
        for (explicit, jar, want) in [
            (None, None, None),
            (Some(" a=1;;b "), None, Some(" a=1;;b ")),
            (None, Some("a=1"), Some("a=1")),
            (Some("a=1"), Some("b=2"), Some("a=1; b=2")),
            (Some("a=1; b=2"), Some("a=3"), Some("b=2; a=3")),
            (Some("a=1"), Some("a=2; a=3"), Some("a=2; a=3")),
            (Some("a=1; a=2"), Some("b=3"), Some("a=1; a=2; b=3")),
            (Some(" a =1;  c=\"x\" ;"), Some("a=2"), Some("c=\"x\"; a=2")),
            (Some("bare"), Some("a=1"), Some("bare; a=1")),
            (Some("A=1"), Some("a=2"), Some("A=1; a=2")),
            (Some(""), Some("a=2"), Some("a=2")),
        ] {
            let value = |text: Option<&str>| text.map(|t| HeaderValue::from_str(t).unwrap());
            let merged = merge_header(value(explicit).as_ref(), value(jar).as_ref());
            assert_eq!(merged, value(want), "{explicit:?} {jar:?}");
        }
    }

    #[test]
    fn a_written_header_is_sensitive_and_byte_exact() {
        let cookies = [
            Cookie::from_pair(b"a".to_vec(), b"\"x y\",\xff".to_vec()),
            Cookie::from_pair(b"b".to_vec(), b"".to_vec()),
        ];
        let header = write(&cookies).unwrap();
        assert_eq!(header.as_bytes(), b"a=\"x y\",\xff; b=");
        assert!(header.is_sensitive());
        assert_eq!(write([]), None);
    }
}
