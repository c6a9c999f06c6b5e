//! Keeping a jar in a file (SPEC K10): what both formats share. The formats
//! themselves are in [`json`](super::json) and [`netscape`],
//! and know neither files nor jars: bytes in, cookies out, and back.

use std::path::Path;

use super::{Cookie, CookieJar, jar, netscape};
use crate::saved::{self, Malformed, file_error};

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

file_error! {
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
    CookieFileError, "cookie file"
}

type ReadFormat = fn(&[u8]) -> Result<Vec<Cookie>, Malformed>;

fn load(jar: &CookieJar, path: &Path, read: ReadFormat) -> Result<usize, CookieFileError> {
    let cookies = saved::load(path, read)?;
    Ok(jar.replace_at(cookies, jar::now()))
}

fn save(
    path: &Path,
    cookies: Vec<Cookie>,
    write: fn(&[Cookie]) -> Vec<u8>,
) -> Result<usize, CookieFileError> {
    saved::save(path, &write(&cookies))?;
    Ok(cookies.len())
}
