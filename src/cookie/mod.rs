//! Cookies: the jar a session keeps.
//!
//! The rules are RFC 6265bis. A `Set-Cookie` line passes four gates, each a
//! file of its own, and only the last one touches shared state:
//!
//! ```text
//! bytes ──parse──▶ Cookie ──admit──▶ Cookie bound to a host ──insert──▶ Store
//!        (§5.6,            (§5.7: domain, path, Secure,      (§5.7: overwrite,
//!         dates §5.1.1)     prefixes, public suffix)          caps, eviction)
//! ```
//!
//! - [`parse`] and [`date`] know the syntax and nothing of hosts.
//! - [`domain`] knows hosts and public suffixes, [`admit`] binds a cookie to one.
//! - [`store`] is the plain data structure: buckets by registrable domain.
//! - [`jar`] is the public handle: a mutex, the options and the only clock.
//! - [`header`] writes and merges `Cookie` headers.
//! - [`mod@file`] saves and loads a jar; its formats are `json` and [`netscape`].
//!
//! Nothing below [`jar`] reads a clock: `now` is an argument everywhere, so
//! that every rule about time is a table in a test.

use std::fmt;
use std::time::SystemTime;

pub(crate) use domain::site;
pub use file::CookieFileError;
pub use jar::{CookieJar, CookieJarBuilder};

mod admit;
mod date;
mod domain;
mod file;
mod header;
mod jar;
#[cfg(feature = "json")]
mod json;
mod netscape;
mod parse;
mod store;
#[cfg(test)]
mod tests;

/// One cookie with its attributes.
///
/// Names and values are bytes, exactly as received: nothing is quoted,
/// unquoted or decoded. The `Debug` form leaves the value out, because values
/// are usually secrets.
///
/// # Examples
///
/// ```
/// use miohttp::Cookie;
///
/// let cookie = Cookie::parse(b"sid=\"31d4\"; Path=/; Secure").unwrap();
/// assert_eq!(cookie.name(), b"sid");
/// assert_eq!(cookie.value_str(), Some("\"31d4\""));
/// assert!(cookie.secure());
/// assert!(!format!("{cookie:?}").contains("31d4"));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Cookie {
    name: Vec<u8>,
    value: Vec<u8>,
    /// Lower case, no leading dot. In the jar, `None` means shared.
    domain: Option<String>,
    /// Only ever true of a cookie that a jar has bound to a host.
    host_only: bool,
    /// `None` until a jar fills in the default path. Bytes that are not UTF-8
    /// are replaced: such a path matches no URL, before or after.
    path: Option<String>,
    expires: Option<SystemTime>,
    secure: bool,
    http_only: bool,
    same_site: Option<SameSite>,
    partitioned: bool,
}

