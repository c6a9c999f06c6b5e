//! Keys of masks (RFC 6455 §5.3): fresh for each frame, and such that nobody who
//! makes a program send something knows what will stand on the wire.

use std::cell::RefCell;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use rand::rngs::{StdRng, SysRng};
use rand::{Rng as _, SeedableRng as _};

/// Counts the WebSockets that were opened. With each of them all threads begin anew: what
/// the child of a process opens has no keys that its parent, or another child, can come to
/// as well.
static OPENED: AtomicU32 = AtomicU32::new(0);

/// To ask the system for each key costs more than to mask a small message.
struct Generator {
    random: StdRng,
    /// When it was seeded.
    opened: u32,
}

thread_local! {
    /// From this thread's first key on.
    static GENERATOR: RefCell<Option<Generator>> = const { RefCell::new(None) };
}

/// A WebSocket is about to be opened: its first key is drawn behind this.
pub(crate) fn open() {
    OPENED.fetch_add(1, Relaxed);
}

/// A key that was never given before and cannot be guessed.
pub(super) fn fresh() -> [u8; 4] {
    let opened = OPENED.load(Relaxed);
    let key = GENERATOR.try_with(|generator| {
        let mut generator = generator.borrow_mut();
        match &mut *generator {
            Some(generator) => generator.key(opened),
            none => none.insert(Generator::new(opened)).key(opened),
        }
    });
    // The last frames of a thread that ends can have keys, too.
    key.unwrap_or_else(|_| Generator::new(opened).key(opened))
}

impl Generator {
    fn new(opened: u32) -> Self {
        let random = seeded();
        Self { random, opened }
    }

    fn key(&mut self, opened: u32) -> [u8; 4] {
        if self.opened != opened {
            *self = Self::new(opened);
        }
        self.random.next_u32().to_ne_bytes()
    }
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
    fn each_websocket_has_keys_of_its_own() {
        // RFC 6455 §10.3: also in the child of a process, which begins where its parent
        // was.
        let here = || Generator {
            random: StdRng::from_seed([7; 32]),
            opened: 1,
        };
        let keys = |mut generator: Generator, opened| [(); 4].map(|()| generator.key(opened));
        assert_eq!(keys(here(), 1), keys(here(), 1), "the same, as it stands");
        assert_ne!(keys(here(), 2), keys(here(), 1));
        assert_ne!(keys(here(), 2), keys(here(), 2));
        let before = OPENED.load(Relaxed);
        open();
        assert_ne!(OPENED.load(Relaxed), before);
    }

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
