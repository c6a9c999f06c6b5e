//! The opening handshake (RFC 6455 §4): what a client asks, and which answer is
//! a yes to that.
//!
//! Whether the answer has the status 101 is looked at before: a server that
//! answers otherwise has understood nothing of this.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use ring::rand::{SecureRandom as _, SystemRandom};

use super::extension::{self, Agreed, Offer};
use crate::error::Error;

/// RFC 6455 §1.3: what a server that speaks the protocol puts behind the key.
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// One opening handshake, from the client's side.
#[derive(Debug)]
pub(crate) struct Handshake {
    key: String,
    protocols: Vec<String>,
    /// Nothing is compressed without one (SPEC W7).
    offer: Option<Offer>,
}

/// What both sides have agreed upon.
#[derive(Debug)]
pub(crate) struct Negotiated {
    /// One of those that were offered (SPEC W1).
    pub(crate) protocol: Option<String>,
    /// How both sides compress, if they do.
    pub(crate) agreed: Option<Agreed>,
}

/// Why the answer is no yes.
pub(crate) type Fault = Cow<'static, str>;

impl Handshake {
    /// With a key of its own.
    ///
    /// # Errors
    /// A protocol cannot be offered, or the system gives no random bytes.
    pub(crate) fn new(protocols: Vec<String>, offer: Option<Offer>) -> Result<Self, Error> {
        for (at, protocol) in protocols.iter().enumerate() {
            if !is_token(protocol) {
                // Some carry their credentials in such names, so none is repeated.
                let message = format!("the WebSocket protocol number {} is not a token", at + 1);
                return Err(Error::invalid_request(message));
            }
            if protocols[..at].contains(protocol) {
                let message = format!("the WebSocket protocol number {} is offered twice", at + 1);
                return Err(Error::invalid_request(message));
            }
        }
        let mut nonce = [0; 16];
        SystemRandom::new()
            .fill(&mut nonce)
            .map_err(|_| Error::internal("the system gives no random bytes"))?;
        Ok(Self {
            key: STANDARD.encode(nonce),
            protocols,
            offer,
        })
    }

    /// The fields that ask for it (RFC 6455 §4.1).
    pub(crate) fn fields(&self) -> Vec<(&'static str, Cow<'_, str>)> {
        let mut fields = vec![
            ("upgrade", Cow::Borrowed("websocket")),
            ("connection", Cow::Borrowed("Upgrade")),
            ("sec-websocket-version", Cow::Borrowed("13")),
            ("sec-websocket-key", Cow::Borrowed(self.key.as_str())),
        ];
        if !self.protocols.is_empty() {
            fields.push(("sec-websocket-protocol", self.protocols.join(", ").into()));
        }
        if let Some(offer) = &self.offer {
            fields.push(("sec-websocket-extensions", offer.header().into()));
        }
        fields
    }

    /// What these fields of a 101 agree to.
    ///
    /// # Errors
    /// They are not the answer to what was asked (SPEC W1, W9).
    pub(crate) fn negotiated(&self, headers: &HeaderMap) -> Result<Negotiated, Fault> {
        if !only(headers, "Upgrade")?.eq_ignore_ascii_case(b"websocket") {
            return Err("the Upgrade of the answer is not websocket".into());
        }
        let mut options = tokens(headers, "Connection");
        if !options.any(|option| option.eq_ignore_ascii_case(b"upgrade")) {
            return Err("the Connection of the answer does not name the upgrade".into());
        }
        if only(headers, "Sec-WebSocket-Accept")? != accept(&self.key).as_bytes() {
            return Err("the Sec-WebSocket-Accept of the answer is not that of the key".into());
        }
        let extensions = headers.get_all("Sec-WebSocket-Extensions").into_iter();
        let extensions = extensions.map(|value| value.as_bytes());
        Ok(Negotiated {
            protocol: self.protocol(headers)?,
            agreed: extension::agree(self.offer.as_ref(), extensions)?,
        })
    }

    /// SPEC W1: the server's first choice, and nothing that was not offered.
    fn protocol(&self, headers: &HeaderMap) -> Result<Option<String>, Fault> {
        let mut chosen = None;
        for token in tokens(headers, "Sec-WebSocket-Protocol") {
            let offered = |protocol: &&String| protocol.as_bytes() == token;
            let Some(protocol) = self.protocols.iter().find(offered) else {
                let token = String::from_utf8_lossy(&token[..token.len().min(40)]);
                let message = format!("the server chose the protocol {token:?}, not one offered");
                return Err(message.into());
            };
            chosen.get_or_insert(protocol);
        }
        Ok(chosen.cloned())
    }
}

