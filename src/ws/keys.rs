//! Keys of masks (RFC 6455 §5.3): fresh for each frame, and such that nobody who
//! makes a program send something knows what will stand on the wire.

use std::cell::RefCell;
use std::hash::{BuildHasher as _, RandomState};

use rand::rngs::{StdRng, SysRng};
use rand::{Rng as _, SeedableRng as _};

thread_local! {
    /// From this thread's first key on. To ask the system for each costs more than to
    /// mask a small message.
    static GENERATOR: RefCell<Option<StdRng>> = const { RefCell::new(None) };
}

/// A key that was never given before and cannot be guessed.
pub(super) fn fresh() -> [u8; 4] {
    let key = GENERATOR.try_with(|generator| {
        let mut generator = generator.borrow_mut();
        generator.get_or_insert_with(seeded).next_u32()
    });
    // The last frames of a thread that ends can have keys, too.
    key.unwrap_or_else(|_| seeded().next_u32()).to_ne_bytes()
}

/// Seeded by the system. Where it has no random bytes, by what std has for its maps:
/// keyed once by the system, and so not to be guessed either.
#[cold]
fn seeded() -> StdRng {
    StdRng::try_from_rng(&mut SysRng).unwrap_or_else(|_| {
        let hasher = RandomState::new();
        let mut seed = [0; 32];
        for (at, word) in seed.as_chunks_mut().0.iter_mut().enumerate() {
            *word = hasher.hash_one(at).to_ne_bytes();
        }
        StdRng::from_seed(seed)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_key_comes_twice() {
        // RFC 6455 §5.3. Of 1024 random keys two are the same once in 8000 runs, two
        // pairs hardly ever.
        let keys: HashSet<_> = (0..1024).map(|_| fresh()).collect();
        assert!(keys.len() > 1024 - 3, "{}", keys.len());
        let there = std::thread::spawn(|| (0..128).map(|_| fresh()).collect::<HashSet<_>>());
        let there = there.join().expect("it gives keys");
        assert!(there.intersection(&keys).count() < 3);
    }
}
