//! Names on their way to becoming addresses of a dial.

use std::net::SocketAddr;

use super::RESOLUTION_DELAY;
use super::fixed::Fixed;
use crate::dns::{self, DnsFault, Found, IpFamily, Lookup, LookupId, Query};
use crate::error::{Error, Kind, Phase};
use crate::job::ExchangeId;
use crate::net::Net;
use crate::reactor::engine::Engine;
use crate::reactor::exchange::Running;

impl<N: Net> Engine<N> {
    /// The addresses of the host, from wherever they are known.
    pub(super) fn find(&mut self, id: ExchangeId) {
        let fixed = self.config.sockets.fixed();
        let Some(Running::Dialing { exchange, dial, .. }) = self.running(id) else {
            return;
        };
        if let Some(address) = fixed {
            dial.fixed = Some(Fixed::new(address));
            dial.resolving = false;
            return self.race(id);
        }
        let key = exchange.key.clone();
        let (host, port) = (key.host(), key.port());
        let family = self.config.family;
        if let Some(address) = dns::literal(host) {
            let addresses: &[SocketAddr] = if family.admits(address) {
                &[SocketAddr::new(address, port)]
            } else {
                &[]
            };
            return self.addresses(id, addresses, true);
        }
        if dns::local_host(host) {
            return self.addresses(id, &dns::loopback(family, port), true);
        }
        match self.names.lookup(host, port, family, id, self.now) {
            Found::Hit(addresses) => self.addresses(id, &addresses, true),
            Found::Joined(addresses) if addresses.is_empty() => {}
            Found::Joined(addresses) => self.addresses(id, &addresses, false),
            Found::Start(lookup) => self.lookups.start(lookup, Query::new(host, port, family)),
        }
    }

    /// A lookup brought something.
    pub(in crate::reactor) fn resolved(&mut self, lookup: LookupId, answer: Lookup) {
        match answer {
            Lookup::Partial(addresses) => {
                let (waiters, addresses) = self.names.partial(lookup, addresses);
                for id in waiters {
                    self.addresses(id, &addresses, false);
                }
            }
            Lookup::Done(result, ttl) => {
                let (waiters, result) = self.names.complete(lookup, result, ttl, self.now);
                for id in waiters {
                    match &result {
                        Ok(addresses) => self.addresses(id, addresses, true),
                        Err(fault) => self.unresolved(id, fault),
                    }
                }
            }
        }
    }

    fn unresolved(&mut self, id: ExchangeId, fault: &DnsFault) {
        if let Some(Running::Dialing { dial, exchange, .. }) = self.running(id) {
            let host = exchange.key.host();
            let error = Error::new(Kind::Dns, format!("no address for {host}"))
                .with_phase(Phase::Dns)
                .with_source(fault.clone());
            dial.resolving = false;
            dial.note(error);
            self.race(id);
        }
    }

    fn addresses(&mut self, id: ExchangeId, addresses: &[SocketAddr], last: bool) {
        let now = self.now;
        let both = self.config.family == IpFamily::Any;
        let Some(Running::Dialing { dial, exchange, .. }) = self.running(id) else {
            return;
        };
        dial.learn(addresses);
        dial.resolving = !last;
        if last && dial.known.is_empty() {
            let host = exchange.key.host();
            let error = Error::new(
                Kind::Dns,
                format!("no address of the wanted family for {host}"),
            )
            .with_phase(Phase::Dns);
            dial.note(error);
        }
        if dial.attempts.is_empty() {
            let only_v4 = dial.known.iter().all(SocketAddr::is_ipv4);
            dial.next_at = match dial.next_at {
                _ if last || !only_v4 || !both => None,
                Some(at) => Some(at),
                None => Some(now + RESOLUTION_DELAY),
            };
        }
        self.race(id);
    }

    /// This exchange waits for no name any more.
    pub(super) fn leave_lookup(&mut self, id: ExchangeId) {
        if let Some(lookup) = self.names.abandon(id)
            && self.lookups.withdraw(lookup)
        {
            self.names.forget(lookup);
        }
    }
}
