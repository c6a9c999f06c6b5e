//! What one request costs in its parts, without sockets: see README.md here.

#[cfg(miohttp_bench)]
mod inside {
    use std::hint::black_box;

    use criterion::{Criterion, Throughput};
    use miohttp::bench;

    /// A reply as a large site sends it.
    const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\n\
        Date: Sat, 01 Jan 2000 00:00:00 GMT\r\n\
        Content-Type: text/html; charset=utf-8\r\n\
        Content-Length: 0\r\n\
        Connection: keep-alive\r\n\
        Server: example\r\n\
        Cache-Control: max-age=3600, public\r\n\
        ETag: \"0123456789abcdef\"\r\n\
        Last-Modified: Fri, 31 Dec 1999 23:59:59 GMT\r\n\
        Vary: Accept-Encoding\r\n\
        X-Request-Id: 00000000-0000-0000-0000-000000000000\r\n\r\n";

    pub(super) fn reading(c: &mut Criterion) {
        c.bench_function("head of 10 fields", |b| {
            b.iter(|| bench::read_reply(black_box(HEAD)));
        });
        let (head, _) = bench::read_reply(HEAD);
        let head = head.expect("the head above is sound");
        c.bench_function("header map of 10 fields", |b| b.iter(|| head.to_map()));

        for size in [16, 1024, 16 * 1024] {
            let wire = chunked(size);
            let (_, length) = bench::read_reply(&wire);
            assert_eq!(length, BODY);
            let mut group = c.benchmark_group("chunked");
            group.throughput(Throughput::Bytes(BODY as u64));
            group.bench_function(format!("chunks of {size}"), |b| {
                b.iter(|| bench::read_reply(black_box(&wire)));
            });
        }
    }

    const BODY: usize = 256 * 1024;

    fn chunked(size: usize) -> Vec<u8> {
        let mut wire = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        for _ in 0..BODY / size {
            wire.extend_from_slice(format!("{size:x}\r\n").as_bytes());
            wire.resize(wire.len() + size, b'x');
            wire.extend_from_slice(b"\r\n");
        }
        wire.extend_from_slice(b"0\r\n\r\n");
        wire
    }

    pub(super) fn handing_over(c: &mut Criterion) {
        assert_eq!(bench::through_slot(7), Some(7));
        c.bench_function("slot", |b| b.iter(|| bench::through_slot(black_box(7))));

        let piece = vec![0; 16 * 1024].into();
        assert_eq!(bench::through_pipe(&piece, 100), 100 * 16 * 1024);
        c.bench_function("pipe, 100 pieces", |b| {
            b.iter(|| bench::through_pipe(black_box(&piece), 100));
        });

        assert_eq!(bench::through_mailbox(10, 10), 100);
        c.bench_function("mailbox, 10 batches of 10", |b| {
            b.iter(|| bench::through_mailbox(black_box(10), black_box(10)));
        });
    }
}

#[cfg(all(miohttp_bench, feature = "cookies"))]
mod jar {
    use std::hint::black_box;

    use criterion::Criterion;
    use miohttp::{Cookie, CookieJar, Url};

    /// 300 cookies of 100 sites, and the header for one of them.
    pub(super) fn cookies(c: &mut Criterion) {
        let url = |site| Url::parse(&format!("https://www.site{site}.example/a")).expect("a URL");
        let jar = CookieJar::new();
        for site in 0..100 {
            for name in ["session", "theme", "seen"] {
                let cookie = Cookie::new(name, "0123456789abcdef").expect("a sound cookie");
                assert!(jar.add(cookie, Some(&url(site))));
            }
        }
        let url = url(50);
        assert!(jar.cookies(&url).is_some());
        c.bench_function("cookie header, 3 of 300", |b| {
            b.iter(|| jar.cookies(black_box(&url)));
        });
        let line = b"sid=0123456789abcdef; Path=/; Max-Age=3600; Secure; HttpOnly; SameSite=Lax";
        assert!(Cookie::parse(line).is_some());
        c.bench_function("Set-Cookie parsed", |b| {
            b.iter(|| Cookie::parse(black_box(line)));
        });
    }
}

#[cfg(all(miohttp_bench, feature = "websocket"))]
mod sockets {
    use std::hint::black_box;

    use criterion::{BatchSize, Criterion, Throughput};
    use miohttp::{Bytes, bench};

    /// A read of 32 KiB full of messages, text and binary.
    pub(super) fn receiving(c: &mut Criterion) {
        for (name, first, size) in [
            ("binary", 0x82, 16),
            ("binary", 0x82, 1024),
            ("text", 0x81, 1024),
        ] {
            let mut wire = Vec::new();
            let mut count = 0;
            while wire.len() + size + 4 <= 32 * 1024 {
                wire.push(first);
                match size {
                    0..126 => wire.push(size as u8),
                    _ => wire.extend([126, (size >> 8) as u8, size as u8]),
                }
                wire.resize(wire.len() + size, b'x');
                count += 1;
            }
            assert_eq!(bench::read_messages(&wire), (count, count * size));
            let mut group = c.benchmark_group("WebSocket, a read of 32 KiB");
            group.throughput(Throughput::Elements(count as u64));
            group.bench_function(format!("{name} of {size}"), |b| {
                b.iter(|| bench::read_messages(black_box(&wire)));
            });
        }
    }

    pub(super) fn masking(c: &mut Criterion) {
        for size in [16, 1024, 64 * 1024, 1024 * 1024] {
            let payload = Bytes::from(vec![b'x'; size]);
            let mut group = c.benchmark_group("WebSocket, masking");
            group.throughput(Throughput::Bytes(size as u64));
            group.bench_function(format!("copy of {size}"), |b| {
                b.iter(|| bench::mask_message(black_box(&payload).clone()));
            });
            group.bench_function(format!("in place, {size}"), |b| {
                let fresh = || Bytes::from(vec![b'x'; size]);
                b.iter_batched(fresh, bench::mask_message, BatchSize::SmallInput);
            });
        }
    }
}

#[cfg(miohttp_bench)]
fn main() {
    let mut criterion = criterion::Criterion::default().configure_from_args();
    inside::reading(&mut criterion);
    inside::handing_over(&mut criterion);
    #[cfg(feature = "cookies")]
    jar::cookies(&mut criterion);
    #[cfg(feature = "websocket")]
    {
        sockets::receiving(&mut criterion);
        sockets::masking(&mut criterion);
    }
    criterion.final_summary();
}

#[cfg(not(miohttp_bench))]
fn main() {
    println!("nothing measured: run with RUSTFLAGS='--cfg miohttp_bench'");
}
