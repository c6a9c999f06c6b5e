//! Header fields whose values have parts (RFC 9110 §5.6): media types, content
//! dispositions and links. Pure: bytes of a field in, values out.
//!
//! All three are read forgivingly, as browsers do. What a server sends is not
//! the reader's to mend: a part that makes no sense is left out, and the rest
//! is still of use. Nothing here fails, and all of it is linear.

mod disposition;
mod link;
mod media_type;

use std::borrow::Cow;

pub use self::disposition::ContentDisposition;
pub use self::link::Link;
pub(crate) use self::link::links;
pub use self::media_type::MediaType;

/// How many parameters of a value are kept: each is compared with the others,
/// and no sound value has as many.
const MAX_PARAMETERS: usize = 128;

/// One `name=value`, or `name` alone.
#[derive(Debug, PartialEq, Eq)]
struct Parameter<'a> {
    /// A token, in whatever case it came.
    name: &'a str,
    /// Without its quotes.
    value: Option<Cow<'a, [u8]>>,
}

/// The parameters behind a value, `; a=b; c="d e"` (RFC 9110 §5.6.6).
///
/// White space around the `=` is let pass, and so is a value that is no token:
/// it then ends at the next separator.
struct Parameters<'a> {
    rest: &'a [u8],
    /// The field is a list: a comma ends the parameters.
    in_list: bool,
}

impl<'a> Parameters<'a> {
    /// `rest` begins at the first semicolon, or at what stands before it.
    fn new(rest: &'a [u8]) -> Self {
        Self {
            rest,
            in_list: false,
        }
    }

    /// Of one element of a list; [`Parameters::rest`] is what follows it.
    fn in_list(rest: &'a [u8]) -> Self {
        Self {
            rest,
            in_list: true,
        }
    }

    /// What is left: once there are no more, from the comma of the list on.
    fn rest(&self) -> &'a [u8] {
        self.rest
    }

    fn ends(&self, byte: u8) -> bool {
        byte == b';' || self.in_list && byte == b','
    }

    /// Up to the next separator, which stays.
    fn take_until(&mut self, ends: impl Fn(&Self, u8) -> bool) -> &'a [u8] {
        let end = self.rest.iter().position(|byte| ends(self, *byte));
        let (taken, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        taken
    }

    fn value(&mut self) -> Cow<'a, [u8]> {
        self.rest = self.rest.trim_ascii_start();
        let Some(quoted) = self.rest.strip_prefix(b"\"") else {
            return Cow::Borrowed(self.take_until(Self::ends).trim_ascii_end());
        };
        let (value, rest) = unquoted(quoted);
        self.rest = rest;
        // Nothing belongs behind the quotes.
        self.take_until(Self::ends);
        value
    }
}

impl<'a> Iterator for Parameters<'a> {
    type Item = Parameter<'a>;

    fn next(&mut self) -> Option<Parameter<'a>> {
        loop {
            // What stands before the first semicolon is no parameter.
            self.take_until(Self::ends);
            self.rest = self.rest.strip_prefix(b";")?;
            let name = self.take_until(|own, byte| byte == b'=' || own.ends(byte));
            let value = match self.rest.strip_prefix(b"=") {
                None => None,
                Some(rest) => {
                    self.rest = rest;
                    Some(self.value())
                }
            };
            if let Some(name) = token(name.trim_ascii()) {
                return Some(Parameter { name, value });
            }
        }
    }
}

/// A quoted string from behind its first quote to behind its last (RFC 9110
/// §5.6.4); one that is never closed takes all there is.
fn unquoted(text: &[u8]) -> (Cow<'_, [u8]>, &[u8]) {
    let mut value = Vec::new();
    // What is not in `value` yet.
    let mut from = 0;
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => break,
            b'\\' if at + 1 < text.len() => {
                value.extend_from_slice(&text[from..at]);
                from = at + 1;
                at += 2;
            }
            _ => at += 1,
        }
    }
    let rest = text.get(at + 1..).unwrap_or_default();
    let tail = &text[from..at];
    if from == 0 {
        return (Cow::Borrowed(tail), rest);
    }
    value.extend_from_slice(tail);
    (Cow::Owned(value), rest)
}

