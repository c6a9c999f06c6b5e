//! Cookie jars kept in files, and given to sessions.
#![cfg(feature = "cookies")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use miohttp::{Cookie, CookieFileError, CookieJar, Url};

/// A folder of its own, gone with the value.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("miohttp-cookies-{}-{count}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).expect("a temporary folder can be made");
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).expect("the folder can be read");
        let mut names: Vec<String> = entries
            .map(|entry| entry.expect("an entry").file_name())
            .map(|name| name.to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

type Save = fn(&CookieJar, &Path) -> Result<usize, CookieFileError>;
type Load = fn(&CookieJar, &Path) -> Result<usize, CookieFileError>;

/// Each format, and a file in it that is damaged behind a good cookie.
fn formats() -> Vec<(Save, Load, &'static str)> {
    vec![
        (
            |jar, path| jar.save_netscape(path),
            |jar, path| jar.load_netscape(path),
            "h.test\tTRUE\t/\tFALSE\t0\tnew\t1\nh.test\tTRUE\t/\n",
        ),
        #[cfg(feature = "json")]
        (
            |jar, path| jar.save_json(path),
            |jar, path| jar.load_json(path),
            "{\"version\": 1, \"cookies\": [{\"name\": \"new\", \"value\": \"1\"},\n {}]}",
        ),
    ]
}

fn url(text: &str) -> Url {
    Url::parse(text).expect("a URL")
}

fn cookie(line: &str) -> Cookie {
    Cookie::parse(line.as_bytes()).expect("a cookie")
}

/// One of each kind that both formats can hold.
fn filled() -> CookieJar {
    let jar = CookieJar::new();
    let shop = url("https://www.shop.test/cart/");
    for line in [
        "host=1",
        "below=2; Domain=shop.test; Path=/",
        "secure=3; Secure; Path=/cart; HttpOnly",
        "lasting=4; Max-Age=5000; Path=/",
        "odd=\"x, y\"\tz; Path=/",
        "empty=; Path=/",
    ] {
        assert!(jar.add(cookie(line), Some(&shop)), "{line}");
    }
    let bytes = Cookie::parse(b"bytes=\xff\x80; Path=/").expect("a cookie");
    assert!(jar.add(bytes, Some(&shop)));
    jar
}

/// What a jar sends, which is what matters of it.
fn sent(jar: &CookieJar) -> Vec<Option<Vec<u8>>> {
    [
        "https://www.shop.test/cart/",
        "http://www.shop.test/cart/",
        "https://www.shop.test/",
        "https://below.www.shop.test/",
        "https://shop.test/cart/",
        "https://elsewhere.test/",
    ]
    .iter()
    .map(|to| Some(jar.cookies(&url(to))?.as_bytes().to_vec()))
    .collect()
}

#[test]
fn a_jar_comes_back_from_a_file() {
    // SPEC K10
    for (save, load, _) in formats() {
        let folder = Folder::new();
        let path = folder.file("jar");
        let jar = filled();
        assert_eq!(save(&jar, &path).expect("it is saved"), 7);
        let back = CookieJar::new();
        // What was there goes: a file takes the place of it all.
        back.add(cookie("old=1; Domain=elsewhere.test"), None);
        back.add(cookie("shared=1"), None);
        assert_eq!(load(&back, &path).expect("it is loaded"), 7);
        assert_eq!(sent(&back), sent(&jar));
        for (was, is) in jar.all().iter().zip(&back) {
            assert_eq!(
                (was.name(), was.value(), was.domain(), was.path()),
                (is.name(), is.value(), is.domain(), is.path())
            );
            assert_eq!(
                (was.secure(), was.http_only(), was.host_only()),
                (is.secure(), is.http_only(), is.host_only())
            );
            // To the second.
            let second = |cookie: &Cookie| {
                let since = cookie.expires()?.duration_since(std::time::UNIX_EPOCH);
                Some(since.expect("behind 1970").as_secs())
            };
            assert_eq!(second(was), second(&is));
        }
        // The same again, into what is there.
        assert_eq!(save(&back, &path).expect("it is saved again"), 7);
        assert_eq!(folder.names(), ["jar"]);
    }
}

#[test]
#[cfg(feature = "json")]
fn json_keeps_what_the_other_format_cannot() {
    // SPEC K10, K2, K9
    let folder = Folder::new();
    let (json, text) = (folder.file("json"), folder.file("text"));
    let jar = CookieJar::new();
    jar.add(cookie("shared=1"), None);
    jar.add(cookie("a\tb=2; Domain=shop.test"), None);
    jar.add(
        cookie("site=3; Domain=shop.test; SameSite=Strict; Partitioned"),
        None,
    );
    assert_eq!(jar.save_json(&json).expect("saved"), 3);
    assert_eq!(jar.save_netscape(&text).expect("saved"), 1);

    let back = CookieJar::new();
    assert_eq!(back.load_json(&json).expect("loaded"), 3);
    assert_eq!(back.all(), jar.all());
    assert_eq!(back.load_netscape(&text).expect("loaded"), 1);
    let only = back.all().remove(0);
    assert_eq!((only.name(), only.same_site()), (&b"site"[..], None));
}

#[test]
fn the_jars_rules_hold_for_a_file() {
    // SPEC K1, K5, K9, K10
    let folder = Folder::new();
    let path = folder.file("jar");
    let lines = [
        ".co.uk\tTRUE\t/\tFALSE\t0\tsuffix\t1",
        "127.0.0.1\tFALSE\t/\tFALSE\t0\taddress\t1",
        ".h.test.\tTRUE\t/\tFALSE\t0\tdot\t1",
        ".h.test\tTRUE\t/\tFALSE\t1\texpired\t1",
        ".h.test\tTRUE\t/\tFALSE\t99999999999\tfar\t1",
        "github.io\tFALSE\t/\tFALSE\t0\thost\t1",
    ];
    fs::write(&path, lines.join("\n")).expect("written");
    let jar = CookieJar::new();
    assert_eq!(jar.load_netscape(&path).expect("loaded"), 2);
    let names: Vec<Vec<u8>> = jar.all().iter().map(|c| c.name().to_vec()).collect();
    assert_eq!(names, [b"far".to_vec(), b"host".to_vec()]);
    let left = jar.all()[0]
        .expires()
        .expect("it expires")
        .duration_since(std::time::SystemTime::now())
        .expect("later");
    assert!(left.as_secs() <= 400 * 24 * 3600, "{left:?}");

    let jar = CookieJar::builder().allow_ip_hosts(true).build();
    assert_eq!(jar.load_netscape(&path).expect("loaded"), 3);
}

#[test]
fn a_damaged_file_is_an_error_and_the_jar_stays() {
    // SPEC K10
    for (save, load, damaged) in formats() {
        let folder = Folder::new();
        let path = folder.file("jar");
        let jar = filled();
        let before = sent(&jar);

        let error = load(&jar, &path).expect_err("there is none");
        assert!(error.is_not_found() && !error.is_malformed(), "{error:?}");
        assert_eq!(error.path(), path);

        fs::write(&path, damaged).expect("written");
        let error = load(&jar, &path).expect_err("it is damaged");
        assert!(error.is_malformed() && !error.is_not_found(), "{error:?}");
        assert!(error.to_string().contains("malformed"), "{error}");
        assert_eq!(sent(&jar), before);

        // No file at all, and none that can be written.
        assert!(load(&jar, &folder.0).is_err());
        for nowhere in [folder.file("no/such/folder"), PathBuf::from("..")] {
            let error = save(&jar, &nowhere).expect_err("it is nowhere");
            assert!(std::error::Error::source(&error).is_some());
            assert!(!error.is_not_found());
        }
        // A folder stands there: the move fails, and leaves nothing behind.
        fs::create_dir_all(folder.file("taken/x")).expect("made");
        assert!(save(&jar, &folder.file("taken")).is_err());
        assert_eq!(folder.names(), ["jar", "taken"]);
    }
}

#[test]
fn errors_repeat_nothing_of_the_file() {
    // SPEC K10
    let folder = Folder::new();
    let path = folder.file("jar");
    for line in [
        "hunter2",
        "h.test\tTRUE\t/\thunter2\t0\tn\tv",
        "h.test\tTRUE\t/\tTRUE\thunter2\tn\tv",
        "h.test\tTRUE\t/\tTRUE\t0\tn\thunter2;",
        "{\"version\": 1, \"cookies\": [\"hunter2\"]}",
        "{\"hunter2\"}",
    ] {
        fs::write(&path, line).expect("written");
        for (_, load, _) in formats() {
            let error = load(&CookieJar::new(), &path).expect_err("malformed");
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }
    let error = CookieJar::new()
        .load_netscape(&path)
        .expect_err("malformed");
    assert_eq!(error.line(), Some(1));
}

#[test]
fn a_file_too_long_is_refused() {
    // SPEC K10
    let folder = Folder::new();
    let path = folder.file("jar");
    let file = fs::File::create(&path).expect("made");
    // Sparse: no byte of it is on the disk.
    file.set_len(65 * 1024 * 1024).expect("made long");
    let error = CookieJar::new().load_netscape(&path).expect_err("too long");
    assert!(error.is_malformed() && error.line().is_none(), "{error}");
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_saved_file_is_its_owners_alone() {
        // SPEC K10
        for (save, _, _) in formats() {
            let folder = Folder::new();
            let path = folder.file("jar");
            // However open the one before it was.
            fs::write(&path, "").expect("written");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).expect("set");
            let before = fs::metadata(&path).expect("there").ino();
            save(&filled(), &path).expect("saved");
            let after = fs::metadata(&path).expect("there");
            assert_eq!(after.mode() & 0o777, 0o600);
            // Another file, moved there: nobody saw it half written.
            assert_ne!(after.ino(), before);
        }
    }

    #[test]
    fn a_link_is_replaced_and_not_followed() {
        // SPEC K10
        for (save, _, _) in formats() {
            let folder = Folder::new();
            let (path, target) = (folder.file("jar"), folder.file("target"));
            fs::write(&target, "precious").expect("written");
            symlink(&target, &path).expect("linked");
            save(&filled(), &path).expect("saved");
            assert_eq!(fs::read_to_string(&target).expect("there"), "precious");
            assert!(fs::symlink_metadata(&path).expect("there").is_file());
        }
    }

    /// Readers find a whole jar at any moment, be it the old one or the new.
    #[test]
    fn saving_is_one_step() {
        // SPEC K10
        let folder = Folder::new();
        let path = folder.file("jar");
        let jar = filled();
        jar.save_netscape(&path).expect("saved");
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                for _ in 0..200 {
                    jar.save_netscape(&path).expect("saved");
                }
            });
            while !writer.is_finished() {
                let reader = CookieJar::new();
                assert_eq!(reader.load_netscape(&path).expect("whole"), 7);
            }
        });
        assert_eq!(folder.names(), ["jar"]);
    }
}

