//! The threads on which resolvers run.
//!
//! Threads are started when a query finds none idle, up to a limit, and end
//! after some idle seconds or when the [`Workers`] are dropped. Nobody joins
//! them: getaddrinfo can block for minutes, and neither a drop nor another
//! lookup may wait for it. What is waiting in the queue at a drop fails at
//! once; a lookup under way is finished, and its answer goes to whoever still
//! listens.
//!
//! A lookup on a dead server takes long and costs nothing, and a few of them
//! would hold up all others. So a thread that has been at one for a second is
//! not counted among those that serve, and another takes its place, up to a
//! second limit. Nobody else need come for that: while queries wait, one thread,
//! the lookout, waits for the moment when the next one counts as slow.
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
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use super::{Answer, DnsFault, LookupId, Query, Resolve};

/// How long a thread with nothing to do stays. Long enough for the lookups of
/// one page or crawl to share threads, short enough to leave nothing behind.
const IDLE: Duration = Duration::from_secs(5);

/// From when on a lookup counts as slow.
const SLOW: Duration = Duration::from_secs(1);

/// How many threads and how much waiting there may be; each at least 1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WorkerLimits {
    /// Threads that serve at once.
    pub(crate) threads: usize,
    /// All of them, with those that are at a slow lookup.
    pub(crate) threads_in_all: usize,
    /// Queries that wait for one.
    pub(crate) queue: usize,
}

impl Default for WorkerLimits {
    fn default() -> Self {
        Self {
            threads: 4,
            threads_in_all: 16,
            queue: 1024,
        }
    }
}

/// A bounded queue of queries and the threads that serve it.
#[derive(Debug)]
pub(crate) struct Workers {
    shared: Arc<Shared>,
}

impl Workers {
    /// Starts nothing yet.
    pub(crate) fn new(resolver: Arc<dyn Resolve>, limits: WorkerLimits) -> Self {
        Self::with_times(resolver, limits, IDLE, SLOW)
    }

    fn with_times(
        resolver: Arc<dyn Resolve>,
        limits: WorkerLimits,
        idle: Duration,
        slow: Duration,
    ) -> Self {
        let threads = limits.threads.max(1);
        let limits = WorkerLimits {
            threads,
            threads_in_all: limits.threads_in_all.max(threads),
            queue: limits.queue.max(1),
        };
        Self {
            shared: Arc::new(Shared {
                state: Mutex::default(),
                ready: Condvar::new(),
                closing: Condvar::new(),
                resolver,
                limits,
                idle,
                slow,
            }),
        }
    }

    /// Has `query` answered by some worker; never blocks. A full queue, or no
    /// thread to be had, is answered from here, on the calling thread.
    pub(crate) fn start(&self, id: LookupId, query: Query, answer: Answer) {
        let mut state = self.shared.lock();
        if state.queue.len() >= self.shared.limits.queue {
            drop(state);
            answer.refuse(DnsFault::Busy);
            return;
        }
        state.queue.push_back((id, query, answer));
        // Idle threads take one query each, those already woken included.
        if state.queue.len() <= state.idle {
            drop(state);
            self.shared.ready.notify_one();
        } else {
            let next = self.shared.reinforce(&mut state);
            drop(state);
            self.shared.spawn(next);
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
}

impl Drop for Workers {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.closed = true;
        let queue = mem::take(&mut state.queue);
        drop(state);
        self.shared.ready.notify_all();
        self.shared.closing.notify_all();
        // Outside the lock: dropping an answer calls its sink.
        drop(queue);
    }
}

struct Shared {
    state: Mutex<State>,
    /// Signalled for each query meant for an idle thread, and at the end.
    ready: Condvar,
    /// Signalled at the end, for the lookout: a query that is meant for an idle
    /// thread must not wake it instead.
    closing: Condvar,
    resolver: Arc<dyn Resolve>,
    limits: WorkerLimits,
    idle: Duration,
    slow: Duration,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<(LookupId, Query, Answer)>,
    /// Threads that will look at the queue again, busy ones included.
    threads: usize,
    /// Those of them that wait for `ready`.
    idle: usize,
    /// Since when each of those that are at a lookup is.
    busy: Vec<(ThreadId, Instant)>,
    /// Whether one thread, not counted above, looks out for slow ones.
    lookout: bool,
    closed: bool,
}

/// What a new thread is to be; counted already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Post {
    Worker,
    Lookout,
}

impl Shared {
    /// Queries wait that no idle thread will take: whom to start, if anybody.
    fn reinforce(&self, state: &mut State) -> Option<Post> {
        if state.queue.is_empty() || state.threads >= self.limits.threads_in_all {
            return None;
        }
        if state.serving(self.slow) < self.limits.threads {
            state.threads += 1;
            return Some(Post::Worker);
        }
        if self.limits.threads_in_all > self.limits.threads && !state.lookout {
            state.lookout = true;
            return Some(Post::Lookout);
        }
        None
    }

    /// Not under the lock: starting a thread takes a while.
    fn spawn(self: &Arc<Self>, post: Option<Post>) {
        let Some(post) = post else { return };
        let shared = Arc::clone(self);
        let life = move || match post {
            Post::Worker => shared.work(),
            Post::Lookout => shared.look_out(),
        };
        let name = "miohttp-dns".to_owned();
        match (thread::Builder::new().name(name).spawn(life), post) {
            (Ok(_), _) => {}
            (Err(error), Post::Worker) => self.spawn_failed(error),
            // Without it the queue is served all the same, only later.
            (Err(_), Post::Lookout) => self.lock().lookout = false,
        }
    }

    /// The lookout's life: it ends with the queue, or becomes a worker when
    /// there is to be another one.
    fn look_out(self: &Arc<Self>) {
        let mut state = self.lock();
        loop {
            let is_full = state.threads >= self.limits.threads_in_all;
            if state.closed || state.queue.is_empty() || is_full {
                state.lookout = false;
                return;
            }
            if state.serving(self.slow) < self.limits.threads {
                state.lookout = false;
                state.threads += 1;
                drop(state);
                return self.work();
            }
            let pause = state.until_slow(self.slow).unwrap_or(self.slow);
            (state, _) = self
                .closing
                .wait_timeout(state, pause)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// A worker's life.
    fn work(self: &Arc<Self>) {
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
    fn next(self: &Arc<Self>) -> Option<(LookupId, Query, Answer)> {
        let me = thread::current().id();
        let mut state = self.lock();
        state.busy.retain(|(id, _)| *id != me);
        let mut waited = false;
        loop {
            if let Some(job) = state.queue.pop_front() {
                state.busy.push((me, Instant::now()));
                let next = self.reinforce(&mut state);
                drop(state);
                self.spawn(next);
                return Some(job);
            }
            // One that was slow, and whose place another has taken.
            let is_surplus = state.serving(self.slow) > self.limits.threads;
            if state.closed || waited || is_surplus {
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

impl State {
    /// Threads that serve the queue, or will soon.
    fn serving(&self, slow: Duration) -> usize {
        let is_slow = |(_, since): &&(ThreadId, Instant)| since.elapsed() >= slow;
        self.threads - self.busy.iter().filter(is_slow).count()
    }

    /// How long until one more counts as slow, if any is busy.
    fn until_slow(&self, slow: Duration) -> Option<Duration> {
        let left = self
            .busy
            .iter()
            .map(|(_, since)| slow.saturating_sub(since.elapsed()));
        left.filter(|left| !left.is_zero()).min()
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("state", &self.state)
            .field("limits", &self.limits)
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
