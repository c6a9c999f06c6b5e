//! A buffer that a thread keeps for reads: small answers come one after another, each
//! on a connection that has none of its own while it is idle.

use std::cell::Cell;

/// How large it is.
pub(super) const SCRATCH: usize = 8 * 1024;

thread_local! {
    static KEPT: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// An empty buffer with room for [`SCRATCH`] bytes, the thread's own if it is not in use.
pub(super) fn take() -> Vec<u8> {
    let mut buffer = KEPT.try_with(Cell::take).unwrap_or_default();
    buffer.reserve_exact(SCRATCH);
    buffer
}

/// Gives a buffer back that nobody has further use for. Of another size it is freed.
pub(super) fn give(mut buffer: Vec<u8>) {
    if (SCRATCH..=2 * SCRATCH).contains(&buffer.capacity()) {
        buffer.clear();
        let _ = KEPT.try_with(|kept| kept.set(buffer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_takes_its_own_again() {
        let mut one = take();
        assert!(one.is_empty() && one.capacity() >= SCRATCH);
        one.push(1);
        let other = take();
        assert_ne!(one.as_ptr(), other.as_ptr());
        let kept = one.as_ptr();
        give(one);
        give(Vec::with_capacity(2 * SCRATCH + 1));
        give(Vec::with_capacity(SCRATCH - 1));
        let again = take();
        assert!(again.is_empty());
        assert_eq!(again.as_ptr(), kept);
    }
}
