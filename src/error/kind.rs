//! The classes an error falls into: what, when, and which limit.

use std::fmt;

/// What went wrong, as a class a program can act on.
///
/// New kinds may join; match with a wildcard arm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// The URL cannot be parsed, has no host, or has a scheme this client does not speak.
    InvalidUrl,
    /// The request contradicts itself or holds something that may not be sent.
    InvalidRequest,
    /// More redirects than the policy allows.
    TooManyRedirects,
    /// A redirect points where no request can go.
    BadRedirect,
    /// A response status of 400 or above, where that was asked to be an error.
    Status,
    /// The body is not of the type that was asked for
    /// (`json_strict`, [`Events`](crate::Events)).
    ContentType,
    /// The server did not agree to a WebSocket (SPEC W9): it answered another status
    /// than 101, which [`Error::status`](crate::Error::status) and its like tell, or
    /// its 101 is not the answer to what was asked.
    WsHandshake,
    /// The host name could not be resolved.
    Dns,
    /// No connection to any address of the host.
    Connect,
    /// The connector's [`AddressFilter`](crate::AddressFilter) admits no address
    /// of the host.
    Blocked,
    /// No way through the proxy: it cannot be reached, or what it said to a
    /// CONNECT or by SOCKS is a refusal without a status, or nonsense, or beyond
    /// the limits of a head, or breaks off. Why is the source. That its name has no address is [`Kind::Dns`], that TLS with it
    /// fails [`Kind::Tls`] or [`Kind::Certificate`].
    ProxyConnect,
    /// The proxy answered a CONNECT with another status than 2xx, which
    /// [`Error::status`](crate::Error::status) and its like tell.
    ProxyRefused,
    /// The TLS handshake or a TLS record failed.
    Tls,
    /// The server's certificate is not acceptable.
    Certificate,
    /// The server's certificate is none of those that were pinned;
    /// [`Error::fingerprints`](crate::Error::fingerprints) has both.
    Fingerprint,
    /// The peer closed or reset the connection before the response was whole.
    Disconnected,
    /// The operating system reported a fault on an open connection. Or the
    /// source of the request body failed ([`Body`](crate::Body)), and its own
    /// error is the cause; that is no fault of a connection, and
    /// [`Error::is_connection`](crate::Error::is_connection) is false.
    Io,
    /// The body cannot be written where it should go
    /// ([`copy_to`](crate::Response::copy_to)); the writer's own error is the
    /// source. Or a request takes no more of its body
    /// ([`BodySender`](crate::BodySender)).
    Write,
    /// A time limit passed; [`Error::timeout`](crate::Error::timeout) says which.
    Timeout,
    /// The body broke off, its framing or its coding is damaged, or it ends
    /// before what was asked of it ([`exactly`](crate::BodyReader::exactly)).
    Payload,
    /// The body is whole but is not the text or the JSON that was asked for.
    Decode,
    /// The reply is not HTTP as RFC 9112 has it, or asks for credentials in a way
    /// that cannot be answered.
    Protocol,
    /// A size limit was passed.
    Limit,
    /// The server broke the rules of WebSockets (RFC 6455), or sent a message that is
    /// too large or not UTF-8, or another one than was asked for.
    WebSocket,
    /// The request body cannot be sent a second time.
    BodyNotReplayable,
    /// The request was cancelled.
    Cancelled,
    /// The session or its connector is closed; or the WebSocket is, and nothing can be
    /// sent by it: what it was lost by, if it was, is the source.
    Closed,
    /// A fault inside this crate, or of the system it runs on (no thread, no descriptor).
    Internal,
}

/// What the request was doing when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Building the request, before anything was sent.
    Request,
    /// Waiting for a free connection slot.
    PoolWait,
    /// Resolving the host name.
    Dns,
    /// Opening the TCP connection.
    Connect,
    /// Asking the proxy for a tunnel.
    Proxy,
    /// In the TLS handshake.
    Tls,
    /// Sending the request.
    Send,
    /// Waiting for the response head.
    Head,
    /// Reading the response body.
    Body,
    /// On a WebSocket that is open.
    WebSocket,
    /// In the opening handshake of a WebSocket.
    Handshake,
    /// Following a redirect.
    Redirect,
    /// Waiting to try again ([`RetryPolicy`](crate::RetryPolicy)).
    Retry,
    /// The limit of the whole request passed, wherever it was.
    Total,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Request => "preparing the request",
            Self::PoolWait => "waiting for a connection slot",
            Self::Dns => "resolving the host name",
            Self::Connect => "connecting",
            Self::Proxy => "asking the proxy",
            Self::Tls => "in the TLS handshake",
            Self::Send => "sending the request",
            Self::Head => "waiting for the response head",
            Self::Body => "reading the response body",
            Self::WebSocket => "on an open WebSocket",
            Self::Handshake => "in the WebSocket handshake",
            Self::Redirect => "following a redirect",
            Self::Retry => "waiting to try again",
            Self::Total => "in progress",
        })
    }
}

/// Which time limit passed (SPEC T1, T2, T3, T4, T6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Timeout {
    /// From the start to the last byte of the body, redirects included.
    Total,
    /// Until a connection is ready: slot, name, TCP, proxy and TLS.
    Connect,
    /// One attempt to connect: TCP, proxy and TLS.
    SockConnect,
    /// The gap between received bytes.
    SockRead,
    /// The wait for a free connection slot.
    PoolWait,
    /// Until an address of the host name is known.
    Dns,
    /// The TLS handshake of one attempt to connect; each of the two where the
    /// proxy is spoken to under TLS as well.
    Tls,
    /// The gap between bytes that the network takes of the request.
    WriteStall,
    /// From the end of the request to the head of the response.
    ResponseHeader,
    /// Fewer bytes of a body moved than have to.
    LowSpeed,
    /// The answer to a WebSocket's heartbeat (SPEC W5).
    Heartbeat,
    /// The wait for a WebSocket's message (SPEC W3).
    WsReceive,
    /// The wait for room for a WebSocket's message
    /// ([`send_timeout`](crate::WebSocket::send_timeout)).
    WsSend,
    /// The wait for the peer's part in closing a WebSocket (SPEC W2).
    WsClose,
}

impl fmt::Display for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Total => "total",
            Self::Connect => "connect",
            Self::SockConnect => "sock_connect",
            Self::SockRead => "sock_read",
            Self::PoolWait => "pool_wait",
            Self::Dns => "dns",
            Self::Tls => "tls",
            Self::WriteStall => "write_stall",
            Self::ResponseHeader => "response_header",
            Self::LowSpeed => "low_speed",
            Self::Heartbeat => "heartbeat",
            Self::WsReceive => "receive_timeout",
            Self::WsSend => "send_timeout",
            Self::WsClose => "close_timeout",
        })
    }
}
