//! What a connector settles of its sockets.

use std::net::SocketAddr;
#[cfg(unix)]
use std::path::Path;

use super::{Connector, ConnectorBuilder};
#[cfg(unix)]
use crate::net::transport::carry;
use crate::net::{LocalAddr, SocketOptions};
#[cfg(unix)]
use crate::net::{Transport, UnixAddress};

impl ConnectorBuilder {
    /// Whether small writes go out at once instead of waiting to be joined with
    /// others, `TCP_NODELAY` (SPEC C29). On by default, and best left so: a
    /// request is written in one piece where it can be.
    pub fn nodelay(mut self, nodelay: bool) -> Self {
        self.config.sockets.nodelay = nodelay;
        self
    }

    /// Options of every TCP socket (SPEC C28).
    pub fn socket_options(mut self, options: SocketOptions) -> Self {
        self.config.sockets.tune().options = options;
        self
    }

    /// The address that connections come from (SPEC C26): an IP address, or with
    /// it the port, which then no two connections to one server can have. Given
    /// once for each family, it is that of the peer's family which is taken; a
    /// family without one is not tried at all. Given again for a family, it takes
    /// the place of the first.
    ///
    /// An address that is not this machine's fails the connection with
    /// [`Kind::Connect`](crate::Kind::Connect). It is not for Unix sockets and
    /// transports.
    ///
    /// ```
    /// use std::net::{Ipv4Addr, Ipv6Addr};
    /// use miohttp::Connector;
    ///
    /// let connector = Connector::builder()
    ///     .local_addr(Ipv4Addr::new(192, 0, 2, 7))
    ///     .local_addr(Ipv6Addr::LOCALHOST)
    ///     .build();
    /// assert_eq!(connector.local_addrs().count(), 2);
    /// ```
    pub fn local_addr(mut self, address: impl Into<LocalAddr>) -> Self {
        let tuning = self.config.sockets.tune();
        match address.into().address() {
            SocketAddr::V4(address) => tuning.v4 = Some(address),
            SocketAddr::V6(address) => tuning.v6 = Some(address),
        }
        self
    }

    /// The network interface that connections go out by, such as `"eth1"`
    /// (SPEC C26; `SO_BINDTODEVICE`). Linux and Android alone have this by name:
    /// elsewhere, and with a name that none can have, every request fails with
    /// [`Kind::InvalidRequest`](crate::Kind::InvalidRequest). One that is not
    /// there, or that the process may not choose, fails the connection with
    /// [`Kind::Connect`](crate::Kind::Connect).
    pub fn interface(mut self, name: impl Into<String>) -> Self {
        self.config.sockets.tune().interface = Some(name.into().into());
        self
    }
}

impl Connector {
    /// What [`ConnectorBuilder::nodelay`] has settled.
    pub fn nodelay(&self) -> bool {
        self.inner.config.sockets.nodelay
    }

    /// [`ConnectorBuilder::socket_options`].
    pub fn socket_options(&self) -> SocketOptions {
        let tuning = self.inner.config.sockets.tuning();
        tuning.map_or_else(SocketOptions::new, |tuning| tuning.options.clone())
    }

    /// [`ConnectorBuilder::local_addr`], one for each family that has one.
    pub fn local_addrs(&self) -> impl Iterator<Item = SocketAddr> {
        let tuning = self.inner.config.sockets.tuning();
        let v4 = tuning.and_then(|tuning| tuning.v4).map(SocketAddr::V4);
        let v6 = tuning.and_then(|tuning| tuning.v6).map(SocketAddr::V6);
        v4.into_iter().chain(v6)
    }

    /// [`ConnectorBuilder::interface`].
    pub fn interface(&self) -> Option<&str> {
        self.inner.config.sockets.tuning()?.interface.as_deref()
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
    /// its [`path`](crate::Error::path). Where its queue is full, which Linux alone
    /// tells from nobody listening, the connection is tried again and again until a
    /// [limit](crate::Timeouts) passes.
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

    /// Makes every connection by this instead of the system's sockets (SPEC C9).
    /// The options of sockets and a [Unix socket](Self::unix_socket) are of no
    /// concern then.
    pub fn transport(mut self, transport: impl Transport) -> Self {
        self.config.sockets.transport = Some(carry(transport));
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
