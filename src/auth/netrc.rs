//! Credentials from a `.netrc` file (SPEC A6).

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::BasicAuth;
use crate::error::Error;

/// Logins and passwords by host, as a `.netrc` file has them (SPEC A6).
///
/// A session takes one by [`netrc`](crate::SessionBuilder::netrc) or
/// [`netrc_entries`](crate::SessionBuilder::netrc_entries), or finds the user's own
/// with [`trust_env`](crate::SessionBuilder::trust_env). It is read once, then.
///
/// Words are separated by white space. A word in double quotes may hold some, and
/// `\` takes the meaning of what follows it away, within quotes and without. A
/// `#` where a keyword could stand begins a comment. Keywords are `machine`,
/// `default`, `login` (or `user`), `password`, `account` and `macdef`, whose macro
/// is skipped, down to an empty line. Of several entries of a host the first
/// counts, and `default` counts where there is none, wherever it stands.
///
/// `Debug` shows how many entries there are, and nothing of them.
///
/// ```
/// use miohttp::{BasicAuth, Netrc};
///
/// let netrc = Netrc::parse("machine example.com login me password \"a b\"\n")?;
/// assert_eq!(netrc.find("example.com"), Some(BasicAuth::new("me", "a b")));
/// assert_eq!(netrc.find("example.org"), None);
/// # Ok::<(), miohttp::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Netrc {
    entries: Vec<Entry>,
}

#[derive(Clone, Default)]
struct Entry {
    /// `None` is the default.
    host: Option<String>,
    login: Option<String>,
    account: Option<String>,
    password: Option<String>,
}

/// More is no file of passwords.
const MAX_BYTES: u64 = 1024 * 1024;

impl Netrc {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// [`Kind::InvalidRequest`](crate::Kind::InvalidRequest), with the line:
    /// a word that is no keyword, a keyword without its word, a quote that is
    /// never closed, or a login before any machine. No word of the file is
    /// repeated.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut words = Words::new(text);
        let mut netrc = Self::default();
        while let Some(word) = words.next()? {
            if word.starts_with('#') {
                words.skip_line();
                continue;
            }
            let word = word.to_ascii_lowercase();
            match word.as_str() {
                "machine" => netrc.entries.push(Entry {
                    host: Some(words.value()?),
                    ..Entry::default()
                }),
                "default" => netrc.entries.push(Entry::default()),
                "macdef" => {
                    words.value()?;
                    words.skip_macro();
                }
                "login" | "user" | "password" | "account" => {
                    let value = words.value()?;
                    let Some(entry) = netrc.entries.last_mut() else {
                        return Err(words.fault("what it says is for no machine"));
                    };
                    let place = match word.as_str() {
                        "password" => &mut entry.password,
                        "account" => &mut entry.account,
                        _ => &mut entry.login,
                    };
                    *place = Some(value);
                }
                _ => return Err(words.fault("no keyword stands where one has to")),
            }
        }
        Ok(netrc)
    }

    /// Reads a file of at most 1 MiB. What is not UTF-8 is taken for ISO-8859-1.
    ///
    /// # Errors
    /// [`Kind::InvalidRequest`](crate::Kind::InvalidRequest): those of
    /// [`parse`](Self::parse); and, with the system's error as source, a file that
    /// cannot be read or is no regular one.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, Error> {
        let bytes = read(path.as_ref()).map_err(|error| {
            Error::invalid_request("the netrc file cannot be read").with_source(error)
        })?;
        let text = String::from_utf8(bytes).unwrap_or_else(|error| {
            let bytes = error.into_bytes();
            bytes.into_iter().map(char::from).collect()
        });
        Self::parse(&text)
    }

    /// Login and password for this host, written as in a URL.
    pub fn find(&self, host: &str) -> Option<BasicAuth> {
        self.search(host, None)
    }

    /// The password of this login on this host: of an entry with that login, or of
    /// one without any.
    pub fn find_login(&self, host: &str, login: &str) -> Option<BasicAuth> {
        self.search(host, Some(login))
    }

    fn search(&self, host: &str, wanted: Option<&str>) -> Option<BasicAuth> {
        // A URL has brackets around an IPv6 address, this file may have none.
        let bare = |host: &str| host.trim_matches(['[', ']']).to_ascii_lowercase();
        let host = bare(host);
        let fits = |entry: &&Entry| match (wanted, &entry.login) {
            (Some(wanted), Some(login)) => wanted == login,
            _ => true,
        };
        let mut named = self.entries.iter().filter(fits);
        let mut default = self.entries.iter().filter(fits);
        let entry = named
            .find(|entry| entry.host.as_deref().is_some_and(|of| bare(of) == host))
            .or_else(|| default.find(|entry| entry.host.is_none()))?;
        let login = wanted.or(entry.login.as_deref());
        let login = login.or(entry.account.as_deref());
        if login.is_none() && entry.password.is_none() {
            return None;
        }
        let password = entry.password.as_deref();
        Some(BasicAuth::new(
            login.unwrap_or_default(),
            password.unwrap_or_default(),
        ))
    }

    /// The file that the environment names: `$NETRC`, or the one in the home
    /// directory. That there is none is silent, anything else wrong is logged.
    pub(crate) fn of_environment() -> Self {
        let path = locate(|name| env::var_os(name), env::home_dir());
        path.map(|path| Self::load_or_none(&path))
            .unwrap_or_default()
    }

    /// No entries where there is no file, or, with a line in the log, where it
    /// cannot be read.
    pub(crate) fn load_or_none(path: &Path) -> Self {
        if path
            .symlink_metadata()
            .is_err_and(|e| e.kind() == io::ErrorKind::NotFound)
        {
            return Self::default();
        }
        Self::load(path).unwrap_or_else(|error| {
            log::warn!("{} is not used: {error:#}", path.display());
            Self::default()
        })
    }
}

