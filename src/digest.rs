//! Hash functions by name, for whatever is told which one to use: answers to
//! Digest challenges, checksums of downloads.
//!
//! None of them is chosen here for its strength; MD5 and SHA-1 are what some
//! servers speak.

mod md5;

use std::fmt;

use ring::digest as hashes;
use ring::rand::{SecureRandom as _, SystemRandom};

use self::md5::Md5;
use crate::error::Error;

/// A hash function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hash {
    Md5,
    Sha1,
    Sha256,
    Sha512,
    /// SHA-512 with start values of its own, cut to 256 bits.
    Sha512To256,
}

/// A hash on its way.
#[derive(Clone)]
pub(crate) struct Hasher(Repr);

#[derive(Clone)]
enum Repr {
    Md5(Md5),
    Sha(hashes::Context),
}

impl Hash {
    pub(crate) fn start(self) -> Hasher {
        Hasher(match self {
            Self::Md5 => Repr::Md5(Md5::new()),
            Self::Sha1 => sha(&hashes::SHA1_FOR_LEGACY_USE_ONLY),
            Self::Sha256 => sha(&hashes::SHA256),
            Self::Sha512 => sha(&hashes::SHA512),
            Self::Sha512To256 => sha(&hashes::SHA512_256),
        })
    }

    /// The hash of these parts, one behind the other, in lower-case hex.
    pub(crate) fn hex(self, parts: &[&[u8]]) -> String {
        let mut hasher = self.start();
        for part in parts {
            hasher.update(part);
        }
        hasher.hex()
    }
}

impl Hasher {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            Repr::Md5(context) => context.update(bytes),
            Repr::Sha(context) => context.update(bytes),
        }
    }

    /// The hash in lower-case hex.
    pub(crate) fn hex(self) -> String {
        match self.0 {
            Repr::Md5(context) => hex(&context.finish()),
            Repr::Sha(context) => hex(context.finish().as_ref()),
        }
    }
}

impl fmt::Debug for Hasher {
    // Its state tells of what went in.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hasher(..)")
    }
}

fn sha(algorithm: &'static hashes::Algorithm) -> Repr {
    Repr::Sha(hashes::Context::new(algorithm))
}

/// 128 bits that nobody can guess, in hex.
///
/// # Errors
/// The system gives none.
pub(crate) fn random() -> Result<String, Error> {
    let mut bytes = [0; 16];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| Error::internal("the system gives no random bytes"))?;
    Ok(hex(&bytes))
}

/// Lower-case hex.
fn hex(bytes: &[u8]) -> String {
    const DIGITS: [u8; 16] = *b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_what_their_standards_say() {
        // SPEC A7. RFC 1321 §A.5; FIPS 180-4's examples of "abc".
        for (hash, want) in [
            (Hash::Md5, "900150983cd24fb0d6963f7d28e17f72"),
            (Hash::Sha1, "a9993e364706816aba3e25717850c26c9cd0d89d"),
            (
                Hash::Sha256,
                "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            ),
            (
                Hash::Sha512,
                "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
                 2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
            ),
            (
                Hash::Sha512To256,
                "53048e2681941ef99b2e29b76b4c7dabe4c2d0c634fc6d46e0e2f13107e7af23",
            ),
        ] {
            assert_eq!(hash.hex(&[b"abc"]), want, "{hash:?}");
            assert_eq!(hash.hex(&[b"", b"a", b"bc"]), want, "{hash:?}");
        }
        assert_eq!(Hash::Md5.hex(&[]), "d41d8cd98f00b204e9800998ecf8427e");
    }
}
