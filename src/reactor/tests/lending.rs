//! Connections that are asked for by themselves.

use std::time::{Duration, Instant};

use super::super::engine::Turn;
use super::sim::*;
use crate::error::{Error, Kind, Timeout};
use crate::job::{
    Advance, Cancel, Command, Control, Exchange, ExchangeId, Facts, Failure, Loan, Next, Reply,
};
use crate::net::sim::Manner;
use crate::sync::{Arc, Mutex, lock};

type Lent = Result<(Box<dyn Loan>, Facts), Error>;

/// Who asks for a connection, and what came of it.
#[derive(Clone)]
pub(super) struct Asked {
    id: ExchangeId,
    lent: Arc<Mutex<Option<Lent>>>,
}

impl Asked {
    pub(super) fn lent(&self) -> (Box<dyn Loan>, Facts) {
        let lent = lock(&self.lent).take().expect("an answer");
        lent.expect("a connection")
    }

    fn error(&self) -> Error {
        let lent = lock(&self.lent).take().expect("an answer");
        lent.map(drop).expect_err("no connection")
    }

    fn is_answered(&self) -> bool {
        lock(&self.lent).is_some()
    }
}

impl Advance for Asked {
    fn advance(
        self: Box<Self>,
        _: Box<Exchange>,
        outcome: Result<Reply, Failure>,
        _: Instant,
    ) -> Next {
        let failure = outcome.map(drop).expect_err("nothing was asked");
        *lock(&self.lent) = Some(Err(failure.error));
        Next::Deliver
    }

    fn lend(self: Box<Self>, loan: Box<dyn Loan>, facts: Facts) {
        *lock(&self.lent) = Some(Ok((loan, facts)));
    }
}

/// Asks for a connection that this request would have gone on.
pub(super) fn asking(sim: &mut Sim, ask: Ask) -> Asked {
    let (probe, mut exchange) = ask.prepare(&sim.world, &sim.mailbox);
    let asked = Asked {
        id: probe.id,
        lent: Arc::default(),
    };
    exchange.bare = true;
    exchange.advance = Some(Box::new(asked.clone()));
    sim.leases.insert(asked.id.lease(), exchange.key.clone());
    let pushed = sim.mailbox.push(Command::Start(asked.id, exchange));
    assert!(pushed.is_ok());
    sim.settle();
    asked
}

pub(super) fn release(sim: &mut Sim, loan: Box<dyn Loan>) {
    if loan.release(secs(15), sim.world.now()) {
        let _ = sim.mailbox.push(Command::Look);
    }
    sim.settle();
}

#[test]
fn it_is_lent_given_back_and_looked_after() {
    // SPEC N1, C1
    let mut sim = Sim::new();
    let (mut loan, facts) = asking(&mut sim, get(HOST)).lent();
    assert!(!facts.reused && loan.is_standing());
    assert_eq!(facts.link.peer, Some(at80(HOST)));
    assert!(sim.peer(0).received().is_empty(), "nothing was asked");
    assert_eq!(sim.books(), (1, 0, 0));
    release(&mut sim, loan);
    assert_eq!(sim.books(), (0, 1, 0));
    // It counts as used: what it swallows may be sent again.
    let probe = sim.go(get(HOST));
    sim.peer(0).send(OK);
    sim.settle();
    assert_eq!((probe.status(), probe.reused()), (Some(200), true));
    let (loan, facts) = asking(&mut sim, get(HOST)).lent();
    assert!(facts.reused);
    release(&mut sim, loan);
    assert_eq!((sim.world.wires(), sim.books()), (1, (0, 1, 0)));
    // Nobody drives it, so the steward has to: it sees its end, and its time.
    sim.advance(secs(5));
    assert!(!sim.peer(0).is_closed());
    sim.advance(secs(11));
    assert!(sim.peer(0).is_closed());
    assert_eq!(sim.books(), (0, 0, 0));
}

#[test]
fn one_that_died_while_it_was_idle_is_not_lent() {
    // SPEC N1, P4
    let mut sim = Sim::new();
    sim.serve(0, get(HOST));
    sim.peer(0).finish();
    let (mut loan, facts) = asking(&mut sim, get(HOST)).lent();
    assert!(!facts.reused && loan.is_standing());
    assert_eq!((sim.world.wires(), sim.books()), (2, (1, 0, 0)));
    // Nor is one given back that has died since.
    sim.peer(1).finish();
    assert!(!loan.is_standing());
    release(&mut sim, loan);
    assert!(sim.peer(1).is_closed());
    assert_eq!(sim.books(), (0, 0, 0));
}

#[test]
fn it_waits_for_a_slot_and_dials_within_its_limits() {
    // SPEC N1, C8, T1, T3
    let mut sim = Sim::limited(1, 0);
    let (loan, _) = asking(&mut sim, get(HOST)).lent();
    let waits = asking(&mut sim, get("10.0.0.2").total(secs(2)));
    assert_eq!((waits.is_answered(), sim.books()), (false, (1, 0, 1)));
    sim.advance(secs(2));
    assert_eq!(waits.error().timeout(), Some(Timeout::Total));
    let next = asking(&mut sim, get("10.0.0.2"));
    drop(loan);
    sim.settle();
    assert!(sim.peer(0).is_closed(), "dropped and not given back");
    let (loan, _) = next.lent();
    drop(loan);
    sim.settle();

    sim.world.set_manner(at80("10.0.0.3"), Manner::Refuses);
    let refused = asking(&mut sim, get("10.0.0.3"));
    assert_eq!(refused.error().kind(), Kind::Connect);
    sim.world.set_manner(at80("10.0.0.4"), Manner::BlackHole);
    let slow = asking(&mut sim, get("10.0.0.4").sock_connect(ms(300)));
    sim.advance(ms(300));
    assert_eq!(slow.error().timeout(), Some(Timeout::SockConnect));
    assert_eq!(sim.books(), (0, 0, 0));
}

#[test]
fn it_can_be_ended_wherever_it_stands() {
    // SPEC N1, C7
    let mut sim = Sim::new();
    sim.world.set_manner(at80("10.0.0.4"), Manner::BlackHole);
    let dialing = asking(&mut sim, get("10.0.0.4"));
    let _ = sim.mailbox.push(Command::Cancel(dialing.id, Cancel::Abort));
    sim.settle();
    assert_eq!(dialing.error().kind(), Kind::Cancelled);
    let asked = asking(&mut sim, get(HOST));
    let (mut loan, _) = asked.lent();
    let _ = sim.mailbox.push(Command::Cancel(asked.id, Cancel::Abort));
    sim.settle();
    assert!(!loan.is_standing() && loan.detach().is_none());
    let (mut loan, _) = asking(&mut sim, get(HOST)).lent();
    let (detached, _) = asking(&mut sim, get(HOST)).lent();
    let mut detached = detached.detach().expect("it stands");
    assert_eq!(sim.pool.stats().in_use, 1, "the detached one holds no slot");
    drop(sim.mailbox.push(Command::Control(Control::Shutdown)));
    // Past the audit, which knows nothing of what was detached.
    while sim.engine.turn() == Turn::Continue {}
    sim.stopped = true;
    assert!(!loan.is_standing());
    assert!(!loan.release(Duration::from_secs(15), sim.world.now()));
    sim.peer(3).send("still there");
    let mut bytes = [0; 20];
    assert_eq!(detached.read(&mut bytes).unwrap(), 11);
}
