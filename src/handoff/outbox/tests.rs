//! Turns among senders, caps and ends.

use std::panic::{self, AssertUnwindSafe};

use super::super::testing::{Count, Hostile};
use super::*;

type Sender = Outbox<Vec<u8>, u8>;
type Driver = OutboxReader<Vec<u8>, u8>;

fn of(bytes: usize, items: usize) -> (Sender, Driver) {
    outbox(Vec::new(), Caps { bytes, items })
}

fn asks(sender: &Sender, place: &mut Place<Vec<u8>, u8>, waker: &Waker) -> Option<bool> {
    match sender.poll_turn(place, &mut Context::from_waker(waker)) {
        Poll::Ready(turn) => Some(turn.is_ok()),
        Poll::Pending => None,
    }
}

fn send(sender: &Sender, item: u8, bytes: usize) -> bool {
    match sender.try_turn().unwrap() {
        Some(turn) => turn.push(item, bytes).is_ok(),
        None => false,
    }
}

fn take(driver: &mut Driver, most: usize) -> (Vec<u8>, Poll<Taken<u8>>) {
    let mut items = Vec::new();
    let taken = driver.poll_take(most, &mut items, &mut Context::from_waker(Waker::noop()));
    (items, taken)
}

fn items(driver: &mut Driver, most: usize) -> Vec<u8> {
    take(driver, most).0
}

#[test]
fn items_come_in_order_as_many_as_are_asked_for() {
    let (sender, mut driver) = of(100, 100);
    for (item, bytes) in [(1, 10), (2, 0), (3, 10), (4, 11), (5, 30)] {
        assert!(send(&sender, item, bytes));
    }
    assert_eq!(items(&mut driver, 20), [1, 2], "an item of none counts too");
    assert_eq!(items(&mut driver, 21), [3, 4]);
    assert_eq!(items(&mut driver, 0), [5], "one in any case");
    assert_eq!(take(&mut driver, 1), (vec![], Poll::Pending));
}

#[test]
fn the_bytes_and_the_items_have_caps() {
    for (bytes, items_cap, each, fit) in [(20, 100, 5, 4), (1000, 3, 5, 3), (0, 9, 5, 1)] {
        let (sender, mut driver) = of(bytes, items_cap);
        let sent = (0..50)
            .take_while(|item| send(&sender, *item, each))
            .count();
        assert_eq!(sent, fit);
        // Room again at the half, not after each.
        let mut place = Place::new();
        let (count, waker) = Count::new();
        assert_eq!(asks(&sender, &mut place, &waker), None);
        let mut left = fit;
        while left > 0 {
            assert_eq!(items(&mut driver, 1).len(), 1);
            left -= 1;
            assert_eq!(count.woken(), usize::from(left <= fit / 2));
        }
        assert_eq!(asks(&sender, &mut place, &waker), Some(true));
    }
}

#[test]
fn an_item_above_the_budget_goes_in_by_itself() {
    let (sender, mut driver) = of(10, 10);
    assert!(send(&sender, 1, 9), "there is room for a byte yet");
    assert!(send(&sender, 2, 1_000_000));
    assert!(!send(&sender, 3, 1));
    assert_eq!(items(&mut driver, 10), [1]);
    assert!(!send(&sender, 3, 1));
    assert_eq!(items(&mut driver, 10), [2]);
    assert!(send(&sender, 3, 1));
}

