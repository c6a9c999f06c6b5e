//! A WebSocket being put together.

use std::fmt;
use std::time::Duration;

use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Method};

use super::WebSocket;
use super::connect::Connect;
use super::options::{Options, PerMessageDeflate};
use crate::api::body::Driver;
use crate::api::pending::{Pending, wait_on};
use crate::api::request::RequestBuilder;
#[cfg(feature = "tls")]
use crate::api::tls::TlsConfig;
use crate::call::{Auth, RedirectPolicy, RetryPolicy, Timeouts};
use crate::error::Error;
use crate::proxy::Proxy;
use crate::ws::handshake::Handshake;

/// A WebSocket being put together, by
/// [`Session::ws_connect`](crate::Session::ws_connect); [`connect`](Self::connect)
/// makes it.
///
/// It begins as an ordinary request of its session, with everything that such a
/// request has: cookies, credentials, proxies, TLS, redirects, defaults. What the
/// server answers is then no response but a connection for messages. It holds one of
/// the slots of the [`limit`](crate::ConnectorBuilder::limit) until it is closed.
///
/// A server that does not agree is an error of kind
/// [`WsHandshake`](crate::Kind::WsHandshake) with its answer in it: another status than
/// 101, with up to 64 KiB of the body as in
/// [`error_for_status`](crate::Response::error_for_status); or a 101 whose fields are not
/// the answer to what was asked (SPEC W9).
///
/// Errors, the choice of a proxy and the open WebSocket show its URL as `ws` or `wss`.
/// To a redirect rule and a cookie store of the program's own it is the `http` or
/// `https` one that the handshake goes to.
///
/// ```no_run
/// use std::time::Duration;
///
/// use miohttp::{Kind, Session};
///
/// let socket = Session::new()
///     .ws_connect("wss://example.com/chat")
///     .protocols(["chat.v2", "chat.v1"])
///     .header("authorization", "Bearer token")
///     .heartbeat(Duration::from_secs(30))
///     .connect();
/// match socket {
///     Ok(socket) => println!("speaking {:?}", socket.protocol()),
///     Err(error) if error.kind() == Kind::WsHandshake => {
///         println!("{:?}: {:?}", error.status(), error.body());
///     }
///     Err(error) => eprintln!("{error:#}"),
/// }
/// ```
///
/// Setters never fail; what is wrong comes out at the verb, as an error of kind
/// [`InvalidUrl`](crate::Kind::InvalidUrl) or
/// [`InvalidRequest`](crate::Kind::InvalidRequest).
#[must_use = "a WebSocket is not there until it is connected"]
pub struct WebSocketBuilder {
    request: RequestBuilder,
    protocols: Vec<String>,
    origin: Option<String>,
    options: Options,
}

/// How the WebSocket behaves.
impl WebSocketBuilder {
    pub(in crate::api) fn new(request: RequestBuilder) -> Self {
        Self {
            request,
            protocols: Vec::new(),
            origin: None,
            options: Options::default(),
        }
    }

    /// The subprotocols that are offered, the best first (SPEC W1, RFC 6455 §1.9).
    /// Default none. A second call replaces the first one's.
    ///
    /// The server chooses one of them, or none, which is no error. Its choice of one
    /// that was not offered is one, of kind
    /// [`WsHandshake`](crate::Kind::WsHandshake). A name that is not a token, or that
    /// is there twice, is an error at the verb.
    pub fn protocols<P: Into<String>>(mut self, protocols: impl IntoIterator<Item = P>) -> Self {
        self.protocols = protocols.into_iter().map(Into::into).collect();
        self
    }

