//! What a connector settles of its sockets, as data (SPEC C26, C28, C29).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
#[cfg(unix)]
use std::sync::Arc;
use std::time::Duration;

use super::address::Address;
#[cfg(unix)]
use super::address::UnixAddress;
use super::socket;
#[cfg(unix)]
use super::transport::Carry;

/// How every socket of a connector is made.
#[derive(Clone)]
pub(crate) struct Sockets {
    /// C29.
    pub(crate) nodelay: bool,
    /// What few connectors settle.
    pub(super) tuned: Option<Tuned>,
    /// Every connection goes there, whatever the URL says (SPEC U1).
    #[cfg(unix)]
    pub(crate) unix: Option<UnixAddress>,
    /// Connects instead of the system (SPEC C9).
    #[cfg(unix)]
    pub(crate) transport: Option<Arc<dyn Carry>>,
}

/// With what applies it, so that a program which settles none of this has none
/// of that.
#[derive(Clone)]
pub(super) struct Tuned {
    pub(super) tuning: Box<Tuning>,
    pub(super) apply: socket::Apply,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Tuning {
    pub(crate) options: SocketOptions,
    /// Of each family, the address to connect from.
    pub(crate) v4: Option<SocketAddrV4>,
    pub(crate) v6: Option<SocketAddrV6>,
    pub(crate) interface: Option<Box<str>>,
}

impl Default for Sockets {
    fn default() -> Self {
        Self {
            nodelay: true,
            tuned: None,
            #[cfg(unix)]
            unix: None,
            #[cfg(unix)]
            transport: None,
        }
    }
}

impl Sockets {
    /// Whether a transport makes them.
    pub(crate) fn is_carried(&self) -> bool {
        #[cfg(unix)]
        return self.transport.is_some();
        #[cfg(not(unix))]
        false
    }

    /// Whether all connections go to one place, whatever their host.
    pub(crate) fn has_one_address(&self) -> bool {
        #[cfg(unix)]
        return self.transport.is_none() && self.unix.is_some();
        #[cfg(not(unix))]
        false
    }

    /// To settle what few settle.
    pub(crate) fn tune(&mut self) -> &mut Tuning {
        let tuned = self.tuned.get_or_insert_with(|| Tuned {
            tuning: Box::default(),
            apply: socket::apply,
        });
        &mut tuned.tuning
    }

    pub(crate) fn tuning(&self) -> Option<&Tuning> {
        self.tuned.as_ref().map(|tuned| &*tuned.tuning)
    }

    /// Which families there are local addresses for; both where there are none
    /// at all.
    pub(crate) fn families(&self) -> (bool, bool) {
        match self.tuning().map(|tuning| (tuning.v4, tuning.v6)) {
            None | Some((None, None)) => (true, true),
            Some((v4, v6)) => (v4.is_some(), v6.is_some()),
        }
    }

    /// What is wrong with the settings, for whoever sends the first request.
    pub(crate) fn check(&self) -> Result<(), String> {
        #[cfg(unix)]
        if let Some(address) = &self.unix {
            socket::check(address)?;
        }
        let interface = self.tuning().and_then(|tuning| tuning.interface.as_deref());
        match interface {
            Some(_) if !socket::BINDS_TO_INTERFACES => {
                Err("this system cannot bind a socket to an interface".to_owned())
            }
            // IFNAMSIZ counts the NUL that ends it.
            Some(name) if name.is_empty() || name.len() > 15 || name.contains('\0') => {
                Err(format!("no interface can have the name {name:?}"))
            }
            _ => Ok(()),
        }
    }

    /// The one address that all connections go to, if there is one, and with it
    /// no name to look up.
    #[cfg(unix)]
    pub(crate) fn fixed(&self, (host, port): (&str, u16)) -> Option<Address> {
        if let Some(transport) = &self.transport {
            let named = || Address::Elsewhere(format!("{host}:{port}").into());
            return transport.resolves_names().then(named);
        }
        self.unix.clone().map(Address::Unix)
    }

    #[cfg(not(unix))]
    pub(crate) fn fixed(&self, _: (&str, u16)) -> Option<Address> {
        None
    }
}

impl fmt::Debug for Sockets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Sockets");
        debug.field("nodelay", &self.nodelay);
        if let Some(tuning) = self.tuning() {
            debug.field("tuning", tuning);
        }
        #[cfg(unix)]
        if let Some(address) = &self.unix {
            debug.field("unix", address);
        }
        debug.finish_non_exhaustive()
    }
}

/// The address that connections come from: an IP address, with a port where it
/// has to be one port. Made of whatever is one.
///
/// ```
/// use std::net::{IpAddr, Ipv4Addr, SocketAddr};
/// use miohttp::LocalAddr;
///
/// let any_port = LocalAddr::from(Ipv4Addr::new(192, 0, 2, 7));
/// assert_eq!(any_port.address().port(), 0);
/// assert_eq!(LocalAddr::from(IpAddr::from([192, 0, 2, 7])), any_port);
/// assert_eq!(LocalAddr::from(SocketAddr::from(([192, 0, 2, 7], 0))), any_port);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LocalAddr(SocketAddr);

