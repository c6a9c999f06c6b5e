//! Attempts whose next step runs foreign code: it is taken elsewhere
//! ([`handshake`](crate::reactor::handshake)), and the attempt is *away* meanwhile.
//!
//! Its socket stays in the poller's sight, which costs nothing since it is told of
//! changes alone, and what is told meanwhile is noted for the link's return.

use std::time::Instant;

use crate::conn::link::{Link, Stage, Step};
use crate::job::ExchangeId;
use crate::net::{Address, Net, Readiness, Stream, Token};
use crate::reactor::engine::Engine;
use crate::reactor::handshake::Stepped;
use crate::reactor::socket::Socket;

/// What stays here of such an attempt.
pub(in crate::reactor) struct Away<S: Stream> {
    pub(in crate::reactor) exchange: ExchangeId,
    /// With which it can be ended.
    socket: S::Shared,
    /// What the socket has told since.
    noted: Readiness,
    pub(super) stage: Stage,
    pub(super) address: Address,
    /// As of [`Socket::Attempt`].
    pub(super) deadline: Option<Instant>,
    pub(super) tls: Option<Instant>,
}

impl<S: Stream> Away<S> {
    pub(in crate::reactor) fn note(&mut self, ready: Readiness) {
        self.noted.add(ready);
    }

    /// Ends it from here: the slot may be free before the link is back. What
    /// it is in the middle of ends as soon as it looks at its socket.
    pub(in crate::reactor) fn close<N: Net<Stream = S>>(self, net: &mut N) {
        S::shut(&self.socket);
        net.unwatch(&self.socket);
    }
}

impl<N: Net> Engine<N> {
    /// Has the next step of this attempt taken elsewhere.
    pub(super) fn send_away(&mut self, token: Token) {
        let Some(Socket::Attempt {
            exchange,
            link,
            deadline,
            tls,
        }) = self.sockets.get_mut(token)
        else {
            return;
        };
        let away = Box::new(Away {
            exchange: *exchange,
            socket: link.stream().share(),
            noted: Readiness::default(),
            stage: link.stage(),
            address: link.address().clone(),
            deadline: *deadline,
            tls: *tls,
        });
        if let Some(Socket::Attempt { link, .. }) = self.sockets.replace(token, Socket::Away(away))
        {
            self.handshakes.step(token, *link);
        }
    }

    /// Links have come back.
    pub(in crate::reactor) fn stepped(&mut self) {
        for stepped in self.handshakes.stepped() {
            self.came_back(stepped);
        }
    }

    fn came_back(&mut self, stepped: Stepped<N::Stream>) {
        let Stepped {
            token,
            mut link,
            outcome,
        } = stepped;
        let Some(Socket::Away(away)) = self.sockets.get_mut(token) else {
            // Nobody waits for it any more.
            return self.give_up(link);
        };
        link.ready(away.noted);
        let (id, stage) = (away.exchange, away.stage);
        let attempt = Socket::Attempt {
            exchange: id,
            link: Box::new(link),
            deadline: away.deadline,
            tls: away.tls,
        };
        self.sockets.replace(token, attempt);
        let step = outcome.map(|is_open| match is_open {
            true => Step::Open,
            false => Step::Waiting,
        });
        self.attempt_stepped(id, token, stage, step);
        // What was told meanwhile is told only once.
        self.drive_attempt(token);
    }

    /// Closes a link whose place is empty.
    pub(in crate::reactor) fn give_up(&mut self, mut link: Link<N::Stream>) {
        link.abort();
        self.net.deregister(link.stream_mut());
    }
}
