//! A synchronous-first client for HTTP/1.1 and WebSockets.
//!
//! Plain blocking calls; thousands of requests in flight from one thread; and,
//! behind the feature `async`, the same operations as futures that need no
//! runtime.
//!
//! ```no_run
//! let session = miohttp::Session::new();
//! let text = session.get("https://example.com/").send()?.text()?;
//! println!("{text}");
//! # Ok::<(), miohttp::Error>(())
//! ```
//!
//! # The pieces
//!
//! | type | what it is |
//! |---|---|
//! | [`Session`] | defaults, a cookie jar and a connector; make one and keep it |
//! | [`RequestBuilder`] | one request being put together; [`send`](RequestBuilder::send) makes it |
//! | [`Response`] | the head, and the body as far as it has come |
//! | [`Download`] | a file that is fetched whole, going on where it broke off |
//! | [`Events`] | server-sent events, with reconnection |
//! | [`WebSocket`] | messages both ways, from any number of threads |
//! | [`Proxy`] | which proxy a URL is reached through, if any |
//! | [`Pending`] | an operation that runs by itself; [`wait`](Pending::wait) for it |
//! | [`Connector`] | the connections, the names, and the thread that drives what nobody is blocked on |
//! | [`Error`] | the one error: [`kind`](Error::kind), [`phase`](Error::phase), URL, cause |
//!
//! Sessions and connectors are handles: cloning is cheap, all clones are the
//! same, and any number of threads may use them at once. [`get`], [`post`] and
//! their like make a request without a session of one's own.
//!
//! # Waiting, and not waiting
//!
//! The verbs `send`, `bytes`, `text`, `json` with their variants, `chunk` and
//! `error_for_status`, [`Connector::connect`] and [`WebSocketBuilder::connect`], and those
//! of a [`WebSocket`], have twins: `start_x()` returns a
//! [`Pending`] at once, and `x()` gives exactly what `start_x().wait()` gives.
//! ([`copy_to`](Response::copy_to), [`drain`](Response::drain), [`BodyReader`] and
//! its iterators, [`shutdown`](Session::shutdown), and the `close` of sessions and
//! connectors block and have none.) A started request makes progress by
//! itself, redirects included, and [`and_then`](Pending::and_then) appends the
//! reading of its body. [`wait_all`], [`wait_any`] and [`as_completed`] wait for
//! many.
//!
//! ```no_run
//! use miohttp::{Response, Session, as_completed};
//!
//! let session = Session::new();
//! let pages = (1..=100).map(|n| session.get(format!("https://example.com/{n}")).start_send());
//! for (place, result) in as_completed(pages) {
//!     // Read before the next is taken: an unread response holds its connection.
//!     println!("{place}: {} bytes", result?.text()?.len());
//! }
//! # Ok::<(), miohttp::Error>(())
//! ```
//!
//! Dropping a [`Pending`] cancels it. Dropping a [`Response`] lets its connection
//! serve again if the rest of the body is short, and closes it otherwise. No drop
//! ever waits.
//!
//! # Threads
//!
//! A connector starts one thread with its first request, and up to four more
//! while names are being resolved. The first drives what is started and not
//! waited for. A thread that blocks in `send`, or in the reading of a body, sends
//! and receives by itself meanwhile, over a connection it is lent for that one
//! call: see [`ConnectorBuilder::caller_drives`]. A request body that is not in
//! memory is read by a thread of its own while it is sent: see [`Body`]. TLS handshakes
//! that run code of the caller's, or that may block, are done by up to eight more.
//!
//! Of the caller's code only [`Waker::wake`](std::task::Waker::wake) and the `log`
//! backend run on the connector's thread, and a `Transport`, where a program
//! connects in a way of its own; decompression and JSON are done by
//! whoever reads the body, and a redirect rule, a [`CookieStore`] or a function that
//! chooses a [`Proxy`] is called by whoever sends the request or waits for the
//! response. A blocking call made there, from one of those,
//! fails with [`Kind::Internal`] instead of hanging.
//!
//! Blocking verbs may be called inside async code too, where they block that
//! thread as any blocking call does.
//!
//! # Limits out of the box
//!
//! | what | default | set by |
//! |---|---|---|
//! | a whole request, its body included | 300 s | [`Timeouts::total`] |
//! | one attempt to connect, TLS included | 30 s | [`Timeouts::sock_connect`] |
//! | connections in use | 100 | [`ConnectorBuilder::limit`] |
//! | redirects | 10 | [`RedirectPolicy`] |
//! | tries of a request that fails | 1, but for stale connections | [`RetryPolicy`] |
//! | a body kept in memory by `bytes`, `text`, `json` | 256 MiB | [`SessionBuilder::max_buffered`] |
//! | a body, decoded, however it is read | none | [`SessionBuilder::max_body_size`] |
//! | a message of a WebSocket, inflated | 4 MiB | [`WebSocketBuilder::max_message_size`] |
//! | the server's part in closing a WebSocket | 10 s | [`WebSocketBuilder::close_timeout`] |
//! | expansion of a compressed body | 1000 times, past the first MiB | [`SessionBuilder::max_decode_ratio`] |
//! | a line that a [`BodyReader`] reads by itself | 1 MiB | [`BodyReader::max_line_length`] |
//! | a response head | 128 fields of 8190 bytes | [`SessionBuilder::max_header_count`] |
//!
//! # Features
//!
//! | feature | default | brings |
//! |---|---|---|
//! | `tls` | yes | https by rustls, with the ring provider and Mozilla's roots |
//! | `gzip` | yes | gzip and deflate: decoding, and [`RequestBuilder::compress`] |
//! | `json` | yes | JSON bodies both ways, and any `Serialize` as a query |
//! | `digest` | yes | Digest authentication; the SHA-256 of a [`Download`] |
//! | `cookies` | yes | a cookie jar by RFC 6265bis, with the public suffix list |
//! | `websocket` | yes | [`WebSocket`], with permessage-deflate |
//! | `brotli` | no | the same for br |
//! | `zstd` | no | the same for zstd, by the reference implementation: needs a C compiler |
//! | `charset` | no | text in other charsets than UTF-8, and guesses at what nobody declares |
//! | `platform-verifier` | no | certificates as the operating system judges them, where `TlsConfig` asks for it |
//! | `aws-lc-rs` | no | a second provider of cryptography beside ring, with post-quantum key exchange: needs a C compiler |
//! | `async` | no | requests and [`Pending`] operations as futures, messages as a `Stream` |
//! | `hickory-dns` | no | `HickoryResolver`, which asks name servers itself |
//!
//! References such as "SPEC R20" in these pages name rows of the project's
//! behavioural specification; its tests cite them too.

