//! attohttpc: a session. It keeps no connections, so every request opens one.

use std::io::{self, Write};

use ::attohttpc::Session;
use ::attohttpc::body::{Body, BodyKind};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::blocking::Blocking;
use super::{Job, Scratch, Source, drain};
use crate::plan::BLOCK;
use crate::{Error, Outcome};

pub(super) struct Attohttpc {
    session: Session,
    transfer: bool,
}

impl Attohttpc {
    pub(super) fn new(job: &Job) -> Result<Self, Error> {
        let mut session = Session::new();
        session.proxy_settings(::attohttpc::ProxySettings::builder().build());
        if job.is_tls() {
            let ca = CertificateDer::from_pem_slice(&job.ca_pem()?)?;
            session.add_root_certificate(ca);
        }
        Ok(Self {
            session,
            transfer: job.is_transfer(),
        })
    }
}

impl Blocking for Attohttpc {
    type Url = String;
    type Lane = ();

    fn url(&self, text: &str) -> Result<String, Error> {
        Ok(text.to_owned())
    }

    fn lane(&self) -> Result<(), Error> {
        Ok(())
    }

    fn get(&self, (): &mut (), url: &String, scratch: &mut Scratch) -> Result<u64, Error> {
        let response = self.session.get(url).send()?;
        if self.transfer {
            Ok(drain(response, scratch)?)
        } else {
            Ok(response.bytes()?.len() as u64)
        }
    }

    fn put(&self, (): &mut (), url: &String, bytes: u64) -> Outcome {
        let request = self.session.post(url).body(Upload(bytes));
        request.send()?.bytes()?;
        Ok(())
    }
}

struct Upload(u64);

impl Body for Upload {
    fn kind(&mut self) -> io::Result<BodyKind> {
        Ok(BodyKind::KnownLength(self.0))
    }

    fn write<W: Write>(&mut self, mut writer: W) -> io::Result<()> {
        let mut source = Source::of(self.0);
        loop {
            let piece = source.piece(BLOCK.len());
            if piece.is_empty() {
                return Ok(());
            }
            writer.write_all(piece)?;
        }
    }
}
