//! A network inside a test: scripted peers on a virtual clock.
//!
//! [`World`] is shared by the engine's end ([`SimNet`], [`SimStream`]) and the
//! test's ([`Peer`]). Nothing here waits: a [`Net::poll`] with nothing to tell
//! moves the clock, to its timeout or to the test's horizon, and whatever is
//! scheduled on the way happens on the way.
//!
//! Readiness is told the way epoll tells it to an edge-triggered watcher, and
//! no more: an event for each change, of that direction alone, and none for a
//! state that merely lasts. A driver that forgets what it was told stands still
//! here.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::{Address, Destination, Net, Readiness, Ready, Stream, Token};
use crate::handoff::mailbox::Alarm;
use crate::sync::{Arc, Mutex, MutexGuard, lock};

#[derive(Clone)]
pub(crate) struct World(Arc<Mutex<State>>);

struct State {
    start: Instant,
    now: Instant,
    /// The clock stops here.
    horizon: Instant,
    rung: bool,
    idle: bool,
    /// How many waits are still to fail.
    failing: u32,
    /// Connect calls that found a queue full.
    knocks: usize,
    manners: HashMap<Address, Manner>,
    windows: HashMap<Address, usize>,
    wires: Vec<Wire>,
    open: usize,
    /// More sockets than this the system does not give.
    descriptors: usize,
    watched: usize,
    /// Wires with something untold.
    changed: BTreeSet<usize>,
    agenda: BTreeMap<(Instant, u64), Action>,
    entries: u64,
}

/// No descriptor left; the same number everywhere.
const EMFILE: i32 = 24;

type Action = Box<dyn FnOnce() + Send>;

/// How an address meets those who connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    Accepts,
    AcceptsAfter(Duration),
    Refuses,
    RefusesAfter(Duration),
    /// The SYN is never answered.
    BlackHole,
    /// The connect call itself fails.
    Unreachable,
    /// It says that the queue is full, as that of a Unix socket does.
    Full,
}

/// One connection, or the attempt at one.
struct Wire {
    address: Address,
    stage: Stage,
    token: Option<Token>,
    untold_readable: bool,
    untold_writable: bool,
    to_client: VecDeque<u8>,
    to_peer: Vec<u8>,
    /// Writes that took something.
    writes: usize,
    /// The peer sends no more.
    finished: bool,
    /// What every call answers once the data before it is read.
    broken: Option<Broken>,
    max_read: usize,
    max_write: usize,
    /// Bytes the peer's window still has room for.
    window: usize,
    /// A full window is a broken pipe.
    brittle: bool,
    /// A write met a full window: its opening is news.
    blocked: bool,
    /// The client has closed its socket.
    closed: bool,
    /// And by a reset.
    aborted: bool,
    /// Another thread has shut it.
    shut: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Connecting,
    Open,
    Failed(io::ErrorKind),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Broken {
    /// A reset arrived.
    Reset,
    /// Only writing tells: EPIPE.
    Pipe,
}

impl World {
    pub(crate) fn new() -> Self {
        // The one look at a real clock, for something to count from.
        let start = Instant::now();
        Self(Arc::new(Mutex::new(State {
            start,
            now: start,
            horizon: start,
            rung: false,
            idle: false,
            failing: 0,
            knocks: 0,
            manners: HashMap::new(),
            windows: HashMap::new(),
            wires: Vec::new(),
            open: 0,
            descriptors: usize::MAX,
            watched: 0,
            changed: BTreeSet::new(),
            agenda: BTreeMap::new(),
            entries: 0,
        })))
    }

    /// The engine's end.
    pub(crate) fn net(&self) -> SimNet {
        SimNet(self.clone())
    }

    pub(crate) fn alarm(&self) -> Box<dyn Alarm> {
        Box::new(SimAlarm(self.clone()))
    }

    pub(crate) fn now(&self) -> Instant {
        self.state().now
    }

    /// Virtual time since the world began.
    pub(crate) fn elapsed(&self) -> Duration {
        let state = self.state();
        state.now - state.start
    }

    /// Lets the clock run this far, from now.
    pub(crate) fn set_horizon(&self, ahead: Duration) {
        let mut state = self.state();
        state.horizon = state.now + ahead;
        state.idle = false;
    }

    /// Time goes by outside of a wait: the engine's thread was held up.
    pub(crate) fn pass(&self, time: Duration) {
        let mut state = self.state();
        state.now += time;
        state.horizon = state.horizon.max(state.now);
    }

    /// Whether the last wait found nothing to tell up to the horizon.
    pub(crate) fn is_idle(&self) -> bool {
        self.state().idle
    }