#![forbid(unsafe_code)]
#![cfg_attr(
    loom,
    allow(dead_code, reason = "nothing but what the models check is compiled")
)]

mod handoff;
mod hash;
mod pool;
mod sync;

#[cfg(not(loom))]
mod api;
#[cfg(not(loom))]
mod auth;
#[cfg(all(miohttp_bench, not(loom)))]
#[doc(hidden)]
pub mod bench;
#[cfg(not(loom))]
mod call;
#[cfg(not(loom))]
mod coding;
#[cfg(not(loom))]
mod conn;
#[cfg(all(feature = "cookies", not(loom)))]
mod cookie;
#[cfg(not(loom))]
mod delivery;
#[cfg(all(feature = "digest", not(loom)))]
mod digest;
#[cfg(not(loom))]
mod dns;
#[cfg(not(loom))]
mod error;
#[cfg(not(loom))]
mod field;
#[cfg(all(fuzzing, not(loom)))]
#[doc(hidden)]
pub mod fuzzing;
#[cfg(not(loom))]
mod head;
#[cfg(not(loom))]
mod hsts;
#[cfg(not(loom))]
mod http_date;
#[cfg(not(loom))]
mod job;
#[cfg(all(unix, not(loom)))]
mod lease;
#[cfg(all(not(unix), not(loom)))]
#[path = "lease_none.rs"]
mod lease;
#[cfg(not(loom))]
mod net;
#[cfg(not(loom))]
mod process;
#[cfg(not(loom))]
mod proto;
#[cfg(not(loom))]
mod proxy;
#[cfg(not(loom))]
mod reactor;
#[cfg(not(loom))]
mod saved;
#[cfg(not(loom))]
mod text;
#[cfg(all(feature = "tls", not(loom)))]
mod tls;
#[cfg(all(not(feature = "tls"), not(loom)))]
#[path = "tls_none.rs"]
mod tls;
#[cfg(all(feature = "websocket", not(loom)))]
mod ws;

