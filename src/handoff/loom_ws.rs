//! Model checks of what a WebSocket's threads share: see `loom.rs`.

use std::future::poll_fn;
use std::task::{Context, Poll, Waker};

use loom::future::block_on;
use loom::thread;

use super::bell::{Bell, Ring};
use super::feed::Gone;
use super::latch::{self, Broken, Latch, latch};
use super::outbox::{Caps, Outbox, OutboxReader, Place, Taken, outbox};
use super::relay::{Came, Drove, Found, Guest, Look, pair};
use crate::sync::{Arc, Mutex, lock};

type Sender = Outbox<u8, u8>;
type Driver = OutboxReader<u8, u8>;

/// Room for one, and who sends waits.
fn of_one() -> (Sender, Driver) {
    outbox(0, Caps { bytes: 9, items: 1 })
}

fn send(sender: &Sender, item: u8) -> Result<(), Gone> {
    let mut place = Place::new();
    block_on(poll_fn(|cx| {
        let turn = match sender.poll_turn(&mut place, cx) {
            Poll::Ready(turn) => turn,
            Poll::Pending => return Poll::Pending,
        };
        Poll::Ready(turn.and_then(|mut turn| {
            *turn.context() += 1;
            turn.push(item, 1).map(drop)
        }))
    }))
}

/// Asks for a turn once, and gives up at once.
fn give_up(sender: &Sender) {
    let mut place = Place::new();
    let mut cx = Context::from_waker(Waker::noop());
    drop(sender.poll_turn(&mut place, &mut cx));
}

fn take(driver: &mut Driver, into: &mut Vec<u8>) -> Taken<u8> {
    block_on(poll_fn(|cx| driver.poll_take(1, into, cx)))
}

/// All that comes, and the end.
fn take_all(driver: &mut Driver) -> (Vec<u8>, Taken<u8>) {
    let mut items = Vec::new();
    loop {
        match take(driver, &mut items) {
            Taken::Items => {}
            end => return (items, end),
        }
    }
}

/// Two who send and wait for room, a driver that waits for items and the end.
#[test]
fn outbox_no_lost_wake_up_on_either_side() {
    loom::model(|| {
        let (sender, mut driver) = of_one();
        let other = sender.clone();
        let others = thread::spawn(move || send(&other, 2).unwrap());
        let driving = thread::spawn(move || take_all(&mut driver));
        send(&sender, 1).unwrap();
        drop(sender);
        others.join().unwrap();
        let (mut items, end) = driving.join().unwrap();
        items.sort_unstable();
        assert_eq!((items, end), (vec![1, 2], Taken::Abandoned));
    });
}

/// Who is woken for a turn and goes away instead passes it on to the second.
#[test]
fn outbox_dropped_place_wakes_the_second() {
    loom::model(|| {
        let (sender, mut driver) = of_one();
        send(&sender, 1).unwrap();
        let first = {
            let sender = sender.clone();
            thread::spawn(move || give_up(&sender))
        };
        let second = {
            let sender = sender.clone();
            thread::spawn(move || send(&sender, 2).unwrap())
        };
        let mut items = Vec::new();
        while items.len() < 2 {
            assert_eq!(take(&mut driver, &mut items), Taken::Items);
        }
        assert_eq!(items, [1, 2]);
        first.join().unwrap();
        second.join().unwrap();
    });
}

/// So does a turn that ends, by a push as by nothing, where there is room.
#[test]
fn outbox_ended_turn_wakes_the_next() {
    for pushes in [false, true] {
        loom::model(move || {
            let (sender, mut driver) = outbox(0, Caps { bytes: 9, items: 9 });
            let turn = sender.try_turn().unwrap().unwrap();
            let waiting = {
                let sender = sender.clone();
                thread::spawn(move || send(&sender, 2).unwrap())
            };
            match pushes {
                true => drop(turn.push(1, 1).unwrap()),
                false => drop(turn),
            }
            waiting.join().unwrap();
            drop(sender);
            let (items, _) = take_all(&mut driver);
            assert_eq!(items, &[1, 2][usize::from(!pushes)..]);
        });
    }
}

