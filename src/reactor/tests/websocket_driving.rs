//! Open WebSockets that others drive than the engine: what it does then, and when it
//! takes over again.

use std::task::Waker;

use super::sim::*;
use super::websocket::*;
use crate::delivery::{OpenWebSocket, adoption};
use crate::error::Kind;
use crate::handoff::relay::{Came, Drove, Guest, Look};
use crate::job::{Cancel, Command, Line, WsConn, WsSettings};
use crate::net::Net;
use crate::net::sim::SimStream;
use crate::ws::frame::{Frame, Opcode};

type Hand = Guest<Box<dyn WsConn>>;

/// One that is open, and what others drive it by.
fn open_for_guests(sim: &mut Sim, settings: WsSettings) -> (Socket, Hand) {
    let n = sim.world.wires();
    let probe = switched(sim, n, b"");
    let (socket, adopting) = handles(&probe, settings);
    let adoption = adoption(adopting);
    let guest = adoption.relay.guest();
    let pushed = sim.mailbox.push(Command::Adopt(socket.id, adoption));
    assert!(pushed.is_ok());
    sim.settle();
    (socket, guest)
}

/// Queues without telling anybody.
fn queue(socket: &Socket, text: &str) {
    let outbox = socket.outbox.as_ref().expect("not dropped");
    let queued = outbox.push_at_once(|(), _| {
        let frame = Frame::small(Opcode::Text, text.as_bytes());
        let bytes = frame.len();
        Some((Some(frame), bytes))
    });
    assert!(queued.is_some());
}

fn drive(sim: &Sim, guest: &Hand) {
    let now = sim.world.now();
    guest.drive(|conn| conn.drive(now, false));
}

/// Comes as a reader does that waits for the socket by itself.
fn come(sim: &Sim, guest: &Hand) -> Came {
    let now = sim.world.now();
    guest.come(Waker::noop(), |conn| {
        let open = conn.as_any().downcast_mut::<OpenWebSocket<SimStream>>();
        let open = open.expect("of this world");
        if open.lent.token().is_some() {
            sim.world.net().deregister(open.lent.link().stream_mut());
            open.lent.set_token(None);
        }
        open.lent.link().suspect();
        open.go_on(now);
        match open.is_due_before() {
            true => Drove::Owner,
            false => Drove::Enough,
        }
    })
}

fn sent(sim: &Sim) -> Vec<(u8, Vec<u8>)> {
    frames(&sim.peer(0).received())
}

fn text(text: &str) -> (u8, Vec<u8>) {
    (TEXT, text.as_bytes().to_vec())
}

#[test]
fn who_has_queued_a_message_writes_it() {
    // SPEC W11: without a word to the engine.
    let mut sim = Sim::new();
    let (socket, guest) = open_for_guests(&mut sim, settings());
    // What it does at first is to learn of the deadlines.
    queue(&socket, "the first");
    drive(&sim, &guest);
    sim.settle();
    assert_eq!(sent(&sim), [text("the first")]);
    let knocks = sim.world.knocks();
    queue(&socket, "one");
    queue(&socket, "two");
    drive(&sim, &guest);
    assert_eq!(sent(&sim), [text("one"), text("two")]);
    assert_eq!(sim.world.knocks(), knocks);
}

#[test]
fn what_the_socket_does_not_take_is_the_engines() {
    // SPEC W11
    let mut sim = Sim::new();
    let (socket, guest) = open_for_guests(&mut sim, settings());
    assert_eq!(come(&sim, &guest), Came::Drove);
    sim.peer(0).set_window(3);
    queue(&socket, "more than three bytes");
    drive(&sim, &guest);
    guest.leave(Look::Later);
    sim.settle();
    assert_eq!(sim.world.watched(), 1, "for the room");
    sim.peer(0).set_window(1000);
    sim.settle();
    assert_eq!(sent(&sim), [text("more than three bytes")]);
}

