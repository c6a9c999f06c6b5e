//! Keeping a jar in a file (SPEC K10): what both formats share. The formats
//! themselves are in [`json`](super::json) and [`netscape`],
//! and know neither files nor jars: bytes in, cookies out, and back.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Cookie, CookieJar, jar, netscape};

/// A file that is longer is no cookie file: a full jar, every cookie of the
/// largest size, is about half of it.
const MAX_FILE: u64 = 64 * 1024 * 1024;

/// Saving and loading. Cookies are secrets, so a file that is written can be
/// read by its owner alone (mode 0600 on Unix, from the moment it exists). It
/// is written beside its place and then moved there, so whoever reads the place
/// finds the old file or the new one, whole; a symbolic link there is replaced,
/// not followed. All of these block on the file system.
impl CookieJar {
    /// Writes all cookies as JSON, with everything there is to know of them:
    /// [`load_json`](Self::load_json) of it gives an equal jar, but that times
    /// are kept to the second. Returns how many were written (SPEC K10).
    ///
    /// Cookies that last as long as the session are written too: a login is
    /// mostly one of them. To leave them out, save a jar without them.
    ///
    /// # Errors
    ///
    /// The file cannot be written; what stood there before still does.
    ///
    /// # Examples
    ///
    /// ```
    /// use miohttp::{Cookie, CookieJar};
    ///
    /// # let folder = std::env::temp_dir().join(format!("miohttp-doc-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder)?;
    /// # let path = folder.join("cookies.json");
    /// let jar = CookieJar::new();
    /// jar.add(Cookie::parse(b"sid=31d4; Domain=example.com").unwrap(), None);
    /// jar.add(Cookie::parse(b"lang=en; Domain=example.com; Max-Age=3600").unwrap(), None);
    /// assert_eq!(jar.save_json(&path)?, 2);
    ///
    /// let later = CookieJar::new();
    /// assert_eq!(later.load_json(&path)?, 2);
    /// assert_eq!(later.len(), 2);
    ///
    /// // Without those of the session:
    /// let lasting = CookieJar::new();
    /// for cookie in jar.all() {
    ///     if cookie.expires().is_some() {
    ///         lasting.add(cookie, None);
    ///     }
    /// }
    /// assert_eq!(lasting.save_json(&path)?, 1);
    /// # std::fs::remove_dir_all(&folder)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "json")]
    pub fn save_json(&self, path: impl AsRef<Path>) -> Result<usize, CookieFileError> {
        save(path.as_ref(), self.all(), super::json::write)
    }

    /// Replaces the jar's cookies by those of a file that
    /// [`save_json`](Self::save_json) has written. Returns how many the jar
    /// took (SPEC K10).
    ///
    /// The jar's rules hold for them as for any other: those that have expired
    /// meanwhile are left out, and so are those the jar would refuse (a public
    /// suffix as a domain; an IP host, unless it is
    /// [allowed](crate::CookieJarBuilder::allow_ip_hosts)); none is kept for
    /// longer than 400 days.
    ///
    /// # Errors
    ///
    /// The file cannot be read, is longer than 64 MiB, or is not what was
    /// expected. The jar is then as it was.
    #[cfg(feature = "json")]
    pub fn load_json(&self, path: impl AsRef<Path>) -> Result<usize, CookieFileError> {
        load(self, path.as_ref(), super::json::read)
    }

    /// Writes the cookies in the format of `cookies.txt`, which curl, wget,
    /// Python and the tools that export cookies from browsers share. Returns how
    /// many were written (SPEC K10).
    ///
    /// The format has no place for `SameSite` and `Partitioned`, for a cookie
    /// that is shared by all hosts, and for one with a tab in its name or path:
    /// these two attributes are lost, and such cookies are left out. The
    /// cookies of the session are written, with an expiry of 0.
    ///
    /// # Errors
    ///
    /// The file cannot be written; what stood there before still does.
    ///
    /// # Examples
    ///
    /// ```
    /// use miohttp::{Cookie, CookieJar};
    ///
    /// # let folder = std::env::temp_dir().join(format!("miohttp-doc-n-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder)?;
    /// # let path = folder.join("cookies.txt");
    /// let jar = CookieJar::new();
    /// jar.add(Cookie::parse(b"sid=31d4; Domain=example.com; HttpOnly").unwrap(), None);
    /// jar.save_netscape(&path)?;
    /// let text = std::fs::read_to_string(&path)?;
    /// assert!(text.contains("#HttpOnly_.example.com\tTRUE\t/\tFALSE\t0\tsid\t31d4\n"));
    /// # std::fs::remove_dir_all(&folder)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn save_netscape(&self, path: impl AsRef<Path>) -> Result<usize, CookieFileError> {
        let mut all = self.all();
        all.retain(netscape::is_writable);
        save(path.as_ref(), all, netscape::write)
    }

    /// Replaces the jar's cookies by those of a file in the format of
    /// `cookies.txt`, whoever wrote it. Returns how many the jar took; some may
    /// be left out, [as from JSON](Self::load_json) (SPEC K10).
    ///
    /// Empty lines and comments are passed over (`#HttpOnly_` begins none), a
    /// missing value is an empty one, and an expiry that is 0 or missing is
    /// that of the session.
    ///
    /// # Errors
    ///
    /// The file cannot be read, is longer than 64 MiB, or is not what was
    /// expected: [`line`](CookieFileError::line) says where. The jar is then as
    /// it was.
    pub fn load_netscape(&self, path: impl AsRef<Path>) -> Result<usize, CookieFileError> {
        load(self, path.as_ref(), netscape::read)
    }
}

