use std::panic::{AssertUnwindSafe, catch_unwind};

use super::super::testing::Count;
use super::*;

fn placed() -> (Relay<u32>, Guest<u32>, Arc<Count>) {
    let (relay, guest) = pair();
    let (count, waker) = Count::new();
    assert_eq!(relay.place(0, waker), Ok(()));
    (relay, guest, count)
}

fn add(guest: &Guest<u32>) {
    guest.drive(|value| {
        *value += 1;
        Drove::Enough
    });
}

#[test]
fn whoever_comes_drives_it_and_the_owner_hears_nothing() {
    let (relay, guest, count) = placed();
    add(&guest);
    add(&guest.clone());
    assert_eq!(relay.take(), Found::Here(2));
    assert_eq!(count.woken(), 0);
}

#[test]
fn asked_for_while_it_is_out_it_goes_on_once_more() {
    let (relay, guest, count) = placed();
    let mut rounds = 0;
    guest.drive(|value| {
        rounds += 1;
        if rounds == 1 {
            add(&guest);
            add(&guest);
        }
        *value += 10;
        Drove::Enough
    });
    assert_eq!(relay.take(), Found::Here(20), "once for both");
    // The owner's turn.
    add(&guest);
    assert_eq!(relay.put(5), Err(5));
    assert_eq!(relay.put(6), Ok(()));
    assert_eq!(count.woken(), 0);
}

#[test]
fn nobody_goes_on_for_others_without_end() {
    let (relay, guest, count) = placed();
    guest.drive(|value| {
        *value += 1;
        add(&guest);
        Drove::Enough
    });
    assert_eq!(count.woken(), 1);
    assert_eq!(relay.take(), Found::Here(ROUNDS as u32));
}

#[test]
fn the_owner_is_woken_if_it_called_or_has_to_see_to_it() {
    let (relay, guest, count) = placed();
    guest.drive(|_| {
        assert_eq!(relay.take(), Found::Out);
        Drove::Enough
    });
    assert_eq!(count.woken(), 1);
    guest.drive(|_| Drove::Owner);
    assert_eq!(count.woken(), 2);
    guest.drive(|_| Drove::Enough);
    assert_eq!(count.woken(), 2);
}

#[test]
fn what_is_wanted_before_the_placing_is_done_at_it() {
    let (relay, guest) = pair();
    let (count, waker) = Count::new();
    add(&guest);
    assert_eq!(relay.take(), Found::Nothing);
    assert_eq!(relay.place(1, waker), Err(1));
    assert_eq!(relay.put(1), Ok(()));
    assert_eq!(count.woken(), 0);
}

#[test]
fn what_an_owner_left_behind_is_dropped_at_once_or_when_it_is_back() {
    let value = Arc::new(());
    let (one, guest) = pair();
    assert!(one.place(value.clone(), Waker::noop().clone()).is_ok());
    drop(one);
    assert_eq!(Arc::strong_count(&value), 1);
    guest.drive(|_| unreachable!("there is nothing"));
    let (other, guest) = pair();
    assert!(other.place(value.clone(), Waker::noop().clone()).is_ok());
    let mut other = Some(other);
    guest.drive(|kept| {
        drop(other.take());
        guest.drive(|_| unreachable!("it is out"));
        assert_eq!(Arc::strong_count(kept), 2);
        Drove::Enough
    });
    assert_eq!(Arc::strong_count(&value), 1);
}

#[test]
fn a_driver_that_panics_loses_it_and_the_owner_is_told() {
    let (relay, guest, count) = placed();
    let drive = AssertUnwindSafe(|| guest.drive(|_| panic!("on purpose")));
    assert!(catch_unwind(drive).is_err());
    assert_eq!(count.woken(), 1);
    assert_eq!(relay.take(), Found::Nothing);
    guest.drive(|_| unreachable!("it is lost"));
}

const NOBODY: Attendance = Attendance {
    watch: true,
    look: None,
};

fn looked(watch: bool, look: Look) -> Attendance {
    Attendance {
        watch,
        look: Some(look),
    }
}

#[test]
fn a_promise_is_asked_for_once_and_ends_when_nobody_relies_on_it() {
    let (relay, guest, count) = placed();
    assert_eq!(relay.attendance(false), NOBODY);
    assert!(!guest.rely_at_once(Look::Later), "nothing is promised");
    guest.rely(Look::Later);
    guest.rely(Look::Later);
    assert_eq!(count.woken(), 1);
    assert_eq!(relay.attendance(false), looked(false, Look::Later));
    assert_eq!(
        relay.attendance(true),
        looked(false, Look::Later),
        "it was used since"
    );
    assert!(guest.rely_at_once(Look::Later));
    assert_eq!(relay.attendance(true), looked(false, Look::Later));
    assert_eq!(relay.attendance(true), NOBODY);
    assert_eq!(count.woken(), 1);
    guest.rely(Look::Later);
    assert_eq!(count.woken(), 2);
}

#[test]
fn a_sooner_look_is_another_promise() {
    let (relay, guest, count) = placed();
    guest.rely(Look::Later);
    assert!(!guest.rely_at_once(Look::Soon));
    guest.rely(Look::Soon);
    assert_eq!(count.woken(), 2);
    assert!(guest.rely_at_once(Look::Later));
    assert!(guest.rely_at_once(Look::Soon));
    assert!(guest.rely_at_once(Look::Later), "the sooner one stands");
    assert_eq!(relay.attendance(true), looked(false, Look::Soon));
    assert!(guest.rely_at_once(Look::Later));
    assert_eq!(relay.attendance(true), looked(false, Look::Later));
    assert_eq!(count.woken(), 2);
}

