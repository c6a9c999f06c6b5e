//! Kinds of sources: what can be opened again and again, what can be read once,
//! several one behind the other, and one seen through another.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};

use super::produce::{self, Foreign};
use crate::call::{Content, Opening, Pull, RequestBody, Source, Spent};
use crate::job::Begin;

/// What is read at a time.
const READ: usize = 64 * 1024;

/// A source opened anew for each reading.
pub(super) fn opener(
    open: impl Fn() -> io::Result<Box<dyn Read + Send>> + Send + Sync + 'static,
    length: Option<u64>,
) -> Content {
    let open = Arc::new(open);
    Content::Source(Arc::new(Opener { open, length }))
}

/// A source that can be read once.
pub(super) fn once(pull: Box<dyn Pull>, length: Option<u64>) -> Content {
    let pull = Mutex::new(Some(Foreign::new(pull)));
    Content::Source(Arc::new(Once { pull, length }))
}

/// Several, one behind the other.
pub(crate) fn joined(parts: Vec<Content>) -> Content {
    let length = parts.iter().try_fold(0_u64, |sum, part| {
        let length = part.length()?;
        sum.checked_add(length)
    });
    Content::Source(Arc::new(Joined { parts, length }))
}

struct Opener<F> {
    open: Arc<F>,
    length: Option<u64>,
}

impl<F> Source for Opener<F>
where
    F: Fn() -> io::Result<Box<dyn Read + Send>> + Send + Sync + 'static,
{
    fn length(&self) -> Option<u64> {
        self.length
    }

    fn is_replayable(&self) -> bool {
        true
    }

    fn is_spent(&self) -> bool {
        false
    }

    fn open(&self) -> Result<Opening, Spent> {
        let open = Arc::clone(&self.open);
        Ok(Box::new(move || Ok(Box::new(ReadPieces::new(open()?)))))
    }

    fn begin(self: Arc<Self>) -> Begin {
        Box::new(move || produce::begin(self.open(), self.length))
    }
}

struct Once {
    pull: Mutex<Option<Foreign<Box<dyn Pull>>>>,
    length: Option<u64>,
}

impl Source for Once {
    fn length(&self) -> Option<u64> {
        self.length
    }

    fn is_replayable(&self) -> bool {
        false
    }

    fn is_spent(&self) -> bool {
        let pull = self.pull.lock().unwrap_or_else(PoisonError::into_inner);
        pull.is_none()
    }

    fn open(&self) -> Result<Opening, Spent> {
        let mut pull = self.pull.lock().unwrap_or_else(PoisonError::into_inner);
        let mut pull = pull.take().ok_or(Spent)?;
        Ok(Box::new(move || {
            let spent = || produce::wrapped(Spent.into());
            pull.take().ok_or_else(spent)
        }))
    }

    fn begin(self: Arc<Self>) -> Begin {
        Box::new(move || produce::begin(self.open(), self.length))
    }
}

struct Joined {
    parts: Vec<Content>,
    length: Option<u64>,
}

impl Joined {
    fn sources(&self) -> impl Iterator<Item = &Arc<dyn Source>> {
        self.parts.iter().filter_map(|part| match part {
            Content::Memory(_) => None,
            Content::Source(source) => Some(source),
        })
    }
}

impl Source for Joined {
    fn length(&self) -> Option<u64> {
        self.length
    }

    fn is_replayable(&self) -> bool {
        self.sources().all(|source| source.is_replayable())
    }

    fn is_spent(&self) -> bool {
        self.sources().any(|source| source.is_spent())
    }

    fn open(&self) -> Result<Opening, Spent> {
        let parts: Result<VecDeque<_>, _> = self.parts.iter().map(Content::open).collect();
        let parts = parts?;
        let lengths = self.parts.iter().map(Content::length).collect();
        Ok(Box::new(move || {
            Ok(Box::new(InTurn {
                parts,
                lengths,
                current: None,
            }))
        }))
    }

    fn begin(self: Arc<Self>) -> Begin {
        Box::new(move || produce::begin(self.open(), self.length))
    }
}

/// Reads one part after the other, each opened when its turn comes and closed
/// after it.
struct InTurn {
    parts: VecDeque<Opening>,
    lengths: VecDeque<Option<u64>>,
    current: Option<Part>,
}

struct Part {
    pull: Box<dyn Pull>,
    /// What it still owes of the length that was announced for it.
    left: Option<u64>,
}

impl Pull for InTurn {
    fn next(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            if let Some(part) = &mut self.current {
                let piece = part.pull.next()?;
                // One part's surplus must not pass for another's want.
                let length = piece.as_ref().map_or(0, |piece| piece.len() as u64);
                if let Some(left) = &mut part.left {
                    let rest = left.checked_sub(length);
                    let ended = piece.is_none();
                    *left = rest
                        .filter(|rest| !ended || *rest == 0)
                        .ok_or_else(produce::wrong_part)?;
                }
                if piece.is_some() {
                    return Ok(piece);
                }
                self.current = None;
            }
            let Some(open) = self.parts.pop_front() else {
                return Ok(None);
            };
            self.current = Some(Part {
                pull: open()?,
                left: self.lengths.pop_front().flatten(),
            });
        }
    }
}

/// Sees the pieces of one reading through others.
pub(super) type Wrap = Arc<dyn Fn(Box<dyn Pull>) -> Box<dyn Pull> + Send + Sync>;

/// Another body, seen through a wrapper.
struct Mapped {
    inner: RequestBody,
    length: Option<u64>,
    wrap: Wrap,
}

impl Source for Mapped {
    fn length(&self) -> Option<u64> {
        self.length
    }

    fn is_replayable(&self) -> bool {
        self.inner.is_replayable()
    }

    fn is_spent(&self) -> bool {
        self.inner.is_spent()
    }

    fn open(&self) -> Result<Opening, Spent> {
        let opening = self.inner.content().open()?;
        let wrap = Arc::clone(&self.wrap);
        Ok(Box::new(move || Ok(wrap(opening()?))))
    }

    fn begin(self: Arc<Self>) -> Begin {
        Box::new(move || produce::begin(self.open(), self.length))
    }
}

/// `body` read through what `wrap` makes of each reading, on the thread that
/// reads it. It is as replayable as before, and of the same type.
pub(crate) fn map(body: RequestBody, length: Option<u64>, wrap: Wrap) -> RequestBody {
    let content_type = body.content_type().cloned();
    let inner = body;
    let mapped = Mapped {
        inner,
        length,
        wrap,
    };
    RequestBody::new(Content::Source(Arc::new(mapped)), content_type)
}

/// A reader, in pieces.
pub(super) struct ReadPieces<R> {
    reader: R,
    /// Cleared memory that has not been read into.
    free: BytesMut,
}

impl<R: Read> ReadPieces<R> {
    pub(super) fn new(reader: R) -> Self {
        Self {
            reader,
            free: BytesMut::new(),
        }
    }
}

impl<R: Read + Send> Pull for ReadPieces<R> {
    fn next(&mut self) -> io::Result<Option<Bytes>> {
        if self.free.len() < READ / 8 {
            self.free = BytesMut::zeroed(READ);
        }
        loop {
            match self.reader.read(&mut self.free) {
                Ok(0) => return Ok(None),
                Ok(n) if n > self.free.len() => {
                    let message = "a reader says that it has read more than there was room for";
                    return Err(io::Error::other(message));
                }
                Ok(n) => return Ok(Some(self.free.split_to(n).freeze())),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}
