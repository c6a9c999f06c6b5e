//! isahc: one client for all threads; it drives libcurl's multi interface on a
//! thread of its own.

use std::sync::atomic::{AtomicBool, Ordering};

use ::isahc::config::{Configurable, ExpectContinue};
use ::isahc::http::Uri;
use ::isahc::tls::{TlsConfig, TrustStore};
use ::isahc::{AsyncReadResponseExt, Body, HttpClient, ReadResponseExt, Request};
use futures_util::future::try_join_all;

use super::blocking::{Blocking, Holding, hold};
use super::{Job, Scratch, Source, drain};
use crate::meter::Meter;
use crate::{Error, Outcome};

pub(super) struct Isahc {
    client: HttpClient,
    transfer: bool,
}

impl Isahc {
    pub(super) fn new(job: &Job) -> Result<Self, Error> {
        let mut builder = HttpClient::builder()
            .connection_cache_size(2048)
            .expect_continue(ExpectContinue::disabled())
            .proxy(None)
            .tcp_nodelay();
        if job.is_tls() {
            let roots = TrustStore::from_file(&job.ca);
            builder = builder.tls_config(TlsConfig::builder().trust_store(roots).build());
        }
        Ok(Self {
            client: builder.build()?,
            transfer: job.is_transfer(),
        })
    }

    async fn one(&self, url: &Uri) -> Outcome {
        self.client.get_async(url).await?.bytes().await?;
        Ok(())
    }
}

impl Blocking for Isahc {
    type Url = Uri;
    type Lane = ();

    fn url(&self, text: &str) -> Result<Uri, Error> {
        Ok(text.parse()?)
    }

    fn lane(&self) -> Result<(), Error> {
        Ok(())
    }

    fn get(&self, (): &mut (), url: &Uri, scratch: &mut Scratch) -> Result<u64, Error> {
        let mut response = self.client.get(url)?;
        if self.transfer {
            Ok(drain(response.into_body(), scratch)?)
        } else {
            Ok(response.bytes()?.len() as u64)
        }
    }

    fn put(&self, (): &mut (), url: &Uri, bytes: u64) -> Outcome {
        let body = Body::from_reader_sized(Source::of(bytes), bytes);
        let request = Request::post(url.clone()).body(body)?;
        self.client.send(request)?.bytes()?;
        Ok(())
    }

    fn fly(&self, url: &Uri, count: usize, meter: &Meter) -> Outcome {
        let lanes = (0..count).map(|_| async {
            let mut lane = meter.lane();
            while lane.turn() {
                self.one(url).await?;
            }
            Ok::<_, Error>(())
        });
        futures_executor::block_on(try_join_all(lanes)).map(drop)
    }

    fn idle(&self, urls: &Holding<Uri>, settled: &mut dyn FnMut()) -> Outcome {
        hold(
            urls.count,
            || Ok(self.client.get(&urls.held)?),
            || Ok(self.client.get(&urls.release)?.bytes().map(drop)?),
            |mut response| Ok(response.bytes().map(drop)?),
            settled,
        )
    }

    fn beside(&self, url: &Uri, lanes: usize, stop: &AtomicBool) -> Outcome {
        let lanes = (0..lanes).map(|_| async {
            while !stop.load(Ordering::Relaxed) {
                self.one(url).await?;
            }
            Ok::<_, Error>(())
        });
        futures_executor::block_on(try_join_all(lanes)).map(drop)
    }

    const BESIDE: bool = true;
}
