//! A long random walk: requests, peers and the clock do as they please, the
//! books are gone over after every turn, and in the end nothing is left.

use super::caller::Caller;
use super::sim::*;
use crate::dns::{DnsFault, Lookup};
use crate::error::Kind;
use crate::job::{Cancel, Command, Control};
use crate::net::sim::{Manner, Peer};
use crate::pool::{Caps, Limits};

const HOSTS: [&str; 7] = [
    "10.0.0.1",
    "10.0.0.2",
    "10.0.0.3",
    "2001:db8::1",
    "both.test",
    "slow.test",
    "none.test",
];

const ADDRESSES: [&str; 5] = [
    "10.0.0.1",
    "10.0.0.2",
    "10.0.0.3",
    "2001:db8::1",
    "192.0.2.7",
];

/// What a peer says, whole or in part, asked or not.
const WORDS: [&str; 11] = [
    OK,
    "HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n0123456789",
    "0123456789",
    "01234567890123456789",
    "HTTP/1.1 302 Found\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n",
    "4\r\nmore\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end",
    "HTTP/1.1 204 No Content\r\nKeep-Alive: timeout=2\r\n\r\n",
    "HTTP/1.1 100 Continue\r\n\r\n",
    "HTTP/1.1 2",
    "not HTTP at all\r\n\r\n",
];

struct Walk {
    sim: Sim,
    dice: u64,
    probes: Vec<Probe>,
    /// Those who drive their own connections just now, beside the engine.
    callers: Vec<Caller>,
    /// Requests that are started at one time. Where they are many, nothing is
    /// idle and nothing is left to lie.
    most: usize,
}

impl Walk {
    /// Xorshift: the same walk for the same seed, everywhere.
    fn roll(&mut self, sides: u64) -> u64 {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        (self.dice >> 11) % sides
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        let n = self.roll(from.len() as u64) as usize;
        from[n]
    }

    fn ask(&mut self) -> Ask {
        let host = self.pick(&HOSTS);
        self.ask_of(host)
    }

    fn ask_of(&mut self, host: &'static str) -> Ask {
        let mut ask = match self.roll(4) {
            0 => post(host, vec![b'x'; self.roll(400_000) as usize + 1]),
            1 => post(host, "small").expect(),
            _ => get(host),
        };
        ask = ask.total(ms(self.roll(3000) + 1));
        if self.roll(3) == 0 {
            ask = ask.connect(ms(self.roll(1000)));
        }
        if self.roll(3) == 0 {
            ask = ask.sock_connect(ms(self.roll(2000) + 1));
        }
        if self.roll(3) == 0 {
            ask = ask.sock_read(ms(self.roll(1000) + 1));
        }
        if self.roll(2) == 0 {
            ask = ask.pipe(4, 8);
        }
        ask
    }

    fn start(&mut self) {
        let mut ask = self.ask();
        for _ in 0..self.roll(3) {
            ask = match self.roll(3) {
                0 => ask.then_after(ms(self.roll(900)), self.ask()),
                _ => ask.then(self.ask()),
            };
        }
        if self.roll(40) == 0 {
            ask = ask.panics();
        }
        let probe = self.sim.start(ask);
        self.probes.push(probe);
    }

    fn probe(&mut self) -> Option<Probe> {
        let n = self.roll(self.probes.len().max(1) as u64) as usize;
        self.probes.get(n).cloned()
    }

    /// An open wire, or for once one that may not be.
    fn peer(&mut self) -> Option<Peer> {
        let wires = self.sim.world.wires();
        let closed_too = self.roll(20) == 0;
        let latest: Vec<Peer> = (wires.saturating_sub(30)..wires)
            .map(|n| self.sim.peer(n))
            .filter(|peer| closed_too || !peer.is_closed())
            .collect();
        let n = self.roll(latest.len().max(1) as u64) as usize;
        latest.get(n).cloned()
    }

    fn step(&mut self) {
        match self.roll(30) {
            20..=23 if self.probes.len() < 14 && self.callers.len() < 3 => self.lend(),
            24..=27 => self.drive(),
            28 | 29 => self.resume(),
            0..=3 if self.probes.len() < self.most => self.start(),
            4 if self.roll(3) == 0 => {
                if let Some(probe) = self.probe() {
                    let how = self.pick(&[Cancel::Drain, Cancel::Abort]);
                    probe.drop_reader();
                    let _ = self.sim.mailbox.push(Command::Cancel(probe.id, how));
                }
            }
            5 | 6 => {
                if let Some(probe) = self.probe() {
                    probe.read();
                }
            }
            7..=13 => self.peer_acts(),
            14 => {
                let (address, manner) = (self.pick(&ADDRESSES), self.manner());
                self.sim.world.set_manner(at80(address), manner);
            }
            15 if self.roll(10) == 0 => {
                let what = match self.roll(2) {
                    0 => Control::CloseIdle,
                    _ => Control::ClearDns(None),
                };
                let _ = self.sim.mailbox.push(Command::Control(what));
            }
            16 => {
                let time = self.roll(200);
                self.sim.advance(ms(time));
            }
            17 if self.roll(40) == 0 => self.sim.advance(secs(20)),
            _ => {}
        }
        // Some things meet in one turn, others are far apart.
        match self.roll(3) {
            0 => {}
            1 => drop(self.sim.turn()),
            _ => self.sim.settle(),
        }
    }

