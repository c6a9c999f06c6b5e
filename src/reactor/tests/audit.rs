//! The books of an engine, checked after every turn: whoever holds a slot, a
//! socket or a timer is alive, nothing is held by nobody, and nobody waits
//! beside what it waits for.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Instant;

use super::super::exchange::Running;
use super::super::socket::Socket;
use super::super::timer::{Entered, Owner};
use super::sim::Sim;
#[cfg(feature = "websocket")]
use crate::delivery::OpenWebSocket;
#[cfg(feature = "websocket")]
use crate::handoff::relay::Found;
use crate::job::{Endpoint, PoolKey};
#[cfg(feature = "websocket")]
use crate::net::sim::SimStream;
use crate::pool::Key;

/// Slots that guards hold, by what holds them.
#[derive(Default)]
struct Held {
    total: usize,
    hosts: HashMap<Endpoint, usize>,
}

impl Held {
    fn count(&mut self, key: &PoolKey) {
        self.total += 1;
        *self.hosts.entry(Key::host(key).clone()).or_default() += 1;
    }
}

/// Panics where the books do not balance. `at_rest`: nothing is under way in
/// this very moment, so that nothing granted may still be unclaimed.
pub(super) fn audit(sim: &mut Sim, at_rest: bool) {
    let mut held = Held::default();
    let mut waiting = Vec::new();
    let mut claimed = HashSet::new();
    // WebSockets that others drive.
    #[cfg_attr(not(feature = "websocket"), allow(unused_mut))]
    let mut unwatched = 0;
    for (id, entry) in &sim.engine.exchanges {
        match &entry.running {
            // Neither a slot nor a place in the queue.
            Running::Resting { .. } => {}
            Running::Waiting { exchange, .. } => waiting.push(Key::host(&exchange.key)),
            Running::Dialing { exchange, dial, .. } => {
                held.count(&exchange.key);
                claimed.extend(dial.attempts.iter().map(|&token| (token, *id)));
            }
            Running::Asked { token, .. } | Running::Streaming { token, .. } => {
                claimed.insert((*token, *id));
            }
            #[cfg(feature = "websocket")]
            Running::WebSocket(entry) => {
                claimed.insert((entry.token, *id));
                let Found::Here(conn) = entry.relay.take() else {
                    panic!("a WebSocket that is nowhere");
                };
                let open = conn.into_any().downcast::<OpenWebSocket<_>>();
                let open: Box<OpenWebSocket<SimStream>> = open.expect("of this world");
                held.count(open.lent.key());
                unwatched += usize::from(open.lent.token().is_none());
                assert!(entry.relay.put(open).is_ok());
            }
        }
    }

    let mut away_links = sim.steps.tokens();
    let (mut sockets, mut resting) = (0, 0);
    for (token, socket) in sim.engine.sockets.iter() {
        sockets += 1;
        match socket {
            Socket::Attempt { exchange, .. } => {
                assert!(
                    claimed.remove(&(token, *exchange)),
                    "an attempt nobody makes"
                );
            }
            Socket::Away(away) => {
                assert!(
                    claimed.remove(&(token, away.exchange)),
                    "an attempt nobody makes"
                );
                let there = away_links.iter().position(|link| *link == token);
                away_links.remove(there.expect("a link that is away"));
            }
            Socket::Busy { exchange, lent } => {
                assert!(
                    claimed.remove(&(token, *exchange)),
                    "a busy socket nobody uses"
                );
                held.count(lent.key());
            }
            Socket::Draining { lent, .. } => held.count(lent.key()),
            #[cfg(feature = "websocket")]
            Socket::Relayed(exchange) => {
                assert!(claimed.remove(&(token, *exchange)), "nobody's WebSocket");
            }
            Socket::Idle { id, .. } => {
                assert!(id.is_some(), "an idle socket the pool does not know");
                resting += 1;
            }
        }
    }
    assert!(claimed.is_empty(), "an exchange on a socket that is gone");
    assert_eq!(sim.engine.sockets.len(), sockets);
    // Out of the poller's sight: with a caller, parked, or idle since lately.
    let (driven, parked) = sim.pool.survey();
    let leased = driven.len() + parked.len();
    // Those that are away from nobody are shut, and hold no slot.
    let gone = away_links.len();
    let unseen = sim.world.open().checked_sub(sockets + leased + gone);
    let unseen = unseen.expect("an open socket for each that is driven or parked");
    for id in driven.iter().chain(&parked) {
        held.count(&sim.leases[id]);
    }
    assert_eq!(
        sim.world.watched() + unwatched,
        sockets,
        "watched sockets and their table"
    );

    let stats = sim.pool.stats();
    let granted = waiting.len() - stats.waiting;
    assert_eq!(
        stats.in_use,
        held.total + granted,
        "slots in use: {stats:?}"
    );
    // Beyond what is idle only what was granted and not yet claimed.
    let granted_conns = (resting + unseen).checked_sub(stats.idle);
    assert!(
        granted_conns.is_some_and(|conns| conns <= granted),
        "open sockets, their table and the pool: {stats:?}"
    );
    if !parked.is_empty() || unseen > 0 {
        let next = sim.pool.next_look();
        assert!(next.is_some(), "nobody will look after what nobody watches");
    }
    let limits = sim.pool.limits();
    let below = |used: usize, limit: usize| limit == 0 || used < limit;
    assert!(limits.total == 0 || stats.in_use <= limits.total);
    for used in held.hosts.values() {
        assert!(limits.per_host == 0 || *used <= limits.per_host);
    }
    if at_rest {
        assert_eq!(granted, 0, "a slot was granted and not claimed");
        assert!(
            waiting.is_empty() || parked.is_empty(),
            "somebody waits beside what is parked"
        );
        if below(stats.in_use, limits.total) {
            for host in &waiting {
                let used = held.hosts.get(host).copied().unwrap_or(0);
                assert!(!below(used, limits.per_host), "a waiter beside a free slot");
            }
        }
        assert!(sim.engine.unfinished.is_empty());
    }
    if !sim.stopped {
        timers(sim);
    }
}

