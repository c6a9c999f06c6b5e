//! Open WebSockets, between scripted servers and handles that the test plays.

use std::any::Any;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::UPGRADE;

use super::sim::*;
use crate::delivery::adoption;
use crate::error::{Error, Kind, Timeout};
use crate::handoff::latch::{Latch, latch};
use crate::handoff::outbox::{Caps, Outbox, Place, outbox};
use crate::handoff::pipe::{Budget, Item, PipeReader, pipe};
use crate::handoff::relay::Relay;
use crate::handoff::testing::Count;
use crate::job::{
    Adopt, Adoption, Cancel, Command, Control, ExchangeId, Got, Line, Talk, Talked, Tunnel, WsEnd,
    WsSettings,
};
use crate::net::sim::Peer;
use crate::sync::{Arc, Mutex, lock};
use crate::ws::frame::{Frame, Opcode};
use crate::ws::{CloseCode, CloseFrame};

const SWITCHED: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n";

pub(super) const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const CLOSE: u8 = 0x8;
pub(super) const PING: u8 = 0x9;
pub(super) const PONG: u8 = 0xa;

const BUDGET: Budget = Budget {
    low: 1024,
    high: 4096,
};

pub(super) fn settings() -> WsSettings {
    WsSettings {
        autoping: true,
        autoclose: true,
        deflate: false,
        max_message: 1 << 20,
        heartbeat: None,
        close_timeout: secs(10),
    }
}

pub(super) fn beating(every: Duration) -> WsSettings {
    WsSettings {
        heartbeat: Some(every),
        ..settings()
    }
}

/// The handles' part.
pub(super) struct Socket {
    pub(super) id: ExchangeId,
    pub(super) outbox: Option<Outbox<(), Frame>>,
    reader: Option<PipeReader<WsEnd>>,
    ended: Latch<WsEnd>,
    /// Both ends of what is kept until all is over.
    kept: std::sync::Weak<()>,
    got: Vec<u8>,
    end: Option<WsEnd>,
}

/// What the handles have, and what they give the reactor.
pub(super) fn handles(probe: &Probe, settings: WsSettings) -> (Socket, Adopt<()>) {
    let (inlet, reader) = pipe(BUDGET);
    let caps = Caps {
        bytes: 64 * 1024,
        items: 64,
    };
    let (outbox, frames) = outbox((), caps);
    let (setter, ended) = latch();
    let keep = Arc::new(());
    let socket = Socket {
        id: probe.id,
        outbox: Some(outbox),
        reader: Some(reader),
        ended,
        kept: Arc::downgrade(&keep),
        got: Vec::new(),
        end: None,
    };
    let adopt = Adopt {
        tunnel: probe.tunnel().expect("a connection"),
        settings,
        inlet,
        outbox: frames,
        ended: setter,
        keep: Box::new(keep),
    };
    (socket, adopt)
}

/// A connection that has just been switched, on the `n`th wire. `early` comes in one
/// piece with the head.
pub(super) fn switched(sim: &mut Sim, n: usize, early: &[u8]) -> Probe {
    let probe = sim.go(get(HOST).field(UPGRADE, "websocket"));
    sim.peer(n).received();
    sim.peer(n).send([SWITCHED.as_bytes(), early].concat());
    sim.settle();
    assert_eq!(probe.status(), Some(101));
    probe
}

pub(super) fn adopt(sim: &mut Sim, id: ExchangeId, adopt: Adopt<()>) {
    let pushed = sim.mailbox.push(Command::Adopt(id, adoption(adopt)));
    assert!(pushed.is_ok());
    sim.settle();
}

fn open_with(sim: &mut Sim, settings: WsSettings, early: &[u8]) -> Socket {
    let n = sim.world.wires();
    let probe = switched(sim, n, early);
    let (socket, adopting) = handles(&probe, settings);
    adopt(sim, socket.id, adopting);
    socket
}

fn open(sim: &mut Sim, settings: WsSettings) -> Socket {
    open_with(sim, settings, b"")
}

impl Socket {
    /// Queues a frame if there is room.
    fn push(&self, frame: Frame) -> bool {
        let outbox = self.outbox.as_ref().expect("not dropped");
        match outbox.try_turn() {
            Ok(Some(turn)) => {
                let bytes = frame.len();
                turn.push(frame, bytes).is_ok()
            }
            _ => false,
        }
    }

    fn send(&self, payload: &[u8]) {
        let payload = Bytes::copy_from_slice(payload);
        assert!(self.push(Frame::data(Opcode::Binary, false, payload)));
    }

    pub(super) fn close(&self, code: u16) {
        let close = close_frame(code);
        assert!(self.outbox.as_ref().unwrap().close(close));
    }

    /// Takes what the pipe has, telling the engine of room.
    fn read(&mut self, sim: &Sim) {
        while self.read_one(sim) {}
    }

    fn read_one(&mut self, sim: &Sim) -> bool {
        let next = self.reader.as_mut().and_then(PipeReader::try_next);
        let Some((item, refill)) = next else {
            return false;
        };
        if refill {
            let _ = sim.mailbox.push(Command::Wake(self.id));
        }
        match item {
            Item::Data(data) => self.got.extend_from_slice(&data),
            Item::End(end) => {
                self.end = Some(end);
                self.reader = None;
            }
            Item::Mark => {}
            Item::Broken => panic!("it ended without a word"),
        }
        true
    }

