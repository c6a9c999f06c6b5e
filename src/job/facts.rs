//! What is known of a connection, and of an exchange on it: told with a reply
//! or a failure, and shown to the program as it is.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use http::{HeaderMap, Method};
use url::Url;

use crate::head::{RequestHead, ResponseHead};

/// A connection, for as long as it lives. Made once, when it is open; every
/// reply on it shares this.
#[derive(Debug)]
pub(crate) struct LinkFacts {
    /// Whom the socket is connected to: the proxy, where there is one. `None`: it
    /// has no IP address, being no TCP connection.
    pub(crate) peer: Option<SocketAddr>,
    /// Of a Unix socket.
    pub(crate) path: Option<Arc<Path>>,
    pub(crate) local: Option<SocketAddr>,
    /// Of the session with the origin. One with a proxy alone is not told.
    pub(crate) tls: Option<TlsInfo>,
    pub(crate) proxy: Option<Box<ProxyFacts>>,
}

/// The proxy that a connection leads through.
#[derive(Debug)]
pub(crate) struct ProxyFacts {
    /// As the route spells it.
    #[cfg_attr(not(test), allow(dead_code, reason = "the engine's tests look at it"))]
    pub(crate) host: Box<str>,
    #[cfg_attr(not(test), allow(dead_code, reason = "the engine's tests look at it"))]
    pub(crate) port: u16,
    /// Its answer to CONNECT, where it was asked.
    pub(crate) reply: Option<ResponseHead>,
}

/// One exchange, as far as it has come.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) link: Arc<LinkFacts>,
    /// The connection had carried an exchange before.
    pub(crate) reused: bool,
    pub(crate) tally: Tally,
}

/// What an exchange has moved, in bytes of HTTP: framing counts, TLS does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) sent: u64,
    pub(crate) received: u64,
    /// The whole request went out, its body included.
    pub(crate) sent_all: bool,
    /// The body ended where TLS was cut off, which was allowed (SPEC R41).
    pub(crate) truncated: bool,
}

/// What a TLS handshake has settled (SPEC R9); of a response by
/// [`Response::tls_info`](crate::Response::tls_info).
///
/// ```no_run
/// let response = miohttp::Session::new().get("https://example.com/").send()?;
/// if let Some(tls) = response.tls_info() {
///     println!("{} {}", tls.version(), tls.cipher_suite());
/// }
/// # Ok::<(), miohttp::Error>(())
/// ```
#[derive(Clone)]
pub struct TlsInfo {
    pub(crate) version: &'static str,
    pub(crate) cipher_suite: &'static str,
    pub(crate) key_exchange: Option<&'static str>,
    pub(crate) alpn: Option<Vec<u8>>,
    /// Shared by the connections to a server.
    pub(crate) peer_certificates: Arc<Vec<Box<[u8]>>>,
    pub(crate) server_name: Box<str>,
    pub(crate) resumed: bool,
}

impl TlsInfo {
    /// `"TLSv1.2"` or `"TLSv1.3"`.
    pub fn version(&self) -> &str {
        self.version
    }

    /// The cipher suite by its IANA name, such as `TLS_AES_128_GCM_SHA256`.
    pub fn cipher_suite(&self) -> &str {
        self.cipher_suite
    }

    /// How the keys were exchanged, by its IANA name, such as `x25519`,
    /// `secp256r1`, or `X25519MLKEM768`, which withstands quantum computers. `None` for
    /// a session of TLS 1.2 that was resumed: no keys were exchanged.
    pub fn key_exchange(&self) -> Option<&str> {
        self.key_exchange
    }

    /// The protocol chosen by ALPN (RFC 7301), if the server chose one.
    pub fn alpn(&self) -> Option<&[u8]> {
        self.alpn.as_deref()
    }

    /// The server's certificates as DER, its own first. Those of a resumed
    /// session are the ones of its first handshake.
    pub fn peer_certificates(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.peer_certificates.iter().map(|der| &**der)
    }

    /// The name the certificate was checked against: a host name, or an IP
    /// address without brackets.
    pub fn server_name(&self) -> &str {
        &self.server_name
    }

