//! The opening handshakes of WebSockets, as far as a call treats them otherwise than
//! any request. Their URLs are those of http and https here; who chooses a proxy, and
//! whoever is shown one, has them as `ws` and `wss`.

use std::borrow::Cow;

use url::Url;

use super::{About, Request};
use crate::error::as_websocket;

impl Request {
    pub(super) fn is_websocket(&self) -> bool {
        self.extra.as_ref().is_some_and(|extra| extra.websocket)
    }

    /// The URL that a proxy is chosen for.
    pub(super) fn shown_url(&self) -> Cow<'_, Url> {
        if !self.is_websocket() {
            return Cow::Borrowed(&self.url);
        }
        let mut url = self.url.clone();
        as_websocket(&mut url);
        Cow::Owned(url)
    }

    /// The target of a redirect, with a scheme that a request can go to (SPEC W6).
    pub(super) fn location<'a>(&self, location: &'a [u8]) -> Cow<'a, [u8]> {
        let text = location.trim_ascii();
        for (scheme, of_http) in [("ws://", "http://"), ("wss://", "https://")] {
            let named = text.get(..scheme.len());
            if self.is_websocket()
                && named.is_some_and(|named| named.eq_ignore_ascii_case(scheme.as_bytes()))
            {
                return [of_http.as_bytes(), &text[scheme.len()..]].concat().into();
            }
        }
        Cow::Borrowed(location)
    }
}

impl About {
    /// Shows the URLs of a WebSocket as such.
    pub(crate) fn show_as_websocket(&mut self) {
        as_websocket(&mut self.url);
        for hop in &mut self.history {
            as_websocket(&mut hop.url);
        }
    }
}
