//! The thread on which hickory runs: a queue, an executor, a poller.
//!
//! ```text
//!  submit ──► jobs ──► waiting ──► task ──► Answer
//!                         │          ▲│
//!                   (too late:       ││ timers, sockets, other tasks
//!                     failed)        │▼
//!                                  woken
//! ```
//!
//! It is started by the first job and ends with the last, some seconds later,
//! or when its [`Handle`] is dropped. That it ends is decided under the lock
//! under which jobs come in: [`Handle::submit`] gives back a job that nobody
//! would serve any more, and its caller starts another thread.
//!
//! "Is there work?" and "I am asleep" are one critical section, too, so that
//! whoever brings work knows whether to ring. A panic ends the thread: what it
//! was doing fails, and the next job starts another.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use mio::{Events, Poll as Poller, Token, Waker as Bell};

use super::config::{Settings, Watch};
use super::lookup::look_up;
use super::runtime::{self, Task};
use crate::dns::{Answer, Query};
use crate::process::Home;

/// More lookups than this are not kept waiting: the rest fail at once.
const MAX_WAITING: usize = 4096;

/// Events fetched by one wait. More stay in the kernel for the next.
const EVENTS: usize = 256;

/// No socket gets this token.
const BELL: Token = Token(usize::MAX);

/// A question, and who wants to know.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) query: Query,
    pub(super) answer: Answer,
    /// When it was asked.
    pub(super) since: Instant,
}

/// A running thread. Dropped, it ends it.
#[derive(Debug)]
pub(super) struct Handle {
    shared: Arc<Shared>,
    /// The process whose thread it is: a child of it has none.
    home: Home,
}

impl Handle {
    /// Starts the thread with its first job.
    ///
    /// # Errors
    /// The system has no descriptor or no thread left. The job comes back.
    pub(super) fn start(settings: &Arc<Settings>, job: Job) -> Result<Self, (Vec<Job>, io::Error)> {
        // It is there when the thread first looks: an idle one might end.
        let jobs = vec![job];
        let (poller, bell) = match poller() {
            Ok(both) => both,
            Err(error) => return Err((jobs, error)),
        };
        let state = State {
            jobs,
            ..State::default()
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            bell,
        });
        let (inside, settings) = (Arc::clone(&shared), Arc::clone(settings));
        let spawned = thread::Builder::new()
            .name("miohttp-hickory".to_owned())
            .spawn(move || serve(&inside, &settings, poller));
        match spawned {
            Ok(_) => Ok(Self {
                shared,
                home: Home::here(),
            }),
            Err(error) => Err((mem::take(&mut shared.lock().jobs), error)),
        }
    }

    /// # Errors
    /// The thread ends, or has ended, or is another process's. The job comes back.
    pub(super) fn submit(&self, job: Job) -> Result<(), Job> {
        if !self.is_home() {
            return Err(job);
        }
        let mut state = self.shared.lock();
        if state.over {
            return Err(job);
        }
        state.jobs.push(job);
        self.shared.rouse(state);
        Ok(())
    }

    pub(super) fn is_home(&self) -> bool {
        self.home.is_here()
    }
}

#[cfg(test)]
impl Handle {
    pub(super) fn is_over(&self) -> bool {
        self.shared.lock().over
    }

    /// As it is seen in a child of the process.
    pub(super) fn leave_home(&mut self) {
        self.home = Home::elsewhere();
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if !self.is_home() {
            // Its lock may be held for ever here, and its bell is the parent's.
            return;
        }
        let mut state = self.shared.lock();
        state.over = true;
        self.shared.rouse(state);
    }
}

fn poller() -> io::Result<(Poller, Bell)> {
    let poller = Poller::new()?;
    let bell = Bell::new(poller.registry(), BELL)?;
    Ok((poller, bell))
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    bell: Bell,
}

#[derive(Debug, Default)]
struct State {
    jobs: Vec<Job>,
    /// Tasks to be polled; one may be named twice.
    woken: Vec<u64>,
    /// The thread may be blocked, and nobody has rung yet.
    asleep: bool,
    /// The thread takes no more jobs.
    over: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the sleep of the thread, if it sleeps.
    fn rouse(&self, mut state: MutexGuard<'_, State>) {
        let ring = mem::take(&mut state.asleep);
        drop(state);
        if ring && let Err(error) = self.bell.wake() {
            // It fails only when the descriptor is gone, and it lives as long.
            log::error!("cannot wake the resolver: {error}");
        }
    }
}

/// Puts a task on the list.
struct TaskWaker {
    task: u64,
    shared: Arc<Shared>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut state = self.shared.lock();
        state.woken.push(self.task);
        self.shared.rouse(state);
    }
}

/// The thread's life.
fn serve(shared: &Arc<Shared>, settings: &Arc<Settings>, poller: Poller) {
    let mut executor = None;
    let ended = contain(|| {
        let new = Executor::new(shared, settings, poller)?;
        executor.insert(new).run()
    });
    // Whoever comes from here on starts another thread: before anybody hears
    // of the end of this one.
    let jobs = {
        let mut state = shared.lock();
        state.over = true;
        mem::take(&mut state.jobs)
    };
    let why = match ended {
        Some(Ok(())) => "the resolver was dropped".to_owned(),
        Some(Err(error)) => error.to_string(),
        None => {
            log::error!("the resolver's thread panicked, and starts anew when it is needed");
            "the resolver panicked".to_owned()
        }
    };
    contain(|| {
        drop(executor);
        runtime::leave();
        for job in jobs {
            job.answer.fail(&*why);
        }
    });
}

