//! Percent-encoding in a redirect's target (SPEC S32): brought into one form, or
//! sent as the server wrote it.

use std::borrow::Cow;

use url::Url;

use super::extra::escape_bytes;

/// A space that stands in a query as it is becomes `+`: servers that write one
/// there read a query as a form, and so do the clients they were tried with. (In
/// the path, which is no form, the URL's parser makes `%20` of it.)
pub(super) fn joined(location: &[u8]) -> Cow<'_, [u8]> {
    let location = location.trim_ascii();
    let end = location.iter().position(|byte| *byte == b'#');
    let (before, fragment) = location.split_at(end.unwrap_or(location.len()));
    let Some(query) = before.iter().position(|byte| *byte == b'?') else {
        return Cow::Borrowed(location);
    };
    if !before[query..].contains(&b' ') {
        return Cow::Borrowed(location);
    }
    let mut out = before.to_vec();
    for byte in &mut out[query..] {
        if *byte == b' ' {
            *byte = b'+';
        }
    }
    out.extend_from_slice(fragment);
    Cow::Owned(out)
}

/// Gives equal targets one spelling (RFC 3986 §6.2.2): what need not be encoded is
/// decoded, digits are in upper case, and a percent sign that encodes nothing is
/// encoded itself.
pub(super) fn normalise(url: &mut Url) {
    if url.path().contains('%') {
        let path = normalised(url.path());
        url.set_path(&path);
    }
    let query = url.query().filter(|query| query.contains('%'));
    if let Some(query) = query.map(normalised) {
        url.set_query(Some(&query));
    }
}

fn normalised(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        let (before, encoded) = rest.split_at(at);
        out.push_str(before);
        let Some(byte) = decoded(encoded.as_bytes()) else {
            out.push_str("%25");
            rest = &encoded[1..];
            continue;
        };
        match byte {
            // RFC 3986 §2.3.
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
        rest = &encoded[3..];
    }
    out.push_str(rest);
    out
}

/// What `%XX` at the start stands for.
fn decoded(text: &[u8]) -> Option<u8> {
    let &[_, high, low, ..] = text else {
        return None;
    };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

/// For the fuzzer: what `location` leads to from here, both ways.
#[cfg(fuzzing)]
pub(crate) fn both(base: &Url, location: &[u8], url: &Url) -> (Url, Option<String>) {
    let mut normal = url.clone();
    normalise(&mut normal);
    let base = &base[url::Position::BeforePath..url::Position::AfterQuery];
    (normal, verbatim(base, location, url))
}

/// Path and query that `location` leads to from a request with the target `base`, as
/// they are written; `url` is what they were taken for. Only what no request line can
/// hold is encoded, and dots are resolved. `None` where it is written in no form of
/// RFC 3986, which only a browser's parser makes sense of.
pub(super) fn verbatim(base: &str, location: &[u8], url: &Url) -> Option<String> {
    let location = location.trim_ascii();
    let location = location.split(|byte| *byte == b'#').next()?;
    let (base_path, base_query) = split(base.as_bytes());
    let reference = match scheme(location) {
        None => location,
        // Of another scheme nothing gets here, and one without an authority is
        // relative to a browser alone.
        Some(scheme) => {
            let rest = location.get(scheme.len() + 1..)?;
            let is_plain =
                scheme.eq_ignore_ascii_case(url.scheme().as_bytes()) && rest.starts_with(b"//");
            is_plain.then_some(rest)?
        }
    };
    let (path, query) = if let Some(rest) = reference.strip_prefix(b"//") {
        let end = rest
            .iter()
            .position(|byte| matches!(byte, b'/' | b'?' | b'\\'));
        let (path, query) = split(rest.get(end.unwrap_or(rest.len())..)?);
        (path.to_vec(), query)
    } else {
        let (path, query) = split(reference);
        match path {
            b"" => (base_path.to_vec(), query.or(base_query)),
            [b'/', ..] => (path.to_vec(), query),
            _ => {
                let folder = base_path.iter().rposition(|byte| *byte == b'/')?;
                ([base_path.get(..=folder)?, path].concat(), query)
            }
        }
    };
    // A browser takes these for slashes, and so for other hosts and folders.
    if path.contains(&b'\\') {
        return None;
    }
    let mut target = String::with_capacity(location.len() + 1);
    escape_bytes(&without_dots(&path), &mut target);
    if let Some(query) = query {
        target.push('?');
        escape_bytes(query, &mut target);
    }
    Some(target)
}

fn split(target: &[u8]) -> (&[u8], Option<&[u8]>) {
    match target.iter().position(|byte| *byte == b'?') {
        None => (target, None),
        Some(at) => (&target[..at], Some(&target[at + 1..])),
    }
}

/// RFC 3986 §3.1, as far as the first colon tells.
fn scheme(reference: &[u8]) -> Option<&[u8]> {
    let end = reference.iter().position(|byte| *byte == b':')?;
    let scheme = reference.get(..end)?;
    let is_scheme = scheme.first().is_some_and(u8::is_ascii_alphabetic)
        && scheme
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte));
    is_scheme.then_some(scheme)
}

