//! A blocked caller, played by the test: it takes a connection out of the pool
//! and drives it between two turns of the engine.

use std::time::Instant;

use super::sim::*;
use crate::conn::{ConnFault, Pumped};
use crate::delivery::{self, Inbox, Outlet, PooledConn, Sip};
use crate::error::{Error, Phase};
use crate::job::{Command, Exchange, Failure, Next, PoolKey, Progress, Reply};
use crate::net::Stream;
use crate::net::sim::{SimSocket, SimStream};
use crate::pool::{self, Lending, Revoked, Tell};

type Lease = pool::Lease<PoolKey, PooledConn<SimStream>>;

/// A request on a connection that the test drives.
pub(super) struct Caller {
    pub(super) probe: Probe,
    lease: Lease,
    part: Part,
    /// When it was last driven.
    now: Instant,
}

enum Part {
    Asked(Box<Exchange>, Inbox),
    Streaming(Outlet),
    Between,
}

impl Sim {
    /// Takes the idle connection there is, and sends this on it.
    pub(super) fn lend(&mut self, ask: Ask) -> Caller {
        let mut caller = self.try_lend(ask).expect("an idle connection");
        caller.pump(self).expect("it is sent");
        caller
    }

    /// Takes an idle connection for this, if there is one that stands.
    pub(super) fn try_lend(&mut self, ask: Ask) -> Option<Caller> {
        let (probe, mut exchange) = ask.prepare(&self.world, &self.mailbox);
        let now = self.world.now();
        let Lending::Taken(mut lease) = self.pool.lend(&exchange.key, now, probe.id.lease()) else {
            return None;
        };
        self.leases.insert(probe.id.lease(), exchange.key.clone());
        if let Some(token) = lease.token() {
            lease.stream().share().leave_poller();
            lease.set_token(None);
            self.mailbox.leave(Command::Unwatched(token.0));
        }
        if !lease.probe() {
            lease.hang_up();
            lease.discard();
            return None;
        }
        let upload = std::mem::take(&mut exchange.upload);
        lease.assign(&exchange.head, upload, &exchange.limits, now);
        let inbox = Inbox::new(exchange.limits.pipe.high);
        let part = Part::Asked(exchange, inbox);
        Some(Caller {
            probe,
            lease,
            part,
            now,
        })
    }

    /// Takes up again what was parked, if it still lies there.
    pub(super) fn resume(&self, probe: &Probe) -> Option<Caller> {
        let (lease, mut outlet) = self.pool.resume(probe.id.lease())?;
        outlet.refresh();
        Some(Caller {
            probe: probe.clone(),
            lease,
            part: Part::Streaming(outlet),
            now: self.world.now(),
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
        self.now = now;
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
        let facts = self.lease.facts();
        let Part::Asked(exchange, inbox) = std::mem::replace(&mut self.part, Part::Between) else {
            panic!("it is handed out");
        };
        let (head, body, outlet) = inbox.into_stream(exchange.limits.pipe).expect("a head");
        let reply = Reply { head, body, facts };
        let next = delivery::advance(exchange, Ok(reply), self.now);
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
                outlet.fail(Error::cancelled());
                Err(revoked)
            }
        }
    }

    /// The response is complete: brings the connection home for so long.
    pub(super) fn put(mut self, sim: &Sim, life: std::time::Duration) {
        assert!(self.lease.rest(), "it cannot be used again");
        let now = sim.world.now();
        let tally = self.lease.tally();
        let tell = self.lease.put(now + life, now);
        sim.tell(None, tell);
        if let Part::Streaming(outlet) = self.part {
            outlet.finish(tally);
        }
    }

    /// What a blocked caller does as long as it may: goes on as far as it
    /// goes, and leaves what it must. `None`: it has done with it.
    pub(super) fn drive(mut self, sim: &Sim, park: bool) -> Option<Self> {
        match self.pump(sim) {
            Ok(true) => {
                self.complete(sim);
                None
            }
            Err(fault) => {
                self.broken(fault);
                None
            }
            Ok(false) => {
                if matches!(&self.part, Part::Asked(_, inbox) if inbox.has_head()) {
                    self.deliver();
                }
                let streams = matches!(self.part, Part::Streaming(_));
                if streams && park {
                    let _ = self.park(sim);
                    return None;
                }
                Some(self)
            }
        }
    }

    /// The connection goes home, or is closed, before the answer is given.
    fn complete(mut self, sim: &Sim) {
        let facts = self.lease.facts();
        let revoked = if self.lease.rest() {
            let now = sim.world.now();
            let tell = self.lease.put(now + secs(15), now);
            sim.tell(None, tell);
            None
        } else {
            self.lease.hang_up();
            self.lease.discard()
        };
        let progress = Progress::Begun;
        match (self.part, revoked) {
            (Part::Asked(exchange, _), Some(_)) => {
                let error = Error::cancelled();
                delivery::advance(exchange, Err(Failure { error, progress }), self.now);
            }
            (Part::Asked(exchange, inbox), None) => {
                let (head, body) = inbox.into_whole(facts.tally).expect("a head");
                let reply = Reply { head, body, facts };
                delivery::advance(exchange, Ok(reply), self.now);
            }
            (Part::Streaming(outlet), Some(_)) => outlet.fail(Error::cancelled()),
            (Part::Streaming(outlet), None) => outlet.finish(facts.tally),
            (Part::Between, _) => {}
        }
    }

    fn broken(mut self, fault: ConnFault) {
        if matches!(&self.part, Part::Asked(_, inbox) if inbox.has_head()) {
            self.deliver();
        }
        let progress = self.lease.progress(&fault);
        self.lease.hang_up();
        let error = match self.lease.discard() {
            Some(_) => Error::cancelled(),
            None => fault.into_error(Phase::Body),
        };
        match self.part {
            Part::Asked(exchange, _) => {
                delivery::advance(exchange, Err(Failure { error, progress }), self.now);
            }
            Part::Streaming(outlet) => outlet.fail(error),
            Part::Between => {}
        }
    }

    /// Gives up, and learns whether it was made to.
    pub(super) fn discard(mut self) -> Option<Revoked> {
        self.lease.hang_up();
        self.lease.discard()
    }
}
