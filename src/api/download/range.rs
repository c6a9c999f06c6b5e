//! The header fields of ranges (RFC 9110, sections 8.8, 13.1.5 and 14.4).

use std::time::{Duration, SystemTime};

use http::HeaderMap;

use crate::http_date;

/// How much older than the answer a file has to be for its date to tell it from
/// the next one: by less, clocks and file systems may err.
const SETTLED: Duration = Duration::from_secs(60);

/// What `Content-Range` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ContentRange {
    /// The place of the first byte; none in the answer that there is none.
    pub(super) first: Option<u64>,
    /// Bytes of the whole, where known.
    pub(super) total: Option<u64>,
}

impl ContentRange {
    /// `bytes 5-9/10`, `bytes 5-9/*` or `bytes */10`; `None` for anything else.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all("content-range").iter();
        let value = values.next().filter(|_| values.next().is_none())?;
        let value = value.to_str().ok()?.trim();
        let (unit, value) = value.split_once(' ')?;
        let (range, total) = value.trim().split_once('/')?;
        if !unit.eq_ignore_ascii_case("bytes") {
            return None;
        }
        let total = match total {
            "*" => None,
            total => Some(number(total)?),
        };
        if range == "*" {
            return Some(Self { first: None, total });
        }
        let (first, last) = range.split_once('-')?;
        let (first, last) = (number(first)?, number(last)?);
        let sound = first <= last && total.is_none_or(|total| last < total);
        sound.then_some(Self {
            first: Some(first),
            total,
        })
    }
}

/// What `If-Range` can hold of this answer: a strong entity tag, or else a date
/// that is one, where there is no tag at all.
pub(super) fn validator(headers: &HeaderMap, now: SystemTime) -> Option<String> {
    let only = |name| {
        let mut values = headers.get_all(name).iter();
        let value = values.next().filter(|_| values.next().is_none())?;
        value.to_str().ok().map(str::trim)
    };
    if headers.contains_key("etag") {
        let tag = only("etag")?;
        let inside = tag.strip_prefix('"')?.strip_suffix('"')?;
        let sound = inside.bytes().all(|byte| byte > b' ' && byte != b'"');
        return sound.then(|| tag.to_owned());
    }
    let modified = only("last-modified")?;
    let date = http_date::parse(only("date")?.as_bytes(), now)?;
    let age = date.duration_since(http_date::parse(modified.as_bytes(), now)?);
    (age.ok()? >= SETTLED).then(|| modified.to_owned())
}

/// Whether an answer to a range is of the file with this validator, as far as
/// it says: some servers do not heed `If-Range`.
pub(super) fn same_file(headers: &HeaderMap, validator: &str) -> bool {
    let name = match validator.starts_with('"') {
        true => "etag",
        false => "last-modified",
    };
    let mut values = headers.get_all(name).iter();
    values.all(|value| value.as_bytes().trim_ascii() == validator.as_bytes())
}

/// Digits alone.
fn number(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    type Pair = (&'static str, &'static str);

    fn headers(fields: &[Pair]) -> HeaderMap {
        let field = |(name, value): &Pair| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        };
        let mut map = HeaderMap::new();
        for (name, value) in fields.iter().map(field) {
            map.append(name, value);
        }
        map
    }

    #[test]
    fn content_ranges() {
        let range = |value| ContentRange::of(&headers(&[("content-range", value)]));
        let some = |first, total| Some(ContentRange { first, total });
        for (value, want) in [
            ("bytes 5-9/10", some(Some(5), Some(10))),
            ("Bytes 5-9/*", some(Some(5), None)),
            ("bytes 0-0/1", some(Some(0), Some(1))),
            ("bytes */10", some(None, Some(10))),
            ("bytes */*", some(None, None)),
            ("bytes 5-4/10", None),
            ("bytes 5-10/10", None),
            ("bytes +5-9/10", None),
            ("bytes 5-/10", None),
            ("bytes 5-9", None),
            ("bytes=5-9/10", None),
            ("lines 5-9/10", None),
            ("bytes 99999999999999999999-9/10", None),
            ("", None),
        ] {
            assert_eq!(range(value), want, "{value:?}");
        }
        assert_eq!(ContentRange::of(&HeaderMap::new()), None);
        let twice = [
            ("content-range", "bytes */1"),
            ("content-range", "bytes */1"),
        ];
        assert_eq!(ContentRange::of(&headers(&twice)), None);
    }

    #[test]
    fn only_what_is_strong_is_a_validator() {
        let date = ("date", "Sun, 06 Nov 1994 08:50:37 GMT");
        let old = ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT");
        let young = ("last-modified", "Sun, 06 Nov 1994 08:49:38 GMT");
        let cases: [(&[Pair], Option<&str>); 12] = [
            (&[("etag", "\"abc\"")], Some("\"abc\"")),
            (&[("etag", "\"\""), old, date], Some("\"\"")),
            (&[("etag", "W/\"abc\"")], None),
            (&[("etag", "W/\"abc\""), old, date], None),
            (&[("etag", "abc"), old, date], None),
            (&[("etag", "\"a b\"")], None),
            (&[("etag", "\"a\""), ("etag", "\"b\"")], None),
            (&[old, date], Some("Sun, 06 Nov 1994 08:49:37 GMT")),
            (&[young, date], None),
            (&[old], None),
            (&[("last-modified", "yesterday"), date], None),
            (&[], None),
        ];
        for (fields, want) in cases {
            let got = validator(&headers(fields), SystemTime::now());
            assert_eq!(got.as_deref(), want, "{fields:?}");
        }
    }

    #[test]
    fn another_file_is_told_by_its_validator() {
        let tagged = headers(&[("etag", "\"a\""), ("last-modified", "x")]);
        assert!(same_file(&tagged, "\"a\""));
        assert!(!same_file(&tagged, "\"b\""));
        assert!(same_file(&tagged, "x") && !same_file(&tagged, "y"));
        assert!(same_file(&HeaderMap::new(), "\"a\""));
    }
}
