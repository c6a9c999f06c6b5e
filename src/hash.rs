//! A hasher for keys that are hashes or counters already.
//!
//! A pool key brings a hash of its own, made once with a seed nobody outside
//! knows, and ids are counted up by us: neither needs a second hash that
//! withstands an attacker, and it would be a good part of a checkout.

use std::hash::{BuildHasherDefault, Hasher};

pub(crate) type Cheaply = BuildHasherDefault<Spread>;

/// Multiplies by an odd constant, which spreads a counter over the upper bits.
#[derive(Default)]
pub(crate) struct Spread(u64);

/// 2^64 divided by the golden ratio.
const ODD: u64 = 0x9e37_79b9_7f4a_7c15;

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_usize(&mut self, value: usize) {
        self.write_u64(value as u64);
    }

    fn write_u64(&mut self, value: u64) {
        // The table looks at the uppermost and at the lowest bits.
        let mixed = (self.0 ^ value).wrapping_mul(ODD);
        self.0 = mixed ^ (mixed >> 32);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::collections::HashSet;
    use std::hash::BuildHasher;

    use super::*;

    #[test]
    fn counters_spread_at_both_ends() {
        let hash = |n: u64| Cheaply::default().hash_one(n);
        let low: HashSet<_> = (0..1024).map(|n| hash(n) & 1023).collect();
        let high: HashSet<_> = (0..1024).map(|n| hash(n) >> 57).collect();
        assert!(low.len() > 600, "{}", low.len());
        assert_eq!(high.len(), 128);
    }
}
