//! The public jar: a shared [`Store`] behind a mutex, its options, and the one
//! place where the cookie rules meet a clock.
//!
//! No foreign code runs under the lock: iterators are advanced and predicates
//! called outside it, so a callback may use the very same jar.

use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use http::HeaderValue;
use url::Url;

use super::domain::{Target, is_ip};
use super::store::{Stamp, Store};
use super::{Cookie, admit, header, parse};
use crate::sync::{Arc, Mutex, lock};

/// The cookie module's only clock.
pub(super) fn now() -> SystemTime {
    SystemTime::now()
}

/// Cookies kept in memory by the rules of RFC 6265bis.
///
/// A jar is a handle: clones share their cookies, and every method takes
/// `&self`, so one jar can serve many sessions and threads.
///
/// - Cookies of IP hosts are neither stored nor sent, unless
///   [`allow_ip_hosts`](CookieJarBuilder::allow_ip_hosts) is set.
/// - A `Domain` that is a public suffix (`com`, `github.io`) is refused, as are
///   `Secure` cookies from plaintext and broken `__Host-`/`__Secure-` promises.
/// - Values are sent byte for byte as received.
/// - Size is bounded: 4096 bytes for a name and value, 180 cookies for one
///   registrable domain, 3000 in all, 400 days of life. Beyond a count, those
///   not used for the longest go first.
///
/// # Examples
///
/// ```
/// use http::HeaderValue;
/// use miohttp::CookieJar;
/// use url::Url;
///
/// let jar = CookieJar::new();
/// let url = Url::parse("https://shop.example.com/cart/add")?;
/// let received = HeaderValue::from_static("sid=31d4; Domain=example.com; Path=/; Secure");
/// jar.store(&url, &mut [&received].into_iter());
///
/// let other = Url::parse("https://www.example.com/")?;
/// assert_eq!(jar.cookies(&other).unwrap(), "sid=31d4");
/// let plain = Url::parse("http://www.example.com/")?;
/// assert_eq!(jar.cookies(&plain), None);
/// # Ok::<(), url::ParseError>(())
/// ```
#[derive(Clone)]
pub struct CookieJar {
    inner: Arc<Inner>,
}

struct Inner {
    options: Options,
    store: Mutex<Store>,
    /// Some cookie was put in at some time. Most jars stay without, and their
    /// requests would meet at the lock for nothing.
    was_used: AtomicBool,
}

#[derive(Debug, Clone, Default)]
struct Options {
    allow_ip_hosts: bool,
    /// Host and port: of the schemes, only the plain ones need the exception.
    secure_origins: HashSet<(String, u16)>,
}

impl CookieJar {
    /// An empty jar with the default options.
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Takes the `Set-Cookie` values of a response that came from `url`, in
    /// the order they stood in it. What may not be stored is left out.
    pub fn store(&self, url: &Url, set_cookie: &mut dyn Iterator<Item = &HeaderValue>) {
        self.store_at(url, set_cookie, now());
    }

    /// The value of the `Cookie` header for a request to `url`, or `None` to
    /// send none.
    pub fn cookies(&self, url: &Url) -> Option<HeaderValue> {
        // Asked for each request, most of which go where no cookies are for. Set
        // under the lock: whoever knows of a cookie put in before sees it.
        if !self.inner.was_used.load(Ordering::Acquire) || !lock(&self.inner.store).may_match(url) {
            return None;
        }
        self.header_at(url, now())
    }

    /// Starts a jar with other options.
    pub fn builder() -> CookieJarBuilder {
        CookieJarBuilder {
            options: Options::default(),
        }
    }

