//! Drives an engine through a [`World`], turn by turn.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::super::engine::{Engine, Lookups, Turn};
use super::super::handshake::{Handshakes, Stepped};
use super::audit::audit;
pub(super) use super::request::{Ask, Probe, get, post};
use crate::conn::link::Link;
use crate::delivery::ConnPool;
use crate::dns::{DnsFault, Lookup, LookupId, Query};
use crate::handoff::mailbox::Mailbox;
use crate::job::{Cancel, Command, Config, Control, PoolKey};
use crate::net::Token;
use crate::net::sim::{Peer, SimNet, SimStream, World};
use crate::pool::{Caps, LeaseId, Limits, Pool};
use crate::sync::{Arc, Mutex, lock};

/// A server whose address is in the URL, so that no name is looked up.
pub(super) const HOST: &str = "10.0.0.1";

pub(super) const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// More turns than this without rest are a loop.
const TURNS: usize = 100_000;

pub(super) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(super) fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

pub(super) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(super) fn at80(text: &str) -> SocketAddr {
    SocketAddr::new(ip(text), 80)
}

/// A response with a body of so many bytes.
pub(super) fn response(length: usize) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n").into_bytes();
    bytes.resize(bytes.len() + length, b'x');
    bytes
}

/// Only the head of one.
pub(super) fn head_of(length: usize) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n").into_bytes()
}

/// What a connector would be set to.
#[derive(Clone)]
pub(super) struct Setup {
    pub(super) config: Config,
    pub(super) limits: Limits,
    pub(super) caps: Option<Caps>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            config: Config::default(),
            limits: Limits {
                total: 100,
                per_host: 0,
            },
            caps: None,
        }
    }
}

pub(super) struct Sim {
    pub(super) world: World,
    pub(super) engine: Engine<SimNet>,
    pub(super) mailbox: Arc<Mailbox<Command>>,
    pub(super) pool: Arc<ConnPool<SimStream>>,
    pub(super) names: Names,
    pub(super) steps: Steps,
    /// The keys of all leases there ever were.
    pub(super) leases: HashMap<LeaseId, PoolKey>,
    pub(super) stopped: bool,
}

impl Sim {
    pub(super) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(super) fn limited(total: usize, per_host: usize) -> Self {
        Self::with(|setup| {
            setup.limits.total = total;
            setup.limits.per_host = per_host;
        })
    }

    pub(super) fn with(adapt: impl FnOnce(&mut Setup)) -> Self {
        let mut setup = Setup::default();
        adapt(&mut setup);
        let world = World::new();
        let mailbox = Arc::new(Mailbox::new(world.alarm()));
        let pool = Pool::with_caps(setup.limits, setup.caps);
        let names = Names::default();
        let lookups = Box::new(SimLookups {
            world: world.clone(),
            mailbox: mailbox.clone(),
            names: names.clone(),
        });
        let steps = Steps::new(&mailbox);
        let engine = Engine::new(
            world.net(),
            mailbox.clone(),
            pool.clone(),
            lookups,
            Box::new(steps.clone()),
            Arc::new(setup.config),
        );
        Self {
            world,
            engine,
            mailbox,
            pool,
            names,
            steps,
            leases: HashMap::new(),
            stopped: false,
        }
    }

    /// Starts a request; it does its first step in the next turn.
    pub(super) fn start(&mut self, ask: Ask) -> Probe {
        let (probe, exchange) = ask.prepare(&self.world, &self.mailbox);
        // After a switch of protocols it has a lease.
        self.leases.insert(probe.id.lease(), exchange.key.clone());
        let pushed = self.mailbox.push(Command::Start(probe.id, exchange));
        assert!(pushed.is_ok() || self.stopped, "the mailbox is closed");
        probe
    }

    /// Starts a request from inside a wait.
    pub(super) fn start_after(&mut self, delay: Duration, ask: Ask) -> Probe {
        let (probe, exchange) = ask.prepare(&self.world, &self.mailbox);
        let (mailbox, id) = (self.mailbox.clone(), probe.id);
        self.world.after(delay, move || {
            let _ = mailbox.push(Command::Start(id, exchange));
        });
        probe
    }

    /// Starts a request and lets it come as far as it does.
    pub(super) fn go(&mut self, ask: Ask) -> Probe {
        let probe = self.start(ask);
        self.settle();
        probe
    }

    /// A request that is answered at once, on the `n`th connection.
    pub(super) fn serve(&mut self, n: usize, ask: Ask) {
        let probe = self.go(ask);
        self.peer(n).received();
        self.peer(n).send(OK);
        self.settle();
        assert_eq!(probe.status(), Some(200), "{probe:?}");
    }

    pub(super) fn cancel(&mut self, probe: &Probe, how: Cancel) {
        let _ = self.mailbox.push(Command::Cancel(probe.id, how));
        self.settle();
    }

    pub(super) fn control(&mut self, control: Control) {
        let _ = self.mailbox.push(Command::Control(control));
        self.settle();
    }

    /// Lets everything happen that happens now.
    pub(super) fn settle(&mut self) {
        self.advance(Duration::ZERO);
    }

    /// Lets so much time pass, and everything happen meanwhile.
    pub(super) fn advance(&mut self, time: Duration) {
        self.world.set_horizon(time);
        for _ in 0..TURNS {
            if self.turn() == Turn::Stop || self.world.is_idle() {
                return audit(self, true);
            }
        }
        panic!("the engine does not come to rest");
    }

