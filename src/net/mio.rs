//! The real network, over mio. The only file that knows mio.

#[cfg(unix)]
use std::fmt;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ::mio::{Events, Poll, Registry, Waker};
use socket2::SockRef;

#[cfg(unix)]
use super::transport::Carrier;
use super::{Destination, Net, Readiness, Ready, Stream, Token, socket};
use crate::handoff::mailbox::Alarm;

/// Events fetched by one wait. More stay in the kernel for the next.
const EVENTS: usize = 256;

/// No socket gets this token.
const WAKER: ::mio::Token = ::mio::Token(usize::MAX);

#[derive(Debug)]
pub(crate) struct MioNet {
    poll: Poll,
    events: Events,
}

impl MioNet {
    /// The network, and the alarm that wakes it from other threads.
    ///
    /// # Errors
    /// The system has no descriptor left for the poller or the waker.
    pub(crate) fn new() -> io::Result<(Self, MioAlarm)> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        let events = Events::with_capacity(EVENTS);
        Ok((Self { poll, events }, MioAlarm(waker)))
    }

    /// # Errors
    /// The system has no descriptor left.
    pub(crate) fn unwatcher(&self) -> io::Result<Unwatcher> {
        Ok(Unwatcher(self.poll.registry().try_clone()?))
    }
}

/// Takes sockets out of the poller's sight from any thread.
#[derive(Debug)]
pub(crate) struct Unwatcher(Registry);

impl Unwatcher {
    pub(crate) fn unwatch(&self, stream: &MioStream) {
        source::deregister(&self.0, &mut stream.share());
    }
}

#[derive(Debug)]
pub(crate) struct MioAlarm(Arc<Waker>);

impl Alarm for MioAlarm {
    fn ring(&self) {
        if let Err(error) = self.0.wake() {
            // An eventfd write fails only when the descriptor is gone, and it
            // lives as long as this alarm.
            log::error!("cannot wake the reactor: {error}");
        }
    }
}

impl Net for MioNet {
    type Stream = MioStream;

    fn now(&self) -> Instant {
        Instant::now()
    }

    fn connect(&mut self, to: &Destination<'_>) -> io::Result<MioStream> {
        MioStream::connect(to)
    }

    fn register(&mut self, stream: &mut MioStream, token: Token) -> io::Result<()> {
        source::register(self.poll.registry(), &mut stream.socket, token)
    }

    fn deregister(&mut self, stream: &mut MioStream) {
        source::deregister(self.poll.registry(), &mut stream.socket);
    }

    fn watch(&mut self, socket: &Arc<Socket>, token: Token) -> io::Result<()> {
        source::register(self.poll.registry(), &mut Arc::clone(socket), token)
    }

    fn unwatch(&mut self, socket: &Arc<Socket>) {
        source::deregister(self.poll.registry(), &mut Arc::clone(socket));
    }

    fn poll(&mut self, timeout: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<()> {
        match self.poll.poll(&mut self.events, timeout.map(round_up)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            other => other?,
        }
        for event in &self.events {
            if event.token() == WAKER {
                continue;
            }
            // A socket in error is ready for both: the next call tells why.
            let failed = event.is_error();
            ready.push(Ready {
                token: Token(event.token().0),
                state: Readiness {
                    readable: event.is_readable() || event.is_read_closed() || failed,
                    writable: event.is_writable() || event.is_write_closed() || failed,
                    hung_up: event.is_read_closed() || failed,
                },
            });
        }
        Ok(())
    }
}

/// The kernel's wait counts whole milliseconds and a shorter one would return
/// before the deadline, then spin until it.
fn round_up(timeout: Duration) -> Duration {
    let millis = timeout.as_nanos().div_ceil(1_000_000);
    Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
}

/// How a socket is registered that several hold: by its descriptor.
#[cfg(unix)]
mod source {
    use std::io;
    use std::os::fd::AsRawFd;
    use std::sync::Arc;

    use ::mio::event::Source;
    use ::mio::unix::SourceFd;
    use ::mio::{Interest, Registry};

    use super::{Socket, Token};

    pub(super) fn register(
        registry: &Registry,
        socket: &mut Arc<Socket>,
        token: Token,
    ) -> io::Result<()> {
        let both = Interest::READABLE | Interest::WRITABLE;
        SourceFd(&socket.as_raw_fd()).register(registry, ::mio::Token(token.0), both)
    }

