//! Plays dialogs through, in one piece and in many.

use super::*;

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
