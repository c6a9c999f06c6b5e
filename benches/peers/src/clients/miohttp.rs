//! miohttp: blocking, started, and awaited; one session for all threads.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};

use ::miohttp::{Body, Bytes, Connector, Pending, Response, Session, TlsConfig, Url};

use super::blocking::{Blocking, Holding, hold};
use super::futures::Futures;
use super::{Job, Scratch, unable};
use crate::meter::Meter;
use crate::plan::BLOCK;
use crate::{Error, Outcome};

/// Without the limit of 100 connections, which two workloads are above.
fn session(job: &Job) -> Result<Session, Error> {
    let mut connector = Connector::builder().limit(0);
    if job.is_tls() {
        connector = connector.tls(TlsConfig::new().add_root_pem(&job.ca_pem()?)?);
    }
    Ok(Session::builder().connector(connector.build()).build())
}

/// The length of a body: read whole if small, else as it comes.
fn read(mut response: Response, transfer: bool) -> Result<u64, Error> {
    if !transfer {
        return Ok(response.bytes()?.len() as u64);
    }
    let mut total = 0;
    while let Some(chunk) = response.chunk()? {
        total += chunk.len() as u64;
    }
    Ok(total)
}

/// What is uploaded: the block that all clients send, as often as it takes.
fn upload(bytes: u64) -> Result<Body, Error> {
    let block = Bytes::from_static(&BLOCK);
    let whole = bytes / BLOCK.len() as u64;
    let rest = usize::try_from(bytes % BLOCK.len() as u64)?;
    let blocks = (0..whole).map(|_| block.clone());
    Ok(Body::pieces(blocks.chain([block.slice(..rest)])))
}

/// `send()`, with a parsed URL.
pub(super) struct Sent {
    session: Session,
    transfer: bool,
    /// Made before anything is measured.
    upload: Option<Body>,
}

impl Sent {
    pub(super) fn new(job: &Job) -> Result<Self, Error> {
        Ok(Self {
            session: session(job)?,
            transfer: job.is_transfer(),
            upload: job.uploads().then(|| upload(job.bytes)).transpose()?,
        })
    }
}

impl Blocking for Sent {
    type Url = Url;
    type Lane = ();

    fn url(&self, text: &str) -> Result<Url, Error> {
        Ok(Url::parse(text)?)
    }

    fn lane(&self) -> Result<(), Error> {
        Ok(())
    }

    fn get(&self, (): &mut (), url: &Url, _: &mut Scratch) -> Result<u64, Error> {
        read(self.session.get(url).send()?, self.transfer)
    }

    fn put(&self, (): &mut (), url: &Url, _: u64) -> Outcome {
        let body = self.upload.clone().ok_or("nothing to upload")?;
        self.session.post(url).body(body).send()?.bytes()?;
        Ok(())
    }

    fn idle(&self, urls: &Holding<Url>, settled: &mut dyn FnMut()) -> Outcome {
        hold(
            urls.count,
            || Ok(self.session.get(&urls.held).send()?),
            || Ok(self.session.get(&urls.release).send()?.bytes().map(drop)?),
            |response| Ok(response.bytes().map(drop)?),
            settled,
        )
    }

    fn beside(&self, url: &Url, lanes: usize, stop: &AtomicBool) -> Outcome {
        keep_started(&self.session, url, lanes, || !stop.load(Ordering::Relaxed))
    }

    const BESIDE: bool = true;
}

/// `send()`, with the URL as text.
pub(super) struct Text(Sent);

impl Text {
    pub(super) fn new(job: &Job) -> Result<Self, Error> {
        Sent::new(job).map(Self)
    }
}

impl Blocking for Text {
    type Url = String;
    type Lane = ();

    fn url(&self, text: &str) -> Result<String, Error> {
        Ok(text.to_owned())
    }

    fn lane(&self) -> Result<(), Error> {
        Ok(())
    }

    fn get(&self, (): &mut (), url: &String, _: &mut Scratch) -> Result<u64, Error> {
        read(self.0.session.get(url).send()?, self.0.transfer)
    }

    fn put(&self, (): &mut (), _: &String, _: u64) -> Outcome {
        unable()
    }
}

/// `start_send()` and `wait()`.
pub(super) struct Started(Sent);

impl Started {
    pub(super) fn new(job: &Job) -> Result<Self, Error> {
        Sent::new(job).map(Self)
    }
}

impl Blocking for Started {
    type Url = Url;
    type Lane = ();

