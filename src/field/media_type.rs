//! Media types (RFC 9110 §8.3.1).

use std::fmt;

use super::{MAX_PARAMETERS, Parameters, lenient, token};

/// What a body is, as `Content-Type` says it: `text/html; charset=utf-8`.
///
/// ```
/// use miohttp::MediaType;
///
/// let kind = MediaType::parse("Text/HTML; Charset=\"utf-8\"").unwrap();
/// assert_eq!(kind.essence(), "text/html");
/// assert_eq!((kind.type_(), kind.subtype()), ("text", "html"));
/// assert_eq!(kind.parameter("charset"), Some("utf-8"));
/// assert!(MediaType::parse("no media type").is_none());
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct MediaType {
    /// `type/subtype`, in lower case.
    essence: String,
    /// Where the subtype begins.
    subtype: usize,
    /// Names in lower case, each once.
    parameters: Vec<(String, String)>,
}

impl MediaType {
    /// Reads a field value; `None` if it does not begin with `type/subtype`.
    /// A parameter without a value, or a second one of a name, is left out.
    pub fn parse(value: impl AsRef<[u8]>) -> Option<Self> {
        Self::read(value.as_ref())
    }

    fn read(value: &[u8]) -> Option<Self> {
        let end = value.iter().position(|byte| *byte == b';');
        let (essence, rest) = value.split_at(end.unwrap_or(value.len()));
        let slash = essence.iter().position(|byte| *byte == b'/')?;
        let first = token(essence[..slash].trim_ascii_start())?;
        let second = token(essence[slash + 1..].trim_ascii_end())?;
        let mut media_type = Self::of(first, second);
        for parameter in Parameters::new(rest).take(MAX_PARAMETERS) {
            let name = parameter.name.to_ascii_lowercase();
            if let Some(value) = parameter.value
                && media_type.parameter(&name).is_none()
            {
                media_type.parameters.push((name, lenient(&value)));
            }
        }
        Some(media_type)
    }

    fn of(first: &str, second: &str) -> Self {
        Self {
            essence: format!("{first}/{second}").to_ascii_lowercase(),
            subtype: first.len() + 1,
            parameters: Vec::new(),
        }
    }

    /// `application/octet-stream`: what a body is of which nothing is known.
    pub fn octet_stream() -> Self {
        Self::of("application", "octet-stream")
    }

    /// `type/subtype` without parameters, in lower case.
    pub fn essence(&self) -> &str {
        &self.essence
    }

    /// What stands before the slash, in lower case.
    pub fn type_(&self) -> &str {
        &self.essence[..self.subtype - 1]
    }

    /// What stands behind the slash, in lower case.
    pub fn subtype(&self) -> &str {
        &self.essence[self.subtype..]
    }

    /// What stands behind the last `+` of the subtype: `json` of
    /// `application/problem+json` (RFC 6839).
    pub fn suffix(&self) -> Option<&str> {
        self.subtype().rsplit_once('+').map(|(_, suffix)| suffix)
    }

    /// The value of a parameter, whose name may have any case.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let mut parameters = self.parameters();
        let found = parameters.find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value)
    }

    /// Names, in lower case, and values of the parameters, in order.
    pub fn parameters(&self) -> impl Iterator<Item = (&str, &str)> {
        let parameters = self.parameters.iter();
        parameters.map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The `charset` parameter, unless it is empty. Single quotes, which some
    /// servers put around it, are taken off.
    pub fn charset(&self) -> Option<&str> {
        let charset = self.parameter("charset")?;
        let charset = charset.trim_matches(|c: char| c == '\'' || c.is_ascii_whitespace());
        Some(charset).filter(|charset| !charset.is_empty())
    }

    /// Whether it is `application/json` or `application/*+json` (SPEC J2).
    pub fn is_json(&self) -> bool {
        self.type_() == "application" && (self.subtype() == "json" || self.suffix() == Some("json"))
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.essence)?;
        for (name, value) in self.parameters() {
            if token(value.as_bytes()).is_some() {
                write!(f, "; {name}={value}")?;
            } else {
                let escaped = value.replace('\\', "\\\\").replace('"', "\\\"");
                write!(f, "; {name}=\"{escaped}\"")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MediaType({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_and_parameters_are_told_apart() {
        // SPEC R5
        for (value, want) in [
            ("text/html", Some("text/html")),
            (
                " Text/HTML ;Charset=UTF-8",
                Some("text/html; charset=UTF-8"),
            ),
            ("a/b;c=\"d e\";C=again;f", Some("a/b; c=\"d e\"")),
            ("a/b;q=\"x\\\"y\\\\\"", Some("a/b; q=\"x\\\"y\\\\\"")),
            ("application/x.y+json", Some("application/x.y+json")),
            ("", None),
            ("text", None),
            ("text/", None),
            ("/html", None),
            ("text /html", None),
            ("text/ht ml", None),
            ("a/b/c", None),
            ("text/html, a/b", None),
        ] {
            let got = MediaType::parse(value).map(|kind| kind.to_string());
            assert_eq!(got.as_deref(), want, "{value}");
        }
        let twice = MediaType::parse("a/b;c=\"d e\"").unwrap();
        assert_eq!(MediaType::parse(twice.to_string()), Some(twice));
        assert_eq!(
            MediaType::octet_stream().essence(),
            "application/octet-stream"
        );
    }

    #[test]
    fn a_charset_is_found_however_it_is_quoted() {
        // SPEC R5, J1
        for (value, want) in [
            ("a/b;charset=latin1", Some("latin1")),
            ("a/b;x=y; CHARSET = \"Latin1\"", Some("Latin1")),
            ("a/b;charset='utf-8'", Some("utf-8")),
            ("a/b;charset=\" \"", None),
            ("a/b;charset=", None),
            ("a/b;charset", None),
            ("a/b", None),
        ] {
            let kind = MediaType::parse(value).unwrap();
            assert_eq!(kind.charset(), want, "{value}");
        }
    }

    #[test]
    fn json_has_one_name_and_a_suffix() {
        // SPEC J2
        for (value, json) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/problem+json", true),
            ("application/a+b+json", true),
            ("application/json-seq", false),
            ("application/jsonp", false),
            ("text/json", false),
            ("text/x+json", false),
            ("application/octet-stream", false),
        ] {
            assert_eq!(MediaType::parse(value).unwrap().is_json(), json, "{value}");
        }
    }
}
