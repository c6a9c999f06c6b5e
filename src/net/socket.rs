//! Makes the sockets: with everything a connector settles of them, not blocking,
//! and on their way to their peer.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, TcpKeepalive, Type};

#[cfg(unix)]
use super::address::UnixAddress;
use super::address::{Address, Destination};
use super::options::{SocketOptions, Tuning};

/// A socket that begins to connect.
///
/// # Errors
/// As the system has it. `WouldBlock`: the peer's queue is full, and nothing
/// tells when it is not (only of Unix sockets, on Linux).
pub(super) fn open(to: &Destination<'_>) -> io::Result<Socket> {
    let (domain, address) = match to.address {
        Address::Tcp(address) => (Domain::for_address(*address), SockAddr::from(*address)),
        #[cfg(unix)]
        Address::Unix(address) => (Domain::UNIX, SockAddr::unix(address.for_system())?),
        // Only a transport can know what it means.
        #[cfg(unix)]
        Address::Elsewhere(_) => return Err(io::ErrorKind::Unsupported.into()),
    };
    let socket = create(domain)?;
    if to.sockets.nodelay && to.address.ip().is_some() {
        // C29. A socket that cannot have it (none known) works without.
        let _ = socket.set_tcp_nodelay(true);
    }
    if let Some(tuned) = &to.sockets.tuned {
        (tuned.apply)(&tuned.tuning, &socket, to.address.ip())?;
    }
    match socket.connect(&address) {
        Err(error) if is_under_way(&error) => Ok(socket),
        other => other.map(|()| socket),
    }
}

/// What is wrong with the address of a Unix socket.
#[cfg(unix)]
pub(super) fn check(address: &UnixAddress) -> Result<(), String> {
    let name = address.for_system();
    let bytes = name.as_os_str().as_encoded_bytes();
    let body = &bytes[usize::from(address.is_abstract()).min(bytes.len())..];
    if body.is_empty() {
        return Err("the path of a unix socket is empty".to_owned());
    }
    if address.is_abstract() {
        if !cfg!(any(target_os = "linux", target_os = "android")) {
            return Err(format!("{address}: only Linux has abstract names"));
        }
    } else if body.contains(&0) {
        return Err(format!("{address}: its path holds a NUL byte"));
    }
    match SockAddr::unix(&name) {
        Ok(_) => Ok(()),
        Err(_) => Err(format!("{address}: its path is too long")),
    }
}

/// The systems that have a flag for it, which spares two calls.
#[cfg(any(
    target_os = "android",
    target_os = "dragonfly",
    target_os = "freebsd",
    target_os = "illumos",
    target_os = "linux",
    target_os = "netbsd",
    target_os = "openbsd",
))]
fn create(domain: Domain) -> io::Result<Socket> {
    Socket::new(domain, Type::STREAM.nonblocking(), None)
}

