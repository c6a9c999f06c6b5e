//! From a permit to an open connection: names, then a race of attempts.
//!
//! Addresses are tried as RFC 8305 has it: families alternate, a new attempt
//! starts every 250 ms (SPEC C27) or at once when one fails, and the first link
//! that is open, TLS included, wins. Once one is connected, and has a TLS
//! handshake or a proxy to ask before it, no further attempt is started: the
//! address answers, the race is won but for the certificate. Through a proxy
//! all of this is about the proxy's addresses.
//!
//! A dial belongs to one exchange and ends with it. Its slot is free when its
//! sockets are closed.

mod away;
mod detour;
mod fixed;
mod names;
mod race;

use std::mem;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::engine::{Engine, Pooled};
use super::exchange::{ConnectLimit, Running};
use super::socket::Socket;
use super::table::Table;
use crate::conn::Conn;
use crate::conn::link::Stage;
use crate::dns::{self, Whose};
use crate::error::{Error, Kind, Phase};
use crate::job::{Exchange, ExchangeId, PoolKey, Progress};
use crate::net::{Net, Token};
use crate::pool::Permit;
pub(super) use away::Away;
use detour::Target;
use fixed::Fixed;

/// How long IPv4 waits for IPv6 addresses that are still being looked up
/// (RFC 8305 §3).
const RESOLUTION_DELAY: Duration = Duration::from_millis(50);

/// Sockets of one race at a time; it holds only one slot. The next attempt then
/// waits for one of them to fail.
const MAX_ATTEMPTS: usize = 8;

pub(super) struct Dial<N: Net> {
    permit: Permit<PoolKey, Pooled<N>>,
    /// Every address that was heard of, so that none is tried twice.
    known: Vec<SocketAddr>,
    /// In the order in which they will be tried.
    untried: Vec<SocketAddr>,
    /// Instead of those, where all connections go to one address.
    fixed: Option<Box<Fixed>>,
    target: Target,
    pub(super) attempts: Vec<Token>,
    /// When the next attempt starts; `None` with no attempt under way: now.
    next_at: Option<Instant>,
    resolving: bool,
    /// Whose addresses they are.
    whose: Whose,
    /// T6: when the first address has to be known.
    names_by: Option<Instant>,
    /// The most telling failure so far.
    failure: Option<Error>,
}

impl<N: Net> Dial<N> {
    /// What a limit that passes now would interrupt.
    pub(super) fn phase(&self, sockets: &mut Table<Socket<N>>) -> Phase {
        if let Some(stage) = self.advanced(sockets) {
            stage.phase()
        } else if self.attempts.is_empty() && self.resolving {
            Phase::Dns
        } else {
            Phase::Connect
        }
    }

    /// When the wait for an address is over, while there is one.
    pub(super) fn names_by(&self) -> Option<Instant> {
        self.names_by
            .filter(|_| self.resolving && self.known.is_empty())
    }

    /// When [`Engine::race`] has to look again.
    pub(super) fn deadline(&self, sockets: &mut Table<Socket<N>>) -> Option<Instant> {
        let next = self.next_at.filter(|_| self.has_next(sockets));
        let attempts = self
            .attempts
            .iter()
            .filter_map(|&token| match sockets.get_mut(token) {
                Some(Socket::Attempt { deadline, tls, .. }) => {
                    deadline.iter().chain(tls.iter()).min().copied()
                }
                Some(Socket::Away(away)) => away.deadline.iter().chain(&away.tls).min().copied(),
                _ => None,
            });
        attempts.chain(next).chain(self.names_by()).min()
    }

    /// Where the attempt stands whose address has answered, if one has.
    fn advanced(&self, sockets: &mut Table<Socket<N>>) -> Option<Stage> {
        let mut stages = self
            .attempts
            .iter()
            .filter_map(|&token| match sockets.get_mut(token) {
                Some(Socket::Attempt { link, .. }) => Some(link.stage()),
                Some(Socket::Away(away)) => Some(away.stage),
                _ => None,
            });
        stages.find(|stage| *stage != Stage::Connect)
    }

