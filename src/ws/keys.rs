//! Keys of masks (RFC 6455 §5.3): fresh for each frame, and such that nobody who
//! makes a program send something knows what will stand on the wire.

use std::cell::Cell;
use std::hash::{BuildHasher as _, RandomState};

use ring::rand::{SecureRandom as _, SystemRandom};

/// How many keys one question to the system brings.
const AT_ONCE: usize = 128;

thread_local! {
    /// Without a destructor, so that the last frames of a thread can have keys, too.
    static KEYS: Keys = const {
        Keys {
            stock: [const { Cell::new([0; 4]) }; AT_ONCE],
            left: Cell::new(0),
        }
    };
}

struct Keys {
    stock: [Cell<[u8; 4]>; AT_ONCE],
    /// How many of the stock were not given out yet.
    left: Cell<usize>,
}

/// A key that was never given before and cannot be guessed.
pub(super) fn fresh() -> [u8; 4] {
    KEYS.with(|keys| {
        if keys.left.get() == 0 {
            keys.refill();
        }
        let left = keys.left.get() - 1;
        keys.left.set(left);
        keys.stock[left].get()
    })
}

impl Keys {
    /// The system's random bytes. Where it has none, what std has for its maps: keyed
    /// once by the system, and so not to be guessed either.
    #[cold]
    fn refill(&self) {
        let mut bytes = [0; 4 * AT_ONCE];
        if SystemRandom::new().fill(&mut bytes).is_err() {
            let hasher = RandomState::new();
            for (at, word) in bytes.as_chunks_mut().0.iter_mut().enumerate() {
                *word = hasher.hash_one(at).to_ne_bytes();
            }
        }
        for (place, key) in self.stock.iter().zip(bytes.as_chunks().0) {
            place.set(*key);
        }
        self.left.set(AT_ONCE);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_key_comes_twice() {
        // RFC 6455 §5.3. Of 1024 random keys two are the same once in 8000 runs, two
        // pairs hardly ever.
        let keys: HashSet<_> = (0..8 * AT_ONCE).map(|_| fresh()).collect();
        assert!(keys.len() > 8 * AT_ONCE - 3, "{}", keys.len());
        let there = std::thread::spawn(|| (0..AT_ONCE).map(|_| fresh()).collect::<HashSet<_>>());
        let there = there.join().expect("it gives keys");
        assert!(there.intersection(&keys).count() < 3);
    }
}
