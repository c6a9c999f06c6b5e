//! What stands behind a token: a socket, and the part it plays.

use std::time::{Duration, Instant};

use super::dial::Away;
use super::engine::{Engine, Pooled};
use super::exchange::Running;
use super::timer::{Entered, Owner};
use crate::conn::link::Link;
use crate::conn::{Pumped, Sink};
use crate::delivery::{self, Held, Outlet};
use crate::error::Error;
use crate::job::{Exchange, ExchangeId, PoolKey, Progress, Tunnel};
use crate::net::{Net, Ready, Stream, Token};
use crate::pool::{IdleId, Lease, Lent};
use crate::proto::Event;

/// How much of an unwanted body is read to keep its connection (SPEC D12).
const DRAIN_BYTES: u64 = 64 * 1024;

/// And for how long.
const DRAIN_TIME: Duration = Duration::from_secs(1);

pub(super) enum Socket<N: Net> {
    /// On its way to an open connection.
    Attempt {
        exchange: ExchangeId,
        /// Boxed, as all others are small and change places.
        link: Box<Link<N::Stream>>,
        /// T3.
        deadline: Option<Instant>,
        /// T6: of the handshake, once it has begun.
        tls: Option<Instant>,
    },
    /// The same, while its next step is taken elsewhere.
    Away(Box<Away<N::Stream>>),
    /// Carries an exchange.
    Busy {
        exchange: ExchangeId,
        lent: Lent<PoolKey, Pooled<N>>,
    },
    /// Reads the short rest of a response nobody wants, to be used again.
    Draining {
        lent: Lent<PoolKey, Pooled<N>>,
        discard: Discard,
        keep_alive: Option<Duration>,
        entered: Entered,
    },
    /// An open WebSocket's, wherever that is.
    #[cfg(feature = "websocket")]
    Relayed(ExchangeId),
    /// In the pool's hands, or given to a waiter who has not come for it yet.
    Idle {
        key: PoolKey,
        id: Option<IdleId>,
        expires: Instant,
    },
}

impl<N: Net> Socket<N> {
    /// Closes what this table holds; an idle socket is the pool's to close.
    pub(super) fn close(self, net: &mut N) {
        match self {
            Self::Attempt { mut link, .. } => {
                link.abort();
                net.deregister(link.stream_mut());
            }
            Self::Busy { mut lent, .. } | Self::Draining { mut lent, .. } => {
                lent.hang_up();
                net.deregister(lent.link().stream_mut());
                lent.discard();
            }
            Self::Away(away) => away.close(net),
            #[cfg(feature = "websocket")]
            Self::Relayed(_) => {}
            Self::Idle { .. } => {}
        }
    }
}

/// Takes a body nobody wants, up to a bound.
#[derive(Debug, Default)]
pub(super) struct Discard {
    taken: u64,
}

impl Sink for Discard {
    fn event(&mut self, event: Event) {
        if let Event::Data(data) = event {
            self.taken = self.taken.saturating_add(data.len() as u64);
        }
    }

    fn has_room(&self) -> bool {
        // The end of a body of just this length is still to be seen.
        self.taken <= DRAIN_BYTES
    }
}

impl<N: Net> Engine<N> {
    /// Something happened to a socket.
    pub(super) fn socket_ready(&mut self, ready: Ready) {
        match self.sockets.get_mut(ready.token) {
            None | Some(Socket::Idle { .. }) => {}
            Some(Socket::Attempt { link, .. }) => link.ready(ready.state),
            Some(Socket::Away(away)) => away.note(ready.state),
            #[cfg(feature = "websocket")]
            Some(Socket::Relayed(id)) => {
                let id = *id;
                self.websocket_ready(id, ready.state);
            }
            Some(Socket::Busy { lent, .. } | Socket::Draining { lent, .. }) => {
                lent.link().ready(ready.state);
            }
        }
        // Its turn comes anyway.
        if !self.unfinished.contains(ready.token) {
            self.drive(ready.token);
        }
    }

    /// Lets a socket go on.
    pub(super) fn drive(&mut self, token: Token) {
        match self.sockets.get_mut(token) {
            // Closed meanwhile; its event had been fetched before.
            None | Some(Socket::Away(_)) => {}
            Some(Socket::Attempt { .. }) => self.drive_attempt(token),
            Some(Socket::Busy { .. }) => self.drive_busy(token),
            #[cfg(feature = "websocket")]
            Some(Socket::Relayed(id)) => {
                let id = *id;
                self.drive_websocket(id);
            }
            Some(Socket::Draining { .. }) => self.drive_draining(token),
            Some(Socket::Idle { .. }) => self.probe_idle(token),
        }
    }

    pub(super) fn socket_due(&mut self, token: Token) {
        if let Some(Socket::Draining { entered, .. }) = self.sockets.get_mut(token) {
            *entered = Entered::No;
            self.drive_draining(token);
        }
    }