/// What was pushed comes before the last, and nothing after it; who waits for
/// room is told.
#[test]
fn outbox_close_against_push() {
    loom::model(|| {
        let (sender, mut driver) = of_one();
        let pushing = {
            let sender = sender.clone();
            thread::spawn(move || {
                let sent = usize::from(send(&sender, 1).is_ok());
                assert_eq!(
                    send(&sender, 1),
                    Err(Gone),
                    "there is no room before the close"
                );
                sent
            })
        };
        assert!(sender.close(9));
        let (items, end) = take_all(&mut driver);
        let sent = pushing.join().unwrap();
        assert_eq!((items.len(), end), (sent, Taken::Last(9)));
    });
}

#[test]
fn outbox_close_against_close() {
    loom::model(|| {
        let (sender, mut driver) = of_one();
        let other = {
            let sender = sender.clone();
            thread::spawn(move || sender.close(8))
        };
        let mine = sender.close(9);
        let (_, end) = take_all(&mut driver);
        assert_ne!(mine, other.join().unwrap());
        assert_eq!(end, Taken::Last(if mine { 9 } else { 8 }));
    });
}

/// A driver that can take nothing hears of the close all the same.
#[test]
fn outbox_close_against_a_driver_that_does_not_take() {
    loom::model(|| {
        let (sender, mut driver) = of_one();
        let closing = thread::spawn(move || {
            send(&sender, 1).unwrap();
            assert!(sender.close(9));
        });
        block_on(poll_fn(|cx| driver.poll_closing(cx)));
        assert!(driver.is_closing());
        closing.join().unwrap();
        assert_eq!(take_all(&mut driver), (vec![1], Taken::Last(9)));
    });
}

#[test]
fn outbox_lost_driver_against_those_who_wait() {
    loom::model(|| {
        let (sender, driver) = of_one();
        send(&sender, 1).unwrap();
        let waiting: Vec<_> = (0..2)
            .map(|_| {
                let sender = sender.clone();
                thread::spawn(move || assert_eq!(send(&sender, 2), Err(Gone)))
            })
            .collect();
        drop(driver);
        for one in waiting {
            one.join().unwrap();
        }
    });
}

fn wait(latch: &Latch<u8>) -> Result<u8, Broken> {
    let mut place = latch::Place::new();
    block_on(poll_fn(|cx| latch.poll(&mut place, cx)))
}

/// All who wait are told, whoever gives up meanwhile.
#[test]
fn latch_set_against_polls() {
    loom::model(|| {
        let (setter, latch) = latch();
        let waiting: Vec<_> = (0..2)
            .map(|_| {
                let latch = latch.clone();
                thread::spawn(move || assert_eq!(wait(&latch), Ok(7)))
            })
            .collect();
        let mut place = latch::Place::new();
        let mut cx = Context::from_waker(Waker::noop());
        let _ = latch.poll(&mut place, &mut cx);
        setter.set(7);
        drop(place);
        assert_eq!(latch.get(), Some(7));
        for one in waiting {
            one.join().unwrap();
        }
    });
}

#[test]
fn latch_lost_setter_against_poll() {
    loom::model(|| {
        let (setter, latch) = latch::<u8>();
        let waiting = thread::spawn(move || assert_eq!(wait(&latch), Err(Broken)));
        drop(setter);
        waiting.join().unwrap();
    });
}

/// Wakes by counting, where loom sees it.
struct Calls(Mutex<usize>);

impl std::task::Wake for Calls {
    fn wake(self: std::sync::Arc<Self>) {
        *lock(&self.0) += 1;
    }
}

/// Two have something for what lies in a relay. Whoever drives it does all that it
/// finds, and nothing is left undone.
#[test]
fn relay_no_work_is_left_behind() {
    loom::model(|| {
        let work = Arc::new(Mutex::new(0));
        let (relay, guest) = pair();
        let calls = std::sync::Arc::new(Calls(Mutex::new(0)));
        relay.place(0, Waker::from(calls)).unwrap();
        let come = |guest: &Guest<usize>, work: &Mutex<usize>| {
            *lock(work) += 1;
            guest.drive(|done| {
                *done += std::mem::take(&mut *lock(work));
                Drove::Enough
            });
        };
        let other = {
            let (guest, work) = (guest.clone(), Arc::clone(&work));
            thread::spawn(move || come(&guest, &work))
        };
        come(&guest, &work);
        other.join().unwrap();
        assert_eq!(relay.take(), Found::Here(2));
    });
}

