//! Other ways to connect than the system's sockets (SPEC C9): the public traits,
//! and what keeps a fault of theirs to the one connection.
//!
//! Code of the caller's runs here on whichever thread drives the connection, the
//! reactor's too. Each call into it is made in [`guard`], its drop included, and
//! what it claims to have read or written is believed only as far as it can be
//! true. What wakes drivers is a duplicate of its descriptor, made once: an
//! `as_fd` that answers otherwise later on harms nobody.

use std::any::Any;
use std::fmt;
use std::fs::File;
use std::io::{self, IoSlice};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use super::address::{Address, Destination};
use super::poll;

/// Connects in another way than by TCP (SPEC C9): over a virtual machine's
/// sockets, a serial line's multiplexer, or to a server inside the test that
/// wants one. Everything above a connection stays as it is: TLS, proxies, limits,
/// the pool.
///
/// # Where it runs
///
/// On the thread that drives the connection: the connector's, which drives all
/// others, too, or that of a caller that blocks. So **nothing here may block**,
/// or every request of the connector stands still with it. A panic fails the
/// exchange at hand and no other. A request made from here fails with
/// [`Kind::Internal`](crate::Kind::Internal) on the connector's thread.
///
/// # Tests without a network
///
/// Each connection is one end of a pair of sockets, and a thread answers at the
/// other:
///
/// ```
/// use std::io::{self, Read, Write};
/// use std::os::unix::net::UnixStream;
/// use miohttp::{Connector, Session, Target, Transport, TransportStream};
///
/// struct Mock;
///
/// impl Transport for Mock {
///     fn connect(&self, target: &Target<'_>) -> io::Result<Box<dyn TransportStream>> {
///         let (ours, mut theirs) = UnixStream::pair()?;
///         let host = target.host().to_owned();
///         std::thread::spawn(move || -> io::Result<()> {
///             let mut request = [0; 4096];
///             let _length = theirs.read(&mut request)?;
///             write!(theirs, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{host}", host.len())
///         });
///         Ok(Box::new(ours))
///     }
///
///     // There is nothing to look up.
///     fn resolves_names(&self) -> bool {
///         true
///     }
/// }
///
/// let connector = Connector::builder().transport(Mock).build();
/// let session = Session::builder().connector(connector).build();
/// assert_eq!(session.get("http://nowhere.test/").send()?.text()?, "nowhere.test");
/// # Ok::<(), miohttp::Error>(())
/// ```
pub trait Transport: Send + Sync + 'static {
    /// Begins to connect to `target`, and does not wait for it: a stream that is
    /// not connected yet says so in [`TransportStream::connected`].
    ///
    /// # Errors
    /// Whatever it is, `WouldBlock` included: the request fails with
    /// [`Kind::Connect`](crate::Kind::Connect), unless its host has another
    /// address to try.
    fn connect(&self, target: &Target<'_>) -> io::Result<Box<dyn TransportStream>>;

    /// Whether it finds hosts by itself. Then no name is looked up, a
    /// [`Target`] has no address, and one connection is tried instead of one for
    /// each address. False unless it says otherwise; asked for each connection.
    fn resolves_names(&self) -> bool {
        false
    }
}