#[test]
fn a_look_is_put_off_where_a_guest_has_come_by() {
    let (relay, guest, count) = placed();
    let come = |drove| {
        let came = guest.come(Waker::noop(), |_| drove);
        assert_eq!(came, Came::Drove);
    };
    come(Drove::Enough);
    assert!(!relay.puts_off(), "none was promised");
    guest.leave(Look::Later);
    come(Drove::Enough);
    assert!(!relay.puts_off(), "what comes meanwhile is its own to see");
    guest.rely(Look::Soon);
    assert!(!relay.puts_off(), "nobody came by since");
    add(&guest);
    assert!(!relay.puts_off(), "nobody who reads");
    come(Drove::Owner);
    assert!(!relay.puts_off(), "something is left to be done");
    assert_eq!(count.woken(), 3);
    guest.leave(Look::Later);
    come(Drove::Enough);
    assert!(relay.puts_off());
    assert!(!relay.puts_off(), "once for each time");
    assert!(guest.rely_at_once(Look::Soon), "it is still promised");
    assert_eq!(relay.attendance(true), looked(false, Look::Soon));
    assert_eq!(count.woken(), 3);
    let put_off = (0..20).map(|_| {
        come(Drove::Enough);
        relay.puts_off()
    });
    assert_eq!(put_off.filter(|puts_off| *puts_off).count(), 18);
}

#[test]
fn what_a_guest_comes_back_for_is_looked_after() {
    let (relay, guest, count) = placed();
    guest.drive(|_| Drove::Soon);
    assert_eq!(count.woken(), 1);
    guest.drive(|_| Drove::Soon);
    assert_eq!(count.woken(), 1, "it looks already");
    assert_eq!(relay.attendance(false), looked(false, Look::Soon));
}

#[test]
fn nobody_watches_while_a_reader_waits() {
    let (relay, guest, count) = placed();
    let (reader, waker) = Count::new();
    let came = guest.come(&waker, |value| {
        *value += 1;
        Drove::Enough
    });
    assert_eq!(came, Came::Drove);
    let attended = Attendance {
        watch: false,
        look: None,
    };
    assert_eq!(relay.attendance(true), attended);
    assert_eq!(count.woken(), 0);
    guest.leave(Look::Later);
    assert_eq!(count.woken(), 1);
    assert_eq!(relay.attendance(false), looked(false, Look::Later));
    // It comes and goes, and the look it relied on once does for that.
    guest.come(&waker, |_| Drove::Enough);
    guest.leave(Look::Later);
    assert_eq!(count.woken(), 1);
    assert_eq!(relay.attendance(true), looked(false, Look::Later));
    assert_eq!(relay.attendance(true), NOBODY);
    assert_eq!(relay.take(), Found::Here(1));
    assert_eq!(reader.woken(), 0);
}

#[test]
fn a_reader_that_finds_it_out_is_woken_when_it_is_back() {
    let (relay, guest, _) = placed();
    let (reader, waker) = Count::new();
    let Found::Here(value) = relay.take() else {
        panic!("it is there");
    };
    assert!(!relay.is_awaited());
    assert_eq!(guest.come(&waker, |_| unreachable!("it is out")), Came::Out);
    assert!(relay.is_awaited());
    assert_eq!(reader.woken(), 0);
    assert_eq!(relay.put(value), Ok(()));
    assert_eq!(reader.woken(), 1);
    assert!(!relay.is_awaited());
    // With another guest the same.
    guest.drive(|_| {
        assert_eq!(guest.come(&waker, |_| unreachable!("it is out")), Came::Out);
        Drove::Enough
    });
    assert_eq!(reader.woken(), 2);
    // And where it does not come back.
    assert!(matches!(relay.take(), Found::Here(_)));
    assert_eq!(guest.come(&waker, |_| unreachable!("it is out")), Came::Out);
    drop(relay);
    assert_eq!(reader.woken(), 3);
    assert_eq!(
        guest.come(&waker, |_| unreachable!("it is gone")),
        Came::Gone
    );
}

#[test]
fn one_that_waits_elsewhere_has_the_owner_watch() {
    let (relay, guest, count) = placed();
    guest.rely(Look::Soon);
    guest.wait_elsewhere();
    assert_eq!(count.woken(), 2);
    guest.wait_elsewhere();
    assert_eq!(count.woken(), 2, "it knows");
    assert_eq!(relay.attendance(false), looked(true, Look::Soon));
    assert_eq!(relay.attendance(true), NOBODY);
    guest.come(Waker::noop(), |_| Drove::Enough);
    guest.leave(Look::Later);
    assert!(!relay.attendance(false).watch);
}

#[test]
fn room_is_told_to_whoever_reads_for_it() {
    let (relay, guest, count) = placed();
    guest.make_room();
    assert_eq!(count.woken(), 1);
    assert_eq!(relay.attendance(false), looked(false, Look::Later));
    guest.make_room();
    assert_eq!(count.woken(), 1, "it comes back itself");
    guest.wait_elsewhere();
    guest.make_room();
    assert_eq!(count.woken(), 3);
}
