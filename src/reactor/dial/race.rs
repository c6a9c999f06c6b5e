//! The attempts of a dial: when one starts, when one ends, which one wins.

use std::time::Instant;

use super::detour::is_final;
use crate::conn::connect_error;
use crate::conn::link::{Link, LinkFault, Stage, Step};
use crate::conn::tunnel::Detour;
use crate::error::{Error, Timeout};
use crate::job::{ExchangeId, PoolKey, Route};
use crate::net::{self, Address, Destination, Net, Token};
use crate::reactor::engine::Engine;
use crate::reactor::exchange::Running;
use crate::reactor::socket::Socket;

impl<N: Net> Engine<N> {
    /// Starts what may start, drops what took too long, ends a race nobody
    /// can win any more.
    pub(in crate::reactor) fn race(&mut self, id: ExchangeId) {
        self.drop_overdue(id);
        self.stop_knocking(id);
        loop {
            let now = self.now;
            let Some(Running::Dialing { dial, exchange, .. }) =
                self.exchanges.get_mut(&id).map(|entry| &mut entry.running)
            else {
                return;
            };
            if !dial.may_start(now, &mut self.sockets) {
                let is_tried = dial.untried.is_empty() && dial.fixed.is_none();
                if dial.attempts.is_empty() && is_tried && !dial.resolving {
                    return self.lost(id);
                }
                return self.schedule(id);
            }
            let fixed = dial.fixed.take();
            let address = match &fixed {
                Some(fixed) => fixed.address.clone(),
                None if dial.untried.is_empty() => return,
                None => Address::Tcp(dial.untried.remove(0)),
            };
            let limit = exchange.limits.sock_connect;
            let key = exchange.key.clone();
            let begun = fixed.as_ref().and_then(|fixed| fixed.until);
            let deadline = begun.or_else(|| now.checked_add(limit?));
            // Read again below: a failed start makes the next one due now.
            dial.next_at = self
                .config
                .happy_eyeballs
                .and_then(|delay| now.checked_add(delay));
            let detour = match Detour::plan(exchange, dial.target.address()) {
                Ok(detour) => detour,
                Err(fault) => {
                    let error = connect_error(fault.into(), Stage::Tunnel, &address, key.route());
                    return self.decided(id, error);
                }
            };
            match self.attempt(id, address, &key, detour, deadline) {
                Ok(token) => {
                    let Some(Running::Dialing { dial, .. }) = self.running(id) else {
                        return;
                    };
                    match (token, fixed) {
                        (Some(token), _) => dial.attempts.push(token),
                        (None, Some(fixed)) => dial.knock_again(fixed, now, deadline),
                        (None, None) => {}
                    }
                }
                Err(error) => self.attempt_failed(id, error),
            }
        }
    }

    /// Opens a socket to one address. `None`: the queue of a Unix socket is full,
    /// which is worth another try.
    fn attempt(
        &mut self,
        exchange: ExchangeId,
        address: Address,
        key: &PoolKey,
        detour: Option<Box<Detour>>,
        deadline: Option<Instant>,
    ) -> Result<Option<Token>, Error> {
        let config = self.config.clone();
        let (host, port) = key.hop();
        let to = Destination {
            address: &address,
            host,
            port,
            deadline: self.given_up_at(exchange, deadline),
            sockets: &config.sockets,
        };
        let mut connected = self.net.connect(&to);
        if connected.as_ref().is_err_and(net::is_out_of_descriptors) {
            // Idle connections hold no slot, but they hold descriptors.
            self.close_idle();
            connected = self.net.connect(&to);
        }
        if connected
            .as_ref()
            .is_err_and(|error| address.may_be_full(error))
        {
            return Ok(None);
        }
        let stream = connected
            .map_err(|error| connect_error(error.into(), Stage::Connect, &address, key.route()))?;
        let link = Box::new(Link::new(stream, address, key.tls_name(), detour));
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
        // What is no TCP connection may be one by now, and no event need tell.
        let is_told = matches!(link.address(), Address::Tcp(_)) && !config.sockets.is_carried();
        if !is_told {
            link.suspect();
            self.unfinished.push(token);
        }
        match self.net.register(link.stream_mut(), token) {
            Ok(()) => Ok(Some(token)),
            Err(error) => {
                self.sockets.remove(token);
                Err(Error::internal("cannot watch a socket").with_source(error))
            }
        }
    }

