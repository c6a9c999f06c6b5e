//! What crosses between a caller and the reactor: commands down, replies up.
//!
//! An [`Exchange`] is one request and one response on one connection; it knows
//! no redirects and no cookies. Its [`Advance`] does: the reactor hands it the
//! outcome and gets back nothing, or another exchange, without knowing what it
//! is. So a started request follows its redirects while nobody waits for it.

mod config;
mod facts;
mod limits;
mod route;
mod tunnel;
mod upload;
#[cfg(feature = "websocket")]
mod websocket;

use std::cell::Cell;
use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::HeaderValue;

pub(crate) use self::config::Config;
pub(crate) use self::facts::{Facts, LinkFacts, ProxyFacts, Tally};
pub use self::facts::{RequestInfo, Stats, TlsInfo};
pub(crate) use self::limits::{LowSpeed, RareLimits};
pub(crate) use self::route::{Route, Via};
pub(crate) use self::tunnel::{Loan, Tunnel};
pub(crate) use self::upload::{Begin, Pieces, Taken, Upload, given_up};
#[cfg(feature = "websocket")]
pub(crate) use self::websocket::{
    Adopt, Adoption, Got, Line, Talk, Talked, WsConn, WsEnd, WsSettings,
};
use crate::dns::{self, CachedHost};
use crate::error::Error;
use crate::handoff::pipe::{Budget, PipeReader};
use crate::handoff::slot::SlotSender;
use crate::head::{RequestHead, ResponseHead, Trailers};
use crate::pool;
use crate::tls;
#[cfg(feature = "websocket")]
use crate::ws::CloseCode;

/// Names one request for as long as it lives, through all its hops. Chosen by
/// the caller, so that a cancellation can never come too early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ExchangeId(u64);

impl ExchangeId {
    pub(crate) fn next() -> Self {
        /// How many a thread takes at a time, so that threads seldom meet here.
        const SPAN: u64 = 1024;
        // Only uniqueness matters, no other memory hangs on the order.
        static NEXT: AtomicU64 = AtomicU64::new(SPAN);
        thread_local! {
            static LAST: Cell<u64> = const { Cell::new(SPAN - 1) };
        }
        let following = |last: u64| match last % SPAN {
            rest if rest < SPAN - 1 => last + 1,
            _ => NEXT.fetch_add(SPAN, Ordering::Relaxed),
        };
        let next = LAST.try_with(|last| {
            last.set(following(last.get()));
            last.get()
        });
        Self(next.unwrap_or_else(|_| NEXT.fetch_add(SPAN, Ordering::Relaxed)))
    }

    /// Its name where callers drive connections themselves.
    pub(crate) fn lease(self) -> pool::LeaseId {
        pool::LeaseId(self.0)
    }
}

impl From<pool::LeaseId> for ExchangeId {
    fn from(id: pool::LeaseId) -> Self {
        Self(id.0)
    }
}

/// What a caller tells the reactor.
#[derive(Debug)]
pub(crate) enum Command {
    Start(ExchangeId, Box<Exchange>),
    /// Something this exchange waits for has come: room in its pipe, a granted connection.
    Wake(ExchangeId),
    Cancel(ExchangeId, Cancel),
    /// A caller's connection is no longer watched under this name.
    Unwatched(usize),
    /// Something was left in the pool that needs looking after sooner than known.
    Look,
    /// A lookup has an answer, or a part of one.
    Resolved(dns::LookupId, dns::Lookup),
    /// Steps of handshakes were taken elsewhere.
    Stepped,
    /// A connection speaks WebSocket from now on, under the name it was lent by.
    #[cfg(feature = "websocket")]
    Adopt(ExchangeId, Box<Adoption>),
    /// The reader of a WebSocket found a violation, of which the peer is told.
    #[cfg(feature = "websocket")]
    Fail(ExchangeId, CloseCode),
    /// The reader of a WebSocket wants to be woken by then.
    #[cfg(feature = "websocket")]
    Nudge(ExchangeId, Instant),
    Control(Control),
}

/// How to end an exchange that nobody wants any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cancel {
    /// Read the rest of the body if it is short, so that the connection lives on.
    Drain,
    /// Close the connection.
    Abort,
}

#[derive(Debug)]
pub(crate) enum Control {
    /// Forget resolved names: one, or all.
    ClearDns(Option<(String, u16)>),
    /// Tell what is known of names. By a function, so that a program that never
    /// asks has none of its code.
    Names(LookAtNames, SlotSender<Vec<CachedHost>>),
    CloseIdle,
    /// Fail what is in flight and end the thread.
    Shutdown,
}

pub(crate) type LookAtNames = fn(&dns::Cache<ExchangeId>, Instant) -> Vec<CachedHost>;

