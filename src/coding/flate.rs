//! gzip (RFC 1952) and deflate (RFC 1950, or bare RFC 1951), by zlib-rs, in
//! both directions; most of it is the way in.
//!
//! ```text
//!              first bytes                end of stream
//!  Before ────────────────────► Inside ──────────────────► After (deflate)
//!                                 ▲ │ end of member
//!                       1f 8b ... │ ▼              other bytes
//!                               Between (gzip) ────────────────► After
//! ```
//!
//! "deflate" means the zlib format (RFC 9110, section 8.4.1.2), but some
//! servers send a bare deflate stream, and clients have always taken both. The
//! first two bytes tell which: a zlib header has method 8, a window of at most
//! 32 KiB and a check. A bare stream that looked like it would begin with a
//! stored block whose padding bits are not zero, which no compressor writes.
//!
//! A gzip body is one or more members (RFC 1952, section 2.2). What follows a
//! complete one and is not another, such as zero padding, is ignored, as
//! gzip(1) does: the data before it has been checked by its own checksum and
//! length. So is what follows a deflate stream.

use std::io::{self, Write};

use flate2::write::{GzEncoder, ZlibEncoder};
use flate2::{Compression, Decompress, DecompressError, FlushDecompress, Status};

use super::Step;
use super::encode::Encode;

/// The first two bytes of every gzip member.
const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The largest window that the formats allow, as a power of two; a smaller one
/// would fail on valid data.
const WINDOW_BITS: u8 = 15;

/// One gzip or deflate body.
#[derive(Debug)]
pub(super) struct Flate {
    format: Format,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Gzip,
    Deflate,
}

#[derive(Debug)]
enum State {
    /// At the start of the body, perhaps with its first byte. An inflater is
    /// made only when there is something for it.
    Before(Option<u8>),
    Inside(Stream),
    /// Behind a complete gzip member, perhaps with the first byte of another.
    Between(Option<u8>),
    After,
}

/// A stream being inflated.
#[derive(Debug)]
struct Stream {
    inflater: Decompress,
    /// The bytes that told what the stream is, still to be given to it.
    replay: [u8; 2],
    replayed: usize,
}

impl Stream {
    fn new(inflater: Decompress, replay: [u8; 2]) -> Self {
        Self {
            inflater,
            replay,
            replayed: 0,
        }
    }
}

impl Flate {
    pub(super) fn named(name: &[u8]) -> Option<Self> {
        // RFC 9110, section 8.4.1.3: x-gzip is gzip.
        let format = if name.eq_ignore_ascii_case(b"gzip") || name.eq_ignore_ascii_case(b"x-gzip") {
            Format::Gzip
        } else if name.eq_ignore_ascii_case(b"deflate") {
            Format::Deflate
        } else {
            return None;
        };
        Some(Self {
            format,
            state: State::Before(None),
        })
    }

    pub(super) fn name(&self) -> &'static str {
        match self.format {
            Format::Gzip => "gzip",
            Format::Deflate => "deflate",
        }
    }

    /// Whether the body may end here: as one of no bytes, or behind a stream.
    pub(super) fn complete(&self) -> bool {
        match self.state {
            State::Before(byte) => byte.is_none(),
            State::Inside(_) => false,
            State::Between(_) | State::After => true,
        }
    }

    /// Goes on until `input` is used up, `output` is full or data is wrong.
    pub(super) fn step(&mut self, input: &[u8], output: &mut [u8]) -> Step {
        let mut step = Step::default();
        loop {
            let rest = input.get(step.read..).unwrap_or_default();
            match &mut self.state {
                State::Before(first) => {
                    let Some(&byte) = rest.first() else {
                        return step;
                    };
                    step.read += 1;
                    match first {
                        None => *first = Some(byte),
                        Some(first) => {
                            let head = [*first, byte];
                            let inflater = match self.format {
                                Format::Gzip => Decompress::new_gzip(WINDOW_BITS),
                                Format::Deflate => Decompress::new(is_zlib(head)),
                            };
                            self.state = State::Inside(Stream::new(inflater, head));
                        }
                    }
                }
                State::Inside(stream) => {
                    let space = output.get_mut(step.written..).unwrap_or_default();
                    if space.is_empty() {
                        return step;
                    }
                    let (moved, result) = stream.inflate(rest, space);
                    step.read += moved.read;
                    step.written += moved.written;
                    match result {
                        Ok(Status::StreamEnd) => self.end_stream(),
                        // Not an end of input or output alone: the inflater
                        // may hold back data that now has space.
                        Ok(Status::Ok | Status::BufError) if moved.any() => {}
                        Ok(Status::Ok | Status::BufError) => return step,
                        Err(error) => {
                            step.damage = Some(describe(&error));
                            return step;
                        }
                    }
                }
                State::Between(first) => {
                    let Some(&byte) = rest.first() else {
                        return step;
                    };
                    step.read += 1;
                    self.state = match (*first, byte) {
                        // Padding, behind which another member may still come.
                        (None, 0) => continue,
                        (None, byte) if byte == MAGIC[0] => State::Between(Some(byte)),
                        (Some(_), byte) if byte == MAGIC[1] => {
                            let inflater = Decompress::new_gzip(WINDOW_BITS);
                            State::Inside(Stream::new(inflater, MAGIC))
                        }
                        _ => State::After,
                    };
                }
                State::After => {
                    step.read = input.len();
                    return step;
                }
            }
        }
    }

    fn end_stream(&mut self) {
        self.state = match self.format {
            Format::Gzip => State::Between(None),
            Format::Deflate => State::After,
        };
    }
}

