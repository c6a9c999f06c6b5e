//! miohttp: blocking and awaited. Nothing is set but whom to trust.

use ::miohttp::{Bytes, Connector, Message, Session, TlsConfig, WebSocket};

use super::{Awaited, Blocking};
use crate::clients::Job;
use crate::plan::MESSAGE;
use crate::{Error, Outcome};

pub(super) struct Socket(WebSocket);

impl Socket {
    pub(super) fn open(job: &Job) -> Result<Self, Error> {
        let mut connector = Connector::builder();
        let mut scheme = "ws";
        if job.is_tls() {
            connector = connector.tls(TlsConfig::new().add_root_pem(&job.ca_pem()?)?);
            scheme = "wss";
        }
        let session = Session::builder().connector(connector.build()).build();
        let url = format!("{scheme}://{}/echo", job.server);
        Ok(Self(session.ws_connect(url).connect()?))
    }
}

fn message(bytes: usize) -> Message {
    Message::Binary(Bytes::from_static(&MESSAGE[..bytes]))
}

fn length(message: Option<Message>) -> Result<usize, Error> {
    match message {
        Some(Message::Binary(body)) => Ok(body.len()),
        _ => Err("a message that was not asked for".into()),
    }
}

impl Blocking for Socket {
    fn send(&mut self, bytes: usize) -> Outcome {
        Ok(self.0.send(message(bytes))?)
    }

    fn receive(&mut self) -> Result<usize, Error> {
        length(self.0.recv()?)
    }
}

impl Awaited for Socket {
    async fn send(&mut self, bytes: usize) -> Outcome {
        Ok(self.0.start_send(message(bytes)).await?)
    }

    async fn receive(&mut self) -> Result<usize, Error> {
        length(self.0.start_recv().await?)
    }
}