/// One request and response on one connection.
pub(crate) struct Exchange {
    pub(crate) key: PoolKey,
    pub(crate) head: RequestHead,
    /// The request body; empty when there is none.
    pub(crate) upload: Upload,
    pub(crate) limits: ExchangeLimits,
    /// Not on a connection that has served before: what one swallowed, another
    /// may swallow, too.
    pub(crate) fresh: bool,
    /// It rests until then, without a connection: what failed is tried again
    /// after a while (SPEC Y2).
    pub(crate) not_before: Option<Instant>,
    /// Nothing is sent: the connection itself is wanted (SPEC N1).
    pub(crate) bare: bool,
    /// What a CONNECT of this exchange says for itself to the proxy, in the place
    /// of what the route has: an answer to a challenge is good for once, and so
    /// no part of the key.
    pub(crate) proxy_authorization: Option<Box<HeaderValue>>,
    /// Taken out when its outcome is told; the rest then shows what was sent.
    pub(crate) advance: Option<Box<dyn Advance>>,
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("key", &self.key)
            .field("method", &self.head.method)
            .finish_non_exhaustive()
    }
}

/// The limits one exchange runs under. Durations that are `None` are not limited.
#[derive(Clone, Debug)]
pub(crate) struct ExchangeLimits {
    /// The absolute end of the whole request (T1), with its length for the message.
    pub(crate) total: Option<(Instant, Duration)>,
    /// Until the connection is ready (T2).
    pub(crate) connect: Option<Duration>,
    /// One attempt to connect (T3).
    pub(crate) sock_connect: Option<Duration>,
    /// The gap between received bytes (T4).
    pub(crate) sock_read: Option<Duration>,
    /// How long the body waits for `100 Continue` (Q11).
    pub(crate) expect_continue: Duration,
    /// Head size limits (S21).
    pub(crate) max_line: usize,
    pub(crate) max_field: usize,
    pub(crate) max_fields: usize,
    /// Q12: false reads a body with neither length nor chunking as empty.
    pub(crate) read_until_eof: bool,
    /// How much of a body is held before reading pauses (S20).
    pub(crate) pipe: Budget,
    pub(crate) rare: Option<Arc<RareLimits>>,
}

#[cfg(all(test, not(loom)))]
impl ExchangeLimits {
    /// No limit in time, and the usual ones in size.
    pub(crate) fn none() -> Self {
        Self {
            total: None,
            connect: None,
            sock_connect: None,
            sock_read: None,
            expect_continue: Duration::from_secs(1),
            max_line: 8190,
            max_field: 8190,
            max_fields: 128,
            read_until_eof: true,
            pipe: Budget {
                low: 256 * 1024,
                high: 512 * 1024,
            },
            rare: None,
        }
    }
}

/// Takes the outcome of an exchange. Called on the thread that drives it, which
/// may be the reactor's: no user code, nothing that blocks. `asked` is the
/// exchange as it was sent, `now` the driver's.
pub(crate) trait Advance: Send {
    fn advance(
        self: Box<Self>,
        asked: Box<Exchange>,
        outcome: Result<Reply, Failure>,
        now: Instant,
    ) -> Next;

    /// The connection that a [bare](Exchange::bare) exchange has asked for.
    fn lend(self: Box<Self>, _loan: Box<dyn Loan>, _facts: Facts) {}
}

/// What follows an exchange.
#[derive(Debug)]
pub(crate) enum Next {
    /// The request is answered; the body, if any, goes on through its pipe.
    Deliver,
    /// Another exchange of the same request. The body of this one is unwanted.
    Again(Box<Exchange>),
}

/// A response whose head is complete.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) head: ResponseHead,
    pub(crate) body: ReplyBody,
    pub(crate) facts: Facts,
}

#[derive(Debug)]
pub(crate) enum ReplyBody {
    /// The body ended in the bytes that had arrived with the head.
    Whole(Bytes, Trailers),
    /// The rest is still coming.
    Stream(PipeReader<BodyEnd>),
    /// There is none: the connection speaks another protocol now.
    Upgraded(Box<dyn Tunnel>),
}

/// How a streamed body ends.
pub(crate) type BodyEnd = Result<Ending, Error>;

/// What comes with the end of a body.
#[derive(Debug, Default)]
pub(crate) struct Ending {
    pub(crate) trailers: Trailers,
    /// Of the whole exchange.
    pub(crate) tally: Tally,
}

/// An exchange that failed before its head was complete.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: Error,
    pub(crate) progress: Progress,
}

/// How far a failed exchange had come, which decides whether it may be sent
/// again without asking anybody (SPEC Y1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// There was no connection.
    Unconnected,
    /// A reused connection failed before any byte of the request was written.
    Unsent,
    /// A reused connection failed after a write and before any byte of a reply.
    Unanswered,
    /// A fresh connection, or a reply had begun.
    Begun,
}

/// Everything two requests must agree in to share a connection (SPEC P1).
/// Hashed once, when made; cloning shares it.
#[derive(Clone)]
pub(crate) struct PoolKey(Arc<KeyParts>);

