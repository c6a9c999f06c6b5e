//! The thread, when something goes wrong on it. What is asked and answered is
//! shown from outside, in `tests/hickory.rs`.

use std::net::UdpSocket;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::*;
use crate::dns::{DnsFault, IpFamily, Lookup};

const WATCHDOG: Duration = Duration::from_secs(20);

/// A server that says nothing, for as long as it is held.
fn silent() -> (UdpSocket, HickoryResolver) {
    let socket = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    let resolver = HickoryResolver::builder()
        .name_servers([socket.local_addr().unwrap()])
        .timeout(WATCHDOG)
        .resolv_conf("/nonexistent")
        .hosts_file("/nonexistent")
        .build();
    (socket, resolver)
}

fn ask(resolver: &HickoryResolver, host: &str) -> Receiver<Lookup> {
    let (tell, told) = channel();
    let sink = move |lookup| drop(tell.send(lookup));
    let answer = Answer::new(80, Box::new(sink));
    resolver.resolve(&Query::new(host, 80, IpFamily::Any), answer);
    told
}

#[track_caller]
fn failure(told: &Receiver<Lookup>) -> String {
    match told.recv_timeout(WATCHDOG).expect("an answer") {
        Lookup::Done(Err(DnsFault::Failed(error)), _) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_panic_fails_the_lookups_and_the_next_one_has_a_new_thread() {
    let (server, resolver) = silent();
    for _ in 0..3 {
        let waiting = ask(&resolver, "slow.test");
        // It has been sent: the thread is in the middle of it.
        server.set_read_timeout(Some(WATCHDOG)).unwrap();
        server.recv_from(&mut [0; 512]).unwrap();
        // What is run there panics, as hickory might.
        let answer = Answer::new(80, Box::new(|_| panic!("as a test wants it")));
        resolver.resolve(&Query::new("not..a.name", 80, IpFamily::V4), answer);
        assert_eq!(failure(&waiting), "the resolver's thread has ended");
        let why = failure(&ask(&resolver, "also..none"));
        assert!(why.contains("not a DNS name"), "{why}");
    }
}

#[test]
fn a_dropped_resolver_fails_what_waits() {
    let (server, resolver) = silent();
    let clone = resolver.clone();
    let waiting = ask(&resolver, "slow.test");
    server.set_read_timeout(Some(WATCHDOG)).unwrap();
    server.recv_from(&mut [0; 512]).unwrap();
    drop(resolver);
    assert!(waiting.try_recv().is_err(), "a clone is left");
    drop(clone);
    assert_eq!(failure(&waiting), "the resolver's thread has ended");
}

#[test]
fn an_idle_thread_ends_and_the_next_lookup_has_another() {
    let (_, resolver) = silent();
    let mut settings = Settings::clone(&resolver.shared.settings);
    settings.idle = Duration::from_millis(1);
    let resolver = HickoryResolverBuilder { settings }.build();
    for _ in 0..3 {
        let why = failure(&ask(&resolver, "not..a.name"));
        assert!(why.contains("not a DNS name"), "{why}");
        let start = Instant::now();
        let is_over = || {
            resolver
                .shared
                .thread
                .lock()
                .unwrap()
                .as_ref()
                .unwrap()
                .is_over()
        };
        while !is_over() {
            assert!(start.elapsed() < WATCHDOG, "it does not end");
            std::thread::yield_now();
        }
    }
}

#[test]
fn no_lookup_is_lost_while_threads_come_and_go() {
    // A thread that ends at once, asked again and again as it does.
    let (_, resolver) = silent();
    let mut settings = Settings::clone(&resolver.shared.settings);
    settings.idle = Duration::ZERO;
    let resolver = HickoryResolverBuilder { settings }.build();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..500 {
                    let why = failure(&ask(&resolver, "not..a.name"));
                    assert!(why.contains("not a DNS name"), "{why}");
                }
            });
        }
    });
}

/// A child of the process has the handle of a thread that is not there.
#[test]
fn a_child_of_the_process_has_a_thread_of_its_own() {
    let (server, resolver) = silent();
    let of_the_parent = ask(&resolver, "slow.test");
    server.set_read_timeout(Some(WATCHDOG)).unwrap();
    server.recv_from(&mut [0; 512]).unwrap();
    let take = || resolver.shared.thread.lock().unwrap().take();
    let mut handle = take().unwrap();
    handle.leave_home();
    *resolver.shared.thread.lock().unwrap() = Some(handle);
    let why = failure(&ask(&resolver, "not..a.name"));
    assert!(why.contains("not a DNS name"), "{why}");
    assert!(take().unwrap().is_home(), "the parent's was asked");
    assert!(of_the_parent.try_recv().is_err(), "the parent's was ended");
}