#[test]
fn what_was_left_in_the_queue_goes_two_milliseconds_later() {
    // SPEC W11
    let mut sim = Sim::new();
    let (socket, guest) = open_for_guests(&mut sim, settings());
    guest.rely(Look::Soon);
    sim.settle();
    assert!(guest.rely_at_once(Look::Soon), "it was promised");
    queue(&socket, "left");
    sim.advance(ms(1));
    assert_eq!(sent(&sim), []);
    sim.advance(ms(1));
    assert_eq!(sent(&sim), [text("left")]);
    // Somebody relied on it, so it looks once more, and then no more.
    sim.advance(ms(2));
    assert!(!guest.rely_at_once(Look::Soon));
}

#[test]
fn a_look_is_put_off_while_its_thread_comes_by() {
    // SPEC W11: and what that one leaves goes four milliseconds later at the latest.
    let mut sim = Sim::new();
    let (socket, guest) = open_for_guests(&mut sim, settings());
    guest.rely(Look::Soon);
    sim.settle();
    for _ in 0..5 {
        assert_eq!(come(&sim, &guest), Came::Drove);
        guest.leave(Look::Later);
        assert!(guest.rely_at_once(Look::Soon));
        queue(&socket, "about to be written");
        sim.advance(ms(2));
        assert_eq!(sent(&sim), [], "it is there");
        drive(&sim, &guest);
        assert_eq!(sent(&sim), [text("about to be written")]);
    }
    assert_eq!(come(&sim, &guest), Came::Drove);
    guest.leave(Look::Later);
    assert!(guest.rely_at_once(Look::Soon));
    queue(&socket, "left");
    sim.advance(ms(2));
    assert_eq!(sent(&sim), []);
    sim.advance(ms(2));
    assert_eq!(sent(&sim), [text("left")]);
}

#[test]
fn a_look_that_is_put_off_keeps_no_deadline_from_being_kept() {
    // SPEC W4: a heartbeat that is due goes out, whoever comes by.
    let mut sim = Sim::new();
    let settings = WsSettings {
        heartbeat: Some(ms(10)),
        ..settings()
    };
    let (_socket, guest) = open_for_guests(&mut sim, settings);
    guest.rely(Look::Soon);
    sim.settle();
    for _ in 0..5 {
        assert_eq!(sent(&sim), []);
        drive(&sim, &guest);
        assert!(guest.rely_at_once(Look::Soon));
        sim.advance(ms(2));
    }
    assert_eq!(sent(&sim), [(PING, Vec::new())]);
}

/// A reader has come and gone, and something was to be done soon.
fn left_behind(sim: &mut Sim) -> (Socket, Hand) {
    let (socket, guest) = open_for_guests(sim, settings());
    assert_eq!(come(sim, &guest), Came::Drove);
    guest.leave(Look::Later);
    guest.rely(Look::Soon);
    sim.settle();
    (socket, guest)
}

#[test]
fn no_look_is_put_off_by_those_who_only_send() {
    // SPEC W4: they see nothing of what comes.
    let mut sim = Sim::new();
    let (socket, guest) = left_behind(&mut sim);
    sim.peer(0).send(frame(PING, b"there?"));
    for _ in 0..5 {
        queue(&socket, "on and on");
        drive(&sim, &guest);
        sim.advance(ms(1));
    }
    let sent = sent(&sim);
    assert!(sent.contains(&(PONG, b"there?".to_vec())), "{sent:?}");
}

#[test]
fn what_a_full_socket_has_left_goes_though_its_thread_sends_on() {
    // SPEC W11
    let mut sim = Sim::new();
    let (socket, guest) = left_behind(&mut sim);
    sim.peer(0).set_window(3);
    for n in 0..6 {
        queue(&socket, "more than three bytes");
        let now = sim.world.now();
        guest.drive(|conn| conn.drive(now, true));
        if n == 1 {
            sim.peer(0).received();
            sim.peer(0).set_window(1 << 20);
        }
        sim.advance(ms(1));
    }
    assert!(sim.peer(0).received().len() > 100);
}

