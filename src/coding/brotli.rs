//! br (RFC 7932), by the crate `brotli`, in both directions.
//!
//! The decoder refuses the "large window" extension, which is not part of the
//! coding: so its window is at most 16 MiB, whatever a peer announces. What
//! follows the end of a stream is ignored, as behind a deflate stream.

use std::fmt;
use std::io::{self, Write};

use ::brotli::enc::StandardAlloc;
use ::brotli::{BrotliDecompressStream, BrotliResult, BrotliState, CompressorWriter};

use super::Step;
use super::encode::{Encode, STEP};

/// The decoder is given no more than this at a time: what it made of the bytes
/// of one call before it met damage in them it does not hand out.
const SLICE: usize = 512;

/// Between the fastest and the smallest, as servers choose for what they
/// compress on the way.
const QUALITY: u32 = 5;

/// As a power of two: 4 MiB.
const ENCODER_WINDOW: u32 = 22;

/// One br body.
pub(super) struct Brotli {
    state: State,
}

enum State {
    /// Nothing has come, and nothing was allocated.
    Before,
    Inside(Box<Decoder>),
    After,
}

type Decoder = BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>;

impl Brotli {
    pub(super) fn named(name: &[u8]) -> Option<Self> {
        name.eq_ignore_ascii_case(b"br").then_some(Self {
            state: State::Before,
        })
    }

    pub(super) fn name(&self) -> &'static str {
        "br"
    }

    /// Whether the body may end here: as one of no bytes, or behind a stream.
    pub(super) fn complete(&self) -> bool {
        !matches!(self.state, State::Inside(_))
    }

    /// Goes on until `input` is used up, `output` is full or data is wrong.
    pub(super) fn step(&mut self, input: &[u8], output: &mut [u8]) -> Step {
        let mut step = Step::default();
        loop {
            let rest = input.get(step.read..).unwrap_or_default();
            let decoder = match &mut self.state {
                State::Before if rest.is_empty() => return step,
                State::Before => {
                    let memory = StandardAlloc::default;
                    let decoder = Decoder::new_strict(memory(), memory(), memory());
                    self.state = State::Inside(Box::new(decoder));
                    continue;
                }
                State::Inside(decoder) => decoder,
                State::After => {
                    step.read = input.len();
                    return step;
                }
            };
            let slice = rest.get(..SLICE).unwrap_or(rest);
            let space = output.get_mut(step.written..).unwrap_or_default();
            let (mut left, mut read) = (slice.len(), 0);
            let (mut room, mut written) = (space.len(), 0);
            // All that came out of it so far; not needed here.
            let mut total = 0;
            let result = BrotliDecompressStream(
                &mut left,
                &mut read,
                slice,
                &mut room,
                &mut written,
                space,
                &mut total,
                decoder,
            );
            step.read += read;
            step.written += written;
            match result {
                BrotliResult::ResultSuccess => self.state = State::After,
                BrotliResult::NeedsMoreOutput => return step,
                BrotliResult::NeedsMoreInput => {
                    if step.read == input.len() || read == 0 {
                        return step;
                    }
                }
                BrotliResult::ResultFailure => {
                    step.damage = Some("invalid data".to_owned());
                    return step;
                }
            }
        }
    }
}

impl fmt::Debug for Brotli {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.state {
            State::Before => "Brotli(before)",
            State::Inside(_) => "Brotli(inside)",
            State::After => "Brotli(after)",
        })
    }
}

/// Encodes one body.
pub(super) struct Encoder(CompressorWriter<Vec<u8>>);

impl Encoder {
    pub(super) fn new() -> Self {
        Self(CompressorWriter::new(
            Vec::new(),
            STEP,
            QUALITY,
            ENCODER_WINDOW,
        ))
    }
}

impl Encode for Encoder {
    fn encode(&mut self, input: &[u8]) -> io::Result<Vec<u8>> {
        self.0.write_all(input)?;
        Ok(std::mem::take(self.0.get_mut()))
    }

    fn finish(self: Box<Self>) -> io::Result<Vec<u8>> {
        Ok(self.0.into_inner())
    }
}