/// RFC 6455 §4.2.2: what a server makes of the key.
fn accept(key: &str) -> String {
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, [key, GUID].concat().as_bytes());
    STANDARD.encode(hash)
}

/// The value of a field that is there once.
fn only<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<&'a [u8], Fault> {
    let mut values = headers.get_all(name).into_iter();
    match (values.next(), values.next()) {
        (Some(value), None) => Ok(value.as_bytes().trim_ascii()),
        (None, _) => Err(format!("the answer has no {name}").into()),
        (Some(_), Some(_)) => Err(format!("the answer has more than one {name}").into()),
    }
}

/// The elements of a list, over all fields of that name (RFC 9110 §5.6.1).
fn tokens<'a>(headers: &'a HeaderMap, name: &'static str) -> impl Iterator<Item = &'a [u8]> {
    let values = headers.get_all(name).into_iter();
    let elements = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    elements
        .map(<[u8]>::trim_ascii)
        .filter(|element| !element.is_empty())
}

/// And so without a comma or a space.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.chars().all(extension::is_token)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use http::header::{HeaderName, HeaderValue};

    use super::*;

    fn handshake(protocols: &[&str]) -> Handshake {
        let protocols = protocols.iter().map(ToString::to_string).collect();
        let mut handshake = Handshake::new(protocols, None).unwrap();
        // RFC 6455 §1.3: the example.
        handshake.key = "dGhlIHNhbXBsZSBub25jZQ==".to_owned();
        handshake
    }

    fn answer(fields: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            let value = HeaderValue::from_str(value).unwrap();
            headers.append(HeaderName::from_static(name), value);
        }
        headers
    }

    const UPGRADE: (&str, &str) = ("upgrade", "websocket");
    const CONNECTION: (&str, &str) = ("connection", "Upgrade");
    const ACCEPT: (&str, &str) = ("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");

    #[test]
    fn the_example_of_the_standard_is_a_yes() {
        // SPEC W9
        let headers = answer(&[UPGRADE, CONNECTION, ACCEPT]);
        let negotiated = handshake(&["chat"]).negotiated(&headers).unwrap();
        assert_eq!(negotiated.protocol, None);
        assert!(negotiated.agreed.is_none());
        // Letters count in what is base64.
        let lower = ACCEPT.1.to_lowercase();
        let wrong = [UPGRADE, CONNECTION, (ACCEPT.0, &*lower)];
        assert!(handshake(&[]).negotiated(&answer(&wrong)).is_err());
        for left_out in 0..3 {
            let mut fields = vec![UPGRADE, CONNECTION, ACCEPT];
            fields.remove(left_out);
            assert!(handshake(&[]).negotiated(&answer(&fields)).is_err());
        }
    }

    #[test]
    fn lists_go_over_all_fields_of_a_name() {
        // SPEC W1, W9
        let headers = answer(&[
            UPGRADE,
            ("connection", "keep-alive,"),
            ("connection", " , uPGRADE\t,close"),
            ACCEPT,
            ("sec-websocket-protocol", ", b"),
            ("sec-websocket-protocol", "a"),
        ]);
        let negotiated = handshake(&["a", "b"]).negotiated(&headers).unwrap();
        assert_eq!(negotiated.protocol.as_deref(), Some("b"));
        let fault = handshake(&["b"]).negotiated(&headers).unwrap_err();
        assert!(fault.contains("\"a\""), "{fault}");
    }

    #[test]
    fn every_key_is_new() {
        // SPEC W6
        let [one, other] = [(); 2].map(|()| Handshake::new(Vec::new(), None).unwrap().key);
        assert_ne!(one, other);
        for key in [one, other] {
            assert_eq!(STANDARD.decode(key).unwrap().len(), 16);
        }
    }

    #[test]
    fn what_is_asked_is_what_is_offered() {
        // SPEC W1, W6, W7
        let names = |handshake: &Handshake| -> Vec<_> {
            let fields = handshake.fields();
            fields
                .into_iter()
                .map(|(name, value)| (name, value.into_owned()))
                .collect()
        };
        let plain = names(&handshake(&[]));
        assert_eq!(
            plain
                .iter()
                .map(|(name, value)| (*name, value.as_str()))
                .collect::<Vec<_>>(),
            [
                ("upgrade", "websocket"),
                ("connection", "Upgrade"),
                ("sec-websocket-version", "13"),
                ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ]
        );
        let mut all = handshake(&["a", "b"]);
        all.offer = Some(Offer::default());
        let all = names(&all);
        assert_eq!(all[4], ("sec-websocket-protocol", "a, b".to_owned()));
        assert_eq!(all[5].0, "sec-websocket-extensions");
        assert_eq!(all[5].1, Offer::default().header());
    }
}
