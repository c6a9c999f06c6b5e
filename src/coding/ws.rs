//! The compression of WebSocket messages: permessage-deflate (RFC 7692, section
//! 7.2), by zlib-rs.
//!
//! A message is a run of DEFLATE blocks (RFC 1951) without a header, flushed at
//! its end with an empty stored block, of which the last four bytes are left
//! out, since they are always the same:
//!
//! ```text
//!  Deflater   message ─► blocks … 00 | 00 00 ff ff      the tail is cut off
//!  Inflater   blocks … 00 ─► message, then 00 00 ff ff  the tail is put back
//! ```
//!
//! With *context takeover* the window of one message goes on into the next, so
//! what came before helps to compress what comes, and the memory stays. Without
//! it every message begins with an empty window, and between two messages
//! nothing is kept.
//!
//! Both coders run on the thread that sends or receives, never on the reactor.
//! Memory is taken at the first message and not before: about 45 KiB to
//! inflate, 250 to 370 KiB to deflate, by the size of the window.

use std::error::Error;
use std::fmt;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

#[cfg(test)]
mod tests;

/// How every flushed message ends, and what does not travel (RFC 7692, section
/// 7.2.1).
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

/// A message of no bytes, its tail cut off: the head of an empty stored block
/// (RFC 7692, section 7.2.3.6).
const EMPTY: u8 = 0x00;

/// A final block with nothing in it: where it is read as such, what came before
/// ended at the end of a block.
const FINAL: [u8; 2] = [0x03, 0x00];

/// The least room made for a step. More than six bytes, or zlib would flush
/// again and again.
const LEAST_ROOM: usize = 128;

/// What zlib cannot use: it has no DEFLATE without a header in a window of 256
/// bytes.
const SMALLEST_WINDOW: u8 = 9;
const LARGEST_WINDOW: u8 = 15;

/// Deflates the messages of one direction, one whole message at a time.
#[derive(Debug)]
pub(crate) struct Deflater {
    window_bits: u8,
    takeover: bool,
    level: Compression,
    stream: Option<Compress>,
}

impl Deflater {
    /// For a window of 2^`window_bits` bytes, 9 to 15, and a level of 0 to 9.
    /// What lies outside is taken for the nearest.
    pub(crate) fn new(window_bits: u8, takeover: bool, level: u32) -> Self {
        Self {
            window_bits: window_bits.clamp(SMALLEST_WINDOW, LARGEST_WINDOW),
            takeover,
            level: Compression::new(level.min(9)),
            stream: None,
        }
    }

    /// Appends `message`, deflated and without the tail, to `out`; whether it
    /// did. Where it did not, `out` is as it was, and the message has to go as
    /// it is, which is right at any time: what is not compressed has no part in
    /// the window.
    #[must_use]
    pub(crate) fn deflate(&mut self, message: &[u8], out: &mut Vec<u8>) -> bool {
        if message.is_empty() {
            // A second flush with nothing to flush would give no block at all.
            out.push(EMPTY);
            return true;
        }
        let start = out.len();
        let done = self.run(message, out) && out[start..].ends_with(&TAIL);
        if done {
            out.truncate(out.len() - TAIL.len());
        } else {
            out.truncate(start);
        }
        // A new stream refers to nothing that came before, and so is good behind
        // any other.
        if !(done && self.takeover) {
            self.stream = None;
        }
        done
    }

    /// Deflates all of `message` and flushes; false if zlib refuses, for which
    /// no reason is known.
    fn run(&mut self, message: &[u8], out: &mut Vec<u8>) -> bool {
        let (level, window_bits) = (self.level, self.window_bits);
        let stream = self
            .stream
            .get_or_insert_with(|| Compress::new_with_window_bits(level, false, window_bits));
        let mut rest = message;
        loop {
            out.reserve((rest.len() / 2).max(LEAST_ROOM));
            let (read, written) = (stream.total_in(), out.len());
            if stream.compress_vec(rest, out, FlushCompress::Sync).is_err() {
                return false;
            }
            let read = (stream.total_in() - read) as usize;
            rest = rest.get(read..).unwrap_or_default();
            if rest.is_empty() && out.len() < out.capacity() {
                return true;
            }
            if read == 0 && out.len() == written {
                return false;
            }
        }
    }
}

