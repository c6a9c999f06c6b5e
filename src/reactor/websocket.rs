//! Open WebSockets in the engine: how one comes to be driven here, goes on and ends.
//! What one does stands behind [`Talk`].

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use super::engine::Engine;
use super::exchange::Running;
use super::socket::Socket;
use crate::delivery::Held;
use crate::error::Error;
use crate::job::{Adoption, ExchangeId, Talk, Talked};
use crate::net::{Net, Token};
use crate::ws::CloseCode;

impl<N: Net> Engine<N> {
    /// Takes a connection back that was lent when it switched protocols. Until here
    /// its lease was known to the pool; from here on it is found by its name.
    pub(super) fn adopt_websocket(&mut self, id: ExchangeId, adoption: Adoption) {
        let Adoption { tunnel, mut talk } = adoption;
        let lent = match tunnel.into_any().downcast::<Held<N::Stream>>() {
            Ok(held) => held.into_lent(),
            Err(_) => Err(Error::internal("a connection that is no WebSocket's")),
        };
        // Cancelled or closed meanwhile: it is closed already.
        let mut lent = match lent {
            Ok(lent) => lent,
            Err(error) => return talk.end(error),
        };
        match self.watch(&mut lent) {
            Ok(token) => {
                talk.begin(self.nudge(id), self.now);
                let busy = Socket::Busy { exchange: id, lent };
                self.sockets.replace(token, busy);
                self.set(id, Running::WebSocket { token, talk });
                self.drive_websocket(id, token);
            }
            Err(error) => {
                lent.hang_up();
                lent.discard();
                talk.end(error);
            }
        }
    }

    pub(super) fn drive_websocket(&mut self, id: ExchangeId, token: Token) {
        let entry = self.exchanges.get_mut(&id).map(|entry| &mut entry.running);
        let (Some(Running::WebSocket { talk, .. }), Some(Socket::Busy { lent, .. })) =
            (entry, self.sockets.get_mut(token))
        else {
            return;
        };
        // Its code is ours, but others are on this thread.
        let go_on = AssertUnwindSafe(|| talk.go_on(&mut ***lent, self.now));
        match catch_unwind(go_on) {
            Ok(Talked::Wants) => self.schedule(id),
            Ok(Talked::Again) => {
                self.unfinished.push(token);
                self.schedule(id);
            }
            Ok(Talked::Over { reset }) => {
                // Closed first: whoever is told finds its slot free.
                let running = self.remove(id);
                self.part(token, reset);
                drop(running);
            }
            Err(_) => {
                log::error!("the driver of a WebSocket panicked; that WebSocket fails");
                let error = Error::internal("the driver of the WebSocket panicked");
                self.end_exchange(id, error);
            }
        }
    }

    pub(super) fn fail_websocket(&mut self, id: ExchangeId, code: CloseCode) {
        let now = self.now;
        if let Some((token, talk)) = self.talk(id) {
            talk.fail(code, now);
            self.drive_websocket(id, token);
        }
    }

    pub(super) fn nudge_websocket(&mut self, id: ExchangeId, at: Instant) {
        if let Some((_, talk)) = self.talk(id) {
            talk.nudge(at);
            self.schedule(id);
        }
    }

    fn talk(&mut self, id: ExchangeId) -> Option<(Token, &mut Box<dyn Talk>)> {
        match &mut self.exchanges.get_mut(&id)?.running {
            Running::WebSocket { token, talk } => Some((*token, talk)),
            _ => None,
        }
    }

    /// Closes the connection: with a goodbye, or so that its peer learns of it at once.
    fn part(&mut self, token: Token, reset: bool) {
        if let Some(Socket::Busy { mut lent, .. }) = self.sockets.remove(token) {
            match reset {
                true => lent.link().abort(),
                false => lent.link().say_goodbye(),
            }
            self.net.deregister(lent.link().stream_mut());
            lent.discard();
        }
    }
}
