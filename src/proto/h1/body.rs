//! Reading a response body: three framings (RFC 9112 §6.3), one decoder.
//!
//! Body bytes are never copied: each piece is split off the input buffer. A
//! decoder consumes what it has understood at once, but for trailers, which
//! are parsed as a whole.
//!
//! ```text
//! chunked:  Size ─► [Padding] ─► [Extension] ─► SizeEnd ─┬─► Data ─► DataCr ─► DataLf ─► Size
//!                                                        └─► Trailers ─► End      (size 0)
//! ```
//!
//! Chunk framing is strict (SPEC R38): CRLF and nothing else ends a line. Two
//! readers that disagree about a chunk's end are how replies get smuggled.

use bytes::{Buf, BytesMut};

use super::machine::Limits;
use super::parse::{self, Section, SectionFault, SectionKind};
use crate::proto::{ChunkFault, Event, Fault};

/// Bytes of the extensions of one chunk.
const MAX_EXTENSION: usize = 8 * 1024;

/// Bytes of extensions a body may hold beyond one for each byte of data: the
/// defence against a peer that sends little else, without a bound on honest
/// signed chunks in a long stream.
const MAX_EXTENSIONS: u64 = 64 * 1024;

/// How the body that is being read ends.
#[derive(Clone, Debug)]
pub(super) enum Decoder {
    Length { total: u64, left: u64 },
    Chunked(Chunked),
    UntilClose,
}

impl Decoder {
    pub(super) fn length(total: u64) -> Self {
        Self::Length { total, left: total }
    }

    pub(super) fn chunked() -> Self {
        Self::Chunked(Chunked {
            state: ChunkState::size(),
            got: 0,
            extensions: 0,
        })
    }

    /// The next piece of the body, its trailers or its end; `None` when the
    /// input has no more of it.
    pub(super) fn decode(
        &mut self,
        input: &mut BytesMut,
        limits: &Limits,
    ) -> Result<Option<Event>, Fault> {
        match self {
            Self::Length { left: 0, .. } => Ok(Some(Event::End)),
            Self::Length { left, .. } => Ok(take(input, left)),
            Self::Chunked(chunked) => chunked.decode(input, limits),
            Self::UntilClose => {
                let mut unbounded = u64::MAX;
                Ok(take(input, &mut unbounded))
            }
        }
    }

    /// The peer has closed, and `decode` has nothing more.
    pub(super) fn eof(&self) -> Result<Event, Fault> {
        match self {
            Self::UntilClose => Ok(Event::End),
            Self::Length { total, left } => Err(Fault::ShortBody {
                expected: Some(*total),
                got: *total - *left,
            }),
            Self::Chunked(chunked) => Err(Fault::ShortBody {
                expected: None,
                got: chunked.got,
            }),
        }
    }

    pub(super) fn remaining(&self) -> Option<u64> {
        match self {
            Self::Length { left, .. } => Some(*left),
            Self::Chunked(_) | Self::UntilClose => None,
        }
    }
}

/// Splits off as much data as there is, `left` at most, and counts it down.
fn take(input: &mut BytesMut, left: &mut u64) -> Option<Event> {
    if input.is_empty() {
        return None;
    }
    let most = usize::try_from(*left).unwrap_or(usize::MAX);
    // Where nothing would be left of the buffer there is nothing to be shared.
    let data = match input.len() <= most && input.len() == input.capacity() {
        true => std::mem::take(input),
        false => input.split_to(most.min(input.len())),
    };
    *left -= data.len() as u64;
    Some(Event::Data(data.freeze()))
}

#[derive(Clone, Debug)]
pub(super) struct Chunked {
    state: ChunkState,
    /// Bytes of data handed out.
    got: u64,
    /// Bytes of extensions skipped.
    extensions: u64,
}

/// How far framing bytes were read.
enum Framing {
    /// There are no more of them.
    Partial,
    ChunkEnd,
    /// Data or trailers follow.
    Done,
}

#[derive(Clone, Copy, Debug)]
enum ChunkState {
    Size {
        value: u64,
        digits: u8,
    },
    /// Space behind the size, which some servers write to a fixed width.
    Padding {
        value: u64,
        skipped: usize,
    },
    Extension {
        value: u64,
        skipped: usize,
    },
    SizeEnd {
        value: u64,
    },
    Data {
        left: u64,
    },
    DataCr,
    DataLf,
    Trailers(Section),
    End,
}

impl ChunkState {
    fn size() -> Self {
        Self::Size {
            value: 0,
            digits: 0,
        }
    }
}

impl Chunked {
    /// Each turn consumes input, changes to a state further on, or returns.
    fn decode(&mut self, input: &mut BytesMut, limits: &Limits) -> Result<Option<Event>, Fault> {
        loop {
            match &mut self.state {
                ChunkState::Data { left: 0 } => self.state = ChunkState::DataCr,
                ChunkState::Data { left } => {
                    let before = *left;
                    let event = take(input, left);
                    self.got = self.got.saturating_add(before - *left);
                    return Ok(event);
                }
                ChunkState::Trailers(section) => {
                    let Some(end) = section.find_end(input, limits).map_err(trailer_fault)? else {
                        return Ok(None);
                    };
                    self.state = ChunkState::End;
                    let fields = parse::trailers(&input.split_to(end), limits.strict)?;
                    if !fields.is_empty() {
                        return Ok(Some(Event::Trailers(fields)));
                    }
                }
                ChunkState::End => return Ok(Some(Event::End)),
                _ => match self.framing(input, limits.marks)? {
                    Framing::Done => {}
                    Framing::ChunkEnd => return Ok(Some(Event::ChunkEnd)),
                    Framing::Partial => return Ok(None),
                },
            }
        }
    }

