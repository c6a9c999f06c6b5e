//! Joining two `Cookie` headers. Not part of the jar, for there are other stores
//! and requests' own headers without one.

use std::collections::HashSet;

use http::HeaderValue;

/// Joins a `Cookie` header the user wrote with the jar's (H8): the jar wins
/// where both name a cookie, and what only the user named stands first. A
/// header alone passes through unchanged.
pub(crate) fn merge_cookies(
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
        push(&mut line, piece);
    }
    push(&mut line, jar.as_bytes());
    finish(line)
}

fn pieces(header: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    let pieces = header.as_bytes().split(|&byte| byte == b';').map(trim);
    pieces.filter(|piece| !piece.is_empty())
}

fn name(piece: &[u8]) -> Option<&[u8]> {
    let equals = piece.iter().position(|&byte| byte == b'=')?;
    piece.get(..equals).map(trim)
}

/// Without the spaces and tabs around it, which are all the white space there is
/// in this grammar.
fn trim(mut part: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = part {
        part = rest;
    }
    part
}

fn push(line: &mut Vec<u8>, piece: &[u8]) {
    if !line.is_empty() {
        line.extend_from_slice(b"; ");
    }
    line.extend_from_slice(piece);
}

fn finish(line: Vec<u8>) -> Option<HeaderValue> {
    if line.is_empty() {
        return None;
    }
    // Never an error: both were header values.
    let mut value = HeaderValue::from_maybe_shared(line).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_stored_cookie_wins_by_name() {
        // SPEC H8
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
            let merged = merge_cookies(value(explicit).as_ref(), value(jar).as_ref());
            assert_eq!(merged, value(want), "{explicit:?} {jar:?}");
        }
    }
}
