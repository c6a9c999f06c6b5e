//! The limit: the least that gets the same bytes over the same socket. It is
//! no client: it trusts the server to the letter.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rustls::client::UnbufferedClientConnection;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use super::blocking::{Blocking, Holding, hold};
use super::limit_up::Uploading;
use super::{Job, Scratch, limit_many};
use crate::bare_tls::BareTls;
use crate::meter::Meter;
use crate::plan::{BLOCK, Shape};
use crate::repeat::repeat;
use crate::{Error, Outcome};

pub(super) struct Limit {
    server: SocketAddr,
    tls: Option<Arc<ClientConfig>>,
    fresh: bool,
    uploads: bool,
    /// How much TLS reads at a time.
    buffer: usize,
}

/// A request, ready to be written.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) server: SocketAddr,
    pub(super) get: Vec<u8>,
    path: String,
}

impl Limit {
    pub(super) fn new(job: &Job) -> Result<Self, Error> {
        let workload = job.workload;
        // A large one is not worth making for a single small answer.
        let small = workload.is_fresh() || matches!(workload.shape(), Shape::Idle(_));
        Ok(Self {
            // What is read and what was decrypted of it are in the cache together.
            buffer: if small { 0 } else { BLOCK.len() / 2 },
            server: job.server,
            tls: job.is_tls().then(|| tls_config(job)).transpose()?,
            fresh: workload.is_fresh(),
            uploads: matches!(workload.shape(), Shape::Upload),
        })
    }

    fn connect(&self) -> Result<Wire, Error> {
        let stream = TcpStream::connect(self.server)?;
        stream.set_nodelay(true)?;
        let Some(config) = &self.tls else {
            return Ok(Wire::Plain(stream));
        };
        if self.uploads {
            let stream = Uploading::new(config, stream)?;
            return Ok(Wire::Uploading(Box::new(stream)));
        }
        Ok(Wire::Tls(Box::new(BareTls::client(
            config,
            stream,
            self.buffer,
        )?)))
    }
}

/// What rustls needs to know, and no more; it remembers sessions by itself.
pub(crate) fn tls_config(job: &Job) -> Result<Arc<ClientConfig>, Error> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&job.ca_pem()?)?)?;
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// A connection, or none yet.
pub(super) enum Wire {
    Closed,
    Plain(TcpStream),
    Tls(Box<BareTls<UnbufferedClientConnection>>),
    Uploading(Box<Uploading>),
}

impl Blocking for Limit {
    type Url = Prepared;
    type Lane = Wire;

