//! Credentials (SPEC §8): what they are, and the header field they become.
//!
//! Basic and bearer credentials are one field, made when they are given.

mod basic;

use std::fmt;

use http::HeaderValue;
use url::Url;

pub use self::basic::BasicAuth;
use crate::error::Error;

/// Credentials for the origin: what its `Authorization` header is made of.
///
/// Sent to the origin they were given for and dropped when a redirect leaves
/// it (SPEC D7). `Debug` does not show them. Setters take what becomes one: a
/// [`BasicAuth`], or a pair of login and password, which is basic
/// authentication, too. What cannot be sent is an error at the verb, of kind
/// [`InvalidRequest`](crate::Kind::InvalidRequest).
///
/// | made by | what is sent |
/// |---|---|
/// | [`Auth::basic`] | login and password, readable for whoever sees the request |
/// | [`Auth::bearer`] | a token |
///
/// ```
/// use miohttp::{Auth, Session};
///
/// let session = Session::builder().auth(("user", "secret")).build();
/// let request = session.get("http://example.com/").auth(Auth::bearer("token"));
/// # drop(request);
/// ```
#[derive(Clone)]
pub struct Auth(Result<HeaderValue, &'static str>);

impl Auth {
    /// Basic authentication (RFC 7617) in UTF-8; [`BasicAuth`] has the options.
    /// A `:` in the login, and control characters anywhere, are an error at the
    /// verb (SPEC A2).
    pub fn basic(login: impl Into<String>, password: impl Into<String>) -> Self {
        BasicAuth::new(login, password).into()
    }

    /// A bearer token (RFC 6750). Characters no header may hold are an error
    /// at the verb.
    pub fn bearer(token: impl AsRef<str>) -> Self {
        Self(sensitive(format!("Bearer {}", token.as_ref())))
    }

    /// User name and password of a URL, percent-decoded; `None` without both
    /// (SPEC A4).
    pub(crate) fn from_url(url: &Url) -> Option<Self> {
        BasicAuth::from_url(url).map(Self::from)
    }

    pub(crate) fn header(&self) -> Result<HeaderValue, Error> {
        self.0.clone().map_err(Error::invalid_request)
    }
}

impl From<BasicAuth> for Auth {
    fn from(basic: BasicAuth) -> Self {
        Self(basic.value())
    }
}

/// Login and password, for basic authentication.
impl<L: Into<String>, P: Into<String>> From<(L, P)> for Auth {
    fn from((login, password): (L, P)) -> Self {
        Self::basic(login, password)
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Auth(..)")
    }
}

/// A field value that is not printed, and not indexed by whoever compresses
/// fields.
fn sensitive(text: String) -> Result<HeaderValue, &'static str> {
    match HeaderValue::try_from(text) {
        Ok(mut value) => {
            value.set_sensitive(true);
            Ok(value)
        }
        Err(_) => Err("the credentials contain what no header may hold"),
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn whatever_becomes_credentials_becomes_the_same() {
        // SPEC S6, A5
        let basic = BasicAuth::new("user", "secret");
        let header = |auth: Auth| auth.header().unwrap();
        let want = basic.encode().unwrap();
        assert_eq!(header(basic.into()), want);
        assert_eq!(header(("user", "secret").into()), want);
        assert_eq!(header((String::from("user"), "secret").into()), want);
        assert_eq!(header(Auth::basic("user", "secret")), want);
        assert!(header(Auth::bearer("a")).is_sensitive() && want.is_sensitive());
    }

    #[test]
    fn what_no_header_may_hold_is_an_error_at_the_verb() {
        let error = Auth::bearer("to\r\nX-Evil: 1").header().unwrap_err();
        assert!(error.is_request());
    }

    #[test]
    fn nothing_is_printed() {
        assert_eq!(format!("{:?}", Auth::bearer("secret")), "Auth(..)");
    }
}
