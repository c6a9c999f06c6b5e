//! Handshakes that run foreign code, which the reactor's thread must not: a
//! verifier of the caller's, the platform's, a log of keys.
//!
//! A worker takes single *steps*: it is given a link by value whose socket has
//! something to say, does with it what can be done without waiting for the
//! network, and gives it back. So a slow server holds up no worker, only foreign
//! code that blocks does, and the reactor keeps all limits: a dial that ends
//! meanwhile shuts the socket, and what comes back finds nobody and is closed.
//!
//! A job cannot name a link, so what is done goes through a queue of this file, and
//! [`Command::Stepped`] says that there is something in it.

use std::collections::VecDeque;
use std::io;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::conn::link::{Link, LinkFault};
use crate::handoff::mailbox::Mailbox;
use crate::job::Command;
use crate::net::{Stream, Token};

/// How many steps are taken at a time. More wait, as long as their limits let
/// them.
const MAX_THREADS: usize = 8;

/// How long a thread with nothing to do stays: a handshake takes a few steps.
const IDLE: Duration = Duration::from_secs(5);

/// Has steps of handshakes taken elsewhere.
pub(crate) trait Handshakes<S> {
    /// The next step of this link. It comes back as one of the
    /// [`stepped`](Self::stepped), with a [`Command::Stepped`].
    fn step(&mut self, token: Token, link: Link<S>);

    /// Takes back a link whose step has not begun.
    fn withdraw(&mut self, token: Token) -> Option<Link<S>>;

    /// What has come back since the last time.
    fn stepped(&mut self) -> Vec<Stepped<S>>;
}

/// A link after a step.
#[derive(Debug)]
pub(crate) struct Stepped<S> {
    pub(crate) token: Token,
    pub(crate) link: Link<S>,
    /// As of [`Link::establish`].
    pub(crate) outcome: Result<bool, LinkFault>,
}

/// A few threads, started when needed, which end after some idle seconds or when
/// this is dropped. Nobody joins them: foreign code may block for ever.
#[derive(Debug)]
pub(crate) struct Workers<S> {
    shared: Arc<Shared<S>>,
}

impl<S> Workers<S> {
    /// Starts nothing yet.
    pub(crate) fn new(mailbox: Arc<Mailbox<Command>>) -> Self {
        let shared = Shared {
            state: Mutex::new(State {
                queue: VecDeque::new(),
                done: Vec::new(),
                threads: 0,
                idle: 0,
                closed: false,
            }),
            ready: Condvar::new(),
            mailbox,
        };
        Self {
            shared: Arc::new(shared),
        }
    }
}

impl<S: Stream + Send + 'static> Handshakes<S> for Workers<S> {
    fn step(&mut self, token: Token, link: Link<S>) {
        let mut state = self.shared.lock();
        state.queue.push_back((token, link));
        // Idle threads take one link each, those already woken included.
        if state.queue.len() <= state.idle {
            drop(state);
            self.shared.ready.notify_one();
        } else if state.threads < MAX_THREADS {
            state.threads += 1;
            drop(state);
            let shared = Arc::clone(&self.shared);
            let spawned = thread::Builder::new()
                .name("miohttp-tls".into())
                .spawn(move || shared.work());
            if let Err(error) = spawned {
                self.shared.spawn_failed(&error);
            }
        }
    }

    fn withdraw(&mut self, token: Token) -> Option<Link<S>> {
        let mut state = self.shared.lock();
        let place = state
            .queue
            .iter()
            .position(|(queued, _)| *queued == token)?;
        state.queue.remove(place).map(|(_, link)| link)
    }

    fn stepped(&mut self) -> Vec<Stepped<S>> {
        mem::take(&mut self.shared.lock().done)
    }
}

impl<S> Drop for Workers<S> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.closed = true;
        let left = (mem::take(&mut state.queue), mem::take(&mut state.done));
        drop(state);
        self.shared.ready.notify_all();
        // Not under the lock: this closes sockets.
        drop(left);
    }
}

#[derive(Debug)]
struct Shared<S> {
    state: Mutex<State<S>>,
    /// Signalled for each link meant for an idle thread, and at the end.
    ready: Condvar,
    mailbox: Arc<Mailbox<Command>>,
}

#[derive(Debug)]
struct State<S> {
    queue: VecDeque<(Token, Link<S>)>,
    done: Vec<Stepped<S>>,
    /// Threads that will look at the queue again, busy ones included.
    threads: usize,
    /// Those of them that wait for `ready`.
    idle: usize,
    closed: bool,
}

impl<S> Shared<S> {
    fn lock(&self) -> MutexGuard<'_, State<S>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next link; `None` when this thread is to end, no longer counted.
    fn next(&self) -> Option<(Token, Link<S>)> {
        let mut state = self.lock();
        let mut waited = false;
        loop {
            if let Some(next) = state.queue.pop_front() {
                return Some(next);
            }
            if state.closed || waited {
                state.threads -= 1;
                return None;
            }
            state.idle += 1;
            let timeout;
            (state, timeout) = self
                .ready
                .wait_timeout(state, IDLE)
                .unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
            waited = timeout.timed_out();
        }
    }

    fn done(&self, stepped: Stepped<S>) {
        let mut state = self.lock();
        if state.closed {
            // Nobody comes for it. Not under the lock: this closes a socket.
            drop(state);
            return drop(stepped);
        }
        state.done.push(stepped);
        drop(state);
        let _ = self.mailbox.push(Command::Stepped);
    }

    /// Takes back a thread's count. If others run, they serve the queue, only
    /// later; if not, nobody would, so all of it fails.
    fn spawn_failed(&self, error: &io::Error) {
        let mut state = self.lock();
        state.threads -= 1;
        if state.threads > 0 {
            return;
        }
        let queue = mem::take(&mut state.queue);
        drop(state);
        for (token, link) in queue {
            let error = io::Error::new(error.kind(), "no thread for the TLS handshake");
            self.done(Stepped {
                token,
                link,
                outcome: Err(error.into()),
            });
        }
    }
}

impl<S: Stream> Shared<S> {
    /// A worker's life.
    fn work(&self) {
        while let Some((token, mut link)) = self.next() {
            // Foreign code is contained where it is called; this is for what is
            // ours, since the thread has been counted.
            let step = catch_unwind(AssertUnwindSafe(|| link.establish()));
            let outcome = step.unwrap_or_else(|_| {
                log::error!("a TLS handshake panicked; that connection fails");
                Err(io::Error::other("the TLS handshake panicked").into())
            });
            self.done(Stepped {
                token,
                link,
                outcome,
            });
        }
    }
}
