//! What a WebSocket carries.

use bytes::Bytes;

use super::{CloseFrame, Utf8Bytes};

/// A message of a WebSocket, received or to be sent (SPEC W12).
///
/// Data is text or binary; cloning a message copies none of it. Pings, pongs and
/// closes are part of the protocol and mostly kept away from programs (SPEC W4).
///
/// ```
/// use miohttp::Message;
///
/// assert_eq!(Message::from("hello"), Message::Text("hello".into()));
/// assert_eq!(Message::from(vec![1, 2, 3]).as_bytes(), [1, 2, 3]);
/// assert_eq!(Message::from("hello").as_text(), Some("hello"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Message {
    /// Text.
    Text(Utf8Bytes),
    /// Bytes.
    Binary(Bytes),
    /// A ping, to be answered by a pong with the same bytes: 125 at most. Received
    /// only with `autoping(false)`.
    Ping(Bytes),
    /// A pong, the answer to a ping: 125 bytes at most. Received only with
    /// `autoping(false)`.
    Pong(Bytes),
    /// The end, or the answer to it. Received only with `autoclose(false)`.
    Close(Option<CloseFrame>),
}

impl Message {
    /// A text message; a `String` is not copied.
    pub fn text(text: impl Into<Utf8Bytes>) -> Self {
        Self::Text(text.into())
    }

    /// A binary message; a `Vec<u8>` or [`Bytes`] is not copied.
    pub fn binary(bytes: impl Into<Bytes>) -> Self {
        Self::Binary(bytes.into())
    }

    /// Whether this is [`Message::Text`].
    pub fn is_text(&self) -> bool {
        matches!(self, Self::Text(_))
    }

    /// Whether this is [`Message::Binary`].
    pub fn is_binary(&self) -> bool {
        matches!(self, Self::Binary(_))
    }

    /// Whether this is [`Message::Ping`].
    pub fn is_ping(&self) -> bool {
        matches!(self, Self::Ping(_))
    }

    /// Whether this is [`Message::Pong`].
    pub fn is_pong(&self) -> bool {
        matches!(self, Self::Pong(_))
    }

    /// Whether this is [`Message::Close`].
    pub fn is_close(&self) -> bool {
        matches!(self, Self::Close(_))
    }

    /// The payload; of a close its reason.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) | Self::Ping(bytes) | Self::Pong(bytes) => bytes,
            Self::Close(Some(close)) => close.reason.as_bytes(),
            Self::Close(None) => &[],
        }
    }

    /// The payload, without copying; of a close its reason.
    pub fn into_bytes(self) -> Bytes {
        match self {
            Self::Text(text) => text.into_bytes(),
            Self::Binary(bytes) | Self::Ping(bytes) | Self::Pong(bytes) => bytes,
            Self::Close(Some(close)) => close.reason.into_bytes(),
            Self::Close(None) => Bytes::new(),
        }
    }

    /// The text of [`Message::Text`].
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The bytes of the payload; of a close those of its reason.
    pub fn len(&self) -> usize {
        self.as_bytes().len()
    }

    /// Whether the payload is empty; of a close its reason.
    pub fn is_empty(&self) -> bool {
        self.as_bytes().is_empty()
    }
}

impl From<Utf8Bytes> for Message {
    fn from(text: Utf8Bytes) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<&String> for Message {
    fn from(text: &String) -> Self {
        Self::text(text)
    }
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Self::text(text)
    }
}

impl From<&[u8]> for Message {
    fn from(bytes: &[u8]) -> Self {
        Self::Binary(Bytes::copy_from_slice(bytes))
    }
}

impl<const N: usize> From<&[u8; N]> for Message {
    fn from(bytes: &[u8; N]) -> Self {
        bytes.as_slice().into()
    }
}

impl From<Vec<u8>> for Message {
    fn from(bytes: Vec<u8>) -> Self {
        Self::binary(bytes)
    }
}

impl From<Bytes> for Message {
    fn from(bytes: Bytes) -> Self {
        Self::Binary(bytes)
    }
}