/// `None` for a panic.
fn contain<R>(run: impl FnOnce() -> R) -> Option<R> {
    let payload = match catch_unwind(AssertUnwindSafe(run)) {
        Ok(output) => return Some(output),
        Err(payload) => payload,
    };
    // Its drop may panic again.
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        mem::forget(again);
    }
    None
}

struct Executor {
    shared: Arc<Shared>,
    settings: Arc<Settings>,
    poller: Poller,
    events: Events,
    watch: Watch,
    tasks: HashMap<u64, Running>,
    last: u64,
    /// How many of the tasks are lookups.
    lookups: usize,
    waiting: VecDeque<Job>,
    /// Since when there has been nothing to do.
    idle_since: Instant,
}

struct Running {
    task: Task,
    waker: Waker,
    is_lookup: bool,
}

impl Executor {
    fn new(shared: &Arc<Shared>, settings: &Arc<Settings>, poller: Poller) -> io::Result<Self> {
        runtime::enter(poller.registry().try_clone()?, settings.max_in_flight);
        Ok(Self {
            shared: Arc::clone(shared),
            settings: Arc::clone(settings),
            poller,
            events: Events::with_capacity(EVENTS),
            watch: Watch::new(settings),
            tasks: HashMap::new(),
            last: 0,
            lookups: 0,
            waiting: VecDeque::new(),
            idle_since: Instant::now(),
        })
    }

    fn run(&mut self) -> io::Result<()> {
        loop {
            let mut state = self.shared.lock();
            let jobs = mem::take(&mut state.jobs);
            let mut woken = mem::take(&mut state.woken);
            let over = state.over;
            drop(state);
            if over {
                return self.give_up(jobs);
            }
            self.queue(jobs);
            self.begin(&mut woken);
            woken.sort_unstable();
            woken.dedup();
            for task in woken {
                self.poll(task);
            }
            if self.sleep()? {
                return Ok(());
            }
        }
    }

    fn queue(&mut self, jobs: Vec<Job>) {
        for job in jobs {
            if self.waiting.len() < MAX_WAITING {
                self.waiting.push_back(job);
            } else {
                job.answer.fail("too many lookups are waiting");
            }
        }
    }

    /// Begins lookups as far as there may be more of them, and fails those that
    /// have waited for too long. All wait equally long at most, but for a change
    /// of the configuration.
    fn begin(&mut self, woken: &mut Vec<u64>) {
        if self.waiting.is_empty() {
            return;
        }
        let now = Instant::now();
        let config = self.watch.config(now);
        while let Some(job) = self.waiting.pop_front() {
            let deadline = job.since + config.limit();
            if deadline <= now {
                let limit = config.limit();
                let why = format!("not even begun within {limit:?}: too many lookups are slow");
                job.answer.fail(why);
            } else if self.lookups < self.settings.max_in_flight {
                self.lookups += 1;
                let lookup = look_up(job, Arc::clone(&config), deadline);
                woken.push(self.add(Box::pin(lookup), true));
            } else {
                self.waiting.push_front(job);
                break;
            }
        }
    }

    fn add(&mut self, task: Task, is_lookup: bool) -> u64 {
        self.last += 1;
        let waker = TaskWaker {
            task: self.last,
            shared: Arc::clone(&self.shared),
        };
        let waker = Waker::from(Arc::new(waker));
        let running = Running {
            task,
            waker,
            is_lookup,
        };
        self.tasks.insert(self.last, running);
        self.last
    }

    fn poll(&mut self, number: u64) {
        let Some(running) = self.tasks.get_mut(&number) else {
            return;
        };
        let mut context = Context::from_waker(&running.waker);
        if let Poll::Ready(()) = running.task.as_mut().poll(&mut context) {
            self.lookups -= usize::from(running.is_lookup);
            self.tasks.remove(&number);
        }
        for task in runtime::take_spawned() {
            let number = self.add(task, false);
            self.shared.lock().woken.push(number);
        }
    }

    /// Waits until there is something to do. Whether the thread is to end.
    fn sleep(&mut self) -> io::Result<bool> {
        let now = Instant::now();
        let idle = self.tasks.is_empty() && self.waiting.is_empty();
        if !idle {
            self.idle_since = now;
        }
        let deadlines = [
            idle.then(|| self.idle_since + self.settings.idle),
            runtime::next_timer(),
            self.waiting
                .front()
                .map(|job| job.since + self.watch.limit()),
        ];
        let until = deadlines.into_iter().flatten().min();
        let mut timeout = until.map(|at| at.saturating_duration_since(now));

        let mut state = self.shared.lock();
        // A lookup that has ended makes room for one that waits.
        let room = !self.waiting.is_empty() && self.lookups < self.settings.max_in_flight;
        if room || state.over || !state.jobs.is_empty() || !state.woken.is_empty() {
            timeout = Some(Duration::ZERO);
        } else if idle && timeout == Some(Duration::ZERO) {
            state.over = true;
            return Ok(true);
        } else {
            state.asleep = true;
        }
        drop(state);

        let polled = self.poller.poll(&mut self.events, timeout.map(round_up));
        self.shared.lock().asleep = false;
        match polled {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(false),
            other => other?,
        }
        for event in &self.events {
            runtime::fire(event);
        }
        runtime::fire_timers(Instant::now());
        Ok(false)
    }

    fn give_up(&mut self, jobs: Vec<Job>) -> io::Result<()> {
        for job in jobs.into_iter().chain(self.waiting.drain(..)) {
            job.answer.fail("the resolver was dropped");
        }
        Ok(())
    }
}

/// The kernel's wait counts whole milliseconds and a shorter one would return
/// before the deadline, then spin until it.
fn round_up(timeout: Duration) -> Duration {
    let millis = timeout.as_nanos().div_ceil(1_000_000);
    Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
}
