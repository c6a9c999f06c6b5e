//! The engine: one thread's worth of exchanges over one [`Net`].
//!
//! ```text
//! turn:  commands ─▶ those who had to wait for their turn ─▶ timers ─▶ wait ─▶ events
//! ```
//!
//! Generic over the network, so that tests step it through scripted worlds on
//! a virtual clock. A failure belongs to one socket or one exchange; nothing
//! but [`Control::Shutdown`] or a broken poller ends the loop.

use std::collections::{HashMap, HashSet, VecDeque};
use std::mem;
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use super::exchange::Entry;
use super::handshake::Handshakes;
use super::socket::Socket;
use super::table::Table;
use super::timer::{Owner, Timers};
use crate::delivery::{self, ConnPool, PooledConn};
use crate::dns::{Cache, LookupId, Query};
use crate::error::Error;
use crate::handoff;
use crate::handoff::mailbox::Mailbox;
use crate::hash::Cheaply;
use crate::job::{Command, Config, Control, ExchangeId};
use crate::net::{Net, Ready, Token};
use crate::sync::Arc;

pub(super) type Pooled<N> = PooledConn<<N as Net>::Stream>;

/// Waits that fail one after the other before the loop gives up.
const POLL_FAILURES: u32 = 8;

/// Starts lookups elsewhere; answers come as [`Command::Resolved`].
pub(crate) trait Lookups {
    fn start(&mut self, id: LookupId, query: Query);

    /// Takes back a lookup that has not begun; false if it has.
    fn withdraw(&mut self, id: LookupId) -> bool;
}

pub(crate) struct Engine<N: Net> {
    pub(super) net: N,
    pub(super) mailbox: Arc<Mailbox<Command>>,
    pub(super) pool: Arc<ConnPool<N::Stream>>,
    pub(super) config: Arc<Config>,
    pub(super) lookups: Box<dyn Lookups>,
    pub(super) handshakes: Box<dyn Handshakes<N::Stream>>,
    pub(super) names: Cache<ExchangeId>,
    pub(super) exchanges: HashMap<ExchangeId, Entry<N>, Cheaply>,
    pub(super) sockets: Table<Socket<N>>,
    pub(super) timers: Timers,
    pub(super) unfinished: Unfinished,
    /// Read after each wait, and when there is mail.
    pub(super) now: Instant,
    commands: Vec<Command>,
    events: Vec<Ready>,
    poll_failures: u32,
}

/// Whether the loop goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    Continue,
    Stop,
}

/// Sockets that used up their turn with more to do, each once: whoever the
/// network keeps telling about would get more turns than others otherwise.
#[derive(Debug, Default)]
pub(super) struct Unfinished {
    queue: VecDeque<Token>,
    queued: HashSet<Token, Cheaply>,
}

impl Unfinished {
    pub(super) fn push(&mut self, token: Token) {
        if self.queued.insert(token) {
            self.queue.push_back(token);
        }
    }

    fn pop(&mut self) -> Option<Token> {
        let token = self.queue.pop_front()?;
        self.queued.remove(&token);
        Some(token)
    }

    pub(super) fn contains(&self, token: Token) -> bool {
        self.queued.contains(&token)
    }

