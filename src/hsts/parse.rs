//! The value of `Strict-Transport-Security` (RFC 6797 §6.1). A field that
//! breaks a rule says nothing at all, so there is `None` for every mistake.

use std::collections::BTreeSet;

/// What a host asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Policy {
    /// In seconds; zero takes the policy back.
    pub(super) max_age: u64,
    pub(super) subdomains: bool,
}

/// ```text
/// field     = [ directive ] *( ";" [ directive ] )
/// directive = token [ "=" ( token | quoted-string ) ]
/// ```
///
/// White space may stand around everything. No directive may come twice, of the
/// unknown ones neither, which mean nothing but for that.
pub(super) fn parse(field: &[u8]) -> Option<Policy> {
    let mut max_age = None;
    let mut subdomains = false;
    let mut seen = BTreeSet::new();
    let mut rest = field.trim_ascii();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix(b";") {
            rest = after.trim_ascii_start();
            continue;
        }
        let (name, after) = token(rest)?;
        let after = after.trim_ascii_start();
        let (value, after) = match after.strip_prefix(b"=") {
            Some(after) => {
                let (value, after) = value(after.trim_ascii_start())?;
                (Some(value), after.trim_ascii_start())
            }
            None => (None, after),
        };
        // Only the next directive may follow.
        rest = match after.strip_prefix(b";") {
            Some(after) => after.trim_ascii_start(),
            None if after.is_empty() => after,
            None => return None,
        };
        let name = name.to_ascii_lowercase();
        match (&name[..], &value) {
            (b"max-age", Some(value)) => max_age = Some(seconds(value)?),
            (b"includesubdomains", None) => subdomains = true,
            (b"max-age" | b"includesubdomains", _) => return None,
            _ => {}
        }
        if !seen.insert(name) {
            return None;
        }
    }
    let max_age = max_age?;
    Some(Policy {
        max_age,
        subdomains,
    })
}

fn token(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = text.iter().position(|byte| !is_token(*byte));
    let (token, rest) = text.split_at(end.unwrap_or(text.len()));
    (!token.is_empty()).then_some((token, rest))
}

/// RFC 9110 §5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// A token, or what a quoted string stands for.
fn value(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let Some(mut text) = text.strip_prefix(b"\"") else {
        return token(text).map(|(value, rest)| (value.to_vec(), rest));
    };
    let mut value = Vec::new();
    loop {
        let (&byte, rest) = text.split_first()?;
        text = rest;
        match byte {
            b'"' => return Some((value, text)),
            b'\\' => {
                let (&byte, rest) = text.split_first()?;
                text = rest;
                value.push(may_be_quoted(byte)?);
            }
            byte => value.push(may_be_quoted(byte)?),
        }
    }
}

fn may_be_quoted(byte: u8) -> Option<u8> {
    (byte == b'\t' || !byte.is_ascii_control()).then_some(byte)
}

/// Digits and nothing else. Too many are for ever, by any clock.
fn seconds(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let add = |sum: u64, digit: &u8| sum.saturating_mul(10).saturating_add((digit - b'0').into());
    Some(digits.iter().fold(0, add))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn what_fields_ask_for() {
        for (field, max_age, subdomains) in [
            // Those of RFC 6797 §6.2.
            ("max-age=31536000", 31_536_000, false),
            ("max-age=15768000 ; includeSubDomains", 15_768_000, true),
            ("max-age=\"31536000\"", 31_536_000, false),
            ("max-age=0", 0, false),
            ("max-age=0; includeSubDomains", 0, true),
            // Names have no case, and no order.
            ("INCLUDESUBDOMAINS;MAX-AGE=1", 1, true),
            ("Max-Age=1;includesubdomains", 1, true),
            // White space, and directives that are not there.
            (" \t max-age = 1 ; ; includeSubDomains ;; ", 1, true),
            (";max-age=1", 1, false),
            // Others say nothing, whatever they hold.
            ("max-age=1; preload", 1, false),
            (
                "max-age=1; preload=\"a;b\\\"; includeSubDomains\"",
                1,
                false,
            ),
            ("max-age=1; x=max-age=2".trim_end_matches("=2"), 1, false),
            ("x=\"\"; max-age=\"\\1\\2\"", 12, false),
            // Longer than any clock.
            ("max-age=18446744073709551615", u64::MAX, false),
            ("max-age=99999999999999999999999999", u64::MAX, false),
            ("max-age=000000000000000000000000001", 1, false),
        ] {
            let want = Policy {
                max_age,
                subdomains,
            };
            assert_eq!(parse(field.as_bytes()), Some(want), "{field}");
        }
    }

    #[test]
    fn what_breaks_a_rule_says_nothing() {
        for field in [
            "",
            ";",
            "includeSubDomains",
            "max-age",
            "max-age=",
            "max-age=;",
            "max-age=\"\"",
            "max-age=-1",
            "max-age=+1",
            "max-age=1.0",
            "max-age=1s",
            "max-age=1 2",
            "max-age=\" 1\"",
            "max-age=\"1",
            "max-age=\"1\\",
            "max-age=\"1\"2",
            "max-age=1, includeSubDomains",
            "max-age=1 includeSubDomains",
            "max-age:1",
            "=1; max-age=1",
            "max-age=1; =",
            "max-age=1; x=",
            "max-age=1; x=a=b",
            "max-age=1; (x)",
            "max-age=1; includeSubDomains=true",
            "max-age=1; includeSubDomains=\"\"",
            // Twice, whatever it is and says.
            "max-age=1; max-age=1",
            "max-age=1; MAX-AGE=1",
            "max-age=1; includeSubDomains; includesubdomains",
            "max-age=1; preload; Preload",
            "max-age=1; x=1; x=2",
            "max-age=1; x=\"\n\"",
            "max-age=1; \u{fc}",
        ] {
            assert_eq!(parse(field.as_bytes()), None, "{field}");
        }
        assert_eq!(parse(b"max-age=1; x=\"\xff\""), parse(b"max-age=1"));
        assert_eq!(parse(b"max-age=1; \xff"), None);
    }

    #[test]
    fn a_long_field_is_read_in_one_go() {
        let many: String = (0..100_000).map(|n| format!("x{n};")).collect();
        assert!(parse(format!("{many}max-age=1").as_bytes()).is_some());
        assert!(parse(format!("{many}max-age=1;x7").as_bytes()).is_none());
    }
}
