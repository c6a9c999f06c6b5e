//! Basic authentication (RFC 7617).

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use http::HeaderValue;
use url::{Position, Url};

use super::sensitive;
use crate::error::Error;

/// A login and its password, for basic authentication (SPEC A2).
///
/// Sent in UTF-8 unless [`latin1`](BasicAuth::latin1) is asked for. Nothing
/// here fails before the credentials are sent or [encoded](BasicAuth::encode).
/// `Debug` shows the login, never the password.
///
/// ```
/// use miohttp::{BasicAuth, Session};
///
/// let auth = BasicAuth::new("Aladdin", "open sesame");
/// assert_eq!(auth.encode()?, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
/// assert_eq!("basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==".parse::<BasicAuth>()?, auth);
///
/// let session = Session::builder().auth(auth).build();
/// # drop(session);
/// # Ok::<(), miohttp::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct BasicAuth {
    login: String,
    password: String,
    latin1: bool,
}

impl BasicAuth {
    /// This login and this password, either of which may be empty. A `:` in the
    /// login, and control characters anywhere, are an error when the credentials
    /// are used: the server could not tell them apart.
    pub fn new(login: impl Into<String>, password: impl Into<String>) -> Self {
        Self {
            login: login.into(),
            password: password.into(),
            latin1: false,
        }
    }

    /// Whether the credentials are sent in ISO-8859-1, as old servers expect
    /// them, instead of UTF-8. Default false. Characters outside of it are an
    /// error when the credentials are used.
    #[must_use]
    pub fn latin1(mut self, latin1: bool) -> Self {
        self.latin1 = latin1;
        self
    }

    /// The login.
    pub fn login(&self) -> &str {
        &self.login
    }

    /// The password.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// Login and password of a URL, percent-decoded; `None` if it has neither
    /// (SPEC A4). Bytes that are not UTF-8 become U+FFFD.
    ///
    /// ```
    /// use miohttp::{BasicAuth, Url};
    ///
    /// let url = Url::parse("http://user:pass%20word@example.com/").unwrap();
    /// assert_eq!(BasicAuth::from_url(&url), Some(BasicAuth::new("user", "pass word")));
    /// ```
    pub fn from_url(url: &Url) -> Option<Self> {
        // "http://" and then the host, without anything between: in one step what
        // asking for both would say in two.
        if url[..Position::BeforeHost].len() <= url.scheme().len() + 3 {
            return None;
        }
        let decode = |text: &str| {
            let bytes = percent_decode(text.as_bytes());
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let password = decode(url.password().unwrap_or_default());
        Some(Self::new(decode(url.username()), password))
    }

    /// What an `Authorization` header with ISO-8859-1 in it says; parsing
    /// (`FromStr`) takes it for UTF-8 (SPEC A3).
    ///
    /// # Errors
    /// Those of parsing; every byte is a character here.
    ///
    /// ```
    /// use miohttp::BasicAuth;
    ///
    /// let auth = BasicAuth::decode_latin1("Basic /Go6eA==")?;
    /// assert_eq!((auth.login(), auth.password()), ("\u{fc}j", "x"));
    /// # Ok::<(), miohttp::Error>(())
    /// ```
    pub fn decode_latin1(header: &str) -> Result<Self, Error> {
        let (login, password) = decode(header)?;
        let text = |bytes: &[u8]| bytes.iter().copied().map(char::from).collect::<String>();
        Ok(Self::new(text(&login), text(&password)).latin1(true))
    }

    /// The value of an `Authorization` header, marked sensitive (SPEC A5).
    ///
    /// # Errors
    /// [`Kind::InvalidRequest`](crate::Kind::InvalidRequest): a colon in the
    /// login, control characters, or, in ISO-8859-1, a character that it lacks.
    pub fn encode(&self) -> Result<HeaderValue, Error> {
        self.value().map_err(Error::invalid_request)
    }

    pub(super) fn value(&self) -> Result<HeaderValue, &'static str> {
        let parts = [&self.login, &self.password];
        if self.login.contains(':') {
            return Err("a basic auth login cannot contain a colon");
        }
        if parts.iter().any(|part| part.chars().any(char::is_control)) {
            return Err("basic auth credentials cannot contain control characters");
        }
        let both = format!("{}:{}", self.login, self.password);
        let encoded = if self.latin1 {
            let bytes: Result<Vec<u8>, _> = both.chars().map(u8::try_from).collect();
            STANDARD.encode(bytes.map_err(|_| "the credentials cannot be said in ISO-8859-1")?)
        } else {
            STANDARD.encode(both)
        };
        sensitive(format!("Basic {encoded}"))
    }
}

/// Reads the value of an `Authorization` header, its credentials in UTF-8; the
/// scheme's name may have any case, the padding may be missing (SPEC A3).
///
/// Fails, with [`Kind::InvalidRequest`](crate::Kind::InvalidRequest), for
/// another scheme, for what is no base64, and where a colon is missing or bytes
/// are not UTF-8.
impl FromStr for BasicAuth {
    type Err = Error;

    fn from_str(header: &str) -> Result<Self, Error> {
        let (login, password) = decode(header)?;
        let text = |bytes: Vec<u8>| {
            String::from_utf8(bytes)
                // Its own error would print the bytes.
                .map_err(|_| Error::invalid_request("the basic auth credentials are not UTF-8"))
        };
        Ok(Self::new(text(login)?, text(password)?))
    }
}

impl fmt::Debug for BasicAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BasicAuth")
            .field("login", &self.login)
            .finish_non_exhaustive()
    }
}

