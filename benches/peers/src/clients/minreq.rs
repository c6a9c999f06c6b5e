//! minreq: a function a request. It keeps nothing, so every request opens a
//! connection, and bodies are sent from memory.

use ::minreq::Request;

use super::blocking::Blocking;
use super::{Job, Scratch, drain};
use crate::{Error, Outcome};

pub(super) struct Minreq {
    transfer: bool,
}

impl Minreq {
    /// The authority comes to it by `SSL_CERT_FILE`, which each child has set.
    pub(super) fn new(job: &Job) -> Self {
        Self {
            transfer: job.is_transfer(),
        }
    }
}

impl Blocking for Minreq {
    type Url = String;
    type Lane = ();

    fn url(&self, text: &str) -> Result<String, Error> {
        Ok(text.to_owned())
    }

    fn lane(&self) -> Result<(), Error> {
        Ok(())
    }

    fn get(&self, (): &mut (), url: &String, scratch: &mut Scratch) -> Result<u64, Error> {
        let request: Request = ::minreq::get(url);
        if self.transfer {
            Ok(drain(request.send_lazy()?, scratch)?)
        } else {
            Ok(request.send()?.as_bytes().len() as u64)
        }
    }

    fn put(&self, (): &mut (), url: &String, bytes: u64) -> Outcome {
        let body = vec![b'm'; usize::try_from(bytes)?];
        ::minreq::post(url).with_body(body).send()?;
        Ok(())
    }
}
