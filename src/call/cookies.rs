//! The jar, as a call sees it. Without the feature `cookies` there is none.

use http::HeaderValue;

use super::Request;

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

#[cfg(feature = "cookies")]
mod with {
    use http::HeaderValue;
    use url::Url;

    use super::explicit;
    use crate::call::Request;
    use crate::cookie::{CookieJar, merge_header};
    use crate::head::ResponseHead;

    /// The session's own jar, if it keeps one.
    #[derive(Clone, Debug)]
    pub(crate) struct Cookies(pub(crate) Option<CookieJar>);

    impl Cookies {
        /// The `Cookie` header of this hop (SPEC H8).
        pub(crate) fn header(&self, request: &Request) -> Option<HeaderValue> {
            let explicit = explicit(request);
            let stored = self.0.as_ref().and_then(|jar| jar.cookies(&request.url));
            merge_header(explicit.as_ref(), stored.as_ref())
        }

        /// SPEC D8: each hop's cookies are stored before the next is asked.
        pub(crate) fn store(&self, url: &Url, head: &ResponseHead) {
            let Some(jar) = &self.0 else {
                return;
            };
            if head.first("set-cookie").is_none() {
                return;
            }
            let values: Vec<HeaderValue> = head
                .values("set-cookie")
                .filter_map(|value| HeaderValue::from_bytes(value).ok())
                .collect();
            jar.store(url, &mut values.iter());
        }
    }
}

#[cfg(not(feature = "cookies"))]
mod without {
    use http::HeaderValue;
    use url::Url;

    use super::explicit;
    use crate::call::Request;
    use crate::head::ResponseHead;

    #[derive(Clone, Debug)]
    pub(crate) struct Cookies;

    impl Cookies {
        pub(crate) fn header(&self, request: &Request) -> Option<HeaderValue> {
            explicit(request)
        }

        pub(crate) fn store(&self, _url: &Url, _head: &ResponseHead) {}
    }
}

#[cfg(feature = "cookies")]
pub(crate) use with::Cookies;
#[cfg(not(feature = "cookies"))]
pub(crate) use without::Cookies;
