//! A connection after a switch of protocols, as `Read` and `Write`.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::cancel::CancelHandle;
use super::connector::Connector;
use crate::call::About;
use crate::error::{Error, Phase, Timeout};
use crate::handoff::park;
use crate::job::{TlsInfo, Tunnel};

/// A connection that speaks another protocol than HTTP: made by
/// [`Response::into_upgraded`](crate::Response::into_upgraded) after the server
/// has agreed to that.
///
/// Reading blocks until something comes, and begins with what the server sent
/// behind the head of its response. Writing blocks until what was written
/// before is on its way, and takes up to 64 KiB; what the network does not take
/// at once goes with the next read, write or [`flush`](Write::flush). Limits
/// of the request end with its response; there are others here, for each call.
///
/// Where the system has no poll(2), what would have to wait fails with
/// [`io::ErrorKind::Unsupported`].
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
    /// Left alone in the child of a process, where its lock may be held for ever.
    tunnel: Option<Box<dyn Tunnel>>,
    connector: Connector,
    about: Arc<About>,
    cancel: CancelHandle,
    read_timeout: Option<Duration>,
    write_timeout: Option<Duration>,
}

impl Upgraded {
    pub(super) fn new(
        tunnel: Box<dyn Tunnel>,
        connector: Connector,
        about: Arc<About>,
        cancel: CancelHandle,
    ) -> Self {
        Self {
            tunnel: Some(tunnel),
            connector,
            about,
            cancel,
            read_timeout: None,
            write_timeout: None,
        }
    }

    /// How long one read may wait; zero or `None`, the default, is for ever. A
    /// read that waits longer fails with [`io::ErrorKind::TimedOut`], and
    /// nothing is lost.
    pub fn set_read_timeout(&mut self, limit: impl Into<Option<Duration>>) {
        self.read_timeout = limit.into().filter(|limit| !limit.is_zero());
    }

    /// How long one write or flush may wait; zero or `None`, the default, is
    /// for ever. One that waits longer fails with [`io::ErrorKind::TimedOut`];
    /// a write has taken nothing then.
    pub fn set_write_timeout(&mut self, limit: impl Into<Option<Duration>>) {
        self.write_timeout = limit.into().filter(|limit| !limit.is_zero());
    }

    /// The server's address.
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

    /// Lets `step` try until it need not wait, or has waited for too long.
    fn blocking<T>(
        &mut self,
        which: Timeout,
        mut step: impl FnMut(&mut dyn Tunnel) -> io::Result<T>,
    ) -> io::Result<T> {
        if !self.connector.is_home() {
            return Err(Error::closed().into());
        }
        if park::is_forbidden() {
            let message = "a blocking call on the thread that drives all connections";
            return Err(Error::internal(message).into());
        }
        let (limit, phase) = match which {
            Timeout::SockRead => (self.read_timeout, Phase::Body),
            _ => (self.write_timeout, Phase::Send),
        };
        let until = limit.and_then(|limit| Instant::now().checked_add(limit));
        let Some(tunnel) = self.tunnel.as_deref_mut() else {
            return Err(Error::closed().into());
        };
        loop {
            match step(tunnel) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return result,
            }
            if until.is_some_and(|at| at <= Instant::now()) {
                let error = Error::timed_out(which, limit, phase);
                return Err(error.with_url(&self.about.url).into());
            }
            tunnel.wait(which == Timeout::SockRead, until)?;
        }
    }
}

impl Read for Upgraded {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.blocking(Timeout::SockRead, |tunnel| tunnel.read(into))
    }
}

impl Write for Upgraded {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        self.blocking(Timeout::WriteStall, |tunnel| tunnel.write(from))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.blocking(Timeout::WriteStall, |tunnel| tunnel.flush())
    }
}

impl Drop for Upgraded {
    fn drop(&mut self) {
        if !self.connector.is_home() {
            std::mem::forget(self.tunnel.take());
        }
    }
}

impl fmt::Debug for Upgraded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgraded")
            .field("url", &self.about.url.as_str())
            .field("remote_addr", &self.remote_addr())
            .finish_non_exhaustive()
    }
}
