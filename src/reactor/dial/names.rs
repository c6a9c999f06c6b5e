//! Names on their way to becoming addresses of a dial.

use std::net::SocketAddr;

use super::RESOLUTION_DELAY;
use super::detour::Target;
use super::fixed::Fixed;
use crate::dns::{DnsFault, Found, IpFamily, Lookup, LookupId, Query, Whose};
use crate::job::ExchangeId;
use crate::net::Net;
use crate::reactor::engine::Engine;
use crate::reactor::exchange::Running;

impl<N: Net> Engine<N> {
    /// The addresses of the host, from wherever they are known.
    pub(super) fn find(&mut self, id: ExchangeId) {
        let config = self.config.clone();
        let Some(Running::Dialing { exchange, dial, .. }) = self.running(id) else {
            return;
        };
        let fixed = config.sockets.fixed(exchange.key.hop());
        if let Some(address) = fixed.filter(|_| dial.target != Target::Wanted) {
            let host = exchange.key.host();
            let is_named = config.sockets.is_carried() && exchange.key.route().is_none();
            // All there is to judge by where a transport finds hosts by itself.
            if is_named && let Err(fault) = config.dns.judge(host) {
                return self.unresolved(id, &fault);
            }
            dial.fixed = Some(Fixed::new(address));
            dial.resolving = false;
            return self.race(id);
        }
        let key = exchange.key.clone();
        let (host, port, whose) = dial.sought(&key);
        self.look_up(id, host, port, whose);
    }

    fn look_up(&mut self, id: ExchangeId, host: &str, port: u16, whose: Whose) {
        if let Some(Running::Dialing { dial, .. }) = self.running(id) {
            dial.whose = whose;
        }
        match self.config.dns.known(host, port, whose) {
            Some(Ok(peers)) => return self.addresses(id, &peers, true),
            Some(Err(fault)) => return self.unresolved(id, &fault),
            None => {}
        }
        let family = self.config.dns.family;
        match self.names.lookup(host, port, family, id, self.now) {
            Found::Hit(addresses) => self.heard(id, addresses, true),
            Found::Miss(fault) => self.unresolved(id, &fault),
            Found::Joined(addresses) => self.heard(id, addresses, false),
            Found::Start(lookup) => self.lookups.start(lookup, Query::new(host, port, family)),
        }
    }

    /// A lookup brought something.
    pub(in crate::reactor) fn resolved(&mut self, lookup: LookupId, answer: Lookup) {
        match answer {
            Lookup::Partial(addresses) => {
                let (waiters, addresses) = self.names.partial(lookup, addresses);
                for id in waiters {
                    self.heard(id, addresses.clone(), false);
                }
            }
            Lookup::Done(result, ttl) => {
                let (waiters, result) = self.names.complete(lookup, result, ttl, self.now);
                for id in waiters {
                    match &result {
                        Ok(addresses) => self.heard(id, addresses.clone(), true),
                        Err(fault) => self.unresolved(id, fault),
                    }
                }
            }
        }
    }

    /// The lookup takes longer than its limit allows; whether an entry that has
    /// had its time serves in its place. More may come yet.
    pub(in crate::reactor) fn make_do(&mut self, id: ExchangeId) -> bool {
        let Some(addresses) = self.names.make_do(id, self.now) else {
            return false;
        };
        self.heard(id, addresses, true);
        true
    }

    fn unresolved(&mut self, id: ExchangeId, fault: &DnsFault) {
        if let Some(Running::Dialing { dial, exchange, .. }) = self.running(id) {
            let (host, ..) = dial.sought(&exchange.key);
            dial.note(fault.clone().into_error(host));
            dial.resolving = false;
            self.race(id);
        }
    }

    /// Addresses from outside: those that the filter admits are connected to.
    fn heard(&mut self, id: ExchangeId, addresses: Vec<SocketAddr>, last: bool) {
        let Some(Running::Dialing { dial, .. }) = self.running(id) else {
            return;
        };
        let whose = dial.whose;
        match self.config.dns.admit(addresses, whose) {
            Ok(addresses) => self.addresses(id, &addresses, last),
            Err(fault) if last => self.unresolved(id, &fault),
            // More are coming.
            Err(_) => {}
        }
    }

    fn addresses(&mut self, id: ExchangeId, addresses: &[SocketAddr], last: bool) {
        if self.take_target(id, addresses, last) {
            return;
        }
        let now = self.now;
        let both = self.config.dns.family == IpFamily::Any;
        let Some(Running::Dialing { dial, .. }) = self.running(id) else {
            return;
        };
        dial.learn(addresses);
        dial.resolving = !last;
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
