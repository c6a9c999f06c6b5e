//! Content codings: from the bytes of a body as received to the bytes meant
//! (SPEC R39, S14).
//!
//! A [`Decoder`] is a pipeline, one stage for each coding, the one applied
//! last by the server first. Between two stages stands a buffer of fixed size:
//!
//! ```text
//!  input ─► stage 0 ─► buffer ─► stage 1 ─► buffer ─► … ─► output
//!         (last named)                     (first named)
//! ```
//!
//! It is pulled: [`Decoder::decode`] runs on the thread that reads the body,
//! into that thread's buffer, and makes no more than fits. Nothing is sized by
//! what a peer announces. The stages are pure; all limits stand here.
//!
//! - The ratio limit (SPEC R40) counts the output of *every* stage against the
//!   bytes received, for a stack can expand inside and still deliver little.
//!   That also bounds the work of one call.
//! - A fault comes after the data before it: what the earlier bytes meant is
//!   delivered first, then each further call gives the fault.

#[cfg(not(all(feature = "gzip", feature = "brotli", feature = "zstd")))]
mod absent;
#[cfg(feature = "brotli")]
mod brotli;
pub(crate) mod encode;
#[cfg(feature = "gzip")]
mod flate;
#[cfg(feature = "websocket")]
pub(crate) mod ws;
#[cfg(feature = "zstd")]
mod zstd;

#[cfg(test)]
mod tests;

use std::error::Error;
use std::fmt;

use bytes::{Buf, Bytes};

#[cfg(not(feature = "brotli"))]
use self::absent::Absent as Brotli;
#[cfg(not(feature = "gzip"))]
use self::absent::Absent as Flate;
#[cfg(not(feature = "zstd"))]
use self::absent::Absent as Zstd;
#[cfg(feature = "brotli")]
use self::brotli::Brotli;
#[cfg(feature = "gzip")]
use self::flate::Flate;
#[cfg(feature = "zstd")]
use self::zstd::Zstd;

/// More codings on one body than anybody has a use for.
const MAX_CODINGS: usize = 8;

/// The size of the buffer between two stages.
const BETWEEN: usize = 8 * 1024;

/// How far a body may expand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Decoded bytes for each byte received; 0 sets no limit.
    pub(crate) max_ratio: u64,
    /// Decoded bytes that are free, since a short body of few symbols
    /// compresses without bound.
    pub(crate) ratio_floor: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_ratio: 1000,
            ratio_floor: 1024 * 1024,
        }
    }
}

/// Decodes one body.
#[derive(Debug)]
pub(crate) struct Decoder {
    /// In the order in which bytes pass; never empty.
    stages: Vec<Stage>,
    limits: Limits,
    /// Bytes that the first stage has taken in.
    received: u64,
    /// The stage that met a fault. It and those before it do no more, while
    /// those behind it still deliver what they have.
    fault: Option<(usize, CodingFault)>,
}