    /// Puts a cookie into the jar; returns whether the jar took it.
    ///
    /// With a URL it is treated as if a response from there had set it, and
    /// refused where that would be. Without one, a cookie that names no domain
    /// is **shared**: it is sent to every URL, redirects to strangers
    /// included, so it is no place for secrets. A cookie that names a domain is
    /// stored for that one. A shared cookie counts against no limit.
    ///
    /// A cookie that has expired removes the one it would have replaced.
    ///
    /// # Examples
    ///
    /// ```
    /// use miohttp::{Cookie, CookieJar};
    /// use url::Url;
    ///
    /// let jar = CookieJar::new();
    /// let url = Url::parse("http://example.com/")?;
    /// assert!(jar.add(Cookie::new("theme", "dark")?, None));
    /// assert!(jar.add(Cookie::new("token", "1")?, Some(&url)));
    /// // A host cannot set cookies for another one.
    /// let foreign = Cookie::parse(b"a=1; Domain=example.org").unwrap();
    /// assert!(!jar.add(foreign, Some(&url)));
    ///
    /// let elsewhere = Url::parse("http://example.net/")?;
    /// assert_eq!(jar.cookies_for(&elsewhere).len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn add(&self, cookie: Cookie, url: Option<&Url>) -> bool {
        self.add_at(cookie, url, now())
    }

    /// The cookies a request to `url` would carry, in their order in the
    /// header: longer paths first, then the older ones.
    pub fn cookies_for(&self, url: &Url) -> Vec<Cookie> {
        self.matching(url, now(), |cookies| cookies.into_iter().cloned().collect())
            .unwrap_or_default()
    }

    /// All cookies, oldest first. The jar may change while you look at them.
    ///
    /// # Examples
    ///
    /// ```
    /// use miohttp::{Cookie, CookieJar};
    ///
    /// let jar = CookieJar::new();
    /// jar.add(Cookie::new("a", "1")?, None);
    /// for cookie in &jar {
    ///     assert_eq!(cookie.name(), b"a");
    /// }
    /// assert_eq!(jar.all().len(), 1);
    /// # Ok::<(), miohttp::InvalidCookie>(())
    /// ```
    pub fn all(&self) -> Vec<Cookie> {
        self.all_at(now())
    }

    /// How many cookies there are; expired ones do not count.
    pub fn len(&self) -> usize {
        lock(&self.inner.store).len(now())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Removes every cookie, shared ones too.
    pub fn clear(&self) {
        lock(&self.inner.store).replace(Store::default());
    }

    /// Removes the cookies of a domain and of all hosts below it. Shared
    /// cookies stay.
    ///
    /// # Examples
    ///
    /// ```
    /// use miohttp::{Cookie, CookieJar};
    ///
    /// let jar = CookieJar::new();
    /// jar.add(Cookie::parse(b"a=1; Domain=www.example.com").unwrap(), None);
    /// jar.add(Cookie::parse(b"b=2; Domain=example.org").unwrap(), None);
    /// jar.clear_domain("example.com");
    /// assert_eq!(jar.all()[0].name(), b"b");
    /// ```
    pub fn clear_domain(&self, domain: &str) {
        let domain = domain.strip_prefix('.').unwrap_or(domain);
        lock(&self.inner.store).clear_domain(&domain.to_ascii_lowercase());
    }

    /// Keeps the cookies for which `keep` returns `true` and removes the
    /// others. A cookie that is replaced meanwhile stays.
    ///
    /// # Examples
    ///
    /// Forget the session cookies, as a browser does when it is closed:
    ///
    /// ```
    /// use miohttp::{Cookie, CookieJar};
    ///
    /// let jar = CookieJar::new();
    /// jar.add(Cookie::parse(b"a=1").unwrap(), None);
    /// jar.add(Cookie::parse(b"b=2; Max-Age=3600").unwrap(), None);
    /// jar.retain(|cookie| cookie.expires().is_some());
    /// assert_eq!(jar.len(), 1);
    /// ```
    pub fn retain(&self, mut keep: impl FnMut(&Cookie) -> bool) {
        let snapshot: Vec<(Stamp, Cookie)> = lock(&self.inner.store)
            .all(now())
            .into_iter()
            .map(|(stamp, cookie)| (stamp, cookie.clone()))
            .collect();
        let mut rejected: Vec<Stamp> = snapshot
            .iter()
            .filter(|(_, cookie)| !keep(cookie))
            .map(|(stamp, _)| *stamp)
            .collect();
        rejected.sort_unstable();
        lock(&self.inner.store).remove_stamped(&rejected);
    }

    pub(super) fn add_at(&self, cookie: Cookie, url: Option<&Url>, now: SystemTime) -> bool {
        let (admitted, from_secure) = match url {
            Some(url) => {
                let Some(target) = self.target(url) else {
                    return false;
                };
                if self.is_refused_ip(target.host) {
                    return false;
                }
                (admit::from_host(cookie, &target), target.secure)
            }
            None => (admit::from_user(cookie), true),
        };
        let Some(cookie) = admitted else {
            return false;
        };
        // Again, for the domain of a cookie that came without a URL.
        if cookie.domain().is_some_and(|d| self.is_refused_ip(d)) {
            return false;
        }
        let mut store = lock(&self.inner.store);
        self.inner.was_used.store(true, Ordering::Release);
        store.insert(cookie, from_secure, now)
    }

    /// Puts these in the place of all there are; returns how many were taken.
    /// The lock is held for the exchange only.
    pub(super) fn replace_at(&self, cookies: Vec<Cookie>, now: SystemTime) -> usize {
        let mut store = Store::default();
        for mut cookie in cookies {
            cookie.expires = cookie.expires.map(|at| parse::capped(at, now));
            let admitted = admit::from_user(cookie)
                .filter(|cookie| !cookie.domain().is_some_and(|d| self.is_refused_ip(d)));
            if let Some(cookie) = admitted {
                store.insert(cookie, true, now);
            }
        }
        let taken = store.len(now);
        let mut kept = lock(&self.inner.store);
        self.inner.was_used.store(true, Ordering::Release);
        kept.replace(store);
        taken
    }

    pub(super) fn store_at(
        &self,
        url: &Url,
        set_cookie: &mut dyn Iterator<Item = &HeaderValue>,
        now: SystemTime,
    ) {
        for value in set_cookie {
            if let Some(cookie) = parse::parse(value.as_bytes(), now) {
                self.add_at(cookie, Some(url), now);
            }
        }
    }

    pub(super) fn header_at(&self, url: &Url, now: SystemTime) -> Option<HeaderValue> {
        self.matching(url, now, |cookies| header::write(cookies))?
    }

    pub(super) fn all_at(&self, now: SystemTime) -> Vec<Cookie> {
        let mut store = lock(&self.inner.store);
        let all = store.all(now).into_iter();
        all.map(|(_, cookie)| cookie.clone()).collect()
    }

    fn matching<T>(
        &self,
        url: &Url,
        now: SystemTime,
        read: impl FnOnce(Vec<&Cookie>) -> T,
    ) -> Option<T> {
        let target = self.target(url)?;
        let mut store = lock(&self.inner.store);
        // K1 needs no check here: a jar that refuses IP hosts holds none of
        // their cookies, and shared ones go there as everywhere (K2).
        let cookies = store.matching(&target, now);
        Some(read(cookies))
    }

    fn target<'a>(&self, url: &'a Url) -> Option<Target<'a>> {
        let mut target = Target::new(url)?;
        if !target.secure && !self.inner.options.secure_origins.is_empty() {
            let origin = plain_origin(url)?;
            target.secure = self.inner.options.secure_origins.contains(&origin);
        }
        Some(target)
    }

    fn is_refused_ip(&self, host: &str) -> bool {
        !self.inner.options.allow_ip_hosts && is_ip(host)
    }
}

