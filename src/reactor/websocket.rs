//! Open WebSockets in the engine: how one comes to be driven here, goes on and ends.
//! What one does stands behind [`Talk`](crate::job::Talk).
//!
//! It lies in a [relay](crate::handoff::relay), connection and all, whenever nobody
//! drives it: threads that send do that too, in passing, and one that blocks to receive
//! sees to it alone. Then its socket is in no poller, until that thread has been away
//! for a while. What comes up for it while it is out is noted ([`Orders`]) and done when
//! it is back, of which the engine is told.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use super::engine::Engine;
use super::exchange::Running;
use super::socket::Socket;
use crate::delivery::{Held, OpenWebSocket};
use crate::error::Error;
use crate::handoff::relay::{Attendance, Found, Look, Relay};
use crate::job::{Adoption, ExchangeId, Talked, WsConn};
use crate::net::{Net, Readiness, Token};
use crate::ws::CloseCode;

/// What a thread has queued and not written, since it is about to come by again, is
/// written after this, or twice that, if it does not.
const SOON: Duration = Duration::from_millis(2);

/// A socket is watched again after it was left alone for as long as this, or twice that:
/// so late a Ping may be answered, once.
const LATER: Duration = Duration::from_millis(20);

/// What the engine knows of one that is open.
pub(super) struct OpenEntry {
    pub(super) token: Token,
    pub(super) relay: Relay<Box<dyn WsConn>>,
    orders: Orders,
    /// When it has to go on, as far as that was known when it was last here.
    due: Option<Instant>,
    /// When others rely on its going on.
    look: Option<Instant>,
    /// It was found out, and the engine is told when it is back: until then there is
    /// nothing to be done at any time.
    is_out: bool,
}

/// What is to be done with it first.
#[derive(Default)]
struct Orders {
    ready: Readiness,
    fail: Option<CloseCode>,
    nudge: Option<Instant>,
    end: Option<Error>,
}

impl OpenEntry {
    pub(super) fn deadline(&self) -> Option<Instant> {
        let at = self.due.into_iter().chain(self.look).min();
        at.filter(|_| !self.is_out)
    }
}

impl<N: Net> Engine<N> {
    /// Takes a connection back that was lent when it switched protocols. Until here
    /// its lease was known to the pool; from here on it is found by its name.
    pub(super) fn adopt_websocket(&mut self, id: ExchangeId, adoption: Adoption) {
        let Adoption {
            tunnel,
            mut talk,
            relay,
        } = adoption;
        let lent = match tunnel.into_any().downcast::<Held<N::Stream>>() {
            Ok(held) => held.into_lent(),
            Err(_) => Err(Error::internal("a connection that is no WebSocket's")),
        };
        // Cancelled or closed meanwhile: it is closed already.
        let mut lent = match lent {
            Ok(lent) => lent,
            Err(error) => return talk.end(error),
        };
        let token = match self.watch(&mut lent) {
            Ok(token) => token,
            Err(error) => {
                lent.hang_up();
                lent.discard();
                return talk.end(error);
            }
        };
        self.sockets.replace(token, Socket::Relayed(id));
        talk.begin(self.nudge(id), self.now);
        let conn = Box::new(OpenWebSocket::new(lent, talk));
        if let Err(conn) = relay.place(conn, self.nudge(id)) {
            put(&relay, conn);
        }
        let entry = OpenEntry {
            token,
            relay,
            orders: Orders::default(),
            due: None,
            look: None,
            is_out: false,
        };
        self.set(id, Running::WebSocket(Box::new(entry)));
        self.drive_websocket(id);
    }

    /// Something of it is due.
    pub(super) fn websocket_due(&mut self, id: ExchangeId) {
        let now = self.now;
        let Some(entry) = self.open_websocket(id) else {
            return;
        };
        let is_due = entry.due.is_some_and(|at| at <= now);
        if is_due || entry.look.is_none_or(|at| at > now) || !entry.relay.puts_off() {
            return self.drive_websocket(id);
        }
        entry.look = now.checked_add(SOON);
        self.schedule(id);
    }