    /// An idle connection became readable: closed by the server, or merely a
    /// session ticket (SPEC P4).
    fn probe_idle(&mut self, token: Token) {
        let Some(Socket::Idle {
            key,
            id: Some(id),
            expires,
        }) = self.sockets.get_mut(token)
        else {
            return;
        };
        let (key, id, expires) = (key.clone(), *id, *expires);
        // Not there: a waiter was given it, and probes it on coming for it.
        let Some(mut lent) = self.pool.take_idle(&key, id) else {
            return;
        };
        if lent.probe() {
            self.put(token, lent, expires);
        } else {
            self.sockets.remove(token);
            self.net.deregister(lent.link().stream_mut());
            lent.discard();
        }
    }

    /// The exchange on this socket is over: keeps the connection if it can be
    /// used again, closes it if not.
    pub(super) fn retire(&mut self, token: Token, keep_alive: Option<Duration>) {
        let (Some(Socket::Busy { lent, .. }) | Some(Socket::Draining { lent, .. })) =
            self.sockets.get_mut(token)
        else {
            return;
        };
        if self.config.force_close || !lent.rest() {
            return self.close_socket(token);
        }
        let Some(expires) = delivery::expiry(self.config.keepalive, lent, keep_alive, self.now)
        else {
            return self.close_socket(token);
        };
        let Some(lent) = self.lift(token, expires) else {
            return;
        };
        self.put(token, lent, expires);
    }

    /// The connection is what the exchange has asked for, and all of it.
    pub(super) fn lend_out(
        &mut self,
        id: ExchangeId,
        exchange: Box<Exchange>,
        token: Token,
        mut lent: Lent<PoolKey, Pooled<N>>,
    ) {
        self.sockets.remove(token);
        // Nobody knows when something will be sent on it, and the server may still wait
        // for the end of its handshake. If this fails, what is sent then tells.
        let _ = lent.flush_raw();
        match self.let_go(id, lent) {
            Some(lease) => delivery::lend(exchange, lease),
            None => self.fail(id, exchange, Error::closed(), Progress::Unconnected),
        }
    }

    /// Out of the poller's sight, under a name by which it can be ended. `None`: a
    /// pool that is closed gives it none.
    fn let_go(
        &mut self,
        id: ExchangeId,
        mut lent: Lent<PoolKey, Pooled<N>>,
    ) -> Option<Lease<PoolKey, Pooled<N>>> {
        self.net.deregister(lent.link().stream_mut());
        lent.set_token(None);
        let listing = self.pool.list(id.lease(), lent.stream().share())?;
        Some(Lease::new(listing, lent))
    }

    /// A connection that speaks another protocol now, out of this table's hands
    /// and the poller's sight. `None`: it does not, or nobody may have it.
    pub(super) fn detach(&mut self, id: ExchangeId, token: Token) -> Option<Box<dyn Tunnel>> {
        match self.sockets.get_mut(token) {
            Some(Socket::Busy { lent, .. }) if lent.is_upgraded() => {}
            _ => return None,
        }
        let Some(Socket::Busy { lent, .. }) = self.sockets.remove(token) else {
            return None;
        };
        Some(Box::new(Held::new(self.let_go(id, lent)?)))
    }

    /// Takes the connection out of its place, which stays reserved.
    fn lift(&mut self, token: Token, expires: Instant) -> Option<Lent<PoolKey, Pooled<N>>> {
        let (Socket::Busy { lent, .. } | Socket::Draining { lent, .. }) =
            self.sockets.get_mut(token)?
        else {
            return None;
        };
        let idle = Socket::Idle {
            key: lent.key().clone(),
            id: None,
            expires,
        };
        match self.sockets.replace(token, idle)? {
            Socket::Busy { lent, .. } | Socket::Draining { lent, .. } => Some(lent),
            Socket::Attempt { .. } | Socket::Away(_) | Socket::Idle { .. } => None,
            #[cfg(feature = "websocket")]
            Socket::Relayed(_) => None,
        }
    }

    /// Brings the connection of an idle place home.
    fn put(&mut self, token: Token, lent: Lent<PoolKey, Pooled<N>>, until: Instant) {
        let mut noted = None;
        lent.put(|id, _| noted = Some(id), until);
        if let Some(Socket::Idle { id, expires, .. }) = self.sockets.get_mut(token) {
            (*id, *expires) = (noted, until);
        }
    }

    /// Nobody wants the rest of this response. A short rest is read, so that
    /// the connection lives on; else it is closed.
    pub(super) fn drain(&mut self, token: Token, keep_alive: Option<Duration>) {
        let Some(Socket::Busy { lent, .. }) = self.sockets.get_mut(token) else {
            return;
        };
        let too_long = lent.body_remaining().is_some_and(|left| left > DRAIN_BYTES);
        if too_long || self.config.force_close || !lent.may_rest() {
            return self.close_socket(token);
        }
        let until = self.now + DRAIN_TIME;
        lent.drain_until(until);
        let Some(lent) = self.lift(token, until) else {
            return;
        };
        let draining = Socket::Draining {
            lent,
            discard: Discard::default(),
            keep_alive,
            entered: Entered::No,
        };
        self.sockets.replace(token, draining);
        self.drive_draining(token);
    }