    /// How long each wait for a message may take (SPEC W3). Default `None`: as long as
    /// it takes; so is zero. Once it has passed the WebSocket is at its end, and its
    /// close code 1006.
    pub fn receive_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.options.receive_timeout = limit.into().filter(|limit| !limit.is_zero());
        self
    }

    /// How long the server has for its part of the closing handshake (SPEC W2,
    /// RFC 6455 §7.1.1): to answer a Close, and then to end the connection. Then it is
    /// closed all the same. Default 10 s; zero waits for nothing.
    pub fn close_timeout(mut self, limit: Duration) -> Self {
        self.options.close_timeout = limit;
        self
    }

    /// Whether a Close of the server's is answered by itself (SPEC W4). Default true.
    /// With false it is received as a message, and the program answers it by closing.
    pub fn autoclose(mut self, answer: bool) -> Self {
        self.options.autoclose = answer;
        self
    }

    /// Whether a Ping is answered by itself, and neither it nor a Pong is received as
    /// a message (SPEC W4). Default true. With false both are, and the program answers.
    pub fn autoping(mut self, answer: bool) -> Self {
        self.options.autoping = answer;
        self
    }

    /// Sends a Ping whenever nothing has come for so long, and ends the WebSocket,
    /// with close code 1006, if still nothing has come after half of that again
    /// (SPEC W5). So a network that is lost is noticed, whether or not anybody
    /// receives. Default `None`, and zero: never.
    ///
    /// While the program does not take what has come, and reading rests therefore, it
    /// stands still.
    pub fn heartbeat(mut self, interval: impl Into<Option<Duration>>) -> Self {
        self.options.heartbeat = interval.into().filter(|every| !every.is_zero());
        self
    }

    /// Offers to compress messages (SPEC W7, RFC 7692). Default `None`: they are sent
    /// as they are, and a server that compresses all the same is refused.
    ///
    /// ```
    /// use miohttp::{PerMessageDeflate, Session};
    ///
    /// let session = Session::new();
    /// let socket = session
    ///     .ws_connect("wss://example.com/feed")
    ///     .compress(PerMessageDeflate::new());
    /// # drop(socket);
    /// ```
    pub fn compress(mut self, deflate: impl Into<Option<PerMessageDeflate>>) -> Self {
        self.options.deflate = deflate.into();
        self
    }

    /// The largest message that is received, in bytes, decompressed (SPEC W8). A larger
    /// one ends the WebSocket with close code 1009. Default 4 MiB; 0 is no limit.
    pub fn max_message_size(mut self, bytes: usize) -> Self {
        self.options.max_message_size = bytes;
        self
    }
}

/// How it is asked for: what requests have, too.
impl WebSocketBuilder {
    /// The `Origin` header (SPEC W6, RFC 6455 §10.2), by which servers tell the pages
    /// of a browser apart. Default none: this is no browser.
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.origin = Some(origin.into());
        self
    }

    /// The method of the request (SPEC W6). Default `GET`, the only one that RFC 6455
    /// knows.
    pub fn method(mut self, method: impl TryInto<Method, Error: Into<http::Error>>) -> Self {
        self.request = self.request.with_method(method);
        self
    }

    /// Adds a header, as [`RequestBuilder::header`] does. Those of the handshake
    /// itself (`Upgrade`, `Connection`, `Sec-WebSocket-*`) are an error at the verb:
    /// [`protocols`](Self::protocols) and [`compress`](Self::compress) say what is in
    /// them. So are those of a body.
    pub fn header<N, V>(mut self, name: N, value: V) -> Self
    where
        N: TryInto<HeaderName>,
        V: TryInto<HeaderValue>,
    {
        self.request = self.request.header(name, value);
        self
    }

    /// As [`RequestBuilder::query`].
    #[cfg(feature = "json")]
    pub fn query(mut self, pairs: &(impl serde_core::Serialize + ?Sized)) -> Self {
        self.request = self.request.query(pairs);
        self
    }

    /// As [`RequestBuilder::cookie`].
    pub fn cookie(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.request = self.request.cookie(name, value);
        self
    }

    /// As [`RequestBuilder::server_name`].
    pub fn server_name(mut self, name: impl AsRef<str>) -> Self {
        self.request = self.request.server_name(name);
        self
    }
}

