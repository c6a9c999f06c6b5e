//! Credentials (SPEC §8): what they are, and the header field they become.
//!
//! Basic and bearer credentials are one field, made when they are given. An
//! answer to a challenge is made anew for each request, when its head is: see
//! [`asked`].

#[cfg(feature = "digest")]
mod asked;
#[cfg(not(feature = "digest"))]
#[path = "asked_none.rs"]
mod asked;
mod basic;
#[cfg(feature = "digest")]
mod challenge;
#[cfg(feature = "digest")]
mod digest;
mod netrc;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderValue;
use url::Url;

pub(crate) use self::asked::Asked;
#[cfg(feature = "digest")]
pub use self::asked::DigestAuth;
#[cfg(all(fuzzing, feature = "digest"))]
pub(crate) use self::asked::check_challenge;
pub use self::basic::BasicAuth;
pub use self::netrc::Netrc;
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
/// | `Auth::digest` | an answer to the server's challenge, once it has sent one |
/// | `Auth::any` | Digest or Basic, as the server asks for |
///
/// The last two need the feature `digest`. They remember what the server has
/// asked for, and clones share that: keep one, rather than to make it anew for
/// each request.
///
/// ```
/// use miohttp::{Auth, Session};
///
/// let session = Session::builder().auth(("user", "secret")).build();
/// let request = session.get("http://example.com/").auth(Auth::bearer("token"));
/// # drop(request);
/// ```
#[derive(Clone)]
pub struct Auth(Arc<Repr>);

enum Repr {
    /// Known beforehand; or what is wrong with it.
    Field(Result<HeaderValue, &'static str>),
    #[cfg_attr(
        not(feature = "digest"),
        expect(dead_code, reason = "without Digest nothing is asked for")
    )]
    Asked(Asked),
}

/// What a response's challenges come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    not(feature = "digest"),
    expect(dead_code, reason = "without Digest nothing is asked for")
)]
pub(crate) enum Wanted {
    /// Nothing that is to be had here.
    Nothing,
    Credentials,
    /// The credentials were right, their nonce is used up (`stale`).
    NewNonce,
}

/// A login and its password, byte for byte.
pub(crate) type Login = (Vec<u8>, Vec<u8>);

/// The request that an answer to a challenge is for.
#[cfg_attr(
    not(feature = "digest"),
    expect(dead_code, reason = "without Digest nothing is answered")
)]
pub(crate) struct Message<'a> {
    pub(crate) method: &'a str,
    /// Tells where it goes.
    pub(crate) url: &'a Url,
    /// As it is sent.
    pub(crate) target: &'a [u8],
    /// `None` if it is not in memory.
    pub(crate) body: Option<&'a mut dyn Iterator<Item = Bytes>>,
}

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
        Repr::Field(sensitive(format!("Bearer {}", token.as_ref()))).into()
    }

    /// User name and password of a URL, percent-decoded; `None` without both
    /// (SPEC A4).
    pub(crate) fn from_url(url: &Url) -> Option<Self> {
        BasicAuth::from_url(url).map(Self::from)
    }

    /// The same, with the password of a lone user name looked up.
    pub(crate) fn of_request(url: &Url, netrc: Option<&Netrc>) -> Option<Self> {
        let given = BasicAuth::from_url(url)?;
        let found = match (url.password(), netrc, url.host_str()) {
            (None, Some(netrc), Some(host)) => netrc.find_login(host, given.login()),
            _ => None,
        };
        Some(found.unwrap_or(given).into())
    }

    /// What is known beforehand; an answer comes from [`Auth::asked`].
    pub(crate) fn header(&self) -> Result<Option<HeaderValue>, Error> {
        match &*self.0 {
            Repr::Field(field) => field.clone().map(Some).map_err(Error::invalid_request),
            Repr::Asked(_) => Ok(None),
        }
    }

    /// Login and password of Basic credentials, byte for byte as they would be
    /// sent; `None` for all others.
    ///
    /// # Errors
    /// They cannot be sent.
    pub(crate) fn login(&self) -> Result<Option<Login>, Error> {
        let Some(value) = self.header()? else {
            return Ok(None);
        };
        Ok(value
            .to_str()
            .ok()
            .and_then(|text| basic::decode(text).ok()))
    }

    pub(crate) fn asked(&self) -> Option<&Asked> {
        match &*self.0 {
            Repr::Asked(asked) => Some(asked),
            Repr::Field(_) => None,
        }
    }
}

impl From<BasicAuth> for Auth {
    fn from(basic: BasicAuth) -> Self {
        Repr::Field(basic.value()).into()
    }
}

impl From<Repr> for Auth {
    fn from(repr: Repr) -> Self {
        Self(Arc::new(repr))
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
        let header = |auth: Auth| auth.header().unwrap().unwrap();
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