    fn drive_draining(&mut self, token: Token) {
        let Some(Socket::Draining {
            lent,
            discard,
            keep_alive,
            entered,
        }) = self.sockets.get_mut(token)
        else {
            return;
        };
        match lent.pump(self.now, discard) {
            Ok(Pumped::Done) => {
                let keep_alive = *keep_alive;
                let entered = std::mem::take(entered);
                self.timers.remove(Owner::Socket(token), entered);
                self.retire(token, keep_alive);
            }
            Ok(Pumped::Again) => self.unfinished.push(token),
            Ok(Pumped::Wants(want)) if want.read => {
                self.timers
                    .schedule(Owner::Socket(token), entered, want.deadline, self.now);
            }
            // Too much, too slow or broken.
            Ok(Pumped::Wants(_)) | Err(_) => self.close_socket(token),
        }
    }

    /// Closes a socket this table holds; its slot is free afterwards.
    pub(super) fn close_socket(&mut self, token: Token) {
        if let Some(socket) = self.sockets.remove(token) {
            if let Socket::Draining { entered, .. } = &socket {
                self.timers.remove(Owner::Socket(token), *entered);
            }
            let is_away = matches!(socket, Socket::Away(_));
            socket.close(&mut self.net);
            if is_away && let Some(link) = self.handshakes.withdraw(token) {
                self.give_up(link);
            }
        }
    }

    /// Before a connection the pool has let go is dropped.
    pub(super) fn close_conn(&mut self, conn: &mut Pooled<N>) {
        conn.hang_up();
        if let Some(token) = conn.token() {
            self.sockets.remove(token);
            self.net.deregister(conn.link().stream_mut());
        }
    }

    /// Sees to it that the poller tells of this connection: one that comes from
    /// a caller it does not know.
    pub(super) fn watch(&mut self, lent: &mut Lent<PoolKey, Pooled<N>>) -> Result<Token, Error> {
        if let Some(token) = lent.token() {
            return Ok(token);
        }
        let token = self.sockets.insert(Socket::Idle {
            key: lent.key().clone(),
            id: None,
            expires: self.now,
        });
        match self.net.register(lent.link().stream_mut(), token) {
            Ok(()) => {
                lent.set_token(Some(token));
                Ok(token)
            }
            Err(error) => {
                self.sockets.remove(token);
                Err(Error::internal("cannot watch a socket").with_source(error))
            }
        }
    }

    /// The steward's round: closes what has been idle for too long, goes on
    /// with what was left lying, and watches what nobody has touched lately.
    pub(super) fn look(&mut self) {
        if self.pool.next_look().is_none_or(|at| at > self.now) {
            return;
        }
        let look = self.pool.look(self.now);
        for mut conn in look.expired {
            self.close_conn(&mut conn);
        }
        for (id, lent, outlet) in look.stale {
            self.go_on(ExchangeId::from(id), lent, outlet);
        }
        for idle in look.unwatched {
            let socket = Socket::Idle {
                key: idle.key.clone(),
                id: Some(idle.id),
                expires: idle.expires,
            };
            let token = self.sockets.insert(socket);
            let watched = self.net.watch(&idle.socket, token).is_ok();
            // Somebody may have taken it meanwhile; it is theirs then.
            let noted = watched
                && self
                    .pool
                    .with_idle(&idle.key, idle.id, |conn| conn.set_token(Some(token)));
            if !noted {
                if watched {
                    self.net.unwatch(&idle.socket);
                }
                self.sockets.remove(token);
            }
        }
    }

    /// A caller has taken this connection out of the poller's sight.
    pub(super) fn unwatched(&mut self, token: Token) {
        if let Some(Socket::Idle { .. }) = self.sockets.get_mut(token) {
            self.sockets.remove(token);
        }
    }

    /// Goes on with a response that a caller has parked, if it has.
    pub(super) fn take_over(&mut self, id: ExchangeId) {
        if let Some((lent, outlet)) = self.pool.unpark(id.lease()) {
            self.go_on(id, lent, outlet);
        }
    }

    pub(super) fn take_over_parked(&mut self) {
        for (id, lent, outlet) in self.pool.unpark_all() {
            self.go_on(ExchangeId::from(id), lent, outlet);
        }
    }

    fn go_on(&mut self, id: ExchangeId, lent: Lent<PoolKey, Pooled<N>>, outlet: Outlet) {
        self.adopt(id, lent, outlet);
        if let Some(Running::Streaming { token, .. }) = self.running(id) {
            let token = *token;
            self.drive(token);
        }
    }

    /// What a caller had parked is this engine's from here on.
    pub(super) fn adopt(
        &mut self,
        id: ExchangeId,
        mut lent: Lent<PoolKey, Pooled<N>>,
        outlet: Outlet,
    ) {
        match self.watch(&mut lent) {
            Ok(token) => {
                let busy = Socket::Busy { exchange: id, lent };
                self.sockets.replace(token, busy);
                self.set(id, Running::Streaming { token, outlet });
            }
            Err(error) => {
                lent.hang_up();
                lent.discard();
                outlet.fail(error);
            }
        }
    }
}