#[cfg(not(loom))]
pub use self::exports::*;

#[cfg(not(loom))]
mod exports {
    pub use bytes::Bytes;
    pub use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};
    pub use url::Url;

    pub use crate::api::cancel::CancelHandle;
    #[cfg(feature = "charset")]
    pub use crate::api::charset::detect_charset;
    pub use crate::api::completed::{AsCompleted, as_completed, wait_all, wait_any};
    pub use crate::api::connection::{Connection, ConnectionInfo, Detached};
    pub use crate::api::connector::{Connector, ConnectorBuilder, ConnectorStats};
    pub use crate::api::download::{Download, DownloadProgress, Downloaded};
    pub use crate::api::events::{Event, Events, StopHandle};
    pub use crate::api::form::{Form, Part};
    pub use crate::api::free::{delete, get, head, options, patch, post, put, request};
    pub use crate::api::pending::Pending;
    pub use crate::api::progress::Progress;
    pub use crate::api::reader::{BodyReader, Chunks, IncompleteRead, Lines};
    pub use crate::api::request::RequestBuilder;
    pub use crate::api::response::Response;
    #[cfg(feature = "json")]
    pub use crate::api::session::JsonSerializer;
    pub use crate::api::session::{Session, SessionBuilder};
    #[cfg(feature = "tls")]
    pub use crate::api::tls::{Identity, TlsConfig};
    pub use crate::api::upgraded::Upgraded;
    pub use crate::api::upload::{Body, BodySender};
    pub use crate::api::url::IntoUrl;
    #[cfg(feature = "websocket")]
    pub use crate::api::websocket::{
        Messages, PerMessageDeflate, SendOptions, WebSocket, WebSocketBuilder, WebSocketReceiver,
        WebSocketSender,
    };
    #[cfg(feature = "digest")]
    pub use crate::auth::DigestAuth;
    pub use crate::auth::{Auth, BasicAuth, Netrc};
    pub use crate::call::{
        Action, Attempt, CookieStore, RedirectPolicy, RedirectRule, RetryPolicy, Timeouts,
    };
    pub use crate::coding::encode::Encoding;
    #[cfg(feature = "cookies")]
    pub use crate::cookie::{
        Cookie, CookieFileError, CookieJar, CookieJarBuilder, InvalidCookie, SameSite,
    };
    pub use crate::dns::{AddressFilter, Answer, CachedHost, IpFamily, Query, Resolve};
    #[cfg(feature = "hickory-dns")]
    pub use crate::dns::{HickoryResolver, HickoryResolverBuilder};
    pub use crate::error::{Error, Fingerprints, Kind, Phase, Pin, Timeout};
    pub use crate::field::{ContentDisposition, Link, MediaType};
    pub use crate::head::Hop;
    pub use crate::hsts::{HstsFileError, HstsStore};
    pub use crate::job::{RequestInfo, Stats, TlsInfo};
    pub use crate::net::{LocalAddr, SocketOptions};
    #[cfg(unix)]
    pub use crate::net::{Target, Transport, TransportStream, UnixAddress};
    pub use crate::proxy::{NoProxy, Proxy};
    #[cfg(feature = "aws-lc-rs")]
    pub use crate::tls::CryptoProvider;
    #[cfg(feature = "tls")]
    pub use crate::tls::TlsVersion;
    #[cfg(feature = "websocket")]
    pub use crate::ws::{CloseCode, CloseFrame, Message, Utf8Bytes};
    /// The crate behind [`TlsConfig::from_rustls`], in the version it takes.
    #[cfg(feature = "tls")]
    pub use rustls;
}

/// Compiles the README's examples.
#[cfg(all(doctest, feature = "json"))]
#[doc = include_str!("../README.md")]
mod readme {}