    /// Goes on with it, if it is here.
    pub(super) fn drive_websocket(&mut self, id: ExchangeId) {
        let now = self.now;
        let Some(mut open) = self.take_websocket(id) else {
            return;
        };
        // Asked before it goes on: who relies on it later has it woken, or finds it
        // looking again.
        let Some((attendance, looks)) = self.attend(id) else {
            return;
        };
        if looks && open.lent.token().is_none() {
            // Nobody has told of what came meanwhile.
            open.lent.link().suspect();
        }
        // Its code is ours, but others are on this thread.
        match catch_unwind(AssertUnwindSafe(|| open.go_on(now))) {
            Ok(Talked::Over { reset }) => self.close_websocket(id, *open, reset),
            Ok(talked) => self.leave_websocket(id, open, attendance, talked == Talked::Again),
            Err(_) => {
                log::error!("the driver of a WebSocket panicked; that WebSocket fails");
                let error = Error::internal("the driver of the WebSocket panicked");
                self.fail_open(id, open, error);
            }
        }
    }

    /// Takes it, and does what was put off until then.
    fn take_websocket(&mut self, id: ExchangeId) -> Option<Box<OpenWebSocket<N::Stream>>> {
        let now = self.now;
        let entry = self.open_websocket(id)?;
        let conn = match entry.relay.take() {
            Found::Here(conn) => conn,
            Found::Out => {
                entry.is_out = true;
                return None;
            }
            // It has told its handles when it was lost.
            Found::Nothing => {
                self.forget_websocket(id);
                return None;
            }
        };
        entry.is_out = false;
        let orders = mem::take(&mut entry.orders);
        if let Some(error) = orders.end {
            self.forget_websocket(id);
            self.sink(conn, error);
            return None;
        }
        let Ok(mut open) = conn.into_any().downcast::<OpenWebSocket<N::Stream>>() else {
            self.forget_websocket(id);
            return None;
        };
        open.lent.link().ready(orders.ready);
        if let Some(code) = orders.fail {
            open.talk.fail(code, now);
        }
        if let Some(at) = orders.nudge {
            open.talk.nudge(at);
        }
        Some(open)
    }

    /// What is left to this thread, and whether this is a look that others rely on. The
    /// next one is settled here.
    fn attend(&mut self, id: ExchangeId) -> Option<(Attendance, bool)> {
        let now = self.now;
        let entry = self.open_websocket(id)?;
        let looks = entry.look.is_some_and(|at| at <= now);
        let pending = entry.look.filter(|_| !looks);
        let attendance = entry.relay.attendance(looks);
        entry.look = attendance.look.and_then(|look| {
            let after = match look {
                Look::Soon => SOON,
                Look::Later => LATER,
            };
            pending.into_iter().chain(now.checked_add(after)).min()
        });
        Some((attendance, looks))
    }

    /// Puts it back for others, watched or not. `again`: it has more to do at once.
    fn leave_websocket(
        &mut self,
        id: ExchangeId,
        mut open: Box<OpenWebSocket<N::Stream>>,
        attendance: Attendance,
        again: bool,
    ) {
        let Some(entry) = self.open_websocket(id) else {
            return;
        };
        let (token, is_awaited) = (entry.token, entry.relay.is_awaited());
        // Its end is not left to those who may not come back.
        let watch = attendance.watch && !is_awaited;
        if watch || !open.lent.is_flushed() || !open.talk.is_open() {
            if let Err(error) = self.watch_again(&mut open, token) {
                return self.fail_open(id, open, error);
            }
        } else if is_awaited {
            self.net.deregister(open.lent.link().stream_mut());
            open.lent.set_token(None);
        }
        let Some(entry) = self.open_websocket(id) else {
            return;
        };
        entry.due = open.talk.deadline();
        open.due = entry.due;
        if put(&entry.relay, open) || again {
            self.unfinished.push(token);
        }
        self.schedule(id);
    }