    /// Does something later, from inside a wait.
    pub(crate) fn after(&self, delay: Duration, action: impl FnOnce() + Send + 'static) {
        self.state().enter(delay, Box::new(action));
    }

    /// The next waits fail.
    pub(crate) fn fail_waits(&self, count: u32) {
        self.state().failing = count;
    }

    pub(crate) fn set_descriptors(&self, count: usize) {
        self.state().descriptors = count;
    }

    pub(crate) fn set_manner(&self, address: impl Into<Address>, manner: Manner) {
        self.state().manners.insert(address.into(), manner);
    }

    /// The window with which connections to this address begin.
    pub(crate) fn set_window(&self, address: impl Into<Address>, bytes: usize) {
        self.state().windows.insert(address.into(), bytes);
    }

    /// How often somebody was sent away from a full queue.
    pub(crate) fn knocks(&self) -> usize {
        self.state().knocks
    }

    /// Connections and attempts so far, open or not.
    pub(crate) fn wires(&self) -> usize {
        self.state().wires.len()
    }

    /// Sockets the client has open.
    pub(crate) fn open(&self) -> usize {
        self.state().open
    }

    /// Sockets the client watches.
    pub(crate) fn watched(&self) -> usize {
        self.state().watched
    }

    /// The far end of the `n`th connection or attempt.
    pub(crate) fn peer(&self, n: usize) -> Peer {
        assert!(n < self.wires(), "nobody has connected for the {n}th time");
        Peer {
            world: self.clone(),
            n,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }
}

impl State {
    fn enter(&mut self, delay: Duration, action: Action) {
        self.entries += 1;
        let at = self.now + delay;
        self.agenda.insert((at, self.entries), action);
    }

    /// Something changed on this wire, which is news for whoever watches it.
    fn tell(&mut self, n: usize, readable: bool, writable: bool) {
        let wire = &mut self.wires[n];
        if wire.token.is_some() && (readable || writable) {
            wire.untold_readable |= readable;
            wire.untold_writable |= writable;
            self.changed.insert(n);
        }
    }

    fn settle(&mut self, n: usize, stage: Stage) {
        if self.wires[n].stage == Stage::Connecting {
            self.wires[n].stage = stage;
            let failed = stage != Stage::Open;
            self.tell(n, failed, true);
        }
    }

    fn unwatch(&mut self, n: usize) {
        if self.wires[n].token.take().is_some() {
            self.watched -= 1;
        }
    }

    fn collect(&mut self, ready: &mut Vec<Ready>) {
        for n in std::mem::take(&mut self.changed) {
            let wire = &mut self.wires[n];
            let readable = std::mem::take(&mut wire.untold_readable);
            let writable = std::mem::take(&mut wire.untold_writable);
            if let Some(token) = wire.token {
                ready.push(Ready {
                    token,
                    state: Readiness {
                        readable,
                        writable,
                        // As the system has it: what is so now, not what changed.
                        hung_up: wire.finished || wire.broken == Some(Broken::Reset),
                    },
                });
            }
        }
    }
}

impl Wire {
    fn is_readable(&self) -> bool {
        !self.to_client.is_empty()
            || self.finished
            || self.shut
            || self.broken == Some(Broken::Reset)
    }
}

#[derive(Clone)]
pub(crate) struct SimNet(World);

impl Net for SimNet {
    type Stream = SimStream;

    fn now(&self) -> Instant {
        self.0.now()
    }

