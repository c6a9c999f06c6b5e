//! Where cookies are kept, as a call sees it.

use std::fmt;
use std::sync::Arc;

use http::HeaderValue;
use url::Url;

use super::merge::merge_cookies;
use super::{CookieStore, Request};
#[cfg(feature = "cookies")]
use crate::cookie::CookieJar;
use crate::head::ResponseHead;

/// Where a session keeps its cookies.
#[derive(Clone)]
pub(crate) enum Cookies {
    None,
    #[cfg(feature = "cookies")]
    Jar(CookieJar),
    /// The caller's own, whose code must not run on the reactor's thread.
    Foreign(Arc<dyn CookieStore>),
}

impl Cookies {
    /// What a session has that was not told otherwise (SPEC S9).
    pub(crate) fn own() -> Self {
        #[cfg(feature = "cookies")]
        let own = Self::Jar(CookieJar::new());
        #[cfg(not(feature = "cookies"))]
        let own = Self::None;
        own
    }

    pub(super) fn is_foreign(&self) -> bool {
        matches!(self, Self::Foreign(_))
    }

    #[cfg(feature = "cookies")]
    pub(crate) fn jar(&self) -> Option<&CookieJar> {
        match self {
            Self::Jar(jar) => Some(jar),
            Self::None | Self::Foreign(_) => None,
        }
    }

    /// The `Cookie` header of this hop (SPEC H8). What the request has for itself
    /// wins by name over what is kept, and that over a header (SPEC Q16).
    pub(super) fn header(&self, request: &Request) -> Option<HeaderValue> {
        let explicit = explicit(request);
        let extra = request.extra.as_ref();
        let own = extra.and_then(|extra| extra.cookies.as_ref());
        let stored = match self {
            Self::None => None,
            #[cfg(feature = "cookies")]
            Self::Jar(jar) => jar.cookies(&request.url),
            Self::Foreign(store) => store.cookies(&request.url),
        };
        if explicit.is_none() && own.is_none() {
            return stored;
        }
        let merged = merge_cookies(explicit.as_ref(), stored.as_ref());
        merge_cookies(merged.as_ref(), own)
    }

    /// SPEC D8: each hop's cookies are stored before the next is asked.
    pub(super) fn store(&self, url: &Url, head: &ResponseHead) {
        if matches!(self, Self::None) || head.first("set-cookie").is_none() {
            return;
        }
        let values: Vec<HeaderValue> = head
            .values("set-cookie")
            .filter_map(|value| HeaderValue::from_bytes(value).ok())
            .collect();
        match self {
            Self::None => {}
            #[cfg(feature = "cookies")]
            Self::Jar(jar) => jar.store(url, &mut values.iter()),
            Self::Foreign(store) => store.store(url, &mut values.iter()),
        }
    }
}

impl fmt::Debug for Cookies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            #[cfg(feature = "cookies")]
            Self::Jar(jar) => jar.fmt(f),
            Self::Foreign(_) => f.write_str("Foreign(..)"),
        }
    }
}

/// The caller's own cookies. Several headers become one: a request has at most
/// one `Cookie` (RFC 6265 §5.4).
fn explicit(request: &Request) -> Option<HeaderValue> {
    if !request.fields.contains("cookie") {
        return None;
    }
    let mut values = request.fields.all("cookie");
    let first = values.next()?;
    let rest: Vec<_> = values.collect();
    // What every part may hold the whole may hold: this fails never.
    let mut joined = if rest.is_empty() {
        HeaderValue::from_bytes(first).ok()?
    } else {
        let all: Vec<&[u8]> = std::iter::once(first)
            .chain(rest)
            .filter(|value| !value.is_empty())
            .collect();
        HeaderValue::from_bytes(&all.join(&b"; "[..])).ok()?
    };
    joined.set_sensitive(true);
    Some(joined)
}