struct KeyParts {
    endpoint: Endpoint,
    tls: Option<tls::Client>,
    /// Q17: the host, unless the request has another.
    server_name: Option<Box<str>>,
    /// `None`: straight to the endpoint.
    route: Option<Route>,
}

/// Host, port and scheme: what `limit_per_host` counts by (SPEC C4).
#[derive(Clone)]
pub(crate) struct Endpoint(Arc<EndpointParts>);

struct EndpointParts {
    hash: u64,
    host: Box<str>,
    port: u16,
    is_tls: bool,
}

impl PoolKey {
    /// `host` is a name or an IP literal as the URL spells it, without brackets.
    pub(crate) fn new(host: &str, port: u16, tls: Option<tls::Client>) -> Self {
        Self::for_server(host, port, tls, None)
    }

    /// As [`PoolKey::new`], for a server that goes by another name where it has
    /// to prove it, in TLS (SPEC Q17).
    pub(crate) fn for_server(
        host: &str,
        port: u16,
        tls: Option<tls::Client>,
        server_name: Option<&str>,
    ) -> Self {
        let endpoint = Endpoint::new(host, port, tls.is_some());
        Self::of(endpoint, tls, server_name, None)
    }

    /// As [`PoolKey::for_server`], through a proxy. Where that is sent requests
    /// in absolute form it is the endpoint itself, and what is said of the
    /// origin is no part of the key: one connection serves all of them.
    pub(crate) fn routed(
        host: &str,
        port: u16,
        tls: Option<tls::Client>,
        server_name: Option<&str>,
        route: Route,
    ) -> Self {
        if route.is_forward() {
            let is_tls = route.tls_name().is_some();
            let endpoint = Endpoint::new(route.host(), route.port(), is_tls);
            return Self::of(endpoint, None, None, Some(route));
        }
        let endpoint = Endpoint::new(host, port, tls.is_some());
        Self::of(endpoint, tls, server_name, Some(route))
    }

    fn of(
        endpoint: Endpoint,
        tls: Option<tls::Client>,
        server_name: Option<&str>,
        route: Option<Route>,
    ) -> Self {
        Self(Arc::new(KeyParts {
            endpoint,
            server_name: server_name.filter(|_| tls.is_some()).map(Box::from),
            tls,
            route,
        }))
    }

    /// The way there, if it leads through a proxy.
    pub(crate) fn route(&self) -> Option<&Route> {
        self.0.route.as_ref()
    }

    /// Host and port that a socket has to be connected to.
    pub(crate) fn hop(&self) -> (&str, u16) {
        match &self.0.route {
            None => (self.host(), self.port()),
            Some(route) => (route.host(), route.port()),
        }
    }

    pub(crate) fn host(&self) -> &str {
        &self.0.endpoint.0.host
    }

    pub(crate) fn port(&self) -> u16 {
        self.0.endpoint.0.port
    }

    pub(crate) fn tls(&self) -> Option<&tls::Client> {
        self.0.tls.as_ref()
    }

    /// Whether its handshakes may run foreign code, on whatever thread does them.
    pub(crate) fn has_foreign_tls(&self) -> bool {
        let through = self.route().and_then(Route::tls_name);
        let through = through.is_some_and(|(client, _)| client.is_foreign());
        through || self.tls().is_some_and(tls::Client::is_foreign)
    }

    /// The name the server has to prove, where it has to.
    pub(crate) fn tls_name(&self) -> Option<(&tls::Client, &str)> {
        let name = self.0.server_name.as_deref().unwrap_or(self.host());
        self.tls().map(|client| (client, name))
    }
}

impl PartialEq for PoolKey {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
            || (self.0.endpoint == other.0.endpoint
                && self.0.tls == other.0.tls
                && self.0.server_name == other.0.server_name
                && self.0.route == other.0.route)
    }
}

impl Eq for PoolKey {}

impl Hash for PoolKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.endpoint.hash(state);
    }
}

impl Endpoint {
    fn new(host: &str, port: u16, is_tls: bool) -> Self {
        // Seeded anew by each process: a redirect chooses its host, and must
        // not be able to choose the hash.
        static SEED: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        Self(Arc::new(EndpointParts {
            hash: SEED.hash_one((host, port, is_tls)),
            host: host.into(),
            port,
            is_tls,
        }))
    }
}

impl PartialEq for Endpoint {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
            || (self.0.hash == other.0.hash
                && self.0.port == other.0.port
                && self.0.is_tls == other.0.is_tls
                && self.0.host == other.0.host)
    }
}

impl Eq for Endpoint {}

impl Hash for Endpoint {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0.hash);
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.0.is_tls { "https" } else { "http" };
        write!(f, "{scheme}://{}:{}", self.0.host, self.0.port)
    }
}

impl fmt::Debug for PoolKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.endpoint.fmt(f)
    }
}

impl pool::Key for PoolKey {
    type Host = Endpoint;

    fn host(&self) -> &Endpoint {
        &self.0.endpoint
    }
}
