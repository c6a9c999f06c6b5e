//! Downloads into a file: what is gone on with and what is begun anew, and that
//! nothing but the whole file ever has its name.

mod support;

use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{env, fs};

use miohttp::{Download, Kind, Session};
use support::fetch::Scratch;
use support::{Gate, Peer, PeerConn, Request, enter, head, response};

const TAG: (&str, &str) = ("ETag", "\"v1\"");

/// Bytes that tell their place.
fn file(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at / 251 + at) as u8).collect()
}

fn download(session: &Session, url: String, path: &Path) -> Download {
    let download = session.download(url, path);
    download.retry_delay(Duration::ZERO)
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// What is in the folder, by name.
fn names(folder: &Scratch) -> Vec<String> {
    let entries = fs::read_dir(&folder.0).expect("a folder");
    let name = |entry: io::Result<fs::DirEntry>| entry.expect("an entry").file_name();
    let mut names: Vec<_> = entries
        .map(|entry| name(entry).into_string().expect("UTF-8"))
        .collect();
    names.sort();
    names
}

/// Where a request's range begins.
fn asked_from(request: &Request) -> Option<usize> {
    let range = request.header("range")?.strip_prefix("bytes=")?;
    Some(range.strip_suffix('-')?.parse().expect("a number"))
}

/// The rest of the file from there on, as a range.
fn rest(file: &[u8], from: usize) -> Vec<u8> {
    let range = format!("bytes {from}-{}/{}", file.len() - 1, file.len());
    response(
        "206 Partial",
        &[TAG, ("Content-Range", &range)],
        &file[from..],
    )
}

/// Announces the file and breaks off behind so much of it.
fn break_off(
    conn: &mut PeerConn,
    file: &[u8],
    at: usize,
    fields: &[(&str, &str)],
) -> io::Result<()> {
    let length = file.len().to_string();
    let fields = [fields, &[("Content-Length", &length[..])]].concat();
    conn.write(head("200 OK", &fields))?;
    conn.write(&file[..at])?;
    conn.shutdown_write()
}

/// A server as it should be: ranges for whoever has the tag.
fn proper(file: Vec<u8>) -> impl Fn(&Request) -> Vec<u8> + Send + Sync + 'static {
    move |request| match asked_from(request) {
        Some(from) if request.header("if-range") == Some(TAG.1) => match from < file.len() {
            true => rest(&file, from),
            false => {
                let range = format!("bytes */{}", file.len());
                response("416 No", &[("Content-Range", &range)], "")
            }
        },
        _ => response("200 OK", &[TAG], &file),
    }
}

/// Breaks off the first request's answer, and answers the others by this.
fn broken_once(
    file: Vec<u8>,
    at: usize,
    fields: &'static [(&'static str, &'static str)],
    then: impl Fn(&Request) -> Vec<u8> + Send + Sync + 'static,
) -> Peer {
    Peer::start(move |conn| {
        if conn.index() == 0 {
            conn.request()?;
            return break_off(conn, &file, at, fields);
        }
        while let Some(request) = conn.next_request()? {
            conn.write(then(&request))?;
        }
        Ok(())
    })
}

