//! The other end: a real HTTPS server (hyper and rustls on tokio) on a thread
//! of its own. Nothing here is needed to use miohttp.

use std::convert::Infallible;
use std::error::Error;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, LOCATION};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

/// What `/` says.
pub(crate) const GREETING: &str = "Hello from a real server.\n";
/// How long `/slow` waits before it answers.
pub(crate) const DELAY: Duration = Duration::from_millis(50);
/// How long `/download` is.
pub(crate) const DOWNLOAD: u64 = 64 * 1024 * 1024;

/// What `/gzip` says, before it is compressed.
pub(crate) fn long_text() -> String {
    "All work and no play makes Jack a dull boy.\n".repeat(2_000)
}

/// A running server; stopped when dropped.
pub(crate) struct Server {
    address: SocketAddr,
    certificate: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts it on a free port of this machine, with a certificate made for
    /// this one run.
    pub(crate) fn start() -> Result<Self, Box<dyn Error>> {
        let certificate = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
        let tls = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.cert.der().clone()],
                PrivatePkcs8KeyDer::from(certificate.signing_key.serialize_der()).into(),
            )?;

        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new()
            .name("server".to_owned())
            .spawn(move || {
                runtime.spawn(accept(listener, TlsAcceptor::from(Arc::new(tls))));
                // It is an error that comes: the sender was dropped. With the
                // runtime every task goes, too.
                let _ = runtime.block_on(stopped);
            })?;
        Ok(Self {
            address,
            certificate: certificate.cert.pem(),
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.address.port())
    }

    /// What a client has to trust.
    pub(crate) fn certificate_pem(&self) -> &[u8] {
        self.certificate.as_bytes()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It can only have panicked, which has been printed.
            let _ = thread.join();
        }
    }
}

/// Serves until it is dropped; a connection that fails concerns nobody else.
async fn accept(listener: TcpListener, tls: TlsAcceptor) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        // Or the first answer waits for the ACK of the session tickets.
        let _ = stream.set_nodelay(true);
        let tls = tls.clone();
        tokio::spawn(async move {
            // The client that distrusts the certificate ends here.
            let Ok(stream) = tls.accept(stream).await else {
                return;
            };
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service_fn(answer))
                .await;
        });
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Content>, Infallible> {
    let path = request.uri().path();
    Ok(match (request.method(), path) {
        (&Method::GET, "/") => text(GREETING),
        (&Method::GET, "/gzip") => gzip(&long_text()),
        (&Method::GET, "/slow") => slow().await,
        (&Method::GET, "/download") => Response::new(Content::Pattern(0)),
        (&Method::GET, "/moved") => {
            let mut response = status(StatusCode::MOVED_PERMANENTLY);
            let target = HeaderValue::from_static("/");
            response.headers_mut().insert(LOCATION, target);
            response
        }
        (&Method::POST, "/orders") => order(request).await,
        _ => status(StatusCode::NOT_FOUND),
    })
}

fn text(text: impl Into<Bytes>) -> Response<Content> {
    let mut response = Response::new(Content::Whole(Some(text.into())));
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

fn status(status: StatusCode) -> Response<Content> {
    let mut response = Response::new(Content::Whole(None));
    *response.status_mut() = status;
    response
}

fn gzip(plain: &str) -> Response<Content> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let written = encoder.write_all(plain.as_bytes());
    let Ok(coded) = written.and_then(|()| encoder.finish()) else {
        return status(StatusCode::INTERNAL_SERVER_ERROR);
    };
    let mut response = text(coded);
    let coding = HeaderValue::from_static("gzip");
    response.headers_mut().insert(CONTENT_ENCODING, coding);
    response
}

/// Takes its time, and then says how many requests did so at once.
async fn slow() -> Response<Content> {
    static WAITING: AtomicUsize = AtomicUsize::new(0);
    let waiting = WAITING.fetch_add(1, Ordering::Relaxed) + 1;
    tokio::time::sleep(DELAY).await;
    WAITING.fetch_sub(1, Ordering::Relaxed);
    text(waiting.to_string())
}

/// `{"item": "tea", "count": 2}` is answered by the same with a price.
async fn order(request: Request<Incoming>) -> Response<Content> {
    let Ok(body) = Limited::new(request.into_body(), 64 * 1024).collect().await else {
        return status(StatusCode::PAYLOAD_TOO_LARGE);
    };
    let Ok(mut order) = serde_json::from_slice::<serde_json::Value>(&body.to_bytes()) else {
        return status(StatusCode::BAD_REQUEST);
    };
    let Some(count) = order["count"].as_u64() else {
        return status(StatusCode::BAD_REQUEST);
    };
    order["price"] = (count * 3).into();
    let mut response = text(order.to_string());
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

/// The body of an answer.
enum Content {
    Whole(Option<Bytes>),
    /// `/download`, so many bytes of which are sent.
    Pattern(u64),
}

impl Body for Content {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let data = match &mut *self {
            Self::Whole(bytes) => bytes.take(),
            Self::Pattern(sent) if *sent == DOWNLOAD => None,
            Self::Pattern(sent) => {
                let mut block = vec![0; 64 * 1024];
                fill(&mut block, *sent);
                *sent += block.len() as u64;
                Some(block.into())
            }
        };
        Poll::Ready(data.map(|data| Ok(Frame::data(data))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match self {
            Self::Whole(bytes) => bytes.as_ref().map_or(0, |bytes| bytes.len() as u64),
            Self::Pattern(sent) => DOWNLOAD - sent,
        })
    }
}

/// What stands at `position` of `/download`. Each eight bytes are a scramble
/// of their own number, so that a byte lost, doubled or moved is noticed.
pub(crate) fn fill(block: &mut [u8], position: u64) {
    let mut at = position;
    let mut rest = block;
    while !rest.is_empty() {
        let word = (at / 8 + 1)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .to_be_bytes();
        let inside = (at % 8) as usize;
        let n = (8 - inside).min(rest.len());
        let (now, later) = rest.split_at_mut(n);
        now.copy_from_slice(&word[inside..inside + n]);
        at += n as u64;
        rest = later;
    }
}