/// The owner finds it out, and is woken for certain, or it has gone on once more;
/// what it and another have for it is done.
#[test]
fn relay_owner_gets_it_back() {
    loom::model(|| {
        let work = Arc::new(Mutex::new(0));
        let (relay, guest) = pair();
        let calls = std::sync::Arc::new(Calls(Mutex::new(0)));
        relay.place(0, Waker::from(calls.clone())).unwrap();
        let other = {
            let work = Arc::clone(&work);
            thread::spawn(move || {
                *lock(&work) += 1;
                guest.drive(|done| {
                    *done += std::mem::take(&mut *lock(&work));
                    Drove::Enough
                });
            })
        };
        let mut found = relay.take();
        if found == Found::Out {
            other.join().unwrap();
            assert_eq!(*lock(&calls.0), 1, "it was called");
            found = relay.take();
        } else {
            let Found::Here(done) = found else {
                panic!("it was placed")
            };
            let mut put = relay.put(done);
            if let Err(mut done) = put {
                done += std::mem::take(&mut *lock(&work));
                put = relay.put(done);
            }
            put.unwrap();
            other.join().unwrap();
            found = relay.take();
        }
        assert_eq!(found, Found::Here(1));
    });
}

/// Who relies on a promise finds it given, or has the owner woken: it looks in
/// either case after the work was there.
#[test]
fn relay_promise_is_kept() {
    loom::model(|| {
        let work = Arc::new(Mutex::new(0));
        let (relay, guest) = pair();
        let calls = std::sync::Arc::new(Calls(Mutex::new(0)));
        relay.place((), Waker::from(calls.clone())).unwrap();
        guest.rely(Look::Soon);
        assert_eq!(*lock(&calls.0), 1);
        let other = {
            let work = Arc::clone(&work);
            thread::spawn(move || {
                *lock(&work) += 1;
                if !guest.rely_at_once(Look::Soon) {
                    guest.rely(Look::Soon);
                }
            })
        };
        // The look that was promised, and may be the last.
        let again = relay.attendance(true).look.is_some();
        let seen = *lock(&work);
        other.join().unwrap();
        let woken = *lock(&calls.0) == 2;
        assert!(seen == 1 || again || woken || relay.attendance(false).look.is_some());
    });
}

/// One who relies on a look that somebody relies on already, without saying so again:
/// the owner looks twice, and what it has not seen by then it is going to look for.
#[test]
fn relay_promise_that_is_used_already_is_kept() {
    loom::model(|| {
        let work = Arc::new(Mutex::new(0));
        let (relay, guest) = pair();
        let calls = std::sync::Arc::new(Calls(Mutex::new(0)));
        relay.place((), Waker::from(calls.clone())).unwrap();
        guest.rely(Look::Soon);
        let other = {
            let work = Arc::clone(&work);
            thread::spawn(move || {
                for _ in 0..2 {
                    *lock(&work) += 1;
                    guest.rely(Look::Soon);
                }
            })
        };
        let mut seen = 0;
        let mut looks = 0;
        while relay.attendance(looks > 0).look.is_some() && looks < 2 {
            seen = *lock(&work);
            looks += 1;
        }
        other.join().unwrap();
        let woken = *lock(&calls.0) > 1;
        assert!(seen == 2 || woken || relay.attendance(false).look.is_some());
    });
}

/// A reader goes while its owner looks for the last time and does not watch for its
/// sake: then it is woken, or looks again.
#[test]
fn relay_is_never_left_alone() {
    loom::model(|| {
        let (relay, guest) = pair();
        let calls = std::sync::Arc::new(Calls(Mutex::new(0)));
        relay.place((), Waker::from(calls.clone())).unwrap();
        guest.rely(Look::Later);
        guest.come(Waker::noop(), |()| Drove::Enough);
        let other = thread::spawn(move || guest.leave(Look::Later));
        let attendance = relay.attendance(true);
        other.join().unwrap();
        let woken = *lock(&calls.0) == 2;
        let looks = relay.attendance(false).look.is_some();
        assert!(attendance.watch || woken || looks);
    });
}

/// As before, with a reader that waits elsewhere: then the owner watches, now or when
/// it is woken.
#[test]
fn relay_is_watched_for_one_that_waits_elsewhere() {
    loom::model(|| {
        let (relay, guest) = pair();
        let calls = std::sync::Arc::new(Calls(Mutex::new(0)));
        relay.place((), Waker::from(calls.clone())).unwrap();
        guest.rely(Look::Later);
        let other = thread::spawn(move || guest.wait_elsewhere());
        let watched = relay.attendance(false).watch;
        other.join().unwrap();
        let woken = *lock(&calls.0) == 2;
        assert!(watched || woken);
        assert!(relay.attendance(false).watch);
    });
}

