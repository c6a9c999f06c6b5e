//! reqwest: the async client on a runtime of the calling thread, and its
//! blocking twin, which has a runtime on a thread of its own.

use ::reqwest::{Body, Certificate, Client, ClientBuilder, Response, Url, blocking};
use tokio::runtime::Runtime;

use super::blocking::{Blocking, Holding, hold};
use super::futures::Futures;
use super::hyper::{Upload, runtime};
use super::{Job, Scratch, Source, drain};
use crate::{Error, Outcome};

pub(super) struct Reqwest {
    client: Client,
    runtime: Runtime,
    job: Job,
}

impl Reqwest {
    pub(super) fn new(job: &Job) -> Result<Self, Error> {
        Ok(Self {
            client: configured(job)?.build()?,
            runtime: runtime()?,
            job: job.clone(),
        })
    }
}

/// Both are built from the same settings.
fn configured(job: &Job) -> Result<ClientBuilder, Error> {
    let mut builder = Client::builder().no_proxy();
    if job.is_tls() {
        builder = builder.tls_certs_only([Certificate::from_pem(&job.ca_pem()?)?]);
    }
    Ok(builder)
}

impl Futures for Reqwest {
    type Url = Url;
    type Lane = ();
    type Held = Response;

    /// A client's connections live on the runtime that opened them, so each
    /// thread has its own.
    fn for_thread(&self) -> Result<Self, Error> {
        Self::new(&self.job)
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    fn url(&self, text: &str) -> Result<Url, Error> {
        Ok(Url::parse(text)?)
    }

    async fn lane(&self) -> Result<(), Error> {
        Ok(())
    }

    async fn open(&self, (): (), url: &Url) -> Result<Response, Error> {
        Ok(self.client.get(url.clone()).send().await?)
    }

    async fn read(&self, mut held: Response) -> Result<((), u64), Error> {
        if !self.job.is_transfer() {
            return Ok(((), held.bytes().await?.len() as u64));
        }
        let mut total = 0;
        while let Some(chunk) = held.chunk().await? {
            total += chunk.len() as u64;
        }
        Ok(((), total))
    }

    async fn put(&self, (): (), url: &Url, bytes: u64) -> Result<(), Error> {
        let body = Body::wrap(Upload::of(bytes));
        let request = self.client.post(url.clone()).body(body);
        request.send().await?.bytes().await?;
        Ok(())
    }
}

pub(super) struct ReqwestBlocking {
    client: blocking::Client,
    transfer: bool,
}

impl ReqwestBlocking {
    pub(super) fn new(job: &Job) -> Result<Self, Error> {
        let mut builder = blocking::Client::builder().no_proxy();
        if job.is_tls() {
            builder = builder.tls_certs_only([Certificate::from_pem(&job.ca_pem()?)?]);
        }
        Ok(Self {
            client: builder.build()?,
            transfer: job.is_transfer(),
        })
    }

    fn open(&self, url: &Url) -> Result<blocking::Response, Error> {
        Ok(self.client.get(url.clone()).send()?)
    }
}

impl Blocking for ReqwestBlocking {
    type Url = Url;
    type Lane = ();

    fn url(&self, text: &str) -> Result<Url, Error> {
        Ok(Url::parse(text)?)
    }

    fn lane(&self) -> Result<(), Error> {
        Ok(())
    }

    fn get(&self, (): &mut (), url: &Url, scratch: &mut Scratch) -> Result<u64, Error> {
        let response = self.open(url)?;
        if self.transfer {
            Ok(drain(response, scratch)?)
        } else {
            Ok(response.bytes()?.len() as u64)
        }
    }

    fn put(&self, (): &mut (), url: &Url, bytes: u64) -> Outcome {
        let body = blocking::Body::sized(Source::of(bytes), bytes);
        self.client.post(url.clone()).body(body).send()?.bytes()?;
        Ok(())
    }

    fn idle(&self, urls: &Holding<Url>, settled: &mut dyn FnMut()) -> Outcome {
        hold(
            urls.count,
            || self.open(&urls.held),
            || Ok(self.open(&urls.release)?.bytes().map(drop)?),
            |response| Ok(response.bytes().map(drop)?),
            settled,
        )
    }
}