#[cfg(not(any(
    target_os = "android",
    target_os = "dragonfly",
    target_os = "freebsd",
    target_os = "illumos",
    target_os = "linux",
    target_os = "netbsd",
    target_os = "openbsd",
)))]
fn create(domain: Domain) -> io::Result<Socket> {
    let socket = Socket::new(domain, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Whether readiness will tell how a connect call ends. A Unix socket that
/// answers `WouldBlock` is not on its way.
#[cfg(unix)]
fn is_under_way(error: &io::Error) -> bool {
    error.raw_os_error() == Some(super::mio::EINPROGRESS)
}

#[cfg(not(unix))]
fn is_under_way(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

/// What [`apply`] is; named by whoever settles something for it to apply.
pub(super) type Apply = fn(&Tuning, &Socket, Option<SocketAddr>) -> io::Result<()>;

/// Gives a socket what its connector has settled, before it connects to this IP
/// address, if it has one.
///
/// # Errors
/// The system refuses; says what.
pub(super) fn apply(tuning: &Tuning, socket: &Socket, peer: Option<SocketAddr>) -> io::Result<()> {
    apply_options(&tuning.options, socket, peer)?;
    let Some(peer) = peer else {
        return Ok(());
    };
    if let Some(name) = &tuning.interface {
        bind_to_interface(socket, name)
            .map_err(|error| refused(format!("cannot bind to the interface {name:?}"), error))?;
    }
    let (v4, v6) = (tuning.v4.map(SocketAddr::V4), tuning.v6.map(SocketAddr::V6));
    let local = if peer.is_ipv4() { v4 } else { v6 };
    match local {
        Some(local) => socket
            .bind(&local.into())
            .map_err(|error| refused(format!("cannot bind to {local}"), error)),
        None if v4.or(v6).is_some() => Err(io::Error::new(
            io::ErrorKind::AddrNotAvailable,
            "there is no local address of this family",
        )),
        None => Ok(()),
    }
}

fn apply_options(
    options: &SocketOptions,
    socket: &Socket,
    peer: Option<SocketAddr>,
) -> io::Result<()> {
    let told = |name: &'static str| move |error| refused(format!("cannot set {name}"), error);
    if let Some(bytes) = options.send_buffer {
        socket
            .set_send_buffer_size(bytes)
            .map_err(told("SO_SNDBUF"))?;
    }
    if let Some(bytes) = options.receive_buffer {
        socket
            .set_recv_buffer_size(bytes)
            .map_err(told("SO_RCVBUF"))?;
    }
    let Some(peer) = peer else {
        return Ok(());
    };
    if let Some(reuse) = options.reuse_address {
        socket
            .set_reuse_address(reuse)
            .map_err(told("SO_REUSEADDR"))?;
    }
    if let Some(keepalive) = keepalive(options) {
        socket
            .set_tcp_keepalive(&keepalive)
            .map_err(told("SO_KEEPALIVE and its times"))?;
    }
    if let Some(timeout) = options.user_timeout {
        linux::set_user_timeout(socket, timeout).map_err(told("TCP_USER_TIMEOUT"))?;
    }
    if let Some(mark) = options.mark {
        linux::set_mark(socket, mark).map_err(told("SO_MARK"))?;
    }
    if let Some(class) = options.traffic_class {
        match peer {
            SocketAddr::V4(_) => set_tos(socket, class).map_err(told("IP_TOS"))?,
            SocketAddr::V6(_) => set_tclass(socket, class).map_err(told("IPV6_TCLASS"))?,
        }
    }
    Ok(())
}

/// The system counts whole seconds, and refuses none at all.
fn keepalive(options: &SocketOptions) -> Option<TcpKeepalive> {
    let whole = |time: Duration| Duration::from_secs(time.as_millis().div_ceil(1000) as u64);
    let (time, interval, count) = (
        options.keepalive,
        options.keepalive_interval,
        options.keepalive_count,
    );
    if time.is_none() && interval.is_none() && count.is_none() {
        return None;
    }
    let mut keepalive = TcpKeepalive::new();
    if let Some(time) = time {
        keepalive = keepalive.with_time(whole(time));
    }
    #[cfg(not(any(target_os = "openbsd", target_os = "solaris")))]
    {
        if let Some(interval) = interval {
            keepalive = keepalive.with_interval(whole(interval));
        }
        if let Some(count) = count {
            keepalive = keepalive.with_retries(count);
        }
    }
    Some(keepalive)
}

#[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
mod linux {
    use std::io;
    use std::time::Duration;

    use socket2::Socket;

    pub(super) fn set_user_timeout(socket: &Socket, timeout: Duration) -> io::Result<()> {
        let millis = timeout.as_nanos().div_ceil(1_000_000);
        let timeout = Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX));
        socket.set_tcp_user_timeout(Some(timeout))
    }

    pub(super) fn set_mark(socket: &Socket, mark: u32) -> io::Result<()> {
        socket.set_mark(mark)
    }

    pub(super) fn bind_to_interface(socket: &Socket, name: &str) -> io::Result<()> {
        socket.bind_device(Some(name.as_bytes()))
    }
}

#[cfg(not(any(target_os = "android", target_os = "fuchsia", target_os = "linux")))]
mod linux {
    use std::io;
    use std::time::Duration;

    use socket2::Socket;

    pub(super) fn set_user_timeout(_: &Socket, _: Duration) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn set_mark(_: &Socket, _: u32) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn bind_to_interface(_: &Socket, _: &str) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

use linux::bind_to_interface;

/// Whether the system has a way to do so by name.
pub(super) const BINDS_TO_INTERFACES: bool = cfg!(any(
    target_os = "android",
    target_os = "fuchsia",
    target_os = "linux"
));

#[cfg(not(any(target_os = "fuchsia", target_os = "solaris")))]
fn set_tos(socket: &Socket, class: u8) -> io::Result<()> {
    socket.set_tos_v4(class.into())
}

#[cfg(any(target_os = "fuchsia", target_os = "solaris"))]
fn set_tos(_: &Socket, _: u8) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(any(
    target_os = "android",
    target_os = "freebsd",
    target_os = "linux",
    target_os = "macos",
    target_os = "netbsd",
    target_os = "openbsd",
))]
fn set_tclass(socket: &Socket, class: u8) -> io::Result<()> {
    socket.set_tclass_v6(class.into())
}

#[cfg(not(any(
    target_os = "android",
    target_os = "freebsd",
    target_os = "linux",
    target_os = "macos",
    target_os = "netbsd",
    target_os = "openbsd",
)))]
fn set_tclass(_: &Socket, _: u8) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// What the system would not do, as the cause of a connection that failed.
fn refused(what: String, cause: io::Error) -> io::Error {
    io::Error::new(cause.kind(), Refused { what, cause })
}

#[derive(Debug)]
struct Refused {
    what: String,
    cause: io::Error,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Refused {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.cause)
    }
}

#[cfg(all(test, unix, not(loom)))]
mod tests;