#[test]
fn turns_go_to_those_who_wait_in_the_order_they_came() {
    let (sender, mut driver) = of(1, 100);
    assert!(send(&sender, 0, 1));
    let mut line: Vec<_> = (0..3).map(|_| (Place::new(), Count::new())).collect();
    for (place, (_, waker)) in &mut line {
        assert_eq!(asks(&sender, place, waker), None);
    }
    assert_eq!(items(&mut driver, 1), [0]);
    let woken = |line: &[(_, (Arc<Count>, Waker))]| -> Vec<_> {
        line.iter().map(|(_, (count, _))| count.woken()).collect()
    };
    assert_eq!(woken(&line), [1, 0, 0], "the first alone");
    // Nobody goes before it, neither from the line nor from outside.
    assert!(sender.try_turn().unwrap().is_none());
    let (place, (_, waker)) = &mut line[1];
    assert_eq!(asks(&sender, place, waker), None);
    for (at, (place, (_, waker))) in line.iter_mut().enumerate() {
        let mut cx = Context::from_waker(waker);
        let Poll::Ready(Ok(turn)) = sender.poll_turn(place, &mut cx) else {
            panic!("not the turn of {at}");
        };
        turn.push(at as u8, 0).unwrap();
    }
    assert_eq!(woken(&line), [1, 1, 1]);
    assert_eq!(items(&mut driver, 9), [0, 1, 2]);
    assert!(send(&sender, 4, 0));
}

#[test]
fn whoever_leaves_the_line_passes_the_turn_on() {
    let (sender, mut driver) = of(1, 100);
    assert!(send(&sender, 0, 1));
    let (mut first, mut second, mut third) = (Place::new(), Place::new(), Place::new());
    let (count, waker) = Count::new();
    assert_eq!(asks(&sender, &mut first, Waker::noop()), None);
    assert_eq!(asks(&sender, &mut second, Waker::noop()), None);
    assert_eq!(asks(&sender, &mut third, &waker), None);
    drop(second);
    assert_eq!(count.woken(), 0, "it was not its turn");
    assert_eq!(items(&mut driver, 1), [0]);
    drop(first);
    assert_eq!(count.woken(), 1);
    // A turn that comes to nothing goes back.
    assert_eq!(asks(&sender, &mut third, &waker), Some(true));
    assert!(send(&sender, 1, 1));
}

#[test]
fn a_turn_is_had_by_one_and_lends_the_context() {
    let (sender, mut driver) = of(100, 100);
    let mut turn = sender.try_turn().unwrap().unwrap();
    turn.context().push(1);
    let (count, waker) = Count::new();
    let mut place = Place::new();
    assert!(sender.clone().try_turn().unwrap().is_none());
    assert_eq!(asks(&sender, &mut place, &waker), None);
    drop(turn);
    assert_eq!(count.woken(), 1, "dropped unused, it passes on");
    let Poll::Ready(Ok(mut turn)) = sender.poll_turn(&mut place, &mut Context::from_waker(&waker))
    else {
        panic!("no turn");
    };
    assert_eq!(turn.context(), &[1]);
    turn.push(7, 1).unwrap();
    assert_eq!(items(&mut driver, 9), [7]);
}

#[test]
fn a_panic_in_a_turn_gives_the_context_back() {
    let (sender, _driver) = of(100, 100);
    let panicked = panic::catch_unwind(AssertUnwindSafe(|| {
        let mut turn = sender.try_turn().unwrap().unwrap();
        turn.context().push(1);
        panic!("while encoding");
    }));
    assert!(panicked.is_err());
    assert_eq!(sender.try_turn().unwrap().unwrap().context(), &[1]);
}

#[test]
fn a_close_goes_behind_what_is_queued_at_once() {
    let (sender, mut driver) = of(1, 1);
    assert!(send(&sender, 1, 5));
    let (count, waker) = Count::new();
    let (mut first, mut second) = (Place::new(), Place::new());
    assert_eq!(asks(&sender, &mut first, &waker), None);
    assert_eq!(asks(&sender, &mut second, &waker), None);
    let (closing, closing_waker) = Count::new();
    let mut cx = Context::from_waker(&closing_waker);
    assert!(driver.poll_closing(&mut cx).is_pending());
    assert!(!driver.is_closing() && !sender.is_closed());

    assert!(sender.clone().close(9), "whatever the room");
    assert_eq!((closing.woken(), count.woken()), (1, 2), "all are told");
    assert!(driver.is_closing() && sender.is_closed());
    assert!(driver.poll_closing(&mut cx).is_ready());
    assert_eq!(asks(&sender, &mut first, &waker), Some(false));
    assert!(matches!(sender.try_turn(), Err(Gone)));
    assert!(!sender.close(8), "once");
    drop((first, second));

    assert_eq!(take(&mut driver, 9), (vec![1], Poll::Ready(Taken::Items)));
    assert_eq!(take(&mut driver, 9), (vec![], Poll::Ready(Taken::Last(9))));
    let over = (vec![], Poll::Ready(Taken::Abandoned));
    assert_eq!(take(&mut driver, 9), over);
}