impl Default for CookieJar {
    fn default() -> Self {
        Self::new()
    }
}

impl IntoIterator for &CookieJar {
    type Item = Cookie;
    type IntoIter = std::vec::IntoIter<Cookie>;

    /// Iterates over a snapshot, oldest cookie first.
    fn into_iter(self) -> Self::IntoIter {
        self.all().into_iter()
    }
}

/// Counts and options only: names and values are none of a log's business.
impl fmt::Debug for CookieJar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CookieJar")
            .field("cookies", &self.len())
            .field("options", &self.inner.options)
            .finish()
    }
}

/// Options of a [`CookieJar`]; made by [`CookieJar::builder`].
///
/// # Examples
///
/// ```
/// use miohttp::CookieJar;
/// use url::Url;
///
/// let jar = CookieJar::builder()
///     .allow_ip_hosts(true)
///     .treat_as_secure_origin(&Url::parse("http://localhost:8080/")?)
///     .build();
/// assert!(jar.is_empty());
/// # Ok::<(), url::ParseError>(())
/// ```
#[derive(Clone, Debug)]
pub struct CookieJarBuilder {
    options: Options,
}

impl CookieJarBuilder {
    /// Whether hosts given as an IP address may have cookies. Default: `false`,
    /// because nothing ties an address to its owner for long.
    #[must_use]
    pub fn allow_ip_hosts(mut self, allow: bool) -> Self {
        self.options.allow_ip_hosts = allow;
        self
    }

    /// Treats the origin (scheme, host and port) of a plain `http` or `ws` URL
    /// as if it were encrypted, so that `Secure` cookies are taken from it and
    /// sent to it. For servers behind a local proxy, and for tests. May be
    /// called several times.
    #[must_use]
    pub fn treat_as_secure_origin(mut self, origin: &Url) -> Self {
        self.options.secure_origins.extend(plain_origin(origin));
        self
    }

    /// The jar.
    pub fn build(self) -> CookieJar {
        CookieJar {
            inner: Arc::new(Inner {
                options: self.options,
                store: Mutex::new(Store::default()),
                was_used: AtomicBool::new(false),
            }),
        }
    }
}

/// Host and port. `http` and `ws` of one server are one origin here, as the
/// cookies of both are.
fn plain_origin(url: &Url) -> Option<(String, u16)> {
    match url.scheme() {
        "http" | "ws" => Some((url.host_str()?.to_owned(), url.port_or_known_default()?)),
        _ => None,
    }
}
