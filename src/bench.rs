//! The benchmarks' door to what is not public. Compiled only under
//! `--cfg miohttp_bench`; `benches/README.md` says how to run them.

use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Version};

use crate::handoff::mailbox::{Alarm, Mailbox};
use crate::handoff::pipe::{Budget, Item, pipe};
use crate::handoff::slot::slot;
use crate::head::{BodyLength, Fields, RequestHead, ResponseHead};
use crate::proto::Event;
use crate::proto::h1::{Limits, Machine};

/// A response head, as it crosses the layers.
#[derive(Debug)]
pub struct Head(ResponseHead);

impl Head {
    /// Its fields as a map.
    pub fn to_map(&self) -> HeaderMap {
        self.0.to_map()
    }
}

/// Reads one reply to a GET: its head, and how many bytes its body has. Part of
/// the figure is a machine that begins, as one does for each exchange.
pub fn read_reply(wire: &[u8]) -> (Option<Head>, usize) {
    let request = RequestHead {
        method: Method::GET,
        version: Version::HTTP_11,
        fields: Fields::behind(b"/", 0),
        body: BodyLength::Empty,
        expect_continue: false,
    };
    let mut machine = Machine::new(Limits::default());
    machine.begin(&request, Limits::default(), true, &mut Vec::new());
    let mut input = BytesMut::from(wire);
    let (mut head, mut length) = (None, 0);
    while let Ok(Some(event)) = machine.receive(&mut input) {
        match event {
            Event::Head(found) => head = Some(Head(found)),
            Event::Data(data) => length += data.len(),
            _ => {}
        }
    }
    (head, length)
}

/// One value through a slot, from an empty poll on.
pub fn through_slot(value: u64) -> Option<u64> {
    let mut cx = Context::from_waker(Waker::noop());
    let (sender, mut receiver) = slot();
    let early = receiver.poll(&mut cx).is_ready();
    match (sender.fill(value), receiver.poll(&mut cx)) {
        (Ok(()), Poll::Ready(got)) if !early => got,
        _ => None,
    }
}

/// Pieces of a body through a pipe, one by one; how many bytes came out.
pub fn through_pipe(piece: &Bytes, pieces: usize) -> usize {
    let mut cx = Context::from_waker(Waker::noop());
    let (mut writer, mut reader) = pipe::<()>(Budget {
        low: 256 * 1024,
        high: 512 * 1024,
    });
    let mut length = 0;
    for _ in 0..pieces {
        writer.push(piece.clone());
        if let Poll::Ready((Item::Data(data), _)) = reader.poll_next(&mut cx) {
            length += data.len();
        }
    }
    writer.finish(());
    length
}

struct Silent;

impl Alarm for Silent {
    fn ring(&self) {}
}

/// Commands through a mailbox whose consumer sleeps before each batch; how many
/// came out.
pub fn through_mailbox(batches: usize, batch: usize) -> usize {
    let mailbox = Mailbox::new(Box::new(Silent));
    let mut got = Vec::new();
    let mut count = 0;
    for _ in 0..batches {
        mailbox.doze();
        for item in 0..batch {
            // Refused only when closed, which it is not.
            let _ = mailbox.push(item);
        }
        mailbox.drain(&mut got);
        count += got.len();
        got.clear();
    }
    count
}

/// Messages that a server sends, from the bytes of one read to values: how many, and
/// their bytes. The copy of the bytes, which a read from a socket would be, is part of
/// the figure.
#[cfg(feature = "websocket")]
pub fn read_messages(wire: &[u8]) -> (usize, usize) {
    use crate::proto::ws;

    let mut machine = ws::Machine::new(ws::Rules {
        deflate: false,
        max_message: 4 * 1024 * 1024,
    });
    let mut assembler = crate::ws::Assembler::new(4 * 1024 * 1024, None);
    let mut input = BytesMut::from(wire);
    let (mut count, mut length) = (0, 0);
    while let Ok(Some(ws::Event::Data(data))) = machine.receive(&mut input) {
        assembler.push(data);
        while let Ok(Some(message)) = assembler.next() {
            count += 1;
            length += message.len();
        }
    }
    (count, length)
}

/// A message as it goes out: its bytes on the wire. What nobody else has is masked
/// where it is.
#[cfg(feature = "websocket")]
pub fn mask_message(payload: Bytes) -> usize {
    use crate::ws::frame::{Frame, Opcode};

    Frame::data(Opcode::Binary, false, payload).len()
}
