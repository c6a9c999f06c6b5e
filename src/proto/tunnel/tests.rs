//! Plays dialogs through, in one piece and in many.

use super::*;
use crate::head::Fields;
use crate::proto::connect::Connect;
use crate::proto::socks::{Socks4, Socks5};

/// What came of a dialog.
#[derive(Debug)]
pub(in crate::proto) enum Outcome {
    /// With what is the origin's.
    Open(Option<ResponseHead>, Vec<u8>),
    Failed(ProxyFault),
    /// It waits for more, with all that was said by then.
    Waits(Vec<u8>),
}

/// Gives the pieces to a dialog one by one; `end`: nothing more comes.
pub(in crate::proto) fn talk<'a>(
    begin: impl Fn(&mut Vec<u8>) -> Box<dyn Dialog>,
    pieces: impl IntoIterator<Item = &'a [u8]>,
    end: bool,
) -> Outcome {
    let (mut out, mut input) = (Vec::new(), BytesMut::new());
    let mut dialog = begin(&mut out);
    let mut pieces = pieces.into_iter();
    while let Some(piece) = pieces.next() {
        input.extend_from_slice(piece);
        match dialog.receive(&mut input, &mut out) {
            Ok(Step::Open(head)) => {
                for piece in pieces {
                    input.extend_from_slice(piece);
                }
                return Outcome::Open(head, input.to_vec());
            }
            Ok(Step::More | Step::Refused) => {}
            Err(fault) => return Outcome::Failed(fault),
        }
    }
    match end {
        true => Outcome::Failed(dialog.end(&mut input)),
        false => Outcome::Waits(out),
    }
}

/// The same in one piece, in two for every place to cut, and byte by byte: all
/// of them have to come to the same.
pub(in crate::proto) fn talk_in_pieces(
    begin: impl Fn(&mut Vec<u8>) -> Box<dyn Dialog>,
    reply: &[u8],
    end: bool,
) -> Outcome {
    let whole = talk(&begin, [reply], end);
    let expected = summary(&whole);
    for at in 0..=reply.len() {
        let (first, second) = reply.split_at(at);
        let outcome = talk(&begin, [first, second], end);
        assert_eq!(summary(&outcome), expected, "cut at {at}");
    }
    let outcome = talk(&begin, reply.chunks(1), end);
    assert_eq!(summary(&outcome), expected, "byte by byte");
    whole
}

fn summary(outcome: &Outcome) -> String {
    match outcome {
        // The sample is what had come by then.
        Outcome::Failed(ProxyFault::Http(Fault::NotHttp { .. })) => "not HTTP".to_owned(),
        other => format!("{other:?}"),
    }
}

type Begin = fn(&mut Vec<u8>) -> Box<dyn Dialog>;

const GOAL: Goal<'static> = Goal {
    host: "h.test",
    port: 443,
    address: None,
    authorization: None,
    limits: Limits {
        max_line: 100,
        max_field: 60,
        max_fields: 5,
        strict: false,
        marks: false,
    },
};

const BEGIN: [(Begin, &[u8]); 4] = [
    (
        |out| Box::new(Connect::begin(&GOAL, &Fields::default(), out)),
        b"HTTP/1.1 100 Go\r\n\r\nHTTP/1.1 407 No\r\nA: b\r\nContent-Length: 5\r\n\r\nhello",
    ),
    (
        |out| Box::new(Connect::begin(&GOAL, &Fields::default(), out)),
        b"HTTP/1.1 200 Yes\r\nVia: x\r\n\r\nrest",
    ),
    (
        |out| Box::new(Socks4::begin(&GOAL, b"", out).unwrap()),
        b"\0\x5a\0\0\0\0\0\0rest",
    ),
    (
        |out| {
            let login: (&[u8], &[u8]) = (b"a", b"b");
            Box::new(Socks5::begin(&GOAL, Some(login), out).unwrap())
        },
        b"\x05\x02\x01\0\x05\0\0\x03\x05abcde\0\x50rest",
    ),
];

/// Replies that are damaged at random come to the same, however they are cut.
#[test]
fn damage_is_read_the_same_in_pieces() {
    let mut state = 1_u64;
    let mut dice = move |bound: usize| {
        // An LCG (Knuth's); the high bits are the better ones.
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % bound
    };
    for _ in 0..400 {
        for (begin, reply) in BEGIN {
            let mut damaged = reply.to_vec();
            for _ in 0..=dice(3) {
                let at = dice(damaged.len().max(1));
                if damaged.len() < 2 {
                    break;
                }
                match dice(4) {
                    0 => damaged[at] = [0, 5, b'\r', b'\n', b'9', 0xff][dice(6)],
                    1 => drop(damaged.remove(at)),
                    2 => damaged.insert(at, damaged[at]),
                    _ => damaged.truncate(at.max(1)),
                }
            }
            talk_in_pieces(begin, &damaged, dice(2) == 0);
        }
    }
}
