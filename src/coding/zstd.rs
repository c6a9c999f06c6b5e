//! zstd (RFC 8878), by the crate `zstd-safe`, in both directions.
//!
//! The decoder refuses a frame whose window is larger than the 8 MiB that are
//! allowed in HTTP (RFC 9659), before it allocates anything, and one that needs
//! a dictionary. A body is one frame or more, skippable ones among them; what
//! follows one and is not another is damage.
//!
//! zstd-safe binds the reference implementation, which is C. Of the decoders in
//! Rust, `ruzstd` holds back as many bytes as the window has until the frame
//! ends: an event in a stream would come megabytes later, and not when it was
//! sent.

use std::fmt;
use std::io;

use zstd_safe::zstd_sys::ZSTD_EndDirective;
use zstd_safe::{CCtx, CParameter, DCtx, DParameter, InBuffer, OutBuffer, get_error_name};

use super::Step;
use super::encode::Encode;

/// RFC 9659, section 3: 8 MiB, as a power of two.
const MAX_WINDOW: u32 = 23;

/// The size of a block header (RFC 8878, section 3.1.1.2).
const BLOCK_HEADER: usize = 3;

/// The reference implementation's own default.
const LEVEL: i32 = 3;

/// One zstd body.
#[derive(Default)]
pub(super) struct Zstd {
    /// Made when the first bytes come.
    decoder: Option<DCtx<'static>>,
    /// How much the decoder is given next. It gives nothing of what it made in
    /// the call in which it meets damage, so a block and the header behind it
    /// come in calls of their own.
    next: usize,
    /// There is nothing to hand out without more input. It is not asked then:
    /// many vain calls are an error.
    hungry: bool,
    inside: bool,
}

impl Zstd {
    pub(super) fn named(name: &[u8]) -> Option<Self> {
        name.eq_ignore_ascii_case(b"zstd").then(Self::default)
    }

    pub(super) fn name(&self) -> &'static str {
        "zstd"
    }

    /// Whether the body may end here: as one of no bytes, or behind a frame.
    pub(super) fn complete(&self) -> bool {
        !self.inside
    }

    /// Goes on until `input` is used up, `output` is full or data is wrong.
    pub(super) fn step(&mut self, input: &[u8], output: &mut [u8]) -> Step {
        let mut step = Step::default();
        loop {
            let rest = input.get(step.read..).unwrap_or_default();
            let space = output.get_mut(step.written..).unwrap_or_default();
            let Some(decoder) = &mut self.decoder else {
                if rest.is_empty() {
                    return step;
                }
                match decoder() {
                    Ok(decoder) => self.decoder = Some(decoder),
                    Err(damage) => {
                        step.damage = Some(damage);
                        return step;
                    }
                }
                continue;
            };
            if space.is_empty() || (rest.is_empty() && self.hungry) {
                return step;
            }
            let slice = rest.get(..self.next.max(1)).unwrap_or(rest);
            let room = space.len();
            let mut source = InBuffer::around(slice);
            let mut target = OutBuffer::around(space);
            let result = decoder.decompress_stream(&mut target, &mut source);
            let (read, written) = (source.pos(), target.pos());
            step.read += read;
            step.written += written;
            match result {
                Ok(hint) => {
                    self.next = hint.saturating_sub(BLOCK_HEADER);
                    self.inside = hint != 0;
                    // Behind a frame it would take a call for the next one's start.
                    self.hungry = written < room || hint == 0;
                }
                Err(code) => {
                    step.damage = Some(get_error_name(code).to_owned());
                    return step;
                }
            }
            if read == 0 && written == 0 {
                return step;
            }
        }
    }
}

fn decoder() -> Result<DCtx<'static>, String> {
    let mut decoder = DCtx::try_create().ok_or("there is no memory for the decoder")?;
    let limited = decoder.set_parameter(DParameter::WindowLogMax(MAX_WINDOW));
    limited.map_err(|code| get_error_name(code).to_owned())?;
    Ok(decoder)
}

impl fmt::Debug for Zstd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Zstd")
            .field("inside", &self.inside)
            .finish_non_exhaustive()
    }
}

/// Encodes one body, as one frame with a checksum.
pub(super) struct Encoder(CCtx<'static>);

impl Encoder {
    pub(super) fn new() -> io::Result<Self> {
        let mut encoder = CCtx::try_create().ok_or(io::ErrorKind::OutOfMemory)?;
        for parameter in [
            CParameter::CompressionLevel(LEVEL),
            CParameter::ChecksumFlag(true),
        ] {
            encoder.set_parameter(parameter).map_err(failed)?;
        }
        Ok(Self(encoder))
    }

    fn run(&mut self, input: &[u8], directive: ZSTD_EndDirective) -> io::Result<Vec<u8>> {
        let ends = directive == ZSTD_EndDirective::ZSTD_e_end;
        let mut all = Vec::new();
        let mut piece = vec![0; CCtx::out_size()];
        let mut source = InBuffer::around(input);
        loop {
            let mut target = OutBuffer::around(&mut piece[..]);
            let left = self.0.compress_stream2(&mut target, &mut source, directive);
            let left = left.map_err(failed)?;
            all.extend_from_slice(target.as_slice());
            if source.pos() == input.len() && (!ends || left == 0) {
                return Ok(all);
            }
        }
    }
}

impl Encode for Encoder {
    fn encode(&mut self, input: &[u8]) -> io::Result<Vec<u8>> {
        self.run(input, ZSTD_EndDirective::ZSTD_e_continue)
    }

    fn finish(mut self: Box<Self>) -> io::Result<Vec<u8>> {
        self.run(&[], ZSTD_EndDirective::ZSTD_e_end)
    }
}

fn failed(code: usize) -> io::Error {
    io::Error::other(get_error_name(code))
}
