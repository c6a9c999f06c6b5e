//! What can be asked for.

use std::sync::Mutex;

use url::{Position, Url};

use crate::error::{Error, Kind, Phase};

/// Anything a request can go to: `&str`, `String`, [`Url`] or a
/// reference to one.
///
/// Text is an absolute URL. In a session with a
/// [`base_url`](crate::SessionBuilder::base_url) it may be relative to that.
///
/// ```
/// use miohttp::{Session, Url};
///
/// let session = Session::new();
/// let url = Url::parse("http://example.com/")?;
/// let requests = [session.get(&url), session.get("http://example.com/")];
/// # drop(requests);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait IntoUrl: sealed::Sealed {}

pub(crate) mod sealed {
    use super::{Error, Known, Url};

    pub trait Sealed {
        fn into_url(self, known: &Known) -> Result<Url, Error>;
    }
}

macro_rules! into_url {
    ($($type:ty: |$value:ident, $known:ident| $parse:expr;)*) => {$(
        impl IntoUrl for $type {}

        impl sealed::Sealed for $type {
            fn into_url(self, $known: &Known) -> Result<Url, Error> {
                let $value = self;
                $parse
            }
        }
    )*};
}

into_url! {
    &str: |text, known| parse(text, known);
    String: |text, known| parse(&text, known);
    &String: |text, known| parse(text, known);
    Url: |url, known| known.check(url);
    &Url: |url, known| known.check(url.clone());
}

fn parse(text: &str, known: &Known) -> Result<Url, Error> {
    if let Some(url) = known.parse(text) {
        return Ok(url);
    }
    let parsed = Url::options().base_url(known.base.as_ref()).parse(text);
    let url = parsed.map_err(|error| {
        // The text itself may hold a password; it is not repeated.
        Error::new(Kind::InvalidUrl, "the URL cannot be parsed")
            .with_phase(Phase::Request)
            .with_source(error)
    })?;
    let url = known.check(url)?;
    known.note(text, &url);
    Ok(url)
}

/// The origin of the text parsed last, as a URL with an empty path. Most texts
/// begin as the one before did, and a host costs more to parse than all the
/// rest.
#[derive(Debug, Default)]
pub struct Known {
    origin: Mutex<Option<Url>>,
    /// S17: what relative texts are joined to.
    base: Option<Url>,
    /// The schemes of WebSockets are good as well, and become those of http.
    #[cfg(feature = "websocket")]
    for_websocket: bool,
}

impl Known {
    pub(crate) fn with_base(base: Option<Url>) -> Self {
        Self {
            base,
            ..Self::default()
        }
    }

    /// The same for what opens a WebSocket.
    #[cfg(feature = "websocket")]
    pub(crate) fn of_websockets(&self) -> Self {
        Self {
            for_websocket: true,
            ..Self::with_base(self.base.clone())
        }
    }

    pub(crate) fn base(&self) -> Option<&Url> {
        self.base.as_ref()
    }

    /// SPEC Q2.
    fn check(&self, url: Url) -> Result<Url, Error> {
        #[cfg(feature = "websocket")]
        if self.for_websocket {
            return check(as_http(url), "none of ws, wss, http and https");
        }
        check(url, "neither http nor https")
    }

    /// The URL, if the text begins with the known origin and what follows is
    /// nothing but a path and a query, which then mean the same alone.
    fn parse(&self, text: &str) -> Option<Url> {
        // To parse it all is faster than to wait.
        let origin = self.origin.try_lock().ok()?;
        let origin = origin.as_ref()?;
        let path = text.strip_prefix(&origin[..Position::BeforePath])?;
        origin.join(plain_path(path)?).ok()
    }

    fn note(&self, text: &str, url: &Url) {
        let origin = &url[..Position::BeforePath];
        // Only in the spelling that was parsed, and no password is kept.
        let is_plain = text.strip_prefix(origin).and_then(plain_path).is_some()
            && url.username().is_empty()
            && url.password().is_none();
        if is_plain
            && let Ok(mut known) = self.origin.try_lock()
            && let Ok(origin) = url.join("/")
        {
            *known = Some(origin);
        }
    }
}

/// A path that cannot be taken for anything else: two slashes would begin a
/// host, and a parser drops some spaces before it looks.
fn plain_path(text: &str) -> Option<&str> {
    let begins = match text.as_bytes() {
        [b'/', second, ..] => !matches!(second, b'/' | b'\\'),
        [b'/'] => true,
        _ => false,
    };
    let spaced = text.bytes().fold(false, |any, byte| any | (byte <= b' '));
    (begins && !spaced).then_some(text)
}

/// The same with the scheme of http, of one that is for WebSockets: what it goes over
/// begins as http, and so everything that is known of a host holds for both.
#[cfg(feature = "websocket")]
fn as_http(mut url: Url) -> Url {
    let scheme = match url.scheme() {
        "ws" => "http",
        "wss" => "https",
        _ => return url,
    };
    // These have the same default ports, and take one another's place.
    let _ = url.set_scheme(scheme);
    url
}