    fn url(&self, text: &str) -> Result<Prepared, Error> {
        let (_, rest) = text.split_once("://").ok_or("a URL without a scheme")?;
        let at = rest.find('/').ok_or("a URL without a path")?;
        let (host, path) = rest.split_at(at);
        Ok(Prepared {
            server: host.parse()?,
            get: format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nAccept: */*\r\n\r\n").into_bytes(),
            path: path.to_owned(),
        })
    }

    fn lane(&self) -> Result<Wire, Error> {
        if self.fresh {
            Ok(Wire::Closed)
        } else {
            self.connect()
        }
    }

    fn get(&self, wire: &mut Wire, url: &Prepared, scratch: &mut Scratch) -> Result<u64, Error> {
        if self.fresh {
            *wire = self.connect()?;
        }
        let read = match wire {
            Wire::Closed => return Err("there is no connection".into()),
            Wire::Plain(stream) => exchange(stream, &url.get, scratch),
            Wire::Tls(stream) => exchange(stream.as_mut(), &url.get, scratch),
            Wire::Uploading(stream) => exchange(stream.as_mut(), &url.get, scratch),
        };
        if self.fresh {
            *wire = Wire::Closed;
        }
        read
    }

    fn put(&self, wire: &mut Wire, url: &Prepared, bytes: u64) -> Outcome {
        let head = format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Length: {bytes}\r\n\r\n",
            url.path, url.server
        );
        match wire {
            Wire::Closed => Err("there is no connection".into()),
            Wire::Plain(stream) => post(stream, &head, bytes),
            Wire::Tls(stream) => post(stream.as_mut(), &head, bytes),
            Wire::Uploading(stream) => post(stream.as_mut(), &head, bytes),
        }
    }

    fn fly(&self, url: &Prepared, count: usize, meter: &Meter) -> Outcome {
        limit_many::fly(url, count, meter)
    }

    fn idle(&self, urls: &Holding<Prepared>, settled: &mut dyn FnMut()) -> Outcome {
        let mut idle = Vec::with_capacity(urls.count);
        hold(
            urls.count,
            || {
                let mut wire = self.connect()?;
                wire.write(&urls.held.get)?;
                wire.piece()?;
                Ok(wire)
            },
            || {
                let mut wire = self.connect()?;
                wire.write(&urls.release.get)?;
                wire.piece()
            },
            |mut wire| {
                wire.piece()?;
                idle.push(wire);
                Ok(())
            },
            settled,
        )
    }

    fn beside(&self, url: &Prepared, lanes: usize, stop: &AtomicBool) -> Outcome {
        limit_many::until(url, lanes, stop)
    }

    const BESIDE: bool = true;
}

impl Wire {
    fn write(&mut self, bytes: &[u8]) -> Outcome {
        match self {
            Self::Closed => return Err("there is no connection".into()),
            Self::Plain(stream) => stream.write_all(bytes)?,
            Self::Tls(stream) => {
                stream.write_all(bytes)?;
                stream.flush()?;
            }
            Self::Uploading(stream) => stream.write_all(bytes)?,
        }
        Ok(())
    }

    /// One piece of a small answer, as the server wrote it.
    fn piece(&mut self) -> Outcome {
        let mut answer = [0; 4096];
        let n = match self {
            Self::Closed => 0,
            Self::Plain(stream) => stream.read(&mut answer)?,
            Self::Tls(stream) => stream.read(&mut answer)?,
            Self::Uploading(stream) => stream.read(&mut answer)?,
        };
        if n == 0 {
            return Err("the server has gone".into());
        }
        Ok(())
    }
}

/// A stream whose bodies nobody wants.
pub(super) trait Bodies: Read + Write {
    /// Reads at most as much as `scratch` is long; how much that was.
    fn pass(&mut self, scratch: &mut [u8]) -> io::Result<usize>;
}

impl Bodies for TcpStream {
    fn pass(&mut self, scratch: &mut [u8]) -> io::Result<usize> {
        self.read(scratch)
    }
}

impl Bodies for BareTls<UnbufferedClientConnection> {
    /// Not copied once more, out of where it was decrypted.
    fn pass(&mut self, scratch: &mut [u8]) -> io::Result<usize> {
        self.discard(scratch.len())
    }
}

fn exchange(stream: &mut impl Bodies, request: &[u8], scratch: &mut [u8]) -> Result<u64, Error> {
    stream.write_all(request)?;
    receive(stream, scratch)
}

/// The body is one block of 256 KiB over and over, several to a write.
fn post(stream: &mut impl Bodies, head: &str, bytes: u64) -> Outcome {
    stream.write_all(head.as_bytes())?;
    repeat(stream, &BLOCK, bytes)?;
    stream.flush()?;
    let mut answer = [0; 4096];
    receive(stream, &mut answer).map(drop)
}

/// A whole response, its body thrown away.
fn receive(stream: &mut impl Bodies, scratch: &mut [u8]) -> Result<u64, Error> {
    let mut filled = 0;
    let head = loop {
        let n = stream.read(scratch.get_mut(filled..).unwrap_or_default())?;
        if n == 0 {
            return Err("the server has gone".into());
        }
        filled += n;
        if let Some(head) = Head::parse(&scratch[..filled]) {
            break head;
        }
    };
    match head.body {
        Some(body) => {
            let mut left = body.saturating_sub((filled - head.end) as u64);
            while left > 0 {
                match stream.pass(scratch)? {
                    0 => return Err("the server has gone".into()),
                    n => left = left.saturating_sub(n as u64),
                }
            }
            Ok(body)
        }
        None => {
            let mut chunks = Chunks::default();
            let mut ended = chunks.take(&scratch[head.end..filled]);
            while !ended {
                match stream.read(scratch)? {
                    0 => return Err("the server has gone".into()),
                    n => ended = chunks.take(&scratch[..n]),
                }
            }
            Ok(chunks.total)
        }
    }
}

/// Where a response's head ends and how long its body is; `None`: chunked.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) end: usize,
    pub(super) body: Option<u64>,
}

impl Head {
    /// `None`: there is more to come.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut at = 0;
        let mut body = None;
        loop {
            let line = bytes.get(at..)?;
            let length = line.iter().position(|byte| *byte == b'\n')?;
            let line = &line[..length];
            at += length + 1;
            if line == b"\r" {
                return Some(Self { end: at, body });
            }
            if let Some(value) = line.strip_prefix(b"Content-Length: ") {
                body = std::str::from_utf8(value.trim_ascii()).ok()?.parse().ok();
            }
        }
    }
}

/// Chunked coding, trusting the server.
#[derive(Debug, Default)]
struct Chunks {
    total: u64,
    /// Bytes of this chunk that are still to come, its line end included.
    left: usize,
    /// The size line as far as it has come.
    size: usize,
    ending: bool,
    last: bool,
}

impl Chunks {
    /// True when the body has ended.
    fn take(&mut self, mut bytes: &[u8]) -> bool {
        while let Some(first) = bytes.first() {
            if self.left > 0 {
                let n = self.left.min(bytes.len());
                self.left -= n;
                bytes = &bytes[n..];
                if self.left == 0 && self.last {
                    return true;
                }
                continue;
            }
            bytes = &bytes[1..];
            match first {
                b'\r' => self.ending = true,
                b'\n' if self.ending => {
                    self.last = self.size == 0;
                    self.total += self.size as u64;
                    // The line end behind the data; or the empty line behind
                    // the last chunk.
                    self.left = self.size + 2;
                    self.size = 0;
                    self.ending = false;
                }
                digit => {
                    let digit = char::from(*digit).to_digit(16).unwrap_or(0);
                    self.size = self.size * 16 + digit as usize;
                }
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_ends_where_its_empty_line_does() {
        let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n1234567";
        let head = Head::parse(whole).expect("a whole head");
        assert_eq!((head.end, head.body), (whole.len() - 7, Some(7)));
        for cut in 0..head.end {
            assert!(Head::parse(&whole[..cut]).is_none(), "cut at {cut}");
        }
    }

    #[test]
    fn chunks_are_counted_however_they_are_cut() {
        let whole = b"5\r\nhello\r\n1a\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\n\r\n";
        for cut in 0..whole.len() {
            let mut chunks = Chunks::default();
            assert!(!chunks.take(&whole[..cut]), "cut at {cut}");
            assert!(chunks.take(&whole[cut..]), "cut at {cut}");
            assert_eq!(chunks.total, 31, "cut at {cut}");
        }
    }
}