impl Cookie {
    /// A cookie without attributes: it lasts as long as the jar does.
    ///
    /// For attributes, write the `Set-Cookie` line and use [`Cookie::parse`].
    ///
    /// # Errors
    ///
    /// [`InvalidCookie`] if a `Cookie` header could not carry the pair
    /// unchanged: an empty name, a name with `=`, a `;`, a control character
    /// or surrounding white space in either, or more than 4096 bytes together.
    ///
    /// # Examples
    ///
    /// ```
    /// use miohttp::Cookie;
    ///
    /// assert_eq!(Cookie::new("lang", "en; q=1").is_err(), true);
    /// assert_eq!(Cookie::new("lang", "en")?.value(), b"en");
    /// # Ok::<(), miohttp::InvalidCookie>(())
    /// ```
    pub fn new(name: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Result<Self, InvalidCookie> {
        let (name, value) = (name.into(), value.into());
        if parse::is_valid_pair(&name, &value) {
            Ok(Self::from_pair(name, value))
        } else {
            Err(InvalidCookie { _private: () })
        }
    }

    /// Parses one `Set-Cookie` value, or `None` if a browser would ignore it.
    ///
    /// Attributes are taken as written: whether the sender may set them is
    /// decided when a jar stores the cookie. `Max-Age` is resolved against the
    /// present time, and no expiry is further away than 400 days.
    ///
    /// # Examples
    ///
    /// ```
    /// use miohttp::{Cookie, SameSite};
    ///
    /// let cookie = Cookie::parse(b"a=1; Domain=.Example.com; SameSite=lax").unwrap();
    /// assert_eq!(cookie.domain(), Some("example.com"));
    /// assert_eq!(cookie.same_site(), Some(SameSite::Lax));
    /// assert_eq!(cookie.path(), None);
    /// assert!(Cookie::parse(b"no equals sign").is_none());
    /// ```
    pub fn parse(set_cookie: &[u8]) -> Option<Self> {
        parse::parse(set_cookie, jar::now())
    }

    /// The name, as received.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// The name, if it is UTF-8.
    pub fn name_str(&self) -> Option<&str> {
        str::from_utf8(&self.name).ok()
    }

    /// The value, as received; quotes, if any, are part of it.
    pub fn value(&self) -> &[u8] {
        &self.value
    }

    /// The value, if it is UTF-8.
    pub fn value_str(&self) -> Option<&str> {
        str::from_utf8(&self.value).ok()
    }

    /// The domain, in lower case and without a leading dot.
    ///
    /// Of a parsed cookie, `None` means there was no `Domain` attribute; of
    /// one from a jar, that it is shared and sent to every URL.
    pub fn domain(&self) -> Option<&str> {
        self.domain.as_deref()
    }

    /// Whether the jar sends this cookie to [`domain`](Self::domain) alone and
    /// not to hosts below it. Always `false` before a jar has stored it.
    pub fn host_only(&self) -> bool {
        self.host_only
    }

    /// The path; `None` if it was not given and no jar has filled it in.
    pub fn path(&self) -> Option<&str> {
        self.path.as_deref()
    }

    /// Whether it is sent over `https` and `wss` only.
    pub fn secure(&self) -> bool {
        self.secure
    }

    /// Whether the server asked to hide it from scripts. Kept, with no effect
    /// on requests.
    pub fn http_only(&self) -> bool {
        self.http_only
    }

    /// The `SameSite` attribute, if present and known. Kept, with no effect on
    /// requests: they all are top-level ones here.
    pub fn same_site(&self) -> Option<SameSite> {
        self.same_site
    }

    /// When it expires; `None` if it lasts as long as the jar.
    pub fn expires(&self) -> Option<SystemTime> {
        self.expires
    }

    /// Whether the `Partitioned` attribute was there. Kept, with no effect on
    /// requests.
    pub fn partitioned(&self) -> bool {
        self.partitioned
    }

    fn from_pair(name: Vec<u8>, value: Vec<u8>) -> Self {
        Self {
            name,
            value,
            domain: None,
            host_only: false,
            path: None,
            expires: None,
            secure: false,
            http_only: false,
            same_site: None,
            partitioned: false,
        }
    }

    fn is_expired(&self, now: SystemTime) -> bool {
        self.expires.is_some_and(|at| at <= now)
    }
}

impl fmt::Debug for Cookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cookie")
            .field("name", &String::from_utf8_lossy(&self.name))
            .field("value", &format_args!("<{} bytes>", self.value.len()))
            .field("domain", &self.domain)
            .field("host_only", &self.host_only)
            .field("path", &self.path)
            .field("expires", &self.expires)
            .field("secure", &self.secure)
            .field("http_only", &self.http_only)
            .field("same_site", &self.same_site)
            .field("partitioned", &self.partitioned)
            .finish()
    }
}

/// The `SameSite` attribute of a cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SameSite {
    /// Only within the site that set it.
    Strict,
    /// Also when a user navigates to the site.
    Lax,
    /// With every request.
    None,
}

/// The name or value given to [`Cookie::new`] cannot stand in a header.
///
/// It does not say what they were: cookie values are secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidCookie {
    _private: (),
}

impl fmt::Display for InvalidCookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cookie name or value cannot be sent in a header")
    }
}

impl std::error::Error for InvalidCookie {}
