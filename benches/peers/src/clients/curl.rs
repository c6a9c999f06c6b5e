//! libcurl, its easy interface: one handle a thread, which keeps its
//! connections.

use std::path::PathBuf;

use ::curl::easy::{Easy2, Handler, HttpVersion, List, ReadError, WriteError};

use super::blocking::Blocking;
use super::{Job, Scratch, Source, unable};
use crate::plan::BLOCK;
use crate::{Error, Outcome};

pub(super) struct Curl {
    job: Job,
}

impl Curl {
    pub(super) fn new(job: &Job) -> Self {
        Self { job: job.clone() }
    }
}

/// Counts what comes, and gives what goes.
#[derive(Debug)]
pub(super) struct Transfer {
    pub(super) received: u64,
    upload: Source,
}

impl Handler for Transfer {
    fn write(&mut self, data: &[u8]) -> Result<usize, WriteError> {
        self.received += data.len() as u64;
        Ok(data.len())
    }

    fn read(&mut self, data: &mut [u8]) -> Result<usize, ReadError> {
        let piece = self.upload.piece(data.len());
        data[..piece.len()].copy_from_slice(piece);
        Ok(piece.len())
    }
}

/// A handle with the settings for this job; buffers as large as libcurl has
/// them where that is faster.
pub(super) fn handle(job: &Job) -> Result<Easy2<Transfer>, Error> {
    let mut easy = Easy2::new(Transfer {
        received: 0,
        upload: Source::of(0),
    });
    easy.http_version(HttpVersion::V11)?;
    easy.tcp_nodelay(true)?;
    easy.noproxy("*")?;
    // Without it libcurl arms a signal handler for each request.
    easy.signal(false)?;
    if job.is_tls() {
        let ca: &PathBuf = &job.ca;
        easy.cainfo(ca)?;
    }
    if job.is_transfer() {
        easy.buffer_size(BLOCK.len())?;
    }
    if job.uploads() {
        easy.upload_buffer_size(BLOCK.len())?;
    }
    Ok(easy)
}

impl Blocking for Curl {
    type Url = String;
    /// The handle, and the URL that it was given.
    type Lane = (Easy2<Transfer>, String);

    fn url(&self, text: &str) -> Result<String, Error> {
        Ok(text.to_owned())
    }

    fn lane(&self) -> Result<Self::Lane, Error> {
        Ok((handle(&self.job)?, String::new()))
    }

    fn get(
        &self,
        (easy, knows): &mut Self::Lane,
        url: &String,
        _: &mut Scratch,
    ) -> Result<u64, Error> {
        if knows != url {
            easy.url(url)?;
            knows.clone_from(url);
        }
        easy.get_mut().received = 0;
        easy.perform()?;
        Ok(easy.get_ref().received)
    }

    fn put(&self, (easy, _): &mut Self::Lane, url: &String, bytes: u64) -> Outcome {
        easy.url(url)?;
        easy.post(true)?;
        easy.post_field_size(bytes)?;
        let mut fields = List::new();
        // Else it asks first, and waits.
        fields.append("Expect:")?;
        easy.http_headers(fields)?;
        easy.get_mut().upload = Source::of(bytes);
        easy.perform()?;
        if easy.response_code()? == 200 {
            Ok(())
        } else {
            unable()
        }
    }
}