#[test]
fn no_look_is_put_off_for_ever() {
    // SPEC W4: a reader may come by with something else to see to each time.
    let mut sim = Sim::new();
    let (_socket, guest) = left_behind(&mut sim);
    assert_eq!(sim.world.watched(), 0);
    let mut looked = 0;
    for _ in 0..50 {
        guest.come(Waker::noop(), |_| Drove::Enough);
        guest.leave(Look::Later);
        assert!(guest.rely_at_once(Look::Soon));
        sim.peer(0).send(frame(PING, b""));
        sim.advance(ms(2));
        looked += sent(&sim).len().min(1);
    }
    assert!((4..=6).contains(&looked), "{looked}");
}

#[test]
fn what_a_reader_has_left_is_watched_again() {
    // SPEC W4: within forty milliseconds, and with no reader there from then on.
    let mut sim = Sim::new();
    let (_socket, guest) = open_for_guests(&mut sim, settings());
    assert_eq!(sim.world.watched(), 1);
    assert_eq!(come(&sim, &guest), Came::Drove);
    sim.advance(secs(5));
    assert_eq!(sim.world.watched(), 0, "as long as it waits");
    guest.leave(Look::Later);
    sim.settle();
    assert_eq!(sim.world.watched(), 0);
    sim.peer(0).send(frame(PING, b"there?"));
    sim.advance(ms(19));
    assert_eq!(sent(&sim), []);
    sim.advance(ms(1));
    assert_eq!(sim.world.watched(), 1);
    assert_eq!(sent(&sim), [(PONG, b"there?".to_vec())]);
    // It comes back and goes, again and again: nobody watches.
    for _ in 0..50 {
        assert_eq!(come(&sim, &guest), Came::Drove);
        guest.leave(Look::Later);
        sim.advance(ms(15));
        assert_eq!(sim.world.watched(), 0);
    }
    sim.advance(ms(40));
    assert_eq!(sim.world.watched(), 1);
}

#[test]
fn one_that_waits_elsewhere_is_watched_for() {
    // SPEC W12
    let mut sim = Sim::new();
    let (mut socket, guest) = open_for_guests(&mut sim, settings());
    assert_eq!(come(&sim, &guest), Came::Drove);
    guest.leave(Look::Later);
    sim.settle();
    guest.wait_elsewhere();
    sim.settle();
    assert_eq!(sim.world.watched(), 1);
    sim.peer(0).send(frame(TEXT, b"read"));
    sim.settle();
    assert_eq!(socket.got(&mut sim), frame(TEXT, b"read"));
}

#[test]
fn what_comes_up_while_it_is_out_is_done_when_it_is_back() {
    // SPEC W13: a cancellation, a Close, a violation.
    for which in 0..3 {
        let mut sim = Sim::new();
        let (mut socket, guest) = open_for_guests(&mut sim, settings());
        guest.drive(|_| {
            match which {
                0 => {
                    let cancel = Command::Cancel(socket.id, Cancel::Abort);
                    assert!(sim.mailbox.push(cancel).is_ok());
                }
                1 => socket.close(1000),
                _ => {
                    let fail = Command::Fail(socket.id, 1002.into());
                    assert!(sim.mailbox.push(fail).is_ok());
                }
            }
            // It comes to rest without it.
            sim.world.set_horizon(secs(1));
            let turns = (0..20).take_while(|_| {
                sim.engine.turn();
                !sim.world.is_idle()
            });
            assert!(turns.count() < 20);
            assert!(!socket.has_ended());
            Drove::Enough
        });
        sim.settle();
        match which {
            0 => {
                assert_eq!(socket.failed_with(&mut sim, 1006).kind(), Kind::Cancelled);
                assert!(socket.is_over(&sim));
                assert!(sim.peer(0).is_closed());
                assert_eq!(sim.books(), (0, 0, 0));
            }
            1 => assert_eq!(sent(&sim), [(0x8, vec![0x3, 0xe8])]),
            _ => assert_eq!(sent(&sim), [(0x8, vec![0x3, 0xea])]),
        }
    }
}

#[test]
fn an_engine_that_stops_leaves_it_to_whoever_has_it_out() {
    // SPEC C7: closed when it is put back, and told.
    let mut sim = Sim::new();
    let (mut socket, guest) = open_for_guests(&mut sim, settings());
    let mut sim = Some(sim);
    let world = sim
        .as_ref()
        .map(|sim| sim.world.clone())
        .expect("it is there");
    guest.drive(|_| {
        drop(sim.take());
        assert_eq!(world.open(), 1);
        Drove::Enough
    });
    assert_eq!(world.open(), 0);
    assert_eq!(come_to_nothing(&guest), Came::Gone);
    assert!(socket.has_ended() || socket.is_broken());
}

