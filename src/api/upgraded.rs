//! A connection after a switch of protocols, as `Read` and `Write`.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use super::cancel::CancelHandle;
use super::connector::Connector;
use super::stretch::{Stretch, stretches};
use crate::call::About;
use crate::job::{TlsInfo, Tunnel};

/// A connection that speaks another protocol than HTTP: made by
/// [`Response::into_upgraded`](crate::Response::into_upgraded) after the server
/// has agreed to that.
///
/// Reading blocks until something comes, and begins with what the server sent
/// behind the head of its response. Writing blocks until what was written
/// before is on its way, and takes up to 64 KiB; what the network does not take
/// at once goes with the next read, write or [`flush`](std::io::Write::flush). Limits
/// of the request end with its response; there are others here, for each call.
///
/// Where the system has no poll(2), what would have to wait fails with
/// [`io::ErrorKind::Unsupported`](std::io::ErrorKind::Unsupported).
///
/// The connection is the program's own. It holds one of the slots of the
/// [`limit`](crate::ConnectorBuilder::limit) until it is dropped, which closes
/// it, with TLS's `close_notify`, and waits for nothing. Closing the connector
/// ends it too.
///
/// ```no_run
/// use std::io::{Read, Write};
///
/// let response = miohttp::Session::new()
///     .get("http://example.com/chat")
///     .header("connection", "upgrade")
///     .header("upgrade", "echo")
///     .send()?;
/// let mut connection = response.into_upgraded()?;
/// connection.write_all(b"hello")?;
/// let mut answer = [0; 5];
/// connection.read_exact(&mut answer)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Upgraded {
    // Closed before its connector may end.
    stretch: Stretch,
    _connector: Connector,
    about: Arc<About>,
    cancel: CancelHandle,
}

impl Upgraded {
    pub(super) fn new(
        tunnel: Box<dyn Tunnel>,
        connector: Connector,
        about: Arc<About>,
        cancel: CancelHandle,
    ) -> Self {
        Self {
            stretch: Stretch::new(tunnel, about.url.clone()),
            _connector: connector,
            about,
            cancel,
        }
    }

    /// The server's address; `None` where it has no IP address.
    pub fn remote_addr(&self) -> Option<SocketAddr> {
        self.about.facts.link.peer
    }

    /// This end's address, where the system tells.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.about.facts.link.local
    }

    /// What the TLS handshake settled; `None` for plain http.
    pub fn tls_info(&self) -> Option<&TlsInfo> {
        self.about.facts.link.tls.as_ref()
    }

    /// A handle with which any thread can end the connection while this one
    /// reads or writes.
    pub fn cancel_handle(&self) -> CancelHandle {
        self.cancel.clone()
    }
}

stretches!(Upgraded);

impl fmt::Debug for Upgraded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgraded")
            .field("url", &self.about.url.as_str())
            .field("remote_addr", &self.remote_addr())
            .finish_non_exhaustive()
    }
}