/// A connection of a [`Transport`]'s making; dropping it closes it.
///
/// Its descriptor is what tells when it is worth reading or writing again, as
/// epoll or kqueue tell it: only a *change* is told. So a read or a write that
/// says [`WouldBlock`](io::ErrorKind::WouldBlock) must be one that the
/// descriptor's becoming readable or writable ends. The descriptor is duplicated
/// and made non-blocking when the connection begins, and has to be of a kind that
/// can be waited for: a socket, a pipe, an eventfd, and no file on a disk, which is
/// refused.
///
/// [`UnixStream`] and [`TcpStream`] are such streams as they are.
pub trait TransportStream: AsFd + Send + Sync + 'static {
    /// Whether it is connected by now. Asked at once and then whenever the
    /// descriptor becomes ready for something.
    ///
    /// # Errors
    /// It could not be connected.
    fn connected(&self) -> io::Result<bool> {
        Ok(true)
    }

    /// Reads some bytes; 0 is the end. (Not `read`, lest it be taken for that of
    /// [`Read`](io::Read), which may wait.)
    ///
    /// # Errors
    /// `WouldBlock`: there is nothing to read now.
    fn try_read(&self, into: &mut [u8]) -> io::Result<usize>;

    /// Writes some bytes of what it is given, which is never empty.
    ///
    /// # Errors
    /// `WouldBlock`: there is no room now.
    fn try_write(&self, from: &[u8]) -> io::Result<usize>;

    /// As [`try_write`](Self::try_write), from several pieces. Writes of the first that
    /// is not empty, unless it is made to do better.
    fn try_write_vectored(&self, from: &[IoSlice<'_>]) -> io::Result<usize> {
        let first = from.iter().find(|piece| !piece.is_empty());
        first.map_or(Ok(0), |piece| self.try_write(piece))
    }

    /// Ends both directions, since its exchange is cancelled or the connector
    /// closed: whoever waits for it is to find it at its end. Called from any
    /// thread, while another may be reading. A descriptor that is a socket's is
    /// shut afterwards in any case, so that most need not do anything here.
    fn shutdown(&self) {}

    /// The peer's IP address, if it has one:
    /// [`Response::remote_addr`](crate::Response::remote_addr) of a target without
    /// an address.
    fn peer_addr(&self) -> Option<SocketAddr> {
        None
    }

    /// This end's, likewise.
    fn local_addr(&self) -> Option<SocketAddr> {
        None
    }
}

impl TransportStream for UnixStream {
    fn try_read(&self, into: &mut [u8]) -> io::Result<usize> {
        poll::read(self, into)
    }

    fn try_write(&self, from: &[u8]) -> io::Result<usize> {
        poll::write(self, &[IoSlice::new(from)])
    }

    fn try_write_vectored(&self, from: &[IoSlice<'_>]) -> io::Result<usize> {
        poll::write(self, from)
    }
}

impl TransportStream for TcpStream {
    fn connected(&self) -> io::Result<bool> {
        if let Some(error) = self.take_error()? {
            return Err(error);
        }
        match Self::peer_addr(self) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn try_read(&self, into: &mut [u8]) -> io::Result<usize> {
        poll::read(self, into)
    }

    fn try_write(&self, from: &[u8]) -> io::Result<usize> {
        poll::write(self, &[IoSlice::new(from)])
    }

    fn try_write_vectored(&self, from: &[IoSlice<'_>]) -> io::Result<usize> {
        poll::write(self, from)
    }

    fn peer_addr(&self) -> Option<SocketAddr> {
        Self::peer_addr(self).ok()
    }

    fn local_addr(&self) -> Option<SocketAddr> {
        Self::local_addr(self).ok()
    }
}

/// What a [`Transport`] is to connect to: the origin, or the proxy on the way
/// there.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    host: &'a str,
    port: u16,
    address: Option<SocketAddr>,
    deadline: Option<Instant>,
}

impl Target<'_> {
    /// The host as the URL spells it: a name, or an IP literal without brackets.
    pub fn host(&self) -> &str {
        self.host
    }

    /// The port; that of the scheme where the URL names none.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address to try, of those that the host has. `None` for a transport
    /// that [resolves names](Transport::resolves_names) by itself.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// When the connection is given up, if ever: the earliest of the limits
    /// `sock_connect`, `connect` and `total`. It is kept without the transport's
    /// help, which may want to know what is not worth beginning.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }
}

/// A transport, behind the one door that leads to it: a program without one has
/// none of this.
pub(crate) trait Carry: Send + Sync {
    fn resolves_names(&self) -> bool;

