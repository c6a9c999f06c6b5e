//! Stands in for `lease` where there is no poll(2): the reactor drives everything.

use std::sync::Arc;
#[cfg(feature = "websocket")]
use std::task::{Context, Poll};
use std::time::Instant;

use crate::delivery::ConnPool;
use crate::handoff::mailbox::Mailbox;
#[cfg(feature = "websocket")]
use crate::handoff::park::Unwaited;
#[cfg(feature = "websocket")]
use crate::handoff::relay::Guest;
#[cfg(feature = "websocket")]
use crate::job::WsConn;
use crate::job::{Command, Config, Exchange, ExchangeId};
use crate::net::mio::{MioStream, Unwatcher};

#[derive(Debug)]
pub(crate) enum Lessee {}

impl Lessee {
    pub(crate) fn new(
        _: Arc<ConnPool<MioStream>>,
        _: Unwatcher,
        _: Arc<Mailbox<Command>>,
        _: Arc<Config>,
    ) -> Option<Self> {
        None
    }

    pub(crate) fn carry(
        &self,
        _: ExchangeId,
        _: Box<Exchange>,
        _: Instant,
    ) -> Option<Box<Exchange>> {
        match *self {}
    }

    #[cfg(feature = "websocket")]
    pub(crate) fn receive<T>(
        &self,
        _: u32,
        _: &Guest<Box<dyn WsConn>>,
        _: Option<Instant>,
        _: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Result<T, Unwaited> {
        match *self {}
    }

    pub(crate) fn read_on(&self, _: ExchangeId) -> bool {
        match *self {}
    }
}
