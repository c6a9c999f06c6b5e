//! Bodies as iterators (SPEC R34).

use std::fmt;

use bytes::Bytes;

use super::BodyReader;
use crate::error::Error;

/// The lines of a body; made by [`Response::lines`](crate::Response::lines).
/// Each is what [`BodyReader::line`] gives. After an error there are no more.
pub struct Lines {
    reader: Option<BodyReader>,
}

impl Lines {
    pub(in crate::api) fn new(reader: BodyReader) -> Self {
        Self {
            reader: Some(reader),
        }
    }

    /// The longest line that is accepted, its end included; 1 MiB by default.
    /// A longer one is an error of kind [`Limit`](crate::Kind::Limit).
    #[must_use]
    pub fn max_line_length(self, bytes: usize) -> Self {
        let reader = self.reader.map(|reader| reader.max_line_length(bytes));
        Self { reader }
    }
}

impl Iterator for Lines {
    type Item = Result<Bytes, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        next(&mut self.reader, BodyReader::line)
    }
}

impl std::iter::FusedIterator for Lines {}

/// The body piece by piece; made by
/// [`Response::chunks`](crate::Response::chunks) and
/// [`Response::chunks_of`](crate::Response::chunks_of). After an error there are
/// no more.
pub struct Chunks {
    reader: Option<BodyReader>,
    /// `None`: as they come.
    size: Option<usize>,
}

impl Chunks {
    pub(in crate::api) fn new(reader: BodyReader, size: Option<usize>) -> Self {
        Self {
            reader: Some(reader),
            size,
        }
    }
}

impl Iterator for Chunks {
    type Item = Result<Bytes, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let size = self.size;
        next(&mut self.reader, |reader| match size {
            None => reader.chunk(),
            Some(0) => Err(Error::invalid_request("a body has no pieces of no bytes")),
            Some(size) => {
                let piece = reader.at_most(size)?;
                Ok(Some(piece).filter(|piece| !piece.is_empty()))
            }
        })
    }
}

impl std::iter::FusedIterator for Chunks {}

/// The next item, and the reader dropped behind the last or an error.
fn next(
    reader: &mut Option<BodyReader>,
    read: impl FnOnce(&mut BodyReader) -> Result<Option<Bytes>, Error>,
) -> Option<Result<Bytes, Error>> {
    let next = read(reader.as_mut()?).transpose();
    if !matches!(next, Some(Ok(_))) {
        *reader = None;
    }
    next
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lines").finish_non_exhaustive()
    }
}

impl fmt::Debug for Chunks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chunks")
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}
