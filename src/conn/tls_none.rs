//! Stands in for TLS in a build without it: no session exists, so nothing but
//! [`TlsSession::new`] can run, and that only fails. The layers above need no
//! switch of their own.

use std::fmt;

use bytes::BytesMut;

use crate::error::{Error, Kind};
use crate::job::TlsInfo;
use crate::tls::Client;

#[derive(Debug)]
pub(crate) enum TlsSession {}

/// Inhabited, unlike the session: a result that could hold neither a value nor
/// a fault would make what follows each call unreachable to the compiler.
#[derive(Debug)]
pub(crate) struct TlsFault;

#[derive(Debug)]
pub(crate) enum Progress {}

impl TlsSession {
    pub(crate) fn new(_client: &Client, _server_name: &str) -> Result<Self, TlsFault> {
        Err(TlsFault)
    }

    pub(crate) fn info(&self) -> Option<TlsInfo> {
        match *self {}
    }

    pub(crate) fn inbound(&mut self, _len: usize) -> &mut Vec<u8> {
        match *self {}
    }

    pub(crate) fn process(
        &mut self,
        _plain: &mut BytesMut,
        _limit: usize,
    ) -> Result<Progress, TlsFault> {
        match *self {}
    }

    pub(crate) fn encrypt(&mut self, _data: &[u8], _max: usize) -> Result<usize, TlsFault> {
        match *self {}
    }

    pub(crate) fn outgoing(&self) -> &[u8] {
        match *self {}
    }

    pub(crate) fn consume_outgoing(&mut self, _n: usize) {
        match *self {}
    }

    pub(crate) fn is_handshaking(&self) -> bool {
        match *self {}
    }

    pub(crate) fn has_begun(&self) -> bool {
        match *self {}
    }

    pub(crate) fn queue_close_notify(&mut self) {
        match *self {}
    }

    pub(crate) fn peer_closed(&self) -> bool {
        match *self {}
    }

    pub(crate) fn eof(&mut self) -> Result<(), TlsFault> {
        match *self {}
    }

    pub(crate) fn has_buffered(&self) -> bool {
        match *self {}
    }

    #[cfg(feature = "websocket")]
    pub(crate) fn holds_buffers(&self) -> bool {
        match *self {}
    }

    pub(crate) fn release_buffers(&mut self) {
        match *self {}
    }
}

impl TlsFault {
    pub(crate) fn into_error(self) -> Error {
        Error::new(Kind::Tls, "this build has no TLS")
    }
}

impl fmt::Display for TlsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this build has no TLS")
    }
}

impl std::error::Error for TlsFault {}