    fn url(&self, text: &str) -> Result<Url, Error> {
        self.0.url(text)
    }

    fn lane(&self) -> Result<(), Error> {
        Ok(())
    }

    fn get(&self, (): &mut (), url: &Url, _: &mut Scratch) -> Result<u64, Error> {
        let mut response = self.0.session.get(url).start_send().wait()?;
        if !self.0.transfer {
            return Ok(response.start_bytes().wait()?.len() as u64);
        }
        let mut total = 0;
        while let Some(chunk) = response.start_chunk().wait()? {
            total += chunk.len() as u64;
        }
        Ok(total)
    }

    fn put(&self, (): &mut (), url: &Url, _: u64) -> Outcome {
        let body = self.0.upload.clone().ok_or("nothing to upload")?;
        let response = self.0.session.post(url).body(body).start_send().wait()?;
        response.start_bytes().wait()?;
        Ok(())
    }

    fn fly(&self, url: &Url, count: usize, meter: &Meter) -> Outcome {
        let mut lanes: Vec<_> = (0..count).map(|_| meter.lane()).collect();
        let mut flying = VecDeque::with_capacity(count);
        let mut free: Vec<usize> = (0..count).collect();
        loop {
            while let Some(lane) = free.pop() {
                if lanes.get_mut(lane).is_some_and(|lane| lane.turn()) {
                    flying.push_back((lane, start(&self.0.session, url)));
                }
            }
            // The oldest; its lane then sends another.
            let Some((lane, oldest)) = flying.pop_front() else {
                return Ok(());
            };
            oldest.wait()?;
            free.push(lane);
        }
    }

    fn idle(&self, urls: &Holding<Url>, settled: &mut dyn FnMut()) -> Outcome {
        let session = &self.0.session;
        hold(
            urls.count,
            || Ok(session.get(&urls.held).start_send().wait()?),
            || Ok(start(session, &urls.release).wait().map(drop)?),
            |response| Ok(response.start_bytes().wait().map(drop)?),
            settled,
        )
    }

    fn beside(&self, url: &Url, lanes: usize, stop: &AtomicBool) -> Outcome {
        self.0.beside(url, lanes, stop)
    }

    const BESIDE: bool = true;
}

fn start(session: &Session, url: &Url) -> Pending<Bytes> {
    session
        .get(url)
        .start_send()
        .and_then(Response::start_bytes)
}

/// Keeps `count` requests in flight while `more` says so.
fn keep_started(session: &Session, url: &Url, count: usize, more: impl Fn() -> bool) -> Outcome {
    let mut flying: VecDeque<_> = (0..count).map(|_| start(session, url)).collect();
    while let Some(oldest) = flying.pop_front() {
        oldest.wait()?;
        if more() {
            flying.push_back(start(session, url));
        }
    }
    Ok(())
}

/// The feature `async`, on the smallest of executors.
pub(super) struct Awaited {
    session: Session,
    transfer: bool,
    upload: Option<Body>,
}

impl Awaited {
    pub(super) fn new(job: &Job) -> Result<Self, Error> {
        let Sent {
            session,
            transfer,
            upload,
        } = Sent::new(job)?;
        Ok(Self {
            session,
            transfer,
            upload,
        })
    }
}

impl Futures for Awaited {
    type Url = Url;
    type Lane = ();
    type Held = Response;

    fn for_thread(&self) -> Result<Self, Error> {
        Ok(Self {
            session: self.session.clone(),
            transfer: self.transfer,
            upload: self.upload.clone(),
        })
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        futures_executor::block_on(future)
    }

    fn url(&self, text: &str) -> Result<Url, Error> {
        Ok(Url::parse(text)?)
    }

    async fn lane(&self) -> Result<(), Error> {
        Ok(())
    }

    async fn open(&self, (): (), url: &Url) -> Result<Response, Error> {
        Ok(self.session.get(url).await?)
    }

    async fn read(&self, mut held: Response) -> Result<((), u64), Error> {
        if !self.transfer {
            return Ok(((), held.start_bytes().await?.len() as u64));
        }
        let mut total = 0;
        while let Some(chunk) = held.start_chunk().await? {
            total += chunk.len() as u64;
        }
        Ok(((), total))
    }

    async fn put(&self, (): (), url: &Url, _: u64) -> Result<(), Error> {
        let body = self.upload.clone().ok_or("nothing to upload")?;
        let response = self.session.post(url).body(body).await?;
        response.start_bytes().await?;
        Ok(())
    }
}
