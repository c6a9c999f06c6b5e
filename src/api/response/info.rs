//! What a response knows of its connection, and of the request it answers.

use std::net::SocketAddr;

use http::HeaderMap;

use super::super::connection::ConnectionInfo;
use super::super::upgraded::Upgraded;
use super::{BodyPlace, Response, lock};
use crate::error::Error;
use crate::job::{RequestInfo, Stats, TlsInfo};

impl Response {
    /// The request as it was sent in the last hop, automatic headers included
    /// (SPEC R8, A1). Built on each call.
    pub fn request_info(&self) -> RequestInfo {
        self.about.request_info()
    }

    /// This end's address of the connection, where the system tells (SPEC R9).
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.about.facts.link.local
    }

    /// What the TLS handshake of the connection settled; `None` for plain http
    /// (SPEC R9).
    pub fn tls_info(&self) -> Option<&TlsInfo> {
        self.about.facts.link.tls.as_ref()
    }

    /// What the proxy answered to the `CONNECT` that made the tunnel of this
    /// connection (SPEC X4): its header fields, as they were when it was made.
    /// `None` where there is no tunnel, or one by SOCKS. Built on each call. Of a
    /// proxy that refused they are in the error
    /// ([`Error::headers`](crate::Error::headers)).
    ///
    /// ```no_run
    /// use miohttp::{Proxy, Session};
    ///
    /// let proxy = Proxy::all("http://proxy.example.com:3128")?;
    /// let response = Session::new().get("https://example.org/").proxy(proxy).send()?;
    /// println!("{:?}", response.proxy_headers());
    /// # Ok::<(), miohttp::Error>(())
    /// ```
    pub fn proxy_headers(&self) -> Option<HeaderMap> {
        let proxy = self.about.facts.link.proxy.as_ref()?;
        Some(proxy.reply.as_ref()?.to_map())
    }

    /// The connection, as long as the body has not all been received and nobody
    /// has given it up (SPEC N1); `None` from then on, for it may serve others. A
    /// short body mostly comes with its head.
    pub fn connection(&self) -> Option<ConnectionInfo> {
        let is_coming = match &self.body {
            BodyPlace::Here(body) => body.is_coming(),
            // Somebody waits for a piece of it, or has given it up.
            BodyPlace::Lent(home) => lock(home).as_ref().is_none_or(|body| body.is_coming()),
        };
        is_coming.then(|| ConnectionInfo::new(&self.about.facts))
    }

    /// The connection, after the server has switched to another protocol: with
    /// status 101, which it may only send to a request with an `Upgrade` header
    /// (RFC 9110 §7.8), or with any 2xx to `CONNECT` (SPEC N1). What the server
    /// has sent behind the head comes first.
    ///
    /// # Errors
    /// [`Kind::InvalidRequest`](crate::Kind::InvalidRequest) if the protocol was
    /// not switched, or before the whole request was sent; look at
    /// [`status`](Response::status) first, for the response is spent.
    pub fn into_upgraded(self) -> Result<Upgraded, Error> {
        let (about, cancel) = (self.about.clone(), self.cancel_handle());
        let Some((tunnel, connector, _)) = self.into_body()?.into_tunnel() else {
            let status = about.head.status().as_u16();
            let message = format!("the protocol was not switched: the server answered {status}");
            return Err(Error::invalid_request(message).with_url(&about.url));
        };
        Ok(Upgraded::new(tunnel, connector, about, cancel))
    }

    /// Whether the body ended where TLS was cut off, which
    /// [`allow_truncated_tls`](crate::RequestBuilder::allow_truncated_tls) let
    /// pass (SPEC R41). Known once the body was read to its end; false before.
    pub fn is_truncated(&self) -> bool {
        match &self.body {
            BodyPlace::Here(body) => body.is_truncated(),
            BodyPlace::Lent(home) => lock(home).as_ref().is_some_and(|body| body.is_truncated()),
        }
    }

    /// What the request has cost so far (SPEC R10). The bytes are final once
    /// the body was read to its end.
    ///
    /// ```no_run
    /// let mut response = miohttp::Session::new().get("http://example.com/").send()?;
    /// while response.chunk()?.is_some() {}
    /// println!("{} bytes received", response.stats().bytes_received);
    /// # Ok::<(), miohttp::Error>(())
    /// ```
    pub fn stats(&self) -> Stats {
        match &self.body {
            BodyPlace::Here(body) => body.stats(),
            BodyPlace::Lent(home) => lock(home)
                .as_ref()
                .map_or_else(|| self.about.stats(), |body| body.stats()),
        }
    }
}
