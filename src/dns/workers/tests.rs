//! Real threads, but no sleeps: every step waits for a message.

use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};
use std::sync::mpsc::{Receiver, Sender, channel};

use super::super::{IpFamily, Lookup};
use super::*;

/// Far above what any step takes; only a failing test waits for it.
const PATIENCE: Duration = Duration::from_secs(30);

fn answer() -> (Answer, Receiver<Lookup>) {
    let (sender, receiver) = channel();
    let sink = move |lookup| drop(sender.send(lookup));
    (Answer::new(80, Box::new(sink)), receiver)
}

fn start(workers: &Workers, host: &str) -> Receiver<Lookup> {
    let (answer, receiver) = answer();
    start_as(workers, 0, host, answer);
    receiver
}

fn start_as(workers: &Workers, id: u64, host: &str, answer: Answer) {
    let query = Query::new(host, 80, IpFamily::Any);
    workers.start(LookupId::numbered(id), query, answer);
}

fn done(receiver: &Receiver<Lookup>) -> Result<Vec<SocketAddr>, DnsFault> {
    match receiver.recv_timeout(PATIENCE) {
        Ok(Lookup::Done(result, _)) => result,
        other => panic!("{other:?}"),
    }
}

fn failure(receiver: &Receiver<Lookup>) -> String {
    match done(receiver) {
        Err(DnsFault::Failed(error)) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn at80(text: &str) -> SocketAddr {
    SocketAddr::new(ip(text), 80)
}

/// Obeys the host name; "block" waits until the test releases it.
struct Scripted {
    entered: Sender<()>,
    release: Mutex<Receiver<()>>,
    /// Told when a worker thread ends.
    ended: Sender<Option<String>>,
}

/// What the test holds of a [`Scripted`].
struct Remote {
    entered: Receiver<()>,
    release: Sender<()>,
    ended: Receiver<Option<String>>,
}

struct OnExit(Sender<Option<String>>);

impl Drop for OnExit {
    fn drop(&mut self) {
        let name = thread::current().name().map(str::to_owned);
        let _ = self.0.send(name);
    }
}

thread_local! {
    static EXIT: RefCell<Option<OnExit>> = const { RefCell::new(None) };
}

impl Resolve for Scripted {
    fn resolve(&self, query: &Query, answer: Answer) {
        EXIT.with(|exit| {
            exit.borrow_mut()
                .get_or_insert_with(|| OnExit(self.ended.clone()));
        });
        match query.host() {
            "block" => {
                self.entered.send(()).unwrap();
                let release = self.release.lock().unwrap_or_else(PoisonError::into_inner);
                release.recv_timeout(PATIENCE).unwrap();
                answer.addresses([ip("10.0.0.2")]);
            }
            "panic" => panic!("scripted"),
            "silent" => {}
            "later" => drop(thread::spawn(move || answer.addresses([ip("10.0.0.3")]))),
            _ => answer.addresses([ip("10.0.0.1")]),
        }
    }
}

fn scripted(threads: usize, queue: usize, idle: Duration) -> (Workers, Remote) {
    let limits = WorkerLimits {
        threads,
        threads_in_all: threads,
        queue,
    };
    limited(limits, idle, SLOW)
}

fn limited(limits: WorkerLimits, idle: Duration, slow: Duration) -> (Workers, Remote) {
    let (entered_tx, entered) = channel();
    let (release, release_rx) = channel();
    let (ended_tx, ended) = channel();
    let resolver = Arc::new(Scripted {
        entered: entered_tx,
        release: Mutex::new(release_rx),
        ended: ended_tx,
    });
    let remote = Remote {
        entered,
        release,
        ended,
    };
    (Workers::with_times(resolver, limits, idle, slow), remote)
}

#[test]
fn answers_now_and_later() {
    let (workers, _remote) = scripted(4, 1024, IDLE);
    assert_eq!(done(&start(&workers, "a")).unwrap(), [at80("10.0.0.1")]);
    assert_eq!(done(&start(&workers, "later")).unwrap(), [at80("10.0.0.3")]);
}

#[test]
fn silence_and_panics_are_temporary_failures() {
    // One thread: it survives what it calls.
    let (workers, _remote) = scripted(1, 1024, IDLE);
    let panicked = start(&workers, "panic");
    assert_eq!(failure(&panicked), "the resolver panicked");
    let silent = start(&workers, "silent");
    assert_eq!(failure(&silent), "the resolver gave no answer");
    assert_eq!(done(&start(&workers, "a")).unwrap(), [at80("10.0.0.1")]);
}

/// getaddrinfo can hang; the other threads go on.
#[test]
fn a_stuck_lookup_stops_no_other() {
    let (workers, remote) = scripted(2, 1024, IDLE);
    let stuck = start(&workers, "block");
    remote.entered.recv_timeout(PATIENCE).unwrap();
    for _ in 0..20 {
        assert!(done(&start(&workers, "a")).is_ok());
    }
    remote.release.send(()).unwrap();
    assert_eq!(done(&stuck).unwrap(), [at80("10.0.0.2")]);
}

#[test]
fn a_full_queue_is_busy() {
    let (workers, remote) = scripted(1, 2, IDLE);
    let blocked = start(&workers, "block");
    remote.entered.recv_timeout(PATIENCE).unwrap();
    let queued = [start(&workers, "a"), start(&workers, "a")];
    let refused = start(&workers, "a");
    assert!(matches!(done(&refused), Err(DnsFault::Busy)));
    remote.release.send(()).unwrap();
    assert_eq!(done(&blocked).unwrap(), [at80("10.0.0.2")]);
    for receiver in queued {
        assert_eq!(done(&receiver).unwrap(), [at80("10.0.0.1")]);
    }
}

#[test]
fn idle_threads_end_and_new_ones_start() {
    let (workers, remote) = scripted(1, 1024, Duration::ZERO);
    for _ in 0..3 {
        assert!(done(&start(&workers, "a")).is_ok());
        let name = remote.ended.recv_timeout(PATIENCE).unwrap();
        assert_eq!(name.as_deref(), Some("miohttp-dns"));
        assert_eq!(workers.shared.lock().threads, 0);
    }
}

/// Queries never fall between a thread that ends and one that starts.
#[test]
fn no_query_is_lost_to_an_ending_thread() {
    let (workers, _remote) = scripted(2, 1024, Duration::ZERO);
    for _ in 0..500 {
        let both = [start(&workers, "a"), start(&workers, "a")];
        for receiver in both {
            assert!(done(&receiver).is_ok());
        }
    }
}

#[test]
fn threads_are_few() {
    let (workers, _remote) = scripted(3, 1024, IDLE);
    let all: Vec<_> = (0..200).map(|_| start(&workers, "a")).collect();
    for receiver in &all {
        assert!(done(receiver).is_ok());
    }
    assert!(workers.shared.lock().threads <= 3);
}

/// A drop blocks on nothing, fails what is queued, and ends every thread.
#[test]
fn dropping() {
    let (workers, remote) = scripted(1, 1024, IDLE);
    let blocked = start(&workers, "block");
    remote.entered.recv_timeout(PATIENCE).unwrap();
    let queued = start(&workers, "a");
    drop(workers);
    assert_eq!(failure(&queued), "the resolver gave no answer");
    remote.release.send(()).unwrap();
    assert_eq!(done(&blocked).unwrap(), [at80("10.0.0.2")]);
    remote.ended.recv_timeout(PATIENCE).unwrap();

    let (workers, remote) = scripted(1, 1024, PATIENCE);
    assert!(done(&start(&workers, "a")).is_ok());
    drop(workers);
    remote.ended.recv_timeout(PATIENCE).unwrap();
}

/// A failed start is taken back; with no thread left, nobody waits for ever.
#[test]
fn no_thread_to_be_had() {
    let (workers, _remote) = scripted(1, 1024, IDLE);
    let (answer, receiver) = answer();
    {
        let mut state = workers.shared.lock();
        state.threads += 1;
        let query = Query::new("a", 80, IpFamily::Any);
        let id = LookupId::numbered(0);
        state.queue.push_back((id, query, answer));
    }
    workers.shared.spawn_failed(io::Error::other("no threads"));
    assert_eq!(failure(&receiver), "no threads");
    assert!(done(&start(&workers, "a")).is_ok());
}

#[test]
fn the_system_resolver() {
    // SPEC C24. A literal and an impossible name: neither needs a network.
    let (ours, receiver) = answer();
    SystemResolver.resolve(&Query::new("127.0.0.1", 80, IpFamily::Any), ours);
    assert_eq!(done(&receiver).unwrap(), [at80("127.0.0.1")]);

    let (ours, receiver) = answer();
    SystemResolver.resolve(&Query::new("nul\0byte", 80, IpFamily::Any), ours);
    assert!(matches!(done(&receiver), Err(DnsFault::Failed(_))));
}

#[test]
#[cfg(not(windows))]
fn not_found_only_when_sure() {
    let text = "failed to lookup address information: ";
    for (detail, sure) in [
        ("Name or service not known", true),
        ("Name does not resolve", true),
        ("nodename nor servname provided, or not known", true),
        ("Temporary failure in name resolution", false),
        ("No address associated with hostname", false),
        ("Der Name oder der Dienst ist nicht bekannt", false),
    ] {
        let error = io::Error::other(format!("{text}{detail}"));
        assert_eq!(says_not_found(&error), sure, "{detail}");
    }
    assert!(!says_not_found(&io::Error::from_raw_os_error(11)));
}

/// Names nobody waits for do not hold up the others.
#[test]
fn a_query_that_waits_can_be_withdrawn() {
    let (workers, remote) = scripted(1, 2, IDLE);
    let (stuck_answer, stuck) = answer();
    start_as(&workers, 1, "block", stuck_answer);
    remote.entered.recv_timeout(PATIENCE).unwrap();
    let ((one, first), (other, second)) = (answer(), answer());
    start_as(&workers, 2, "block", one);
    start_as(&workers, 3, "a", other);
    let full = start(&workers, "a");
    assert!(matches!(done(&full), Err(DnsFault::Busy)));
    assert!(!workers.withdraw(LookupId::numbered(1)), "it has begun");
    assert!(workers.withdraw(LookupId::numbered(2)));
    assert!(!workers.withdraw(LookupId::numbered(2)));
    assert_eq!(failure(&first), "the resolver gave no answer");
    remote.release.send(()).unwrap();
    assert_eq!(done(&stuck).unwrap(), [at80("10.0.0.2")]);
    assert_eq!(done(&second).unwrap(), [at80("10.0.0.1")]);
}

/// Threads that are stuck are replaced, up to a limit, and the replacements do
/// not stay: no time at all is slow here.
#[test]
fn stuck_threads_are_replaced() {
    let limits = WorkerLimits {
        threads: 1,
        threads_in_all: 3,
        queue: 1024,
    };
    let (workers, remote) = limited(limits, IDLE, Duration::ZERO);
    let enter = || remote.entered.recv_timeout(PATIENCE).unwrap();
    let stuck = [start(&workers, "block"), start(&workers, "block")];
    enter();
    enter();
    assert!(done(&start(&workers, "a")).is_ok(), "a third serves");
    let last = start(&workers, "block");
    enter();
    assert_eq!(workers.shared.lock().threads, 3);
    let waiting = start(&workers, "a");
    assert_eq!(workers.shared.lock().threads, 3, "and no fourth");
    assert_eq!(workers.shared.lock().queue.len(), 1);
    for _ in 0..3 {
        remote.release.send(()).unwrap();
    }
    for blocked in stuck.iter().chain([&last]) {
        assert_eq!(done(blocked).unwrap(), [at80("10.0.0.2")]);
    }
    assert!(done(&waiting).is_ok());
    // Two of three end at once, though they could idle.
    for _ in 0..2 {
        remote.ended.recv_timeout(PATIENCE).unwrap();
    }
    assert!(done(&start(&workers, "a")).is_ok());
}

/// No query need come for that: who waits in the queue is served once the
/// thread before it counts as slow.
#[test]
fn who_waits_already_is_served_too() {
    let limits = WorkerLimits {
        threads: 1,
        threads_in_all: 2,
        queue: 1024,
    };
    let (workers, remote) = limited(limits, IDLE, Duration::from_millis(50));
    let stuck = start(&workers, "block");
    remote.entered.recv_timeout(PATIENCE).unwrap();
    let waiting = start(&workers, "a");
    assert!(done(&waiting).is_ok());
    assert!(stuck.try_recv().is_err(), "it still hangs");
    remote.release.send(()).unwrap();
    assert!(done(&stuck).is_ok());
}

/// Whoever looks out for slow ones ends with the rest.
#[test]
fn the_lookout_ends_too() {
    let limits = WorkerLimits {
        threads: 1,
        threads_in_all: 2,
        queue: 1024,
    };
    let (workers, remote) = limited(limits, IDLE, PATIENCE);
    let shared = Arc::downgrade(&workers.shared);
    let stuck = start(&workers, "block");
    remote.entered.recv_timeout(PATIENCE).unwrap();
    let waiting = start(&workers, "a");
    assert!(workers.shared.lock().lookout);
    drop(workers);
    assert_eq!(failure(&waiting), "the resolver gave no answer");
    remote.release.send(()).unwrap();
    assert!(done(&stuck).is_ok());
    let deadline = Instant::now() + PATIENCE / 2;
    while shared.strong_count() > 0 {
        assert!(Instant::now() < deadline, "a thread has stayed");
        thread::yield_now();
    }
}