#[test]
fn a_close_ends_a_turn_that_is_out() {
    let (sender, mut driver) = of(100, 100);
    let turn = sender.try_turn().unwrap().unwrap();
    let unused = sender.clone();
    assert!(unused.close(9));
    assert_eq!(turn.push(1, 1), Err(Gone));
    assert_eq!(take(&mut driver, 9), (vec![], Poll::Ready(Taken::Last(9))));
}

#[test]
fn the_last_of_the_senders_ends_it() {
    let (sender, mut driver) = of(100, 100);
    let (count, waker) = Count::new();
    let mut cx = Context::from_waker(&waker);
    assert!(driver.poll_take(9, &mut Vec::new(), &mut cx).is_pending());
    assert!(send(&sender, 1, 1));
    assert_eq!(count.woken(), 1);
    drop(sender.clone());
    assert!(!driver.is_closing());
    assert!(driver.poll_closing(&mut cx).is_pending());
    drop(sender);
    assert_eq!(count.woken(), 2);
    assert!(driver.is_closing());
    assert_eq!(items(&mut driver, 9), [1], "what was sent is sent");
    let over = (vec![], Poll::Ready(Taken::Abandoned));
    assert_eq!(take(&mut driver, 9), over);
}

#[test]
fn a_lost_driver_ends_every_wait_and_keeps_nothing() {
    let kept = Arc::new(());
    let caps = Caps { bytes: 1, items: 9 };
    let (sender, mut driver) = outbox(Arc::clone(&kept), caps);
    let turn = sender.try_turn().unwrap().unwrap();
    turn.push(Arc::clone(&kept), 1).unwrap();
    let (count, waker) = Count::new();
    let mut cx = Context::from_waker(&waker);
    let mut place = Place::new();
    assert!(sender.poll_turn(&mut place, &mut cx).is_pending());
    assert!(driver.poll_closing(&mut cx).is_pending());
    drop(driver);
    assert_eq!(count.woken(), 2);
    assert!(matches!(
        sender.poll_turn(&mut place, &mut cx),
        Poll::Ready(Err(Gone))
    ));
    assert!(!sender.close(Arc::clone(&kept)));
    assert_eq!(Arc::strong_count(&kept), 1);
    drop(sender);
    drop(place);
}

#[test]
fn a_driver_is_woken_once_until_it_asks_again() {
    let (sender, mut driver) = of(100, 100);
    let (count, waker) = Count::new();
    let mut cx = Context::from_waker(&waker);
    assert!(driver.poll_take(9, &mut Vec::new(), &mut cx).is_pending());
    assert!(send(&sender, 1, 1) && send(&sender, 2, 1));
    assert_eq!(count.woken(), 1);
    assert_eq!(items(&mut driver, 9), [1, 2]);
}

#[test]
fn a_panicking_waker_reaches_nobody() {
    let (sender, mut driver) = of(1, 1);
    let hostile = Waker::from(Arc::new(Hostile));
    assert!(send(&sender, 1, 1));
    let (mut first, mut second) = (Place::new(), Place::new());
    assert_eq!(asks(&sender, &mut first, &hostile), None);
    assert_eq!(asks(&sender, &mut second, &hostile), None);
    assert_eq!(items(&mut driver, 1), [1]);
    drop(first);
    assert_eq!(asks(&sender, &mut second, &hostile), Some(true));
    let mut third = Place::new();
    assert!(send(&sender, 2, 1));
    assert_eq!(asks(&sender, &mut third, &hostile), None);
    assert!(sender.close(9));
}
