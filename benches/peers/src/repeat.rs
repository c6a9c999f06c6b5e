//! Large bodies, written.

use std::io::{self, IoSlice, Write};

/// Pieces a write. Fewer and larger writes are faster; and so is a block that
/// stays in the processor's cache than as many bytes of memory.
const AT_ONCE: usize = 16;

/// Writes `block` over and over until it is so many bytes.
pub(crate) fn repeat(stream: &mut impl Write, block: &[u8], bytes: u64) -> io::Result<()> {
    let mut left = bytes;
    // What was written of the block that is under way.
    let mut offset = 0;
    while left > 0 {
        let mut pieces = [IoSlice::new(&[]); AT_ONCE];
        let mut room = left;
        let mut start = offset;
        for piece in &mut pieces {
            let rest = &block[start..];
            let n = usize::try_from(room).map_or(rest.len(), |room| rest.len().min(room));
            *piece = IoSlice::new(&rest[..n]);
            room -= n as u64;
            start = 0;
        }
        match stream.write_vectored(&pieces) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => {
                left -= n as u64;
                offset = (offset + n) % block.len();
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes little at a time, and never a whole piece.
    struct Slow(Vec<u8>);

    impl Write for Slow {
        fn write(&mut self, from: &[u8]) -> io::Result<usize> {
            let n = from.len().min(3);
            self.0.extend_from_slice(&from[..n]);
            Ok(n)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn blocks_follow_one_another_however_they_are_taken() {
        let expected = b"abcdefg".repeat(30);
        for bytes in [0, 1, 6, 7, 8, 16 * 7, 200] {
            let (mut fast, mut slow) = (Vec::new(), Slow(Vec::new()));
            repeat(&mut fast, b"abcdefg", bytes as u64).expect("memory takes all");
            repeat(&mut slow, b"abcdefg", bytes as u64).expect("it takes some");
            assert_eq!(fast, expected[..bytes]);
            assert_eq!(slow.0, expected[..bytes]);
        }
    }
}
