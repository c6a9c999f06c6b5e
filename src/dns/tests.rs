//! The one-shot answer.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use super::*;

fn answer() -> (Answer, Receiver<Lookup>) {
    let (sender, receiver) = channel();
    // Every lookup is one message; the sender goes with the sink.
    let sink = move |lookup| drop(sender.send(lookup));
    (Answer::new(Box::new(sink)), receiver)
}

fn ips(text: &str) -> Vec<IpAddr> {
    text.split_whitespace()
        .map(|a| a.parse().unwrap())
        .collect()
}

/// What the sink hears, in words.
fn told(reply: impl FnOnce(Answer)) -> Vec<String> {
    let (answer, receiver) = answer();
    reply(answer);
    let words = |lookup| match lookup {
        Lookup::Partial(addresses) => format!("partial {addresses:?}"),
        Lookup::Done(Ok(addresses)) => format!("done {addresses:?}"),
        Lookup::Done(Err(DnsFault::Failed(error))) => format!("failed: {error}"),
        Lookup::Done(Err(fault)) => fault.to_string(),
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
    let Ok(Lookup::Done(Err(fault))) = receiver.recv() else {
        panic!("an unwound answer is a failure");
    };
    let source = fault.source().map(ToString::to_string);
    assert_eq!(source.as_deref(), Some("the resolver panicked"));
}

#[test]
fn repeats_are_dropped_and_the_order_stays() {
    let [a, b, c] = [1, 2, 3].map(|n| IpAddr::from([10, 0, 0, n]));
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
    let mut answer = Answer::new(Box::new(sink));
    answer.partial(std::iter::repeat(IpAddr::from([10, 0, 0, 1])));
    answer.addresses((0..).map(|n: u32| IpAddr::from(n.to_be_bytes())));
    let heard = heard.lock().unwrap();
    let [Lookup::Partial(part), Lookup::Done(Ok(all))] = &heard[..] else {
        panic!("{heard:?}");
    };
    assert_eq!((part.len(), all.len()), (1, 256));
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
