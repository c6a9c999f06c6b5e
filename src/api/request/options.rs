//! What a request may have otherwise than its session.

use std::net::IpAddr;

use super::RequestBuilder;
#[cfg(feature = "tls")]
use crate::api::tls::TlsConfig;
use crate::call::Auth;
use crate::error::Error;
use crate::tls;

crate::api::rates::setters!(RequestBuilder);
crate::api::settings::setters!(RequestBuilder);

impl RequestBuilder {
    /// Credentials (SPEC Q7). Together with credentials in the URL or an
    /// `Authorization` header they are an error.
    pub fn auth(mut self, auth: impl Into<Auth>) -> Self {
        self.auth = Some(auth.into());
        self
    }

    /// A cookie for this request alone (SPEC Q16). It goes before one of the same
    /// name that the session keeps or that a `Cookie` header of the request has,
    /// and is sent byte for byte. The same name again replaces it. It goes along
    /// with redirects within the origin, and is dropped with the first to another.
    ///
    /// A name that is empty, and a `;`, a control character, surrounding white
    /// space, or a `=` in the name are an error at the verb.
    ///
    /// ```
    /// let session = miohttp::Session::new();
    /// let request = session.get("http://example.com/").cookie("theme", "dark");
    /// # drop(request);
    /// ```
    pub fn cookie(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        if !self.extra().add_cookie(name.as_ref(), value.as_ref()) {
            let mistake =
                Error::invalid_request("a cookie has a name or value that no header can carry");
            return self.mistaken(mistake);
        }
        self
    }

    /// Whether the body goes out in chunks although its length is known
    /// (SPEC Q10). Default false; a body of unknown length goes in chunks all
    /// the same.
    ///
    /// Together with a `Content-Length` or a `Transfer-Encoding` header, and in
    /// HTTP/1.0, it is an error at the verb.
    pub fn chunked(mut self, chunked: bool) -> Self {
        self.extra().chunked = chunked;
        self
    }

    /// The name that is asked for in the TLS handshake, and that the server's
    /// certificate has to be for, in place of the URL's host (SPEC Q17): a
    /// domain name or an IP address. The connection still goes to the URL's
    /// host, and `Host` still names that one. Connections are shared only with
    /// requests that ask for the same name.
    ///
    /// A redirect to another origin drops it. Where there is no TLS it means
    /// nothing. What is no name is an error at the verb.
    ///
    /// ```
    /// let session = miohttp::Session::new();
    /// let request = session.get("https://192.0.2.1/").server_name("example.com");
    /// # drop(request);
    /// ```
    pub fn server_name(mut self, name: impl AsRef<str>) -> Self {
        match server_name(name.as_ref()) {
            Some(name) => self.extra().server_name = Some(name),
            None => {
                let mistake =
                    Error::invalid_request("the server name is neither a name nor an address");
                return self.mistaken(mistake);
            }
        }
        self
    }

    /// TLS settings of this request instead of the connector's (SPEC Q15).
    ///
    /// They are for the whole request: redirects keep them, those to another origin
    /// too. A server there that asks for a client certificate is shown this one,
    /// with a proof of having its key and nothing that could be used elsewhere; and
    /// what a `danger_` method has switched off is off there as well. Where
    /// that is not wanted, [`redirects`](Self::redirects) keeps a request with its
    /// origin:
    ///
    /// ```
    /// use miohttp::{Action, RedirectPolicy, Session, TlsConfig};
    ///
    /// let session = Session::new();
    /// let tls = TlsConfig::new();
    /// let request = session
    ///     .get("https://example.com/")
    ///     .tls(&tls)
    ///     .redirects(RedirectPolicy::custom(|redirect| {
    ///         if redirect.history().len() == 10 {
    ///             Action::fail("too many")
    ///         } else if redirect.from().origin() == redirect.to().origin() {
    ///             Action::Follow
    ///         } else {
    ///             Action::Stop
    ///         }
    ///     }));
    /// # drop(request);
    /// ```
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: &TlsConfig) -> Self {
        self.tls = Some(tls.source());
        self
    }
}

/// The name as a URL would have it: in ASCII, an address in its one spelling
/// and without brackets.
fn server_name(name: &str) -> Option<Box<str>> {
    let name = match name.parse::<IpAddr>() {
        Ok(address) => address.to_string(),
        Err(_) => match url::Host::parse(name).ok()? {
            url::Host::Domain(name) => name,
            url::Host::Ipv4(address) => address.to_string(),
            url::Host::Ipv6(address) => address.to_string(),
        },
    };
    tls::may_name_a_server(&name).then(|| name.into())
}
