//! Connections without requests (SPEC N1): lent by a connector, given back to it or
//! taken from it for good.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use url::Url;

use super::cancel::{Aim, CancelHandle};
use super::connector::Connector;
use super::pending::{Operation, Pending, wait_on};
use super::stretch::{Stretch, stretches};
use super::url::{IntoUrl, Known};
use crate::call::{Lent, for_connection};
use crate::error::Error;
use crate::handoff::slot::{SlotReceiver, slot};
use crate::job::{Cancel, Command, ExchangeId, Facts, LinkFacts, Loan, TlsInfo};

/// A ready connection to an origin, lent by [`Connector::connect`]: an idle one, or
/// a new one with its TLS handshake done (SPEC N1).
///
/// It holds one of the slots of the [`limit`](crate::ConnectorBuilder::limit).
/// Dropping it [gives it back](Self::release), to serve requests;
/// [`detach`](Self::detach) takes it out of the connector's hands, as `Read` and
/// `Write`. Closing the connector closes it.
///
/// ```no_run
/// use std::io::{Read, Write};
///
/// let connector = miohttp::Connector::new();
/// let connection = connector.connect("https://example.com/")?;
/// println!("{:?} {:?}", connection.peer_addr(), connection.tls_info());
/// let mut detached = connection.detach()?;
/// detached.write_all(b"GET / HTTP/1.0\r\nHost: example.com\r\n\r\n")?;
/// let mut response = Vec::new();
/// detached.read_to_end(&mut response)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Connection {
    /// Left alone in the child of a process, where its lock may be held for ever.
    loan: Option<Box<dyn Loan>>,
    connector: Connector,
    info: ConnectionInfo,
    url: Url,
    cancel: CancelHandle,
}

impl Connection {
    pub(super) fn new(
        loan: Box<dyn Loan>,
        facts: &Facts,
        connector: Connector,
        id: ExchangeId,
        url: Url,
    ) -> Self {
        Self {
            loan: Some(loan),
            info: ConnectionInfo::new(facts),
            cancel: Some(Aim::new(connector.downgrade(), id)).into(),
            connector,
            url,
        }
    }

    /// What is known of it.
    pub fn info(&self) -> &ConnectionInfo {
        &self.info
    }

    /// The server's address; `None` where it has no IP address.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.info.peer_addr()
    }

    /// This end's address, where the system tells.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.info.local_addr()
    }

    /// What the TLS handshake settled; `None` for plain http.
    pub fn tls_info(&self) -> Option<&TlsInfo> {
        self.info.tls_info()
    }

    /// Whether it is of no use any more: the server or the connector has closed it,
    /// it has failed, or it was [cancelled](Self::cancel_handle). Looks at the
    /// socket, and never blocks. What the server has said already is kept for
    /// [`detach`](Self::detach).
    pub fn is_closed(&mut self) -> bool {
        let is_home = self.connector.is_home();
        let loan = self.loan.as_mut().filter(|_| is_home);
        loan.is_none_or(|loan| !loan.is_standing())
    }

    /// Closes it and frees its slot. Never waits.
    pub fn close(mut self) {
        if self.connector.is_home() {
            drop(self.loan.take());
        }
    }

    /// Gives it back to the connector, where it serves other requests, and frees
    /// its slot; the same as dropping it. One that has been closed meanwhile, or on
    /// which the server has said something, is closed; so is any where the connector
    /// keeps none ([`force_close`](crate::ConnectorBuilder::force_close)), or where
    /// the system has no poll(2).
    pub fn release(self) {}

    /// Takes it out of the connector's hands: it holds no slot from here on, and
    /// neither limits nor the end of the connector concern it any more.
    ///
    /// # Errors
    /// [`Kind::Closed`](crate::Kind::Closed) if the connector was closed, or this was
    /// cancelled.
    pub fn detach(mut self) -> Result<Detached, Error> {
        if !self.connector.is_home() {
            return Err(Error::closed());
        }
        let tunnel = self.loan.take().and_then(|loan| loan.detach());
        let tunnel = tunnel.ok_or_else(|| Error::closed().with_url(&self.url))?;
        Ok(Detached {
            stretch: Stretch::new(tunnel, self.url.clone()),
            info: self.info.clone(),
        })
    }

    /// A handle with which any thread can close the connection, until it is
    /// released or detached.
    pub fn cancel_handle(&self) -> CancelHandle {
        self.cancel.clone()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let Some(loan) = self.loan.take() else {
            return;
        };
        if !self.connector.is_home() {
            return std::mem::forget(loan);
        }
        if let Some(keepalive) = self.connector.keepalive()
            && loan.release(keepalive, Instant::now())
        {
            self.connector.tell(Command::Look);
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("url", &self.url.as_str())
            .field("peer_addr", &self.peer_addr())
            .finish_non_exhaustive()
    }
}

/// A connection that belongs to the program alone: made by
/// [`Connection::detach`] (SPEC N1).
///
/// Reading blocks until something comes. Writing blocks until what was written
/// before is on its way, and takes up to 64 KiB; what the network does not take at
/// once goes with the next read, write or [`flush`](std::io::Write::flush). Dropping
/// it closes it, with TLS's `close_notify`, and waits for nothing.
///
/// Where the system has no poll(2), what would have to wait fails with
/// [`io::ErrorKind::Unsupported`](std::io::ErrorKind::Unsupported).
pub struct Detached {
    stretch: Stretch,
    info: ConnectionInfo,
}