impl Decoder {
    /// The decoder for a body with these `Content-Encoding` values, in order.
    ///
    /// `None` if there is nothing to decode, or if any of the codings is not
    /// known: then the body is handed on untouched (SPEC R39), since undoing
    /// half of a stack helps nobody.
    pub(crate) fn new<'a>(
        content_encoding: impl Iterator<Item = &'a [u8]>,
        limits: Limits,
    ) -> Result<Option<Self>, CodingFault> {
        if Self::accept_encoding().is_empty() {
            return Ok(None);
        }
        let mut stages = Vec::new();
        let mut too_many = false;
        for name in content_encoding.flat_map(|value| value.split(|byte| *byte == b',')) {
            let name = name.trim_ascii();
            // RFC 9110, section 5.6.1: empty list elements do not count.
            if name.is_empty() || name.eq_ignore_ascii_case(b"identity") {
                continue;
            }
            let codec = Codec::named(name);
            if codec.is_none() {
                return Ok(None);
            }
            if stages.len() < MAX_CODINGS {
                stages.extend(codec.map(Stage::new));
            } else {
                // Not yet a fault: an unknown name may follow.
                too_many = true;
            }
        }
        if too_many {
            return Err(CodingFault::TooManyCodings);
        }
        // RFC 9110, section 8.4: listed in the order they were applied.
        stages.reverse();
        Ok((!stages.is_empty()).then_some(Self {
            stages,
            limits,
            received: 0,
            fault: None,
        }))
    }

    /// The `Accept-Encoding` for the codings compiled in; empty if none is
    /// (SPEC H3).
    pub(crate) fn accept_encoding() -> &'static str {
        let gzip = cfg!(feature = "gzip");
        match (gzip, cfg!(feature = "brotli"), cfg!(feature = "zstd")) {
            (false, false, false) => "",
            (false, false, true) => "zstd",
            (false, true, false) => "br",
            (false, true, true) => "br, zstd",
            (true, false, false) => "gzip, deflate",
            (true, false, true) => "gzip, deflate, zstd",
            (true, true, false) => "gzip, deflate, br",
            (true, true, true) => "gzip, deflate, br, zstd",
        }
    }

    /// Takes bytes from `input` and fills `output`; how many bytes it wrote.
    /// 0 for a non-empty `output` means that `input` is used up and more of it
    /// is needed. Call on until then, for one input can give many outputs, and
    /// before [`finish`](Self::finish) in any case, for a checksum can be all
    /// that is left of the input.
    pub(crate) fn decode(
        &mut self,
        input: &mut Bytes,
        output: &mut [u8],
    ) -> Result<usize, CodingFault> {
        if output.is_empty() {
            return Ok(0);
        }
        loop {
            let (moved, written) = self.pass(input, output);
            if written > 0 {
                return Ok(written);
            }
            if moved == 0 {
                return match &self.fault {
                    Some((_, fault)) => Err(fault.clone()),
                    None => Ok(0),
                };
            }
        }
    }

    /// After the last input: call until it gives 0, which is the proper end.
    /// A body of no bytes at all is complete (a reply to HEAD, or a 304, may
    /// name a coding); any other has to end where its coding says.
    pub(crate) fn finish(&mut self, output: &mut [u8]) -> Result<usize, CodingFault> {
        let written = self.decode(&mut Bytes::new(), output)?;
        if written > 0 || output.is_empty() {
            return Ok(written);
        }
        match self.stages.iter().find(|stage| !stage.codec.complete()) {
            Some(stage) => Err(CodingFault::Truncated {
                coding: stage.codec.name(),
            }),
            None => Ok(0),
        }
    }

    /// Runs each stage once, from the first on; how many bytes went in or out
    /// of any, and how many came out of the last.
    fn pass(&mut self, input: &mut Bytes, output: &mut [u8]) -> (usize, usize) {
        let first = match &self.fault {
            Some((stage, _)) => stage + 1,
            None => 0,
        };
        let count = self.stages.len();
        let mut moved = 0;
        let mut written = 0;
        for at in first..count {
            let (before, rest) = self.stages.split_at_mut(at);
            let Some((stage, _)) = rest.split_first_mut() else {
                break;
            };
            let Stage {
                codec,
                produced,
                buffer,
            } = stage;
            let last = at + 1 == count;
            let target = if last { &mut *output } else { buffer.space() };
            // A stage without space would find no end of its stream either.
            if target.is_empty() {
                continue;
            }
            let source: &[u8] = match before.last() {
                Some(previous) => previous.buffer.data(),
                None => input,
            };
            let Step {
                read,
                written: wrote,
                damage,
            } = codec.step(source, target);

            match before.last_mut() {
                Some(previous) => previous.buffer.consume(read),
                None => {
                    input.advance(read.min(input.len()));
                    self.received += read as u64;
                }
            }
            if last {
                written = wrote;
            } else {
                buffer.fill(wrote);
            }
            moved += read + wrote;
            *produced += wrote as u64;

            if let Some(message) = damage {
                let coding = codec.name();
                self.fault = Some((at, CodingFault::Corrupt { coding, message }));
            }
            if self.limits.exceeded(*produced, self.received) {
                // Nothing more, from any stage.
                let limit = self.limits.max_ratio;
                self.fault = Some((count, CodingFault::Ratio { limit }));
                break;
            }
        }
        (moved, written)
    }
}