    fn connect(&mut self, to: &Destination<'_>) -> io::Result<SimStream> {
        let address = to.address;
        let manner = self.0.state().manners.get(address).copied();
        let manner = manner.unwrap_or(Manner::Accepts);
        if manner == Manner::Unreachable {
            return Err(io::ErrorKind::NetworkUnreachable.into());
        }
        let mut state = self.0.state();
        if manner == Manner::Full {
            state.knocks += 1;
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if state.open >= state.descriptors {
            return Err(io::Error::from_raw_os_error(EMFILE));
        }
        let n = state.wires.len();
        let window = state.windows.get(address).copied();
        state.open += 1;
        state.wires.push(Wire {
            address: address.clone(),
            stage: Stage::Connecting,
            token: None,
            untold_readable: false,
            untold_writable: false,
            to_client: VecDeque::new(),
            to_peer: Vec::new(),
            writes: 0,
            finished: false,
            broken: None,
            max_read: usize::MAX,
            max_write: usize::MAX,
            window: window.unwrap_or(usize::MAX),
            brittle: false,
            blocked: false,
            closed: false,
            aborted: false,
            shut: false,
        });
        let refused = Stage::Failed(io::ErrorKind::ConnectionRefused);
        let (delay, stage) = match manner {
            Manner::Accepts => (Duration::ZERO, Stage::Open),
            Manner::AcceptsAfter(delay) => (delay, Stage::Open),
            Manner::Refuses => (Duration::ZERO, refused),
            Manner::RefusesAfter(delay) => (delay, refused),
            Manner::BlackHole | Manner::Unreachable | Manner::Full => {
                return Ok(SimStream(self.0.clone(), n));
            }
        };
        let world = self.0.clone();
        state.enter(delay, Box::new(move || world.state().settle(n, stage)));
        Ok(SimStream(self.0.clone(), n))
    }

    fn register(&mut self, stream: &mut SimStream, token: Token) -> io::Result<()> {
        self.watch(&stream.share(), token)
    }

    fn deregister(&mut self, stream: &mut SimStream) {
        self.0.state().unwatch(stream.1);
    }

    fn watch(&mut self, socket: &SimSocket, token: Token) -> io::Result<()> {
        let mut state = self.0.state();
        let wire = &mut state.wires[socket.1];
        assert!(wire.token.is_none(), "a socket is watched twice");
        wire.token = Some(token);
        let readable = wire.is_readable();
        let writable = wire.stage != Stage::Connecting;
        state.watched += 1;
        state.tell(socket.1, readable, writable);
        Ok(())
    }

    fn unwatch(&mut self, socket: &SimSocket) {
        self.0.state().unwatch(socket.1);
    }

    fn poll(&mut self, timeout: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<()> {
        let (before, until) = {
            let mut state = self.0.state();
            state.idle = false;
            if state.failing > 0 {
                state.failing -= 1;
                return Err(io::Error::other("this wait was to fail"));
            }
            let timeout = timeout.and_then(|timeout| state.now.checked_add(timeout));
            let until = timeout.map_or(state.horizon, |at| at.min(state.horizon));
            (state.now, until)
        };
        loop {
            let mut state = self.0.state();
            state.collect(ready);
            if !ready.is_empty() || std::mem::take(&mut state.rung) {
                return Ok(());
            }
            match state.agenda.first_entry() {
                Some(first) if first.key().0 <= until => {
                    let ((at, _), action) = first.remove_entry();
                    state.now = state.now.max(at);
                    drop(state);
                    action();
                }
                _ => {
                    state.now = state.now.max(until);
                    // Once the clock has moved, something may be due.
                    state.idle = state.now == before && timeout != Some(Duration::ZERO);
                    return Ok(());
                }
            }
        }
    }
}

struct SimAlarm(World);

impl Alarm for SimAlarm {
    fn ring(&self) {
        self.0.state().rung = true;
    }
}

/// The client's end of a wire; dropping it closes it.
pub(crate) struct SimStream(World, usize);

/// Another thread's handle of a wire.
#[derive(Clone)]
pub(crate) struct SimSocket(World, usize);

impl SimSocket {
    /// What a caller does to a socket it takes for itself.
    pub(crate) fn leave_poller(&self) {
        self.0.state().unwatch(self.1);
    }

    pub(crate) fn is_shut(&self) -> bool {
        self.0.state().wires[self.1].shut
    }
}

impl Stream for SimStream {
    type Shared = SimSocket;

    fn share(&self) -> SimSocket {
        SimSocket(self.0.clone(), self.1)
    }

    fn shut(socket: &SimSocket) {
        let mut state = socket.0.state();
        state.wires[socket.1].shut = true;
        state.tell(socket.1, true, true);
    }

    #[cfg(feature = "websocket")]
    fn tells_of_more(&self) -> bool {
        // A wire whose reads are limited stands for a transport that cuts them.
        self.0.state().wires[self.1].max_read == usize::MAX
    }

    fn read_spare(&mut self, into: &mut Vec<u8>) -> io::Result<usize> {
        let before = into.len();
        into.resize(into.capacity(), 0);
        let read = self.read(&mut into[before..]);
        into.truncate(before + *read.as_ref().unwrap_or(&0));
        read
    }

    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut state = self.0.state();
        let wire = &mut state.wires[self.1];
        assert!(wire.stage == Stage::Open, "read before connected");
        let n = into.len().min(wire.max_read).min(wire.to_client.len());
        if n > 0 {
            for (into, from) in into.iter_mut().zip(wire.to_client.drain(..n)) {
                *into = from;
            }
            return Ok(n);
        }
        match wire.broken {
            Some(Broken::Reset) => Err(io::ErrorKind::ConnectionReset.into()),
            _ if wire.finished || wire.shut || into.is_empty() => Ok(0),
            _ => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn write_vectored(&mut self, from: &[io::IoSlice<'_>]) -> io::Result<usize> {
        let mut state = self.0.state();
        let wire = &mut state.wires[self.1];
        assert!(wire.stage == Stage::Open, "written before connected");
        match wire.broken {
            Some(Broken::Reset) => return Err(io::ErrorKind::ConnectionReset.into()),
            Some(Broken::Pipe) => return Err(io::ErrorKind::BrokenPipe.into()),
            None if wire.shut => return Err(io::ErrorKind::BrokenPipe.into()),
            None => {}
        }
        let mut room = wire.window.min(wire.max_write);
        if room == 0 {
            if wire.brittle {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            wire.blocked = true;
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let mut written = 0;
        for slice in from {
            let n = slice.len().min(room);
            wire.to_peer.extend_from_slice(&slice[..n]);
            written += n;
            room -= n;
        }
        if wire.window != usize::MAX {
            wire.window -= written;
        }
        wire.writes += 1;
        Ok(written)
    }

    fn connected(&mut self) -> io::Result<bool> {
        match self.0.state().wires[self.1].stage {
            Stage::Connecting => Ok(false),
            Stage::Open => Ok(true),
            Stage::Failed(kind) => Err(kind.into()),
        }
    }

    fn abort_on_close(&mut self) {
        self.0.state().wires[self.1].aborted = true;
    }
}

impl Drop for SimStream {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.wires[self.1].closed = true;
        state.open -= 1;
        // The system stops watching what is closed.
        state.unwatch(self.1);
    }
}

/// The far end of a wire, in the test's hands.
#[derive(Clone)]
pub(crate) struct Peer {
    world: World,
    n: usize,
}

impl Peer {
    pub(crate) fn address(&self) -> SocketAddr {
        let address = self.world.state().wires[self.n].address.clone();
        address.ip().expect("an IP address")
    }

    /// Takes what the client sent since the last look.
    pub(crate) fn received(&self) -> Vec<u8> {
        std::mem::take(&mut self.world.state().wires[self.n].to_peer)
    }

    pub(crate) fn send(&self, bytes: impl AsRef<[u8]>) {
        let mut state = self.world.state();
        state.wires[self.n].to_client.extend(bytes.as_ref());
        state.tell(self.n, true, false);
    }

    /// The same, and the watcher hears of it too late.
    #[cfg(feature = "websocket")]
    pub(crate) fn send_untold(&self, bytes: impl AsRef<[u8]>) {
        let mut state = self.world.state();
        state.wires[self.n].to_client.extend(bytes.as_ref());
    }

    /// Closes the sending half.
    pub(crate) fn finish(&self) {
        let mut state = self.world.state();
        state.wires[self.n].finished = true;
        state.tell(self.n, true, false);
    }

    pub(crate) fn reset(&self) {
        let mut state = self.world.state();
        state.wires[self.n].broken = Some(Broken::Reset);
        state.tell(self.n, true, true);
    }

    /// The next write fails, and nothing tells before it.
    pub(crate) fn break_pipe(&self) {
        self.world.state().wires[self.n].broken = Some(Broken::Pipe);
    }

    /// From now on the client reads at most this many bytes at a time.
    pub(crate) fn limit_reads(&self, bytes: usize) {
        self.world.state().wires[self.n].max_read = bytes;
    }

    /// From now on a write takes at most this many bytes.
    pub(crate) fn limit_writes(&self, bytes: usize) {
        self.world.state().wires[self.n].max_write = bytes;
    }

    /// Room for so many bytes and then none, until there is more.
    pub(crate) fn set_window(&self, bytes: usize) {
        let mut state = self.world.state();
        let wire = &mut state.wires[self.n];
        wire.window = bytes;
        if bytes > 0 && std::mem::take(&mut wire.blocked) {
            state.tell(self.n, false, true);
        }
    }

    #[cfg(feature = "tls")]
    /// Room for so many bytes, and then writing fails in the middle of it.
    pub(crate) fn break_pipe_after(&self, bytes: usize) {
        self.world.state().wires[self.n].brittle = true;
        self.set_window(bytes);
    }

    /// An event about nothing, as a kernel may send one.
    pub(crate) fn stir(&self) {
        self.world.state().tell(self.n, true, true);
    }

    /// In how many pieces the client has sent what it has.
    #[cfg(feature = "tls")]
    pub(crate) fn writes(&self) -> usize {
        self.world.state().wires[self.n].writes
    }

    /// How much of what was sent the client has not read.
    pub(crate) fn unread(&self) -> usize {
        self.world.state().wires[self.n].to_client.len()
    }

    /// Whether the client has closed its end by a reset.
    pub(crate) fn is_aborted(&self) -> bool {
        let state = self.world.state();
        let wire = &state.wires[self.n];
        wire.closed && wire.aborted
    }

    /// Whether the client has closed its end.
    pub(crate) fn is_closed(&self) -> bool {
        self.world.state().wires[self.n].closed
    }
}
