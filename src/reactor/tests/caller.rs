//! A blocked caller, played by the test: it takes a connection out of the pool
//! and drives it between two turns of the engine.

use super::sim::*;
use crate::conn::{ConnFault, Pumped};
use crate::delivery::{self, Inbox, Outlet, PooledConn, Sip};
use crate::job::{Command, Exchange, Next, PoolKey, Reply};
use crate::net::Stream;
use crate::net::sim::{SimSocket, SimStream};
use crate::pool::{self, Lending, Revoked, Tell};

type Lease = pool::Lease<PoolKey, PooledConn<SimStream>>;

/// A request on a connection that the test drives.
pub(super) struct Caller {
    pub(super) probe: Probe,
    lease: Lease,
    part: Part,
}

enum Part {
    Asked(Box<Exchange>, Inbox),
    Streaming(Outlet),
    Between,
}

impl Sim {
    /// Takes an idle connection and sends this on it.
    pub(super) fn lend(&mut self, ask: Ask) -> Caller {
        let (probe, mut exchange) = ask.prepare(&self.world, &self.mailbox);
        let now = self.world.now();
        let mut lease = match self.pool.lend(&exchange.key, now, probe.id.lease()) {
            Lending::Taken(lease) => lease,
            _ => panic!("no idle connection"),
        };
        if let Some(token) = lease.token() {
            lease.stream().share().leave_poller();
            lease.set_token(None);
            self.mailbox.leave(Command::Unwatched(token.0));
        }
        assert!(lease.probe(), "it is dead");
        let upload = std::mem::take(&mut exchange.upload);
        lease.assign(&exchange.head, upload, &exchange.limits, now);
        let inbox = Inbox::new(exchange.limits.pipe.high);
        let part = Part::Asked(exchange, inbox);
        let mut caller = Caller { probe, lease, part };
        caller.pump(self).expect("it is sent");
        caller
    }

    /// Takes up again what was parked, if it still lies there.
    pub(super) fn resume(&self, probe: &Probe) -> Option<Caller> {
        let (lease, mut outlet) = self.pool.resume(probe.id.lease())?;
        outlet.refresh();
        Some(Caller {
            probe: probe.clone(),
            lease,
            part: Part::Streaming(outlet),
        })
    }

    /// A request with a head of this length, and of its body the start, which
    /// lies parked. It has the one idle connection, which is the `n`th.
    pub(super) fn parked(&mut self, n: usize, ask: Ask, length: usize) -> Probe {
        let mut caller = self.lend(ask);
        self.peer(n).received();
        let mut bytes = head_of(length);
        bytes.extend_from_slice(b"xx");
        self.peer(n).send(bytes);
        caller.pump(self).expect("it stands");
        caller.deliver();
        let probe = caller.probe.clone();
        assert_eq!(probe.status(), Some(200));
        caller.park(self).expect("nobody has taken it away");
        probe
    }

    fn tell(&self, id: Option<&Probe>, tell: Tell) {
        let _ = match (tell, id) {
            (Tell::Nothing, _) => return,
            (Tell::TakeOver, Some(probe)) => self.mailbox.push(Command::Wake(probe.id)),
            (Tell::TakeOver | Tell::Look, _) => self.mailbox.push(Command::Look),
        };
    }

    /// Whether the engine carries this request.
    pub(super) fn carries(&self, probe: &Probe) -> bool {
        self.engine.exchanges.contains_key(&probe.id)
    }
}

impl Caller {
    pub(super) fn socket(&self) -> SimSocket {
        self.lease.stream().share()
    }

    /// Goes as far as it does; true when the response is complete.
    pub(super) fn pump(&mut self, sim: &Sim) -> Result<bool, ConnFault> {
        let now = sim.world.now();
        // Its poll(2) tells what is so, and not what has changed.
        self.lease.link().suspect();
        loop {
            let pumped = match &mut self.part {
                Part::Asked(_, inbox) => self.lease.pump(now, inbox)?,
                Part::Streaming(outlet) => {
                    let mut sip = Sip::new(outlet);
                    let pumped = self.lease.pump(now, &mut sip)?;
                    if sip.is_done() && pumped != Pumped::Done {
                        return Ok(false);
                    }
                    pumped
                }
                Part::Between => panic!("it is nobody's"),
            };
            match pumped {
                Pumped::Done => return Ok(true),
                Pumped::Wants(_) => return Ok(false),
                Pumped::Again => {}
            }
        }
    }

    /// Hands out the head.
    pub(super) fn deliver(&mut self) {
        let (peer, reused) = (self.lease.peer(), self.lease.is_reused());
        let Part::Asked(exchange, inbox) = std::mem::replace(&mut self.part, Part::Between) else {
            panic!("it is handed out");
        };
        let (head, body, outlet) = inbox.into_stream(exchange.limits.pipe).expect("a head");
        let reply = Reply {
            head,
            body,
            peer: Some(peer),
            reused,
        };
        let next = delivery::advance(exchange.advance, Ok(reply));
        assert!(matches!(next, Next::Deliver));
        self.part = Part::Streaming(outlet);
    }

    /// Leaves it to lie.
    pub(super) fn park(self, sim: &Sim) -> Result<(), Revoked> {
        let Part::Streaming(outlet) = self.part else {
            panic!("there is no head yet");
        };
        let deadline = self.lease.deadline();
        let now = sim.world.now();
        match self
            .lease
            .park(self.probe.id.lease(), outlet, deadline, now)
        {
            Ok(tell) => {
                sim.tell(Some(&self.probe), tell);
                Ok(())
            }
            Err((revoked, outlet)) => {
                outlet.fail(crate::error::Error::cancelled());
                Err(revoked)
            }
        }
    }

    /// The response is complete: brings the connection home for so long.
    pub(super) fn put(mut self, sim: &Sim, life: std::time::Duration) {
        assert!(self.lease.rest(), "it cannot be used again");
        let now = sim.world.now();
        let tell = self.lease.put(now + life, now);
        sim.tell(None, tell);
        if let Part::Streaming(outlet) = self.part {
            outlet.finish();
        }
    }

    /// Gives up, and learns whether it was made to.
    pub(super) fn discard(mut self) -> Option<Revoked> {
        self.lease.hang_up();
        self.lease.discard()
    }
}