    /// Whether an earlier session was resumed (RFC 8446 §2.2). The certificate
    /// was checked in its first handshake then.
    pub fn is_resumed(&self) -> bool {
        self.resumed
    }
}

impl fmt::Debug for TlsInfo {
    // Certificates are pages of numbers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsInfo")
            .field("version", &self.version)
            .field("cipher_suite", &self.cipher_suite)
            .field("key_exchange", &self.key_exchange)
            .field("server_name", &self.server_name)
            .field("peer_certificates", &self.peer_certificates.len())
            .field("resumed", &self.resumed)
            .finish_non_exhaustive()
    }
}

/// What was sent for a response or an error: of the last hop, automatic headers
/// included (SPEC A1).
///
/// ```no_run
/// let response = miohttp::Session::new().get("http://example.com/#top").send()?;
/// let request = response.request_info();
/// assert_eq!(request.url().as_str(), "http://example.com/");
/// assert!(request.headers().contains_key("user-agent"));
/// # Ok::<(), miohttp::Error>(())
/// ```
#[derive(Clone)]
pub struct RequestInfo {
    method: Method,
    url: Url,
    real_url: Url,
    headers: HeaderMap,
}

impl RequestInfo {
    /// `url` is without credentials.
    pub(crate) fn new(url: &Url, head: &RequestHead) -> Self {
        let mut headers = head.fields.to_map();
        for (name, value) in &mut headers {
            let secret = matches!(
                name.as_str(),
                "authorization" | "cookie" | "proxy-authorization"
            );
            value.set_sensitive(secret);
        }
        let mut shown = url.clone();
        shown.set_fragment(None);
        Self {
            method: head.method.clone(),
            url: shown,
            real_url: url.clone(),
            headers,
        }
    }

    /// Shows the URLs otherwise.
    #[cfg(feature = "websocket")]
    pub(crate) fn map_urls(&mut self, map: fn(&mut Url)) {
        map(&mut self.url);
        map(&mut self.real_url);
    }

    /// The method as it was sent.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The URL, without its fragment and without credentials.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The URL with its fragment, without credentials.
    pub fn real_url(&self) -> &Url {
        &self.real_url
    }

    /// The headers as they were sent, automatic ones and cookies included.
    /// Names are in lower case; the values of `Authorization`, `Cookie` and
    /// `Proxy-Authorization` are marked sensitive.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }
}

impl fmt::Debug for RequestInfo {
    // Values may hold tokens under any name, so names alone are printed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestInfo")
            .field("method", &self.method)
            .field("url", &self.url.as_str())
            .field("headers", &self.headers.keys().collect::<Vec<_>>())
            .finish()
    }
}

/// What a request has cost (SPEC R10); of a response by
/// [`Response::stats`](crate::Response::stats), of a failure by
/// [`Error::stats`](crate::Error::stats).
///
/// Bytes are those of the last exchange, in HTTP's own terms: heads and chunk
/// framing count, TLS does not, and a body is counted as it is on the wire,
/// before it is decoded. Until a response's body has been read to its end they
/// say what had moved when its head was handed out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Exchanges begun: one a hop, and one more for each that was sent again.
    /// Zero for a request that was refused at the verb.
    pub attempts: u32,
    /// Those of them that were sent again: since a stale connection had swallowed
    /// them (SPEC Y1), or since a [`RetryPolicy`](crate::RetryPolicy) said so
    /// (SPEC Y2).
    pub retries: u32,
    /// Redirects followed.
    pub redirects: u32,
    /// Whether the connection had served an earlier request.
    pub reused: bool,
    /// Bytes given to the connection.
    pub bytes_sent: u64,
    /// Bytes received from it.
    pub bytes_received: u64,
    /// Whether the whole request went out. A server may answer before that, and
    /// the rest is kept back then (SPEC B9).
    pub upload_complete: bool,
}

impl Stats {
    /// Those of one exchange.
    pub(crate) fn of(reused: bool, tally: Tally) -> Self {
        Self {
            reused,
            bytes_sent: tally.sent,
            bytes_received: tally.received,
            upload_complete: tally.sent_all,
            ..Self::default()
        }
    }
}
