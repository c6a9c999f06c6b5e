//! Content dispositions (RFC 6266, with the continuations of RFC 2231).

use std::borrow::Cow;

use super::{MAX_PARAMETERS, Parameters, extended, lenient, percent_decoded, token};

/// What `Content-Disposition` says: how a body is meant to be shown, and under
/// which name it may be kept.
///
/// ```
/// use miohttp::ContentDisposition;
///
/// let value = "attachment; filename=\"rates.txt\"; filename*=UTF-8''%e2%82%ac.txt";
/// let disposition = ContentDisposition::parse(value).unwrap();
/// assert_eq!(disposition.disposition_type(), "attachment");
/// assert_eq!(disposition.filename(), Some("\u{20ac}.txt"));
/// assert_eq!(disposition.parameter("filename"), Some("rates.txt"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentDisposition {
    kind: String,
    /// Names in lower case, each once; an extended one keeps its `*`.
    parameters: Vec<(String, String)>,
}

impl ContentDisposition {
    /// Reads a field value; `None` if it does not begin with a type. Parameters
    /// without a value or with a damaged extended one are left out, and so is a
    /// second one of a name.
    pub fn parse(value: impl AsRef<[u8]>) -> Option<Self> {
        Self::read(value.as_ref())
    }

    fn read(value: &[u8]) -> Option<Self> {
        let end = value.iter().position(|byte| *byte == b';');
        let (kind, rest) = value.split_at(end.unwrap_or(value.len()));
        let mut disposition = Self {
            kind: token(kind.trim_ascii())?.to_ascii_lowercase(),
            parameters: Vec::new(),
        };
        let mut sections = Vec::new();
        for parameter in Parameters::new(rest).take(MAX_PARAMETERS) {
            let Some(value) = parameter.value else {
                continue;
            };
            let name = parameter.name.to_ascii_lowercase();
            if let Some(section) = Section::read(&name, &value) {
                sections.push(section);
            } else if !name.ends_with('*') {
                disposition.add(name, lenient(&value));
            } else if let Some(value) = extended(&value) {
                disposition.add(name, value);
            }
        }
        disposition.join(sections);
        Some(disposition)
    }

    fn add(&mut self, name: String, value: String) {
        if self.find(&name).is_none() {
            self.parameters.push((name, value));
        }
    }

    /// Joins the pieces of each name. They give way to a value in one piece.
    fn join(&mut self, mut sections: Vec<Section<'_>>) {
        // Stable: of two with one number the first comes first, and counts.
        sections.sort_by(|a, b| (&a.name, a.number).cmp(&(&b.name, b.number)));
        for pieces in sections.chunk_by(|a, b| a.name == b.name) {
            if let Some(value) = joined(pieces) {
                self.add(pieces[0].name.clone(), value);
            }
        }
    }

    /// `attachment`, `inline` or another, in lower case.
    pub fn disposition_type(&self) -> &str {
        &self.kind
    }

    /// The value of a parameter, whose name may have any case. An extended one
    /// (RFC 8187) is asked for with its asterisk, `filename*`, and comes
    /// decoded; one in pieces (RFC 2231) comes joined, under its plain name.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.find(name)
    }

    fn find(&self, name: &str) -> Option<&str> {
        let mut parameters = self.parameters();
        let found = parameters.find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value)
    }

    /// Names, in lower case, and values of the parameters.
    pub fn parameters(&self) -> impl Iterator<Item = (&str, &str)> {
        let parameters = self.parameters.iter();
        parameters.map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The name of the file as the server has it: `filename*` before `filename`
    /// before one in pieces (SPEC R6).
    ///
    /// It may hold anything: directories, `..`, control characters. For a file
    /// that is to be written take [`safe_filename`](Self::safe_filename).
    pub fn filename(&self) -> Option<&str> {
        self.find("filename*").or_else(|| self.find("filename"))
    }

    /// The last part of [`filename`](Self::filename) as a name that is safe to
    /// use in a directory: without separators, control characters and what
    /// Windows refuses, no `..`, and at most 255 bytes long. `None` where
    /// nothing is left of it.
    ///
    /// ```
    /// use miohttp::ContentDisposition;
    ///
    /// let value = "attachment; filename=\"../../etc/passwd\"";
    /// let disposition = ContentDisposition::parse(value).unwrap();
    /// assert_eq!(disposition.safe_filename().as_deref(), Some("passwd"));
    /// ```
    pub fn safe_filename(&self) -> Option<String> {
        safe(self.filename()?)
    }
}

