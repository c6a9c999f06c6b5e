//! An open WebSocket and the connection under it, as one thing that goes from hand
//! to hand.

use std::any::Any;
use std::time::Instant;

use super::PooledConn;
use crate::handoff::relay::Drove;
use crate::job::{PoolKey, Talk, Talked, WsConn};
use crate::net::{Readiness, Stream};
use crate::pool::Lent;

/// So many turns a thread that sends takes in a row, before it leaves the rest to the
/// reactor.
const TURNS: usize = 8;

/// Dropped, it closes the connection, and then tells.
pub(crate) struct OpenWebSocket<S: Stream> {
    pub(crate) lent: Lent<PoolKey, PooledConn<S>>,
    pub(crate) talk: Box<dyn Talk>,
    /// When the reactor goes on with it in any case.
    pub(crate) due: Option<Instant>,
    /// All was said, and how it is to be closed.
    over: Option<Talked>,
}

impl<S: Stream> OpenWebSocket<S> {
    pub(crate) fn new(lent: Lent<PoolKey, PooledConn<S>>, talk: Box<dyn Talk>) -> Self {
        Self {
            lent,
            talk,
            due: None,
            over: None,
        }
    }

    /// As [`Talk::go_on`]; and the end is the end, whoever comes to it.
    pub(crate) fn go_on(&mut self, now: Instant) -> Talked {
        if let Some(over) = self.over {
            return over;
        }
        let talked = self.talk.go_on(&mut **self.lent, now);
        if let Talked::Over { .. } = talked {
            self.over = Some(talked);
        }
        talked
    }

    /// Whether it has to go on before the reactor would, which alone looks at the
    /// clock when nobody else is there.
    pub(crate) fn is_due_before(&self) -> bool {
        match (self.talk.deadline(), self.due) {
            (Some(at), Some(due)) => at < due,
            (at, _) => at.is_some(),
        }
    }
}

impl<S: Stream> WsConn for OpenWebSocket<S> {
    fn drive(&mut self, now: Instant, is_coming_back: bool) -> Drove {
        let mut talked = self.go_on(now);
        // It has had its turn, and nobody else is waiting for one on this thread.
        for _ in 1..TURNS {
            if talked != Talked::Again {
                break;
            }
            talked = self.go_on(now);
        }
        if is_coming_back && self.lent.token().is_none() {
            // To read an answer, which may be there by then: one wait less. One that has
            // not read for a while does not come for that.
            self.lent.link().ready(Readiness {
                readable: true,
                ..Readiness::default()
            });
        }
        match talked {
            Talked::Wants if self.is_due_before() || !self.talk.is_open() => Drove::Owner,
            // Where it is watched, the poller tells of room.
            Talked::Wants if self.lent.is_flushed() || self.lent.token().is_some() => Drove::Enough,
            Talked::Wants if is_coming_back => Drove::Soon,
            _ => Drove::Owner,
        }
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}