/// How far one call of the inflater went.
#[derive(Clone, Copy, Debug)]
struct Moved {
    /// Bytes of the input proper, not of the replay.
    read: usize,
    written: usize,
    replayed: bool,
}

impl Moved {
    fn any(self) -> bool {
        self.read > 0 || self.written > 0 || self.replayed
    }
}

impl Stream {
    /// Inflates the bytes to replay, or else `input`.
    fn inflate(
        &mut self,
        input: &[u8],
        output: &mut [u8],
    ) -> (Moved, Result<Status, DecompressError>) {
        let replay = self.replay.get(self.replayed..).unwrap_or_default();
        let replaying = !replay.is_empty();
        let source = if replaying { replay } else { input };

        // Counted by totals, which hold on failure too: what was inflated
        // before the damage is delivered.
        let before = (self.inflater.total_in(), self.inflater.total_out());
        let result = self
            .inflater
            .decompress(source, output, FlushDecompress::None);
        let read = (self.inflater.total_in() - before.0) as usize;
        let written = (self.inflater.total_out() - before.1) as usize;

        let mut moved = Moved {
            read: 0,
            written,
            replayed: false,
        };
        if replaying {
            self.replayed += read;
            moved.replayed = read > 0;
        } else {
            moved.read = read;
        }
        (moved, result)
    }
}

/// Whether two bytes are a zlib header (RFC 1950, section 2.2).
fn is_zlib([cmf, flg]: [u8; 2]) -> bool {
    cmf & 0x0f == 8 && cmf >> 4 <= 7 && u16::from_be_bytes([cmf, flg]) % 31 == 0
}

fn describe(error: &DecompressError) -> String {
    if error.needs_dictionary().is_some() {
        return "it needs a preset dictionary".to_owned();
    }
    error.message().unwrap_or("invalid data").to_owned()
}

/// Encodes one body as deflate.
pub(super) fn zlib_encoder() -> ZlibEncoder<Vec<u8>> {
    ZlibEncoder::new(Vec::new(), Compression::default())
}

/// Encodes one body as gzip.
pub(super) fn gzip_encoder() -> GzEncoder<Vec<u8>> {
    GzEncoder::new(Vec::new(), Compression::default())
}

impl Encode for ZlibEncoder<Vec<u8>> {
    fn encode(&mut self, input: &[u8]) -> io::Result<Vec<u8>> {
        self.write_all(input)?;
        Ok(std::mem::take(self.get_mut()))
    }

    fn finish(self: Box<Self>) -> io::Result<Vec<u8>> {
        Self::finish(*self)
    }
}

impl Encode for GzEncoder<Vec<u8>> {
    fn encode(&mut self, input: &[u8]) -> io::Result<Vec<u8>> {
        self.write_all(input)?;
        Ok(std::mem::take(self.get_mut()))
    }

    fn finish(self: Box<Self>) -> io::Result<Vec<u8>> {
        Self::finish(*self)
    }
}
