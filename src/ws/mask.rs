//! Masking (RFC 6455 §5.3), eight bytes at a time; compilers make more of it.

/// The bytes that are copied and then masked while they are still near.
const BLOCK: usize = 4096;

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
    for block in payload.chunks(BLOCK) {
        let from = out.len();
        out.extend_from_slice(block);
        apply(&mut out[from..], key);
    }
}
