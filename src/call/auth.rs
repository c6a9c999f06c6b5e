//! Credentials as one header value (SPEC §8).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use url::Url;

use crate::error::Error;

/// Credentials for the origin: an `Authorization` header value.
///
/// Sent to the origin they were given for and dropped when a redirect leaves
/// it (SPEC D7). `Debug` does not show them.
///
/// ```
/// use miohttp::{Auth, Session};
///
/// let session = Session::builder().auth(Auth::basic("user", "secret")).build();
/// let request = session.get("http://example.com/").auth(Auth::bearer("token"));
/// # drop(request);
/// ```
#[derive(Clone)]
pub struct Auth(Result<HeaderValue, &'static str>);

impl Auth {
    /// Basic authentication (RFC 7617) in UTF-8. A `:` in the login is an
    /// error at the verb (SPEC A2).
    pub fn basic(login: impl AsRef<str>, password: impl AsRef<str>) -> Self {
        let (login, password) = (login.as_ref(), password.as_ref());
        if login.contains(':') {
            return Self(Err("a basic auth login cannot contain a colon"));
        }
        if [login, password]
            .iter()
            .any(|s| s.chars().any(char::is_control))
        {
            return Self(Err(
                "basic auth credentials cannot contain control characters",
            ));
        }
        let encoded = STANDARD.encode(format!("{login}:{password}"));
        Self::value(format!("Basic {encoded}"))
    }

    /// A bearer token (RFC 6750). Characters no header may hold are an error
    /// at the verb.
    pub fn bearer(token: impl AsRef<str>) -> Self {
        Self::value(format!("Bearer {}", token.as_ref()))
    }

    /// User name and password of a URL, percent-decoded; `None` without both
    /// (SPEC A4).
    pub(crate) fn from_url(url: &Url) -> Option<Self> {
        if url.username().is_empty() && url.password().is_none() {
            return None;
        }
        let decode = |text: &str| {
            let bytes: Vec<u8> = percent_decode(text.as_bytes());
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let password = decode(url.password().unwrap_or_default());
        Some(Self::basic(decode(url.username()), password))
    }

    pub(crate) fn header(&self) -> Result<HeaderValue, Error> {
        self.0.clone().map_err(Error::invalid_request)
    }

    fn value(text: String) -> Self {
        match HeaderValue::try_from(text) {
            Ok(mut value) => {
                value.set_sensitive(true);
                Self(Ok(value))
            }
            Err(_) => Self(Err("the credentials contain what no header may hold")),
        }
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Auth(..)")
    }
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

    fn header(auth: &Auth) -> String {
        auth.header().unwrap().to_str().unwrap().to_owned()
    }

    #[test]
    fn basic_is_utf8_and_refuses_a_colon_in_the_login() {
        // SPEC A2, A5; the first is RFC 7617's own example.
        assert_eq!(
            header(&Auth::basic("Aladdin", "open sesame")),
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
        );
        assert_eq!(
            header(&Auth::basic("test", "123£")),
            "Basic dGVzdDoxMjPCow=="
        );
        assert!(Auth::basic("a:b", "c").header().unwrap_err().is_request());
        assert!(
            Auth::basic("a", "c\r\nX: y")
                .header()
                .unwrap_err()
                .is_request()
        );
    }

    #[test]
    fn userinfo_is_percent_decoded() {
        // SPEC A4
        let of = |url: &str| Auth::from_url(&Url::parse(url).unwrap()).map(|a| header(&a));
        assert_eq!(of("http://host/"), None);
        let plain = header(&Auth::basic("a@b", "c d"));
        assert_eq!(of("http://a%40b:c%20d@host/"), Some(plain));
        assert_eq!(of("http://u@host/"), Some(header(&Auth::basic("u", ""))));
        assert_eq!(percent_decode(b"%4"), b"%4");
        assert_eq!(percent_decode(b"%zz%41"), b"%zzA");
    }

    #[test]
    fn nothing_is_printed() {
        assert_eq!(format!("{:?}", Auth::bearer("secret")), "Auth(..)");
    }
}
