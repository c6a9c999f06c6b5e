//! Messages of WebSockets, deflated and inflated.

use std::mem::{Discriminant, discriminant};

use crate::coding::ws::{Deflater, InflateFault, Inflater};

/// Messages in a row, inflated: bounded, and the same however they are cut. And
/// what is deflated comes back.
pub fn messages(data: &[u8]) {
    let Some((&[settings, cut, limit], rest)) = data.split_first_chunk() else {
        return;
    };
    let takeover = settings & 0x80 != 0;
    let cut = usize::from(cut).max(1);
    // Small ones, which are reached, and one that is not.
    let limit = match limit {
        255 => 1 << 20,
        limit => usize::from(limit) * 16,
    };
    let messages = apart(rest);
    let whole = inflated(&messages, takeover, usize::MAX, limit);
    let split = inflated(&messages, takeover, cut, limit);
    assert_eq!(whole, split);

    let (window, level) = (9 + (settings & 7), u32::from(settings >> 3 & 15) % 10);
    let mut deflater = Deflater::new(window, takeover, level);
    let deflated: Vec<Vec<u8>> = messages
        .iter()
        .map(|message| {
            let mut out = Vec::new();
            assert!(deflater.deflate(message, &mut out), "zlib refuses");
            out
        })
        .collect();
    let deflated: Vec<&[u8]> = deflated.iter().map(Vec::as_slice).collect();
    let (back, fault) = inflated(&deflated, takeover, cut, usize::MAX);
    assert!(fault.is_none(), "{fault:?}");
    assert_eq!(back, messages);
}

/// Each behind its length in one byte.
fn apart(mut data: &[u8]) -> Vec<&[u8]> {
    let mut messages = Vec::new();
    while let Some((&length, rest)) = data.split_first() {
        let (message, rest) = rest.split_at(usize::from(length).min(rest.len()));
        messages.push(message);
        data = rest;
    }
    messages
}

/// The messages, and what was wrong with the one behind them.
fn inflated(
    messages: &[&[u8]],
    takeover: bool,
    piece: usize,
    limit: usize,
) -> (Vec<Vec<u8>>, Option<Discriminant<InflateFault>>) {
    let mut inflater = Inflater::new(takeover);
    let mut done = Vec::new();
    for message in messages {
        let mut out = Vec::new();
        let end = message
            .chunks(piece.min(message.len()).max(1))
            .try_for_each(|piece| inflater.inflate(piece, &mut out, limit))
            .and_then(|()| inflater.finish(&mut out, limit));
        assert!(out.capacity() <= limit.saturating_add(1));
        if let Err(fault) = end {
            return (done, Some(discriminant(&fault)));
        }
        done.push(out);
    }
    (done, None)
}