    /// The earliest end of an attempt.
    fn given_up_at(&mut self, id: ExchangeId, deadline: Option<Instant>) -> Option<Instant> {
        let Some(Running::Dialing {
            exchange, connect, ..
        }) = self.running(id)
        else {
            return deadline;
        };
        let total = exchange.limits.total.map(|(at, _)| at);
        [deadline, *connect, total].into_iter().flatten().min()
    }

    /// Something happened to a connecting socket.
    pub(in crate::reactor) fn drive_attempt(&mut self, token: Token) {
        let Some(Socket::Attempt { exchange, link, .. }) = self.sockets.get_mut(token) else {
            return;
        };
        let (id, stage) = (*exchange, link.stage());
        let step = link.establish_here();
        self.attempt_stepped(id, token, stage, step);
    }

    /// An attempt has gone on, from this stage.
    pub(super) fn attempt_stepped(
        &mut self,
        id: ExchangeId,
        token: Token,
        stage: Stage,
        step: Result<Step, LinkFault>,
    ) {
        let Some(Socket::Attempt { link, .. }) = self.sockets.get_mut(token) else {
            return;
        };
        match step {
            Ok(Step::Open) => self.won(id, token),
            Ok(step) => {
                if link.is_refused() {
                    self.hear_out(token);
                    self.schedule(id);
                } else if link.stage() != stage {
                    // Its address answers: the race pauses.
                    self.begin_stage(id, token);
                    self.schedule(id);
                }
                if step == Step::Foreign {
                    self.send_away(token);
                }
            }
            Err(fault) => {
                let (stage, address) = (link.stage(), link.address().clone());
                self.attempt_broken(id, token, |route| {
                    (
                        is_final(&fault),
                        connect_error(fault, stage, &address, route),
                    )
                });
            }
        }
    }

    /// An attempt has failed; whether all others would, too, is told with the
    /// error.
    fn attempt_broken(
        &mut self,
        id: ExchangeId,
        token: Token,
        tell: impl FnOnce(Option<&Route>) -> (bool, Error),
    ) {
        self.close_socket(token);
        let Some(Running::Dialing { dial, exchange, .. }) = self.running(id) else {
            return;
        };
        dial.attempts.retain(|&attempt| attempt != token);
        let (is_final, error) = tell(exchange.key.route());
        if is_final {
            return self.decided(id, error);
        }
        self.attempt_failed(id, error);
        self.race(id);
    }

    /// The limit of a handshake begins, if it has one (SPEC T6), and ends with it.
    fn begin_stage(&mut self, id: ExchangeId, token: Token) {
        let now = self.now;
        let Some(Running::Dialing { exchange, .. }) = self.running(id) else {
            return;
        };
        let limit = exchange.limits.rare.as_ref().and_then(|rare| rare.tls);
        if let Some(Socket::Attempt { tls, link, .. }) = self.sockets.get_mut(token) {
            let limit = limit.filter(|_| link.stage().is_handshake());
            *tls = limit.and_then(|limit| now.checked_add(limit));
        }
    }

    /// A failure makes the next attempt due at once (RFC 8305 §5).
    pub(super) fn attempt_failed(&mut self, id: ExchangeId, error: Error) {
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
            let (deadline, tls, stage, address) = match self.sockets.get_mut(token) {
                Some(Socket::Attempt {
                    deadline,
                    tls,
                    link,
                    ..
                }) => (&*deadline, &*tls, link.stage(), link.address()),
                Some(Socket::Away(away)) => (&away.deadline, &away.tls, away.stage, &away.address),
                _ => continue,
            };
            let is_over = |at: &Option<Instant>| at.is_some_and(|at| at <= now);
            let (which, length) = match (is_over(deadline), is_over(tls)) {
                (true, _) => (Timeout::SockConnect, limit),
                (false, true) => (Timeout::Tls, tls_limit),
                (false, false) => continue,
            };
            let (phase, address) = (stage.phase(), address.clone());
            if let Some(refusal) = self.overdue_refusal(id, token) {
                return self.decided(id, refusal);
            }
            self.close_socket(token);
            if let Some(Running::Dialing { dial, .. }) = self.running(id) {
                dial.attempts.retain(|&attempt| attempt != token);
            }
            let error = Error::timed_out(which, length, phase)
                .with_peer(address.ip())
                .with_path(address.path());
            self.attempt_failed(id, error);
        }
    }
}
