//! What a connector settles of its sockets.

#[cfg(unix)]
use std::path::Path;

use super::{Connector, ConnectorBuilder};
#[cfg(unix)]
use crate::net::UnixAddress;

impl ConnectorBuilder {
    /// Whether small writes go out at once instead of waiting to be joined with
    /// others, `TCP_NODELAY` (SPEC C29). On by default, and best left so: a
    /// request is written in one piece where it can be.
    pub fn nodelay(mut self, nodelay: bool) -> Self {
        self.config.sockets.nodelay = nodelay;
        self
    }
}

impl Connector {
    /// What [`ConnectorBuilder::nodelay`] has settled.
    pub fn nodelay(&self) -> bool {
        self.inner.config.sockets.nodelay
    }
}

#[cfg(unix)]
impl ConnectorBuilder {
    /// Makes every connection to this Unix socket, whatever host a URL names
    /// (SPEC U1). The host is used for all else: `Host`, cookies, the name that a
    /// certificate has to prove, and which connections may be shared. No name is
    /// looked up. A proxy, if there is one, is what listens there.
    ///
    /// An address that cannot be one fails every request with
    /// [`Kind::InvalidRequest`](crate::Kind::InvalidRequest). A socket that is not
    /// there, or not listened on, is [`Kind::Connect`](crate::Kind::Connect) with
    /// its [`path`](crate::Error::path). Where its queue is full the connection is
    /// tried again and again until a [limit](crate::Timeouts) passes.
    ///
    /// ```
    /// use miohttp::{Connector, Session};
    ///
    /// let docker = Connector::builder().unix_socket("/run/docker.sock").limit(4).build();
    /// let session = Session::builder().connector(docker).build();
    /// let _version = session.get("http://localhost/version");
    /// ```
    pub fn unix_socket(mut self, address: impl Into<UnixAddress>) -> Self {
        self.config.sockets.unix = Some(address.into());
        self
    }
}

#[cfg(unix)]
impl Connector {
    /// A connector whose connections all go to this Unix socket:
    /// [`ConnectorBuilder::unix_socket`].
    ///
    /// ```no_run
    /// use miohttp::{Connector, Session, UnixAddress};
    ///
    /// let connector = Connector::unix(UnixAddress::abstract_name("worker"));
    /// let session = Session::builder().connector(connector).build();
    /// let status = session.get("http://worker/status").send()?.text()?;
    /// # Ok::<(), miohttp::Error>(())
    /// ```
    pub fn unix(address: impl Into<UnixAddress>) -> Self {
        Self::builder().unix_socket(address).build()
    }

    /// The path of the Unix socket that its connections go to (SPEC U1); of an
    /// abstract name, the name behind an `@`.
    pub fn path(&self) -> Option<&Path> {
        let address = self.inner.config.sockets.unix.as_ref();
        address.map(UnixAddress::path)
    }
}