/// RFC 9110 §5.6.2.
fn token(bytes: &[u8]) -> Option<&str> {
    let is_token = !bytes.is_empty() && bytes.iter().all(|byte| is_token_byte(*byte));
    str::from_utf8(bytes).ok().filter(|_| is_token)
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// What a peer wrote without saying how: UTF-8 where it is that, Latin-1
/// otherwise, which RFC 9110 §5.5 names as what fields held historically.
fn lenient(bytes: &[u8]) -> String {
    match str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect(),
    }
}

/// An extended value, `charset'language'percent-encoded` (RFC 8187 §3.2).
/// `None` where any of it is damaged.
fn extended(value: &[u8]) -> Option<String> {
    let mut parts = value.splitn(3, |byte| *byte == b'\'');
    let (charset, _, encoded) = (parts.next()?, parts.next()?, parts.next()?);
    crate::text::decode_strictly(str::from_utf8(charset).ok()?, &percent_decoded(encoded)?)
}

/// `None` where a percent sign is followed by anything but two hex digits.
fn percent_decoded(text: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        let (byte, tail) = match (first, tail) {
            (b'%', [high, low, tail @ ..]) => (16 * hex(*high)? + hex(*low)?, tail),
            (b'%', _) => return None,
            _ => (*first, tail),
        };
        decoded.push(byte);
        rest = tail;
    }
    Some(decoded)
}

fn hex(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(text: &str) -> Vec<(String, Option<String>)> {
        Parameters::new(text.as_bytes())
            .map(|parameter| {
                let value = parameter.value.map(|value| lenient(&value));
                (parameter.name.to_owned(), value)
            })
            .collect()
    }

    #[test]
    fn parameters_are_read_as_written_and_forgivingly() {
        type Want = &'static [(&'static str, Option<&'static str>)];
        let table: &[(&str, Want)] = &[
            ("", &[]),
            ("a/b", &[]),
            ("a/b;", &[]),
            ("a/b ; c=d", &[("c", Some("d"))]),
            (";c=d;E=f", &[("c", Some("d")), ("E", Some("f"))]),
            (";c = d e ; f", &[("c", Some("d e")), ("f", None)]),
            (
                ";c=\"d;e\\\"\\\\\" junk;f=g",
                &[("c", Some("d;e\"\\")), ("f", Some("g"))],
            ),
            (
                ";c=\"never closed; d=e",
                &[("c", Some("never closed; d=e"))],
            ),
            (";c=\"ends in \\", &[("c", Some("ends in \\"))]),
            (";;; =x; n\u{e4}me=x; c=", &[("c", Some(""))]),
            (";c=a,b", &[("c", Some("a,b"))]),
            (";c=a=b", &[("c", Some("a=b"))]),
        ];
        for (text, want) in table {
            let want: Vec<_> = want
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.map(str::to_owned)))
                .collect();
            assert_eq!(parameters(text), want, "{text}");
        }
    }

    #[test]
    fn a_comma_ends_the_parameters_of_one_in_a_list() {
        let mut parameters = Parameters::in_list(b"; a=\"b,c\"; d=e , next; f=g");
        assert_eq!(parameters.by_ref().count(), 2);
        assert_eq!(parameters.rest(), b", next; f=g");
    }

    #[test]
    fn extended_values_say_their_charset() {
        // SPEC R6
        for (value, want) in [
            ("UTF-8''%e2%82%ac%20rates", Some("\u{20ac} rates")),
            ("utf-8'en'na%C3%AFve", Some("na\u{ef}ve")),
            ("ISO-8859-1''%A3", Some("\u{a3}")),
            ("''plain", Some("plain")),
            ("UTF-8''%e2%82", None),
            ("UTF-8''%4", None),
            ("UTF-8''%zz", None),
            ("UTF-8''%+1", None),
            ("no-such-charset''a", None),
            ("UTF-8'missing", None),
        ] {
            assert_eq!(extended(value.as_bytes()).as_deref(), want, "{value}");
        }
    }
}
