//! ureq: one agent for all threads, as its documentation advises.

use std::sync::Arc;

use ::ureq::http::{Response, Uri};
use ::ureq::tls::{Certificate, RootCerts, TlsConfig};
use ::ureq::{Agent, Body, SendBody};

use super::blocking::{Blocking, Holding, hold};
use super::{Job, Scratch, Source, drain};
use crate::{Error, Outcome};

pub(super) struct Ureq {
    agent: Agent,
    transfer: bool,
}

impl Ureq {
    /// More idle connections than its 3 to a host, and larger buffers for what
    /// is large.
    pub(super) fn new(job: &Job) -> Result<Self, Error> {
        let mut config = Agent::config_builder()
            .max_idle_connections(2048)
            .max_idle_connections_per_host(2048)
            .proxy(None);
        if job.is_transfer() || job.uploads() {
            config = config
                .input_buffer_size(256 * 1024)
                .output_buffer_size(256 * 1024);
        }
        if job.is_tls() {
            let ca = Certificate::from_pem(&job.ca_pem()?)?;
            let roots = RootCerts::Specific(Arc::new(vec![ca]));
            config = config.tls_config(TlsConfig::builder().root_certs(roots).build());
        }
        Ok(Self {
            agent: config.build().new_agent(),
            transfer: job.is_transfer(),
        })
    }

    fn open(&self, url: &Uri) -> Result<Response<Body>, Error> {
        Ok(self.agent.get(url).call()?)
    }
}

impl Blocking for Ureq {
    type Url = Uri;
    type Lane = ();

    fn url(&self, text: &str) -> Result<Uri, Error> {
        Ok(text.parse()?)
    }

    fn lane(&self) -> Result<(), Error> {
        Ok(())
    }

    fn get(&self, (): &mut (), url: &Uri, scratch: &mut Scratch) -> Result<u64, Error> {
        let mut response = self.open(url)?;
        if self.transfer {
            Ok(drain(response.into_body().into_reader(), scratch)?)
        } else {
            Ok(response.body_mut().read_to_vec()?.len() as u64)
        }
    }

    fn put(&self, (): &mut (), url: &Uri, bytes: u64) -> Outcome {
        let body = SendBody::from_owned_reader(Source::of(bytes));
        let request = self.agent.post(url).header("content-length", bytes);
        request.send(body)?.body_mut().read_to_vec()?;
        Ok(())
    }

    fn idle(&self, urls: &Holding<Uri>, settled: &mut dyn FnMut()) -> Outcome {
        let read = |mut response: Response<Body>| {
            response.body_mut().read_to_vec()?;
            Ok(())
        };
        hold(
            urls.count,
            || self.open(&urls.held),
            || read(self.open(&urls.release)?),
            read,
            settled,
        )
    }
}