/// One piece of a value in several, `name*0=`, `name*1*=` (RFC 2231 §3).
struct Section<'a> {
    name: String,
    number: u32,
    /// Percent-encoded; the first of all then says the charset.
    is_extended: bool,
    value: Cow<'a, [u8]>,
}

impl<'a> Section<'a> {
    /// `None` if this is the name of a parameter in one piece.
    fn read(name: &str, value: &Cow<'a, [u8]>) -> Option<Self> {
        let (name, number) = name.split_once('*')?;
        let (number, is_extended) = match number.strip_suffix('*') {
            Some(number) => (number, true),
            None => (number, false),
        };
        // A number has one spelling.
        let is_number = number == "0"
            || !number.starts_with('0') && number.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then_some(())?;
        Some(Self {
            name: name.to_owned(),
            number: number.parse().ok()?,
            is_extended,
            value: value.clone(),
        })
    }
}

/// The pieces that follow each other from number 0 on; any behind a gap are lost.
fn joined(pieces: &[Section<'_>]) -> Option<String> {
    let first = pieces.first().filter(|piece| piece.number == 0)?;
    let (mut charset, mut start) = (None, &first.value[..]);
    if first.is_extended {
        let mut parts = start.splitn(3, |byte| *byte == b'\'');
        charset = Some(str::from_utf8(parts.next()?).ok()?);
        start = parts.nth(1)?;
    }
    let mut bytes = Vec::new();
    let mut next = 0;
    for piece in pieces {
        if piece.number < next {
            continue;
        }
        if piece.number > next {
            break;
        }
        let value = if next == 0 { start } else { &piece.value };
        match piece.is_extended {
            true => bytes.extend(percent_decoded(value)?),
            false => bytes.extend_from_slice(value),
        }
        next += 1;
    }
    match charset {
        Some(charset) => crate::text::decode_strictly(charset, &bytes),
        None => Some(lenient(&bytes)),
    }
}

/// What file systems take in a name, in bytes.
const MAX_NAME: usize = 255;

fn safe(name: &str) -> Option<String> {
    let last = name.rsplit(['/', '\\']).next()?;
    let mut safe: String = last
        .chars()
        .filter(|c| !c.is_control() && !turns_text_round(*c))
        .map(|c| if "<>:\"|?*".contains(c) { '_' } else { c })
        .collect();
    // Windows drops these, so that two names would be one.
    safe.truncate(safe.trim_end_matches(['.', ' ']).len());
    let mut safe = safe.trim_start().to_owned();
    if is_device(&safe) {
        safe.insert(0, '_');
    }
    if safe.len() > MAX_NAME {
        // The extension tells what it is: of a long name the middle goes.
        let dot = safe.rfind('.').filter(|dot| safe.len() - dot <= 32);
        let extension = safe.split_off(dot.unwrap_or(safe.len()));
        safe.truncate(safe.floor_char_boundary_at(MAX_NAME - extension.len()));
        safe.push_str(&extension);
    }
    Some(safe).filter(|name| !name.is_empty())
}

/// Characters that show `exe.txt` where `txt.exe` stands.
fn turns_text_round(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Names that Windows keeps for itself, whatever their extension.
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim_end();
    let numbered = |kind: &str| {
        let number = stem.get(3..).unwrap_or_default();
        let digit = number.len() == 1 && number.bytes().all(|b| matches!(b, b'1'..=b'9'));
        digit && stem.get(..3).is_some_and(|s| s.eq_ignore_ascii_case(kind))
    };
    let known = ["con", "prn", "aux", "nul"];
    known.iter().any(|device| stem.eq_ignore_ascii_case(device))
        || numbered("com")
        || numbered("lpt")
}

trait CharBoundary {
    fn floor_char_boundary_at(&self, at: usize) -> usize;
}

impl CharBoundary for str {
    /// The last boundary of a character up to `at`.
    fn floor_char_boundary_at(&self, at: usize) -> usize {
        let mut boundaries = (0..=at.min(self.len())).rev();
        boundaries
            .find(|at| self.is_char_boundary(*at))
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filename(value: &str) -> Option<String> {
        let disposition = ContentDisposition::parse(value)?;
        disposition.filename().map(str::to_owned)
    }

    #[test]
    fn names_are_found_in_every_spelling() {
        // SPEC R6
        for (value, want) in [
            ("inline", None),
            ("attachment; filename=a.txt", Some("a.txt")),
            ("Attachment;FileName = \"a b.txt\" ;", Some("a b.txt")),
            ("attachment; filename=\"a\\\"b;c.txt\"", Some("a\"b;c.txt")),
            ("attachment; filename=a b.txt; x=y", Some("a b.txt")),
            ("attachment; filename=a.txt; filename=b.txt", Some("a.txt")),
            ("attachment; filename=\"\u{e4}.txt\"", Some("\u{e4}.txt")),
            (
                "attachment; filename=a; filename*=UTF-8''%C3%A4",
                Some("\u{e4}"),
            ),
            (
                "attachment; filename*=UTF-8''%C3%A4; filename=a",
                Some("\u{e4}"),
            ),
            ("attachment; filename*=iso-8859-1'de'%e4", Some("\u{e4}")),
            ("attachment; filename=a; filename*=UTF-8''%C3", Some("a")),
            ("attachment; filename=a; filename*=plain", Some("a")),
            ("attachment; filename=", Some("")),
            ("attachment; filename", None),
            ("attachment; name=x", None),
            ("filename=a.txt", None),
            ("\"attachment\"; filename=a", None),
            ("", None),
        ] {
            assert_eq!(filename(value).as_deref(), want, "{value}");
        }
        let raw = ContentDisposition::parse(b"attachment; filename=\"\xe4.txt\"").unwrap();
        assert_eq!(
            raw.filename(),
            Some("\u{e4}.txt"),
            "Latin-1 where it is no UTF-8"
        );
        assert_eq!(raw.disposition_type(), "attachment");
    }

    #[test]
    fn pieces_are_joined() {
        // SPEC R6
        for (value, want) in [
            (
                "a; filename*0=foo; filename*1=\"bar.txt\"",
                Some("foobar.txt"),
            ),
            ("a; filename*1=bar; filename*0=foo", Some("foobar")),
            (
                "a; filename*0*=UTF-8''%C3; filename*1*=%A4; filename*2=\"%41\"",
                Some("\u{e4}%41"),
            ),
            ("a; filename*0*=''x; filename*1=y", Some("xy")),
            ("a; filename*0=foo; filename*2=bar", Some("foo")),
            (
                "a; filename*0=foo; filename*0=no; filename*1=bar",
                Some("foobar"),
            ),
            ("a; filename*1=bar", None),
            ("a; filename*00=foo", None),
            ("a; filename*0=foo; filename*01=bar", Some("foo")),
            ("a; filename*0*=UTF-8''%C3; filename*1=x", None),
            ("a; filename*0*=UTF-8''%", None),
            ("a; filename*4294967296=x", None),
            // In one piece it is whole for certain.
            ("a; filename*0=foo; filename=bar", Some("bar")),
            ("a; filename*0=foo; filename*=UTF-8''bar", Some("bar")),
        ] {
            assert_eq!(filename(value).as_deref(), want, "{value}");
        }
        let other = ContentDisposition::parse("a; x*0=1; y*0=3; x*1=2").unwrap();
        let joined: Vec<_> = other.parameters().collect();
        assert_eq!(joined, [("x", "12"), ("y", "3")]);
        assert_eq!(other.parameter("X"), Some("12"));
    }

    #[test]
    fn a_safe_name_leads_nowhere_else() {
        // SPEC R6
        for (name, want) in [
            ("a.txt", Some("a.txt")),
            ("../../etc/passwd", Some("passwd")),
            ("C:\\dir\\a.txt", Some("a.txt")),
            ("C:evil", Some("C_evil")),
            ("/", None),
            ("..", None),
            ("a/..", None),
            ("a\0b\r\nc", Some("abc")),
            ("a.txt. .", Some("a.txt")),
            (" . ", None),
            ("", None),
            (".profile", Some(".profile")),
            ("nul", Some("_nul")),
            ("Com1.txt", Some("_Com1.txt")),
            ("com0", Some("com0")),
            ("console", Some("console")),
            ("txt\u{202e}exe.", Some("txtexe")),
            ("a?b", Some("a_b")),
        ] {
            assert_eq!(safe(name).as_deref(), want, "{name:?}");
        }
        let long = safe(&format!("{}.tar", "\u{e4}".repeat(200))).unwrap();
        assert_eq!(long.len(), 254, "whole characters, and the extension");
        assert!(long.ends_with("\u{e4}.tar"));
        assert_eq!(safe(&"x".repeat(300)).unwrap().len(), 255);
        assert!(safe(&format!("a.{}", "x".repeat(300))).unwrap().len() <= 255);
    }
}