/// RFC 3986 §5.2.4, of a path that begins with a slash or is empty.
fn without_dots(path: &[u8]) -> Vec<u8> {
    let mut kept: Vec<&[u8]> = Vec::new();
    let mut segments = path.split(|byte| *byte == b'/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            b"." => {}
            b".." => _ = kept.pop(),
            _ => {
                kept.push(segment);
                continue;
            }
        }
        // A folder keeps its slash.
        if is_last {
            kept.push(b"");
        }
    }
    let mut out = Vec::with_capacity(path.len() + 1);
    for segment in kept {
        out.push(b'/');
        out.extend_from_slice(segment);
    }
    if out.is_empty() {
        out.push(b'/');
    }
    out
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn encodings_are_brought_into_one_form() {
        // SPEC S32
        for (from, to) in [
            ("http://h/a", "http://h/a"),
            ("http://h/%41%7e%2d?%5f%2E", "http://h/A~-?_."),
            ("http://h/%2f%3F%23%25%20", "http://h/%2F%3F%23%25%20"),
            ("http://h/%c3%BC?%c3%bC", "http://h/%C3%BC?%C3%BC"),
            ("http://h/100%?50%&%g1%1", "http://h/100%25?50%25&%25g1%251"),
            ("http://h/%%34%31%25%34%31", "http://h/%2541%2541"),
            ("http://h/a?b#%41", "http://h/a?b#%41"),
            ("http://h/%61%2fb/%2e%2e/c", "http://h/c"),
        ] {
            let mut url = Url::parse(from).unwrap();
            normalise(&mut url);
            assert_eq!(url.as_str(), to, "{from}");
            let once = url.clone();
            normalise(&mut url);
            assert_eq!(url, once);
        }
    }

    #[test]
    fn spaces_in_a_query_are_those_of_a_form() {
        // SPEC S32
        for (from, to) in [
            ("/a b", "/a b"),
            ("/a b?c d&e=  f", "/a b?c+d&e=++f"),
            (" /?a ", "/?a"),
            ("/a#b ?c d", "/a#b ?c d"),
            ("?a b#c d", "?a+b#c d"),
            ("/?a%20b", "/?a%20b"),
            ("", ""),
        ] {
            assert_eq!(*joined(from.as_bytes()), *to.as_bytes(), "{from}");
        }
    }

    #[test]
    fn a_target_is_sent_as_it_is_written() {
        // SPEC S32, D4
        let base = "/a%41/b%42?c%43";
        for (location, want) in [
            ("/%41'|\"?%42'|#%43", "/%41'|\"?%42'|"),
            ("http://o.test/%7e?%7E", "/%7e?%7E"),
            ("HTTP://u:p@o.test:81/%7e", "/%7e"),
            ("http://o.test", "/"),
            ("http://o.test?%41", "/?%41"),
            ("//o.test/%41/", "/%41/"),
            ("?%44", "/a%41/b%42?%44"),
            ("?", "/a%41/b%42?"),
            ("", "/a%41/b%42?c%43"),
            ("#x", "/a%41/b%42?c%43"),
            ("%45", "/a%41/%45"),
            ("./%45?x", "/a%41/%45?x"),
            ("../%45", "/%45"),
            ("../../..", "/"),
            ("/a/./b/../%45/.", "/a/%45/"),
            ("/a//b", "/a//b"),
            ("/%2e%2e/x", "/%2e%2e/x"),
            ("/sp ace\u{fc}\t", "/sp%20ace%C3%BC"),
            ("a/b:c", "/a%41/a/b:c"),
            ("/x?y?/../z", "/x?y?/../z"),
        ] {
            let url = Url::parse("http://h.test").unwrap().join(location).unwrap();
            let target = verbatim(base, location.as_bytes(), &url);
            assert_eq!(target.as_deref(), Some(want), "{location}");
        }
        let url = Url::parse("http://h.test/").unwrap();
        let latin = verbatim(base, b"/\xfc", &url);
        assert_eq!(latin.as_deref(), Some("/%FC"));
        for odd in ["http:/x", "http:x", "/\\o.test", "\\x", "https://o.test/"] {
            assert_eq!(verbatim(base, odd.as_bytes(), &url), None, "{odd}");
        }
    }

    #[test]
    fn whatever_is_written_can_be_asked_for() {
        // SPEC S32, H9
        const PARTS: [&str; 20] = [
            "/", "//", ".", "..", "%", "%2", "%2e", "%2F", "%41", "%25", "?", "#", "\\", ":", "a",
            " ", "\t", "\u{fc}", "http:", "@",
        ];
        let base = Url::parse("http://h.test/a/b?c").unwrap();
        let mut dice = 0x2545_f491_4f6c_dd1d_u64;
        for _ in 0..50_000 {
            let mut location = String::new();
            for _ in 0..dice % 9 {
                dice ^= dice << 13;
                dice ^= dice >> 7;
                dice ^= dice << 17;
                location.push_str(PARTS[(dice >> 32) as usize % PARTS.len()]);
            }
            dice ^= dice << 13;
            dice ^= dice >> 7;
            dice ^= dice << 17;
            let Ok(url) = crate::call::redirect::target(&base, location.as_bytes()) else {
                continue;
            };
            let mut normal = url.clone();
            normalise(&mut normal);
            let once = normal.clone();
            normalise(&mut normal);
            assert_eq!(normal, once, "{location:?}");
            assert_eq!(normal.origin(), url.origin(), "{location:?}");
            assert_eq!(
                Url::parse(normal.as_str()).as_ref(),
                Ok(&normal),
                "{location:?}"
            );
            if let Some(written) = verbatim("/a/b?c", location.as_bytes(), &url) {
                assert!(written.starts_with('/'), "{location:?}");
                let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
                assert!(written.bytes().all(is_plain), "{location:?}");
            }
        }
    }
}