mod sessions {
    use std::sync::Arc;

    use miohttp::{CookieStore, HeaderValue, Kind, Session};

    use super::*;
    use crate::support::{Peer, ok, response};

    fn echo() -> Peer {
        Peer::serve(|request| ok(request.header("cookie").unwrap_or_default()))
    }

    fn asked(session: &Session, peer: &Peer, path: &str) -> String {
        let response = session.get(peer.url(path)).send().expect("it is answered");
        response.text().expect("its body is whole")
    }

    #[test]
    fn a_session_starts_with_cookies() {
        // SPEC S3, K2
        let peer = echo();
        let jar = CookieJar::builder().allow_ip_hosts(true).build();
        let session = Session::builder()
            .cookie("shared", "1")
            .cookie_for(peer.url("/folder/page"), "own", "2")
            // Whatever the order: the jar gets them when the session is built.
            .cookie_jar(jar.clone())
            .build();
        assert_eq!(asked(&session, &peer, "/folder/other"), "own=2; shared=1");
        assert_eq!(asked(&session, &peer, "/"), "shared=1");
        assert_eq!(jar.len(), 2);

        // Shared ones go to addresses too, whatever the jar thinks of these.
        let session = Session::builder()
            .cookie("a", "1")
            .cookie("b", "\"x\"")
            .build();
        assert_eq!(asked(&session, &peer, "/"), "a=1; b=\"x\"");
        // The last of a name counts.
        let session = Session::builder().cookie("a", "1").cookie("a", "2").build();
        assert_eq!(asked(&session, &peer, "/"), "a=2");
    }

