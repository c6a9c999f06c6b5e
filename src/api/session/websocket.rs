//! WebSockets of a session.

use http::Method;

use super::Session;
use crate::api::request::RequestBuilder;
use crate::api::url::IntoUrl;
use crate::api::websocket::WebSocketBuilder;

impl Session {
    /// A WebSocket to a `ws` or `wss` URL; `http` and `https` mean the same two.
    ///
    /// It has everything of this session that a request has: see
    /// [`WebSocketBuilder`].
    ///
    /// ```no_run
    /// let session = miohttp::Session::new();
    /// let socket = session.ws_connect("wss://example.com/feed").connect()?;
    /// for message in &socket {
    ///     println!("{:?}", message?);
    /// }
    /// # Ok::<(), miohttp::Error>(())
    /// ```
    pub fn ws_connect(&self, url: impl IntoUrl) -> WebSocketBuilder {
        let inner = &self.inner;
        let url = url.into_url(&inner.known.of_websockets());
        WebSocketBuilder::new(RequestBuilder::new(self.clone(), Method::GET, url, None))
    }
}