/// Setters that hand on what they are given.
macro_rules! as_requests {
    ($($(#[$attribute:meta])* $setter:ident($($name:ident: $type:ty),*);)*) => {
        impl WebSocketBuilder {$(
            $(#[$attribute])*
            pub fn $setter(mut self, $($name: $type),*) -> Self {
                self.request = self.request.$setter($($name),*);
                self
            }
        )*}
    };
}

as_requests! {
    /// As [`RequestBuilder::headers`]; see [`header`](Self::header).
    headers(headers: &HeaderMap);

    /// As [`RequestBuilder::query_pair`].
    query_pair(name: impl AsRef<str>, value: impl AsRef<str>);

    /// As [`RequestBuilder::raw_query`].
    raw_query(query: impl AsRef<str>);

    /// As [`RequestBuilder::auth`].
    auth(auth: impl Into<Auth>);

    /// The proxy that it goes through, as [`RequestBuilder::proxy`]. An HTTP proxy is
    /// asked by `CONNECT`, for `ws` as for `wss` (SPEC X2, RFC 6455 §4.1).
    proxy(proxy: Proxy);

    /// As [`RequestBuilder::no_proxy`].
    no_proxy();

    /// As [`RequestBuilder::tls`].
    #[cfg(feature = "tls")]
    tls(tls: &TlsConfig);

    /// The limit of the whole handshake, redirects included; 300 s by default, as
    /// [`RequestBuilder::timeout`]. It does not reach beyond that: an open WebSocket
    /// lives as long as it may.
    timeout(total: impl Into<Option<Duration>>);

    /// All time limits of the handshake; see [`timeout`](Self::timeout).
    timeouts(timeouts: Timeouts);

    /// As [`RequestBuilder::redirects`]. They may lead to `ws` and `wss` as to `http`
    /// and `https` (SPEC W6).
    redirects(policy: RedirectPolicy);

    /// As [`RequestBuilder::refuse_downgrade`]; `wss` to `ws` is such a one.
    refuse_downgrade(refuse: bool);

    /// As [`RequestBuilder::requote_redirect_url`].
    requote_redirect_url(requote: bool);

    /// As [`RequestBuilder::skip_auto_header`]. Those of the handshake itself are sent
    /// all the same.
    skip_auto_header(name: HeaderName);

    /// As [`RequestBuilder::retry`]: it is the handshake that is tried again, where it
    /// is answered by one of the policy's statuses or by none.
    retry(policy: impl Into<Option<RetryPolicy>>);

    /// As [`RequestBuilder::retry_stale`].
    retry_stale(retry: bool);

    /// As [`RequestBuilder::max_status_line`].
    max_status_line(bytes: usize);

    /// As [`RequestBuilder::max_header_field`].
    max_header_field(bytes: usize);

    /// As [`RequestBuilder::max_header_count`].
    max_header_count(fields: usize);
}

impl WebSocketBuilder {
    /// Connects: sends the handshake and waits for the server's yes. Blocks.
    ///
    /// ```no_run
    /// let session = miohttp::Session::new();
    /// let socket = session.ws_connect("wss://example.com/feed").connect()?;
    /// socket.send("subscribe")?;
    /// # Ok::<(), miohttp::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of a request ([`RequestBuilder::send`](crate::RequestBuilder::send)); and
    /// [`Kind::WsHandshake`](crate::Kind::WsHandshake), with the response, for an
    /// answer that is no yes (SPEC W9).
    pub fn connect(self) -> Result<WebSocket, Error> {
        wait_on(&mut self.begin(Driver::Caller)?)
    }

    /// As [`connect`](Self::connect), without blocking. Dropping the
    /// [`Pending`] gives up.
    pub fn start_connect(self) -> Pending<WebSocket> {
        match self.begin(Driver::Reactor) {
            Ok(connecting) => Pending::new(connecting),
            Err(error) => Pending::failed(error),
        }
    }

    /// The one constructor of both verbs. They differ in who drives.
    pub(super) fn begin(self, driver: Driver) -> Result<Connect, Error> {
        self.try_begin(driver).map_err(Error::of_websocket)
    }

    fn try_begin(self, driver: Driver) -> Result<Connect, Error> {
        let options = Options {
            #[cfg(feature = "json")]
            json_serializer: self.request.json_serializer(),
            ..self.options
        };
        self.request.check()?;
        let offer = options.deflate.map(|deflate| deflate.offer()).transpose();
        let handshake = offer.and_then(|offer| Handshake::new(self.protocols, offer));
        let handshake = handshake.map_err(|error| self.request.context(error))?;
        let send = self
            .request
            .begin_handshake(&handshake, self.origin, driver)?;
        Ok(Connect::new(send, driver, handshake, options))
    }
}

impl fmt::Debug for WebSocketBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocketBuilder")
            .field("request", &self.request)
            .field("protocols", &self.protocols.len())
            .finish_non_exhaustive()
    }
}

/// With the feature `async`: awaiting it connects it.
#[cfg(feature = "async")]
impl IntoFuture for WebSocketBuilder {
    type Output = Result<WebSocket, Error>;
    type IntoFuture = Pending<WebSocket>;

    fn into_future(self) -> Pending<WebSocket> {
        self.start_connect()
    }
}
