//! What a WebSocket and its halves alike tell of the connection, and of how it came
//! about.

/// `$name` has `shared(&self) -> &Arc<Shared>`.
macro_rules! facts {
    ($name:ident) => {
        impl $name {
            /// The subprotocol that the server has chosen, of those that were offered
            /// (SPEC W1, W10).
            pub fn protocol(&self) -> Option<&str> {
                self.shared().negotiated.protocol.as_deref()
            }

            /// The window that this side compresses with, as its binary logarithm, 8 to 15;
            /// `None` where no compression was agreed on (SPEC W7, W10). With one of 8, which the
            /// server may insist on, messages go out as they are, and what comes may still be
            /// compressed.
            pub fn compress(&self) -> Option<u8> {
                let agreed = self.shared().negotiated.agreed.as_ref()?;
                Some(agreed.client_bits)
            }

            /// The answer to the handshake, status 101, without a body: for its headers.
            ///
            /// ```no_run
            /// # let socket = miohttp::Session::new().ws_connect("ws://example.com/").connect()?;
            /// println!("{:?}", socket.response().headers().get("server"));
            /// # Ok::<(), miohttp::Error>(())
            /// ```
            pub fn response(&self) -> crate::Response {
                let about = &self.shared().about;
                crate::Response::new(
                    std::sync::Arc::clone(about),
                    crate::api::body::Body::spent(std::sync::Arc::clone(about)),
                )
            }

            /// The URL it is connected to, behind redirects and without credentials.
            pub fn url(&self) -> &url::Url {
                &self.shared().about.url
            }

            /// The server's address, or the proxy's where there is one; `None` where it has no
            /// IP address.
            pub fn peer_addr(&self) -> Option<std::net::SocketAddr> {
                self.shared().about.facts.link.peer
            }

            /// This end's address, where the system tells.
            pub fn local_addr(&self) -> Option<std::net::SocketAddr> {
                self.shared().about.facts.link.local
            }

            /// What the TLS handshake settled; `None` for plain ws.
            pub fn tls_info(&self) -> Option<&crate::job::TlsInfo> {
                self.shared().about.facts.link.tls.as_ref()
            }
        }
    };
}
pub(super) use facts;
