//! What few requests have, in one place beside the others: most have none of
//! it, and pay one word for that.

use http::HeaderValue;

use super::merge::merge_cookies;

#[derive(Clone, Debug, Default)]
pub(crate) struct Extra {
    /// Q10: the body goes out in chunks, whatever is known of its length.
    pub(crate) chunked: bool,
    /// Q3: path and query as they are sent, where the URL spells them
    /// otherwise. Nothing but printable ASCII without `#`.
    pub(crate) target: Option<String>,
    /// Q16: cookies of this request, in the form of the header.
    pub(crate) cookies: Option<HeaderValue>,
    /// Q17: the name that is asked for in the TLS handshake and that the
    /// certificate has to be for, if it is not the URL's host.
    pub(crate) server_name: Option<Box<str>>,
    /// It asks for a WebSocket, wherever it is led.
    #[cfg(feature = "websocket")]
    pub(crate) websocket: bool,
}

impl Extra {
    /// D9: forgets what stood for the URL of the request before.
    pub(super) fn for_another_url(&mut self) {
        self.target = None;
    }

    /// D3: forgets what is about the body, which is not sent again.
    pub(super) fn without_body(&mut self) {
        self.chunked = false;
    }

    /// D7: forgets what was meant for the origin that is left.
    pub(super) fn for_another_origin(&mut self) {
        self.server_name = None;
        self.cookies = None;
    }

    /// Adds a cookie, in the place of one of that name. False: no header could
    /// carry the pair so that its reader sees the very same bytes.
    #[must_use]
    pub(crate) fn add_cookie(&mut self, name: &[u8], value: &[u8]) -> bool {
        let is_plain = |part: &[u8]| {
            let ends = [part.first(), part.last()];
            !part.contains(&b';') && !ends.iter().any(|end| matches!(end, Some(b' ' | b'\t')))
        };
        if name.is_empty() || name.contains(&b'=') || !is_plain(name) || !is_plain(value) {
            return false;
        }
        let Ok(mut pair) = HeaderValue::from_bytes(&[name, b"=", value].concat()) else {
            return false;
        };
        pair.set_sensitive(true);
        self.cookies = merge_cookies(self.cookies.as_ref(), Some(&pair));
        true
    }
}

/// Appends to a target what no request line can hold in percent-encoding, and
/// all else as it is (RFC 9112 §3.2).
pub(crate) fn escape_target(text: &str, target: &mut String) {
    escape_bytes(text.as_bytes(), target);
}

pub(super) fn escape_bytes(text: &[u8], target: &mut String) {
    for &byte in text {
        match byte {
            b'#' | ..=b' ' | 0x7f.. => target.push_str(&format!("%{byte:02X}")),
            _ => target.push(char::from(byte)),
        }
    }
}
