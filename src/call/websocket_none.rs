//! Stands in for what calls know of WebSockets in a build without them.

use std::borrow::Cow;

use url::Url;

use super::Request;

impl Request {
    pub(super) fn shown_url(&self) -> Cow<'_, Url> {
        Cow::Borrowed(&self.url)
    }

    pub(super) fn location<'a>(&self, location: &'a [u8]) -> Cow<'a, [u8]> {
        Cow::Borrowed(location)
    }
}
