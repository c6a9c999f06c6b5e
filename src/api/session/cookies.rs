//! The cookies a session starts with (SPEC S3).

use url::Url;

use super::SessionBuilder;
use crate::api::url::{IntoUrl, Known};
use crate::call::Cookies;
use crate::cookie::{Cookie, InvalidCookie};
use crate::error::Error;

/// Cookies on their way into the session's jar, with the URL each is from.
#[derive(Debug, Default)]
pub(super) struct Seeds(Vec<(Cookie, Option<Url>)>);

impl SessionBuilder {
    /// A cookie of **every** request of this session, to whatever host and path,
    /// redirects to strangers included (SPEC S3): no place for secrets. What
    /// belongs to one site goes into [`cookie_for`](Self::cookie_for).
    ///
    /// It goes into the session's jar, also into [one that is
    /// given](Self::cookie_jar) and that others share. A name that no header can
    /// carry, and a session without a jar ([`no_cookies`](Self::no_cookies), or a
    /// store of another kind), are errors of every request.
    ///
    /// ```
    /// use miohttp::{Session, Url};
    ///
    /// let session = Session::builder()
    ///     .cookie("theme", "dark")
    ///     .cookie_for("https://example.com/", "sid", "31d4")
    ///     .build();
    /// let jar = session.cookie_jar().unwrap();
    /// assert_eq!(jar.cookies(&Url::parse("https://www.example.org/")?).unwrap(), "theme=dark");
    /// assert_eq!(jar.cookies_for(&Url::parse("https://example.com/x")?).len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn cookie(mut self, name: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        self.seed(Cookie::new(name, value), None);
        self
    }

    /// A cookie as if a response from this URL had set it, without attributes:
    /// for this host alone, and for the folder of the URL's path and all below it
    /// (SPEC S3, K4). For attributes, [add](crate::CookieJar::add) it to a jar.
    ///
    /// As for [`cookie`](Self::cookie), mistakes are errors of every request; so is
    /// a URL from which the jar takes no cookies, as one with an IP address in it.
    pub fn cookie_for(
        mut self,
        url: impl IntoUrl,
        name: impl Into<Vec<u8>>,
        value: impl Into<Vec<u8>>,
    ) -> Self {
        match url.into_url(&Known::default()) {
            Ok(url) => self.seed(Cookie::new(name, value), Some(url)),
            Err(mistake) => self.mistaken(mistake),
        }
        self
    }

    fn seed(&mut self, cookie: Result<Cookie, InvalidCookie>, url: Option<Url>) {
        match cookie {
            Ok(cookie) => self.seeds.0.push((cookie, url)),
            Err(error) => {
                let mistake = Error::invalid_request("a cookie of the session cannot be sent");
                self.mistaken(mistake.with_source(error));
            }
        }
    }
}

impl Seeds {
    /// Puts them into the jar, as many as it takes; the first that it does not
    /// take is the mistake.
    pub(super) fn put_into(self, cookies: &Cookies) -> Result<(), Error> {
        if self.0.is_empty() {
            return Ok(());
        }
        let Some(jar) = cookies.jar() else {
            let message = "the session has cookies to begin with and no jar of ours to keep them";
            return Err(Error::invalid_request(message));
        };
        let mut first = Ok(());
        for (cookie, url) in self.0 {
            if !jar.add(cookie, url.as_ref()) && first.is_ok() {
                let mistake = Error::invalid_request("the jar takes no such cookie from this URL");
                first = Err(match &url {
                    Some(url) => mistake.with_url(url),
                    None => mistake,
                });
            }
        }
        first
    }
}
