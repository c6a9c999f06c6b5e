//! Model checks of what a WebSocket's threads share: see `loom.rs`.

use std::future::poll_fn;
use std::task::{Context, Poll, Waker};

use loom::future::block_on;
use loom::thread;

use super::feed::Gone;
use super::latch::{self, Broken, Latch, latch};
use super::outbox::{Caps, Outbox, OutboxReader, Place, Taken, outbox};

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
            turn.push(item, 1)
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
                true => turn.push(1, 1).unwrap(),
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
