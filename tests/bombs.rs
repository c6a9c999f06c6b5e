//! Ten GiB of zeros behind every coding: what is stopped, where, and in how much
//! memory. The long one is for a release build:
//! `cargo test --release --all-features --test bombs -- --ignored`.
#![cfg(feature = "gzip")]

mod support;

use std::io::{self, Read, Write};

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder};
use miohttp::{Error, Kind, Response, Session};
use support::{Peer, head};

const MIB: usize = 1 << 20;

/// What each of them means in full.
const SIZE: u64 = 10 << 30;

/// A coded body, as it is sent: most of it is one thing many times.
struct Bomb {
    coding: &'static str,
    start: Vec<u8>,
    /// Sent so often.
    middle: (Vec<u8>, usize),
    end: Vec<u8>,
}

impl Bomb {
    fn whole(coding: &'static str, body: Vec<u8>) -> Self {
        Self {
            coding,
            start: body,
            middle: (Vec::new(), 0),
            end: Vec::new(),
        }
    }

    /// The body, in pieces.
    fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let (middle, times) = &self.middle;
        let middle = std::iter::repeat_n(&middle[..], *times);
        std::iter::once(&self.start[..])
            .chain(middle)
            .chain(std::iter::once(&self.end[..]))
    }

    /// The same inside another coding.
    fn inside<W: Write>(&self, mut encoder: W) -> W {
        for piece in self.pieces() {
            encoder.write_all(piece).expect("memory takes it");
        }
        encoder
    }

    /// A peer that answers every request with it.
    fn serve(self) -> Peer {
        Peer::start(move |conn| {
            conn.request()?;
            conn.write(head("200 OK", &[("Content-Encoding", self.coding)]))?;
            for piece in self.pieces() {
                conn.write(piece)?;
            }
            conn.shutdown_write()
        })
    }
}

/// Members of 4 MiB, one behind the other.
fn gzip() -> Bomb {
    let mut member = GzEncoder::new(Vec::new(), Compression::best());
    member
        .write_all(&vec![0; 4 * MIB])
        .expect("memory takes it");
    let member = member.finish().expect("memory takes it");
    Bomb {
        coding: "gzip",
        start: Vec::new(),
        middle: (member.repeat(4), SIZE as usize / MIB / 16),
        end: Vec::new(),
    }
}

/// Blocks of one stream: flushed behind 4 MiB, and so as good again.
fn deflate() -> Bomb {
    let mut blocks = DeflateEncoder::new(Vec::new(), Compression::best());
    blocks
        .write_all(&vec![0; 4 * MIB])
        .expect("memory takes it");
    blocks.flush().expect("memory takes it");
    Bomb {
        coding: "deflate",
        start: Vec::new(),
        middle: (blocks.get_ref().repeat(4), SIZE as usize / MIB / 16),
        // The last block: stored, and of no bytes.
        end: vec![1, 0, 0, 0xff, 0xff],
    }
}

/// Meta-blocks of 1 MiB each, all but the first one the same.
#[cfg(feature = "brotli")]
fn br() -> Bomb {
    let mut encoder = brotli::CompressorWriter::new(Vec::new(), 4096, 5, 22);
    let mut block = || {
        encoder.write_all(&vec![0; MIB]).expect("memory takes it");
        encoder.flush().expect("memory takes it");
        std::mem::take(encoder.get_mut())
    };
    let (first, second, third) = (block(), block(), block());
    assert_eq!(second, third);
    Bomb {
        coding: "br",
        start: first,
        middle: (second, SIZE as usize / MIB - 1),
        // The last meta-block, of no bytes.
        end: vec![0x03],
    }
}

/// Blocks of one zero 128 * 1024 times, in a window of 8 MiB.
#[cfg(feature = "zstd")]
fn zstd() -> Bomb {
    let block = |last: u32| (last | 1 << 1 | (128 * 1024) << 3).to_le_bytes();
    let blocks = SIZE as usize / (128 * 1024);
    // The fourth byte of these is the zero.
    assert_eq!(block(0)[3], 0);
    Bomb {
        coding: "zstd",
        start: vec![0x28, 0xb5, 0x2f, 0xfd, 0, 13 << 3],
        middle: (block(0).repeat(512), blocks / 512 - 1),
        end: [block(0).repeat(511), block(1).to_vec()].concat(),
    }
}

