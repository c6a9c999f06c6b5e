//! Makes the sockets: with everything a connector settles of them, not blocking,
//! and on their way to their peer.

use std::io;

use socket2::{Domain, SockAddr, Socket, Type};

#[cfg(unix)]
use super::address::UnixAddress;
use super::address::{Address, Destination};

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
    };
    let socket = create(domain)?;
    if to.sockets.nodelay && to.address.ip().is_some() {
        // C29. A socket that cannot have it (none known) works without.
        let _ = socket.set_tcp_nodelay(true);
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
