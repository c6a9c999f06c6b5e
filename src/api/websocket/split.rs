//! The two sides of a WebSocket, as types.

use std::fmt;
use std::sync::Arc;

use super::facts::facts;
use super::receive::{Inbound, Messages, Reading};
use super::shared::Shared;
use super::verbs::{ends, receives, sends};

/// The side of a WebSocket that sends; made by [`WebSocket::split`](crate::WebSocket::split).
///
/// Cheap to clone: any number of threads may send. It keeps the WebSocket open.
#[derive(Clone)]
pub struct WebSocketSender(Arc<Shared>);

/// The side of a WebSocket that receives; made by
/// [`WebSocket::split`](crate::WebSocket::split). There is one, so nobody else can be
/// receiving (unless the WebSocket was cloned before).
///
/// It keeps the WebSocket open. When it is dropped and nothing else can receive, what
/// still comes is thrown away; the other half can go on sending.
///
/// With the feature `async` it is a `Stream` of messages that ends at the close.
pub struct WebSocketReceiver(pub(super) Reading);

pub(super) fn split(reading: Reading) -> (WebSocketSender, WebSocketReceiver) {
    let shared = Arc::clone(reading.inbound().shared());
    (WebSocketSender(shared), WebSocketReceiver(reading))
}

impl WebSocketSender {
    fn shared(&self) -> &Arc<Shared> {
        &self.0
    }
}

impl WebSocketReceiver {
    fn inbound(&self) -> &Arc<Inbound> {
        self.0.inbound()
    }

    fn shared(&self) -> &Arc<Shared> {
        self.0.shared()
    }

    /// The messages as they come, until it is closed: as
    /// [`WebSocket::iter`](crate::WebSocket::iter).
    pub fn iter(&mut self) -> Messages<'_> {
        Messages::new(&self.0)
    }
}

sends!(WebSocketSender);
ends!(WebSocketSender);
facts!(WebSocketSender);
receives!(WebSocketReceiver, mut);
ends!(WebSocketReceiver);
facts!(WebSocketReceiver);

impl<'a> IntoIterator for &'a mut WebSocketReceiver {
    type Item = <Messages<'a> as Iterator>::Item;
    type IntoIter = Messages<'a>;

    fn into_iter(self) -> Messages<'a> {
        self.iter()
    }
}

impl fmt::Debug for WebSocketSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.debug("WebSocketSender", f)
    }
}

impl fmt::Debug for WebSocketReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared().debug("WebSocketReceiver", f)
    }
}
