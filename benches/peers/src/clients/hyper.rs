//! hyper: its HTTP/1 connections themselves, on a runtime of the calling
//! thread. It has no pool, so each lane keeps a connection.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use ::hyper::body::{Body, Frame, Incoming, SizeHint};
use ::hyper::client::conn::http1::{SendRequest, handshake};
use ::hyper::header::HOST;
use ::hyper::{Method, Request, Response, Uri};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio_rustls::TlsConnector;

use super::futures::Futures;
use super::{Job, Source, limit};
use crate::Error;
use crate::plan::BLOCK;

pub(super) struct Hyper {
    server: SocketAddr,
    tls: Option<Arc<ClientConfig>>,
    runtime: Runtime,
}

/// A runtime that runs on whoever blocks on it, which spares a hand-off.
pub(crate) fn runtime() -> Result<Runtime, Error> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}

impl Hyper {
    pub(super) fn new(job: &Job) -> Result<Self, Error> {
        Ok(Self {
            server: job.server,
            tls: job.is_tls().then(|| limit::tls_config(job)).transpose()?,
            runtime: runtime()?,
        })
    }
}

/// A body that is sent in pieces of 256 KiB; empty for a GET.
#[derive(Debug)]
pub(super) struct Upload(Source);

impl Upload {
    pub(super) fn of(bytes: u64) -> Self {
        Self(Source::of(bytes))
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.0.piece(BLOCK.len());
        let frame = (!piece.is_empty()).then(|| Ok(Frame::data(Bytes::from_static(piece))));
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.0.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.left)
    }
}

/// A URL, with what goes into the `Host` field.
pub(super) struct Target {
    uri: Uri,
    host: ::hyper::header::HeaderValue,
}

impl Target {
    fn request(&self, method: Method, bytes: u64) -> Result<Request<Upload>, Error> {
        Ok(Request::builder()
            .method(method)
            .uri(self.uri.clone())
            .header(HOST, self.host.clone())
            .body(Upload::of(bytes))?)
    }
}

impl Futures for Hyper {
    type Url = Target;
    type Lane = SendRequest<Upload>;
    type Held = (SendRequest<Upload>, Response<Incoming>);

    fn for_thread(&self) -> Result<Self, Error> {
        Ok(Self {
            server: self.server,
            tls: self.tls.clone(),
            runtime: runtime()?,
        })
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    fn url(&self, text: &str) -> Result<Target, Error> {
        let uri: Uri = text.parse()?;
        let host = uri.authority().ok_or("a URL without a host")?.as_str();
        Ok(Target {
            host: host.parse()?,
            // In origin form: a connection sends what it is given.
            uri: uri.path().parse()?,
        })
    }

    async fn lane(&self) -> Result<Self::Lane, Error> {
        let stream = TcpStream::connect(self.server).await?;
        stream.set_nodelay(true)?;
        let Some(config) = &self.tls else {
            let (sender, connection) = handshake(TokioIo::new(stream)).await?;
            tokio::spawn(connection);
            return Ok(sender);
        };
        let name = ServerName::from(self.server.ip());
        let connector = TlsConnector::from(Arc::clone(config));
        let stream = connector.connect(name, stream).await?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(sender)
    }

    async fn open(&self, mut lane: Self::Lane, url: &Target) -> Result<Self::Held, Error> {
        lane.ready().await?;
        let response = lane.send_request(url.request(Method::GET, 0)?).await?;
        Ok((lane, response))
    }

    async fn read(&self, (lane, response): Self::Held) -> Result<(Self::Lane, u64), Error> {
        let mut body = response.into_body();
        let mut total = 0;
        while let Some(frame) = body.frame().await {
            total += frame?.data_ref().map_or(0, |data| data.len() as u64);
        }
        Ok((lane, total))
    }

    async fn put(
        &self,
        mut lane: Self::Lane,
        url: &Target,
        bytes: u64,
    ) -> Result<Self::Lane, Error> {
        lane.ready().await?;
        let request = url.request(Method::POST, bytes)?;
        let response = lane.send_request(request).await?;
        Ok(self.read((lane, response)).await?.0)
    }
}