    fn lend(&mut self) {
        for host in HOSTS {
            let ask = self.ask_of(host);
            if let Some(caller) = self.sim.try_lend(ask) {
                self.probes.push(caller.probe.clone());
                self.callers.push(caller);
                return;
            }
        }
    }

    /// One of the callers goes on.
    fn drive(&mut self) {
        if self.callers.is_empty() {
            return;
        }
        let n = self.roll(self.callers.len() as u64) as usize;
        let caller = self.callers.remove(n);
        let park = self.roll(4) > 0;
        self.callers.extend(caller.drive(&self.sim, park));
    }

    /// Another call for a response that was left to lie, if it lies there still.
    fn resume(&mut self) {
        for probe in &self.probes {
            if let Some(caller) = self.sim.resume(probe) {
                self.callers.push(caller);
                return;
            }
        }
    }

    fn peer_acts(&mut self) {
        let Some(peer) = self.peer() else { return };
        match self.roll(80) {
            0 => peer.finish(),
            1 => peer.reset(),
            2 => peer.break_pipe(),
            3 => peer.stir(),
            4 => peer.limit_reads(self.roll(9) as usize + 1),
            5 => peer.limit_writes(self.roll(9999) as usize + 1),
            6 => peer.set_window(self.roll(9999) as usize),
            7 => peer.set_window(usize::MAX),
            8 => peer.send(vec![b'x'; 30_000]),
            9..=12 => peer.send(self.pick(&WORDS)),
            _ if peer.received().is_empty() => {}
            13..=30 => peer.send(self.pick(&WORDS)),
            _ => peer.send(OK),
        }
    }

    fn manner(&mut self) -> Manner {
        let delay = ms(self.roll(800));
        self.pick(&[
            Manner::Accepts,
            Manner::Accepts,
            Manner::Accepts,
            Manner::AcceptsAfter(ms(1)),
            Manner::AcceptsAfter(ms(50)),
            Manner::AcceptsAfter(delay),
            Manner::Refuses,
            Manner::RefusesAfter(delay),
            Manner::BlackHole,
            Manner::Unreachable,
        ])
    }
}

#[test]
fn a_random_walk_leaves_nothing_behind() {
    let (mut lent, mut resumed) = (0, 0);
    for (seed, total, per_host) in [(1, 3, 0), (2, 5, 2), (3, 0, 1), (4, 1, 0), (5, 4, 2)] {
        let sim = Sim::with(|setup| {
            setup.limits = Limits { total, per_host };
            if seed > 3 {
                // And few connections are kept, none of them for long.
                let (total, per_host) = (2, 1);
                setup.caps = Some(Caps { total, per_host });
                setup.config.max_age = Some(secs(20));
            }
        });
        let names = &sim.names;
        names.known("both.test", &["2001:db8::1", "10.0.0.2", "192.0.2.7"]);
        names.partly("slow.test", ms(30), &["10.0.0.3"]);
        let all = vec![at80("2001:db8::1"), at80("10.0.0.3")];
        names.says("slow.test", ms(700), Lookup::Done(Ok(all), None));
        let none = Lookup::Done(Err(DnsFault::NotFound), None);
        names.says("none.test", ms(5), none);
        let mut walk = Walk {
            sim,
            dice: 0x9e37_79b9_7f4a_7c15 ^ (seed << 32 | seed),
            probes: Vec::new(),
            callers: Vec::new(),
            most: 0,
        };
        let (mut served, mut failed) = (0, 0);
        for step in 0..16_000 {
            walk.most = if step / 400 % 2 == 0 { 12 } else { 2 };
            let (callers, probes) = (walk.callers.len(), walk.probes.len());
            walk.step();
            let more = walk.callers.len() > callers;
            lent += usize::from(more && walk.probes.len() > probes);
            resumed += usize::from(more && walk.probes.len() == probes);
            walk.probes.retain(|probe| {
                let over = probe.is_over();
                let replied = probe.status().is_some();
                served += usize::from(over && replied);
                failed += usize::from(over && !replied);
                !over
            });
        }
        assert!(served > 40 && failed > 40, "{served} {failed}: a dull walk");

        // Every limit passes; whoever still reads hears how it ended.
        let mut sim = walk.sim;
        sim.advance(secs(90));
        for caller in walk.callers {
            assert!(caller.drive(&sim, true).is_none(), "its time is over");
        }
        sim.advance(secs(90));
        for probe in &walk.probes {
            assert!(probe.is_answered(), "{probe:?}");
            if let Some(Err(error)) = probe.end() {
                assert_ne!(error.kind(), Kind::Internal);
            }
        }
        assert_eq!(sim.books(), (0, 0, 0));
        assert_eq!((sim.world.open(), sim.engine.sockets.len()), (0, 0));
        assert!(sim.engine.exchanges.is_empty());
        assert_eq!(sim.engine.timers.earliest(), None);
    }
    assert!(lent > 100 && resumed > 10, "{lent} {resumed}: dull walks");
}