fn come_to_nothing(guest: &Hand) -> Came {
    guest.come(Waker::noop(), |_| unreachable!("it is gone"))
}

#[test]
fn deadlines_are_kept_while_a_reader_waits() {
    // SPEC W5: the heartbeat of one that the engine does not watch.
    let mut sim = Sim::new();
    let (mut socket, guest) = open_for_guests(&mut sim, beating(secs(10)));
    assert_eq!(come(&sim, &guest), Came::Drove);
    sim.advance(secs(10));
    assert_eq!(sent(&sim), [(PING, vec![])]);
    sim.advance(secs(5) - ms(1));
    assert!(!socket.has_ended());
    sim.advance(ms(1));
    assert_eq!(socket.failed_with(&mut sim, 1006).kind(), Kind::Timeout);
}

#[test]
fn one_that_only_sends_still_reads_now_and_then() {
    // SPEC W4: a thread that relies on the engine's looks, again and again.
    let mut sim = Sim::new();
    let (socket, guest) = open_for_guests(&mut sim, settings());
    assert_eq!(come(&sim, &guest), Came::Drove);
    guest.leave(Look::Later);
    sim.settle();
    sim.peer(0).send(frame(PING, b"there?"));
    for n in 0..10 {
        queue(&socket, &n.to_string());
        guest.rely(Look::Soon);
        sim.advance(ms(1));
    }
    assert_eq!(sim.world.watched(), 0, "somebody was there all the time");
    assert!(sent(&sim).contains(&(PONG, b"there?".to_vec())));
}

#[test]
fn closing_does_not_wait_for_a_look() {
    // SPEC W13: behind a receive, with the answer there at once or in the last moment.
    for shut in [secs(10), ms(1)] {
        let mut sim = Sim::new();
        let patient = WsSettings {
            close_timeout: shut,
            ..settings()
        };
        let (mut socket, guest) = open_for_guests(&mut sim, patient);
        for _ in 0..2 {
            assert_eq!(come(&sim, &guest), Came::Drove);
            guest.leave(Look::Later);
            sim.settle();
        }
        socket.close(1000);
        let wake = Command::Wake(socket.id);
        assert!(sim.mailbox.push(wake).is_ok());
        sim.settle();
        assert_eq!(sent(&sim), [(0x8, vec![0x3, 0xe8])]);
        sim.peer(0).send(frame(0x8, &[0x3, 0xe8]));
        sim.settle();
        socket.ended_with(&mut sim, 1000, true);
    }
}

#[test]
fn an_answer_that_came_by_the_limit_is_one() {
    // SPEC W2: though no wait has told of it.
    let mut sim = Sim::new();
    let (mut socket, _guest) = open_for_guests(&mut sim, settings());
    socket.close(1000);
    sim.advance(secs(10) - ms(1));
    sim.peer(0).send_untold(frame(0x8, &[0x3, 0xe8]));
    sim.advance(ms(1));
    socket.ended_with(&mut sim, 1000, true);
}

#[test]
fn buffers_are_given_back_however_often_it_is_looked_at() {
    // A second behind the last byte, though somebody comes by all the time.
    let mut sim = Sim::new();
    let (mut socket, guest) = open_for_guests(&mut sim, settings());
    sim.peer(0).send(frame(TEXT, &[b'x'; 60_000]));
    sim.settle();
    socket.got(&mut sim);
    let mut held = true;
    for _ in 0..30 {
        assert_eq!(come(&sim, &guest), Came::Drove);
        guest.leave(Look::Later);
        sim.advance(ms(50));
        guest.drive(|conn| {
            let open = conn.as_any().downcast_mut::<OpenWebSocket<SimStream>>();
            held = Line::holds_buffers(&**open.expect("of this world").lent);
            Drove::Enough
        });
    }
    assert!(!held);
}