impl LocalAddr {
    /// Port 0 is one that the system chooses, another for each connection.
    pub fn address(&self) -> SocketAddr {
        self.0
    }
}

impl From<SocketAddr> for LocalAddr {
    fn from(address: SocketAddr) -> Self {
        Self(address)
    }
}

impl From<IpAddr> for LocalAddr {
    fn from(address: IpAddr) -> Self {
        Self(SocketAddr::new(address, 0))
    }
}

impl From<Ipv4Addr> for LocalAddr {
    fn from(address: Ipv4Addr) -> Self {
        IpAddr::V4(address).into()
    }
}

impl From<Ipv6Addr> for LocalAddr {
    fn from(address: Ipv6Addr) -> Self {
        IpAddr::V6(address).into()
    }
}

/// Options of the sockets that a connector makes, as data (SPEC C28); for
/// [`ConnectorBuilder::socket_options`](crate::ConnectorBuilder::socket_options).
///
/// What is not set stays as the system has it. An option that the system refuses
/// or does not have fails the connection with
/// [`Kind::Connect`](crate::Kind::Connect), and the cause names it: better no
/// connection than one that is not what was asked for. Options of TCP and IP do
/// not concern Unix sockets, and none concerns those of a
/// [`Transport`](crate::Transport).
///
/// ```
/// use std::time::Duration;
/// use miohttp::{Connector, SocketOptions};
///
/// let options = SocketOptions::new()
///     .keepalive(Duration::from_secs(60))
///     .receive_buffer(1 << 20);
/// let connector = Connector::builder().socket_options(options.clone()).build();
/// assert_eq!(connector.socket_options(), options);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct SocketOptions {
    pub(super) keepalive: Option<Duration>,
    pub(super) keepalive_interval: Option<Duration>,
    pub(super) keepalive_count: Option<u32>,
    pub(super) send_buffer: Option<usize>,
    pub(super) receive_buffer: Option<usize>,
    pub(super) user_timeout: Option<Duration>,
    pub(super) traffic_class: Option<u8>,
    pub(super) mark: Option<u32>,
    pub(super) reuse_address: Option<bool>,
}

impl SocketOptions {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// Probes a TCP connection that has been silent for so long (`SO_KEEPALIVE`,
    /// `TCP_KEEPIDLE`), so that one whose peer has vanished ends some time later.
    /// It has nothing to do with connections that are kept for later. In whole
    /// seconds, rounded up.
    pub fn keepalive(mut self, time: Duration) -> Self {
        self.keepalive = Some(time);
        self
    }

    /// Between one probe and the next (`TCP_KEEPINTVL`); goes with
    /// [`keepalive`](Self::keepalive). In whole seconds, rounded up.
    pub fn keepalive_interval(mut self, interval: Duration) -> Self {
        self.keepalive_interval = Some(interval);
        self
    }

    /// After how many probes without an answer the connection is given up
    /// (`TCP_KEEPCNT`); goes with [`keepalive`](Self::keepalive).
    pub fn keepalive_count(mut self, probes: u32) -> Self {
        self.keepalive_count = Some(probes);
        self
    }

    /// The size of the send buffer in bytes (`SO_SNDBUF`). The system makes it
    /// larger or smaller where it has bounds of its own.
    pub fn send_buffer(mut self, bytes: usize) -> Self {
        self.send_buffer = Some(bytes);
        self
    }

    /// The size of the receive buffer in bytes (`SO_RCVBUF`), likewise. It turns
    /// off the system's own adjustment, which is better on most paths.
    pub fn receive_buffer(mut self, bytes: usize) -> Self {
        self.receive_buffer = Some(bytes);
        self
    }

    /// How long data may stay without acknowledgement before TCP gives up
    /// (`TCP_USER_TIMEOUT`, RFC 5482). Linux alone has it. In milliseconds,
    /// rounded up; zero is the system's own.
    pub fn user_timeout(mut self, timeout: Duration) -> Self {
        self.user_timeout = Some(timeout);
        self
    }

    /// The byte of IP's header by which networks tell traffic apart: `IP_TOS` of
    /// IPv4, `IPV6_TCLASS` of IPv6. Its upper six bits are the DSCP (RFC 2474).
    pub fn traffic_class(mut self, class: u8) -> Self {
        self.traffic_class = Some(class);
        self
    }

    /// The mark by which the system's routing and filters tell packets apart
    /// (`SO_MARK`). Linux alone has it, and asks for `CAP_NET_ADMIN` or
    /// `CAP_NET_RAW`.
    pub fn mark(mut self, mark: u32) -> Self {
        self.mark = Some(mark);
        self
    }

    /// Whether a [local address](crate::ConnectorBuilder::local_addr) may be used
    /// while an earlier connection of it lingers (`SO_REUSEADDR`).
    pub fn reuse_address(mut self, reuse: bool) -> Self {
        self.reuse_address = Some(reuse);
        self
    }
}
