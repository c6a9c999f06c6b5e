//! The threads on which resolvers run.
//!
//! Threads are started when a query finds none idle, up to a limit, and end
//! after some idle seconds or when the [`Workers`] are dropped. Nobody joins
//! them: getaddrinfo can block for minutes, and neither a drop nor another
//! lookup may wait for it. What is waiting in the queue at a drop fails at
//! once; a lookup under way is finished, and its answer goes to whoever still
//! listens.
//!
//! `State::threads` and `State::idle` change only under the lock, in the same
//! critical section as the look at the queue. So a thread cannot decide to end
//! between the moment a query is queued and the moment it is counted upon.
//!
//! The locks are std's also when other modules are model-checked: a resolver
//! is a shared trait object, and blocking calls have no place in a model.

use std::collections::VecDeque;
use std::io;
use std::mem;
use std::net::ToSocketAddrs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::{Answer, DnsFault, LookupId, Query, Resolve};

/// How long a thread with nothing to do stays. Long enough for the lookups of
/// one page or crawl to share threads, short enough to leave nothing behind.
const IDLE: Duration = Duration::from_secs(5);

/// A bounded queue of queries and the threads that serve it.
#[derive(Debug)]
pub(crate) struct Workers {
    shared: Arc<Shared>,
}

impl Workers {
    /// Starts nothing yet. Both limits are at least 1.
    pub(crate) fn new(resolver: Arc<dyn Resolve>, max_threads: usize, max_queue: usize) -> Self {
        Self::with_idle(resolver, max_threads, max_queue, IDLE)
    }

    fn with_idle(
        resolver: Arc<dyn Resolve>,
        max_threads: usize,
        max_queue: usize,
        idle: Duration,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                state: Mutex::default(),
                ready: Condvar::new(),
                resolver,
                max_threads: max_threads.max(1),
                max_queue: max_queue.max(1),
                idle,
            }),
        }
    }

    /// Has `query` answered by some worker; never blocks. A full queue, or no
    /// thread to be had, is answered from here, on the calling thread.
    pub(crate) fn start(&self, id: LookupId, query: Query, answer: Answer) {
        let mut state = self.shared.lock();
        if state.queue.len() >= self.shared.max_queue {
            drop(state);
            answer.refuse(DnsFault::Busy);
            return;
        }
        state.queue.push_back((id, query, answer));
        // Idle threads take one query each, those already woken included.
        if state.queue.len() <= state.idle {
            drop(state);
            self.shared.ready.notify_one();
        } else if state.threads < self.shared.max_threads {
            state.threads += 1;
            drop(state);
            self.spawn();
        }
    }

    /// Takes a query back that no worker has begun; whether there was one. Its
    /// answer is dropped. So names nobody waits for do not hold up others.
    pub(crate) fn withdraw(&self, id: LookupId) -> bool {
        let mut state = self.shared.lock();
        let place = state.queue.iter().position(|(queued, ..)| *queued == id);
        let withdrawn = place.and_then(|place| state.queue.remove(place));
        drop(state);
        // Outside the lock: dropping an answer calls its sink.
        withdrawn.is_some()
    }

    /// Starts a thread that has been counted already.
    fn spawn(&self) {
        let shared = Arc::clone(&self.shared);
        let spawned = thread::Builder::new()
            .name("miohttp-dns".to_owned())
            .spawn(move || shared.work());
        if let Err(error) = spawned {
            self.shared.spawn_failed(error);
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.closed = true;
        let queue = mem::take(&mut state.queue);
        drop(state);
        self.shared.ready.notify_all();
        // Outside the lock: dropping an answer calls its sink.
        drop(queue);
    }
}

struct Shared {
    state: Mutex<State>,
    /// Signalled for each query meant for an idle thread, and at the end.
    ready: Condvar,
    resolver: Arc<dyn Resolve>,
    max_threads: usize,
    max_queue: usize,
    idle: Duration,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<(LookupId, Query, Answer)>,
    /// Threads that will look at the queue again, busy ones included.
    threads: usize,
    /// Those of them that wait for `ready`.
    idle: usize,
    closed: bool,
}

impl Shared {
    /// A worker's life.
    fn work(&self) {
        while let Some((_, query, answer)) = self.next() {
            let resolve = AssertUnwindSafe(|| self.resolver.resolve(&query, answer));
            // The answer is dropped while unwinding, and so is answered.
            if let Err(payload) = catch_unwind(resolve) {
                log::warn!("a resolver panicked on {:?}", query.host());
                // A payload is user data too, and its drop may panic again;
                // the thread must outlive that, for it has been counted.
                if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
                    mem::forget(again);
                }
            }
        }
    }

    /// The next query; `None` when this thread is to end, no longer counted.
    fn next(&self) -> Option<(LookupId, Query, Answer)> {
        let mut state = self.lock();
        let mut waited = false;
        loop {
            if let Some(job) = state.queue.pop_front() {
                return Some(job);
            }
            if state.closed || waited {
                state.threads -= 1;
                return None;
            }
            state.idle += 1;
            let timeout;
            (state, timeout) = self
                .ready
                .wait_timeout(state, self.idle)
                .unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
            waited = timeout.timed_out();
        }
    }

    /// Takes back a thread's count. If others run, they serve the queue, only
    /// later; if not, nobody would, so all of it fails.
    fn spawn_failed(&self, error: io::Error) {
        let mut state = self.lock();
        state.threads -= 1;
        if state.threads > 0 {
            return;
        }
        let queue = mem::take(&mut state.queue);
        drop(state);
        let fault = DnsFault::Failed(Arc::new(error));
        for (_, _, answer) in queue {
            answer.refuse(fault.clone());
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("state", &self.state)
            .field("max_threads", &self.max_threads)
            .field("max_queue", &self.max_queue)
            .finish_non_exhaustive()
    }
}

/// Asks the operating system: hosts file, mDNS, VPN split DNS and whatever
/// else is set up there.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve(&self, query: &Query, answer: Answer) {
        match (query.host(), query.port()).to_socket_addrs() {
            // One address per socket type may be reported; `Answer` drops the
            // repeats and keeps the order, which is that of RFC 6724. A scope
            // (`fe80::1%eth0` in the hosts file) comes along.
            Ok(addresses) => answer.endpoints(addresses),
            Err(error) if says_not_found(&error) => answer.not_found(),
            Err(error) => answer.fail(error),
        }
    }
}

/// Whether a lookup's error is the authoritative "no such name". std keeps
/// getaddrinfo's code on Windows, but elsewhere only its text, which varies
/// with the C library; an unknown text counts as a temporary failure, which is
/// the milder mistake.
fn says_not_found(error: &io::Error) -> bool {
    const WSAHOST_NOT_FOUND: i32 = 11001;
    /// `gai_strerror(EAI_NONAME)` of glibc, musl, and the BSDs with macOS.
    const TEXTS: [&str; 4] = [
        ": Name or service not known",
        ": Name does not resolve",
        ": nodename nor servname provided, or not known",
        ": Name does not exist",
    ];
    if cfg!(windows) {
        return error.raw_os_error() == Some(WSAHOST_NOT_FOUND);
    }
    // A system error is about the lookup, not the name.
    if error.raw_os_error().is_some() {
        return false;
    }
    let text = error.to_string();
    TEXTS.iter().any(|end| text.ends_with(end))
}

#[cfg(test)]
mod tests;