#[test]
fn a_file_appears_whole_under_its_name() {
    let folder = Scratch::new("download-whole");
    let bytes = file(700_000);
    let peer = Peer::serve(proper(bytes.clone()));
    let path = folder.0.join("a.bin");
    let session = Session::new();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let seen_here = Arc::clone(&seen);
    let nothing_yet = path.clone();
    let done = download(&session, peer.url("/a"), &path)
        .progress(move |now| {
            assert!(!nothing_yet.exists(), "it is not whole yet");
            enter(&seen_here).push((now.received(), now.total()));
        })
        .run()
        .expect("a file");
    assert_eq!(fs::read(&path).expect("a file"), bytes);
    assert_eq!(names(&folder), ["a.bin"]);
    assert_eq!((done.path(), done.length()), (&*path, 700_000));
    assert_eq!((done.resumed_from(), done.attempts()), (0, 1));
    let seen = enter(&seen);
    assert_eq!(seen.first(), Some(&(0, Some(700_000))));
    assert_eq!(seen.last(), Some(&(700_000, Some(700_000))));
    assert!(seen.is_sorted());
    let request = &peer.requests()[0];
    assert_eq!(request.header("accept-encoding"), Some("identity"));
    assert_eq!(
        (request.header("range"), request.header("if-range")),
        (None, None)
    );

    // Nothing is sent for a file that may not be replaced.
    let error = download(&session, peer.url("/a"), &path).run();
    let error = error.expect_err("it is there");
    assert_eq!(error.kind(), Kind::Write, "{error:#}");
    assert_eq!(peer.request_count(), 1);
    fs::write(&path, "older").expect("a file");
    let replaced = download(&session, peer.url("/a"), &path).overwrite(true);
    replaced.run().expect("a file");
    assert_eq!(fs::read(&path).expect("a file"), bytes);
    assert_eq!(names(&folder), ["a.bin"]);

    // A file without any bytes is one.
    let empty = Peer::serve(|_| response("200 OK", &[], ""));
    let path = folder.0.join("empty");
    let done = download(&session, empty.url("/"), &path)
        .run()
        .expect("a file");
    assert_eq!(
        (done.length(), fs::read(&path).expect("a file").len()),
        (0, 0)
    );
}

#[test]
fn what_breaks_off_goes_on_where_it_was() {
    let folder = Scratch::new("download-on");
    let bytes = file(300_000);
    let whole = bytes.clone();
    // Each time another 90,000 bytes, and then the connection is gone.
    let peer = Peer::start(move |conn| {
        let request = conn.request()?;
        let from = asked_from(&request).unwrap_or(0);
        let to = whole.len().min(from + 90_000);
        if from == 0 {
            return break_off(conn, &whole, to, &[TAG]);
        }
        assert_eq!(request.header("if-range"), Some(TAG.1));
        let range = format!("bytes {from}-{}/{}", whole.len() - 1, whole.len());
        let length = (whole.len() - from).to_string();
        let fields = [
            TAG,
            ("Content-Range", &range[..]),
            ("Content-Length", &length),
        ];
        conn.write(head("206 Partial", &fields))?;
        conn.write(&whole[from..to])?;
        conn.shutdown_write()
    });
    let path = folder.0.join("b.bin");
    let session = Session::new();
    // None of them is in vain.
    let done = download(&session, peer.url("/"), &path).retries(0);
    let done = done.run().expect("a file");
    assert_eq!(fs::read(&path).expect("a file"), bytes);
    assert_eq!((done.attempts(), done.resumed_from()), (4, 0));
    assert_eq!(names(&folder), ["b.bin"]);
}

#[test]
fn another_run_goes_on_with_the_part() {
    let folder = Scratch::new("download-again");
    let bytes = file(100_000);
    let peer = broken_once(bytes.clone(), 40_000, &[TAG], proper(bytes.clone()));
    let path = folder.0.join("c.bin");
    let session = Session::new();
    let first = session.download(peer.url("/c"), &path);
    let first = first.request(|request| request.header("x-first", "1"));
    let ends = session.clone();
    let first = first.progress(move |now| {
        if now.received() == 40_000 {
            ends.close();
        }
    });
    let error = first.run().expect_err("closed");
    assert_eq!(error.kind(), Kind::Closed, "{error:#}");
    assert_eq!(names(&folder), ["c.bin.part", "c.bin.part.notes"]);
    assert_eq!(peer.requests()[0].header("x-first"), Some("1"));

    let session = Session::new();
    let done = download(&session, peer.url("/c"), &path)
        .run()
        .expect("a file");
    assert_eq!(fs::read(&path).expect("a file"), bytes);
    assert_eq!((done.resumed_from(), done.attempts()), (40_000, 1));
    let second = &peer.requests()[1];
    assert_eq!(second.header("range"), Some("bytes=40000-"));
    assert_eq!(second.header("if-range"), Some(TAG.1));
    assert_eq!(names(&folder), ["c.bin"]);
}

