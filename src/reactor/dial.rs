//! From a permit to an open connection: names, then a race of attempts.
//!
//! Addresses are tried as RFC 8305 has it: families alternate, a new attempt
//! starts every 250 ms (SPEC C27) or at once when one fails, and the first link
//! that is open, TLS included, wins. While one is in its TLS handshake no
//! further attempt is started: the address answers, the race is won but for
//! the certificate.
//!
//! A dial belongs to one exchange and ends with it. Its slot is free when its
//! sockets are closed.

use std::mem;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::engine::{Engine, Pooled};
use super::exchange::{ConnectLimit, Running};
use super::socket::Socket;
use super::table::Table;
use crate::conn::link::{Link, Stage};
use crate::conn::{Conn, connect_error};
use crate::dns::{self, DnsFault, Found, IpFamily, Lookup, LookupId, Query};
use crate::error::{Error, Kind, Phase, Timeout};
use crate::job::{Exchange, ExchangeId, PoolKey, Progress};
use crate::net::{self, Net, Token};
use crate::pool::Permit;

/// How long IPv4 waits for IPv6 addresses that are still being looked up
/// (RFC 8305 §3).
const RESOLUTION_DELAY: Duration = Duration::from_millis(50);

/// Sockets of one race at a time; it holds only one slot. The next attempt then
/// waits for one of them to fail.
const MAX_ATTEMPTS: usize = 8;

pub(super) struct Dial<N: Net> {
    permit: Permit<PoolKey, Pooled<N>>,
    /// Every address that was heard of, so that none is tried twice.
    known: Vec<IpAddr>,
    /// In the order in which they will be tried.
    untried: Vec<IpAddr>,
    pub(super) attempts: Vec<Token>,
    /// When the next attempt starts; `None` with no attempt under way: now.
    next_at: Option<Instant>,
    resolving: bool,
    /// T6: when the first address has to be known.
    names_by: Option<Instant>,
    /// The most telling failure so far.
    failure: Option<Error>,
}