/// Rings what loom can wait for.
struct Rung(loom::sync::Notify);

impl Ring for Rung {
    fn ring(&self) {
        self.0.notify();
    }
}

/// One that dozes sees all that it was woken for, and is never left to sleep.
#[test]
fn bell_is_heard() {
    loom::model(|| {
        let values = Arc::new(Mutex::new(0));
        let bell = std::sync::Arc::new(Bell::new(Rung(loom::sync::Notify::new())));
        let others = [1, 1].map(|value| {
            let (values, waker) = (Arc::clone(&values), Waker::from(bell.clone()));
            thread::spawn(move || {
                *lock(&values) += value;
                waker.wake();
            })
        });
        loop {
            bell.quiet();
            if *lock(&values) == 2 {
                break;
            }
            if bell.doze() {
                bell.ring().0.wait();
            }
        }
        for other in others {
            other.join().unwrap();
        }
    });
}

/// A reader finds it out with its owner, who has read what it waits for or not: it is
/// woken when it is back, and drives it then.
#[test]
fn relay_reader_gets_it_back() {
    loom::model(|| {
        let (relay, guest) = pair();
        relay.place(0, Waker::noop().clone()).unwrap();
        let bell = std::sync::Arc::new(Bell::new(Rung(loom::sync::Notify::new())));
        let reader = {
            let waker = Waker::from(bell.clone());
            thread::spawn(move || {
                loop {
                    bell.quiet();
                    let mut done = 0;
                    let came = guest.come(&waker, |value| {
                        *value += 1;
                        done = *value;
                        Drove::Enough
                    });
                    match came {
                        Came::Drove => break,
                        Came::Out if bell.doze() => bell.ring().0.wait(),
                        Came::Out => {}
                        Came::Gone => panic!("nobody has taken it away"),
                    }
                }
                guest.leave(Look::Later);
            })
        };
        if let Found::Here(value) = relay.take() {
            assert!(relay.put(value + 10).is_ok());
        }
        reader.join().unwrap();
        let Found::Here(value) = relay.take() else {
            panic!("it is back")
        };
        assert_eq!(value % 10, 1);
    });
}

/// Two queue without waiting, the one with a turn of its own, and whoever drives takes
/// what is there: nothing is left in the queue.
#[test]
fn relay_and_outbox_leave_nothing_behind() {
    loom::model(|| {
        let (sender, driver) = outbox(0_u8, Caps { bytes: 9, items: 9 });
        let (relay, guest) = pair();
        relay
            .place((driver, Vec::new()), Waker::noop().clone())
            .unwrap();
        let send = |guest: &Guest<(Driver, Vec<u8>)>, sender: &Sender, item: u8| {
            let at_once = sender.push_at_once(|context, last| {
                *context += 1;
                match last {
                    Some(last) => {
                        *last += item;
                        Some((None, 1))
                    }
                    None => Some((Some(item), 1)),
                }
            });
            if at_once.is_none() {
                let mut place = Place::new();
                block_on(poll_fn(|cx| {
                    let turn = match sender.poll_turn(&mut place, cx) {
                        Poll::Ready(turn) => turn,
                        Poll::Pending => return Poll::Pending,
                    };
                    Poll::Ready(turn.unwrap().push_quietly(item, 1).map(drop))
                }))
                .unwrap();
            }
            guest.drive(|(driver, into)| {
                let mut cx = Context::from_waker(Waker::noop());
                while driver.poll_take(9, into, &mut cx).is_ready() {}
                Drove::Enough
            });
        };
        let other = {
            let (guest, sender) = (guest.clone(), sender.clone());
            thread::spawn(move || send(&guest, &sender, 1))
        };
        send(&guest, &sender, 2);
        other.join().unwrap();
        let Found::Here((_, items)) = relay.take() else {
            panic!("it is back")
        };
        assert_eq!(items.iter().sum::<u8>(), 3);
    });
}

/// The owner goes while another has it: it is dropped all the same, once.
#[test]
fn relay_of_an_owner_that_went() {
    loom::model(|| {
        let value = Arc::new(());
        let (relay, guest) = pair();
        assert!(
            relay
                .place(Arc::clone(&value), Waker::noop().clone())
                .is_ok()
        );
        let other = thread::spawn(move || {
            guest.drive(|_| Drove::Enough);
            guest
        });
        drop(relay);
        drop(other.join().unwrap());
        assert_eq!(Arc::strong_count(&value), 1);
    });
}