#[test]
fn only_the_same_file_is_gone_on_with() {
    let old = file(100_000);
    let new: Vec<u8> = old.iter().map(|byte| !byte).collect();
    let length = new.len();
    let fresh = new.clone();
    let full = move || response("200 OK", &[("ETag", "\"v2\"")], &fresh);
    type Answer = Box<dyn Fn(&Request) -> Vec<u8> + Send + Sync>;
    let ranged = |status: &'static str, fields: Vec<(&'static str, String)>| -> Answer {
        let (new, full) = (new.clone(), full.clone());
        Box::new(move |request| match asked_from(request) {
            Some(from) => {
                let fields: Vec<_> = fields.iter().map(|(n, v)| (*n, &v[..])).collect();
                response(status, &fields, &new[from..])
            }
            None => full(),
        })
    };
    let range = |first: usize, total: usize| format!("bytes {first}-{}/{total}", length - 1);
    let part = "206 Partial";
    let tag = || ("ETag", "\"v1\"".to_owned());
    let whole = full.clone();
    let answers: Vec<(&str, Answer)> = vec![
        ("the whole", Box::new(move |_| whole())),
        ("412", ranged("412 Changed", vec![])),
        (
            "416 of another",
            ranged("416 No", vec![("Content-Range", "bytes */5".into())]),
        ),
        ("416 of nothing", ranged("416 No", vec![])),
        ("no range", ranged(part, vec![tag()])),
        (
            "another place",
            ranged(part, vec![tag(), ("Content-Range", range(0, length))]),
        ),
        (
            "another length",
            ranged(
                part,
                vec![tag(), ("Content-Range", range(40_000, length + 1))],
            ),
        ),
        (
            "another tag",
            ranged(
                part,
                vec![
                    ("ETag", "\"v2\"".into()),
                    ("Content-Range", range(40_000, length)),
                ],
            ),
        ),
    ];
    for (what, answer) in answers {
        let folder = Scratch::new("download-changed");
        let path = folder.0.join("d.bin");
        let peer = broken_once(old.clone(), 40_000, &[TAG], answer);
        let session = Session::new();
        // Whatever there was to throw away is no attempt in vain.
        let done = download(&session, peer.url("/"), &path).retries(0).run();
        let done = done.unwrap_or_else(|error| panic!("{what}: {error:#}"));
        assert!(fs::read(&path).expect("a file") == new, "{what}");
        assert!(done.attempts() <= 3, "{what}");
        assert_eq!(peer.requests()[1].header("range"), Some("bytes=40000-"));
        assert_eq!(names(&folder), ["d.bin"], "{what}");
    }
}