impl Limits {
    fn exceeded(&self, produced: u64, received: u64) -> bool {
        self.max_ratio != 0
            && produced > self.ratio_floor
            && produced > received.saturating_mul(self.max_ratio)
    }
}

/// One coding and what it has decoded but not handed on.
#[derive(Debug)]
struct Stage {
    codec: Codec,
    /// Bytes decoded by it so far.
    produced: u64,
    /// Not used by the last stage.
    buffer: Between,
}

impl Stage {
    fn new(codec: Codec) -> Self {
        Self {
            codec,
            produced: 0,
            buffer: Between::default(),
        }
    }
}

/// A buffer between two stages: filled when empty, then drained.
#[derive(Debug, Default)]
struct Between {
    /// Allocated at first use.
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Between {
    fn data(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }

    /// Where to write; empty while there is data, so that nothing is ever
    /// moved to make space.
    fn space(&mut self) -> &mut [u8] {
        if self.start < self.end {
            return &mut [];
        }
        self.bytes.resize(BETWEEN, 0);
        &mut self.bytes
    }

    /// `written` bytes were put at the start of [`space`](Self::space).
    fn fill(&mut self, written: usize) {
        self.start = 0;
        self.end = written;
    }

    fn consume(&mut self, read: usize) {
        self.start += read;
    }
}

/// A coding at work. Further codings join as further members.
#[derive(Debug)]
enum Codec {
    Flate(Flate),
    Brotli(Brotli),
    Zstd(Zstd),
}

impl Codec {
    /// By a name of the IANA registry, in any case.
    fn named(name: &[u8]) -> Option<Self> {
        let flate = Flate::named(name).map(Self::Flate);
        flate
            .or_else(|| Brotli::named(name).map(Self::Brotli))
            .or_else(|| Zstd::named(name).map(Self::Zstd))
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Flate(flate) => flate.name(),
            Self::Brotli(brotli) => brotli.name(),
            Self::Zstd(zstd) => zstd.name(),
        }
    }

    /// Decodes some of `input` into `output`, which is not empty. A step that
    /// neither reads, writes nor fails needs more input.
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Step {
        match self {
            Self::Flate(flate) => flate.step(input, output),
            Self::Brotli(brotli) => brotli.step(input, output),
            Self::Zstd(zstd) => zstd.step(input, output),
        }
    }

    /// Whether the input may end here.
    fn complete(&self) -> bool {
        match self {
            Self::Flate(flate) => flate.complete(),
            Self::Brotli(brotli) => brotli.complete(),
            Self::Zstd(zstd) => zstd.complete(),
        }
    }
}

/// What one step of a codec did.
#[derive(Debug, Default)]
struct Step {
    read: usize,
    written: usize,
    /// What is wrong with the input behind that; the codec is not used again.
    damage: Option<String>,
}

/// Why a body cannot be decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CodingFault {
    /// The bytes are not of the coding, or a checksum is wrong.
    Corrupt {
        coding: &'static str,
        message: String,
    },
    /// The body ends before its coding does.
    Truncated { coding: &'static str },
    /// The body expands more than `limit` times (SPEC R40).
    Ratio { limit: u64 },
    /// The header names more codings than are undone.
    TooManyCodings,
}

impl fmt::Display for CodingFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Corrupt { coding, message } => write!(f, "corrupt {coding} body: {message}"),
            Self::Truncated { coding } => write!(f, "the {coding} body is cut short"),
            Self::Ratio { limit } => write!(f, "the body expands more than {limit} times"),
            Self::TooManyCodings => {
                write!(f, "the body has more than {MAX_CODINGS} content codings")
            }
        }
    }
}

impl Error for CodingFault {}
