//! The clients, each behind one of two traits: [`Blocking`] for those that
//! block a thread, [`Futures`] for those that are awaited. The workloads are
//! written once over each, as [`ByThreads`] and [`ByFutures`].

mod attohttpc;
mod blocking;
mod curl;
mod curl_multi;
mod futures;
pub(crate) mod hyper;
mod isahc;
pub(crate) mod limit;
mod limit_many;
mod limit_up;
mod minreq;
mod miohttp;
mod reqwest;
mod ureq;

use std::fmt;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::meter::Meter;
use crate::plan::{BLOCK, Workload};
use crate::{Error, Outcome};
use blocking::{Blocking, ByThreads};
use futures::{ByFutures, Futures};

/// A client as the workloads see it. What it cannot do says [`Unable`], and is
/// null in the report.
pub(crate) trait Client {
    /// One GET after another.
    fn sequence(&self, meter: &Meter) -> Outcome;

    /// `count` threads, each one GET after another.
    fn threads(&self, count: usize, meter: &Meter) -> Outcome;

    /// `count` lanes in flight from this thread, each one GET after another.
    fn fly(&self, count: usize, meter: &Meter) -> Outcome;

    /// One upload after another.
    fn upload(&self, meter: &Meter) -> Outcome;

    /// Opens `count` connections at once, leaves them idle, and calls `settled`
    /// before the first and while all are open.
    fn idle(&self, count: usize, settled: &mut dyn FnMut()) -> Outcome;

    /// One blocking caller alone, then beside `lanes` in flight.
    fn mix(&self, lanes: usize, alone: &Meter, beside: &Meter) -> Outcome;
}

/// Says that a client has no way to do this.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unable;

impl fmt::Display for Unable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this client cannot do that")
    }
}

impl std::error::Error for Unable {}

fn unable() -> Outcome {
    Err(Unable.into())
}

/// What one child is to do, and where.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) workload: Workload,
    /// The server's door for it.
    pub(crate) server: SocketAddr,
    /// The server's other door, for what runs beside.
    pub(crate) many: SocketAddr,
    /// The authority to trust, in PEM.
    pub(crate) ca: PathBuf,
    /// Of a transfer.
    pub(crate) bytes: u64,
}

impl Job {
    pub(crate) fn is_tls(&self) -> bool {
        self.workload.is_tls()
    }

    fn path(&self) -> String {
        self.workload.path(self.bytes)
    }

    fn url(&self) -> String {
        self.url_of(&self.path())
    }

    fn url_of(&self, path: &str) -> String {
        let scheme = if self.is_tls() { "https" } else { "http" };
        format!("{scheme}://{}{path}", self.server)
    }

    /// Where what runs beside goes; always plain.
    fn url_beside(&self) -> String {
        format!("http://{}/small", self.many)
    }

    /// Bodies too large to be taken whole.
    fn is_transfer(&self) -> bool {
        self.workload.answer(self.bytes) > 1 << 20
    }

    fn uploads(&self) -> bool {
        matches!(self.workload, Workload::Up | Workload::UpTls)
    }

    pub(crate) fn ca_pem(&self) -> Result<Vec<u8>, Error> {
        Ok(std::fs::read(&self.ca)?)
    }

    /// Every body is counted, so that nobody wins by not reading it.
    fn check(&self, read: u64) -> Outcome {
        let expected = self.workload.answer(self.bytes);
        if read == expected {
            return Ok(());
        }
        Err(format!("a body of {expected} bytes came as {read}").into())
    }
}

/// The client of a name.
pub(crate) fn named(name: &str, job: &Job) -> Result<Box<dyn Client>, Error> {
    fn threads<B: Blocking + 'static>(client: B, job: &Job) -> Box<dyn Client> {
        Box::new(ByThreads::new(client, job))
    }
    fn futures<F: Futures + 'static>(client: F, job: &Job) -> Box<dyn Client> {
        Box::new(ByFutures::new(client, job))
    }
    Ok(match name {
        "limit" => threads(limit::Limit::new(job)?, job),
        "miohttp" => threads(miohttp::Sent::new(job)?, job),
        "miohttp-string" => threads(miohttp::Text::new(job)?, job),
        "miohttp-started" => threads(miohttp::Started::new(job)?, job),
        "miohttp-async" => futures(miohttp::Awaited::new(job)?, job),
        "ureq" => threads(ureq::Ureq::new(job)?, job),
        "reqwest" => futures(reqwest::Reqwest::new(job)?, job),
        "reqwest-blocking" => threads(reqwest::ReqwestBlocking::new(job)?, job),
        "isahc" => threads(isahc::Isahc::new(job)?, job),
        "curl" => threads(curl::Curl::new(job), job),
        "curl-multi" => Box::new(curl_multi::CurlMulti::new(job)),
        "hyper" => futures(hyper::Hyper::new(job)?, job),
        "attohttpc" => threads(attohttpc::Attohttpc::new(job)?, job),
        "minreq" => threads(minreq::Minreq::new(job), job),
        _ => return Err(format!("there is no client named {name:?}").into()),
    })
}

/// What transfers are read into; also for small bodies, which touch little of it.
type Scratch = Vec<u8>;

/// What a reader finds at once where it falls behind: smaller reads wake it, and whoever
/// writes has to do that, more often than they spare memory.
fn scratch() -> Scratch {
    vec![0; 4 * BLOCK.len()]
}

/// Reads to the end, keeps nothing, and counts.
fn drain(mut from: impl Read, scratch: &mut [u8]) -> io::Result<u64> {
    let mut total = 0;
    loop {
        match from.read(scratch) {
            Ok(0) => return Ok(total),
            Ok(n) => total += n as u64,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// An upload as a reader: as many bytes as asked for, in large pieces.
#[derive(Clone, Copy, Debug)]
struct Source {
    left: u64,
}

impl Source {
    fn of(bytes: u64) -> Self {
        Self { left: bytes }
    }

    /// The next piece, of at most `most` bytes; empty at the end.
    fn piece(&mut self, most: usize) -> &'static [u8] {
        let most = most.min(BLOCK.len());
        let n = usize::try_from(self.left).map_or(most, |left| left.min(most));
        self.left -= n as u64;
        &BLOCK[..n]
    }
}

impl Read for Source {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let piece = self.piece(into.len());
        into[..piece.len()].copy_from_slice(piece);
        Ok(piece.len())
    }
}
