//! MD5 (RFC 1321), which TLS providers no longer have. It keeps nothing safe by
//! itself; some servers speak nothing else.

/// A hash on its way.
#[derive(Clone)]
pub(super) struct Md5 {
    state: [u32; 4],
    /// What went in, in bytes.
    length: u64,
    /// The start of a block that is not full yet.
    block: [u8; BLOCK],
}

const BLOCK: usize = 64;

impl Md5 {
    pub(super) fn new() -> Self {
        Self {
            state: [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476],
            length: 0,
            block: [0; BLOCK],
        }
    }

    pub(super) fn update(&mut self, mut bytes: &[u8]) {
        let held = self.held();
        // RFC 1321 §3.2: of a longer length the low 64 bits count.
        self.length = self.length.wrapping_add(bytes.len() as u64);
        if held > 0 {
            let (head, rest) = bytes.split_at(bytes.len().min(BLOCK - held));
            self.block[held..held + head.len()].copy_from_slice(head);
            if held + head.len() < BLOCK {
                return;
            }
            mix(&mut self.state, &self.block);
            bytes = rest;
        }
        let (blocks, rest) = bytes.as_chunks();
        for block in blocks {
            mix(&mut self.state, block);
        }
        self.block[..rest.len()].copy_from_slice(rest);
    }

    pub(super) fn finish(mut self) -> [u8; 16] {
        let bits = self.length.wrapping_mul(8).to_le_bytes();
        // A one bit, zeros up to where the length completes a block.
        let zeros = (BLOCK + 55 - self.held()) % BLOCK;
        let mut padding = [0; BLOCK];
        padding[0] = 0x80;
        self.update(&padding[..=zeros]);
        self.update(&bits);
        let mut hash = [0; 16];
        for (bytes, word) in hash.as_chunks_mut().0.iter_mut().zip(self.state) {
            *bytes = word.to_le_bytes();
        }
        hash
    }

    fn held(&self) -> usize {
        (self.length % BLOCK as u64) as usize
    }
}

/// RFC 1321 §3.4, step 4.
fn mix(state: &mut [u32; 4], block: &[u8; BLOCK]) {
    let mut words = [0; 16];
    for (word, bytes) in words.iter_mut().zip(block.as_chunks().0) {
        *word = u32::from_le_bytes(*bytes);
    }
    let mut now = *state;
    round::<0>(&mut now, &words, |at| at, |b, c, d| d ^ (b & (c ^ d)));
    round::<1>(
        &mut now,
        &words,
        |at| 5 * at + 1,
        |b, c, d| (d & b) | (!d & c),
    );
    round::<2>(&mut now, &words, |at| 3 * at + 5, |b, c, d| b ^ c ^ d);
    round::<3>(&mut now, &words, |at| 7 * at, |b, c, d| c ^ (b | !d));
    for (word, added) in state.iter_mut().zip(now) {
        *word = word.wrapping_add(added);
    }
}

/// One of the four rounds: which word each of its steps takes, and how it
/// mixes the other three.
#[inline(always)]
fn round<const ROUND: usize>(
    [a, b, c, d]: &mut [u32; 4],
    words: &[u32; 16],
    word: impl Fn(usize) -> usize,
    mix: impl Fn(u32, u32, u32) -> u32,
) {
    for at in 0..16 {
        let sum = a
            .wrapping_add(mix(*b, *c, *d))
            .wrapping_add(SINES[16 * ROUND + at])
            .wrapping_add(words[word(at) % 16]);
        let turned = b.wrapping_add(sum.rotate_left(SHIFTS[ROUND][at % 4]));
        (*a, *b, *c, *d) = (*d, turned, *b, *c);
    }
}

/// By how much the steps of each round turn.
const SHIFTS: [[u32; 4]; 4] = [
    [7, 12, 17, 22],
    [5, 9, 14, 20],
    [4, 11, 16, 23],
    [6, 10, 15, 21],
];

/// The sines of 1 to 64 radians, without their signs, times 2^32.
const SINES: [u32; 64] = [
    0xd76a_a478,
    0xe8c7_b756,
    0x2420_70db,
    0xc1bd_ceee,
    0xf57c_0faf,
    0x4787_c62a,
    0xa830_4613,
    0xfd46_9501,
    0x6980_98d8,
    0x8b44_f7af,
    0xffff_5bb1,
    0x895c_d7be,
    0x6b90_1122,
    0xfd98_7193,
    0xa679_438e,
    0x49b4_0821,
    0xf61e_2562,
    0xc040_b340,
    0x265e_5a51,
    0xe9b6_c7aa,
    0xd62f_105d,
    0x0244_1453,
    0xd8a1_e681,
    0xe7d3_fbc8,
    0x21e1_cde6,
    0xc337_07d6,
    0xf4d5_0d87,
    0x455a_14ed,
    0xa9e3_e905,
    0xfcef_a3f8,
    0x676f_02d9,
    0x8d2a_4c8a,
    0xfffa_3942,
    0x8771_f681,
    0x6d9d_6122,
    0xfde5_380c,
    0xa4be_ea44,
    0x4bde_cfa9,
    0xf6bb_4b60,
    0xbebf_bc70,
    0x289b_7ec6,
    0xeaa1_27fa,
    0xd4ef_3085,
    0x0488_1d05,
    0xd9d4_d039,
    0xe6db_99e5,
    0x1fa2_7cf8,
    0xc4ac_5665,
    0xf429_2244,
    0x432a_ff97,
    0xab94_23a7,
    0xfc93_a039,
    0x655b_59c3,
    0x8f0c_cc92,
    0xffef_f47d,
    0x8584_5dd1,
    0x6fa8_7e4f,
    0xfe2c_e6e0,
    0xa301_4314,
    0x4e08_11a1,
    0xf753_7e82,
    0xbd3a_f235,
    0x2ad7_d2bb,
    0xeb86_d391,
];

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_that_of_another_make() {
        // SPEC A7. RFC 1321 §A.5 is in `digest`; here every place a block may be
        // cut at, and every length of padding.
        let bytes: Vec<u8> = (0..300u32).map(|at| (at * 7 % 251) as u8).collect();
        for length in 0..=bytes.len() {
            let whole = &bytes[..length];
            let want = md5::compute(whole).0;
            for cut in [0, 1, 55, 63, 64, 65, 128, 200].map(|cut| cut.min(length)) {
                let mut hash = Md5::new();
                hash.update(&whole[..cut]);
                hash.update(&[]);
                hash.update(&whole[cut..]);
                assert_eq!(hash.finish(), want, "{length} bytes cut at {cut}");
            }
            let mut hash = Md5::new();
            whole.iter().for_each(|byte| hash.update(&[*byte]));
            assert_eq!(hash.finish(), want, "{length} bytes, one at a time");
        }
    }
}