impl Detached {
    /// What is known of it.
    pub fn info(&self) -> &ConnectionInfo {
        &self.info
    }

    /// The server's address; `None` where it has no IP address.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.info.peer_addr()
    }

    /// This end's address, where the system tells.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.info.local_addr()
    }

    /// What the TLS handshake settled; `None` for plain http.
    pub fn tls_info(&self) -> Option<&TlsInfo> {
        self.info.tls_info()
    }
}

stretches!(Detached);

impl fmt::Debug for Detached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Detached")
            .field("peer_addr", &self.peer_addr())
            .finish_non_exhaustive()
    }
}

/// What is known of a connection (SPEC N1); of a response by
/// [`Response::connection`](crate::Response::connection). Cheap to clone.
#[derive(Clone)]
pub struct ConnectionInfo {
    link: Arc<LinkFacts>,
    reused: bool,
}

impl ConnectionInfo {
    pub(super) fn new(facts: &Facts) -> Self {
        Self {
            link: facts.link.clone(),
            reused: facts.reused,
        }
    }

    /// The address it leads to; `None` where that is no IP address.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.link.peer
    }

    /// This end's address, where the system tells.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.link.local
    }

    /// What the TLS handshake settled; `None` for plain http.
    pub fn tls_info(&self) -> Option<&TlsInfo> {
        self.link.tls.as_ref()
    }

    /// Whether it had been used before.
    pub fn is_reused(&self) -> bool {
        self.reused
    }
}

impl fmt::Debug for ConnectionInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionInfo")
            .field("peer_addr", &self.peer_addr())
            .field("local_addr", &self.local_addr())
            .field("tls_info", &self.tls_info())
            .field("is_reused", &self.is_reused())
            .finish()
    }
}

impl Connector {
    /// Lends a ready connection to the origin of this URL: an idle one, or a new
    /// one, TLS included (SPEC N1). It is the direct way, with the connector's TLS
    /// settings; path and query of the URL mean nothing, credentials neither.
    /// Waits in one queue with the requests if no slot is free. Blocks.
    ///
    /// The limits are those of a request without any set:
    /// [`Timeouts::new`](crate::Timeouts::new). For a shorter one, wait for
    /// [`start_connect`](Self::start_connect) for as long as you like.
    ///
    /// ```no_run
    /// let connector = miohttp::Connector::new();
    /// // So that the first request need not wait for TLS:
    /// connector.connect("https://example.com/")?.release();
    /// # Ok::<(), miohttp::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of a request that gets no connection: see
    /// [`is_connect`](Error::is_connect), [`is_timeout`](Error::is_timeout) and
    /// [`Kind::Closed`](crate::Kind::Closed); and
    /// [`Kind::InvalidUrl`](crate::Kind::InvalidUrl) for what is no URL of http or
    /// https.
    pub fn connect(&self, url: impl IntoUrl) -> Result<Connection, Error> {
        wait_on(&mut self.begin_connect(url)?)
    }

    /// As [`connect`](Self::connect), without waiting. Dropping the `Pending` gives
    /// up.
    pub fn start_connect(&self, url: impl IntoUrl) -> Pending<Connection> {
        match self.begin_connect(url) {
            Ok(connecting) => Pending::new(connecting),
            Err(error) => Pending::failed(error),
        }
    }

    fn begin_connect(&self, url: impl IntoUrl) -> Result<Connecting, Error> {
        let url = crate::error::without_credentials(&url.into_url(&Known::default())?);
        let (sender, receiver) = slot();
        let id = ExchangeId::next();
        for_connection(&url, self.tls(), Instant::now(), sender)
            .and_then(|exchange| self.start(id, exchange))
            .map_err(|error| error.with_url(&url))?;
        Ok(Connecting {
            receiver: Some(receiver),
            connector: self.clone(),
            id,
            url,
        })
    }
}

struct Connecting {
    /// Until it has told.
    receiver: Option<SlotReceiver<Lent>>,
    connector: Connector,
    id: ExchangeId,
    url: Url,
}

impl Operation<Connection> for Connecting {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Connection, Error>> {
        let Some(receiver) = &mut self.receiver else {
            let error = Error::internal("the connection was taken already");
            return Poll::Ready(Err(error));
        };
        // Nobody answers in a child of the process, where the slot's lock may be held
        // for ever.
        if !self.connector.is_home() {
            return Poll::Ready(Err(Error::closed()));
        }
        let lent = match receiver.poll(cx) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(lent) => lent,
        };
        self.receiver = None;
        let lent = lent.unwrap_or_else(|| Err(self.connector.ended().with_url(&self.url)));
        let (connector, url) = (self.connector.clone(), self.url.clone());
        Poll::Ready(
            lent.map(|(loan, facts)| Connection::new(loan, &facts, connector, self.id, url)),
        )
    }

    fn target(&self) -> CancelHandle {
        Some(Aim::new(self.connector.downgrade(), self.id)).into()
    }
}

impl Drop for Connecting {
    fn drop(&mut self) {
        let Some(receiver) = self.receiver.take() else {
            return;
        };
        if !self.connector.is_home() {
            // Its lock may be held for ever in the child of a process.
            return std::mem::forget(receiver);
        }
        self.connector.tell(Command::Cancel(self.id, Cancel::Abort));
    }
}