    /// All was said.
    fn close_websocket(&mut self, id: ExchangeId, open: OpenWebSocket<N::Stream>, reset: bool) {
        // Closed first: whoever is told finds its slot free.
        self.forget_websocket(id);
        let OpenWebSocket { mut lent, talk, .. } = open;
        match reset {
            true => lent.link().abort(),
            false => lent.link().say_goodbye(),
        }
        self.net.deregister(lent.link().stream_mut());
        lent.discard();
        drop(talk);
    }

    fn fail_open(&mut self, id: ExchangeId, open: Box<OpenWebSocket<N::Stream>>, error: Error) {
        self.forget_websocket(id);
        self.sink(open, error);
    }

    /// Back to the poller, which tells at once of what has come meanwhile.
    fn watch_again(
        &mut self,
        open: &mut OpenWebSocket<N::Stream>,
        token: Token,
    ) -> Result<(), Error> {
        if open.lent.token().is_some() {
            return Ok(());
        }
        let registered = self.net.register(open.lent.link().stream_mut(), token);
        registered.map_err(|error| {
            Error::internal("a WebSocket's socket cannot be watched").with_source(error)
        })?;
        open.lent.set_token(Some(token));
        Ok(())
    }

    /// Its socket has something to tell.
    pub(super) fn websocket_ready(&mut self, id: ExchangeId, state: Readiness) {
        if let Some(entry) = self.open_websocket(id) {
            entry.orders.ready.add(state);
        }
    }

    pub(super) fn fail_websocket(&mut self, id: ExchangeId, code: CloseCode) {
        if let Some(entry) = self.open_websocket(id) {
            entry.orders.fail.get_or_insert(code);
            self.drive_websocket(id);
        }
    }

    pub(super) fn nudge_websocket(&mut self, id: ExchangeId, at: Instant) {
        if let Some(entry) = self.open_websocket(id) {
            entry.orders.nudge = Some(at);
            self.drive_websocket(id);
        }
    }

    /// Ends it, at once or when it is back.
    pub(super) fn end_websocket(
        &mut self,
        id: ExchangeId,
        mut entry: Box<OpenEntry>,
        error: Error,
    ) {
        match entry.relay.take() {
            Found::Here(conn) => {
                self.sockets.remove(entry.token);
                self.sink(conn, error);
            }
            Found::Out => {
                entry.is_out = true;
                entry.orders.end.get_or_insert(error);
                self.set(id, Running::WebSocket(entry));
            }
            Found::Nothing => drop(self.sockets.remove(entry.token)),
        }
    }

    fn open_websocket(&mut self, id: ExchangeId) -> Option<&mut OpenEntry> {
        match &mut self.exchanges.get_mut(&id)?.running {
            Running::WebSocket(entry) => Some(entry),
            _ => None,
        }
    }

    fn forget_websocket(&mut self, id: ExchangeId) {
        if let Some(entry) = self.open_websocket(id) {
            let token = entry.token;
            self.sockets.remove(token);
            drop(self.remove(id));
        }
    }

    /// Closes its connection, and tells why.
    fn sink(&mut self, conn: Box<dyn WsConn>, error: Error) {
        if let Ok(open) = conn.into_any().downcast::<OpenWebSocket<N::Stream>>() {
            let OpenWebSocket {
                mut lent, mut talk, ..
            } = *open;
            lent.hang_up();
            self.net.deregister(lent.link().stream_mut());
            lent.discard();
            talk.end(error);
        }
    }
}

/// Whether somebody wanted it meanwhile.
fn put(relay: &Relay<Box<dyn WsConn>>, conn: Box<dyn WsConn>) -> bool {
    let mut put = relay.put(conn);
    let is_wanted = put.is_err();
    while let Err(conn) = put {
        put = relay.put(conn);
    }
    is_wanted
}
