//! The one-shot answer.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use super::super::*;
use super::*;

fn answer() -> (Answer, Receiver<Lookup>) {
    let (sender, receiver) = channel();
    // Every lookup is one message; the sender goes with the sink.
    let sink = move |lookup| drop(sender.send(lookup));
    (Answer::new(80, Box::new(sink)), receiver)
}

fn ips(text: &str) -> Vec<IpAddr> {
    text.split_whitespace()
        .map(|a| a.parse().unwrap())
        .collect()
}

fn hosts(peers: &[SocketAddr]) -> Vec<IpAddr> {
    assert!(peers.iter().all(|peer| peer.port() == 80));
    peers.iter().map(SocketAddr::ip).collect()
}

/// What the sink hears, in words.
fn told(reply: impl FnOnce(Answer)) -> Vec<String> {
    let (answer, receiver) = answer();
    reply(answer);
    let words = |lookup| match lookup {
        Lookup::Partial(peers) => format!("partial {:?}", hosts(&peers)),
        Lookup::Done(Ok(peers), None) => format!("done {:?}", hosts(&peers)),
        Lookup::Done(Ok(peers), Some(ttl)) => format!("done {peers:?} for {ttl:?}"),
        Lookup::Done(Err(DnsFault::Failed(error)), _) => format!("failed: {error}"),
        Lookup::Done(Err(fault), None) => fault.to_string(),
        Lookup::Done(Err(fault), Some(ttl)) => format!("{fault} for {ttl:?}"),
    };
    // Ends because a finished answer drops its sink.
    receiver.iter().map(words).collect()
}

#[test]
fn every_answer_ends_exactly_once() {
    // SPEC C24. Dropping is an answer too.
    let a = || ips("10.0.0.1");
    let b = || ips("::1");
    assert_eq!(told(|x| x.addresses(a())), ["done [10.0.0.1]"]);
    assert_eq!(told(|x| x.addresses([])), ["done []"]);
    assert_eq!(
        told(|x| x.addresses(ips("::1 10.0.0.1 ::1"))),
        ["done [::1, 10.0.0.1]"]
    );
    assert_eq!(told(|x| x.not_found()), ["the host name does not exist"]);
    assert_eq!(told(|x| x.fail("no route")), ["failed: no route"]);
    assert_eq!(told(drop), ["failed: the resolver gave no answer"]);
    assert_eq!(
        told(|mut x| {
            x.partial(a());
            x.partial(a());
            x.partial([]);
            x.addresses(b());
        }),
        ["partial [10.0.0.1]", "done [10.0.0.1, ::1]"]
    );
    let in_part: [fn(Answer); 3] = [drop, Answer::not_found, |x| x.fail("late")];
    for end in in_part {
        assert_eq!(
            told(|mut x| {
                x.partial(a());
                end(x);
            }),
            ["partial [10.0.0.1]", "done [10.0.0.1]"]
        );
    }
}

#[test]
fn a_panic_is_told_apart() {
    let (answer, receiver) = answer();
    let panicked = thread::spawn(move || {
        let _answer = answer;
        panic!("scripted");
    });
    assert!(panicked.join().is_err());
    let Ok(Lookup::Done(Err(fault), None)) = receiver.recv() else {
        panic!("an unwound answer is a failure");
    };
    let source = fault.source().map(ToString::to_string);
    assert_eq!(source.as_deref(), Some("the resolver panicked"));
}

#[test]
fn repeats_are_dropped_and_the_order_stays() {
    let [a, b, c] = [1, 2, 3].map(|n| SocketAddr::from(([10, 0, 0, n], 80)));
    let mut known = vec![b];
    take_in(&mut known, &mut [a, a, b, c, a].into_iter());
    assert_eq!(known, [b, a, c]);
}

#[test]
fn endless_answers_are_cut() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let sink = {
        let heard = Arc::clone(&heard);
        move |lookup| heard.lock().unwrap().push(lookup)
    };
    let mut answer = Answer::new(80, Box::new(sink));
    answer.partial(std::iter::repeat(IpAddr::from([10, 0, 0, 1])));
    answer.addresses((0..).map(|n: u32| IpAddr::from(n.to_be_bytes())));
    let heard = heard.lock().unwrap();
    let [Lookup::Partial(part), Lookup::Done(Ok(all), None)] = &heard[..] else {
        panic!("{heard:?}");
    };
    assert_eq!((part.len(), all.len()), (1, 256));
}

#[test]
fn the_shortest_life_counts() {
    // SPEC C22: what a resolver knows of it, of either family and of a denial.
    let a = || ips("10.0.0.1");
    let secs = Duration::from_secs;
    assert_eq!(
        told(|mut x| {
            x.valid_for(secs(60));
            x.partial(a());
            x.valid_for(secs(300));
            x.addresses(ips("::1"));
        }),
        ["partial [10.0.0.1]", "done [10.0.0.1:80, [::1]:80] for 60s"]
    );
    assert_eq!(
        told(|mut x| {
            x.valid_for(secs(9));
            x.not_found();
        }),
        ["the host name does not exist for 9s"]
    );
}

#[test]
fn endpoints_have_ports_and_scopes() {
    // SPEC C24.
    let scoped = "[fe80::1%3]:0";
    let other = "[fe80::1%4]:8080";
    let all = [scoped, other, "10.0.0.1:0", "10.0.0.1:80"].map(|a| a.parse().unwrap());
    let told = told(|mut x| {
        x.valid_for(Duration::ZERO);
        x.endpoints(all);
    });
    assert_eq!(
        told,
        ["done [[fe80::1%3]:80, [fe80::1%4]:8080, 10.0.0.1:80] for 0ns"]
    );
}

/// An answer may hold anything.
#[test]
fn what_nobody_can_connect_to_is_left_out() {
    let garbage = "0.0.0.0 :: 255.255.255.255 224.0.0.1 239.1.2.3 ff02::1 ::ffff:0.0.0.0";
    assert_eq!(told(|x| x.addresses(ips(garbage))), ["done []"]);
    assert_eq!(
        told(|x| x.addresses(ips("::ffff:10.0.0.1 10.0.0.1 ff02::1 ::1"))),
        ["done [10.0.0.1, ::1]"]
    );
    assert_eq!(
        told(|x| x.addresses(std::iter::repeat(IpAddr::from([0, 0, 0, 0])))),
        ["done []"]
    );
}

#[test]
fn faults_have_sources() {
    let failed = DnsFault::Failed(Arc::from(Box::from("no route")));
    assert_eq!(failed.to_string(), "the name lookup failed");
    assert_eq!(failed.source().unwrap().to_string(), "no route");
    assert!(DnsFault::NotFound.source().is_none());
}

#[test]
fn answers_can_move_to_any_thread() {
    fn sendable<T: Send>() {}
    sendable::<Answer>();
    sendable::<DnsFault>();
}
