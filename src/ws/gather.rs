//! The parts of a message that comes in many, put together in the end.

use std::mem;

use bytes::Bytes;

use super::Utf8Bytes;

/// Parts from this size on are kept as they came: they are slices of what was read at
/// once, some 32 KiB, and hold no more than a few times their own size. Smaller ones
/// are copied together, lest a fragment of one byte hold a whole read.
const LARGE: usize = 8 * 1024;

/// Where small parts are copied to grows no further.
const TOGETHER: usize = 64 * 1024;

/// What a message is made of.
pub(super) trait Part: Sized {
    /// Where parts are copied to.
    type Whole: Default + AsRef<[u8]>;

    fn len(&self) -> usize;

    fn with_capacity(length: usize) -> Self::Whole;

    fn append(&self, whole: &mut Self::Whole);

    fn from_whole(whole: Self::Whole) -> Self;
}

impl Part for Bytes {
    type Whole = Vec<u8>;

    fn len(&self) -> usize {
        self.len()
    }

    fn with_capacity(length: usize) -> Vec<u8> {
        Vec::with_capacity(length)
    }

    fn append(&self, whole: &mut Vec<u8>) {
        whole.extend_from_slice(self);
    }

    fn from_whole(whole: Vec<u8>) -> Self {
        whole.into()
    }
}

impl Part for Utf8Bytes {
    type Whole = String;

    fn len(&self) -> usize {
        self.as_str().len()
    }

    fn with_capacity(length: usize) -> String {
        String::with_capacity(length)
    }

    fn append(&self, whole: &mut String) {
        whole.push_str(self);
    }

    fn from_whole(whole: String) -> Self {
        whole.into()
    }
}

/// Parts so far. Nothing is sized by what the peer announces.
#[derive(Debug)]
pub(super) struct Gather<P: Part> {
    parts: Vec<P>,
    /// Small ones behind those.
    together: P::Whole,
    length: usize,
}

impl<P: Part> Default for Gather<P> {
    fn default() -> Self {
        Self {
            parts: Vec::new(),
            together: P::Whole::default(),
            length: 0,
        }
    }
}

impl<P: Part> Gather<P> {
    pub(super) fn push(&mut self, part: P) {
        self.length += part.len();
        let together = self.together.as_ref().len();
        let is_large = part.len() >= LARGE;
        if together > 0 && (is_large || together + part.len() > TOGETHER) {
            self.parts
                .push(P::from_whole(mem::take(&mut self.together)));
        }
        if is_large {
            self.parts.push(part);
        } else {
            part.append(&mut self.together);
        }
    }

    /// One part is what it was; of many there is one copy.
    pub(super) fn finish(mut self) -> P {
        if self.parts.is_empty() {
            return P::from_whole(self.together);
        }
        if self.parts.len() == 1
            && self.together.as_ref().is_empty()
            && let Some(part) = self.parts.pop()
        {
            return part;
        }
        let mut whole = P::with_capacity(self.length);
        for part in self.parts {
            part.append(&mut whole);
        }
        P::from_whole(self.together).append(&mut whole);
        P::from_whole(whole)
    }
}
