//! What can be asked for.

use url::Url;

use crate::error::{Error, Kind, Phase};

/// Anything a request can go to: `&str`, `String`, [`Url`] or a
/// reference to one.
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
    use super::{Error, Url};

    pub trait Sealed {
        fn into_url(self) -> Result<Url, Error>;
    }
}

macro_rules! into_url {
    ($($type:ty: |$value:ident| $parse:expr;)*) => {$(
        impl IntoUrl for $type {}

        impl sealed::Sealed for $type {
            fn into_url(self) -> Result<Url, Error> {
                let $value = self;
                $parse
            }
        }
    )*};
}

into_url! {
    &str: |text| parse(text);
    String: |text| parse(&text);
    &String: |text| parse(text);
    Url: |url| check(url);
    &Url: |url| check(url.clone());
}

fn parse(text: &str) -> Result<Url, Error> {
    let url = Url::parse(text).map_err(|error| {
        // The text itself may hold a password; it is not repeated.
        Error::new(Kind::InvalidUrl, "the URL cannot be parsed")
            .with_phase(Phase::Request)
            .with_source(error)
    })?;
    check(url)
}

/// SPEC Q2.
fn check(url: Url) -> Result<Url, Error> {
    let refused = |message: String| {
        let error = Error::new(Kind::InvalidUrl, message).with_phase(Phase::Request);
        Err(error.with_url(&url))
    };
    if !matches!(url.scheme(), "http" | "https") {
        // `user:secret@host/`, the scheme forgotten, is the scheme `user` and a
        // path: then neither is repeated.
        return refused(match url.has_authority() {
            true => format!("the scheme {:?} is neither http nor https", url.scheme()),
            false => "the URL is neither http nor https".into(),
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
            let error = match text.into_url() {
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
            let error = text.into_url().unwrap_err();
            let shown = format!("{error:#} {error:?} {:?}", error.url());
            assert!(!shown.contains("hunter2") && !shown.contains("admin"));
        }
    }

    #[test]
    fn odd_spellings_of_addresses_are_canonical() {
        // SPEC Q2
        for text in ["http://2130706433/", "http://127.1/", "http://0x7f.0.0.1/"] {
            assert_eq!(text.into_url().unwrap().host_str(), Some("127.0.0.1"));
        }
    }
}
