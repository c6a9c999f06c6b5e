//! Stands in for `lease` where there is no poll(2): the reactor drives everything.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::delivery::ConnPool;
use crate::dns::IpFamily;
use crate::handoff::mailbox::Mailbox;
use crate::job::{Command, Exchange, ExchangeId};
use crate::net::mio::{MioStream, Unwatcher};

#[derive(Debug)]
pub(crate) enum Lessee {}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(crate) keepalive: Duration,
    pub(crate) force_close: bool,
    pub(crate) family: IpFamily,
}

impl Lessee {
    pub(crate) fn new(
        _: Arc<ConnPool<MioStream>>,
        _: Unwatcher,
        _: Arc<Mailbox<Command>>,
        _: Terms,
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

    pub(crate) fn read_on(&self, _: ExchangeId) -> bool {
        match *self {}
    }
}