    pub(super) fn deregister(registry: &Registry, socket: &mut Arc<Socket>) {
        // Fails only for a socket that is not registered, which is the aim.
        let _ = SourceFd(&socket.as_raw_fd()).deregister(registry);
    }
}

/// Elsewhere mio keeps notes in the socket itself, so there is but one holder,
/// and no other thread ever drives it.
#[cfg(not(unix))]
mod source {
    use std::io;
    use std::sync::Arc;

    use ::mio::{Interest, Registry};

    use super::{Socket, Token};

    pub(super) fn register(
        registry: &Registry,
        socket: &mut Arc<Socket>,
        token: Token,
    ) -> io::Result<()> {
        let both = Interest::READABLE | Interest::WRITABLE;
        let socket = Arc::get_mut(socket).ok_or(io::ErrorKind::Unsupported)?;
        registry.register(socket, ::mio::Token(token.0), both)
    }

    pub(super) fn deregister(registry: &Registry, socket: &mut Arc<Socket>) {
        if let Some(socket) = Arc::get_mut(socket) {
            let _ = registry.deregister(socket);
        }
    }
}

/// TCP and Unix sockets alike: all there is to do with one is done by its
/// descriptor.
#[cfg(unix)]
pub(crate) struct Socket {
    /// Reads and writes by itself, and the descriptor merely tells of it.
    carrier: Option<Box<dyn Carrier>>,
    // Dropped second: a transport's stream closes what is its own first.
    descriptor: socket2::Socket,
}

#[cfg(unix)]
impl Socket {
    fn open(to: &Destination<'_>) -> io::Result<Self> {
        let Some(transport) = &to.sockets.transport else {
            return Ok(Self {
                carrier: None,
                descriptor: socket::open(to)?,
            });
        };
        let (descriptor, carrier) = transport.connect(to)?;
        let descriptor = socket2::Socket::from(descriptor);
        // Its own reads had better not block; this sees to it for most.
        descriptor.set_nonblocking(true)?;
        Ok(Self {
            carrier: Some(carrier),
            descriptor,
        })
    }
}

#[cfg(unix)]
impl std::os::fd::AsRawFd for Socket {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.descriptor.as_raw_fd()
    }
}

#[cfg(unix)]
impl std::os::fd::AsFd for Socket {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

#[cfg(unix)]
impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Socket").field(&self.descriptor).finish()
    }
}

/// What mio can watch elsewhere.
#[cfg(not(unix))]
pub(crate) type Socket = ::mio::net::TcpStream;

/// How long a read waits at most.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct MioStream {
    socket: Arc<Socket>,
    /// The socket blocks, for [`PATIENCE`], where a call does not say otherwise.
    waits: bool,
}

impl MioStream {
    /// Begins to connect.
    pub(crate) fn connect(to: &Destination<'_>) -> io::Result<Self> {
        #[cfg(unix)]
        let socket = Socket::open(to)?;
        #[cfg(not(unix))]
        let socket = Socket::from_std(socket::open(to)?.into());
        Ok(Self {
            socket: Arc::new(socket),
            waits: false,
        })
    }

    /// Sees to it that [`Stream::read_waiting`] waits, if the system lets it.
    /// Everything else still does not.
    #[cfg(unix)]
    pub(crate) fn may_wait(&mut self) -> bool {
        if !self.waits && self.socket.carrier.is_none() {
            let socket = SockRef::from(&*self.socket);
            self.waits = socket.set_read_timeout(Some(PATIENCE)).is_ok()
                && socket.set_nonblocking(false).is_ok();
        }
        self.waits
    }
}

#[cfg(unix)]
impl std::os::fd::AsFd for MioStream {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        std::os::fd::AsFd::as_fd(&*self.socket)
    }
}

impl Stream for MioStream {
    type Shared = Arc<Socket>;

    fn share(&self) -> Arc<Socket> {
        Arc::clone(&self.socket)
    }

    fn shut(socket: &Arc<Socket>) {
        // Fails where it is not connected any more, and nobody waits then.
        #[cfg(unix)]
        if let Some(carrier) = &socket.carrier {
            carrier.shut();
        }
        let _ = SockRef::from(&**socket).shutdown(Shutdown::Both);
    }

    #[cfg(unix)]
    fn wait(&self, read: bool, write: bool, until: Option<Instant>) -> io::Result<Readiness> {
        super::poll::wait(&*self.socket, read, write, until)
    }