fn all() -> Vec<Bomb> {
    let encoder = || GzEncoder::new(Vec::new(), Compression::fast());
    let nested = deflate().inside(encoder()).finish();
    vec![
        gzip(),
        deflate(),
        Bomb::whole("deflate, gzip", nested.expect("memory takes it")),
        #[cfg(feature = "brotli")]
        br(),
        #[cfg(feature = "brotli")]
        Bomb::whole(
            "br, gzip",
            br().inside(encoder()).finish().expect("memory takes it"),
        ),
        #[cfg(feature = "zstd")]
        zstd(),
        #[cfg(feature = "zstd")]
        Bomb::whole(
            "zstd, gzip",
            zstd().inside(encoder()).finish().expect("memory takes it"),
        ),
        #[cfg(all(feature = "brotli", feature = "zstd"))]
        Bomb::whole(
            "zstd, br",
            zstd()
                .inside(brotli::CompressorWriter::new(Vec::new(), 4096, 5, 22))
                .into_inner(),
        ),
    ]
}

/// Reads by the piece, keeping nothing: how much came, and what ended it.
fn read_away(response: Response) -> (u64, Option<Error>) {
    let mut reader = response.into_reader();
    let mut piece = vec![1; 64 * 1024];
    let mut length = 0;
    loop {
        match reader.read(&mut piece) {
            Ok(0) => return (length, None),
            Ok(n) => {
                assert_eq!((piece[0], piece[n - 1]), (0, 0));
                length += n as u64;
            }
            Err(error) => {
                let error = error.into_inner().expect("an error of ours");
                let error = error.downcast::<Error>().expect("an error of ours");
                return (length, Some(*error));
            }
        }
    }
}

#[test]
fn the_default_ratio_stops_every_bomb() {
    // SPEC R40
    for bomb in all() {
        let coding = bomb.coding;
        let peer = bomb.serve();
        let send = || Session::new().get(peer.url("/")).send().expect("a head");
        let (length, error) = read_away(send());
        assert_eq!(error.expect("a limit").kind(), Kind::Limit, "{coding}");
        assert!(length <= 4 * MIB as u64, "{coding}: {length} bytes");
        let error = send().bytes().expect_err("a limit");
        assert_eq!(error.kind(), Kind::Limit, "{coding}");
        let mut copied = Vec::new();
        let error = send().copy_to(&mut copied).expect_err("a limit");
        assert_eq!(error.kind(), Kind::Limit, "{coding}");
        assert!(copied.len() <= 4 * MIB, "{coding}: {} bytes", copied.len());
    }
}

#[test]
fn without_the_ratio_other_limits_hold() {
    // SPEC R40
    for bomb in all() {
        let coding = bomb.coding;
        let peer = bomb.serve();
        let session = Session::builder().max_decode_ratio(0).build();
        let get = || session.get(peer.url("/"));
        let kept = get().max_buffered(3 * MIB).send().expect("a head");
        let error = kept.bytes().expect_err("a limit");
        assert_eq!(error.kind(), Kind::Limit, "{coding}");
        let sized = get().max_body_size(5 * MIB as u64).send().expect("a head");
        let (length, error) = read_away(sized);
        assert_eq!(length, 5 * MIB as u64, "{coding}");
        assert_eq!(error.expect("a limit").kind(), Kind::Limit, "{coding}");
    }
}

#[test]
#[ignore = "reads ten GiB some times: for a release build"]
fn ten_gib_are_streamed_in_little_memory() {
    // SPEC R39, R40
    for bomb in all() {
        let coding = bomb.coding;
        let peer = bomb.serve();
        let request = Session::new().get(peer.url("/")).max_decode_ratio(0);
        let started = std::time::Instant::now();
        let (length, error) = read_away(request.send().expect("a head"));
        assert!(error.is_none(), "{coding}: {error:?}");
        assert_eq!(length, SIZE, "{coding}");
        let Some(peak) = peak_memory() else {
            println!("{coding}: nobody says how much memory it took");
            continue;
        };
        println!(
            "{coding}: at most {} MiB, {:?}",
            peak / MIB,
            started.elapsed()
        );
        assert!(peak < 64 * MIB, "{coding}: {} MiB", peak / MIB);
    }
}

/// The most memory that this process has had so far, in bytes; Linux tells.
fn peak_memory() -> Option<usize> {
    let status = match std::fs::read_to_string("/proc/self/status") {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        status => status.expect("it can be read"),
    };
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.expect("a peak").trim().trim_end_matches(" kB");
    Some(kib.parse::<usize>().expect("a number") * 1024)
}