/// Every entry has a living owner that knows of it, and every deadline an
/// entry that is early enough.
fn timers(sim: &mut Sim) {
    let mut owners = BTreeSet::new();
    for (at, owner) in sim.engine.timers.entries() {
        assert!(owners.insert(owner), "two entries of one owner");
        let entered = match owner {
            Owner::Exchange(id) => sim.engine.exchanges.get(&id).map(|entry| entry.entered),
            Owner::Socket(token) => {
                sim.engine
                    .sockets
                    .iter()
                    .find_map(|(other, socket)| match socket {
                        Socket::Draining { entered, .. } if other == token => Some(*entered),
                        _ => None,
                    })
            }
        };
        assert_eq!(entered, Some(Entered::At(at)), "a timer of {owner:?}");
    }
    let ids: Vec<_> = sim.engine.exchanges.keys().copied().collect();
    let (far, mut afar) = sim.engine.timers.far();
    assert_eq!(far.is_some(), afar > 0);
    for id in ids {
        let deadline: Option<Instant> = sim.engine.deadline(id);
        let entered = sim
            .engine
            .exchanges
            .get(&id)
            .and_then(|entry| match entry.entered {
                Entered::No => None,
                Entered::At(at) => Some(at),
                Entered::Far => {
                    afar -= 1;
                    far
                }
            });
        if let Some(deadline) = deadline {
            assert!(
                entered.is_some_and(|at| at <= deadline),
                "a forgotten deadline"
            );
        }
    }
    assert_eq!(afar, 0, "far ones that are gone");
    for (token, socket) in sim.engine.sockets.iter() {
        if let Socket::Draining { entered, .. } = socket {
            assert!(
                *entered != Entered::No || sim.engine.unfinished.contains(token),
                "drains forever"
            );
        }
    }
}