    /// A stream, and the descriptor that tells of it.
    fn connect(&self, to: &Destination<'_>) -> io::Result<(OwnedFd, Box<dyn Carrier>)>;
}

/// A stream of it.
pub(crate) trait Carrier: Send + Sync {
    fn connected(&self) -> io::Result<bool>;
    fn read(&self, into: &mut [u8]) -> io::Result<usize>;
    fn write_vectored(&self, from: &[IoSlice<'_>]) -> io::Result<usize>;
    fn shut(&self);
    fn peer_addr(&self) -> Option<SocketAddr>;
    fn local_addr(&self) -> Option<SocketAddr>;
}

pub(crate) fn carry(transport: impl Transport) -> Arc<dyn Carry> {
    Arc::new(Guarded(transport))
}

struct Guarded<T>(T);

impl<T: Transport> Carry for Guarded<T> {
    fn resolves_names(&self) -> bool {
        guard(|| Ok(self.0.resolves_names())).unwrap_or(false)
    }

    fn connect(&self, to: &Destination<'_>) -> io::Result<(OwnedFd, Box<dyn Carrier>)> {
        let target = Target {
            host: to.host,
            port: to.port,
            address: match to.address {
                Address::Tcp(address) => Some(*address),
                _ => None,
            },
            deadline: to.deadline,
        };
        let stream = guard(|| self.0.connect(&target))?;
        // From here on whatever happens drops it in its guard.
        let stream = GuardedStream(Some(stream));
        let descriptor = guard(|| stream.get()?.as_fd().try_clone_to_owned())?;
        Ok((waitable(descriptor)?, Box::new(stream)))
    }
}

/// Whether there is anything to wait for: a file on a disk is always ready, and
/// whoever waited for it would spin.
fn waitable(descriptor: OwnedFd) -> io::Result<OwnedFd> {
    let file = File::from(descriptor);
    let kind = file.metadata()?.file_type();
    if kind.is_file() || kind.is_dir() {
        let message = "a transport's stream has the descriptor of a file, which tells of nothing";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    Ok(file.into())
}

/// There until it is dropped.
struct GuardedStream(Option<Box<dyn TransportStream>>);

impl GuardedStream {
    fn get(&self) -> io::Result<&dyn TransportStream> {
        self.0
            .as_deref()
            .ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// One call, and again if it was interrupted; that cannot go on for ever.
    fn call(&self, call: impl Fn(&dyn TransportStream) -> io::Result<usize>) -> io::Result<usize> {
        for _ in 0..INTERRUPTIONS {
            match guard(|| call(self.get()?)) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
        Err(io::Error::other("the transport is interrupted for ever"))
    }
}

/// In a row; no signal comes that often.
const INTERRUPTIONS: usize = 64;

impl Carrier for GuardedStream {
    fn connected(&self) -> io::Result<bool> {
        guard(|| self.get()?.connected())
    }

    fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        let room = into.len();
        for _ in 0..INTERRUPTIONS {
            match guard(|| self.get()?.try_read(into)) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return plausible(other?, room),
            }
        }
        Err(io::Error::other("the transport is interrupted for ever"))
    }

    fn write_vectored(&self, from: &[IoSlice<'_>]) -> io::Result<usize> {
        let length = from.iter().map(|piece| piece.len()).sum();
        plausible(self.call(|stream| stream.try_write_vectored(from))?, length)
    }

    fn shut(&self) {
        let _ = guard(|| {
            self.get()?.shutdown();
            Ok(())
        });
    }

    fn peer_addr(&self) -> Option<SocketAddr> {
        guard(|| Ok(self.get()?.peer_addr())).ok().flatten()
    }

    fn local_addr(&self) -> Option<SocketAddr> {
        guard(|| Ok(self.get()?.local_addr())).ok().flatten()
    }
}

impl Drop for GuardedStream {
    fn drop(&mut self) {
        let stream = self.0.take();
        if guard(|| {
            drop(stream);
            Ok(())
        })
        .is_err()
        {
            log::error!("a transport's stream panicked when it was dropped");
        }
    }
}

fn plausible(moved: usize, most: usize) -> io::Result<usize> {
    if moved > most {
        let message = "the transport claims to have moved more than it was given";
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    Ok(moved)
}

/// A call into the caller's code.
fn guard<T>(call: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|payload| Err(Panicked::of(payload)))
}

/// A panic of the caller's code, and what it said.
#[derive(Debug)]
struct Panicked(String);

impl Panicked {
    fn of(payload: Box<dyn Any + Send>) -> io::Error {
        let text = match (payload.downcast_ref::<&str>(), payload.downcast_ref()) {
            (Some(text), _) => (*text).to_owned(),
            (None, Some(text)) => String::clone(text),
            (None, None) => "without a message".to_owned(),
        };
        // What was thrown is the caller's, too.
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(payload)));
        if let Err(another) = dropped {
            std::mem::forget(another);
        }
        io::Error::other(Self(text))
    }
}

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the transport panicked: {}", self.0)
    }
}

impl std::error::Error for Panicked {}