    /// One turn.
    pub(super) fn turn(&mut self) -> Turn {
        if self.stopped {
            return Turn::Stop;
        }
        let turn = self.engine.turn();
        self.stopped = turn == Turn::Stop;
        audit(self, false);
        turn
    }

    pub(super) fn peer(&self, n: usize) -> Peer {
        self.world.peer(n)
    }

    /// Slots in use, idle connections, waiters.
    pub(super) fn books(&self) -> (usize, usize, usize) {
        let stats = self.pool.stats();
        (stats.in_use, stats.idle, stats.waiting)
    }
}

/// What the scripted resolver says to a name, and when. Unknown names are never
/// answered.
#[derive(Clone, Default)]
pub(super) struct Names(Arc<Mutex<Script>>);

#[derive(Default)]
struct Script {
    answers: HashMap<String, Vec<(Duration, Lookup)>>,
    asked: Vec<String>,
}

impl Names {
    /// All addresses at once.
    pub(super) fn known(&self, host: &str, addresses: &[&str]) {
        self.says(host, ms(0), Lookup::Done(Ok(list(addresses)), None));
    }

    /// Some addresses, more to come.
    pub(super) fn partly(&self, host: &str, delay: Duration, addresses: &[&str]) {
        self.says(host, delay, Lookup::Partial(list(addresses)));
    }

    pub(super) fn unknown(&self, host: &str) {
        self.says(host, ms(0), Lookup::Done(Err(DnsFault::NotFound), None));
    }

    pub(super) fn says(&self, host: &str, delay: Duration, what: Lookup) {
        let mut script = lock(&self.0);
        let answers = script.answers.entry(host.to_owned()).or_default();
        answers.push((delay, what));
    }

    /// Whatever was said of a host is no longer.
    pub(super) fn unsay(&self, host: &str) {
        lock(&self.0).answers.remove(host);
    }

    /// Lookups that were started.
    pub(super) fn asked(&self) -> usize {
        lock(&self.0).asked.len()
    }
}

fn list(addresses: &[&str]) -> Vec<SocketAddr> {
    addresses.iter().map(|address| at80(address)).collect()
}

/// Takes the steps of handshakes that run foreign code: at once, or when the test
/// says so.
#[derive(Clone)]
pub(super) struct Steps {
    mailbox: Arc<Mailbox<Command>>,
    state: Arc<Mutex<Taken>>,
}

#[derive(Default)]
struct Taken {
    /// Links wait for [`Steps::take`].
    holds: bool,
    /// And cannot be withdrawn, being in the middle of their step.
    begun: bool,
    held: Vec<(Token, Link<SimStream>)>,
    done: Vec<Stepped<SimStream>>,
    count: usize,
}

impl Steps {
    fn new(mailbox: &Arc<Mailbox<Command>>) -> Self {
        Self {
            mailbox: mailbox.clone(),
            state: Arc::default(),
        }
    }

    /// From now on each waits for [`take`](Self::take); `begun` as on a thread that
    /// is in the middle of it.
    #[cfg(feature = "tls")]
    pub(super) fn hold(&self, begun: bool) {
        let mut state = lock(&self.state);
        (state.holds, state.begun) = (true, begun);
    }

    /// Takes the steps that wait, and says how many.
    #[cfg(feature = "tls")]
    pub(super) fn take(&self) -> usize {
        let held = std::mem::take(&mut lock(&self.state).held);
        let count = held.len();
        for (token, link) in held {
            self.step_now(token, link);
        }
        count
    }

    /// Taken so far.
    #[cfg(feature = "tls")]
    pub(super) fn taken(&self) -> usize {
        lock(&self.state).count
    }

    fn step_now(&self, token: Token, mut link: Link<SimStream>) {
        let outcome = link.establish();
        let mut state = lock(&self.state);
        state.count += 1;
        state.done.push(Stepped {
            token,
            link,
            outcome,
        });
        drop(state);
        let _ = self.mailbox.push(Command::Stepped);
    }

    /// The places of the links that are here.
    pub(super) fn tokens(&self) -> Vec<Token> {
        let state = lock(&self.state);
        let held = state.held.iter().map(|(token, _)| *token);
        held.chain(state.done.iter().map(|stepped| stepped.token))
            .collect()
    }
}

impl Handshakes<SimStream> for Steps {
    fn step(&mut self, token: Token, link: Link<SimStream>) {
        let mut state = lock(&self.state);
        if state.holds {
            return state.held.push((token, link));
        }
        drop(state);
        self.step_now(token, link);
    }

    fn withdraw(&mut self, token: Token) -> Option<Link<SimStream>> {
        let mut state = lock(&self.state);
        let held = state.held.iter().position(|(held, _)| *held == token);
        let place = held.filter(|_| !state.begun)?;
        Some(state.held.remove(place).1)
    }

    fn stepped(&mut self) -> Vec<Stepped<SimStream>> {
        std::mem::take(&mut lock(&self.state).done)
    }
}

struct SimLookups {
    world: World,
    mailbox: Arc<Mailbox<Command>>,
    names: Names,
}

impl Lookups for SimLookups {
    fn start(&mut self, id: LookupId, query: Query) {
        let mut script = lock(&self.names.0);
        script.asked.push(query.host().to_owned());
        let answers = script.answers.get(query.host()).cloned();
        for (delay, lookup) in answers.unwrap_or_default() {
            let mailbox = self.mailbox.clone();
            self.world.after(delay, move || {
                let _ = mailbox.push(Command::Resolved(id, lookup));
            });
        }
    }

    /// Every lookup here begins at once.
    fn withdraw(&mut self, _: LookupId) -> bool {
        false
    }
}
