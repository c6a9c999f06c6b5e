//! The jar, as a call sees it. Without the feature `cookies` there is none.

#[cfg(feature = "cookies")]
mod with {
    use http::HeaderValue;
    use http::header::COOKIE;
    use url::Url;

    use crate::call::Request;
    use crate::cookie::{CookieJar, merge_header};
    use crate::head::ResponseHead;

    /// The session's own jar, if it keeps one.
    #[derive(Clone, Debug)]
    pub(crate) struct Cookies(pub(crate) Option<CookieJar>);

    impl Cookies {
        /// The `Cookie` header of this hop (SPEC H8).
        pub(crate) fn header(&self, request: &Request) -> Option<HeaderValue> {
            let explicit = request.fields.first(&COOKIE);
            let stored = self.0.as_ref().and_then(|jar| jar.cookies(&request.url));
            merge_header(explicit, stored.as_ref())
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
    use http::header::COOKIE;
    use url::Url;

    use crate::call::Request;
    use crate::head::ResponseHead;

    #[derive(Clone, Debug)]
    pub(crate) struct Cookies;

    impl Cookies {
        pub(crate) fn header(&self, request: &Request) -> Option<HeaderValue> {
            request.fields.first(&COOKIE).cloned()
        }

        pub(crate) fn store(&self, _url: &Url, _head: &ResponseHead) {}
    }
}

#[cfg(feature = "cookies")]
pub(crate) use with::Cookies;
#[cfg(not(feature = "cookies"))]
pub(crate) use without::Cookies;