    #[cfg(unix)]
    fn peer_addr(&self) -> Option<SocketAddr> {
        self.socket.carrier.as_ref()?.peer_addr()
    }

    fn local_addr(&self) -> Option<SocketAddr> {
        #[cfg(unix)]
        if let Some(carrier) = &self.socket.carrier {
            return carrier.local_addr();
        }
        SockRef::from(&*self.socket).local_addr().ok()?.as_socket()
    }

    /// As epoll(7) and kqueue have it for sockets. What a transport's own stream does
    /// nobody knows.
    #[cfg(all(unix, feature = "websocket"))]
    fn tells_of_more(&self) -> bool {
        self.socket.carrier.is_none()
    }

    #[cfg(unix)]
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match &self.socket.carrier {
            None => retry(|| super::poll::read(&*self.socket, into)),
            Some(carrier) => carrier.read(into),
        }
    }

    #[cfg(unix)]
    fn read_spare(&mut self, into: &mut Vec<u8>) -> io::Result<usize> {
        match &self.socket.carrier {
            None => retry(|| super::poll::read_spare(&*self.socket, into)),
            Some(carrier) => read_into_spare(into, |spare| carrier.read(spare)),
        }
    }

    #[cfg(unix)]
    fn read_waiting(&mut self, into: &mut Vec<u8>) -> io::Result<usize> {
        match super::poll::read_waiting(&*self.socket, into) {
            // Whoever waits has the time to look at, before it waits again.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                Err(io::ErrorKind::WouldBlock.into())
            }
            other => other,
        }
    }

    #[cfg(unix)]
    fn write_vectored(&mut self, from: &[io::IoSlice<'_>]) -> io::Result<usize> {
        match &self.socket.carrier {
            None => retry(|| super::poll::write(&*self.socket, from)),
            Some(carrier) => carrier.write_vectored(from),
        }
    }

    #[cfg(unix)]
    fn write_last(&mut self, from: &[u8]) -> io::Result<usize> {
        match &self.socket.carrier {
            None => retry(|| super::poll::write_last(&*self.socket, from)),
            // Its descriptor merely tells of it: what goes there is not its own.
            Some(carrier) => carrier.write_vectored(&[io::IoSlice::new(from)]),
        }
    }

    #[cfg(not(unix))]
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        retry(|| io::Read::read(&mut &*self.socket, into))
    }

    #[cfg(not(unix))]
    fn read_spare(&mut self, into: &mut Vec<u8>) -> io::Result<usize> {
        read_into_spare(into, |spare| self.read(spare))
    }

    #[cfg(not(unix))]
    fn write_vectored(&mut self, from: &[io::IoSlice<'_>]) -> io::Result<usize> {
        retry(|| io::Write::write_vectored(&mut &*self.socket, from))
    }

    fn connected(&mut self) -> io::Result<bool> {
        #[cfg(unix)]
        if let Some(carrier) = &self.socket.carrier {
            return carrier.connected();
        }
        let socket = SockRef::from(&*self.socket);
        match socket.peer_addr() {
            // Asked first, since it is what nearly always follows.
            Ok(_) => Ok(true),
            Err(error)
                if error.kind() == io::ErrorKind::NotConnected
                    || error.raw_os_error() == Some(EINPROGRESS) =>
            {
                // Not yet, or not ever.
                socket.take_error()?.map_or(Ok(false), Err)
            }
            Err(error) => Err(socket.take_error()?.unwrap_or(error)),
        }
    }

    fn abort_on_close(&mut self) {
        // Without it the close is an ordinary one, which is no worse than late.
        let _ = SockRef::from(&*self.socket).set_linger(Some(Duration::ZERO));
    }
}

/// Reads behind what `into` holds where memory has to be cleared for it.
fn read_into_spare(
    into: &mut Vec<u8>,
    read: impl FnOnce(&mut [u8]) -> io::Result<usize>,
) -> io::Result<usize> {
    let before = into.len();
    into.resize(into.capacity(), 0);
    let read = read(&mut into[before..]);
    into.truncate(before + *read.as_ref().unwrap_or(&0));
    read
}

/// What a connecting socket answers on some systems.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) const EINPROGRESS: i32 = 115;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) const EINPROGRESS: i32 = 36;

fn retry(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

#[cfg(all(test, unix, not(loom)))]
mod tests;