    /// Whether there is another attempt to start, now or later.
    fn has_next(&self, sockets: &mut Table<Socket<N>>) -> bool {
        (!self.untried.is_empty() || self.fixed.is_some())
            && self.attempts.len() < MAX_ATTEMPTS
            && self.advanced(sockets).is_none()
    }

    fn may_start(&self, now: Instant, sockets: &mut Table<Socket<N>>) -> bool {
        let due = match self.next_at {
            Some(at) => at <= now,
            None => self.attempts.is_empty(),
        };
        due && self.has_next(sockets)
    }

    /// Takes in addresses, new ones in an order that alternates families. IPv6
    /// that was waited for goes first, or why wait (RFC 8305 §3)?
    fn learn(&mut self, addresses: &[SocketAddr]) {
        let delayed = self.attempts.is_empty() && self.next_at.is_some();
        for address in addresses {
            if !self.known.contains(address) {
                self.known.push(*address);
                self.untried.push(*address);
            }
        }
        self.untried = dns::interleave(mem::take(&mut self.untried), delayed);
    }

    fn note(&mut self, error: Error) {
        let telling = |error: &Error| match error.kind() {
            Kind::Certificate | Kind::Fingerprint => 3,
            Kind::Tls => 2,
            Kind::Connect | Kind::ProxyConnect | Kind::Io => 1,
            _ => 0,
        };
        if self
            .failure
            .as_ref()
            .is_none_or(|old| telling(&error) >= telling(old))
        {
            self.failure = Some(error);
        }
    }
}

impl<N: Net> Engine<N> {
    pub(super) fn dial(
        &mut self,
        id: ExchangeId,
        exchange: Box<Exchange>,
        connect: ConnectLimit,
        permit: Permit<PoolKey, Pooled<N>>,
    ) {
        let dial = Box::new(Dial {
            permit,
            known: Vec::new(),
            untried: Vec::new(),
            fixed: None,
            target: Target::of(&exchange.key),
            attempts: Vec::new(),
            next_at: None,
            resolving: true,
            whose: Whose::Origin,
            names_by: exchange
                .limits
                .rare
                .as_ref()
                .and_then(|rare| self.now.checked_add(rare.dns?)),
            failure: None,
        });
        let dialing = Running::Dialing {
            exchange,
            dial,
            connect,
        };
        self.set(id, dialing);
        if !self.is_barred(id) {
            self.find(id);
        }
    }

    /// This attempt is open: the others are closed and the exchange goes on it.
    fn won(&mut self, id: ExchangeId, token: Token) {
        let Some(Running::Dialing { exchange, dial, .. }) = self.remove(id) else {
            return self.close_socket(token);
        };
        self.leave_lookup(id);
        for other in dial.attempts {
            if other != token {
                self.close_socket(other);
            }
        }
        let idle = Socket::Idle {
            key: exchange.key.clone(),
            id: None,
            expires: self.now,
        };
        if let Some(Socket::Attempt { link, .. }) = self.sockets.replace(token, idle) {
            let mut conn = Conn::new(*link, Some(token));
            conn.set_until(self.config.too_old_at(self.now));
            let lent = dial.permit.adopt(Box::new(conn));
            self.assign(id, exchange, token, lent);
        }
    }

    /// No address is left.
    fn lost(&mut self, id: ExchangeId) {
        if let Some(Running::Dialing { exchange, dial, .. }) = self.remove(id) {
            let error = dial.failure.clone().unwrap_or_else(|| {
                Error::new(Kind::Connect, "no address to connect to").with_phase(Phase::Connect)
            });
            self.hang_up(id, *dial);
            self.fail(id, exchange, error, Progress::Unconnected);
        }
    }

    /// Closes the sockets of a dial, then frees its slot.
    pub(super) fn hang_up(&mut self, id: ExchangeId, dial: Dial<N>) {
        self.leave_lookup(id);
        for &token in &dial.attempts {
            self.close_socket(token);
        }
        drop(dial.permit);
    }

    pub(super) fn running(&mut self, id: ExchangeId) -> Option<&mut Running<N>> {
        self.exchanges.get_mut(&id).map(|entry| &mut entry.running)
    }
}