/// Login and password of a header value.
pub(super) fn decode(header: &str) -> Result<(Vec<u8>, Vec<u8>), Error> {
    let bad = |message: &'static str| Error::invalid_request(message);
    let (scheme, encoded) = header
        .trim_matches([' ', '\t'])
        .split_once(' ')
        .ok_or_else(|| bad("the authorization header has no credentials"))?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(bad("the authorization header is not of the scheme Basic"));
    }
    let encoded = encoded.trim_matches([' ', '\t']).trim_end_matches('=');
    let mut login = STANDARD_NO_PAD
        .decode(encoded)
        // Its own error would print a byte of the credentials.
        .map_err(|_| bad("the basic auth credentials are not base64"))?;
    let colon = login
        .iter()
        .position(|byte| *byte == b':')
        .ok_or_else(|| bad("the basic auth credentials have no colon"))?;
    let password = login.split_off(colon + 1);
    login.pop();
    Ok((login, password))
}

/// `%41` to `A`; anything that is no escape stays as it is.
fn percent_decode(text: &[u8]) -> Vec<u8> {
    let hex = |byte: &u8| char::from(*byte).to_digit(16);
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first == b'%'
            && let [high, low, after @ ..] = tail
            && let (Some(high), Some(low)) = (hex(high), hex(low))
        {
            // Two hex digits fit a byte.
            decoded.push((high * 16 + low) as u8);
            rest = after;
            continue;
        }
        decoded.push(*first);
    }
    decoded
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn encoded(auth: &BasicAuth) -> Result<String, Error> {
        Ok(auth.encode()?.to_str().unwrap().to_owned())
    }

    #[test]
    fn basic_is_utf8_and_refuses_a_colon_in_the_login() {
        // SPEC A2, A5; the first two are RFC 7617's own examples.
        for (login, password, want) in [
            (
                "Aladdin",
                "open sesame",
                "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
            ),
            ("test", "123£", "Basic dGVzdDoxMjPCow=="),
            ("", "", "Basic Og=="),
            ("a", "b:c", "Basic YTpiOmM="),
        ] {
            let auth = BasicAuth::new(login, password);
            assert_eq!(encoded(&auth).unwrap(), want);
            assert!(auth.encode().unwrap().is_sensitive());
        }
        for (login, password) in [
            ("a:b", "c"),
            ("a", "c\r\nX: y"),
            ("a\0", "c"),
            ("a", "\u{85}"),
        ] {
            let error = BasicAuth::new(login, password).encode().unwrap_err();
            assert!(error.is_request(), "{login:?} {password:?}");
        }
    }

    #[test]
    fn latin1_is_an_option() {
        // SPEC A2
        let auth = BasicAuth::new("test", "123£").latin1(true);
        assert_eq!(encoded(&auth).unwrap(), "Basic dGVzdDoxMjOj");
        let auth = BasicAuth::new("test", "€").latin1(true);
        assert!(auth.encode().unwrap_err().is_request());
        assert_eq!(encoded(&auth.latin1(false)).unwrap(), "Basic dGVzdDrigqw=");
    }

    #[test]
    fn a_header_is_read_back() {
        // SPEC A3
        for (header, login, password) in [
            (
                "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
                "Aladdin",
                "open sesame",
            ),
            ("bAsIc QWxhZGRpbjpvcGVuIHNlc2FtZQ", "Aladdin", "open sesame"),
            ("  Basic   dGVzdDoxMjPCow== ", "test", "123£"),
            ("Basic YTpiOmM=", "a", "b:c"),
            ("Basic Og==", "", ""),
        ] {
            let auth: BasicAuth = header.parse().unwrap();
            assert_eq!(
                (auth.login(), auth.password()),
                (login, password),
                "{header}"
            );
        }
        for header in [
            "",
            "Basic",
            "Basic ",
            "Bearer QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
            "Basic QWxhZGRpbg==",
            "Basic QWxh!!Rpbg==",
            "Basic dGVzdDoxMjOj",
            "QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
        ] {
            let error = header.parse::<BasicAuth>().unwrap_err();
            assert!(error.is_request(), "{header}");
        }
        let old = BasicAuth::decode_latin1("Basic dGVzdDoxMjOj").unwrap();
        assert_eq!(old.password(), "123£");
        assert_eq!(encoded(&old).unwrap(), "Basic dGVzdDoxMjOj");
    }

    #[test]
    fn no_cut_of_a_header_panics_or_is_taken_for_more() {
        // SPEC A3
        let whole = "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==";
        for end in 0..whole.len() {
            if let Ok(auth) = whole[..end].parse::<BasicAuth>() {
                assert_eq!(auth.login(), "Aladdin");
                assert!("open sesame".starts_with(auth.password()), "{end}");
            }
        }
    }

    #[test]
    fn userinfo_is_percent_decoded() {
        // SPEC A4
        let of = |url: &str| BasicAuth::from_url(&Url::parse(url).unwrap());
        assert_eq!(of("http://host/"), None);
        for url in [
            "http://@host/",
            "http://:@host/",
            "mailto:a@b",
            "file:///a@b",
        ] {
            assert_eq!(of(url), None, "{url}");
        }
        let plain = BasicAuth::new("a@b", "c d");
        assert_eq!(of("http://a%40b:c%20d@host/"), Some(plain));
        assert_eq!(of("http://u@host/"), Some(BasicAuth::new("u", "")));
        assert_eq!(of("http://:p@host/"), Some(BasicAuth::new("", "p")));
        assert_eq!(percent_decode(b"%4"), b"%4");
        assert_eq!(percent_decode(b"%zz%41"), b"%zzA");
    }

    #[test]
    fn a_password_is_never_printed() {
        let auth = BasicAuth::new("user", "hush");
        assert_eq!(format!("{auth:?}"), "BasicAuth { login: \"user\", .. }");
    }
}
