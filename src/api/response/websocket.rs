//! The answer to the opening handshake of a WebSocket.

use std::sync::Arc;

use super::Response;
use crate::api::connector::Connector;
use crate::call::About;
use crate::error::Error;
use crate::job::{ExchangeId, Tunnel};

/// The connection of a WebSocket.
pub(in crate::api) struct Switched {
    pub(in crate::api) tunnel: Box<dyn Tunnel>,
    pub(in crate::api) connector: Connector,
    /// By which it goes.
    pub(in crate::api) id: ExchangeId,
    /// With the URL of a WebSocket.
    pub(in crate::api) about: Arc<About>,
}

impl Response {
    /// The connection, where the protocol was switched.
    ///
    /// # Errors
    /// It was not.
    pub(in crate::api) fn into_websocket(self) -> Result<Switched, Error> {
        let mut about = self.about.clone();
        let Some((tunnel, connector, id)) = self.into_body()?.into_tunnel() else {
            let message = "the server switched protocols before it had the whole request";
            return Err(about.context(Error::internal(message)));
        };
        // Nobody else has it any more.
        if let Some(about) = Arc::get_mut(&mut about) {
            about.show_as_websocket();
        }
        Ok(Switched {
            tunnel,
            connector,
            id,
            about,
        })
    }
}
