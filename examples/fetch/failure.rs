//! What went wrong, and the exit status that says so: curl's numbers where it
//! has one. `--help` lists them.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use miohttp::{Error, Kind};

#[derive(Debug)]
pub(crate) enum Failure {
    /// A mistake in the command line.
    Usage(String),
    Request(Error),
    /// A file to send or to trust cannot be read.
    Read(PathBuf, io::Error),
    /// Where the body goes; `None` is standard output.
    Write(Option<PathBuf>, io::Error),
    /// Nobody reads standard output any more.
    Pipe,
}

impl Failure {
    pub(crate) fn reading(path: impl AsRef<Path>, error: io::Error) -> Self {
        Self::Read(path.as_ref().to_owned(), error)
    }

    pub(crate) fn writing(path: &Path, error: io::Error) -> Self {
        Self::Write(Some(path.to_owned()), error)
    }

    pub(crate) fn stdout(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Pipe,
            _ => Self::Write(None, error),
        }
    }

    /// Whether the other URLs would fare no better.
    pub(crate) fn ends_everything(&self) -> bool {
        !matches!(self, Self::Request(_))
    }

    /// Whether the message says which URL it is about.
    pub(crate) fn names_url(&self) -> bool {
        matches!(self, Self::Request(error) if error.url().is_some())
    }

    pub(crate) fn status(&self) -> u8 {
        match self {
            Self::Request(error) => match error.kind() {
                Kind::InvalidUrl => 3,
                Kind::Dns => 6,
                Kind::Connect | Kind::ProxyConnect | Kind::ProxyRefused => 7,
                Kind::Payload => 18,
                Kind::Status => 22,
                Kind::Write => 23,
                Kind::Timeout => 28,
                Kind::Tls => 35,
                Kind::TooManyRedirects => 47,
                Kind::Disconnected | Kind::Io => 56,
                Kind::Certificate => 60,
                _ => 1,
            },
            Self::Usage(_) => 2,
            Self::Read(..) => 26,
            Self::Write(..) | Self::Pipe => 23,
        }
    }
}

impl From<lexopt::Error> for Failure {
    fn from(error: lexopt::Error) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Request(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(mistake) => write!(f, "{mistake}\nTry 'fetch --help'."),
            // The whole chain of causes, on one line.
            Self::Request(error) => write!(f, "{error:#}"),
            Self::Read(path, error) => write!(f, "cannot read {}: {error}", path.display()),
            Self::Write(Some(path), error) => {
                write!(f, "cannot write {}: {error}", path.display())
            }
            Self::Write(None, error) => write!(f, "cannot write to standard output: {error}"),
            Self::Pipe => f.write_str("nobody reads standard output any more"),
        }
    }
}