/// Inflates the messages of one direction, in pieces cut anywhere.
#[derive(Debug)]
pub(crate) struct Inflater {
    takeover: bool,
    stream: Option<Decompress>,
    /// Where in the message it is.
    place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Nothing of the message has come yet.
    Before,
    Inside,
    /// Right behind a final block.
    Ended,
}

impl Inflater {
    /// For what was deflated with any window, since all of 32 KiB costs no more;
    /// a peer's window of 256 bytes, too.
    pub(crate) fn new(takeover: bool) -> Self {
        Self {
            takeover,
            stream: None,
            place: Place::Before,
        }
    }

    /// Inflates a piece of a message and appends what it means to `out`, as far
    /// as it can be told already.
    ///
    /// `limit` is what `out` may hold in the end: it grows to no more than one
    /// byte above it, whatever `input` would expand to, and that byte is the
    /// fault. `usize::MAX` sets none. Behind a fault the inflater is of no use.
    pub(crate) fn inflate(
        &mut self,
        input: &[u8],
        out: &mut Vec<u8>,
        limit: usize,
    ) -> Result<(), InflateFault> {
        let mut rest = input;
        if rest.is_empty() {
            return Ok(());
        }
        loop {
            let stream = self
                .stream
                .get_or_insert_with(|| Decompress::new_with_window_bits(false, LARGEST_WINDOW));
            self.place = Place::Inside;
            make_room(out, rest.len(), limit);

            let (read, written) = (stream.total_in(), out.len());
            let status = stream.decompress_vec(rest, out, FlushDecompress::Sync);
            let read = (stream.total_in() - read) as usize;
            rest = rest.get(read..).unwrap_or_default();

            // Before the damage, which lies behind it.
            if out.len() > limit {
                return Err(InflateFault::TooBig { limit });
            }
            let status = status.map_err(|error| InflateFault::Damaged {
                message: error.message().unwrap_or("invalid data").to_owned(),
            })?;
            if status == Status::StreamEnd {
                // RFC 7692, section 7.2.3.4: a final block ends at a byte, and
                // behind it come further blocks. Who writes one starts over
                // behind it, with an empty window.
                self.stream = None;
                self.place = Place::Ended;
                if rest.is_empty() {
                    return Ok(());
                }
                continue;
            }
            // Where room is left, nothing is held back.
            if rest.is_empty() && out.len() < out.capacity() {
                return Ok(());
            }
            if read == 0 && out.len() == written {
                if rest.is_empty() {
                    return Ok(());
                }
                return Err(InflateFault::Damaged {
                    message: "it goes on behind its end".to_owned(),
                });
            }
        }
    }

    /// Ends the message: all of it is in `out` then, and the next one may begin.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>, limit: usize) -> Result<(), InflateFault> {
        // A message of no bytes is none by the letter of RFC 7692, but what some
        // zlibs make of a second empty message; and behind a final block some
        // leave out the byte that would have to come. Neither needs a tail.
        if self.place == Place::Inside {
            let before = out.len();
            self.inflate(&TAIL, out, limit)?;
            // A tail that means anything was read in the middle of a block.
            if out.len() != before {
                return Err(cut_short());
            }
        }
        self.place = Place::Before;
        if !self.takeover
            && let Some(mut stream) = self.stream.take()
        {
            let end = stream.decompress(&FINAL, &mut [0], FlushDecompress::Sync);
            if !matches!(end, Ok(Status::StreamEnd)) {
                return Err(cut_short());
            }
        }
        Ok(())
    }
}

/// Room for the next step: as much as there is already, so that many steps are
/// not quadratic, and no more than is allowed.
fn make_room(out: &mut Vec<u8>, input: usize, limit: usize) {
    if out.len() < out.capacity() {
        return;
    }
    let wanted = input.saturating_mul(4).max(out.len()).max(LEAST_ROOM);
    let allowed = limit.saturating_add(1).saturating_sub(out.len());
    out.reserve_exact(wanted.min(allowed).max(1));
}

fn cut_short() -> InflateFault {
    InflateFault::Damaged {
        message: "it ends within a block".to_owned(),
    }
}

/// Why a message cannot be inflated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum InflateFault {
    /// It means more bytes than are allowed.
    TooBig { limit: usize },
    /// It is not DEFLATE.
    Damaged { message: String },
}

impl fmt::Display for InflateFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooBig { limit } => write!(f, "the message inflates to more than {limit} bytes"),
            Self::Damaged { message } => {
                write!(f, "the message cannot be inflated: {message}")
            }
        }
    }
}

impl Error for InflateFault {}