fn check(url: Url, not_one: &str) -> Result<Url, Error> {
    let refused = |message: String| {
        let error = Error::new(Kind::InvalidUrl, message).with_phase(Phase::Request);
        Err(error.with_url(&url))
    };
    if !matches!(url.scheme(), "http" | "https") {
        // `user:secret@host/`, the scheme forgotten, is the scheme `user` and a
        // path: then neither is repeated.
        return refused(match url.has_authority() {
            true => format!("the scheme {:?} is {not_one}", url.scheme()),
            false => format!("the URL is {not_one}"),
        });
    }
    if url.host_str().is_none_or(str::is_empty) {
        return refused("the URL has no host".into());
    }
    Ok(url)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::sealed::Sealed;
    use super::*;

    #[test]
    fn what_no_request_can_go_to_is_an_invalid_url() {
        // SPEC Q2
        let known = Known::default();
        for text in [
            "",
            "example.com",
            "/path",
            "http://",
            "http://[::1",
            "http://a b/",
            "ftp://h/",
            "mailto:a@b",
            "file:///etc/passwd",
            "http://h:99999/",
            "http:///x y@:80",
        ] {
            let error = match text.into_url(&known) {
                Err(error) => error,
                Ok(url) => panic!("{text:?} became {url}"),
            };
            assert_eq!(error.kind(), Kind::InvalidUrl, "{text:?}");
            assert_eq!(error.phase(), Some(Phase::Request));
        }
    }

    #[test]
    fn a_forgotten_scheme_shows_no_password() {
        for text in [
            "admin:hunter2@example.com/",
            "admin:/hunter2@h/",
            "hunter2:",
        ] {
            let error = text.into_url(&Known::default()).unwrap_err();
            let shown = format!("{error:#} {error:?} {:?}", error.url());
            assert!(!shown.contains("hunter2") && !shown.contains("admin"));
        }
    }

    #[test]
    fn odd_spellings_of_addresses_are_canonical() {
        // SPEC Q2
        for text in ["http://2130706433/", "http://127.1/", "http://0x7f.0.0.1/"] {
            let url = text.into_url(&Known::default()).unwrap();
            assert_eq!(url.host_str(), Some("127.0.0.1"));
        }
    }

    #[cfg(feature = "websocket")]
    #[test]
    fn schemes_of_websockets_become_those_of_http() {
        // SPEC W6
        let base = Url::parse("https://base.test/a/b").unwrap();
        let known = Known::with_base(Some(base)).of_websockets();
        for (text, want) in [
            ("ws://h/x?y#z", "http://h/x?y#z"),
            ("wss://u:p@h/", "https://u:p@h/"),
            ("WS://H:80", "http://h/"),
            ("wss://h:443/", "https://h/"),
            ("ws://h:443/", "http://h:443/"),
            ("wss://h:80/", "https://h:80/"),
            ("ws://[::1]:8080/", "http://[::1]:8080/"),
            ("http://h/", "http://h/"),
            ("https://h:8443/", "https://h:8443/"),
            ("c", "https://base.test/a/c"),
            ("//h/", "https://h/"),
        ] {
            let url = text.into_url(&known).unwrap();
            assert_eq!(url.as_str(), want, "{text}");
            // Shown as what they are, and so back again.
            let mut shown = url.clone();
            crate::error::as_websocket(&mut shown);
            assert!(shown.as_str().starts_with("ws"), "{shown}");
            assert_eq!(shown.into_url(&known).unwrap(), url);
        }
    }

    #[test]
    fn a_known_origin_changes_nothing() {
        let origins = [
            "http://h.test",
            "http://h.test:80",
            "http://h.test:8080",
            "HTTP://H.test",
            "https://h.test",
            "http://[::1]:1",
            "http://127.1",
            "http://127.0.0.1",
            "http://xn--bcher-kva.test",
            "http://b\u{fc}cher.test",
            "http://user:secret@h.test",
        ];
        let rests = [
            "",
            "/",
            "//",
            "/a/b?c=d#e",
            "/a/../../b/./c",
            "/%2e%2E/x",
            "/a b",
            "/ a",
            "/a ",
            "/\t/x",
            "/\\x",
            "\\x",
            "//x/y",
            "/a//b",
            "?q",
            "#f",
            "/?q=a'b",
            "/a#b#c",
            "/\u{fc}?\u{fc}",
            "@x/",
            ":81/",
            ".x/",
            "/a@b:c/",
            "/\0",
            "/a\nb",
            "/C|/x",
            "/;p",
            "/[]{}^`\"<>",
            "/%zz",
        ];
        let mut short = 0;
        for origin in origins {
            let known = Known::default();
            let _ = format!("{origin}/first?secret").as_str().into_url(&known);
            let kept = known.origin.lock().unwrap().as_ref().map(Url::to_string);
            assert!(!kept.is_some_and(|kept| kept.contains("secret")));
            for rest in origins
                .iter()
                .flat_map(|o| rests.map(|rest| format!("{o}{rest}")))
            {
                short += usize::from(known.parse(&rest).is_some());
                let got = rest.as_str().into_url(&known).ok();
                let fresh = rest.as_str().into_url(&Known::default()).ok();
                assert_eq!(got, fresh, "{rest:?} behind {origin}");
                // Every part, not the text alone.
                let parts = |url: Option<Url>| url.map(|url| format!("{url:?}"));
                assert_eq!(parts(got), parts(fresh), "{rest:?} behind {origin}");
            }
        }
        assert!(short > 100, "{short}");
    }
}