    fn len(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

/// Wakes an exchange that was granted a connection or a slot, or whose request
/// body has more.
struct Nudge {
    mailbox: Arc<Mailbox<Command>>,
    id: ExchangeId,
}

impl Wake for Nudge {
    fn wake(self: Arc<Self>) {
        // A closed mailbox has answered this exchange already.
        let _ = self.mailbox.push(Command::Wake(self.id));
    }
}

impl<N: Net> Engine<N> {
    pub(crate) fn new(
        net: N,
        mailbox: Arc<Mailbox<Command>>,
        pool: Arc<ConnPool<N::Stream>>,
        lookups: Box<dyn Lookups>,
        handshakes: Box<dyn Handshakes<N::Stream>>,
        config: Arc<Config>,
    ) -> Self {
        let now = net.now();
        let names = Cache::new(config.dns.keep);
        Self {
            net,
            mailbox,
            pool,
            config,
            lookups,
            handshakes,
            names,
            exchanges: HashMap::default(),
            sockets: Table::new(),
            timers: Timers::default(),
            unfinished: Unfinished::default(),
            now,
            commands: Vec::new(),
            events: Vec::new(),
            poll_failures: 0,
        }
    }

    /// One round of the loop. Waits when there is nothing to do.
    pub(crate) fn turn(&mut self) -> Turn {
        let mut commands = mem::take(&mut self.commands);
        self.mailbox.drain(&mut commands);
        if !commands.is_empty() {
            // What has come since the wait may have a limit that has passed since.
            self.now = self.net.now();
        }
        for command in commands.drain(..) {
            if self.command(command) == Turn::Stop {
                return Turn::Stop;
            }
        }
        self.commands = commands;

        // Only those that waited when this turn began: nobody gets two turns.
        for _ in 0..self.unfinished.len() {
            if let Some(token) = self.unfinished.pop() {
                self.drive(token);
            }
        }
        if self.timers.pop_far(self.now) {
            self.reschedule_far();
        }
        while let Some(owner) = self.timers.pop_due(self.now) {
            match owner {
                Owner::Exchange(id) => self.exchange_due(id),
                Owner::Socket(token) => self.socket_due(token),
            }
        }
        self.wait()
    }

    fn wait(&mut self) -> Turn {
        // Before the mailbox is judged: what they ask for next is in it then.
        handoff::wake_gathered();
        let timeout = if !self.unfinished.is_empty() || !self.mailbox.doze() {
            Some(Duration::ZERO)
        } else {
            [self.timers.earliest(), self.pool.next_look()]
                .into_iter()
                .flatten()
                .min()
                .map(|at| at.saturating_duration_since(self.now))
        };
        let mut events = mem::take(&mut self.events);
        let polled = self.net.poll(timeout, &mut events);
        self.now = self.net.now();
        // First, so that no checkout and no grant meets one that has expired.
        self.look();
        match polled {
            Ok(()) => self.poll_failures = 0,
            Err(error) => {
                log::error!("waiting for sockets failed: {error}");
                self.poll_failures += 1;
                if self.poll_failures >= POLL_FAILURES {
                    self.shut_down(
                        &Error::internal("waiting for sockets fails").with_source(error),
                    );
                    return Turn::Stop;
                }
            }
        }
        for ready in events.drain(..) {
            self.socket_ready(ready);
        }
        self.events = events;
        Turn::Continue
    }

    fn command(&mut self, command: Command) -> Turn {
        match command {
            Command::Start(id, exchange) => self.start(id, exchange),
            Command::Wake(id) => self.wake(id),
            Command::Cancel(id, how) => self.cancel(id, how),
            Command::Resolved(id, lookup) => self.resolved(id, lookup),
            Command::Stepped => self.stepped(),
            Command::Unwatched(token) => self.unwatched(Token(token)),
            #[cfg(feature = "websocket")]
            Command::Adopt(id, adoption) => self.adopt_websocket(id, *adoption),
            #[cfg(feature = "websocket")]
            Command::Fail(id, code) => self.fail_websocket(id, code),
            #[cfg(feature = "websocket")]
            Command::Nudge(id, at) => self.nudge_websocket(id, at),
            // It is looked after every wait, and this has ended one.
            Command::Look => {}
            Command::Control(Control::ClearDns(name)) => {
                let name = name.as_ref().map(|(host, port)| (host.as_str(), *port));
                self.names.clear(name);
            }
            Command::Control(Control::Names(look, slot)) => {
                // Nobody waits any more: nobody to tell.
                let _ = slot.fill(look(&self.names, self.now));
            }
            Command::Control(Control::CloseIdle) => {
                self.close_idle();
            }
            Command::Control(Control::Shutdown) => {
                self.shut_down(&Error::closed());
                return Turn::Stop;
            }
        }
        Turn::Continue
    }

    /// Wakes this exchange by mail.
    pub(super) fn nudge(&self, id: ExchangeId) -> Waker {
        Waker::from(Arc::new(Nudge {
            mailbox: self.mailbox.clone(),
            id,
        }))
    }

    pub(super) fn close_idle(&mut self) {
        for mut conn in self.pool.drain_idle() {
            self.close_conn(&mut conn);
        }
    }

    /// Ends everything: nothing in flight is left without an answer.
    fn shut_down(&mut self, error: &Error) {
        for mut conn in delivery::end(self.pool.close(), error) {
            self.close_conn(&mut conn);
        }
        let ids: Vec<_> = self.exchanges.keys().copied().collect();
        for id in ids {
            self.end_exchange(id, error.clone());
        }
        for socket in self.sockets.drain() {
            socket.close(&mut self.net);
        }
        // Those who came too late: dropping them answers them.
        drop(self.mailbox.close());
    }
}