    #[test]
    fn cookies_nobody_can_keep_are_errors_at_the_verb() {
        // SPEC S3, H9
        struct Nowhere;

        impl CookieStore for Nowhere {
            fn store(&self, _: &Url, _: &mut dyn Iterator<Item = &HeaderValue>) {}

            fn cookies(&self, _: &Url) -> Option<HeaderValue> {
                None
            }
        }

        let peer = echo();
        let builder = Session::builder;
        for session in [
            builder().cookie("a", "1\r\nx: y"),
            builder().cookie("a=b", "1"),
            builder().cookie("", "1"),
            builder().no_cookies().cookie("a", "1"),
            builder().cookie("a", "1").cookie_store(Arc::new(Nowhere)),
            builder().cookie_for("http://127.0.0.1/", "a", "1"),
            builder().cookie_for("https://h.test/", "__Host-a", "1"),
        ] {
            let error = session.build().get(peer.url("/")).send().unwrap_err();
            assert_eq!(error.kind(), Kind::InvalidRequest, "{error:?}");
            assert!(error.is_request());
        }
        let session = builder().cookie_for("ftp://h.test/", "a", "1").build();
        let error = session.get(peer.url("/")).send().unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidUrl);
        assert_eq!(peer.connections(), 0);
    }

    #[test]
    fn a_session_without_a_jar_keeps_nothing() {
        // SPEC K12, S9
        let peer = Peer::serve(|request| {
            let cookie = request.header("cookie").unwrap_or_default();
            response("200 OK", &[("Set-Cookie", "a=1")], cookie)
        });
        let jar = CookieJar::builder().allow_ip_hosts(true).build();
        for (session, second) in [
            (Session::builder().no_cookies().build(), ""),
            (Session::builder().cookie_jar(jar).build(), "a=1"),
        ] {
            assert_eq!(asked(&session, &peer, "/"), "");
            assert_eq!(asked(&session, &peer, "/"), second);
        }
    }
}