    /// What has come since the last look.
    pub(super) fn got(&mut self, sim: &mut Sim) -> Vec<u8> {
        loop {
            self.read(sim);
            let before = self.got.len();
            sim.settle();
            self.read(sim);
            if self.got.len() == before {
                return std::mem::take(&mut self.got);
            }
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.get().is_some()
    }

    /// How it has ended, as both ways tell it.
    #[track_caller]
    fn end(&mut self, sim: &mut Sim) -> WsEnd {
        let told = self.ended.get().expect("the end is told");
        self.got(sim);
        let end = self.end.clone().expect("the end of the pipe");
        assert_eq!((told.code, told.clean), (end.code, end.clean));
        end
    }

    #[track_caller]
    pub(super) fn ended_with(&mut self, sim: &mut Sim, code: u16, clean: bool) {
        let end = self.end(sim);
        assert_eq!((end.code, end.clean), (CloseCode::from(code), clean));
        assert!(end.error.is_none(), "{:?}", end.error);
    }

    #[track_caller]
    pub(super) fn failed_with(&mut self, sim: &mut Sim, code: u16) -> Error {
        let end = self.end(sim);
        assert_eq!((end.code, end.clean), (CloseCode::from(code), false));
        end.error.expect("an error")
    }

    /// Whether nobody is there any more who could tell how it ended.
    pub(super) fn is_broken(&mut self) -> bool {
        let next = self.reader.as_mut().and_then(PipeReader::try_next);
        matches!(next, Some((Item::Broken, _)))
    }

    /// Whether the engine has done with it.
    pub(super) fn is_over(&self, sim: &Sim) -> bool {
        assert_eq!(
            self.kept.upgrade().is_none(),
            !sim.engine.exchanges.contains_key(&self.id)
        );
        self.kept.upgrade().is_none()
    }
}

impl Sim {
    /// The reader has come to what is wrong.
    fn fail(&mut self, socket: &Socket, code: u16) {
        let command = Command::Fail(socket.id, CloseCode::from(code));
        assert!(self.mailbox.push(command).is_ok());
        self.settle();
    }
}

fn close_frame(code: u16) -> Frame {
    Frame::close(Some(&CloseFrame {
        code: CloseCode::from(code),
        reason: Default::default(),
    }))
}

/// A frame as a server sends it.
pub(super) fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x80 | opcode];
    match payload.len() {
        short @ 0..126 => bytes.push(short as u8),
        middle @ 126..65_536 => {
            bytes.push(126);
            bytes.extend_from_slice(&(middle as u16).to_be_bytes());
        }
        long => {
            bytes.push(127);
            bytes.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
    bytes.extend_from_slice(payload);
    bytes
}

fn closing(code: u16) -> Vec<u8> {
    frame(CLOSE, &code.to_be_bytes())
}

/// The frames that the client sent, and that they are whole and masked.
pub(super) fn frames(bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut rest = bytes;
    let mut found = Vec::new();
    while let [first, second, behind @ ..] = rest {
        assert_eq!(
            (first & 0xf0, second & 0x80),
            (0x80, 0x80),
            "whole and masked"
        );
        let (length, behind) = match second & 0x7f {
            126 => (
                usize::from(u16::from_be_bytes([behind[0], behind[1]])),
                &behind[2..],
            ),
            127 => (
                u64::from_be_bytes(behind[..8].try_into().unwrap()) as usize,
                &behind[8..],
            ),
            short => (usize::from(short), behind),
        };
        let (key, behind) = behind.split_at(4);
        let (payload, behind) = behind.split_at(length);
        let payload = payload
            .iter()
            .zip(key.iter().cycle())
            .map(|(byte, key)| byte ^ key);
        found.push((first & 0xf, payload.collect()));
        rest = behind;
    }
    assert!(rest.is_empty(), "half a frame");
    found
}

#[track_caller]
fn said(peer: &Peer) -> Vec<(u8, Vec<u8>)> {
    frames(&peer.received())
}

fn close_of(code: u16) -> (u8, Vec<u8>) {
    (CLOSE, code.to_be_bytes().to_vec())
}

#[test]
fn messages_go_both_ways_through_the_reactor() {
    // SPEC W10
    let mut sim = Sim::new();
    let early = frame(TEXT, b"early");
    let mut socket = open_with(&mut sim, settings(), &early);
    assert_eq!(sim.books(), (1, 0, 0));
    assert_eq!(socket.got(&mut sim), early, "what came with the head");
    let large = vec![7; 100_000];
    socket.send(b"hello");
    socket.send(&large);
    sim.settle();
    let wanted = vec![(BINARY, b"hello".to_vec()), (BINARY, large.clone())];
    assert_eq!(said(&sim.peer(0)), wanted);

    let all = [frame(TEXT, b"one"), frame(BINARY, &large), frame(TEXT, b"")].concat();
    sim.peer(0).send(&all);
    assert_eq!(socket.got(&mut sim), all);
    assert!(!socket.has_ended() && sim.engine.timers.earliest().is_some());
    // What was needed for that is given back when it is quiet.
    sim.advance(secs(2));
    assert_eq!(
        sim.engine.timers.earliest(),
        None,
        "nothing is due any more"
    );
}

#[test]
fn input_cut_anywhere_is_the_same() {
    let mut sim = Sim::new();
    let mut socket = open(&mut sim, settings());
    let all = [
        frame(TEXT, b"hello"),
        frame(PING, b"are you there"),
        frame(BINARY, &[3; 300]),
        closing(1000),
    ]
    .concat();
    for byte in &all {
        sim.peer(0).send([*byte]);
        sim.settle();
    }
    let wanted = [frame(TEXT, b"hello"), frame(BINARY, &[3; 300])].concat();
    assert_eq!(socket.got(&mut sim), wanted);
    let answers = vec![(PONG, b"are you there".to_vec()), close_of(1000)];
    assert_eq!(said(&sim.peer(0)), answers);
    socket.ended_with(&mut sim, 1000, true);

    // The same where it is the reads that are short.
    let mut socket = open(&mut sim, settings());
    sim.peer(1).limit_reads(1);
    sim.peer(1).send(&all);
    assert_eq!(socket.got(&mut sim), wanted);
    assert_eq!(said(&sim.peer(1)), answers);
    socket.ended_with(&mut sim, 1000, true);
}

#[test]
fn a_batch_is_one_piece_in_and_one_write_out() {
    let mut sim = Sim::new();
    let mut socket = open(&mut sim, settings());
    let batch: Vec<u8> = (0..31).flat_map(|n| frame(TEXT, &[n; 100])).collect();
    sim.peer(0).send(&batch);
    sim.settle();
    let item = socket.reader.as_mut().unwrap().try_next();
    assert_eq!(
        item,
        Some((Item::Data(Bytes::from(batch)), false)).map(|(item, _)| (item, false))
    );
    assert!(socket.reader.as_mut().unwrap().try_next().is_none());
}

impl PartialEq for WsEnd {
    fn eq(&self, other: &Self) -> bool {
        (self.code, self.clean) == (other.code, other.clean)
    }
}

#[test]
fn pings_are_answered_while_nobody_reads() {
    // SPEC W4
    let mut sim = Sim::new();
    let mut socket = open(&mut sim, settings());
    let pings: Vec<u8> = (0..10).flat_map(|n| frame(PING, &[n; 3])).collect();
    sim.peer(0)
        .send([pings, frame(PONG, b"unasked"), frame(TEXT, b"x")].concat());
    sim.settle();
    let pongs: Vec<_> = (0..10).map(|n| (PONG, vec![n; 3])).collect();
    assert_eq!(said(&sim.peer(0)), pongs);
    assert_eq!(socket.got(&mut sim), frame(TEXT, b"x"));

    let shown = WsSettings {
        autoping: false,
        ..settings()
    };
    let mut socket = open(&mut sim, shown);
    let all = [
        frame(PING, b"1"),
        frame(TEXT, b"between"),
        frame(PONG, b"2"),
    ]
    .concat();
    sim.peer(1).send(&all);
    assert_eq!(socket.got(&mut sim), all, "as they came, in order");
    assert!(said(&sim.peer(1)).is_empty(), "the program answers");
}

#[test]
fn a_flood_of_pings_keeps_the_latest_alone() {
    // SPEC W4: RFC 6455 §5.5.3.
    let mut sim = Sim::new();
    let mut socket = open(&mut sim, settings());
    sim.peer(0).set_window(0);
    for round in 0..200_u32 {
        let pings: Vec<u8> = (0..100)
            .flat_map(|n| frame(PING, &(round * 100 + n).to_be_bytes()))
            .collect();
        sim.peer(0).send(pings);
        sim.settle();
        assert_eq!(
            sim.peer(0).unread(),
            0,
            "read on, though nothing can be written"
        );
    }
    sim.peer(0).send(frame(TEXT, b"still read"));
    assert_eq!(socket.got(&mut sim), frame(TEXT, b"still read"));
    sim.peer(0).set_window(usize::MAX);
    sim.settle();
    let pongs = said(&sim.peer(0));
    assert!(pongs.len() <= 40, "{} pongs", pongs.len());
    assert_eq!(
        pongs.last(),
        Some(&(PONG, 19_999_u32.to_be_bytes().to_vec()))
    );
}

#[test]
fn control_frames_pass_messages_that_wait() {
    // SPEC W4
    let mut sim = Sim::new();
    let socket = open(&mut sim, settings());
    sim.peer(0).set_window(10);
    let mut sent = 0;
    while socket.push(Frame::data(Opcode::Binary, false, vec![1; 30_000].into())) {
        sent += 1;
        sim.settle();
    }
    assert!(sent >= 3, "some are with the line, the rest waits");
    sim.peer(0).send(frame(PING, b"now"));
    sim.settle();
    sim.peer(0).set_window(usize::MAX);
    sim.settle();
    let said = said(&sim.peer(0));
    assert_eq!(said.len(), sent + 1);
    let place = said.iter().position(|(opcode, _)| *opcode == PONG).unwrap();
    assert!(place < sent, "between two messages, not behind them all");
}

#[test]
fn a_full_pipe_stops_reading_and_room_resumes_it() {
    // SPEC W5
    let mut sim = Sim::new();
    let mut socket = open(&mut sim, settings());
    let all: Vec<u8> = (0..200).flat_map(|n| frame(BINARY, &[n; 1000])).collect();
    for part in all.chunks(20_000) {
        sim.peer(0).send(part);
        sim.settle();
    }
    let queued = socket.reader.as_ref().unwrap().queued();
    assert!(queued > BUDGET.high && queued < 60_000, "{queued}");
    assert!(
        sim.peer(0).unread() > 100_000,
        "the rest waits with the system"
    );
    // Sending goes on meanwhile.
    socket.send(b"x");
    sim.settle();
    assert_eq!(said(&sim.peer(0)), [(BINARY, b"x".to_vec())]);
    assert_eq!(socket.got(&mut sim), all);
}

#[test]
fn what_nobody_reads_is_thrown_away() {
    let mut sim = Sim::new();
    let mut socket = open(&mut sim, settings());
    socket.reader = None;
    for _ in 0..100 {
        sim.peer(0)
            .send([frame(BINARY, &[1; 5000]), frame(PING, b"p")].concat());
        sim.settle();
        assert_eq!(said(&sim.peer(0)), [(PONG, b"p".to_vec())]);
    }
    socket.send(b"x");
    sim.settle();
    assert_eq!(said(&sim.peer(0)).len(), 1);
    sim.peer(0).send(closing(1000));
    sim.settle();
    assert_eq!(socket.ended.get().map(|end| end.clean), Some(true));
}

#[test]
fn the_program_closes_and_the_server_answers() {
    // SPEC W14, W2
    let mut sim = Sim::new();
    let mut socket = open(&mut sim, settings());
    socket.send(b"last words");
    socket.close(1000);
    sim.settle();
    let wanted = vec![(BINARY, b"last words".to_vec()), close_of(1000)];
    assert_eq!(said(&sim.peer(0)), wanted);
    assert!(!socket.has_ended(), "the answer is waited for");
    // The server may say more before.
    sim.peer(0)
        .send([frame(TEXT, b"late"), closing(1000)].concat());
    assert_eq!(socket.got(&mut sim), frame(TEXT, b"late"));
    socket.ended_with(&mut sim, 1000, true);
    // Closing TCP is the server's to do.
    assert!(!sim.peer(0).is_closed() && !socket.is_over(&sim));
    assert_eq!(sim.books(), (1, 0, 0));
    sim.peer(0).send("what comes behind a close is nothing");
    sim.settle();
    sim.peer(0).finish();
    sim.settle();
    assert!(sim.peer(0).is_closed() && !sim.peer(0).is_aborted());
    assert!(socket.is_over(&sim));
    assert_eq!(sim.books(), (0, 0, 0));
    assert!(said(&sim.peer(0)).is_empty(), "nothing follows a close");
}

#[test]
fn the_server_closes_and_is_answered() {
    // SPEC W4
    let mut sim = Sim::new();
    let mut socket = open(&mut sim, settings());
    let close = [&[0x03, 0xe9][..], b"maintenance"].concat();
    sim.peer(0)
        .send([frame(TEXT, b"bye"), frame(CLOSE, &close)].concat());
    assert_eq!(socket.got(&mut sim), frame(TEXT, b"bye"));
    assert_eq!(said(&sim.peer(0)), [close_of(1001)], "its code comes back");
    let end = socket.end(&mut sim);
    assert_eq!(
        (end.code, &*end.reason, end.clean),
        (CloseCode::GOING_AWAY, "maintenance", true)
    );
    assert!(
        !socket.push(Frame::control(Opcode::Ping, b"")),
        "nobody sends any more"
    );
    sim.peer(0).finish();
    sim.settle();
    assert!(socket.is_over(&sim));

    // One without a code.
    let mut socket = open(&mut sim, settings());
    sim.peer(1).send(frame(CLOSE, b""));
    sim.settle();
    assert_eq!(said(&sim.peer(1)), [(CLOSE, vec![])]);
    socket.ended_with(&mut sim, 1005, true);
}

#[test]
fn what_was_queued_goes_before_the_answer_to_a_close() {
    // SPEC W4
    let mut sim = Sim::new();
    let mut socket = open(&mut sim, settings());
    sim.peer(0).set_window(0);
    socket.send(b"one");
    sim.settle();
    socket.send(b"two");
    sim.peer(0)
        .send([frame(PING, b"p"), closing(1000)].concat());
    sim.settle();
    socket.ended_with(&mut sim, 1000, true);
    sim.peer(0).set_window(usize::MAX);
    sim.settle();
    let said = said(&sim.peer(0));
    let opcodes: Vec<u8> = said.iter().map(|(opcode, _)| *opcode).collect();
    assert_eq!(opcodes, [BINARY, PONG, BINARY, CLOSE]);
    assert_eq!((&said[0].1[..], &said[2].1[..]), (&b"one"[..], &b"two"[..]));
}

#[test]
fn both_close_at_the_same_time() {
    // SPEC W14: one Close each, whichever crosses which.
    for stuck in [false, true] {
        let mut sim = Sim::new();
        let mut socket = open(&mut sim, settings());
        if stuck {
            sim.peer(0).set_window(0);
            socket.send(b"x");
            sim.settle();
        }
        socket.close(1000);
        sim.peer(0).send(closing(4000));
        sim.settle();
        socket.ended_with(&mut sim, 4000, true);
        sim.peer(0).set_window(usize::MAX);
        sim.settle();
        let closes: Vec<_> = said(&sim.peer(0))
            .into_iter()
            .filter(|(opcode, _)| *opcode == CLOSE)
            .collect();
        assert_eq!(closes, [close_of(1000)], "{stuck}");
        sim.peer(0).finish();
        sim.settle();
        assert!(socket.is_over(&sim));
    }
}

#[test]
fn a_close_that_is_shown_is_answered_by_the_program() {
    // SPEC W4
    let shown = WsSettings {
        autoclose: false,
        ..beating(secs(1))
    };
    let mut sim = Sim::new();
    let mut socket = open(&mut sim, shown);
    sim.peer(0)
        .send([frame(TEXT, b"x"), closing(4001)].concat());
    let wanted = [frame(TEXT, b"x"), closing(4001)].concat();
    assert_eq!(socket.got(&mut sim), wanted);
    // A program may take its time, and may still say something.
    sim.advance(secs(100));
    assert!(!socket.has_ended() && said(&sim.peer(0)).is_empty());
    socket.send(b"thanks");
    socket.close(1000);
    sim.settle();
    let wanted = vec![(BINARY, b"thanks".to_vec()), close_of(1000)];
    assert_eq!(said(&sim.peer(0)), wanted);
    socket.ended_with(&mut sim, 4001, true);

    // The server goes before that.
    let mut socket = open(&mut sim, shown);
    sim.peer(1).send(closing(4002));
    sim.settle();
    sim.peer(1).finish();
    sim.settle();
    socket.ended_with(&mut sim, 4002, false);
    assert!(socket.is_over(&sim));
}

#[test]
fn a_server_that_never_closes_is_left() {
    // SPEC W2
    for talks in [false, true] {
        let mut sim = Sim::new();
        let mut socket = open(&mut sim, settings());
        socket.close(1000);
        sim.settle();
        for _ in 0..9 {
            sim.advance(secs(1));
            if talks {
                sim.peer(0).send(frame(BINARY, &[0; 10_000]));
            }
        }
        assert!(!socket.has_ended());
        sim.advance(secs(1));
        assert!(sim.peer(0).is_aborted());
        let error = socket.failed_with(&mut sim, 1006);
        assert_eq!(error.timeout(), Some(Timeout::WsClose));
        assert!(socket.is_over(&sim));
        assert_eq!(sim.books(), (0, 0, 0));
    }
    // And one that says Close and keeps TCP open.
    for theirs in [false, true] {
        let mut sim = Sim::new();
        let mut socket = open(&mut sim, settings());
        if !theirs {
            socket.close(1000);
            sim.settle();
        }
        sim.advance(secs(if theirs { 0 } else { 4 }));
        sim.peer(0).send(closing(1000));
        sim.settle();
        socket.ended_with(&mut sim, 1000, true);
        sim.advance(secs(if theirs { 9 } else { 5 }));
        assert!(!sim.peer(0).is_closed() && !socket.is_over(&sim));
        sim.advance(secs(1));
        assert!(sim.peer(0).is_aborted() && socket.is_over(&sim));
    }
}

#[test]
fn no_time_for_closing_is_too_long_to_end() {
    // SPEC W2
    let patient = WsSettings {
        close_timeout: Duration::MAX,
        ..settings()
    };
    let mut sim = Sim::new();
    let mut socket = open(&mut sim, patient);
    socket.close(1000);
    sim.advance(secs(10_000));
    assert!(!socket.has_ended(), "as long as it takes");
    sim.peer(0).send(closing(1000));
    sim.settle();
    socket.ended_with(&mut sim, 1000, true);
    sim.advance(secs(10));
    assert!(socket.is_over(&sim), "nobody waits for that any more");

    let mut socket = open(&mut sim, patient);
    (socket.outbox, socket.reader) = (None, None);
    sim.settle();
    assert_eq!(said(&sim.peer(1)), [close_of(1001)]);
    sim.advance(secs(10));
    assert!(socket.is_over(&sim));
    assert_eq!(sim.books(), (0, 0, 0));
}

#[test]
fn closing_hangs_on_no_reader() {
    // SPEC W14
    let mut sim = Sim::new();
    let mut socket = open(&mut sim, settings());
    let all: Vec<u8> = (0..50).flat_map(|n| frame(BINARY, &[n; 1000])).collect();
    for part in all.chunks(10_000) {
        sim.peer(0).send(part);
        sim.settle();
    }
    assert!(sim.peer(0).unread() > 0, "the pipe is full");
    socket.close(1000);
    sim.settle();
    assert_eq!(sim.peer(0).unread(), 0);
    sim.peer(0).send(closing(1000));
    sim.settle();
    assert_eq!(socket.ended.get().map(|end| end.clean), Some(true));
    let got = socket.got(&mut sim);
    assert!(
        all.starts_with(&got) && got.len() < all.len(),
        "no gap in what is given"
    );
    socket.ended_with(&mut sim, 1000, true);
}

#[test]
fn a_stuck_writer_keeps_nobody_from_closing() {
    // SPEC W2, W14
    for drops in [false, true] {
        let mut sim = Sim::new();
        let mut socket = open(&mut sim, settings());
        sim.peer(0).set_window(3);
        while socket.push(Frame::data(Opcode::Binary, false, vec![1; 30_000].into())) {
            sim.settle();
        }
        sim.advance(secs(60));
        if drops {
            (socket.outbox, socket.reader) = (None, None);
        } else {
            socket.close(1000);
        }
        sim.settle();
        sim.advance(secs(9));
        assert!(!socket.is_over(&sim));
        sim.advance(secs(1));
        assert!(socket.is_over(&sim) && sim.peer(0).is_aborted());
        let end = socket.ended.get().unwrap();
        assert_eq!(end.error.unwrap().timeout(), Some(Timeout::WsClose));
    }
}

#[test]
fn handles_that_are_dropped_say_goodbye() {
    let mut sim = Sim::new();
    let mut socket = open(&mut sim, settings());
    socket.send(b"x");
    (socket.outbox, socket.reader) = (None, None);
    sim.settle();
    assert_eq!(
        said(&sim.peer(0)),
        [(BINARY, b"x".to_vec()), close_of(1001)]
    );
    assert!(
        !socket.is_over(&sim),
        "what is kept is kept until it is closed"
    );
    sim.peer(0).send(closing(1001));
    sim.peer(0).finish();
    sim.settle();
    assert!(socket.is_over(&sim) && !sim.peer(0).is_aborted());
    assert_eq!(sim.books(), (0, 0, 0));
}

#[test]
fn violations_are_told_to_both_sides() {
    // SPEC W13, W8
    let cases: [(&[u8], u16); 6] = [
        (&[0xc1, 0x00], 1002),
        (&[0x81, 0x81, 0, 0, 0, 0, 0], 1002),
        (&[0x83, 0x00], 1002),
        (&[0x80, 0x00], 1002),
        (&[0x88, 0x03, 0x03, 0xe8, 0xff], 1007),
        (&[0x82, 127, 0x7f, 0, 0, 0, 0, 0, 0, 0], 1009),
    ];
    for (bytes, code) in cases {
        let mut sim = Sim::new();
        let mut socket = open(&mut sim, settings());
        sim.peer(0).send([&frame(TEXT, b"good"), bytes].concat());
        assert_eq!(
            socket.got(&mut sim),
            frame(TEXT, b"good"),
            "what came before"
        );
        assert_eq!(
            sim.peer(0).received(),
            b"",
            "the reader may still answer that"
        );
        sim.fail(&socket, code);
        let error = socket.failed_with(&mut sim, code);
        assert_eq!(error.kind(), Kind::WebSocket, "{bytes:x?}");
        let [(CLOSE, close)] = &said(&sim.peer(0))[..] else {
            panic!("one close");
        };
        assert_eq!(close[..2], code.to_be_bytes());
        assert!(close.len() > 2, "with a reason");
        // It lingers, so that the close is not lost to a reset.
        sim.peer(0).send(vec![0x81; 50_000]);
        sim.settle();
        assert!(!sim.peer(0).is_closed() && sim.peer(0).unread() == 0);
        sim.peer(0).finish();
        sim.settle();
        assert!(socket.is_over(&sim) && !sim.peer(0).is_aborted());
        assert!(said(&sim.peer(0)).is_empty());
    }
}

#[test]
fn what_came_before_a_violation_is_answered_before_it_is_told() {
    // SPEC W13
    let good_and_bad = [&frame(TEXT, b"good")[..], &[0xc1, 0x00], &frame(PING, b"")].concat();
    let mut sim = Sim::new();
    let mut socket = open(&mut sim, settings());
    sim.peer(0).send(&good_and_bad);
    assert_eq!(socket.got(&mut sim), frame(TEXT, b"good"));
    socket.send(b"answer");
    sim.settle();
    assert_eq!(said(&sim.peer(0)), [(BINARY, b"answer".to_vec())]);
    // And what was not taken yet when the reader came to the violation.
    socket.send(b"another");
    sim.fail(&socket, 1002);
    let [(BINARY, another), (CLOSE, _)] = &said(&sim.peer(0))[..] else {
        panic!("the Close last, and the Ping behind the violation without an answer");
    };
    assert_eq!(another, b"another");
    socket.failed_with(&mut sim, 1002);
    assert!(!socket.push(Frame::control(Opcode::Ping, b"")));

    // Nobody comes to it: the peer is told after a while.
    let mut socket = open(&mut sim, settings());
    sim.peer(1).send(&good_and_bad);
    sim.settle();
    sim.advance(Duration::from_millis(499));
    assert!(sim.peer(1).received().is_empty() && !socket.has_ended());
    sim.advance(Duration::from_millis(1));
    assert!(matches!(&said(&sim.peer(1))[..], [(CLOSE, _)]));
    assert_eq!(socket.got(&mut sim), frame(TEXT, b"good"));
    socket.failed_with(&mut sim, 1002);

    // Nobody can come to it, or the connection goes first.
    let mut socket = open(&mut sim, settings());
    socket.reader = None;
    sim.peer(2).send(&good_and_bad);
    sim.settle();
    sim.peer(2).send(&good_and_bad);
    sim.settle();
    assert!(matches!(&said(&sim.peer(2))[..], [(CLOSE, _)]));

    let mut socket = open(&mut sim, settings());
    sim.peer(3).send(&good_and_bad);
    sim.peer(3).finish();
    sim.settle();
    assert_eq!(socket.got(&mut sim), frame(TEXT, b"good"));
    socket.failed_with(&mut sim, 1002);
    assert!(socket.is_over(&sim));

    // The program closes meanwhile, or lets go of everything.
    for (n, drops) in [(4, false), (5, true)] {
        let mut socket = open(&mut sim, settings());
        sim.peer(n).send(&good_and_bad);
        sim.settle();
        let wanted = match drops {
            false => {
                socket.close(1000);
                1000
            }
            true => {
                socket.outbox = None;
                1002
            }
        };
        sim.settle();
        let [(CLOSE, close)] = &said(&sim.peer(n))[..] else {
            panic!("one Close");
        };
        assert_eq!(close[..2], u16::to_be_bytes(wanted));
        socket.got(&mut sim);
        socket.failed_with(&mut sim, 1002);
    }
}

#[test]
fn a_reader_that_finds_a_violation_has_it_told() {
    // SPEC W13
    let mut sim = Sim::new();
    let mut socket = open(&mut sim, settings());
    let _ = sim
        .mailbox
        .push(Command::Fail(socket.id, CloseCode::INVALID_PAYLOAD));
    sim.settle();
    assert_eq!(said(&sim.peer(0)), [close_of(1007)]);
    socket.ended_with(&mut sim, 1007, false);
    assert!(!socket.push(Frame::control(Opcode::Ping, b"")));
    // Once.
    let _ = sim
        .mailbox
        .push(Command::Fail(socket.id, CloseCode::PROTOCOL));
    sim.settle();
    assert!(said(&sim.peer(0)).is_empty() && !sim.peer(0).is_closed());
    sim.advance(secs(10));
    assert!(socket.is_over(&sim) && sim.peer(0).is_aborted());

    // Behind a Close of ours there is nothing to tell.
    let mut socket = open(&mut sim, settings());
    socket.close(1000);
    sim.settle();
    let _ = sim
        .mailbox
        .push(Command::Fail(socket.id, CloseCode::TOO_BIG));
    sim.settle();
    assert_eq!(said(&sim.peer(1)), [close_of(1000)]);
    socket.ended_with(&mut sim, 1009, false);
    sim.peer(1).finish();
    sim.settle();

    // Some codes are never said.
    let mut socket = open(&mut sim, settings());
    let _ = sim
        .mailbox
        .push(Command::Fail(socket.id, CloseCode::ABNORMAL));
    sim.settle();
    assert!(sim.peer(2).received().is_empty() && sim.peer(2).is_aborted());
    socket.ended_with(&mut sim, 1006, false);
    assert_eq!(sim.books(), (0, 0, 0));
}

#[test]
fn a_lost_connection_is_told() {
    // SPEC W15
    let mut sim = Sim::new();
    let mut socket = open(&mut sim, settings());
    sim.peer(0).send(frame(TEXT, b"x"));
    sim.peer(0).finish();
    assert_eq!(socket.got(&mut sim), frame(TEXT, b"x"));
    assert_eq!(
        socket.failed_with(&mut sim, 1006).kind(),
        Kind::Disconnected
    );
    assert!(socket.is_over(&sim));

    let mut socket = open(&mut sim, settings());
    sim.peer(1).send(&frame(TEXT, &[0; 100])[..50]);
    sim.settle();
    sim.peer(1).reset();
    sim.settle();
    assert_eq!(
        socket.failed_with(&mut sim, 1006).kind(),
        Kind::Disconnected
    );

    // What was said before a write failed still counts.
    let mut socket = open(&mut sim, settings());
    sim.peer(2).break_pipe();
    sim.peer(2)
        .send([frame(TEXT, b"why"), closing(4003)].concat());
    socket.send(b"x");
    assert_eq!(socket.got(&mut sim), frame(TEXT, b"why"));
    assert_eq!(socket.end(&mut sim).code, CloseCode::from(4003));

    let mut socket = open(&mut sim, settings());
    sim.peer(3).break_pipe();
    socket.send(b"x");
    sim.settle();
    assert_eq!(
        socket.failed_with(&mut sim, 1006).kind(),
        Kind::Disconnected
    );
    assert_eq!(sim.books(), (0, 0, 0));
}

#[test]
fn a_loss_while_closing_is_told_or_needs_no_telling() {
    // SPEC W14
    let mut sim = Sim::new();
    let mut socket = open(&mut sim, settings());
    socket.close(1000);
    sim.settle();
    sim.peer(0).finish();
    sim.settle();
    assert_eq!(
        socket.failed_with(&mut sim, 1006).kind(),
        Kind::Disconnected
    );
    // While it lingers nobody is interested.
    let mut socket = open(&mut sim, settings());
    sim.peer(1).send(closing(1000));
    sim.settle();
    sim.peer(1).reset();
    sim.settle();
    socket.ended_with(&mut sim, 1000, true);
    assert!(socket.is_over(&sim));
}

#[test]
fn a_heartbeat_asks_and_is_content_with_any_sign_of_life() {
    // SPEC W5
    let mut sim = Sim::new();
    let mut socket = open(&mut sim, beating(secs(10)));
    let ping = [(PING, vec![])];
    sim.advance(ms(9_999));
    assert!(said(&sim.peer(0)).is_empty());
    sim.advance(ms(1));
    assert_eq!(said(&sim.peer(0)), ping);
    sim.advance(secs(4));
    sim.peer(0).send(frame(PONG, b""));
    // The quiet begins anew.
    sim.advance(ms(9_999));
    assert!(said(&sim.peer(0)).is_empty());
    sim.advance(ms(1));
    assert_eq!(said(&sim.peer(0)), ping);
    // Data is a sign as well, a part of a frame even.
    sim.peer(0).send(&frame(TEXT, b"hello")[..3]);
    sim.advance(ms(9_999));
    assert!(said(&sim.peer(0)).is_empty() && !socket.has_ended());
    sim.peer(0).send(&frame(TEXT, b"hello")[3..]);
    sim.advance(secs(9));
    assert!(said(&sim.peer(0)).is_empty());
    // What is sent is none.
    socket.send(b"x");
    sim.settle();
    assert_eq!(said(&sim.peer(0)).len(), 1);
    sim.advance(secs(1));
    assert_eq!(said(&sim.peer(0)), ping);
    assert_eq!(socket.got(&mut sim), frame(TEXT, b"hello"));
}

#[test]
fn a_heartbeat_finds_a_lost_network() {
    // SPEC W5
    let mut sim = Sim::new();
    let mut socket = open(&mut sim, beating(secs(10)));
    sim.advance(ms(14_999));
    assert!(!socket.has_ended());
    sim.advance(ms(1));
    let error = socket.failed_with(&mut sim, 1006);
    assert_eq!(error.timeout(), Some(Timeout::Heartbeat));
    assert!(sim.peer(0).is_aborted() && socket.is_over(&sim));

    // A writer that is stuck keeps no Ping from being missed.
    let mut socket = open(&mut sim, beating(secs(10)));
    sim.peer(1).set_window(5);
    socket.send(&[1; 1000]);
    sim.advance(secs(15));
    let error = socket.failed_with(&mut sim, 1006);
    assert_eq!(error.timeout(), Some(Timeout::Heartbeat));
    assert_eq!(sim.books(), (0, 0, 0));
}

#[test]
fn a_heartbeat_rests_while_nothing_is_read() {
    // SPEC W5
    let mut sim = Sim::new();
    let mut socket = open(&mut sim, beating(secs(10)));
    sim.advance(secs(9));
    sim.peer(0).send(frame(BINARY, &[0; 20_000]));
    sim.settle();
    assert!(sim.peer(0).unread() > 0 || socket.reader.as_ref().unwrap().queued() > BUDGET.high);
    sim.advance(secs(1000));
    assert!(said(&sim.peer(0)).is_empty() && !socket.has_ended());
    // With room it begins anew.
    assert_eq!(
        socket.got(&mut sim).len(),
        frame(BINARY, &[0; 20_000]).len()
    );
    sim.advance(ms(9_999));
    assert!(said(&sim.peer(0)).is_empty());
    sim.advance(ms(1));
    assert_eq!(said(&sim.peer(0)), [(PING, vec![])]);
    // A Ping that is out counts for nothing once reading has paused.
    sim.peer(0).send(frame(BINARY, &[0; 20_000]));
    sim.advance(secs(100));
    assert!(!socket.has_ended());
    socket.got(&mut sim);
    sim.advance(secs(14));
    assert_eq!(said(&sim.peer(0)), [(PING, vec![])]);
    sim.advance(secs(1));
    let error = socket.failed_with(&mut sim, 1006);
    assert_eq!(error.timeout(), Some(Timeout::Heartbeat));
}

#[test]
fn a_sign_of_life_nobody_told_of_counts() {
    // SPEC W5: one wait fetches so many events and no more.
    let mut sim = Sim::new();
    let mut socket = open(&mut sim, beating(secs(10)));
    sim.advance(secs(10));
    assert_eq!(said(&sim.peer(0)).len(), 1);
    sim.peer(0).send_untold(frame(PONG, b""));
    sim.advance(secs(5));
    assert!(!socket.has_ended());
    sim.advance(secs(15));
    assert_eq!(socket.failed_with(&mut sim, 1006).kind(), Kind::Timeout);
}

#[test]
fn a_heartbeat_ends_with_closing() {
    // SPEC W5, W2
    let slow = WsSettings {
        close_timeout: secs(60),
        ..beating(secs(1))
    };
    let mut sim = Sim::new();
    let mut socket = open(&mut sim, slow);
    socket.close(1000);
    sim.advance(secs(59));
    assert_eq!(
        said(&sim.peer(0)),
        [close_of(1000)],
        "nothing follows a close"
    );
    assert!(!socket.has_ended());
    sim.advance(secs(1));
    assert_eq!(
        socket.failed_with(&mut sim, 1006).timeout(),
        Some(Timeout::WsClose)
    );
}

#[test]
fn it_can_be_cancelled_wherever_it_stands() {
    type Stage = fn(&mut Sim, &Socket);
    let stages: [Stage; 4] = [
        |_, _| {},
        |sim, socket| {
            sim.peer(0).set_window(3);
            socket.send(&[0; 100]);
        },
        |_, socket| socket.close(1000),
        |sim, _| sim.peer(0).send(frame(BINARY, &[0; 50_000])),
    ];
    for stage in stages {
        for close in [false, true] {
            let mut sim = Sim::new();
            let mut socket = open(&mut sim, beating(secs(100)));
            stage(&mut sim, &socket);
            sim.settle();
            let (command, kind) = match close {
                false => (Command::Cancel(socket.id, Cancel::Abort), Kind::Cancelled),
                true => (Command::Control(Control::Shutdown), Kind::Closed),
            };
            let _ = sim.mailbox.push(command);
            sim.settle();
            assert_eq!(socket.failed_with(&mut sim, 1006).kind(), kind);
            assert!(sim.peer(0).is_aborted() && socket.is_over(&sim));
            assert_eq!(sim.books(), (0, 0, 0));
        }
    }
    // While it lingers the end is told already.
    for close in [false, true] {
        let mut sim = Sim::new();
        let mut socket = open(&mut sim, settings());
        sim.peer(0).send(closing(1000));
        sim.settle();
        let command = match close {
            false => Command::Cancel(socket.id, Cancel::Abort),
            true => Command::Control(Control::Shutdown),
        };
        let _ = sim.mailbox.push(command);
        sim.settle();
        socket.ended_with(&mut sim, 1000, true);
        assert!(sim.peer(0).is_closed() && socket.is_over(&sim));
        assert_eq!(sim.books(), (0, 0, 0));
    }
}

#[test]
fn one_that_was_ended_before_it_was_adopted_is_told_why() {
    for close in [false, true] {
        let mut sim = Sim::new();
        let probe = switched(&mut sim, 0, b"");
        let (mut socket, adopting) = handles(&probe, settings());
        if !close {
            sim.cancel(&probe, Cancel::Abort);
            adopt(&mut sim, socket.id, adopting);
            assert_eq!(socket.failed_with(&mut sim, 1006).kind(), Kind::Cancelled);
        } else {
            // The word of it lies in the mailbox behind the end of all.
            let _ = sim.mailbox.push(Command::Control(Control::Shutdown));
            let _ = sim
                .mailbox
                .push(Command::Adopt(socket.id, adoption(adopting)));
            sim.settle();
            assert_eq!(socket.failed_with(&mut sim, 1006).kind(), Kind::Closed);
        }
        assert!(sim.peer(0).is_closed() && socket.kept.upgrade().is_none());
        assert_eq!(sim.books(), (0, 0, 0));
    }
    // Nor is one lost that comes when nobody takes it any more.
    let mut sim = Sim::new();
    let probe = switched(&mut sim, 0, b"");
    let (mut socket, adopting) = handles(&probe, settings());
    sim.control(Control::Shutdown);
    drop(adoption(adopting));
    assert_eq!(socket.failed_with(&mut sim, 1006).kind(), Kind::Closed);
    assert_eq!(sim.books(), (0, 0, 0));
}

#[test]
fn its_slot_is_held_until_it_is_closed() {
    let mut sim = Sim::limited(1, 0);
    let socket = open(&mut sim, settings());
    let probe = sim.go(get("10.0.0.2"));
    assert_eq!(sim.books(), (1, 0, 1));
    socket.close(1000);
    sim.settle();
    sim.peer(0).send(closing(1000));
    sim.settle();
    assert_eq!(sim.books(), (1, 0, 1), "it lingers");
    sim.peer(0).finish();
    sim.settle();
    sim.peer(1).send(OK);
    sim.settle();
    assert_eq!(probe.status(), Some(200));
}

#[test]
fn everybody_gets_a_turn_beside_a_flood() {
    let mut sim = Sim::new();
    let mut flooded = open(&mut sim, settings());
    flooded.reader = None;
    let mut other = open(&mut sim, settings());
    for _ in 0..40 {
        sim.peer(0).send(frame(BINARY, &[0; 60_000]));
    }
    sim.peer(1).send(frame(TEXT, b"x"));
    sim.world.set_horizon(Duration::ZERO);
    let mut turns = 0;
    while other.got.is_empty() {
        sim.turn();
        other.read(&sim);
        turns += 1;
    }
    assert!(
        turns <= 2 && sim.peer(0).unread() > 1_000_000,
        "{turns} turns"
    );
    sim.settle();
    assert_eq!(sim.peer(0).unread(), 0);
}

#[test]
fn a_reader_is_woken_when_it_asked_to_be() {
    // SPEC W3
    let mut sim = Sim::new();
    let mut socket = open(&mut sim, settings());
    let (count, waker) = Count::new();
    let mut cx = Context::from_waker(&waker);
    let reader = socket.reader.as_mut().unwrap();
    assert!(reader.poll_next(&mut cx).is_pending());
    let now = sim.world.now();
    // It asks again once that time has passed, whether it was woken for it or not.
    for at in [secs(3), secs(5)] {
        let _ = sim.mailbox.push(Command::Nudge(socket.id, now + at));
    }
    sim.advance(ms(4_999));
    assert_eq!(count.woken(), 0);
    sim.advance(ms(1));
    assert_eq!(count.woken(), 1, "at the time it asked for last");
    let reader = socket.reader.as_mut().unwrap();
    assert!(matches!(reader.poll_next(&mut cx), Poll::Pending));
    sim.advance(secs(10));
    assert_eq!(count.woken(), 1, "once");
}

#[test]
fn senders_that_wait_go_on_as_the_socket_takes() {
    let mut sim = Sim::new();
    let socket = open(&mut sim, settings());
    sim.peer(0).set_window(1);
    while socket.push(Frame::data(Opcode::Binary, false, vec![1; 30_000].into())) {
        sim.settle();
    }
    let (count, waker) = Count::new();
    let mut place = Place::new();
    let outbox = socket.outbox.as_ref().unwrap();
    let mut cx = Context::from_waker(&waker);
    assert!(outbox.poll_turn(&mut place, &mut cx).is_pending());
    sim.settle();
    assert_eq!(count.woken(), 0);
    sim.peer(0).set_window(usize::MAX);
    sim.settle();
    assert_eq!(count.woken(), 1);
}

/// Panics when something comes.
struct Clumsy(Arc<Mutex<Option<Error>>>);

impl Talk for Clumsy {
    fn begin(&mut self, _: Waker, _: Instant) {}

    fn go_on(&mut self, line: &mut dyn Line, _: Instant) -> Talked {
        assert_eq!(
            line.read(1).ok(),
            Some(Got::Nothing),
            "as the test wants it"
        );
        Talked::Wants
    }

    fn is_open(&self) -> bool {
        true
    }

    fn deadline(&self) -> Option<Instant> {
        None
    }

    fn fail(&mut self, _: CloseCode, _: Instant) {}

    fn nudge(&mut self, _: Instant) {}

    fn end(&mut self, error: Error) {
        *lock(&self.0) = Some(error);
    }
}

#[test]
fn a_panic_ends_one_of_them() {
    let mut sim = Sim::new();
    let mut other = open(&mut sim, settings());
    let probe = switched(&mut sim, 1, b"");
    let told = Arc::default();
    let clumsy = Adoption {
        tunnel: probe.tunnel().expect("a connection"),
        talk: Box::new(Clumsy(Arc::clone(&told))),
        relay: Relay::new(),
    };
    let _ = sim.mailbox.push(Command::Adopt(probe.id, Box::new(clumsy)));
    sim.settle();
    assert!(lock(&told).is_none());
    sim.peer(1).send("x");
    sim.settle();
    assert_eq!(lock(&told).as_ref().map(Error::kind), Some(Kind::Internal));
    assert!(sim.peer(1).is_aborted());
    sim.peer(0).send(frame(TEXT, b"x"));
    assert_eq!(other.got(&mut sim), frame(TEXT, b"x"));
    assert_eq!(sim.books(), (1, 0, 0));
}

/// Of another make than the engine's.
struct Foreign;

impl Tunnel for Foreign {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        Ok(0)
    }

    fn write(&mut self, from: &[u8]) -> std::io::Result<usize> {
        Ok(from.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }

    fn wait(&mut self, _: bool, _: Option<Instant>) -> std::io::Result<()> {
        Ok(())
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

#[test]
fn a_connection_that_is_none_of_the_pools_is_refused() {
    let mut sim = Sim::new();
    let probe = switched(&mut sim, 0, b"");
    let (mut socket, mut adopting) = handles(&probe, settings());
    adopting.tunnel = Box::new(Foreign);
    adopt(&mut sim, socket.id, adopting);
    assert_eq!(socket.failed_with(&mut sim, 1006).kind(), Kind::Internal);
    assert_eq!(sim.books(), (0, 0, 0));
}

#[cfg(feature = "tls")]
#[test]
fn under_tls_what_was_decrypted_is_not_left_lying() {
    use super::tls::Secure;

    let mut world = Secure::new(Sim::new(), true);
    let ask = world.secure(get(HOST).field(UPGRADE, "websocket"));
    let probe = world.sim.go(ask);
    let mut session = world.session(0);
    session.talk(&mut world.sim);
    session.plain.clear();
    // The head, and frames in records of their own behind it, in one read.
    let early: Vec<u8> = (0..20).flat_map(|n| frame(TEXT, &[n; 1000])).collect();
    session.say(&mut world.sim, [SWITCHED.as_bytes(), &early].concat());
    assert_eq!(probe.status(), Some(101));
    let (mut socket, adopting) = handles(&probe, beating(secs(10)));
    adopt(&mut world.sim, socket.id, adopting);
    assert_eq!(socket.got(&mut world.sim), early);

    // More than the pipe holds, in one piece: nothing tells of it again.
    let all: Vec<u8> = (0..60).flat_map(|n| frame(BINARY, &[n; 1000])).collect();
    session.say(&mut world.sim, &all);
    assert_eq!(socket.got(&mut world.sim), all);

    for n in 0..32 {
        socket.send(&[n; 100]);
    }
    session.talk(&mut world.sim);
    assert_eq!(frames(&session.plain).len(), 32);
    session.plain.clear();
    world.sim.advance(secs(10));
    session.talk(&mut world.sim);
    assert_eq!(frames(&session.plain), [(PING, vec![])]);
    session.plain.clear();
    session.say(&mut world.sim, closing(1000));
    assert_eq!(frames(&session.plain), [close_of(1000)]);
    socket.ended_with(&mut world.sim, 1000, true);
    world.sim.peer(0).finish();
    world.sim.settle();
    assert!(socket.is_over(&world.sim));
    assert_eq!(world.sim.books(), (0, 0, 0));
}
