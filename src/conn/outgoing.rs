//! What waits to be written: the encoded head and small pieces copied behind
//! it, then larger pieces of the body as they were handed over, uncopied.

use std::collections::VecDeque;
use std::fmt;
use std::io::IoSlice;

use bytes::{Buf, Bytes};

/// A body up to this size is copied behind the head, so that both leave in one
/// segment and, under TLS, in one record.
const COPY: usize = 4 * 1024;

/// Small pieces are put together up to about this.
#[cfg(feature = "websocket")]
const TOGETHER: usize = 64 * 1024;

/// What an idle connection keeps to encode the next head in.
const USUAL_HEAD: usize = 512;

/// Slices given to one write. More seldom helps, and the array lives on the stack.
const SLICES: usize = 16;

/// And where more wait: small messages, each with its frame.
const MANY_SLICES: usize = 128;

#[derive(Default)]
pub(crate) struct Outgoing {
    head: Vec<u8>,
    written: usize,
    body: VecDeque<Bytes>,
}

impl Outgoing {
    /// Where a head is encoded. Only while no body waits.
    pub(crate) fn head(&mut self) -> &mut Vec<u8> {
        debug_assert!(self.body.is_empty(), "a head belongs before its body");
        &mut self.head
    }

    /// Where body pieces are queued.
    pub(crate) fn body(&mut self) -> &mut VecDeque<Bytes> {
        &mut self.body
    }

    /// Joins small pieces to the head.
    pub(crate) fn coalesce(&mut self) {
        while let Some(piece) = self.body.front() {
            if piece.len() > COPY || self.head.len() + piece.len() > 2 * COPY {
                break;
            }
            self.head.extend_from_slice(piece);
            self.body.pop_front();
        }
    }

    /// Queues a piece behind all others. Small ones are put together.
    #[cfg(feature = "websocket")]
    pub(crate) fn append(&mut self, piece: Bytes) {
        if self.body.is_empty() && piece.len() <= COPY && self.head.len() < TOGETHER {
            self.head.extend_from_slice(&piece);
        } else {
            self.body.push_back(piece);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.written == self.head.len() && self.body.is_empty()
    }

    /// The next bytes to write; empty when there are none.
    pub(crate) fn front(&self) -> &[u8] {
        if self.written < self.head.len() {
            return &self.head[self.written..];
        }
        self.body.front().map_or(&[], |piece| piece)
    }

    pub(crate) fn with_slices<T>(&self, write: impl FnOnce(&[IoSlice<'_>]) -> T) -> T {
        // A head alone, as nearly always.
        if self.body.is_empty() {
            return write(&[IoSlice::new(self.front())]);
        }
        match self.body.len() < SLICES {
            true => self.with_most::<SLICES, _>(write),
            false => self.with_most::<MANY_SLICES, _>(write),
        }
    }

    fn with_most<const MOST: usize, T>(&self, write: impl FnOnce(&[IoSlice<'_>]) -> T) -> T {
        let mut slices = [IoSlice::new(&[]); MOST];
        let mut used = 0;
        if self.written < self.head.len() {
            slices[0] = IoSlice::new(&self.head[self.written..]);
            used = 1;
        }
        for piece in self.body.iter().take(MOST - used) {
            slices[used] = IoSlice::new(piece);
            used += 1;
        }
        write(&slices[..used])
    }

    /// Drops `n` bytes that were written.
    pub(crate) fn advance(&mut self, mut n: usize) {
        let of_head = n.min(self.head.len() - self.written);
        self.written += of_head;
        n -= of_head;
        if self.written == self.head.len() {
            self.head.clear();
            self.written = 0;
        }
        while n > 0 {
            let Some(piece) = self.body.front_mut() else {
                return;
            };
            let of_piece = n.min(piece.len());
            piece.advance(of_piece);
            n -= of_piece;
            if piece.is_empty() {
                self.body.pop_front();
            }
        }
    }

    /// Whether it keeps more memory than a piece or two need.
    #[cfg(feature = "websocket")]
    pub(crate) fn is_roomy(&self) -> bool {
        self.body.capacity() > SLICES || self.head.capacity() > USUAL_HEAD
    }

    /// Forgets everything, and the memory with it but for that of a usual head.
    pub(crate) fn clear(&mut self) {
        self.head.clear();
        if self.head.capacity() > USUAL_HEAD {
            self.head = Vec::new();
        }
        self.written = 0;
        if self.body.capacity() > 0 {
            self.body = VecDeque::new();
        }
    }
}

impl fmt::Debug for Outgoing {
    // Heads hold credentials, bodies anything: only how much there is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing")
            .field("head", &(self.head.len() - self.written))
            .field("pieces", &self.body.len())
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn drained(out: &mut Outgoing, step: usize) -> Vec<u8> {
        let mut all = Vec::new();
        while !out.is_empty() {
            let n = out.with_slices(|slices| {
                let flat: Vec<u8> = slices.iter().flat_map(|s| s.to_vec()).collect();
                let n = flat.len().min(step);
                all.extend_from_slice(&flat[..n]);
                n
            });
            assert!(n > 0, "something waits but no slice shows it");
            out.advance(n);
        }
        all
    }

    #[test]
    fn bytes_leave_in_order_whatever_the_step() {
        for step in [1, 2, 3, 7, 1000] {
            let mut out = Outgoing::default();
            out.head().extend_from_slice(b"HEAD");
            out.body().push_back(Bytes::from_static(b"one"));
            out.body().push_back(Bytes::from(vec![b'x'; COPY + 1]));
            out.body().push_back(Bytes::from_static(b"two"));
            out.coalesce();
            let all = drained(&mut out, step);
            assert!(all.starts_with(b"HEADonexxx") && all.ends_with(b"xtwo"));
            assert_eq!(all.len(), 4 + 3 + COPY + 1 + 3);
        }
    }

    #[test]
    fn more_pieces_than_slices_still_all_leave() {
        let mut out = Outgoing::default();
        for _ in 0..100 {
            out.body().push_back(Bytes::from_static(b"ab"));
        }
        assert_eq!(drained(&mut out, 64), b"ab".repeat(100));
    }
}