impl<N: Net> Dial<N> {
    /// What a limit that passes now would interrupt.
    pub(super) fn phase(&self, sockets: &mut Table<Socket<N>>) -> Phase {
        if self.in_handshake(sockets) {
            Phase::Tls
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
                _ => None,
            });
        attempts.chain(next).chain(self.names_by()).min()
    }

    fn in_handshake(&self, sockets: &mut Table<Socket<N>>) -> bool {
        self.attempts.iter().any(|&token| {
            matches!(
                sockets.get_mut(token),
                Some(Socket::Attempt { link, .. }) if link.stage() == Stage::Handshake
            )
        })
    }

    /// Whether there is another attempt to start, now or later.
    fn has_next(&self, sockets: &mut Table<Socket<N>>) -> bool {
        !self.untried.is_empty()
            && self.attempts.len() < MAX_ATTEMPTS
            && !self.in_handshake(sockets)
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
    fn learn(&mut self, addresses: &[IpAddr]) {
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
            Kind::Certificate => 3,
            Kind::Tls => 2,
            Kind::Connect | Kind::Io => 1,
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
        let key = exchange.key.clone();
        let (host, port) = (key.host(), key.port());
        let dial = Dial {
            permit,
            known: Vec::new(),
            untried: Vec::new(),
            attempts: Vec::new(),
            next_at: None,
            resolving: true,
            names_by: exchange
                .limits
                .rare
                .as_ref()
                .and_then(|rare| self.now.checked_add(rare.dns?)),
            failure: None,
        };
        let dialing = Running::Dialing {
            exchange,
            dial,
            connect,
        };
        self.set(id, dialing);

        let family = self.config.family;
        if let Some(address) = dns::literal(host) {
            let addresses: &[IpAddr] = if family.admits(address) {
                &[address]
            } else {
                &[]
            };
            return self.addresses(id, addresses, true);
        }
        if dns::local_host(host) {
            return self.addresses(id, &dns::loopback(family), true);
        }
        match self.names.lookup(host, port, family, id, self.now) {
            Found::Hit(addresses) => self.addresses(id, &addresses, true),
            Found::Joined(addresses) if addresses.is_empty() => {}
            Found::Joined(addresses) => self.addresses(id, &addresses, false),
            Found::Start(lookup) => self.lookups.start(lookup, Query::new(host, port, family)),
        }
    }

    /// A lookup brought something.
    pub(super) fn resolved(&mut self, lookup: LookupId, answer: Lookup) {
        match answer {
            Lookup::Partial(addresses) => {
                let (waiters, addresses) = self.names.partial(lookup, addresses);
                for id in waiters {
                    self.addresses(id, &addresses, false);
                }
            }
            Lookup::Done(result) => {
                let (waiters, result) = self.names.complete(lookup, result, self.now);
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

    fn addresses(&mut self, id: ExchangeId, addresses: &[IpAddr], last: bool) {
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
            let only_v4 = dial.known.iter().all(IpAddr::is_ipv4);
            dial.next_at = match dial.next_at {
                _ if last || !only_v4 || !both => None,
                Some(at) => Some(at),
                None => Some(now + RESOLUTION_DELAY),
            };
        }
        self.race(id);
    }

    /// Starts what may start, drops what took too long, ends a race nobody
    /// can win any more.
    pub(super) fn race(&mut self, id: ExchangeId) {
        self.drop_overdue(id);
        loop {
            let now = self.now;
            let Some(Running::Dialing { dial, exchange, .. }) =
                self.exchanges.get_mut(&id).map(|entry| &mut entry.running)
            else {
                return;
            };
            if !dial.may_start(now, &mut self.sockets) {
                if dial.attempts.is_empty() && dial.untried.is_empty() && !dial.resolving {
                    return self.lost(id);
                }
                return self.schedule(id);
            }
            if dial.untried.is_empty() {
                return;
            }
            let address = dial.untried.remove(0);
            let peer = SocketAddr::new(address, exchange.key.port());
            let limit = exchange.limits.sock_connect;
            let key = exchange.key.clone();
            let deadline = limit.and_then(|limit| now.checked_add(limit));
            // Read again below: a failed start makes the next one due now.
            dial.next_at = self
                .config
                .happy_eyeballs
                .and_then(|delay| now.checked_add(delay));
            match self.attempt(id, peer, &key, deadline) {
                Ok(token) => {
                    if let Some(Running::Dialing { dial, .. }) = self.running(id) {
                        dial.attempts.push(token);
                    }
                }
                Err(error) => self.attempt_failed(id, error),
            }
        }
    }

    /// Opens a socket to one address.
    fn attempt(
        &mut self,
        exchange: ExchangeId,
        peer: SocketAddr,
        key: &PoolKey,
        deadline: Option<Instant>,
    ) -> Result<Token, Error> {
        let mut connected = self.net.connect(peer);
        if connected.as_ref().is_err_and(net::is_out_of_descriptors) {
            // Idle connections hold no slot, but they hold descriptors.
            self.close_idle();
            connected = self.net.connect(peer);
        }
        let stream =
            connected.map_err(|error| connect_error(error.into(), Stage::Connect, peer))?;
        let link = Link::new(stream, peer, key.tls_name());
        let attempt = Socket::Attempt {
            exchange,
            link,
            deadline,
            tls: None,
        };
        let token = self.sockets.insert(attempt);
        let Some(Socket::Attempt { link, .. }) = self.sockets.get_mut(token) else {
            return Err(Error::internal("a socket was lost"));
        };
        match self.net.register(link.stream_mut(), token) {
            Ok(()) => Ok(token),
            Err(error) => {
                self.sockets.remove(token);
                Err(Error::internal("cannot watch a socket").with_source(error))
            }
        }
    }

    /// Something happened to a connecting socket.
    pub(super) fn drive_attempt(&mut self, token: Token) {
        let Some(Socket::Attempt { exchange, link, .. }) = self.sockets.get_mut(token) else {
            return;
        };
        let (id, stage, peer) = (*exchange, link.stage(), link.peer());
        match link.establish() {
            Ok(false) => {
                if link.stage() != stage {
                    // In its handshake now: the race pauses.
                    self.begin_handshake(id, token);
                    self.schedule(id);
                }
            }
            Ok(true) => self.won(id, token),
            Err(fault) => {
                let error = connect_error(fault, link.stage(), peer);
                self.close_socket(token);
                if let Some(Running::Dialing { dial, .. }) = self.running(id) {
                    dial.attempts.retain(|&attempt| attempt != token);
                }
                self.attempt_failed(id, error);
                self.race(id);
            }
        }
    }

    /// The limit of the handshake begins, if it has one (SPEC T6).
    fn begin_handshake(&mut self, id: ExchangeId, token: Token) {
        let now = self.now;
        let Some(Running::Dialing { exchange, .. }) = self.running(id) else {
            return;
        };
        let limit = exchange.limits.rare.as_ref().and_then(|rare| rare.tls);
        if let Some(Socket::Attempt { tls, .. }) = self.sockets.get_mut(token) {
            *tls = limit.and_then(|limit| now.checked_add(limit));
        }
    }

    /// A failure makes the next attempt due at once (RFC 8305 §5).
    fn attempt_failed(&mut self, id: ExchangeId, error: Error) {
        let now = self.now;
        if let Some(Running::Dialing { dial, .. }) = self.running(id) {
            dial.note(error);
            dial.next_at = Some(now);
        }
    }

    fn drop_overdue(&mut self, id: ExchangeId) {
        let now = self.now;
        let Some(Running::Dialing { dial, exchange, .. }) = self.running(id) else {
            return;
        };
        let (attempts, limit) = (dial.attempts.clone(), exchange.limits.sock_connect);
        let tls_limit = exchange.limits.rare.as_ref().and_then(|rare| rare.tls);
        for token in attempts {
            let Some(Socket::Attempt {
                deadline,
                tls,
                link,
                ..
            }) = self.sockets.get_mut(token)
            else {
                continue;
            };
            let is_over = |at: &Option<Instant>| at.is_some_and(|at| at <= now);
            let (which, length) = match (is_over(deadline), is_over(tls)) {
                (true, _) => (Timeout::SockConnect, limit),
                (false, true) => (Timeout::Tls, tls_limit),
                (false, false) => continue,
            };
            let phase = match link.stage() {
                Stage::Handshake => Phase::Tls,
                _ => Phase::Connect,
            };
            let peer = link.peer();
            self.close_socket(token);
            if let Some(Running::Dialing { dial, .. }) = self.running(id) {
                dial.attempts.retain(|&attempt| attempt != token);
            }
            let error = Error::timed_out(which, length, phase);
            self.attempt_failed(id, error.with_peer(Some(peer)));
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
            let conn = Conn::new(link, Some(token));
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
            self.hang_up(id, dial);
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

    /// This exchange waits for no name any more.
    fn leave_lookup(&mut self, id: ExchangeId) {
        if let Some(lookup) = self.names.abandon(id)
            && self.lookups.withdraw(lookup)
        {
            self.names.forget(lookup);
        }
    }

    pub(super) fn running(&mut self, id: ExchangeId) -> Option<&mut Running<N>> {
        self.exchanges.get_mut(&id).map(|entry| &mut entry.running)
    }
}