    /// Reads framing bytes up to the next data or the trailers, or to the end of
    /// a chunk, if those are marked.
    fn framing(&mut self, input: &mut BytesMut, marks: bool) -> Result<Framing, Fault> {
        // Mostly all of it is here, and there is nothing but a size: then a short way.
        let line = match self.state {
            ChunkState::DataCr if !marks => input.strip_prefix(b"\r\n"),
            ChunkState::Size { digits: 0, .. } => Some(&input[..]),
            _ => None,
        };
        if let Some(line) = line
            && let Some((size, length)) = plain_size(line)
        {
            let used = input.len() - line.len() + length;
            input.advance(used);
            self.state = ChunkState::Data { left: size };
            return Ok(Framing::Done);
        }
        let mut used = 0;
        let mut reached = Framing::Partial;
        for byte in input.iter() {
            used += 1;
            let ends = marks && matches!(self.state, ChunkState::DataLf);
            self.state = self.step(*byte).map_err(Fault::BadChunk)?;
            if ends {
                reached = Framing::ChunkEnd;
                break;
            }
            if matches!(
                self.state,
                ChunkState::Data { .. } | ChunkState::Trailers(_)
            ) {
                reached = Framing::Done;
                break;
            }
        }
        input.advance(used);
        Ok(reached)
    }

    fn step(&mut self, byte: u8) -> Result<ChunkState, ChunkFault> {
        Ok(match (self.state, byte) {
            (ChunkState::Size { value, digits }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                // Sixteen digits fill 64 bits; leading zeros count, or they
                // would be a line without end.
                if digits == 16 {
                    return Err(ChunkFault::SizeOverflow);
                }
                let digit = char::from(byte).to_digit(16).unwrap_or(0);
                ChunkState::Size {
                    value: value << 4 | u64::from(digit),
                    digits: digits + 1,
                }
            }
            (ChunkState::Size { digits: 0, .. }, _) => return Err(ChunkFault::Size),
            (ChunkState::Size { value, .. }, b' ' | b'\t') => {
                ChunkState::Padding { value, skipped: 1 }
            }
            (ChunkState::Padding { value, skipped }, b' ' | b'\t') => {
                self.count(skipped)?;
                ChunkState::Padding {
                    value,
                    skipped: skipped + 1,
                }
            }
            (ChunkState::Size { value, .. } | ChunkState::Padding { value, .. }, b';') => {
                ChunkState::Extension { value, skipped: 0 }
            }
            (
                ChunkState::Size { value, .. }
                | ChunkState::Padding { value, .. }
                | ChunkState::Extension { value, .. },
                b'\r',
            ) => ChunkState::SizeEnd { value },
            (_, b'\n')
                if !matches!(self.state, ChunkState::SizeEnd { .. } | ChunkState::DataLf) =>
            {
                return Err(ChunkFault::LineEnd);
            }
            (ChunkState::Extension { value, skipped }, _) => {
                self.count(skipped)?;
                ChunkState::Extension {
                    value,
                    skipped: skipped + 1,
                }
            }
            (ChunkState::SizeEnd { value: 0 }, b'\n') => {
                ChunkState::Trailers(Section::new(SectionKind::Trailers))
            }
            (ChunkState::SizeEnd { value }, b'\n') => ChunkState::Data { left: value },
            (ChunkState::DataCr, b'\r') => ChunkState::DataLf,
            (ChunkState::DataLf, b'\n') => ChunkState::size(),
            (ChunkState::Size { .. } | ChunkState::Padding { .. }, _) => {
                return Err(ChunkFault::Size);
            }
            _ => return Err(ChunkFault::LineEnd),
        })
    }

    /// Counts one skipped byte behind `skipped` others of the same line.
    fn count(&mut self, skipped: usize) -> Result<(), ChunkFault> {
        self.extensions += 1;
        if skipped >= MAX_EXTENSION || self.extensions > self.got.saturating_add(MAX_EXTENSIONS) {
            return Err(ChunkFault::ExtensionTooLong);
        }
        Ok(())
    }
}

/// The size of a chunk and the length of its line, if that is whole and has a few digits
/// and nothing else. `None` of the last chunk, too.
fn plain_size(line: &[u8]) -> Option<(u64, usize)> {
    let mut size = 0;
    for (place, byte) in line.iter().take(9).enumerate() {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            b'A'..=b'F' => byte - b'A' + 10,
            b'\r' if size > 0 && line.get(place + 1) == Some(&b'\n') => {
                return Some((size, place + 2));
            }
            _ => return None,
        };
        size = size << 4 | u64::from(digit);
    }
    None
}

fn trailer_fault(fault: SectionFault) -> Fault {
    match fault {
        SectionFault::TooLarge { limit, max } => Fault::TrailerTooLarge { limit, max },
        SectionFault::LineEnd => Fault::BadChunk(ChunkFault::LineEnd),
        SectionFault::Folded => Fault::BadChunk(ChunkFault::Trailer),
    }
}
