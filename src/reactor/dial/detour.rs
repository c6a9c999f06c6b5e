//! A dial that leads through a proxy: whose address is looked up, and what a
//! refusal means.

use std::net::SocketAddr;

use super::Dial;
use crate::conn::tunnel::EXPLAINS;
use crate::conn::{connect_error, link::LinkFault};
use crate::dns::Whose;
use crate::error::{Error, Kind, Phase};
use crate::job::{ExchangeId, PoolKey, Route};
use crate::net::{Net, Token};
use crate::reactor::engine::Engine;
use crate::reactor::exchange::Running;
use crate::reactor::socket::Socket;

/// The origin's address, where a proxy has to be told one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// None is told.
    Untold,
    /// It is looked up, before the proxy's own.
    Wanted,
    Known(SocketAddr),
}

impl Target {
    pub(super) fn of(key: &PoolKey) -> Self {
        match key.route() {
            Some(route) if route.wants_address() => Self::Wanted,
            _ => Self::Untold,
        }
    }

    pub(super) fn address(self) -> Option<SocketAddr> {
        match self {
            Self::Known(address) => Some(address),
            Self::Untold | Self::Wanted => None,
        }
    }
}

impl<N: Net> Dial<N> {
    /// Whose addresses are looked up now.
    pub(super) fn sought<'a>(&self, key: &'a PoolKey) -> (&'a str, u16, Whose) {
        let (host, port) = key.hop();
        match (self.target, key.route()) {
            (Target::Wanted, _) => (key.host(), key.port(), Whose::Origin),
            (_, Some(_)) => (host, port, Whose::Proxy),
            (_, None) => (host, port, Whose::Origin),
        }
    }
}

impl<N: Net> Engine<N> {
    /// Whether the origin may not be connected to, as far as the host says; a
    /// proxy connects to whatever it is told. Where it is told an address, that
    /// is judged when it is found, and not before: the program may have said
    /// itself where the host is.
    pub(super) fn is_barred(&mut self, id: ExchangeId) -> bool {
        let Some(Running::Dialing { exchange, .. }) = self.running(id) else {
            return true;
        };
        let is_told_a_name = |route: &Route| !route.is_forward() && !route.wants_address();
        if !exchange.key.route().is_some_and(is_told_a_name) {
            return false;
        }
        let key = exchange.key.clone();
        let Err(fault) = self.config.dns.judge(key.host()) else {
            return false;
        };
        self.decided(id, fault.into_error(key.host()));
        true
    }

    /// Takes the origin's address out of what was found, if it is that which was
    /// looked for, and goes on with the proxy's.
    pub(super) fn take_target(
        &mut self,
        id: ExchangeId,
        addresses: &[SocketAddr],
        last: bool,
    ) -> bool {
        let Some(Running::Dialing { dial, exchange, .. }) = self.running(id) else {
            return false;
        };
        if dial.target != Target::Wanted {
            return false;
        }
        if !last {
            return true;
        }
        // One of them is told, with no second try.
        let route = exchange.key.route();
        match route.and_then(|route| route.choose(addresses)) {
            Some(address) => {
                dial.target = Target::Known(address);
                // A lookup that an old entry stood in for may still be under way:
                // what it brings would be taken for the proxy's.
                self.leave_lookup(id);
                self.find(id);
                // Nothing else enters a limit that has fired for the wait that follows.
                self.schedule(id);
            }
            None => {
                let host = exchange.key.host();
                let message = format!("no address of {host} that the proxy can be told");
                let error = Error::new(Kind::Dns, message).with_phase(Phase::Dns);
                self.decided(id, error);
            }
        }
        true
    }

    /// A proxy that refuses explains itself within a while, or not at all.
    pub(super) fn hear_out(&mut self, token: Token) {
        let until = self.now + EXPLAINS;
        if let Some(Socket::Attempt { link, deadline, .. }) = self.sockets.get_mut(token)
            && link.is_refused()
        {
            *deadline = Some(deadline.map_or(until, |at| at.min(until)));
        }
    }

    /// The refusal of an attempt whose time is over.
    pub(super) fn overdue_refusal(&mut self, id: ExchangeId, token: Token) -> Option<Error> {
        let Some(Socket::Attempt { link, .. }) = self.sockets.get_mut(token) else {
            return None;
        };
        let (fault, stage, address) = (link.refusal()?, link.stage(), link.address().clone());
        let Some(Running::Dialing { exchange, .. }) = self.running(id) else {
            return None;
        };
        Some(connect_error(fault, stage, &address, exchange.key.route()))
    }

    /// No other attempt would fare better: the dial ends with this.
    pub(super) fn decided(&mut self, id: ExchangeId, error: Error) {
        if let Some(Running::Dialing { dial, .. }) = self.running(id) {
            dial.failure = Some(error);
            self.lost(id);
        }
    }
}

/// Whether a fault of one attempt is one of all.
pub(super) fn is_final(fault: &LinkFault) -> bool {
    matches!(fault, LinkFault::Proxy(fault) if fault.is_refusal())
}