/// A cookie file that could not be saved or loaded.
///
/// It names the file and the line, and never what stood there: cookies are
/// secrets.
///
/// ```
/// use miohttp::CookieJar;
///
/// let jar = CookieJar::new();
/// // The first run of a program finds no file yet.
/// match jar.load_netscape("/nowhere/cookies.txt") {
///     Err(error) if error.is_not_found() => {}
///     other => panic!("{other:?}"),
/// }
/// ```
#[derive(Clone)]
pub struct CookieFileError(Arc<Inner>);

struct Inner {
    path: PathBuf,
    what: What,
}

enum What {
    Write(io::Error),
    Read(io::Error),
    Malformed(Malformed),
}

impl CookieFileError {
    /// The file.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Whether there is no such file.
    pub fn is_not_found(&self) -> bool {
        matches!(&self.0.what, What::Read(error) if error.kind() == io::ErrorKind::NotFound)
    }

    /// Whether the file was read and is not a cookie file, or a damaged one.
    pub fn is_malformed(&self) -> bool {
        matches!(&self.0.what, What::Malformed(_))
    }

    /// The line at which the file is malformed, from 1; `None` if it is not, or
    /// if no line is to blame.
    pub fn line(&self) -> Option<usize> {
        match &self.0.what {
            What::Malformed(fault) => fault.line,
            _ => None,
        }
    }

    fn new(path: &Path, what: What) -> Self {
        let path = path.to_owned();
        Self(Arc::new(Inner { path, what }))
    }
}

impl fmt::Display for CookieFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.0.path.display();
        match &self.0.what {
            What::Write(_) => write!(f, "cannot write the cookie file {path}"),
            What::Read(_) => write!(f, "cannot read the cookie file {path}"),
            What::Malformed(fault) => {
                write!(f, "the cookie file {path} is malformed")?;
                if let Some(line) = fault.line {
                    write!(f, " in line {line}")?;
                }
                write!(f, ": {}", fault.message)
            }
        }
    }
}

impl fmt::Debug for CookieFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("CookieFileError");
        debug.field("path", &self.0.path);
        match &self.0.what {
            What::Write(error) | What::Read(error) => debug.field("source", error),
            What::Malformed(fault) => debug
                .field("line", &fault.line)
                .field("message", &fault.message),
        };
        debug.finish()
    }
}

impl std::error::Error for CookieFileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0.what {
            What::Write(error) | What::Read(error) => Some(error),
            What::Malformed(_) => None,
        }
    }
}

/// What is wrong with the bytes of a file, in words that repeat none of them.
#[derive(Debug)]
pub(super) struct Malformed {
    pub(super) line: Option<usize>,
    pub(super) message: &'static str,
}

impl Malformed {
    pub(super) fn at(line: usize, message: &'static str) -> Self {
        let line = Some(line);
        Self { line, message }
    }

    pub(super) fn whole(message: &'static str) -> Self {
        Self {
            line: None,
            message,
        }
    }
}

type ReadFormat = fn(&[u8]) -> Result<Vec<Cookie>, Malformed>;

fn load(jar: &CookieJar, path: &Path, read: ReadFormat) -> Result<usize, CookieFileError> {
    let bytes = read_file(path).map_err(|error| CookieFileError::new(path, What::Read(error)))?;
    if bytes.len() as u64 > MAX_FILE {
        let fault = Malformed::whole("it is longer than 64 MiB");
        return Err(CookieFileError::new(path, What::Malformed(fault)));
    }
    let cookies =
        read(&bytes).map_err(|fault| CookieFileError::new(path, What::Malformed(fault)))?;
    Ok(jar.replace_at(cookies, jar::now()))
}

fn save(
    path: &Path,
    cookies: Vec<Cookie>,
    write: fn(&[Cookie]) -> Vec<u8>,
) -> Result<usize, CookieFileError> {
    write_file(path, &write(&cookies))
        .map_err(|error| CookieFileError::new(path, What::Write(error)))?;
    Ok(cookies.len())
}

/// The file, or one byte more of it than may be.
fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(MAX_FILE + 1)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Writes a file of its own beside `path`, and moves it there.
fn write_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let (mut file, beside) = create_beside(path)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    drop(file);
    let moved = written.and_then(|()| std::fs::rename(&beside, path));
    if moved.is_err() {
        // The first error is the one to tell; this one would add nothing.
        let _ = std::fs::remove_file(&beside);
    }
    moved
}

/// A new file in the same folder: a move is atomic within one file system only.
fn create_beside(path: &Path) -> io::Result<(File, PathBuf)> {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let name = path.file_name().ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidInput, "the path does not name a file")
    })?;
    let mut options = OpenOptions::new();
    // Never one that is there already: it may be somebody's link to elsewhere.
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut attempts = 0;
    loop {
        let count = COUNTER.fetch_add(1, Ordering::Relaxed);
        let mut beside = std::ffi::OsString::from(".");
        beside.push(name);
        beside.push(format!(".{}-{count}.new", std::process::id()));
        let beside = path.with_file_name(beside);
        match options.open(&beside) {
            Ok(file) => return Ok((file, beside)),
            // Left behind by a process of the same number that was killed.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && attempts < 100 => {
                attempts += 1;
            }
            Err(error) => return Err(error),
        }
    }
}
