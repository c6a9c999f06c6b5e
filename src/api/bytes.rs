//! Whole bodies in memory.

use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};

use super::body::Body;
use super::cancel::CancelHandle;
use super::pending::Operation;
use crate::error::{Error, Kind, Phase};

/// Collects a body and turns it into a `T`.
pub(super) struct Collect<T> {
    body: Body,
    first: Bytes,
    rest: BytesMut,
    /// Judges the body by its first bytes, so that what will be refused is not
    /// downloaded.
    admit: Option<Admit>,
    convert: Option<Convert<T>>,
}

type Admit = Box<dyn Fn(&[u8]) -> Result<(), Error> + Send>;
type Convert<T> = Box<dyn FnOnce(Bytes) -> Result<T, Error> + Send>;

impl<T> Collect<T> {
    pub(super) fn new(
        body: Body,
        convert: impl FnOnce(Bytes) -> Result<T, Error> + Send + 'static,
    ) -> Self {
        Self {
            body,
            first: Bytes::new(),
            rest: BytesMut::new(),
            admit: None,
            convert: Some(Box::new(convert)),
        }
    }

    pub(super) fn admitted_by(
        mut self,
        admit: impl Fn(&[u8]) -> Result<(), Error> + Send + 'static,
    ) -> Self {
        self.admit = Some(Box::new(admit));
        self
    }

    fn push(&mut self, chunk: Bytes) -> Result<(), Error> {
        let held = self.first.len() + self.rest.len();
        let limit = self.body.max_buffered();
        if chunk.len() > limit.saturating_sub(held) {
            let message = format!("the body is larger than the {limit} bytes kept in memory");
            return Err(Error::new(Kind::Limit, message).with_phase(Phase::Body));
        }
        // One piece alone is handed on as it is.
        if held == 0 {
            self.first = chunk;
            return Ok(());
        }
        if self.rest.is_empty() {
            self.rest.reserve(self.first.len() + chunk.len());
            self.rest.extend_from_slice(&self.first);
            self.first = Bytes::new();
        }
        self.rest.extend_from_slice(&chunk);
        Ok(())
    }

    fn admissible(&self) -> Result<(), Error> {
        let Some(admit) = &self.admit else {
            return Ok(());
        };
        admit(if self.rest.is_empty() {
            &self.first
        } else {
            &self.rest
        })
    }
}

impl<T> Operation<T> for Collect<T> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, Error>> {
        loop {
            match self.body.poll_chunk(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Ready(Ok(Some(chunk))) => {
                    if let Err(error) = self.push(chunk).and_then(|()| self.admissible()) {
                        return Poll::Ready(Err(self.body.context(error)));
                    }
                }
                Poll::Ready(Ok(None)) => break,
            }
        }
        let all = match self.rest.is_empty() {
            true => std::mem::take(&mut self.first),
            false => std::mem::take(&mut self.rest).freeze(),
        };
        let Some(convert) = self.convert.take() else {
            return Poll::Ready(Err(Error::internal("the body was collected already")));
        };
        Poll::Ready(convert(all).map_err(|error| self.body.context(error)))
    }

    fn target(&self) -> CancelHandle {
        self.body.cancel_handle()
    }
}
