//! Masking (RFC 6455 §5.3), eight bytes at a time; compilers make more of it.

/// What is masked on its way from one place to the other, without memory between.
const BLOCK: usize = 64;

/// Masks in place what lies at the beginning of a payload. Undoes itself.
pub(super) fn apply(payload: &mut [u8], key: [u8; 4]) {
    let [a, b, c, d] = key;
    let word = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = payload.as_chunks_mut::<8>();
    for bytes in words {
        *bytes = (u64::from_ne_bytes(*bytes) ^ word).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key.into_iter().cycle()) {
        *byte ^= key;
    }
}

/// Appends the payload, masked.
pub(super) fn append(out: &mut Vec<u8>, payload: &[u8], key: [u8; 4]) {
    out.reserve(payload.len());
    let (blocks, rest) = payload.as_chunks::<BLOCK>();
    for block in blocks {
        let mut masked = *block;
        apply(&mut masked, key);
        out.extend_from_slice(&masked);
    }
    let from = out.len();
    out.extend_from_slice(rest);
    apply(&mut out[from..], key);
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

    /// RFC 6455 §5.3, word for word.
    fn model(payload: &[u8]) -> Vec<u8> {
        let masked = payload.iter().enumerate();
        masked.map(|(at, byte)| byte ^ KEY[at % 4]).collect()
    }

    fn payload(length: usize) -> Vec<u8> {
        (0..length).map(|at| (at * 7 + at / 251) as u8).collect()
    }

    #[test]
    fn masks_are_those_of_the_standard() {
        // RFC 6455 §5.7: a masked "Hello".
        let mut hello = *b"Hello";
        apply(&mut hello, KEY);
        assert_eq!(hello, [0x7f, 0x9f, 0x4d, 0x51, 0x58]);
        for length in 0..100 {
            for offset in 0..17 {
                let mut buffer = payload(offset + length);
                let want = model(&buffer[offset..]);
                apply(&mut buffer[offset..], KEY);
                assert_eq!(buffer[offset..], want, "{length} at {offset}");
                assert_eq!(buffer[..offset], payload(offset));
            }
        }
    }

    #[test]
    fn a_masked_copy_is_the_same() {
        for length in (0..100).chain([BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 5]) {
            for before in [0, 1, 6, 14] {
                let mut out = payload(before);
                append(&mut out, &payload(length), KEY);
                assert_eq!(out[..before], payload(before));
                assert!(out[before..] == model(&payload(length)), "{length}");
            }
        }
    }
}
