//! The certificates of servers, once for all connections that were shown the same.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

/// Certificates as DER, the server's own first.
pub(crate) type Chain = Vec<Box<[u8]>>;

/// Of how many servers the chain is shared. Others have their own.
const MAX_CHAINS: usize = 64;

/// Chains that somebody still holds.
#[derive(Debug, Default)]
pub(crate) struct Chains(VecDeque<Weak<Chain>>);

impl Chains {
    /// These certificates, as somebody holds them already if anybody does.
    pub(crate) fn share<C: AsRef<[u8]>>(&mut self, certificates: &[C]) -> Arc<Chain> {
        let same = |chain: &Arc<Chain>| {
            chain.len() == certificates.len()
                && chain
                    .iter()
                    .zip(certificates)
                    .all(|(a, b)| **a == *b.as_ref())
        };
        if let Some(chain) = self.0.iter().filter_map(Weak::upgrade).find(same) {
            return chain;
        }
        self.0.retain(|chain| chain.strong_count() > 0);
        if self.0.len() == MAX_CHAINS {
            self.0.pop_front();
        }
        let chain = certificates.iter().map(|der| der.as_ref().into());
        let chain: Arc<Chain> = Arc::new(chain.collect());
        self.0.push_back(Arc::downgrade(&chain));
        chain
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_chains_are_one_as_long_as_anybody_has_it() {
        let mut chains = Chains::default();
        let first = chains.share(&[b"leaf", b"root"]);
        let again = chains.share(&[b"leaf", b"root"]);
        assert!(Arc::ptr_eq(&first, &again));
        let shorter = chains.share(&[b"leaf"]);
        assert!(!Arc::ptr_eq(&first, &shorter) && shorter.len() == 1);
        drop((first, again));
        let other = chains.share(&[b"leaf", b"r00t"]);
        assert_eq!(other[1][..], *b"r00t");
        assert_eq!(chains.0.len(), 2, "the first one is forgotten");
    }

    #[test]
    fn only_so_many_are_looked_at() {
        let mut chains = Chains::default();
        let held: Vec<_> = (0..200_u8).map(|n| chains.share(&[[n]])).collect();
        assert_eq!(chains.0.len(), MAX_CHAINS);
        assert!(Arc::ptr_eq(&held[199], &chains.share(&[[199]])));
        assert!(!Arc::ptr_eq(&held[0], &chains.share(&[[0]])));
    }
}