#[test]
fn without_a_strong_validator_it_begins_anew() {
    let bytes = file(100_000);
    let weak: [&'static [(&str, &str)]; 3] = [
        &[],
        &[("ETag", "W/\"v1\"")],
        &[
            ("Date", "Sun, 06 Nov 1994 08:49:37 GMT"),
            ("Last-Modified", "Sun, 06 Nov 1994 08:49:36 GMT"),
        ],
    ];
    for fields in weak {
        let folder = Scratch::new("download-weak");
        let path = folder.0.join("e.bin");
        let peer = broken_once(bytes.clone(), 40_000, fields, proper(bytes.clone()));
        let session = Session::new();
        let done = download(&session, peer.url("/"), &path)
            .run()
            .expect("a file");
        assert_eq!(fs::read(&path).expect("a file"), bytes);
        assert_eq!(done.attempts(), 2);
        assert_eq!(peer.requests()[1].header("range"), None, "{fields:?}");
    }
    // A date that is old enough is one.
    let folder = Scratch::new("download-dated");
    let path = folder.0.join("e.bin");
    let dated = &[
        ("Date", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ("Last-Modified", "Sat, 05 Nov 1994 08:49:37 GMT"),
    ];
    let whole = bytes.clone();
    let peer = broken_once(bytes.clone(), 40_000, dated, move |request| {
        rest(&whole, asked_from(request).expect("a range"))
    });
    let session = Session::new();
    download(&session, peer.url("/"), &path)
        .run()
        .expect("a file");
    assert_eq!(fs::read(&path).expect("a file"), bytes);
    let if_range = peer.requests()[1].header("if-range").map(str::to_owned);
    assert_eq!(if_range.as_deref(), Some("Sat, 05 Nov 1994 08:49:37 GMT"));
}

#[test]
fn a_part_that_lacks_nothing_is_the_file() {
    let folder = Scratch::new("download-416");
    let path = folder.0.join("f.bin");
    let bytes = file(50_000);
    // The length is not known before, so it ends where the connection does; a
    // program that was ended just there left all of it.
    let peer = Peer::serve(proper(bytes.clone()));
    fs::write(beside(&path, ".part"), &bytes).expect("a file");
    let notes = format!(
        "miohttp download 1\nurl {}\nvalidator {}\nlength 50000\nend\n",
        peer.url("/f"),
        TAG.1
    );
    fs::write(beside(&path, ".part.notes"), &notes).expect("a file");
    let session = Session::new();
    let done = download(&session, peer.url("/f"), &path)
        .run()
        .expect("a file");
    assert_eq!((done.resumed_from(), done.attempts()), (50_000, 1));
    assert_eq!(fs::read(&path).expect("a file"), bytes);
    assert_eq!(names(&folder), ["f.bin"]);

    // Notes of another URL, and notes that were cut short, are of nothing.
    let other = notes.replace("/f", "/other");
    for notes in [&other[..], &notes[..notes.len() - 2]] {
        fs::remove_file(&path).expect("it is there");
        fs::write(beside(&path, ".part"), "something else").expect("a file");
        fs::write(beside(&path, ".part.notes"), notes).expect("a file");
        download(&session, peer.url("/f"), &path)
            .run()
            .expect("a file");
        assert_eq!(fs::read(&path).expect("a file"), bytes);
        assert_eq!(peer.requests().last().expect("one").header("range"), None);
    }

    // And a part without notes is not ours to overwrite.
    fs::remove_file(&path).expect("it is there");
    fs::write(beside(&path, ".part"), "somebody's").expect("a file");
    let count = peer.request_count();
    let error = download(&session, peer.url("/f"), &path)
        .run()
        .expect_err("theirs");
    assert_eq!(error.kind(), Kind::Write, "{error:#}");
    assert_eq!(peer.request_count(), count);
    assert_eq!(
        fs::read(beside(&path, ".part")).expect("a file"),
        b"somebody's"
    );
}

#[test]
fn what_does_not_help_is_an_error() {
    let folder = Scratch::new("download-errors");
    let path = folder.0.join("g.bin");
    let session = Session::new();
    for (answer, kind, requests) in [
        (response("404 Not Found", &[], "no"), Kind::Status, 1),
        (response("503 Busy", &[], "no"), Kind::Status, 3),
        (response("204 Nothing", &[], ""), Kind::Protocol, 1),
        (rest(&file(10), 0), Kind::Protocol, 1),
        (response("416 No", &[], ""), Kind::Status, 1),
    ] {
        let peer = Peer::serve(move |_| answer.clone());
        let error = download(&session, peer.url("/"), &path).retries(2).run();
        let error = error.expect_err("no file");
        assert_eq!(error.kind(), kind, "{error:#}");
        assert!(error.url().is_some());
        assert_eq!(peer.request_count(), requests);
        assert_eq!(names(&folder), [""; 0], "nothing lies about");
    }
    let peer = Peer::serve(proper(file(10)));
    let nowhere = folder.0.join("no").join("folder");
    for path in [&folder.0, &nowhere] {
        let error = download(&session, peer.url("/"), path)
            .run()
            .expect_err("no file");
        assert_eq!(error.kind(), Kind::Write, "{error:#}");
    }
    let error = download(&session, peer.url("/"), Path::new("..")).run();
    assert_eq!(error.expect_err("no name").kind(), Kind::InvalidRequest);
    let error = download(&session, "no url".into(), &path).run();
    assert_eq!(error.expect_err("no URL").kind(), Kind::InvalidUrl);
    assert_eq!(peer.request_count(), 0);
}

#[test]
fn a_wait_longer_than_any_clock_is_a_wait() {
    let folder = Scratch::new("download-wait");
    let path = folder.0.join("l.bin");
    let bytes = file(1_000);
    let peer = Peer::start(move |conn| {
        conn.request()?;
        break_off(conn, &bytes, 500, &[])
    });
    // With a connector of its own a session ends what is under way.
    let connector = miohttp::Connector::default();
    let session = Session::builder().connector(connector).build();
    let closing = session.clone();
    let download = session.download(peer.url("/"), &path);
    let error = download
        .retry_delay(Duration::MAX)
        .progress(move |_| closing.close())
        .run();
    assert_eq!(error.expect_err("closed").kind(), Kind::Closed);
}

#[test]
fn what_somebody_else_writes_into_the_part_is_no_file() {
    let folder = Scratch::new("download-shared");
    let path = folder.0.join("m.bin");
    let bytes = file(50_000);
    let peer = Peer::serve(proper(bytes.clone()));
    let part = beside(&path, ".part");
    let session = Session::new();
    // As another download of the same file would, once and again and again.
    for (times, is_left) in [(1, false), (usize::MAX, true)] {
        let (part, mut left) = (part.clone(), times);
        let done = download(&session, peer.url("/f"), &path).progress(move |progress| {
            if left > 0 && progress.received() == 50_000 {
                left -= 1;
                let mut file = fs::OpenOptions::new().append(true).open(&part);
                let file = file.as_mut().expect("a part");
                io::Write::write_all(file, b"!").expect("it is written");
            }
        });
        match done.run() {
            Ok(_) => {
                assert!(!is_left);
                assert!(fs::read(&path).expect("a file") == bytes, "mixed");
                fs::remove_file(&path).expect("it is there");
            }
            Err(error) => assert!(is_left && error.kind() == Kind::Payload, "{error:#}"),
        }
        assert_eq!(names(&folder), [""; 0]);
    }
}

#[test]
fn a_length_beside_chunks_does_not_count() {
    let folder = Scratch::new("download-both");
    let path = folder.0.join("n.bin");
    let peer = Peer::start(|conn| {
        conn.request()?;
        let fields = [("Transfer-Encoding", "chunked"), ("Content-Length", "3")];
        conn.write(head("200 OK", &fields))?;
        conn.write("5\r\nhello\r\n0\r\n\r\n")
    });
    let session = Session::new();
    let done = download(&session, peer.url("/"), &path).retries(0).run();
    assert_eq!(done.expect("a file").length(), 5);
}

#[test]
fn a_file_without_a_length_is_read_to_the_end_whatever_the_session_says() {
    let folder = Scratch::new("download-eof");
    let path = folder.0.join("e.bin");
    let peer = Peer::start(|conn| {
        conn.request()?;
        conn.write("HTTP/1.1 200 OK\r\n\r\nhello")
    });
    let session = Session::builder().read_until_eof(false).build();
    let done = download(&session, peer.url("/"), &path).retries(0).run();
    assert_eq!(done.expect("a file").length(), 5);
}

#[test]
fn a_server_that_never_sends_the_same_file_is_left() {
    let folder = Scratch::new("download-anew");
    let path = folder.0.join("k.bin");
    let bytes = file(1_000);
    // Each answer breaks off, and each range is of something else.
    let peer = Peer::start(move |conn| match asked_from(&conn.request()?) {
        None => break_off(conn, &bytes, 500, &[TAG]),
        Some(_) => conn.write(response("206 Partial", &[("ETag", "\"other\"")], "?")),
    });
    let session = Session::new();
    let error = download(&session, peer.url("/"), &path).run();
    assert_eq!(error.expect_err("no file").kind(), Kind::Payload);
    assert_eq!(peer.request_count(), 8);
    assert_eq!(names(&folder), [""; 0]);
}

#[cfg(feature = "gzip")]
#[test]
fn a_content_coding_stays_on_the_file() {
    use std::io::Write;

    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(&file(10_000)).expect("memory takes it");
    let coded = encoder.finish().expect("memory takes it");
    let folder = Scratch::new("download-coded");
    let path = folder.0.join("h.tar.gz");
    let bytes = response("200 OK", &[TAG, ("Content-Encoding", "gzip")], &coded);
    let peer = Peer::serve(move |_| bytes.clone());
    let session = Session::new();
    download(&session, peer.url("/"), &path)
        .run()
        .expect("a file");
    assert_eq!(fs::read(&path).expect("a file"), coded);
}

#[cfg(feature = "digest")]
#[test]
fn a_wrong_hash_is_no_file() {
    // Of the letters abc: FIPS 180-4.
    const ABC: &str = "BA7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let folder = Scratch::new("download-hash");
    let path = folder.0.join("i.bin");
    let session = Session::new();
    let peer = Peer::serve(|_| response("200 OK", &[TAG], "abc"));
    let done = download(&session, peer.url("/"), &path).sha256(ABC).run();
    assert_eq!(done.expect("a file").attempts(), 1);
    fs::remove_file(&path).expect("it is there");

    let other = Peer::serve(|_| response("200 OK", &[TAG], "abd"));
    let error = download(&session, other.url("/"), &path).sha256(ABC).run();
    let error = error.expect_err("another hash");
    assert_eq!(error.kind(), Kind::Payload, "{error:#}");
    assert_eq!(other.request_count(), 1);
    assert_eq!(names(&folder), [""; 0]);

    for odd in ["", "abc", &ABC[1..], &ABC.replace('f', "g")] {
        let error = download(&session, peer.url("/"), &path).sha256(odd).run();
        assert_eq!(error.expect_err("no hash").kind(), Kind::InvalidRequest);
    }

    // A part with a fault in it is begun anew.
    let whole = b"abc".to_vec();
    let mended = broken_once(b"xbc".to_vec(), 1, &[TAG], proper(whole));
    let done = download(&session, mended.url("/"), &path).sha256(ABC).run();
    assert_eq!(done.expect("a file").attempts(), 3);
    assert_eq!(fs::read(&path).expect("a file"), b"abc");
}

/// What the test below starts as a process of its own, and kills.
#[test]
fn in_a_child_process() {
    let Some(url) = env::var_os("MIOHTTP_TEST_DOWNLOAD_URL") else {
        return;
    };
    let url = url.into_string().expect("UTF-8");
    let path = env::var_os("MIOHTTP_TEST_DOWNLOAD_PATH").expect("a path");
    let progress = |now: miohttp::DownloadProgress| println!("\nhas {}", now.received());
    let download = Session::new().download(url, PathBuf::from(path));
    download.progress(progress).run().expect("a file");
}

#[test]
fn killed_half_way_and_started_again_it_finishes() {
    let folder = Scratch::new("download-killed");
    let path = folder.0.join("j.bin");
    let bytes = file(1_000_000);
    let whole = bytes.clone();
    let gate = Gate::new();
    let at = gate.clone();
    let peer = Peer::start(move |conn| {
        let request = conn.request()?;
        let Some(from) = asked_from(&request) else {
            let length = whole.len().to_string();
            conn.write(head("200 OK", &[TAG, ("Content-Length", &length)]))?;
            conn.write(&whole[..600_000])?;
            // It is held here until it is dead.
            at.wait();
            return Ok(());
        };
        assert_eq!(request.header("if-range"), Some(TAG.1));
        conn.write(rest(&whole, from))
    });
    let start = || {
        Command::new(env::current_exe().expect("this test"))
            .args(["--exact", "in_a_child_process", "--nocapture"])
            .env("MIOHTTP_TEST_DOWNLOAD_URL", peer.url("/j"))
            .env("MIOHTTP_TEST_DOWNLOAD_PATH", &path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a process")
    };
    let mut child = start();
    let output = BufReader::new(child.stdout.take().expect("its output"));
    let half_way = output
        .lines()
        .any(|line| line.expect("text") == "has 600000");
    assert!(half_way, "it ended before");
    child.kill().expect("it runs");
    child.wait().expect("it is dead");
    gate.open();
    assert_eq!(names(&folder), ["j.bin.part", "j.bin.part.notes"]);

    let mut child = start();
    io::copy(
        &mut child.stdout.take().expect("its output"),
        &mut io::sink(),
    )
    .expect("text");
    assert!(child.wait().expect("it ends").success());
    assert!(fs::read(&path).expect("a file") == bytes);
    assert_eq!(names(&folder), ["j.bin"]);
    assert_eq!(peer.requests()[1].header("range"), Some("bytes=600000-"));
    assert_eq!(peer.request_count(), 2);
}