impl fmt::Debug for Netrc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Netrc")
            .field("entries", &self.entries.len())
            .finish_non_exhaustive()
    }
}

/// Where the file is.
fn locate(var: impl Fn(&str) -> Option<OsString>, home: Option<PathBuf>) -> Option<PathBuf> {
    if let Some(path) = var("NETRC").filter(|path| !path.is_empty()) {
        return Some(path.into());
    }
    let name = match cfg!(windows) {
        true => "_netrc",
        false => ".netrc",
    };
    home.filter(|home| !home.as_os_str().is_empty())
        .map(|home| home.join(name))
}

/// A pipe could let its reader wait for ever, and a device never end.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    if !path.metadata()?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?
        .take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(io::Error::other("it is larger than 1 MiB"));
    }
    Ok(bytes)
}

/// The words of a file, one at a time, since what they mean depends on those
/// before.
struct Words<'a> {
    rest: &'a str,
    /// Counted from 1.
    line: usize,
}

impl<'a> Words<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            rest: text.strip_prefix('\u{feff}').unwrap_or(text),
            line: 1,
        }
    }

    fn next(&mut self) -> Result<Option<String>, Error> {
        while self.rest.starts_with(is_space) {
            self.take();
        }
        let quoted = self.rest.starts_with('"');
        if quoted {
            self.take();
        }
        let mut word = String::new();
        while let Some(char) = self.rest.chars().next() {
            match char {
                '"' if quoted => {
                    self.take();
                    return Ok(Some(word));
                }
                _ if !quoted && is_space(char) => break,
                '\\' => {
                    self.take();
                    word.extend(self.take());
                }
                _ => word.extend(self.take()),
            }
        }
        match (quoted, word.is_empty()) {
            (true, _) => Err(self.fault("a quote is never closed")),
            (false, true) => Ok(None),
            (false, false) => Ok(Some(word)),
        }
    }

    /// The word that a keyword needs.
    fn value(&mut self) -> Result<String, Error> {
        let fault = self.fault("the last keyword has nothing behind it");
        self.next()?.ok_or(fault)
    }

    fn skip_line(&mut self) {
        // The word before may have brought its line's end along in an escape;
        // then this is the next line, and a comment all the same.
        while self.take().is_some_and(|char| char != '\n') {}
    }

    /// Down to an empty line.
    fn skip_macro(&mut self) {
        self.skip_line();
        while !self.rest.is_empty() {
            let line = self.rest.lines().next().unwrap_or_default();
            let is_end = line.trim().is_empty();
            self.skip_line();
            if is_end {
                return;
            }
        }
    }

    fn take(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let char = chars.next();
        self.rest = chars.as_str();
        self.line += usize::from(char == Some('\n'));
        char
    }

    fn fault(&self, what: &str) -> Error {
        Error::invalid_request(format!("netrc, line {}: {what}", self.line))
    }
}

fn is_space(char: char) -> bool {
    matches!(char, ' ' | '\t' | '\r' | '\n')
}

#[cfg(all(test, not(loom)))]
mod tests;
