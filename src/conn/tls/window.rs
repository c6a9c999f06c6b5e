//! Byte queues over one allocation each: written at the tail, consumed at the front.
//!
//! [`Inbound`] is written by a socket, which needs no cleared memory. [`Window`] is
//! written by rustls, which does:
//!
//! ```text
//! 0 ────── start ═══ filled ═══ end ─── spare ─── bytes.len()
//! ```
//!
//! The vector's length is the allocation in use and never shrinks between reads, so the
//! spare part is zeroed once and not again per read. Filled bytes move to the front
//! only when the tail has run out of room, and never twice without a `consume` between:
//! that keeps the moving amortised however small the pieces are.

use crate::conn::scratch::{self, SCRATCH};

/// Less than this is not worth giving back.
#[cfg(feature = "websocket")]
const ROOMY: usize = 512;

#[derive(Default)]
pub(super) struct Window {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Window {
    pub(super) fn filled(&self) -> &[u8] {
        // The cursors are ours alone and hold start <= end <= bytes.len().
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }

    pub(super) fn len(&self) -> usize {
        self.end - self.start
    }

    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// All the room behind the filled bytes, at least `len` bytes of it.
    pub(super) fn spare(&mut self, len: usize) -> &mut [u8] {
        if self.bytes.len() - self.end < len {
            if self.start > 0 {
                self.bytes.copy_within(self.start..self.end, 0);
                self.end -= self.start;
                self.start = 0;
            }
            let needed = self.end.saturating_add(len);
            if self.bytes.len() < needed {
                self.bytes.resize(needed, 0);
            }
        }
        self.bytes.get_mut(self.end..).unwrap_or_default()
    }

    /// Counts `len` bytes of the spare part as filled.
    pub(super) fn advance(&mut self, len: usize) {
        debug_assert!(len <= self.bytes.len() - self.end, "advance past the spare");
        self.end += len.min(self.bytes.len() - self.end);
    }

    pub(super) fn consume(&mut self, len: usize) {
        self.start += len.min(self.len());
        if self.start == self.end {
            self.clear();
        }
    }

    pub(super) fn clear(&mut self) {
        self.start = 0;
        self.end = 0;
    }

    /// Whether [`release`](Self::release) would give back much.
    #[cfg(feature = "websocket")]
    pub(super) fn is_roomy(&self) -> bool {
        self.bytes.capacity() > self.len() + ROOMY
    }

    /// Gives back what is not filled; everything, if nothing is.
    pub(super) fn release(&mut self) {
        if self.is_empty() {
            *self = Self::default();
        } else if self.len() < self.bytes.capacity() {
            let mut kept = Vec::with_capacity(self.len());
            kept.extend_from_slice(self.filled());
            self.end = kept.len();
            self.start = 0;
            self.bytes = kept;
        }
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }
}

/// What a socket has brought and nobody has consumed yet.
#[derive(Default)]
pub(super) struct Inbound {
    bytes: Vec<u8>,
    start: usize,
}

impl Inbound {
    pub(super) fn filled(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }

    /// The first `len` filled bytes, or all of them if there are fewer.
    pub(super) fn front_mut(&mut self, len: usize) -> &mut [u8] {
        let end = self.bytes.len().min(self.start.saturating_add(len));
        self.bytes.get_mut(self.start..end).unwrap_or_default()
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where to append, with room for at least `len` bytes.
    pub(super) fn tail(&mut self, len: usize) -> &mut Vec<u8> {
        if self.bytes.capacity() - self.bytes.len() < len {
            // Only when it is full, so that what stays is not moved at every read.
            self.bytes.drain(..self.start);
            self.start = 0;
            if self.bytes.capacity() == 0 && len <= SCRATCH {
                self.bytes = scratch::take();
            }
            self.bytes.reserve(len);
        }
        &mut self.bytes
    }

    pub(super) fn consume(&mut self, len: usize) {
        self.start += len.min(self.len());
        if self.is_empty() {
            self.clear();
        }
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.start = 0;
    }

    /// Whether [`release`](Self::release) would give back much.
    #[cfg(feature = "websocket")]
    pub(super) fn is_roomy(&self) -> bool {
        self.bytes.capacity() > self.len() + ROOMY
    }

    /// Gives back what is not filled; everything, if nothing is.
    pub(super) fn release(&mut self) {
        if self.is_empty() {
            self.start = 0;
            scratch::give(std::mem::take(&mut self.bytes));
        } else if self.bytes.capacity() > self.len() {
            self.bytes = self.filled().to_vec();
            self.start = 0;
        }
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(window: &mut Window, data: &[u8]) {
        window.spare(data.len())[..data.len()].copy_from_slice(data);
        window.advance(data.len());
    }

    #[test]
    fn is_a_queue() {
        let mut window = Window::default();
        push(&mut window, b"abcdef");
        window.consume(2);
        push(&mut window, b"gh");
        assert_eq!(window.filled(), b"cdefgh");
        window.consume(100);
        assert!(window.is_empty());
        assert_eq!(window.filled(), b"");
    }

    #[test]
    fn room_is_reused_before_it_grows() {
        let mut window = Window::default();
        push(&mut window, &[1; 64]);
        let before = window.capacity();
        for round in 0..200_u8 {
            window.consume(60);
            push(&mut window, &[round; 60]);
        }
        assert_eq!(window.capacity(), before);
        assert_eq!(window.len(), 64);
        assert!(window.filled().ends_with(&[199; 60]));
    }

    #[test]
    fn release_keeps_the_filled_bytes_alone() {
        let mut window = Window::default();
        push(&mut window, &[7; 5000]);
        window.consume(4990);
        window.release();
        assert_eq!(window.filled(), [7; 10]);
        assert_eq!(window.capacity(), 10);
        window.consume(10);
        window.release();
        assert_eq!(window.capacity(), 0);
        push(&mut window, b"again");
        assert_eq!(window.filled(), b"again");
    }

    #[test]
    fn what_a_socket_brings_is_a_queue_too() {
        let mut inbound = Inbound::default();
        inbound.tail(6).extend_from_slice(b"abcdef");
        inbound.consume(2);
        inbound.tail(2).extend_from_slice(b"gh");
        assert_eq!(inbound.filled(), b"cdefgh");
        assert_eq!(inbound.front_mut(3), b"cde");
        inbound.consume(100);
        assert!(inbound.is_empty());
    }

    #[test]
    fn the_room_of_what_was_consumed_is_used_again() {
        let mut inbound = Inbound::default();
        inbound.tail(64).extend_from_slice(&[1; 64]);
        let room = inbound.capacity();
        for round in 0..200_u8 {
            inbound.consume(60);
            inbound.tail(60).extend_from_slice(&[round; 60]);
        }
        assert_eq!(inbound.len(), 64);
        assert!(room < 200 * 60, "it is never full: {room}");
        assert_eq!(inbound.capacity(), room);
        assert!(inbound.filled().ends_with(&[199; 60]));
        inbound.consume(54);
        inbound.release();
        assert_eq!((inbound.filled(), inbound.capacity()), (&[199; 10][..], 10));
        inbound.consume(10);
        inbound.release();
        assert_eq!(inbound.capacity(), 0);
    }
}
