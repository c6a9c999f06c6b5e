//! The part of a link's way that leads through a proxy: what it is asked, and
//! what came of it.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::BytesMut;

use super::link::{Link, LinkFault, Read, barren};
use super::outgoing::Outgoing;
use crate::head::ResponseHead;
use crate::job::{Exchange, ProxyFacts, Route};
use crate::net::Stream;
use crate::proto::h1::Limits;
use crate::proto::tunnel::{Dialog, Goal, ProxyFault, Step};
use crate::tls;

/// How long the rest of a refusal is waited for.
pub(crate) const EXPLAINS: Duration = Duration::from_secs(1);

/// Read at a time of what a proxy says.
const READ: usize = 4 * 1024;

#[derive(Debug)]
pub(crate) struct Detour {
    route: Route,
    /// The origin is spoken to under TLS.
    is_secure: bool,
    /// Until the way is open. There is none where nothing is asked.
    dialog: Option<Box<dyn Dialog>>,
    out: Outgoing,
    /// What came and is not taken yet; in the end it is the origin's.
    input: BytesMut,
    refused: bool,
    reply: Option<ResponseHead>,
}

impl Detour {
    /// How the exchange gets to its origin, where that is not straight. With
    /// `address`, the proxy is told that in the place of the name.
    ///
    /// # Errors
    /// The proxy cannot be asked for this.
    pub(crate) fn plan(
        exchange: &Exchange,
        address: Option<SocketAddr>,
    ) -> Result<Option<Box<Self>>, ProxyFault> {
        let key = &exchange.key;
        let Some(route) = key.route() else {
            return Ok(None);
        };
        let limits = &exchange.limits;
        let goal = Goal {
            host: key.host(),
            port: key.port(),
            address: None,
            authorization: exchange.proxy_authorization.as_deref(),
            limits: Limits {
                max_line: limits.max_line,
                max_field: limits.max_field,
                max_fields: limits.max_fields,
                strict: limits.rare.as_ref().is_some_and(|rare| rare.strict_framing),
                marks: false,
            },
        };
        let mut out = Outgoing::default();
        let dialog = route.begin(goal, address, out.head())?;
        Ok(Some(Box::new(Self {
            route: route.clone(),
            is_secure: key.tls().is_some(),
            dialog,
            out,
            input: BytesMut::new(),
            refused: false,
            reply: None,
        })))
    }

    /// TLS with the proxy, if it is spoken to under TLS.
    pub(super) fn tls_name(&self) -> Option<(&tls::Client, &str)> {
        self.route.tls_name()
    }

    pub(super) fn is_secure(&self) -> bool {
        self.is_secure
    }

    pub(super) fn is_asked(&self) -> bool {
        self.dialog.is_some()
    }

    pub(super) fn is_refused(&self) -> bool {
        self.refused
    }

    /// Whether something is still to be said.
    pub(super) fn is_speaking(&self) -> bool {
        !self.out.is_empty()
    }

    pub(super) fn refusal(&mut self) -> Option<LinkFault> {
        let dialog = self.dialog.as_mut().filter(|_| self.refused)?;
        Some(dialog.end(&mut self.input).into())
    }

    /// What is the origin's of that which has come.
    pub(super) fn take_early(&mut self) -> BytesMut {
        std::mem::take(&mut self.input)
    }

    pub(super) fn into_facts(self) -> Box<ProxyFacts> {
        Box::new(ProxyFacts {
            host: self.route.host().into(),
            port: self.route.port(),
            reply: self.reply,
        })
    }

    /// Goes on asking; true when the way is open.
    pub(super) fn dig<S: Stream>(&mut self, link: &mut Link<S>) -> Result<bool, LinkFault> {
        // A proxy may refuse and close before it has read everything. What it
        // said goes before what became of the writing.
        let mut fault = None;
        loop {
            if let Some(dialog) = &mut self.dialog {
                match dialog.receive(&mut self.input, self.out.head())? {
                    Step::Open(reply) => {
                        self.reply = reply;
                        self.dialog = None;
                    }
                    Step::Refused => self.refused = true,
                    Step::More => {}
                }
            }
            if fault.is_none() {
                fault = link.write(&mut self.out).err();
            }
            let Some(dialog) = &mut self.dialog else {
                // The origin is not to hear the end of what the proxy is told.
                return fault.map_or(Ok(self.out.is_empty()), Err);
            };
            match link.read(&mut self.input, READ) {
                Ok(Read::Bytes(_)) => {}
                Ok(Read::Blocked) => return fault.map_or(Ok(false), Err),
                Ok(Read::Barren) => return Err(barren()),
                Ok(Read::End { .. }) => return Err(dialog.end(&mut self.input).into()),
                Err(_) if self.refused => return Err(dialog.end(&mut self.input).into()),
                Err(error) => return Err(error),
            }
        }
    }
}

impl From<ProxyFault> for LinkFault {
    fn from(fault: ProxyFault) -> Self {
        Self::Proxy(Box::new(fault))
    }
}
